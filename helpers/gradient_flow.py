"""Gradients in random deep networks: measured by autograd, predicted by mean-field theory.

A network of this module keeps its width N from the input x_0 to the output x_L. With weights
of variance g / N, an activation phi, a normalisation and a branch scale s, a layer is

    skip = "none":            x' = phi(norm(W x))
    skip = "residual":        x' = x + s phi(norm(W x))
    skip = "pre-activation":  x' = x + s W phi(norm(x))

`xray` measures such a network and predicts it; `draw_xray` draws both.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from torch import Tensor, nn
from torch.nn.utils import skip_init

from helpers import figures

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "linear": lambda x: x}
NORMALISATIONS = ("none", "batch", "layer")
SKIPS = ("none", "residual", "pre-activation")


class RandomNet(nn.Module):
    """A network of equal widths, without biases, as the module's first lines define it.

    Args:
        activation: "relu", "tanh", "sigmoid" or "linear".
        gain: g, the width times the variance of a weight (2 is He, 1/3 the default of torch).
        depth: L, number of layers.
        width: N, units in every layer.
        normalisation: "none", "batch" (over examples) or "layer" (over units); no parameters.
        skip: "none", "residual" or "pre-activation".
        branch_scale: s, factor of the branch; without a skip it must be 1.
        seed: of the weights, which are normal.

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

    def layer(self, x: Tensor, weight: Tensor) -> Tensor:
        """Map the stream x, (batch, N), through one layer with this weight, (N, N)."""
        phi = ACTIVATIONS[self.activation]
        if self.skip == "pre-activation":
            return x + self.branch_scale * phi(self.normalise(x)) @ weight.T
        branch = phi(self.normalise(x @ weight.T))
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
        for weight in self.weights:
            states.append(self.layer(states[-1], weight))
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
) -> XRay:
    """Look at the gradients of one random network, layer by layer.

    Args: those of `RandomNet`.

    Returns:
        The measured and the predicted flow. The loss is the output weighted with standard normal
        numbers, the inputs are standard normal too.
    """
    net = RandomNet(activation, gain, depth, width, normalisation, skip, branch_scale, seed)
    predicted = mean_field(activation, gain, depth, normalisation, skip, branch_scale)
    return XRay(measure(net, seed=seed), predicted)


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
) -> Flow:
    """Predict the flow of a random network in the limit of infinite width and batch.

    Three numbers describe the stream: the mean square q of an entry, its mean m, and the overlap c of
    two examples (the mean product of their entries). Pre-activations are Gaussian, and forward
    and backward weights count as independent. That holds well but for "residual" with ReLU: its stream
    has a mean, along which a network of finite width amplifies more than predicted.

    Args: those of `RandomNet`, and
        signal: root mean square of the input, whose mean and overlaps are 0.

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
        spread = before * (q - c if normalisation == "batch" else q)
        mean, square, slope = _moments(activation, spread if normalisation == "none" else 1.0)
        if normalisation != "none":
            slope /= spread
        factors.append(identity + s2 * gain * slope)
        if skip == "pre-activation":
            # Centred by batch norm of the next layer or not: the cotangents of examples stay independent.
            weights.append(s2 * square)
            q, c = q + s2 * gain * square, c + s2 * gain * mean**2
        else:
            weights.append(s2 * slope * (q - c if normalisation == "batch" else q))
            cross = 2 * identity * branch_scale * m * mean
            q, c = identity * q + cross + s2 * square, identity * c + cross + s2 * mean**2
            m = identity * m + branch_scale * mean
        squares.append(q)
    # p_l, the mean square of dLoss/dx_l, from p_L = 1 backwards.
    backward = np.cumprod([1.0, *reversed(factors)])[::-1]
    return Flow(np.sqrt(squares), np.sqrt(backward), np.sqrt(np.array(weights) * backward[1:]))


def draw_xray(
    activation: str = "relu",
    gain: float = 2.0,
    depth: int = 20,
    width: int = 128,
    normalisation: str = "none",
    skip: str = "none",
    branch_scale: float = 1.0,
    seed: int = 0,
) -> Figure:
    """Draw an x-ray: gradients of the stream and of the weights, measured (points) and predicted (lines).

    Args: those of `RandomNet`; without a skip the branch scale is ignored.

    Returns:
        The figure; its title says by what factor a layer multiplies the gradient.
    """
    scale = 1.0 if skip == "none" else branch_scale
    measured, predicted = xray(activation, gain, depth, width, normalisation, skip, scale, seed)
    left = measured.gradient[0]
    figure, axis = figures.canvas(
        f"The gradient is multiplied by {left ** (1 / depth):.3g} a layer,\nby {left:.2g} over all {depth} layers",
        "layer l",
        "root mean square",
        yscale="log",
    )
    for index, (name, label) in enumerate(
        [("gradient", "stream, dL/dx"), ("weight_gradient", "weights, dL/dW")]
    ):
        points, line = getattr(measured, name), getattr(predicted, name)
        layers = np.arange(depth + 1)[-len(points) :]
        look = figures.series(index, marker=True)
        axis.plot(layers, line, color=look["color"], linestyle=look["linestyle"], label=f"{label}: predicted")
        axis.plot(layers, points, **look | {"linestyle": "", "markerfacecolor": "none"}, label="measured")
    # A flat line is a finding: show at least two decades. Few ticks: a redraw must follow the slider.
    low, high = axis.get_ylim()
    middle = math.sqrt(low * high)
    axis.set_ylim(min(low, middle / 10), max(high, middle * 10))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.45, -0.18), fontsize=9)
    return figure


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


def shattering(depth: int, gain: float = 2.0, skip: str = "none", cosine: float = 0.0) -> np.ndarray:
    """Predict how alike the input gradients of a wide random ReLU network are at two inputs.

    Args:
        depth: L, number of layers.
        gain: g; without a skip the result does not depend on it.
        skip: "none" or "pre-activation" (branch scale 1).
        cosine: of the angle between the two inputs, from -1 to 1.

    Returns:
        (L + 1,) cosine of the angle between the two input gradients for 0, ..., L layers.

    Source: the kernels of Cho and Saul 2009, "Kernel methods for deep learning", equations 4 to 6.
    """
    _require(skip, "skip", ("none", "pre-activation"))
    identity = float(skip != "none")
    result = [1.0]
    for _ in range(depth):
        angle = math.acos(max(-1.0, min(1.0, cosine)))
        both_active = (math.pi - angle) / math.pi  # given that the unit is active for one
        product = (math.sin(angle) + (math.pi - angle) * cosine) / math.pi
        result.append(result[-1] * (identity + gain / 2 * both_active) / (identity + gain / 2))
        cosine = (identity * cosine + gain / 2 * product) / (identity + gain / 2)
    return np.array(result)


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
