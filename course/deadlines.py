"""When a lesson is due, for everybody and for single students.

A course's deadlines stand in pyproject.toml, beside the lessons; those of one class, and what single students were granted, in the
classroom's `deadlines.csv`, which a person may edit: a line without a student is everybody's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from pathlib import Path

from course.csvfile import read_table
from course.intake.roster import Roster, read_roster, safe_id
from course.model import Course, CourseError, Lesson
from course.store import write_bytes

DEADLINES = "deadlines.csv"
DAY_FIRST = re.compile(r"^(\d{1,2})\.(\d{1,2})\.(\d{4})")


@dataclass(frozen=True)
class Deadlines:
    """All of them, with time zones.

    Args:
        lessons: lesson -> everybody's.
        granted: (student, lesson) -> a student's own.
    """

    lessons: Mapping[str, datetime] = field(default_factory=dict)
    granted: Mapping[tuple[str, str], datetime] = field(default_factory=dict)

    def of(self, student: str, lesson: str) -> datetime | None:
        """The deadline that holds for a student; None if there is none."""
        return self.granted.get((student, lesson), self.lessons.get(lesson))

    def seconds_late(self, student: str, lesson: str, handed_in: datetime | None) -> float:
        """By how much something came late; 0 where nothing says when it came, or by when it should."""
        due = self.of(student, lesson)
        return max(0.0, (handed_in - due).total_seconds()) if handed_in and due else 0.0

    def on(self, lesson: Lesson) -> Lesson:
        """A lesson with the deadline of this class."""
        return replace(lesson, deadline=self.lessons.get(lesson.name))


def read_deadlines(course: Course, path: Path | None = None) -> Deadlines:
    """Read the course's deadlines, and what a class changes of them.

    Args:
        course: the checkout and its classroom.
        path: a CSV or Excel table with the columns student, lesson, deadline; the classroom's if None.

    Raises:
        CourseError: if a line names no lesson, no time or one of several students, or grants more time for a lesson that is not due.
    """
    lessons = {lesson.name: lesson.deadline for lesson in course.lessons if lesson.deadline}
    granted: dict[tuple[str, str], datetime] = {}
    kept = path or course.classroom / DEADLINES
    if path is None and not kept.is_file():
        return Deadlines(lessons)
    table, roster = read_table(kept), course.classroom / "roster.csv"
    people = read_roster(roster if roster.is_file() else None)
    if missing := [column for column in ("lesson", "deadline") if column not in table.columns]:
        raise CourseError(
            f"{kept} has no column {missing[0]!r}; its first line should be student,lesson,deadline (no student: everybody)"
        )
    for number, row in table.rows:
        where = f"{kept}, line {number}"
        try:
            lesson = course.lesson(row["lesson"]).name
        except CourseError as error:
            raise CourseError(f"{where}: {error}") from error
        due = _time(row["deadline"], where)
        if student := row.get("student", ""):
            granted[_student(student, people, where), lesson] = due
        else:
            lessons[lesson] = due
    if nowhere := [f"{lesson} ({student})" for student, lesson in granted if lesson not in lessons]:
        raise CourseError(
            f"{kept} grants time for {', '.join(nowhere)}, which is not due at all: add a line without a student for the lesson"
        )
    return Deadlines(lessons, granted)


def keep_deadlines(course: Course, table: Path) -> None:
    """Keep a table as the classroom's `deadlines.csv`, in the place of the one before.

    Args:
        course: the checkout and its classroom.
        table: as for `read_deadlines`.

    Raises:
        CourseError: if it cannot be read, or leaves out what holds now: nobody's time ends because a table speaks of others.
    """
    after, before, kept = read_deadlines(course, table), read_deadlines(course), course.classroom / DEADLINES
    lost = [
        f",{lesson},{due.isoformat()}"
        for lesson, due in before.lessons.items()
        if after.lessons.get(lesson) == course.lesson(lesson).deadline != due  # back to the course's, or none
    ]
    lost += [
        f"{student},{lesson},{due.isoformat()}"
        for (student, lesson), due in before.granted.items()
        if (student, lesson) not in after.granted
    ]
    if lost:
        raise CourseError(
            f"{table} would take back what {kept} grants ({'; '.join(lost)}): add these lines to it; what is to end, take out of {kept} first"
        )
    write_bytes(kept, table.read_bytes())


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


def _time(text: str, where: str) -> datetime:
    """A time as people write it, or Excel for them where days come first; a day alone lasts until its end, and no zone is this machine's."""
    iso = DAY_FIRST.sub(lambda told: f"{told[3]}-{told[2]:0>2}-{told[1]:0>2}", text.strip())
    try:
        found = datetime.fromisoformat(iso)
    except ValueError as error:
        raise CourseError(
            f"{where}: {text!r} is no time that can be told: write it as 2026-12-01 23:59, or 2026-12-01 23:59+01:00"
        ) from error
    if len(iso) <= len("2026-12-01"):
        found = datetime.combine(found.date(), time(23, 59, 59))
    return found.astimezone()


def utc(due: datetime | None) -> datetime | None:
    """A time as nbgrader keeps it: in UTC, without saying so."""
    return due.astimezone(UTC).replace(tzinfo=None) if due else None


def shown(due: datetime | None) -> str:
    """A time in this machine's zone; empty for none."""
    return f"{due.astimezone():%Y-%m-%d %H:%M %Z}" if due else ""
