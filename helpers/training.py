"""Training: one loop for an ordinary torch module, one for many seeds of the same network at once.

A stacked network holds the weights of all its seeds in tensors with a leading seed axis, so that one batched
matrix product serves them all; no seed sees another. Inside, features stand before examples: (seeds, features, batch).
Networks of these parts are float64 as a whole (those of `dense1d` float32): training a deep network blows rounding
errors up, and in float32 the second digit of a loss may depend on the processor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

INITS = ("default", "xavier", "he", "orthogonal")
GAINS = {"default": 1 / 3, "xavier": 1.0, "he": 2.0}  # g = fan_in * Var(W)

MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def train(
    network: nn.Module,
    x: np.ndarray,
    y: np.ndarray,
    *,
    steps: int,
    batch: int = 128,
    lr: float = 0.05,
    momentum: float = 0.9,
    optimizer: MakeOptimizer | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Train a classifier in place on shuffled minibatches of cross-entropy.

    Args:
        network: maps (batch, ...) to logits (batch, classes); left in training mode.
        x: floats (examples, ...), taken over in the network's precision.
        y: int64 (examples,), classes from 0.
        steps: how many updates; `steps_per_epoch` says how many make an epoch.
        batch: examples an update.
        lr, momentum: of stochastic gradient descent.
        optimizer: makes another optimizer from the parameters; `lr` and `momentum` are then unused.
        seed: of the shuffling.

    Returns:
        float64 (steps,): the loss of each minibatch before its update.
    """
    images, labels = features(network, x), torch.as_tensor(y)
    update = (optimizer or _descent(lr, momentum))(network.parameters())
    network.train()
    losses = []
    for (index,) in minibatches(len(images), batch, steps, [seed]):
        loss = F.cross_entropy(network(images[index]), labels[index])
        update.zero_grad()
        loss.backward()
        update.step()
        losses.append(loss.item())
    return np.array(losses)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards each module is in the mode that it was in before."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def evaluate(network: nn.Module, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Measure a classifier in evaluation mode; its mode is put back afterwards.

    Args:
        network: maps (examples, ...) to logits (examples, classes).
        x: floats (examples, ...), taken over in the network's precision.
        y: int64 (examples,).

    Returns:
        Mean cross-entropy in nats, and the share of examples classified correctly.
    """
    with evaluating(network):
        logits, labels = network(features(network, x)), torch.as_tensor(y)
    return F.cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).double().mean().item()


def features(network: nn.Module, x: np.ndarray) -> Tensor:
    """Give features as a tensor of the precision that a network computes in.

    Args:
        network: with at least one parameter.
        x: array or tensor of floats.

    Returns:
        x in the dtype of the network's first parameter.
    """
    return torch.as_tensor(x).to(next(network.parameters()).dtype)


def steps_per_epoch(examples: int, batch: int) -> int:
    """Count the whole minibatches of one pass; what is left over is shuffled into the next pass."""
    if not 1 <= batch <= examples:
        raise ValueError(f"batch is {batch}: it must lie between 1 and the {examples} examples there are")
    return examples // batch


def minibatches(examples: int, batch: int, steps: int, seeds: Sequence[int]) -> Iterator[Tensor]:
    """Yield the examples of each update, shuffled anew every pass, for every seed on its own.

    Args:
        examples, batch, steps: how many there are, how many an update takes, how many updates.
        seeds: one stream of shuffles each.

    Yields:
        int64 (seeds, batch), `steps` times.
    """
    per_pass = steps_per_epoch(examples, batch)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    for step in range(steps):
        place = step % per_pass
        if place == 0:
            order = torch.stack([torch.randperm(examples, generator=g) for g in generators])
        yield order[:, place * batch : (place + 1) * batch]


def _descent(lr: float, momentum: float) -> MakeOptimizer:
    return lambda parameters: torch.optim.SGD(parameters, lr=lr, momentum=momentum, fused=True)


class StackedLinear(nn.Module):
    """Linear maps, one a seed.

    Args:
        draws: the random stream of each seed.
        inputs, outputs: features.
        init: one of `INITS`, the scale of the weights.
        bias: whether a bias, zero at the start, is added.
        dtype: of the weights, and of the draws.

    Raises:
        ValueError: for an unknown init.
    """

    def __init__(
        self,
        draws: list[torch.Generator],
        inputs: int,
        outputs: int,
        init: str = "he",
        bias: bool = True,
        dtype: torch.dtype = torch.float64,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.stack([_weight(g, inputs, outputs, init, dtype) for g in draws]))
        self.bias = nn.Parameter(torch.zeros(len(draws), outputs, 1, dtype=dtype)) if bias else None

    def forward(self, h: Tensor) -> Tensor:
        """Map (seeds, inputs, batch), or (inputs, batch) for all seeds alike, to (seeds, outputs, batch)."""
        product = self.weight @ h
        return product if self.bias is None else product + self.bias


class StackedNorm(nn.Module):
    """Batch normalisation of each feature of each seed.

    In training mode a batch is normalised by its own mean and variance, which are also kept; in evaluation
    mode by those of the last batch seen in training mode. `train_stacked` shows the whole training set last.

    Args:
        seeds, features: how many.
    """

    def __init__(self, seeds: int, features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(seeds * features))
        self.bias = nn.Parameter(torch.zeros(seeds * features))
        self.register_buffer("mean", torch.zeros(seeds * features))
        self.register_buffer("variance", torch.ones(seeds * features))

    def forward(self, h: Tensor) -> Tensor:
        """Map (seeds, features, batch) to the same shape."""
        rows = h.reshape(1, -1, h.shape[-1])
        rows = F.batch_norm(
            rows, self.mean, self.variance, self.weight, self.bias, self.training, momentum=1.0
        )
        return rows.view(h.shape)


def _weight(generator: torch.Generator, inputs: int, outputs: int, init: str, dtype: torch.dtype) -> Tensor:
    """Draw a weight matrix (outputs, inputs)."""
    normal = torch.randn(outputs, inputs, generator=generator, dtype=dtype)
    if init == "orthogonal":
        tall, triangle = torch.linalg.qr(normal if outputs >= inputs else normal.T)
        tall = tall * triangle.diagonal().sign()
        return math.sqrt(2) * (tall if outputs >= inputs else tall.T)
    if init not in GAINS:
        raise ValueError(f"init is {init!r}: choose one of {', '.join(INITS)}")
    return math.sqrt(GAINS[init] / inputs) * normal


def train_stacked(
    network: nn.Module,
    x: np.ndarray,
    y: np.ndarray,
    *,
    steps: int = 220,
    batch: int = 128,
    lr: float = 0.05,
    momentum: float = 0.9,
    optimizer: MakeOptimizer | None = None,
) -> np.ndarray:
    """Train all seeds of a stacked network in place, each on its own stream of minibatches.

    The loss is the sum over the seeds of their mean cross-entropies: each seed gets exactly the
    gradient it would get alone.

    Args:
        network: maps (seeds, batch, inputs) to logits (seeds, batch, classes) and has `seeds`; left in
            evaluation mode, with the normalisation statistics of the whole training set.
        x: floats (examples, inputs), taken over in the network's precision.
        y: int64 (examples,).
        steps, batch: how many updates, examples an update.
        lr, momentum: of stochastic gradient descent.
        optimizer: makes another one from the parameters; `lr` and `momentum` are then unused.

    Returns:
        float64 (steps, seeds): the loss of each minibatch before its update.
    """
    images, labels = features(network, x), torch.as_tensor(y)
    update = (optimizer or _descent(lr, momentum))(network.parameters())
    network.train()
    losses = []
    for index in minibatches(len(images), batch, steps, network.seeds):
        loss = stacked_loss(network(images[index]), labels[index])
        update.zero_grad()
        loss.sum().backward()
        update.step()
        losses.append(loss.detach())
    network.training = False  # its norms still learn, and a network that leaves out blocks at random is whole
    with torch.no_grad():
        network(images)
    network.eval()
    return torch.stack(losses).double().numpy()


def stacked_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Give each seed's mean cross-entropy in nats: (seeds, batch, classes) and (seeds, batch) to (seeds,)."""
    each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return each.view(labels.shape).mean(1)


@torch.no_grad()
def evaluate_stacked(network: nn.Module, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measure every seed of a stacked network in the mode it is in.

    Args:
        network: as `train_stacked` leaves it.
        x: floats (examples, inputs), taken over in the network's precision.
        y: int64 (examples,).

    Returns:
        Mean cross-entropy in nats, and the share of examples classified correctly: float64 (seeds,) each.
    """
    labels = torch.as_tensor(y).expand(len(network.seeds), -1)
    logits = network(features(network, x))
    correct = (logits.argmax(2) == labels).double().mean(1)
    return stacked_loss(logits, labels).double().numpy(), correct.numpy()
