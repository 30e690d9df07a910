"""A panel in a real JupyterLab: dragged, it redraws; pinned, it says so; saved and reopened, it is a figure and a sentence."""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from course.config import load_course
from course.editions.source import is_role, read_lesson
from helpers.panels import ASLEEP
from tests.browser import PATIENCE

pytestmark = pytest.mark.kernel
COURSE = load_course()
LESSON = COURSE.written[2]
NAME = "panel.ipynb"


def only_the_panel():
    """A notebook of the lesson's setup and its panel."""
    notebook = read_lesson(COURSE, LESSON)
    notebook.cells = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and (is_role(cell, "setup") or cell.source.endswith(".live()"))
    ]
    return notebook


class Lab:
    """A JupyterLab of its own, with settings and kernels of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.token, self.root = secrets.token_hex(16), folder / "root"
        self.root.mkdir()
        nbformat.write(only_the_panel(), self.root / NAME)
        places = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "DATA", "RUNTIME")}
        options = [f"--ServerApp.port={self.port}", f"--IdentityProvider.token={self.token}"]
        options += [f"--ServerApp.root_dir={self.root}", "--no-browser", "--allow-root"]
        options += [
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            "--LabApp.news_url=None",
        ]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env={**os.environ, **places, "HOME": str(folder), "PYTHONPATH": str(COURSE.root)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, path: str, method: str = "GET") -> bytes:
        address = f"http://127.0.0.1:{self.port}/api{path}?token={self.token}"
        with urllib.request.urlopen(urllib.request.Request(address, method=method)) as answer:
            return answer.read()

    def wait(self) -> None:
        while self.process.poll() is None:
            try:
                self.ask("")
                return
            except OSError:
                time.sleep(0.5)
        raise AssertionError("JupyterLab ended before it answered")

    def open(self, browser):
        page = browser.new_page(viewport={"width": 1400, "height": 1300})
        page.set_default_timeout(PATIENCE)
        page.goto(f"http://127.0.0.1:{self.port}/lab/tree/{NAME}?token={self.token}")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        return page


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path)
    try:
        lab.wait()
        yield lab
    finally:
        lab.process.terminate()
        lab.process.wait()


def dragged(page, handle, steps):
    """Move a slider's handle to the right; give how often the picture changed before the mouse was let go."""
    picture, box = page.locator("img.course-picture"), handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    seen = [picture.get_attribute("src")]
    for step in range(1, steps + 1):
        page.mouse.move(x + 12 * step, y)
        for _ in range(100):  # ten seconds at most: some steps of the mouse are none of the slider
            if picture.get_attribute("src") != seen[-1]:
                seen.append(picture.get_attribute("src"))
                break
            page.wait_for_timeout(100)
    page.mouse.up()
    return len(seen) - 1


def test_a_panel_follows_the_mouse_and_sleeps_in_a_saved_notebook(chromium, lab):
    expect.set_options(timeout=PATIENCE)
    page = lab.open(chromium)
    expect(page.locator("#jp-bottom-panel")).to_contain_text("| Idle")  # before that, nothing is run
    page.click("#jp-MainMenu >> text=Run")
    page.click(".lm-Menu >> text=Run All Cells")
    picture, asleep = page.locator("img.course-picture"), page.locator("figure[class^=course-asleep]")
    expect(picture).to_be_visible()
    assert not asleep.is_visible()
    controls, image = page.locator(".course-controls").bounding_box(), picture.bounding_box()
    assert controls["x"] + controls["width"] <= image["x"] and image["width"] == 600  # beside each other
    assert picture.get_attribute("title") == page.locator(".course-words [role=status]").inner_text()
    first = picture.get_attribute("title")
    page.get_by_role("button", name="Pin this").click()
    expect(page.locator(".course-controls")).to_contain_text("Dotted, pinned: this setting.")
    assert dragged(page, page.locator(".course-controls .noUi-handle").nth(2), 6) >= 2
    note, layers = page.locator(".course-controls"), page.locator(".course-controls .widget-readout").nth(2)
    expect(note).to_contain_text("Pale: the setting before. Dotted, pinned: Layers: 4.")
    count = layers.inner_text()  # the last place of the mouse is drawn, however many were passed over
    expect(picture).to_have_attribute("title", re.compile(rf"of {count} gradients are exactly 0"))
    assert picture.get_attribute("title") != first and int(count) > 4

    page.keyboard.press("Control+s")
    file = lab.root / NAME
    while ASLEEP not in file.read_text(encoding="utf-8"):
        page.wait_for_timeout(200)
    for session in json.loads(lab.ask("/sessions")):
        lab.ask(f"/sessions/{session['id']}", "DELETE")
    page.close()
    page = lab.open(chromium)
    figure = page.locator("figure[class^=course-asleep]")
    expect(figure).to_be_visible()
    expect(figure).to_contain_text(ASLEEP)
    expect(page.locator(".jp-OutputArea:has(figure) .lm-Panel.jp-OutputArea-output").first).to_contain_text(
        "model not found"
    )  # that is what JupyterLab has to say, and what nobody sees
    assert not page.get_by_text("model not found").is_visible()
    assert "gradients are exactly 0" in figure.locator("img").get_attribute("alt")
    page.close()
