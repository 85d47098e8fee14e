"""Approximate posteriors of any log density: Laplace, independent weights, and Hamiltonian Monte Carlo."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, number, real, reals, shaped
from dlref._compile import kernel
from dlref.optimizers import adam, adam_state

__all__ = [
    "HamiltonianDraws",
    "LogDensity",
    "MeanField",
    "elbo_gradient",
    "fit_mean_field",
    "hamiltonian_draws",
    "laplace_covariance",
]


class LogDensity(NamedTuple):
    """A log density, up to a constant, and its gradient."""

    value: float
    gradient: NDArray


class MeanField(NamedTuple):
    """A normal approximation with independent weights; `elbo` has the estimate of every step."""

    mean: NDArray
    std: NDArray
    elbo: NDArray


class HamiltonianDraws(NamedTuple):
    """Draws, a row each, the share of proposals that were accepted, and the error of the energy of every proposal."""

    draws: NDArray
    accepted: float
    errors: NDArray


def laplace_covariance(log_density: Callable, mode: ArrayLike, step: float = 1e-4) -> NDArray:
    r"""Return the covariance of the normal density that fits a log density at its mode. In float64.

    The second derivatives are differences of gradients, on both sides of the mode.

    Parameters
    ----------
    log_density : callable
        Called with weights; returns a `LogDensity`.
    mode : array_like, shape (D,)
        Where the gradient is zero.
    step : float
        Distance of the differences.

    Returns
    -------
    ndarray, shape (D, D)
        Minus the inverse of the second derivatives.

    Raises
    ------
    TypeError
        If `mode` is neither real nor integer.
    ValueError
        If it has not one dimension, or is no maximum.

    See Also
    --------
    fit_mean_field : Looks at more than one point.

    References
    ----------
    MacKay (1992), "A practical Bayesian framework for backpropagation networks".

    Examples
    --------
    >>> def log_density(w):
    ...     return LogDensity(-2 * w[0] ** 2 - w[1] ** 2 / 8, np.array([-4 * w[0], -w[1] / 4]))
    >>> laplace_covariance(log_density, [0.0, 0.0]).round(6)
    array([[0.25, 0.  ],
           [0.  , 4.  ]])
    """
    mode, at = real("mode", mode, 1).astype(np.float64), _density(log_density)
    step = number("step", step, 0, open_low=True, open_high=True)
    second = np.empty((len(mode), len(mode)))
    for row, move in zip(second, step * np.eye(len(mode)), strict=True):
        row[:] = (at(mode + move)[1] - at(mode - move)[1]) / (2 * step)
    try:
        factor = np.linalg.inv(np.linalg.cholesky(-(second + second.T) / 2))
    except np.linalg.LinAlgError:
        factor = np.full_like(second, np.nan)
    if not np.isfinite(factor).all():
        raise ValueError("mode: expected a maximum, the second derivatives are not negative definite")
    return factor.T @ factor


def elbo_gradient(
    mean: ArrayLike, rho: ArrayLike, eps: ArrayLike, log_density: Callable
) -> tuple[float, NDArray, NDArray]:
    r"""Return an estimate of the evidence lower bound and its gradient by mean and :math:`\rho`.

    The weights are :math:`\mu + s \odot \epsilon` with :math:`s = \log(1 + e^\rho)`. In float64.

    Parameters
    ----------
    mean, rho : array_like, shape (D,)
        Parameters of the approximation.
    eps : array_like, shape (S, D)
        Standard normal numbers, a row for each sample.
    log_density : callable
        Called with weights; returns a `LogDensity`.

    Returns
    -------
    tuple of float, ndarray and ndarray
        The estimate, up to the constant of `log_density`, and both gradients.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    fit_mean_field : Climbs it.

    References
    ----------
    Blundell, Cornebise, Kavukcuoglu & Wierstra (2015), "Weight uncertainty in neural network".

    Examples
    --------
    >>> def log_density(w):
    ...     return LogDensity(-w[0] ** 2 / 2, -w)
    >>> value, dmean, drho = elbo_gradient([1.0], [np.log(np.e - 1)], [[0.0]], log_density)
    >>> print(round(value, 4), dmean, drho.round(4))
    0.9189 [-1.] [0.6321]
    """
    mean, rho, eps = (np.asarray(v, np.float64) for v in reals("mean", mean, "rho", rho, "eps", eps))
    shaped("mean", mean, (None,))
    shaped("rho", rho, mean.shape)
    shaped("eps", eps, (None, len(mean)))
    if not len(eps):
        raise ValueError("eps: expected at least one row of samples, got none")
    at, std = _density(log_density), np.logaddexp(0, rho)
    found = [at(mean + std * row) for row in eps]
    gradients = np.array([f[1] for f in found]).reshape(eps.shape)
    # Where exp(rho) is below the rounding of 1 the deviation is exp(rho), perhaps 0, and its logarithm rho.
    with np.errstate(divide="ignore", invalid="ignore"):
        log_std, decay = np.where(rho < -37, rho, np.log(std)), -np.expm1(-std)
        slope = (gradients * eps).mean(axis=0) * decay + np.where(rho < -37, 1, decay / std)
    entropy = log_std.sum() + len(mean) * math.log(2 * math.pi * math.e) / 2
    return float(np.mean([f[0] for f in found]) + entropy), gradients.mean(axis=0), slope


def fit_mean_field(
    log_density: Callable,
    mean: ArrayLike,
    rng: np.random.Generator,
    std: float = 0.1,
    lr: float = 0.02,
    steps: int = 2000,
    samples: int = 4,
) -> MeanField:
    r"""Fit independent normal weights to a log density by steps of Adam on the evidence lower bound.

    The learning rate falls linearly to zero.

    Parameters
    ----------
    log_density : callable
        Called with weights; returns a `LogDensity`.
    mean : array_like, shape (D,)
        Where to start.
    rng : numpy.random.Generator
        Draws the weights of every step.
    std : float
        Deviation to start with.
    lr : float
        Learning rate.
    steps : int
        Number of steps.
    samples : int
        Draws in each step.

    Returns
    -------
    MeanField
        Means, standard deviations, and the estimates of the bound.

    Raises
    ------
    TypeError
        If `mean` is neither real nor integer.
    ValueError
        If an option is out of range.

    See Also
    --------
    elbo_gradient : One estimate.

    References
    ----------
    Blundell, Cornebise, Kavukcuoglu & Wierstra (2015), "Weight uncertainty in neural network".

    Examples
    --------
    A correlated density: the deviations come out as those with the other weight known, which are smaller.

    >>> precision = np.linalg.inv([[1.0, 0.8], [0.8, 1.0]])
    >>> def log_density(w):
    ...     return LogDensity(-w @ precision @ w / 2, -precision @ w)
    >>> fit_mean_field(log_density, np.zeros(2), np.random.default_rng(0)).std.round(1)
    array([0.6, 0.6])
    """
    mean = real("mean", mean, 1).astype(np.float64)
    std = number("std", std, 0, open_low=True, open_high=True)
    lr, steps = number("lr", lr, 0, open_high=True), integer("steps", steps, 0)
    samples = integer("samples", samples, 1)
    # log(e^std - 1), where e^std may be out of range
    point = np.concatenate([mean, np.full(len(mean), std + math.log(-math.expm1(-std)))])
    state, history = adam_state(point), np.empty(steps)
    for t in range(steps):
        middle, rho = np.split(point, 2)
        history[t], *gradient = elbo_gradient(middle, rho, rng.normal(size=(samples, len(mean))), log_density)
        point, state = adam(point, -np.concatenate(gradient), state, lr * (1 - t / steps), out=(point, state))
    mean, rho = np.split(point, 2)
    return MeanField(mean, np.logaddexp(0, rho), history)


def hamiltonian_draws(
    log_density: Callable,
    start: ArrayLike,
    rng: np.random.Generator,
    step: float = 0.1,
    leaps: int = 20,
    draws: int = 1000,
) -> HamiltonianDraws:
    r"""Draw from a density by Hamiltonian Monte Carlo.

    Each proposal follows a frictionless motion on minus the log density from a normal velocity, by leapfrog steps, and
    is accepted with the probability that corrects for their error.

    Parameters
    ----------
    log_density : callable
        Called with weights; returns a `LogDensity`.
    start : array_like, shape (D,)
        Where to start.
    rng : numpy.random.Generator
        Draws velocities and decides.
    step : float
        Length of a leapfrog step; each proposal uses it times a number from 0.8 to 1.2.
    leaps : int
        Steps of a proposal.
    draws : int
        Number of proposals.

    Returns
    -------
    HamiltonianDraws
        The state after each proposal, the share accepted, and the energy errors.

    Raises
    ------
    TypeError
        If `start` is neither real nor integer, or `log_density` does not return a value and a gradient.
    ValueError
        If an option is out of range, or there is no log density at the start.

    See Also
    --------
    fit_mean_field : Faster, and not exact in the limit.

    References
    ----------
    Neal (1996), "Bayesian learning for neural networks".

    Examples
    --------
    >>> found = hamiltonian_draws(lambda w: LogDensity(-w @ w / 2, -w), [3.0], np.random.default_rng(0), 0.3, 10, 4000)
    >>> found.draws[100:].mean(axis=0).round(1) + 0.0, found.draws[100:].std(axis=0).round(1)
    (array([0.]), array([1.]))
    """
    w, at = real("start", start, 1).astype(np.float64), _density(log_density)
    step = number("step", step, 0, open_low=True, open_high=True)
    leaps, draws = integer("leaps", leaps, 1), integer("draws", draws, 0)
    value, gradient = at(w)
    if math.isnan(value):
        raise ValueError("start: expected weights with a log density, got nan there")
    found, errors, accepted = np.empty((draws, len(w))), np.empty(draws), 0
    for k in range(draws):
        velocity, length = rng.normal(size=len(w)), step * rng.uniform(0.8, 1.2)
        here, slope, energy = w.copy(), gradient, velocity @ velocity / 2 - value
        for leap in range(leaps):
            # two half steps of the velocity in a row make a whole one
            _leap(here, velocity, slope, length if leap else length / 2, length)
            new, slope = at(here)
        velocity += length / 2 * slope
        errors[k] = velocity @ velocity / 2 - new - energy
        # in this order min passes NaN on, and a trajectory that left the numbers is refused
        if rng.random() < math.exp(min(-errors[k], 0.0)):
            w, value, gradient, accepted = here, new, slope, accepted + 1
        found[k] = w
    return HamiltonianDraws(found, accepted / max(draws, 1), errors)


@kernel
def _leap(w, velocity, slope, kick, step):
    for i in range(w.size):
        velocity[i] += kick * slope[i]
        w[i] += step * velocity[i]


def _density(log_density):
    """Return a function of the weights that checks what the given one returns."""
    if not callable(log_density):
        raise TypeError(f"log_density: expected a function of the weights, got {type(log_density).__name__}")

    def at(w):
        found = log_density(w)
        if not isinstance(found, tuple) or len(found) != 2:
            raise TypeError(f"log_density: expected a value and its gradient, got {type(found).__name__}")
        gradient = real("log_density", found[1])
        shaped("log_density", gradient, w.shape)
        return float(found[0]), gradient.astype(np.float64, copy=False)

    return at
