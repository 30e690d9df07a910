"""Run the bank of declared answers: put an answer in a solved lesson's place of the exercise and let its check judge.

`python -m tests.bank` prints the table of the course: exercises, points, CPU seconds, and how the bank fares.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from functools import cache

from nbformat import NotebookNode
from rich.console import Console
from rich.table import Table

from course.config import load_course
from course.editions.build import cpu_seconds
from course.editions.lint import MOST_LINES, code_lines
from course.editions.solved import Solved
from course.editions.source import LONG, is_role, points, read_lesson
from course.exercises import Mistake
from course.exercises import exercises as declared
from course.grading.bridge import studentside
from course.grading.checker.check import check
from course.model import Lesson
from helpers.checks import CheckFailed

COURSE = load_course()


@dataclass(frozen=True)
class Answer:
    """One answer to one exercise, written out, with the hint that it has to get."""

    title: str
    source: str
    hint: str = ""


@dataclass(frozen=True)
class Bank:
    """The bank of one lesson: exercise -> answers."""

    wrong: dict[str, list[Answer]]
    right: dict[str, list[Answer]]


@cache
def bank(lesson: Lesson) -> Bank:
    """Write out the declared answers of a lesson; those that only the hidden cases find out have no hint of their own."""
    solutions = Solved(COURSE, lesson).solutions
    found = declared(lesson.topic)

    def written(name: str, answer: Mistake) -> Answer:
        return Answer(answer.title, answer.source(name, solutions[name]), getattr(answer, "hint", ""))

    return Bank(
        {name: [written(name, a) for a in exercise.mistakes] for name, exercise in found.items()},
        {name: [written(name, a) for a in exercise.right] for name, exercise in found.items()},
    )


@cache
def cells(lesson: Lesson) -> tuple[tuple[str, str, str], ...]:
    """(role, exercise, source) of a lesson's setup, answer and check cells, in order."""
    found = []
    for cell in read_lesson(COURSE, lesson).cells:
        role = next(
            (
                role
                for role in ("setup", "answer", "check")
                if cell.cell_type == "code" and is_role(cell, role)
            ),
            "",
        )
        if role:
            found.append((role, cell.metadata.nbgrader.grade_id.removesuffix("_check"), cell.source))
    return tuple(found)


def exercises(lesson: Lesson) -> list[str]:
    """Names of a lesson's exercises, in order."""
    return [name for role, name, _ in cells(lesson) if role == "check"]


def judge(lesson: Lesson, exercise: str, source: str) -> str:
    """Put an answer in the place of the solution of one exercise and run that exercise's check.

    Args:
        lesson: which lesson.
        exercise: the exercise the answer is for.
        source: Python source that defines the exercise's name.

    Returns:
        The hint; empty if the check, hidden tests included, passes.
    """
    names: dict = {"__name__": "__main__"}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for role, name, text in cells(lesson):
            if role == "setup":
                exec(text, names)
            elif role == "answer":
                exec(source if name == exercise else text, names)
            elif name == exercise:
                try:
                    exec(text, names)
                except CheckFailed as failure:
                    return str(failure)
                return ""
    raise LookupError(f"lesson {lesson.name} has no exercise {exercise!r}")


def judge_from_afar(lesson: Lesson, exercise: str, source: str) -> str:
    """What `judge` does, with the answer on the student's side of the wire; gives the hint."""
    names: dict = {"__name__": "__main__"}
    setup = [text for role, _, text in cells(lesson) if role == "setup"]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for role, name, text in cells(lesson):
            if role == "check" and name == exercise:
                studentside._snapshots[exercise] = names
                verdict = check(exercise, setup, text, studentside.serve)
                return "" if verdict.passed else verdict.hint
            if role == "answer":
                exec(source if name == exercise else text, names)
            elif role == "setup":
                exec(text, names)
    raise LookupError(f"lesson {lesson.name} has no exercise {exercise!r}")


def table() -> Table:
    """The course in numbers: one row a lesson."""
    rows = Table(
        "lesson",
        "exercises",
        "points",
        "CPU s",
        "budget",
        f"cells > {MOST_LINES} lines",
        "wrong rejected",
        "right accepted",
        title="Skip Connections, hands on",
    )
    totals = [0.0] * 5
    for lesson in COURSE.written:
        answers = bank(lesson)
        wrong = [
            answer.hint in (hint := judge(lesson, e, answer.source)) and bool(hint)
            for e, xs in answers.wrong.items()
            for answer in xs
        ]
        right = [not judge(lesson, e, answer.source) for e, xs in answers.right.items() for answer in xs]
        numbers = [
            len(exercises(lesson)),
            points(read_lesson(COURSE, lesson)),
            cpu_seconds(COURSE, lesson),
            lesson.cpu_seconds,
            len(long_cells(read_lesson(COURSE, lesson))),
        ]
        totals = [a + b for a, b in zip(totals, numbers, strict=True)]
        rows.add_row(
            lesson.name,
            *(f"{x:g}" for x in numbers),
            f"{sum(wrong)} / {len(wrong)}",
            f"{sum(right)} / {len(right)}",
        )
    rows.add_section()
    rows.add_row("all", *(f"{round(x, 1):g}" for x in totals))
    return rows


def long_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Cells that are too long to be read at a glance."""
    return [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and cell.id != "bootstrap" and code_lines(cell) > MOST_LINES
    ]


def exceptions() -> list[str]:
    """The cells that may be that long, and why."""
    return [
        f"lesson {lesson.number}, {cell.id}: {code_lines(cell)} lines, {cell.metadata[LONG]}"
        for lesson in COURSE.written
        for cell in long_cells(read_lesson(COURSE, lesson))
        if LONG in cell.metadata
    ]


if __name__ == "__main__":
    Console(width=120).print(table(), *exceptions(), sep="\n")
