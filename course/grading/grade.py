"""`course grade`: submissions -> jobs -> outcomes -> gradebook.

Several submissions are executed at once; each is recorded as it finishes. What a submission was graded with is noted beside it:
a killed run resumes, and what has not changed is not graded again. Whatever goes wrong with one submission is that submission's
problem, told by name, and never stops the class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from course.grading import gradebook, recording
from course.grading.backends import Backend
from course.grading.backends.local import Local
from course.grading.changes import (
    differences,
    note_changes,
    note_faults,
    other_parts,
    read_changes,
    read_faults,
)
from course.grading.job import jobs as jobs_of
from course.grading.sandboxes.places import keep_out_of_sight
from course.grading.sandboxes.unsafe import Unsafe
from course.intake.roster import read_roster
from course.model import Course, CourseError, Job, Lesson, Mark, Outcome
from course.store import LOG, Store


@dataclass(frozen=True)
class Graded:
    """What became of one submission: "graded", "unchanged" or "failed" with the reason; and how long it was executed."""

    student: str
    lesson: str
    state: str
    reason: str = ""
    seconds: float = 0.0


def grade(
    course: Course,
    lessons: list[Lesson],
    students: list[str] | None = None,
    force: bool = False,
    backend: Backend | None = None,
    told: Callable[[Graded], None] = lambda _: None,
    expected: Callable[[int], None] = lambda _: None,
) -> list[Graded]:
    """Grade what was collected.

    Args:
        course: the checkout; submissions lie in its classroom.
        lessons: which lessons.
        students: which students; all if None.
        force: grade again what has not changed, too.
        backend: what executes; this machine, as many at once as it has cores, if None.
        told: called with each result as it comes.
        expected: called once, before the first, with the number of submissions.

    Returns:
        One entry a submission, as they finished.

    Raises:
        CourseError: if a named student handed in nothing for any of the lessons, a lesson or a change cannot be recorded, students' code could read what lies
            here, or another run is at work here.
    """
    results: list[Graded] = []
    store = Store(course.classroom)
    faults: dict[tuple[str, str], str] = {}

    def tell(made: Graded) -> None:
        LOG.info("%s, %s: %s %s", made.student, made.lesson, made.state, made.reason)
        results.append(made)
        whose = (made.student, made.lesson)
        before = faults.pop(whose, None)
        if made.state == "failed":
            faults[whose] = made.reason
        if faults.get(whose) != before:
            note_faults(store, faults)
        told(made)

    if course.sandbox != Unsafe.name:
        keep_out_of_sight(course.classroom, course.root / "solutions")
    with store.writing():
        faults.update(read_faults(store))
        read_changes(store)  # a person may have edited it: if it cannot be read, nothing is recorded
        known = gradebook.made_of(course)  # first: a damaged gradebook must not replace a good backup
        gradebook.back_up(course)
        handed_in = {lesson: found for lesson in lessons if (found := store.submissions(lesson, students))}
        found_of = {s.student for found in handed_in.values() for s in found}
        if nothing := sorted(set(students or ()) - found_of):
            raise CourseError(
                f"{', '.join(nothing)} handed in nothing for {', '.join(lesson.name for lesson in lessons)} (a student is named by the id that `course report` shows): run `course collect` first"
            )
        jobs = [jobs_of(course, lesson, found) for lesson, found in handed_in.items()]
        for lesson in handed_in:
            gradebook.register(course, lesson)
        _enter_names(course, store, found_of)
        gradebook.enter_times(course, [*chain.from_iterable(handed_in.values())])
        gradebook.enter_deadlines(course)
        expected(sum(map(len, handed_in.values())))

        before, why = gradebook.marks(course), {}

        def changed() -> Iterator[Job]:
            for job in chain.from_iterable(jobs):
                made_of = known.get(_of(job), gradebook.MadeOf())
                if force or made_of.digest != job.digest or not store.is_graded(job):
                    why[_of(job)] = other_parts(store.parts(*_of(job)), job.parts)
                    yield job
                else:
                    tell(Graded(*_of(job), "unchanged"))

        try:
            with recording.Recorder(course, store) as recorder:
                for outcome in (backend or Local()).run(changed()):
                    tell(_record(recorder, outcome))
        finally:
            _follow_up(course, store, before, why)
    return results


def _follow_up(
    course: Course, store: Store, before: Sequence[Mark], why: Mapping[tuple[str, str], str]
) -> None:
    """Note whose points changed, and enter deadlines again: who handed in for the first time had no row for what was granted.

    Where the gradebook does not answer any more, each result says so already.
    """
    try:
        note_changes(store, differences(before, gradebook.marks(course), why, datetime.now(UTC)))
        gradebook.enter_deadlines(course)
    except CourseError as error:
        LOG.warning("whose points changed was not noted, and deadlines were not entered: %s", error)


def _of(job: Job) -> tuple[str, str]:
    return job.submission.student, job.submission.lesson


def _record(recorder: recording.Recorder, outcome: Outcome) -> Graded:
    """Write one outcome to the gradebook; every failure becomes its result."""
    whose = _of(outcome.job)
    if outcome.machine_fault:
        return Graded(*whose, "failed", f"the machine failed, nothing was recorded: {outcome.machine_fault}")
    try:
        recorder.record(outcome)
        return Graded(*whose, "graded", seconds=outcome.seconds)
    except Exception as error:
        told = str(error) if isinstance(error, CourseError) else f"{type(error).__name__}: {error}"
        return Graded(*whose, "failed", told)


def _enter_names(course: Course, store: Store, students: set[str]) -> None:
    """Give students the names of the roster that `course collect` kept."""
    roster = store.root / "roster.csv"
    if roster.is_file():
        gradebook.enter_names(course, read_roster(roster).people, students)
