"""The dense layer against PyTorch and NumPy."""

import warnings

import numpy as np
import torch

from dlref.layers import dense, dense_backward, dense_definition
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Row
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
        sweep={"fewer vectors than outputs": lambda rng, dtype: drawn(2, 3, outputs=37)(rng)},
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
    Edge(dense, ([0.0, 0.0], [[3.0, 4.0]], [0.5]), [0.5], "zero in, the bias out: affine, not linear"),
    Edge(dense, ([1.0, nan], [[3.0, 0.0]]), [nan], "a weight of zero does not hide NaN"),
    Edge(
        dense,
        (np.zeros((0, 2)), [[3.0, 4.0]]),
        np.zeros((0, 1)),
        "no vectors, no outputs",
        input="no vectors",
        output="[]",
    ),
    Edge(
        dense_backward,
        (np.zeros((0, 1)), np.zeros((0, 2)), [[3.0, 4.0]], [0.5]),
        (np.zeros((0, 2)), [[0.0, 0.0]], [0.0]),
        "empty sums",
        input="no vectors",
        output="x: [], w: [[0, 0]], b: [0]",
    ),
]


def keras_dense(units, x, **options):
    import keras

    layer = keras.layers.Dense(units, **options)
    return layer, layer(torch.from_numpy(x)).detach()


def sklearn_network():
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MLPRegressor(hidden_layer_sizes=(2,), max_iter=1).fit(np.eye(4, 3), np.arange(4.0))


def sklearn_regression():
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(np.eye(4, 3), np.eye(4, 2))


CONVENTIONS = [
    Convention(
        "dense-layer",
        "dense-layout",
        "Which way the matrix lies",
        "the shape of the stored weights of a layer with 3 inputs and 2 outputs",
        [
            Row(
                "dlref",
                "$x W\\T + b$",
                "(2, 3)",
                lambda: dense_backward(np.ones(2), np.ones(3), np.ones((2, 3))).w.shape,
                package="dlref",
            ),
            Row(
                "PyTorch", "$x W\\T + b$", "(2, 3)", lambda: tuple(torch.nn.Linear(3, 2).weight.shape), package="torch"
            ),
            Row(
                "Keras",
                "$x W + b$",
                "(3, 2)",
                lambda: tuple(keras_dense(2, np.ones((1, 3), np.float32))[0].kernel.shape),
                package="keras",
            ),
            Row(
                "scikit-learn",
                "`LinearRegression.coef_`",
                "(2, 3)",
                lambda: sklearn_regression().coef_.shape,
                package="scikit-learn",
            ),
            Row(
                "scikit-learn",
                "`MLPRegressor.coefs_[0]`",
                "(3, 2)",
                lambda: sklearn_network().coefs_[0].shape,
                package="scikit-learn",
            ),
        ],
    ),
    Convention(
        "dense-layer",
        "dense-activation",
        "Whether the activation belongs to the layer",
        "one input, one output, weight 1, bias 0, at x = -1",
        [
            Row("dlref", "never", "-1.0", lambda: float(dense([-1.0], [[1.0]], [0.0])[0]), package="dlref"),
            Row(
                "PyTorch",
                "never: `Linear` has no such argument",
                "-1.0",
                lambda: float(torch.nn.functional.linear(-torch.ones(1), torch.ones(1, 1), torch.zeros(1))),
                package="torch",
            ),
            Row(
                "Keras",
                "by default not",
                "-1.0",
                lambda: float(keras_dense(1, -np.ones((1, 1), np.float32), kernel_initializer="ones")[1]),
                package="keras",
            ),
            Row(
                "Keras",
                '`Dense(1, activation="relu")`',
                "0.0",
                lambda: float(
                    keras_dense(1, -np.ones((1, 1), np.float32), kernel_initializer="ones", activation="relu")[1]
                ),
                package="keras",
            ),
        ],
    ),
]


def thunks(rows, inputs, outputs):
    def make(dtype):
        x, w, b = (v.astype(dtype) for v in drawn(rows, inputs=inputs, outputs=outputs)(np.random.default_rng(0)))
        tx, tw, tb = map(torch.from_numpy, (x, w, b))
        return lambda: dense(x, w, b), lambda: torch.nn.functional.linear(tx, tw, tb)

    return make


def both_ways(rows, inputs, outputs):
    def make(dtype):
        x, w, b = (v.astype(dtype) for v in drawn(rows, inputs=inputs, outputs=outputs)(np.random.default_rng(0)))
        dy = dense(x, w, b)
        leaves = [torch.from_numpy(v).requires_grad_() for v in (x, w, b)]
        tdy = torch.from_numpy(dy)
        return (
            lambda: (dense(x, w, b), dense_backward(dy, x, w, b)),
            lambda: torch.autograd.grad(torch.nn.functional.linear(*leaves), leaves, tdy),
        )

    return make


LINEAR, AUTOGRAD = "torch.nn.functional.linear", "linear and autograd in PyTorch; both sides forward and back"
BENCH = [
    Bench("layers.dense", LINEAR, "64 × 512 to 256", thunks(64, 512, 256), aim=0.95),
    Bench("layers.dense", LINEAR, "256 × 1024 to 1024", thunks(256, 1024, 1024), aim=0.95),
    Bench("layers.dense_backward", AUTOGRAD, "64 × 512 to 256", both_ways(64, 512, 256), aim=0.95),
    Bench("layers.dense_backward", AUTOGRAD, "256 × 1024 to 1024", both_ways(256, 1024, 1024), aim=0.95),
]
