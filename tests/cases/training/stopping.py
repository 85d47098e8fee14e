"""Early stopping, against Keras's callback on the same values and closed forms in mpmath."""

import functools
import itertools
from types import SimpleNamespace

import mpmath
import numpy as np
import torch

from dlref.optimizers import sgd, sgd_state
from dlref.training import descent_shrinkage, early_stop, equivalent_ridge, fit, patience
from tests.bounds import Relative
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.oracles import from_mpmath

inf, nan = np.inf, np.nan


def curvatures(rng, dtype=None):
    """Eigenvalues over nine orders of magnitude; a rate of 1/4 keeps the largest below the limit of two."""
    return (np.geomspace(1e-8, 7.5, 60) * (1 + 0.01 * rng.random(60)),)


def away_from_one():
    """Leave out where one step arrives: there the penalty underflows."""
    values = np.logspace(-30, 0.87, 3000)
    return values[np.abs(values - 4) > 0.4]


def power(x, lr, steps):
    return (1 - mpmath.mpf(lr) * x) ** steps


def shrinkage(x, lr, steps):
    return 1 - power(x, lr, steps)


def ridge(x, lr, steps):
    return x * power(x, lr, steps) / (1 - power(x, lr, steps))


def way_condition(eigenvalues, lr=0.25, steps=8):
    """Bound how the share of the way magnifies a rounding error of x = lr times curvature, and of the power."""
    x = lr * eigenvalues
    return np.abs(steps * x * (1 - x) ** (steps - 1)) / np.abs(1 - (1 - x) ** steps) + np.abs(1 - x) ** steps


def penalty_condition(eigenvalues, lr=0.25, steps=8):
    """Bound how the power magnifies the rounding of its base: by t x / |1 - x|."""
    x = lr * eigenvalues
    return steps * x / np.abs(1 - x)


FEW = {"lr": 0.25, "steps": 8}
CASES = [
    Case(
        descent_shrinkage,
        curvatures,
        "1 - (1 - lr x)^t in mpmath",
        from_mpmath(shrinkage),
        FEW,
        bound=Relative(way_condition),
        sweep={"1e-30 to 7.5": lambda rng, dtype: (np.append(np.logspace(-30, 0.87, 3000), 4.0),)},
        refuses=[
            (([-1.0], 0.1, 1), {}, ValueError, "eigenvalues: expected none below zero, got -1"),
            (([1.0], -0.1, 1), {}, ValueError, "lr: expected a number in"),
            (([1.0], 0.1, -1), {}, ValueError, "steps: expected an integer at least 0, got -1"),
        ],
    ),
    Case(
        equivalent_ridge,
        curvatures,
        "x p / (1 - p), p = (1 - lr x)^t, in mpmath",
        from_mpmath(ridge),
        FEW,
        bound=Relative(penalty_condition),
        sweep={"1e-30 to 7.5, but for 3.6 to 4.4": lambda rng, dtype: (away_from_one(),)},
        refuses=[
            (([-1.0], 0.1, 1), {}, ValueError, "eigenvalues: expected none below zero, got -1"),
            (([1.0], 0.1, 1.5), {}, TypeError, "steps: expected an integer, got float"),
        ],
    ),
    *[
        Case(
            function,
            curvatures,
            words,
            from_mpmath(formula),
            {"lr": 0.25, "steps": steps},
            bound=Relative(functools.partial(condition, steps=steps)),
            label=f"{steps} steps",
        )
        for function, words, formula, condition in (
            (descent_shrinkage, "1 - (1 - lr x)^t in mpmath", shrinkage, way_condition),
            (equivalent_ridge, "x p / (1 - p), p = (1 - lr x)^t, in mpmath", ridge, penalty_condition),
        )
        for steps in (5, 10)  # an odd number, after which the steep directions have overshot, and an even one
    ],
]


def blank_model():
    """Return what a rule for stopping needs of a model."""
    model = SimpleNamespace(stop_training=False, weights=None)
    model.get_weights = lambda: model.weights
    model.set_weights = lambda weights: setattr(model, "weights", weights)
    return model


def stopped(callback, model, values):
    """Return the epoch after which a rule stops, and the one whose weights are left."""
    model.stop_training = False
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        model.weights = epoch
        callback.on_epoch_end(epoch, {"v": value})
        if model.stop_training:
            break
    callback.on_train_end()
    return epoch, model.weights


def keras_run(values, wait, min_delta=0.0, mode="min", restore=True):
    """Return when and where Keras stops."""
    import keras

    callback = keras.callbacks.EarlyStopping("v", min_delta, wait, mode=mode, restore_best_weights=restore)
    model = blank_model()
    callback.set_model(model)
    return stopped(callback, model, values)


def as_keras(dtype):
    """Count differences on every sequence of five values out of three, with and without NaN, for all options."""
    wrong, count = 0, 0
    numbers, others = (itertools.product(three, repeat=5) for three in ((1.0, 2.0, 3.0), (1.0, 2.0, nan)))
    # Where the first is NaN Keras differs: see the convention.
    for values in (*numbers, *(five for five in others if five[0] == five[0])):
        for wait, min_delta, mode in itertools.product((1, 2, 3), (0.0, 1.0), ("min", "max")):
            got = early_stop(np.array(values, dtype), wait, min_delta, mode)
            wrong += (got.last, got.best) != keras_run(values, wait, min_delta, mode)
            rule = patience(wait, min_delta, mode)
            asked = [rule(list(values[: k + 1])) for k in range(5)]
            wrong += (asked.index(True) if any(asked) else 4) != got.last or any(asked) != got.stopped
            count += 2
    return wrong, count


def descent_and_ridge(dtype):
    """Descend on a quadratic, and solve the ridge problem of each direction with the equivalent penalty."""
    rng = np.random.default_rng(0)
    q, values, target = np.linalg.qr(rng.normal(size=(6, 6)))[0], np.geomspace(0.01, 3, 6), rng.normal(size=6)
    hessian, w = q * values @ q.T, np.zeros(6)
    for _ in range(25):
        w -= 0.5 * hessian @ (w - target)
    along = q.T @ target
    shrunk = q @ (descent_shrinkage(values, 0.5, 25) * along)
    alpha = equivalent_ridge(values, 0.5, 25)
    solved = q @ np.linalg.solve(np.diag(values + alpha), values * along)
    return max(np.max(np.abs(a - w)) / np.max(np.abs(w)) for a in (shrunk, solved)), 12


def restores_as_keras(dtype):
    """Run fit on values that are given, and look at the parameters that come back."""
    wrong, count = 0, 0
    for values, mode in itertools.product(((3.0, 1.0, 2.0, 2.0, 0.5), (1.0, 3.0, 4.0, 2.0, 2.0, 9.0)), ("min", "max")):
        for wait in (1, 2, 3):
            wrong += fitted(values, wait, mode) != keras_run(values, wait, mode=mode)
            count += 1
    return wrong, count


def fitted(values, wait, mode="min", min_delta=0.0):
    """Train a parameter that counts the epochs; return the last epoch, and the epoch whose parameter comes back."""
    shown = iter(values)
    run = fit(
        lambda p, x: -np.sum(p[0] * x),
        (0.0,),
        np.ones(1),
        sgd,
        sgd_state,
        lr=1.0,
        epochs=len(values),
        batch_size=1,
        rng=None,
        metrics={"v": lambda params: next(shown)},
        monitor="v",
        stop=patience(wait, min_delta, mode),
    )
    return len(run.history.epoch_loss) - 1, int(run.params[0]) - 1


PROOFS = [
    Proof(
        [early_stop, patience],
        "keras.callbacks.EarlyStopping",
        "405 sequences of five values, with and without NaN, 12 options: last epoch, restored epoch",
        "count",
        0,
        as_keras,
        dtypes=("float64",),
    ),
    Proof(
        [patience, fit],
        "keras.callbacks.EarlyStopping, restore_best_weights",
        "12 runs: last epoch, restored parameters",
        "count",
        0,
        restores_as_keras,
        dtypes=("float64",),
    ),
    Proof(
        [descent_shrinkage, equivalent_ridge],
        "25 steps of descent, and the ridge solution",
        "a quadratic with six curvatures from 0.01 to 3",
        "normwise",
        1e-12,
        descent_and_ridge,
        dtypes=("float64",),
    ),
]

ONE = {"lr": 0.5, "steps": 1}
EDGES = [
    Edge(early_stop, ([2.0, 2.0, 2.0], 2), (2.0, 0.0, 2.0, True), "equal is not better", output="stops, keeps 0"),
    Edge(
        early_stop,
        ([2.0, 1.5, 1.0, 0.5], 2),
        (3.0, 2.0, 1.0, False),
        "small improvements add up until one is large enough; the last one is not",
        {"min_delta": 0.5},
        input="2, 1.5, 1, 0.5; patience 2, min_delta 0.5",
        output="goes on, keeps 2",
    ),
    Edge(
        early_stop,
        ([1.0, nan, nan], 2),
        (2.0, 0.0, 1.0, True),
        "NaN is no improvement, and patience runs out",
        output="stops, keeps 0",
    ),
    Edge(early_stop, ([nan, nan], 1), (0.0, 0.0, nan, True), "nothing to keep but the first", output="stops, keeps 0"),
    Edge(
        early_stop,
        ([nan, 2.0, 1.9, 1.8], 2),
        (3.0, 3.0, 1.8, False),
        "NaN counts as one epoch, and by default any improvement is one",
        output="goes on, keeps 3",
    ),
    Edge(
        early_stop,
        ([1.0, 2.0], 1),
        ValueError,
        "to improve by less than nothing would be to get worse",
        {"min_delta": -1.0},
        input="1, 2; min_delta -1",
    ),
    Edge(early_stop, ([1.0], 0), ValueError, "a patience of zero would stop before anything could improve"),
    Edge(
        descent_shrinkage, ([0.0, 1.0],), np.array([0.0, 0.0]), "no step", {"lr": 0.5, "steps": 0}, input="0, 1; t = 0"
    ),
    Edge(
        descent_shrinkage,
        ([2.0, 3.0],),
        np.array([1.0, 1.5]),
        "one step: there, and beyond",
        ONE,
        input="2, 3; rate 0.5, t = 1",
    ),
    Edge(
        descent_shrinkage,
        ([1.0, 4.0],),
        np.array([0.875, 2.0]),
        "at a rate of two over the curvature a direction jumps between 0 and 2",
        {"lr": 0.5, "steps": 3},
        input="1, 4; rate 0.5, t = 3",
    ),
    Edge(
        equivalent_ridge,
        ([0.0],),
        np.array([0.5]),
        "flat: the limit, one over rate times steps",
        {"lr": 0.5, "steps": 4},
        input="0; rate 0.5, t = 4",
    ),
    Edge(
        equivalent_ridge,
        ([1.0],),
        np.array([inf]),
        "no step: an infinite penalty",
        {"lr": 0.5, "steps": 0},
        input="1; t = 0",
    ),
    Edge(
        equivalent_ridge, ([3.0],), np.array([-1.0]), "overshot: no penalty does that", ONE, input="3; rate 0.5, t = 1"
    ),
]


def sklearn_constant():
    import warnings

    from sklearn.neural_network import MLPRegressor

    model = MLPRegressor(
        hidden_layer_sizes=(1,), solver="sgd", learning_rate_init=1e-12, n_iter_no_change=2, max_iter=50, shuffle=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(np.ones((4, 1)), np.ones(4)).n_iter_


def plateau():
    w = torch.nn.Parameter(torch.zeros(1))
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(torch.optim.SGD([w], lr=1.0), patience=2)
    for epoch in range(1, 20):
        schedule.step(1.0)
        if schedule.get_last_lr()[0] < 1:
            return epoch
    return None


CONVENTIONS = [
    Convention(
        "early-stopping",
        "stopping-patience",
        "What a patience of two means",
        "a value that never changes: epochs that are run",
        [
            Row("dlref", "two epochs without improvement", "3", lambda: early_stop(np.ones(9), 2).last + 1),
            Row("Keras", "`patience=2`: the same", "3", lambda: keras_run(np.ones(9), 2)[0] + 1, package="keras"),
            Row("Keras", "`patience=1`", "2", lambda: keras_run(np.ones(9), 1)[0] + 1, package="keras"),
            Row("Keras", "`patience=0`: as one", "2", lambda: keras_run(np.ones(9), 0)[0] + 1, package="keras"),
            Row(
                "scikit-learn",
                "`n_iter_no_change=2` of `MLPRegressor`: more than two",
                "4",
                sklearn_constant,
                package="scikit-learn",
            ),
            Row(
                "PyTorch",
                "`ReduceLROnPlateau(patience=2)`, which lowers the rate: more than two",
                "4",
                plateau,
                package="torch",
            ),
        ],
    ),
    Convention(
        "early-stopping",
        "stopping-restores",
        "Whose parameters come back",
        "values 3, 1, 2, 2 with patience two: the epoch of the parameters, counted from 1",
        [
            Row("dlref", "`fit(stop=patience(2))`: the best", "2", lambda: fitted((3.0, 1.0, 2.0, 2.0), 2)[1] + 1),
            Row(
                "Keras",
                "default: the last",
                "4",
                lambda: keras_run((3.0, 1.0, 2.0, 2.0), 2, restore=False)[1] + 1,
                package="keras",
            ),
            Row(
                "Keras",
                "`restore_best_weights=True`: the best",
                "2",
                lambda: keras_run((3.0, 1.0, 2.0, 2.0), 2)[1] + 1,
                package="keras",
            ),
        ],
    ),
    Convention(
        "early-stopping",
        "stopping-nan",
        "A run whose first value is NaN",
        "values NaN, 2, 1 with patience two: the epoch of the parameters, counted from 1",
        [
            Row("dlref", "NaN is never best", "3", lambda: fitted((nan, 2.0, 1.0), 2)[1] + 1),
            Row(
                "Keras",
                "the first value is best, whatever it is, and nothing is less than NaN",
                "1",
                lambda: keras_run((nan, 2.0, 1.0), 2)[1] + 1,
                package="keras",
            ),
        ],
    ),
    Convention(
        "early-stopping",
        "stopping-best",
        "What counts as best with a minimal improvement",
        "values 3, 1.9, 1.5, 2 with patience two and min_delta 1: the epoch of the parameters, counted from 1",
        [
            Row(
                "dlref",
                "the smallest value, however little smaller",
                "3",
                lambda: fitted((3.0, 1.9, 1.5, 2.0), 2, min_delta=1.0)[1] + 1,
            ),
            Row(
                "Keras",
                "the last one that was better by `min_delta`",
                "2",
                lambda: keras_run((3.0, 1.9, 1.5, 2.0), 2, 1.0)[1] + 1,
                package="keras",
            ),
        ],
    ),
]


def thunks(function):
    def make(dtype):
        values = np.geomspace(1e-8, 7.5, 100_000).astype(dtype)
        leaf = torch.from_numpy(values)

        def theirs():
            left = (1 - 0.25 * leaf) ** 100
            return 1 - left if function is descent_shrinkage else leaf * left / (1 - left)

        return lambda: function(values, 0.25, 100), theirs

    return make


def stop_thunks(dtype):
    values = np.linspace(2, 1, 1000).astype(dtype)
    shown = values.tolist()
    return lambda: early_stop(values, 5), lambda: keras_run(shown, 5)


BENCH = [
    Bench("training.early_stop", "Keras's callback", "1,000 epochs", stop_thunks),
    Bench("training.descent_shrinkage", "the expression in torch", "1e5, 100 steps", thunks(descent_shrinkage)),
    Bench("training.equivalent_ridge", "the expression in torch", "1e5, 100 steps", thunks(equivalent_ridge)),
]
