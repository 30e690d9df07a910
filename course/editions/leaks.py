"""What learners must not be given, and whether a file gives it: solutions, hidden tests and cases, mark schemes.

A file is looked at line by line, the strings of a notebook or of JSON as what they say, and what is packed (base64, zlib and
their like) as what comes out of it. Spaces do not count, so that an answer is found in a comment and in another column, too.
"""

from __future__ import annotations

import ast
import base64
import binascii
import bz2
import contextlib
import gzip
import json
import keyword
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from nbformat import NotebookNode

from course.editions.source import is_role, read_lesson
from course.exercises import exercises
from course.model import Course, CourseError, Lesson
from helpers.checks.exercise import Case
from helpers.checks.values import encode

SOLUTION, HIDDEN, CASE, RUBRIC, RIGHT = KINDS = (
    "solution line",
    "hidden-test line",
    "hidden case",
    "rubric line",
    "alternative-answer line",
)
REGIONS = {
    "### BEGIN SOLUTION": SOLUTION,
    "### BEGIN HIDDEN TESTS": HIDDEN,
    "=== BEGIN MARK SCHEME ===": RUBRIC,
}
ENOUGH = (
    5  # words, numbers and operators: a line of fewer (`return x`) says something only beside its neighbour
)
PACKED = re.compile(r"[^\s\"'\\]{60,}(?:\n[^\s\"'\\]+(?=\n))*")  # a long word, perhaps on over the next lines
DEEP = 3  # how often something is unpacked again
GOES_ON = re.compile(r"\s*[-+*/%@.(\[,|&^<>=]|\w")  # after a line's text: it is the beginning of another
PICTURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8")


@dataclass(frozen=True)
class Secret:
    """Something of one lesson that no learner's file may hold.

    Args:
        lesson: its name.
        kind: one of KINDS.
        lines: a line, or two in a row of which one says nothing by itself; spaces made one.
    """

    lesson: str
    kind: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Leak:
    """A secret in a file."""

    file: str
    line: int
    secret: Secret

    def __str__(self) -> str:
        shown = " / ".join(self.secret.lines)
        return f"{self.file}:{self.line} holds a {self.secret.kind} of {self.secret.lesson}: {shown[:100]!r}"


def secrets(course: Course, lesson: Lesson) -> list[Secret]:
    """List what must not be given away of a lesson.

    Args:
        course: the checkout.
        lesson: which lesson.

    Returns:
        Lines of its solutions, hidden tests and mark schemes, unless its text shows the same line in the open; hidden cases, unless
        they are asked visibly, too; lines of the declared right answers.
    """
    notebook = read_lesson(course, lesson)
    regions, given = _regions(notebook)
    given |= set(course.given)
    solved = [line for kind, region in regions if kind == SOLUTION for line in region]
    solutions = {
        cell.metadata.nbgrader.grade_id: "\n".join(
            line for line in cell.source.splitlines() if not line.strip().startswith("### ")
        )
        for cell in notebook.cells
        if cell.cell_type == "code" and is_role(cell, "answer")
    }
    found = [secret for kind, region in regions for secret in _of_region(lesson, kind, region, given)]
    for name, exercise in exercises(lesson.topic).items():
        asked = {_case(name, each) for each in exercise.cases}
        drawn = dict.fromkeys(_case(name, each) for each in exercise.drawn())
        found += [Secret(lesson.name, CASE, (each,)) for each in drawn if each not in asked]
        for answer in exercise.right:
            region = _lines(answer.source(name, solutions.get(name, "")))
            found += _of_region(lesson, RIGHT, region, {*given, *solved})
    return list(dict.fromkeys(found))


def counted(found: Iterable[Secret]) -> dict[str, int]:
    """How many there are of each kind."""
    kinds = Counter(secret.kind for secret in found)
    return {kind: kinds[kind] for kind in KINDS}


def leaks(files: Mapping[str, bytes], found: Iterable[Secret]) -> list[Leak]:
    """Look for secrets in files.

    Args:
        files: name -> content.
        found: the secrets.

    Returns:
        By file and line, one a secret and file.

    Raises:
        CourseError: if a file is neither text nor a picture, nor packed in a way that can be unpacked.
    """
    wanted = list(found)
    leaking = []
    for name, content in files.items():
        lines = [(number, _plain(text)) for number, text in texts(name, content) if text.strip()]
        whole = "\n".join(text for _, text in lines)
        for secret in wanted:
            if all(line in whole for line in secret.lines) and (at := _where(lines, secret)):
                leaking.append(Leak(name, at, secret))
    return sorted(leaking, key=lambda leak: (leak.file, leak.line))


def texts(name: str, content: bytes) -> Iterator[tuple[int, str]]:
    """Take a file apart into what a reader could find in it.

    Args:
        name: its name, whose end says what it is.
        content: all of it.

    Yields:
        Number of the line, and a piece of text of one line.

    Raises:
        CourseError: if it cannot be looked into.
    """
    try:
        whole = content.decode("utf-8")
    except UnicodeDecodeError:
        unpacked = _unpacked(content)
        if unpacked is None and not content.startswith(PICTURES):
            raise CourseError(
                f"{name} is no text, and nothing that can be unpacked: what it holds cannot be told"
            ) from None
        yield from ((1, line) for line in (unpacked or "").splitlines())
        return
    yield from _pieces(whole, DEEP)


def _pieces(whole: str, deep: int) -> Iterator[tuple[int, str]]:
    """The lines of a text, what its strings say, and what is packed in it."""
    exercise = ""
    for number, raw in enumerate(whole.split("\n"), 1):
        yield number, raw
        for literal in re.findall(r'"(?:[^"\\]|\\.)*"', raw) if "\\" in raw and deep else ():
            with contextlib.suppress(ValueError):
                yield from ((number, line) for _, line in _pieces(str(json.loads(literal)), deep - 1))
        if opened := re.match(r'"(\w+)": \{$', raw):
            exercise = opened[1]
        if raw.startswith('{"args"'):  # of a recorded exercise: a case a line
            yield number, _shown(exercise, json.loads(raw.rstrip(",")))
    for run in PACKED.finditer(whole) if deep else ():
        number = whole.count("\n", 0, run.start()) + 1
        yield from ((number, line) for _, line in _pieces(_decoded("".join(run[0].split())), deep - 1))


def _where(lines: list[tuple[int, str]], secret: Secret) -> int:
    """Number of the line on which a secret stands; 0 if nowhere."""
    first, *rest = secret.lines
    if not rest:
        return next((number for number, line in lines if _ends_in(line, first)), 0)
    bare = ((number, line.removeprefix("# ")) for number, line in lines)
    return next((n for (n, a), (_, b) in pairwise(bare) if (a, b) == secret.lines), 0)


def _ends_in(line: str, secret: str) -> bool:
    """Whether a line holds another, and no longer expression that begins with it."""
    start = line.find(secret)
    while start >= 0:
        if not GOES_ON.match(line, start + len(secret)) or not _is_code(secret):
            return True
        start = line.find(secret, start + 1)
    return False


def _is_code(line: str) -> bool:
    try:
        ast.parse(line.removeprefix("return "))
    except (SyntaxError, ValueError):
        return False
    return True


def _regions(notebook: NotebookNode) -> tuple[list[tuple[str, list[str]]], set[str]]:
    """What stands between the marks of a lesson's text, each region with its kind, and the lines in the open."""
    regions: list[tuple[str, list[str]]] = []
    given: set[str] = set()
    for cell in notebook.cells:
        closing = ""
        for line in _lines(cell.source):
            if line in REGIONS:
                closing = line.replace("BEGIN", "END")
                regions.append((REGIONS[line], []))
            elif line == closing:
                closing = ""
            elif closing:
                regions[-1][1].append(line)
            else:
                given.add(line)
    return regions, given


def _of_region(lesson: Lesson, kind: str, region: list[str], given: set[str]) -> Iterator[Secret]:
    """The lines of a region that say something, and pairs of those that do so together."""
    yield from (
        Secret(lesson.name, kind, (line,)) for line in region if line not in given and _says_something(line)
    )
    for pair in pairwise(region):
        if not given.issuperset(pair) and not all(map(_says_something, pair)):
            yield Secret(lesson.name, kind, pair)


def _says_something(line: str) -> bool:
    words = re.findall(r"\w+|[-+*/%@=<>!&|^~]+", line)
    return sum(not keyword.iskeyword(word) for word in words) >= ENOUGH


def _case(exercise: str, case: Case) -> str:
    """A case as `_shown` writes a recorded one."""
    return _shown(exercise, {"args": encode(list(case.args)), "probe": encode(case.probe)})


def _shown(exercise: str, recorded: Mapping[str, object]) -> str:
    return _plain(f"{exercise} {json.dumps(recorded['args'])} {json.dumps(recorded['probe'])}")


def _lines(source: str) -> list[str]:
    """The lines of a source that are not empty, spaces made one."""
    return [_plain(line) for line in source.splitlines() if line.strip()]


def _plain(line: str) -> str:
    return " ".join(line.split())


def _decoded(run: str) -> str:
    """What a long word holds, if it is text in one of the usual codes; empty otherwise."""
    codes: tuple[Callable[[str], bytes], ...] = (
        lambda text: base64.b64decode(text, validate=True),
        base64.urlsafe_b64decode,
        base64.b85decode,
        base64.a85decode,
        bytes.fromhex,
    )
    for decode in codes:
        try:
            content = decode(run)
        except (ValueError, binascii.Error):
            continue
        if (text := _unpacked(content)) is not None:
            return text
    return ""


def _unpacked(content: bytes) -> str | None:
    """The text in packed bytes, or in bytes that are text themselves; None if there is none."""
    whole: Callable[[bytes], bytes] = bytes
    for unpack in (whole, zlib.decompress, gzip.decompress, bz2.decompress, lzma.decompress):
        try:
            return unpack(content).decode("utf-8")
        except (ValueError, OSError, EOFError, zlib.error, lzma.LZMAError):
            continue
    return None
