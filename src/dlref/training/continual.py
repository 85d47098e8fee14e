"""Tasks one after the other: what is forgotten, how it is measured, and two ways to forget less."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import index, integer, number, public, real, reals, same_shape, shaped
from dlref._compile import kernel
from dlref.autodiff import flat_parameters, value_and_gradient

__all__ = [
    "TransferMeasures",
    "ewc_penalty",
    "ewc_penalty_backward",
    "fisher_diagonal",
    "reservoir",
    "transfer_measures",
]


class TransferMeasures(NamedTuple):
    """Mean accuracy over all tasks at the end, backward transfer (negative: forgetting), and mean forgetting."""

    accuracy: float
    backward: float
    forgetting: float


@public
def ewc_penalty(theta: ArrayLike, /, anchor: ArrayLike, fisher: ArrayLike, strength: float = 1.0) -> NDArray:
    r"""Return how far parameters have moved, weighted: :math:`\frac{\lambda}{2} \sum_i F_i (\theta_i - \theta^*_i)^2`.

    Added to the loss of a new task it is elastic weight consolidation.

    Parameters
    ----------
    theta : array_like of float32 or float64, any shape
        Parameters.
    anchor : array_like, shape of `theta`
        Where they stood after the task that is to be kept.
    fisher : array_like, shape of `theta`
        How much that task minds a change of each, not negative; from `fisher_diagonal`.
    strength : float
        The weight :math:`\lambda` of the old task.

    Returns
    -------
    ndarray, shape ()
        The penalty.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `strength` is not a number.
    ValueError
        If the shapes differ or `strength` is negative.

    See Also
    --------
    fisher_diagonal : Where the weights come from.
    ewc_penalty_backward : Its gradient.

    References
    ----------
    Kirkpatrick et al. (2017), "Overcoming catastrophic forgetting in neural networks".

    Examples
    --------
    The same step costs nothing along one parameter, and much along the other.

    >>> float(ewc_penalty([1.0, 0.0], [0.0, 0.0], [0.0, 10.0])), float(ewc_penalty([0.0, 1.0], [0.0, 0.0], [0.0, 10.0]))
    (0.0, 5.0)
    """
    theta, anchor, fisher = _same("theta", theta, anchor, fisher)
    total = _penalty(theta.reshape(-1), anchor.reshape(-1), fisher.reshape(-1))
    return np.asarray(number("strength", strength, 0) / 2 * total, theta.dtype)


@public
def ewc_penalty_backward(
    dy: ArrayLike, theta: ArrayLike, /, anchor: ArrayLike, fisher: ArrayLike, strength: float = 1.0
) -> NDArray:
    r"""Return the gradient of `ewc_penalty`: :math:`\bar y\, \lambda F \odot (\theta - \theta^*)`.

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient of the objective with respect to the penalty.
    theta, anchor, fisher, strength
        As for `ewc_penalty`.

    Returns
    -------
    ndarray, shape of `theta`
        The gradient.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `strength` is not a number.
    ValueError
        If the shapes differ or `strength` is negative.

    See Also
    --------
    ewc_penalty : The function.

    References
    ----------
    Kirkpatrick et al. (2017), "Overcoming catastrophic forgetting in neural networks".

    Examples
    --------
    >>> ewc_penalty_backward(1.0, [3.0, 3.0], [1.0, 1.0], [0.0, 0.5])
    array([0., 1.])
    """
    theta, anchor, fisher = _same("theta", theta, anchor, fisher)
    dy = real("dy", dy)
    shaped("dy", dy, ())
    out = np.empty_like(theta)
    factor = float(dy) * number("strength", strength, 0)
    _penalty_gradient(theta.reshape(-1), anchor.reshape(-1), fisher.reshape(-1), factor, out.reshape(-1))
    return out


@kernel(sums=True)
def _penalty(theta, anchor, fisher):
    total = 0.0
    for i in range(theta.size):
        moved = theta[i] - anchor[i]
        total += fisher[i] * moved * moved
    return total


@kernel
def _penalty_gradient(theta, anchor, fisher, factor, out):
    for i in range(out.size):
        out[i] = factor * fisher[i] * (theta[i] - anchor[i])


def _same(name, theta, anchor, fisher):
    theta, anchor, fisher = reals(name, theta, "anchor", anchor, "fisher", fisher)
    same_shape("anchor", anchor, name, theta)
    same_shape("fisher", fisher, name, theta)
    return theta, anchor, fisher


def fisher_diagonal(log_probabilities: Callable, params: Any, x: ArrayLike, labels: ArrayLike | None = None) -> Any:
    r"""Return the diagonal of the Fisher information: :math:`F_i = \E_x \E_{y \sim p(y|x)} (\partial_i \log p(y|x))^2`.

    Parameters
    ----------
    log_probabilities : callable
        Called as ``log_probabilities(params, x[n : n + 1])``; returns logarithms of class probabilities, shape (1, K),
        and is written as for `dlref.autodiff.value_and_gradient`.
    params : array, or (nested) tuple, NamedTuple, list or dict of arrays
        Where to take it.
    x : array_like, examples along the first axis
        Inputs. Each costs one backward pass for every class.
    labels : array_like of int, shape (N,), optional
        With labels from the data the result is the *empirical* Fisher, another matrix, for one pass each. None: all
        classes count, with the probabilities that the model gives them.

    Returns
    -------
    structure of `params`
        The mean over the examples; not negative.

    Raises
    ------
    TypeError
        If `labels` are not integers, or `log_probabilities` does something that has no gradient.
    ValueError
        If there are no examples, or a label is no class.

    See Also
    --------
    ewc_penalty : What it is for.

    References
    ----------
    Kirkpatrick et al. (2017), "Overcoming catastrophic forgetting in neural networks".

    Examples
    --------
    A single probability with the logit theta: the information is p (1 - p).

    >>> from dlref.activations import log_softmax
    >>> def log_probabilities(theta, x):
    ...     return log_softmax(theta * np.array([[0.0, 1.0]]))
    >>> round(float(fisher_diagonal(log_probabilities, np.log(3.0), np.zeros(1))), 6)
    0.1875
    """
    x = np.asarray(x)
    if not len(x):
        raise ValueError("x: expected at least one example, got none")
    classes = np.exp(np.asarray(log_probabilities(params, x[:1]))).shape[1]
    if labels is not None:
        labels = index("labels", labels, classes, (len(x),))
    vector, views = flat_parameters(params)
    total = np.zeros_like(vector)
    g, gradients = flat_parameters(params)
    for n in range(len(x)):
        one = x[n : n + 1]
        p = np.exp(np.asarray(log_probabilities(views, one))[0]) if labels is None else np.eye(classes)[labels[n]]
        for k in np.flatnonzero(p):
            value_and_gradient(lambda q, a, c=int(k): log_probabilities(q, a)[0, c], views, one, out=gradients)
            _add_square(g, float(p[k]) / len(x), total)
    vector[...] = total
    return views


@kernel
def _add_square(g, weight, total):
    for i in range(g.size):
        total[i] += weight * g[i] * g[i]


def transfer_measures(accuracy: ArrayLike) -> TransferMeasures:
    r"""Return how much of earlier tasks is left after the last one.

    Parameters
    ----------
    accuracy : array_like of float32 or float64, shape (T, T)
        ``accuracy[i, j]`` is that on task j after training on tasks 0 to i, in this order. What stands above the
        diagonal, tasks that have not been seen, is not looked at.

    Returns
    -------
    TransferMeasures
        ``accuracy``, the mean of the last row; ``backward``, the mean of :math:`R_{Tj} - R_{jj}` over the tasks before
        the last; ``forgetting``, the mean of :math:`\max_{j \le i < T} R_{ij} - R_{Tj}` over the same ones. The last
        two are zero for a single task.

    Raises
    ------
    TypeError
        If `accuracy` is neither real nor integer.
    ValueError
        If `accuracy` is not square, or has no entry.

    See Also
    --------
    ewc_penalty : One way to forget less.
    reservoir : Another one.

    References
    ----------
    Lopez-Paz & Ranzato (2017), "Gradient episodic memory for continual learning".

    Examples
    --------
    The first task was best after the second one, and half of it is lost after the third.

    >>> transfer_measures([[0.5, 0.0, 0.0], [1.0, 0.75, 0.0], [0.5, 0.75, 1.0]])
    TransferMeasures(accuracy=0.75, backward=0.0, forgetting=0.25)
    """
    accuracy = real("accuracy", accuracy, 2)
    shaped("accuracy", accuracy, (len(accuracy), len(accuracy)))
    if not len(accuracy):
        raise ValueError("accuracy: expected at least one task, got none")
    return TransferMeasures(*_measures(accuracy))


@kernel(sums=True)
def _measures(accuracy):
    tasks = len(accuracy)
    last = accuracy[tasks - 1]
    mean, backward, forgetting = last[tasks - 1] / tasks, 0.0, 0.0
    for j in range(tasks - 1):
        mean += last[j] / tasks
        best = accuracy[j, j]
        for i in range(j, tasks - 1):
            best = max(best, accuracy[i, j])
        backward += (last[j] - accuracy[j, j]) / (tasks - 1)
        forgetting += (best - last[j]) / (tasks - 1)
    return mean, backward, forgetting


def reservoir(n: int, size: int, rng: np.random.Generator) -> NDArray:
    r"""Return which examples of a stream are in a memory of fixed size: each of the n with probability size / n.

    The length of the stream need not be known: the first examples fill the memory, and number t, counting from 1,
    replaces a random entry with probability :math:`m / t`.

    Parameters
    ----------
    n : int
        How many examples have passed.
    size : int
        Places m in the memory.
    rng : numpy.random.Generator
        Draws n uniform numbers.

    Returns
    -------
    ndarray of int64, shape (min(n, size),)
        Numbers of the examples that are kept, by place.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If a number is negative.

    See Also
    --------
    transfer_measures : What rehearsal with such a memory is measured by.

    References
    ----------
    Lopez-Paz & Ranzato (2017), "Gradient episodic memory for continual learning".

    Examples
    --------
    >>> np.sort(reservoir(1000, 5, np.random.default_rng(0)))
    array([ 21, 403, 608, 850, 921])
    """
    uniforms = rng.random(integer("n", n, 0))
    out = np.empty(min(n, integer("size", size, 0)), np.int64)
    _keep(uniforms, out)
    return out


@kernel
def _keep(uniforms, out):
    for t in range(uniforms.size):
        if t < out.size:
            out[t] = t
        else:
            place = int(uniforms[t] * (t + 1))
            if place < out.size:
                out[place] = t
