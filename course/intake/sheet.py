"""What was handed in, once it is readable: a sheet of cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from course.intake.python import defined

CUT_OFF = "cut off or damaged"


class Unreadable(Exception):
    """A file that gives no notebook; the message says why."""


@dataclass(frozen=True)
class Cell:
    """One cell as it was handed in.

    Args:
        kind: "code", "markdown" or "raw".
        source: its text, lines ended by a newline alone.
        ids: the cell's id and the id in its metadata, which Colab keeps; those that are there.
        grade_id: nbgrader's name of the cell; empty if there is none.
        attachments: pictures pasted into a markdown cell, by name and type.
    """

    kind: str
    source: str
    ids: tuple[str, ...] = ()
    grade_id: str = ""
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)

    @cached_property
    def text(self) -> str:
        """The source as it is compared."""
        return even(self.source)

    @cached_property
    def names(self) -> frozenset[str]:
        """What its code defines."""
        return defined(self.source)


@dataclass
class Sheet:
    """The cells of a handed-in notebook and what had to be done to read them.

    Args:
        cells: in order.
        repairs: what was done.
        notes: what was left out.
        is_script: it was handed in as a script, which loses which text stood in which cell.
    """

    cells: list[Cell]
    repairs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_script: bool = False

    @property
    def cut_off(self) -> bool:
        """Whether cells may have been lost on the way."""
        return any(repair.startswith(CUT_OFF) for repair in self.repairs)


def even(source: str) -> str:
    """A text without blanks at line ends and blank lines around it, which editors change by themselves."""
    return "\n".join(line.rstrip() for line in source.strip().splitlines())
