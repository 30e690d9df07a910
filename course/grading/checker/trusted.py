"""The processes that hold the tests: one warm server, from it one for every lesson, and forked from that one for every submission.

`TrustedServer` (in the grader) starts this module as a program, which imports what checks need once. Of a lesson, setup cells and
right answers to the hidden questions are the same for everybody: they are computed once, before any student has a say. What the
checks of one submission leave behind reaches no other; only checks of declared exercises, which leave nothing, share a process. A process
talks with the grader over its own socket, one JSON object a line: of each check it asks {"ask": message} as often as it likes and ends
with a verdict. Where it dies without one, its lesson says so in its place: {"slow": true} if it computed for too long, else
{"fault": what happened}.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing import Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course.grading.bridge import wire
from course.grading.bridge.launcher import PR_SET_PDEATHSIG, into_large_pages, prctl
from course.grading.checker.check import limit_check, run_checks, set_up
from course.grading.sandboxes.places import COURSE, LARGE_PAGES, OPTIMIZER, imported_by_lessons
from course.model import Limits

if TYPE_CHECKING:  # the grader, which holds the handle alone, does without numpy
    from course.exercises import Exercise

WARM = ("course.grading.checker.proxy", "course.editions.source", "IPython.display")
EXERCISES = COURSE / "exercises"  # the declarations that hidden tests are drawn from
LESSONS = 3  # that are kept ready
CHECK = b"+"
PATIENCE = 300.0  # seconds until a lesson that does not get ready is left as it is


class TrustedServer:
    """The grader's handle on the warm server; starts it on first use, and again after a fork of the grader."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def start(self, setup: Sequence[str]) -> None:
        """Let the server get ready for a lesson, and do not wait for it.

        Args:
            setup: sources of the lesson's setup cells.
        """
        self._ask(setup, [])

    def open_checks(self, setup: Sequence[str]) -> socket.socket:
        """Fork a process for checks of one submission, up to one that may leave something behind.

        Args:
            setup: sources of the lesson's setup cells.

        Returns:
            The socket to talk with it; closing it ends the process.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self._ask(setup, [theirs.fileno()])
        return ours

    def _ask(self, setup: Sequence[str], fds: list[int]) -> None:
        request = wire.framed(json.dumps(list(setup)))
        with self._lock:
            for last in (False, True):  # it may die any time
                if self._owner != os.getpid() or not self._process or self._process.poll() is not None:
                    self._start()
                try:
                    socket.send_fds(self._control, [request[: wire.LENGTH]], fds)
                    self._control.sendall(request[wire.LENGTH :])
                    return
                except ConnectionError:
                    if last:
                        raise

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **LARGE_PAGES, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
                cwd=Path(__file__).parents[3],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._owner = os.getpid()


def main() -> None:
    """Serve until the grader is gone; then everything that was forked from here ends, too."""
    control = socket.socket(fileno=int(sys.argv[1]))
    warm_up()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    lessons: dict[str, socket.socket] = {}  # the last one used stands last
    while True:
        length, fds, _, _ = socket.recv_fds(control, wire.LENGTH, 1)
        if not length:
            os._exit(0)
        setup = wire.exactly(control, int.from_bytes(length, "big")).decode("ascii")
        for _ in range(2):  # one that was there may have died
            try:
                others = [control.fileno(), *(each.fileno() for each in lessons.values()), *fds]
                lesson = lessons.pop(setup, None) or _fork_lesson(setup, others)
                lessons[setup] = lesson
                if fds:
                    socket.send_fds(lesson, [CHECK], fds)
                break
            except ConnectionError:
                lessons.pop(setup).close()
            except OSError as error:
                for fd in fds:
                    _say(socket.socket(fileno=os.dup(fd)), {"fault": f"no process for a lesson: {error}"})
                break
        for fd in fds:
            os.close(fd)
        if len(lessons) > LESSONS:
            lessons.pop(next(iter(lessons))).close()


def _fork_lesson(setup: str, others: Sequence[int]) -> socket.socket:
    """Fork a process for a lesson, which keeps none of the other descriptors; give the socket over which it gets its checks.

    Raises:
        OSError: if there are too many processes.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        if _fork():
            return ours
        for other in (ours.fileno(), *others):
            os.close(other)
        with contextlib.suppress(BaseException):
            serve_lesson(json.loads(setup), theirs)
            os._exit(0)
        os._exit(1)


def _fork() -> int:
    """Fork; what is forked ends with this process, so that nobody computes on for a grader that is gone."""
    parent = os.getpid()
    if child := os.fork():
        return child
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    return 0


def serve_lesson(setup: list[str], control: socket.socket) -> None:
    """Get ready for a lesson, then fork a process for every submission, until there are to be no more.

    Args:
        setup: sources of its setup cells.
        control: where the sockets of the checks come from.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    space = ready(setup)
    checks: dict[int, socket.socket] = {}
    signal.signal(signal.SIGCHLD, lambda *_: _bury(checks))
    while True:
        data, fds, _, _ = socket.recv_fds(control, len(CHECK), 1)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])  # until the check is known
        if not data:
            break
        connection = socket.socket(fileno=fds[0])
        try:
            pid = _fork()
        except OSError as error:
            _say(connection, {"fault": f"no process could be started for a check: {error}"})
            connection.close()
        else:
            if pid == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
                for other in (control, *checks.values()):
                    other.close()
                with contextlib.suppress(BaseException):
                    run_checks(connection, setup, space)
                    os._exit(0)
                os._exit(1)
            checks[pid] = connection
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
    while checks:  # this lesson made room for another one
        _bury(checks, 0)


def ready(setup: list[str]) -> dict[str, Any] | None:
    """Run setup cells, and have the right answers to the lesson's hidden questions at hand.

    A scout goes first. Where it fails, or starts threads, which a fork would forget, every check begins from nothing. The
    right answers come from it, since some builds of torch start a thread for the first gradient.

    Args:
        setup: their sources.

    Returns:
        The names that they define, or None.
    """
    reader, writer = Pipe(duplex=False)
    with reader, writer:
        scout = _fork()
        if not scout:
            with contextlib.suppress(BaseException):
                limit_check(Limits.check_cpu, Limits.check_memory)
                writer.send_bytes(pickle.dumps(_scouted(setup)))
            os._exit(0)
        writer.close()
        found = b""
        with contextlib.suppress(EOFError, OSError):
            found = reader.recv_bytes() if reader.poll(PATIENCE) else b""
        os.kill(scout, signal.SIGKILL)
        os.waitpid(scout, 0)
    if not found:
        return None
    space, asked = set_up(setup), pickle.loads(found)
    for name, exercise in _declared(space).items():
        if name in asked:
            exercise.keep(pickle.loads(asked[name]))
    return space


def _scouted(setup: list[str]) -> dict[tuple[str, str], bytes]:
    """Run setup cells; give of each exercise the hidden questions and what belongs there.

    Raises:
        RuntimeError: if a process in which these cells ran cannot be forked.
    """
    space, found = set_up(setup), {}
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("setup cells start threads")
    for name, exercise in _declared(space).items():
        with contextlib.suppress(Exception):  # its check will say what is wrong
            found[name] = pickle.dumps(exercise.asked())
    return found


def _declared(space: dict[str, Any]) -> dict[tuple[str, str], Exercise]:
    """The declared exercises of the lessons whose checks have a name here."""
    from course.exercises import exercises
    from helpers.checks.exercise import Checks

    found: dict[tuple[str, str], Exercise] = {}
    for checks in space.values():
        if isinstance(checks, Checks):
            with contextlib.suppress(LookupError):
                found |= {(checks.topic, name): each for name, each in exercises(checks.topic).items()}
    return found


def _bury(checks: dict[int, socket.socket], how: int = os.WNOHANG) -> None:
    """Take leave of the processes that ended; say how, where one died in the midst of a check."""
    while checks:
        try:
            pid, status = os.waitpid(-1, how)
        except ChildProcessError:
            return
        if pid == 0:
            return
        connection = checks.pop(pid, None)
        if connection is None:
            continue
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
            _say(connection, {"slow": True})
        elif status:
            end = (
                f"signal {os.WTERMSIG(status)}"
                if os.WIFSIGNALED(status)
                else f"exit code {os.WEXITSTATUS(status)}"
            )
            _say(connection, {"fault": f"the checker died ({end})"})
        connection.close()


def _say(connection: socket.socket, words: dict[str, Any]) -> None:
    """Send one line; whoever does not listen any more does not get it."""
    with contextlib.suppress(OSError):
        connection.setblocking(False)
        connection.send(json.dumps(words).encode() + b"\n")


def warm_up() -> None:
    """Import what checks are likely to need; what is missing or broken is the check's own problem.

    Nothing is differentiated here: some builds of torch start a thread for that, and forget it in every fork.
    """
    from course.exercises import exercises

    for name in (*(n for n in imported_by_lessons() if n != OPTIMIZER), *WARM):  # no check makes one
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    for path in EXERCISES.glob("[a-z]*.py"):
        with contextlib.suppress(Exception):
            exercises(path.stem)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
        # Some of torch is imported for the first tensor that has a shape and no numbers.
        with torch.device("meta"):
            torch.nn.Linear(1, 1).to_empty(device="cpu")
    gc.freeze()  # else the first collection in every child would copy all of this
    into_large_pages()


if __name__ == "__main__":
    main()
