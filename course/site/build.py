"""`course site`: the website, built by Sphinx from the pages, with everything it shows beside it: it asks nobody for anything."""

from __future__ import annotations

import importlib.metadata
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from course.model import Course, CourseError
from course.site import links
from course.site.glossary import terms
from course.site.pages import EXTRA, assemble, notebook_name

MATHJAX = "static/mathjax/tex-svg-full.js"  # in one file: formulas become paths, no font is loaded
PACKAGES = ("sphinx", "myst-nb", "sphinx-book-theme", "beautifulsoup4", "pypdf")
MATHJAX_LICENCE = """\
mathjax.js is MathJax 3.2.2 (component tex-svg-full), https://www.mathjax.org
Copyright (c) 2009-2022 The MathJax Consortium. Licensed under the Apache License, Version 2.0:
http://www.apache.org/licenses/LICENSE-2.0
It is distributed unchanged, as the wheel sphinx-mathjax-offline ships it.
"""
LOOK = "docs/site"  # style sheets of the site


def build(course: Course, target: Path, with_solutions: bool = False) -> list[Path]:
    """Build the website.

    Args:
        course: a checkout whose notebooks are built; none of them is executed.
        target: the folder of the site. It is made anew.
        with_solutions: whether answers and mark schemes are on the pages, folded.

    Returns:
        The pages.

    Raises:
        CourseError: if `course[site]` is not installed, Sphinx warns of something, or a link leads nowhere.
    """
    mathjax = _mathjax()
    empty = target.is_dir() and not any(target.iterdir())
    if target.exists() and not empty and not (target / ".buildinfo").is_file():
        raise CourseError(f"{target} holds something that is no site: name a folder that is new or a site")
    with tempfile.TemporaryDirectory(prefix="course-site-") as folder:
        sources, fresh = Path(folder, "sources"), Path(folder, "site")
        assemble(course, sources, with_solutions)
        _vendor(mathjax, sources / "static")
        shutil.copytree(
            course.root / LOOK, sources / "static" / "look", ignore=shutil.ignore_patterns("*.md")
        )
        _sphinx(sources, fresh, Path(folder, "doctrees"), settings(course, sources))
        for lesson in course.written:
            # What the theme's download button gives: the student edition, not the sources of its page.
            shutil.copyfile(course.release(lesson), fresh / "_sources" / notebook_name(course, lesson))
        for template in (fresh / "_static").glob("*.html"):  # the theme's own, no pages
            template.unlink()
        broken = links.broken(fresh)
        if broken:
            raise CourseError("links of the site lead nowhere:\n  " + "\n  ".join(broken))
        _replace(target, fresh)
    return sorted(target.rglob("*.html"))


def _replace(target: Path, fresh: Path) -> None:
    """Put a folder in the place of another, whole or not at all.

    Raises:
        CourseError: if the other one cannot be moved away.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = tempfile.TemporaryDirectory(prefix=".site-", dir=target.parent, ignore_cleanup_errors=True)
    with beside as name:
        old, new = Path(name, "old"), Path(name, "new")
        shutil.copytree(fresh, new)
        try:
            if target.exists():
                target.rename(old)
            new.rename(target)
        except OSError as error:
            if old.exists():
                old.rename(target)
            raise CourseError(
                f"{target} cannot be replaced ({error.strerror}): close what has its files open"
            ) from error


def _mathjax() -> Path:
    """The file of MathJax that a wheel brought along.

    Raises:
        CourseError: if it is not installed.
    """
    try:
        for package in PACKAGES:
            importlib.metadata.version(package)
        files = importlib.metadata.files("sphinx-mathjax-offline") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise CourseError(
            f"the site needs a package that is not installed ({error.name}): run `pip install -e 'course[site]'` in the checkout"
        ) from error
    found = next((file for file in files if file.as_posix().endswith(MATHJAX)), None)
    if found is None:
        raise CourseError(f"sphinx-mathjax-offline brings no {MATHJAX}: install the pinned version")
    return Path(str(found.locate()))


def _vendor(mathjax: Path, folder: Path) -> None:
    """Put MathJax and its licence where the pages load it."""
    (folder / "mathjax").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(mathjax, folder / "mathjax" / "mathjax.js")
    (folder / "mathjax" / "LICENCE.txt").write_text(MATHJAX_LICENCE, encoding="utf-8")


def settings(course: Course, sources: Path) -> dict[str, Any]:
    """Sphinx's settings: no page may load what is not beside it."""
    repository = f"https://github.com/{course.repository}"
    owner, _, project = course.repository.partition("/")
    return {
        "project": "Skip Connections, hands on",
        "author": "the authors of Skip Connections, hands on",
        "copyright": "the authors; text and figures CC BY 4.0, code BSD 3-Clause",
        "html_title": "Skip Connections, hands on",
        "html_baseurl": f"https://{owner}.github.io/{project}/",
        "language": "en",
        "extensions": ["myst_nb", "sphinx.ext.mathjax", "course.site.terms"],
        "exclude_patterns": [f"{EXTRA}/**", "static/**"],
        "course_lessons": {
            lesson.number: notebook_name(course, lesson).removesuffix(".ipynb") for lesson in course.written
        },
        "course_terms": terms((course.root / "docs/glossary.md").read_text(encoding="utf-8")),
        "nb_execution_mode": "off",
        "nb_merge_streams": True,
        "nb_ipywidgets_js": {},
        "myst_enable_extensions": ["dollarmath", "amsmath"],
        "myst_heading_anchors": 4,
        "mathjax_path": "mathjax/mathjax.js",
        "html_theme": "sphinx_book_theme",
        "html_static_path": ["static"],
        "html_extra_path": [EXTRA],
        "html_favicon": "static/look/mark.svg",
        "html_css_files": ["look/site.css"],
        "html_sourcelink_suffix": "",
        "html_last_updated_fmt": None,
        "html_show_sphinx": False,
        "html_context": {"default_mode": "auto"},
        "html_theme_options": {
            "repository_url": repository,
            "repository_branch": course.ref,
            "use_repository_button": True,
            "use_issues_button": True,
            "use_download_button": True,
            "home_page_in_toc": True,
            "navbar_persistent": [],  # the search field stands in the sidebar already
            "show_toc_level": 2,
            "launch_buttons": {
                "colab_url": "https://colab.research.google.com",
                "binderhub_url": "https://mybinder.org",
                "notebook_interface": "jupyterlab",
            },
            "pygments_light_style": "a11y-high-contrast-light",
            "pygments_dark_style": "a11y-high-contrast-dark",
            "logo": {"text": "Skip Connections, hands on"},
        },
    }


def _sphinx(sources: Path, target: Path, doctrees: Path, overrides: dict[str, Any]) -> None:
    """Run Sphinx in this process.

    Raises:
        CourseError: with all its warnings, if there is one.
    """
    from sphinx.application import Sphinx

    said, warned = io.StringIO(), io.StringIO()
    with _as_it_was():
        app = Sphinx(
            srcdir=sources,
            confdir=None,
            outdir=target,
            doctreedir=doctrees,
            buildername="html",
            confoverrides=overrides,
            status=said,
            warning=warned,
            freshenv=True,
        )
        app.build()
    # Colours of a terminal are taken out.
    warnings = re.sub(r"\x1b\[[0-9;]*m", "", warned.getvalue()).replace(f"{sources}/", "").strip()
    if warnings or app.statuscode:
        raise CourseError("Sphinx is not content with the pages:\n" + (warnings or said.getvalue()[-2000:]))


@contextmanager
def _as_it_was() -> Iterator[None]:
    """Sphinx goes to another folder and sets variables of its own."""
    before, folder = dict(os.environ), Path.cwd()
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(before)
