"""helpers.four_systems against the steps of helpers.convolution, one image and one network at a time."""

import numpy as np
import pytest
import torch

from helpers import convolution, four_systems

IMAGES = torch.tensor(np.random.default_rng(0).normal(size=(3, 8, 8)), dtype=torch.float32)
LABELS = torch.tensor([1, 4, 7])


@pytest.mark.parametrize("system", convolution.STEPS)
def test_a_layer_is_the_step_of_its_system(system):
    weights = torch.tensor(convolution.binomial_kernel("float32")).flatten()
    matrix = torch.einsum("k,kij->ij", weights, four_systems._shifts(8))
    x = IMAGES.flatten(1)
    expected = torch.stack([convolution.STEPS[system](image).flatten() for image in IMAGES])
    assert torch.allclose(four_systems._layer(system, x, x @ matrix.T), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"system": "residual"}, "system is 'residual': choose one of .*dense sum"),
        ({"system": "plain", "optimiser": "adam"}, "optimiser is 'adam': choose one of SGD, Adam"),
    ],
)
def test_an_unknown_name_is_no_other_system(settings, words):
    with pytest.raises(ValueError, match=words):
        four_systems.train(**settings, images=IMAGES, labels=LABELS, seeds=[5])


def test_networks_side_by_side_are_networks_one_by_one():
    settings = {"depth": 4, "steps": 3}
    both = four_systems.train("dense sum", IMAGES, LABELS, [5, 6], **settings)
    alone = four_systems.train("dense sum", IMAGES, LABELS, [6], **settings)
    assert both.losses.shape == (2, 4) and both.moved.shape == (2,)
    assert np.allclose(both.losses[1], alone.losses[0], rtol=1e-4)
    assert np.allclose(both.moved[1], alone.moved[0], rtol=1e-3)


def test_frozen_kernels_do_not_move_and_the_readout_learns():
    run = four_systems.train("dense sum", IMAGES, LABELS, [0], depth=3, freeze=True)
    assert run.moved.max() == 0 and run.losses[0, -1] < run.losses[0, 0]
