"""Bayesian networks: the exact linear case, and three approximations for a small network of tanh units."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, number, real, reals, shaped
from dlref._compile import kernel
from dlref._math import tanh

__all__ = [
    "BayesianLinear",
    "HamiltonianDraws",
    "LogDensity",
    "MeanField",
    "bayesian_linear",
    "elbo_gradient",
    "fit_mean_field",
    "hamiltonian_draws",
    "laplace_covariance",
    "tanh_network",
    "tanh_network_log_posterior",
]


class BayesianLinear(NamedTuple):
    """The normal posterior of linear weights, and the logarithm of the evidence."""

    mean: NDArray
    covariance: NDArray
    log_evidence: float


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


def bayesian_linear(x: ArrayLike, y: ArrayLike, noise: float = 1.0, prior: float = 1.0) -> BayesianLinear:
    r"""Return the exact posterior of :math:`y = Xw + \varepsilon` with normal noise and a normal prior. In float64.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Features.
    y : array_like, shape (N,)
        Targets.
    noise : float
        Standard deviation of the noise.
    prior : float
        Standard deviation of each weight before any data.

    Returns
    -------
    BayesianLinear
        Mean, covariance, and the log density of the targets with the weights integrated out.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit, or a deviation is not positive.

    See Also
    --------
    ridge : Its mean, with the penalty (noise / prior) squared.

    References
    ----------
    MacKay (1992), "A practical Bayesian framework for backpropagation networks".

    Examples
    --------
    One observation halves the variance of a weight whose prior is as wide as the noise.

    >>> bayesian_linear([[1.0]], [2.0])[:2]
    (array([1.]), array([[0.5]]))
    """
    x, y = (np.asarray(v, np.float64) for v in reals("x", x, "y", y))
    shaped("x", x, (None, None))
    shaped("y", y, (len(x),))
    noise, prior = number("noise", noise, 0, open_low=True), number("prior", prior, 0, open_low=True)
    covariance = np.linalg.inv(x.T @ x / noise**2 + np.eye(x.shape[1]) / prior**2)
    mean = covariance @ (y @ x) / noise**2
    rest = y - x @ mean
    quadratic = rest @ rest / noise**2 + mean @ mean / prior**2
    volume = np.linalg.slogdet(covariance)[1] - 2 * x.shape[1] * math.log(prior)
    log_evidence = (volume - quadratic - len(y) * math.log(2 * math.pi * noise**2)) / 2
    return BayesianLinear(mean, covariance, float(log_evidence))


def tanh_network(w: ArrayLike, x: ArrayLike) -> NDArray:
    r"""Return a network of one input, H tanh units and one output: :math:`c + \sum_h a_h \tanh(v_h x + b_h)`.

    Parameters
    ----------
    w : array_like, shape (..., 3 H + 1)
        All v, all b, all a, and c: one network or many.
    x : array_like, shape (N,)
        Inputs.

    Returns
    -------
    ndarray, shape (..., N)
        Outputs.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If `x` has not one dimension, or the number of weights is not 3 H + 1.

    See Also
    --------
    tanh_network_log_posterior : The density of its weights.

    References
    ----------
    MacKay (1992), "A practical Bayesian framework for backpropagation networks".

    Examples
    --------
    >>> tanh_network([1.0, 0.0, 2.0, 0.5], [-10.0, 0.0, 10.0]).round(4)
    array([-1.5,  0.5,  2.5])
    """
    w, x = reals("w", real("w", w, -1), "x", real("x", x, 1))
    hidden = _hidden(w)
    v, b, a = (w[..., k * hidden : (k + 1) * hidden] for k in range(3))
    units = np.tanh(x[:, None] * v[..., None, :] + b[..., None, :])
    return (units * a[..., None, :]).sum(axis=-1) + w[..., -1:]


def tanh_network_log_posterior(
    w: ArrayLike, x: ArrayLike, y: ArrayLike, noise: float = 0.1, prior: float = 1.0
) -> LogDensity:
    r"""Return the log posterior density of the weights of `tanh_network`, up to a constant, and its gradient.

    Parameters
    ----------
    w : array_like, shape (3 H + 1,)
        Weights.
    x, y : array_like, shape (N,)
        Inputs and targets.
    noise : float
        Standard deviation of the noise.
    prior : float
        Standard deviation of each weight before any data.

    Returns
    -------
    LogDensity
        Minus half the squared residuals over the variance of the noise and half the squared weights over that of the
        prior, with the gradient.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit, or a deviation is not positive.

    See Also
    --------
    hamiltonian_draws, fit_mean_field, laplace_covariance : What is made of it.

    References
    ----------
    MacKay (1992), "A practical Bayesian framework for backpropagation networks".

    Examples
    --------
    >>> found = tanh_network_log_posterior([0.0, 0.0, 1.0, 0.0], [1.0, 2.0], [1.0, 1.0], noise=1.0)
    >>> found.value, found.gradient
    (-1.5, array([ 3.,  2., -1.,  2.]))
    """
    w, x, y = reals("w", real("w", w, 1), "x", real("x", x, 1), "y", y)
    shaped("y", y, x.shape)
    hidden = _hidden(w)
    noise, prior = number("noise", noise, 0, open_low=True), number("prior", prior, 0, open_low=True)
    gradient, precision = -w / w.dtype.type(prior**2), w.dtype.type(1 / noise**2)
    value = float(w @ gradient) / 2 + _log_likelihood(w, x, y, hidden, precision, np.empty(hidden, w.dtype), gradient)
    return LogDensity(float(value), gradient)


@kernel(sums=True)
def _log_likelihood(w, x, y, hidden, precision, units, gradient):
    total = precision * 0
    for n in range(len(x)):
        output = w[3 * hidden]
        for h in range(hidden):
            units[h] = tanh(w[h] * x[n] + w[hidden + h])
            output += w[2 * hidden + h] * units[h]
        rest = y[n] - output
        total += rest * rest
        slope = precision * rest
        for h in range(hidden):
            inner = slope * w[2 * hidden + h] * (1 - units[h] * units[h])
            gradient[h] += inner * x[n]
            gradient[hidden + h] += inner
            gradient[2 * hidden + h] += slope * units[h]
        gradient[3 * hidden] += slope
    return -precision * total / 2


def _hidden(w):
    if w.shape[-1] < 4 or w.shape[-1] % 3 != 1:
        raise ValueError(f"w: expected 3 H + 1 weights, got {w.shape[-1]}")
    return w.shape[-1] // 3


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
    mode, step = real("mode", mode, 1).astype(np.float64), number("step", step, 0, open_low=True)
    moves = step * np.eye(len(mode))
    second = np.array([log_density(mode + m)[1] - log_density(mode - m)[1] for m in moves]) / (2 * step)
    try:
        factor = np.linalg.inv(np.linalg.cholesky(-(second + second.T) / 2))
    except np.linalg.LinAlgError:
        raise ValueError("mode: expected a maximum, the second derivatives are not negative definite") from None
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
    std = np.logaddexp(0, rho)
    found = [log_density(mean + std * row) for row in eps]
    gradients = np.array([f[1] for f in found]).reshape(eps.shape)
    entropy = np.log(std).sum() + len(mean) * math.log(2 * math.pi * math.e) / 2
    slope = (gradients * eps).mean(axis=0) + 1 / std
    value = float(np.mean([f[0] for f in found]) + entropy)
    return value, gradients.mean(axis=0), slope * -np.expm1(-std)


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
    std, lr = number("std", std, 0, open_low=True), number("lr", lr, 0)
    steps, samples = integer("steps", steps, 0), integer("samples", samples, 1)
    point = np.concatenate([mean, np.full(len(mean), math.log(math.expm1(std)))])
    first, second, history = np.zeros_like(point), np.zeros_like(point), []
    for t in range(steps):
        middle, rho = np.split(point, 2)
        value, *gradient = elbo_gradient(middle, rho, rng.normal(size=(samples, len(mean))), log_density)
        g = np.concatenate(gradient)
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
        direction = first / (1 - 0.9 ** (t + 1)) / (np.sqrt(second / (1 - 0.999 ** (t + 1))) + 1e-8)
        point = point + lr * (1 - t / steps) * direction
        history.append(value)
    mean, rho = np.split(point, 2)
    return MeanField(mean, np.logaddexp(0, rho), np.array(history))


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
        If `start` is neither real nor integer.
    ValueError
        If an option is out of range.

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
    w, step = real("start", start, 1).astype(np.float64), number("step", step, 0, open_low=True)
    leaps, draws = integer("leaps", leaps, 1), integer("draws", draws, 0)
    value, gradient = log_density(w)
    found, errors, accepted = np.empty((draws, len(w))), np.empty(draws), 0
    for k in range(draws):
        velocity, length = rng.normal(size=len(w)), step * rng.uniform(0.8, 1.2)
        here, slope, energy = w, gradient, velocity @ velocity / 2 - value
        velocity = velocity + length / 2 * slope
        for leap in range(leaps):
            here = here + length * velocity
            new, slope = log_density(here)
            velocity = velocity + (length if leap < leaps - 1 else length / 2) * slope
        errors[k] = velocity @ velocity / 2 - new - energy
        # in this order min passes NaN on, and a trajectory that left the numbers is refused
        if rng.random() < math.exp(min(-errors[k], 0.0)):
            w, value, gradient, accepted = here, new, slope, accepted + 1
        found[k] = w
    return HamiltonianDraws(found, accepted / max(draws, 1), errors)
