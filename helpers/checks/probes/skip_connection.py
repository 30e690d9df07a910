"""Probes of lesson 5: what one image shows of a block, and what an answer does with a branch that it is given.

A block's parameters are filled by name and shape, so that nothing hangs on the order in which its layers are made.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from helpers import blocks
from helpers.checks.core import beside, call, expect
from helpers.checks.probes import CONDUCT, conduct, conduct_beside, drawn

FAILS = "the backward pass"
GRADIENT = "the gradient with respect to {}"
UNREACHED = "the parameters that no gradient reaches"


def block(
    answer: Callable[..., Any], args: Sequence[int], shape: Sequence[int], seed: int, bias: float
) -> dict[str, Any]:
    """Make a block, send an image through it and a gradient back.

    Args:
        answer: the block's class.
        args: what it is made with.
        shape: of the image.
        seed: of image, weights and cotangent.
        bias: size of the biases; 0 where a block may do without.

    Returns:
        part -> value: shapes of the weights, output, conduct, gradients of the image and of each parameter.
    """
    made = call(answer, *args)
    start = call(beside, answer, fill, made, seed, bias)
    expect(start, "What you make should be a torch module: is it a class with nn.Module in parentheses?")
    output = call(made, filled("image", shape, seed))
    seen = {**start, "the output": output}
    return (
        {**seen, **call(beside, answer, block_beside, made, shape, seed)}
        if hasattr(output, "shape")
        else seen
    )


def fill(module: nn.Module, seed: int, bias: float) -> dict[str, Any]:
    """Fill parameters by name, and tell how they were before: shapes, and which weights are all zero; {} if there are none."""
    if not isinstance(module, nn.Module):
        return {}
    named = dict(module.named_parameters())
    weights = {name: p for name, p in named.items() if name.endswith("weight")}
    start = {
        "the layers": {name: tuple(p.shape) for name, p in weights.items()},
        "the weights that start at zero": [name for name, p in weights.items() if not p.any()],
    }
    for name, p in named.items():
        size = p[0].numel() ** -0.5 if name in weights else bias
        p.data = size * filled(name, p.shape, seed)
    return start


def filled(name: str, shape: Sequence[int], seed: int) -> Tensor:
    """Numbers of both signs, float32, the same for the same name, shape and seed."""
    return torch.from_numpy(drawn((zlib.crc32(name.encode()) + seed) % 9973, *shape, dtype="float32"))


def block_beside(module: nn.Module, shape: Sequence[int], seed: int) -> dict[str, Any]:
    """What a block does beside its output: conduct and gradients."""
    image = filled("image", shape, seed)
    parts = dict(zip(CONDUCT, conduct_beside(module, [image]), strict=True))
    parts["the second call"] = parts["the second call"].detach()
    named = {"the image": image.requires_grad_(), **dict(module.named_parameters())}
    return parts | backward(lambda: module(image), named, seed)


def backward(run: Callable[[], Tensor], named: Mapping[str, Tensor], seed: int) -> dict[str, Any]:
    """Send a gradient back through a calculation.

    Args:
        run: computes the output.
        named: what it is computed from, the input first, then all that can be trained.
        seed: of the cotangent.

    Returns:
        part -> value: whether it runs, the gradients (zeros where none arrives), and names of what none reaches.
    """
    asked = {name: p for name, p in named.items() if p.requires_grad}
    found: dict[str, Tensor | None] = {}
    try:
        output = run()
        if output.requires_grad:
            cotangent = filled("cotangent", output.shape, seed).to(output.dtype)
            grads = torch.autograd.grad(output, list(asked.values()), cotangent, allow_unused=True)
            found = dict(zip(asked, grads, strict=True))
    except RuntimeError as error:  # something that is still needed was written into
        return {FAILS: type(error).__name__}
    arrived = {name: g for name in named if (g := found.get(name)) is not None}
    gradients = {
        GRADIENT.format(name): arrived.get(name, torch.zeros_like(p)).detach() for name, p in named.items()
    }
    return {FAILS: "runs", **gradients, UNREACHED: [name for name in list(named)[1:] if name not in arrived]}


def dependence(answer: Callable[..., Any], module: nn.Module, n: int) -> dict[str, Any]:
    """The two numbers that an answer counts, each as a part."""
    counts = call(answer, module, n)
    pair = isinstance(counts, (tuple, list)) or getattr(counts, "shape", None) == (2,)
    expect(
        pair and len(counts) == 2,
        "input_dependence should return two whole numbers: positions that depend on the image, all positions.",
    )
    seen, total = counts
    return {"the number of all positions": total, "the number of positions that depend on the image": seen}


def dependence_conduct(answer: Callable[..., Any], module: nn.Module, n: int) -> dict[str, Any]:
    """How a count behaves beside its result; it may draw images from the global generator."""
    found = conduct(answer, module, n)
    del found["the random state"]
    return found | call(beside, answer, left_beside, answer, module, n)


def left_beside(answer: Callable[..., Any], module: nn.Module, n: int) -> dict[str, Any]:
    """What a branch looks like after the count."""
    before = [p.detach().clone() for p in module.parameters()]
    answer(module, n)
    same = all(torch.equal(p, old) for p, old in zip(module.parameters(), before, strict=True))
    marked = [name for name, p in module.named_parameters() if p.grad is not None]
    return {"the branch keeps its weights": same, "the gradients left in the branch": marked}


def branch(kernel: int, stride: int, padding: int, seed: int) -> nn.Sequential:
    """Make a branch with one channel inside, whose ReLU is closed for about every second image at each position.

    Its first output channel sees nothing; the other two see whatever the channel inside lets through.
    """
    made = blocks.conv_branch(3, 1, kernel, stride, padding, relu_last=False, seed=seed)
    with torch.no_grad():
        made[0].weight -= made[0].weight.mean(1, keepdim=True)
        made[0].bias.zero_()
        made[2].weight[0] = 0
    return made
