"""A small fully convolutional encoder-decoder with skip connections: a class for every pixel."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from dlref._arrays import integer
from dlref.activations import relu
from dlref.layers import conv2d, max_pool2d

__all__ = ["SegmentationParameters", "segmentation_logits", "segmentation_parameters"]


class SegmentationParameters(NamedTuple):
    """Filters (O, C, 3, 3), in the last layer (O, C, 1, 1), and a bias for each: three on the way down, two back up."""

    conv1: NDArray
    bias1: NDArray
    conv2: NDArray
    bias2: NDArray
    conv3: NDArray
    bias3: NDArray
    conv4: NDArray
    bias4: NDArray
    conv5: NDArray
    bias5: NDArray


def segmentation_parameters(
    rng: np.random.Generator,
    channels: int = 3,
    filters: int = 8,
    classes: int = 4,
    dtype: DTypeLike = np.float32,
) -> SegmentationParameters:
    r"""Draw the parameters of `segmentation_logits`: weights of variance :math:`2/\text{fan-in}`, biases zero.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the weights.
    channels : int
        Channels of the images.
    filters : int
        Filters of the first convolution; the deeper ones have twice as many.
    classes : int
        Number of classes.
    dtype : numpy dtype
        Type of the parameters, float32 or float64.

    Returns
    -------
    SegmentationParameters
        The parameters.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If a number is too small.

    See Also
    --------
    segmentation_logits : The network.

    References
    ----------
    Ronneberger, Fischer & Brox (2015), "U-Net: Convolutional networks for biomedical image segmentation", MICCAI.

    Examples
    --------
    The number of parameters does not depend on the size of the images.

    >>> params = segmentation_parameters(np.random.default_rng(0))
    >>> sum(p.size for p in params)
    8436
    """
    c, f, k = integer("channels", channels, 1), integer("filters", filters, 1), integer("classes", classes, 1)
    shapes = [(f, c, 3, 3), (2 * f, f, 3, 3), (2 * f, 2 * f, 3, 3), (2 * f, 4 * f, 3, 3), (k, 3 * f, 1, 1)]
    drawn: list[NDArray] = []
    for shape in shapes:
        drawn += [rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(dtype), np.zeros(shape[0], dtype)]
    return SegmentationParameters(*drawn)


def segmentation_logits(params: SegmentationParameters, x: ArrayLike) -> NDArray:
    """Return the scores of the classes at every pixel.

    Down: convolution with ReLU, three times, with the maximum of 2 x 2 pixels in between. Up: every pixel becomes
    2 x 2, the maps of the same size from the way down are put beside, and a convolution follows; twice.

    Parameters
    ----------
    params : SegmentationParameters
        From `segmentation_parameters`, or traced.
    x : array_like, shape (N, C, H, W)
        Images; height and width are multiples of 4, and otherwise any.

    Returns
    -------
    ndarray, shape (N, classes, H, W)
        Logits.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the images do not fit the parameters.

    See Also
    --------
    segmentation_parameters : Where training starts.

    References
    ----------
    Long, Shelhamer & Darrell (2015), "Fully convolutional networks for semantic segmentation", CVPR. Ronneberger,
    Fischer & Brox (2015), "U-Net", MICCAI.

    Examples
    --------
    >>> params = segmentation_parameters(np.random.default_rng(0))
    >>> segmentation_logits(params, np.zeros((2, 3, 8, 16), np.float32)).shape
    (2, 4, 8, 16)
    """
    if np.ndim(x) != 4 or np.shape(x)[2] % 4 or np.shape(x)[3] % 4:
        raise ValueError(f"x: expected shape (N, C, H, W) with H and W multiples of 4, got {np.shape(x)}")
    whole = relu(conv2d(x, params.conv1, params.bias1, padding=1))
    half = relu(conv2d(max_pool2d(whole, 2), params.conv2, params.bias2, padding=1))
    deep = relu(conv2d(max_pool2d(half, 2), params.conv3, params.bias3, padding=1))
    up = relu(conv2d(np.concatenate([_twice(deep), half], axis=1), params.conv4, params.bias4, padding=1))
    return conv2d(np.concatenate([_twice(up), whole], axis=1), params.conv5, params.bias5)


def _twice(h):
    n, c, height, width = h.shape
    spread = h.reshape(n, c, height, 1, width, 1) * np.ones((1, 1, 1, 2, 1, 2), h.dtype)
    return spread.reshape(n, c, 2 * height, 2 * width)
