"""Stochastic depth: residual networks whose blocks are left out at random while they train.

Source: Huang, Sun, Liu, Sedra and Weinberger, Deep networks with stochastic depth, arXiv 1603.09382.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from helpers import paths


class DroppingNet(paths.BlockNet):
    """Residual networks of `paths.BlockNet` with stochastic depth.

    In training mode, branch i of each network is kept for a whole batch with probability `survival[i]` and is 0
    otherwise. In evaluation mode all are kept, and weighed by that probability.

    Args:
        survival: (n,), of the n branches; all 1 for an ordinary network.
        seeds: of the initialisations and of what is dropped, one a network.

    Raises:
        ValueError: if a probability lies outside of 0 to 1.
    """

    def __init__(self, survival: np.ndarray, seeds: Sequence[int] = range(5)) -> None:
        survival = np.asarray(survival, float)
        if not ((survival >= 0) & (survival <= 1)).all():
            raise ValueError(f"DroppingNet: survival is {survival}, give probabilities from 0 to 1")
        super().__init__(branches=len(survival), seeds=seeds)
        self.survival = survival
        self.draws = [np.random.default_rng(seed) for seed in seeds]

    def stream(self, x: Tensor, drop: Sequence[int] = ()) -> list[Tensor]:
        """Give h_0, ..., h_n, each (S, N, batch), for x, (batch, inputs) or (S, batch, inputs); without the blocks in `drop`."""
        states = [self.embed(x)]
        for i, (branch, p) in enumerate(zip(self.branches, self.survival, strict=True)):
            h = states[-1]
            if i not in drop:
                weigh = np.full(len(self.draws), p)
                if self.training:
                    weigh = np.array([draw.random() < p for draw in self.draws], float)
                h = h + torch.from_numpy(weigh).view(-1, 1, 1) * branch(h)
            states.append(h)
        return states


@torch.no_grad()
def accuracy_without(
    net: DroppingNet, drop: Sequence[int], x: Tensor, x_test: Tensor, y_test: Tensor
) -> np.ndarray:
    """Measure networks without some of their blocks, with batch-norm statistics estimated anew.

    Args:
        net: in evaluation mode; left as it is.
        drop: numbers of the blocks.
        x: examples (batch, inputs) whose statistics the norms take over.
        x_test, y_test: to be measured on.

    Returns:
        (S,) shares of right answers.
    """
    patient = copy.deepcopy(net)
    for module in patient.modules():
        module.training = not isinstance(module, DroppingNet)  # the norms learn, and no block is drawn
    patient.classify(patient.stream(x, drop)[-1])
    patient.eval()
    return paths.accuracy(patient.classify(patient.stream(x_test, drop)[-1]), y_test)
