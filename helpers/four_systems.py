"""Training the four systems of lesson 2: a hundred convolutions with weights of their own, and a linear read-out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

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
    steps: int = 10,
    rate: float = 0.1,
    optimiser: str = "SGD",
    freeze: bool = False,
) -> Training:
    """Train one network per seed: `depth` steps of a system, each with its own kernel, then a linear read-out.

    Each kernel starts as the binomial kernel with 10 % of noise. The networks are trained side by side, on all
    images at once, by SGD (momentum 0.9) or Adam. A convolution is done as a product with its matrix.

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

    Raises:
        ValueError: for another system or optimiser.
    """
    for name, value, known in (
        ("system", system, convolution.STEPS),
        ("optimiser", optimiser, ("SGD", "Adam")),
    ):
        if value not in known:
            raise ValueError(f"{name} is {value!r}: choose one of {', '.join(known)}")
    networks, side = len(seeds), images.shape[-1]
    kernels, readout = _start(seeds, depth, side * side)
    kernels.requires_grad_(not freeze)
    first, shifts = kernels[0].detach().clone(), _shifts(side)
    weights = [readout] if freeze else [kernels, readout]
    settings = {"momentum": 0.9} if optimiser == "SGD" else {}
    update = getattr(torch.optim, optimiser)(weights, lr=rate, **settings)
    start = images.flatten(1).expand(networks, -1, -1)
    losses = []
    for step in range(steps + 1):
        x = start
        for transposed in torch.einsum("lsk,kij->lsji", kernels, shifts).unbind():
            x = _layer(system, x, x @ transposed)
        logits = x @ readout.mT
        loss = torch.stack([cross_entropy(one, labels) for one in logits])
        losses.append(loss.detach().numpy())
        if step < steps:
            update.zero_grad()
            loss.sum().backward()
            update.step()
    change = (kernels[0].detach() - first).abs().amax(1) / first.abs().amax(1)
    return Training(np.stack(losses, axis=1), change.numpy())


def _start(seeds: Sequence[int], depth: int, pixels: int) -> tuple[Tensor, Tensor]:
    """Kernels (depth, networks, 9) and read-outs (networks, 10, pixels), each network from its own seed."""
    kernel = torch.tensor(convolution.binomial_kernel("float32")).flatten()
    kernels, readouts = [], []
    for seed in seeds:
        draw = torch.Generator().manual_seed(seed)
        kernels.append(kernel * (1 + 0.1 * torch.randn(depth, 9, generator=draw)))
        readouts.append(torch.randn(10, pixels, generator=draw) / pixels**0.5)
    return torch.stack(kernels, dim=1), torch.stack(readouts).requires_grad_()


def _shifts(side: int) -> Tensor:
    """The matrices of the nine kernels that hold a single one: a convolution is a weighted sum of them."""
    ones = np.eye(9, dtype=np.float32).reshape(9, 3, 3)
    return torch.tensor(np.stack([convolution.operator_matrix(one, side) for one in ones]))


def _layer(system: str, x: Tensor, blurred: Tensor) -> Tensor:
    """One step of a system, for (..., pixels)."""
    if system == "plain":
        return blurred
    if system == "softmax":
        return blurred.softmax(-1)
    if system == "residual + softmax":
        return (x + blurred).softmax(-1)
    return x + blurred.softmax(-1)
