"""Losses of pairs: what belongs together is pulled together, what does not is pushed apart."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import mask, number, option, public, real, reals, same_shape, shaped
from dlref._compile import kernel, prange
from dlref._math import maximum
from dlref.losses.likelihood import cross_entropy, cross_entropy_backward

__all__ = [
    "PairGradients",
    "TripletGradients",
    "contrastive_loss",
    "contrastive_loss_backward",
    "info_nce",
    "info_nce_backward",
    "nt_xent",
    "nt_xent_backward",
    "triplet_loss",
    "triplet_loss_backward",
]


class PairGradients(NamedTuple):
    """Gradients with respect to both sides of the pairs."""

    x: NDArray
    z: NDArray


class TripletGradients(NamedTuple):
    """Gradients with respect to the three arrays of a triplet loss."""

    anchor: NDArray
    positive: NDArray
    negative: NDArray


@public
def contrastive_loss(
    x: ArrayLike, z: ArrayLike, /, similar: ArrayLike, margin: float = 1.0, reduction: str = "mean"
) -> NDArray:
    r"""Return the margin loss of pairs: :math:`\frac12 d^2` if similar, :math:`\frac12 \max(0, m - d)^2` if not.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (..., D)
        Embeddings along the last axis.
    z : array_like, shape of `x`
        What each is paired with; :math:`d = \lVert x - z \rVert`.
    similar : array_like of bool, shape (...)
        True for pairs that belong together. Integers are refused: the paper's 0 means similar, most code's 1 does.
    margin : float
        The distance m from which on a dissimilar pair costs nothing; positive.
    reduction : {"mean", "sum", "none"}
        "mean" divides the sum by the number of pairs.

    Returns
    -------
    ndarray
        One number, or the shape of `similar` for "none". The mean over nothing is NaN.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, the margin is not positive, or there is no such reduction.

    See Also
    --------
    triplet_loss : Compares two distances instead of judging each.
    info_nce : Compares one pair with many.

    References
    ----------
    Hadsell, Chopra and LeCun (2006), "Dimensionality reduction by learning an invariant mapping".

    Examples
    --------
    A distance of 0.5, once between like, once between unlike; then unlike, and far enough apart.

    >>> contrastive_loss([[0.0], [0.0], [0.0]], [[0.5], [0.5], [2.0]], [True, False, False], reduction="none")
    array([0.125, 0.125, 0.   ])
    """
    x, z, similar, margin = _pairs(x, z, similar, margin, reduction)
    losses = np.empty(similar.shape, x.dtype)
    _contrastive(_rows(x), _rows(z), similar.reshape(-1), margin, losses.reshape(-1))
    return _reduced(losses, reduction)


@public
def contrastive_loss_backward(
    dy: ArrayLike, x: ArrayLike, z: ArrayLike, /, similar: ArrayLike, margin: float = 1.0, reduction: str = "mean"
) -> PairGradients:
    r"""Return the gradients of `contrastive_loss`: :math:`x - z` if similar, :math:`-(m - d)_+ (x - z) / d` if not.

    Parameters
    ----------
    dy : array_like, shape of the loss
        Gradient of the objective with respect to the loss.
    x, z, similar, margin, reduction
        As for `contrastive_loss`.

    Returns
    -------
    PairGradients
        With respect to `x` and `z`, opposite to each other. A dissimilar pair at distance 0 has no direction in which
        to part, and gets zero.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, or as for `contrastive_loss`.

    See Also
    --------
    contrastive_loss : The function.

    References
    ----------
    Hadsell, Chopra and LeCun (2006), "Dimensionality reduction by learning an invariant mapping".

    Examples
    --------
    >>> contrastive_loss_backward(1.0, [[0.0], [0.0]], [[0.25], [0.25]], [True, False], reduction="sum").x
    array([[-0.25],
           [ 0.75]])
    """
    dy, x, z = reals("dy", dy, "x", x, "z", z)
    x, z, similar, margin = _pairs(x, z, similar, margin, reduction)
    scale = _scale(dy, reduction, similar.shape)
    dx, dz = np.empty_like(x), np.empty_like(z)
    _contrastive_backward(scale, _rows(x), _rows(z), similar.reshape(-1), margin, _rows(dx), _rows(dz))
    return PairGradients(dx, dz)


@kernel(sums=True)
def _contrastive(x, z, similar, margin, losses):
    zero, half = x.dtype.type(0), x.dtype.type(0.5)
    for r in prange(x.shape[0]):
        a, b, square = x[r], z[r], zero
        for j in range(a.size):
            square += (a[j] - b[j]) * (a[j] - b[j])
        if not similar[r]:
            short = maximum(margin - math.sqrt(square), zero)
            square = short * short
        losses[r] = half * square


@kernel(sums=True)
def _contrastive_backward(dy, x, z, similar, margin, dx, dz):
    zero = x.dtype.type(0)
    for r in prange(x.shape[0]):
        a, b, to_a, to_b, square, pull = x[r], z[r], dx[r], dz[r], zero, dy[r]
        if not similar[r]:
            for j in range(a.size):
                square += (a[j] - b[j]) * (a[j] - b[j])
            d = math.sqrt(square)
            # at distance zero no direction leads apart: the choice is zero
            pull = zero if d == zero or d >= margin else -dy[r] * (margin - d) / d
        for j in range(a.size):
            to_a[j] = pull * (a[j] - b[j])
            to_b[j] = -to_a[j]


@public
def triplet_loss(
    anchor: ArrayLike,
    positive: ArrayLike,
    negative: ArrayLike,
    /,
    margin: float = 1.0,
    squared: bool = False,
    reduction: str = "mean",
) -> NDArray:
    r"""Return the triplet loss: :math:`\max(0, d(a, p) - d(a, n) + m)`, with d the distance or its square.

    Parameters
    ----------
    anchor : array_like of float32 or float64, shape (..., D)
        Embeddings along the last axis.
    positive : array_like, shape of `anchor`
        What belongs to each anchor.
    negative : array_like, shape of `anchor`
        What does not.
    margin : float
        By how much m the second distance must exceed the first; positive.
    squared : bool
        Whether distances are squared, as in FaceNet.
    reduction : {"mean", "sum", "none"}
        "mean" divides the sum by the number of triplets.

    Returns
    -------
    ndarray
        One number, or the shape of `anchor` without its last axis for "none".

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, the margin is not positive, or there is no such reduction.

    See Also
    --------
    contrastive_loss : Judges each distance by itself.

    References
    ----------
    Schroff, Kalenichenko and Philbin (2015), "FaceNet: a unified embedding for face recognition and clustering".

    Examples
    --------
    Distances 0.5 and 1, or 0.25 and 1 with the square.

    >>> triplet_loss([0.0], [0.5], [1.0]), triplet_loss([0.0], [0.5], [1.0], squared=True)
    (np.float64(0.5), np.float64(0.25))
    """
    arrays, margin = _triplets(anchor, positive, negative, margin, reduction)
    losses = np.empty(arrays[0].shape[:-1], arrays[0].dtype)
    _triplet(*map(_rows, arrays), margin, bool(squared), losses.reshape(-1))
    return _reduced(losses, reduction)


@public
def triplet_loss_backward(
    dy: ArrayLike,
    anchor: ArrayLike,
    positive: ArrayLike,
    negative: ArrayLike,
    /,
    margin: float = 1.0,
    squared: bool = False,
    reduction: str = "mean",
) -> TripletGradients:
    r"""Return the gradients of `triplet_loss`: the unit vectors from p and n to a, or twice the differences.

    Parameters
    ----------
    dy : array_like, shape of the loss
        Gradient of the objective with respect to the loss.
    anchor, positive, negative, margin, squared, reduction
        As for `triplet_loss`.

    Returns
    -------
    TripletGradients
        They sum to zero. At the kink, and along a distance that is zero, the gradient is zero.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, or as for `triplet_loss`.

    See Also
    --------
    triplet_loss : The function.

    References
    ----------
    Schroff, Kalenichenko and Philbin (2015), "FaceNet: a unified embedding for face recognition and clustering".

    Examples
    --------
    The positive is drawn down to the anchor, the negative pushed up; the anchor is between two equal forces.

    >>> triplet_loss_backward(1.0, [0.0], [0.5], [1.0])
    TripletGradients(anchor=array([0.]), positive=array([1.]), negative=array([-1.]))
    """
    dy, anchor, positive, negative = reals("dy", dy, "anchor", anchor, "positive", positive, "negative", negative)
    arrays, margin = _triplets(anchor, positive, negative, margin, reduction)
    scale = _scale(dy, reduction, arrays[0].shape[:-1])
    outs = [np.empty_like(a) for a in arrays]
    _triplet_backward(scale, *map(_rows, arrays), margin, bool(squared), *map(_rows, outs))
    return TripletGradients(*outs)


@kernel(sums=True)
def _triplet(anchor, positive, negative, margin, squared, losses):
    zero = anchor.dtype.type(0)
    for r in prange(anchor.shape[0]):
        a, p, n, near, far = anchor[r], positive[r], negative[r], zero, zero
        for j in range(a.size):
            near += (a[j] - p[j]) * (a[j] - p[j])
            far += (a[j] - n[j]) * (a[j] - n[j])
        if not squared:
            near, far = math.sqrt(near), math.sqrt(far)
        losses[r] = maximum(near - far + margin, zero)


@kernel(sums=True)
def _triplet_backward(dy, anchor, positive, negative, margin, squared, da, dp, dn):
    zero, one = anchor.dtype.type(0), anchor.dtype.type(1)
    for r in prange(anchor.shape[0]):
        a, p, n, near, far = anchor[r], positive[r], negative[r], zero, zero
        to_a, to_p, to_n = da[r], dp[r], dn[r]
        for j in range(a.size):
            near += (a[j] - p[j]) * (a[j] - p[j])
            far += (a[j] - n[j]) * (a[j] - n[j])
        pull, push = dy[r] + dy[r], dy[r] + dy[r]
        if not squared:
            near, far = math.sqrt(near), math.sqrt(far)
            pull = zero if near == zero else dy[r] * (one / near)
            push = zero if far == zero else dy[r] * (one / far)
        if not near - far + margin > zero:
            pull, push = zero, zero
        for j in range(a.size):
            to_p[j] = -pull * (a[j] - p[j])
            to_n[j] = push * (a[j] - n[j])
            to_a[j] = -to_p[j] - to_n[j]


@public
def info_nce(query: ArrayLike, key: ArrayLike, /, temperature: float = 1.0, reduction: str = "mean") -> NDArray:
    r"""Return the InfoNCE loss: the cross-entropy of finding the own key of each query among all N keys.

    With :math:`s_{ij} = q_i^\top k_j / \tau` it is :math:`\ell_i = \log \sum_j e^{s_{ij}} - s_{ii}`.

    Parameters
    ----------
    query : array_like of float32 or float64, shape (N, D)
        One vector for each example, used as it stands.
    key : array_like, shape (N, D)
        Row i belongs to row i of `query`; all other rows are its negatives.
    temperature : float
        What the similarities are divided by; positive.
    reduction : {"mean", "sum", "none"}
        "mean" divides the sum by N.

    Returns
    -------
    ndarray
        In nats; one number, or shape (N,) for "none". At equal similarities it is :math:`\log N`.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, the temperature is not positive, or there is no such reduction.

    See Also
    --------
    nt_xent : Of normalized vectors, in both directions, with negatives from both sides.
    cross_entropy : Which it is, of the similarities.

    References
    ----------
    van den Oord, Li and Vinyals (2018), "Representation learning with contrastive predictive coding".

    Examples
    --------
    Three keys that cannot be told apart: log 3.

    >>> info_nce(np.ones((3, 2)), np.ones((3, 2))).round(4)
    np.float64(1.0986)
    """
    query, key, tau = _views("query", query, "key", key, temperature)
    return cross_entropy(query @ key.T / tau, np.arange(len(query)), reduction=reduction)


@public
def info_nce_backward(
    dy: ArrayLike, query: ArrayLike, key: ArrayLike, /, temperature: float = 1.0, reduction: str = "mean"
) -> PairGradients:
    r"""Return the gradients of `info_nce`: :math:`\bar s\, k / \tau` and :math:`\bar s^\top q / \tau`.

    Parameters
    ----------
    dy : array_like, shape of the loss
        Gradient of the objective with respect to the loss.
    query, key, temperature, reduction
        As for `info_nce`.

    Returns
    -------
    PairGradients
        With respect to `query`, as ``x``, and `key`, as ``z``.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, or as for `info_nce`.

    See Also
    --------
    info_nce : The function.

    References
    ----------
    van den Oord, Li and Vinyals (2018), "Representation learning with contrastive predictive coding".

    Examples
    --------
    The query is drawn to its own key and away from the other.

    >>> info_nce_backward(1.0, [[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], reduction="sum").x
    array([[-0.5,  0.5],
           [ 0.5, -0.5]])
    """
    dy, query, key = reals("dy", dy, "query", query, "key", key)
    query, key, tau = _views("query", query, "key", key, temperature)
    ds = cross_entropy_backward(dy, query @ key.T / tau, np.arange(len(query)), reduction=reduction) / tau
    return PairGradients(ds @ key, ds.T @ query)


@public
def nt_xent(x: ArrayLike, z: ArrayLike, /, temperature: float = 0.5, reduction: str = "mean") -> NDArray:
    r"""Return the normalized, temperature-scaled cross-entropy of two views of each of N examples.

    All 2N vectors are divided by their lengths; each looks for its partner among the 2N - 1 others.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, D)
        One view of each example.
    z : array_like, shape (N, D)
        The other view.
    temperature : float
        What the cosines are divided by; positive.
    reduction : {"mean", "sum", "none"}
        "mean" divides the sum by 2N.

    Returns
    -------
    ndarray
        In nats; one number, or shape (2N,) for "none", first those of `x`. A vector of zeros stays one.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, the temperature is not positive, or there is no such reduction.

    See Also
    --------
    info_nce : In one direction, of the vectors as they stand.

    References
    ----------
    Chen et al. (2020), "A simple framework for contrastive learning of visual representations", equation 1.

    Examples
    --------
    Partners at cosine 1, all others at 0, temperature 0.5: log(1 + 2 exp(-2)).

    >>> nt_xent([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]).round(4)
    np.float64(0.2395)
    """
    x, z, tau = _views("x", x, "z", z, temperature)
    u, _ = _directions(np.concatenate([x, z]))
    return cross_entropy(_cosines(u, tau), _partners(len(x)), reduction=reduction)


@public
def nt_xent_backward(
    dy: ArrayLike, x: ArrayLike, z: ArrayLike, /, temperature: float = 0.5, reduction: str = "mean"
) -> PairGradients:
    r"""Return the gradients of `nt_xent`, orthogonal to the vectors: their length does not matter.

    Parameters
    ----------
    dy : array_like, shape of the loss
        Gradient of the objective with respect to the loss.
    x, z, temperature, reduction
        As for `nt_xent`.

    Returns
    -------
    PairGradients
        With respect to `x` and `z`. A vector of zeros gets zero.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit, or as for `nt_xent`.

    See Also
    --------
    nt_xent : The function.

    References
    ----------
    Chen et al. (2020), "A simple framework for contrastive learning of visual representations".

    Examples
    --------
    >>> dx = nt_xent_backward(1.0, [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]).x
    >>> dx.round(4)
    array([[0.   , 0.213],
           [0.213, 0.   ]])
    """
    dy, x, z = reals("dy", dy, "x", x, "z", z)
    x, z, tau = _views("x", x, "z", z, temperature)
    u, lengths = _directions(np.concatenate([x, z]))
    ds = cross_entropy_backward(dy, _cosines(u, tau), _partners(len(x)), reduction=reduction)
    du = (ds + ds.T) @ u / tau
    # what changes the length alone is taken out
    dv = np.where(lengths > 0, (du - u * (u * du).sum(axis=1, keepdims=True)) / lengths, 0).astype(u.dtype, copy=False)
    return PairGradients(dv[: len(x)], dv[len(x) :])


def _cosines(u, tau):
    s = u @ u.T / tau
    np.fill_diagonal(s, -np.inf)  # no vector is its own partner
    return s


def _directions(v):
    lengths = np.sqrt((v * v).sum(axis=1, keepdims=True))
    return v / np.where(lengths > 0, lengths, v.dtype.type(1)), lengths


def _partners(count):
    return np.roll(np.arange(2 * count), count)


def _rows(x):
    return x.reshape(-1, x.shape[-1])


def _pairs(x, z, similar, margin, reduction):
    x, z = reals("x", real("x", x, ndim=-1), "z", z)
    same_shape("z", z, "x", x)
    similar = mask("similar", similar, x.shape[:-1])
    option("reduction", reduction, ("mean", "sum", "none"))
    return x, z, similar, x.dtype.type(number("margin", margin, 0, open_low=True))


def _triplets(anchor, positive, negative, margin, reduction):
    arrays = reals("anchor", real("anchor", anchor, ndim=-1), "positive", positive, "negative", negative)
    for name, value in zip(("positive", "negative"), arrays[1:], strict=True):
        same_shape(name, value, "anchor", arrays[0])
    option("reduction", reduction, ("mean", "sum", "none"))
    return arrays, arrays[0].dtype.type(number("margin", margin, 0, open_low=True))


def _views(name, value, other_name, other, temperature):
    value, other = reals(name, real(name, value, ndim=2), other_name, other)
    same_shape(other_name, other, name, value)
    if not len(value):
        raise ValueError(f"{name}: expected at least one row, got none")
    return value, other, value.dtype.type(number("temperature", temperature, 0, open_low=True))


def _reduced(losses, reduction):
    if reduction == "none":
        return losses
    with np.errstate(invalid="ignore"):
        return losses.sum() / losses.dtype.type(losses.size if reduction == "mean" else 1)


def _scale(dy, reduction, shape):
    """Return the cotangent of each single loss."""
    shaped("dy", dy, shape if reduction == "none" else ())
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.full(shape, dy / dy.dtype.type(math.prod(shape) if reduction == "mean" else 1), dy.dtype).reshape(-1)
