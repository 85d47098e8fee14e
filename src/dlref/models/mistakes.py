"""The perceptron: a threshold unit and the rule that corrects it, averaged or with a pocket, and Novikoff's bound."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import finite, generator, integer, number, public, real, shaped
from dlref._compile import kernel
from dlref.models.margin import hard_margin

__all__ = ["Perceptron", "PerceptronBound", "Pocket", "perceptron", "perceptron_bound", "perceptron_pocket"]


class Perceptron(NamedTuple):
    """A trained perceptron: it predicts the sign of ``x @ w + intercept``.

    `averaged` and `averaged_intercept` are means over all steps, `mistakes` counts them in every epoch; `converged`:
    the last epoch had none.
    """

    w: NDArray
    intercept: float
    averaged: NDArray
    averaged_intercept: float
    mistakes: NDArray
    converged: bool


class Pocket(NamedTuple):
    """The best weights that a perceptron has met: `correct` rows of the training set are on their side."""

    w: NDArray
    intercept: float
    correct: int
    steps: int
    converged: bool


class PerceptronBound(NamedTuple):
    """No run from zero makes more than `bound` mistakes: the square of `radius` over `margin`."""

    bound: float
    radius: float
    margin: float
    w: NDArray
    intercept: float


@public
def perceptron(
    x: ArrayLike,
    y: ArrayLike,
    intercept: bool = True,
    lr: float = 1.0,
    rng: np.random.Generator | None = None,
    max_epochs: int = 1000,
    max_mistakes: int | None = None,
) -> Perceptron:
    r"""Train a perceptron from zero: add :math:`\eta y_i x_i` to the weights whenever example i is not on its side.

    A score of zero is a mistake. Training ends with the first epoch that has none, which comes if and only if a
    hyperplane separates the classes.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Training set.
    y : array_like, shape (N,)
        Labels, -1 or 1.
    intercept : bool
        Whether there is a weight for a constant column of ones.
    lr : float
        Learning rate: it scales the weights, and changes no prediction.
    rng : numpy.random.Generator, optional
        Draws the order of the rows in every epoch; None: the rows as they stand.
    max_epochs : int
        Number of epochs at which training ends anyway.
    max_mistakes : int, optional
        Number of mistakes at which it ends anyway.

    Returns
    -------
    Perceptron
        Weights, their means over all steps, and the mistakes of each epoch.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes, labels or options are wrong.

    See Also
    --------
    perceptron_bound : How many mistakes there can be.
    perceptron_pocket : Where no hyperplane separates the classes.
    svm_linear : Looks for the hyperplane with the widest margin.

    References
    ----------
    Rosenblatt (1958), "The perceptron: a probabilistic model for information storage and organization in the brain".
    Freund & Schapire (1999), "Large margin classification using the perceptron algorithm".

    Examples
    --------
    Logical and.

    >>> found = perceptron([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, -1, -1, 1])
    >>> found.w, found.intercept, found.mistakes
    (array([3., 2.]), -4.0, array([2, 3, 3, 2, 2, 3, 2, 1, 0]))
    """
    x, y = _classified(x, y)
    lr = x.dtype.type(number("lr", lr, 0, open_low=True, open_high=True))
    max_epochs, rng = integer("max_epochs", max_epochs, 0), None if rng is None else generator("rng", rng)
    left = np.iinfo(np.int64).max if max_mistakes is None else integer("max_mistakes", max_mistakes, 0)
    n, d = x.shape
    # The last weight is that of the constant column; `late` weighs each step by when it came.
    w, late, seen = np.zeros(d + 1, x.dtype), np.zeros(d + 1, x.dtype), 0
    mistakes: list[int] = []
    constant = x.dtype.type(intercept)
    while len(mistakes) < max_epochs and left > 0 and (not mistakes or mistakes[-1] > 0):
        order = np.arange(n) if rng is None else rng.permutation(n)
        made, done = _epoch(x, y, order, constant, lr, left, seen, w, late)
        mistakes.append(made)
        left, seen = left - made, seen + done
    averaged = w - late / x.dtype.type(max(seen, 1))
    found = w[:d], float(w[d]), averaged[:d], float(averaged[d])
    return Perceptron(*found, np.array(mistakes, np.int64), bool(mistakes) and mistakes[-1] == 0)


@kernel(sums=True)
def _epoch(x, y, order, constant, lr, left, seen, w, late):
    d, mistakes, done = len(w) - 1, 0, 0
    for i in order:
        if mistakes == left:
            break
        row, score = x[i], constant * w[d]
        for c in range(d):
            score += row[c] * w[c]
        if y[i] * score <= 0:
            step, before = lr * y[i], w.dtype.type(seen + done)
            for c in range(d):
                w[c] += step * row[c]
                late[c] += before * step * row[c]
            w[d] += step * constant
            late[d] += before * step * constant
            mistakes += 1
        done += 1
    return mistakes, done


@public
def perceptron_pocket(
    x: ArrayLike, y: ArrayLike, rng: np.random.Generator, intercept: bool = True, max_steps: int = 10_000
) -> Pocket:
    r"""Train a perceptron on random examples, and keep the best weights that it meets.

    Weights go into the pocket when they have been right more often in a row than those there, and are right on more
    rows of the training set: the pocket only gets better.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Training set.
    y : array_like, shape (N,)
        Labels, -1 or 1.
    rng : numpy.random.Generator
        Draws the example of each step.
    intercept : bool
        Whether there is a weight for a constant column of ones.
    max_steps : int
        Number of steps.

    Returns
    -------
    Pocket
        Weights, the number of rows on their side, and the steps; it ends early when that is all of them.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes, labels or options are wrong.

    See Also
    --------
    perceptron : Without a pocket.

    References
    ----------
    Gallant (1990), "Perceptron-based learning algorithms".

    Examples
    --------
    Exclusive or: no line is right on more than three of the four points, and some are.

    >>> perceptron_pocket([[0, 0], [1, 1], [0, 1], [1, 0]], [1, 1, -1, -1], np.random.default_rng(0)).correct
    3
    """
    x, y = _classified(x, y)
    draws = generator("rng", rng).integers(len(x), size=integer("max_steps", max_steps, 0))
    w, pocket = np.zeros((2, x.shape[1] + 1), x.dtype)
    constant = x.dtype.type(intercept)
    steps, correct = _pocket(x, y, draws, constant, w, pocket)
    return Pocket(pocket[:-1], float(pocket[-1]), correct, steps, correct == len(x))


@kernel(sums=True)
def _pocket(x, y, draws, constant, w, pocket):
    d, run, longest, best = len(w) - 1, 0, 0, 0
    for step in range(len(draws)):
        i = draws[step]
        row, score = x[i], constant * w[d]
        for c in range(d):
            score += row[c] * w[c]
        if y[i] * score <= 0:
            for c in range(d):
                w[c] += y[i] * row[c]
            w[d] += y[i] * constant
            run = 0
            continue
        run += 1
        if run > longest:
            correct = 0
            for k in range(len(x)):
                other, score = x[k], constant * w[d]
                for c in range(d):
                    score += other[c] * w[c]
                correct += y[k] * score > 0
            if correct > best:
                best, longest = correct, run
                for c in range(d + 1):
                    pocket[c] = w[c]
            if best == len(x):
                return step + 1, best
    return len(draws), best


@public
def perceptron_bound(x: ArrayLike, y: ArrayLike, intercept: bool = True, tol: float = 1e-3) -> PerceptronBound:
    r"""Bound the mistakes of a perceptron that starts from zero: :math:`(R / \gamma)^2`, by Novikoff's theorem.

    R is the largest length of an example, :math:`\gamma` the widest margin of a hyperplane through the origin, both
    with the constant column. In float64.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Training set.
    y : array_like, shape (N,)
        Labels, -1 or 1.
    intercept : bool
        Whether there is a constant column of ones.
    tol : float
        How far the margin may be below the widest, as a share of it; the bound holds with any. Classes with a margin
        below `tol` times the radius count as not separable.

    Returns
    -------
    PerceptronBound
        The bound, its radius and margin, and the hyperplane with this margin.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes or labels are wrong, or no hyperplane separates the classes.

    See Also
    --------
    perceptron : Makes the mistakes.
    hard_margin : Finds the margin.

    References
    ----------
    Novikoff (1962), "On convergence proofs on perceptrons".

    Examples
    --------
    >>> x, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [-1, -1, -1, 1]
    >>> round(perceptron_bound(x, y, tol=1e-9).bound, 3), perceptron(x, y).mistakes.sum().item()
    (51.0, 18)
    """
    x, y = _classified(np.asarray(real("x", x), np.float64), y)
    if len(x) == 0:
        raise ValueError("x: expected at least one row")
    points = y[:, None] * np.column_stack([x, np.full(len(x), float(intercept))])
    # A hyperplane through the origin with all points on one side separates them from their mirror images.
    street = hard_margin(np.concatenate([points, -points]), np.repeat([1, -1], len(x)), tol=number("tol", tol, 0))
    w = street.w / np.sqrt(street.w @ street.w)
    margin, radius = float((points @ w).min()), float(np.sqrt(np.square(points).sum(axis=1).max()))
    return PerceptronBound((radius / margin) ** 2, radius, margin, w[:-1], float(w[-1]))


def _classified(x, y):
    x, y = real("x", x, 2), real("y", y)
    shaped("y", y, (len(x),))
    if (y * y != 1).any():
        raise ValueError(f"y: expected labels -1 and 1, got {y[y * y != 1][0]:g}")
    finite("x", x)
    return x, y.astype(x.dtype)
