"""`course similar`: answers that are alike after names and layout are taken out. For a person to read; it is never a mark.

What the lesson gave, what the solution has, and what much of the class writes is taken out first. What remains are runs of words that few share.
Source: Schleimer, Wilkerson and Aiken, "Winnowing: local algorithms for document fingerprinting", SIGMOD 2003.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from importlib.resources import files
from itertools import combinations

import nbformat
from jinja2 import Environment
from nbformat import NotebookNode

from course.intake.python import parsed, to_python
from course.intake.triage import printable
from course.model import Course, Lesson
from course.reports.ledger import Ledger
from course.store import Store

RUN = 6  # words of a fingerprint
WINDOW = 4  # of so many fingerprints in a row one is kept
FEWEST = 4  # fingerprints of an answer's own, with fewer nothing is told
COMMON = 0.15  # a fingerprint that more of the class has is nobody's own
ALIKE = 0.6  # the share of the smaller answer's own fingerprints from which on a pair is listed
SMALL = 8  # a class in which nothing counts as common


@dataclass(frozen=True)
class Pair:
    """Two students' answers to one exercise.

    Args:
        cell: grade_id of the answer.
        one, other: ids of the students.
        share: of the smaller answer's own fingerprints that the other has, too.
        runs: how many these are.
        texts: both answers, as they were written.
    """

    cell: str
    one: str
    other: str
    share: float
    runs: int
    texts: tuple[str, str]


def words_of(text: str, is_code: bool) -> list[str]:
    """Take names and layout out of an answer.

    Args:
        text: source of a cell.
        is_code: whether it is Python; prose is taken apart into words.

    Returns:
        The words that are compared; of code that cannot be read, none.
    """
    if not is_code:
        return re.findall(r"\w+", text.casefold())
    tree = parsed(to_python(text) or "")
    if tree is None:
        return []
    words: list[str] = []
    for node in _in_order(tree):
        words.append(type(node).__name__)
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                words.append(name if hasattr(builtins, name) else "a name")
            case ast.Attribute(attr=name):
                words.append(name)
            case ast.Constant(value=value) if not isinstance(value, str):
                words.append(repr(value))
    return words


def _in_order(node: ast.AST) -> list[ast.AST]:
    """A tree's nodes as they are read, without docstrings and the contexts of names."""
    found: list[ast.AST] = []
    todo = [node]
    while todo:
        here = todo.pop()
        if isinstance(here, (ast.expr_context, ast.Module)):
            todo += [] if isinstance(here, ast.expr_context) else here.body[::-1]
            continue
        is_docstring = isinstance(here, ast.Expr) and isinstance(here.value, ast.Constant)
        if not is_docstring:
            found.append(here)
            todo += list(ast.iter_child_nodes(here))[::-1]
    return found


def fingerprints(words: Sequence[str]) -> frozenset[int]:
    """Winnow the runs of words: of each few in a row the smallest counts, so that what is moved is found again."""
    runs = _runs(words)
    if len(runs) <= WINDOW:
        return frozenset(runs)
    return frozenset(min(runs[at : at + WINDOW]) for at in range(len(runs) - WINDOW + 1))


def alike(cell: str, answers: Mapping[str, str], baseline: Sequence[str], is_code: bool = True) -> list[Pair]:
    """Find pairs of answers to one exercise that share what few others have.

    Args:
        cell: grade_id of the answer.
        answers: by student.
        baseline: the solution, the student edition, and whatever else everybody may have.
        is_code: whether they are Python.

    Returns:
        The pairs, the most alike first.
    """
    given = {run for text in baseline for run in _runs(words_of(text, is_code))}
    kept = {student: fingerprints(words_of(text, is_code)) - given for student, text in answers.items()}
    have = Counter(mark for marks in kept.values() for mark in marks)
    most = max(2, COMMON * len(answers)) if len(answers) > SMALL else len(answers)
    own = {student: frozenset(m for m in marks if have[m] <= most) for student, marks in kept.items()}
    holders: dict[int, list[str]] = defaultdict(list)
    for student in sorted(own):
        if len(own[student]) >= FEWEST:
            for mark in own[student]:
                holders[mark].append(student)
    shared = Counter(pair for students in holders.values() for pair in combinations(students, 2))
    pairs = [
        Pair(
            cell, one, other, runs / min(len(own[one]), len(own[other])), runs, (answers[one], answers[other])
        )
        for (one, other), runs in shared.items()
    ]
    return sorted((p for p in pairs if p.share >= ALIKE), key=lambda p: (-p.share, -p.runs, p.one, p.other))


def _runs(words: Sequence[str]) -> list[int]:
    """A number for each run of words, the same in every process."""
    return [
        int.from_bytes(blake2b("\0".join(words[at : at + RUN]).encode(), digest_size=8).digest())
        for at in range(len(words) - RUN + 1)
    ]


def similar(course: Course, lesson: Lesson) -> list[Pair]:
    """Compare all that was collected for a lesson.

    Args:
        course: the checkout and its classroom.
        lesson: a built one.

    Returns:
        Pairs, exercise by exercise.
    """
    solution, release = (_answers(nbformat.read(p, as_version=4)) for p in (course.solution(lesson), course.release(lesson)))  # fmt: skip
    answers: dict[str, dict[str, str]] = defaultdict(dict)
    for submission in Store(course.classroom).submissions(lesson):
        for cell, (text, _) in _answers(nbformat.reads(submission.notebook.decode(), as_version=4)).items():
            answers[cell][submission.student] = text
    return [
        pair
        for cell, (text, is_code) in solution.items()
        for pair in alike(cell, answers[cell], [text, release.get(cell, ("", is_code))[0]], is_code)
    ]


def _answers(notebook: NotebookNode) -> dict[str, tuple[str, bool]]:
    """The answer cells of a notebook: their sources, and whether they are code."""
    return {
        cell.metadata.nbgrader.grade_id: (cell.source, cell.cell_type == "code")
        for cell in notebook.cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }


def line(lesson: Lesson, pair: Pair, ledger: Ledger) -> str:
    """A pair in one line."""
    names = {entry.student: entry.name for entry in ledger.entries}
    who = " and ".join(printable(f"{names.get(s, s)} ({s})") for s in (pair.one, pair.other))
    return f"lesson {lesson.number}, {pair.cell}: {who}: {100 * pair.share:.0f} % of what is their own, {pair.runs} runs of words"


def page(found: Sequence[tuple[Lesson, Sequence[Pair]]], ledger: Ledger) -> str:
    """Render the pairs side by side on a page without a script, that loads nothing."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["visible"] = printable
    text = files("course.reports").joinpath("templates/similar.html").read_text(encoding="utf-8")
    names = {entry.student: entry.name for entry in ledger.entries}
    return environment.from_string(text).render(found=found, names=names)
