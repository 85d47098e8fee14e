"""Initial weights: a variance that neither grows nor dies with depth, and matrices that keep every length."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dlref._arrays import floating, generator, number, option, sizes
from dlref._compile import kernel

__all__ = ["Fans", "Gains", "fans", "gain", "glorot", "he", "lecun", "orthogonal", "variance_scaling"]

BLOCK = 32  # rows that are made orthogonal at a time: the rest of the work is products of matrices
TRUNCATED_STD = 0.8796256610342398  # of a standard normal number, given that it lies between -2 and 2


class Fans(NamedTuple):
    """How many numbers one output sums, and how many outputs one input reaches."""

    fan_in: int
    fan_out: int


class Gains(NamedTuple):
    """Factors that make up for an activation: forward keeps the signal, backward the gradient."""

    forward: float
    backward: float


def fans(shape: Sequence[int]) -> Fans:
    r"""Count the connections of one output and of one input of a layer.

    Parameters
    ----------
    shape : sequence of int
        Of the weights: (O, D) of a dense layer, (O, C, k, k) of a convolution, any number of spatial axes.

    Returns
    -------
    Fans
        :math:`D` and :math:`O`, times the number of positions of the window. For a convolution with groups the shape
        already holds the channels of one group, so that `fan_in` is right and `fan_out` counts all groups.

    Raises
    ------
    TypeError
        If a length is not an integer.
    ValueError
        If the shape has fewer than two axes, or a length is negative.

    See Also
    --------
    variance_scaling : Uses them.

    References
    ----------
    He et al. (2015), "Delving deep into rectifiers", section 2.2.

    Examples
    --------
    >>> fans((32, 16, 3, 3))
    Fans(fan_in=144, fan_out=288)
    """
    lengths = sizes("shape", shape)
    if len(lengths) < 2:
        raise ValueError(f"shape: expected at least two axes, outputs and inputs, got {shape!r}")
    window = math.prod(lengths[2:])
    return Fans(lengths[1] * window, lengths[0] * window)


def gain(f: Callable, f_backward: Callable) -> Gains:
    r"""Return the factors that make up for what an activation takes from unit variance.

    :math:`g = 1 / \sqrt{\operatorname{E}[f(u)^2]}` and :math:`1 / \sqrt{\operatorname{E}[f'(u)^2]}` for a standard
    normal :math:`u`, by the midpoint rule.

    Parameters
    ----------
    f : callable
        An elementwise activation, such as ``relu``.
    f_backward : callable
        Its gradient, called as ``f_backward(dy, u)``.

    Returns
    -------
    Gains
        Both factors; infinite where the activation, or its slope, is zero throughout.

    See Also
    --------
    variance_scaling : Takes a gain.

    References
    ----------
    He et al. (2015), "Delving deep into rectifiers", equations 10 and 14.

    Examples
    --------
    >>> from dlref.activations import relu, relu_backward
    >>> np.round(gain(relu, relu_backward), 6)
    array([1.414214, 1.414214])
    """
    step = 1 / 256
    u = (np.arange(-10 * 256, 10 * 256) + 0.5) * step  # a kink at zero lies between two points
    weight = np.exp(-u * u / 2) * (step / math.sqrt(2 * math.pi))
    squares = weight @ f(u) ** 2, weight @ f_backward(np.ones_like(u), u) ** 2
    return Gains(*(1 / math.sqrt(mean) if mean > 0 else math.inf for mean in squares))


def variance_scaling(
    shape: Sequence[int],
    rng: np.random.Generator,
    gain: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "normal",
    dtype: DTypeLike = np.float32,
) -> NDArray:
    r"""Draw independent weights of mean zero and variance :math:`g^2 / n`.

    Parameters
    ----------
    shape : sequence of int
        Of the weights, outputs first.
    rng : numpy.random.Generator
        Draws them.
    gain : float, at least 0
        The factor :math:`g`.
    mode : {"fan_in", "fan_out", "fan_avg"}
        Which number of connections :math:`n` is; "fan_avg" is the mean of the two.
    distribution : {"normal", "uniform", "truncated"}
        "uniform" lies within :math:`g \sqrt{3 / n}`, "truncated" is a normal distribution cut off at two of its
        standard deviations and widened, so that the variance is the same.
    dtype : float32 or float64
        Of the result.

    Returns
    -------
    ndarray
        The weights.

    Raises
    ------
    TypeError
        If `rng` is not a generator, or `dtype` another one.
    ValueError
        If the shape has fewer than two axes, or an option is unknown.

    See Also
    --------
    glorot : The mean of both fans.
    he : For rectifiers.
    lecun : Gain one.
    orthogonal : Not independent, but length-preserving.

    References
    ----------
    Glorot & Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks".

    Examples
    --------
    >>> w = variance_scaling((200, 50), np.random.default_rng(0), gain=2.0)
    >>> float(w.var() * 50).__round__(1)
    4.0
    """
    fan_in, fan_out = fans(shape)
    option("mode", mode, ("fan_in", "fan_out", "fan_avg"))
    option("distribution", distribution, ("normal", "uniform", "truncated"))
    n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    std, dtype, rng = number("gain", gain, 0) / math.sqrt(max(n, 1)), floating("dtype", dtype), generator("rng", rng)
    if distribution == "uniform":
        weights, limit = rng.random(shape, dtype), math.sqrt(3) * std
        weights *= 2 * limit
        weights -= limit
    else:
        weights = rng.standard_normal(shape, dtype)
        if distribution == "truncated":
            while (outside := np.abs(weights) > 2).any():
                weights[outside] = rng.standard_normal(np.count_nonzero(outside), dtype)
            std /= TRUNCATED_STD
        weights *= std
    return weights


def lecun(
    shape: Sequence[int], rng: np.random.Generator, distribution: str = "normal", dtype: DTypeLike = np.float32
) -> NDArray:
    r"""Draw weights of variance :math:`1 / n_\text{in}`, for units that are linear around zero.

    Parameters
    ----------
    shape, rng, distribution, dtype
        As for `variance_scaling`.

    Returns
    -------
    ndarray
        The weights.

    Raises
    ------
    ValueError
        As for `variance_scaling`.

    See Also
    --------
    variance_scaling : All of them.

    References
    ----------
    LeCun, Bottou, Orr & Müller (1998), "Efficient backprop".

    Examples
    --------
    >>> lecun((2, 3), np.random.default_rng(0)).shape
    (2, 3)
    """
    return variance_scaling(shape, rng, 1.0, "fan_in", distribution, dtype)


def glorot(
    shape: Sequence[int], rng: np.random.Generator, distribution: str = "uniform", dtype: DTypeLike = np.float32
) -> NDArray:
    r"""Draw weights of variance :math:`2 / (n_\text{in} + n_\text{out})`, also called Xavier initialization.

    Parameters
    ----------
    shape, rng, distribution, dtype
        As for `variance_scaling`.

    Returns
    -------
    ndarray
        The weights.

    Raises
    ------
    ValueError
        As for `variance_scaling`.

    See Also
    --------
    variance_scaling : All of them.

    References
    ----------
    Glorot & Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks".

    Examples
    --------
    The largest weight is just below the square root of 6 / (300 + 300).

    >>> w = glorot((300, 300), np.random.default_rng(0))
    >>> bool(0.0999 < abs(w).max() <= 0.1)
    True
    """
    return variance_scaling(shape, rng, 1.0, "fan_avg", distribution, dtype)


def he(
    shape: Sequence[int],
    rng: np.random.Generator,
    slope: float = 0.0,
    mode: str = "fan_in",
    distribution: str = "normal",
    dtype: DTypeLike = np.float32,
) -> NDArray:
    r"""Draw weights of variance :math:`2 / ((1 + a^2)\, n)`, for rectifiers; also called Kaiming initialization.

    Parameters
    ----------
    shape, rng
        As for `variance_scaling`.
    slope : float
        Slope :math:`a` of the rectifier on the left.
    mode, distribution, dtype
        As for `variance_scaling`.

    Returns
    -------
    ndarray
        The weights.

    Raises
    ------
    ValueError
        As for `variance_scaling`.

    See Also
    --------
    variance_scaling : All of them.

    References
    ----------
    He et al. (2015), "Delving deep into rectifiers", equations 10 and 14.

    Examples
    --------
    >>> w = he((400, 100), np.random.default_rng(0))
    >>> float(w.var() * 100).__round__(1)
    2.0
    """
    return variance_scaling(shape, rng, math.sqrt(2) / math.hypot(1, number("slope", slope)), mode, distribution, dtype)


def orthogonal(
    shape: Sequence[int], rng: np.random.Generator, gain: float = 1.0, dtype: DTypeLike = np.float32
) -> NDArray:
    r"""Draw a matrix with orthonormal rows, or columns if there are fewer of them, uniformly among all such matrices.

    Parameters
    ----------
    shape : sequence of int
        Of the weights, outputs first; all further axes are read as one.
    rng : numpy.random.Generator
        Draws normal numbers.
    gain : float, at least 0
        Factor :math:`g`: all singular values are equal to it.
    dtype : float32 or float64
        Of the result.

    Returns
    -------
    ndarray
        The weights.

    Raises
    ------
    TypeError
        If `rng` is not a generator, or `dtype` another one.
    ValueError
        If the shape has fewer than two axes.

    See Also
    --------
    variance_scaling : Independent weights.

    References
    ----------
    Saxe, McClelland & Ganguli (2014), "Exact solutions to the nonlinear dynamics of learning in deep linear networks".

    Examples
    --------
    >>> w = orthogonal((3, 3), np.random.default_rng(0), dtype=np.float64)
    >>> bool(np.allclose(w @ w.T, np.eye(3)))
    True
    """
    fans(shape)
    dtype, rng = floating("dtype", dtype), generator("rng", rng)
    outputs, inputs = shape[0], math.prod(shape[1:])
    rows = rng.standard_normal((min(outputs, inputs), max(outputs, inputs)), dtype)
    for first in range(0, len(rows), BLOCK):
        done, block = rows[:first], rows[first : first + BLOCK]
        # Twice: the second round removes what rounding has left of the first.
        for _ in range(2):
            block -= (block @ done.T) @ done
            _orthonormalize(block)
    rows *= number("gain", gain, 0)
    return np.ascontiguousarray(rows if outputs <= inputs else rows.T).reshape(shape)


@kernel(sums=True)
def _orthonormalize(rows):
    zero = rows.dtype.type(0)
    for i in range(rows.shape[0]):
        row = rows[i]
        for j in range(i):
            other, along = rows[j], zero
            for d in range(row.size):
                along += row[d] * other[d]
            for d in range(row.size):
                row[d] -= along * other[d]
        length = zero
        for d in range(row.size):
            length += row[d] * row[d]
        # Divided by a positive length: a QR with free signs would not be uniform.
        row /= np.sqrt(length)
