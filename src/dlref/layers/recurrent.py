"""The simple recurrent layer, and what all recurrent layers share.

Inputs and outputs are laid out as (N, T, ...); inside, time comes first, so that one step is one block of memory. Each
layer multiplies the inputs of all steps by ``w_ih`` at once and then walks over time: one product with ``w_hh`` and one
call of its cell, a kernel, per step. ``h[0]`` is the state before the first step. The backward pass walks forward once
more, keeps what every cell computed, and walks back.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import public, reals, shaped
from dlref._compile import inline, kernel
from dlref._math import exp, tanh

__all__ = ["RNN", "RNNGradients", "rnn", "rnn_backward"]


class RNN(NamedTuple):
    """The states after every step, (N, T, H), and after the last one, (N, H)."""

    y: NDArray
    h: NDArray


class RNNGradients(NamedTuple):
    """Gradients of `rnn`, None where the argument was."""

    x: NDArray
    h0: NDArray | None
    w_ih: NDArray
    w_hh: NDArray
    b_ih: NDArray | None
    b_hh: NDArray | None


@public
def rnn(
    x: ArrayLike,
    h0: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    /,
) -> RNN:
    r"""Run the simple recurrent layer: :math:`h_t = \tanh(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, T, D)
        Sequences; integers become float64.
    h0 : array_like, shape (N, H), or None
        State before the first step; None is zero.
    w_ih : array_like, shape (H, D)
        Weights of the input.
    w_hh : array_like, shape (H, H)
        Weights of the state.
    b_ih, b_hh : array_like, shape (H,), or None
        Biases; only their sum matters.

    Returns
    -------
    RNN
        ``y`` (N, T, H), the states after every step, and ``h`` (N, H), the last one.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If a shape does not fit `x` and `w_hh`.

    See Also
    --------
    rnn_backward : The gradients.
    lstm : A layer that keeps a state for longer.
    gru : Another one, with one state and two gates.

    References
    ----------
    Elman (1990), "Finding structure in time", Cognitive Science 14(2).

    Examples
    --------
    With both weights one, a pulse fades, and ever more slowly.

    >>> rnn([[[1.0], [0.0], [0.0], [0.0]]], None, [[1.0]], [[1.0]]).y.ravel().round(3)
    array([0.762, 0.642, 0.566, 0.513])
    """
    h = _rnn_states(**opened(1, x=x, h0=h0, w_ih=w_ih, w_hh=w_hh, b_ih=b_ih, b_hh=b_hh))
    return RNN(batch_first(h[1:]), h[-1].copy())


@public
def rnn_backward(
    dy: RNN,
    x: ArrayLike,
    h0: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    /,
) -> RNNGradients:
    r"""Return the gradients of `rnn`, through time: :math:`\bar a_t = \bar h_t \odot (1 - h_t^2)`.

    Parameters
    ----------
    dy : RNN
        Gradients of the loss with respect to both results; None is zero.
    x, h0, w_ih, w_hh, b_ih, b_hh
        As for `rnn`.

    Returns
    -------
    RNNGradients
        One gradient for each argument, None where the argument was.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer, or `dy` is not an `RNN`.
    ValueError
        If a shape does not fit.

    See Also
    --------
    rnn : The function.

    References
    ----------
    Werbos (1990), "Backpropagation through time: what it does and how to do it".

    Examples
    --------
    Each step back multiplies the gradient by the slope of tanh: a loss on the last state hardly sees the first input.

    >>> dy = RNN(None, [[1.0]])
    >>> rnn_backward(dy, [[[1.0], [0.0], [0.0], [0.0]]], None, [[1.0]], [[1.0]]).x.ravel().round(3)
    array([0.124, 0.294, 0.501, 0.737])
    """
    given = {"x": x, "h0": h0, "w_ih": w_ih, "w_hh": w_hh, "b_ih": b_ih, "b_hh": b_hh}
    arrays, dy_y, dh = opened_backward(1, dy, RNN, **given)
    x, h0, w_ih, w_hh, b_ih, b_hh = arrays.values()
    h = _rnn_states(**arrays)
    da = np.empty_like(h[1:])
    for t in reversed(range(len(da))):
        _rnn_cell_backward(dy_y[t], dh, h[t + 1], da[t])
        np.matmul(da[t], w_hh, out=dh)
    dx, dw_ih, db_ih = input_gradients(da, x, w_ih, b_ih)
    dw_hh, db_hh = state_gradients(da, h[:-1], b_hh)
    return RNNGradients(dx, None if h0 is None else dh, dw_ih, dw_hh, db_ih, db_hh)


def _rnn_states(x, h0, w_ih, w_hh, b_ih, b_hh):
    from_x = projected(x, w_ih, b_ih, b_hh)
    from_h, h, w = np.empty(from_x.shape[1:], from_x.dtype), states(h0, from_x, w_hh), w_hh.T.copy()
    for t in range(len(from_x)):
        np.matmul(h[t], w, out=from_h)
        _rnn_cell(from_x[t], from_h, h[t + 1])
    return h


@kernel
def _rnn_cell(from_x, from_h, h):
    for n in range(len(h)):
        xn, hn, new = from_x[n], from_h[n], h[n]
        for j in range(new.size):
            new[j] = tanh(xn[j] + hn[j])


@kernel
def _rnn_cell_backward(dy, dh, h, da):
    one = h.dtype.type(1)
    for n in range(len(h)):
        dyn, dhn, hn, dan = dy[n], dh[n], h[n], da[n]
        for j in range(hn.size):
            dan[j] = (dyn[j] + dhn[j]) * (one - hn[j] * hn[j])


@inline
def logistic(x):
    one = np.float32(1)  # exact in both types, and a float64 stays one
    return one / (one + exp(-x))


def opened(blocks, **given):
    """Return the arguments of a recurrent layer by name: arrays of one dtype, their shapes checked; None stays.

    ``blocks`` counts the pre-activations of a cell; names with a dot are parts of the result's gradient.
    """
    for name in ("x", "w_ih", "w_hh", "p_i", "p_f", "p_o"):
        if given.get(name, ()) is None:
            raise TypeError(f"{name}: expected an array, got None")
    arrays = dict(zip(given, reals(*(item for pair in given.items() for item in pair)), strict=True))
    shaped("x", arrays["x"], (None, None, None))
    shaped("w_hh", arrays["w_hh"], (None, None))
    (batch, steps, inputs), hidden = arrays["x"].shape, arrays["w_hh"].shape[1]
    shapes = {"x": (batch, steps, inputs), "dy.y": (batch, steps, hidden)}
    shapes |= {"w_ih": (blocks * hidden, inputs), "w_hh": (blocks * hidden, hidden)}
    shapes |= dict.fromkeys(("b_ih", "b_hh"), (blocks * hidden,))
    shapes |= dict.fromkeys(("h0", "c0", "dy.h", "dy.c"), (batch, hidden))
    shapes |= dict.fromkeys(("p_i", "p_f", "p_o"), (hidden,))
    for name, array in arrays.items():
        if array is not None:
            shaped(name, array, shapes[name])
    return arrays


def opened_backward(blocks, dy, kind, **given):
    """Return what `opened` does, and the parts of ``dy``: y with time first, the last states free to be written to."""
    if not isinstance(dy, kind):
        raise TypeError(f"dy: expected {kind.__name__}, got {type(dy).__name__}")
    parts = {f"dy.{part}": value for part, value in dy._asdict().items()}
    arrays = opened(blocks, **given, **parts)
    dy_y, *dy_last = (arrays.pop(part) for part in parts)
    (batch, steps, _), hidden, dtype = arrays["x"].shape, arrays["w_hh"].shape[1], arrays["x"].dtype
    dy_y = np.zeros((steps, batch, hidden), dtype) if dy_y is None else time_first(dy_y)
    return arrays, dy_y, *(np.zeros((batch, hidden), dtype) if part is None else part.copy() for part in dy_last)


def time_first(x):
    """Return (T, N, ...) for (N, T, ...)."""
    return np.ascontiguousarray(x.swapaxes(0, 1))


def batch_first(x):
    """Return (N, T, ...) for (T, N, ...), never a view."""
    return x.swapaxes(0, 1).copy(order="C")


def projected(x, w_ih, *biases):
    """Return what every step's cell gets from its input, (T, N, blocks * H), in one product."""
    batch, steps, inputs = x.shape
    from_x = time_first(x).reshape(steps * batch, inputs) @ w_ih.T
    given = [b for b in biases if b is not None]
    if given:
        from_x += sum(given[1:], given[0])
    return from_x.reshape(steps, batch, len(w_ih))


def states(first, from_x, w_hh):
    """Return room for the states before and after every step, (T + 1, N, H), with the first one in place."""
    room = np.empty((len(from_x) + 1, from_x.shape[1], w_hh.shape[1]), from_x.dtype)
    room[0] = 0 if first is None else first
    return room


def input_gradients(da, x, w_ih, b_ih):
    """Return the gradients of x, w_ih and b_ih, from those of the pre-activations, (T, N, blocks * H)."""
    batch, steps, inputs = x.shape
    rows = da.reshape(steps * batch, len(w_ih))
    dx = batch_first((rows @ w_ih).reshape(steps, batch, inputs))
    return dx, rows.T @ time_first(x).reshape(steps * batch, inputs), None if b_ih is None else rows.sum(axis=0)


def state_gradients(da, h, b_hh):
    """Return the gradients of w_hh and b_hh; ``h`` (T, N, H) holds what w_hh was multiplied by."""
    rows = da.reshape(da.shape[0] * da.shape[1], da.shape[2])
    return rows.T @ h.reshape(len(rows), h.shape[2]), None if b_hh is None else rows.sum(axis=0)
