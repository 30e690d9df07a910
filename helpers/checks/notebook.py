"""What a check can know about the notebook that it runs in: whether the definition it is given is the last one."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
from collections.abc import Container
from typing import Any

from helpers.checks.core import CheckFailed


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
    binds = re.compile(rf"^(?:async\s+)?(?:def|class)\s+{name}\b", re.MULTILINE)
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


def explain_missing_names(exercises: Container[str]) -> None:
    """In a notebook, let a check whose exercise was not run yet say so in one sentence.

    Args:
        exercises: names that are looked for; any other missing name is shown as ever.
    """
    shell = _shell()
    if shell is None:
        return

    def explain(shell: Any, kind: type, error: NameError, trace: Any, tb_offset: Any = None) -> None:
        cell = shell.history_manager.input_hist_raw[-1]
        if error.name in exercises and f"check.{error.name}(" in cell:
            error = CheckFailed(
                f"`{error.name}` is not defined yet: run the cell of the exercise, then this one."
            )
            shell._showtraceback(CheckFailed, error, error._render_traceback_())
        else:
            shell.showtraceback((kind, error, trace), tb_offset=tb_offset)

    shell.set_custom_exc((NameError,), explain)


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
