"""Search over a table of choices: at random, by aging evolution, and by a mixture whose weights are learned.

The interface is that of `dlref.training.tuning`: random search is `search` over `random_candidates`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, public, real, reals, shaped
from dlref._compile import kernel
from dlref._math import tanh
from dlref.training.tuning import Search, Trial, _candidate, _choices, _finished, _scored

__all__ = [
    "MixedOperationGradients",
    "expected_best",
    "mixed_operation",
    "mixed_operation_backward",
    "regularized_evolution",
]

OPERATIONS = 4


class MixedOperationGradients(NamedTuple):
    """Gradients with respect to the input and to the scores of the operations."""

    x: NDArray
    logits: NDArray


def regularized_evolution(
    score: Callable[[dict], float],
    space: Mapping[str, Sequence],
    budget: int,
    rng: np.random.Generator,
    population: int = 10,
    sample: int = 3,
) -> Search:
    """Search by aging evolution: mutate the best of a sample, and let the oldest die.

    Parameters
    ----------
    score : callable
        Called as ``score(candidate)``; larger is better. A candidate may be scored again.
    space : mapping from str to sequence
        The choices at each position, at least two.
    budget : int
        How many trials, at least `population`.
    rng : numpy.random.Generator
        Draws the first population, the samples, and the one position that a child changes.
    population : int
        How many are alive.
    sample : int
        Of how many, drawn with replacement, the best one has a child.

    Returns
    -------
    Search
        ``best``, its ``score`` and the ``trials`` in the order of birth.

    Raises
    ------
    TypeError
        If a number is not an integer, a score is not a number, or `space` is not a mapping to sequences.
    ValueError
        If a number is too small, a position has no choice, or every score is NaN.

    See Also
    --------
    search : With `random_candidates` the baseline.
    regret : How far from the best a search ends.

    References
    ----------
    Real et al. (2019), "Regularized Evolution for Image Classifier Architecture Search", AAAI.

    Examples
    --------
    >>> space = dict.fromkeys("abcd", range(5))
    >>> found = regularized_evolution(lambda c: sum(c.values()), space, 60, np.random.default_rng(0))
    >>> print(found.scores[:10].max(), found.score, found.best)
    12.0 15.0 {'a': 4, 'b': 4, 'c': 3, 'd': 4}
    """
    lists = _choices(space, 2)
    if not lists:
        raise ValueError("space: expected at least one position, got none")
    population, sample = integer("population", population, 1), integer("sample", sample, 1)
    budget = integer("budget", budget, population)
    sizes = np.array([len(values) for values in lists.values()])
    born, trials = np.empty((budget, len(sizes)), np.int64), []
    fitness = np.empty(budget)
    for step in range(budget):
        if step < population:
            born[step] = rng.integers(sizes)
        else:
            alive = rng.integers(step - population, step, sample)
            born[step] = born[alive[np.argmax(fitness[alive])]]
            place = rng.integers(len(sizes))
            # Any other choice, each equally likely.
            born[step, place] = (born[step, place] + rng.integers(1, sizes[place])) % sizes[place]
        candidate = _candidate(lists, born[step])
        trials.append(Trial(candidate, _scored(score(candidate))))
        # NaN is the worst of all.
        fitness[step] = np.nan_to_num(trials[-1].score, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    return _finished(trials)


@public
def expected_best(scores: ArrayLike) -> NDArray:
    r"""Return the expected best score of 1, 2, ..., n draws from a table, without replacement.

    With the scores sorted from low to high, it is
    :math:`\sum_i s_{(i)} \binom{i - 1}{m - 1} / \binom{n}{m}` for m draws.

    Parameters
    ----------
    scores : array_like of float32 or float64, shape (n,)
        The scores of all architectures.

    Returns
    -------
    ndarray, shape (n,)
        From the mean to the maximum: what random search reaches on average.

    Raises
    ------
    TypeError
        If the scores are neither real nor integer.
    ValueError
        If they are not in a row.

    See Also
    --------
    regret : Of runs; best minus this is the mean of random search.

    References
    ----------
    Li & Talwalkar (2019), "Random Search and Reproducibility for Neural Architecture Search", UAI.

    Examples
    --------
    >>> expected_best([1.0, 2.0, 6.0])
    array([3.        , 4.66666667, 6.        ])
    """
    scores = real("scores", scores, 1)
    out = np.empty_like(scores)
    _expect(np.sort(scores), out)
    return out


@public
def mixed_operation(x: ArrayLike, logits: ArrayLike, /) -> NDArray:
    r"""Return a mixture of four operations: :math:`\sum_o \operatorname{softmax}(\alpha)_o\, o(x)`.

    The operations are zero, the identity, ReLU and tanh.

    Parameters
    ----------
    x : array_like of float32 or float64, any shape
        Pre-activations.
    logits : array_like, shape (4,)
        The scores :math:`\alpha` of the operations, in this order.

    Returns
    -------
    ndarray
        The mixture, of the shape of `x`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If there are not four scores.

    See Also
    --------
    regularized_evolution : Chooses one operation at each place.

    References
    ----------
    Liu, Simonyan & Yang (2019), "DARTS: Differentiable Architecture Search", ICLR.

    Examples
    --------
    >>> mixed_operation([-1.0, 1.0], [0.0, 0.0, 0.0, 0.0]).round(4)
    array([-0.4404,  0.6904])
    """
    x, logits = reals("x", x, "logits", logits)
    shaped("logits", logits, (OPERATIONS,))
    out = np.empty_like(x)
    _mix(x.reshape(-1), _shares(logits), out.reshape(-1))
    return out


@public
def mixed_operation_backward(dy: ArrayLike, x: ArrayLike, logits: ArrayLike, /) -> MixedOperationGradients:
    r"""Return the gradients with respect to the input and to the scores.

    They are :math:`\bar x = \bar y \sum_o p_o o'(x)` and :math:`\bar\alpha_o = p_o (g_o - \sum_u p_u g_u)` with the
    softmax p of the scores and :math:`g_o = \sum_i \bar y_i\, o(x_i)`.

    Parameters
    ----------
    dy : array_like, shape of the result
        Gradient with respect to the mixture.
    x, logits : array_like
        As in the forward pass.

    Returns
    -------
    MixedOperationGradients
        `x` and `logits`; the latter sum to zero. At 0 the slope of ReLU is taken as 0.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    mixed_operation : The forward pass.

    References
    ----------
    Liu, Simonyan & Yang (2019), "DARTS: Differentiable Architecture Search", ICLR.

    Examples
    --------
    >>> gradient = mixed_operation_backward([1.0], [2.0], [0.0, 0.0, 0.0, 0.0])
    >>> gradient.x.round(4), gradient.logits.round(4)
    (array([0.5177]), array([-0.3103,  0.1897,  0.1897, -0.0692]))
    """
    dy, x, logits = reals("dy", dy, "x", x, "logits", logits)
    shaped("logits", logits, (OPERATIONS,))
    shaped("dy", dy, x.shape)
    p, dx, pull = _shares(logits), np.empty_like(x), np.zeros(OPERATIONS)
    _mix_backward(dy.reshape(-1), x.reshape(-1), p, dx.reshape(-1), pull)
    return MixedOperationGradients(dx, (p * (pull - p @ pull)).astype(x.dtype))


def _shares(logits):
    with np.errstate(invalid="ignore"):  # infinite scores make NaN, as in the softmax
        p = np.exp(logits - logits.max())
        return p / p.sum()


@kernel(sums=True)
def _expect(scores, out):
    n = scores.size
    for m in range(1, n + 1):
        # The largest one is the best with probability m / n; from each to the
        # next below the probability changes by a factor.
        chance, total = m / n, 0.0
        for i in range(n, m - 1, -1):
            total += chance * scores[i - 1]
            if i > m:
                chance *= (i - m) / (i - 1)
        out[m - 1] = total


@kernel
def _mix(x, p, out):
    zero = x.dtype.type(0)
    for i in range(x.size):
        positive = x[i] if x[i] > zero else zero
        out[i] = p[1] * x[i] + p[2] * positive + p[3] * tanh(x[i])


@kernel(sums=True)
def _mix_backward(dy, x, p, dx, pull):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    identity, rectified, squashed = 0.0, 0.0, 0.0
    for i in range(x.size):
        bent, slope = tanh(x[i]), one if x[i] > zero else zero
        dx[i] = dy[i] * (p[1] + p[2] * slope + p[3] * (one - bent * bent))
        identity += dy[i] * x[i]
        rectified += dy[i] * (x[i] if x[i] > zero else zero)
        squashed += dy[i] * bent
    pull[1], pull[2], pull[3] = identity, rectified, squashed
