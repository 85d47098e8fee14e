"""Identity, Heaviside step and hard sigmoid, and the lookup of an activation by its name."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import backward_of, number, option, public, real, reals, same_shape
from dlref._compile import kernel, prange
from dlref._math import maximum, minimum
from dlref.activations.exponential_linear import elu, selu
from dlref.activations.leaky import leaky_relu
from dlref.activations.logistic import log_sigmoid, sigmoid
from dlref.activations.rectified import relu, relu6
from dlref.activations.smooth import gelu, gelu_tanh, silu, softplus, tanh

__all__ = [
    "Activation",
    "activation",
    "hard_sigmoid",
    "hard_sigmoid_backward",
    "heaviside",
    "heaviside_backward",
    "identity",
    "identity_backward",
]


class Activation(NamedTuple):
    """An elementwise function and its backward pass."""

    function: Callable
    backward: Callable


@public
def identity(x: ArrayLike, /) -> NDArray:
    r"""Return a copy of the input: :math:`y = x`.

    Parameters
    ----------
    x : array_like of float32 or float64, any shape
        Pre-activations; integers become float64.

    Returns
    -------
    ndarray
        Same shape and dtype as `x`, and the same bits.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.

    See Also
    --------
    activation : Where it is also called linear.

    References
    ----------
    Leshno, Lin, Pinkus & Schocken (1993), "Multilayer feedforward networks with a nonpolynomial activation function can
    approximate any function".

    Examples
    --------
    >>> identity([-1.0, 2.0])
    array([-1.,  2.])
    """
    x = real("x", x)
    out = np.empty_like(x)
    _identity(x.reshape(-1), out.reshape(-1))
    return out


@public
def identity_backward(dy: ArrayLike, x: ArrayLike, /) -> NDArray:
    r"""Return the gradient of `identity`: :math:`\bar x = \bar y`.

    Parameters
    ----------
    dy : array_like, shape of `x`
        Gradient of the loss with respect to the output.
    x : array_like of float32 or float64, any shape
        The input of `identity`.

    Returns
    -------
    ndarray
        A copy of `dy`.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes differ.

    See Also
    --------
    identity : The function.

    References
    ----------
    Leshno, Lin, Pinkus & Schocken (1993), "Multilayer feedforward networks with a nonpolynomial activation function can
    approximate any function".

    Examples
    --------
    >>> identity_backward([3.0, 4.0], [-1.0, 2.0])
    array([3., 4.])
    """
    dy, x = reals("dy", dy, "x", x)
    same_shape("dy", dy, "x", x)
    out = np.empty_like(x)
    _identity_backward(dy.reshape(-1), x.reshape(-1), out.reshape(-1))
    return out


@kernel
def _identity(x, out):
    for i in prange(x.size):
        out[i] = x[i]


@kernel
def _identity_backward(dy, x, out):
    for i in prange(x.size):
        out[i] = dy[i]


@public
def heaviside(x: ArrayLike, /, at_zero: float = 0.5) -> NDArray:
    r"""Return the Heaviside step elementwise: :math:`y = [x > 0]`.

    Parameters
    ----------
    x : array_like of float32 or float64, any shape
        Pre-activations; integers become float64.
    at_zero : float
        The value at the jump.

    Returns
    -------
    ndarray
        Same shape and dtype as `x`. NaN stays NaN.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.
    ValueError
        If the value at zero is not finite.

    See Also
    --------
    hard_sigmoid : A ramp in place of the jump.

    References
    ----------
    McCulloch & Pitts (1943), "A logical calculus of the ideas immanent in nervous activity".

    Examples
    --------
    >>> heaviside([-2.0, 0.0, 3.0])
    array([0. , 0.5, 1. ])
    """
    x = real("x", x)
    out = np.empty_like(x)
    _heaviside(x.reshape(-1), _finite(x, "at_zero", at_zero), out.reshape(-1))
    return out


@public
def heaviside_backward(dy: ArrayLike, x: ArrayLike, /, at_zero: float = 0.5) -> NDArray:
    r"""Return the gradient of `heaviside`: :math:`\bar x = 0`.

    Parameters
    ----------
    dy : array_like, shape of `x`
        Gradient of the loss with respect to the output.
    x : array_like of float32 or float64, any shape
        The input of `heaviside`.
    at_zero : float
        As for `heaviside`.

    Returns
    -------
    ndarray
        Zeros: the derivative wherever it exists, and by definition at the jump.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes differ, or the value at zero is not finite.

    See Also
    --------
    heaviside : The function.

    References
    ----------
    McCulloch & Pitts (1943), "A logical calculus of the ideas immanent in nervous activity".

    Examples
    --------
    Nothing is learned through a step.

    >>> heaviside_backward([1.0, 1.0], [-1.0, 2.0])
    array([0., 0.])
    """
    dy, x = reals("dy", dy, "x", x)
    same_shape("dy", dy, "x", x)
    out = np.empty_like(x)
    _heaviside_backward(dy.reshape(-1), x.reshape(-1), _finite(x, "at_zero", at_zero), out.reshape(-1))
    return out


@kernel
def _heaviside(x, at_zero, out):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in prange(x.size):
        jump = x[i] if x[i] != 0 else at_zero
        out[i] = one if x[i] > 0 else zero if x[i] < 0 else jump


@kernel
def _heaviside_backward(dy, x, at_zero, out):
    zero = x.dtype.type(0)
    for i in prange(x.size):
        out[i] = zero


@public
def hard_sigmoid(x: ArrayLike, /, slope: float = 1 / 6) -> NDArray:
    r"""Return the hard sigmoid elementwise: :math:`y = \min(\max(a x + \tfrac12, 0), 1)`.

    Parameters
    ----------
    x : array_like of float32 or float64, any shape
        Pre-activations; integers become float64.
    slope : float
        The slope a of the ramp, which reaches from :math:`-1/(2a)` to :math:`1/(2a)`.

    Returns
    -------
    ndarray
        Same shape and dtype as `x`, from 0 to 1.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.
    ValueError
        If the slope is not positive and finite.

    See Also
    --------
    sigmoid : What it stands for.

    References
    ----------
    Courbariaux, Bengio & David (2015), "BinaryConnect", with slope 1/2.

    Examples
    --------
    The usual slope, and that of ONNX.

    >>> hard_sigmoid([-3.0, 0.0, 1.0]).round(4)
    array([0.    , 0.5   , 0.6667])
    >>> hard_sigmoid(1.0, slope=0.2).round(4)
    np.float64(0.7)
    """
    x = real("x", x)
    out = np.empty_like(x)
    _hard_sigmoid(x.reshape(-1), *_ramp(x, slope), out.reshape(-1))
    return out


@public
def hard_sigmoid_backward(dy: ArrayLike, x: ArrayLike, /, slope: float = 1 / 6) -> NDArray:
    r"""Return the gradient of `hard_sigmoid`: :math:`\bar x = a \bar y\,[\,|x| < 1/(2a)]`.

    Parameters
    ----------
    dy : array_like, shape of `x`
        Gradient of the loss with respect to the output.
    x : array_like of float32 or float64, any shape
        The input of `hard_sigmoid`.
    slope : float
        As for `hard_sigmoid`.

    Returns
    -------
    ndarray
        Gradient with respect to `x`: 0 at both kinks, and :math:`a \bar y` at NaN.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes differ, or the slope is not positive and finite.

    See Also
    --------
    hard_sigmoid : The function.

    References
    ----------
    Courbariaux, Bengio & David (2015), "BinaryConnect", with slope 1/2.

    Examples
    --------
    >>> hard_sigmoid_backward([6.0, 6.0, 6.0], [-3.0, 0.0, 1.0]).round(4)
    array([0., 1., 1.])
    """
    dy, x = reals("dy", dy, "x", x)
    same_shape("dy", dy, "x", x)
    out = np.empty_like(x)
    _hard_sigmoid_backward(dy.reshape(-1), x.reshape(-1), *_ramp(x, slope), out.reshape(-1))
    return out


@kernel
def _hard_sigmoid(x, slope, edge, out):
    for i in prange(x.size):
        # a (x + 1/(2a)), exact where it starts from zero
        out[i] = minimum(maximum(slope * (x[i] + edge), 0), 1)


@kernel
def _hard_sigmoid_backward(dy, x, slope, edge, out):
    zero = x.dtype.type(0)
    for i in prange(x.size):
        out[i] = zero if abs(x[i]) >= edge else slope * dy[i]


@public
def activation(name: str) -> Activation:
    r"""Return an activation and its backward pass by name.

    Parameters
    ----------
    name : str
        The name of an elementwise function of this family, or ``"linear"``, ``"step"``, ``"swish"``.

    Returns
    -------
    Activation
        The `function`, and the `backward` that stands beside it. Softmax is not among them: it is not elementwise.

    Raises
    ------
    ValueError
        If there is no such activation; the message lists those that there are.

    See Also
    --------
    softmax : Acts on a row, not on an entry.

    References
    ----------
    Leshno, Lin, Pinkus & Schocken (1993), "Multilayer feedforward networks with a nonpolynomial activation function can
    approximate any function".

    Examples
    --------
    >>> swish, slope = activation("swish")
    >>> swish(1.0).round(4), slope(1.0, 1.0).round(4)
    (np.float64(0.7311), np.float64(0.9277))
    """
    function = FUNCTIONS[option("name", name, FUNCTIONS)]
    return Activation(function, backward_of(function))


ELEMENTWISE = [elu, gelu, gelu_tanh, hard_sigmoid, heaviside, identity, leaky_relu, log_sigmoid]
ELEMENTWISE += [relu, relu6, selu, sigmoid, silu, softplus, tanh]
FUNCTIONS = {f.__name__: f for f in ELEMENTWISE} | {"linear": identity, "step": heaviside, "swish": silu}


def _finite(x, name, value):
    return x.dtype.type(number(name, value, open_low=True, open_high=True))


def _ramp(x, slope):
    slope = number("slope", slope, 0, open_low=True, open_high=True)
    return x.dtype.type(slope), x.dtype.type(0.5 / slope)
