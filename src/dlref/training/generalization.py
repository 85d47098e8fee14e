"""Expected errors of least squares on the training set and on new data: of any linear fit and past the threshold."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, number, real, reals, shaped
from dlref._compile import kernel, prange

__all__ = ["ExpectedErrors", "LinearFitErrors", "least_squares_errors", "legendre_features", "linear_fit_errors"]


class ExpectedErrors(NamedTuple):
    """Expected mean squared errors on the training set and on new examples."""

    train: NDArray
    test: NDArray


class LinearFitErrors(NamedTuple):
    """Expected mean squared errors of a linear fit; `test` is bias, variance and the variance of the noise together."""

    train: float
    test: float
    bias: float
    variance: float


def least_squares_errors(n: int, p: ArrayLike, used: ArrayLike, unused: ArrayLike, noise: float) -> ExpectedErrors:
    r"""Return the expected errors of least squares on p independent normal features of mean 0 and variance 1.

    Where p is above n the shortest of all solutions is taken, which fits every training example exactly. Features that
    are left out act as noise.

    Parameters
    ----------
    n : int
        Number of training examples.
    p : array_like of int, any shape
        Number of features that are used.
    used : array_like, shape of `p`
        Sum of the squares of the true weights of these features.
    unused : array_like, shape of `p`
        The same of the features that are left out.
    noise : float
        Standard deviation of the noise of the targets.

    Returns
    -------
    ExpectedErrors
        Errors on the training set and on new examples, noise included. Infinite from n - 1 to n + 1 features: there the
        expectation does not exist.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If a number is negative or the shapes differ.

    See Also
    --------
    linear_fit_errors : For any features, at the training points.

    References
    ----------
    Belkin, Hsu & Xu (2020), "Two models of double descent for weak features".
    Hastie, Montanari, Rosset & Tibshirani (2022), "Surprises in high-dimensional ridgeless least squares
    interpolation".

    Examples
    --------
    Twenty examples, noise of variance 1, and a signal that the first five features carry alone.

    >>> errors = least_squares_errors(20, [5, 15, 20, 30, 400], np.full(5, 4.0), np.zeros(5), noise=1.0)
    >>> errors.train.round(2), errors.test.round(2)
    (array([0.75, 0.25, 0.  , 0.  , 0.  ]), array([1.36, 4.75,  inf, 4.56, 4.85]))
    """
    n = integer("n", n, 1)
    p, used, unused = (np.asarray(v, np.float64) for v in reals("p", p, "used", used, "unused", unused))
    for name, value in (("p", p), ("used", used), ("unused", unused)):
        shaped(name, value, p.shape)
        if not (value >= 0).all():
            raise ValueError(f"{name}: expected none that is negative, got {value[~(value >= 0)].flat[0]:g}")
    variance = number("noise", noise, 0) ** 2
    train, test = np.empty_like(p), np.empty_like(p)
    flat = [v.reshape(-1) for v in (p, used, unused)]
    _least_squares_errors(float(n), *flat, variance, train.reshape(-1), test.reshape(-1))
    return ExpectedErrors(train, test)


@kernel
def _least_squares_errors(n, p, used, unused, variance, train, test):
    for i in prange(len(p)):
        # What the features in use cannot explain, whatever it is.
        rest = variance + unused[i]
        train[i] = rest * (1 - p[i] / n) if p[i] < n else 0.0
        if p[i] < n - 1:
            test[i] = rest * (1 + p[i] / (n - p[i] - 1))
        else:
            missed = used[i] * (1 - n / p[i]) if p[i] > n else 0.0
            spread = n / (p[i] - n - 1) if p[i] > n + 1 else np.inf
            test[i] = missed + (rest * (1 + spread) if rest > 0 else 0.0)


def linear_fit_errors(hat: ArrayLike, truth: ArrayLike, noise: float) -> LinearFitErrors:
    r"""Return the expected errors of a fit :math:`\hat y = H y` at the training points, for new noise there.

    Their difference is :math:`2 \sigma^2 \operatorname{tr}(H) / n`, whatever the truth is.

    Parameters
    ----------
    hat : array_like, shape (N, N)
        The matrix H, which may depend on the features but not on the targets.
    truth : array_like, shape (N,)
        Expected targets.
    noise : float
        Standard deviation of the independent noise.

    Returns
    -------
    LinearFitErrors
        Expected mean squared errors on the targets that were fitted and on new ones, squared bias, and variance.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit or `noise` is negative.

    See Also
    --------
    least_squares_errors : At new points.

    References
    ----------
    Geman, Bienenstock & Doursat (1992), "Neural networks and the bias/variance dilemma".

    Examples
    --------
    The mean of four targets with one degree of freedom, against no fit at all with four.

    >>> truth = np.array([1.0, 1.0, 2.0, 2.0])
    >>> for hat in (np.full((4, 4), 0.25), np.eye(4)):
    ...     print([round(value, 3) for value in linear_fit_errors(hat, truth, noise=1.0)])
    [1.0, 1.5, 0.25, 0.25]
    [0.0, 2.0, 0.0, 1.0]
    """
    hat, truth = (np.asarray(v, np.float64) for v in reals("hat", hat, "truth", truth))
    shaped("truth", truth, (None,))
    shaped("hat", hat, (len(truth), len(truth)))
    if len(truth) == 0:
        raise ValueError("truth: expected at least one target")
    return LinearFitErrors(*_linear_fit(hat, truth, number("noise", noise, 0) ** 2))


@kernel(sums=True)
def _linear_fit(hat, truth, variance):
    n, bias, squares, trace = len(truth), 0.0, 0.0, 0.0
    for i in range(n):
        row, fitted = hat[i], 0.0
        for j in range(n):
            fitted += row[j] * truth[j]
            squares += row[j] * row[j]
        trace += row[i]
        bias += (truth[i] - fitted) * (truth[i] - fitted)
    bias, spread = bias / n, variance * squares / n
    # |I - H|^2 = n - 2 tr(H) + |H|^2
    train = bias + variance - 2 * variance * trace / n + spread
    return train, bias + variance + spread, bias, spread


def legendre_features(x: ArrayLike, degree: int) -> NDArray:
    r"""Return the Legendre polynomials up to a degree at each point: a basis of polynomials that is well-conditioned.

    Parameters
    ----------
    x : array_like, shape (N,)
        Points, from -1 to 1 where the polynomials are to stay within 1.
    degree : int
        The highest degree.

    Returns
    -------
    ndarray, shape (N, degree + 1)
        Column k has the polynomial of degree k.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.
    ValueError
        If `x` has not one dimension or `degree` is negative.

    See Also
    --------
    linear_fit_errors : What to expect of a fit with them.

    References
    ----------
    Geman, Bienenstock & Doursat (1992), "Neural networks and the bias/variance dilemma", on the choice of a degree.

    Examples
    --------
    >>> legendre_features([-1.0, 0.0, 0.5, 1.0], 3)
    array([[ 1.    , -1.    ,  1.    , -1.    ],
           [ 1.    ,  0.    , -0.5   , -0.    ],
           [ 1.    ,  0.5   , -0.125 , -0.4375],
           [ 1.    ,  1.    ,  1.    ,  1.    ]])
    """
    x = real("x", x, 1)
    k = np.arange(integer("degree", degree, 0) + 1)
    out = np.empty((len(x), len(k)), x.dtype)
    high, low = ((2 * k + 1) / (k + 1)).astype(x.dtype), (k / (k + 1)).astype(x.dtype)
    _legendre(x, high, low, out)
    return out


@kernel
def _legendre(x, high, low, out):
    for i in prange(len(x)):
        row, before, now = out[i], x.dtype.type(1), x[i]
        row[0] = before
        for k in range(1, len(row)):
            row[k] = now
            # (k + 1) P[k + 1] = (2 k + 1) x P[k] - k P[k - 1], divided by k + 1
            before, now = now, high[k] * x[i] * now - low[k] * before
