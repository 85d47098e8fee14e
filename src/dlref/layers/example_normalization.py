"""Normalization within each example: instance, group and RMS normalization."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, number, public, real, reals, same_shape, shaped
from dlref._compile import kernel, prange
from dlref.layers._moments import products, scatter, total
from dlref.layers.row_normalization import _normalize_rows, _row_gradients

__all__ = [
    "GroupNormGradients",
    "InstanceNormGradients",
    "RMSNormGradients",
    "group_norm",
    "group_norm_backward",
    "instance_norm",
    "instance_norm_backward",
    "rms_norm",
    "rms_norm_backward",
]


class InstanceNormGradients(NamedTuple):
    """Gradients of `instance_norm`, one for each differentiable argument."""

    x: NDArray
    gamma: NDArray | None
    beta: NDArray | None


class GroupNormGradients(NamedTuple):
    """Gradients of `group_norm`, one for each differentiable argument."""

    x: NDArray
    gamma: NDArray | None
    beta: NDArray | None


class RMSNormGradients(NamedTuple):
    """Gradients of `rms_norm`, one for each differentiable argument."""

    x: NDArray
    gamma: NDArray


@public
def instance_norm(
    x: ArrayLike, gamma: ArrayLike | None = None, beta: ArrayLike | None = None, /, eps: float = 1e-5
) -> NDArray:
    r"""Normalize each channel of each example over its positions, then scale and shift it by channel.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, C, ...)
        A batch; at least one axis follows the channels.
    gamma, beta : array_like, shape (C,), optional
        Scale and shift of every channel; None counts as one and zero.
    eps : float
        Added to the variance, in its unit: the square of that of `x`.

    Returns
    -------
    ndarray
        Shape and dtype of `x`. With a single position it is `beta`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit, or `eps` is not positive.

    See Also
    --------
    group_norm : Several channels together.
    batch_norm : Each channel over the whole batch.

    References
    ----------
    Ulyanov, Vedaldi & Lempitsky (2016), "Instance normalization: the missing ingredient for fast stylization".

    Examples
    --------
    Contrast and brightness go, in each example by itself.

    >>> instance_norm([[[1.0, 3.0]], [[100.0, 500.0]]], eps=1e-12)
    array([[[-1.,  1.]],
    <BLANKLINE>
           [[-1.,  1.]]])
    """
    x = real("x", x, -3)
    return group_norm(x, gamma, beta, groups=max(1, x.shape[1]), eps=eps)


@public
def instance_norm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    /,
    eps: float = 1e-5,
) -> InstanceNormGradients:
    """Return the gradients of `instance_norm`, through the mean and the variance too.

    Parameters
    ----------
    dy : array_like, shape of `x`
        Gradient of the loss with respect to the output.
    x, gamma, beta, eps
        As for `instance_norm`.

    Returns
    -------
    InstanceNormGradients
        `x` of the shape of `x`; `gamma` and `beta` of shape (C,), or None where they were None.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit, or `eps` is not positive.

    See Also
    --------
    instance_norm : The function.

    References
    ----------
    Ulyanov, Vedaldi & Lempitsky (2016), "Instance normalization: the missing ingredient for fast stylization".

    Examples
    --------
    A gradient that is the same everywhere is lost: brightness does not count.

    >>> instance_norm_backward([[[1.0, 1.0]]], [[[3.0, 5.0]]]).x.ravel()
    array([0., 0.])
    """
    x = real("x", x, -3)
    return InstanceNormGradients(*group_norm_backward(dy, x, gamma, beta, groups=max(1, x.shape[1]), eps=eps))


@public
def group_norm(
    x: ArrayLike,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    /,
    groups: int = 1,
    eps: float = 1e-5,
) -> NDArray:
    r"""Normalize each group of channels of each example, then scale and shift by channel.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, C) or (N, C, ...)
        A batch; channels stand on the second axis.
    gamma, beta : array_like, shape (C,), optional
        Scale and shift of every channel; None counts as one and zero.
    groups : int
        G, a divisor of C: each group has C / G channels that stand next to each other.
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
        If a shape does not fit, `groups` does not divide C, or `eps` is not positive.

    See Also
    --------
    instance_norm : As many groups as channels.

    References
    ----------
    Wu & He (2018), "Group normalization".

    Examples
    --------
    >>> group_norm([[1.0, 3.0, 10.0, 50.0]], groups=2, eps=1e-12)
    array([[-1.,  1., -1.,  1.]])
    """
    x, gamma, beta, eps, blocks = _grouped(x, gamma, beta, groups, eps)
    y = np.empty(blocks, x.dtype)
    _normalize_groups(x.reshape(blocks), _full(gamma, blocks, 1, x), _full(beta, blocks, 0, x), eps, y)
    return y.reshape(x.shape)


@public
def group_norm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    /,
    groups: int = 1,
    eps: float = 1e-5,
) -> GroupNormGradients:
    """Return the gradients of `group_norm`, through the mean and the variance too.

    Parameters
    ----------
    dy : array_like, shape of `x`
        Gradient of the loss with respect to the output.
    x, gamma, beta, groups, eps
        As for `group_norm`.

    Returns
    -------
    GroupNormGradients
        `x` of the shape of `x`; `gamma` and `beta` of shape (C,), or None where they were None.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit, `groups` does not divide C, or `eps` is not positive.

    See Also
    --------
    group_norm : The function.

    References
    ----------
    Wu & He (2018), "Group normalization".

    Examples
    --------
    >>> group_norm_backward([[1.0, 1.0]], [[3.0, 5.0]]).x
    array([[0., 0.]])
    """
    dy, x = reals("dy", dy, "x", x)
    same_shape("dy", dy, "x", x)
    x, gamma, beta, eps, blocks = _grouped(x, gamma, beta, groups, eps)
    dy = np.require(dy, x.dtype, "C")
    dx = np.empty(blocks, x.dtype)
    sums = np.empty((2, *blocks[:3]), x.dtype)
    _normalize_groups_backward(dy.reshape(blocks), x.reshape(blocks), _full(gamma, blocks, 1, x), eps, dx, *sums)
    dgamma, dbeta = sums.sum(axis=1).reshape(2, -1)
    return GroupNormGradients(dx.reshape(x.shape), None if gamma is None else dgamma, None if beta is None else dbeta)


@kernel
def _normalize_groups(x, gamma, beta, eps, out):
    # x holds examples, groups, channels of a group, positions
    for b in prange(x.shape[0] * x.shape[1]):
        n, g = b // x.shape[1], b % x.shape[1]
        block = x[n, g].reshape(-1)
        mean = total(block) / block.dtype.type(block.size)
        var = scatter(block, mean) / block.dtype.type(block.size)
        scale = x.dtype.type(1) / np.sqrt(var + eps)
        for c in range(x.shape[2]):
            row, y = x[n, g, c], out[n, g, c]
            weight, shift = gamma[g, c] * scale, beta[g, c]
            for i in range(row.size):
                y[i] = (row[i] - mean) * weight + shift


@kernel
def _normalize_groups_backward(dy, x, gamma, eps, dx, sum_gx, sum_g):
    count, zero = x.dtype.type(x.shape[2] * x.shape[3]), x.dtype.type(0)
    for b in prange(x.shape[0] * x.shape[1]):
        n, g = b // x.shape[1], b % x.shape[1]
        mean = total(x[n, g].reshape(-1)) / count
        var = mean_g = mean_gx = zero
        for c in range(x.shape[2]):
            squares, flat, along = products(dy[n, g, c], x[n, g, c], mean)
            sum_g[n, g, c], sum_gx[n, g, c] = flat, along
            var += squares / count
            mean_g += gamma[g, c] * flat / count
            mean_gx += gamma[g, c] * along / count
        scale = x.dtype.type(1) / np.sqrt(var + eps)
        slope = mean_gx * scale * scale * scale
        for c in range(x.shape[2]):
            row, back, d = x[n, g, c], dy[n, g, c], dx[n, g, c]
            weight, shift = gamma[g, c] * scale, scale * mean_g
            sum_gx[n, g, c] *= scale
            for i in range(row.size):
                d[i] = back[i] * weight - shift - (row[i] - mean) * slope


@public
def rms_norm(x: ArrayLike, gamma: ArrayLike, /, eps: float = 1e-5) -> NDArray:
    r"""Divide by the root mean square over the last axes: :math:`y = \gamma x / \sqrt{\text{mean}(x^2) + \epsilon}`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (..., D)
        Rows, each normalized by itself.
    gamma : array_like, shape (D,) or the last axes of `x`
        Scale; its shape says over which axes the mean square is taken.
    eps : float
        Added to the mean square.

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
    layer_norm : With the mean taken away first.

    References
    ----------
    Zhang & Sennrich (2019), "Root mean square layer normalization".

    Examples
    --------
    The mean stays.

    >>> rms_norm([[1.0, 7.0]], [1.0, 1.0], eps=1e-12)
    array([[0.2, 1.4]])
    """
    x, gamma, eps, rows = _rowwise(x, gamma, eps)
    y = np.empty(rows, x.dtype)
    nothing = np.full(gamma.size, -0.0, x.dtype)  # added, it leaves even the sign of a zero
    _normalize_rows(x.reshape(rows), gamma.reshape(-1), nothing, False, eps, y)
    return y.reshape(x.shape)


@public
def rms_norm_backward(dy: ArrayLike, x: ArrayLike, gamma: ArrayLike, /, eps: float = 1e-5) -> RMSNormGradients:
    """Return the gradients of `rms_norm`, through the root mean square too.

    Parameters
    ----------
    dy : array_like, shape of `x`
        Gradient of the loss with respect to the output.
    x, gamma, eps
        As for `rms_norm`.

    Returns
    -------
    RMSNormGradients
        `x` of the shape of `x`, `gamma` of the shape of `gamma`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit, or `eps` is not positive.

    See Also
    --------
    rms_norm : The function.

    References
    ----------
    Zhang & Sennrich (2019), "Root mean square layer normalization".

    Examples
    --------
    A gradient along the input is lost: its length does not count.

    >>> rms_norm_backward([[3.0, 4.0]], [[3.0, 4.0]], [1.0, 1.0], eps=1e-12).x.round(6) + 0.0
    array([[0., 0.]])
    """
    dy, x = reals("dy", dy, "x", x)
    same_shape("dy", dy, "x", x)
    x, gamma, eps, rows = _rowwise(x, gamma, eps)
    dy = np.require(dy, x.dtype, "C")
    dx, dgamma, _ = _row_gradients(dy.reshape(rows), x.reshape(rows), gamma.reshape(-1), False, eps)
    return RMSNormGradients(dx.reshape(x.shape), dgamma.reshape(gamma.shape))


def _grouped(x, gamma, beta, groups, eps):
    """Return the arguments and the shape (N, groups, channels of a group, positions)."""
    x, gamma, beta = reals("x", x, "gamma", gamma, "beta", beta)
    x = real("x", x, ndim=-2)
    channels, groups = x.shape[1], integer("groups", groups, 1)
    if channels % groups:
        raise ValueError(f"groups: expected a divisor of the {channels} channels of x, got {groups}")
    for name, value in (("gamma", gamma), ("beta", beta)):
        if value is not None:
            shaped(name, value, (channels,))
    blocks = x.shape[0], groups, channels // groups, math.prod(x.shape[2:])
    return x, gamma, beta, x.dtype.type(number("eps", eps, 0, open_low=True)), blocks


def _full(value, blocks, default, x):
    """Return a parameter as (groups, channels of a group)."""
    return np.full(blocks[1:3], default, x.dtype) if value is None else value.reshape(blocks[1:3])


def _rowwise(x, gamma, eps):
    """Return the arguments and the shape (rows, entries of a row)."""
    x, gamma = reals("x", x, "gamma", gamma)
    real("x", x, -1)
    real("gamma", gamma, -1)
    if not gamma.ndim <= x.ndim or x.shape[x.ndim - gamma.ndim :] != gamma.shape:
        raise ValueError(f"gamma: expected the last axes of x, whose shape is {x.shape}, got {gamma.shape}")
    rows = math.prod(x.shape[: x.ndim - gamma.ndim]), gamma.size
    return x, gamma, x.dtype.type(number("eps", eps, 0, open_low=True)), rows
