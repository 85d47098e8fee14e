"""Larger maps from smaller ones: interpolation, channels laid out as pixels, and values put back where maxima stood."""

import functools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import index, integer, number, option, pair, public, real, reals, shaped
from dlref._compile import kernel, prange

__all__ = [
    "max_unpool2d",
    "max_unpool2d_backward",
    "pixel_shuffle",
    "pixel_shuffle_backward",
    "resize2d",
    "resize2d_backward",
]

MODES = ("nearest", "nearest_exact", "bilinear", "bicubic")


@public
def resize2d(
    x: ArrayLike,
    /,
    size: int | tuple[int, int],
    mode: str = "bilinear",
    align_corners: bool = False,
    a: float = -0.75,
) -> NDArray:
    r"""Resample images by interpolation along rows and columns: :math:`y_s = \sum_i k(u_s - i)\, x_i` for each axis.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (..., H, W)
        Images or maps.
    size : int or pair of int
        Height and width of the result.
    mode : {"nearest", "nearest_exact", "bilinear", "bicubic"}
        One pixel, at the floor of s n / n' or nearest to the center; two or four pixels along each axis.
    align_corners : bool
        Let the centers of the outermost pixels coincide, not the edges of the image; for bilinear and bicubic.
    a : float
        The slope that defines the bicubic kernel.

    Returns
    -------
    ndarray, shape (..., H', W')
        The resampled images; a smaller size skips pixels, without a blur before.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If a size is below 1, an image has no pixels, or the mode is unknown.

    See Also
    --------
    conv_transpose2d : Upsampling with learned weights.

    References
    ----------
    torch.nn.functional.interpolate, whose modes these are.

    Examples
    --------
    >>> resize2d([[0.0, 1.0]], (1, 4))
    array([[0.  , 0.25, 0.75, 1.  ]])
    >>> resize2d([[0.0, 1.0]], (1, 4), align_corners=True).round(3)
    array([[0.   , 0.333, 0.667, 1.   ]])
    """
    x, planes, down, across = _resampled(x, size, mode, align_corners, a)
    y = np.empty((len(planes), down[0].shape[1], across[0].shape[1]), x.dtype)
    middle = np.empty((len(planes), x.shape[-2], y.shape[2]), x.dtype)
    _resize(planes, *down, *across, middle, y)
    return y.reshape(*x.shape[:-2], *y.shape[1:])


@public
def resize2d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    /,
    size: int | tuple[int, int],
    mode: str = "bilinear",
    align_corners: bool = False,
    a: float = -0.75,
) -> NDArray:
    """Return the gradient of `resize2d`: every number of `dy` goes back to its pixels with the same weights.

    Parameters
    ----------
    dy : array_like, shape of the result of `resize2d`
        Gradient of the loss with respect to the output.
    x : array_like
        The images of `resize2d`.
    size, mode, align_corners, a
        As for `resize2d`.

    Returns
    -------
    ndarray, shape of `x`
        Gradient with respect to `x`.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit, or as for `resize2d`.

    See Also
    --------
    resize2d : The function.

    References
    ----------
    torch.nn.functional.interpolate, whose modes these are.

    Examples
    --------
    >>> resize2d_backward([[1.0, 0.0, 0.0, 1.0]], [[0.0, 1.0]], (1, 4))
    array([[1., 1.]])
    """
    dy, x = reals("dy", dy, "x", x)
    x, planes, down, across = _resampled(x, size, mode, align_corners, a)
    shape = down[0].shape[1], across[0].shape[1]
    shaped("dy", dy, (*x.shape[:-2], *shape))
    middle = np.zeros((len(planes), x.shape[-2], shape[1]), x.dtype)
    dx = np.zeros_like(planes)
    _resize_backward(dy.reshape(len(planes), *shape), *down, *across, middle, dx)
    return dx.reshape(x.shape)


@kernel
def _resize(x, rows, row_weights, columns, weights, middle, out):
    for m in prange(out.shape[0]):
        for h in range(x.shape[1]):
            # along the rows first: each is used for several rows of the result
            row, line = x[m, h], middle[m, h]
            at, weight = columns[0], weights[0]
            for s in range(line.size):
                line[s] = weight[s] * row[at[s]]
            for t in range(1, columns.shape[0]):
                at, weight = columns[t], weights[t]
                for s in range(line.size):
                    line[s] += weight[s] * row[at[s]]
        for r in range(out.shape[1]):
            y, line, factor = out[m, r], middle[m, rows[0, r]], row_weights[0, r]
            for s in range(y.size):
                y[s] = factor * line[s]
            for t in range(1, rows.shape[0]):
                line, factor = middle[m, rows[t, r]], row_weights[t, r]
                for s in range(y.size):
                    y[s] += factor * line[s]


@kernel
def _resize_backward(dy, rows, row_weights, columns, weights, middle, out):
    for m in prange(out.shape[0]):
        for r in range(dy.shape[1]):
            for t in range(rows.shape[0]):
                factor = row_weights[t, r]
                g, line = dy[m, r], middle[m, rows[t, r]]
                for s in range(g.size):
                    line[s] += factor * g[s]
        for h in range(out.shape[1]):
            line, dx = middle[m, h], out[m, h]
            for t in range(columns.shape[0]):
                at, weight = columns[t], weights[t]
                for s in range(line.size):
                    dx[at[s]] += weight[s] * line[s]


@public
def pixel_shuffle(x: ArrayLike, /, factor: int = 2) -> NDArray:
    r"""Lay channels out as pixels: :math:`y_{n,\,c,\,hr+i,\,wr+j} = x_{n,\,cr^2+ir+j,\,h,\,w}`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, C r r, H, W)
        Maps; each run of r r channels becomes one.
    factor : int
        The upscaling factor r.

    Returns
    -------
    ndarray, shape (N, C, H r, W r)
        Larger maps with the same numbers.

    Raises
    ------
    TypeError
        If `x` is not real or `factor` not an integer.
    ValueError
        If the channels are not a multiple of r r.

    See Also
    --------
    conv2d : A layer before it makes the channels: together they are a sub-pixel convolution.

    References
    ----------
    Shi et al. (2016), "Real-time single image and video super-resolution using an efficient sub-pixel convolutional
    neural network", equation 4.

    Examples
    --------
    >>> pixel_shuffle([[[[1.0]], [[2.0]], [[3.0]], [[4.0]]]])
    array([[[[1., 2.],
             [3., 4.]]]])
    """
    x, factor = _shuffled(x, factor)
    n, c, h, w = x.shape
    y = np.empty((n, c // factor**2, h * factor, w * factor), x.dtype)
    _pixel_shuffle(x, factor, y)
    return y


@public
def pixel_shuffle_backward(dy: ArrayLike, x: ArrayLike, /, factor: int = 2) -> NDArray:
    """Return the gradient of `pixel_shuffle`: the pixels of `dy`, laid back as channels.

    Parameters
    ----------
    dy : array_like, shape of the result of `pixel_shuffle`
        Gradient of the loss with respect to the output.
    x : array_like
        The maps of `pixel_shuffle`.
    factor : int
        As for `pixel_shuffle`.

    Returns
    -------
    ndarray, shape of `x`
        Gradient with respect to `x`.

    Raises
    ------
    TypeError
        If an array is not real or `factor` not an integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    pixel_shuffle : The function, of which this is the inverse.

    References
    ----------
    Shi et al. (2016), "Real-time single image and video super-resolution using an efficient sub-pixel convolutional
    neural network".

    Examples
    --------
    >>> pixel_shuffle_backward([[[[1.0, 2.0], [3.0, 4.0]]]], np.zeros((1, 4, 1, 1))).ravel()
    array([1., 2., 3., 4.])
    """
    dy, x = reals("dy", dy, "x", x)
    x, factor = _shuffled(x, factor)
    n, c, h, w = x.shape
    shaped("dy", dy, (n, c // factor**2, h * factor, w * factor))
    dx = np.empty_like(x)
    _pixel_unshuffle(dy, factor, dx)
    return dx


@kernel
def _pixel_shuffle(x, factor, out):
    for n in prange(out.shape[0]):
        for c in range(out.shape[1]):
            for h in range(x.shape[2]):
                for i in range(factor):
                    y = out[n, c, h * factor + i]
                    for j in range(factor):
                        row = x[n, (c * factor + i) * factor + j, h]
                        for w in range(row.size):
                            y[w * factor + j] = row[w]


@kernel
def _pixel_unshuffle(y, factor, out):
    for n in prange(y.shape[0]):
        for c in range(y.shape[1]):
            for h in range(out.shape[2]):
                for i in range(factor):
                    row = y[n, c, h * factor + i]
                    for j in range(factor):
                        to = out[n, (c * factor + i) * factor + j, h]
                        for w in range(to.size):
                            to[w] = row[w * factor + j]


@public
def max_unpool2d(x: ArrayLike, /, indices: ArrayLike, size: int | tuple[int, int]) -> NDArray:
    r"""Put every number back to the place of its index, zeros elsewhere: :math:`y_{\mathrm{idx}(r, s)} = x_{rs}`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, C, H, W)
        Pooled maps, or what became of them.
    indices : array_like of int, shape (N, C, H, W)
        Places in the flattened larger map, from `max_pool2d_indices`.
    size : int or pair of int
        Height and width of the larger map.

    Returns
    -------
    ndarray, shape (N, C, H', W')
        Sparse maps; where an index occurs twice, the last number counts.

    Raises
    ------
    TypeError
        If `x` is not real or the indices are not integers.
    ValueError
        If the shapes do not fit or an index is outside.

    See Also
    --------
    max_pool2d_indices : Finds the places.

    References
    ----------
    torch.nn.functional.max_unpool2d.

    Examples
    --------
    >>> max_unpool2d([[[[5.0]]]], [[[[2]]]], 2)
    array([[[[0., 0.],
             [5., 0.]]]])
    """
    x, indices, size = _placed(x, indices, size)
    y = np.zeros((*x.shape[:2], *size), x.dtype)
    flat = math.prod(x.shape[:2])
    _place(x.reshape(flat, -1), indices.reshape(flat, -1), y.reshape(flat, -1))
    return y


@public
def max_unpool2d_backward(dy: ArrayLike, x: ArrayLike, /, indices: ArrayLike, size: int | tuple[int, int]) -> NDArray:
    """Return the gradient of `max_unpool2d`: each number reads the gradient at its place.

    Parameters
    ----------
    dy : array_like, shape of the result of `max_unpool2d`
        Gradient of the loss with respect to the output.
    x : array_like
        The maps of `max_unpool2d`.
    indices, size
        As for `max_unpool2d`.

    Returns
    -------
    ndarray, shape of `x`
        Gradient with respect to `x`, if no index occurs twice.

    Raises
    ------
    TypeError
        If an array is not real or the indices are not integers.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    max_unpool2d : The function.

    References
    ----------
    torch.nn.functional.max_unpool2d.

    Examples
    --------
    >>> max_unpool2d_backward([[[[1.0, 2.0], [3.0, 4.0]]]], [[[[5.0]]]], [[[[2]]]], 2)
    array([[[[3.]]]])
    """
    dy, x = reals("dy", dy, "x", x)
    x, indices, size = _placed(x, indices, size)
    shaped("dy", dy, (*x.shape[:2], *size))
    dx, flat = np.empty_like(x), math.prod(x.shape[:2])
    _read(dy.reshape(flat, size[0] * size[1]), indices.reshape(flat, -1), dx.reshape(flat, -1))
    return dx


@kernel
def _place(x, indices, out):
    for m in prange(x.shape[0]):
        for k in range(x.shape[1]):
            out[m, indices[m, k]] = x[m, k]


@kernel
def _read(dy, indices, out):
    for m in prange(out.shape[0]):
        for k in range(out.shape[1]):
            out[m, k] = dy[m, indices[m, k]]


@functools.lru_cache(maxsize=256)
def _along(n, size, mode, align_corners, a, dtype):
    """Return the pixels and the weights of every place along an axis, (taps, size)."""
    s = np.arange(size)
    if mode.startswith("nearest"):
        at = s * n // size if mode == "nearest" else (2 * s + 1) * n // (2 * size)
        return at[None], np.ones((1, size), dtype)
    u = s * ((n - 1) / max(size - 1, 1)) if align_corners else (s + 0.5) * (n / size) - 0.5
    if mode == "bilinear":
        u = np.clip(u, 0, n - 1)
        low = np.floor(u)
        offsets, weights = [0, 1], [1 - (u - low), u - low]
    else:
        low = np.floor(u)
        t = u - low
        offsets, weights = [-1, 0, 1, 2], [_cubic(abs(t - k), a) for k in (-1, 0, 1, 2)]
    at = np.clip(low.astype(np.int64) + np.array(offsets)[:, None], 0, n - 1)
    return at, np.array(weights, dtype)


def _cubic(d, a):
    near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((d - 5) * d + 8) * d * a - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _resampled(x, size, mode, align_corners, a):
    x, size = real("x", x, -2), pair("size", size, 1)
    option("mode", mode, MODES)
    if 0 in x.shape[-2:]:
        raise ValueError(f"x: expected images with pixels, got shape {x.shape}")
    settings = mode, bool(align_corners), number("a", a), x.dtype
    down, across = (_along(n, m, *settings) for n, m in zip(x.shape[-2:], size, strict=True))
    return x, x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:]), down, across


def _shuffled(x, factor):
    x, factor = real("x", x, 4), integer("factor", factor, 1)
    if x.shape[1] % factor**2:
        raise ValueError(f"x: expected a multiple of {factor**2} channels, got {x.shape[1]}")
    return x, factor


def _placed(x, indices, size):
    x, size = real("x", x, 4), pair("size", size, 1)
    return x, index("indices", indices, size[0] * size[1], x.shape), size
