"""The process that holds the tests: one warm server, one forked child a check.

`TrustedServer` (in the grader) starts this module as a program, which imports what checks need once and then forks a
child for every check: nothing that one check leaves behind reaches another. A child talks with the grader over its
own socket, one JSON object a line: it asks {"ask": message} as often as it likes and ends with a verdict. Where it dies
without one, the server says so in its place: {"slow": true} if it computed for too long, else {"fault": what happened}.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import importlib
import io
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from course.grading.sandboxes.places import COURSE, OPTIMIZER, imported_by_lessons
from course.model import Verdict

WARM = ("course.grading.checker.proxy", "course.editions.source", "IPython.display")
EXERCISES = COURSE / "exercises"  # the declarations that hidden tests are drawn from
LINE_BYTES = 150_000_000
TEXT = 4_000


class TrustedServer:
    """The grader's handle on the warm server; starts it on first use, and again after a fork of the grader."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def start(self) -> None:
        """Start the server, if there is none, and do not wait for it."""
        with self._lock:
            if self._owner != os.getpid() or not self._process or self._process.poll() is not None:
                self._start()

    def open_check(self) -> socket.socket:
        """Fork a child for one check.

        Returns:
            The socket to talk with it; closing it ends the child.
        """
        self.start()
        with self._lock:
            ours, theirs = socket.socketpair()
            with theirs:
                socket.send_fds(self._control, [b"+"], [theirs.fileno()])
            return ours

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
                cwd=Path(__file__).parents[3],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._owner = os.getpid()


def main() -> None:
    """Serve until the grader is gone."""
    control = socket.socket(fileno=int(sys.argv[1]))
    warm_up()
    checks: dict[int, socket.socket] = {}
    signal.signal(signal.SIGCHLD, lambda *_: _bury(checks))
    while True:
        data, fds, _, _ = socket.recv_fds(control, 1, 1)
        if not data:
            for pid in checks:  # one that still computes would go on for nobody
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return
        connection = socket.socket(fileno=fds[0])
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])  # until the check is known
        try:
            pid = os.fork()
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
                    run_child(connection)
                    os._exit(0)
                os._exit(1)
            checks[pid] = connection
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])


def _bury(checks: dict[int, socket.socket]) -> None:
    """Take leave of the checks that ended; say how, where one ended without a verdict."""
    while checks:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
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


class TooMuchComputing(BaseException):
    """A check computed for longer than it may, on what a student's answer gave it."""


def run_child(connection: socket.socket) -> None:
    """Run the one check that the grader sends, asking back over the same socket."""
    stream = connection.makefile("rw", encoding="ascii", newline="\n")

    def ask(message: str) -> str:
        stream.write(json.dumps({"ask": message}) + "\n")
        stream.flush()
        return str(json.loads(stream.readline(LINE_BYTES))["answer"])

    job = json.loads(stream.readline(LINE_BYTES))
    limit_check(job["cpu"], job["memory"])
    verdict = check(job["name"], job["setup"], job["source"], ask)
    stream.write(json.dumps(asdict(verdict)) + "\n")
    stream.flush()


def limit_check(cpu: float, memory: int) -> None:
    """Bound what this process may still use; nothing that the machine forbids already is asked for.

    Args:
        cpu: seconds of computing; after them `TooMuchComputing` is raised, and after twice as many the process ends.
        memory: bytes on top of what it holds now.
    """
    import resource

    def too_much(signal_number: int, frame: FrameType | None) -> NoReturn:
        raise TooMuchComputing(f"more than {cpu:g} seconds of computing")

    signal.signal(signal.SIGPROF, too_much)
    signal.setitimer(signal.ITIMER_PROF, cpu)
    used = sum(os.times()[:2])
    held = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmData")
    )
    for kind, soft in (
        (resource.RLIMIT_CPU, int(used + 2 * cpu) + 1),
        (resource.RLIMIT_DATA, held + memory),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def check(name: str, setup: list[str], source: str, ask: Any) -> Verdict:
    """Run one check on the student's names.

    Args:
        name: grade_id of the check, under which the student's process keeps its snapshot.
        setup: sources of the notebook's setup cells.
        source: the check cell, hidden tests included.
        ask: hands a message to the student's process and returns its answer.

    Returns:
        The verdict; whatever goes wrong makes it a failed one.
    """
    from course.editions.source import names_needed
    from course.grading.checker.proxy import Channel, StudentError
    from helpers.checks.core import CheckFailed

    channel = Channel(ask)
    printed = io.StringIO()
    shown: list[str] = []
    missing: set[str] = set()
    space: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()), _display_into(shown):
        try:
            for cell in setup:
                exec(compile(cell, "<setup>", "exec"), space)
            wanted = names_needed(source) - space.keys()
            theirs = channel.request("names", check=name, names=sorted(wanted)) if wanted else {}
            if type(theirs) is not dict or not theirs.keys() <= wanted:
                raise StudentError("the answer's process did not answer")
            missing = wanted - theirs.keys()
            space.update(theirs)
            value = _run(source, space)
            score = _score(value, channel)
        except NameError as error:
            lost = error.name if error.name in missing else None
            hint = (
                f"`{lost}` is not defined: its cell is missing, stopped before that line, or gives it another name."
                if lost
                else ""
            )
            return _failed(error, hint or _unexpected(error), detail=not hint)
        except CheckFailed as error:
            return _failed(error, str(error))
        except NotImplementedError as error:
            return _failed(error, "There is no answer here yet.")
        except AssertionError as error:
            return _failed(error, str(error) or "A hidden test does not pass.")
        except TooMuchComputing as error:
            return _failed(error, f"Your answer makes this check compute for too long: {error}.")
        except MemoryError as error:
            return _failed(
                error, "Your answer makes this check take more memory than it may: is it that large?"
            )
        except BaseException as error:
            theirs = getattr(error, "from_student", False)
            hint = f"Your code raised {type(error).__name__}: {error}" if theirs else _unexpected(error)
            return _failed(error, hint, detail=not theirs)
    text = printed.getvalue()
    return Verdict(True, score, shown=tuple(t[:TEXT] for t in [*shown, text] if t))


def _run(source: str, space: dict[str, Any]) -> Any:
    """Execute a cell; give the value of its last line, as a notebook would show it."""
    tree = ast.parse(source)
    last: Any = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<check>", "exec"), space)
    return eval(compile(ast.Expression(last.value), "<check>", "eval"), space) if last else None


def _score(value: Any, channel: Any) -> float | None:
    """Read the value of a check's last line as partial credit.

    Raises:
        ValueError: if it is a number that the student's process gave, or not finite.
    """
    if type(value) not in (int, float):
        return None
    if any(value is number for number in channel.received) or not math.isfinite(value):
        raise ValueError("a check has to end with nothing or a finite number of its own")
    return float(value)


def _failed(error: BaseException, hint: str, detail: bool = False) -> Verdict:
    """A verdict of no points, with what the student is told and, where a check itself broke, what the instructor can read."""
    trace = "".join(traceback.format_exception(error, limit=-5)) if detail else ""
    return Verdict(False, None, type(error).__name__[:100], hint[:TEXT], trace[-TEXT:])


def _unexpected(error: BaseException) -> str:
    """Tell a student that the check itself stopped, without a word of its source."""
    return f"The check could not make sense of what your code gives ({type(error).__name__}): does it return what the exercise asks for?"


@contextlib.contextmanager
def _display_into(shown: list[str]) -> Iterator[None]:
    """Collect the text of what is displayed: there is no notebook here."""
    from unittest.mock import patch

    def display(*things: Any, raw: bool = False, **_: Any) -> None:
        shown.extend(str(t.get("text/plain", "")) if raw and isinstance(t, dict) else repr(t) for t in things)

    with patch("IPython.display.display", display):
        yield


if __name__ == "__main__":
    main()
