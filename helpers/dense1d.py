"""One-dimensional ResNets and DenseNets for MNIST-1D, many seeds at once.

Built like the networks of `architectures`, with the weights of all seeds stacked as in `training`: no seed sees
another. Inside, an activation is (seeds, channels, length, batch), in float32: torch convolves float64 slowly. Train
them with `training.train_stacked`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from copy import deepcopy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.architectures import Append, Residual
from helpers.training import StackedLinear, StackedNorm, features


class StackedConv(nn.Module):
    """Convolutions along the length, one a seed, zero-padded, without bias.

    Args:
        draws: one generator a seed; weights are He-normal.
        inputs, outputs: channels.
        taps: width of the kernel, odd.
        stride: step along the length.
    """

    def __init__(
        self, draws: list[torch.Generator], inputs: int, outputs: int, taps: int = 3, stride: int = 1
    ):
        super().__init__()
        scale = math.sqrt(2 / (inputs * taps))
        kernels = [scale * torch.randn(outputs, inputs, taps, 1, generator=g) for g in draws]
        self.weight = nn.Parameter(torch.cat(kernels))
        self.seeds, self.padding, self.stride = len(draws), (taps // 2, 0), (stride, 1)

    def forward(self, h: Tensor) -> Tensor:
        """Map (seeds, inputs, length, batch) to (seeds, outputs, ceil(length / stride), batch)."""
        rows = F.conv2d(h.flatten(0, 1), self.weight, None, self.stride, self.padding, groups=self.seeds)
        return rows.unflatten(0, (self.seeds, -1))


class Norm(StackedNorm):
    """Batch normalisation of each channel of each seed, over length and batch."""

    def forward(self, h: Tensor) -> Tensor:
        return super().forward(h.flatten(2)).view(h.shape)


class StackedNetwork(nn.Module):
    """The layers of a network in a row, for several seeds.

    Args:
        seeds: of the weights; seed s draws the same weights in whatever company.
        layers: from (seeds, 1, length, batch) to (seeds, channels, length, batch).
        head: from (seeds, channels, batch) to (seeds, classes, batch).
    """

    def __init__(self, seeds: Sequence[int], layers: Iterable[nn.Module], head: nn.Module):
        super().__init__()
        self.seeds, self.layers, self.head = tuple(seeds), nn.Sequential(*layers), head

    def forward(self, x: Tensor) -> Tensor:
        """Map curves (batch, length), or (seeds, batch, length), to logits (seeds, batch, classes)."""
        h = x.transpose(-1, -2).expand(len(self.seeds), x.shape[-1], x.shape[-2])
        return self.head(self.layers(h.unsqueeze(1)).mean(2)).transpose(1, 2)


def resnet(
    width: int, blocks: int, seeds: Sequence[int], stages: int = 3, classes: int = 10
) -> StackedNetwork:
    """Build a residual network of constant width; every stage but the first halves the length.

    Args:
        width: channels everywhere.
        blocks: residual blocks a stage, two convolutions of 3 taps each.
        seeds: of the weights.
        stages, classes: how many.

    Returns:
        The network. Where the length halves, the shortcut takes every second position (option A).
    """
    draws = _draws(seeds)
    layers: list[nn.Module] = [StackedConv(draws, 1, width), Norm(len(draws), width), nn.ReLU()]
    for stage in range(stages):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            branch = nn.Sequential(
                StackedConv(draws, width, width, stride=stride),
                Norm(len(draws), width),
                nn.ReLU(),
                StackedConv(draws, width, width),
                Norm(len(draws), width),
            )
            shortcut = nn.Identity() if stride == 1 else nn.MaxPool2d((1, 1), (2, 1))
            layers.append(Residual(branch, shortcut))
    return StackedNetwork(seeds, layers, StackedLinear(draws, width, classes, "xavier", dtype=torch.float32))


def densenet(
    growth: int, layers: int, seeds: Sequence[int], blocks: int = 3, classes: int = 10
) -> StackedNetwork:
    """Build a DenseNet with 2 k channels at the start and compression 1/2, without bottlenecks.

    Args:
        growth: k, the channels that each layer appends.
        layers: layers a block, one convolution of 3 taps each.
        seeds: of the weights.
        blocks, classes: how many.

    Returns:
        The network.
    """
    draws = _draws(seeds)
    channels = 2 * growth
    rows: list[nn.Module] = [StackedConv(draws, 1, channels)]
    for block in range(blocks):
        if block > 0:
            rows += [*_norm_conv(draws, channels, channels // 2, taps=1), nn.AvgPool2d((2, 1))]
            channels //= 2
        for _ in range(layers):
            rows.append(Append(nn.Sequential(*_norm_conv(draws, channels, growth))))
            channels += growth
    rows += [Norm(len(draws), channels), nn.ReLU()]
    return StackedNetwork(seeds, rows, StackedLinear(draws, channels, classes, "xavier", dtype=torch.float32))


def blind_exits(
    network: StackedNetwork, first: int, count: int, mean_over: np.ndarray | None = None
) -> StackedNetwork:
    """Copy a DenseNet so that what stands behind a block no longer reads some of its channels.

    Args:
        network: from `densenet`, in evaluation mode; stays as it is.
        first, count: which channels of each block's output; the layers inside a block still read them.
        mean_over: curves (examples, length); None puts zeros in the channels' place, curves their mean over these.

    Returns:
        The copy, in the same mode: each transition, and the classifier, reads a constant in these channels.
    """
    constants = None if mean_over is None else _exit_means(network, mean_over)
    copy = deepcopy(network)
    for exit, norm in enumerate(layer for layer in copy.layers if isinstance(layer, Norm)):
        scale, shift = (each.data.view(len(network.seeds), -1) for each in (norm.weight, norm.bias))
        cut = slice(first, first + count)
        scale[:, cut] = 0
        shift[:, cut] = 0 if constants is None else constants[exit][:, cut]
    return copy


@torch.no_grad()
def _exit_means(network: StackedNetwork, x: np.ndarray) -> list[Tensor]:
    """Mean of each channel behind the batch norm and ReLU at the end of each block: (seeds, channels) each."""
    h = features(network, x).T.expand(len(network.seeds), x.shape[1], len(x)).unsqueeze(1)
    means = []
    for layer in network.layers:
        h = layer(h)
        if isinstance(layer, Norm):
            means.append(h.relu().mean((2, 3)))
    return means


def measured(
    network: str, rate: float = 0.2, steps: int = 125, curves: int = 2_500, processor: str = "plain"
) -> np.ndarray:
    """Give test accuracies that were measured beforehand: `densenet_runs` says when, where and by which script.

    Args:
        network: "resnet8", "densenet4" or "resnet16": `resnet(8, 1)`, `densenet(4, 2)`, `resnet(16, 1)`.
        rate, steps, curves: learning rate, updates with 64 curves each, curves (one fifth of them to test on).
        processor: "plain", or one that was emulated: "avx2", "baseline".

    Returns:
        float64 (sets, 5): row k holds the seeds 1000 k to 1000 k + 4.

    Raises:
        KeyError: if this was not measured.
    """
    from helpers.densenet_runs import RUNS  # here: the script that writes it uses this module

    asked = f"{processor} {network} {rate:g} {steps} {curves}"
    for row in RUNS.splitlines():
        setting, _, correct = row.partition(":")
        if setting.rpartition(" ")[0] == asked:
            return np.array(correct.split(), float).reshape(-1, 5) / (curves // 5)
    raise KeyError(f"{asked!r} was not measured")


def _norm_conv(draws: list[torch.Generator], inputs: int, outputs: int, taps: int = 3) -> list[nn.Module]:
    return [Norm(len(draws), inputs), nn.ReLU(), StackedConv(draws, inputs, outputs, taps)]


def _draws(seeds: Sequence[int]) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]
