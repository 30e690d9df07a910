"""Rebuild a submission from the release: only answers and cells of the student's own are taken over.

So tests that were deleted, edited, moved, copied or re-pointed, lost metadata, outputs and
whatever else a file can carry make no difference. What could not be matched stays as an extra
cell, and everything that was left out is said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from course.intake.edition import Edition, Slot
from course.intake.match import Match, match
from course.intake.python import bound_by, parsed, to_python, unparsed
from course.intake.sheet import Cell, Sheet

QUOTED = 4_000  # characters of a student's prose that are shown where an answer may be missing
MANY = 5  # edited cells that are named
NO_CELL = "No cell for this answer was found in what was handed in: it is not known to be blank."
NO_ANSWER = (
    "Nothing stands in the cell of this answer, but what was handed in holds prose of the student's own."
)


@dataclass
class Rebuilt:
    """A canonical notebook and how it came about.

    Args:
        notebook: nbformat 4.5, ready to be written.
        repairs: what had to be done so that answers count.
        notes: what was left out, and what is missing.
        own: (id, source) of the code that is the student's.
        answered: grade_id -> text of each answer that was found.
        written: those of them that a person marks.
        unanswered: exercises and questions that hold no answer.
        doubts: what a person has to look at, since it may be an answer.
        kin: how many cells of the lesson, answers apart, were in it.
    """

    notebook: dict[str, Any]
    repairs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    own: list[tuple[str, str]] = field(default_factory=list)
    answered: dict[str, str] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    kin: int = 0


def rebuild(edition: Edition, sheet: Sheet, zero: bool = False) -> Rebuilt:
    """Put a student's answers and own cells into a fresh copy of the release.

    Args:
        edition: the released lesson.
        sheet: the handed-in cells.
        zero: a person has confirmed that what is missing is blank.

    Returns:
        The canonical notebook, and what was done, left out and missing.
    """
    made = match(edition, sheet)
    _settle_the_rest(made)
    return _assemble(made, zero)


def _settle_the_rest(made: Match) -> None:
    """Say what was restored and left out; keep what an edited cell adds under new names."""
    slots = made.edition.slots
    of_ours = [slot for slot in slots if not slot.is_answer and not slot.is_prediction]
    missing = [slot for slot in of_ours if slot.index not in made.source]
    checks = [slot.title for slot in missing if slot.is_check]
    if checks:
        made.repairs.append(f"deleted tests restored: {', '.join(checks)}")
    if len(missing) > len(checks):
        made.repairs.append(f"deleted cells of the lesson restored: {len(missing) - len(checks)}")
    edited = [s for s in of_ours if s.index in made.source and not made.is_same(s)]
    tests = [slot.title for slot in edited if slot.is_check]
    if tests:
        made.notes.append(f"edited tests, the released ones count: {', '.join(tests)}")
    others = [slot for slot in edited if not slot.is_check]
    if others:
        titles = [slot.title for slot in others]
        more = f" and {len(titles) - MANY} more: was it made from another version of the lesson?"
        made.notes.append(
            "edited cells of the lesson, the released ones count: "
            + (", ".join(titles[:MANY]) + (more if titles[MANY:] else ""))
        )
    for slot in others:
        at = made.source[slot.index]
        if slot.kind != "code" or at in made.dropped:
            continue
        added = _additions(made.cells[at].source, made.edition.bound)
        if added:
            made.cells.insert(at + 1, Cell("code", f"# added to the cell {slot.title}\n{added}"))
            _shift(made, at + 1)
            made.notes.append(f"{slot.title}: what it newly defines was kept in a cell of its own")


def _additions(source: str, released: frozenset[str]) -> str:
    """Statements of an edited released cell that bind only names which no released cell binds."""
    text = to_python(source)
    tree = None if text is None else parsed(text)
    if tree is None:
        return ""
    kept = [s for s in tree.body if (names := bound_by(s)) and not names & released]
    return "\n".join(map(unparsed, kept))


def _shift(made: Match, inserted: int) -> None:
    """Renumber after a cell was inserted."""
    made.partner = {at + (at >= inserted): index for at, index in made.partner.items()}
    made.source = {index: at + (at >= inserted) for index, at in made.source.items()}
    made.dropped = {at + (at >= inserted) for at in made.dropped}


def _assemble(made: Match, zero: bool) -> Rebuilt:
    """Make the notebook: released cells with answers filled in, each extra cell behind the one it followed."""
    edition = made.edition
    extras = _extras(made)
    prose = [cell.source for cells in extras.values() for cell in cells if _is_prose(cell)]
    notebook = {key: value for key, value in edition.notebook.items() if key != "cells"}
    notebook.update(cells=[], nbformat=4, nbformat_minor=5)
    rebuilt = Rebuilt(notebook, made.repairs, made.notes)
    rebuilt.kin = sum(slot.index in made.source for slot in edition.slots if not slot.is_answer)
    taken, number = set(edition.by_id), 0
    for index in range(-1, len(edition.slots)):
        if index >= 0:
            slot, cell = edition.slots[index], dict(edition.notebook["cells"][index])
            if slot.is_answer:
                _fill(cell, slot, made, rebuilt, None if zero else prose)
            if slot.kind == "code":
                cell["outputs"], cell["execution_count"] = [], None
            notebook["cells"].append(cell)
        for extra in extras.get(index, []):
            number += 1
            name = f"extra-{number}"
            while name in taken:
                name += "x"
            notebook["cells"].append(_extra(name, extra))
            if extra.kind == "code":
                rebuilt.own.append((name, extra.source))
    if number:
        rebuilt.notes.append(f"cells of the student's own: {number}")
    if rebuilt.unanswered:
        rebuilt.notes.append(f"no answer: {', '.join(rebuilt.unanswered)}")
    rebuilt.repairs = list(dict.fromkeys(rebuilt.repairs))
    return rebuilt


def _extras(made: Match) -> dict[int, list[Cell]]:
    """The student's own cells, by the slot that they follow; -1 is before the first."""
    behind: dict[int, list[Cell]] = {}
    last = -1
    for at, cell in enumerate(made.cells):
        last = made.partner.get(at, last)
        if at not in made.partner and at not in made.dropped and cell.source.strip():
            behind.setdefault(_position(made, at, last), []).append(cell)
    return behind


def _position(made: Match, at: int, last: int) -> int:
    """The slot that an extra cell follows: `last`, but a draft stays before the answer that came after it."""
    names = made.cells[at].names
    for slot in made.edition.answers:
        chosen = made.source.get(slot.index)
        if chosen is not None and slot.names & names:
            last = min(last, slot.index - 1) if at < chosen else max(last, slot.index)
    return last


def _is_prose(cell: Cell) -> bool:
    """Whether a cell may hold a written answer: text, or code that is nothing but comments and strings, or no code at all."""
    if cell.kind != "code":
        return True
    text = to_python(cell.source)
    tree = None if text is None else parsed(text)
    return tree is None or all(
        type(s).__name__ == "Expr" and isinstance(getattr(getattr(s, "value", None), "value", None), str)
        for s in tree.body
    )


def _fill(cell: dict[str, Any], slot: Slot, made: Match, rebuilt: Rebuilt, prose: list[str] | None) -> None:
    """Put the answer into its released cell; a written one that may stand elsewhere waits for a person."""
    text = made.answer(slot)
    at = made.source.get(slot.index)
    if Cell(slot.kind, text).text == slot.text:
        rebuilt.unanswered.append(slot.title)
        if at is None:
            rebuilt.notes.append(f"{slot.title}: no cell for it was found in the file")
        if slot.kind == "markdown" and prose is not None and (at is None or prose):
            cell["source"] = _in_doubt(NO_CELL if at is None else NO_ANSWER, prose)
            rebuilt.doubts.append(slot.title)
        return
    cell["source"] = rebuilt.answered[slot.title] = text
    if slot.index not in made.texts and at is not None:
        handed_in = made.cells[at]
        if handed_in.kind != slot.kind:
            rebuilt.repairs.append(f"{slot.title}: was turned into a {handed_in.kind} cell, turned back")
        if slot.kind == "markdown" and handed_in.attachments:
            cell["attachments"] = handed_in.attachments
    if slot.kind == "code":
        rebuilt.own.append((slot.title, text))
    else:
        rebuilt.written.append(slot.title)


def _in_doubt(why: str, prose: list[str]) -> str:
    """What stands in place of an answer that may be elsewhere: text, so that nobody's machine takes it for blank."""
    shown = "\n\n".join(prose)
    quoted = "\n".join(f"> {line}" for line in shown[:QUOTED].splitlines())
    more = "\n\n(The rest stands in the cells of the student's own.)" if len(shown) > QUOTED else ""
    return f"*{why} A person has to look before points are given.*" + (
        f"\n\n{quoted}{more}" if quoted else ""
    )


def _extra(name: str, cell: Cell) -> dict[str, Any]:
    """A cell of the student's own, with no metadata but its id."""
    made: dict[str, Any] = {
        "cell_type": cell.kind,
        "id": name,
        "metadata": {"id": name},
        "source": cell.source,
    }
    if cell.kind == "code":
        made |= {"outputs": [], "execution_count": None}
    elif cell.kind == "markdown" and cell.attachments:
        made["attachments"] = cell.attachments
    return made
