"""Stacked training against one network at a time, built of torch's own layers and trained by torch's own loop."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers import datasets, remedies, stochastic_depth, training

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 6)).astype(np.float32)
Y = RANDOM.integers(0, 3, 60)


def network(remedy="residual + BN", seeds=(0, 1, 2), depth=4, width=8, double=True):
    made = remedies.StackedMLP(remedy, seeds, depth, width, inputs=6, classes=3)
    return made.double() if double else made


def alone(stack: remedies.StackedMLP, place: int) -> nn.Module:
    """One seed of a plain or residual stack with batch norm, out of nn.Linear and nn.BatchNorm1d."""

    def linear(layer):
        made = nn.Linear(layer.weight.shape[2], layer.weight.shape[1], bias=layer.bias is not None).double()
        made.weight.data = layer.weight.data[place].clone()
        if layer.bias is not None:
            made.bias.data = layer.bias.data[place, :, 0].clone()
        return made

    class Alone(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(linear(stack.stem), nn.BatchNorm1d(8, momentum=1.0).double(), nn.ReLU())
            self.layers = nn.ModuleList(linear(layer) for layer in stack.hidden_layers())
            self.norms = nn.ModuleList(nn.BatchNorm1d(8, momentum=1.0).double() for _ in self.layers)
            self.head = linear(stack.head)

        def forward(self, x):
            h = self.stem(x)
            done = list(zip(self.layers, self.norms, strict=True))
            if stack.remedy == "plain + BN":
                for layer, norm in done:
                    h = F.relu(norm(layer(h)))
            else:
                for (layer1, norm1), (layer2, norm2) in zip(done[::2], done[1::2], strict=True):
                    h = F.relu(h + norm2(layer2(F.relu(norm1(layer1(h))))))
            return self.head(h)

    return Alone()


@pytest.mark.parametrize("remedy", ["plain + BN", "residual + BN"])
def test_a_stack_trains_each_seed_as_torch_trains_it_alone(remedy):
    stack = network(remedy)
    singles = [alone(stack, place) for place in range(3)]
    x = X.astype(np.float64)
    together = training.train_stacked(stack, x, Y, steps=25, batch=20, lr=0.1)
    for place, single in enumerate(singles):
        losses = training.train(single, x, Y, steps=25, batch=20, lr=0.1, seed=place)
        np.testing.assert_allclose(together[:, place], losses, rtol=1e-7)
    final, accuracy = training.evaluate_stacked(stack, x, Y)
    for place, single in enumerate(singles):
        single(torch.tensor(x))  # with momentum 1 the norms keep the statistics of the whole set
        assert training.evaluate(single, x, Y) == pytest.approx((final[place], accuracy[place]), rel=1e-7)


@pytest.mark.parametrize("remedy", remedies.REMEDIES)
def test_seeds_do_not_see_each_other(remedy):
    stack, single = network(remedy), network(remedy, seeds=(1,))
    x = X.astype(np.float64)
    both = training.train_stacked(stack, x, Y, steps=12, batch=30, lr=0.01)
    one = training.train_stacked(single, x, Y, steps=12, batch=30, lr=0.01)
    np.testing.assert_allclose(both[:, [1]], one, rtol=1e-8)
    assert not np.allclose(both[:, 0], both[:, 1])


def test_the_loop_is_written_out_here_once_more():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    twin = copy.deepcopy(net)
    x, y = torch.tensor(X, dtype=torch.float64), torch.tensor(Y)
    losses = training.train(net, X.astype(np.float64), Y, steps=7, batch=25, lr=0.2, momentum=0.5, seed=3)
    shuffle = torch.Generator().manual_seed(3)
    speed = [torch.zeros_like(p) for p in twin.parameters()]
    for step in range(7):
        if step % 2 == 0:  # 60 examples are two whole batches of 25
            order = torch.randperm(60, generator=shuffle)
        index = order[25 * (step % 2) : 25 * (step % 2) + 25]
        loss = F.cross_entropy(twin(x[index]), y[index])
        assert losses[step] == pytest.approx(loss.item(), rel=1e-9)
        for p, v, g in zip(
            twin.parameters(), speed, torch.autograd.grad(loss, list(twin.parameters())), strict=True
        ):
            v.mul_(0.5).add_(g)
            p.data -= 0.2 * v


def test_another_optimizer():
    torch.manual_seed(0)
    net = nn.Linear(6, 3)
    losses = training.train(net, X, Y, steps=60, batch=60, optimizer=lambda p: torch.optim.Adam(p, lr=0.05))
    assert losses[-1] < losses[0] and losses.shape == (60,)
    stack = network(double=False)
    losses = training.train_stacked(
        stack, X, Y, steps=30, batch=60, optimizer=lambda p: torch.optim.Adam(p, lr=0.01)
    )
    assert losses.shape == (30, 3) and (losses[-1] < losses[0]).all()


def test_evaluate_counts_by_hand_and_keeps_the_mode():
    net = nn.Sequential(nn.Dropout(0.9), nn.Linear(6, 3)).train()
    loss, accuracy = training.evaluate(net, X, Y)
    with torch.no_grad():
        scores = net[1](torch.tensor(X)).numpy().astype(float)
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    assert loss == pytest.approx(-np.log(shares[np.arange(60), Y]).mean(), rel=1e-5)
    assert accuracy == (scores.argmax(1) == Y).mean()
    assert net.training


def test_minibatches_are_permutations_of_whole_passes():
    batches = torch.stack(list(training.minibatches(50, 16, 7, [4, 5]))).numpy()
    assert batches.shape == (7, 2, 16)
    for start in (0, 3):
        for seed in (0, 1):
            assert len(set(batches[start : start + 3, seed].ravel())) == 48  # nothing twice within a pass
    assert not np.array_equal(batches[:, 0], batches[:, 1])
    assert training.steps_per_epoch(50, 16) == 3
    for batch in (0, 51):
        with pytest.raises(ValueError, match="batch is"):
            training.steps_per_epoch(50, batch)


@pytest.mark.parametrize("init, gain", [("default", 1 / 3), ("xavier", 1), ("he", 2)])
def test_starts_have_their_variance(init, gain):
    layer = training.StackedLinear([torch.Generator().manual_seed(s) for s in range(4)], 300, 200, init)
    weight = layer.weight.detach().numpy()
    assert weight.var() * 300 == pytest.approx(gain, rel=0.02) and abs(weight.mean()) < 1e-3


@pytest.mark.parametrize("inputs, outputs", [(7, 7), (9, 4), (4, 9)])
def test_orthogonal_start(inputs, outputs):
    layer = training.StackedLinear([torch.Generator().manual_seed(0)], inputs, outputs, "orthogonal")
    singular = np.linalg.svd(layer.weight.detach().numpy()[0], compute_uv=False)
    np.testing.assert_allclose(singular, math.sqrt(2), rtol=1e-5)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="init is 'kaiming': choose one of default"):
        training.StackedLinear([torch.Generator()], 2, 2, "kaiming")
    with pytest.raises(ValueError, match="remedy is 'prayer': choose one of default init"):
        remedies.StackedMLP("prayer", [0], 2)
    with pytest.raises(ValueError, match="depth is 3: 'residual' needs a positive multiple of 2"):
        remedies.StackedMLP("residual", [0], 3)
    with pytest.raises(ValueError, match="depth is 0"):
        remedies.StackedMLP("He init", [0], 0)


@pytest.mark.parametrize("remedy", ["SkipInit", "ReZero"])
def test_zero_gates_start_as_the_identity_and_learn_at_once(remedy):
    deep, shallow = network(remedy, depth=6), network(remedy, depth=2)
    shallow.head.weight.data = deep.head.weight.data.clone()
    x = torch.tensor(X, dtype=torch.float64)
    np.testing.assert_array_equal(deep(x).detach(), shallow(x).detach())
    training.train_stacked(deep, X.astype(np.float64), Y, steps=1, batch=60)
    gates = [getattr(b, "gate", getattr(b, "scale", None)) for b in deep.blocks]
    assert all((gate != 0).all() for gate in gates)


def test_highway_starts_nearly_open():
    layer = network("highway").blocks[0]
    h = torch.randn(3, 8, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).relu()
    t = torch.sigmoid(layer.transform.weight @ h - 4)
    np.testing.assert_allclose(
        layer(h).detach(), (t * torch.relu(layer.layer.linear.weight @ h) + (1 - t) * h).detach(), rtol=1e-10
    )


def test_scaled_residual_is_he_with_the_branch_divided():
    made = network("scaled residual", depth=8)
    h = torch.rand(3, 8, 5, dtype=torch.float64)
    block = made.blocks[1]
    branch = block.second.weight @ torch.relu(block.first.linear.weight @ h)
    np.testing.assert_allclose(block(h).detach(), torch.relu(h + branch / 2).detach(), rtol=1e-12)  # 4 blocks


def test_lsuv_gives_unit_variance_everywhere():
    made = remedies.build("LSUV init", [0, 1], 5, X, width=8)
    h = torch.tensor(X, dtype=torch.float64).T.expand(2, 6, 60)
    for layer in (made.stem, *made.hidden_layers()):
        out = (layer.weight @ h).detach()
        np.testing.assert_allclose(out.std(dim=(1, 2)), 1, rtol=1e-5)
        h = out.relu()


@pytest.mark.parametrize("remedy", remedies.REMEDIES)
def test_gradient_norms_by_central_differences(remedy):
    """Along the gradient itself, a small step changes the loss by its squared norm."""
    made = network(remedy, seeds=(0, 1))
    x = X.astype(np.float64)
    for block in made.blocks:  # off the zero start, where every branch's weights have gradient 0
        for name in ("gate", "scale"):
            if isinstance(getattr(block, name, None), nn.Parameter):
                nn.init.constant_(getattr(block, name), 0.3)
    norms = remedies.stacked_gradient_norms(made, x, Y)
    assert norms.shape == (4, 2)
    labels = torch.tensor(Y).expand(2, -1)

    def loss():
        return training.stacked_loss(made(torch.tensor(x)), labels).detach().numpy()

    for place, layer in enumerate(made.hidden_layers()):
        value = layer.weight.data.clone()
        grad = torch.autograd.grad(training.stacked_loss(made(torch.tensor(x)), labels).sum(), layer.weight)[
            0
        ]
        unit = grad / grad.norm(dim=(1, 2), keepdim=True)
        layer.weight.data = value + 1e-6 * unit
        above = loss()
        layer.weight.data = value - 1e-6 * unit
        below = loss()
        layer.weight.data = value
        np.testing.assert_allclose((above - below) / 2e-6, norms[place], rtol=1e-4)


def test_a_nudge_changes_one_column_of_the_stem():
    random = np.random.default_rng(1)
    x, y = random.normal(size=(140, 6)), random.integers(0, 10, 140)
    found = {
        nudge: remedies.nudged_losses("residual + BN", [0, 1], 4, x, y, steps=3, nudge=nudge, pixel=2)
        for nudge in (0.0, 1e-3)
    }
    for nudge, losses in found.items():
        network = remedies.build("residual + BN", [0, 1], 4, x)
        network.stem.weight.data[:, :, 2] *= 1 + nudge
        np.testing.assert_array_equal(training.train_stacked(network, x, y, steps=3), losses)
    assert (found[0.0] != found[1e-3]).all()


def test_a_network_that_leaves_out_blocks_learns_the_norms_of_the_whole_one():
    x = np.random.default_rng(1).normal(size=(60, datasets.digits().x_train.shape[1]))
    net = stochastic_depth.DroppingNet(np.full(3, 0.5), [0, 1])
    training.train_stacked(net, x, Y, steps=2, batch=20)
    kept = {name: value.clone() for name, value in net.named_buffers()}
    for module in net.modules():
        module.training = isinstance(module, training.StackedNorm)
    with torch.no_grad():
        net(torch.from_numpy(x))
    assert kept and all(torch.equal(kept[name], value) for name, value in net.named_buffers())


def test_to_measure_a_network_leaves_each_module_in_its_mode():
    net = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3), nn.BatchNorm1d(3))
    net[1].eval()  # frozen
    training.evaluate(net, X, Y)
    assert [module.training for module in (net, *net)] == [True, True, False, True]


def test_relu_mlp_is_torchs():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    layers = [(m.weight.detach().numpy(), m.bias.detach().numpy()) for m in net if isinstance(m, nn.Linear)]
    np.testing.assert_allclose(
        remedies.relu_mlp(layers, X), net(torch.tensor(X)).detach(), rtol=1e-5, atol=1e-6
    )
