"""Losses of a margin: how far a score is on the right side, and nothing to pay from a distance of one on."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import index, option, public, real, reals, same_shape, shaped
from dlref._compile import kernel, prange
from dlref._math import maximum

__all__ = [
    "crammer_singer_loss",
    "crammer_singer_loss_backward",
    "hinge_loss",
    "hinge_loss_backward",
    "squared_hinge_loss",
    "squared_hinge_loss_backward",
    "weston_watkins_loss",
    "weston_watkins_loss_backward",
]


@public
def hinge_loss(
    score: ArrayLike, /, target: ArrayLike, weight: ArrayLike | None = None, reduction: str = "mean"
) -> NDArray:
    r"""Return the hinge loss of scores and labels -1 or 1: :math:`\ell = \max(0, 1 - y f)`.

    Parameters
    ----------
    score : array_like of float32 or float64, any shape
        The scores f, whose sign is the prediction; integers become float64.
    target : array_like, shape of `score`
        The labels y, each -1 or 1.
    weight : array_like, optional
        Weight of each example; any shape that broadcasts to that of `score`.
    reduction : {"mean", "sum", "none"}
        "mean" divides the sum by the sum of the weights, which is their number without weights.

    Returns
    -------
    ndarray
        One number, or the shape of `score` for "none". Zero from the margin 1 on, not from 0. The mean over nothing is
        NaN.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit, a label is neither -1 nor 1, or there is no such reduction.

    See Also
    --------
    squared_hinge_loss : Its square, which has a derivative everywhere.
    crammer_singer_loss : For several classes.

    References
    ----------
    Cortes and Vapnik (1995), "Support-vector networks".
    Rosasco et al. (2004), "Are loss functions all the same?".

    Examples
    --------
    Right by far, right but inside the margin, wrong.

    >>> hinge_loss([2.0, 0.25, -1.0], [1, 1, 1], reduction="none")
    array([0.  , 0.75, 2.  ])
    """
    score, target, weight = _opened(score, target, weight, reduction)
    out = np.empty_like(score)
    _hinge(score.reshape(-1), target.reshape(-1), out.reshape(-1))
    return _reduced(out, weight, reduction)


@public
def hinge_loss_backward(
    dy: ArrayLike, score: ArrayLike, /, target: ArrayLike, weight: ArrayLike | None = None, reduction: str = "mean"
) -> NDArray:
    r"""Return a subgradient of `hinge_loss`: :math:`\bar f = -\bar\ell\, y\, [y f < 1]`, at the kink zero.

    Parameters
    ----------
    dy : array_like, shape of the loss
        Gradient of the objective with respect to the loss.
    score, target, weight, reduction
        As for `hinge_loss`.

    Returns
    -------
    ndarray
        With respect to `score`. At the margin 1 any factor from 0 to 1 would do; it is 0.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit, or as for `hinge_loss`.

    See Also
    --------
    hinge_loss : The function.

    References
    ----------
    Cortes and Vapnik (1995), "Support-vector networks".

    Examples
    --------
    All or nothing: however wrong, an example pulls with strength one.

    >>> hinge_loss_backward(1.0, [2.0, 1.0, 0.25, -9.0], [1, 1, 1, 1], reduction="sum")
    array([ 0.,  0., -1., -1.])
    """
    dy, score = reals("dy", dy, "score", score)
    score, target, weight = _opened(score, target, weight, reduction)
    scale = _scale(dy, weight, reduction, score.shape)
    out = np.empty_like(score)
    _hinge_backward(scale.reshape(-1), score.reshape(-1), target.reshape(-1), out.reshape(-1))
    return out


@kernel
def _hinge(f, y, out):
    zero, one = f.dtype.type(0), f.dtype.type(1)
    for i in prange(f.size):
        out[i] = maximum(one - y[i] * f[i], zero)


@kernel
def _hinge_backward(dy, f, y, out):
    zero, one = f.dtype.type(0), f.dtype.type(1)
    for i in prange(f.size):
        # at the kink, margin one, the choice is zero
        out[i] = zero if y[i] * f[i] >= one else -dy[i] * y[i]


@public
def squared_hinge_loss(
    score: ArrayLike, /, target: ArrayLike, weight: ArrayLike | None = None, reduction: str = "mean"
) -> NDArray:
    r"""Return the squared hinge loss of scores and labels -1 or 1: :math:`\ell = \max(0, 1 - y f)^2`.

    Parameters
    ----------
    score, target, weight, reduction
        As for `hinge_loss`.

    Returns
    -------
    ndarray
        One number, or the shape of `score` for "none".

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit, a label is neither -1 nor 1, or there is no such reduction.

    See Also
    --------
    hinge_loss : Without the square.

    References
    ----------
    Cortes and Vapnik (1995), "Support-vector networks".

    Examples
    --------
    Less than the hinge loss inside the margin, more on the wrong side.

    >>> squared_hinge_loss([2.0, 0.5, -1.0], [1, 1, 1], reduction="none")
    array([0.  , 0.25, 4.  ])
    """
    score, target, weight = _opened(score, target, weight, reduction)
    out = np.empty_like(score)
    _squared_hinge(score.reshape(-1), target.reshape(-1), out.reshape(-1))
    return _reduced(out, weight, reduction)


@public
def squared_hinge_loss_backward(
    dy: ArrayLike, score: ArrayLike, /, target: ArrayLike, weight: ArrayLike | None = None, reduction: str = "mean"
) -> NDArray:
    r"""Return the gradient of `squared_hinge_loss`: :math:`\bar f = -2\, \bar\ell\, y \max(0, 1 - y f)`.

    Parameters
    ----------
    dy : array_like, shape of the loss
        Gradient of the objective with respect to the loss.
    score, target, weight, reduction
        As for `hinge_loss`.

    Returns
    -------
    ndarray
        With respect to `score`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit, or as for `squared_hinge_loss`.

    See Also
    --------
    squared_hinge_loss : The function.

    References
    ----------
    Cortes and Vapnik (1995), "Support-vector networks".

    Examples
    --------
    The pull fades towards the margin and grows with the error.

    >>> squared_hinge_loss_backward(1.0, [2.0, 1.0, 0.25, -9.0], [1, 1, 1, 1], reduction="sum")
    array([  0. ,   0. ,  -1.5, -20. ])
    """
    dy, score = reals("dy", dy, "score", score)
    score, target, weight = _opened(score, target, weight, reduction)
    scale = _scale(dy, weight, reduction, score.shape)
    out = np.empty_like(score)
    _squared_hinge_backward(scale.reshape(-1), score.reshape(-1), target.reshape(-1), out.reshape(-1))
    return out


@kernel
def _squared_hinge(f, y, out):
    zero, one = f.dtype.type(0), f.dtype.type(1)
    for i in prange(f.size):
        short = maximum(one - y[i] * f[i], zero)
        out[i] = short * short


@kernel
def _squared_hinge_backward(dy, f, y, out):
    zero, one, two = f.dtype.type(0), f.dtype.type(1), f.dtype.type(2)
    for i in prange(f.size):
        short = maximum(one - y[i] * f[i], zero)
        out[i] = zero if short == zero else -two * dy[i] * y[i] * short


@public
def crammer_singer_loss(
    scores: ArrayLike, /, target: ArrayLike, weight: ArrayLike | None = None, reduction: str = "mean"
) -> NDArray:
    r"""Return the hinge loss against the strongest rival: :math:`\ell = \max(0, 1 + \max_{j \ne y} x_j - x_y)`.

    Parameters
    ----------
    scores : array_like of float32 or float64, shape (N, K) or (K,)
        Scores of the K classes along the last axis.
    target : array_like of int, shape (N,) or ()
        The true classes.
    weight : array_like, optional
        Weight of each example; any shape that broadcasts to that of `target`.
    reduction : {"mean", "sum", "none"}
        "mean" divides the sum by the sum of the weights, which is their number without weights.

    Returns
    -------
    ndarray
        One number, or the shape of `target` for "none". A single class has no rival and costs nothing.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, a label is not a class, or there is no such reduction.

    See Also
    --------
    weston_watkins_loss : Against every rival; never less.
    hinge_loss : For two classes and one score.

    References
    ----------
    Crammer and Singer (2001), "On the algorithmic implementation of multiclass kernel-based vector machines".

    Examples
    --------
    The second example is right, but one rival is nearer than 1.

    >>> crammer_singer_loss([[3.0, 1.0, 0.0], [3.0, 2.5, 2.25]], [0, 0], reduction="none")
    array([0. , 0.5])
    """
    scores, labels, weight = _classes_opened(scores, target, weight, reduction)
    losses = np.empty(scores.shape[:-1], scores.dtype)
    _crammer_singer(_rows(scores), labels.reshape(-1), losses.reshape(-1))
    return _reduced(losses, weight, reduction)


@public
def crammer_singer_loss_backward(
    dy: ArrayLike, scores: ArrayLike, /, target: ArrayLike, weight: ArrayLike | None = None, reduction: str = "mean"
) -> NDArray:
    r"""Return a subgradient of `crammer_singer_loss`: the strongest rival is pushed down, the truth pulled up.

    Parameters
    ----------
    dy : array_like, shape of the loss
        Gradient of the objective with respect to the loss.
    scores, target, weight, reduction
        As for `crammer_singer_loss`.

    Returns
    -------
    ndarray
        With respect to `scores`; every row sums to zero. Among equal rivals it is the first; at the kink it is zero.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, or as for `crammer_singer_loss`.

    See Also
    --------
    crammer_singer_loss : The function.

    References
    ----------
    Crammer and Singer (2001), "On the algorithmic implementation of multiclass kernel-based vector machines".

    Examples
    --------
    >>> crammer_singer_loss_backward(1.0, [3.0, 2.5, 2.25], 0)
    array([-1.,  1.,  0.])
    """
    dy, scores = reals("dy", dy, "scores", scores)
    scores, labels, weight = _classes_opened(scores, target, weight, reduction)
    scale = _scale(dy, weight, reduction, scores.shape[:-1])
    out = np.zeros_like(scores)
    _crammer_singer_backward(scale.reshape(-1), _rows(scores), labels.reshape(-1), _rows(out))
    return out


@kernel
def _crammer_singer(x, target, losses):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for r in prange(x.shape[0]):
        row, y = x[r], target[r]
        rival = x.dtype.type(-np.inf)
        for j in range(y):
            rival = maximum(rival, row[j])
        for j in range(y + 1, row.size):
            rival = maximum(rival, row[j])
        losses[r] = maximum(one + (rival - row[y]), zero)


@kernel
def _crammer_singer_backward(dy, x, target, out):
    one = x.dtype.type(1)
    for r in prange(x.shape[0]):
        row, y, dx = x[r], target[r], out[r]
        rival, found = x.dtype.type(-np.inf), -1
        for j in range(row.size):
            # the first of equal rivals
            if j != y and row[j] > rival:
                rival, found = row[j], j
        if found >= 0 and one + (rival - row[y]) > 0:
            dx[found] = dy[r]
            dx[y] = -dy[r]


@public
def weston_watkins_loss(
    scores: ArrayLike, /, target: ArrayLike, weight: ArrayLike | None = None, reduction: str = "mean"
) -> NDArray:
    r"""Return the sum of the hinge losses against every rival: :math:`\ell = \sum_{j \ne y} \max(0, 1 + x_j - x_y)`.

    Parameters
    ----------
    scores, target, weight, reduction
        As for `crammer_singer_loss`.

    Returns
    -------
    ndarray
        One number, or the shape of `target` for "none". PyTorch's ``multi_margin_loss`` is this divided by K.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, a label is not a class, or there is no such reduction.

    See Also
    --------
    crammer_singer_loss : Against the strongest rival alone.

    References
    ----------
    Weston and Watkins (1999), "Support vector machines for multi-class pattern recognition".

    Examples
    --------
    Both rivals are nearer than 1, by 0.5 and by 0.25.

    >>> weston_watkins_loss([3.0, 2.5, 2.25], 0)
    np.float64(0.75)
    """
    scores, labels, weight = _classes_opened(scores, target, weight, reduction)
    losses = np.empty(scores.shape[:-1], scores.dtype)
    _weston_watkins(_rows(scores), labels.reshape(-1), losses.reshape(-1))
    return _reduced(losses, weight, reduction)


@public
def weston_watkins_loss_backward(
    dy: ArrayLike, scores: ArrayLike, /, target: ArrayLike, weight: ArrayLike | None = None, reduction: str = "mean"
) -> NDArray:
    r"""Return a subgradient of `weston_watkins_loss`: every rival inside the margin is pushed down by one.

    Parameters
    ----------
    dy : array_like, shape of the loss
        Gradient of the objective with respect to the loss.
    scores, target, weight, reduction
        As for `crammer_singer_loss`.

    Returns
    -------
    ndarray
        With respect to `scores`; every row sums to zero. At a kink it is zero.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, or as for `weston_watkins_loss`.

    See Also
    --------
    weston_watkins_loss : The function.

    References
    ----------
    Weston and Watkins (1999), "Support vector machines for multi-class pattern recognition".

    Examples
    --------
    >>> weston_watkins_loss_backward(1.0, [3.0, 2.5, 2.25], 0)
    array([-2.,  1.,  1.])
    """
    dy, scores = reals("dy", dy, "scores", scores)
    scores, labels, weight = _classes_opened(scores, target, weight, reduction)
    scale = _scale(dy, weight, reduction, scores.shape[:-1])
    out = np.empty_like(scores)
    _weston_watkins_backward(scale.reshape(-1), _rows(scores), labels.reshape(-1), _rows(out))
    return out


@kernel(sums=True)
def _weston_watkins(x, target, losses):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for r in prange(x.shape[0]):
        row, y = x[r], target[r]
        own, loss = row[y], zero
        for j in range(y):
            loss += maximum(one + (row[j] - own), zero)
        for j in range(y + 1, row.size):
            loss += maximum(one + (row[j] - own), zero)
        losses[r] = loss


@kernel(sums=True)
def _weston_watkins_backward(dy, x, target, out):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for r in prange(x.shape[0]):
        row, y, dx = x[r], target[r], out[r]
        own, near = row[y], zero
        for j in range(row.size):
            inside = one if j != y and one + (row[j] - own) > zero else zero
            near += inside
            dx[j] = inside * dy[r]
        dx[y] = -near * dy[r]


def _opened(score, target, weight, reduction):
    """Return scores, labels and weights (no weight stays None) of one dtype."""
    score = real("score", score)
    target = real("target", target).astype(score.dtype, copy=False)
    same_shape("target", target, "score", score)
    wrong = np.abs(target) != 1
    if wrong.any():
        raise ValueError(f"target: expected labels -1 and 1, got {target[wrong].flat[0]:g}")
    option("reduction", reduction, ("mean", "sum", "none"))
    return score, target, _spread(weight, score.shape, score.dtype)


def _classes_opened(scores, target, weight, reduction):
    scores = real("scores", scores, ndim=-1)
    if scores.ndim > 2:
        raise ValueError(f"scores: expected shape (N, K) or (K,), got {scores.shape}")
    if scores.shape[-1] == 0:
        raise ValueError("scores: expected at least one class, got none")
    labels = index("target", target, scores.shape[-1], scores.shape[:-1])
    option("reduction", reduction, ("mean", "sum", "none"))
    return scores, labels, _spread(weight, labels.shape, scores.dtype)


def _rows(x):
    return x.reshape(-1, x.shape[-1])


def _spread(weight, shape, dtype):
    if weight is None:
        return None
    weight = real("weight", weight).astype(dtype, copy=False)
    try:
        return np.broadcast_to(weight, shape)
    except ValueError:
        raise ValueError(f"weight: expected a shape that broadcasts to {shape}, got {weight.shape}") from None


def _reduced(losses, weight, reduction):
    if weight is not None:
        losses *= weight
    if reduction == "none":
        return losses
    return _divided(losses.sum(), losses, weight, reduction)


def _scale(dy, weight, reduction, shape):
    """Return the cotangent of each single loss."""
    shaped("dy", dy, shape if reduction == "none" else ())
    scale = np.full(shape, dy if reduction == "none" else _divided(dy, np.empty(shape, dy.dtype), weight, reduction))
    return scale if weight is None else scale * weight


def _divided(total, losses, weight, reduction):
    if reduction == "sum":
        return total
    count = losses.dtype.type(losses.size) if weight is None else weight.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / count
