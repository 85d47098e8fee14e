"""BERT against PyTorch's TransformerEncoder, and its corruption by count."""

import numpy as np
import torch
import torch.nn.functional as F

from dlref.activations import gelu_tanh
from dlref.autodiff import value_and_gradient
from dlref.losses import cross_entropy
from dlref.models import bert_block, bert_encode, bert_logits, bert_parameters, mask_tokens
from dlref.optimizers import adam, adam_state
from dlref.training import fit
from tests.bounds import TRAINED
from tests.cases import Bench, Convention, Edge, Proof, Row

HEADS, SETTINGS = 3, {"vocabulary": 11, "positions": 8, "width": 6, "hidden": 10, "blocks": 2}
# Per block eight sums, two divisions by a standard deviation and an exponential; two blocks and the head.
BOUND = {str(np.dtype(t)): 40 * 16 * float(np.finfo(t).eps) for t in (np.float32, np.float64)}


def drawn(dtype, sequences=4):
    rng = np.random.default_rng(5)
    params = bert_parameters(rng, **SETTINGS, spread=0.4, dtype=dtype)

    def moved(tree):
        if isinstance(tree, tuple):
            return getattr(type(tree), "_make", tuple)(map(moved, tree))
        return tree + rng.normal(0, 0.1, tree.shape).astype(dtype)  # no bias stays zero, no scale one

    ids, segments = rng.integers(0, 11, (sequences, 7)), rng.integers(0, 2, (sequences, 7))
    keep = np.arange(7) < np.array([7, 5, 6, 7])[np.arange(sequences) % 4, None]
    return moved(params), ids, segments, keep, np.where(rng.random(ids.shape) < 0.4, ids, -100)


def leaves_of(tree):
    return [leaf for part in tree for leaf in leaves_of(part)] if isinstance(tree, tuple) else [tree]


def in_torch(params):
    """Return the parameters as leaves of autograd in float64, in their structure."""
    if isinstance(params, tuple):
        return getattr(type(params), "_make", tuple)(map(in_torch, params))
    return torch.from_numpy(params.astype(np.float64)).requires_grad_()


def by_name(blocks):
    """Return the weights of blocks by the names that PyTorch's encoder gives to them."""
    names = "self_attn.in_proj_weight", "self_attn.in_proj_bias", "self_attn.out_proj.weight", "self_attn.out_proj.bias"
    names += "norm1.weight", "norm1.bias", "linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"
    names += "norm2.weight", "norm2.bias"
    return {
        f"layers.{i}.{name}": value for i, block in enumerate(blocks) for name, value in zip(names, block, strict=True)
    }


def torch_stack(p, x, keep):
    """Run PyTorch's own encoder with the weights of ours."""
    width, hidden = p.blocks[0].w1.shape[::-1]
    options = {"dropout": 0.0, "activation": "gelu", "layer_norm_eps": 1e-12, "batch_first": True}
    layer = torch.nn.TransformerEncoderLayer(width, HEADS, hidden, norm_first=False, dtype=torch.float64, **options)
    encoder = torch.nn.TransformerEncoder(layer, len(p.blocks), enable_nested_tensor=False)
    return torch.func.functional_call(encoder, by_name(p.blocks), (x,), {"src_key_padding_mask": ~keep})


def torch_logits(p, ids, segments, keep):
    size = p.tokens.shape[1:]
    x = F.embedding(ids, p.tokens) + p.positions[: ids.shape[1]] + F.embedding(segments, p.segments)
    x = torch_stack(p, F.layer_norm(x, size, p.gamma, p.beta, 1e-12), keep)
    h = F.layer_norm(F.gelu(F.linear(x, p.w_head, p.b_head)), size, p.gamma_head, p.beta_head, 1e-12)
    return x, F.linear(h, p.tokens, p.b_tokens)


def loss(params, ids, segments, keep, target):
    logits = bert_logits(params, bert_encode(params, ids, HEADS, segments, keep))
    return cross_entropy(logits.reshape(-1, SETTINGS["vocabulary"]), target.ravel())


def torch_loss(p, *data):
    *inputs, target = map(torch.from_numpy, data)
    return F.cross_entropy(torch_logits(p, *inputs)[1].flatten(0, 1), target.flatten())


def normwise(got, want):
    return float(np.max(np.abs(got - want)) / max(np.max(np.abs(want)), 1e-300))


def outputs(dtype):
    params, *data, _ = drawn(dtype)
    want = torch_logits(in_torch(params), *map(torch.from_numpy, data))
    x = bert_encode(params, data[0], HEADS, *data[1:])
    got = x, bert_logits(params, x)
    assert all(g.dtype == dtype for g in got)
    return max(normwise(g, w.detach().numpy()) for g, w in zip(got, want, strict=True)), sum(g.size for g in got)


def one_block(dtype):
    params, *_ = drawn(dtype)
    x = np.random.default_rng(1).normal(size=(4, 7, 6)).astype(dtype)
    p = in_torch(params._replace(blocks=params.blocks[:1]))
    want = torch_stack(p, torch.from_numpy(x.astype(np.float64)), torch.ones(4, 7, dtype=torch.bool))
    return normwise(bert_block(params.blocks[0], x, HEADS), want.detach().numpy()), x.size


def gradients(dtype):
    params, *data = drawn(dtype)
    p = in_torch(params)
    wanted = torch_loss(p, *data)
    value, got = value_and_gradient(loss, params, *data)
    want = [w.numpy() for w in torch.autograd.grad(wanted, leaves_of(p))]
    # One unit for all parameters: the bias of the keys has a gradient of exactly zero, because it shifts every score
    # of a query alike, and nothing but rounding would be compared.
    unit = max(np.max(np.abs(w)) for w in want)
    errors = [float(np.max(np.abs(g - w))) / unit for g, w in zip(leaves_of(got), want, strict=True)]
    assert all(g.dtype == dtype for g in leaves_of(got))
    return max(*errors, normwise(value, wanted.item())), 1 + sum(w.size for w in want)


def ten_steps(dtype):
    params, *data = drawn(dtype, sequences=20)
    p = in_torch(params)
    losses = []
    optimizer = torch.optim.Adam(leaves_of(p), lr=0.01, eps=1e-3)
    for step in range(10):
        batch = slice(step % 5 * 4, step % 5 * 4 + 4)
        optimizer.zero_grad()
        value = torch_loss(p, *(d[batch] for d in data))
        value.backward()
        optimizer.step()
        losses.append(value.item())

    # With the usual epsilon Adam would divide the rounding errors of gradients that are zero by their own size.
    def step_of(*args, **kwargs):
        return adam(*args, eps=1e-3, **kwargs)

    run = fit(loss, params, tuple(data), step_of, adam_state, lr=0.01, epochs=2, batch_size=4, rng=None)
    errors = [normwise(g, w.detach().numpy()) for g, w in zip(leaves_of(run.params), leaves_of(p), strict=True)]
    return max(*errors, normwise(np.array(run.history.loss), np.array(losses))), 10 + sum(
        w.numel() for w in leaves_of(p)
    )


def counts(dtype):
    """Return how far the three kinds are from 80, 10 and 10 of a hundred, in standard errors; places are exact."""
    rng = np.random.default_rng(0)
    n, steps, vocabulary, mask_id = 10_000, 20, 50, 7
    ids = rng.integers(0, vocabulary, (n, steps))
    ids[ids == mask_id] = 8
    special = np.zeros(ids.shape, bool)
    special[:, [0, -1]] = True
    before = ids.copy()
    got = mask_tokens(ids, rng, vocabulary, mask_id, special=special)
    assert np.array_equal(ids, before) and np.array_equal(got.ids[~got.chosen], ids[~got.chosen])
    assert not got.chosen[special].any() and np.all(got.chosen.sum(axis=1) == 3)
    total = 3 * n
    hidden = np.sum(got.ids[got.chosen] == mask_id)
    same = np.sum(got.ids[got.chosen] == ids[got.chosen])
    other = total - hidden - same
    # A random token is the one that stood there in one case of 49.
    worst = 0.0
    for count, p in ((hidden, 0.8), (other, 0.1 * 48 / 49), (same, 0.1 + 0.1 / 49)):
        worst = max(worst, abs(count - total * p) / np.sqrt(total * p * (1 - p)))
    # Every place and every random token alike.
    places, p = got.chosen[:, 1:-1].sum(axis=0), 3 / 18
    worst = max(worst, float(np.max(np.abs(places - n * p)) / np.sqrt(n * p * (1 - p))))
    drawn_tokens = got.ids[got.chosen & (got.ids != ids) & (got.ids != mask_id)]
    seen = np.delete(np.bincount(drawn_tokens, minlength=vocabulary), mask_id)
    worst = max(worst, float(np.max(np.abs(seen - seen.mean())) / np.sqrt(seen.mean())))
    return float(worst), total


def spread(dtype):
    """Return the largest deviation of a matrix's variance from 0.02 squared, in standard errors."""
    params = bert_parameters(np.random.default_rng(0), 300, 200, 48, 96, dtype=dtype)
    worst, count = 0.0, 0
    for w in leaves_of(params):
        assert w.dtype == dtype
        if w.ndim == 2 and len(w) > 2:
            w = w.astype(np.float64) / 0.02
            worst = max(worst, abs(np.mean(w**2) - 1) / np.sqrt(2 / w.size), abs(w.mean()) * np.sqrt(w.size))
            count += w.size
        elif w.ndim == 1:
            assert np.ptp(w) == 0 and w[0] in (0, 1)
    return float(worst), count


SIZE = "4 sequences of 5 to 7 tokens, 2 blocks, width 6, 3 heads, two segments"
PROOFS = [
    Proof(
        [bert_encode, bert_logits],
        "torch.nn.TransformerEncoder, float64, with the same weights",
        SIZE,
        "normwise",
        BOUND,
        outputs,
    ),
    Proof(
        [bert_block],
        "torch.nn.TransformerEncoderLayer, float64, with the same weights",
        "x of shape (4, 7, 6)",
        "normwise",
        BOUND,
        one_block,
    ),
    Proof(
        [bert_encode, bert_logits],
        "autograd through torch.nn.TransformerEncoder, float64",
        f"loss and gradients of all parameters by the tape; {SIZE}",
        "normwise",
        {dtype: 2 * bound for dtype, bound in BOUND.items()},
        gradients,
        direction="backward",
    ),
    Proof(
        [bert_logits],
        "the same training in PyTorch, float64",
        "losses of ten steps of Adam on batches of four, and the parameters after them",
        "normwise",
        TRAINED,
        ten_steps,
        dtypes=("float64",),
        direction="backward",
    ),
    Proof(
        [mask_tokens],
        "the binomial distribution; places exact",
        "30,000 chosen tokens: masked, random, kept; places; which random tokens",
        "standard errors",
        4.5,
        counts,
        dtypes=("float64",),
    ),
    Proof(
        [bert_parameters],
        "a normal distribution of standard deviation 0.02",
        "means and variances of all matrices",
        "standard errors",
        4.0,
        spread,
    ),
]

TOKENS = np.array([[1, 2, 3]])


def all_of(**options):
    return {"rng": np.random.default_rng(0), "vocabulary": 9, **options}


EDGES = [
    Edge(
        mask_tokens,
        (TOKENS,),
        (TOKENS, np.zeros((1, 3))),
        "nothing is chosen",
        kwargs=all_of(rate=0.0),
        input="1, 2, 3; rate 0",
        output="1, 2, 3",
    ),
    Edge(
        mask_tokens,
        (TOKENS,),
        (np.zeros((1, 3)), np.ones((1, 3))),
        "everything is chosen and masked",
        kwargs=all_of(rate=1.0, masked=1.0, replaced=0.0),
        input="1, 2, 3; rate 1, always the mask",
        output="0, 0, 0",
    ),
    Edge(
        mask_tokens,
        (TOKENS,),
        (TOKENS, np.zeros((1, 3))),
        "no place that may be chosen",
        kwargs=all_of(special=np.ones((1, 3), bool)),
        input="1, 2, 3; all special",
        output="1, 2, 3",
    ),
    Edge(
        mask_tokens,
        (np.zeros((0, 3), int),),
        (np.zeros((0, 3)), np.zeros((0, 3))),
        "no sequence",
        kwargs=all_of(),
        input="N = 0",
        output="empty",
    ),
    Edge(
        mask_tokens,
        (TOKENS,),
        ValueError,
        "shares that exceed one are refused",
        kwargs=all_of(masked=0.8, replaced=0.3),
        input="masked 0.8, replaced 0.3",
    ),
]


def torch_gelu():
    layer = torch.nn.TransformerEncoderLayer(2, 1, 2, activation="gelu")
    return float(layer.activation(torch.tensor(-2.0, dtype=torch.float64)))


CONVENTIONS = [
    Convention(
        "bert",
        "bert-gelu",
        "Which GELU stands between the two dense layers",
        "the activation of -2",
        [
            Row(
                "BERT's program",
                "the form with tanh",
                "-0.04540",
                lambda: float(gelu_tanh(-2.0)),
                "{:.5f}",
                source="`gelu` in modeling.py of google-research/bert, computed",
            ),
            Row("PyTorch TransformerEncoderLayer", "the exact form", "-0.04550", torch_gelu, "{:.5f}", "torch"),
        ],
    ),
]


def tokens_thunks(part):
    """Return a block, the whole encoder or the head, ours and PyTorch's, at 16 sequences of 64 tokens."""

    def make(dtype):
        rng = np.random.default_rng(0)
        params = bert_parameters(rng, 1000, 64, 128, 512, 2, dtype=dtype)
        ids, x = rng.integers(0, 1000, (16, 64)), rng.normal(size=(16, 64, 128)).astype(dtype)
        theirs = torch_tree(params)
        tensor, numbers = torch.from_numpy(x), torch.from_numpy(ids)
        block, encoder = (torch_encoder(theirs, count, 4) for count in (1, 2))

        def embedded():
            x = F.embedding(numbers, theirs.tokens) + theirs.positions[:64] + theirs.segments[0]
            return encoder(F.layer_norm(x, (128,), theirs.gamma, theirs.beta, 1e-12))

        def head():
            h = F.gelu(F.linear(tensor, theirs.w_head, theirs.b_head))
            h = F.layer_norm(h, (128,), theirs.gamma_head, theirs.beta_head, 1e-12)
            return F.linear(h, theirs.tokens, theirs.b_tokens)

        return {
            "block": (lambda: bert_block(params.blocks[0], x, 4), lambda: block(tensor)),
            "encode": (lambda: bert_encode(params, ids, 4), embedded),
            "logits": (lambda: bert_logits(params, x), head),
        }[part]

    return make


def torch_tree(params):
    if isinstance(params, tuple):
        return getattr(type(params), "_make", tuple)(map(torch_tree, params))
    return torch.from_numpy(params)


def torch_encoder(p, count, heads):
    """Return PyTorch's encoder of the first blocks with these weights; without gradients it takes its fast path."""
    width, hidden, options = p.tokens.shape[1], len(p.blocks[0].w1), {"activation": "gelu", "batch_first": True}
    layer = torch.nn.TransformerEncoderLayer(
        width, heads, hidden, 0.0, layer_norm_eps=1e-12, dtype=p.tokens.dtype, **options
    )
    encoder = torch.nn.TransformerEncoder(layer, count, enable_nested_tensor=False).eval()
    encoder.load_state_dict(by_name(p.blocks[:count]))
    return encoder


def masking(_):
    ids = np.random.default_rng(0).integers(1, 1000, (256, 128))
    tensor, rng = torch.from_numpy(ids), np.random.default_rng(1)

    def theirs():
        """Choose each token alone, as most programs do: that needs no order of the places."""
        chosen = torch.rand(tensor.shape) < 0.15
        kinds, others = torch.rand(tensor.shape), torch.randint(1, 1000, tensor.shape)
        out = torch.where(chosen & (kinds < 0.8), 0, tensor)
        return torch.where(chosen & (kinds >= 0.8) & (kinds < 0.9), others, out), chosen

    return lambda: mask_tokens(ids, rng, 1000), theirs


SIZE = "16x64 tokens, width 128, 4 heads"
BENCH = [
    Bench("models.mask_tokens", "the recipe in torch, each token alone", "256x128", masking, ("float32",)),
    Bench("models.bert_block", "torch.nn.TransformerEncoderLayer", SIZE, tokens_thunks("block")),
    Bench("models.bert_encode", "torch, with TransformerEncoder", f"{SIZE}, 2 blocks", tokens_thunks("encode")),
    Bench("models.bert_logits", "torch, the same head", f"{SIZE}, 1000 tokens", tokens_thunks("logits")),
]
