"""Max pooling: the largest value in each window of a feature map, and where it stands."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import public, reals, shaped
from dlref._compile import inline, kernel, prange
from dlref._math import maximum
from dlref.layers._pools import planes, pooling_windows

__all__ = ["max_pool2d", "max_pool2d_backward", "max_pool2d_indices"]


@public
def max_pool2d(
    x: ArrayLike,
    /,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    ceil_mode: bool = False,
) -> NDArray:
    r"""Return the largest value in each window: :math:`y_{ncrs} = \max_{ij} x_{nc,\,rS+iD-P,\,sS+jD-P}`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, C, H, W)
        Feature maps.
    kernel : int or pair of int
        Height and width of a window.
    stride : int or pair of int, optional
        S: steps of the window; those of `kernel` if it is None, so that windows tile the map.
    padding : int or pair of int
        P: rows and columns of minus infinity on each side, at most half a window.
    dilation : int or pair of int
        D: distance between the pixels of a window.
    ceil_mode : bool
        Whether a last window may reach over the border, as long as it begins inside.

    Returns
    -------
    ndarray, shape (N, C, H', W')
        The maxima, with H' = (H + 2P - D(kernel - 1) - 1) // S + 1, rounded up in `ceil_mode`; NaN where a window
        holds one, and minus infinity where it sees no pixel.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.
    ValueError
        If a window is larger than the padded map, or the padding larger than half a window.

    See Also
    --------
    max_pool2d_indices : Where the maxima stand.

    References
    ----------
    Scherer, Müller & Behnke (2010), "Evaluation of pooling operations in convolutional architectures for object
    recognition".

    Examples
    --------
    A pixel that moves inside its window changes nothing, and one that leaves it does.

    >>> max_pool2d([[[[9.0, 0.0, 0.0, 0.0]]], [[[0.0, 9.0, 0.0, 0.0]]], [[[0.0, 0.0, 9.0, 0.0]]]], (1, 2))[:, 0, 0]
    array([[9., 0.],
           [9., 0.],
           [0., 9.]])
    """
    x, windows = pooling_windows(x, kernel, stride, padding, dilation, ceil_mode)
    y = np.empty((*x.shape[:2], *windows.places), x.dtype)
    _max_pool2d(planes(x), windows.size, windows.stride, windows.padding, windows.dilation, planes(y))
    return y


@public
def max_pool2d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    /,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    ceil_mode: bool = False,
) -> NDArray:
    """Return the gradient of `max_pool2d`: each `dy` goes to the pixel that won its window.

    Parameters
    ----------
    dy : array_like, shape of the result of `max_pool2d`
        Gradient of the loss with respect to the output.
    x : array_like of float32 or float64, shape (N, C, H, W)
        The input of `max_pool2d`.
    kernel, stride, padding, dilation, ceil_mode
        As for `max_pool2d`.

    Returns
    -------
    ndarray
        Gradient with respect to `x`. Of equal values the first one, row by row, gets everything.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit, or as for `max_pool2d`.

    See Also
    --------
    max_pool2d : The function.

    References
    ----------
    Scherer, Müller & Behnke (2010), "Evaluation of pooling operations in convolutional architectures for object
    recognition".

    Examples
    --------
    >>> max_pool2d_backward([[[[1.0]]]], [[[[2.0, 5.0], [5.0, 3.0]]]], 2)
    array([[[[0., 1.],
             [0., 0.]]]])
    """
    dy, x = reals("dy", dy, "x", x)
    x, windows = pooling_windows(x, kernel, stride, padding, dilation, ceil_mode)
    shaped("dy", dy, (*x.shape[:2], *windows.places))
    dx = np.empty_like(x)
    settings = windows.size, windows.stride, windows.padding, windows.dilation
    _max_pool2d_backward(planes(dy), planes(x), *settings, planes(dx))
    return dx


@public
def max_pool2d_indices(
    x: ArrayLike,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    ceil_mode: bool = False,
) -> NDArray[np.int64]:
    """Return where the maxima of `max_pool2d` stand, counted row by row through each map.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, C, H, W)
        Feature maps.
    kernel, stride, padding, dilation, ceil_mode
        As for `max_pool2d`.

    Returns
    -------
    ndarray of int64, shape of the result of `max_pool2d`
        ``row * W + column`` of the first largest value of each window, or of its last NaN; -1 where a window sees no
        pixel.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.
    ValueError
        As for `max_pool2d`.

    See Also
    --------
    max_pool2d : The values.

    References
    ----------
    Scherer, Müller & Behnke (2010), "Evaluation of pooling operations in convolutional architectures for object
    recognition".

    Examples
    --------
    >>> max_pool2d_indices([[[[2.0, 5.0], [5.0, 3.0]]]], 2)
    array([[[[1]]]])
    """
    x, windows = pooling_windows(x, kernel, stride, padding, dilation, ceil_mode)
    winners = np.empty((*x.shape[:2], *windows.places), np.int64)
    _winners(planes(x), windows.size, windows.stride, windows.padding, windows.dilation, planes(winners))
    return winners


@kernel
def _max_pool2d(x, size, stride, padding, dilation, out):
    span = (out.shape[2] - 1) * stride[1] + (size[1] - 1) * dilation[1] + 1
    for m in prange(out.shape[0]):
        image, y = x[m], out[m]
        line = np.full(span, -np.inf, x.dtype)
        inside = line[padding[1] : padding[1] + image.shape[1]]
        for r in range(y.shape[0]):
            # down the columns first, then across: the same maximum in fewer steps
            for w in range(inside.size):
                inside[w] = -np.inf
            for i in range(size[0]):
                h = r * stride[0] + i * dilation[0] - padding[0]
                if 0 <= h < image.shape[0]:
                    row = image[h]
                    for w in range(inside.size):
                        inside[w] = maximum(inside[w], row[w])
            to = y[r]
            for s in range(to.size):
                best = line[s * stride[1]]
                for j in range(1, size[1]):
                    best = maximum(best, line[s * stride[1] + j * dilation[1]])
                to[s] = best


@inline
def _winner(image, top, left, size, dilation):
    first, best = -1, image[0, 0]
    for i in range(size[0]):
        h = top + i * dilation[0]
        if 0 <= h < image.shape[0]:
            for j in range(size[1]):
                w = left + j * dilation[1]
                if 0 <= w < image.shape[1]:
                    value = image[h, w]
                    # `|` instead of `or`: a branch would be guessed wrong too often
                    wins = (first < 0) | (value > best) | (value != value)
                    first = h * image.shape[1] + w if wins else first
                    best = value if wins else best
    return first


@kernel
def _winners(x, size, stride, padding, dilation, out):
    for m in prange(out.shape[0]):
        image, where = x[m], out[m]
        for r in range(where.shape[0]):
            top = r * stride[0] - padding[0]
            for s in range(where.shape[1]):
                left = s * stride[1] - padding[1]
                where[r, s] = _winner(image, top, left, size, dilation)


@kernel
def _max_pool2d_backward(dy, x, size, stride, padding, dilation, out):
    for m in prange(out.shape[0]):
        image, g, d = x[m], dy[m], out[m].reshape(-1)
        d[:] = 0
        for r in range(g.shape[0]):
            top = r * stride[0] - padding[0]
            for s in range(g.shape[1]):
                left = s * stride[1] - padding[1]
                first = _winner(image, top, left, size, dilation)
                if first >= 0:
                    d[first] += g[r, s]
