"""The branches of lesson 5 against torch itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from course.exercises.skip_connection import input_dependence
from helpers import blocks, figures
from helpers.checks.probes.skip_connection import branch as probed_branch


def test_conv_branch_is_the_chapters_branch_weight_for_weight():
    torch.manual_seed(172)
    layers = [nn.Conv2d(3, 6, 2, stride=2, padding=2), nn.Conv2d(6, 3, 2, stride=2, padding=2)]
    branch = blocks.conv_branch(3, 6, 2, 2, 2, seed=172)
    for ours, theirs in zip(branch.parameters(), nn.ModuleList(layers).parameters(), strict=True):
        assert torch.equal(ours, theirs)
    image = torch.randn(2, 3, 4, 4)
    assert torch.equal(branch(image), layers[1](layers[0](image).relu()).relu())


def test_conv_branch_without_the_last_relu_can_be_negative():
    image = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    with_relu, without = (blocks.conv_branch(3, 6, relu_last=last, seed=1)(image) for last in (True, False))
    assert without.min() < 0
    assert torch.equal(with_relu, without.relu())


def test_making_a_seeded_module_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    module = blocks.seeded(nn.Linear, 2, 4, seed=8)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(8)
    assert torch.equal(module.weight, nn.Linear(2, 4).weight)


shapes = st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple)


@settings(deadline=None)  # the first addition of a process is slow
@given(shapes, shapes)
def test_addition_outcome_is_what_torch_does(a, b):
    try:
        torch.zeros(a) + torch.zeros(b)
        expected = "fits" if a == b else "broadcasts"
    except RuntimeError:
        expected = "raises"
    assert blocks.addition_outcome(a, b) == expected


def test_parameter_arrays_are_named_copies():
    layer = nn.Linear(2, 3)
    arrays = blocks.parameter_arrays(layer)
    assert list(arrays) == ["weight", "bias"]
    arrays["weight"][:] = 7
    assert not (layer.weight == 7).any()


@pytest.mark.parametrize("geometry", [(2, 2, 2), (3, 1, 1), (3, 2, 2), (3, 1, 2)])
@pytest.mark.parametrize("side", [1, 2, 3, 4, 6])
def test_the_oracles_count_of_positions_agrees_with_the_jacobian_of_a_linear_branch(geometry, side):
    branch = blocks.conv_branch(1, 1, *geometry, relu_last=False)
    linear = nn.Sequential(branch[0], branch[2])  # no ReLU: nothing can be closed
    jacobian = torch.autograd.functional.jacobian(linear, torch.zeros(1, 1, side, side))
    seen = (jacobian != 0).flatten(4).any(-1)
    assert input_dependence.oracle(branch, side) == (int(seen.sum()), seen.numel())


def test_one_image_does_not_show_all_that_a_probed_branch_sees():
    branch = probed_branch(3, 1, 1, seed=5)
    images = torch.rand(40, 3, 5, 5, generator=torch.Generator().manual_seed(0))  # no value below zero
    open_ = (branch[0](images) > 0).float().mean(dim=(0, 1))
    assert open_.min() > 0.2 and open_.max() < 0.8
    assert torch.equal(branch(images)[:, 0], branch(torch.zeros(40, 3, 5, 5))[:, 0])


@pytest.mark.parametrize(
    ("geometry", "found"),
    [((2, 2, 2), "sides 3 and 4 only"), ((3, 1, 1), "every side"), ((5, 2, 0), "no side")],
)
def test_the_staircase_says_where_it_meets_the_diagonal(geometry, found):
    shot = blocks.branch_sides(*geometry)
    assert shot.title.endswith(f"the addition fits {found}")
    assert all(0 <= side <= 26 for side in shot.curves["branch"][1])


def test_the_map_of_sizes_counts_what_it_shows():
    figure = blocks.draw_sizes(
        {(1, 1): "broadcasts", (1, 2): "raises", (2, 2): "fits", (2, 1): "raises"}, "t"
    )
    assert figure.axes[0].get_legend_handles_labels()[1] == ["fits: 1", "broadcasts: 1", "raises: 2"]
    figures.png(figure)
