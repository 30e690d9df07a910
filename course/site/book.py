"""`course site --pdf`: the built pages of all lessons on one page, printed by Chromium with a table of contents that knows its numbers."""

from __future__ import annotations

import html
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from pypdf import PdfReader
from pypdf.generic import Destination

from course.editions.source import minutes, read_lesson
from course.model import Course, CourseError
from course.reports.feedback_files import browser
from course.site.pages import notebook_name

FILE = "skip-connections.pdf"
BACK = ("docs/glossary.html", "docs/notation.html", "docs/references.html")  # what stands behind the lessons
FLAGS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
PRINTING = 1_200_000  # milliseconds until a browser that hangs is given up
FOOT = '<div style="width:100%;text-align:center;font:8pt sans-serif;color:#555"><span class="pageNumber"></span></div>'
HEADINGS = "h1, h2, h3, h4, h5, h6"


def print_book(course: Course, site: Path) -> int:
    """Print the lessons, the glossary, the notation and the sources of a built site.

    Args:
        course: the checkout.
        site: where its site was built; `skip-connections.pdf` is put into it.

    Returns:
        How many sheets it has.

    Raises:
        CourseError: if there is no Chromium, or its outline does not fit the pages.
    """
    page = site / "book.html"
    try:
        page.write_text(one_page(course, site), encoding="utf-8")
        return _print(page, site / FILE)
    finally:
        page.unlink(missing_ok=True)


def one_page(course: Course, site: Path) -> str:
    """Join the built pages into one that can be printed.

    Args:
        course: which lessons.
        site: the built site.

    Returns:
        HTML that belongs into the site's folder; the numbers of its contents are not known yet.
    """
    names = [notebook_name(course, lesson).removesuffix(".ipynb") + ".html" for lesson in course.written]
    names += [name for name in BACK if (site / name).is_file()]
    scripts = ""
    chapters = []
    for name in names:
        soup = BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser")
        scripts = scripts or _mathjax(soup)
        article = soup.find("article")
        if not isinstance(article, Tag):
            raise CourseError(f"{site / name} holds no article: build the site anew")
        chapters.append(_chapter(article, name, set(names)))
    contents = "".join(_entries(chapters))
    body = "".join(str(chapter) for chapter in chapters)
    total = sum(minutes(read_lesson(course, lesson)) for lesson in course.written)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Skip Connections, hands on</title>
<link rel="stylesheet" href="_static/pygments.css"><link rel="stylesheet" href="_static/look/book.css">
{scripts}</head><body>
<section class="cover"><p class="title">Skip Connections, hands on</p>
<p>{len(course.written)} lessons, about {round(total / 60)} hours, on why deep networks stop training, and what a path around a layer changes about it</p>
{_cover_picture(site)}
<p class="small">Text and figures CC BY 4.0, code BSD 3-Clause. The notebooks, with their checks: https://github.com/{html.escape(course.repository)}</p></section>
<nav class="contents"><p class="title">Contents</p>{contents}</nav>
{body}</body></html>"""


def _cover_picture(site: Path) -> str:
    return (
        '<img src="pictures/hero-light.png" alt="">' if (site / "pictures/hero-light.png").is_file() else ""
    )


def _mathjax(soup: BeautifulSoup) -> str:
    """The scripts of a page that typeset formulas: their settings and MathJax."""
    found = [
        str(script).replace("../../", "")
        for script in soup.find_all("script")
        if "window.MathJax" in (script.string or "") or "mathjax/" in str(script.get("src", ""))
    ]
    return "\n".join(found)


def _chapter(article: Tag, name: str, book: set[str]) -> Tag:
    """Make a page's article fit for paper and for its neighbours, in place."""
    folder, slug = posixpath.dirname(name), _slug(name)
    # What is of use on a screen only: marks of headings, code that is folded, ways to open the notebook.
    for useless in article.select("a.headerlink, details.hide, button"):
        useless.decompose()
    for download in article.select("a[download]"):
        if download.parent is not None:
            download.parent.decompose()
    _hints_to_the_end(article)
    for tag in article.find_all(True):
        if tag.get("id"):
            tag["id"] = f"{slug}--{tag['id']}"
        if tag.name == "img":
            tag["src"] = posixpath.normpath(posixpath.join(folder, str(tag["src"])))
            del tag["loading"]
        address = str(tag.get("href", "")) if tag.name == "a" else ""
        if address and not re.match(r"[a-z]+:", address):
            path, _, anchor = address.partition("#")
            target = posixpath.normpath(posixpath.join(folder, path)) if path else name
            if target in book:
                tag["href"] = f"#{_slug(target)}" + (f"--{anchor}" if anchor else "")
            else:
                tag.unwrap()
    article["id"] = slug
    return article


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", posixpath.splitext(posixpath.basename(name))[0].lower())


def _hints_to_the_end(article: Tag) -> None:
    """Who reads on paper cannot unfold a hint: they stand at the end of the lesson, exercise by exercise."""
    soup = BeautifulSoup("", "html.parser")
    end = soup.new_tag("section", attrs={"class": "hints"})
    heading = soup.new_tag("h2")
    heading.string = "Hints"
    end.append(heading)
    last: Tag | None = None
    for details in article.find_all("details"):
        section = details.find_parent("section")
        title = section.find(["h2", "h3", "h4"]) if isinstance(section, Tag) else None
        summary = details.find("summary")
        if isinstance(section, Tag) and section is not last:
            exercise = soup.new_tag("p", attrs={"class": "exercise"})
            exercise.string = title.get_text() if isinstance(title, Tag) else ""
            end.append(exercise)
            note = soup.new_tag("p", attrs={"class": "small"})
            note.string = "Hints stand at the end of the lesson."
            details.insert_before(note)
            last = section
        if isinstance(summary, Tag):
            summary.name = "strong"
        details.extract()
        details.name = "div"
        end.append(details)
    if last is not None:
        article.append(end)


def _entries(chapters: list[Tag]) -> Iterator[str]:
    """A line of the contents for each chapter and each of its sections."""
    for chapter in chapters:
        for level in chapter.find_all(["h1", "h2"]):
            holder = level.find_parent("section")
            place = holder.get("id") if isinstance(holder, Tag) else None
            text = html.escape(level.get_text().strip())
            yield f'<p class="{level.name}"><a href="#{place or chapter["id"]}">{text}</a><span class="number">000</span></p>'


def _print(page: Path, target: Path) -> int:
    """Print twice: where the headings came to stand the first time is what the contents say the second time."""
    from playwright.sync_api import sync_playwright

    root = hasattr(os, "geteuid") and os.geteuid() == 0  # as root its sandbox does not start
    how: dict[str, Any] = {
        "path": target,
        "format": "A4",
        "margin": {"top": "18mm", "bottom": "20mm", "left": "20mm", "right": "20mm"},
        "print_background": True,
        "display_header_footer": True,
        "header_template": "<span></span>",
        "footer_template": FOOT,
        "outline": True,
        "tagged": True,
    }
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browser(), args=[*FLAGS, *(["--no-sandbox"] if root else [])]
        )
        try:
            tab = chromium.new_page()
            tab.set_default_timeout(PRINTING)
            tab.goto(page.resolve().as_uri())
            tab.evaluate("window.MathJax ? MathJax.startup.promise : null")
            headings = tab.evaluate(f"[...document.querySelectorAll('{HEADINGS}')].map(e => e.tagName)")
            tab.pdf(**how)
            numbers = _pages(target)
            if len(numbers) != len(headings):
                raise CourseError(
                    f"{target}: its outline has {len(numbers)} entries, the pages have {len(headings)} headings: another Chromium may do better"
                )
            wanted = [n for n, tag in zip(numbers, headings, strict=True) if tag in ("H1", "H2")]
            tab.evaluate(
                "numbers => document.querySelectorAll('.contents .number').forEach((e, i) => e.textContent = numbers[i])",
                wanted,
            )
            tab.pdf(**how)
            if _pages(target) != numbers:
                raise CourseError(
                    f"{target}: with the numbers in its contents, the pages break elsewhere: print again"
                )
        finally:
            chromium.close()
    return len(PdfReader(target).pages)


def _pages(path: Path) -> list[int]:
    """The numbers of the pages on which the entries of a PDF's outline stand, in order."""
    reader = PdfReader(path)

    def walk(entries: list[Any]) -> Iterator[int]:
        for entry in entries:
            if isinstance(entry, list):
                yield from walk(entry)
            elif isinstance(entry, Destination):
                yield (reader.get_destination_page_number(entry) or 0) + 1

    return list(walk(list(reader.outline)))
