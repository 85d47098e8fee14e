"""Local response normalization: division by the energy of neighboring channels."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, number, public, real, reals, same_shape
from dlref._compile import kernel, prange
from dlref._math import exp, log

__all__ = ["local_response_norm", "local_response_norm_backward"]


@public
def local_response_norm(
    x: ArrayLike, /, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> NDArray:
    r"""Divide each value by the energy around it: :math:`y_c = x_c / (k + \frac{\alpha}{n} \sum_j x_j^2)^\beta`.

    The sum runs over n neighboring channels at the same position of the same example.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, C) or (N, C, ...)
        A batch; channels stand on the second axis.
    size : int
        Channels of a window, n: from c - n // 2 to c + (n - 1) // 2; those that do not exist add zero.
    alpha : float
        Weight of the mean of the squares. The paper's weighs their sum: it is `alpha` divided by `size`.
    beta : float
        The exponent, not negative.
    k : float
        Added to the energy, not negative; 2 in the paper.

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.
    ValueError
        If `x` has fewer than two dimensions, or a number is outside its range.

    See Also
    --------
    group_norm : Statistics of channels over all positions, with learned parameters.

    References
    ----------
    Krizhevsky, Sutskever & Hinton (2012), "ImageNet classification with deep convolutional neural networks".

    Examples
    --------
    The same response, alone and beside strong neighbors.

    >>> local_response_norm([[0.0, 1.0, 0.0], [9.0, 1.0, 9.0]], size=3, alpha=3.0, beta=0.5)[:, 1].round(3)
    array([0.707, 0.078])
    """
    x, maps, settings = _prepared(x, size, alpha, beta, k)
    y = np.empty(maps, x.dtype)
    _local_response_norm(x.reshape(maps), *settings, y)
    return y.reshape(x.shape)


@public
def local_response_norm_backward(
    dy: ArrayLike, x: ArrayLike, /, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> NDArray:
    """Return the gradient of `local_response_norm`, through the energies of all windows that see a value.

    Parameters
    ----------
    dy : array_like, shape of `x`
        Gradient of the loss with respect to the output.
    x : array_like of float32 or float64, shape (N, C) or (N, C, ...)
        The input of `local_response_norm`.
    size, alpha, beta, k
        As for `local_response_norm`.

    Returns
    -------
    ndarray
        Gradient with respect to `x`.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes differ, or as for `local_response_norm`.

    See Also
    --------
    local_response_norm : The function.

    References
    ----------
    Krizhevsky, Sutskever & Hinton (2012), "ImageNet classification with deep convolutional neural networks".

    Examples
    --------
    A neighbor that grows lowers the output, so its gradient is negative.

    >>> local_response_norm_backward([[0.0, 1.0, 0.0]], [[1.0, 1.0, 1.0]], size=3, alpha=3.0, beta=1.0).round(4)
    array([[-0.125,  0.125, -0.125]])
    """
    dy, x = reals("dy", dy, "x", x)
    same_shape("dy", dy, "x", x)
    x, maps, settings = _prepared(x, size, alpha, beta, k)
    dx = np.empty(maps, x.dtype)
    _local_response_norm_backward(dy.reshape(maps), x.reshape(maps), *settings, dx)
    return dx.reshape(x.shape)


@kernel
def _local_response_norm(x, before, after, rate, beta, k, out):
    for b in prange(x.shape[0] * x.shape[1]):
        n, c = b // x.shape[1], b % x.shape[1]
        energy = np.empty(x.shape[2], x.dtype)
        _energy(x[n], c - before, c + after + 1, rate, k, energy)
        row, y = x[n, c], out[n, c]
        for i in range(row.size):
            y[i] = row[i] * exp(-beta * log(energy[i]))


@kernel
def _local_response_norm_backward(dy, x, before, after, rate, beta, k, out):
    slope = (rate + rate) * beta
    for n in prange(x.shape[0]):
        share, energy = np.empty(x.shape[1:], x.dtype), np.empty(x.shape[2], x.dtype)
        for c in range(x.shape[1]):
            _energy(x[n], c - before, c + after + 1, rate, k, energy)
            row, g, d, s = x[n, c], dy[n, c], out[n, c], share[c]
            for i in range(row.size):
                d[i] = g[i] * exp(-beta * log(energy[i]))
                s[i] = d[i] * row[i] / energy[i]
        for c in range(x.shape[1]):
            # the windows that see channel c: the same neighbors, mirrored
            for i in range(energy.size):
                energy[i] = 0
            for j in range(max(0, c - after), min(x.shape[1], c + before + 1)):
                s = share[j]
                for i in range(energy.size):
                    energy[i] += s[i]
            row, d = x[n, c], out[n, c]
            for i in range(row.size):
                d[i] -= slope * row[i] * energy[i]


@kernel
def _energy(x, first, last, rate, k, out):
    for i in range(out.size):
        out[i] = 0
    for j in range(max(0, first), min(x.shape[0], last)):
        row = x[j]
        for i in range(out.size):
            out[i] += row[i] * row[i]
    for i in range(out.size):
        out[i] = k + rate * out[i]


def _prepared(x, size, alpha, beta, k):
    """Return x, its shape as (N, C, positions), and what the kernels need: channels before and after, and numbers."""
    x = real("x", x, ndim=-2)
    size = integer("size", size, 1)
    rate = number("alpha", alpha, 0) / size
    numbers = rate, number("beta", beta, 0), number("k", k, 0)
    maps = *x.shape[:2], math.prod(x.shape[2:])
    return x, maps, (size // 2, (size - 1) // 2, *map(x.dtype.type, numbers))
