"""The least attainable errors by integration and by fitting, and estimates of bias and variance."""

import numpy as np
import scipy.linalg
import scipy.special
import torch
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import ShuffleSplit
from sklearn.model_selection import learning_curve as sklearn_curve

from dlref.losses import bias_variance
from dlref.optimizers import sgd, sgd_state
from dlref.training import (
    best_linear_error,
    bias_estimate,
    fit,
    learning_curve,
    linear_fit_errors,
    normal_bayes_error,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row


def moments(rng):
    """Population moments, those of a sample, so that its own regression has exactly this error."""
    sample = rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6))
    joint = np.cov(sample.T, bias=True)
    return joint[:-1, :-1], joint[:-1, -1], float(joint[-1, -1])


def by_schur(covariance, cross, variance):
    joint = np.block([[covariance, cross[:, None]], [cross[None], np.array([[variance]])]])
    return 1 / np.linalg.inv(joint)[-1, -1]


def by_integral(mean0, mean1, covariance, share1):
    """The integral of the smaller joint density, along the line through the means."""
    direction = np.linalg.solve(covariance, mean1 - mean0)
    scale = np.sqrt(direction @ covariance @ direction)
    low, high = direction @ mean0 / scale, direction @ mean1 / scale
    cut = (low + high) / 2 + np.log((1 - share1) / share1) / (high - low)
    left = quad(lambda t: share1 * norm.pdf(t - high), cut - 40, cut, epsabs=1e-14, epsrel=1e-13, limit=400)[0]
    right = quad(lambda t: (1 - share1) * norm.pdf(t - low), cut, cut + 40, epsabs=1e-14, epsrel=1e-13, limit=400)[0]
    return left + right


def classes(rng):
    half = rng.normal(size=(3, 3))
    return rng.normal(size=3), rng.normal(size=3) + 1, half @ half.T + np.eye(3)


def draws(dtype):
    """Return the distance of the Bayes error from that of the rule itself on 200,000 draws, in standard errors."""
    rng, worst = np.random.default_rng(0), 0.0
    for share in (0.5, 0.2):
        mean0, mean1, covariance = classes(rng)
        label = rng.random(200_000) < share
        x = np.where(label[:, None], mean1, mean0) + rng.multivariate_normal(np.zeros(3), covariance, len(label))
        density = [multivariate_normal(m, covariance).logpdf(x) for m in (mean0, mean1)]
        wrong = (density[1] + np.log(share) > density[0] + np.log(1 - share)) != label
        expected = normal_bayes_error(mean0, mean1, covariance, share)
        worst = max(worst, abs(wrong.mean() - expected) / np.sqrt(expected * (1 - expected) / len(label)))
    return worst, 2


def unbiased(dtype):
    """Return the distance of mean estimates from the exact bias and variance of a linear fit, in standard errors."""
    rng = np.random.default_rng(1)
    x, found = np.linspace(-1, 1, 12), []
    a = np.polynomial.legendre.legvander(x, 2)
    hat, truth = a @ np.linalg.pinv(a), np.sin(3 * x)
    for _ in range(400):
        targets = truth + 0.5 * rng.normal(size=(4, 12))
        found.append(bias_estimate((targets @ hat.T).astype(dtype), truth.astype(dtype)))
    exact, found = linear_fit_errors(hat, truth, 0.5), np.array(found)
    away = np.abs(found.mean(axis=0) - [exact.bias, exact.variance])
    return np.max(away / (found.std(axis=0) / 20)), 2


def curve_by_hand(dtype):
    """Return the distance of a learning curve from the same fits without it."""
    rng, seen = np.random.default_rng(2), []
    x, y = rng.normal(size=(60, 3)), rng.normal(size=60)

    def train_and_judge(rows):
        seen.append(rows.copy())
        w = np.linalg.lstsq(x[rows], y[rows], rcond=None)[0]
        return np.mean((y[rows] - x[rows] @ w) ** 2), np.mean((y - x @ w) ** 2)

    found = learning_curve(train_and_judge, 60, [5, 20, 60], np.random.default_rng(3), repeats=2)
    want = np.array([train_and_judge(rows) for rows in tuple(seen)]).reshape(2, 3, 2)
    assert set(seen[0]) < set(seen[1]) < set(seen[2]) and len(set(seen[2])) == 60
    assert not np.array_equal(seen[2], seen[5])
    return max(np.abs(found.train - want[..., 0]).max(), np.abs(found.test - want[..., 1]).max()), 12


CASES = [
    Case(
        best_linear_error,
        lambda rng: moments(rng)[:2],
        "the Schur complement of the joint covariance",
        lambda covariance, cross, variance: by_schur(covariance, cross, variance),
        kwargs={"variance": 1000.0},
        bound=Normwise(25, 1e3),
        refuses=[
            (([[1.0]], [1.0, 2.0], 1.0), {}, ValueError, r"covariance: expected shape \(2, 2\), got \(1, 1\)"),
            (([[1.0]], [1.0], -1.0), {}, ValueError, "variance: expected a number in "),
        ],
    ),
    *[
        Case(
            normal_bayes_error,
            classes,
            "scipy.integrate.quad",
            by_integral,
            kwargs={"share1": share},
            bound=Normwise(9, 200.0),
            label=f"share {share}",
            refuses=[
                (([1.0], [2.0], [[-1.0]]), {}, ValueError, "covariance: expected a positive definite matrix"),
                (([1.0], [2.0], [[1.0]], 1.0), {}, ValueError, r"share1: expected a number in \(0, 1\), got 1"),
                (([1.0], [2.0, 3.0], [[1.0]]), {}, ValueError, r"mean1: expected shape \(1,\), got \(2,\)"),
            ],
        )
        for share in (0.5, 0.2)
    ],
    Case(
        bias_estimate,
        lambda rng: (rng.normal(size=(5, 9)) + 1, rng.normal(size=9)),
        "numpy.mean and numpy.var",
        lambda p, t: (np.mean((p.mean(axis=0) - t) ** 2 - p.var(axis=0, ddof=1) / 5), p.var(axis=0, ddof=1).mean()),
        bound=Normwise(45, 4.0),
        refuses=[
            (([[1.0]], [1.0]), {}, ValueError, r"predictions: expected at least two fits and one point, got shape"),
            (([[1.0], [2.0]], [1.0, 2.0]), {}, ValueError, r"predictions: expected shape \(any, 2\), got \(2, 1\)"),
        ],
    ),
]
PROOFS = [
    Proof(
        [normal_bayes_error],
        "the rule itself on 200,000 draws",
        "two pairs of classes in three dimensions: distance in standard errors",
        "standard errors",
        4.0,
        draws,
        dtypes=("float64",),
    ),
    Proof(
        [bias_estimate],
        "the exact values of a linear fit",
        "means of 400 estimates from four fits each: distance in standard errors",
        "standard errors",
        4.0,
        unbiased,
    ),
    Proof(
        [learning_curve],
        "the same fits without it",
        "two repetitions of three sizes",
        "absolute",
        0.0,
        curve_by_hand,
        dtypes=("float64",),
    ),
]
EDGES = [
    Edge(
        best_linear_error,
        ([[1.0, 1.0], [1.0, 1.0]], [1.0, 1.0]),
        1.0,
        "a feature twice is no more than once",
        kwargs={"variance": 2},
        input="two equal features of variance 1, covariance 1 with a target of variance 2",
    ),
    Edge(
        best_linear_error,
        ([[1.0]], [np.nan]),
        ValueError,
        "zero is the least error that there is, and NaN is not it",
        kwargs={"variance": 1.0},
        input="a covariance of NaN",
    ),
    Edge(
        normal_bayes_error,
        ([0.0], [0.0], [[1.0]]),
        0.25,
        "equal classes: the larger one is guessed",
        kwargs={"share1": 0.25},
        input="equal means, shares 0.75 and 0.25",
    ),
    Edge(
        bias_estimate,
        ([[1.0], [3.0]], [2.0]),
        (-1.0, 2.0),
        "an estimate without error on average can be negative",
        input="predictions 1 and 3, truth 2",
        output="bias -1, variance 2",
    ),
]


# --- where libraries differ -------------------------------------------------------------------------------------------

SAME = np.ones((2, 1))


def ours_in_one_epoch():
    return fit(
        lambda w, x: np.mean((w * x - 1) ** 2),
        np.zeros(1),
        np.ones(2),
        sgd,
        sgd_state,
        lr=0.5,
        epochs=1,
        batch_size=1,
        rng=None,
        metrics={"training": lambda w: (w[0] - 1) ** 2},
    ).history


def keras_in_one_epoch():
    import keras

    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((1,)), layer])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    return model.fit(SAME, SAME, batch_size=1, shuffle=False, validation_data=(SAME, SAME), verbose=0).history


def torch_in_one_epoch():
    w, losses = torch.zeros(1, requires_grad=True), []
    optimizer = torch.optim.SGD([w], lr=0.5)
    for x in torch.ones(2, 1):
        optimizer.zero_grad()
        loss = (w * x - 1).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / 2


PAIR = np.array([[1.0], [3.0]])
CONVENTIONS = [
    Convention(
        "underfitting",
        "underfitting-when",
        "When the training loss of an epoch is measured",
        "two equal examples, one a step; the first step arrives, so that the losses are 1 and then 0: "
        "loss of the epoch on these two",
        [
            Row(
                "dlref",
                "`epoch_loss`: each example before its own step",
                "0.5",
                lambda: ours_in_one_epoch().epoch_loss[0],
                "{:.1f}",
                package="dlref",
            ),
            Row(
                "dlref",
                "a metric: with the parameters at the end",
                "0.0",
                lambda: ours_in_one_epoch().metrics["training"][0],
                "{:.1f}",
                package="dlref",
            ),
            Row(
                "Keras",
                "`loss` of the history: before its own step",
                "0.5",
                lambda: keras_in_one_epoch()["loss"][0],
                "{:.1f}",
                package="keras",
            ),
            Row(
                "Keras",
                "`val_loss` where the same two are given for validation: at the end",
                "0.0",
                lambda: keras_in_one_epoch()["val_loss"][0],
                "{:.1f}",
                package="keras",
            ),
            Row("PyTorch", "the usual loop: before its own step", "0.5", torch_in_one_epoch, "{:.1f}", package="torch"),
        ],
    ),
    Convention(
        "underfitting",
        "underfitting-variance",
        "What the variance of a few fits is divided by",
        "two fits, which predict 1 and 3",
        [
            Row(
                "dlref",
                "`bias_estimate`: $R - 1$, so that it is right on average",
                "2.0",
                lambda: bias_estimate(PAIR, [2.0]).variance,
                package="dlref",
            ),
            Row(
                "dlref",
                "`bias_variance`: $R$, so that it adds up with the squared bias",
                "1.0",
                lambda: bias_variance(PAIR, [2.0]).variance[0],
                package="dlref",
            ),
            Row("PyTorch", "`var`: $R - 1$", "2.0", lambda: torch.from_numpy(PAIR).var(dim=0).item(), package="torch"),
            Row("NumPy", "`var`: $R$", "1.0", lambda: PAIR.var(axis=0).item(), package="numpy"),
        ],
    ),
]


def thunks(dtype):
    rng = np.random.default_rng(0)
    p, t = rng.normal(size=(50, 20_000)).astype(dtype), rng.normal(size=20_000).astype(dtype)
    return lambda: bias_estimate(p, t), lambda: (np.mean((p.mean(axis=0) - t) ** 2), p.var(axis=0, ddof=1).mean())


def linear_thunks(dtype):
    sample = np.random.default_rng(0).normal(size=(1000, 201))
    joint = np.cov(sample.T).astype(dtype)
    covariance, cross, variance = joint[:-1, :-1].copy(), joint[:-1, -1].copy(), float(joint[-1, -1])
    return (
        lambda: best_linear_error(covariance, cross, variance),
        lambda: variance - cross @ scipy.linalg.lstsq(covariance, cross)[0],
    )


def bayes_thunks(dtype):
    rng = np.random.default_rng(0)
    covariance = np.cov(rng.normal(size=(200, 1000))).astype(dtype)
    means = (rng.normal(size=(2, 200)) / 10).astype(dtype)

    def theirs():
        apart = means[1] - means[0]
        distance = np.sqrt(apart @ scipy.linalg.solve(covariance, apart, assume_a="pos"))
        shift = np.log(0.7 / 0.3) / distance
        return 0.7 * scipy.special.ndtr(-distance / 2 - shift) + 0.3 * scipy.special.ndtr(-distance / 2 + shift)

    return lambda: normal_bayes_error(*means, covariance, 0.3), theirs


def curve_thunks(dtype):
    """Linear regression on growing parts of 400 examples, five times; both errors by mean squares."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(500, 10)).astype(dtype), rng.normal(size=500).astype(dtype)
    sizes = [50, 100, 200, 400]

    def train_and_judge(part):
        model = LinearRegression().fit(x[part], y[part])
        return [np.mean((model.predict(x[rows]) - y[rows]) ** 2) for rows in (part, slice(400, None))]

    splits = ShuffleSplit(5, train_size=400, test_size=100, random_state=0)
    options = {"train_sizes": sizes, "cv": splits, "scoring": "neg_mean_squared_error"}
    return (
        lambda: learning_curve(train_and_judge, 400, sizes, rng),
        lambda: sklearn_curve(LinearRegression(), x, y, **options),
    )


BENCH = [
    Bench("training.bias_estimate", "numpy's mean and var", "50 x 20,000", thunks),
    Bench("training.learning_curve", "sklearn's learning_curve", "4 sizes, 5 times", curve_thunks),
    Bench("training.best_linear_error", "scipy.linalg.lstsq", "200 features", linear_thunks),
    Bench("training.normal_bayes_error", "scipy's solve and ndtr", "200 features", bayes_thunks),
]
