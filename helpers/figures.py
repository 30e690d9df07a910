"""The look of every figure: one palette, one line style a series, a title that states the finding."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

# Okabe and Ito's palette, dark enough on white; told apart by dash and marker as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "x")
# One colour, one meaning: in every drawing, and in a figure that shows one of these parts of a network (docs/notation.md).
# Lines that compare whole networks, formats or settings have no part to stand for: they take `series`.
ROLES = {
    "data": "#4D4D4D",  # what comes in and goes out
    "stream": "#0072B2",  # what runs from block to block
    "branch": "#D55E00",  # what a block adds
    "skip": "#009E73",  # the way past a branch
    "gradient": "#AA4499",  # what comes back
}
CONVEX = ListedColormap(["#DCE9F3", "#D55E00"])  # a surface that is convex at a point, and one that is not
TITLE_WIDTH = 58  # characters that fit above one pair of axes

STYLE = {
    "figure.figsize": (6.0, 3.6),
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "text.hinting": "none",  # hinted, the bars of = and + come out bold
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "svg.hashsalt": "skip-connections",
}


def series(index: int, marker: bool = False) -> dict[str, Any]:
    """Give the colour, dash and (if asked) marker of the series with this index.

    Args:
        index: 0, 1, 2, ...; the same index looks the same in every figure of a lesson.
        marker: whether points are marked too.

    Returns:
        Keyword arguments for `Axes.plot`.
    """
    look: dict[str, Any] = {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}
    if marker:
        look |= {"marker": MARKERS[index % len(MARKERS)], "markersize": 5}
    return look


def role(name: str, **look: Any) -> dict[str, Any]:
    """Give the look of a line that stands for a part of a network.

    Args:
        name: a key of `ROLES`.
        **look: further properties; they win.

    Returns:
        Keyword arguments for `Axes.plot`: the part's colour, and a dash and a marker of its own.
    """
    index = list(ROLES).index(name)
    return {
        "color": ROLES[name],
        "linestyle": DASHES[index],
        "marker": MARKERS[index],
        "markersize": 5,
    } | look


def canvas(title: str, xlabel: str, ylabel: str, **axes: Any) -> tuple[Figure, Axes]:
    """Open a figure with one pair of axes in the course's style.

    Args:
        title: the finding, in a few words.
        xlabel, ylabel: what is drawn, with units.
        **axes: further properties of the axes, such as `yscale="log"`.

    Returns:
        The figure and its axes.
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots()
        axis.set_title(wrapped(title, TITLE_WIDTH))
        axis.set(xlabel=xlabel, ylabel=ylabel, **axes)
    return figure, axis


def panels(titles: list[str], title: str = "", height: float = 3.2, **axes: Any) -> tuple[Figure, list[Axes]]:
    """Open a figure with several pairs of axes side by side.

    Args:
        titles: one a panel.
        title: the finding, above all panels.
        height: in inches; the width is 6.
        **axes: properties of every pair of axes, such as `xlabel="iteration"`.

    Returns:
        The figure and its axes from left to right.
    """
    with plt.rc_context(STYLE):
        figure, row = plt.subplots(1, len(titles), figsize=(6.0, height), squeeze=False)
        for axis, name in zip(row[0], titles, strict=True):
            axis.set_title(name)
            axis.set(**axes)
    if title:
        figure.suptitle(wrapped(title, TITLE_WIDTH + 8), x=0.01, ha="left", fontsize=12)
    return figure, list(row[0])


def wrapped(title: str, width: int = TITLE_WIDTH) -> str:
    """Break a title into as few lines as it needs, of about the same length: no word is left alone.

    Args:
        title: a sentence.
        width: characters that fit into a line.

    Returns:
        The title with line breaks.
    """
    wrap = partial(textwrap.wrap, title, break_long_words=False, break_on_hyphens=False)
    lines = len(wrap(width))
    while width > 1 and len(wrap(width - 1)) == lines:
        width -= 1
    return "\n".join(wrap(width))


def band(
    axis: Axes,
    x: Any,
    values: Any,
    index: int,
    label: str,
    undo: Callable = np.asarray,
    centre: Callable = np.mean,
) -> None:
    """Draw repeated runs as a line in the middle and a pale band over their range.

    Args:
        axis: to draw on.
        x: (points,), where.
        values: (points, runs).
        index: of the series, for its look.
        label: what the line is, for the legend.
        undo: applied to what is drawn; `numpy.exp` for values that are logarithms.
        centre: the middle of the runs, `numpy.mean` or `numpy.median`.
    """
    look = series(index)
    axis.fill_between(
        x, undo(np.min(values, axis=1)), undo(np.max(values, axis=1)), color=look["color"], alpha=0.2, lw=0
    )
    axis.plot(x, undo(centre(values, axis=1)), label=label, **look)


def png(figure: Figure) -> bytes:
    """Render a figure to PNG, close it, and give the same bytes for the same figure."""
    with plt.rc_context(STYLE), io.BytesIO() as buffer:
        figure.savefig(buffer, format="png", metadata={"Software": None})
        plt.close(figure)
        return buffer.getvalue()


def show(figure: Figure, alt: str) -> None:
    """Display a figure in the notebook with its text alternative.

    Args:
        figure: closed afterwards.
        alt: says the finding to who cannot see the figure.

    Raises:
        ValueError: if the text alternative is empty.
    """
    from IPython.display import display

    if not alt.strip():
        raise ValueError("show(figure, alt=...): alt is empty; say in a sentence what the figure shows")
    data = {"image/png": png(figure), "text/plain": f"Figure: {alt}"}
    display(data, metadata={"image/png": {"alt": alt}}, raw=True)
