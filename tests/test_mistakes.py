"""The perceptrons refuse by name, stop where they are told, and their learning rate changes no prediction."""

import numpy as np
import pytest

from dlref.models import perceptron, perceptron_bound, perceptron_pocket
from tests.cases.models.mistakes import separable
from tests.cases.models.svm import cancer

LEARNERS = [perceptron, perceptron_bound, lambda x, y: perceptron_pocket(x, y, np.random.default_rng(0))]


@pytest.mark.parametrize("learn", LEARNERS)
def test_refuses_by_name(learn):
    for x, y, words in (
        ([[1.0]], [0], "y: expected labels -1 and 1, got 0"),
        ([[1.0]], [1, 1], r"y: expected shape \(1,\), got \(2,\)"),
        ([1.0], [1], "x: expected 2 dimensions, got 1"),
    ):
        with pytest.raises(ValueError, match=words):
            learn(x, y)


@pytest.mark.parametrize(("options", "words"), [({"lr": 0.0}, "lr: "), ({"max_mistakes": -1}, "max_mistakes: ")])
def test_refuses_options_by_name(options, words):
    with pytest.raises(ValueError, match=words):
        perceptron([[1.0]], [1], **options)


def test_the_learning_rate_scales_and_changes_nothing_else():
    x, y, _ = cancer(np.float64)
    one, half = (perceptron(x, y, lr=lr, max_epochs=5) for lr in (1.0, 0.5))
    assert (one.w == 2 * half.w).all() and (one.mistakes == half.mistakes).all()


@pytest.mark.parametrize("limit", [0, 1, 7])
def test_stops_after_so_many_mistakes(limit):
    x, y, _ = cancer(np.float64)
    found = perceptron(x, y, max_mistakes=limit)
    assert found.mistakes.sum() == limit and not found.converged


def test_the_pocket_ends_early_when_all_are_right():
    x, y = separable(np.random.default_rng(0), 40, 3, 1.0, True)
    found = perceptron_pocket(x, y, np.random.default_rng(1))
    assert found.converged and found.correct == 40 and found.steps < 10_000
    assert (y * (x @ found.w + found.intercept) > 0).all()


def test_an_intercept_is_the_weight_of_a_column_of_ones():
    x, y, _ = cancer(np.float64)
    x, ones = np.round(x * 1024) / 1024, np.ones((len(x), 1))
    for learn in (
        lambda x, **options: perceptron(x, y, max_epochs=5, **options),
        lambda x, **options: perceptron(x, y, max_mistakes=30, **options),
        lambda x, **options: perceptron_pocket(x, y, np.random.default_rng(2), max_steps=500, **options),
    ):
        within, beside = learn(np.hstack([x, ones]), intercept=False), learn(x)
        assert within.intercept == 0 and within.w.tolist() == [*beside.w, beside.intercept]
        plain = learn(x, intercept=False)
        assert plain.intercept == 0 and plain.w.tolist() != beside.w.tolist()
    x, y = separable(np.random.default_rng(0), 40, 3, 1.0, True)
    within, beside = perceptron_bound(np.hstack([x, ones[:40]]), y, intercept=False), perceptron_bound(x, y)
    assert within.intercept == 0 and within.bound == pytest.approx(beside.bound)
    assert beside.radius == pytest.approx(np.sqrt(1 + np.square(x).sum(axis=1).max()))


def test_averages_run_over_the_steps_that_were_taken():
    x, y, _ = cancer(np.float64)
    found, rows = perceptron(x, y, max_mistakes=12), np.column_stack([x, np.ones(len(x))])
    w, after, wrong = np.zeros(31), [], 0
    for row, label in zip(rows, y, strict=True):
        if wrong == 12:
            break
        if label * (row @ w) <= 0:
            w, wrong = w + label * row, wrong + 1
        after.append(w)
    assert wrong == 12 and len(after) < len(x), "within the first epoch"
    np.testing.assert_allclose([*found.averaged, found.averaged_intercept], np.mean(after, axis=0), atol=1e-12)


def test_no_rows_make_no_mistakes():
    found = perceptron(np.empty((0, 3)), [])
    assert found.converged and found.w.tolist() == [0, 0, 0] and found.mistakes.tolist() == [0]
