"""What the ROC curve promises beyond the contract: it sees the order of the scores and nothing else."""

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from dlref.metrics import roc_auc, roc_auc_interval, roc_curve, roc_hull, trapezoid_area


@pytest.fixture
def sample(rng):
    target = rng.integers(0, 2, 200)
    return np.round(rng.normal(size=200) + target, 1), target


@pytest.mark.parametrize("rising", [np.exp, np.cbrt, lambda s: 3 * s - 7], ids=("exp", "cbrt", "affine"))
def test_only_the_order_counts(sample, rising):
    score, target = sample
    assert roc_auc(rising(score), target) == roc_auc(score, target)
    before, after = roc_curve(score, target), roc_curve(rising(score), target)
    np.testing.assert_array_equal(after[:2], before[:2])


def test_prevalence_does_not_count(sample):
    score, target = sample
    weight = np.where(target == 1, 1.0, 50.0)
    np.testing.assert_allclose(roc_curve(score, target, weight)[:2], roc_curve(score, target)[:2], rtol=1e-15)


def test_a_whole_weight_is_a_repetition(sample, rng):
    score, target = sample
    times = rng.integers(0, 4, len(score))
    weighted = roc_curve(score, target, times)
    for got, want in zip(weighted, roc_curve(score.repeat(times), target.repeat(times)), strict=True):
        np.testing.assert_array_equal(got, want)


def test_turning_the_scores_around_mirrors_the_curve(sample):
    score, target = sample
    assert roc_auc(-score, target) == pytest.approx(1 - roc_auc(score, target), rel=1e-15)
    assert roc_auc(score, 1 - target) == pytest.approx(1 - roc_auc(score, target), rel=1e-15)
    error = roc_auc_interval(score, target).error
    assert roc_auc_interval(-score, target).error == pytest.approx(error, rel=1e-14)


def test_booleans_are_labels(sample):
    score, target = sample
    assert roc_auc(score, target == 1) == roc_auc(score, target)


def test_a_nan_spoils_the_rate_of_its_class_alone():
    curve = roc_curve([np.nan, 2.0, 1.0], [1, 0, 1])
    assert np.isnan(curve.tpr).all()
    np.testing.assert_array_equal(curve.fpr, [0, 1, 1])


def test_slopes_of_the_hull_are_the_isotonic_regression(sample):
    """A theorem: the best non-decreasing probabilities are constant between the corners of the hull."""
    score, target = sample
    hull = roc_hull(score, target)
    assert trapezoid_area(hull.fpr, hull.tpr) >= roc_auc(score, target)
    probability = IsotonicRegression().fit(score, target).predict(score)
    positives, negatives = (target == 1).sum(), (target == 0).sum()
    gained, lost = np.diff(hull.tpr) * positives, np.diff(hull.fpr) * negatives
    found = (gained / (gained + lost))[np.searchsorted(-hull.threshold[1:], -score)]
    np.testing.assert_allclose(found, probability, atol=1e-12)
