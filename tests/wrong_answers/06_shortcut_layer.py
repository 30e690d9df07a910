"""Lesson 6: what learners (and the published code) get wrong about a shortcut layer, and right answers written differently."""

from tests.wrong_answers import Answer

OVERLAP = """
def overlap(shape1, shape2):
    (n1, h1, w1, c1), (n2, h2, w2, c2) = shape1, shape2
    if n1 != n2 or h1 * w2 != h2 * w1 or max(h1, h2) % min(h1, h2):
        raise ValueError(f"{shape1} and {shape2} do not fit")
    return RETURNED
"""

FORWARD = """
import numpy as np
from helpers import shortcut


class ShortcutForward:
    def __init__(self, alpha=1.0, beta=1.0, activation="linear"):
        self.alpha, self.beta, self.activation = float(alpha), float(beta), activation

    def forward(self, x1, x2):
        s1, s2, c = overlap(x1.shape, x2.shape)
        here, there = np.s_[:, ::s1, ::s1, :c], np.s_[:, ::s2, ::s2, :c]
"""

BACKWARD = """
import numpy as np
from helpers import shortcut


class Shortcut(ShortcutForward):
    def forward(self, x1, x2):
        s1, s2, c = overlap(x1.shape, x2.shape)
        self.h, self.t = np.s_[:, ::s1, ::s1, :c], np.s_[:, ::s2, ::s2, :c]
        return super().forward(x1, x2)

    def backward(self, gradient, gradient1, gradient2):
        alpha, beta, h, t = self.alpha, self.beta, self.h, self.t
        slope = shortcut.slope(self.output, self.activation)
"""

ADJOINT = """
import numpy as np


def adjoint_gap(layer, x1, x2, gradient):
    g1, g2 = np.zeros_like(x1), np.zeros_like(x2)
    y = layer.forward(x1, x2)
    layer.backward(gradient, g1, g2)
    scale = np.linalg.norm(y) * np.linalg.norm(gradient)
"""


def _overlap(returned: str) -> str:
    return OVERLAP.replace("RETURNED", returned)


def _body(head: str, lines: str, indent: int = 8) -> str:
    """A class or function that goes on with these lines."""
    return head + "".join(f"{' ' * indent}{line}\n" for line in lines.strip().splitlines())


WRONG = {
    "overlap": [
        Answer(
            "strides exchanged",
            _overlap("max(h2 // h1, 1), max(h1 // h2, 1), min(c1, c2)"),
            "strides are exchanged",
        ),
        Answer(
            "strides of zero", _overlap("h1 // h2, h2 // h1, min(c1, c2)"), "A stride of 0 visits nothing"
        ),
        Answer("true division", _overlap("h1 / h2, h2 / h1, min(c1, c2)"), "Strides are whole numbers"),
        Answer(
            "all channels",
            _overlap("max(h1 // h2, 1), max(h2 // h1, 1), max(c1, c2)"),
            "take the smaller number",
        ),
        Answer(
            "channels of the first",
            _overlap("max(h1 // h2, 1), max(h2 // h1, 1), c1"),
            "take the smaller number",
        ),
        Answer(
            "never refuses",
            _overlap("max(h1 // h2, 1), max(h2 // h1, 1), min(c1, c2)").replace("if n1", "if False and n1"),
            "should raise a ValueError",
        ),
        Answer(
            "looks at heights only",
            _overlap("max(h1 // h2, 1), max(h2 // h1, 1), min(c1, c2)").replace("h1 * w2 != h2 * w1 or ", ""),
            "the ratios differ",
        ),
        Answer(
            "equal ratios need not be whole",
            _overlap("max(h1 // h2, 1), max(h2 // h1, 1), min(c1, c2)").replace(
                " or max(h1, h2) % min(h1, h2)", ""
            ),
            "4 is no multiple of 3",
        ),
        Answer(
            "divides without looking at the batch",
            _overlap("max(h1 // h2, 1), max(h2 // h1, 1), min(c1, c2)").replace("n1 != n2 or ", ""),
            "the batches differ",
        ),
        Answer(
            "a ValueError that says nothing",
            _overlap("max(h1 // h2, 1), max(h2 // h1, 1), min(c1, c2)").replace(
                'ValueError(f"{shape1} and {shape2} do not fit")', "ValueError"
            ),
            "put both into the message",
        ),
        Answer(
            "a ValueError that names one shape",
            _overlap("max(h1 // h2, 1), max(h2 // h1, 1), min(c1, c2)").replace(
                "{shape1} and {shape2}", "{shape1}"
            ),
            "put both into the message",
        ),
        Answer(
            "an assertion in place of a ValueError",
            _overlap("max(h1 // h2, 1), max(h2 // h1, 1), min(c1, c2)").replace(
                "raise ValueError(", "raise AssertionError("
            ),
            "should raise a ValueError",
        ),
    ],
    "ShortcutForward": [
        Answer(
            "alpha on the overlap only",
            _body(
                FORWARD,
                "z = x1.copy()\nz[here] = self.alpha * x1[here] + self.beta * x2[there]\n"
                "self.output = shortcut.activate(z, self.activation)\nreturn self.output",
            ),
            "alpha belongs to the whole of x1",
        ),
        Answer(
            "heights from widths",
            _body(
                FORWARD,
                "h1, h2 = np.s_[:, :x1.shape[2]:s1, ::s1, :c], np.s_[:, :x2.shape[2]:s2, ::s2, :c]\n"
                "z = self.alpha * x1\nz[h1] += self.beta * x2[h2]\n"
                "self.output = shortcut.activate(z, self.activation)\nreturn self.output",
            ),
            "taken from the width",
        ),
        Answer(
            "stride on the channels",
            _body(
                FORWARD,
                "z = self.alpha * x1\nz[:, ::s1, ::s1, ::s1] += self.beta * x2[:, ::s2, ::s2, ::s2]\n"
                "self.output = shortcut.activate(z, self.activation)\nreturn self.output",
            ),
            "used on the channels too",
        ),
        Answer(
            "repeats the small image",
            _body(
                FORWARD,
                "small = np.repeat(np.repeat(x2, s1, 1), s1, 2)[:, ::s2, ::s2]\n"
                "z = self.alpha * x1\nz[..., :c] += self.beta * small[..., :c]\n"
                "self.output = shortcut.activate(z, self.activation)\nreturn self.output",
            ),
            "was repeated to fill",
        ),
        Answer(
            "puts the small image in a corner",
            _body(
                FORWARD,
                "z = self.alpha * x1\nz[:, :x2.shape[1], :x2.shape[2], :c] += self.beta * x2[:, :x1.shape[1], :x1.shape[2], :c]\n"
                "self.output = shortcut.activate(z, self.activation)\nreturn self.output",
            ),
            "went into a corner",
        ),
        Answer(
            "float64 from float32",
            _body(
                FORWARD,
                "z = np.zeros(x1.shape) + self.alpha * x1\nz[here] += self.beta * x2[there]\n"
                "self.output = shortcut.activate(z, self.activation)\nreturn self.output",
            ),
            "should keep the dtype float32",
        ),
        Answer(
            "adds into the first input",
            _body(
                FORWARD,
                "x1 *= self.alpha\nx1[here] += self.beta * x2[there]\n"
                "self.output = shortcut.activate(x1, self.activation)\nreturn self.output",
            ),
            "the first input was changed",
        ),
        Answer(
            "no copy where alpha is 1",
            _body(
                FORWARD,
                "z = x1 if self.alpha == 1 else self.alpha * x1\nz[here] += self.beta * x2[there]\n"
                "self.output = shortcut.activate(z, self.activation)\nreturn self.output",
            ),
            "the first input was changed",
        ),
        Answer(
            "takes any shapes",
            _body(
                FORWARD.replace(
                    "s1, s2, c = overlap(x1.shape, x2.shape)",
                    "s1 = max(x1.shape[1] // x2.shape[1], 1)\n        s2, c = max(x2.shape[1] // x1.shape[1], 1), min(x1.shape[3], x2.shape[3])",
                ),
                "z = self.alpha * x1\nn, m = z[here].shape[1:3], x2[there].shape[1:3]\nn, m = min(n[0], m[0]), min(n[1], m[1])\n"
                "z[here][:, :n, :m] += self.beta * x2[there][:, :n, :m]\n"
                "self.output = shortcut.activate(z, self.activation)\nreturn self.output",
            ),
            "must refuse shapes that do not fit",
        ),
        Answer(
            "alpha and beta exchanged",
            _body(
                FORWARD,
                "z = self.beta * x1\nz[here] += self.alpha * x2[there]\n"
                "self.output = shortcut.activate(z, self.activation)\nreturn self.output",
            ),
            "alpha and beta are exchanged",
        ),
        Answer(
            "no activation",
            _body(
                FORWARD, "z = self.alpha * x1\nz[here] += self.beta * x2[there]\nself.output = z\nreturn z"
            ),
            "The activation is missing",
        ),
        Answer(
            "stale indices after a shape change",
            _body(
                FORWARD,
                "if not hasattr(self, 'here'):\n    self.here, self.there = here, there\n"
                "z = self.alpha * x1\nz[self.here] += self.beta * x2[self.there]\n"
                "self.output = shortcut.activate(z, self.activation)\nreturn self.output",
            ),
            "when one layer sees several shapes",
        ),
        Answer(
            "one buffer for all outputs",
            _body(
                FORWARD,
                "if getattr(self, 'output', np.zeros(0)).shape != x1.shape:\n    self.output = np.empty_like(x1)\n"
                "self.output[...] = self.alpha * x1\nself.output[here] += self.beta * x2[there]\n"
                "self.output[...] = shortcut.activate(self.output, self.activation)\nreturn self.output",
            ),
            "when one layer sees several shapes",
        ),
        Answer(
            "no return",
            _body(FORWARD, "z = self.alpha * x1\nz[here] += self.beta * x2[there]\nself.output = z"),
            "return",
        ),
    ],
    "Shortcut": [
        Answer(
            "divides by alpha",
            _body(
                BACKWARD,
                "share = alpha * gradient * slope\ngradient1 += share\ngradient2[t] += beta / alpha * share[h]",
            ),
            "ZeroDivisionError",
        ),
        Answer(
            "divides an array by alpha",
            _body(
                BACKWARD,
                "share = alpha * gradient * slope\ngradient1 += share\ngradient2[t] += beta * (share[h] / alpha)",
            ),
            "nothing may be divided by them",
        ),
        Answer(
            "alpha missing off the overlap",
            _body(
                BACKWARD,
                "delta = gradient * slope\nshare = delta.copy()\nshare[h] *= alpha\ngradient1 += share\ngradient2[t] += beta * delta[h]",
            ),
            "alpha is missing off the overlap",
        ),
        Answer(
            "swapped indices",
            _body(
                BACKWARD,
                "delta = gradient * slope\ngradient1 += alpha * delta\ngradient2[h] += beta * delta[t]",
            ),
            "visited where x2 was",
        ),
        Answer(
            "ReLU's slopes overwrite the output",
            _body(
                BACKWARD,
                "if self.activation == 'relu':\n    self.output[self.output > 0] = 1\n    slope = self.output\n"
                "delta = gradient * slope\ngradient1 += alpha * delta\ngradient2[t] += beta * delta[h]",
            ),
            "The backward pass changed the layer's output",
        ),
        Answer(
            "stale indices after a shape change",
            _body(
                BACKWARD,
                "if not hasattr(self, 'kept'):\n    self.kept = h, t\n"
                "h, t = self.kept\ndelta = gradient * slope\ngradient1 += alpha * delta\ngradient2[t] += beta * delta[h]",
            ),
            "when one layer sees several shapes",
        ),
        Answer(
            "overwrites in place of adding",
            _body(
                BACKWARD,
                "delta = gradient * slope\ngradient1[...] = alpha * delta\ngradient2[...] = 0\ngradient2[t] = beta * delta[h]",
            ),
            "gradient1 was overwritten",
        ),
        Answer(
            "binds new arrays, the caller's stay as they were",
            _body(
                BACKWARD,
                "delta = gradient * slope\ngradient1 = gradient1 + alpha * delta\n"
                "share = np.zeros_like(gradient2)\nshare[t] = beta * delta[h]\ngradient2 = gradient2 + share",
            ),
            "gradient1 is as it was",
        ),
        Answer(
            "returns the gradients",
            _body(
                BACKWARD,
                "delta = gradient * slope\nshare = np.zeros_like(gradient2)\nshare[t] = beta * delta[h]\nreturn alpha * delta, share",
            ),
            "backward returns something and adds nothing",
        ),
        Answer(
            "the activation's slope is left out",
            _body(BACKWARD, "gradient1 += alpha * gradient\ngradient2[t] += beta * gradient[h]"),
            "slope of the activation is missing",
        ),
        Answer(
            "changes the gradient that it is given",
            _body(
                BACKWARD,
                "gradient *= slope\ngradient1 += alpha * gradient\ngradient2[t] += beta * gradient[h]",
            ),
            "`gradient` itself was changed",
        ),
        Answer(
            "beta is left out",
            _body(BACKWARD, "delta = gradient * slope\ngradient1 += alpha * delta\ngradient2[t] += delta[h]"),
            "beta is missing",
        ),
        Answer(
            "alpha is left out",
            _body(BACKWARD, "delta = gradient * slope\ngradient1 += delta\ngradient2[t] += beta * delta[h]"),
            "alpha is missing: what forward multiplied",
        ),
        Answer("the stub", _body(BACKWARD, "raise NotImplementedError"), "no answer here yet"),
    ],
    "adjoint_gap": [
        Answer(
            "starts from noise, as the document",
            _body(
                ADJOINT.replace(
                    "np.zeros_like(x1), np.zeros_like(x2)",
                    "(np.random.default_rng(0).uniform(size=x.shape) for x in (x1, x2))",
                ),
                "return abs(np.vdot(y, gradient) - np.vdot(x1, g1) - np.vdot(x2, g2)) / scale",
                4,
            ),
            "start both of them from zeros",
        ),
        Answer(
            "the second input forgotten",
            _body(ADJOINT, "return abs(np.vdot(y, gradient) - np.vdot(x1, g1)) / scale", 4),
            "<x2, gradient2> is missing",
        ),
        Answer(
            "not divided by the norms",
            _body(
                ADJOINT.replace("* np.linalg.norm(gradient)", "* 1"),
                "return abs(np.vdot(y, gradient) - np.vdot(x1, g1) - np.vdot(x2, g2))",
                4,
            ),
            "Divide by the norms",
        ),
        Answer(
            "relative to the left side",
            _body(
                ADJOINT,
                "left = np.vdot(y, gradient)\nreturn abs(left - np.vdot(x1, g1) - np.vdot(x2, g2)) / abs(left)",
                4,
            ),
            "can be near zero by chance",
        ),
        Answer(
            "a gap with a sign",
            _body(
                ADJOINT.replace("g1, g2 =", "g2, g1 =").replace(
                    "np.zeros_like(x1), np.zeros_like(x2)", "np.zeros_like(x2), np.zeros_like(x1)"
                ),
                "return (np.vdot(y, gradient) - np.vdot(x1, g1) - np.vdot(x2, g2)) / scale",
                4,
            ),
            "A gap has no sign",
        ),
        Answer(
            "never goes backward",
            _body(
                ADJOINT.replace("    layer.backward(gradient, g1, g2)\n", ""),
                "return abs(np.vdot(y, gradient) - np.vdot(x1, g1) - np.vdot(x2, g2)) / scale",
                4,
            ),
            "The right side is zero",
        ),
        Answer(
            "always content",
            "def adjoint_gap(layer, x1, x2, gradient):\n    return 0.0\n",
            "is not the transpose",
        ),
        Answer("a verdict, not a number", _body(ADJOINT, "return None", 4), "is None"),
        Answer(
            "both arrays of the output's shape",
            _body(
                ADJOINT.replace(
                    "zeros_like(x1), np.zeros_like(x2)", "zeros_like(gradient), np.zeros_like(gradient)"
                ),
                "return abs(np.vdot(y, gradient) - np.vdot(x1, g1) - np.vdot(x2, g2)) / scale",
                4,
            ),
            "a gradient has its input's shape",
        ),
        Answer(
            "backward before forward",
            """
import numpy as np

def adjoint_gap(layer, x1, x2, gradient):
    g1, g2 = np.zeros_like(x1), np.zeros_like(x2)
    layer.backward(gradient, g1, g2)
    y = layer.forward(x1, x2)
    gap = abs(np.vdot(y, gradient) - np.vdot(x1, g1) - np.vdot(x2, g2))
    return gap / (np.linalg.norm(y) * np.linalg.norm(gradient))
""",
            "backward needs what forward keeps",
        ),
        Answer(
            "adds the two sides",
            _body(ADJOINT, "return abs(np.vdot(y, gradient) + np.vdot(x1, g1) + np.vdot(x2, g2)) / scale", 4),
            "a sign is turned round",
        ),
        Answer(
            "subtracts the second input from the first",
            _body(ADJOINT, "return abs(np.vdot(y, gradient) - np.vdot(x1, g1) + np.vdot(x2, g2)) / scale", 4),
            "a sign is turned round",
        ),
        Answer(
            "each input with the other's gradient",
            _body(ADJOINT, "return abs(np.vdot(y, gradient) - np.vdot(x1, g2) - np.vdot(x2, g1)) / scale", 4),
            "raised ValueError",
        ),
    ],
    "option_a": [
        Answer(
            "no stride",
            "import numpy as np\n\ndef option_a(x, stride, channels):\n    return np.pad(x, [(0, 0)] * 3 + [(0, channels - x.shape[3])])\n",
            "should have shape",
        ),
        Answer(
            "channels not filled up",
            "def option_a(x, stride, channels):\n    return x[:, ::stride, ::stride].copy()\n",
            "not filled up with zeros",
        ),
        Answer(
            "zeros before the old channels",
            "import numpy as np\n\ndef option_a(x, stride, channels):\n"
            "    return np.pad(x[:, ::stride, ::stride], [(0, 0)] * 3 + [(channels - x.shape[3], 0)])\n",
            "The zeros belong behind the old channels, not before them",
        ),
        Answer(
            "zeros on both sides",
            "import numpy as np\n\ndef option_a(x, stride, channels):\n    extra = channels - x.shape[3]\n"
            "    return np.pad(x[:, ::stride, ::stride], [(0, 0)] * 3 + [(extra // 2, extra - extra // 2)])\n",
            "not on both sides",
        ),
        Answer(
            "averages blocks",
            "import numpy as np\n\ndef option_a(x, stride, channels):\n    n, h, w, c = x.shape\n"
            "    h, w = h // stride * stride, w // stride * stride\n"
            "    pooled = x[:, :h, :w].reshape(n, h // stride, stride, w // stride, stride, c).mean((2, 4))\n"
            "    return np.pad(pooled, [(0, 0)] * 3 + [(0, channels - c)])\n",
            "it does not average",
        ),
        Answer(
            "repeats the channels",
            "import numpy as np\n\ndef option_a(x, stride, channels):\n"
            "    return np.take(x[:, ::stride, ::stride], np.arange(channels) % x.shape[3], axis=3)\n",
            "here the channels were repeated",
        ),
        Answer(
            "float64 from float32",
            "import numpy as np\n\ndef option_a(x, stride, channels):\n    kept = x[:, ::stride, ::stride]\n"
            "    out = np.zeros((*kept.shape[:3], channels))\n    out[..., : x.shape[3]] = kept\n    return out\n",
            "should keep the dtype float32",
        ),
        Answer(
            "cuts channels off without a word",
            "import numpy as np\n\ndef option_a(x, stride, channels):\n    kept = x[:, ::stride, ::stride, :channels]\n"
            "    return np.pad(kept, [(0, 0)] * 3 + [(0, channels - kept.shape[3])])\n",
            "that is a ValueError",
        ),
        Answer(
            "NCHW in an NHWC course",
            "import numpy as np\n\ndef option_a(x, stride, channels):\n    if channels < x.shape[1]:\n        raise ValueError\n"
            "    return np.pad(x[:, :, ::stride, ::stride], [(0, 0), (0, channels - x.shape[1]), (0, 0), (0, 0)])\n",
            "should have shape",
        ),
    ],
}

RIGHT = {
    "overlap": [
        Answer(
            "the message in its own way",
            _overlap("max(h1 // h2, 1), max(h2 // h1, 1), min(c1, c2)").replace(
                'f"{shape1} and {shape2} do not fit"',
                "'x'.join(map(str, shape1)) + ' and ' + 'x'.join(map(str, shape2))",
            ),
        ),
        Answer(
            "fractions",
            """
from fractions import Fraction

def overlap(shape1, shape2):
    ratios = {Fraction(a, b) for a, b in zip(shape1[1:3], shape2[1:3])}
    if shape1[0] != shape2[0] or len(ratios) > 1:
        raise ValueError(f"{shape1} {shape2}")
    (ratio,) = ratios
    if 1 not in (ratio.numerator, ratio.denominator):
        raise ValueError(f"{shape1} {shape2}")
    return ratio.numerator, ratio.denominator, min(shape1[3], shape2[3])
""",
        ),
        Answer(
            "a case at a time",
            """
def overlap(shape1, shape2):
    n1, h1, w1, c1 = shape1
    n2, h2, w2, c2 = shape2
    if n1 == n2:
        channels = c1 if c1 < c2 else c2
        if h1 % h2 == 0 and w1 % w2 == 0 and h1 // h2 == w1 // w2:
            return h1 // h2, 1, channels
        if h2 % h1 == 0 and w2 % w1 == 0 and h2 // h1 == w2 // w1:
            return 1, h2 // h1, channels
    raise ValueError("shapes do not fit: %s, %s" % (shape1, shape2))
""",
        ),
    ],
    "ShortcutForward": [
        Answer(
            "plain formula",
            _body(
                FORWARD,
                "z = self.alpha * x1\nz[here] += self.beta * x2[there]\n"
                "self.here, self.there = here, there\n"
                "self.output = shortcut.activate(z, self.activation)\nreturn self.output",
            ),
        ),
        Answer(
            "S(x2) as an array of its own",
            _body(
                FORWARD,
                "placed = np.zeros_like(x1)\nplaced[here] = x2[there]\n"
                "self.here, self.there = here, there\n"
                "self.output = shortcut.activate(self.alpha * x1 + self.beta * placed, self.activation)\nreturn self.output",
            ),
        ),
    ],
    "Shortcut": [
        Answer(
            "plain formula",
            _body(
                BACKWARD,
                "delta = gradient * slope\ngradient1 += alpha * delta\ngradient2[t] += beta * delta[h]",
            ),
        ),
        Answer(
            "a share for x2 of its full size, np.add with out",
            _body(
                BACKWARD,
                "delta = np.multiply(gradient, slope)\nnp.add(gradient1, delta * alpha, out=gradient1)\n"
                "share = np.zeros_like(gradient2)\nshare[t] = delta[h]\nnp.add(gradient2, beta * share, out=gradient2)",
            ),
        ),
        Answer(
            "forgets its own forward and uses the shapes of the arrays",
            """
import numpy as np
from helpers import shortcut

class Shortcut(ShortcutForward):
    def backward(self, gradient, gradient1, gradient2):
        s1, s2, c = overlap(gradient1.shape, gradient2.shape)
        y = self.output
        slope = {"linear": 1.0, "relu": y > 0, "tanh": 1 - y**2, "logistic": y - y**2}[self.activation]
        delta = slope * gradient
        gradient1[...] = gradient1 + self.alpha * delta
        gradient2[:, ::s2, ::s2, :c] += self.beta * delta[:, ::s1, ::s1, :c]
""",
        ),
    ],
    "adjoint_gap": [
        Answer(
            "sums of products",
            """
import numpy as np

def adjoint_gap(layer, x1, x2, gradient):
    g1 = np.zeros(x1.shape)
    g2 = np.zeros(x2.shape)
    y = layer.forward(x1, x2)
    layer.backward(gradient, g1, g2)
    gap = (y * gradient).sum() - (x1 * g1).sum() - (x2 * g2).sum()
    return abs(gap) / np.sqrt((y**2).sum() * (gradient**2).sum())
""",
        ),
        Answer(
            "one long vector, einsum",
            """
import numpy as np

def adjoint_gap(layer, x1, x2, gradient):
    grads = [0.0 * x1, 0.0 * x2]
    y = layer.forward(x1, x2).ravel()
    layer.backward(gradient, *grads)
    x, g = (np.concatenate([a.ravel() for a in pair]) for pair in ((x1, x2), grads))
    left, right = np.einsum("i,i", y, gradient.ravel()), np.einsum("i,i", x, g)
    return float(np.abs(left - right) / np.linalg.norm(y) / np.linalg.norm(gradient.ravel()))
""",
        ),
    ],
    "option_a": [
        Answer(
            "zeros first",
            """
import numpy as np

def option_a(x, stride, channels):
    n, h, w, c = x.shape
    if channels < c:
        raise ValueError(f"{channels} channels are fewer than {c}")
    out = np.zeros((n, -(-h // stride), -(-w // stride), channels), dtype=x.dtype)
    out[..., :c] = x[:, ::stride, ::stride]
    return out
""",
        ),
        Answer(
            "take and concatenate",
            """
import numpy as np

def option_a(x, stride, channels):
    kept = np.take(np.take(x, range(0, x.shape[1], stride), 1), range(0, x.shape[2], stride), 2)
    extra = channels - x.shape[3]
    return np.concatenate([kept, np.zeros((*kept.shape[:3], extra), x.dtype)], axis=3)
""",
        ),
    ],
}
