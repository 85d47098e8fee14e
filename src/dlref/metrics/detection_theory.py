"""Rates as functions of the threshold: those of a sample, and those of two normal distributions one apart by d'."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import number, public, real, reals, same_shape
from dlref._compile import inline, kernel, prange
from dlref._math import erf, erfc, exp, log, normal_tail
from dlref.metrics.classification import _cumulative_counts, _prepared

__all__ = [
    "SignalDetection",
    "ThresholdRates",
    "binormal_curve",
    "binormal_rates",
    "signal_detection",
    "threshold_rates",
]


class ThresholdRates(NamedTuple):
    """The four conditional rates at each threshold; the first and the last add up to 1, and so do the middle two."""

    tpr: NDArray
    fpr: NDArray
    tnr: NDArray
    fnr: NDArray
    threshold: NDArray


class SignalDetection(NamedTuple):
    """How far apart signal and noise are, and where the observer puts the threshold."""

    d_prime: NDArray
    criterion: NDArray


@public
def threshold_rates(
    score: ArrayLike, target: ArrayLike, threshold: ArrayLike | None = None, weight: ArrayLike | None = None
) -> ThresholdRates:
    r"""Return true and false positive, true and false negative rates of calling positive what has :math:`s \ge t`.

    Parameters
    ----------
    score : array_like of float32 or float64, shape (N,)
        The higher, the more likely positive; any scale.
    target : array_like of integers or booleans, shape (N,)
        1 or True for a positive, 0 or False for a negative.
    threshold : array_like, any shape, optional
        The thresholds t; unless given, infinity and then every distinct score from the highest down.
    weight : array_like, shape (N,), optional
        What each example counts; at least 0.

    Returns
    -------
    ThresholdRates
        Four arrays of the shape of `threshold`, and the thresholds. The rates of a class without examples, or at a
        threshold that is NaN, are NaN.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If the shapes differ, a target is not 0 or 1, or a weight is negative.

    See Also
    --------
    roc_curve : The first two alone.
    binormal_rates : The same for two normal distributions.

    References
    ----------
    Fawcett (2006), "An introduction to ROC analysis", Pattern Recognition Letters 27(8).

    Examples
    --------
    A threshold that lies between scores acts like the next higher score.

    >>> rates = threshold_rates([0.9, 0.6, 0.4, 0.3], [1, 0, 1, 0], threshold=[0.5, 0.6])
    >>> rates.tpr, rates.fpr
    (array([0.5, 0.5]), array([0.5, 0.5]))
    """
    if threshold is not None:
        score, threshold = reals("score", score, "threshold", threshold)
    distinct, fp, tp = _cumulative_counts(*_prepared(score, target, weight))
    if threshold is None:
        threshold, k = distinct, np.arange(distinct.size)
    else:
        k = np.empty(threshold.shape, np.int64)
        _last_at_or_above(threshold.ravel(), distinct, k.ravel())
    kind, unknown = distinct.dtype, np.where(np.isnan(threshold), np.nan, 0.0)
    with np.errstate(invalid="ignore"):  # a class without examples has no rate: 0 / 0
        parts = tp[k] / tp[-1], fp[k] / fp[-1], (fp[-1] - fp[k]) / fp[-1], (tp[-1] - tp[k]) / tp[-1]
    return ThresholdRates._make([*((part + unknown).astype(kind) for part in parts), threshold.astype(kind)])


@public
def binormal_rates(threshold: ArrayLike, d_prime: float) -> ThresholdRates:
    r"""Return the four rates of a threshold on two normal distributions of variance 1 whose means are d' apart.

    Negatives have the mean 0, so that :math:`\mathrm{FPR} = \Phi(-t)` and :math:`\mathrm{TPR} = \Phi(d' - t)`.

    Parameters
    ----------
    threshold : array_like of float32 or float64, any shape
        The thresholds t, in standard deviations from the mean of the negatives.
    d_prime : float
        The distance of the means.

    Returns
    -------
    ThresholdRates
        Four arrays of the shape of `threshold`, each from its own tail, and the thresholds.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If `d_prime` is NaN.

    See Also
    --------
    signal_detection : The way back, from two rates to d' and criterion.

    References
    ----------
    Green & Swets (1966), "Signal Detection Theory and Psychophysics".

    Examples
    --------
    Half way between the means both errors are as frequent.

    >>> rates = binormal_rates([1.0], d_prime=2.0)
    >>> print(rates.fpr.round(4), rates.fnr.round(4))
    [0.1587] [0.1587]
    """
    threshold, d_prime = real("threshold", threshold), number("d_prime", d_prime)
    rates = [np.empty_like(threshold) for _ in range(4)]
    _binormal(threshold.ravel(), threshold.dtype.type(d_prime), *(rate.ravel() for rate in rates))
    return ThresholdRates._make([*rates, threshold.copy()])


@public
def binormal_curve(fpr: ArrayLike, d_prime: float) -> NDArray:
    r"""Return the true positive rate over the false one: :math:`\Phi(d' + \Phi^{-1}(\mathrm{FPR}))`.

    Parameters
    ----------
    fpr : array_like of float32 or float64, any shape
        False positive rates, from 0 to 1.
    d_prime : float
        The distance of the means of two normal distributions of variance 1.

    Returns
    -------
    ndarray
        The true positive rates: a curve from 0 to 1, concave for a positive `d_prime`.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If a rate is not in [0, 1].

    See Also
    --------
    roc_curve : The curve of a sample.

    References
    ----------
    Green & Swets (1966), "Signal Detection Theory and Psychophysics".

    Examples
    --------
    >>> binormal_curve([0.0, 0.1, 0.5, 1.0], d_prime=1.0).round(4)
    array([0.    , 0.3891, 0.8413, 1.    ])
    """
    (fpr,) = _checked_rates("fpr", fpr)
    d_prime = number("d_prime", d_prime)
    out = np.empty_like(fpr)
    _curve(fpr.ravel(), d_prime, out.ravel())
    return out


@public
def signal_detection(tpr: ArrayLike, fpr: ArrayLike) -> SignalDetection:
    r"""Return d' and criterion from a hit rate and a false alarm rate.

    They are :math:`d' = \Phi^{-1}(\mathrm{TPR}) - \Phi^{-1}(\mathrm{FPR})` and
    :math:`c = -\frac{1}{2} (\Phi^{-1}(\mathrm{TPR}) + \Phi^{-1}(\mathrm{FPR}))`.

    Parameters
    ----------
    tpr : array_like of float32 or float64, any shape
        True positive rates, from 0 to 1.
    fpr : array_like, of the same shape
        False positive rates.

    Returns
    -------
    SignalDetection
        `d_prime`, and the `criterion` measured from the middle between the means: positive for a threshold that
        calls positive rarely. A rate of 0 or 1 makes them infinite, or NaN where two infinities cancel.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If the shapes differ or a rate is not in [0, 1].

    See Also
    --------
    binormal_rates : The way back: the threshold is ``d_prime / 2 + criterion``.

    References
    ----------
    Green & Swets (1966), "Signal Detection Theory and Psychophysics". Stanislaw & Todorov (1999), "Calculation of
    signal detection theory measures".

    Examples
    --------
    A bold and a cautious observer who tell signal from noise equally well.

    >>> bold, cautious = signal_detection(0.933, 0.309), signal_detection(0.691, 0.067)
    >>> print(bold.d_prime.round(2), cautious.d_prime.round(2), bold.criterion.round(2), cautious.criterion.round(2))
    2.0 2.0 -0.5 0.5
    """
    tpr, fpr = _checked_rates("tpr", tpr, "fpr", fpr)
    same_shape("fpr", fpr, "tpr", tpr)
    d_prime, criterion = np.empty_like(tpr), np.empty_like(tpr)
    _detect(tpr.ravel(), fpr.ravel(), d_prime.ravel(), criterion.ravel())
    return SignalDetection(d_prime, criterion)


def _checked_rates(*names_and_values):
    arrays = reals(*names_and_values)
    for name, rate in zip(names_and_values[::2], arrays, strict=True):
        real(name, rate)  # not None
        outside = (rate < 0) | (rate > 1)
        if outside.any():
            raise ValueError(f"{name}: expected numbers from 0 to 1, got {rate[outside].flat[0]:g}")
    return arrays


@kernel
def _last_at_or_above(threshold, distinct, out):
    for i in range(threshold.size):
        reached, missed = 0, distinct.size
        while missed - reached > 1:
            middle = (reached + missed) // 2
            if distinct[middle] >= threshold[i]:
                reached = middle
            else:
                missed = middle
        out[i] = reached


@kernel
def _binormal(threshold, d_prime, tpr, fpr, tnr, fnr):
    half = threshold.dtype.type(0.5)
    root_half = threshold.dtype.type(0.7071067811865476)
    for i in prange(threshold.size):
        noise = root_half * threshold[i]
        signal = root_half * (threshold[i] - d_prime)
        tpr[i], fpr[i] = half * erfc(signal), half * erfc(noise)
        tnr[i], fnr[i] = half * erfc(-noise), half * erfc(-signal)


@kernel
def _curve(fpr, d_prime, out):
    for i in prange(fpr.size):
        signal = d_prime + _quantile(float(fpr[i]))
        out[i] = 0.5 * erfc(-signal * math.sqrt(0.5))


@kernel
def _detect(tpr, fpr, d_prime, criterion):
    for i in prange(tpr.size):
        hit, alarm = _quantile(float(tpr[i])), _quantile(float(fpr[i]))
        d_prime[i], criterion[i] = hit - alarm, 0.0 - (hit + alarm) / 2


@inline
def _quantile(p):
    """Return the x with Phi(x) = p."""
    tail = min(p, 1 - p)
    t = math.sqrt(-2 * log(tail))
    # Fitted: right to 3e-6 for every tail.
    above = 2.96655958 + t * (4.94200997 + t * (0.792050828 + t * 0.012915617))
    below = 0.184066567 + t * 0.00183551345
    x = above / (1 + t * (3.62684667 + t * (2.04705031 + t * below))) - t
    density = exp(-x * x / 2) / math.sqrt(2 * math.pi)
    y = x * math.sqrt(0.5)
    if abs(y) < 0.5:  # near 1/2 the difference of two tails would lose digits
        u = (tail - 0.5 - 0.5 * erf(y)) / density
    else:
        u = (tail - normal_tail(x)) / density
    x += u * (1 + u * (x / 2 + u * (1 + 2 * x * x) / 6))
    x = -np.inf if tail == 0 else x
    x = 0.0 if tail == 0.5 else x
    return -x if p > 0.5 else x
