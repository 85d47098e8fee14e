"""The bias: PyTorch's layers with and without one, and the algebra of folding and absorbing it."""

import warnings

import numpy as np
import torch
import torch.nn.functional as F

from dlref.layers import (
    absorb_bias,
    add_bias,
    add_bias_backward,
    append_one,
    append_one_backward,
    batch_norm,
    batch_norm_backward,
    batch_norm_inference,
    conv2d,
    dense,
    fold_bias,
)
from tests.bounds import ULP, Exact, Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

inf, nan = np.inf, np.nan


def one_by_one(x, b, axis=1):
    """A depthwise convolution of weight one in PyTorch adds the bias."""
    moved = torch.from_numpy(np.moveaxis(x, axis, 1).copy())
    flat = moved.reshape(*moved.shape[:2], -1)
    y = F.conv1d(flat, torch.ones(len(b), 1, 1, dtype=torch.float64), torch.from_numpy(b), groups=len(b))
    return np.moveaxis(y.reshape(moved.shape).numpy(), 1, axis)


CASES = [
    Case(
        add_bias,
        lambda rng: (rng.normal(size=(2, 3, 5, 7)), rng.normal(size=3)),
        "torch.nn.functional.conv1d, depthwise, weight 1",
        one_by_one,
        gradient=lambda x, b: x + b[:, None, None],
        bound=ULP(1),
        gradient_bound=Normwise(70),
        refuses=[
            (([[1.0, 2.0]], [1.0]), {}, ValueError, r"b: expected shape \(2,\), got \(1,\)"),
            (([1.0, 2.0], [1.0]), {}, ValueError, "axis: expected an axis of x, which has 1 dimensions, got 1"),
        ],
    ),
    Case(
        add_bias,
        lambda rng: (rng.normal(size=(2, 3, 5)), rng.normal(size=5)),
        "torch.nn.functional.conv1d, depthwise, weight 1",
        one_by_one,
        kwargs={"axis": -1},
        gradient=lambda x, b, axis: x + b,
        sweep={"1,000 rows": lambda rng, dtype: (rng.normal(size=(20, 50, 5)), rng.normal(size=5))},
        bound=ULP(1),
        gradient_bound=Normwise(1000),
        label="last axis",
    ),
    Case(
        append_one,
        lambda rng: (rng.normal(size=(2, 3, 5)),),
        "torch.nn.functional.pad with ones",
        lambda x: F.pad(torch.from_numpy(x), (0, 1), value=1.0).numpy(),
        gradient=lambda x: F.pad(x, (0, 1), value=1.0),
        bound=Exact(),
    ),
]


def folded(dtype):
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(dtype) for s in ((50, 30), (20, 30), (20,)))
    want = F.linear(*(torch.from_numpy(v).double() for v in (x, w, b))).numpy()
    return abs(dense(append_one(x), fold_bias(w, b)) - want).max() / abs(want).max(), want.size


def absorbed(dtype):
    """With the bias in the running mean, PyTorch's normalization of the biased layer comes out."""
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(dtype) for s in ((2, 3, 6, 7), (5, 3, 3, 3), (5,)))
    gamma, beta, mean = rng.normal(size=(3, 5)).astype(dtype)
    var = rng.uniform(0.5, 2, 5).astype(dtype)
    wide = [torch.from_numpy(v).double() for v in (x, w, b, mean, var, gamma, beta)]
    want = F.batch_norm(F.conv2d(*wide[:3]), *wide[3:]).numpy()
    got = batch_norm_inference(conv2d(x, w), gamma, beta, absorb_bias(b, mean), var)
    return abs(got - want).max() / abs(want).max(), want.size


def cancelled(dtype):
    """In training the bias moves nothing, and its gradient is zero up to rounding."""
    rng = np.random.default_rng(0)
    z, b, gamma, beta = (rng.normal(size=s).astype(dtype) for s in ((40, 5), (5,), (5,), (5,)))
    dy = rng.normal(size=z.shape).astype(dtype)
    moved = abs(batch_norm(add_bias(z, b), gamma, beta) - batch_norm(z, gamma, beta)).max()
    gradient = batch_norm_backward(dy, add_bias(z, b), gamma, beta).x
    return max(moved, abs(add_bias_backward(gradient, z, b).b).max() / abs(gradient).sum(axis=0).max()), z.size


SUM = {"float32": 17 * 2.0**-23, "float64": 17 * 2.0**-52}  # as of any sum of this length
PROOFS = [
    Proof(
        [fold_bias, append_one], "torch.nn.functional.linear with its bias", "50 × 30 to 20", "normwise", SUM, folded
    ),
    Proof(
        [absorb_bias],
        "conv2d with bias and batch_norm in PyTorch",
        "two images of 3 × 6 × 7, 5 filters",
        "normwise",
        {name: 4 * bound for name, bound in SUM.items()},  # two layers, and a difference of means
        absorbed,
    ),
    Proof(
        [add_bias],
        "zero: a bias before batch normalization",
        "40 × 5; the output moved, and the share of the gradient that does not cancel",
        "absolute",
        {name: 4 * bound for name, bound in SUM.items()},
        cancelled,
    ),
]

EDGES = [
    Edge(add_bias, ([[1.0, nan]], [inf, 1.0]), [[inf, nan]], "a sum as IEEE has it"),
    Edge(add_bias, ([[inf]], [-inf]), [[nan]], "infinity minus infinity"),
    Edge(
        add_bias_backward,
        (np.zeros((0, 2)), np.zeros((0, 2)), [1.0, 2.0]),
        (np.zeros((0, 2)), [0.0, 0.0]),
        "an empty sum",
        input="no examples",
        output="x: [], b: [0, 0]",
    ),
    Edge(
        add_bias_backward,
        ([[[1.0, 2.0]]], [[[0.0, 0.0]]], [5.0]),
        ([[[1.0, 2.0]]], [3.0]),
        "two positions share one bias",
        input="dy = 1, 2 in one channel",
        output="x: 1, 2; b: 3",
    ),
    Edge(append_one, ([],), [1.0], "no features: the constant alone"),
]


def keras_biases():
    import keras

    layer = keras.layers.LSTM(4)
    layer.build((None, None, 3))
    return int(np.prod(layer.cell.bias.shape))


def torch_biases():
    return sum(p.numel() for name, p in torch.nn.LSTM(3, 4).named_parameters() if "bias" in name)


def ridge(fold):
    from sklearn.linear_model import Ridge

    x, y = np.linspace(-1, 1, 100)[:, None], np.full(100, 5.0)
    if fold:
        return Ridge(alpha=1e6, fit_intercept=False).fit(append_one(x), y).coef_[-1]
    return Ridge(alpha=1e6).fit(x, y).intercept_


def support_vectors():
    from sklearn.svm import LinearSVR

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LinearSVR(C=1e-8, random_state=0).fit(np.linspace(-1, 1, 100)[:, None], np.full(100, 5.0)).intercept_[0]


def weight_decay():
    layer = torch.nn.Linear(1, 1, dtype=torch.float64)
    step = torch.optim.SGD(layer.parameters(), lr=5e-7, weight_decay=1e6)
    x = torch.linspace(-1, 1, 100, dtype=torch.float64)[:, None]
    for _ in range(60):
        step.zero_grad()
        ((layer(x) - 5) ** 2).sum().backward()
        step.step()
    return float(layer.bias.detach()[0])


CONVENTIONS = [
    Convention(
        "bias",
        "bias-penalty",
        "Whether a penalty on the weights reaches the bias",
        "100 targets that are all 5, and a penalty a million times larger than the weights: the fitted bias",
        [
            Row("scikit-learn", "`Ridge`: no", "5.00", lambda: ridge(False), "{:.2f}", "scikit-learn"),
            Row("scikit-learn", "`LinearSVR`: yes", "0.00", support_vectors, "{:.2f}", "scikit-learn"),
            Row("PyTorch", "`weight_decay` for all parameters: yes", "0.00", weight_decay, "{:.2f}", "torch"),
            Row("folded into the weights", "yes, unseen", "0.00", lambda: ridge(True), "{:.2f}"),
        ],
    ),
    Convention(
        "bias",
        "bias-lstm",
        "How many biases an LSTM has",
        "3 inputs, 4 units: the number of bias parameters",
        [
            Row("PyTorch", "one for the input, one for the state, added", "32", torch_biases, package="torch"),
            Row("Keras", "one", "16", keras_biases, package="keras"),
        ],
    ),
]


def thunks(dtype):
    rng = np.random.default_rng(0)
    x, b = rng.normal(size=(16, 64, 28, 28)).astype(dtype), rng.normal(size=64).astype(dtype)
    tx, tb = torch.from_numpy(x), torch.from_numpy(b)[:, None, None]
    return lambda: add_bias(x, b), lambda: tx + tb


def backward_thunks(dtype):
    dy = np.random.default_rng(0).normal(size=(16, 64, 28, 28)).astype(dtype)
    b, tdy = np.zeros(64, dtype), torch.from_numpy(dy)
    return lambda: add_bias_backward(dy, dy, b), lambda: (tdy.clone(), tdy.sum((0, 2, 3)))


def append_thunks(dtype):
    x = np.random.default_rng(0).normal(size=(1000, 100)).astype(dtype)
    t = torch.from_numpy(x)
    return lambda: append_one(x), lambda: F.pad(t, (0, 1), value=1.0)


def cut_thunks(dtype):
    dy = np.random.default_rng(0).normal(size=(1000, 101)).astype(dtype)
    x, t = np.ascontiguousarray(dy[:, :-1]), torch.from_numpy(dy)
    return lambda: append_one_backward(dy, x), lambda: t[:, :-1].clone()


def fold_thunks(dtype):
    rng = np.random.default_rng(0)
    w, b = rng.normal(size=(256, 1000)).astype(dtype), rng.normal(size=256).astype(dtype)
    tw, tb = torch.from_numpy(w), torch.from_numpy(b)
    return lambda: fold_bias(w, b), lambda: torch.cat([tw, tb[:, None]], dim=1)


def absorb_thunks(dtype):
    b, mean = np.random.default_rng(0).normal(size=(2, 512)).astype(dtype)
    tb, tmean = torch.from_numpy(b), torch.from_numpy(mean)
    return lambda: absorb_bias(b, mean), lambda: tmean - tb


BENCH = [
    Bench("layers.append_one_backward", "slice and copy in PyTorch", "1,000 × 101", cut_thunks),
    Bench("layers.fold_bias", "torch.cat", "256 × 1,000", fold_thunks),
    Bench("layers.absorb_bias", "difference in PyTorch", "512", absorb_thunks),
    Bench("layers.append_one", "torch.nn.functional.pad", "1,000 × 100", append_thunks),
    Bench("layers.add_bias", "broadcast sum in PyTorch", "16 × 64 × 28 × 28", thunks),
    Bench("layers.add_bias_backward", "copy and sum in PyTorch", "16 × 64 × 28 × 28", backward_thunks, aim=1.0),
]
