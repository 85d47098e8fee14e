"""Expected errors against many draws, inverse Wishart means and the definitions."""

import functools

import numpy as np
import torch
from scipy.stats import invwishart
from sklearn.linear_model import LinearRegression

from dlref.models import ridge
from dlref.optimizers import adam_state, adamw
from dlref.training import fit, least_squares_errors, legendre_features, linear_fit_errors
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row


def by_wishart(p, used, unused, n, noise):
    """The mean of the inverse of the matrix that each formula rests on, from SciPy."""
    train, test = [], []
    for features, inside, outside in zip(p.astype(int), used, unused, strict=True):
        rest = noise**2 + outside
        if features < n:
            inverse = np.trace(np.atleast_2d(invwishart.mean(n, np.eye(features)))) if features else 0.0
            train.append(rest * (n - features) / n)
            test.append(rest + rest * inverse)
        else:
            inverse = np.trace(np.atleast_2d(invwishart.mean(features, np.eye(n))))
            train.append(0.0)
            test.append(rest + rest * inverse + inside * (features - n) / features)
    return np.array(train), np.array(test)


def by_draws(dtype):
    """Return the largest distance from the mean of 3000 least squares fits, in standard errors."""
    rng, n, noise, worst = np.random.default_rng(0), 12, 0.7, 0.0
    weights = rng.normal(size=40)
    for p in (3, 7, 20, 40):
        x = rng.normal(size=(3000, n, 40))
        y = np.einsum("tnd,d->tn", x, weights) + noise * rng.normal(size=(3000, n))
        fit = np.einsum("tpn,tn->tp", np.linalg.pinv(x[..., :p]), y)
        train = np.square(y - np.einsum("tnp,tp->tn", x[..., :p], fit)).mean(axis=1)
        test = np.square(fit - weights[:p]).sum(axis=1) + np.square(weights[p:]).sum() + noise**2
        want = least_squares_errors(n, [p], [np.square(weights[:p]).sum()], [np.square(weights[p:]).sum()], noise)
        for found, expected in ((test, want.test[0]), (train, want.train[0])):
            worst = max(worst, abs(found.mean() - expected) / max(found.std() / np.sqrt(3000), 1e-12))
    return worst, 8


def by_definition(hat, truth, noise):
    """Expectations over signs of the noise, all of them: only its variance and independence matter."""
    n = len(truth)
    signs = noise * (1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1))
    targets = truth + signs
    fits = targets @ hat.T
    bias, spread = np.mean((fits.mean(axis=0) - truth) ** 2), np.mean(fits.var(axis=0))
    test = np.mean([np.mean((truth + e - fits) ** 2) for e in (signs[0], -signs[0])])
    return np.mean((targets - fits) ** 2), test, bias, spread


def optimism(dtype):
    """Return the worst error of test minus train against twice the variance times the trace, Legendre and ridge."""
    rng, worst = np.random.default_rng(1), 0.0
    x = rng.uniform(-1, 1, 30)
    for degree in (0, 3, 9):
        a = np.polynomial.legendre.legvander(x, degree)
        for alpha in (0.0, 0.5):
            hat = a @ np.linalg.solve(a.T @ a + alpha * np.eye(degree + 1), a.T)
            found = linear_fit_errors(hat, np.sin(3 * x), 0.4)
            worst = max(worst, abs(found.test - found.train - 2 * 0.16 * np.trace(hat) / 30) / found.test)
            assert abs(found.test - found.bias - found.variance - 0.16) < 1e-14
    return worst, 6


def drawn(rng):
    return np.array([0.0, 3.0, 10.0, 15.0, 50.0]), rng.uniform(0, 3, 5), rng.uniform(0, 2, 5)


CASES = [
    Case(
        linear_fit_errors,
        lambda rng: (rng.normal(size=(7, 7)), rng.normal(size=7)),
        "all 128 signs of the noise",
        by_definition,
        kwargs={"noise": 0.6},
        bound=Normwise(49, 10.0),
        refuses=[
            (([[1.0]], [1.0, 2.0], 1.0), {}, ValueError, r"hat: expected shape \(2, 2\), got \(1, 1\)"),
            (([[1.0]], [1.0], -1.0), {}, ValueError, "noise: expected a number in "),
            ((np.empty((0, 0)), [], 1.0), {}, ValueError, "truth: expected at least one target"),
        ],
    ),
    Case(
        legendre_features,
        lambda rng: (rng.uniform(-1, 1, 11),),
        "numpy.polynomial.legendre.legvander",
        lambda x, degree: np.polynomial.legendre.legvander(x, degree),
        kwargs={"degree": 6},
        sweep={"2000 points from -1 to 1": lambda rng, dtype: (np.linspace(-1, 1, 2000),)},
        bound=Normwise(7),
        refuses=[(([1.0], -1), {}, ValueError, "degree: expected an integer at least 0, got -1")],
    ),
]


def wishart(dtype):
    rng, worst = np.random.default_rng(2), 0.0
    for noise in (0.0, 0.8):
        args = drawn(rng)
        got, want = least_squares_errors(12, *args, noise), by_wishart(*args, 12, noise)
        worst = max(worst, *(np.max(np.abs(g - w) / np.maximum(w, 1)) for g, w in zip(got, want, strict=True)))
    return worst, 20


PROOFS = [
    Proof(
        [least_squares_errors],
        "scipy.stats.invwishart",
        "12 examples, 0 to 50 features, with and without noise",
        "relative",
        1e-14,
        wishart,
        dtypes=("float64",),
    ),
    Proof(
        [least_squares_errors],
        "3000 fits by numpy.linalg.pinv",
        "12 examples, 3 to 40 features of 40: distance of the means in standard errors",
        "standard errors",
        4.0,
        by_draws,
        dtypes=("float64",),
    ),
    Proof(
        [linear_fit_errors],
        "twice the variance times the trace",
        "test minus train for polynomials of three degrees, least squares and ridge",
        "relative",
        1e-14,
        optimism,
        dtypes=("float64",),
    ),
]
EDGES = [
    Edge(
        least_squares_errors,
        (10, [9, 10, 11], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]),
        ([0.1, 0.0, 0.0], [np.inf, np.inf, np.inf]),
        "at the threshold: no expectation",
        kwargs={"noise": 1},
        input="10 examples, 9, 10, 11 features, noise 1",
        output="train 0.1, 0, 0; test inf, inf, inf",
    ),
    Edge(
        least_squares_errors,
        (10, [10, 40], [4.0, 4.0], [0.0, 0.0]),
        ([0.0, 0.0], [0.0, 3.0]),
        "nothing but signal: found exactly with enough examples, shrunk by the share n / p otherwise",
        kwargs={"noise": 0},
        input="10 examples, 10 and 40 features, no noise",
        output="train 0, 0; test 0, 3",
    ),
    Edge(legendre_features, ([0.5], 0), [[1.0]], "degree 0: the constant", input="[0.5], degree 0"),
]


# --- where libraries differ -------------------------------------------------------------------------------------------


def ours_with_decay():
    """Return the loss of the first step where the optimizer decays the weights."""
    decayed = functools.partial(adamw, weight_decay=0.1)
    run = fit(
        lambda w, x, y: np.mean((w * x - y) ** 2),
        np.array([2.0]),
        (np.ones(1), np.full(1, 2.0)),
        decayed,
        adam_state,
        lr=0.0,
        epochs=1,
        batch_size=1,
        rng=None,
    )
    return run.history.epoch_loss[0]


def torch_with_decay():
    w = torch.tensor([2.0], requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1, weight_decay=0.1)
    loss = (w - 2).square().mean()
    loss.backward()
    optimizer.step()
    assert abs(w.item() - 1.98) < 1e-6, "the step knows of it, the loss does not"
    return loss.item()


def keras_with_penalty():
    import keras

    penalty = keras.regularizers.L2(0.1)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_regularizer=penalty)])
    model.layers[0].set_weights([np.array([[2.0]])])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x, y = np.ones((1, 1)), np.full((1, 1), 2.0)
    history = model.fit(x, y, validation_data=(x, y), verbose=0).history
    assert history["val_loss"] == history["loss"]
    return history["loss"][0]


def sklearn_with_penalty():
    from sklearn.neural_network import MLPRegressor

    model = MLPRegressor(hidden_layer_sizes=(), alpha=0.1, solver="sgd", learning_rate_init=1e-300)
    x, y = np.ones((1, 1)), np.full(1, 2.0)
    model.partial_fit(x, y)
    model.coefs_, model.intercepts_ = [np.array([[2.0]])], [np.zeros(1)]
    return model.partial_fit(x, y).loss_


ONE, TWO = np.ones((1, 1)), np.full(1, 2.0)


def descended_in_torch():
    line = torch.nn.Linear(1, 1, dtype=torch.float64)
    torch.nn.init.zeros_(line.weight), torch.nn.init.zeros_(line.bias)
    optimizer = torch.optim.SGD(line.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        (line(torch.from_numpy(ONE)) - 2).square().sum().backward()
        optimizer.step()
    return line.bias.item()


CONVENTIONS = [
    Convention(
        "overfitting",
        "overfitting-penalty",
        "Whether the training loss contains the penalty",
        "the model $2x$ on its one example, which it fits exactly, with an L2 penalty of 0.1: the loss reported",
        [
            Row(
                "dlref",
                "`fit` with `adamw`, whose decay is no part of the loss",
                "0.0",
                ours_with_decay,
                "{:.1f}",
                package="dlref",
            ),
            Row("PyTorch", "`weight_decay=0.1`, likewise", "0.0", torch_with_decay, "{:.1f}", package="torch"),
            Row(
                "Keras",
                r"`kernel_regularizer`: $0.1\, w^2$ is in `loss`, and in `val_loss` too",
                "0.4",
                keras_with_penalty,
                "{:.1f}",
                package="keras",
            ),
            Row(
                "scikit-learn",
                r"`alpha` of `MLPRegressor`: $\frac12 0.1\, w^2$ over the number of examples is in `loss_`",
                "0.2",
                sklearn_with_penalty,
                "{:.1f}",
                package="scikit-learn",
            ),
        ],
    ),
    Convention(
        "overfitting",
        "overfitting-shortest",
        "What is short in the shortest solution",
        "a line through one example, $x = 1$ and $y = 2$: its value at 0",
        [
            Row(
                "dlref",
                "`ridge(alpha=0, method='svd')`: the weights, the intercept is free",
                "2.0",
                lambda: ridge(ONE, TWO, 0.0, method="svd").intercept,
                "{:.1f}",
                package="dlref",
            ),
            Row(
                "scikit-learn",
                "`LinearRegression`: the same",
                "2.0",
                lambda: LinearRegression().fit(ONE, TWO).intercept_,
                "{:.1f}",
                package="scikit-learn",
            ),
            Row(
                "NumPy",
                "`lstsq` with a column of ones: weights and intercept together",
                "1.0",
                lambda: np.linalg.lstsq(np.column_stack([ONE, ONE]), TWO, rcond=None)[0][1],
                "{:.1f}",
                package="numpy",
            ),
            Row(
                "PyTorch",
                "gradient descent on `Linear` from zero: the same",
                "1.0",
                descended_in_torch,
                "{:.1f}",
                package="torch",
            ),
        ],
    ),
]


def thunks(dtype):
    x = np.linspace(-1, 1, 100_000).astype(dtype)
    return lambda: legendre_features(x, 10), lambda: np.polynomial.legendre.legvander(x, 10)


def fit_thunks(dtype):
    rng = np.random.default_rng(0)
    hat, truth = (rng.normal(size=(1000, 1000)) / 1000).astype(dtype), rng.normal(size=1000).astype(dtype)

    def theirs():
        h, f = hat.astype(np.float64), truth.astype(np.float64)
        left, bias = np.eye(1000) - h, np.mean((f - h @ f) ** 2)
        spread = np.sum(h * h) / 1000
        return bias + np.sum(left * left) / 1000, bias + 1 + spread, bias, spread

    return lambda: linear_fit_errors(hat, truth, 1.0), theirs


BENCH = [
    Bench("training.legendre_features", "numpy's legvander", "1e5, degree 10", thunks),
    Bench("training.linear_fit_errors", "the definition in NumPy", "1000", fit_thunks),
]
