"""Put every known answer of a lesson to its check: is what is right accepted, what is wrong rejected with its own hint?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from course.editions.solved import Solved, quiet, visible
from course.exercises import Exercise, Mistake, Right, Written, exercises
from helpers.checks.exercise import Exercise as Visible


@dataclass(frozen=True)
class Judged:
    """What became of one answer."""

    exercise: str
    answer: Written
    source: str
    hint: str  # of the visible check
    hidden_hint: str  # of the hidden cases, where the visible ones pass

    @property
    def problem(self) -> str:
        """What is wrong with the exercise, to judge by this answer; empty if it is told what it should be told."""
        answer = self.answer
        if isinstance(answer, Right):
            said = self.hint or self.hidden_hint
            return f"is right, and is told: {said}" if said else ""
        assert isinstance(answer, Mistake)
        if answer.special:
            return (
                "fails visibly, or passes the hidden cases too" if self.hint or not self.hidden_hint else ""
            )
        if not self.hint:
            return f"passes visibly{', and the hidden cases too' if not self.hidden_hint else ''}"
        own = not answer.hint or self.hint == answer.hint or self.hint.startswith(f"{answer.hint} (")
        return "" if own else f"is told something else: {self.hint}"


@dataclass(frozen=True)
class Trial:
    """What became of all answers to one exercise."""

    exercise: Exercise
    visible: Visible
    judged: tuple[Judged, ...]

    @property
    def problems(self) -> list[str]:
        """One sentence an answer that is not judged as it should be."""
        return [f"{self.exercise.name}, {j.answer.title!r}: {j.problem}" for j in self.judged if j.problem]


def judge(exercise: Exercise, check: Visible, answer: Any) -> tuple[str, str]:
    """What an answer is told: by the visible check and, where that passes, by the hidden cases."""
    with quiet():
        hint = check.hint(answer)
        return hint, "" if hint else exercise.hidden_hint(answer)


def trials(solved: Solved) -> Iterator[Trial]:
    """Judge all declared answers of a lesson, the solution as the first of the right ones.

    Args:
        solved: the lesson's names and solutions.

    Yields:
        One trial an exercise.
    """
    topic = solved.lesson.topic
    for name, exercise in exercises(topic).items():
        check, solution = visible(exercise, topic, solved), solved.solutions[name]
        judged = []
        for answer in (Right("the solution", solution), *exercise.right, *exercise.mistakes):
            source = answer.source(name, solution)
            judged.append(Judged(name, answer, source, *judge(exercise, check, solved.defined(name, source))))
        yield Trial(exercise, check, tuple(judged))
