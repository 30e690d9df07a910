"""The tanh chain against autograd, finite formulas and numpy's own rounding."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import chain


def torch_chain(x, weights, skip):
    """The chain's states as tensors, for autograd."""
    states = [torch.tensor(float(x), dtype=torch.float64, requires_grad=True)]
    for w in torch.tensor(weights, dtype=torch.float64):
        t = torch.tanh(w * states[-1])
        states.append(t + states[-1] if skip else t)
    return states


@pytest.mark.parametrize("skip", [False, True])
def test_states_and_sensitivities_agree_with_autograd(skip):
    weights = np.random.default_rng(0).normal(size=6)
    states = torch_chain(0.7, weights, skip)
    z, t = chain.forward(0.7, weights, skip)
    np.testing.assert_allclose(z, [s.item() for s in states], rtol=1e-14)
    np.testing.assert_allclose(z[1:], t + z[:-1] if skip else t, rtol=1e-15)
    slopes = [torch.autograd.grad(s, states[0], retain_graph=True)[0].item() for s in states]
    np.testing.assert_allclose(chain.sensitivity(0.7, weights, skip), np.abs(slopes), rtol=1e-12)


def test_the_weights_set_the_precision():
    z, t = chain.forward(12.0, np.ones(3, dtype=np.float32))  # numpy's float32 tanh may stay below 1 up to 10
    assert z.dtype == t.dtype == np.float32
    assert t[0] == 1.0
    assert chain.forward(12.0, np.ones(3))[1][0] < 1.0
    np.testing.assert_array_equal(chain.forward(0.5, [1, 1])[0], chain.forward(0.5, [1.0, 1.0])[0])


def test_decay_exponent_reads_a_power_law():
    n = np.arange(2000.0)
    n[0] = 1.0
    assert chain.decay_exponent(7 * n**-1.5, 10, 1500) == pytest.approx(-1.5, rel=1e-12)


@pytest.mark.parametrize(("digits", "dtype"), [(24, np.float32), (11, np.float16)])
def test_tanh_rounds_to_one_from_the_onset_on(digits, dtype):
    x = chain.saturation_onset(digits)
    assert dtype(math.tanh(x - 1e-3)) < 1
    assert dtype(math.tanh(x + 1e-3)) == 1


def test_onset_of_float64_by_the_exact_complement():
    x = chain.saturation_onset(53)
    # 1 - tanh x = 2 / (exp(2x) + 1), held against half the spacing below 1.
    assert 2 / (math.exp(2 * (x - 1e-6)) + 1) > 2.0**-54 > 2 / (math.exp(2 * (x + 1e-6)) + 1)


def test_first_one_finds_the_edge_of_any_tanh():
    assert chain.first_one(lambda x: 1.0 if x >= 9.25 else 0.5) == pytest.approx(9.25, abs=1e-9)
    # The C library's tanh is right to an ulp, so its edge is that of the formula to a few percent.
    assert chain.first_one(math.tanh) == pytest.approx(chain.saturation_onset(53), rel=0.03)


@pytest.mark.parametrize("shape", [(1,), (), (3, 2)])
def test_class_19_lost_below_keeps_the_shape(shape):
    for dtype in ("float16", "float32", "float64"):
        lost = chain.lost_below(np.ones(shape, dtype))
        assert lost.shape == shape and lost.dtype == np.float64
        assert (lost == 2.0 ** -(np.finfo(dtype).nmant + 2)).all()


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-4, 1e4), st.booleans(), st.sampled_from(["float16", "float32", "float64"]))
def test_updates_are_lost_below_the_edge_and_kept_above(w, negative, dtype):
    stored = np.array([-w if negative else w], dtype=dtype)
    if not np.isfinite(stored).all():
        return
    edge = chain.lost_below(stored)[0]
    wide = np.longdouble(stored[0])
    towards_zero = -np.sign(wide)
    assert np.dtype(dtype).type(wide + towards_zero * np.longdouble(edge) * 0.98) == stored[0]
    assert np.dtype(dtype).type(wide + towards_zero * np.longdouble(edge) * 1.02) != stored[0]


@pytest.mark.parametrize("skip", [False, True])
def test_the_panel_shows_what_autograd_gives(skip):
    shot = chain.weight_gradients(x=10.0, w=1.0, depth=4, skip=skip)
    assert ("4 of 4" if skip else "1 of 4") in shot.title
    z = torch_chain(10.0, np.ones(4), skip)
    grad = torch.autograd.grad(0.5 * (z[-1] - 1) ** 2, z[0])[0].item()
    drawn = shot.curves["float64"][1]
    # All weights are 1, so dL/dw_1 = x dL/dx, with the slope path only where a skip runs beside it.
    slope = 1 - math.tanh(10.0) ** 2
    expected = abs(grad) * 10 * slope / (slope + skip)
    assert drawn[0] == pytest.approx(expected, rel=1e-6)


def test_what_is_dead_sits_on_the_floor():
    shot = chain.weight_gradients(x=500.0, w=3.0, depth=2, skip=True)
    for layers, values in shot.curves.values():
        assert len(layers) == 2 and np.allclose(values, chain.FLOOR, rtol=1e-6, atol=0)
