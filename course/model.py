"""The facts of the course, read from `[tool.course]` of pyproject.toml, and where its files lie."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path


class CourseError(Exception):
    """Something the instructor can mend; the message names the thing, the value and the way out."""


@dataclass(frozen=True)
class Lesson:
    """One lesson: its folder's name, title, minutes for a learner and CPU budget in seconds."""

    name: str
    title: str
    minutes: int
    cpu_seconds: float

    @property
    def number(self) -> int:
        """Position in the course, from 1."""
        return int(self.name.partition("_")[0])

    @property
    def topic(self) -> str:
        """Name without the number: the name of its module of checks."""
        return self.name.partition("_")[2]


@dataclass(frozen=True)
class Course:
    """A checkout of the course."""

    root: Path
    repository: str
    ref: str
    lessons: tuple[Lesson, ...] = field(repr=False)
    classroom: Path  # what grading leaves behind: submissions, feedback, the gradebook

    def lesson(self, name: str) -> Lesson:
        """Find a lesson by its name or number.

        Raises:
            CourseError: if there is none.
        """
        for lesson in self.lessons:
            if name in (lesson.name, str(lesson.number), lesson.topic):
                return lesson
        names = ", ".join(lesson.name for lesson in self.lessons)
        raise CourseError(f"there is no lesson {name!r}; the lessons are: {names}")

    def source(self, lesson: Lesson) -> Path:
        """The lesson's text, the one that is written by hand."""
        return self.root / "solutions" / lesson.name / f"{lesson.name}.py"

    def solution(self, lesson: Lesson) -> Path:
        """The instructor edition, built and executed."""
        return self.source(lesson).with_suffix(".ipynb")

    def release(self, lesson: Lesson) -> Path:
        """The student edition."""
        return self.root / "notebooks" / lesson.name / f"{lesson.name}.ipynb"

    @property
    def written(self) -> tuple[Lesson, ...]:
        """The lessons whose text exists."""
        return tuple(lesson for lesson in self.lessons if self.source(lesson).exists())

    def badge(self, lesson: Lesson) -> str:
        """The markdown of the badge that opens the student edition in Colab."""
        path = self.release(lesson).relative_to(self.root).as_posix()
        address = f"https://colab.research.google.com/github/{self.repository}/blob/{self.ref}/{path}"
        return f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({address})"


def load_course(root: Path | None = None, classroom: Path | None = None) -> Course:
    """Read the course from a checkout.

    Args:
        root: the checkout; by default the one this package is installed from.
        classroom: where grading works; by default $COURSE_CLASSROOM, else `classroom/` in the checkout.

    Returns:
        The course.

    Raises:
        CourseError: if there is no pyproject.toml with a `[tool.course]` table.
    """
    root = (root or Path(__file__).resolve().parent.parent).resolve()
    project = root / "pyproject.toml"
    if not project.is_file():
        raise CourseError(
            f"{root} holds no pyproject.toml: run `course` from a checkout, installed by `pip install -e . -e course`"
        )
    table = tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {}).get("course")
    if table is None:
        raise CourseError(f"{project} has no [tool.course] table")
    lessons = tuple(Lesson(**entry) for entry in table["lessons"])
    classroom = classroom or Path(os.environ.get("COURSE_CLASSROOM", root / "classroom"))
    return Course(root, table["repository"], table["ref"], lessons, classroom.resolve())
