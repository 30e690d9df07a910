"""What crosses between the checker and the student's process: plain values and arrays, as text.

A message is one line of JSON and, after it, one line of base64 for every array in it. Nothing is pickled, and
what comes in is taken apart strictly: a sender can be wrong or hostile, and gets a `WireError`, nothing more.
On a socket its length goes before it.

Scalars (None, bool, int, float, str) stand for themselves; everything else is a list whose first entry says
what it is, for example ["tuple", [1, 2]] or ["array", "<f8", [2, 3], 0] for the first of the arrays.
What is not plain is left to the two hooks: `refer` on the way out, `resolve` on the way in.
"""

from __future__ import annotations

import base64
import json
import math
import re
import socket
import sys
from collections.abc import Callable
from typing import Any

JSON_BYTES = 8_000_000
LENGTH = 4  # bytes of the number before a message
SHOWN_BYTES = 4_000_000  # of a message of what is shown
ENDED, EXITS = "ended", "exits"  # what is answered to a cell
PART = 1 << 20  # bytes that are read at a time
DEPTH = 50
RANGE = 1_000_000
DTYPE = re.compile(r"[<>|][biufc](1|2|4|8|16)")
TORCH_DTYPES = tuple(
    f"{kind}{bits}"
    for kind, sizes in {
        "bool": ("",),
        "int": (8, 16, 32, 64),
        "uint": (8, 16, 32, 64),
        "float": (16, 32, 64),
        "bfloat": (16,),
        "complex": (64, 128),
    }.items()
    for bits in sizes
)

Refer = Callable[[Any], list[Any]]
Resolve = Callable[..., Any]


class WireError(Exception):
    """Something cannot cross, or what came is not a message."""


def dumps(value: Any, refer: Refer, limit: int) -> str:
    """Write a value as a message.

    Args:
        value: plain values, arrays, tensors, and what `refer` knows.
        refer: turns anything else into ["tag", ...]; raises TypeError where it cannot.
        limit: most bytes a message may have.

    Returns:
        The message, ASCII text.

    Raises:
        WireError: if it is too large or nested too deeply.
        TypeError: from `refer`.
    """
    arrays: list[bytes] = []
    tree = _encode(value, refer, arrays, limit, DEPTH)
    try:
        lines = [json.dumps(tree)]
    except ValueError as error:  # an integer of more digits than Python writes
        raise WireError(str(error)) from None
    if len(lines[0]) > JSON_BYTES:
        raise WireError(
            f"plain values of {len(lines[0]):,} bytes: more than the {JSON_BYTES:,} that may cross"
        )
    lines += [base64.b64encode(array).decode("ascii") for array in arrays]
    if sum(map(len, lines)) > limit:
        raise WireError(f"values of more than the {limit:,} bytes that may cross")
    return "\n".join(lines)


def loads(message: str, resolve: Resolve, limit: int) -> Any:
    """Read a message.

    Args:
        message: text from `dumps`, or anything at all.
        resolve: called as resolve(tag, *rest) for tags that are not plain; raises WireError for what it does not take.
        limit: most bytes a message may have.

    Returns:
        The value; arrays and tensors are fresh copies.

    Raises:
        WireError: if the message is malformed or too large.
    """
    if not isinstance(message, str) or len(message) > limit:
        raise WireError(f"not a message, or more than {limit:,} bytes")
    text, *encoded = message.split("\n")
    if len(text) > JSON_BYTES:
        raise WireError(f"plain values of more than {JSON_BYTES:,} bytes")
    try:
        arrays = [base64.b64decode(line, validate=True) for line in encoded]
        return _decode(json.loads(text), resolve, arrays, DEPTH)
    except WireError:
        raise
    except (ValueError, TypeError, RecursionError, OverflowError, LookupError) as error:
        raise WireError(f"malformed message: {type(error).__name__}") from None


def framed(message: str) -> bytes:
    """What goes over a socket for a message."""
    return len(message).to_bytes(LENGTH, "big") + message.encode("ascii")


def send(connection: socket.socket, message: str) -> None:
    """Send a message."""
    connection.sendall(framed(message))


def receive(connection: socket.socket) -> str:
    """Wait for a message.

    Raises:
        EOFError: if the other side is gone.
    """
    return exactly(connection, int.from_bytes(exactly(connection, LENGTH), "big")).decode("ascii")


def exactly(connection: socket.socket, count: int) -> bytes:
    """Wait for so many bytes.

    Raises:
        EOFError: if the other side is gone.
    """
    got = bytearray()
    while len(got) < count:
        part = connection.recv(min(count - len(got), PART))
        if not part:
            raise EOFError
        got += part
    return bytes(got)


def _encode(value: Any, refer: Refer, arrays: list[bytes], limit: int, depth: int) -> Any:
    """One value as JSON; array contents are appended to `arrays`."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if depth == 0:
        raise WireError(f"values nested more than {DEPTH} deep")

    def each(items: Any) -> list[Any]:
        return [_encode(item, refer, arrays, limit, depth - 1) for item in items]

    if _is(value, "numpy", "generic"):  # before float and str: numpy.float64 is a float, too
        return ["scalar", *_array(value, arrays, limit)[1:]] if value.dtype.kind in "biufc" else refer(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, complex):
        return ["complex", value.real, value.imag]
    if isinstance(value, (bytes, bytearray)):
        arrays.append(bytes(value))
        return ["bytes", len(arrays) - 1]
    if isinstance(value, tuple):
        return ["tuple", each(value)]
    if isinstance(value, list):
        return ["list", each(value)]
    if isinstance(value, dict):
        return ["dict", each(value.keys()), each(value.values())]
    if isinstance(value, (set, frozenset)):
        return [type(value).__name__ if type(value) is frozenset else "set", each(value)]
    if isinstance(value, (slice, range)):
        return [type(value).__name__, each((value.start, value.stop, value.step))]
    if value is Ellipsis:
        return ["ellipsis"]
    if _is(value, "numpy", "ndarray"):
        return _array(value, arrays, limit) if value.dtype.kind in "biufc" else refer(value)
    if _is(value, "numpy", "dtype"):
        return ["dtype", value.str] if DTYPE.fullmatch(value.str) else refer(value)
    if _is(value, "torch", "dtype"):
        name = str(value).removeprefix("torch.")
        return ["torch.dtype", name] if name in TORCH_DTYPES else refer(value)
    if _is(value, "torch", "Tensor"):
        return _tensor(value, arrays, limit) or refer(value)
    return refer(value)


def _is(value: Any, module: str, name: str) -> bool:
    """isinstance that does not import the module."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _array(value: Any, arrays: list[bytes], limit: int) -> list[Any]:
    """An array as dtype, shape and the place of its bytes."""
    import numpy as np

    plain = np.asarray(value)
    if plain.nbytes > limit:
        raise WireError(f"an array of {plain.nbytes:,} bytes: more than the {limit:,} that may cross")
    arrays.append(plain.tobytes())
    return ["array", plain.dtype.str, list(plain.shape), len(arrays) - 1]


def _tensor(value: Any, arrays: list[bytes], limit: int) -> list[Any] | None:
    """A dense tensor as dtype, shape, place of its bytes and whether it asks for gradients; None for others."""
    import torch

    name = str(value.dtype).removeprefix("torch.")
    if name not in TORCH_DTYPES or value.layout is not torch.strided or value.is_meta:
        return None
    if value.nelement() * value.element_size() > limit:
        raise WireError(f"a tensor of {tuple(value.shape)}: more than the {limit:,} bytes that may cross")
    plain = value.detach().as_subclass(torch.Tensor).cpu().resolve_conj().resolve_neg().contiguous()
    arrays.append(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    return ["tensor", name, list(value.shape), len(arrays) - 1, bool(value.requires_grad)]


def _decode(data: Any, resolve: Resolve, arrays: list[bytes], depth: int) -> Any:
    """One value from JSON; anything unexpected raises."""
    if data is None or isinstance(data, (bool, int, float, str)):
        return data
    if depth == 0:
        raise WireError(f"values nested more than {DEPTH} deep")
    if not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise WireError("malformed message: not a tagged value")
    tag, *rest = data

    def each(items: Any) -> list[Any]:
        if not isinstance(items, list):
            raise WireError("malformed message: not a list")
        return [_decode(item, resolve, arrays, depth - 1) for item in items]

    if tag in _CONTAINERS:
        (items,) = rest
        return _CONTAINERS[tag](each(items))
    if tag == "dict":
        keys, values = map(each, rest)
        return dict(zip(keys, values, strict=True))
    if tag in ("slice", "range"):
        (items,) = rest
        ends: list[Any] = [_whole(x) if x is not None or tag == "range" else None for x in each(items)]
        start, stop, step = ends
        if tag == "slice":
            return slice(start, stop, step)
        made = range(start, stop, step)
        if made and (made[-1] - made[0]) // made.step >= RANGE:  # len() of it may not fit
            raise WireError(f"a range of more than {RANGE:,} numbers")
        return made
    if tag == "complex":
        real, imaginary = rest
        return complex(_number(real), _number(imaginary))
    if tag == "bytes":
        return arrays[_whole(*rest)]
    if tag == "ellipsis":
        return ...
    if tag in ("array", "scalar", "dtype"):
        return _decode_numpy(tag, rest, arrays)
    if tag in ("tensor", "torch.dtype"):
        return _decode_torch(tag, rest, arrays)
    return resolve(tag, *rest)


_CONTAINERS = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


def _whole(value: Any) -> int:
    """A whole number of 64 bits, not a bool."""
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise WireError("malformed message: not a whole number")
    return value


def _number(value: Any) -> float:
    """A real number."""
    if type(value) not in (int, float):
        raise WireError("malformed message: not a number")
    return float(value)


def _bytes(place: Any, shape: Any, kind: str, itemsize: int, arrays: list[bytes]) -> tuple[bytes, list[int]]:
    """Contents and shape of an array, once they agree."""
    if not isinstance(shape, list) or len(shape) > 32 or any(_whole(n) < 0 for n in shape):
        raise WireError("malformed message: not a shape")
    if _whole(place) < 0 or math.prod(shape) * itemsize != len(arrays[place]):
        raise WireError("malformed message: the shape does not fit the contents")
    if kind == "b" and arrays[place].strip(b"\0\1"):
        raise WireError("malformed message: a boolean is 0 or 1")
    return arrays[place], shape


def _decode_numpy(tag: str, rest: list[Any], arrays: list[bytes]) -> Any:
    """An array, a numpy scalar or a numpy dtype."""
    import numpy as np

    name = rest[0]
    if not isinstance(name, str) or not DTYPE.fullmatch(name):
        raise WireError("malformed message: not a dtype of numbers")
    dtype = np.dtype(name)
    if tag == "dtype":
        return dtype
    _, shape, place = rest
    content, shape = _bytes(place, shape, dtype.kind, dtype.itemsize, arrays)
    array = np.frombuffer(content, dtype).reshape(shape).copy()
    if tag == "scalar":
        if shape:
            raise WireError("malformed message: a scalar has no shape")
        return array[()]
    return array


def _decode_torch(tag: str, rest: list[Any], arrays: list[bytes]) -> Any:
    """A tensor or a torch dtype."""
    import torch

    name = rest[0]
    if name not in TORCH_DTYPES:
        raise WireError("malformed message: not a dtype of numbers")
    dtype = getattr(torch, name)
    if tag == "torch.dtype":
        return dtype
    _, shape, place, requires_grad = rest
    content, shape = _bytes(place, shape, "b" if name == "bool" else "", dtype.itemsize, arrays)
    tensor = torch.frombuffer(bytearray(content), dtype=dtype) if content else torch.empty(0, dtype=dtype)
    return tensor.reshape(shape).requires_grad_(requires_grad is True and dtype.is_floating_point)
