"""One unit a layer: a chain of scalar tanh layers, with or without skips, and what floats do to it.

A layer of the chain is t = tanh(w z), then z' = t, or with the skip z' = t + z.
"""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from helpers import figures


def forward(x: float, weights: np.ndarray, skip: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Run the chain and keep what a backward pass would need.

    Args:
        x: the input z_0.
        weights: (n,) the weight of each layer; their dtype is the precision of everything.
        skip: whether each layer adds its input to its output.

    Returns:
        z, (n + 1,), the stream z_0 ... z_n, and t, (n,), the outputs tanh(w z) before the addition.
    """
    weights = np.asarray(weights)
    stream, activations = [weights.dtype.type(x)], []
    for w in weights:
        activations.append(np.tanh(w * stream[-1]))
        stream.append(activations[-1] + stream[-1] if skip else activations[-1])
    return np.array(stream), np.array(activations, dtype=weights.dtype)


def sensitivity(x: float, weights: np.ndarray, skip: bool = False) -> np.ndarray:
    """Differentiate every state of the chain by the input.

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


def lost_below(w: np.ndarray) -> np.ndarray:
    """Give the size below which an update towards zero is rounded away.

    Args:
        w: weights other than zero, float16, float32 or float64.

    Returns:
        Half the distance to the next number towards zero, float64, of w's shape.
    """
    towards_zero = np.nextafter(w, np.zeros_like(w))
    return np.abs(np.float64(w) - np.float64(towards_zero)) / 2


def draw_chain(x: float = 10.0, w: float = 1.0, depth: int = 4, skip: bool = False) -> Figure:
    """Draw the gradient of L = (z_n - 1)^2 / 2 by each weight of the chain, in both precisions.

    Args:
        x: the input.
        w: the weight of every layer.
        depth: n, number of layers.
        skip: whether each layer adds its input.

    Returns:
        The figure; gradients that are exactly zero sit on its floor.
    """
    gradients = {
        name: np.abs(_weight_gradients(x, np.full(depth, w, dtype=name), skip))
        for name in ("float64", "float32")
    }
    dead = int((gradients["float32"] == 0).sum())
    form = "with skips" if skip else "plain"
    figure, axis = figures.canvas(
        f"x = {x:g}, w = {w:g}, {form}:\n{dead} of {depth} gradients are exactly 0 in float32",
        "layer i",
        "|dL/dw|",
        yscale="log",
    )
    alive = np.concatenate(list(gradients.values()))
    alive = alive[alive > 0]
    floor = max(1e-60, alive.min() / 30) if alive.size else 1e-9
    layers = np.arange(1, depth + 1)
    for index, (name, values) in enumerate(gradients.items()):
        look = figures.series(index, marker=True) | (
            {"markersize": 9, "markerfacecolor": "none"} if index else {}
        )
        axis.plot(layers, np.maximum(values, floor), **look, label=name)
    if dead:
        axis.axhline(floor, color="black", linewidth=0.8)
        axis.text(
            0.5,
            floor * 1.1,
            "exactly 0",
            transform=axis.get_yaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=9,
        )
    axis.set_ylim(floor / 2, 4 * max(alive.max() if alive.size else 1.0, 30 * floor))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(loc="best")
    return figure


def _weight_gradients(x: float, weights: np.ndarray, skip: bool) -> np.ndarray:
    """dL/dw of every layer by torch's autograd, in the precision of the weights."""
    import torch

    w = torch.tensor(weights, requires_grad=True)
    z = torch.tensor(x, dtype=w.dtype)
    for w_i in w:
        z = torch.tanh(w_i * z) + (z if skip else 0)
    (0.5 * (z - 1) ** 2).backward()
    return w.grad.numpy()
