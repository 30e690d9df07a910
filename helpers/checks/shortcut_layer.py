"""Checks of lesson 6: hints for the likely mistakes."""

import re

import numpy as np

from helpers import shortcut
from helpers.checks.core import (
    CheckFailed,
    after_call,
    beside,
    call,
    close,
    equal,
    exercise,
    expect,
    raises,
)

__all__ = ["Shortcut", "ShortcutForward", "adjoint_gap", "option_a", "overlap"]

BAD_SHAPES = [
    ((1, 4, 4, 2), (1, 3, 3, 2), "4 is no multiple of 3"),
    ((1, 6, 6, 2), (1, 4, 4, 2), "6 / 4 is no whole number, though the ratios are equal"),
    ((1, 4, 4, 2), (1, 2, 4, 2), "the ratios differ: 2 in height, 1 in width"),
    ((1, 4, 2, 2), (1, 2, 4, 2), "the first is larger in height, the second in width"),
    ((2, 4, 4, 2), (1, 4, 4, 2), "the batches differ"),
]


@exercise
def overlap(answer):
    """Strides and channels for shapes that fit, a ValueError for those that do not."""
    overlap_at(answer, (5, 4, 4, 3), (5, 2, 2, 3), (2, 1, 3))
    overlap_at(answer, (1, 3, 5, 2), (1, 9, 15, 8), (1, 3, 2))
    overlap_at(answer, (2, 7, 5, 4), (2, 7, 5, 4), (1, 1, 4))
    overlap_at(answer, (1, 8, 4, 16), (1, 2, 1, 3), (4, 1, 3))
    refuses(answer)


@exercise
def ShortcutForward(answer):
    """The document's example, then outputs followed position by position."""
    ones = np.ones((1, 4, 4, 1)), np.ones((1, 2, 2, 1))
    output = _passes(answer, {}, [(*ones, *ones, ones[0])], backward=False)[0]["output"]
    close(
        np.asarray(output)[0, :, :, 0] if np.ndim(output) == 4 else output,
        [[2, 1, 2, 1], [1, 1, 1, 1], [2, 1, 2, 1], [1, 1, 1, 1]],
        "the document's example, a 4 x 4 image of ones with a 2 x 2 one,",
        mistakes=[
            (np.full((4, 4), 2.0), "The small image was repeated to fill the large one; it should be spread, with zeros between."),
            ([[2, 2, 1, 1], [2, 2, 1, 1], [1] * 4, [1] * 4], "The small image went into a corner; it should meet every second row and column."),
        ],
    )  # fmt: skip
    for activation, shapes in zip(shortcut.ACTIVATIONS, SHAPES, strict=True):
        layer_at(answer, shapes, activation, backward=False)
    layer_at(answer, SHAPES[1], "linear", backward=False, alpha=1.0, beta=1.0)
    survives_new_shapes(answer, backward=False)
    raises(
        ValueError,
        call(answer).forward,
        np.ones((1, 4, 4, 1)),
        np.ones((1, 3, 3, 1)),
        hint="forward must refuse shapes that do not fit, with a ValueError: `overlap` knows which.",
    )


@exercise
def Shortcut(answer):
    """Both gradients followed position by position; nothing else may change."""
    for activation, shapes in zip(shortcut.ACTIVATIONS, SHAPES, strict=True):
        layer_at(answer, shapes, activation, backward=True)
    layer_at(answer, SHAPES[1], "tanh", backward=True, alpha=0.0)
    layer_at(answer, SHAPES[1], "tanh", backward=True, beta=0.0)
    survives_new_shapes(answer, backward=True)


@exercise
def adjoint_gap(answer):
    """The gap of a right backward pass is rounding, that of a wrong one is known."""
    gap_at(answer, seed=0, right=True)
    gap_at(answer, seed=1, right=False)


@exercise
def option_a(answer):
    """Which pixels are kept, which channels are zero."""
    for shape, stride, channels in [
        ((2, 4, 4, 3), 2, 6),
        ((1, 5, 7, 2), 2, 2),
        ((1, 6, 6, 1), 3, 4),
        ((2, 3, 3, 2), 1, 3),
    ]:
        option_a_at(answer, shape, stride, channels, dtype="float32")
    raises(
        ValueError,
        answer,
        np.ones((1, 4, 4, 3)),
        2,
        2,
        hint="Fewer channels than there are: zeros cannot help there, so that is a ValueError.",
    )


SHAPES = [
    ((2, 4, 4, 3), (2, 4, 4, 3)),
    ((2, 8, 4, 4), (2, 4, 2, 2)),
    ((1, 2, 3, 2), (1, 6, 9, 5)),
    ((2, 6, 6, 2), (2, 2, 2, 3)),
]


def overlap_at(answer, shape1: tuple, shape2: tuple, truth: tuple) -> None:
    """Compare one answer; `truth` is (stride1, stride2, channels)."""
    stride1, stride2, channels = truth
    equal(
        call(answer, shape1, shape2),
        truth,
        f"overlap({shape1}, {shape2})",
        mistakes=[
            ((stride2, stride1, channels), "The strides are exchanged: the larger image is the one that is subsampled."),
            ((stride1, stride2, max(shape1[3], shape2[3])), "Channels that only one of the two has do not meet anything: take the smaller number."),
            ((stride1, stride2, shape1[3]), "Channels that only one of the two has do not meet anything: take the smaller number."),
            ((stride1, stride2, shape2[3]), "Channels that only one of the two has do not meet anything: take the smaller number."),
            ((shape1[1] // shape2[1], shape2[1] // shape1[1], channels), "A stride of 0 visits nothing: where an image is the smaller one, its stride is 1."),
            ((shape1[1] / shape2[1], shape2[1] / shape1[1], channels), "Strides are whole numbers, and at least 1."),
            ((float(stride1), float(stride2), channels), "Strides are whole numbers: divide with //."),
        ],
    )  # fmt: skip


def refuses(answer) -> None:
    """Expect a ValueError that names both shapes for every pair of shapes that does not divide."""
    for shape1, shape2, why in BAD_SHAPES:
        for first, second in ((shape1, shape2), (shape2, shape1)):
            what = f"overlap({first}, {second})"
            raises(
                ValueError,
                answer,
                first,
                second,
                hint=f"{what} should raise a ValueError that names both shapes: {why}.",
            )
            said = _message(answer, first, second)
            expect(
                _names(said, first) and _names(said, second),
                f"{what} is refused, as it should be, but the message is {said!r}. Whoever meets it wants to know which "
                "two shapes did not fit: put both into the message.",
            )


def _message(answer, *shapes: tuple) -> str:
    """What the ValueError says that these shapes raise."""
    try:
        answer(*shapes)
    except ValueError as error:
        return str(error)
    return ""


def _names(text: str, shape: tuple) -> bool:
    """Tell whether a text holds the numbers of a shape one after the other."""
    numbers, wanted = re.findall(r"\d+", text), [str(n) for n in shape]
    return any(numbers[i : i + len(wanted)] == wanted for i in range(len(numbers)))


def layer_at(
    answer,
    shapes: tuple,
    activation: str,
    backward: bool,
    alpha: float = 0.75,
    beta: float = -0.5,
    dtype: str = "float32",
    seed: int = 0,
) -> None:
    """Follow one pass of the learner's layer position by position, in float64, and compare."""
    shape1, shape2 = shapes
    rng = np.random.default_rng([seed, *shape1, *shape2])
    arrays = [rng.normal(size=shape).astype(dtype) for shape in (shape1, shape2, shape1, shape1, shape2)]
    x1, x2, gradient, start1, start2 = (a.astype(float) for a in arrays)

    partner = {}  # position of x1 -> position of x2 that is added there
    for n, i, j, k in np.ndindex(shape1):
        row, column = i * shape2[1] / shape1[1], j * shape2[2] / shape1[2]
        if row.is_integer() and column.is_integer() and k < shape2[3]:
            partner[n, i, j, k] = (n, int(row), int(column), k)
    here, there = (tuple(np.transpose(list(p))) for p in (partner.keys(), partner.values()))

    z = alpha * x1
    z[here] += beta * x2[there]
    y = shortcut.activate(z, activation)
    rounding = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-12}
    what = f"for shapes {shape1} and {shape2}, activation {activation!r}, alpha {alpha}, beta {beta}"

    seen = _passes(answer, {"alpha": alpha, "beta": beta, "activation": activation}, [arrays], backward)[0]
    expect(seen["output"] is not None, "forward gives None: does it reach its `return`?")
    off = x1.copy()
    off[here] = z[here]
    exchanged = beta * x1
    exchanged[here] += alpha * x2[there]
    apart = shortcut.activate(alpha * x1, activation)
    apart[here] += shortcut.activate(beta * x2[there], activation)
    close(
        seen["output"],
        y,
        f"the output {what}",
        dtype=dtype,
        mistakes=[
            (shortcut.activate(off, activation), "Positions off the overlap keep weight 1: alpha belongs to the whole of x1."),
            (shortcut.activate(exchanged, activation), "alpha and beta are exchanged: alpha goes with the first input."),
            (shortcut.activate(alpha * x1, activation), "The second input is never added."),
            (z, "The activation is missing."),
            (apart, "The activation comes after the sum, not before it."),
            *_index_mistakes(alpha * x1, beta * x2, activation),
        ],
        **rounding,
    )  # fmt: skip
    close(seen["output_later"], y, "the output after the backward pass", mistakes=[(seen["output_later"], (
        "The backward pass changed the layer's output. The slopes are another array: the output belongs to whoever reads it next."
    ))], **rounding)  # fmt: skip
    _same(seen["x1"], arrays[0], "the first input was changed: what a layer is given, it only reads.")
    _same(seen["x2"], arrays[1], "the second input was changed: what a layer is given, it only reads.")
    if not backward:
        return

    delta = gradient * shortcut.slope(y, activation)
    add1, add2 = alpha * delta, np.zeros(shape2)
    add2[there] = beta * delta[here]
    _same(
        seen["gradient"],
        arrays[2],
        "`gradient` itself was changed; the other branch of the network still needs it.",
    )
    if seen["returned"] is not None and np.array_equal(seen["gradient1"], arrays[3]):
        expect(
            False,
            "backward returns something and adds nothing: it should add to gradient1 and gradient2 in place.",
        )

    for name in ("gradient1", "gradient2"):
        expect(
            np.isfinite(np.asarray(seen[name], dtype=float)).all(),
            f"{name} {what} is not finite: alpha and beta may be 0, so nothing may be divided by them.",
        )
    only = gradient.copy() * shortcut.slope(y, activation)
    only[here] *= alpha
    flat = np.zeros(shape2)
    flat[there] = beta * gradient[here]
    unweighted = np.zeros(shape2)
    unweighted[there] = delta[here]
    close(
        seen["gradient1"],
        start1 + add1,
        f"gradient1 {what}",
        dtype=dtype,
        mistakes=[
            (start1, "gradient1 is as it was: backward adds to the array that it is given, in place (`+=` or `[...]`)."),
            (add1, "gradient1 was overwritten. Backward adds: other layers may have left their share there."),
            (start1 + only, "alpha is missing off the overlap: forward multiplies the whole of x1 by it."),
            (start1 + delta, "alpha is missing: what forward multiplied, backward multiplies too."),
            (start1 + alpha * gradient, "The slope of the activation is missing in gradient1."),
            (start1 + beta * delta, "alpha and beta are exchanged."),
            (start1 - add1, "The sign is wrong: the gradient is added."),
        ],
        **rounding,
    )  # fmt: skip
    close(
        seen["gradient2"],
        start2 + add2,
        f"gradient2 {what}",
        dtype=dtype,
        mistakes=[
            (start2, "gradient2 is as it was: backward adds to the array that it is given, in place (`+=` or `[...]`)."),
            (add2, "gradient2 was overwritten. Backward adds: other layers may have left their share there."),
            (start2 + unweighted, "beta is missing: what forward multiplied, backward multiplies too."),
            (start2 + flat, "The slope of the activation is missing in gradient2."),
        ],
        **rounding,
    )  # fmt: skip


def survives_new_shapes(answer, backward: bool) -> None:
    """Use one layer for two pairs of shapes, one after the other."""
    rng = np.random.default_rng(6)
    pairs = [((1, 4, 4, 2), (1, 2, 2, 2)), ((1, 4, 4, 2), (1, 4, 4, 2)), ((1, 2, 2, 2), (1, 4, 4, 2))]
    passes = [[rng.normal(size=shape) for shape in (a, b, a, a, b)] for a, b in pairs]
    settings = {"alpha": 2.0, "beta": 3.0, "activation": "linear"}
    fresh = [_passes(answer, settings, [one], backward)[0] for one in passes]
    hint = (
        "Each pass is right on a new layer, but wrong when one layer sees several shapes: something of the first pass "
        "(indices? shapes? a buffer?) is still in use. Work it out anew in every forward pass."
    )
    try:
        together = _passes(answer, settings, passes, backward)
    except CheckFailed as failure:
        raise CheckFailed(f"{hint} ({failure})") from failure
    for one, other in zip(fresh, together, strict=True):
        for name in ("output", "output_later", "gradient1", "gradient2"):
            expect(np.array_equal(one[name], other[name]), hint)


def gap_at(answer, seed: int, right: bool) -> None:
    """Compare the gap of one linear layer, whose arrays have three shapes, with the one that its matrices give."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, 4)), rng.normal(size=(3, 4))
    x1, x2, gradient = (rng.normal(size=(2, 4, 5, channels)) for channels in (2, 3, 4))
    back = None if right else (rng.normal(size=(4, 2)), rng.normal(size=(4, 3)))
    layer = beside(answer, shortcut.ChannelMix, first, second, back)
    y = x1 @ first + x2 @ second
    sides = [np.vdot(x, gradient @ m) for x, m in zip((x1, x2), back or (first.T, second.T), strict=True)]
    left, scale = np.vdot(y, gradient), np.linalg.norm(y) * np.linalg.norm(gradient)
    result = call(answer, layer, x1, x2, gradient)
    truth = 0.0 if right else abs(left - sum(sides)) / scale
    what = f"the gap of a layer whose backward pass is {'right' if right else 'not the transpose'}"
    size = abs(left - sum(sides))
    compared = "The two sides are subtracted from each other, <y, g> on one side, both inputs on the other: a sign is turned round."
    mistakes = [
        (abs(left - sides[0]) / scale, "<x2, gradient2> is missing on the right: the layer has two inputs."),
        (abs(left - sides[1]) / scale, "<x1, gradient1> is missing on the right: the layer has two inputs."),
        (
            abs(left) / scale,
            "The right side is zero: did backward get the two arrays, and did you keep them?",
        ),
        (abs(left + sum(sides)) / scale, compared),
        (abs(left - sides[0] + sides[1]) / scale, compared),
        (abs(left + sides[0] - sides[1]) / scale, compared),
        ((left - sum(sides)) / scale, "A gap has no sign: take the absolute value."),
        (
            size,
            "Divide by the norms of the output and of the gradient, so that the gap does not depend on their size.",
        ),
        (
            size / abs(left),
            "Divide by the norms of the output and of the gradient: <y, g> can be near zero by chance.",
        ),
    ]
    if right and isinstance(result, (int, float, np.number)) and not abs(result) < 1e-12:
        # A layer that overwrites its gradients does not mind what they held: if it has no gap, noise was there.
        forgiving = beside(answer, shortcut.ChannelMix, first, second, None, True)
        again = call(answer, forgiving, x1, x2, gradient)
        if isinstance(again, (int, float, np.number)) and abs(again) < 1e-12:
            hint = (
                f"{what} should be no more than rounding, but yours is {float(result):.3g}. "
                "Backward adds to the arrays that it is given: start both of them from zeros, not from noise."
            )
            mistakes.append((result, hint))
    close(result, truth, what, rtol=1e-9, atol=1e-12, mistakes=mistakes)


def option_a_at(answer, shape: tuple, stride: int, channels: int, dtype: str, seed: int = 0) -> None:
    """Compare one option-A shortcut with its pixels taken one by one."""
    x = np.random.default_rng([seed, *shape]).normal(size=shape).astype(dtype)
    batch, height, width, before = shape
    truth = np.zeros((batch, -(-height // stride), -(-width // stride), channels))
    for n, i, j, k in np.ndindex(batch, *truth.shape[1:3], before):
        truth[n, i, j, k] = x[n, i * stride, j * stride, k]
    centred = np.roll(truth, (channels - before) // 2, axis=3)
    pooled = x.astype(float)[:, : height // stride * stride, : width // stride * stride]
    pooled = pooled.reshape(batch, height // stride, stride, width // stride, stride, before).mean((2, 4))
    repeated = truth.copy()
    for k in range(before, channels):
        repeated[..., k] = truth[..., k % before]
    close(
        call(answer, x, stride, channels),
        truth,
        f"option_a of an image of shape {shape}, stride {stride}, {channels} channels,",
        dtype=dtype,
        rtol=1e-6,
        mistakes=[
            (x, "Nothing was subsampled: take every `stride`-th row and column."),
            (truth[..., :before], "The channels were not filled up with zeros."),
            (centred, "The zeros belong behind the old channels, not on both sides of them."),
            (truth[..., ::-1], "The old channels come first, in their order; the zeros follow."),
            (np.roll(truth, channels - before, axis=3), "The zeros belong behind the old channels, not before them."),
            (repeated, "Option A adds zeros; here the channels were repeated."),
            (np.pad(pooled, [(0, 0)] * 3 + [(0, channels - before)]), "Option A keeps pixels; it does not average them."),
        ],
    )  # fmt: skip
    after = after_call(answer, x, stride, channels)[0]
    expect(np.array_equal(after, x), "option_a changed the image: what a shortcut is given, it only reads.")


def _index_mistakes(first: np.ndarray, second: np.ndarray, activation: str) -> list:
    """Outputs of layers that mix up heights, widths and channels, where such a layer runs at all."""
    stride1, stride2 = (
        max(a // b, 1)
        for a, b in zip((first.shape[1], second.shape[1]), (second.shape[1], first.shape[1]), strict=True)
    )
    channels = min(first.shape[3], second.shape[3])
    every = slice(None)

    def sums(here: tuple, there: tuple) -> np.ndarray | None:
        z = first.copy()
        if z[here].shape != second[there].shape:
            return None
        z[here] += second[there]
        return shortcut.activate(z, activation)

    rows1, rows2 = slice(None, first.shape[2], stride1), slice(None, second.shape[2], stride2)
    columns1, columns2 = slice(None, None, stride1), slice(None, None, stride2)
    wrong = [
        (
            sums((every, rows1, columns1, slice(channels)), (every, rows2, columns2, slice(channels))),
            "The range of rows was taken from the width: images need not be square.",
        ),
        (
            sums((every, columns1, columns1, columns1), (every, columns2, columns2, columns2)),
            "The spatial stride was used on the channels too: they are matched one to one, from the first.",
        ),
        (
            sums((every, columns1, columns1, slice(-channels, None)), (every, columns2, columns2, slice(-channels, None))),
            "The last channels were matched; it should be the first.",
        ),
        (
            sums((every, slice(stride1 - 1, None, stride1), slice(stride1 - 1, None, stride1), slice(channels)),
                 (every, slice(stride2 - 1, None, stride2), slice(stride2 - 1, None, stride2), slice(channels))),
            "The overlap starts at index 0, not at stride - 1.",
        ),
    ]  # fmt: skip
    right = sums((every, columns1, columns1, slice(channels)), (every, columns2, columns2, slice(channels)))
    return [(value, hint) for value, hint in wrong if value is not None and not np.allclose(value, right)]


def _passes(answer, settings: dict, arrays: list, backward: bool) -> list[dict]:
    """Run the learner's layer beside it; what it raises becomes a hint."""
    request = (answer, shortcut.observe, answer, settings, arrays, backward)
    try:
        return beside(*request)
    except NotImplementedError:
        return call(beside, *request)
    except Exception as error:
        shapes = ", then ".join(f"x1 {one[0].shape} and x2 {one[1].shape}" for one in arrays)
        places = " In backward, gradient2 is visited where x2 was, and the gradient where x1 was: exchanged?"
        raise CheckFailed(
            f"The layer raised {type(error).__name__}: {error}. It was given {shapes}.{places if backward else ''}"
        ) from error


def _same(value, original: np.ndarray, hint: str) -> None:
    expect(np.array_equal(value, original), f"In your layer {hint}")
