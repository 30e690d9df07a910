"""Two small data sets, made on the spot: scikit-learn's digits and MNIST-1D. Nothing is downloaded."""

from __future__ import annotations

import random
from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """A data set in two parts.

    Args:
        x_train, x_test: float32 arrays (examples, features).
        y_train, y_test: int64 arrays (examples,), classes 0 to 9.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def digits(seed: int = 0) -> Split:
    """Give scikit-learn's 8 x 8 digits, 1437 to train on and 360 to test on.

    Every pixel is centred, and all are divided by one deviation, both of the training part. (Each by its own
    would blow up the pixels at the rim, which are blank in nearly every image, to 50 deviations.) The split
    keeps the classes' shares.

    Args:
        seed: which examples are held out.

    Returns:
        Features (1437, 64) and (360, 64), row after row of the image, and their classes.

    Source:
        Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI (1998), as packaged by scikit-learn.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images, labels, test_size=360, stratify=labels, random_state=seed)
    x_train, x_test, y_train, y_test = parts
    centred, centred_test = x_train - x_train.mean(0), x_test - x_train.mean(0)
    deviation = np.sqrt(np.square(centred).mean())
    return _split(centred / deviation, y_train, centred_test / deviation, y_test)


def mnist1d(seed: int = 42, examples: int = 5000) -> Split:
    """Generate MNIST-1D: ten digit-like curves, shifted, sheared and noisy, on 40 points.

    Args:
        seed: of the generator; 42 with 5000 examples is the published data set's recipe.
        examples: how many in all, a multiple of 10; four fifths of them are for training.

    Returns:
        Features (4000, 40) and (1000, 40) with mean 0 and deviation 1 over all, and their classes.

    Raises:
        ValueError: if `examples` is not a positive multiple of 10.

    Source:
        Greydanus and Kobak, Scaling down deep learning with MNIST-1D, arXiv 2011.14439.
    """
    if examples < 10 or examples % 10:
        raise ValueError(f"mnist1d(examples={examples}): give a positive multiple of 10, one tenth a class")
    from mnist1d.data import get_dataset_args, make_dataset

    recipe = get_dataset_args()
    recipe.seed, recipe.num_samples = seed, examples
    # The package seeds the global generators; put them back as they were found.
    numpy_state, random_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        made = make_dataset(recipe)
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(random_state)
    return _split(made["x"], made["y"], made["x_test"], made["y_test"])


def _split(x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> Split:
    """Fix the dtypes: float32 features, int64 classes."""
    return Split(
        x_train.astype(np.float32),
        y_train.astype(np.int64),
        x_test.astype(np.float32),
        y_test.astype(np.int64),
    )
