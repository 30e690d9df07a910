"""Lesson 2 trains its four systems at one rate: this tries others. `python -m tests.reproduce_four_systems`

One line per system, optimiser and rate: the loss after 20 updates, mean of three networks (guessing is 2.30; a
constant output that has learnt how frequent each label is gets a little below it).
"""

from __future__ import annotations

import numpy as np
import torch

from helpers import convolution, four_systems

RATES = {"SGD": (0.01, 0.1, 1.0), "Adam": (0.001, 0.01, 0.1)}


def main() -> None:
    """Print the grid."""
    torch.set_num_threads(1)
    draw = np.random.default_rng(7)
    images = torch.tensor(draw.normal(size=(20, 8, 8)), dtype=torch.float32)
    labels = torch.tensor(draw.integers(0, 10, 20))
    for system in convolution.STEPS:
        for optimiser, rates in RATES.items():
            for rate in rates:
                run = four_systems.train(
                    system, images, labels, range(3), steps=20, rate=rate, optimiser=optimiser
                )
                print(
                    f"{system:19s} {optimiser:4s} {rate:5g}: loss {run.losses[:, -1].mean():.2f}", flush=True
                )


if __name__ == "__main__":
    main()
