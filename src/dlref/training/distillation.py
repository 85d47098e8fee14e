"""Knowledge distillation: a student learns the softened outputs of a teacher."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import index, number, public, reals, same_shape, shaped
from dlref._compile import inline, kernel, prange
from dlref._math import exp, expm1, log, log1p, maximum
from dlref.losses.likelihood import cross_entropy, cross_entropy_backward

__all__ = [
    "distillation_loss",
    "distillation_loss_backward",
    "distillation_objective",
    "distillation_objective_backward",
    "logit_matching",
    "logit_matching_backward",
]


@public
def distillation_loss(student: ArrayLike, /, teacher: ArrayLike, temperature: float = 1.0) -> NDArray:
    r"""Return the divergence of softened outputs, :math:`T^2 \operatorname{KL}(q \| p)`, averaged over rows.

    Here :math:`q = \operatorname{softmax}(v / T)` is the teacher and :math:`p = \operatorname{softmax}(z / T)` the
    student.

    Parameters
    ----------
    student : array_like of float32 or float64, shape (N, K)
        Logits :math:`z`.
    teacher : array_like, shape (N, K)
        Logits :math:`v`, constant.
    temperature : float, above 0
        Temperature :math:`T` of both.

    Returns
    -------
    ndarray, shape ()
        In nats, times :math:`T^2`; NaN without rows.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes differ, or the temperature is not positive.

    See Also
    --------
    distillation_objective : With labels.
    logit_matching : The limit of a high temperature.

    References
    ----------
    Hinton, Vinyals & Dean (2015), "Distilling the knowledge in a neural network".

    Examples
    --------
    Logits that differ by a constant are the same prediction.

    >>> float(distillation_loss([[1.0, 2.0, 3.0]], [[2.0, 3.0, 4.0]], temperature=4.0))
    0.0
    """
    z, v, t = _checked(student, teacher, temperature)
    rows = np.empty(len(z), z.dtype)
    _distillation_rows(z, v, t, np.array(_SERIES, z.dtype), rows)
    return _mean(rows)


@public
def distillation_loss_backward(
    dy: ArrayLike, student: ArrayLike, /, teacher: ArrayLike, temperature: float = 1.0
) -> NDArray:
    r"""Return the gradient of `distillation_loss`: :math:`\bar z = \bar L\, T\, (p - q) / N`.

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient of the objective with respect to the loss.
    student, teacher, temperature
        The arguments of `distillation_loss`.

    Returns
    -------
    ndarray, shape (N, K)
        Gradient with respect to the student's logits; its rows sum to zero.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes differ, or the temperature is not positive.

    See Also
    --------
    distillation_loss : The function.

    References
    ----------
    Hinton, Vinyals & Dean (2015), "Distilling the knowledge in a neural network".

    Examples
    --------
    >>> distillation_loss_backward(1.0, [[0.0, 0.0]], [[0.0, np.log(3.0)]])
    array([[ 0.25, -0.25]])
    """
    dy, student, teacher = reals("dy", dy, "student", student, "teacher", teacher)
    shaped("dy", dy, ())
    z, v, t = _checked(student, teacher, temperature)
    out = np.empty_like(z)
    _distillation_gradient(z, v, t, np.array(_SERIES, z.dtype), z.dtype.type(dy / max(len(z), 1)), out)
    return out


# 1 / 12!, ..., 1 / 3!, 1 / 2!
_SERIES = [1 / math.factorial(k) for k in range(12, 1, -1)]


@inline
def _excess(u, c):
    # exp(u) - 1 - u, never negative; as a difference it would cancel near zero
    s = ((((c[0] * u + c[1]) * u + c[2]) * u + c[3]) * u + c[4]) * u + c[5]
    s = ((((s * u + c[6]) * u + c[7]) * u + c[8]) * u + c[9]) * u + c[10]
    return s * u * u if 4 * abs(u) < 1 else expm1(u) - u


@kernel(sums=True)
def _divergence(z, v, rate, series, q):
    # u = (z - v) / T less its mean under q, whose factor 1 / total is left out
    total, mean, value = z.dtype.type(0), z.dtype.type(0), z.dtype.type(0)
    top, highest = v[0], (z[0] - v[0]) * rate
    for k in range(v.size):
        top = maximum(top, v[k])
        highest = maximum(highest, (z[k] - v[k]) * rate)
    for k in range(v.size):
        q[k] = exp((v[k] - top) * rate)
        total += q[k]
        mean += q[k] * ((z[k] - v[k]) * rate)
    mean /= total
    if highest - mean < 80:
        for k in range(v.size):
            value += q[k] * _excess((z[k] - v[k]) * rate - mean, series)
        return log1p(value / total), mean, total, top
    # exp(u) would overflow: a difference of two logarithms of sums instead
    peak = z[0]
    for k in range(v.size):
        peak = maximum(peak, z[k])
    for k in range(v.size):
        value += exp((z[k] - peak) * rate)
    return (peak - top) * rate - mean + log(value / total), mean, total, top


@kernel
def _distillation_rows(z, v, t, series, out):
    rate = z.dtype.type(1) / t
    for n in prange(z.shape[0]):
        q = np.empty_like(v[n])
        out[n] = t * t * _divergence(z[n], v[n], rate, series, q)[0]


@kernel
def _distillation_gradient(z, v, t, series, scale, out):
    rate = z.dtype.type(1) / t
    for n in prange(z.shape[0]):
        row, teacher, g = z[n], v[n], out[n]
        value, mean, total, top = _divergence(row, teacher, rate, series, g)
        for k in range(row.size):
            q, d = g[k] / total, (row[k] - teacher[k]) * rate - mean - value
            p = exp((row[k] - top) * rate - mean - value) / total
            # p - q = q (exp(d) - 1) where they are close
            g[k] = scale * t * (q * expm1(d) if d < 1 else p - q)


@public
def distillation_objective(
    student: ArrayLike,
    /,
    teacher: ArrayLike,
    target: ArrayLike,
    temperature: float = 4.0,
    mix: float = 0.5,
) -> NDArray:
    r"""Return :math:`(1 - \alpha)` times the cross-entropy of labels plus :math:`\alpha` times the distillation loss.

    Parameters
    ----------
    student, teacher
        As for `distillation_loss`.
    target : array_like of int, shape (N,)
        Labels; they are compared with the student at temperature 1.
    temperature : float, above 0
        As for `distillation_loss`.
    mix : float in [0, 1]
        Weight :math:`\alpha` of the teacher.

    Returns
    -------
    ndarray, shape ()
        The mean over rows.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or labels are not integers.
    ValueError
        If shapes do not fit, or a number is outside of its range.

    See Also
    --------
    distillation_loss : The teacher's part.

    References
    ----------
    Hinton, Vinyals & Dean (2015), "Distilling the knowledge in a neural network".

    Examples
    --------
    >>> float(distillation_objective([[0.0, 0.0]], [[0.0, 0.0]], [1], mix=0.5) / np.log(2))
    0.5
    """
    z, v, target, mix = _both(student, teacher, target, mix)
    hard, soft = cross_entropy(z, target), distillation_loss(z, v, temperature)
    return np.asarray((1 - mix) * hard + mix * soft, z.dtype)


@public
def distillation_objective_backward(
    dy: ArrayLike,
    student: ArrayLike,
    /,
    teacher: ArrayLike,
    target: ArrayLike,
    temperature: float = 4.0,
    mix: float = 0.5,
) -> NDArray:
    r"""Return the gradient of `distillation_objective`.

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient of the loss with respect to the objective.
    student, teacher, target, temperature, mix
        The arguments of `distillation_objective`.

    Returns
    -------
    ndarray, shape (N, K)
        Gradient with respect to the student's logits.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or labels are not integers.
    ValueError
        If shapes do not fit, or a number is outside of its range.

    See Also
    --------
    distillation_objective : The function.

    References
    ----------
    Hinton, Vinyals & Dean (2015), "Distilling the knowledge in a neural network".

    Examples
    --------
    >>> distillation_objective_backward(1.0, [[0.0, 0.0]], [[0.0, 0.0]], [1], mix=0.5)
    array([[ 0.25, -0.25]])
    """
    dy, student, teacher = reals("dy", dy, "student", student, "teacher", teacher)
    shaped("dy", dy, ())
    z, v, target, mix = _both(student, teacher, target, mix)
    hard, soft = (np.asarray(dy * share, z.dtype) for share in (1 - mix, mix))
    return cross_entropy_backward(hard, z, target) + distillation_loss_backward(soft, z, v, temperature)


def _both(student, teacher, target, mix):
    z, v, _ = _checked(student, teacher, 1.0)
    return z, v, index("target", target, z.shape[1], (len(z),)), number("mix", mix, 0, 1)


@public
def logit_matching(student: ArrayLike, /, teacher: ArrayLike) -> NDArray:
    r"""Return the limit of `distillation_loss` for :math:`T \to \infty`: half the mean square of centered differences.

    Parameters
    ----------
    student : array_like of float32 or float64, shape (N, K)
        Logits :math:`z`.
    teacher : array_like, shape (N, K)
        Logits :math:`v`, constant.

    Returns
    -------
    ndarray, shape ()
        :math:`\frac{1}{2 N K} \sum_{n k} (d_{nk} - \mu_n)^2` with :math:`d = z - v` and its row means :math:`\mu`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes differ.

    See Also
    --------
    distillation_loss : At any temperature.

    References
    ----------
    Hinton, Vinyals & Dean (2015), "Distilling the knowledge in a neural network".

    Examples
    --------
    >>> z, v = [[1.0, 2.0, 4.0]], [[0.0, 3.0, 3.0]]
    >>> float(logit_matching(z, v)).__round__(4), float(distillation_loss(z, v, temperature=1e6)).__round__(4)
    (0.4444, 0.4444)
    """
    z, v, _ = _checked(student, teacher, 1.0)
    d = z - v
    d -= d.mean(axis=1, keepdims=True)
    return _mean((d * d).mean(axis=1) / 2)


@public
def logit_matching_backward(dy: ArrayLike, student: ArrayLike, /, teacher: ArrayLike) -> NDArray:
    r"""Return the gradient of `logit_matching`: the centered difference over :math:`N K`.

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient of the objective with respect to the loss.
    student, teacher
        The arguments of `logit_matching`.

    Returns
    -------
    ndarray, shape (N, K)
        Gradient with respect to the student's logits.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes differ.

    See Also
    --------
    logit_matching : The function.

    References
    ----------
    Hinton, Vinyals & Dean (2015), "Distilling the knowledge in a neural network".

    Examples
    --------
    >>> logit_matching_backward(1.0, [[1.0, 3.0]], [[0.0, 0.0]])
    array([[-0.5,  0.5]])
    """
    dy, student, teacher = reals("dy", dy, "student", student, "teacher", teacher)
    shaped("dy", dy, ())
    z, v, _ = _checked(student, teacher, 1.0)
    d = z - v
    d -= d.mean(axis=1, keepdims=True)
    d *= dy / max(d.size, 1)
    return d


def _checked(student, teacher, temperature):
    z, v = reals("student", student, "teacher", teacher)
    shaped("student", z, (None, None))
    same_shape("teacher", v, "student", z)
    if z.shape[1] == 0:
        raise ValueError("student: expected at least one class, got none")
    return z, v, z.dtype.type(number("temperature", temperature, 0, open_low=True))


def _mean(rows):
    return np.asarray(rows.sum(dtype=np.float64) / len(rows) if len(rows) else np.nan, rows.dtype)
