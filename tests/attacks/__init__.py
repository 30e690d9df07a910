"""Hostile submissions, small and bounded, each saying what success would be.

Four groups: `faking` a pass, `reading` secrets, `breaking` the grader, using the `network`. `toy` is the lesson they are handed in
for, `runner` grades them and looks for harm. `python -m tests.attacks` prints how they fare with stock nbgrader and with ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nbformat import NotebookNode


@dataclass(frozen=True)
class Attack:
    """One hostile submission.

    name: also the student's. goal: what success would be. source: code in the place of the first answer, where the
    other answers stay blank; @ROOT@, @DECOYS@, @PORT@, ... stand for what the runner put up. notebook: changes the whole notebook instead.
    """

    name: str
    goal: str
    source: str = ""
    notebook: Callable[[NotebookNode], None] | None = None
    group: str = ""
