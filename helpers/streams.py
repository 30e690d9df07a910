"""Streams: several side by side, mixed from layer to layer, and one that is a trajectory.

Hyper-connections carry n streams H (n, N). A layer mixes them with a matrix M (n, n), reads one input for its branch and
writes the branch's output back:

    H' = M H + write f(read H)

What the skips alone do to a signal over L layers is the product of the L matrices.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import expm


def free_mixers(layers: int, n: int, rng: np.random.Generator, spread: float = 0.2) -> np.ndarray:
    """Draw mixing matrices that are near the identity and not otherwise bound.

    Args:
        layers, n: how many matrices, and how many streams each mixes.
        rng: draws the normal entries.
        spread: deviation of an entry from the identity's.

    Returns:
        (layers, n, n), float64.
    """
    return np.eye(n) + spread * rng.normal(size=(layers, n, n))


def products(mixers: np.ndarray) -> np.ndarray:
    """Multiply mixing matrices up: what the first l layers do to the streams, for l = 1 to L.

    Args:
        mixers: (L, n, n), the first layer first.

    Returns:
        (L, n, n): entry l - 1 is M_l ... M_2 M_1.
    """
    product, found = np.eye(mixers.shape[-1]), []
    for mixer in mixers:
        product = mixer @ product
        found.append(product)
    return np.array(found)


def gain(product: np.ndarray) -> np.ndarray:
    """Give by how much a mixing matrix can enlarge a signal and a gradient.

    Args:
        product: (..., n, n).

    Returns:
        (..., 2): the largest sum of absolute values in a row (forward) and in a column (backward).

    Source:
        Xie et al., mHC: manifold-constrained hyper-connections, arXiv 2512.24880, measure these two.
    """
    size = abs(product)
    return np.stack([size.sum(-1).max(-1), size.sum(-2).max(-1)], -1)


SPIRAL = np.array([[-0.3, -3.0], [3.0, -0.3]])  # a field that turns and shrinks


def flow(start: np.ndarray, times: np.ndarray, field: np.ndarray = SPIRAL) -> np.ndarray:
    """Give the exact solution of dh/dt = A h.

    Args:
        start: h(0), (N,).
        times: (k,).
        field: A, (N, N).

    Returns:
        (k, N): h at each time.
    """
    return np.array([expm(t * field) @ start for t in times])


def residual_steps(start: np.ndarray, layers: int, scale: float, field: np.ndarray = SPIRAL) -> np.ndarray:
    """Give the stream of a residual network whose branches are all A h, times a scale.

    Args:
        start: h_0, (N,).
        layers: L.
        scale: of every branch; 1 / L makes it Euler's method for the time 1.
        field: A, (N, N).

    Returns:
        (L + 1, N): h_0 to h_L, with h_{l+1} = h_l + scale A h_l.
    """
    states = [np.asarray(start, float)]
    for _ in range(layers):
        states.append(states[-1] + scale * field @ states[-1])
    return np.array(states)
