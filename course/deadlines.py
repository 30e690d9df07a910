"""When a lesson is due, for everybody and for single students.

A course's deadlines stand in pyproject.toml, beside the lessons; those of one class, and what single students were granted, in the
classroom's `deadlines.csv`, which a person may edit: a line without a student is everybody's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import chain
from pathlib import Path

from course.csvfile import read_table, write_csv
from course.intake.roster import Roster, read_roster, safe_id
from course.model import Course, CourseError, Lesson
from course.zone import NEVER, due_at

DEADLINES = "deadlines.csv"
COLUMNS = ("student", "lesson", "deadline")
DAY = 86400.0  # seconds
# Python would read 23.59 as 23 hours and 0.59 seconds.
CLOCK = re.compile(r"(?<=[T\s])(\d{1,2})[.,:](\d\d)(?!\d)")
DAY_FIRST = re.compile(r"^(\d{1,2})\.(\d{1,2})\.(\d{4})")


@dataclass(frozen=True)
class Deadlines:
    """All of them, with time zones.

    Args:
        lessons: lesson -> everybody's.
        granted: (student, lesson) -> a student's own.
        zone: in whose days lateness is counted; None is this machine's.
    """

    lessons: Mapping[str, datetime] = field(default_factory=dict)
    granted: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    zone: tzinfo | None = UTC

    def of(self, student: str, lesson: str) -> datetime | None:
        """The deadline that holds for a student; None if there is none."""
        return self.granted.get((student, lesson), self.lessons.get(lesson))

    def seconds_late(self, student: str, lesson: str, handed_in: datetime | None) -> float:
        """By how much something came late; 0 where nothing says when it came, or by when it should."""
        due = self.of(student, lesson)
        return max(0.0, (handed_in - due).total_seconds()) if handed_in and due else 0.0

    def seconds_charged(self, student: str, lesson: str, handed_in: datetime | None) -> float:
        """The same, as days are counted: one on which clocks are turned back has 25 hours, and is one day all the same."""
        late, due = self.seconds_late(student, lesson, handed_in), self.of(student, lesson)
        if late <= DAY or not due or not handed_in:
            return late
        before, after = (time.astimezone(self.zone).utcoffset() or timedelta() for time in (due, handed_in))
        return max(DAY, late - max(0.0, (before - after).total_seconds()))

    def on(self, lesson: Lesson) -> Lesson:
        """A lesson with the deadline of this class."""
        return replace(lesson, deadline=self.lessons.get(lesson.name))


@dataclass(frozen=True)
class _Line:
    """One line of a table: whose deadline (everybody's if empty), of which lesson, and the line as it stands there."""

    student: str
    lesson: str
    due: datetime
    row: Mapping[str, str]

    @property
    def pair(self) -> tuple[str, str]:
        """What a table may name once."""
        return self.student, self.lesson


def read_deadlines(course: Course, path: Path | None = None) -> Deadlines:
    """Read the course's deadlines, and what a class changes of them.

    Args:
        course: the checkout and its classroom.
        path: a CSV or Excel table with the columns student, lesson, deadline; the classroom's if None.

    Raises:
        CourseError: if a line names no lesson, no time, one of several students or what another line names, if the column of the students
            has another name, or a line grants more time for a lesson that is not due.
    """
    kept = path or course.classroom / DEADLINES
    return _deadlines(course, _lines(course, kept) if path or kept.is_file() else [], kept)


def keep_deadlines(course: Course, table: Path) -> list[str]:
    """Add a table to the classroom's `deadlines.csv`: its lines replace those of the same student and lesson, the others stay.

    Args:
        course: the checkout and its classroom.
        table: as for `read_deadlines`.

    Returns:
        A sentence on each deadline that is earlier now than it was, or than everybody's has become.

    Raises:
        CourseError: as `read_deadlines`.
    """
    kept, new = course.classroom / DEADLINES, _lines(course, table)
    old = _lines(course, kept) if kept.is_file() else []
    before, named = _deadlines(course, old, kept), {line.pair for line in new}
    lines = [line for line in old if line.pair not in named] + new
    after = _deadlines(course, lines, table)
    write_csv(
        kept,
        list(dict.fromkeys([*COLUMNS, *chain.from_iterable(line.row for line in lines)])),
        [line.row for line in lines],
    )
    return [
        f"{line.lesson}, {line.student or 'everybody'}: {shown(line.due)}, earlier than before ({shown(due)})"
        for line in new
        if (due := before.of(*line.pair)) and line.due < due
    ] + [
        f"{lesson}, {student}: {shown(due)}, as it was granted, is earlier than everybody's now ({shown(after.lessons[lesson])})"
        for (student, lesson), due in after.granted.items()
        if before.lessons.get(lesson) != after.lessons[lesson] > due
    ]


def _deadlines(course: Course, lines: Sequence[_Line], path: Path) -> Deadlines:
    """The course's deadlines with these changes.

    Raises:
        CourseError: if somebody gets more time for what is not due.
    """
    lessons = {lesson.name: lesson.deadline for lesson in course.lessons if lesson.deadline}
    lessons |= {line.lesson: line.due for line in lines if not line.student}
    granted = {line.pair: line.due for line in lines if line.student}
    if nowhere := [f"{lesson} ({student})" for student, lesson in granted if lesson not in lessons]:
        raise CourseError(
            f"{path} grants time for {', '.join(nowhere)}, which is not due at all: add a line without a student for the lesson"
        )
    return Deadlines(lessons, granted, course.zone)


def _lines(course: Course, path: Path) -> list[_Line]:
    """The lines of a table, its columns in any case and order; further columns are kept.

    Raises:
        CourseError: as `read_deadlines`.
    """
    table, roster = read_table(path), course.classroom / "roster.csv"
    people = read_roster(roster if roster.is_file() else None)
    columns = {c: c.casefold() if c.casefold() in COLUMNS else c for c in table.columns}
    if missing := [column for column in COLUMNS[1:] if column not in columns.values()]:
        raise CourseError(
            f"{path} has no column {missing[0]!r}; its first line should be {','.join(COLUMNS)} (no student: everybody)"
        )
    if "student" not in columns.values() and (others := [c for c in columns.values() if c not in COLUMNS]):
        raise CourseError(
            f"{path} has a column {others[0]!r} and none called 'student': call it so; where each line is everybody's, take it out"
        )
    found: dict[tuple[str, str], _Line] = {}
    for number, fields in table.rows:
        where = f"{path}, line {number}"
        row = {columns[column]: text for column, text in fields.items()}
        try:
            lesson = course.lesson(row["lesson"]).name
        except CourseError as error:
            raise CourseError(f"{where}: {error}") from error
        student = row.get("student", "")
        line = _Line(
            _student(student, people, where) if student else "",
            lesson,
            _time(row["deadline"], where, course.zone),
            row,
        )
        if line.pair in found:
            raise CourseError(
                f"{where}: {student or 'everybody'} has a line for {lesson} above: take one of them out"
            )
        found[line.pair] = line
    return list(found.values())


def _student(called: str, people: Roster, where: str) -> str:
    """The id of a student as a person calls them: by id, e-mail or name, in any case.

    Raises:
        CourseError: if several people of the class list are called so.
    """
    if people.name(called):
        return called
    student, count = people.find([called])
    if count > 1:
        raise CourseError(f"{where}: {called!r} may be {count} people of the class list: name one by the id")
    return student or safe_id(called)


def _time(text: str, where: str, zone: tzinfo | None) -> datetime:
    """A time as people write it, or Excel for them where days come first; a day alone lasts until its end, and no zone is the course's."""
    iso = DAY_FIRST.sub(lambda told: f"{told[3]}-{told[2]:0>2}-{told[1]:0>2}", text.strip())
    iso = CLOCK.sub(lambda told: f"{told[1]:0>2}:{told[2]}", iso, count=1)
    try:
        found = datetime.fromisoformat(iso)
        if len(iso) <= len("2026-12-01"):
            found = datetime.combine(found.date(), time(23, 59, 59))
        return due_at(found, zone)
    except ValueError as error:
        raise CourseError(
            f"{where}: {text!r} is no time that can be told: write it as 2026-12-01 23:59, or 2026-12-01 23:59+01:00"
        ) from error


def utc(due: datetime | None) -> datetime | None:
    """A time as nbgrader keeps it: in UTC, without saying so."""
    return due.astimezone(UTC).replace(tzinfo=None) if due else None


def shown(due: datetime | None) -> str:
    """A deadline in its zone; empty for none."""
    return "never" if due == NEVER else f"{due:%Y-%m-%d %H:%M %Z}" if due else ""
