"""No walls at all: only for code that you trust, only where it is asked for by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from course.model import Limits


class Unsafe:
    """The student's kernel as an ordinary process."""

    name = "unsafe"
    rank = None

    def words(self) -> str:
        """Say plainly what that means."""
        return "NONE: students' code can read, change and send whatever you can (--unsafe)"

    def spec(self, room: Path) -> dict[str, Any]:
        """Nothing."""
        return {}

    def command(self, argv: list[str], room: Path, limits: Limits) -> list[str]:
        """The kernel itself."""
        return argv


SANDBOX = Unsafe()
