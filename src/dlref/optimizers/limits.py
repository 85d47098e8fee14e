"""Clipping: bounds on entries, on the norm of an array, on weights, and on a gradient measured by its weights."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import number, public, real, reals, same_shape
from dlref._compile import kernel, prange

__all__ = ["adaptive_gradient_clip", "clip", "clip_backward", "clip_by_norm", "clip_weights"]


@public
def clip(x: ArrayLike, /, low: float = -math.inf, high: float = math.inf) -> NDArray:
    r"""Move every entry into an interval: :math:`y = \min(\max(x, \ell), h)`.

    Parameters
    ----------
    x : array_like of float32 or float64, any shape
        Values; integers become float64.
    low, high : float
        The bounds :math:`\ell` and h. Where `low` is above `high`, every entry becomes `high`.

    Returns
    -------
    ndarray
        Same shape and dtype as `x`. NaN stays NaN.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer, or a bound is not a number.
    ValueError
        If a bound is NaN.

    See Also
    --------
    clip_by_norm : Shortens the array as a whole and keeps its direction.

    References
    ----------
    ONNX operator Clip, version 13.

    Examples
    --------
    >>> clip([-3.0, 0.5, 3.0], -1.0, 1.0)
    array([-1. ,  0.5,  1. ])
    """
    x = real("x", x)
    out = np.empty_like(x)
    _clip(x.reshape(-1), *_bounds(x, low, high), out.reshape(-1))
    return out


@public
def clip_backward(dy: ArrayLike, x: ArrayLike, /, low: float = -math.inf, high: float = math.inf) -> NDArray:
    r"""Return the gradient of `clip`: :math:`\bar y` where :math:`\ell \le x \le h`, and 0 elsewhere.

    Parameters
    ----------
    dy : array_like, shape of `x`
        Gradient of the loss with respect to the output.
    x : array_like of float32 or float64, any shape
        The input of `clip`.
    low, high : float
        As for `clip`.

    Returns
    -------
    ndarray
        Gradient with respect to `x`. It passes on both bounds, and is 0 at NaN and where `low` is above `high`.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer, or a bound is not a number.
    ValueError
        If the shapes differ, or a bound is NaN.

    See Also
    --------
    clip : The function.

    References
    ----------
    PyTorch, ``torch.clamp``.

    Examples
    --------
    >>> clip_backward([1.0, 1.0, 1.0, 1.0], [-3.0, 0.5, 1.0, 3.0], -1.0, 1.0)
    array([0., 1., 1., 0.])
    """
    dy, x = reals("dy", dy, "x", x)
    same_shape("dy", dy, "x", x)
    out = np.empty_like(x)
    _clip_backward(dy.reshape(-1), x.reshape(-1), *_bounds(x, low, high), out.reshape(-1))
    return out


@kernel
def _clip(x, low, high, out):
    for i in prange(x.size):
        # NaN compares false and stays; in this order high wins where low > high
        bounded = low if x[i] < low else x[i]
        out[i] = high if bounded > high else bounded


@kernel
def _clip_backward(dy, x, low, high, out):
    zero = x.dtype.type(0)
    for i in prange(x.size):
        inside = (x[i] >= low) & (x[i] <= high)
        out[i] = dy[i] if inside else zero


def _bounds(x, low, high):
    with np.errstate(over="ignore"):  # a bound beyond the dtype's range is infinite there
        return x.dtype.type(number("low", low)), x.dtype.type(number("high", high))


def clip_weights(w: ArrayLike, c: float = 0.01) -> NDArray:
    r"""Clip weights to the box :math:`[-c, c]`, as the critic of a Wasserstein GAN after each step.

    Parameters
    ----------
    w : array_like of float32 or float64, any shape
        Weights, after the optimizer's step.
    c : float
        The bound, not negative.

    Returns
    -------
    ndarray
        Same shape and dtype as `w`; the argument is not changed.

    Raises
    ------
    TypeError
        If `w` is neither real nor integer, or `c` is not a number.
    ValueError
        If `c` is negative.

    See Also
    --------
    clip : With two bounds, and with a gradient.

    References
    ----------
    Arjovsky, Chintala & Bottou (2017), "Wasserstein generative adversarial networks", algorithm 1.

    Examples
    --------
    >>> clip_weights([-0.3, 0.004, 0.02])
    array([-0.01 ,  0.004,  0.01 ])
    """
    w = real("w", w)
    c = number("c", c, 0)
    out = np.empty_like(w)
    _clip(w.reshape(-1), *_bounds(w, -c, c), out.reshape(-1))
    return out


def clip_by_norm(g: ArrayLike, max_norm: float) -> NDArray:
    r"""Shorten one array to a norm: :math:`g \leftarrow g \min(1, c / \lVert g \rVert)`.

    Parameters
    ----------
    g : array_like of float32 or float64, any shape
        Usually the gradient of one array of parameters.
    max_norm : float
        The largest norm c, not negative. The norm is the root of the sum of all squares, whatever the shape.

    Returns
    -------
    ndarray
        Same shape, dtype and direction as `g`; an equal copy where the norm does not exceed `max_norm`. An infinite
        norm leaves zeros, and NaN at the infinite entries; a norm that is NaN makes every entry NaN.

    Raises
    ------
    TypeError
        If `g` is neither real nor integer, or `max_norm` is not a number.
    ValueError
        If `max_norm` is negative.

    See Also
    --------
    clip : Bounds every entry alone, and changes the direction.
    adaptive_gradient_clip : With a bound that each unit's weights set.

    References
    ----------
    Pascanu, Mikolov & Bengio (2013), "On the difficulty of training recurrent neural networks", algorithm 1.

    Examples
    --------
    >>> clip_by_norm([3.0, 4.0], 1.0)
    array([0.6, 0.8])
    """
    g = real("g", g)
    out = np.empty_like(g)
    _clip_by_norm(g.reshape(-1), number("max_norm", max_norm, 0), out.reshape(-1))
    return out


@kernel
def _clip_by_norm(g, max_norm, out):
    norm = _euclidean(g)
    factor = 1.0 if norm <= max_norm else max_norm / norm
    for i in prange(g.size):
        out[i] = factor * g[i]


@kernel(sums=True)
def _euclidean(x):
    total = 0.0
    for i in range(x.size):
        total += np.float64(x[i]) * np.float64(x[i])
    if 1e-280 < total < math.inf or math.isnan(total):
        return math.sqrt(total)
    # squares left the range of float64: divide by the largest entry first
    largest = 0.0
    for i in range(x.size):
        largest = max(largest, abs(np.float64(x[i])))
    if largest == 0.0 or largest == math.inf:
        return largest
    total = 0.0
    for i in range(x.size):
        total += (x[i] / largest) * (x[i] / largest)
    return largest * math.sqrt(total)


def adaptive_gradient_clip(g: ArrayLike, w: ArrayLike, threshold: float = 0.01, eps: float = 1e-3) -> NDArray:
    r"""Shorten each unit's gradient to a share of the norm of its weights.

    Row by row, :math:`g_i \leftarrow g_i \min(1, \lambda \max(\lVert w_i \rVert, \epsilon) / \lVert g_i \rVert)`.

    Parameters
    ----------
    g : array_like of float32 or float64
        Gradient of one array of parameters.
    w : array_like, shape of `g`
        The parameters. With two dimensions or more the first one counts the units, as in ``(out, in, ...)``; with fewer
        the whole array is one unit.
    threshold : float
        The largest ratio :math:`\lambda` of the two norms.
    eps : float
        The least norm that a unit's weights count with. Without it weights that start at zero would stay there.

    Returns
    -------
    ndarray
        Same shape as `g`; units below the threshold are equal copies.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or a constant is not a number.
    ValueError
        If the shapes differ, or a constant is negative.

    See Also
    --------
    clip_by_norm : With one bound for the whole array.

    References
    ----------
    Brock, De, Smith & Simonyan (2021), "High-performance large-scale image recognition without normalization".

    Examples
    --------
    Two units with the same gradient. The one with the small weights may take only a small step.

    >>> adaptive_gradient_clip([[3.0, 4.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, 100.0]], threshold=0.1)
    array([[0.06, 0.08],
           [3.  , 4.  ]])
    """
    g, w = reals("g", g, "w", w)
    same_shape("w", w, "g", g)
    threshold, eps = number("threshold", threshold, 0), number("eps", eps, 0)
    out = np.empty_like(g)
    units = len(g) if g.ndim > 1 else 1
    rows = (units, math.prod(g.shape[1:]) if g.ndim > 1 else g.size)
    _adaptive_gradient_clip(g.reshape(rows), w.reshape(rows), threshold, eps, out.reshape(rows))
    return out


@kernel
def _adaptive_gradient_clip(g, w, threshold, eps, out):
    for i in prange(len(g)):
        weight, norm = _euclidean(w[i]), _euclidean(g[i])
        limit = threshold * (eps if weight < eps else weight)
        factor = 1.0 if norm <= limit else limit / norm
        for j in range(g.shape[1]):
            out[i, j] = factor * g[i, j]
