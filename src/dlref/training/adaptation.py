"""Fine-tuning: a rate for each group of parameters, groups that open one by one, and adapters of low rank."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, public, real, reals, shaped
from dlref._compile import kernel, prange
from dlref.optimizers._protocol import Step

__all__ = ["LoRAGradients", "group_rates", "grouped", "lora", "lora_backward", "lora_merge", "unfrozen"]


class LoRAGradients(NamedTuple):
    """Gradients of `lora`, one for each argument before the slash."""

    x: NDArray
    w: NDArray
    a: NDArray
    b: NDArray


def group_rates(sizes: Sequence[int], factors: Sequence[float]) -> NDArray:
    r"""Return one factor of the learning rate for each entry of a flat parameter vector.

    Parameters
    ----------
    sizes : sequence of int
        How many parameters each group has, in the order of the vector.
    factors : sequence of float
        The factor of each group; 0 freezes it.

    Returns
    -------
    ndarray of float64
        The factors, repeated.

    Raises
    ------
    ValueError
        If there is not one factor for each group, or a number is negative.

    See Also
    --------
    grouped : Uses them.

    References
    ----------
    Howard & Ruder (2018), "Universal language model fine-tuning for text classification".

    Examples
    --------
    >>> group_rates([2, 3], [0.1, 1.0])
    array([0.1, 0.1, 1. , 1. , 1. ])
    """
    counts = [integer("sizes", n, 0) for n in sizes]
    factors = np.asarray(real("factors", factors, 1), np.float64)
    shaped("factors", factors, (len(counts),))
    if not (factors >= 0).all():
        raise ValueError("factors: expected numbers from 0")
    return np.repeat(factors, counts)


def unfrozen(sizes: Sequence[int], step: int, every: int) -> NDArray:
    r"""Return factors that open the groups one by one, from the last to the first.

    Parameters
    ----------
    sizes : sequence of int
        How many parameters each group has, in the order of the network.
    step : int, at least 0
        How many steps have been made.
    every : int, at least 1
        After how many steps one more group opens.

    Returns
    -------
    ndarray of float64
        1 for open parameters, 0 for frozen ones.

    Raises
    ------
    ValueError
        If a number is out of its range.

    See Also
    --------
    group_rates : Any other factors.

    References
    ----------
    Howard & Ruder (2018), "Universal language model fine-tuning for text classification".

    Examples
    --------
    >>> [unfrozen([1, 1, 1], step, every=10).tolist() for step in (0, 9, 10, 20)]
    [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    opened = 1 + integer("step", step, 0) // integer("every", every, 1)
    groups = len(sizes)
    return group_rates(sizes, [float(group >= groups - opened) for group in range(groups)])


def grouped(optimizer: Callable, rates: ArrayLike | Callable[[int], ArrayLike]) -> Callable:
    r"""Return an optimizer whose change of each entry is multiplied by a factor of its own.

    For an optimizer whose step is a multiple of the learning rate this is a learning rate for each entry. Where the
    factor is 0 the parameter stays as it is, bit for bit.

    Parameters
    ----------
    optimizer : callable
        Called as ``optimizer(p, g, state, lr, ...)``, such as `adam`.
    rates : array_like, or callable
        The factors, of the shape of the parameters; a callable is given the number of steps so far, ``state.t``.

    Returns
    -------
    callable
        An optimizer with the same signature and state.

    Raises
    ------
    ValueError
        When it is called with parameters of another shape.

    See Also
    --------
    group_rates : Makes the factors.
    unfrozen : Factors that change with the step.

    References
    ----------
    Howard & Ruder (2018), "Universal language model fine-tuning for text classification".

    Examples
    --------
    >>> from dlref.optimizers import sgd, sgd_state
    >>> p = np.array([1.0, 1.0, 1.0])
    >>> grouped(sgd, [0.0, 0.1, 1.0])(p, np.ones(3), sgd_state(p), 0.5).p
    array([1.  , 0.95, 0.5 ])
    """

    @functools.cache
    def _fixed(dtype):
        return np.array(rates, dtype)

    def _step(p, g, state, lr, *args, out=None, **options):
        before = real("p", p).copy()
        factors = np.array(rates(state.t), before.dtype) if callable(rates) else _fixed(before.dtype)
        shaped("rates", factors, before.shape)
        after = optimizer(p, g, state, lr, *args, out=out, **options)
        _partly(before.reshape(-1), factors.reshape(-1), after.p.reshape(-1))
        return Step(after.p, after.state)

    return _step


@kernel
def _partly(before, factors, p):
    zero, one = p.dtype.type(0), p.dtype.type(1)
    for i in prange(p.size):
        if factors[i] == zero:
            # not a product with zero, which would let NaN pass
            p[i] = before[i]
        elif factors[i] != one:
            p[i] = before[i] + factors[i] * (p[i] - before[i])


@public
def lora(x: ArrayLike, w: ArrayLike, a: ArrayLike, b: ArrayLike, /, alpha: float = 1.0) -> NDArray:
    r"""Apply a dense layer with a change of low rank: :math:`y = x W^\top + \frac{\alpha}{r}\, x A^\top B^\top`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, D)
        Inputs.
    w : array_like, shape (O, D)
        Weights that were trained before, and are left alone.
    a : array_like, shape (R, D)
        The first factor, random at the start.
    b : array_like, shape (O, R)
        The second factor, zero at the start.
    alpha : float
        Scale of the change, divided by its rank.

    Returns
    -------
    ndarray, shape (N, O)
        The outputs.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    lora_merge : The weights after training, as one matrix.

    References
    ----------
    Hu et al. (2022), "LoRA: low-rank adaptation of large language models".

    Examples
    --------
    >>> lora([[1.0, 2.0]], [[1.0, 0.0]], [[0.0, 1.0]], [[10.0]])
    array([[21.]])
    """
    x, w, a, b, scale = _factors(x, w, a, b, alpha)
    y = x @ w.T
    y += (scale * (x @ a.T)) @ b.T
    return y


@public
def lora_backward(
    dy: ArrayLike, x: ArrayLike, w: ArrayLike, a: ArrayLike, b: ArrayLike, /, alpha: float = 1.0
) -> LoRAGradients:
    r"""Return the gradients of `lora`.

    Parameters
    ----------
    dy : array_like, shape (N, O)
        Gradient of the loss with respect to the output.
    x, w, a, b, alpha
        The arguments of `lora`.

    Returns
    -------
    LoRAGradients
        Gradients with respect to all four; fine-tuning uses those of `a` and `b`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    lora : The function.

    References
    ----------
    Hu et al. (2022), "LoRA: low-rank adaptation of large language models".

    Examples
    --------
    At the start, with `b` zero, only `b` has a gradient.

    >>> start = [[1.0, 2.0]], [[1.0, 0.0]], [[0.0, 1.0]], [[0.0]]
    >>> gradients = lora_backward([[1.0]], *start)
    >>> gradients.a, gradients.b
    (array([[0., 0.]]), array([[2.]]))
    """
    dy, x, w, a, b = reals("dy", dy, "x", x, "w", w, "a", a, "b", b)
    x, w, a, b, scale = _factors(x, w, a, b, alpha)
    shaped("dy", dy, (len(x), len(w)))
    narrow = scale * (dy @ b)
    return LoRAGradients(dy @ w + narrow @ a, dy.T @ x, narrow.T @ x, dy.T @ (scale * (x @ a.T)))


def lora_merge(w: ArrayLike, a: ArrayLike, b: ArrayLike, alpha: float = 1.0) -> NDArray:
    r"""Return the weights of a dense layer that does what `lora` does: :math:`W + \frac{\alpha}{r} B A`.

    Parameters
    ----------
    w, a, b, alpha
        As for `lora`.

    Returns
    -------
    ndarray, shape (O, D)
        One matrix; prediction costs what it did before.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    lora : With the factors apart.

    References
    ----------
    Hu et al. (2022), "LoRA: low-rank adaptation of large language models".

    Examples
    --------
    >>> lora_merge([[1.0, 0.0]], [[0.0, 1.0]], [[10.0]])
    array([[ 1., 10.]])
    """
    w, a, b = reals("w", w, "a", a, "b", b)
    _, w, a, b, scale = _factors(np.empty((0, w.shape[-1]), w.dtype), w, a, b, alpha)
    return w + scale * (b @ a)


def _factors(x, w, a, b, alpha):
    x, w, a, b = reals("x", x, "w", w, "a", a, "b", b)
    shaped("x", x, (None, None))
    shaped("w", w, (None, x.shape[1]))
    shaped("a", a, (None, x.shape[1]))
    shaped("b", b, (len(w), len(a)))
    return x, w, a, b, x.dtype.type(alpha / max(len(a), 1))
