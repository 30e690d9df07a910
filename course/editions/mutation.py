"""`course mutate`: how much of what is wrong do the checks notice, and do they accept all that is right?"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

from rich.table import Table

from course.editions.mutants import CONDITIONAL, mutants
from course.editions.solved import Solved, quiet
from course.editions.trial import Judged, Trial, judge, trials
from course.exercises import Exercise, Mistake, Right
from course.model import Course, CourseError, Lesson
from helpers.checks.exercise import Exercise as Visible

SECONDS = 1.5  # of computing that a mutant may take: a loop that does not end is noticed, too
VISIBLE, HIDDEN = 85, 95  # percent of the mutants that visible checks alone, and all checks, have to notice


@dataclass(frozen=True)
class Score:
    """What the checks of one exercise noticed."""

    lesson: str
    exercise: str
    trial: Trial
    visibly: int  # mutants that the visible cases notice
    hidden: int  # that only the hidden ones do
    survivors: tuple[str, ...]  # nobody notices
    equivalent: tuple[str, ...]  # declared: they are right
    undeclared: tuple[str, ...]  # declared as equivalent, and noticed or not there
    seeds: int  # of hidden cases, fresh
    refused: tuple[str, ...]  # right answers that failed one of them

    @property
    def mutants(self) -> int:
        """How many count."""
        return self.visibly + self.hidden + len(self.survivors)

    @property
    def own_hints(self) -> tuple[int, int]:
        """Mistakes that are told what they should be told, of how many."""
        judged = [each for each in self.trial.judged if isinstance(each.answer, Mistake)]
        return sum(not each.problem for each in judged), len(judged)

    @property
    def accepted(self) -> tuple[int, int]:
        """Right answers that pass, of how many, the solution among them."""
        judged = [each for each in self.trial.judged if isinstance(each.answer, Right)]
        return sum(not each.problem for each in judged), len(judged)

    @property
    def problems(self) -> list[str]:
        """One sentence each: answers misjudged, mutants that nobody notices, and lists that are out of date."""
        where = f"{self.lesson}, {self.exercise}"
        return [
            *(f"{self.lesson}: {problem}" for problem in self.trial.problems),
            *(f"{where}: nobody notices  {change}" for change in self.survivors),
            *(
                f"{where}: declared as equivalent, but noticed or not there:  {change}"
                for change in self.undeclared
            ),
            *(f"{where}: {answer}" for answer in self.refused),
        ]


def scores(course: Course, lesson: Lesson, seeds: int = 0) -> Iterator[Score]:
    """Measure the checks of a lesson.

    Args:
        course: the checkout.
        lesson: which lesson.
        seeds: how many fresh draws of the hidden cases every right answer is put to.

    Yields:
        One score an exercise.

    Raises:
        CourseError: where there is no timer to stop a mutant that does not end.
    """
    if not hasattr(signal, "setitimer"):
        raise CourseError(
            "mutants that do not end are stopped by a timer that Windows lacks: run `course mutate` in WSL 2"
        )
    solved = Solved(course, lesson)
    for trial in trials(solved):
        exercise, name = trial.exercise, trial.exercise.name
        noticed = who_notices(exercise, trial.visible, solved)
        equivalent = [change for change in noticed[""] if change in exercise.equivalent]
        refused = [
            f"{each.answer.title!r} fails the hidden cases of seed {seed}: {said}"
            for each in trial.judged
            if isinstance(each.answer, Right)
            for seed, said in _fresh(trial, solved, each, seeds)
        ]
        yield Score(
            lesson.name,
            name,
            trial,
            len(noticed["visibly"]),
            len(noticed["hidden"]),
            tuple(change for change in noticed[""] if change not in exercise.equivalent),
            tuple(equivalent),
            tuple(sorted(set(exercise.equivalent) - set(equivalent))),
            seeds,
            tuple(refused),
        )


def who_notices(exercise: Exercise, check: Visible, solved: Solved) -> dict[str, list[str]]:
    """Put all mutants of a solution to its check.

    Args:
        exercise: the declaration.
        check: its visible check.
        solved: the lesson's names and solutions.

    Returns:
        "visibly", "hidden" or "" (nobody) -> what was changed. What changed nothing, since nothing was there to be
        detached or rounded, is left out.
    """
    found: dict[str, list[str]] = {"visibly": [], "hidden": [], "": []}
    for mutant in mutants(solved.solutions[exercise.name]):
        names: dict[str, Any] = {}
        try:
            with _limited():
                answer, names = solved.made(exercise.name, mutant.source)
                visibly, hidden = judge(exercise, check, answer)
        except (Exception, TooLong):  # it cannot even be defined, or does not end
            visibly, hidden = "stopped", ""
        idle = any(word in mutant.change for word in CONDITIONAL) and not names.get("_effects")
        if visibly or hidden or not idle:
            found["visibly" if visibly else "hidden" if hidden else ""].append(mutant.change)
    return found


def _fresh(trial: Trial, solved: Solved, right: Judged, seeds: int) -> Iterator[tuple[int, str]]:
    """Those fresh draws of the hidden cases that refuse a right answer."""
    answer = solved.defined(right.exercise, right.source)
    for seed in range(seeds):
        with quiet():
            said = trial.exercise.hidden_hint(answer, seed)
        if said:
            yield seed, said


class TooLong(BaseException):
    """A mutant does not end."""


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Stop what computes for too long."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise TooLong

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def table(found: list[Score]) -> Table:
    """The scores, one row an exercise and one a lesson."""
    columns = (
        "exercise",
        "mistakes, own hint",
        "right, accepted",
        "mutants",
        "noticed visibly",
        "with hidden",
        "equivalent",
        "fresh seeds, refused",
    )
    rows = Table(*columns, title="What the checks notice")
    for lesson in dict.fromkeys(score.lesson for score in found):
        ours = [score for score in found if score.lesson == lesson]
        for score in ours:
            rows.add_row(score.exercise, *_cells([score]))
        rows.add_row(lesson, *_cells(ours), style="bold", end_section=True)
    rows.add_row("all", *_cells(found), style="bold")
    return rows


def _cells(found: list[Score]) -> list[str]:
    """The numbers of a row."""
    hints = [sum(pair) for pair in zip(*(score.own_hints for score in found), strict=True)]
    right = [sum(pair) for pair in zip(*(score.accepted for score in found), strict=True)]
    visibly, hidden = sum(s.visibly for s in found), sum(s.hidden for s in found)
    mutants = sum(s.mutants for s in found)
    share = [100 * noticed / mutants if mutants else 100.0 for noticed in (visibly, visibly + hidden)]
    return [
        f"{hints[0]} of {hints[1]}",
        f"{right[0]} of {right[1]}",
        str(mutants),
        f"{share[0]:.0f} %",
        f"{share[1]:.0f} %",
        str(sum(len(s.equivalent) for s in found)),
        f"{found[0].seeds}, {sum(len(s.refused) for s in found)}",
    ]
