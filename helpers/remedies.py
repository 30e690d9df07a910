"""Deep multilayer perceptrons with and without a remedy: starts, batch normalisation, shortcuts, gates.

`REMEDIES` names them; `StackedMLP` builds any of them for many seeds at once, out of the blocks of this module.
Hidden layers have no biases. Features stand before examples: h is (seeds, width, batch).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Generator, Tensor, nn

from helpers.training import StackedLinear, StackedNorm, features, stacked_loss, train_stacked

# name -> (start of the weights, batch normalisation, block)
REMEDIES = {
    "default init": ("default", False, "plain"),
    "Xavier init": ("xavier", False, "plain"),
    "He init": ("he", False, "plain"),
    "orthogonal init": ("orthogonal", False, "plain"),
    "LSUV init": ("orthogonal", False, "plain"),
    "plain + BN": ("he", True, "plain"),
    "residual + BN": ("he", True, "residual"),
    "residual": ("he", False, "residual"),
    "scaled residual": ("he", False, "scaled"),
    "SkipInit": ("he", False, "skipinit"),
    "ReZero": ("he", False, "rezero"),
    "highway": ("he", False, "highway"),
}
# The best learning rate of each at 24 layers and 33 steps of SGD (momentum 0.9, batches of 128 digits): among
# 0.0001 * 2^k, k = 0 ... 14, that with the smallest mean loss over steps 23 to 33 of the networks with seeds 100
# to 104. Found on 2026-11-26 by `python tests/reproduce_degradation.py rates`. The first two learn at no rate.
THREE_PASSES = {
    "default init": 0.0256,
    "Xavier init": 0.0256,
    "He init": 0.0256,
    "orthogonal init": 0.0256,
    "LSUV init": 0.0256,
    "plain + BN": 0.1024,
    "residual": 0.0032,
    "residual + BN": 0.0512,
    "scaled residual": 0.1024,
    "SkipInit": 0.1024,
    "ReZero": 0.1024,
    "highway": 0.2048,
}
TWO_LAYERS_A_BLOCK = ("residual", "scaled", "skipinit")


class PlainLayer(nn.Module):
    """relu(norm(W h))."""

    def __init__(self, draws: list[Generator], width: int, init: str = "he", norm: bool = False):
        super().__init__()
        self.linear = StackedLinear(draws, width, width, init, bias=False)
        self.norm = StackedNorm(len(draws), width) if norm else nn.Identity()

    def forward(self, h: Tensor) -> Tensor:
        """Map (seeds, width, batch) to the same shape."""
        return torch.relu(self.norm(self.linear(h)))


class ResidualPair(nn.Module):
    """relu(h + scale * norm(W2 relu(norm(W1 h)))); a scale of None is learned, one a seed, from zero.

    Source: He et al. 2015, arXiv:1512.03385, figure 2; the learned scale De and Smith 2020, arXiv:2002.10444.
    """

    def __init__(self, draws: list[Generator], width: int, norm: bool = False, scale: float | None = 1.0):
        super().__init__()
        self.first = PlainLayer(draws, width, norm=norm)
        self.second = StackedLinear(draws, width, width, bias=False)
        self.norm = StackedNorm(len(draws), width) if norm else nn.Identity()
        self.scale = nn.Parameter(torch.zeros(len(draws), 1, 1)) if scale is None else scale

    def forward(self, h: Tensor) -> Tensor:
        """Map (seeds, width, batch) to the same shape."""
        return torch.relu(h + self.scale * self.norm(self.second(self.first(h))))


class ReZeroLayer(nn.Module):
    """h + gate * relu(W h), the gate learned from zero.

    Source: Bachlechner et al. 2020, arXiv:2003.04887.
    """

    def __init__(self, draws: list[Generator], width: int):
        super().__init__()
        self.layer = PlainLayer(draws, width)
        self.gate = nn.Parameter(torch.zeros(len(draws), 1, 1))

    def forward(self, h: Tensor) -> Tensor:
        """Map (seeds, width, batch) to the same shape."""
        return h + self.gate * self.layer(h)


class HighwayLayer(nn.Module):
    """h + t * (relu(W h) - h), where t = sigmoid(V h + b) and b starts at -4.

    Source: Srivastava, Greff and Schmidhuber 2015, arXiv:1505.00387.
    """

    def __init__(self, draws: list[Generator], width: int):
        super().__init__()
        self.layer = PlainLayer(draws, width)
        self.transform = StackedLinear(draws, width, width, "xavier")
        nn.init.constant_(self.transform.bias, -4.0)

    def forward(self, h: Tensor) -> Tensor:
        """Map (seeds, width, batch) to the same shape."""
        return torch.lerp(h, self.layer(h), torch.sigmoid(self.transform(h)))


class StackedMLP(nn.Module):
    """A stem, `depth` hidden layers of equal width and a linear head, float64, for many seeds at once.

    Args:
        remedy: a key of `REMEDIES`.
        seeds: of the weights; a seed draws the same weights in whatever company.
        depth: hidden layers, width x width each; a residual block has two of them.
        width, inputs, classes: features inside, at the entry and at the exit.

    Raises:
        ValueError: for an unknown remedy, a depth below 1, or an odd depth where a block has two layers.
    """

    def __init__(
        self,
        remedy: str,
        seeds: Sequence[int],
        depth: int,
        width: int = 32,
        inputs: int = 64,
        classes: int = 10,
    ):
        super().__init__()
        if remedy not in REMEDIES:
            raise ValueError(f"remedy is {remedy!r}: choose one of {', '.join(REMEDIES)}")
        init, norm, block = REMEDIES[remedy]
        layers = 2 if block in TWO_LAYERS_A_BLOCK else 1
        if depth < 1 or depth % layers:
            raise ValueError(f"depth is {depth}: {remedy!r} needs a positive multiple of {layers}")
        blocks = depth // layers
        draws = [Generator().manual_seed(seed) for seed in seeds]
        make = {
            "plain": lambda: PlainLayer(draws, width, init, norm),
            "residual": lambda: ResidualPair(draws, width, norm),
            "scaled": lambda: ResidualPair(draws, width, scale=1 / math.sqrt(blocks)),
            "skipinit": lambda: ResidualPair(draws, width, scale=None),
            "rezero": lambda: ReZeroLayer(draws, width),
            "highway": lambda: HighwayLayer(draws, width),
        }[block]
        self.remedy, self.seeds = remedy, tuple(seeds)
        self.stem = StackedLinear(draws, inputs, width, init, bias=False)
        self.norm = StackedNorm(len(draws), width) if norm else nn.Identity()
        self.blocks = nn.ModuleList(make() for _ in range(blocks))
        self.head = StackedLinear(draws, width, classes, "xavier")
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs), or (seeds, batch, inputs), to logits (seeds, batch, classes)."""
        h = torch.relu(self.norm(self.stem(x.transpose(-1, -2))))
        for block in self.blocks:
            h = block(h)
        return self.head(h).transpose(1, 2)

    def hidden_layers(self) -> list[StackedLinear]:
        """List the width x width maps from the first to the last; a highway's gates are left out."""
        linear = [(n, m) for n, m in self.blocks.named_modules() if isinstance(m, StackedLinear)]
        return [module for name, module in linear if not name.endswith("transform")]


@torch.no_grad()
def lsuv_(network: StackedMLP, x: np.ndarray) -> None:
    """Rescale the layers of a plain network, one after the other, to outputs of unit variance.

    Args:
        network: without normalisation; changed in place.
        x: floats (examples, inputs), what the variance is taken over.

    Source: Mishkin and Matas 2015, arXiv:1511.06422, algorithm 1.
    """
    h = features(network, x).T
    for linear in (network.stem, *network.hidden_layers()):
        linear.weight /= linear(h).std(dim=(1, 2), keepdim=True)
        h = torch.relu(linear(h))


def build(remedy: str, seeds: Sequence[int], depth: int, x: np.ndarray, width: int = 32) -> StackedMLP:
    """Build a network with one of the remedies, LSUV's rescaling included.

    Args:
        remedy, seeds, depth, width: as for `StackedMLP`.
        x: floats (examples, inputs), the training features.

    Returns:
        The untrained network, in training mode.
    """
    network = StackedMLP(remedy, seeds, depth, width, inputs=x.shape[1])
    if remedy.startswith("LSUV"):
        lsuv_(network, x)
    return network


def stacked_gradient_norms(network: StackedMLP, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Measure the gradient of the mean loss with respect to each hidden layer's weights.

    Args:
        network: in training mode its normalisation statistics move; its weights stay.
        x: floats (examples, inputs).
        y: int64 (examples,).

    Returns:
        Frobenius norms, float64 (layers, seeds), from the first hidden layer to the last.
    """
    labels = torch.as_tensor(y).expand(len(network.seeds), -1)
    weights = [layer.weight for layer in network.hidden_layers()]
    grads = torch.autograd.grad(stacked_loss(network(features(network, x)), labels).sum(), weights)
    return torch.stack([g.norm(dim=(1, 2)) for g in grads]).numpy()


def nudged_losses(
    remedy: str,
    seeds: Sequence[int],
    depth: int,
    x: np.ndarray,
    y: np.ndarray,
    steps: int,
    lr: float = 0.05,
    nudge: float = 1e-10,
    pixel: int = 20,
) -> np.ndarray:
    """Train networks whose first weights for one pixel start a tiny share too large.

    Args:
        remedy, seeds, depth: as for `StackedMLP`.
        x, y: floats (examples, inputs) and their classes (examples,).
        steps, lr: of `train_stacked`.
        nudge: the share; 0 for the networks themselves.
        pixel: which input those weights belong to.

    Returns:
        The minibatch losses, float64 (steps, seeds).
    """
    network = build(remedy, seeds, depth, x)
    with torch.no_grad():
        network.stem.weight[:, :, pixel] *= 1 + nudge
    return train_stacked(network, x, y, steps=steps, lr=lr)


def relu_mlp(layers: Sequence[tuple[np.ndarray, np.ndarray]], x: np.ndarray) -> np.ndarray:
    """Evaluate a plain network given as arrays: a ReLU after every layer but the last.

    Args:
        layers: (weight, bias) of each layer, (outputs, inputs) and (outputs,).
        x: (examples, inputs).

    Returns:
        Logits (examples, classes).
    """
    *hidden, (weight, bias) = layers
    for w, b in hidden:
        x = np.maximum(x @ w.T + b, 0)
    return x @ weight.T + bias
