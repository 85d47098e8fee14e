"""Bayesian networks: the exact linear case, and the posterior and the predictions of a small network of tanh units."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import number, real, reals, shaped
from dlref._compile import kernel, prange
from dlref._math import tanh
from dlref.models.posteriors import LogDensity

__all__ = [
    "BayesianLinear",
    "Prediction",
    "bayesian_linear",
    "linearized_prediction",
    "posterior_prediction",
    "tanh_network",
    "tanh_network_log_posterior",
]


class BayesianLinear(NamedTuple):
    """The normal posterior of linear weights, and the logarithm of the evidence."""

    mean: NDArray
    covariance: NDArray
    log_evidence: float


class Prediction(NamedTuple):
    """Mean of the target at each input, the variance that the weights leave, and that with the noise added."""

    mean: NDArray
    epistemic: NDArray
    variance: NDArray


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
    noise, prior = _deviations(noise, prior)
    size = x.shape[1]
    # Least squares with the prior as further rows: R'R is the precision, and no square of x is formed.
    rows = np.zeros((len(x) + size, size + 1))
    rows[: len(x), :size], rows[: len(x), size] = x / noise, y / noise
    rows[len(x) :, :size] = np.eye(size) / prior
    _, r = np.linalg.qr(rows)
    inverse = np.linalg.inv(r[:size, :size])
    volume = -np.log(np.abs(np.diag(r[:size, :size]))).sum() - size * math.log(prior)
    rest = float(r[size, size]) if len(x) else 0.0
    log_evidence = volume - rest * rest / 2 - len(y) * (math.log(noise) + math.log(2 * math.pi) / 2)
    return BayesianLinear(inverse @ r[:size, size], inverse @ inverse.T, float(log_evidence))


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
    noise, prior = _deviations(noise, prior)
    gradient, precision = -w / w.dtype.type(prior) / w.dtype.type(prior), w.dtype.type(1 / noise / noise)
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


def posterior_prediction(draws: ArrayLike, x: ArrayLike, noise: float = 0.1) -> Prediction:
    r"""Predict with a `tanh_network` whose weights were drawn: mean and variance over the draws.

    Parameters
    ----------
    draws : array_like of float32 or float64, shape (S, 3 H + 1)
        Weights in rows, from `hamiltonian_draws`, or normal ones around a mean; at least one row.
    x : array_like, shape (N,)
        Inputs.
    noise : float
        Standard deviation of the noise.

    Returns
    -------
    Prediction
        Mean, epistemic variance, and the sum of this and the variance of the noise; each of shape (N,).

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit, there are no draws, or the deviation is not positive.

    See Also
    --------
    linearized_prediction : From a mode and a covariance.

    References
    ----------
    Neal (1996), "Bayesian learning for neural networks".

    Examples
    --------
    Two networks that agree at 0 and nowhere else.

    >>> draws = [[1.0, 0.0, 1.0, 0.0], [1.0, 0.0, -1.0, 0.0]]
    >>> found = posterior_prediction(draws, [0.0, 10.0], noise=0.5)
    >>> found.epistemic.round(4), found.variance.round(4)
    (array([0., 1.]), array([0.25, 1.25]))
    """
    draws, x = reals("draws", real("draws", draws, 2), "x", real("x", x, 1))
    hidden = _hidden(draws, "draws")
    if not len(draws):
        raise ValueError("draws: expected at least one row of weights, got none")
    noise = number("noise", noise, 0, open_low=True, open_high=True)
    mean, epistemic = np.empty((2, len(x)), x.dtype)
    _predictive(draws, x, hidden, mean, epistemic)
    return Prediction(mean, epistemic, epistemic + x.dtype.type(noise * noise))


@kernel
def _predictive(draws, x, hidden, mean, epistemic):
    for n in prange(len(x)):
        middle, spread = x.dtype.type(0), x.dtype.type(0)
        for s in range(len(draws)):
            w = draws[s]
            output = w[3 * hidden]
            for h in range(hidden):
                output += w[2 * hidden + h] * tanh(w[h] * x[n] + w[hidden + h])
            # both moments in one pass, without the difference of two large squares
            away = output - middle
            middle += away / x.dtype.type(s + 1)
            spread += away * (output - middle)
        mean[n], epistemic[n] = middle, spread / x.dtype.type(len(draws))


def linearized_prediction(mode: ArrayLike, covariance: ArrayLike, x: ArrayLike, noise: float = 0.1) -> Prediction:
    r"""Predict with a `tanh_network` that is linear in its weights about a mode: :math:`\nabla f^\top \Sigma \nabla f`.

    Parameters
    ----------
    mode : array_like of float32 or float64, shape (3 H + 1,)
        Weights.
    covariance : array_like, shape (3 H + 1, 3 H + 1)
        Their covariance, from `laplace_covariance`.
    x : array_like, shape (N,)
        Inputs.
    noise : float
        Standard deviation of the noise.

    Returns
    -------
    Prediction
        The output at the mode, epistemic variance, and the sum of this and the variance of the noise; each of
        shape (N,).

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit, or the deviation is not positive.

    See Also
    --------
    posterior_prediction : From draws.

    References
    ----------
    MacKay (1992), "A practical Bayesian framework for backpropagation networks".

    Examples
    --------
    Of two certain units and an uncertain offset the offset is left.

    >>> covariance = np.diag([0.0, 0.0, 0.0, 0.04])
    >>> linearized_prediction([1.0, 0.0, 2.0, 0.5], covariance, [0.0], noise=0.3)
    Prediction(mean=array([0.5]), epistemic=array([0.04]), variance=array([0.13]))
    """
    mode, covariance, x = reals("mode", real("mode", mode, 1), "covariance", covariance, "x", real("x", x, 1))
    hidden = _hidden(mode, "mode")
    shaped("covariance", covariance, (len(mode), len(mode)))
    noise = number("noise", noise, 0, open_low=True, open_high=True)
    mean, slopes = np.empty_like(x), np.empty((len(x), len(mode)), x.dtype)
    _slopes(mode, x, hidden, mean, slopes)
    epistemic = ((slopes @ covariance) * slopes).sum(axis=1)
    return Prediction(mean, epistemic, epistemic + x.dtype.type(noise * noise))


@kernel
def _slopes(w, x, hidden, mean, out):
    one = x.dtype.type(1)
    for n in range(len(x)):
        row, mean[n] = out[n], w[3 * hidden]
        for h in range(hidden):
            unit, outer = tanh(w[h] * x[n] + w[hidden + h]), w[2 * hidden + h]
            mean[n] += outer * unit
            row[hidden + h] = outer * (one - unit) * (one + unit)
            row[h] = row[hidden + h] * x[n]
            row[2 * hidden + h] = unit
        row[3 * hidden] = one


def _deviations(noise, prior):
    return tuple(
        number(name, value, 0, open_low=True, open_high=True) for name, value in (("noise", noise), ("prior", prior))
    )


def _hidden(w, name="w"):
    if w.shape[-1] < 4 or w.shape[-1] % 3 != 1:
        raise ValueError(f"{name}: expected 3 H + 1 weights, got {w.shape[-1]}")
    return w.shape[-1] // 3
