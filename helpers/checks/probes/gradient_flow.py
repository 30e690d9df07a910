"""Probes of lesson 4."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

from helpers import gradient_flow
from helpers.checks.core import beside, call


def unaided(answer: Any, *args: Any) -> dict[str, Any]:
    """What a call gives, and whether it asks the course's own theory, `mean_field`, on the way."""
    given = call(answer, *args)
    return {"": given, "the use of mean_field": call(beside, answer, asks_beside, answer, args)}


def asks_beside(answer: Callable[..., Any], args: Sequence[Any]) -> bool:
    """Whether a call asks for the moments of the theory, which `mean_field` and `xray` are made of."""
    with patch.object(gradient_flow, "_moments", wraps=gradient_flow._moments) as moments:
        answer(*args)
    return bool(moments.called)


def twice(answer: Any, net: Any, *args: Any) -> dict[str, Any]:
    """What two calls with the same network give, and whether it is plain numbers or tensors with a graph behind them."""
    first, second = call(answer, net, *args), call(answer, net, *args)
    entries = [first, *(first if isinstance(first, (list, tuple)) else ())]
    graph = any(getattr(each, "requires_grad", False) is True for each in entries)
    return {"": first, "the second call": second, "the graph": graph}
