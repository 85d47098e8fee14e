"""How an error is measured and how large it may be: the only place with tolerances.

Elementwise functions are judged in units in the last place, reductions, layers and gradients normwise. Where the value
itself is ill-conditioned its condition number enters the bound, and the ledger says so.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

TRAINED = 1e-9  # the first ten steps of a trained model against the same model in torch, float64, normwise


class Wide(NamedTuple):
    """An oracle's value to twice the digits of float64: ``high + low``."""

    high: np.ndarray
    low: np.ndarray


class Judged(NamedTuple):
    """An error and its bound, in the same unit."""

    error: float
    bound: float


@dataclass(frozen=True)
class Bound:
    """A measure of error with its bound."""

    measure = ""

    def judge(self, got, want, args, scale=1.0):
        """Return the worst error of ``got`` against ``want`` (float64 or `Wide`), and what is allowed."""
        raise NotImplementedError


@dataclass(frozen=True)
class Exact(Bound):
    """Bit for bit, with the sign of zero; any NaN equals any other."""

    measure = "exact"

    def judge(self, got, want, args, scale=1.0):
        high = want.high if isinstance(want, Wide) else want
        high = np.asarray(high).astype(got.dtype)
        same = (got == high) & (np.signbit(got) == np.signbit(high)) | (np.isnan(got) & np.isnan(high))
        return Judged(float(np.count_nonzero(~same)), 0.0)


@dataclass(frozen=True)
class ULP(Bound):
    """Units in the last place of the true value: at most 4 for one function, 8 for a composition."""

    limit: float = 4.0
    measure = "ULP"

    def judge(self, got, want, args, scale=1.0):
        high, low = want if isinstance(want, Wide) else (want, 0.0)
        high = np.asarray(high, np.float64)
        error = _difference(got, high, low) / _spacing(high, got.dtype)
        return Judged(float(np.max(error, initial=0.0)), self.limit * scale)


@dataclass(frozen=True)
class Relative(Bound):
    """Relative error at most 4 eps (1 + condition number); absolute at most 4 eps where the value is near zero."""

    condition: object = 1.0  # a number, or a function of the arguments
    measure = "relative"

    def judge(self, got, want, args, scale=1.0):
        high, low = want if isinstance(want, Wide) else (want, 0.0)
        high = np.asarray(high, np.float64)
        eps = np.finfo(got.dtype).eps
        condition = self.condition(*args) if callable(self.condition) else self.condition
        allowed = 4 * eps * np.maximum((1 + np.abs(condition)) * np.abs(high), np.finfo(got.dtype).tiny / eps) * scale
        error = _difference(got, high, low)
        share = np.max(error / allowed, initial=0.0)
        return Judged(float(share), 1.0)  # as a share of the bound, which differs from point to point


@dataclass(frozen=True)
class Normwise(Bound):
    """max|got - want| <= c eps max|want| with c = 16 + sqrt(length of the sum) / 8, times a stated condition number."""

    length: object = None  # how many terms one output sums: a number or a function of the arguments; None: the largest
    condition: object = 1.0  # a number, or a function of the arguments
    measure = "normwise"

    def judge(self, got, want, args, scale=1.0):
        high, low = want if isinstance(want, Wide) else (want, 0.0)
        high = np.asarray(high, np.float64)
        length = self.length(*args) if callable(self.length) else self.length
        if length is None:
            length = max((np.size(a) for a in args if a is not None), default=1)
        condition = self.condition(*args) if callable(self.condition) else self.condition
        c = (16 + np.sqrt(length) / 8) * condition * scale
        finite = np.isfinite(high)
        _same_specials(got, high)
        largest = np.max(np.abs(high[finite]), initial=0.0)
        error = np.max(_difference(got, high, low), initial=0.0)
        if largest == 0:
            return Judged(float(error), 0.0)
        return Judged(float(error / largest), float(c * np.finfo(got.dtype).eps))


def _difference(got, high, low):
    _same_specials(got, high)
    finite = np.isfinite(high) & np.isfinite(got)
    with np.errstate(invalid="ignore"):
        error = np.abs(got.astype(np.float64) - high - low)
    # A finite truth beyond the dtype's range rounds to infinity.
    return np.where(finite, error, 0.0)


def _same_specials(got, high):
    with np.errstate(over="ignore"):
        rounded = np.asarray(high).astype(got.dtype)
    bad = (np.isnan(got) != np.isnan(high)) | ((np.isinf(got) | np.isinf(rounded)) & (got != rounded))
    if bad.any():
        where = np.argwhere(bad)[0]
        raise AssertionError(f"at {tuple(where)}: got {got[tuple(where)]!r}, expected {rounded[tuple(where)]!r}")


def _spacing(high, dtype):
    with np.errstate(over="ignore"):
        rounded = np.abs(high).astype(dtype)
    rounded = np.where(np.isfinite(rounded), rounded, np.finfo(dtype).max).astype(dtype)
    return np.spacing(rounded).astype(np.float64)
