"""Dice loss: the overlap of a soft prediction with a region, as something to train on."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import index, number, public, real, reals, shaped
from dlref._compile import kernel

__all__ = ["dice_loss", "dice_loss_backward"]


@public
def dice_loss(p: ArrayLike, /, target: ArrayLike, smooth: float = 1.0, ignore_index: int = -100) -> NDArray:
    r"""Return one minus the mean over classes of the soft Dice coefficient.

    For a class with probabilities :math:`p_i` and indicators :math:`y_i`, over all pixels of the batch, it is
    :math:`(2 \sum_i p_i y_i + s) / (\sum_i p_i + \sum_i y_i + s)`.

    Parameters
    ----------
    p : array_like of float32 or float64, shape (N, C, ...)
        Probabilities of the C classes along axis 1, as from softmax.
    target : array_like of int, shape (N, ...)
        The true classes.
    smooth : float
        The number s, above 0: a class that is neither there nor called has the coefficient 1.
    ignore_index : int
        Pixels with this target count nowhere.

    Returns
    -------
    ndarray
        One number, from 0 to 1.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If the shapes do not fit, a label is not a class, or `smooth` is not positive.

    See Also
    --------
    cross_entropy : Counts every pixel the same.
    dlref.metrics.class_iou : Of decisions, from counts.

    References
    ----------
    Milletari, Navab & Ahmadi (2016), "V-Net", 3DV, with squares in the denominator.

    Examples
    --------
    One pixel in four is of class 1 and is missed: accuracy 0.75, overlap 0.

    >>> p = np.array([[[1.0, 1, 1, 1], [0, 0, 0, 0]]])
    >>> print(dice_loss(p, [[0, 0, 0, 1]], smooth=1e-9).round(4))
    0.5714
    """
    p, labels, sums, out = _prepared(p, target, smooth, ignore_index)
    _sum(p, labels, ignore_index, sums)
    out[()] = 1 - np.mean((2 * sums[0] + smooth) / (sums[1] + sums[2] + smooth))
    return out


@public
def dice_loss_backward(
    dy: ArrayLike, p: ArrayLike, /, target: ArrayLike, smooth: float = 1.0, ignore_index: int = -100
) -> NDArray:
    r"""Return the gradient of `dice_loss`: :math:`\bar p_i = -\frac{\bar y}{C} (2 y_i - D) / S` for each class.

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient with respect to the loss.
    p, target, smooth, ignore_index
        As for `dice_loss`.

    Returns
    -------
    ndarray
        Gradient with respect to `p`.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        As for `dice_loss`.

    See Also
    --------
    dice_loss : The function.

    References
    ----------
    Milletari, Navab & Ahmadi (2016), "V-Net", 3DV, with squares in the denominator.

    Examples
    --------
    Probability outside of the region is pushed down a little, inside it is pulled up more.

    >>> p = np.array([[[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]]])
    >>> dice_loss_backward(1.0, p, [[0, 0, 0, 1]], smooth=1e-9)[0, 1].round(4)
    array([ 0.0556,  0.0556,  0.0556, -0.2778])
    """
    original = real("p", p, -2)
    dy, original = reals("dy", dy, "p", original)
    shaped("dy", dy, ())
    p, labels, sums, _ = _prepared(original, target, smooth, ignore_index)
    _sum(p, labels, ignore_index, sums)
    whole = sums[1] + sums[2] + smooth
    share = (2 * sums[0] + smooth) / whole
    out = np.empty_like(p)
    _slopes(labels, ignore_index, -float(dy) / len(share) / whole, share, out)
    return out.reshape(original.shape)


def _prepared(p: Any, target: Any, smooth: float, ignore_index: int) -> tuple:
    p = real("p", p, -2)
    number("smooth", smooth, 0, open_low=True, open_high=True)
    labels = index("target", target, p.shape[1], p.shape[:1] + p.shape[2:], ignore=ignore_index)
    flat = p.reshape(len(p), p.shape[1], -1) if p.size else p.reshape(len(p), p.shape[1], 0)
    return flat, labels.reshape(len(p), flat.shape[2]), np.zeros((3, p.shape[1])), np.empty((), p.dtype)


@kernel(sums=True)
def _sum(p, labels, ignore_index, sums):
    for n in range(len(p)):
        label = labels[n]
        for c in range(p.shape[1]):
            row = p[n, c]
            both = all_p = all_y = 0.0
            for i in range(row.size):
                if label[i] != ignore_index:
                    inside = label[i] == c
                    both += row[i] * inside
                    all_p += row[i]
                    all_y += inside
            sums[0, c] += both
            sums[1, c] += all_p
            sums[2, c] += all_y


@kernel
def _slopes(labels, ignore_index, scale, share, out):
    for n in range(len(out)):
        label = labels[n]
        for c in range(out.shape[1]):
            row = out[n, c]
            for i in range(row.size):
                slope = scale[c] * (2 * (label[i] == c) - share[c])
                row[i] = slope if label[i] != ignore_index else 0.0
