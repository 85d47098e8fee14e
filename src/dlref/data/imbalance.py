"""Classes of unequal size: splits that keep their shares, samples that change them, and what that does to outputs."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import generator, integer, labels, number, public, real, reals, shaped
from dlref._compile import kernel

__all__ = [
    "Split",
    "imbalance_ratio",
    "prior_shift",
    "random_oversample",
    "random_undersample",
    "smote",
    "stratified_folds",
    "stratified_split",
]

LABELS = 1 << 24  # classes are counted in an array as long as the largest label


class Split(NamedTuple):
    """The numbers of the examples to train on and of those that are held out."""

    training: NDArray
    test: NDArray


@public
def imbalance_ratio(target: ArrayLike) -> float:
    """Return the size of the largest class divided by that of the smallest that occurs.

    Parameters
    ----------
    target : array_like of integers from 0, shape (N,)
        The class of each example.

    Returns
    -------
    float
        At least 1; NaN without examples.

    Raises
    ------
    TypeError
        If the labels are not integers.
    ValueError
        If a label is negative.

    See Also
    --------
    dlref.metrics.balanced_accuracy : A measure that does not see it.

    References
    ----------
    He & Garcia (2009), "Learning from Imbalanced Data", IEEE TKDE 21(9).

    Examples
    --------
    >>> imbalance_ratio([0, 0, 0, 0, 0, 0, 1, 1])
    3.0
    """
    sizes = np.bincount(_labels(target))
    sizes = sizes[sizes > 0]
    return float(sizes.max() / sizes.min()) if sizes.size else float("nan")


@public
def stratified_split(target: ArrayLike, share: float, rng: np.random.Generator) -> Split:
    """Return a random split in which every class has the same share of held-out examples, up to one example.

    Parameters
    ----------
    target : array_like of integers from 0, shape (N,)
        The class of each example.
    share : float
        The share to hold out, between 0 and 1.
    rng : numpy.random.Generator
        Draws the order of the examples.

    Returns
    -------
    Split
        The numbers of the examples, each part in rising order. As many are held out as the rounded share of all; the
        remainders of the classes decide which class gives one more.

    Raises
    ------
    TypeError
        If the labels are not integers, or `rng` is no generator.
    ValueError
        If a label is negative or the share is not between 0 and 1.

    See Also
    --------
    stratified_folds : Several parts.

    References
    ----------
    He & Garcia (2009), "Learning from Imbalanced Data", IEEE TKDE 21(9).

    Examples
    --------
    >>> target = np.repeat([0, 1], [90, 10])
    >>> split = stratified_split(target, 0.2, np.random.default_rng(0))
    >>> np.bincount(target[split.training]), np.bincount(target[split.test])
    (array([72,  8]), array([18,  2]))
    """
    target = _labels(target)
    share = number("share", share, 0, 1, open_low=True, open_high=True)
    exact = np.bincount(target) * share
    quota = np.floor(exact).astype(np.int64)
    extra = round(len(target) * share) - quota.sum()
    quota[np.argsort(quota - exact, kind="stable")[:extra]] += 1
    held_out = np.empty(len(target), np.bool_)
    _deal(target, generator("rng", rng).permutation(len(target)), quota, held_out)
    return Split(np.flatnonzero(~held_out), np.flatnonzero(held_out))


@kernel
def _deal(target, order, quota, held_out):
    for i in order:
        held_out[i] = quota[target[i]] > 0
        quota[target[i]] -= 1


@public
def stratified_folds(target: ArrayLike, folds: int, rng: np.random.Generator) -> NDArray:
    """Return a number of a fold for every example, so that every fold has the same share of every class.

    Parameters
    ----------
    target : array_like of integers from 0, shape (N,)
        The class of each example.
    folds : int
        How many parts, at least 2.
    rng : numpy.random.Generator
        Draws the order of the examples.

    Returns
    -------
    ndarray of int64, shape (N,)
        From 0 to `folds` - 1. In any two folds a class differs by one example at most, and so does the whole.

    Raises
    ------
    TypeError
        If the labels are not integers, or `rng` is no generator.
    ValueError
        If a label is negative or there are fewer than two folds.

    See Also
    --------
    stratified_split : Two parts.

    References
    ----------
    He & Garcia (2009), "Learning from Imbalanced Data", IEEE TKDE 21(9).

    Examples
    --------
    >>> target = np.repeat([0, 1], [12, 3])
    >>> fold = stratified_folds(target, 3, np.random.default_rng(0))
    >>> [np.bincount(target[fold == k]).tolist() for k in range(3)]
    [[4, 1], [4, 1], [4, 1]]
    """
    target, folds = _labels(target), integer("folds", folds, 2)
    sizes = np.bincount(target)
    # Each class goes on where the one before it ended.
    turn = np.cumsum(sizes) - sizes
    out = np.empty(len(target), np.int64)
    _fold(target, generator("rng", rng).permutation(len(target)), turn, folds, out)
    return out


@kernel
def _fold(target, order, turn, folds, out):
    for i in order:
        out[i] = turn[target[i]] % folds
        turn[target[i]] += 1


@public
def random_oversample(target: ArrayLike, rng: np.random.Generator) -> NDArray:
    """Return numbers of examples with which every class is as large as the largest: all, and copies of the rare.

    Parameters
    ----------
    target : array_like of integers from 0, shape (N,)
        The class of each training example. Never resample before splitting: copies would be on both sides.
    rng : numpy.random.Generator
        Draws the copies, with replacement.

    Returns
    -------
    ndarray of int64
        0 to N - 1, then the copies, class by class.

    Raises
    ------
    TypeError
        If the labels are not integers, or `rng` is no generator.
    ValueError
        If a label is negative.

    See Also
    --------
    random_undersample : Leaves out instead.
    smote : Makes new points.

    References
    ----------
    He & Garcia (2009), "Learning from Imbalanced Data", IEEE TKDE 21(9).

    Examples
    --------
    >>> target = np.array([0, 0, 0, 0, 1])
    >>> random_oversample(target, np.random.default_rng(0))
    array([0, 1, 2, 3, 4, 4, 4, 4])
    """
    target, rng = _labels(target), generator("rng", rng)
    members = [np.flatnonzero(target == k) for k in np.unique(target)]
    most = max(map(len, members), default=0)
    copies = [rng.choice(rows, most - len(rows)) for rows in members]
    return np.concatenate([np.arange(len(target)), *copies])


@public
def random_undersample(target: ArrayLike, rng: np.random.Generator) -> NDArray:
    """Return numbers of examples with which every class is as small as the smallest.

    Parameters
    ----------
    target : array_like of integers from 0, shape (N,)
        The class of each training example.
    rng : numpy.random.Generator
        Draws which ones stay, without replacement.

    Returns
    -------
    ndarray of int64
        In rising order.

    Raises
    ------
    TypeError
        If the labels are not integers, or `rng` is no generator.
    ValueError
        If a label is negative.

    See Also
    --------
    random_oversample : Repeats instead.

    References
    ----------
    He & Garcia (2009), "Learning from Imbalanced Data", IEEE TKDE 21(9).

    Examples
    --------
    >>> target = np.array([0, 0, 0, 0, 1, 1])
    >>> np.bincount(target[random_undersample(target, np.random.default_rng(0))])
    array([2, 2])
    """
    target, rng = _labels(target), generator("rng", rng)
    members = [np.flatnonzero(target == k) for k in np.unique(target)]
    least = min(map(len, members), default=0)
    return np.sort(np.concatenate([np.zeros(0, np.int64), *(rng.choice(m, least, replace=False) for m in members)]))


@public
def smote(x: ArrayLike, count: int, rng: np.random.Generator, neighbors: int = 5) -> NDArray:
    r"""Return new points of a class, each on the segment from a point of it to one of its nearest.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, D)
        The examples of the rare class alone, from the training set, with features on comparable scales.
    count : int
        How many points to make.
    rng : numpy.random.Generator
        Draws for each point an example, one of its neighbors and the place between, all uniformly.
    neighbors : int
        Among how many nearest examples of the class the partner is drawn, at most N - 1.

    Returns
    -------
    ndarray, shape (count, D)
        The points, inside the convex hull of the class.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If there are not more examples than neighbors, or a number is too small.

    See Also
    --------
    random_oversample : Copies.

    References
    ----------
    Chawla et al. (2002), "SMOTE: Synthetic Minority Over-sampling Technique", JAIR 16.

    Examples
    --------
    With one neighbor each new point lies between two points that are close.

    >>> x = np.array([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0], [11.0, 0.0]])
    >>> smote(x, 3, np.random.default_rng(0), neighbors=1).round(2)
    array([[10.96,  0.  ],
           [10.02,  0.  ],
           [10.81,  0.  ]])
    """
    x = real("x", x, 2)
    count, neighbors = integer("count", count, 0), integer("neighbors", neighbors, 1)
    if len(x) <= neighbors:
        raise ValueError(f"x: expected more than {neighbors} examples, one more than neighbors, got {len(x)}")
    rng = generator("rng", rng)
    base, partner = rng.integers(len(x), size=count), rng.integers(neighbors, size=count)
    place = rng.random(count).astype(x.dtype)
    out = np.empty((count, x.shape[1]), x.dtype)
    _between(x, base, partner, place, np.empty(len(x)), out)
    return out


@kernel(sums=True)
def _between(x, base, partner, place, distance, out):
    for i in range(len(out)):
        here = x[base[i]]
        for j in range(len(x)):
            other, total = x[j], 0.0
            for d in range(here.size):
                total += (other[d] - here[d]) ** 2
            distance[j] = total
        distance[base[i]] = np.inf
        chosen = base[i]
        for _ in range(partner[i] + 1):
            chosen = np.argmin(distance)
            distance[chosen] = np.inf
        for d in range(here.size):
            out[i, d] = here[d] + place[i] * (x[chosen, d] - here[d])


@public
def prior_shift(p: ArrayLike, source: ArrayLike, target: ArrayLike) -> NDArray:
    r"""Return the probabilities of the classes where their shares are others than in training.

    If only the shares differ, and the examples of each class are alike, Bayes' rule gives
    :math:`q_k \propto p_k\, \pi'_k / \pi_k`.

    Parameters
    ----------
    p : array_like of float32 or float64, shape (N, K)
        Probabilities of the classes, in rows, that hold at the shares `source`.
    source : array_like, shape (K,)
        The shares of the classes in training, all positive, after resampling or weighting if there was any.
    target : array_like, shape (K,)
        The shares where the probabilities are wanted. Only ratios count.

    Returns
    -------
    ndarray, shape (N, K)
        Rows that sum to 1.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit, or a share is not positive in `source` or negative in `target`.

    See Also
    --------
    dlref.metrics.precision_at_prevalence : The same rule for a decision.

    References
    ----------
    Elkan (2001), "The Foundations of Cost-Sensitive Learning", IJCAI, theorem 2. Saerens, Latinne & Decaestecker
    (2002), "Adjusting the Outputs of a Classifier to New a Priori Probabilities", Neural Computation 14(1).

    Examples
    --------
    Trained on equal shares it says one half. Where one in a hundred is positive it means one in a hundred.

    >>> prior_shift([[0.5, 0.5], [0.1, 0.9]], [0.5, 0.5], [0.99, 0.01]).round(4)
    array([[0.99  , 0.01  ],
           [0.9167, 0.0833]])
    """
    p, source, target = reals("p", p, "source", source, "target", target)
    shaped("p", p, (None, None))
    for name, shares in (("source", source), ("target", target)):
        shaped(name, shares, (p.shape[1],))
        if shares.size and not (shares.min() > 0 or (name == "target" and shares.min() == 0)):
            raise ValueError(f"{name}: expected positive shares, got {shares.min():g}")
    out = np.empty_like(p)
    _reweigh(p, target / source, out)
    return out


@kernel
def _reweigh(p, ratio, out):
    for i in range(len(p)):
        row, new, total = p[i], out[i], p.dtype.type(0)
        for k in range(ratio.size):
            new[k] = row[k] * ratio[k]
            total += new[k]
        for k in range(ratio.size):
            new[k] /= total


def _labels(target):
    return labels("target", target, LABELS, (None,))
