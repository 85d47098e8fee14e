"""Adam and its relatives: steps scaled by running moments of the gradient."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import number, real
from dlref._compile import kernel, prange
from dlref._math import maximum
from dlref.optimizers._protocol import Step, arrays_of

__all__ = ["AMSGradState", "AdamState", "adam", "adam_eps_hat", "adam_state", "adamw", "amsgrad", "amsgrad_state"]


class AdamState(NamedTuple):
    """Running means of the gradient and of its square, and how many steps they have seen."""

    m: NDArray
    v: NDArray
    t: int


class AMSGradState(NamedTuple):
    """The state of Adam and the largest second moment so far, before bias correction."""

    m: NDArray
    v: NDArray
    v_max: NDArray
    t: int


def adam_state(p: ArrayLike) -> AdamState:
    r"""Return the state of Adam before the first step: both moments zero, no step counted.

    Parameters
    ----------
    p : array_like of float32 or float64, any shape
        The parameters; only shape and dtype matter.

    Returns
    -------
    AdamState
        ``m`` and ``v`` like `p`, and ``t = 0``.

    Raises
    ------
    TypeError
        If `p` is neither real nor integer.

    See Also
    --------
    adam : The step.

    References
    ----------
    Kingma & Ba (2015), "Adam: a method for stochastic optimization", algorithm 1.

    Examples
    --------
    >>> adam_state([1.0, 2.0])
    AdamState(m=array([0., 0.]), v=array([0., 0.]), t=0)
    """
    p = real("p", p)
    return AdamState(np.zeros_like(p), np.zeros_like(p), 0)


def adam(
    p: ArrayLike,
    g: ArrayLike,
    state: AdamState,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    out: tuple[NDArray, AdamState] | None = None,
) -> Step:
    r"""Take one step of Adam: :math:`p \leftarrow p - \eta\, \hat m / (\sqrt{\hat v} + \epsilon)`.

    The moments are :math:`m \leftarrow \beta_1 m + (1 - \beta_1) g` and
    :math:`v \leftarrow \beta_2 v + (1 - \beta_2) g^2`; their hats divide by :math:`1 - \beta^t`, which undoes the pull
    towards the zeros they start from.

    Parameters
    ----------
    p : array_like of float32 or float64, any shape
        Parameters.
    g : array_like, shape of `p`
        Gradient of the loss at `p`.
    state : AdamState
        From `adam_state` or from the step before.
    lr : float
        Learning rate :math:`\eta`, about the largest change of one parameter in one step.
    beta1, beta2 : float
        Decay rates of the moments, in [0, 1).
    eps : float
        Added to the root of the corrected second moment.
    weight_decay : float
        Factor of an L2 penalty: its gradient, ``weight_decay * p``, joins `g` and is rescaled with it. The decay that
        is not rescaled is `adamw`.
    out : tuple of ndarray and AdamState, optional
        Where to write the new parameters and moments; ``out=(p, state)`` is the step in place.

    Returns
    -------
    Step
        ``p`` and ``state``, whose ``t`` is one more.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `state` is not an `AdamState`.
    ValueError
        If shapes differ, a constant is outside its range, or `out` does not fit.

    See Also
    --------
    adamw : With decoupled weight decay.
    amsgrad : With a second moment that never falls.
    adam_eps_hat : With epsilon where Keras and ONNX put it.

    References
    ----------
    Kingma & Ba (2015), "Adam: a method for stochastic optimization", algorithm 1.

    Examples
    --------
    Whatever the size of the gradient, the first step has the size of the learning rate.

    >>> p = [1.0, 1.0, 1.0]
    >>> p, state = adam(p, [1e-3, -1.0, 1e3], adam_state(p), lr=0.1)
    >>> p.round(5)
    array([0.9, 1.1, 0.9])
    """
    decay = number("weight_decay", weight_decay, 0, open_high=True)
    return _adam_step(p, g, state, lr, beta1, beta2, eps, True, decay, 1.0, out)


def adamw(
    p: ArrayLike,
    g: ArrayLike,
    state: AdamState,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    out: tuple[NDArray, AdamState] | None = None,
) -> Step:
    r"""Take one step of AdamW: :math:`p \leftarrow (1 - \eta\lambda)\, p - \eta\, \hat m / (\sqrt{\hat v} + \epsilon)`.

    The decay never enters the moments: every parameter shrinks by the same factor, however large its gradients are.

    Parameters
    ----------
    p, g, state, lr, beta1, beta2, eps
        As for `adam`.
    weight_decay : float
        The decay :math:`\lambda`, multiplied by the learning rate as in PyTorch and Keras. In the paper the decay is
        multiplied by the schedule alone: its :math:`\lambda` is this one times the initial rate.
    out : tuple of ndarray and AdamState, optional
        As for `adam`.

    Returns
    -------
    Step
        ``p`` and ``state``, whose ``t`` is one more.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `state` is not an `AdamState`.
    ValueError
        If shapes differ, a constant is outside its range, or `out` does not fit.

    See Also
    --------
    adam : With the decay as a penalty inside the gradient.

    References
    ----------
    Loshchilov & Hutter (2019), "Decoupled weight decay regularization", algorithm 2.

    Examples
    --------
    Without a gradient the parameters still shrink, by lr times the decay.

    >>> p = [1.0, -2.0]
    >>> adamw(p, [0.0, 0.0], adam_state(p), lr=0.1, weight_decay=0.5).p
    array([ 0.95, -1.9 ])
    """
    keep = 1.0 - number("lr", lr, 0, open_high=True) * number("weight_decay", weight_decay, 0, open_high=True)
    return _adam_step(p, g, state, lr, beta1, beta2, eps, True, 0.0, keep, out)


def adam_eps_hat(
    p: ArrayLike,
    g: ArrayLike,
    state: AdamState,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-7,
    weight_decay: float = 0.0,
    out: tuple[NDArray, AdamState] | None = None,
) -> Step:
    r"""Take one step of Adam with epsilon-hat: :math:`p \leftarrow p - \eta_t\, m / (\sqrt v + \hat\epsilon)`.

    Here :math:`\eta_t = \eta \sqrt{1 - \beta_2^t} / (1 - \beta_1^t)`, and epsilon joins the root before its bias is
    corrected. It is `adam` with an epsilon of :math:`\hat\epsilon / \sqrt{1 - \beta_2^t}`, at the defaults 32 times
    larger in the first step.

    Parameters
    ----------
    p, g, state, lr, beta1, beta2
        As for `adam`.
    eps : float
        Added to the root of the uncorrected second moment; the default is that of Keras.
    weight_decay : float
        As for `adam`.
    out : tuple of ndarray and AdamState, optional
        As for `adam`.

    Returns
    -------
    Step
        ``p`` and ``state``, whose ``t`` is one more.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `state` is not an `AdamState`.
    ValueError
        If shapes differ, a constant is outside its range, or `out` does not fit.

    See Also
    --------
    adam : Epsilon added after the correction, as in the paper's algorithm and in PyTorch.

    References
    ----------
    Kingma & Ba (2015), "Adam: a method for stochastic optimization", just before section 2.1.

    Examples
    --------
    A gradient of the size of epsilon tells the two forms apart.

    >>> p, state = [0.0], adam_state([0.0])
    >>> adam([0.0], [1e-8], state, lr=1.0, eps=1e-8).p.round(4)
    array([-0.5])
    >>> adam_eps_hat([0.0], [1e-8], state, lr=1.0, eps=1e-8).p.round(4)
    array([-0.0307])
    """
    decay = number("weight_decay", weight_decay, 0, open_high=True)
    return _adam_step(p, g, state, lr, beta1, beta2, eps, False, decay, 1.0, out)


def _adam_step(p, g, state, lr, beta1, beta2, eps, corrected, decay, keep, out):
    constants = _constants(state, lr, beta1, beta2, eps, corrected)
    g, (p, m, v), flat = arrays_of(p, g, state, AdamState, out)
    _adam(g, *flat, *map(g.dtype.type, (*constants, decay, keep)))
    return Step(p, AdamState(m, v, state.t + 1))


def _constants(state, lr, beta1, beta2, eps, corrected):
    """Return the step, both decay rates with what they leave, and epsilon-hat."""
    lr, eps = (number(name, value, 0, open_high=True) for name, value in (("lr", lr), ("eps", eps)))
    beta1, beta2 = (number(f"beta{i}", beta, 0, 1, open_high=True) for i, beta in ((1, beta1), (2, beta2)))
    t = getattr(state, "t", 0) + 1
    root = math.sqrt(1.0 - beta2**t)
    return lr * root / (1.0 - beta1**t), beta1, 1.0 - beta1, beta2, 1.0 - beta2, eps * root if corrected else eps


@kernel
def _adam(g, p, m, v, step, beta1, rest1, beta2, rest2, eps_hat, decay, keep):
    zero = p.dtype.type(0)
    for i in prange(p.size):
        gradient = g[i] if decay == zero else g[i] + decay * p[i]
        m[i] = beta1 * m[i] + rest1 * gradient
        v[i] = beta2 * v[i] + rest2 * gradient * gradient
        # m_hat / (sqrt(v_hat) + eps), the corrections moved into step and eps_hat
        p[i] = keep * p[i] - step * m[i] / (np.sqrt(v[i]) + eps_hat)


def amsgrad_state(p: ArrayLike) -> AMSGradState:
    r"""Return the state of AMSGrad before the first step.

    Parameters
    ----------
    p : array_like of float32 or float64, any shape
        The parameters; only shape and dtype matter.

    Returns
    -------
    AMSGradState
        ``m``, ``v`` and ``v_max`` like `p`, all zero, and ``t = 0``.

    Raises
    ------
    TypeError
        If `p` is neither real nor integer.

    See Also
    --------
    amsgrad : The step.

    References
    ----------
    Reddi, Kale & Kumar (2018), "On the convergence of Adam and beyond", algorithm 2.

    Examples
    --------
    >>> amsgrad_state([1.0])
    AMSGradState(m=array([0.]), v=array([0.]), v_max=array([0.]), t=0)
    """
    p = real("p", p)
    return AMSGradState(np.zeros_like(p), np.zeros_like(p), np.zeros_like(p), 0)


def amsgrad(
    p: ArrayLike,
    g: ArrayLike,
    state: AMSGradState,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    out: tuple[NDArray, AMSGradState] | None = None,
) -> Step:
    r"""Take one step of AMSGrad: Adam divided by the largest second moment so far.

    Parameters
    ----------
    p, g : array_like
        As for `adam`. For decoupled decay hand in ``(1 - lr * decay) * p``.
    state : AMSGradState
        From `amsgrad_state` or from the step before.
    lr, beta1, beta2, eps, weight_decay : float
        As for `adam`.
    out : tuple of ndarray and AMSGradState, optional
        As for `adam`.

    Returns
    -------
    Step
        ``p`` and ``state``, whose ``t`` is one more and whose ``v_max`` nowhere falls.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `state` is not an `AMSGradState`.
    ValueError
        If shapes differ, a constant is outside its range, or `out` does not fit.

    See Also
    --------
    adam : Its parent.

    Notes
    -----
    The maximum is taken of v before bias correction, and corrected afterwards, as in PyTorch and Keras. The paper
    corrects no bias at all.

    References
    ----------
    Reddi, Kale & Kumar (2018), "On the convergence of Adam and beyond", algorithm 2.

    Examples
    --------
    After one large gradient Adam forgets and speeds up again; AMSGrad remembers.

    >>> p, fast, slow = [0.0], adam_state([0.0]), amsgrad_state([0.0])
    >>> for g in [100.0] + 5000 * [0.01]:
    ...     (q, fast), (r, slow) = adam(p, [g], fast, lr=0.1), amsgrad(p, [g], slow, lr=0.1)
    >>> q.round(4), r.round(4)
    (array([-0.0038]), array([-0.0003]))
    """
    constants = _constants(state, lr, beta1, beta2, eps, True)
    decay = number("weight_decay", weight_decay, 0, open_high=True)
    g, (p, m, v, v_max), flat = arrays_of(p, g, state, AMSGradState, out)
    _amsgrad(g, *flat, *map(g.dtype.type, (*constants, decay)))
    return Step(p, AMSGradState(m, v, v_max, state.t + 1))


@kernel
def _amsgrad(g, p, m, v, v_max, step, beta1, rest1, beta2, rest2, eps_hat, decay):
    zero = p.dtype.type(0)
    for i in prange(p.size):
        gradient = g[i] if decay == zero else g[i] + decay * p[i]
        m[i] = beta1 * m[i] + rest1 * gradient
        v[i] = beta2 * v[i] + rest2 * gradient * gradient
        v_max[i] = maximum(v_max[i], v[i])
        p[i] = p[i] - step * m[i] / (np.sqrt(v_max[i]) + eps_hat)
