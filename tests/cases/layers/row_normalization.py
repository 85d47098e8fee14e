"""Layer normalization."""

import numpy as np
import torch

from dlref.layers import layer_norm, layer_norm_backward
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.onnx_examples import published
from tests.oracles import from_torch
from tests.sweeps import rows

nan = np.nan


def drawn(rng, length=7, mean=0.0, lead=(5, 3)):
    return rng.normal(size=(*lead, length)) + mean, *rng.normal(size=(2, length))


def torch_layer_norm(x, gamma, beta, eps=1e-5):
    return torch.nn.functional.layer_norm(x, x.shape[-1:], gamma, beta, eps)


def length(x, *_):
    return x.shape[-1]


def condition(x, *_):
    """A mean that is subtracted costs digits in proportion to its size."""
    return max(1.0, float(np.max(np.abs(x.mean(-1)) / np.maximum(x.std(-1), 1e-3))))


CASES = [
    Case(
        layer_norm,
        drawn,
        "torch.nn.functional.layer_norm",
        from_torch(torch_layer_norm),
        sweep=rows(lambda rng, n, mean: drawn(rng, n, mean, (4,)), lengths=(7, 1000, 100_000)),
        bound=Normwise(length, condition),
        refuses=[
            ((1.0, [1.0], [1.0]), {}, ValueError, "x: expected at least 1 dimension, got 0"),
            (([1.0, 2.0], [1.0], [1.0, 2.0]), {}, ValueError, r"gamma: expected shape \(2,\), got \(1,\)"),
            (([1.0], [1.0], [1.0]), {"eps": 0}, ValueError, r"eps: expected a number in \(0, inf\], got 0"),
        ],
    ),
    Case(
        layer_norm,
        lambda rng: drawn(rng, 11, lead=(4,)),
        "torch.nn.functional.layer_norm",
        from_torch(torch_layer_norm),
        kwargs={"eps": 0.5},
        bound=Normwise(length, condition),
        label="eps = 0.5",
    ),
]


def published_by_onnx(dtype):
    """The outputs of its examples; several normalized axes are read as one."""
    worst, count = 0.0, 0
    for example in published("layernormalization"):
        x, gamma, beta = (v.astype(dtype) for v in example.inputs)
        rows = x.reshape(*x.shape[: x.ndim - gamma.ndim], gamma.size)
        got = layer_norm(rows, gamma.ravel(), beta.ravel(), example.attributes.get("epsilon", 1e-5))
        want = example.outputs[0]
        worst = max(worst, abs(got.reshape(want.shape) - want).max() / abs(want).max())
        count += got.size
    return worst, count


PROOFS = [
    Proof(
        [layer_norm],
        "ONNX, published examples of LayerNormalization",
        "19 examples over one to four axes",
        "normwise",
        {"float32": 20 * 2.0**-23, "float64": 20 * 2.0**-23},  # the published numbers are float32
        published_by_onnx,
    ),
]

ONES, SHIFTS = [1.0, 1.0], [3.0, 4.0]
EDGES = [
    Edge(layer_norm, ([5.0, 5.0], ONES, SHIFTS), SHIFTS, "a constant vector becomes beta"),
    Edge(layer_norm, ([[nan, 1.0], [5.0, 5.0]], ONES, SHIFTS), [[nan, nan], SHIFTS], "NaN reaches its vector alone"),
    Edge(layer_norm, (np.zeros((0, 2)), ONES, SHIFTS), np.zeros((0, 2)), "no vectors", input="shape (0, 2)"),
]


def torch_default():
    layer = torch.nn.LayerNorm(2)
    return float(layer(torch.tensor([[0.0, 2e-3]]))[0, 1].detach())


def keras_default():
    import keras

    layer = keras.layers.LayerNormalization()
    return float(layer(np.array([[0.0, 2e-3]], np.float32))[0, 1].detach())


CONVENTIONS = [
    Convention(
        "bert",
        "layer-norm-epsilon",
        "The epsilon of layer normalization, if none is given",
        "the second entry of the normalized vector (0, 0.002), whose standard deviation is 0.001",
        [
            Row("BERT", "1e-12", "1.0000", lambda: float(layer_norm([0, 2e-3], ONES, [0, 0], eps=1e-12)[1]), "{:.4f}"),
            Row("PyTorch", "1e-5", "0.3015", torch_default, "{:.4f}", "torch"),
            Row("Keras", "1e-3", "0.0316", keras_default, "{:.4f}", "keras"),
        ],
    ),
]


def thunks(gradient):
    def make(dtype):
        rng = np.random.default_rng(0)
        x, dy = rng.normal(size=(2, 1024, 768)).astype(dtype)
        gamma, beta = rng.normal(size=(2, 768)).astype(dtype)
        tx, tg, tb = (torch.from_numpy(a).requires_grad_(gradient) for a in (x, gamma, beta))
        if not gradient:
            return lambda: layer_norm(x, gamma, beta), lambda: torch_layer_norm(tx, tg, tb)
        y, tdy = torch_layer_norm(tx, tg, tb), torch.from_numpy(dy)
        return (
            lambda: layer_norm_backward(dy, x, gamma, beta),
            lambda: torch.autograd.grad(y, (tx, tg, tb), tdy, retain_graph=True),
        )

    return make


BENCH = [
    Bench("layers.layer_norm", "torch layer_norm", "1024 x 768", thunks(False), aim=1.0),
    Bench("layers.layer_norm_backward", "torch's layer_norm backward", "1024 x 768", thunks(True), aim=1.0),
]
