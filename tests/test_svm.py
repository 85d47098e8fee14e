"""The machines refuse by name, repeat bit for bit, and say so when they have not arrived."""

import numpy as np
import pytest

from dlref.models import svm_linear, svm_smo
from tests.cases.models.svm import DOOR, cancer


def seeded(x, y, **options):
    return svm_linear(x, y, np.random.default_rng(0), **options)


@pytest.mark.parametrize("train", [svm_smo, seeded])
@pytest.mark.parametrize(("args", "exception", "words"), DOOR, ids=lambda v: v if isinstance(v, str) else "")
def test_refuses_by_name(train, args, exception, words):
    with pytest.raises(exception, match=words):
        train(*args)


@pytest.mark.parametrize("train", [svm_smo, seeded])
@pytest.mark.parametrize("options", [{"C": 0.0}, {"C": np.nan}, {"tol": -1.0}])
def test_refuses_options_by_name(train, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        train([[0.0], [1.0]], [-1, 1], **options)


@pytest.mark.parametrize("train", [svm_smo, seeded])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_repeats_bit_for_bit_keeps_the_dtype_and_its_arguments(train, dtype):
    x, y, _ = cancer(dtype)
    before = x.copy(), y.copy()
    first, second = train(x, y), train(x, y)
    assert first.coefficients.tobytes() == second.coefficients.tobytes()
    assert first.coefficients.dtype == first.vectors.dtype == dtype
    assert (x == before[0]).all() and (y == before[1]).all()
    assert (first.vectors == x[first.support]).all()


@pytest.mark.parametrize(("train", "limit"), [(svm_smo, "max_steps"), (seeded, "max_epochs")])
def test_says_when_it_has_not_arrived(train, limit):
    x, y, _ = cancer(np.float64)
    model = train(x, y, tol=1e-9, **{limit: 7})
    assert not model.converged and model.gap > 1e-9 * model.primal and model.history[-1, 0] == 7
    assert abs(model.primal - model.dual - model.gap) <= 1e-12 * model.primal


@pytest.mark.parametrize("train", [svm_smo, seeded])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tolerance_of_zero_ends_at_the_rounding_floor(train, dtype):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(30, 2)).astype(dtype)
    model = train(x, np.where(x[:, 0] > 0.2, 1, -1), tol=0.0)
    assert model.gap <= 1e3 * np.finfo(dtype).eps * model.primal


@pytest.mark.parametrize("train", [svm_smo, seeded])
def test_duplicates_with_both_labels_end(train):
    assert train([[1.0], [1.0], [3.0]], [-1, 1, 1], C=2.0, tol=1e-6).converged
