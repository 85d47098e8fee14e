"""Gated recurrent units: one state and two gates, with the reset after the recurrent product or before it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from dlref._arrays import public
from dlref._compile import kernel
from dlref._math import tanh
from dlref.layers._recurrence import (
    input_gradient,
    logistic,
    opened,
    opened_backward,
    projected,
    states,
    three,
    turned,
    weight_gradients,
)

__all__ = ["GRU", "GRUGradients", "gru", "gru_backward", "gru_reset_before", "gru_reset_before_backward"]


class GRU(NamedTuple):
    """The states after every step, (N, T, H), and after the last one, (N, H)."""

    y: np.ndarray
    h: np.ndarray


class GRUGradients(NamedTuple):
    """Gradients of `gru` and `gru_reset_before`, None where the argument was."""

    x: np.ndarray
    h0: np.ndarray | None
    w_ih: np.ndarray
    w_hh: np.ndarray
    b_ih: np.ndarray | None
    b_hh: np.ndarray | None


@public
def gru(
    x: ArrayLike,
    h0: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    /,
) -> GRU:
    r"""Run a layer of gated recurrent units: :math:`h_t = z_t \odot h_{t-1} + (1 - z_t) \odot n_t`.

    The gates r and z are logistic, and the candidate is
    :math:`n_t = \tanh(W_{in} x_t + b_{in} + r_t \odot (W_{hn} h_{t-1} + b_{hn}))`: the reset gate comes after the
    product, as in PyTorch and cuDNN. Weights and biases are stacked in the order r, z, n.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, T, D)
        Sequences; integers become float64.
    h0 : array_like, shape (N, H), or None
        State before the first step; None is zero.
    w_ih : array_like, shape (3H, D)
        Weights of the input.
    w_hh : array_like, shape (3H, H)
        Weights of the state.
    b_ih, b_hh : array_like, shape (3H,), or None
        Biases. They differ in the candidate, where the reset gate scales the second alone.

    Returns
    -------
    GRU
        ``y`` (N, T, H), the states after every step, and ``h`` (N, H), the last one.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If a shape does not fit `x` and `w_hh`.

    See Also
    --------
    gru_reset_before : The unit of the paper.
    gru_backward : The gradients.
    lstm : Two states and three gates.

    References
    ----------
    Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder for statistical machine translation",
    with the reset gate before the product.

    Examples
    --------
    Without weights both gates are half open, and the state halves at every step.

    >>> gru(np.zeros((1, 3, 2)), [[8.0]], np.zeros((3, 2)), np.zeros((3, 1))).y.ravel()
    array([4., 2., 1.])
    """
    _, _, h = _gru_states(**opened(3, x=x, h0=h0, w_ih=w_ih, w_hh=w_hh, b_ih=b_ih, b_hh=b_hh))
    return GRU(turned(h[1:]), h[-1].copy())


@public
def gru_backward(
    dy: GRU,
    x: ArrayLike,
    h0: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    /,
) -> GRUGradients:
    r"""Return the gradients of `gru`, through time: :math:`z_t \odot \bar h_t` goes straight back.

    Parameters
    ----------
    dy : GRU
        Gradients of the loss with respect to both results; None is zero.
    x, h0, w_ih, w_hh, b_ih, b_hh
        As for `gru`.

    Returns
    -------
    GRUGradients
        One gradient for each argument, None where the argument was.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer, or `dy` is not a `GRU`.
    ValueError
        If a shape does not fit.

    See Also
    --------
    gru : The function.

    References
    ----------
    Werbos (1990), "Backpropagation through time: what it does and how to do it".

    Examples
    --------
    An update gate that is biased open carries the gradient over a hundred steps.

    >>> x, w_ih, w_hh, b = np.zeros((1, 100, 2)), np.zeros((3, 2)), np.zeros((3, 1)), [0.0, 50.0, 0.0]
    >>> gru_backward(GRU(None, [[1.0]]), x, [[8.0]], w_ih, w_hh, b).h0
    array([[1.]])
    """
    given = {"x": x, "h0": h0, "w_ih": w_ih, "w_hh": w_hh, "b_ih": b_ih, "b_hh": b_hh}
    arrays, dy_y, dh = opened_backward(3, dy, GRU, **given)
    x, h0, w_ih, w_hh, b_ih, b_hh = arrays.values()
    gates, from_h, h = _gru_states(**arrays)
    for t in reversed(range(len(gates))):
        _gru_cell_backward(dy_y[t], h[t], dh, gates[t], from_h[t])
        dh += from_h[t] @ w_hh
    dw_ih, db_ih = weight_gradients(gates, turned(x), b_ih)
    dw_hh, db_hh = weight_gradients(from_h, h[:-1], b_hh)
    return GRUGradients(input_gradient(gates, w_ih), None if h0 is None else dh, dw_ih, dw_hh, db_ih, db_hh)


def _gru_states(x, h0, w_ih, w_hh, b_ih, b_hh):
    gates = projected(x, w_ih, b_ih)
    from_h, h, w = np.empty_like(gates), states(h0, gates, w_hh), w_hh.T.copy()
    b = np.zeros(len(w_hh), gates.dtype) if b_hh is None else b_hh
    for t in range(len(gates)):
        np.matmul(h[t], w, out=from_h[t])
        _gru_cell(b, h[t], gates[t], from_h[t], h[t + 1])
    return gates, from_h, h


@kernel
def _gru_cell(b, h_before, gates, from_h, h):
    one = h.dtype.type(1)
    br, bz, bn = three(b)
    for m in range(len(h)):
        # so far what comes from x
        r, z, n = three(gates[m])
        hr, hz, hn = three(from_h[m])
        before, new = h_before[m], h[m]
        for j in range(new.size):
            hn[j] += bn[j]
            r[j] = logistic(r[j] + hr[j] + br[j])
            z[j] = logistic(z[j] + hz[j] + bz[j])
            n[j] = tanh(n[j] + r[j] * hn[j])
            new[j] = z[j] * before[j] + (one - z[j]) * n[j]


@kernel
def _gru_cell_backward(dy, h_before, dh, gates, from_h):
    one = dy.dtype.type(1)
    for m in range(len(dy)):
        # in the end the gradients of what came from x, and of what came from h
        r, z, n = three(gates[m])
        hr, hz, hn = three(from_h[m])
        dym, dhm, before = dy[m], dh[m], h_before[m]
        for j in range(dym.size):
            d = dym[j] + dhm[j]
            dhm[j] = d * z[j]
            dn = d * (one - z[j]) * (one - n[j] * n[j])
            dz = d * (before[j] - n[j]) * z[j] * (one - z[j])
            dr = dn * hn[j] * r[j] * (one - r[j])
            hr[j], hz[j], hn[j] = dr, dz, dn * r[j]
            r[j], z[j], n[j] = dr, dz, dn


@public
def gru_reset_before(
    x: ArrayLike,
    h0: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    /,
) -> GRU:
    r"""Run the gated recurrent unit of the paper: :math:`n_t = \tanh(W_{in} x_t + W_{hn} (r_t \odot h_{t-1}) + b)`.

    The reset gate comes before the recurrent product, which therefore has to wait for the gate: two products a step
    instead of one. Everything else is as in `gru`.

    Parameters
    ----------
    x, h0, w_ih, w_hh
        As for `gru`.
    b_ih, b_hh : array_like, shape (3H,), or None
        Biases; only their sum matters.

    Returns
    -------
    GRU
        As for `gru`.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If a shape does not fit `x` and `w_hh`.

    See Also
    --------
    gru : With the reset gate after the product.
    gru_reset_before_backward : The gradients.

    References
    ----------
    Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder for statistical machine translation".

    Examples
    --------
    For one unit without biases it does not matter when to multiply. For two it does.

    >>> rng = np.random.default_rng(0)
    >>> for hidden in (1, 2):
    ...     shapes = (1, 5, 1), (1, hidden), (3 * hidden, 1), (3 * hidden, hidden)
    ...     args = [rng.normal(size=shape) for shape in shapes]
    ...     print(np.allclose(gru(*args).h, gru_reset_before(*args).h))
    True
    False
    """
    _, _, h = _gru_reset_before_states(**opened(3, x=x, h0=h0, w_ih=w_ih, w_hh=w_hh, b_ih=b_ih, b_hh=b_hh))
    return GRU(turned(h[1:]), h[-1].copy())


@public
def gru_reset_before_backward(
    dy: GRU,
    x: ArrayLike,
    h0: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    /,
) -> GRUGradients:
    r"""Return the gradients of `gru_reset_before`, through time.

    Parameters
    ----------
    dy : GRU
        Gradients of the loss with respect to both results; None is zero.
    x, h0, w_ih, w_hh, b_ih, b_hh
        As for `gru_reset_before`.

    Returns
    -------
    GRUGradients
        One gradient for each argument, None where the argument was.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer, or `dy` is not a `GRU`.
    ValueError
        If a shape does not fit.

    See Also
    --------
    gru_reset_before : The function.

    References
    ----------
    Werbos (1990), "Backpropagation through time: what it does and how to do it".

    Examples
    --------
    An update gate that is biased open carries the gradient over a hundred steps.

    >>> x, w_ih, w_hh, b = np.zeros((1, 100, 2)), np.zeros((3, 2)), np.zeros((3, 1)), [0.0, 50.0, 0.0]
    >>> gru_reset_before_backward(GRU(None, [[1.0]]), x, [[8.0]], w_ih, w_hh, b).h0
    array([[1.]])
    """
    given = {"x": x, "h0": h0, "w_ih": w_ih, "w_hh": w_hh, "b_ih": b_ih, "b_hh": b_hh}
    arrays, dy_y, dh = opened_backward(3, dy, GRU, **given)
    x, h0, w_ih, w_hh, b_ih, b_hh = arrays.values()
    gates, kept, h = _gru_reset_before_states(**arrays)
    two = 2 * w_hh.shape[1]
    for t in reversed(range(len(gates))):
        _gru_candidate_backward(dy_y[t], h[t], dh, gates[t])
        d_kept = gates[t, :, two:] @ w_hh[two:]
        _gru_reset_backward(d_kept, h[t], dh, gates[t])
        dh += gates[t, :, :two] @ w_hh[:two]
    dw_ih, db_ih = weight_gradients(gates, turned(x), b_ih)
    dw_gates, db_hh = weight_gradients(gates, h[:-1], b_hh)
    dw_candidate, _ = weight_gradients(gates[..., two:], kept, None)
    dw_hh = np.concatenate([dw_gates[:two], dw_candidate])
    return GRUGradients(input_gradient(gates, w_ih), None if h0 is None else dh, dw_ih, dw_hh, db_ih, db_hh)


def _gru_reset_before_states(x, h0, w_ih, w_hh, b_ih, b_hh):
    gates = projected(x, w_ih, b_ih, b_hh)
    h, two = states(h0, gates, w_hh), 2 * w_hh.shape[1]
    kept, w_gates, w_candidate = np.empty_like(h[1:]), w_hh[:two].T.copy(), w_hh[two:].T.copy()
    for t in range(len(gates)):
        _gru_gates(h[t] @ w_gates, h[t], gates[t], kept[t])
        _gru_candidate(kept[t] @ w_candidate, h[t], gates[t], h[t + 1])
    return gates, kept, h


@kernel
def _gru_gates(from_h, h_before, gates, kept):
    for m in range(len(kept)):
        # so far what comes from x
        r, z, _ = three(gates[m])
        before, kept_m = h_before[m], kept[m]
        hr, hz = from_h[m, : before.size], from_h[m, before.size :]
        for j in range(before.size):
            r[j] = logistic(r[j] + hr[j])
            z[j] = logistic(z[j] + hz[j])
            kept_m[j] = r[j] * before[j]


@kernel
def _gru_candidate(from_kept, h_before, gates, h):
    one = h.dtype.type(1)
    for m in range(len(h)):
        _, z, n = three(gates[m])
        hn, before, new = from_kept[m], h_before[m], h[m]
        for j in range(new.size):
            n[j] = tanh(n[j] + hn[j])
            new[j] = z[j] * before[j] + (one - z[j]) * n[j]


@kernel
def _gru_candidate_backward(dy, h_before, dh, gates):
    one = dy.dtype.type(1)
    for m in range(len(dy)):
        # in the end the gradients of their pre-activations
        _, z, n = three(gates[m])
        dym, dhm, before = dy[m], dh[m], h_before[m]
        for j in range(dym.size):
            d, zj, nj = dym[j] + dhm[j], z[j], n[j]
            dhm[j] = d * zj
            z[j] = d * (before[j] - nj) * zj * (one - zj)
            n[j] = d * (one - zj) * (one - nj * nj)


@kernel
def _gru_reset_backward(d_kept, h_before, dh, gates):
    one = dh.dtype.type(1)
    for m in range(len(dh)):
        r, _, _ = three(gates[m])
        dk, dhm, before = d_kept[m], dh[m], h_before[m]
        for j in range(dk.size):
            dhm[j] += dk[j] * r[j]
            r[j] = dk[j] * before[j] * r[j] * (one - r[j])
