"""A class of hundreds for tests of scale: the recipes of the sample class over and over, as rows of a gradebook; nothing is executed.

Points and hints of each recipe are those that the sample class was given when it was last looked at (tests/golden).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nbgrader.api import Grade, Notebook, Student, SubmittedAssignment, SubmittedNotebook
from sqlalchemy import insert

from course.config import load_course
from course.csvfile import write_csv
from course.grading.gradebook import opened, register
from course.intake.triage import COLUMNS
from course.model import Course, Lesson
from course.store import RECEIPT
from tests.sample_class import LESSONS, RECIPES

GOLDEN = json.loads((Path(__file__).parent / "golden" / "sample_class.json").read_text(encoding="utf-8"))
FAMILY = (
    "Müller",
    "O'Neil-Lee",
    "Núñez",
    "de la Cruz",
    "Ng",
    "Østergård",
    "Иванова",
    "Li",
    "Schmidt",
    "=SUM(A1)",
)
DUE = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)


def people(count: int = 300) -> list[dict[str, str]]:
    """The class list: every fifteenth sends what nobody can read, every twentieth nothing."""
    recipes = list(RECIPES)
    rows = []
    for n in range(count):
        first, last = recipes[n % len(recipes)].title(), FAMILY[n // len(recipes) % len(FAMILY)]
        id = f"s{n:04d}"
        rows.append({"id": id, "first_name": first, "last_name": f"{last} {n}", "email": f"{id}@example.org"})
    return rows


def what_came(row: dict[str, str]) -> str:
    """Of one of the class: "" if nothing, "unreadable", else the name of the recipe."""
    n = int(row["id"][1:])
    if n % 20 == 19:
        return ""
    return "unreadable" if n % 15 == 14 else row["first_name"].lower()


def large_class(folder: Path, count: int = 300, lessons: tuple[Lesson, ...] = LESSONS) -> Course:
    """Fill a classroom: class list, triage, gradebook, receipts.

    Args:
        folder: of the classroom.
        count: students.
        lessons: that were handed in, of the sample class's.
    """
    course = load_course(classroom=folder)
    rows = people(count)
    write_csv(folder / "roster.csv", ["id", "first_name", "last_name", "email"], rows)
    write_csv(folder / "triage.csv", COLUMNS, _triage(rows, lessons))
    for lesson in lessons:
        register(course, lesson)
    with opened(course) as gradebook:
        made: dict[type, list[dict[str, object]]] = {Student: list(rows)}
        for lesson in lessons:
            notebook = gradebook.find_notebook(lesson.name, lesson.name)
            for row in rows:
                if what_came(row) in RECIPES:
                    _grade(made, row["id"], notebook, what_came(row))
                    _leave_receipt(course, row["id"], lesson, what_came(row))
        for table, lines in made.items():  # all at once: nbgrader's own way takes a minute
            gradebook.db.execute(insert(table), lines)
        gradebook.db.commit()
    return course


def _triage(rows: list[dict[str, str]], lessons: tuple[Lesson, ...]) -> Iterator[dict[str, str]]:
    for lesson in lessons:
        for row in rows:
            recipe = what_came(row)
            name = f"{row['first_name']} {row['last_name']}"
            known = {
                "student": row["id"],
                "name": name,
                "lesson": lesson.name,
                "file": f"{lesson.name}.ipynb",
            }
            if recipe == "unreadable":
                yield known | {"status": "unreadable", "reason": "cut off after 20000 characters"}
            elif recipe:
                look = "answer, line 3: shell (import subprocess)" if recipe == "grace" else ""
                yield known | {"status": "taken", "look": look}
            else:
                yield known | {"status": "nothing"}


def _told(recipe: str, lesson: str) -> dict[str, str]:
    """What the checks said: grade_id -> "passed" or the hint."""
    return GOLDEN["told"][f"{recipe}/{lesson}"]


def _grade(made: dict[type, list], student: str, notebook: Notebook, recipe: str) -> None:
    """Add the rows of a submission with its grades, as the autograder would have left them."""
    lesson = notebook.assignment
    told, id = _told(recipe, lesson.name), f"{student}-{lesson.name}"
    handed_in = DUE + timedelta(hours=int(student[1:]) % 80 - 70)
    made.setdefault(SubmittedAssignment, []).append(
        {
            "id": id,
            "assignment_id": lesson.id,
            "student_id": student,
            "timestamp": handed_in.replace(tzinfo=None),
        }
    )
    made.setdefault(SubmittedNotebook, []).append({"id": id, "notebook_id": notebook.id, "assignment_id": id})
    for cell in notebook.grade_cells:
        points = cell.max_score if told.get(cell.name) == "passed" else 0.0
        unread = cell.cell_type == "markdown" and recipe != "dora"  # who left it as it was handed out
        made.setdefault(Grade, []).append(
            {
                "id": f"{id}-{cell.name}",
                "cell_id": cell.id,
                "notebook_id": id,
                "auto_score": None if unread else points,
                "needs_manual_grade": unread,
            }
        )


def _leave_receipt(course: Course, student: str, lesson: Lesson, recipe: str) -> None:
    verdicts = {
        name: {"passed": hint == "passed", "hint": "" if hint == "passed" else hint}
        for name, hint in _told(recipe, lesson.name).items()
    }
    receipt = {"verdicts": verdicts, "cpu_seconds": 1.5 + int(student[1:]) % 7, "seconds": 2.0}
    path = course.classroom / "autograded" / student / lesson.name / RECEIPT
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(receipt))
