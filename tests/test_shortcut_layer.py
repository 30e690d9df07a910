"""The solution's shortcut layer of lesson 6 against torch's autograd, and the tools around it."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import expit

from course.config import load_course
from course.editions.source import is_role, read_lesson
from helpers import shortcut
from helpers.checks.probes.shortcut_layer import layer_beside

TORCH = {"linear": lambda z: z, "relu": torch.relu, "tanh": torch.tanh, "logistic": torch.sigmoid}


def solution() -> dict:
    """Names of the lesson's setup and answer cells, as its text defines them."""
    course = load_course()
    lesson = next(lesson for lesson in course.lessons if lesson.name == "06_shortcut_layer")
    names: dict = {"__name__": "lesson"}
    for cell in read_lesson(course, lesson).cells:
        if cell.cell_type == "code" and (is_role(cell, "setup") or is_role(cell, "answer")):
            exec(cell.source, names)
    return names


NAMES = solution()
Shortcut, overlap = NAMES["Shortcut"], NAMES["overlap"]

small = st.integers(1, 3)
weights = st.floats(-2, 2).filter(lambda w: w == 0 or abs(w) > 1e-3)


@st.composite
def fitting_shapes(draw):
    batch, height, width, ratio = draw(small), draw(small), draw(small), draw(small)
    shapes = [
        (batch, height * ratio, width * ratio, draw(st.integers(1, 4))),
        (batch, height, width, draw(st.integers(1, 4))),
    ]
    return tuple(shapes if draw(st.booleans()) else shapes[::-1])


def truth(x1, x2, gradient, alpha, beta, activation):
    """Output and gradients by torch: S(x2) gathered through index arrays, not slices."""
    a, b = (torch.tensor(x, requires_grad=True) for x in (x1, x2))
    place = np.zeros((x1[0].size, x2[0].size))  # S as a dense matrix, one row a position of x1
    for row, (i, j, k) in enumerate(np.ndindex(x1.shape[1:])):
        there = [i * x2.shape[1] / x1.shape[1], j * x2.shape[2] / x1.shape[2], k]
        if there[0] % 1 == 0 and there[1] % 1 == 0 and k < x2.shape[3]:
            place[row, np.ravel_multi_index([int(t) for t in there], x2.shape[1:])] = 1
    placed = (b.reshape(len(x2), -1) @ torch.tensor(place, dtype=b.dtype).T).reshape(x1.shape)
    y = TORCH[activation](alpha * a + beta * placed)
    return [y.detach().numpy(), *(g.numpy() for g in torch.autograd.grad(y, [a, b], torch.tensor(gradient)))]


def draw_arrays(shapes, seed, dtype):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(dtype) for shape in (shapes[0], shapes[1], shapes[0], *shapes)]


@settings(deadline=None, max_examples=150)
@given(fitting_shapes(), st.sampled_from(shortcut.ACTIVATIONS), weights, weights, st.integers(0, 2**32 - 1))
def test_agrees_with_autograd(shapes, activation, alpha, beta, seed):
    x1, x2, gradient, gradient1, gradient2 = draw_arrays(shapes, seed, np.float64)
    output, first, second = truth(x1, x2, gradient, alpha, beta, activation)
    layer = Shortcut(alpha, beta, activation)
    np.testing.assert_allclose(layer.forward(x1, x2), output, rtol=0, atol=1e-12)
    starts = gradient1.copy(), gradient2.copy()
    layer.backward(gradient, gradient1, gradient2)
    np.testing.assert_allclose(gradient1, starts[0] + first, rtol=0, atol=1e-12)
    np.testing.assert_allclose(gradient2, starts[1] + second, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(
    fitting_shapes(),
    st.sampled_from(shortcut.ACTIVATIONS),
    st.sampled_from(["float32", "float64"]),
    st.integers(0, 99),
)
def test_keeps_the_dtype_and_overwrites_nothing(shapes, activation, dtype, seed):
    arrays = draw_arrays(shapes, seed, dtype)
    settings = {"alpha": np.float64(0.75), "beta": np.float64(-0.5), "activation": activation}
    once, twice = layer_beside(Shortcut, settings, [arrays, arrays])
    for seen in (once, twice):
        assert seen["inputs kept"] and seen["gradient kept"] and seen["output kept"]
        assert {seen[name].dtype for name in ("the output", "gradient1", "gradient2")} == {np.dtype(dtype)}
    np.testing.assert_array_equal(once["gradient2"], twice["gradient2"])


@settings(deadline=None, max_examples=100)
@given(st.tuples(*[st.integers(1, 6)] * 4), st.tuples(*[st.integers(1, 6)] * 4))
def test_shapes_that_do_not_divide_are_refused_by_name(shape1, shape2):
    height, width = (Fraction(a, b) for a, b in zip(shape1[1:3], shape2[1:3], strict=True))
    fits = shape1[0] == shape2[0] and height == width and 1 in (height.numerator, height.denominator)
    assume(not fits)
    with pytest.raises(ValueError) as refusal:
        Shortcut().forward(np.ones(shape1), np.ones(shape2))
    assert str(shape1) in str(refusal.value)
    assert str(shape2) in str(refusal.value)


@pytest.mark.parametrize("seed", range(3))
def test_gradient_of_the_wrong_shape_is_refused(seed):
    layer = Shortcut()
    layer.forward(np.ones((1, 4, 4, 2)), np.ones((1, 2, 2, 2)))
    with pytest.raises(ValueError, match="shape"):
        layer.backward(np.ones((1, 4, 4, 1)), np.zeros((1, 4, 4, 2)), np.zeros((1, 2, 2, 2)))


def test_the_documents_example():
    output = Shortcut().forward(np.ones((1, 4, 4, 1)), np.ones((1, 2, 2, 1)))
    assert output[0, :, :, 0].tolist() == [[2, 1, 2, 1], [1, 1, 1, 1], [2, 1, 2, 1], [1, 1, 1, 1]]


@pytest.mark.parametrize("activation", shortcut.ACTIVATIONS)
def test_slope_from_the_output_is_autograds(activation):
    z = np.linspace(-3, 3, 7)
    tensor = torch.tensor(z, requires_grad=True)
    y = TORCH[activation](tensor)
    (expected,) = torch.autograd.grad(y.sum(), tensor)
    np.testing.assert_allclose(shortcut.activate(z, activation), y.detach().numpy(), atol=1e-15)
    np.testing.assert_allclose(shortcut.slope(y.detach().numpy(), activation), expected.numpy(), atol=1e-15)


@pytest.mark.parametrize("function", [shortcut.activate, shortcut.slope])
def test_unknown_activation_is_named(function):
    with pytest.raises(ValueError, match="'softmax' is not one of linear, relu"):
        function(np.ones(2), "softmax")


@pytest.mark.parametrize("dtypes", [("f4", "f4"), ("f8", "f8"), ("f4", "f8"), ("f8", "f4")])
@pytest.mark.parametrize("view", [np.s_[:], np.s_[::2], np.s_[:, ::3], np.s_[:0]])
def test_add_scaled_adds_in_place(dtypes, view):
    rng = np.random.default_rng(0)
    target, source = (rng.normal(size=(6, 9)).astype(dtype) for dtype in dtypes)
    expected = target.astype(float)
    expected[view] += -1.5 * source[view]
    shortcut.add_scaled(target[view], source[view], -1.5)
    assert target.dtype == dtypes[0]
    np.testing.assert_allclose(target, expected, rtol=1e-6)


def test_add_scaled_refuses_to_broadcast():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3,\)"):
        shortcut.add_scaled(np.ones((2, 3)), np.ones(3), 1.0)


def test_autograd_gap_sees_a_wrong_slope():
    class Wrong(Shortcut):
        def backward(self, gradient, gradient1, gradient2):
            gradient1 += self.alpha * gradient
            gradient2[self.there] += self.beta * gradient[self.here]

    shapes = (1, 4, 4, 2), (1, 2, 2, 3)
    assert shortcut.autograd_gap(Shortcut(0.5, 2.0, "tanh"), *shapes) < 1e-12
    assert shortcut.autograd_gap(Wrong(0.5, 2.0, "tanh"), *shapes) > 0.1
    assert shortcut.autograd_gap(Wrong(0.5, 2.0, "linear"), *shapes) < 1e-12


def test_the_published_layer_is_right_where_it_should_be_and_nowhere_else():
    x1, x2 = np.random.default_rng(1).normal(size=(2, 1, 4, 4, 2))
    np.testing.assert_allclose(
        shortcut.PublishedShortcut(0.75, 0.5, "relu").forward(x1, x2), np.maximum(0.75 * x1 + 0.5 * x2, 0)
    )
    assert shortcut.autograd_gap(shortcut.PublishedShortcut(0.75, 0.5), (1, 4, 4, 2), (1, 4, 4, 2)) < 1e-12
    with pytest.raises(IndexError):
        shortcut.autograd_gap(shortcut.PublishedShortcut(), (1, 4, 4, 1), (1, 2, 2, 1))


@pytest.mark.parametrize(
    ("layer", "shapes", "adjoint", "autograd"),
    [
        # alpha off the overlap: forward and backward disagree, but not at alpha = 1
        (shortcut.PublishedShortcut(0.5, 1.0, exchanged=False), ((1, 4, 4, 1), (1, 2, 2, 1)), True, True),
        (shortcut.PublishedShortcut(1.0, 0.5, exchanged=False), ((1, 4, 4, 1), (1, 2, 2, 1)), False, False),
        # the stride on channels: backward is the transpose of a wrong forward
        (shortcut.PublishedShortcut(exchanged=False), ((1, 4, 4, 4), (1, 2, 2, 2)), False, True),
        # a right one
        (Shortcut(0.5, 2.0), ((1, 4, 4, 4), (1, 2, 2, 2)), False, False),
    ],
)
def test_what_the_lessons_table_says_of_its_two_tests(layer, shapes, adjoint, autograd):
    x1, x2, gradient = draw_arrays(shapes, 3, np.float64)[:3]
    assert (NAMES["adjoint_gap"](layer, x1, x2, gradient) > 1e-6) == adjoint
    assert (shortcut.autograd_gap(layer, *shapes) > 1e-6) == autograd


def test_a_layer_for_tests_says_what_it_needs():
    rng = np.random.default_rng(0)
    layer = shortcut.ChannelMix(rng.normal(size=(2, 4)), rng.normal(size=(3, 4)))
    x1, x2, gradient = (rng.normal(size=(1, 2, 2, c)) for c in (2, 3, 4))
    with pytest.raises(RuntimeError, match="forward has not run yet"):
        layer.backward(gradient, np.zeros_like(x1), np.zeros_like(x2))
    layer.forward(x1, x2)
    with pytest.raises(ValueError, match="input's shape"):
        layer.backward(gradient, np.zeros_like(gradient), np.zeros_like(gradient))
    assert NAMES["adjoint_gap"](layer, x1, x2, gradient) < 1e-14


def test_the_slips_of_the_published_code():
    assert list(shortcut.published_slips().values()) == [
        *("False", "AttributeError", "NameError", "AttributeError", "TypeError", "NameError"),
        *("IndexError", "[0, 2]", "(1, 4, 4, 8)", "IndexError", "float64", "0"),
    ]


def test_median_seconds_calls_the_actions_in_turn():
    ticks = iter([0.0, 1.0, 1.0, 3.0, 3.0, 6.0, 6.0, 10.0])
    order: list[str] = []
    medians = shortcut.median_seconds(
        [lambda: order.append("a"), lambda: order.append("b")], 2, lambda: next(ticks)
    )
    assert order == ["a", "b", "a", "b"]
    assert medians == [2.0, 3.0]


def test_logistic_does_not_overflow():
    with np.errstate(all="raise", under="ignore"):
        z = np.array([-1e3, 0.0, 1e3], dtype=np.float32)
        np.testing.assert_array_equal(shortcut.activate(z, "logistic"), expit(z))
