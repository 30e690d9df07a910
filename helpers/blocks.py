"""Convolutional branches of residual blocks, and what happens when a shortcut is added to one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn


def conv_branch(
    channels: int,
    hidden: int,
    kernel: int = 3,
    stride: int = 1,
    padding: int = 1,
    *,
    relu_last: bool = True,
    seed: int = 0,
) -> nn.Sequential:
    """Make the branch F of a residual block: convolution, ReLU, convolution and, if asked, a last ReLU.

    Args:
        channels: channels of the image, in and out.
        hidden: channels between the two convolutions.
        kernel, stride, padding: geometry of both convolutions, in pixels.
        relu_last: whether a ReLU follows the second convolution.
        seed: of torch's default initialisation; the global generator is left as it was.

    Returns:
        A module from (N, channels, H, W) to (N, channels, H', W'), float32.
    """

    def branch() -> nn.Sequential:
        first = nn.Conv2d(channels, hidden, kernel, stride=stride, padding=padding)
        second = nn.Conv2d(hidden, channels, kernel, stride=stride, padding=padding)
        return nn.Sequential(first, nn.ReLU(), second, *[nn.ReLU()] * relu_last)

    return seeded(branch, seed=seed)


def seeded(make: Callable[..., nn.Module], *args: int, seed: int) -> nn.Module:
    """Make a module whose random initialisation is the one of this seed.

    Args:
        make: a class or function that makes the module.
        *args: handed to it.
        seed: of torch's generator while the module is made; afterwards the generator is as before.

    Returns:
        The module.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make(*args)


def addition_outcome(shortcut: tuple[int, ...], branch: tuple[int, ...]) -> str:
    """Say what `shortcut + branch` does for tensors of these shapes.

    Args:
        shortcut, branch: the two shapes.

    Returns:
        "fits" for equal shapes, "broadcasts" where torch silently repeats the smaller one,
        "raises" where it refuses.
    """
    if tuple(shortcut) == tuple(branch):
        return "fits"
    try:
        np.broadcast_shapes(shortcut, branch)
    except ValueError:
        return "raises"
    return "broadcasts"


def parameter_arrays(module: nn.Module) -> dict[str, np.ndarray]:
    """Copy a module's parameters into arrays.

    Args:
        module: any torch module.

    Returns:
        name -> array of the parameter's shape and dtype, in the order of registration.
    """
    return {name: p.detach().cpu().numpy().copy() for name, p in module.named_parameters()}
