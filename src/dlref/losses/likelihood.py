"""Cross-entropy: the negative logarithm of the probability that a model gave to the truth, from its logits."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import index, number, option, public, real, reals, same_shape, shaped
from dlref._compile import kernel, prange
from dlref._math import exp, expm1, log, log1p, maximum

__all__ = [
    "CrossEntropyWithGradient",
    "binary_cross_entropy",
    "binary_cross_entropy_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "cross_entropy_probabilities",
    "cross_entropy_probabilities_backward",
    "cross_entropy_with_gradient",
]


class CrossEntropyWithGradient(NamedTuple):
    """A loss and its gradient with respect to the logits."""

    loss: NDArray
    gradient: NDArray


@public
def cross_entropy(
    logits: ArrayLike,
    /,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> NDArray:
    r"""Return the cross-entropy of class labels, from logits: :math:`\ell_n = w_y (\log \sum_j e^{x_j} - x_y)`.

    Parameters
    ----------
    logits : array_like of float32 or float64, shape (N, C), (N, C, ...) or (C,)
        Scores of the C classes along axis 1, or along the only axis.
    target : array_like of int, shape (N,), (N, ...) or ()
        The true classes.
    weight : array_like, shape (C,), optional
        A weight for each class.
    label_smoothing : float
        The share :math:`\varepsilon` of the target that is spread evenly over all classes.
    ignore_index : int
        Examples with this target count neither in the sum nor in the mean.
    reduction : {"mean", "sum", "none"}
        "mean" divides the sum by the sum of the weights of the targets, which is their number without weights.

    Returns
    -------
    ndarray
        In nats; one number, or the shape of `target` for "none". The mean over nothing is NaN.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, a label is not a class, or a constant is outside its range.

    See Also
    --------
    cross_entropy_probabilities : For targets that are distributions.
    cross_entropy_with_gradient : The loss and its gradient in one pass.
    binary_cross_entropy : For independent yes-or-no targets.

    References
    ----------
    Bridle (1990), "Probabilistic interpretation of feedforward classification network outputs".
    Szegedy et al. (2016), "Rethinking the Inception architecture for computer vision", section 7.

    Examples
    --------
    A confident prediction that is right, an undecided one, a confident one that is wrong.

    >>> cross_entropy([[20.0, 0.0], [0.0, 0.0], [0.0, 20.0]], [0, 0, 0], reduction="none")
    array([2.06115362e-09, 6.93147181e-01, 2.00000000e+01])
    """
    rows, factors, shape = _prepared(real("logits", logits, ndim=-1), weight, label_smoothing)
    labels = index("target", target, rows.shape[1], shape, ignore=ignore_index).reshape(-1)
    option("reduction", reduction, ("mean", "sum", "none"))
    losses = np.empty(len(rows), rows.dtype)
    _cross_entropy(rows, labels, *factors, ignore_index, losses)
    return _reduced(losses, reduction, _total_weight(weight, labels, ignore_index), shape)


@public
def cross_entropy_backward(
    dy: ArrayLike,
    logits: ArrayLike,
    /,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> NDArray:
    r"""Return the gradient of `cross_entropy`: :math:`\bar x = \bar y\, w_y (p - e_y)`, with p the softmax.

    Parameters
    ----------
    dy : array_like, shape of the loss
        Gradient of the objective with respect to the loss.
    logits, target, weight, label_smoothing, ignore_index, reduction
        As for `cross_entropy`.

    Returns
    -------
    ndarray
        Gradient with respect to `logits`; it sums to zero over the classes.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, or as for `cross_entropy`.

    See Also
    --------
    cross_entropy : The function.

    References
    ----------
    Bridle (1990), "Probabilistic interpretation of feedforward classification network outputs".

    Examples
    --------
    The prediction minus the truth.

    >>> cross_entropy_backward(1.0, [[0.0, 0.0]], [1])
    array([[ 0.5, -0.5]])
    """
    dy, logits = reals("dy", dy, "logits", real("logits", logits, ndim=-1))
    rows, factors, shape = _prepared(logits, weight, label_smoothing)
    labels = index("target", target, rows.shape[1], shape, ignore=ignore_index).reshape(-1)
    option("reduction", reduction, ("mean", "sum", "none"))
    scale = _scale(dy, reduction, _total_weight(weight, labels, ignore_index), shape)
    losses, out = np.empty(len(rows), rows.dtype), np.empty_like(rows)
    _cross_entropy_gradient(rows, labels, *factors, ignore_index, scale, losses, out)
    return _classes_back(out, logits)


@public
def cross_entropy_with_gradient(
    logits: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> CrossEntropyWithGradient:
    r"""Return `cross_entropy` and its gradient with respect to the logits, which share the exponentials.

    Parameters
    ----------
    logits, target, weight, label_smoothing, ignore_index, reduction
        As for `cross_entropy`.

    Returns
    -------
    CrossEntropyWithGradient
        ``loss`` as from `cross_entropy`, and ``gradient``, of the shape of `logits`: that of the loss, or of the sum of
        the losses for the reduction "none".

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, or as for `cross_entropy`.

    See Also
    --------
    cross_entropy : The loss alone.
    cross_entropy_backward : The gradient alone, for any cotangent.

    References
    ----------
    Bridle (1990), "Probabilistic interpretation of feedforward classification network outputs".

    Examples
    --------
    >>> loss, gradient = cross_entropy_with_gradient([[0.0, 0.0]], [1])
    >>> print(loss.round(4), gradient)
    0.6931 [[ 0.5 -0.5]]
    """
    logits = real("logits", logits, ndim=-1)
    rows, factors, shape = _prepared(logits, weight, label_smoothing)
    labels = index("target", target, rows.shape[1], shape, ignore=ignore_index).reshape(-1)
    option("reduction", reduction, ("mean", "sum", "none"))
    count = _total_weight(weight, labels, ignore_index)
    scale = _scale(np.ones(shape if reduction == "none" else (), rows.dtype), reduction, count, shape)
    losses, out = np.empty(len(rows), rows.dtype), np.empty_like(rows)
    _cross_entropy_gradient(rows, labels, *factors, ignore_index, scale, losses, out)
    return CrossEntropyWithGradient(_reduced(losses, reduction, count, shape), _classes_back(out, logits))


@kernel(sums=True)
def _cross_entropy(x, target, weight, keep, spread, ignored, losses):
    zero = x.dtype.type(0)
    for r in prange(x.shape[0]):
        row, y, loss, others = x[r], target[r], zero, zero
        if y != ignored:
            largest = row[0]
            for j in range(row.size):
                largest = maximum(largest, row[j])
            for j in range(row.size):
                term = exp(row[j] - largest)
                others += zero if j == y else term
            gap = largest - row[y]
            # log(others + e^-gap), with the digits of a loss near zero
            log_total = log1p(others + expm1(-gap))
            loss = keep * weight[y] * (log_total + gap)
            for j in range(row.size if spread > zero else 0):
                loss += spread * weight[j] * (largest - row[j])
                loss += spread * weight[j] * log_total
        losses[r] = loss


@kernel(sums=True)
def _cross_entropy_gradient(x, target, weight, keep, spread, ignored, dy, losses, out):
    zero = x.dtype.type(0)
    for r in prange(x.shape[0]):
        row, y, dx = x[r], target[r], out[r]
        loss, others, weights = zero, zero, zero
        if y == ignored:
            dx[:] = zero
        else:
            largest = row[0]
            for j in range(row.size):
                largest = maximum(largest, row[j])
            for j in range(row.size):
                dx[j] = exp(row[j] - largest)
                others += zero if j == y else dx[j]
            gap, total = largest - row[y], others + dx[y]
            log_total = log1p(others + expm1(-gap))
            loss = keep * weight[y] * (log_total + gap)
            for j in range(row.size if spread > zero else 0):
                weights += spread * weight[j]
                loss += spread * weight[j] * (largest - row[j])
            loss += weights * log_total
            pull = dy[r] * keep * weight[y] / total
            smooth = dy[r] * weights / total
            # p_y - 1 is minus the share of the others: nothing cancels
            own = smooth * dx[y] - pull * others
            for j in range(row.size):
                dx[j] *= pull + smooth
            dx[y] = own
            for j in range(row.size if spread > zero else 0):
                dx[j] -= dy[r] * spread * weight[j]
        losses[r] = loss


@public
def cross_entropy_probabilities(
    logits: ArrayLike,
    /,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> NDArray:
    r"""Return the cross-entropy of target distributions, from logits: :math:`\ell_n = -\sum_c w_c q_c \log p_c`.

    Parameters
    ----------
    logits : array_like of float32 or float64, shape (N, C), (N, C, ...) or (C,)
        Scores of the C classes along axis 1, or along the only axis.
    target : array_like, shape of `logits`
        The true distribution q. It is used as it stands, also where it does not sum to one.
    weight : array_like, shape (C,), optional
        A weight for each class.
    label_smoothing : float
        The share of the target that is spread evenly over all classes.
    reduction : {"mean", "sum", "none"}
        "mean" divides the sum by the number of distributions, whatever the weights.

    Returns
    -------
    ndarray
        In nats; one number, or the shape of `logits` without its class axis for "none". A class with
        :math:`q_c = 0` adds nothing, even where :math:`\log p_c` is minus infinity.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, or a constant is outside its range.

    See Also
    --------
    cross_entropy : For class labels.

    References
    ----------
    Shannon (1948), "A mathematical theory of communication".

    Examples
    --------
    The best prediction of a soft target is the target itself, and still costs its entropy.

    >>> q = [[0.5, 0.25, 0.25]]
    >>> cross_entropy_probabilities(np.log(q), q).round(4)
    np.float64(1.0397)
    """
    logits = real("logits", logits, ndim=-1)
    rows, factors, shape = _prepared(logits, weight, label_smoothing)
    q = _distributions(target, logits)
    option("reduction", reduction, ("mean", "sum", "none"))
    losses = np.empty(len(rows), rows.dtype)
    _cross_entropy_probabilities(rows, q, *factors, losses)
    return _reduced(losses, reduction, len(rows), shape)


@public
def cross_entropy_probabilities_backward(
    dy: ArrayLike,
    logits: ArrayLike,
    /,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> NDArray:
    r"""Return the gradient of `cross_entropy_probabilities`: :math:`\bar x = \bar y\, (p \sum_c w_c q_c - w \odot q)`.

    Parameters
    ----------
    dy : array_like, shape of the loss
        Gradient of the objective with respect to the loss.
    logits, target, weight, label_smoothing, reduction
        As for `cross_entropy_probabilities`.

    Returns
    -------
    ndarray
        Gradient with respect to `logits`; it sums to zero over the classes.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, or as for `cross_entropy_probabilities`.

    See Also
    --------
    cross_entropy_probabilities : The function.

    References
    ----------
    Bridle (1990), "Probabilistic interpretation of feedforward classification network outputs".

    Examples
    --------
    Nothing to learn where the prediction is the target.

    >>> cross_entropy_probabilities_backward(1.0, [[0.0, 0.0]], [[0.5, 0.5]])
    array([[0., 0.]])
    """
    dy, logits = reals("dy", dy, "logits", real("logits", logits, ndim=-1))
    rows, factors, shape = _prepared(logits, weight, label_smoothing)
    q = _distributions(target, logits)
    option("reduction", reduction, ("mean", "sum", "none"))
    scale = _scale(dy, reduction, len(rows), shape)
    out = np.empty_like(rows)
    _cross_entropy_probabilities_backward(scale, rows, q, *factors, out)
    return _classes_back(out, logits)


@kernel(sums=True)
def _cross_entropy_probabilities(x, q, weight, keep, spread, losses):
    zero = x.dtype.type(0)
    for r in prange(x.shape[0]):
        row, truth = x[r], q[r]
        largest = row[0]
        for j in range(row.size):
            largest = maximum(largest, row[j])
        total, mass, gaps = zero, zero, zero
        for j in range(row.size):
            total += exp(row[j] - largest)
            share = weight[j] * (keep * truth[j] + spread)
            mass += share
            gaps += zero if share == zero else share * (largest - row[j])  # 0 log 0 = 0
        losses[r] = gaps + mass * log(total)


@kernel(sums=True)
def _cross_entropy_probabilities_backward(dy, x, q, weight, keep, spread, out):
    zero = x.dtype.type(0)
    for r in prange(x.shape[0]):
        row, truth, dx = x[r], q[r], out[r]
        largest = row[0]
        for j in range(row.size):
            largest = maximum(largest, row[j])
        total, mass = zero, zero
        for j in range(row.size):
            dx[j] = exp(row[j] - largest)
            total += dx[j]
            mass += weight[j] * (keep * truth[j] + spread)
        for j in range(row.size):
            dx[j] = dy[r] * (mass * (dx[j] / total) - weight[j] * (keep * truth[j] + spread))


@public
def binary_cross_entropy(
    logits: ArrayLike,
    /,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    pos_weight: ArrayLike | None = None,
    reduction: str = "mean",
) -> NDArray:
    r"""Return the cross-entropy of yes-or-no targets: :math:`\ell = t\, \zeta(-x) + (1 - t)\, \zeta(x)`, from logits.

    Here :math:`\zeta(x) = \log(1 + e^x)`, so that :math:`\zeta(-x) = -\log \sigma(x)`.

    Parameters
    ----------
    logits : array_like of float32 or float64, any shape
        Log-odds of yes; integers become float64.
    target : array_like, shape of `logits`
        The truth t, 1 for yes, 0 for no, or a probability between.
    weight : array_like, optional
        Weight of each entry; any shape that broadcasts to that of `logits`.
    pos_weight : array_like, optional
        Weight of the part :math:`t\, \zeta(-x)` alone; any shape that broadcasts to that of `logits`.
    reduction : {"mean", "sum", "none"}
        "mean" divides the sum by the number of entries, whatever the weights.

    Returns
    -------
    ndarray
        In nats; one number, or the shape of `logits` for "none". An infinite logit that is right costs nothing.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit, or there is no such reduction.

    See Also
    --------
    cross_entropy : For one class of several; with two classes, the same loss of the difference of the scores.

    References
    ----------
    Bridle (1990), "Probabilistic interpretation of feedforward classification network outputs".

    Examples
    --------
    >>> binary_cross_entropy([20.0, 0.0, -20.0], [1, 1, 1], reduction="none")
    array([2.06115362e-09, 6.93147181e-01, 2.00000000e+01])
    """
    logits = real("logits", logits)
    yes, no = _sides(logits, target, weight, pos_weight)
    option("reduction", reduction, ("mean", "sum", "none"))
    losses = np.empty_like(logits)
    _binary_cross_entropy(logits.reshape(-1), yes.reshape(-1), no.reshape(-1), losses.reshape(-1))
    return _reduced(losses, reduction, losses.size, losses.shape)


@public
def binary_cross_entropy_backward(
    dy: ArrayLike,
    logits: ArrayLike,
    /,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    pos_weight: ArrayLike | None = None,
    reduction: str = "mean",
) -> NDArray:
    r"""Return the gradient of `binary_cross_entropy`: :math:`\bar x = \bar y\, (\sigma(x) - t)` without weights.

    Parameters
    ----------
    dy : array_like, shape of the loss
        Gradient of the objective with respect to the loss.
    logits, target, weight, pos_weight, reduction
        As for `binary_cross_entropy`.

    Returns
    -------
    ndarray
        Gradient with respect to `logits`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit, or there is no such reduction.

    See Also
    --------
    binary_cross_entropy : The function.

    References
    ----------
    Bridle (1990), "Probabilistic interpretation of feedforward classification network outputs".

    Examples
    --------
    However wrong, an entry pulls with strength one at most; the sigmoid's own slope has canceled.

    >>> binary_cross_entropy_backward(1.0, [0.0, -50.0], [1, 1], reduction="sum")
    array([-0.5, -1. ])
    """
    dy, logits = reals("dy", dy, "logits", real("logits", logits))
    yes, no = _sides(logits, target, weight, pos_weight)
    option("reduction", reduction, ("mean", "sum", "none"))
    scale = _scale(dy, reduction, logits.size, logits.shape)
    out = np.empty_like(logits)
    _binary_cross_entropy_backward(scale, logits.reshape(-1), yes.reshape(-1), no.reshape(-1), out.reshape(-1))
    return out


@kernel
def _binary_cross_entropy(x, yes, no, out):
    zero = x.dtype.type(0)
    for i in prange(x.size):
        both = log1p(exp(-abs(x[i])))
        # a side of weight zero costs nothing, even at an infinite logit
        yes_cost, no_cost = maximum(-x[i], zero) + both, maximum(x[i], zero) + both
        cost_if_yes = zero if yes[i] == zero else yes[i] * yes_cost
        cost_if_no = zero if no[i] == zero else no[i] * no_cost
        out[i] = cost_if_yes + cost_if_no


@kernel
def _binary_cross_entropy_backward(dy, x, yes, no, out):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in prange(x.size):
        small = exp(-abs(x[i]))
        # the sigmoids of |x| and of -|x|
        large = one / (one + small)
        small *= large
        p, rest = (small, large) if x[i] < zero else (large, small)
        out[i] = dy[i] * (no[i] * p - yes[i] * rest)


def _prepared(logits, weight, label_smoothing):
    """Return the logits in rows of classes, what the kernels multiply by, and the shape without the class axis."""
    if logits.ndim > 2:
        logits = np.ascontiguousarray(np.moveaxis(logits, 1, -1))
    *shape, classes = logits.shape
    if classes == 0:
        raise ValueError("logits: expected at least one class, got none")
    smoothing = number("label_smoothing", label_smoothing, 0, 1)
    weight = np.ones(classes, logits.dtype) if weight is None else real("weight", weight)
    shaped("weight", weight, (classes,))
    factors = weight.astype(logits.dtype, copy=False), *map(logits.dtype.type, (1.0 - smoothing, smoothing / classes))
    return logits.reshape(-1, classes), factors, tuple(shape)


def _total_weight(weight, labels, ignored):
    """Return the sum of the weights of the targets, which is their number without weights."""
    counted = labels != ignored
    return np.count_nonzero(counted) if weight is None else real("weight", weight)[labels[counted]].sum()


def _distributions(target, logits):
    target = real("target", target).astype(logits.dtype, copy=False)
    same_shape("target", target, "logits", logits)
    if target.ndim > 2:
        target = np.ascontiguousarray(np.moveaxis(target, 1, -1))
    return target.reshape(-1, target.shape[-1])


def _classes_back(rows, logits):
    """Return rows of classes in the shape of the logits."""
    if logits.ndim > 2:
        rows = np.moveaxis(rows.reshape(len(logits), *logits.shape[2:], logits.shape[1]), -1, 1)
    return np.ascontiguousarray(rows).reshape(logits.shape)


def _sides(logits, target, weight, pos_weight):
    """Return what multiplies the cost of a no where it is yes, and of a yes where it is no."""
    target = real("target", target).astype(logits.dtype, copy=False)
    same_shape("target", target, "logits", logits)
    yes, no = target, 1 - target
    for name, value in (("pos_weight", pos_weight), ("weight", weight)):
        if value is not None:
            value = real(name, value).astype(logits.dtype, copy=False)
            try:
                value = np.broadcast_to(value, logits.shape)
            except ValueError:
                raise ValueError(
                    f"{name}: expected a shape that broadcasts to {logits.shape}, got {value.shape}"
                ) from None
            yes = yes * value
            no = no * value if name == "weight" else no
    return yes, no


def _reduced(losses, reduction, count, shape):
    if reduction == "none":
        return losses.reshape(shape)
    with np.errstate(invalid="ignore"):
        return losses.sum() / losses.dtype.type(count if reduction == "mean" else 1)


def _scale(dy, reduction, count, shape):
    """Return the cotangent of each single loss."""
    shaped("dy", dy, shape if reduction == "none" else ())
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.full(shape, dy / dy.dtype.type(count if reduction == "mean" else 1), dy.dtype).reshape(-1)
