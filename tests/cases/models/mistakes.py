"""The perceptron against scikit-learn weight by weight, and Novikoff's theorem on many problems."""

import functools

import numpy as np
import torch
from sklearn.linear_model import Perceptron as SklearnPerceptron
from sklearn.linear_model import SGDClassifier
from sklearn.svm import SVC, LinearSVC

from dlref.models import perceptron, perceptron_bound, perceptron_pocket
from tests.cases import Bench, Convention, Edge, Proof, Row
from tests.cases.models.svm import cancer

SAME_STEPS = {"shuffle": False, "tol": None, "max_iter": 20}


def separable(rng, rows, columns, gap, intercept):
    """Points of random length with a margin of at least `gap` around a random hyperplane."""
    u, b = rng.normal(size=columns), rng.normal() * intercept
    u, b = u / np.sqrt(u @ u + b * b), b / np.sqrt(u @ u + b * b)
    x = rng.normal(size=(rows, columns)) * rng.lognormal(0, 0.5, size=(rows, 1))
    scores = x @ u + b
    x += np.where(scores >= 0, gap, -gap)[:, None] * u / (u @ u)
    return x, np.where(scores >= 0, 1, -1)


def weights(averaged, dtype):
    """Return the normwise distance of weights and intercept after 20 epochs on tumors that are not separable."""
    x, y, _ = cancer(dtype)
    x = (np.round(x * 1024) / 1024).astype(dtype)
    other = by_sklearn_on(averaged, x.astype(float).tobytes(), x.shape)
    got = perceptron(x, y, max_epochs=20)
    found = (got.averaged, got.averaged_intercept) if averaged else (got.w, got.intercept)
    ours, theirs = np.append(*found), np.append(other.coef_[0], other.intercept_)
    assert got.w.dtype == dtype and len(got.mistakes) == 20 and not got.converged
    return np.abs(ours - theirs).max() / np.abs(theirs).max(), len(ours)


@functools.cache
def by_sklearn_on(averaged, data, shape):
    x, y = np.frombuffer(data).reshape(shape), cancer(np.float64)[1]
    if not averaged:
        return SklearnPerceptron(**SAME_STEPS).fit(x, y)
    options = {"loss": "perceptron", "learning_rate": "constant", "eta0": 1.0, "penalty": None, "average": True}
    return SGDClassifier(**options, **SAME_STEPS).fit(x, y)


def novikoff(dtype):
    """Return the largest number of mistakes over the bound: 60 separable problems in three orders each."""
    rng, worst, count = np.random.default_rng(8), 0.0, 0
    for trial in range(60):
        intercept = bool(trial % 2)
        shape = int(rng.integers(10, 60)), int(rng.integers(2, 8))
        x, y = separable(rng, *shape, 10 ** rng.uniform(-1.3, 0.5), intercept)
        x = x.astype(dtype)
        bound = perceptron_bound(x, y, intercept).bound
        for order in (None, rng, rng):
            found = perceptron(x, y, intercept, rng=order, max_epochs=100_000)
            assert found.converged
            worst, count = max(worst, found.mistakes.sum() / bound), count + 1
    return worst, count


def widest(dtype):
    """Return the largest relative distance of the margin from that of LinearSVC with a large C, through the origin."""
    rng, worst = np.random.default_rng(2), 0.0
    for _ in range(5):
        x, y = separable(rng, 20, 3, 0.5, False)
        got = perceptron_bound(x, y, intercept=False, tol=1e-6)
        other = LinearSVC(loss="hinge", C=1e4, fit_intercept=False, tol=1e-8, max_iter=1_000_000).fit(x, y)
        w = other.coef_[0] / np.linalg.norm(other.coef_[0])
        worst = max(worst, abs(got.margin / (y * (x @ w)).min() - 1))
        assert abs(got.bound - (np.linalg.norm(x, axis=1).max() / got.margin) ** 2) < 1e-9 * got.bound
    return worst, 5


def subgradient(dtype):
    """Return the distance from stochastic gradient descent in torch on max(0, -y f), from its first mistake on."""
    x, y, _ = cancer(np.float64)
    x, y = x[:60], y[:60]
    w, b = torch.zeros(30, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    w, b = (w + y[0] * torch.from_numpy(x[0])).requires_grad_(), (b + y[0]).requires_grad_()  # away from the kink
    for _ in range(3):
        for i in range(60):
            if _ == 0 and i == 0:
                continue
            loss = torch.relu(-y[i] * (torch.from_numpy(x[i]) @ w + b))
            dw, db = torch.autograd.grad(loss, (w, b))
            w, b = (w - dw).detach().requires_grad_(), (b - db).detach().requires_grad_()
    got = perceptron(x, y, max_epochs=3)
    assert len(got.mistakes) == 3
    want = np.append(w.detach().numpy(), b.item())
    return np.abs(np.append(got.w, got.intercept) - want).max() / np.abs(want).max(), 31


def pocket_by_steps(x, y, draws):
    """Gallant's algorithm with ratchet, one step after the other."""
    x = np.column_stack([x, np.ones(len(x))])
    w = best_w = np.zeros(x.shape[1])
    run = longest = best = 0
    for i in draws:
        if y[i] * (x[i] @ w) <= 0:
            w, run = w + y[i] * x[i], 0
            continue
        run += 1
        if run > longest:
            correct = np.count_nonzero(y * (x @ w) > 0)
            if correct > best:
                best, longest, best_w = correct, run, w
            if best == len(x):
                break
    return best_w, best


def pocket(dtype):
    x, y, _ = cancer(dtype)
    x = (np.round(x[:120] * 1024) / 1024).astype(dtype)
    got = perceptron_pocket(x, y[:120], np.random.default_rng(4), max_steps=3000)
    want, best = pocket_by_steps(x.astype(float), y[:120], np.random.default_rng(4).integers(120, size=3000))
    assert got.correct == best == np.count_nonzero(y[:120] * (x @ got.w + dtype(got.intercept)) > 0)
    return np.abs(np.append(got.w, got.intercept) - want).max() / np.abs(want).max(), 31


TUMORS = "20 epochs in order on 400 standardized tumors, which no hyperplane separates"
PROOFS = [
    Proof(
        [perceptron],
        "Perceptron(shuffle=False, tol=None) of scikit-learn",
        f"weights and intercept after {TUMORS}",
        "normwise",
        {"float64": 0.0, "float32": 1e-6},
        functools.partial(weights, False),
    ),
    Proof(
        [perceptron],
        "SGDClassifier(loss='perceptron', average=True) of scikit-learn",
        f"averaged weights and intercept after {TUMORS}",
        "normwise",
        {"float64": 1e-13, "float32": 1e-5},
        functools.partial(weights, True),
    ),
    Proof(
        [perceptron],
        "SGD on max(0, -y f) in torch",
        "weights after three epochs over 60 tumors",
        "normwise",
        1e-13,
        subgradient,
        dtypes=("float64",),
    ),
    Proof(
        [perceptron, perceptron_bound],
        "Novikoff's theorem",
        "most mistakes as a share of the bound, 60 separable problems in three orders",
        "share",
        1.0,
        novikoff,
    ),
    Proof(
        [perceptron_bound],
        "LinearSVC(C=1e4, fit_intercept=False) of scikit-learn",
        "margin of five separable problems",
        "relative",
        1e-3,
        widest,
        dtypes=("float64",),
    ),
    Proof(
        [perceptron_pocket],
        "the same steps in NumPy",
        "weights in the pocket after 3000 steps on 120 tumors",
        "normwise",
        {"float64": 0.0, "float32": 1e-6},
        pocket,
    ),
]
XOR = [[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]]
EDGES = [
    Edge(
        perceptron,
        ([[1.0], [2.0]], [1, 1]),
        ([1.0], 1.0, [1.0], 1.0, [1, 0], True),
        "the score is zero at the start, which is a mistake",
        input="x = [1, 2], both labels 1",
        output="w = 1, b = 1 after one mistake",
    ),
    Edge(
        perceptron,
        ([[1.0], [1.0]], [1, -1]),
        ([0.0], 0.0, [0.5], 0.5, [2, 2, 2], False),
        "the same point with both labels: the weights go round in a circle",
        kwargs={"max_epochs": 3},
        input="x = [1, 1], labels 1 and -1, 3 epochs",
        output="w = 0, b = 0, two mistakes an epoch",
    ),
    Edge(
        perceptron_bound,
        (XOR, [1, 1, -1, -1]),
        ValueError,
        "no hyperplane separates them, so there is no bound",
        input="exclusive or",
    ),
    Edge(perceptron, ([[np.nan]], [1]), ValueError, "a score that is no number is never wrong, so training would end"),
    Edge(perceptron, ([[1.0]], [0]), ValueError, "labels 0 and 1: 0 would never be corrected", input="label 0"),
]


def torch_from_zero():
    w = torch.zeros(1, requires_grad=True)
    torch.relu(-(2.0 * w).sum()).backward()
    return (w - w.grad).item()


CONVENTIONS = [
    Convention(
        "perceptron",
        "perceptron-zero",
        "Whether a score of zero is a mistake",
        "the weight after the first example, x = 2 with label 1, from zero, without an intercept",
        [
            Row(
                "dlref",
                r"correct where $y f \le 0$",
                "2.0",
                lambda: perceptron([[2.0]], [1], intercept=False, max_mistakes=1).w[0],
                package="dlref",
            ),
            Row(
                "scikit-learn",
                "`Perceptron`: the same",
                "2.0",
                lambda: SklearnPerceptron(fit_intercept=False).fit([[2.0], [-2.0]], [1, -1]).coef_[0, 0],
                package="scikit-learn",
            ),
            Row(
                "PyTorch",
                r"one step of SGD on `relu(-y * f)`: slope 0 at the kink, so that nothing ever moves",
                "0.0",
                torch_from_zero,
                package="torch",
            ),
        ],
    ),
]


def thunks(dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 500)).astype(dtype)
    y = np.sign(x @ rng.normal(size=500) + 5 * rng.normal(size=2000)).astype(int)
    options = {"shuffle": False, "tol": None, "max_iter": 10}
    return lambda: perceptron(x, y, max_epochs=10), lambda: SklearnPerceptron(**options).fit(x, y)


def bound_thunks(rows, columns):
    """Ours at a margin no smaller than what the usual tolerance gives LIBSVM, which sees the mirror images too."""

    def make(_):
        x, y = separable(np.random.default_rng(0), rows, columns, 1.0, True)

        def theirs():
            points = y[:, None] * np.column_stack([x, np.ones(rows)])
            both, sides = np.concatenate([points, -points]), np.repeat([1, -1], rows)
            w = SVC(kernel="linear", C=1e10).fit(both, sides).coef_[0]
            return np.square(points).sum(axis=1).max() * (w @ w) / (points @ w).min() ** 2

        tol = max(1 - np.sqrt(perceptron_bound(x, y, tol=1e-9).bound / theirs()), 1e-6)
        return lambda: perceptron_bound(x, y, tol=tol), theirs

    return make


BENCH = [
    *[
        Bench(
            "models.perceptron_bound",
            "sklearn's SVC with C = 1e10, equal margin",
            f"{rows} x {columns}",
            bound_thunks(rows, columns),
        )
        for rows, columns in ((300, 100), (1000, 30))
    ],
    Bench("models.perceptron", "sklearn's Perceptron", "2000 x 500, 10 epochs", thunks, aim=1.0),
]
