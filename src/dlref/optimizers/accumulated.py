"""AdaGrad: steps divided by the root of the sum of all squared gradients."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import index, number, real, reals, shaped
from dlref._compile import kernel, prange
from dlref.optimizers._protocol import Step, arrays_of

__all__ = ["AdaGradState", "adagrad", "adagrad_eps_inside", "adagrad_rows", "adagrad_state"]


class AdaGradState(NamedTuple):
    """The sum of the squared gradients so far, and their number."""

    v: NDArray
    t: int


def adagrad_state(p: ArrayLike, initial: float = 0.0) -> AdaGradState:
    r"""Return the state of AdaGrad before the first step.

    Parameters
    ----------
    p : array_like of float32 or float64, any shape
        The parameters; only shape and dtype matter.
    initial : float
        Where the sum starts: 0 as in PyTorch; 0.1 in Keras and optax, which shortens the first steps.

    Returns
    -------
    AdaGradState
        ``v`` like `p`, filled with `initial`, and ``t = 0``.

    Raises
    ------
    TypeError
        If `p` is neither real nor integer.
    ValueError
        If `initial` is negative or infinite.

    See Also
    --------
    adagrad : The step.

    References
    ----------
    Duchi, Hazan & Singer (2011), "Adaptive subgradient methods for online learning and stochastic optimization",
    figure 1.

    Examples
    --------
    >>> adagrad_state([1.0, 2.0], initial=0.1)
    AdaGradState(v=array([0.1, 0.1]), t=0)
    """
    p = real("p", p)
    return AdaGradState(np.full_like(p, number("initial", initial, 0, open_high=True)), 0)


def adagrad(
    p: ArrayLike,
    g: ArrayLike,
    state: AdaGradState,
    lr: float,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
    weight_decay: float = 0.0,
    out: tuple[NDArray, AdaGradState] | None = None,
) -> Step:
    r"""Take one step of AdaGrad: :math:`p \leftarrow p - \eta_t\, g / (\sqrt{v} + \epsilon)`, with the sum of squares.

    The sum is :math:`v \leftarrow v + g^2`; it never falls. The rate is :math:`\eta_t = \eta / (1 + (t - 1)\,\delta)`
    in step :math:`t`.

    Parameters
    ----------
    p : array_like of float32 or float64, any shape
        Parameters.
    g : array_like, shape of `p`
        Gradient of the loss at `p`.
    state : AdaGradState
        From `adagrad_state` or from the step before.
    lr : float
        Learning rate :math:`\eta`, the length of the first step.
    lr_decay : float
        The decay :math:`\delta` of the rate itself, on top of what the sum does; PyTorch has it, the paper has not.
    eps : float
        Added to the root.
    weight_decay : float
        Factor of an L2 penalty: ``weight_decay * p`` joins `g`.
    out : tuple of ndarray and AdaGradState, optional
        Where to write the new parameters and sum; ``out=(p, state)`` is the step in place.

    Returns
    -------
    Step
        ``p`` and ``state``, whose ``t`` is one more.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `state` is not an `AdaGradState`.
    ValueError
        If shapes differ, a constant is outside its range, or `out` does not fit.

    See Also
    --------
    adagrad_rows : When only a few rows have a gradient.
    adagrad_eps_inside : With epsilon under the root, as in Keras.

    References
    ----------
    Duchi, Hazan & Singer (2011), "Adaptive subgradient methods for online learning and stochastic optimization",
    figure 1.

    Examples
    --------
    Under a constant gradient step t has the length lr / sqrt(t), whatever the gradient.

    >>> p, state = [0.0], adagrad_state([0.0])
    >>> for _ in range(4):
    ...     before = p
    ...     p, state = adagrad(p, [1000.0], state, lr=1.0)
    ...     print((p - before).round(3))
    [-1.]
    [-0.707]
    [-0.577]
    [-0.5]
    """
    return _adagrad_step(p, g, state, lr, lr_decay, eps, 0.0, weight_decay, out)


def adagrad_eps_inside(
    p: ArrayLike,
    g: ArrayLike,
    state: AdaGradState,
    lr: float,
    lr_decay: float = 0.0,
    eps: float = 1e-7,
    weight_decay: float = 0.0,
    out: tuple[NDArray, AdaGradState] | None = None,
) -> Step:
    r"""Take one step of AdaGrad with epsilon under the root: :math:`p \leftarrow p - \eta_t\, g / \sqrt{v + \epsilon}`.

    An epsilon here is a start of the sum: ``adagrad`` from ``initial=eps`` and without epsilon takes the same steps.

    Parameters
    ----------
    p, g, state, lr, lr_decay
        As for `adagrad`.
    eps : float
        Added to the sum before the root; the default is that of Keras.
    weight_decay : float
        As for `adagrad`.
    out : tuple of ndarray and AdaGradState, optional
        As for `adagrad`.

    Returns
    -------
    Step
        ``p`` and ``state``, whose ``t`` is one more.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `state` is not an `AdaGradState`.
    ValueError
        If shapes differ, a constant is outside its range, or `out` does not fit.

    See Also
    --------
    adagrad : With epsilon beside the root, as in PyTorch.

    References
    ----------
    Duchi, Hazan & Singer (2011), "Adaptive subgradient methods for online learning and stochastic optimization",
    whose figure 1 has its constant beside the root.

    Examples
    --------
    >>> adagrad([0.0], [1e-4], adagrad_state([0.0]), lr=1.0, eps=1e-7).p.round(3)
    array([-0.999])
    >>> adagrad_eps_inside([0.0], [1e-4], adagrad_state([0.0]), lr=1.0).p.round(3)
    array([-0.302])
    """
    return _adagrad_step(p, g, state, lr, lr_decay, 0.0, eps, weight_decay, out)


def _adagrad_step(p, g, state, lr, lr_decay, beside, inside, weight_decay, out):
    constants = (
        *_constants(state, lr, lr_decay, beside, inside),
        number("weight_decay", weight_decay, 0, open_high=True),
    )
    g, (p, v), flat = arrays_of(p, g, state, AdaGradState, out)
    _adagrad(g, *flat, *map(g.dtype.type, constants))
    return Step(p, AdaGradState(v, state.t + 1))


def _constants(state, lr, lr_decay, beside, inside):
    pairs = ("lr", lr), ("lr_decay", lr_decay), ("eps", beside), ("eps", inside)
    lr, lr_decay, beside, inside = (number(name, value, 0, open_high=True) for name, value in pairs)
    return lr / (1.0 + getattr(state, "t", 0) * lr_decay), beside, inside


@kernel
def _adagrad(g, p, v, lr, beside, inside, decay):
    zero = p.dtype.type(0)
    for i in prange(p.size):
        gradient = g[i] if decay == zero else g[i] + decay * p[i]
        v[i] = v[i] + gradient * gradient
        # epsilon stands beside the root or inside: one of the two is zero
        p[i] = p[i] - lr * gradient / (np.sqrt(v[i] + inside) + beside)


def adagrad_rows(
    p: ArrayLike,
    rows: ArrayLike,
    g: ArrayLike,
    state: AdaGradState,
    lr: float,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
    out: tuple[NDArray, AdaGradState] | None = None,
) -> Step:
    r"""Take one step of AdaGrad in a few rows of a table; the other rows have gradient zero and are not touched.

    Parameters
    ----------
    p : array_like of float32 or float64, shape (N, ...)
        Parameters, one row for each word, user or feature.
    rows : array_like of integers, shape (K,)
        The rows that have a gradient. Where one is named twice, its gradients are added before they are squared, as
        the gradient of the whole table has their sum.
    g : array_like, shape (K, ...)
        Their gradients.
    state : AdaGradState
        From `adagrad_state` of the whole table or from the step before.
    lr, lr_decay, eps : float
        As for `adagrad`.
    out : tuple of ndarray and AdaGradState, optional
        As for `adagrad`. Only the step in place costs no more than its K rows.

    Returns
    -------
    Step
        ``p`` and ``state``, whose ``t`` is one more.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, `rows` is not of integers, or `state` is not an `AdaGradState`.
    ValueError
        If shapes differ, a row is outside the table, a constant is outside its range, or `out` does not fit.

    See Also
    --------
    adagrad : With the gradient of the whole table.

    References
    ----------
    Duchi, Hazan & Singer (2011), "Adaptive subgradient methods for online learning and stochastic optimization".

    Examples
    --------
    A row that is seldom named takes a full step when it is.

    >>> table = np.zeros((3, 1))
    >>> state = adagrad_state(table)
    >>> for rows in [[0], [0], [0], [0, 2]]:
    ...     table, state = adagrad_rows(table, rows, np.ones((len(rows), 1)), state, lr=1.0)
    >>> table[:, 0].round(3)
    array([-2.784,  0.   , -1.   ])
    """
    lr, beside, _ = _constants(state, lr, lr_decay, eps, 0.0)
    p, g = reals("p", p, "g", g)
    real("p", p, -1)
    rows = index("rows", rows, p.shape[0], (None,))
    shaped("g", g, rows.shape + p.shape[1:])
    # the protocol wants a gradient of the shape of p; this one is never read
    _, (p, v), _ = arrays_of(p, np.empty_like(p), state, AdaGradState, out)
    if any(np.may_share_memory(g, array) for array in (p, v)):
        raise ValueError("out: expected arrays that do not share memory with g")
    rows, where = np.unique(rows, return_inverse=True)
    width = p.size // max(p.shape[0], 1)
    total = np.zeros((rows.size, width), g.dtype)
    _row_sums(where, g.reshape(where.size, width), total)
    table = (p.shape[0], width)
    _adagrad_rows(rows, total, p.reshape(table), v.reshape(table), g.dtype.type(lr), g.dtype.type(beside))
    return Step(p, AdaGradState(v, state.t + 1))


@kernel
def _row_sums(where, g, out):
    for k in range(where.size):
        total, row = out[where[k]], g[k]
        for j in range(row.size):
            total[j] += row[j]


@kernel
def _adagrad_rows(rows, g, p, v, lr, eps):
    for k in prange(rows.size):
        gradient, row, total = g[k], p[rows[k]], v[rows[k]]
        for j in range(gradient.size):
            total[j] = total[j] + gradient[j] * gradient[j]
            row[j] = row[j] - lr * gradient[j] / (np.sqrt(total[j]) + eps)
