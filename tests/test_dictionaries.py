"""Coders refuse by name, repeat bit for bit, start warm, and say so when they have not arrived."""

import numpy as np
import pytest

from dlref.models import fista, ista, lasso_code, learn_dictionary
from tests.cases.models.dictionaries import ALPHA, REFUSES, signals

CODERS = [lasso_code, ista, fista]


@pytest.mark.parametrize("code", [*CODERS, learn_dictionary])
def test_refuses_by_name(code):
    for args, exception, words in REFUSES:
        with pytest.raises(exception, match=words):
            code(*args, 1.0)
    with pytest.raises(ValueError, match="alpha: expected a number in "):
        code([[1.0]], [[1.0]], -1.0)
    with pytest.raises(TypeError, match="dictionary: expected float32, float64 or integers"):
        code([[1.0]], [[True]], 1.0)


@pytest.mark.parametrize("code", CODERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_repeats_bit_for_bit_and_leaves_its_arguments_alone(code, dtype):
    x, dictionary = (v.copy() for v in signals(dtype))
    first, second = code(x, dictionary, ALPHA), code(x, dictionary, ALPHA)
    assert first.code.tobytes() == second.code.tobytes() and first.gap.dtype == dtype
    assert (x == signals(dtype)[0]).all() and (dictionary == signals(dtype)[1]).all()


@pytest.mark.parametrize("code", CODERS)
def test_says_when_it_has_not_arrived(code):
    x, dictionary = signals(np.float64)
    found = code(x, dictionary, ALPHA, 0.0, 2) if code is not lasso_code else code(x, dictionary, ALPHA, None, 0.0, 2)
    assert (found.steps <= 2).all() and not found.converged.any() and (found.gap > 0).all()


@pytest.mark.parametrize("code", CODERS)
def test_no_signals_and_signals_of_zeros(code):
    _, dictionary = signals(np.float64)
    assert code(np.empty((0, 16)), dictionary, ALPHA).code.shape == (0, 36)
    found = code(np.zeros((2, 16)), dictionary, ALPHA)
    assert (found.code == 0).all() and found.converged.all() and (found.steps == 0).all()


def test_a_start_at_the_optimum_stays():
    x, dictionary = signals(np.float64)
    found = lasso_code(x, dictionary, ALPHA, tol=1e-10)
    again = lasso_code(x, dictionary, ALPHA, start=found.code, tol=1e-9)
    assert (again.steps == 0).all() and (again.code == found.code).all()


def test_the_leap_spares_passes():
    """Without it no signal takes fewer than 45 passes to this gap, and one takes 600."""
    x, dictionary = signals(np.float64)
    found = lasso_code(x, dictionary, ALPHA, tol=1e-12)
    assert found.converged.all() and found.steps.max() < 40


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tolerance_of_zero_ends_at_the_rounding_floor(dtype):
    x, dictionary = signals(dtype)
    found = lasso_code(x, dictionary, ALPHA, tol=0.0)
    assert (found.steps < 10_000).all()
    assert (found.gap <= 1e3 * np.finfo(dtype).eps * np.square(x).sum(axis=1)).all()


def test_an_unused_atom_stays():
    fit = learn_dictionary([[1.0, 0.0], [2.0, 0.0]], [[1.0, 0.0], [0.0, 3.0]], 0.1, rounds=3)
    assert fit.dictionary.tolist() == [[1.0, 0.0], [0.0, 1.0]] and len(fit.objective) == 3
