"""The few words that checks are written with.

Where something is wrong they raise `CheckFailed`, whose message is a hint: the likely mistake, then the idea, never
the solution.

The learner's object may live in another process (grading runs it in a sandbox), so a
check only calls it, reads its attributes and compares plain values and arrays. What
must happen beside the object - a gradient, a look at the arguments after a call - goes
through `beside` and `gradient`.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numpy as np

LINE = 80  # characters; JupyterLab breaks longer lines in the middle of a word


class CheckFailed(AssertionError):
    """An answer is not right yet; the message is the hint."""

    def _render_traceback_(self) -> list[str]:
        """Show the hint alone in a notebook, without the frames of the checks."""
        return lines_of(f"Not yet. {self}")


def say(text: str) -> None:
    """Show a line in the notebook (never as a cell's value: nbgrader reads that as a score)."""
    from IPython.display import display

    display({"text/plain": text}, raw=True)


def lines_of(text: str, indent: str = "") -> list[str]:
    """Break text at spaces into lines that fit a notebook; further lines are indented."""
    return [
        line
        for part in text.splitlines()
        for line in textwrap.wrap(part, LINE, subsequent_indent=indent, break_long_words=False)
    ]


def shown(value: Any, limit: int = 120) -> str:
    """Write a value for a hint, shortened to `limit` characters."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # of the learner's own class
        text = f"<{type(value).__name__}>"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def expect(condition: Any, hint: str) -> None:
    """Raise `CheckFailed(hint)` unless the condition holds; a hint that shows a large value is better written where it is raised."""
    if not condition:
        raise CheckFailed(hint)


def call(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Call the learner's function; whatever it raises becomes a hint that shows the call.

    Args:
        function: the learner's function, class or instance.
        *args, **kwargs: handed over as they are.

    Returns:
        What the call returns.

    Raises:
        CheckFailed: if the call raises.
    """
    try:
        return function(*args, **kwargs)
    except CheckFailed:
        raise
    except NotImplementedError as error:
        raise CheckFailed(
            "There is no answer here yet: replace the line that raises NotImplementedError, "
            "run that cell, then this one."
        ) from error
    except Exception as error:
        if (
            function is beside and len(args) > 2
        ):  # a hint names the answer and what it was given, not the way there
            function, args = args[0], args[3:]
        words = [*map(_argument, args), *(f"{k}={_argument(v)}" for k, v in kwargs.items())]
        name = getattr(function, "__name__", type(function).__name__)
        raise CheckFailed(
            f"{name}({', '.join(words)}) raised {type(error).__name__}: {str(error).removesuffix('.')}. "
            "Make such a call in a cell of your own and read its traceback from the bottom."
        ) from error


def _argument(value: Any) -> str:
    """Write an argument of a call; a large array by its shape, a network by its kind, a function by its name."""
    if isinstance(value, (FunctionType, type)):  # not by its attributes: it may live in another process
        return value.__qualname__
    text = shown(value, 40)
    if not text.endswith("…"):
        return text
    if hasattr(value, "shape"):
        return f"<{type(value).__name__} of shape {tuple(value.shape)}>"
    return f"<{type(value).__name__}>" if hasattr(value, "parameters") else text


def close(
    actual: Any, expected: Any, what: str, *, rtol: float = 1e-7, atol: float = 0.0, dtype: Any = None
) -> None:
    """Compare numbers: kind, shape, dtype and finiteness first, closeness last.

    Args:
        actual: the learner's number, array or tensor.
        expected: the truth; a Python number asks for a scalar, an array or a tensor for that shape.
        what: names the value in the hint, for example "spectral_radius(8)".
        rtol, atol: |actual - expected| <= atol + rtol * |expected|, as in numpy.
        dtype: if given, the dtype that `actual` must have ("float32", torch.float32).

    Raises:
        CheckFailed: naming value and expectation.
    """
    truth = _array(expected, "the expected value")
    value = _array(actual, what)
    if value.shape != truth.shape:
        kind = f"shape {truth.shape}" if truth.shape else "a single number"
        raise CheckFailed(f"{what} should have {kind}, but yours has shape {value.shape}.")
    if dtype is not None and dtype_of(actual) != str(dtype).removeprefix("torch."):
        raise CheckFailed(
            f"{what} should keep the dtype {dtype}, but yours is {dtype_of(actual)}: "
            "somewhere a value of another precision slipped in."
        )
    if _near(value, truth, rtol, atol):
        return
    if not np.isfinite(value).all() and np.isfinite(truth).all():
        raise CheckFailed(f"{what} holds values that are not finite (NaN or infinity): {shown(actual)}.")
    if truth.shape:
        where = np.unravel_index(np.argmax(np.abs(value - truth)), truth.shape)
        index = ", ".join(str(int(i)) for i in where)
        raise CheckFailed(
            f"{what} is off most at index [{index}]: {value[where]:.6g} where {truth[where]:.6g} belongs"
            f"{_by_how_little(value[where], truth[where])}."
        )
    raise CheckFailed(
        f"{what} should be {truth:.6g}, but yours is {value:.6g}{_by_how_little(value, truth)}."
    )


def dtype_of(value: Any) -> str:
    """The name of an array's or tensor's dtype; of anything else its type."""
    return str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.")


def equal(actual: Any, expected: Any, what: str) -> None:
    """Compare exactly: whole numbers, None, booleans, text, tuples and lists.

    Args:
        actual: the learner's value. A whole number may be a numpy integer; True is no number.
        expected: the truth.
        what: names the value in the hint.

    Raises:
        CheckFailed: naming value and expectation.
    """
    if _same(actual, expected):
        return
    raise CheckFailed(f"{what} should be {shown(expected)}, but yours is {shown(actual)}.")


def _array(value: Any, what: str) -> np.ndarray:
    """Make a float64 or complex array of a number, array, tensor or nest of numbers."""
    if value is None:
        raise CheckFailed(f"{what} is None: does your function reach a `return`?")
    try:
        plain = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
        if plain.dtype.kind not in "biufc":
            raise TypeError
        return plain.astype(complex if plain.dtype.kind == "c" else float)
    except RuntimeError:  # numpy meets a tensor in a list
        raise CheckFailed(
            f"{what} holds tensors that still remember how they were computed: give plain numbers."
        ) from None
    except (TypeError, ValueError, AttributeError):
        raise CheckFailed(f"{what} should be made of numbers, but yours is {shown(value)}.") from None


def _by_how_little(value: np.ndarray, truth: np.ndarray) -> str:
    """The relative error, where two different numbers (nearly) look alike in the hint; else nothing."""
    off = abs(value - truth) / abs(truth) if truth else math.inf
    if not off < 1e-5:
        return ""
    return f" (a relative error of {off:.0e}: is something rounded on the way?)"


def _near(value: np.ndarray, truth: np.ndarray, rtol: float, atol: float) -> bool:
    """Closeness for equal shapes; infinities must match in place and sign, NaN never does."""
    return value.shape == truth.shape and bool(np.isclose(value, truth, rtol=rtol, atol=atol).all())


def _same(actual: Any, expected: Any) -> bool:
    """Exact equality that tells True from 1 and takes numpy integers for integers."""
    if isinstance(expected, (tuple, list)):
        return (
            isinstance(actual, (tuple, list))
            and len(actual) == len(expected)
            and all(map(_same, actual, expected))
        )
    if isinstance(expected, bool) or isinstance(actual, (bool, np.bool_)):
        return (
            isinstance(expected, bool) and isinstance(actual, (bool, np.bool_)) and bool(actual) == expected
        )
    if expected is None:
        return actual is None
    if isinstance(expected, int):
        return isinstance(actual, (int, np.integer)) and int(actual) == expected
    if isinstance(expected, float):
        return isinstance(actual, (int, float, np.number)) and math.isclose(actual, expected, rel_tol=0.0)
    return type(actual) is type(expected) and actual == expected


def beside(subject: Any, function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Run an importable function where the learner's object lives.

    In a notebook that is simply `function(*args)`. When grading, `subject` is a proxy; the
    function then runs in the learner's process (by its import path, so it must be a top-level
    function of `helpers`, torch or numpy) and its result comes back: plain values and arrays as
    themselves, anything else as another proxy.

    Args:
        subject: the learner's object, which says where to run.
        function: a top-level function of an importable module.
        *args, **kwargs: plain values, arrays, tensors, importable functions or proxies.

    Returns:
        What the function returns.
    """
    runner = getattr(type(subject), "__beside__", None)
    if runner is None:
        return function(*args, **kwargs)
    return runner(subject, function, *args, **kwargs)


def gradient(function: Callable, *args: Any, wrt: int = 0, cotangent: Any = None) -> np.ndarray:
    """Differentiate the learner's function in torch, beside it, and bring back an array.

    Args:
        function: takes tensors, returns one tensor.
        *args: arrays or tensors; args[wrt] is the one to differentiate with respect to.
        wrt: position of that argument.
        cotangent: array of the output's shape, weights of the outputs; ones if None.

    Returns:
        d(sum(cotangent * function(*args))) / d(args[wrt]), an array of that argument's shape; zeros where the
        output hangs on no gradient at all.
    """
    return beside(function, _gradient, function, args, wrt, cotangent)


def _gradient(function: Callable, args: Sequence[Any], wrt: int, cotangent: Any) -> np.ndarray:
    import torch

    tensors = [torch.as_tensor(a).clone() if isinstance(a, (np.ndarray, torch.Tensor)) else a for a in args]
    tensors[wrt].requires_grad_(True)
    output = function(*tensors)
    if not output.requires_grad:
        return np.zeros(tuple(tensors[wrt].shape))
    weights = torch.ones_like(output) if cotangent is None else torch.as_tensor(cotangent)
    (grad,) = torch.autograd.grad(output, tensors[wrt], weights, allow_unused=True)
    return (torch.zeros_like(tensors[wrt]) if grad is None else grad).detach().numpy()
