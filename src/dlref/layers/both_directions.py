"""Two recurrent layers over the same sequence, one from each end, with sequences of different lengths.

Every array of weights or states has a leading axis of two: the direction that reads from the first step to the last,
and the one that reads from a sequence's own last step to the first.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import index, option, public, real, same_shape
from dlref._compile import kernel, prange
from dlref.layers._recurrence import opened, pieces, walked, walked_back
from dlref.layers.gated_units import GRU, GRUGradients, gru, gru_backward
from dlref.layers.long_short_term import LSTM, LSTMGradients, lstm, lstm_backward
from dlref.layers.recurrent import RNN, RNNGradients, rnn, rnn_backward

__all__ = [
    "bidirectional_gru",
    "bidirectional_gru_backward",
    "bidirectional_lstm",
    "bidirectional_lstm_backward",
    "bidirectional_rnn",
    "bidirectional_rnn_backward",
    "reverse_sequences",
    "reverse_sequences_backward",
]


@public
def reverse_sequences(x: ArrayLike, /, lengths: ArrayLike | None = None) -> NDArray:
    r"""Turn every sequence round within its own length: step t of n becomes step n - 1 - t; padding stays.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, T, D)
        Sequences, padded at their ends.
    lengths : array_like of int, shape (N,), optional
        How many steps each has, 0 to T. None: all have T.

    Returns
    -------
    ndarray, shape (N, T, D)
        The same entries.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer, or `lengths` are not integers.
    ValueError
        If a shape does not fit or a length is outside 0 to T.

    See Also
    --------
    bidirectional_rnn : Uses it twice.

    References
    ----------
    Schuster & Paliwal (1997), "Bidirectional recurrent neural networks".

    Examples
    --------
    >>> x = np.array([[[1.0], [2.0], [3.0], [4.0]], [[1.0], [2.0], [0.0], [0.0]]])
    >>> reverse_sequences(x, [4, 2])[..., 0]
    array([[4., 3., 2., 1.],
           [2., 1., 0., 0.]])
    """
    x = real("x", x, 3)
    lengths = _lengths(lengths, x)
    out = np.empty_like(x)
    _reverse(x, np.full(len(x), x.shape[1]) if lengths is None else lengths, out)
    return out


@public
def reverse_sequences_backward(dy: ArrayLike, x: ArrayLike, /, lengths: ArrayLike | None = None) -> NDArray:
    r"""Return the gradient of `reverse_sequences`, which is its own inverse and its own transpose.

    Parameters
    ----------
    dy : array_like, shape (N, T, D)
        Gradient of the loss with respect to the result.
    x, lengths
        As for `reverse_sequences`.

    Returns
    -------
    ndarray, shape (N, T, D)
        The gradient of `x`.

    Raises
    ------
    TypeError
        If `dy` is neither real nor integer, or `lengths` are not integers.
    ValueError
        If a shape does not fit or a length is outside 0 to T.

    See Also
    --------
    reverse_sequences : The function.

    References
    ----------
    Schuster & Paliwal (1997), "Bidirectional recurrent neural networks".

    Examples
    --------
    >>> reverse_sequences_backward([[[1.0], [2.0], [3.0]]], [[[0.0], [0.0], [0.0]]], [2]).ravel()
    array([2., 1., 3.])
    """
    dy, x = real("dy", dy), real("x", x, 3)
    same_shape("dy", dy, "x", x)
    return reverse_sequences(dy, lengths)


@kernel
def _reverse(x, lengths, out):
    for n in prange(len(x)):
        for t in range(x.shape[1]):
            # padding stays where it is
            s = lengths[n] - 1 - t if t < lengths[n] else t
            source, row = x[n, s], out[n, t]
            for j in range(row.size):
                row[j] = source[j]


def _lengths(lengths, x):
    return None if lengths is None else index("lengths", lengths, x.shape[1] + 1, (len(x),))


def _both(layer, kind, blocks, lengths, merge, given):
    arrays = opened(blocks, (2,), **given)
    x, ways, lengths = arrays["x"], _two_ways(kind, merge, arrays), _lengths(lengths, arrays["x"])
    results = []
    for k, (first, weights) in enumerate(ways):
        seen = reverse_sequences(x, lengths) if k else x
        y, last, _ = walked(layer, seen, first, weights, pieces(lengths, x))
        results.append((reverse_sequences(y, lengths) if k else y, *last))
    (y, *last), (y_back, *last_back) = results
    y = np.concatenate([y, y_back], axis=2) if merge == "concatenate" else y + y_back
    return kind(y, *(np.stack(pair) for pair in zip(last, last_back, strict=True)))


def _both_backward(dy, layer, backward, kind, gradients, blocks, lengths, merge, given):
    if not isinstance(dy, kind):
        raise TypeError(f"dy: expected {kind.__name__}, got {type(dy).__name__}")
    joined = 2 if option("merge", merge, MERGES) == "concatenate" else 1
    arrays = opened(blocks, (2,), joined, **given, **{f"dy.{part}": value for part, value in dy._asdict().items()})
    dy = kind(*(arrays.pop(f"dy.{part}") for part in kind._fields))
    x, ways, lengths = arrays["x"], _two_ways(kind, merge, arrays), _lengths(lengths, arrays["x"])
    cuts, dx, rest = pieces(lengths, x), np.zeros_like(x), []
    for k, (first, weights) in enumerate(ways):
        turn = (lambda a: reverse_sequences(a, lengths)) if k else (lambda a: a)
        # the states before every piece; the last piece need not be run for them
        _, last, before = walked(layer, turn(x), first, weights, cuts[:-1])
        before += [[state[rows] for state in last] for _, _, rows in cuts[-1:]]
        dy_y = np.ascontiguousarray(np.split(dy.y, joined, axis=2)[k if joined == 2 else 0])
        one = kind(turn(dy_y), *(part[k] for part in dy[1:]))
        g, dfirst, dweights = walked_back(backward, one, turn(x), before, weights, cuts)
        dx += turn(g)
        rest.append([*dfirst, *dweights])
    names = [name for name in arrays if name != "x"]
    stacked = (None if arrays[name] is None else np.stack(pair) for name, *pair in zip(names, *rest, strict=True))
    return gradients(dx, *stacked)


MERGES = ("concatenate", "sum")


def _two_ways(kind, merge, arrays):
    """Return for each direction its first states, zero for None, and its weights."""
    option("merge", merge, MERGES)
    x, w_hh, count = arrays["x"], arrays["w_hh"], len(kind._fields) - 1
    ways = []
    for k in (0, 1):
        one = [None if a is None else a[k] for name, a in arrays.items() if name != "x"]
        zero = np.zeros((len(x), w_hh.shape[2]), x.dtype)
        ways.append(([zero if state is None else state for state in one[:count]], one[count:]))
    return ways


@public
def bidirectional_rnn(
    x: ArrayLike,
    h0: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    /,
    lengths: ArrayLike | None = None,
    merge: str = "concatenate",
    activation: str = "tanh",
) -> RNN:
    r"""Run two simple recurrent layers over each sequence, from its first step on and from its own last step back.

    At step t the output is :math:`y_t = [\overrightarrow{h}_t, \overleftarrow{h}_t]`;
    one direction has read the steps up to t, the other one those from t on.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, T, D)
        Sequences, padded at their ends; integers become float64.
    h0 : array_like, shape (2, N, H), or None
        State of both directions before their first step; None is zero.
    w_ih : array_like, shape (2, H, D)
        Weights of the input.
    w_hh : array_like, shape (2, H, H)
        Weights of the state.
    b_ih, b_hh : array_like, shape (2, H), or None
        Biases.
    lengths : array_like of int, shape (N,), optional
        How many steps each sequence has, 0 to T; what follows is padding and is not read. None: all have T.
    merge : {"concatenate", "sum"}
        What becomes of the two outputs at a step.
    activation : {"tanh", "relu"}
        The function of both layers.

    Returns
    -------
    RNN
        ``y`` (N, T, 2H), or (N, T, H) for "sum", zero in the padding; ``h`` (2, N, H), the last states:
        after a sequence's own last step, and after its first.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If a shape does not fit `x` and `w_hh`, a length is outside 0 to T, or an option is unknown.

    See Also
    --------
    bidirectional_rnn_backward : The gradients.
    rnn : One direction.
    reverse_sequences : How the second direction reads.

    References
    ----------
    Schuster & Paliwal (1997), "Bidirectional recurrent neural networks".

    Examples
    --------
    Every output knows the whole sequence: the pulse is felt before it comes as well as after.

    >>> ones = np.ones((2, 1, 1))
    >>> bidirectional_rnn([[[0.0], [1.0], [0.0]]], None, ones, ones).y[0].round(2)
    array([[0.  , 0.64],
           [0.76, 0.76],
           [0.64, 0.  ]])
    """
    given = {"x": x, "h0": h0, "w_ih": w_ih, "w_hh": w_hh, "b_ih": b_ih, "b_hh": b_hh}
    return _both(_with_activation(rnn, activation), RNN, 1, lengths, merge, given)


@public
def bidirectional_rnn_backward(
    dy: RNN,
    x: ArrayLike,
    h0: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    /,
    lengths: ArrayLike | None = None,
    merge: str = "concatenate",
    activation: str = "tanh",
) -> RNNGradients:
    r"""Return the gradients of `bidirectional_rnn`: what x gets is the sum of both directions.

    Parameters
    ----------
    dy : RNN
        Gradients of the loss with respect to the results; None is zero. What stands in the padding is ignored.
    x, h0, w_ih, w_hh, b_ih, b_hh, lengths, merge, activation
        As for `bidirectional_rnn`.

    Returns
    -------
    RNNGradients
        One gradient for each argument, None where the argument was; that of `x` is zero in the padding.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer, or `dy` is not an `RNN`.
    ValueError
        If a shape does not fit `x` and `w_hh`, a length is outside 0 to T, or an option is unknown.

    See Also
    --------
    bidirectional_rnn : The function.

    References
    ----------
    Schuster & Paliwal (1997), "Bidirectional recurrent neural networks".

    Examples
    --------
    A loss on the middle output reaches the steps on both sides.

    >>> ones, dy = np.ones((2, 1, 1)), RNN([[[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]], None)
    >>> bidirectional_rnn_backward(dy, np.zeros((1, 3, 1)), None, ones, ones).x.ravel()
    array([1., 2., 1.])
    """
    given = {"x": x, "h0": h0, "w_ih": w_ih, "w_hh": w_hh, "b_ih": b_ih, "b_hh": b_hh}
    return _both_backward(
        dy,
        _with_activation(rnn, activation),
        _with_activation(rnn_backward, activation),
        RNN,
        RNNGradients,
        1,
        lengths,
        merge,
        given,
    )


def _with_activation(layer, activation):
    return lambda *args: layer(*args, activation=activation)


@public
def bidirectional_lstm(
    x: ArrayLike,
    h0: ArrayLike | None,
    c0: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    /,
    lengths: ArrayLike | None = None,
    merge: str = "concatenate",
) -> LSTM:
    r"""Run two LSTM layers over each sequence, from its first step on and from its own last step back.

    At step t the output is :math:`y_t = [\overrightarrow{h}_t, \overleftarrow{h}_t]`;
    one direction has read the steps up to t, the other one those from t on.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, T, D)
        Sequences, padded at their ends; integers become float64.
    h0, c0 : array_like, shape (2, N, H), or None
        Hidden state and cell state of both directions before their first step; None is zero.
    w_ih : array_like, shape (2, 4H, D)
        Weights of the input.
    w_hh : array_like, shape (2, 4H, H)
        Weights of the state.
    b_ih, b_hh : array_like, shape (2, 4H), or None
        Biases.
    lengths : array_like of int, shape (N,), optional
        How many steps each sequence has, 0 to T; what follows is padding and is not read. None: all have T.
    merge : {"concatenate", "sum"}
        What becomes of the two outputs at a step.

    Returns
    -------
    LSTM
        ``y`` (N, T, 2H), or (N, T, H) for "sum", zero in the padding; ``h`` and ``c`` (2, N, H), the last
        states: after a sequence's own last step, and after its first.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If a shape does not fit `x` and `w_hh`, a length is outside 0 to T, or an option is unknown.

    See Also
    --------
    bidirectional_lstm_backward : The gradients.
    lstm : One direction.
    reverse_sequences : How the second direction reads.

    References
    ----------
    Schuster & Paliwal (1997), "Bidirectional recurrent neural networks".

    Examples
    --------
    A sequence of two steps, padded to four, and the same one without padding.

    >>> x, rng = np.array([[[1.0], [2.0], [7.0], [7.0]]]), np.random.default_rng(0)
    >>> w_ih, w_hh = rng.normal(size=(2, 4, 1)), rng.normal(size=(2, 4, 1))
    >>> padded = bidirectional_lstm(x, None, None, w_ih, w_hh, lengths=[2])
    >>> short = bidirectional_lstm(x[:, :2], None, None, w_ih, w_hh)
    >>> np.array_equal(padded.h, short.h), np.array_equal(padded.y[:, :2], short.y)
    (True, True)
    """
    given = {"x": x, "h0": h0, "c0": c0, "w_ih": w_ih, "w_hh": w_hh, "b_ih": b_ih, "b_hh": b_hh}
    return _both(lstm, LSTM, 4, lengths, merge, given)


@public
def bidirectional_lstm_backward(
    dy: LSTM,
    x: ArrayLike,
    h0: ArrayLike | None,
    c0: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    /,
    lengths: ArrayLike | None = None,
    merge: str = "concatenate",
) -> LSTMGradients:
    r"""Return the gradients of `bidirectional_lstm`: what x gets is the sum of both directions.

    Parameters
    ----------
    dy : LSTM
        Gradients of the loss with respect to the results; None is zero. What stands in the padding is ignored.
    x, h0, c0, w_ih, w_hh, b_ih, b_hh, lengths, merge
        As for `bidirectional_lstm`.

    Returns
    -------
    LSTMGradients
        One gradient for each argument, None where the argument was; that of `x` is zero in the padding.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer, or `dy` is not an `LSTM`.
    ValueError
        If a shape does not fit `x` and `w_hh`, a length is outside 0 to T, or an option is unknown.

    See Also
    --------
    bidirectional_lstm : The function.

    References
    ----------
    Schuster & Paliwal (1997), "Bidirectional recurrent neural networks".

    Examples
    --------
    Nothing comes back from the padding.

    >>> x, w = np.ones((1, 4, 1)), np.ones((2, 4, 1))
    >>> g = bidirectional_lstm_backward(LSTM(np.ones((1, 4, 2)), None, None), x, None, None, w, w, lengths=[2])
    >>> g.x.ravel().round(3)
    array([0.771, 0.771, 0.   , 0.   ])
    """
    given = {"x": x, "h0": h0, "c0": c0, "w_ih": w_ih, "w_hh": w_hh, "b_ih": b_ih, "b_hh": b_hh}
    return _both_backward(dy, lstm, lstm_backward, LSTM, LSTMGradients, 4, lengths, merge, given)


@public
def bidirectional_gru(
    x: ArrayLike,
    h0: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    /,
    lengths: ArrayLike | None = None,
    merge: str = "concatenate",
) -> GRU:
    r"""Run two layers of gated recurrent units over each sequence, from its first step on and from its last one back.

    At step t the output is :math:`y_t = [\overrightarrow{h}_t, \overleftarrow{h}_t]`;
    one direction has read the steps up to t, the other one those from t on.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, T, D)
        Sequences, padded at their ends; integers become float64.
    h0 : array_like, shape (2, N, H), or None
        State of both directions before their first step; None is zero.
    w_ih : array_like, shape (2, 3H, D)
        Weights of the input.
    w_hh : array_like, shape (2, 3H, H)
        Weights of the state.
    b_ih, b_hh : array_like, shape (2, 3H), or None
        Biases.
    lengths : array_like of int, shape (N,), optional
        How many steps each sequence has, 0 to T; what follows is padding and is not read. None: all have T.
    merge : {"concatenate", "sum"}
        What becomes of the two outputs at a step.

    Returns
    -------
    GRU
        ``y`` (N, T, 2H), or (N, T, H) for "sum", zero in the padding; ``h`` (2, N, H), the last states:
        after a sequence's own last step, and after its first.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If a shape does not fit `x` and `w_hh`, a length is outside 0 to T, or an option is unknown.

    See Also
    --------
    bidirectional_gru_backward : The gradients.
    gru : One direction.
    reverse_sequences : How the second direction reads.

    References
    ----------
    Schuster & Paliwal (1997), "Bidirectional recurrent neural networks".

    Examples
    --------
    The last state of each direction stands at opposite ends of the output.

    >>> rng = np.random.default_rng(0)
    >>> w_ih, w_hh = rng.normal(size=(2, 3, 2)), rng.normal(size=(2, 3, 1))
    >>> result = bidirectional_gru(rng.normal(size=(1, 5, 2)), None, w_ih, w_hh)
    >>> result.h.ravel() == [result.y[0, -1, 0], result.y[0, 0, 1]]
    array([ True,  True])
    """
    given = {"x": x, "h0": h0, "w_ih": w_ih, "w_hh": w_hh, "b_ih": b_ih, "b_hh": b_hh}
    return _both(gru, GRU, 3, lengths, merge, given)


@public
def bidirectional_gru_backward(
    dy: GRU,
    x: ArrayLike,
    h0: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    /,
    lengths: ArrayLike | None = None,
    merge: str = "concatenate",
) -> GRUGradients:
    r"""Return the gradients of `bidirectional_gru`: what x gets is the sum of both directions.

    Parameters
    ----------
    dy : GRU
        Gradients of the loss with respect to the results; None is zero. What stands in the padding is ignored.
    x, h0, w_ih, w_hh, b_ih, b_hh, lengths, merge
        As for `bidirectional_gru`.

    Returns
    -------
    GRUGradients
        One gradient for each argument, None where the argument was; that of `x` is zero in the padding.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer, or `dy` is not a `GRU`.
    ValueError
        If a shape does not fit `x` and `w_hh`, a length is outside 0 to T, or an option is unknown.

    See Also
    --------
    bidirectional_gru : The function.

    References
    ----------
    Schuster & Paliwal (1997), "Bidirectional recurrent neural networks".

    Examples
    --------
    With half-open gates every step back halves the gradient.

    >>> x, ones, zeros = np.zeros((1, 3, 1)), np.ones((2, 1, 1)), np.zeros((2, 3, 1))
    >>> bidirectional_gru_backward(GRU(None, ones), x, ones, zeros, zeros).h0.ravel()
    array([0.125, 0.125])
    """
    given = {"x": x, "h0": h0, "w_ih": w_ih, "w_hh": w_hh, "b_ih": b_ih, "b_hh": b_hh}
    return _both_backward(dy, gru, gru_backward, GRU, GRUGradients, 3, lengths, merge, given)
