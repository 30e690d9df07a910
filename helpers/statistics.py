"""What a handful of repeated runs can say: a mean and the interval that it may lie in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval; `f"{interval:.3f}"` gives "0.032 [0.012, 0.052]"."""

    mean: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        return f"{self.mean:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def excludes(self, value: float) -> bool:
        """Tell whether a value lies outside; an interval of a run that diverged (NaN) excludes nothing."""
        return value < self.low or value > self.high


def interval(values: np.ndarray, level: float = 0.95) -> Interval:
    """Give the mean of repeated runs with Student's confidence interval.

    Args:
        values: one number a run, at least two; differences where runs are paired.
        level: how often, in the long run, such an interval holds the true mean, between 0 and 1.

    Returns:
        Mean and interval, in the units of the values.

    Raises:
        ValueError: for fewer than two values, or another level.

    Source:
        Student, "The Probable Error of a Mean", Biometrika 6 (1908).
    """
    values = np.asarray(values, float)
    if values.size < 2:
        raise ValueError(f"an interval needs at least two values, here are {values.size}: run more seeds")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: give a share between 0 and 1, such as 0.95 for 95 %")
    half = stats.t.ppf((1 + level) / 2, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size)
    return Interval(float(values.mean()), float(values.mean() - half), float(values.mean() + half))
