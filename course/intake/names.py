"""What the name of a file or folder says: the lesson, and what is left that may be somebody's name."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence

LONGEST = 300  # characters of a name that are looked at; no file system keeps a longer one
_ARCHIVE = re.compile(r"\.(zip|7z|rar|tar|tgz|txz|tbz2?|tar\.(gz|xz|bz2|zst))$", re.I)
_ENDINGS = re.compile(
    r"(\.(ipynb|json|txt|py|md|zip|7z|rar|tar|tgz|txz|gz|xz|bz2|zst|html?|pdf|crdownload|part|download))+$",
    re.I,
)
_COUNTER = re.compile(r"(?:[ _]?\((\d{1,3})\)|-(\d{1,2}))$")
_COPY = re.compile(
    r"^(copy of|kopie von|copie de|copia de|cópia de|kopia|kopie|копия|copy)[ _]+|[ _-]+(copy|kopie|的副本)$",
    re.I,
)
_NOISE = re.compile(
    r"(copy|kopie)\d*|of|von|copie|de|copia|kopia|lesson|notebook|submission|solutions?|solved|answers?|final|finished|done|new|old|"
    r"version|draft|hw|homework|assignment|exercises?|my|the|and|edited|student|ipynb|checkpoint|untitled\d*|colab(oratory)?|"
    r"v?\d{1,2}|20\d{6}|20\d{12}"
)
_CONTAINER = re.compile(
    r"class|course|kurs|group|gruppe|submissions|submitted|submit|downloads?|handed|in|students?|all|files?|home|late|abgaben?|"
    r"hausaufgaben?|uebung(en)?|übung(en)?|collected|export|work|graded|grading|clones?|repos?|repositories|20\d\d"
)
_REMARK = re.compile(
    r"try|attempt|versuch|week|woche|part|teil|section|task|problems?|sets?|nachgereicht|corrected|fixed|jupyter"
)


def slug(text: str) -> str:
    """Letters and digits of a name, the rest as single underscores: `Copy of 01-Tanh (1)` -> `copy_of_01_tanh_1`."""
    return re.sub(r"[\W_]+", "_", unicodedata.normalize("NFKC", text).casefold()).strip("_")


def is_archive(name: str) -> bool:
    """Whether a name is that of a zip or of another archive."""
    return bool(_ARCHIVE.search(name))


def without_endings(name: str) -> str:
    """A name without `.ipynb`, `.ipynb.txt`, `.zip` and the like, composed."""
    return _ENDINGS.sub("", unicodedata.normalize("NFC", name[:LONGEST]))


def lesson_named(text: str, lessons: Mapping[str, Sequence[str]]) -> str:
    """Find the one lesson that a name speaks of.

    Args:
        text: the name of a file, a folder or a zip.
        lessons: for each lesson the slugs by which it may be called.

    Returns:
        The lesson's name; empty if none or more than one fits.
    """
    name = f"_{slug(text[:LONGEST])}_"
    fits = {
        lesson
        for lesson, aliases in lessons.items()
        if any(f"_{alias}_" in name or alias in name.replace("_", "") for alias in aliases)
    }
    return fits.pop() if len(fits) == 1 else ""


def left_over(name: str, lessons: Mapping[str, Sequence[str]]) -> str:
    """What remains of a name without the lesson's, marks of a copy and words that are nobody's name."""
    name = _COUNTER.sub("", without_endings(name))
    while (shorter := _COUNTER.sub("", _COPY.sub("", name))) != name:
        name = shorter
    for alias in sorted({alias for aliases in lessons.values() for alias in aliases}, key=len, reverse=True):
        name = re.sub(
            r"(?<![^\W_])" + r"[\W_]*".join(map(re.escape, alias.split("_"))) + r"(?![^\W_])",
            " ",
            name,
            flags=re.I,
        )
    words = [w for w in re.split(r"[\s_()\[\]+,;]+| - |(?<=\s)-|-(?=\s)", name) if re.search(r"\w", w)]
    return " ".join(w.strip(" -.") for w in words if not all(map(_NOISE.fullmatch, slug(w).split("_"))))


def is_container(name: str, lessons: Mapping[str, Sequence[str]]) -> bool:
    """Whether every word of a folder's name is one for what is handed in, so that it is nobody's name."""
    return all(_CONTAINER.fullmatch(word) for word in slug(left_over(name, lessons)).split("_") if word)


def is_remark(word: str) -> bool:
    """Whether a word beside somebody's id can be nobody's name: `late`, `final`, `v2`, `12`."""
    return any(map(str.isdigit, word)) or any(
        pattern.fullmatch(unicodedata.normalize("NFC", word)) for pattern in (_NOISE, _CONTAINER, _REMARK)
    )


def counter(name: str) -> int:
    """The number that a browser or platform appends to a name taken: 2 for `x (2).ipynb` and `x-2.ipynb`; else 0."""
    found = _COUNTER.search(_ENDINGS.sub("", os.path.basename(name[:LONGEST])))
    return int(found[1] or found[2]) if found else 0
