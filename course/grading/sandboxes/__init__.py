"""Sandboxes around the student's kernel, one file each; `choose` finds the best that stands on this machine.

A module of this package that holds a `SANDBOX` is one: nothing else has to know of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

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
            room: the kernel's folder: `work` in it is writable, the rest is read-only.
            limits: how much it may use.
        """


@runtime_checkable
class WarmSandbox(Sandbox, Protocol):
    """Walls that a kernel can take on after it was forked from a template (`course.grading.template`)."""

    def template_command(self, argv: list[str], top: Path) -> list[str]:
        """Give the command that runs `argv`, the template.

        Args:
            argv: program and arguments.
            top: the folder that will hold the rooms of its kernels.
        """

    def template_spec(self, top: Path, room: Path, limits: Limits) -> dict[str, Any]:
        """Tell the template what a kernel needs besides `spec`: plain values.

        Args:
            top: the folder that holds all rooms.
            room: the kernel's folder in it.
            limits: how much it may use.
        """
