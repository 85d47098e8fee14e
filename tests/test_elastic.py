"""The elastic net refuses by name, repeats bit for bit, starts warm, and says so when it has not arrived."""

import numpy as np
import pytest

from dlref.models import elastic_net, elastic_net_path, ridge
from tests.cases.models.elastic import DOOR, factors


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


def test_says_when_it_has_not_arrived():
    x, y = factors(80, 40)
    model = elastic_net(x, y, 0.01, 1.0, tol=1e-12, max_epochs=5)
    assert not model.converged and model.epochs == model.history[-1, 0] == 5 and model.gap > 0
    assert abs(model.primal - model.dual - model.gap) <= 1e-12 * model.primal


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
