"""Panels: every corner of the controls draws with the artists that are there, labels are words, a drag leaves its start visible.

`pytest tests/test_panels.py -s -k redraw` prints what a redraw costs.
"""

import functools
import itertools
import re
import time
from contextlib import redirect_stdout
from io import StringIO

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest

from course.config import load_course
from course.editions.source import read_lesson
from course.grading.slice import spared
from helpers import degradation_figures, figures, panels, paths_figures, remedies, shortcut
from helpers.panels import Live, Panel, Shot, Stage, menu, slider

COURSE = load_course()
ALL = pytest.mark.parametrize(
    "lesson",
    # One process has all tests of a lesson's panel: what it needs is computed once.
    [
        pytest.param(each, id=each.name, marks=pytest.mark.xdist_group(f"panel {each.number}"))
        for each in COURSE.written
    ],
)
CORNERS = 24  # of a panel with more than these, as many are drawn at random


@functools.cache
def panel_of(lesson):
    """The lesson's panel, made by its own cells: nothing runs but setup, answers, what is run by hand alone, and what those need."""
    key, notebook = read_lesson(COURSE, lesson), read_lesson(COURSE, lesson)
    by_hand = [cell for cell in notebook.cells if "skip-execution" in cell.metadata.get("tags", [])]
    for cell in by_hand:  # as if a student had written it: it runs in any case
        cell.id, cell.metadata.tags = f"own-{cell.id}"[:64], []
    (live,) = (cell for cell in by_hand if cell.source.endswith(".live()"))
    live.source = f"the_panel = {live.source.removesuffix('.live()')}"
    left_out = spared(nbformat.writes(key).encode(), nbformat.writes(notebook).encode())
    names = {}
    for at, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and "check" not in cell.id and at not in left_out:
            with redirect_stdout(StringIO()):
                exec(cell.source, names)
    plt.close("all")
    return names["the_panel"]


def corners(panel):
    ends = [list(control.choices.values()) for control in panel.controls.values()]
    every = list(itertools.product(*({0: each[0], -1: each[-1]}.values() for each in ends)))
    if len(every) > CORNERS:
        some = np.random.default_rng(0).choice(len(every), CORNERS - 2, replace=False)
        every = [every[0], every[-1], *(every[i] for i in some)]
    return [dict(zip(panel.controls, values, strict=True)) for values in every]


@pytest.mark.kernel
@ALL
def test_a_panel_runs_without_a_browser(lesson):
    panel_of(lesson).live()


@pytest.mark.kernel
@ALL
def test_every_corner_redraws_with_the_same_artists_and_its_cost_is_printed(lesson):
    panel = panel_of(lesson)
    stage, costs, last = panel.stage(), [], None
    panels.image(stage.show(panel.compute(**panel.start())), "loads what is loaded late")
    artists, limits = [id(artist) for artist in stage.axis.get_children()], stage.axis.get_xlim()
    chosen = {"reach", "top"} & set(panel.controls)  # controls that choose the height of the axis
    height = stage.axis.get_ylim()
    for setting in [panel.start(), *corners(panel)]:
        start = time.process_time()
        shot = panel.compute(**setting)
        picture = panels.image(stage.show(shot, last, last), shot.alt)
        costs.append(time.process_time() - start)
        assert stage.axis.get_xlim() == limits and (chosen or stage.axis.get_ylim() == height)
        low, high = sorted(stage.axis.get_ylim())
        seen = [((np.asarray(y) >= low) & (np.asarray(y) <= high)).any() for _, y in shot.curves.values()]
        assert any(seen), f"nothing is in sight at {setting}"
        assert shot.alt and panels.html.escape(shot.alt, quote=True) in picture
        last = shot
    assert [id(artist) for artist in stage.axis.get_children()] == artists
    print(f"\n{lesson.name:24} CPU of a redraw: {costs[0]:.2f} s at the start, at most {max(costs):.2f} s")


@pytest.mark.kernel
@ALL
def test_labels_are_words(lesson):
    panel = panel_of(lesson)
    for name, control in panel.controls.items():
        assert control.label != name and control.label[0].isupper() and len(control.label) > 3
        assert not re.search(r"_|\bn\b.*=", control.label)
        assert len(control.choices) > 1 and all(text and "_" not in text for text in control.choices)
    assert set(panel.start()) == set(panel.controls)


@pytest.mark.kernel
@ALL
def test_a_pictures_words_are_in_it_whole(lesson):
    panel = panel_of(lesson)
    stage = panel.stage()
    figure = stage.show(panel.compute(**panel.start()))
    renderer = figure.canvas.get_renderer()
    figure.draw(renderer)
    for text in [stage.axis.title, stage.axis._left_title, stage.axis.xaxis.label, stage.axis.yaxis.label]:
        box = text.get_window_extent(renderer)
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert inside or not text.get_text(), text


def test_what_the_figures_of_the_lessons_use_can_be_set():
    assert {"1", "1/√L", "1/√2", "1/2"} <= set(shortcut.WEIGHTS)  # lesson 6, section 8
    assert set(remedies.THREE_PASSES.values()) | {1e-6, 0.5} <= set(degradation_figures.RATES)  # lesson 7
    assert {1 / 3, (11 / 97) ** 2} <= set(paths_figures.GAINS)  # lesson 9, section 3
    x_ray = panel_of(COURSE.written[3]).controls
    wanted = {
        "gain": 1 / 3,
        "bias": True,
        "batch": 16,
        "branch": "1/√L",
        "depth": 50,
        "normalisation": "batch",
    }
    assert all(value in x_ray[name].choices.values() for name, value in wanted.items())


def small(compute=None):
    def line(slope=1, style="up"):
        ends = (0, slope if style == "up" else -slope)
        return Shot(f"a line to {ends[1]}", {"line": ((0, 1), ends)}, f"A line from 0 to {ends[1]}.")

    def stage():
        looks = {"line": figures.series(0) | {"label": "a line"}}
        return Stage("x", "y", looks, {"loc": "best"}, xlim=(0, 1), ylim=(-9, 9))

    controls = {"slope": slider("Slope (units)", range(1, 6)), "style": menu("Direction", ["up", "down"])}
    return Panel(compute or line, stage, controls)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def drawn(lines):
    return [line.get_ydata()[-1] for line in lines.values() if len(line.get_ydata())]


@pytest.mark.parametrize("begins", [0.1, 10])
def test_a_drag_leaves_the_setting_it_began_at(begins):
    clock = Clock()
    live = Live(small(), clock)
    assert drawn(live.stage.last) == []
    clock.now = begins
    for slope in (2, 3, 4):  # in one go
        live.knobs["slope"].value = slope
        clock.now += 0.1
    assert drawn(live.stage.now) == [4] and drawn(live.stage.last) == [1]
    clock.now += 10
    live.knobs["style"].value = "down"
    assert drawn(live.stage.now) == [-4] and drawn(live.stage.last) == [4]
    assert "Pale: the setting before." in live.note.value


def test_a_pin_stays_until_it_is_removed():
    live = Live(small())
    live.pin.click()
    assert "Dotted, pinned: this setting." in live.note.value
    live.knobs["slope"].value = 5
    assert drawn(live.stage.pinned) == [1] and drawn(live.stage.now) == [5]
    assert "Dotted, pinned: Slope (units): 1." in live.note.value and not live.unpin.disabled
    live.unpin.click()
    assert drawn(live.stage.pinned) == [] and live.unpin.disabled


def test_knobs_follow_while_they_are_dragged_and_pictures_have_alt_text():
    live = Live(small())
    before = live.picture.value
    assert live.knobs["slope"].continuous_update
    live.knobs["slope"].value = 2
    assert live.picture.value != before
    assert live.picture.tooltip == "A line from 0 to 2." and live.picture.tooltip in live.words.value


def test_a_setting_that_cannot_be_computed_is_named_and_the_picture_stays():
    def compute(slope=1, style="up"):
        if slope == 3:
            raise ValueError("three < four")
        return Shot("t", {"line": ((0, 1), (0, slope))}, "A line.")

    live = Live(small(compute))
    before = live.picture.value
    live.knobs["slope"].value = 3
    assert live.picture.value == before
    assert "Slope (units): 3, Direction: up: ValueError: three &lt; four" in live.note.value
    live.knobs["slope"].value = 2
    assert "ValueError" not in live.note.value


def test_a_start_that_no_control_has_is_refused():
    def compute(slope=7, style="up"):
        raise AssertionError

    with pytest.raises(ValueError, match="slope starts at 7, which is none of 1, 2, 3, 4, 5"):
        small(compute).start()


def test_a_curve_without_a_line_is_refused():
    with pytest.raises(ValueError, match=r"\['bow'\]: it has \['line'\]"):
        small().stage().show(Shot("t", {"bow": ((), ())}, "a"))


def test_a_saved_panel_holds_its_figure_and_a_sentence(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda what, raw=False: shown.append(what))
    small().live()
    view, asleep = shown
    assert set(view) == {panels.WIDGET, "text/plain"} and view["text/plain"] == ""
    assert panels.ASLEEP in asleep.data and 'alt="A line from 0 to 1."' in asleep.data
    assert view[panels.WIDGET]["model_id"] in asleep.data


def test_without_ipywidgets_a_sentence_says_so(monkeypatch):
    import sys

    shown = []
    monkeypatch.setattr("IPython.display.display", lambda what, raw=False: shown.append(what))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    small().live()
    assert "ipywidgets is not installed" in shown[0]["text/plain"]
