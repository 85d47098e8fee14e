"""New features from old: principal components, histograms of oriented gradients, and a linear probe to judge them."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import index, integer, number, public, real, reals, record, shaped
from dlref._compile import kernel, prange
from dlref.data._lbfgs import fitted_head

__all__ = [
    "LinearProbe",
    "PrincipalComponents",
    "fit_principal_components",
    "hog",
    "linear_probe",
    "principal_components",
    "principal_components_inverse",
    "probe_scores",
]


class PrincipalComponents(NamedTuple):
    """Mean (D,), orthonormal directions in rows (k, D), the variance along each (k,), and that of all directions."""

    mean: NDArray
    directions: NDArray
    variance: NDArray
    total: float


class LinearProbe(NamedTuple):
    """Weights (K, D) and biases (K,) of a linear classifier, its objective, and the gradient's norm at the end."""

    w: NDArray
    b: NDArray
    objective: float
    gradient: float


@public
def fit_principal_components(x: ArrayLike, count: int | None = None) -> PrincipalComponents:
    r"""Find the orthonormal directions of largest variance, by a singular value decomposition.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, D)
        Training rows, at least two.
    count : int, optional
        How many directions to keep, at most min(N, D), which is the default.

    Returns
    -------
    PrincipalComponents
        Directions by decreasing variance, each with its largest entry in absolute value positive.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.
    ValueError
        If there are fewer than two rows, or fewer directions than asked for, or a number is not finite.

    See Also
    --------
    principal_components : Coordinates along the directions.

    References
    ----------
    Eckart and Young (1936), "The approximation of one matrix by another of lower rank", Psychometrika 1(3).

    Examples
    --------
    Points near the diagonal have nearly all of their variance along it.

    >>> fitted = fit_principal_components([[-2.0, -2.0], [-1.0, -1.1], [1.0, 1.1], [2.0, 2.0]])
    >>> fitted.directions[0].round(3), round(float(fitted.variance[0]) / fitted.total, 3)
    (array([0.7  , 0.714]), 1.0)
    """
    x = real("x", x, ndim=2)
    if len(x) < 2:
        raise ValueError(f"x: expected at least 2 rows, got {len(x)}")
    if not np.isfinite(x).all():
        raise ValueError(f"x: expected finite numbers, got {x[~np.isfinite(x)][0]:g}")
    most = min(x.shape)
    count = most if count is None else integer("count", count, 1, most)
    mean = x.mean(axis=0, dtype=np.float64).astype(x.dtype)
    # The triangle of a QR decomposition has the same singular values and right vectors in fewer rows.
    _, s, directions = np.linalg.svd(np.linalg.qr(x - mean, mode="r"), full_matrices=False)
    variance = s * s / (len(x) - 1)
    directions = np.ascontiguousarray(directions[:count])
    _turn(directions)
    return PrincipalComponents(mean, directions, variance[:count], float(variance.sum()))


@kernel
def _turn(directions):
    for k in range(len(directions)):
        row = directions[k]
        largest = 0
        for d in range(1, row.size):
            if abs(row[d]) > abs(row[largest]):
                largest = d
        if row[largest] < 0:
            for d in range(row.size):
                row[d] = -row[d]


@public
def principal_components(x: ArrayLike, fitted: PrincipalComponents, whiten: bool = False) -> NDArray:
    """Return the coordinates of rows along the fitted directions.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, D)
        Rows of any part.
    fitted : PrincipalComponents
        From the training rows.
    whiten : bool
        Whether each coordinate is divided by its standard deviation among the training rows.

    Returns
    -------
    ndarray, shape (N, k)
        The new features; uncorrelated on the training rows.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.
    ValueError
        If the number of columns is another one.

    See Also
    --------
    principal_components_inverse : The way back.

    References
    ----------
    Eckart and Young (1936), "The approximation of one matrix by another of lower rank", Psychometrika 1(3).

    Examples
    --------
    >>> fitted = fit_principal_components([[0.0, 0.0], [2.0, 0.0], [1.0, 0.1], [1.0, -0.1]], count=1)
    >>> principal_components([[3.0, 7.0]], fitted)
    array([[2.]])
    """
    x, mean, directions, variance = _with_components("x", x, fitted)
    shaped("x", x, (None, directions.shape[1]))
    out = (x - mean) @ directions.T
    return out / np.sqrt(variance) if whiten else out


@public
def principal_components_inverse(z: ArrayLike, fitted: PrincipalComponents, whiten: bool = False) -> NDArray:
    """Return the rows that have these coordinates and nothing outside of the fitted directions.

    Parameters
    ----------
    z : array_like of float32 or float64, shape (N, k)
        Coordinates.
    fitted : PrincipalComponents
        From the training rows.
    whiten : bool
        Whether the coordinates were divided by their standard deviations.

    Returns
    -------
    ndarray, shape (N, D)
        Of all rows with these coordinates the ones nearest to the mean.

    Raises
    ------
    TypeError
        If `z` is neither real nor integer.
    ValueError
        If the number of coordinates is another one.

    See Also
    --------
    principal_components : The coordinates.

    References
    ----------
    Eckart and Young (1936), "The approximation of one matrix by another of lower rank", Psychometrika 1(3).

    Examples
    --------
    >>> fitted = fit_principal_components([[0.0, 0.0], [2.0, 0.0], [1.0, 0.1], [1.0, -0.1]], count=1)
    >>> principal_components_inverse([[2.0]], fitted)
    array([[3., 0.]])
    """
    z, mean, directions, variance = _with_components("z", z, fitted)
    shaped("z", z, (None, len(directions)))
    return (z * np.sqrt(variance) if whiten else z) @ directions + mean


def _with_components(name, value, fitted):
    mean, directions, variance, _ = record("fitted", fitted, PrincipalComponents)
    arrays = reals(name, value, "fitted.mean", mean, "fitted.directions", directions, "fitted.variance", variance)
    shaped("fitted.directions", arrays[2], (arrays[3].size, arrays[1].size))
    return arrays


@public
def hog(image: ArrayLike, orientations: int = 9, cell: int = 8, block: int = 3) -> NDArray:
    r"""Describe an image by histograms of the directions of its gradients, normalized over blocks of cells.

    Each pixel gives its gradient's length to one of `orientations` equal parts of the half circle, without sign. The
    histograms of `block` by `block` neighboring cells are scaled together to length one, cut off at 0.2 and scaled
    again; blocks overlap, one starts at each cell.

    Parameters
    ----------
    image : array_like of float32 or float64, shape (..., H, W)
        One or more gray images; pixels beyond the last whole cell count for gradients alone.
    orientations : int
        Parts of the half circle.
    cell : int
        Side of a cell, in pixels.
    block : int
        Side of a block, in cells.

    Returns
    -------
    ndarray, shape (..., F)
        Non-negative numbers: block by block in rows, in each block cell by cell, in each cell by angle.

    Raises
    ------
    TypeError
        If `image` is neither real nor integer.
    ValueError
        If the image is smaller than one block.

    See Also
    --------
    linear_probe : What to do with them.

    References
    ----------
    Dalal and Triggs (2005), "Histograms of oriented gradients for human detection", CVPR.

    Examples
    --------
    A vertical edge: all gradients point along the rows, to the first of four angles.

    >>> hog([[0.0, 0.0, 9.0, 9.0]] * 4, orientations=4, cell=4, block=1).round(3)
    array([1., 0., 0., 0.])
    """
    image = real("image", image, ndim=-2)
    orientations, cell = integer("orientations", orientations, 1), integer("cell", cell, 1)
    block = integer("block", block, 1)
    *leading, height, width = image.shape
    rows, columns = height // cell, width // cell
    if min(rows, columns) < block:
        raise ValueError(f"image: expected at least {block * cell} x {block * cell} pixels, got {height} x {width}")
    images = image.reshape(-1, height, width)
    cells = np.empty((len(images), rows, columns, orientations))
    _cell_histograms(images, cell, cells)
    size = (rows - block + 1) * (columns - block + 1) * block * block * orientations
    out = np.empty((len(images), size), image.dtype)
    _normalized_blocks(cells, block, out)
    return out.reshape(*leading, size)


@kernel
def _cell_histograms(images, cell, cells):
    height, width = images.shape[1:]
    orientations = cells.shape[3]
    for p in prange(len(images)):
        image, histograms = images[p], cells[p]
        histograms[:] = 0
        for i in range(cells.shape[1] * cell):
            for j in range(cells.shape[2] * cell):
                down = right = 0.0
                if 0 < i < height - 1:
                    down = np.float64(image[i + 1, j]) - image[i - 1, j]
                if 0 < j < width - 1:
                    right = np.float64(image[i, j + 1]) - image[i, j - 1]
                # Without sign: opposite directions are the same angle.
                angle = math.atan2(down, right) / math.pi % 1
                part = min(int(angle * orientations), orientations - 1)
                length = math.hypot(down, right)
                histograms[i // cell, j // cell, part] += length / (cell * cell)


@kernel
def _normalized_blocks(cells, block, out):
    orientations = cells.shape[3]
    length = block * block * orientations
    for p in prange(len(cells)):
        y = np.empty(length)
        at = 0
        for r in range(cells.shape[1] - block + 1):
            for c in range(cells.shape[2] - block + 1):
                for i in range(block * block):
                    part = cells[p, r + i // block, c + i % block]
                    for k in range(orientations):
                        y[i * orientations + k] = part[k]
                # The small number keeps a block without gradients at zero.
                for limit in (0.2, np.inf):
                    squares = 1e-10
                    for i in range(length):
                        squares += y[i] * y[i]
                    for i in range(length):
                        y[i] = min(y[i] / math.sqrt(squares), limit)
                for i in range(length):
                    out[p, at + i] = y[i]
                at += length


@public
def linear_probe(
    x: ArrayLike, target: ArrayLike, classes: int, alpha: float = 1e-3, tolerance: float = 1e-6, steps: int = 1000
) -> LinearProbe:
    r"""Fit a linear classifier to fixed features: what can be read off them by one matrix.

    It minimizes the mean cross-entropy of the scores :math:`W x_n + b` plus
    :math:`\tfrac{\alpha}{2} \lVert W \rVert^2`, which is convex, by L-BFGS.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, D)
        Features of the training examples; best on a common scale.
    target : array_like of integers, shape (N,)
        Their classes.
    classes : int
        The number of classes, K.
    alpha : float
        Weight of the penalty, positive; the biases have none.
    tolerance : float
        The search ends when the gradient's norm is below this.
    steps : int
        It ends after this many steps in any case.

    Returns
    -------
    LinearProbe
        Weights and biases in the dtype of `x`; the work is done in float64.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer, or the classes are not integers.
    ValueError
        If there are no examples, a class is out of range, or `alpha` is not positive.

    See Also
    --------
    probe_scores : Scores of new examples.

    References
    ----------
    Sharif Razavian et al. (2014), "CNN features off-the-shelf: an astounding baseline for recognition".

    Examples
    --------
    >>> probe = linear_probe([[-1.0], [-2.0], [1.0], [3.0]], [0, 0, 1, 1], 2)
    >>> probe_scores([[-1.5], [0.5]], probe).argmax(axis=1)
    array([0, 1])
    """
    x = real("x", x, ndim=2)
    classes = integer("classes", classes, 2)
    target = index("target", target, classes, (len(x),))
    alpha, tolerance = number("alpha", alpha, 0, open_low=True, open_high=True), number("tolerance", tolerance, 0)
    if not len(x):
        raise ValueError("x: expected at least one example, got none")
    start = np.zeros((classes, x.shape[1])), np.zeros(classes)
    return LinearProbe(*fitted_head(x, target, *start, alpha, tolerance, integer("steps", steps, 0)))


@public
def probe_scores(x: ArrayLike, probe: LinearProbe) -> NDArray:
    """Return a score for each class; the largest is the prediction.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, D)
        Features of any examples.
    probe : LinearProbe
        As from `linear_probe`.

    Returns
    -------
    ndarray, shape (N, K)
        Logits.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.
    ValueError
        If the number of features is another one.

    See Also
    --------
    linear_probe : The classifier.

    References
    ----------
    Sharif Razavian et al. (2014), "CNN features off-the-shelf: an astounding baseline for recognition".

    Examples
    --------
    >>> probe_scores([[2.0]], LinearProbe([[1.0], [-1.0]], [0.0, 0.5], 0.0, 0.0))
    array([[ 2. , -1.5]])
    """
    w, b, _, _ = record("probe", probe, LinearProbe)
    x, w, b = reals("x", x, "probe.w", w, "probe.b", b)
    shaped("probe.w", w, (b.size, None))
    shaped("x", x, (None, w.shape[1]))
    return x @ w.T + b
