"""The look of every figure: one palette, one line style a series, a title that states the finding."""

from __future__ import annotations

import inspect
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
CONVEX = ListedColormap(["#DCE9F3", "#D55E00"])  # a surface that is convex at a point, and one that is not
TITLE_WIDTH = 58  # characters that fit above one pair of axes
WHOLE_NAME = {"description_width": "initial"}  # of a knob: else longer names are cut

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
        axis.set_title(_wrapped(title, TITLE_WIDTH))
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
        figure.suptitle(_wrapped(title, TITLE_WIDTH + 8), x=0.01, ha="left", fontsize=12)
    return figure, list(row[0])


def _wrapped(title: str, width: int) -> str:
    """Break a title into as few lines as it needs, of about the same length: no word is left alone."""
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


def explore(draw: Any, **controls: Any) -> Any:
    """Put sliders and menus above a drawing: the live form of a lesson's figure.

    Args:
        draw: takes the controls' values by name, returns a Figure. A control starts at the
            default that `draw` gives it, else at `low` or the first choice.
        **controls: name -> (low, high, step) for a slider; a list of choices, or a dict of
            label -> choice, for a menu.

    Returns:
        A widget to leave as the cell's last value; where ipywidgets is missing, a sentence
        saying that the static figure above shows the same.
    """
    try:
        import ipywidgets as widgets
    except ModuleNotFoundError:
        return "ipywidgets is not installed here: the figure above is this panel, standing still."
    starts = {name: parameter.default for name, parameter in inspect.signature(draw).parameters.items()}
    knobs = {name: _knob(widgets, name, spec, starts.get(name)) for name, spec in controls.items()}
    # Neither stretched to the width of the page nor wider than it.
    screen = widgets.Image(format="png", layout={"align_self": "flex-start", "max_width": "100%"})

    def refresh(_change: Any = None) -> None:
        screen.value = png(draw(**{name: knob.value for name, knob in knobs.items()}))

    for knob in knobs.values():
        knob.observe(refresh, names="value")
    refresh()
    return widgets.VBox([*knobs.values(), screen])


def _knob(widgets: Any, name: str, spec: Any, start: Any) -> Any:
    """A menu for a list or for label -> value, a slider for (low, high, step); `start` counts where it fits."""
    if isinstance(spec, (list, dict)):
        choices = list(spec.values()) if isinstance(spec, dict) else spec
        return widgets.Dropdown(
            description=name,
            options=list(spec.items()) if isinstance(spec, dict) else spec,
            value=start if start in choices else choices[0],
            style=WHOLE_NAME,
        )
    low, high, step = spec
    slider = widgets.IntSlider if all(isinstance(x, int) for x in spec) else widgets.FloatSlider
    fits = isinstance(start, (int, float)) and low <= start <= high
    return slider(
        description=name,
        min=low,
        max=high,
        step=step,
        value=start if fits else low,
        continuous_update=False,
        style=WHOLE_NAME,
    )
