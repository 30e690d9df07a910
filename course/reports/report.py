"""`course report`: where everyone stands, as a table on the screen and as a CSV that a spreadsheet opens safely."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from course.csvfile import write_csv
from course.intake.triage import printable
from course.model import Lesson
from course.reports.ledger import Entry, Ledger, Status

COLUMNS = ("student", "name", "lesson", "status", "score", "penalty", "mark", "max_score", "late", "reason")
SHORT = {
    Status.UNREADABLE: ("unread.", "bold red"),
    Status.READING: ("person", "yellow"),
    Status.COLLECTED: ("ungraded", "yellow"),
    Status.FAULT: ("fault", "bold red"),
    Status.MISSING: ("-", "dim"),
}
LEGEND = (
    ("*", "a person has something left to read"),
    ("?", "a person should look at it: the CSV and the page say why"),
    ("L", "came late"),
    ("-", "nothing handed in"),
    ("unread.", "handed in, and nobody can read it"),
    ("person", "waits for a person, no points yet"),
    ("ungraded", "collected, not graded yet"),
    ("fault", "this machine failed; grade again"),
)


def on_screen(ledger: Ledger, width: int) -> RenderableType:
    """Lay the class out: one row a student, one column a lesson; where that is too wide, a paragraph a student.

    Args:
        ledger: everyone's entries.
        width: of the screen, in characters.
    """
    cells = {
        student: [Text(*cell(entries[lesson.name])) for lesson in ledger.lessons]
        for student, entries in ledger.rows().items()
    }
    named = {entry.student: whose(entry) for entry in ledger.entries}
    heads = [_head(ledger, lesson) for lesson in ledger.lessons]
    widths = [
        max(map(len, column))
        for column in zip(heads, *([text.plain for text in row] for row in cells.values()), strict=True)
    ]
    needed = max(map(len, named.values())) + sum(widths) + 3 * len(widths) + 4
    titles = [Text(f"{lesson.number}  {lesson.title}") for lesson in ledger.lessons]
    used = " ".join(text.plain for row in cells.values() for text in row)
    legend = [Text(f"{sign:9}{meaning}", "dim") for sign, meaning in LEGEND if _is_used(sign, used)]
    notes = [Text(f"whose is it? {printable(line)}", "red") for line in ledger.nobodys]
    if needed > width:
        lines = [
            Text.assemble(Text(named[student], "bold"), *_paragraph(ledger.lessons, row))
            for student, row in cells.items()
        ]
        return Group(*titles, Text(), *lines, Text(), *legend, *notes)
    table = Table(title="Points, by lesson (of how many)")
    table.add_column("student", no_wrap=True)
    for heading in heads:
        table.add_column(heading, justify="right", no_wrap=True)
    for student, row in cells.items():
        table.add_row(Text(named[student]), *row)
    return Group(table, *titles, *legend, *notes, *map(Text, summary(ledger)))


def _is_used(sign: str, text: str) -> bool:
    """Whether a sign stands in a table: single letters behind points, the others alone."""
    return sign in text if sign in "*?L" else sign in text.split()


def _head(ledger: Ledger, lesson: Lesson) -> str:
    full = next((entry.max_score for entry in ledger.of(lesson.name) if entry.max_score), None)
    return f"{lesson.number} ({full:g})" if full else str(lesson.number)


def _paragraph(lessons: Sequence[Lesson], row: Sequence[Text]) -> list[Text]:
    return [Text.assemble("  " if at else ":  ", f"{lesson.number}: ", text) for at, (lesson, text) in enumerate(zip(lessons, row, strict=True))]  # fmt: skip


def whose(entry: Entry) -> str:
    """Name and id, control characters made visible."""
    return printable(entry.name if entry.name == entry.student else f"{entry.name} ({entry.student})")


def cell(entry: Entry) -> tuple[str, str]:
    """One entry in a few characters, and its style; zero is `0`, nothing `-`, unreadable `unread.`."""
    late = " L" if entry.late else ""
    if shown := points(entry):
        return f"{shown}{late}", "yellow" if shown[-1] in "*?" else ""
    words, style = SHORT[entry.status]
    return f"{words}{late}", style


def points(entry: Entry) -> str:
    """The mark, with a star where a person has something left to read, and a question mark where one should look; "" if there is none."""
    if entry.mark is None:
        return ""
    return f"{number(entry.mark)}{'*' if entry.status is Status.READING else ''}{'?' if entry.doubt else ''}"


def number(value: float | None) -> str:
    """Points with at most two decimals; empty for none."""
    return "" if value is None else f"{round(value, 2):g}"


def summary(ledger: Ledger) -> list[str]:
    """One sentence a lesson: how many stand where."""
    return [
        f"lesson {lesson.number}: "
        + ", ".join(f"{count} {status}" for status in Status if (count := ledger.counts(lesson.name)[status]))
        + (f"; {late} late" if (late := sum(bool(entry.late) for entry in ledger.of(lesson.name))) else "")
        for lesson in ledger.lessons
    ]


def fields(entry: Entry) -> dict[str, str]:
    """An entry as text, one field a column; where there are no points the fields are empty."""
    return {
        "student": entry.student,
        "name": entry.name,
        "lesson": entry.lesson,
        "status": str(entry.status),
        "score": number(entry.score),
        "penalty": number(entry.penalty) if entry.penalty else "",
        "mark": number(entry.mark),
        "max_score": number(entry.max_score),
        "late": entry.late,
        "reason": printable(entry.reason),
    }


def write_long(ledger: Ledger, path: Path) -> None:
    """Write one line a student and lesson."""
    write_csv(path, COLUMNS, map(fields, ledger.entries))


def write_wide(ledger: Ledger, path: Path) -> None:
    """Write one line a student, with a mark and a status for each lesson."""
    columns = ["student", "name"]
    for lesson in ledger.lessons:
        columns += [lesson.name, f"{lesson.name} status"]
    rows = []
    for student, entries in ledger.rows().items():
        row = {"student": student, "name": next(iter(entries.values())).name}
        for name, entry in entries.items():
            row |= {name: number(entry.mark), f"{name} status": _status(entry)}
        rows.append(row)
    write_csv(path, columns, rows)


def _status(entry: Entry) -> str:
    late, look = f"late: {entry.late}" if entry.late else "", "to be looked at" if entry.doubt else ""
    return ", ".join(filter(None, [str(entry.status), late, look]))
