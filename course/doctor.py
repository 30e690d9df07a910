"""`course doctor`: what this machine has, what is missing, and how to get it."""

from __future__ import annotations

import importlib.metadata
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import Requirement

from course.config import gradebook_name
from course.grading.sandboxes.choose import SandboxUnavailable, confinement, hidden_from_lessons
from course.grading.sandboxes.places import keep_out_of_sight
from course.model import Course, CourseError

EXTRAS = {"dask": "course grade --dask", "postgresql": "course grade --db", "site": "course site"}


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis; `remedy` says what to do where `ok` is False."""

    what: str
    ok: bool
    found: str
    remedy: str = ""


def examine(course: Course) -> Iterator[Finding]:
    """Look at everything that building and grading need.

    Args:
        course: the checkout.

    Yields:
        One finding a thing.
    """
    yield Finding(
        "Python",
        sys.version_info >= (3, 11),
        sys.version.split()[0],
        "install Python 3.11 or newer, then `make lab` makes a new .venv",
    )
    for path in ("pyproject.toml", "course/pyproject.toml"):
        project = tomllib.loads((course.root / path).read_text(encoding="utf-8"))["project"]
        for line in project["dependencies"]:
            yield _package(Requirement(line))
    for extra, needed in project["optional-dependencies"].items():
        yield _extra(extra, [Requirement(line) for line in needed])
    for lesson in course.lessons:
        built = course.solution(lesson).is_file() and course.release(lesson).is_file()
        yield Finding(
            lesson.name,
            built,
            "both editions are there" if built else "not built",
            f"course build {lesson.name}",
        )
    yield _confinement(course)
    yield _classroom(course)
    if course.database:
        yield _gradebook(course)


def _package(needed: Requirement) -> Finding:
    """Whether a package is installed in a version that pyproject.toml accepts."""
    try:
        version = importlib.metadata.version(needed.name)
    except importlib.metadata.PackageNotFoundError:
        version = ""
    ok = bool(version) and needed.specifier.contains(version, prereleases=True)
    return Finding(
        f"{needed.name} {needed.specifier}",
        ok,
        version or "not installed",
        "make .venv/instructor, or pip install -e . -e course",
    )


def _extra(name: str, needed: list[Requirement]) -> Finding:
    """Whether what only some graders use is there; without it nothing is missing."""
    found = [_package(requirement) for requirement in needed]
    named = [f"{r.name} {f.found}" for r, f in zip(needed, found, strict=True) if f.ok]
    # A long row would make the table too wide for a path to stay in one piece.
    words = ", ".join(named if len(named) < 3 else [named[0], f"and {len(named) - 1} more"])
    installed = all(finding.ok for finding in found)
    wanted = f"not installed; `{EXTRAS[name]}` needs it: pip install -e 'course[{name}]'"
    return Finding(f"extra {name}", True, words if installed else wanted)


def _gradebook(course: Course) -> Finding:
    """Whether a gradebook's database can be used."""
    from course.grading.gradebook import opened

    try:
        with opened(course):
            return Finding("gradebook", True, gradebook_name(course))
    except CourseError as error:
        return Finding("gradebook", False, gradebook_name(course), str(error))


def _confinement(course: Course) -> Finding:
    """Which sandbox would hold a learner's kernel."""
    try:
        walls = confinement(course.sandbox)
    except SandboxUnavailable as error:
        return Finding("sandbox", False, "none", str(error))
    trouble = hidden_from_lessons(walls)
    return Finding(
        "sandbox",
        not trouble,
        f"{walls}; {trouble}" if trouble else str(walls),
        "behind it lessons must be able to import what they import: make that readable, or set COURSE_SANDBOX to another",
    )


def _classroom(course: Course) -> Finding:
    """Whether grading may write where it works, and students' code would not see it."""
    try:
        keep_out_of_sight(course.classroom)
        course.classroom.mkdir(parents=True, exist_ok=True)
        probe = course.classroom / ".probe"
        probe.touch()
        probe.unlink()
    except CourseError as error:
        return Finding("classroom", False, str(course.classroom), str(error))
    except OSError as error:
        return Finding(
            "classroom",
            False,
            str(error),
            f"make {course.classroom} writable, or set COURSE_CLASSROOM to a folder that is",
        )
    return Finding("classroom", True, str(course.classroom))
