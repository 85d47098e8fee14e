"""Batch normalization: training, prediction, the running statistics between them, and folding."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import number, public, real, reals, same_shape, shaped
from dlref._compile import kernel, prange
from dlref.layers._moments import moments, products, total

__all__ = [
    "BatchNormGradients",
    "BatchNormInferenceGradients",
    "BatchStatistics",
    "Folded",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_fold",
    "batch_norm_inference",
    "batch_norm_inference_backward",
    "batch_statistics",
    "running_update",
]


class BatchNormGradients(NamedTuple):
    """Gradients of `batch_norm`, one for each differentiable argument."""

    x: NDArray
    gamma: NDArray
    beta: NDArray


class BatchNormInferenceGradients(NamedTuple):
    """Gradients of `batch_norm_inference`, one for each differentiable argument."""

    x: NDArray
    gamma: NDArray
    beta: NDArray
    mean: NDArray
    var: NDArray


class BatchStatistics(NamedTuple):
    """A mean and a variance per channel."""

    mean: NDArray
    var: NDArray


class Folded(NamedTuple):
    """Weights and bias of a layer that does its normalization itself."""

    w: NDArray
    b: NDArray


@public
def batch_norm(x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, /, eps: float = 1e-5) -> NDArray:
    r"""Normalize each channel over the batch: :math:`y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta`.

    Mean and variance are those of `x` itself, over the batch and all positions; the variance is the biased one, which
    divides by the number of values. This is the form for training. For prediction see `batch_norm_inference`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, C) or (N, C, ...)
        A batch; channels stand on the second axis.
    gamma, beta : array_like, shape (C,)
        Scale and shift of every channel.
    eps : float
        Added to the variance, in its unit: the square of that of `x`.

    Returns
    -------
    ndarray
        Shape and dtype of `x`. With a single value per channel it is `beta`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit, or `eps` is not positive.

    See Also
    --------
    running_update : What a training loop keeps for prediction.

    References
    ----------
    Ioffe & Szegedy (2015), "Batch normalization", algorithm 1.

    Examples
    --------
    The variance comes out a little below one, because epsilon is added to it.

    >>> y = batch_norm([[1.0], [2.0], [3.0], [6.0]], [1.0], [0.0], eps=0.5)
    >>> y.ravel().round(4), y.var().round(4)
    (array([-1. , -0.5,  0. ,  1.5]), np.float64(0.875))
    """
    channels, gamma, beta, eps = _prepared(x, gamma, beta, eps)
    out = np.empty_like(channels)
    _batch_norm(channels, gamma, beta, eps, out)
    return _restored(out, np.shape(x))


@public
def batch_norm_backward(
    dy: ArrayLike, x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, /, eps: float = 1e-5
) -> BatchNormGradients:
    r"""Return the gradients of `batch_norm`, through the mean and the variance too.

    Parameters
    ----------
    dy : array_like, shape of `x`
        Gradient of the loss with respect to the output.
    x, gamma, beta, eps
        As for `batch_norm`.

    Returns
    -------
    BatchNormGradients
        `x` of the shape of `x`; `gamma` and `beta` of shape (C,). In every channel the gradient of `x` sums to zero
        and is orthogonal to the normalized input as epsilon tends to zero.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit, or `eps` is not positive.

    See Also
    --------
    batch_norm : The function.

    References
    ----------
    Ioffe & Szegedy (2015), "Batch normalization", section 3.

    Examples
    --------
    A constant gradient is lost: shifting a whole channel changes nothing.

    >>> batch_norm_backward([[1.0], [1.0]], [[3.0], [5.0]], [1.0], [0.0]).x.ravel()
    array([0., 0.])
    """
    dy, x = reals("dy", dy, "x", x)
    same_shape("dy", dy, "x", x)
    channels, gamma, beta, eps = _prepared(x, gamma, beta, eps)
    cotangents = _channels(dy).astype(channels.dtype, copy=False)
    gradients = BatchNormGradients(np.empty_like(channels), np.empty_like(gamma), np.empty_like(beta))
    _batch_norm_backward(cotangents, channels, gamma, eps, *gradients)
    return gradients._replace(x=_restored(gradients.x, x.shape))


@kernel
def _batch_norm(x, gamma, beta, eps, out):
    for c in prange(x.shape[1]):
        mean, var = moments(x, c)
        scale = gamma[c] / np.sqrt(var + eps)
        for n in range(x.shape[0]):
            row, y = x[n, c], out[n, c]
            for i in range(row.size):
                y[i] = (row[i] - mean) * scale + beta[c]


@kernel
def _batch_norm_backward(dy, x, gamma, eps, dx, dgamma, dbeta):
    count, zero = x.dtype.type(x.shape[0] * x.shape[2]), x.dtype.type(0)
    for c in prange(x.shape[1]):
        mean = var = dgamma[c] = dbeta[c] = zero
        for n in range(x.shape[0]):
            mean += total(x[n, c])
        mean /= count
        for n in range(x.shape[0]):
            squares, flat, along = products(dy[n, c], x[n, c], mean)
            var += squares
            dbeta[c] += flat
            dgamma[c] += along
        scale = x.dtype.type(1) / np.sqrt(var / count + eps)
        dgamma[c] *= scale
        weight = gamma[c] * scale
        mean_g, mean_gx = dbeta[c] / count, dgamma[c] * scale / count
        for n in range(x.shape[0]):
            g, row, d = dy[n, c], x[n, c], dx[n, c]
            for i in range(row.size):
                d[i] = weight * (g[i] - mean_g - (row[i] - mean) * mean_gx)


@public
def batch_statistics(x: ArrayLike) -> BatchStatistics:
    r"""Return the mean and the biased variance of every channel, as `batch_norm` uses them.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, C) or (N, C, ...)
        A batch that is not empty.

    Returns
    -------
    BatchStatistics
        `mean` and `var`, of shape (C,).

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.
    ValueError
        If `x` has fewer than two dimensions or no value.

    See Also
    --------
    running_update : Their running average.

    References
    ----------
    Ioffe & Szegedy (2015), "Batch normalization", algorithm 1.

    Examples
    --------
    >>> batch_statistics([[1.0], [2.0], [3.0], [4.0]]).var
    array([1.25])
    """
    channels = _channels(real("x", x, ndim=-2))
    if not channels.shape[0] * channels.shape[2]:
        raise ValueError(f"x: expected at least one value per channel, got shape {np.shape(x)}")
    statistics = BatchStatistics(
        np.empty(channels.shape[1], channels.dtype), np.empty(channels.shape[1], channels.dtype)
    )
    _batch_statistics(channels, *statistics)
    return statistics


@kernel
def _batch_statistics(x, mean, var):
    for c in range(x.shape[1]):
        mean[c], var[c] = moments(x, c)


@public
def running_update(mean: ArrayLike, var: ArrayLike, x: ArrayLike, momentum: float = 0.1) -> BatchStatistics:
    r"""Move running statistics towards those of a batch, as PyTorch does.

    The new value gets the weight `momentum`; the variance that enters is the unbiased one,
    :math:`\sigma^2 m / (m - 1)` for m values per channel.

    Parameters
    ----------
    mean, var : array_like, shape (C,)
        The running statistics so far; a fresh layer starts at 0 and 1.
    x : array_like of float32 or float64, shape (N, C) or (N, C, ...)
        A batch with at least two values per channel.
    momentum : float
        Weight of the batch, from 0 to 1. Keras and ONNX call one minus this momentum.

    Returns
    -------
    BatchStatistics
        The new running mean and variance.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit, `momentum` is outside its range, or a channel has fewer than two values.

    See Also
    --------
    batch_norm_inference : Where they are used.

    References
    ----------
    Ioffe & Szegedy (2015), "Batch normalization", algorithm 2, step 10.

    Examples
    --------
    The variance of 1, 2, 3, 4 is 1.25 biased and 1.6667 unbiased.

    >>> running_update([0.0], [1.0], [[1.0], [2.0], [3.0], [4.0]], momentum=1.0).var.round(4)
    array([1.6667])
    """
    mean, var, x = reals("mean", mean, "var", var, "x", x)
    momentum = number("momentum", momentum, 0, 1)
    batch = batch_statistics(x)
    shaped("mean", mean, batch.mean.shape)
    shaped("var", var, batch.var.shape)
    count = x.shape[0] * math.prod(x.shape[2:])
    if count < 2:
        raise ValueError(f"x: expected at least two values per channel, got shape {x.shape}")
    unbiased = batch.var * (count / (count - 1))
    return BatchStatistics(mean + momentum * (batch.mean - mean), var + momentum * (unbiased - var))


@public
def batch_norm_inference(
    x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, mean: ArrayLike, var: ArrayLike, /, eps: float = 1e-5
) -> NDArray:
    r"""Normalize with given statistics: an affine map of each channel, the same for every batch.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, C) or (N, C, ...)
        A batch.
    gamma, beta : array_like, shape (C,)
        Scale and shift.
    mean, var : array_like, shape (C,)
        The statistics, usually running averages; variances are not negative.
    eps : float
        Added to the variance.

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit, or `eps` is not positive.

    See Also
    --------
    batch_norm_fold : The same map inside the layer before.

    References
    ----------
    Ioffe & Szegedy (2015), "Batch normalization", algorithm 2, step 11.

    Examples
    --------
    An example is treated alike whatever stands beside it in the batch.

    >>> batch_norm_inference([[3.0], [9.0]], [1.0], [0.0], [1.0], [4.0], eps=1e-12)
    array([[1.],
           [4.]])
    """
    x, gamma, beta, mean, var = _with_statistics(x, gamma, beta, mean, var)
    scale = gamma / np.sqrt(var + number("eps", eps, 0, open_low=True))
    channels = _channels(x)
    out = np.empty_like(channels)
    _affine(channels, scale.astype(x.dtype, copy=False), mean, beta, out)
    return _restored(out, x.shape)


@public
def batch_norm_inference_backward(
    dy: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    mean: ArrayLike,
    var: ArrayLike,
    /,
    eps: float = 1e-5,
) -> BatchNormInferenceGradients:
    r"""Return the gradients of `batch_norm_inference`.

    Parameters
    ----------
    dy : array_like, shape of `x`
        Gradient of the loss with respect to the output.
    x, gamma, beta, mean, var, eps
        As for `batch_norm_inference`.

    Returns
    -------
    BatchNormInferenceGradients
        One gradient for each array, of its shape.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit, or `eps` is not positive.

    See Also
    --------
    batch_norm_inference : The function.

    References
    ----------
    Ioffe & Szegedy (2015), "Batch normalization", algorithm 2.

    Examples
    --------
    With fixed statistics a constant gradient passes, scaled.

    >>> batch_norm_inference_backward([[1.0]], [[3.0]], [2.0], [0.0], [1.0], [4.0], eps=1e-12).x
    array([[1.]])
    """
    dy, x = reals("dy", dy, "x", x)
    same_shape("dy", dy, "x", x)
    x, gamma, beta, mean, var = _with_statistics(x, gamma, beta, mean, var)
    inverse = 1 / np.sqrt(var + number("eps", eps, 0, open_low=True)).astype(x.dtype, copy=False)
    channels, cotangents = _channels(x), _channels(dy).astype(x.dtype, copy=False)
    dx, sum_g, sum_gx = np.empty_like(channels), np.empty_like(gamma), np.empty_like(gamma)
    _affine_backward(cotangents, channels, gamma * inverse, mean, dx, sum_g, sum_gx)
    return BatchNormInferenceGradients(
        _restored(dx, x.shape),
        sum_gx * inverse,
        sum_g,
        -gamma * inverse * sum_g,
        -gamma * inverse**3 * sum_gx / 2,
    )


@kernel
def _affine(x, scale, mean, beta, out):
    # example by example, as memory has it
    for b in prange(x.shape[0] * x.shape[1]):
        n, c = b // x.shape[1], b % x.shape[1]
        row, y = x[n, c], out[n, c]
        for i in range(row.size):
            y[i] = (row[i] - mean[c]) * scale[c] + beta[c]


@kernel
def _affine_backward(dy, x, scale, mean, dx, sum_g, sum_gx):
    for c in prange(x.shape[1]):
        sum_g[c] = sum_gx[c] = 0
        for n in range(x.shape[0]):
            g, d = dy[n, c], dx[n, c]
            for i in range(g.size):
                d[i] = g[i] * scale[c]
            _, flat, along = products(g, x[n, c], mean[c])
            sum_g[c] += flat
            sum_gx[c] += along


@public
def batch_norm_fold(
    w: ArrayLike,
    b: ArrayLike | None,
    gamma: ArrayLike,
    beta: ArrayLike,
    mean: ArrayLike,
    var: ArrayLike,
    eps: float = 1e-5,
) -> Folded:
    r"""Fold `batch_norm_inference` into the dense or convolutional layer before it.

    The layer :math:`W x + b` followed by the normalization is the layer with
    :math:`W' = s W,\; b' = s (b - \mu) + \beta,\; s = \gamma / \sqrt{\sigma^2 + \epsilon}`, one factor per output.

    Parameters
    ----------
    w : array_like of float32 or float64, shape (C, ...)
        Weights of the layer, outputs first.
    b : array_like, shape (C,), or None
        Its bias; None counts as zero.
    gamma, beta, mean, var : array_like, shape (C,)
        Parameters and statistics of the normalization.
    eps : float
        Added to the variance.

    Returns
    -------
    Folded
        `w` of the shape of `w`, and `b` of shape (C,).

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit, or `eps` is not positive.

    See Also
    --------
    batch_norm_inference : What is folded.

    References
    ----------
    Jacob et al. (2018), "Quantization and training of neural networks for efficient integer-arithmetic-only
    inference", section 3.2.

    Examples
    --------
    >>> batch_norm_fold([[2.0]], None, [1.0], [1.5], [1.0], [4.0], eps=1e-12)
    Folded(w=array([[1.]]), b=array([1.]))
    """
    named = ("w", w, "b", b, "gamma", gamma, "beta", beta, "mean", mean, "var", var)
    w, b, gamma, beta, mean, var = reals(*named)
    real("w", w, -1)
    for name, value in (("b", b), ("gamma", gamma), ("beta", beta), ("mean", mean), ("var", var)):
        if value is not None or name != "b":
            shaped(name, real(name, value), w.shape[:1])
    scale = gamma / np.sqrt(var + w.dtype.type(number("eps", eps, 0, open_low=True)))
    bias = (-mean if b is None else b - mean) * scale + beta
    rows, out = (len(w), math.prod(w.shape[1:])), np.empty_like(w)
    _scale_rows(w.reshape(rows), scale, out.reshape(rows))
    return Folded(out, bias)


@kernel
def _scale_rows(w, scale, out):
    for c in prange(w.shape[0]):
        row, y = w[c], out[c]
        for i in range(row.size):
            y[i] = row[i] * scale[c]


def _channels(x):
    """Return ``x`` as (N, C, positions); a batch of plain vectors becomes one example whose positions are the batch."""
    if x.ndim == 2:
        return np.ascontiguousarray(x.T)[None]
    return x.reshape(*x.shape[:2], -1) if x.size else np.empty((*x.shape[:2], 0), x.dtype)


def _restored(channels, shape):
    return np.ascontiguousarray(channels[0].T) if len(shape) == 2 else channels.reshape(shape)


def _prepared(x, gamma, beta, eps):
    x, gamma, beta = reals("x", x, "gamma", gamma, "beta", beta)
    x = real("x", x, ndim=-2)
    shaped("gamma", gamma, x.shape[1:2])
    shaped("beta", beta, x.shape[1:2])
    return _channels(x), gamma, beta, x.dtype.type(number("eps", eps, 0, open_low=True))


def _with_statistics(x, gamma, beta, mean, var):
    named = ("x", x, "gamma", gamma, "beta", beta, "mean", mean, "var", var)
    x, *rest = reals(*named)
    x = real("x", x, ndim=-2)
    for name, value in zip(("gamma", "beta", "mean", "var"), rest, strict=True):
        shaped(name, value, x.shape[1:2])
    return x, *rest
