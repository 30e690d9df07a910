"""The full form of lesson 7's experiment: deeper, more seeds, other widths, optimizers, rates and lengths.

    python tests/reproduce_degradation.py            # everything, about ten CPU minutes
    python tests/reproduce_degradation.py table      # one part: table, variants, remedies, patience, rates or twins

The notebook runs a smaller form of the table, of the remedies and of the twins; the rates that it uses,
`helpers.remedies.THREE_PASSES`, are those that the part `rates` finds.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import torch

from helpers import datasets, remedies, training

RATES = tuple(0.0001 * 2**k for k in range(15))  # 0.0001 to 1.6
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
    """Every remedy at depth 24 at the best of fifteen learning rates, 220 steps, 5 seeds."""
    print("\nDepth 24, 220 steps, 5 seeds, best of the rates", *(f"{rate:.4g}" for rate in RATES))
    for remedy in remedies.REMEDIES:
        trials = {rate: run(remedy, 24, lr=rate) for rate in RATES}
        finite = [rate for rate in RATES if np.isfinite(trials[rate][0]).all()]
        best = min(finite, key=lambda rate: trials[rate][0].mean())
        losses, accuracies, _ = trials[best]
        note = f"diverges from {min(set(RATES) - set(finite)):.4g}" if len(finite) < len(RATES) else ""
        print(f"{remedy:16s} rate {best:<7.4g} loss {spread(losses)}  test {accuracies.mean():.3f}  {note}")


def patience() -> None:
    """The residual network without normalisation, given 220 steps: small rates, and Adam."""
    print("\nDepth 24, residual without normalisation, 220 steps, 5 seeds")
    for rate in (0.0005, 0.001, 0.002):
        print(f"SGD, rate {rate:<7g} loss {spread(run('residual', 24, lr=rate)[0], 2)}")
    for rate in (0.001, 0.003):
        losses = run("residual", 24, optimizer=lambda p, rate=rate: torch.optim.Adam(p, lr=rate))[0]
        print(f"Adam, rate {rate:<6g} loss {spread(losses, 2)}")


def rates() -> None:
    """The best learning rate of every remedy for three passes, on the networks with seeds 100 to 104."""
    print("\nDepth 24, 33 steps, seeds 100 to 104: mean loss over steps 23 to 33 at each rate")
    for remedy in remedies.REMEDIES:
        means = []
        for rate in RATES:
            network = remedies.build(remedy, range(100, 105), 24, DATA.x_train).float()
            losses = training.train_stacked(network, DATA.x_train, DATA.y_train, steps=33, lr=rate)
            means.append(losses[-11:].mean())
        best = RATES[np.nanargmin(means)]
        print(f"{remedy:16s} best {best:<7.4g}", " ".join(f"{mean:.3f}" for mean in means))


def twins() -> None:
    """How far twins come apart within 22 steps, with and without normalisation and shortcuts, at several rates."""
    print("\nDepth 24, 5 seeds: distance of twins (median after ten steps, largest), loss in steps 18 to 22")
    for remedy in ("plain + BN", "residual + BN", "He init", "orthogonal init"):
        for rate in (0.0005, 0.005, 0.05):
            one, other = (
                remedies.nudged_losses(
                    remedy, range(5), 24, DATA.x_train, DATA.y_train, 22, lr=rate, nudge=nudge
                )
                for nudge in (0.0, 1e-10)
            )
            apart = np.abs(one - other)
            print(
                f"{remedy:16s} rate {rate:<7g} {np.median(apart[10]):.0e} {apart.max():.0e}  loss {one[-5:].mean():.2f}"
            )


PARTS = {
    "table": table,
    "variants": variants,
    "remedies": all_remedies,
    "patience": patience,
    "rates": rates,
    "twins": twins,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.filterwarnings("error")
    for part in sys.argv[1:] or PARTS:
        if part not in PARTS:
            sys.exit(f"no part is called {part!r}; choose from {', '.join(PARTS)}")
        PARTS[part]()
