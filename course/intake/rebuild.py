"""Rebuild a submission from the release: only answers and cells of the student's own are taken over.

So tests that were deleted, edited, moved, copied or re-pointed, lost metadata, outputs and
whatever else a file can carry make no difference. What could not be matched stays as an extra
cell, and everything that was left out is said.
"""

from __future__ import annotations

import ast
import copy
import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from course.intake.names import lesson_named, slug
from course.intake.repair import Cell, Sheet
from course.intake.suspicion import to_python
from course.model import CourseError

ALIKE = 0.8
_BINDS = re.compile(r"^(?:async\s+def|def|class)\s+(\w+)|^(\w+)\s*(?::[^=\n]+)?=(?!=)", re.M)


@dataclass(frozen=True)
class Place:
    """One cell of the released notebook: where it stands and what it is for."""

    index: int
    kind: str
    source: str
    ids: tuple[str, ...]
    grade_id: str
    solution: bool
    graded: bool

    @property
    def is_answer(self) -> bool:
        """Whether the learner writes here."""
        return self.solution

    @property
    def is_check(self) -> bool:
        """Whether it tests an answer."""
        return self.graded and not self.solution

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
    notebook: dict = field(repr=False)
    places: tuple[Place, ...] = field(repr=False)

    @cached_property
    def marks(self) -> frozenset[tuple[str, str]]:
        """What tells its cells from others: ids, sources and names of exercises."""
        return frozenset(m for p in self.places for m in _marks_of(p.ids, p.grade_id, p.source, p.names))

    @property
    def answers(self) -> list[Place]:
        """The cells that learners fill."""
        return [place for place in self.places if place.is_answer]


@dataclass
class Rebuilt:
    """A canonical notebook and how it came about.

    Args:
        notebook: nbformat 4.5, ready to be written.
        repairs: what had to be done so that answers count.
        notes: what was left out, and what is missing.
        own: (id, source) of the code that is the student's.
        unanswered: exercises and questions that hold no answer.
    """

    notebook: dict
    repairs: list[str]
    notes: list[str]
    own: list[tuple[str, str]]
    unanswered: list[str]


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
            editions[path.stem] = Edition(
                path.stem, notebook, tuple(_place(i, c) for i, c in enumerate(notebook["cells"]))
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CourseError(
                f"the released notebook {path} cannot be read ({error}): run `course build {path.stem}`"
            ) from error
    if not editions:
        raise CourseError(f"{release} holds no released notebook: run `course build`")
    return editions


def _place(index: int, cell: dict) -> Place:
    """Read one released cell."""
    metadata = cell.get("metadata", {})
    grader = metadata.get("nbgrader", {})
    ids = tuple(dict.fromkeys(i for i in (cell.get("id"), metadata.get("id")) if i))
    source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
    solution, graded = bool(grader.get("solution")), bool(grader.get("grade"))
    return Place(index, cell["cell_type"], source, ids, grader.get("grade_id", ""), solution, graded)


def aliases(editions: Mapping[str, Edition]) -> dict[str, list[str]]:
    """For each lesson the slugs it may be called by: its name, its topic, its title, `lesson 3`."""
    table = {}
    for lesson, edition in editions.items():
        number, _, topic = lesson.partition("_")
        heading = re.search(
            r"^#\s+(?:\d+\s*\W\s*)?(.+)$", edition.places[0].source if edition.places else "", re.M
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
    ours = {m for c in sheet.cells for m in _marks_of(c.ids, c.grade_id, c.source, defined(c.source))}
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


def _marks_of(ids: Iterable[str], grade_id: str, source: str, names: Iterable[str]) -> set[tuple[str, str]]:
    """By what one cell may be known."""
    marks = {("id", i) for i in ids} | {("name", n) for n in names}
    if grade_id:
        marks.add(("grade_id", grade_id))
    if len(even(source)) > 20:
        marks.add(("source", even(source)))
    return marks


def rebuild(edition: Edition, sheet: Sheet) -> Rebuilt:
    """Put a student's answers and own cells into a fresh copy of the release.

    Args:
        edition: the released lesson.
        sheet: the handed-in cells.

    Returns:
        The canonical notebook, and what was done, left out and missing.
    """
    return _Rebuilding(edition, [cell for cell in sheet.cells if not _is_badge(cell)]).run()


class _Rebuilding:
    """The steps of one rebuilding; `partner[i]` is the released place that handed-in cell i stands for."""

    def __init__(self, edition: Edition, cells: list[Cell]):
        self.edition = edition
        self.places = edition.places
        self.cells = cells
        self.partner: dict[int, int] = {}
        self.source: dict[int, int] = {}
        self.texts: dict[int, str] = {}
        self.dropped: set[int] = set()
        self.repairs: list[str] = []
        self.notes: list[str] = []

    def run(self) -> Rebuilt:
        self.match_ids()
        self.match_equal_sources()
        self.match_names()
        self.match_similar()
        self.match_by_place()
        self.choose()
        self.rescue()
        self.settle_the_rest()
        return self.assemble()

    # Matching, from the surest sign to the weakest

    def match_ids(self) -> None:
        """By cell id, then by nbgrader's grade_id."""
        by_id = {i: place.index for place in self.places for i in place.ids}
        by_grade_id = {place.grade_id: place.index for place in self.places if place.grade_id}
        lost = 0
        for at, cell in enumerate(self.cells):
            found = next((by_id[i] for i in cell.ids if i in by_id), None)
            if found is None and cell.grade_id in by_grade_id:
                found = by_grade_id[cell.grade_id]
                lost += 1
            if found is not None:
                self.partner[at] = found
        if lost:
            self.repairs.append("cell ids were lost: matched by nbgrader's names")

    def match_equal_sources(self) -> None:
        """By the released text, unchanged, in order where a text occurs more than once."""
        waiting: dict[tuple[str, str], list[int]] = {}
        for place in self.free_places():
            waiting.setdefault((place.kind, even(place.source)), []).append(place.index)
        for at, cell in self.free_cells():
            found = waiting.get((cell.kind, even(cell.source)))
            if found and cell.source.strip() and not self.ambiguous(found):
                self.partner[at] = found.pop(0)

    def ambiguous(self, found: list[int]) -> bool:
        """Whether equal texts stand for different answers: then only the place can tell."""
        return len(found) > 1 and any(self.places[index].is_answer for index in found)

    def match_names(self) -> None:
        """By the function or class that an exercise asks for."""
        for place in self.free_places():
            if place.names:
                found = [
                    at
                    for at, cell in self.free_cells()
                    if cell.kind == "code" and place.names & defined(cell.source)
                ]
                if found:
                    self.partner[found[-1]] = place.index
                    self.repairs.append(f"{place.title}: found by the name it defines")

    def match_similar(self) -> None:
        """By text that is nearly the released one: an edited cell that also lost its id."""
        for place in self.free_places():
            if place.is_answer or len(place.source) < 40:
                continue
            scores = [
                (_alike(place.source, cell.source), at)
                for at, cell in self.free_cells()
                if cell.kind == place.kind
            ]
            if scores and max(scores)[0] >= ALIKE:
                self.partner[max(scores)[1]] = place.index

    def match_by_place(self) -> None:
        """By the neighbours: the one cell between those that stand around the place."""
        for place in self.free_places():
            if not place.is_answer:
                continue
            before = [at for at, index in self.partner.items() if index == place.index - 1]
            after = [at for at, index in self.partner.items() if index == place.index + 1]
            if place.index and not before:
                continue
            start = max(before, default=-1) + 1
            end = min((at for at in after if at >= start), default=None)
            if end is None:
                end = next(
                    (at for at in range(start, len(self.cells)) if at in self.partner), len(self.cells)
                )
            between = [
                at for at in range(start, end) if at not in self.partner and self.cells[at].kind == place.kind
            ]
            if len(between) == 1:
                self.partner[between[0]] = place.index
                if even(self.cells[between[0]].source) != even(place.source):
                    self.repairs.append(f"{place.title}: found by its place")

    def free_places(self) -> list[Place]:
        """Released cells that no handed-in cell stands for yet."""
        taken = set(self.partner.values())
        return [place for place in self.places if place.index not in taken]

    def free_cells(self) -> list[tuple[int, Cell]]:
        """Handed-in cells that stand for nothing yet."""
        return [
            (at, cell) for at, cell in enumerate(self.cells) if at not in self.partner and cell.source.strip()
        ]

    # Choosing what counts

    def choose(self) -> None:
        """Where several cells stand for one place, let one count: of answers the last that was changed."""
        groups: dict[int, list[int]] = {}
        for at, index in sorted(self.partner.items()):
            groups.setdefault(index, []).append(at)
        for index, group in groups.items():
            place = self.places[index]
            changed = [at for at in group if not self.is_blank(at, place)]
            if place.is_answer:
                chosen = changed[-1] if changed else group[-1]
            else:
                same = [at for at in group if at not in changed]
                chosen = (same or group)[0]
            self.source[index] = chosen
            for at in group:
                if at != chosen:
                    del self.partner[at]
                    if at not in changed or place.is_check:
                        self.dropped.add(at)
            if len(group) > 1:
                self.repairs.append(
                    f"{place.title}: there are {len(group)} copies, "
                    + ("the last changed one counts" if place.is_answer else "one counts")
                )

    def is_blank(self, at: int, place: Place) -> bool:
        """Whether a cell holds no more than the released text."""
        text = even(self.cells[at].source)
        return not text or text == even(place.source)

    def rescue(self) -> None:
        """Find answers that stand outside their cell: in a cell of their own, or within another answer."""
        for place in self.edition.answers:
            chosen = self.source.get(place.index)
            if chosen is not None and not self.is_blank(chosen, place):
                continue
            if place.kind == "markdown":
                self.rescue_response(place)
                continue
            elsewhere = [
                at
                for at, cell in enumerate(self.cells)
                if self.may_lend(at) and place.names & defined(cell.source)
            ]
            if elsewhere:
                at = elsewhere[-1]
                self.texts[place.index] = self.cells[at].source
                self.dropped.add(at)
                self.repairs.append(
                    f"{place.title}: its own cell is blank, the answer was taken from another cell that defines it"
                )
                continue
            holder = next(
                (p for p in self.edition.answers if p is not place and place.names & defined(self.answer(p))),
                None,
            )
            if holder:
                self.texts[place.index] = (
                    f"# {', '.join(sorted(place.names))}: defined in the cell of {holder.title}"
                )
                self.repairs.append(f"{place.title}: its answer stands in the cell of {holder.title}")

    def rescue_response(self, place: Place) -> None:
        """Find a written answer in cells of its own beside the blank one, or added to the question."""
        start = self.source.get(place.index - 1, -1)
        end = next(
            (
                at
                for at in range(start + 1, len(self.cells))
                if self.partner.get(at, place.index) != place.index
            ),
            len(self.cells),
        )
        beside = [at for at in range(start + 1, end) if at not in self.partner and at not in self.dropped]
        written = (
            [at for at in beside if self.cells[at].kind != "code" and self.cells[at].source.strip()]
            if start >= 0
            else []
        )
        if written:
            self.texts[place.index] = "\n\n".join(self.cells[at].source for at in written)
            self.dropped.update(written)
            self.repairs.append(f"{place.title}: the answer was taken from {len(written)} cell(s) beside it")
        elif start >= 0 and self.places[place.index - 1].kind == "markdown":
            old = set(even(self.places[place.index - 1].source).splitlines())
            added = [line for line in even(self.cells[start].source).splitlines() if line not in old]
            if added:
                self.texts[place.index] = "\n".join(added)
                self.repairs.append(
                    f"{place.title}: the answer was taken from what was added to the question"
                )

    def may_lend(self, at: int) -> bool:
        """Whether a cell may give an answer to another place: code of the student's own, or an edited released cell."""
        cell, index = self.cells[at], self.partner.get(at)
        if cell.kind != "code" or at in self.dropped:
            return False
        return index is None or (
            not self.places[index].is_answer and not self.is_blank(at, self.places[index])
        )

    def answer(self, place: Place) -> str:
        """The text that stands in an answer's cell in the end."""
        if place.index in self.texts:
            return self.texts[place.index]
        at = self.source.get(place.index)
        return place.source if at is None or not self.cells[at].source.strip() else self.cells[at].source

    def settle_the_rest(self) -> None:
        """Say what was restored and left out; keep what an edited cell adds under new names."""
        missing = [place for place in self.places if place.index not in self.source and not place.is_answer]
        checks = [place.title for place in missing if place.is_check]
        if checks:
            self.repairs.append(f"deleted tests restored: {', '.join(checks)}")
        if len(missing) > len(checks):
            self.repairs.append(f"deleted cells of the lesson restored: {len(missing) - len(checks)}")
        edited = [
            p for p in self.places if not p.is_answer and p.index in self.source and not self.is_same(p)
        ]
        tests = [place.title for place in edited if place.is_check]
        if tests:
            self.notes.append(f"edited tests, the released ones count: {', '.join(tests)}")
        others = [place for place in edited if not place.is_check]
        if others:
            self.notes.append(
                f"edited cells of the lesson, the released ones count: {', '.join(p.title for p in others)}"
            )
        released = frozenset().union(*(bound(place.source) for place in self.places if place.kind == "code"))
        for place in others:
            at = self.source[place.index]
            if (
                place.kind == "code"
                and at not in self.dropped
                and (added := _additions(self.cells[at].source, released))
            ):
                self.cells.insert(at + 1, Cell("code", f"# added to the cell {place.title}\n{added}"))
                self.shift(at + 1)
                self.notes.append(f"{place.title}: what it newly defines was kept in a cell of its own")

    def is_same(self, place: Place) -> bool:
        """Whether the cell that stands for a place holds the released text."""
        return even(self.cells[self.source[place.index]].source) == even(place.source)

    def shift(self, inserted: int) -> None:
        """Renumber after a cell was inserted."""
        self.partner = {at + (at >= inserted): index for at, index in self.partner.items()}
        self.source = {index: at + (at >= inserted) for index, at in self.source.items()}
        self.dropped = {at + (at >= inserted) for at in self.dropped}

    # Putting it together

    def assemble(self) -> Rebuilt:
        """Make the notebook: released cells with answers filled in, each extra cell behind the one it followed."""
        behind: dict[int, list[Cell]] = {}
        last = -1
        for at, cell in enumerate(self.cells):
            last = self.partner.get(at, last)
            if at not in self.partner and at not in self.dropped and cell.source.strip():
                behind.setdefault(self.position(at, last), []).append(cell)
        notebook = {
            key: copy.deepcopy(value) for key, value in self.edition.notebook.items() if key != "cells"
        }
        notebook.update(cells=[], nbformat=4, nbformat_minor=5)
        taken = {i for place in self.places for i in place.ids}
        own: list[tuple[str, str]] = []
        unanswered: list[str] = []
        extras = 0
        for index in range(-1, len(self.places)):
            if index >= 0:
                cell = copy.deepcopy(self.edition.notebook["cells"][index])
                place = self.places[index]
                if place.is_answer:
                    self.fill(cell, place, own, unanswered)
                if cell["cell_type"] == "code":
                    cell["outputs"], cell["execution_count"] = [], None
                notebook["cells"].append(cell)
            for extra in behind.get(index, []):
                extras += 1
                name = f"extra-{extras}"
                while name in taken:
                    name += "x"
                notebook["cells"].append(_extra(name, extra))
                if extra.kind == "code":
                    own.append((name, extra.source))
        if extras:
            self.notes.append(f"cells of the student's own: {extras}")
        if unanswered:
            self.notes.append(f"no answer: {', '.join(unanswered)}")
        return Rebuilt(notebook, list(dict.fromkeys(self.repairs)), self.notes, own, unanswered)

    def position(self, at: int, last: int) -> int:
        """The place that an extra cell follows: `last`, but a draft stays before the answer that came after it."""
        for place in self.edition.answers:
            chosen = self.source.get(place.index)
            if chosen is not None and place.names & defined(self.cells[at].source):
                last = min(last, place.index - 1) if at < chosen else max(last, place.index)
        return last

    def fill(self, cell: dict, place: Place, own: list[tuple[str, str]], unanswered: list[str]) -> None:
        """Put the answer into its released cell."""
        text = self.answer(place)
        if even(text) == even(place.source):
            unanswered.append(place.title)
            if place.index not in self.source:
                self.notes.append(f"{place.title}: no cell for it was found in the file")
            return
        cell["source"] = text
        at = self.source.get(place.index)
        if place.index not in self.texts and at is not None:
            handed_in = self.cells[at]
            if handed_in.kind != place.kind:
                self.repairs.append(f"{place.title}: was turned into a {handed_in.kind} cell, turned back")
            if place.kind == "markdown" and handed_in.attachments:
                cell["attachments"] = handed_in.attachments
        if place.kind == "code":
            own.append((place.title, text))


def _extra(name: str, cell: Cell) -> dict:
    """A cell of the student's own, with no metadata but its id."""
    made: dict = {"cell_type": cell.kind, "id": name, "metadata": {"id": name}, "source": cell.source}
    if cell.kind == "code":
        made |= {"outputs": [], "execution_count": None}
    elif cell.kind == "markdown" and cell.attachments:
        made["attachments"] = cell.attachments
    return made


def even(source: str) -> str:
    """A text without blanks at line ends and blank lines around it, which editors change by themselves."""
    return "\n".join(line.rstrip() for line in source.strip().splitlines())


def defined(source: str) -> frozenset[str]:
    """Names that code defines or assigns at the start of a line; also where it does not compile."""
    return frozenset(name for pair in _BINDS.findall(source) for name in pair if name)


def bound(source: str) -> frozenset[str]:
    """All names that code binds at its top level, imports included; none where it does not compile."""
    text = to_python(source)
    return frozenset() if text is None else frozenset().union(*map(_bound_by, ast.parse(text).body))


def _bound_by(statement: ast.stmt) -> set[str]:
    """Names that one statement binds in the scope it stands in."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    return {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _additions(source: str, released: frozenset[str]) -> str:
    """Statements of an edited released cell that bind only names which no released cell binds."""
    text = to_python(source)
    if text is None:
        return ""
    kept = [s for s in ast.parse(text).body if (names := _bound_by(s)) and not names & released]
    return "\n".join(map(ast.unparse, kept))


def _alike(a: str, b: str) -> float:
    """Similarity of two texts, from 0 to 1; the cheap bounds first."""
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
    if max(len(a), len(b)) > 20_000 or matcher.real_quick_ratio() < ALIKE or matcher.quick_ratio() < ALIKE:
        return 0.0
    return matcher.ratio()


def _is_badge(cell: Cell) -> bool:
    """Whether it is the cell that Colab puts first when it saves to GitHub."""
    return "view-in-github" in cell.ids or (
        "colab-badge.svg" in cell.source
        and len(cell.source) < 600
        and cell.source.lstrip().startswith(("<a ", "[!"))
    )
