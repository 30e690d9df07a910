"""Checks of lesson 1: hints for the likely mistakes."""

import numpy as np

from helpers import convolution
from helpers.checks.core import CheckFailed, after_call, call, close, equal, exercise, expect

__all__ = ["iterate", "overflow_iteration", "predict_death", "spectral_radius"]


@exercise
def spectral_radius(answer):
    """rho(n) against the eigenvalues of the dense operator; n = 20 is too large for a short power iteration."""
    kernel = convolution.binomial_kernel()
    for n in (8, 3, 1, 20):
        eigenvalues = np.linalg.eigvalsh(convolution.operator_matrix(kernel, n))
        largest, one_dimensional = np.abs(eigenvalues).max(), np.sqrt(eigenvalues.max() / 0.8)
        value = call(answer, n)
        _converged(value, largest, n)
        close(
            value,
            largest,
            f"spectral_radius({n})",
            rtol=1e-9,
            mistakes=[
                (
                    0.8,
                    "0.8 is the sum of the kernel: the factor far away from every edge. What do the zeros around the image take away?",
                ),
                (largest / 0.05, "The factor 0.05 of the kernel is missing."),
                (
                    0.8 * one_dimensional,
                    "This is right for a row of pixels. The image is blurred along its columns as well: A is a Kronecker product.",
                ),
                (
                    0.8 * np.cos(np.pi / (2 * n)) ** 4,
                    "Nearly: the sines vanish at the positions 0 and n + 1, just outside of the image. How far apart are these?",
                ),
                (
                    0.8 * np.cos(np.pi / (n + 1)) ** 4,
                    "Nearly: the eigenvalue of T is 2 + 2 cos of an angle. Written as a square, it is the cosine of which angle?",
                ),
                (
                    np.linalg.norm(convolution.operator_matrix(kernel, n)),
                    "That is the Frobenius norm. The spectral radius is the largest |eigenvalue|.",
                ),
                (
                    eigenvalues.min(),
                    "That is the smallest eigenvalue. Which one wins when the matrix is applied many times?",
                ),
            ],
        )


def _converged(value, largest, n):
    """Say what is wrong with a value that is nearly right for the one large image."""
    if n < 20 or not isinstance(value, (float, np.floating)) or not 1e-9 < abs(value / largest - 1) < 1e-3:
        return
    raise CheckFailed(
        f"spectral_radius(20) has a relative error of {abs(value / largest - 1):.0e}. Is it a ratio of two images "
        "after some steps? In a large image the second slowest pattern fades slowly too: the ratio is not there yet, "
        "and no fixed number of steps is enough for each n."
    )


# Side, exponent of the format's smallest number -> index by the rule, and what known mistakes give.
DEATHS = {(8, 149): 362, (4, 149): 243, (8, 24): 57, (8, 1074): 2617, (4, 1074): 1755}
THRESHOLDS = {
    (368, 247, 63, 2622, 1759): (
        "Below half a unit is too late. Which is the largest product that a pixel of m units hands on, and when "
        "does *that* round to zero?"
    ),
    (365, 245, 61, 2620, 1758): (
        "One unit is not the threshold: a pixel of 2 units dies as well. Look at the table of products."
    ),
    (363, 243, 58, 2617, 1756): (
        "Below 2 units is a little too late. The rule compares the line with a number of units that no pixel has: "
        "an image just below it still rounds to which whole number?"
    ),
    (361, 242, 57, 2616, 1755): (
        "Below 3 units is a little too early: where the line is at 2.7 units, the largest pixel is 3, and the table "
        "of products says that 3 units hand something on."
    ),
    (360, 241, 55, 2614, 1754): (
        "Below 5 units is too early: a pixel of 3 or 4 units still hands something on to itself. Look at the table."
    ),
}
OTHER_LINES = {
    (309, 207, 309, 309, 207): (
        "2**-126 is the smallest *normal* number of float32. Below it there are the subnormal ones, down to 2**-exponent."
    ),
    (461, 461, 73, 3334, 3334): "This is what the factor 0.8 would give. Use the spectral radius for this n.",
    (360, 242, 56, 2615, 1755): "The line starts at c(n), not at 1: see convolution.peak_amplitude.",
    (362, 243, 57, 2618, 1757): (
        "Right, except where exponent = 1074: float64 cannot hold 2.5 times its own smallest number, nor a part of "
        "it. Take logarithms before you multiply, not after."
    ),
    (362, 243, 57, 2617, 1756): (
        "Right, except for one of the two cases with exponent = 1074: float64 cannot hold 2.5 times its own smallest "
        "number, it makes 2 of it. Take logarithms before you multiply, not after."
    ),
}


@exercise
def predict_death(answer):
    """The rule for two sizes and three formats; all five indices together tell which mistake was made."""
    indices = [call(answer, n, exponent) for n, exponent in DEATHS]
    late = "counts from 0: after k convolutions the next one has index k."
    right = tuple(DEATHS.values())
    known = [
        *OTHER_LINES.items(),
        *((_moved(line, -1), hint) for line, hint in OTHER_LINES.items()),
        *((_moved(line, step), hint) for step in (0, -1, 1) for line, hint in THRESHOLDS.items()),
        (_moved(right, -1), f"One too early: the loop {late}"),
        (_moved(right, 1), f"One too late: the loop {late}"),
        (
            tuple(map(float, right)),
            "The index is a whole number: math.ceil gives an int, np.ceil a float.",
        ),
        (
            (362,) * 5,
            "n = 4 gives the same index as n = 8. The amplitude and the spectral radius depend on n.",
        ),
        (
            (362, 243, 362, 362, 243),
            "float64 (exponent = 1074) gives the same index as float32. The threshold depends on the exponent.",
        ),
    ]
    equal(tuple(indices), right, f"predict_death for (n, exponent) in {list(DEATHS)}", mistakes=known)


def _moved(line, step):
    return tuple(index + step for index in line)


@exercise
def iterate(answer):
    """The loop against the indices that scipy's convolution gives."""
    ones, kernel = np.ones((8, 8)), convolution.binomial_kernel()
    equal(
        call(answer, ones, kernel, "float32"),
        362,
        "iterate(ones, KERNEL, 'float32')",
        mistakes=[
            (
                2616,
                "2616 is the index for float64: image and kernel are float64, and float64 wins every product. Cast both of them.",
            ),
            (
                370,
                "370 comes of computing in float64 and rounding each pixel once, at the end. Round the kernel to dtype as well: then each product is rounded.",
            ),
            (363, "One too many: the loop counts from 0."),
            (361, "One too few: the index is that of the convolution which *gives* the zeros."),
            (
                None,
                "The image does die in float32. Does the loop convolve the image that the last round gave, and look at it each time?",
            ),
        ],
    )
    equal(
        call(answer, ones, kernel, "float16"),
        55,
        "iterate(ones, KERNEL, 'float16')",
        mistakes=[
            (
                64,
                "64 comes of adding up in a wider format and rounding once a pixel. Let every product be float16.",
            ),
            (362, "float16 should die sooner than float32. Is dtype used for image and kernel?"),
            (2616, "2616 is the index for float64: cast both image and kernel to dtype."),
        ],
    )
    hint = "With boundary='wrap' nothing dies: return None when no image was all zero within `limit` convolutions."
    equal(
        call(answer, ones, kernel, "float32", "wrap", 500),
        None,
        "iterate(..., boundary='wrap', limit=500)",
        mistakes=[
            (500, hint),
            (499, hint),
            (362, "boundary='wrap' changes nothing here. Is the boundary handed on to the convolution?"),
        ],
    )
    equal(
        call(answer, ones, kernel, "float32", "fill", 10),
        None,
        "iterate(..., limit=10)",
        mistakes=[
            (362, "`limit` is the number of convolutions to try, and 10 are not enough to kill the image.")
        ],
    )
    negative = call(answer, ones, -kernel, "float32")
    equal(
        negative,
        362,
        "iterate(ones, -KERNEL, 'float32')",
        mistakes=[(0, "Negative pixels are not zero pixels: `(image > 0).sum() == 0` is true for both.")],
    )
    opposed = np.repeat([[1.0, -1.0]], 2, axis=1) * np.ones((4, 1))
    equal(
        call(answer, opposed, 1.25 * kernel, "float32"),
        400,
        "iterate(+1 in the left half and -1 in the right half of a 4 x 4 image, 1.25 * KERNEL, 'float32')",
        mistakes=[
            (
                0,
                "Here positive and negative pixels cancel in a sum, and the image is not zero. Ask whether *any* pixel differs from zero.",
            ),
            (
                507,
                "This is the index if pixels lose their sign on the way. Take abs for the test at most, not for the image.",
            ),
            (
                69,
                "Negative pixels are not zero pixels: ask whether *any* pixel differs from zero.",
            ),
        ],
    )
    single = ones.astype("float32")
    left, _, _ = after_call(answer, single, kernel.astype("float32"), "float32")
    expect(np.array_equal(left, single), "The image that was handed in has changed. Work on a copy.")


@exercise
def overflow_iteration(answer):
    """The residual loop against what it gives when run."""
    with np.errstate(over="ignore", invalid="ignore"):
        equal(
            call(answer, 8, "float32"),
            157,
            "overflow_iteration(8, 'float32')",
            mistakes=[
                (
                    1264,
                    "1264 is the index for float64: the kernel is float64 and makes the image so. Cast both of them.",
                ),
                (158, "One too many: the loop counts from 0."),
                (156, "One too few: the index is that of the step whose *result* is not finite."),
                (
                    150,
                    "This is what the growth 1 + 0.8 would give. The zeros around the image slow it down: use the spectral radius.",
                ),
            ],
        )
        equal(
            call(answer, 8, "float64"),
            1264,
            "overflow_iteration(8, 'float64')",
            mistakes=[(157, "float64 gives the same index as float32. Is dtype used?")],
        )
        equal(
            call(answer, 4, "float32"),
            175,
            "overflow_iteration(4, 'float32')",
            mistakes=[(157, "n = 4 gives the same index as n = 8. Is n used?")],
        )
