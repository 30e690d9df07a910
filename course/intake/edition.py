"""A lesson as it was released: its slots, by what they are known, and which lesson a sheet belongs to.

Everything that depends on the release alone is worked out once an edition, not once a student.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from course.config import PREDICTION
from course.intake.names import lesson_named, slug
from course.intake.python import bound, defined
from course.intake.sheet import Sheet, even
from course.model import CourseError

Mark = tuple[str, str]


@dataclass(frozen=True)
class Slot:
    """One cell of the released notebook: where it stands and what it is for."""

    index: int
    kind: str
    source: str
    ids: tuple[str, ...]
    grade_id: str
    solution: bool
    graded: bool
    is_prediction: bool = (
        False  # whether the learner predicts here: it is the learner's own, and nothing hangs on it
    )

    @property
    def is_answer(self) -> bool:
        """Whether the learner writes here."""
        return self.solution

    @property
    def is_check(self) -> bool:
        """Whether it tests an answer."""
        return self.graded and not self.solution

    @cached_property
    def text(self) -> str:
        """The source as it is compared."""
        return even(self.source)

    @cached_property
    def names(self) -> frozenset[str]:
        """What an exercise asks to be defined: functions and classes of its stub."""
        return defined(self.source) if self.solution and self.kind == "code" else frozenset()

    @property
    def title(self) -> str:
        """What a report calls it."""
        return self.grade_id or (self.ids[0] if self.ids else f"cell {self.index + 1}")


@dataclass(frozen=True)
class Edition:
    """A lesson as it was released."""

    lesson: str
    notebook: dict[str, Any] = field(repr=False)
    slots: tuple[Slot, ...] = field(repr=False)

    @cached_property
    def marks(self) -> frozenset[Mark]:
        """What tells its cells from others: ids, sources and names of exercises."""
        return frozenset(m for s in self.slots for m in marks_of(s.ids, s.grade_id, s.text, s.names))

    @cached_property
    def answers(self) -> tuple[Slot, ...]:
        """The cells that learners fill."""
        return tuple(slot for slot in self.slots if slot.is_answer)

    @cached_property
    def bound(self) -> frozenset[str]:
        """All names that its code binds."""
        return frozenset().union(*(bound(slot.source) for slot in self.slots if slot.kind == "code"))

    @cached_property
    def by_id(self) -> dict[str, int]:
        """Slots by the ids of their cells."""
        return {i: slot.index for slot in self.slots for i in slot.ids}

    @cached_property
    def by_grade_id(self) -> dict[str, int]:
        """Slots by nbgrader's names."""
        return {slot.grade_id: slot.index for slot in self.slots if slot.grade_id}


def read_editions(release: Path) -> dict[str, Edition]:
    """Read the released notebooks, `<lesson>/<lesson>.ipynb`.

    Raises:
        CourseError: if there is none, or one cannot be read.
    """
    editions = {}
    for path in sorted(release.glob("*/*.ipynb")):
        if path.stem != path.parent.name:
            continue
        try:
            notebook = json.loads(path.read_text(encoding="utf-8"))
            slots = tuple(_slot(index, cell) for index, cell in enumerate(notebook["cells"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CourseError(
                f"the released notebook {path} cannot be read ({error}): run `course build {path.stem}`"
            ) from error
        editions[path.stem] = Edition(path.stem, notebook, slots)
    if not editions:
        raise CourseError(f"{release} holds no released notebook: run `course build`")
    return editions


def _slot(index: int, cell: dict[str, Any]) -> Slot:
    """Read one released cell."""
    metadata = cell.get("metadata", {})
    grader = metadata.get("nbgrader", {})
    ids = tuple(dict.fromkeys(i for i in (cell.get("id"), metadata.get("id")) if i))
    source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
    solution, graded = bool(grader.get("solution")), bool(grader.get("grade"))
    predicts = PREDICTION in metadata.get("tags", ())
    return Slot(index, cell["cell_type"], source, ids, grader.get("grade_id", ""), solution, graded, predicts)


def aliases(editions: Mapping[str, Edition]) -> dict[str, list[str]]:
    """For each lesson the slugs it may be called by: its name, its topic, its title, `lesson 3`."""
    table = {}
    for lesson, edition in editions.items():
        number, _, topic = lesson.partition("_")
        heading = re.search(
            r"^#\s+(?:\d+\s*\W\s*)?(.+)$", edition.slots[0].source if edition.slots else "", re.M
        )
        names = [slug(lesson), slug(topic), slug(heading[1]) if heading else ""]
        if number.isdigit():
            names += [f"lesson_{int(number)}", f"lesson_{number}", f"lesson{int(number)}", f"lesson{number}"]
        table[lesson] = [name for name in dict.fromkeys(names) if len(name) > 3]
    return table


def find_lesson(
    sheet: Sheet, editions: Mapping[str, Edition], hints: Iterable[str], names: Mapping[str, Sequence[str]]
) -> str:
    """Tell which lesson a notebook is, by its cells; its name counts only between equals.

    Args:
        sheet: the handed-in cells.
        editions: the lessons.
        hints: names on its path, the nearest first.
        names: from `aliases`.

    Returns:
        The lesson's name; empty if no cell belongs to any lesson.
    """
    shared = Counter(mark for edition in editions.values() for mark in edition.marks)
    ours = {m for c in sheet.cells for m in marks_of(c.ids, c.grade_id, c.text, c.names)}
    scores = {
        lesson: sum(shared[mark] == 1 for mark in edition.marks & ours)
        for lesson, edition in editions.items()
    }
    best = max(scores.values())
    if best == 0:
        return ""
    fits = [lesson for lesson, score in scores.items() if score == best]
    named = next((lesson for hint in hints if (lesson := lesson_named(hint, names)) in fits), "")
    return named or (fits[0] if len(fits) == 1 else "")


def marks_of(ids: Iterable[str], grade_id: str, text: str, names: Iterable[str]) -> set[Mark]:
    """By what one cell may be known."""
    marks = {("id", i) for i in ids} | {("name", n) for n in names}
    if grade_id:
        marks.add(("grade_id", grade_id))
    if len(text) > 20:
        marks.add(("source", text))
    return marks
