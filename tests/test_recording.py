"""What the gradebook holds is what nbgrader's own autograder writes there; cells that were not run say so; all else stays equal."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import filelock
import nbformat
import pytest
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory

from course.config import grader_config, load_course
from course.grading import gradebook, recording
from course.grading.job import jobs
from course.intake import collect
from course.model import Outcome, Verdict
from course.reports.feedback import feedback
from course.store import RECEIPT, Store, notebook_text, stamp_text, write_text
from tests.toy_course import hand_in, toy_course

GREET = "def greet(name):\n    return f'Hello, {name}'"
EXTRA = "x = 1\nx"


@pytest.fixture
def course(tmp_path):
    """The toy course with four submissions collected: all right, one answer, blank, and late."""
    made = toy_course(tmp_path)
    hand_in(made, tmp_path / "handed", {"ada": None, "bo": {"greet": GREET}, "cy": {}, "di": None})
    collect([tmp_path / "handed"], made.root / "notebooks", made.classroom)
    return made


def outcomes(course):
    """Outcomes as an execution would give them, without one: every other check passes, the last one with a number of its own."""
    (lesson,) = course.lessons
    for number, job in enumerate(jobs(course, lesson, Store(course.classroom).submissions(lesson))):
        submission = replace(job.submission, received=datetime(2026, 1, 1 + number, 12, tzinfo=UTC))
        notebook = nbformat.reads(submission.notebook.decode(), as_version=4)
        verdicts = {}
        for at, cell in enumerate(c for c in notebook.cells if c.cell_type == "code"):
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="shown\n" * 1500)]
            if recording.is_check(cell):
                passed = (at + number) % 3 > 0
                verdicts[cell.metadata.nbgrader.grade_id] = Verdict(passed, hint="no")
                cell.outputs = [] if passed else [nbformat.v4.new_output("error", ename="E", evalue="no")]
        job = replace(job, submission=submission)
        yield Outcome(job, notebook_text(notebook).encode(), verdicts)


def by_nbgrader(course, outcome, folder):
    """Let nbgrader's converter do it all, but for the execution."""
    submission = outcome.job.submission
    room = folder / "submitted" / submission.student / submission.lesson
    write_text(room / f"{submission.lesson}.ipynb", submission.notebook.decode())
    write_text(room / "timestamp.txt", stamp_text(submission.received))
    config = grader_config(course)
    config.CourseDirectory.submitted_directory = str(folder / "submitted")
    config.CourseDirectory.assignment_id, config.CourseDirectory.student_id = (
        submission.lesson,
        submission.student,
    )
    converter = Autograde(coursedir=CourseDirectory(config=config), config=config)

    def graft(nb, resources):
        recording.graft(nb, outcome)
        return nb, resources

    converter.autograde_preprocessors = [graft, *converter.autograde_preprocessors[1:]]
    converter.start()


def placed(course) -> dict[str, str]:
    """Names and contents of what was graded, the receipts apart."""
    files = (p for p in sorted(course.classroom.glob("autograded/*/*/*")) if p.name != RECEIPT)
    return {str(p.relative_to(course.classroom)): p.read_text(encoding="utf-8") for p in files}


def rows(course) -> dict[str, list[tuple]]:
    """All that is nbgrader's of the gradebook; random ids are replaced by the number of their first appearance."""
    seen: dict[str, str] = {}

    def named(value):
        is_id = isinstance(value, str) and len(value) == 32 and set(value) <= set("0123456789abcdef")
        return seen.setdefault(value, f"id {len(seen)}") if is_id else value

    with closing(sqlite3.connect(course.classroom / "gradebook.db")) as database:
        tables = [
            t for (t,) in database.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")
        ]
        return {
            table: [
                tuple(map(named, row)) for row in database.execute(f"SELECT * FROM {table} ORDER BY rowid")
            ]
            for table in tables
            if table != gradebook.MADE_OF.name
        }


@pytest.mark.slow
def test_the_gradebook_and_the_notebooks_are_those_of_nbgraders_own_autograder(course, tmp_path):
    theirs = load_course(course.root, tmp_path / "theirs")
    (lesson,) = course.lessons
    gradebook.register(theirs, lesson)
    found = list(outcomes(course))
    assert len(found) == 4 and {v.passed for o in found for v in o.verdicts.values()} == {True, False}
    with recording.Recorder(course, Store(course.classroom)) as recorder:
        for outcome in [*found, found[1]]:  # once more: an update
            recorder.record(outcome)
    for outcome in found:
        by_nbgrader(theirs, outcome, theirs.classroom)
    assert placed(course) == placed(theirs)
    assert rows(course) == rows(theirs)
    assert len(gradebook.scores(course)) == len(found)


@pytest.mark.slow
def test_no_reader_marks_between_the_gradebook_and_the_page_that_readers_see(course, monkeypatch):
    """A mark in between would be of the old answer, and count for the new one."""
    tried, place = [], Store.place

    def placing(store, made, target):
        tried.append(gradebook.made_of(course).keys() == {("ada", "01_toy")})  # written already
        with pytest.raises(filelock.Timeout), filelock.FileLock(store.root / ".marks.lock", timeout=0):
            pass
        place(store, made, target)

    monkeypatch.setattr(Store, "place", placing)
    with recording.Recorder(course, Store(course.classroom)) as recorder:
        recorder.record(next(outcomes(course)))
    assert tried == [True]
    with filelock.FileLock(course.classroom / ".marks.lock", timeout=0):
        pass


@pytest.mark.slow
def test_an_outcome_that_nbgrader_refuses_leaves_nothing_of_it(course):
    first, second, *_ = outcomes(course)
    strange = nbformat.reads(second.job.submission.notebook.decode(), as_version=4)
    strange.cells[-1].metadata.nbgrader.points = "many"
    job = replace(
        second.job, submission=replace(second.job.submission, notebook=notebook_text(strange).encode())
    )
    with recording.Recorder(course, Store(course.classroom)) as recorder:
        recorder.record(first)
        before = rows(course)
        with pytest.raises(gradebook.CourseError):
            recorder.record(replace(second, job=job))
        assert rows(course) == before
        assert not Store(course.classroom).graded("bo", "01_toy").exists()
        recorder.record(second)
    assert gradebook.made_of(course).keys() == {("ada", "01_toy"), ("bo", "01_toy")}


def test_a_lesson_is_registered_again_only_where_it_is_another(course, monkeypatch):
    (lesson,) = course.lessons
    made = []
    monkeypatch.setattr(gradebook, "generate", lambda *words, **more: made.append(words))
    gradebook.register(course, lesson)
    assert made == []
    key = nbformat.read(course.solution(lesson), as_version=4)
    key.cells[-1].source += "\n# another"
    course.solution(lesson).write_text(nbformat.writes(key))
    gradebook.register(course, lesson)
    assert len(made) == 1
    Path(course.classroom / "gradebook.db").unlink()
    gradebook.register(course, lesson)
    assert len(made) == 2


def test_what_was_not_run_says_so_wherever_it_is_shown(course):
    """A receipt, the graded notebook; the page shows the student's cells, all of which ran."""
    first, *_ = outcomes(course)
    with recording.Recorder(course, Store(course.classroom)) as recorder:
        recorder.record(replace(first, spared=(2,)))
    path = Store(course.classroom).graded("ada", "01_toy") / RECEIPT
    assert json.loads(path.read_text())["spared"] == [2]
    (page,) = feedback(course, list(course.lessons))
    assert "not run" not in page.read_text(encoding="utf-8")
