"""Ridge regression refuses by name, shrinks as it promises, and without a penalty finds the shortest solution."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from dlref.models import ridge, ridge_path
from tests.cases.models.shrinkage import DOOR, diabetes


@pytest.mark.parametrize(("args", "kwargs", "exception", "words"), DOOR, ids=lambda v: v if isinstance(v, str) else "")
def test_refuses_by_name(args, kwargs, exception, words):
    with pytest.raises(exception, match=words):
        ridge(*args, **kwargs)


@pytest.mark.parametrize(("options", "words"), [({"alpha": -1}, "alpha: "), ({"method": "lu"}, "method: ")])
def test_refuses_options_by_name(options, words):
    with pytest.raises(ValueError, match=words):
        ridge([[1.0], [2.0]], [1.0, 2.0], **options)


def test_by_default_the_problem_is_that_of_scikit_learn_and_the_objective_its_minimum():
    x, y = diabetes(np.float64)
    found, other = ridge(x, y), Ridge().fit(x, y)
    np.testing.assert_allclose([*found.w, found.intercept], [*other.coef_, other.intercept_], rtol=1e-9)
    penalty = other.coef_ @ other.coef_
    want = np.square(y - other.predict(x)).sum() + penalty
    assert found.objective == pytest.approx(want, rel=1e-12) and penalty > 1e-6 * want


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_length_falls_and_residual_grows(dtype):
    x, y = diabetes(dtype)
    path = ridge_path(x, y, np.logspace(-2, 4, 25))
    assert path.w.dtype == path.gcv.dtype == dtype
    assert (np.diff(np.linalg.norm(path.w, axis=1)) < 0).all() and (np.diff(path.rss) > 0).all()
    assert (np.diff(path.df) < 0).all() and 1 < path.df.min() and path.df.max() < 11


def test_no_penalty_by_svd_is_the_pseudoinverse():
    rng = np.random.default_rng(0)
    x, y = np.repeat(rng.normal(size=(12, 4)), 2, axis=1), rng.normal(size=12)
    want = np.linalg.pinv(x - x.mean(axis=0)) @ (y - y.mean())
    assert np.abs(ridge(x, y, 0.0, method="svd").w - want).max() < 1e-12
    assert np.abs(ridge_path(x, y, [0.0]).w[0] - want).max() < 1e-12


def test_far_from_the_origin_in_float32():
    x, y = (v.astype(np.float32) for v in diabetes(np.float64))
    near, far = ridge(x, y, 1.0), ridge(x + np.float32(64.0), y + np.float32(1024.0), 1.0)
    assert np.abs(near.w - far.w).max() < 1e-3 * np.abs(near.w).max()
