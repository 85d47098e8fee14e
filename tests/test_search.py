"""What only searches promise."""

import numpy as np
import pytest

from dlref.training import Fold, cross_validate, grid, k_folds, search, successive_halving

FOLD = [Fold(np.array([0]), np.array([1]))]
nan = np.nan


def scores(values):
    return lambda candidate, train, validation, resource=None: values[candidate]


@pytest.mark.parametrize(
    ("values", "winner"),
    [([1.0, 3.0, 3.0], 1), ([nan, 1.0, nan], 1), ([-np.inf, nan], 0), ([np.inf, 1.0], 0)],
)
def test_the_first_of_equals_wins_and_nan_never(values, winner):
    candidates = range(len(values))
    assert search(scores(values), candidates, FOLD).best == winner
    assert successive_halving(scores(values), candidates, FOLD, 1, 2).best == winner


def test_refuses_by_name():
    with pytest.raises(ValueError, match="candidates: expected a score that is a number, got 2 candidates without"):
        search(scores([nan, nan]), range(2), FOLD)
    with pytest.raises(ValueError, match="candidates: expected"):
        search(scores([]), [], FOLD)
    with pytest.raises(ValueError, match="folds: expected at least one, got none"):
        cross_validate(scores([1.0]), 0, [])
    with pytest.raises(ValueError, match="space: expected values for 'lr', got none"):
        grid({"width": [1], "lr": []})
    with pytest.raises(ValueError, match="factor: expected an integer at least 2, got 1"):
        successive_halving(scores([1.0]), range(1), FOLD, 1, 1)
    with pytest.raises(ValueError, match="k: expected an integer from 2 to 4, got 5"):
        k_folds(4, 5)


def test_an_empty_grid_has_one_candidate():
    assert grid({}) == [{}]


def test_the_resource_is_handed_on_and_grows():
    seen = []

    def score(candidate, train, validation, resource):
        seen.append((candidate, resource, len(validation)))
        return candidate

    result = successive_halving(score, range(5), k_folds(6, 2), min_resource=3, factor=2)
    assert [r for _, r, _ in seen] == [3] * 10 + [6] * 6 + [12] * 4 and {n for _, _, n in seen} == {3}
    assert result.best == 4 and [t.resource for t in result.trials] == [3] * 5 + [6] * 3 + [12] * 2
