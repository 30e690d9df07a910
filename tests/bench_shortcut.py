"""How near lesson 6's shortcut layer comes to the speed of memory: `python tests/bench_shortcut.py`, and on the page of `tests.bench`.

Forward and backward, equal shapes, linear activation, against two marks: the plain NumPy formula, and the floor, the time
in which eight passes over one of the arrays can be copied (forward reads two and writes one, backward reads three and
writes two). The three take turns, so that a busy moment of the machine meets all of them; medians are printed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers import shortcut
from tests.bank import COURSE, cells

SHAPES = [((5, 100, 100, 3), 400), ((32, 64, 64, 64), 15)]  # with the number of rounds
PASSES = 8
ALPHA, BETA = 0.75, 0.5


def solution() -> type:
    """The layer of the lesson's solution, from its text."""
    lesson = next(lesson for lesson in COURSE.lessons if lesson.name == "06_shortcut_layer")
    names: dict = {"__name__": "lesson"}
    for role, _, source in cells(lesson):
        if role in ("setup", "answer"):
            exec(source, names)
    return names["Shortcut"]


def measure(make: type, shape: tuple[int, ...], dtype: str, rounds: int) -> tuple[float, float, float]:
    """Time the layer, the plain formula and the floor in turn.

    Args:
        make: the layer's class.
        shape: of every array.
        dtype: "float32" or "float64".
        rounds: how often each is timed.

    Returns:
        Median seconds of forward and backward by the layer, by the formula, and of eight passes.
    """
    rng = np.random.default_rng(0)
    x1, x2, gradient, gradient1, gradient2, target = (rng.normal(size=shape).astype(dtype) for _ in range(6))
    layer = make(ALPHA, BETA)

    def by_layer() -> None:
        layer.forward(x1, x2)
        layer.backward(gradient, gradient1, gradient2)

    def by_formula() -> None:
        nonlocal gradient1, gradient2
        layer.output = ALPHA * x1 + BETA * x2
        gradient1 += ALPHA * gradient
        gradient2 += BETA * gradient

    def copy() -> None:
        np.copyto(target, x1)

    own, formula, copied = shortcut.median_seconds([by_layer, by_formula, copy], rounds, time.perf_counter)
    return own, formula, copied * PASSES / 2  # a copy reads one array and writes one


HEADER = ["shape", "dtype", "layer, ms", "formula, ms", "floor, ms", "layer : formula", "layer : floor"]


def rows() -> Iterator[list[str]]:
    """Measure; give the cells below `HEADER`, a shape and dtype a row."""
    make = solution()
    for shape, rounds in SHAPES:
        for dtype in ("float32", "float64"):
            own, formula, floor = measure(make, shape, dtype, rounds)
            times = (f"{1e3 * seconds:.2f}" for seconds in (own, formula, floor))
            yield [str(shape), dtype, *times, f"{own / formula:.2f}", f"{own / floor:.2f}"]


def main() -> None:
    """Print the table."""
    table = Table(*HEADER)
    for row in rows():
        table.add_row(*row)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
