"""The elastic net against scikit-learn, its own conditions, closed forms and the theorem of grouping."""

import functools
import warnings

import numpy as np
import torch
from sklearn.linear_model import ElasticNet as SklearnElasticNet
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.linear_model import enet_path

from dlref.models import (
    elastic_net,
    elastic_net_epochs,
    elastic_net_largest,
    elastic_net_optimality,
    elastic_net_path,
    soft_threshold,
    soft_threshold_backward,
)
from tests.bounds import Exact, Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.cases.models.shrinkage import X5, Y5, diabetes
from tests.oracles import from_torch


def factors(rows, columns, dtype=np.float64):
    """Return columns that share ten factors, and a target of the first fifty."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 10)) @ rng.normal(size=(10, columns)) / np.sqrt(10) + rng.normal(size=(rows, columns))
    y = x[:, :50] @ rng.normal(size=min(50, columns)) + 3 * rng.normal(size=rows)
    return x.astype(np.float32).astype(dtype), y.astype(np.float32).astype(dtype)


def problems(dtype):
    """Return (x, y, alpha, l1_ratio, intercept): tall, wide, with large means; lasso, elastic net and ridge."""
    x, y = diabetes(dtype)
    for alpha, ratio in ((1.0, 1.0), (1.0, 0.5), (0.05, 0.1), (1.0, 0.0)):
        yield x + dtype(5), y, alpha, ratio, True
    yield x, y - dtype(150), 2.0, 0.7, False
    x, y = factors(40, 90, dtype)
    yield x, y, 0.3, 0.9, True
    yield x, y, 0.3, 0.2, True


@functools.cache
def by_sklearn():
    found = []
    for x, y, alpha, ratio, intercept in problems(np.float64):
        model = SklearnElasticNet(alpha=alpha, l1_ratio=ratio, fit_intercept=intercept, tol=1e-13, max_iter=100_000)
        found.append((model if ratio else SklearnRidge(alpha=alpha * len(y))).fit(x, y))
    return found


def objective(x, y, w, b, alpha, ratio):
    penalty = ratio * np.abs(w).sum() + (1 - ratio) / 2 * (w @ w)
    return np.mean((y - x @ w - b) ** 2) / 2 + alpha * penalty


def tolerance(dtype):
    return 1e-12 if dtype is np.float64 else 1e-6


def primal(dtype):
    """Return the worst objective above scikit-learn's, from the definition in float64, over that of zero weights."""
    worst, count = 0.0, 0
    for (x, y, *knobs), other in zip(problems(dtype), by_sklearn(), strict=True):
        got = elastic_net(x, y, *knobs, tol=tolerance(dtype))
        assert got.w.dtype == dtype and got.gap >= 0 and (got.converged or dtype is np.float32)
        wide = x.astype(float), y.astype(float)
        ours = objective(*wide, got.w.astype(float), got.intercept, *knobs[:2])
        theirs = objective(*wide, other.coef_, other.intercept_, *knobs[:2])
        worst = max(worst, abs(ours - theirs) / (wide[1].var() / 2))
        count += 1
    return worst, count


def weights(dtype):
    worst, count = 0.0, 0
    for (x, y, *knobs), other in zip(problems(dtype), by_sklearn(), strict=True):
        got = elastic_net(x, y, *knobs, tol=tolerance(dtype)).w
        worst = max(worst, np.abs(got - other.coef_).max() / np.abs(other.coef_).max())
        count += len(got)
        if dtype is np.float64:
            assert ((got != 0) == (other.coef_ != 0)).all(), "the same columns"
    return worst, count


def conditions(dtype):
    """Return the worst violation of the optimality conditions, from their definition, over that of zero weights."""
    worst, count = 0.0, 0
    for x, y, alpha, ratio, intercept in problems(dtype):
        got = elastic_net(x, y, alpha, ratio, intercept, tol=tolerance(dtype))
        x, y, w = x.astype(float), y.astype(float), got.w.astype(float)
        slope = x.T @ (y - x @ w - got.intercept) / len(y) - alpha * (1 - ratio) * w
        broken = np.where(w == 0, np.abs(slope) - alpha * ratio, np.abs(slope - alpha * ratio * np.sign(w)))
        worst = max(worst, broken.max() / np.abs(x.T @ (y - y.mean() * intercept)).max() * len(y))
        count += len(w)
    return worst, count


def path(dtype):
    """Return the worst distance of a path from scikit-learn's, over its longest weights."""
    x, y = diabetes(dtype)
    got = elastic_net_path(x, y, 0.5, tol=tolerance(dtype))
    wide = x.astype(float), y.astype(float)
    alphas, want, _ = enet_path(
        wide[0] - wide[0].mean(axis=0), wide[1] - wide[1].mean(), l1_ratio=0.5, tol=1e-14, max_iter=100_000
    )
    assert np.abs(got.alphas / alphas - 1).max() < 1e-5 and (got.w[0] == 0).all() and len(alphas) == 100
    return np.abs(got.w - want.T).max() / np.abs(want).max(), got.w.size


def orthogonal(dtype):
    """Return the distance from the closed form where the columns are orthogonal: a soft threshold, then a scaling."""
    rng = np.random.default_rng(3)
    x = np.linalg.qr(rng.normal(size=(30, 8)))[0].astype(dtype)
    y = rng.normal(size=30).astype(dtype)
    alpha, ratio, n = 0.02, 0.6, 30
    score = y.astype(float) @ x.astype(float)
    want = np.sign(score) * np.maximum(np.abs(score) - n * alpha * ratio, 0) / (1 + n * alpha * (1 - ratio))
    got = elastic_net(x, y, alpha, ratio, False, tol=tolerance(dtype)).w
    assert ((got == 0) == (want == 0)).all() and 0 < np.count_nonzero(want) < 8
    return np.abs(got - want).max() / np.abs(want).max(), 8


def weak_duality(dtype):
    """Return how many of 400 weights, from random to optimal, have a bound beyond the optimum."""
    rng, wrong = np.random.default_rng(1), 0
    for x, y, *knobs in list(problems(np.float64))[:4]:
        best = elastic_net(x, y, *knobs, tol=1e-12)
        for share in np.linspace(0, 1, 100):
            w = share * best.w + (1 - share) * 10 * rng.normal(size=len(best.w))
            found = elastic_net_optimality(x, y, w, *knobs)
            slack = 1e-9 * best.primal
            wrong += found.gap < 0 or not found.dual <= best.primal + slack or not found.primal >= best.dual - slack
    return wrong, 400


def grouping(dtype):
    """Return how many pairs of weights of one sign are farther apart than the theorem allows."""
    wrong = count = 0
    for alpha in (0.1, 1.0, 10.0):
        x, y = factors(60, 30)
        x = x - x.mean(axis=0)
        x, y = x / np.linalg.norm(x, axis=0), y - y.mean()
        w = elastic_net(x, y, alpha / 60, 0.3, False, tol=1e-12).w
        for i, j in zip(*np.triu_indices(30, 1), strict=True):
            if w[i] * w[j] > 0:
                allowed = np.sqrt(2 * (1 - x[:, i] @ x[:, j])) * np.linalg.norm(y) / (0.7 * alpha)
                wrong, count = wrong + (abs(w[i] - w[j]) > allowed), count + 1
    assert count > 100
    return wrong, count


def certificate_by_definition(x, y, w, alpha, l1_ratio):
    """Both dual points from the definition, with the cancellation that ours avoids."""
    n, mx, my = len(y), x.mean(axis=0), y.mean()
    x, y, b = x - mx, y - my, my - mx @ w
    l1, l2 = n * alpha * l1_ratio, n * alpha * (1 - l1_ratio)
    r = y - x @ w
    primal = r @ r / 2 + l1 * np.abs(w).sum() + l2 / 2 * (w @ w)
    rows, target = np.vstack([x, np.sqrt(l2) * np.eye(len(w))]), np.append(y, np.zeros(len(w)))
    point = target - rows @ w
    point = point * min(1, l1 / np.abs(rows.T @ point).max())
    duals = [target @ target / 2 - np.sum((target - point) ** 2) / 2]
    if l2:
        over = np.maximum(np.abs(x.T @ r) - l1, 0)
        duals.append(y @ y / 2 - np.sum((y - r) ** 2) / 2 - over @ over / (2 * l2))
    slope = x.T @ r - l2 * w
    broken = np.where(w == 0, np.abs(slope) - l1, np.abs(slope - l1 * np.sign(w))).max()
    return b, primal / n, max(duals) / n, (primal - max(duals)) / n, broken / n


def epochs_by_definition(x, y, w, alpha, l1_ratio, epochs):
    """Every column in turn to the minimum of its own parabola, which is computed from scratch."""
    w, n = w.copy(), len(y)
    for _ in range(epochs):
        for j in range(len(w)):
            w[j] = 0
            score = x[:, j] @ (y - x @ w)
            shrunk = np.sign(score) * max(abs(score) - n * alpha * l1_ratio, 0)
            w[j] = shrunk / (x[:, j] @ x[:, j] + n * alpha * (1 - l1_ratio))
    return w


def draw(rng):
    return rng.normal(size=(11, 4)) + 1, rng.normal(size=11), rng.normal(size=4)


def small(rng):
    x, y, w = draw(rng)
    return x, y, w / 10


DOOR = [
    ({"alpha": -1.0}, r"alpha: expected a number in \[0, inf\), got -1"),
    ({"l1_ratio": 1.5}, r"l1_ratio: expected a number in \[0, 1\], got 1.5"),
    ({"tol": -1.0}, "tol: expected a number in "),
    ({"max_epochs": -1}, "max_epochs: expected an integer at least 0"),
    ({"start": [0.0, 0.0]}, r"start: expected shape \(1,\), got \(2,\)"),
]
CASES = [
    Case(
        soft_threshold,
        lambda rng: (2 * rng.normal(size=(5, 7)),),
        "torch.nn.functional.softshrink",
        from_torch(lambda x, t: torch.nn.functional.softshrink(x, t)),
        kwargs={"t": 0.75},
        bound=Exact(),
        sweep={"1e-30 to 1e30, both signs": lambda rng, dtype: (np.outer([-1, 1], np.logspace(-30, 30, 999)) + 1e-40,)},
        refuses=[(([1.0], -1.0), {}, ValueError, r"t: expected a number in \[0, inf\], got -1")],
    ),
    *[
        Case(
            elastic_net_optimality,
            draw_weights,
            "both dual points by definition",
            certificate_by_definition,
            kwargs={"alpha": alpha, "l1_ratio": ratio},
            bound=Normwise(11, 50.0),
            label=f"ratio {ratio}{words}",
            refuses=[(([[1.0]], [1.0], [1.0, 2.0]), {}, ValueError, r"w: expected shape \(1,\), got \(2,\)")],
        )
        # The first dual point is nearer at the drawn weights, the second one at small weights and a large penalty.
        for draw_weights, alpha, ratio, words in (
            (draw, 0.3, 1.0, ""),
            (draw, 0.3, 0.4, ""),
            (small, 3.0, 0.4, ", small weights"),
        )
    ],
    Case(
        elastic_net_epochs,
        draw,
        "every column from scratch",
        epochs_by_definition,
        kwargs={"alpha": 0.2, "l1_ratio": 0.6, "epochs": 9},
        bound=Normwise(11, 10.0),
        refuses=[
            (([[1.0]], [1.0], [1.0, 2.0]), {}, ValueError, r"w: expected shape \(1,\), got \(2,\)"),
            (([[1.0]], [1.0], [1.0]), {"epochs": -1}, ValueError, "epochs: expected an integer at least 0, got -1"),
        ],
    ),
    Case(
        elastic_net_largest,
        lambda rng: draw(rng)[:2],
        "numpy.cov",
        lambda x, y, l1_ratio: np.abs(np.cov(x.T, y, bias=True)[-1, :-1]).max() / l1_ratio,
        kwargs={"l1_ratio": 0.3},
        bound=Normwise(11, 10.0),
        refuses=[(([[1.0]], [1.0], 0.0), {}, ValueError, r"l1_ratio: expected a number in \(0, 1\], got 0")],
    ),
]
SKLEARN = "ElasticNet of scikit-learn, float64, tol 1e-13, and Ridge"
RANGE = "442 diabetes patients and 40 rows of 90 columns; L1 shares from 0 to 1; gap 1e-12, in float32 1e-6"
PROOFS = [
    Proof(
        [elastic_net],
        SKLEARN,
        f"objective, as a share of that of zero weights; {RANGE}",
        "gap",
        {"float64": 1e-10, "float32": 1e-5},
        primal,
    ),
    Proof([elastic_net], SKLEARN, f"weights; {RANGE}", "normwise", {"float64": 1e-4, "float32": 0.05}, weights),
    Proof(
        [elastic_net],
        "the Karush-Kuhn-Tucker conditions",
        f"violation by definition, as a share of that at zero weights; {RANGE}",
        "relative",
        {"float64": 1e-6, "float32": 1e-3},
        conditions,
    ),
    Proof(
        [elastic_net_path],
        "enet_path of scikit-learn, float64, tol 1e-14",
        "weights at 100 penalties, 442 diabetes patients, L1 share 0.5",
        "normwise",
        {"float64": 1e-5, "float32": 1e-2},
        path,
    ),
    Proof(
        [elastic_net],
        "the closed form",
        "weights for orthogonal columns",
        "normwise",
        {"float64": 1e-12, "float32": 1e-5},
        orthogonal,
    ),
    Proof(
        [elastic_net_optimality],
        "weak duality",
        "bounds beyond the optimum among 400 weights from random to optimal",
        "count",
        0,
        weak_duality,
        dtypes=("float64",),
    ),
    Proof(
        [elastic_net],
        "the grouping theorem",
        "pairs of weights farther apart than it allows, 30 columns, three penalties",
        "count",
        0,
        grouping,
        dtypes=("float64",),
    ),
]
EDGES = [
    Edge(
        soft_threshold,
        ([1.0, -1.0, 0.5, -0.0],),
        [0.0, 0.0, 0.0, 0.0],
        "at the threshold and below: zero",
        kwargs={"t": 1.0},
        input="[1, -1, 0.5, -0], t = 1",
    ),
    Edge(
        soft_threshold,
        ([np.nan, np.inf, -np.inf],),
        [np.nan, np.inf, -np.inf],
        "NaN stays, and no threshold reaches infinity",
        kwargs={"t": 2.0},
        input="[nan, inf, -inf], t = 2",
    ),
    Edge(
        elastic_net_optimality,
        ([[0.0], [0.0]], [1.0, 3.0], [0.0]),
        (2.0, 0.5, 0.5, 0.0, 0.0),
        "no variation: zero is optimal",
        input="a column of zeros, y = [1, 3], w = 0",
        output="intercept 2, primal 0.5, dual 0.5, gap 0, violation 0",
    ),
    Edge(
        elastic_net_epochs,
        ([[1.0, 0.0], [-1.0, 0.0]], [1.0, -1.0], [0.0, 0.0]),
        [0.5, 0.0],
        "a column without variation keeps its weight",
        kwargs={"alpha": 0.5, "l1_ratio": 1.0},
        input="columns [1, -1] and [0, 0], y = [1, -1], lasso, alpha = 0.5",
    ),
    Edge(elastic_net, ([[1.0], [np.nan]], [1.0, 2.0]), ValueError, "no optimum could be certified", input="x with NaN"),
]


def zou_hastie(corrected):
    """The paper's scaling: columns of length one, no factor before the sum, both penalties 1."""
    x, y = X5[:, 0] - 2, Y5 - 3
    length = np.sqrt(x @ x)
    naive = max(x @ y / length - 0.5, 0) / 2
    return naive * (2 if corrected else 1) / length


CONVENTIONS = [
    Convention(
        "elastic-net",
        "elastic-net-penalties",
        "Where the two penalties stand",
        "the slope for x = 0, 1, 2, 3, 4 and y = 1, 1, 2, 4, 7 (least squares: 1.5), both penalties 1",
        [
            Row(
                "dlref",
                r"$\frac{1}{2n} \sum_i r_i^2 + \alpha (\rho \abs{w} + \frac{1 - \rho}{2} w^2)$ with "
                r"$\alpha = 2$, $\rho = \frac12$",
                "0.667",
                lambda: elastic_net(X5, Y5, 2.0, 0.5, tol=1e-12).w[0],
                "{:.3f}",
                package="dlref",
            ),
            Row(
                "scikit-learn",
                "`ElasticNet(alpha=2, l1_ratio=0.5)`: the same",
                "0.667",
                lambda: SklearnElasticNet(alpha=2.0, l1_ratio=0.5, tol=1e-12).fit(X5, Y5).coef_[0],
                "{:.3f}",
                package="scikit-learn",
            ),
            Row(
                "Zou and Hastie, naive",
                r"$\sum_i r_i^2 + \lambda_1 \abs{w} + \lambda_2 w^2$ with columns of length 1, "
                r"$\lambda_1 = \lambda_2 = 1$",
                "0.671",
                lambda: zou_hastie(False),
                "{:.3f}",
                source="zou2005regularization",
            ),
            Row(
                "Zou and Hastie, corrected",
                r"the same times $1 + \lambda_2$",
                "1.342",
                lambda: zou_hastie(True),
                "{:.3f}",
                source="zou2005regularization",
            ),
        ],
    ),
]


def thunks(dtype):
    """Both at the gap that scikit-learn's default tolerance gives it."""
    x, y = factors(2000, 500, dtype)
    alpha = elastic_net_largest(x, y) / 10
    other = SklearnElasticNet(alpha=alpha).fit(x, y)
    tol = float(elastic_net_optimality(x, y, other.coef_, alpha).gap / (y.var() / 2))
    return lambda: elastic_net(x, y, alpha, tol=tol), lambda: SklearnElasticNet(alpha=alpha).fit(x, y)


def path_thunks(dtype):
    x, y = factors(2000, 500, dtype)
    return (
        lambda: elastic_net_path(x, y, tol=2e-4),
        lambda: enet_path(x - x.mean(axis=0), y - y.mean(), l1_ratio=0.5, tol=1e-4),
    )


def threshold_thunks(dtype):
    x = np.random.default_rng(0).normal(size=100_000).astype(dtype)
    other = torch.from_numpy(x)
    return lambda: soft_threshold(x, 0.5), lambda: torch.nn.functional.softshrink(other, 0.5)


def threshold_backward_thunks(dtype):
    x, dy = np.random.default_rng(0).normal(size=(2, 100_000)).astype(dtype)
    other, cotangent = torch.from_numpy(x).requires_grad_(), torch.from_numpy(dy)

    def theirs():
        return torch.autograd.grad(torch.nn.functional.softshrink(other, 0.5), other, cotangent)

    return lambda: soft_threshold_backward(dy, x, 0.5), theirs


def epochs_thunks(dtype):
    """The same 20 epochs on the residual; scikit-learn warns that it has not converged, and may skip columns."""
    x, y = factors(2000, 500, dtype)
    alpha, start = elastic_net_largest(x, y, intercept=False) / 10, np.zeros(500, dtype)

    def theirs():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return SklearnElasticNet(alpha=alpha, fit_intercept=False, tol=0.0, max_iter=20).fit(x, y).coef_

    return lambda: elastic_net_epochs(x, y, start, alpha, epochs=20), theirs


def largest_thunks(dtype):
    x, y = factors(2000, 500, dtype)

    def theirs():
        return np.abs((y - y.mean()) @ (x - x.mean(axis=0))).max() / (len(y) * 0.5)

    return lambda: elastic_net_largest(x, y), theirs


BENCH = [
    Bench(
        "models.elastic_net_largest",
        "the same lines in NumPy",
        "2000 x 500",
        largest_thunks,
    ),
    Bench("models.soft_threshold_backward", "autograd of torch", "1e5", threshold_backward_thunks),
    Bench("models.elastic_net_epochs", "sklearn's ElasticNet, 20 epochs", "2000 x 500", epochs_thunks),
    Bench("models.elastic_net", "sklearn's ElasticNet, equal gap", "2000 x 500, ten factors", thunks, aim=2.0),
    Bench("models.elastic_net_path", "sklearn's enet_path", "2000 x 500, 100 penalties", path_thunks, aim=1.0),
    Bench("models.soft_threshold", "torch's softshrink", "1e5", threshold_thunks, aim=1.0),
]
