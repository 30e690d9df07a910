"""Pictures of shapes to be told from their background, and the parts of a small U-Net that does it.

A U-Net goes down, to ever smaller and deeper feature maps, and up again. What is kept on the way down can be handed
over to the way up, at equal height and width: the long skips. How that is done is not decided here: whoever trains a
net gives a function `forward(net, x)`.

Source: Ronneberger, Fischer and Brox, U-Net, arXiv 1505.04597. Here everything is small, convolutions keep the size,
and upsampling repeats pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Forward = Callable[["UNet", Tensor], Tensor]


def shapes(pictures: int, side: int = 16, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw pictures of three ellipses and a thin curve, with noise over them.

    Args:
        pictures: how many.
        side: height and width.
        seed: of all that is random.

    Returns:
        Pictures (pictures, 1, side, side), float32, shapes 1, background 0, noise of deviation 0.7; and the truth
        without noise (pictures, side, side), float32.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    truth = np.empty((pictures, side, side), bool)
    for shape in truth:
        centres, radii = rng.uniform(4, side - 4, (3, 2)), rng.uniform(2, 6, (3, 2))
        inside = [
            ((y - a) / r) ** 2 + ((x - b) / s) ** 2 < 1 for (a, b), (r, s) in zip(centres, radii, strict=True)
        ]
        angle, shift, phase = rng.uniform(0, np.pi), rng.uniform(-side / 4, side / 4), rng.uniform(0, 6)
        line = (x - side / 2) * np.cos(angle) + (y - side / 2) * np.sin(angle) - shift
        shape[:] = np.any(inside, 0) | (abs(line + 2 * np.sin((x + y) / 5 + phase)) < 0.7)
    noisy = truth + rng.normal(scale=0.7, size=truth.shape)
    return torch.from_numpy(noisy[:, None].astype(np.float32)), torch.from_numpy(truth.astype(np.float32))


def border(truth: Tensor) -> Tensor:
    """Tell which pixels have one of the other kind among their eight neighbours: (n, side, side) to bool of that shape."""
    dilated, eroded = (sign * F.max_pool2d(sign * truth[:, None], 3, 1, 1) for sign in (1, -1))
    return (dilated != eroded)[:, 0]


def iou(logits: Tensor, truth: Tensor) -> float:
    """Give intersection over union of what is above 0 and what is true.

    Args:
        logits, truth: one shape.

    Returns:
        A share: 1 if both agree, also that there is nothing; 0 if they have no pixel in common.
    """
    said, true = logits > 0, truth > 0.5
    either = (said | true).sum()
    return ((said & true).sum() / either).item() if either else 1.0


class UNet(nn.Module):
    """The parts of a U-Net: `down`, `up` in the order of their use, and `head`. It has no `forward`.

    `down[0]` works at full size, each further one at half the height and width; the last is the bottom. `up[0]` works one
    level above the bottom, the last one at full size; it takes the upsampled features and, with skips, behind them
    those of `down` of its level. `head` makes one number per pixel.

    Args:
        width: channels at full size; deeper levels have twice as many.
        levels: how often the size is halved.
        skips: whether `up` has room for what `down` hands over.
        seed: of the weights.

    Raises:
        ValueError: if there is no level.
    """

    def __init__(self, width: int = 8, levels: int = 3, skips: bool = True, seed: int = 0) -> None:
        super().__init__()
        if levels < 1:
            raise ValueError(f"UNet: levels is {levels}, give at least 1")
        self.skips = skips
        channels = [width] + levels * [2 * width]
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.down = nn.ModuleList(_layer(i, o) for i, o in zip([1, *channels], channels, strict=False))
            self.up = nn.ModuleList(
                _layer(channels[i + 1] + skips * channels[i], channels[i]) for i in reversed(range(levels))
            )
            self.head = nn.Conv2d(width, 1, 1)


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def example_net(width: int = 2, levels: int = 2, skips: bool = True, seed: int = 0) -> UNet:
    """Make a small untrained net whose norms are not the neutral ones, float64 and in evaluation mode.

    Its weights are drawn in float64, by numpy: torch's float32 draws differ from processor to processor in the last digit.

    Args:
        width, levels, skips, seed: as for `UNet`.

    Returns:
        The net.
    """
    net = UNet(width, levels, skips, seed).double().eval()
    random = np.random.default_rng(seed)
    with torch.no_grad():
        net.head.bias.zero_()
        for value in [*net.parameters(), *net.buffers()]:
            if value.ndim == 1:
                value.add_(torch.from_numpy(random.uniform(0, 0.5, value.shape)))
            elif value.ndim:
                bound = value[0].numel() ** -0.5  # torch's own for a convolution's weights
                value.copy_(torch.from_numpy(random.uniform(-bound, bound, value.shape)))
    return net


def train(
    net: UNet, forward: Forward, pictures: Tensor, truth: Tensor, *, steps: int, seed: int, lr: float = 0.01
) -> np.ndarray:
    """Train a net in place with Adam on 16 pictures an update; it is left in evaluation mode.

    Args:
        net: the net.
        forward: gives the logits (batch, side, side) of a net for pictures (batch, 1, side, side).
        pictures, truth: as from `shapes`.
        steps: how many updates.
        seed: of the choice of pictures.
        lr: learning rate.

    Returns:
        float64 (steps,): mean binary cross-entropy of each batch before its update, in nats.
    """
    draw, losses = torch.Generator().manual_seed(seed), []
    update = torch.optim.Adam(net.parameters(), lr=lr)
    net.train()
    for _ in range(steps):
        index = torch.randint(len(pictures), (16,), generator=draw)
        loss = F.binary_cross_entropy_with_logits(forward(net, pictures[index]), truth[index])
        update.zero_grad()
        loss.backward()
        update.step()
        losses.append(loss.item())
    net.eval()
    return np.array(losses)


def jacobian(net: UNet, forward: Forward, picture: Tensor) -> np.ndarray:
    """Differentiate all logits of one picture with respect to all its pixels.

    Args:
        net: in evaluation mode.
        forward: as for `train`.
        picture: (1, 1, side, side), of the net's dtype.

    Returns:
        (side², side²): row i holds the derivatives of logit i.
    """
    rows = torch.autograd.functional.jacobian(lambda x: forward(net, x).flatten(), picture)
    return rows.flatten(1).numpy()
