"""The simple recurrent layer."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from dlref._arrays import public
from dlref._compile import kernel
from dlref._math import tanh
from dlref.layers._recurrence import (
    input_gradient,
    opened,
    opened_backward,
    projected,
    states,
    turned,
    weight_gradients,
)

__all__ = ["RNN", "RNNGradients", "rnn", "rnn_backward"]


class RNN(NamedTuple):
    """The states after every step, (N, T, H), and after the last one, (N, H)."""

    y: np.ndarray
    h: np.ndarray


class RNNGradients(NamedTuple):
    """Gradients of `rnn`, None where the argument was."""

    x: np.ndarray
    h0: np.ndarray | None
    w_ih: np.ndarray
    w_hh: np.ndarray
    b_ih: np.ndarray | None
    b_hh: np.ndarray | None


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
    return RNN(turned(h[1:]), h[-1].copy())


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
    dw_ih, db_ih = weight_gradients(da, turned(x), b_ih)
    dw_hh, db_hh = weight_gradients(da, h[:-1], b_hh)
    return RNNGradients(input_gradient(da, w_ih), None if h0 is None else dh, dw_ih, dw_hh, db_ih, db_hh)


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
