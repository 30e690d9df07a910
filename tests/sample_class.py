"""A small class, made from the release by recipe so that it never goes stale; its scores are stated by hand.

Lessons 1 and 5 are handed in by every student but two: `max` sends a file cut short, `nora` nothing at all.
"""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course.config import load_course
from course.csvfile import write_csv
from course.editions.source import is_role
from course.editions.students import without_markers
from course.model import Lesson
from tests.bank import bank, cells, exercises

COURSE = load_course()
LESSONS = (COURSE.lesson("1"), COURSE.lesson("5"))

ENDLESS = "while True:\n    pass\n"

# What the autograder has to give for (lesson 1, lesson 5); the open questions (3 and 7 points) wait for a person.
FULL = (15.0, 20.0)
SCORES = {
    "ada": FULL,  # everything right
    "blaise": (8.0, 8.0),  # the first two exercises, the rest left blank
    "carl": (0.0, 0.0),  # every answer wrong
    "dora": (0.0, 0.0),  # blank
    "emmy": (11.0, 15.0),  # the first answer's cell imports a module that does not exist
    "felix": (12.0, 16.0),  # the last answer's cell never ends
    "grace": FULL,  # right, and prints a lot, also to stderr
    "henri": FULL,  # right, with cells of his own in between
    "ida": FULL,  # right, saved by Colab
    "jan": FULL,  # right, with every check cell deleted
    "kim": (11.0, 15.0),  # the first function renamed
    "lea": FULL,  # right, written differently
}


@cache
def _release(lesson: Lesson) -> str:
    return COURSE.release(lesson).read_text(encoding="utf-8")


def solutions(lesson: Lesson) -> dict[str, str]:
    """Sources of a lesson's answer cells by grade_id, without the marks of the solution."""
    return {
        name: without_markers(source).rstrip() for role, name, source in cells(lesson) if role == "answer"
    }


def filled(lesson: Lesson, answers: dict[str, str]) -> NotebookNode:
    """The student edition with these answers typed in."""
    notebook = nbformat.reads(_release(lesson), as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code" and is_role(cell, "answer"):
            cell.source = answers.get(cell.metadata.nbgrader.grade_id, cell.source)
        elif cell.cell_type == "markdown" and is_role(cell, "response") and answers:
            cell.source = "Because the gradient has a second way back."
    return notebook


def _all_right(lesson: Lesson) -> NotebookNode:
    return filled(lesson, solutions(lesson))


def _half_done(lesson: Lesson) -> NotebookNode:
    return filled(lesson, {name: solutions(lesson)[name] for name in exercises(lesson)[:2]})


def _wrong(lesson: Lesson) -> NotebookNode:
    return filled(lesson, {name: bank(lesson).wrong[name][0].source for name in exercises(lesson)})


def _blank(lesson: Lesson) -> NotebookNode:
    return filled(lesson, {})


def _changed(change: Callable[[str], str], position: int) -> Callable[[Lesson], NotebookNode]:
    """All right, but for a change to the answer at this position."""

    def make(lesson: Lesson) -> NotebookNode:
        answers = solutions(lesson)
        name = exercises(lesson)[position]
        return filled(lesson, answers | {name: change(answers[name])})

    return make


def _noisy(lesson: Lesson) -> NotebookNode:
    noise = 'import sys\nprint("noise " * 20_000)\nprint("careful", file=sys.stderr)\n'
    return filled(lesson, {name: noise + source for name, source in solutions(lesson).items()})


def _extra_cells(lesson: Lesson) -> NotebookNode:
    notebook = _all_right(lesson)
    for position in (len(notebook.cells), len(notebook.cells) // 2, 1):
        notebook.cells.insert(
            position, nbformat.v4.new_code_cell("my_list = [i**2 for i in range(5)]\nmy_list")
        )
        notebook.cells.insert(
            position, nbformat.v4.new_markdown_cell("A note to myself: **ask** about this.")
        )
    return notebook


def _from_colab(lesson: Lesson) -> NotebookNode:
    notebook = _all_right(lesson)
    badge = '<a href="https://colab.research.google.com/"><img src="https://colab.research.google.com/assets/colab-badge.svg"/></a>'
    notebook.cells.insert(
        0, nbformat.v4.new_markdown_cell(badge, metadata={"id": "view-in-github", "colab_type": "text"})
    )
    notebook.metadata.colab = {"provenance": [], "include_colab_link": True}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            user = {"displayName": "Ida Rhodes", "userId": "0123"}
            cell.metadata.executionInfo = {
                "elapsed": 7,
                "status": "ok",
                "timestamp": 0,
                "user": user,
                "user_tz": 0,
            }
        cell.pop("id")
    notebook.nbformat_minor = 0
    return notebook


def _no_checks(lesson: Lesson) -> NotebookNode:
    notebook = _all_right(lesson)
    notebook.cells = [
        cell for cell in notebook.cells if not (cell.cell_type == "code" and is_role(cell, "check"))
    ]
    return notebook


def _right_differently(lesson: Lesson) -> NotebookNode:
    right = {name: bank(lesson).right[name][0].source for name in exercises(lesson)}
    return filled(lesson, solutions(lesson) | right)


def _rename(source: str) -> str:
    name = next(
        line.split()[1].partition("(")[0]
        for line in source.splitlines()
        if line.startswith(("def ", "class "))
    )
    return source.replace(name, f"my_{name}")


RECIPES: dict[str, Callable[[Lesson], NotebookNode]] = {
    "ada": _all_right,
    "blaise": _half_done,
    "carl": _wrong,
    "dora": _blank,
    "emmy": _changed(lambda source: f"import module_that_does_not_exist\n{source}", 0),
    "felix": _changed(lambda source: ENDLESS + source, -1),
    "grace": _noisy,
    "henri": _extra_cells,
    "ida": _from_colab,
    "jan": _no_checks,
    "kim": _changed(_rename, 0),
    "lea": _right_differently,
}

FILE_NAMES = {
    "blaise": "Copy of {}.ipynb",
    "henri": "{} (1).ipynb",
    "kim": "{}.ipynb.txt",
    "lea": "{}_FINAL.IPYNB",
}


def submission(student: str, lesson: Lesson) -> str:
    """What a student hands in, as the text of the file."""
    return json.dumps(copy.deepcopy(RECIPES[student](lesson)), ensure_ascii=False)


def messy_zip(path: Path) -> Path:
    """Write the class as one zip: a folder a student, files named as people name them.

    Args:
        path: the zip to write.

    Returns:
        The same path.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for student in RECIPES:
            for lesson in LESSONS:
                name = FILE_NAMES.get(student, "{}.ipynb").format(lesson.name)
                archive.writestr(f"class/{student}/{name}", submission(student, lesson))
        archive.writestr("class/max/05_skip_connection.ipynb", submission("ada", LESSONS[1])[:20000])
        archive.writestr("class/max/notes.txt", "sorry, my laptop")
        archive.writestr("__MACOSX/class/._ada", "")
    return path


def roster(path: Path) -> Path:
    """Write the class list, with `nora`, who hands in nothing."""
    write_csv(
        path,
        ["id", "first_name"],
        [{"id": name, "first_name": name.title()} for name in [*RECIPES, "max", "nora"]],
    )
    return path
