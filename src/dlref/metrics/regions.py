"""Intersection over union of the pixels of each class, from one confusion table."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import public
from dlref._compile import kernel
from dlref.metrics.confusion import _averaged, _margins_of

__all__ = ["class_iou", "mean_iou"]


@public
def class_iou(table: ArrayLike, average: str = "none", zero_division: float = np.nan) -> np.floating | NDArray:
    r"""Return the intersection over union of each class: TP / (TP + FP + FN).

    Parameters
    ----------
    table : array_like of float32, float64 or integers, shape (K, K)
        Counts of pixels, rows the truth and columns the prediction, summed over all images.
    average : {"none", "binary", "micro", "macro", "weighted"}
        As in `precision`. "weighted" is known as the frequency-weighted IoU.
    zero_division : float
        What a class counts that is neither true nor called anywhere.

    Returns
    -------
    ndarray of shape (K,) or floating
        One number for each class with "none".

    Raises
    ------
    TypeError
        If the table is neither real nor integer.
    ValueError
        If the table is not square.

    See Also
    --------
    mean_iou : The mean over the classes that occur.
    f_beta : With beta 1 the Dice coefficient, 2 IoU / (1 + IoU).

    References
    ----------
    Long, Shelhamer & Darrell (2015), "Fully convolutional networks for semantic segmentation", CVPR.

    Examples
    --------
    >>> class_iou([[90, 2], [3, 5]]).round(4)
    array([0.9474, 0.5   ])
    """
    table, hit, called, true = _margins_of(table)
    return _averaged(table, hit, called + true - hit, true, average, zero_division)


@public
def mean_iou(table: ArrayLike) -> np.floating:
    """Return the mean intersection over union of the classes that occur in truth or prediction.

    Parameters
    ----------
    table : array_like of float32, float64 or integers, shape (K, K)
        Counts of pixels, rows the truth and columns the prediction, summed over all images.

    Returns
    -------
    floating
        The mean; a class whose row and column are empty is left out. NaN for an empty table.

    Raises
    ------
    TypeError
        If the table is neither real nor integer.
    ValueError
        If the table is not square.

    See Also
    --------
    class_iou : Each class, and other rules for absent ones.

    References
    ----------
    Everingham et al. (2010), "The Pascal Visual Object Classes (VOC) Challenge", IJCV 88(2).

    Examples
    --------
    The third class occurs nowhere.

    >>> print(round(mean_iou([[90, 2, 0], [3, 5, 0], [0, 0, 0]]), 4))
    0.7237
    """
    table, hit, called, true = _margins_of(table)
    return table.dtype.type(_mean_share(hit, called, true))


@kernel
def _mean_share(hit, called, true):
    total, count = 0.0, 0
    for k in range(hit.size):
        union = called[k] + true[k] - hit[k]
        if union > 0:
            total += hit[k] / union
            count += 1
    return total / count
