"""Probes of lesson 7: layers given as arrays, a table of losses, and blocks whose parameters are set by name."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from helpers import blocks, remedies
from helpers.checks.core import CheckFailed, beside, call, shown
from helpers.checks.probes import CONDUCT, conduct_beside, drawn, refused

Layers = list[tuple[np.ndarray, np.ndarray]]


def mlp(widths: Sequence[int], seed: int) -> Layers:
    """The layers of a plain network: (weight, bias) from each width to the next, float32."""
    return [
        (drawn(seed + i, outputs, inputs, dtype="float32"), drawn(seed - i, outputs, dtype="float32"))
        for i, (inputs, outputs) in enumerate(itertools.pairwise(widths), 1)
    ]


def embedding(answer: Any, widths: Sequence[int], depth: int, seed: int) -> dict[str, Any]:
    """Embed a network: how many layers there are, whether they fit, and what has become of the logits of 20 inputs."""
    deep = call(answer, mlp(widths, seed), depth)
    if not isinstance(deep, (list, tuple)) or not all(
        isinstance(p, (list, tuple)) and len(p) == 2 for p in deep
    ):
        raise CheckFailed(
            f"The deep network should be a list of (weight, bias) pairs, but yours is {shown(deep)}."
        )
    plain = _plain(deep)
    arriving = [widths[0], *(np.size(bias) for _, bias in plain)]
    fits = all(
        weight.shape == (np.size(bias), before)
        for (weight, bias), before in zip(plain, arriving, strict=False)
    )
    parts = {"the number of hidden layers": len(deep) - 1, "the layers fit": fits}
    if not fits:
        return parts
    x = drawn(seed, 20, widths[0], dtype="float32")
    logits = remedies.relu_mlp(plain, x)
    kept = bool(
        (logits == remedies.relu_mlp(mlp(widths, seed), x)).all()
    )  # how many moved, depends on the processor
    single = all(array.dtype == np.float32 for pair in plain for array in pair)
    return parts | {"the precision is kept": single, "the logits": logits, "every logit is kept": kept}


def _plain(layers: Any) -> Layers:
    """The same with arrays, if there are tensors in it."""
    return [tuple(x.detach().numpy() if hasattr(x, "detach") else np.asarray(x) for x in p) for p in layers]


def embedding_refused(answer: Any, widths: Sequence[int], depth: int) -> str:
    """What is raised for a network that is too deep already."""
    return refused(answer, mlp(widths, 0), depth)


def embedding_conduct(answer: Any, widths: Sequence[int], depth: int) -> dict[str, Any]:
    """How an embedding behaves beside its result, which is looked at through its logits."""
    found = call(beside, answer, embedding_conduct_beside, answer, widths, depth)
    return dict(zip(CONDUCT, found, strict=True))


def embedding_conduct_beside(answer: Callable[..., Any], widths: Sequence[int], depth: int) -> list[Any]:
    """Embed twice."""
    x = drawn(0, 2, widths[0], dtype="float32")
    return conduct_beside(
        lambda *given: remedies.relu_mlp(_plain(answer(*given)), x), [mlp(widths, 0), depth]
    )


def gaps(answer: Any, table: dict[str, np.ndarray]) -> dict[str, Any]:
    """The two results of `degradation_gap`, each by its name."""
    returned = call(answer, table)
    if not hasattr(returned, "__len__") or len(returned) != 2:
        raise CheckFailed(
            f"degradation_gap should return two arrays, (gaps, errors), but yours is {shown(returned)}."
        )
    return {"the gaps": returned[0], "the errors": returned[1]}


def module(
    answer: Any,
    sizes: Sequence[int],
    values: dict[str, float],
    inputs: Sequence[int],
    outputs: Sequence[int],
    dtype: str = "float32",
) -> dict[str, Any]:
    """Make a module, set its parameters by name, and ask for its output and all gradients.

    Args:
        answer: the class.
        sizes: arguments of the constructor.
        values: name -> number that fills a parameter of any shape; the others are drawn.
        inputs, outputs: shapes of a batch that goes in, and of what should come out.
        dtype: of everything.
    """
    return _asked(answer, module_beside, sizes, values, inputs, outputs, dtype)


def _asked(answer: Any, function: Callable[..., Any], sizes: Sequence[int], *more: Any) -> Any:
    """Run a function beside a module; what the module raises becomes a hint that says what was done."""
    try:
        return beside(answer, function, answer, sizes, *more)
    except NotImplementedError:
        return call(beside, answer, function, answer, sizes, *more)
    except Exception as error:
        name = getattr(answer, "__name__", "the module")
        raise CheckFailed(
            f"{name}({', '.join(map(str, sizes))}), called on a batch of shape {tuple(more[1])} and asked for its gradients, "
            f"raised {type(error).__name__}: {error}. Do the same in a cell of your own and read the traceback from the bottom."
        ) from error


def module_beside(
    make: Callable[..., nn.Module],
    sizes: Sequence[int],
    values: dict[str, float],
    inputs: Sequence[int],
    outputs: Sequence[int],
    dtype: str,
) -> dict[str, Any]:
    """What a module shows: part -> value."""
    network = _filled(make, sizes, values).to(getattr(torch, dtype))
    named = dict(network.named_parameters())
    x = torch.from_numpy(drawn(1, *inputs, dtype=dtype)).requires_grad_()
    for parameter in named.values():
        parameter.grad = torch.ones_like(parameter)
    output = network(x)
    parts = {
        "the parameters": sorted(name if name in values else f"{name} {tuple(p.shape)}" for name, p in named.items()),
        "the output": output.detach().numpy() if isinstance(output, Tensor) else output,
    }  # fmt: skip
    if tuple(getattr(output, "shape", ())) != tuple(outputs):
        return parts
    leaves = {"the input": x, **named}
    grads = [torch.zeros_like(leaf) for leaf in leaves.values()]
    if output.requires_grad:
        cotangent = torch.from_numpy(drawn(2, *outputs, dtype=dtype))
        grads = torch.autograd.grad(output, leaves.values(), cotangent, materialize_grads=True)
    for name, grad in zip(leaves, grads, strict=True):
        parts[f"the gradient with respect to {name}"] = (
            (grad.sum() if name in values else grad).detach().numpy()
        )
    kept = x.grad is None and all(bool((p.grad == 1).all()) for p in named.values())
    return parts | {"the marks of autograd": not kept}


def _filled(make: Callable[..., nn.Module], sizes: Sequence[int], values: dict[str, float]) -> nn.Module:
    network = blocks.seeded(make, *sizes, seed=0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            drawing = drawn(zlib.crc32(name.encode()) % 1000, *parameter.shape, dtype="float32")
            parameter.copy_(torch.as_tensor(values.get(name, drawing)))
    return network


def module_conduct(
    answer: Any, sizes: Sequence[int], values: dict[str, float], inputs: Sequence[int], dtype: str = "float32"
) -> dict[str, Any]:
    """How a module behaves beside its output."""
    found = _asked(answer, module_conduct_beside, sizes, values, inputs, dtype)
    return dict(zip(CONDUCT, found, strict=True))


def module_conduct_beside(
    make: Callable[..., nn.Module],
    sizes: Sequence[int],
    values: dict[str, float],
    inputs: Sequence[int],
    dtype: str,
) -> list[Any]:
    """Go through a module twice."""
    network = _filled(make, sizes, values).to(getattr(torch, dtype))
    return conduct_beside(network, [torch.from_numpy(drawn(3, *inputs, dtype=dtype))])


def gate_start(answer: Any, width: int) -> dict[str, Any]:
    """A gated block as it is made."""
    return call(beside, answer, gate_start_beside, answer, width)


def gate_start_beside(make: Callable[..., nn.Module], width: int) -> dict[str, Any]:
    """Its parameters, and what it makes of a batch."""
    block = blocks.seeded(make, width, seed=0)
    named = blocks.parameter_arrays(block)
    gate = named.get("gate", np.zeros(0))
    linear = [values.any() for name, values in named.items() if name.startswith("linear.")]
    return {
        "the gate is a parameter": "gate" in named,
        "`linear` is there": {"linear.weight", "linear.bias"} <= set(named),
        "the numbers in the gate": int(gate.size),
        "`linear` holds more than zeros": bool(np.any(linear)),
        "the gate at the start": gate.reshape(-1)[:1],
        "the output at the start": block(torch.from_numpy(drawn(4, 5, width, dtype="float32"))),
    }
