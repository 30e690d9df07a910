"""What the student edition does not show: asserts, which would answer a prediction, and the marks of solutions."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

CHECKING = (ast.For, ast.While, ast.With, ast.If)  # without asserts, one of these may have nothing left to do


def without_asserts(source: str) -> str:
    """Take the asserts out of a cell, and loops and conditions that hold nothing else.

    Args:
        source: of a code cell, plain Python.

    Returns:
        The rest as it stands; the source itself where there is none. An assert that shares its line is left.
    """
    if "assert" not in source:
        return source
    gone = {
        number
        for statement in _only_asserts(ast.parse(source).body)
        for number in range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
    }
    lines = enumerate(source.splitlines(), 1)
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(line for n, line in lines if n not in gone)).strip("\n")


def without_markers(source: str) -> str:
    """A solution without the lines that begin and end it."""
    return "\n".join(line for line in source.splitlines() if not line.strip().startswith("### ")) + "\n"


def has_assert(source: str) -> bool:
    """Whether a cell holds an assert."""
    return "assert" in source and any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(source)))


def _only_asserts(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Statements that are, or hold, nothing but asserts, at any depth; none where a body would be left empty."""
    found: list[ast.stmt] = []
    for statement in body:
        inner = [
            part
            for name in ("body", "orelse", "handlers", "finalbody")
            for part in getattr(statement, name, [])
        ]
        if isinstance(statement, ast.Assert):
            found.append(statement)
        elif inner:
            parts = [
                part
                for each in inner
                for part in (each.body if isinstance(each, ast.ExceptHandler) else [each])
            ]
            below = _only_asserts(parts)
            whole = isinstance(statement, CHECKING) and all(part in below for part in parts)
            found += [statement] if whole else below
    return found
