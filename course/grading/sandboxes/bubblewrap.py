"""Walls by bubblewrap: namespaces of its own for everything, no network, and only what `places` names in sight."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from course.grading.bridge.template import MACHINE
from course.grading.sandboxes.places import readable
from course.model import Limits

# What a template needs to give every kernel namespaces of its own, and to give these powers up.
POWERS = ("CAP_SYS_ADMIN", "CAP_SETPCAP", "CAP_SYS_RESOURCE")


class Bubblewrap:
    """Namespaces: nothing of the disk can be written, `work` of the kernel's folder becomes a small tmpfs."""

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
        words = [
            "bwrap",
            "--unshare-all",
            "--unshare-user",
            "--disable-userns",
            "--die-with-parent",
            "--cap-drop",
            "ALL",
        ]
        words += ["--uid", "1000", "--gid", "1000", *_system(limits)]
        words += ["--ro-bind", str(room), str(room), "--size", str(limits.disk), "--tmpfs", f"{room}/work"]
        for name in _files(room):
            words += ["--ro-bind", f"{room}/files/{name}", f"{room}/work/{name}"]
        return [*words, "--remount-ro", "/", "--chdir", f"{room}/work", "--", *argv]

    def template_command(self, argv: list[str], top: Path) -> list[str]:
        """bwrap that keeps the powers to make namespaces, of its own user namespace alone: the kernels give them up.

        Not --die-with-parent: bwrap would end with the thread that started it. The template ends when the grader's socket closes.
        Not another --uid: bwrap would make a second user namespace, in which nobody may mount a new /proc.
        """
        words = ["bwrap", "--unshare-all", "--unshare-user", "--uid", "0", "--gid", "0", "--cap-drop", "ALL"]
        for power in POWERS:
            words += ["--cap-add", power]
        words += [*_system(Limits()), "--bind", str(top), str(top)]
        return [*words, "--remount-ro", "/", "--chdir", f"{top}/work", "--", *argv]

    def template_spec(self, top: Path, room: Path, limits: Limits) -> dict[str, Any]:
        """The namespaces that a kernel makes for itself."""
        return {
            "namespaces": {"top": str(top), "room": str(room), "disk": limits.disk, "files": _files(room)}
        }


SANDBOX = Bubblewrap()


def _system(limits: Limits) -> list[str]:
    """Everything but the kernel's folder: what is readable, /proc and /dev."""
    words = ["--hostname", "sandbox"]
    for path in readable():
        # /bin and its like are links into /usr on most systems: they have to stay links.
        words += (
            ["--symlink", os.readlink(path), str(path)]
            if path.is_symlink()
            else ["--ro-bind", str(path), str(path)]
        )
    words += ["--proc", "/proc"]
    # bwrap covers these only where it thinks that they can be written; root's number may, without root's powers.
    for part in (f"/proc/{name}" for name in MACHINE if os.path.exists(f"/proc/{name}")):
        words += ["--ro-bind", part, part]
    words += ["--dev", "/dev"]
    return [*words, "--size", str(limits.disk), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]


def _files(room: Path) -> list[str]:
    """Names of the files that lie in the work folder from the start."""
    return sorted(str(p.relative_to(room / "files")) for p in (room / "files").rglob("*") if p.is_file())
