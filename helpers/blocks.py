"""Convolutional branches of residual blocks, and what happens when a shortcut is added to one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from helpers import figures, panels


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


def draw_sizes(outcomes: dict[tuple[int, int], str], title: str) -> Figure:
    """Draw a map of image sizes: where an addition fits, where it broadcasts, where it raises.

    Args:
        outcomes: (height, width) in pixels -> "fits", "broadcasts" or "raises".
        title: the finding.

    Returns:
        The figure.
    """
    figure, axis = figures.canvas(title, "width / pixels", "height / pixels", aspect="equal")
    looks = {
        "fits": ("*", figures.COLOURS[2], 130),
        "broadcasts": ("s", figures.COLOURS[1], 60),
        "raises": (".", "0.6", 20),
    }
    for outcome, (marker, colour, area) in looks.items():
        heights, widths = np.reshape([size for size in outcomes if outcomes[size] == outcome], (-1, 2)).T
        axis.scatter(widths, heights, s=area, color=colour, marker=marker, label=f"{outcome}: {len(heights)}")
    ticks = sorted({side for size in outcomes for side in size})
    axis.set(xticks=ticks, yticks=ticks)
    axis.invert_yaxis()
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def branch_sides(kernel: int = 2, stride: int = 2, padding: int = 2) -> panels.Shot:
    """Measure the side of what a branch of two equal convolutions makes of images of 1 to 16 pixels.

    Args:
        kernel, stride, padding: geometry of both convolutions, in pixels.

    Returns:
        What the panel shows; its title says for which sides the addition fits.
    """
    sides = range(1, 17)
    branch = conv_branch(1, 1, kernel, stride, padding)
    size = {}
    for n in sides:
        try:
            size[n] = branch(torch.zeros(1, 1, n, n)).shape[2]
        except RuntimeError:  # the window is larger than what is left of the image
            continue
    fits = [n for n in size if size[n] == n]
    found = f"sides {' and '.join(map(str, fits))} only" if fits else "no side"
    if len(fits) == len(sides):
        found = "every side"
    title = f"k = {kernel}, s = {stride}, p = {padding}: the addition fits {found}"
    curves = {
        "shortcut": (sides, sides),
        "branch": (list(size), list(size.values())),
        "fits": (fits, fits),
    }
    silent = size.get(1, 0) > 1  # a single pixel is repeated until it fits
    if silent:
        curves["broadcasts"] = ([1], [size[1]])
    alt = (
        f"Side of the branch's map against the side of the image: from {size[max(size)]} at {max(size)} pixels "
        f"down to {size[min(size)]} at {min(size)}. {title}{'; a single pixel broadcasts' * silent}."
    )
    return panels.Shot(title, curves, alt)


def sides_stage() -> panels.Stage:
    """Make the axes of lesson 5's panel."""
    alone = {"linestyle": "none", "markersize": 13}
    looks = {
        "shortcut": figures.role("skip", marker="", label="shortcut: the image itself"),
        "branch": figures.role("branch", label="branch: after both convolutions"),
        "fits": alone | {"color": "black", "marker": "*", "label": "equal: the addition fits"},
        "broadcasts": alone | {"color": "black", "marker": "x", "label": "side 1 broadcasts in silence"},
    }
    names = ("side of the image / pixels", "side of the map / pixels")
    corner = {"loc": "upper left", "fontsize": 9}
    return panels.Stage(*names, looks, corner, xlim=(0, 17), ylim=(0, 26))


PANEL = panels.Panel(
    branch_sides,
    sides_stage,
    {
        "kernel": panels.slider("Kernel (pixels)", [2, 3, 4, 5]),
        "stride": panels.slider("Stride (pixels)", [1, 2]),
        "padding": panels.slider("Padding (pixels)", [0, 1, 2]),
    },
)


def draw_blind(first: torch.Tensor, second: torch.Tensor, title: str) -> Figure:
    """Draw what a branch makes of two images, and where the two differ.

    Args:
        first, second: (channels, H, W), the outputs; of the values the first channel is drawn.
        title: the finding.

    Returns:
        The figure.
    """
    figure, axes = figures.panels(
        ["A, channel 0", "B, channel 0", "A ≠ B"],
        title,
        2.6,
        xlabel="column / pixels",
        xticks=range(first.shape[2]),
        yticks=range(first.shape[1]),
    )
    limit = max(first[0].abs().max(), second[0].abs().max()).item()
    for axis, output in zip(axes, (first, second), strict=False):
        shades = axis.imshow(output[0].numpy(), cmap="cividis", vmin=-limit, vmax=limit)
    axes[2].imshow((first != second).any(0).numpy(), cmap="gray_r", vmax=1.3)
    axes[0].set_ylabel("row / pixels")
    for axis in axes:
        axis.grid(False)
    figure.colorbar(shades, ax=axes[:2], shrink=0.8, label="branch output")
    return figure
