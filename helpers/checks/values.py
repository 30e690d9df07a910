"""Values as JSON and back: what a recorded exercise is written with.

Numbers, text, None and lists stand for themselves; everything else is an object whose one key says what it is.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from helpers.checks.core import beside


@dataclass(frozen=True)
class Made:
    """An argument that is made where the answer lives: a network, a layer, an object of the course's own."""

    function: Callable[..., Any]
    args: tuple[Any, ...]

    def __repr__(self) -> str:
        return f"{self.function.__name__}({', '.join(map(repr, self.args))})"


def made(function: Callable[..., Any], *args: Any) -> Made:
    """Describe an argument by the call that makes it.

    Args:
        function: a top-level function or class of `helpers`, torch or numpy.
        *args: plain values, arrays, or others that are made.

    Returns:
        The description; `build` makes the argument.
    """
    return Made(function, args)


def build(answer: Any, value: Any) -> Any:
    """Make what is to be made in an argument, beside the answer; the rest is left as it is."""
    if isinstance(value, Made):
        return beside(answer, value.function, *(build(answer, each) for each in value.args))
    if type(value) in (list, tuple):
        return type(value)(build(answer, each) for each in value)
    return value


def encode(value: Any) -> Any:
    """Write a value as JSON.

    Args:
        value: None, numbers, text, lists, tuples, dicts, ranges, arrays, tensors, `Made`, functions and classes that
            can be imported.

    Returns:
        What `json.dumps` takes.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(value, float) and not isinstance(value, np.generic):
        return value if math.isfinite(value) else {"float": repr(value)}
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is list:
        return [encode(each) for each in value]
    if type(value) is tuple:
        return {"tuple": [encode(each) for each in value]}
    if type(value) is dict:
        return {"dict": [[encode(key), encode(each)] for key, each in value.items()]}
    if type(value) is range:
        return {"range": [value.start, value.stop, value.step]}
    if isinstance(value, Made):
        return {"made": encode(value.function)["import"], "args": [encode(each) for each in value.args]}
    if isinstance(value, (np.ndarray, np.generic)):
        plain = value.astype(float) if value.dtype.kind == "f" else value  # float16 has no shortest repr
        return {"array": str(value.dtype), "is": encode(plain.tolist())}
    if hasattr(value, "detach"):
        return {"tensor": encode(value.detach().cpu().numpy())}
    if callable(value) and getattr(value, "__qualname__", "<").isidentifier():
        return {"import": f"{value.__module__}:{value.__qualname__}"}
    raise TypeError(f"{value!r} cannot be recorded: use plain values, arrays, or `made(function, ...)`")


def decode(value: Any) -> Any:
    """Read what `encode` wrote; arrays and tensors are fresh."""
    if type(value) is list:
        return [decode(each) for each in value]
    if type(value) is not dict:
        return value
    match value:
        case {"float": text}:
            return float(text)
        case {"tuple": items}:
            return tuple(decode(items))
        case {"dict": items}:
            return {decode(key): decode(each) for key, each in items}
        case {"range": bounds}:
            return range(*bounds)
        case {"made": path, "args": args}:
            return Made(_found(path), tuple(decode(args)))
        case {"array": dtype, "is": numbers}:
            return np.array(decode(numbers), dtype=dtype)
        case {"tensor": array}:
            import torch

            return torch.from_numpy(decode(array).copy())
        case {"import": path}:
            return _found(path)
    raise ValueError(f"{value!r} is nothing that was recorded")


def _found(path: str) -> Any:
    """What stands at "module:name"."""
    module, _, name = path.partition(":")
    return reduce(getattr, name.split("."), importlib.import_module(module))
