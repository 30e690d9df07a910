"""How an exercise is given up: the line that says so, found in the text of a cell without running it."""

from __future__ import annotations

import ast

TOLD = (
    "`{name}` is given up for now: no points, and the rest of the lesson runs. Come back any time: write your "
    "answer in its cell in place of give_up."
)
FORM = (
    '`{name} = give_up("{name}")` stands on a line of its own in the cell of the exercise, as the last line that '
    "defines `{name}`: only there does the rest of the lesson keep its points."
)


def given_up(name: str, source: str) -> tuple[int, int] | None:
    """Find the line by which a cell gives an exercise up.

    Args:
        name: of the exercise.
        source: of the cell.

    Returns:
        First and last line of `name = give_up("name")`, if the cell ends up with that; else None.
    """
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found, above = None, 0  # the last line of the statement before
    for statement, after in zip(body, [*body, None][1:], strict=True):
        first, last = statement.lineno, statement.end_lineno or statement.lineno
        match statement:
            case ast.Assign(
                targets=[ast.Name(id=target)],
                value=ast.Call(func=ast.Name(id="give_up"), args=[ast.Constant(value=said)], keywords=[]),
            ) if target == said == name:
                alone = above < first and (after is None or last < after.lineno)
                found = (first, last) if alone else None
            case _ if name in _bound(statement):
                found = None
        above = last
    return found


def _bound(statement: ast.stmt) -> set[str]:
    """Names that a statement may bind in the notebook; what a function binds inside counts, too."""
    names = set()
    for node in ast.walk(statement):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
    return names
