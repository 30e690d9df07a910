"""Deadlines: everybody's, single students', what lateness costs, and that nbgrader's own gradebook says the same."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from nbgrader.api import Gradebook

from course.commands import classes
from course.config import grader_config, load_course
from course.csvfile import write_csv
from course.deadlines import Deadlines, keep_deadlines, read_deadlines, shown
from course.grading.gradebook import enter_deadlines, scores
from course.model import Course, CourseError, LatePolicy
from course.reports.ledger import Status, read_ledger
from course.zone import NEVER
from tests.large_class import DUE, large_class
from tests.test_store import command
from tests.toy_course import PROJECT

FIRST = "01_iterated_convolution"
POLICY = LatePolicy(grace_minutes=15, per_day=10, most=50)


@pytest.mark.parametrize(
    ("seconds", "points"),
    [
        (0, 0),
        (60, 0),
        (15 * 60, 0),
        (16 * 60, 1),
        (86400 + 15 * 60, 1),
        (86400 + 16 * 60, 2),
        (40 * 86400, 5),
    ],
)
def test_each_day_begun_after_the_grace_costs_its_share(seconds, points):
    assert POLICY.penalty(10.0, seconds) == pytest.approx(points)
    assert LatePolicy().penalty(10.0, seconds) == 0


def project(folder, lesson: str = "", table: str = "") -> Course:
    text = PROJECT.replace("cpu_seconds = 1 }", f"cpu_seconds = 1{lesson} }}") + table
    (folder / "pyproject.toml").write_text(text)
    return load_course(folder, folder / "classroom", environment={})


def test_a_course_says_when_its_lessons_are_due_and_what_lateness_costs(tmp_path):
    course = project(
        tmp_path,
        ", deadline = 2026-12-01T23:59:00+01:00",
        "[tool.course.late]\nper_day = 10\nmost = 50\n",
    )
    assert course.lessons[0].deadline == datetime(2026, 12, 1, 22, 59, tzinfo=UTC)
    assert course.late == LatePolicy(0, 10, 50)
    local = project(tmp_path, ", deadline = 2026-12-01T23:59:00").lessons[0].deadline
    assert local and local.replace(tzinfo=None) == datetime(2026, 12, 1, 23, 59)


@pytest.mark.parametrize(
    ("lesson", "table", "said"),
    [
        (", deadline = 2026-12-01", "", "a date with a time"),
        (', deadline = "tomorrow"', "", "tomorrow"),
        ("", "[tool.course.late]\nper_week = 10\n", "per_week = 10"),
        ("", "[tool.course.late]\nper_day = -1\n", "per_day = -1"),
        ("", '[tool.course.late]\nmost = "all"\n', "most = 'all'"),
        ("", "[tool.course.late]\nper_day = nan\n", "per_day = nan"),
        ("", "[tool.course.late]\nper_day = 7,5\n", r"cannot be read .*line 9.* a number has a point, 7\.5"),
        ("", "zone = Europe/Berlin\n", r"cannot be read .*line 8.* text stands in quotes"),
        ("", "late = 10\n", r"late = 10 should be a table \[tool.course.late\]"),
        (", deadlin = 2026-12-01T23:59:00", "", "deadlin is missing or unknown"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path, lesson, table, said):
    with pytest.raises(CourseError, match=said):
        project(tmp_path, lesson, table)


@pytest.fixture
def machine_in(monkeypatch):
    """Puts this machine into another time zone."""

    def there(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield there
    monkeypatch.undo()
    time.tzset()


def test_a_course_says_whose_clock_it_means(tmp_path, machine_in):
    machine_in("UTC")
    head = "lessons = ["
    berlin = PROJECT.replace(head, f'zone = "Europe/Berlin"\n{head}')
    text = berlin.replace("cpu_seconds = 1 }", "cpu_seconds = 1, deadline = 2026-10-20T23:59:00 }")
    (tmp_path / "pyproject.toml").write_text(text)
    course = load_course(tmp_path, tmp_path / "classroom", environment={})
    assert course.lessons[0].deadline == datetime(2026, 10, 20, 21, 59, tzinfo=UTC)
    table(course, ("ada", "1", "2026-10-27 23:59"), ("bo", "1", "2026-10-27 23:59Z"))
    found = read_deadlines(course)
    ada, bo = found.of("ada", "01_toy"), found.of("bo", "01_toy")
    assert (shown(ada), shown(bo)) == ("2026-10-27 23:59 CET", "2026-10-28 00:59 CET")
    assert ada - found.lessons["01_toy"] == timedelta(days=7, hours=1)  # the clocks are put back in between
    for strange in ('"Berlin"', '"Europe"', '"../etc"', "1"):
        (tmp_path / "pyproject.toml").write_text(text.replace('"Europe/Berlin"', strange))
        with pytest.raises(CourseError, match=f"zone = .{strange.strip(chr(34))}.* is no time zone|zone = 1"):
            load_course(tmp_path, tmp_path / "classroom", environment={})


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_a_deadline_at_the_end_of_the_calendar_is_never(tmp_path, machine_in, zone):
    machine_in(zone)
    due = project(tmp_path, ", deadline = 9999-12-31T23:59:59").lessons[0].deadline
    assert due == NEVER
    with pytest.raises(CourseError, match=r"deadline 0001-01-01 00:00:00 of 01_toy should be"):
        project(tmp_path, ", deadline = 0001-01-01T00:00:00")
    course = project(tmp_path)
    table(course, ("", "1", "31.12.9999"), ("ada", "1", "2026-12-05"), ("bo", "1", "9999-12-31 23:59+14:00"))
    found = read_deadlines(course)
    assert found.of("bo", "01_toy") == found.of("cy", "01_toy") == NEVER and shown(NEVER) == "never"
    assert not found.seconds_late("cy", "01_toy", datetime(2026, 12, 9, tzinfo=UTC))
    assert found.seconds_late("ada", "01_toy", datetime(2026, 12, 9, tzinfo=UTC))
    table(course, ("", "1", "0001-01-01"))
    with pytest.raises(CourseError, match="line 2: '0001-01-01' is no time that can be told"):
        read_deadlines(course)


def test_an_extension_of_what_is_never_due_comes_into_the_gradebook(tmp_path):
    course = large_class(tmp_path / "classroom", 20)
    table(course, ("", "1", "9999-12-31"), ("s0003", "1", "2026-11-22 12:00Z"))
    enter_deadlines(course)
    with Gradebook(grader_config(course).CourseDirectory.db_url) as gradebook:
        assert gradebook.find_submission(FIRST, "s0003").duedate == datetime(2026, 11, 22, 12)


def table(course: Course, *rows: tuple[str, str, str]) -> None:
    names = ["student", "lesson", "deadline"]
    write_csv(course.classroom / "deadlines.csv", names, [dict(zip(names, row, strict=True)) for row in rows])


def test_a_class_changes_deadlines_and_grants_more_time(tmp_path):
    course = project(tmp_path, ", deadline = 2026-12-01T23:59:00Z")
    table(
        course,
        ("", "1", "2026-12-02 12:00Z"),
        ("ada", "01_toy", "2026-12-05 12:00+01:00"),
        ("bo", "toy", "2026-12-09"),
    )
    found = read_deadlines(course)
    assert found.of("cy", "01_toy") == datetime(2026, 12, 2, 12, tzinfo=UTC)
    assert found.of("ada", "01_toy") == datetime(2026, 12, 5, 12, tzinfo=timezone(timedelta(hours=1)))
    assert (own := found.of("bo", "01_toy")) and (own.day, own.hour, own.minute) == (9, 23, 59)


def test_more_time_is_granted_by_whatever_a_person_calls_a_student(tmp_path):
    course = project(tmp_path, ", deadline = 2026-12-01T23:59:00Z")
    people = [
        {"id": "Ada", "first_name": "Ada", "last_name": "Zuse", "email": "az@example.org"},
        {"id": "0012", "first_name": "Bo", "last_name": "Núñez", "email": "bo@example.org"},
        {"id": "0013", "first_name": "Bo", "last_name": "Núñez", "email": "bo2@example.org"},
    ]
    write_csv(course.classroom / "roster.csv", list(people[0]), people)
    told = {"ada": "Ada", "AZ@example.org": "Ada", "Zuse, Ada": "Ada", "0012": "0012", "Zoe\u0301": "Zoé"}
    for called, student in told.items():
        table(course, (called, "1", "2026-12-05 12:00Z"))
        assert read_deadlines(course).of(student, "01_toy") == datetime(2026, 12, 5, 12, tzinfo=UTC)
    table(course, ("Bo Nunez", "1", "2026-12-05 12:00Z"))
    with pytest.raises(CourseError, match="line 2: 'Bo Nunez' may be 2 people of the class list"):
        read_deadlines(course)


def test_a_day_alone_lasts_until_its_end_in_excel_too(tmp_path):
    course = project(tmp_path)
    book = openpyxl.Workbook()
    for line in (
        ("student", "lesson", "deadline"),
        ("", "1", date(2026, 12, 1)),
        ("ada", "1", datetime(2026, 12, 2)),  # as Excel keeps it: midnight, and shown
        ("bo", "1", datetime(2026, 12, 2, 12, 30)),
    ):
        book.active.append(line)
    book.save(tmp_path / "extensions.xlsx")
    found = read_deadlines(course, tmp_path / "extensions.xlsx")
    told = [found.of(student, "01_toy").replace(tzinfo=None) for student in ("cy", "ada", "bo")]
    assert told == [datetime(2026, 12, 1, 23, 59, 59), datetime(2026, 12, 2), datetime(2026, 12, 2, 12, 30)]


def test_days_come_first_where_dots_stand_as_excel_writes_them_in_half_of_europe(tmp_path):
    course = project(tmp_path)
    table(course, ("", "1", "1.12.2026"), ("bo", "1", "05.12.2026 12:30"), ("ada", "1", "5.12.2026 9.30"))
    found = read_deadlines(course)
    told = [found.of(student, "01_toy").replace(tzinfo=None) for student in ("cy", "bo", "ada")]
    assert told == [
        datetime(2026, 12, 1, 23, 59, 59),
        datetime(2026, 12, 5, 12, 30),
        datetime(2026, 12, 5, 9, 30),
    ]


def test_a_new_table_is_added_and_what_ends_sooner_is_said(tmp_path):
    course = project(tmp_path, ", deadline = 2026-12-01T23:59:00Z")
    kept, new = course.classroom / "deadlines.csv", tmp_path / "extensions.csv"
    table(
        course,
        ("", "1", "2026-12-02 12:00Z"),
        ("ada", "1", "2026-12-05 12:00Z"),
        ("cy", "1", "2026-12-06 12:00Z"),
    )
    new.write_text("Deadline;Lesson;Student;why\n2026-12-09 12:00Z;1;bo;ill\n2026-12-04 12:00Z;toy;ada;\n")
    (earlier,) = keep_deadlines(course, new)
    assert earlier.startswith("01_toy, ada: 2026-12-04") and "earlier than before (2026-12-05" in earlier
    found = read_deadlines(course)
    days = {student: found.of(student, "01_toy").day for student in ("ada", "bo", "cy", "di")}
    assert days == {"ada": 4, "bo": 9, "cy": 6, "di": 2}
    before = kept.read_text()
    assert "bo,1,2026-12-09 12:00Z,ill" in before
    (tmp_path / "again.csv").write_text(before)  # what is kept can be handed over
    assert keep_deadlines(course, tmp_path / "again.csv") == [] and kept.read_text() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,lesson,deadline\nada,1,2026-12-20\n", "has a column 'name' and none called 'student'"),
        (
            "lesson,deadline,student\n1,2026-12-20,ada\ntoy,2026-12-21,ada\n",
            "line 3: ada has a line for 01_toy above",
        ),
    ],
)
def test_a_table_that_would_move_everybodys_deadline_or_say_two_things_is_refused(tmp_path, text, said):
    course = project(tmp_path, ", deadline = 2026-12-01T23:59:00Z")
    (tmp_path / "new.csv").write_text(text)
    with pytest.raises(CourseError, match=said):
        keep_deadlines(course, tmp_path / "new.csv")
    assert not (course.classroom / "deadlines.csv").exists()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("ada", "7", "2026-12-05"), r"line 2: there is no lesson '7'"),
        (("ada", "1", "05/12/2026"), r"line 2: '05/12/2026' is no time .* 2026-12-01 23:59"),
        (("ada", "1", "2026-12-05"), r"grants time for 01_toy \(ada\), which is not due at all"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_meant_is_named(tmp_path, row, said):
    course = project(tmp_path)
    table(course, row)
    with pytest.raises(CourseError, match=said):
        read_deadlines(course)


def test_late_is_what_comes_after_a_students_own_deadline():
    due = Deadlines({FIRST: DUE}, {("ada", FIRST): DUE + timedelta(days=2)})
    assert due.seconds_late("bo", FIRST, DUE + timedelta(hours=1)) == 3600
    assert due.seconds_late("ada", FIRST, DUE + timedelta(hours=1)) == 0
    assert due.seconds_late("ada", FIRST, DUE + timedelta(days=3)) == 86400
    assert due.seconds_late("bo", FIRST, None) == 0 == due.seconds_late("bo", "other", DUE)


@pytest.mark.parametrize(
    ("due", "came", "days"),
    [
        ("2026-10-24T23:59+02:00", "2026-10-25T23:50+01:00", 1),  # clocks went back: less than a day later
        ("2026-10-24T23:59+02:00", "2026-10-26T00:15+01:00", 2),
        (
            "2026-10-25T02:50+02:00",
            "2026-10-25T02:50+01:00",
            1,
        ),  # an hour is one, also the one that comes twice
        ("2026-03-28T23:59+01:00", "2026-03-29T23:50+02:00", 1),  # a day of 23 hours
        ("2026-03-28T23:59+01:00", "2026-03-30T00:58+02:00", 1),
        ("2026-10-24T23:59+02:00", "2026-10-24T23:58+02:00", 0),
    ],
)
def test_a_day_on_which_clocks_are_turned_back_is_one_day(due, came, days):
    deadlines = Deadlines({FIRST: datetime.fromisoformat(due)}, {}, ZoneInfo("Europe/Berlin"))
    charged = deadlines.seconds_charged("bo", FIRST, datetime.fromisoformat(came))
    assert LatePolicy(per_day=10).penalty(10.0, charged) == days


@pytest.mark.slow
def test_the_gradebook_and_the_report_say_the_same_of_who_came_late(tmp_path):
    course = replace(large_class(tmp_path / "classroom", 80), late=LatePolicy(per_day=10))
    # s0072 (ada) came 2 h after DUE, s0073 (blaise) 3 h, s0070 on the minute; s0073 has a day more
    table(course, ("", "1", "2026-11-20 22:00Z"), ("s0073", "1", "2026-11-21 22:00Z"))
    enter_deadlines(course)
    rows = {s.student: s for s in scores(course) if s.lesson == FIRST}
    assert rows["s0072"].seconds_late == 7200 and rows["s0072"].penalty == pytest.approx(1.5)  # of 15 points
    assert rows["s0073"].penalty == rows["s0070"].penalty == rows["s0073"].seconds_late == 0
    assert not any(s.penalty for s in scores(course) if s.lesson != FIRST)  # no deadline
    made = {e.student: e for e in read_ledger(course).of(FIRST)}
    assert made["s0072"].mark == pytest.approx(13.5) and made["s0072"].late == "2 h"
    assert not made["s0073"].late and made["s0072"].status is Status.READING
    with Gradebook(grader_config(course).CourseDirectory.db_url) as gradebook:  # as the Formgrader reads it
        one, other = (gradebook.find_submission(FIRST, student) for student in ("s0072", "s0073"))
        assert (one.total_seconds_late, other.total_seconds_late) == (7200, 0)
        assert one.late_submission_penalty == pytest.approx(1.5) and not other.late_submission_penalty
        assert one.score == 15.0  # the points are kept, the penalty stands beside
        grade = next(g for g in one.notebooks[0].grades if g.needs_manual_grade)
        grade.manual_score, grade.needs_manual_grade = 3.0, False
        gradebook.db.commit()
    assert {s.student: s for s in scores(course) if s.lesson == FIRST}["s0072"].penalty == pytest.approx(1.8)
    free = replace(course, late=LatePolicy())  # lateness costs nothing any more: no older penalty stays
    assert not any(score.penalty for score in scores(free))
    table(course)  # nobody is late any more
    enter_deadlines(course)
    with Gradebook(grader_config(course).CourseDirectory.db_url) as gradebook:
        assert not gradebook.find_submission(FIRST, "s0072").late_submission_penalty
        assert gradebook.find_assignment(FIRST).duedate is None


def test_it_is_said_where_everybody_has_more_time_now_than_was_granted(tmp_path):
    course = load_course(classroom=tmp_path)
    table(course, ("", "1", "2026-11-20"), ("ada", "1", "2026-11-25"), ("bo", "1", "2026-12-31"))
    later = tmp_path / "later.csv"
    later.write_text("student,lesson,deadline\n,1,2026-12-15\n")
    (said,) = keep_deadlines(course, later)
    assert said.startswith(f"{FIRST}, ada: 2026-11-25") and "earlier than everybody's now (2026-12-15" in said
    assert keep_deadlines(course, later) == []


@pytest.mark.slow
def test_it_is_said_for_whom_nothing_can_be_granted(tmp_path, monkeypatch, capsys):
    course = large_class(tmp_path / "classroom", 20)
    table(course, ("", "1", "2026-11-20 22:00Z"), ("s0003", "1", "2026-11-22"), ("s9999", "1", "2026-11-22"))
    said: list[str] = []
    monkeypatch.setattr(classes, "say", lambda text, *_: said.append(text))
    assert command(course, monkeypatch, capsys, "deadlines") == (0, "")
    assert [text for text in said if "nobody" in text] == [
        f"nobody here is called 's9999': what is granted there holds for no one; correct {course.classroom / 'deadlines.csv'}"
    ]
    assert any("(s0003): 2026-11-22" in text for text in said)  # by name, too
    assert (
        "Times that name no zone were read in this machine's zone" in said[-1]
    )  # a server's is seldom the class's
    said.clear()
    command(replace(course, zone=UTC), monkeypatch, capsys, "deadlines")
    assert "Times that" not in said[-1]
