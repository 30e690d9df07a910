"""The class report's plots, as SVG that takes its ink from the page, so that it can be read in the light and in the dark."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib

from course.reports.class_facts import LessonFacts

INK = "#010203"  # stands for the page's own colour of text
BLUE, ORANGE, YELLOW = "#2a85c7", "#d55e00", "#e69f00"


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots()
    axes.patch.set_alpha(0)
    for side, spine in axes.spines.items():
        spine.set_color(INK)
        spine.set_visible(side in ("left", "bottom"))
    axes.tick_params(colors=INK, labelsize=10)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(INK)
    return figure, axes


def _svg(figure: Any, name: str) -> str:
    """The figure's markup, to stand within a page: the same bytes every time, ids of its own, ink of the page."""
    out = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(
            out, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None}
        )
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 system-ui, sans-serif", text)
    return text.replace(INK, "currentColor").replace("<svg", '<svg aria-hidden="true"', 1)


def heat_strip(facts: LessonFacts) -> str:
    """Student by exercise: a column a student, the best at the left; grey where a person has still to read."""
    import numpy as np

    shares = np.array([[np.nan if s is None else s for s in row] for row in facts.shares], float)
    figure, axes = _figure(9, 0.7 + 0.34 * len(facts.exercises))
    # Not cividis: in its middle it is as grey as what is still to be read.
    colours = matplotlib.colormaps["viridis"].with_extremes(bad="#9a9a9a")
    axes.pcolormesh(np.ma.masked_invalid(shares), cmap=colours, vmin=0, vmax=1, rasterized=True)
    axes.invert_yaxis()
    axes.set_yticks(
        np.arange(len(facts.exercises)) + 0.5, [e.label for e in facts.exercises], parse_math=False
    )
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel(f"{len(facts.students)} students, the best at the left")
    axes.tick_params(axis="y", length=0)
    return _svg(figure, f"heat{facts.lesson.number}")


def success(facts: LessonFacts) -> str:
    """The share that solves each exercise, with its interval."""
    judged = [exercise for exercise in facts.exercises if exercise.count]
    figure, axes = _figure(9, 0.8 + 0.34 * len(judged))
    for at, exercise in enumerate(judged):
        axes.plot([100 * exercise.low, 100 * exercise.high], [at, at], color=BLUE, linewidth=5, alpha=0.4, solid_capstyle="round")  # fmt: skip
        axes.plot(100 * exercise.solved / exercise.count, at, "o", color=BLUE, markersize=8)
    axes.set_yticks(range(len(judged)), [e.label for e in judged], parse_math=False)
    axes.set_ylim(len(judged) - 0.5, -0.5)
    axes.set_xlim(0, 101)
    axes.set_xlabel("per cent with full points (dot), 95 % interval (bar)")
    axes.grid(axis="x", color=INK, alpha=0.15)
    return _svg(figure, f"success{facts.lesson.number}")


def distribution(facts: LessonFacts) -> str:
    """How many have how many points."""
    import numpy as np

    figure, axes = _figure(9, 2.5)
    top = max([facts.full, 1.0, *facts.marks, *facts.partial])
    step = max(1.0, np.ceil(top / 20))
    axes.hist(
        [facts.marks, facts.partial],
        bins=np.arange(-step / 2, top + step, step),
        color=[ORANGE, YELLOW],
        rwidth=0.85,
        stacked=True,
        label=["complete", "answers still to be read"],
    )
    legend = axes.legend(
        frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0, labelcolor=INK
    )
    legend.set_in_layout(True)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel(f"points of {facts.full:g}")
    axes.set_ylabel("students")
    axes.yaxis.get_major_locator().set_params(integer=True)
    return _svg(figure, f"marks{facts.lesson.number}")
