"""What a model can reach at best, how far it is from there, and whether more data would help: learning curves."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import finite, generator, integer, number, reals, shaped
from dlref._compile import kernel
from dlref.losses.squared import _bias_variance

__all__ = [
    "BiasEstimate",
    "LearningCurve",
    "best_linear_error",
    "bias_estimate",
    "learning_curve",
    "normal_bayes_error",
]


class BiasEstimate(NamedTuple):
    """Estimates from several fits: means over the points of the squared bias and of the variance of one fit."""

    bias: float
    variance: float


class LearningCurve(NamedTuple):
    """Errors over the size of the training set: a row for each repetition, a column for each size."""

    sizes: NDArray
    train: NDArray
    test: NDArray


def best_linear_error(covariance: ArrayLike, cross: ArrayLike, variance: float) -> float:
    r"""Return the least mean squared error of any linear function with an intercept: :math:`v - c^\top \Sigma^+ c`.

    No linear model has a lower one on new data, however many examples it has seen. In float64.

    Parameters
    ----------
    covariance : array_like, shape (D, D)
        Covariance of the features.
    cross : array_like, shape (D,)
        Covariance of each feature with the target.
    variance : float
        Variance of the target.

    Returns
    -------
    float
        The error; that of the mean alone is `variance`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit, an entry is not finite, or `variance` is negative.

    See Also
    --------
    normal_bayes_error : The least error of any classifier.
    learning_curve : Comes down to it.

    References
    ----------
    Geman, Bienenstock & Doursat (1992), "Neural networks and the bias/variance dilemma".

    Examples
    --------
    A parabola on [-1, 1] has no linear part: a line is no better than the mean. With the cube of x there is nothing
    left to gain either, with its square everything.

    >>> x = np.linspace(-1, 1, 201)
    >>> for powers in ([1], [1, 3], [1, 2]):
    ...     moments = np.cov(np.column_stack([x[:, None] ** powers, x**2]).T, bias=True)
    ...     print(round(best_linear_error(moments[:-1, :-1], moments[:-1, -1], moments[-1, -1]), 4))
    0.0907
    0.0907
    0.0
    """
    covariance, cross = (np.asarray(v, np.float64) for v in reals("covariance", covariance, "cross", cross))
    shaped("cross", cross, (None,))
    shaped("covariance", covariance, (len(cross), len(cross)))
    finite("covariance", covariance)
    finite("cross", cross)
    variance = number("variance", variance, 0)
    return max(0.0, float(variance - cross @ np.linalg.lstsq(covariance, cross, rcond=None)[0]))


def normal_bayes_error(mean0: ArrayLike, mean1: ArrayLike, covariance: ArrayLike, share1: float = 0.5) -> float:
    r"""Return the least error of any classifier on two normal classes with one covariance.

    With :math:`\Delta` the distance of the means in units of the spread, and :math:`t = \log((1 - \pi) / \pi)`, it is
    :math:`(1 - \pi) \Phi(-\Delta/2 - t/\Delta) + \pi \Phi(-\Delta/2 + t/\Delta)`. In float64.

    Parameters
    ----------
    mean0, mean1 : array_like, shape (D,)
        Means of the classes.
    covariance : array_like, shape (D, D)
        Covariance of both, positive definite.
    share1 : float
        Share :math:`\pi` of class 1, above 0 and below 1.

    Returns
    -------
    float
        The error, at most the smaller share.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit, the covariance is not positive definite, or `share1` is out of range.

    See Also
    --------
    best_linear_error : The least error of a class of models.

    References
    ----------
    Geman, Bienenstock & Doursat (1992), "Neural networks and the bias/variance dilemma".

    Examples
    --------
    >>> print(round(normal_bayes_error([0.0, 0.0], [2.0, 0.0], np.eye(2)), 4))
    0.1587
    >>> print(round(normal_bayes_error([0.0, 0.0], [0.0, 0.0], np.eye(2), share1=0.3), 4))
    0.3
    """
    mean0, mean1, covariance = (
        np.asarray(v, np.float64) for v in reals("mean0", mean0, "mean1", mean1, "covariance", covariance)
    )
    shaped("mean0", mean0, (None,))
    shaped("mean1", mean1, mean0.shape)
    shaped("covariance", covariance, (len(mean0), len(mean0)))
    share1 = number("share1", share1, 0, 1, open_low=True, open_high=True)
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        raise ValueError("covariance: expected a positive definite matrix") from None
    apart = np.linalg.norm(np.linalg.solve(factor, mean1 - mean0))
    if apart == 0:
        return min(share1, 1 - share1)
    shift = math.log((1 - share1) / share1) / apart
    below = [math.erfc((apart / 2 + side * shift) / math.sqrt(2)) / 2 for side in (1, -1)]
    return (1 - share1) * below[0] + share1 * below[1]


def bias_estimate(predictions: ArrayLike, truth: ArrayLike) -> BiasEstimate:
    r"""Estimate squared bias and variance from the predictions of fits to several training sets.

    The mean of R fits has a variance of its own, which is taken off the squared bias, so that neither estimate is off
    on average; that of the squared bias may come out slightly negative.

    Parameters
    ----------
    predictions : array_like, shape (R, N)
        A row for each fit, at least two, at the same N points.
    truth : array_like, shape (N,)
        Expected targets there, without noise.

    Returns
    -------
    BiasEstimate
        Means over the points, in float64.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit, there are fewer than two fits, or no point.

    See Also
    --------
    linear_fit_errors : Their exact values for a linear fit.
    dlref.losses.bias_variance : Point by point, as they are found.

    References
    ----------
    Geman, Bienenstock & Doursat (1992), "Neural networks and the bias/variance dilemma".

    Examples
    --------
    >>> bias_estimate([[1.0, 2.0], [3.0, 2.0]], [0.0, 2.0])
    BiasEstimate(bias=1.5, variance=1.0)
    """
    predictions, truth = reals("predictions", predictions, "truth", truth)
    shaped("truth", truth, (None,))
    shaped("predictions", predictions, (None, len(truth)))
    if len(predictions) < 2 or len(truth) == 0:
        raise ValueError(f"predictions: expected at least two fits and one point, got shape {predictions.shape}")
    # The targets alone become float64, and with them every difference.
    bias, variance, rest = np.empty((3, len(truth)))
    _bias_variance(predictions, truth.astype(np.float64), rest, bias, variance)
    return BiasEstimate(*_corrected(bias, variance, len(predictions)))


@kernel(sums=True)
def _corrected(bias, variance, fits):
    squared, spread = 0.0, 0.0
    for i in range(len(bias)):
        squared += bias[i]
        spread += variance[i]
    # From the mean over the fits to the estimate of one fit's variance.
    spread *= fits / (fits - 1) / len(bias)
    return squared / len(bias) - spread / fits, spread


def learning_curve(
    train_and_judge: Callable, n: int, sizes: Sequence[int], rng: np.random.Generator, repeats: int = 5
) -> LearningCurve:
    r"""Train on growing parts of a training set, and measure both errors each time.

    Within one repetition a part contains the smaller ones.

    Parameters
    ----------
    train_and_judge : callable
        Called with an array of row numbers; trains on these rows and returns the training and the test error.
    n : int
        Number of rows that there are.
    sizes : sequence of int
        How many to train on, from 1 to n.
    rng : numpy.random.Generator
        Draws an order of the rows for each repetition.
    repeats : int
        How many orders.

    Returns
    -------
    LearningCurve
        Sizes, and the errors of each repetition and size.

    Raises
    ------
    TypeError
        If a number is no integer.
    ValueError
        If a size is out of range.

    See Also
    --------
    best_linear_error : Where the curve of a linear model ends.

    References
    ----------
    Geman, Bienenstock & Doursat (1992), "Neural networks and the bias/variance dilemma".

    Examples
    --------
    The mean as a model: its training error rises to the noise, its test error falls to it.

    >>> rng = np.random.default_rng(0)
    >>> y, new = rng.normal(size=4000), rng.normal(size=4000)
    >>> def train_and_judge(rows):
    ...     return np.mean((y[rows] - y[rows].mean()) ** 2), np.mean((new - y[rows].mean()) ** 2)
    >>> curve = learning_curve(train_and_judge, 4000, [2, 20, 2000], rng, repeats=200)
    >>> curve.train.mean(axis=0).round(1), curve.test.mean(axis=0).round(1)
    (array([0.5, 0.9, 1. ]), array([1.5, 1.1, 1. ]))
    """
    n, repeats, rng = integer("n", n, 1), integer("repeats", repeats, 1), generator("rng", rng)
    if not isinstance(sizes, (Sequence, np.ndarray)):
        raise TypeError(f"sizes: expected a sequence of integers, got {type(sizes).__name__}")
    counts = np.array([integer("sizes", size, 1, n) for size in sizes], np.int64)
    errors = np.empty((2, repeats, len(counts)))
    for repeat in range(repeats):
        order = rng.permutation(n)
        for j, size in enumerate(counts):
            errors[:, repeat, j] = train_and_judge(order[:size])
    return LearningCurve(counts, *errors)
