"""The open questions of a lesson, as a reader needs them: what is asked, the rubric's levels, the sample answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from course.editions.names import exercise_names
from course.editions.students import without_markers
from course.model import Course, CourseError, Lesson

_SCHEME = re.compile(r"^=== BEGIN MARK SCHEME ===$(.*?)^=== END MARK SCHEME ===$", re.MULTILINE | re.DOTALL)
_LEVEL = re.compile(r"^- (\d+(?:\.\d+)?)(?: points?)?: (.*(?:\n(?:  .*|(?=\n)))*)", re.MULTILINE)
_HEADING = re.compile(r"\A### .*\n+")


@dataclass(frozen=True)
class Level:
    """One level of a rubric: what earns how many points, in markdown."""

    points: float
    text: str


@dataclass(frozen=True)
class Question:
    """An open question.

    Args:
        lesson: name of its lesson.
        name: as it is written in the lesson's text.
        title: what people call it.
        points: at most.
        text: what is asked, in markdown.
        levels: of the rubric, from few points to many.
        notes: what else the rubric says, such as misconceptions, in markdown.
        sample: an answer that earns all points, in markdown.
    """

    lesson: str
    name: str
    title: str
    points: float
    text: str = field(repr=False)
    levels: tuple[Level, ...] = field(repr=False)
    notes: str = field(repr=False)
    sample: str = field(repr=False)

    @property
    def grade_id(self) -> str:
        """nbgrader's name of the cell that is marked."""
        return f"{self.name}_response"

    def keys(self) -> tuple[str, ...]:
        """The key of each level: its points where these are single figures, else its place; none beyond nine."""
        points = [level.points for level in self.levels]
        if all(p == int(p) and 0 <= p <= 9 for p in points):
            return tuple(str(int(p)) for p in points)
        return tuple(str(place) if place <= 9 else "" for place in range(1, len(points) + 1))


def questions(course: Course, lesson: Lesson) -> list[Question]:
    """Read a lesson's open questions from its instructor edition.

    Args:
        course: the checkout.
        lesson: which.

    Returns:
        In the order of the lesson.

    Raises:
        CourseError: if the lesson is not built.
    """
    path = course.solution(lesson)
    if not path.is_file():
        raise CourseError(f"{path} does not exist: run `course build {lesson.name}` first")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    names = exercise_names(cells)
    known: dict[str, dict[str, Any]] = {
        str(cell["metadata"]["nbgrader"]["grade_id"]): cell
        for cell in cells
        if "grade_id" in cell["metadata"].get("nbgrader", {})
    }
    return [
        _question(lesson.name, grade_id.removesuffix("_response"), names[grade_id], known)
        for grade_id in known
        if grade_id.endswith("_response")
    ]


def _question(lesson: str, name: str, title: str, cells: dict[str, dict[str, Any]]) -> Question:
    asked = "".join(cells[f"{name}_question"]["source"]) if f"{name}_question" in cells else ""
    response = cells[f"{name}_response"]
    points = float(response["metadata"]["nbgrader"]["points"])
    scheme = "".join(_SCHEME.findall(asked)).strip()
    sample = without_markers("".join(response["source"])).strip()
    levels, notes = rubric(scheme, points)
    return Question(
        lesson, name, title, points, _HEADING.sub("", _SCHEME.sub("", asked)).strip(), levels, notes, sample
    )


def rubric(scheme: str, points: float) -> tuple[tuple[Level, ...], str]:
    """Take a mark scheme apart.

    Args:
        scheme: lines such as `- 2: names both`, and whatever else a reader should know.
        points: at most.

    Returns:
        The levels by points, and the rest. A scheme without levels gives a level a whole point.
    """
    levels = {
        float(found[1]): Level(float(found[1]), re.sub(r"\n\s+", "\n", found[2]).strip())
        for found in _LEVEL.finditer(scheme)
        if float(found[1]) <= points
    }
    if not levels:
        levels = {float(p): Level(float(p), "") for p in range(int(points) + 1)} | {points: Level(points, "")}
    return tuple(levels[p] for p in sorted(levels)), _LEVEL.sub("", scheme).strip()
