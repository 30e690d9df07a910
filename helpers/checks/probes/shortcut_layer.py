"""Probes of lesson 6: what a shortcut layer gives, and what it leaves of its arrays."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from helpers.checks.core import CheckFailed, beside, call
from helpers.checks.probes import CONDUCT, conduct_beside, drawn, refusal, refusal_beside

Shape = tuple[int, ...]
KEPT = "inputs kept", "gradient kept", "output kept"


def overlap_refused(answer: Any, shape1: Shape, shape2: Shape) -> dict[str, Any]:
    """What is raised for two shapes that do not fit, and whether its text holds the numbers of both."""
    raised, text = refusal(answer, shape1, shape2).values()
    return {"the exception": raised, "the names": all(_names(text, shape) for shape in (shape1, shape2))}


def _names(text: str, shape: Shape) -> bool:
    """Tell whether a text holds the numbers of a shape one after the other."""
    numbers, wanted = re.findall(r"\d+", text), [str(n) for n in shape]
    return any(numbers[i : i + len(wanted)] == wanted for i in range(len(numbers)))


def layer(
    answer: Any,
    settings: dict[str, Any],
    shapes: Sequence[tuple[Shape, Shape]],
    backward: bool,
    dtype: str = "float64",
    seed: int | None = 0,
) -> dict[str, Any]:
    """Run one layer for one pair of shapes after the other; arrays of ones where the seed is None."""
    passes = []
    for number, (one, two) in enumerate(shapes):
        wanted = enumerate((one, two, one, one, two) if backward else (one, two), 5 * number)
        passes.append(
            [np.ones(s, dtype) if seed is None else drawn(seed + i, *s, dtype=dtype) for i, s in wanted]
        )
    try:
        seen = beside(answer, layer_beside, answer, settings, passes)
    except NotImplementedError:
        return call(beside, answer, layer_beside, answer, settings, passes)
    except Exception as error:
        given = ", then ".join(f"x1 {one} and x2 {two}" for one, two in shapes)
        raise CheckFailed(
            f"The layer raised {type(error).__name__}: {error}. It was given {given}."
        ) from error
    return seen[0] if len(seen) == 1 else {name: [parts[name] for parts in seen] for name in seen[0]}


def layer_beside(
    make: Callable[..., Any], settings: dict[str, Any], passes: Sequence[Sequence[np.ndarray]]
) -> list[dict[str, Any]]:
    """Run a layer several times, forward and, where three more arrays are given, backward.

    Args:
        make: makes a layer from `settings`; the layer has `forward(x1, x2)`, which gives its output, and
            `backward(gradient, gradient1, gradient2)`, which adds to the last two in place.
        settings: keyword arguments of `make`.
        passes: (x1, x2) or (x1, x2, gradient, gradient1, gradient2) of each pass; copies are handed over.

    Returns:
        One dict a pass: what it gave, and whether the other arrays are in the end as they were.
    """
    instance, seen, outputs = make(**settings), [], []
    for given in passes:
        arrays = [array.copy() for array in given]
        outputs.append(instance.forward(*arrays[:2]))
        parts = {"the output": copy.copy(outputs[-1])}
        if arrays[2:]:
            instance.backward(*arrays[2:])
            parts |= {"gradient1": arrays[3], "gradient2": arrays[4]}
        kept = [np.array_equal(*pair) for pair in zip(arrays[:3], given, strict=False)]
        seen.append({KEPT[0]: all(kept[:2]), KEPT[1]: all(kept[2:]), **parts})
    return [
        parts | {KEPT[2]: np.array_equal(output, parts["the output"])}
        for parts, output in zip(seen, outputs, strict=True)
    ]


def layer_refused(answer: Any, *shapes: Shape) -> str:
    """What forward raises for two shapes that do not fit."""
    return call(beside, answer, layer_refused_beside, answer, shapes)


def layer_refused_beside(make: Callable[..., Any], shapes: Sequence[Shape]) -> str:
    """The exception of a pass through a new layer."""
    return refusal_beside(make().forward, [np.ones(shape) for shape in shapes])[0]


def layer_conduct(answer: Any, settings: dict[str, Any], shape: Shape, backward: bool) -> dict[str, Any]:
    """How a layer behaves beside its results, on three arrays of one shape."""
    arrays = [drawn(i, *shape) for i in range(3)]
    found = call(beside, answer, layer_conduct_beside, answer, settings, arrays, backward)
    return dict(zip(CONDUCT, found, strict=True))


def layer_conduct_beside(
    make: Callable[..., Any], settings: dict[str, Any], arrays: Sequence[np.ndarray], backward: bool
) -> list[Any]:
    """Make a layer and pass through it, twice."""

    def run(x1: np.ndarray, x2: np.ndarray, gradient: np.ndarray) -> list[np.ndarray]:
        instance, gradients = make(**settings), [np.zeros_like(x1), np.zeros_like(x2)]
        output = instance.forward(x1, x2)
        if backward:
            instance.backward(gradient, *gradients)
        return [output, *gradients]

    return conduct_beside(run, arrays)
