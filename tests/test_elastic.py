"""The elastic net refuses by name, repeats bit for bit, starts warm, and says so when it has not arrived."""

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet, enet_path

from dlref.models import elastic_net, elastic_net_epochs, elastic_net_optimality, elastic_net_path, ridge
from dlref.models.elastic import _descend, _Descent
from tests.cases.models.elastic import DOOR, epochs_by_definition, factors


@pytest.mark.parametrize(("options", "words"), DOOR, ids=lambda v: v if isinstance(v, str) else "")
def test_refuses_options_by_name(options, words):
    with pytest.raises(ValueError, match=words):
        elastic_net([[1.0], [2.0]], [1.0, 2.0], **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_repeats_bit_for_bit_and_leaves_its_arguments_alone(dtype):
    x, y = factors(80, 40, dtype)
    start = np.ones(40, dtype)
    before = x.copy(), y.copy()
    first, second = elastic_net(x, y, 0.1, start=start), elastic_net(x, y, 0.1, start=start)
    assert first.w.tobytes() == second.w.tobytes() and first.w.dtype == dtype
    assert (x == before[0]).all() and (y == before[1]).all() and (start == 1).all()


@pytest.mark.parametrize("limit", [5, 60])
def test_says_when_it_has_not_arrived(limit):
    x, y = factors(80, 40)
    model = elastic_net(x, y, 0.01, 1.0, tol=1e-12, max_epochs=limit)
    assert not model.converged and model.epochs == model.history[-1, 0] == limit and model.gap > 0
    assert abs(model.primal - model.dual - model.gap) <= 1e-12 * model.primal
    assert tuple(model.history[-1, 1:]) == (model.primal, model.dual, model.gap, model.violation)
    np.testing.assert_allclose(model.history[:, 1] - model.history[:, 2], model.history[:, 3], rtol=1e-9)


@pytest.mark.parametrize(("columns", "alpha", "tol"), [(5, 0.01, 1e-6), (40, 0.05, 1e-9)])
def test_counts_the_epochs_that_it_takes(columns, alpha, tol):
    x, y = factors(80, columns)
    model = elastic_net(x, y, alpha, 0.9, tol=tol)
    same, short = (elastic_net(x, y, alpha, 0.9, tol=tol, max_epochs=model.epochs - less) for less in (0, 1))
    assert same.converged and same.w.tobytes() == model.w.tobytes() and not short.converged


def test_an_epoch_that_moves_little_is_the_last_and_counts():
    x, y = factors(30, 7)
    rows, every, squares = np.ascontiguousarray(x.T), np.arange(7), np.square(x).sum(axis=0)
    for close, epochs in ((np.inf, 1), (0.0, 9)):
        assert _descend(rows, every, every, squares, 0.0, 0.0, close, 9, np.zeros(7), y.copy()) == epochs


def test_inner_products_grow_with_the_columns():
    x, y = factors(30, 7)
    descent = _Descent(x, y, np.zeros(7))
    for new in ([4, 1], [1, 6, 0]):
        descent.places(np.array(new))
        gram = descent.products()[: descent.kept, : descent.kept]
    kept = x[:, [4, 1, 6, 0]]
    np.testing.assert_allclose(gram, kept.T @ kept, rtol=1e-13)


def test_by_default_the_problem_is_that_of_scikit_learn():
    x, y = factors(80, 40)
    x, y = x + 5, y + 50
    model, other = elastic_net(x, y), ElasticNet(tol=1e-12).fit(x, y)
    assert model.gap <= 1e-6 * model.history[0, 1]
    assert np.linalg.norm(model.w - other.coef_) <= 2 * np.sqrt(model.gap), "a quarter of the squared distance"
    found = elastic_net_optimality(x, y, other.coef_)
    assert found.gap < 1e-9 * found.primal and found.intercept == pytest.approx(other.intercept_)
    path, alphas = elastic_net_path(x, y), enet_path(x - x.mean(axis=0), y - y.mean(), tol=0.1)[0]
    np.testing.assert_allclose(path.alphas, alphas, rtol=1e-9)
    assert path.converged.all() and (path.gap <= 1e-6 * model.history[0, 1]).all()
    start = np.ones(40)
    np.testing.assert_allclose(elastic_net_epochs(x, y, start), epochs_by_definition(x, y, start, 1.0, 0.5, 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tolerance_of_zero_ends_at_the_rounding_floor(dtype):
    x, y = factors(80, 40, dtype)
    model = elastic_net(x, y, 0.05, 0.5, tol=0.0, max_epochs=5000)
    assert model.gap <= 1e3 * np.finfo(dtype).eps * model.history[0, 1]


def test_a_warm_start_saves_epochs_and_the_optimum_is_the_same():
    x, y = factors(300, 60)
    cold = elastic_net(x, y, 0.05, 1.0, tol=1e-10)
    near = elastic_net(x, y, 0.06, 1.0, tol=1e-10)
    warm = elastic_net(x, y, 0.05, 1.0, start=near.w, tol=1e-10)
    assert warm.epochs < cold.epochs and np.abs(warm.w - cold.w).max() < 1e-4
    assert elastic_net(x, y, 0.05, 1.0, start=cold.w, tol=1e-9).epochs == 0


def test_the_limit_of_no_l1_is_ridge_with_n_times_the_penalty():
    x, y = factors(50, 12)
    net, closed = elastic_net(x, y, 0.3, 0.0, tol=1e-14), ridge(x, y, 0.3 * 50)
    assert np.abs(net.w - closed.w).max() < 1e-6 and abs(net.intercept - closed.intercept) < 1e-6


def test_paths_of_no_penalties_are_empty():
    path = elastic_net_path([[1.0], [2.0]], [1.0, 2.0], alphas=np.empty(0))
    assert path.w.shape == (0, 1) and path.gap.shape == (0,)
