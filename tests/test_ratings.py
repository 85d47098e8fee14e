"""Factorizations refuse by name, repeat bit for bit, and stop where they are told."""

import numpy as np
import pytest

from dlref.models import factorize_als, factorize_sgd, neighbor_ratings, rating_scores
from tests.cases.models.ratings import some

ONE = [0], [0], [1.0]
REFUSED = [
    (lambda: factorize_als(*ONE, [[1.0]], (1, 2)), r"start: expected shape \(2, any\), got \(1, 1\)"),
    (lambda: factorize_als([3], [0], [1.0], [[1.0]], (1, 1)), "users: expected integers from 0 to 0, got 3"),
    (lambda: factorize_als(*ONE, [[1.0]], (0, 1)), r"shape\[0\]: expected an integer at least 1, got 0"),
    (lambda: factorize_als([0, 0], [0, 0], [1.0, 2.0], [[1.0]], (1, 1)), "users, items: expected every pair once"),
    (lambda: factorize_als(*ONE, [[1.0]], (1, 1), alpha=-1.0), "alpha: expected a number in "),
    (lambda: factorize_sgd([], [], [], ([[1.0]], [[1.0]]), np.random.default_rng(0)), "ratings: expected at least one"),
    (
        lambda: factorize_sgd(*ONE, ([[1.0]], [[1.0, 2.0]]), np.random.default_rng(0)),
        r"start\[1\]: expected shape \(any, 1\)",
    ),
    (lambda: factorize_als(*ONE, [[np.nan]], (1, 1)), "start: expected finite numbers, got nan"),
    (lambda: factorize_sgd(*ONE, ([[np.nan]], [[1.0]]), np.random.default_rng(0)), "start: expected finite numbers"),
    (lambda: factorize_sgd(*ONE, ([[1.0]], [[np.inf]]), np.random.default_rng(0)), "start: expected finite numbers"),
    (lambda: neighbor_ratings(*ONE, (1, 1), [0], [0], kind="both"), "kind: expected one of 'user', 'item', got 'both'"),
    (lambda: neighbor_ratings(*ONE, (1, 1), [0], [0], k=0), "k: expected an integer at least 1, got 0"),
]


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=lambda v: v[:30] if isinstance(v, str) else "")
def test_refuses_by_name(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_scores_want_a_model():
    with pytest.raises(TypeError, match="model: expected Factors or BiasedFactors, got float"):
        rating_scores(1.0, [0], [0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_repeats_bit_for_bit_and_leaves_its_arguments_alone(dtype):
    users, items, ratings, shape = some(np.random.default_rng(0))
    ratings, start = ratings.astype(dtype), np.ones((9, 2), dtype)
    first, second = (factorize_als(users, items, ratings, start, shape, max_sweeps=3) for _ in range(2))
    assert first.v.tobytes() == second.v.tobytes() and first.u.dtype == dtype and (start == 1).all()
    assert len(first.objective) == 3 and not first.converged
    begin = np.ones((12, 2), dtype), start
    runs = [factorize_sgd(users, items, ratings, begin, np.random.default_rng(1), epochs=2) for _ in range(2)]
    assert runs[0].u.tobytes() == runs[1].u.tobytes() and runs[0].user_bias.dtype == dtype
    assert (begin[0] == 1).all() and (start == 1).all()


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_the_violation_is_the_gradient_before_each_side_moves(missing):
    decides = set()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        users, items, ratings, shape = some(rng)
        table, weight = np.zeros(shape), np.full(shape, missing)
        table[users, items], weight[users, items] = ratings, 1
        args = users, items, ratings, rng.normal(size=(9, 4)), shape, 0.3, missing, 0.0
        before, after = factorize_als(*args, 1), factorize_als(*args, 2)
        sides = (table, weight, before.u, before.v), (table.T, weight.T, before.v, after.u)
        worst = []
        for wanted, weights, own, other in sides:
            gradient = (weights * (wanted - own @ other.T)) @ other - 0.3 * own
            worst.append(np.abs(gradient).max() / np.abs(wanted @ other).max())
        decides.add(int(np.argmax(worst)))
        assert after.violation == pytest.approx(max(worst)) and not after.converged
    assert decides == {0, 1}, "users in some, items in others"


def test_ends_at_its_tolerance():
    users, items, ratings, shape = some(np.random.default_rng(0))
    model = factorize_als(users, items, ratings, np.ones((9, 1)), shape, tol=1e-8, max_sweeps=1000)
    assert model.converged and model.violation <= 1e-8 and len(model.objective) < 1000
