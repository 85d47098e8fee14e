"""The mean squared error, its root, and what it is made of: bias, variance and noise."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import option, public, real, reals, shaped
from dlref._compile import kernel, prange
from dlref._math import maximum
from dlref.losses._residuals import BLOCK, blocks, divided, divisor, opened, slopes

__all__ = [
    "BiasVariance",
    "MeanSquaredErrorWithGradient",
    "bias_variance",
    "mean_squared_error",
    "mean_squared_error_backward",
    "mean_squared_error_with_gradient",
    "root_mean_squared_error",
    "root_mean_squared_error_backward",
]


class BiasVariance(NamedTuple):
    """The squared bias and the variance of a prediction, at every point."""

    squared_bias: NDArray
    variance: NDArray


class MeanSquaredErrorWithGradient(NamedTuple):
    """A loss and its gradient with respect to the prediction."""

    loss: NDArray
    gradient: NDArray


@public
def mean_squared_error(
    prediction: ArrayLike,
    /,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    reduction: str = "mean",
) -> NDArray:
    r"""Return the mean squared error :math:`\sum_i w_i (\hat y_i - y_i)^2 / \sum_i w_i`, without a factor 1/2.

    Parameters
    ----------
    prediction : array_like of float32 or float64, any shape
        What the model says; integers become float64.
    target : array_like, shape of `prediction`
        The truth. A shape that would only broadcast is refused.
    weight : array_like, optional
        Weight of each entry; any shape that broadcasts to that of `prediction`. Weights of the rows of an (N, D)
        array have the shape (N, 1).
    reduction : {"mean", "sum", "none"}
        "mean" divides the sum by the sum of the weights of all entries, which is their number without weights.

    Returns
    -------
    ndarray
        One number, or the shape of `prediction` for "none". The mean over nothing is NaN.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit, or there is no such reduction.

    See Also
    --------
    mean_squared_error_with_gradient : The loss and its gradient in one pass.
    root_mean_squared_error : In the unit of the target.
    bias_variance : What the expected squared error is made of.

    References
    ----------
    Legendre (1805), "Nouvelles méthodes pour la détermination des orbites des comètes", pp. 72-75.
    Gauss (1809), "Theoria motus corporum coelestium", articles 175 to 186.

    Examples
    --------
    One error of 3 costs more than four errors of 1.

    >>> mean_squared_error([3.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], reduction="sum")
    np.float64(9.0)
    >>> mean_squared_error([1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0], reduction="sum")
    np.float64(4.0)
    """
    x, y, weight, shape = opened(prediction, target, weight, reduction)
    if reduction == "none":
        out = np.empty_like(x)
        _squared_error(x, y, weight, out)
        return out.reshape(shape)
    sums = blocks(x)
    _sum_of_squares(x, y, weight, sums)
    return divided(sums.sum(), divisor(x, weight, reduction))


@public
def mean_squared_error_backward(
    dy: ArrayLike,
    prediction: ArrayLike,
    /,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    reduction: str = "mean",
) -> NDArray:
    r"""Return the gradient of `mean_squared_error`: :math:`\bar y\, 2 w_i (\hat y_i - y_i) / \sum_j w_j`.

    Parameters
    ----------
    dy : array_like, shape of the loss
        Gradient of the objective with respect to the loss.
    prediction, target, weight, reduction
        As for `mean_squared_error`.

    Returns
    -------
    ndarray
        Gradient with respect to `prediction`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit, or there is no such reduction.

    See Also
    --------
    mean_squared_error : The function.

    References
    ----------
    Rumelhart, Hinton and Williams (1986), "Learning representations by back-propagating errors", equation 4.

    Examples
    --------
    Twice the error, divided by the number of errors.

    >>> mean_squared_error_backward(1.0, [3.0, 0.0], [1.0, 1.0])
    array([ 2., -1.])
    """
    dy, prediction = reals("dy", dy, "prediction", prediction)
    x, y, weight, shape = opened(prediction, target, weight, reduction)
    shaped("dy", dy, shape if reduction == "none" else ())
    out = np.empty_like(x)
    _sum_of_squares_gradient(x, y, *slopes(dy, x, weight, reduction), blocks(x), out)
    return out.reshape(shape)


@public
def mean_squared_error_with_gradient(
    prediction: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    reduction: str = "mean",
) -> MeanSquaredErrorWithGradient:
    r"""Return `mean_squared_error` and its gradient with respect to the prediction, in one pass over the data.

    Parameters
    ----------
    prediction, target, weight
        As for `mean_squared_error`.
    reduction : {"mean", "sum"}
        "mean" divides the sum by the sum of the weights of all entries, which is their number without weights.

    Returns
    -------
    MeanSquaredErrorWithGradient
        ``loss``, one number, and ``gradient``, of the shape of `prediction`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit, or there is no such reduction.

    See Also
    --------
    mean_squared_error : The loss alone.
    mean_squared_error_backward : The gradient alone, for any cotangent.

    References
    ----------
    Rumelhart, Hinton and Williams (1986), "Learning representations by back-propagating errors", equations 3 and 4.

    Examples
    --------
    >>> loss, gradient = mean_squared_error_with_gradient([3.0, 0.0], [1.0, 1.0])
    >>> loss, gradient
    (np.float64(2.5), array([ 2., -1.]))
    """
    option("reduction", reduction, ("mean", "sum"))
    x, y, weight, shape = opened(prediction, target, weight, reduction)
    sums, out = blocks(x), np.empty_like(x)
    count = divisor(x, weight, reduction)
    _sum_of_squares_gradient(x, y, divided(x.dtype.type(1), count), weight, sums, out)
    return MeanSquaredErrorWithGradient(divided(sums.sum(), count), out.reshape(shape))


@kernel
def _squared_error(x, y, weight, out):
    for i in prange(x.size):
        error = x[i] - y[i]
        out[i] = error * error if weight is None else weight[i] * (error * error)


@kernel(sums=True)
def _sum_of_squares(x, y, weight, sums):
    for b in prange(sums.size):
        part = slice(b * BLOCK, (b + 1) * BLOCK)
        xs, ys, total = x[part], y[part], x.dtype.type(0)
        ws = xs if weight is None else weight[part]
        for i in range(xs.size):
            error = xs[i] - ys[i]
            total += error * error if weight is None else ws[i] * (error * error)
        sums[b] = total


@kernel(sums=True)
def _sum_of_squares_gradient(x, y, slope, weight, sums, out):
    for b in prange(sums.size):
        part = slice(b * BLOCK, (b + 1) * BLOCK)
        xs, ys, dx, total = x[part], y[part], out[part], x.dtype.type(0)
        ws = xs if weight is None else weight[part]
        for i in range(xs.size):
            error = xs[i] - ys[i]
            pull = error if weight is None else ws[i] * error
            total += pull * error
            dx[i] = slope * (pull + pull)
        sums[b] = total


@public
def root_mean_squared_error(
    prediction: ArrayLike,
    /,
    target: ArrayLike,
    weight: ArrayLike | None = None,
) -> NDArray:
    r"""Return the root of the mean squared error, :math:`\sqrt{\sum_i w_i (\hat y_i - y_i)^2 / \sum_i w_i}`.

    Parameters
    ----------
    prediction, target, weight
        As for `mean_squared_error`.

    Returns
    -------
    ndarray
        One number, in the unit of the target: the root of the mean over all entries.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit.

    See Also
    --------
    mean_squared_error : Its square.

    References
    ----------
    Gauss (1809), "Theoria motus corporum coelestium", articles 175 to 186.

    Examples
    --------
    >>> root_mean_squared_error([3.0, -4.0], [0.0, 0.0]).round(4)
    np.float64(3.5355)
    """
    return np.sqrt(mean_squared_error(prediction, target, weight))


@public
def root_mean_squared_error_backward(
    dy: ArrayLike,
    prediction: ArrayLike,
    /,
    target: ArrayLike,
    weight: ArrayLike | None = None,
) -> NDArray:
    r"""Return the gradient of `root_mean_squared_error`: :math:`\bar y\, w_i (\hat y_i - y_i) / (R \sum_j w_j)`.

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient of the objective with respect to the root R.
    prediction, target, weight
        As for `mean_squared_error`.

    Returns
    -------
    ndarray
        Gradient with respect to `prediction`. Where all errors are zero the root has none, and zero is returned.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit.

    See Also
    --------
    root_mean_squared_error : The function.

    References
    ----------
    Gauss (1809), "Theoria motus corporum coelestium", articles 175 to 186.

    Examples
    --------
    All errors twice as large: the same gradient.

    >>> root_mean_squared_error_backward(1.0, [3.0, -4.0], [0.0, 0.0]).round(4)
    array([ 0.4243, -0.5657])
    >>> root_mean_squared_error_backward(1.0, [6.0, -8.0], [0.0, 0.0]).round(4)
    array([ 0.4243, -0.5657])
    """
    dy, prediction = reals("dy", dy, "prediction", prediction)
    shaped("dy", dy, ())
    root = root_mean_squared_error(prediction, target, weight)
    if root == 0:
        return np.zeros_like(prediction)
    return mean_squared_error_backward(dy / (root + root), prediction, target, weight)


@public
def bias_variance(predictions: ArrayLike, truth: ArrayLike) -> BiasVariance:
    r"""Return the squared bias and the variance of predictions by models that were trained on M different data sets.

    For every point, with :math:`\mu = \frac{1}{M} \sum_m f_m`: :math:`(\mu - f)^2` and
    :math:`\frac{1}{M} \sum_m (f_m - \mu)^2`. Their sum is the mean of :math:`(f_m - f)^2`.

    Parameters
    ----------
    predictions : array_like of float32 or float64, shape (M, N)
        What model m says at point n.
    truth : array_like, shape (N,)
        The conditional mean of the target at each point, without noise.

    Returns
    -------
    BiasVariance
        ``squared_bias`` and ``variance``, of shape (N,). As an estimate from M models the first is too large by
        :math:`1/M` of the model's variance on average, and the second too small by as much.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit, or there is no model.

    See Also
    --------
    mean_squared_error : Its expectation is the squared bias plus the variance plus that of the noise.

    References
    ----------
    Geman, Bienenstock and Doursat (1992), "Neural networks and the bias/variance dilemma".

    Examples
    --------
    Three models, the truth is 2 at both points: on average right at the first, always wrong alike at the second.

    >>> bias_variance([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]], [2.0, 2.0])
    BiasVariance(squared_bias=array([0., 9.]), variance=array([0.66666667, 0.        ]))
    """
    predictions, truth = reals("predictions", real("predictions", predictions, ndim=2), "truth", truth)
    shaped("truth", truth, predictions.shape[1:])
    if len(predictions) == 0:
        raise ValueError("predictions: expected at least one model, got none")
    bias, variance = np.empty((2, truth.size), truth.dtype)
    _bias_variance(predictions, truth, np.empty_like(truth), bias, variance)
    return BiasVariance(bias, variance)


@kernel
def _bias_variance(predictions, truth, rest, bias, variance):
    models = truth.dtype.type(predictions.shape[0])
    bias[:], variance[:], rest[:] = 0, 0, 0
    for m in range(predictions.shape[0]):
        row = predictions[m]
        for j in range(row.size):
            bias[j] += (row[j] - truth[j]) / models
    for m in range(predictions.shape[0]):
        row = predictions[m]
        for j in range(row.size):
            # around the mean; what rounding left of the mean is collected too
            gap = (row[j] - truth[j]) - bias[j]
            rest[j] += gap / models
            variance[j] += gap * gap / models
    for j in range(truth.size):
        bias[j] = (bias[j] + rest[j]) * (bias[j] + rest[j])
        variance[j] = maximum(variance[j] - rest[j] * rest[j], truth.dtype.type(0))
