"""Exponential linear units: ELU, and SELU with the scale that keeps mean and variance."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import number, public, real, reals, same_shape
from dlref._compile import kernel, prange
from dlref._math import exp, expm1

__all__ = ["elu", "elu_backward", "selu", "selu_backward"]


@public
def elu(x: ArrayLike, /, alpha: float = 1.0) -> NDArray:
    r"""Return the exponential linear unit elementwise: :math:`y = \max(x, 0) + a\,(e^{\min(x, 0)} - 1)`.

    Parameters
    ----------
    x : array_like of float32 or float64, any shape
        Pre-activations; integers become float64.
    alpha : float
        The height a; with one the derivative is continuous.

    Returns
    -------
    ndarray
        Same shape and dtype as `x`; at least :math:`-a` where a is positive.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.
    ValueError
        If alpha is not finite.

    See Also
    --------
    selu : Scaled, with an a of its own.

    References
    ----------
    Clevert, Unterthiner & Hochreiter (2016), "Fast and accurate deep network learning by exponential linear units".

    Examples
    --------
    It levels off on the left, and keeps small inputs on both sides.

    >>> elu([-50.0, -1e-9, 2.0])
    array([-1.00000000e+00, -9.99999999e-10,  2.00000000e+00])
    """
    x = real("x", x)
    out = np.empty_like(x)
    _elu(x.reshape(-1), _alpha(x, alpha), out.reshape(-1))
    return out


@public
def elu_backward(dy: ArrayLike, x: ArrayLike, /, alpha: float = 1.0) -> NDArray:
    r"""Return the gradient of `elu`: :math:`\bar x = \bar y\,([x > 0] + a e^x\,[x \le 0])`.

    Parameters
    ----------
    dy : array_like, shape of `x`
        Gradient of the loss with respect to the output.
    x : array_like of float32 or float64, any shape
        The input of `elu`.
    alpha : float
        As for `elu`.

    Returns
    -------
    ndarray
        Gradient with respect to `x`. At 0 the slope is that of the left side; at NaN it is 1.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes differ, or alpha is not finite.

    See Also
    --------
    elu : The function.

    References
    ----------
    Clevert, Unterthiner & Hochreiter (2016), "Fast and accurate deep network learning by exponential linear units".

    Examples
    --------
    >>> elu_backward([1.0, 1.0, 1.0], [-1.0, 0.0, 2.0]).round(4)
    array([0.3679, 1.    , 1.    ])
    """
    dy, x = reals("dy", dy, "x", x)
    same_shape("dy", dy, "x", x)
    out = np.empty_like(x)
    _elu_backward(dy.reshape(-1), x.reshape(-1), _alpha(x, alpha), out.reshape(-1))
    return out


@kernel
def _elu(x, alpha, out):
    for i in prange(x.size):
        out[i] = x[i] if x[i] > 0 else alpha * expm1(x[i])


@kernel
def _elu_backward(dy, x, alpha, out):
    for i in prange(x.size):
        out[i] = dy[i] * (alpha * exp(x[i])) if x[i] <= 0 else dy[i]


@public
def selu(x: ArrayLike, /) -> NDArray:
    r"""Return the scaled exponential linear unit elementwise: :math:`y = \lambda\,\operatorname{elu}(x; a)`.

    Parameters
    ----------
    x : array_like of float32 or float64, any shape
        Pre-activations; integers become float64.

    Returns
    -------
    ndarray
        Same shape and dtype as `x`, at least -1.7581.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.

    See Also
    --------
    elu : Without the scale.

    References
    ----------
    Klambauer, Unterthiner, Mayr & Hochreiter (2017), "Self-normalizing neural networks".

    Examples
    --------
    Standard normal numbers keep their mean and variance.

    >>> y = selu(np.random.default_rng(0).normal(size=1_000_000))
    >>> print(f"{y.mean():.2f} {y.var():.2f}")
    0.00 1.00
    """
    x = real("x", x)
    out = np.empty_like(x)
    _selu(x.reshape(-1), out.reshape(-1))
    return out


@public
def selu_backward(dy: ArrayLike, x: ArrayLike, /) -> NDArray:
    r"""Return the gradient of `selu`: :math:`\bar x = \lambda \bar y\,([x > 0] + a e^x\,[x \le 0])`.

    Parameters
    ----------
    dy : array_like, shape of `x`
        Gradient of the loss with respect to the output.
    x : array_like of float32 or float64, any shape
        The input of `selu`.

    Returns
    -------
    ndarray
        Gradient with respect to `x`. At the kink the slope is that of the left side.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes differ.

    See Also
    --------
    selu : The function.

    References
    ----------
    Klambauer, Unterthiner, Mayr & Hochreiter (2017), "Self-normalizing neural networks".

    Examples
    --------
    >>> selu_backward([1.0, 1.0, 1.0], [-1.0, 0.0, 2.0]).round(4)
    array([0.6468, 1.7581, 1.0507])
    """
    dy, x = reals("dy", dy, "x", x)
    same_shape("dy", dy, "x", x)
    out = np.empty_like(x)
    _selu_backward(dy.reshape(-1), x.reshape(-1), out.reshape(-1))
    return out


SELU_ALPHA = 1.6732632423543772  # for these two, N(0, 1) goes in and mean 0, variance 1 comes out
SELU_SCALE = 1.0507009873554805


@kernel
def _selu(x, out):
    scale = x.dtype.type(SELU_SCALE)
    height = x.dtype.type(SELU_SCALE * SELU_ALPHA)
    for i in prange(x.size):
        out[i] = scale * x[i] if x[i] > 0 else height * expm1(x[i])


@kernel
def _selu_backward(dy, x, out):
    scale = x.dtype.type(SELU_SCALE)
    height = x.dtype.type(SELU_SCALE * SELU_ALPHA)
    for i in prange(x.size):
        out[i] = dy[i] * (height * exp(x[i]) if x[i] <= 0 else scale)


def _alpha(x, alpha):
    return x.dtype.type(number("alpha", alpha, open_low=True, open_high=True))
