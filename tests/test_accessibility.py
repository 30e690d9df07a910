"""axe-core finds nothing serious on the pages that a class and its teachers read: feedback, class report, reading desk."""

from datetime import UTC, datetime

import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from course.reports.class_facts import read_class
from course.reports.class_page import page as class_page
from course.reports.feedback import page as feedback_page
from course.reports.ledger import read_ledger
from tests.browser import barriers
from tests.large_class import large_class
from tests.test_desk_browser import served  # noqa: F401 (a fixture)
from tests.test_feedback import GRADING

pytestmark = pytest.mark.xdist_group("accessibility")  # one browser, and one class
NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])


def test_axe_sees_a_barrier_where_there_is_one(tab, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text(
        '<html lang="en"><title>t</title><main><h1>t</h1><img src="data:,"><p style="color:#aaa;background:#fff">pale</p></main>'
    )
    tab[0].goto(path.as_uri())
    assert {found.split(":")[0] for found in barriers(tab[0])} == {"image-alt", "color-contrast"}


@SCHEMES
def test_a_feedback_page_keeps_nobody_out(tab, tmp_path, scheme):
    meta = {"grade": True, "solution": True, "locked": False, "grade_id": "why_response", "points": 3.0}
    meta |= {"score": 1.0, "comment": "What is *fitted*? See $\\frac{a}{b}$ and `x`."}
    cells = [new_markdown_cell("## A heading\n\nProse with a [link](https://example.org)."), new_markdown_cell("An answer.", metadata={"nbgrader": meta})]  # fmt: skip
    path = tmp_path / "page.html"
    path.write_text(feedback_page(new_notebook(cells=cells), "A title", GRADING, set()), encoding="utf-8")
    tab[0].emulate_media(color_scheme=scheme)
    tab[0].goto(path.as_uri())
    assert barriers(tab[0]) == []


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a class of 20, as a file."""
    folder = tmp_path_factory.mktemp("report")
    course = large_class(folder / "classroom", 20)
    path = folder / "report.html"
    path.write_text(class_page(read_class(course, read_ledger(course)), NOW), encoding="utf-8")
    return path


@SCHEMES
def test_a_class_report_keeps_nobody_out(tab, report, scheme):
    page, said, asked = tab
    page.emulate_media(color_scheme=scheme)
    page.goto(report.as_uri())
    assert barriers(page) == [] and said == [] and asked == [report.as_uri()]


@SCHEMES
def test_the_desk_keeps_no_reader_out(tab, served, scheme):  # noqa: F811
    page = tab[0]
    page.emulate_media(color_scheme=scheme)
    page.goto(served[0])
    page.wait_for_selector(".level")
    assert barriers(page) == []
    page.keyboard.press("?")
    page.wait_for_timeout(200)
    assert barriers(page) == []
