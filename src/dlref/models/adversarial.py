"""A generative adversarial network: the two losses, the optimum of the game, small networks, and a ring to learn."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from dlref._arrays import integer, not_negative, number, option, public, real, reals, same_shape, shaped
from dlref._compile import kernel
from dlref._math import exp, log, log1p
from dlref.activations import leaky_relu
from dlref.layers import dense
from dlref.models._fitting import fits

__all__ = [
    "AdversarialGradients",
    "GameValue",
    "RingOfGaussians",
    "adversary",
    "adversary_parameters",
    "discriminator_loss",
    "discriminator_loss_backward",
    "game_value",
    "generator_loss",
    "generator_loss_backward",
    "modes_covered",
    "optimal_discriminator",
    "ring_of_gaussians",
]

KINDS = ("non-saturating", "minimax")


class AdversarialGradients(NamedTuple):
    """Gradients of `discriminator_loss`, one for each argument before the slash."""

    real: NDArray
    fake: NDArray


class GameValue(NamedTuple):
    """The value of the game for the best discriminator, and the divergence in it."""

    value: float
    divergence: float


class RingOfGaussians(NamedTuple):
    """Points, and the centers that they lie around."""

    points: NDArray
    centers: NDArray


@public
def discriminator_loss(real: ArrayLike, fake: ArrayLike, /) -> NDArray:
    r"""Return what the discriminator minimizes: the means of :math:`-\log \sigma(a)` and :math:`-\log(1 - \sigma(b))`.

    Parameters
    ----------
    real : array_like of float32 or float64, shape (N,)
        Logits a for real examples.
    fake : array_like, shape (M,)
        Logits b for generated ones.

    Returns
    -------
    ndarray, shape ()
        The sum of both means, in nats; minus the value of the game.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If an argument is empty or has another number of dimensions.

    See Also
    --------
    generator_loss : What the other side minimizes.

    References
    ----------
    Goodfellow et al. (2014), "Generative adversarial nets".

    Examples
    --------
    A discriminator that knows nothing pays log 4.

    >>> float(discriminator_loss([0.0], [0.0]).round(4))
    1.3863
    """
    real, fake = _logits("real", real, "fake", fake)
    out = np.zeros((), real.dtype)
    _mean_softplus(-real, out.reshape(1))
    _mean_softplus(fake, out.reshape(1))
    return out


@public
def discriminator_loss_backward(dy: ArrayLike, real: ArrayLike, fake: ArrayLike, /) -> AdversarialGradients:
    """Return the gradients of `discriminator_loss`.

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient with respect to the loss.
    real, fake
        The arguments of `discriminator_loss`.

    Returns
    -------
    AdversarialGradients
        Gradients with respect to `real` and `fake`.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    discriminator_loss : The function.

    References
    ----------
    Goodfellow et al. (2014), "Generative adversarial nets".

    Examples
    --------
    >>> discriminator_loss_backward(1.0, [0.0], [0.0])
    AdversarialGradients(real=array([-0.5]), fake=array([0.5]))
    """
    dy, real, fake = reals("dy", dy, "real", real, "fake", fake)
    shaped("dy", dy, ())
    real, fake = _logits("real", real, "fake", fake)
    dreal, dfake = np.empty_like(real), np.empty_like(fake)
    _mean_softplus_backward(dy.item(), -real, dreal)
    _mean_softplus_backward(dy.item(), fake, dfake)
    return AdversarialGradients(-dreal, dfake)


@public
def generator_loss(fake: ArrayLike, /, kind: str = "non-saturating") -> NDArray:
    r"""Return what the generator minimizes: the mean of :math:`-\log \sigma(b)`, or of :math:`\log(1 - \sigma(b))`.

    Parameters
    ----------
    fake : array_like of float32 or float64, shape (M,)
        Logits of the discriminator for generated examples.
    kind : {"non-saturating", "minimax"}
        The first is used in practice; the second is the game itself.

    Returns
    -------
    ndarray, shape ()
        The mean, in nats.

    Raises
    ------
    TypeError
        If `fake` is not real.
    ValueError
        If it is empty or has another number of dimensions, or the kind is unknown.

    See Also
    --------
    discriminator_loss : What the other side minimizes.

    References
    ----------
    Goodfellow et al. (2014), "Generative adversarial nets".

    Examples
    --------
    Where the discriminator is sure of a fake, only the first has a gradient.

    >>> generator_loss_backward(1.0, [-20.0]).round(4), generator_loss_backward(1.0, [-20.0], "minimax").round(4)
    (array([-1.]), array([-0.]))
    """
    (fake,) = _logits("fake", fake)
    out = np.zeros((), fake.dtype)
    if option("kind", kind, KINDS) == "minimax":
        _mean_softplus(fake, out.reshape(1))
        out[...] = -out
        return out
    _mean_softplus(-fake, out.reshape(1))
    return out


@public
def generator_loss_backward(dy: ArrayLike, fake: ArrayLike, /, kind: str = "non-saturating") -> NDArray:
    """Return the gradient of `generator_loss`.

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient with respect to the loss.
    fake : array_like, shape (M,)
        Logits for generated examples.
    kind : {"non-saturating", "minimax"}
        As for `generator_loss`.

    Returns
    -------
    ndarray, shape (M,)
        Gradient with respect to `fake`.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes do not fit or the kind is unknown.

    See Also
    --------
    generator_loss : The function.

    References
    ----------
    Goodfellow et al. (2014), "Generative adversarial nets".

    Examples
    --------
    >>> generator_loss_backward(1.0, [0.0, 0.0])
    array([-0.25, -0.25])
    """
    dy, fake = reals("dy", dy, "fake", fake)
    shaped("dy", dy, ())
    (fake,) = _logits("fake", fake)
    dfake = np.empty_like(fake)
    if option("kind", kind, KINDS) == "minimax":
        _mean_softplus_backward(-dy.item(), fake, dfake)
        return dfake
    _mean_softplus_backward(-dy.item(), -fake, dfake)
    return dfake


@kernel(sums=True)
def _mean_softplus(x, out):
    total = out.dtype.type(0)
    for i in range(x.size):
        # log(1 + e^x) without overflow
        positive = x[i] if x[i] > 0 else out.dtype.type(0)
        total += positive + log1p(exp(-abs(x[i])))
    out[0] += total / x.size


@kernel
def _mean_softplus_backward(dy, x, out):
    one, share = out.dtype.type(1), out.dtype.type(dy / x.size)
    for i in range(x.size):
        e = exp(-abs(x[i]))
        out[i] = share * (one if x[i] > 0 else e) / (one + e)


def optimal_discriminator(p: ArrayLike, q: ArrayLike) -> NDArray:
    r"""Return the discriminator that nothing beats: :math:`D^*(x) = p(x) / (p(x) + q(x))`.

    Parameters
    ----------
    p : array_like of float32 or float64, any shape
        Densities of the data at some points, not negative.
    q : array_like, same shape
        Densities of the generator there.

    Returns
    -------
    ndarray, same shape
        Probabilities that a point is real; one half where both densities are zero.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes differ or a density is negative.

    See Also
    --------
    game_value : What it earns.

    References
    ----------
    Goodfellow et al. (2014), "Generative adversarial nets".

    Examples
    --------
    >>> optimal_discriminator([0.1, 0.3, 0.0], [0.3, 0.3, 0.2])
    array([0.25, 0.5 , 0.  ])
    """
    p, q = _densities(p, q)
    out = np.empty_like(p)
    _optimum(p.reshape(-1), q.reshape(-1), out.reshape(-1))
    return out


@kernel
def _optimum(p, q, out):
    one, half = out.dtype.type(1), out.dtype.type(0.5)
    for i in range(out.size):
        # not p / (p + q), whose sum may leave the range
        out[i] = half if p[i] == 0 and q[i] == 0 else one / (one + q[i] / p[i])


def game_value(p: ArrayLike, q: ArrayLike, weights: ArrayLike) -> GameValue:
    r"""Return the value for the best discriminator by quadrature: :math:`-\log 4 + 2\,\mathrm{JSD}(p \,\|\, q)`.

    Parameters
    ----------
    p : array_like of float32 or float64, shape (N,)
        Densities of the data at the nodes.
    q : array_like, shape (N,)
        Densities of the generator.
    weights : array_like, shape (N,)
        Weights of the quadrature; ones for discrete distributions.

    Returns
    -------
    GameValue
        `value`, the expectation of log D* under p plus that of log(1 - D*) under q; `divergence`, the Jensen-Shannon
        divergence in nats, between 0 and log 2.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes differ or a density is negative.

    See Also
    --------
    optimal_discriminator : The discriminator.

    References
    ----------
    Goodfellow et al. (2014), "Generative adversarial nets".

    Examples
    --------
    >>> value, divergence = game_value([0.5, 0.5], [0.5, 0.5], [1.0, 1.0])
    >>> round(value, 4), divergence
    (-1.3863, 0.0)
    """
    p, q, weights = reals("p", real("p", p, 1), "q", q, "weights", real("weights", weights, 1))
    p, q = _densities(p, q)
    same_shape("weights", weights, "p", p)
    divergence = float(_divergence(p, q, weights)) / 2
    return GameValue(2 * divergence - math.log(2) * (float(weights @ p) + float(weights @ q)), divergence)


@kernel(sums=True)
def _divergence(p, q, weights):
    zero, one = p.dtype.type(0), p.dtype.type(1)
    total = zero
    for i in range(p.size):
        large, small = (p[i], q[i]) if p[i] > q[i] else (q[i], p[i])
        # The logarithms of both over their mean m, by their ratio: no sum leaves the range, equal ones give exactly 0.
        r = small / large if large != 0 or small != 0 else one
        log_large = log1p((one - r) / (one + r))
        total += weights[i] * (large * log_large + (small * (log_large + log(r)) if r > 0 else zero))
    return total


def adversary_parameters(
    rng: np.random.Generator, widths: Sequence[int], dtype: DTypeLike = np.float32
) -> tuple[tuple[NDArray, NDArray], ...]:
    r"""Draw the parameters of a generator or a discriminator: variance :math:`2/\text{fan-in}`, biases zero.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the weights.
    widths : sequence of int
        Entries of the input, of each hidden layer, and of the output.
    dtype : numpy dtype
        Type of the parameters, float32 or float64.

    Returns
    -------
    tuple of pairs
        Weights (out, in) and bias of each layer.

    Raises
    ------
    TypeError
        If a width is not an integer, or there is no sequence of them.
    ValueError
        If a width is below 1, or there are fewer than two.

    See Also
    --------
    adversary : The network.

    References
    ----------
    He, Zhang, Ren & Sun (2015), "Delving deep into rectifiers".

    Examples
    --------
    >>> [w.shape for w, b in adversary_parameters(np.random.default_rng(0), (2, 16, 1))]
    [(16, 2), (1, 16)]
    """
    if not isinstance(widths, Sequence):
        raise TypeError(f"widths: expected a sequence of integers, got {type(widths).__name__}")
    widths = [integer("widths", width, 1) for width in widths]
    if len(widths) < 2:
        raise ValueError(f"widths: expected those of an input and of an output, got {widths}")
    sides = pairwise(widths)
    return tuple((rng.normal(0, np.sqrt(2 / i), (o, i)).astype(dtype), np.zeros(o, dtype)) for i, o in sides)


def adversary(params: Sequence, x: ArrayLike, negative_slope: float = 0.2) -> NDArray:
    """Return the result of a generator or a discriminator: dense layers with a leaky rectifier between them.

    Parameters
    ----------
    params : sequence of pairs
        From `adversary_parameters`, or traced.
    x : array_like, shape (N, D)
        Noise, or examples.
    negative_slope : float
        Slope of the rectifier for negative values.

    Returns
    -------
    ndarray, shape (N, O)
        Examples, or logits.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    adversary_parameters : Where training starts.

    References
    ----------
    Goodfellow et al. (2014), "Generative adversarial nets".

    Examples
    --------
    >>> params = adversary_parameters(np.random.default_rng(0), (2, 16, 1))
    >>> adversary(params, np.zeros((5, 2), np.float32)).shape
    (5, 1)
    """
    negative_slope = number("negative_slope", negative_slope, open_low=True, open_high=True)
    if not len(params):
        raise ValueError("params: expected at least one layer, got none")
    fits("x", x, None, params[0][0].shape[1])
    y: Any = x
    for k, (w, b) in enumerate(params):
        y = dense(leaky_relu(y, negative_slope) if k else y, w, b)
    return y


def ring_of_gaussians(
    rng: np.random.Generator, count: int, modes: int = 8, spread: float = 0.05, dtype: DTypeLike = np.float32
) -> RingOfGaussians:
    """Draw points from equal Gaussians whose centers lie evenly on the unit circle.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the points.
    count : int
        How many.
    modes : int
        Number of Gaussians.
    spread : float
        Standard deviation of each.
    dtype : numpy dtype
        Type of the points, float32 or float64.

    Returns
    -------
    RingOfGaussians
        `points` (count, 2) and `centers` (modes, 2).

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If a number is out of range.

    See Also
    --------
    modes_covered : Counts how many of them a generator has found.

    References
    ----------
    Goodfellow et al. (2014), "Generative adversarial nets".

    Examples
    --------
    >>> points, centers = ring_of_gaussians(np.random.default_rng(0), 500)
    >>> points.shape, modes_covered(points, centers, 0.05)
    ((500, 2), 8)
    """
    count, modes = integer("count", count, 0), integer("modes", modes, 1)
    spread = number("spread", spread, 0, open_high=True)
    angles = 2 * np.pi * np.arange(modes) / modes
    centers = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = centers[rng.integers(0, modes, count)] + rng.normal(0, 1, (count, 2)) * spread
    return RingOfGaussians(points.astype(dtype), centers.astype(dtype))


def modes_covered(points: ArrayLike, centers: ArrayLike, spread: float, share: float = 0.02) -> int:
    """Count the modes near which a generator puts points: at least this share within three standard deviations.

    Parameters
    ----------
    points : array_like of float32 or float64, shape (N, D)
        Generated points.
    centers : array_like, shape (M, D)
        Centers of the modes.
    spread : float
        Standard deviation of a mode, above 0.
    share : float
        Least share of the points.

    Returns
    -------
    int
        From 0 to M.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes do not fit or a number is out of range.

    See Also
    --------
    ring_of_gaussians : Points with known modes.

    References
    ----------
    Goodfellow et al. (2014), "Generative adversarial nets".

    Examples
    --------
    >>> modes_covered([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0]], [[0.0, 0.0], [1.0, 1.0]], 0.1)
    1
    """
    points, centers = reals("points", points, "centers", centers)
    real("points", points, 2)
    shaped("centers", centers, (None, points.shape[1]))
    spread, share = number("spread", spread, 0, open_low=True), number("share", share, 0, 1)
    near = np.zeros(len(centers), np.int64)
    _count_near(points, centers, 3 * spread, near)
    return int((near >= max(1.0, share * len(points))).sum())


@kernel
def _count_near(points, centers, radius, out):
    for n in range(len(points)):
        for m in range(len(centers)):
            point, center, square = points[n], centers[m], 0.0
            for d in range(len(point)):
                away = (float(point[d]) - center[d]) / radius
                square += away * away
            if square <= 1:
                out[m] += 1


def _logits(*names_and_values):
    arrays = reals(*names_and_values)
    for name, value in zip(names_and_values[::2], arrays, strict=True):
        shaped(name, value, (None,))
        if not value.size:
            raise ValueError(f"{name}: expected at least one logit, got none")
    return arrays


def _densities(p, q):
    p, q = reals("p", real("p", p), "q", real("q", q))
    same_shape("q", q, "p", p)
    not_negative("p", p)
    not_negative("q", q)
    return p, q
