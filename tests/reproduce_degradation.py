"""The full form of lesson 7's experiment: deeper, more seeds, other widths, optimizers, rates and lengths.

    python tests/reproduce_degradation.py            # everything, a few CPU minutes
    python tests/reproduce_degradation.py table      # one part: table, variants or remedies

The notebook runs a smaller form of the table and of the remedies; nothing here is needed by it.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import torch

from helpers import datasets, remedies, training

RATES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
DATA = datasets.digits()


def run(
    remedy: str, depth: int, seeds: int = 5, width: int = 32, **options
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train one stack: training losses, test accuracies and first/last gradient ratios at the start, (seeds,) each."""
    network = remedies.build(remedy, range(seeds), depth, DATA.x_train, width)
    norms = remedies.stacked_gradient_norms(network, DATA.x_train, DATA.y_train)
    training.train_stacked(network, DATA.x_train, DATA.y_train, **options)
    losses, _ = training.evaluate_stacked(network, DATA.x_train, DATA.y_train)
    _, accuracies = training.evaluate_stacked(network, DATA.x_test, DATA.y_test)
    with np.errstate(invalid="ignore"):
        return losses, accuracies, norms[0] / norms[-1]


def spread(values: np.ndarray, digits: int = 4) -> str:
    """Write mean and standard deviation over the seeds."""
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}"


def table() -> None:
    """Training loss against depth, 10 seeds."""
    print("Digits, width 32, batch norm, SGD 0.05 / 0.9, batch 128, 220 steps, 10 seeds (mean ± deviation)")
    print(f"{'':14s} depth  training loss      test accuracy      first/last gradient at the start")
    for depth in (2, 8, 16, 24, 40):
        for remedy in ("plain + BN", "residual + BN"):
            losses, accuracies, ratios = run(remedy, depth, seeds=10)
            print(
                f"{remedy:14s} {depth:5d}  {spread(losses):17s}  {spread(accuracies, 3):17s}  {np.median(ratios):.3g}"
            )


def variants() -> None:
    """The same contrast at depth 24 under other settings, 5 seeds."""
    print("\nDepth 24, 5 seeds, training loss (mean ± deviation)")
    settings = {
        "as above": {},
        "width 128": {"width": 128},
        "Adam, rate 0.002": {"optimizer": lambda p: torch.optim.Adam(p, lr=0.002)},
        "10 times the steps": {"steps": 2200},
    }
    for name, options in settings.items():
        plain, residual = (run(remedy, 24, **options)[0] for remedy in ("plain + BN", "residual + BN"))
        print(f"{name:20s} plain {spread(plain)}   residual {spread(residual)}")


def all_remedies() -> None:
    """Every remedy at depth 24 at the best of seven learning rates, 5 seeds."""
    print("\nDepth 24, 220 steps, 5 seeds, best of the rates", *RATES)
    for remedy in remedies.REMEDIES:
        trials = {rate: run(remedy, 24, lr=rate) for rate in RATES}
        finite = [rate for rate in RATES if np.isfinite(trials[rate][0]).all()]
        best = min(finite, key=lambda rate: trials[rate][0].mean(), default=None)
        if best is None:
            print(f"{remedy:16s} diverges in at least one seed at every rate")
            continue
        losses, accuracies, _ = trials[best]
        diverged = [rate for rate in RATES if rate not in finite]
        note = f"diverges at {', '.join(map(str, diverged))}" if diverged else ""
        print(f"{remedy:16s} rate {best:<6g} loss {spread(losses)}  test {accuracies.mean():.3f}  {note}")


PARTS = {"table": table, "variants": variants, "remedies": all_remedies}

if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.filterwarnings("error")
    for part in sys.argv[1:] or PARTS:
        if part not in PARTS:
            sys.exit(f"no part is called {part!r}; choose from {', '.join(PARTS)}")
        PARTS[part]()
