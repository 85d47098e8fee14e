"""Shuffling, batches and the training loop, against permutations, DataLoader and torch's own loop."""

import inspect
import itertools

import numpy as np
import torch

from dlref.activations import relu
from dlref.losses import mean_squared_error
from dlref.optimizers import adam, adam_state
from dlref.training import fit, minibatches, patience, shuffled, steps_per_epoch
from dlref.training.loop import _shuffled
from tests.bounds import TRAINED
from tests.cases import Bench, Convention, Edge, Proof, Row


def every_order_once(dtype):
    """Every choice of places gives another order: 720 choices, 720 orders of six numbers."""
    orders = set()
    for places in itertools.product(*(range(i + 1) for i in range(6))):
        out = np.empty(6, np.int64)
        _shuffled(np.array([(j + 0.5) / (i + 1) for i, j in enumerate(places)]), out)
        orders.add(tuple(out))
    expected = set(itertools.permutations(range(6)))
    return len(expected ^ orders), len(expected)


def orders_are_equally_likely(dtype):
    """Pearson's statistic of the 24 orders of four numbers, as a share of its 0.999 quantile with 23 degrees."""
    rng, draws = np.random.default_rng(6), 24_000
    counts = dict.fromkeys(itertools.permutations(range(4)), 0)
    for _ in range(draws):
        counts[tuple(shuffled(4, rng))] += 1
    return sum((c - draws / 24) ** 2 / (draws / 24) for c in counts.values()) / 49.73, draws


def loader(n, batch_size, drop_last, generator=None):
    data = torch.utils.data.TensorDataset(torch.arange(n))
    shuffle = generator is not None
    return torch.utils.data.DataLoader(data, batch_size, shuffle, drop_last=drop_last, generator=generator)


def batches_as_in_torch(dtype):
    wrong, count = 0, 0
    for n, size, drop in itertools.product((1, 2, 7, 12, 100), (1, 3, 4, 12, 101), (False, True)):
        ours = list(minibatches(n, size, np.random.default_rng(n), drop))
        theirs = [len(batch) for (batch,) in loader(n, size, drop, torch.Generator().manual_seed(0))]
        wrong += [len(batch) for batch in ours] != theirs
        wrong += steps_per_epoch(n, size, drop) != len(loader(n, size, drop))
        seen = np.concatenate([np.empty(0, np.int64), *ours])
        wrong += len(set(seen)) != len(seen) or (not drop and sorted(seen) != list(range(n)))
        count += 3
    return wrong, count


def loss(params, x, y):
    w, b = params
    return np.mean((np.tanh(x @ w) + b - y) ** 2)


def runs_as_in_torch(dtype):
    """Fit the same model on the same batches with torch's tape and Adam; judge losses and parameters."""
    rng = np.random.default_rng(8)
    x, y, start = rng.normal(size=(22, 3)), rng.normal(size=22), (rng.normal(size=3), np.zeros(()))
    run = fit(loss, start, (x, y), adam, adam_state, lr=0.05, epochs=2, batch_size=5, rng=np.random.default_rng(1))
    order = np.random.default_rng(1)
    w, b = (torch.from_numpy(p.copy()).requires_grad_() for p in start)
    optimizer, losses = torch.optim.Adam([w, b], lr=0.05), []
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)
    for _ in range(2):
        for batch in minibatches(22, 5, order):
            batch = torch.from_numpy(batch)
            optimizer.zero_grad()
            value = ((torch.tanh(tx[batch] @ w) + b - ty[batch]) ** 2).mean()
            value.backward()
            optimizer.step()
            losses.append(value.item())
    pairs = [(run.history.loss, losses), (run.params[0], w.detach().numpy()), (run.params[1], b.detach().numpy())]
    assert len(run.history.loss) == 10
    return max(np.max(np.abs(np.subtract(a, c))) / np.max(np.abs(c)) for a, c in pairs), 14


def patience_against_its_definition(dtype):
    """Count sequences on which the rule differs from: the last p values have not fallen below the best before them."""
    wrong, count = 0, 0
    for values in itertools.product((1.0, 2.0, 3.0), repeat=6):
        for p in (1, 2, 3):
            best = min(range(6), key=lambda k: (values[k], k))
            wrong += patience(p)(list(values)) != (5 - best >= p)
            count += 1
    return wrong, count


PROOFS = [
    Proof([shuffled], "the 720 orders of 6 numbers", "all choices of places", "count", 0, every_order_once),
    Proof(
        [shuffled],
        "Pearson's chi-squared test at 0.001",
        "24,000 draws of the 24 orders of 4 numbers",
        "share",
        1.0,
        orders_are_equally_likely,
        dtypes=("float64",),
    ),
    Proof(
        [minibatches, steps_per_epoch],
        "torch.utils.data.DataLoader, and every example once",
        "50 pairs of data and batch sizes",
        "count",
        0,
        batches_as_in_torch,
        dtypes=("float64",),
    ),
    Proof(
        [fit],
        "torch.autograd and torch.optim.Adam on the same batches",
        "10 steps: losses and parameters",
        "normwise",
        TRAINED,
        runs_as_in_torch,
        dtypes=("float64",),
    ),
    Proof(
        [patience],
        "its definition",
        "2,187 sequences of six values",
        "count",
        0,
        patience_against_its_definition,
        dtypes=("float64",),
    ),
]

EDGES = [
    Edge(steps_per_epoch, (10, 4), 3.0, "the last batch has two examples"),
    Edge(steps_per_epoch, (10, 4), 2.0, "the last batch is left out", {"drop_last": True}, input="10, 4, drop_last"),
    Edge(steps_per_epoch, (10, 20), 1.0, "one batch of all examples"),
    Edge(steps_per_epoch, (10, 20), 0.0, "no batch at all", {"drop_last": True}, input="10, 20, drop_last"),
    Edge(steps_per_epoch, (0, 4), 0.0, "an empty data set"),
    Edge(steps_per_epoch, (10, 0), ValueError, "a batch has at least one example"),
]

# --- conventions ------------------------------------------------------------------------------------------------------


def ours_after_two_epochs():
    x = np.zeros((10, 3))
    run = fit(
        loss,
        (np.zeros(3), np.zeros(())),
        (x, x[:, 0]),
        adam,
        adam_state,
        lr=0.1,
        epochs=2,
        batch_size=3,
        rng=np.random.default_rng(0),
    )
    return len(run.history.loss)


def torch_after_two_epochs():
    layer = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
    for _ in range(2):
        for (batch,) in loader(10, 3, False):
            optimizer.zero_grad()
            layer(torch.ones(len(batch), 3)).sum().backward()
            optimizer.step()
        schedule.step()
    return schedule.last_epoch


def keras_after_two_epochs():
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.zeros((10, 3)), np.zeros((10, 1)), batch_size=3, epochs=2, verbose=0)
    return int(model.optimizer.iterations)


def sklearn_after_two_epochs():
    import warnings

    from sklearn.neural_network import MLPRegressor

    model = MLPRegressor(batch_size=3, max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that two are too few
        model.fit(np.random.default_rng(0).normal(size=(10, 3)), np.arange(10.0))
    return model


def default_of_shuffle(call):
    parameters = inspect.signature(call).parameters
    return parameters["shuffle"].default


def keras_shuffle():
    import keras

    return default_of_shuffle(keras.Model.fit)


def sklearn_shuffle():
    from sklearn.neural_network import MLPClassifier

    return default_of_shuffle(MLPClassifier)


def torch_shuffle():
    batches = torch.utils.data.DataLoader(torch.arange(1000), batch_size=1000)
    return not torch.equal(next(iter(batches)), torch.arange(1000))


def ours_of_uneven_batches():
    x = np.array([0.0, 0.0, 0.0, 0.0, 5.0])
    run = fit(lambda p, x: np.mean(p[0] * 0 + x), (0.0,), x, adam, adam_state, lr=0.0, epochs=1, batch_size=2, rng=None)
    return run.history.epoch_loss[0]


def torch_of_uneven_batches():
    data = torch.utils.data.TensorDataset(torch.tensor([0.0, 0.0, 0.0, 0.0, 5.0]))
    batches = torch.utils.data.DataLoader(data, 2)
    return sum(batch.mean().item() for (batch,) in batches) / len(batches)


def keras_of_uneven_batches():
    import keras

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.0), "mae")
    x = np.array([[0.0], [0.0], [0.0], [0.0], [5.0]])
    return model.fit(x, np.zeros((5, 1)), batch_size=2, shuffle=False, verbose=0).history["loss"][0]


CONVENTIONS = [
    Convention(
        "epoch",
        "shuffled-by-default",
        "Whether the examples are shuffled unless one says so",
        "what happens when nothing is said",
        [
            Row(
                "dlref",
                "`rng` has no default: a generator shuffles, `None` keeps the order",
                "asks",
                lambda: "asks" if inspect.signature(fit).parameters["rng"].default is inspect.Parameter.empty else "?",
                package="dlref",
            ),
            Row("PyTorch", "`shuffle` of `DataLoader`", "False", torch_shuffle, package="torch"),
            Row("Keras", "`shuffle` of `fit`", "True", keras_shuffle, package="keras"),
            Row("scikit-learn", "`shuffle` of `MLPClassifier`", "True", sklearn_shuffle, package="scikit-learn"),
        ],
    ),
    Convention(
        "epoch",
        "iterations-counted",
        "What an iteration counts",
        "the counter after two epochs over 10 examples in batches of 3",
        [
            Row("dlref", "length of `history.loss`: steps", "8", ours_after_two_epochs, package="dlref"),
            Row("Keras", "`optimizer.iterations`: steps", "8", keras_after_two_epochs, package="keras"),
            Row(
                "scikit-learn",
                "`n_iter_`, bounded by `max_iter`: epochs",
                "2",
                lambda: sklearn_after_two_epochs().n_iter_,
                package="scikit-learn",
            ),
            Row(
                "scikit-learn",
                "`t_`: examples seen",
                "20",
                lambda: int(sklearn_after_two_epochs().t_),
                package="scikit-learn",
            ),
            Row(
                "PyTorch",
                "`last_epoch` of a schedule: calls of its `step`, here one an epoch",
                "2",
                torch_after_two_epochs,
                package="torch",
            ),
        ],
    ),
    Convention(
        "epoch",
        "epoch-loss",
        "The loss of an epoch whose batches differ in size",
        "batches of 2, 2 and 1 examples with losses (0, 0), (0, 0) and (5)",
        [
            Row("dlref", "mean over the examples", "1.00", ours_of_uneven_batches, "{:.2f}", package="dlref"),
            Row("Keras on PyTorch", "mean over the examples", "1.00", keras_of_uneven_batches, "{:.2f}", "keras"),
            Row(
                "PyTorch",
                "the usual loop: the sum of batch means by `len(loader)`",
                "1.67",
                torch_of_uneven_batches,
                "{:.2f}",
                package="torch",
            ),
        ],
    ),
]


def thunks(dtype):
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    return lambda: shuffled(100_000, rng), lambda: torch.randperm(100_000, generator=generator)


def batches_thunks(dtype):
    rng, theirs = np.random.default_rng(0), loader(10_000, 64, False, torch.Generator().manual_seed(0))
    return lambda: sum(len(rows) for rows in minibatches(10_000, 64, rng)), lambda: sum(len(x) for (x,) in theirs)


def fit_thunks(dtype):
    """One epoch of a network of two layers by Adam, ours through the tape."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6400, 64)).astype(dtype), rng.normal(size=(6400, 10)).astype(dtype)
    start = tuple((0.1 * rng.normal(size=size)).astype(dtype) for size in ((256, 64), (10, 256)))
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)

    def loss(params, x, y):
        return mean_squared_error(relu(x @ params[0].T) @ params[1].T, y)

    def ours():
        return fit(loss, start, (x, y), adam, adam_state, lr=0.001, epochs=1, batch_size=64, rng=rng)

    def theirs():
        params = [torch.from_numpy(p.copy()).requires_grad_() for p in start]
        optimizer = torch.optim.Adam(params, lr=0.001, fused=True)
        for rows in torch.randperm(6400).split(64):
            optimizer.zero_grad()
            fitted = torch.relu(inputs[rows] @ params[0].T) @ params[1].T
            torch.nn.functional.mse_loss(fitted, targets[rows]).backward()
            optimizer.step()
        return params

    return ours, theirs


BENCH = [
    Bench("training.shuffled", "torch.randperm", "1e5", thunks, dtypes=("float64",), aim=1.0),
    Bench("training.minibatches", "torch's DataLoader", "1e4 in 64s", batches_thunks, dtypes=("float64",)),
    Bench("training.fit", "the loop in torch", "6400 x 64, 256 units, batches of 64", fit_thunks, graph=True),
]
