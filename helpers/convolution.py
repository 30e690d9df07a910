"""Iterated convolution of small images: the operator, its steps and the float formats they run in.

Images are numpy arrays or torch tensors; every function keeps the type and the dtype it is given.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import convolve2d

if TYPE_CHECKING:
    import torch

    Array = np.ndarray | torch.Tensor

# boundary, as scipy names it -> (numpy's name, torch's name; one ring of "symm" is "replicate")
PADDINGS = {
    "fill": ("constant", "constant"),
    "wrap": ("wrap", "circular"),
    "symm": ("symmetric", "replicate"),
}


@dataclass(frozen=True)
class FloatFormat:
    """A binary floating-point format with subnormal numbers.

    Args:
        exponent_bits: width of the exponent field.
        fraction_bits: width of the fraction field (the leading one is not stored).

    Source: IEEE 754-2019, section 3.3.
    """

    exponent_bits: int
    fraction_bits: int

    @property
    def min_exponent(self) -> int:
        """The exponent of the smallest normal number, 2**min_exponent."""
        return 2 - 2 ** (self.exponent_bits - 1)

    @property
    def unit_exponent(self) -> int:
        """The smallest positive number, one unit, is 2**-unit_exponent."""
        return self.fraction_bits - self.min_exponent

    @property
    def largest(self) -> float:
        """The largest finite number."""
        return (2.0 - 2.0**-self.fraction_bits) * 2.0 ** (1 - self.min_exponent)


FORMATS = {
    "float16": FloatFormat(5, 10),
    "bfloat16": FloatFormat(8, 7),
    "float32": FloatFormat(8, 23),
    "float64": FloatFormat(11, 52),
}


def cast(values: np.ndarray, dtype: str) -> Array:
    """Round values to a float format.

    Args:
        values: array of any shape.
        dtype: a key of `FORMATS`.

    Returns:
        A numpy array of that dtype; for "bfloat16", which numpy lacks, a torch tensor.

    Raises:
        ValueError: if the format is not known.
    """
    if dtype not in FORMATS:
        raise ValueError(f"dtype {dtype!r} is not known here; choose one of {', '.join(FORMATS)}")
    if dtype != "bfloat16":
        return np.asarray(values).astype(dtype)
    import torch

    return torch.tensor(np.asarray(values, dtype=np.float64)).to(torch.bfloat16)


def binomial_kernel(dtype: str = "float64") -> Array:
    """Give the 3 x 3 kernel 0.05 * u u^T with u = (1, 2, 1), whose weights sum to 0.8."""
    u = np.array([1.0, 2.0, 1.0])
    return cast(0.05 * np.outer(u, u), dtype)


def convolve_same(image: Array, kernel: Array, boundary: str = "fill") -> Array:
    """Convolve an image with a 3 x 3 kernel and keep its size.

    Single and double precision are left to scipy (arrays) and torch (tensors, with autograd). In
    the 16-bit formats every product and every sum is rounded, in the order in which scipy adds.

    Args:
        image: (height, width).
        kernel: (3, 3), numpy with numpy, torch with torch. Another dtype promotes the result.
        boundary: "fill" (zeros around), "wrap" (a torus) or "symm" (mirrored at the edge).

    Returns:
        The convolved image, (height, width).

    Raises:
        ValueError: if the shapes or the boundary are not as above.
    """
    if image.ndim != 2 or tuple(kernel.shape) != (3, 3):
        raise ValueError(
            f"image has shape {tuple(image.shape)} and kernel {tuple(kernel.shape)}; "
            "give one image (height, width) and a kernel (3, 3)"
        )
    if boundary not in PADDINGS:
        raise ValueError(f"boundary {boundary!r} is not known; choose one of {', '.join(PADDINGS)}")
    if not isinstance(image, np.ndarray):
        return _convolve_tensor(image, kernel, boundary)
    if np.result_type(image, kernel) in (np.float32, np.float64):
        return convolve2d(image, kernel, mode="same", boundary=boundary)
    return _sum_of_shifts(np.pad(image, 1, mode=PADDINGS[boundary][0]), kernel)


def _convolve_tensor(image: torch.Tensor, kernel: torch.Tensor, boundary: str) -> torch.Tensor:
    import torch
    from torch.nn.functional import conv2d, pad

    dtype = torch.promote_types(image.dtype, kernel.dtype)
    image, kernel = image.to(dtype), kernel.to(dtype)
    padded = pad(image[None, None], (1, 1, 1, 1), mode=PADDINGS[boundary][1])
    if dtype.itemsize < 4:
        return _sum_of_shifts(padded[0, 0], kernel)
    return conv2d(padded, kernel.flip(0, 1)[None, None])[0, 0]


def _sum_of_shifts(padded: Array, kernel: Array) -> Array:
    """Add up weight times shifted image, one weight after the other."""
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    shifts = itertools.product((2, 1, 0), repeat=2)
    return sum(
        weight * padded[row : row + height, column : column + width]
        for weight, (row, column) in zip(kernel.ravel(), shifts, strict=True)
    )


def operator_matrix(kernel: np.ndarray, n: int, boundary: str = "fill") -> np.ndarray:
    """Write the convolution of n x n images as a matrix: vec(image * kernel) = A vec(image).

    Args:
        kernel: (3, 3), float32 or float64.
        n: side of the image, at least 1.
        boundary: as in `convolve_same`.

    Returns:
        A, shape (n * n, n * n), of the kernel's dtype; rows and columns count pixels row by row.
    """
    units = np.eye(n * n, dtype=kernel.dtype).reshape(n * n, n, n)
    return np.stack([convolve_same(unit, kernel, boundary).ravel() for unit in units], axis=1)


def peak_amplitude(n: int) -> float:
    """Give c(n): the slowest mode of an n x n image of ones has the height c(n) at its peak.

    The slowest mode of the zero-padded convolution with a binomial kernel is
    sin(pi i / (n + 1)) sin(pi j / (n + 1)); after k convolutions with spectral radius rho the
    largest pixel tends to c(n) * rho**k.

    Args:
        n: side of the image, at least 1.

    Returns:
        c(n), without unit.
    """
    mode = np.sin(np.pi * np.arange(1, n + 1) / (n + 1))
    return float((mode.sum() / (mode @ mode) * mode.max()) ** 2)


def peak_history(step: Callable[[Array], Array], image: Array, steps: int) -> np.ndarray:
    """Follow the largest absolute pixel of an image through repeated steps.

    Args:
        step: takes an image, gives the next one.
        image: (height, width).
        steps: how many.

    Returns:
        float64 array of length steps + 1; entry k is max |image| after k steps.
    """
    peaks = [float(abs(image).max())]
    for _ in range(steps):
        image = step(image)
        peaks.append(float(abs(image).max()))
    return np.array(peaks)


def softmax2d(image: Array) -> Array:
    """Exponentiate and divide by the sum over all pixels, after subtracting the largest pixel."""
    weights = _exp(image - image.max())
    return weights / weights.sum()


def _exp(image: Array) -> Array:
    return np.exp(image) if isinstance(image, np.ndarray) else image.exp()


def _blur(image: Array) -> Array:
    """Convolve with the binomial kernel in the image's own type and dtype, zeros around."""
    kernel = binomial_kernel()
    if isinstance(image, np.ndarray):
        return convolve_same(image, kernel.astype(image.dtype))
    return convolve_same(image, image.new_tensor(kernel))


def plain_step(image: Array) -> Array:
    """x -> A x: one convolution."""
    return _blur(image)


def softmax_step(image: Array) -> Array:
    """x -> softmax(A x)."""
    return softmax2d(_blur(image))


def residual_softmax_step(image: Array) -> Array:
    """x -> softmax(x + A x)."""
    return softmax2d(image + _blur(image))


def dense_sum_step(total: Array) -> Array:
    """S -> S + softmax(A S), where S is the sum of all maps so far."""
    return total + softmax2d(_blur(total))


STEPS = {
    "plain": plain_step,
    "softmax": softmax_step,
    "residual + softmax": residual_softmax_step,
    "dense sum": dense_sum_step,
}


def dense_sum_gradients(start: np.ndarray, cotangent: np.ndarray, rounds: int) -> np.ndarray:
    """Give the size of the gradient at the input of the dense sum, for every depth up to `rounds`.

    The Jacobians I + D A of all rounds are multiplied up on the way forward, in float64, so that one run gives
    all depths; autograd would go back through the whole network once per depth.

    Args:
        start: (n, n), the first map; the sum is computed in its dtype.
        cotangent: (n, n), gradient of the loss with respect to the sum at the last depth.
        rounds: how many.

    Returns:
        Array of length `rounds`: the largest absolute entry of the gradient at depth 1, 2, ...
    """
    A, v = operator_matrix(binomial_kernel(), start.shape[0]), cotangent.ravel().astype(np.float64)
    total, product, sizes = start, np.eye(start.size), []
    for _ in range(rounds):
        out = softmax_step(total)
        p, blurred = out.ravel().astype(np.float64), A @ product
        product = product + p[:, None] * (blurred - p @ blurred)  # D = diag(p) - p p^T
        sizes.append(np.abs(v @ product).max())
        total = total + out
    return np.array(sizes)
