"""Checks: what each lesson's exercises are asked, and what is said where an answer is not right yet.

A notebook says `from helpers.checks import iterated_convolution as check`, then
`check.spectral_radius(spectral_radius)`. What is asked stands in `recorded/`, one file a lesson.
"""

from functools import cache
from importlib.resources import files
from typing import Any

from helpers.checks.core import CheckFailed, beside, call, close, equal, expect, gradient, shown
from helpers.checks.predictions import predict, reveal
from helpers.checks.stand_ins import give_up
from helpers.checks.standing import progress

__all__ = [
    "CheckFailed",
    "beside",
    "call",
    "close",
    "equal",
    "expect",
    "give_up",
    "gradient",
    "predict",
    "progress",
    "reveal",
    "shown",
]


def __getattr__(name: str) -> Any:
    """Give the checks of a lesson by its topic; they are read when they are first asked for."""
    recorded = files(__name__).joinpath("recorded", f"{name}.json")
    if name.startswith("_") or not recorded.is_file():
        raise AttributeError(f"there are no checks for a lesson with the topic {name!r}")
    return _checks(name, recorded.read_text(encoding="utf-8"))


@cache
def _checks(topic: str, recorded: str) -> Any:
    from helpers.checks.exercise import Checks
    from helpers.checks.notebook import watch

    checks = Checks(topic, recorded)
    watch({name: exercise.number for name, exercise in checks.exercises.items()})
    return checks
