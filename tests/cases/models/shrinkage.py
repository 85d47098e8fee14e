"""Ridge regression against scikit-learn, the explicit hat matrix, and what its theorems promise."""

import functools

import gmpy2
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.linear_model import RidgeCV

from dlref.models import ridge, ridge_factors, ridge_path, shrinkage_risk
from dlref.training import descent_shrinkage
from tests.bounds import ULP, Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.oracles import from_mpfr

ALPHAS = np.array([0.0, 0.3, 5.0, 80.0])


@functools.cache
def diabetes(dtype):
    """Return the 442 patients; every column has the same sum of squares."""
    x, y = load_diabetes(return_X_y=True)
    return (20 * x).astype(np.float32).astype(dtype), y.astype(dtype)


def condition(x, alpha, intercept):
    x = x - x.mean(axis=0) if intercept else x
    s = np.linalg.svd(x, compute_uv=False)
    return (s[0] ** 2 + alpha) / (s[-1] ** 2 * (len(x) >= x.shape[1]) + alpha)


def problems(dtype):
    """Return (x, y, alpha, intercept): tall, wide, with large means, and nearly dependent columns."""
    rng = np.random.default_rng(5)
    x, y = diabetes(dtype)
    yield x, y, 1.0, True
    yield x, y, 100.0, False
    wide = (rng.normal(size=(30, 70)) + 3).astype(np.float32).astype(dtype)
    yield wide, (wide[:, 0] + rng.normal(size=30)).astype(dtype), 2.0, True
    tilted = rng.normal(size=(60, 3)) @ np.array([[1, 0, 1], [0, 1, 1], [0, 0, 0.05]]) + 10
    yield tilted.astype(np.float32).astype(dtype), rng.normal(size=60).astype(dtype), 0.5, True


def against_sklearn(method, dtype):
    """Return the worst error as a share of 20 eps times the condition number."""
    worst, count = 0.0, 0
    for x, y, alpha, intercept in problems(dtype):
        got = ridge(x, y, alpha, intercept, method)
        wide_x, wide_y = x.astype(float), y.astype(float)
        want = SklearnRidge(alpha, fit_intercept=intercept, solver="svd").fit(wide_x, wide_y)
        norm = np.abs(want.coef_).max()
        error = np.abs(got.w - want.coef_).max() / norm
        reach = max(1.0, np.abs(wide_x.mean(axis=0)).sum()) * norm + abs(wide_y.mean())
        error = max(error, abs(got.intercept - want.intercept_) / reach)
        worst = max(worst, error / (20 * np.finfo(dtype).eps * condition(wide_x, alpha, intercept)))
        assert got.w.dtype == dtype
        count += len(got.w) + 1
    return worst, count


def violation(dtype):
    return max(ridge(*problem).violation for problem in problems(dtype)), 4


def path_by_hat_matrix(x, y, alphas, intercept=True):
    """Every number from its definition: the hat matrix, and one regression for every row left out."""
    n = len(y)
    ones = np.ones((n, int(intercept)))
    full = np.column_stack([ones, x])
    penalty = np.eye(full.shape[1])
    penalty[: int(intercept)] = 0
    found = []
    for alpha in alphas:
        solve = np.linalg.solve(full.T @ full + alpha * penalty, full.T)
        w, hat = solve @ y, full @ solve
        rss, df = np.sum((y - hat @ y) ** 2), np.trace(hat)
        left_out = []
        for i in range(n):
            rest = np.delete(full, i, axis=0)
            v = np.linalg.solve(rest.T @ rest + alpha * penalty, rest.T @ np.delete(y, i))
            left_out.append((y[i] - full[i] @ v) ** 2)
        b = w[0] if intercept else 0.0
        found.append((w[int(intercept) :], b, df, rss, n * rss / (n - df) ** 2, np.mean(left_out)))
    return (np.asarray(alphas), *(np.array(part) for part in zip(*found, strict=True)))


def path_by_ridgecv(dtype):
    """Return the worst relative difference of the leave-one-out errors, and require the same choice."""
    x, y = diabetes(dtype)
    alphas = np.logspace(-2, 3, 21)
    path = ridge_path(x, y, alphas)
    other = RidgeCV(alphas, store_cv_results=True).fit(x.astype(float), y.astype(float))
    want = other.cv_results_.mean(axis=0)
    assert other.alpha_ == alphas[path.loo.argmin()]
    return np.max(np.abs(path.loo - want) / want), len(alphas)


def risk_by_matrices(factors, s, coefficients, noise):
    """The estimator as a matrix on y, with arbitrary singular vectors."""
    rng = np.random.default_rng(0)
    n = len(s)
    u, v = (np.linalg.qr(rng.normal(size=(k, k)))[0] for k in (n + 2, n))
    x = u[:, :n] * s @ v.T
    estimator = v @ np.diag(factors / s) @ u[:, :n].T
    truth = v @ coefficients
    return np.sum((estimator @ x @ truth - truth) ** 2), noise**2 * np.trace(estimator @ estimator.T)


def descended(dtype):
    """Return the distance of real gradient descent from what its factors say, normwise."""
    x, y = diabetes(dtype)
    x, y = x - x.mean(axis=0), y - y.mean()
    u, s, vt = np.linalg.svd(x.astype(float), full_matrices=False)
    lr, worst = 1.0 / s[0] ** 2, 0.0
    w = np.zeros(x.shape[1], dtype)
    for step in range(1, 201):
        w = w + dtype(lr) * ((y - x @ w) @ x)
        if step in (1, 10, 200):
            want = (descent_shrinkage(s * s, lr, step) / s * (y.astype(float) @ u)) @ vt
            worst = max(worst, np.abs(w - want).max() / np.abs(want).max())
    return worst, 3 * len(w)


def early_stopping_bound(dtype):
    """Return the largest risk of gradient descent over that of ridge at alpha = 1 / (lr t), 300 random problems."""
    rng, worst = np.random.default_rng(11), 0.0
    for _ in range(300):
        s, coefficients = rng.lognormal(0, 2, 9), rng.normal(size=9) * rng.lognormal(0, 2, 9)
        steps, noise = int(rng.integers(1000, 3000)), rng.lognormal(0, 2)
        lr = 1 / (s.max() ** 2 * rng.uniform(100, 1000))  # so short that it is nearly the gradient flow
        s, coefficients = s.astype(dtype), coefficients.astype(dtype)
        stopped = sum(shrinkage_risk(descent_shrinkage(s * s, lr, steps), s, coefficients, noise))
        penalized = sum(shrinkage_risk(ridge_factors(s, 1 / (lr * steps)), s, coefficients, noise))
        worst = max(worst, stopped / penalized)
    return worst, 300


DOOR = [
    (([1.0], [1.0]), {}, ValueError, r"x: expected shape \(any, any\), got \(1,\)"),
    (([[1.0]], [1.0, 2.0]), {}, ValueError, r"y: expected shape \(1,\), got \(2,\)"),
    ((np.empty((0, 2)), []), {}, ValueError, "x: expected at least one row and one column"),
    (([[np.nan]], [1.0]), {}, ValueError, "x: expected finite numbers, got nan"),
]
CASES = [
    Case(
        ridge_path,
        lambda rng: (rng.normal(size=(23, 5)) + 2, rng.normal(size=23) + 4, ALPHAS),
        "the hat matrix, and every row left out",
        path_by_hat_matrix,
        bound=Normwise(23, 10.0),
        refuses=[
            *[((*args, [1.0]), kwargs, error, words) for args, kwargs, error, words in DOOR],
            (([[1.0]], [1.0], [-1.0]), {}, ValueError, "alphas: expected finite penalties that are not negative"),
        ],
    ),
    Case(
        ridge_path,
        lambda rng: (rng.normal(size=(23, 5)), rng.normal(size=23), ALPHAS),
        "the hat matrix, and every row left out",
        path_by_hat_matrix,
        kwargs={"intercept": False},
        bound=Normwise(23, 10.0),
        label="no intercept",
    ),
    Case(
        ridge_factors,
        lambda rng: (rng.normal(size=(3, 5)),),
        "MPFR (gmpy2)",
        from_mpfr(lambda s, alpha: s * s / (s * s + gmpy2.mpfr(alpha))),
        kwargs={"alpha": 0.25},
        bound=ULP(4),
        sweep={"1e-18 to 1e18, both signs": lambda rng, dtype: (np.outer([-1, 1], np.logspace(-18, 18, 2000)),)},
        refuses=[((1.0,), {"alpha": -1.0}, ValueError, r"alpha: expected a number in \[0, inf\], got -1")],
    ),
    Case(
        shrinkage_risk,
        lambda rng: (rng.uniform(0, 1, 6), rng.uniform(0.5, 2, 6), rng.normal(size=6)),
        "the estimator as a matrix",
        risk_by_matrices,
        kwargs={"noise": 0.7},
        bound=Normwise(6, 20.0),
        refuses=[
            (([1.0], [1.0, 2.0], [1.0]), {"noise": 1.0}, ValueError, "s: expected the shape of factors"),
            (([1.0], [1.0], [1.0]), {"noise": -1.0}, ValueError, r"noise: expected a number in \[0, inf\], got -1"),
        ],
    ),
]
RANGE = "442 diabetes patients, 30 rows of 70 columns, nearly dependent columns; share of 20 eps times the condition"
PROOFS = [
    *[
        Proof(
            [ridge],
            "Ridge(solver='svd') of scikit-learn, float64",
            f"{method}, weights and intercept; {RANGE}",
            "share",
            1.0,
            functools.partial(against_sklearn, method),
        )
        for method in ("cholesky", "svd")
    ],
    Proof(
        [ridge],
        "the gradient at the minimum",
        "its largest entry as a share of that at zero; the same four problems",
        "relative",
        {"float64": 1e-12, "float32": 1e-4},
        violation,
    ),
    Proof(
        [ridge_path],
        "RidgeCV of scikit-learn, float64",
        "leave-one-out errors, and the same choice, of 21 penalties on 442 diabetes patients",
        "relative",
        {"float64": 1e-12, "float32": 1e-4},
        path_by_ridgecv,
    ),
    Proof(
        [descent_shrinkage],
        "gradient descent itself",
        "weights after 1, 10 and 200 steps on 442 diabetes patients",
        "normwise",
        {"float64": 1e-12, "float32": 1e-4},
        descended,
    ),
    Proof(
        [shrinkage_risk, ridge_factors, descent_shrinkage],
        "the bound 1.6862 of Ali, Kolter and Tibshirani",
        "largest risk of short steps over that of ridge, 300 random problems",
        "ratio",
        1.6862,
        early_stopping_bound,
        dtypes=("float64",),
    ),
]
EDGES = [
    Edge(
        ridge,
        ([[0.0], [0.0]], [1.0, 3.0]),
        ([0.0], 2.0, 2.0, 0.0),
        "no variation: the mean is predicted",
        input="a column of zeros, y = [1, 3]",
        output="w = 0, b = 2",
    ),
    Edge(
        ridge,
        ([[1.0], [3.0]], [1.0, 2.0]),
        ([0.5], 0.5, 0.0, 0.0),
        "no penalty: least squares",
        kwargs={"alpha": 0},
        input="x = [1, 3], y = [1, 2], alpha = 0",
        output="w = 0.5, b = 0.5",
    ),
    Edge(
        ridge,
        ([[1.0, 1.0], [2.0, 2.0]], [1.0, 2.0]),
        ValueError,
        "no unique minimum; by SVD the shortest one",
        kwargs={"alpha": 0, "intercept": False},
        input="two equal columns, alpha = 0",
    ),
    Edge(ridge, ([[1.0], [np.inf]], [1.0, 2.0]), ValueError, "no minimum", input="x with an infinity"),
    Edge(
        ridge_factors,
        ([0.0, 1.0],),
        [0.0, 1.0],
        "a direction without extent stays out, as in the shortest solution",
        kwargs={"alpha": 0},
        input="[0, 1], alpha = 0",
    ),
]

X5, Y5 = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]]), np.array([1.0, 1.0, 2.0, 4.0, 7.0])


def penalized_intercept():
    full = np.column_stack([np.ones(5), X5])
    return np.linalg.solve(full.T @ full + 10 * np.eye(2), full.T @ Y5)[1]


CONVENTIONS = [
    Convention(
        "ridge-regression",
        "ridge-penalty",
        "What the penalty of 10 stands beside",
        "the slope for x = 0, 1, 2, 3, 4 and y = 1, 1, 2, 4, 7 (least squares: 1.5)",
        [
            Row(
                "dlref",
                r"$\sum_i r_i^2 + \alpha w^2$, $b$ free",
                "0.750",
                lambda: ridge(X5, Y5, 10.0).w[0],
                "{:.3f}",
                package="dlref",
            ),
            Row(
                "scikit-learn",
                "`Ridge`: the same",
                "0.750",
                lambda: SklearnRidge(10.0).fit(X5, Y5).coef_[0],
                "{:.3f}",
                package="scikit-learn",
            ),
            Row(
                "scikit-learn",
                r"`ElasticNet(l1_ratio=0)`: $\frac{1}{2n} \sum_i r_i^2 + \frac{\alpha}{2} w^2$",
                "0.250",
                lambda: elastic_net_slope(),
                "{:.3f}",
                package="scikit-learn",
            ),
            Row(
                "PyTorch",
                "`MSELoss` with `SGD(weight_decay=10)` on $w$: "
                r"$\frac{1}{n} \sum_i r_i^2 + \frac{\alpha}{2} w^2$",
                "0.429",
                lambda: torch_slope(),
                "{:.3f}",
                package="torch",
            ),
            Row(
                "normal equations with a column of ones",
                "the intercept is penalized too",
                "1.050",
                penalized_intercept,
                "{:.3f}",
                source="computed with NumPy",
            ),
        ],
    ),
]


def elastic_net_slope():
    import warnings

    from sklearn.linear_model import ElasticNet

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises against l1_ratio = 0
        return ElasticNet(10.0, l1_ratio=0.0, tol=1e-12, max_iter=10_000).fit(X5, Y5).coef_[0]


def torch_slope():
    import torch

    x, y = torch.from_numpy(X5), torch.from_numpy(Y5)[:, None]
    model = torch.nn.Linear(1, 1).double()
    groups = [{"params": [model.weight], "weight_decay": 10.0}, {"params": [model.bias]}]
    step = torch.optim.SGD(groups, lr=0.05)
    for _ in range(1000):
        step.zero_grad()
        torch.nn.functional.mse_loss(model(x), y).backward()
        step.step()
    return model.weight.item()


def data(dtype, rows=2000, columns=500):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, columns)).astype(dtype)
    return x, (x[:, :20].sum(axis=1) + rng.normal(size=rows)).astype(dtype)


def ridge_thunks(dtype):
    x, y = data(dtype)
    return lambda: ridge(x, y, 10.0), lambda: SklearnRidge(10.0, solver="cholesky").fit(x, y)


def path_thunks(dtype):
    x, y = data(dtype, 500, 50)
    alphas = np.logspace(-2, 4, 100)
    return lambda: ridge_path(x, y, alphas), lambda: RidgeCV(alphas).fit(x, y)


def factors_thunks(dtype):
    import torch

    s = np.random.default_rng(0).uniform(0.1, 10, 100_000).astype(dtype)
    other = torch.from_numpy(s)
    return lambda: ridge_factors(s, 2.0), lambda: other * other / (other * other + 2.0)


def risk_thunks(dtype):
    rng = np.random.default_rng(0)
    s, c = rng.uniform(0.1, 10, (2, 100_000)).astype(dtype)
    f = ridge_factors(s, 2.0)
    return (
        lambda: shrinkage_risk(f, s, c, 0.3),
        lambda: (np.sum(((1 - f) * c) ** 2), 0.3**2 * np.sum((f / s) ** 2)),
    )


BENCH = [
    Bench("models.ridge_factors", "the same in torch", "1e5", factors_thunks),
    Bench("models.shrinkage_risk", "the same lines in NumPy", "1e5", risk_thunks),
    Bench("models.ridge", "sklearn's Ridge(solver='cholesky')", "2000 x 500", ridge_thunks, aim=1.0),
    Bench("models.ridge_path", "sklearn's RidgeCV, leave-one-out alone", "500 x 50, 100 penalties", path_thunks),
]
