"""Skip-gram with negative sampling: pairs of words, a logistic loss, and what the vectors then say."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import generator, index, integer, not_negative, number, public, real, reals, shaped, sizes
from dlref._compile import kernel
from dlref._math import exp, log1p

__all__ = [
    "Neighbors",
    "SkipGram",
    "analogy",
    "draw_negatives",
    "nearest",
    "shifted_pmi",
    "skip_gram_loss",
    "skip_gram_loss_backward",
    "skip_gram_pairs",
    "skip_gram_train",
    "subsample_words",
]


class SkipGram(NamedTuple):
    """Two tables of one shape: vectors of words, and of words as contexts. Also their gradients."""

    words: NDArray
    contexts: NDArray


class Neighbors(NamedTuple):
    """Rows of a table, nearest first, and the cosines of their angles."""

    ids: NDArray
    cosines: NDArray


def subsample_words(ids: ArrayLike, rng: np.random.Generator, threshold: float = 1e-3) -> NDArray:
    r"""Leave out occurrences of frequent words: each one stays with probability :math:`\sqrt{t / f}`, at most 1.

    Parameters
    ----------
    ids : array_like of int, shape (T,)
        A text as numbers of words, from 0.
    rng : numpy.random.Generator
        Draws one uniform number for each occurrence.
    threshold : float, above 0
        Relative frequency :math:`t` up to which a word is never left out.

    Returns
    -------
    ndarray of int64
        The text without the others, in order.

    Raises
    ------
    TypeError
        If `ids` are not integers.
    ValueError
        If an id is negative.

    See Also
    --------
    skip_gram_pairs : The next step.

    References
    ----------
    Mikolov et al. (2013), "Distributed representations of words and phrases and their compositionality".

    Examples
    --------
    >>> text = np.repeat([0, 1], [9900, 100])
    >>> np.bincount(subsample_words(text, np.random.default_rng(0), threshold=0.01))
    array([1028,  100])
    """
    ids = index("ids", ids, np.iinfo(np.int64).max, (None,))
    threshold, rng = number("threshold", threshold, 0, open_low=True), generator("rng", rng)
    _, word, counts = np.unique(ids, return_inverse=True, return_counts=True)
    return ids[rng.random(len(ids)) < np.sqrt(threshold * len(ids) / counts)[word]]


def skip_gram_pairs(ids: ArrayLike, rng: np.random.Generator, window: int = 5) -> NDArray:
    r"""Return the pairs of a word and a word near it, for every place of a text.

    Each place draws a window from 1 to `window`, so that near words count more.

    Parameters
    ----------
    ids : array_like of int, shape (T,)
        A text as numbers of words.
    rng : numpy.random.Generator
        Draws the windows.
    window : int, at least 1
        The largest distance.

    Returns
    -------
    ndarray of int64, shape (P, 2)
        Center and context, place by place.

    Raises
    ------
    TypeError
        If `ids` are not integers.
    ValueError
        If `window` is below 1.

    See Also
    --------
    skip_gram_train : Learns from them.

    References
    ----------
    Mikolov et al. (2013), "Efficient estimation of word representations in vector space".

    Examples
    --------
    >>> skip_gram_pairs([7, 8, 9], np.random.default_rng(0), window=1).tolist()
    [[7, 8], [8, 7], [8, 9], [9, 8]]
    """
    ids = index("ids", ids, np.iinfo(np.int64).max, (None,))
    reach = generator("rng", rng).integers(1, integer("window", window, 1) + 1, len(ids))
    places = np.arange(len(ids))
    count = np.minimum(places, reach) + np.minimum(places[::-1], reach)
    pairs = np.empty((int(count.sum()), 2), np.int64)
    _pairs(ids, reach, pairs)
    return pairs


@kernel
def _pairs(ids, reach, out):
    k = 0
    for t in range(ids.size):
        for s in range(max(t - reach[t], 0), min(t + reach[t] + 1, ids.size)):
            if s != t:
                out[k, 0], out[k, 1] = ids[t], ids[s]
                k += 1


def draw_negatives(
    counts: ArrayLike, shape: int | Sequence[int], rng: np.random.Generator, power: float = 0.75
) -> NDArray:
    r"""Draw words with probability in proportion to a power of their count.

    Parameters
    ----------
    counts : array_like, shape (V,)
        How often each word occurs.
    shape : int or sequence of int
        Of the result: pairs and negatives for each.
    rng : numpy.random.Generator
        Draws one uniform number for each.
    power : float, at least 0
        1 for the frequencies themselves, 0 for all words alike.

    Returns
    -------
    ndarray of int64
        Numbers of words.

    Raises
    ------
    TypeError
        If `counts` is neither real nor integer, `rng` not a generator, or a length not an integer.
    ValueError
        If a count is negative or infinite, or all are zero, or a length is negative.

    See Also
    --------
    skip_gram_train : Uses them.

    References
    ----------
    Mikolov et al. (2013), "Distributed representations of words and phrases and their compositionality".

    Examples
    --------
    >>> np.bincount(draw_negatives([16, 1], (9000,), np.random.default_rng(0))).round(-2)
    array([8000, 1000])
    """
    weights = np.asarray(real("counts", counts, 1), np.float64)
    if not ((weights >= 0) & (weights < np.inf)).all() or not weights.any():
        raise ValueError("counts: expected finite numbers from 0, not all of them 0")
    ladder = np.cumsum(weights ** number("power", power, 0) * (weights > 0))
    draws = generator("rng", rng).random(sizes("shape", shape))
    return np.searchsorted(ladder, draws * ladder[-1], side="right")


@public
def skip_gram_loss(
    words: ArrayLike, contexts: ArrayLike, /, center: ArrayLike, context: ArrayLike, negatives: ArrayLike
) -> NDArray:
    r"""Return the mean of :math:`-\log \sigma(w_i \cdot c_j) - \sum_k \log \sigma(-w_i \cdot c_{n_k})` over pairs.

    Parameters
    ----------
    words, contexts : array_like of float32 or float64, shape (V, D)
        The two tables.
    center, context : array_like of int, shape (P,)
        The pairs :math:`(i, j)`.
    negatives : array_like of int, shape (P, K)
        Words :math:`n_k` that take the place of the context.

    Returns
    -------
    ndarray, shape ()
        The loss; NaN without pairs.

    Raises
    ------
    TypeError
        If a table is neither real nor integer, or numbers of words are not integers.
    ValueError
        If shapes do not fit, or a number is outside of the tables.

    See Also
    --------
    skip_gram_train : Lowers it.

    References
    ----------
    Mikolov et al. (2013), "Distributed representations of words and phrases and their compositionality", equation 4.

    Examples
    --------
    Vectors of zero know nothing: each of the six answers costs log 2.

    >>> zeros = np.zeros((10, 4))
    >>> float(skip_gram_loss(zeros, zeros, [0], [1], [[2, 3, 4, 5, 6]]) / np.log(2))
    6.0
    """
    words, contexts, center, context, negatives = _checked(words, contexts, center, context, negatives)
    losses = np.empty(len(center), words.dtype)
    _skip_gram_loss(words, contexts, center, context, negatives, losses)
    return np.asarray(losses.sum(dtype=np.float64) / len(losses) if len(losses) else np.nan, words.dtype)


@public
def skip_gram_loss_backward(
    dy: ArrayLike,
    words: ArrayLike,
    contexts: ArrayLike,
    /,
    center: ArrayLike,
    context: ArrayLike,
    negatives: ArrayLike,
) -> SkipGram:
    r"""Return the gradients of `skip_gram_loss`.

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient of the objective with respect to the loss.
    words, contexts, center, context, negatives
        The arguments of `skip_gram_loss`.

    Returns
    -------
    SkipGram
        Gradients with respect to both tables.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or numbers of words are not integers.
    ValueError
        If shapes do not fit, or a number is outside of the tables.

    See Also
    --------
    skip_gram_loss : The function.

    References
    ----------
    Mikolov et al. (2013), "Distributed representations of words and phrases and their compositionality", equation 4.

    Examples
    --------
    The word is pulled to its context and pushed off the negative.

    >>> words, contexts = np.zeros((1, 2)), np.eye(2)
    >>> -skip_gram_loss_backward(1.0, words, contexts, [0], [0], [[1]]).words
    array([[ 0.5, -0.5]])
    """
    dy, words, contexts = reals("dy", dy, "words", words, "contexts", contexts)
    shaped("dy", dy, ())
    words, contexts, center, context, negatives = _checked(words, contexts, center, context, negatives)
    gradients = SkipGram(np.zeros_like(words), np.zeros_like(contexts))
    if len(center):
        scale = dy / words.dtype.type(len(center))
        _skip_gram_backward(words, contexts, center, context, negatives, words.dtype.type(scale), *gradients)
    return gradients


def skip_gram_train(
    words: ArrayLike,
    contexts: ArrayLike,
    center: ArrayLike,
    context: ArrayLike,
    negatives: ArrayLike,
    lr: float = 0.025,
) -> SkipGram:
    r"""Make one step of stochastic gradient descent for each pair, one after the other.

    Parameters
    ----------
    words, contexts : array_like of float32 or float64, shape (V, D)
        The tables before.
    center, context, negatives
        As for `skip_gram_loss`.
    lr : float, at least 0
        Learning rate, for the loss of one pair.

    Returns
    -------
    SkipGram
        The tables after.

    Raises
    ------
    TypeError
        If a table is neither real nor integer, or numbers of words are not integers.
    ValueError
        If shapes do not fit, or a number is outside of the tables.

    See Also
    --------
    skip_gram_loss : What is lowered.
    draw_negatives : Makes the negatives.

    References
    ----------
    Mikolov et al. (2013), "Distributed representations of words and phrases and their compositionality".

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> start = rng.normal(size=(4, 3)), np.zeros((4, 3))
    >>> pairs = [0, 1] * 200, [2, 3] * 200, [[3], [2]] * 200
    >>> trained = skip_gram_train(*start, *pairs, lr=0.1)
    >>> bool(skip_gram_loss(*trained, *pairs) < 0.2 * skip_gram_loss(*start, *pairs))
    True
    """
    words, contexts, center, context, negatives = _checked(words, contexts, center, context, negatives)
    lr = words.dtype.type(number("lr", lr, 0))
    words, contexts = words.copy(), contexts.copy()
    _skip_gram_train(center, context, negatives, lr, np.empty(words.shape[1], words.dtype), words, contexts)
    return SkipGram(words, contexts)


@kernel(sums=True)
def _skip_gram_train(center, context, negatives, lr, pull, words, contexts):
    one, zero = words.dtype.type(1), words.dtype.type(0)
    for t in range(center.size):
        w = words[center[t]]
        pull[:] = 0
        for k in range(-1, negatives.shape[1]):
            c = contexts[context[t] if k < 0 else negatives[t, k]]
            score = zero
            for d in range(w.size):
                score += w[d] * c[d]
            truth = one if k < 0 else zero
            step = lr * (truth - one / (one + exp(-score)))
            for d in range(w.size):
                pull[d] += step * c[d]
                c[d] += step * w[d]
        for d in range(w.size):
            w[d] += pull[d]


@kernel(sums=True)
def _skip_gram_loss(words, contexts, center, context, negatives, out):
    zero = words.dtype.type(0)
    for t in range(center.size):
        w = words[center[t]]
        loss = zero
        for k in range(-1, negatives.shape[1]):
            c = contexts[context[t] if k < 0 else negatives[t, k]]
            score = zero
            for d in range(w.size):
                score += w[d] * c[d]
            # -log sigmoid(s) = log(1 + exp(-s)), with an exponent that is never positive
            wrong = -score if k < 0 else score
            loss += (wrong if wrong > zero else zero) + log1p(exp(-abs(score)))
        out[t] = loss


@kernel(sums=True)
def _skip_gram_backward(words, contexts, center, context, negatives, scale, dwords, dcontexts):
    one, zero = words.dtype.type(1), words.dtype.type(0)
    for t in range(center.size):
        w, dw = words[center[t]], dwords[center[t]]
        for k in range(-1, negatives.shape[1]):
            other = context[t] if k < 0 else negatives[t, k]
            c, dc = contexts[other], dcontexts[other]
            score = zero
            for d in range(w.size):
                score += w[d] * c[d]
            truth = one if k < 0 else zero
            g = scale * (one / (one + exp(-score)) - truth)
            for d in range(w.size):
                dw[d] += g * c[d]
                dc[d] += g * w[d]


def _checked(words, contexts, center, context, negatives):
    words, contexts = reals("words", words, "contexts", contexts)
    shaped("words", words, (None, None))
    shaped("contexts", contexts, (None, words.shape[1]))
    center = index("center", center, len(words), (None,))
    context = index("context", context, len(contexts), (len(center),))
    return words, contexts, center, context, index("negatives", negatives, len(contexts), (len(center), None))


def shifted_pmi(counts: ArrayLike, negatives: float = 1) -> NDArray:
    r"""Return :math:`\log \frac{\#(i, j)\, n}{\#(i)\, \#(j)} - \log k`, the optimum of skip-gram for each pair.

    Parameters
    ----------
    counts : array_like, shape (V, C)
        How often word :math:`i` occurs with context :math:`j`.
    negatives : float, above 0
        Number :math:`k` of negatives for each pair, drawn by the frequency of contexts.

    Returns
    -------
    ndarray of float64, shape (V, C)
        Minus infinity for pairs that never occur; NaN for words that never occur.

    Raises
    ------
    TypeError
        If `counts` is neither real nor integer.
    ValueError
        If a count is negative, or `negatives` not positive.

    See Also
    --------
    skip_gram_loss : The loss with this optimum.

    References
    ----------
    Levy & Goldberg (2014), "Neural word embedding as implicit matrix factorization".

    Examples
    --------
    >>> shifted_pmi([[2, 2], [2, 2]])
    array([[0., 0.],
           [0., 0.]])
    """
    counts = np.asarray(real("counts", counts, 2), np.float64)
    not_negative("counts", counts)
    k = number("negatives", negatives, 0, open_low=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
        return np.log(counts / expected) - np.log(k)


def nearest(table: ArrayLike, vector: ArrayLike, count: int = 5, exclude: Sequence[int] = ()) -> Neighbors:
    r"""Return the rows of a table that point most nearly in the direction of a vector.

    Parameters
    ----------
    table : array_like of float32 or float64, shape (V, D)
        Vectors of words.
    vector : array_like, shape (D,)
        The direction.
    count : int, at least 0
        How many rows.
    exclude : sequence of int
        Rows that are left out, such as the word itself.

    Returns
    -------
    Neighbors
        Numbers of rows and cosines, nearest first; rows of zeros have cosine 0.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit.

    See Also
    --------
    analogy : The direction of a difference.

    References
    ----------
    Mikolov et al. (2013), "Efficient estimation of word representations in vector space".

    Examples
    --------
    >>> nearest([[1.0, 0.0], [3.0, 4.0], [0.0, -1.0]], [2.0, 0.0], 2)
    Neighbors(ids=array([0, 1]), cosines=array([1. , 0.6]))
    """
    table, vector = reals("table", table, "vector", vector)
    shaped("table", table, (None, None))
    shaped("vector", vector, (table.shape[1],))
    cosines = _directions(table) @ _directions(vector[None])[0]
    open_rows = np.setdiff1d(np.arange(len(table)), index("exclude", np.ravel(exclude), len(table)))
    order = open_rows[np.argsort(-cosines[open_rows], kind="stable")][: integer("count", count, 0)]
    return Neighbors(order, cosines[order])


def analogy(table: ArrayLike, a: int, b: int, c: int, count: int = 5) -> Neighbors:
    r"""Answer "a is to b as c is to ...": the rows nearest to :math:`b - a + c`, all of length one.

    Parameters
    ----------
    table : array_like of float32 or float64, shape (V, D)
        Vectors of words.
    a, b, c : int
        Rows; they are left out of the answer.
    count : int, at least 0
        How many rows.

    Returns
    -------
    Neighbors
        Numbers of rows and cosines, best first.

    Raises
    ------
    TypeError
        If `table` is neither real nor integer.
    ValueError
        If a row is outside of the table.

    See Also
    --------
    nearest : Neighbors of any vector.

    References
    ----------
    Mikolov et al. (2013), "Efficient estimation of word representations in vector space".

    Examples
    --------
    >>> corners = [[1.0, 0.2], [1.0, 1.0], [-1.0, 0.2], [-1.0, 1.0], [0.0, -1.0]]
    >>> int(analogy(corners, 0, 1, 2, 1).ids[0])
    3
    """
    unit = _directions(real("table", table, 2))
    a, b, c = index("a, b, c", [a, b, c], len(unit)).tolist()
    return nearest(unit, unit[b] - unit[a] + unit[c], count, exclude=(a, b, c))


def _directions(rows):
    # divided by their largest entries first: squares of large ones would overflow
    rows = rows / np.maximum(abs(rows).max(axis=1, keepdims=True, initial=0), np.finfo(rows.dtype).tiny)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)
