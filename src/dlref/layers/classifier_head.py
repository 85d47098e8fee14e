"""The fully connected head of a convolutional network: one map, seen as a dense layer and as a convolution."""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import option, public, real, shaped, sizes
from dlref._compile import kernel
from dlref.layers.affine import DenseGradients, dense, dense_backward

__all__ = [
    "LayerCount",
    "channels_last_head",
    "filters_from_head",
    "fully_connected",
    "fully_connected_backward",
    "head_from_filters",
    "parameter_table",
]


class LayerCount(NamedTuple):
    """One layer of a network; ``kind`` is "convolution", "full window", "fully connected" or "subsampling"."""

    name: str
    kind: str
    parameters: int


@public
def fully_connected(x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None, /) -> NDArray:
    r"""Flatten every example and apply a dense layer: :math:`y_n = W \operatorname{vec}(x_n) + b`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, ...)
        Examples along the first axis; the others are read in C order, channels first.
    w : array_like, shape (O, D)
        One row of weights for each output, with D the product of the other axes of `x`.
    b : array_like, shape (O,), optional
        One bias for each output.

    Returns
    -------
    ndarray, shape (N, O)
        The outputs.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    dense : The same map on the last axis alone.
    filters_from_head : The same map as a convolution.

    References
    ----------
    LeCun, Bottou, Bengio & Haffner (1998), "Gradient-based learning applied to document recognition".

    Examples
    --------
    >>> x = np.arange(8.0).reshape(1, 2, 2, 2)
    >>> fully_connected(x, [[0, 0, 0, 0, 0, 0, 0, 1]])
    array([[7.]])
    """
    x = real("x", x, -2)
    return dense(_flat(x), w, b)


@public
def fully_connected_backward(
    dy: ArrayLike, x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None, /
) -> DenseGradients:
    r"""Return the gradients of `fully_connected`: those of `dense`, with :math:`\bar x` in the shape of `x`.

    Parameters
    ----------
    dy : array_like, shape (N, O)
        Gradient of the loss with respect to the output.
    x, w, b
        The arguments of `fully_connected`.

    Returns
    -------
    DenseGradients
        Gradients with respect to `x`, `w` and `b`; None where `b` is None.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    fully_connected : The function.

    References
    ----------
    Rumelhart, Hinton & Williams (1986), "Learning representations by back-propagating errors", equations 4-7.

    Examples
    --------
    >>> fully_connected_backward([[2.0]], np.ones((1, 1, 1, 2)), [[3.0, 4.0]]).x
    array([[[[6., 8.]]]])
    """
    x = real("x", x, -2)
    gradients = dense_backward(dy, _flat(x), w, b)
    return gradients._replace(x=gradients.x.reshape(x.shape))


def _flat(x):
    return x.reshape(len(x), math.prod(x.shape[1:]))


def filters_from_head(w: ArrayLike, shape: tuple[int, int, int]) -> NDArray:
    r"""Return a dense layer over :math:`C \times H \times W` inputs as filters of that size.

    Parameters
    ----------
    w : array_like, shape (O, C * H * W)
        Weights of `fully_connected`.
    shape : (int, int, int)
        Channels, height and width of what it reads.

    Returns
    -------
    ndarray, shape (O, C, H, W)
        The same weights; `conv2d` with them gives one output for an image of this size, and a map for a larger one.

    Raises
    ------
    ValueError
        If the sizes do not fit.

    See Also
    --------
    head_from_filters : The way back.

    References
    ----------
    Long, Shelhamer & Darrell (2015), "Fully convolutional networks for semantic segmentation".

    Examples
    --------
    >>> filters_from_head(np.arange(12.0).reshape(2, 6), (1, 2, 3)).shape
    (2, 1, 2, 3)
    """
    w, lengths = _head(w, shape)
    return w.reshape(len(w), *lengths).copy()


def head_from_filters(w: ArrayLike) -> NDArray:
    r"""Return filters as the weights of a dense layer that reads one window.

    Parameters
    ----------
    w : array_like, shape (O, C, H, W)
        Filters.

    Returns
    -------
    ndarray, shape (O, C * H * W)
        The same weights, one row for each filter.

    Raises
    ------
    ValueError
        If `w` has not four axes.

    See Also
    --------
    filters_from_head : The way back.

    References
    ----------
    Long, Shelhamer & Darrell (2015), "Fully convolutional networks for semantic segmentation".

    Examples
    --------
    >>> head_from_filters(np.ones((2, 1, 2, 3))).shape
    (2, 6)
    """
    return _flat(real("w", w, 4)).copy()


def channels_last_head(w: ArrayLike, shape: tuple[int, int, int]) -> NDArray:
    r"""Reorder the columns of a head for images that are stored as (H, W, C).

    Parameters
    ----------
    w : array_like, shape (O, C * H * W)
        Weights over images that are flattened as (C, H, W).
    shape : (int, int, int)
        Channels, height and width.

    Returns
    -------
    ndarray, shape (O, H * W * C)
        Column :math:`(hW + v)C + c` of the result is column :math:`(cH + h)W + v` of `w`.

    Raises
    ------
    ValueError
        If the sizes do not fit.

    See Also
    --------
    fully_connected : Flattens as (C, H, W).

    References
    ----------
    Long, Shelhamer & Darrell (2015), "Fully convolutional networks for semantic segmentation".

    Examples
    --------
    >>> channels_last_head([[1.0, 2.0, 3.0, 4.0]], (2, 1, 2))
    array([[1., 3., 2., 4.]])
    """
    w, (channels, height, width) = _head(w, shape)
    out = np.empty_like(w)
    _channels_last(w.reshape(len(w), channels, height, width), out.reshape(len(w), height, width, channels))
    return out


@kernel
def _channels_last(w, out):
    for o in range(w.shape[0]):
        for h in range(w.shape[2]):
            for v in range(w.shape[3]):
                for c in range(w.shape[1]):
                    out[o, h, v, c] = w[o, c, h, v]


def _head(w, shape):
    lengths = sizes("shape", shape)
    if len(lengths) != 3:
        raise ValueError(f"shape: expected channels, height and width, got {shape!r}")
    w = real("w", w)
    shaped("w", w, (None, math.prod(lengths)))
    return w, lengths


def parameter_table(network: str) -> list[LayerCount]:
    r"""Count the learned parameters of a classic network, layer by layer.

    Parameters
    ----------
    network : {"lenet-5", "alexnet", "vgg-16"}
        As published: LeNet-5 with its partial table in C3 and a fixed output layer, AlexNet with its two groups.

    Returns
    -------
    list of LayerCount
        Layers that have parameters. A "full window" layer is a convolution whose filters are as large as its input.

    Raises
    ------
    ValueError
        If the network is another.

    See Also
    --------
    fully_connected : The layers that dominate the count.

    References
    ----------
    LeCun, Bottou, Bengio & Haffner (1998), "Gradient-based learning applied to document recognition", section II.
    Krizhevsky, Sutskever & Hinton (2012), "ImageNet classification with deep convolutional neural networks".
    Simonyan & Zisserman (2015), "Very deep convolutional networks for large-scale image recognition".

    Examples
    --------
    >>> sum(layer.parameters for layer in parameter_table("vgg-16"))
    138357544
    """
    option("network", network, tuple(_NETWORKS))
    return [LayerCount(name, kind, weights + biases) for name, kind, weights, biases in _NETWORKS[network]]


# Name, kind, weights, biases. In C3 of LeNet-5 the 16 filters see 3, 4 or 6 of six maps, 60 pairs of map and filter;
# its subsampling layers learn a factor and a bias for each map; its output layer is fixed.
_VGG = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
_NETWORKS = {
    "lenet-5": [
        ("C1", "convolution", 6 * 25, 6),
        ("S2", "subsampling", 6, 6),
        ("C3", "convolution", 60 * 25, 16),
        ("S4", "subsampling", 16, 16),
        ("C5", "full window", 120 * 16 * 25, 120),
        ("F6", "fully connected", 84 * 120, 84),
    ],
    "alexnet": [
        ("conv1", "convolution", 96 * 3 * 11 * 11, 96),
        ("conv2", "convolution", 256 * 48 * 5 * 5, 256),
        ("conv3", "convolution", 384 * 256 * 3 * 3, 384),
        ("conv4", "convolution", 384 * 192 * 3 * 3, 384),
        ("conv5", "convolution", 256 * 192 * 3 * 3, 256),
        ("fc6", "fully connected", 4096 * 256 * 6 * 6, 4096),
        ("fc7", "fully connected", 4096 * 4096, 4096),
        ("fc8", "fully connected", 1000 * 4096, 1000),
    ],
    "vgg-16": [
        *((f"conv{i}", "convolution", o * c * 9, o) for i, (c, o) in enumerate(pairwise(_VGG), 1)),
        ("fc14", "fully connected", 4096 * 512 * 7 * 7, 4096),
        ("fc15", "fully connected", 4096 * 4096, 4096),
        ("fc16", "fully connected", 1000 * 4096, 1000),
    ],
}
