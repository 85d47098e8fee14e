"""The small Sequential against Keras 3 on PyTorch: losses, metrics, histories from the same weights, callbacks."""

import contextlib
import inspect
import re
import warnings
from unittest import mock

import numpy as np
import pytest
import torch

from dlref.losses import cross_entropy
from dlref.training import (
    SGD,
    Activation,
    Adam,
    Conv2D,
    Dense,
    EarlyStopping,
    Flatten,
    Input,
    MaxPooling2D,
    Sequential,
    sparse_categorical_accuracy,
    sparse_categorical_crossentropy,
    sparse_categorical_crossentropy_backward,
)
from tests.bounds import Exact
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.oracles import from_torch


def torch_loss(p, y_true, epsilon=1e-7):
    q = p / p.sum(dim=1, keepdim=True)
    return torch.nn.functional.nll_loss(torch.log(torch.clip(q, epsilon, 1 - epsilon)), y_true, reduction="none")


def keras_accuracy(y_true, scores):
    with keras_in(scores.dtype) as keras:
        hits = keras.metrics.sparse_categorical_accuracy(y_true, scores)
        return keras.ops.convert_to_numpy(hits).astype(scores.dtype)


def probabilities(count=60, classes=7):
    """Return rows that are positive and sum to anything, with labels."""

    def draw(rng):
        return rng.uniform(0.05, 1.0, (count, classes)), rng.integers(0, classes, count)

    return draw


def clipped(rng, dtype):
    p, y = probabilities(500, 3)(rng)
    p[np.arange(0, 500, 2), y[::2]] = 1e-12
    p[np.arange(1, 500, 4), y[1::4]] = 1e12
    return p, y


def scores(rng):
    return rng.integers(0, 9, 200), rng.normal(size=(200, 9))


CASES = [
    Case(
        sparse_categorical_crossentropy,
        probabilities(),
        "torch.nn.functional.nll_loss of clipped rows",
        from_torch(torch_loss),
        sweep={"500 rows, three quarters of them clipped": clipped},
        refuses=[
            (([0.5, 0.5], [1]), {}, ValueError, "y_pred: expected 2 dimensions, got 1"),
            (([[0.5, 0.5]], [1, 0]), {}, ValueError, r"y_true: expected shape \(1,\), got \(2,\)"),
            (([[0.5, 0.5]], [2]), {}, ValueError, "y_true: expected integers from 0 to 1, got 2"),
            (([[0.5, 0.5]], [1.0]), {}, TypeError, "y_true: expected integers, got float64"),
            (([[0.5, 0.5]], [1], 0.0), {}, ValueError, "epsilon: expected a number in"),
        ],
    ),
    Case(
        sparse_categorical_accuracy,
        scores,
        "keras.metrics.sparse_categorical_accuracy",
        keras_accuracy,
        bound=Exact(),
        refuses=[
            (([0], [1.0]), {}, ValueError, "y_pred: expected 2 dimensions, got 1"),
            (([3], [[0.0, 1.0]]), {}, ValueError, "y_true: expected integers from 0 to 1, got 3"),
        ],
    ),
]

EDGES = [
    Edge(sparse_categorical_crossentropy, ([[0.5, 0.5]], [1]), np.log([2.0]), "a coin"),
    Edge(sparse_categorical_crossentropy, ([[2.0, 6.0]], [1]), -np.log([0.75]), "a row is divided by its sum"),
    Edge(
        sparse_categorical_crossentropy,
        ([[1.0, 0.0]], [1]),
        -np.log([1e-7]),
        "the largest loss there is: clipped at epsilon",
    ),
    Edge(
        sparse_categorical_crossentropy_backward,
        ([1.0], [[1.0, 0.0]], [1]),
        np.zeros((1, 2)),
        "the surest mistake has no gradient",
    ),
    Edge(sparse_categorical_accuracy, ([1], [[0.5, 0.5]]), np.zeros(1), "of equal scores the first counts"),
]


# --- whole histories --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def keras_in(dtype):
    """Set Keras to a dtype; in float64 its rule that two arrays of float64 make one of float32 is taken out."""
    import keras
    from keras.src.backend.common import dtypes

    before, policy, rule = keras.config.floatx(), keras.config.dtype_policy(), dtypes.result_type

    def kept(*given):
        wide = keras.config.floatx() == "float64" and any("float64" in str(d) for d in given)
        return "float64" if wide else rule(*given)

    keras.config.set_floatx(np.dtype(dtype).name)
    keras.config.set_dtype_policy(np.dtype(dtype).name)  # else it is what it was when it was first asked for
    try:
        with warnings.catch_warnings(), mock.patch.object(dtypes, "result_type", kept):
            warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy, about torch's arrays in Keras
            yield keras
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(policy)


def pair_of(keras, layers, theirs, dtype, seed=0):
    """Return two models with the same weights."""
    ours = Sequential(layers, np.random.default_rng(seed), dtype)
    model = keras.Sequential([keras.Input(layers[0].shape), *theirs])
    model.set_weights(ours.get_weights())
    return ours, model


def classifier(keras):
    made = keras.layers
    ours = [Input((5,)), Dense(9, activation="relu"), Dense(4), Activation("softmax")]
    return ours, [made.Dense(9, activation="relu"), made.Dense(4), made.Activation("softmax")]


def convolutional(keras):
    made = keras.layers
    ours = [Input((7, 8, 2)), Conv2D(3, (3, 2), activation="relu"), MaxPooling2D(2), Flatten()]
    theirs = [made.Conv2D(3, (3, 2), activation="relu"), made.MaxPooling2D(2), made.Flatten()]
    return [*ours, Dense(4, activation="softmax")], [*theirs, made.Dense(4, activation="softmax")]


def regression(keras):
    made = keras.layers
    ours = [Input((5,)), Dense(6, activation="tanh"), Dense(6, "sigmoid", use_bias=False), Dense(1)]
    return ours, [made.Dense(6, "tanh"), made.Dense(6, "sigmoid", use_bias=False), made.Dense(1)]


def data_for(layers, dtype, classes=4):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(53, *layers[0].shape)).astype(dtype)
    return x, rng.integers(0, classes, 53) if classes else x[:, 0] * x[:, 1]


SETTINGS = [
    (classifier, Adam(0.01), lambda keras: keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", "accuracy"),
    (convolutional, Adam(), lambda keras: "adam", "sparse_categorical_crossentropy", "accuracy"),
    (regression, SGD(0.05, 0.9), lambda keras: keras.optimizers.SGD(0.05, momentum=0.9), "mse", "mae"),
]


def histories(dtype):
    """Judge history, final weights, evaluate and predict of three models."""
    worst, count = 0.0, 0
    with keras_in(dtype) as keras:
        for layers, optimizer, theirs, loss, metric in SETTINGS:
            ours, model = pair_of(keras, *layers(keras), dtype)
            x, y = data_for(layers(keras)[0], dtype, 0 if loss == "mse" else 4)
            ours.compile(optimizer, loss, metrics=[metric])
            model.compile(theirs(keras), loss, metrics=[metric])
            options = {"batch_size": 8, "epochs": 4, "validation_split": 0.25, "shuffle": False}
            run, peer = ours.fit(x, y, **options), model.fit(x, y, verbose=0, **options)
            assert set(run.history) == set(peer.history) and run.epoch == peer.epoch
            assert ours.count_params() == model.count_params()
            pairs = [(run.history[name], peer.history[name]) for name in peer.history]
            pairs += zip(ours.get_weights(), model.get_weights(), strict=True)
            pairs.append((ours.predict(x), model.predict(x, verbose=0)))
            # Keras lists the loss first, then the metrics
            pairs.append((ours.evaluate(x, y), model.evaluate(x, y, verbose=0)))
            for got, want in pairs:
                got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
                worst = max(worst, float(np.max(np.abs(got - want)) / np.max(np.abs(want))))
                count += got.size
    return worst, count


def by_formula(dtype):
    """Judge predictions of the regression network by the composition written out in float64."""
    layers = [Input((5,)), Dense(6, activation="tanh"), Dense(6, "sigmoid", use_bias=False), Dense(1)]
    model = Sequential(layers, np.random.default_rng(0), dtype)
    x = data_for(layers, dtype, 0)[0]
    w1, b1, w2, w3, b3 = (np.asarray(w, np.float64) for w in model.get_weights())
    want = 1 / (1 + np.exp(-np.tanh(x @ w1 + b1) @ w2)) @ w3 + b3
    return float(np.max(np.abs(model.predict(x) - want))), want.size


def stops_as_keras(dtype):
    """Count differences in where EarlyStopping ends a run, and in whether the best weights come back."""
    wrong = count = 0
    with keras_in(dtype) as keras:
        for patience, restore in ((0, False), (2, False), (2, True)):
            ours, model = pair_of(keras, *regression(keras), dtype)
            x, y = data_for(regression(keras)[0], dtype, 0)
            ours.compile(SGD(0.5, 0.9), "mse")
            model.compile(keras.optimizers.SGD(0.5, momentum=0.9), "mse")
            rules = {"patience": patience, "restore_best_weights": restore}
            options = {"batch_size": 16, "epochs": 15, "validation_split": 0.25, "shuffle": False}
            run = ours.fit(x, y, callbacks=[EarlyStopping(**rules)], **options)
            peer = model.fit(x, y, callbacks=[keras.callbacks.EarlyStopping(**rules)], verbose=0, **options)
            assert 1 < len(peer.epoch) < 15, "the rule stopped the run"
            wrong += run.epoch != peer.epoch
            share = max(np.max(np.abs(a - b)) for a, b in zip(ours.get_weights(), model.get_weights(), strict=True))
            wrong += bool(share > 1e-3)
            count += 2
    return wrong, count


def mistakes(keras):
    """Yield calls with the same mistake, ours and Keras's, and how many of its first words must be the same."""
    x, y, made, rng = np.zeros((4, 3)), np.zeros(4, int), keras.layers, np.random.default_rng(0)
    ours = Sequential([Input((3,)), Dense(2, "softmax")], rng)
    theirs = keras.Sequential([keras.Input((3,)), made.Dense(2, "softmax")])
    label_loss = "sparse_categorical_crossentropy"
    yield lambda: ours.fit(x, y), lambda: theirs.fit(x, y), 8
    yield lambda: ours.compile("adamax_", "mse"), lambda: theirs.compile("adamax_", "mse"), 6
    for options in ({"loss": "hinge_"}, {"loss": None}, {"loss": "mse", "metrics": ["auc_"]}):

        def wrong(options=options):
            fresh = keras.Sequential([keras.Input((3,)), made.Dense(2)])
            fresh.compile("adam", **options)
            fresh.fit(x, np.zeros((4, 2)), verbose=0)

        yield lambda options=options: ours.compile("adam", **options), wrong, 6
    text = {"loss": "mse", "metrics": "mae"}
    yield lambda: ours.compile("adam", **text), lambda: theirs.compile("adam", **text), 16
    yield lambda: Sequential([Input((3,)), Dense(2, "swish_")], rng), lambda: made.Dense(2, "swish_"), 7
    yield lambda: Sequential([Input((3,)), Dense(0)], rng), lambda: made.Dense(0), 12
    image, flat = [Input((2, 2, 1)), Conv2D(2, 3)], [Input((3,)), Conv2D(2, 3)]
    yield lambda: Sequential(image, rng), lambda: keras.Sequential([keras.Input((2, 2, 1)), made.Conv2D(2, 3)]), 12
    yield lambda: Sequential(flat, rng), lambda: keras.Sequential([keras.Input((3,)), made.Conv2D(2, 3)]), 0
    yield lambda: ours.set_weights([x]), lambda: theirs.set_weights([x]), 4
    yield lambda: ours.set_weights([x, y]), lambda: theirs.set_weights([x, y]), 1
    yield lambda: ours.predict(x[:, :2]), lambda: theirs.predict(x[:, :2], verbose=0), 0
    ours.compile("adam", label_loss)
    theirs.compile("adam", label_loss)
    yield lambda: ours.fit(x, y[:3]), lambda: theirs.fit(x, y[:3], verbose=0), 13
    for share in (0.9, 1.0):
        split = {"validation_split": share}
        yield lambda split=split: ours.fit(x, y, **split), lambda split=split: theirs.fit(x, y, verbose=0, **split), 20


def message(call):
    with pytest.raises(ValueError, match=r"\S") as caught:
        call()
    return re.sub(r"\x1b\[\w+", "", str(caught.value))


def refusals(dtype):
    """Count mistakes for which the first words of Keras's message are not those here; more than a line is wrong too."""
    wrong = count = 0
    with keras_in(dtype) as keras:
        for ours, theirs, same in mistakes(keras):
            got, want = message(ours), message(theirs)
            heads = ([word.strip(".") for word in text.split()[:same]] for text in (got, want))
            wrong += next(heads) != next(heads) or "\n" in got
            if not same:
                wrong += "is incompatible with the layer: expected" not in got or "is incompatible with the" not in want
            count += 1
    return wrong, count


def table_as_keras(dtype):
    """Count lines of the summary of a convolutional network that are not Keras's."""
    printed, theirs = [], []
    with keras_in(dtype) as keras:
        keras.utils.clear_session()  # layers are counted from the start
        ours, model = pair_of(keras, *convolutional(keras), dtype)
        ours.summary(print_fn=printed.append)
        model.summary(print_fn=lambda text, line_break=False: theirs.append(text))
    got, want = "\n".join(printed).split("\n"), "\n".join(theirs).strip("\n").split("\n")
    assert len(got) == len(want), (got, want)
    return sum(a.rstrip() != b.rstrip() for a, b in zip(got, want, strict=True)), len(want)


LEARNED = [sparse_categorical_crossentropy, sparse_categorical_accuracy]
PROOFS = [
    Proof(
        LEARNED,
        "keras.Sequential on PyTorch",
        "through Sequential.fit: histories, weights, evaluate, predict of three models, 4 epochs, Adam and SGD",
        "normwise",
        # Keras computes 1 - beta2^t of Adam in the dtype: 500 eps at the first step. See `keras_in` for float64.
        {"float32": 500 * 2.0**-23, "float64": 500 * 2.0**-52},
        histories,
    ),
    Proof(
        [sparse_categorical_crossentropy],
        "the formula in NumPy",
        "through Sequential.predict: 53 outputs of three layers",
        "absolute",
        {"float32": 1e-5, "float64": 1e-14},
        by_formula,
    ),
    Proof(
        [sparse_categorical_crossentropy],
        "keras.callbacks.EarlyStopping",
        "through Sequential.fit: three rules, the epoch that ends a run and the weights it leaves",
        "count",
        0,
        stops_as_keras,
        dtypes=("float64",),
    ),
    Proof(
        LEARNED,
        "the messages of Keras",
        "16 mistakes in the use of Sequential: the same first words, in one line",
        "count",
        0,
        refusals,
        dtypes=("float32",),
    ),
]

PROOFS.append(
    Proof(LEARNED, "the summary of Keras", "five layers, line by line", "count", 0, table_as_keras, dtypes=("float32",))
)

# --- conventions ------------------------------------------------------------------------------------------------------


def keras_surest_mistake():
    import keras

    return float(keras.losses.sparse_categorical_crossentropy(np.array([1]), np.array([[1.0, 0.0]], "f4"))[0])


def keras_surest_mistake_logits():
    import keras

    call = keras.losses.sparse_categorical_crossentropy
    return float(call(np.array([1]), np.array([[100.0, 0.0]], "f4"), from_logits=True)[0])


def keras_default(call, name):
    import keras

    return inspect.signature(call(keras)).parameters[name].default


def keras_held_out():
    """Return which of ten examples are validated: their value, read off a constant prediction of zero."""
    import keras

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(0.0), "mae")
    x = np.arange(10.0)[:, None]
    return model.fit(x, x, validation_split=0.2, verbose=0).history["val_loss"][0]


def ours_held_out():
    model = Sequential([Input((1,)), Dense(1)], np.random.default_rng(0))
    model.set_weights([np.zeros((1, 1)), np.zeros(1)])
    model.compile(SGD(0.0), lambda y_pred, y_true: np.abs(y_pred - y_true))
    x = np.arange(10.0)[:, None]
    return model.fit(x, x, validation_split=0.2).history["val_loss"][0]


def sklearn_held_out():
    from sklearn.model_selection import train_test_split

    return float(np.mean(train_test_split(np.arange(10.0), test_size=0.2, random_state=0)[1]))


CONVENTIONS = [
    Convention(
        "keras",
        "probabilities-or-logits",
        "The loss of a sure mistake, from probabilities and from logits",
        "softmax of the logits (100, 0), true class 1, float32",
        [
            Row(
                "dlref",
                "`sparse_categorical_crossentropy`: probabilities, clipped at $10^{-7}$",
                "16.118",
                lambda: float(sparse_categorical_crossentropy(np.array([[1.0, 0.0]], np.float32), [1])[0]),
                "{:.3f}",
                "dlref",
            ),
            Row(
                "Keras",
                "`from_logits=False`, the default: probabilities, clipped at $10^{-7}$",
                "16.118",
                keras_surest_mistake,
                "{:.3f}",
                "keras",
            ),
            Row("Keras", "`from_logits=True`", "100.000", keras_surest_mistake_logits, "{:.3f}", "keras"),
            Row(
                "dlref",
                "`cross_entropy`: logits",
                "100.000",
                lambda: float(cross_entropy(np.array([[100.0, 0.0]], np.float32), [1])),
                "{:.3f}",
                "dlref",
            ),
            Row(
                "PyTorch",
                "`cross_entropy`: logits",
                "100.000",
                lambda: float(torch.nn.functional.cross_entropy(torch.tensor([[100.0, 0.0]]), torch.tensor([1]))),
                "{:.3f}",
                "torch",
            ),
        ],
    ),
    Convention(
        "keras",
        "held-out-examples",
        "Which examples are held out",
        "the numbers 0 to 9, a share of 0.2: the mean of those held out",
        [
            Row("dlref", "`validation_split`: the last ones", "8.5", ours_held_out, package="dlref"),
            Row("Keras", "`validation_split`: the last ones, before shuffling", "8.5", keras_held_out, package="keras"),
            Row(
                "scikit-learn",
                "`train_test_split`: drawn at random, here with seed 0",
                "5.0",
                sklearn_held_out,
                package="scikit-learn",
            ),
        ],
    ),
    Convention(
        "keras",
        "weights-after-stopping",
        "Which weights early stopping leaves",
        "the default of the option that brings the best ones back",
        [
            Row(
                "dlref",
                "`restore_best_weights` of `EarlyStopping`",
                "False",
                lambda: inspect.signature(EarlyStopping).parameters["restore_best_weights"].default,
                package="dlref",
            ),
            Row(
                "Keras",
                "`restore_best_weights` of `EarlyStopping`",
                "False",
                lambda: keras_default(lambda keras: keras.callbacks.EarlyStopping, "restore_best_weights"),
                package="keras",
            ),
            Row(
                "dlref",
                "`training.fit` with `stop=`: always the best",
                "True",
                lambda: best_come_back(),
                package="dlref",
            ),
        ],
    ),
]


def keras_product():
    import keras

    third = torch.full((1, 1), 1 / 3, dtype=torch.float64)
    return float(keras.ops.matmul(third, third)[0, 0])


CONVENTIONS.append(
    Convention(
        "keras",
        "keras-float64",
        "What a product in float64 is computed in",
        r"the product of two $1 \times 1$ matrices of float64, $\frac13 \cdot \frac13$",
        [
            Row("NumPy", "float64", "0.1111111111111111", lambda: float(np.full(1, 1 / 3) @ np.full(1, 1 / 3))),
            Row(
                "PyTorch",
                "float64",
                "0.1111111111111111",
                lambda: float(
                    torch.full((1,), 1 / 3, dtype=torch.float64) @ torch.full((1,), 1 / 3, dtype=torch.float64)
                ),
                package="torch",
            ),
            Row(
                "Keras",
                "`ops.matmul` on PyTorch: both factors are rounded to float32 first",
                "0.111111119389534",
                keras_product,
                package="keras",
            ),
        ],
    )
)


def best_come_back():
    from dlref.training import fit, patience

    values = iter([3.0, 1.0, 2.0, 2.5])
    run = fit(
        lambda params, x: np.mean(params[0] * x),
        (0.0,),
        np.ones(2),
        lambda p, g, state, lr, out: (p + 1, state),
        None,
        lr=1.0,
        epochs=4,
        batch_size=2,
        rng=None,
        metrics={"value": lambda params: next(values)},
        monitor="value",
        stop=patience(2),
    )
    return float(run.params[0]) == 2.0


def thunks(dtype):
    rng = np.random.default_rng(0)
    p, y = rng.uniform(0.05, 1, (10_000, 10)).astype(dtype), rng.integers(0, 10, 10_000)
    tp, ty = torch.from_numpy(p), torch.from_numpy(y)
    return lambda: sparse_categorical_crossentropy(p, y), lambda: torch_loss(tp, ty)


def pulling(dtype):
    rng = np.random.default_rng(0)
    p, y = rng.uniform(0.05, 1, (10_000, 10)).astype(dtype), rng.integers(0, 10, 10_000)
    leaf, dy = torch.from_numpy(p).requires_grad_(), rng.normal(size=10_000).astype(dtype)
    loss, cotangent = torch_loss(leaf, torch.from_numpy(y)), torch.from_numpy(dy)
    ours = lambda: sparse_categorical_crossentropy_backward(dy, p, y)  # noqa: E731
    return ours, lambda: torch.autograd.grad(loss, leaf, cotangent, retain_graph=True)


def hitting(dtype):
    rng = np.random.default_rng(0)
    p, y = rng.random((10_000, 10)).astype(dtype), rng.integers(0, 10, 10_000)
    tp, ty = torch.from_numpy(p), torch.from_numpy(y)
    return lambda: sparse_categorical_accuracy(y, p), lambda: (tp.argmax(1) == ty).to(tp.dtype)


BENCH = [
    Bench(
        "training.sparse_categorical_crossentropy", "nll_loss of clipped rows in PyTorch", "1e4 x 10", thunks, aim=1.0
    ),
    Bench(
        "training.sparse_categorical_crossentropy_backward",
        "nll_loss of clipped rows in PyTorch, autograd",
        "1e4 x 10",
        pulling,
        aim=1.0,
    ),
    Bench("training.sparse_categorical_accuracy", "argmax and == in PyTorch", "1e4 x 10", hitting, aim=1.0),
]
