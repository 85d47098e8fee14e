"""Learning-rate decay: the learning rate as a pure function of the number of steps taken.

Step 0 is the first one. A schedule can be asked for any step, or for all of them at once; nothing is counted inside.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, number, public, real
from dlref._compile import kernel

__all__ = [
    "cosine_decay",
    "cosine_restarts",
    "exponential_decay",
    "inverse_time_decay",
    "linear_warmup",
    "multistep_decay",
    "one_cycle",
    "polynomial_decay",
    "step_decay",
]


def step_decay(step: ArrayLike, lr: float, every: int, factor: float = 0.1) -> NDArray | float:
    r"""Multiply the rate by a factor after every so many steps: :math:`\eta\, \gamma^{\lfloor t / s \rfloor}`.

    Parameters
    ----------
    step : array_like of integers, float32 or float64, any shape
        Number of steps taken before, from 0; a fraction of one is allowed.
    lr : float
        Learning rate before any decay.
    every : int
        Steps :math:`s` between two changes.
    factor : float
        The factor :math:`\gamma`.

    Returns
    -------
    ndarray or float
        The learning rate at each step; a float for a single one.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        If a step is negative or a constant is outside its range.

    See Also
    --------
    multistep_decay : With changes at given steps.
    exponential_decay : A little in every step.

    References
    ----------
    Bottou, Curtis & Nocedal (2018), "Optimization methods for large-scale machine learning", section 4.2.

    Examples
    --------
    >>> step_decay(np.arange(6), 1.0, every=2, factor=0.5)
    array([1.  , 1.  , 0.5 , 0.5 , 0.25, 0.25])
    """
    lr, factor = _rate(lr), number("factor", factor, 0, open_high=True)
    return _evaluated(_step_decay, step, lr, float(integer("every", every, 1)), factor)


@kernel
def _step_decay(t, out, lr, every, factor):
    for i in range(t.size):
        out[i] = lr * factor ** np.floor(t[i] / every)


def multistep_decay(step: ArrayLike, lr: float, milestones: ArrayLike, factor: float = 0.1) -> NDArray | float:
    r"""Multiply the rate by a factor at each milestone: :math:`\eta\, \gamma^n` once n of them are reached.

    Parameters
    ----------
    step : array_like
        Number of steps taken before, from 0, as for `step_decay`.
    lr : float
        Learning rate before any decay.
    milestones : array_like
        The first steps with the new rates, in ascending order; one that is named twice counts twice.
    factor : float
        The factor :math:`\gamma`.

    Returns
    -------
    ndarray or float
        The learning rate at each step; a float for a single one.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        If a step is negative or a constant is outside its range.

    See Also
    --------
    step_decay : With milestones at equal distances.

    References
    ----------
    Bottou, Curtis & Nocedal (2018), "Optimization methods for large-scale machine learning", section 4.2.

    Examples
    --------
    >>> multistep_decay(np.arange(6), 1.0, [2, 5])
    array([1.  , 1.  , 0.1 , 0.1 , 0.1 , 0.01])
    """
    lr, factor = _rate(lr), number("factor", factor, 0, open_high=True)
    milestones = real("milestones", milestones, 1).astype(np.float64)
    if (np.diff(milestones) < 0).any():
        raise ValueError("milestones: expected ascending steps")
    return _evaluated(_multistep_decay, step, lr, milestones, factor)


@kernel
def _multistep_decay(t, out, lr, milestones, factor):
    for i in range(t.size):
        passed = 0
        while passed < milestones.size and t[i] >= milestones[passed]:
            passed += 1
        out[i] = lr * factor**passed


def exponential_decay(step: ArrayLike, lr: float, factor: float, every: int = 1) -> NDArray | float:
    r"""Multiply the rate by the same factor all along: :math:`\eta\, \gamma^{t / s}`.

    Parameters
    ----------
    step : array_like
        Number of steps taken before, from 0, as for `step_decay`.
    lr : float
        Learning rate before any decay.
    factor : float
        The factor :math:`\gamma`.
    every : int
        Steps :math:`s` in which the rate falls by that factor.

    Returns
    -------
    ndarray or float
        The learning rate at each step; a float for a single one.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        If a step is negative or a constant is outside its range.

    See Also
    --------
    step_decay : The same in stairs.

    References
    ----------
    Bottou, Curtis & Nocedal (2018), "Optimization methods for large-scale machine learning", section 4.2.

    Examples
    --------
    >>> exponential_decay(np.arange(4), 1.0, 0.5)
    array([1.   , 0.5  , 0.25 , 0.125])
    >>> exponential_decay(1000, 0.1, 0.96, every=1000)
    0.096
    """
    lr, factor = _rate(lr), number("factor", factor, 0, open_high=True)
    return _evaluated(_exponential_decay, step, lr, factor, float(integer("every", every, 1)))


@kernel
def _exponential_decay(t, out, lr, factor, every):
    for i in range(t.size):
        out[i] = lr * factor ** (t[i] / every)


@public
def inverse_time_decay(
    step: ArrayLike, lr: float, rate: float, every: int = 1, staircase: bool = False
) -> NDArray | float:
    r"""Divide the rate by a number that grows with time: :math:`\eta / (1 + \delta t / s)`.

    Its sum is infinite and that of its squares is finite: the conditions of Robbins and Monro.

    Parameters
    ----------
    step : array_like
        Number of steps taken before, from 0, as for `step_decay`.
    lr : float
        Learning rate before any decay.
    rate : float
        The growth :math:`\delta` of the divisor.
    every : int
        Steps :math:`s` in which it grows by that much.
    staircase : bool
        Grow at once at the end of each `every` steps, as in :math:`\lfloor t / s \rfloor`.

    Returns
    -------
    ndarray or float
        The learning rate at each step; a float for a single one.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        If a step is negative or a constant is outside its range.

    See Also
    --------
    polynomial_decay : To a given rate in a given time.

    References
    ----------
    Robbins & Monro (1951), "A stochastic approximation method".

    Examples
    --------
    >>> inverse_time_decay(np.arange(4), 1.0, 1.0).round(3)
    array([1.   , 0.5  , 0.333, 0.25 ])
    """
    lr, rate = _rate(lr), number("rate", rate, 0, open_high=True)
    return _evaluated(_inverse_time_decay, step, lr, rate, float(integer("every", every, 1)), bool(staircase))


@kernel
def _inverse_time_decay(t, out, lr, rate, every, staircase):
    for i in range(t.size):
        time = t[i] / every
        out[i] = lr / (1.0 + rate * (np.floor(time) if staircase else time))


def polynomial_decay(step: ArrayLike, lr: float, total: int, end: float = 0.0, power: float = 1.0) -> NDArray | float:
    r"""Let the rate fall to its end like a power of the time left: :math:`\eta_T + (\eta - \eta_T)(1 - t/T)^a`.

    Parameters
    ----------
    step : array_like
        Number of steps taken before, from 0, as for `step_decay`.
    lr : float
        Learning rate before any decay.
    total : int
        Steps :math:`T` to the end; from then on the rate stays there.
    end : float
        The last rate :math:`\eta_T`.
    power : float
        The exponent :math:`a`; 1 is a straight line.

    Returns
    -------
    ndarray or float
        The learning rate at each step; a float for a single one.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        If a step is negative or a constant is outside its range.

    See Also
    --------
    cosine_decay : Flat at both ends.

    References
    ----------
    Bottou, Curtis & Nocedal (2018), "Optimization methods for large-scale machine learning", section 4.2.

    Examples
    --------
    >>> polynomial_decay(np.arange(6), 1.0, total=4)
    array([1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ])
    """
    lr, end, power = _rate(lr), _rate(end, "end"), number("power", power, 0, open_low=True, open_high=True)
    return _evaluated(_polynomial_decay, step, lr, float(integer("total", total, 1)), end, power)


@kernel
def _polynomial_decay(t, out, lr, total, end, power):
    for i in range(t.size):
        left = 1.0 - t[i] / total if t[i] < total else 0.0
        out[i] = end + (lr - end) * left**power


def cosine_decay(step: ArrayLike, lr: float, total: int, end: float = 0.0) -> NDArray | float:
    r"""Let the rate fall along half a cosine: :math:`\eta_T + (\eta - \eta_T)\,(1 + \cos(\pi t / T)) / 2`.

    Parameters
    ----------
    step : array_like
        Number of steps taken before, from 0, as for `step_decay`.
    lr : float
        Learning rate before any decay.
    total : int
        Steps :math:`T` to the end; from then on the rate stays there.
    end : float
        The last rate :math:`\eta_T`.

    Returns
    -------
    ndarray or float
        The learning rate at each step; a float for a single one.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        If a step is negative or a constant is outside its range.

    See Also
    --------
    cosine_restarts : Again and again.
    linear_warmup : What often comes before.

    References
    ----------
    Loshchilov & Hutter (2017), "SGDR: stochastic gradient descent with warm restarts", equation 5.

    Examples
    --------
    >>> cosine_decay(np.arange(6), 1.0, total=4).round(4)
    array([1.    , 0.8536, 0.5   , 0.1464, 0.    , 0.    ])
    """
    lr, end = _rate(lr), _rate(end, "end")
    return _evaluated(_cosine_decay, step, lr, float(integer("total", total, 1)), end)


@kernel
def _cosine_decay(t, out, lr, total, end):
    for i in range(t.size):
        share = t[i] / total if t[i] < total else 1.0
        out[i] = end + (lr - end) * (1.0 + math.cos(math.pi * share)) / 2.0


def cosine_restarts(step: ArrayLike, lr: float, first: int, growth: int = 1, end: float = 0.0) -> NDArray | float:
    r"""Let the rate fall along half a cosine, jump back, and fall again.

    Parameters
    ----------
    step : array_like
        Number of steps taken before, from 0, as for `step_decay`.
    lr : float
        Learning rate before any decay.
    first : int
        Steps in the first cycle.
    growth : int
        How many times longer each cycle is than the one before.
    end : float
        What the rate falls towards; the restart comes one step before it is reached.

    Returns
    -------
    ndarray or float
        The learning rate at each step; a float for a single one.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        If a step is negative or a constant is outside its range.

    See Also
    --------
    cosine_decay : One cycle.

    References
    ----------
    Loshchilov & Hutter (2017), "SGDR: stochastic gradient descent with warm restarts", equation 5.

    Examples
    --------
    >>> cosine_restarts(np.arange(7), 1.0, first=2, growth=2).round(3)
    array([1.   , 0.5  , 1.   , 0.854, 0.5  , 0.146, 1.   ])
    """
    lr, end = _rate(lr), _rate(end, "end")
    first, growth = float(integer("first", first, 1)), float(integer("growth", growth, 1))
    return _evaluated(_cosine_restarts, step, lr, first, growth, end)


@kernel
def _cosine_restarts(t, out, lr, first, growth, end):
    for i in range(t.size):
        time, length = t[i], first
        if growth == 1.0:
            time = time % length
        while time >= length:
            time -= length
            length *= growth
        out[i] = end + (lr - end) * (1.0 + math.cos(math.pi * time / length)) / 2.0


def linear_warmup(step: ArrayLike, lr: float, total: int, start: float = 0.0) -> NDArray | float:
    r"""Let the rate rise along a line: :math:`\eta\,(c + (1 - c)\, t / T)`, and stay.

    Parameters
    ----------
    step : array_like
        Number of steps taken before, from 0, as for `step_decay`.
    lr : float
        Learning rate after the warm-up.
    total : int
        Steps :math:`T` of the warm-up.
    start : float
        The first rate as a fraction :math:`c` of `lr`. With 0 the first step does nothing.

    Returns
    -------
    ndarray or float
        The learning rate at each step; a float for a single one.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        If a step is negative or a constant is outside its range.

    See Also
    --------
    cosine_decay : What often follows.
    one_cycle : Both in one.

    References
    ----------
    Goyal et al. (2017), "Accurate, large minibatch SGD: training ImageNet in 1 hour", section 2.2.

    Examples
    --------
    >>> linear_warmup(np.arange(6), 1.0, total=4, start=0.2)
    array([0.2, 0.4, 0.6, 0.8, 1. , 1. ])
    """
    lr, start = _rate(lr), number("start", start, 0, 1)
    return _evaluated(_linear_warmup, step, lr, float(integer("total", total, 1)), start)


@kernel
def _linear_warmup(t, out, lr, total, start):
    for i in range(t.size):
        share = t[i] / total if t[i] < total else 1.0
        out[i] = lr * (start + (1.0 - start) * share)


def one_cycle(
    step: ArrayLike, lr: float, total: int, rise: float = 0.3, start: float = 0.04, end: float = 4e-6
) -> NDArray | float:
    r"""Let the rate rise to its top and fall below its start, both along half a cosine.

    The top is at step ``rise * total - 1`` and the end at the last step, ``total - 1``, as in PyTorch.

    Parameters
    ----------
    step : array_like
        Number of steps taken before, from 0, as for `step_decay`.
    lr : float
        The top.
    total : int
        Steps in all.
    rise : float
        Share of the steps up to the top, above ``1 / total`` and below 1.
    start, end : float
        First and last rate as fractions of `lr`. The defaults are those of PyTorch: 1/25 and 1/25 of 1/10000.

    Returns
    -------
    ndarray or float
        The learning rate at each step; a float for a single one.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        If a step is negative or a constant is outside its range.

    See Also
    --------
    linear_warmup : The rise alone, along a line.

    References
    ----------
    Smith (2017), "Cyclical learning rates for training neural networks", section 3.

    Examples
    --------
    >>> one_cycle(np.arange(10), 1.0, total=10, rise=0.5).round(2)
    array([0.04, 0.18, 0.52, 0.86, 1.  , 0.9 , 0.65, 0.35, 0.1 , 0.  ])
    """
    lr, total = _rate(lr), float(integer("total", total, 2))
    rise = number("rise", rise, 1 / total, 1, open_low=True, open_high=True)
    start, end = (number(name, value, 0, 1) for name, value in (("start", start), ("end", end)))
    return _evaluated(_one_cycle, step, lr, total - 1.0, rise * total - 1.0, start, end)


@kernel
def _one_cycle(t, out, lr, last, top, start, end):
    for i in range(t.size):
        if t[i] < top:
            low, fall = start, 1.0 - t[i] / top
        else:
            low, fall = end, (t[i] - top) / (last - top) if t[i] < last else 1.0
        out[i] = lr * (low + (1.0 - low) * (1.0 + math.cos(math.pi * fall)) / 2.0)


def _rate(value, name="lr"):
    return number(name, value, 0, open_high=True)


def _evaluated(schedule, step, *constants):
    """Return the schedule at these steps; time is float64 inside, whatever the type of the result."""
    step = real("step", step)
    if (step < 0).any():
        raise ValueError(f"step: expected numbers from 0, got {step[step < 0].flat[0]:g}")
    out = np.empty_like(step)
    schedule(step.reshape(-1).astype(np.float64), out.reshape(-1), *constants)
    return out if out.ndim else float(out)
