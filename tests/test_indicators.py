"""What one-hot rows promise beyond the contract: what they refuse, and the identities that make them useful."""

import numpy as np
import pytest

from dlref.data import SparseRows, category_index, dense_rows, fit_categories, one_hot, one_hot_decode, one_hot_sparse


@pytest.mark.parametrize(
    ("call", "exception", "words"),
    [
        (lambda: one_hot([3], 3), ValueError, "index: expected integers from 0 to 2, got 3"),
        (lambda: one_hot([1.0], 3, "ignore"), TypeError, "index: expected integers, got float64"),
        (lambda: one_hot([1], 3, dtype=int), TypeError, "dtype: expected float32 or float64, got int64"),
        (lambda: one_hot([1], 3, "ignore", True), ValueError, "unknown: 'ignore' gives rows of zeros"),
        (lambda: one_hot_sparse([[1]], 3), ValueError, r"index: expected shape \(any,\), got \(1, 1\)"),
        (lambda: fit_categories([1.5]), TypeError, "values: expected strings or integers, got float64"),
        (lambda: category_index(["b"], ["b", "a"]), ValueError, "categories: expected sorted and distinct values"),
        (lambda: category_index(["q"], ["a"]), ValueError, "values: expected one of the 1 categories, got q"),
        (lambda: category_index([1], ["a"]), TypeError, "values: expected the type of categories"),
        (lambda: dense_rows(SparseRows([1.0], [0], [0, 2], 1)), ValueError, "rows.starts: expected integers from"),
        (lambda: dense_rows(SparseRows([1.0], [1], [0, 1], 1)), ValueError, "rows.columns: expected integers from"),
    ],
)
def test_refuses_by_name(call, exception, words):
    with pytest.raises(exception, match=words):
        call()


def test_codes_come_in_any_integer_type_and_layout():
    want = one_hot([[2, 0, 1], [1, 1, 0]], 3)
    for codes in (np.array([[2, 0, 1], [1, 1, 0]], np.uint8), np.array([[2, 1], [0, 1], [1, 0]], ">i4").T):
        np.testing.assert_array_equal(one_hot(codes, 3), want)
    assert one_hot(np.zeros((0, 4), int), 3).shape == (0, 4, 3) and one_hot(1, 3).tolist() == [0, 1, 0]


def test_any_two_categories_are_equally_far():
    y = one_hot(np.arange(9), 9, dtype=np.float64)
    apart = np.linalg.norm(y[:, None] - y, axis=-1)
    np.testing.assert_array_equal(apart, np.sqrt(2) * (1 - np.eye(9)))


def test_full_set_is_collinear_with_the_intercept(rng):
    index = rng.integers(0, 6, 100)
    ones = np.ones((100, 1))
    assert np.linalg.matrix_rank(np.hstack([ones, one_hot(index, 6)])) == 6
    assert np.linalg.matrix_rank(np.hstack([ones, one_hot(index, 6, drop_first=True)])) == 6


def test_decodes_what_was_encoded(rng):
    index = rng.integers(-1, 6, (20, 3))
    np.testing.assert_array_equal(one_hot_decode(one_hot(index, 6, "ignore")), index)
