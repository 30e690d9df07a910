"""What can be known about the notebook that a check runs in: its last definitions, and which cells wait for an answer."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import symtable
from collections.abc import Mapping
from typing import Any

from helpers.checks.core import CheckFailed, say


def outdated(name: str, answer: Any) -> str:
    """Tell whether the cell that defines a name was run since, and did not come to its end.

    Args:
        name: of the exercise.
        answer: what the name means now.

    Returns:
        A hint that says so; empty if the definition is the last one, or where there is no notebook.
    """
    shell = _shell()
    if shell is None:
        return ""
    history = shell.history_manager
    binds = re.compile(rf"^(?:(?:async\s+)?(?:def|class)\s+{name}\b|{name}\s*(?::.+)?=[^=])", re.MULTILINE)
    for number in range(len(history.input_hist_raw) - 1, 0, -1):
        raw = history.input_hist_raw[number]
        if not binds.search(raw):
            continue
        try:
            ast.parse(shell.transform_cell(raw))
        except SyntaxError as error:
            return (
                f"The cell of `{name}` was run last with a SyntaxError in line {error.lineno} ({error.msg}), so "
                "what it defined before still stands, and that is not judged. Mend the cell, run it, then this one."
            )
        cell = "".join(
            linecache.getlines(_file(answer))
        ).strip()  # IPython keeps the text of every cell there
        if cell and cell != shell.transform_cell(raw).strip():
            return (
                f"The cell of `{name}` stopped when it was run last, before `{name}` was defined anew, so an older "
                "definition still stands, and that is not judged. Mend the cell, run it, then this one."
            )
        return ""
    return ""


def running_cell() -> str | None:
    """The source of the notebook's cell that runs now; None where there is no notebook."""
    shell = _shell()
    return None if shell is None else str(shell.transform_cell(shell.history_manager.input_hist_raw[-1]))


def watch(exercises: Mapping[str, int]) -> None:
    """In a notebook, let a cell that fails for want of an answer say so in a line; anything else is shown as ever.

    Args:
        exercises: name -> number, of the lesson.
    """
    shell = _shell()
    if shell is not None:
        desk = _Waiting(exercises)
        shell.set_custom_exc((NameError, NotImplementedError), desk.explain)
        shell.events.register("post_run_cell", desk.forgive)


class _Waiting:
    """Which names wait for which exercise, since the cell that makes them does."""

    def __init__(self, exercises: Mapping[str, int]):
        self.exercises = exercises
        self.names: dict[str, str] = {}
        self.excused: BaseException | None = None

    def explain(self, shell: Any, kind: type, error: Any, trace: Any, tb_offset: Any = None) -> None:
        """Show what a cell failed of (the signature is IPython's)."""
        cell = shell.history_manager.input_hist_raw[-1]
        if kind is NameError and error.name in self.exercises and f"check.{error.name}(" in cell:
            error = CheckFailed(
                f"`{error.name}` is not defined yet: run the cell of the exercise, then this one."
            )
            shell._showtraceback(CheckFailed, error, error._render_traceback_())
        elif kind is NameError and re.match(r"predict\(", cell.lstrip()):
            self._excuse(error, f'A word stands in quotes: "{error.name}".')
        elif exercise := self._waited_for(kind, error, trace):
            self.names |= dict.fromkeys(_made_by(cell) - shell.user_ns.keys(), exercise)
            self._excuse(error, f"This cell waits for Exercise {self.exercises[exercise]} ({exercise}).")
        else:
            shell.showtraceback((kind, error, trace), tb_offset=tb_offset)

    def forgive(self, result: Any) -> None:
        """Count a cell that waits as one that ran: *Run All* goes on behind it, in whatever shows the notebook."""
        if self.excused is not None and getattr(result, "error_in_exec", None) is self.excused:
            result.error_in_exec = None
        self.excused = None

    def _excuse(self, error: BaseException, line: str) -> None:
        self.excused = error
        say(line)

    def _waited_for(self, kind: type, error: Any, trace: Any) -> str:
        """The exercise whose stub was called, or that a missing name comes from; empty if it is something else."""
        if kind is NameError:
            return error.name if error.name in self.exercises else self.names.get(error.name, "")
        while trace.tb_next:
            trace = trace.tb_next
        name = str(trace.tb_frame.f_code.co_qualname.partition(".")[0])
        return name if kind is NotImplementedError and name in self.exercises else ""


def _made_by(cell: str) -> set[str]:
    """Names that a cell binds at its top level; none if it is no plain Python."""
    try:
        symbols = symtable.symtable(cell, "<cell>", "exec").get_symbols()
    except (SyntaxError, ValueError):
        return set()
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}


def _shell() -> Any:
    """The notebook's IPython; None outside of one."""
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def _file(answer: Any) -> str:
    """The file name of the code that a cell defined; empty for what comes from elsewhere."""
    found = answer
    if inspect.isclass(answer):
        found = next((each for each in vars(answer).values() if inspect.isfunction(each)), None)
    code = getattr(inspect.unwrap(found) if callable(found) else found, "__code__", None)
    return code.co_filename if code and re.search(r"ipykernel|ipython-input", code.co_filename) else ""
