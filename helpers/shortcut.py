"""What surrounds a shortcut layer: activations, an in-place sum, layers to test a test with, measuring, figures.

Images are NHWC arrays: (batch, height, width, channels), float32 or float64. The layer itself is the exercise
of lesson 6 and does not stand here; `PublishedShortcut` is one that is wrong, to be caught.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.linalg import get_blas_funcs
from scipy.special import expit

from helpers import figures, panels

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
        back: matrices that the backward pass multiplies by, (channels out, channels in); the transposes if None.
        start_over: whether backward overwrites the gradients instead of adding to them.
    """

    def __init__(
        self,
        first: np.ndarray,
        second: np.ndarray,
        back: Sequence[np.ndarray] | None = None,
        start_over: bool = False,
    ):
        self.first, self.second, self.start_over = first, second, start_over
        self.back = (first.T, second.T) if back is None else back
        self.shapes: tuple | None = None

    def forward(self, x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
        """Give x1 A + x2 B, (batch, height, width, channels out), and keep the shapes for backward."""
        self.shapes = x1.shape, x2.shape
        return x1 @ self.first + x2 @ self.second

    def backward(self, gradient: np.ndarray, gradient1: np.ndarray, gradient2: np.ndarray) -> None:
        """Add the gradients with respect to x1 and x2 in place, given the one with respect to the output."""
        if self.shapes is None:
            raise RuntimeError("backward needs what forward keeps, and forward has not run yet")
        for total, shape, matrix in zip((gradient1, gradient2), self.shapes, self.back, strict=True):
            if total.shape != shape:
                raise ValueError(f"a gradient has its input's shape, {shape}, but here is {total.shape}")
            if self.start_over:
                total[...] = 0
            total += gradient @ matrix


class PublishedShortcut:
    """NumPyNet's Shortcut_layer, retold with its faults and made to run.

    The check of the shapes, which raises a NameError for any two sizes, is left out, nothing else is repaired: the second side
    of x2 is taken from its first, the spatial stride is used on channels, positions off the overlap keep weight 1, the
    indices of the first shapes are kept for good, backward exchanges them, writes the slopes into the output, and
    works in float64.

    Args:
        alpha, beta: weights of the two inputs.
        activation: "linear" or "relu".
        exchanged: whether backward exchanges the two index sets, as published; False repairs that.

    Source:
        N. Curti, M. Ceccarelli, NumPyNet (MIT licence), NumPyNet/layers/shortcut_layer.py at commit 777db4f (2024).
    """

    def __init__(
        self, alpha: float = 1.0, beta: float = 1.0, activation: str = "linear", exchanged: bool = True
    ):
        self.alpha, self.beta, self.activation, self.exchanged = alpha, beta, activation, exchanged
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
        """Add the gradients with respect to x1 and x2 in place, given the one with respect to the output."""
        self.delta = gradient.astype(np.float64)
        if self.activation == "relu":
            self.output[self.output > 0] = 1
            self.delta *= self.output
        gradient1 += self.alpha * self.delta
        if self.here is None:
            gradient2 += self.beta * self.delta
        else:
            to, of = (self.here, self.there) if self.exchanged else (self.there, self.here)
            gradient2[to] += self.beta * self.delta[of]

    @staticmethod
    def _positions(shape: Shape, other: Shape, second_side: int) -> tuple:
        step = max(shape[1] // other[1], 1)
        return (slice(None), *np.ix_(*(range(0, end, step) for end in (shape[1], second_side, shape[3]))))


def published_slips() -> dict[str, str]:
    """Try the small slips of the documentation's code and of the published layer.

    Returns:
        What the code says or is asked -> what Python makes of it: a value, or the name of an exception.
    """

    def outcome(action: Callable[[], Any]) -> str:
        try:
            return str(action())
        except Exception as error:
            return type(error).__name__

    def backward(delta: np.ndarray, prev_delta: np.ndarray) -> None:
        """The documentation's signature."""

    def ones(*shape: int) -> np.ndarray:
        return np.ones(shape)

    def unequal_backward() -> None:
        layer = PublishedShortcut()
        layer.forward(ones(1, 4, 4, 1), ones(1, 2, 2, 1))
        layer.backward(ones(1, 4, 4, 1), ones(1, 4, 4, 1), ones(1, 2, 2, 1))

    def dtype_of_float32() -> np.dtype:
        layer = PublishedShortcut()
        x = np.ones((1, 2, 2, 1), dtype=np.float32)
        layer.backward(layer.forward(x, x), np.zeros_like(x), np.zeros_like(x))
        return layer.delta.dtype

    fresh = SimpleNamespace(ix=None, iy=None, kx=None, output=ones(1, 4, 4, 1))
    names = {"self": fresh, "np": np}
    indices = (fresh.ix, fresh.iy, fresh.kx)
    tall = ones(1, 8, 4, 1), ones(1, 4, 2, 1)
    deep = np.zeros((1, 4, 4, 4)), ones(1, 2, 2, 2)
    shapes = (1, 4, 4, 3), (1, 4, 4, 8)
    layers = vars(PublishedShortcut()).values()
    return {
        "(self.ix, self.iy, self.kx) is (None, None, None)": str(operator.is_(indices, (None, None, None))),
        "self.outpu[:, ix, jx, kx]": outcome(lambda: fresh.outpu),
        "self.output[:, ix, jx, kx]": outcome(lambda: eval("self.output[:, ix, jx, kx]", names)),
        "np.random.uniform(size=input.shape)": outcome(lambda: input.shape),
        "layer.backward(delta, copy=False)": outcome(
            lambda: backward(fresh.output, copy=False)  # type: ignore[call-arg]  # it is the fault that is shown
        ),
        "layer.__class__.__name__": outcome(lambda: eval("layer.__class__.__name__", names)),
        "an 8 x 4 image joined by a 4 x 2 image": outcome(lambda: PublishedShortcut().forward(*tall)),
        "channels that an x2 of 2 channels reaches": outcome(
            lambda: np.unique(np.nonzero(PublishedShortcut().forward(*deep))[3]).tolist()
        ),
        f"output shape of {shapes[0]} and {shapes[1]}": outcome(lambda: max(shapes)),
        "backward for unequal shapes": outcome(unequal_backward),
        "precision of backward for float32": outcome(dtype_of_float32),
        "arrays to learn": str(sum(isinstance(value, np.ndarray) for value in layers)),
    }


def draw_transpose(small: np.ndarray, spread: np.ndarray, gradient: np.ndarray, picked: np.ndarray) -> Figure:
    """Draw zero insertion and its transpose as images with their numbers.

    Args:
        small: (2, 2) an input.
        spread: (4, 4) what the zero insertion makes of it.
        gradient: (4, 4) a gradient with respect to the large image.
        picked: (2, 2) what the transpose makes of that.

    Returns:
        The figure: four images from left to right.
    """
    figure, axes = figures.panels(
        ["$x_2$", "$S x_2$", r"$\delta$", r"$S^\top \delta$"],
        "S inserts zeros; its transpose picks the same places again",
        2.3,
    )
    met = np.zeros(spread.shape, dtype=bool)
    met[:: len(met) // len(small), :: len(met) // len(small)] = True
    for axis, image in zip(axes, (small, spread, gradient, picked), strict=True):
        _draw_numbers(axis, image, met if image.shape == met.shape else np.ones(image.shape, dtype=bool))
    for axis, arrow in ((axes[1], "$S$"), (axes[3], r"$S^\top$")):
        axis.annotate(
            f"{arrow}\n→", (-0.18, 0.5), xycoords="axes fraction", ha="center", va="center", fontsize=14
        )
    return figure


def _draw_numbers(axis: Axes, image: np.ndarray, marked: np.ndarray) -> None:
    """Draw an image as squares that hold its numbers; marked ones are coloured."""
    axis.imshow(np.where(marked, 0.75, 1.0), cmap="Blues_r", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(image):
        axis.text(column, row, f"{value:g}", ha="center", va="center", fontsize=11)
    axis.set(xticks=np.arange(image.shape[1] + 1) - 0.5, yticks=np.arange(image.shape[0] + 1) - 0.5)
    axis.tick_params(length=0, labelbottom=False, labelleft=False)
    axis.grid(True, color="black", alpha=1, linewidth=0.6)
    axis.set_anchor("C")


def draw_depth(
    runs: dict[str, np.ndarray],
    factors: dict[str, float],
    title: str,
) -> Figure:
    """Draw gradient norms over depth, measured in several networks and predicted.

    Args:
        runs: label -> (networks, layers + 1) norms from the last layer to the first, the last being 1.
        factors: label -> predicted factor of the norm per layer.
        title: the finding.

    Returns:
        The figure: geometric means as marks, the range of the networks as a band, predictions as lines.
    """
    figure, axis = figures.canvas(
        title, "layers passed on the way back", "gradient norm (end = 1)", yscale="log"
    )
    for index, (label, norms) in enumerate(runs.items()):
        layers, look = np.arange(norms.shape[1]), figures.series(index, marker=True)
        mean = np.exp(np.log(norms).mean(0))
        axis.plot(layers, mean, **look | {"linestyle": "none"}, markevery=5, label=label)
        axis.plot(layers, factors[label] ** layers, **figures.series(index))
        axis.fill_between(layers, norms.min(0), norms.max(0), color=figures.COLOURS[index], alpha=0.2)
    axis.legend(
        title="marks: measured, lines: predicted", ncols=2, fontsize=9, title_fontsize=9, loc="upper left"
    )
    return figure


WEIGHTS = {  # of branch or skip, given the number of layers
    "1": lambda depth: 1.0,
    "0": lambda depth: 0.0,
    "1/10": lambda depth: 0.1,
    "1/2": lambda depth: 0.5,
    "1/√2": lambda depth: math.sqrt(0.5),
    "1/√L": lambda depth: depth**-0.5,
    "9/10": lambda depth: 0.9,
    "11/10": lambda depth: 1.1,
}
RANGE = (1e-32, 1e20)  # of the panel's axis


def depth_shot(norms: np.ndarray, alpha: float, beta: float) -> panels.Shot:
    """Say what lesson 6's panel shows: gradient norms over depth, measured and predicted.

    Args:
        norms: (networks, layers + 1) norms from the last layer to the first, the last being 1.
        alpha, beta: weights of branch and skip; the gain of a branch is 1.

    Returns:
        The shot: geometric mean, range and prediction.
    """
    depth, factor = norms.shape[1] - 1, math.hypot(alpha, beta)
    layers, sizes = np.arange(depth + 1), np.maximum(norms, np.finfo(float).tiny)
    mean = np.exp(np.log(sizes).mean(0))
    curves = {
        "measured": (layers[::5], mean[::5]),
        "lowest": (layers, sizes.min(0)),
        "highest": (layers, sizes.max(0)),
        "predicted": (layers, factor**layers),
    }
    title = f"α = {alpha:.3g}, β = {beta:.3g}: a factor of {factor:.3f} per layer, {factor**depth:.1e} over {depth} layers"
    alt = f"Gradient norm over {depth} layers. {title} predicted, {mean[-1]:.1e} measured in {len(norms)} networks."
    return panels.Shot(title, curves, alt)


def depth_stage() -> panels.Stage:
    """Make the axes of lesson 6's panel."""
    thin = {"linestyle": "-", "linewidth": 0.8, "marker": ""}
    looks = {
        "measured": figures.role("gradient", linestyle="", label="measured, geometric mean"),
        "lowest": figures.role("gradient", **thin, label="range of the networks"),
        "highest": figures.role("gradient", **thin),
        "predicted": figures.series(5) | {"label": "predicted"},
    }
    names = ("layers passed on the way back", "gradient norm (end = 1)")
    corner = {"loc": "upper left", "fontsize": 9, "ncols": 2}
    return panels.Stage(*names, looks, corner, xlim=(-2, 102), yscale="log", ylim=RANGE)


DEPTH_CONTROLS = {
    "alpha": panels.menu("Weight α of the branch", list(WEIGHTS)),
    "beta": panels.menu("Weight β of the skip", list(WEIGHTS)),
    "depth": panels.slider("Layers", range(10, 101, 10)),
    "seed": panels.slider("Networks (seed)", range(10)),
}


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
