"""The experiments behind lesson 8's section 8: ResNet against DenseNet on MNIST-1D, more seeds than a notebook has time for.

Not a test of `make test`. Results are kept under build/, so that what is interrupted goes on:

- `python -m tests.reproduce_densenet` makes all rows of `ROWS` (about half an hour) and writes helpers/densenet_runs.py,
  which the lesson reads.
- `python -m tests.reproduce_densenet row 7` makes one row only; `... write` writes what there is.
- `python -m tests.reproduce_densenet full` trains larger networks for 10 passes over all curves, five seeds, about ten
  minutes, and prints accuracy and CPU seconds.

A row for another processor runs in a process that emulates it (`course replicate` knows how).
"""

import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

from helpers import architectures, datasets, dense1d, training

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "build" / "reproduce_densenet"
SETS, SEEDS = 20, 5  # set k holds the seeds 1000 k to 1000 k + 4: those of the notebook with SEED = 1000 k
RATES = {0.025: 10, 0.05: 10, 0.1: SETS, 0.2: SETS, 0.4: SETS, 0.8: 10}  # learning rate -> sets
MAKERS = {
    "resnet8": lambda seeds: dense1d.resnet(8, 1, seeds),
    "densenet4": lambda seeds: dense1d.densenet(4, 2, seeds),
    "resnet16": lambda seeds: dense1d.resnet(16, 1, seeds),
}
SMALL = ("resnet8", "densenet4")

# (processor, network, rate, steps, curves, sets)
ROWS = [("plain", network, rate, 125, 2_500, sets) for rate, sets in RATES.items() for network in SMALL]
ROWS += [("plain", "resnet16", 0.2, 125, 2_500, SETS)]
ROWS += [(other, network, 0.2, 125, 2_500, SETS) for other in ("avx2", "baseline") for network in MAKERS]
ROWS += [("plain", network, rate, 500, 5_000, 4) for rate in (0.05, 0.1, 0.2, 0.4) for network in SMALL]

FULL = {
    "ResNet width 16, 2 blocks a stage": (dense1d.resnet, 16, 2, 9_850),
    "DenseNet k = 4, 4 layers a block": (dense1d.densenet, 4, 4, 4_090),
    "DenseNet k = 8, 3 layers a block": (dense1d.densenet, 8, 3, 8_942),
    "DenseNet k = 8, 5 layers a block": (dense1d.densenet, 8, 5, 21_454),
    "ResNet width 32, 3 blocks a stage": (dense1d.resnet, 32, 3, 56_938),
}


def row(index: int) -> Path:
    """Train the networks of one row, in a process that emulates its processor; give the file they are kept in."""
    from course.editions.replicate import processors

    processor = ROWS[index][0]
    path = KEPT / f"{'-'.join(map(str, ROWS[index]))}.json"
    if not path.is_file():
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **processors([processor])[processor]}
        command = [sys.executable, "-m", "tests.reproduce_densenet", "train", str(index), str(path)]
        subprocess.run(command, env=environment, cwd=ROOT, check=True)
    return path


def train(index: int, path: Path) -> None:
    """Train the networks of one row here and write how many test curves each seed classifies correctly."""
    torch.set_num_threads(1)
    _, network, rate, steps, curves, sets = ROWS[index]
    data = datasets.mnist1d(examples=curves)
    correct = []
    for start in range(0, 1000 * sets, 1000):
        nets = MAKERS[network](range(start, start + SEEDS))
        training.train_stacked(nets, data.x_train, data.y_train, steps=steps, batch=64, lr=rate)
        accuracy = training.evaluate_stacked(nets, data.x_test, data.y_test)[1]
        correct += [round(share * len(data.y_test)) for share in accuracy.tolist()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(correct), encoding="utf-8")


def write() -> None:
    """Write helpers/densenet_runs.py from the rows that there are."""
    from course.editions.replicate import libraries, processor_model

    lines = []
    for index, (processor, network, rate, steps, curves, sets) in enumerate(ROWS):
        path = KEPT / f"{'-'.join(map(str, ROWS[index]))}.json"
        if path.is_file():
            correct = " ".join(map(str, json.loads(path.read_text(encoding="utf-8"))))
            lines.append(f"{processor} {network} {rate} {steps} {curves} {sets}: {correct}")
    text = f'''"""Measured, not computed here: test curves that small networks classify correctly, seed by seed.

Written by `python -m tests.reproduce_densenet` on {datetime.date.today()}; never edited by hand.
{processor_model()}; {", ".join(libraries())}.

A row: processor, network, learning rate, steps, curves (four fifths to train on, one fifth to test on), sets: then the
number of correct test curves for the seeds 0 to {SEEDS - 1}, 1000 to {1000 + SEEDS - 1}, 2000 to {2000 + SEEDS - 1} and so on. `dense1d.measured` reads it.
"""

RUNS = """\\
{chr(10).join(lines)}
"""
'''
    (ROOT / "helpers" / "densenet_runs.py").write_text(text, encoding="utf-8")


def full(epochs: int = 10, batch: int = 128) -> None:
    """Train larger networks with two learning rates and print the table."""
    torch.set_num_threads(1)
    data = datasets.mnist1d()
    steps = epochs * training.steps_per_epoch(len(data.x_train), batch)
    training.train_stacked(dense1d.densenet(2, 1, [0]), data.x_train, data.y_train, steps=2)  # imports
    print(f"{'network':<34}{'parameters':>11}{'lr':>6}{'accuracy':>18}{'CPU s a seed':>14}")
    for name, (make, size, depth, parameters) in FULL.items():
        for lr in (0.05, 0.1):
            network = make(size, depth, range(SEEDS))
            assert architectures.parameter_count(network) == parameters * SEEDS
            start = time.process_time()
            training.train_stacked(network, data.x_train, data.y_train, steps=steps, batch=batch, lr=lr)
            seconds = (time.process_time() - start) / SEEDS
            accuracy = training.evaluate_stacked(network, data.x_test, data.y_test)[1]
            score = f"{accuracy.mean():.4f} +- {accuracy.std(ddof=1):.4f}"
            print(f"{name:<34}{parameters:>11,}{lr:>6}{score:>18}{seconds:>14.1f}", flush=True)


def main(words: list[str]) -> None:
    """Do what the command line says."""
    match words:
        case ["train", index, path]:
            train(int(index), Path(path))
        case ["row", index]:
            print(row(int(index)))
        case ["write"]:
            write()
        case ["full"]:
            full()
        case _:
            for index in range(len(ROWS)):
                print(row(index), flush=True)
            write()


if __name__ == "__main__":
    main(sys.argv[1:])
