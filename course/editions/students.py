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
        The same program without them, otherwise as it stands; the source itself where there is none.
    """
    if not has_assert(source):
        return source
    gone, empty = _gone(ast.parse(source).body)
    lines = [line.encode() for line in source.splitlines()]  # positions are counted in bytes
    for statement in sorted([*gone, *empty], key=lambda each: (each.lineno, each.col_offset), reverse=True):
        first, last = statement.lineno - 1, (statement.end_lineno or statement.lineno) - 1
        before, after = lines[first][: statement.col_offset], lines[last][statement.end_col_offset :]
        alone = not before.strip() and (not after.strip() or after.lstrip().startswith(b"#"))
        lines[first : last + 1] = [] if alone and statement in gone else [before + b"pass" + after]
    return re.sub(r"\n{4,}", "\n\n\n", b"\n".join(lines).decode()).strip("\n")


def without_markers(source: str) -> str:
    """A solution without the lines that begin and end it."""
    return (
        "\n".join(
            line for line in source.splitlines() if not line.strip().startswith(("### BEGIN ", "### END "))
        )
        + "\n"
    )


def has_assert(source: str) -> bool:
    """Whether a cell holds an assert."""
    return "assert" in source and any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(source)))


def _gone(body: Sequence[ast.stmt]) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """Statements that are, or hold, nothing but asserts; apart from them those without which a body would be empty."""
    gone: list[ast.stmt] = []
    empty: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, ast.Assert):
            gone.append(statement)
            continue
        bodies = [
            getattr(part, name, []) for part in _parts(statement) for name in ("body", "orelse", "finalbody")
        ]
        found = [(each, *_gone(each)) for each in bodies if each]
        if (
            found
            and isinstance(statement, CHECKING)
            and all(set(each) == set(inner) for each, inner, _ in found)
        ):
            gone.append(statement)
            continue
        for each, inner, below in found:
            needed = inner[-1:] if set(each) == set(inner) else []
            gone += [part for part in inner if part not in needed]
            empty += [*needed, *below]
    return gone, empty


def _parts(statement: ast.stmt) -> list[ast.AST]:
    """A statement, its handlers and its cases: whatever has a body of its own."""
    return [statement, *getattr(statement, "handlers", []), *getattr(statement, "cases", [])]
