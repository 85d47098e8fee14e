"""Ridge regression: two closed forms, a path from one decomposition, and its likeness to early stopping."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import number, option, public, real, reals, same_shape, shaped
from dlref._compile import kernel, prange
from dlref.models._regression import regression_data, without_means

__all__ = [
    "Ridge",
    "RidgePath",
    "ShrinkageRisk",
    "ridge",
    "ridge_factors",
    "ridge_path",
    "shrinkage_risk",
]


class Ridge(NamedTuple):
    """A ridge regression: its prediction is ``x @ w + intercept``.

    `objective` is the minimum that was found, `violation` the largest entry of its gradient, as a share of that at
    zero weights.
    """

    w: NDArray
    intercept: float
    objective: float
    violation: float


class RidgePath(NamedTuple):
    """Ridge regressions over a row of penalties: one entry, and one row of `w`, for each.

    `df` are the effective degrees of freedom with the intercept, `rss` the sums of squared residuals, `gcv` generalized
    and `loo` leave-one-out cross-validation, both as a mean squared error.
    """

    alphas: NDArray
    w: NDArray
    intercept: NDArray
    df: NDArray
    rss: NDArray
    gcv: NDArray
    loo: NDArray


class ShrinkageRisk(NamedTuple):
    """Expected squared distance of the estimate from the truth, in its two parts."""

    bias: float
    variance: float


@public
def ridge(x: ArrayLike, y: ArrayLike, alpha: float = 1.0, intercept: bool = True, method: str = "cholesky") -> Ridge:
    r"""Minimize :math:`\lVert y - Xw - b \rVert^2 + \alpha \lVert w \rVert^2` over w and b.

    By Cholesky the system has as many unknowns as the smaller side of `x`, and the solution is corrected once by what
    its gradient says. By SVD a penalty of zero gives the shortest of all least squares solutions.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Examples.
    y : array_like, shape (N,)
        Targets.
    alpha : float
        Weight of the penalty on the sum of squares, not on their mean.
    intercept : bool
        Whether there is a b, which is not penalized; False: it is 0.
    method : {"cholesky", "svd"}
        How the minimum is computed.

    Returns
    -------
    Ridge
        Weights, intercept, objective and violation.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes or options are wrong, an entry is not finite, or `alpha` is too small for Cholesky.

    See Also
    --------
    ridge_path : Many penalties at the price of one.
    elastic_net : With a penalty that can make weights exactly zero.

    References
    ----------
    Hoerl & Kennard (1970), "Ridge regression: biased estimation for nonorthogonal problems".

    Examples
    --------
    Two equal columns share what one alone would get, and the penalty has less to take.

    >>> y = [-2.0, 0.0, 2.0]
    >>> ridge([[-1], [0], [1]], y, alpha=2).w, ridge([[-1, -1], [0, 0], [1, 1]], y, alpha=2).w.round(6)
    (array([1.]), array([0.666667, 0.666667]))
    """
    x, y = regression_data(x, y)
    alpha = x.dtype.type(number("alpha", alpha, 0, open_high=True))
    option("method", method, ("cholesky", "svd"))
    x, y, mean_x, mean_y = without_means(x, y, intercept)
    w = _by_svd(x, y, alpha) if method == "svd" else _by_cholesky(x, y, alpha)
    residual = y - x @ w
    start, end = np.abs(y @ x).max(), np.abs(residual @ x - alpha * w).max()
    objective = float(residual @ residual + alpha * (w @ w))
    return Ridge(w, float(mean_y - mean_x @ w), objective, float(end / start) if start > 0 else 0.0)


def _by_svd(x, y, alpha):
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    s[s <= max(x.shape) * np.finfo(s.dtype).eps * s[0]] = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        return (np.where(s > 0, s / (s * s + alpha), 0) * (y @ u)) @ vt


def _by_cholesky(x, y, alpha):
    rows, columns = x.shape
    # With fewer rows than columns w = x.T a, and a solves the smaller system.
    gram = x.T @ x if rows >= columns else x @ x.T
    gram.flat[:: len(gram) + 1] += alpha
    try:
        factor = np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        raise ValueError(f"alpha: expected a penalty that makes the matrix definite, got {alpha:g}") from None
    solution = _solved(factor, y @ x if rows >= columns else y)
    if rows >= columns:
        return solution + _solved(factor, (y - x @ solution) @ x - alpha * solution)
    return (solution + _solved(factor, y - x @ (solution @ x) - alpha * solution)) @ x


def _solved(factor, b):
    out = np.empty_like(b)
    _substitute(factor, b, out)
    return out


@kernel(sums=True)
def _substitute(factor, b, out):
    n = len(b)
    # L z = b from the top ...
    for i in range(n):
        row, known = factor[i], b[i] * 0
        for j in range(i):
            known += row[j] * out[j]
        out[i] = (b[i] - known) / row[i]
    # ... and L.T w = z from below, again along the rows of L.
    for i in range(n - 1, -1, -1):
        row = factor[i]
        out[i] /= row[i]
        for j in range(i):
            out[j] -= out[i] * row[j]


@public
def ridge_path(x: ArrayLike, y: ArrayLike, alphas: ArrayLike, intercept: bool = True) -> RidgePath:
    r"""Solve ridge regression for many penalties from one singular value decomposition, and cross-validate them.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Examples.
    y : array_like, shape (N,)
        Targets.
    alphas : array_like, shape (A,)
        Penalties, as `alpha` of `ridge`.
    intercept : bool
        Whether there is an intercept, which is not penalized.

    Returns
    -------
    RidgePath
        Weights and intercepts, degrees of freedom, residual sums, and two cross-validation errors for each penalty.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes are wrong, an entry is not finite, or a penalty is negative.

    See Also
    --------
    ridge : One penalty.
    ridge_factors : What a penalty does to each singular direction.

    References
    ----------
    Golub, Heath & Wahba (1979), "Generalized cross-validation as a method for choosing a good ridge parameter".

    Examples
    --------
    >>> path = ridge_path([[-1.0], [0.0], [1.0]], [-2.0, 0.5, 1.5], [0.0, 2.0])
    >>> path.w.ravel(), path.df, path.gcv.round(4), path.loo.round(4)
    (array([1.75 , 0.875]), array([2. , 1.5]), array([1.125 , 2.5417]), array([1.6875, 3.3675]))
    """
    x, y = regression_data(x, y)
    alphas = real("alphas", alphas, 1).astype(x.dtype)
    if not (alphas >= 0).all() or np.isinf(alphas).any():
        raise ValueError("alphas: expected finite penalties that are not negative")
    x, y, mean_x, mean_y = without_means(x, y, intercept)
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    s[s <= max(x.shape) * np.finfo(s.dtype).eps * s[0]] = 0
    along, measures = np.empty((len(alphas), len(s)), x.dtype), np.empty((4, len(alphas)), x.dtype)
    mean_leverage = x.dtype.type(intercept / len(x))
    _ridge_path(u, s, y @ u, y, alphas, mean_leverage, along, measures)
    w = along @ vt
    return RidgePath(alphas, w, mean_y - w @ mean_x, *measures)


@kernel(sums=True)
def _ridge_path(u, s, uy, y, alphas, mean_leverage, along, measures):
    n = len(y)
    for k in prange(len(alphas)):
        shrunk, alpha = along[k], alphas[k]
        trace, rss, loo = alpha * 0, alpha * 0, alpha * 0
        for j in range(len(s)):
            factor = s[j] * s[j] / (s[j] * s[j] + alpha) if s[j] > 0 else alpha * 0
            shrunk[j] = factor
            trace += factor
        for i in range(n):
            row, fitted, leverage = u[i], alpha * 0, alpha * 0
            for j in range(len(s)):
                fitted += row[j] * shrunk[j] * uy[j]
                leverage += row[j] * row[j] * shrunk[j]
            residual = y[i] - fitted
            without = residual / (1 - mean_leverage - leverage)
            rss += residual * residual
            loo += without * without
        for j in range(len(s)):
            shrunk[j] = s[j] * uy[j] / (s[j] * s[j] + alpha) if s[j] > 0 else alpha * 0
        df = trace + mean_leverage * n
        measures[0, k] = df
        measures[1, k] = rss
        measures[2, k] = n * rss / ((n - df) * (n - df))
        measures[3, k] = loo / n


def ridge_factors(s: ArrayLike, alpha: float) -> NDArray:
    r"""Return by how much ridge regression shrinks each singular direction: :math:`s^2 / (s^2 + \alpha)`.

    Parameters
    ----------
    s : array_like, any shape
        Singular values of the centered examples.
    alpha : float
        Penalty, as in `ridge`.

    Returns
    -------
    ndarray, shape of `s`
        Factors from 0 to 1 on the least squares coefficient along each direction. Their sum is the number of effective
        degrees of freedom without the intercept. A direction without extent has 0.

    Raises
    ------
    TypeError
        If `s` is neither real nor integer.
    ValueError
        If `alpha` is negative.

    See Also
    --------
    dlref.training.descent_shrinkage : The same of gradient descent that is stopped early.

    References
    ----------
    Hoerl & Kennard (1970), "Ridge regression: biased estimation for nonorthogonal problems".

    Examples
    --------
    >>> ridge_factors([3.0, 1.0, 0.0], alpha=1.0)
    array([0.9, 0.5, 0. ])
    """
    s = real("s", s)
    out = np.empty_like(s)
    _ridge_factors(s.reshape(-1), s.dtype.type(number("alpha", alpha, 0)), out.reshape(-1))
    return out


@kernel
def _ridge_factors(s, alpha, out):
    one = s.dtype.type(1)
    for i in prange(len(s)):
        # Not squared: s * s may overflow where the quotient does not.
        out[i] = one / (one + alpha / s[i] / s[i]) if s[i] != 0 else s[i] * s[i]


def shrinkage_risk(factors: ArrayLike, s: ArrayLike, coefficients: ArrayLike, noise: float) -> ShrinkageRisk:
    r"""Return the expected squared error of the weights of an estimator that shrinks singular directions.

    The truth is :math:`y = Xw + \varepsilon` with independent noise of variance :math:`\sigma^2`. A direction j with a
    true coefficient :math:`c_j` contributes :math:`(1 - f_j)^2 c_j^2` to the bias and :math:`\sigma^2 f_j^2 / s_j^2` to
    the variance.

    Parameters
    ----------
    factors : array_like, shape (R,)
        Shrinkage of each direction, from `ridge_factors`, or `dlref.training.descent_shrinkage` of the squares of `s`.
    s : array_like, shape (R,)
        Singular values, not zero where the factor is not.
    coefficients : array_like, shape (R,)
        The true weights along the right singular vectors.
    noise : float
        Standard deviation of the noise.

    Returns
    -------
    ShrinkageRisk
        Squared bias and variance; their sum is the risk.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes differ or `noise` is negative.

    See Also
    --------
    ridge_factors : Those of ridge regression.

    References
    ----------
    Hoerl & Kennard (1970), "Ridge regression: biased estimation for nonorthogonal problems".

    Examples
    --------
    Least squares (factors of one) has no bias. A little of it, and most of the variance is gone.

    >>> s, truth = np.array([1.0, 0.1]), [1.0, 1.0]
    >>> for alpha in (0.0, 0.01):
    ...     print([round(part, 2) for part in shrinkage_risk(ridge_factors(s, alpha), s, truth, noise=0.3)])
    [0.0, 9.09]
    [0.25, 2.34]
    """
    factors, s, coefficients = reals("factors", factors, "s", s, "coefficients", coefficients)
    shaped("factors", factors, (None,))
    same_shape("s", s, "factors", factors)
    same_shape("coefficients", coefficients, "factors", factors)
    return ShrinkageRisk(*_risk(factors, s, coefficients, number("noise", noise, 0)))


@kernel(sums=True)
def _risk(factors, s, coefficients, noise):
    bias, variance = 0.0, 0.0
    for j in range(len(s)):
        missing = (1 - factors[j]) * coefficients[j]
        bias += missing * missing
        if factors[j] != 0:
            spread = noise * factors[j] / s[j]
            variance += spread * spread
    return bias, variance
