"""Probes of lesson 9."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from helpers import landscape, paths
from helpers.checks.core import beside, call


def operated(answer: Any, net: Any, *args: Any) -> dict[str, Any]:
    """What an answer gives for a network and examples, and what the network itself then answers for them."""
    examples = next(each for each in args if getattr(each, "ndim", 0) == 2)
    given = call(answer, net, *args)
    return {
        "": given,
        "what the network itself answers afterwards": beside(answer, paths.logits, net, examples),
    }


def training_net(branches: int, residual: bool) -> paths.BlockNet:
    """Networks that still normalise by the batch they see."""
    return paths.example_net(branches, residual).train()


def partial_direction(net: paths.BlockNet, seed: int) -> dict[str, Tensor]:
    """A random direction for the weights of the first branch alone."""
    name = landscape.weight_names(net)[1]
    return {name: landscape.random_direction(net, seed)[name]}
