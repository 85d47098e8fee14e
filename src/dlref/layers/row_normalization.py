"""Layer normalization: every vector by its own mean and variance."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import number, public, real, reals, same_shape, shaped
from dlref._compile import kernel, prange
from dlref.layers._moments import scatter, total

__all__ = ["LayerNormGradients", "layer_norm", "layer_norm_backward"]

PARTS = 16  # partial sums over the rows: a number that does not depend on the threads


class LayerNormGradients(NamedTuple):
    """Gradients of `layer_norm`, one for each differentiable argument."""

    x: NDArray
    gamma: NDArray
    beta: NDArray


@public
def layer_norm(x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, /, eps: float = 1e-5) -> NDArray:
    r"""Normalize each vector over its features: :math:`y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta`.

    Mean and biased variance are those of the vector itself. No example sees another, so that training and prediction
    are the same.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (..., D)
        Vectors, along the last axis; integers become float64.
    gamma, beta : array_like, shape (D,)
        Scale and shift of every feature.
    eps : float
        Added to the variance, in its unit.

    Returns
    -------
    ndarray
        Shape and dtype of `x`; a constant vector becomes `beta`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit, or `eps` is not positive.

    See Also
    --------
    batch_norm : Each feature over the batch.

    References
    ----------
    Ba, Kiros & Hinton (2016), "Layer normalization".

    Examples
    --------
    Neither a shift nor a scale of a vector matters, but for epsilon.

    >>> layer_norm([[1.0, 2.0, 3.0], [70.0, 80.0, 90.0]], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]).round(3)
    array([[-1.225,  0.   ,  1.225],
           [-1.225,  0.   ,  1.225]])
    """
    rows, gamma, beta, eps = _prepared(x, gamma, beta, eps)
    out = np.empty_like(rows)
    _normalize_rows(rows, gamma, beta, True, eps, out)
    return out.reshape(np.shape(x))


@public
def layer_norm_backward(
    dy: ArrayLike, x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, /, eps: float = 1e-5
) -> LayerNormGradients:
    r"""Return the gradients of `layer_norm`, through the mean and the variance too.

    Parameters
    ----------
    dy : array_like, shape of `x`
        Gradient of the loss with respect to the output.
    x, gamma, beta, eps
        As for `layer_norm`.

    Returns
    -------
    LayerNormGradients
        `x` of the shape of `x`, every vector of it summing to zero; `gamma` and `beta` of shape (D,).

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit, or `eps` is not positive.

    See Also
    --------
    layer_norm : The function.

    References
    ----------
    Ba, Kiros & Hinton (2016), "Layer normalization".

    Examples
    --------
    A constant gradient is lost: shifting a whole vector changes nothing.

    >>> layer_norm_backward([[1.0, 1.0]], [[3.0, 5.0]], [1.0, 1.0], [0.0, 0.0]).x
    array([[0., 0.]])
    """
    dy, x = reals("dy", dy, "x", x)
    same_shape("dy", dy, "x", x)
    rows, gamma, beta, eps = _prepared(x, gamma, beta, eps)
    dy = dy.reshape(rows.shape).astype(rows.dtype, copy=False)
    dx, dgamma, dbeta = _row_gradients(dy, rows, gamma, True, eps)
    return LayerNormGradients(dx.reshape(x.shape), dgamma, dbeta)


def _row_gradients(dy, x, gamma, center, eps):
    """Return the gradients of the normalized rows with respect to x, gamma and beta, given matrices of one dtype."""
    dx, sums = np.empty_like(x), np.zeros((2, PARTS, gamma.size), x.dtype)
    _normalize_rows_backward(dy, x, gamma, center, eps, dx, *sums)
    return dx, *sums.sum(axis=1)


@kernel
def _normalize_rows(x, gamma, beta, center, eps, out):
    count, zero = x.dtype.type(x.shape[1]), x.dtype.type(0)
    for r in prange(x.shape[0]):
        row, y = x[r], out[r]
        mean = total(row) / count if center else zero
        scale = x.dtype.type(1) / np.sqrt(scatter(row, mean) / count + eps)
        for j in range(row.size):
            y[j] = gamma[j] * ((row[j] - mean) * scale) + beta[j]


@kernel
def _normalize_rows_backward(dy, x, gamma, center, eps, out, dgamma, dbeta):
    count, zero = x.dtype.type(x.shape[1]), x.dtype.type(0)
    parts = dgamma.shape[0]
    for p in prange(parts):
        dg, db = dgamma[p], dbeta[p]
        for r in range(p * len(x) // parts, (p + 1) * len(x) // parts):
            d, row, dx = dy[r], x[r], out[r]
            mean = total(row) / count if center else zero
            squares, flat, along = _weighted_products(d, gamma, row, mean)
            scale = x.dtype.type(1) / np.sqrt(squares / count + eps)
            flat = flat / count if center else zero
            along *= scale / count
            for j in range(row.size):
                normal = (row[j] - mean) * scale
                dx[j] = scale * (d[j] * gamma[j] - flat - normal * along)
                dg[j] += d[j] * normal
                db[j] += d[j]


@kernel(sums=True)
def _weighted_products(dy, gamma, row, mean):
    # of squares, of the weighted cotangents, and of them with the distances
    squares = flat = along = row.dtype.type(0)
    for j in range(row.size):
        distance, g = row[j] - mean, dy[j] * gamma[j]
        squares += distance * distance
        flat += g
        along += g * distance
    return squares, flat, along


def _prepared(x, gamma, beta, eps):
    x, gamma, beta = reals("x", x, "gamma", gamma, "beta", beta)
    real("x", x, -1)
    shaped("gamma", gamma, x.shape[-1:])
    shaped("beta", beta, x.shape[-1:])
    eps = x.dtype.type(number("eps", eps, 0, open_low=True))
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1]), gamma, beta, eps
