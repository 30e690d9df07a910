"""The process of a kernel behind walls: started cold, each with imports of its own, or forked from a template (`Forked`)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import IO, Protocol

from course.grading.sandboxes.choose import command, environment, spec
from course.model import Confinement, Limits


class KernelProcess(Protocol):
    """What a kernel needs of its process.

    Attributes:
        pid: number of the first process behind the walls, which leads their group.
        orphaned: whether it ended because its template did.
    """

    pid: int
    orphaned: bool

    def poll(self) -> int | None:
        """Give the exit code, None while it runs."""

    def kill(self) -> None:
        """End it, and its group."""


class Started:
    """A kernel that is started cold.

    Args:
        walls: which.
        room: its folder.
        limits: how much it may use.
        log: what it says before it can speak as a kernel.
        requests: its end of the socket that it gets its requests over.

    Raises:
        OSError: if there is no process, no memory, no disk.
    """

    orphaned = False

    def __init__(
        self, walls: Confinement, room: Path, limits: Limits, log: IO[bytes], requests: socket.socket
    ):
        words = spec(walls.name, room, limits) | {"requests": requests.fileno()}
        (room / "spec.json").write_text(json.dumps(words))
        self._process = subprocess.Popen(
            command(walls.name, room, limits),
            env=environment(room),
            cwd=room,
            pass_fds=[requests.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Give the exit code, None while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """End it, and what is left of its group when it has ended."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
