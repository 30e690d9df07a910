"""What a run of grading leaves to be told: whose points it changed, by how much and why, and at whom the machine failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from course.csvfile import read_csv, read_table, write_csv
from course.model import CourseError, Mark
from course.store import Store

CHANGES, FAULTS = "changes.csv", "faults.csv"
COLUMNS = ("when", "student", "lesson", "cell", "before", "after", "why")


@dataclass(frozen=True)
class Change:
    """One cell's points before and after, and why; what was not there is worth nothing."""

    when: str
    student: str
    lesson: str
    cell: str
    before: float
    after: float
    why: str


def differences(
    before: Iterable[Mark], after: Iterable[Mark], why: Mapping[tuple[str, str], str], when: datetime
) -> list[Change]:
    """Compare two states of the gradebook.

    Args:
        before, after: all marks.
        why: of submissions that were graded again, what was different.
        when: they were.

    Returns:
        Those whose points differ, of submissions that had been graded before.
    """
    old = {(mark.student, mark.lesson, mark.cell): mark.score for mark in before}
    known = {(student, lesson) for student, lesson, _ in old}
    stamp = f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return [
        Change(stamp, m.student, m.lesson, m.cell, old.get((m.student, m.lesson, m.cell), 0.0), m.score, why[m.student, m.lesson])
        for m in after
        if (m.student, m.lesson) in known & why.keys() and m.score != old.get((m.student, m.lesson, m.cell), 0.0)
    ]  # fmt: skip


def other_parts(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What two grades of a submission were made of differently."""
    if not before:
        return "not known what it was graded with before"
    return ", ".join(f"another {name}" for name in after if before.get(name) != after[name]) or "graded again"


def note_changes(store: Store, changes: Sequence[Change]) -> None:
    """Add to the classroom's list of changes."""
    if changes:
        rows = [vars(change) for change in [*read_changes(store), *changes]]
        write_csv(store.root / CHANGES, COLUMNS, rows)


def read_changes(store: Store) -> list[Change]:
    """Read the classroom's list of changes, the oldest first.

    Raises:
        CourseError: if a line of it holds no points.
    """
    path = store.root / CHANGES
    rows = read_table(path).rows if path.is_file() else ()
    return [
        Change(
            **{c: row.get(c, "") for c in COLUMNS if c not in ("before", "after")},
            before=_points(row.get("before", ""), f"{path}, line {number}"),
            after=_points(row.get("after", ""), f"{path}, line {number}"),
        )
        for number, row in rows
    ]


def _points(text: str, where: str) -> float:
    """A number as it was written, or as a spreadsheet of half of Europe saves it: 1,5."""
    try:
        return float(text.replace(",", "."))
    except ValueError as error:
        raise CourseError(
            f"{where}: {text!r} is no number of points; correct it, or take the line out"
        ) from error


def read_faults(store: Store) -> dict[tuple[str, str], str]:
    """The submissions at which the machine failed when they were last graded: (student, lesson) -> why."""
    path = store.root / FAULTS
    rows = read_csv(path) if path.is_file() else []
    return {(row.get("student", ""), row.get("lesson", "")): row.get("reason", "") for row in rows}


def note_faults(store: Store, faults: Mapping[tuple[str, str], str]) -> None:
    """Keep which submissions those are; none removes the note."""
    path = store.root / FAULTS
    if not faults:
        path.unlink(missing_ok=True)
        return
    rows = [{"student": s, "lesson": n, "reason": why} for (s, n), why in sorted(faults.items())]
    write_csv(path, ["student", "lesson", "reason"], rows)
