"""The longer figures of lesson 10's U-Nets; what they show is computed in the lesson."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from helpers import figures


def drawing(title: str) -> Figure:
    """Draw a U-Net of three levels as boxes, with its long skips.

    Args:
        title: the finding.

    Returns:
        The figure: down on the left, up on the right, arrows for what is handed over.
    """
    with plt.rc_context(figures.STYLE):
        fig, ax = plt.subplots(figsize=(6.0, 2.9))
    ax.set_title(title)
    ax.axis("off")
    sizes = ("16 × 16", "8 × 8", "4 × 4", "2 × 2")
    arrow = {"arrowstyle": "-|>", "color": figures.COLOURS[5], "linewidth": 1.2}
    for level, size in enumerate(sizes):
        places = (level, 6 - level) if level < 3 else (3,)
        for x in places:
            box = {"boxstyle": "round", "facecolor": "#DCE9F3", "edgecolor": figures.COLOURS[0]}
            ax.text(x, -level, size, ha="center", va="center", fontsize=9, bbox=box)
        if level < 3:
            ax.annotate("", (level + 0.85, -level - 0.8), (level + 0.2, -level - 0.25), arrowprops=arrow)
            ax.annotate("", (5.8 - level, -level - 0.25), (5.15 - level, -level - 0.8), arrowprops=arrow)
            skip = arrow | {"color": figures.COLOURS[1], "linestyle": "--"}
            ax.annotate("", (5.5 - level, -level), (level + 0.5, -level), arrowprops=skip)
    ax.text(3, 0.18, "long skip: concatenated", ha="center", fontsize=9, color=figures.COLOURS[1])
    ax.text(0.1, -2.2, "pool: half\nthe size", ha="center", fontsize=9)
    ax.text(5.9, -2.2, "upsample:\ntwice the size", ha="center", fontsize=9)
    ax.text(3, -3.6, "bottom", ha="center", fontsize=9)
    ax.set(xlim=(-0.6, 6.6), ylim=(-3.8, 0.5))
    return fig


def masks(pictures: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw a few pictures in rows: what goes in, what is true, what the nets say.

    Args:
        pictures: name of a row -> (columns, side, side).
        title: the finding.

    Returns:
        The figure: one row per name.
    """
    columns = len(next(iter(pictures.values())))
    with plt.rc_context(figures.STYLE):
        fig, axes = plt.subplots(len(pictures), columns, figsize=(6.0, 1.05 * len(pictures) + 0.6))
    for row, (name, images) in zip(axes, pictures.items(), strict=True):
        for ax, image in zip(row, images, strict=True):
            ax.imshow(image, cmap="gray_r", interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10)
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig


def errors(shares: Mapping[str, np.ndarray], places: list[str], title: str) -> Figure:
    """Draw where pixels are wrong, one bar per place and kind of net.

    Args:
        shares: kind of net -> (networks, places).
        places: their names.
        title: the finding.

    Returns:
        The figure: means, with each network as a point.
    """
    fig, ax = figures.canvas(title, "", "share of wrong pixels")
    for i, (name, values) in enumerate(shares.items()):
        x = np.arange(len(places)) + 0.36 * (i - 0.5 * (len(shares) - 1))
        ax.bar(
            x, values.mean(0), 0.32, color=figures.COLOURS[i], hatch=("", "//")[i % 2], alpha=0.75, label=name
        )
        ax.plot(np.tile(x, (len(values), 1)).T, values.T, "k.", markersize=4)
    ax.set_xticks(range(len(places)), places)
    ax.legend()
    return fig
