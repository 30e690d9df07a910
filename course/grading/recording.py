"""What an outcome writes: into nbgrader's gradebook, by its own steps, and beside the graded notebook, the receipt."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.writers.files import FilesWriter
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry, SubmittedNotebook
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import CheckCellMetadata, NbGraderPreprocessor, saveautogrades
from traitlets import Dict, Unicode
from traitlets.utils.importstring import import_item

from course.config import grader_config, run_quietly
from course.grading.execute import is_check, twice
from course.grading.gradebook import (
    MADE_OF,
    TO_ANOTHER,
    MadeOf,
    answering,
    by_receipt,
    in_one,
    make_room,
    opened,
)
from course.grading.job import allowed, checker_version, key_and_files
from course.grading.outputs import error_output
from course.grading.sandboxes.choose import confinement
from course.grading.slice import grade_id, spared
from course.model import Course, CourseError, Job, Limits, Outcome, Submission, short_digest
from course.store import RECEIPT, Store, notebook_text, stamp_text, write_text


def receipt(outcome: Outcome, submitted: bytes | None = None) -> str:
    """The note beside a graded notebook: what it was graded with, and how it ran.

    Args:
        outcome: of the submission.
        submitted: the notebook as it was collected, where nbgrader changed it before it was executed.
    """
    changed = {"submission": short_digest(submitted)} if submitted is not None else {}
    return (
        json.dumps(
            {
                "digest": outcome.job.digest,
                "in_gradebook": True,  # what it was made of: receipts of old stand for it alone
                "parts": outcome.job.parts | changed,
                "sandbox": str(outcome.job.sandbox),
                "checker": outcome.job.checker,
                "verdicts": {name: asdict(verdict) for name, verdict in outcome.verdicts.items()},
                "left_out": {str(at): why for at, why in outcome.left_out.items()},
                "spared": outcome.spared,
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
    executed = nbformat.from_dict(json.loads(outcome.notebook))
    for cell, done in zip(notebook.cells, executed.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = done.get("outputs", []), done.get("execution_count")
        if is_check(cell) and grade_id(cell) not in outcome.verdicts:
            cell.outputs = [error_output("NotChecked", "This check did not run.")]


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
        outcome = twice(
            Job(
                submission,
                key,
                files,
                limits,
                confinement(self.sandbox),
                checker_version(),
                spared(key, submission.notebook),
            )
        )
        if outcome.machine_fault:
            raise CourseError(
                f"{names['student']}, {names['assignment']}: {outcome.machine_fault}; nothing was recorded"
            )
        graft(nb, outcome)
        collected = Path(
            coursedir.format_path(coursedir.submitted_directory, names["student"], names["assignment"]),
            f"{names['notebook']}.ipynb",
        )
        submitted = collected.read_bytes() if collected.is_file() else None
        write_text(Path(resources["metadata"]["path"]) / RECEIPT, receipt(outcome, submitted))
        resources["executed"] = outcome.job, submitted
        return nb, resources


class SaveGradesAndSource(saveautogrades.SaveAutoGrades):
    """nbgrader's step that saves grades; behind it, for who is stopped in between, what `TrustedExecute` made them of."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Save the grades; what a person gave waits for a person again only if it was given to another file."""
        executed = resources.pop("executed", None)
        if not executed:
            nb, resources = super().preprocess(nb, resources)
            return nb, resources
        job, submitted = executed
        submission = job.parts["submission"] if submitted is None else short_digest(submitted)
        url = resources["nbgrader"]["db_url"]
        with Gradebook(url) as gradebook:
            make_room(gradebook)
            given = _given(gradebook, job, submission, {})
        nb, resources = super().preprocess(nb, resources)
        with Gradebook(url) as gradebook:
            _give_again(_note(gradebook, job, submission), given)
            gradebook.db.commit()
        return nb, resources


class _Recorder(Autograde):
    """nbgrader's autograder on outcomes: its own steps in their order, on one notebook that stays in memory between them."""

    def __init__(self, course: Course, folder: Path, lesson: str):
        config = grader_config(course)
        config.CourseDirectory.submitted_directory = str(folder / "submitted")
        config.CourseDirectory.autograded_directory = str(folder / "autograded")
        config.CourseDirectory.assignment_id = lesson
        super().__init__(coursedir=CourseDirectory(config=config), config=config)
        self.writer = FilesWriter(parent=self, config=self.config)
        self.exporter = self.exporter_class(parent=self, config=self.config)
        named = [*self.sanitize_preprocessors, self._graft, *config.Autograde.autograde_preprocessors[1:]]
        steps = [import_item(step) if isinstance(step, str) else step for step in named]
        self.exporter._preprocessors = []
        for at, step in enumerate(steps):
            if step not in steps[at + 1 :]:  # the metadata of cells are looked at once, in the end
                self.exporter.register_preprocessor(step)
        self._outcome: Outcome
        self._looked_at: set[str] = set()  # metadata of cells, as JSON

    def take(self, outcome: Outcome) -> None:
        """Grade the notebook of an outcome."""
        self._outcome = outcome
        self.coursedir.student_id = outcome.job.submission.student
        run_quietly(self, f"{outcome.job.submission.student}, {outcome.job.submission.lesson}")

    def start(self) -> None:
        """Go through what nbgrader goes through; writer and exporter are there already."""
        self.init_notebooks()
        with contextlib.chdir(self.coursedir.root):
            self.convert_notebooks()

    def convert_single_notebook(self, notebook_filename: str) -> None:
        """Take the steps that nbgrader takes in two conversions, with copies and validations in between; one is at the end."""
        resources = self.init_single_notebook_resources(notebook_filename)
        resources |= {"metadata": {"path": str(Path(notebook_filename).parent)}, "output_extension": ".ipynb"}
        notebook = nbformat.read(notebook_filename, as_version=4)
        for step in self.exporter._preprocessors:
            if isinstance(
                step, CheckCellMetadata
            ):  # a schema is slow; released cells are alike in all submissions
                found = {json.dumps(cell.metadata): cell for cell in notebook.cells}
                step(NotebookNode(cells=[found[x] for x in found.keys() - self._looked_at]), resources)
                self._looked_at |= found.keys()
            else:
                notebook, resources = step(notebook, resources)
        text = nbformat.writes(notebook, version=nbformat.current_nbformat)
        self.write_single_notebook(text if text.endswith("\n") else text + "\n", resources)

    def _graft(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        """The step that would execute: here the outcome is there already."""
        graft(nb, self._outcome)
        return nb, resources


class Recorder:
    """Writes outcomes to the gradebook, and places the graded notebooks, by nbgrader's own autograder.

    nbgrader works in a folder of its own, on the very bytes that were executed; what it made is then put in its place in one
    move, the receipt with it. One gradebook stays open for all, one converter a lesson; each outcome is one transaction. A run
    that is killed in between grades the submission again.

    Args:
        course: the checkout.
        store: its classroom.
    """

    def __init__(self, course: Course, store: Store):
        self._course, self._store = course, store
        self._open = contextlib.ExitStack()
        self._converters: dict[str, _Recorder] = {}

    def __enter__(self) -> Recorder:
        with contextlib.ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="course-")))
            self._gradebook = stack.enter_context(opened(self._course))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def record(self, outcome: Outcome) -> None:
        """Write one outcome.

        Args:
            outcome: without a machine fault.

        Raises:
            CourseError: if nbgrader refuses.
            ValueError: for an outcome that is no score.
        """
        if outcome.machine_fault:
            raise ValueError(f"no score: {outcome.machine_fault}")
        submission = outcome.job.submission
        room, made = (
            self._folder / step / submission.student / submission.lesson
            for step in ("submitted", "autograded")
        )
        try:
            write_text(room / f"{submission.lesson}.ipynb", submission.notebook.decode("utf-8"))
            if submission.received:
                write_text(room / "timestamp.txt", stamp_text(submission.received))
            # No reader marks in between: the gradebook would be of this notebook, and the answer on the page of the one before.
            with self._store.marking():
                with answering(self._course), in_one(self._gradebook):
                    page = self._store.receipt(submission.student, submission.lesson)
                    of = outcome.job.parts["submission"]
                    given = _given(self._gradebook, outcome.job, of, page)
                    self._converter(submission.lesson).take(outcome)
                    _give_again(_note(self._gradebook, outcome.job, of), given)
                    _hold_against(outcome, made / f"{submission.lesson}.ipynb")
                write_text(made / RECEIPT, receipt(outcome))
                self._store.place(made, self._store.graded(submission.student, submission.lesson))
        finally:
            for folder in (room.parent, made.parent):
                shutil.rmtree(folder, ignore_errors=True)

    def _converter(self, lesson: str) -> _Recorder:
        if lesson not in self._converters:
            self._converters[lesson] = _Recorder(self._course, self._folder, lesson)
        return self._converters[lesson]


def _note(gradebook: Gradebook, job: Job, submission: str) -> SubmittedNotebook:
    """Write what a grade is made of into the gradebook, in the transaction that is open.

    Args:
        gradebook: which holds the submission.
        job: that it was graded with.
        submission: short digest of the notebook as it was collected; nbgrader may have changed it before it was executed.

    Returns:
        The gradebook's row of the notebook.
    """
    lesson = job.submission.lesson
    notebook = gradebook.find_submission_notebook(lesson, lesson, job.submission.student)
    gradebook.db.execute(MADE_OF.delete().where(MADE_OF.c.notebook_id == notebook.id))
    gradebook.db.execute(
        MADE_OF.insert().values(notebook_id=notebook.id, digest=job.digest, submission=submission)
    )
    return notebook


@dataclass(frozen=True)
class _Given:
    """What persons have given: id of a grade -> whether it waits for a person again; and whether all of it was given to another file."""

    waits: Mapping[str, bool]
    to_another: bool


def _given(gradebook: Gradebook, job: Job, submission: str, page: Mapping[str, Any]) -> _Given:
    """Find what persons have given, to this submission or to another one.

    What was given to this very submission does not wait again, whatever it is graded with; what was given to another one does, or to
    the page of another one that was still there, of a run that was killed. nbgrader lets all marks wait, and no extra points.

    Args:
        gradebook: before the grades are saved.
        job: that is graded.
        submission: short digest of the notebook as it was collected.
        page: the receipt of the page that readers saw until now.
    """
    lesson = job.submission.lesson
    try:
        notebook = gradebook.find_submission_notebook(lesson, lesson, job.submission.student)
    except MissingEntry:
        return _Given({}, False)
    row = gradebook.db.execute(MADE_OF.select().where(MADE_OF.c.notebook_id == notebook.id)).first()
    known = MadeOf(row.digest, row.submission) if row else by_receipt(page)
    other = {known.submission, page.get("parts", {}).get("submission", submission)} != {submission}
    given = [g for g in notebook.grades if g.manual_score is not None or g.extra_credit]
    return _Given({g.id: bool(other or g.needs_manual_grade) for g in given}, other)


def _give_again(notebook: SubmittedNotebook, given: _Given) -> None:
    """Behind the grades that nbgrader saved: what waits, waits, and a comment says that it was given to another file."""
    for grade in notebook.grades:
        grade.needs_manual_grade = given.waits.get(grade.id, grade.needs_manual_grade)
    for comment in notebook.comments if given.to_another else ():
        if comment.manual_comment:
            comment.manual_comment = TO_ANOTHER + comment.manual_comment.removeprefix(TO_ANOTHER)


def _hold_against(outcome: Outcome, path: Path) -> None:
    """Make sure that what nbgrader graded is what was executed: a check without an error has passed.

    Raises:
        CourseError: if it is not.
    """
    for cell in nbformat.from_dict(json.loads(path.read_text(encoding="utf-8"))).cells:
        if is_check(cell):
            verdict = outcome.verdicts.get(grade_id(cell))
            failed = any(output.output_type == "error" for output in cell.outputs)
            if failed == bool(verdict and verdict.passed):
                raise CourseError(
                    f"nbgrader graded {grade_id(cell)} by other outputs than those of its check"
                )
