"""Exercises of lesson 2."""

from functools import reduce

import numpy as np
import torch
from scipy.linalg import null_space

from course.exercises import Exercise, Mistake, case, conduct, listed, rewritten, special, told, written
from helpers import convolution
from helpers.convolution import dense_sum_step, plain_step, residual_softmax_step, softmax2d, softmax_step

KERNEL = convolution.binomial_kernel()


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
DEAD, FAINT = np.zeros((6, 6)), (1e-28 * np.array([A, B])).astype(np.float32)
SPARSE = np.array([[0.0, -4, 2], [1, -1, 2]]), np.array([[-1.0, -0.5, 0], [0, -2, -1]])
DIFFERENCE = "abs(scaled[0] - scaled[1]).max()"
DIVIDED = "x / abs(x).max() if x.any() else x"


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
    idea="What a deep map still knows of its input is how far apart it leaves two different images, each measured by its own size.",
    oracle=_by_ranges,
    equivalent={f"return float({DIFFERENCE})  ->  return {DIFFERENCE}": "a number of NumPy's is a number"},
    atol=1e-13,  # two shapes that have become one differ by rounding
    cases=[
        case(plain_step, A, B, 4),
        case(softmax_step, A[:3], B[:3], 1),
        case(plain_step, *SPARSE, 0),
        case(plain_step, *FAINT, 4, what="separation of float32 images of size 1e-28", rtol=1e-4, atol=1e-6),
        case(plain_step, DEAD, DEAD, 2, what="separation of two dead images (they are not divided)"),
        case(plain_step, DEAD, B, 2, what="separation of a dead image and a living one"),
        case(plain_step, *np.zeros((2, 6, 6), np.float32), 2, what="separation of two dead float32 images"),
        conduct(plain_step, A[:2], B[:2], 0),
        conduct(plain_step, A[:2], B[:2], 2),
    ],
    hidden=_draw_pairs,
    mistakes=[
        *listed(f"""
            instead of {DIVIDED}:
            not scaled | x
                Each image has to be divided by its own largest absolute pixel before you compare.
            the square root of the largest square | x / np.sqrt((x * x).max()) if (x * x).any() else x
            takes small for zero | x.any() | not np.allclose(x, 0)
            1e-12 added to the divisor | x / (abs(x).max() + 1e-12)
            1e-30 added to the divisor | x / (abs(x).max() + 1e-30)
                Two faint images are not equal: does something square 1e-28, add a number that is large beside it, or
                take it for zero?
            1e-8 added to the divisor | x / (abs(x).max() + 1e-8)
            1e-300 added to the divisor | x / (abs(x).max() + 1e-300)
                Is a small number added to the divisor? It is felt in every image, and float32 rounds a tiny one to zero.
                What needs care is an image that holds nothing but zeros.
            a dead image gives NaN | x / abs(x).max()
                Zero divided by zero is NaN. An image of zeros is left as it is.
            NaN is made zero | x / abs(x).max() if x.any() else x | x / abs(x).max() | abs(scaled | np.nan_to_num(scaled
                The difference to a dead image is not zero: its pixels are zeros, and those of the living one are not.
            asks for a dead image by x.all() | x.any() | x.all()
            asks for a dead image by x.sum() | x.any() | x.sum()
            asks for a dead image by x.max() > 0 | x.any() | x.max() > 0
                An image is dead if *all* its pixels are zero. Here it is not, and it has to be divided by its largest
                absolute pixel.
            one scale for both | abs(x).max() | max(abs(a).max(), abs(b).max())
                Divide each image by its *own* largest absolute pixel: a_n by that of a_n, b_n by that of b_n.
            Euclidean norms, whose squares underflow | abs(x).max() | np.linalg.norm(x)
                This divides by the Euclidean norm. Squares of small float32 pixels underflow to zero: use the largest
                absolute pixel.
            the Euclidean norm of the difference | abs(scaled[0] - scaled[1]).max() | np.linalg.norm(scaled[0] - scaled[1])
                This takes the Euclidean norm of the difference, whose squares underflow. Use the largest absolute pixel.
            the images at the start | a, b = step | p, q = step
                This compares the two images at the start. Are a and b replaced with step(a) and step(b)?
            one step too few | range(n) | range(n - 1)
                One step too few: is `step` applied n times?
            one step too many | range(n) | range(n + 1)
                One step too many: is `step` applied n times?
            scaled by the largest pixel | abs(x).max() | x.max()
            scaled by the largest pixel's size | abs(x).max() | abs(x.max())
                The largest *absolute* pixel is meant: pixels may be negative, and the largest of them may be small.
            no absolute value around the difference | abs(scaled[0] - scaled[1]) | (scaled[0] - scaled[1])
                The absolute value of the difference is missing.
            the mean difference | scaled[1]).max() | scaled[1]).mean()
                This is the mean difference. We want the largest.
            writes into the images | a, b = step(a), step(b) | a[...], b[...] = step(a), step(b)
                The images that were handed in have changed: `a[...] = ` writes into them.
        """),
        *told("""
            # scaled at the start
            #     The images were divided before the first step, and have shrunk since. Divide what the last step gives.
            a, b = [x / abs(x).max() if x.any() else x for x in (a, b)]
            for _ in range(n):
                a, b = step(a), step(b)
            return float(abs(a - b).max())
            # divides in place
            #     The images that were handed in have changed, as is seen with n = 0: `/=` writes into them.
            for _ in range(n):
                a, b = step(a), step(b)
            for x in (a, b):
                if x.any():
                    x /= abs(x).max()
            return float(abs(a - b).max())
        """),
        Mistake("forgets to return", edits=[("return float", "float")]),
        special("never more than four steps", "range(n)", "range(min(n, 4))"),
    ],
    right=written("""
        # numpy functions and a helper
        def shape(x):
            for _ in range(n):
                x = step(x)
            peak = np.max(np.abs(x))
            return np.asarray(x) / (peak if peak > 0 else 1)
        return np.max(np.abs(shape(a) - shape(b)))
        # recursion, and the infinity norm of the flat images
        if n:
            return separation(step, step(a), step(b), n - 1)
        a, b = a.ravel().astype(float), b.ravel().astype(float)
        size = [np.linalg.norm(x, np.inf) or 1.0 for x in (a, b)]
        return float(np.linalg.norm(a / size[0] - b / size[1], np.inf))
        # pixel by pixel, and a tensor of no dimension
        for _ in range(n):
            a, b = step(a), step(b)
        peaks = [max(abs(p) for row in x for p in row) or 1 for x in (a, b)]
        return torch.tensor(max(abs(p / peaks[0] - q / peaks[1]) for p, q in zip(a.flat, b.flat)))
    """),
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


def _draw_pulls(rng):
    for step, n in ((softmax_step, 2), (residual_softmax_step, 3), (dense_sum_step, 6), (plain_step, 4)):
        x, v = map(torch.tensor, rng.normal(size=(2, 5, 5)))
        yield case(step, x, n, v)
    yield conduct(step, x, n, v)


POINTS = {
    "the transposed Jacobian of the first layer for all layers": "[image] * n",
    "the Jacobians in the order of the forward pass": "images[:-1]",
    "the Jacobians at the images that leave each step": "reversed(images[1:])",
}
ITS_OWN = (
    "Each step has a Jacobian of its own, taken at the image that *enters* this step, and the last step is the first on the "
    "way back. With a step that is not linear, the place and the order count."
)
START = "start = image.detach().clone().requires_grad_(True)"
input_gradient = Exercise(
    idea="A gradient is asked for with a cotangent; the ones of a sum are one of many, and behind a softmax they ask for nothing.",
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
    hidden=_draw_pulls,
    mistakes=[
        *listed("""
            a cotangent of ones | output, start, cotangent | output.sum(), start
                The cotangent is not used: this is the gradient of the sum, and the sum of a softmax is always 1, with
                gradient zero.
            no cotangent | output, start, cotangent | output, start
                The output is an image, not one number: autograd has to be told by which weights to add up its pixels.
                You were given them.
            one step too few | range(n) | range(n - 1)
                One step too few: is `step` applied n times?
            one step too many | range(n) | range(n + 1)
                One step too many: is `step` applied n times?
            the plain convolution whatever the step | step(output) | convolution.plain_step(output)
                This is the gradient of the plain convolution. Is `step` used?
            detached between the steps | step(output) | step(output.detach())
            detached at the start | output = start | output = start.detach()
            through numpy | step(output) | torch.tensor(step(output.detach().numpy()))
            nothing recorded | clone().requires_grad_(True) | clone()
                The way from the image to the output is cut: autograd has not seen that the one comes from the other.
            the image instead of the gradient | return gradient | return output.detach()
                This is the image after n steps, not the gradient. Where does the cotangent enter?
            the cotangent itself | return gradient | return cotangent
                This is the cotangent itself. It has to be pulled back through the steps.
            the norm of the gradient | return gradient | return float(gradient.abs().max())
                You are asked for the whole gradient, not its norm.
            the tuple that autograd gives | (gradient,) = | gradient =
                torch.autograd.grad gives a tuple, one gradient per input. You are asked for the gradient itself.
            always float64 | image.detach() | image.detach().double() | start, cotangent | start, cotangent.double()
                The numbers are right, in another precision than the image: what is given in float32 is wanted in float32.
            marks the caller's tensor | image.detach().clone() | image
            records on the caller's tensor | image.detach().clone() | image | (gradient,) = torch.autograd.grad(output, start, cotangent) | output.backward(cotangent); gradient = image.grad
                After the call the image that was handed in requires a gradient, or carries one in `.grad`: a second call
                with the same image would add to it. Record on a tensor of your own.
            writes into the image | return gradient | image.copy_(output.detach()); return gradient
                The image that was handed in has changed. Work on a copy.
        """),
        *(Mistake(title, _backwards(points), hint=ITS_OWN) for title, points in POINTS.items()),
        *told("""
            # forward mode: J v instead of its transpose
            #     This is J v, the change of the output when the input moves along v. The gradient is the transpose's:
            #     J^T v.
            def run(x):
                for _ in range(n):
                    x = step(x)
                return x
            return torch.autograd.functional.jvp(run, image, cotangent)[1]
            # the step applied to the cotangent
            #     This applies `step` to the cotangent. For the plain convolution that is right, A^T being A; a softmax
            #     is not its own derivative.
            for _ in range(n):
                cotangent = step(cotangent)
            return cotangent
        """),
        special("never more than four steps", "range(n)", "range(min(n, 4))"),
    ],
    right=written("""
        # backward with the cotangent as loss weights
        x = torch.tensor(image.numpy(), requires_grad=True)
        y = x
        for _ in range(n):
            y = step(y)
        (y * cotangent).sum().backward()
        return x.grad
        # the whole Jacobian, transposed
        def run(x):
            for _ in range(n):
                x = step(x)
            return x
        jacobian = torch.autograd.functional.jacobian(run, image).reshape(image.numel(), -1)
        return (jacobian.T @ cotangent.ravel()).reshape(image.shape)
        # torch.func, recursively
        if n == 0:
            return cotangent
        after, pull = torch.func.vjp(step, image)
        return pull(input_gradient(step, after, n - 1, cotangent))[0]
    """)
    + written("# layer by layer, backwards" + _backwards("reversed(images[:-1])")),
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
    idea="The sum of all earlier maps is a residual stream: one array, to which each round adds.",
    oracle=_by_list,
    dtype=True,
    cases=[
        case(softmax_step, A[:5, :5], 6),
        case(plain_step, A[:2], 3),
        case(softmax_step, B[:2], 0),
        case(softmax_step, A.astype(np.float32), 3, rtol=1e-4, atol=1e-6, what="the float32 sum"),
        conduct(softmax_step, A[:2], 3),
    ],
    hidden=_draw_maps,
    mistakes=[
        *listed("""
            no sum at all | total = total + f(total) | total = f(total)
                Here f is applied again and again, and nothing is added up.
            convolves the last map only | total = x | total = last = x | = total + f(total) | = total + (last := f(last))
                Here f is given the last map only. In the original it is given the sum of all maps.
            returns the last map | total = x | total = last = x | + f(total) | + (last := f(total)) | return total | return last
                This is the last map x_n. You are asked for the sum of all maps.
            one round too few | range(n) | range(n - 1)
                The last map is missing: after n rounds the sum has n + 1 maps.
            one round too many | range(n) | range(n + 1)
                One map too many: after n rounds the sum has n + 1 maps, x among them.
            starts from nothing | return total | return total - x
                The first map, x itself, belongs to the sum.
            always f of the first map | f(total) | f(x)
                Here f is given the first map in every round. It should see the sum of all maps so far.
            a skip from the first map in every round | total = total + f(total) | total = x + f(total)
                Here each round adds f to the *first* map and forgets the maps between. What is kept from round to round is
                the sum of all maps.
            the mean of the maps | return total | return total / (n + 1)
                This is the mean of the maps. The original adds them up.
            adds in place | total = total + f(total) | total += f(total)
                x has changed: `total += ...` writes into the array that was handed in.
            always float64 | total = x | total = x.astype(float)
                Somewhere float32 became float64. The sum has the dtype of x.
        """),
        Mistake("forgets to return", edits=[("return total", "total")]),
        special("never more than six rounds", "range(n)", "range(min(n, 6))"),
    ],
    right=written("""
        # the list of maps, as the original has it
        features = [x]
        for _ in range(n):
            features.append(f(np.stack(features).sum(axis=0)))
        return np.stack(features).sum(axis=0)
        # recursion
        return x if n == 0 else dense_sum_as_residual(f, x + f(x), n - 1)
    """)
    + rewritten(f"""
        in place, on a copy | total = x | total = x.copy() | {ROUND} | total += f(total)
    """),
)

# tie_growth ----------------------------------------------------------------------------------------------------------


def _by_block(kernel):
    """The largest eigenvalue of I + D A on what D leaves: patterns whose sum is zero."""
    D = np.eye(4) / 4 - np.full((4, 4), 1 / 16)
    unequal = null_space(np.ones((1, 4)))
    tied = np.eye(4) + D @ convolution.operator_matrix(kernel, 2)
    return float(np.linalg.eigvals(unequal.T @ tied @ unequal).real.max())


def _mirrored(centre, across, down, corner):
    return np.array([[corner, down, corner], [across, centre, across], [corner, down, corner]])


PATTERNS = "max(left_right, top_bottom, chequered)"

FOUR = "centre, across, down, corner = (kernel[1, 1], kernel[1, 0], kernel[0, 1], kernel[0, 0])"
MIRRORED = {"[1, 0]": "[1, -1]", "[0, 1]": "[-1, 1]", "[0, 0]": "[-1, 0]", "kernel[0, 0]": "kernel[0, -1]"}
tie_growth = Exercise(
    idea="A tie heals if every pattern that breaks it shrinks; here one of them grows, so that rounding decides.",
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
        *listed(f"""
            instead of {PATTERNS}:
            the equal pattern | (centre + across + down + corner)
                This is the pattern of four equal values. Adding the same to all pixels changes no softmax: D removes it.
            the chequered pattern | chequered
                This is the chequered pattern. Others grow faster: take the largest of the three.
            the slowest pattern | min(left_right, top_bottom, chequered)
                This is the slowest of the patterns. Others grow faster: take the largest of the three.
            left against right only | left_right
                Left against right is not always the fastest pattern: this kernel couples left and right more strongly than
                top and bottom.
            top against bottom only | top_bottom
                Top against bottom is not always the fastest pattern: this kernel couples top and bottom more strongly than
                left and right.
            never chequered | max(left_right, top_bottom)
                For this kernel the chequered pattern grows fastest. Compare all three.
            absolute values of the couplings | max(map(abs, (left_right, top_bottom, chequered)))
                Here the unequal patterns shrink, so the factor is below 1. Did a sign get lost, or an absolute value slip in?
            a tie never heals | max(0, left_right, top_bottom, chequered)
            the largest eigenvalue of the block | return 1 + max(left_right, top_bottom, chequered) / 4 | return np.linalg.eigvals(np.eye(4) + (np.eye(4) - 1 / 4) / 4 @ convolution.operator_matrix(kernel, 2)).real.max()
                1 belongs to the pattern of four equal values, which D removes. Here all three *unequal* patterns shrink:
                the tie heals.
            the centre weight only | centre
            no diagonal neighbours | max(left_right + corner, top_bottom + corner, chequered - corner)
                This has the centre weight only. The pixels of the block are neighbours of one another.
            the identity forgotten | 1 + max | max
                The identity is missing: xi' = xi + ..., so what is left of xi itself counts as 1.
            the softmax forgotten | chequered) / 4 | chequered)
                The softmax is missing: at a four-fold tie its Jacobian multiplies an unequal pattern by 1/4.
            p (1 - p) | chequered) / 4 | chequered) * 3 / 16
                p (1 - p) = 3/16 is one entry of the softmax's Jacobian. What does the whole matrix do to a pattern whose
                sum is zero?
            ties over the whole image | chequered) / 4 | chequered) / 64
                The tie is four-fold: 1/4 on each pixel, not 1/64.
            instead of it all:
            hard-coded | return 1.0375
                This is the value for the course's kernel. Is the argument used?
        """),
        special(
            "right for kernels with four decimals", "centre, a", "kernel = np.round(kernel, 4); centre, a"
        ),
    ],
    right=written("""
        # eigenvalues of the block without the equal pattern
        block = convolution.operator_matrix(np.asarray(kernel, dtype=float), 2)
        patterns = np.array([[1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
        return 1 + max(p @ block @ p for p in patterns) / 4
        # autograd through a tied softmax
        weights = torch.tensor(np.array(kernel), dtype=torch.float64)
        tied = torch.zeros(2, 2, dtype=torch.float64)
        grown = []
        for pattern in ([[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]):
            v = torch.tensor(pattern, dtype=torch.float64)
            f = lambda s: s + torch.softmax(convolution.convolve_same(s, weights).ravel(), 0).reshape(2, 2)
            grown.append(torch.autograd.functional.jvp(f, tied, v)[1][0, 0])
        return max(grown)
        # one round of the tied block, pattern by pattern
        patterns = np.array([[[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]], dtype=float)
        pushed = [convolution.convolve_same(xi, np.asarray(kernel)) for xi in patterns]
        return max(1 + ((out - out.mean()) / 4)[0, 0] for out in pushed)
    """),
)
