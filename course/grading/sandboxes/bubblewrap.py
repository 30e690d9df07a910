"""Walls by bubblewrap: namespaces of its own for everything, no network, and only what `places` names in sight."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from course.grading.sandboxes.places import readable
from course.model import Limits


class Bubblewrap:
    """Namespaces: `sockets` of the kernel's folder is shared, `work` becomes a small tmpfs."""

    name = "bubblewrap"
    rank = 0

    def words(self) -> str:
        """Give bubblewrap's version, for example "bubblewrap 0.8.0"."""
        run = subprocess.run(["bwrap", "--version"], capture_output=True, text=True, timeout=10)
        return run.stdout.strip()

    def spec(self, room: Path) -> dict[str, Any]:
        """Nothing but the second wall of system calls is left to the launcher."""
        return {}

    def command(self, argv: list[str], room: Path, limits: Limits) -> list[str]:
        """bwrap with all that is readable bound into an empty root."""
        return _command(argv, room, limits)


SANDBOX = Bubblewrap()


def _command(argv: list[str], base: Path, limits: Limits) -> list[str]:
    words = [
        "bwrap",
        "--unshare-all",
        "--unshare-user",
        "--disable-userns",
        "--die-with-parent",
        "--cap-drop",
        "ALL",
    ]
    words += ["--uid", "1000", "--gid", "1000", "--hostname", "sandbox"]
    for path in readable():
        # /bin and its like are links into /usr on most systems: they have to stay links.
        words += (
            ["--symlink", os.readlink(path), str(path)]
            if path.is_symlink()
            else ["--ro-bind", str(path), str(path)]
        )
    words += [
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--size",
        str(limits.disk),
        "--tmpfs",
        "/dev/shm",
        "--remount-ro",
        "/dev",
    ]
    words += ["--ro-bind", str(base), str(base), "--bind", f"{base}/sockets", f"{base}/sockets"]
    words += ["--size", str(limits.disk), "--tmpfs", f"{base}/work"]
    for path in sorted(p for p in (base / "files").rglob("*") if p.is_file()):
        words += ["--ro-bind", str(path), f"{base}/work/{path.relative_to(base / 'files')}"]
    return [*words, "--remount-ro", "/", "--chdir", f"{base}/work", "--", *argv]
