"""Slices through the loss surface of a network, and how much of them is not convex.

Source: Li et al. 2018, "Visualizing the loss landscape of neural nets", arXiv 1712.09913.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from helpers.paths import BlockNet
from helpers.training import stacked_loss


def weight_names(net: BlockNet) -> list[str]:
    """Name the weight matrices of a network: its parameters without biases and norms.

    Args:
        net: the network.

    Returns:
        The names, in the order of registration; each parameter has the shape (S, units, inputs).
    """
    return [name for name, p in net.named_parameters() if name.endswith("weight") and p.ndim == 3]


def random_direction(net: BlockNet, seed: int) -> dict[str, Tensor]:
    """Draw a random direction for the weights, standard normal and of no particular length.

    Args:
        net: the network.
        seed: of the draw.

    Returns:
        name -> tensor of that weight's shape and dtype, for every name of `weight_names`.
    """
    random = torch.Generator().manual_seed(seed)
    weights = dict(net.named_parameters())
    return {
        name: torch.randn(weights[name].shape, generator=random, dtype=weights[name].dtype)
        for name in weight_names(net)
    }


def surface(
    net: BlockNet, seeds: tuple[int, int], radius: float, points: int, x: Tensor, y: Tensor
) -> np.ndarray:
    """Evaluate the loss on a square around the weights, in two random filter-normalised directions.

    The weights into a unit are moved by a random vector as long as they are; biases and norms stay.

    Args:
        net: in evaluation mode, left as it is.
        seeds: of the two directions.
        radius: the square reaches from -radius to radius in both; 1 moves a unit's weights by their own length.
        points: grid points a side.
        x, y: examples (m, inputs) and their classes (m,).

    Returns:
        (S, points, points) mean losses, in nats, float64; [:, i, j] lies at (steps[i], steps[j]).

    Source: Li et al. 2018, arXiv 1712.09913, section 4.
    """
    weights = {name: dict(net.named_parameters())[name].detach() for name in weight_names(net)}
    plane = []
    for seed in seeds:
        direction = random_direction(net, seed)
        plane.append(
            {
                n: d * weights[n].norm(dim=2, keepdim=True) / d.norm(dim=2, keepdim=True)
                for n, d in direction.items()
            }
        )
    steps = np.linspace(-radius, radius, points)
    result = np.empty((len(net.seeds), points, points))
    with torch.no_grad():
        for i, a in enumerate(steps):
            for j, b in enumerate(steps):
                moved = {n: w + a * plane[0][n] + b * plane[1][n] for n, w in weights.items()}
                logits = torch.func.functional_call(net, moved, (x,))
                result[:, i, j] = stacked_loss(logits.double(), y.expand(len(logits), -1)).numpy()
    return result


def curvatures(heights: np.ndarray, spacing: float) -> np.ndarray:
    """Give the principal curvatures of a surface: the eigenvalues of its Hessian, by central differences.

    Args:
        heights: (..., rows, columns), at least 3 by 3.
        spacing: distance of neighbouring grid points.

    Returns:
        (..., rows - 2, columns - 2, 2): the smaller and the larger one at every inner point.

    Raises:
        ValueError: if the surface is too small to have an inner point.
    """
    if min(heights.shape[-2:]) < 3:
        raise ValueError(f"curvatures(heights of shape {heights.shape}): need at least 3 by 3 points")
    centre = heights[..., 1:-1, 1:-1]
    hessian = np.empty((*centre.shape, 2, 2))
    hessian[..., 0, 0] = heights[..., 2:, 1:-1] - 2 * centre + heights[..., :-2, 1:-1]
    hessian[..., 1, 1] = heights[..., 1:-1, 2:] - 2 * centre + heights[..., 1:-1, :-2]
    corners = heights[..., 2:, 2:] - heights[..., 2:, :-2] - heights[..., :-2, 2:] + heights[..., :-2, :-2]
    hessian[..., 0, 1] = hessian[..., 1, 0] = corners / 4
    return np.linalg.eigvalsh(hessian) / spacing**2


def non_convex_share(heights: np.ndarray, spacing: float) -> np.ndarray:
    """Give the share of inner points of a surface that have a negative curvature.

    Args:
        heights: (..., rows, columns), at least 3 by 3.
        spacing: distance of neighbouring grid points.

    Returns:
        (...,) shares from 0 to 1.
    """
    return (curvatures(heights, spacing)[..., 0] < 0).mean((-2, -1))
