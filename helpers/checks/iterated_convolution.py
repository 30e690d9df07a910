"""Checks of lesson 1: hints for the likely mistakes."""

import numpy as np

from helpers import convolution
from helpers.checks.core import after_call, call, close, equal, exercise, expect

__all__ = ["iterate", "overflow_iteration", "predict_death", "spectral_radius"]


@exercise
def spectral_radius(answer):
    """rho(n) against the eigenvalues of the dense operator."""
    kernel = convolution.binomial_kernel()
    for n in (8, 3, 1):
        eigenvalues = np.linalg.eigvalsh(convolution.operator_matrix(kernel, n))
        largest, one_dimensional = np.abs(eigenvalues).max(), np.sqrt(eigenvalues.max() / 0.8)
        close(
            call(answer, n),
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
                    np.linalg.norm(convolution.operator_matrix(kernel, n)),
                    "That is the Frobenius norm. The spectral radius is the largest |eigenvalue|.",
                ),
                (
                    eigenvalues.min(),
                    "That is the smallest eigenvalue. Which one wins when the matrix is applied many times?",
                ),
            ],
        )


@exercise
def predict_death(answer):
    """The rule against what the original's loop measured, and against itself for other formats."""
    late = "counts from 0: after k convolutions the next one has index k."
    equal(
        call(answer, 8, 149),
        362,
        "predict_death(8, 149)",
        mistakes=[
            (
                368,
                "Below half a unit is too late. Which is the largest product that a pixel of m units hands on, and when does *that* round to zero?",
            ),
            (
                367,
                "Below half a unit is too late. Which is the largest product that a pixel of m units hands on, and when does *that* round to zero?",
            ),
            (
                365,
                "One unit is not the threshold: a pixel of 2 units dies as well. Look at the table of products.",
            ),
            (
                309,
                "2**-126 is the smallest *normal* number. Below it there are 23 more bits: the subnormal ones, down to 2**-bits.",
            ),
            (
                308,
                "2**-126 is the smallest *normal* number. Below it there are 23 more bits: the subnormal ones, down to 2**-bits.",
            ),
            (461, "This is what the factor 0.8 would give. Use the spectral radius for this n."),
            (460, "This is what the factor 0.8 would give. Use the spectral radius for this n."),
            (360, "The line starts at c(n), not at 1: see convolution.peak_amplitude."),
            (361, f"One too early: the loop {late}"),
            (363, f"One too late: the loop {late}"),
            (362.0, "The index is a whole number: math.ceil gives an int, np.ceil a float."),
        ],
    )
    equal(
        call(answer, 4, 149),
        243,
        "predict_death(4, 149)",
        mistakes=[
            (362, "n = 4 gives the same index as n = 8. The amplitude and the spectral radius depend on n."),
        ],
    )
    equal(
        call(answer, 8, 1074),
        2617,
        "predict_death(8, 1074)",
        mistakes=[
            (362, "float64 (bits = 1074) gives the same index as float32. The threshold depends on bits.")
        ],
    )


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
