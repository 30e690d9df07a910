"""Exercises of lesson 2."""

from functools import reduce

import numpy as np
import torch
from scipy.linalg import null_space

from course.exercises import Exercise, Mistake, Right, case, conduct
from helpers import convolution
from helpers.checks.probes import CONDUCT
from helpers.convolution import dense_sum_step, plain_step, residual_softmax_step, softmax2d, softmax_step

KERNEL = convolution.binomial_kernel()
IN_PLACE, MARKS = CONDUCT["the arguments"], CONDUCT["the marks of autograd"]
FEW, MANY = "One step too few: is `step` applied n times?", "One step too many: is `step` applied n times?"


def _iterated(step, image, n):
    return reduce(lambda x, _: step(x), range(n), image)


# separation ----------------------------------------------------------------------------------------------------------


def _by_ranges(step, a, b, n):
    shapes = []
    for image in (a, b):
        flat = _iterated(step, image.astype(float), n).ravel()
        peak = np.linalg.norm(flat, np.inf)
        shapes.append(flat / peak if peak else flat)
    return float(np.ptp(shapes, axis=0).max())


A, B = np.random.default_rng(0).normal(size=(2, 6, 6)).round(3)
DEAD = np.zeros((6, 6))
SPARSE = np.array([[0.0, -4, 2], [1, -1, 2]]), np.array([[-1.0, -0.5, 0], [0, -2, -1]])
DIFFERENCE = "abs(scaled[0] - scaled[1]).max()"
DIVIDED = "x / abs(x).max() if x.any() else x"
NAN = "Zero divided by zero is NaN. An image of zeros is left as it is."
EPS = (
    "Is a small number added to the divisor? It is felt in every image, and float32 rounds a tiny one to zero. What needs care "
    "is an image that holds nothing but zeros."
)
FAINT = "Two faint images are not equal: does something square 1e-28, add a number that is large beside it, or take it for zero?"
LIVING = "An image is dead if *all* its pixels are zero. Here it is not, and it has to be divided by its largest absolute pixel."


def _draw_pairs(rng):
    for step, n in (
        (plain_step, 7),
        (residual_softmax_step, 3),
        (dense_sum_step, int(rng.integers(8, 15))),
        (softmax_step, 0),
    ):
        yield case(step, *rng.normal(size=(2, 5, 6)), n)
    yield case(plain_step, np.zeros((4, 4), np.float32), rng.normal(size=(4, 4)).astype(np.float32), 1)


separation = Exercise(
    oracle=_by_ranges,
    equivalent={f"return float({DIFFERENCE})  ->  return {DIFFERENCE}": "a number of NumPy's is a number"},
    atol=1e-13,  # two shapes that have become one differ by rounding
    cases=[
        case(plain_step, A, B, 4),
        case(softmax_step, A[:3], B[:3], 1),
        case(plain_step, *SPARSE, 0),
        case(
            plain_step,
            *(1e-28 * np.array([A, B])).astype(np.float32),
            4,
            what="separation of float32 images of size 1e-28",
            rtol=1e-4,
            atol=1e-6,
        ),
        case(plain_step, DEAD, DEAD, 2, what="separation of two dead images (they are not divided)"),
        case(
            plain_step, DEAD, B, 2, what="separation of a dead image and a living one (zeros are not divided)"
        ),
        case(
            plain_step,
            *np.zeros((2, 6, 6), np.float32),
            2,
            what="separation of two dead float32 images (in float32 a number such as 1e-300 is zero)",
        ),
        conduct(plain_step, A[:2], B[:2], 0),
        conduct(plain_step, A[:2], B[:2], 2),
    ],
    hidden=lambda rng: list(_draw_pairs(rng)),
    mistakes=[
        Mistake(
            "not scaled",
            edits=[(DIVIDED, "x")],
            hint="Each image has to be divided by its own largest absolute pixel before you compare.",
        ),
        Mistake(
            "scaled at the start",
            """
            a, b = [x / abs(x).max() if x.any() else x for x in (a, b)]
            for _ in range(n):
                a, b = step(a), step(b)
            return float(abs(a - b).max())
            """,
            hint="The images were divided before the first step, and have shrunk since. Divide what the last step gives.",
        ),
        Mistake(
            "one scale for both",
            edits=[("x / abs(x).max()", "x / max(abs(a).max(), abs(b).max())")],
            hint="Divide each image by its *own* largest absolute pixel: a_n by that of a_n, b_n by that of b_n.",
        ),
        Mistake(
            "Euclidean norms, whose squares underflow",
            edits=[("x / abs(x).max()", "x / np.linalg.norm(x)")],
            hint="This divides by the Euclidean norm. Squares of small float32 pixels underflow to zero: use the largest absolute pixel.",
        ),
        Mistake(
            "the Euclidean norm of the difference",
            edits=[(DIFFERENCE, "np.linalg.norm(scaled[0] - scaled[1])")],
            hint="This takes the Euclidean norm of the difference, whose squares underflow. Use the largest absolute pixel.",
        ),
        Mistake(
            "the square root of the largest square",
            edits=[(DIVIDED, "x / np.sqrt((x * x).max()) if (x * x).any() else x")],
            hint=FAINT,
        ),
        Mistake("takes small for zero", edits=[("x.any()", "not np.allclose(x, 0)")], hint=FAINT),
        Mistake("a dead image gives NaN", edits=[(DIVIDED, "x / abs(x).max()")], hint=NAN),
        Mistake(
            "a dead image gives NaN, and NaN is made zero",
            edits=[
                (DIVIDED, "x / abs(x).max()"),
                ("abs(scaled[0] - scaled[1])", "np.nan_to_num(abs(scaled[0] - scaled[1]))"),
            ],
            hint="The difference to a dead image is not zero: its pixels are zeros, and those of the living one are not.",
        ),
        *(
            Mistake(
                f"{eps} added to the divisor", edits=[(DIVIDED, f"x / (abs(x).max() + {eps})")], hint=hint
            )
            for eps, hint in ((1e-8, EPS), (1e-12, FAINT), (1e-16, FAINT), (1e-30, FAINT), (1e-300, EPS))
        ),
        *(
            Mistake(f"asks for a dead image by {test}", edits=[("x.any()", test)], hint=LIVING)
            for test in ("x.all()", "x.sum()", "x.max() > 0")
        ),
        Mistake(
            "the images at the start",
            edits=[("a, b = step", "p, q = step")],
            hint="This compares the two images at the start. Are a and b replaced with step(a) and step(b)?",
        ),
        Mistake("one step too few", edits=[("range(n)", "range(n - 1)")], hint=FEW),
        Mistake("one step too many", edits=[("range(n)", "range(n + 1)")], hint=MANY),
        *(
            Mistake(
                f"scaled by {peak}",
                edits=[("x / abs(x).max()", f"x / {peak}")],
                hint="The largest *absolute* pixel is meant: pixels may be negative, and the largest of them may be small.",
            )
            for peak in ("x.max()", "abs(x.max())")
        ),
        Mistake(
            "no absolute value around the difference",
            edits=[("abs(scaled[0] - scaled[1])", "(scaled[0] - scaled[1])")],
            hint="The absolute value of the difference is missing.",
        ),
        Mistake(
            "the mean difference",
            edits=[("scaled[1]).max()", "scaled[1]).mean()")],
            hint="This is the mean difference. We want the largest.",
        ),
        Mistake(
            "divides in place",
            """
            for _ in range(n):
                a, b = step(a), step(b)
            for x in (a, b):
                if x.any():
                    x /= abs(x).max()
            return float(abs(a - b).max())
            """,
            hint=IN_PLACE,
        ),
        Mistake(
            "writes each step into the image that was handed in",
            edits=[("a, b = step(a), step(b)", "a[...], b[...] = step(a), step(b)")],
            hint=IN_PLACE,
        ),
        Mistake("forgets to return", edits=[("return float", "float")]),
        Mistake("never more than four steps", edits=[("range(n)", "range(min(n, 4))")], special=True),
    ],
    right=[
        Right(
            "numpy functions and a helper",
            """
            def shape(x):
                for _ in range(n):
                    x = step(x)
                peak = np.max(np.abs(x))
                return np.asarray(x) / (peak if peak > 0 else 1)
            return np.max(np.abs(shape(a) - shape(b)))
            """,
        ),
        Right(
            "recursion, and the infinity norm of the flat images",
            """
            if n:
                return separation(step, step(a), step(b), n - 1)
            a, b = a.ravel().astype(float), b.ravel().astype(float)
            size = [np.linalg.norm(x, np.inf) or 1.0 for x in (a, b)]
            return float(np.linalg.norm(a / size[0] - b / size[1], np.inf))
            """,
        ),
        Right(
            "pixel by pixel, and a tensor of no dimension",
            """
            for _ in range(n):
                a, b = step(a), step(b)
            peaks = [max(abs(p) for row in x for p in row) or 1 for x in (a, b)]
            return torch.tensor(max(abs(p / peaks[0] - q / peaks[1]) for p, q in zip(a.flat, b.flat)))
            """,
        ),
    ],
)

# input_gradient ------------------------------------------------------------------------------------------------------


def _by_dense_jacobians(step, image, n, cotangent):
    x, identity = image.double().numpy(), np.eye(image.numel())
    blur, jacobians = convolution.operator_matrix(KERNEL, len(x)), []
    for _ in range(n):
        weighed = np.exp(blur @ x.ravel() + (x.ravel() if step is residual_softmax_step else 0))
        p = weighed / weighed.sum()
        D = np.diag(p) - np.outer(p, p)
        jacobians.append(
            {
                plain_step: blur,
                softmax_step: D @ blur,
                residual_softmax_step: D @ (identity + blur),
                dense_sum_step: identity + D @ blur,
            }[step]
        )
        x = step(x)
    pulled = reduce(
        lambda v, jacobian: jacobian.T @ v, reversed(jacobians), cotangent.double().numpy().ravel()
    )
    return torch.tensor(pulled.reshape(x.shape)).to(image.dtype)


X, V = (torch.tensor(np.random.default_rng(seed).normal(size=(5, 5)).round(3)) for seed in (1, 2))
PULL = "output, start, cotangent"
CUT = "The way from the image to the output is cut: a detach, a no_grad or a way through numpy lets autograd forget it."


def _backwards(points):
    """Layer by layer, each transposed Jacobian taken at one of the images."""
    return f"""
    images = [image]
    for _ in range(n):
        images.append(step(images[-1]))
    for x in {points}:
        _, cotangent = torch.autograd.functional.vjp(step, x, cotangent)
    return cotangent
    """


def _draw_gradients(rng):
    for step, n in ((softmax_step, 2), (residual_softmax_step, 3), (dense_sum_step, 6), (plain_step, 4)):
        yield case(step, *map(torch.tensor, rng.normal(size=(2, 5, 5))), n)


def _draw_pulls(rng):
    for each in _draw_gradients(rng):
        step, x, v, n = each.args
        yield case(step, x, n, v)
    yield conduct(step, x, n, v)


START = "start = image.detach().clone().requires_grad_(True)"
input_gradient = Exercise(
    oracle=_by_dense_jacobians,
    equivalent={
        f"{START}  ->  {START.replace(word, '')}": "either of the two makes a tensor of one's own"
        for word in (".clone()", ".detach()")
    },
    dtype=True,
    atol=1e-15,  # a softmax's gradients are small differences of numbers of size 1/25
    cases=[
        case(plain_step, X, 3, V),
        case(residual_softmax_step, X, 2, V),
        case(dense_sum_step, X, 4, V),
        case(softmax_step, X, 1, V),
        case(plain_step, X.float(), 3, V.float(), what="input_gradient in float32", rtol=1e-4, atol=1e-6),
        conduct(residual_softmax_step, X, 2, V),
    ],
    hidden=lambda rng: list(_draw_pulls(rng)),
    mistakes=[
        Mistake(
            "a cotangent of ones",
            edits=[(PULL, "output.sum(), start")],
            hint="The cotangent is not used: this is the gradient of the sum, and the sum of a softmax is always 1, with gradient zero.",
        ),
        Mistake(
            "no cotangent",
            edits=[(PULL, "output, start")],
            hint="The output is an image, not one number: autograd has to be told by which weights to add up its pixels. You were "
            "given them.",
        ),
        Mistake("one step too few", edits=[("range(n)", "range(n - 1)")], hint=FEW),
        Mistake("one step too many", edits=[("range(n)", "range(n + 1)")], hint=MANY),
        Mistake(
            "forward mode: J v instead of its transpose",
            """
            def run(x):
                for _ in range(n):
                    x = step(x)
                return x
            return torch.autograd.functional.jvp(run, image, cotangent)[1]
            """,
            hint="This is J v, the change of the output when the input moves along v. The gradient is the transpose's: J^T v.",
        ),
        Mistake(
            "the plain convolution whatever the step",
            edits=[("step(output)", "convolution.plain_step(output)")],
            hint="This is the gradient of the plain convolution. Is `step` used?",
        ),
        Mistake(
            "the step applied to the cotangent",
            "for _ in range(n):\n    cotangent = step(cotangent)\nreturn cotangent",
            hint="This applies `step` to the cotangent. For the plain convolution that is right, A^T being A; a softmax is not its "
            "own derivative.",
        ),
        *(
            Mistake(title, edits=edits, hint=CUT)
            for title, edits in (
                ("detached between the steps", [("step(output)", "step(output.detach())")]),
                ("detached at the start", [("output = start", "output = start.detach()")]),
                ("through numpy", [("step(output)", "torch.tensor(step(output.detach().numpy()))")]),
                ("no gradient asked for", [(".requires_grad_(True)", "")]),
            )
        ),
        Mistake(
            "the image instead of the gradient",
            edits=[("return gradient", "return output.detach()")],
            hint="This is the image after n steps, not the gradient. Where does the cotangent enter?",
        ),
        Mistake(
            "the cotangent itself",
            edits=[("return gradient", "return cotangent")],
            hint="This is the cotangent itself. It has to be pulled back through the steps.",
        ),
        Mistake(
            "the norm of the gradient",
            edits=[("return gradient", "return float(gradient.abs().max())")],
            hint="You are asked for the whole gradient, not its norm.",
        ),
        Mistake(
            "the tuple that autograd gives",
            edits=[("(gradient,) =", "gradient =")],
            hint="torch.autograd.grad gives a tuple, one gradient per input. You are asked for the gradient itself.",
        ),
        Mistake(
            "always float64",
            edits=[
                ("image.detach()", "image.detach().double()"),
                ("start, cotangent", "start, cotangent.double()"),
            ],
            hint="The numbers are right, in another precision than the image: what is given in float32 is wanted in float32.",
        ),
        *(
            Mistake(
                title,
                _backwards(points),
                hint="Each step has a Jacobian of its own, taken at the image that *enters* this step, and the last step is the "
                "first on the way back. With a step that is not linear, the place and the order count.",
            )
            for title, points in (
                ("the transposed Jacobian of the first layer for all layers", "[image] * n"),
                ("the Jacobians in the order of the forward pass", "images[:-1]"),
                ("the Jacobians at the images that leave each step", "reversed(images[1:])"),
            )
        ),
        Mistake(
            "records on the caller's tensor",
            """
            image.requires_grad_(True)
            image.grad = None
            output = image
            for _ in range(n):
                output = step(output)
            output.backward(cotangent)
            return image.grad
            """,
            hint=MARKS,
        ),
        Mistake(
            "marks the caller's tensor",
            edits=[("image.detach().clone().requires_grad_", "image.requires_grad_")],
            hint=MARKS,
        ),
        Mistake(
            "writes into the image",
            edits=[("return gradient", "image.copy_(output.detach())\n    return gradient")],
            hint=IN_PLACE,
        ),
        Mistake("never more than four steps", edits=[("range(n)", "range(min(n, 4))")], special=True),
    ],
    right=[
        Right(
            "backward with the cotangent as loss weights",
            """
            x = torch.tensor(image.numpy(), requires_grad=True)
            y = x
            for _ in range(n):
                y = step(y)
            (y * cotangent).sum().backward()
            return x.grad
            """,
        ),
        Right("layer by layer, backwards", _backwards("reversed(images[:-1])")),
        Right(
            "the whole Jacobian, transposed",
            """
            def run(x):
                for _ in range(n):
                    x = step(x)
                return x
            jacobian = torch.autograd.functional.jacobian(run, image).reshape(image.numel(), -1)
            return (jacobian.T @ cotangent.ravel()).reshape(image.shape)
            """,
        ),
        Right(
            "torch.func, recursively",
            """
            if n == 0:
                return cotangent
            after, pull = torch.func.vjp(step, image)
            return pull(input_gradient(step, after, n - 1, cotangent))[0]
            """,
        ),
    ],
)

# dense_sum_as_residual -----------------------------------------------------------------------------------------------


def _by_list(f, x, n):
    maps = [x.astype(float)]
    for _ in range(n):
        maps.append(f(np.sum(maps, axis=0)))
    return np.sum(maps, axis=0).astype(x.dtype)


ROUND = "total = total + f(total)"


def _draw_maps(rng):
    for f, n in ((softmax_step, 25), (plain_step, 9), (softmax2d, 4)):
        yield case(f, rng.normal(size=(4, 6)), n)


dense_sum_as_residual = Exercise(
    oracle=_by_list,
    dtype=True,
    cases=[
        case(softmax_step, A[:5, :5], 6),
        case(plain_step, A[:2], 3),
        case(softmax_step, B[:2], 0),
        case(
            softmax_step,
            A.astype(np.float32),
            3,
            what="dense_sum_as_residual in float32",
            rtol=1e-4,
            atol=1e-6,
        ),
        conduct(softmax_step, A[:2], 3),
    ],
    hidden=lambda rng: list(_draw_maps(rng)),
    mistakes=[
        Mistake(
            "convolves the last map only",
            edits=[
                ("total = x", "total = last = x"),
                (ROUND, "last = f(last)\n        total = total + last"),
            ],
            hint="Here f is given the last map only. In the original it is given the sum of all maps.",
        ),
        Mistake(
            "no sum at all",
            edits=[(ROUND, "total = f(total)")],
            hint="Here f is applied again and again, and nothing is added up.",
        ),
        Mistake(
            "returns the last map",
            edits=[
                (ROUND, "last = f(total)\n        total = total + last"),
                ("return total", "return last if n else x"),
            ],
            hint="This is the last map x_n. You are asked for the sum of all maps.",
        ),
        Mistake(
            "one round too few",
            edits=[("range(n)", "range(n - 1)")],
            hint="The last map is missing: after n rounds the sum has n + 1 maps.",
        ),
        Mistake(
            "one round too many",
            edits=[("range(n)", "range(n + 1)")],
            hint="One map too many: after n rounds the sum has n + 1 maps, x among them.",
        ),
        Mistake(
            "starts from nothing",
            edits=[("return total", "return total - x")],
            hint="The first map, x itself, belongs to the sum.",
        ),
        Mistake(
            "always f of the first map",
            edits=[("f(total)", "f(x)")],
            hint="Here f is given the first map in every round. It should see the sum of all maps so far.",
        ),
        Mistake(
            "the first map added in every round, as a skip from the input",
            edits=[(ROUND, "total = x + f(total)")],
            hint="Here each round adds f to the *first* map and forgets the maps between. What is kept from round to round is the "
            "sum of all maps.",
        ),
        Mistake(
            "the mean of the maps",
            edits=[("return total", "return total / (n + 1)")],
            hint="This is the mean of the maps. The original adds them up.",
        ),
        Mistake("adds in place", edits=[(ROUND, "total += f(total)")], hint=IN_PLACE),
        Mistake(
            "always float64",
            edits=[("total = x", "total = x.astype(float)")],
            hint="Somewhere float32 became float64. The sum has the dtype of x.",
        ),
        Mistake("forgets to return", edits=[("return total", "total")]),
        Mistake("never more than six rounds", edits=[("range(n)", "range(min(n, 6))")], special=True),
    ],
    right=[
        Right(
            "the list of maps, as the original has it",
            """
            features = [x]
            for _ in range(n):
                features.append(f(np.stack(features).sum(axis=0)))
            return np.stack(features).sum(axis=0)
            """,
        ),
        Right("in place, on a copy", edits=[("total = x", "total = x.copy()"), (ROUND, "total += f(total)")]),
        Right("recursion", "return x if n == 0 else dense_sum_as_residual(f, x + f(x), n - 1)"),
    ],
)

# tie_growth ----------------------------------------------------------------------------------------------------------


def _by_block(kernel):
    """The largest eigenvalue of I + D A on what D leaves: patterns whose sum is zero."""
    D = np.eye(4) / 4 - np.full((4, 4), 1 / 16)
    unequal = null_space(np.ones((1, 4)))
    return float(
        np.linalg.eigvals(
            unequal.T @ (np.eye(4) + D @ convolution.operator_matrix(kernel, 2)) @ unequal
        ).real.max()
    )


def _mirrored(centre, across, down, corner):
    return np.array([[corner, down, corner], [across, centre, across], [corner, down, corner]])


PATTERNS = "max(left_right, top_bottom, chequered)"
NEIGHBOURS = "This has the centre weight only. The pixels of the block are neighbours of one another."
SLOWEST = "Others grow faster: take the largest of the three."

FOUR = "centre, across, down, corner = (kernel[1, 1], kernel[1, 0], kernel[0, 1], kernel[0, 0])"
MIRRORED = {"[1, 0]": "[1, -1]", "[0, 1]": "[-1, 1]", "[0, 0]": "[-1, 0]", "kernel[0, 0]": "kernel[0, -1]"}
tie_growth = Exercise(
    oracle=_by_block,
    equivalent={
        f"{FOUR}  ->  {FOUR.replace(old, new)}": "the kernel equals its mirror images"
        for old, new in MIRRORED.items()
    }
    | {
        f"return 1 + {PATTERNS} / 4  ->  return 1 + max(top_bottom, left_right, chequered) / 4": "a maximum knows no order"
    },
    cases=[
        case(KERNEL, what="tie_growth(KERNEL)"),
        case(
            _mirrored(0.3, 0.2, 0.05, 0.02), what="tie_growth(kernel with strong left and right neighbours)"
        ),
        case(
            _mirrored(0.2, 0.04, 0.15, 0.01), what="tie_growth(kernel with strong upper and lower neighbours)"
        ),
        case(_mirrored(0.4, -0.2, -0.2, 0.1), what="tie_growth(sharpening kernel)"),
        case(_mirrored(-0.1, 0.3, 0.3, 0.3), what="tie_growth(kernel with a negative centre)"),
        conduct(_mirrored(0.3, 0.2, 0.05, 0.02)),
    ],
    hidden=lambda rng: [
        case(_mirrored(sign * abs(centre), *rest), what="tie_growth(a mirrored kernel)")
        for sign, (centre, *rest) in zip((1, 1, -1, -1), rng.normal(scale=0.3, size=(4, 4)), strict=True)
    ],
    mistakes=[
        Mistake(
            "the identity forgotten",
            edits=[("1 + max", "max")],
            hint="The identity is missing: xi' = xi + ..., so what is left of xi itself counts as 1.",
        ),
        Mistake(
            "the softmax forgotten",
            edits=[(" / 4", "")],
            hint="The softmax is missing: at a four-fold tie its Jacobian multiplies an unequal pattern by 1/4.",
        ),
        Mistake(
            "the equal pattern",
            edits=[(PATTERNS, "(centre + across + down + corner)")],
            hint="This is the pattern of four equal values. Adding the same to all pixels changes no softmax: D removes it.",
        ),
        Mistake("the centre weight only", edits=[(PATTERNS, "centre")], hint=NEIGHBOURS),
        Mistake(
            "no diagonal neighbours",
            edits=[
                ("+ down - corner", "+ down"),
                ("- down - corner", "- down"),
                ("- down + corner", "- down"),
            ],
            hint=NEIGHBOURS,
        ),
        Mistake(
            "the chequered pattern",
            edits=[(PATTERNS, "chequered")],
            hint=f"This is the chequered pattern. {SLOWEST}",
        ),
        Mistake(
            "the slowest pattern",
            edits=[("max(", "min(")],
            hint=f"This is the slowest of the patterns. {SLOWEST}",
        ),
        Mistake(
            "p (1 - p)",
            edits=[(" / 4", " * 3 / 16")],
            hint="p (1 - p) = 3/16 is one entry of the softmax's Jacobian. What does the whole matrix do to a pattern whose sum is zero?",
        ),
        Mistake(
            "hard-coded",
            "return 1.0375",
            hint="This is the value for the course's kernel. Is the argument used?",
        ),
        Mistake(
            "left against right only",
            edits=[(PATTERNS, "left_right")],
            hint="Left against right is not always the fastest pattern: this kernel couples left and right more strongly than top "
            "and bottom.",
        ),
        Mistake(
            "top against bottom only",
            edits=[(PATTERNS, "top_bottom")],
            hint="Top against bottom is not always the fastest pattern: this kernel couples top and bottom more strongly than left "
            "and right.",
        ),
        Mistake(
            "never chequered",
            edits=[(PATTERNS, "max(left_right, top_bottom)")],
            hint="For this kernel the chequered pattern grows fastest. Compare all three.",
        ),
        Mistake(
            "the largest eigenvalue of the whole block",
            """
            D = (np.eye(4) - 1 / 4) / 4
            return float(np.linalg.eigvals(np.eye(4) + D @ convolution.operator_matrix(kernel, 2)).real.max())
            """,
            hint="1 belongs to the pattern of four equal values, which D removes. Here all three *unequal* patterns shrink: the tie "
            "heals.",
        ),
        Mistake(
            "absolute values of the couplings",
            edits=[(PATTERNS, "max(map(abs, (left_right, top_bottom, chequered)))")],
            hint="Here the unequal patterns shrink, so the factor is below 1. Did a sign get lost, or an absolute value slip in?",
        ),
        Mistake(
            "a tie never heals",
            edits=[("max(left", "max(0, left")],
            hint="1 belongs to the pattern of four equal values, which D removes. Here all three *unequal* patterns shrink: the tie "
            "heals.",
        ),
        Mistake(
            "ties over the whole image",
            edits=[(" / 4", " / 64")],
            hint="The tie is four-fold: 1/4 on each pixel, not 1/64.",
        ),
        Mistake(
            "right for kernels with two decimals",
            edits=[("    centre, across", "    kernel = np.round(kernel, 4)\n    centre, across")],
            special=True,
        ),
    ],
    right=[
        Right(
            "eigenvalues of the block without the equal pattern",
            """
            block = convolution.operator_matrix(np.asarray(kernel, dtype=float), 2)
            patterns = np.array([[1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
            return 1 + max(p @ block @ p for p in patterns) / 4
            """,
        ),
        Right(
            "autograd through a tied softmax",
            """
            weights = torch.tensor(np.array(kernel), dtype=torch.float64)
            tied = torch.zeros(2, 2, dtype=torch.float64)
            grown = []
            for pattern in ([[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]):
                v = torch.tensor(pattern, dtype=torch.float64)
                f = lambda s: s + torch.softmax(convolution.convolve_same(s, weights).ravel(), 0).reshape(2, 2)
                grown.append(torch.autograd.functional.jvp(f, tied, v)[1][0, 0])
            return max(grown)
            """,
        ),
        Right(
            "one round of the tied block, pattern by pattern",
            """
            patterns = np.array([[[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]], dtype=float)
            pushed = [convolution.convolve_same(xi, np.asarray(kernel)) for xi in patterns]
            return max(1 + ((out - out.mean()) / 4)[0, 0] for out in pushed)
            """,
        ),
    ],
)
