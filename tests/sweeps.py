"""Ranges over which errors are measured; the ledger prints their names."""

import numpy as np

COUNT = 100_000


def exponents(low=None, high=None, count=COUNT, dtype=np.float64, signs=(1, -1)):
    """Return points log-spaced over all exponents of the dtype, of the given signs, with the special values.

    ``low`` and ``high`` narrow the magnitudes.
    """
    info = np.finfo(dtype)
    low = float(info.smallest_subnormal) if low is None else low
    high = float(info.max) if high is None else high
    with np.errstate(over="ignore"):  # the last point may round up
        magnitudes = np.exp2(np.linspace(np.log2(low), np.log2(high), count // len(signs)))
    return np.concatenate([sign * np.clip(magnitudes, low, high) for sign in signs])


def specials():
    """Return zeros of both signs, ones, infinities and NaN."""
    return np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan])


def elementwise(*arguments):
    """Return sweeps for a function of one array: every exponent of the dtype, both signs, and the special values."""
    return {
        f"{COUNT:,} points over all exponents, both signs; 0, inf, NaN": lambda rng, dtype: (
            np.concatenate([exponents(dtype=dtype), specials()]),
            *arguments,
        )
    }


def rows(make, lengths=(1, 7, 1000, 100_000), offset=1e4):
    """Return sweeps for a reduction, of several lengths and one large mean; ``make(rng, length, mean)`` draws."""
    sweep = {f"length {n:,}": (lambda rng, dtype, n=n: make(rng, n, 0.0)) for n in lengths}
    sweep[f"length 1,000, mean {offset:g}"] = lambda rng, dtype: make(rng, 1000, offset)
    return sweep
