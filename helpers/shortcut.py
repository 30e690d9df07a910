"""What surrounds a shortcut layer: activations, an in-place sum, layers to test a test with, measuring.

Images are NHWC arrays: (batch, height, width, channels), float32 or float64. The layer itself is the exercise
of lesson 6 and does not stand here; `PublishedShortcut` is one that is wrong, to be caught.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from scipy.linalg import get_blas_funcs
from scipy.special import expit

Shape = tuple[int, int, int, int]
ACTIVATIONS = ("linear", "relu", "tanh", "logistic")


def activate(z: np.ndarray, activation: str) -> np.ndarray:
    """Apply an activation.

    Args:
        z: array, float32 or float64.
        activation: "linear", "relu", "tanh" or "logistic".

    Returns:
        Array of z's shape and dtype; z itself for "linear".

    Raises:
        ValueError: if there is no activation of that name.
    """
    functions = {
        "linear": lambda a: a,
        "relu": lambda a: np.maximum(a, 0),
        "tanh": np.tanh,
        "logistic": expit,
    }
    if activation not in functions:
        raise ValueError(f"activation {activation!r} is not one of {', '.join(ACTIVATIONS)}")
    return functions[activation](z)


def slope(output: np.ndarray, activation: str) -> np.ndarray:
    """Give the derivative of an activation, from its output alone.

    Args:
        output: activate(z, activation).
        activation: "linear", "relu", "tanh" or "logistic".

    Returns:
        act'(z), a new array of the output's shape and dtype; 0 for "relu" at z = 0.

    Raises:
        ValueError: if there is no activation of that name.
    """
    slopes = {
        "linear": np.ones_like,
        "relu": lambda y: (y > 0).astype(y.dtype),
        "tanh": lambda y: 1 - y * y,
        "logistic": lambda y: y * (1 - y),
    }
    if activation not in slopes:
        raise ValueError(f"activation {activation!r} is not one of {', '.join(ACTIVATIONS)}")
    return slopes[activation](output)


def add_scaled(target: np.ndarray, source: np.ndarray, scale: float) -> None:
    """Add scale * source to target in place; for contiguous arrays without a temporary (BLAS axpy).

    Args:
        target: array, float32 or float64, or a view of one; changed.
        source: array of the same shape, not overlapping the target.
        scale: factor.

    Raises:
        ValueError: if the shapes differ.
    """
    if target.shape != source.shape:
        raise ValueError(f"target has shape {target.shape}, source has {source.shape}: they must be equal")
    blas = target.dtype == source.dtype and target.dtype.char in "fd"
    if blas and target.size and target.flags.c_contiguous and source.flags.c_contiguous:
        axpy = get_blas_funcs("axpy", (target, source))
        axpy(source.reshape(-1), target.reshape(-1), a=scale)
    else:
        target += scale * source


def observe(
    make: Callable[..., Any],
    settings: dict[str, Any],
    passes: Sequence[Sequence[np.ndarray]],
    backward: bool = True,
) -> list[dict[str, Any]]:
    """Run a shortcut layer several times and keep what every array looked like.

    Args:
        make: makes a layer from `settings`; the layer has `forward(x1, x2)`, which gives its output, and
            `backward(gradient, gradient1, gradient2)`, which adds to the last two in place.
        settings: keyword arguments of `make`.
        passes: one (x1, x2, gradient, gradient1, gradient2) a pass; copies are handed over.
        backward: whether to go backward, too.

    Returns:
        One dict a pass: "x1", "x2", "gradient", "gradient1", "gradient2" as the pass left them, "output" as forward
        gave it, "output_later" as it was after all passes, and "returned", what backward gave.
    """
    layer = make(**settings)
    seen, outputs = [], []
    for arrays in passes:
        x1, x2, gradient, gradient1, gradient2 = (a.copy() for a in arrays)
        outputs.append(layer.forward(x1, x2))
        now = {"output": copy.copy(outputs[-1]), "x1": x1, "x2": x2, "returned": None}
        if backward:
            now["returned"] = layer.backward(gradient, gradient1, gradient2)
        seen.append(now | {"gradient": gradient, "gradient1": gradient1, "gradient2": gradient2})
    return [now | {"output_later": output} for now, output in zip(seen, outputs, strict=True)]


def autograd_gap(layer: Any, shape1: Shape, shape2: Shape, seed: int = 0) -> float:
    """Give the largest difference between a layer's output and gradients and those of torch's autograd.

    Torch gets the same layer as a sum of 1 x 1 convolutions: with a stride they subsample, transposed they insert zeros.

    Args:
        layer: has `alpha`, `beta`, `activation`, `forward` and `backward`.
        shape1, shape2: (batch, height, width, channels) of the two inputs, which divide each other.
        seed: of the random inputs, float64.

    Returns:
        The largest absolute difference over the output and both gradients.
    """
    import torch
    from torch.nn import functional

    def placed(x: torch.Tensor) -> torch.Tensor:
        stride, repeat = max(shape2[1] // shape1[1], 1), max(shape1[1] // shape2[1], 1)
        keep = torch.eye(shape1[3], shape2[3], dtype=x.dtype)[:, :, None, None]
        if repeat == 1:
            return functional.conv2d(x, keep, stride=stride)
        return functional.conv_transpose2d(x, keep.transpose(0, 1), stride=repeat, output_padding=repeat - 1)

    rng = np.random.default_rng(seed)
    x1, x2, gradient = rng.normal(size=shape1), rng.normal(size=shape2), rng.normal(size=shape1)
    leaves = [torch.from_numpy(x).requires_grad_(True) for x in (x1, x2)]
    first, second = (leaf.permute(0, 3, 1, 2) for leaf in leaves)
    z = (layer.alpha * first + layer.beta * placed(second)).permute(0, 2, 3, 1)
    y = {"linear": lambda a: a, "relu": torch.relu, "tanh": torch.tanh, "logistic": torch.sigmoid}[
        layer.activation
    ](z)
    truth = [y.detach(), *torch.autograd.grad(y, leaves, torch.from_numpy(gradient))]

    gradients = np.zeros(shape1), np.zeros(shape2)
    output = layer.forward(x1, x2)
    layer.backward(gradient, *gradients)
    return max(float(np.abs(a - b.numpy()).max()) for a, b in zip((output, *gradients), truth, strict=True))


class ChannelMix:
    """A linear layer with two inputs, y = x1 A + x2 B on the channels; its backward pass may be made wrong.

    Args:
        first, second: the matrices A and B, (channels in, channels out).
        transposed: whether backward uses the transposes, as it must.
        start_over: whether backward overwrites the gradients instead of adding to them.
    """

    def __init__(
        self, first: np.ndarray, second: np.ndarray, transposed: bool = True, start_over: bool = False
    ):
        self.first, self.second, self.transposed, self.start_over = first, second, transposed, start_over

    def forward(self, x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
        """Give x1 A + x2 B, (batch, height, width, channels out)."""
        return x1 @ self.first + x2 @ self.second

    def backward(self, gradient: np.ndarray, gradient1: np.ndarray, gradient2: np.ndarray) -> None:
        """Add the gradients by x1 and x2 in place, given the one by the output."""
        for matrix, total in ((self.first, gradient1), (self.second, gradient2)):
            if self.start_over:
                total[...] = 0
            total += gradient @ (matrix.T if self.transposed else matrix)


class PublishedShortcut:
    """The layer of the course's fourth source document, retold with its faults and made to run.

    Names that do not exist there and steps of zero are repaired, nothing else: the second side of x2 is taken from its first,
    the spatial stride is used on channels, positions off the overlap keep weight 1, the indices of the first shapes are
    kept for good, backward swaps them, writes the slopes into the output, and works in float64.

    Args:
        alpha, beta: weights of the two inputs.
        activation: "linear" or "relu".
    """

    def __init__(self, alpha: float = 1.0, beta: float = 1.0, activation: str = "linear"):
        self.alpha, self.beta, self.activation = alpha, beta, activation
        self.here = self.there = None

    def forward(self, x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
        """Give the layer's output, an array of x1's shape."""
        if x1.shape == x2.shape:
            z = self.alpha * x1 + self.beta * x2
        else:
            if self.here is None:
                self.here = self._positions(x1.shape, x2.shape, second_side=x1.shape[2])
                self.there = self._positions(x2.shape, x1.shape, second_side=x2.shape[1])
            z = x1.copy()
            z[self.here] = self.alpha * z[self.here] + self.beta * x2[self.there]
        self.output = activate(z, self.activation)
        return self.output

    def backward(self, gradient: np.ndarray, gradient1: np.ndarray, gradient2: np.ndarray) -> None:
        """Add the gradients by x1 and x2 in place, given the one by the output."""
        self.delta = gradient.astype(np.float64)
        if self.activation == "relu":
            self.output[self.output > 0] = 1
            self.delta *= self.output
        gradient1 += self.alpha * self.delta
        if self.here is None:
            gradient2 += self.beta * self.delta
        else:
            gradient2[self.here] += self.beta * self.delta[self.there]

    @staticmethod
    def _positions(shape: Shape, other: Shape, second_side: int) -> tuple:
        step = max(shape[1] // other[1], 1)
        return (slice(None), *np.ix_(*(range(0, end, step) for end in (shape[1], second_side, shape[3]))))


def median_seconds(
    actions: Sequence[Callable[[], Any]], repeats: int, clock: Callable[[], float]
) -> list[float]:
    """Time several actions in turn, so that a slow moment of the machine meets all of them.

    Args:
        actions: called without arguments.
        repeats: rounds, at least 1.
        clock: gives seconds, such as `time.perf_counter`.

    Returns:
        Median seconds of each action.
    """

    def seconds(action: Callable[[], Any]) -> float:
        start = clock()
        action()
        return clock() - start

    rounds: Iterable[list[float]] = ([seconds(action) for action in actions] for _ in range(repeats))
    return np.median(list(rounds), axis=0).tolist()
