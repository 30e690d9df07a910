"""Exercises of lesson 6."""

import itertools
import math

import numpy as np

from course.exercises import Exercise, case, changed, conduct, made, rewritten, unchanged, written
from helpers import shortcut
from helpers.checks.probes import drawn, refused
from helpers.checks.probes import shortcut_layer as probes

# overlap -------------------------------------------------------------------------------------------------------------


def _by_common_rows(shape1, shape2):
    rows, columns = (math.gcd(a, b) for a, b in zip(shape1[1:3], shape2[1:3], strict=True))
    strides = shape1[1] // rows, shape2[1] // rows
    if shape1[0] != shape2[0] or strides != (shape1[2] // columns, shape2[2] // columns) or 1 not in strides:
        raise ValueError(shape1, shape2)
    return *strides, min(shape1[3], shape2[3])


def _refused(shape1, shape2, why=""):
    what = f"overlap({shape1}, {shape2}), where {why}," if why else ""
    return case(shape1, shape2, probe=probes.overlap_refused, what=what)


def _draw_shapes(rng):
    for batch, height, width, ratio, few, more in rng.integers(2, 6, (4, 6)).tolist():
        large, small = (batch, height * ratio, width * ratio, few), (batch, height, width, few + more)
        yield from (case(large, small), case(small, large), _refused(small, (batch + 1, *large[1:])))
        yield _refused(large, (batch, height, width * ratio, few))


NAMED = (
    "It is refused, as it should be. But whoever meets the message wants to know which two shapes did not fit: put both "
    "into it."
)
BAD_SHAPES = {
    "4 is no multiple of 3": ((1, 4, 4, 2), (1, 3, 3, 2)),
    "6 / 4 is no whole number, though the ratios are equal": ((1, 6, 6, 2), (1, 4, 4, 2)),
    "the ratios differ, 2 in height, 1 in width": ((1, 4, 4, 2), (1, 2, 4, 2)),
    "the first is larger in height, the second in width": ((1, 4, 2, 2), (1, 2, 4, 2)),
    "the batches differ": ((2, 4, 4, 2), (1, 4, 4, 2)),
}
WHOLE = "whole = max(height1, height2) % min(height1, height2) == 0"
STRIDES = "max(height1 // height2, 1), max(height2 // height1, 1)"
CHANNELS = "min(channels1, channels2)"
SMALLER = "Channels that only one of the two has do not meet anything: take the smaller number."
TEXT = (
    'f"shapes {tuple(shape1)} and {tuple(shape2)} do not fit: batches must be equal, and height and "',
    '"width of one a whole multiple of the other\'s, by the same ratio"',
)
OVERLAP_WRONG = changed(
    ("strides exchanged", STRIDES, "max(height2 // height1, 1), max(height1 // height2, 1)",
     "The strides are exchanged: the larger image is the one that is subsampled."),
    ("strides of zero", STRIDES, "height1 // height2, height2 // height1",
     "A stride of 0 visits nothing: where an image is the smaller one, its stride is 1."),
    ("true division", STRIDES, "height1 / height2, height2 / height1",
     "Strides are whole numbers, and at least 1."),
    ("floats", STRIDES, STRIDES.replace("//", "/"), "Strides are whole numbers: divide with //."),
    ("all channels", CHANNELS, "max(channels1, channels2)", SMALLER),
    ("channels of the first", CHANNELS, "channels1", SMALLER),
    ("channels of the second", CHANNELS, "channels2", SMALLER),
    ("never refuses", "batch1 != batch2 or height1 * width2 != height2 * width1 or not whole", "False",
     "Nothing is refused. Shapes that do not fit should raise a ValueError that names both."),
    ("looks at heights only", "height1 * width2 != height2 * width1 or ", "",
     "One stride serves height and width: it is not enough to look at the heights. Compare the two ratios."),
    ("equal ratios need not be whole", " or not whole", "",
     "Equal ratios are not enough: 4 is no multiple of 3, and no stride is 4/3."),
    ("divides without looking at the batch", "batch1 != batch2 or ", "",
     "The batches differ, and are not compared: which image would meet which?"),
    ("a ValueError that says nothing", TEXT[0], "", TEXT[1], "", NAMED),
    ("a ValueError that names one shape", " and {tuple(shape2)}", "", NAMED),
    ("an assertion in place of a ValueError", "raise ValueError", "raise AssertionError",
     "It is refused, but not with a ValueError, which is what a caller looks for."),
    ("forgets to return", f"return {STRIDES}, {CHANNELS}", "", ""),
)  # fmt: skip

overlap = Exercise(
    idea="Shapes fit if one image is a whole multiple of the other, both ways alike; a layer refuses the rest rather than guess.",
    oracle=_by_common_rows,
    hints={"the names": NAMED},
    cases=[
        case((5, 4, 4, 3), (5, 2, 2, 3)),
        case((1, 3, 5, 2), (1, 9, 15, 8)),
        case((2, 7, 5, 4), (2, 7, 5, 4)),
        case((1, 8, 4, 16), (1, 2, 1, 3)),
        *(_refused(*pair, why) for why, shapes in BAD_SHAPES.items() for pair in (shapes, shapes[::-1])),
        conduct((1, 4, 4, 2), (1, 2, 2, 3)),
    ],
    hidden=_draw_shapes,
    mistakes=OVERLAP_WRONG,
    equivalent=unchanged(f"""
        {WHOLE} | max(height1, height2) | max(height2, height1)
        {WHOLE} | min(height1, height2) | min(height2, height1)
        return ({STRIDES}, {CHANNELS}) | max(height1 // height2, 1) | max(1, height1 // height2)
        return ({STRIDES}, {CHANNELS}) | max(height2 // height1, 1) | max(1, height2 // height1)
        return ({STRIDES}, {CHANNELS}) | {CHANNELS} | min(channels2, channels1)
            the order does not matter
        raise ValueError({TEXT[0][:-1]}{TEXT[1][1:]}) | tuple(shape1) | shape1
        raise ValueError({TEXT[0][:-1]}{TEXT[1][1:]}) | tuple(shape2) | shape2
            a tuple in the message
    """),
    right=written("""
        # fractions
        from fractions import Fraction

        ratios = {Fraction(a, b) for a, b in zip(shape1[1:3], shape2[1:3])}
        ratio = ratios.pop()
        if shape1[0] != shape2[0] or ratios or 1 not in (ratio.numerator, ratio.denominator):
            raise ValueError(f"{shape1} {shape2}")
        return ratio.numerator, ratio.denominator, min(shape1[3], shape2[3])
        # a case at a time
        (n1, h1, w1, c1), (n2, h2, w2, c2) = shape1, shape2
        if n1 == n2:
            channels = c1 if c1 < c2 else c2
            if h1 % h2 == 0 and w1 % w2 == 0 and h1 // h2 == w1 // w2:
                return h1 // h2, 1, channels
            if h2 % h1 == 0 and w2 % w1 == 0 and h2 // h1 == w2 // w1:
                return 1, h2 // h1, channels
        raise ValueError("shapes do not fit: %s, %s" % (shape1, shape2))
    """)
    + rewritten(f"""
        the message in its own way, a list of numpy's numbers
        | {TEXT[0]} | "x".join(map(str, shape1)) + " and "
        | {TEXT[1]} | + "x".join(map(str, shape2))
        | return {STRIDES}, {CHANNELS} | return list(np.array([{STRIDES}, {CHANNELS}]))
    """),
)

# ShortcutForward -----------------------------------------------------------------------------------------------------


class _Followed:
    """The layer in float64, one position after the other, with slopes from z."""

    def __init__(self, alpha=1.0, beta=1.0, activation="linear"):
        self.alpha, self.beta, (self.activate, self.slope) = alpha, beta, ACTIVATIONS[activation]

    def forward(self, x1, x2):
        _by_common_rows(x1.shape, x2.shape)
        self.z, self.partner = self.alpha * x1.astype(float), {}
        for n, i, j, k in np.ndindex(x1.shape):
            row, column = i * x2.shape[1] / x1.shape[1], j * x2.shape[2] / x1.shape[2]
            if row.is_integer() and column.is_integer() and k < x2.shape[3]:
                self.partner[n, i, j, k] = there = (n, int(row), int(column), k)
                self.z[n, i, j, k] += self.beta * float(x2[there])
        return self.activate(self.z).astype(x1.dtype)

    def backward(self, gradient, gradient1, gradient2):
        delta = gradient * self.slope(self.z)
        gradient1 += (self.alpha * delta).astype(gradient1.dtype)
        for here, there in self.partner.items():
            gradient2[there] += self.beta * delta[here]


ACTIVATIONS = {
    "linear": (np.copy, np.ones_like),
    "relu": (lambda z: (z + abs(z)) / 2, lambda z: np.heaviside(z, 0.0)),
    "tanh": (lambda z: np.sinh(z) / np.cosh(z), lambda z: np.cosh(z) ** -2.0),
    "logistic": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
}
SHAPES = [
    ((2, 3, 2, 3), (2, 3, 2, 3)),
    ((1, 8, 4, 4), (1, 4, 2, 2)),
    ((1, 2, 3, 2), (1, 6, 9, 3)),
    ((1, 6, 6, 2), (1, 2, 2, 3)),
]
DTYPES = ("float32", "float32", "float64", "float32")
THREE = [((1, 4, 4, 2), (1, 2, 2, 2)), ((1, 4, 4, 2), (1, 4, 4, 2)), ((1, 2, 2, 2), (1, 4, 4, 2))]
ROUNDING = {  # a few roundings a number; what is near zero was subtracted from something near one
    "float32": {"rtol": 1e-5, "atol": 1e-6},
    "float64": {"rtol": 1e-9, "atol": 1e-12},
}
STALE = (
    "Each pass is right on a new layer, but wrong when one layer sees several shapes: something of the first pass "
    "(indices? shapes? a buffer?) is still in use. Work it out anew in every forward pass."
)
UNFIT = (1, 4, 4, 1), (1, 3, 3, 1)
REFUSE = "forward must refuse shapes that do not fit, with a ValueError: `overlap` knows which."
KEPT = "In your layer an input was changed: what a layer is given, it only reads."


def _pass(backward, shapes, activation, dtype, alpha=0.75, beta=-0.5, seed=0):
    settings = {"alpha": alpha, "beta": beta, "activation": activation}
    what = f"the layer for x1 {shapes[0]}, x2 {shapes[1]}, activation {activation!r}, alpha {alpha:g}, beta {beta:g}"
    return case(settings, [shapes], backward, dtype, seed, what=what, **ROUNDING[dtype])


def _passes(backward):
    """One layer for three pairs of shapes; each of them is right on a new layer by then."""
    hints = dict.fromkeys(("the output", "output kept", "gradient1", "gradient2"), STALE)
    what = "one layer for three pairs of shapes"
    return case({"alpha": 2.0, "beta": 3.0}, THREE, backward, what=what, hints=hints)


def _layer_conduct(backward):
    return case({"activation": "tanh"}, (1, 2, 2, 2), backward, probe=probes.layer_conduct, what="the layer")


def _draw_passes(rng, backward):
    dtypes = rng.permutation(["float32", "float64"] * 2).tolist()
    for activation, dtype in zip(shortcut.ACTIVATIONS, dtypes, strict=True):
        batch, height, width, ratio, few, more = rng.integers(1, 4, 6).tolist()
        shapes = [(batch, height * ratio, width * ratio, few), (batch, height, width, more)]
        alpha, beta = np.round(rng.uniform(-2, 2, 2), 2).tolist()
        order = tuple(shapes[:: rng.choice([-1, 1])])
        yield _pass(backward, order, activation, dtype, alpha, beta, int(rng.integers(1000)))


OUTPUT = "self.output = shortcut.activate(z, self.activation)"
START, ADD = "z = self.alpha * x1", "shortcut.add_scaled(z[self.here], x2[self.there], self.beta)"
FORWARD_WRONG = changed(
    ("alpha on the overlap only", START, "z = x1.copy()", ADD,
     "z[self.here] = self.alpha * x1[self.here] + self.beta * x2[self.there]",
     "Positions off the overlap keep weight 1: alpha belongs to the whole of x1."),
    ("heights from widths", "[:, ::stride1, ", "[:, : x1.shape[2] : stride1, ", "[:, ::stride2, ",
     "[:, : x2.shape[2] : stride2, ",
     "The range of rows was taken from the width: images need not be square."),
    ("stride on the channels", "::stride1, :channels", "::stride1, ::stride1", "::stride2, :channels",
     "::stride2, ::stride2",
     "The spatial stride was used on the channels too: they are matched one to one, from the first."),
    ("the last channels", "::stride1, :channels", "::stride1, -channels:", "::stride2, :channels",
     "::stride2, -channels:", "The last channels were matched; it should be the first."),
    ("starts at stride - 1", "[:, ::stride1, ::", "[:, stride1 - 1 :: stride1, stride1 - 1 :: ",
     "[:, ::stride2, ::", "[:, stride2 - 1 :: stride2, stride2 - 1 :: ",
     "The overlap starts at index 0, not at stride - 1."),
    ("repeats the small image", ADD,
     "small = np.repeat(np.repeat(x2, stride1, 1), stride1, 2)[:, ::stride2, ::stride2]; z[..., :channels] += self.beta * small[..., :channels]",
     "The small image was repeated to fill the large one; it should be spread, with zeros between."),
    ("puts the small image in a corner", ADD,
     "z[:, : x2.shape[1], : x2.shape[2], :channels] += self.beta * x2[:, : x1.shape[1], : x1.shape[2], :channels]",
     "The small image went into a corner; it should meet every second row and column."),
    ("float64 from float32", START, "z = np.zeros(x1.shape) + self.alpha * x1",
     "float32 in, float32 out: here float64 comes out. Which array on the way was made without a dtype?"),
    ("adds into the first input", START, "x1 *= self.alpha; z = x1", KEPT),
    ("no copy where alpha is 1", START, "z = x1 if self.alpha == 1 else self.alpha * x1", KEPT),
    ("scales the second input in place", ADD, "x2 *= self.beta; z[self.here] += x2[self.there]", KEPT),
    ("takes any shapes", "stride1, stride2, channels = overlap(x1.shape, x2.shape)",
     "(h1, c1), (h2, c2) = x1.shape[1::2], x2.shape[1::2]; stride1, stride2, channels = max(h1 // h2, 1), max(h2 // h1, 1), min(c1, c2)",
     ADD,
     "a, b = z[self.here], x2[self.there]; n, m = map(min, a.shape[1:3], b.shape[1:3]); a[:, :n, :m] += self.beta * b[:, :n, :m]",
     "Your forward takes shapes that do not fit. It must refuse them with a ValueError: `overlap` knows "
     "which."),
    ("alpha and beta exchanged", START, "z = self.beta * x1", ADD, ADD.replace("beta", "alpha"),
     "alpha and beta are exchanged: alpha goes with the first input."),
    ("alpha is left out", START, "z = x1.copy()", "alpha, the weight of x1, is not used."),
    ("beta is left out", ADD, ADD.replace("self.beta", "1.0"), "beta, the weight of x2, is not used."),
    ("the second input is left out", ADD, "pass", "The second input is never added."),
    ("no activation", OUTPUT, "self.output = z", "The activation is missing."),
    ("activation before the sum", START, "z = shortcut.activate(self.alpha * x1, self.activation)", ADD,
     "z[self.here] += shortcut.activate(self.beta * x2[self.there], self.activation)", OUTPUT,
     "self.output = z", "The activation comes after the sum, not before it."),
    ("stale indices after a shape change", "self.here = np", 'if not hasattr(self, "here"): self.here = np',
     "self.there = np", 'if not hasattr(self, "there"): self.there = np', STALE),
    ("one buffer for all outputs", START,
     'z = self.z = self.z if getattr(self, "z", x2[:, :0]).shape == x1.shape else np.empty_like(x1); z[...] = self.alpha * x1',
     STALE),
    ("no return", "        return self.output\n", "", ""),
)  # fmt: skip

ShortcutForward = Exercise(
    idea="The two images meet on their overlap alone, while α belongs to all of the first.",
    oracle=_Followed,
    probe=probes.layer,
    dtype=True,
    hints={"inputs kept": KEPT},
    cases=[
        case(
            {}, THREE[:1], False, "float64", None, what="the document's example, ones of 4 x 4 and of 2 x 2,"
        ),
        *map(_pass, itertools.repeat(False), SHAPES, shortcut.ACTIVATIONS, DTYPES),
        _passes(False),
        case(*UNFIT, probe=probes.layer_refused, hints={"": REFUSE}),
        _layer_conduct(False),
    ],
    hidden=lambda rng: [*_draw_passes(rng, False), case(*UNFIT, probe=probes.layer_refused)],
    mistakes=FORWARD_WRONG,
    equivalent=unchanged("""
        self.alpha, self.beta, self.activation = (float(alpha), float(beta), activation) | float(alpha) | alpha
        self.alpha, self.beta, self.activation = (float(alpha), float(beta), activation) | float(beta) | beta
            a weight is a Python number in this course
    """),
    right=rewritten(f"""
        the plain formula | {ADD} | z[self.here] += self.beta * x2[self.there]
        S(x2) as an array of its own
        | {START} | placed = np.zeros_like(x1); placed[self.here] = x2[self.there]
        | {ADD} | z = self.alpha * x1 + self.beta * placed
        one pixel after the other, the sum taken in float64
        | {START} | z = self.alpha * x1.astype(float)
        | {ADD} | for i, r in enumerate(range(0, x2.shape[1], stride2)):\\n            COLUMNS
        | COLUMNS | for j, c in enumerate(range(0, x2.shape[2], stride2)):\\n                PIXEL
        | PIXEL | z[:, i * stride1, j * stride1, :channels] += self.beta * x2[:, r, c, :channels]\\n        z = z.astype(x1.dtype)
    """),
)

# Shortcut ------------------------------------------------------------------------------------------------------------

IN_PLACE = (
    "gradient1 or gradient2 is as it was: backward adds to the arrays that it is given, in place (`+=` or `[...]`). What it "
    "returns, or calls by the same name, reaches nobody."
)
OVERWRITTEN = "A gradient was overwritten. Backward adds: other layers may have left their share there."
OUTPUT_KEPT = (
    "The backward pass changed the layer's output. The slopes are another array: the output belongs to whoever reads it "
    "next."
)
GRADIENT_KEPT = "In your layer `gradient` itself was changed; the other branch of the network still needs it."
DIVIDED = "alpha and beta may be 0, so nothing may be divided by them."
SLOPE = "The slope of the activation is missing."
WEIGHT = "alpha or beta is missing: what forward multiplied, backward multiplies too."
SLOPED = "delta = gradient * shortcut.slope(self.output, self.activation)"
FIRST = "shortcut.add_scaled(gradient1, delta, self.alpha)"
SECOND = "shortcut.add_scaled(gradient2[self.there], delta[self.here], self.beta)"
SHARE, SHARE2 = "share = self.alpha * delta; gradient1 += share", "share = np.zeros_like(gradient2); share[self.there] = self.beta * delta[self.here]"  # fmt: skip
BACKWARD_WRONG = changed(
    ("divides by alpha", FIRST, SHARE, SECOND,
     "gradient2[self.there] += self.beta / self.alpha * share[self.here]", DIVIDED),
    ("divides an array by alpha", FIRST, SHARE, SECOND,
     "gradient2[self.there] += self.beta * (share[self.here] / self.alpha)", DIVIDED),
    ("alpha missing off the overlap", FIRST,
     "share = delta.copy(); share[self.here] *= self.alpha; gradient1 += share",
     "alpha is missing off the overlap: forward multiplies the whole of x1 by it."),
    ("swapped indices", SECOND, "gradient2[self.here] += self.beta * delta[self.there]",
     "gradient2 is visited where x2 was, and the gradient where x1 was: exchanged?"),
    ("stale indices after a shape change", SECOND,
     'self.kept = getattr(self, "kept", (self.there, self.here)); gradient2[self.kept[0]] += self.beta * delta[self.kept[1]]',
     STALE),
    ("overwrites in place of adding", FIRST, "gradient1[...] = self.alpha * delta", SECOND,
     f"{SHARE2}; gradient2[...] = share", OVERWRITTEN),
    ("overwrites a slice", SECOND, "gradient2[self.there] = self.beta * delta[self.here]", OVERWRITTEN),
    ("binds new arrays, the caller's stay as they were", FIRST, "gradient1 = gradient1 + self.alpha * delta",
     SECOND, f"{SHARE2}; gradient2 = gradient2 + share", IN_PLACE),
    ("returns the gradients", FIRST, SHARE2, SECOND, "return self.alpha * delta, share", IN_PLACE),
    ("the second gradient is left out", SECOND, "pass", IN_PLACE),
    ("no slopes", SLOPED, "pass", SLOPE),
    ("no slope in the first", FIRST, FIRST.replace("delta", "gradient"), SLOPE),
    ("no slope in the second", SECOND, SECOND.replace("delta", "gradient"), SLOPE),
    ("the slope at the gradient", SLOPED, SLOPED.replace("self.output", "gradient"),
     "The slope is taken at the wrong place: `shortcut.slope` wants the layer's output."),
    ("beta is left out", SECOND, SECOND.replace("self.beta", "1.0"), WEIGHT),
    ("alpha is left out", FIRST, FIRST.replace("self.alpha", "1.0"), WEIGHT),
    ("alpha and beta exchanged", FIRST, FIRST.replace("alpha", "beta"), SECOND,
     SECOND.replace("beta", "alpha"), "alpha and beta are exchanged."),
    ("the sign turned round", FIRST, FIRST.replace("self", "-self"), SECOND,
     SECOND.replace("self.beta", "-self.beta"), "The sign is wrong: the gradient is added."),
    ("ReLU's slopes overwrite the output", SLOPED,
     f'{SLOPED}\n            self.output[self.output > 0] = 1 if self.activation == "relu" else self.output[self.output > 0]',
     OUTPUT_KEPT),
    ("changes the gradient that it is given", SLOPED, SLOPED.replace("delta = gradient *", "gradient *="),
     GRADIENT_KEPT),
    ("the stub", SLOPED, "pass", FIRST, "raise NotImplementedError", ""),
)  # fmt: skip

Shortcut = Exercise(
    idea="Backward runs the same strides with the same factors the other way, and adds to what is there.",
    oracle=_Followed,
    probe=probes.layer,
    dtype=True,
    hints={"inputs kept": KEPT, "gradient kept": GRADIENT_KEPT, "output kept": OUTPUT_KEPT},
    cases=[
        *map(_pass, itertools.repeat(True), SHAPES, shortcut.ACTIVATIONS, DTYPES),
        _pass(True, SHAPES[1], "tanh", "float64", alpha=0.0),
        _pass(True, SHAPES[1], "tanh", "float64", beta=0.0),
        _passes(True),
        _layer_conduct(True),
    ],
    hidden=lambda rng: _draw_passes(rng, True),
    mistakes=BACKWARD_WRONG,
    right=rewritten(f"""
        the plain formula | {FIRST} | gradient1 += self.alpha * delta | {SECOND} | gradient2[self.there] += self.beta * delta[self.here]
        a share for x2 of its full size, np.add with out
        | {FIRST} | np.add(gradient1, delta * self.alpha, out=gradient1); {SHARE2}
        | {SECOND} | np.add(gradient2, share, out=gradient2); return gradient1, gradient2
    """)
    + written("""
        # forgets its own forward and uses the shapes of the arrays
        class Shortcut(ShortcutForward):
            def backward(self, gradient, gradient1, gradient2):
                s1, s2, c = overlap(gradient1.shape, gradient2.shape)
                y = self.output
                slope = {"linear": 1.0, "relu": y > 0, "tanh": 1 - y**2, "logistic": y - y**2}[self.activation]
                delta = slope * gradient
                gradient1[...] = gradient1 + self.alpha * delta
                gradient2[:, ::s2, ::s2, :c] += self.beta * delta[:, ::s1, ::s1, :c]
    """),
)

# adjoint_gap ---------------------------------------------------------------------------------------------------------


def _by_matrices(layer, x1, x2, gradient):
    y = np.einsum("nijc,cd->nijd", x1, layer.first) + np.einsum("nijc,cd->nijd", x2, layer.second)
    left = np.einsum("nijd,nijd", y, gradient)
    sides = [np.einsum("nijc,nijd,dc", x, gradient, m) for x, m in zip((x1, x2), layer.back, strict=True)]
    return abs(left - sum(sides)) / math.sqrt((y**2).sum() * (gradient**2).sum())


def _layer(right, seed=0, start_over=False, sign=1, probe=case, **options):
    """A question with arrays of three shapes; the sign is that of the difference without abs."""
    shapes = (2, 4), (3, 4), (4, 2), (4, 3), (1, 2, 3, 2), (1, 2, 3, 3), (1, 2, 3, 4)
    first, second, *back, x1, x2, gradient = (
        np.round(drawn(seed + i, *shape), 2) for i, shape in enumerate(shapes)
    )
    layer = made(shortcut.ChannelMix, first, second, None if right else back, start_over)
    what = f"the gap of a layer whose backward pass is {'right' if right else 'not the transpose'}"
    return probe(layer, x1, x2, sign * gradient, **{"what": what} | options)


NOISE = (
    "For a layer whose backward pass is right the gap should be no more than rounding, and yours is more. Backward adds to "
    "the arrays that it is given: start both of them from zeros."
)
SIGN = "The two sides are subtracted from each other, <y, g> on one side, both inputs on the other: a sign is turned round."
ABSOLUTE = "A gap has no sign: take the absolute value."
BOTH = "An input is missing on the right: the layer has two, each with its gradient."
ZEROS, FORWARD = "np.zeros_like(x1), np.zeros_like(x2)", "    y = layer.forward(x1, x2)\n"
NORMS, BACK = "(np.linalg.norm(y) * np.linalg.norm(gradient))", "    layer.backward(gradient, gradient1, gradient2)\n"  # fmt: skip
SIDE1, SIDE2 = " - np.vdot(x1, gradient1)", " - np.vdot(x2, gradient2)"
ADJOINT_WRONG = changed(
    ("starts from noise, as the document", ZEROS,
     "(np.random.default_rng(0).uniform(size=x.shape) for x in (x1, x2))", NOISE),
    ("starts from the inputs", ZEROS, "x1.copy(), x2.copy()", NOISE),
    ("the first input forgotten", SIDE1, "", BOTH),
    ("the second input forgotten", SIDE2, "", BOTH),
    ("not divided by the norms", f" / {NORMS}", "",
     "Divide by the norms of the output and of the gradient, so that the gap does not depend on their size."),
    ("relative to the left side", NORMS, "abs(np.vdot(y, gradient))",
     "Divide by the norms of the output and of the gradient: <y, g> can be near zero by chance."),
    ("the squared norms", NORMS, f"{NORMS} ** 2",
     "Divide by the product of the norms, not by inner products of an array with itself."),
    ("a gap with a sign", "abs(difference)", "difference", ABSOLUTE),
    ("a gap with the other sign", "abs(difference)", "-difference", ABSOLUTE),
    ("never goes backward", BACK, "",
     "The right side is zero: did backward get the two arrays, and did you keep them?"),
    ("backward before forward", BACK, "", FORWARD, BACK + FORWARD,
     "backward needs what forward keeps: which of them has to run first?"),
    ("both arrays of the output's shape", ZEROS, "np.zeros_like(gradient), np.zeros_like(gradient)",
     "Backward adds to two arrays: of which shapes are the gradients with respect to x1 and to x2?"),
    ("each input with the other's gradient", SIDE1, " - np.vdot(x1, gradient2)", SIDE2,
     " - np.vdot(x2, gradient1)",
     "An inner product wants two arrays of one shape: which gradient belongs to x1, and which to x2?"),
    ("adds the two sides", SIDE1, SIDE1.replace("-", "+"), SIDE2, SIDE2.replace("-", "+"), SIGN),
    ("subtracts the second input from the first", SIDE2, SIDE2.replace("-", "+"), SIGN),
    ("adds the first input", SIDE1, SIDE1.replace("-", "+"), SIGN),
    ("always content", f"float(abs(difference) / {NORMS})", "0.0",
     "Here backward is not the transpose of forward, and yours is content. Is the gap computed from what "
     "the layer gives?"),
    ("a verdict, not a number", f"return float(abs(difference) / {NORMS})", "assert difference is not None",
     ""),
)  # fmt: skip

adjoint_gap = Exercise(
    idea="One number tests a whole backward pass: two inner products that have to be equal.",
    oracle=_by_matrices,
    atol=1e-12,  # of a gap that is rounding alone
    cases=[
        _layer(True, start_over=True),  # it forgives what the gradients start from
        _layer(True, hints={"": NOISE}),
        _layer(False),
        _layer(False, sign=-1),
        _layer(False, probe=conduct, what="adjoint_gap"),
    ],
    hidden=lambda rng: [_layer(right, int(rng.integers(1000))) for right in (True, False, False)],
    mistakes=ADJOINT_WRONG,
    equivalent=unchanged(f"""
        difference = np.vdot(y, gradient){SIDE1}{SIDE2} | (y, gradient) | (gradient, y)
        difference = np.vdot(y, gradient){SIDE1}{SIDE2} | (x1, gradient1) | (gradient1, x1)
        difference = np.vdot(y, gradient){SIDE1}{SIDE2} | (x2, gradient2) | (gradient2, x2)
            an inner product is symmetric
        return float(abs(difference) / {NORMS}) | float(abs(difference) / {NORMS}) | abs(difference) / {NORMS}
            numpy's float is one
    """),
    right=written("""
        # sums of products
        g1, g2 = np.zeros(x1.shape), np.zeros(x2.shape)
        y = layer.forward(x1, x2)
        layer.backward(gradient, g1, g2)
        gap = (y * gradient).sum() - (x1 * g1).sum() - (x2 * g2).sum()
        return abs(gap) / np.sqrt((y**2).sum() * (gradient**2).sum())
        # one long vector, einsum
        grads = [0.0 * x1, 0.0 * x2]
        y = layer.forward(x1, x2).ravel()
        layer.backward(gradient, *grads)
        x, g = (np.concatenate([a.ravel() for a in pair]) for pair in ((x1, x2), grads))
        left, right = np.einsum("i,i", y, gradient.ravel()), np.einsum("i,i", x, g)
        return np.abs(left - right) / np.linalg.norm(y) / np.linalg.norm(gradient.ravel())
    """)
    + rewritten("""
        a tensor of no dimension | float(abs(difference) | torch.tensor(abs(difference)
    """),
)

# option_a ------------------------------------------------------------------------------------------------------------


def _by_pixels(x, stride, channels):
    batch, height, width, before = x.shape
    if channels < before:
        raise ValueError(channels)
    result = np.zeros((batch, math.ceil(height / stride), math.ceil(width / stride), channels), x.dtype)
    for n, i, j, k in np.ndindex(batch, *result.shape[1:3], before):
        result[n, i, j, k] = x[n, i * stride, j * stride, k]
    return result


def _image(*shape, dtype="float32"):
    return (np.arange(math.prod(shape)).reshape(shape) - 7).astype(dtype)


FEWER = "Fewer channels than there are: zeros cannot help there, so that is a ValueError."
BEHIND = "The old channels come first, in their order; the zeros follow."
KEEP, FILL, PADDED = "x[:, ::stride, ::stride]", "(0, channels - x.shape[3])]", "np.pad(kept, [(0, 0), (0, 0), (0, 0), (0, channels - x.shape[3])])"  # fmt: skip
REFUSAL = (
    "raise ValueError(f'channels is {channels}, but the image has {x.shape[3]} already: it can only grow')"
)
OPTION_A_WRONG = changed(
    ("no stride", KEEP, "x", "Nothing was subsampled: take every `stride`-th row and column."),
    ("a stride of 2", KEEP, "x[:, ::2, ::2]",
     "The stride is always 2: take every `stride`-th row and column."),
    ("a stride in height alone", KEEP, "x[:, ::stride]",
     "Rows are subsampled, columns are not: both should be."),
    ("starts behind the first pixel", KEEP, "x[:, stride - 1 :: stride, stride - 1 :: stride]",
     "The first pixel that is kept is the first of all, as in `overlap`: start at index 0."),
    ("averages blocks", KEEP,
     "torch.nn.functional.avg_pool2d(torch.tensor(x).permute(0, 3, 1, 2), stride).permute(0, 2, 3, 1).numpy()",
     "Option A keeps pixels; it does not average them."),
    ("channels not filled up", PADDED, "kept", "The channels were not filled up with zeros."),
    ("zeros before the old channels", FILL, "(channels - x.shape[3], 0)]", BEHIND),
    ("zeros on both sides", FILL, "((channels - x.shape[3]) // 2, (channels - x.shape[3] + 1) // 2)]",
     "The zeros belong behind the old channels, not on both sides of them."),
    ("the old channels turned round", KEEP, "x[:, ::stride, ::stride, ::-1]", BEHIND),
    ("repeats the channels", PADDED, "np.take(kept, np.arange(channels) % x.shape[3], axis=3)",
     "Option A adds zeros; here the channels were repeated."),
    ("float64 from float32", PADDED,
     "np.concatenate([kept, np.zeros((*kept.shape[:3], channels - x.shape[3]))], axis=3)",
     "float32 in, float32 out: here float64 comes out. Which array on the way was made without a dtype?"),
    ("cuts channels off without a word", "raise ValueError", "x = x[..., :channels]; print", FEWER),
    ("refuses equal channels", "channels < x.shape[3]", "channels <= x.shape[3]",
     "As many channels as before are no reason to refuse: there is nothing to fill up then."),
    ("NCHW in an NHWC course", KEEP, "x[:, :, ::stride, ::stride]", PADDED,
     "np.pad(kept, [(0, 0), (0, max(channels - x.shape[1], 0)), (0, 0), (0, 0)])",
     "The axes are batch, height, width, channels: here the channels come last."),
    ("empties the image", f"return {PADDED}", f"kept = kept.copy(); x[...] = 0; return {PADDED}",
     "option_a changed the image: what a shortcut is given, it only reads."),
)  # fmt: skip

option_a = Exercise(
    idea="Option A learns nothing: pixels are left out, and the new channels hold zeros.",
    oracle=_by_pixels,
    dtype=True,
    cases=[
        case(_image(2, 4, 4, 3), 2, 6),
        case(_image(1, 5, 7, 2, dtype="float64"), 2, 2),
        case(_image(1, 6, 6, 1), 3, 4),
        case(_image(2, 3, 3, 2), 1, 3),
        case(_image(1, 4, 4, 3), 2, 2, probe=refused, hints={"": FEWER}),
        conduct(_image(1, 4, 2, 1), 2, 2),
    ],
    hidden=lambda rng: [
        case(rng.normal(size=(batch, height, width, before)).astype(dtype), stride, before + more)
        for dtype in ("float32", "float64", "float32")
        for batch, height, width, before, stride, more in [rng.integers(1, [3, 9, 9, 4, 4, 5]).tolist()]
    ],
    mistakes=OPTION_A_WRONG,
    equivalent={
        "if channels < x.shape[3]:  ->  pass": "np.pad refuses a negative width with a ValueError of its own",
        f"{REFUSAL}  ->  {REFUSAL.replace('{x.shape[3]}', '{x.shape[2]}')}": "the text is free",
    },
    right=written("""
        # zeros first
        n, h, w, c = x.shape
        if channels < c:
            raise ValueError(f"{channels} channels are fewer than {c}")
        out = np.zeros((n, -(-h // stride), -(-w // stride), channels), dtype=x.dtype)
        out[..., :c] = x[:, ::stride, ::stride]
        return out
        # take and concatenate
        kept = np.take(np.take(x, range(0, x.shape[1], stride), 1), range(0, x.shape[2], stride), 2)
        extra = channels - x.shape[3]
        return np.concatenate([kept, np.zeros((*kept.shape[:3], extra), x.dtype)], axis=3)
        # a matrix that hands channels on, by torch
        if x.shape[3] > channels:
            raise ValueError("too few channels")
        image = torch.from_numpy(x)[:, ::stride, ::stride]
        return image @ torch.eye(x.shape[3], channels, dtype=image.dtype)
    """),
)
