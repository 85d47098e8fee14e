"""Dropout: the masked product against PyTorch, the moments against closed forms, the draws against other libraries."""

import functools

import numpy as np
import scipy.stats
import torch

from dlref.layers import dense, dropout, dropout_backward, dropout_mask, mc_dropout
from tests.bounds import ULP
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

inf, nan = np.inf, np.nan

ENTRIES = np.random.default_rng(0).random((5, 3, 7)) < 0.7
CHANNELS = np.array([[True, False, True], [False, True, True]])


def native(x, mask, rate):
    """PyTorch's own product of values, mask and scale."""
    x, mask = np.asarray(x), np.asarray(mask)
    mask = mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim)) & np.ones(x.shape, bool)
    return torch.ops.aten.native_dropout_backward(torch.from_numpy(x), torch.from_numpy(mask), 1 / (1 - rate)).numpy()


def product(x, mask, rate):
    mask = mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))
    return x * mask / (1 - rate)


CASES = [
    Case(
        dropout,
        lambda rng: (rng.normal(size=(5, 3, 7)),),
        "torch's native_dropout_backward",
        native,
        kwargs={"mask": ENTRIES, "rate": 0.3},
        gradient=product,
        bound=ULP(4),
        refuses=[
            (
                (np.ones((2, 3)), [True, False, True], 0.5),
                {},
                ValueError,
                r"mask: expected the shape of x, \(2, 3\)",
            ),
            (([1.0], [1], 0.5), {}, TypeError, "mask: expected booleans, got int64"),
            (([1.0], [True], 1.5), {}, ValueError, r"rate: expected a number in \[0, 1\], got 1.5"),
        ],
    ),
    Case(
        dropout,
        lambda rng: (rng.normal(size=(2, 3, 5, 7)),),
        "torch's native_dropout_backward",
        native,
        kwargs={"mask": CHANNELS, "rate": 0.25},
        gradient=product,
        bound=ULP(4),
        label="channels",
    ),
]


def onnx_node(dtype):
    """Let ONNX draw a mask, and compare the products bit for bit."""
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    node = helper.make_node("Dropout", ["x", "rate", "training"], ["y", "mask"], seed=3)
    graph = helper.make_graph(
        [node],
        "dropout",
        [
            helper.make_tensor_value_info("x", kind, [40, 25]),
            helper.make_tensor_value_info("rate", kind, []),
            helper.make_tensor_value_info("training", TensorProto.BOOL, []),
        ],
        [
            helper.make_tensor_value_info("y", kind, [40, 25]),
            helper.make_tensor_value_info("mask", TensorProto.BOOL, [40, 25]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    x = np.random.default_rng(0).normal(size=(40, 25)).astype(dtype)
    y, mask = ReferenceEvaluator(model).run(None, {"x": x, "rate": dtype(0.75), "training": np.array(True)})
    return float(abs(dropout(x, mask, 0.75) - y).max()), y.size


def shares(dtype):
    """Compare the dropped counts of rows with PyTorch's by a two-sample test; return 1 - p."""
    ours = dropout(np.ones((2000, 50), dtype), dropout_mask((2000, 50), 0.3, np.random.default_rng(1)), 0.3)
    kind = torch.from_numpy(ours).dtype
    generator = torch.random.get_rng_state()
    torch.manual_seed(0)
    theirs = torch.nn.functional.dropout(torch.ones(2000, 50, dtype=kind), 0.3).numpy()
    torch.random.set_rng_state(generator)
    counts = [np.bincount((y == 0).sum(axis=1), minlength=51) for y in (ours, theirs)]
    table = np.array([[c[:11].sum(), *c[11:20], c[20:].sum()] for c in counts])
    return 1 - scipy.stats.chi2_contingency(table).pvalue, ours.size


def independent(dtype):
    """Compare the count of dropped entries in every row, column and pair with the binomial law, in deviations."""
    mask = dropout_mask((4000, 40), 0.3, np.random.default_rng(2))
    worst = abs((~mask).mean() - 0.3) / np.sqrt(0.3 * 0.7 / mask.size)
    worst = max(worst, abs((~mask).mean(axis=0) - 0.3).max() / np.sqrt(0.3 * 0.7 / 4000))
    centered = (~mask) - 0.3
    pairs = (centered.T @ centered / 4000 / 0.21)[np.triu_indices(40, 1)] * np.sqrt(4000)
    return max(worst, abs(pairs).max()), mask.size


def moments(dtype):
    """Compare the mean and the spread of a dense layer's output with their closed forms, in standard errors."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=30).astype(dtype), rng.normal(size=(6, 30)).astype(dtype)
    samples, rate = 4000, 0.4
    found = mc_dropout(lambda rng: dense(dropout(x, dropout_mask(30, rate, rng), rate), w), rng, samples)
    std = np.sqrt(rate / (1 - rate) * np.sum((w.astype(float) * x) ** 2, axis=1))
    z = abs(found.mean - w.astype(float) @ x) / (std / np.sqrt(samples))
    return max(z.max(), (abs(found.std / std - 1) * np.sqrt(2 * samples)).max()), samples * 6


def two_passes(dtype):
    """Compare with mean and deviation of the stored runs, around a large mean."""
    runs = (1e4 + np.random.default_rng(0).normal(size=(200, 11))).astype(dtype)
    at = iter(runs)
    found = mc_dropout(lambda rng: next(at), np.random.default_rng(0), 200)
    wide = runs.astype(np.float64)
    condition = 1e4 * np.finfo(dtype).eps
    error = abs(found.std / wide.std(axis=0, ddof=1) - 1).max() / condition
    return max(error, (abs(found.mean - wide.mean(axis=0)) / condition).max()), runs.size


PROOFS = [
    Proof([dropout], "ONNX reference, Dropout with its own mask", "40 × 25 values, rate 0.75", "exact", 0, onnx_node),
    Proof(
        [dropout_mask],
        "torch.nn.functional.dropout, chi-squared test of two samples",
        "dropped entries of 2,000 rows of 50 at rate 0.3; one minus the p-value",
        "absolute",
        0.999,
        shares,
    ),
    Proof(
        [dropout_mask],
        "the binomial law: the whole, every column, every pair of columns",
        "4,000 × 40 entries at rate 0.3; in standard deviations",
        "absolute",
        # The largest of 821 normal numbers passes 4.5 once in two hundred.
        4.5,
        independent,
    ),
    Proof(
        [mc_dropout, dropout],
        "the closed forms of mean and variance",
        "a dense layer of 30 inputs after dropout at rate 0.4, 4,000 runs; in standard errors",
        "absolute",
        4.5,
        moments,
    ),
    Proof(
        [mc_dropout],
        "NumPy over the stored runs in float64",
        "200 runs of mean 1e4 and deviation 1; relative to 1e4 eps",
        "relative",
        # Each of the 200 steps rounds a difference of size 1 between numbers of size 1e4: about sqrt(200) times that.
        15.0,
        two_passes,
    ),
]

EDGES = [
    Edge(
        dropout_mask, ((2, -1), 0.5, np.random.default_rng(0)), ValueError, "a length is not negative", input="(2, -1)"
    ),
    Edge(dropout_mask, ((2, 1.5), 0.5, np.random.default_rng(0)), TypeError, "nor a fraction", input="(2, 1.5)"),
    Edge(
        dropout_mask,
        (2,),
        ValueError,
        "a rate beyond 1",
        {"rate": 1.5, "rng": np.random.default_rng(0)},
        input="2, rate 1.5",
    ),
    Edge(dropout, ([1.0, 2.0], [True, True]), [1.0, 2.0], "nothing dropped, nothing scaled", {"rate": 0.0}),
    Edge(dropout, ([1.0, 2.0], [True, False]), [2.0, 0.0], "the kept one counts for two", {"rate": 0.5}),
    Edge(dropout, ([1.0, 2.0], [False, False]), [0.0, 0.0], "all may be dropped, at any positive rate", {"rate": 0.5}),
    Edge(dropout, ([1.0, 2.0], [False, False]), [0.0, 0.0], "rate 1 keeps nothing", {"rate": 1.0}),
    Edge(
        dropout,
        ([nan, -inf], [False, False]),
        [0.0, 0.0],
        "what is dropped is zero, whatever it was",
        {"rate": 0.5},
    ),
    Edge(
        dropout,
        ([[1.0, 2.0], [3.0, 4.0]], [True, False]),
        [[2.0, 4.0], [0.0, 0.0]],
        "a mask of the first axes drops whole channels",
        {"rate": 0.5},
    ),
]


@functools.cache
def seeded(which):
    """The output of a framework's dropout for 100,000 values."""
    x = np.ones(100_000, np.float32)
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    if which == "keras":
        import keras

        layer = keras.layers.Dropout(0.2, seed=0)
        y = layer(torch.from_numpy(x), training=True).detach().cpu().numpy()
    else:
        y = torch.nn.functional.dropout(torch.from_numpy(x), 0.2).numpy()
    torch.random.set_rng_state(state)
    return y


def ours():
    x = np.ones(100_000, np.float32)
    return dropout(x, dropout_mask(x.shape, 0.2, np.random.default_rng(0)), 0.2)


def torch_of_nan():
    y = torch.nn.functional.dropout(torch.full((100,), nan), 0.5)
    return float(y[torch.isnan(y)][0]) if torch.isnan(y).all() else 0.0


def keras_of_nan():
    import keras

    y = keras.layers.Dropout(0.5, seed=0)(torch.full((100,), nan), training=True).detach()
    (dropped,) = set(y[~torch.isnan(y)].tolist())
    return dropped


CONVENTIONS = [
    Convention(
        "dropout",
        "dropout-rate",
        "What the number 0.2 means, and where the scale stands",
        "ones, in training, with 0.2 as the parameter: the share that becomes zero and the value of the others",
        [
            Row(
                "dlref",
                "probability of dropping; scaled in training",
                "20% zeros, the others 1.25",
                lambda: described(ours()),
                package="dlref",
            ),
            Row(
                "PyTorch",
                "`Dropout(0.2)`: probability of dropping; scaled in training",
                "20% zeros, the others 1.25",
                lambda: described(seeded("torch")),
                package="torch",
            ),
            Row(
                "Keras",
                "`Dropout(0.2)`: probability of dropping; scaled in training",
                "20% zeros, the others 1.25",
                lambda: described(seeded("keras")),
                package="keras",
            ),
            Row(
                "the paper",
                "probability of keeping; weights times 0.2 at prediction",
                "80% zeros, the others 1",
                source="srivastava2014dropout",
            ),
        ],
    ),
    Convention(
        "dropout",
        "dropout-nan",
        "What becomes of NaN when it is dropped",
        "100 times NaN at rate 0.5, training",
        [
            Row(
                "dlref",
                "a choice: 0 or the scaled value",
                "0.0",
                lambda: float(dropout([nan, 1.0], [False, True], 0.5)[0]),
                package="dlref",
            ),
            Row("PyTorch", "a product: 0 times NaN", "nan", torch_of_nan, package="torch"),
            Row("Keras on PyTorch", "a choice: `torch.where`", "0.0", keras_of_nan, package="keras"),
        ],
    ),
]


def described(y):
    (kept,) = set(y[y != 0].tolist())
    return f"{(y == 0).mean():.0%} zeros, the others {kept:g}"


def thunks(dtype):
    x = np.random.default_rng(0).normal(size=100_000).astype(dtype)
    mask = dropout_mask(x.shape, 0.5, np.random.default_rng(1))
    tx, tmask = torch.from_numpy(x), torch.from_numpy(mask)
    return lambda: dropout(x, mask, 0.5), lambda: torch.ops.aten.native_dropout_backward(tx, tmask, 2.0)


def backward_thunks(dtype):
    forward, theirs = thunks(dtype)
    dy, mask = forward(), dropout_mask(100_000, 0.5, np.random.default_rng(1))
    return lambda: dropout_backward(dy, dy, mask, 0.5), theirs


def drawn_thunks(dtype):
    x, rng = np.random.default_rng(0).normal(size=100_000).astype(dtype), np.random.default_rng(1)
    tx = torch.from_numpy(x)
    return lambda: dropout(x, dropout_mask(x.shape, 0.5, rng), 0.5), lambda: torch.nn.functional.dropout(tx, 0.5)


def runs_thunks(dtype):
    runs = np.random.default_rng(0).normal(size=(100, 10_000)).astype(dtype)
    tensors = torch.from_numpy(runs)

    def ours():
        at = iter(runs)
        return mc_dropout(lambda rng: next(at), np.random.default_rng(0), 100)

    def theirs():
        stacked = torch.stack(list(tensors))
        return stacked.mean(dim=0), stacked.std(dim=0)

    return ours, theirs


BENCH = [
    Bench("layers.mc_dropout", "stack, mean and std in PyTorch", "100 runs of 1e4", runs_thunks),
    Bench("layers.dropout", "torch's product with a mask", "1e5", thunks, aim=2.0),
    Bench("layers.dropout_backward", "torch's product with a mask", "1e5", backward_thunks, aim=2.0),
    Bench(
        "layers.dropout_mask",
        "torch.nn.functional.dropout, draw and product",
        "1e5",
        drawn_thunks,
        aim=2.0,
    ),
]
