"""The course as a PDF: the site's text, hints where they spoil nothing, and contents whose numbers are right."""

import os
import re
import shutil
from dataclasses import replace

import nbformat
import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from course.config import load_course
from course.site.book import FILE, one_page, print_book
from tests.browser import CHROMIUM
from tests.test_site import bare, built

COURSE = load_course()


@built
@pytest.mark.kernel
def test_the_book_has_the_pages_lessons_and_no_hint_where_it_spoils(site):
    soup = BeautifulSoup(one_page(COURSE, site), "html.parser")
    places = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(places) == len(set(places))
    inward = [a["href"][1:] for a in soup.find_all("a", href=True) if a["href"].startswith("#")]
    assert len(inward) > 100 and set(inward) <= set(places)
    assert not soup.find_all("details")
    assert all((site / img["src"]).is_file() for img in soup.find_all("img"))
    for lesson in COURSE.written:
        article = soup.find(id=re.sub("[^a-z0-9]+", "-", lesson.name))
        hints = article.find(class_="hints").get_text()
        source = "".join(cell.source for cell in nbformat.read(COURSE.release(lesson), 4).cells)
        assert hints.count("a nudge") == source.count("Hint 1: a nudge") > 0


@built
@pytest.mark.kernel
def test_the_contents_of_the_pdf_name_the_pages(site, tmp_path):
    if not CHROMIUM and not os.environ.get("CI"):
        pytest.skip("no Chromium here: install `chromium`, and a lesson is printed, too")
    lesson = COURSE.written[2]
    copy = tmp_path / "site"
    shutil.copytree(site, copy)
    for name in ("glossary", "notation", "references"):
        (copy / "docs" / f"{name}.html").unlink()
    count = print_book(replace(COURSE, lessons=(lesson,)), copy)
    reader = PdfReader(copy / FILE)
    assert len(reader.pages) == count > 8 and not (copy / "book.html").exists()
    flat = [bare(sheet.extract_text()) for sheet in reader.pages]
    listed = reader.pages[1].extract_text(extraction_mode="layout")
    entries = re.findall(r"^ *(\S.*?\S) {2,}(\d+) *$", listed, re.MULTILINE)
    assert len(entries) > 8
    for title, number in entries:
        assert bare(title) in flat[int(number) - 1], (title, number)
