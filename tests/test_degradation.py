"""Lesson 1 opens with what lesson 7 measures: the numbers that it draws are those that lesson 7 printed."""

import re

import nbformat
import numpy as np
import pytest

from course.config import load_course
from helpers.degradation_figures import losses_by_depth, of_lesson_7
from helpers.figures import png

COURSE = load_course()


def test_the_picture_that_lesson_1_opens_with_is_lesson_7s():
    lesson = COURSE.lesson("07_residual_networks")
    printed = "".join(
        output.get("text", "")
        for cell in nbformat.read(COURSE.solution(lesson), as_version=4).cells
        for output in cell.get("outputs", [])
    )
    rows = re.findall(
        r"^(plain|residual) +depth +(\d+) +training loss ([\d.]+) ± ([\d.]+)", printed, re.MULTILINE
    )
    assert len(rows) == 6
    losses = of_lesson_7()
    for kind, depth, mean, spread in rows:
        stored = losses[kind][[2, 8, 24].index(int(depth))]
        assert len(stored) == 5
        # Where training fails, rounding decides how badly: on another processor the same seeds are other draws.
        error = float(spread) / len(stored) ** 0.5
        assert np.mean(stored) == pytest.approx(float(mean), rel=0, abs=error + 1e-4)
        assert np.std(stored, ddof=1) == pytest.approx(float(spread), rel=0.2, abs=1e-4)


def test_it_can_be_drawn():
    assert png(losses_by_depth((2, 8, 24), of_lesson_7(), "a title"))[:4] == b"\x89PNG"
