"""Training the four systems of lesson 2: a hundred convolutions with weights of their own, and a linear read-out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, cross_entropy

from helpers import convolution


@dataclass(frozen=True)
class Training:
    """What training did, one row per network.

    Args:
        losses: (networks, steps + 1), mean cross-entropy before each step and after the last.
        moved: (networks,), largest change of a weight of the first kernel, relative to the largest weight.
    """

    losses: np.ndarray
    moved: np.ndarray


def train(
    system: str,
    images: Tensor,
    labels: Tensor,
    seeds: Sequence[int],
    depth: int = 100,
    steps: int = 8,
    rate: float = 0.1,
    optimiser: str = "SGD",
    freeze: bool = False,
) -> Training:
    """Train one network per seed: `depth` steps of a system, each with its own kernel, then a linear read-out.

    Each kernel starts as the binomial kernel with 10 % of noise. The networks are trained side by side, as
    channels of one, on all images at once, by SGD (momentum 0.9) or Adam.

    Args:
        system: a key of `convolution.STEPS`.
        images: (images, height, width), float32.
        labels: (images,), 0 ... 9.
        seeds: one per network.
        depth, steps, rate: number of convolutions, of updates, and learning rate.
        optimiser: "SGD" or "Adam".
        freeze: keep the kernels as they are and train the read-out alone.

    Returns:
        Losses and the movement of the first kernel.
    """
    networks, pixels = len(seeds), images[0].numel()
    kernels, readout = _start(seeds, depth, pixels)
    kernels.requires_grad_(not freeze)
    first = kernels[0].detach().clone()
    weights = [readout] if freeze else [kernels, readout]
    settings = {"momentum": 0.9} if optimiser == "SGD" else {}
    update = getattr(torch.optim, optimiser)(weights, lr=rate, **settings)
    start = images[:, None].expand(-1, networks, -1, -1)
    losses = []
    for step in range(steps + 1):
        x = start
        for kernel in kernels.unbind():
            x = _layer(system, x, conv2d(x, kernel, padding=1, groups=networks))
        logits = torch.einsum("bsp,scp->bsc", x.flatten(2), readout)
        loss = torch.stack([cross_entropy(logits[:, s], labels) for s in range(networks)])
        losses.append(loss.detach().numpy())
        if step < steps:
            update.zero_grad()
            loss.sum().backward()
            update.step()
    change = (kernels[0].detach() - first).abs().amax((1, 2, 3)) / first.abs().amax((1, 2, 3))
    return Training(np.stack(losses, axis=1), change.numpy())


def _start(seeds: Sequence[int], depth: int, pixels: int) -> tuple[Tensor, Tensor]:
    """Kernels (depth, networks, 1, 3, 3) and read-outs (networks, 10, pixels), each network from its own seed."""
    kernel = torch.tensor(convolution.binomial_kernel("float32"))
    kernels, readouts = [], []
    for seed in seeds:
        draw = torch.Generator().manual_seed(seed)
        kernels.append(kernel * (1 + 0.1 * torch.randn(depth, 1, 3, 3, generator=draw)))
        readouts.append(torch.randn(10, pixels, generator=draw) / pixels**0.5)
    return torch.stack(kernels, dim=1).requires_grad_(), torch.stack(readouts).requires_grad_()


def _layer(system: str, x: Tensor, blurred: Tensor) -> Tensor:
    """One step of a system, for (images, networks, height, width)."""
    if system == "plain":
        return blurred
    if system == "softmax":
        return _softmax(blurred)
    if system == "residual + softmax":
        return _softmax(x + blurred)
    return x + _softmax(blurred)


def _softmax(x: Tensor) -> Tensor:
    return x.flatten(2).softmax(2).view_as(x)
