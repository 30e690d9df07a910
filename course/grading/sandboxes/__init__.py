"""Sandboxes around the student's kernel, one file each; `choose` finds the best that stands on this machine.

A module of this package that holds a `SANDBOX` is one: nothing else has to know of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from course.model import Limits


class Sandbox(Protocol):
    """Walls of one kind.

    Attributes:
        name: as in COURSE_SANDBOX and in reports.
        rank: the lowest that stands is chosen; None for one that is never chosen by itself.
    """

    name: str
    rank: int | None

    def __hash__(self) -> int: ...

    def words(self) -> str:
        """Say what stands on this machine, for the record; raise OSError where it cannot stand."""

    def spec(self, room: Path) -> dict[str, Any]:
        """Tell the launcher (`course.grading.bridge.launcher`) what it has to take on itself: plain values."""

    def command(self, argv: list[str], room: Path, limits: Limits) -> list[str]:
        """Give the command that runs `argv` behind the walls.

        Args:
            argv: program and arguments.
            room: the kernel's folder: `sockets` and `work` in it are writable, the rest is read-only.
            limits: how much it may use.
        """
