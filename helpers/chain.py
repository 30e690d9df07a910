"""One unit a layer: a chain of scalar tanh layers, with or without skips, and what floats do to it.

A layer of the chain is t = tanh(w z), then z' = t, or with the skip z' = t + z.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from helpers import figures, panels


def forward(x: float, weights: np.ndarray, skip: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Run the chain and keep what a backward pass would need.

    Args:
        x: the input z_0.
        weights: (n,) the weight of each layer; their dtype is the precision of everything (float64 where it is no float).
        skip: whether each layer adds its input to its output.

    Returns:
        z, (n + 1,), the stream z_0 ... z_n, and t, (n,), the outputs tanh(w z) before the addition.
    """
    weights = np.asarray(weights)
    if weights.dtype.kind != "f":
        weights = weights.astype(float)
    stream, activations = [weights.dtype.type(x)], []
    for w in weights:
        activations.append(np.tanh(w * stream[-1]))
        stream.append(activations[-1] + stream[-1] if skip else activations[-1])
    return np.array(stream), np.array(activations, dtype=weights.dtype)


def sensitivity(x: float, weights: np.ndarray, skip: bool = False) -> np.ndarray:
    """Differentiate every state of the chain with respect to the input.

    Args: those of `forward`.

    Returns:
        (n + 1,) |dz_l / dx| for l = 0 ... n, float64. The first is 1.
    """
    weights = np.asarray(weights, dtype=float)
    _, t = forward(x, weights, skip)
    return np.abs(np.cumprod(np.append(1.0, skip + weights * (1 - t**2))))


def decay_exponent(values: np.ndarray, first: int, last: int) -> float:
    """Measure the exponent a of a power law, values[n] ~ n^a, between two indices.

    Args:
        values: positive numbers.
        first, last: the indices, 0 < first < last.

    Returns:
        The slope between the two points in doubly logarithmic axes.
    """
    return math.log(values[last] / values[first]) / math.log(last / first)


def saturation_onset(digits: int) -> float:
    """Say from where on tanh(x), rounded to this many binary digits, is exactly 1.

    Below 1 the numbers are 2^-digits apart, so 1 - tanh(x), which is about 2 exp(-2x), has to
    be under half of that.

    Args:
        digits: of the significand: 24 for float32, 53 for float64.

    Returns:
        The smallest such x.
    """
    return (digits + 2) * math.log(2) / 2


def first_one(tanh: Callable[[Any], Any], below: float = 30.0) -> float:
    """Find by bisection from where on a library's tanh gives exactly 1.

    Args:
        tanh: takes a Python float and gives a number.
        below: where tanh is certainly 1.

    Returns:
        The x at which the bisection between 1 and `below` ends.
    """
    low, high = 1.0, below
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if float(tanh(middle)) == 1 else (middle, high)
    return high


def lost_below(w: np.ndarray) -> np.ndarray:
    """Give the size below which an update towards zero is rounded away.

    Args:
        w: weights other than zero, float16, float32 or float64.

    Returns:
        Half the distance to the next number towards zero, float64, of w's shape.
    """
    w = np.asarray(w)
    towards_zero = np.nextafter(w, np.zeros_like(w))
    return np.abs(w.astype(np.float64) - towards_zero.astype(np.float64)) / 2


def draw_saturation(x: np.ndarray, gradients: dict[str, np.ndarray], edge: float) -> Figure:
    """Draw the gradient of the first weight against the input, up to where it is exactly 0.

    Args:
        x: inputs.
        gradients: label -> |dL/dw_1| at each input.
        edge: the input from which on tanh is 1.

    Returns:
        The figure.
    """
    figure, axis = figures.canvas(
        f"Beyond x = {edge:.1f} the first gradient is gone, at any depth",
        "input $x$",
        r"$|\partial L / \partial w_1|$, float32",
        yscale="log",
        xlim=(0, x.max()),
    )
    for i, (label, values) in enumerate(gradients.items()):
        axis.plot(x[values > 0], values[values > 0], **figures.series(i), label=label)
    axis.axvline(edge, color="black", linewidth=1)
    axis.annotate("tanh is 1", (edge, 1e-3), (4, 0), textcoords="offset points", fontsize=9)
    axis.legend(loc="lower left")
    return figure


def draw_decay(curves: dict[str, np.ndarray], title: str) -> Figure:
    """Draw sensitivities against depth, both axes logarithmic.

    Args:
        curves: label -> (n + 1,) |dz_l / dx| for l = 0 ... n.
        title: the finding.

    Returns:
        The figure.
    """
    figure, axis = figures.canvas(
        title,
        "depth $n$ (layers)",
        r"$|\partial z_n / \partial x|$",
        xscale="log",
        yscale="log",
        ylim=(1e-10, 100),
    )
    for i, (label, curve) in enumerate(curves.items()):
        axis.plot(np.arange(1, len(curve)), curve[1:], **figures.series(i), label=label)
    axis.legend(loc="lower left")
    return figure


def draw_lost_updates(update: float) -> Figure:
    """Draw the largest update that is lost against the weight, in three precisions.

    Args:
        update: an update to mark.

    Returns:
        The figure.
    """
    w = np.logspace(-14, 1, 200)
    figure, axis = figures.canvas(
        "An update counts in proportion to its weight",
        "weight $|w|$",
        "largest update that is lost",
        xscale="log",
        yscale="log",
    )
    for i, name in enumerate(("float16", "float32", "float64")):
        stored = w.astype(name)
        axis.plot(w[stored > 0], lost_below(stored[stored > 0]), **figures.series(i), label=name)
    axis.axhline(update, color="black", linewidth=1)
    axis.text(1e-10, 2 * update, "the chapter's update", fontsize=9)
    axis.legend(loc="upper left")
    return figure


FLOOR = 1e-32  # where a gradient of exactly 0 is drawn


def weight_gradients(x: float = 10.0, w: float = 1.0, depth: int = 4, skip: bool = True) -> panels.Shot:
    """Differentiate L = (z_n - 1)^2 / 2 with respect to each weight, in both precisions.

    Args:
        x: the input.
        w: the weight of every layer.
        depth: n, number of layers.
        skip: whether each layer adds its input.

    Returns:
        What the panel shows: sizes over the layer; those that are exactly zero sit on its floor.
    """
    import torch

    gradients = {}
    for name in ("float64", "float32"):
        weights = torch.full((depth,), w, dtype=getattr(torch, name), requires_grad=True)
        z = torch.tensor(x, dtype=weights.dtype)
        for w_i in weights:
            z = torch.tanh(w_i * z) + (z if skip else 0)
        (0.5 * (z - 1) ** 2).backward()
        gradients[name] = weights.grad.abs().numpy()

    dead = int((gradients["float32"] == 0).sum())
    title = (
        f"x = {x:g}, w = {w:g}, {'with skips' if skip else 'plain'}: "
        f"{dead} of {depth} gradients are exactly 0 in float32"
    )
    layers, double = np.arange(1, depth + 1), gradients["float64"]
    curves = {name: (layers, np.maximum(values, FLOOR)) for name, values in gradients.items()}
    alt = f"Gradient of each weight. {title}; in float64 they lie between {double.min():.0e} and {double.max():.0e}."
    return panels.Shot(title, curves, alt)


def gradient_stage() -> panels.Stage:
    """Make the axes of lesson 3's panel."""
    hollow = {"markersize": 9, "markerfacecolor": "none"}
    looks = {
        "float64": figures.series(0, marker=True) | {"label": "float64"},
        "float32": figures.series(1, marker=True) | hollow | {"label": "float32"},
    }
    ticks = (1, 2, 3, 4, 6, 10, 20, 40)
    axes = {"xscale": "log", "xlim": (0.9, 45), "xticks": ticks, "xticklabels": ticks}
    axes |= {"yscale": "log", "ylim": (FLOOR / 10, 1e6)}
    name = r"$|\partial L / \partial w_i|$"
    stage = panels.Stage("layer $i$", name, looks, {"loc": "upper right", "ncols": 2}, **axes)
    stage.axis.minorticks_off()
    stage.axis.axhline(FLOOR, color="black", linewidth=0.8)
    stage.axis.annotate(
        "exactly 0", (0.99, FLOOR), (0, 3), stage.axis.get_yaxis_transform(), "offset points", ha="right"
    )
    return stage


PANEL = panels.Panel(
    weight_gradients,
    gradient_stage,
    {
        "x": panels.slider("Input x", [k / 2 for k in range(25)]),
        "w": panels.slider("Weight of every layer", [k / 10 for k in range(-10, 31)]),
        "depth": panels.slider("Layers", range(1, 41)),
        "skip": panels.menu("Skips", {"with skips": True, "plain": False}),
    },
)
