"""Probes of lesson 8: streams of channels and the way back through them, and counts that may come as floats."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from helpers import architectures
from helpers.checks.core import beside, call
from helpers.checks.probes import conduct, drawn
from helpers.checks.probes.skip_connection import backward


def dense_block(
    answer: Callable[..., Any], shape: Sequence[int], growth: int, depth: int, seed: int, dtype: str
) -> dict[str, Any]:
    """What a dense block makes of a stream of this shape, with so many layers that append `growth` channels each."""
    widths = [shape[1] + growth * layer for layer in range(depth)]
    weights = [_tensor(seed + width, dtype, growth, width, 3, 3) / 3 for width in widths]
    return _looked_at(answer, [_tensor(seed, dtype, *shape), weights], seed)


def transition(
    answer: Callable[..., Any], shape: Sequence[int], outputs: int, seed: int, dtype: str
) -> dict[str, Any]:
    """What a transition makes of a stream of this shape."""
    weight = _tensor(seed + 1, dtype, outputs, shape[1], 1, 1)
    return _looked_at(answer, [_tensor(seed, dtype, *shape), weight], seed)


def _tensor(seed: int, dtype: str, *shape: int) -> Tensor:
    return torch.from_numpy(drawn(seed, *shape, dtype=dtype))


def _looked_at(answer: Callable[..., Any], args: list[Any], seed: int) -> dict[str, Any]:
    """Output, conduct and gradients of one call."""
    output = call(answer, *copy.deepcopy(args))
    if not hasattr(output, "shape"):
        return {"the output": output}
    back = call(beside, answer, backward_beside, answer, args, seed)
    return {"the output": output, **conduct(answer, *args), **back}


def backward_beside(answer: Callable[..., Any], args: Sequence[Any], seed: int) -> dict[str, Any]:
    """The way back through one call, for the stream and for each of the weights."""
    x, rest = copy.deepcopy(list(args))
    weights = {f"weights[{i}]": w for i, w in enumerate(rest)} if isinstance(rest, list) else {"weight": rest}
    named = {"x": x, **weights}
    for each in named.values():
        each.requires_grad_()
    return backward(lambda: answer(x, rest), named, seed)


def whole(answer: Callable[..., Any], *args: Any) -> Any:
    """What a count gives; a float without a fraction is as good as a whole number: `/` makes one."""
    return _whole(call(answer, *args))


def whole_conduct(answer: Callable[..., Any], *args: Any) -> dict[str, Any]:
    """How a count behaves beside its result."""
    found = conduct(answer, *args)
    return found | {"the second call": _whole(found["the second call"])}


def _whole(value: Any) -> Any:
    plain = value.item() if getattr(value, "shape", None) == () else value
    return int(plain) if isinstance(plain, float) and plain.is_integer() else value


def lets_build(answer: Callable[..., Any], spec: dict[str, Any]) -> bool:
    """Whether an answer lets the course build the network of a spec."""
    return call(beside, answer, lets_build_beside, answer, spec)


def lets_build_beside(answer: Callable[..., Any], spec: dict[str, Any]) -> bool:
    """Call an answer while an eye is kept on the builder."""
    with patch.object(architectures, "_densenet", wraps=architectures._densenet) as builder:
        answer(spec)
    return builder.called
