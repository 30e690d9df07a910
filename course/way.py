"""The way of a submission, from what came in to the page that goes back: each arrow one function, each noun one type.

| arrow | function |
|---|---|
| Download -> Claim | `intake.whose.identify`: whose file it is, by the platform that packed it |
| Claim -> Sheet | `intake.decode.read_sheet`: its cells, however it was saved |
| Sheet -> Submission | `intake.rebuild.rebuild`: the release with the student's answers in it |
| Submission -> Job | `grading.job.jobs`: all that its grade depends on |
| Job -> Outcome | `grading.execute.run`: the verdicts |
| Outcome -> Gradebook | `grading.recording.Recorder.record` |
| Gradebook -> Page | `reports.feedback.feedback` |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from course.grading.backends import Backend
from course.grading.grade import Graded, grade
from course.grading.gradebook import withdraw
from course.intake import Triage, collect
from course.model import Course
from course.reports.feedback import feedback
from course.store import Store


@dataclass(frozen=True)
class Went:
    """What became of a class on the whole way."""

    triage: Triage
    results: list[Graded]
    pages: list[Path]


def way(
    course: Course,
    downloads: Sequence[Path],
    roster: Path | None = None,
    backend: Backend | None = None,
    told: Callable[[Graded], None] = lambda _: None,
    expected: Callable[[int], None] = lambda _: None,
) -> Went:
    """Take a class the whole way.

    Args:
        course: the checkout and how it is used.
        downloads: what a platform gave.
        roster: the class list; the one kept before if None.
        backend: what executes; this machine, as `course grade` uses it, if None.
        told: called with each graded submission as it comes.
        expected: called once, before the first, with their number.

    Returns:
        What was handed in, what it was graded, and the pages of feedback.

    Raises:
        CourseError: with what stands in the way.
    """
    lessons, store = list(course.written), Store(course.classroom)
    with store.writing():
        triage = collect(downloads, course.root / "notebooks", course.classroom, roster, zone=course.zone)
        triage.write(course.classroom)
        withdraw(course)  # what a disturbed forget left
    results = grade(course, lessons, backend=backend, told=told, expected=expected)
    with store.writing():
        pages = list(feedback(course, lessons))
    return Went(triage, results, pages)
