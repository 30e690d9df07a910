"""The longer figures of lesson 7; what they show is computed in the lesson."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from helpers import figures, panels
from helpers.remedies import REMEDIES, THREE_PASSES

GUESSING = math.log(10)  # the loss, in nats, of who gives ten classes the same probability

OF_LESSON_7 = {  # hidden layers 2, 8 and 24, five networks each; tests/test_degradation.py compares them with the lesson
    "plain": (
        (0.02208, 0.02133, 0.0259, 0.02213, 0.02032),
        (0.02278, 0.03309, 0.032, 0.02323, 0.02471),
        (0.8175, 1.222, 1.24, 1.002, 1.014),
    ),
    "residual": (
        (0.02101, 0.0188, 0.02424, 0.02368, 0.02036),
        (0.003258, 0.00573, 0.005368, 0.007531, 0.005387),
        (0.01901, 0.02892, 0.01652, 0.02653, 0.02392),
    ),
}


def losses_by_depth(
    depths: Sequence[int], losses: Mapping[str, np.ndarray], title: str, label: str = "{kind} + BN"
) -> Figure:
    """Draw training loss over depth, every network a point and their mean a line.

    Args:
        depths: numbers of hidden layers.
        losses: kind of network -> (depths, networks), in nats.
        title: the finding.
        label: what the legend calls a kind.

    Returns:
        The figure.
    """
    fig, axis = figures.canvas(title, "hidden layers", "training loss (nats)", xscale="log", yscale="log")
    for i, (kind, loss) in enumerate(losses.items()):
        look = figures.series(i, marker=True)
        axis.plot(
            depths, loss, ls="", marker=look["marker"], ms=5, mfc="none", color=look["color"], alpha=0.7
        )
        axis.plot(
            depths, loss.mean(1), label=f"{label.format(kind=kind)}, mean of {loss.shape[1]} networks", **look
        )
    axis.axhline(GUESSING, color="grey", lw=1)
    axis.text(2, GUESSING * 0.62, "guessing: ln 10", fontsize=9, color="dimgrey")
    axis.set_xticks(depths, map(str, depths))
    axis.minorticks_off()
    axis.legend(loc="center left")
    return fig


def gradients(norms: Mapping[str, np.ndarray], growth: float, title: str) -> Figure:
    """Draw the norm of each layer's weight gradient, and the law that plain networks follow.

    Args:
        norms: kind of network, "plain" among them -> (layers, networks).
        growth: of the law, per layer towards the input; drawn from the last layer of the plain networks.
        title: the finding.

    Returns:
        The figure.
    """
    fig, axis = figures.canvas(title, "hidden layer", "norm of the weight gradient", yscale="log")
    layers = np.arange(1, len(norms["plain"]) + 1)
    for i, (kind, norm) in enumerate(norms.items()):
        label = f"{kind} + BN, {norm.shape[1]} networks and their range"
        figures.band(axis, layers, np.log(norm), i, label, np.exp)
    scale = np.exp(np.log(norms["plain"][-1]).mean())
    look = figures.series(5) | {"linestyle": ":", "linewidth": 1.2}
    axis.plot(layers, scale * growth ** (layers[-1] - layers), label="law of lesson 4", **look)
    axis.legend()
    return fig


def twins(apart: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw how far apart the losses of networks and their twins are, step by step.

    Args:
        apart: kind of network -> distances (steps, networks), in nats.
        title: the finding.

    Returns:
        The figure.
    """
    fig, axis = figures.canvas(
        title, "step", "distance of the two losses (nats)", yscale="log", ylim=(1e-15, 10)
    )
    for i, (kind, distance) in enumerate(apart.items()):
        figures.band(
            axis, np.arange(len(distance)), distance, i, f"{kind}: median and range", centre=np.median
        )
    axis.legend(loc="center right")
    return fig


def remedies(losses: Mapping[str, np.ndarray], without_shortcut: Sequence[str], title: str) -> Figure:
    """Draw the loss of every network with each remedy, one row per remedy.

    Args:
        losses: remedy -> (networks,), in nats.
        without_shortcut: which remedies have none.
        title: the finding.

    Returns:
        The figure, with a line for guessing.
    """
    names = list(losses)[::-1]
    ticks = {"yticks": range(len(names)), "yticklabels": names}
    fig, axis = figures.canvas(title, "training loss at 24 layers (nats)", "", xscale="log", **ticks)
    for row, name in enumerate(names):
        look = figures.series(0 if name in without_shortcut else 1, marker=True)
        label = {"He init": "no shortcut", "ReZero": "shortcut"}.get(name)
        look |= {"linestyle": "", "markerfacecolor": "none", "label": label}
        axis.plot(losses[name], [row] * len(losses[name]), **look)
    axis.legend(loc="upper left")
    axis.text(GUESSING * 0.93, 0, "guessing: ln 10", ha="right", va="center", fontsize=9, color="dimgrey")
    axis.axvline(GUESSING, color="grey", lw=1)
    axis.grid(axis="y", visible=False)
    return fig


def of_lesson_7() -> dict[str, np.ndarray]:
    """Give the training losses that lesson 7 measures with SEED = 0, for who is not there yet.

    Returns:
        Kind of network -> (3 depths, 5 networks), in nats; the depths are 2, 8 and 24 hidden layers.
    """
    return {kind: np.array(rows) for kind, rows in OF_LESSON_7.items()}


RATES = sorted({1e-6, 1e-5, 0.05, 0.5, 1.0, *(1e-4 * 2**k for k in range(15)), *THREE_PASSES.values()})
PANEL_STEPS = 16


def remedy_shot(remedy: str, rate: float, losses: np.ndarray) -> panels.Shot:
    """Say what lesson 7's panel shows: minibatch losses of three networks.

    Args:
        remedy: its name.
        rate: learning rate.
        losses: (steps, 3) in nats; not finite where training diverged.

    Returns:
        The shot; its title is the verdict.
    """
    last = losses[-5:].mean()
    verdict = f"loss {last:.2f} after {len(losses)} steps" if np.isfinite(last) else "it diverges"
    title = f"{remedy}, rate {rate:.2g}: {verdict}"
    curves = {f"network {i}": (range(len(losses)), curve) for i, curve in enumerate(losses.T)}
    return panels.Shot(title, curves, f"Minibatch loss of {losses.shape[1]} networks of 24 layers. {title}.")


def remedy_stage() -> panels.Stage:
    """Make the axes of lesson 7's panel."""
    looks = {f"network {i}": figures.series(i) | {"label": f"network {i}"} for i in range(3)}
    limits = {"xlim": (0, PANEL_STEPS), "ylim": (0, 3)}
    stage = panels.Stage("step", "minibatch loss (nats)", looks, {"loc": "lower left"}, **limits)
    stage.axis.axhline(GUESSING, color="grey", lw=1)
    at = (PANEL_STEPS, GUESSING + 0.05)
    stage.axis.text(*at, "guessing: ln 10", ha="right", fontsize=9, color="dimgrey")
    return stage


REMEDY_CONTROLS = {
    "remedy": panels.menu("Remedy", list(REMEDIES)),
    "rate": panels.slider("Learning rate", RATES),
}
