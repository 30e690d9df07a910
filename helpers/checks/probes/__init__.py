"""Probes: what a case does with an answer to learn something about it.

A probe takes the answer and the case's arguments, and gives one value or a dict of parts, each under the name that a
hint calls it by. The answer may live in another process: a probe calls it, or works beside it (`helpers.checks.core`).
Special ones stand in a module named after their lesson. A probe knows no right answer.
"""

from __future__ import annotations

import contextlib
import copy
import io
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from helpers.checks.core import beside, call
from helpers.checks.core import gradient as gradient_of

CONDUCT = {
    "the arguments": "The call changed what it was given: something on the way works in place (`+=`, `x[...] = `, `relu_`). "
    "Work on a copy.",
    "the marks of autograd": "After the call an argument requires a gradient, or carries one in `.grad`: the next call would "
    "add to it. Record on a tensor of your own.",
    "the second call": "Called again with the same arguments it gives something else: what remembers the first call?",
    "the printed text": "It prints. What others call gives its result back and stays quiet: take the print out.",
    "the random state": "The call moved the random numbers of everybody else (np.random.seed, torch.manual_seed, or a draw). "
    "Nothing here needs chance.",
    "the settings": "The call changed a setting that everybody shares (default dtype, gradients on or off, numpy's error "
    "handling). Leave it as it was, or use a `with` block.",
}


def output(answer: Any, *args: Any) -> Any:
    """What the call gives."""
    return call(answer, *args)


def conduct(answer: Any, *args: Any) -> dict[str, Any]:
    """How a function behaves beside its result: part -> what was seen, with the hints in `CONDUCT`."""
    return dict(zip(CONDUCT, call(beside, answer, conduct_beside, answer, args), strict=True))


def conduct_beside(answer: Callable[..., Any], args: Sequence[Any]) -> list[Any]:
    """Call an answer twice, and look at its arguments and at what everybody shares."""
    handed, printed = copy.deepcopy(list(args)), io.StringIO()
    with _usual_settings(), contextlib.redirect_stdout(printed):
        before = _shared()
        answer(*handed)
        after = _shared()
        again = answer(*copy.deepcopy(list(args)))
    marks = any(_marked(each) and not _marked(given) for each, given in zip(handed, args, strict=True))
    plain = [each.detach() if hasattr(each, "detach") else each for each in handed]
    kept = [each for each in plain if isinstance(each, (np.ndarray, list, dict)) or hasattr(each, "detach")]
    return [kept, marks, again, printed.getvalue(), before[0] == after[0], before[1] == after[1]]


@contextlib.contextmanager
def _usual_settings() -> Iterator[None]:
    """Set what everybody shares to what it is at the start, and back: an earlier call may have changed it."""
    import torch

    found = torch.get_default_dtype(), torch.is_grad_enabled(), np.geterr()
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    np.seterr(all="warn", under="ignore")
    try:
        yield
    finally:
        torch.set_default_dtype(found[0])
        torch.set_grad_enabled(found[1])
        np.seterr(**found[2])


def _marked(value: Any) -> bool:
    return bool(getattr(value, "requires_grad", False)) or getattr(value, "grad", None) is not None


def _shared() -> tuple[Any, Any]:
    """Random states and settings of numpy and torch."""
    import torch

    state = np.random.get_state()  # noqa: NPY002  # the old one is what a careless answer moves
    random = (state[1].tobytes(), state[2], torch.random.get_rng_state().numpy().tobytes())
    return random, (str(torch.get_default_dtype()), torch.is_grad_enabled(), tuple(np.geterr().items()))


def gradient(answer: Any, wrt: int, cotangent: Any, *args: Any) -> Any:
    """The gradient of <cotangent, answer(*args)> with respect to one argument, by torch; None stands for ones."""
    return call(gradient_of, answer, *args, wrt=wrt, cotangent=cotangent)


def refusal(answer: Any, *args: Any) -> dict[str, Any]:
    """What a call that should be refused raises, and what it says."""
    raised, text = call(beside, answer, refusal_beside, answer, args)
    return {"the exception": raised, "its text": text}


def refusal_beside(answer: Callable[..., Any], args: Sequence[Any]) -> tuple[str, str]:
    """Class and text of what a call raises, "ValueError" for each kind of it; "nothing" where it returns."""
    try:
        answer(*args)
    except NotImplementedError:
        raise
    except Exception as error:
        return "ValueError" if isinstance(error, ValueError) else type(error).__name__, str(error)
    return "nothing", ""


def refused(answer: Any, *args: Any) -> str:
    """The exception that ends a call which should be refused; "nothing" if it returns."""
    return refusal(answer, *args)["the exception"]


def drawn(seed: int, *shape: int, dtype: str = "float64") -> np.ndarray:
    """Numbers between -2 and 2 without a pattern: the same on every machine and for every version of numpy."""
    places = np.arange(1.0, math.prod(shape) + 1)
    return (2 * np.sin(places * (places + seed))).reshape(shape).astype(dtype)
