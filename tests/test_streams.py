"""Streams and blocks that are dropped: products by hand, closed forms, and expectations."""

import itertools
import math

import numpy as np
import pytest
import torch

from helpers import paths, stochastic_depth, streams


def test_products_multiply_from_the_left():
    rng = np.random.default_rng(0)
    mixers = rng.normal(size=(4, 3, 3))
    found = streams.products(mixers)
    np.testing.assert_allclose(found[0], mixers[0])
    np.testing.assert_allclose(found[3], mixers[3] @ mixers[2] @ mixers[1] @ mixers[0])


def test_gain_is_what_the_worst_signal_meets():
    M = np.random.default_rng(1).normal(size=(3, 3))
    signs = np.array(np.meshgrid(*3 * [[-1, 1]])).reshape(3, -1)  # the corners of the cube: all worst cases
    forward, backward = abs(M @ signs).max(), abs(M.T @ signs).max()
    np.testing.assert_allclose(streams.gain(M), [forward, backward])
    np.testing.assert_allclose(streams.gain(np.stack([M, M])), 2 * [[forward, backward]])


def test_permutations_are_doubly_stochastic_and_lose_nothing():
    rng = np.random.default_rng(2)
    mixers = np.array([np.eye(4)[rng.permutation(4)] for _ in range(50)])
    product = streams.products(mixers)[-1]
    assert streams.gain(product).tolist() == [1, 1]
    np.testing.assert_allclose(np.linalg.svd(product, compute_uv=False), 1)


def test_averaging_forgets_by_the_second_eigenvalue():
    M = np.full((3, 3), 0.2) + 0.4 * np.eye(3)  # eigenvalues 1, 0.4, 0.4
    second = np.linalg.svd(streams.products(np.array(10 * [M])), compute_uv=False)[:, 1]
    np.testing.assert_allclose(second, 0.4 ** np.arange(1, 11))


def test_free_mixers_have_the_spread():
    mixers = streams.free_mixers(2000, 3, np.random.default_rng(3), spread=0.5)
    np.testing.assert_allclose(mixers.mean(0), np.eye(3), atol=5 * 0.5 / math.sqrt(2000))
    assert mixers.std(0) == pytest.approx(0.5, rel=0.1)


def test_the_flow_of_the_spiral_in_closed_form():
    times = np.linspace(0, 2, 5)
    exact = np.exp(-0.3 * times)[:, None] * np.stack([np.cos(3 * times), np.sin(3 * times)], 1)
    np.testing.assert_allclose(streams.flow(np.array([1.0, 0.0]), times), exact, atol=1e-12)


def test_residual_steps_are_powers():
    start, A = np.array([1.0, 2.0]), np.array([[0.1, 0.2], [-0.3, 0.4]])
    states = streams.residual_steps(start, 5, 0.5, A)
    assert states.shape == (6, 2)
    np.testing.assert_allclose(states[-1], np.linalg.matrix_power(np.eye(2) + 0.5 * A, 5) @ start)


# --- stochastic depth


@pytest.fixture
def examples():
    return torch.randn(40, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_with_survival_one_it_is_the_network_of_lesson_9(examples):
    net, known = stochastic_depth.DroppingNet(np.ones(4), [3, 4]), paths.BlockNet(branches=4, seeds=[3, 4])
    assert torch.equal(net(examples), known(examples))  # both in training mode
    assert torch.equal(net.eval()(examples), known.eval()(examples))


def test_in_evaluation_branches_are_weighed(examples):
    net = stochastic_depth.DroppingNet(np.array([1.0, 0.25]), [5]).eval()
    h = net.embed(examples)
    h = h + net.branches[0](h)
    h = h + 0.25 * net.branches[1](h)
    torch.testing.assert_close(net.stream(examples)[-1], h)
    torch.testing.assert_close(net.stream(examples, [0])[1], net.embed(examples))


def test_a_block_is_kept_as_often_as_it_should(examples):
    net, times = stochastic_depth.DroppingNet(np.array([1.0, 0.7, 0.2]), range(3)), 400
    kept = np.zeros((3, 3))
    for _ in range(times):
        states = net.stream(examples[:4])
        kept += [[not torch.equal(a[s], b[s]) for s in range(3)] for a, b in itertools.pairwise(states)]
    assert (kept[0] == times).all()
    for block, p in ((1, 0.7), (2, 0.2)):
        assert (abs(kept[block] / times - p) < 5 * math.sqrt(p * (1 - p) / times)).all()
    assert len(set(kept[1])) > 1  # networks draw each for themselves


@pytest.mark.parametrize("p", [-0.1, 1.5])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(ValueError, match="from 0 to 1"):
        stochastic_depth.DroppingNet(np.array([p]))


def test_accuracy_without_leaves_the_net_and_takes_fresh_statistics(examples):
    net = stochastic_depth.DroppingNet(np.array([1.0, 0.5]), [1, 2]).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = stochastic_depth.accuracy_without(net, [1], examples, examples, torch.arange(40) % 10)
    assert found.shape == (2,) and ((found >= 0) & (found <= 1)).all()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    # A head that cannot tell classes apart says class 0 throughout, whatever the statistics.
    torch.nn.init.zeros_(net.head[2].weight)
    zeros = torch.zeros(40, dtype=torch.int64)
    assert stochastic_depth.accuracy_without(net, [], examples, examples, zeros).tolist() == [1, 1]
