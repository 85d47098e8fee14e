"""The dense layer: a matrix and a bias."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import public, real, reals, shaped
from dlref._compile import kernel, prange

__all__ = ["DenseGradients", "dense", "dense_backward", "dense_definition"]


class DenseGradients(NamedTuple):
    """Gradients of `dense`, one for each argument before the slash."""

    x: NDArray
    w: NDArray
    b: NDArray | None


@public
def dense(x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None, /) -> NDArray:
    r"""Apply a matrix and a bias to every vector: :math:`y = x W^\top + b`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (..., D)
        Vectors, along the last axis.
    w : array_like, shape (O, D)
        One row of weights for each output.
    b : array_like, shape (O,), optional
        One bias for each output.

    Returns
    -------
    ndarray, shape (..., O)
        The outputs, as one matrix product. Alone and in a batch a vector's output may differ in the last bits, because
        the sums may run in another order.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    dense_definition : The same in three loops.

    References
    ----------
    Rumelhart, Hinton & Williams (1986), "Learning representations by back-propagating errors", equation 1.

    Examples
    --------
    >>> dense([1.0, 2.0], [[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], [0.0, 0.0, 0.5])
    array([11. , 17. , 23.5])
    """
    x, w, b = _checked(x, w, b)
    y = np.empty((*x.shape[:-1], len(w)), x.dtype)
    out = y.reshape(math.prod(x.shape[:-1]), len(w))
    rows = x.reshape(len(out), w.shape[1])
    if 1 < len(rows) <= min(len(w) // 2, 1024 // x.itemsize):  # few vectors: BLAS is faster the other way round
        _transposed_plus_bias(w @ rows.T, np.zeros(len(w), x.dtype) if b is None else b, out)
    else:
        np.matmul(rows, w.T, out=out)
        if b is not None:
            out += b
    return y


@public
def dense_backward(dy: ArrayLike, x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None, /) -> DenseGradients:
    r"""Return the gradients of `dense`: :math:`\bar x = \bar y W,\ \bar W = \bar y^\top x,\ \bar b = \sum \bar y`.

    Parameters
    ----------
    dy : array_like, shape (..., O)
        Gradient of the loss with respect to the output.
    x, w, b
        The arguments of `dense`.

    Returns
    -------
    DenseGradients
        Gradients with respect to `x`, `w` and `b`, the last two summed over all vectors; None where `b` is None.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    dense : The function.

    References
    ----------
    Rumelhart, Hinton & Williams (1986), "Learning representations by back-propagating errors", equations 4-7.

    Examples
    --------
    The gradient of the matrix is an outer product of what came in and what comes back.

    >>> dense_backward([1.0, 10.0], [1.0, 2.0, 3.0], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]).w
    array([[ 1.,  2.,  3.],
           [10., 20., 30.]])
    """
    dy, x, w, b = reals("dy", dy, "x", x, "w", w, "b", b)
    x, w, b = _checked(x, w, b)
    shaped("dy", dy, (*x.shape[:-1], len(w)))
    count = math.prod(x.shape[:-1])
    drows, rows = dy.reshape(count, len(w)), x.reshape(count, w.shape[1])
    dx = (drows @ w).reshape(x.shape)
    return DenseGradients(dx, drows.T @ rows, None if b is None else drows.sum(axis=0))


@kernel
def _transposed_plus_bias(product, b, out):
    for start in range(0, out.shape[1], 8):  # few enough that the lines they lie in stay in the cache
        rows, bias = product[start:], b[start:]
        for n in range(out.shape[0]):
            y = out[n, start:]
            if y.size >= 8:  # a constant, which the compiler turns into whole vectors
                for o in range(8):
                    y[o] = rows[o, n] + bias[o]
            else:
                for o in range(y.size):
                    y[o] = rows[o, n] + bias[o]


@public
def dense_definition(x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None, /) -> NDArray:
    """Compute `dense` as it is defined: one sum of products for every output.

    Parameters
    ----------
    x, w, b
        As for `dense`.

    Returns
    -------
    ndarray, shape (..., O)
        What `dense` returns, up to rounding.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    dense : The same as a matrix product.

    References
    ----------
    Rumelhart, Hinton & Williams (1986), "Learning representations by back-propagating errors", equation 1.

    Examples
    --------
    >>> dense_definition([1.0, 2.0], [[3.0, 4.0]], [0.5])
    array([11.5])
    """
    x, w, b = _checked(x, w, b)
    y = np.empty((*x.shape[:-1], len(w)), x.dtype)
    rows = y.reshape(math.prod(x.shape[:-1]), len(w))
    _dense_definition(x.reshape(len(rows), w.shape[1]), w, np.zeros(len(w), x.dtype) if b is None else b, rows)
    return y


@kernel(sums=True)
def _dense_definition(x, w, b, out):
    for n in prange(x.shape[0]):
        row, y = x[n], out[n]
        for o in range(y.size):
            weights = w[o]
            total = b[o]
            for d in range(row.size):
                total += weights[d] * row[d]
            y[o] = total


def _checked(x, w, b):
    x, w, b = reals("x", x, "w", w, "b", b)
    real("x", x, -1)
    shaped("w", w, (None, x.shape[-1]))
    if b is not None:
        shaped("b", b, (len(w),))
    return x, w, b
