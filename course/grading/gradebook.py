"""nbgrader's gradebook: what an outcome writes there, and what can be read from it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Grade, Gradebook, SubmittedAssignment
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor
from sqlalchemy.exc import DatabaseError
from traitlets import Dict, Unicode

from course.config import grader_config, run_quietly
from course.editions.build import generate
from course.grading.execute import grade_id, is_check, twice
from course.grading.job import allowed, checker_version, key_and_files
from course.grading.outputs import error_output
from course.grading.sandboxes.choose import confinement
from course.model import Course, CourseError, Job, Lesson, Limits, Outcome, Score, Submission
from course.store import RECEIPT, Store, notebook_text, stamp_text, write_text


def receipt(outcome: Outcome) -> str:
    """The note beside a graded notebook: what it was graded with, and how it ran."""
    return (
        json.dumps(
            {
                "digest": outcome.job.digest,
                "sandbox": str(outcome.job.sandbox),
                "checker": outcome.job.checker,
                "verdicts": {name: asdict(verdict) for name, verdict in outcome.verdicts.items()},
                "left_out": {str(at): why for at, why in outcome.left_out.items()},
                "kernels": outcome.kernels,
                "seconds": outcome.seconds,
                "cpu_seconds": outcome.cpu_seconds,
            },
            indent=1,
        )
        + "\n"
    )


def graft(notebook: NotebookNode, outcome: Outcome) -> None:
    """Take an outcome's outputs over into nbgrader's copy of the submission, in place; no verdict, no points."""
    executed = nbformat.reads(outcome.notebook.decode("utf-8"), as_version=4)
    for cell, done in zip(notebook.cells, executed.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = done.get("outputs", []), done.get("execution_count")
        if is_check(cell) and grade_id(cell) not in outcome.verdicts:
            cell.outputs = [error_output("NotChecked", "This check did not run.")]


class _Graft(NbGraderPreprocessor):
    """The step of nbgrader's autograder that would execute: here the outcome is there already."""

    def __init__(self, outcome: Outcome, **words: Any):
        super().__init__(**words)
        self._outcome = outcome

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        """Graft."""
        graft(nb, self._outcome)
        return nb, resources


class TrustedExecute(NbGraderPreprocessor):
    """nbgrader's `Execute`, replaced, for `nbgrader autograde` and the Formgrader's button: the same way as `course grade`."""

    limits = Dict(help="how much a submission may use: the fields of course.model.Limits").tag(config=True)
    sandbox = Unicode(help="name of the sandbox; empty for the best that stands").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        """Execute a submission and leave the receipt beside it.

        Args:
            nb: the sanitised submission.
            resources: nbgrader's, for the names of assignment and notebook.

        Returns:
            The executed notebook, and the resources as they were.

        Raises:
            CourseError: if the lesson is not built, no sandbox stands, or this machine failed.
        """
        names = resources["nbgrader"]
        coursedir = (
            self.parent.coursedir if hasattr(self.parent, "coursedir") else self.parent.parent.coursedir
        )
        key, files = key_and_files(
            Path(coursedir.format_path(coursedir.source_directory, ".", names["assignment"])),
            Path(coursedir.format_path(coursedir.release_directory, ".", names["assignment"])),
        )
        submission = Submission(names["student"], names["assignment"], notebook_text(nb).encode())
        limits = allowed(Limits(**self.limits))
        outcome = twice(Job(submission, key, files, limits, confinement(self.sandbox), checker_version()))
        if outcome.machine_fault:
            raise CourseError(
                f"{names['student']}, {names['assignment']}: {outcome.machine_fault}; nothing was recorded"
            )
        graft(nb, outcome)
        write_text(Path(resources["metadata"]["path"]) / RECEIPT, receipt(outcome))
        return nb, resources


def record(course: Course, store: Store, outcome: Outcome) -> None:
    """Write an outcome to the gradebook and place the graded notebook, by nbgrader's own autograder.

    nbgrader works in a folder of its own, on the very bytes that were executed; what it made is then put in its place in one
    move, the receipt with it. A run that is killed in between grades the submission again.

    Args:
        course: the checkout.
        store: its classroom.
        outcome: without a machine fault.

    Raises:
        CourseError: if nbgrader refuses.
        ValueError: for an outcome that is no score.
    """
    if outcome.machine_fault:
        raise ValueError(f"no score: {outcome.machine_fault}")
    submission = outcome.job.submission
    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        room = Path(folder, "submitted", submission.student, submission.lesson)
        write_text(room / f"{submission.lesson}.ipynb", submission.notebook.decode("utf-8"))
        if submission.received:
            write_text(room / "timestamp.txt", stamp_text(submission.received))
        config = grader_config(course)
        config.CourseDirectory.submitted_directory = str(Path(folder, "submitted"))
        config.CourseDirectory.autograded_directory = str(Path(folder, "autograded"))
        config.CourseDirectory.assignment_id = submission.lesson
        config.CourseDirectory.student_id = submission.student
        converter = Autograde(coursedir=CourseDirectory(config=config), config=config)
        converter.autograde_preprocessors = [_Graft(outcome), *converter.autograde_preprocessors[1:]]
        with readable(store.gradebook):
            run_quietly(converter, f"{submission.student}, {submission.lesson}")
        made = Path(folder, "autograded", submission.student, submission.lesson)
        _hold_against(outcome, made / f"{submission.lesson}.ipynb")
        write_text(made / RECEIPT, receipt(outcome))
        store.place(made, store.graded(submission.student, submission.lesson))


def _hold_against(outcome: Outcome, path: Path) -> None:
    """Make sure that what nbgrader graded is what was executed: a check without an error has passed.

    Raises:
        CourseError: if it is not.
    """
    for cell in nbformat.read(path, as_version=4).cells:
        if is_check(cell):
            verdict = outcome.verdicts.get(grade_id(cell))
            failed = any(output.output_type == "error" for output in cell.outputs)
            if failed == bool(verdict and verdict.passed):
                raise CourseError(
                    f"nbgrader graded {grade_id(cell)} by other outputs than those of its check"
                )


def register(course: Course, lesson: Lesson) -> None:
    """Record a lesson's graded cells, hidden tests included, in the gradebook.

    Raises:
        CourseError: if the lesson is not built, or its exercises changed under submissions that were graded already.
    """
    if not course.solution(lesson).is_file():
        raise CourseError(f"{course.solution(lesson)} does not exist: run `course build {lesson.name}` first")
    with tempfile.TemporaryDirectory(prefix="course-") as folder, readable(Store(course.classroom).gradebook):
        copy = Path(folder, "solutions", lesson.name, f"{lesson.name}.ipynb")
        copy.parent.mkdir(parents=True)
        shutil.copy(course.solution(lesson), copy)
        try:
            generate(course, lesson, Path(folder), database=True)
        except CourseError as error:
            if "would invalidate" in str(error) or "submissions" in str(error):
                raise CourseError(
                    f"{lesson.name} was changed after it had been graded: its graded cells are no longer those of the gradebook. "
                    f"Restore the lesson, or start another classroom (COURSE_CLASSROOM) and collect again. nbgrader says: "
                    f"{str(error).strip().splitlines()[-1]}"
                ) from error
            raise


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say in one sentence that a gradebook is damaged, whoever stumbles over it."""
    if path.is_file() and path.stat().st_size:
        try:
            with closing(sqlite3.connect(path)) as database:
                found = database.execute("PRAGMA quick_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            found = str(error)
        if found != "ok":
            raise _damaged(path, found)
    try:
        yield
    except DatabaseError as error:
        raise _damaged(path, str(error.orig or error)) from error


def _damaged(path: Path, why: str) -> CourseError:
    return CourseError(
        f"{path} cannot be used ({why.splitlines()[0]}): copy the newest of {path.parent / 'backups'} over it, or move it away; "
        "then `course grade` fills it from what was collected (marks given by hand are in the backup only)"
    )


@contextmanager
def opened(course: Course) -> Iterator[Gradebook]:
    """Open the gradebook; an empty one is made where there is none."""
    settings = grader_config(course).CourseDirectory
    with (
        readable(Store(course.classroom).gradebook),
        Gradebook(settings.db_url, settings.course_id) as gradebook,
    ):
        yield gradebook


def enter_names(course: Course, people: Sequence[Any], students: set[str]) -> None:
    """Give students the names of the roster, for the Formgrader's lists.

    Args:
        course: the checkout.
        people: with id, first_name, last_name and email.
        students: ids of those who handed in.
    """
    with opened(course) as gradebook:
        for person in people:
            if person.id in students:
                names = {field: getattr(person, field) for field in ("first_name", "last_name", "email")}
                gradebook.update_or_create_student(person.id, **names)


def recorded(course: Course) -> set[tuple[str, str]]:
    """Find the submissions that the gradebook holds whole.

    Returns:
        Pairs (student, lesson) all of whose automatic scores are there.
    """
    if not Store(course.classroom).gradebook.is_file():
        return set()
    with opened(course) as gradebook:
        found = {(s.student.id, s.assignment.name) for s in gradebook.db.query(SubmittedAssignment)}
        missing = {
            (g.notebook.student.id, g.notebook.assignment.assignment.name)
            for g in gradebook.db.query(Grade).filter(
                Grade.auto_score.is_(None), Grade.manual_score.is_(None)
            )
            if g.cell.cell_type == "code"
        }
        return found - missing


def scores(course: Course) -> list[Score]:
    """Read all grades from the gradebook.

    Args:
        course: the checkout.

    Returns:
        One row a submission; `waiting` where a person still has answers to read.
    """
    if not Store(course.classroom).gradebook.is_file():
        return []
    with opened(course) as gradebook:
        return [
            Score(
                submission.student.id,
                assignment.name,
                submission.score,
                submission.max_score,
                submission.needs_manual_grade,
            )
            for assignment in sorted(gradebook.assignments, key=lambda a: a.name)
            for submission in sorted(assignment.submissions, key=lambda s: s.student.id)
        ]
