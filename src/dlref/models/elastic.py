"""The elastic net and the lasso: coordinate descent on a growing set of columns, which ends at a duality gap."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import finite, integer, number, public, real, reals, same_shape, shaped
from dlref._compile import kernel, prange
from dlref._math import maximum, minimum
from dlref.models._regression import regression_data, without_means

__all__ = [
    "ElasticNet",
    "ElasticNetOptimality",
    "ElasticNetPath",
    "elastic_net",
    "elastic_net_epochs",
    "elastic_net_largest",
    "elastic_net_optimality",
    "elastic_net_path",
    "soft_threshold",
    "soft_threshold_backward",
]


class ElasticNet(NamedTuple):
    """An elastic net, and how far it is from the optimum; its prediction is ``x @ w + intercept``.

    The columns of `history` are epochs, primal, dual, gap and violation.
    """

    w: NDArray
    intercept: float
    primal: float
    dual: float
    gap: float
    violation: float
    epochs: int
    converged: bool
    history: NDArray


class ElasticNetPath(NamedTuple):
    """Elastic nets over a row of penalties: one entry, and one row of `w`, for each."""

    alphas: NDArray
    w: NDArray
    intercept: NDArray
    gap: NDArray
    epochs: NDArray
    converged: NDArray


class ElasticNetOptimality(NamedTuple):
    """Certificate of weights: the best intercept to them, both objectives, gap and violation."""

    intercept: float
    primal: float
    dual: float
    gap: float
    violation: float


@public
def soft_threshold(x: ArrayLike, /, t: float) -> NDArray:
    r"""Move every entry by `t` toward zero, and no further: :math:`\operatorname{sign}(x) \max(|x| - t, 0)`.

    It is the minimizer of :math:`\frac12 (w - x)^2 + t |w|` over w.

    Parameters
    ----------
    x : array_like, any shape
        Input.
    t : float
        Threshold, not negative.

    Returns
    -------
    ndarray, shape of `x`
        Entries nearer to zero by `t`; zero where they were within `t` of it.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.
    ValueError
        If `t` is negative.

    See Also
    --------
    elastic_net : One such step for each weight in turn.

    References
    ----------
    Friedman, Hastie & Tibshirani (2010), "Regularization paths for generalized linear models via coordinate descent".

    Examples
    --------
    >>> soft_threshold([-3.0, -0.5, 0.2, 2.0], 1.0)
    array([-2.,  0.,  0.,  1.])
    """
    x = real("x", x)
    out = np.empty_like(x)
    _soft_threshold(x.reshape(-1), x.dtype.type(number("t", t, 0)), out.reshape(-1))
    return out


@kernel
def _soft_threshold(x, t, out):
    for i in prange(len(x)):
        # The last is zero, and NaN stays NaN.
        out[i] = x[i] - t if x[i] > t else x[i] + t if x[i] < -t else x[i] - x[i]


@public
def soft_threshold_backward(dy: ArrayLike, x: ArrayLike, /, t: float) -> NDArray:
    r"""Return the gradient of `soft_threshold`: the cotangent where the result is not zero.

    Parameters
    ----------
    dy : array_like, shape of `x`
        Gradient of the loss with respect to the result.
    x, t
        As for `soft_threshold`.

    Returns
    -------
    ndarray, shape of `x`
        Gradient with respect to `x`; 0 at both kinks.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes differ, or `t` is negative.

    See Also
    --------
    soft_threshold : The function.

    References
    ----------
    Friedman, Hastie & Tibshirani (2010), "Regularization paths for generalized linear models via coordinate descent".

    Examples
    --------
    >>> soft_threshold_backward([1.0, 1.0, 1.0], [-3.0, 0.2, 1.0], 1.0)
    array([1., 0., 0.])
    """
    dy, x = reals("dy", dy, "x", real("x", x))
    same_shape("dy", dy, "x", x)
    out = np.empty_like(dy)
    _soft_threshold_backward(dy.reshape(-1), x.reshape(-1), x.dtype.type(number("t", t, 0)), out.reshape(-1))
    return out


@kernel
def _soft_threshold_backward(dy, x, t, out):
    for i in prange(len(x)):
        out[i] = dy[i] * 0 if abs(x[i]) <= t else dy[i]


@public
def elastic_net_largest(x: ArrayLike, y: ArrayLike, l1_ratio: float = 0.5, intercept: bool = True) -> float:
    r"""Return the smallest `alpha` at which all weights are zero, in float64.

    It is :math:`\max_j |x_j^\top y| / (n \rho)` of the centered data.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Examples.
    y : array_like, shape (N,)
        Targets.
    l1_ratio : float
        Share of the L1 penalty, above 0.
    intercept : bool
        Whether there is an intercept.

    Returns
    -------
    float
        Where the path begins.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes are wrong, an entry is not finite, or `l1_ratio` is not in (0, 1].

    See Also
    --------
    elastic_net_path : Begins there.

    References
    ----------
    Friedman, Hastie & Tibshirani (2010), "Regularization paths for generalized linear models via coordinate descent".

    Examples
    --------
    >>> x, y = [[-1.0], [0.0], [1.0]], [-3.0, 0.0, 3.0]
    >>> largest = elastic_net_largest(x, y, l1_ratio=1.0)
    >>> largest, elastic_net(x, y, largest, 1.0).w, elastic_net(x, y, largest / 2, 1.0).w
    (2.0, array([0.]), array([1.5]))
    """
    x, y = (np.asarray(v, np.float64) for v in regression_data(x, y))
    l1_ratio = number("l1_ratio", l1_ratio, 0, 1, open_low=True)
    x, y, _, _ = without_means(x, y, intercept)
    return float(np.abs(y @ x).max()) / (len(y) * l1_ratio)


@public
def elastic_net_optimality(
    x: ArrayLike, y: ArrayLike, w: ArrayLike, alpha: float = 1.0, l1_ratio: float = 0.5, intercept: bool = True
) -> ElasticNetOptimality:
    r"""Certify weights: no others can have a primal objective below `dual`. All in float64.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Examples.
    y : array_like, shape (N,)
        Targets.
    w : array_like, shape (D,)
        Any weights.
    alpha, l1_ratio
        Penalties, as for `elastic_net`.
    intercept : bool
        Whether there is an intercept; the best one to `w` is taken.

    Returns
    -------
    ElasticNetOptimality
        Intercept, primal and dual objective, their gap, and the violation of the optimality conditions.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes or penalties are wrong, or an entry is not finite.

    See Also
    --------
    elastic_net : Closes the gap.

    References
    ----------
    Friedman, Hastie & Tibshirani (2010), "Regularization paths for generalized linear models via coordinate descent".

    Examples
    --------
    >>> x, y = [[-1.0], [0.0], [1.0]], [-3.0, 0.0, 3.0]
    >>> [round(elastic_net_optimality(x, y, [w], alpha=1.0, l1_ratio=1.0).gap, 3) for w in (0.0, 1.0, 1.5)]
    [0.75, 0.083, 0.0]
    """
    x, y = (np.asarray(v, np.float64) for v in regression_data(x, y))
    w = real("w", w).astype(np.float64)
    shaped("w", w, (x.shape[1],))
    finite("w", w)
    l1, l2 = _penalties(alpha, l1_ratio, len(y))
    x, y, mean_x, mean_y = without_means(x, y, intercept)
    residual = y - x @ w
    primal, gap, violation = (v / len(y) for v in _certificate(residual, residual @ x, w, l1, l2))
    return ElasticNetOptimality(float(mean_y - mean_x @ w), primal, primal - gap, gap, violation)


def elastic_net_epochs(
    x: ArrayLike, y: ArrayLike, w: ArrayLike, alpha: float = 1.0, l1_ratio: float = 0.5, epochs: int = 1
) -> NDArray:
    r"""Return the weights after some epochs of plain coordinate descent, each over all columns in order.

    There is no intercept: center the data for one.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Examples.
    y : array_like, shape (N,)
        Targets.
    w : array_like, shape (D,)
        Weights to begin with.
    alpha, l1_ratio
        Penalties, as for `elastic_net`.
    epochs : int
        How many.

    Returns
    -------
    ndarray, shape (D,)
        Weights whose objective is not higher.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes or options are wrong, or an entry is not finite.

    See Also
    --------
    elastic_net : Visits the columns that matter, and ends when it has arrived.

    References
    ----------
    Friedman, Hastie & Tibshirani (2010), "Regularization paths for generalized linear models via coordinate descent".

    Examples
    --------
    >>> x, y = [[-2.0, -1.0], [0.0, 0.0], [2.0, 1.5]], [-3.0, 0.0, 3.5]
    >>> for epochs in (1, 2, 50):
    ...     w = elastic_net_epochs(x, y, [0.0, 0.0], alpha=0.1, l1_ratio=1.0, epochs=epochs)
    ...     print(w.round(3), round(elastic_net_optimality(x, y, w, 0.1, 1.0, intercept=False).gap, 6))
    [1.588 0.004] 0.010176
    [1.585 0.008] 0.00977
    [1.534 0.086] 0.001439
    """
    x, y = regression_data(x, y)
    w = real("w", w).astype(x.dtype)
    shaped("w", w, (x.shape[1],))
    finite("w", w)
    l1, l2 = (x.dtype.type(penalty) for penalty in _penalties(alpha, l1_ratio, len(y)))
    rows, every = np.ascontiguousarray(x.T), np.arange(len(w))
    squares = (rows * rows).sum(axis=1)
    _descend(rows, every, every, squares, l1, l2, x.dtype.type(-1), integer("epochs", epochs, 0), w, y - x @ w)
    return w


@public
def elastic_net(
    x: ArrayLike,
    y: ArrayLike,
    alpha: float = 1.0,
    l1_ratio: float = 0.5,
    intercept: bool = True,
    start: ArrayLike | None = None,
    tol: float = 1e-6,
    max_epochs: int = 100_000,
) -> ElasticNet:
    r"""Minimize the mean squared error over two plus an L1 and an L2 penalty.

    .. math:: \frac{1}{2n} \lVert y - Xw - b \rVert^2
        + \alpha \left( \rho \lVert w \rVert_1 + \frac{1 - \rho}{2} \lVert w \rVert^2 \right)

    Coordinate descent over the columns that matter so far; then the gap is computed over all columns, and those that
    break their condition join. Training ends when the gap is at most `tol` times the objective of zero weights.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Examples.
    y : array_like, shape (N,)
        Targets.
    alpha : float
        Weight of both penalties.
    l1_ratio : float
        Share :math:`\rho` of the L1 penalty: 1 is the lasso, 0 is ridge regression.
    intercept : bool
        Whether there is a b, which is not penalized; False: it is 0.
    start : array_like, shape (D,), optional
        Weights to begin with; None: zero.
    tol : float
        Relative duality gap at which training ends.
    max_epochs : int
        Number of epochs over the columns at hand at which it ends anyway.

    Returns
    -------
    ElasticNet
        Weights, intercept, and how far they are from the optimum.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes or options are wrong, or an entry is not finite.

    See Also
    --------
    elastic_net_path : Many penalties, each from the weights of the one before.
    ridge : The same without the L1 penalty, in closed form; its `alpha` is n times this one.

    References
    ----------
    Zou & Hastie (2005), "Regularization and variable selection via the elastic net".
    Friedman, Hastie & Tibshirani (2010), "Regularization paths for generalized linear models via coordinate descent".

    Examples
    --------
    Two equal columns: the lasso takes one of them, the elastic net half of each.

    >>> x, y = [[-1.0, -1.0], [1.0, 1.0]], [-2.0, 2.0]
    >>> elastic_net(x, y, 0.5, l1_ratio=1.0).w, elastic_net(x, y, 0.5, l1_ratio=0.5, tol=1e-12).w.round(4)
    (array([1.5, 0. ]), array([0.7778, 0.7778]))
    """
    x, y = regression_data(x, y)
    l1, l2 = _penalties(alpha, l1_ratio, len(y))
    tol, max_epochs = number("tol", tol, 0), integer("max_epochs", max_epochs, 0)
    w = np.zeros_like(x[0]) if start is None else real("start", start, 1).astype(x.dtype)
    shaped("start", w, (x.shape[1],))
    finite("start", w)
    x, y, mean_x, mean_y = without_means(x, y, intercept)
    found = _Descent(x, y, w).solve(l1, l2, tol, max_epochs)
    return ElasticNet(w, float(mean_y - mean_x @ w), *found)


@public
def elastic_net_path(
    x: ArrayLike,
    y: ArrayLike,
    l1_ratio: float = 0.5,
    alphas: ArrayLike | None = None,
    intercept: bool = True,
    tol: float = 1e-6,
    max_epochs: int = 100_000,
) -> ElasticNetPath:
    r"""Solve the elastic net for many penalties, each from the weights of the one before.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Examples.
    y : array_like, shape (N,)
        Targets.
    l1_ratio : float
        Share :math:`\rho` of the L1 penalty.
    alphas : array_like, shape (A,), optional
        Penalties, best in falling order; None: 100 of them, in equal ratios from `elastic_net_largest` to a thousandth.
    intercept : bool
        Whether there is an intercept, which is not penalized.
    tol, max_epochs
        As for `elastic_net`, for each penalty.

    Returns
    -------
    ElasticNetPath
        Weights, intercepts, gaps and epochs for each penalty.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes or options are wrong, or an entry is not finite.

    See Also
    --------
    elastic_net : One penalty.

    References
    ----------
    Friedman, Hastie & Tibshirani (2010), "Regularization paths for generalized linear models via coordinate descent".

    Examples
    --------
    >>> path = elastic_net_path([[-1, 0], [1, 1], [0, -1]], [-2.0, 2.0, 0.0], l1_ratio=1.0, alphas=[1.0, 0.5, 0.1])
    >>> path.w.round(3)
    array([[0.5 , 0.  ],
           [1.25, 0.  ],
           [1.85, 0.  ]])
    """
    x, y = regression_data(x, y)
    if alphas is None:
        alphas = elastic_net_largest(x, y, l1_ratio, intercept) * np.logspace(0, -3, 100)
    alphas = real("alphas", alphas, 1).astype(x.dtype)
    tol, max_epochs = number("tol", tol, 0), integer("max_epochs", max_epochs, 0)
    x, y, mean_x, mean_y = without_means(x, y, intercept)
    w = np.zeros_like(x[0])
    descent = _Descent(x, y, w)
    if len(alphas) > 10 and len(w) <= len(y):
        # Most columns will matter somewhere: their products are made at once.
        descent.places(np.arange(len(w)))
    every, gaps, epochs, converged = [], [], [], []
    for alpha in alphas:
        l1, l2 = _penalties(float(alpha), l1_ratio, len(y))
        _, _, gap, _, count, arrived, _ = descent.solve(l1, l2, tol, max_epochs)
        every.append(w.copy())
        gaps.append(gap)
        epochs.append(count)
        converged.append(arrived)
    found = np.array(every, x.dtype).reshape(len(alphas), len(w))
    intercepts = mean_y - found @ mean_x
    return ElasticNetPath(
        alphas, found, intercepts, np.array(gaps, x.dtype), np.array(epochs, np.int64), np.array(converged, bool)
    )


def _penalties(alpha, l1_ratio, n):
    alpha, l1_ratio = number("alpha", alpha, 0, open_high=True), number("l1_ratio", l1_ratio, 0, 1)
    return n * alpha * l1_ratio, n * alpha * (1 - l1_ratio)


class _Descent:
    """Minimizes |r|^2 / 2 + l1 |w|_1 + l2 |w|^2 / 2 over w, in place, with r = y - x w; n divides what is reported."""

    def __init__(self, x, y, w):
        self.x, self.y, self.w = x, y, w
        # Columns that have mattered lie in rows, where they are contiguous.
        self.rows, self.place, self.kept = np.empty(x.shape[::-1], x.dtype), np.full(len(w), -1), 0
        self.columns, self.squares = np.empty(len(w), np.int64), np.zeros_like(w)
        # Their inner products, where there are at most twice as many as rows of x.
        self.gram, self.most, self.known, self.spent = None, min(len(w), 2 * len(y)), 0, 0
        self.refresh()

    def refresh(self):
        self.residual = self.y - self.x @ self.w if self.w.any() else self.y.copy()
        self.q = self.residual @ self.x

    def places(self, at):
        new = at[self.place[at] < 0]
        first, self.kept = self.kept, self.kept + len(new)
        self.place[new], self.columns[first : self.kept] = np.arange(first, self.kept), new
        rows = self.rows[first : self.kept]
        rows[...] = self.x[:, new].T
        self.squares[new] = np.einsum("ij,ij->i", rows, rows)
        return self.place[at]

    def products(self):
        known, kept = self.known, self.kept
        if self.gram is None:
            self.gram = np.empty((self.most, self.most), self.x.dtype)
        if known < kept:
            self.gram[known:kept, :kept] = self.rows[known:kept] @ self.rows[:kept].T
            self.gram[:known, known:kept] = self.gram[known:kept, :known].T
            self.known = kept
        return self.gram

    def solve(self, l1, l2, tol, max_epochs):
        y, w = self.y, self.w
        n, scale, dtype = len(y), float(y @ y) / 2, y.dtype.type
        epochs, history, close = 0, [], tol * scale / len(w)
        while True:
            primal, gap, violation = _certificate(self.residual, self.q, w, l1, l2)
            history.append((epochs, primal / n, (primal - gap) / n, gap / n, violation / n))
            converged = gap <= tol * scale
            rounding = 4 * np.finfo(dtype).eps * np.sqrt(2 * scale * float(self.squares.max()))
            if converged or epochs >= max_epochs or not violation > rounding:
                return (*history[-1][1:], epochs, bool(converged), np.array(history))
            # The columns in use, and of those that break their condition the worst.
            broken = np.where(w != 0, np.inf, np.abs(self.q))
            room = 64 + 2 * np.count_nonzero(w)
            at = np.sort(np.argsort(-broken)[: min(room, np.count_nonzero(broken > l1))])
            budget, knobs = max_epochs - epochs, (dtype(l1), dtype(l2), dtype(close))
            places = self.places(at)
            # On a residual of n numbers at first; then on inner products, which are made in the time of so many epochs.
            if 16 * self.spent < self.kept or self.kept > self.most:
                most = min(8 if epochs else 2, budget)
                done = _descend(self.rows, places, at, self.squares, *knobs, most, w, self.residual)
                self.q = self.residual @ self.x
            else:
                gram, columns = self.products(), self.columns[: self.kept]
                some, q = w[columns], self.q[columns]
                done = _descend_on_products(gram, places, *knobs, min(1000, budget), some, q)
                w[columns] = some
                self.refresh()
            epochs, self.spent, close = epochs + done, self.spent + done, close / 4


@kernel(sums=True)
def _descend(rows, places, at, squares, l1, l2, close, epochs, w, residual):
    for epoch in range(epochs):
        largest = l1 * 0
        for k in range(len(at)):
            j, row, score = at[k], rows[places[k]], l1 * 0
            old, curvature = w[j], squares[j] + l2
            if curvature > 0:
                for i in range(len(residual)):
                    score += row[i] * residual[i]
                score += squares[j] * old
                # The soft threshold of score, over the curvature.
                new = (score - minimum(maximum(score, -l1), l1)) / curvature
                move = new - old
                if move != 0:
                    w[j] = new
                    largest = max(largest, move * move * curvature)
                    for i in range(len(residual)):
                        residual[i] -= move * row[i]
        if not largest > close:
            return epoch + 1
    return epochs


@kernel(sums=True)
def _descend_on_products(gram, places, l1, l2, close, epochs, w, q):
    # The same steps: q = x.T residual of all columns that are kept, up to date.
    for epoch in range(epochs):
        largest = l1 * 0
        for j in places:
            row, old, curvature = gram[j], w[j], gram[j, j] + l2
            if curvature > 0:
                score = q[j] + row[j] * old
                new = (score - minimum(maximum(score, -l1), l1)) / curvature
                move = new - old
                if move != 0:
                    w[j] = new
                    largest = max(largest, move * move * curvature)
                    for i in range(len(q)):
                        q[i] -= move * row[i]
        if not largest > close:
            return epoch + 1
    return epochs


def _certificate(residual, q, w, l1, l2):
    # Two bounds of the distance to the optimum; no term of either is negative.
    slope = q - l2 * w
    clipped, largest = np.clip(q, -l1, l1), float(np.abs(slope).max())
    size, lasso = float(residual @ residual + l2 * (w @ w)), l1 * float(np.abs(w).sum())
    c = 1.0 if largest <= l1 else l1 / largest
    gap = (1 - c) ** 2 / 2 * size + float(np.maximum(l1 * np.abs(w) - c * w * slope, 0).sum())
    if l2 > 0:
        apart = l2 * w - (q - clipped)
        gap = min(gap, float(apart @ apart) / (2 * l2) + float(np.maximum(l1 * np.abs(w) - w * clipped, 0).sum()))
    broken = np.where(w == 0, np.abs(q) - l1, np.abs(slope - l1 * np.sign(w)))
    return size / 2 + lasso, gap, max(0.0, float(broken.max()))
