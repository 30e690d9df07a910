"""`course report`: the grades as a table on the screen and as a CSV that a spreadsheet opens safely."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

from rich.table import Table
from rich.text import Text

from course.csvfile import write_csv
from course.grading.gradebook import scores
from course.model import Course, Score


def grade_table(rows: list[Score]) -> Table:
    """Lay the scores out, one row a student, one column a lesson.

    Args:
        rows: what `scores` read.

    Returns:
        A rich table; a star marks answers that a person has still to read.
    """
    lessons = sorted({row.lesson for row in rows})
    cell = {(row.student, row.lesson): row for row in rows}
    table = Table(title="Grades (* answers wait for a person)")
    for heading in ("student", *lessons):
        table.add_column(Text(heading))
    for student in sorted({row.student for row in rows}):
        shown = [cell.get((student, lesson)) for lesson in lessons]
        table.add_row(
            Text(student),  # a name may hold brackets, which are no markup
            *(f"{r.score:g} / {r.max_score:g}{' *' if r.waiting else ''}" if r else "-" for r in shown),
        )
    return table


def export(course: Course, path: Path | None = None) -> Path:
    """Write all scores to a CSV.

    Args:
        course: the checkout.
        path: where to; `grades.csv` in the classroom if None.

    Returns:
        The file written.
    """
    path = path or course.classroom / "grades.csv"
    rows = [asdict(row) | {"waiting": "yes" if row.waiting else "no"} for row in scores(course)]
    write_csv(path, [field.name for field in fields(Score)], rows)
    return path
