"""The papers' networks: parameter counts and GMACs of the papers, forward passes, clear errors."""

import pytest
import torch
from torch import nn

from helpers import architectures

IMAGENET = [
    (architectures.resnet_spec, 18, 11_689_512, 1.814),
    (architectures.resnet_spec, 34, 21_797_672, 3.664),
    (architectures.resnet_spec, 50, 25_557_032, 4.089),
    (architectures.resnet_spec, 101, 44_549_160, 7.801),
    (architectures.resnet_spec, 152, 60_192_808, 11.514),
    (architectures.densenet_spec, 121, 7_978_856, 2.834),
    (architectures.densenet_spec, 169, 14_149_480, 3.360),
    (architectures.densenet_spec, 201, 20_013_928, 4.291),
    (architectures.densenet_spec, 161, 28_681_000, 7.728),
]


def on_meta(spec):
    with torch.device("meta"):
        return architectures.build(spec)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "depth", "parameters", "gmacs"), IMAGENET)
def test_imagenet_parameters_and_gmacs(family, depth, parameters, gmacs):
    network = on_meta(family(depth))
    assert architectures.parameter_count(network) == parameters
    assert round(architectures.multiply_accumulates(network, 224) / 1e9, 3) == gmacs


@pytest.mark.parametrize(("family", "depth"), [row[:2] for row in IMAGENET])
def test_depth_counts_convolutions_on_the_path_and_the_linear_layer(family, depth):
    named = on_meta(family(depth)).named_modules()
    path = [name for name, m in named if isinstance(m, (nn.Conv2d, nn.Linear)) and "shortcut" not in name]
    assert len(path) == depth


@pytest.mark.parametrize(
    ("depth", "parameters"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)]
)
def test_cifar_resnet_parameters(depth, parameters):
    assert architectures.parameter_count(on_meta(architectures.cifar_resnet_spec(depth, "A"))) == parameters
    assert (
        architectures.parameter_count(on_meta(architectures.cifar_resnet_spec(depth, "B")))
        == parameters + 2752
    )


@pytest.mark.parametrize(
    ("depth", "growth", "bottleneck", "parameters"),
    [
        (40, 12, False, 1_019_722),
        (100, 12, True, 769_162),
        (250, 24, True, 15_324_406),
        (190, 40, True, 25_624_430),
    ],
)
def test_cifar_densenet_parameters(depth, growth, bottleneck, parameters):
    spec = architectures.cifar_densenet_spec(depth, growth, bottleneck)
    assert architectures.parameter_count(on_meta(spec)) == parameters


@pytest.mark.parametrize(
    "spec",
    [
        architectures.cifar_resnet_spec(20, "A"),
        architectures.cifar_resnet_spec(14, "B"),
        architectures.cifar_densenet_spec(10, 4, True),
        architectures.cifar_densenet_spec(7, 4, False),
    ],
)
def test_built_networks_score_images_and_train(spec):
    torch.manual_seed(0)
    network = architectures.build(spec)
    scores = network(torch.randn(2, 3, 32, 32))
    assert scores.shape == (2, 10)
    scores.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_multiply_accumulates_of_one_convolution_and_a_linear_layer():
    network = nn.Sequential(
        nn.Conv2d(3, 5, 3, stride=2, padding=1), nn.Flatten(), nn.Linear(5 * 16, 7)
    ).train()
    assert architectures.multiply_accumulates(network, 8) == 4 * 4 * 5 * 3 * 9 + 5 * 16 * 7
    assert network.training


def test_multiply_accumulates_of_a_whole_batch():
    network = nn.Conv1d(2, 4, 3, padding=1, bias=False)
    assert architectures.multiply_accumulates(network, (5, 2, 7)) == 5 * 7 * 4 * 2 * 3


def test_activation_bytes_of_a_chain_of_linear_layers_are_their_inputs_once():
    network = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))  # keeps the input and the tanh
    assert architectures.activation_bytes(network, (10, 6)) == 4 * 10 * (6 + 4)


@pytest.mark.parametrize(("start", "growth", "layers"), [(5, 3, 4), (8, 8, 1), (2, 7, 6)])
def test_concatenation_bytes_grow_with_the_square_of_the_layers(start, growth, layers):
    grow = [architectures.Append(nn.Conv2d(start + growth * i, growth, 1)) for i in range(layers)]
    floats = sum(start + growth * (i + 1) for i in range(layers)) * 2 * 9 * 9
    assert architectures.concatenation_bytes(nn.Sequential(*grow), (2, start, 9, 9)) == 4 * floats


def test_networks_without_concatenation_concatenate_nothing():
    assert architectures.concatenation_bytes(on_meta(architectures.cifar_resnet_spec(20)), 32) == 0


def test_counting_leaves_a_network_on_the_cpu_as_it_was():
    network = architectures.build(architectures.cifar_densenet_spec(7, 4, False))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    architectures.multiply_accumulates(network, 32)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_option_a_subsamples_and_appends_zeros():
    x = torch.arange(2 * 3 * 5 * 5.0).reshape(2, 3, 5, 5)
    spec = architectures.ResNetSpec(blocks=(1, 1), widths=(3, 7), stem="cifar", option="A")
    residuals = [m for m in architectures.build(spec) if isinstance(m, architectures.Residual)]
    y = residuals[1].shortcut(x)
    assert y.shape == (2, 7, 3, 3)
    assert torch.equal(y[:, :3], x[:, :, [0, 2, 4]][..., [0, 2, 4]])
    assert not y[:, 3:].any()


def test_append_keeps_the_stream_in_front():
    x = torch.randn(2, 3, 4, 4)
    y = architectures.Append(nn.Conv2d(3, 2, 1))(x)
    assert y.shape == (2, 5, 4, 4)
    assert torch.equal(y[:, :3], x)


def test_specs_of_the_families():
    assert architectures.cifar_densenet_spec(100, 12, True).layers == (16, 16, 16)
    assert architectures.cifar_densenet_spec(40, 12, False).layers == (12, 12, 12)
    assert architectures.cifar_resnet_spec(110, "A").blocks == (18, 18, 18)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: architectures.resnet_spec(42), "no ResNet-42.*18, 34, 50, 101, 152"),
        (lambda: architectures.densenet_spec(264), "no DenseNet-264.*121, 169, 201, 161"),
        (lambda: architectures.cifar_resnet_spec(21, "A"), r"6 n \+ 2.*not 21"),
        (lambda: architectures.cifar_resnet_spec(20, "C"), "option is .*not 'C'"),
        (
            lambda: architectures.build(architectures.ResNetSpec((1,), (4,), option="C")),
            "option is .*not 'C'",
        ),
        (lambda: architectures.cifar_densenet_spec(41, 12, False), r"3 n \+ 4.*not 41"),
        (lambda: architectures.cifar_densenet_spec(40 + 3, 12, True), r"6 n \+ 4.*not 43"),
        (lambda: architectures.build(architectures.ResNetSpec((1,), (4,), stem="x")), "stem is .*not 'x'"),
    ],
)
def test_bad_input_names_the_value_and_the_way_out(ask, words):
    with pytest.raises(ValueError, match=words):
        ask()


def test_build_refuses_what_is_no_spec():
    with pytest.raises(TypeError, match=r"not 18; try build\(resnet_spec\(18\)\)"):
        architectures.build(18)
