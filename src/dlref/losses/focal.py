"""Focal loss: cross-entropy in which examples count less the better they are predicted."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import index, number, option, public, real, reals, shaped
from dlref._compile import kernel
from dlref._math import exp, expm1, log, log1p, maximum

__all__ = ["focal_loss", "focal_loss_backward"]


@public
def focal_loss(
    logits: ArrayLike,
    /,
    target: ArrayLike,
    gamma: float = 2.0,
    weight: ArrayLike | None = None,
    reduction: str = "mean",
) -> NDArray:
    r"""Return the focal loss of class labels, from logits: :math:`\ell = -w_y (1 - p_y)^\gamma \log p_y`.

    Parameters
    ----------
    logits : array_like of float32 or float64, shape (N, C)
        Scores of the classes. For one yes-or-no score s the two columns are 0 and s.
    target : array_like of int, shape (N,)
        The true classes.
    gamma : float
        How fast well predicted examples lose weight; 0 is cross-entropy.
    weight : array_like, shape (C,), optional
        A weight for each class.
    reduction : {"mean", "sum", "none"}
        "mean" divides the sum by the sum of the weights of the targets, as `cross_entropy` does.

    Returns
    -------
    ndarray
        One number, or shape (N,) for "none". The mean over nothing is NaN.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, a label is not a class, `gamma` is negative, or there is no such reduction.

    See Also
    --------
    cross_entropy : With gamma 0.

    References
    ----------
    Lin et al. (2017), "Focal Loss for Dense Object Detection", ICCV.

    Examples
    --------
    An example with probability 0.9 counts a hundredth of its cross-entropy, one with 0.1 most of it.

    >>> logits = np.log([[0.9, 0.1], [0.1, 0.9]])
    >>> (focal_loss(logits, [0, 0], reduction="none") / focal_loss(logits, [0, 0], 0, reduction="none")).round(4)
    array([0.01, 0.81])
    """
    logits, labels, gamma, weight = _prepared(logits, target, gamma, weight, reduction)
    out = np.empty(len(logits), logits.dtype)
    _focal(logits, labels, gamma, weight, out)
    if reduction == "none":
        return out
    with np.errstate(invalid="ignore"):  # the mean over nothing: 0 / 0
        return np.asarray(out.sum() / (weight[labels].sum() if reduction == "mean" else 1), logits.dtype)


@public
def focal_loss_backward(
    dy: ArrayLike,
    logits: ArrayLike,
    /,
    target: ArrayLike,
    gamma: float = 2.0,
    weight: ArrayLike | None = None,
    reduction: str = "mean",
) -> NDArray:
    r"""Return the gradient: :math:`\bar x = \bar y\, w_y q^\gamma (1 + \gamma p_y \frac{-\log p_y}{q}) (p - e_y)`.

    Here p is the softmax and q is :math:`1 - p_y`.

    Parameters
    ----------
    dy : array_like, shape of the loss
        Gradient with respect to the loss.
    logits, target, gamma, weight, reduction
        As for `focal_loss`.

    Returns
    -------
    ndarray
        Gradient with respect to `logits`; it sums to zero over the classes.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        As for `focal_loss`.

    See Also
    --------
    focal_loss : The function.

    References
    ----------
    Lin et al. (2017), "Focal Loss for Dense Object Detection", ICCV.

    Examples
    --------
    >>> focal_loss_backward(1.0, [[0.0, 0.0]], [1]).round(4)
    array([[ 0.2983, -0.2983]])
    """
    dy, logits = reals("dy", dy, "logits", real("logits", logits, 2))
    logits, labels, gamma, weight = _prepared(logits, target, gamma, weight, reduction)
    shaped("dy", dy, (len(logits),) if reduction == "none" else ())
    with np.errstate(invalid="ignore"):
        scale = dy / (weight[labels].sum() if reduction == "mean" else logits.dtype.type(1))
    out = np.empty_like(logits)
    _focal_backward(np.array(np.broadcast_to(scale, (len(logits),)), logits.dtype), logits, labels, gamma, weight, out)
    return out


def _prepared(logits, target, gamma, weight, reduction):
    logits = real("logits", logits, 2)
    labels = index("target", target, logits.shape[1], (len(logits),))
    weight = np.ones(logits.shape[1], logits.dtype) if weight is None else real("weight", weight)
    shaped("weight", weight, (logits.shape[1],))
    option("reduction", reduction, ("mean", "sum", "none"))
    gamma = logits.dtype.type(number("gamma", gamma, 0, open_high=True))
    return logits, labels, gamma, weight.astype(logits.dtype, copy=False)


@kernel
def _focal(x, labels, gamma, weight, out):
    for n in range(out.size):
        y = labels[n]
        log_p = _log_share(x[n], y)
        out[n] = -weight[y] * (-expm1(log_p)) ** gamma * log_p


@kernel
def _focal_backward(dy, x, labels, gamma, weight, out):
    zero, one, floor = x.dtype.type(0), x.dtype.type(1), x.dtype.type(1e-30)
    _exponentials(x, out)
    for n in range(dy.size):
        slope, y = out[n], labels[n]
        others = zero
        for k in range(slope.size):
            others += zero if k == y else slope[k]
        total = others + slope[y]
        # below the floor p log p counts for nothing
        q, surprise = others / total, log1p(others / maximum(slope[y], floor))
        # -log p / q tends to 1 where the example is certain
        ratio = surprise / q if q > zero else q + one
        factor = dy[n] * weight[y] * q**gamma * (one + gamma * (slope[y] / total) * ratio)
        share = factor / total
        for k in range(slope.size):
            slope[k] *= share
        slope[y] = -factor * q


@kernel
def _exponentials(x, out):
    # the exponentials of each row, divided by the largest; one loop over all of them, as rows are short
    for n in range(x.shape[0]):
        row, shifted = x[n], out[n]
        top = row[0]
        for k in range(row.size):
            top = maximum(top, row[k])
        for k in range(row.size):
            shifted[k] = row[k] - top
    flat = out.reshape(-1)
    for i in range(flat.size):
        flat[i] = exp(flat[i])


@kernel
def _log_share(row, y):
    """Return the logarithm of the softmax of entry y."""
    top = row[0]
    for k in range(row.size):
        top = maximum(top, row[k])
    rest = row.dtype.type(0)
    for k in range(row.size):
        if k != y:
            rest += exp(row[k] - top)
    if row[y] == top:
        return -log1p(rest)
    return row[y] - top - log(rest + exp(row[y] - top))
