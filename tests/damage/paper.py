"""A solved notebook to damage: of a lesson of the course, or of a tiny lesson that needs no build."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from course.intake.edition import Edition, Slot, read_editions
from course.model import Course, Lesson

RESPONSE = "*Replace this line with your answer.*"


@dataclass(frozen=True)
class Paper:
    """A lesson's release and the same notebook solved.

    Args:
        edition: the release.
        answers: grade_id of an answer's cell -> its solved source.
    """

    edition: Edition
    answers: Mapping[str, str]

    @property
    def lesson(self) -> str:
        """The lesson's name."""
        return self.edition.lesson

    @cached_property
    def exercises(self) -> list[Slot]:
        """Answer cells that hold code, in order."""
        return [place for place in self.edition.answers if place.kind == "code"]

    @cached_property
    def responses(self) -> list[Slot]:
        """Answer cells that hold prose, in order."""
        return [place for place in self.edition.answers if place.kind == "markdown"]

    def blank(self) -> dict:
        """A fresh copy of the release."""
        return copy.deepcopy(self.edition.notebook)

    def solved(self) -> dict:
        """A fresh copy of the release with every answer filled in."""
        notebook = self.blank()
        for place in self.edition.answers:
            notebook["cells"][place.index]["source"] = self.answers[place.grade_id]
        return notebook


def paper_of(course: Course, lesson: Lesson) -> Paper:
    """Take a lesson's answers from its solution notebook."""
    solution = json.loads(course.solution(lesson).read_text(encoding="utf-8"))
    answers = {}
    for cell in solution["cells"]:
        grader = cell["metadata"].get("nbgrader", {})
        if grader.get("solution"):
            lines = "".join(cell["source"]).splitlines()
            answers[grader["grade_id"]] = "\n".join(
                line for line in lines if " SOLUTION" not in line or "###" not in line
            )
    return Paper(read_editions(course.root / "notebooks")[lesson.name], answers)


def tiny_paper(folder: Path) -> Paper:
    """Write two tiny releases to `folder` and give the first one solved."""
    write_release(folder, "01_doubling", _doubling())
    write_release(folder, "02_halving", _halving())
    answers = {
        "double": 'def double(n):\n    """Give 2 n."""\n    return STEP * n  # größer',
        "Tally": 'class Tally:\n    """Count."""\n\n    def __init__(self):\n        self.total = 0\n\n    def add(self, n):\n        self.total += n\n        return self.total',
        "why_response": "Because $2n = n + n$.",
        "last": 'def last(values):\n    """Give the last item."""\n    return values[-1]',
        "when_response": "When there are none: *each* step doubles.",
    }
    return Paper(read_editions(folder)["01_doubling"], answers)


TRUTH = {
    "double": lambda names: names["double"](21) == 42,
    "Tally": lambda names: (t := names["Tally"]()).add(2) == 2 and t.add(3) == 5,
    "last": lambda names: names["last"]([1, 2, 7]) == 7,
}


def tiny_score(notebook: dict) -> dict[str, bool]:
    """Run a canonical tiny notebook and say which answers are right; prose counts if it is there."""
    names: dict = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
                exec(cell["source"], names)
    score = {}
    for exercise, truth in TRUTH.items():
        try:
            score[exercise] = bool(truth(names))
        except Exception:
            score[exercise] = False
    for cell in notebook["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
        if name.endswith("_response"):
            score[name] = cell["source"].strip() not in ("", RESPONSE)
    return score


def write_release(folder: Path, lesson: str, cells: list[dict]) -> None:
    """Write a released notebook the way `course build` does."""
    notebook = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path = folder / lesson / f"{lesson}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _cell(kind: str, name: str, source: str, role: str = "") -> dict:
    cell = {
        "cell_type": kind,
        "id": name.replace("_", "-"),
        "metadata": {"id": name.replace("_", "-")},
        "source": source,
    }
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    if role:
        graded, solution = role in ("check", "response"), role in ("answer", "response")
        grader = {"cell_type": kind, "grade": graded, "grade_id": name, "locked": not solution}
        grader |= {"schema_version": 3, "solution": solution, "task": False, "checksum": "0" * 32}
        cell["metadata"]["nbgrader"] = grader | ({"points": 2} if graded else {})
    return cell


def _stub(signature: str, doc: str) -> str:
    return f'{signature}\n    """{doc}"""\n    # YOUR CODE HERE\n    raise NotImplementedError()'


def _doubling() -> list[dict]:
    return [
        _cell(
            "markdown",
            "doubling_00",
            "# 1 · Doubling\n\n[![Open in Colab](colab-badge.svg)](x)\n\nWhat is this for?",
        ),
        _cell(
            "code", "bootstrap", "# Finds the course's helpers. Run this cell first.\nimport math", "setup"
        ),
        _cell("code", "imports", "import math\n\nSTEP = 2", "setup"),
        _cell(
            "markdown",
            "doubling_03",
            "## The claim\n\nDoubling is adding a number to itself; we look at what follows.",
        ),
        _cell("code", "double", _stub("def double(n):", "Give 2 n."), "answer"),
        _cell("code", "double_check", "assert double(1) == 2  # the visible check of double", "check"),
        _cell(
            "code", "doubling_06", "values = [double(n) for n in range(5)]\nprint('doubled values:', values)"
        ),
        _cell(
            "markdown",
            "doubling_07",
            "### Exercise 2 · A tally\n\nWrite a class that adds up what it is given.",
        ),
        _cell("code", "Tally", _stub("class Tally:", "Count."), "answer"),
        _cell("code", "Tally_check", "assert Tally().add(2) == 2  # the visible check of Tally", "check"),
        _cell(
            "markdown",
            "why_question",
            "### Question · Why?\n\nSay in a sentence why doubling is adding.",
            "question",
        ),
        _cell("markdown", "why_response", RESPONSE, "response"),
        _cell("markdown", "doubling_12", "## The end of a list\n\nSomething else: where does a list end?"),
        _cell("code", "last", _stub("def last(values):", "Give the last item."), "answer"),
        _cell("code", "last_check", "assert last([1, 2]) == 2  # the visible check of last", "check"),
        _cell("markdown", "when_question", "### Question · When?\n\nSay when a list has no end.", "question"),
        _cell("markdown", "when_response", RESPONSE, "response"),
        _cell("markdown", "doubling_17", "## The question for the next lesson\n\nWhat undoes a doubling?"),
    ]


def _halving() -> list[dict]:
    return [
        _cell("markdown", "halving_00", "# 2 · Halving\n\nWhat undoes a doubling?"),
        _cell(
            "code", "bootstrap", "# Finds the course's helpers. Run this cell first.\nimport math", "setup"
        ),
        _cell("code", "imports", "import math", "setup"),
        _cell("code", "halve", _stub("def halve(n):", "Give n / 2."), "answer"),
        _cell("code", "halve_check", "assert halve(2) == 1  # the visible check of halve", "check"),
    ]
