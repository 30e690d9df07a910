"""Networks cut into blocks, several seeds side by side, and the gradient's paths through them.

A network of this module is a stem, n branches F_0 ... F_{n-1} and a head:

    h_0 = W x,   h_{i+1} = h_i + F_i(h_i)  (residual)  or  F_i(h_i)  (plain),   logits = V relu(norm(h_n)) + b

with F_i(h) = W_i relu(norm(h)). A path of length k goes through k branches and past the other n - k.
As in `helpers.training`, features stand before examples inside: h is (seeds, width, batch).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from helpers.training import StackedLinear, StackedNorm, stacked_loss


class BlockNet(nn.Module):
    """S networks of one shape and S different seeds, float64: a stem, n branches and a head.

    Args:
        inputs, classes: length of an example and of its logits.
        branches: n, number of blocks.
        residual: whether a block adds its branch to the stream (else it replaces it).
        width: N, units of the stream.
        seeds: of the initialisations, one a network; S is how many there are.

    Raises:
        ValueError: if a size is below 1 or there is no seed.
    """

    def __init__(
        self,
        inputs: int = 64,
        classes: int = 10,
        branches: int = 10,
        residual: bool = True,
        width: int = 32,
        seeds: Sequence[int] = range(5),
    ) -> None:
        super().__init__()
        sizes = {
            "inputs": inputs,
            "classes": classes,
            "branches": branches,
            "width": width,
            "len(seeds)": len(seeds),
        }
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"BlockNet: {name} is {size}, give at least 1")
        draws = [torch.Generator().manual_seed(seed) for seed in seeds]

        def layer(inputs: int, outputs: int, bias: bool) -> nn.Sequential:
            norm = StackedNorm(len(draws), inputs)
            return nn.Sequential(norm, nn.ReLU(), StackedLinear(draws, inputs, outputs, "default", bias))

        self.seeds, self.residual = tuple(seeds), residual
        self.stem = StackedLinear(draws, inputs, width, "default", bias=False)
        self.branches = nn.ModuleList(layer(width, width, bias=False) for _ in range(branches))
        self.head = layer(width, classes, bias=True)
        self.double()

    def embed(self, x: Tensor) -> Tensor:
        """Give h_0, (S, N, batch), for x, (batch, inputs) or (S, batch, inputs)."""
        return self.stem(x.transpose(-1, -2))

    def classify(self, h: Tensor) -> Tensor:
        """Give the logits, (S, batch, classes), for the end of the stream h_n, (S, N, batch)."""
        return self.head(h).transpose(1, 2)

    def stream(self, x: Tensor) -> list[Tensor]:
        """Give h_0, ..., h_n, each (S, N, batch), for x, (batch, inputs) or (S, batch, inputs)."""
        states = [self.embed(x)]
        for branch in self.branches:
            h = states[-1]
            states.append(h + branch(h) if self.residual else branch(h))
        return states

    def forward(self, x: Tensor) -> Tensor:
        """Give the logits, (S, batch, classes), of x, (batch, inputs) or (S, batch, inputs)."""
        return self.classify(self.stream(x)[-1])


def example_net(branches: int = 4, residual: bool = True, seeds: int = 2, seed: int = 0) -> BlockNet:
    """Make small untrained networks whose norms and biases are not the neutral ones.

    Args:
        branches, residual: as for `BlockNet`; inputs are 5 long, the stream 6, the logits 3.
        seeds: S, number of networks.
        seed: of everything random in them.

    Returns:
        The networks in evaluation mode, float64.
    """
    net = BlockNet(5, 3, branches, residual, width=6, seeds=range(seed, seed + seeds))
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in [*net.parameters(), *net.buffers()]:
            if value.ndim < 3:
                value.add_(0.3 * torch.rand(value.shape, generator=random, dtype=value.dtype))
            else:
                value.mul_(2)
    return net.eval()


def logits(net: BlockNet, x: Tensor) -> np.ndarray:
    """Give what the networks answer, as an array.

    Args:
        net: the networks.
        x: examples (batch, inputs).

    Returns:
        (S, batch, classes), of the weights' dtype.
    """
    with torch.no_grad():
        return net(x).numpy()


def accuracy(logits: Tensor, y: Tensor) -> np.ndarray:
    """Give the share of examples that each network puts into the right class.

    Args:
        logits: (S, batch, classes).
        y: classes, (batch,), int64.

    Returns:
        (S,) shares, float64.
    """
    return (logits.argmax(2) == torch.as_tensor(y)).double().mean(1).numpy()


def reordered(net: BlockNet, order: Sequence[int]) -> BlockNet:
    """Give the network with its blocks in another order; weights are shared, not copied.

    Args:
        net: the network, left as it is.
        order: a permutation of 0 ... n - 1; position i holds the block that comes i-th.

    Returns:
        A network over the same weights.

    Raises:
        ValueError: if `order` is no permutation of the blocks.
    """
    order = [int(i) for i in order]
    if sorted(order) != list(range(len(net.branches))):
        raise ValueError(
            f"reordered(order={order}): give every number from 0 to {len(net.branches) - 1} once"
        )
    shuffled = copy.copy(net)
    shuffled._modules = {**net._modules, "branches": nn.ModuleList(net.branches[i] for i in order)}
    return shuffled


@torch.no_grad()
def accuracy_reordered(
    net: BlockNet, order: Sequence[int], x: Tensor, x_test: Tensor, y_test: Tensor
) -> np.ndarray:
    """Measure the networks with their blocks in another order and batch-norm statistics estimated anew.

    Args:
        net: the networks, left as they are.
        order: a permutation of 0 ... n - 1.
        x: examples (batch, inputs) whose statistics the norms take over.
        x_test, y_test: examples and their classes, to be measured on.

    Returns:
        (S,) shares of right answers, float64.
    """
    shuffled = copy.deepcopy(reordered(net, order)).train()
    shuffled(x)
    return accuracy(shuffled.eval()(x_test), y_test)


def swap_pairs(n: int, pairs: int, rng: np.random.Generator, neighbours: bool = False) -> list[int]:
    """Draw an order of n blocks in which some disjoint pairs have changed places.

    Args:
        n: number of blocks.
        pairs: how many pairs, at most n // 2.
        rng: draws the pairs.
        neighbours: whether only pairs (0, 1), (2, 3), ... may be drawn.

    Returns:
        The order, a permutation of 0 ... n - 1.

    Raises:
        ValueError: if there are not that many pairs.
    """
    if not 0 <= pairs <= n // 2:
        raise ValueError(f"swap_pairs(n={n}, pairs={pairs}): {n} blocks make at most {n // 2} pairs")
    if neighbours:
        chosen = [(2 * i, 2 * i + 1) for i in rng.choice(n // 2, pairs, replace=False)]
    else:
        chosen = rng.permutation(n)[: 2 * pairs].reshape(pairs, 2).tolist()
    order = list(range(n))
    for i, j in chosen:
        order[i], order[j] = order[j], order[i]
    return order


def random_jacobians(n: int, width: int, gain: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the Jacobians of n independent random linear branches.

    Args:
        n: number of branches.
        width: N.
        gain: g, N times the variance of an entry: |J^T c|^2 is g |c|^2 on average.
        rng: draws the normal entries.

    Returns:
        (n, N, N), float64.
    """
    return rng.normal(scale=math.sqrt(gain / width), size=(n, width, width))


def branch_jacobians(net: BlockNet, x: Tensor) -> np.ndarray:
    """Differentiate every branch at the stream of each example.

    Args:
        net: in evaluation mode, where examples do not see each other.
        x: (batch, inputs).

    Returns:
        (S, batch, n, N, N), float64: entry [s, b, i, j, k] is dF_i,j / dh_k at h_i.

    Raises:
        ValueError: if the network is in training mode.
    """
    if net.training:
        raise ValueError(
            "branch_jacobians(net): batch norm couples the examples while training; call net.eval()"
        )
    jacobians = []
    for branch, h in zip(net.branches, net.stream(x), strict=False):
        start = h.detach().requires_grad_()
        units = branch(start).unbind(1)
        rows = [torch.autograd.grad(unit.sum(), start, retain_graph=True)[0] for unit in units]
        jacobians.append(torch.stack(rows, 1))  # (S, N, N, batch)
    return torch.stack(jacobians, 1).permute(0, 4, 1, 2, 3).double().numpy()


def end_gradient(net: BlockNet, x: Tensor, y: Tensor) -> np.ndarray:
    """Differentiate the loss of each example with respect to the end of the stream.

    Args:
        net: in evaluation mode.
        x, y: examples (batch, inputs) and their classes (batch,).

    Returns:
        (S, batch, N), float64: dLoss/dh_n, the cotangent that the last block receives.
    """
    end = net.stream(x)[-1].detach().requires_grad_()
    loss = stacked_loss(net.classify(end), y.expand(len(end), -1))
    (gradient,) = torch.autograd.grad(loss.sum() * len(y), end)
    return gradient.transpose(1, 2).double().numpy()
