"""Training: one loop for an ordinary torch module, one for many seeds of the same network at once.

A stacked network holds the weights of all its seeds in tensors with a leading seed axis, so that one batched
matrix product serves them all; no seed sees another. Inside, features stand before examples: (seeds, features, batch).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

INITS = ("default", "xavier", "he", "orthogonal")
GAINS = {"default": 1 / 3, "xavier": 1.0, "he": 2.0}  # g = fan_in * Var(W)


# One network ----------------------------------------------------------------------------------------------------


def train(
    network: nn.Module,
    x: np.ndarray,
    y: np.ndarray,
    *,
    steps: int,
    batch: int = 128,
    lr: float = 0.05,
    momentum: float = 0.9,
    seed: int = 0,
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer] | None = None,
) -> np.ndarray:
    """Train a classifier in place on shuffled minibatches of cross-entropy.

    Args:
        network: maps (batch, ...) to logits (batch, classes); left in training mode.
        x: float32 (examples, ...).
        y: int64 (examples,), classes from 0.
        steps: how many updates; `steps_per_epoch` says how many make an epoch.
        batch: examples an update.
        lr, momentum: of stochastic gradient descent.
        seed: of the shuffling.
        optimizer: makes another optimizer from the parameters; `lr` and `momentum` are then unused.

    Returns:
        float64 (steps,): the loss of each minibatch before its update.
    """
    images, labels = torch.as_tensor(x), torch.as_tensor(y)
    make = optimizer or (lambda parameters: torch.optim.SGD(parameters, lr=lr, momentum=momentum))
    update = make(network.parameters())
    network.train()
    losses = []
    for (index,) in minibatches(len(images), batch, steps, [seed]):
        loss = F.cross_entropy(network(images[index]), labels[index])
        update.zero_grad()
        loss.backward()
        update.step()
        losses.append(loss.item())
    return np.array(losses)


@torch.no_grad()
def evaluate(network: nn.Module, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Measure a classifier in evaluation mode; its mode is put back afterwards.

    Args:
        network: maps (examples, ...) to logits (examples, classes).
        x: float32 (examples, ...).
        y: int64 (examples,).

    Returns:
        Mean cross-entropy in nats, and the share of examples classified correctly.
    """
    mode = network.training
    logits, labels = network.eval()(torch.as_tensor(x)), torch.as_tensor(y)
    network.train(mode)
    return F.cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).double().mean().item()


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


# Many seeds at once ---------------------------------------------------------------------------------------------


class StackedLinear(nn.Module):
    """Linear maps, one a seed: (seeds, inputs, batch) to (seeds, outputs, batch)."""

    def __init__(
        self, draws: list[torch.Generator], inputs: int, outputs: int, init: str = "he", bias: bool = True
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.stack([_weight(g, inputs, outputs, init) for g in draws]))
        self.bias = nn.Parameter(torch.zeros(len(draws), outputs, 1)) if bias else None

    def forward(self, h: Tensor) -> Tensor:
        return self.weight @ h if self.bias is None else torch.baddbmm(self.bias, self.weight, h)


class StackedNorm(nn.Module):
    """Batch normalisation of each feature of each seed.

    In training mode a batch is normalised by its own mean and variance, which are also kept; in evaluation
    mode by those of the last batch seen in training mode. `train_stacked` shows the whole training set last.
    """

    def __init__(self, seeds: int, features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(seeds * features))
        self.bias = nn.Parameter(torch.zeros(seeds * features))
        self.register_buffer("mean", torch.zeros(seeds * features))
        self.register_buffer("variance", torch.ones(seeds * features))

    def forward(self, h: Tensor) -> Tensor:
        rows = h.reshape(1, -1, h.shape[-1])
        rows = F.batch_norm(
            rows, self.mean, self.variance, self.weight, self.bias, self.training, momentum=1.0
        )
        return rows.view(h.shape)


def _weight(generator: torch.Generator, inputs: int, outputs: int, init: str) -> Tensor:
    """Draw a weight matrix (outputs, inputs)."""
    normal = torch.randn(outputs, inputs, generator=generator)
    if init == "orthogonal":
        tall, triangle = torch.linalg.qr(normal if outputs >= inputs else normal.T)
        tall = tall * triangle.diagonal().sign()
        return math.sqrt(2) * (tall if outputs >= inputs else tall.T)
    if init not in GAINS:
        raise ValueError(f"init is {init!r}: choose one of {', '.join(INITS)}")
    return math.sqrt(GAINS[init] / inputs) * normal


class PlainLayer(nn.Module):
    """relu(norm(W h))."""

    def __init__(self, draws: list[torch.Generator], width: int, init: str = "he", norm: bool = False):
        super().__init__()
        self.linear = StackedLinear(draws, width, width, init, bias=not norm)
        self.norm = StackedNorm(len(draws), width) if norm else nn.Identity()

    def forward(self, h: Tensor) -> Tensor:
        return torch.relu(self.norm(self.linear(h)))


class ResidualPair(nn.Module):
    """relu(h + scale * norm(W2 relu(norm(W1 h)))): two layers a block.

    Source:
        He, Zhang, Ren and Sun, arXiv 1512.03385, equation 1 and figure 2; the scale is De and Smith's, arXiv 2002.10444.
    """

    def __init__(
        self, draws: list[torch.Generator], width: int, norm: bool = False, scale: float | str = 1.0
    ):
        super().__init__()
        self.first = PlainLayer(draws, width, norm=norm)
        self.second = StackedLinear(draws, width, width, bias=not norm)
        self.norm = StackedNorm(len(draws), width) if norm else nn.Identity()
        self.scale = nn.Parameter(torch.zeros(len(draws), 1, 1)) if scale == "learned" else scale

    def forward(self, h: Tensor) -> Tensor:
        return torch.relu(
            torch.addcmul(h, self.norm(self.second(self.first(h))), torch.as_tensor(self.scale))
        )


class ReZeroLayer(nn.Module):
    """h + gate * relu(W h), every gate learned from zero.

    Source:
        Bachlechner et al., arXiv 2003.04887, equation 1.
    """

    def __init__(self, draws: list[torch.Generator], width: int):
        super().__init__()
        self.layer = PlainLayer(draws, width)
        self.gate = nn.Parameter(torch.zeros(len(draws), 1, 1))

    def forward(self, h: Tensor) -> Tensor:
        return torch.addcmul(h, self.gate, self.layer(h))


class HighwayLayer(nn.Module):
    """t * relu(W h) + (1 - t) * h, where t = sigmoid(V h + b) and b starts at `bias`.

    Source:
        Srivastava, Greff and Schmidhuber, arXiv 1505.00387, equation 3.
    """

    def __init__(self, draws: list[torch.Generator], width: int, bias: float = -4.0):
        super().__init__()
        self.layer = PlainLayer(draws, width)
        self.transform = StackedLinear(draws, width, width, "xavier")
        nn.init.constant_(self.transform.bias, bias)

    def forward(self, h: Tensor) -> Tensor:
        return torch.lerp(h, self.layer(h), torch.sigmoid(self.transform(h)))


# Every way of building a deep network that lesson 7 compares: name -> (start, batch norm, block).
REMEDIES = {
    "default init": ("default", False, "plain"),
    "Xavier init": ("xavier", False, "plain"),
    "He init": ("he", False, "plain"),
    "orthogonal init": ("orthogonal", False, "plain"),
    "LSUV": ("orthogonal", False, "plain"),
    "plain + BN": ("he", True, "plain"),
    "residual + BN": ("he", True, "residual"),
    "residual": ("he", False, "residual"),
    "residual / sqrt": ("he", False, "scaled"),
    "SkipInit": ("he", False, "learned"),
    "ReZero": ("he", False, "rezero"),
    "highway": ("he", False, "highway"),
}


class StackedMLP(nn.Module):
    """A stem, `depth` hidden layers of equal width, a linear head: the same network for many seeds.

    Args:
        remedy: a key of `REMEDIES`.
        seeds: of the weights; seed s draws the same weights in whatever company.
        depth: hidden layers, width x width each (a residual block counts two).
        width, inputs, classes: features inside, at the entry, at the exit.

    Raises:
        ValueError: for an unknown remedy, or an odd depth where blocks have two layers.
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
        paired = block in ("residual", "scaled", "learned")
        if paired and depth % 2:
            raise ValueError(f"depth is {depth}: {remedy!r} has two layers a block, so give an even number")
        self.seeds = tuple(seeds)
        draws = [torch.Generator().manual_seed(seed) for seed in seeds]
        blocks = depth // 2
        make = {
            "plain": lambda: PlainLayer(draws, width, init, norm),
            "residual": lambda: ResidualPair(draws, width, norm),
            "scaled": lambda: ResidualPair(draws, width, norm, 1 / math.sqrt(blocks)),
            "learned": lambda: ResidualPair(draws, width, norm, "learned"),
            "rezero": lambda: ReZeroLayer(draws, width),
            "highway": lambda: HighwayLayer(draws, width),
        }[block]
        self.stem = StackedLinear(draws, inputs, width, init)
        self.norm = StackedNorm(len(draws), width) if norm else nn.Identity()
        self.blocks = nn.ModuleList(make() for _ in range(blocks if paired else depth))
        self.head = StackedLinear(draws, width, classes, "xavier")

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs), or (seeds, batch, inputs), to logits (seeds, batch, classes)."""
        h = x.transpose(-1, -2).expand(len(self.seeds), x.shape[-1], x.shape[-2])
        h = torch.relu(self.norm(self.stem(h)))
        for block in self.blocks:
            h = block(h)
        return self.head(h).transpose(1, 2)

    def hidden_layers(self) -> list[StackedLinear]:
        """List the width x width maps from the first to the last (a highway's gates left out)."""
        width = self.stem.weight.shape[1]
        return [
            module
            for name, module in self.blocks.named_modules()
            if isinstance(module, StackedLinear)
            and module.weight.shape[1:] == (width, width)
            and "transform" not in name
        ]


@torch.no_grad()
def lsuv_(network: StackedMLP, x: np.ndarray) -> None:
    """Rescale the hidden layers of a plain network, one after the other, to unit variance on x.

    Args:
        network: changed in place.
        x: float32 (examples, inputs).

    Source:
        Mishkin and Matas, All you need is a good init, arXiv 1511.06422, algorithm 1.
    """
    h = torch.as_tensor(x).T.expand(len(network.seeds), -1, -1)
    for linear in (network.stem, *network.hidden_layers()):
        linear.weight /= linear(h).std(dim=(1, 2), keepdim=True)
        h = torch.relu(linear(h))


def train_stacked(
    network: StackedMLP,
    x: np.ndarray,
    y: np.ndarray,
    *,
    steps: int = 220,
    batch: int = 128,
    lr: float = 0.05,
    momentum: float = 0.9,
) -> np.ndarray:
    """Train all seeds of a stacked network in place, each on its own stream of minibatches.

    The loss is the sum over the seeds of their mean cross-entropies: each seed gets exactly the
    gradient it would get alone.

    Args:
        network: left in evaluation mode, with the normalisation statistics of the whole training set.
        x: float32 (examples, inputs).
        y: int64 (examples,).
        steps, batch: how many updates, examples an update.
        lr, momentum: of stochastic gradient descent.

    Returns:
        float64 (steps, seeds): the loss of each minibatch before its update.
    """
    images, labels = torch.as_tensor(x), torch.as_tensor(y)
    update = torch.optim.SGD(network.parameters(), lr=lr, momentum=momentum, foreach=True)
    network.train()
    losses = []
    for index in minibatches(len(images), batch, steps, network.seeds):
        loss = stacked_loss(network(images[index]), labels[index])
        update.zero_grad()
        loss.sum().backward()
        update.step()
        losses.append(loss.detach())
    with torch.no_grad():
        network(images)
    network.eval()
    return torch.stack(losses).double().numpy()


def stacked_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Give each seed's mean cross-entropy in nats: (seeds, batch, classes) and (seeds, batch) to (seeds,)."""
    each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return each.view(labels.shape).mean(1)


@torch.no_grad()
def evaluate_stacked(network: StackedMLP, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measure every seed of a stacked network in the mode it is in.

    Args:
        network: as `train_stacked` leaves it.
        x: float32 (examples, inputs).
        y: int64 (examples,).

    Returns:
        Mean cross-entropy in nats, and the share of examples classified correctly: float64 (seeds,) each.
    """
    labels = torch.as_tensor(y).expand(len(network.seeds), -1)
    logits = network(torch.as_tensor(x))
    correct = (logits.argmax(2) == labels).double().mean(1)
    return stacked_loss(logits, labels).double().numpy(), correct.numpy()


def stacked_gradient_norms(network: StackedMLP, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Give the norm of the loss gradient with respect to each hidden weight matrix.

    Args:
        network: changed in nothing but the mode's statistics.
        x: float32 (examples, inputs).
        y: int64 (examples,).

    Returns:
        float64 (layers, seeds), from the first hidden layer to the last.
    """
    labels = torch.as_tensor(y).expand(len(network.seeds), -1)
    weights = [layer.weight for layer in network.hidden_layers()]
    grads = torch.autograd.grad(stacked_loss(network(torch.as_tensor(x)), labels).sum(), weights)
    return torch.stack([g.double().norm(dim=(1, 2)) for g in grads]).numpy()
