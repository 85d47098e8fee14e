"""Dot-product attention, plain and tile by tile, and where libraries differ about masks and scales."""

import numpy as np
import torch
import torch.nn.functional as F

from dlref.layers import (
    attention_weights,
    multi_head_attention,
    online_attention,
    online_attention_backward,
    scaled_dot_product_attention,
    scaled_dot_product_attention_backward,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.onnx_examples import published
from tests.oracles import from_torch

inf, nan = np.inf, np.nan
MASK = np.random.default_rng(1).random((3, 5, 7)) < 0.7
PADDING = np.arange(1100)[None, None, None] % 5 > 0


def drawn(lead=(2, 3), steps=5, keys=7, width=4, values=6, bias=None, loud=1.0):
    """Return a function that draws q, k, v and, for the plain form, a bias of this shape or None."""

    def draw(rng, dtype=None):
        q, k = (rng.normal(size=(*lead, n, width)) * loud for n in (steps, keys))
        v = rng.normal(size=(*lead, keys, values))
        return q, k, v, *(() if bias == () else (None if bias is None else rng.normal(size=bias),))

    return draw


def torch_attention(q, k, v, bias=None, mask=None, causal=False, scale=None):
    if mask is not None:
        bias = torch.zeros((), dtype=q.dtype) if bias is None else bias
        bias = torch.where(mask, bias, -inf)
    return F.scaled_dot_product_attention(q, k, v, bias, is_causal=causal, scale=scale)


def torch_online(q, k, v, mask=None, causal=False, scale=None):
    return torch_attention(q, k, v, None, mask, causal, scale)


def onnx_attention(q, k, v, bias=None, mask=None, causal=False, scale=None):
    """Run ONNX's reference of Attention, from opset 23 on; a boolean mask means what ours does."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    given = {"Q": q, "K": k, "V": v} | ({} if mask is None else {"M": mask})
    attributes = {"is_causal": int(causal)} | ({} if scale is None else {"scale": scale})
    node = onnx.helper.make_node("Attention", list(given), ["Y"], **attributes)
    kinds = {"f": onnx.TensorProto.DOUBLE, "b": onnx.TensorProto.BOOL}
    info = [onnx.helper.make_tensor_value_info(n, kinds[a.dtype.kind], a.shape) for n, a in given.items()]
    result = onnx.helper.make_tensor_value_info("Y", onnx.TensorProto.DOUBLE, None)
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "attention", info, [result]))
    return ReferenceEvaluator(model).run(None, given)[0]


def torch_weights(q, k, bias=None, mask=None, causal=False, scale=None):
    eye = torch.eye(k.shape[-2], dtype=k.dtype).expand(*k.shape[:-1], k.shape[-2])
    return torch_attention(q, k, eye, bias, mask, causal, scale)


def condition(q, k, *_):
    """A score is rounded in proportion to its size, and the exponential hands that on to the weight."""
    return 1.0 + float(np.max(np.abs(q @ np.swapaxes(k, -1, -2)), initial=0.0)) / np.sqrt(q.shape[-1])


def terms(q, k, v, *_):
    return max(k.shape[-2], q.shape[-2])


BOUND = Normwise(terms, condition)
SIZES = {"T = 600, S = 1,100": drawn((1, 2), 600, 1100, 8, 3, ()), "scores to 100": drawn((2,), 9, 11, 5, 3, (), 5.0)}

CASES = [
    Case(
        scaled_dot_product_attention,
        drawn(bias=(3, 1, 7)),
        "torch.nn.functional.scaled_dot_product_attention",
        from_torch(torch_attention),
        kwargs={"mask": MASK},
        bound=BOUND,
        label="bias and mask",
        refuses=[
            (([1.0], [1.0], [1.0]), {}, ValueError, "q: expected at least 2 dimensions, got 1"),
            (([[1.0]], [[1.0, 2.0]], [[1.0]]), {}, ValueError, r"k: expected shape \(any, 1\), got \(1, 2\)"),
            (([[1.0]], [[1.0]], [[1.0], [2.0]]), {}, ValueError, r"v: expected shape \(1, any\), got \(2, 1\)"),
            (([[1.0]], [[1.0]], [[1.0]]), {"mask": [[1]]}, TypeError, "mask: expected booleans, got int64"),
            (
                ([[1.0]], [[1.0]], [[1.0]]),
                {"mask": [True, True]},
                ValueError,
                r"mask: expected a shape that broadcasts to \(1, 1\), got \(2,\)",
            ),
        ],
    ),
    Case(
        scaled_dot_product_attention,
        drawn((4,), 6, 5, 3, 2),
        "torch.nn.functional.scaled_dot_product_attention",
        from_torch(torch_attention),
        kwargs={"causal": True, "scale": 0.7},
        bound=BOUND,
        label="causal, scale 0.7",
    ),
    Case(
        scaled_dot_product_attention,
        drawn(),
        "onnx.reference Attention",
        onnx_attention,
        kwargs={"mask": MASK},
        gradient=torch_attention,
        bound=BOUND,
        label="mask",
    ),
    Case(
        online_attention,
        drawn((1, 2), 300, 1100, 5, 3, ()),
        "torch.nn.functional.scaled_dot_product_attention",
        from_torch(torch_online),
        kwargs={"mask": PADDING},
        bound=BOUND,
        label="six tiles, mask",
        layouts=False,
    ),
    Case(
        online_attention,
        drawn((4,), 6, 5, 3, 2, ()),
        "torch.nn.functional.scaled_dot_product_attention",
        from_torch(torch_online),
        kwargs={"causal": True},
        sweep=SIZES,
        bound=BOUND,
        label="causal",
    ),
    Case(
        attention_weights,
        lambda rng: drawn(bias=(3, 1, 7))(rng)[:2],
        "torch.nn.functional.scaled_dot_product_attention",
        lambda *args, **kwargs: from_torch(torch_weights)(*args, **kwargs),
        kwargs={"mask": MASK},
        bound=Normwise(7, condition),
        label="of the unit matrix",
    ),
]


def published_by_onnx(dtype):
    """ONNX's examples with four axes, as many heads of keys as of queries and no cache: masks, causal order, scales."""
    worst, count = 0.0, 0
    for example in published("attention"):
        (q, k, v, *rest), known = example.inputs, {"is_causal", "scale"}
        same = q.ndim == 4 and q.shape[:2] == k.shape[:2] and q.dtype == np.float32 and len(example.outputs) == 1
        if not same or len(rest) > 1 or any(a.ndim < 2 for a in rest) or not set(example.attributes) <= known:
            continue
        mask = next((a for a in rest if a.dtype == np.bool_), None)
        bias = next((a.astype(dtype) for a in rest if a.dtype != np.bool_), None)
        options = {"causal": bool(example.attributes.get("is_causal")), "scale": example.attributes.get("scale")}
        got = scaled_dot_product_attention(*(a.astype(dtype) for a in (q, k, v)), bias, mask=mask, **options)
        worst = max(worst, abs(got - example.outputs[0]).max() / abs(example.outputs[0]).max())
        count += got.size
    assert count == 2944, count
    return worst, count


PROOFS = [
    Proof(
        [scaled_dot_product_attention],
        "ONNX, published examples of Attention",
        "16 examples of four axes, as many heads of keys as of queries",
        "normwise",
        {"float32": 20 * 2.0**-23, "float64": 20 * 2.0**-23},  # the published numbers are float32
        published_by_onnx,
    ),
]

Q, K, V, NOTHING = np.ones((1, 2)), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [3.0]]), [[False, False]]
EDGES = [
    Edge(attention_weights, ([[1000.0]], [[1.0], [2.0]]), [[0.0, 1.0]], "scores of 1000 and 2000 do not overflow"),
    Edge(
        scaled_dot_product_attention,
        (Q, K, V),
        [[0.0]],
        "a query that may attend to nothing: zero, as in PyTorch",
        kwargs={"mask": np.array(NOTHING)},
        input="all masked",
    ),
    Edge(
        scaled_dot_product_attention,
        (Q, K, [[1.0], [nan]]),
        [[nan]],
        "a masked value is multiplied by zero, and NaN survives that",
        kwargs={"mask": np.array([[True, False]])},
        input="v = 1, nan, the second masked",
    ),
    Edge(
        scaled_dot_product_attention,
        (Q, [[1.0, 2.0], [nan, 4.0]], V),
        [[1.0]],
        "a masked key is never read",
        kwargs={"mask": np.array([[True, False]])},
        input="k = nan, masked",
    ),
    Edge(scaled_dot_product_attention, ([[inf]], [[1.0], [2.0]], V), [[nan]], "two infinite scores", input="q = inf"),
    Edge(
        scaled_dot_product_attention,
        (Q, np.zeros((0, 2)), np.zeros((0, 1))),
        [[0.0]],
        "no keys at all",
        input="S = 0",
    ),
    Edge(
        scaled_dot_product_attention,
        (np.zeros((3, 1)), np.zeros((2, 1)), V),
        [[1.0], [2.0], [2.0]],
        "causal, more queries than keys: aligned at the top left",
        kwargs={"causal": True},
        input="q, k = 0, causal",
    ),
    Edge(
        online_attention,
        (Q, K, V),
        [[0.0]],
        "the same as plain",
        kwargs={"mask": np.array(NOTHING)},
        input="all masked",
    ),
    Edge(
        scaled_dot_product_attention_backward,
        ([[1.0]], Q, K, V, [[0.0, 0.0]]),
        ([[0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]], [[0.0], [0.0]], [[0.0, 0.0]]),
        "where everything is masked no gradient passes",
        kwargs={"mask": np.array(NOTHING)},
        input="all masked",
        output="zeros",
    ),
    Edge(
        online_attention_backward,
        ([[1.0]], Q, K, V),
        ([[0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]], [[0.0], [0.0]]),
        "the same as plain",
        kwargs={"mask": np.array(NOTHING)},
        input="all masked",
        output="zeros",
    ),
]


# --- where libraries differ -------------------------------------------------------------------------------------------

# One query of ones, two keys, and the values 1 and 3. Only the first key is named in the mask.
FIRST = np.array([[True, False]])
TORCH = [torch.from_numpy(a)[None] for a in (Q, K, V)]


def shown(y):
    return float(np.asarray(y.detach() if isinstance(y, torch.Tensor) else y).ravel()[0])


def torch_heads(ignore, need_weights):
    """Attend with identity projections in nn.MultiheadAttention; the query is all ones, and so is every value."""
    net = torch.nn.MultiheadAttention(2, 1, bias=False, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        net.in_proj_weight.copy_(torch.eye(2, dtype=torch.float64).repeat(3, 1))
        net.out_proj.weight.copy_(torch.eye(2, dtype=torch.float64))
    values = torch.tensor([[[1.0, 1.0], [3.0, 3.0]]], dtype=torch.float64)
    y, _ = net(TORCH[0] * 0, TORCH[1], values, key_padding_mask=torch.tensor(ignore), need_weights=need_weights)
    return shown(y)


def keras_attention(mask=None, scores=False, **options):
    import keras

    layer = keras.layers.Attention(dtype="float64", **options)
    mask = None if mask is None else [None, np.array(mask)]
    y, p = layer([Q[None], V[None], K[None]], mask=mask, return_attention_scores=True)
    return shown(p if scores else y)


def keras_heads(mask):
    import keras

    layer = keras.layers.MultiHeadAttention(1, 2, use_bias=False, dtype="float64")
    values = np.array([[[1.0, 1.0], [3.0, 3.0]]])
    layer.build(np.shape(Q[None]), np.shape(values), np.shape(K[None]))
    layer.set_weights([np.eye(2)[:, None]] * 3 + [np.eye(2)[None]])
    return shown(layer(Q[None] * 0, values, K[None], attention_mask=np.array([mask])))


def onnx_masked(mask):
    return shown(onnx_attention(*(a[None, None] for a in (Q, K, V)), mask=np.array(mask)[None, None]))


def ours(mask):
    return shown(scaled_dot_product_attention(Q, K, V, mask=mask))


def identity_heads(mask):
    values = np.array([[[1.0, 1.0], [3.0, 3.0]]])
    return shown(multi_head_attention(Q[None] * 0, K[None], values, np.tile(np.eye(2), (3, 1)), np.eye(2), mask=mask))


CONVENTIONS = [
    Convention(
        "attention-mechanism",
        "attention-mask",
        "What True means in a mask",
        "the values 1 and 3, a mask (True, False)",
        [
            Row("dlref", "may be attended to", "1.0", lambda: identity_heads(FIRST), package="dlref"),
            Row(
                "PyTorch scaled_dot_product_attention",
                "may be attended to",
                "1.0",
                lambda: shown(F.scaled_dot_product_attention(*TORCH, torch.from_numpy(FIRST))),
                package="torch",
            ),
            Row(
                "PyTorch nn.MultiheadAttention",
                "is ignored",
                "3.0",
                lambda: torch_heads([[True, False]], False),
                package="torch",
            ),
            Row("Keras MultiHeadAttention", "may be attended to", "1.0", lambda: keras_heads(FIRST), package="keras"),
            Row("ONNX Attention", "may be attended to", "1.0", lambda: onnx_masked(FIRST), package="onnx"),
        ],
    ),
    Convention(
        "attention-mechanism",
        "attention-nothing",
        "A query that may attend to nothing",
        "the values 1 and 3, both masked",
        [
            Row("dlref", "zero", "0.0", lambda: ours(np.array(NOTHING)), package="dlref"),
            Row(
                "PyTorch scaled_dot_product_attention",
                "zero",
                "0.0",
                lambda: shown(F.scaled_dot_product_attention(*TORCH, torch.tensor(NOTHING))),
                package="torch",
            ),
            Row(
                "PyTorch nn.MultiheadAttention",
                "0/0, with the default `need_weights=True`",
                "nan",
                lambda: torch_heads([[True, True]], True),
                package="torch",
            ),
            Row(
                "Keras MultiHeadAttention",
                "equal weights for all, masked or not: the mean",
                "2.0",
                lambda: keras_heads(np.array(NOTHING)),
                package="keras",
            ),
            Row("ONNX Attention", "zero", "0.0", lambda: onnx_masked(NOTHING), package="onnx"),
        ],
    ),
    Convention(
        "attention-mechanism",
        "attention-scale",
        "The scale, if none is given",
        "the query (1, 1), the keys (1, 2) and (3, 4): the weight of the first key",
        [
            Row(
                "dlref",
                "$1/\\sqrt{D}$",
                "0.0558",
                lambda: shown(attention_weights(Q, K)),
                "{:.4f}",
                package="dlref",
            ),
            Row(
                "PyTorch scaled_dot_product_attention",
                "$1/\\sqrt{D}$",
                "0.0558",
                lambda: shown(torch_weights(*TORCH[:2])),
                "{:.4f}",
                package="torch",
            ),
            Row(
                "Keras Attention",
                "1; `use_scale=True` learns one, starting at 1",
                "0.0180",
                lambda: keras_attention(scores=True),
                "{:.4f}",
                package="keras",
            ),
        ],
    ),
]


def thunks(function, shape, causal=False, gradient=False):
    def make(dtype):
        arrays = np.random.default_rng(0).normal(size=(4, *shape)).astype(dtype)
        dy, *args = arrays
        leaves = [torch.from_numpy(a).requires_grad_(gradient) for a in args]
        tdy = torch.from_numpy(dy)
        if not gradient:
            return (
                lambda: function(*args, causal=causal),
                lambda: F.scaled_dot_product_attention(*leaves, is_causal=causal),
            )
        return (
            lambda: function(dy, *args, causal=causal),
            lambda: torch.autograd.grad(F.scaled_dot_product_attention(*leaves, is_causal=causal), leaves, tdy),
        )

    return make


PEER, AUTOGRAD = "torch scaled_dot_product_attention", "torch, with its forward pass"
SHORT, LONG = (2, 4, 128, 64), (1, 4, 1024, 64)


def weights_thunks(dtype):
    q, k = np.random.default_rng(0).normal(size=(2, *SHORT)).astype(dtype)
    tq, tk = torch.from_numpy(q), torch.from_numpy(k)
    return lambda: attention_weights(q, k), lambda: torch.softmax(tq @ tk.mT / 8, dim=-1)


BENCH = [
    Bench("layers.attention_weights", "the same line in PyTorch", "2 x 4 heads, 128", weights_thunks),
    Bench(
        "layers.scaled_dot_product_attention",
        PEER,
        "2 x 4 heads, 128",
        thunks(scaled_dot_product_attention, SHORT),
        aim=0.95,
    ),
    Bench(
        "layers.scaled_dot_product_attention_backward",
        AUTOGRAD,
        "2 x 4 heads, 128",
        thunks(scaled_dot_product_attention_backward, SHORT, gradient=True),
    ),
    Bench("layers.online_attention", PEER, "4 heads, 1,024", thunks(online_attention, LONG), aim=0.95),
    Bench("layers.online_attention", PEER, "4 heads, 1,024, causal", thunks(online_attention, LONG, True)),
    Bench(
        "layers.online_attention_backward",
        AUTOGRAD,
        "4 heads, 1,024",
        thunks(online_attention_backward, LONG, gradient=True),
    ),
]
