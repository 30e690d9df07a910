"""Slices of a loss surface against copies of the network, and curvatures against closed forms."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from helpers import landscape, paths

GRID = np.linspace(-1, 1, 21)
A, B = np.meshgrid(GRID, GRID, indexing="ij")


@pytest.fixture(params=[True, False], ids=["residual", "plain"])
def net(request):
    return paths.example_net(2, request.param, seeds=2, seed=8)


def examples():
    random = torch.Generator().manual_seed(2)
    return torch.randn(7, 5, generator=random, dtype=torch.float64), torch.arange(7) % 3


def test_directions_belong_to_the_weights_only(net):
    direction = landscape.random_direction(net, 4)
    shapes = {name: p.shape for name, p in net.named_parameters()}
    assert list(direction) == ["stem.weight", "branches.0.2.weight", "branches.1.2.weight", "head.2.weight"]
    assert all(d.shape == shapes[name] and d.dtype == torch.float64 for name, d in direction.items())
    again, other = landscape.random_direction(net, 4), landscape.random_direction(net, 5)
    assert all(
        torch.equal(direction[n], again[n]) and not torch.equal(direction[n], other[n]) for n in direction
    )


def test_surface_is_the_loss_of_copies_moved_unit_by_unit(net):
    x, y = examples()
    before = copy.deepcopy(net.state_dict())
    heights = landscape.surface(net, (4, 5), 0.8, 5, x, y)
    assert heights.shape == (2, 5, 5) and heights.dtype == np.float64
    first, second = landscape.random_direction(net, 4), landscape.random_direction(net, 5)
    for i, j in [(0, 0), (2, 2), (4, 1), (1, 3)]:
        a, b = -0.8 + 0.4 * i, -0.8 + 0.4 * j
        moved = copy.deepcopy(net)
        for name, weight in moved.named_parameters():
            for s, u in np.ndindex(*weight.shape[:2]) if name in first else ():
                own = weight.data[s, u].clone()
                for step, d in ((a, first[name][s, u]), (b, second[name][s, u])):
                    weight.data[s, u] += step * d / (d @ d) ** 0.5 * (own @ own) ** 0.5
        truth = [cross_entropy(logits, y).item() for logits in moved(x)]
        np.testing.assert_allclose(heights[:, i, j], truth, rtol=1e-10)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.floats(-3, 3)] * 6), st.floats(0.05, 2))
def test_curvatures_of_a_quadratic_are_its_eigenvalues(numbers, spacing):
    p, q, r, s, t, u = numbers
    a, b = np.meshgrid(spacing * np.arange(5), spacing * np.arange(6), indexing="ij")
    found = landscape.curvatures(p * a**2 / 2 + q * a * b + r * b**2 / 2 + s * a + t * b + u, spacing)
    assert found.shape == (3, 4, 2)
    truth = np.linalg.eigvalsh([[p, q], [q, r]])
    # Second differences of heights up to 300 divided by spacing^2 >= 0.0025.
    np.testing.assert_allclose(found, np.broadcast_to(truth, found.shape), atol=1e-9)


def test_curvatures_keep_leading_axes():
    heights = np.stack([A**2 + B**2, A**2 - B**2, -(A**2)])
    found = landscape.curvatures(heights, 0.1)
    np.testing.assert_allclose(found.mean((1, 2)), [[2, 2], [-2, 2], [-2, 0]], atol=1e-9)


@pytest.mark.parametrize(
    ("heights", "share"),
    [
        (A**2 + B**2, 0.0),
        (A**2 - 0.01 * B**2, 1.0),
        (A * B, 1.0),
        (A**3 + B**2, 9 / 19),  # d2/da2 = 6a: negative at 9 of the 19 inner rows, zero at one
        (
            A**3 + B**3,
            1 - 100 / 361,
        ),  # convex on the 10 x 10 inner points where neither coordinate is negative
    ],
    ids=["bowl", "saddle", "twisted", "cubic", "two cubics"],
)
def test_share_of_points_that_are_not_convex(heights, share):
    tilted = heights + 1e-6 * (A**2 + B**2)  # so that rounding decides at no point
    assert landscape.non_convex_share(tilted, 0.1) == pytest.approx(share)


def test_too_small_a_surface_is_refused():
    with pytest.raises(ValueError, match="at least 3 by 3"):
        landscape.curvatures(np.zeros((2, 9)), 0.1)
