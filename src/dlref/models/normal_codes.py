"""Codes that are normal distributions: a draw, divergence from the prior, densities, and a decoder that is exact."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import number, public, real, reals, same_shape, shaped
from dlref._compile import kernel, prange
from dlref._math import exp, expm1

__all__ = [
    "GaussianKLGradients",
    "ReparameterizeGradients",
    "gaussian_kl",
    "gaussian_kl_backward",
    "gaussian_log_density",
    "gaussian_log_density_backward",
    "linear_gaussian_log_likelihood",
    "reparameterize",
    "reparameterize_backward",
]


class ReparameterizeGradients(NamedTuple):
    """Gradients of `reparameterize`, one for each argument before the slash."""

    mean: NDArray
    logvar: NDArray


class GaussianKLGradients(NamedTuple):
    """Gradients of `gaussian_kl`, one for each argument before the slash."""

    mean: NDArray
    logvar: NDArray


@public
def reparameterize(mean: ArrayLike, logvar: ArrayLike, /, noise: ArrayLike) -> NDArray:
    r"""Turn standard normal noise into a draw: :math:`z = \mu + e^{v/2} \epsilon`, with a gradient through both.

    Parameters
    ----------
    mean : array_like of float32 or float64, any shape
        The means.
    logvar : array_like, same shape
        Logarithms v of the variances.
    noise : array_like, same shape
        Draws from the standard normal distribution.

    Returns
    -------
    ndarray, same shape
        Draws from the normal distribution with these means and variances.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes differ.

    See Also
    --------
    gaussian_kl : The price of a code that differs from the prior.

    References
    ----------
    Kingma & Welling (2014), "Auto-encoding variational Bayes".

    Examples
    --------
    >>> reparameterize([1.0, 1.0], [0.0, np.log(4.0)], [2.0, 2.0])
    array([3., 5.])
    """
    mean, logvar, noise = _drawn(mean, logvar, noise)
    z = np.empty_like(mean)
    _reparameterize(mean.reshape(-1), logvar.reshape(-1), noise.reshape(-1), z.reshape(-1))
    return z


@public
def reparameterize_backward(
    dy: ArrayLike, mean: ArrayLike, logvar: ArrayLike, /, noise: ArrayLike
) -> ReparameterizeGradients:
    """Return the gradients of `reparameterize`.

    Parameters
    ----------
    dy : array_like, shape of `mean`
        Gradient of the loss with respect to the draws.
    mean, logvar
        The arrays of `reparameterize`.
    noise : array_like, same shape
        The noise of the forward pass.

    Returns
    -------
    ReparameterizeGradients
        Gradients with respect to `mean` and `logvar`.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes differ.

    See Also
    --------
    reparameterize : The function.

    References
    ----------
    Kingma & Welling (2014), "Auto-encoding variational Bayes".

    Examples
    --------
    >>> reparameterize_backward([1.0], [1.0], [np.log(4.0)], [3.0]).logvar
    array([3.])
    """
    dy, mean, logvar, noise = reals("dy", dy, "mean", mean, "logvar", logvar, "noise", noise)
    mean, logvar, noise = _drawn(mean, logvar, noise)
    same_shape("dy", dy, "mean", mean)
    dlogvar = np.empty_like(mean)
    _reparameterize_backward(dy.reshape(-1), logvar.reshape(-1), noise.reshape(-1), dlogvar.reshape(-1))
    return ReparameterizeGradients(dy.copy(), dlogvar)


@kernel
def _reparameterize(mean, logvar, noise, out):
    half = out.dtype.type(0.5)
    for i in prange(out.size):
        out[i] = mean[i] + exp(half * logvar[i]) * noise[i]


@kernel
def _reparameterize_backward(dy, logvar, noise, out):
    half = out.dtype.type(0.5)
    for i in prange(out.size):
        out[i] = half * dy[i] * exp(half * logvar[i]) * noise[i]


@public
def gaussian_kl(mean: ArrayLike, logvar: ArrayLike, /) -> NDArray:
    r"""Return :math:`D(\mathcal{N}(\mu, e^v) \,\|\, \mathcal{N}(0, I)) = \frac12 \sum_k (\mu_k^2 + e^{v_k} - 1 - v_k)`.

    Parameters
    ----------
    mean : array_like of float32 or float64, shape (N, K)
        Means, one row for each example.
    logvar : array_like, shape (N, K)
        Logarithms v of the variances.

    Returns
    -------
    ndarray, shape (N,)
        Divergences in nats, at least zero.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes differ.

    See Also
    --------
    dlref.losses.kl_divergence : For discrete distributions.

    References
    ----------
    Kingma & Welling (2014), "Auto-encoding variational Bayes".

    Examples
    --------
    A mean that is one off costs half a nat.

    >>> gaussian_kl([[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]])
    array([0.5, 0. ])
    """
    mean, logvar = _code(mean, logvar)
    y = np.empty(len(mean), mean.dtype)
    _gaussian_kl(mean, logvar, y)
    return y


@public
def gaussian_kl_backward(dy: ArrayLike, mean: ArrayLike, logvar: ArrayLike, /) -> GaussianKLGradients:
    """Return the gradients of `gaussian_kl`.

    Parameters
    ----------
    dy : array_like, shape (N,)
        Gradient of the loss with respect to the divergences.
    mean, logvar
        The arguments of `gaussian_kl`.

    Returns
    -------
    GaussianKLGradients
        Gradients with respect to `mean` and `logvar`.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes differ.

    See Also
    --------
    gaussian_kl : The function.

    References
    ----------
    Kingma & Welling (2014), "Auto-encoding variational Bayes".

    Examples
    --------
    >>> gaussian_kl_backward([1.0], [[2.0]], [[0.0]])
    GaussianKLGradients(mean=array([[2.]]), logvar=array([[0.]]))
    """
    dy, mean, logvar = reals("dy", dy, "mean", mean, "logvar", logvar)
    mean, logvar = _code(mean, logvar)
    shaped("dy", dy, (len(mean),))
    dmean, dlogvar = np.empty_like(mean), np.empty_like(mean)
    _gaussian_kl_backward(dy, mean, logvar, dmean, dlogvar)
    return GaussianKLGradients(dmean, dlogvar)


@kernel(sums=True)
def _gaussian_kl(mean, logvar, out):
    for n in prange(out.size):
        m, v, total = mean[n], logvar[n], out.dtype.type(0)
        for k in range(m.size):
            # expm1(v) - v does not cancel near the prior as exp(v) - 1 - v does
            grown = expm1(v[k])
            total += m[k] * m[k] + (grown if grown == np.inf else grown - v[k])
        out[n] = total / 2


@kernel
def _gaussian_kl_backward(dy, mean, logvar, dmean, dlogvar):
    for n in prange(dy.size):
        for k in range(mean.shape[1]):
            dmean[n, k] = dy[n] * mean[n, k]
            dlogvar[n, k] = dy[n] * expm1(logvar[n, k]) / 2


@public
def gaussian_log_density(y: ArrayLike, /, x: ArrayLike, sigma: float = 1.0) -> NDArray:
    r"""Return :math:`\log p(x \mid y) = -\lVert x - y \rVert^2 / 2\sigma^2 - \frac{D}{2} \log 2\pi\sigma^2` by rows.

    Parameters
    ----------
    y : array_like of float32 or float64, shape (N, D)
        Means: what a decoder gives.
    x : array_like, shape (N, D)
        Examples.
    sigma : float
        Standard deviation of every entry, above 0.

    Returns
    -------
    ndarray, shape (N,)
        Logarithms of densities.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes differ or `sigma` is not positive.

    See Also
    --------
    vae_elbo : Averages it over codes.

    References
    ----------
    Kingma & Welling (2014), "Auto-encoding variational Bayes".

    Examples
    --------
    >>> gaussian_log_density([[0.0]], [[0.0]]).round(4)
    array([-0.9189])
    """
    y, x = _compared(y, x)
    sigma = number("sigma", sigma, 0, open_low=True, open_high=True)
    z = np.empty(len(y), y.dtype)
    _gaussian_log_density(y, x, y.dtype.type(1 / sigma), y.dtype.type(_constant(y.shape[1], sigma)), z)
    return z


@public
def gaussian_log_density_backward(dy: ArrayLike, y: ArrayLike, /, x: ArrayLike, sigma: float = 1.0) -> NDArray:
    """Return the gradient of `gaussian_log_density`: towards the example.

    Parameters
    ----------
    dy : array_like, shape (N,)
        Gradient of the loss with respect to the logarithms.
    y : array_like, shape (N, D)
        The means.
    x : array_like, shape (N, D)
        Examples.
    sigma : float
        Standard deviation.

    Returns
    -------
    ndarray, shape (N, D)
        Gradient with respect to `y`.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes differ or `sigma` is not positive.

    See Also
    --------
    gaussian_log_density : The function.

    References
    ----------
    Kingma & Welling (2014), "Auto-encoding variational Bayes".

    Examples
    --------
    >>> gaussian_log_density_backward([1.0], [[0.0]], [[3.0]])
    array([[3.]])
    """
    dy, y, x = reals("dy", dy, "y", y, "x", x)
    y, x = _compared(y, x)
    shaped("dy", dy, (len(y),))
    sigma = number("sigma", sigma, 0, open_low=True, open_high=True)
    return dy[:, None] * ((x - y) / y.dtype.type(sigma)) / y.dtype.type(sigma)


@kernel(sums=True)
def _gaussian_log_density(y, x, scale, constant, out):
    for n in prange(out.size):
        a, b, total = y[n], x[n], out.dtype.type(0)
        for d in range(a.size):
            away = (b[d] - a[d]) * scale
            total += away * away
        out[n] = -total / 2 - constant


def linear_gaussian_log_likelihood(x: ArrayLike, w: ArrayLike, b: ArrayLike, sigma: float) -> NDArray:
    r"""Return the exact :math:`\log p(x)` of a linear decoder: x has the covariance :math:`W W^\top + \sigma^2 I`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, D)
        Examples.
    w : array_like, shape (D, K)
        The decoder: the mean of x is W z + b for a standard normal code z.
    b : array_like, shape (D,)
        Its bias.
    sigma : float
        Standard deviation around the mean, above 0.

    Returns
    -------
    ndarray, shape (N,)
        Logarithms of densities.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes do not fit or `sigma` is not positive.

    See Also
    --------
    gaussian_log_density : For a given code.

    References
    ----------
    Kingma & Welling (2014), "Auto-encoding variational Bayes".

    Examples
    --------
    >>> linear_gaussian_log_likelihood([[0.0]], [[1.0]], [0.0], 1.0).round(4)
    array([-1.2655])
    """
    x, w, b = reals("x", x, "w", w, "b", b)
    real("x", x, 2)
    shaped("w", w, (x.shape[1], None))
    shaped("b", b, (x.shape[1],))
    sigma = number("sigma", sigma, 0, open_low=True, open_high=True)
    scale, codes = x.dtype.type(sigma), w.shape[1]
    # The quadratic is the least |x - b - W z|^2 / sigma^2 + |z|^2 over z, at the mean of the posterior: least squares,
    # where W W' + sigma^2 would lose a sigma^2 below its rounding.
    q, r = np.linalg.qr(np.concatenate([w / scale, np.eye(codes, dtype=x.dtype)]))
    away = np.concatenate([(x - b).T / scale, np.zeros((codes, len(x)), x.dtype)])
    away -= q @ (q.T @ away)
    volume = np.log(np.abs(np.diag(r))).sum() + x.dtype.type(_constant(len(w), sigma))
    return -(away * away).sum(axis=0) / 2 - volume


def _constant(size, sigma):
    return size * (math.log(sigma) + math.log(2 * math.pi) / 2)


def _drawn(mean, logvar, noise):
    mean, logvar, noise = reals("mean", real("mean", mean), "logvar", logvar, "noise", noise)
    same_shape("logvar", logvar, "mean", mean)
    same_shape("noise", noise, "mean", mean)
    return mean, logvar, noise


def _code(mean, logvar):
    mean, logvar = reals("mean", mean, "logvar", logvar)
    real("mean", mean, 2)
    same_shape("logvar", logvar, "mean", mean)
    return mean, logvar


def _compared(y, x):
    y, x = reals("y", y, "x", x)
    real("y", y, 2)
    same_shape("x", x, "y", y)
    return y, x
