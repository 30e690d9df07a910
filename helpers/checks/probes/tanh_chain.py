"""Probes of lesson 3."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from helpers.checks.core import CheckFailed, beside, call, shown

DIFFERENTIATE = {"autograd", "casadi", "jax", "mpmath", "numdifftools", "sympy", "tensorflow", "torch"}


def gradients(answer: Any, *args: Any) -> dict[str, Any]:
    """The two things that an answer gives, each under its name."""
    given = call(answer, *args)
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise CheckFailed(
            f"chain_gradients should return two things, the array dL/dw and the number dL/dx, but it returned {shown(given)}."
        )
    return {"dL/dw": given[0], "dL/dx": given[1]}


def tools(answer: Any, *args: Any) -> dict[str, Any]:
    """Which package that can differentiate an answer calls on its way; "none" if it does without."""
    return {"the tool": call(beside, answer, tools_beside, answer, args)}


def tools_beside(answer: Callable[..., Any], args: Sequence[Any]) -> str:
    """Call an answer and watch: what is written in Python shows its module, torch's own calls are told by its mode."""
    from torch.overrides import TorchFunctionMode

    seen = set()

    class Watch(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.add("torch")
            return function(*args, **(kwargs or {}))

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            seen.add(str(frame.f_globals.get("__name__")).partition(".")[0])

    before = sys.getprofile()
    with Watch():
        sys.setprofile(look)
        try:
            answer(*args)
        finally:
            sys.setprofile(before)
    return ", ".join(sorted(seen & DIFFERENTIATE)) or "none"
