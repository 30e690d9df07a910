"""How the platforms write their gradebooks, one value each: which columns take marks, which lines are students'."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from course.reports.exports.spreadsheet import Row, Spreadsheet, value_of


@dataclass(frozen=True)
class Column:
    """A column that takes marks: its position, its title without what the platform adds, and its points if the file says them."""

    at: int
    title: str
    points: float | None = None


@dataclass(frozen=True)
class Target:
    """One platform.

    Args:
        name: as people write it.
        columns: of a spreadsheet, those that take marks.
        takes: whether a line is a student's.
        locked: whether the platform takes no mark for a student's line.
        own: name of the column, in small letters, in which the platform numbers people by itself, whatever the school calls them.
        nothing: what the platform writes where there is no mark, besides nothing at all.
    """

    name: str
    columns: Callable[[Spreadsheet], list[Column]]
    takes: Callable[[Spreadsheet, Row], bool]
    locked: Callable[[Spreadsheet, Row], bool] = lambda *_: False
    own: str = ""
    nothing: str = ""

    def empty(self, value: str) -> bool:
        """Whether a field's value stands for no mark."""
        return value.strip() in ("", self.nothing)

    def number(self, sheet: Spreadsheet, row: Row) -> str:
        """The platform's own number of a line's student; empty where it gives none."""
        at = _at(sheet, self.own) if self.own else None
        return "" if at is None else row.values[at].strip()


def _at(sheet: Spreadsheet, *names: str) -> int | None:
    """The position of the first column that has one of these names."""
    headings = [value.strip().casefold() for value in sheet.header.values]
    return next((headings.index(name) for name in names if name in headings), None)


def _every(sheet: Spreadsheet, row: Row) -> bool:
    return True


# Canvas: columns of assignments end with their number in brackets; below the header stand lines without an ID, one of them
# "Points Possible" (in the user's language), where columns that Canvas computes say "(read only)".
# Source: "How do I import grades in the Gradebook?" (Instructor Guide), and gradebook_importer.rb of instructure/canvas-lms.
def _canvas(sheet: Spreadsheet) -> list[Column]:
    heads = [row.values for row in sheet.rows if not _is_canvas_student(sheet, row)]
    found = []
    for at, heading in enumerate(sheet.header.values):
        named = re.fullmatch(r"(.*\S)\s*\(\d+\)\s*", heading, re.S)
        below = [row[at] for row in heads]
        if named and not any("read only" in text.casefold() for text in below):
            points = next((number for text in below if (number := value_of(text)) is not None), None)
            found.append(Column(at, named[1], points))
    return found


def _is_canvas_student(sheet: Spreadsheet, row: Row) -> bool:
    at, sis = _at(sheet, "id"), _at(sheet, "sis user id")
    if at is None or not row.values[at].strip():
        return False
    test = row.values[0].strip() in ("Student, Test", "Test Student")
    return not test or (sis is not None and bool(row.values[sis].strip()))


# Moodle's grader export: "Assignment: Lesson 1 (Real)", in the user's language, and a course total that Moodle computes. The grading
# worksheet of one assignment: Identifier, ..., Grade, Maximum Grade, Grade can be changed.
# Source: "Grade export" and "Offline grading worksheet" of docs.moodle.org, and mod/assign/feedback/offline/importgradeslib.php.
_REAL = r"real|punkte|wert|points?|valeur|valor|réel(?:le)?|reale?|punti|punten"
_TOTAL = re.compile(
    r"(course total|kurs gesamt|gesamt|total du cours|total del curso|totale del corso|cursustotaal)\b", re.I
)
_GRADE = ("grade", "bewertung", "note", "calificación", "valutazione", "nota", "beoordeling", "cijfer")
_MOST = (
    *("maximum grade", "höchste bewertung", "beste bewertung", "bestwertung", "maximale bewertung", "note maximale"),
    *("calificación máxima", "valutazione massima", "nota máxima", "maximumcijfer"),
)  # fmt: skip
_CHANGEABLE = (
    *("grade can be changed", "bewertung kann geändert werden", "bewertung kann verändert werden"),
    *("la note peut être modifiée", "la calificación puede ser cambiada", "la valutazione può essere modificata"),
)  # fmt: skip


def _moodle(sheet: Spreadsheet) -> list[Column]:
    grade, most = _at(sheet, *_GRADE), _at(sheet, *_MOST)
    if grade is not None and most is not None:
        points = {value_of(row.values[most]) for row in sheet.rows} - {None}
        return [Column(grade, "", points.pop() if len(points) == 1 else None)]
    found = []
    for at, heading in enumerate(sheet.header.values):
        named = re.fullmatch(rf"(?:[^:]{{1,40}}:\s*)?(.*\S)\s*\((?:{_REAL})\)\s*", heading, re.I)
        if named and not _TOTAL.match(named[1]):
            found.append(Column(at, named[1]))
    return found


def _moodle_locked(sheet: Spreadsheet, row: Row) -> bool:
    at = _at(sheet, *_CHANGEABLE)
    return at is not None and row.values[at].strip().casefold() in ("no", "nein", "non", "nee")


# Blackboard's Grade Center: text with tabs in UTF-16 that is called .xls, or CSV; "Lesson 1 [Total Pts: 18 Score] |12345": the number
# behind the bar ties the column to the Grade Center and must stay. Percentages are computed.
# Source: "Work Offline with Grade Data", help.blackboard.com.
def _blackboard(sheet: Spreadsheet) -> list[Column]:
    found = []
    for at, heading in enumerate(sheet.header.values):
        named = re.fullmatch(r"(.*\S)\s*\[[^\[\]]*?:\s*([\d.,]+)([^\[\]]*)\](?:\s*\|\s*\d+)?\s*", heading)
        if named and not re.search(r"percent|prozent", named[3], re.I):
            found.append(Column(at, named[1], value_of(named[2])))
    return found


# Brightspace: "Lesson 1 Points Grade <Numeric MaxPoints:18 Weight:10>"; the last column, "End-of-Line Indicator", holds # everywhere.
# Source: "Importing grades", community.d2l.com, article 3538.
def _brightspace(sheet: Spreadsheet) -> list[Column]:
    found = []
    for at, heading in enumerate(sheet.header.values):
        if named := re.fullmatch(r"(.*\S)\s+Points Grade\s*(?:<(.*)>)?\s*", heading):
            points = re.search(r"MaxPoints:\s*([\d.,]+)", named[2] or "")
            found.append(Column(at, named[1], value_of(points[1]) if points else None))
    return found


CANVAS = Target("Canvas", _canvas, _is_canvas_student, own="id")
MOODLE = Target("Moodle", _moodle, _every, _moodle_locked, nothing="-")
BLACKBOARD = Target("Blackboard", _blackboard, _every)
BRIGHTSPACE = Target("Brightspace", _brightspace, _every)
