"""The longer figures of lesson 9; what they show is computed in the lesson."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from helpers import figures, landscape, panels


def deletions(accuracy: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw what is left of the accuracy without each single block.

    Args:
        accuracy: kind of network -> (blocks, networks).
        title: the finding.

    Returns:
        The figure: the mean over the networks, with their range as a bar, and a line for guessing.
    """
    blocks = range(len(next(iter(accuracy.values()))))
    fig, ax = figures.canvas(title, "deleted block", "test accuracy", ylim=(0, 1.02), xticks=blocks)
    for i, (name, values) in enumerate(accuracy.items()):
        mean = values.mean(1)
        spread = abs(mean - [values.min(1), values.max(1)])
        ax.errorbar(blocks, mean, spread, **figures.series(i, marker=True), capsize=3, label=name)
    ax.axhline(0.1, **figures.series(5) | {"linewidth": 1}, label="guessing")
    ax.legend(loc="center right")
    return fig


def read_outs(
    curves: Mapping[str, np.ndarray],
    some: Sequence[int],
    scattered: np.ndarray,
    baseline: float,
    title: str,
) -> Figure:
    """Draw the accuracy over the number of deleted blocks.

    Args:
        curves: what was deleted -> (blocks + 1, networks).
        some: at which numbers blocks were deleted at random.
        scattered: accuracies there (numbers, networks).
        baseline: accuracy of a linear model on the pixels.
        title: the finding.

    Returns:
        The figure: means with the range of the networks.
    """
    counts = range(len(next(iter(curves.values()))))
    fig, ax = figures.canvas(
        title, "number of blocks deleted", "test accuracy", ylim=(0, 1.02), xticks=counts
    )
    for i, (name, values) in enumerate(curves.items()):
        figures.band(ax, counts, values, i, name)
    figures.band(ax, some, scattered, len(curves), "residual, any k, re-estimated")
    ax.axhline(baseline, **figures.series(5) | {"linewidth": 1}, label="logistic regression on pixels")
    ax.legend(loc=(0.02, 0.17), fontsize=9)
    return fig


def lengths(
    measured: Mapping[str, np.ndarray],
    independent: Mapping[str, np.ndarray],
    titles: list[str],
    title: str,
) -> Figure:
    """Draw the share of the squared gradient by length of path, measured and as independent paths would have it.

    Args:
        measured: state of training -> (networks, lengths).
        independent: the same states -> (lengths,).
        titles: of the panels, one a state.
        title: the finding.

    Returns:
        The figure: one panel per state.
    """
    fig, axes = figures.panels(
        titles, title, xlabel="length of the path / branches", ylim=(0, 0.5), xticks=range(0, 11, 2)
    )
    for ax, name in zip(axes, measured, strict=True):
        ax.plot(independent[name], **figures.series(3), label="independent paths")
        figures.band(ax, range(measured[name].shape[1]), measured[name].T, 1, "measured, mean and range")
    axes[0].set_ylabel("share of squared gradient")
    axes[1].legend(fontsize=9)
    return fig


def surfaces(heights: Mapping[str, np.ndarray], steps: np.ndarray, titles: list[str], title: str) -> Figure:
    """Draw contours of losses over two directions, and where they are not convex.

    Args:
        heights: kind of network -> losses on the grid (points, points), first direction first.
        steps: (points,), the grid in both directions, evenly spaced.
        titles: of the panels, one a kind.
        title: the finding.

    Returns:
        The figure: one panel per kind.
    """
    fig, axes = figures.panels(titles, title, 4.0, xlabel="first direction", aspect="equal")
    levels, inner = np.geomspace(0.01, 10, 7), steps[1:-1]
    for ax, loss in zip(axes, heights.values(), strict=True):
        smaller = landscape.curvatures(loss, steps[1] - steps[0])[..., 0].T
        ax.pcolormesh(inner, inner, smaller < 0, cmap=figures.CONVEX, vmin=0, vmax=1)
        lines = ax.contour(steps, steps, loss.T, levels, colors="black", linewidths=0.8)
        ax.clabel(lines, fmt="%.2g", fontsize=7)
        ax.grid(False)
    axes[0].set_ylabel("second direction")
    return fig


def roughness(loss: Mapping[str, np.ndarray], share: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw how much of a loss surface is not convex over the training loss, one mark per network.

    Args:
        loss: kind of network -> training losses (networks,), in nats.
        share: the same kinds -> shares of points that are not convex (networks,). Kinds come in pairs: two colours,
            full marks for the first pair and hollow ones for the second.
        title: the finding.

    Returns:
        The figure.
    """
    fig, ax = figures.canvas(
        title,
        "training loss / nats",
        "share of points that are not convex",
        xscale="log",
        ylim=(-0.01, 1.1 * max(values.max() for values in share.values())),
    )
    for i, (name, values) in enumerate(share.items()):
        look = figures.series(i % 2, marker=True) | {"linestyle": "", "marker": figures.MARKERS[i]}
        ax.plot(loss[name], values, **look | {"markerfacecolor": "none" if i > 1 else None}, label=name)
    ax.legend(loc="upper right", fontsize=9)
    return fig


GAINS = sorted(
    {1 / 3, (11 / 97) ** 2, 11 / 97, *(k / 20 for k in range(1, 41))}
)  # 11/97: what section 3 infers


def share_shot(frequency: np.ndarray, share: np.ndarray, g: float) -> panels.Shot:
    """Say what lesson 9's panel shows: how frequent paths of each length are, and what they carry.

    Args:
        frequency: (n + 1,), share of the paths with 0, ..., n branches.
        share: (n + 1,), of the squared gradient.
        g: factor of one branch.

    Returns:
        The shot; its title names the two peaks.
    """
    lengths = np.arange(len(share))
    title = (
        f"n = {len(share) - 1}, g = {g:.2g}: most paths go through {frequency.argmax()} branches, "
        f"most gradient through {share.argmax()}"
    )
    alt = f"Share of the paths and of the squared gradient against the length of the path. {title}."
    return panels.Shot(title, {"paths": (lengths, frequency), "gradient": (lengths, share)}, alt)


def share_stage() -> panels.Stage:
    """Make the axes of lesson 9's panel."""
    looks = {
        "paths": figures.series(5, marker=True) | {"label": "of the paths"},
        "gradient": figures.role("gradient", label="of the squared gradient"),
    }
    names = ("length of the path / branches", "share")
    limits = {"xlim": (-1, 45), "ylim": (0, 1.02)}
    return panels.Stage(*names, looks, {"loc": "upper right"}, **limits)


SHARE_CONTROLS = {
    "n": panels.slider("Blocks n", range(2, 61)),
    "g": panels.slider("Factor g of a branch", GAINS, "{:.3g}"),
}
