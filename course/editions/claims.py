"""One run of a lesson's cells in which the asserts of claims are written down and stop nothing.

`replicate` starts this module as a program, one process a run: a `Script` as JSON comes in, an `Result` as JSON goes
out. It imports nothing of the course and no notebook software, so that a run costs what its cells cost.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

RECORD = "__recorded__"  # what an assert of a claim becomes a call of


@dataclass(frozen=True)
class Code:
    """One code cell: its id, its source, and, where it states something, the claim's name and effect's variable."""

    id: str
    source: str
    claim: str = ""
    effect: str = ""


@dataclass(frozen=True)
class Script:
    """The cells of one run, in order."""

    cells: tuple[Code, ...]

    @classmethod
    def from_json(cls, text: str) -> Script:
        """Read what `json.dumps(asdict(script))` wrote."""
        return cls(tuple(Code(**cell) for cell in json.loads(text)["cells"]))


@dataclass(frozen=True)
class Observed:
    """What one run saw of a claim: the asserts that failed, and the effect, one number or one a seed."""

    held: bool
    failed: tuple[str, ...] = ()
    effect: tuple[float, ...] = ()


@dataclass(frozen=True)
class Result:
    """What one run gave: claim -> what was seen of it, cell -> the error it raised, CPU seconds."""

    claims: dict[str, Observed]
    errors: dict[str, str]
    seconds: float = field(default=0.0, compare=False)

    @classmethod
    def from_json(cls, text: str) -> Result:
        """Read what `json.dumps(asdict(outcome))` wrote.

        Raises:
            ValueError, KeyError, TypeError: if it is something else.
        """
        words = json.loads(text)
        claims = {
            name: Observed(seen["held"], tuple(seen["failed"]), tuple(seen["effect"]))
            for name, seen in words["claims"].items()
        }
        return cls(claims, words["errors"], words["seconds"])


def run(script: Script) -> Result:
    """Run the cells in one namespace, as a kernel would; a cell that raises does not stop the next.

    Args:
        script: the cells.

    Returns:
        What was seen. A claim holds if none of its asserts failed and its cell did not raise.
    """
    start = time.process_time()
    names: dict[str, Any] = {"__name__": "__main__"}
    claims: dict[str, Observed] = {}
    errors: dict[str, str] = {}
    for cell in script.cells:
        failed: list[str] = []
        names[RECORD] = _recorder(failed)
        effect: tuple[float, ...] = ()
        try:
            exec(compiled(cell), names)
            if cell.effect:
                effect = numbers(names[cell.effect])
        except (Exception, SystemExit) as error:
            errors[cell.id] = f"{type(error).__name__}: {error}"
        if cell.claim:
            claims[cell.claim] = Observed(not failed and cell.id not in errors, tuple(failed), effect)
    return Result(claims, errors, round(time.process_time() - start, 2))


def compiled(cell: Code) -> Any:
    """Compile a cell; in a claim every `assert`, in functions too, becomes a call that records it."""
    tree = ast.parse(cell.source, f"<{cell.id}>")
    if cell.claim:
        tree = ast.fix_missing_locations(_Recording().visit(tree))
    return compile(tree, f"<{cell.id}>", "exec")


def numbers(value: Any) -> tuple[float, ...]:
    """Give a number, array or tensor as a flat tuple of floats.

    Raises:
        TypeError, ValueError: if it is not made of numbers.
    """
    import numpy as np

    plain = value.detach() if hasattr(value, "detach") else value
    return tuple(np.asarray(plain, float).ravel().tolist())


class _Recording(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        words = [node.test, ast.Constant(ast.unparse(node.test))]
        call = ast.Call(ast.Name(RECORD, ast.Load()), words, [])
        return ast.copy_location(ast.Expr(call), node)


def _recorder(failed: list[str]) -> Callable[[object, str], None]:
    """Make the function that an assert calls: it notes the text of a condition that does not hold."""

    def record(condition: object, text: str) -> None:
        if not condition:
            failed.append(text)

    return record


def main() -> None:
    """Read a script from stdin, run it in silence, write the outcome to stdout."""
    script = Script.from_json(sys.stdin.read())
    silence = io.StringIO()
    with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = run(script)
    json.dump(asdict(outcome), sys.stdout)


if __name__ == "__main__":
    main()
