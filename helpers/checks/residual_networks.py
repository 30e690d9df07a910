"""Checks of lesson 7: hints for the likely mistakes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from torch import nn

from helpers import architectures, blocks, remedies, training
from helpers.checks.core import (
    after_call,
    beside,
    call,
    close,
    equal,
    exercise,
    expect,
    gradient,
    raises,
    shown,
)

__all__ = [
    "GatedBlock",
    "ResidualMLP",
    "degradation_gap",
    "embed_identity",
    "embedding_at",
    "gate_at",
    "random_mlp",
    "residual_logits_at",
]


# Exercise 1 -----------------------------------------------------------------------------------------------------


def random_mlp(widths: tuple[int, ...], seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw the layers of a plain network: (weight, bias) from each width to the next, float32."""
    random = np.random.default_rng(seed)
    return [
        (
            random.normal(size=(outputs, inputs)).astype(np.float32),
            random.normal(size=outputs).astype(np.float32),
        )
        for inputs, outputs in itertools.pairwise(widths)
    ]


def embedding_at(answer: Any, widths: tuple[int, ...], depth: int, seed: int) -> None:
    """Embed one random network into one of `depth` hidden layers; the logits must not move by a bit."""
    shallow = random_mlp(widths, seed)
    hidden = len(widths) - 2
    deep = call(answer, random_mlp(widths, seed), depth)
    expect(
        isinstance(deep, (list, tuple)) and all(isinstance(p, (list, tuple)) and len(p) == 2 for p in deep),
        f"The deep network should be a list of (weight, bias) pairs, but yours is {shown(deep)}.",
    )
    equal(
        len(deep) - 1,
        depth,
        "the number of hidden layers",
        mistakes=[
            (
                hidden + depth,
                "`depth` counts all hidden layers of the deep network, the trained ones among them.",
            ),
            (hidden, "Nothing was inserted: the network has as many hidden layers as before."),
            (
                depth - 1,
                "One hidden layer is missing: the last pair, which gives the logits, is no hidden layer.",
            ),
        ],
    )
    features = widths[0]
    for place, (weight, bias) in enumerate(deep):
        name = f"layer {place} of {len(deep)}"
        expect(
            np.shape(weight) == (len(np.atleast_1d(bias)), features),
            f"{name} has a weight of shape {np.shape(weight)} and a bias of shape {np.shape(bias)}, but {features} "
            "features arrive there: an inserted layer is as wide as the place where it stands.",
        )
        expect(
            weight.dtype == bias.dtype == np.float32,
            f"{name} is {weight.dtype} / {bias.dtype}, but the shallow network is float32: np.eye and np.zeros make "
            "float64 unless they are told otherwise.",
        )
        features = len(bias)
    equal(features, widths[-1], "the number of logits")

    x = np.random.default_rng(seed + 1).normal(size=(20, widths[0])).astype(np.float32)
    truth = remedies.relu_mlp(shallow, x)
    head_bias = np.broadcast_to(shallow[-1][1], truth.shape)
    close(
        remedies.relu_mlp(deep, x),
        truth,
        "the deep network's logits",
        rtol=0.0,
        mistakes=[
            (
                remedies.relu_mlp(shallow, np.maximum(x, 0)),
                "The inserted layers stand in front of the first trained one. Each ends in a ReLU, and the input has "
                "negative entries: where in the network does a ReLU change nothing?",
            ),
            (
                np.maximum(truth, 0),
                "The inserted layers stand behind the logits, so the old last layer now passes through a ReLU, which "
                "removes the negative logits.",
            ),
            (
                head_bias,
                "Inserted layers of zeros pass nothing on: only the last bias is left. Which matrix passes h on?",
            ),
        ],
    )
    after = after_call(answer, shallow, depth)[0]
    expect(
        len(after) == len(shallow)
        and all(
            np.array_equal(a, b)
            for p, q in zip(after, shallow, strict=True)
            for a, b in zip(p, q, strict=True)
        ),
        "The caller's list of layers was changed: build a new list, and leave `shallow` as it came.",
    )


@exercise
def embed_identity(answer):
    """A deeper network with bit-identical logits, of three shapes, and a refusal."""
    embedding_at(answer, (6, 5, 3), 4, 1)
    embedding_at(answer, (6, 5, 4, 3), 3, 2)
    embedding_at(answer, (4, 4, 2), 1, 3)
    raises(
        ValueError,
        answer,
        random_mlp((6, 5, 4, 3), 4),
        1,
        hint="A network with 2 hidden layers does not fit into depth 1: that should raise a ValueError.",
    )


# Exercise 2 -----------------------------------------------------------------------------------------------------


def residual_logits_at(answer: Any, sizes: tuple[int, int, int, int], seed: int) -> None:
    """Compare one network's logits and gradient with the same weights in blocks of `helpers.architectures`."""
    network = call(beside, answer, blocks.seeded, answer, *sizes, seed=seed)
    weights = beside(network, blocks.parameter_arrays, network)

    stem, branches, head = _layers(*sizes)
    reference = nn.Sequential(
        stem, *(architectures.Residual(branch, nn.Identity()) for branch in branches), head
    )
    expect(
        [w.shape for w in weights.values()] == [tuple(p.shape) for p in reference.parameters()],
        "The network's parameters are not those that `__init__` makes: leave `__init__` as it is and write `forward` only.",
    )
    training.set_parameters(
        reference, dict(zip(dict(reference.named_parameters()), weights.values(), strict=True))
    )
    x = torch.randn(9, sizes[0], generator=torch.Generator().manual_seed(seed + 50))

    def by(rule):
        h = first = stem(x)
        for branch in branches:
            h = rule(h, branch, first)
        return head(h).detach()

    def relu(h):
        return torch.relu(h)

    close(
        call(network, x),
        reference(x).detach(),
        "the logits",
        rtol=1e-4,
        atol=1e-5,
        mistakes=[
            (
                by(lambda h, f, first: relu(f(h))),
                "The shortcut is missing: a block adds what comes in to what its branch makes of it.",
            ),
            (
                by(lambda h, f, first: f(h)),
                "Neither a shortcut nor a last ReLU: a block is relu(h + branch(h)).",
            ),
            (
                by(lambda h, f, first: h + relu(f(h))),
                "The ReLU stands before the addition. Lesson 5 showed what that does: the stream can only grow. In the "
                "paper's block it comes after.",
            ),
            (by(lambda h, f, first: h + f(h)), "The ReLU after the addition is missing."),
            (
                by(lambda h, f, first: relu(first + f(h))),
                "Every block adds the stem's output. A block's shortcut starts where the block starts.",
            ),
            (
                by(lambda h, f, first: relu(h + f(first))),
                "Every branch reads the stem's output: it should read the stream h.",
            ),
            (
                by(lambda h, f, first: relu(2 * f(h))),
                "The branch adds to itself: add h once, and the branch once.",
            ),
            (
                head(relu(stem(x) + branches[-1](stem(x)))).detach(),
                "Only the last block's result is used: h is not updated in the loop.",
            ),
            (head(stem(x)).detach(), "The blocks are left out: the logits come straight from the stem."),
        ],
    )

    cotangent = torch.randn(9, sizes[2], generator=torch.Generator().manual_seed(seed + 60))

    def slope(rule=None):
        z = x.clone().requires_grad_()
        h = stem(z)
        for branch in branches:
            h = relu(h + branch(h)) if rule is None else relu(rule(h, branch))
        return torch.autograd.grad(head(h), z, cotangent)[0]

    close(
        gradient(network, x, cotangent=cotangent.numpy()),
        slope(),
        "the gradient with respect to the features",
        rtol=1e-3,
        atol=1e-4,
        mistakes=[
            (
                slope(lambda h, f: h.detach() + f(h)),
                "The logits are right, but no gradient comes back through the shortcuts, which are there to carry it: "
                "something cuts h off from what it was computed from.",
            ),
            (
                slope(lambda h, f: h + f(h).detach()),
                "The logits are right, but no gradient comes back through the branches, so they would never learn.",
            ),
        ],
    )


def _layers(
    inputs: int, width: int, classes: int, count: int
) -> tuple[nn.Module, list[nn.Module], nn.Module]:
    def linear_norm(arriving: int) -> list[nn.Module]:
        return [nn.Linear(arriving, width, bias=False), nn.BatchNorm1d(width)]

    stem = nn.Sequential(*linear_norm(inputs), nn.ReLU())
    branches = [nn.Sequential(*linear_norm(width), nn.ReLU(), *linear_norm(width)) for _ in range(count)]
    return stem, branches, nn.Linear(width, classes)


@exercise
def ResidualMLP(answer):
    """The logits of two networks against the same weights in the library's blocks."""
    residual_logits_at(answer, (6, 8, 3, 2), 1)
    residual_logits_at(answer, (4, 5, 2, 3), 2)


# Exercise 3 -----------------------------------------------------------------------------------------------------


@exercise
def degradation_gap(answer):
    """Gaps and standard errors of numbers that can be checked by hand."""

    def table():
        return {
            "depth": np.array([8, 2, 24, 4]),
            "train_loss": np.array(
                [[0.5, 0.6, 0.7], [0.2, 0.4, 0.3], [0.0, 0.05, 0.25], [0.2, 0.7, 0.3]],
            ),
            "test_accuracy": np.array([[0.8, 0.9, 0.7], [0.9, 0.8, 0.9], [0.5, 0.7, 0.5], [0.6, 0.9, 0.7]]),
        }

    returned = call(answer, table())
    expect(
        isinstance(returned, (tuple, list)) and len(returned) == 2,
        f"degradation_gap should return two arrays, (gaps, errors), but yours returns {shown(returned)}.",
    )
    gaps, errors = returned
    loss, accuracy = table()["train_loss"], table()["test_accuracy"]
    smallest = "The baseline is the network with the smallest loss. Wanted is the one with the smallest depth, good or bad."
    overfitting = "Those are gaps of the test accuracy, where overfitting would show. Degradation is a matter of the training loss."
    close(
        gaps,
        [0.3, 0.0, -0.2, 0.1],
        "the gaps",
        atol=1e-12,
        mistakes=[
            (
                [-0.3, 0.0, 0.2, -0.1],
                "The sign is turned round: a gap is positive where the deeper network is worse.",
            ),
            (
                loss.mean(1) - loss[0].mean(),
                "The gaps are taken from the first row, but the rows come in any order: look for the smallest depth.",
            ),
            (loss.mean(1) - loss.mean(1).min(), smallest),
            ((loss - loss.min(0)).mean(1), smallest),
            (accuracy.mean(1) - accuracy[1].mean(), overfitting),
            (accuracy[1].mean() - accuracy.mean(1), overfitting),
            (loss.mean(1), "Those are the mean losses: subtract the shallowest network's."),
            (
                np.median(loss, 1) - np.median(loss[1]),
                "Those are gaps of medians: take means over the seeds.",
            ),
            (
                [0.3, -0.2, 0.1],
                "Keep the shallowest depth in its row, with gap 0: one entry per row of the results.",
            ),
        ],
    )
    # Differences by seed: 8 - 2 is .3 .2 .4 (deviation .1), 24 - 2 is -.2 -.35 -.05 (.15), 4 - 2 is 0 .3 0 (root of .03).
    deviations = np.array([0.1, 0.0, 0.15, 0.03**0.5])
    close(
        errors,
        deviations / 3**0.5,
        "the standard errors",
        rtol=1e-6,
        atol=1e-9,
        mistakes=[
            (
                deviations,
                "That is the deviation of one seed's difference; the mean of n seeds varies less, by the root of n.",
            ),
            (
                deviations * (2 / 3) ** 0.5 / 3**0.5,
                "The deviation is divided by n where n - 1 belongs: numpy's std has an argument for that.",
            ),
            (
                deviations * (2 / 3) ** 0.5,
                "That is numpy's plain std: use n - 1, and divide by the root of n.",
            ),
            (deviations / 3, "Divided by the number of seeds; a mean's deviation shrinks by the root of it."),
            (
                np.sqrt((loss.var(1, ddof=1) + loss[1].var(ddof=1)) / 3),
                "The rows are treated as unrelated. A seed shuffles the data alike at every depth: take each seed's own "
                "difference first, then its spread.",
            ),
            (
                loss.std(1, ddof=1) / 3**0.5,
                "That is the error of each mean loss. Wanted is the error of the gap: the spread of the differences.",
            ),
        ],
    )
    left = after_call(answer, table())[0]
    expect(
        set(left) == set(table())
        and all(np.array_equal(left[name], values) for name, values in table().items()),
        "The caller's table was changed: `-=` and its like write into the arrays that came in. Compute new ones.",
    )


# Exercise 4 -----------------------------------------------------------------------------------------------------


def gate_at(answer: Any, width: int, seed: int, gates: tuple[float, ...]) -> None:
    """Look at one gated block: its parameters, its start, its first gradient, and other gates."""
    block = call(beside, answer, blocks.seeded, answer, width, seed=seed)
    h = torch.randn(12, width, generator=torch.Generator().manual_seed(seed + 1))
    out = call(block, h)
    values = beside(block, blocks.parameter_arrays, block)
    expect(
        "gate" in values,
        "`gate` is not among the block's parameters, so no optimizer will ever change it: make it an nn.Parameter.",
    )
    expect(
        {"linear.weight", "linear.bias"} <= set(values),
        "The layer `linear` has gone: it is given, only the gate and `forward` are yours.",
    )
    expect(values["gate"].size == 1, f"The gate is one number, but yours has shape {values['gate'].shape}.")
    weight, bias = values["linear.weight"], values["linear.bias"]
    expect(
        np.any(weight) and np.any(bias),
        "The gate and the layer both start at zero: each one's gradient carries the other as a factor, so neither "
        "ever moves. One zero is enough.",
    )
    expect(
        float(values["gate"].ravel()[0]) == 0.0,
        f"The gate starts at {shown(float(values['gate'].ravel()[0]))}; the block should start as the identity, at gate 0.",
    )
    stream = h.numpy()
    branch = np.maximum(stream @ weight.T + bias, 0)
    close(
        out,
        stream,
        "the block at the start",
        atol=1e-6,
        mistakes=[
            (
                np.maximum(stream, 0),
                "At gate 0 the block should be the identity, for negative entries of h too: no ReLU around the sum.",
            ),
            (
                stream + branch / 2,
                "At gate 0 half the branch comes through: a sigmoid of the gate is not zero at 0.",
            ),
            (stream + branch, "At gate 0 the whole branch comes through: multiply it by the gate."),
            (branch * 0, "At gate 0 nothing comes through: the shortcut must not be gated."),
        ],
    )
    linear = stream @ weight.T + bias
    for gate in gates:
        full = np.full(values["gate"].shape, gate, dtype=np.float32)
        beside(block, training.set_parameters, block, {"gate": full})
        close(
            call(block, h),
            stream + gate * branch,
            f"the block at gate {gate}",
            rtol=1e-4,
            atol=1e-5,
            mistakes=[
                (
                    stream + np.tanh(gate) * branch,
                    "The gate passes through a tanh: it should multiply the branch as it is.",
                ),
                (
                    stream + abs(gate) * branch,
                    "The gate's sign is lost: it should multiply the branch as it is. (An absolute value has no slope at "
                    "0 in torch, so that a gate which starts there would never leave.)",
                ),
                (
                    stream + np.maximum(gate * linear, 0),
                    "The gate is inside the ReLU. For a negative gate that is another function, and at gate 0 the ReLU "
                    "sees exactly 0 everywhere, where torch takes relu'(0) = 0: the block would stay the identity for ever.",
                ),
                (
                    np.maximum(stream + gate * branch, 0),
                    "No ReLU around the sum: negative entries of h have to pass too.",
                ),
                (
                    (1 - gate) * stream + gate * branch,
                    "The shortcut is scaled by 1 - gate, as in a highway network. Here it stays whole.",
                ),
                (stream + gate * linear, "The branch has lost its ReLU."),
                (stream + gate**2 * branch, "The gate is multiplied in twice."),
            ],
        )
    cotangent = np.random.default_rng(seed).normal(size=stream.shape).astype(np.float32)
    for gate in (0.0, *gates):
        full = np.full(values["gate"].shape, gate, dtype=np.float32)
        beside(block, training.set_parameters, block, {"gate": full})
        slopes = call(beside, block, training.parameter_gradients, block, stream, cotangent)
        close(
            slopes["gate"].reshape(-1)[0],
            float((cotangent * branch).sum()),
            f"the gate's gradient at gate {gate}",
            rtol=1e-3,
            atol=1e-4,
            mistakes=[
                (
                    0.0,
                    "The values are right, but no gradient reaches the gate, so no optimiser will ever move it. Is it "
                    "read out as a plain number on the way?",
                )
            ],
        )
        at_branch = gate * cotangent * (linear > 0)
        for name, truth in {"linear.weight": at_branch.T @ stream, "linear.bias": at_branch.sum(0)}.items():
            close(
                slopes[name],
                truth,
                f"the gradient of {name} at gate {gate}",
                rtol=1e-3,
                atol=1e-4,
                mistakes=[
                    (
                        0 * truth,
                        "The values are right, but no gradient reaches the weights of `linear`, whatever the gate is: the "
                        "branch is cut off from them, so it would never learn.",
                    )
                ],
            )
        close(
            gradient(block, h, cotangent=cotangent),
            cotangent + at_branch @ weight,
            f"the gradient with respect to h at gate {gate}",
            rtol=1e-3,
            atol=1e-4,
            mistakes=[
                (at_branch @ weight, "No gradient comes back through the shortcut: h is cut off on its way."),
                (cotangent, "No gradient comes back through the branch: h is cut off on its way into it."),
            ],
        )


@exercise
def GatedBlock(answer):
    """The identity at the start, a gradient at once, and the branch at other gates."""
    gate_at(answer, 6, 1, (0.5, -0.7))
