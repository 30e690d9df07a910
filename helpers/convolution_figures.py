"""Figures of lessons 1 and 2: what iterated convolution does to an image. Numbers in, a figure out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from helpers import convolution, figures, panels

LOG_PEAK = r"$\log_{10}$ of the largest pixel"
LOG_GRADIENT = r"$\log_{10}$ of the largest gradient"


def dying_image(images: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw images as heat maps, three a row, each in shades of its own largest pixel.

    Args:
        images: label -> (height, width), not negative; a label may have two lines.
        title: the finding.

    Returns:
        The figure; an image of zeros is black.
    """
    rows = -(-len(images) // 3)
    with plt.rc_context(figures.STYLE):
        figure, axes = plt.subplots(rows, 3, figsize=(6.0, 2.3 * rows), squeeze=False)
        for axis, (label, image) in zip(axes.flat, images.items(), strict=False):
            axis.imshow(image, cmap="cividis", vmin=0, vmax=image.max() or 1)
            axis.set_title(label, fontsize=11, loc="center")
        for axis in axes.flat:
            axis.set_axis_off()
        figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure


def way_down(peaks: np.ndarray, line: np.ndarray, unit: float, thresholds: Mapping[str, float]) -> Figure:
    """Draw how the largest pixel falls: all the way on a log axis, the last steps in units.

    Args:
        peaks: largest pixel after k convolutions; the last one is the first that is zero.
        line: what is predicted for it, at least as long.
        unit: smallest positive number of the format.
        thresholds: label -> height in units of a line across the right panel.

    Returns:
        The figure, with the death marked.
    """
    death = len(peaks) - 1
    figure, (whole, end) = figures.panels(
        ["the whole way down", "the last steps"],
        title=rf"$c\,\rho^k$ down to a few units, then rounding kills: k = {death}, loop index {death - 1}",
        xlabel="convolutions k",
    )
    whole.plot(np.log10(peaks[:-1]), label="float32", **figures.series(0))
    whole.plot(np.log10(line[: death + 1]), label=r"$c\,\rho^k$", **figures.series(1))
    whole.axhline(np.log10(unit), label="one unit", **figures.series(3))
    whole.set_ylabel(LOG_PEAK)
    whole.legend(fontsize=9)
    last = np.arange(death - 9, len(line))
    end.plot(last[: death + 1 - last[0]], peaks[last[0] :] / unit, **figures.series(0, marker=True))
    end.plot(last, line[last] / unit, **figures.series(1))
    for i, (label, height) in enumerate(thresholds.items()):
        end.axhline(height, **figures.series((2, 5)[i]))
        end.annotate(label, (last[0] - 0.5, height + 0.3), fontsize=9)
    end.annotate(
        f"zero at index {death - 1}", (death, 0), (death - 2, 11), fontsize=9, arrowprops={"arrowstyle": "->"}
    )
    end.set_ylabel(r"largest pixel (units of $2^{-149}$)")
    return figure


def two_ends(histories: Mapping[str, np.ndarray], limits: Mapping[str, float], title: str) -> Figure:
    """Draw histories on a log axis between the smallest and the largest number of a format.

    Args:
        histories: label -> largest pixel after k steps, positive and finite.
        limits: label -> number at which a dotted, labelled line is drawn.
        title: the finding.

    Returns:
        The figure.
    """
    figure, axis = figures.canvas(title, "step k", LOG_PEAK)
    for i, (label, history) in enumerate(histories.items()):
        axis.plot(np.log10(history), label=label, **figures.series(i))
    for label, limit in limits.items():
        axis.axhline(np.log10(limit), color="black", linestyle=":", linewidth=1)
        where = (0.01, np.log10(limit))
        above = {"xytext": (0, 3), "textcoords": "offset points"}
        axis.annotate(label, where, xycoords=("axes fraction", "data"), fontsize=9, **above)
    axis.margins(y=0.1)
    axis.legend(loc="center right")
    return figure


def decay(history: np.ndarray, n: int, dtype: str, scale: float, rho: float) -> panels.Shot:
    """Say what lesson 1's panel shows: the largest pixel against c rho^k.

    Args:
        history: largest pixel after k convolutions, ones at the start.
        n: side of the image.
        dtype: a key of `convolution.FORMATS`.
        scale: factor on the kernel.
        rho: spectral radius with that factor.

    Returns:
        The shot; its title tells the fate.
    """
    alive = history[(history > 0) & np.isfinite(history)]
    if len(alive) == len(history):
        fate = f"alive after {len(history) - 1}"
    else:
        fate = f"{'dies' if history[-1] == 0 else 'overflows'} at index {len(alive) - 1}"
    title = f"n = {n}, {dtype}, K × {scale:g}: factor {rho:.3f}, {fate}"
    steps = np.arange(len(history))
    floor = -convolution.FORMATS[dtype].unit_exponent * math.log10(2)
    curves = {
        "pixel": (steps[: len(alive)], np.log10(alive)),
        "line": (steps, math.log10(convolution.peak_amplitude(n)) + steps * math.log10(rho)),
        "floor": (DECAY_LIMITS[0], (floor, floor)),
    }
    return panels.Shot(title, curves, f"The largest pixel of an image of {n} by {n} over the steps: {title}.")


DECAY_LIMITS = ((0, 900), (-60, 45))  # convolutions; powers of ten
DECAY = {
    "n": panels.slider("Side of the image (pixels)", range(1, 21)),
    "dtype": panels.menu("Number format", ["float32", "float16", "bfloat16", "float64"]),
    "scale": panels.slider("Factor on the kernel", [k / 20 for k in range(10, 31)]),
}


def decay_stage() -> panels.Stage:
    """Make the axes of lesson 1's panel."""
    looks = {
        "pixel": figures.role("stream", linestyle="-", marker="", label="largest pixel"),
        "line": figures.series(1) | {"label": r"$c\,\rho^k$"},
        "floor": figures.series(5) | {"label": "smallest number of the format"},
    }
    xlim, ylim = DECAY_LIMITS
    return panels.Stage("convolutions k", LOG_PEAK, looks, {"loc": "upper right"}, xlim=xlim, ylim=ylim)


HEALTH_DEPTHS = (10, 20, 30, 40, 60, 80, 100, 200, 360)  # deep enough to see the plain loop's gradient die


def health_depths(depth: int) -> list[int]:
    """Choose where lesson 2's panel measures, from 1 to this depth; few where each costs much."""
    return np.unique(np.geomspace(1, depth, 8 if depth <= 100 else 4).astype(int)).tolist()


def health(system: str, depths: Sequence[int], sizes: Mapping[str, Sequence[float]]) -> panels.Shot:
    """Say what lesson 2's panel shows: three sizes over depth.

    Args:
        system: its name.
        depths: where they were measured.
        sizes: "largest pixel", "separation" and "gradient" -> one number a depth, 0 or larger.

    Returns:
        The shot; what is 0 is drawn at 1e-46, below the smallest float32. A separation of a few units in the last place of a float32
        is rounding, which processors do not do alike: it is shown as 0.
    """
    rounding = 4 * np.finfo(np.float32).eps
    apart = [0.0 if value < rounding else value for value in sizes["separation"]]
    sizes = {**sizes, "separation": apart}
    curves = {name: (depths, np.log10(np.maximum(values, 1e-46))) for name, values in sizes.items()}
    ends = ", ".join(f"{name} {values[-1]:.1g}" for name, values in sizes.items())
    return panels.Shot(
        f"{system}: what is left after k steps", curves, f"{system}, after {depths[-1]} steps: {ends}."
    )


def health_stage() -> panels.Stage:
    """Make the axes of lesson 2's panel."""
    looks = {
        "largest pixel": figures.role("stream", label="largest pixel"),
        "separation": figures.role("data", label="separation of two images"),
        "gradient": figures.role("gradient", label="gradient"),
    }
    ticks = (1, 3, 10, 30, 100, 360)
    axes = {"xscale": "log", "xlim": (0.9, 450), "xticks": ticks, "xticklabels": ticks, "ylim": (-47, 6)}
    return panels.Stage("depth k", r"$\log_{10}$ of the size", looks, {"loc": "lower left"}, **axes)


def health_controls(systems: Sequence[str]) -> dict[str, panels.Control]:
    """Give the controls of lesson 2's panel for these systems."""
    return {
        "system": panels.menu("System", systems),
        "depth": panels.slider("Depth (steps)", HEALTH_DEPTHS),
        "seed": panels.slider("Pair of images (seed)", range(10)),
    }


def four_systems(
    activations: Mapping[str, np.ndarray],
    gradients: Mapping[str, Mapping[int, float]],
    deaths: Mapping[str, int],
    title: str,
) -> Figure:
    """Draw activations and gradients of several systems against depth; a cross marks the depth of a death.

    Args:
        activations: system -> largest pixel at depth 0, 1, 2, ..., zero where it has died.
        gradients: system -> {depth: largest entry of the gradient at the input, not zero}.
        deaths: system -> first depth at which the whole gradient is zero, for those that die.
        title: the finding.

    Returns:
        The figure.
    """
    figure, (left, right) = figures.panels(["activations", "gradients"], title=title, xlabel="depth k")
    floor = -convolution.FORMATS["float32"].unit_exponent * math.log10(2)
    for i, (name, peaks) in enumerate(activations.items()):
        alive = peaks[: np.flatnonzero(peaks == 0)[0]] if (peaks == 0).any() else peaks
        left.plot(np.log10(alive), label=name, **figures.series(i))
        if len(alive) < len(peaks):
            left.plot(len(alive), floor, "x", color=figures.COLOURS[i], markersize=9, markeredgewidth=2)
        depths, sizes = zip(*gradients[name].items(), strict=True)
        right.plot(depths, np.log10(sizes), **figures.series(i))
        if name in deaths:
            right.plot(deaths[name], floor, "x", color=figures.COLOURS[i], markersize=9, markeredgewidth=2)
            side = {"ha": "left"} if i == 2 else {"ha": "right"}  # two deaths stand close together
            where = (8 if i == 2 else -7, 6)
            point = (deaths[name], floor)
            right.annotate(f"{point[0]}", point, where, textcoords="offset points", fontsize=9, **side)
    for axis, label in ((left, LOG_PEAK), (right, LOG_GRADIENT)):
        axis.set(ylabel=label, ylim=(floor - 3, 6), xlim=(-45, None))
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return figure
