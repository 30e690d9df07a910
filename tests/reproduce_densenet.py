"""The full form of lesson 8's experiment: ResNet against DenseNet on MNIST-1D, 10 epochs, 5 seeds.

Not a test of `make test`: it takes some minutes. `python -m tests.reproduce_densenet` prints one line a network with its
test accuracy (mean and standard deviation over the seeds) and what one seed costs; `python -m tests.reproduce_densenet
short` prints the lesson's own comparison at equal parameters for the three lengths of training that we tried.
"""

import sys
import time

import torch

from helpers import architectures, datasets, dense1d, training

SEEDS = range(5)
EPOCHS, BATCH = 10, 128
NETWORKS = {
    "ResNet width 16, 2 blocks a stage": (dense1d.resnet, 16, 2, 9_850),
    "DenseNet k = 4, 4 layers a block": (dense1d.densenet, 4, 4, 4_090),
    "DenseNet k = 8, 3 layers a block": (dense1d.densenet, 8, 3, 8_942),
    "DenseNet k = 8, 5 layers a block": (dense1d.densenet, 8, 5, 21_454),
    "ResNet width 32, 3 blocks a stage": (dense1d.resnet, 32, 3, 56_938),
}


SHORT = {(125, 2_500): "used in the lesson", (150, 3_000): "", (187, 5_000): ""}  # steps, curves


def short() -> None:
    """Print the gap at equal parameters for every setting that was tried while the lesson was written."""
    torch.set_num_threads(1)
    for (steps, examples), note in SHORT.items():
        data = datasets.mnist1d(examples=examples)
        accuracy = []
        for network in (dense1d.resnet(8, 1, SEEDS), dense1d.densenet(4, 2, SEEDS)):
            training.train_stacked(network, data.x_train, data.y_train, steps=steps, batch=64, lr=0.1)
            accuracy.append(training.evaluate_stacked(network, data.x_test, data.y_test)[1])
        narrow, dense = accuracy
        print(
            f"{steps} steps, {len(data.x_train):,} curves: ResNet {narrow.mean():.3f} +- {narrow.std(ddof=1):.3f}, "
            f"DenseNet {dense.mean():.3f} +- {dense.std(ddof=1):.3f}, gap {dense.mean() - narrow.mean():+.3f} {note}",
            flush=True,
        )


def main() -> None:
    """Train every network with two learning rates and print the table."""
    torch.set_num_threads(1)
    data = datasets.mnist1d()
    steps = EPOCHS * training.steps_per_epoch(len(data.x_train), BATCH)
    training.train_stacked(dense1d.densenet(2, 1, [0]), data.x_train, data.y_train, steps=2)  # imports
    print(f"{'network':<34}{'parameters':>11}{'lr':>6}{'accuracy':>18}{'CPU s a seed':>14}")
    for name, (make, size, depth, parameters) in NETWORKS.items():
        for lr in (0.05, 0.1):
            network = make(size, depth, SEEDS)
            assert architectures.parameter_count(network) == parameters * len(SEEDS)
            start = time.process_time()
            training.train_stacked(network, data.x_train, data.y_train, steps=steps, batch=BATCH, lr=lr)
            seconds = (time.process_time() - start) / len(SEEDS)
            accuracy = training.evaluate_stacked(network, data.x_test, data.y_test)[1]
            score = f"{accuracy.mean():.4f} +- {accuracy.std(ddof=1):.4f}"
            print(f"{name:<34}{parameters:>11,}{lr:>6}{score:>18}{seconds:>14.1f}", flush=True)


if __name__ == "__main__":
    short() if sys.argv[1:] == ["short"] else main()
