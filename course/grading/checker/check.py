"""Run the checks of one submission on the student's names, each within limits of its own."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import math
import os
import signal
import socket
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from course.grading.bridge.studentside import REPLY_BYTES
from course.model import Verdict

LINE_BYTES = 6 * REPLY_BYTES + 1_000  # of an answer each byte may be six in JSON
TEXT = 4_000


class TooMuchComputing(BaseException):
    """A check computed for longer than it may, on what a student's answer gave it."""


def run_checks(connection: socket.socket, setup: list[str], space: dict[str, Any] | None) -> None:
    """Run the checks that the grader sends, asking back over the same socket, up to one that may leave something behind.

    That is one that does not pass, or whose cell does more than call declared checks; what it leaves is in no other check's way.
    Arguments are those of `check`.
    """
    stream = connection.makefile("rw", encoding="ascii", newline="\n")

    def ask(message: str) -> str:
        stream.write(json.dumps({"ask": message}) + "\n")
        stream.flush()
        return str(json.loads(stream.readline(LINE_BYTES))["answer"])

    begun, last = dict(space or {}), False
    while not last and (line := stream.readline(LINE_BYTES)):
        job = json.loads(line)
        limit_check(job["cpu"], job["memory"])
        verdict = check(job["name"], setup, job["source"], ask, space)
        last = not (verdict.passed and calls_declared_checks(job["source"], begun))
        stream.write(json.dumps(asdict(verdict) | {"last": last}) + "\n")
        stream.flush()
        if space is not None:  # the very dict in which functions of the setup cells look their names up
            space.clear()
            space.update(begun)


def calls_declared_checks(source: str, space: dict[str, Any]) -> bool:
    """Tell whether a cell does nothing but call checks of declared exercises, which copy what they hand out, draw numbers of their own and keep nothing.

    Args:
        source: of a check cell, hidden tests included.
        space: what the setup cells define.
    """
    from helpers.checks.exercise import Checks

    def plain(node: ast.expr) -> bool:
        if isinstance(node, ast.Attribute):
            return isinstance(node.value, ast.Name) and isinstance(space.get(node.value.id), Checks)
        return isinstance(node, ast.Name) and node.id not in space

    def ours(statement: ast.stmt) -> bool:
        if isinstance(statement, ast.ImportFrom):
            return statement.module == "course.exercises"
        call = statement.value if isinstance(statement, ast.Expr) else None
        if not isinstance(call, ast.Call) or call.keywords or not all(map(plain, call.args)):
            return False
        return plain(call.func) and (
            isinstance(call.func, ast.Attribute) or ast.unparse(call.func) == "hidden"
        )

    return all(map(ours, ast.parse(source).body))


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


def set_up(setup: list[str]) -> dict[str, Any]:
    """Run setup cells; give their names. What they print or show belongs to no check."""
    space: dict[str, Any] = {"__name__": "__main__"}
    nowhere = io.StringIO()
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere), _display_into([]):
        for cell in setup:
            exec(compile(cell, "<setup>", "exec"), space)
    return space


def check(name: str, setup: list[str], source: str, ask: Any, space: dict[str, Any] | None = None) -> Verdict:
    """Run one check on the student's names.

    Args:
        name: grade_id of the check, under which the student's process keeps its snapshot.
        setup: sources of the notebook's setup cells.
        source: the check cell, hidden tests included.
        ask: hands a message to the student's process and returns its answer.
        space: their names, where they have been run; the check leaves its own in it.

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
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()), _display_into(shown):
        try:
            if space is None:
                space = set_up(setup)
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
        ValueError: if it is a number that the student's process gave, not finite, or no float.
    """
    if type(value) not in (int, float):
        return None
    # Of equal integers Python keeps one alone: none could be told from the student's.
    if type(value) is int or any(value is number for number in channel.received) or not math.isfinite(value):
        raise ValueError("a check has to end with nothing or a finite float of its own")
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
