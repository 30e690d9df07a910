"""Random deep networks against scipy, closed forms and arithmetic written out by hand."""

import itertools
import math
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from helpers import convolution, gradient_flow

FUNCTIONS = {
    "tanh": (math.tanh, lambda h: 1 - math.tanh(h) ** 2),
    "sigmoid": (lambda h: 1 / (1 + math.exp(-h)), lambda h: math.exp(-h) / (1 + math.exp(-h)) ** 2),
    "relu": (lambda h: max(h, 0.0), lambda h: float(h > 0)),
    "linear": (lambda h: h, lambda h: 1.0),
}


def normal_mean(f, variance):
    """E f(h) for a normal h, by adaptive quadrature split at 0."""
    s = math.sqrt(variance)

    def density(h):
        return f(h) * math.exp(-(h**2) / (2 * variance)) / (s * math.sqrt(2 * math.pi))

    spans = itertools.pairwise([-8.5 * s, -min(4, 8 * s), 0, min(4, 8 * s), 8.5 * s])
    return sum(quad(density, a, b, epsabs=1e-12, epsrel=1e-10)[0] for a, b in spans)


@pytest.mark.parametrize("variance", [0.01, 1.0, 20.0, 150.0])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_moments_agree_with_adaptive_quadrature(name, variance):
    value, slope = FUNCTIONS[name]
    expected = (
        normal_mean(value, variance),
        normal_mean(lambda h: value(h) ** 2, variance),
        normal_mean(lambda h: slope(h) ** 2, variance),
    )
    np.testing.assert_allclose(gradient_flow._moments(name, variance), expected, rtol=1e-7, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.2, 3.0), st.floats(0.1, 1.0), st.integers(1, 40))
def test_closed_forms_of_relu(gain, scale, depth):
    plain = gradient_flow.mean_field("relu", gain, depth)
    np.testing.assert_allclose(plain.gradient[0], (gain / 2) ** (depth / 2), rtol=1e-10)
    np.testing.assert_allclose(plain.weight_gradient, plain.weight_gradient[0], rtol=1e-9)
    residual = gradient_flow.mean_field("relu", gain, depth, skip="pre-activation", branch_scale=scale)
    grown = (1 + scale**2 * gain / 2) ** (depth / 2)
    np.testing.assert_allclose([residual.gradient[0], residual.signal[-1]], grown, rtol=1e-10)
    layer = gradient_flow.mean_field("relu", gain, depth, normalisation="layer")
    # The first layer sees rms 1, every later one what ReLU leaves of a standard normal, 1/2.
    np.testing.assert_allclose(layer.gradient[0], math.sqrt(0.5), rtol=1e-10)


@pytest.mark.parametrize("gain", [1 / 3, 2.0])
def test_batch_norm_explodes_at_the_rate_of_yang_et_al(gain):
    flow = gradient_flow.mean_field("relu", gain, 12, normalisation="batch")
    np.testing.assert_allclose(
        flow.gradient[5] / flow.gradient[6], math.sqrt(math.pi / (math.pi - 1)), rtol=1e-12
    )


def test_closed_form_of_a_linear_net():
    np.testing.assert_allclose(gradient_flow.mean_field("linear", 0.5, 10).gradient[0], 0.5**5, rtol=1e-12)


COMBINATIONS = [
    c
    for c in itertools.product(gradient_flow.ACTIVATIONS, gradient_flow.NORMALISATIONS, gradient_flow.SKIPS)
    # The documented exception: this stream has a mean, and finite width shows.
    if c != ("relu", "none", "residual")
]


@pytest.mark.parametrize(("activation", "normalisation", "skip"), COMBINATIONS)
def test_prediction_and_measurement_agree(activation, normalisation, skip):
    picture = gradient_flow.xray(activation, 1.2, 10, 192, normalisation, skip, seed=5)
    for name in gradient_flow.Flow._fields:
        measured, predicted = getattr(picture.measured, name), getattr(picture.predicted, name)
        assert measured.shape == predicted.shape == (10 + (name != "weight_gradient"),)
        np.testing.assert_allclose(np.log(measured), np.log(predicted), atol=0.35)


@pytest.mark.parametrize(
    ("normalisation", "skip"), list(itertools.product(("none", "batch"), gradient_flow.SKIPS))
)
def test_biases_are_predicted_too(normalisation, skip):
    picture = gradient_flow.xray("tanh", 0.3, 12, 192, normalisation, skip, seed=5, bias=True)
    for name in gradient_flow.Flow._fields:
        measured, predicted = getattr(picture.measured, name), getattr(picture.predicted, name)
        np.testing.assert_allclose(np.log(measured), np.log(predicted), atol=0.35)


def test_biases_hold_the_signal_at_a_floor_and_leave_the_gradient_alone():
    flow = gradient_flow.mean_field("relu", 1 / 3, 40, biases=1 / (3 * 128))
    assert flow.signal[-1] == pytest.approx(math.sqrt(1 / (5 * 128)), rel=1e-9)
    np.testing.assert_allclose(
        flow.gradient, gradient_flow.mean_field("relu", 1 / 3, 40).gradient, rtol=1e-12
    )


def test_without_biases_the_network_is_the_one_it_was():
    x = torch.randn(4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    net = gradient_flow.RandomNet("relu", depth=2, width=9, seed=3)
    own = torch.relu(torch.relu(x @ net.weights[0].T) @ net.weights[1].T)
    assert torch.equal(net(x), own)
    biased = gradient_flow.RandomNet("relu", depth=2, width=9, seed=3, bias=True)
    assert torch.equal(biased.weights[1], net.weights[1])
    assert 0.2 < biased.biases.abs().max() <= 1 / 3


def test_an_mlp_as_torch_makes_it():
    net = gradient_flow.torch_mlp((50, 400, 3), "tanh", seed=2)
    again = gradient_flow.torch_mlp((50, 400, 3), "tanh", seed=2)
    assert [type(m).__name__ for m in net] == ["Linear", "Tanh", "Linear"]
    for parameter, same in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(parameter, same)
    for layer, inputs in ((net[0], 50), (net[2], 400)):
        for parameter in layer.parameters():
            assert parameter.dtype == torch.float64
            assert parameter.abs().max() <= inputs**-0.5
    assert 50 * net[0].weight.var().item() == pytest.approx(1 / 3, rel=0.05)


def test_the_exception_comes_closer_with_width():
    excess = []
    for width in (32, 128):
        pictures = [gradient_flow.xray("relu", 2.0, 12, width, skip="residual", seed=s) for s in range(6)]
        excess.append(np.mean([np.log(p.measured.gradient[0] / p.predicted.gradient[0]) for p in pictures]))
    assert excess[0] > excess[1] > 0


def test_measure_against_the_backward_pass_by_hand():
    net = gradient_flow.RandomNet("tanh", 1.5, 2, 7, skip="residual", branch_scale=0.5, seed=3)
    flow = gradient_flow.measure(net, batch=4, seed=9)
    random = torch.Generator().manual_seed(1_000_003 + 9)
    x, cotangent = (v.numpy() for v in torch.randn(2, 4, 7, generator=random, dtype=torch.float64))
    w1, w2 = (w.detach().numpy() for w in net.weights)
    t1 = np.tanh(x @ w1.T)
    x1 = x + 0.5 * t1
    t2 = np.tanh(x1 @ w2.T)
    d2 = cotangent / math.sqrt((cotangent**2).mean())
    back2 = 0.5 * d2 * (1 - t2**2)
    d1 = d2 + back2 @ w2
    back1 = 0.5 * d1 * (1 - t1**2)
    d0 = d1 + back1 @ w1

    def rms(v):
        return math.sqrt((v**2).mean())

    np.testing.assert_allclose(flow.gradient, [rms(d0), rms(d1), 1.0], rtol=1e-12)
    np.testing.assert_allclose(flow.signal, [rms(x), rms(x1), rms(x1 + 0.5 * t2)], rtol=1e-12)
    matrices = [back1.T @ x, back2.T @ x1]
    np.testing.assert_allclose(
        flow.weight_gradient, [np.linalg.norm(m) / 7 / 2 for m in matrices], rtol=1e-12
    )


@pytest.mark.parametrize(("normalisation", "axis"), [("batch", 0), ("layer", 1)])
def test_normalisation_agrees_with_torch(normalisation, axis):
    x = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3 + 1
    net = gradient_flow.RandomNet(width=5, depth=1, normalisation=normalisation)
    if axis == 0:
        expected = torch.nn.functional.batch_norm(x, None, None, training=True, eps=1e-30)
    else:
        expected = torch.nn.functional.layer_norm(x, (5,), eps=0.0)
    torch.testing.assert_close(net.normalise(x), expected, rtol=1e-12, atol=1e-12)


def test_weights_have_the_gain_they_are_given_and_seeds_count():
    net = gradient_flow.RandomNet(gain=0.7, depth=3, width=200, seed=1)
    assert [200 * w.var().item() for w in net.weights] == pytest.approx([0.7] * 3, rel=0.03)
    assert torch.equal(
        net.weights[0], gradient_flow.RandomNet(gain=0.7, depth=3, width=200, seed=1).weights[0]
    )
    assert not torch.equal(
        net.weights[0], gradient_flow.RandomNet(gain=0.7, depth=3, width=200, seed=2).weights[0]
    )
    mlp = gradient_flow.mlp((50, 400, 3), "relu", 2.0, True, 0)
    assert 50 * mlp[0].weight.var().item() == pytest.approx(2.0, rel=0.05)
    assert [type(m).__name__ for m in mlp] == ["Linear", "ReLU", "Linear"]


def test_the_global_generator_is_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    gradient_flow.xray(depth=2, width=8)
    gradient_flow.mlp((3, 3), seed=4)
    gradient_flow.torch_mlp((3, 3), seed=4)
    gradient_flow.inputs_at_angle(0.5, 2, 8)
    gradient_flow.scalar_net(depth=1, width=8)
    gradient_flow.conv_gradient(side=4, channels=2, depth=1)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "swish"}, "activation='swish'"),
        ({"normalisation": "group"}, "normalisation='group'"),
        ({"skip": True}, "skip=True"),
        ({"depth": 0}, "depth=0"),
        ({"gain": 0.0}, "gain=0.0"),
        ({"branch_scale": 0.5}, "branch_scale=0.5"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        gradient_flow.xray(**settings)


@pytest.mark.parametrize("side", [3, 8])
def test_convolution_loses_what_the_box_operator_loses(side):
    box = convolution.operator_matrix(np.full((3, 3), 1 / 9), side)
    factor = math.sqrt(np.linalg.eigvalsh(box).max() * 0.5)
    flows = [gradient_flow.conv_gradient(side, 48, 14, 1.0, seed=s) for s in range(4)]
    measured = np.mean([(f[2] / f[12]) ** 0.1 for f in flows])
    assert measured == pytest.approx(factor, rel=0.03)


@pytest.mark.parametrize("skip", ["none", "pre-activation"])
def test_shattering_against_monte_carlo(skip):
    random = np.random.default_rng(0)
    cosine, identity, expected = 0.3, float(skip != "none"), 1.0
    for layer in range(1, 4):
        a, b = random.normal(size=(2, 2_000_000))
        b = cosine * a + math.sqrt(1 - cosine**2) * b
        active = np.mean((a > 0) & (b > 0))
        product = np.mean(np.maximum(a, 0) * np.maximum(b, 0))
        expected *= (identity + 2 * active) / (identity + 1)
        cosine = (identity * cosine + 2 * product) / (identity + 1)
        assert gradient_flow.shattering(layer, 2.0, skip, 0.3)[-1] == pytest.approx(expected, rel=4e-3)


def test_shattering_at_special_angles():
    np.testing.assert_allclose(gradient_flow.shattering(1), [1.0, 0.5])
    np.testing.assert_allclose(gradient_flow.shattering(5, cosine=1.0), np.ones(6), atol=1e-12)
    np.testing.assert_allclose(gradient_flow.shattering(1, cosine=-1.0), [1.0, 0.0], atol=1e-12)


def test_a_small_branch_stops_the_shattering():
    far = [
        gradient_flow.shattering(n, skip="pre-activation", branch_scale=n**-0.5)[-1] for n in (1, 50, 1000)
    ]
    assert far[0] == gradient_flow.shattering(1, skip="pre-activation")[-1]
    assert far[1:] == pytest.approx([0.637, 0.634], abs=5e-4)


@pytest.mark.parametrize("cosine", [0.0, 0.9])
def test_inputs_enclose_the_angle_they_are_given(cosine):
    x = gradient_flow.inputs_at_angle(cosine, 5, 40, seed=1)
    expected = 40 * (cosine * torch.ones(5, 5) + (1 - cosine) * torch.eye(5))
    torch.testing.assert_close(x @ x.T, expected.double(), rtol=1e-10, atol=1e-10)


def test_a_slider_gets_its_answer_in_time():
    """In units of this machine: a million squares took about as long on those it was tried on."""

    def least(work: Callable[[], object]) -> float:
        took = []
        for _ in range(4):
            start = time.thread_time()
            work()
            took.append(time.thread_time() - start)
        return min(took)

    unit = least(lambda: sum(i * i for i in range(10**6)))
    assert least(lambda: gradient_flow.xray(depth=50, normalisation="batch", skip="residual")) < 3 * unit


def test_the_panel_states_the_factor():
    shot = gradient_flow.xray_shot(
        "linear", 0.5, 10, width=64, branch="1/2"
    )  # without a skip there is no branch
    factor = gradient_flow.xray("linear", 0.5, 10, 64).measured.gradient[0]
    assert f"by {factor:.2g} over all 10 layers" in shot.title and shot.title in shot.alt


def test_a_branch_may_shrink_with_the_depth():
    shot = gradient_flow.xray_shot("relu", 2.0, 50, skip="pre-activation", branch="1/√L", width=32)
    same = gradient_flow.xray("relu", 2.0, 50, 32, skip="pre-activation", branch_scale=50**-0.5)
    assert np.array_equal(shot.curves["gradient measured"][1], same.measured.gradient)
