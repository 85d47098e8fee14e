"""Meta-learning: a start from which a network learns a new task in a few steps, through the steps themselves.

The network is a chain of dense layers with tanh between them, the loss the mean square error, and the second
derivatives are taken by hand: a Hessian is never formed, its product with a vector costs about two gradients.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, number, public, real, reals, shaped
from dlref._compile import kernel, prange
from dlref._math import tanh

__all__ = [
    "MetaGradient",
    "Sinusoid",
    "adapt",
    "hessian_vector_product",
    "maml_gradient",
    "regress",
    "reptile_direction",
    "sinusoid_task",
]


class MetaGradient(NamedTuple):
    """The loss on new examples of a task after adaptation, and its gradient with respect to the start."""

    loss: float
    gradient: list[NDArray]


class Sinusoid(NamedTuple):
    """A wave as a regression task, and examples of it."""

    x: NDArray
    y: NDArray
    amplitude: float
    phase: float


def sinusoid_task(n: int, rng: np.random.Generator) -> Sinusoid:
    r"""Draw a task :math:`y = A \sin(x - \phi)` and examples with x between -5 and 5.

    Parameters
    ----------
    n : int
        Number of examples.
    rng : numpy.random.Generator
        Draws the amplitude from 0.1 to 5, the phase from 0 to pi, and the inputs, all uniformly.

    Returns
    -------
    Sinusoid
        ``x`` and ``y``, shape (n, 1), ``amplitude`` and ``phase``.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is negative.

    See Also
    --------
    maml_gradient : What these tasks are for.

    References
    ----------
    Finn, Abbeel & Levine (2017), "Model-agnostic meta-learning for fast adaptation of deep networks".

    Examples
    --------
    >>> task = sinusoid_task(3, np.random.default_rng(0))
    >>> np.allclose(task.y, task.amplitude * np.sin(task.x - task.phase))
    True
    """
    n = integer("n", n, 0)
    amplitude, phase = float(rng.uniform(0.1, 5.0)), float(rng.uniform(0.0, np.pi))
    x = rng.uniform(-5.0, 5.0, (n, 1))
    return Sinusoid(x, amplitude * np.sin(x - phase), amplitude, phase)


def regress(params: Sequence[ArrayLike], x: ArrayLike) -> NDArray:
    r"""Return what the network says: :math:`h_l = \tanh(W_l h_{l-1} + b_l)`, without tanh in the last layer.

    Parameters
    ----------
    params : sequence of array_like of float32 or float64
        Weights and biases in turn: shapes (H, D), (H,), ..., (K, H), (K,).
    x : array_like, shape (N, D)
        Inputs.

    Returns
    -------
    ndarray, shape (N, K)
        The outputs.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit the one before.

    See Also
    --------
    adapt : Trains it.

    References
    ----------
    Finn, Abbeel & Levine (2017), "Model-agnostic meta-learning for fast adaptation of deep networks".

    Examples
    --------
    >>> regress([[[1.0]], [0.0], [[2.0]], [1.0]], [[0.0], [100.0]]).ravel()
    array([1., 3.])
    """
    params, x, _ = _opened(params, x, None)
    return _states(params, x)[-1]


def hessian_vector_product(
    params: Sequence[ArrayLike], v: Sequence[ArrayLike], x: ArrayLike, y: ArrayLike
) -> list[NDArray]:
    r"""Return :math:`\nabla^2 L(\theta)\, v` of the mean square error, by differentiating backpropagation along v.

    Parameters
    ----------
    params : sequence of array_like
        As for `regress`.
    v : sequence of array_like, shapes of `params`
        The vector.
    x : array_like, shape (N, D)
        Inputs.
    y : array_like, shape (N, K)
        Targets.

    Returns
    -------
    list of ndarray
        The product, in the shapes of `params`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If a shape does not fit.

    See Also
    --------
    maml_gradient : Needs one for each inner step.

    References
    ----------
    Pearlmutter (1994), "Fast exact multiplication by the Hessian".

    Examples
    --------
    One weight and one example: the loss is (w x - y)^2, its second derivative 2 x^2.

    >>> hessian_vector_product([[[0.5]], [0.0]], [[[1.0]], [0.0]], [[3.0]], [[1.0]])[0]
    array([[18.]])
    """
    params, x, y = _opened(params, x, y)
    if len(v) != len(params):
        raise ValueError(f"v: expected {len(params)} arrays, as in params, got {len(v)}")
    v = [real(f"v[{k}]", part).astype(p.dtype) for k, (part, p) in enumerate(zip(v, params, strict=True))]
    for k, (part, p) in enumerate(zip(v, params, strict=True)):
        shaped(f"v[{k}]", part, p.shape)
    return _along(params, v, x, y)[1]


def adapt(params: Sequence[ArrayLike], x: ArrayLike, y: ArrayLike, lr: float, steps: int = 1) -> list[NDArray]:
    r"""Return the parameters after some steps of gradient descent: :math:`\theta \leftarrow \theta - \alpha \nabla L`.

    Parameters
    ----------
    params, x
        As for `regress`.
    y : array_like, shape (N, K)
        Targets.
    lr : float
        The inner learning rate :math:`\alpha`.
    steps : int
        How many.

    Returns
    -------
    list of ndarray
        New parameters.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or a number has the wrong type.
    ValueError
        If a shape does not fit, or a number is negative.

    See Also
    --------
    maml_gradient : The derivative through these steps.

    References
    ----------
    Finn, Abbeel & Levine (2017), "Model-agnostic meta-learning for fast adaptation of deep networks".

    Examples
    --------
    >>> [p.ravel() for p in adapt([[[0.0]], [0.0]], [[1.0]], [[1.0]], lr=0.25)]
    [array([0.5]), array([0.5])]
    """
    params, x, y = _opened(params, x, y)
    return _path(params, x, y, number("lr", lr, 0), integer("steps", steps, 0))[-1]


@public
def maml_gradient(
    params: Sequence[ArrayLike],
    support: tuple[ArrayLike, ArrayLike],
    query: tuple[ArrayLike, ArrayLike],
    lr: float,
    steps: int = 1,
    first_order: bool = False,
) -> MetaGradient:
    r"""Return the loss after adaptation, and its gradient at the start: :math:`\prod_k (I - \alpha H_k)\, \nabla L_q`.

    Parameters
    ----------
    params : sequence of array_like
        The start, as for `regress`.
    support : tuple of two array_like
        Inputs and targets to adapt to.
    query : tuple of two array_like
        Other examples of the same task, on which the adapted network is judged.
    lr : float
        The inner learning rate :math:`\alpha`.
    steps : int
        Inner steps.
    first_order : bool
        Leave the Hessians out, as if the steps did not depend on the start.

    Returns
    -------
    MetaGradient
        ``loss`` and ``gradient``.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or a number has the wrong type.
    ValueError
        If a shape does not fit, or a number is negative.

    See Also
    --------
    reptile_direction : Without a query set.
    hessian_vector_product : One factor of the product.

    References
    ----------
    Finn, Abbeel & Levine (2017), "Model-agnostic meta-learning for fast adaptation of deep networks".

    Examples
    --------
    One linear weight: the step takes the share 2 lr of the way to the target, and the gradient knows it.

    >>> start, data = [[[0.0]], [0.0]], ([[1.0]], [[1.0]])
    >>> for first_order in (True, False):
    ...     print(maml_gradient(start, data, data, lr=0.1, first_order=first_order).gradient[0])
    [[-1.2]]
    [[-0.72]]
    """
    for name, examples in (("support", support), ("query", query)):
        if not isinstance(examples, (tuple, list)) or len(examples) != 2:
            raise ValueError(f"{name}: expected inputs and targets, got {type(examples).__name__}")
    start, x, y = _opened(params, *support)
    _, x_new, y_new = _opened(params, *query)
    lr, steps = number("lr", lr, 0), integer("steps", steps, 0)
    path = _path(start, x, y, lr, steps)
    loss, g = _loss_and_gradient(path[-1], x_new, y_new)
    if not first_order:
        for theta in reversed(path[:-1]):
            curved = _along(theta, g, x, y)[1]
            g = [part - lr * c for part, c in zip(g, curved, strict=True)]
    return MetaGradient(loss, g)


def reptile_direction(params: Sequence[ArrayLike], x: ArrayLike, y: ArrayLike, lr: float, steps: int) -> list[NDArray]:
    r"""Return :math:`(\theta - \theta_K) / \alpha`, where K steps of a task lead: Reptile descends along it.

    Parameters
    ----------
    params, x, y, lr, steps
        As for `adapt`; the rate must not be zero.

    Returns
    -------
    list of ndarray
        The sum of the gradients on the way.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or a number has the wrong type.
    ValueError
        If a shape does not fit, or a number is outside its range.

    See Also
    --------
    maml_gradient : The gradient of the loss after adaptation.

    References
    ----------
    Nichol, Achiam & Schulman (2018), "On first-order meta-learning algorithms".

    Examples
    --------
    >>> reptile_direction([[[0.0]], [0.0]], [[1.0]], [[1.0]], lr=0.25, steps=1)[1]
    array([-2.])
    """
    lr = number("lr", lr, 0, open_low=True)
    start, x, y = _opened(params, x, y)
    last = _path(start, x, y, lr, integer("steps", steps, 0))[-1]
    return [(a - b) / a.dtype.type(lr) for a, b in zip(start, last, strict=True)]


def _opened(params, x, y):
    """Return parameters, inputs and targets in one dtype, their shapes checked."""
    names = [item for k, p in enumerate(params) for item in (f"params[{k}]", p)]
    *arrays, x, y = reals(*names, "x", x, "y", y)
    if not arrays or len(arrays) % 2:
        raise ValueError(f"params: expected weights and biases in turn, got {len(arrays)} arrays")
    shaped("x", x, (None, None))
    size = x.shape[1]
    for k in range(0, len(arrays), 2):
        shaped(f"params[{k}]", arrays[k], (None, size))
        size = len(arrays[k])
        shaped(f"params[{k + 1}]", arrays[k + 1], (size,))
    if y is not None:
        shaped("y", y, (len(x), size))
    return arrays, x, y


def _states(params, x):
    """Return the input, the hidden states and the output."""
    states = [x]
    for k in range(0, len(params), 2):
        a = states[-1] @ params[k].T + params[k + 1]
        if k + 2 < len(params):
            _squash(a.reshape(-1))
        states.append(a)
    return states


def _loss_and_gradient(params, x, y):
    loss, g, _ = _backwards(params, _states(params, x), y)
    return loss, g


def _backwards(params, states, y):
    error = states[-1] - y
    d, g, ds = error * error.dtype.type(2 / max(1, error.size)), [], []
    for k in reversed(range(0, len(params), 2)):
        h = states[k // 2]
        g += [d.sum(axis=0), d.T @ h]
        ds.append(d)
        if k:
            d = d @ params[k]
            _through(d.reshape(-1), h.reshape(-1))
    return float(np.mean(error * error)), g[::-1], ds[::-1]


def _path(params, x, y, lr, steps):
    path = [[p.copy() for p in params]]
    for _ in range(steps):
        _, g = _loss_and_gradient(path[-1], x, y)
        path.append([p - p.dtype.type(lr) * part for p, part in zip(path[-1], g, strict=True)])
    return path


def _along(params, v, x, y):
    """Return the gradient, and its derivative along v: R of every line of the forward and the backward pass."""
    states = _states(params, x)
    moved = [np.zeros_like(x)]
    for k in range(0, len(params), 2):
        ra = moved[-1] @ params[k].T + states[k // 2] @ v[k].T + v[k + 1]
        if k + 2 < len(params):
            _through(ra.reshape(-1), states[k // 2 + 1].reshape(-1))
        moved.append(ra)
    _, g, ds = _backwards(params, states, y)
    rd, curved = moved[-1] * moved[-1].dtype.type(2 / max(1, y.size)), []
    for k in reversed(range(0, len(params), 2)):
        h, rh, d = states[k // 2], moved[k // 2], ds[k // 2]
        curved += [rd.sum(axis=0), rd.T @ h + d.T @ rh]
        if k:
            dh, rd = d @ params[k], rd @ params[k] + d @ v[k]
            _through_along(dh.reshape(-1), h.reshape(-1), rh.reshape(-1), rd.reshape(-1))
    return g, curved[::-1]


@kernel
def _squash(a):
    for i in prange(a.size):
        a[i] = tanh(a[i])


@kernel
def _through(d, h):
    one = h.dtype.type(1)
    for i in prange(d.size):
        d[i] *= one - h[i] * h[i]


@kernel
def _through_along(dh, h, rh, rd):
    one, two = h.dtype.type(1), h.dtype.type(2)
    for i in prange(h.size):
        # R of dh (1 - h^2)
        rd[i] = rd[i] * (one - h[i] * h[i]) - two * dh[i] * h[i] * rh[i]
