"""Pictures and U-Nets: borders by brute force, counts by hand, and what a bottleneck lets through."""

import numpy as np
import pytest
import torch

from helpers import segmentation
from tests.bank import COURSE, cells


def forward():
    """The lesson's own forward pass: the answer cell of its first exercise."""
    lesson = next(lesson for lesson in COURSE.written if lesson.topic == "what_came_after")
    names = {"torch": torch, "F": torch.nn.functional, "segmentation": segmentation}
    exec(
        next(source for role, name, source in cells(lesson) if (role, name) == ("answer", "unet_forward")),
        names,
    )
    return names["unet_forward"]


def test_shapes_are_what_the_noise_hides():
    pictures, truth = segmentation.shapes(40, 16, seed=3)
    assert pictures.shape == (40, 1, 16, 16) and truth.shape == (40, 16, 16)
    assert set(truth.unique().tolist()) == {0.0, 1.0}
    noise = pictures[:, 0] - truth  # 10,240 draws of deviation 0.7: their deviation is known to 0.005
    assert abs(noise.std().item() - 0.7) < 0.02 and abs(noise.mean().item()) < 0.03
    again, other = segmentation.shapes(40, 16, seed=3), segmentation.shapes(40, 16, seed=4)
    assert torch.equal(pictures, again[0]) and not torch.equal(truth, other[1])


def test_border_by_brute_force():
    truth = segmentation.shapes(3, 12, seed=5)[1]
    found = segmentation.border(truth)
    for n, i, j in np.ndindex(*truth.shape):
        around = truth[n, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
        assert bool(found[n, i, j]) == bool((around != truth[n, i, j]).any())


def test_iou_counts_pixels():
    said = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
    assert segmentation.iou(said, torch.tensor([[1.0, 1.0], [1.0, 0.0]])) == 2 / 4
    assert segmentation.iou(said, (said > 0).float()) == 1
    assert segmentation.iou(said, (said <= 0).float()) == 0
    assert segmentation.iou(-said.abs(), torch.zeros(2, 2)) == 1  # both say that there is nothing


@pytest.mark.parametrize(("width", "skips", "parameters"), [(8, True, 16_977), (10, False, 18_341)])
def test_parameters_counted_by_hand(width, skips, parameters):
    w = width
    convolutions = [(1, w), (w, 2 * w), (2 * w, 2 * w), (2 * w, 2 * w)]
    convolutions += [(2 * w + skips * i, o) for i, o in ((2 * w, 2 * w), (2 * w, 2 * w), (w, w))]
    count = sum(9 * i * o + 2 * o for i, o in convolutions) + w + 1
    assert count == parameters
    assert sum(p.numel() for p in segmentation.UNet(width, skips=skips).parameters()) == parameters


def test_a_net_needs_a_level():
    with pytest.raises(ValueError, match="levels is 0"):
        segmentation.UNet(levels=0)


def test_seeds_and_the_random_state_of_others():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    a, b, c = (segmentation.UNet(2, seed=s) for s in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(a.head.weight, b.head.weight) and not torch.equal(a.head.weight, c.head.weight)


def test_the_bottom_bounds_the_rank():
    picture = torch.randn(1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for skips in (True, False):
        net = segmentation.example_net(3, 2, skips, seed=1)
        J = segmentation.jacobian(net, forward(), picture)
        assert J.shape == (64, 64)
        rank = np.linalg.matrix_rank(J, rtol=1e-10)
        assert rank > 24 if skips else rank <= 6 * 2 * 2  # 2w channels of 2 x 2 pixels


def test_jacobian_against_differences():
    net, run = segmentation.example_net(2, 1, seed=2), forward()
    picture = torch.randn(1, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    J = segmentation.jacobian(net, run, picture)
    step = torch.zeros_like(picture)
    step[0, 0, 1, 2] = 1e-6
    with torch.no_grad():
        slope = (run(net, picture + step) - run(net, picture - step)).flatten() / 2e-6
    np.testing.assert_allclose(J[:, 6], slope, atol=1e-7)


def test_training_lowers_the_loss_and_ends_in_evaluation():
    pictures, truth = segmentation.shapes(64, 8, seed=1)
    runs = []
    for _ in range(2):
        net = segmentation.UNet(4, 2, seed=0)
        runs.append(segmentation.train(net, forward(), pictures, truth, steps=25, seed=0))
        assert not net.training
    assert np.array_equal(*runs) and runs[0][-5:].mean() < 0.8 * runs[0][0]
