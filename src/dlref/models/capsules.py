"""A capsule network: votes of primary capsules, class capsules by routing, margin loss and reconstruction."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from dlref._arrays import index, integer, number, public, real, reals, shaped
from dlref._compile import kernel, prange
from dlref.activations import relu, sigmoid
from dlref.layers import dense, dynamic_routing, squash
from dlref.models._fitting import fits

__all__ = [
    "CapsuleParameters",
    "CapsuleVotesGradients",
    "capsule_margin_loss",
    "capsule_margin_loss_backward",
    "capsule_network",
    "capsule_parameters",
    "capsule_reconstruct",
    "capsule_votes",
    "capsule_votes_backward",
]


class CapsuleParameters(NamedTuple):
    """Weights and biases of the primary capsules and of the decoder's two layers, and the matrices of the votes."""

    primary: NDArray
    bias: NDArray
    votes: NDArray
    hidden: NDArray
    hidden_bias: NDArray
    pixels: NDArray
    pixels_bias: NDArray


class CapsuleVotesGradients(NamedTuple):
    """Gradients of `capsule_votes`, in the order of its arguments."""

    x: NDArray
    w: NDArray


@public
def capsule_votes(x: ArrayLike, w: ArrayLike, /) -> NDArray:
    r"""Return the vote of each capsule for each parent: :math:`u_{ij} = W_{ij} x_i`.

    Parameters
    ----------
    x : array_like, shape (N, I, E)
        Outputs of I capsules.
    w : array_like, shape (I, J, D, E)
        A matrix for each pair of a child and a parent.

    Returns
    -------
    ndarray, shape (N, I, J, D)
        Votes.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    dlref.layers.dynamic_routing : Makes the parents from them.

    References
    ----------
    Sabour, Frosst & Hinton (2017), "Dynamic routing between capsules".

    Examples
    --------
    >>> capsule_votes([[[1.0, 2.0]]], [[[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [-1.0, 0.0]]]]).tolist()
    [[[[1.0, 2.0], [2.0, -1.0]]]]
    """
    x, w = _pair(x, w)
    children, parents, size, _ = w.shape
    votes = np.empty((len(x), children, parents * size), x.dtype)
    # the matrices of a child under one another: one product for each child, over the batch
    stacked = w.reshape(children, parents * size, -1)
    np.matmul(x.swapaxes(0, 1), stacked.swapaxes(1, 2), out=votes.swapaxes(0, 1))
    return votes.reshape(len(x), children, parents, size)


@public
def capsule_votes_backward(dy: ArrayLike, x: ArrayLike, w: ArrayLike, /) -> CapsuleVotesGradients:
    r"""Return the gradients of `capsule_votes`.

    Parameters
    ----------
    dy : array_like, shape (N, I, J, D)
        Gradient of the loss with respect to the votes.
    x, w
        As for `capsule_votes`.

    Returns
    -------
    CapsuleVotesGradients
        Gradients with respect to `x` and `w`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    capsule_votes : The function.

    References
    ----------
    Sabour, Frosst & Hinton (2017), "Dynamic routing between capsules".

    Examples
    --------
    >>> dx, dw = capsule_votes_backward([[[[1.0, 0.0]]]], [[[1.0, 2.0]]], [[[[3.0, 4.0], [5.0, 6.0]]]])
    >>> dx.tolist(), dw.tolist()
    ([[[3.0, 4.0]]], [[[[1.0, 2.0], [0.0, 0.0]]]])
    """
    x, w = _pair(x, w)
    dy, x, w = reals("dy", dy, "x", x, "w", w)
    shaped("dy", dy, (*x.shape[:2], *w.shape[1:3]))
    children, parents, size, _ = w.shape
    stacked = w.reshape(children, parents * size, -1)
    slopes = dy.reshape(len(x), children, parents * size).swapaxes(0, 1)
    dx, dw = np.empty_like(x), slopes.swapaxes(1, 2) @ x.swapaxes(0, 1)
    np.matmul(slopes, stacked, out=dx.swapaxes(0, 1))
    return CapsuleVotesGradients(dx, dw.reshape(w.shape))


def _pair(x, w):
    x, w = reals("x", x, "w", w)
    shaped("w", w, (None, None, None, None))
    shaped("x", x, (None, w.shape[0], w.shape[3]))
    return x, w


@public
def capsule_margin_loss(
    v: ArrayLike, /, target: ArrayLike, high: float = 0.9, low: float = 0.1, absent: float = 0.5
) -> np.floating:
    r"""Return the mean margin loss of class capsules: the right one is to be long, the others short.

    Parameters
    ----------
    v : array_like, shape (N, K, D)
        A capsule for each of K classes.
    target : array_like of int, shape (N,)
        The right classes.
    high, low : float
        Length from which a right capsule costs nothing, and up to which a wrong one does not.
    absent : float
        Weight of the wrong ones.

    Returns
    -------
    floating
        The mean over the examples of the sum over the classes; NaN without examples.

    Raises
    ------
    TypeError
        If `v` is neither real nor integer, or `target` are no integers.
    ValueError
        If the shapes do not fit, or a class is out of range.

    See Also
    --------
    capsule_network : Makes the capsules.

    References
    ----------
    Sabour, Frosst & Hinton (2017), "Dynamic routing between capsules".

    Examples
    --------
    A right capsule of length 0.7 lacks 0.2, a wrong one of 0.3 has 0.2 too much, at half the price.

    >>> print(round(capsule_margin_loss([[[0.7, 0.0], [0.0, 0.3]]], [0]), 4))
    0.06
    """
    v, target, *knobs = _classes(v, target, high, low, absent)
    out = np.empty(len(v), v.dtype)
    _margin_loss(v, target, *knobs, out)
    with np.errstate(invalid="ignore"):
        return out.sum() / v.dtype.type(len(v))


@public
def capsule_margin_loss_backward(
    dy: ArrayLike, v: ArrayLike, /, target: ArrayLike, high: float = 0.9, low: float = 0.1, absent: float = 0.5
) -> NDArray:
    r"""Return the gradient of `capsule_margin_loss`.

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient of the loss with respect to the result.
    v, target, high, low, absent
        As for `capsule_margin_loss`.

    Returns
    -------
    ndarray, shape of `v`
        Gradient with respect to `v`; 0 for a capsule of length zero, which has no direction to grow in.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer, or `target` are no integers.
    ValueError
        If the shapes do not fit, or a class is out of range.

    See Also
    --------
    capsule_margin_loss : The function.

    References
    ----------
    Sabour, Frosst & Hinton (2017), "Dynamic routing between capsules".

    Examples
    --------
    >>> capsule_margin_loss_backward(1.0, [[[0.7, 0.0], [0.0, 0.3]]], [0]).round(3).tolist()
    [[[-0.4, -0.0], [0.0, 0.2]]]
    """
    dy, v = reals("dy", dy, "v", v)
    shaped("dy", dy, ())
    v, target, *knobs = _classes(v, target, high, low, absent)
    out = np.empty_like(v)
    _margin_loss_backward(dy.reshape(1) / max(len(v), 1), v, target, *knobs, out)
    return out


@kernel(sums=True)
def _margin_loss(v, target, high, low, absent, out):
    for n in prange(len(v)):
        total = v.dtype.type(0)
        for k in range(v.shape[1]):
            row, square = v[n, k], v.dtype.type(0)
            for d in range(len(row)):
                square += row[d] * row[d]
            length = np.sqrt(square)
            if k == target[n]:
                if not length >= high:
                    total += (high - length) * (high - length)
            elif not length <= low:
                total += absent * (length - low) * (length - low)
        out[n] = total


@kernel(sums=True)
def _margin_loss_backward(dy, v, target, high, low, absent, out):
    two = v.dtype.type(2)
    for n in prange(len(v)):
        for k in range(v.shape[1]):
            row, square, slope = v[n, k], v.dtype.type(0), v.dtype.type(0)
            for d in range(len(row)):
                square += row[d] * row[d]
            length = np.sqrt(square)
            if k == target[n]:
                if not length >= high:
                    slope = two * (length - high)
            elif not length <= low:
                slope = two * absent * (length - low)
            # The length itself has the unit vector as its gradient.
            scale = dy[0] * slope / length if length > 0 else dy[0] * length
            for d in range(len(row)):
                out[n, k, d] = scale * row[d]


def _classes(v, target, *knobs):
    v = real("v", v, 3)
    numbers = [
        v.dtype.type(number(n, k, 0, open_high=True)) for n, k in zip(("high", "low", "absent"), knobs, strict=True)
    ]
    return v, index("target", target, v.shape[1], (len(v),)), *numbers


def capsule_parameters(
    rng: np.random.Generator,
    pixels: int = 64,
    children: int = 16,
    size: int = 8,
    classes: int = 10,
    hidden: int = 64,
    dtype: DTypeLike = np.float32,
) -> CapsuleParameters:
    r"""Draw the parameters of `capsule_network`: weights of variance one over their inputs, biases zero.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the weights.
    pixels : int
        Numbers of an input.
    children : int
        Number of primary capsules.
    size : int
        Numbers of every capsule.
    classes : int
        Number of class capsules.
    hidden : int
        Units of the decoder's hidden layer.
    dtype : data-type
        Either float32 or float64.

    Returns
    -------
    CapsuleParameters
        The parameters.

    Raises
    ------
    TypeError
        If a size is not an integer.
    ValueError
        If a size is not positive.

    See Also
    --------
    capsule_network : The network.

    References
    ----------
    Sabour, Frosst & Hinton (2017), "Dynamic routing between capsules".

    Examples
    --------
    >>> capsule_parameters(np.random.default_rng(0)).votes.shape
    (16, 10, 8, 8)
    """
    pixels, children, size, classes, hidden = (
        integer(name, value, 1)
        for name, value in zip(
            ("pixels", "children", "size", "classes", "hidden"), (pixels, children, size, classes, hidden), strict=True
        )
    )
    shapes = (children * size, pixels), (children, classes, size, size), (hidden, classes * size), (pixels, hidden)
    primary, votes, first, second = (rng.normal(0, s[-1] ** -0.5, s).astype(dtype) for s in shapes)
    zeros = [np.zeros(n, dtype) for n in (children * size, hidden, pixels)]
    return CapsuleParameters(primary, zeros[0], votes, first, zeros[1], second, zeros[2])


def capsule_network(params: CapsuleParameters, x: ArrayLike, iterations: int = 3) -> NDArray:
    r"""Return the class capsules of inputs; the longest one is the predicted class.

    A dense layer is cut into primary capsules, which are squashed; each votes for every class, and the votes are routed
    by agreement.

    Parameters
    ----------
    params : CapsuleParameters
        The parameters.
    x : array_like, shape (N, P)
        Inputs.
    iterations : int
        Iterations of the routing.

    Returns
    -------
    ndarray, shape (N, K, D)
        Class capsules, each shorter than one.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    capsule_margin_loss : What it is trained by.
    capsule_reconstruct : What is in a capsule.

    References
    ----------
    Sabour, Frosst & Hinton (2017), "Dynamic routing between capsules".

    Examples
    --------
    >>> params = capsule_parameters(np.random.default_rng(0))
    >>> v = capsule_network(params, np.ones((2, 64), np.float32))
    >>> v.shape, bool((np.linalg.norm(v, axis=2) < 1).all())
    ((2, 10, 8), True)
    """
    children, _, _, size = params.votes.shape
    fits("x", x, None, params.primary.shape[1])
    x = dense(x, params.primary, params.bias)
    return dynamic_routing(capsule_votes(squash(x.reshape(-1, children, size)), params.votes), iterations)


def capsule_reconstruct(params: CapsuleParameters, v: ArrayLike, target: ArrayLike) -> NDArray:
    r"""Return the input that one class capsule stands for, from 0 to 1; the other capsules are masked.

    Parameters
    ----------
    params : CapsuleParameters
        The parameters.
    v : array_like, shape (N, K, D)
        Class capsules.
    target : array_like of int, shape (N,)
        Which one is decoded.

    Returns
    -------
    ndarray, shape (N, P)
        Reconstructions.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    capsule_network : Makes the capsules.

    References
    ----------
    Sabour, Frosst & Hinton (2017), "Dynamic routing between capsules".

    Examples
    --------
    Without a capsule's numbers only the biases are left.

    >>> params = capsule_parameters(np.random.default_rng(0))
    >>> np.unique(capsule_reconstruct(params, np.zeros((1, 10, 8), np.float32), [3]))
    array([0.5], dtype=float32)
    """
    classes, size = params.votes.shape[1:3]
    target = index("target", target, classes, (None,))
    fits("v", v, len(target), classes, size)
    chosen = np.eye(classes, dtype=params.votes.dtype)[target]
    code = (v * chosen[:, :, None]).reshape(len(chosen), classes * size)
    return sigmoid(dense(relu(dense(code, params.hidden, params.hidden_bias)), params.pixels, params.pixels_bias))
