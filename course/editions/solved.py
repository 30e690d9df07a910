"""A lesson with its solutions in place: where declared answers are run."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import numpy as np

import helpers.checks
from course.editions.source import is_role, read_lesson
from course.editions.students import without_markers
from course.exercises import Exercise
from course.model import Course, Lesson
from helpers.checks.exercise import Checks, Known, ask, sketch
from helpers.checks.exercise import Exercise as Visible


class Solved:
    """A lesson's names as they are where each exercise stands, and the sources of its solutions."""

    def __init__(self, course: Course, lesson: Lesson):
        self.lesson = lesson
        self.solutions: dict[str, str] = {}
        self._before: dict[str, dict[str, Any]] = {}
        names: dict[str, Any] = {"__name__": "__main__"}
        nothing_yet = {
            lesson.topic: Checks(lesson.topic, '{"exercises": {}}')
        }  # the setup imports what is made here
        for cell in read_lesson(course, lesson).cells:
            if cell.cell_type != "code":
                continue
            if is_role(cell, "setup"):
                with patch.dict(vars(helpers.checks), nothing_yet):
                    _execute(cell.source, names)
            elif is_role(cell, "answer"):
                name = cell.metadata.nbgrader.grade_id
                self.solutions[name] = without_markers(cell.source)
                self._before[name] = dict(names)
                _execute(cell.source, names)

    def defined(self, exercise: str, source: str) -> Any:
        """What an answer's source defines under the exercise's name, in place of the solution."""
        return self.made(exercise, source)[0]

    def made(self, exercise: str, source: str) -> tuple[Any, dict[str, Any]]:
        """The same, and all names as they are then."""
        names = dict(self._before[exercise])
        _execute(source, names)
        return names[exercise], names


def _execute(source: str, names: dict[str, Any]) -> None:
    with quiet():
        exec(compile(source, "<lesson>", "exec"), names)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Run answers as a notebook of finished figures would: no warnings, nothing printed."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def visible(exercise: Exercise, topic: str, solved: Solved) -> Visible:
    """Make the visible check of an exercise: ask its oracle and its mistakes.

    Args:
        exercise: the declaration.
        topic: of its lesson.
        solved: the lesson's names.

    Returns:
        The check, as it will be read back from the recorded file.
    """
    with quiet():
        expected = exercise.expected(exercise.cases)
        known = []
        for mistake in exercise.mistakes:
            if mistake.hint and not mistake.special:
                answer = solved.defined(
                    exercise.name, mistake.source(exercise.name, solved.solutions[exercise.name])
                )
                seen = [ask(answer, case) for case in exercise.cases]
                known.append(
                    Known(
                        mistake.hint,
                        [sketch(*each) for each in zip(exercise.cases, seen, expected, strict=True)],
                    )
                )
    return Visible(topic, exercise.name, exercise.cases, expected, known, exercise.idea)
