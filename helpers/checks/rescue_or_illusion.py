"""Checks of lesson 2: hints for the likely mistakes."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from helpers import convolution
from helpers.checks.core import after_call, beside, call, close, exercise, expect

__all__ = ["dense_sum_as_residual", "expect_no_trace", "input_gradient", "separation", "tie_growth"]


def _run(step, image, n):
    for _ in range(n):
        image = step(image)
    return image


def _values(image):
    return image.detach().numpy() if hasattr(image, "detach") else np.asarray(image)


def expect_no_trace(answer, step, image, n, cotangent):
    """Expect that a call of `input_gradient` leaves the caller's tensors without marks of autograd."""
    expect(
        beside(answer, leaves_no_trace, answer, step, image, n, cotangent),
        "After the call the image that was handed in requires a gradient, or carries one in .grad: a second call with "
        "the same image would add to it. Record on a tensor of your own.",
    )


def leaves_no_trace(answer: Callable, step: Callable, image: Tensor, n: int, cotangent: Tensor) -> bool:
    """Call an answer with copies and tell whether they carry no mark of autograd afterwards."""
    handed = image.clone(), cotangent.clone()
    answer(step, handed[0], n, handed[1])
    return not any(tensor.requires_grad or tensor.grad is not None for tensor in handed)


@exercise
def separation(answer):
    """Shapes of two images after n steps, in the largest absolute pixel."""
    a, b = np.random.default_rng(0).normal(size=(2, 6, 6))
    step = convolution.plain_step
    p, q = _run(step, a, 4), _run(step, b, 4)
    peak_p, peak_q = np.abs(p).max(), np.abs(q).max()
    shape_p, shape_q = p / peak_p, q / peak_q
    with np.errstate(all="ignore"):
        close(
            call(answer, step, a, b, 4),
            np.abs(shape_p - shape_q).max(),
            "separation(plain_step, a, b, 4)",
            rtol=1e-9,
            mistakes=[
                (
                    np.abs(p - q).max(),
                    "Each image has to be divided by its own largest absolute pixel before you compare.",
                ),
                (
                    np.abs(a / np.abs(a).max() - b / np.abs(b).max()).max(),
                    "This compares the two images at the start. Are a and b replaced by step(a) and step(b)?",
                ),
                (
                    np.abs(p - q).max() / max(peak_p, peak_q),
                    "Divide each image by its *own* largest absolute pixel: a_n by that of a_n, b_n by that of b_n.",
                ),
                (
                    np.abs(p / p.max() - q / q.max()).max(),
                    "The largest *absolute* pixel is meant: pixels may be negative.",
                ),
                ((shape_p - shape_q).max(), "The absolute value of the difference is missing."),
                (np.abs(shape_p - shape_q).mean(), "This is the mean difference. We want the largest."),
                (
                    np.abs(p / np.linalg.norm(p) - q / np.linalg.norm(q)).max(),
                    "This divides by the Euclidean norm. Squares of small float32 pixels underflow to zero: use the largest absolute pixel.",
                ),
                (
                    np.linalg.norm(shape_p - shape_q),
                    "This takes the Euclidean norm of the difference, whose squares underflow. Use the largest absolute pixel.",
                ),
            ],
        )
        faint = (1e-28 * a).astype(np.float32), (1e-28 * b).astype(np.float32)
        close(
            call(answer, step, *faint, 4),
            np.abs(shape_p - shape_q).max(),
            "separation of float32 images of size 1e-28",
            rtol=1e-4,
            atol=1e-6,
            mistakes=[
                (
                    0.0,
                    "Two faint images are not two equal images: does something here square pixels of 1e-28, or add a number that is large beside them?",
                )
            ],
        )
        dead = np.zeros((6, 6))
        close(
            call(answer, step, dead, dead, 2),
            0.0,
            "separation of two dead images (an image of zeros is not divided)",
        )
        close(
            call(answer, step, dead, b, 2),
            1.0,
            "separation of a dead image and a living one (zeros are not divided)",
        )
        dead = np.zeros((6, 6), np.float32)
        close(
            call(answer, step, dead, dead, 2),
            0.0,
            "separation of two dead float32 images (in float32 a number such as 1e-300 is zero)",
        )


@exercise
def input_gradient(answer):
    """The gradient against the transposed dense operators."""
    rng = np.random.default_rng(1)
    x, v = (torch.tensor(rng.normal(size=(5, 5))) for _ in range(2))
    operator = convolution.operator_matrix(convolution.binomial_kernel(), 5)

    def pulled(n, cotangent):
        return (np.linalg.matrix_power(operator.T, n) @ np.ravel(cotangent)).reshape(5, 5)

    ones = np.ones((5, 5))
    image = x.numpy()
    close(
        call(answer, convolution.plain_step, x.clone(), 3, v),
        pulled(3, v),
        "input_gradient(plain_step, x, 3, v)",
        rtol=1e-9,
        atol=1e-12,
        mistakes=[
            (
                pulled(3, ones),
                "The cotangent is not used: this is the gradient of the sum, and the sum of a softmax is always 1, with gradient zero.",
            ),
            (pulled(2, v), "This is the gradient through 2 steps instead of 3."),
            (pulled(4, v), "This is the gradient through 4 steps instead of 3."),
            (
                pulled(3, image),
                "This is the image after 3 steps, not the gradient. Where does the cotangent enter?",
            ),
            (v.numpy(), "This is the cotangent itself. It has to be pulled back through the steps."),
            (np.abs(pulled(3, v)).max(), "You are asked for the whole gradient, not its norm."),
        ],
    )
    step = convolution.residual_softmax_step
    jacobian = (
        torch.autograd.functional.jacobian(lambda start: _run(step, start, 2), x).reshape(25, 25).numpy()
    )
    truth = (jacobian.T @ v.numpy().ravel()).reshape(5, 5)
    close(
        call(answer, step, x.clone(), 2, v),
        truth,
        "input_gradient(residual_softmax_step, x, 2, v)",
        rtol=1e-6,
        atol=1e-12,
        mistakes=[
            (
                (jacobian @ v.numpy().ravel()).reshape(5, 5),
                "This is J v, the change of the output when the input moves along v. The gradient is the transpose's: J^T v.",
            ),
            (pulled(2, v), "This is the gradient of the plain convolution. Is `step` used?"),
        ],
    )
    single = call(answer, convolution.plain_step, x.float(), 3, v.float())
    close(single, pulled(3, v), "input_gradient in float32", rtol=1e-4, atol=1e-6, dtype="float32")
    left = after_call(answer, convolution.plain_step, x, 2, v)
    expect(
        np.array_equal(_values(left[1]), x.numpy()),
        "The image that was handed in has changed. Work on a copy.",
    )
    expect_no_trace(answer, convolution.plain_step, x, 2, v)


@exercise
def dense_sum_as_residual(answer):
    """The running sum against the original's list of maps."""
    x = np.random.default_rng(2).normal(size=(5, 5))
    f = convolution.softmax_step
    maps = [x]
    for _ in range(6):
        maps.append(f(np.sum(maps, axis=0)))
    last_only = [x]
    for _ in range(6):
        last_only.append(f(last_only[-1]))
    close(
        call(answer, f, x.copy(), 6),
        np.sum(maps, axis=0),
        "dense_sum_as_residual(softmax_step, x, 6)",
        rtol=1e-9,
        mistakes=[
            (
                np.sum(last_only, axis=0),
                "Here f is given the last map only. In the original it is given the sum of all maps.",
            ),
            (last_only[-1], "Here f is applied again and again, and nothing is added up."),
            (maps[-1], "This is the last map x_n. You are asked for the sum of all maps."),
            (np.sum(maps[:-1], axis=0), "The last map is missing: after n rounds the sum has n + 1 maps."),
            (np.sum(maps[1:], axis=0), "The first map, x itself, belongs to the sum."),
            (
                x + f(x) * 6,
                "Here f is given the first map in every round. It should see the sum of all maps so far.",
            ),
        ],
    )
    close(call(answer, f, x.copy(), 0), x, "dense_sum_as_residual(softmax_step, x, 0)")
    single = x.astype(np.float32)
    close(
        call(answer, f, single.copy(), 3),
        np.sum(maps[:4], axis=0),
        "dense_sum_as_residual in float32",
        rtol=1e-4,
        atol=1e-6,
        dtype="float32",
    )
    left = after_call(answer, f, single, 3)
    expect(
        np.array_equal(left[1], single),
        "x has changed: `total += ...` writes into the array that was handed in.",
    )


@exercise
def tie_growth(answer):
    """The growth factor for the course's kernel and for a lopsided one."""
    close(
        call(answer, convolution.binomial_kernel()),
        1.0375,
        "tie_growth(KERNEL)",
        rtol=1e-9,
        mistakes=[
            (
                0.0375,
                "The identity is missing: xi' = xi + ..., so what is left of xi itself counts as 1.",
            ),
            (
                1.15,
                "The softmax is missing: at a four-fold tie its Jacobian multiplies an unequal pattern by 1/4.",
            ),
            (
                1.1125,
                "This is the pattern of four equal values. Adding the same to all pixels changes no softmax: D removes it.",
            ),
            (1.05, "This has the centre weight only. The pixels of the block are neighbours of one another."),
            (1.0125, "This is the chequered pattern. Others grow faster: take the largest of the three."),
            (
                1 + 0.15 * 3 / 16,
                "p (1 - p) = 3/16 is one entry of the softmax's Jacobian. What does the whole matrix do to a pattern whose sum is zero?",
            ),
            (1 + 0.15 / 64, "The tie is four-fold: 1/4 on each pixel, not 1/64."),
        ],
    )
    wide = np.array([[0.02, 0.05, 0.02], [0.20, 0.30, 0.20], [0.02, 0.05, 0.02]])
    close(
        call(answer, wide),
        1 + 0.43 / 4,
        "tie_growth(kernel with strong left and right neighbours)",
        rtol=1e-9,
        mistakes=[
            (1.0375, "This is the value for the course's kernel. Is the argument used?"),
            (
                1 + 0.13 / 4,
                "Left against right is not always the fastest pattern: this kernel couples left and right more strongly than top and bottom.",
            ),
        ],
    )
    sharp = np.array([[0.1, -0.2, 0.1], [-0.2, 0.4, -0.2], [0.1, -0.2, 0.1]])
    close(
        call(answer, sharp),
        1 + 0.9 / 4,
        "tie_growth(sharpening kernel)",
        rtol=1e-9,
        mistakes=[(1 + 0.3 / 4, "For this kernel the chequered pattern grows fastest. Compare all three.")],
    )
    healing = np.full((3, 3), 0.3)
    healing[1, 1] = -0.1
    close(
        call(answer, healing),
        1 - 0.4 / 4,
        "tie_growth(kernel with a negative centre)",
        rtol=1e-9,
        mistakes=[
            (
                1.0,
                "1 belongs to the pattern of four equal values, which D removes. Here all three *unequal* patterns shrink: the tie heals.",
            ),
            (
                1 + 0.4 / 4,
                "Here the unequal patterns shrink, so the factor is below 1. Did a sign get lost, or an absolute value slip in?",
            ),
        ],
    )
