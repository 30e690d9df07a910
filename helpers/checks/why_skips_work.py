"""Checks of lesson 9: hints for the likely mistakes."""

from __future__ import annotations

import math

import numpy as np
import torch

from helpers import landscape, paths
from helpers.checks.core import after_call, beside, call, close, exercise, expect
from helpers.training import stacked_loss

__all__ = ["delete_blocks", "gradient_through_k", "landscape_slice", "path_share"]


@exercise
def delete_blocks(answer):
    """Nets whose deleted branches are silenced instead, and nets so short that they are written out."""
    x = torch.randn(7, 5, generator=torch.Generator().manual_seed(92), dtype=torch.float64)
    for residual in (True, False):
        kind = "residual" if residual else "plain"
        local, remote = paths.example_net(2, residual), beside(answer, paths.example_net, 2, residual)
        start, (first, last) = local.embed(x), local.branches
        whole = local(x).detach()
        close(
            call(answer, remote, (), x),
            whole,
            f"delete_blocks of a {kind} net with drop = ()",
            mistakes=_kinds(local, [first, last], x),
        )
        kept = local.classify(start + last(start) if residual else last(start))
        wrong = first(start)
        close(
            call(answer, remote, (0,), x),
            kept,
            f"delete_blocks of a {kind} net with drop = (0,)",
            mistakes=[
                (
                    local.classify(start + wrong if residual else wrong),
                    "The other block is gone: `drop` names those to leave out.",
                ),
                (whole, "Nothing was deleted."),
                *_kinds(local, [last], x),
                (
                    local.classify(last(0 * start)),
                    "The stream itself was lost: a deleted block lets h through unchanged.",
                ),
                (local.classify(2 * start + last(2 * start)), _DOUBLED),
            ],
        )
        close(
            call(answer, remote, (), x),
            whole,
            f"delete_blocks with drop = () after an earlier deletion from the same {kind} net",
            mistakes=[
                (kept, _LASTING),
                (local.classify(start), _LASTING),
            ],
        )
        close(
            call(answer, remote, (0, 1), x),
            local.classify(start),
            f"delete_blocks of a {kind} net with all blocks dropped",
            mistakes=[
                (
                    local.classify(0 * start),
                    "The stream itself was lost: a deleted block lets h through unchanged.",
                ),
                (whole, "Nothing was deleted."),
                (local.classify(2 * start), _DOUBLED),
                (local.classify(4 * start), _DOUBLED),
            ],
        )
        close(
            beside(answer, paths.logits, remote, x),
            whole,
            f"the {kind} net itself after the deletions",
            mistakes=[(kept, _LASTING), (local.classify(start), _LASTING)],
        )


_DOUBLED = "A deleted branch adds 0, not h: the stream was doubled. Let h through as it is."
_LASTING = "The deletion lasts: the net itself was changed. Leave the blocks out of the calculation, not out of the net."


def _kinds(net, branches, x):
    """What comes out if the kind of block is mistaken."""
    h = g = net.embed(x)
    for branch in branches:
        h, g = h + branch(h), branch(g)
    if net.residual:
        return [
            (
                net.classify(g),
                "The skip is missing: a residual block gives h + branch(h). `net.residual` tells the kind.",
            )
        ]
    return [
        (
            net.classify(h),
            "This net is plain: its block gives branch(h), without adding h. `net.residual` tells the kind.",
        )
    ]


@exercise
def path_share(answer):
    """Three blocks, whose eight paths can be listed by hand."""
    # g = 1: every path carries the same, so that the shares count paths: 1, 3, 3, 1 of 8.
    close(
        call(answer, 3, 1.0), [1 / 8, 3 / 8, 3 / 8, 1 / 8], "path_share(3, 1.0)", mistakes=_three_blocks(1.0)
    )
    # g = 1/2: the paths carry 1, then 1/2 three times, 1/4 three times, 1/8; together (3/2)^3 = 27/8.
    close(
        call(answer, 3, 0.5),
        [8 / 27, 12 / 27, 6 / 27, 1 / 27],
        "path_share(3, 0.5)",
        mistakes=_three_blocks(0.5),
    )
    close(
        call(answer, 2, 0.0),
        [1.0, 0.0, 0.0],
        "path_share(2, 0.0), branches that pass no gradient at all,",
        mistakes=[([0.25, 0.5, 0.25], "With g = 0 only the path past all branches carries anything.")],
    )


def _three_blocks(g):
    """What the likely mistakes give for three blocks."""
    counts, k = np.array([1, 3, 3, 1]), np.arange(4)
    a = math.sqrt(g)
    return [
        (
            (counts * g**k / (1 + g) ** 3)[1:],
            "A length is missing: lengths run from 0 (past every branch) to n, which makes n + 1 shares.",
        ),
        (
            (counts * g**k / (1 + g) ** 3)[::-1],
            "The order is turned round: entry k is for paths through k branches, so entry 0 comes first.",
        ),
        (
            counts * g**k,
            "These are the squared gradients themselves; a share is divided by what all paths carry together.",
        ),
        (
            g**k / (g**k).sum(),
            "One path of every length is weighed here: how many paths go through exactly k of the n branches?",
        ),
        (
            counts / 8,
            "This counts the paths. A path through k branches carries g^k of the squared gradient.",
        ),
        (
            counts * a**k / (1 + a) ** 3,
            "The root of g scales the gradient's length; shares of *squared* gradient go with g itself.",
        ),
        (
            counts * g**k * (1 - g) ** (3 - k),
            "g is no probability: a skipped block has the factor 1, not 1 - g.",
        ),
        (
            counts * (g / 2) ** k / (1 + g / 2) ** 3,
            "The half belongs to ReLU. Here g is already the factor that a whole branch puts on the squared gradient.",
        ),
    ]


@exercise
def gradient_through_k(answer):
    """Two blocks, whose four paths can be written down."""
    rng = np.random.default_rng(91)
    first, last = jacobians = rng.normal(size=(2, 3, 3))
    c = rng.normal(size=3)
    truth = [c, first.T @ c + last.T @ c, first.T @ last.T @ c]
    close(
        call(answer, jacobians.copy(), c.copy()),
        truth,
        "gradient_through_k(jacobians of 2 blocks, cotangent)",
        atol=1e-12,
        mistakes=[
            (
                [c, first @ c + last @ c, first @ last @ c],
                "The Jacobians are not transposed: backward, a branch maps a cotangent with J^T.",
            ),
            (
                [c, first @ c + last @ c, last @ first @ c],
                "The Jacobians are not transposed: backward, a branch maps a cotangent with J^T.",
            ),
            (
                [c, first.T @ c + last.T @ c, last.T @ first.T @ c],
                "The blocks come in the wrong order: the gradient meets the last block first.",
            ),
            (
                [
                    c,
                    first.T @ c + last.T @ c,
                    first.T @ last.T @ c + last.T @ last.T @ c + first.T @ first.T @ c,
                ],
                "Some path goes through the same block twice: was a row already updated when the next one was made from it?",
            ),
            (
                np.cumsum(truth, axis=0),
                "Row k holds all paths through *at most* k branches; it should hold those through exactly k.",
            ),
            (
                [c, last.T @ c, first.T @ last.T @ c],
                "Row 1 holds one path, but there are as many paths of length 1 as there are blocks.",
            ),
            (
                [c, first.T @ c, first.T @ last.T @ c],
                "Row 1 holds one path, but there are as many paths of length 1 as there are blocks.",
            ),
            (
                np.linalg.norm(truth, axis=1),
                "These are lengths of gradients. Return the vectors themselves: their sum has to be the whole gradient.",
            ),
            (
                np.sum(truth, axis=0),
                "This is the whole gradient; split it by how many branches a path goes through.",
            ),
        ],
    )
    rows = _numbers(call(answer, rng.normal(size=(5, 4, 4)), np.ones(4)))
    expect(
        rows.shape == (6, 4),
        f"Five blocks of width 4 give paths of length 0 to 5: shape (6, 4), not {rows.shape}.",
    )
    left = after_call(answer, jacobians, c)
    expect(
        np.array_equal(left[0], jacobians) and np.array_equal(left[1], c),
        "The call changed its arguments: work on arrays of your own, the cotangent included.",
    )


@exercise
def landscape_slice(answer):
    """Along the weights themselves the slice is known: at step a the weights are (1 + a) w."""
    local, remote = paths.example_net(2, True, seed=3), beside(answer, paths.example_net, 2, True, seed=3)
    random = torch.Generator().manual_seed(93)
    x = torch.randn(9, 5, generator=random, dtype=torch.float64)
    y = torch.arange(9) % 3
    steps = np.array([-0.5, 0.0, 0.25])
    # Each unit's own random, positive factor: filter normalisation has to take it out again.
    weights = {name: dict(local.named_parameters())[name].detach() for name in landscape.weight_names(local)}
    factors = {
        n: 0.5 + 2 * torch.rand(*w.shape[:2], 1, generator=random, dtype=w.dtype) for n, w in weights.items()
    }
    direction = {n: factors[n] * w for n, w in weights.items()}

    def losses(scaled):
        return np.stack(
            [_loss(local, {n: w + a * scaled[n] for n, w in weights.items()}, x, y) for a in steps], 1
        )

    def by(norm):
        return losses({n: d * norm(weights[n]) / norm(d) for n, d in direction.items()})

    truth = losses(weights)
    slices = call(answer, remote, direction, steps, x, y)
    close(
        slices,
        truth,
        "landscape_slice along the weights themselves, each unit's scaled by a factor of its own,",
        mistakes=[
            (
                losses(direction),
                "The direction has kept its own length: scale it, unit by unit, to the length of the weights.",
            ),
            (
                by(lambda w: w.norm(dim=1, keepdim=True)),
                "Scaled along the wrong axis: the filter of unit u is weight[s, u, :], all that comes *into* it.",
            ),
            (
                by(lambda w: w.norm(dim=(1, 2), keepdim=True)),
                "Each matrix was scaled as a whole; filter normalisation gives every unit its own factor.",
            ),
            (
                by(lambda w: w.norm()),
                "Each matrix was scaled as a whole; filter normalisation gives every unit its own factor.",
            ),
            (
                losses({n: d / d.norm(dim=2, keepdim=True) for n, d in direction.items()}),
                "Every unit moves by 1, however long its weights are: the length of the weights themselves is missing.",
            ),
            (truth * len(y), "These are sums over the examples; the loss is their mean."),
            (truth.T, "The axes are swapped: one row a network, one column a step."),
            (truth.mean(0), "The networks of the stack were averaged: keep one row for each."),
            (
                np.repeat(truth[:, [1]], 3, axis=1),
                "The loss is the same at every step: are the moved weights the ones the network computes with?",
            ),
        ],
    )
    close(
        call(answer, remote, direction, np.zeros(1), x, y),
        truth[:, [1]],
        "the slice at step 0 after an earlier call",
        mistakes=[(truth[:, [2]], _MOVED)],
    )
    close(
        beside(answer, paths.logits, remote, x),
        local(x).detach(),
        "what the network answers after the slice",
        mistakes=[
            (
                torch.func.functional_call(local, {n: 1.25 * w for n, w in weights.items()}, (x,)).detach(),
                _MOVED,
            ),
        ],
    )


_MOVED = "The network was left where the last step had moved it: it has to come out with the weights it came in with."


def _loss(net, weights, x, y):
    """Mean loss of each network of a stack with other weights."""
    with torch.no_grad():
        logits = torch.func.functional_call(net, weights, (x,))
        return stacked_loss(logits, y.expand(len(logits), -1)).numpy()


def _numbers(value):
    """An array of whatever came back, so that its shape can be looked at."""
    return np.asarray(value.detach() if hasattr(value, "detach") else value)
