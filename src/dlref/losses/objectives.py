"""Objectives beyond a mean of losses: likelihood, posterior, Lagrangian, and the front of two objectives at once."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import number, option, public, real, reals, shaped
from dlref._compile import kernel, prange
from dlref.losses.squared import mean_squared_error, mean_squared_error_backward

__all__ = [
    "GaussianLogLikelihoodGradients",
    "LagrangianGradients",
    "LogPosteriorGradients",
    "gaussian_log_likelihood",
    "gaussian_log_likelihood_backward",
    "lagrangian",
    "lagrangian_backward",
    "log_posterior",
    "log_posterior_backward",
    "log_prior",
    "log_prior_backward",
    "pareto_front",
]


class GaussianLogLikelihoodGradients(NamedTuple):
    """Gradients of a Gaussian log-likelihood."""

    prediction: NDArray
    noise: NDArray


class LogPosteriorGradients(NamedTuple):
    """Gradients of a log-posterior; that of the parameters is the prior's part alone."""

    prediction: NDArray
    params: NDArray


class LagrangianGradients(NamedTuple):
    """Gradients of a Lagrangian."""

    objective: NDArray
    constraint: NDArray
    multiplier: NDArray


@public
def gaussian_log_likelihood(prediction: ArrayLike, noise: ArrayLike, /, target: ArrayLike) -> NDArray:
    r"""Return :math:`\log p(y \mid \hat y, s)` of independent normal targets: an objective to maximize.

    It is :math:`-\sum_i (\hat y_i - y_i)^2 / 2 s^2 - n \log (s \sqrt{2 \pi})`.

    Parameters
    ----------
    prediction : array_like of float32 or float64, any shape
        The means; integers become float64.
    noise : array_like, shape ()
        The standard deviation s of all targets around their means.
    target : array_like, shape of `prediction`
        The truth.

    Returns
    -------
    ndarray
        One number, a sum over all entries, in nats; positive where the density is large.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit.

    See Also
    --------
    mean_squared_error : The same objective for fixed noise, up to sign, factor and constant.
    log_posterior : With a prior for the parameters.

    References
    ----------
    Gauss (1809), "Theoria motus corporum coelestium", articles 175 to 186.

    Examples
    --------
    The best noise is the root mean squared error, here 2.

    >>> [float(gaussian_log_likelihood([2.0, -2.0], s, [0.0, 0.0]).round(3)) for s in (1.0, 2.0, 3.0)]
    [-5.838, -4.224, -4.48]
    """
    prediction, noise = reals("prediction", prediction, "noise", noise)
    shaped("noise", noise, ())
    total = mean_squared_error(prediction, target, reduction="sum")
    with np.errstate(divide="ignore", invalid="ignore"):
        constant = np.log(noise) + noise.dtype.type(math.log(2 * math.pi) / 2)
        return -total / (2 * noise * noise) - prediction.size * constant


@public
def gaussian_log_likelihood_backward(
    dy: ArrayLike, prediction: ArrayLike, noise: ArrayLike, /, target: ArrayLike
) -> GaussianLogLikelihoodGradients:
    r"""Return the gradients of `gaussian_log_likelihood`: :math:`(y - \hat y) / s^2` and :math:`S / s^3 - n / s`.

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient with respect to the log-likelihood.
    prediction, noise, target
        As for `gaussian_log_likelihood`; S is the sum of the squared errors.

    Returns
    -------
    GaussianLogLikelihoodGradients
        ``prediction`` and ``noise``.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit.

    See Also
    --------
    gaussian_log_likelihood : The function.

    References
    ----------
    Gauss (1809), "Theoria motus corporum coelestium", articles 175 to 186.

    Examples
    --------
    >>> gaussian_log_likelihood_backward(1.0, [2.0, -2.0], 2.0, [0.0, 0.0])
    GaussianLogLikelihoodGradients(prediction=array([-0.5,  0.5]), noise=array(0.))
    """
    dy, prediction, noise = reals("dy", dy, "prediction", prediction, "noise", noise)
    shaped("dy", dy, ())
    shaped("noise", noise, ())
    total = mean_squared_error(prediction, target, reduction="sum")
    slope = -dy / (2 * noise * noise)
    pull = mean_squared_error_backward(slope, prediction, target, reduction="sum")
    return GaussianLogLikelihoodGradients(
        pull, np.asarray(dy * (total / (noise * noise) - prediction.size) / noise, noise.dtype)
    )


@public
def log_prior(params: ArrayLike, /, scale: float = 1.0, prior: str = "normal") -> NDArray:
    r"""Return the logarithm of the density of independent parameters, normal or Laplace, around zero.

    Parameters
    ----------
    params : array_like of float32 or float64, any shape
        The parameters.
    scale : float
        The standard deviation of the normal density; b in :math:`e^{-|\theta| / b} / 2b` of the Laplace density.
    prior : {"normal", "laplace"}
        The first is an L2 penalty, the second an L1 penalty, with the sign turned and a constant.

    Returns
    -------
    ndarray
        One number, a sum over all parameters.

    Raises
    ------
    TypeError
        If `params` is neither real nor integer.
    ValueError
        If `scale` is not positive or there is no such prior.

    See Also
    --------
    cost : The penalties themselves.

    References
    ----------
    Goodfellow, Bengio and Courville (2016), "Deep Learning", section 7.1.

    Examples
    --------
    >>> log_prior([0.0, 2.0], scale=0.5, prior="laplace")
    np.float64(-4.0)
    """
    params = real("params", params)
    scale, laplace = _prior(params, scale, prior)
    out = np.empty(params.size, params.dtype)
    _log_density(params.reshape(-1), scale, laplace, out)
    constant = math.log(2 * scale) if laplace else math.log(scale) + math.log(2 * math.pi) / 2
    return out.sum() - params.dtype.type(params.size * constant)


@public
def log_prior_backward(dy: ArrayLike, params: ArrayLike, /, scale: float = 1.0, prior: str = "normal") -> NDArray:
    r"""Return the gradient of `log_prior`: :math:`-\theta / s^2` or :math:`-\operatorname{sign} \theta / b`.

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient with respect to the logarithm.
    params, scale, prior
        As for `log_prior`.

    Returns
    -------
    ndarray
        Gradient with respect to `params`, times `dy`; zero at the Laplace density's kink.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If `scale` is not positive or there is no such prior.

    See Also
    --------
    log_prior : The function.

    References
    ----------
    Goodfellow, Bengio and Courville (2016), "Deep Learning", section 7.1.

    Examples
    --------
    >>> log_prior_backward(1.0, [0.0, 2.0], scale=0.5)
    array([-0., -8.])
    """
    dy, params = reals("dy", dy, "params", params)
    shaped("dy", dy, ())
    out = np.empty_like(params)
    _log_density_backward(dy[()], params.reshape(-1), *_prior(params, scale, prior), out.reshape(-1))
    return out


@kernel
def _log_density(params, scale, laplace, out):
    half = params.dtype.type(0.5)
    for i in prange(params.size):
        z = abs(params[i]) / scale
        out[i] = -z if laplace else -half * z * z


@kernel
def _log_density_backward(dy, params, scale, laplace, out):
    one = params.dtype.type(1)
    for i in prange(params.size):
        p = params[i]
        sign = one if p > 0 else -one if p < 0 else p
        out[i] = -dy * (sign if laplace else p / scale) / scale


@public
def log_posterior(
    prediction: ArrayLike,
    params: ArrayLike,
    /,
    target: ArrayLike,
    noise: float = 1.0,
    scale: float = 1.0,
    prior: str = "normal",
) -> NDArray:
    r"""Return :math:`\log p(y \mid \hat y) + \log p(\theta)`, the logarithm of the posterior up to a constant.

    What maximizes it is the maximum a posteriori (MAP) estimate. The constant is the evidence, which does not depend on
    the parameters.

    Parameters
    ----------
    prediction
        As for `gaussian_log_likelihood`.
    params
        As for `log_prior`.
    target
        As for `gaussian_log_likelihood`.
    noise : float
        The standard deviation of the targets around their means.
    scale, prior
        As for `log_prior`.

    Returns
    -------
    ndarray
        One number, to be maximized.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit or a constant is outside its range.

    See Also
    --------
    cost : The same as a mean with a penalty, to be minimized.

    References
    ----------
    MacKay (1992), "A practical Bayesian framework for backpropagation networks".

    Examples
    --------
    >>> log_posterior([1.0], [0.5], [0.0]).round(4)
    np.float64(-2.4629)
    """
    prediction, params = reals("prediction", real("prediction", prediction), "params", real("params", params))
    noise = prediction.dtype.type(number("noise", noise, 0, open_low=True))
    return gaussian_log_likelihood(prediction, noise, target) + log_prior(params, scale, prior)


@public
def log_posterior_backward(
    dy: ArrayLike,
    prediction: ArrayLike,
    params: ArrayLike,
    /,
    target: ArrayLike,
    noise: float = 1.0,
    scale: float = 1.0,
    prior: str = "normal",
) -> LogPosteriorGradients:
    r"""Return the gradients of `log_posterior`, through the prediction and through the prior.

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient with respect to the log-posterior.
    prediction, params, target, noise, scale, prior
        As for `log_posterior`.

    Returns
    -------
    LogPosteriorGradients
        ``prediction``, to be pulled back through the model, and ``params``, from the prior alone.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes do not fit or a constant is outside its range.

    See Also
    --------
    log_posterior : The function.

    References
    ----------
    MacKay (1992), "A practical Bayesian framework for backpropagation networks".

    Examples
    --------
    >>> log_posterior_backward(1.0, [1.0], [0.5], [0.0])
    LogPosteriorGradients(prediction=array([-1.]), params=array([-0.5]))
    """
    prediction, params = real("prediction", prediction), real("params", params)
    dy, prediction, params = reals("dy", dy, "prediction", prediction, "params", params)
    noise = prediction.dtype.type(number("noise", noise, 0, open_low=True))
    pull = gaussian_log_likelihood_backward(dy, prediction, noise, target).prediction
    return LogPosteriorGradients(pull, log_prior_backward(dy, params, scale, prior))


@public
def lagrangian(objective: ArrayLike, constraint: ArrayLike, multiplier: ArrayLike, /) -> NDArray:
    r"""Return :math:`f + \lambda g` for an objective f to minimize under the constraint g = 0.

    Parameters
    ----------
    objective, constraint, multiplier : array_like of float32 or float64, shape ()
        The values f and g at a point, and the multiplier.

    Returns
    -------
    ndarray
        One number. Where the constrained minimum is regular, its gradient with respect to the parameters is zero there
        for one multiplier, and that with respect to the multiplier is the constraint.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If an argument is not a number.

    See Also
    --------
    cost : With a multiplier that is chosen once, a penalty.

    References
    ----------
    Platt and Barr (1987), "Constrained differential optimization".

    Examples
    --------
    >>> lagrangian(2.0, 0.5, 3.0)
    np.float64(3.5)
    """
    f, g, multiplier = _numbers(objective, constraint, multiplier)
    return f + multiplier * g


@public
def lagrangian_backward(
    dy: ArrayLike, objective: ArrayLike, constraint: ArrayLike, multiplier: ArrayLike, /
) -> LagrangianGradients:
    r"""Return the gradients of `lagrangian`: :math:`\bar y`, :math:`\bar y \lambda` and :math:`\bar y g`.

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient with respect to the Lagrangian.
    objective, constraint, multiplier
        As for `lagrangian`.

    Returns
    -------
    LagrangianGradients
        To descend on the first two and to ascend on the third.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If an argument is not a number.

    See Also
    --------
    lagrangian : The function.

    References
    ----------
    Platt and Barr (1987), "Constrained differential optimization".

    Examples
    --------
    >>> [float(g) for g in lagrangian_backward(1.0, 2.0, 0.5, 3.0)]
    [1.0, 3.0, 0.5]
    """
    f, g, multiplier = _numbers(objective, constraint, multiplier)
    dy, f, g, multiplier = reals("dy", dy, "objective", f, "constraint", g, "multiplier", multiplier)
    shaped("dy", dy, ())
    return LagrangianGradients(dy.copy(), np.asarray(dy * multiplier), np.asarray(dy * g))


@public
def pareto_front(values: ArrayLike) -> NDArray:
    r"""Return which of N candidates no other one dominates, for two objectives that are both minimized.

    One candidate dominates another if it is at least as good in both objectives and better in one.

    Parameters
    ----------
    values : array_like of float32 or float64, shape (N, 2)
        The two objectives of every candidate; NaN counts as worse than anything.

    Returns
    -------
    ndarray of bool, shape (N,)
        True on the front. Equal candidates are on it together.

    Raises
    ------
    TypeError
        If `values` is neither real nor integer.
    ValueError
        If it is not of shape (N, 2).

    See Also
    --------
    lagrangian : One objective, with the other as a constraint.

    References
    ----------
    Das and Dennis (1997), "A closer look at drawbacks of minimizing weighted sums of objectives".

    Examples
    --------
    >>> pareto_front([[1.0, 4.0], [2.0, 2.0], [3.0, 3.0], [4.0, 1.0]])
    array([ True,  True, False,  True])
    """
    values = real("values", values, ndim=2)
    shaped("values", values, (None, 2))
    values = np.where(np.isnan(values), values.dtype.type(np.inf), values)
    order = np.lexsort((values[:, 1], values[:, 0]))
    out = np.empty(len(values), np.bool_)
    _pareto_front(values, order, out)
    return out


@kernel
def _pareto_front(values, order, out):
    best = at = values.dtype.type(np.inf)
    for k in range(order.size):
        i = order[k]
        first, second = values[i, 0], values[i, 1]
        # sorted by the first objective: the second has to be a new low
        low = k == 0 or second < best
        out[i] = low or (second == best and first == at)
        if low:
            best, at = second, first


def _prior(params, scale, prior):
    laplace = option("prior", prior, ("normal", "laplace")) == "laplace"
    return params.dtype.type(number("scale", scale, 0, open_low=True)), laplace


def _numbers(objective, constraint, multiplier):
    arrays = reals("objective", objective, "constraint", constraint, "multiplier", multiplier)
    for name, value in zip(("objective", "constraint", "multiplier"), arrays, strict=True):
        shaped(name, value, ())
    return arrays
