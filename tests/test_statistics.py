"""Intervals, against scipy's own and against how often they hold."""

import numpy as np
import pytest
from scipy import stats

from helpers.statistics import Interval, interval


def test_the_interval_is_scipys():
    values = np.random.default_rng(1).normal(size=7)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = interval(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.mean == pytest.approx(values.mean())


def test_it_holds_the_mean_as_often_as_it_says():
    draws = np.random.default_rng(2).normal(3.0, 2.0, (4000, 5))
    held = np.mean([not interval(row, 0.9).excludes(3.0) for row in draws])
    assert abs(held - 0.9) < 0.02


def test_it_prints_and_refuses():
    assert f"{Interval(0.5, 0.25, 0.75):.2f}" == "0.50 [0.25, 0.75]"
    with pytest.raises(ValueError, match="at least two values"):
        interval(np.ones(1))
    with pytest.raises(ValueError, match=r"level is 95: .*0\.95 for 95 %"):
        interval(np.ones(3), 95)


def test_a_run_that_diverged_proves_no_difference():
    assert not interval(np.array([1.0, 2.0, np.nan])).excludes(0)
