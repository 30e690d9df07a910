"""The website: nothing on it gives an answer away, every link leads somewhere, a browser shows it without asking anybody for anything."""

from __future__ import annotations

import html
import re
import shutil
import threading
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import expect

from course.config import load_course
from course.editions.source import is_role, read_lesson
from course.model import CourseError
from course.site import links
from course.site.build import _replace
from course.site.glossary import Term, anchored, lessons, terms
from course.site.pages import first_figure, notebook_name, page, prerequisites, relinked
from tests.browser import barriers, tab_of
from tests.test_build import hidden_lines

COURSE = load_course()
ALL = pytest.mark.parametrize("lesson", COURSE.written, ids=lambda lesson: lesson.name)
# Built once, by one worker: a quarter of a minute.
built = pytest.mark.xdist_group("site")
READ = {".html", ".ipynb", ".md", ".txt", ".inv"}
UNPREDICTED = "No prediction yet"  # a learner can mend that, the reader of a page cannot
TELLING = 20  # letters and digits of a line that cannot stand elsewhere by chance


def bare(text):
    """A text's letters and digits: what is left of a line however it is set, highlighted or wrapped."""
    return re.sub(r"[\W_]+", "", text)


@cache
def handed_out():
    """What learners have anyway, bare: the student editions of all lessons, and the helpers."""
    cells = [cell for lesson in COURSE.written for cell in nbformat.read(COURSE.release(lesson), 4).cells]
    files = [path.read_text(encoding="utf-8") for path in sorted((COURSE.root / "helpers").rglob("*.py"))]
    return bare("\n".join([*(cell.source for cell in cells), *files]))


@cache
def secrets(lesson):
    """What only instructors may see, bare: solutions, hidden tests, mark schemes; the declarations with their hidden cases and oracles."""
    declared = (COURSE.root / "course/exercises" / f"{lesson.topic}.py").read_text(encoding="utf-8")
    lines = {*hidden_lines(read_lesson(COURSE, lesson)), *declared.splitlines()}
    hidden = {line.strip(): bare(line) for line in lines if not line.startswith(("from ", "import "))}
    return {line: text for line, text in hidden.items() if len(text) >= TELLING and text not in handed_out()}


@cache
def there(path):
    """What a file of the site says, bare."""
    text = path.read_bytes().decode(errors="replace")
    if path.suffix == ".html":
        text = BeautifulSoup(text, "html.parser").get_text()
    elif path.suffix == ".ipynb":
        text = "\n".join(cell.source for cell in nbformat.reads(text, 4).cells)
    return bare(text)


def given_away(lesson, folder):
    """Lines that should not be there, with the file of the site in which they are."""
    files = [
        path for path in sorted(folder.rglob("*")) if path.suffix in READ or path.name == "searchindex.js"
    ]
    return [
        (path.name, line)
        for path in files
        for line, secret in secrets(lesson).items()
        if secret in there(path)
    ]


@built
@pytest.mark.kernel
@ALL
def test_no_solution_hidden_case_or_mark_scheme_is_on_a_page(lesson, site):
    assert len(secrets(lesson)) > 50
    assert given_away(lesson, site) == []


def test_whatever_is_given_away_is_seen(tmp_path):
    lesson = COURSE.written[0]
    for number, line in enumerate(list(secrets(lesson))[:40]):
        words = [
            html.escape(word) for word in line.split()
        ]  # each in a span of its own, as code is highlighted
        (tmp_path / f"{number}.html").write_text("<p>" + "</span> <span>".join(words) + "</p>")
        assert (f"{number}.html", line) in given_away(lesson, tmp_path)


@pytest.mark.slow
@ALL
def test_with_solutions_all_of_them_are_there_and_folded(lesson):
    shown = page(COURSE, lesson, with_solutions=True)
    text = bare("\n".join(cell.source for cell in shown.cells))
    wanted = {
        line for line in hidden_lines(read_lesson(COURSE, lesson)) if "course.exercises" not in line and not line.startswith("hidden(")
    }  # fmt: skip
    assert [line for line in wanted if bare(line) not in text] == []
    assert "HIDDEN TESTS" not in "".join(cell.source for cell in shown.cells)
    solved = [cell for cell in shown.cells if cell.id.endswith("-solved")]
    answers = [cell for cell in read_lesson(COURSE, lesson).cells if is_role(cell, "answer")]
    assert len(solved) == len(answers) and all("hide-input" in cell.metadata.tags for cell in solved)
    for cell in shown.cells:
        if cell.cell_type == "markdown" and "Mark scheme" in cell.source:
            assert "<details><summary>Mark scheme</summary>" in cell.source


@ALL
def test_figures_and_printed_results_are_those_of_the_build(lesson):
    solved = {cell.id: cell for cell in nbformat.read(COURSE.solution(lesson), 4).cells}
    assert UNPREDICTED in str(list(solved.values())) and UNPREDICTED not in str(page(COURSE, lesson).cells)
    figures = 0
    for cell in page(COURSE, lesson).cells:
        if cell.cell_type == "code":
            said = solved[cell.id].get("outputs", [])
            assert cell.outputs in ([], [output for output in said if UNPREDICTED not in str(output)])
            if is_role(solved[cell.id], "answer") or is_role(solved[cell.id], "check"):
                assert cell.outputs == []
            for output in cell.outputs:
                if any("image" in kind for kind in output.get("data", {})):
                    figures += 1
                    assert len(cell.metadata.mystnb["image"]["alt"]) > 20
    drawn = sum("image/png" in o.get("data", {}) for c in solved.values() for o in c.get("outputs", []))
    assert figures == drawn > 0


def test_editions_that_do_not_fit_make_no_page(tmp_path):
    lesson = COURSE.written[0]
    for name in ("solutions", "notebooks"):
        shutil.copytree(COURSE.root / name / lesson.name, tmp_path / name / lesson.name)
    shutil.copy(COURSE.root / "pyproject.toml", tmp_path)
    other = load_course(tmp_path, tmp_path / "classroom")
    notebook = nbformat.read(other.release(lesson), 4)
    del notebook.cells[3]
    nbformat.write(notebook, other.release(lesson))
    with pytest.raises(CourseError, match="course build 1"):
        page(other, lesson)
    other.release(lesson).write_text("{")
    with pytest.raises(CourseError, match="cannot be read"):
        page(other, lesson)


@built
@pytest.mark.kernel
def test_what_is_downloaded_is_the_student_edition(site):
    for lesson in COURSE.written:
        name = notebook_name(COURSE, lesson)
        for copy in (site / name, site / "_sources" / name):
            assert copy.read_bytes() == COURSE.release(lesson).read_bytes()


@built
@pytest.mark.kernel
def test_every_link_leads_somewhere_and_nothing_comes_from_elsewhere(site):
    assert links.broken(site) == []
    assert len(list(site.glob("notebooks/*/*.html"))) == len(COURSE.written)
    assert "Apache License" in (site / "_static/mathjax/LICENCE.txt").read_text()


def test_a_site_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    site, fresh = tmp_path / "site", tmp_path / "fresh"
    for folder in (site, fresh):
        folder.mkdir()
        (folder / "page.html").write_text(folder.name)
    with monkeypatch.context() as held:
        rename = Path.rename

        def refuse(self, target):
            if self.name == "new":
                raise PermissionError(13, "in use")
            return rename(self, target)

        held.setattr(Path, "rename", refuse)
        with pytest.raises(CourseError, match=r"site cannot be replaced \(in use\)"):
            _replace(site, fresh)
    assert (site / "page.html").read_text() == "site"
    _replace(site, fresh)
    assert (site / "page.html").read_text() == "fresh"
    assert {path.name for path in tmp_path.iterdir()} == {"site", "fresh"}


def test_links_that_lead_nowhere_are_named(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there">x</a><a href="b.html#gone">x</a><a href="c.html">x</a><a href="../out.html">x</a>'
        '<a href="https://example.org/x">x</a><a href="#here">x</a><p id="here"></p><a href="sub/">x</a>'
        '<img src="https://example.org/a.png"><script src="//example.org/a.js"></script><img src="data:,">'
        '<link rel="stylesheet" href="gone.css"><link rel="canonical" href="https://example.org">'
    )
    (tmp_path / "b.html").write_text('<a name="there"></a>')
    assert links.broken(tmp_path) == [
        "a.html loads //example.org/a.js from elsewhere",
        "a.html loads https://example.org/a.png from elsewhere",
        "a.html: ../out.html leads out of the site's folder",
        "a.html: b.html#gone is no place on that page",
        "a.html: c.html is not there",
        "a.html: gone.css is not there",
        "a.html: sub/ is not there",
    ]


def test_links_of_the_repository_are_turned_around():
    shown = {"docs/a.md", "notebooks/x/x.ipynb"}
    text = "[a](a.md#b) [c](../CONTRIBUTING.md#d) [h](../helpers) [e](https://e.org) [f](#f) ![p](p.png)"
    web = f"https://github.com/{COURSE.repository}"
    assert relinked(COURSE, text, "docs/g.md", shown) == (
        f"[a](a.md#b) [c]({web}/blob/{COURSE.ref}/CONTRIBUTING.md#d) [h]({web}/tree/{COURSE.ref}/helpers) "
        f"[e](https://e.org) [f](#f) ![p]({web}/blob/{COURSE.ref}/docs/p.png)"
    )


def test_the_glossary_says_where_its_terms_belong():
    text = (
        "# Glossary\n\n**Dead unit, dead network.** None (lessons 3, 5 and 7).\n\n**Gain.** $g$ (lesson 4).\n"
    )
    assert terms(text) == [
        Term(("Dead unit", "dead network"), "term-dead-unit", (3, 5, 7)),
        Term(("Gain",), "term-gain", (4,)),
    ]
    assert "(term-dead-unit)=\n**Dead unit, dead network.**" in anchored(text)
    assert lessons("Lessons 4 to 6, and lesson 9; 3 lessons") == (4, 5, 6, 9)
    found = terms((COURSE.root / "docs/glossary.md").read_text(encoding="utf-8"))
    assert len(found) > 60 and len({term.anchor for term in found}) == len(found)


def test_what_comes_before_a_lesson_is_what_its_first_cell_says():
    before = [prerequisites(nbformat.read(COURSE.release(lesson), 4)) for lesson in COURSE.written]
    assert before[0] == () and all(
        n < lesson.number for lesson, numbers in zip(COURSE.written, before, strict=True) for n in numbers
    )
    assert sum(map(bool, before)) == len(before) - 1
    assert all(first_figure(page(COURSE, lesson)).startswith(b"\x89PNG") for lesson in COURSE.written)


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and keeps no log."""

    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def served(site):
    """The site's address on this machine, as a server of pages would give it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


LESSON = notebook_name(COURSE, COURSE.written[2]).removesuffix(".ipynb") + ".html"


@built
@pytest.mark.kernel
@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [
        (name, width, scheme)
        for name in ("index.html", LESSON)
        for width, scheme in ((1280, "light"), (390, "dark"))
    ],
)
def test_a_page_in_a_browser(chromium, served, name, width, scheme):
    with tab_of(chromium) as tab:
        tab.page.emulate_media(color_scheme=scheme)
        tab.page.set_viewport_size({"width": width, "height": 800})
        tab.page.goto(served + name)
        tab.page.evaluate("window.MathJax ? MathJax.startup.promise : null")
        assert tab.page.evaluate("document.documentElement.dataset.theme") == scheme
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.errors == []
        assert {address for address in tab.asked if not address.startswith((served, "data:"))} == set()
        if name == LESSON:
            assert tab.page.locator("mjx-container").count() > 50
            assert tab.page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        # Last: to look at colours, axe itself asks for style sheets anew, some under addresses that there are not.
        assert barriers(tab.page) == []


@built
@pytest.mark.kernel
def test_opened_as_files_no_page_is_wider_than_a_phone_or_asks_for_anything(chromium, site):
    with tab_of(chromium) as tab:
        tab.page.set_viewport_size({"width": 390, "height": 800})
        wide = []
        for path in sorted(site.rglob("*.html")):
            tab.page.goto(path.as_uri())
            tab.page.evaluate("window.MathJax ? MathJax.startup.promise : null")
            if tab.page.evaluate("document.documentElement.scrollWidth") > 390:
                wide.append(path.name)
            assert tab.page.locator("mjx-merror").count() == 0, path
            tab.page.evaluate("document.fonts.ready.then(() => null)")
        assert wide == [] and tab.errors == []
        assert {address for address in tab.asked if not address.startswith((site.as_uri(), "data:"))} == set()


@built
@pytest.mark.kernel
def test_search_finds_a_lesson_and_a_term_leads_to_the_glossary(chromium, served):
    with tab_of(chromium) as tab:
        tab.page.goto(served + "search.html?q=saturation")
        found = tab.page.locator("#search-results a", has_text="Chain rule and saturation").first
        expect(found).to_be_visible()
        # It fetches each page that it found; to leave would break that off.
        tab.page.wait_for_load_state("networkidle")
        found.click()
        tab.page.wait_for_url("**/03_tanh_chain.html*")
        tab.page.wait_for_load_state("networkidle")
        tab.page.locator("article a[href$='#term-saturation']").first.click()
        tab.page.wait_for_url("**/glossary.html#term-saturation")
        assert tab.errors == []
