"""Global average pooling: one number for each feature map, and the maps of what each class has seen."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import public, real, reals, shaped
from dlref._compile import kernel, prange

__all__ = ["class_activation_maps", "global_avg_pool2d", "global_avg_pool2d_backward"]


@public
def global_avg_pool2d(x: ArrayLike, /) -> NDArray:
    r"""Return the mean of every feature map: :math:`y_{nc} = \frac{1}{HW} \sum_{hv} x_{nchv}`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, C, H, W)
        Feature maps of at least one pixel.

    Returns
    -------
    ndarray, shape (N, C)
        The means. PyTorch and ONNX keep two more axes of length 1.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.
    ValueError
        If `x` does not have four dimensions, or its maps have no pixel.

    See Also
    --------
    class_activation_maps : Where in the image a class got its score.

    References
    ----------
    Lin, Chen & Yan (2014), "Network in network".

    Examples
    --------
    Where something stands is forgotten, and how large the map is as well.

    >>> global_avg_pool2d([[[[8.0, 0.0], [0.0, 0.0]]], [[[0.0, 0.0], [0.0, 8.0]]]]).ravel()
    array([2., 2.])
    """
    x = _maps(x)
    y = np.empty(x.shape[:2], x.dtype)
    _means(x.reshape(y.size, x.shape[2] * x.shape[3]), y.reshape(-1))
    return y


@public
def global_avg_pool2d_backward(dy: ArrayLike, x: ArrayLike, /) -> NDArray:
    """Return the gradient of `global_avg_pool2d`: each `dy` is shared evenly among the pixels of its map.

    Parameters
    ----------
    dy : array_like, shape (N, C)
        Gradient of the loss with respect to the output.
    x : array_like of float32 or float64, shape (N, C, H, W)
        The input of `global_avg_pool2d`; its shape and dtype alone count.

    Returns
    -------
    ndarray
        Gradient with respect to `x`, the same number in every pixel of a map.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    global_avg_pool2d : The function.

    References
    ----------
    Lin, Chen & Yan (2014), "Network in network".

    Examples
    --------
    >>> global_avg_pool2d_backward([[8.0]], [[[[1.0, 2.0], [3.0, 4.0]]]])
    array([[[[2., 2.],
             [2., 2.]]]])
    """
    dy, x = reals("dy", dy, "x", x)
    x = _maps(x)
    shaped("dy", dy, x.shape[:2])
    dx = np.empty_like(x)
    _spread(dy.reshape(-1), dx.reshape(dy.size, x.shape[2] * x.shape[3]))
    return dx


@kernel(sums=True)
def _means(x, out):
    for m in prange(out.size):
        pixels = x[m]
        total = x.dtype.type(0)
        for i in range(pixels.size):
            total += pixels[i]
        out[m] = total / x.dtype.type(pixels.size)


@kernel
def _spread(dy, out):
    for m in prange(dy.size):
        pixels = out[m]
        share = dy[m] / dy.dtype.type(pixels.size)
        for i in range(pixels.size):
            pixels[i] = share


@public
def class_activation_maps(x: ArrayLike, w: ArrayLike) -> NDArray:
    r"""Return what each pixel adds to the score of each class: :math:`m_{nkhv} = \sum_c w_{kc}\, x_{nchv}`.

    For a network that ends in global average pooling and one dense layer with weights `w` and a bias, the mean of a map
    plus the bias of its class is the score of that class.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, C, H, W)
        Feature maps before the pooling.
    w : array_like of float32 or float64, shape (K, C)
        Weights of the dense layer after it.

    Returns
    -------
    ndarray, shape (N, K, H, W)
        One map for each class, of the resolution of `x`.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    global_avg_pool2d : The pooling that they take apart.

    References
    ----------
    Zhou, Khosla, Lapedriza, Oliva & Torralba (2016), "Learning deep features for discriminative localization".

    Examples
    --------
    >>> class_activation_maps([[[[1.0, 0.0]], [[0.0, 2.0]]]], [[1.0, -1.0]])
    array([[[[ 1., -2.]]]])
    """
    x, w = reals("x", x, "w", w)
    x = _maps(x)
    shaped("w", w, (None, x.shape[1]))
    n, c, *size = x.shape
    return (w @ x.reshape(n, c, size[0] * size[1])).reshape(n, len(w), *size)


def _maps(x):
    x = real("x", x)
    shaped("x", x, (None, None, None, None))
    if 0 in x.shape[2:]:
        raise ValueError(f"x: expected at least one pixel in a map, got shape {x.shape}")
    return x
