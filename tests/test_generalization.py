"""Expected errors refuse by name and keep the shape that they are given."""

import numpy as np
import pytest

from dlref.training import least_squares_errors
from tests.cases.training.generalization import EDGES, by_wishart


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


def test_the_table_of_edges_agrees_with_inverse_wishart_means():
    compared = 0
    for edge in (edge for edge in EDGES if edge.function is least_squares_errors):
        n, p, used, unused = edge.args
        train, test = edge.gives
        for k, features in enumerate(p):
            if abs(features - n) > 1:
                want = by_wishart(np.array([features]), [used[k]], [unused[k]], n, edge.kwargs["noise"])
                np.testing.assert_allclose((train[k], test[k]), np.ravel(want), rtol=1e-12)
                compared += 1
    assert compared
