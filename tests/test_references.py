"""Every paper that a lesson or a helper names by arXiv id or DOI stands on the page of sources."""

import re

import pytest

from course.config import load_course

COURSE = load_course()
ID = re.compile(r"arxiv(?:\.org/abs/|[: ]+)(\d{4}\.\d{4,5})|\b(10\.\d{4,}/[^\s)\]>\"'`,]+)", re.IGNORECASE)
PLACES = [
    *(COURSE.source(lesson) for lesson in COURSE.written),
    *sorted((COURSE.root / "helpers").rglob("*.py")),
]


def ids(text):
    return {(arxiv or doi.rstrip(".")).lower() for arxiv, doi in ID.findall(text)}


@pytest.mark.parametrize("path", PLACES, ids=lambda path: path.stem)
def test_what_is_cited_stands_on_the_page_of_sources(path):
    page = ids((COURSE.root / "docs" / "references.md").read_text(encoding="utf-8"))
    assert ids(path.read_text(encoding="utf-8")) <= page


def test_ids_are_found_in_every_way_they_are_written():
    text = "[arXiv:1512.03385](https://arxiv.org/abs/1603.05027), arXiv 1712.09913. [x](https://doi.org/10.1109/72.279181)."
    assert ids(text) == {"1512.03385", "1603.05027", "1712.09913", "10.1109/72.279181"}
