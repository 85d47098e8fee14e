"""Several heads against PyTorch's, and the additive score against Keras."""

import keras
import numpy as np
import scipy.special
import torch
import torch.nn.functional as F

from dlref.layers import (
    additive_attention,
    additive_attention_backward,
    multi_head_attention,
    multi_head_attention_backward,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Edge, Proof
from tests.oracles import from_torch

KEEP = np.random.default_rng(2).random((2, 1, 1, 7)) < 0.7
CROSSED = np.random.default_rng(3).random((2, 5, 7)) < 0.7


def heads(biases):
    def draw(rng, dtype=None):
        x = [rng.normal(size=(2, n, 6)) for n in (5, 7, 7)]
        w = [rng.normal(size=(n, 6)) / np.sqrt(6) for n in (18, 6)]
        return *x, *w, *(rng.normal(size=n) if biases else None for n in (18, 6))

    return draw


def torch_heads(query, key, value, w_in, w_out, b_in=None, b_out=None, heads=1, mask=None, causal=False):
    """Call PyTorch's function, whose time comes first and whose mask is True where nothing may be attended to."""
    batch, steps, width = query.shape
    turned = [x.transpose(0, 1) for x in (query, key, value)]
    if causal:
        mask = torch.ones(steps, key.shape[1], dtype=torch.bool).tril()
    if mask is not None:
        mask = ~mask.expand(batch, heads, steps, key.shape[1]).reshape(batch * heads, steps, -1)
    rest = (None, None, False, 0.0, w_out, b_out)
    y, _ = F.multi_head_attention_forward(*turned, width, heads, w_in, b_in, *rest, attn_mask=mask)
    return y.transpose(0, 1)


def additive(rng, dtype=None):
    shapes = (2, 5, 4), (2, 7, 3), (2, 7, 6), (8, 4), (8, 3), (8,)
    return tuple(rng.normal(size=shape) for shape in shapes)


def written_out(q, k, v, w_q, w_k, w, mask=None):
    scores = np.einsum("h,nijh->nij", w, np.tanh((q @ w_q.T)[:, :, None] + (k @ w_k.T)[:, None]))
    return scipy.special.softmax(np.where(mask, scores, -np.inf), axis=-1) @ v


def torch_additive(q, k, v, w_q, w_k, w, mask=None):
    scores = torch.tanh((q @ w_q.T)[:, :, None] + (k @ w_k.T)[:, None]) @ w
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return torch.softmax(scores, -1) @ v


def condition(q, k, v, w_q, w_k, w):
    return 1.0 + float(np.abs(w).sum())


REFUSED = np.ones((1, 2, 4)), np.ones((1, 3, 4)), np.ones((1, 3, 4)), np.ones((12, 4)), np.ones((4, 4))
CASES = [
    Case(
        multi_head_attention,
        heads(True),
        "torch.nn.functional.multi_head_attention_forward",
        from_torch(torch_heads),
        kwargs={"heads": 3, "mask": KEEP},
        bound=Normwise(condition=8.0),  # three products in a row and an exponential between them
        label="padding",
        refuses=[
            (REFUSED, {"heads": 3}, ValueError, "heads: expected a divisor of 4, got 3"),
            (
                (REFUSED[0], *[np.ones((2, 3, 4))] * 2, *REFUSED[3:]),
                {},
                ValueError,
                r"key: expected shape \(1, any, 4\)",
            ),
            ((*REFUSED[:2], np.ones((1, 2, 4)), *REFUSED[3:]), {}, ValueError, r"value: expected shape \(1, 3, 4\)"),
            ((*REFUSED, np.ones(4)), {}, ValueError, r"b_in: expected shape \(12,\), got \(4,\)"),
            (REFUSED, {"mask": [1, 1, 1]}, TypeError, "mask: expected booleans"),
        ],
    ),
    Case(
        multi_head_attention,
        heads(False),
        "torch.nn.functional.multi_head_attention_forward",
        from_torch(torch_heads),
        kwargs={"heads": 2, "causal": True},
        bound=Normwise(condition=8.0),
        label="causal, without biases",
    ),
    Case(
        additive_attention,
        additive,
        "numpy.einsum and scipy.special.softmax",
        written_out,
        gradient=torch_additive,
        kwargs={"mask": CROSSED},
        bound=Normwise(7, condition),
        label="mask",
        refuses=[
            (([[1.0]], *[np.ones((1, 1, 1))] * 2, *[[[1.0]]] * 2, [1.0]), {}, ValueError, r"q: expected shape \(any"),
            ((*[np.ones((1, 1, 1))] * 3, *[[[1.0]]] * 2, [1.0, 2.0]), {}, ValueError, r"w_q: expected shape \(2, 1\)"),
        ],
    ),
]


def against_keras(dtype):
    """Compare with Keras, which adds queries and keys as they come, so that they are projected before."""
    q, k, v, w_q, w_k, w = (a.astype(dtype) for a in additive(np.random.default_rng(0)))
    layer = keras.layers.AdditiveAttention()
    inputs = [q @ w_q.T, np.pad(v, ((0, 0), (0, 0), (0, len(w) - v.shape[2]))), k @ w_k.T]
    layer.build([x.shape for x in inputs])
    layer.set_weights([w])
    keep = CROSSED[:, 0]
    want = layer(inputs, mask=[None, keep]).detach().numpy()[..., : v.shape[2]]
    got = additive_attention(q, k, v, w_q, w_k, w, mask=keep[:, None])
    return float(np.max(np.abs(got - want)) / np.max(np.abs(want))), got.size


PROOFS = [
    Proof(
        [additive_attention],
        "keras.layers.AdditiveAttention, which computes in float32",
        "shapes (2, 5, 4), (2, 7, 3), 8 hidden units, padding masked",
        "normwise",
        20 * float(np.finfo(np.float32).eps),
        against_keras,
    ),
]

ONE, NOTHING = np.ones((1, 1, 1)), np.zeros((1, 1), dtype=bool)
EDGES = [
    Edge(
        multi_head_attention,
        (ONE, ONE, ONE, np.ones((3, 1)), [[1.0]], [0.0, 0.0, 5.0], [2.0]),
        [[[2.0]]],
        "a query that may attend to nothing: the last bias",
        kwargs={"mask": NOTHING},
        input="all masked, b_out = 2",
    ),
    Edge(
        additive_attention,
        (ONE, ONE, ONE, [[1.0]], [[1.0]], [1.0]),
        [[[0.0]]],
        "the same: zero",
        kwargs={"mask": NOTHING},
        input="all masked",
    ),
]


def heads_thunks(gradient):
    def make(dtype):
        rng = np.random.default_rng(0)
        x, w_in, w_out, b_in, b_out = (
            rng.normal(size=s).astype(dtype) * 0.1 for s in ((4, 128, 256), (768, 256), (256, 256), 768, 256)
        )
        net = torch.nn.MultiheadAttention(256, 8, batch_first=True, dtype=torch.from_numpy(x).dtype)
        for p, value in zip(net.parameters(), (w_in, b_in, w_out, b_out), strict=True):
            p.data.copy_(torch.from_numpy(value))
        tx, args = torch.from_numpy(x).requires_grad_(gradient), (x, x, x, w_in, w_out, b_in, b_out)
        if not gradient:
            return (
                lambda: multi_head_attention(*args, heads=8),
                lambda: net(tx, tx, tx, need_weights=False)[0],
            )
        leaves, tdy = [tx, *net.parameters()], torch.from_numpy(x)
        return (
            lambda: multi_head_attention_backward(x, *args, heads=8),
            lambda: torch.autograd.grad(net(tx, tx, tx, need_weights=False)[0], leaves, tdy),
        )

    return make


def additive_thunks(gradient):
    def make(dtype):
        rng = np.random.default_rng(0)
        shapes = (16, 20, 64), (16, 20, 64), (16, 20, 64), (64, 64), (64, 64), 64
        args = [rng.normal(size=shape).astype(dtype) for shape in shapes]
        leaves, dy = [torch.from_numpy(a).requires_grad_(gradient) for a in args], args[0]
        if not gradient:
            return lambda: additive_attention(*args), lambda: torch_additive(*leaves)
        return (
            lambda: additive_attention_backward(dy, *args),
            lambda: torch.autograd.grad(torch_additive(*leaves), leaves, torch.from_numpy(dy)),
        )

    return make


SELF, STATES, FORWARD = "4 x 128 x 256, 8 heads", "16 x 20 states of 64", "torch, with its forward pass"
BENCH = [
    Bench("layers.multi_head_attention", "torch.nn.MultiheadAttention", SELF, heads_thunks(False), aim=0.9),
    Bench("layers.multi_head_attention_backward", FORWARD, SELF, heads_thunks(True)),
    Bench("layers.additive_attention", "torch, written out", STATES, additive_thunks(False), aim=1.0),
    Bench("layers.additive_attention_backward", FORWARD, STATES, additive_thunks(True), aim=1.0),
]
