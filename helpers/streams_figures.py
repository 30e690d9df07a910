"""The longer figures of lesson 10's streams; what they show is computed in the lesson."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from helpers import figures, panels, streams


def sizes(rms: Mapping[str, np.ndarray], predicted: np.ndarray, title: str) -> Figure:
    """Draw the size of the stream over depth.

    Args:
        rms: kind of block -> (layers + 1, networks).
        predicted: (layers + 1,), for the first kind.
        title: the finding.

    Returns:
        The figure: means with the range of the networks.
    """
    fig, ax = figures.canvas(title, "layer", "rms of the stream")
    for i, (name, values) in enumerate(rms.items()):
        figures.band(ax, range(len(values)), values, i, name)
    ax.plot(predicted, **figures.series(5) | {"linewidth": 1}, label="a straight line for its square")
    ax.set_ylim(bottom=0)
    ax.legend()
    return fig


def training(curves: Mapping[str, np.ndarray], every: int, guess: float, title: str) -> Figure:
    """Draw training curves, one line per kind with the range over sets of seeds.

    Args:
        curves: kind -> (sets, points).
        every: steps between two points.
        guess: loss of guessing.
        title: the finding.

    Returns:
        The figure.
    """
    fig, ax = figures.canvas(title, "step", "training loss / nats", ylim=(0, 1.25 * guess))
    for i, (name, values) in enumerate(curves.items()):
        figures.band(ax, every * (np.arange(values.shape[1]) + 1), values.T, i, name)
    ax.axhline(guess, **figures.series(5) | {"linewidth": 1}, label="guessing")
    ax.legend(loc="lower left", fontsize=9)
    return fig


def reading(lens: np.ndarray, shares: np.ndarray, title: str) -> Figure:
    """Draw what a stream says after each layer, and what each part of it adds to the right answer.

    Args:
        lens: share of right answers (layers + 1, networks).
        shares: contribution to the right symbol's logit above the mean of all (layers + 1, networks).
        title: the finding.

    Returns:
        The figure: two panels.
    """
    fig, (left, right) = figures.panels(
        ["read out behind layer ...", "what each part adds"], title, xlabel="layer (0: start)"
    )
    figures.band(left, range(len(lens)), lens, 0, "networks")
    left.set(ylabel="share of right answers", ylim=(0, 1.02))
    right.bar(range(len(shares)), shares.mean(1), color=figures.COLOURS[1], alpha=0.75)
    right.plot(range(len(shares)), shares, "k.", markersize=4)
    right.set(ylabel="logit of the right symbol")
    return fig


def gains(curves: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw how much mixing enlarges a signal over depth.

    Args:
        curves: kind of mixing -> gains (layers, draws).
        title: the finding.

    Returns:
        The figure: medians with the range of the draws, logarithmic both ways.
    """
    fig, ax = figures.canvas(title, "layer", "largest gain forward", xscale="log", yscale="log")
    for i, (name, values) in enumerate(curves.items()):
        figures.band(ax, 1 + np.arange(len(values)), values, i, name, centre=np.median)
    ax.legend(loc="upper left")
    return fig


def survivors(values: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw the second singular value of a product of mixing matrices over depth.

    Args:
        values: kind of mixing -> (layers, draws).
        title: the finding.

    Returns:
        The figure: medians with the range of the draws; what is below 1e-17 is drawn there.
    """
    fig, ax = figures.canvas(
        title, "layer", "second singular value", xscale="log", yscale="log", ylim=(1e-17, 3)
    )
    for i, (name, each) in enumerate(values.items()):
        figures.band(ax, 1 + np.arange(len(each)), np.maximum(each, 1e-17), i + 1, name, centre=np.median)
    depths = [2**k for k in range(len(next(iter(values.values()))).bit_length())]
    ax.set_xticks(depths, depths, minor=False)
    ax.set_xticks([], minor=True)
    ax.legend(loc="lower left")
    return fig


STEPS = {  # what a branch is multiplied by, given the number of layers
    "1/L": lambda layers: 1 / layers,
    "1/√L": lambda layers: layers**-0.5,
    "1/8": lambda layers: 1 / 8,
}


def trajectory(layers: int = 16, scale: str = "1/L", start: Sequence[float] = (1.0, 0.0)) -> panels.Shot:
    """Follow the stream of a residual network in the plane beside the flow that it may follow.

    Args:
        layers: L.
        scale: a key of `STEPS`, for every branch.
        start: h_0.

    Returns:
        What the panel shows; the title says how far the two ends are apart.
    """
    states = streams.residual_steps(np.array(start), layers, STEPS[scale](layers))
    exact = streams.flow(np.array(start), np.linspace(0, 1, 25))
    off = np.linalg.norm(states[-1] - exact[-1])
    title = f"L = {layers}, branches times {scale}: the end is off by {off:.2g}"
    alt = (
        f"A stream of two units drawn layer by layer beside the spiral of the exact flow. {title}; "
        f"the stream ends at ({states[-1][0]:.2g}, {states[-1][1]:.2g}), the flow at ({exact[-1][0]:.2g}, {exact[-1][1]:.2g})."
    )
    return panels.Shot(
        title, {"flow": (exact[:, 0], exact[:, 1]), "stream": (states[:, 0], states[:, 1])}, alt
    )


def trajectory_stage() -> panels.Stage:
    """Make the axes of lesson 10's panel."""
    looks = {
        "flow": figures.series(5) | {"linestyle": "-", "label": "flow until time 1"},
        "stream": figures.role("stream", label="stream, layer by layer"),
    }
    limits = {"xlim": (-2, 2), "ylim": (-2, 2), "aspect": "equal"}
    names = ("first unit of the stream", "second unit")
    return panels.Stage(*names, looks, {"loc": "lower left", "fontsize": 9}, **limits)


TRAJECTORY = panels.Panel(
    trajectory,
    trajectory_stage,
    {
        "layers": panels.slider("Layers L", [*range(2, 65), 96, 128, 256]),
        "scale": panels.menu("Factor on every branch", list(STEPS)),
    },
)
