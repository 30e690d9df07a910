"""Gradients in random deep networks: measured by autograd, predicted by mean-field theory.

A network of this module keeps its width N from the input x_0 to the output x_L. With weights
of variance g / N, an activation phi, a normalisation and a branch scale s, a layer is

    skip = "none":            x' = phi(norm(W x))
    skip = "residual":        x' = x + s phi(norm(W x))
    skip = "pre-activation":  x' = x + s W phi(norm(x))

With biases b, W x is replaced with W x + b. `xray` measures such a network and predicts it; `PANEL` shows both.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from torch import Tensor, nn
from torch.nn.utils import skip_init

from helpers import figures, panels

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "linear": lambda x: x}
NORMALISATIONS = ("none", "batch", "layer")
SKIPS = ("none", "residual", "pre-activation")


class RandomNet(nn.Module):
    """A network of equal widths, as the module's first lines define it.

    Args:
        activation: "relu", "tanh", "sigmoid" or "linear".
        gain: g, the width times the variance of a weight (2 is He, 1/3 the default of torch).
        depth: L, number of layers.
        width: N, units in every layer.
        normalisation: "none", "batch" (over examples) or "layer" (over units); no parameters.
        skip: "none", "residual" or "pre-activation".
        branch_scale: s, factor of the branch; without a skip it must be 1.
        seed: of the weights, which are normal.
        bias: whether layers have biases: uniform within 1 / sqrt(N), as nn.Linear draws them.

    Raises:
        ValueError: naming the argument that is not one of the above.
    """

    def __init__(
        self,
        activation: str = "relu",
        gain: float = 2.0,
        depth: int = 20,
        width: int = 128,
        normalisation: str = "none",
        skip: str = "none",
        branch_scale: float = 1.0,
        seed: int = 0,
        bias: bool = False,
    ) -> None:
        super().__init__()
        _require(activation, "activation", tuple(ACTIVATIONS))
        _require(normalisation, "normalisation", NORMALISATIONS)
        _require(skip, "skip", SKIPS)
        if gain <= 0 or depth < 1 or width < 2:
            raise ValueError(f"need gain > 0, depth >= 1 and width >= 2, got {gain=}, {depth=}, {width=}")
        if skip == "none" and branch_scale != 1.0:
            raise ValueError(
                f"{branch_scale=} scales the branch beside a skip; with skip='none' leave it at 1"
            )
        self.activation, self.normalisation, self.skip = activation, normalisation, skip
        self.gain, self.branch_scale = gain, branch_scale
        random = torch.Generator().manual_seed(seed)
        scale = math.sqrt(gain / width)
        self.weights = nn.ParameterList(
            scale * torch.randn(width, width, generator=random, dtype=torch.float64) for _ in range(depth)
        )
        biases = torch.zeros(depth, width, dtype=torch.float64)
        if bias:
            biases.uniform_(-(width**-0.5), width**-0.5, generator=random)
        self.register_buffer("biases", biases)

    def layer(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Map the stream x, (batch, N), through one layer with this weight, (N, N), and bias, (N,)."""
        phi = ACTIVATIONS[self.activation]
        if self.skip == "pre-activation":
            return x + self.branch_scale * (phi(self.normalise(x)) @ weight.T + bias)
        branch = phi(self.normalise(x @ weight.T + bias))
        return branch if self.skip == "none" else x + self.branch_scale * branch

    def normalise(self, x: Tensor) -> Tensor:
        """Shift and scale x, (batch, N), to mean 0 and variance 1 along the chosen axis."""
        if self.normalisation == "none":
            return x
        axis = 0 if self.normalisation == "batch" else 1
        variance, mean = torch.var_mean(x, dim=axis, correction=0, keepdim=True)
        return (x - mean) / torch.sqrt(variance)

    def stream(self, x: Tensor) -> list[Tensor]:
        """Give x_0, ..., x_L, each (batch, N), for the input x_0 = x."""
        states = [x]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            states.append(self.layer(states[-1], weight, bias))
        return states

    def forward(self, x: Tensor) -> Tensor:
        """Give x_L, (batch, N), for the input x, (batch, N)."""
        return self.stream(x)[-1]


class Flow(NamedTuple):
    """What one network does to signals and gradients, layer by layer.

    Attributes:
        signal: (L + 1,) root mean square of an entry of x_0, ..., x_L.
        gradient: (L + 1,) the same of dLoss/dx_0, ..., dLoss/dx_L; the last is 1.
        weight_gradient: (L,) Frobenius norm of dLoss/dW_1, ..., dLoss/dW_L over N sqrt(batch).
    """

    signal: np.ndarray
    gradient: np.ndarray
    weight_gradient: np.ndarray


class XRay(NamedTuple):
    """A gradient x-ray: the same network measured by autograd and predicted for infinite width."""

    measured: Flow
    predicted: Flow


def xray(
    activation: str = "relu",
    gain: float = 2.0,
    depth: int = 20,
    width: int = 128,
    normalisation: str = "none",
    skip: str = "none",
    branch_scale: float = 1.0,
    seed: int = 0,
    bias: bool = False,
    batch: int = 128,
) -> XRay:
    """Look at the gradients of one random network, layer by layer.

    Args: those of `RandomNet`, and
        batch: number of examples.

    Returns:
        The measured and the predicted flow. The loss is the output weighted with standard normal
        numbers, the inputs are standard normal too.
    """
    net = RandomNet(activation, gain, depth, width, normalisation, skip, branch_scale, seed, bias)
    biases = 1 / (3 * width) if bias else 0.0
    predicted = mean_field(activation, gain, depth, normalisation, skip, branch_scale, biases=biases)
    return XRay(measure(net, batch, seed=seed), predicted)


def measure(net: RandomNet, batch: int = 128, signal: float = 1.0, seed: int = 0) -> Flow:
    """Send a random batch forward and a random cotangent backward through the network.

    Args:
        net: the network; its parameters keep their `.grad`.
        batch: number of examples.
        signal: root mean square of the inputs, which are normal.
        seed: of the inputs and the cotangents.

    Returns:
        The measured flow.
    """
    width = len(net.weights[0])
    # A stream of its own: the weights were drawn with small seeds too.
    random = torch.Generator().manual_seed(1_000_003 + seed)
    inputs, cotangent = torch.randn(2, batch, width, generator=random, dtype=torch.float64)
    states = net.stream((signal * inputs).requires_grad_())
    gradients = torch.autograd.grad(
        states[-1], [*states, *net.weights], cotangent / cotangent.square().mean().sqrt()
    )
    sizes = [_rms(g) for g in gradients]
    depth = len(net.weights)
    return Flow(
        signal=np.array([_rms(x) for x in states]),
        gradient=np.array(sizes[: depth + 1]),
        weight_gradient=np.array(sizes[depth + 1 :]) / math.sqrt(batch),
    )


def mean_field(
    activation: str = "relu",
    gain: float = 2.0,
    depth: int = 20,
    normalisation: str = "none",
    skip: str = "none",
    branch_scale: float = 1.0,
    signal: float = 1.0,
    biases: float = 0.0,
) -> Flow:
    """Predict the flow of a random network in the limit of infinite width and batch.

    Three numbers describe the stream: the mean square q of an entry, its mean m, and the overlap c of
    two examples (the mean product of their entries). Pre-activations are Gaussian, and forward
    and backward weights count as independent. That holds well but for "residual" with ReLU: its stream
    has a mean, along which a network of finite width amplifies more than predicted.

    Args: those of `RandomNet`, and
        signal: root mean square of the input, whose mean and overlaps are 0.
        biases: variance of a bias.

    Returns:
        The predicted flow.

    Source: Poole et al. 2016 (arXiv:1606.05340), Schoenholz et al. 2017 (arXiv:1611.01232); with skips
        Yang and Schoenholz 2017 (arXiv:1712.08969); with batch norm Yang et al. 2019 (arXiv:1902.08129).
    """
    identity, s2 = float(skip != "none"), branch_scale**2
    q, m, c = signal**2, 0.0, 0.0
    squares, factors, weights = [q], [], []
    for _ in range(depth):
        # Pre-activations of variance gq, or the stream itself of variance q, meet the activation.
        before = 1.0 if skip == "pre-activation" else gain
        spread = before * (q - c) if normalisation == "batch" else before * q
        if skip != "pre-activation" and normalisation != "batch":  # batch norm takes biases away again
            spread += biases
        mean, square, slope = _moments(activation, spread if normalisation == "none" else 1.0)
        if normalisation != "none":
            slope /= spread
        factors.append(identity + s2 * gain * slope)
        if skip == "pre-activation":
            # Centred by batch norm of the next layer or not: the cotangents of examples stay independent.
            weights.append(s2 * square)
            q, c = q + s2 * (gain * square + biases), c + s2 * (gain * mean**2 + biases)
        else:
            weights.append(s2 * slope * (q - c if normalisation == "batch" else q))
            cross = 2 * identity * branch_scale * m * mean
            q, c = identity * q + cross + s2 * square, identity * c + cross + s2 * mean**2
            m = identity * m + branch_scale * mean
        squares.append(q)
    # p_l, the mean square of dLoss/dx_l, from p_L = 1 backwards.
    backward = np.cumprod([1.0, *reversed(factors)])[::-1]
    return Flow(np.sqrt(squares), np.sqrt(backward), np.sqrt(np.array(weights) * backward[1:]))


BRANCHES = {  # factor on a branch, given the number of layers
    "1": lambda depth: 1.0,
    "1/2": lambda depth: 0.5,
    "1/4": lambda depth: 0.25,
    "1/√L": lambda depth: depth**-0.5,
}


def xray_shot(
    activation: str = "tanh",
    gain: float = 1 / 3,
    depth: int = 50,
    bias: bool = False,
    normalisation: str = "none",
    batch: int = 128,
    skip: str = "none",
    branch: str = "1",
    seed: int = 0,
    reach: int = 18,
    width: int = 128,
) -> panels.Shot:
    """Look at gradients of the stream and of the weights, measured (points) and predicted (lines).

    Args: those of `xray`, and
        branch: a key of `BRANCHES`; without a skip it does not matter.
        reach: how many powers of ten the axis reaches up and down.

    Returns:
        What the panel shows; the title says by what factor a layer multiplies the gradient.
    """
    scale = 1.0 if skip == "none" else BRANCHES[branch](depth)
    measured, predicted = xray(activation, gain, depth, width, normalisation, skip, scale, seed, bias, batch)
    curves = {}
    for name in ("gradient", "weight_gradient"):
        layers = np.arange(depth + 1)[-len(getattr(measured, name)) :]
        curves[f"{name} predicted"] = (layers, getattr(predicted, name))
        curves[f"{name} measured"] = (layers, getattr(measured, name))
    left, weights = measured.gradient[0], measured.weight_gradient
    title = f"The gradient is multiplied by {left ** (1 / depth):.3g} per layer, by {left:.2g} over all {depth} layers"
    kind = "plain" if skip == "none" else skip
    alt = (
        f"X-ray of a {kind} {activation} network of {depth} layers, gain {gain:.2g}. {title}, from the output to the input. "
        f"Gradients of the weights: {weights[0]:.1g} in the first layer, {weights[-1]:.1g} in the last."
    )
    return panels.Shot(title, curves, alt, ylim=(10.0**-reach, 10.0**reach))


def xray_stage() -> panels.Stage:
    """Make the axes of lesson 4's panel."""
    looks: dict[str, dict] = {}
    for name, label, role in (
        ("gradient", "stream, dL/dx", "gradient"),
        ("weight_gradient", "weights, dL/dW", "branch"),
    ):
        looks[f"{name} predicted"] = figures.role(role, marker="", label=f"{label}: predicted")
        looks[f"{name} measured"] = figures.role(role, linestyle="", markerfacecolor="none", label="measured")
    below = {"ncols": 2, "loc": "upper center", "bbox_to_anchor": (0.45, -0.18), "fontsize": 9}
    axes = {"xlim": (-1, 51), "yscale": "log", "ylim": (1e-18, 1e18)}
    stage = panels.Stage("layer l", "root mean square", looks, below, **axes)
    stage.axis.yaxis.set_minor_locator(NullLocator())  # few ticks: a redraw must follow the slider
    _mark_backward_pass(stage.axis)
    return stage


PANEL = panels.Panel(
    xray_shot,
    xray_stage,
    {
        "activation": panels.menu("Activation", list(ACTIVATIONS)),
        "gain": panels.menu(
            "Gain g",
            {"1/3 (PyTorch)": 1 / 3, "1/2": 0.5, "1 (Xavier)": 1.0, "2 (He)": 2.0, "3": 3.0},
        ),
        "depth": panels.slider("Layers", range(5, 51, 5)),
        "bias": panels.menu("Biases", {"none": False, "as PyTorch draws them": True}),
        "normalisation": panels.menu("Normalisation", list(NORMALISATIONS)),
        "batch": panels.slider("Examples in a batch", [4, 8, 16, 32, 128]),
        "skip": panels.menu("Skip", list(SKIPS)),
        "branch": panels.menu("Factor on the branch", list(BRANCHES)),
        "seed": panels.slider("Network (seed)", range(10)),
        "reach": panels.menu("Height of the axis", {f"10 to the power of ±{r}": r for r in (2, 6, 18, 50)}),
    },
)


def draw_streams(xrays: dict[str, XRay], title: str) -> Figure:
    """Draw the gradient in the stream of several networks, measured (points) and predicted (lines).

    Args:
        xrays: label -> x-ray.
        title: the finding.

    Returns:
        The figure.
    """
    figure, axis = figures.canvas(title, "layer l", "gradient in the stream, rms", yscale="log")
    for i, (name, picture) in enumerate(xrays.items()):
        axis.plot(picture.predicted.gradient, **figures.series(i), label=name)
        points = figures.series(i, marker=True) | {"linestyle": "", "markevery": 5}
        axis.plot(picture.measured.gradient, **points)
    axis.margins(y=0.12)  # room for the arrow
    _mark_backward_pass(axis)
    axis.legend(loc="lower right", fontsize=9)
    return figure


def draw_weight_gradients(norms: dict[str, np.ndarray], title: str) -> Figure:
    """Draw the norms of the weight gradients of several kinds of networks, layer by layer.

    Args:
        norms: label -> (networks, layers); the line is the median, the band holds all networks.
        title: the finding.

    Returns:
        The figure.
    """
    figure, axis = figures.canvas(title, "layer l", "norm of dL/dW", yscale="log")
    for i, (name, values) in enumerate(norms.items()):
        figures.band(axis, np.arange(1, values.shape[1] + 1), values.T, i, name, centre=np.median)
    axis.set_xticks([1, *range(5, values.shape[1] + 1, 5)])
    figure.legend(ncols=2, loc="outside lower center", fontsize=9)
    return figure


def _mark_backward_pass(axis: Axes) -> None:
    """Say in a figure over layers in which direction a gradient travels."""
    axis.annotate(
        "backward pass",
        (0.03, 0.95),
        (0.36, 0.95),
        xycoords="axes fraction",
        va="center",
        fontsize=9,
        arrowprops={"arrowstyle": "->"},
    )


def scalar_net(
    activation: str = "relu",
    gain: float = 2.0,
    depth: int = 4,
    width: int = 128,
    skip: str = "none",
    branch_scale: float = 1.0,
    seed: int = 0,
) -> nn.Sequential:
    """Make a random network with one output for each example.

    Args: those of `RandomNet`.

    Returns:
        A module from (batch, N) to (batch, 1), float64.
    """
    body = RandomNet(activation, gain, depth, width, skip=skip, branch_scale=branch_scale, seed=seed)
    readout = skip_init(nn.Linear, width, 1, bias=False, dtype=torch.float64)
    random = torch.Generator().manual_seed(2_000_003 + seed)
    with torch.no_grad():
        readout.weight.normal_(generator=random)
    return nn.Sequential(body, readout)


def mlp(
    widths: Sequence[int], activation: str = "relu", gain: float = 2.0, bias: bool = False, seed: int = 0
) -> nn.Sequential:
    """Make a plain multilayer perceptron: linear layers with activations between them.

    Args:
        widths: units of the input, of each hidden layer and of the output.
        activation: "relu", "tanh", "sigmoid" or "linear".
        gain: g, the incoming width times the variance of a weight.
        bias: whether the linear layers have biases; they are standard normal.
        seed: of weights and biases.

    Returns:
        A module from (batch, widths[0]) to (batch, widths[-1]), float64.
    """
    _require(activation, "activation", tuple(ACTIVATIONS))
    shape = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "linear": nn.Identity}[activation]
    random = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for incoming, outgoing in itertools.pairwise(widths):
        linear = skip_init(nn.Linear, incoming, outgoing, bias=bias, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.normal_(std=math.sqrt(gain / incoming), generator=random)
            if bias:
                linear.bias.normal_(generator=random)
        layers += [linear, shape()]
    return nn.Sequential(*layers[:-1])


def torch_mlp(widths: Sequence[int], activation: str = "relu", seed: int = 0) -> nn.Sequential:
    """Make a plain multilayer perceptron as PyTorch initialises it: weights and biases within 1 / sqrt(inputs).

    Args:
        widths: units of the input, of each hidden layer and of the output.
        activation: "relu", "tanh", "sigmoid" or "linear".
        seed: of torch's own initialisation; the global generator is left as it was.

    Returns:
        A module from (batch, widths[0]) to (batch, widths[-1]), float64, with biases.
    """
    net = mlp(widths, activation, bias=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in net:
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
    return net


def conv_gradient(
    side: int = 8, channels: int = 32, depth: int = 20, gain: float = 1 / 3, batch: int = 8, seed: int = 0
) -> np.ndarray:
    """Measure the gradient in a plain stack of zero-padded 3x3 convolutions with ReLU.

    Args:
        side: n, height and width of the image, in pixels.
        channels: C, in every layer.
        depth: L, number of layers.
        gain: g = 9 C times the variance of a weight (1/3 is the default of nn.Conv2d).
        batch: number of images.
        seed: of weights, images and cotangents, all normal.

    Returns:
        (L + 1,) root mean square of an entry of dLoss/dx_0, ..., dLoss/dx_L; the last is 1.
    """
    random = torch.Generator().manual_seed(seed)
    normal = {"generator": random, "dtype": torch.float64}
    weights = math.sqrt(gain / (9 * channels)) * torch.randn(depth, channels, channels, 3, 3, **normal)
    states = [torch.randn(batch, channels, side, side, **normal).requires_grad_()]
    for weight in weights:
        states.append(torch.relu(nn.functional.conv2d(states[-1], weight, padding=1)))
    cotangent = torch.randn(states[-1].shape, **normal)
    gradients = torch.autograd.grad(states[-1], states, cotangent / cotangent.square().mean().sqrt())
    return np.array([_rms(g) for g in gradients])


def shattering(
    depth: int, gain: float = 2.0, skip: str = "none", cosine: float = 0.0, branch_scale: float = 1.0
) -> np.ndarray:
    """Predict how alike the input gradients of a wide random ReLU network are at two inputs.

    Args:
        depth: L, number of layers.
        gain: g; without a skip the result does not depend on it.
        skip: "none" or "pre-activation".
        cosine: of the angle between the two inputs, from -1 to 1.
        branch_scale: s, factor of the branch; without a skip it does not matter.

    Returns:
        (L + 1,) cosine of the angle between the two input gradients for 0, ..., L layers.

    Source: the kernels of Cho and Saul 2009, "Kernel methods for deep learning", equations 4 to 6.
    """
    _require(skip, "skip", ("none", "pre-activation"))
    identity, branch = float(skip != "none"), branch_scale**2 * gain / 2
    result = [1.0]
    for _ in range(depth):
        angle = math.acos(max(-1.0, min(1.0, cosine)))
        both_active = (math.pi - angle) / math.pi  # given that the unit is active for one
        product = (math.sin(angle) + (math.pi - angle) * cosine) / math.pi
        result.append(result[-1] * (identity + branch * both_active) / (identity + branch))
        cosine = (identity * cosine + branch * product) / (identity + branch)
    return np.array(result)


def inputs_at_angle(cosine: float, number: int = 16, width: int = 256, seed: int = 0) -> Tensor:
    """Draw inputs of which any two enclose the same angle.

    Args:
        cosine: of that angle, from 0 to 1.
        number: how many, less than the width.
        width: N, units of an input.
        seed: of their directions.

    Returns:
        (number, N) float64; the root mean square of an entry is 1.

    Raises:
        ValueError: for as many as the width, or more: so many directions are not at right angles.
    """
    if number >= width:
        raise ValueError(f"number is {number}: give less than the width, {width}")
    random = torch.Generator().manual_seed(3_000_003 + seed)
    directions = torch.randn(width, number + 1, generator=random, dtype=torch.float64)
    shared, *own = math.sqrt(width) * torch.linalg.qr(directions)[0].T
    return math.sqrt(cosine) * shared + math.sqrt(1 - cosine) * torch.stack(own)


def draw_shattering(
    measured: dict[str, np.ndarray], predicted: dict[str, np.ndarray], depths: Sequence[int], title: str
) -> Figure:
    """Draw how alike the gradients of two inputs are against depth: at a right angle, and at cosine 0.9.

    Args:
        measured: label -> (2, depths, networks), for the two pairs of inputs.
        predicted: label -> (2, depths).
        depths: numbers of layers.
        title: the finding.

    Returns:
        The figure.
    """
    look = {"xlabel": "depth L (layers)", "xscale": "log", "xticks": depths, "xticklabels": depths}
    figure, axes = figures.panels(
        ["unrelated inputs, cosine 0", "similar inputs, cosine 0.9"], title, 3.6, ylim=(-0.05, 1), **look
    )
    for axis, pair in zip(axes, (0, 1), strict=True):
        for i, (name, values) in enumerate(measured.items()):
            axis.plot(depths, predicted[name][pair], **figures.series(i), label=name)
            points = {
                "color": figures.COLOURS[i],
                "marker": figures.MARKERS[i],
                "linestyle": "",
                "capsize": 3,
            }
            mean, spread = values[pair].mean(axis=1), values[pair].std(axis=1, ddof=1)
            axis.errorbar(depths, mean, spread, **points)
        axis.minorticks_off()
    axes[0].set_ylabel("cosine of two gradients")
    figure.legend(*axes[0].get_legend_handles_labels(), ncols=3, loc="outside lower center", fontsize=9)
    return figure


def _moments(activation: str, variance: float) -> tuple[float, float, float]:
    """Give E phi(h), E phi(h)^2 and E phi'(h)^2 for h normal with mean 0 and this variance.

    The trapezoid rule: for smooth functions it converges geometrically, also where phi' is a spike
    of width 1 / sqrt(variance) between the few nodes of a Gauss-Hermite rule.
    """
    if activation == "linear":
        return 0.0, variance, 1.0
    if activation == "relu":
        return math.sqrt(variance / (2 * math.pi)), variance / 2, 0.5
    z = np.linspace(-8.5, 8.5, 3401)
    weight = np.exp(-(z**2) / 2)
    weight /= weight.sum()
    t = np.tanh(z * math.sqrt(variance) * (1.0 if activation == "tanh" else 0.5))
    value, slope = (t, 1 - t**2) if activation == "tanh" else ((1 + t) / 2, (1 - t**2) / 4)
    return float(weight @ value), float(weight @ value**2), float(weight @ slope**2)


def _rms(x: Tensor) -> float:
    return float(x.detach().square().mean().sqrt())


def _require(value: str, name: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}={value!r} is unknown; choose one of {', '.join(map(repr, allowed))}")
