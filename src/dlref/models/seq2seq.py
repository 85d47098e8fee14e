"""Recurrent encoder and decoder, with and without attention; greedy and beam search."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from dlref._arrays import floating, generator, index, integer, number, option, public, record
from dlref._compile import kernel
from dlref.activations import log_softmax, tanh
from dlref.layers import additive_attention, dense, embedding, gru, lstm, rnn

__all__ = [
    "Decoded",
    "Encoded",
    "Hypothesis",
    "Seq2SeqParameters",
    "beam_search",
    "greedy_search",
    "seq2seq_alignment",
    "seq2seq_decode",
    "seq2seq_encode",
    "seq2seq_parameters",
    "seq2seq_step",
]


BLOCKS = {"rnn": 1, "gru": 3, "lstm": 4}  # pre-activations of a unit, by which a layer is known from its weights


class Seq2SeqParameters(NamedTuple):
    """Table and layer of the encoder, table and layer of the decoder, attention (None without), and the output."""

    source: NDArray
    w_ih: NDArray
    w_hh: NDArray
    b_ih: NDArray
    b_hh: NDArray
    target: NDArray
    v_ih: NDArray
    v_hh: NDArray
    c_ih: NDArray
    c_hh: NDArray
    w_q: NDArray | None
    w_k: NDArray | None
    w: NDArray | None
    w_mix: NDArray | None
    b_mix: NDArray | None
    w_read: NDArray
    b_read: NDArray


class Encoded(NamedTuple):
    """What the encoder hands over: its states (N, S, H), the last of each sequence (N, H), and which states count.

    An LSTM's last state is a pair, hidden and cell.
    """

    y: NDArray
    h: Any
    keep: NDArray


class Decoded(NamedTuple):
    """Scores of the next token at every step, (N, T, V), and the state after the last one, (N, H) or a pair."""

    logits: NDArray
    h: Any


class Hypothesis(NamedTuple):
    """A sequence that a search has found: its tokens, its log-probability, and the score that ranked it."""

    tokens: NDArray
    log_probability: float
    score: float


# --- the network ------------------------------------------------------------------------------------------------------


@public
def seq2seq_parameters(
    rng: np.random.Generator,
    source: int,
    target: int,
    width: int = 32,
    attention: bool = True,
    dtype: DTypeLike = np.float32,
    cell: str = "gru",
) -> Seq2SeqParameters:
    r"""Draw the parameters of an encoder and a decoder: weights of variance :math:`1/\text{fan-in}`, biases zero.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the weights.
    source, target : int
        Number of tokens on each side; start and end are tokens of the target.
    width : int
        Units of both layers, and features of the tokens.
    attention : bool
        Whether the decoder attends to all states of the encoder.
    dtype : numpy dtype
        Either float32 or float64.
    cell : {"rnn", "gru", "lstm"}
        The recurrent layer on both sides.

    Returns
    -------
    Seq2SeqParameters
        The parameters.

    Raises
    ------
    TypeError
        If a size is not an integer.
    ValueError
        If a size is not positive, or the cell is another one.

    See Also
    --------
    seq2seq_encode : Reads.
    seq2seq_decode : Writes.

    References
    ----------
    Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder for statistical machine translation".

    Examples
    --------
    >>> params = seq2seq_parameters(np.random.default_rng(0), 10, 12, width=4, attention=False)
    >>> params.w_ih.shape, params.w_read.shape, params.w_q
    ((12, 4), (12, 4), None)
    """
    rng, dtype = generator("rng", rng), floating("dtype", dtype)
    attention = option("attention", attention, (False, True))
    source, target = integer("source", source, 1), integer("target", target, 1)
    width, blocks = integer("width", width, 1), BLOCKS[option("cell", cell, tuple(BLOCKS))]

    def _drawn(*shape):
        return rng.normal(0, shape[-1] ** -0.5, shape).astype(dtype)

    def _layer(tokens):
        weights = _drawn(blocks * width, width), _drawn(blocks * width, width)
        return _drawn(tokens, width), *weights, *np.zeros((2, blocks * width), dtype)

    sides = *_layer(source), *_layer(target)
    extra: tuple = (None,) * 5
    if attention:
        extra = _drawn(width, width), _drawn(width, width), _drawn(width), _drawn(width, 2 * width)
        extra = *extra, np.zeros(width, dtype)
    return Seq2SeqParameters._make((*sides, *extra, _drawn(target, width), np.zeros(target, dtype)))


def seq2seq_encode(params: Seq2SeqParameters, ids: ArrayLike, lengths: ArrayLike | None = None) -> Encoded:
    """Read sequences.

    Parameters
    ----------
    params : Seq2SeqParameters
        From `seq2seq_parameters`, or traced.
    ids : array_like of int, shape (N, S)
        Tokens of the source; what follows a shorter sequence is ignored.
    lengths : array_like of int, shape (N,), optional
        Length of each sequence, at least 1; by default S.

    Returns
    -------
    Encoded
        All states, the last one of each sequence, and which states belong to a sequence.

    Raises
    ------
    TypeError
        If tokens or lengths are not integers.
    ValueError
        If one lies outside its range.

    See Also
    --------
    seq2seq_decode : What continues from there.

    References
    ----------
    Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder for statistical machine translation".

    Examples
    --------
    Padding changes nothing.

    >>> params = seq2seq_parameters(np.random.default_rng(0), 10, 12, width=4)
    >>> short, padded = seq2seq_encode(params, [[1, 2]]), seq2seq_encode(params, [[1, 2, 9]], [2])
    >>> bool(np.all(short.h == padded.h)), padded.keep
    (True, array([[ True,  True, False]]))
    """
    params = record("params", params, Seq2SeqParameters)
    ids = index("ids", ids, len(params.source), (None, None))
    if ids.shape[1] == 0:
        raise ValueError("ids: expected at least one token, got none")
    lengths = np.full(len(ids), ids.shape[1]) if lengths is None else lengths
    last = index("lengths", lengths, ids.shape[1] + 1, (len(ids),)) - 1
    if (last < 0).any():
        raise ValueError(f"lengths: expected integers from 1 to {ids.shape[1]}, got 0")
    keep = np.arange(ids.shape[1]) <= last[:, None]
    weights = params.w_ih, params.w_hh, params.b_ih, params.b_hh
    y, state = _recurrent(embedding(params.source, ids), None, weights, keep)
    h = y[np.arange(len(ids)), last]
    return Encoded(y, (h, state[1]) if isinstance(state, tuple) else h, keep)


def seq2seq_decode(params: Seq2SeqParameters, encoded: Encoded, ids: ArrayLike, h: Any = None) -> Decoded:
    """Score the token after each of the given ones.

    With the true tokens, shifted by one, this is teacher forcing; with one token at a time it writes.

    Parameters
    ----------
    params : Seq2SeqParameters
        From `seq2seq_parameters`, or traced.
    encoded : Encoded
        From `seq2seq_encode`.
    ids : array_like of int, shape (N, T)
        Tokens of the target so far, from the start token or from the one after state `h`.
    h : array_like, shape (N, H), or a pair of them for an LSTM, optional
        State before the first of them; by default the last one of the encoder.

    Returns
    -------
    Decoded
        ``logits`` (N, T, V) and the state ``h`` after the last token.

    Raises
    ------
    TypeError
        If tokens are not integers.
    ValueError
        If a token is not in the table, or the shapes do not fit.

    See Also
    --------
    seq2seq_step : One step at a time, for a search.

    References
    ----------
    Bahdanau, Cho & Bengio (2015), "Neural machine translation by jointly learning to align and translate".

    Examples
    --------
    Token by token is the same as all at once.

    >>> params = seq2seq_parameters(np.random.default_rng(0), 10, 12, width=4)
    >>> encoded = seq2seq_encode(params, [[1, 2, 3]])
    >>> whole, first = seq2seq_decode(params, encoded, [[0, 5]]), seq2seq_decode(params, encoded, [[0]])
    >>> np.allclose(whole.logits[:, 1:], seq2seq_decode(params, encoded, [[5]], first.h).logits)
    True
    """
    params, encoded = record("params", params, Seq2SeqParameters), record("encoded", encoded, Encoded)
    y, h = _states(params, encoded, ids, h)
    if params.w_q is not None:
        context = additive_attention(
            y, encoded.y, encoded.y, params.w_q, params.w_k, params.w, mask=encoded.keep[:, None]
        )
        y = tanh(dense(np.concatenate([y, context], axis=-1), params.w_mix, params.b_mix))
    return Decoded(dense(y, params.w_read, params.b_read), h)


def seq2seq_alignment(params: Seq2SeqParameters, encoded: Encoded, ids: ArrayLike) -> NDArray:
    """Return the weights with which the decoder attends to the states of the encoder.

    Parameters
    ----------
    params : Seq2SeqParameters
        With attention.
    encoded : Encoded
        From `seq2seq_encode`.
    ids : array_like of int, shape (N, T)
        Tokens of the target, from the start token on.

    Returns
    -------
    ndarray, shape (N, T, S)
        Each row sums to one, and is zero at padding.

    Raises
    ------
    TypeError
        If tokens are not integers.
    ValueError
        If the parameters are without attention, or a token is not in the table.

    See Also
    --------
    seq2seq_decode : Uses them.

    References
    ----------
    Bahdanau, Cho & Bengio (2015), "Neural machine translation by jointly learning to align and translate".

    Examples
    --------
    >>> params = seq2seq_parameters(np.random.default_rng(0), 10, 12, width=4)
    >>> seq2seq_alignment(params, seq2seq_encode(params, [[1, 2, 3]], [2]), [[0]])[0, 0, 2]
    np.float32(0.0)
    """
    params, encoded = record("params", params, Seq2SeqParameters), record("encoded", encoded, Encoded)
    if params.w_q is None:
        raise ValueError("params: expected parameters with attention, got none")
    y, _ = _states(params, encoded, ids, None)
    # The average of unit vectors is the vector of weights.
    units = np.broadcast_to(np.eye(encoded.y.shape[1], dtype=encoded.y.dtype), (len(y), *[encoded.y.shape[1]] * 2))
    return additive_attention(y, encoded.y, units, params.w_q, params.w_k, params.w, mask=encoded.keep[:, None])


def seq2seq_step(params: Seq2SeqParameters) -> Callable[[NDArray, Any], tuple[NDArray, Any]]:
    """Return the function that a search calls for each token, of this network.

    Parameters
    ----------
    params : Seq2SeqParameters
        The network.

    Returns
    -------
    callable
        Takes tokens (N,) and a state, and returns the log-probabilities (N, V) of the next token and the new state.
        The state before the first token is ``(encoded, encoded.h)``.

    See Also
    --------
    greedy_search, beam_search : What calls it.

    References
    ----------
    Sutskever, Vinyals & Le (2014), "Sequence to sequence learning with neural networks".

    Examples
    --------
    >>> params = seq2seq_parameters(np.random.default_rng(0), 10, 12, width=4)
    >>> encoded = seq2seq_encode(params, [[1, 2, 3]])
    >>> log_p, state = seq2seq_step(params)(np.array([11]), (encoded, encoded.h))
    >>> log_p.shape, bool(np.isclose(np.exp(log_p).sum(), 1))
    ((1, 12), True)
    """

    params = record("params", params, Seq2SeqParameters)

    def _step(tokens, state):
        encoded, h = state
        logits, h = seq2seq_decode(params, encoded, tokens[:, None], h)
        return log_softmax(logits[:, 0]), (encoded, h)

    return _step


def _states(params, encoded, ids, h):
    ids = index("ids", ids, len(params.target), (None, None))
    weights = params.v_ih, params.v_hh, params.c_ih, params.c_hh
    return _recurrent(embedding(params.target, ids), encoded.h if h is None else h, weights)


def _recurrent(x, state, weights, keep=None):
    """Run the layer whose weights these are; an LSTM's cell state is that of the last step to keep."""
    w_ih, w_hh, *biases = weights
    blocks = w_ih.shape[0] // w_hh.shape[1]
    if blocks != BLOCKS["lstm"]:
        return tuple((rnn if blocks == BLOCKS["rnn"] else gru)(x, state, w_ih, w_hh, *biases))
    if keep is not None:
        # In the padding an input gate of exactly zero and a forget gate of exactly one let the cell state be.
        push = np.repeat([-1e4, 1e4, 0, 0], w_hh.shape[1]).astype(x.dtype)[:, None]
        x = np.concatenate([x, (~keep[..., None]).astype(x.dtype)], axis=-1)
        w_ih = np.concatenate([w_ih, push], axis=1)
    y, *state = lstm(x, *((None, None) if state is None else state), w_ih, w_hh, *biases)
    return y, tuple(state)


# --- search -----------------------------------------------------------------------------------------------------------


def greedy_search(
    step: Callable[[NDArray, Any], tuple[NDArray, Any]], state: Any, start: int, end: int, steps: int
) -> NDArray:
    """Write sequences by taking the most probable token at every step.

    Parameters
    ----------
    step : callable
        Takes tokens (N,) and a state, returns log-probabilities (N, V) and the new state; such as `seq2seq_step` gives.
    state : array or (nested) tuple of arrays, first axis N
        Before the first token.
    start, end : int
        The token that every sequence starts after, and the one that ends it.
    steps : int
        Most tokens to write.

    Returns
    -------
    ndarray of int, shape (N, T)
        Tokens, with `end` from the end of each sequence on; T is at most `steps`.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If `steps` is negative.

    See Also
    --------
    beam_search : Looks further than one token.

    References
    ----------
    Sutskever, Vinyals & Le (2014), "Sequence to sequence learning with neural networks".

    Examples
    --------
    A table of probabilities from each token to the next; 2 ends.

    >>> table = np.log([[0.1, 0.6, 0.3], [0.3, 0.3, 0.4], [1 / 3, 1 / 3, 1 / 3]])
    >>> greedy_search(lambda tokens, state: (table[tokens], state), np.zeros(1), 0, 2, 5)
    array([[1, 2]])
    """
    start, end, steps = integer("start", start, 0), integer("end", end, 0), integer("steps", steps, 0)
    tokens = np.full(_sequences(step, state), start)
    done, written = np.zeros(len(tokens), np.bool_), [np.zeros((0, len(tokens)), np.int64)]
    for _ in range(steps):
        if done.all():
            break
        log_p, state = step(tokens, state)
        tokens = np.where(done, end, np.argmax(log_p, axis=1))
        done |= tokens == end
        written.append(tokens[None])
    return np.concatenate(written).T


def beam_search(
    step: Callable[[NDArray, Any], tuple[NDArray, Any]],
    state: Any,
    start: int,
    end: int,
    width: int,
    steps: int,
    penalty: float = 0.0,
) -> list[Hypothesis]:
    r"""Write one sequence, keeping at every step the most probable beginnings.

    Every beginning is continued with every token; the best `width` of all these stay. Those that end leave the beam.
    With a width of 1 this is greedy search; with a width of all sequences it is exhaustive.

    Parameters
    ----------
    step : callable
        As for `greedy_search`.
    state : array or (nested) tuple of arrays, first axis 1
        Before the first token.
    start, end : int
        The token that the sequence starts after, and the one that ends it.
    width : int
        Number of beginnings that are kept.
    steps : int
        Most tokens to write; what has not ended then is a sequence too.
    penalty : float
        The results are ranked by log-probability divided by the number of tokens to this power. 0 is the probability
        itself, which favors short sequences; 1 is the mean of a token.

    Returns
    -------
    list of Hypothesis
        At most `width`, the best score first; `end` is part of the tokens where it was reached.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If `width` is not positive, `steps` is negative, or the state is not that of one sequence.

    See Also
    --------
    greedy_search : One token at a time, for many sequences.

    References
    ----------
    Sutskever, Vinyals & Le (2014), "Sequence to sequence learning with neural networks".

    Examples
    --------
    The most probable first token leads to a less probable sequence: 0.6 times 0.4 is less than 0.3.

    >>> table = np.log([[0.1, 0.6, 0.3], [0.3, 0.3, 0.4], [1 / 3, 1 / 3, 1 / 3]])
    >>> best = beam_search(lambda tokens, state: (table[tokens], state), np.zeros(1), 0, 2, width=2, steps=5)
    >>> [(h.tokens.tolist(), round(float(np.exp(h.log_probability)), 2)) for h in best]
    [([2], 0.3), ([1, 2], 0.24)]
    """
    start, end, steps = integer("start", start, 0), integer("end", end, 0), integer("steps", steps, 0)
    width, penalty = integer("width", width, 1), number("penalty", penalty, 0)
    if _sequences(step, state) != 1:
        raise ValueError(f"state: expected one sequence, got {_sequences(step, state)}")
    written, totals, tokens = np.zeros((1, 0), np.int64), np.zeros(1), np.array([start])
    ended: list[Hypothesis] = []

    def _ended(sequence, total):
        return Hypothesis(sequence, float(total), float(total) / max(len(sequence), 1) ** penalty)

    for _ in range(steps):
        log_p, state = step(tokens, state)
        scores = totals[:, None] + log_p
        room = min(width, scores.size)
        rows, tokens, totals = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
        count = _leading(scores, rows, tokens, totals)
        rows, tokens, totals = rows[:count], tokens[:count], totals[:count]
        written = np.concatenate([written[rows], tokens[:, None]], axis=1)
        alive = tokens != end
        ended += [_ended(written[i], totals[i]) for i in np.flatnonzero(~alive)]
        written, tokens, totals = written[alive], tokens[alive], totals[alive]
        state = _taken(state, rows[alive])
        # A probability never grows again: nothing that is alive can overtake `width` better ones.
        if len(tokens) == 0 or (not penalty and sum(h.score >= totals[0] for h in ended) >= width):
            totals = totals[:0]
            break
    ended += [_ended(written[i], totals[i]) for i in range(len(totals))]
    return sorted(ended, key=lambda h: -h.score)[:width]


@kernel
def _leading(scores, rows, tokens, values):
    count = 0
    for b in range(scores.shape[0]):
        row = scores[b]
        for v in range(row.size):
            # better than the last one kept, or there is room
            last = values[count - 1] if count == values.size else -np.inf
            if not row[v] > last:
                continue
            place = count if count < values.size else count - 1
            count = min(count + 1, values.size)
            while place > 0 and values[place - 1] < row[v]:
                values[place] = values[place - 1]
                rows[place] = rows[place - 1]
                tokens[place] = tokens[place - 1]
                place -= 1
            values[place] = row[v]
            rows[place] = b
            tokens[place] = v
    return count


def _sequences(step, state):
    """Return for how many sequences a search begins."""
    if not callable(step):
        raise TypeError(f"step: expected a function, got {type(step).__name__}")
    while isinstance(state, tuple) and state:
        state = state[0]
    if not hasattr(state, "shape") or not np.ndim(state):
        raise TypeError(f"state: expected an array with one row for each sequence, got {type(state).__name__}")
    return len(state)


def _taken(state, rows):
    if isinstance(state, tuple):
        return getattr(type(state), "_make", tuple)([_taken(part, rows) for part in state])
    return state[rows]
