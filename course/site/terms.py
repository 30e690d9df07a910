"""Words that lead somewhere: in a lesson, the first use of a term of the glossary; everywhere, the number of a lesson.

Sphinx calls `setup`. The glossary says itself in which lessons a term belongs ("(lessons 4, 6)"), so that "path" and "share"
lead there only where they are meant as terms.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

from course.site.glossary import LESSONS, Term

# Where a link would be in the way: in links, headings, code, formulas, captions.
CLOSED = (
    nodes.reference,
    pending_xref,
    nodes.title,
    nodes.literal,
    nodes.literal_block,
    nodes.math,
    nodes.math_block,
    nodes.raw,
)


def link_words(app: Sphinx, document: nodes.document) -> None:
    """Make links of terms and of lessons' numbers in a page that was just read."""
    pages: dict[int, str] = app.config.course_lessons
    here = next((n for n, page in pages.items() if page == app.env.docname), 0)
    waiting = [term for term in app.config.course_terms if here in term.lessons]
    for text in list(document.findall(nodes.Text)):
        if any(isinstance(above, CLOSED) for above in _above(text)):
            continue
        waiting = _link(text, waiting, pages, app.env.docname)


def _above(node: nodes.Node) -> list[nodes.Node]:
    found = []
    while node.parent is not None:
        node = node.parent
        found.append(node)
    return found


def _link(text: nodes.Text, waiting: list[Term], pages: dict[int, str], here: str) -> list[Term]:
    """Cut a text at what is linked; give the terms that still wait for their first use."""
    said = str(text)
    cuts: list[tuple[int, int, dict[str, Any]]] = []
    for group in LESSONS.finditer(said):
        for number in re.finditer(r"\d+", group[1]):
            n = int(number[0])
            if pages.get(n, here) != here:
                first = group.start() if number.start() == 0 else group.start(1) + number.start()
                to = {"reftype": "doc", "reftarget": "/" + pages[n], "refdomain": "std"}
                cuts.append((first, group.start(1) + number.end(), to))
    left = []
    for term in waiting:
        use = re.search(rf"\b(?:{'|'.join(map(re.escape, term.words))})s?\b", said, re.IGNORECASE)
        free = use and all(use.end() <= first or use.start() >= last for first, last, _ in cuts)
        if use and free:
            to = {"reftype": "ref", "reftarget": term.anchor, "refdomain": "std"}
            cuts.append((use.start(), use.end(), to))
        else:
            left.append(term)
    if cuts:
        parts: list[nodes.Node] = []
        end = 0
        for first, last, to in sorted(cuts, key=lambda cut: cut[0]):
            parts.append(nodes.Text(said[end:first]))
            word = nodes.inline("", said[first:last])
            parts.append(pending_xref("", word, refexplicit=True, refwarn=True, refdoc=here, **to))
            end = last
        parts.append(nodes.Text(said[end:]))
        text.parent.replace(text, [part for part in parts if not isinstance(part, nodes.Text) or str(part)])
    return left


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of this extension."""
    app.add_config_value("course_terms", [], "env")
    app.add_config_value("course_lessons", {}, "env")
    app.connect("doctree-read", link_words)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
