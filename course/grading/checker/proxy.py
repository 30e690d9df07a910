"""Stand-ins, in the trusted process, for what the student made.

A proxy passes calls, attributes and items on to the student's process. What comes back is a fresh plain value or
another proxy; nothing of the student's is ever executed here. A proxy is never true, equal or a number by itself:
a check that uses one where a plain value belongs fails with a hint, and cannot pass by accident.
"""

from __future__ import annotations

import builtins
import functools
import importlib
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

from course.grading.bridge import wire
from course.grading.bridge.studentside import REPLY_BYTES, TEXT
from helpers.checks.core import CheckFailed

LOOKED_UP = ("numpy", "torch", "torch.nn.functional", "math", "operator")
NOT_AN_ERROR = (StopIteration, StopAsyncIteration)  # they steer loops; a student's must not steer ours


class StudentError(Exception):
    """An exception of the student's that is no builtin; its subclasses carry its name."""


class Channel:
    """Questions to the student's process, answers from it.

    Args:
        ask: hands a message to the student's process and returns the message that answers it.
    """

    def __init__(self, ask: Callable[[str], str]):
        self._ask = ask
        self.received: list[Any] = []  # numbers that the student's process gave: never a score

    def request(self, do: str, **details: Any) -> Any:
        """Let the student's process do something.

        Args:
            do: an operation of `studentside`.
            **details: its arguments: plain values, arrays, importable functions, proxies.

        Returns:
            The result: a plain value, an array, or a proxy.

        Raises:
            Exception: the student's, as the builtin of its name or a `StudentError`.
            TypeError: if an argument cannot cross.
        """
        try:
            reply = wire.loads(
                self._ask(wire.dumps({"do": do, **details}, self._refer, REPLY_BYTES)),
                self._resolve,
                REPLY_BYTES,
            )
        except wire.WireError as error:
            raise StudentError(str(error)) from None
        match reply:
            case ("value", value):
                self._remember(value)
                return value
            case ("error", str(name), str(builtin), str(text)):
                raise _exception(name, builtin, text[:TEXT])
        raise StudentError("the answer's process did not answer")

    def _remember(self, value: Any) -> None:
        """Note the numbers in a value."""
        if type(value) in (int, float):
            self.received.append(value)
        elif type(value) in (list, tuple):
            for item in value:
                self._remember(item)
        elif type(value) is dict:
            self._remember([*value, *value.values()])

    def _refer(self, value: Any) -> list[Any]:
        """Name a proxy by its number and a function or class by its import path."""
        if isinstance(value, Proxy):
            return ["object", _number_of(value)]
        path = import_path(value)
        if path is None:
            raise TypeError(
                f"{value!r} cannot be handed to an answer that lives in another process: use plain values, "
                "arrays, or a top-level function of an importable module"
            )
        return ["import", *path]

    def _resolve(self, tag: str, *rest: Any) -> Any:
        """Make a proxy; the student's process cannot name anything of ours."""
        match (tag, *rest):
            case ("object", int(number), bool(is_callable), str(kind)) if 0 <= number < 2**31:
                return _proxy_class(kind[:100], is_callable)(self, number)
        raise wire.WireError(f"malformed message: unknown tag {tag[:20]!r}")


def import_path(value: Any) -> tuple[str, str] | None:
    """Give module and name of something that stands at the top level of an importable module, else None."""
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if not isinstance(name, str) or not callable(value):
        return None
    for module in (getattr(value, "__module__", None), *LOOKED_UP):
        if not isinstance(module, str) or module == "__main__":
            continue
        for path in (name, getattr(value, "__name__", name)):
            try:
                if functools.reduce(getattr, path.split("."), importlib.import_module(module)) is value:
                    return module, path
            except (ImportError, AttributeError):
                continue
    return None


def _exception(name: str, builtin: str, text: str) -> Exception:
    """The exception to raise here for one that was raised there, marked as the student's."""
    error = _like(name, builtin, text)
    error.from_student = True  # type: ignore[attr-defined]  # read by check.py
    return error


def _like(name: str, builtin: str, text: str) -> Exception:
    """An exception of the builtin class of this name, or of a `StudentError` named after it."""
    kind: Any = getattr(builtins, builtin, None)
    made: Exception
    if not (isinstance(kind, type) and issubclass(kind, Exception)) or issubclass(kind, NOT_AN_ERROR):
        kind = Exception
    if kind is not Exception and kind.__name__ == name:
        try:
            made = kind(text)
            return made
        except TypeError:  # the builtin wants more arguments, as UnicodeDecodeError does
            pass
    try:
        made = type(_identifier(name), (StudentError, kind), {})(text)
    except TypeError:
        made = type(_identifier(name), (StudentError,), {})(text)
    return made


def _identifier(name: str) -> str:
    """A class name from elsewhere, made harmless."""
    return name[:80] if name.isidentifier() else "StudentError"


class Proxy:
    """Something of the student's that is not plain."""

    __slots__ = ("_Proxy__channel", "_Proxy__number")

    def __init__(self, channel: Channel, number: int):
        object.__setattr__(self, "_Proxy__channel", channel)
        object.__setattr__(self, "_Proxy__number", number)

    def __beside__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run an importable function in the student's process (`helpers.checks.beside` looks for this)."""
        return self.__channel.request("call", target=function, args=args, kwargs=kwargs)

    def __getattr__(self, name: str) -> Any:
        # Special names are looked up by numpy, copy, inspect ...: one that answered could claim memory or code.
        if name.startswith("__") and name not in ("__name__", "__qualname__", "__doc__"):
            raise AttributeError(name)
        value = self.__channel.request("attribute", target=self, name=name)
        if name.startswith("__") and type(value) is not str:
            raise AttributeError(name)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a check only reads the answer's attributes: it cannot set {name!r}")

    def __getitem__(self, key: Any) -> Any:
        return self.__channel.request("item", target=self, key=key)

    def __len__(self) -> int:
        length = self.__channel.request("length", target=self)
        if type(length) is not int or not 0 <= length < 2**31:
            raise TypeError("len() of the answer is not a whole number")
        return length

    def __iter__(self) -> Iterator[Any]:
        items = self.__channel.request("items", target=self)
        if type(items) is not list:
            raise TypeError("the answer cannot be iterated over")
        return iter(items)

    def __repr__(self) -> str:
        try:
            text = self.__channel.request("text", target=self)
        except Exception:
            text = None
        return text if type(text) is str else f"<{type(self).__name__}>"

    def __refuse(self, *_: Any, **__: Any) -> Any:
        raise CheckFailed(
            f"A plain value or an array is expected here, but your code gives {self!r} of type {type(self).__name__}."
        )

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __refuse
    __int__ = __float__ = __complex__ = __index__ = __array__ = __buffer__ = __refuse
    __hash__ = object.__hash__


class CallableProxy(Proxy):
    """Something of the student's that can be called."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _channel_of(self).request("call", target=self, args=args, kwargs=kwargs)


def _number_of(proxy: Proxy) -> int:
    number: int = object.__getattribute__(proxy, "_Proxy__number")
    return number


def _channel_of(proxy: Proxy) -> Channel:
    channel: Channel = object.__getattribute__(proxy, "_Proxy__channel")
    return channel


@functools.lru_cache(maxsize=256)
def _proxy_class(kind: str, is_callable: bool) -> type[Proxy]:
    """A class of the remote type's name, so that hints name it; a function's passes for one, so that they call it by its name."""
    base = CallableProxy if is_callable else Proxy
    said: dict[str, Any] = {"__slots__": ()}
    if is_callable and kind == FunctionType.__name__:
        said["__class__"] = property(lambda _: FunctionType)
    return type(kind if kind.isidentifier() else base.__name__, (base,), said)
