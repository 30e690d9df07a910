"""Stacked one-dimensional networks against torch's own layers, seed by seed."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from helpers import architectures, dense1d, training

SEEDS = (3, 5, 8)


@pytest.fixture
def curves():
    return torch.from_numpy(np.random.default_rng(0).normal(size=(6, 40)).astype(np.float32))


@pytest.mark.parametrize(("taps", "stride", "length"), [(3, 1, 10), (3, 2, 10), (3, 2, 7), (1, 1, 5)])
def test_stacked_convolution_is_conv1d_of_each_seed(taps, stride, length):
    draws = [torch.Generator().manual_seed(s) for s in SEEDS]
    conv = dense1d.StackedConv(draws, 4, 6, taps, stride)
    h = torch.randn(len(SEEDS), 4, length, 9, generator=torch.Generator().manual_seed(1))
    stacked = conv(h)
    for seed, weight in enumerate(conv.weight.squeeze(-1).chunk(len(SEEDS))):
        one = functional.conv1d(h[seed].permute(2, 0, 1), weight, stride=stride, padding=taps // 2)
        torch.testing.assert_close(stacked[seed].permute(2, 0, 1), one)


def plain(stacked: nn.Module, seed: int) -> list[nn.Module]:
    """Translate the layers of a stacked network into torch's own, with the weights of one of its seeds."""
    total = len(SEEDS)
    if isinstance(stacked, dense1d.StackedConv):
        weight = stacked.weight.detach().squeeze(-1).chunk(total)[seed]
        out, inward, taps = weight.shape
        conv = nn.Conv1d(inward, out, taps, stacked.stride[0], taps // 2, bias=False)
        conv.weight.data = weight
        return [conv]
    if isinstance(stacked, dense1d.Norm):
        return [nn.BatchNorm1d(len(stacked.weight) // total)]
    if isinstance(stacked, architectures.Append):
        return [architectures.Append(nn.Sequential(*plain(stacked.branch, seed)))]
    if isinstance(stacked, architectures.Residual):
        parts = (nn.Sequential(*plain(part, seed)) for part in (stacked.branch, stacked.shortcut))
        return [architectures.Residual(*parts)]
    if isinstance(stacked, nn.MaxPool2d):
        return [nn.MaxPool1d(1, stacked.stride[0])]
    if isinstance(stacked, nn.AvgPool2d):
        return [nn.AvgPool1d(stacked.kernel_size[0])]
    if isinstance(stacked, nn.Sequential):
        return [layer for part in stacked for layer in plain(part, seed)]
    return [type(stacked)()]


@pytest.mark.parametrize("make", [dense1d.resnet, dense1d.densenet])
def test_a_stacked_network_is_the_plain_network_of_each_seed(make, curves):
    network = make(4, 2, SEEDS)
    scores = network(curves)
    for seed in range(len(SEEDS)):
        features = nn.Sequential(*plain(network.layers, seed))(curves.unsqueeze(1)).mean(-1)
        one = features @ network.head.weight[seed].T + network.head.bias[seed].T
        torch.testing.assert_close(scores[seed], one, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("make", [dense1d.resnet, dense1d.densenet])
def test_a_seed_trains_the_same_in_whatever_company(make, curves):
    labels = np.arange(6) % 3
    together, alone = make(3, 1, SEEDS), make(3, 1, SEEDS[1:2])
    losses = [
        training.train_stacked(network, curves.numpy(), labels, steps=4, batch=5)
        for network in (together, alone)
    ]
    np.testing.assert_allclose(losses[0][:, 1], losses[1][:, 0], rtol=1e-4)


@pytest.mark.parametrize(
    ("make", "size", "depth", "parameters"),
    [
        (dense1d.resnet, 16, 2, 9_850),
        (dense1d.resnet, 32, 3, 56_938),
        (dense1d.densenet, 4, 4, 4_090),
        (dense1d.densenet, 8, 3, 8_942),
        (dense1d.densenet, 8, 5, 21_454),
    ],
)
def test_parameter_counts_of_the_lesson(make, size, depth, parameters):
    assert architectures.parameter_count(make(size, depth, [0])) == parameters


def test_blind_exits_silence_channels_for_the_classifier_only(curves):
    network = dense1d.densenet(2, 2, SEEDS, blocks=1).eval()
    blind = dense1d.blind_exits(network, 4, 2)
    cut = network.layers[:-2](curves.T.expand(len(SEEDS), 40, 6).unsqueeze(1))
    kept = network.layers[-2:](cut).mean(2)
    kept[:, 4:6] = 0
    torch.testing.assert_close(blind(curves), network.head(kept).transpose(1, 2))
    assert not torch.equal(blind(curves), network(curves))


def test_blind_exits_may_show_the_mean_instead(curves):
    network = dense1d.densenet(2, 2, SEEDS, blocks=1).eval()
    blind = dense1d.blind_exits(network, 4, 2, curves.numpy())
    kept = network.layers[-2:](network.layers[:-2](curves.T.expand(len(SEEDS), 40, 6).unsqueeze(1)))
    mean = kept[:, 4:6].mean((2, 3))
    kept = kept.mean(2)
    kept[:, 4:6] = mean.unsqueeze(-1)
    torch.testing.assert_close(blind(curves), network.head(kept).transpose(1, 2))


@pytest.mark.parametrize("processor", ["plain", "avx2", "baseline"])
def test_measured_accuracies_are_sets_of_five(processor):
    for network in ("resnet8", "densenet4", "resnet16"):
        accuracy = dense1d.measured(network, processor=processor)
        assert accuracy.shape == (20, 5) and 0.2 < accuracy.min() < accuracy.max() < 1
    with pytest.raises(KeyError, match="plain resnet8 7 125 2500"):
        dense1d.measured("resnet8", rate=7)


def test_every_row_that_the_script_makes_is_written_down():
    from tests.reproduce_densenet import ROWS

    for processor, network, rate, steps, curves, sets in ROWS:
        assert dense1d.measured(network, rate, steps, curves, processor).shape == (sets, 5)
