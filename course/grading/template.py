"""The grader's handle on templates: warm processes that import what lessons import once, and fork a kernel for each submission.

`course.grading.bridge.template` is the other side. Where a template fails, a new one is made; where that fails too, kernels start
cold, each on its own. None of it is a student's fault, and none of it ends a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import helpers
from course.grading.bridge.template import READY
from course.grading.sandboxes import WarmSandbox
from course.grading.sandboxes.choose import available, environment, new_folder, remove, spec
from course.grading.sandboxes.places import BRIDGE, imported_by_lessons, put_fonts
from course.model import Confinement, Limits
from course.store import LOG

# What a kernel would import before its first cell, and for its first figure.
KERNEL = (
    "ipykernel.compiler",
    "ipykernel.zmqshell",
    "IPython.core.completer",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.core.pylabtools",
    "sqlite3",
)
CREDENTIALS = struct.Struct("3i")  # `struct ucred`: process, user, group
TAIL = 2_000  # characters of a log
SOON = 0.05  # seconds between two tries to ask a template that does not listen yet
ENDING = 1.0  # second that a template has to end by itself; one that still imports is ended


class Forked:
    """A kernel that was forked from a template.

    Args:
        template: keeps it alive.
        pid: number of its first process.
        connection: to the template, which says over it how the kernel ended.
    """

    def __init__(self, template: Template, pid: int, connection: socket.socket):
        self.pid = pid
        self.returncode: int | None = None
        self.orphaned = False  # the template ended first, and took it along
        self.template, self._connection = template, connection

    def poll(self) -> int | None:
        """Give the exit code, None while it runs."""
        if self.returncode is None:
            try:
                said = self._connection.recv(100)
            except BlockingIOError:
                return None
            except ConnectionError:
                said = b""
            self.orphaned = not said
            self.returncode = int(said) if said else -signal.SIGKILL
            self._connection.close()
            if self.orphaned:
                with contextlib.suppress(OSError):
                    os.killpg(self.pid, signal.SIGKILL)
        return self.returncode

    def kill(self) -> None:
        """End it; the template does that, since it alone knows that the process is still this one."""
        if self.poll() is None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)


class Template:
    """One warm process.

    Args:
        sandbox: which stands around its kernels.
        key: of what it imports.
    """

    def __init__(self, sandbox: WarmSandbox, key: str):
        self.key, self._sandbox = key, sandbox
        self.folder = new_folder(Path("/tmp"))
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        with theirs:
            words = {
                "template": theirs.fileno(),
                "modules": [*KERNEL, *imported_by_lessons()],
                "namespaces": bool(sandbox.template_spec(self.folder, self.folder, Limits())),
            }
            (self.folder / "work").mkdir()
            put_fonts(self.folder / "work")
            (self.folder / "spec.json").write_text(json.dumps(words))
            argv = [sys.executable, "-I", str(BRIDGE / "launcher.py"), f"{self.folder}/spec.json"]
            with (self.folder / "log").open("wb") as log:
                process = subprocess.Popen(
                    sandbox.template_command(argv, self.folder),
                    env=environment(self.folder),
                    cwd=self.folder,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        self.close = weakref.finalize(self, _end, os.getpid(), self._control, process, self.folder)

    async def fork(self, room: Path, limits: Limits, log: IO[bytes], requests: socket.socket) -> Forked:
        """Fork a kernel.

        Args:
            room: its folder, in this template's.
            limits: how much it may use.
            log: what it says before it can speak as a kernel.
            requests: its end of the socket that it gets its requests over.

        Returns:
            The kernel, which is about to say so over its socket.

        Raises:
            OSError: if the template is dead, does not answer, or the walls cannot be put up.
        """
        words = spec(self._sandbox.name, room, limits) | self._sandbox.template_spec(
            self.folder, room, limits
        )
        request = json.dumps({"spec": words, "environment": environment(room)}).encode()
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            async with asyncio.timeout(limits.startup):
                with theirs:
                    given = theirs.fileno(), log.fileno(), requests.fileno()
                    while True:
                        try:
                            socket.send_fds(self._control, [request], given)
                        except BlockingIOError:  # it still imports, and many asked first
                            await asyncio.sleep(SOON)
                            continue
                        except BrokenPipeError:  # it is dead: there is nothing to be read then
                            pass
                        break
                said, pid = await greeting(ours)
            if said != READY:
                raise OSError(f"no kernel was forked: {self.last_words(room / 'log')}")
        except BaseException:
            ours.close()
            raise
        return Forked(self, pid, ours)

    def last_words(self, log: Path) -> str:
        """Say what stands at the end of a kernel's log, or of the template's if that is empty."""
        for path in (log, self.folder / "log"):
            with contextlib.suppress(OSError):
                if said := path.read_text(errors="replace").strip():
                    return said[-TAIL:]
        return "no reason known"


def _end(owner: int, control: socket.socket, process: subprocess.Popen[bytes], folder: Path) -> None:
    """End a template, its kernels, and its folder."""
    control.close()
    if os.getpid() != owner:  # a fork of the grader's, which has no template
        return
    try:
        process.wait(ENDING)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    remove(folder)


async def greeting(ours: socket.socket) -> tuple[bytes, int]:
    """Wait for what is said first, b"" if it hangs up; give it and the number of the process that said it, as this machine knows it."""
    await _readable(ours)
    said, more, _, _ = ours.recvmsg(100, socket.CMSG_SPACE(CREDENTIALS.size))
    return said, CREDENTIALS.unpack(more[0][2])[0] if said else 0


async def _readable(ours: socket.socket) -> None:
    """Wait until something can be received."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(ours, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(ours)


class Templates:
    """The templates of this process, one a sandbox, each made when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._living: dict[str, Template] = {}
        self._failed: dict[str, int] = {}  # how often in a row

    def tries(self, walls: Confinement) -> Iterator[Template | None]:
        """Give the ways to start a kernel, the next one for when one failed: a template, a new one, none at all.

        Args:
            walls: which.

        Yields:
            The template to fork from, or None for a cold start, which comes last.
        """
        sandbox = available().get(walls.name)
        if walls.warm and isinstance(sandbox, WarmSandbox):
            for _ in range(2):
                if template := self._template(sandbox):
                    yield template
        yield None

    def served(self, template: Template) -> None:
        """Note that a kernel started."""
        with self._lock:
            self._failed.pop(template.key, None)

    def failed(self, template: Template, why: object) -> None:
        """Note that none did: the next kernel gets a new template, or after two that failed in a row, none any more.

        The kernels that the old one still has go on; it ends with the last.
        """
        with self._lock:
            if template not in self._living.values():  # it is known
                return
            del self._living[template.key]
            self._failed[template.key] = self._failed.get(template.key, 0) + 1
            then = (
                "kernels start cold from here on"
                if self._failed[template.key] > 1
                else "a new one is started"
            )
        LOG.warning("the warm template failed, and %s: %s", then, why)

    def close(self) -> None:
        """End all templates."""
        with self._lock:
            living, self._living = self._living, {}
        for template in living.values():
            template.close()

    def _template(self, sandbox: WarmSandbox) -> Template | None:
        """The template of a sandbox for the code that stands on the disk now; None if two of them failed."""
        key = f"{os.getpid()} {sandbox.name} {code()}"
        with self._lock:
            if self._failed.get(key, 0) > 1:
                return None
            if key not in self._living:
                # One of other code, or of a process that this one was forked from, ends with its last kernel.
                self._living = {k: t for k, t in self._living.items() if k.split()[1] != sandbox.name}
                self._living[key] = Template(sandbox, key)
            return self._living[key]


def code() -> str:
    """Tell what a template holds, `helpers`, the bridge and what is installed, from what it will be when a file is written anew.

    Files are not read: it is asked for with every kernel.
    """
    folders = [*helpers.__path__, str(BRIDGE)]
    files = {path: path.stat() for folder in folders for path in Path(folder).rglob("*.py")}
    state = sorted((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in files.items())
    installed = sorted(
        name for name in os.listdir(sysconfig.get_path("purelib")) if name.endswith(".dist-info")
    )
    return hashlib.sha256(repr((state, installed)).encode()).hexdigest()[:16]


TEMPLATES = Templates()
