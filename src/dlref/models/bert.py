"""BERT: a stack of encoder blocks that sees both sides, and the corruption that it is trained to undo."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from dlref._arrays import floating, generator, index, integer, number, real, record
from dlref._arrays import mask as boolean
from dlref._compile import kernel
from dlref.activations import gelu
from dlref.layers import dense, embedding, layer_norm, multi_head_attention

__all__ = [
    "BertBlock",
    "BertParameters",
    "MaskedTokens",
    "bert_block",
    "bert_encode",
    "bert_logits",
    "bert_parameters",
    "mask_tokens",
]

EPS = 1e-12  # of every layer normalization


class BertBlock(NamedTuple):
    """Parameters of one encoder block: attention, a normalization, two dense layers, a normalization."""

    w_in: NDArray
    b_in: NDArray
    w_out: NDArray
    b_out: NDArray
    gamma1: NDArray
    beta1: NDArray
    w1: NDArray
    b1: NDArray
    w2: NDArray
    b2: NDArray
    gamma2: NDArray
    beta2: NDArray


class BertParameters(NamedTuple):
    """Embeddings with their normalization, the blocks, and the head that names the hidden tokens."""

    tokens: NDArray
    positions: NDArray
    segments: NDArray
    gamma: NDArray
    beta: NDArray
    blocks: tuple[BertBlock, ...]
    w_head: NDArray
    b_head: NDArray
    gamma_head: NDArray
    beta_head: NDArray
    b_tokens: NDArray


class MaskedTokens(NamedTuple):
    """Corrupted tokens, and where they were chosen to be predicted."""

    ids: NDArray
    chosen: NDArray


# --- the corruption ---------------------------------------------------------------------------------------------------


def mask_tokens(
    ids: ArrayLike,
    rng: np.random.Generator,
    vocabulary: int,
    mask_id: int = 0,
    rate: float = 0.15,
    special: ArrayLike | None = None,
    masked: float = 0.8,
    replaced: float = 0.1,
) -> MaskedTokens:
    r"""Choose some tokens of every sequence to be predicted, and hide most of them.

    Of `T` tokens the nearest integer to `rate` times `T`, but at least one, are chosen. Each chosen one becomes
    the mask with probability 0.8, a random token with probability 0.1, and stays as it is otherwise.

    Parameters
    ----------
    ids : array_like of int, shape (N, T)
        Tokens, from 0 to `vocabulary` - 1.
    rng : numpy.random.Generator
        Draws places, kinds and random tokens.
    vocabulary : int
        Number of tokens, with the mask.
    mask_id : int
        The token that hides others. It is never the random token.
    rate : float
        Share of the tokens to choose.
    special : array_like of bool, shape (N, T), optional
        True where a token is never chosen, such as separators and padding.
    masked, replaced : float
        Probabilities of the mask and of a random token; the rest stays.

    Returns
    -------
    MaskedTokens
        ``ids`` (N, T), corrupted, and ``chosen`` (N, T), True where the original is to be predicted, whether it was
        changed or not.

    Raises
    ------
    TypeError
        If `ids` are not integers, or `special` is not boolean.
    ValueError
        If a token or a probability lies outside its range.

    See Also
    --------
    bert_logits : What predicts them.

    References
    ----------
    Devlin et al. (2019), "BERT: pre-training of deep bidirectional transformers for language understanding".

    Examples
    --------
    Three of twenty are chosen. Two are masked; the third became a random token or stayed, and nobody can see which.

    >>> hidden = mask_tokens(np.arange(1, 21)[None], np.random.default_rng(1), vocabulary=30)
    >>> int(hidden.chosen.sum()), hidden.ids[0]
    (3, array([ 1,  2,  0,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16,  0,
           18, 19, 20]))
    """
    rng, vocabulary = generator("rng", rng), integer("vocabulary", vocabulary, 2)
    mask_id = integer("mask_id", mask_id, 0, vocabulary - 1)
    ids = index("ids", ids, vocabulary, (None, None))
    rate = number("rate", rate, 0, 1)
    masked = number("masked", masked, 0, 1)
    replaced = number("replaced", replaced, 0, 1 - masked)
    special = np.zeros(ids.shape, np.bool_) if special is None else boolean("special", special, ids.shape)
    order = np.argsort(rng.random(ids.shape), axis=1)
    kinds, others = rng.random(ids.shape), rng.integers(0, vocabulary - 1, ids.shape)
    others += others >= mask_id
    count = max(1, round(rate * ids.shape[1])) if rate else 0
    out, chosen = ids.copy(), np.zeros(ids.shape, np.bool_)
    _corrupt((order, special), count, (kinds, masked, masked + replaced), (mask_id, others), out, chosen)
    return MaskedTokens(out, chosen)


@kernel
def _corrupt(places, count, drawn, put, out, chosen):
    (order, special), (mask_id, others) = places, put
    kinds, masked, changed = drawn
    for n in range(out.shape[0]):
        left = count
        for place in order[n]:
            if left == 0:
                break
            if special[n, place]:
                continue
            left -= 1
            chosen[n, place] = True
            if kinds[n, place] < masked:
                out[n, place] = mask_id
            elif kinds[n, place] < changed:
                out[n, place] = others[n, place]
            # otherwise it stays, and is to be predicted all the same


# --- the network ------------------------------------------------------------------------------------------------------


def bert_parameters(
    rng: np.random.Generator,
    vocabulary: int,
    positions: int = 512,
    width: int = 64,
    hidden: int = 256,
    blocks: int = 1,
    spread: float = 0.02,
    dtype: DTypeLike = np.float32,
) -> BertParameters:
    r"""Draw the parameters of an encoder: all matrices and embeddings normal, biases 0, scales 1.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the weights.
    vocabulary : int
        Number of tokens, with the mask.
    positions : int
        Length of the longest sequence.
    width : int
        Features of a position.
    hidden : int
        Units between the two dense layers of a block; four times the width in the paper.
    blocks : int
        Number of encoder blocks.
    spread : float
        Standard deviation of the weights; 0.02 in the authors' program, truncated at two of them.
    dtype : numpy dtype
        Either float32 or float64.

    Returns
    -------
    BertParameters
        The parameters. The table of tokens is used twice: as embedding, and to name hidden tokens.

    Raises
    ------
    TypeError
        If a size is not an integer.
    ValueError
        If a size is not positive, or `spread` is negative.

    See Also
    --------
    bert_encode : The network.

    References
    ----------
    Devlin et al. (2019), "BERT: pre-training of deep bidirectional transformers for language understanding".

    Examples
    --------
    The size that the paper calls base, with its 30,522 pieces of words, but for the part that compares sentences.

    >>> block = bert_parameters(np.random.default_rng(0), 10, 10, 768, 3072).blocks[0]
    >>> 12 * sum(p.size for p in block) + (30_522 + 512 + 2 + 2) * 768
    108891648
    """
    names = ("vocabulary", vocabulary), ("positions", positions), ("width", width), ("hidden", hidden)
    for name, value in (*names, ("blocks", blocks)):
        integer(name, value, 1)
    spread, rng, dtype = number("spread", spread, 0), generator("rng", rng), floating("dtype", dtype)

    def _drawn(*shape):
        return rng.normal(0, spread, shape).astype(dtype)

    def _scale(size):
        return np.ones(size, dtype), np.zeros(size, dtype)

    def _dense(inputs, outputs):
        return _drawn(outputs, inputs), np.zeros(outputs, dtype)

    embeddings = _drawn(vocabulary, width), _drawn(positions, width), _drawn(2, width), *_scale(width)
    stack = tuple(
        BertBlock(
            *_dense(width, 3 * width),
            *_dense(width, width),
            *_scale(width),
            *_dense(width, hidden),
            *_dense(hidden, width),
            *_scale(width),
        )
        for _ in range(blocks)
    )
    head = *_dense(width, width), *_scale(width), np.zeros(vocabulary, dtype)
    return BertParameters._make((*embeddings, stack, *head))


def bert_block(block: BertBlock, x: ArrayLike, heads: int, mask: ArrayLike | None = None) -> NDArray:
    r"""Apply one encoder block: attention and two dense layers, each added to its input and then normalized.

    Parameters
    ----------
    block : BertBlock
        Its parameters, or traced.
    x : array_like, shape (N, T, D)
        Vectors of the positions.
    heads : int
        Number of heads, a divisor of D.
    mask : array_like of bool, optional
        True where a position may attend to another; broadcast to (N, heads, T, T).

    Returns
    -------
    ndarray, shape (N, T, D)
        New vectors of the positions.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer, or `mask` is not boolean.
    ValueError
        If the shapes do not fit, or `heads` does not divide D.

    See Also
    --------
    bert_encode : The whole stack.

    References
    ----------
    Vaswani et al. (2017), "Attention is all you need".

    Examples
    --------
    What comes out is normalized: every position has mean zero and variance one before it is scaled.

    >>> block = bert_parameters(np.random.default_rng(0), 5, width=8, hidden=16).blocks[0]
    >>> y = bert_block(block, np.random.default_rng(1).normal(size=(1, 3, 8)), heads=2)
    >>> abs(y.mean(axis=-1)).max() < 1e-12, y.var(axis=-1).round(6)
    (np.True_, array([[1., 1., 1.]]))
    """
    block = record("block", block, BertBlock)
    w_in, b_in, w_out, b_out, gamma1, beta1, w1, b1, w2, b2, gamma2, beta2 = block
    x = _vectors(x, len(w_out), 3)
    attended = multi_head_attention(x, x, x, w_in, w_out, b_in, b_out, heads=heads, mask=mask)
    h = layer_norm(x + attended, gamma1, beta1, eps=EPS)
    return layer_norm(h + dense(gelu(dense(h, w1, b1)), w2, b2), gamma2, beta2, eps=EPS)


def bert_encode(
    params: BertParameters,
    ids: ArrayLike,
    heads: int,
    segments: ArrayLike | None = None,
    keep: ArrayLike | None = None,
) -> NDArray:
    """Return one vector for every token, from the tokens on both sides of it.

    Parameters
    ----------
    params : BertParameters
        From `bert_parameters`, or traced.
    ids : array_like of int, shape (N, T)
        Tokens.
    heads : int
        Number of heads, a divisor of the width.
    segments : array_like of int, shape (N, T), optional
        0 or 1: which of two texts a token belongs to; by default all are of the first.
    keep : array_like of bool, shape (N, T), optional
        False where there is padding, which no position attends to.

    Returns
    -------
    ndarray, shape (N, T, D)
        Vectors of the positions, after the last block.

    Raises
    ------
    TypeError
        If `ids` or `segments` are not integers, or `keep` is not boolean.
    ValueError
        If the shapes do not fit, a token is not in the table, or the sequence is longer than the table of positions.

    See Also
    --------
    bert_logits : From these vectors to tokens.

    References
    ----------
    Devlin et al. (2019), "BERT: pre-training of deep bidirectional transformers for language understanding".

    Examples
    --------
    Changing the last token changes the vector of the first.

    >>> params = bert_parameters(np.random.default_rng(0), 10, width=8, hidden=16)
    >>> y, z = (bert_encode(params, [[1, 2, 3, last]], heads=2) for last in (4, 5))
    >>> bool(np.any(y[0, 0] != z[0, 0]))
    True
    """
    params = record("params", params, BertParameters)
    ids = index("ids", ids, len(params.tokens), (None, None))
    steps = integer("ids: its length", ids.shape[1], 0, len(params.positions))
    segments = np.zeros_like(ids) if segments is None else index("segments", segments, 2, ids.shape)
    mask = None if keep is None else boolean("keep", keep, ids.shape)[:, None, None, :]
    x = embedding(params.tokens, ids) + params.positions[:steps] + embedding(params.segments, segments)
    x = layer_norm(x, params.gamma, params.beta, eps=EPS)
    for block in params.blocks:
        x = bert_block(block, x, heads, mask)
    return x


def bert_logits(params: BertParameters, x: ArrayLike) -> NDArray:
    """Return the scores of all tokens for every position: a dense layer, and the table of tokens once more.

    Parameters
    ----------
    params : BertParameters
        From `bert_parameters`, or traced.
    x : array_like, shape (..., D)
        Vectors of positions, from `bert_encode`.

    Returns
    -------
    ndarray, shape (..., vocabulary)
        Logits.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    bert_encode : Where the vectors come from.
    mask_tokens : What is to be predicted.

    References
    ----------
    Devlin et al. (2019), "BERT: pre-training of deep bidirectional transformers for language understanding".

    Examples
    --------
    Before training every token is about equally likely: the scores are close to each other.

    >>> params = bert_parameters(np.random.default_rng(0), 10, width=8, hidden=16)
    >>> x = bert_encode(params, [[1, 2, 3]], heads=2)
    >>> bert_logits(params, x).shape, bool(np.ptp(bert_logits(params, x)) < 0.5)
    ((1, 3, 10), True)
    """
    params = record("params", params, BertParameters)
    x = _vectors(x, len(params.w_head), -1)
    h = layer_norm(gelu(dense(x, params.w_head, params.b_head)), params.gamma_head, params.beta_head, eps=EPS)
    return dense(h, params.tokens, params.b_tokens)


def _vectors(x, width, ndim):
    x = x if hasattr(x, "_record") else real("x", x, ndim)
    if x.shape[-1] != width:
        raise ValueError(f"x: expected vectors of {width} features, got {x.shape[-1]}")
    return x
