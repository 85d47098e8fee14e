"""Shared parameters as what they are: a dense matrix with few distinct entries, and what the constraint buys."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, pair, public, real, reals, shaped
from dlref._compile import kernel
from dlref.layers._windows import windows_on

__all__ = [
    "LayerCounts",
    "circulant_projection",
    "circulant_projection_backward",
    "conv2d_matrix",
    "conv2d_matrix_backward",
    "layer_counts",
]


class LayerCounts(NamedTuple):
    """Weights of three layers between the same arrays, and the products that they form for one image."""

    shared: int
    local: int
    dense: int
    products: int
    dense_products: int


@public
def conv2d_matrix(
    w: ArrayLike,
    /,
    image: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
) -> NDArray:
    r"""Return the matrix M of a convolution: ``conv2d(x, w).ravel() == M @ x.ravel()`` for one image.

    Parameters
    ----------
    w : array_like of float32 or float64, shape (O, C, kh, kw)
        Filters.
    image : int or pair of int
        Height and width of the image.
    stride : int or pair of int
        Steps of the window.
    padding : int or pair of int
        Zeros around the image.
    dilation : int or pair of int
        Distance between the pixels that neighboring weights see.

    Returns
    -------
    ndarray, shape (O H' W', C H W)
        Each weight of a filter stands once in each of its H' W' rows, but for windows that reach into the border; all
        else is zero.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If a window is larger than the padded image.

    See Also
    --------
    conv2d : The same without the matrix.

    References
    ----------
    Dumoulin & Visin (2016), "A guide to convolution arithmetic for deep learning", section 4.1.

    Examples
    --------
    >>> conv2d_matrix([[[[1.0, 2.0]]]], (1, 4))
    array([[1., 2., 0., 0.],
           [0., 1., 2., 0.],
           [0., 0., 1., 2.]])
    """
    w, windows = _checked(w, image, stride, padding, dilation)
    (rows, cols), (high, wide) = windows.places, windows.image
    m = np.zeros((len(w) * rows * cols, w.shape[1] * high * wide), w.dtype)
    _conv2d_matrix(w, windows.image, windows.stride, windows.padding, windows.dilation, windows.places, m)
    return m


@public
def conv2d_matrix_backward(
    dm: ArrayLike,
    w: ArrayLike,
    /,
    image: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
) -> NDArray:
    """Return the gradient of `conv2d_matrix`: for each weight the sum over all entries in which it stands.

    Parameters
    ----------
    dm : array_like, shape of the result of `conv2d_matrix`
        Gradient of the loss with respect to the matrix.
    w : array_like
        The filters of `conv2d_matrix`.
    image, stride, padding, dilation
        As for `conv2d_matrix`.

    Returns
    -------
    ndarray, shape of `w`
        Gradient with respect to `w`.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    conv2d_matrix : The function.

    References
    ----------
    LeCun et al. (1989), "Backpropagation applied to handwritten zip code recognition".

    Examples
    --------
    >>> conv2d_matrix_backward(np.ones((3, 4)), [[[[1.0, 2.0]]]], (1, 4))
    array([[[[3., 3.]]]])
    """
    dm, w = reals("dm", dm, "w", w)
    w, windows = _checked(w, image, stride, padding, dilation)
    (rows, cols), (high, wide) = windows.places, windows.image
    shaped("dm", dm, (len(w) * rows * cols, w.shape[1] * high * wide))
    dw = np.zeros_like(w)
    _conv2d_matrix_backward(dm, windows.image, windows.stride, windows.padding, windows.dilation, windows.places, dw)
    return dw


@kernel
def _conv2d_matrix(w, image, stride, padding, dilation, places, out):
    for o in range(w.shape[0]):
        for r in range(places[0]):
            for s in range(places[1]):
                row = out[(o * places[0] + r) * places[1] + s]
                for c in range(w.shape[1]):
                    for i in range(w.shape[2]):
                        for j in range(w.shape[3]):
                            h = r * stride[0] + i * dilation[0] - padding[0]
                            v = s * stride[1] + j * dilation[1] - padding[1]
                            if 0 <= h < image[0] and 0 <= v < image[1]:
                                pixel = (c * image[0] + h) * image[1] + v
                                row[pixel] = w[o, c, i, j]


@kernel
def _conv2d_matrix_backward(dm, image, stride, padding, dilation, places, out):
    for o in range(out.shape[0]):
        for r in range(places[0]):
            for s in range(places[1]):
                row = dm[(o * places[0] + r) * places[1] + s]
                for c in range(out.shape[1]):
                    for i in range(out.shape[2]):
                        for j in range(out.shape[3]):
                            h = r * stride[0] + i * dilation[0] - padding[0]
                            v = s * stride[1] + j * dilation[1] - padding[1]
                            if 0 <= h < image[0] and 0 <= v < image[1]:
                                pixel = (c * image[0] + h) * image[1] + v
                                out[o, c, i, j] += row[pixel]


@public
def circulant_projection(m: ArrayLike, /) -> NDArray:
    r"""Return the circulant matrix nearest to M: the mean over each diagonal, closed to a ring.

    It is the mean of M over all shifts, :math:`\frac{1}{n} \sum_a \tau^{-a} M \tau^{a}`.

    Parameters
    ----------
    m : array_like of float32 or float64, shape (n, n)
        A linear map of a ring of n places.

    Returns
    -------
    ndarray, shape (n, n)
        The map that commutes with shifts and has the least squared distance to `m`.

    Raises
    ------
    TypeError
        If `m` is not real.
    ValueError
        If `m` is not square.

    See Also
    --------
    conv2d_matrix : The matrix of a convolution.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), "Deep Learning", section 9.2: sharing makes a layer equivariant.

    Examples
    --------
    >>> circulant_projection([[1.0, 5.0], [3.0, 2.0]])
    array([[1.5, 4. ],
           [4. , 1.5]])
    """
    m = _square(m)
    y = np.empty_like(m)
    _share_diagonals(m, y)
    return y


@public
def circulant_projection_backward(dy: ArrayLike, m: ArrayLike, /) -> NDArray:
    """Return the gradient of `circulant_projection`, which is its own adjoint.

    Parameters
    ----------
    dy : array_like, shape (n, n)
        Gradient of the loss with respect to the result.
    m : array_like
        The matrix of `circulant_projection`.

    Returns
    -------
    ndarray, shape (n, n)
        Gradient with respect to `m`.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    circulant_projection : The function.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), "Deep Learning", section 9.2.

    Examples
    --------
    >>> circulant_projection_backward([[1.0, 0.0], [0.0, 0.0]], np.ones((2, 2)))
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    dy, m = reals("dy", dy, "m", m)
    _square(m)
    shaped("dy", dy, m.shape)
    return circulant_projection(dy)


@kernel
def _share_diagonals(m, out):
    n = m.shape[0]
    for d in range(n):
        total = m.dtype.type(0)
        for r in range(n):
            total += m[r, (r + d) % n]
        for r in range(n):
            out[r, (r + d) % n] = total / n


def layer_counts(
    channels: int,
    filters: int,
    window: int | tuple[int, int],
    image: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
) -> LayerCounts:
    """Count the weights of a convolution, of the same windows without sharing, and of a dense layer; biases left out.

    Parameters
    ----------
    channels : int
        Channels of the image.
    filters : int
        Channels of the output.
    window : int or pair of int
        Height and width of the windows.
    image : int or pair of int
        Height and width of the image.
    stride : int or pair of int
        Steps of the window.
    padding : int or pair of int
        Zeros around the image.

    Returns
    -------
    LayerCounts
        Weights `shared` by all windows, `local` to each window, and `dense`; `products` formed for one image by the
        first two, and `dense_products` by the third.

    Raises
    ------
    TypeError
        If an argument is not an integer.
    ValueError
        If an argument is out of range, or the window is larger than the padded image.

    See Also
    --------
    conv2d_matrix : The dense layer that a convolution is.

    References
    ----------
    LeCun et al. (1989), "Backpropagation applied to handwritten zip code recognition".

    Examples
    --------
    >>> layer_counts(3, 16, 3, 32, padding=1)
    LayerCounts(shared=432, local=442368, dense=50331648, products=442368, dense_products=50331648)
    """
    channels, filters = integer("channels", channels, 1), integer("filters", filters, 1)
    windows = windows_on(pair("image", image, 1), "window", window, stride, padding, 1)
    weights = filters * channels * windows.size[0] * windows.size[1]
    places, pixels = windows.places[0] * windows.places[1], windows.image[0] * windows.image[1]
    dense = filters * places * channels * pixels
    return LayerCounts(weights, weights * places, dense, weights * places, dense)


def _checked(w, image, stride, padding, dilation):
    w = real("w", w, 4)
    return w, windows_on(pair("image", image, 1), "w", w.shape[2:], stride, padding, dilation)


def _square(m):
    m = real("m", m, 2)
    shaped("m", m, (len(m), len(m)))
    return m
