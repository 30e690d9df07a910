"""Checks of lesson 3: hints for the likely mistakes."""

import math

import numpy as np

from helpers import chain
from helpers.checks.core import beside, call, close, equal, exercise, expect, shown

__all__ = ["adam_first_step", "chain_gradients", "layer_factor", "update_survives"]


@exercise
def chain_gradients(answer):
    """dL/dw and dL/dx against torch's autograd, plain and with the skip; worked out in NumPy."""
    # Truth and mistakes live inside the check: as functions of any input they could be handed in as the answer.
    x, weights, target = 0.8, np.array([0.7, -1.2, 1.5]), 0.3

    def by_autograd(skip):
        import torch

        w = torch.tensor(weights, dtype=torch.float64, requires_grad=True)
        z = start = torch.tensor(x, dtype=torch.float64, requires_grad=True)
        for w_i in w:
            t = torch.tanh(w_i * z)
            z = t + z if skip else t
        (0.5 * (z - target) ** 2).backward()
        return w.grad.numpy(), start.grad.item()

    def mistakes_with_weights(skip):
        z, t = chain.forward(x, weights, skip)
        slopes = 1 - t**2
        factors = weights * slopes + skip

        def gradients(loss=z[-1] - target, local=slopes, states=z[:-1], through=factors):
            after = np.append(np.cumprod(through[::-1])[::-1][1:], 1.0)
            return loss * local * states * after

        mistakes = [
            (
                gradients(loss=target - z[-1]),
                "All signs are turned round: dL/dz_n of (z_n - target)^2 / 2 is z_n - target.",
            ),
            (
                gradients(loss=1.0),
                "The gradient of the loss itself is missing: start from dL/dz_n = z_n - target.",
            ),
            (
                gradients(through=slopes + skip),
                "Going back through a layer multiplies by w (1 - t^2): the weights of the later layers are missing.",
            ),
            (
                gradients(through=weights + skip),
                "The slope of tanh, 1 - t^2, is missing in the later layers.",
            ),
            (
                gradients(local=np.ones_like(t)),
                "dt_i/dw_i is (1 - t_i^2) z_(i-1): the layer's own slope is missing.",
            ),
            (
                gradients(states=np.ones_like(t)),
                "dt_i/dw_i is (1 - t_i^2) z_(i-1): the layer's input is missing.",
            ),
            (
                gradients()[::-1],
                "The values are right but in the order of the backward pass: give layer 1 first.",
            ),
            (
                gradients() * factors,
                "Each entry carries one factor too many: the product runs over the layers after i, not over i itself.",
            ),
            (
                gradients(states=z[1:]),
                "Each entry uses the output of layer i where the input of layer i belongs, z_(i-1).",
            ),
        ]
        if skip:
            wrong_slopes = 1 - z[1:] ** 2
            plain = chain.forward(x, weights, False)
            mistakes += [
                (
                    gradients(states=np.append(x, t[:-1])),
                    "With the skip the input of layer i is z_(i-1) = t_(i-1) + z_(i-2), the sum; this uses t_(i-1), the tanh "
                    "alone, which is what the notebook's z_list stores.",
                ),
                (
                    gradients(through=np.ones_like(t)),
                    "Here the later layers pass the gradient on with factor 1. The skip does not replace the layer, it is "
                    "added to it: dz_j/dz_(j-1) has two terms.",
                ),
                (
                    gradients(through=weights * slopes),
                    "The later layers multiply as if there were no skip: differentiate z_j = tanh(w_j z_(j-1)) + z_(j-1), "
                    "both terms.",
                ),
                (
                    gradients(local=wrong_slopes, through=weights * wrong_slopes + 1),
                    "The slope of tanh is 1 - t^2 with t = tanh(w z), taken before the skip is added; this uses the sum z.",
                ),
                (
                    by_autograd(False)[0],
                    "This is the answer without the skip: is `skip` used, in the forward pass too?",
                ),
                (
                    (plain[0][-1] - target) * (gradients() / (z[-1] - target)),
                    "The loss is taken at the output without the skip.",
                ),
            ]
        return mistakes

    for skip in (False, True):
        given = f"chain_gradients({x}, [0.7, -1.2, 1.5], {target}, {skip})"
        returned = call(answer, x, weights, target, skip)
        expect(
            isinstance(returned, (tuple, list)) and len(returned) == 2,
            f"{given} should return two things, the array dL/dw and the number dL/dx, but it returned {shown(returned)}.",
        )
        by_weights, by_input = by_autograd(skip)
        close(
            returned[0],
            by_weights,
            f"dL/dw of {given}",
            mistakes=mistakes_with_weights(skip),
            **ROUNDING,
        )
        z, t = chain.forward(x, weights, skip)
        close(
            returned[1],
            by_input,
            f"dL/dx of {given}",
            mistakes=[
                (
                    by_weights[0],
                    "This is dL/dw_1: the last step of the chain, down to x, multiplies by w_1, not by x.",
                ),
                (-by_input, "dL/dx has the wrong sign: dL/dz_n is z_n - target."),
                (
                    (z[-1] - target) * np.prod(weights * (1 - t**2)),
                    "dL/dx passes every layer as if there were no skip: differentiate both terms of t + z.",
                ),
                (
                    z[-1] - target,
                    "dL/dx passes every layer with factor 1: the skip is added to the layer's slope.",
                ),
            ],
            **ROUNDING,
        )
    without_torch(answer, x, weights, target, True)


ROUNDING = {"rtol": 1e-9, "atol": 1e-13}  # of float64; float32 is off by 1e-7


def without_torch(answer, *args) -> None:
    """Expect that the answer computes without torch (and so without its autograd)."""
    expect(
        not beside(answer, _uses_torch, answer, args),
        "The numbers are right, but torch has worked them out. Here the chain rule is yours to write, in NumPy: "
        "a loop forward, a loop backward. Autograd is what we compare you with.",
    )


def _uses_torch(function, args) -> bool:
    """Call a function and tell whether it called torch."""
    from torch.overrides import TorchFunctionMode

    class Watch(TorchFunctionMode):
        seen = False

        def __torch_function__(self, torch_function, types, args=(), kwargs=None):
            Watch.seen = True
            return torch_function(*args, **(kwargs or {}))

    with Watch():
        function(*args)
    return Watch.seen


@exercise
def layer_factor(answer):
    """The limit of dz_(l+1)/dz_l against the chain itself, 2000 layers deep."""
    for w in (0.5, 0.9, 1.0, 1.1, 2.0, 4.0):
        fixed = chain.forward(1.0, np.full(2000, w))[0][-1]
        truth = 1.0 if w == 1.0 else w * (1 - fixed**2)
        mistakes = []
        if w > 1:
            mistakes = [
                (
                    w,
                    f"For w = {w} the state does not go to 0 but to a fixed point z* > 0, where tanh has a smaller slope.",
                ),
                (
                    1 - fixed**2,
                    "This is the slope of tanh at the fixed point; the chain rule also gives the factor w.",
                ),
                (w * (1 - fixed), "The slope of tanh is 1 - tanh^2: a square is missing."),
                (
                    1.0,
                    f"For w = {w} the limit is not 1: find the fixed point z* = tanh(w z*), z* > 0, and the slope there.",
                ),
                (
                    0.0,
                    f"For w = {w} the limit is not 0: the fixed point z* is below 1, so its slope is not 0.",
                ),
                (
                    fixed,
                    "This is the fixed point z* itself; you are asked for the derivative of tanh(w z) at that point.",
                ),
                (
                    w * (1 - math.tanh(w) ** 2),
                    "This is the slope at z = 1, the first layer's; go on to the fixed point.",
                ),
            ]
        elif w < 1:
            mistakes = [
                (
                    w * (1 - math.tanh(w) ** 2),
                    "This is the slope at z = 1, the first layer's; go on: the state shrinks to 0.",
                ),
                (1.0, f"For w = {w} every layer far down multiplies by the slope at z = 0: what is it?"),
                (0.0, "The state goes to 0, but the slope of tanh(w z) there is not 0."),
            ]
        given = call(answer, w)
        if w == 1 and isinstance(given, (int, float, np.number)):
            expect(
                not 0.9 < given < 1 - 1e-6,
                f"layer_factor(1.0) is {float(given):.6g}, the factor after a number of layers, and not yet the limit: at w = 1 "
                "the state creeps to 0 so slowly that no loop gets there. Where does it end, and what is the slope there?",
            )
        close(given, truth, f"layer_factor({w})", rtol=1e-6, mistakes=mistakes)


@exercise
def update_survives(answer):
    """w + update against numpy's own rounding."""
    lost = "1e-19 is far below the spacing of float32 at 1: the sum is 1 again."
    relative = (
        "An absolute threshold cannot decide this: floats are spaced relative to their size. Near w = 0 a tiny update "
        "survives, at a large w even a big one is lost."
    )
    rounded = "1e-9 at w = 1 survives in float64 but not in float32: round to `dtype` first."
    half = (
        "Machine epsilon is the spacing *above* 1; below 1 the floats are twice as dense, and rounding goes to the "
        "nearest one, so half a spacing is enough. A formula has to know all that; something else knows it already."
    )
    tiny = "In float16 the number 1e-19 itself is rounded to 0: round the update to `dtype` too."
    cases = [
        (1.0, -1e-19, "float32", False, lost),
        (0.0, -1e-19, "float32", True, relative),
        (1.0, -1e-9, "float32", False, rounded),
        (1.0, -4e-8, "float32", True, half),
        (1e-12, -1e-19, "float32", True, relative),
        (1000.0, 1e-5, "float32", False, relative),
        (1.0, -1e-9, "float64", True, "In float64 there is room for 1e-9 at w = 1."),
        (
            1.0,
            4e-8,
            "float32",
            False,
            "Going up from 1 the spacing is twice that below: 4e-8 is rounded away.",
        ),
        (-1.0, 1e-3, "float32", True, "A negative weight and a large update: this is no loss at all."),
        (0.0, 1e-19, "float16", False, tiny),
        (1.0, 0.0, "float64", False, "An update of 0 changes nothing."),
    ]
    for w, update, dtype, truth, hint in cases:
        equal(
            call(answer, w, update, dtype),
            truth,
            f"update_survives({w!r}, {update!r}, {dtype!r})",
            mistakes=[
                (not truth, f"update_survives({w!r}, {update!r}, {dtype!r}) should be {truth}. {hint}")
            ],
        )


@exercise
def adam_first_step(answer):
    """The first step of Adam against torch.optim.Adam in float64."""
    # The truth stands inside the check: outside it could be handed in as the answer.
    import torch

    for g, lr in ((0.5, 1e-3), (1e-15, 1e-4), (-3e-9, 1e-2), (0.0, 1e-3)):
        w = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
        w.grad = torch.tensor(g, dtype=torch.float64)
        torch.optim.Adam([w], lr=lr, foreach=False).step()
        truth = w.item()
        mistakes = [
            (-truth, "The sign is turned round: the weight moves against the gradient."),
            (
                -lr * g,
                "This is the step of plain gradient descent: Adam divides by the size of the gradient (plus eps).",
            ),
            (
                -lr * np.sign(g),
                "This ignores eps = 1e-8. For a gradient far below eps it is eps that rules the denominator.",
            ),
            (
                -lr * g / (g + 1e-8),
                "For a positive gradient this is right, for a negative one not: what is the root of g^2?",
            ),
            (
                -lr * g / math.sqrt(g * g + 1e-8),
                "eps stands outside the root: sqrt(v) + eps, not sqrt(v + eps).",
            ),
            (
                -lr * 0.1 * g / (math.sqrt(0.001) * abs(g) + 1e-8),
                "The bias correction is missing: m and v start at 0, so after one step divide them by 1 - beta1 and 1 - beta2.",
            ),
            (
                -lr * 0.1 * g / (abs(g) + 1e-8),
                "m is not corrected for starting at 0: divide it by 1 - beta1.",
            ),
            (
                -lr * g / (math.sqrt(0.001) * abs(g) + 1e-8),
                "v is not corrected for starting at 0: divide it by 1 - beta2.",
            ),
            (
                -lr * g / (g * g + 1e-8),
                "The denominator is the root of v, which has the gradient's own unit, plus eps.",
            ),
        ]
        if g == 0:
            mistakes = [(-lr, "A gradient of 0 moves nothing: 0 / (0 + eps) is 0.")]
        close(call(answer, g, lr), truth, f"adam_first_step({g!r}, {lr!r})", rtol=1e-6, mistakes=mistakes)
