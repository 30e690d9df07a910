"""The glossary as data: its terms, where each is explained, and the lessons to which each belongs."""

from __future__ import annotations

import re
from dataclasses import dataclass

ENTRY = re.compile(r"^\*\*(?P<terms>[^*]+)\.\*\* (?P<text>.+)$", re.MULTILINE)
LESSONS = re.compile(r"\b[Ll]essons?\s+(\d+(?:(?:,\s*|\s+and\s+|\s+or\s+|\s+to\s+)\d+)*)")


@dataclass(frozen=True)
class Term:
    """An entry of the glossary: its words, where it is explained, and the lessons that it names."""

    words: tuple[str, ...]
    anchor: str
    lessons: tuple[int, ...]


def terms(text: str) -> list[Term]:
    """Read the terms of docs/glossary.md.

    Args:
        text: paragraphs that open with `**Term, other word.**`.

    Returns:
        One Term an entry.
    """
    found = []
    for entry in ENTRY.finditer(text):
        words = tuple(re.sub(r"\$[^$]*\$|`", "", word).strip() for word in entry["terms"].split(", "))
        found.append(Term(words, anchor(words[0]), lessons(entry["text"])))
    return found


def lessons(text: str) -> tuple[int, ...]:
    """The numbers of the lessons that a text names, in order: 4, 5 and 6 for "lessons 4 to 6"."""
    found: set[int] = set()
    for group in LESSONS.findall(text):
        for first, last in re.findall(r"(\d+)(?:\s+to\s+(\d+))?", group):
            found |= set(range(int(first), int(last or first) + 1))
    return tuple(sorted(found))


def anchor(word: str) -> str:
    """The name of the place where a term is explained."""
    return "term-" + re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")


def anchored(text: str) -> str:
    """The glossary with a place that can be linked to before each of its entries."""
    return ENTRY.sub(lambda e: f"({anchor(e['terms'].split(', ')[0])})=\n{e[0]}", text)
