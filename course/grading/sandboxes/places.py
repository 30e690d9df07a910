"""What the student's process may read: the system's programs, this Python, `helpers` and nothing else of the course."""

from __future__ import annotations

import functools
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import helpers
from course.model import CourseError

COURSE = Path(__file__).resolve().parents[2]
BRIDGE = COURSE / "grading" / "bridge"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store")
SETTINGS = (
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/fonts",
    "/etc/alternatives",
    "/etc/matplotlibrc",  # where Debian keeps it
    "/sys/devices/system/cpu",
)
OPTIMIZER = "torch._dynamo"  # what torch imports at the first optimizer, for a second or two
# What lessons import.
LESSONS = (
    "numpy",
    "scipy.linalg",
    "scipy.signal",
    "scipy.special",
    "scipy.stats",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "sklearn.datasets",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "mnist1d.data",
    "torch",
    OPTIMIZER,
)
# Memory in pages of 2 MiB, where Linux has them and glibc knows the word: a fork copies the list of the pages, and its end takes them back.
LARGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
PRIVATE = ("solutions", "stand_ins", "course", "tests", "classroom", ".git")


def readable() -> list[Path]:
    """Give the folders that a kernel needs, the course's own secrets taken out.

    Returns:
        Absolute paths; none of them holds a folder of `hidden()`.
    """
    python = [
        sys.prefix,
        sys.base_prefix,
        *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
    ]
    wanted = [
        Path(os.path.abspath(p))
        for p in (*SYSTEM, *SETTINGS, *python, *map(os.path.realpath, python), *helpers.__path__, str(BRIDGE))
    ]
    top = [p for p in dict.fromkeys(wanted) if not any(q != p and q in p.parents for q in wanted)]
    outside = [part for path in top if path.exists() for part in without(path, hidden())]
    return [*dict.fromkeys([*outside, BRIDGE])]


def hidden() -> list[Path]:
    """Give the folders that stay out of sight even where something around them is readable."""
    beside = {COURSE.parent, *(Path(os.path.abspath(path)).parent for path in helpers.__path__)}
    return [COURSE, *(folder / name for folder in sorted(beside) for name in PRIVATE)]


def imported_by_lessons() -> list[str]:
    """Give the names of the modules that lessons import: packages, and all of `helpers`."""
    found = [*LESSONS]
    for folder in map(Path, helpers.__path__):
        for path in sorted(folder.rglob("*.py")):  # not by pkgutil, which would import some of them here
            parts = path.relative_to(folder.parent).with_suffix("").parts
            found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def keep_out_of_sight(*folders: Path) -> None:
    """Refuse to grade where students' code could read what is none of its business.

    Args:
        folders: of the classroom and of the solutions.

    Raises:
        CourseError: naming the folder, what it lies in, and the way out.
    """
    seen = [(path, path.resolve()) for path in readable()]
    for folder in folders:
        there = folder.resolve()
        for path, real in seen:
            if real == there or real in there.parents:
                raise CourseError(
                    f"students' code could read {folder}: it lies in {path}, which every kernel needs to see. "
                    "Move it elsewhere, your home for example; COURSE_CLASSROOM names another classroom"
                )


def without(folder: Path, secrets: Iterable[Path]) -> Iterator[Path]:
    """Cover a folder by paths that leave the secrets out.

    Args:
        folder: an existing folder or file.
        secrets: paths that must not be reached through any of the results.

    Yields:
        The folder itself if it holds no secret, else its parts.
    """
    secrets = [Path(secret) for secret in secrets]
    if folder in secrets:
        return
    if not any(folder in secret.parents for secret in secrets):
        yield folder
        return
    for part in sorted(folder.iterdir()):
        yield from without(part, secrets)


@functools.cache
def font_lists() -> list[Path]:
    """Find matplotlib's list of the fonts on this machine; let it be made where there is none."""
    named = os.environ.get("MPLCONFIGDIR")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matplotlib"
    if not (found := sorted(Path(named or cache).glob("fontlist-*.json"))):
        try:
            import matplotlib.font_manager
        except ImportError:
            return []
        found = sorted(Path(matplotlib.get_cachedir()).glob("fontlist-*.json"))
    return found


def put_fonts(work: Path) -> None:
    """Lay the list of fonts into a work folder, where every kernel would else spend a second to make it."""
    folder = work / ".matplotlib"
    folder.mkdir()
    for file in font_lists():
        shutil.copy(file, folder / file.name)
