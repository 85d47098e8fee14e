"""Learning curves refuse by name; the least errors stand where they must."""

import numpy as np
import pytest

from dlref.training import best_linear_error, learning_curve, normal_bayes_error


@pytest.mark.parametrize(
    ("n", "sizes", "repeats", "words"),
    [
        (5, [6], 1, "sizes: expected an integer from 1 to 5, got 6"),
        (5, [0], 1, "sizes: expected an integer from 1 to 5, got 0"),
        (0, [1], 1, "n: expected an integer at least 1, got 0"),
        (5, [1], 0, "repeats: expected an integer at least 1, got 0"),
    ],
)
def test_refuses_by_name(n, sizes, repeats, words):
    with pytest.raises(ValueError, match=words):
        learning_curve(lambda rows: (0.0, 0.0), n, sizes, np.random.default_rng(0), repeats)


def test_a_curve_of_no_sizes_is_empty():
    curve = learning_curve(lambda rows: (0.0, 0.0), 3, [], np.random.default_rng(0), 2)
    assert curve.train.shape == curve.test.shape == (2, 0)


def test_the_bayes_error_falls_with_the_distance_and_never_exceeds_the_rarer_share():
    far = [normal_bayes_error([0.0], [d], [[1.0]], 0.2) for d in np.linspace(0, 8, 30)]
    assert (np.diff(far) < 1e-15).all() and far[0] == 0.2 and far[-1] < 1e-4


def test_a_feature_more_is_never_worse():
    joint = np.cov(np.random.default_rng(0).normal(size=(30, 6)).T)
    errors = [best_linear_error(joint[:d, :d], joint[:d, 5], joint[5, 5]) for d in range(1, 6)]
    assert (np.diff(errors) <= 1e-12).all()
