"""The data sets: sizes, scale, the recipe they come from, and no trace in the global generators."""

import random

import numpy as np
import pytest
from sklearn.datasets import load_digits

from helpers import datasets


@pytest.mark.slow
@pytest.mark.parametrize(
    "load, train, test, features", [(datasets.digits, 1437, 360, 64), (datasets.mnist1d, 4000, 1000, 40)]
)
def test_sizes_and_dtypes(load, train, test, features):
    data = load()
    assert data.x_train.shape == (train, features) and data.x_test.shape == (test, features)
    assert data.y_train.shape == (train,) and data.y_test.shape == (test,)
    assert {a.dtype.name for a in (data.x_train, data.x_test)} == {"float32"}
    assert {a.dtype.name for a in (data.y_train, data.y_test)} == {"int64"}
    assert set(data.y_train) == set(data.y_test) == set(range(10))


def test_digits_are_standardised_by_the_training_part_only():
    data = datasets.digits()
    np.testing.assert_allclose(data.x_train.mean(0), 0, atol=1e-5)
    assert data.x_train.std() == pytest.approx(1, abs=1e-5)
    assert np.abs(data.x_test.mean(0)).max() > 0.01  # not standardised by itself
    assert max(np.abs(data.x_train).max(), np.abs(data.x_test).max()) < 5


def test_digits_parts_share_nothing_and_make_the_whole():
    """Undo the standardisation: within a class the values of a pixel are a line's image of the originals."""
    images, labels = load_digits(return_X_y=True)
    data = datasets.digits(seed=3)
    together = np.concatenate([data.x_train, data.x_test])
    classes = np.concatenate([data.y_train, data.y_test])
    for pixel in (10, 20, 42):
        for digit in (0, 7):
            order = np.argsort(images[labels == digit, pixel], kind="stable")
            ours, theirs = np.sort(together[classes == digit, pixel]), images[labels == digit, pixel][order]
            slope, offset = np.polyfit(theirs, ours, 1)
            np.testing.assert_allclose(ours, slope * theirs + offset, atol=1e-4)
    assert np.bincount(data.y_test).min() >= 34  # 360 / 10 = 36 a class, as in the whole


def test_another_seed_is_another_split():
    assert not np.array_equal(datasets.digits(0).y_train, datasets.digits(1).y_train)
    np.testing.assert_array_equal(datasets.digits(1).x_train, datasets.digits(1).x_train)


@pytest.mark.slow
def test_mnist1d_is_the_packages_recipe_and_leaves_the_generators_alone():
    from mnist1d.data import get_dataset_args, make_dataset

    published = make_dataset(get_dataset_args())
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    data = datasets.mnist1d()
    drawn = random.random(), np.random.rand()  # noqa: NPY002
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    assert drawn == (random.random(), np.random.rand())  # noqa: NPY002
    np.testing.assert_array_equal(data.x_train, published["x"].astype(np.float32))
    np.testing.assert_array_equal(data.y_test, published["y_test"])


@pytest.mark.parametrize("examples", [0, 7, 105, -10])
def test_mnist1d_refuses_odd_sizes(examples):
    with pytest.raises(ValueError, match="multiple of 10"):
        datasets.mnist1d(examples=examples)
