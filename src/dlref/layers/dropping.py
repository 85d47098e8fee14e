"""Dropout: entries or whole channels that are left out at random, and what is left out at prediction."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import generator, integer, mask, number, public, real, reals, same_shape, sizes
from dlref._compile import kernel, prange

__all__ = ["MCDropout", "dropout", "dropout_backward", "dropout_mask", "mc_dropout"]


class MCDropout(NamedTuple):
    """Mean and standard deviation of a network's output over random masks."""

    mean: NDArray
    std: NDArray


def dropout_mask(shape: int | Sequence[int], rate: float, rng: np.random.Generator) -> NDArray:
    r"""Draw which entries stay: each one alone, with probability :math:`1 - p`.

    Parameters
    ----------
    shape : int or sequence of int
        That of the array for single entries; its first axes, such as ``x.shape[:2]``, for whole channels.
    rate : float in [0, 1]
        Probability :math:`p` of dropping an entry, in steps of :math:`2^{-24}`.
    rng : numpy.random.Generator
        Draws one uniform number for each entry.

    Returns
    -------
    ndarray of bool
        True where the entry stays.

    Raises
    ------
    TypeError
        If `rng` is not a generator, or a length is not an integer.
    ValueError
        If `rate` is outside of [0, 1], or a length is negative.

    See Also
    --------
    dropout : Applies the mask.

    References
    ----------
    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15.

    Examples
    --------
    The number of dropped entries is random; here the expectation is 2.

    >>> rng = np.random.default_rng(0)
    >>> [int((~dropout_mask(8, 0.25, rng)).sum()) for _ in range(6)]
    [3, 1, 1, 2, 3, 4]
    """
    shape, rate = sizes("shape", shape), number("rate", rate, 0, 1)
    return generator("rng", rng).random(shape, dtype=np.float32) >= np.float32(rate)


@public
def dropout(x: ArrayLike, /, mask: ArrayLike, rate: float) -> NDArray:
    r"""Drop entries and scale up the others: :math:`y = m \odot x / (1 - p)`.

    Parameters
    ----------
    x : array_like of float32 or float64, any shape
        Activations.
    mask : array_like of bool, shape of `x` or of its first axes
        True where an entry stays. A mask of shape (N, C) keeps or drops whole channels of (N, C, H, W).
    rate : float in [0, 1]
        Probability :math:`p` with which the mask was drawn.

    Returns
    -------
    ndarray
        Same shape and dtype as `x`; exactly zero where an entry is dropped, whatever it was.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer, or `mask` not boolean.
    ValueError
        If the shapes do not fit, or `rate` is outside of [0, 1].

    See Also
    --------
    dropout_mask : Draws the mask.
    mc_dropout : Dropout at prediction.

    References
    ----------
    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15.

    Examples
    --------
    >>> dropout([1.0, 2.0, 3.0, 4.0], [True, False, True, True], rate=0.25)
    array([1.33333333, 0.        , 4.        , 5.33333333])
    """
    x = real("x", x)
    return _masked(x, *_checked(x, mask, rate))


@public
def dropout_backward(dy: ArrayLike, x: ArrayLike, /, mask: ArrayLike, rate: float) -> NDArray:
    r"""Return the gradient of `dropout`: the same mask and scale, :math:`\bar x = m \odot \bar y / (1 - p)`.

    Parameters
    ----------
    dy : array_like, shape of `x`
        Gradient of the loss with respect to the output.
    x, mask, rate
        The arguments of `dropout`.

    Returns
    -------
    ndarray
        Gradient with respect to `x`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `mask` not boolean.
    ValueError
        If the shapes do not fit, or `rate` is outside of [0, 1].

    See Also
    --------
    dropout : The function.

    References
    ----------
    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15.

    Examples
    --------
    >>> dropout_backward([1.0, 1.0], [3.0, 4.0], [True, False], rate=0.5)
    array([2., 0.])
    """
    dy, x = reals("dy", dy, "x", x)
    same_shape("dy", dy, "x", x)
    return _masked(dy, *_checked(x, mask, rate))


def _checked(x, keep, rate):
    keep = mask("mask", keep)
    if keep.shape != x.shape[: keep.ndim]:
        raise ValueError(f"mask: expected the shape of x, {x.shape}, or of its first axes, got {keep.shape}")
    rate = number("rate", rate, 0, 1)
    return keep, 1 / (1 - rate) if rate < 1 else 0.0


def _masked(x, mask, scale):
    out = np.empty_like(x)
    if mask.ndim == x.ndim:
        _dropout(x.reshape(-1), mask.reshape(-1), x.dtype.type(scale), out.reshape(-1))
    else:
        shape = mask.size, math.prod(x.shape[mask.ndim :])
        _dropout_channels(x.reshape(shape), mask.reshape(-1), x.dtype.type(scale), out.reshape(shape))
    return out


@kernel
def _dropout(x, mask, scale, out):
    zero = x.dtype.type(0)
    for i in prange(x.size):
        out[i] = x[i] * scale if mask[i] else zero


@kernel
def _dropout_channels(x, mask, scale, out):
    for c in prange(mask.size):
        channel, y = x[c], out[c]
        if mask[c]:
            for i in range(channel.size):
                y[i] = channel[i] * scale
        else:
            y[:] = 0


def mc_dropout(predict: Callable, rng: np.random.Generator, samples: int = 100) -> MCDropout:
    r"""Run a network many times with new masks and return mean and standard deviation of its output.

    Parameters
    ----------
    predict : callable
        ``predict(rng)`` runs the network once with masks drawn from `rng` and returns an array, always of one shape.
    rng : numpy.random.Generator
        Passed on to `predict`.
    samples : int, at least 2
        How many runs.

    Returns
    -------
    MCDropout
        The mean, and the standard deviation with :math:`n - 1` in the denominator.

    Raises
    ------
    TypeError
        If `predict` returns something that is neither real nor integer.
    ValueError
        If `samples` is below 2, or the shape changes from run to run.

    See Also
    --------
    dropout : What the network calls.

    Notes
    -----
    Both are updated run by run, by Welford's recurrence, so that no run is kept.

    References
    ----------
    Gal & Ghahramani (2016), "Dropout as a Bayesian approximation", ICML.

    Examples
    --------
    A single input of 3, dropped half of the time, is 0 or 6: mean 3, standard deviation 3.

    >>> x = np.array([3.0])
    >>> result = mc_dropout(lambda rng: dropout(x, dropout_mask(1, 0.5, rng), 0.5), np.random.default_rng(0), 10_000)
    >>> result.mean.round(1), result.std.round(2)
    (array([3.]), array([3.]))
    """
    samples, rng = integer("samples", samples, 2), generator("rng", rng)
    mean = squares = np.empty(0)
    for k in range(1, samples + 1):
        y = real("predict", predict(rng))
        if k == 1:
            mean, squares = np.zeros_like(y), np.zeros_like(y)
        if y.shape != mean.shape:
            raise ValueError(f"predict: expected shape {mean.shape} as in the first run, got {y.shape}")
        _welford(y.reshape(-1), y.dtype.type(k), mean.reshape(-1), squares.reshape(-1))
    return MCDropout(mean, np.sqrt(squares / (samples - 1)))


@kernel
def _welford(y, k, mean, squares):
    for i in range(y.size):
        change = y[i] - mean[i]
        mean[i] += change / k
        squares[i] += change * (y[i] - mean[i])
