"""Scaled dot-product attention: with the whole matrix of weights, and with the online softmax, tile by tile."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import mask as boolean
from dlref._arrays import number, public, real, reals, shaped
from dlref._compile import kernel, prange
from dlref._math import exp, log, maximum

__all__ = [
    "AttentionGradients",
    "OnlineAttentionGradients",
    "attention_weights",
    "online_attention",
    "online_attention_backward",
    "scaled_dot_product_attention",
    "scaled_dot_product_attention_backward",
]

ROWS, COLUMNS = 256, 512  # queries and keys of a tile of `online_attention`: half a megabyte of float32, for the cache


class AttentionGradients(NamedTuple):
    """Gradients of `scaled_dot_product_attention`, one for each argument before the slash."""

    q: NDArray
    k: NDArray
    v: NDArray
    bias: NDArray | None


class OnlineAttentionGradients(NamedTuple):
    """Gradients of `online_attention`, one for each argument before the slash."""

    q: NDArray
    k: NDArray
    v: NDArray


# --- the whole matrix -------------------------------------------------------------------------------------------------


@public
def attention_weights(
    q: ArrayLike,
    k: ArrayLike,
    bias: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> NDArray:
    r"""Return the weights of attention: :math:`P = \operatorname{softmax}(c\, Q K^\top + B)`, row by row.

    Parameters
    ----------
    q : array_like of float32 or float64, shape (..., T, D)
        Queries; integers become float64.
    k : array_like, shape (..., S, D)
        Keys, with the same leading dimensions.
    bias : array_like, optional
        Added to the scores; broadcast to (..., T, S).
    mask : array_like of bool, optional
        True where a query may attend to a key; broadcast to (..., T, S).
    causal : bool
        Whether query i sees the keys 0 to i alone.
    scale : float, optional
        Factor of the scores; by default one over the square root of D.

    Returns
    -------
    ndarray, shape (..., T, S)
        Non-negative; each row sums to one, or is zero where its query may attend to nothing.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `mask` is not boolean.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    scaled_dot_product_attention : The average with these weights.

    References
    ----------
    Vaswani et al. (2017), "Attention is all you need".

    Examples
    --------
    The query is the second key, ten times as long.

    >>> attention_weights([[0.0, 10.0]], [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]).round(3)
    array([[0.001, 0.804, 0.195]])
    """
    q, k, bias = reals("q", q, "k", k, "bias", bias)
    v = np.empty((*real("k", k, -2).shape[:-1], 0), k.dtype)
    q, k, bias, mask, scale = _checked(q, k, v, bias, mask, scale)
    return _weights(q, k, bias, mask, scale, causal)


@public
def scaled_dot_product_attention(
    q: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    bias: ArrayLike | None = None,
    /,
    mask: ArrayLike | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> NDArray:
    r"""Average values with weights that depend on the data: :math:`Y = \operatorname{softmax}(c\, Q K^\top + B)\, V`.

    Parameters
    ----------
    q : array_like of float32 or float64, shape (..., T, D)
        Queries; integers become float64.
    k : array_like, shape (..., S, D)
        Keys, with the same leading dimensions.
    v : array_like, shape (..., S, E)
        One value for each key.
    bias : array_like, optional
        Added to the scores; broadcast to (..., T, S).
    mask : array_like of bool, optional
        True where a query may attend to a key; broadcast to (..., T, S).
    causal : bool
        Whether query i sees the keys 0 to i alone, whatever the lengths.
    scale : float, optional
        Factor of the scores; by default one over the square root of D.

    Returns
    -------
    ndarray, shape (..., T, E)
        One average for each query; zero where it may attend to nothing.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `mask` is not boolean.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    online_attention : The same without the matrix of weights.
    attention_weights : The weights.

    References
    ----------
    Vaswani et al. (2017), "Attention is all you need".

    Examples
    --------
    A query that is orthogonal to every key gets the plain mean; with a causal mask, of what came before.

    >>> k, v = np.eye(3), [[0.0], [6.0], [12.0]]
    >>> scaled_dot_product_attention(np.zeros((3, 3)), k, v).ravel()
    array([6., 6., 6.])
    >>> scaled_dot_product_attention(np.zeros((3, 3)), k, v, causal=True).ravel()
    array([0., 3., 6.])
    """
    q, k, v, bias = reals("q", q, "k", k, "v", v, "bias", bias)
    q, k, bias, mask, scale = _checked(q, k, v, bias, mask, scale)
    return _weights(q, k, bias, mask, scale, causal) @ v


@public
def scaled_dot_product_attention_backward(
    dy: ArrayLike,
    q: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    bias: ArrayLike | None = None,
    /,
    mask: ArrayLike | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> AttentionGradients:
    r"""Return the gradients of `scaled_dot_product_attention`: through both products and the softmax between them.

    Parameters
    ----------
    dy : array_like, shape (..., T, E)
        Gradient of the loss with respect to the result.
    q, k, v, bias, mask, causal, scale
        As for `scaled_dot_product_attention`.

    Returns
    -------
    AttentionGradients
        Gradients with respect to `q`, `k`, `v` and `bias`, the last None where there is none.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `mask` is not boolean.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    scaled_dot_product_attention : The function.

    References
    ----------
    Vaswani et al. (2017), "Attention is all you need".

    Examples
    --------
    A loss on the result is shared among the values by the weights; a key is pulled where its value is wanted.

    >>> g = scaled_dot_product_attention_backward([[1.0]], [[1.0]], [[0.0], [0.0]], [[3.0], [1.0]])
    >>> g.v.ravel(), g.k.ravel()
    (array([0.5, 0.5]), array([ 0.5, -0.5]))
    """
    dy, q, k, v, bias = reals("dy", dy, "q", q, "k", k, "v", v, "bias", bias)
    q, k, bias, mask, scale = _checked(q, k, v, bias, mask, scale)
    shaped("dy", dy, (*q.shape[:-1], v.shape[-1]))
    p = _weights(q, k, bias, mask, scale, causal)
    ds = dy @ v.swapaxes(-1, -2)
    _weights_backward(_rows(p), _rows(ds))
    dq, dk = ds @ k, ds.swapaxes(-1, -2) @ q
    dq *= scale
    dk *= scale
    return AttentionGradients(dq, dk, p.swapaxes(-1, -2) @ dy, None if bias is None else _unbroadcast(ds, bias.shape))


def _weights(q, k, bias, mask, scale, causal):
    scores = (q * scale) @ k.swapaxes(-1, -2)
    if bias is not None:
        scores += bias
    if mask is not None:
        np.copyto(scores, -np.inf, where=~mask)
    _normalize(_rows(scores), q.shape[-2] if causal else 0)
    return scores


@kernel(sums=True)
def _normalize(scores, steps):
    for r in prange(scores.shape[0]):
        row = scores[r]
        # with a causal mask row i of every matrix sees i + 1 keys
        seen = row.size if steps == 0 else min(r % steps + 1, row.size)
        top = row.dtype.type(-np.inf)
        for j in range(seen):
            top = maximum(top, row[j])
        if top == -np.inf:
            seen = 0
        total = row.dtype.type(0)
        for j in range(seen):
            row[j] = exp(row[j] - top)
            total += row[j]
        for j in range(seen):
            row[j] /= total
        for j in range(seen, row.size):
            row[j] = 0


@kernel(sums=True)
def _weights_backward(weights, gradients):
    for r in prange(weights.shape[0]):
        p, d = weights[r], gradients[r]
        mean = p.dtype.type(0)
        for j in range(p.size):
            mean += p[j] * d[j]
        for j in range(p.size):
            d[j] = p[j] * (d[j] - mean)


# --- tile by tile -----------------------------------------------------------------------------------------------------


@public
def online_attention(
    q: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    /,
    mask: ArrayLike | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> NDArray:
    r"""Return what `scaled_dot_product_attention` does, without ever holding the matrix of weights.

    Keys and values are met in tiles. For every query the largest score so far, the sum of the exponentials and their
    weighted sum of values are carried along; a new largest score shrinks the other two. Memory grows with the length,
    not with its square.

    Parameters
    ----------
    q, k, v, mask, causal, scale
        As for `scaled_dot_product_attention`. There is no bias: its gradient would be a whole matrix again.

    Returns
    -------
    ndarray, shape (..., T, E)
        One average for each query; zero where it may attend to nothing.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `mask` is not boolean.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    scaled_dot_product_attention : With the matrix.

    References
    ----------
    Milakov & Gimelshein (2018), "Online normalizer calculation for softmax".

    Examples
    --------
    Ten queries and a million keys: ten million weights, of which no more than a few thousand are there at a time.

    >>> q, k, v = np.zeros((10, 1)), np.zeros((1_000_000, 1)), np.arange(1_000_000.0)[:, None]
    >>> online_attention(q, k, v)[0].round(3)
    array([499999.5])
    """
    q, k, v = reals("q", q, "k", k, "v", v)
    q, k, _, mask, scale = _checked(q, k, v, None, mask, scale)
    return _online(q * scale, k, v, mask, causal)[0]


@public
def online_attention_backward(
    dy: ArrayLike,
    q: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    /,
    mask: ArrayLike | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> OnlineAttentionGradients:
    r"""Return the gradients of `online_attention`: the weights are computed again, tile by tile.

    Parameters
    ----------
    dy : array_like, shape (..., T, E)
        Gradient of the loss with respect to the result.
    q, k, v, mask, causal, scale
        As for `online_attention`.

    Returns
    -------
    OnlineAttentionGradients
        Gradients with respect to `q`, `k` and `v`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `mask` is not boolean.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    online_attention : The function.

    References
    ----------
    Milakov & Gimelshein (2018), "Online normalizer calculation for softmax".

    Examples
    --------
    >>> online_attention_backward([[1.0]], [[1.0]], [[0.0], [0.0]], [[3.0], [1.0]]).k.ravel()
    array([ 0.5, -0.5])
    """
    dy, q, k, v = reals("dy", dy, "q", q, "k", k, "v", v)
    q, k, _, mask, scale = _checked(q, k, v, None, mask, scale)
    shaped("dy", dy, (*q.shape[:-1], v.shape[-1]))
    q = q * scale
    y, normalizers = _online(q, k, v, mask, causal)
    means = np.einsum("...e,...e->...", dy, y)
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    room, keys, values = np.empty((2, _tile_size(q, k)), q.dtype), _as_columns(k), _as_columns(v)
    for head, t, s in _tiles(q, k, causal):
        tile = _scores(q, keys, mask, head, t, s, room[0])
        d = np.matmul(dy[head][t], values[head][:, s], out=room[1][: tile.size].reshape(tile.shape))
        _unfold(tile, d, _seen(causal, t, s), normalizers[head][t], means[head][t])
        dv[head][s] += tile.T @ dy[head][t]
        dq[head][t] += d @ k[head][s]
        dk[head][s] += d.T @ q[head][t]
    dq *= scale
    return OnlineAttentionGradients(dq, dk, dv)


def _online(q, k, v, mask, causal):
    """Return, for scaled queries, the result and the logarithm of the sum of exponentials of every query's scores."""
    y = np.zeros((*q.shape[:-1], v.shape[-1]), q.dtype)
    largest, total = np.full(q.shape[:-1], -np.inf, q.dtype), np.zeros(q.shape[:-1], q.dtype)
    room, part = np.empty(_tile_size(q, k), q.dtype), np.empty(ROWS * v.shape[-1], q.dtype)
    keys = _as_columns(k)
    for head, t, s in _tiles(q, k, causal):
        tile, mixed = _scores(q, keys, mask, head, t, s, room), y[head][t]
        _fold(tile, _seen(causal, t, s), largest[head][t], total[head][t], mixed)
        mixed += np.matmul(tile, v[head][s], out=part[: mixed.size].reshape(mixed.shape))
    _finish(_rows(y), largest.ravel(), total.ravel())
    return y, largest


@kernel(sums=True)
def _fold(scores, seen, largest, total, mixed):
    for i in prange(scores.shape[0]):
        row, out = scores[i], mixed[i]
        end = max(0, min(seen + i, row.size))
        top = largest[i]
        for j in range(end):
            top = maximum(top, row[j])
        if top == -np.inf:
            end = 0
            shrink = row.dtype.type(1)
        else:
            # what was summed so far, in the unit of the new largest score
            shrink = exp(largest[i] - top)
        largest[i] = top
        more = row.dtype.type(0)
        for j in range(end):
            row[j] = exp(row[j] - top)
            more += row[j]
        for j in range(end, row.size):
            row[j] = 0
        total[i] = total[i] * shrink + more
        for e in range(out.size):
            out[e] *= shrink


@kernel
def _finish(mixed, largest, total):
    for i in range(total.size):
        out = mixed[i]
        # a query that may attend to nothing keeps its zeros
        if largest[i] != -np.inf:
            largest[i] += log(total[i])
            for e in range(out.size):
                out[e] /= total[i]


@kernel(sums=True)
def _unfold(scores, gradients, seen, normalizers, means):
    for i in prange(scores.shape[0]):
        p, d = scores[i], gradients[i]
        end = max(0, min(seen + i, p.size))
        if normalizers[i] == -np.inf:
            end = 0
        for j in range(end):
            p[j] = exp(p[j] - normalizers[i])
            d[j] = p[j] * (d[j] - means[i])
        for j in range(end, p.size):
            p[j] = 0
            d[j] = 0


def _tiles(q, k, causal) -> Iterator[tuple[tuple, slice, slice]]:
    """Yield where a matrix stands, some of its queries and some of its keys; nothing that lies wholly in the future."""
    for head in np.ndindex(*q.shape[:-2]):
        for first in range(0, q.shape[-2], ROWS):
            last = min(first + ROWS, q.shape[-2])
            keys = min(last, k.shape[-2]) if causal else k.shape[-2]
            for start in range(0, keys, COLUMNS):
                yield head, slice(first, last), slice(start, min(start + COLUMNS, keys))


def _tile_size(q, k):
    return min(ROWS, q.shape[-2]) * min(COLUMNS, k.shape[-2])


def _seen(causal, t, s):
    """Return how many keys of the tile its first query sees."""
    return t.start - s.start + 1 if causal else s.stop - s.start


def _as_columns(x):
    return np.ascontiguousarray(np.swapaxes(x, -1, -2))  # BLAS multiplies two matrices as they lie a little faster


def _scores(q, keys, mask, head, t, s, room):
    rows, columns = q[head][t], keys[head][:, s]
    tile = room[: len(rows) * columns.shape[1]].reshape(len(rows), columns.shape[1])
    np.matmul(rows, columns, out=tile)
    if mask is not None:
        np.copyto(tile, -np.inf, where=~mask[head][t, s])
    return tile


# --- the door ---------------------------------------------------------------------------------------------------------


def _checked(q, k, v, bias, mask, scale):
    real("q", q, -2)
    *lead, steps, width = q.shape
    shaped("k", k, (*lead, None, width))
    shaped("v", v, (*lead, k.shape[-2], None))
    shape = (*lead, steps, k.shape[-2])
    if bias is not None:
        _broadcast("bias", bias, shape)
    if mask is not None:
        mask = _broadcast("mask", boolean("mask", mask), shape)
    default = 1 / math.sqrt(width) if width else 1.0
    return q, k, bias, mask, default if scale is None else number("scale", scale)


def _broadcast(name, array, shape):
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(f"{name}: expected a shape that broadcasts to {shape}, got {array.shape}") from None


def _rows(array):
    return array.reshape(math.prod(array.shape[:-1]), array.shape[-1])


def _unbroadcast(g, shape):
    """Sum a gradient over what was repeated."""
    extra = g.ndim - len(shape)
    repeated = [extra + i for i, n in enumerate(shape) if n == 1]
    return g.sum(axis=(*range(extra), *repeated)).reshape(shape)
