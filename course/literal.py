"""nbgrader takes the folders it works in for patterns; here they are names again.

`CourseDirectory.format_path` gives one text for a file's name, for `glob` and, hardly escaped, for `re`. In "Kurs (2026)",
"C++ Kurs" or "Klasse [WS26]" neither finds anything, and nothing is graded. nbgrader has no setting for it, and the Formgrader
makes its objects itself, so the two places are mended where they stand.

Source: nbgrader 0.9.6, coursedir.py and converters/base.py.
"""

from __future__ import annotations

import glob
import os
import re
from types import SimpleNamespace

import nbgrader.apps.api
import nbgrader.converters.base
import nbgrader.utils
from nbgrader.coursedir import CourseDirectory


def glob_below(pattern: str) -> list[str]:
    """Find what a pattern matches; the part of it that exists as it is written is a name, not a pattern.

    Args:
        pattern: folders, then wildcards.

    Returns:
        Paths.
    """
    folder, rest = pattern, ""
    while folder and not os.path.exists(folder):
        parent, name = os.path.split(folder)
        if parent == folder:
            break
        folder, rest = parent, os.path.join(name, rest) if rest else name
    return glob.glob(os.path.join(glob.escape(folder), rest) if rest else glob.escape(folder))


def format_path(
    directory: CourseDirectory, nbgrader_step: str, student_id: str, assignment_id: str, escape: bool = False
) -> str:
    """Give the path of a step of nbgrader's.

    Args:
        directory: its settings.
        nbgrader_step: a folder, absolute or below the root.
        student_id, assignment_id: names; with `escape` patterns.
        escape: give a pattern for `re`, in which all but those two stand for themselves.

    Returns:
        Path or pattern.
    """
    words = {"student_id": student_id, "assignment_id": assignment_id}
    structure: str = directory.directory_structure
    if not escape:
        return os.path.join(directory.root, structure.format(nbgrader_step=nbgrader_step, **words))
    pattern = structure.replace(os.sep, re.escape(os.sep)).format(nbgrader_step="\0", **words)
    return pattern.replace("\0", re.escape(os.path.join(directory.root, nbgrader_step)))


def mend() -> None:
    """Put both in nbgrader's place."""
    CourseDirectory.format_path = format_path
    for module in (nbgrader.converters.base, nbgrader.utils, nbgrader.apps.api):
        module.glob = SimpleNamespace(glob=glob_below)  # they use nothing else of it
