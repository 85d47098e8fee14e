"""Fine-tuning: PyTorch's parameter groups, frozen bits, and the low-rank change as one matrix."""

import numpy as np
import torch

from dlref.activations import relu
from dlref.layers import dense
from dlref.losses import cross_entropy
from dlref.optimizers import adam, adam_state, sgd, sgd_state
from dlref.training import fit, group_rates, grouped, lora, lora_backward, lora_merge, unfrozen
from tests.bounds import TRAINED, Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

inf, nan = np.inf, np.nan


def drawn(rng):
    return tuple(rng.normal(size=s) for s in ((6, 7), (5, 7), (3, 7), (5, 3)))


def long_double(x, w, a, b, alpha):
    x, w, a, b = (v.astype(np.longdouble) for v in (x, w, a, b))
    return (np.einsum("nd,od->no", x, w) + alpha / 3 * np.einsum("nd,rd,or->no", x, a, b)).astype(np.float64)


CASES = [
    Case(
        lora,
        drawn,
        "NumPy's einsum in long double",
        long_double,
        kwargs={"alpha": 2.0},
        gradient=lambda x, w, a, b, alpha: x @ w.T + alpha / 3 * (x @ a.T) @ b.T,
        bound=Normwise(21, 3.0),  # three products in a row
        refuses=[
            ((np.ones((2, 3)), np.ones((4, 3)), np.ones((2, 5)), np.ones((4, 2))), {}, ValueError, "a: expected shape"),
            ((np.ones((2, 3)), np.ones((4, 3)), np.ones((2, 3)), np.ones((4, 1))), {}, ValueError, "b: expected shape"),
        ],
    ),
]


def groups(dtype):
    """Ten steps of Adam with three rates, one of them zero, against parameter groups in PyTorch."""
    rng = np.random.default_rng(0)
    parts, sizes, factors = [rng.normal(size=n) for n in (4, 6, 5)], (4, 6, 5), (0.0, 0.1, 1.0)
    gradients = rng.normal(size=(10, 15))
    leaves = [torch.from_numpy(p.copy()).requires_grad_() for p in parts]
    theirs = torch.optim.Adam([{"params": [t], "lr": 0.01 * f} for t, f in zip(leaves, factors, strict=True)])
    p = np.concatenate(parts)
    start, state, step = p.copy(), adam_state(p), grouped(adam, group_rates(sizes, factors))
    for g in gradients:
        p, state = step(p, g, state, 0.01)
        for leaf, part in zip(leaves, np.split(g, (4, 10)), strict=True):
            leaf.grad = torch.from_numpy(part.copy())
        theirs.step()
    want = torch.cat(leaves).detach().numpy()
    assert p[:4].tobytes() == start[:4].tobytes(), "frozen parameters keep their bits"
    return abs(p - want).max() / abs(want).max(), p.size


def network_with_adapters(dtype):
    """Ten steps of a network with a frozen matrix, low-rank factors at a tenth of the rate and a new head."""
    rng = np.random.default_rng(3)
    x, y, w = rng.normal(size=(12, 6)), rng.integers(0, 4, 12), rng.normal(size=(5, 6))
    start = [rng.normal(size=s) / 2 for s in ((2, 6), (5, 2), (4, 5), (4,))]

    def loss(params, x, y):
        a, b, head, bias = params
        return cross_entropy(dense(relu(lora(x, w, a, b, alpha=3.0)), head, bias), y)

    step = grouped(adam, group_rates([22, 24], [0.1, 1.0]))
    options = {"lr": 0.05, "epochs": 10, "batch_size": 12, "rng": None}
    got = fit(loss, start, (x, y), step, adam_state, **options).params
    tx, ty, tw, *leaves = map(torch.tensor, (x, y, w, *start))
    a, b, head, bias = (leaf.requires_grad_() for leaf in leaves)
    peer = torch.optim.Adam([{"params": [a, b], "lr": 0.005}, {"params": [head, bias], "lr": 0.05}])
    for _ in range(10):
        peer.zero_grad()
        hidden = torch.relu(tx @ (tw + 1.5 * b @ a).T)
        torch.nn.functional.cross_entropy(hidden @ head.T + bias, ty).backward()
        peer.step()
    pairs = [(p, t.detach().numpy()) for p, t in zip(got, leaves, strict=True)]
    return max(abs(p - t).max() / abs(t).max() for p, t in pairs), 46


def opening(dtype):
    """What opens when, spelled out; and a frozen parameter under a gradient of NaN."""
    want = {0: [0, 0, 0, 1], 4: [0, 0, 0, 1], 5: [0, 1, 1, 1], 10: [1, 1, 1, 1], 99: [1, 1, 1, 1]}
    wrong = sum(unfrozen([1, 2, 1], step, 5).tolist() != rates for step, rates in want.items())
    p = np.ones(4, dtype)
    step = grouped(sgd, lambda t: unfrozen([1, 2, 1], t, 1))
    moved = step(p, np.array([nan, nan, nan, 1], dtype), sgd_state(p), 0.5)
    wrong += moved.p.tolist() != [1, 1, 1, 0.5]
    inside = step(p, np.ones(4, dtype), moved.state, 0.5, out=(p, moved.state))
    return wrong + (p.tolist() != [1, 0.5, 0.5, 0.5]) + (inside.p is not p), 6


def merged(dtype):
    rng = np.random.default_rng(0)
    x, w, a, b = (v.astype(dtype) for v in drawn(rng))
    want = long_double(*(v.astype(float) for v in (x, w, a, b)), 4.0)
    return abs(x @ lora_merge(w, a, b, 4.0).T - want).max() / abs(want).max(), want.size


PROOFS = [
    Proof(
        [grouped, group_rates],
        "torch.optim.Adam with parameter groups, ten steps; frozen ones bit for bit",
        "15 parameters in three groups, rates 0, 0.1 and 1",
        "normwise",
        TRAINED,
        groups,
        dtypes=("float64",),
    ),
    Proof(
        [lora, grouped],
        "ten steps of the network with the merged weights in PyTorch, Adam with two rates",
        "6-5-4, rank 2, 12 examples",
        "normwise",
        TRAINED,
        network_with_adapters,
        dtypes=("float64",),
    ),
    Proof(
        [unfrozen, grouped],
        "the order spelled out; NaN does not reach what is frozen",
        "three groups",
        "count",
        0,
        opening,
    ),
    Proof(
        [lora_merge],
        "the sum of both paths in long double",
        "6 × 7 to 5, rank 3",
        "normwise",
        {"float32": 51 * 2.0**-23, "float64": 51 * 2.0**-52},  # three products in a row
        merged,
    ),
]

EDGES = [
    Edge(lora, ([[1.0, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]], [[0.0]]), [[11.0]], "at the start the change is zero"),
    Edge(
        lora,
        ([[1.0, 2.0]], [[3.0, 4.0]], np.zeros((0, 2)), np.zeros((1, 0))),
        [[11.0]],
        "rank 0: the layer as it was",
        input="rank 0",
    ),
    Edge(group_rates, ([2, 1], [0.0, 1.0]), [0.0, 0.0, 1.0], "a factor of 0 freezes"),
]


def torch_frozen():
    layer = torch.nn.BatchNorm1d(1)
    layer.requires_grad_(False)
    layer(torch.ones(8, 1))
    return float(layer.running_mean[0])


def keras_frozen():
    import keras

    layer = keras.layers.BatchNormalization(momentum=0.9)
    layer.trainable = False
    layer(torch.ones(8, 1), training=True)
    return float(layer.moving_mean.value.detach()[0])


def torch_decay(freeze):
    p = torch.ones(1, requires_grad=not freeze)
    step = torch.optim.SGD([p], lr=0.1, weight_decay=1.0)
    if not freeze:
        p.grad = torch.zeros(1)
    step.step()
    return float(p.detach()[0])


CONVENTIONS = [
    Convention(
        "fine-tuning",
        "fine-tuning-frozen-norm",
        "Whether a frozen batch normalization still moves",
        "the running mean, 0 at first, after a training pass over a batch of ones, with weight 0.1 for the new value",
        [
            Row("PyTorch", "`requires_grad_(False)`: the statistics go on", "0.1", torch_frozen, "{:.1f}", "torch"),
            Row("Keras", "`trainable = False`: the layer is in inference mode", "0.0", keras_frozen, "{:.1f}", "keras"),
        ],
    ),
    Convention(
        "fine-tuning",
        "fine-tuning-zero-gradient",
        "Whether a gradient of zero freezes",
        "a parameter of 1 after one step of gradient descent, rate 0.1, weight decay 1",
        [
            Row(
                "dlref",
                "`grouped` with factor 0",
                "1.0",
                lambda: float(grouped(sgd, [0.0])(np.ones(1), np.zeros(1), sgd_state(np.ones(1)), 0.1, 1.0).p[0]),
                package="dlref",
            ),
            Row("PyTorch", "`requires_grad=False`", "1.0", lambda: torch_decay(True), "{:.1f}", "torch"),
            Row(
                "PyTorch", "a gradient of zero: the decay goes on", "0.9", lambda: torch_decay(False), "{:.1f}", "torch"
            ),
        ],
    ),
]


def thunks(dtype):
    rng = np.random.default_rng(0)
    x, w, a, b = (rng.normal(size=s).astype(dtype) for s in ((64, 512), (512, 512), (8, 512), (512, 8)))
    tx, tw, ta, tb = map(torch.from_numpy, (x, w, a, b))
    return lambda: lora(x, w, a, b), lambda: tx @ tw.T + (tx @ ta.T / 8) @ tb.T


def pulling(dtype):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s).astype(dtype) for s in ((64, 512), (512, 512), (8, 512), (512, 8))]
    dy = rng.normal(size=(64, 512)).astype(dtype)
    x, w, a, b = leaves = [torch.from_numpy(v).requires_grad_() for v in arrays]
    y, cotangent = x @ w.T + (x @ a.T / 8) @ b.T, torch.from_numpy(dy)
    return lambda: lora_backward(dy, *arrays), lambda: torch.autograd.grad(y, leaves, cotangent, retain_graph=True)


def merging(dtype):
    rng = np.random.default_rng(0)
    w, a, b = (rng.normal(size=s).astype(dtype) for s in ((512, 512), (8, 512), (512, 8)))
    tw, ta, tb = map(torch.from_numpy, (w, a, b))
    return lambda: lora_merge(w, a, b), lambda: tw + tb @ ta / 8


def grouping(dtype):
    rng = np.random.default_rng(0)
    p, g = rng.normal(size=(2, 100_000)).astype(dtype)
    state, step = adam_state(p), grouped(adam, group_rates([50_000, 50_000], [0.1, 1.0]))
    leaves = [torch.from_numpy(part.copy()).requires_grad_() for part in np.split(p, 2)]
    for leaf, part in zip(leaves, np.split(g, 2), strict=True):
        leaf.grad = torch.from_numpy(part.copy())
    peer = torch.optim.Adam([{"params": [leaves[0]], "lr": 1e-4}, {"params": [leaves[1]], "lr": 1e-3}], fused=True)
    return lambda: step(p, g, state, 1e-3, out=(p, state)), peer.step


BENCH = [
    Bench("training.lora", "the same products in PyTorch", "64 × 512 to 512, rank 8", thunks),
    Bench("training.lora_backward", "the same products in PyTorch, autograd", "64 × 512 to 512, rank 8", pulling),
    Bench("training.lora_merge", "the same products in PyTorch", "512 × 512, rank 8", merging),
    Bench("training.grouped", "torch.optim.Adam, fused, two parameter groups", "1e5", grouping),
]
