"""Whose cell is it: which released slot each handed-in cell stands for, and which of several counts."""

from __future__ import annotations

from dataclasses import dataclass, field

from rapidfuzz import fuzz

from course.intake.edition import Edition, Slot
from course.intake.sheet import Cell, Sheet
from helpers.giving_up import given_up

ALIKE = 80  # per cent
LONGEST = 20_000  # characters of a text that is compared


@dataclass
class Match:
    """Which cell stands for which slot.

    Args:
        edition: the released lesson.
        cells: what was handed in.
        partner: handed-in cell -> released slot.
        source: released slot -> the one handed-in cell that counts for it.
        texts: released slot -> an answer that stood elsewhere.
        dropped: handed-in cells that are left out.
        repairs, notes: what is to be said of it.
    """

    edition: Edition
    cells: list[Cell]
    partner: dict[int, int] = field(default_factory=dict)
    source: dict[int, int] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)
    repairs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def free_slots(self) -> list[Slot]:
        """Released cells that no handed-in cell stands for yet."""
        taken = set(self.partner.values())
        return [slot for slot in self.edition.slots if slot.index not in taken]

    def free_cells(self) -> list[tuple[int, Cell]]:
        """Handed-in cells that stand for nothing yet."""
        return [
            (at, cell) for at, cell in enumerate(self.cells) if at not in self.partner and cell.source.strip()
        ]

    def is_blank(self, at: int, slot: Slot) -> bool:
        """Whether a cell holds no more than the released text, or gives the exercise up."""
        cell = self.cells[at]
        if slot.is_answer and slot.kind == "code" and given_up(slot.grade_id, cell.source):
            return True
        return cell.text in ("", slot.text)

    def is_same(self, slot: Slot) -> bool:
        """Whether the cell that stands for a slot holds the released text."""
        return self.cells[self.source[slot.index]].text == slot.text

    def answer(self, slot: Slot) -> str:
        """The text that stands in an answer's cell in the end."""
        if slot.index in self.texts:
            return self.texts[slot.index]
        at = self.source.get(slot.index)
        return slot.source if at is None or not self.cells[at].source.strip() else self.cells[at].source


def match(edition: Edition, sheet: Sheet) -> Match:
    """Find for each released slot the cell that stands for it, from the surest sign to the weakest.

    Args:
        edition: the released lesson.
        sheet: the handed-in cells.

    Returns:
        The match; answers that stood outside of their cell are in `texts`.
    """
    made = Match(edition, [cell for cell in sheet.cells if not _is_badge(cell)])
    for step in (
        _by_id,
        _by_equal_text,
        _by_prediction,
        _by_name,
        _by_likeness,
        _by_neighbours,
        _choose,
        _rescue,
    ):
        step(made)
    return made


def _by_id(made: Match) -> None:
    """By cell id, then by nbgrader's grade_id."""
    lost = 0
    for at, cell in enumerate(made.cells):
        found = next((made.edition.by_id[i] for i in cell.ids if i in made.edition.by_id), None)
        if found is None and cell.grade_id in made.edition.by_grade_id:
            found = made.edition.by_grade_id[cell.grade_id]
            lost += 1
        if found is not None:
            made.partner[at] = found
    if lost:
        made.repairs.append("cell ids were lost: matched by nbgrader's names")


def _by_equal_text(made: Match) -> None:
    """By the released text, unchanged, in order where a text occurs more than once."""
    waiting: dict[tuple[str, str], list[int]] = {}
    for slot in made.free_slots():
        waiting.setdefault((slot.kind, slot.text), []).append(slot.index)
    for at, cell in made.free_cells():
        found = waiting.get((cell.kind, cell.text))
        if found and not _ambiguous(made, found):
            made.partner[at] = found.pop(0)


def _ambiguous(made: Match, found: list[int]) -> bool:
    """Whether equal texts stand for different answers: then only the place can tell."""
    return len(found) > 1 and any(made.edition.slots[index].is_answer for index in found)


def _by_prediction(made: Match) -> None:
    """By what is predicted, whatever the learner's prediction is: `predict("death",` begins both."""
    for slot in made.free_slots():
        if slot.is_prediction:
            asked, comma, _ = slot.text.partition(",")
            found = [at for at, cell in made.free_cells() if comma and cell.text.startswith(asked + comma)]
            if found:
                made.partner[found[-1]] = slot.index


def _by_name(made: Match) -> None:
    """By the function or class that an exercise asks for."""
    for slot in made.free_slots():
        if slot.names:
            found = [at for at, c in made.free_cells() if c.kind == "code" and slot.names & c.names]
            if found:
                made.partner[found[-1]] = slot.index
                made.repairs.append(f"{slot.title}: found by the name it defines")


def _by_likeness(made: Match) -> None:
    """By text that is nearly the released one: an edited cell that also lost its id."""
    for slot in made.free_slots():
        if slot.is_answer or len(slot.source) < 40:
            continue
        scores = [
            (_likeness(slot.source, cell.source), at)
            for at, cell in made.free_cells()
            if cell.kind == slot.kind
        ]
        if scores and max(scores)[0] >= ALIKE:
            made.partner[max(scores)[1]] = slot.index


def _likeness(a: str, b: str) -> float:
    """Likeness of two texts in per cent; 0 below `ALIKE`."""
    return 0.0 if max(len(a), len(b)) > LONGEST else fuzz.ratio(a, b, score_cutoff=ALIKE)


def _by_neighbours(made: Match) -> None:
    """By the neighbours: the one cell between those that stand around the slot."""
    for slot in made.free_slots():
        if not slot.is_answer:
            continue
        before = [at for at, index in made.partner.items() if index == slot.index - 1]
        after = [at for at, index in made.partner.items() if index == slot.index + 1]
        if slot.index and not before:
            continue
        start = max(before, default=-1) + 1
        end = min((at for at in after if at >= start), default=None)
        if end is None:
            end = next((at for at in range(start, len(made.cells)) if at in made.partner), len(made.cells))
        between = [
            at for at in range(start, end) if at not in made.partner and made.cells[at].kind == slot.kind
        ]
        if len(between) == 1:
            made.partner[between[0]] = slot.index
            if made.cells[between[0]].text != slot.text:
                made.repairs.append(f"{slot.title}: found by its place")


def _choose(made: Match) -> None:
    """Where several cells stand for one slot, let one count: of answers the last that was changed."""
    groups: dict[int, list[int]] = {}
    for at, index in sorted(made.partner.items()):
        groups.setdefault(index, []).append(at)
    for index, group in groups.items():
        slot = made.edition.slots[index]
        changed = [at for at in group if not made.is_blank(at, slot)]
        if slot.is_answer:
            chosen = changed[-1] if changed else group[-1]
        else:
            same = [at for at in group if at not in changed]
            chosen = (same or group)[0]
        made.source[index] = chosen
        for at in group:
            if at != chosen:
                del made.partner[at]
                if at not in changed or slot.is_check:
                    made.dropped.add(at)
        if len(group) > 1 and not slot.is_prediction:
            made.repairs.append(
                f"{slot.title}: there are {len(group)} copies, "
                + ("the last changed one counts" if slot.is_answer else "one counts")
            )


# Answers outside of their cell


def _rescue(made: Match) -> None:
    """Find answers that stand in a cell of their own, or within another answer."""
    for slot in made.edition.answers:
        chosen = made.source.get(slot.index)
        if chosen is not None and not made.is_blank(chosen, slot):
            continue
        if slot.kind == "markdown":
            _rescue_response(made, slot)
            continue
        elsewhere = [at for at, c in enumerate(made.cells) if slot.names & c.names and _may_lend(made, at)]
        if elsewhere:
            at = elsewhere[-1]
            made.texts[slot.index] = made.cells[at].source
            made.dropped.add(at)
            made.repairs.append(
                f"{slot.title}: its own cell is blank, the answer was taken from another cell that defines it"
            )
            continue
        holder = next(
            (s for s in made.edition.answers if s is not slot and slot.names & _names_in(made, s)), None
        )
        if holder:
            made.texts[slot.index] = (
                f"# {', '.join(sorted(slot.names))}: defined in the cell of {holder.title}"
            )
            made.repairs.append(f"{slot.title}: its answer stands in the cell of {holder.title}")


def _names_in(made: Match, slot: Slot) -> frozenset[str]:
    """What an answer's cell defines in the end."""
    if slot.index in made.texts:
        return Cell(slot.kind, made.texts[slot.index]).names
    at = made.source.get(slot.index)
    return slot.names if at is None or not made.cells[at].source.strip() else made.cells[at].names


def _may_lend(made: Match, at: int) -> bool:
    """Whether a cell may give an answer to another slot: code of the student's own, or an edited released cell."""
    cell, index = made.cells[at], made.partner.get(at)
    if cell.kind != "code" or at in made.dropped:
        return False
    return index is None or (
        not made.edition.slots[index].is_answer and not made.is_blank(at, made.edition.slots[index])
    )


def _rescue_response(made: Match, slot: Slot) -> None:
    """Find a written answer in cells of its own beside the blank one, or added to the question."""
    start = made.source.get(slot.index - 1, -1)
    if start < 0:
        return
    end = next(
        (at for at in range(start + 1, len(made.cells)) if made.partner.get(at, slot.index) != slot.index),
        len(made.cells),
    )
    written = [
        at
        for at in range(start + 1, end)
        if at not in made.partner
        and at not in made.dropped
        and made.cells[at].kind != "code"
        and made.cells[at].source.strip()
    ]
    question = made.edition.slots[slot.index - 1]
    if written:
        made.texts[slot.index] = "\n\n".join(made.cells[at].source for at in written)
        made.dropped.update(written)
        made.repairs.append(f"{slot.title}: the answer was taken from {len(written)} cell(s) beside it")
    elif question.kind == "markdown":
        old = set(question.text.splitlines())
        added = [line for line in made.cells[start].text.splitlines() if line not in old]
        if added:
            made.texts[slot.index] = "\n".join(added)
            made.repairs.append(f"{slot.title}: the answer was taken from what was added to the question")


def _is_badge(cell: Cell) -> bool:
    """Whether it is the cell that Colab puts first when it saves to GitHub."""
    return "view-in-github" in cell.ids or (
        "colab-badge.svg" in cell.source
        and len(cell.source) < 600
        and cell.source.lstrip().startswith(("<a ", "[!"))
    )
