"""What two machines must have in common, so that a job has one outcome on both."""

from __future__ import annotations

import functools
import importlib.metadata
import sys
from collections.abc import Mapping
from pathlib import Path

import helpers
from course.grading.job import JUDGES, allowed, code_hash
from course.grading.sandboxes.choose import SandboxUnavailable, confinement, hidden_from_lessons
from course.grading.sandboxes.places import COURSE, keep_out_of_sight
from course.grading.sandboxes.unsafe import Unsafe
from course.model import Limits

PACKAGES = (*JUDGES, "jupyter_client", "matplotlib", "mnist1d", "nbformat", "nbgrader", "scikit-learn")
MISSING = "missing"


@functools.cache  # of the code that this process has loaded, whatever becomes of the files meanwhile
def fingerprint(sandbox: str, limits: Limits) -> Mapping[str, str]:
    """Say what jobs would be executed with here.

    Args:
        sandbox: name of the one that the jobs ask for.
        limits: of the jobs.

    Returns:
        Names of things, and their versions or hashes.

    Raises:
        CourseError: if nothing can be graded here: no such sandbox stands, the machine allows less than the limits, or students' code
            could read the solutions.
    """
    walls = confinement(sandbox)
    if walls.name != Unsafe.name:
        keep_out_of_sight(COURSE.parent / "solutions")
        if trouble := hidden_from_lessons(walls):
            raise SandboxUnavailable(f"behind {walls} lessons cannot import what they import: {trouble}")
    allowed(limits)
    return {
        "Python": sys.version.split()[0],
        **{name: _version(name) for name in PACKAGES},
        "course": code_hash(COURSE),
        "helpers": code_hash(*map(Path, helpers.__path__)),
        "sandbox": str(walls),
    }


def difference(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """Tell two fingerprints apart.

    Returns:
        A phrase such as "numpy is 2.4.6 here and 2.3.0 there, and 2 other things differ"; "" if they are equal.
    """
    names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
    if not names:
        return ""
    first, more = names[0], len(names) - 1
    rest = f", and {more} other thing{'s differ' if more > 1 else ' differs'} ({', '.join(names[1:])})"
    return f"{first} is {here.get(first, MISSING)} here and {there.get(first, MISSING)} there{rest if more else ''}"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return MISSING
