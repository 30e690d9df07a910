"""From what lies on disk to jobs: all that a grade depends on, read once."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import logging
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import helpers
from course.grading.sandboxes.choose import confinement
from course.grading.sandboxes.places import COURSE
from course.grading.slice import spared
from course.model import Course, CourseError, Job, Lesson, Limits, Submission

JUDGES = ("numpy", "scipy", "torch", "ipykernel")  # packages whose version may change a verdict
# Rooms of the course that have no say in a verdict: they come before a job or after its outcome.
BESIDE = {"cli", "commands", "deadlines", "desk", "doctor", "intake", "progress", "reports", "site", "way"}
LOG = logging.getLogger(__name__)


def jobs(course: Course, lesson: Lesson, submissions: Iterable[Submission]) -> Iterator[Job]:
    """Put together what a lesson's submissions are graded with; what they share is read once, at once, and held once.

    Args:
        course: the checkout and how it is used.
        lesson: of the submissions.
        submissions: what was placed for grading.

    Returns:
        Their jobs, each made when it is asked for; none where there is no submission.

    Raises:
        CourseError: if the lesson is not built, the machine allows less than the limits ask for, or no sandbox stands.
    """
    submissions = list(submissions)
    if not submissions:
        return iter(())
    key, files = key_and_files(course.solution(lesson).parent, course.release(lesson).parent)
    shared = (
        key,
        files,
        allowed(course.limits),
        confinement(course.sandbox, not course.cold),
        checker_version(),
    )
    return (Job(s, *shared, () if course.full else _spared(key, s)) for s in submissions)


def _spared(key: bytes, submission: Submission) -> tuple[int, ...]:
    """Positions of cells that no grade depends on; none in what cannot be read, and executing it will say so."""
    try:
        return spared(key, submission.notebook)
    except Exception as error:
        LOG.info("%s, %s: all cells are run, since %r", submission.student, submission.lesson, error)
        return ()


def key_and_files(solution: Path, release: Path) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    """Read what all submissions of a lesson are executed with.

    Args:
        solution: the folder of the instructor's notebook.
        release: the folder that students were given.

    Returns:
        The instructor's notebook, and names and contents of the data files that lie beside the student edition.

    Raises:
        CourseError: if the instructor's notebook is missing.
    """
    path = solution / f"{solution.name}.ipynb"
    if not path.is_file():
        raise CourseError(
            f"{path} does not exist, and checks are taken from it: run `course build {solution.name}` first"
        )
    files = [p for p in sorted(release.glob("*")) if p.is_file() and p.suffix not in (".ipynb", ".py")]
    return path.read_bytes(), tuple((p.name, p.read_bytes()) for p in files)


def allowed(limits: Limits) -> Limits:
    """Check that this machine lets a submission have what the limits promise.

    Args:
        limits: how much it may use.

    Returns:
        The limits.

    Raises:
        CourseError: if a student's code would meet a narrower limit, which is no fault of the student's.
    """
    try:
        import resource
    except ImportError:  # Windows, where nothing is graded
        return limits
    for name, field in (("AS", "address_space"), ("NOFILE", "open_files"), ("CPU", "notebook_wall")):
        _, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
        if hard != resource.RLIM_INFINITY and hard < limits.rlimits()[name]:
            raise CourseError(
                f"this machine allows {hard:,} where a submission may use {limits.rlimits()[name]:,} ({field}): raise it "
                f"(`ulimit`), or grade with less by COURSE_LIMITS='{{\"{field}\": {hard}}}'"
            )
    return limits


@functools.cache
def checker_version() -> str:
    """Name the code that judges: versions of its packages, and a hash of the course but for `BESIDE`, and of helpers."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in JUDGES]
    judging = code_hash(COURSE, *map(Path, helpers.__path__), without=BESIDE)
    return ", ".join([f"Python {sys.version.split()[0]}", *versions, judging])


def code_hash(*folders: Path, without: Collection[str] = ()) -> str:
    """Hash the code in folders, and the values that were recorded there.

    Args:
        folders: any number.
        without: names of modules and folders right below them that are left out.

    Returns:
        Sixteen characters.
    """
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".json")):
            inside = path.relative_to(folder)
            if inside.parts[0].removesuffix(".py") not in without:
                digest.update(f"{inside}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
