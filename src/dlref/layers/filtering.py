"""One filter over images: correlation and convolution, separable filters, and layers on sequences."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, public, real, reals, shaped
from dlref._compile import kernel, prange
from dlref.layers.convolution import conv2d, conv2d_backward

__all__ = [
    "Conv1dGradients",
    "FilterGradients",
    "SeparableGradients",
    "conv1d",
    "conv1d_backward",
    "convolve2d",
    "convolve2d_backward",
    "correlate2d",
    "correlate2d_backward",
    "separable_filter",
    "separable_filter_backward",
]


class FilterGradients(NamedTuple):
    """Gradients of `correlate2d` or `convolve2d`, one for each argument before the slash."""

    x: NDArray
    w: NDArray


class SeparableGradients(NamedTuple):
    """Gradients of `separable_filter`, one for each argument before the slash."""

    x: NDArray
    column: NDArray
    row: NDArray


class Conv1dGradients(NamedTuple):
    """Gradients of `conv1d`, one for each argument before the slash."""

    x: NDArray
    w: NDArray
    b: NDArray | None


@public
def correlate2d(x: ArrayLike, w: ArrayLike, /) -> NDArray:
    r"""Lay one kernel as it stands over every window of images: :math:`y_{rs} = \sum_{ij} w_{ij}\, x_{r+i,\,s+j}`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (..., H, W)
        Images, each filtered alone.
    w : array_like, shape (kh, kw)
        Kernel.

    Returns
    -------
    ndarray, shape (..., H - kh + 1, W - kw + 1)
        Responses at all places where the kernel lies inside the image.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the kernel is larger than the image.

    See Also
    --------
    convolve2d : With the kernel turned by 180 degrees.
    conv2d : A layer of filters over all channels.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), "Deep Learning", section 9.1.

    Examples
    --------
    A difference answers where the brightness changes, with the sign of the change.

    >>> correlate2d([[0.0, 1.0, 1.0, 0.0]], [[-1.0, 1.0]])
    array([[ 1.,  0., -1.]])
    """
    x, w, planes = _checked(x, w)
    y = np.empty((len(planes), x.shape[-2] - w.shape[0] + 1, x.shape[-1] - w.shape[1] + 1), x.dtype)
    _correlate2d(planes, w, y)
    return y.reshape(*x.shape[:-2], *y.shape[1:])


@public
def correlate2d_backward(dy: ArrayLike, x: ArrayLike, w: ArrayLike, /) -> FilterGradients:
    r"""Return the gradients of `correlate2d`: a full convolution for the images, a correlation for the kernel.

    Parameters
    ----------
    dy : array_like, shape of the result of `correlate2d`
        Gradient of the loss with respect to the output.
    x, w
        The arguments of `correlate2d`.

    Returns
    -------
    FilterGradients
        Gradients with respect to `x` and `w`.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    correlate2d : The function.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), "Deep Learning", section 9.5.

    Examples
    --------
    >>> correlate2d_backward([[1.0, 0.0]], [[1.0, 2.0, 3.0]], [[-1.0, 1.0]]).w
    array([[1., 2.]])
    """
    dy, x, w = reals("dy", dy, "x", x, "w", w)
    x, w, planes = _checked(x, w)
    places = x.shape[-2] - w.shape[0] + 1, x.shape[-1] - w.shape[1] + 1
    shaped("dy", dy, (*x.shape[:-2], *places))
    dx, dw = np.zeros_like(planes), np.zeros_like(w)
    _correlate2d_backward(dy.reshape(len(planes), *places), planes, w, dx, dw)
    return FilterGradients(dx.reshape(x.shape), dw)


@kernel
def _correlate2d(x, w, out):
    for m in prange(out.shape[0]):
        for r in range(out.shape[1]):
            y = out[m, r]
            for s in range(y.size):
                y[s] = 0
            for i in range(w.shape[0]):
                for j in range(w.shape[1]):
                    weight, seen = w[i, j], x[m, r + i, j:]
                    for s in range(y.size):
                        y[s] += weight * seen[s]


@kernel(sums=True)
def _correlate2d_backward(dy, x, w, dx, dw):
    for m in range(dy.shape[0]):
        for r in range(dy.shape[1]):
            g = dy[m, r]
            for i in range(w.shape[0]):
                for j in range(w.shape[1]):
                    weight, total = w[i, j], dw.dtype.type(0)
                    seen, to = x[m, r + i, j:], dx[m, r + i, j:]
                    for s in range(g.size):
                        to[s] += weight * g[s]
                        total += seen[s] * g[s]
                    dw[i, j] += total


@public
def convolve2d(x: ArrayLike, w: ArrayLike, /) -> NDArray:
    r"""Convolve images with a kernel, which turns it: :math:`y_{rs} = \sum_{ij} w_{ij}\, x_{r+k-1-i,\,s+k-1-j}`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (..., H, W)
        Images, each filtered alone.
    w : array_like, shape (kh, kw)
        Kernel.

    Returns
    -------
    ndarray, shape (..., H - kh + 1, W - kw + 1)
        The convolution at all places where the kernel lies inside the image.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the kernel is larger than the image.

    See Also
    --------
    correlate2d : With the kernel as it stands.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), "Deep Learning", section 9.1.

    Examples
    --------
    >>> convolve2d([[0.0, 1.0, 1.0, 0.0]], [[-1.0, 1.0]])
    array([[-1.,  0.,  1.]])
    """
    x, w, _ = _checked(x, w)
    return correlate2d(x, w[::-1, ::-1])


@public
def convolve2d_backward(dy: ArrayLike, x: ArrayLike, w: ArrayLike, /) -> FilterGradients:
    """Return the gradients of `convolve2d`.

    Parameters
    ----------
    dy : array_like, shape of the result of `convolve2d`
        Gradient of the loss with respect to the output.
    x, w
        The arguments of `convolve2d`.

    Returns
    -------
    FilterGradients
        Gradients with respect to `x` and `w`.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    convolve2d : The function.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), "Deep Learning", section 9.5.

    Examples
    --------
    >>> convolve2d_backward([[1.0, 0.0]], [[1.0, 2.0, 3.0]], [[-1.0, 1.0]]).w
    array([[2., 1.]])
    """
    dy, x, w = reals("dy", dy, "x", x, "w", w)
    x, w, _ = _checked(x, w)
    dx, dw = correlate2d_backward(dy, x, w[::-1, ::-1])
    return FilterGradients(dx, np.ascontiguousarray(dw[::-1, ::-1]))


@public
def separable_filter(x: ArrayLike, column: ArrayLike, row: ArrayLike, /) -> NDArray:
    r"""Correlate with the kernel :math:`u v^\top` in two passes: down the columns with u, then along the rows with v.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (..., H, W)
        Images, each filtered alone.
    column : array_like, shape (kh,)
        The factor u.
    row : array_like, shape (kw,)
        The factor v.

    Returns
    -------
    ndarray, shape (..., H - kh + 1, W - kw + 1)
        What `correlate2d` gives for the outer product, from kh + kw multiplications a pixel in place of kh kw.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If a factor is longer than the image.

    See Also
    --------
    correlate2d : With any kernel.

    References
    ----------
    Dumoulin & Visin (2016), "A guide to convolution arithmetic for deep learning".

    Examples
    --------
    >>> x = np.arange(12.0).reshape(3, 4)
    >>> separable_filter(x, [1.0, 2.0, 1.0], [-1.0, 0.0, 1.0])
    array([[8., 8.]])
    """
    x, column, row = _factors(x, column, row)
    return correlate2d(correlate2d(x, column[:, None]), row[None])


@public
def separable_filter_backward(dy: ArrayLike, x: ArrayLike, column: ArrayLike, row: ArrayLike, /) -> SeparableGradients:
    """Return the gradients of `separable_filter`: back through the rows, then through the columns.

    Parameters
    ----------
    dy : array_like, shape of the result of `separable_filter`
        Gradient of the loss with respect to the output.
    x, column, row
        The arguments of `separable_filter`.

    Returns
    -------
    SeparableGradients
        Gradients with respect to `x`, `column` and `row`.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    separable_filter : The function.

    References
    ----------
    Dumoulin & Visin (2016), "A guide to convolution arithmetic for deep learning".

    Examples
    --------
    >>> separable_filter_backward([[1.0]], [[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0], [1.0, -1.0]).row
    array([4., 6.])
    """
    dy, x, column, row = reals("dy", dy, "x", x, "column", column, "row", row)
    x, column, row = _factors(x, column, row)
    middle, drow = correlate2d_backward(dy, correlate2d(x, column[:, None]), row[None])
    dx, dcolumn = correlate2d_backward(middle, x, column[:, None])
    return SeparableGradients(dx, dcolumn[:, 0], drow[0])


@public
def conv1d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    /,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> NDArray:
    r"""Slide filters along sequences: :math:`y_{not} = b_o + \sum_{ci} w_{oci}\, x_{n,\,c,\,tS + iD - P}`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, C, T)
        Sequences with C channels.
    w : array_like, shape (O, C / groups, k)
        Filters.
    b : array_like, shape (O,), optional
        One bias for each filter.
    stride : int
        S: steps of the window.
    padding : int
        P: zeros before and behind.
    dilation : int
        D: distance between the values that neighboring weights see.
    groups : int
        Channels and filters are split into this many groups that do not see each other.

    Returns
    -------
    ndarray, shape (N, O, T')
        Feature maps, with T' = (T + 2P - D(k - 1) - 1) // S + 1.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit, or a window is longer than the padded sequence.

    See Also
    --------
    conv2d : The same with two directions; a sequence is an image of one row.

    References
    ----------
    Dumoulin & Visin (2016), "A guide to convolution arithmetic for deep learning", relationship 15.

    Examples
    --------
    With a dilation of 2 each output compares values two steps apart.

    >>> conv1d([[[1.0, 2.0, 4.0, 8.0]]], [[[-1.0, 1.0]]], dilation=2)
    array([[[3., 6.]]])
    """
    x, w, b = reals("x", x, "w", w, "b", b)
    shaped("x", x, (None, None, None))
    shaped("w", w, (None, None, None))
    return conv2d(x[:, :, None], w[:, :, None], b, *_along(stride, padding, dilation), groups)[:, :, 0]


@public
def conv1d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    /,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Conv1dGradients:
    """Return the gradients of `conv1d`.

    Parameters
    ----------
    dy : array_like, shape of the result of `conv1d`
        Gradient of the loss with respect to the output.
    x, w, b
        The arguments of `conv1d`.
    stride, padding, dilation, groups
        As for `conv1d`.

    Returns
    -------
    Conv1dGradients
        Gradients with respect to `x`, `w` and `b`; None in the place of `b` where there is none.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    conv1d : The function.

    References
    ----------
    Dumoulin & Visin (2016), "A guide to convolution arithmetic for deep learning", section 4.1.

    Examples
    --------
    >>> conv1d_backward([[[1.0, 0.0]]], [[[1.0, 2.0, 4.0]]], [[[-1.0, 1.0]]]).x
    array([[[-1.,  1.,  0.]]])
    """
    dy, x, w, b = reals("dy", dy, "x", x, "w", w, "b", b)
    for name, value in (("dy", dy), ("x", x), ("w", w)):
        shaped(name, value, (None, None, None))
    settings = *_along(stride, padding, dilation), groups
    dx, dw, db = conv2d_backward(dy[:, :, None], x[:, :, None], w[:, :, None], b, *settings)
    return Conv1dGradients(dx[:, :, 0], dw[:, :, 0], db)


def _along(stride, padding, dilation):
    stride, padding = integer("stride", stride, 1), integer("padding", padding, 0)
    return (1, stride), (0, padding), (1, integer("dilation", dilation, 1))


def _checked(x, w):
    x, w = reals("x", x, "w", w)
    real("x", x, -2)
    shaped("w", w, (None, None))
    if not w.size or w.shape[0] > x.shape[-2] or w.shape[1] > x.shape[-1]:
        image, size = (f"{h} by {v}" for h, v in (x.shape[-2:], w.shape))
        raise ValueError(f"w: expected a kernel of at least one weight that fits into {image} pixels, got {size}")
    return x, w, x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:])


def _factors(x, column, row):
    x, column, row = reals("x", x, "column", column, "row", row)
    real("x", x, -2)
    for name, factor, size in (("column", column, x.shape[-2]), ("row", row, x.shape[-1])):
        real(name, factor, 1)
        if not 1 <= factor.size <= size:
            raise ValueError(f"{name}: expected 1 to {size} weights, got {factor.size}")
    return x, column, row
