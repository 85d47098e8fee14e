"""The ImageNet benchmark's pipeline: resize, crop, normalize, and the errors that are reported."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import index, integer, public, real, shaped
from dlref._compile import kernel, prange

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "center_crop",
    "hierarchical_error",
    "imagenet_normalize",
    "resize_antialiased",
    "resize_shorter_side",
    "ten_crop",
    "top_k_error",
]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@public
def resize_antialiased(image: ArrayLike, height: int, width: int) -> NDArray:
    r"""Resample an image with a triangle filter as wide as a source pixel or a target pixel, whichever is larger.

    Target pixel i has its center at :math:`c_i = (i + \tfrac12) s` on the source, :math:`s = n_{in} / n_{out}`, and
    averages the source pixels k with weights proportional to
    :math:`\max(0, 1 - |k + \tfrac12 - c_i| / \max(s, 1))`.

    Parameters
    ----------
    image : array_like of float32 or float64, shape (..., H, W)
        One or more images or channels, rows before columns.
    height, width : int
        Size of the result, in pixels.

    Returns
    -------
    ndarray, shape (..., height, width)
        In the dtype of `image`. A constant image stays constant.

    Raises
    ------
    TypeError
        If `image` is neither real nor integer.
    ValueError
        If the image or the result would be empty.

    See Also
    --------
    resize_shorter_side : With the proportions kept.

    References
    ----------
    Russakovsky et al. (2015), "ImageNet large scale visual recognition challenge"; the filter is Pillow's BILINEAR.

    Examples
    --------
    Halving a fine checkerboard gives gray. Without the wider filter it would give whatever pixels happen to be hit.

    >>> resize_antialiased([[0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0]] * 2, 1, 2).round(3)
    array([[0.5, 0.5]])
    """
    image = real("image", image, ndim=-2)
    height, width = integer("height", height, 1), integer("width", width, 1)
    if not image.size:
        raise ValueError(f"image: expected at least one pixel, got shape {image.shape}")
    *leading, old_height, old_width = image.shape
    planes = image.reshape(-1, old_height, old_width)
    across = np.empty((len(planes), old_height, width), image.dtype)
    _resample_rows(planes, *_triangle(old_width, width), across)
    out = np.empty((len(planes), height, width), image.dtype)
    _resample_columns(across, *_triangle(old_height, height), out)
    return out.reshape(*leading, height, width)


class _Taps(NamedTuple):
    first: NDArray
    weights: NDArray


def _triangle(old, new):
    """Return, for each target pixel, the first source pixel that it sees and the weights from there on."""
    radius = max(old / new, 1.0)
    taps = _Taps(np.empty(new, np.int64), np.zeros((new, int(2 * radius) + 2)))
    _triangle_weights(old, radius, *taps)
    return taps


@kernel
def _triangle_weights(old, radius, first, weights):
    for i in range(len(first)):
        center = (i + 0.5) * (old / len(first))
        first[i] = max(int(center - radius + 0.5), 0)
        last = min(int(center + radius + 0.5), old)
        total = 0.0
        for k in range(first[i], last):
            w = max(1 - abs(k + 0.5 - center) / radius, 0.0)
            weights[i, k - first[i]] = w
            total += w
        for k in range(last - first[i]):
            weights[i, k] /= total


@kernel(sums=True)
def _resample_rows(x, first, weights, out):
    for p in prange(x.shape[0]):
        for r in range(x.shape[1]):
            row, y = x[p, r], out[p, r]
            for i in range(y.size):
                total = 0.0
                for k in range(min(weights.shape[1], row.size - first[i])):
                    total += weights[i, k] * row[first[i] + k]
                y[i] = total


@kernel(sums=True)
def _resample_columns(x, first, weights, out):
    for p in prange(x.shape[0]):
        for i in range(out.shape[1]):
            y = out[p, i]
            y[:] = 0
            for k in range(min(weights.shape[1], x.shape[1] - first[i])):
                row, w = x[p, first[i] + k], x.dtype.type(weights[i, k])
                for j in range(y.size):
                    y[j] += w * row[j]


@public
def resize_shorter_side(image: ArrayLike, size: int = 256) -> NDArray:
    r"""Resize so that the shorter side has `size` pixels and the longer one keeps the proportions, rounded down.

    Parameters
    ----------
    image : array_like of float32 or float64, shape (..., H, W)
        One or more images or channels.
    size : int
        Pixels of the shorter side.

    Returns
    -------
    ndarray, shape (..., size, :math:`\lfloor size \cdot W / H \rfloor`) or the other way round
        In the dtype of `image`.

    Raises
    ------
    TypeError
        If `image` is neither real nor integer.
    ValueError
        If `image` has fewer than two dimensions or no pixel.

    See Also
    --------
    center_crop : The next step.

    References
    ----------
    Krizhevsky, Sutskever & Hinton (2012), "ImageNet classification with deep convolutional neural networks", section 2.

    Examples
    --------
    >>> resize_shorter_side(np.zeros((3, 427, 640))).shape
    (3, 256, 383)
    """
    image = real("image", image, ndim=-2)
    size = integer("size", size, 1)
    height, width = image.shape[-2:]
    shorter = max(min(height, width), 1)
    return resize_antialiased(image, max(size * height // shorter, 1), max(size * width // shorter, 1))


@public
def center_crop(image: ArrayLike, size: int = 224) -> NDArray:
    r"""Return the square in the middle; where a margin is odd, the larger half is left on the right and at the bottom.

    Parameters
    ----------
    image : array_like of float32 or float64, shape (..., H, W)
        One or more images or channels.
    size : int
        Side of the square, in pixels.

    Returns
    -------
    ndarray, shape (..., size, size)
        A copy.

    Raises
    ------
    TypeError
        If `image` is neither real nor integer.
    ValueError
        If the image is smaller than the square.

    See Also
    --------
    ten_crop : This crop and nine more.

    References
    ----------
    Krizhevsky, Sutskever & Hinton (2012), "ImageNet classification with deep convolutional neural networks", section 2.

    Examples
    --------
    >>> center_crop(np.arange(20.0).reshape(4, 5), 2)
    array([[ 6.,  7.],
           [11., 12.]])
    """
    image, size = _croppable(image, size)
    top, left = (image.shape[-2] - size) // 2, (image.shape[-1] - size) // 2
    return image[..., top : top + size, left : left + size].copy()


@public
def ten_crop(image: ArrayLike, size: int = 224) -> NDArray:
    r"""Return the four corners, the center, and the mirror images of these five.

    Parameters
    ----------
    image : array_like of float32 or float64, shape (..., H, W)
        One or more images or channels.
    size : int
        Side of the squares, in pixels.

    Returns
    -------
    ndarray, shape (10, ..., size, size)
        Top left, top right, bottom left, bottom right, center; then the same five mirrored left to right.

    Raises
    ------
    TypeError
        If `image` is neither real nor integer.
    ValueError
        If the image is smaller than the square.

    See Also
    --------
    center_crop : The middle one alone.

    References
    ----------
    Krizhevsky, Sutskever & Hinton (2012), "ImageNet classification with deep convolutional neural networks",
    section 4.1: predictions are averaged over these ten.

    Examples
    --------
    >>> ten_crop([[1.0, 2.0], [3.0, 4.0]], 1).ravel()
    array([1., 2., 3., 4., 1., 1., 2., 3., 4., 1.])
    """
    image, size = _croppable(image, size)
    corners = [
        image[..., :size, :size],
        image[..., :size, -size:],
        image[..., -size:, :size],
        image[..., -size:, -size:],
    ]
    five = np.stack([*corners, center_crop(image, size)])
    return np.concatenate([five, five[..., ::-1]])


def _croppable(image, size):
    image = real("image", image, ndim=-2)
    size = integer("size", size, 1)
    if min(image.shape[-2:]) < size:
        raise ValueError(f"image: expected at least {size} x {size} pixels, got {image.shape[-2]} x {image.shape[-1]}")
    return image, size


@public
def imagenet_normalize(image: ArrayLike, mean: ArrayLike = IMAGENET_MEAN, std: ArrayLike = IMAGENET_STD) -> NDArray:
    r"""Subtract a mean from every channel and divide by a standard deviation.

    Parameters
    ----------
    image : array_like of float32 or float64, shape (..., C, H, W)
        Images with values from 0 to 1; for the default statistics three channels, red, green and blue.
    mean, std : array_like, shape (C,)
        Statistics, on the same scale. The defaults are those that PyTorch's models use.

    Returns
    -------
    ndarray
        Shape and dtype of `image`.

    Raises
    ------
    TypeError
        If `image` is neither real nor integer.
    ValueError
        If the statistics do not fit the channels, or a standard deviation is not positive.

    See Also
    --------
    center_crop : The step before.

    References
    ----------
    The defaults are the constants of torchvision's models; no paper states how they were computed.

    Examples
    --------
    >>> imagenet_normalize(np.full((3, 1, 1), 0.5)).ravel().round(3)
    array([0.066, 0.196, 0.418])
    """
    image = real("image", image, ndim=-3)
    mean, std = (real(n, v).astype(image.dtype, copy=False) for n, v in (("mean", mean), ("std", std)))
    shaped("mean", mean, image.shape[-3:-2])
    shaped("std", std, image.shape[-3:-2])
    if not (std > 0).all():
        raise ValueError(f"std: expected positive numbers, got {std.min():g}")
    return (image - mean[:, None, None]) / std[:, None, None]


@public
def top_k_error(scores: ArrayLike, target: ArrayLike, k: int = 5) -> float:
    r"""Return the share of examples whose class is not among the `k` highest scores.

    Parameters
    ----------
    scores : array_like of float32 or float64, shape (N, K)
        One row of class scores per example, of any scale.
    target : array_like of int, shape (N,)
        True classes, from 0 to K - 1.
    k : int
        How many guesses are allowed, from 1 to K.

    Returns
    -------
    float
        From 0 to 1; NaN without examples. Among equal scores the lower class counts as higher. A true class whose own
        score is NaN counts as missed.

    Raises
    ------
    TypeError
        If `scores` is neither real nor integer, or `target` not integer.
    ValueError
        If a shape does not fit, a class is out of range, or `k` is not from 1 to K.

    See Also
    --------
    hierarchical_error : How far off a wrong guess is.

    References
    ----------
    Russakovsky et al. (2015), "ImageNet large scale visual recognition challenge", section 4.

    Examples
    --------
    >>> scores = [[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]]
    >>> top_k_error(scores, [2, 0], k=1), top_k_error(scores, [2, 0], k=2)
    (0.5, 0.0)
    """
    scores = real("scores", scores, ndim=2)
    target = index("target", target, scores.shape[1], scores.shape[:1])
    k = integer("k", k, 1, scores.shape[1])
    return float(_missed(scores, target, k) / len(scores)) if len(scores) else float("nan")


@kernel
def _missed(scores, target, k):
    missed = 0
    for n in range(len(scores)):
        row, true = scores[n], scores[n, target[n]]
        ahead = 0
        for j in range(row.size):
            ahead += row[j] > true or (row[j] == true and j < target[n])
        missed += not ahead < k or np.isnan(true)
    return missed


@public
def hierarchical_error(predicted: ArrayLike, target: ArrayLike, parent: ArrayLike) -> float:
    r"""Return the mean height of the lowest common ancestor of guess and truth in a tree of classes.

    Taking a poodle for a terrier is a small error, taking it for a teapot a large one. The height of a node is the
    longest way down to a leaf; that of a leaf, and so the cost of a right answer, is 0.

    Parameters
    ----------
    predicted, target : array_like of int, shape (N,)
        Nodes of the tree.
    parent : array_like of int, shape (M,)
        The parent of every node, before it in the array; the root is node 0 and its own parent.

    Returns
    -------
    float
        In steps of the tree; NaN without examples.

    Raises
    ------
    TypeError
        If an argument is not integer.
    ValueError
        If a node is out of range, a parent does not come before its child, or the shapes differ.

    See Also
    --------
    top_k_error : The error that does not see the tree.

    References
    ----------
    Deng et al. (2010), "What does classifying more than 10,000 image categories tell us?", ECCV.

    Examples
    --------
    A tree: 0 thing, 1 dog, 2 teapot, 3 poodle, 4 terrier.

    >>> parent = [0, 0, 0, 1, 1]
    >>> [hierarchical_error([guess], [3], parent) for guess in (3, 4, 2)]
    [0.0, 1.0, 2.0]
    """
    parent = index("parent", parent, max(np.size(parent), 1))
    shaped("parent", parent, (None,))
    if parent.size and (parent[0] != 0 or (parent[1:] >= np.arange(1, parent.size)).any()):
        raise ValueError("parent: expected the root first and every parent before its children")
    target = index("target", target, len(parent), (None,))
    predicted = index("predicted", predicted, len(parent), target.shape)
    costs = np.empty(len(target), np.int64)
    _ancestor_heights(predicted, target, parent, np.zeros(len(parent), np.int64), costs)
    return float(costs.mean()) if len(costs) else float("nan")


@kernel
def _ancestor_heights(predicted, target, parent, height, costs):
    for node in range(len(parent) - 1, 0, -1):
        height[parent[node]] = max(height[parent[node]], height[node] + 1)
    for n in range(len(costs)):
        a, b = predicted[n], target[n]
        # a parent has the smaller number, so the larger of two different nodes is no ancestor of the other
        while a != b:
            if a > b:
                a = parent[a]
            else:
                b = parent[b]
        costs[n] = height[a]
