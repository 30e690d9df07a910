"""Block networks and their paths against autograd, plain loops and finite differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import batch_norm, cross_entropy

from helpers import paths


def examples(batch=6, inputs=5):
    random = torch.Generator().manual_seed(1)
    return torch.randn(batch, inputs, generator=random, dtype=torch.float64), torch.arange(batch) % 3


@pytest.fixture(params=[True, False], ids=["residual", "plain"])
def net(request):
    return paths.example_net(3, request.param, seeds=2, seed=5)


def by_hand(net, s, x):
    """Network s of a stack, written with ordinary two-dimensional torch functions."""

    def norm(layer, h):
        rows = slice(s * h.shape[1], (s + 1) * h.shape[1])
        parts = (layer.mean, layer.variance, layer.weight, layer.bias)
        return torch.relu(batch_norm(h, *(p[rows] for p in parts)))

    h = x @ net.stem.weight[s].T
    for normed, _, linear in net.branches:
        f = norm(normed, h) @ linear.weight[s].T
        h = h + f if net.residual else f
    normed, _, linear = net.head
    return norm(normed, h) @ linear.weight[s].T + linear.bias[s].T


def test_a_stack_computes_what_each_network_computes_alone(net):
    x, _ = examples()
    for s in range(2):
        torch.testing.assert_close(net(x)[s], by_hand(net, s, x))


def test_examples_may_differ_from_network_to_network(net):
    x, _ = examples()
    both = net(torch.stack([x, 2 * x]))
    torch.testing.assert_close(both[0], net(x)[0])
    torch.testing.assert_close(both[1], net(2 * x)[1])


def test_a_seed_draws_the_same_weights_in_any_company():
    alone, together = paths.BlockNet(seeds=[7]), paths.BlockNet(seeds=[3, 7])
    for one, two in zip(alone.parameters(), together.parameters(), strict=True):
        if one.ndim == 3:
            assert torch.equal(one[0], two[1]) and (one.numel() == 10 or not torch.equal(one[0], two[0]))


def test_weights_start_with_gain_one_third():
    net = paths.BlockNet(width=200, branches=1, seeds=[0])
    weight = net.branches[0][2].weight
    # The sample variance of 40,000 normal numbers has a relative deviation of sqrt(2 / 40,000) = 0.7 %.
    assert 200 * weight.var().item() == pytest.approx(1 / 3, rel=0.03)


@pytest.mark.parametrize("wrong", [{"branches": 0}, {"width": 0}, {"seeds": []}, {"classes": -1}])
def test_sizes_below_one_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        paths.BlockNet(**wrong)


def test_logits_and_accuracy(net):
    x, y = examples()
    logits = paths.logits(net, x)
    assert isinstance(logits, np.ndarray) and logits.shape == (2, 6, 3)
    expected = [[int(np.argmax(row)) == label for row, label in zip(one, y, strict=True)] for one in logits]
    assert paths.accuracy(torch.from_numpy(logits), y).tolist() == np.mean(expected, axis=1).tolist()


def test_branch_jacobians_are_autograds(net):
    x, _ = examples(batch=3)
    found = paths.branch_jacobians(net, x)
    assert found.shape == (2, 3, 3, 6, 6)
    for i, (branch, h) in enumerate(zip(net.branches, net.stream(x), strict=False)):
        full = torch.autograd.functional.jacobian(branch, h.detach())  # (S, N, batch, S, N, batch)
        for s, b in np.ndindex(2, 3):
            np.testing.assert_allclose(found[s, b, i], full[s, :, b, s, :, b], atol=1e-12)


def test_jacobians_and_end_gradient_make_up_the_gradient_of_the_stream(net):
    x, y = examples()
    jacobians, gradients = paths.branch_jacobians(net, x), paths.end_gradient(net, x, y)
    start = net.embed(x).detach().requires_grad_()
    h = start
    for branch in net.branches:
        h = h + branch(h) if net.residual else branch(h)
    loss = sum(cross_entropy(one, y, reduction="sum") for one in net.classify(h))
    (truth,) = torch.autograd.grad(loss, start)
    identity = np.eye(6) if net.residual else 0
    for s, b in np.ndindex(2, 6):
        c = gradients[s, b]
        for J in jacobians[s, b][::-1]:
            c = (identity + J).T @ c
        np.testing.assert_allclose(c, truth[s, :, b], atol=1e-12)


def test_end_gradient_by_finite_differences(net):
    x, y = examples(batch=1)
    found = paths.end_gradient(net, x, y)
    end = net.stream(x)[-1].detach()
    for unit in range(6):
        step = torch.zeros_like(end)
        step[:, unit] = 1e-6
        up, down = (net.classify(end + sign * step) for sign in (1, -1))
        for s in range(2):
            slope = (cross_entropy(up[s], y) - cross_entropy(down[s], y)).item() / 2e-6
            assert found[s, 0, unit] == pytest.approx(slope, abs=1e-7)


def test_jacobians_refuse_training_mode(net):
    with pytest.raises(ValueError, match=r"net\.eval"):
        paths.branch_jacobians(net.train(), examples()[0])


def test_reordered_runs_the_blocks_in_that_order_and_leaves_the_net(net):
    x, _ = examples()
    before = net(x)
    h = net.embed(x)
    for i in (2, 0, 1):
        h = h + net.branches[i](h) if net.residual else net.branches[i](h)
    shuffled = paths.reordered(net, [2, 0, 1])
    torch.testing.assert_close(shuffled(x), net.classify(h))
    assert torch.equal(net(x), before)
    assert torch.equal(paths.reordered(net, range(3))(x), before)
    assert shuffled.branches[0][2].weight is net.branches[2][2].weight


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [1, 2, 3], []])
def test_reordered_refuses_what_is_no_permutation(net, order):
    with pytest.raises(ValueError, match="from 0 to 2 once"):
        paths.reordered(net, order)


def test_accuracy_reordered_measures_with_fresh_statistics_and_leaves_the_net(net):
    x, y = examples(batch=40)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = paths.accuracy_reordered(net, [2, 0, 1], x, x, y)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    h = net.embed(x)

    def fresh(layer, h):  # a branch or the head, normalised by what it sees
        norm, _, linear = layer
        mean, deviation = h.mean(2, keepdim=True), (h.var(2, keepdim=True) + 1e-5).sqrt()
        weight, bias = (p.view(2, -1, 1) for p in (norm.weight, norm.bias))
        return linear(torch.relu((h - mean) / deviation * weight + bias))

    for i in (2, 0, 1):
        f = fresh(net.branches[i], h)
        h = h + f if net.residual else f
    # While the statistics are taken, the batch is divided by its biased deviation: later logits differ a little.
    logits = fresh(net.head, h).transpose(1, 2)
    np.testing.assert_allclose(found, paths.accuracy(logits, y), atol=0.06)
    assert net.branches[0][0].training is False


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 12), seed=st.integers(0, 2**32 - 1), neighbours=st.booleans(), data=st.data())
def test_swapped_pairs_are_disjoint(n, seed, neighbours, data):
    pairs = data.draw(st.integers(0, n // 2))
    order = paths.swap_pairs(n, pairs, np.random.default_rng(seed), neighbours)
    moved = [i for i in range(n) if order[i] != i]
    assert sorted(order) == list(range(n)) and len(moved) == 2 * pairs
    assert all(order[order[i]] == i for i in moved)
    if neighbours:
        assert all(order[i] == i ^ 1 for i in moved)


@pytest.mark.parametrize("pairs", [-1, 3])
def test_swap_pairs_refuses_more_pairs_than_there_are(pairs):
    with pytest.raises(ValueError, match="at most 2 pairs"):
        paths.swap_pairs(5, pairs, np.random.default_rng(0))


def test_random_jacobians_have_the_gain():
    rng = np.random.default_rng(3)
    jacobians = paths.random_jacobians(40, 100, 0.7, rng)
    c = rng.normal(size=100)
    gains = [((J.T @ c) ** 2).sum() / (c**2).sum() for J in jacobians]
    # Each is 0.7 chi^2 / 100 with 100 degrees of freedom; the mean of 40 deviates by 2.2 %.
    assert np.mean(gains) == pytest.approx(0.7, rel=0.1)


def test_example_nets_are_ready_to_be_checked_with():
    net, again, other = (paths.example_net(seed=s) for s in (1, 1, 2))
    x, _ = examples()
    assert not net.training and net(x).dtype == torch.float64
    assert torch.equal(net(x), again(x)) and not torch.allclose(net(x), other(x))
    assert not torch.allclose(net(x)[0], net(x)[1])
    assert all((norm[0].mean != 0).all() and (norm[0].variance != 1).all() for norm in net.branches)
