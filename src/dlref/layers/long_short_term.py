"""Long short-term memory: a cell state that gates write to, erase and read, plain and with peepholes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import number, public, real
from dlref._compile import kernel
from dlref._math import tanh
from dlref.layers._recurrence import (
    four,
    input_gradient,
    logistic,
    opened,
    opened_backward,
    projected,
    states,
    turned,
    weight_gradients,
)

__all__ = [
    "LSTM",
    "LSTMGradients",
    "LSTMPeepholeGradients",
    "lstm",
    "lstm_backward",
    "lstm_forget_bias",
    "lstm_peephole",
    "lstm_peephole_backward",
]


class LSTM(NamedTuple):
    """The hidden states after every step, (N, T, H), and hidden and cell state after the last one, (N, H)."""

    y: np.ndarray
    h: np.ndarray
    c: np.ndarray


class LSTMGradients(NamedTuple):
    """Gradients of `lstm`, None where the argument was."""

    x: np.ndarray
    h0: np.ndarray | None
    c0: np.ndarray | None
    w_ih: np.ndarray
    w_hh: np.ndarray
    b_ih: np.ndarray | None
    b_hh: np.ndarray | None


class LSTMPeepholeGradients(NamedTuple):
    """Gradients of `lstm_peephole`, None where the argument was."""

    x: np.ndarray
    h0: np.ndarray | None
    c0: np.ndarray | None
    w_ih: np.ndarray
    w_hh: np.ndarray
    p_i: np.ndarray
    p_f: np.ndarray
    p_o: np.ndarray
    b_ih: np.ndarray | None
    b_hh: np.ndarray | None


@public
def lstm(
    x: ArrayLike,
    h0: ArrayLike | None,
    c0: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    /,
) -> LSTM:
    r"""Run an LSTM layer: :math:`c_t = f_t \odot c_{t-1} + i_t \odot g_t,\ h_t = o_t \odot \tanh(c_t)`.

    The gates i, f, o are logistic and the candidate g is tanh of their part of
    :math:`W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh}`; weights and biases are stacked in the order i, f, g, o.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, T, D)
        Sequences; integers become float64.
    h0, c0 : array_like, shape (N, H), or None
        Hidden state and cell state before the first step; None is zero.
    w_ih : array_like, shape (4H, D)
        Weights of the input.
    w_hh : array_like, shape (4H, H)
        Weights of the hidden state.
    b_ih, b_hh : array_like, shape (4H,), or None
        Biases; only their sum matters.

    Returns
    -------
    LSTM
        ``y`` (N, T, H), the hidden states after every step; ``h`` and ``c`` (N, H), both states after the last one.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If a shape does not fit `x` and `w_hh`.

    See Also
    --------
    lstm_backward : The gradients.
    lstm_peephole : With gates that see the cell state.
    lstm_forget_bias : A bias that starts with an open forget gate.
    gru : One state and two gates.

    References
    ----------
    Hochreiter & Schmidhuber (1997), "Long short-term memory"; the forget gate is from
    Gers, Schmidhuber & Cummins (2000), "Learning to forget: continual prediction with LSTM".

    Examples
    --------
    Without weights every gate is half open, and three steps leave an eighth of the cell state. A forget gate that is
    biased open keeps all of it.

    >>> x, c0, w_ih, w_hh = np.zeros((1, 3, 2)), [[8.0]], np.zeros((4, 2)), np.zeros((4, 1))
    >>> lstm(x, None, c0, w_ih, w_hh).c, lstm(x, None, c0, w_ih, w_hh, [0.0, 50.0, 0.0, 0.0]).c
    (array([[1.]]), array([[8.]]))
    """
    _, h, c = _lstm_states(**opened(4, x=x, h0=h0, c0=c0, w_ih=w_ih, w_hh=w_hh, b_ih=b_ih, b_hh=b_hh))
    return LSTM(turned(h[1:]), h[-1].copy(), c[-1].copy())


@public
def lstm_backward(
    dy: LSTM,
    x: ArrayLike,
    h0: ArrayLike | None,
    c0: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    /,
) -> LSTMGradients:
    r"""Return the gradients of `lstm`, through time: :math:`\bar c_{t-1} = f_t \odot \bar c_t`, along the cell state.

    Parameters
    ----------
    dy : LSTM
        Gradients of the loss with respect to the three results; None is zero.
    x, h0, c0, w_ih, w_hh, b_ih, b_hh
        As for `lstm`.

    Returns
    -------
    LSTMGradients
        One gradient for each argument, None where the argument was.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer, or `dy` is not an `LSTM`.
    ValueError
        If a shape does not fit.

    See Also
    --------
    lstm : The function.

    References
    ----------
    Greff et al. (2017), "LSTM: a search space odyssey": the gradient through time without truncation.

    Examples
    --------
    With a forget gate that is biased open, a loss on the last cell state reaches the first one undiminished.

    >>> x, w_ih, w_hh, b = np.zeros((1, 100, 2)), np.zeros((4, 2)), np.zeros((4, 1)), [0.0, 50.0, 0.0, 0.0]
    >>> lstm_backward(LSTM(None, None, [[1.0]]), x, None, [[8.0]], w_ih, w_hh, b).c0
    array([[1.]])
    """
    arrays, dy_y, dh, dc = opened_backward(4, dy, LSTM, x=x, h0=h0, c0=c0, w_ih=w_ih, w_hh=w_hh, b_ih=b_ih, b_hh=b_hh)
    x, h0, c0, w_ih, w_hh, b_ih, b_hh = arrays.values()
    gates, h, c = _lstm_states(**arrays)
    for t in reversed(range(len(gates))):
        _lstm_cell_backward(dy_y[t], dh, dc, c[t], c[t + 1], gates[t])
        np.matmul(gates[t], w_hh, out=dh)
    dw_ih, db_ih = weight_gradients(gates, turned(x), b_ih)
    dw_hh, db_hh = weight_gradients(gates, h[:-1], b_hh)
    dh0, dc0 = None if h0 is None else dh, None if c0 is None else dc
    return LSTMGradients(input_gradient(gates, w_ih), dh0, dc0, dw_ih, dw_hh, db_ih, db_hh)


def _lstm_states(x, h0, c0, w_ih, w_hh, b_ih, b_hh):
    gates = projected(x, w_ih, b_ih, b_hh)
    h, c = states(h0, gates, w_hh), states(c0, gates, w_hh)
    from_h, w = np.empty(gates.shape[1:], gates.dtype), w_hh.T.copy()
    for t in range(len(gates)):
        np.matmul(h[t], w, out=from_h)
        _lstm_cell(from_h, c[t], gates[t], c[t + 1], h[t + 1])
    return gates, h, c


@kernel
def _lstm_cell(from_h, c_before, gates, c, h):
    for n in range(len(h)):
        # so far what comes from x
        i, f, g, o = four(gates[n])
        hi, hf, hg, ho = four(from_h[n])
        before, cn, hn = c_before[n], c[n], h[n]
        for j in range(hn.size):
            i[j] = logistic(i[j] + hi[j])
            f[j] = logistic(f[j] + hf[j])
            g[j] = tanh(g[j] + hg[j])
            o[j] = logistic(o[j] + ho[j])
            cn[j] = f[j] * before[j] + i[j] * g[j]
            hn[j] = o[j] * tanh(cn[j])


@kernel
def _lstm_cell_backward(dy, dh, dc, c_before, c, gates):
    one = c.dtype.type(1)
    for n in range(len(c)):
        # in the end the gradients of their pre-activations
        i, f, g, o = four(gates[n])
        dyn, dhn, dcn, before, cn = dy[n], dh[n], dc[n], c_before[n], c[n]
        for j in range(cn.size):
            d, squashed = dyn[j] + dhn[j], tanh(cn[j])
            dcj = dcn[j] + d * o[j] * (one - squashed * squashed)
            dcn[j] = dcj * f[j]
            di, df, dg = dcj * g[j], dcj * before[j], dcj * i[j]
            i[j] *= di * (one - i[j])
            f[j] *= df * (one - f[j])
            g[j] = dg * (one - g[j] * g[j])
            o[j] *= d * squashed * (one - o[j])


def lstm_forget_bias(b: ArrayLike, value: float = 1.0) -> NDArray:
    r"""Return a copy of a bias with its forget block set: a gate that starts open lets gradients pass from the start.

    Where a layer has two biases their sum counts: set one of them, and zero in the other.

    Parameters
    ----------
    b : array_like of float32 or float64, shape (4H,)
        A bias of `lstm` or `lstm_peephole`, stacked in the order i, f, g, o.
    value : float
        The new bias of every forget gate. At 1 a gate without input is open by 0.73, at 0 by 0.5.

    Returns
    -------
    ndarray, shape (4H,)
        The new bias.

    Raises
    ------
    TypeError
        If `b` is neither real nor integer.
    ValueError
        If the length of `b` is no multiple of four.

    See Also
    --------
    lstm : The layer.

    References
    ----------
    Gers, Schmidhuber & Cummins (2000), "Learning to forget: continual prediction with LSTM".
    Jozefowicz, Zaremba & Sutskever (2015), "An empirical exploration of recurrent network architectures".

    Examples
    --------
    >>> lstm_forget_bias(np.zeros(8))
    array([0., 0., 1., 1., 0., 0., 0., 0.])
    """
    b = real("b", b, ndim=1).copy()
    if len(b) % 4:
        raise ValueError(f"b: expected four blocks of equal length, got {len(b)} entries")
    b[len(b) // 4 : len(b) // 2] = number("value", value)
    return b


@public
def lstm_peephole(
    x: ArrayLike,
    h0: ArrayLike | None,
    c0: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    p_i: ArrayLike,
    p_f: ArrayLike,
    p_o: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    /,
) -> LSTM:
    r"""Run an LSTM layer whose gates see the cell state, as in :math:`i_t = \sigma(a_t + p_i \odot c_{t-1})`.

    The products :math:`p_i \odot c_{t-1}`, :math:`p_f \odot c_{t-1}` and :math:`p_o \odot c_t` join the pre-activations
    of the gates. The output gate looks at the state of its own step, which the other gates have just made.

    Parameters
    ----------
    x, h0, c0, w_ih, w_hh
        As for `lstm`.
    p_i, p_f, p_o : array_like, shape (H,)
        Weights of the peepholes: every gate sees the state of its own cell alone.
    b_ih, b_hh
        As for `lstm`.

    Returns
    -------
    LSTM
        As for `lstm`.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If a shape does not fit `x` and `w_hh`.

    See Also
    --------
    lstm : Without peepholes.
    lstm_peephole_backward : The gradients.

    References
    ----------
    Gers & Schmidhuber (2000), "Recurrent nets that time and count".

    Examples
    --------
    A cell that nothing but its own state closes: above a level the input gate lets nothing more in.

    >>> x, w_ih, w_hh, b = np.zeros((1, 40, 1)), np.zeros((4, 1)), np.zeros((4, 1)), [40.0, 50.0, 0.2, 50.0]
    >>> y = lstm_peephole(x, None, None, w_ih, w_hh, [-20.0], [0.0], [0.0], b).y.ravel()
    >>> np.arctanh(y[[0, 4, 9, 19, 39]]).round(2)
    array([0.2 , 0.99, 1.97, 2.19, 2.24])
    """
    given = {"x": x, "h0": h0, "c0": c0, "w_ih": w_ih, "w_hh": w_hh, "p_i": p_i, "p_f": p_f, "p_o": p_o}
    _, h, c = _lstm_peephole_states(**opened(4, **given, b_ih=b_ih, b_hh=b_hh))
    return LSTM(turned(h[1:]), h[-1].copy(), c[-1].copy())


@public
def lstm_peephole_backward(
    dy: LSTM,
    x: ArrayLike,
    h0: ArrayLike | None,
    c0: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    p_i: ArrayLike,
    p_f: ArrayLike,
    p_o: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    /,
) -> LSTMPeepholeGradients:
    r"""Return the gradients of `lstm_peephole`, through time and through the peepholes.

    Parameters
    ----------
    dy : LSTM
        Gradients of the loss with respect to the three results; None is zero.
    x, h0, c0, w_ih, w_hh, p_i, p_f, p_o, b_ih, b_hh
        As for `lstm_peephole`.

    Returns
    -------
    LSTMPeepholeGradients
        One gradient for each argument, None where the argument was.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer, or `dy` is not an `LSTM`.
    ValueError
        If a shape does not fit.

    See Also
    --------
    lstm_peephole : The function.

    References
    ----------
    Greff et al. (2017), "LSTM: a search space odyssey".

    Examples
    --------
    While the output gate is all but closed, the hidden state says little; the peephole still learns when to open it.

    >>> x, w_ih, w_hh, b = np.zeros((1, 1, 1)), np.zeros((4, 1)), np.zeros((4, 1)), [0.0, 50.0, 0.0, -6.0]
    >>> dy = LSTM([[[1.0]]], None, None)
    >>> lstm_peephole_backward(dy, x, None, [[2.0]], w_ih, w_hh, [0.0], [0.0], [0.0], b).p_o.round(4)
    array([0.0048])
    """
    given = {"x": x, "h0": h0, "c0": c0, "w_ih": w_ih, "w_hh": w_hh, "p_i": p_i, "p_f": p_f, "p_o": p_o}
    arrays, dy_y, dh, dc = opened_backward(4, dy, LSTM, **given, b_ih=b_ih, b_hh=b_hh)
    x, h0, c0, w_ih, w_hh, p_i, p_f, p_o, b_ih, b_hh = arrays.values()
    gates, h, c = _lstm_peephole_states(**arrays)
    for t in reversed(range(len(gates))):
        _lstm_peephole_cell_backward(dy_y[t], dh, dc, c[t], c[t + 1], p_i, p_f, p_o, gates[t])
        np.matmul(gates[t], w_hh, out=dh)
    di, df, _, do = np.split(gates, 4, axis=2)
    dp = (di * c[:-1]).sum((0, 1)), (df * c[:-1]).sum((0, 1)), (do * c[1:]).sum((0, 1))
    dw_ih, db_ih = weight_gradients(gates, turned(x), b_ih)
    dw_hh, db_hh = weight_gradients(gates, h[:-1], b_hh)
    dh, dc = None if h0 is None else dh, None if c0 is None else dc
    return LSTMPeepholeGradients(input_gradient(gates, w_ih), dh, dc, dw_ih, dw_hh, *dp, db_ih, db_hh)


def _lstm_peephole_states(x, h0, c0, w_ih, w_hh, p_i, p_f, p_o, b_ih, b_hh):
    gates = projected(x, w_ih, b_ih, b_hh)
    h, c = states(h0, gates, w_hh), states(c0, gates, w_hh)
    from_h, w = np.empty(gates.shape[1:], gates.dtype), w_hh.T.copy()
    for t in range(len(gates)):
        np.matmul(h[t], w, out=from_h)
        _lstm_peephole_cell(from_h, c[t], p_i, p_f, p_o, gates[t], c[t + 1], h[t + 1])
    return gates, h, c


@kernel
def _lstm_peephole_cell(from_h, c_before, p_i, p_f, p_o, gates, c, h):
    for n in range(len(h)):
        # so far what comes from x
        i, f, g, o = four(gates[n])
        hi, hf, hg, ho = four(from_h[n])
        before, cn, hn = c_before[n], c[n], h[n]
        for j in range(hn.size):
            i[j] = logistic(i[j] + hi[j] + p_i[j] * before[j])
            f[j] = logistic(f[j] + hf[j] + p_f[j] * before[j])
            g[j] = tanh(g[j] + hg[j])
            cn[j] = f[j] * before[j] + i[j] * g[j]
            o[j] = logistic(o[j] + ho[j] + p_o[j] * cn[j])
            hn[j] = o[j] * tanh(cn[j])


@kernel
def _lstm_peephole_cell_backward(dy, dh, dc, c_before, c, p_i, p_f, p_o, gates):
    one = c.dtype.type(1)
    for n in range(len(c)):
        # in the end the gradients of their pre-activations
        i, f, g, o = four(gates[n])
        dyn, dhn, dcn, before, cn = dy[n], dh[n], dc[n], c_before[n], c[n]
        for j in range(cn.size):
            d, squashed = dyn[j] + dhn[j], tanh(cn[j])
            do = d * squashed * o[j] * (one - o[j])
            dcj = dcn[j] + d * o[j] * (one - squashed * squashed) + do * p_o[j]
            di = dcj * g[j] * i[j] * (one - i[j])
            df = dcj * before[j] * f[j] * (one - f[j])
            dcn[j] = dcj * f[j] + di * p_i[j] + df * p_f[j]
            dg = dcj * i[j] * (one - g[j] * g[j])
            i[j], f[j], g[j], o[j] = di, df, dg, do
