"""The machines refuse by name, repeat bit for bit, and say so when they have not arrived."""

import numpy as np
import pytest

from dlref.models import svm_linear, svm_optimality, svm_smo
from tests.cases.models.svm import DOOR, SIGNS, cancer, certificate_by_search


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
    assert tuple(model.history[-1, 1:]) == (model.primal, model.dual, model.gap, model.violation)
    np.testing.assert_allclose(model.history[:, 1] - model.history[:, 2], model.history[:, 3], rtol=1e-9)


def test_certificates_hold_wherever_the_bounds_are():
    for seed in range(60):
        half = np.random.default_rng(seed).normal(size=(7, 7))
        k, y = half + half.T, SIGNS if seed % 2 else -SIGNS  # indefinite: any of the points may decide
        alpha = np.array([10.0, 15.0, 20.0, 20.0, 0.0, 0.0, 5.0])  # in both classes one at 0, one at C and one between
        want = certificate_by_search(k, y, alpha, 20.0)
        np.testing.assert_allclose(svm_optimality(k, y, alpha, 20.0), want, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("C", "epochs"), [(0.01, 2), (0.01, 5000), (1.0, 5)])
def test_without_a_kernel_the_violation_is_that_of_its_definition(dtype, C, epochs):
    x, y, _ = cancer(dtype)
    model, alpha = seeded(x, y, C=C, tol=0.0, max_epochs=epochs), np.zeros(len(x), dtype)
    alpha[model.support] = np.abs(model.coefficients)
    excess = y * (x.astype(float) @ model.w + model.intercept) - 1
    least, most = excess[alpha < dtype(C)].min(), excess[alpha > 0].max()
    assert (alpha == dtype(C)).any() and (alpha == 0).any() and model.epochs <= epochs
    assert model.violation == pytest.approx(max(0.0, -least, most), abs=float(50 * np.finfo(dtype).eps))


def test_a_step_moves_the_pair_that_gains_most():
    x, y, C = np.array([[0.0, 0.0], [9.0, 0.0], [1.0, 0.0], [0.0, 2.0]]), np.array([1, -1, -1, -1]), 50.0
    gains = []
    for j in (1, 2, 3):  # all errors are equal but for the sign, so the nearest point gains most
        a = min(2 / np.square(x[0] - x[j]).sum(), C)
        gains.append(2 * a - a * a * np.square(x[0] - x[j]).sum() / 2)
    model = svm_smo(x, y, C=C, kernel="linear", tol=0.0, max_steps=1)
    assert model.steps == 1 and model.dual == pytest.approx(max(gains)) and max(gains) > 2 * sorted(gains)[1]


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
