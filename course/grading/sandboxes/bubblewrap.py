"""Walls by bubblewrap: namespaces of its own for everything, no network, and only what `places` names in sight."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from course.grading.limits import Limits
from course.grading.sandboxes.places import readable

NAME = "bubblewrap"


def version() -> str:
    """Give bubblewrap's version, for example "bubblewrap 0.8.0".

    Raises:
        OSError: if it is not installed.
    """
    return subprocess.run(["bwrap", "--version"], capture_output=True, text=True, timeout=10).stdout.strip()


def command(base: Path, argv: list[str], limits: Limits) -> list[str]:
    """Give the command that runs `argv` behind walls.

    Args:
        base: the kernel's folder: `sockets` in it is shared, `work` becomes a small tmpfs, the rest is read-only.
        argv: program and arguments.
        limits: for the sizes of the tmpfs.

    Returns:
        Program and arguments.
    """
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
