"""README's pictures, made anew: `make pictures`. A drawing of what the course is about, a hint and a class report photographed.

Each comes for a light and for a dark page.
"""

from __future__ import annotations

import math
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import nbformat
import numpy as np
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from course.config import load_course
from course.reports.class_facts import read_class
from course.reports.class_page import page as class_page
from course.reports.ledger import read_ledger
from helpers import figures, gradient_flow
from tests.browser import CHROMIUM, FLAGS
from tests.large_class import large_class

HERE = Path(__file__).parent
SCHEMES = {"light": "#1f2328", "dark": "#e6edf3"}
DEPTH, DRAWS, WIDTH = 100, 24, 64
# Name, colour, and what stands in a layer: the gain of its weights, and whether there is a skip.
NETWORKS = (
    ("plain, torch's default weights", figures.COLOURS[1], {"gain": 1 / 3}),
    ("plain, He's weights", "#E69F00", {"gain": 2.0}),
    (
        "residual, branches scaled by $1/\\sqrt{100}$",
        "#2a9df4",
        {"gain": 2.0, "skip": "residual", "branch_scale": 1 / math.sqrt(DEPTH)},
    ),
)
LABELS = (
    ((52, 1e-19), {"ha": "left", "va": "bottom"}),
    ((DEPTH, 1e-3), {"ha": "right", "va": "top"}),
    ((DEPTH, 1e3), {"ha": "right", "va": "bottom"}),
)
SMALLEST = 2.0**-149  # of float32


def gradients() -> list[np.ndarray]:
    """The size of the gradient behind each layer, for each network: (draws, layers + 1), float64."""
    return [
        np.array(
            [
                gradient_flow.xray(depth=DEPTH, width=WIDTH, batch=32, seed=seed, **how).measured.gradient
                for seed in range(DRAWS)
            ]
        )
        for _, _, how in NETWORKS
    ]


def hero(found: list[np.ndarray]) -> None:
    """Draw how much of a gradient is left on its way from the last layer to the first."""
    for scheme, ink in SCHEMES.items():
        with plt.rc_context({"text.color": ink, "axes.labelcolor": ink, "xtick.color": ink, "ytick.color": ink, "font.size": 12}):  # fmt: skip
            figure, axis = plt.subplots(figsize=(10, 3.6), layout="constrained")
            for (name, colour, _), (place, how), sizes in zip(NETWORKS, LABELS, found, strict=True):
                for row in sizes:
                    axis.plot(np.arange(DEPTH + 1), row[::-1], color=colour, alpha=0.35, linewidth=1)
                axis.annotate(name, place, color=colour, fontsize=13, **how)
            axis.axhline(SMALLEST, color=ink, linewidth=1, linestyle=":")
            axis.annotate("below this line float32 knows only 0", (1, SMALLEST), (0, 5), textcoords="offset points")  # fmt: skip
            axis.set_yscale("log")
            axis.set_ylim(1e-47, 1e8)
            axis.set_yticks([1.0, 1e-10, 1e-20, 1e-30, 1e-40])
            axis.set_xlim(0, DEPTH + 1)
            axis.set_xticks(range(0, DEPTH + 1, 20))
            axis.set_xlabel("layers that the gradient has gone back through")
            axis.set_ylabel("size of the gradient")
            axis.spines[["top", "right"]].set_visible(False)
            axis.spines[["left", "bottom"]].set_color(ink)
            _save(figure, f"hero-{scheme}.png")


def _save(figure: matplotlib.figure.Figure, name: str) -> None:
    figure.savefig(HERE / name, dpi=150, transparent=True, metadata={"Software": None})
    plt.close(figure)
    _small(HERE / name)


def _small(path: Path) -> None:
    """Few colours make a small file; nobody sees the difference."""
    with Image.open(path) as picture:
        picture.convert("RGBA").quantize(128, method=Image.Quantize.FASTOCTREE).save(path, optimize=True)


def hint(tab: Page, folder: Path) -> None:
    """Run a wrong answer to lesson 1's first exercise, and photograph what its check says."""
    notebook = new_notebook(
        cells=[
            new_code_cell("from helpers.checks import iterated_convolution as check"),
            new_code_cell("def spectral_radius(n: int) -> float:\n    return 0.8"),
            new_code_cell("check.spectral_radius(spectral_radius)"),
        ]
    )
    NotebookClient(
        notebook, allow_errors=True, resources={"metadata": {"path": str(HERE.parents[1])}}
    ).execute()
    notebook.cells = notebook.cells[1:]
    for number, cell in enumerate(notebook.cells, 7):
        cell.execution_count = number
    for scheme in SCHEMES:
        text, _ = HTMLExporter(template_name="lab", theme=scheme).from_notebook_node(
            nbformat.from_dict(notebook)
        )
        path = folder / f"hint-{scheme}.html"
        path.write_text(text, encoding="utf-8")
        tab.set_viewport_size({"width": 760, "height": 600})
        tab.route("http*://**", lambda route: route.abort())  # formulas that are not there
        tab.goto(path.as_uri(), wait_until="domcontentloaded")
        tab.locator("main").screenshot(path=HERE / f"hint-{scheme}.png")
        _small(HERE / f"hint-{scheme}.png")


def report(tab: Page, folder: Path) -> None:
    """Photograph the first lesson of a large sample class in the class report."""
    course = large_class(folder / "classroom")
    facts = read_class(course, read_ledger(course))
    path = folder / "report.html"
    path.write_text(class_page(facts, datetime(2026, 11, 24, 10, 0, tzinfo=UTC)), encoding="utf-8")
    for scheme in SCHEMES:
        tab.emulate_media(color_scheme=scheme)
        tab.set_viewport_size({"width": 1000, "height": 505})
        tab.goto(path.as_uri())
        tab.evaluate("document.querySelectorAll('h2')[1].scrollIntoView()")
        tab.screenshot(path=HERE / f"report-{scheme}.png")
        _small(HERE / f"report-{scheme}.png")


def main() -> None:
    """Make all of them."""
    load_course()
    hero(gradients())
    with tempfile.TemporaryDirectory(prefix="course-pictures-") as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        hint(browser.new_page(), Path(folder))
        report(browser.new_page(), Path(folder))
        browser.close()
    for path in sorted(HERE.glob("*.png")):
        print(f"{path.stat().st_size / 1024:6.0f} KB  {path}")


if __name__ == "__main__":
    main()
