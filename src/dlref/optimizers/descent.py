"""Gradient descent: the step, its best length on a quadratic, and batches from all examples to one."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import index, integer, number, real, reals, same_shape, shaped
from dlref._compile import kernel, prange
from dlref.optimizers._protocol import Step, arrays_of

__all__ = ["SGDState", "exact_rate", "sgd", "sgd_least_squares", "sgd_state"]


class SGDState(NamedTuple):
    """Gradient descent remembers nothing but the number of its steps."""

    t: int


def sgd_state(p: ArrayLike) -> SGDState:
    r"""Return the state of gradient descent before the first step: no step counted.

    Parameters
    ----------
    p : array_like of float32 or float64, any shape
        The parameters; nothing of them matters.

    Returns
    -------
    SGDState
        ``t = 0``.

    Raises
    ------
    TypeError
        If `p` is neither real nor integer.

    See Also
    --------
    sgd : The step.

    References
    ----------
    Robbins & Monro (1951), "A stochastic approximation method".

    Examples
    --------
    >>> sgd_state([1.0, 2.0])
    SGDState(t=0)
    """
    real("p", p)
    return SGDState(0)


def sgd(
    p: ArrayLike,
    g: ArrayLike,
    state: SGDState,
    lr: float,
    weight_decay: float = 0.0,
    out: tuple[NDArray, SGDState] | None = None,
) -> Step:
    r"""Take one step of gradient descent: :math:`p \leftarrow p - \eta\, (g + \lambda p)`.

    It is batch, mini-batch or stochastic gradient descent by where `g` comes from: all examples, some, or one.

    Parameters
    ----------
    p : array_like of float32 or float64, any shape
        Parameters.
    g : array_like, shape of `p`
        Gradient of the loss at `p`, or an estimate of it.
    state : SGDState
        From `sgd_state` or from the step before.
    lr : float
        Learning rate :math:`\eta`.
    weight_decay : float
        Factor :math:`\lambda` of an L2 penalty, whose gradient joins `g`. Without memory and scaling it is the
        same as shrinking the parameters by :math:`1 - \eta\lambda` beside the step.
    out : tuple of ndarray and SGDState, optional
        Where to write the new parameters; ``out=(p, state)`` is the step in place.

    Returns
    -------
    Step
        ``p`` and ``state``, whose ``t`` is one more.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `state` is not an `SGDState`.
    ValueError
        If shapes differ, a constant is outside its range, or `out` does not fit.

    See Also
    --------
    exact_rate : The best learning rate on a quadratic.
    momentum : With a memory.

    References
    ----------
    Cauchy (1847), "Methode generale pour la resolution des systemes d'equations simultanees".

    Examples
    --------
    On the bowl :math:`2 x^2` every step multiplies x by one minus 4 times the rate.

    >>> p, state = np.array([1.0]), sgd_state([1.0])
    >>> for _ in range(3):
    ...     p, state = sgd(p, 4 * p, state, lr=0.125)
    ...     print(p)
    [0.5]
    [0.25]
    [0.125]
    """
    lr, decay = (number(n, x, 0, open_high=True) for n, x in (("lr", lr), ("weight_decay", weight_decay)))
    g, (p,), flat = arrays_of(p, g, state, SGDState, out)
    _sgd(g, *flat, *map(g.dtype.type, (lr, decay)))
    return Step(p, SGDState(state.t + 1))


@kernel
def _sgd(g, p, lr, decay):
    zero = p.dtype.type(0)
    for i in prange(p.size):
        gradient = g[i] if decay == zero else g[i] + decay * p[i]
        p[i] = p[i] - lr * gradient


def exact_rate(g: ArrayLike, hg: ArrayLike) -> float:
    r"""Return the learning rate that minimizes a quadratic along its gradient: :math:`g \cdot g / g \cdot H g`.

    Parameters
    ----------
    g : array_like of float32 or float64, any shape
        The gradient.
    hg : array_like, shape of `g`
        The Hessian times the gradient.

    Returns
    -------
    float
        The rate; 0 where the gradient is zero, and infinity where the quadratic falls for ever along it.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes differ.

    See Also
    --------
    sgd : The step.

    References
    ----------
    Cauchy (1847), "Methode generale pour la resolution des systemes d'equations simultanees".

    Examples
    --------
    Where every direction is equally steep, one step arrives.

    >>> p, hessian = np.array([3.0, -1.0]), 8 * np.eye(2)
    >>> lr = exact_rate(hessian @ p, hessian @ hessian @ p)
    >>> lr, sgd(p, hessian @ p, sgd_state(p), lr).p
    (0.125, array([0., 0.]))
    """
    g, hg = reals("g", g, "hg", hg)
    same_shape("hg", hg, "g", g)
    sums = np.empty(2)
    _two_products(g.reshape(-1), hg.reshape(-1), sums)
    slope, bend = sums.tolist()
    if slope == 0.0:
        return 0.0
    return slope / bend if bend > 0.0 or math.isnan(bend) else math.inf


@kernel(sums=True)
def _two_products(g, hg, out):
    slope, bend = 0.0, 0.0
    for i in range(g.size):
        slope += np.float64(g[i]) * np.float64(g[i])
        bend += np.float64(g[i]) * np.float64(hg[i])
    out[0], out[1] = slope, bend


def sgd_least_squares(
    w: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    order: ArrayLike,
    lr: float,
    batch: int = 1,
    weight_decay: float = 0.0,
) -> NDArray:
    r"""Return the path of gradient descent on linear least squares, by batches of the examples in a given order.

    Every step takes the next `batch` examples of `order` and the gradient of
    :math:`\frac{1}{2B} \sum_b (x_b \cdot w - y_b)^2`, their mean.

    Parameters
    ----------
    w : array_like of float32 or float64, shape (D,)
        Weights to start from.
    x : array_like, shape (N, D)
        Examples.
    y : array_like, shape (N,)
        Targets.
    order : array_like of int, shape (T,)
        Examples in the order of their use, one epoch or many; drawn outside.
    lr : float
        Learning rate.
    batch : int
        Examples per step B: 1 is stochastic, N is batch gradient descent. The last step takes what is left.
    weight_decay : float
        Factor of an L2 penalty.

    Returns
    -------
    ndarray, shape (ceil(T / B), D)
        The weights after every step.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `order` not integer.
    ValueError
        If a shape does not fit, an index is no example, or a constant is outside its range.

    See Also
    --------
    sgd : The step, for any gradient.

    References
    ----------
    Bottou, Curtis & Nocedal (2018), "Optimization methods for large-scale machine learning", section 3.

    Examples
    --------
    Two examples that agree: one pass of single steps goes as far as two steps with both.

    >>> x, y = [[1.0], [1.0]], [2.0, 2.0]
    >>> sgd_least_squares([0.0], x, y, [0, 1], lr=0.5)[:, 0]
    array([1. , 1.5])
    >>> sgd_least_squares([0.0], x, y, [0, 1, 0, 1], lr=0.5, batch=2)[:, 0]
    array([1. , 1.5])
    """
    w, x, y = reals("w", w, "x", x, "y", y)
    shaped("w", w, (None,))
    shaped("x", x, (None, len(w)))
    shaped("y", y, (len(x),))
    order = index("order", order, len(x), (None,))
    batch = integer("batch", batch, 1)
    lr, decay = (number(n, v, 0, open_high=True) for n, v in (("lr", lr), ("weight_decay", weight_decay)))
    out = np.empty((-(-len(order) // batch), len(w)), w.dtype)
    _sgd_least_squares(w.copy(), x, y, order, *map(w.dtype.type, (lr, decay)), batch, np.empty_like(w), out)
    return out


@kernel(sums=True)
def _sgd_least_squares(w, x, y, order, lr, decay, batch, gradient, out):
    for step in range(len(out)):
        first = step * batch
        last = min(first + batch, len(order))
        share = x.dtype.type(1) / x.dtype.type(last - first)
        for j in range(len(w)):
            gradient[j] = decay * w[j]
        for k in order[first:last]:
            row = x[k]
            residual = -y[k]
            for j in range(len(w)):
                residual += row[j] * w[j]
            for j in range(len(w)):
                gradient[j] += share * residual * row[j]
        for j in range(len(w)):
            w[j] -= lr * gradient[j]
            out[step, j] = w[j]
