"""Search over a table of choices: at random, by aging evolution, and by a mixture whose weights are learned."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, public, real, reals, shaped
from dlref._compile import kernel
from dlref._math import tanh

__all__ = [
    "ArchitectureSearch",
    "MixedOperationGradients",
    "expected_best",
    "mixed_operation",
    "mixed_operation_backward",
    "random_search",
    "regularized_evolution",
]

OPERATIONS = 4


class ArchitectureSearch(NamedTuple):
    """The architectures that a search evaluated, in order, and their scores."""

    architectures: NDArray
    scores: NDArray


class MixedOperationGradients(NamedTuple):
    """Gradients with respect to the input and to the scores of the operations."""

    x: NDArray
    logits: NDArray


@public
def random_search(
    evaluate: Callable[[tuple[int, ...]], float], space: Sequence[int], budget: int, rng: np.random.Generator
) -> ArchitectureSearch:
    """Evaluate architectures drawn uniformly, none of them twice.

    Parameters
    ----------
    evaluate : callable
        Takes an architecture, a tuple of one choice for each position, and returns its score, the higher the better.
    space : sequence of int
        The number of choices at each position, numbered from 0.
    budget : int
        How many to evaluate, at most all.
    rng : numpy.random.Generator
        Draws the order.

    Returns
    -------
    ArchitectureSearch
        Architectures of shape (budget, positions), and their scores.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If the space is smaller than the budget.

    See Also
    --------
    expected_best : How good it is, exactly, where all scores are known.

    References
    ----------
    Li & Talwalkar (2019), "Random Search and Reproducibility for Neural Architecture Search", UAI.

    Examples
    --------
    >>> random_search(sum, [3, 3], 3, np.random.default_rng(0)).scores
    array([3., 2., 3.])
    """
    sizes = _sizes(space)
    total = int(np.prod(sizes))
    budget = integer("budget", budget, 0, total)
    chosen = np.stack(np.unravel_index(rng.choice(total, budget, replace=False), sizes), axis=1)
    return ArchitectureSearch(chosen, np.array([float(evaluate(tuple(row))) for row in chosen.tolist()]))


@public
def regularized_evolution(
    evaluate: Callable[[tuple[int, ...]], float],
    space: Sequence[int],
    budget: int,
    rng: np.random.Generator,
    population: int = 10,
    sample: int = 3,
) -> ArchitectureSearch:
    """Evaluate architectures by aging evolution: mutate the best of a sample, and let the oldest die.

    Parameters
    ----------
    evaluate : callable
        As for `random_search`. An architecture may be evaluated again.
    space : sequence of int
        The number of choices at each position, at least 2.
    budget : int
        How many to evaluate, at least `population`.
    rng : numpy.random.Generator
        Draws the first population, the samples, and the one position that a child changes.
    population : int
        How many are alive.
    sample : int
        Of how many, drawn with replacement, the best one has a child.

    Returns
    -------
    ArchitectureSearch
        Architectures of shape (budget, positions), and their scores, in the order of their birth.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If a number is too small.

    See Also
    --------
    random_search : The baseline.

    References
    ----------
    Real et al. (2019), "Regularized Evolution for Image Classifier Architecture Search", AAAI.

    Examples
    --------
    >>> run = regularized_evolution(sum, [5] * 4, 60, np.random.default_rng(0))
    >>> print(run.scores[:10].max(), run.scores.max())
    12.0 15.0
    """
    sizes = _sizes(space, 2)
    population, sample = integer("population", population, 1), integer("sample", sample, 1)
    budget = integer("budget", budget, population)
    born = np.empty((budget, len(sizes)), np.int64)
    scores = np.empty(budget)
    for step in range(budget):
        if step < population:
            born[step] = rng.integers(sizes)
        else:
            alive = rng.integers(step - population, step, sample)
            born[step] = born[alive[np.argmax(scores[alive])]]
            place = rng.integers(len(sizes))
            # Any other choice, each equally likely.
            born[step, place] = (born[step, place] + rng.integers(1, sizes[place])) % sizes[place]
        scores[step] = evaluate(tuple(born[step].tolist()))
    return ArchitectureSearch(born, scores)


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
    random_search : One run.

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
    random_search : Chooses one operation at a time.

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


def _sizes(space, least=1):
    return tuple(integer("space", size, least) for size in space)


def _shares(logits):
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
    for i in range(x.size):
        bent = tanh(x[i])
        open_ = x[i] > 0
        dx[i] = dy[i] * (p[1] + p[2] * open_ + p[3] * (1 - bent * bent))
        pull[1] += dy[i] * x[i]
        pull[2] += dy[i] * x[i] * open_
        pull[3] += dy[i] * bent
