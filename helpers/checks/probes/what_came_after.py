"""Probes of lesson 10."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from helpers.checks.core import beside, call, gradient
from helpers.segmentation import UNet


def segmented(answer: Any, net: Any, pictures: Any) -> dict[str, Any]:
    """The logits that an answer gives, their gradient with respect to the pixels, and the net's numbers afterwards."""
    return {
        "": call(answer, net, pictures),
        "the gradient with respect to the pixels": call(gradient, answer, net, pictures, wrt=1),
        "the net's own numbers afterwards": beside(answer, numbers, net),
    }


def numbers(net: UNet) -> list[float]:
    """One sum per weight and statistic of a net, and whether it is training."""
    return [float(net.training), *(value.double().sum().item() for value in net.state_dict().values())]


def training_net(skips: bool) -> UNet:
    """A net that still normalises by the batch it sees."""
    from helpers.segmentation import example_net

    return example_net(skips=skips, seed=3).train()


def bent(h: Tensor) -> Tensor:
    """A branch that is neither linear nor the same for every unit."""
    return torch.tanh(2 * h.flip(-1)) + 0.5 * h + 0.3


def shifted(h: Tensor) -> Tensor:
    """A branch that adds much the same everywhere."""
    return torch.relu(h.roll(1, -1) + 1) * 0.7
