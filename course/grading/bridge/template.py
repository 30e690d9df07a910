"""Be the template: import once what lessons import, then fork a kernel for every request.

`launcher` calls `serve` where its SPEC.json says {"template": ...}: inside bubblewrap, or as an ordinary process whose kernels
take Landlock on themselves. No line of a student's ever runs in this process. It has one thread and no open file but the
grader's socket, and of a kernel it learns a room, limits and an environment, nothing of what is in the submission.

The grader sends one JSON object a kernel, with three descriptors: a connection, the kernel's log, and the socket for requests. Over the connection the
kernel's first process says "ready" (the machine adds its number, as the grader sees it), and this process how it ended; when the
grader hangs up, the kernel is killed. When the grader is gone, so is everything here.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from . import launcher

REQUEST_BYTES = 65_536
PIDFD_OPEN = 434  # on every processor; a Python that was built with old headers, as some of conda's are, has no os.pidfd_open
READY = b"ready"
CONNECTION, REQUESTS = 3, 4  # the numbers of the connection and the socket in a kernel's first process
NEWNS, NEWUTS, NEWIPC, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
QUIET = MS_NOSUID | MS_NODEV
# Parts of /proc that belong to the whole machine: root's number may write them even without root's powers.
MACHINE = ("sys", "sysrq-trigger", "irq", "bus")


def serve(spec: dict[str, Any]) -> NoReturn:
    """Import, then fork kernels until the grader is gone.

    Args:
        spec: "template": number of the grader's socket; "modules": what to import; "namespaces": whether a kernel is to get
            namespaces of its own here, or takes the walls on itself.
    """
    control = socket.socket(fileno=spec["template"])
    for name in spec["modules"]:
        importlib.import_module(name)
    importlib.import_module("bridge.shell").made()
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    if spec["namespaces"]:
        _last_user_namespace()
    if trouble := unfit(control.fileno()):
        sys.exit(f"the template cannot be forked: {trouble}")
    gc.collect()
    gc.freeze()  # else the first collection in every kernel would copy all of this
    launcher.into_large_pages()
    leaders: dict[int, tuple[int, int]] = {}  # number of a pidfd -> process and connection
    connections: dict[int, int] = {}  # number of a connection -> process
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for number, _ in poll.poll():
            if number == control.fileno():
                data, fds, _, _ = socket.recv_fds(control, REQUEST_BYTES, 3)
                if not data:
                    for pid in connections.values():
                        _kill(pid)
                    os._exit(0)
                with contextlib.suppress(ValueError, OSError):  # whoever asks the wrong way gets no kernel
                    connection, _, _ = fds
                    pid = _fork(json.loads(data), fds, control, spec["namespaces"])
                    watched, kept = launcher.syscall(PIDFD_OPEN, pid, 0), os.dup(connection)
                    leaders[watched], connections[kept] = (pid, kept), pid
                    poll.register(watched, select.POLLIN)
                    poll.register(kept, select.POLLIN)
                for fd in fds:
                    os.close(fd)
            elif number in leaders:
                pid, connection = leaders.pop(number)
                _kill(pid)  # what is left of its group; its number is still taken
                _, status = os.waitpid(pid, 0)
                with contextlib.suppress(OSError):
                    os.write(connection, str(os.waitstatus_to_exitcode(status)).encode())
                if connection in connections:
                    poll.unregister(connection)
                    del connections[connection]
                poll.unregister(number)
                os.close(connection)
                os.close(number)
            elif number in connections:  # the grader hung up
                poll.unregister(number)
                _kill(connections.pop(number))


def unfit(control: int) -> str:
    """Tell what of this process two kernels would share or break when it is forked.

    Args:
        control: number of the grader's socket.

    Returns:
        A phrase, "" if there is nothing.
    """
    if (threads := len(os.listdir("/proc/self/task"))) > 1:
        return f"it has {threads} threads"
    shared = [
        line for line in Path("/proc/self/maps").read_text().splitlines() if line.split()[1][1::2] == "ws"
    ]
    if shared:
        return f"it shares memory: {shared[0]}"
    with os.scandir("/proc/self/fd") as entries:
        opened = {entry.name: os.readlink(entry.path) for entry in entries}
    for name, target in opened.items():
        if int(name) not in (0, 1, 2, control) and not target.startswith("/proc/"):
            return f"it holds {target} open"
    return ""


def _kill(pid: int) -> None:
    """Kill a kernel that has not been waited for, and its group."""
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):  # where it leads no group yet
        os.kill(pid, signal.SIGKILL)


def _fork(request: dict[str, Any], fds: list[int], control: socket.socket, namespaces: bool) -> int:
    """Fork the first process of a kernel; give its number.

    Raises:
        OSError: if there are too many processes, or no namespace is to be had.
    """
    if namespaces:
        with open("/proc/self/ns/pid") as home:  # the namespace for children is renewed only from one's own
            _call("setns", home.fileno(), NEWPID)
        _call("unshare", NEWPID)
    pid = os.fork()
    if pid == 0:
        try:
            control.detach()
            _become_kernel(request, *fds)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(1)
    return pid


def _become_kernel(request: dict[str, Any], connection: int, log: int, requests: int) -> None:
    """Keep nothing of the template's but what it imported, take the walls on, and be the kernel.

    Raises:
        OSError: where a wall cannot be put up; then there is no kernel.
    """
    spec = request["spec"]
    os.setsid()
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(connection, CONNECTION)
    os.dup2(requests, REQUESTS)  # the last to come, so that it is none of those just made
    os.closerange(REQUESTS + 1, 1 << 20)
    os.environ.clear()
    os.environ.update(request["environment"])
    own = spec.get("namespaces")
    if own:
        _own_world(**own)
        launcher.drop_capabilities()
        status = Path("/proc/self/status").read_text().splitlines()
        if left := [line for line in status if line.startswith("Cap") and int(line.split()[1], 16)]:
            raise PermissionError(f"powers are left: {left[0]}")
    launcher.confine(spec)
    os.write(CONNECTION, READY)
    os.close(CONNECTION)
    if own and (kernel := os.fork()):
        os.close(REQUESTS)
        _bury_all(kernel)
    start_afresh()
    launcher.start_kernel(spec | {"requests": REQUESTS})


def start_afresh() -> None:
    """Draw new random states: else unseeded numbers would be the same in all kernels.

    Not torch's, which begins with the same seed in every process; nothing has been drawn from it here.
    """
    import random
    import tempfile

    random.seed()
    tempfile.tempdir = None
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(None)


def _bury_all(kernel: int) -> NoReturn:
    """Be the first process of a namespace: take leave of all others, and end with the kernel."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which the first process does not notice
    while True:
        pid, status = os.wait()
        if pid == kernel:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _last_user_namespace() -> None:
    """Forbid user namespaces below this one, as bubblewrap's --disable-userns does, which would forbid ours to mount /proc."""
    _mount("proc", "/proc", "proc", QUIET | MS_NOEXEC)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def _own_world(top: str, room: str, disk: int, files: list[str]) -> None:
    """Leave the namespaces of the template and of its other kernels.

    Args:
        top: the folder that holds all rooms; of the others nothing stays in sight.
        room: this kernel's; `work` in it becomes a small tmpfs.
        disk: bytes that fit into `work`.
        files: names below `files` in the room that are shown, read-only, in `work`.
    """
    _call("unshare", NEWNS | NEWNET | NEWIPC | NEWUTS)
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    kept = os.open(room, os.O_PATH | os.O_DIRECTORY)
    _mount("tmpfs", top, "tmpfs", QUIET, "size=64k,mode=755")
    os.mkdir(room)
    _show(f"/proc/self/fd/{kept}", room)
    os.close(kept)  # it leads to the folder behind the new one, and by .. to all rooms
    _mount("tmpfs", f"{room}/work", "tmpfs", QUIET, f"size={disk},mode=755")
    for name in files:
        shown = Path(room, "work", name)
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.touch()
        _show(f"{room}/files/{name}", str(shown))
    os.symlink(f"{room}/work", f"{top}/work")  # the template's home, which matplotlib remembers
    _mount(None, top, None, MS_REMOUNT | MS_RDONLY | QUIET, "size=64k,mode=755")
    _mount("tmpfs", "/dev/shm", "tmpfs", QUIET, f"size={disk},mode=755")
    _mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    _mount("proc", "/proc", "proc", QUIET | MS_NOEXEC)
    for name in MACHINE:
        if os.path.exists(f"/proc/{name}"):
            _show(f"/proc/{name}", f"/proc/{name}", MS_NOEXEC)


def _show(source: str, target: str, more: int = 0) -> None:
    """Bind a file or folder, read-only."""
    _mount(source, target, None, MS_BIND | MS_REC)
    _mount(None, target, None, MS_BIND | MS_REMOUNT | MS_RDONLY | QUIET | more)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    def raw(text: str | None) -> bytes | None:
        return None if text is None else os.fsencode(text)

    _call("mount", raw(source), raw(target), raw(kind), ctypes.c_ulong(flags), raw(data))


def _call(name: str, *args: Any) -> None:
    """Call a function of libc; raise OSError where it fails."""
    if getattr(launcher.libc, name)(*args) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{args}: {os.strerror(number)}")
