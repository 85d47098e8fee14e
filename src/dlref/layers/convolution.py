"""Two-dimensional convolution, which is a cross-correlation: the definition in loops, and a fast form."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, public, reals, shaped
from dlref._compile import kernel, prange
from dlref.layers._windows import correlated, phases_of, pulled_back, runs_of, slide, spread, windows_on

__all__ = ["Conv2dGradients", "conv2d", "conv2d_backward", "conv2d_definition", "conv2d_definition_backward"]


class Conv2dGradients(NamedTuple):
    """Gradients of `conv2d`, one for each argument before the slash."""

    x: NDArray
    w: NDArray
    b: NDArray | None


@public
def conv2d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    /,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> NDArray:
    r"""Slide filters over images: :math:`y_{nors} = b_o + \sum_{cij} w_{ocij}\, x_{n,c,\,rS+iD-P,\,sS+jD-P}`.

    The filters are not flipped: this is the cross-correlation that every framework calls convolution. Outside the
    image `x` is zero. What one weight sees in all windows of an image is a run of neighboring numbers: four filters by
    four weights at a time take 16 such products for four that are read.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, C, H, W)
        Images: N of them, with C channels.
    w : array_like, shape (O, C / groups, kh, kw)
        Filters; each one spans all channels of its group.
    b : array_like, shape (O,), optional
        One bias for each filter.
    stride : int or pair of int
        S: steps of the window, down and to the right.
    padding : int or pair of int
        P: rows of zeros above and below, and columns of zeros on the left and on the right.
    dilation : int or pair of int
        D: distance between the pixels that neighboring weights see.
    groups : int
        Channels and filters are split into this many groups that do not see each other; C for a depthwise convolution.

    Returns
    -------
    ndarray, shape (N, O, H', W')
        Feature maps, with H' = (H + 2P - D(kh - 1) - 1) // S + 1, and W' likewise.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit, or a window is larger than the padded image.

    See Also
    --------
    conv2d_definition : The same in seven loops.
    max_pool2d : The largest value in each window.

    References
    ----------
    LeCun, Bottou, Bengio & Haffner (1998), "Gradient-based learning applied to document recognition", section II.A.
    Dumoulin & Visin (2016), "A guide to convolution arithmetic for deep learning", relationship 15.

    Examples
    --------
    A horizontal difference answers at the two sides of a stripe.

    >>> stripe = [[[[0.0, 1.0, 1.0, 0.0, 0.0]]]]
    >>> conv2d(stripe, [[[[-1.0, 1.0]]]])
    array([[[[ 1.,  0., -1.,  0.]]]])
    """
    x, w, b, windows = _checked(x, w, b, stride, padding, dilation, groups)
    y = np.empty((len(x), len(w), *windows.places), x.dtype)
    filters = w.reshape(groups, len(w) // groups, math.prod(w.shape[1:]))
    if _pointwise(windows):
        np.matmul(filters, _by_pixel(x, groups), out=_by_pixel(y, groups))
        if b is not None:
            y += b[:, None, None]
        return y
    bias = np.zeros(len(w), x.dtype) if b is None else b
    runs = runs_of(windows, len(x))
    phases = phases_of(x, windows, runs)
    slide(phases, filters, bias.reshape(groups, -1), runs.starts, windows.places, runs, (0, 0, 1, 1), y)
    return y


@public
def conv2d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    /,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Conv2dGradients:
    r"""Return the gradients of `conv2d`: sums over every window in which a weight, or a pixel, took part.

    Parameters
    ----------
    dy : array_like, shape of the result of `conv2d`
        Gradient of the loss with respect to the output.
    x, w, b
        The arguments of `conv2d`.
    stride, padding, dilation, groups
        As for `conv2d`.

    Returns
    -------
    Conv2dGradients
        Gradients with respect to `x`, `w` and `b`; None in the place of `b` where there is none.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit, or as for `conv2d`.

    See Also
    --------
    conv2d : The function.

    References
    ----------
    Dumoulin & Visin (2016), "A guide to convolution arithmetic for deep learning", section 4.1.

    Examples
    --------
    The gradient of a filter is a convolution of the image with the gradient of the map.

    >>> stripe = [[[[0.0, 1.0, 1.0, 0.0, 0.0]]]]
    >>> conv2d_backward([[[[1.0, 0.0, -1.0, 0.0]]]], stripe, [[[[-1.0, 1.0]]]]).w
    array([[[[-1.,  1.]]]])
    """
    dy, x, w, b = reals("dy", dy, "x", x, "w", w, "b", b)
    x, w, b, windows = _checked(x, w, b, stride, padding, dilation, groups)
    shaped("dy", dy, (len(x), len(w), *windows.places))
    sums = dy.sum(axis=(2, 3)).sum(axis=0)  # finite only if dy is
    db = None if b is None else sums
    if _pointwise(windows):
        filters = w.reshape(groups, len(w) // groups, w.shape[1])
        maps, images = _by_pixel(dy, groups), _by_pixel(x, groups)
        dw = np.matmul(maps, images.swapaxes(2, 3)).sum(axis=0)
        return Conv2dGradients(np.matmul(filters.swapaxes(1, 2), maps).reshape(x.shape), dw.reshape(w.shape), db)
    if not all(np.isfinite(v).all() for v in (sums, x, w)):  # no number may meet a zero that stands for nothing
        dx, dw, none = np.zeros_like(x), np.zeros_like(w), np.zeros(len(w), x.dtype)
        settings = windows.stride, windows.padding, windows.dilation, len(w) // groups
        _conv2d_definition_backward(dy, x, w, *settings, dx, dw, none)
        return Conv2dGradients(dx, dw, db)
    runs = runs_of(windows, len(x))
    phases, (maps, front) = phases_of(x, windows, runs), spread(dy, windows, runs)
    filters = w.reshape(groups, len(w) // groups, *w.shape[1:])
    dw = np.zeros((groups, len(w) // groups, math.prod(w.shape[1:])), x.dtype)
    correlated(phases, maps, front, windows, runs, dw)
    dx = pulled_back(maps, front, filters, len(x), windows, runs)
    return Conv2dGradients(dx, dw.reshape(w.shape), db)


@public
def conv2d_definition(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    /,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> NDArray:
    """Compute `conv2d` as it is defined: one loop for every index of the formula.

    Parameters
    ----------
    x, w, b
        As for `conv2d`.
    stride, padding, dilation, groups
        As for `conv2d`.

    Returns
    -------
    ndarray, shape (N, O, H', W')
        What `conv2d` returns, up to rounding.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        As for `conv2d`.

    See Also
    --------
    conv2d : The same, fast.

    References
    ----------
    Dumoulin & Visin (2016), "A guide to convolution arithmetic for deep learning", relationship 15.

    Examples
    --------
    The filter is not flipped: its left weight meets the left pixel.

    >>> conv2d_definition([[[[1.0, 2.0, 3.0]]]], [[[[10.0, 1.0]]]])
    array([[[[12., 23.]]]])
    """
    x, w, b, windows = _checked(x, w, b, stride, padding, dilation, groups)
    y = np.empty((len(x), len(w), *windows.places), x.dtype)
    bias = np.zeros(len(w), x.dtype) if b is None else b
    _conv2d_definition(x, w, bias, windows.stride, windows.padding, windows.dilation, len(w) // groups, y)
    return y


@public
def conv2d_definition_backward(
    dy: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    /,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Conv2dGradients:
    """Return the gradients of `conv2d_definition`: every product of the sum gives to its two factors.

    Parameters
    ----------
    dy : array_like, shape of the result of `conv2d_definition`
        Gradient of the loss with respect to the output.
    x, w, b
        As for `conv2d`.
    stride, padding, dilation, groups
        As for `conv2d`.

    Returns
    -------
    Conv2dGradients
        What `conv2d_backward` returns, up to rounding.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        As for `conv2d_backward`.

    See Also
    --------
    conv2d_backward : The same, fast.

    References
    ----------
    Dumoulin & Visin (2016), "A guide to convolution arithmetic for deep learning", section 4.1.

    Examples
    --------
    The pixel in the middle was seen twice.

    >>> conv2d_definition_backward([[[[1.0, 1.0]]]], [[[[1.0, 2.0, 3.0]]]], [[[[10.0, 1.0]]]]).x
    array([[[[10., 11.,  1.]]]])
    """
    dy, x, w, b = reals("dy", dy, "x", x, "w", w, "b", b)
    x, w, b, windows = _checked(x, w, b, stride, padding, dilation, groups)
    shaped("dy", dy, (len(x), len(w), *windows.places))
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(len(w), x.dtype)
    settings = windows.stride, windows.padding, windows.dilation, len(w) // groups
    _conv2d_definition_backward(dy, x, w, *settings, dx, dw, db)
    return Conv2dGradients(dx, dw, None if b is None else db)


@kernel(sums=True)
def _conv2d_definition(x, w, b, stride, padding, dilation, filters_per_group, out):
    for n in prange(out.shape[0]):
        for o in range(out.shape[1]):
            first = o // filters_per_group * w.shape[1]  # channel of its group
            for r in range(out.shape[2]):
                for s in range(out.shape[3]):
                    total = b[o]
                    for c in range(w.shape[1]):
                        for i in range(w.shape[2]):
                            for j in range(w.shape[3]):
                                row = r * stride[0] + i * dilation[0] - padding[0]
                                col = s * stride[1] + j * dilation[1] - padding[1]
                                if 0 <= row < x.shape[2] and 0 <= col < x.shape[3]:  # outside, x is zero
                                    total += w[o, c, i, j] * x[n, first + c, row, col]
                    out[n, o, r, s] = total


@kernel
def _conv2d_definition_backward(dy, x, w, stride, padding, dilation, filters_per_group, dx, dw, db):
    for n in range(dy.shape[0]):
        for o in range(dy.shape[1]):
            first = o // filters_per_group * w.shape[1]
            for r in range(dy.shape[2]):
                for s in range(dy.shape[3]):
                    g = dy[n, o, r, s]
                    db[o] += g
                    for c in range(w.shape[1]):
                        for i in range(w.shape[2]):
                            for j in range(w.shape[3]):
                                row = r * stride[0] + i * dilation[0] - padding[0]
                                col = s * stride[1] + j * dilation[1] - padding[1]
                                if 0 <= row < x.shape[2] and 0 <= col < x.shape[3]:
                                    dx[n, first + c, row, col] += g * w[o, c, i, j]
                                    dw[o, c, i, j] += g * x[n, first + c, row, col]


def _pointwise(windows):
    """Say whether the windows are the pixels: then every pixel passes the same dense layer, one matrix product."""
    return windows.size == (1, 1) and windows.padding == (0, 0) and windows.places == windows.image


def _by_pixel(x, groups):
    return x.reshape(len(x), groups, x.shape[1] // groups, x.shape[2] * x.shape[3])


def _checked(x, w, b, stride, padding, dilation, groups):
    x, w, b = reals("x", x, "w", w, "b", b)
    shaped("x", x, (None, None, None, None))
    groups = integer("groups", groups, 1)
    shaped("w", w, (None, None, None, None))
    if x.shape[1] % groups or len(w) % groups:
        raise ValueError(f"groups: expected a divisor of {x.shape[1]} channels and {len(w)} filters, got {groups}")
    shaped("w", w, (None, x.shape[1] // groups, None, None))
    if b is not None:
        shaped("b", b, (len(w),))
    return x, w, b, windows_on(x.shape[2:], "w", w.shape[2:], stride, padding, dilation)
