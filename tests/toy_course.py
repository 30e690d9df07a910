"""A course of one small lesson in a folder of its own: for tests that collect, grade and break things."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course.config import load_course
from course.editions.build import release
from course.editions.source import read_lesson
from course.grading.gradebook import register
from course.model import Course

FULL = 10.0
PROJECT = r"""
[project]
name = "toy"
[tool.course]
repository = "nobody/nowhere"
ref = "main"
lessons = [{ name = "01_toy", title = "Toy", cpu_seconds = 1 }]
"""


def toy_course(root: Path, registered: bool = True) -> Course:
    """Put up a toy course.

    Args:
        root: an empty folder.
        registered: whether its lesson is in the gradebook already.

    Returns:
        The course; its classroom is in the folder.
    """
    repository = Path(__file__).parents[1]
    (root / "pyproject.toml").write_text(PROJECT)
    shutil.copy(repository / "nbgrader_config.py", root)
    (root / "helpers").symlink_to(repository / "helpers")
    (root / "solutions" / "01_toy").mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "attacks" / "toy.py", root / "solutions" / "01_toy" / "01_toy.py")
    course = load_course(root, root / "classroom")
    (lesson,) = course.lessons
    notebook = read_lesson(course, lesson)
    course.solution(lesson).write_text(nbformat.writes(notebook))
    course.release(lesson).parent.mkdir(parents=True)
    course.release(lesson).write_text(release(course, lesson, nbformat.writes(notebook)))
    if registered:
        register(course, lesson)
    return course


def solve(notebook: NotebookNode, solution: NotebookNode) -> None:
    """Fill the right answers in, without the marks of the solution."""
    right = {c.metadata.get("nbgrader", {}).get("grade_id"): c.source for c in solution.cells}
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            lines = right[cell.metadata.nbgrader.grade_id].splitlines()
            cell.source = "\n".join(line for line in lines if not line.strip().startswith("### "))


def hand_in(course: Course, folder: Path, answers: dict[str, dict[str, str] | None]) -> Path:
    """Write submissions of the toy lesson, one folder a student.

    Args:
        course: the toy.
        folder: where to.
        answers: student -> {grade_id: source}, the rest left blank; None for everything right.

    Returns:
        The folder.
    """
    (lesson,) = course.lessons
    for student, sources in answers.items():
        notebook = nbformat.read(course.release(lesson), as_version=4)
        if sources is None:
            solve(notebook, nbformat.read(course.solution(lesson), as_version=4))
        else:
            for cell in notebook.cells:
                name = cell.metadata.get("nbgrader", {}).get("grade_id")
                cell.source = sources.get(name, cell.source)
        path = folder / student / f"{lesson.name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(nbformat.writes(notebook))
    return folder
