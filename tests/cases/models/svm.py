"""The support vector machine, with and without a kernel, against LIBSVM and LIBLINEAR in scikit-learn."""

import functools

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import hinge_loss
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import SVC, LinearSVC

from dlref.models import svm_decision, svm_kernel, svm_linear, svm_optimality, svm_smo
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

SIGNS = np.array([1, -1, 1, -1, -1, 1, 1])
SETTINGS = [("linear", 0.1), ("linear", 1.0), ("rbf", 0.1), ("rbf", 1.0), ("rbf", 100.0)]


def cancer(dtype):
    """Return 400 standardized tumors to train on and 169 to judge by; the values are the same in both dtypes."""
    x, y = load_breast_cancer(return_X_y=True)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32).astype(dtype)
    y = 2 * y - 1
    return x[:400], y[:400], x[400:]


def kernel_by_scipy(x, z, kernel="rbf", gamma=1.0):
    return np.exp(-gamma * cdist(x, z, "sqeuclidean")) if kernel == "rbf" else np.einsum("id,jd->ij", x, z)


def machine(rng):
    x = rng.normal(size=(23, 3))
    return svm_smo(x, np.where(x[:, 0] * x[:, 1] > 0, 1, -1), C=2.0, gamma=0.5), rng.normal(size=(11, 3))


def linear_machine(rng):
    x = rng.normal(size=(23, 3))
    return svm_linear(x, np.where(x[:, 0] > 0.1, 1, -1), rng, C=2.0), rng.normal(size=(11, 3))


def decision_by_scipy(model, x):
    kernel = kernel_by_scipy(x, model.vectors, getattr(model, "kernel", "linear"), getattr(model, "gamma", 1.0))
    return kernel @ model.coefficients + model.intercept


def cancellation(model, x):
    if len(x) == 0:
        return 1.0
    terms = np.abs(model.coefficients) @ np.abs(kernel_by_scipy(model.vectors, x, getattr(model, "kernel", "linear")))
    return max(1.0, float(terms.max() / np.abs(decision_by_scipy(model, x)).max()))


def certificate_arguments(rng):
    points = rng.normal(size=(7, 2))
    return (
        kernel_by_scipy(points, points),
        SIGNS,
        np.array([0.5, 0.25, 0.75, 1.0, 0.5, 0.0, 0.5]),
    )  # sums to zero with the signs


def certificate_by_search(k, y, alpha, C):
    """Try the intercept at every bend, with scikit-learn's hinge loss."""
    f = k @ (alpha * y)
    bends = y - f
    costs = np.array([C * len(y) * hinge_loss(y, f + b) for b in bends])
    best = bends[costs <= costs.min() * (1 + 1e-12)]
    primal = costs.min() + alpha * y @ f / 2
    dual = alpha.sum() - alpha * y @ f / 2
    up = [b for b, s, a in zip(bends, y, alpha, strict=True) if (a < C if s > 0 else a > 0)]
    down = [b for b, s, a in zip(bends, y, alpha, strict=True) if (a > 0 if s > 0 else a < C)]
    return (best.min() + best.max()) / 2, primal, dual, primal - dual, max(0.0, max(up) - min(down))


X, Y = [[0.0], [1.0], [3.0]], [-1, -1, 1]
DOOR = [
    ((X, [0, 0, 1]), ValueError, "y: expected labels -1 and 1, got 0"),
    ((X, [-1, 2, 1]), ValueError, "y: expected labels -1 and 1, got 2"),
    ((X, [1, 1, 1]), ValueError, "y: expected both labels, -1 and 1, got only 1"),
    ((X, [1, -1]), ValueError, r"y: expected shape \(3,\), got \(2,\)"),
    (([[1.0], [np.nan], [3.0]], [1, -1, 1]), ValueError, "x: expected finite numbers, got nan"),
    (([1.0, 2.0], [1, -1]), ValueError, "x: expected 2 dimensions, got 1"),
    ((np.empty((0, 3)), []), ValueError, "y: expected both labels, -1 and 1, got no rows"),
]
CASES = [
    Case(
        svm_kernel,
        lambda rng: (rng.normal(size=(5, 3)), rng.normal(size=(7, 3))),
        "scipy.spatial.distance.cdist",
        kernel_by_scipy,
        kwargs={"gamma": 0.7},
        sweep={
            "the same rows on both sides": lambda rng, dtype: 2 * (rng.normal(size=(40, 6)) + 10,),
            "300 columns": lambda rng, dtype: (rng.normal(size=(9, 300)) / 10, rng.normal(size=(4, 300)) / 10),
            "no rows": lambda rng, dtype: (np.empty((0, 3)), rng.normal(size=(7, 3))),
        },
        refuses=[
            (([[1.0]], [[1.0, 2.0]]), {}, ValueError, r"z: expected shape \(any, 1\), got \(1, 2\)"),
            (([[1.0]], [[1.0]], "cosine"), {}, ValueError, "kernel: expected one of 'rbf', 'linear', got 'cosine'"),
            (([[1.0]], [[1.0]]), {"gamma": 0}, ValueError, "gamma: expected a number in "),
        ],
    ),
    Case(
        svm_kernel,
        lambda rng: (rng.normal(size=(5, 3)), rng.normal(size=(7, 3))),
        "numpy.einsum",
        kernel_by_scipy,
        kwargs={"kernel": "linear"},
        label="linear",
    ),
    Case(
        svm_decision,
        machine,
        "scipy.spatial.distance.cdist",
        decision_by_scipy,
        bound=Normwise(23, cancellation),
        sweep={"no rows": lambda rng, dtype: (machine(rng)[0], np.empty((0, 3)))},
        refuses=[((3.0, [[1.0]]), {}, TypeError, "model: expected SVM or LinearSVM, got float")],
        label="RBF",
    ),
    Case(
        svm_decision,
        linear_machine,
        "the dual coefficients",
        decision_by_scipy,
        bound=Normwise(23, lambda model, x: 4 * cancellation(model, x)),
        label="linear",
    ),
    Case(
        svm_optimality,
        certificate_arguments,
        "sklearn.metrics.hinge_loss at every bend",
        certificate_by_search,
        kwargs={"C": 1.0},
        refuses=[
            (([[1.0]], [1, -1], [0.0, 0.0]), {}, ValueError, r"k: expected shape \(2, 2\), got \(1, 1\)"),
            ((np.eye(2), [1, -1], [2.0, 2.0]), {}, ValueError, "alpha: expected entries from 0 to C = 1, got 2 to 2"),
            ((np.eye(2), [1, -1], [-1.0, -1.0]), {}, ValueError, "alpha: expected entries from 0 to C = 1, got -1"),
            ((np.eye(2), [1, -1], [1.0, 0.0]), {}, ValueError, r"alpha: expected a sum of alpha \* y of zero, got 1"),
            ((np.eye(2), [1, 0], [0.0, 0.0]), {}, ValueError, "y: expected labels -1 and 1, got 0"),
            ((np.eye(2), [1, -1], [0.0, 0.0], 0.0), {}, ValueError, "C: expected a number in "),
        ],
    ),
]


@functools.cache
def by_libsvm(kernel, C):
    x, y, _ = cancer(np.float64)
    return SVC(kernel=kernel, C=C, gamma=1 / 30, tol=1e-10).fit(x, y)


@functools.cache
def by_smo(kernel, C, dtype):
    x, y, _ = cancer(dtype)
    return svm_smo(x, y, C=C, kernel=kernel, gamma=1 / 30, tol=1e-11)


def dual_objective(dtype):
    x, _, _ = cancer(np.float64)
    errors = []
    for kernel, C in SETTINGS:
        other, model = by_libsvm(kernel, C), by_smo(kernel, C, dtype)
        assert model.converged and model.gap >= 0
        beta = np.zeros(len(x))
        beta[other.support_] = other.dual_coef_[0]
        want = np.abs(beta).sum() - beta @ kernel_by_scipy(x, x, kernel, 1 / 30) @ beta / 2
        errors.append(abs(model.dual - want) / want)
    return max(errors), len(errors)


def decision_function(dtype):
    _, _, test = cancer(dtype)
    errors = []
    for kernel, C in SETTINGS:
        got, want = svm_decision(by_smo(kernel, C, dtype), test), by_libsvm(kernel, C).decision_function(test)
        assert got.dtype == dtype
        errors.append(np.max(np.abs(got - want)) / np.max(np.abs(want)))
    return max(errors), len(errors) * len(test)


def conditions(dtype):
    """Return by how much the conditions of the optimum are violated at any training point, from the scores alone."""
    x, y, _ = cancer(dtype)
    worst = 0.0
    for kernel, C in SETTINGS:
        model = by_smo(kernel, C, dtype)
        alpha = np.zeros(len(x))
        alpha[model.support] = np.abs(model.coefficients)
        assert alpha.max() <= C * (1 + 1e-6) and abs(model.coefficients.sum()) < 1e-4 * C
        assert (np.sign(model.coefficients) == y[model.support]).all()
        excess = y * svm_decision(model, x).astype(float) - 1
        below, above = np.where(alpha < C, -excess, 0), np.where(alpha > 0, excess, 0)
        worst = max(worst, below.max(), above.max())
    return worst, len(SETTINGS) * len(x)


def feasible(rng, y, C):
    alpha = rng.uniform(0, C, len(y))
    plus, minus = alpha[y > 0].sum(), alpha[y < 0].sum()
    return np.where(y > 0, alpha * min(1, minus / plus), alpha * min(1, plus / minus))


def weak_duality(dtype):
    """Return how many of 100 feasible points have a bound beyond LIBSVM's optimum."""
    x, y, _ = cancer(np.float64)
    rng, wrong, k = np.random.default_rng(1), 0, kernel_by_scipy(x, x, "rbf", 1 / 30)
    optimum = by_smo("rbf", 1.0, np.float64)
    for share in np.linspace(0, 1, 100):
        best = np.zeros(len(x))
        best[optimum.support] = np.abs(optimum.coefficients)
        alpha = share * best + (1 - share) * feasible(rng, y, 1.0)
        found = svm_optimality(k, y, alpha)
        slack = 1e-9 * optimum.primal
        wrong += not found.dual <= optimum.primal + slack or not found.primal >= optimum.dual - slack or found.gap < 0
    return wrong, 100


LINEAR = [(0.01, 1.0), (1.0, 1.0), (1.0, 3.0)]


@functools.cache
def by_liblinear(C, scaling):
    x, y, _ = cancer(np.float64)
    options = {"loss": "hinge", "tol": 1e-9, "max_iter": 1_000_000, "random_state": 0}
    return LinearSVC(C=C, intercept_scaling=scaling, **options).fit(x, y)


def by_coordinates(C, scaling, dtype):
    x, y, _ = cancer(dtype)
    tol = 1e-10 if dtype is np.float64 else 1e-4
    return svm_linear(x, y, np.random.default_rng(3), C=C, intercept_scaling=scaling, tol=tol, max_epochs=50_000)


def linear_objective(dtype):
    x, y, _ = cancer(np.float64)
    errors = []
    for C, scaling in LINEAR:
        model, other = by_coordinates(C, scaling, dtype), by_liblinear(C, scaling)
        assert model.converged and model.gap >= 0
        w, b = other.coef_[0], other.intercept_[0]
        want = (w @ w + (b / scaling) ** 2) / 2 + C * len(y) * hinge_loss(y, other.decision_function(x))
        errors.append(abs(model.primal - want) / want)
    return max(errors), len(errors)


def linear_decision(dtype):
    _, _, test = cancer(dtype)
    errors = []
    for C, scaling in LINEAR:
        got = svm_decision(by_coordinates(C, scaling, dtype), test)
        want = by_liblinear(C, scaling).decision_function(test)
        errors.append(np.max(np.abs(got - want)) / np.max(np.abs(want)))
    return max(errors), len(LINEAR) * len(test)


LIBSVM = "SVC of scikit-learn (LIBSVM), float64, tol 1e-10"
LIBLINEAR = "LinearSVC(loss='hinge') of scikit-learn (LIBLINEAR), float64, tol 1e-9"
TUMORS = "400 standardized tumors; linear with C 0.1 and 1, RBF with C 0.1, 1 and 100; gap 1e-11"
LINEARS = "400 standardized tumors; C 0.01 and 1, intercept scaling 1 and 3; gap 1e-10, in float32 1e-4"
PROOFS = [
    Proof([svm_smo], LIBSVM, f"dual objective; {TUMORS}", "gap", 1e-9, dual_objective),
    Proof(
        [svm_smo, svm_decision],
        LIBSVM,
        f"decision function at 169 other tumors; {TUMORS}",
        "normwise",
        {"float64": 1e-5, "float32": 1e-4},
        decision_function,
    ),
    Proof(
        [svm_smo],
        "the Karush-Kuhn-Tucker conditions",
        f"violation at every training point, from the decision function; {TUMORS}",
        "absolute",
        {"float64": 1e-6, "float32": 1e-3},
        conditions,
    ),
    Proof(
        [svm_optimality],
        "weak duality",
        "bounds beyond the optimum among 100 feasible points from random to optimal",
        "count",
        0,
        weak_duality,
        dtypes=("float64",),
    ),
    Proof(
        [svm_linear],
        LIBLINEAR,
        f"primal objective; {LINEARS}",
        "gap",
        {"float64": 1e-7, "float32": 1e-3},
        linear_objective,
    ),
    Proof(
        [svm_linear],
        LIBLINEAR,
        f"decision function at 169 other tumors; {LINEARS}",
        "normwise",
        {"float64": 1e-4, "float32": 2e-2},
        linear_decision,
    ),
]
EDGES = [
    Edge(
        svm_linear,
        (X, [0, 0, 1], np.random.default_rng(0)),
        ValueError,
        "the same without a kernel",
        input="labels 0, 0, 1",
    ),
    Edge(svm_smo, (X, [0, 0, 1]), ValueError, "labels 0 and 1: 0 would leave its points out of every sum"),
    Edge(svm_smo, (X, [1, 1, 1]), ValueError, "one class: nothing to separate, no best intercept"),
    Edge(svm_smo, ([[0.0], [np.nan]], [-1, 1]), ValueError, "no optimum could be certified"),
    Edge(
        svm_optimality,
        (np.eye(3).tolist(), [1, 1, -1], [0.0, 0.0, 0.0]),
        (1.0, 2.0, 0.0, 2.0, 2.0),
        "no support vector: the larger class is predicted",
        input="three points, alpha = 0, C = 1",
        output="intercept 1, primal 2, dual 0, gap 2, violation 2",
    ),
    Edge(
        svm_optimality,
        ([[1.0, 1.0], [1.0, 1.0]], [1, -1], [1.0, 1.0]),
        (0.0, 2.0, 2.0, 0.0, 0.0),
        "optimal; every intercept from -1 to 1 is as good, and the middle is taken",
        input="one point with both labels, alpha = C = 1",
        output="intercept 0, primal 2, dual 2, gap 0, violation 0",
    ),
    Edge(svm_kernel, ([[3.0]], [[3.0]]), [[1.0]], "a point and itself: exactly one"),
    Edge(svm_kernel, ([[0.0]], [[40.0]]), [[0.0]], "far apart: below the smallest number"),
]

SPREAD = np.array([[0.0, 0.0], [0.0, 4.0], [4.0, 0.0], [4.0, 4.0]])
FAR, TWO = [[10.0], [12.0]], [-1, 1]


CONVENTIONS = [
    Convention(
        "support-vector-machine",
        "svm-gamma",
        "The default width of the RBF kernel",
        r"gamma for the four corners of a square of side 4, $D = 2$",
        [
            Row(
                "dlref",
                r"$1 / (D\, \Var[x])$, the variance over all entries",
                "0.125",
                lambda: svm_smo(SPREAD, [1, -1, -1, 1]).gamma,
                package="dlref",
            ),
            Row(
                "scikit-learn",
                '`gamma="scale"`, the default: the same',
                "0.125",
                lambda: float(SVC().fit(SPREAD, [1, -1, -1, 1])._gamma),
                package="scikit-learn",
            ),
            Row(
                "scikit-learn",
                '`gamma="auto"`: $1 / D$, the default until version 0.21',
                "0.5",
                lambda: float(SVC(gamma="auto").fit(SPREAD, [1, -1, -1, 1])._gamma),
                package="scikit-learn",
            ),
        ],
    ),
    Convention(
        "support-vector-machine",
        "svm-intercept",
        "Whether the intercept is penalized",
        "the intercept for the points 10 and 12 with labels -1 and 1, linear, C = 10",
        [
            Row(
                "dlref",
                "`svm_smo`: free",
                "-11.00",
                lambda: svm_smo(FAR, TWO, 10.0, "linear", tol=1e-9).intercept,
                "{:.2f}",
                package="dlref",
            ),
            Row(
                "dlref",
                "`svm_linear`: penalized with the weights",
                "-1.65",
                lambda: svm_linear(FAR, TWO, np.random.default_rng(0), 10.0, tol=1e-9).intercept,
                "{:.2f}",
                package="dlref",
            ),
            Row(
                "scikit-learn",
                "`SVC`: free",
                "-11.00",
                lambda: SVC(kernel="linear", C=10.0).fit(FAR, TWO).intercept_[0],
                "{:.2f}",
                package="scikit-learn",
            ),
            Row(
                "scikit-learn",
                '`LinearSVC(loss="hinge")`: penalized',
                "-1.65",
                lambda: linear_svc("hinge").intercept_[0],
                "{:.2f}",
                package="scikit-learn",
            ),
            Row(
                "scikit-learn",
                "`LinearSVC()`: penalized, and the hinge squared",
                "-2.70",
                lambda: linear_svc("squared_hinge").intercept_[0],
                "{:.2f}",
                package="scikit-learn",
            ),
        ],
    ),
]


def linear_svc(loss):
    return LinearSVC(loss=loss, C=10.0, tol=1e-9, max_iter=1_000_000, random_state=0).fit(FAR, TWO)


def noisy(rows, columns, dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, columns)).astype(dtype)
    y = np.sign(x @ rng.normal(size=columns) / np.sqrt(columns) + 0.5 * rng.normal(size=rows)).astype(int)
    return x, y


def linear_thunks(dtype, C=0.01):
    """Both at a primal objective within 0.1 % of the optimum; ours certifies it by its gap."""
    x, y = noisy(2000, 500, dtype)
    wide = x.astype(float)
    best = svm_linear(wide, y, np.random.default_rng(0), C, tol=1e-7).dual
    for tol in np.logspace(-1, -5, 17):
        other = LinearSVC(loss="hinge", C=C, tol=tol, max_iter=100_000, random_state=0).fit(wide, y)
        w, b = other.coef_[0], other.intercept_[0]
        primal = (w @ w + b * b) / 2 + C * len(y) * hinge_loss(y, wide @ w + b)
        if primal - best <= 1e-3 * primal:
            break
    assert primal - best <= 1e-3 * primal
    return (
        lambda: svm_linear(x, y, np.random.default_rng(0), C, tol=1e-3),
        lambda: LinearSVC(loss="hinge", C=C, tol=tol, max_iter=100_000, random_state=0).fit(x, y),
    )


def smo_thunks(dtype):
    """Ours at a gap no larger than what the usual tolerance gives LIBSVM."""
    x, y = noisy(1000, 20, dtype)
    other = SVC(gamma=0.05, tol=1e-3).fit(x, y)
    alpha = np.zeros(len(y))
    alpha[other.support_] = np.abs(other.dual_coef_[0])
    found = svm_optimality(kernel_by_scipy(x, x, "rbf", 0.05), y, np.clip(alpha, 0, 1))
    tol = found.gap / found.primal
    return lambda: svm_smo(x, y, gamma=0.05, tol=tol), lambda: SVC(gamma=0.05, tol=1e-3).fit(x, y)


def decision_thunks(dtype):
    x, y = noisy(1000, 20, dtype)
    ours, theirs = svm_smo(x, y, gamma=0.05), SVC(gamma=0.05).fit(x, y)
    return lambda: svm_decision(ours, x), lambda: theirs.decision_function(x)


def kernel_thunks(dtype):
    x, _ = noisy(1000, 20, dtype)
    return lambda: svm_kernel(x, x[:500], gamma=0.05), lambda: rbf_kernel(x, x[:500], gamma=0.05)


BENCH = [
    Bench("models.svm_kernel", "sklearn's rbf_kernel", "1000 and 500 x 20", kernel_thunks),
    Bench("models.svm_linear", "sklearn's LinearSVC, equal objective", "2000 x 500", linear_thunks, aim=2.0),
    Bench("models.svm_smo", "sklearn's SVC, equal gap", "1000 x 20, RBF", smo_thunks, aim=1.0),
    Bench("models.svm_decision", "sklearn's SVC", "1000 x 20, RBF", decision_thunks, aim=1.0),
]
