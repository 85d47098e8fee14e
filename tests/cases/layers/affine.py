"""The dense layer against PyTorch and NumPy."""

import numpy as np
import torch

from dlref.layers import dense, dense_backward, dense_definition
from tests.bounds import Normwise
from tests.cases import Bench, Case, Edge
from tests.oracles import from_torch

nan = np.nan


def drawn(*lead, inputs=7, outputs=5, bias=True):
    def draw(rng):
        x, w = rng.normal(size=(*lead, inputs)), rng.normal(size=(outputs, inputs))
        return x, w, rng.normal(size=outputs) if bias else None

    return draw


def length(x, w, b=None):
    return w.shape[1]


def einsum(x, w, b=None):
    y = np.einsum("...d,od->...o", x.astype(np.longdouble), w.astype(np.longdouble))
    return (y if b is None else y + b).astype(np.float64)


SWEEP = {f"a sum of {n:,} products": (lambda rng, dtype, n=n: drawn(3, inputs=n)(rng)) for n in (1, 1000, 100_000)}
SWEEP["a sum of 1,000 products, mean 100"] = lambda rng, dtype: (
    rng.normal(100, 1, size=(3, 1000)),
    rng.normal(100, 1, size=(5, 1000)),
    rng.normal(size=5),
)
REFUSES = [
    ((np.ones((2, 3)), np.ones((4, 5))), {}, ValueError, r"w: expected shape \(any, 3\), got \(4, 5\)"),
    ((np.ones((2, 3)), np.ones((4, 3)), np.ones(3)), {}, ValueError, r"b: expected shape \(4,\), got \(3,\)"),
    ((1.0, np.ones((4, 3))), {}, ValueError, "x: expected at least 1 dimension, got 0"),
]

CASES = [
    Case(
        dense,
        drawn(2, 3),
        "torch.nn.functional.linear",
        from_torch(torch.nn.functional.linear),
        bound=Normwise(length),
        gradient_bound=Normwise(lambda x, w, b=None: max(x.size, w.size)),
        refuses=REFUSES,
    ),
    Case(
        dense,
        drawn(bias=False),
        "torch.nn.functional.linear",
        from_torch(torch.nn.functional.linear),
        label="one vector",
    ),
    Case(dense, drawn(3), "NumPy in long double", einsum, sweep=SWEEP, bound=Normwise(length)),
    Case(dense_definition, drawn(2, 3), "NumPy in long double", einsum, sweep=SWEEP, bound=Normwise(length)),
]

EDGES = [
    Edge(dense, ([1.0, 2.0], [[3.0, 4.0]]), [11.0], "one sum of products"),
    Edge(dense, ([0.0, 0.0], [[3.0, 4.0]], [0.5]), [0.5], "the bias alone"),
    Edge(dense, ([1.0, nan], [[3.0, 0.0]]), [nan], "a weight of zero does not hide NaN"),
    Edge(
        dense,
        (np.zeros((0, 2)), [[3.0, 4.0]]),
        np.zeros((0, 1)),
        "no vectors, no outputs",
        input="no vectors",
        output="[]",
    ),
]


def thunks(rows, inputs, outputs):
    def make(dtype):
        x, w, b = (v.astype(dtype) for v in drawn(rows, inputs=inputs, outputs=outputs)(np.random.default_rng(0)))
        tx, tw, tb = map(torch.from_numpy, (x, w, b))
        return lambda: dense(x, w, b), lambda: torch.nn.functional.linear(tx, tw, tb)

    return make


def backward_thunks(rows, inputs, outputs):
    def make(dtype):
        x, w, b = (v.astype(dtype) for v in drawn(rows, inputs=inputs, outputs=outputs)(np.random.default_rng(0)))
        dy = dense(x, w, b)
        tx, tw, tdy = map(torch.from_numpy, (x, w, dy))
        return lambda: dense_backward(dy, x, w, b), lambda: (tdy @ tw, tdy.T @ tx, tdy.sum(0))

    return make


BENCH = [
    Bench("layers.dense", "torch.nn.functional.linear", "64 × 512 to 256", thunks(64, 512, 256), aim=0.9),
    Bench("layers.dense", "torch.nn.functional.linear", "256 × 1024 to 1024", thunks(256, 1024, 1024), aim=0.9),
    Bench(
        "layers.dense_backward",
        "the same products in PyTorch",
        "64 × 512 to 256",
        backward_thunks(64, 512, 256),
        aim=0.9,
    ),
]
