"""Answer the checker's questions in the student's kernel: call this, read that attribute, run this beside it.

Loaded before anything of the student's. It judges nothing and holds no secret: a student who changes it changes
only what their own process answers. Objects that are not plain stay here; the checker gets a number for each.
"""

from __future__ import annotations

import builtins
import importlib
import itertools
import sys
from collections.abc import Callable
from typing import Any

from . import wire

REPLY_BYTES = 32_000_000
ITEMS = 10_000
TEXT = 2_000

_objects: list[Any] = []
_snapshots: dict[str, dict[str, Any]] = {}


def serve(message: str) -> str:
    """Do what a message asks; whatever goes wrong is the answer.

    Args:
        message: a `wire` message of a dict with the operation "do" and its arguments.

    Returns:
        A `wire` message of ("value", result) or ("error", class name, builtin class name, text).
    """
    try:
        request = wire.loads(message, _resolve, REPLY_BYTES)
        result = _OPERATIONS[request.pop("do")](**request)
        return wire.dumps(("value", result), _refer, REPLY_BYTES)
    except BaseException as error:
        return failed(error)


def failed(error: BaseException) -> str:
    """A message of what went wrong."""
    return wire.dumps(("error", *_described(error)), _refer, REPLY_BYTES)


def _described(error: BaseException) -> tuple[str, str, str]:
    """Name of an exception's class, of its nearest builtin class, and its text."""
    kinds = type(error).__mro__
    known = next(k.__name__ for k in kinds if getattr(builtins, k.__name__, None) is k)
    try:
        plain = len(error.args) == 1 and isinstance(error.args[0], str)  # str(KeyError("a")) adds quotes
        text = (error.args[0] if plain else str(error))[:TEXT]
    except BaseException:
        text = ""
    return type(error).__name__[:100], known, text


def _refer(value: Any) -> list[Any]:
    """Keep an object here and hand out its number."""
    _objects.append(value)
    return ["object", len(_objects) - 1, callable(value), type(value).__name__[:100]]


def _resolve(tag: str, *rest: Any) -> Any:
    """Find the object of a number, or what stands at an import path."""
    if tag == "object":
        return _objects[rest[0]]
    if tag == "import":
        module, path = rest
        found = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
        return found
    raise wire.WireError(f"unknown tag {tag!r}")


def _snapshot(check: str) -> None:
    """Keep what every name means here and now, where the check stands in the notebook: it runs later."""
    from IPython import get_ipython

    _snapshots[check] = dict(get_ipython().user_ns)


def _names(check: str, names: list[str]) -> dict[str, Any]:
    """What these names meant where the check stands; those that do not exist or cannot cross are left out."""
    _objects.clear()
    if check not in _snapshots:  # it took too long to keep one: what the names mean now
        _snapshot(check)
    space = _snapshots[check]
    found = {}
    for name in names:
        if name in space:
            try:
                wire.dumps(space[name], lambda _: [], REPLY_BYTES)
            except Exception:
                continue
            found[name] = space[name]
    return found


def unpainted() -> None:
    """Save figures as an empty picture until this cell has run: it is run for what it computes, and nobody will see them."""
    from IPython import get_ipython

    backends = sys.modules.get("matplotlib.backend_bases")
    if not backends:
        return
    canvas, events = backends.FigureCanvasBase, get_ipython().events
    painted = canvas.print_figure

    def empty(self: Any, filename: Any, *words: Any, **options: Any) -> Any:
        return (
            filename.write(b"") if hasattr(filename, "write") else painted(self, filename, *words, **options)
        )

    def paint_again(_: Any) -> None:
        events.unregister("post_run_cell", paint_again)
        canvas.print_figure = painted

    canvas.print_figure = empty
    events.register("post_run_cell", paint_again)


def _call(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return target(*args, **kwargs)


def _items(target: Any) -> list[Any]:
    """What iterating gives, as far as may cross.

    Raises:
        ValueError: if there are more than ITEMS.
    """
    items = list(itertools.islice(target, ITEMS + 1))
    if len(items) > ITEMS:
        raise ValueError(f"more than {ITEMS:,} items")
    return items


def _text(target: Any) -> str:
    return repr(target)[:TEXT]


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "snapshot": _snapshot,
    "names": _names,
    "call": _call,
    "attribute": lambda target, name: getattr(target, name),
    "item": lambda target, key: target[key],
    "length": lambda target: len(target),
    "items": _items,
    "text": _text,
}
