"""The classroom on disk: one pen, whole files, and a sentence for whatever a machine refuses."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import nbformat
import pytest
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import SaveAutoGrades
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from course import cli, store
from course.config import grader_config
from course.csvfile import read_csv, write_csv
from course.desk.lost import lost
from course.desk.marks import Entry, note, now
from course.desk.marks import Mark as Given
from course.editions.build import release
from course.grading.backends.local import Local
from course.grading.changes import note_faults, read_changes, read_faults
from course.grading.execute import is_check
from course.grading.grade import Graded, grade
from course.grading.gradebook import (
    MADE_OF,
    TO_ANOTHER,
    amend,
    back_up,
    full_marks,
    made_of,
    marks,
    opened,
    outgrown,
    scores,
    withdraw,
)
from course.grading.outputs import error_output
from course.intake import collect
from course.model import Course, CourseError, Job, LatePolicy, Lesson, Outcome, Verdict
from course.reports.feedback import feedback
from course.reports.ledger import Status, read_ledger, read_sources
from course.store import ASIDE, RECEIPT, Store, notebook_text, stamp_text, write_text
from course.way import way
from tests.desk_class import LESSON, QUESTION, reading_class
from tests.kills import kills
from tests.toy_course import FULL, hand_in, toy_course


class Canned:
    """A backend that executes nothing: everything passes, but for those whose machine fails."""

    def __init__(self, faults: Iterable[str] = (), fails: Iterable[str] = ()):
        self.faults, self.fails, self.jobs = set(faults), set(fails), []

    def run(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        for job in jobs:
            self.jobs.append(job)
            notebook = nbformat.reads(job.submission.notebook.decode(), as_version=4)
            passed = job.submission.student not in self.fails
            verdicts = {}
            for cell in notebook.cells:
                if is_check(cell):
                    verdicts[cell.metadata.nbgrader.grade_id] = Verdict(
                        passed, name="" if passed else "X", hint="no"
                    )
                    cell.outputs = [] if passed else [error_output("X", "no")]
            fault = "no memory" if job.submission.student in self.faults else ""
            yield Outcome(job, notebook_text(notebook).encode(), verdicts, machine_fault=fault)


@pytest.fixture
def course(tmp_path) -> Course:
    """A toy course with three submissions."""
    made = toy_course(tmp_path, registered=False)
    hand_in(made, tmp_path / "handed", {"ada": None, "bo": None, "cy": None})
    collect([tmp_path / "handed"], made.root / "notebooks", made.classroom)
    return made


def graded(course: Course, **words) -> dict[str, str]:
    """State by student."""
    return {r.student: r.state for r in grade(course, list(course.lessons), backend=Canned(**words))}


def points(course: Course) -> dict[str, float]:
    """Score by student."""
    return {s.student: s.score for s in scores(course)}


def command(course: Course, monkeypatch, capsys, *words: str) -> tuple[int, str]:
    """Run the `course` command on the toy; give its exit code and what it said on stderr."""
    monkeypatch.setattr(cli, "load_course", lambda **more: replace(course, **more))
    monkeypatch.setattr(sys, "argv", ["course", *words])
    code = 0
    try:
        cli.main()
    except SystemExit as end:
        code = int(end.code or 0)
    return code, capsys.readouterr().err


def test_one_pen_a_classroom(tmp_path):
    with (
        Store(tmp_path).writing(),
        pytest.raises(CourseError, match="another `course` command is at work"),
        Store(tmp_path).writing(),
    ):
        pass
    with Store(tmp_path).writing():
        pass


def test_a_file_is_whole_or_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a" / "file.txt"
    assert write_text(path, "one\r\n") and path.read_bytes() == b"one\r\n"
    assert not write_text(path, "one\r\n")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(path, "two")
    assert path.read_bytes() == b"one\r\n" and [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_what_a_killed_run_left_is_swept_and_what_it_had_moved_aside_comes_back(tmp_path):
    folder = tmp_path / "autograded" / "ada"
    for name in (".01_toy.old", ".01_toy.fresh"):
        (folder / name).mkdir(parents=True)
        (folder / name / "x").write_text(name)
    (tmp_path / "submitted" / "ada" / "01_toy").mkdir(parents=True)
    (tmp_path / "submitted" / "ada" / "01_toy" / ".01_toy.ipynb-1.tmp").touch()
    with Store(tmp_path).writing():
        pass
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} == {
        ".lock",
        "autograded/ada/01_toy/x",
    }
    assert (folder / "01_toy" / "x").read_text() == ".01_toy.old"


def test_of_students_who_are_named_what_they_handed_in_is_read(tmp_path):
    for student, lesson in (("ada", "01_a"), ("ada", "02_b"), ("bo", "02_b")):
        write_text(tmp_path / "submitted" / student / lesson / f"{lesson}.ipynb", "{}")

    def found(lesson, students):
        return [s.student for s in Store(tmp_path).submissions(Lesson(lesson, "", 0), students)]

    assert found("01_a", ["ada", "bo"]) == ["ada"]
    assert found("02_b", ["bo", "ada"]) == found("02_b", None) == ["ada", "bo"]
    (tmp_path / "submitted" / "cy" / "02_b").mkdir(parents=True)
    with pytest.raises(CourseError, match=r"02_b\.ipynb does not exist, and there is a folder for it"):
        found("02_b", None)


def test_a_machine_fault_is_no_score_and_is_graded_the_next_time(course):
    assert graded(course, faults=["bo"]) == {"ada": "graded", "bo": "failed", "cy": "graded"}
    assert points(course) == {"ada": FULL, "cy": FULL}
    told = {e.student: e.status for e in read_ledger(course).entries}
    assert told == {"ada": Status.GRADED, "bo": Status.FAULT, "cy": Status.GRADED}
    assert graded(course) == {"ada": "unchanged", "bo": "graded", "cy": "unchanged"}
    assert points(course) == {"ada": FULL, "bo": FULL, "cy": FULL}
    assert {e.status for e in read_ledger(course).entries} == {Status.GRADED}


def test_who_was_changed_by_grading_again_is_noted_with_the_reason(course):
    graded(course)
    assert read_changes(Store(course.classroom)) == []
    with course.solution(course.lessons[0]).open("a") as file:
        file.write("\n")  # another key, byte for byte
    graded(course, fails=["bo"])
    found = read_changes(Store(course.classroom))
    assert {(c.student, c.why) for c in found} == {("bo", "another lesson")}
    assert sum(c.before - c.after for c in found) == FULL


def test_a_list_of_changes_that_a_spreadsheet_saved_is_read_or_refused_before_anything_is_recorded(course):
    path = course.classroom / "changes.csv"
    path.write_text("when;student;lesson;cell;before;after;why\n2026-11-01 10:00 UTC;di;01_toy;x;1,5;2;y\n")
    graded(course)
    (change,) = read_changes(Store(course.classroom))
    assert (change.before, change.after) == (1.5, 2.0)
    for strange in ("two", ""):
        path.write_text(f"when,student,lesson,cell,before,after\n,di,01_toy,x,1.5,{strange}\n")
        with pytest.raises(CourseError, match=rf"changes.csv, line 2: '{strange}' is no number of points"):
            grade(course, list(course.lessons), force=True, backend=(canned := Canned()))
        assert not canned.jobs


def test_a_late_submission_is_recorded_with_its_penalty(course):
    lesson, due = course.lessons[0], datetime(2026, 11, 20, 12, tzinfo=UTC)
    late = replace(course, lessons=(replace(lesson, deadline=due),), late=LatePolicy(per_day=10))
    for student, days in (("ada", 1.5), ("bo", -1)):
        stamp = stamp_text(due + timedelta(days=days))
        write_text(late.classroom / "submitted" / student / lesson.name / "timestamp.txt", stamp)
    (late.classroom / "submitted" / "cy" / lesson.name / "timestamp.txt").unlink()
    assert graded(late) == {"ada": "graded", "bo": "graded", "cy": "graded"}
    found = {s.student: s for s in scores(late)}
    assert found["ada"].penalty == pytest.approx(0.2 * FULL) and found["ada"].score == FULL
    assert found["bo"].penalty == found["cy"].penalty == 0  # in time; and nothing says when


@pytest.mark.parametrize("hours", [5, None])
def test_a_time_that_was_wrong_is_put_right_without_grading_again(course, hours):
    (lesson,) = course.lessons
    due = datetime(2026, 12, 1, tzinfo=UTC)
    course = replace(course, lessons=(replace(lesson, deadline=due),), late=LatePolicy(0, 10, 50))
    stamp = Store(course.classroom).placed("ada", lesson.name) / "timestamp.txt"
    write_text(stamp, stamp_text(due + timedelta(days=3, hours=1)))
    assert graded(course)["ada"] == "graded"
    late = next(score for score in scores(course) if score.student == "ada")
    assert late.penalty == pytest.approx(0.4 * FULL)
    if hours is None:
        stamp.unlink()
    else:
        write_text(stamp, stamp_text(due + timedelta(hours=hours)))
    assert graded(course)["ada"] == "unchanged"
    score = next(score for score in scores(course) if score.student == "ada")
    assert score.penalty == pytest.approx(0.1 * FULL if hours else 0.0)
    with opened(course) as gradebook:
        kept = gradebook.find_submission_notebook(lesson.name, lesson.name, "ada").late_submission_penalty
    assert (kept or 0.0) == pytest.approx(score.penalty)


def test_a_failed_verdict_is_zero_also_where_nbgrader_sees_the_outputs_only(course):
    graded(course, fails=["bo"])
    assert points(course) == {"ada": FULL, "bo": 0.0, "cy": FULL}


def test_class_05_unchanged_means_the_same_job(course):
    graded(course)
    assert set(graded(course).values()) == {"unchanged"}
    lesson = course.lessons[0]
    assert set(graded(replace(course, limits=replace(course.limits, cell_cpu=31))).values()) == {"graded"}
    (course.release(lesson).parent / "data.csv").write_text("1")
    assert set(graded(course).values()) == {"graded"}
    key = nbformat.read(course.solution(lesson), as_version=4)
    key.cells[0].source += " "
    course.solution(lesson).write_text(nbformat.writes(key))
    assert set(graded(course).values()) == {"graded"}


def test_class_05_a_file_that_is_collected_while_grading_runs_is_graded_afterwards(course):
    class Meanwhile(Canned):
        def run(self, jobs):
            hand_in(course, course.root / "later", {"ada": {}})
            path = Store(course.classroom).placed("ada", "01_toy") / "01_toy.ipynb"
            path.write_bytes((course.root / "later/ada/01_toy.ipynb").read_bytes())
            yield from super().run(jobs)

    grade(course, list(course.lessons), backend=Meanwhile())
    assert graded(course) == {"ada": "graded", "bo": "unchanged", "cy": "unchanged"}


def test_class_23_a_gradebook_that_is_gone_or_empty_is_filled_again(course):
    graded(course)
    gradebook = Store(course.classroom).gradebook
    gradebook.unlink()
    assert scores(course) == [] and made_of(course) == {}
    assert set(graded(course).values()) == {"graded"}
    gradebook.write_bytes(b"")
    assert set(graded(course).values()) == {"graded"} and set(points(course).values()) == {FULL}


def test_class_23_a_damaged_gradebook_is_one_sentence_and_the_backup_helps(course, monkeypatch, capsys):
    graded(course)
    graded(course)
    gradebook = Store(course.classroom).gradebook
    (backup,) = (course.classroom / "backups").iterdir()
    gradebook.write_bytes(b"SQLite format 3\0" + b"nonsense" * 500)
    for words in (["report"], ["grade"]):
        code, said = command(course, monkeypatch, capsys, *words)
        assert code == 1 and "cannot be used" in said and "backups" in said and "Traceback" not in said
    gradebook.write_bytes(backup.read_bytes())
    assert set(graded(course).values()) == {"unchanged"}


def test_class_23_a_backup_from_before_another_file_was_graded_is_not_believed_of_that_file(course):
    """The receipts are newer than such a backup; marks given by hand were given to the file before."""
    graded(course)
    with opened(course) as gradebook:
        for cell in gradebook.find_submission_notebook("01_toy", "01_toy", "ada").grades:
            cell.manual_score, cell.needs_manual_grade = 1.0, False
        gradebook.db.commit()
    by_hand = Store(course.classroom).gradebook.read_bytes()
    hand_in(course, course.root / "later", {"ada": {"greet": "def greet(name):\n    return name"}})
    later = course.root / "later/ada/01_toy.ipynb"
    os.utime(later, (2e9, 2e9))
    collect([course.root / "later"], course.root / "notebooks", course.classroom)
    assert graded(course, fails=["ada"])["ada"] == "graded"
    for force in (False, True):
        Store(course.classroom).gradebook.write_bytes(by_hand)
        assert not read_sources(course).placed["ada", "01_toy"]  # what lies ready is not what was graded
        results = grade(course, list(course.lessons), force=force, backend=Canned(fails=["ada"]))
        states = {r.student: r.state for r in results}
        assert states == {
            "ada": "graded",
            "bo": "graded" if force else "unchanged",
            "cy": "graded" if force else "unchanged",
        }
        assert [(mark.score, mark.waiting) for mark in marks(course) if mark.student == "ada"] == [
            (0.0, True)
        ] * 3


def give(course: Course, student: str, **what: object) -> None:
    """Do what a person does in the Formgrader to a student's first graded cell."""
    with opened(course) as gradebook:
        cell = gradebook.find_submission_notebook("01_toy", "01_toy", student).grades[0]
        for name, value in {**what, "needs_manual_grade": False}.items():
            setattr(cell, name, value)
        gradebook.db.commit()


def later(course: Course, student: str) -> None:
    """Collect a blank file of a student's that counts from now on."""
    hand_in(course, course.root / "later", {student: {}})
    os.utime(course.root / "later" / student / "01_toy.ipynb", (2e9, 2e9))
    collect([course.root / "later"], course.root / "notebooks", course.classroom)


def test_extra_points_that_were_given_to_one_file_wait_where_another_counts(course):
    graded(course)
    give(course, "ada", extra_credit=2.0)
    assert points(course)["ada"] == FULL + 2
    grade(course, list(course.lessons), force=True, backend=Canned())
    assert points(course)["ada"] == FULL + 2 and not scores(course)[0].waiting  # the same file
    later(course, "ada")
    for force in (False, True):
        grade(course, list(course.lessons), force=force, backend=Canned(fails=["ada"]))
        assert points(course)["ada"] == 0 and scores(course)[0].waiting
    give(course, "ada")
    assert points(course)["ada"] == 2 and not scores(course)[0].waiting


def test_a_mark_for_the_page_that_was_there_while_the_new_one_had_no_room_waits(course, monkeypatch):
    graded(course)
    later(course, "ada")
    with monkeypatch.context() as full:
        full.setattr(Store, "place", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "no room")))
        assert graded(course, fails=["ada"])["ada"] == "failed"
    give(course, "ada", manual_score=3.0)  # to the page of the file before
    assert graded(course, fails=["ada"])["ada"] == "graded"
    assert points(course)["ada"] == 0 and scores(course)[0].waiting


@pytest.mark.kernel
def test_nbgraders_autograde_that_is_stopped_before_it_saves_grades_says_nothing_of_their_source(
    course, monkeypatch
):
    graded(course)
    give(course, "ada", manual_score=3.0)
    before = made_of(course)
    later(course, "ada")
    config = grader_config(course)
    config.CourseDirectory.assignment_id, config.CourseDirectory.student_id = "01_toy", "ada"
    config.Autograde.force = True

    def autograde() -> None:
        Autograde(coursedir=CourseDirectory(config=config), config=config).start()

    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr(SaveAutoGrades, "preprocess", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        autograde()
    assert made_of(course) == before
    give(course, "bo", manual_score=1.0, extra_credit=1.0)
    config.CourseDirectory.student_id = "bo"  # the same file
    autograde()
    assert points(course)["bo"] == FULL - 4 + 2 and not scores(course)[1].waiting
    give(course, "ada", extra_credit=1.0)
    config.CourseDirectory.student_id = "ada"
    autograde()
    assert made_of(course)["ada", "01_toy"].submission != before["ada", "01_toy"].submission
    assert [mark.waiting for mark in marks(course) if mark.student == "ada"].count(True) == 1
    assert graded(course, fails=["ada"])["ada"] in ("graded", "unchanged")
    assert points(course)["ada"] == 0 and scores(course)[0].waiting


def test_a_grade_of_a_forgotten_file_that_a_backup_brings_back_is_taken_back_again(
    course, tmp_path, monkeypatch, capsys
):
    work = next((tmp_path / "handed").glob("bo/*.ipynb"))
    collect([work], course.root / "notebooks", course.classroom, student="dora")
    graded(course)
    give(course, "dora", manual_score=1.0)
    store = Store(course.classroom)
    backup = store.gradebook.read_bytes()
    assert command(course, monkeypatch, capsys, "collect", "--forget", work.name) == (0, "")
    store.gradebook.write_bytes(backup)
    assert "dora" in points(course) and "dora" not in read_ledger(course).rows()
    monkeypatch.setattr("course.commands.classes.chosen_backend", lambda *_: Canned())
    assert command(course, monkeypatch, capsys, "grade") == (0, "")
    assert points(course).keys() == {"ada", "bo", "cy"}
    tables = sorted(course.classroom.glob("forgotten/*/marks*/dora/01_toy.csv"))
    assert len(tables) == 2 and all("1.0" in {row["by_hand"] for row in read_csv(path)} for path in tables)
    store.gradebook.write_bytes(backup)
    collect([work], course.root / "notebooks", course.classroom, student="dora")  # it counts again
    assert withdraw(course) == {} and "dora" in points(course)


def test_a_comment_on_an_earlier_file_says_so(course):
    def comments() -> list[str | None]:
        with opened(course) as gradebook:
            found = gradebook.find_submission_notebook("01_toy", "01_toy", "ada").comments
            return sorted(comment.manual_comment or "" for comment in found)

    graded(course)
    with opened(course) as gradebook:
        gradebook.find_submission_notebook("01_toy", "01_toy", "ada").comments[0].manual_comment = "Well done"
        gradebook.db.commit()
    before = comments()
    grade(course, list(course.lessons), force=True, backend=Canned())
    assert comments() == before and before[-1] == "Well done"
    for number in (1, 2):
        hand_in(course, course.root / "later", {"ada": {"greet": f"def greet(name):\n    return {number}"}})
        os.utime(course.root / "later/ada/01_toy.ipynb", (2e9 + number,) * 2)
        collect([course.root / "later"], course.root / "notebooks", course.classroom)
        assert graded(course)["ada"] == "graded"
        assert comments() == [*before[:-1], f"{TO_ANOTHER}Well done"]


def test_receipts_of_a_version_that_wrote_nothing_into_the_gradebook_are_believed(course):
    graded(course)
    with opened(course) as gradebook:
        gradebook.db.execute(MADE_OF.delete())
        gradebook.db.commit()
    receipt = Store(course.classroom).graded("ada", "01_toy") / RECEIPT
    receipt.write_text(
        json.dumps({k: v for k, v in json.loads(receipt.read_text()).items() if k != "in_gradebook"})
    )
    assert read_sources(course).placed == {("ada", "01_toy"): True, ("bo", "01_toy"): False, ("cy", "01_toy"): False}  # fmt: skip
    assert graded(course) == {"ada": "unchanged", "bo": "graded", "cy": "graded"}


def test_two_commands_that_open_a_gradebook_of_the_version_before_at_once_are_no_damage(course, monkeypatch):
    graded(course)
    database = Store(course.classroom).gradebook
    with sqlite3.connect(database) as connection:
        connection.execute("drop table made_of")
    connection.close()

    class Unaware:
        """It looked before the other one had made the table."""

        def has_table(self, _: str) -> bool:
            with sqlite3.connect(database) as other:
                other.execute("create table if not exists made_of (notebook_id, digest, submission)")
            other.close()
            return False

    monkeypatch.setattr("course.grading.gradebook.inspect", lambda _: Unaware())
    assert made_of(course).keys() == {(student, "01_toy") for student in ("ada", "bo", "cy")}


def test_a_gradebook_of_an_older_nbgrader_is_not_called_damaged(course):
    graded(course)
    with sqlite3.connect(Store(course.classroom).gradebook) as database:
        database.execute("alter table submitted_notebook drop column late_submission_penalty")
    database.close()
    with pytest.raises(
        CourseError, match=r"of an older nbgrader .*late_submission_penalty.*`nbgrader db upgrade`"
    ):
        graded(course)


def test_two_commands_keep_a_copy_at_once(course):
    graded(course)
    store = Store(course.classroom)
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lambda _: store.back_up(), range(12))] == [None] * 12


def test_class_23_a_gradebook_that_another_program_holds_is_not_called_damaged(course, monkeypatch, capsys):
    graded(course)
    with sqlite3.connect(Store(course.classroom).gradebook) as other:
        other.execute("begin exclusive")
        code, said = command(course, monkeypatch, capsys, "report")
        with pytest.raises(CourseError, match=r"cannot be used now \(database is locked\).* Nothing is lost"):
            back_up(course)
    other.close()
    assert code == 1 and "database is locked" in said and "backups" not in said
    assert set(graded(course).values()) == {"unchanged"}


def test_class_18_a_report_of_an_empty_classroom_is_a_sentence_and_exit_code_1(course, monkeypatch, capsys):
    empty = replace(course, classroom=course.root / "empty")
    code, said = command(empty, monkeypatch, capsys, "report")
    assert code == 1 and "there is nobody to report on in" in said
    (roster := course.root / "class.csv").write_text("id,first_name,last_name\nada,Ada,Love\n")
    command(empty, monkeypatch, capsys, "collect", "--roster", str(roster))
    (empty.classroom / "roster.csv").unlink()
    code, said = command(empty, monkeypatch, capsys, "report")
    assert code == 1 and (empty.classroom / "triage.csv").is_file() and "`course collect` and" in said
    code, said = command(course, monkeypatch, capsys, "report")
    assert code == 0 and not said  # three who wait for being graded
    code, said = command(empty, monkeypatch, capsys, "feedback")
    assert code == 1 and "course grade" in said


@pytest.mark.parametrize(
    ("number", "mention"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EACCES, "change its permissions"),
        (errno.EROFS, "read-only"),
    ],
)
def test_what_the_machine_refuses_is_one_sentence_with_the_way_out(
    course, monkeypatch, capsys, number, mention
):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number), str(course.classroom / "gradebook.db"))

    monkeypatch.setattr(cli, "load_course", refuse)
    monkeypatch.setattr(sys, "argv", ["course", "report"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr().err
    assert end.value.code == 1 and mention in said and "gradebook.db" in said and "Traceback" not in said


def test_where_the_gradebook_has_no_room_its_word_is_said_and_not_nbgraders_log(course, monkeypatch, capsys):
    def full(*_):
        raise OperationalError(
            "CREATE TABLE student", {}, sqlite3.OperationalError("database or disk is full")
        )

    monkeypatch.setattr("nbgrader.converters.GenerateAssignment.init_assignment", full)
    code, said = command(course, monkeypatch, capsys, "grade", "--unsafe")
    assert code == 1 and said.count("\n") == 1
    assert (
        said.startswith("the gradebook does not answer") and "(database or disk is full): mend that" in said
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk here that is always full")
def test_on_a_full_disk_the_log_says_nothing_and_the_command_its_sentence(course, monkeypatch, capsys):
    (course.classroom / "course.log").unlink(missing_ok=True)
    (course.classroom / "course.log").symlink_to("/dev/full")
    code, said = command(course, monkeypatch, capsys, "grade", "7")
    assert code == 1 and said.startswith("there is no lesson '7'") and said.count("\n") == 1


def test_brackets_in_a_path_are_no_markup(course, monkeypatch, capsys):
    def refuse(**_):
        raise CourseError("nothing in /tmp/[/old]/x[red] of [instructor]")

    monkeypatch.setattr(cli, "load_course", refuse)
    monkeypatch.setattr(sys, "argv", ["course", "report"])
    with pytest.raises(SystemExit):
        cli.main()
    assert "nothing in /tmp/[/old]/x[red] of [instructor]" in capsys.readouterr().err.replace("\n", "")


@pytest.mark.parametrize("verb", [["grade"], ["all", "nothing.zip"]], ids=" ".join)
def test_fewer_than_one_job_at_once_is_one_sentence(course, monkeypatch, capsys, verb):
    with pytest.raises(CourseError, match="--jobs -1"):
        Local(-1)
    code, said = command(course, monkeypatch, capsys, *verb, "--jobs", "0")
    assert code == 1 and said.count("\n") == 1 and said.startswith("--jobs 0: at least 1 submission")


def test_the_log_says_what_was_done(course):
    Store(course.classroom).log()
    graded(course, faults=["bo"])
    text = (course.classroom / "course.log").read_text()
    assert "ada, 01_toy: graded" in text and "bo, 01_toy: failed the machine failed" in text


def test_receipts_hold_what_a_grade_was_made_with(course):
    graded(course)
    receipt = json.loads((Store(course.classroom).graded("ada", "01_toy") / RECEIPT).read_text())
    assert {"digest", "sandbox", "checker", "verdicts"} <= set(receipt)


def test_marks_given_by_hand_survive_a_regrade_and_are_in_the_backup(course):
    graded(course)
    with sqlite3.connect(Store(course.classroom).gradebook) as database:
        database.execute("update grade set manual_score = 1.5")
    database.close()
    before = points(course)
    course = replace(course, limits=replace(course.limits, cell_cpu=31))
    assert set(graded(course).values()) == {"graded"} and points(course) == before != {"ada": FULL}


def give_by_hand(course: Course, *students: str) -> None:
    """Give the answers of a reading class a mark by hand."""
    with opened(course) as gradebook:
        for name in students:
            gradebook.find_grade(f"{QUESTION}_response", LESSON, LESSON, name).manual_score = 1.0
        gradebook.db.commit()


def test_backups_without_marks_given_by_hand_push_none_out_that_holds_some(tmp_path):
    course = reading_class(tmp_path)
    give_by_hand(course, "ada", "blaise")
    back_up(course)
    (full,) = course.classroom.glob("backups/*.db")
    with opened(course) as gradebook:  # as one that is filled anew
        gradebook.db.execute(text("UPDATE grade SET manual_score = NULL"))
        gradebook.db.commit()
    for _ in range(store.BACKUPS + 2):
        back_up(course)
    kept = sorted(course.classroom.glob("backups/*.db"))
    assert len(kept) == store.BACKUPS + 1 and kept[0] == full
    kept[1].write_bytes(b"no gradebook")  # holds no marks, and stops nothing
    give_by_hand(course, "ada", "blaise", "carl")
    back_up(course)
    kept = sorted(course.classroom.glob("backups/*.db"))
    assert len(kept) == store.BACKUPS and full not in kept  # the newest holds more


def test_a_new_gradebook_says_who_knows_the_marks_that_it_does_not_hold(tmp_path, monkeypatch, capsys):
    course, told = reading_class(tmp_path / "old"), []
    assert lost(course) == ""  # nobody has marked anything yet
    give_by_hand(course, "ada", "carl")
    back_up(course)
    (backup,) = course.classroom.glob("backups/*.db")
    at = Given(
        "b", now(), "nina", LESSON, QUESTION, "ada", 1.0, "", False, True, "d", Entry(None, True, None)
    )
    note(course.classroom, [at, replace(at, student="carl"), replace(at, student="carl", reader="bob")])
    assert lost(course) == ""
    new = Store(reading_class(tmp_path / "new").classroom).gradebook.read_bytes()
    gradebook = Store(course.classroom).gradebook
    gradebook.write_bytes(new)
    said = lost(course)
    assert f"{backup} holds 2, and {course.classroom / 'marks.jsonl'} knows those of 2 answers" in said
    assert f"copy that backup over {gradebook} and run `course grade`" in said and "`course read`" in said  # fmt: skip
    results = [Graded("ada", LESSON, "graded")]
    monkeypatch.setattr("course.grading.grade.grade", lambda *_: results)
    monkeypatch.setattr("course.grading.sandboxes.choose.confinement", str)
    monkeypatch.setattr("course.commands.classes.say", lambda text, *_: told.append(text))
    assert command(course, monkeypatch, capsys, "grade") == (0, "") and said in told
    backup.unlink()
    assert "backup" not in lost(course) and "`course read`" in lost(course)
    give_by_hand(course, "carl")  # one given anew does not hide the other
    assert "holds 1 marks given by hand" in lost(course) and "knows those of 1 answers" in lost(course)
    for name in ("ada", "carl"):  # what was taken back with the work is not lost
        table = course.classroom / f"forgotten/x/marks/{name}/{LESSON}.csv"
        write_csv(table, ["cell", "by_hand"], [{"cell": "x", "by_hand": 1.0}])
    assert lost(course) == ""
    shutil.rmtree(course.classroom / "forgotten")
    gradebook.unlink()
    assert "knows those of 2 answers" in lost(course)  # of one that is not even filled
    code, said = command(course, monkeypatch, capsys, "read")
    assert code == 1 and "there is nothing to read" in said and lost(course) in told
    code, said = command(course, monkeypatch, capsys, "feedback")
    assert code == 1 and "there is no gradebook in" in said and not gradebook.exists()


def test_what_a_person_gave_waits_for_a_person_again_only_where_something_else_was_handed_in(course):
    (lesson,) = course.lessons
    graded(course)
    with opened(course) as gradebook:
        for name in ("ada", "bo"):
            for grade in gradebook.find_submission_notebook(lesson.name, lesson.name, name).grades:
                grade.manual_score, grade.needs_manual_grade = 1.0, False
        gradebook.db.commit()
    placed = Store(course.classroom).placed("bo", lesson.name) / f"{lesson.name}.ipynb"
    write_text(placed, placed.read_text().replace("Hello", "Hallo"))
    course = replace(course, limits=replace(course.limits, cell_cpu=31))
    assert set(graded(course).values()) == {"graded"}
    waiting = {name: {m.waiting for m in marks(course) if m.student == name} for name in ("ada", "bo")}
    assert waiting == {"ada": {False}, "bo": {True}}


def test_the_grade_goes_with_what_was_collected_by_mistake(course, tmp_path, monkeypatch, capsys):
    """bo's work was collected as dora's, who was graded for it; it is bo's after all."""
    (lesson,) = course.lessons
    work = next((tmp_path / "handed").glob("bo/*.ipynb"))
    collect([work], course.root / "notebooks", course.classroom, student="dora")
    assert graded(course)["dora"] == "graded" and points(course)["dora"] == FULL
    page = course.classroom / "feedback" / "dora" / lesson.name / f"{lesson.name}.html"
    write_text(page, "dora's")
    told: list[str] = []
    monkeypatch.setattr("course.commands.classes.say", lambda text, *_: told.append(text))
    assert command(course, monkeypatch, capsys, "collect", "--forget", work.name) == (0, "")
    (table,) = course.classroom.glob(f"forgotten/*/marks/dora/{lesson.name}.csv")
    assert any(
        line.startswith(f"dora, {lesson.name}: the grade was taken back, and is kept in {table};")
        for line in told
    )
    assert sum("To give them again" in line and "`course read`" in line for line in told) == 1
    assert sum(float(row["score"]) for row in read_csv(table)) == FULL
    assert points(course).keys() == {"ada", "bo", "cy"} and not page.exists()
    assert not Store(course.classroom).graded("dora", lesson.name).exists()
    kept = {
        path.relative_to(course.classroom / "forgotten").parts[1]
        for path in course.classroom.glob("forgotten/*/*/dora")
    }
    assert kept >= {"withdrawn", "autograded", "feedback"}
    assert len(list(course.classroom.glob("backups/*.db"))) >= 1


def test_the_table_of_a_grade_that_was_taken_back_holds_what_persons_wrote(tmp_path):
    """On the answer to a question, which has a mark, and on one to an exercise, whose mark is its check's."""
    course = reading_class(tmp_path)
    give_by_hand(course, "ada")
    comments = {f"{QUESTION}_response": "=Well said;\nsee me", "FixedBlock": "By hand?", "branch_size": ""}
    with opened(course) as gradebook:
        for cell, comment in comments.items():
            gradebook.find_comment(cell, LESSON, LESSON, "ada").manual_comment = comment
        gradebook.find_comment(f"{QUESTION}_response", LESSON, LESSON, "blaise").manual_comment = "Not ada's"
        gradebook.db.commit()
    write_text(course.classroom / f"forgotten/a.zip/{ASIDE}/ada/{LESSON}/{LESSON}.ipynb", "{}")
    before = [mark for mark in marks(course) if mark.student == "ada"]
    ((pair, table),) = withdraw(course).items()
    rows = {row["cell"]: row for row in read_csv(table)}
    assert pair == ("ada", LESSON) and rows.keys() == {mark.cell for mark in before} | {"FixedBlock"}
    assert {c: row["comment"] for c, row in rows.items() if row["comment"]} == {
        c: v for c, v in comments.items() if v
    }
    assert rows[f"{QUESTION}_response"]["by_hand"] == "1.0" and rows["FixedBlock"]["score"] == ""
    assert {mark.student for mark in marks(course)} == {"blaise", "carl", "dora", "emmy", "felix"}


def test_what_took_the_place_of_ones_own_work_takes_its_grade_and_page_along(
    course, tmp_path, monkeypatch, capsys
):
    """bo's work was collected as ada's, who has work of her own; after it is forgotten twice, collecting still works."""
    (lesson,) = course.lessons
    store, page = Store(course.classroom), course.classroom / "feedback" / "ada" / lesson.name / "page.html"
    work = tmp_path / "bos.ipynb"
    work.write_text(next((tmp_path / "handed").glob("bo/*.ipynb")).read_text().replace("Hello", "Hallo"))
    own = (store.placed("ada", lesson.name) / f"{lesson.name}.ipynb").read_bytes()
    for _ in range(2):
        collect([work], course.root / "notebooks", course.classroom, student="ada")
        assert graded(course)["ada"] == "graded"
        write_text(page, "bo's")
        assert command(course, monkeypatch, capsys, "collect", "--forget", work.name) == (0, "")
        assert "ada" not in points(course) and not page.exists()
        assert (store.placed("ada", lesson.name) / f"{lesson.name}.ipynb").read_bytes() == own
        write_text(page, "no grade yet")
        assert command(course, monkeypatch, capsys, "collect") == (0, "") and page.exists()
    assert graded(course)["ada"] == "graded" and "ada" in points(course)
    assert command(course, monkeypatch, capsys, "collect") == (0, "") and "ada" in points(course)
    assert len(list(course.classroom.glob("forgotten/*/feedback/ada/*/page.html"))) == 2


def test_what_was_forgotten_once_takes_nothing_along_later(course, tmp_path, monkeypatch, capsys):
    """It was brought back, graded and read; then something newer is handed in: marks given by hand stay, and wait for a person."""
    (lesson,) = course.lessons
    work = next((tmp_path / "handed").glob("bo/*.ipynb"))
    collect([work], course.root / "notebooks", course.classroom, student="dora")
    assert command(course, monkeypatch, capsys, "collect", "--forget", work.name) == (0, "")
    collect([work], course.root / "notebooks", course.classroom, student="dora")
    assert graded(course)["dora"] == "graded"
    with opened(course) as gradebook:
        for grade in gradebook.find_submission_notebook(lesson.name, lesson.name, "dora").grades:
            grade.manual_score = 1.5
        gradebook.db.commit()
    newer = tmp_path / "newer.ipynb"
    newer.write_text(work.read_text().replace("Hello", "Hallo"))
    assert command(course, monkeypatch, capsys, "collect", str(newer), "--student", "dora") == (0, "")
    assert {m.by_hand for m in marks(course) if m.student == "dora"} == {1.5}


def test_a_page_goes_with_the_file_it_was_made_of_although_another_counts_meanwhile(
    course, tmp_path, monkeypatch, capsys
):
    (lesson,) = course.lessons
    page = course.classroom / "feedback" / "dora" / lesson.name / "page.html"
    texts = next((tmp_path / "handed").glob("bo/*.ipynb")).read_text()
    for name in ("bos", "own"):
        (tmp_path / f"{name}.ipynb").write_text(texts.replace("Hello", name))
    collect([tmp_path / "bos.ipynb"], course.root / "notebooks", course.classroom, student="dora")
    graded(course)
    write_text(page, "bo's")
    os.utime(tmp_path / "own.ipynb", (2_000_000_000,) * 2)
    collect([tmp_path / "own.ipynb"], course.root / "notebooks", course.classroom, student="dora")
    assert command(course, monkeypatch, capsys, "collect", "--forget", "bos.ipynb") == (0, "")
    assert "dora" not in points(course) and not page.exists()
    assert graded(course)["dora"] == "graded"


def test_what_a_disturbed_forget_left_undone_is_done_by_the_next_command(
    course, tmp_path, monkeypatch, capsys
):
    (lesson,) = course.lessons
    work = next((tmp_path / "handed").glob("bo/*.ipynb"))
    collect([work], course.root / "notebooks", course.classroom, student="dora")
    graded(course)
    note_faults(Store(course.classroom), {("dora", lesson.name): "no memory", ("bo", lesson.name): "neither"})
    with monkeypatch.context() as broken:
        broken.setattr(
            "course.grading.gradebook.back_up", lambda _: (_ for _ in ()).throw(CourseError("disk full"))
        )
        assert command(course, monkeypatch, capsys, "collect", "--forget", work.name)[0] == 1
    assert "dora" in points(course)
    assert command(course, monkeypatch, capsys, "collect", "--forget", work.name)[0] == 0
    assert points(course).keys() == {"ada", "bo", "cy"}
    assert read_faults(Store(course.classroom)) == {("bo", lesson.name): "neither"}


def test_a_grade_that_another_classroom_gave_is_not_taken_back(course, tmp_path, monkeypatch, capsys):
    """Two graders share a gradebook; one of them forgets what the other has collected, too, and graded."""
    (lesson,) = course.lessons
    work = next((tmp_path / "handed").glob("bo/*.ipynb"))
    collect([work], course.root / "notebooks", course.classroom, student="dora")
    graded(course)
    shutil.rmtree(Store(course.classroom).graded("dora", lesson.name))
    assert command(course, monkeypatch, capsys, "collect", "--forget", work.name)[0] == 0
    assert points(course)["dora"] == FULL


def test_the_whole_way_of_a_class_is_one_call(course):
    went = way(course, [course.root / "handed"], backend=Canned(fails=["bo"]))
    assert {row.student: row.status for row in went.triage.rows} == dict.fromkeys(
        ["ada", "bo", "cy"], "taken"
    )
    assert {r.state for r in went.results} == {"graded"} and points(course)["bo"] == 0
    assert sorted(page.parts[-3] for page in went.pages) == ["ada", "bo", "cy"]
    assert "no" in went.pages[1].read_text()


def test_the_whole_way_and_amending_read_times_in_the_zone_of_the_course(
    course, tmp_path, monkeypatch, capsys
):
    berlin = replace(course, zone=ZoneInfo("Europe/Berlin"), classroom=tmp_path / "berlin")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        notebook = (tmp_path / "handed" / "ada" / "01_toy.ipynb").read_text()
        archive.writestr("Toy_ada_attempt_2026-12-01-23-30-00_01_toy.ipynb", notebook)
    way(berlin, [tmp_path / "z.zip"], backend=Canned())
    when = Store(berlin.classroom).placed("ada", "01_toy") / "timestamp.txt"
    assert when.read_text().startswith("2026-12-01 22:30:00")
    assert command(replace(berlin, zone=ZoneInfo("Asia/Tokyo")), monkeypatch, capsys, "amend", "1") == (0, "")
    assert when.read_text().startswith("2026-12-01 14:30:00")


@pytest.mark.kernel
def test_class_27_kill_9_at_any_moment_then_again_gives_what_an_undisturbed_run_gives(tmp_path):
    made = kills(tmp_path, 3, seed=1)
    assert [kill.differences for kill in made] == [(), (), ()]


@pytest.mark.kernel
def test_class_15_ctrl_c_stops_and_keeps_what_is_recorded(tmp_path):
    course = toy_course(tmp_path, registered=False)
    sleeper = {"double": "import time\ntime.sleep(60)"}
    hand_in(course, tmp_path / "handed", {"ada": None, "bo": sleeper, "cy": sleeper, "di": sleeper})
    collect([tmp_path / "handed"], course.root / "notebooks", course.classroom)
    words = [sys.executable, "-m", "tests.kills", "--do", str(course.root), str(course.classroom), "grade"]
    process = subprocess.Popen(words, cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL)
    while not Store(course.classroom).graded("ada", "01_toy").exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    process.wait()
    print(f"ended {time.monotonic() - start:.1f} s after Ctrl-C")
    assert points(course) == {"ada": FULL}
    assert not [p for p in Path("/tmp").glob("sk-*/owner") if p.read_text().strip() == str(process.pid)]


def test_a_lesson_changed_in_mid_term_keeps_what_persons_gave(course, monkeypatch, capsys):
    (lesson,) = course.lessons
    graded(course)
    with opened(course) as gradebook:
        first = gradebook.find_submission_notebook(lesson.name, lesson.name, "ada").grades[0]
        by_hand, name = 1.5, first.cell.name
        first.manual_score, first.needs_manual_grade = by_hand, False
        gradebook.db.commit()
    key = nbformat.read(course.solution(lesson), as_version=4)
    meta = {
        "grade": True,
        "solution": True,
        "locked": False,
        "task": False,
        "grade_id": "new_response",
        "points": 2,
        "schema_version": 3,
    }
    key.cells.append(
        nbformat.v4.new_markdown_cell("Because.", id="new_response", metadata={"nbgrader": meta})
    )
    course.solution(lesson).write_text(nbformat.writes(key))
    course.release(lesson).write_text(release(course, lesson, nbformat.writes(key)))
    assert outgrown(course) == [lesson]
    with pytest.raises(CourseError, match="`course amend 1` adds what is new"):
        graded(course)
    code, said = command(course, monkeypatch, capsys, "amend", "1")
    assert code == 0, said
    assert outgrown(course) == []
    assert set(graded(course).values()) == {"graded"}
    found = {(m.student, m.cell): m for m in marks(course)}
    assert found["ada", name].by_hand == by_hand and found["bo", name].by_hand is None
    assert {found[student, "new_response"].max_score for student in ("ada", "bo", "cy")} == {2.0}
    assert full_marks(course) == {lesson.name: FULL + 2}
    with opened(course) as gradebook:
        gradebook.find_grade("new_response", lesson.name, lesson.name, "bo").manual_score = 2.0
        gradebook.db.commit()
    key.cells[-1].metadata.nbgrader.points = 1  # less than bo was given
    course.solution(lesson).write_text(nbformat.writes(key))
    course.release(lesson).write_text(release(course, lesson, nbformat.writes(key)))
    with pytest.raises(CourseError, match="more than the 1 points that new_response is worth now to bo"):
        amend(course, lesson)
    with opened(course) as gradebook:
        gradebook.find_grade("new_response", lesson.name, lesson.name, "bo").manual_score = None
        gradebook.db.commit()
    assert amend(course, lesson).added == () == amend(course, lesson).removed  # twice is once
    assert full_marks(course) == {lesson.name: FULL + 1}
    key.cells.pop()  # and gone again
    course.solution(lesson).write_text(nbformat.writes(key))
    course.release(lesson).write_text(release(course, lesson, nbformat.writes(key)))
    with opened(course) as gradebook:
        said = gradebook.find_comment("new_response", lesson.name, lesson.name, "bo")
        said.manual_comment = "See me."
        gradebook.db.commit()
    with pytest.raises(CourseError, match="persons gave marks or comments for new_response"):
        amend(course, lesson)
    with opened(course) as gradebook:
        gradebook.find_comment("new_response", lesson.name, lesson.name, "bo").manual_comment = None
        gradebook.db.commit()
    assert amend(course, lesson).removed == ("new_response",)
    assert full_marks(course) == {lesson.name: FULL}


def test_a_table_keeps_what_its_path_is(tmp_path):
    """A link stays a link, a device a device, and what nobody else may read stays so."""
    shared, link = tmp_path / "share" / "grades.csv", tmp_path / "grades.csv"
    shared.parent.mkdir()
    shared.write_text("old")
    shared.chmod(0o600)
    link.symlink_to(shared)
    write_csv(link, ["mark"], [{"mark": "new"}])
    assert link.is_symlink() and read_csv(shared) == [{"mark": "new"}]
    assert shared.stat().st_mode & 0o777 == 0o600
    write_csv(Path("/dev/null"), ["mark"], [{"mark": "new"}])
    assert Path("/dev/null").is_char_device()


def test_a_link_that_a_submission_brought_leads_nowhere(tmp_path):
    """Else whoever hands one in under the name of what we write there would have us write over any file of the instructor's."""
    precious, link = tmp_path / "precious", tmp_path / "ada" / RECEIPT
    precious.write_text("mine")
    link.parent.mkdir()
    link.symlink_to(precious)
    write_text(link, "receipt")
    assert precious.read_text() == "mine" and not link.is_symlink() and link.read_text() == "receipt"


def test_points_for_an_earlier_text_count_nothing_until_they_are_given_again(course):
    """Neither in the sum, nor on the page; what a check gave counts, and so does what nobody has to give again."""
    (lesson,) = course.lessons
    graded(course)
    before = points(course)
    with opened(course) as gradebook:
        first, *others = gradebook.find_submission_notebook(lesson.name, lesson.name, "ada").grades
        assert first.auto_score
        for grade in (first, others[0]):
            grade.manual_score, grade.extra_credit = 0.25, 0.5
        first.needs_manual_grade, others[0].needs_manual_grade = True, False
        gradebook.db.commit()
        changed = 0.75 - (others[0].auto_score or 0.0)
    assert points(course)["ada"] == pytest.approx(before["ada"] + changed)
    (page,) = feedback(course, [lesson], ["ada"])
    assert f"<b>{points(course)['ada']:g}</b> of" in page.read_text(encoding="utf-8")
