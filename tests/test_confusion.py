"""What the confusion table promises beyond the contract: identities between the numbers that are read from it."""

import numpy as np
import pytest

from dlref.metrics import accuracy, average_precision, confusion_matrix, f_beta, matthews, precision


@pytest.fixture
def labels(rng):
    return rng.integers(0, 4, (2, 300))


def test_micro_averages_are_the_accuracy(labels):
    table = confusion_matrix(*labels, classes=4)
    assert precision(table, "micro") == accuracy(table) == f_beta(table, average="micro")
    assert accuracy(table) == (labels[0] == labels[1]).mean()


def test_tables_of_parts_add_up(labels):
    whole = confusion_matrix(*labels, classes=4)
    parts = [confusion_matrix(*labels[:, k : k + 100], classes=4) for k in (0, 100, 200)]
    np.testing.assert_array_equal(sum(parts), whole)


def test_a_whole_weight_is_a_repetition(labels, rng):
    times = rng.integers(0, 4, 300)
    weighted = confusion_matrix(*labels, classes=4, weight=times)
    np.testing.assert_array_equal(weighted, confusion_matrix(*labels.repeat(times, axis=1), classes=4))


def test_images_are_counted_as_their_pixels(labels):
    images = labels.reshape(2, 3, 10, 10)
    np.testing.assert_array_equal(confusion_matrix(*images, classes=4), confusion_matrix(*labels, classes=4))


def test_beta_zero_is_precision_and_beta_large_is_recall():
    table = [[50, 8], [3, 11]]
    assert f_beta(table, beta=0) == precision(table)
    assert f_beta(table, beta=1e9) == pytest.approx(11 / 14)


def test_matthews_is_the_correlation_of_two_columns(labels):
    truth, call = labels > 1
    assert matthews(confusion_matrix(call, truth)) == pytest.approx(np.corrcoef(call, truth)[0, 1], rel=1e-12)


def test_average_precision_without_ties_is_the_mean_precision_at_the_positives(rng):
    target = rng.permutation(np.arange(60) % 3 == 0)
    ranks = np.flatnonzero(target) + 1
    want = np.mean(np.arange(1, len(ranks) + 1) / ranks)
    assert average_precision(-np.arange(60), target) == pytest.approx(want, rel=1e-14)
