"""Walls by Landlock and seccomp, for machines where bubblewrap is missing or forbidden.

The process takes them on itself (`course.grading.bridge.launcher`), so there is nothing to install: Landlock is in
Linux since 5.13, libseccomp.so.2 in every usual distribution. Compared with bubblewrap, the student's process can
still see that a path exists and how many processes run; it cannot read, signal or reach them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from course.grading.bridge.launcher import landlock_abi
from course.grading.sandboxes.places import readable
from course.model import Limits

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
PROC = (
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/filesystems",
    "/proc/sys/vm/overcommit_memory",
)


class Landlock:
    """Paths that stay open; the process shuts all others for itself."""

    name = "landlock"
    rank = 1

    def words(self) -> str:
        """Give the version that this machine's Linux speaks."""
        abi = landlock_abi()
        if not abi:
            raise OSError("this Linux has no Landlock (5.13 or newer has, if it is switched on)")
        return f"Landlock (ABI {abi}) and seccomp"

    def spec(self, room: Path) -> dict[str, Any]:
        """The paths to leave open."""
        return {
            "read": [*map(str, readable()), *PROC, str(room)],
            "write": [*DEVICES, f"{room}/work"],
        }

    def command(self, argv: list[str], room: Path, limits: Limits) -> list[str]:
        """The launcher takes the walls on itself."""
        return argv

    def template_command(self, argv: list[str], top: Path) -> list[str]:
        """An ordinary process: each of its kernels takes the walls on itself."""
        return argv

    def template_spec(self, top: Path, room: Path, limits: Limits) -> dict[str, Any]:
        """Nothing more than without a template."""
        return {}


SANDBOX = Landlock()
