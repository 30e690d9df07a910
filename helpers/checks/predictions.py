"""Predictions: what a learner writes down before a cell computes it, and what it turned out to be.

A notebook says `predict("death", ...)`, where the learner puts a number or a word in place of the dots; the cell that
finds out ends with `reveal("death", death)`. No point hangs on it, and nothing is kept but in the running kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from helpers.checks.core import say, shown

NOTHING_YET = "No prediction yet: put yours in place of the ... above, and run both cells."


@dataclass(frozen=True)
class Prediction:
    """A guess, and whether it was right; None while the result is not there."""

    guess: float | str
    right: bool | None = None


class Predictions:
    """What was predicted in this notebook, by name."""

    def __init__(self) -> None:
        self.made: dict[str, Prediction] = {}

    def predict(self, name: str, guess: Any, choices: Sequence[str] = ()) -> None:
        """Write a prediction down. The one that counts is the last before its result was seen.

        Args:
            name: of what is predicted.
            guess: a number, or one of the choices; `...` is none yet.
            choices: the words to choose from, where no number is asked for.
        """
        if guess is ... or guess is None:
            return
        understood = _understood(guess, choices)
        if understood is None:
            asked = f"one of {_listed(choices)}" if choices else "a number"
            say(f"Your prediction is {shown(guess, 40)}, and it should be {asked}.")
            return
        before = self.made.get(name)
        if before is None or before.right is None:
            self.made[name] = Prediction(understood)
        elif before.guess != understood:
            say(f"You said {_written(before.guess)} before you saw the result, and that one counts.")

    def reveal(self, name: str, found: Any, within: float = 0.0, factor: float = 1.0) -> None:
        """Say in a line what was predicted and what it is.

        Args:
            name: as in `predict`.
            found: the result, a number or one of the choices.
            within: how far off a number may be and still be right.
            factor: by what factor it may be too large or too small and still be right.
        """
        before = self.made.get(name)
        if before is None:
            say(NOTHING_YET)
            return
        truth = found if isinstance(found, str) else float(found)
        right, room = _agree(before.guess, truth, within, factor)
        self.made[name] = Prediction(before.guess, right)
        said, is_so = _written(before.guess), _written(truth)
        if right and said == is_so:
            say(f"You said {said}, and it is {is_so}: right.")
        elif right:
            say(f"You said {said}; it is {is_so}: right ({room} counts).")
        else:
            say(f"You said {said}; it is {is_so}" + (f" ({room} counts as right)." if room else "."))

    def right(self, names: Sequence[str]) -> int:
        """How many of these predictions were right."""
        return sum(self.made[name].right is True for name in names if name in self.made)

    def missing(self, names: Sequence[str]) -> int:
        """How many of these were not made, or not compared with their result."""
        return sum(name not in self.made or self.made[name].right is None for name in names)


def _understood(guess: Any, choices: Sequence[str]) -> float | str | None:
    """The guess as a number or a choice; None if it is neither."""
    if choices:
        words = {" ".join(choice.split()).casefold(): choice for choice in choices}
        return words.get(" ".join(guess.split()).casefold()) if isinstance(guess, str) else None
    if isinstance(guess, bool):
        return None
    try:
        number = float(guess)
    except (TypeError, ValueError, RuntimeError):
        return None
    return None if math.isnan(number) else number


def _agree(guess: float | str, found: float | str, within: float, factor: float) -> tuple[bool, str]:
    """Whether a guess is right, and what counts as right, in words; empty if it is the result alone."""
    if isinstance(guess, str) or isinstance(found, str):
        return guess == found, ""
    low, high = sorted((found / factor, found * factor))
    low, high = min(low, found - within), max(high, found + within)
    slack = 1e-9 * max(abs(low), abs(high))  # a guess on the edge is right, however it was rounded
    right = guess == found or low - slack <= guess <= high + slack
    return right, f"{_written(low)} to {_written(high)}" if low < high else ""


def _written(value: float | str) -> str:
    """A prediction or a result, as a line shows it: whole numbers whole, others with three digits."""
    if isinstance(value, str):
        return f'"{value}"'
    if math.isfinite(value) and abs(value) < 1e15 and value == int(value):
        return f"{int(value):,}" if abs(value) >= 100_000 else f"{int(value)}"
    return f"{value:.3g}"


def _listed(choices: Sequence[str]) -> str:
    """The choices in quotes, with an "or" before the last."""
    quoted = [f'"{choice}"' for choice in choices]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else quoted[0]


NOTEBOOK = Predictions()  # a kernel runs one notebook
predict, reveal = NOTEBOOK.predict, NOTEBOOK.reveal
