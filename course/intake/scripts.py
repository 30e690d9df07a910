"""Scripts that notebooks were exported to, split into cells again, in every dialect that is about.

Cells marked by `# %%` (jupytext, VS Code, Spyder, PyCharm), `# In[3]:` (nbconvert), `# +` (jupytext's light
form), `# COMMAND ----------` (Databricks), by marimo's functions, or by nothing (Colab, bare scripts).
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator

from course.intake.python import parsed, to_python
from course.intake.sheet import Unreadable

Raw = dict[str, str]  # "cell_type" and "source", as in a notebook
_PERCENT = re.compile(r"^#[ \t]*%%(?:[ \t].*|\[.*)?$|^# ?<(?:code|markdown|html|raw)cell>.*$", re.M)
_IN = re.compile(r"^# ?In ?\[[ \d*]*\]:?.*$", re.M)
_LIGHT = re.compile(r"^# (?:\+(?: .*)?|-)$", re.M)
_DATABRICKS = re.compile(r"^# COMMAND -+[ \t]*$", re.M)
_MARIMO = re.compile(r"^app = marimo\.App\(", re.M)
_PROSE = re.compile(r"\[(?:markdown|md)\]|%%[ \t]+(?:md|markdown)\b|<markdowncell>", re.I)
_MAGIC_PROSE = re.compile(r"\s*%%?(?:markdown|md-sandbox|md)(?![\w-])[ \t]*\n?")
_STARTS = re.compile(r"@|(?:async[ \t]+)?(?:def|class)[ \t]")
_DEFINES = re.compile(r"^(?:async[ \t]+)?(?:def|class)[ \t]+\w+.*:[ \t]*(?:#.*)?$", re.M)


def split_script(text: str) -> list[Raw]:
    """Split a script into cells.

    Args:
        text: of a file that is no JSON.

    Returns:
        Cells of code and of prose, in order.

    Raises:
        Unreadable: if it is no Python and no dialect of it.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")
    for marks, split in _DIALECTS:
        if marks.search(text):
            return [cell for cell in split(text) if cell["source"].strip()]
    if to_python(text) is None and not _DEFINES.search(text):
        raise Unreadable("neither a notebook nor a Python script")
    return list(_unmarked(text))


def prose_of_magic(source: str) -> str | None:
    """The prose of a cell of code that begins with %md, as Databricks writes them, or %%markdown; else None."""
    found = _MAGIC_PROSE.match(source)
    return source[found.end() :] if found else None


def _code(source: str) -> Raw:
    return {"cell_type": "code", "source": source.strip("\n")}


def _prose(source: str) -> Raw:
    return {"cell_type": "markdown", "source": source.strip("\n")}


def _uncommented(text: str) -> str:
    """Prose that stands behind `#`, or in a string of its own."""
    if text.lstrip("rR").startswith(('"""', "'''")) and (tree := parsed(text)) is not None:
        words = [_text(statement) for statement in tree.body]
        if len(words) == 1 and words[0] is not None:
            return words[0]
    return re.sub(r"^# ?", "", text, flags=re.M)


def _text(statement: ast.stmt) -> str | None:
    """The text of a statement that is nothing but a string."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


# Cells between marks


def _between(marks: re.Pattern[str], text: str) -> Iterator[tuple[str, str]]:
    """Yield (mark, what follows it); what comes before the first mark has none."""
    heads = ["", *(found[0] for found in marks.finditer(text))]
    bodies = marks.split(text)
    yield from ((head, body.strip("\n")) for head, body in zip(heads, bodies, strict=True) if body.strip())


def _percent(text: str) -> Iterator[Raw]:
    for head, body in _between(_PERCENT, text):
        if not head:
            yield from _header(body)
        elif _PROSE.search(head):
            yield _prose(_uncommented(body))
        else:
            yield _code(body)


def _numbered(text: str) -> Iterator[Raw]:
    """nbconvert marks cells of code alone: comments behind the code are prose."""
    for head, body in _between(_IN, text):
        yield from _unmarked(body) if not head else _with_prose_behind(body)


def _with_prose_behind(body: str) -> Iterator[Raw]:
    paragraphs = re.split(r"\n[ \t]*\n\s*", body)
    code = len(paragraphs)
    while code > 1 and _is_comment(paragraphs[code - 1]):
        code -= 1
    rest = body
    for paragraph in reversed(paragraphs[code:]):  # cut off behind, so that blank lines within the code stay
        rest = rest[: rest.rindex(paragraph)]
    yield _code(rest.rstrip())
    yield from (_prose(_uncommented(paragraph)) for paragraph in paragraphs[code:])


def _light(text: str) -> Iterator[Raw]:
    """`# +` opens a cell, `# -` closes it; outside of both, comments are prose."""
    for head, body in _between(_LIGHT, text):
        if _PROSE.search(head):
            yield _prose(_uncommented(body))
        elif head.startswith("# +"):
            yield _code(body)
        else:
            yield from _header(body)


def _header(body: str) -> Iterator[Raw]:
    """What stands outside of marked cells; jupytext's own lines about the format are no cell."""
    if body.startswith("# ---\n") and "\n# ---" in body[5:]:
        body = body[body.index("\n# ---", 5) + 6 :]
    yield from _unmarked(body)


def _databricks(text: str) -> Iterator[Raw]:
    for _, body in _between(_DATABRICKS, text):
        lines = [
            line
            for line in body.splitlines()
            if not line.startswith(("# Databricks notebook source", "# DBTITLE"))
        ]
        if all(line.startswith("# MAGIC") for line in lines if line.strip()):
            source = "\n".join(line.removeprefix("# MAGIC").removeprefix(" ") for line in lines).strip("\n")
            prose = prose_of_magic(source)
            yield _code(source.removeprefix("%python")) if prose is None else _prose(prose)
        else:
            yield _code("\n".join(lines))


# marimo


def _marimo(text: str) -> Iterator[Raw]:
    """A function a cell, its body indented, what it hands on in a `return`."""
    tree, lines = parsed(text), text.splitlines()
    if tree is None:
        for head, body in _between(re.compile(r"^@app\..*$", re.M), text):
            if head:
                yield _code(_dedented(re.sub(r"^(?:async )?def _\w*\(.*$", "", body, count=1, flags=re.M)))
        return
    starts = [_first_line(node) for node in tree.body] + [len(lines) + 1]
    for node, end in zip(tree.body, starts[1:], strict=True):
        kind = next((k for d in getattr(node, "decorator_list", []) if (k := _of_app(d))), "")
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and kind == "cell":
            yield _marimo_cell(node, lines, end)
        elif kind:
            yield _code("\n".join(lines[node.lineno - 1 : end - 1]))
        elif isinstance(node, ast.With) and any(_of_app(i.context_expr) == "setup" for i in node.items):
            yield _code(_dedented("\n".join(lines[node.body[0].lineno - 1 : end - 1])))
        elif isinstance(node, ast.Expr) and _of_app(node.value) == "_unparsable_cell":
            arguments = [a.value for a in getattr(node.value, "args", []) if isinstance(a, ast.Constant)]
            yield _code(_dedented(str(next(iter(arguments), ""))))


def _marimo_cell(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str], end: int) -> Raw:
    body = [s for s in node.body if not (s is node.body[-1] and isinstance(s, ast.Return))]
    if len(body) == 1 and (words := _marimo_prose(body[0], lines)) is not None:
        return _prose(words)
    first = _first_line(node.body[0])
    while first - 1 > node.lineno and lines[first - 2].lstrip()[:1] in ("", "#"):
        first -= 1
    if len(body) < len(node.body):
        end = node.body[-1].lineno
    return _code(_dedented("\n".join(lines[first - 1 : end - 1])))


def _marimo_prose(statement: ast.stmt, lines: list[str]) -> str | None:
    """The text of `mo.md("...")`."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "md"):
        return None
    words = call.args[0] if call.args else None
    if isinstance(words, ast.Constant) and isinstance(words.value, str):
        return inspect.cleandoc(words.value)
    if isinstance(words, ast.JoinedStr):
        return _dedented("\n".join(lines[words.lineno - 1 : words.end_lineno]))
    return None


def _of_app(node: ast.expr) -> str:
    """Which of marimo's `app.cell`, `app.function`, ... this is; empty if none."""
    node = node.func if isinstance(node, ast.Call) else node
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "app":
        return node.attr
    return ""


def _dedented(text: str) -> str:
    """Take off four blanks where a line has them: the exact reverse of how marimo indents, within strings, too."""
    return "\n".join(line.removeprefix("    ") for line in text.splitlines())


# No marks


def _unmarked(text: str) -> Iterator[Raw]:
    """One cell a statement; comments and strings that stand alone are prose."""
    lines = text.splitlines()
    at = 0
    for start, end, words in _statements(text, lines):
        if start < at:  # behind a semicolon
            continue
        lead = "\n".join(lines[at:start])
        above = re.split(r"\n[ \t]*\n", lead.strip("\n")) if lead.strip() else []
        touching = [above.pop()] if above and start and lines[start - 1].strip() else []
        yield from (_prose(_uncommented(paragraph)) for paragraph in above)
        if words is None:
            yield _code("\n".join([*touching, *lines[start:end]]))
        else:
            yield from (_prose(_uncommented(paragraph)) for paragraph in touching)
            yield _prose(words)
        at = end
    rest = "\n".join(lines[at:]).strip("\n")
    if rest:
        yield from (_prose(_uncommented(paragraph)) for paragraph in re.split(r"\n[ \t]*\n", rest))


def _statements(text: str, lines: list[str]) -> list[tuple[int, int, str | None]]:
    """(first line from 0, line behind the last, text of a string that stands alone) of each statement."""
    tree = parsed(text)
    if tree is None:
        magic = to_python(text)
        if magic is not None and len(magic.splitlines()) == len(lines):
            tree = parsed(magic)
    if tree is None:  # it does not compile: its definitions, each to the next one
        starts = [0, *(at for at, line in enumerate(lines) if at and _STARTS.match(line))]
        starts = [a for a in starts if not (a and lines[a - 1].startswith("@"))]
        return [(a, b, None) for a, b in zip(starts, [*starts[1:], len(lines)], strict=True)]
    return [(_first_line(node) - 1, node.end_lineno or node.lineno, _text(node)) for node in tree.body]


def _first_line(node: ast.stmt) -> int:
    """Where a statement begins, its decorators included, from 1."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)])


def _is_comment(paragraph: str) -> bool:
    """Whether every line is a comment."""
    return all(line.startswith("#") for line in paragraph.splitlines() if line.strip())


_DIALECTS: list[tuple[re.Pattern[str], Callable[[str], Iterator[Raw]]]] = [
    (_MARIMO, _marimo),
    (_DATABRICKS, _databricks),
    (_PERCENT, _percent),
    (_IN, _numbered),
    (_LIGHT, _light),
]
