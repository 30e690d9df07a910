"""Lint for a human: what in a submission reaches further than an exercise needs to.

Nothing here changes a mark. Honest work is seldom flagged, a determined attacker can hide from
it, and the sandbox does not rely on it: it only says where a person may want to look.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from course.intake.python import parsed, to_python, unparsed

MODULES = {
    "ctypes": "memory",
    "cffi": "memory",
    "mmap": "memory",
    "gc": "memory",
    "inspect": "frames",
    "traceback": "frames",
    "faulthandler": "frames",
    "subprocess": "shell",
    "pty": "shell",
    "os": "operating system",
    "posix": "operating system",
    "shutil": "operating system",
    "signal": "operating system",
    "resource": "operating system",
    "multiprocessing": "operating system",
    "atexit": "operating system",
    "threading": "operating system",
    "socket": "network",
    "ssl": "network",
    "urllib": "network",
    "http": "network",
    "requests": "network",
    "httpx": "network",
    "ftplib": "network",
    "smtplib": "network",
    "zmq": "network",
    "importlib": "modules",
    "runpy": "modules",
    "imp": "modules",
    "builtins": "modules",
    "sqlite3": "the gradebook",
    "nbgrader": "the gradebook",
    "course": "the gradebook",
    "nbformat": "the gradebook",
    "pickle": "code from data",
    "marshal": "code from data",
    "mock": "patched modules",
    "unittest": "patched modules",
    "ipykernel": "the kernel",
    "jupyter_client": "the kernel",
    "IPython": "the kernel",
}
CALLS = {
    "eval": "code from text",
    "exec": "code from text",
    "compile": "code from text",
    "__import__": "modules",
    "open": "files",
    "breakpoint": "frames",
    "globals": "the kernel",
    "get_ipython": "the kernel",
    "exit": "the kernel",
    "quit": "the kernel",
}
ATTRIBUTES = {
    "_getframe": "frames",
    "f_back": "frames",
    "f_globals": "frames",
    "f_locals": "frames",
    "tb_frame": "frames",
    "tb_next": "frames",
    "__traceback__": "frames",
    "currentframe": "frames",
    "settrace": "frames",
    "setprofile": "frames",
    "__globals__": "frames",
    "__code__": "patched functions",
    "__closure__": "patched functions",
    "__wrapped__": "patched functions",
    "__subclasses__": "frames",
    "__builtins__": "modules",
    "__loader__": "modules",
    "meta_path": "modules",
    "displayhook": "the kernel",
    "excepthook": "the kernel",
    "display_pub": "the kernel",
    "user_ns": "the kernel",
    "history_manager": "the kernel",
    "read_text": "files",
    "read_bytes": "files",
    "write_text": "files",
    "write_bytes": "files",
    "fromfile": "files",
    "memmap": "files",
    "environ": "operating system",
    "system": "shell",
    "popen": "shell",
}
KERNEL_NAMES = {"In", "Out", "_ih", "_oh", "_dh", "__builtins__"}
COMPARISONS = {
    "__eq__",
    "__ne__",
    "__lt__",
    "__le__",
    "__gt__",
    "__ge__",
    "__bool__",
    "__array__",
    "__array_ufunc__",
    "__array_function__",
}
TEXTS = {
    re.compile(r"solutions?/|BEGIN (HIDDEN TESTS|SOLUTION|MARK SCHEME)"): "the reference solution",
    re.compile(r"gradebook|nbgrader|autograded"): "the gradebook",
    re.compile(r"/proc/|/etc/|~/\.|\.ssh"): "files",
}
HARMLESS_MAGICS = {
    "matplotlib",
    "time",
    "timeit",
    "capture",
    "prun",
    "autoreload",
    "load_ext",
    "precision",
    "config",
    "pip",
    "conda",
}


@dataclass(frozen=True)
class Finding:
    """One place worth a look: which cell and line, what it reaches for, and the words that say so."""

    cell: str
    line: int
    reach: str
    words: str

    def __str__(self) -> str:
        return f"{self.cell}, line {self.line}: {self.reach} ({self.words})"


def reaches(cells: Iterable[tuple[str, str]]) -> list[Finding]:
    """List what a submission's own cells reach for beyond an exercise.

    Args:
        cells: pairs (id, source) of the answer and extra code cells, in order.

    Returns:
        One finding a line and kind of reach, in the order of the cells.
    """
    findings: dict[tuple[str, int, str], Finding] = {}
    for cell, source in cells:
        text = to_python(source)
        if text is None:
            continue
        for line, reach, words in _walk(text):
            findings.setdefault((cell, line, reach), Finding(cell, line, reach, words[:60]))
    return list(findings.values())


def _walk(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield (line, reach, words) for Python text."""
    tree = parsed(text)
    if tree is None:
        return
    modules = {
        a.asname or a.name.partition(".")[0]
        for n in ast.walk(tree)
        if isinstance(n, ast.Import)
        for a in n.names
    }
    modules |= {a.asname or a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    in_a_magic = {
        id(n.func.value)
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)
    }
    for node in ast.walk(tree):
        if not (id(node) in in_a_magic and _root(getattr(node, "func", node)) == "get_ipython"):
            yield from ((getattr(node, "lineno", 1), reach, words) for reach, words in _look(node, modules))


def _look(node: ast.AST, modules: set[str]) -> Iterator[tuple[str, str]]:
    """Yield (reach, words) for one node of a syntax tree; `modules` are the names imported beside it."""
    match node:
        case ast.Import(names=names):
            yield from _imported([alias.name for alias in names])
        case ast.ImportFrom(module=str(module), names=names):
            yield from _imported([module])
            yield from ((ATTRIBUTES[a.name], f"import {a.name}") for a in names if a.name in ATTRIBUTES)
        case ast.Call(
            func=ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython")), attr=method), args=args
        ):
            yield from _magic(method, [a.value if isinstance(a, ast.Constant) else "" for a in args])
        case ast.Call(func=ast.Name(id=("setattr" | "delattr") as name), args=[target, *_]) if (
            _root(target) in modules
        ):
            yield "patched modules", f"{name}({unparsed(target)}, ...)"
        case ast.Call(func=ast.Name(id=name)) if name in CALLS:
            yield CALLS[name], f"{name}()"
        case ast.Attribute(ctx=ast.Store() | ast.Del()) if _root(node) in modules:
            yield "patched modules", f"{unparsed(node)} = ..."
        case ast.Attribute(value=ast.Name(id="sys"), attr="modules"):
            yield "modules", "sys.modules"
        case ast.Attribute(attr=name) if name in ATTRIBUTES:
            yield ATTRIBUTES[name], f".{name}"
        case ast.Subscript(ctx=ast.Store() | ast.Del(), value=ast.Attribute(attr="__dict__")):
            yield "patched modules", unparsed(node)
        case ast.Name(id=name) if name in KERNEL_NAMES:
            yield "the kernel", name
        case ast.FunctionDef(name=name) if name in COMPARISONS and _is_constant(node):
            yield "patched comparison", f"def {name} that returns a constant"
        case ast.Constant(value=str(value)):
            yield from ((reach, value) for pattern, reach in TEXTS.items() if pattern.search(value))


def _imported(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Look at imported modules; `helpers.checks` counts too, a submission has no need to import it again."""
    for name in names:
        reach = MODULES.get(name.partition(".")[0]) or (
            "the checks" if name.startswith("helpers.checks") else None
        )
        if reach:
            yield reach, f"import {name}"


def _magic(method: str, args: list[Any]) -> Iterator[tuple[str, str]]:
    """Look at what IPython makes of %, %% and ! lines."""
    words = " ".join(str(arg) for arg in args)
    if method in ("system", "getoutput"):
        yield "shell", f"!{words}"
    elif method in ("run_line_magic", "run_cell_magic") and args:
        if args[0] not in HARMLESS_MAGICS:
            yield "shell", f"%{words}"
        elif method == "run_cell_magic" and len(args) == 3 and (body := to_python(str(args[2]))):
            yield from ((reach, inner) for _, reach, inner in _walk(body))
    else:
        yield "the kernel", f"get_ipython().{method}"


def _root(node: ast.AST) -> str | None:
    """The name that a chain of attributes and items starts from."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _is_constant(function: ast.FunctionDef) -> bool:
    """Tell whether a function does nothing but return a constant."""
    body = [n for n in function.body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
    return (
        len(body) == 1
        and isinstance(body[0], ast.Return)
        and isinstance(body[0].value, (ast.Constant, type(None)))
    )
