"""The search for hyperparameters and architectures: candidates, strategies, what judges them, and the regret.

A candidate is anything; `grid` and `random_candidates` make dicts from a space. A strategy takes a function
``score(candidate)``, the larger the better, and returns a `Search`. Whether the score comes from one split, from
`cross_validate` or from a table is the caller's affair.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, number, public, real, shaped
from dlref._compile import kernel
from dlref._math import exp, log
from dlref.training.loop import shuffled

__all__ = [
    "Fold",
    "Regret",
    "Search",
    "Trial",
    "cross_validate",
    "grid",
    "k_folds",
    "log_uniform",
    "random_candidates",
    "regret",
    "search",
    "successive_halving",
]


class Fold(NamedTuple):
    """Numbers of the examples to train on and to validate on."""

    train: NDArray
    validation: NDArray


class Trial(NamedTuple):
    """A candidate, its mean score, and the resource that was spent on each of its trainings (None: all)."""

    candidate: Any
    score: float
    resource: int | None = None


class Search(NamedTuple):
    """The best candidate and its score, and all trials in the order in which they were made."""

    best: Any
    score: float
    trials: list[Trial]

    @property
    def scores(self) -> NDArray:
        """Return the scores of all trials.

        Returns
        -------
        ndarray
            In the order of the trials.
        """
        return np.array([trial.score for trial in self.trials])


class Regret(NamedTuple):
    """The regret of each run, in rows; its mean over the runs, and the edges of a band around it."""

    runs: NDArray
    mean: NDArray
    low: NDArray
    high: NDArray


def grid(space: Mapping[str, Sequence]) -> list[dict]:
    r"""Return every combination of values: :math:`\prod_j n_j` candidates, the last name changing fastest.

    Parameters
    ----------
    space : mapping from str to sequence
        The values of each hyperparameter.

    Returns
    -------
    list of dict
        One candidate for each combination; names keep their order.

    Raises
    ------
    TypeError
        If `space` is not a mapping to sequences.
    ValueError
        If a hyperparameter has no values.

    See Also
    --------
    random_candidates : Independent draws instead.
    search : Tries them.

    References
    ----------
    Bergstra & Bengio (2012), "Random search for hyper-parameter optimization".

    Examples
    --------
    >>> grid({"lr": [0.1, 0.01], "width": [8, 16]})
    [{'lr': 0.1, 'width': 8}, {'lr': 0.1, 'width': 16}, {'lr': 0.01, 'width': 8}, {'lr': 0.01, 'width': 16}]
    """
    candidates: list[dict] = [{}]
    for name, values in _choices(space).items():
        candidates = [candidate | {name: value} for candidate in candidates for value in values]
    return candidates


def _choices(space, least=1, functions=False):
    """Return the space as a dict of sequences with at least so many values, or of functions where they are allowed."""
    if not isinstance(space, Mapping):
        raise TypeError(f"space: expected a mapping from names to values, got {type(space).__name__}")
    for name, values in space.items():
        if functions and callable(values):
            continue
        if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
            raise TypeError(f"space: expected a sequence of values for {name!r}, got {type(values).__name__}")
        if len(values) < least:
            raise ValueError(f"space: expected {least} or more values for {name!r}, got {len(values)}")
    return dict(space)


def log_uniform(u: ArrayLike, low: float, high: float) -> NDArray:
    r"""Return numbers whose logarithm is uniform: :math:`a\, (b/a)^u` for uniform u.

    Every factor of ten between the bounds is equally likely, which is what a learning rate wants.

    Parameters
    ----------
    u : array_like of float32 or float64, any shape
        Uniform numbers from 0 to 1: the result is the quantile at u.
    low, high : float
        Bounds a and b, positive.

    Returns
    -------
    ndarray, same shape
        Numbers between the bounds, which are never left by rounding.

    Raises
    ------
    TypeError
        If `u` is neither real nor integer, or a bound is not a number.
    ValueError
        If an entry of `u` is outside 0 to 1, or not 0 < low <= high.

    See Also
    --------
    random_candidates : Draws them.

    References
    ----------
    Bergstra & Bengio (2012), "Random search for hyper-parameter optimization".

    Examples
    --------
    >>> log_uniform([0.0, 0.25, 0.5, 1.0], low=1e-4, high=1.0)
    array([1.e-04, 1.e-03, 1.e-02, 1.e+00])
    """
    u = real("u", u)
    if ((u < 0) | (u > 1)).any():
        raise ValueError("u: expected numbers from 0 to 1")
    low = number("low", low, 0, open_low=True)
    high = number("high", high, low, math.inf, open_high=True)
    out = np.empty_like(u)
    _quantile(u.reshape(-1), low, high, out.reshape(-1))
    return out


@kernel
def _quantile(u, low, high, out):
    start, width = log(low), log(high) - log(low)
    for i in range(out.size):
        # the ends are met exactly
        out[i] = min(max(exp(start + width * u[i]), low), high)


@public
def random_candidates(space: Mapping[str, Any], n: int, rng: np.random.Generator, replace: bool = True) -> list[dict]:
    r"""Return candidates whose hyperparameters are drawn independently, or different points of a grid.

    Parameters
    ----------
    space : mapping from str to sequence or callable
        For each hyperparameter the values to choose from, all equally likely, or a function of a uniform number that
        returns a value, such as ``lambda u: log_uniform(u, 1e-4, 1.0)``.
    n : int
        How many candidates.
    rng : numpy.random.Generator
        Draws one uniform number for each hyperparameter of each candidate, or else the points of the grid.
    replace : bool
        Whether a candidate may come again. If not, all hyperparameters have lists of values.

    Returns
    -------
    list of dict
        ``n`` candidates. With replacement, more of them begin with the same ones.

    Raises
    ------
    TypeError
        If `n` is not an integer, or `space` is not a mapping to sequences and functions.
    ValueError
        If `n` is negative, or larger than the grid without replacement, or a hyperparameter has no values.

    See Also
    --------
    grid : Every combination.
    log_uniform : For rates and strengths.

    References
    ----------
    Bergstra & Bengio (2012), "Random search for hyper-parameter optimization".

    Examples
    --------
    >>> space = {"lr": lambda u: float(log_uniform(u, 1e-3, 1.0)), "width": [8, 16, 32]}
    >>> for candidate in random_candidates(space, 3, np.random.default_rng(0)):
    ...     print(round(candidate["lr"], 4), candidate["width"])
    0.0814 8
    0.0013 8
    0.2753 32
    """
    lists = _choices(space, functions=replace)
    if replace:
        uniforms = rng.random((integer("n", n, 0), len(lists)))
        return [
            {name: _chosen(kind, u) for (name, kind), u in zip(lists.items(), row, strict=True)} for row in uniforms
        ]
    total = math.prod(len(values) for values in lists.values())
    return [_numbered(lists, int(k)) for k in rng.choice(total, integer("n", n, 0, total), replace=False)]


def _chosen(kind, u):
    return kind(float(u)) if callable(kind) else kind[int(u * len(kind))]


def _numbered(lists, k):
    """Return the k-th combination in the order of `grid`."""
    places = []
    for values in reversed(lists.values()):
        k, place = divmod(k, len(values))
        places.append(place)
    return _candidate(lists, places[::-1])


def _candidate(lists, places):
    return {name: values[k] for (name, values), k in zip(lists.items(), places, strict=True)}


def k_folds(n: int, k: int, rng: np.random.Generator | None = None) -> list[Fold]:
    r"""Return the k splits of cross-validation: each example validates once and trains :math:`k - 1` times.

    Parameters
    ----------
    n : int
        Number of examples.
    k : int
        Number of folds, at least 2 and at most n.
    rng : numpy.random.Generator or None
        Draws the order of the examples; None keeps it, which is wrong for data that is sorted.

    Returns
    -------
    list of Fold
        ``train`` and ``validation``, sorted. The first ``n % k`` validation sets have one example more.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If `k` is not between 2 and `n`.

    See Also
    --------
    cross_validate : The mean score over them.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), "Deep learning", algorithm 5.1.

    Examples
    --------
    >>> for fold in k_folds(5, 2):
    ...     print(fold.train, fold.validation)
    [3 4] [0 1 2]
    [0 1 2] [3 4]
    """
    n = integer("n", n, 2)
    k = integer("k", k, 2, n)
    order = np.arange(n) if rng is None else shuffled(n, rng)
    fold = np.empty(n, np.int64)
    _assign(order, k, fold)
    return [Fold(np.flatnonzero(fold != j), np.flatnonzero(fold == j)) for j in range(k)]


@kernel
def _assign(order, k, fold):
    size, extra = order.size // k, order.size % k
    start = 0
    for j in range(k):
        stop = start + size + (1 if j < extra else 0)
        for i in range(start, stop):
            fold[order[i]] = j
        start = stop


def cross_validate(score: Callable, candidate: Any, folds: Sequence[Fold], resource: int | None = None) -> float:
    r"""Return the mean score of a candidate over the folds, each of them weighing the same.

    Parameters
    ----------
    score : callable
        Called as ``score(candidate, train, validation)``, or with ``resource`` as a fourth argument if there is one:
        trains on the examples with the numbers ``train`` and returns a number for ``validation``, larger is better.
    candidate
        What is handed to `score`.
    folds : sequence of Fold
        From `k_folds`, or any pairs of index arrays.
    resource : int, optional
        How much may be spent on each training: epochs, examples, trees.

    Returns
    -------
    float
        The mean.

    Raises
    ------
    TypeError
        If a score is not a number, or the folds are not pairs.
    ValueError
        If there are no folds.

    See Also
    --------
    search : Over many candidates.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), "Deep learning", algorithm 5.1.

    Examples
    --------
    How well the mean of the training examples predicts, shrunk by a factor.

    >>> x = np.array([3.0, 4.0, 5.0, 4.0])
    >>> def score(factor, train, validation):
    ...     return -np.mean((factor * x[train].mean() - x[validation]) ** 2)
    >>> cross_validate(score, 1.0, k_folds(4, 2)), cross_validate(score, 0.5, k_folds(4, 2))
    (-1.25, -4.8125)
    """
    try:
        pairs = [(train, validation) for train, validation in folds]
    except (TypeError, ValueError):
        raise TypeError("folds: expected pairs of index arrays, for training and for validation") from None
    if not pairs:
        raise ValueError("folds: expected at least one, got none")
    extra = () if resource is None else (resource,)
    return float(np.mean([_scored(score(candidate, *pair, *extra)) for pair in pairs]))


def _scored(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"score: expected a function that returns a number, got {type(value).__name__}") from None


def search(score: Callable[[Any], float], candidates: Iterable) -> Search:
    r"""Return the candidate with the best score; of equal ones the first.

    Parameters
    ----------
    score : callable
        Called as ``score(candidate)``; larger is better.
    candidates : iterable
        From `grid`, `random_candidates` or by hand.

    Returns
    -------
    Search
        ``best``, its ``score`` and all ``trials``. A score of NaN never wins. The score of the winner is optimistic, as
        it was selected: report another one, on data that no trial has seen.

    Raises
    ------
    TypeError
        If a score is not a number.
    ValueError
        If there are no candidates, or every score is NaN.

    See Also
    --------
    cross_validate : A score from several splits.
    successive_halving : The same for less.
    regularized_evolution : Candidates that depend on the scores so far.
    regret : How far from the best a search ends.

    References
    ----------
    Bergstra & Bengio (2012), "Random search for hyper-parameter optimization".

    Examples
    --------
    >>> x = np.array([3.0, 4.0, 5.0, 4.0])
    >>> def score(candidate, train, validation):
    ...     return -np.mean((candidate["factor"] * x[train].mean() - x[validation]) ** 2)
    >>> search(lambda c: cross_validate(score, c, k_folds(4, 2)), grid({"factor": [0.5, 1.0, 2.0]})).best
    {'factor': 1.0}
    """
    return _finished([Trial(candidate, _scored(score(candidate))) for candidate in candidates])


def _finished(trials):
    best = _best(trials, 1)[0]
    return Search(best.candidate, best.score, trials)


def _best(trials, count):
    """Return the best trials, NaN last; of equal ones the first come first."""
    if all(math.isnan(trial.score) for trial in trials):
        raise ValueError(f"candidates: expected a score that is a number, got {len(trials)} candidates without one")
    return sorted(trials, key=lambda trial: -math.inf if math.isnan(trial.score) else trial.score, reverse=True)[:count]


def successive_halving(
    score: Callable[[Any, int], float], candidates: Iterable, min_resource: int = 1, factor: int = 3
) -> Search:
    r"""Return the winner of a tournament: all candidates get a little, the best of them more, until few are left.

    Round i spends :math:`r_i = r_0 \eta^i` on each training and keeps the best :math:`\lceil n_i / \eta \rceil` of its
    :math:`n_i` candidates, so that every round costs about the same. It ends with the round that has at most
    :math:`\eta` candidates.

    Parameters
    ----------
    score : callable
        Called as ``score(candidate, resource)``; larger is better. The resource is what may be spent on the training:
        epochs, examples, trees.
    candidates : iterable
        From `grid`, `random_candidates` or by hand.
    min_resource : int
        What each training of the first round may spend.
    factor : int
        The reduction :math:`\eta`, at least 2.

    Returns
    -------
    Search
        ``best``, the winner of the last round, with its ``score`` there, and the ``trials`` of all rounds.

    Raises
    ------
    TypeError
        If a number is not an integer, or a score is not a number.
    ValueError
        If there are no candidates, every score of a round is NaN, or a number is outside its range.

    See Also
    --------
    search : All candidates at full cost.

    References
    ----------
    Jamieson & Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter optimization".

    Examples
    --------
    Nine candidates that need time to show what they are worth: rounds of 9, 3 with resources of 1 and 3.

    >>> result = successive_halving(lambda candidate, resource: candidate * (1 - 0.5**resource), range(9))
    >>> result.best, [(trial.candidate, trial.resource) for trial in result.trials[9:]]
    (8, [(8, 3), (7, 3), (6, 3)])
    """
    resource, factor = integer("min_resource", min_resource, 1), integer("factor", factor, 2)
    trials: list[Trial] = []
    alive = list(candidates)
    while True:
        made = [Trial(candidate, _scored(score(candidate, resource)), resource) for candidate in alive]
        trials += made
        if len(alive) <= factor:
            return _finished(made)._replace(trials=trials)
        alive = [trial.candidate for trial in _best(made, -(-len(alive) // factor))]
        resource *= factor


def regret(scores: ArrayLike, best: ArrayLike, level: float = 0.8) -> Regret:
    r"""Return how much is lost by ending a search after 1, 2, ... trials: :math:`s^* - \max_{j \le i} s_j`.

    Parameters
    ----------
    scores : array_like of float32 or float64, shape (R, n)
        The scores of R runs of a search in the order of their trials, as in `Search.scores`.
    best : array_like, shape () or (R,)
        The best score there is, for all runs or for each.
    level : float
        The share of the runs inside the band, in (0, 1).

    Returns
    -------
    Regret
        ``runs`` of shape (R, n); ``mean``, ``low`` and ``high`` of shape (n,): the mean over the runs, and the values
        between which lie at least the share `level` of them. A score of NaN never leads.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `level` is not a number.
    ValueError
        If there are no runs, the shapes do not fit, or `level` is outside its range.

    See Also
    --------
    search : Makes the trials.
    expected_best : Its mean for random search, exactly.

    References
    ----------
    Li & Talwalkar (2019), "Random Search and Reproducibility for Neural Architecture Search", UAI.

    Examples
    --------
    Two runs of three trials, in a space whose best score is 1.

    >>> found = regret([[0.5, 0.25, 1.0], [0.25, 0.75, 0.5]], 1.0)
    >>> found.mean, found.low, found.high
    (array([0.625, 0.375, 0.125]), array([0.5 , 0.25, 0.  ]), array([0.75, 0.5 , 0.25]))
    """
    scores, best = real("scores", scores, 2), real("best", best)
    if not len(scores):
        raise ValueError("scores: expected at least one run, got none")
    if best.ndim:
        shaped("best", best, (len(scores),))
    level = number("level", level, 0, 1, open_low=True, open_high=True)
    runs = np.empty_like(scores)
    _lost(scores, np.require(np.broadcast_to(best, len(scores)), scores.dtype, ["C", "W"]), runs)
    # Without interpolation the edges are runs of their own, infinite ones included.
    low = np.quantile(runs, (1 - level) / 2, axis=0, method="lower")
    high = np.quantile(runs, (1 + level) / 2, axis=0, method="higher")
    return Regret(runs, runs.mean(axis=0, dtype=np.float64).astype(runs.dtype), low, high)


@kernel
def _lost(scores, best, out):
    for r in range(len(scores)):
        row, leader = scores[r], scores.dtype.type(-np.inf)
        for i in range(row.size):
            # A comparison with NaN is false.
            if row[i] > leader:
                leader = row[i]
            out[r, i] = best[r] - leader
