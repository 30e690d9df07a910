"""helpers.convolution against scipy, torch, numpy's own formats and dense linear algebra."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal, special

from helpers import convolution as c

BOUNDARIES = ("fill", "wrap", "symm")
kernels = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).normal(size=(3, 3)))


@settings(max_examples=40, deadline=None)
@given(kernels, st.integers(1, 9), st.integers(1, 9), st.sampled_from(BOUNDARIES))
def test_tensors_and_arrays_convolve_as_in_scipy(kernel, height, width, boundary):
    image = np.random.default_rng(height * width).normal(size=(height, width)).astype(np.float32)
    kernel = kernel.astype(np.float32)
    expected = signal.convolve2d(image, kernel, mode="same", boundary=boundary)
    assert c.convolve_same(image, kernel, boundary).tobytes() == expected.tobytes()
    tensor = c.convolve_same(torch.tensor(image), torch.tensor(kernel), boundary)
    assert np.allclose(tensor.numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_order_of_the_16_bit_sum_is_scipys(boundary):
    rng = np.random.default_rng(1)
    image, kernel = rng.normal(size=(6, 5)).astype(np.float32), rng.normal(size=(3, 3)).astype(np.float32)
    padded = np.pad(image, 1, mode=c.PADDINGS[boundary][0])
    expected = signal.convolve2d(image, kernel, mode="same", boundary=boundary)
    assert c._sum_of_shifts(padded, kernel).tobytes() == expected.tobytes()


def test_bfloat16_tensors_round_every_product_and_sum():
    rng = np.random.default_rng(2)
    image, kernel = (c.cast(rng.normal(size=shape), "bfloat16") for shape in ((4, 5), (3, 3)))
    padded = np.pad(image.float().numpy(), 1)
    for row, column in itertools.product(range(4), range(5)):
        total = torch.tensor(0.0, dtype=torch.bfloat16)
        for i, j in itertools.product(range(3), repeat=2):
            product = kernel[i, j].double() * float(padded[row + 2 - i, column + 2 - j])
            total = (total.double() + product.to(torch.bfloat16).double()).to(torch.bfloat16)
        assert c.convolve_same(image, kernel)[row, column] == total


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_float16_rounds_every_product_and_sum(boundary):
    rng = np.random.default_rng(0)
    image, kernel = rng.normal(size=(5, 7)).astype(np.float16), rng.normal(size=(3, 3)).astype(np.float16)
    padded = np.pad(image, 1, mode={"fill": "constant", "wrap": "wrap", "symm": "symmetric"}[boundary])
    for row, column in itertools.product(range(5), range(7)):
        total = np.float16(0)
        for i, j in itertools.product(range(3), repeat=2):
            total = total + kernel[i, j] * padded[row + 2 - i, column + 2 - j]
        assert c.convolve_same(image, kernel, boundary)[row, column] == total
    assert c.convolve_same(image, kernel, boundary).dtype == np.float16


def test_mixed_dtypes_promote_as_in_numpy():
    assert c.convolve_same(np.ones((4, 4), np.float32), np.ones((3, 3))).dtype == np.float64
    assert c.convolve_same(np.ones((4, 4), np.float16), np.ones((3, 3), np.float32)).dtype == np.float32


@pytest.mark.parametrize("one", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("other", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_of_mixed_dtypes_promote_as_in_torch(one, other):
    image, kernel = torch.ones(4, 4, dtype=one), torch.ones(3, 3, dtype=other)
    found = c.convolve_same(image, kernel)
    assert found.dtype == (image[:3, :3] * kernel).dtype and found[1, 1] == 9


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        c.convolve_same(np.ones((4, 4)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="mirror"):
        c.convolve_same(np.ones((4, 4)), np.ones((3, 3)), "mirror")
    with pytest.raises(ValueError, match="float8"):
        c.cast(np.ones(3), "float8")


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_operator_matrix_is_the_jacobian(boundary):
    kernel = np.random.default_rng(4).normal(size=(3, 3))
    jacobian = torch.autograd.functional.jacobian(
        lambda x: c.convolve_same(x, torch.tensor(kernel), boundary), torch.zeros(5, 5, dtype=torch.float64)
    )
    assert np.allclose(c.operator_matrix(kernel, 5, boundary), jacobian.reshape(25, 25), rtol=1e-14)


def test_operator_of_the_binomial_kernel_is_a_kronecker_product():
    line = 2 * np.eye(6) + np.eye(6, k=1) + np.eye(6, k=-1)
    assert np.allclose(c.operator_matrix(c.binomial_kernel(), 6), 0.05 * np.kron(line, line), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_formats_are_those_of_numpy(dtype):
    info, ours = np.finfo(dtype), c.FORMATS[dtype]
    assert 2.0**-ours.unit_exponent == info.smallest_subnormal
    assert 2.0**ours.min_exponent == info.smallest_normal
    assert ours.largest == info.max


def test_bfloat16_is_that_of_torch():
    info, ours = torch.finfo(torch.bfloat16), c.FORMATS["bfloat16"]
    assert (2.0**ours.min_exponent, ours.largest) == (info.tiny, info.max)
    assert torch.tensor(2.0**-ours.unit_exponent, dtype=torch.bfloat16) > 0
    assert torch.tensor(2.0 ** -(ours.unit_exponent + 1), dtype=torch.bfloat16) == 0


@pytest.mark.parametrize("n", [1, 2, 5, 8, 12])
def test_peak_amplitude_is_the_projection_on_the_slowest_eigenvector(n):
    _, vectors = np.linalg.eigh(c.operator_matrix(c.binomial_kernel(), n))
    slowest = np.abs(vectors[:, -1])
    assert np.isclose(c.peak_amplitude(n), slowest.sum() * slowest.max(), rtol=1e-12)


def test_softmax2d_is_scipys():
    image = np.random.default_rng(5).normal(size=(4, 6)) * 300
    assert np.allclose(c.softmax2d(image), special.softmax(image), rtol=1e-13, atol=0)
    assert np.allclose(c.softmax2d(torch.tensor(image)), special.softmax(image), rtol=1e-13, atol=0)


def test_steps_are_the_loops_of_the_original():
    kernel = c.binomial_kernel("float32")
    x = np.random.default_rng(6).random((8, 8), np.float32)
    blurred = signal.convolve2d(x, kernel, mode="same", boundary="fill", fillvalue=0)
    expected = {
        "plain": blurred,
        "softmax": special.softmax(blurred),
        "residual + softmax": special.softmax(x + blurred),
        "dense sum": x + special.softmax(blurred),
    }
    assert expected.keys() == c.STEPS.keys()
    for name, step in c.STEPS.items():
        before = x.copy()
        assert np.allclose(step(x), expected[name], rtol=1e-6, atol=0)
        assert step(x).dtype == np.float32 and step(torch.tensor(x)).dtype == torch.float32
        assert np.allclose(step(torch.tensor(x)), expected[name], rtol=1e-6, atol=0)
        assert np.array_equal(x, before)


def test_peak_history_counts_from_the_start():
    assert c.peak_history(lambda x: -x / 2, np.full((2, 2), -4.0), 3).tolist() == [4.0, 2.0, 1.0, 0.5]


def test_gradients_of_the_dense_sum_are_those_of_autograd():
    x, v = np.random.default_rng(7).normal(size=(2, 5, 5))
    start = torch.tensor(x, requires_grad=True)
    total, expected = start, []
    for _ in range(6):
        total = c.dense_sum_step(total)
        (gradient,) = torch.autograd.grad(total, start, torch.tensor(v), retain_graph=True)
        expected.append(gradient.abs().max().item())
    assert np.allclose(c.dense_sum_gradients(x, v, 6), expected, rtol=1e-12)
