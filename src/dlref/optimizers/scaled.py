"""RMSprop: steps divided by the root of a running mean of the squared gradient."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import number, real
from dlref._compile import kernel, prange
from dlref.optimizers._protocol import Step, arrays_of

__all__ = [
    "CenteredRMSpropState",
    "RMSpropState",
    "rmsprop",
    "rmsprop_centered",
    "rmsprop_centered_state",
    "rmsprop_eps_inside",
    "rmsprop_state",
]


class RMSpropState(NamedTuple):
    """The running mean of the squared gradient, and the momentum's sum of scaled gradients."""

    v: NDArray
    b: NDArray


class CenteredRMSpropState(NamedTuple):
    """The running mean of the gradient, the running variance about it, and the momentum's sum."""

    m: NDArray
    s: NDArray
    b: NDArray


def rmsprop_state(p: ArrayLike) -> RMSpropState:
    r"""Return the state of RMSprop before the first step: all zero.

    Parameters
    ----------
    p : array_like of float32 or float64, any shape
        The parameters; only shape and dtype matter.

    Returns
    -------
    RMSpropState
        ``v`` and ``b`` like `p`, zero.

    Raises
    ------
    TypeError
        If `p` is neither real nor integer.

    See Also
    --------
    rmsprop : The step.

    References
    ----------
    Tieleman & Hinton (2012), lecture 6.5 of "Neural networks for machine learning".

    Examples
    --------
    >>> rmsprop_state([1.0, 2.0])
    RMSpropState(v=array([0., 0.]), b=array([0., 0.]))
    """
    p = real("p", p)
    return RMSpropState(np.zeros_like(p), np.zeros_like(p))


def rmsprop(
    p: ArrayLike,
    g: ArrayLike,
    state: RMSpropState,
    lr: float,
    rho: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    out: tuple[NDArray, RMSpropState] | None = None,
) -> Step:
    r"""Take one step of RMSprop: :math:`p \leftarrow p - \eta\, g / (\sqrt{v} + \epsilon)`.

    The mean square is :math:`v \leftarrow \rho v + (1 - \rho) g^2`. Nothing corrects its start at zero. With momentum
    the scaled gradients are summed first: :math:`b \leftarrow \mu b + g / (\sqrt{v} + \epsilon)` and
    :math:`p \leftarrow p - \eta b`.

    Parameters
    ----------
    p : array_like of float32 or float64, any shape
        Parameters.
    g : array_like, shape of `p`
        Gradient of the loss at `p`.
    state : RMSpropState
        From `rmsprop_state` or from the step before.
    lr : float
        Learning rate :math:`\eta`.
    rho : float
        Decay rate of the mean square, in [0, 1): 0.99 as in PyTorch; 0.9 in the lecture and in Keras.
    eps : float
        Added to the root.
    momentum : float
        The factor :math:`\mu` of the momentum; 0 leaves ``b`` alone.
    weight_decay : float
        Factor of an L2 penalty: ``weight_decay * p`` joins `g` and is rescaled with it.
    out : tuple of ndarray and RMSpropState, optional
        Where to write the new parameters and state; ``out=(p, state)`` is the step in place.

    Returns
    -------
    Step
        ``p`` and ``state``.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `state` is not an `RMSpropState`.
    ValueError
        If shapes differ, a constant is outside its range, or `out` does not fit.

    See Also
    --------
    rmsprop_eps_inside : With epsilon under the root, as in Keras.
    rmsprop_centered : Divided by the running standard deviation.

    References
    ----------
    Tieleman & Hinton (2012), lecture 6.5 of "Neural networks for machine learning".

    Examples
    --------
    The first step is ten times the learning rate, whatever the gradient: nothing corrects the start at zero.

    >>> p = [1.0, 1.0, 1.0]
    >>> p, state = rmsprop(p, [1e-3, -1.0, 1e3], rmsprop_state(p), lr=0.01)
    >>> p.round(4)
    array([0.9, 1.1, 0.9])
    """
    return _rmsprop_step(p, g, state, lr, rho, eps, 0.0, momentum, weight_decay, out)


def rmsprop_eps_inside(
    p: ArrayLike,
    g: ArrayLike,
    state: RMSpropState,
    lr: float,
    rho: float = 0.9,
    eps: float = 1e-7,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    out: tuple[NDArray, RMSpropState] | None = None,
) -> Step:
    r"""Take one step of RMSprop with epsilon under the root: :math:`p \leftarrow p - \eta\, g / \sqrt{v + \epsilon}`.

    An epsilon here acts like its root in `rmsprop`: :math:`10^{-7}` under the root weighs as much as
    :math:`3.2 \cdot 10^{-4}` beside it.

    Parameters
    ----------
    p, g, state, lr, rho
        As for `rmsprop`; the default of `rho` is that of Keras.
    eps : float
        Added to the mean square before the root; the default is that of Keras.
    momentum, weight_decay : float
        As for `rmsprop`.
    out : tuple of ndarray and RMSpropState, optional
        As for `rmsprop`.

    Returns
    -------
    Step
        ``p`` and ``state``.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `state` is not an `RMSpropState`.
    ValueError
        If shapes differ, a constant is outside its range, or `out` does not fit.

    See Also
    --------
    rmsprop : With epsilon beside the root, as in PyTorch.

    References
    ----------
    Tieleman & Hinton (2012), lecture 6.5 of "Neural networks for machine learning"; it has no epsilon.

    Examples
    --------
    A gradient of 1e-4 is large for one form and small for the other.

    >>> rmsprop([0.0], [1e-4], rmsprop_state([0.0]), lr=1.0, rho=0.9, eps=1e-7).p.round(3)
    array([-3.152])
    >>> rmsprop_eps_inside([0.0], [1e-4], rmsprop_state([0.0]), lr=1.0).p.round(3)
    array([-0.315])
    """
    return _rmsprop_step(p, g, state, lr, rho, 0.0, eps, momentum, weight_decay, out)


def _rmsprop_step(p, g, state, lr, rho, beside, inside, momentum, weight_decay, out):
    constants = _constants(lr, rho, beside, inside, momentum, weight_decay)
    g, (p, v, b), (flat_p, flat_v, flat_b) = arrays_of(p, g, state, RMSpropState, out)
    lr, rho, rest, beside, inside, momentum, decay = map(g.dtype.type, constants)
    if momentum == 0:
        _rmsprop(g, flat_p, flat_v, lr, rho, rest, beside, inside, decay)
    else:
        _rmsprop_momentum(g, flat_p, flat_v, flat_b, lr, rho, rest, beside, inside, momentum, decay)
    return Step(p, RMSpropState(v, b))


def _constants(lr, rho, beside, inside, momentum, weight_decay):
    lr, beside, inside = (
        number(name, value, 0, open_high=True) for name, value in (("lr", lr), ("eps", beside), ("eps", inside))
    )
    rho, momentum = (
        number(name, value, 0, 1, open_high=True) for name, value in (("rho", rho), ("momentum", momentum))
    )
    decay = number("weight_decay", weight_decay, 0, open_high=True)
    return lr, rho, 1.0 - rho, beside, inside, momentum, decay


@kernel
def _rmsprop(g, p, v, lr, rho, rest, beside, inside, decay):
    zero = p.dtype.type(0)
    for i in prange(p.size):
        gradient = g[i] if decay == zero else g[i] + decay * p[i]
        v[i] = rho * v[i] + rest * gradient * gradient
        # epsilon stands beside the root or inside: one of the two is zero
        p[i] = p[i] - lr * gradient / (np.sqrt(v[i] + inside) + beside)


@kernel
def _rmsprop_momentum(g, p, v, b, lr, rho, rest, beside, inside, momentum, decay):
    zero = p.dtype.type(0)
    for i in prange(p.size):
        gradient = g[i] if decay == zero else g[i] + decay * p[i]
        v[i] = rho * v[i] + rest * gradient * gradient
        scaled = gradient / (np.sqrt(v[i] + inside) + beside)
        b[i] = momentum * b[i] + scaled
        p[i] = p[i] - lr * b[i]


def rmsprop_centered_state(p: ArrayLike) -> CenteredRMSpropState:
    r"""Return the state of centered RMSprop before the first step: all zero.

    Parameters
    ----------
    p : array_like of float32 or float64, any shape
        The parameters; only shape and dtype matter.

    Returns
    -------
    CenteredRMSpropState
        ``m``, ``s`` and ``b`` like `p`, zero.

    Raises
    ------
    TypeError
        If `p` is neither real nor integer.

    See Also
    --------
    rmsprop_centered : The step.

    References
    ----------
    Graves (2013), "Generating sequences with recurrent neural networks", page 23.

    Examples
    --------
    >>> rmsprop_centered_state([1.0])
    CenteredRMSpropState(m=array([0.]), s=array([0.]), b=array([0.]))
    """
    p = real("p", p)
    return CenteredRMSpropState(np.zeros_like(p), np.zeros_like(p), np.zeros_like(p))


def rmsprop_centered(
    p: ArrayLike,
    g: ArrayLike,
    state: CenteredRMSpropState,
    lr: float,
    rho: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    out: tuple[NDArray, CenteredRMSpropState] | None = None,
) -> Step:
    r"""Take one step of centered RMSprop: :math:`p \leftarrow p - \eta\, g / (\sqrt{s} + \epsilon)`.

    Here :math:`s` is the running variance :math:`v - m^2`, with :math:`m \leftarrow \rho m + (1 - \rho) g`. It is not
    computed as that difference, which rounding can make negative, but by its own recursion
    :math:`s \leftarrow \rho\,(s + (1 - \rho)(g - m)^2)`, with the old :math:`m`.

    Parameters
    ----------
    p, g : array_like
        As for `rmsprop`.
    state : CenteredRMSpropState
        From `rmsprop_centered_state` or from the step before. PyTorch's ``square_avg`` is ``s + m * m``.
    lr, rho, eps, momentum, weight_decay : float
        As for `rmsprop`.
    out : tuple of ndarray and CenteredRMSpropState, optional
        As for `rmsprop`.

    Returns
    -------
    Step
        ``p`` and ``state``, whose ``s`` is never negative.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `state` is not a `CenteredRMSpropState`.
    ValueError
        If shapes differ, a constant is outside its range, or `out` does not fit.

    See Also
    --------
    rmsprop : Divided by the root of the mean square.

    Notes
    -----
    Under a gradient that does not change the variance goes to zero and the steps grow without bound, until epsilon
    stops them. Graves writes :math:`\sqrt{v - m^2 + 10^{-4}}`; an `eps` of 0.01 has a similar effect.

    References
    ----------
    Graves (2013), "Generating sequences with recurrent neural networks", page 23.

    Examples
    --------
    The same gradient again and again: the variance dies out and the steps grow.

    >>> p, state = [0.0], rmsprop_centered_state([0.0])
    >>> for t in range(100):
    ...     q, state = rmsprop_centered(p, [1.0], state, lr=1.0, rho=0.9)
    ...     if t % 33 == 0:
    ...         print(q.round(1))
    [-3.3]
    [-6.1]
    [-34.1]
    [-194.]
    """
    lr, rho, rest, beside, _, momentum, decay = _constants(lr, rho, eps, 0.0, momentum, weight_decay)
    g, (p, m, s, b), flat = arrays_of(p, g, state, CenteredRMSpropState, out)
    _rmsprop_centered(g, *flat, *map(g.dtype.type, (lr, rho, rest, beside, momentum, decay)))
    return Step(p, CenteredRMSpropState(m, s, b))


@kernel
def _rmsprop_centered(g, p, m, s, b, lr, rho, rest, eps, momentum, decay):
    zero = p.dtype.type(0)
    for i in prange(p.size):
        gradient = g[i] if decay == zero else g[i] + decay * p[i]
        deviation = gradient - m[i]
        m[i] = m[i] + rest * deviation
        # v - m * m without the difference, hence never negative
        s[i] = rho * (s[i] + rest * deviation * deviation)
        b[i] = momentum * b[i] + gradient / (np.sqrt(s[i]) + eps)
        p[i] = p[i] - lr * b[i]
