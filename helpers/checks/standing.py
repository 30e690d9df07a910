"""Where a learner stands at the end of a lesson: points, open questions, predictions, as a table."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.checks.core import lines_of
from helpers.checks.predictions import NOTEBOOK

READ = "read by a person"


@dataclass(frozen=True)
class Row:
    """One exercise: its name, points, and the hint of its check; empty if it passes."""

    name: str
    points: float
    hint: str


class Progress:
    """What the checks of a lesson say, as a table for its end."""

    def __init__(
        self, rows: Sequence[Row], questions: Sequence[tuple[str, float]] = (), predictions: str = ""
    ):
        self.rows, self.questions, self.predictions = list(rows), list(questions), predictions
        passed = [row for row in self.rows if not row.hint]
        got, of = sum(row.points for row in passed), sum(row.points for row in self.rows)
        self.summary = f"{len(passed)} of {len(self.rows)} exercises pass their visible checks" + (
            f": {got:g} of {of:g} points." if of else "."
        )

    def _lines(self) -> list[tuple[str, str, str, str]]:
        """Mark, name, points and what is said of it, a row each."""
        exercises = [
            (
                "·" if row.hint else "✓",
                row.name,
                f"{0 if row.hint else row.points:g} / {row.points:g}",
                row.hint or "passes",
            )
            for row in self.rows
        ]
        return exercises + [("?", title, f"of {points:g}", READ) for title, points in self.questions]

    def __repr__(self) -> str:
        rows = self._lines()
        name, points = (max(len(row[i]) for row in rows) for i in (1, 2))
        lines = [
            line
            for mark, title, score, said in rows
            for line in lines_of(
                f"{mark} {title:<{name}}  {score:>{points}}  {said}", " " * (name + points + 6)
            )
        ]
        return "\n".join(filter(None, [*lines, self.summary, self.predictions]))

    def _repr_html_(self) -> str:
        left = '<td style="text-align: left">'
        cells = "".join(
            f"<tr><td>{mark}</td>{left}{_named(title, mark)}</td><td>{score}</td>{left}{html.escape(said)}</td></tr>"
            for mark, title, score, said in self._lines()
        )
        ends = "<br>".join(filter(None, [self.summary, self.predictions]))
        return f"<table><tbody>{cells}</tbody></table><p>{ends}</p>"


def _named(title: str, mark: str) -> str:
    """An exercise as code, a question as text."""
    return html.escape(title) if mark == "?" else f"<code>{html.escape(title)}</code>"


def progress(check: Any, names: Mapping[str, Any]) -> Progress:
    """Judge all exercises of a lesson by what the learner's names mean now, and collect the hints.

    Args:
        check: the lesson's checks.
        names: usually `globals()`.

    Returns:
        A table that a notebook shows: one line an exercise and an open question, and how the predictions went.
    """
    missing = "`{}` is not defined: run the cell of the exercise first."
    rows = [
        Row(name, exercise.points, exercise.hint(names[name]) if name in names else missing.format(name))
        for name, exercise in check.exercises.items()
    ]
    return Progress(rows, check.questions, _predicted(check.predictions))


def _predicted(names: Sequence[str]) -> str:
    """How many of a lesson's predictions were right."""
    if not names:
        return ""
    missing = NOTEBOOK.missing(names)
    more = f" ({missing} not made yet)" if missing else ""
    return f"You were right in {NOTEBOOK.right(names)} of {len(names)} predictions{more}."
