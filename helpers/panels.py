"""Panels: controls beside a plot that follows them while they are dragged.

A panel is a computation and a stage. The computation takes the values of the controls and gives a `Shot`: curves as
numbers, a title that states the finding, its text alternative. The stage draws axes with fixed limits once; from then on
its lines are only moved. So a learner compares settings by eye: with the last one (pale) and with one that is pinned (dotted).
"""

from __future__ import annotations

import base64
import html
import inspect
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from helpers import figures

REST = 1.0  # seconds: a control that rested longer than this is moved from a setting that deserves to stay visible
NOTHING: tuple[tuple, tuple] = ((), ())
ASLEEP = "This panel stands still, at the setting it starts with. Run its cell (Shift + Enter), and it moves."
WIDGET = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True)
class Control:
    """What a learner moves: a slider or a menu.

    Args:
        label: what it is, in words, with its unit.
        choices: as shown -> as computed with, in their order.
        slides: a slider; else a menu.
    """

    label: str
    choices: Mapping[str, Any]
    slides: bool

    def shown(self, value: Any) -> str:
        """Say a value as the control shows it."""
        return next(name for name, choice in self.choices.items() if choice == value)


def slider(label: str, values: Sequence[Any], shown: str = "{:g}") -> Control:
    """Make a slider over these values.

    Args:
        label: what it is, in words, with its unit.
        values: from left to right.
        shown: format of a value.

    Returns:
        The control.
    """
    return Control(label, {shown.format(value): value for value in values}, slides=True)


def menu(label: str, choices: Mapping[str, Any] | Sequence[str]) -> Control:
    """Make a menu.

    Args:
        label: what is chosen, in words.
        choices: as shown -> as computed with; or names that are both.

    Returns:
        The control.
    """
    return Control(
        label, dict(choices) if isinstance(choices, Mapping) else {c: c for c in choices}, slides=False
    )


@dataclass(frozen=True)
class Shot:
    """What a panel shows at one setting.

    Args:
        title: the finding.
        curves: name of a line of the stage -> (x, y); a line that is not named is empty.
        alt: the same for who cannot see it.
        ylim: limits of the vertical axis where a control chooses them; else those of the stage.
    """

    title: str
    curves: Mapping[str, tuple[Any, Any]]
    alt: str
    ylim: tuple[float, float] | None = None


class Stage:
    """Axes that stay where they are, and lines that move: those of now, of the last setting and of the pinned one.

    Args:
        xlabel, ylabel: what is drawn, with units.
        looks: name of a line -> keywords for `Axes.plot`; `label` is its name in the legend.
        legend: where, and in what form: keywords for `Axes.legend`.
        **axes: properties of the axes, fixed limits among them.
    """

    def __init__(
        self,
        xlabel: str,
        ylabel: str,
        looks: Mapping[str, Mapping[str, Any]],
        legend: Mapping[str, Any] | None = None,
        **axes: Any,
    ) -> None:
        with plt.rc_context(figures.STYLE):
            self.figure = Figure()  # not pyplot's: that would keep every figure it made
            FigureCanvasAgg(self.figure)
            self.axis = self.figure.subplots()
            self.axis.set(xlabel=xlabel, ylabel=ylabel, **axes)
            self.last = {name: self.axis.plot(*NOTHING, **_pale(look))[0] for name, look in looks.items()}
            self.pinned = {name: self.axis.plot(*NOTHING, **_dotted(look))[0] for name, look in looks.items()}
            self.now = {name: self.axis.plot(*NOTHING, **look)[0] for name, look in looks.items()}
            if legend is not None:
                self.axis.legend(handles=[line for line in self.now.values() if _named(line)], **legend)
            # Room for a title of two lines, found once: nothing jumps, and no redraw looks for it again.
            self.axis.set_title("\n", loc="left")
            self.figure.draw_without_rendering()
            self.figure.set_layout_engine("none")

    def show(self, shot: Shot, last: Shot | None = None, pinned: Shot | None = None) -> Figure:
        """Move the lines.

        Args:
            shot: what is drawn now.
            last: drawn pale behind it.
            pinned: drawn dotted.

        Returns:
            The stage's figure, always the same.

        Raises:
            ValueError: if the shot names a line that the stage does not have.
        """
        if strange := set(shot.curves) - set(self.now):
            raise ValueError(f"no line of this stage is named {sorted(strange)}: it has {sorted(self.now)}")
        for lines, of in ((self.now, shot), (self.last, last), (self.pinned, pinned)):
            for name, line in lines.items():
                line.set_data(*(of.curves.get(name, NOTHING) if of else NOTHING))
        self.axis.set_title(figures.wrapped(shot.title), loc="left")
        if shot.ylim:
            self.axis.set_ylim(*shot.ylim)
        return self.figure


def _named(line: Any) -> bool:
    return not str(line.get_label()).startswith("_")


def _pale(look: Mapping[str, Any]) -> dict[str, Any]:
    """The last setting: a broad pale line, or pale marks."""
    marks = {"linestyle": "-", "linewidth": 5, "marker": ""}
    pale = dict(look) | ({} if look.get("linestyle") == "" else marks)
    return pale | {"alpha": 0.25, "label": "_last"}


def _dotted(look: Mapping[str, Any]) -> dict[str, Any]:
    """The pinned setting: a thin dotted line, or small crosses."""
    marks = {"linestyle": (0, (1, 1.5)), "linewidth": 1.5, "marker": ""}
    dotted = dict(look) | ({"marker": "x", "markersize": 4} if look.get("linestyle") == "" else marks)
    return dotted | {"label": "_pinned"}


@dataclass(frozen=True)
class Panel:
    """A computation, a stage to show it on, and the controls between the two.

    Args:
        compute: takes the controls' values by name; a control starts at the default that it has here.
        stage: makes a stage with a line for every curve of the computation.
        controls: name of an argument -> its control.
    """

    compute: Callable[..., Shot]
    stage: Callable[[], Stage]
    controls: Mapping[str, Control]

    def start(self) -> dict[str, Any]:
        """Give the setting at which the panel starts.

        Raises:
            ValueError: if `compute` gives a control no default, or one that is none of its choices.
        """
        defaults = {name: p.default for name, p in inspect.signature(self.compute).parameters.items()}
        for name, control in self.controls.items():
            if defaults.get(name, inspect.Parameter.empty) not in control.choices.values():
                choices = ", ".join(control.choices)
                raise ValueError(f"{name} starts at {defaults.get(name)!r}, which is none of {choices}")
        return {name: defaults[name] for name in self.controls}

    def show(self, **setting: Any) -> None:
        """Display one setting as a figure that stands still.

        Args:
            **setting: values of controls; the others are where they start.
        """
        shot = self.compute(**self.start() | setting)
        figures.show(self.stage().show(shot), alt=shot.alt)

    def live(self) -> None:
        """Display the panel, and behind it the same as a figure, which is seen where no kernel moves it.

        A saved notebook keeps both: opened without a kernel it shows the figure and a sentence.
        """
        from IPython.display import HTML, display

        try:
            live = Live(self)
        except ModuleNotFoundError:
            sentence = "ipywidgets is not installed here: the figure above is this panel, standing still."
            display({"text/plain": sentence}, raw=True)
            return
        view = {"version_major": 2, "version_minor": 0, "model_id": live.widget.model_id}
        display({WIDGET: view, "text/plain": ""}, raw=True)
        picture = image(live.stage.figure, live.shot.alt)
        display(HTML(_asleep(live.widget.model_id, picture)))


class Live:
    """A panel with its widgets; `widget` holds them all.

    Args:
        panel: what is shown.
        clock: gives seconds; tells a drag from the next one.
    """

    def __init__(self, panel: Panel, clock: Callable[[], float] = time.monotonic) -> None:
        import ipywidgets as widgets

        self.panel, self.clock, self.stage = panel, clock, panel.stage()
        self.knobs = {
            name: _knob(widgets, panel.controls[name], value) for name, value in panel.start().items()
        }
        self.pin = widgets.Button(description="Pin this", icon="thumb-tack")
        self.unpin = widgets.Button(description="Remove pin", icon="times", disabled=True)
        self.note, self.words = widgets.HTML(), widgets.HTML()
        width = str(round(figures.STYLE["figure.dpi"] * self.stage.figure.get_figwidth()))
        self.picture = widgets.Image(format="png", width=width)
        # An image widget shows its tooltip only if it has a description, as other widgets do: give it an empty one.
        self.picture.add_traits(description=type(widgets.HTML.description)("").tag(sync=True))
        self.last: Shot | None = None
        self.pinned: Shot | None = None
        self.pinned_at: dict[str, Any] = {}
        self.shot = panel.compute(**self.setting())
        self.moved = -math.inf  # what it starts with stays visible, however soon the first drag comes
        self._draw()
        for knob in self.knobs.values():
            knob.observe(self._follow, names="value")
        self.pin.on_click(self._pin)
        self.unpin.on_click(self._unpin)
        style = widgets.HTML(STYLE, layout={"display": "none"})
        buttons = widgets.HBox([self.pin, self.unpin], layout={"width": "262px"})
        column = widgets.VBox([style, *self.knobs.values(), buttons, self.note])
        column.add_class("course-controls")
        self.picture.add_class("course-picture")
        self.words.add_class("course-words")
        self.widget = widgets.Box([column, self.picture, self.words])
        self.widget.add_class("course-panel")
        self.widget.add_class(f"course-panel-{self.widget.model_id}")

    def setting(self) -> dict[str, Any]:
        """Give the values of all controls."""
        return {name: knob.value for name, knob in self.knobs.items()}

    def said(self, setting: Mapping[str, Any]) -> str:
        """Say the values of some controls in words."""
        controls = self.panel.controls
        return ", ".join(f"{controls[name].label}: {controls[name].shown(v)}" for name, v in setting.items())

    def _follow(self, _change: Any) -> None:
        """Draw the new setting; one that cannot be computed is named, and what is drawn stays."""
        try:
            shot = self.panel.compute(**self.setting())
        except Exception as error:
            self.note.value = f"<p><b>{html.escape(f'{self.said(self.setting())}: {type(error).__name__}: {error}')}</b></p>"
            return
        now = self.clock()
        if now - self.moved > REST:
            self.last = self.shot
        self.shot, self.moved = shot, now
        self._draw()

    def _pin(self, _button: Any) -> None:
        self.pinned, self.pinned_at = self.shot, self.setting()
        self._draw()

    def _unpin(self, _button: Any) -> None:
        self.pinned, self.pinned_at = None, {}
        self._draw()

    def _draw(self) -> None:
        figure = self.stage.show(self.shot, self.last, self.pinned)
        # An image widget keeps its element, so nothing blinks; it knows no alt text, so its title and a hidden line say it.
        self.picture.value, self.picture.tooltip = figures.png(figure), self.shot.alt
        self.words.value = f'<p role="status">{html.escape(self.shot.alt)}</p>'
        self.unpin.disabled = self.pinned is None
        other = {name: v for name, v in self.pinned_at.items() if v != self.knobs[name].value}
        kept = f"Dotted, pinned: {html.escape(self.said(other) or 'this setting')}." if self.pinned else ""
        self.note.value = f"<p>{'Pale: the setting before. ' if self.last else ''}{kept}</p>"


def image(figure: Figure, alt: str) -> str:
    """Give a figure as an HTML image with its text alternative.

    Args:
        figure: drawn as it is.
        alt: says the finding.

    Returns:
        The element, its PNG within it.
    """
    width, height = (round(side * figures.STYLE["figure.dpi"]) for side in figure.get_size_inches())
    data = base64.b64encode(figures.png(figure)).decode()
    return f'<img width="{width}" height="{height}" alt="{html.escape(alt, quote=True)}" src="data:image/png;base64,{data}">'


def _knob(widgets: Any, control: Control, value: Any) -> Any:
    """A slider that redraws while it is dragged, or a menu."""
    common = {"description": control.label, "options": list(control.choices.items()), "value": value}
    if control.slides:
        return widgets.SelectionSlider(**common, continuous_update=True)
    return widgets.Dropdown(**common)


def _asleep(model: str, picture: str) -> str:
    """The panel as a figure with a sentence. It is hidden while the panel is alive; if that is gone, its error is hidden."""
    dead = f".jp-OutputArea:has(.course-asleep-{model}) .lm-Panel.jp-OutputArea-output:not(:has(*))"
    return (
        f"<style>body:has(.course-panel-{model}) .course-asleep-{model}, {dead} {{ display: none }}</style>"
        f'<figure class="course-asleep-{model}" style="margin: 0">{picture}<figcaption>{ASLEEP}</figcaption></figure>'
    )


# Two columns, or one above the other where the page is narrow; a label stands above its control, whole.
STYLE = """<style>
.course-panel { display: flex; flex-flow: row wrap; gap: 4px 12px; overflow: visible }
.course-controls { flex: 0 0 262px; overflow: visible }
.course-controls .widget-inline-hbox { flex-direction: column; align-items: stretch; position: relative; height: auto; width: 252px; margin: 0 4px 4px }
.course-controls .widget-inline-hbox > * { flex: 0 0 auto; height: auto; line-height: 1.4; margin: 0 }
.course-controls .widget-inline-hbox > .widget-label { width: auto; text-align: left; white-space: normal }
.course-controls .slider-container { padding: 7px 8px }
.course-controls .widget-inline-hbox > .widget-readout { position: absolute; right: 0; top: 0; width: auto; min-width: 0; overflow: visible }
.course-controls .widget-button { flex: 1 1 0; width: auto }
.course-controls .widget-html-content { white-space: normal }
.course-picture { flex: 0 1 auto; align-self: flex-start; margin: 0; max-width: 100%; height: auto; object-fit: contain }
.course-words { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
</style>"""
