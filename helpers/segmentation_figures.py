"""The longer figures of lesson 10's U-Nets; what they show is computed in the lesson."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from helpers import figures


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
