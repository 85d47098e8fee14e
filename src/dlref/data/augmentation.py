"""Changed copies of training images: flips, crops, affine warps, color, cutout, mixup; what is drawn comes in."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import generator, index, integer, mask, number, public, real, reals, shaped
from dlref._compile import inline, kernel, prange

__all__ = [
    "Mixed",
    "adjust_color",
    "affine_matrix",
    "affine_warp",
    "crop_at",
    "cutout",
    "flip_boxes",
    "horizontal_flip",
    "mixup",
    "mixup_weights",
]


class Mixed(NamedTuple):
    """Mixed examples and their mixed labels."""

    x: NDArray
    y: NDArray


@public
def horizontal_flip(images: ArrayLike, flip: ArrayLike) -> NDArray:
    """Mirror the chosen images, left to right.

    Parameters
    ----------
    images : array_like of float32 or float64, shape (N, ..., H, W)
        Images or channels.
    flip : array_like of bool, shape (N,)
        Which of them: ``rng.random(N) < 0.5``.

    Returns
    -------
    ndarray, shape of `images`
        A copy.

    Raises
    ------
    TypeError
        If `images` is neither real nor integer, or `flip` is not boolean.
    ValueError
        If there is not one choice for each image.

    See Also
    --------
    flip_boxes : The boxes on mirrored images.

    References
    ----------
    Krizhevsky, Sutskever and Hinton (2012), "ImageNet classification with deep convolutional neural networks".

    Examples
    --------
    >>> horizontal_flip([[[1.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]]], [True, False])
    array([[[3., 2., 1.]],
    <BLANKLINE>
           [[1., 2., 3.]]])
    """
    images = real("images", images, ndim=-3)
    flip = mask("flip", flip, (len(images),))
    width = images.shape[-1]
    out = np.empty_like(images)
    shape = (len(images), math.prod(images.shape[1:-1]), width)
    _flip(images.reshape(shape), flip, out.reshape(shape))
    return out


@kernel
def _flip(images, flip, out):
    for n in prange(len(images)):
        for r in range(images.shape[1]):
            row, y = images[n, r], out[n, r]
            if flip[n]:
                for j in range(row.size):
                    y[j] = row[row.size - 1 - j]
            else:
                for j in range(row.size):
                    y[j] = row[j]


@public
def flip_boxes(boxes: ArrayLike, flip: ArrayLike, width: float) -> NDArray:
    """Move boxes with the images that were mirrored: the label changes by a rule.

    Parameters
    ----------
    boxes : array_like of float32 or float64, shape (N, 4)
        One box for each image: left, top, right, bottom.
    flip : array_like of bool, shape (N,)
        Which images were mirrored.
    width : float
        Width of the images.

    Returns
    -------
    ndarray, shape (N, 4)
        The left edge becomes the right one, counted from the other side.

    Raises
    ------
    TypeError
        If `boxes` is neither real nor integer, or `flip` is not boolean.
    ValueError
        If the shapes are others.

    See Also
    --------
    horizontal_flip : The images.

    References
    ----------
    Everingham et al. (2010), "The Pascal Visual Object Classes (VOC) challenge".

    Examples
    --------
    >>> flip_boxes([[1.0, 0.0, 4.0, 5.0]], [True], 10)
    array([[6., 0., 9., 5.]])
    """
    boxes, width = real("boxes", boxes), number("width", width, 0)
    shaped("boxes", boxes, (None, 4))
    flip = mask("flip", flip, (len(boxes),))[:, None]
    mirrored = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
    return np.where(flip, mirrored, boxes).astype(boxes.dtype)


@public
def crop_at(images: ArrayLike, corners: ArrayLike, height: int, width: int, padding: int = 0) -> NDArray:
    """Cut one window out of each image, after a border of zeros was put around it.

    Parameters
    ----------
    images : array_like of float32 or float64, shape (N, C, H, W)
        Images.
    corners : array_like of int, shape (N, 2)
        Upper left corner of each window on the padded image:
        ``rng.integers(0, (H + 2 * padding - height + 1, W + 2 * padding - width + 1), (N, 2))``.
    height, width : int
        Size of the windows.
    padding : int
        Width of the border.

    Returns
    -------
    ndarray, shape (N, C, height, width)
        The windows.

    Raises
    ------
    TypeError
        If `images` is neither real nor integer, or the corners are not integers.
    ValueError
        If a window does not lie on its padded image.

    See Also
    --------
    horizontal_flip : Its usual companion.

    References
    ----------
    Krizhevsky, Sutskever and Hinton (2012), "ImageNet classification with deep convolutional neural networks".

    Examples
    --------
    With a border of one, the corner 0, 0 moves the picture down and to the right.

    >>> crop_at([[[[1.0, 2.0], [3.0, 4.0]]]], [[0, 0]], 2, 2, padding=1)
    array([[[[0., 0.],
             [0., 1.]]]])
    """
    images = real("images", images, ndim=4)
    n, channels, full_height, full_width = images.shape
    padding = integer("padding", padding, 0)
    height = integer("height", height, 1, full_height + 2 * padding)
    width = integer("width", width, 1, full_width + 2 * padding)
    last = full_height + 2 * padding - height, full_width + 2 * padding - width
    corners = index("corners", corners, max(last) + 1, (n, 2))
    if (corners > last).any():
        raise ValueError(f"corners: expected rows from 0 to {last[0]} and columns from 0 to {last[1]}")
    out = np.empty((n, channels, height, width), images.dtype)
    _crop(images, corners - padding, out)
    return out


@kernel
def _crop(images, corners, out):
    height, width = images.shape[2:]
    for n in prange(len(images)):
        top, left = corners[n]
        first, last = max(0, -left), min(out.shape[3], width - left)
        for c in range(images.shape[1]):
            for i in range(out.shape[2]):
                y = out[n, c, i]
                y[:] = 0
                if 0 <= top + i < height and first < last:
                    # Slices: an index that might be negative would be slow.
                    row = images[n, c, top + i, left + first : left + last]
                    window = y[first:last]
                    for j in range(row.size):
                        window[j] = row[j]


@public
def affine_matrix(
    height: int,
    width: int,
    angle: float = 0.0,
    scale: float = 1.0,
    shear: float = 0.0,
    shift: Sequence[float] = (0.0, 0.0),
) -> NDArray:
    r"""Return the map from pixels of the result to pixels of the image, for `affine_warp`, about the image's center.

    Parameters
    ----------
    height, width : int
        Size of the image.
    angle : float
        Degrees by which the picture turns, counterclockwise as it is seen.
    scale : float
        Factor by which it grows.
    shear : float
        Columns by which the picture moves to the right for each row upwards.
    shift : sequence of two floats
        Rows down and columns to the right by which it moves at last.

    Returns
    -------
    ndarray, shape (2, 3)
        In float64: row and column of the source are ``m @ (row, column, 1)``.

    Raises
    ------
    ValueError
        If `scale` is not positive, or the shift has not two numbers.

    See Also
    --------
    affine_warp : What it is for.

    References
    ----------
    Simard, Steinkraus and Platt (2003), "Best practices for convolutional neural networks", ICDAR.

    Examples
    --------
    A shift by one row: each pixel is fetched from the row above.

    >>> affine_matrix(5, 5, shift=(1, 0))
    array([[ 1.,  0., -1.],
           [ 0.,  1.,  0.]])
    """
    height, width = integer("height", height, 1), integer("width", width, 1)
    finite = {"open_low": True, "open_high": True}
    angle, shear = number("angle", angle, **finite), number("shear", shear, **finite)
    scale = number("scale", scale, 0, **finite)
    shift = real("shift", shift).astype(np.float64)
    shaped("shift", shift, (2,))
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    # Rows count downwards, so that the turn is clockwise in (row, column).
    turn = np.array([[cosine, -sine], [sine, cosine]])
    back = np.array([[1.0, 0.0], [shear, 1.0]]) @ turn.T / scale
    center = np.array([(height - 1) / 2, (width - 1) / 2])
    return np.concatenate([back, (center - back @ (center + shift))[:, None]], axis=1) + 0.0


@public
def affine_warp(images: ArrayLike, matrix: ArrayLike) -> NDArray:
    """Move every pixel by an affine map, with bilinear interpolation; what comes from outside is 0.

    Parameters
    ----------
    images : array_like of float32 or float64, shape (N, C, H, W)
        Images.
    matrix : array_like of float32 or float64, shape (N, 2, 3) or (2, 3)
        For each image, or for all, from the pixels of the result to those of the image; as from `affine_matrix`.

    Returns
    -------
    ndarray, shape (N, C, H, W)
        In the dtype of `images`.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If there is not one matrix for each image.

    See Also
    --------
    affine_matrix : Turn, scale, shear and shift.

    References
    ----------
    Simard, Steinkraus and Platt (2003), "Best practices for convolutional neural networks", ICDAR.

    Examples
    --------
    Half a pixel to the right: every pixel is the mean of two.

    >>> affine_warp([[[[2.0, 4.0, 8.0]]]], affine_matrix(1, 3, shift=(0, 0.5)))
    array([[[[1., 3., 6.]]]])
    """
    images, matrix = real("images", images, ndim=4), real("matrix", matrix)
    shaped("matrix", matrix, (2, 3) if matrix.ndim == 2 else (len(images), 2, 3))
    matrix = np.ascontiguousarray(np.broadcast_to(matrix, (len(images), 2, 3)))
    out = np.empty_like(images)
    _warp(images, matrix.astype(np.float64), out)
    return out


@kernel
def _warp(images, matrix, out):
    height, width = images.shape[2:]
    for n in prange(len(images)):
        m = matrix[n]
        for i in range(height):
            for j in range(width):
                row = m[0, 0] * i + m[0, 1] * j + m[0, 2]
                column = m[1, 0] * i + m[1, 1] * j + m[1, 2]
                if not (-1 < row < height and -1 < column < width):
                    out[n, :, i, j] = 0
                    continue
                top, left = math.floor(row), math.floor(column)
                down, right = row - top, column - left
                # A neighbor outside of the image has no weight; another pixel
                # is read in its place.
                above = (1 - down) * (top >= 0)
                below = down * (top + 1 < height)
                before = (1 - right) * (left >= 0)
                after = right * (left + 1 < width)
                a, b = max(top, 0), min(top + 1, height - 1)
                e, f = max(left, 0), min(left + 1, width - 1)
                for c in range(images.shape[1]):
                    image = images[n, c]
                    upper = before * image[a, e] + after * image[a, f]
                    lower = before * image[b, e] + after * image[b, f]
                    out[n, c, i, j] = above * upper + below * lower


@public
def adjust_color(images: ArrayLike, brightness: ArrayLike, contrast: ArrayLike, saturation: ArrayLike) -> NDArray:
    """Change brightness, then contrast, then saturation of each image; colors are cut off at 0 and 1 after each.

    Parameters
    ----------
    images : array_like of float32 or float64, shape (N, 3, H, W)
        Red, green and blue from 0 to 1.
    brightness, contrast, saturation : array_like of float32 or float64, shape (N,)
        Factors, 1 for no change: ``rng.uniform(0.6, 1.4, N)``.

    Returns
    -------
    ndarray, shape (N, 3, H, W)
        Brightness is a multiple of the image; contrast moves it from its own mean gray, saturation each pixel from
        its own gray, :math:`0.299 r + 0.587 g + 0.114 b`.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If there are not three channels, or not one factor of each kind for each image.

    See Also
    --------
    cutout : Another change that keeps the class.

    References
    ----------
    Krizhevsky, Sutskever and Hinton (2012), "ImageNet classification with deep convolutional neural networks".

    Examples
    --------
    No saturation: gray.

    >>> adjust_color([[[[1.0]], [[0.0]], [[0.0]]]], [1.0], [1.0], [0.0]).ravel()
    array([0.299, 0.299, 0.299])
    """
    images = real("images", images, ndim=4)
    shaped("images", images, (None, 3, None, None))
    factors = []
    for name, value in (("brightness", brightness), ("contrast", contrast), ("saturation", saturation)):
        factors.append(real(name, value).astype(np.float64))
        shaped(name, factors[-1], (len(images),))
    out = np.empty_like(images)
    shape = (len(images), 3, images.shape[2] * images.shape[3])
    _adjust(images.reshape(shape), *factors, out.reshape(shape))
    return out


@kernel
def _adjust(images, brightness, contrast, saturation, out):
    for n in prange(len(images)):
        mean = 0.0
        for p in range(images.shape[2]):
            for c in range(3):
                out[n, c, p] = min(max(brightness[n] * images[n, c, p], 0), 1)
            mean += _gray(out[n], p)
        mean /= images.shape[2]
        for p in range(images.shape[2]):
            for c in range(3):
                moved = mean + contrast[n] * (out[n, c, p] - mean)
                out[n, c, p] = min(max(moved, 0), 1)
            gray = _gray(out[n], p)
            for c in range(3):
                moved = gray + saturation[n] * (out[n, c, p] - gray)
                out[n, c, p] = min(max(moved, 0), 1)


@inline
def _gray(image, p):
    return 0.299 * image[0, p] + 0.587 * image[1, p] + 0.114 * image[2, p]


@public
def cutout(images: ArrayLike, centers: ArrayLike, size: int, value: float = 0.0) -> NDArray:
    """Cover one square of each image; squares at the border are cut off by it.

    Parameters
    ----------
    images : array_like of float32 or float64, shape (N, C, H, W)
        Images.
    centers : array_like of int, shape (N, 2)
        Row and column of each square's center: ``rng.integers(0, (H, W), (N, 2))``.
    size : int
        Side of the squares; they begin `size // 2` before the center.
    value : float
        What covers them; the mean of the data, 0 after normalization.

    Returns
    -------
    ndarray, shape of `images`
        A copy.

    Raises
    ------
    TypeError
        If `images` is neither real nor integer, or the centers are not integers.
    ValueError
        If there is not one center for each image.

    See Also
    --------
    mixup : A change that does not keep the class.

    References
    ----------
    DeVries and Taylor (2017), "Improved regularization of convolutional neural networks with cutout".

    Examples
    --------
    >>> cutout([[[[1.0, 2.0, 3.0]]]], [[0, 0]], 3)
    array([[[[0., 0., 3.]]]])
    """
    images = real("images", images, ndim=4)
    centers = index("centers", centers, max(images.shape[2:]), (len(images), 2))
    size, value = integer("size", size, 0), number("value", value)
    out = images.copy()
    for image, (row, column) in zip(out, centers - size // 2, strict=True):
        image[:, max(row, 0) : max(row + size, 0), max(column, 0) : max(column + size, 0)] = value
    return out


@public
def mixup_weights(n: int, alpha: float, rng: np.random.Generator) -> NDArray:
    """Draw the weights of `mixup` from the distribution Beta(alpha, alpha).

    Parameters
    ----------
    n : int
        How many.
    alpha : float
        Not negative. Near 0 almost nothing is mixed, 1 draws all weights alike; 0 gives ones.
    rng : numpy.random.Generator
        The source.

    Returns
    -------
    ndarray, shape (n,)
        Weights from 0 to 1, in float64.

    Raises
    ------
    TypeError
        If `rng` is no generator.
    ValueError
        If `n` or `alpha` is negative.

    See Also
    --------
    mixup : Where they are used.

    References
    ----------
    Zhang et al. (2018), "mixup: Beyond Empirical Risk Minimization".

    Examples
    --------
    >>> mixup_weights(3, 0.2, np.random.default_rng(1)).shape
    (3,)
    """
    n, alpha = integer("n", n, 0), number("alpha", alpha, 0, open_high=True)
    rng = generator("rng", rng)
    return rng.beta(alpha, alpha, n) if alpha else np.ones(n)


@public
def mixup(x: ArrayLike, y: ArrayLike, weight: ArrayLike, partner: ArrayLike) -> Mixed:
    """Mix each example with another one of the batch, and their labels in the same proportion.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, ...)
        Examples.
    y : array_like of float32 or float64, shape (N, K)
        One-hot or other distributions over the classes.
    weight : array_like of float32 or float64, shape (N,)
        Share of the example itself, as from `mixup_weights`.
    partner : array_like of int, shape (N,)
        The example that it is mixed with: ``rng.permutation(N)``.

    Returns
    -------
    Mixed
        Examples and labels.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or the partners are not integers.
    ValueError
        If the lengths differ.

    See Also
    --------
    mixup_weights : A sampler.

    References
    ----------
    Zhang et al. (2018), "mixup: Beyond Empirical Risk Minimization".

    Examples
    --------
    >>> mixup([[0.0], [8.0]], [[1.0, 0.0], [0.0, 1.0]], [0.75, 1.0], [1, 0])
    Mixed(x=array([[2.],
           [8.]]), y=array([[0.75, 0.25],
           [0.  , 1.  ]]))
    """
    x, y, weight = reals("x", real("x", x, ndim=-1), "y", y, "weight", weight)
    shaped("weight", weight, (len(x),))
    shaped("y", y, (len(x), None))
    partner = index("partner", partner, len(x), (len(x),))
    mixed = []
    for values in (x, y):
        rows = values.reshape(len(x), math.prod(values.shape[1:]))
        mixed.append(np.empty_like(rows))
        _mix(rows, weight, partner, mixed[-1])
    return Mixed(mixed[0].reshape(x.shape), mixed[1])


@kernel
def _mix(rows, weight, partner, out):
    for n in prange(len(rows)):
        own, other, y = rows[n], rows[partner[n]], out[n]
        for d in range(own.size):
            # In this form equal rows stay what they are, and a weight of 1
            # changes nothing.
            mixed = other[d] + weight[n] * (own[d] - other[d])
            y[d] = mixed if weight[n] < 1 else own[d]
