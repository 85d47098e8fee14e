"""Spectral normalization: weights divided by their largest singular value, which power iteration estimates."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, number, pair, public, real, reals, same_shape, shaped
from dlref._compile import kernel
from dlref._math import maximum

__all__ = [
    "PowerIteration",
    "conv2d_singular_values",
    "power_iteration",
    "spectral_normalize",
    "spectral_normalize_backward",
]


class PowerIteration(NamedTuple):
    """Estimates of the first left and right singular vector, and of the largest singular value."""

    u: NDArray
    v: NDArray
    sigma: NDArray


@public
def power_iteration(w: ArrayLike, u: ArrayLike, steps: int = 1, eps: float = 1e-12) -> PowerIteration:
    r"""Move `u` towards the first left singular vector: :math:`v \propto W^\top u,\; u \propto W v`.

    Parameters
    ----------
    w : array_like of float32 or float64, shape (O, ...)
        Weights, outputs first; what follows the first axis counts as one, so that a convolution is a matrix.
    u : array_like, shape (O,)
        Where to start: a random vector, later the result of the step before.
    steps : int
        Rounds, at least 1.
    eps : float
        What a vector is divided by if its norm is smaller.

    Returns
    -------
    PowerIteration
        `u` of shape (O,), `v` with as many entries as `w` has for one output, and `sigma`, the norm of Wv. It is never
        larger than the true largest singular value, but for rounding.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit, `steps` is below 1 or `eps` is not positive.

    See Also
    --------
    spectral_normalize : What uses the result.

    References
    ----------
    Miyato, Kataoka, Koyama & Yoshida (2018), "Spectral normalization for generative adversarial networks".

    Examples
    --------
    >>> w = [[3.0, 0.0], [0.0, 1.0]]
    >>> [float(power_iteration(w, [0.6, 0.8], steps).sigma.round(4)) for steps in (1, 2, 3)]
    [2.7714, 2.9968, 3.0]
    """
    w, u = reals("w", w, "u", u)
    matrix = _matrix(real("w", w, -1))
    shaped("u", u, matrix.shape[:1])
    steps = integer("steps", steps, 1)
    u, v = u.copy(), np.empty(matrix.shape[1], w.dtype)
    sigma = _power_iteration(matrix, steps, w.dtype.type(number("eps", eps, 0, open_low=True)), u, v)
    return PowerIteration(u, v, np.asarray(sigma, w.dtype))


@public
def spectral_normalize(w: ArrayLike, /, u: ArrayLike, v: ArrayLike) -> NDArray:
    r"""Divide weights by :math:`\hat\sigma = u^\top W v`, their largest singular value if u and v are its vectors.

    Parameters
    ----------
    w : array_like of float32 or float64, shape (O, ...)
        Weights, outputs first.
    u : array_like, shape (O,)
        A unit vector, of `power_iteration`; a constant for the gradient.
    v : array_like, as many entries as `w` has for one output
        A unit vector, of `power_iteration`; a constant for the gradient.

    Returns
    -------
    ndarray
        Shape and dtype of `w`. Its spectral norm is 1 once `u` and `v` have converged, and above 1 before.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit.

    See Also
    --------
    power_iteration : The source of `u` and `v`.

    References
    ----------
    Miyato, Kataoka, Koyama & Yoshida (2018), "Spectral normalization for generative adversarial networks".

    Examples
    --------
    >>> spectral_normalize([[3.0, 0.0], [0.0, 1.5]], [1.0, 0.0], [1.0, 0.0])
    array([[1. , 0. ],
           [0. , 0.5]])
    """
    w, u, v = _with_vectors(w, u, v)
    y = np.empty_like(w)
    _spectral_normalize(_matrix(w), u, v, _matrix(y))
    return y


@public
def spectral_normalize_backward(dy: ArrayLike, w: ArrayLike, /, u: ArrayLike, v: ArrayLike) -> NDArray:
    r"""Return the gradient of `spectral_normalize` with respect to `w`, for constant `u` and `v`.

    Parameters
    ----------
    dy : array_like, shape of `w`
        Gradient of the loss with respect to the output.
    w, u, v
        As for `spectral_normalize`.

    Returns
    -------
    ndarray
        :math:`(\bar y - \langle \bar y, y \rangle\, u v^\top) / \hat\sigma`, of the shape of `w`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit.

    See Also
    --------
    spectral_normalize : The function.

    References
    ----------
    Miyato, Kataoka, Koyama & Yoshida (2018), "Spectral normalization for generative adversarial networks".

    Examples
    --------
    Pushing along the first singular vectors alone has no effect.

    >>> spectral_normalize_backward([[1.0, 0.0], [0.0, 0.0]], [[3.0, 0.0], [0.0, 1.5]], [1.0, 0.0], [1.0, 0.0])
    array([[0., 0.],
           [0., 0.]])
    """
    dy, w = reals("dy", dy, "w", w)
    same_shape("dy", dy, "w", w)
    w, u, v = _with_vectors(w, u, v)
    dw = np.empty_like(w)
    _spectral_normalize_backward(_matrix(np.require(dy, w.dtype, "C")), _matrix(w), u, v, _matrix(dw))
    return dw


@kernel(sums=True)
def _power_iteration(w, steps, eps, u, v):
    sigma = w.dtype.type(0)
    for _ in range(steps):
        for i in range(v.size):
            v[i] = 0
        for o in range(u.size):
            row, weight = w[o], u[o]
            for i in range(v.size):
                v[i] += weight * row[i]
        _unit(v, eps)
        for o in range(u.size):
            row = w[o]
            total = w.dtype.type(0)
            for i in range(v.size):
                total += row[i] * v[i]
            u[o] = total
        sigma = _unit(u, eps)
    return sigma


@kernel(sums=True)
def _unit(x, eps):
    # In units of the largest entry, the square of which may be too large for the format.
    zero, unit = x.dtype.type(0), x.dtype.type(0)
    for i in range(x.size):
        unit = maximum(unit, abs(x[i]))
    if not zero < unit < np.inf:
        unit = x.dtype.type(1)
    total = zero
    for i in range(x.size):
        total += (x[i] / unit) * (x[i] / unit)
    norm = unit * np.sqrt(total)
    divisor = max(norm, eps)
    for i in range(x.size):
        x[i] /= divisor
    return norm


@kernel(sums=True)
def _bilinear(u, w, v):
    total = w.dtype.type(0)
    for o in range(u.size):
        row = w[o]
        part = w.dtype.type(0)
        for i in range(v.size):
            part += row[i] * v[i]
        total += u[o] * part
    return total


@kernel
def _spectral_normalize(w, u, v, out):
    sigma = _bilinear(u, w, v)
    for o in range(u.size):
        row, y = w[o], out[o]
        for i in range(row.size):
            y[i] = row[i] / sigma


@kernel
def _spectral_normalize_backward(dy, w, u, v, out):
    sigma = _bilinear(u, w, v)
    along = w.dtype.type(0)
    for o in range(u.size):
        g, row = dy[o], w[o]
        for i in range(row.size):
            along += g[i] * (row[i] / sigma)
    for o in range(u.size):
        g, d = dy[o], out[o]
        for i in range(g.size):
            d[i] = (g[i] - along * u[o] * v[i]) / sigma


@public
def conv2d_singular_values(w: ArrayLike, size: int | tuple[int, int]) -> NDArray:
    r"""Return all singular values of a convolution of stride 1 on images that wrap around at their borders.

    The Fourier transform takes such a convolution apart into one small matrix for each frequency.

    Parameters
    ----------
    w : array_like of float32 or float64, shape (O, C, k, k)
        Filters.
    size : int or pair of int
        Height and width of the images, not smaller than the filters.

    Returns
    -------
    ndarray, shape (H, W, min(O, C))
        Singular values for each frequency, from large to small; NaN if a filter is not finite.

    Raises
    ------
    TypeError
        If `w` is neither real nor integer.
    ValueError
        If `w` does not have four dimensions, or the images are smaller than the filters.

    See Also
    --------
    spectral_normalize : Takes the filters for a matrix, which has another norm.

    References
    ----------
    Sedghi, Gupta & Long (2019), "The singular values of convolutional layers".

    Examples
    --------
    A mean of four pixels passes a constant image unchanged and removes the finest checkerboard.

    >>> conv2d_singular_values([[[[0.25, 0.25], [0.25, 0.25]]]], 2)[..., 0].round(12) + 0.0
    array([[1., 0.],
           [0., 0.]])
    """
    w, size = real("w", w, ndim=4), pair("size", size, 1)
    if any(n < k for n, k in zip(size, w.shape[2:], strict=True)):
        raise ValueError(
            f"size: expected at least the filters' {w.shape[2]} by {w.shape[3]}, got {size[0]} by {size[1]}"
        )
    transforms = np.fft.fft2(w, size, axes=(2, 3)).transpose(2, 3, 0, 1)
    if not np.isfinite(w).all():  # every frequency sees every number
        return np.full((*size, min(w.shape[:2])), np.nan, w.dtype)
    return np.linalg.svd(transforms, compute_uv=False).astype(w.dtype)


def _matrix(w):
    return w.reshape(w.shape[0], math.prod(w.shape[1:]))


def _with_vectors(w, u, v):
    w, u, v = reals("w", w, "u", u, "v", v)
    w = real("w", w, ndim=-1)
    shaped("u", u, w.shape[:1])
    shaped("v", v, _matrix(w).shape[1:])
    return w, u, v
