"""A cell's source as Python: what IPython would make of it, parsed, and the names that it binds."""

from __future__ import annotations

import ast
import re
import warnings
from functools import lru_cache

_BINDS = re.compile(r"^(?:async\s+def|def|class)\s+(\w+)|^(\w+)[ \t]*(?::[^=\n]+)?=(?!=)", re.M)
_MAGIC = re.compile(r"^[ \t]*[%!?]|\?[ \t]*$", re.M)
MAGICS = 100  # lines of magic that are translated: IPython takes time with their square, and gives up at 500
_BROKEN = (SyntaxError, ValueError, RecursionError, MemoryError)


@lru_cache(maxsize=256)
def to_python(source: str) -> str | None:
    """Turn a cell's source into plain Python, its magics written as calls.

    Args:
        source: what stands in a code cell.

    Returns:
        Python text, or None where IPython would not run it either.
    """
    if parsed(source) is not None:
        return source
    if len(_MAGIC.findall(source)) > MAGICS:
        return None
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = TransformerManager().transform_cell(source)
    except (
        Exception
    ):  # an honest typo such as x =%''' is an IndexError in there, 501 lines of !true a RuntimeError
        return None
    return text if parsed(text) is not None else None


def forget() -> None:
    """Keep nothing of what was read so far."""
    to_python.cache_clear()
    parsed.cache_clear()


@lru_cache(maxsize=256)
def parsed(text: str) -> ast.Module | None:
    """The syntax tree of Python text; None if it does not compile. It is shared: not to be changed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except _BROKEN:
        return None


def defined(source: str) -> frozenset[str]:
    """Names that code defines or assigns at the start of a line; also where it does not compile."""
    names = frozenset(name for pair in _BINDS.findall(source) for name in pair if name)
    if names and ('"""' in source or "'''" in source) and (tree := parsed(source)) is not None:
        names &= frozenset().union(*map(bound_by, tree.body))  # what stands in a text is not defined
    return names


def bound(source: str) -> frozenset[str]:
    """All names that code binds at its top level, imports included; none where it does not compile."""
    text = to_python(source)
    tree = None if text is None else parsed(text)
    return frozenset() if tree is None else frozenset().union(*map(bound_by, tree.body))


def bound_by(statement: ast.stmt) -> frozenset[str]:
    """Names that one statement binds in the scope it stands in."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return frozenset({statement.name})
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return frozenset(alias.asname or alias.name.partition(".")[0] for alias in statement.names)
    return frozenset(
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )


def unparsed(node: ast.AST) -> str:
    """Python text of a tree; of one that is nested too deeply to be written, its kind."""
    try:
        return ast.unparse(node)
    except RecursionError:
        return f"{type(node).__name__}, nested too deeply to be written out"
