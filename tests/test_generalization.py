"""Expected errors refuse by name and keep the shape that they are given."""

import numpy as np
import pytest

from dlref.training import least_squares_errors


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((0, 1, 1.0, 1.0, 1.0), "n: expected an integer at least 1, got 0"),
        ((5, [1, 2], [1.0], [1.0], 1.0), r"used: expected shape \(2,\), got \(1,\)"),
        ((5, [1], [-1.0], [1.0], 1.0), "used: expected none that is negative, got -1"),
        ((5, [1], [1.0], [1.0], -1.0), "noise: expected a number in "),
    ],
)
def test_refuses_by_name(args, words):
    with pytest.raises(ValueError, match=words):
        least_squares_errors(*args)


def test_any_shape_and_two_descents():
    p = np.arange(1, 101).reshape(4, 25)
    errors = least_squares_errors(20, p, np.ones(p.shape), np.zeros(p.shape), 1.0)
    assert errors.test.shape == errors.train.shape == (4, 25)
    flat = errors.test.ravel()
    assert (np.diff(flat[:18]) > 0).all() and np.isinf(flat[18:21]).all() and (np.diff(flat[21:40]) < 0).all()
