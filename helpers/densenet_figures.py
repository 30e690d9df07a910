"""The longer figures of lesson 8; what they show is computed in the lesson."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure

from helpers import architectures, figures, panels
from helpers.statistics import interval


def widths(reads: list[int], adds: list[int]) -> Figure:
    """Draw the channels that each dense layer reads and adds.

    Args:
        reads, adds: channels, one number per layer.

    Returns:
        The figure.
    """
    fig, ax = figures.canvas(
        f"Layers read up to {max(reads)} channels, and add {max(adds)} each",
        "dense layer of DenseNet-121",
        "channels",
    )
    layers = range(1, len(reads) + 1)
    ax.step(layers, reads, where="mid", label="read by the layer", **figures.series(0))
    ax.step(layers, adds, where="mid", label="added by the layer", **figures.series(1))
    ax.legend()
    return fig


def ratios(values: dict[str, float], title: str, ylabel: str) -> Figure:
    """Draw ratios as bars beside a line at 1.

    Args:
        values: name -> ratio.
        title, ylabel: of the figure.

    Returns:
        The figure.
    """
    fig, ax = figures.canvas(title, "", ylabel, ylim=(0, 1.15 * max(1, *values.values())))
    bars = ax.bar(range(len(values)), values.values(), width=0.5, color=figures.COLOURS[0])
    ax.bar_label(bars, fmt="%.2f", padding=3)
    ax.axhline(1, label="equal", **figures.series(1))
    ax.set_xticks(range(len(values)), [name.replace(" ", "\n").replace("-", "-\n") for name in values])
    ax.legend()
    return fig


def copies(growth: int = 32, layers: int = 24, start: int = 256, top: int = 250) -> panels.Shot:
    """Count what a naive dense block copies, and what its features need, over the number of layers.

    Args:
        growth: channels that each layer appends.
        layers: of the block, at least 1.
        start: channels that enter it.
        top: megabytes that the axis holds.

    Returns:
        What the panel shows, for images of 56 x 56 pixels, with the ratio at the last layer in its title.
    """
    copied, needed, shape = [0.0], [], (1, start, 56, 56)
    for i in range(layers):
        conv = torch.nn.Conv2d(start + growth * i, growth, 1, device="meta")
        layer = architectures.Append(conv)
        copied.append(copied[-1] + architectures.concatenation_bytes(layer, shape) / 1e6)
        features = layer(torch.empty(shape, device="meta"))
        shape = tuple(features.shape)
        needed.append(features.nbytes / 1e6)
    depths, ratio = range(1, layers + 1), copied[-1] / needed[-1]
    title = f"{layers} layers copy {ratio:.1f} times what they need"
    alt = (
        f"Megabytes over the layers of a dense block, {growth} channels a layer, {start} at the start: "
        f"{title}. The copies, {copied[-1]:.0f} MB, grow with the square of the layers, the features, {needed[-1]:.0f} MB, in a straight line."
    )
    curves = {"copies": (depths, copied[1:]), "features": (depths, needed)}
    return panels.Shot(title, curves, alt, ylim=(0, top))


def copies_stage() -> panels.Stage:
    """Make the axes of lesson 8's panel."""
    looks = {
        "copies": figures.role("branch", marker="", label="copies of a naive block"),
        "features": figures.role("stream", marker="", label="the features themselves"),
    }
    names = ("layers in the block", "MB per image (56 x 56 pixels)")
    limits = {"xlim": (0, 41), "ylim": (0, 250)}
    return panels.Stage(*names, looks, {"loc": "upper left"}, **limits)


COPIES = panels.Panel(
    copies,
    copies_stage,
    {
        "growth": panels.slider("Growth rate k (channels a layer)", range(4, 49, 4)),
        "layers": panels.slider("Layers in the block", range(2, 41)),
        "start": panels.slider("Channels at the start", range(16, 513, 16)),
        "top": panels.menu("Height of the axis", {f"{top} MB": top for top in (50, 250, 800)}),
    },
)


def verdicts(gaps: np.ndarray, title: str) -> Figure:
    """Draw the interval that each set of seeds would have given, and the one of all.

    Args:
        gaps: differences of accuracy (sets, seeds).
        title: the finding.

    Returns:
        The figure: sets sorted by their mean, all together on the right.
    """
    fig, ax = figures.canvas(title, "set of five seeds, sorted", "DenseNet − ResNet, test accuracy")
    found = sorted((interval(row) for row in gaps), key=lambda one: one.mean)
    for place, one in enumerate([*found, interval(gaps)]):
        last = place == len(found)
        look = figures.series(1 if last else 0, marker=True) | {"linestyle": "none"}
        half = [[one.mean - one.low], [one.high - one.mean]]
        label = f"all {gaps.size} seeds" if last else "five seeds, 95 %" if place == 0 else None
        ax.errorbar([place + (0.8 if last else 0)], [one.mean], half, capsize=3, label=label, **look)
    ax.axhline(0, color="black", linewidth=1)
    ax.set_xticks([])
    ax.legend(loc="upper left")
    return fig


def rates(accuracy: dict[str, dict[float, np.ndarray]], title: str) -> Figure:
    """Draw mean accuracy over the learning rate with its interval, one line per network.

    Args:
        accuracy: network -> learning rate -> accuracies of all seeds.
        title: the finding.

    Returns:
        The figure.
    """
    fig, ax = figures.canvas(title, "learning rate", "test accuracy", xscale="log")
    for index, (name, by_rate) in enumerate(accuracy.items()):
        found = [interval(values) for values in by_rate.values()]
        half = [[one.mean - one.low for one in found], [one.high - one.mean for one in found]]
        means = [one.mean for one in found]
        ax.errorbar(list(by_rate), means, half, capsize=3, label=name, **figures.series(index, marker=True))
    ticks = list(next(iter(accuracy.values())))
    ax.set_xticks(ticks, [f"{rate:g}" for rate in ticks])
    ax.minorticks_off()
    ax.legend()
    return fig


def costs(
    points: dict[str, tuple[float, float, np.ndarray]], families: dict[str, list[str]], title: str
) -> Figure:
    """Draw accuracy over parameters and over memory, one look per family of networks.

    Args:
        points: network -> parameters, kB kept per curve, accuracies of all seeds.
        families: family -> its networks.
        title: the finding.

    Returns:
        The figure, two panels.
    """
    fig, axes = figures.panels(["by parameters", "by memory"], title, height=3.6)
    for index, (family, names) in enumerate(families.items()):
        found = [interval(points[name][2]) for name in names]
        half = [[one.mean - one.low for one in found], [one.high - one.mean for one in found]]
        for place, ax in enumerate(axes):
            sizes = [points[name][place] for name in names]
            look = figures.series(index, marker=True)
            ax.errorbar(sizes, [one.mean for one in found], half, capsize=4, label=family, **look)
    axes[0].set(xlabel="parameters", ylabel="test accuracy")
    axes[1].set(xlabel="kB kept per curve")
    axes[0].legend(loc="lower right")
    return fig


def ablation(lost: dict[str, dict[str, np.ndarray]], title: str) -> Figure:
    """Draw the accuracy that is lost without the channels of each age, every seed a point.

    Args:
        lost: what stands in the channels' place -> age -> accuracy lost, one number per seed.
        title: the finding.

    Returns:
        The figure.
    """
    fig, ax = figures.canvas(title, "channels that the exits no longer read", "accuracy lost")
    for index, (name, by_age) in enumerate(lost.items()):
        look = figures.series(index, marker=True) | {"linestyle": "none"}
        for place, values in enumerate(by_age.values()):
            where = place + 0.24 * (index - 0.5)
            ax.plot([where - 0.06] * len(values), values, alpha=0.4, **look)
            label = name if place == 0 else None
            ax.plot([where + 0.06], [values.mean()], label=label, **look | {"markersize": 8})
    ages = list(next(iter(lost.values())))
    ax.set_xticks(range(len(ages)), ages)
    ax.set_ylim(bottom=min(0, ax.get_ylim()[0]))
    ax.legend()
    return fig
