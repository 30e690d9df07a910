"""A small transformer whose blocks can be put together in several ways, and the sums that it learns.

The stream h is (batch, positions, width). A layer has two branches, attention and a two-layer network (MLP); how a
branch is joined to the stream is not decided here but by a function that the network is given:

    block(h, f, kind, alpha) -> the stream behind the branch f

Layer norm has no weights of its own here: it takes the mean of a position's numbers away and divides by their deviation.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

SYMBOLS, LENGTH = 11, 8  # of the task
EPSILON = 1e-5  # keeps layer norm from dividing by 0

Join = Callable[[Tensor, Callable[[Tensor], Tensor], str, float], Tensor]


def layer_norm(h: Tensor) -> Tensor:
    """Take the mean of the last axis away and divide by its deviation; no weights.

    Args:
        h: (..., N).

    Returns:
        The same shape; mean 0 and mean square (nearly) 1 along the last axis.

    Source:
        Ba, Kiros and Hinton, Layer normalization, arXiv 1607.06450.
    """
    return F.layer_norm(h, h.shape[-1:], eps=EPSILON)


def deepnorm_scales(layers: int) -> tuple[float, float]:
    """Give the two scales of DeepNorm for a decoder.

    Args:
        layers: M, of two branches each.

    Returns:
        alpha, which multiplies the stream, and beta, which multiplies weights at the start: (2 M)^(1/4), (8 M)^(-1/4).

    Source:
        Wang et al., DeepNet, arXiv 2203.00555, for decoders without an encoder.
    """
    return (2 * layers) ** 0.25, (8 * layers) ** -0.25


class Layer(nn.Module):
    """The two branches of one layer.

    Args:
        draw: of the weights.
        width, heads: N, and into how many parts attention divides it.
        beta: factor on all weights but those that queries and keys are made with.
    """

    def __init__(self, draw: torch.Generator, width: int, heads: int, beta: float = 1.0) -> None:
        super().__init__()

        def xavier(outputs: int, inputs: int) -> nn.Parameter:
            scale = math.sqrt(2 / (inputs + outputs))
            return nn.Parameter(scale * torch.randn(outputs, inputs, generator=draw))

        self.heads = heads
        self.query, self.key, self.value = (xavier(width, width) for _ in range(3))
        self.out, self.up, self.down = (
            xavier(width, width),
            xavier(4 * width, width),
            xavier(width, 4 * width),
        )
        self.up_bias, self.down_bias = nn.Parameter(torch.zeros(4 * width)), nn.Parameter(torch.zeros(width))
        with torch.no_grad():
            for weight in (self.value, self.out, self.up, self.down):
                weight.mul_(beta)

    def attention(self, h: Tensor) -> Tensor:
        """Let each position read from itself and those before it: (batch, positions, N) to the same shape."""
        batch, positions, width = h.shape
        query, key, value = (
            F.linear(h, weight).view(batch, positions, self.heads, -1).transpose(1, 2)
            for weight in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        later = torch.ones(positions, positions, dtype=torch.bool).triu(1)
        read = scores.masked_fill(later, -torch.inf).softmax(-1) @ value
        return F.linear(read.transpose(1, 2).reshape(batch, positions, width), self.out)

    def mlp(self, h: Tensor) -> Tensor:
        """Apply two linear maps with a ReLU between them to each position: the same shape."""
        return F.linear(F.relu(F.linear(h, self.up, self.up_bias)), self.down, self.down_bias)


class Transformer(nn.Module):
    """A decoder of L layers, float32.

    Args:
        block: joins a branch to the stream, `block(h, f, kind, alpha)`.
        kind: "pre", "post" or "deepnorm"; the last also scales weights and stream as DeepNet does.
        layers: L, each of two branches.
        width, heads, symbols, length: N, parts of attention, how many symbols there are, positions.
        seed: of the weights.

    Raises:
        ValueError: for an unknown kind.
    """

    def __init__(
        self,
        block: Join,
        kind: str = "pre",
        layers: int = 4,
        width: int = 32,
        heads: int = 4,
        symbols: int = SYMBOLS,
        length: int = LENGTH,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if kind not in ("pre", "post", "deepnorm"):
            raise ValueError(f"Transformer: kind is {kind!r}, give 'pre', 'post' or 'deepnorm'")
        draw = torch.Generator().manual_seed(seed)
        self.block, self.kind, self.seed = block, kind, seed
        self.alpha, beta = deepnorm_scales(layers) if kind == "deepnorm" else (1.0, 1.0)
        self.embedding = nn.Parameter(torch.randn(symbols, width, generator=draw))
        self.position = nn.Parameter(0.5 * torch.randn(length, width, generator=draw))
        self.layers = nn.ModuleList(Layer(draw, width, heads, beta) for _ in range(layers))
        self.unembed = nn.Parameter(torch.randn(symbols, width, generator=draw) / math.sqrt(width))

    def stream(self, x: Tensor, drop: Sequence[int] = ()) -> list[Tensor]:
        """Give the stream before the first layer and behind each, (batch, positions, N).

        Args:
            x: symbols (batch, positions).
            drop: numbers of layers that let the stream through as it is.

        Returns:
            L + 1 tensors.
        """
        states = [self.embedding[x] + self.position[: x.shape[1]]]
        for i, layer in enumerate(self.layers):
            h = states[-1]
            for branch in (layer.attention, layer.mlp) if i not in drop else ():
                h = self.block(h, branch, self.kind, self.alpha)
            states.append(h)
        return states

    def read_out(self, h: Tensor) -> Tensor:
        """Give the logits, (..., symbols), of a stream, (..., N); only "pre" has a norm left to apply."""
        return F.linear(layer_norm(h) if self.kind == "pre" else h, self.unembed)

    def forward(self, x: Tensor) -> Tensor:
        """Give the logits, (batch, positions, symbols), of symbols (batch, positions)."""
        return self.read_out(self.stream(x)[-1])


def sums(examples: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw sequences and what is to be said at each position: the sum, modulo 11, of this symbol and the one before.

    Args:
        examples: how many sequences.
        draw: of the symbols.

    Returns:
        int64 (examples, 8) twice; at the first position the symbol itself is to be said.
    """
    x = torch.randint(SYMBOLS, (examples, LENGTH), generator=draw)
    y = (x + torch.roll(x, 1, 1)) % SYMBOLS
    y[:, 0] = x[:, 0]
    return x, y


def train(
    nets: Sequence[Transformer], *, steps: int, lr: float = 3e-3, warmup: int = 0, batch: int = 32
) -> np.ndarray:
    """Train networks of one shape in place and at once, each on sums of its own, with Adam.

    Args:
        nets: the networks; the sums that one sees are drawn with the seed of its weights.
        steps, batch: how many updates, sequences an update.
        lr: learning rate of Adam.
        warmup: steps over which the rate rises from 0 in a straight line.

    Returns:
        float64 (steps, networks): the loss of each batch before its update, in nats.
    """
    shape = copy.deepcopy(nets[0]).to("meta")
    weights, _ = stack_module_state(list(nets))
    weights = {name: value.detach().clone().requires_grad_() for name, value in weights.items()}
    draws = [torch.Generator().manual_seed(net.seed) for net in nets]
    update = torch.optim.Adam(weights.values(), lr=lr, fused=True)
    answer = vmap(lambda own, x: functional_call(shape, own, (x,)))
    losses = []
    for step in range(steps):
        for group in update.param_groups:
            group["lr"] = lr * min(1, (step + 1) / warmup) if warmup else lr
        x, y = map(torch.stack, zip(*(sums(batch, draw) for draw in draws), strict=True))
        each = F.cross_entropy(answer(weights, x).flatten(0, 2), y.flatten(), reduction="none")
        loss = each.view(len(nets), -1).mean(1)
        update.zero_grad()
        loss.sum().backward()
        update.step()
        losses.append(loss.detach())
    for i, net in enumerate(nets):
        net.load_state_dict({name: value[i].detach() for name, value in weights.items()})
    return torch.stack(losses).double().numpy()


@torch.no_grad()
def lens(nets: Sequence[Transformer], x: Tensor, y: Tensor) -> np.ndarray:
    """Read every network out behind each layer, as if it ended there: the "logit lens".

    Args:
        nets: networks of one shape.
        x, y: sequences and what is to be said; the first position is left out.

    Returns:
        float64 (L + 1, networks): share of right answers.
    """
    return np.array([[_right(net.read_out(h), y) for h in net.stream(x)] for net in nets]).T


@torch.no_grad()
def deletions(nets: Sequence[Transformer], x: Tensor, y: Tensor) -> np.ndarray:
    """Measure every network without each single layer.

    Args:
        nets: networks of one shape.
        x, y: as for `lens`.

    Returns:
        float64 (L, networks): share of right answers without layer i.
    """
    layers = range(len(nets[0].layers))
    return np.array([[_right(net.read_out(net.stream(x, (i,))[-1]), y) for i in layers] for net in nets]).T


def _right(logits: Tensor, y: Tensor) -> float:
    return (logits.argmax(-1) == y)[:, 1:].double().mean().item()


def measured(
    what: str, kind: str, rate: float, warmup: int = 0, steps: int = 150, processor: str = "plain"
) -> np.ndarray:
    """Give what was measured beforehand on 8 layers: `transformer_runs` says when, where and by which script.

    Args:
        what: "loss" (mean of the last ten batches), "curve" (mean of each ten batches), "lens" or "deletions".
        kind: "pre", "post" or "deepnorm".
        rate, warmup, steps: of the training.
        processor: "plain", or one that was emulated: "avx2", "baseline".

    Returns:
        float64: "loss" (sets, 5), row k with the seeds 1000 k to 1000 k + 4; the others (sets, points), the mean over
        the five seeds of each set.

    Raises:
        KeyError: if this was not measured.
    """
    from helpers.transformer_runs import RUNS  # here: the script that writes it uses this module

    asked = f"{processor} {kind} {rate:g} {warmup} {steps} {what}"
    for row in RUNS.splitlines():
        setting, _, values = row.partition(":")
        if setting == asked:
            return np.array([line.split() for line in values.split("/")], float)
    raise KeyError(f"{asked!r} was not measured")
