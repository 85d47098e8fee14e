"""Margins against losses that are made of them, projections, and two other solvers."""

import functools

import numpy as np
import scipy.optimize
import scipy.stats
import torch
from sklearn.metrics import hinge_loss
from sklearn.svm import SVC

from dlref.models import (
    functional_margin,
    functional_margin_backward,
    geometric_margin,
    hard_margin,
    margin_distribution,
    multiclass_margin,
    multiclass_margin_backward,
)
from tests.bounds import Exact, Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

inf, nan = np.inf, np.nan
SIGNS = np.array([1, -1, -1, 1, 1])
LABELS = np.array([2, 0, 1, 1, 2])


def by_hinge_loss(scores, y):
    """One minus scikit-learn's hinge loss of each example, of scores so small that no margin exceeds one."""
    scale = 4 * np.abs(scores).max(initial=1e-300)
    if scores.ndim == 1:  # with its mirror image, so that both labels occur
        losses = [hinge_loss([t, -t], [s, -s]) for s, t in zip(scores / scale, y, strict=True)]
    else:
        losses = [hinge_loss([t], [s], labels=range(len(s))) for s, t in zip(scores / scale, y, strict=True)]
    return scale * (1 - np.array(losses))


def torch_multiclass(scores, y):
    right = torch.nn.functional.one_hot(y, scores.shape[1]).bool()
    return scores[right] - scores.masked_fill(right, -inf).max(dim=1).values


def to_plane(x, w, b):
    """Return the signed length of the shortest way from each row to the hyperplane, by least squares."""
    return np.array([np.sign(w @ p + b) * np.linalg.norm(np.linalg.lstsq(w[None], [-(w @ p + b)])[0]) for p in x])


def by_projection(x, y, w, b):
    if w.ndim == 1:
        return y * to_plane(x, w, b)
    return np.array(
        [
            min(to_plane(p[None], w[t] - w[k], b[t] - b[k])[0] for k in range(len(w)) if k != t)
            for p, t in zip(x, y, strict=True)
        ]
    )


def by_scipy_ecdf(margins, at):
    return scipy.stats.ecdf(margins).cdf.evaluate(at)


def linear_arguments(rng):
    return rng.normal(size=(5, 3)), SIGNS, rng.normal(size=3), rng.normal()


def many(rng, dtype):
    return rng.normal(size=10_000), rng.choice([-1, 1], 10_000)


def many_classes(rng, dtype):
    return rng.normal(size=(2000, 10)), rng.integers(0, 10, 2000)


CASES = [
    Case(
        functional_margin,
        lambda rng: (rng.normal(size=5), SIGNS),
        "sklearn.metrics.hinge_loss",
        by_hinge_loss,
        sweep={"no examples": lambda rng, dtype: (np.empty(0), np.empty(0, int))},
        gradient=lambda scores, y: y * scores,
        bound=Normwise(1),
        refuses=[
            (([1.0, 2.0], [1, 0]), {}, ValueError, "y: expected labels -1 and 1, got 0"),
            (([1.0, 2.0], [1]), {}, ValueError, r"y: expected shape \(2,\), got \(1,\)"),
        ],
    ),
    Case(
        functional_margin,
        lambda rng: many(rng, None),
        "numpy.copysign",
        lambda scores, y: np.copysign(scores, scores * y),
        gradient=lambda scores, y: y * scores,
        bound=Exact(),
        gradient_bound=Exact(),
        label="10,000 scores",
    ),
    Case(
        multiclass_margin,
        lambda rng: (rng.normal(size=(5, 3)), LABELS),
        "sklearn.metrics.hinge_loss",
        by_hinge_loss,
        gradient=torch_multiclass,
        bound=Normwise(1),
        refuses=[
            (([[1.0]], [0]), {}, ValueError, r"scores: expected at least 2 classes, got shape \(1, 1\)"),
            (([[1.0, 2.0]], [2]), {}, ValueError, "y: expected integers from 0 to 1, got 2"),
            (([[1.0, 2.0]], [0, 1]), {}, ValueError, r"y: expected shape \(1,\), got \(2,\)"),
        ],
    ),
    Case(
        multiclass_margin,
        lambda rng: many_classes(rng, None),
        "numpy.delete",
        lambda scores, y: np.array([s[t] - np.delete(s, t).max() for s, t in zip(scores, y, strict=True)]),
        gradient=torch_multiclass,
        bound=Normwise(1),
        gradient_bound=Exact(),
        label="2,000 rows of ten",
    ),
    Case(
        geometric_margin,
        linear_arguments,
        "numpy.linalg.lstsq, as a projection",
        by_projection,
        bound=Normwise(8),
        refuses=[
            (([1.0], [1], [1.0]), {}, ValueError, r"x: expected shape \(any, any\), got \(1,\)"),
            (([[1.0]], [1], [1.0, 2.0]), {}, ValueError, r"w: expected shape \(1,\), got \(2,\)"),
            (([[1.0]], [0], [1.0]), {}, ValueError, "y: expected labels -1 and 1, got 0"),
            (([[1.0]], [0], [[1.0], [2.0]], 0.0), {}, ValueError, r"b: expected shape \(2,\), got \(\)"),
        ],
    ),
    Case(
        geometric_margin,
        lambda rng: (rng.normal(size=(5, 4)), LABELS, rng.normal(size=(3, 4)), rng.normal(size=3)),
        "numpy.linalg.lstsq, as a projection",
        by_projection,
        bound=Normwise(8),
        label="three classes",
    ),
    Case(
        margin_distribution,
        lambda rng: (rng.normal(size=50).round(1), np.linspace(-3, 3, 61).round(1)),
        "scipy.stats.ecdf",
        by_scipy_ecdf,
        bound=Normwise(1),
        refuses=[(([], [0.0]), {}, ValueError, "margins: expected at least one, got none")],
    ),
]


def separable(n, d, gap, seed=0):
    rng = np.random.default_rng(seed)
    y = np.where(np.arange(n) % 2, 1, -1)
    x = rng.normal(size=(n, d)).astype(np.float32).astype(float)
    x[:, 0] += gap * y
    return x, y


PROBLEMS = [(40, 2, 3.0), (200, 2, 4.0), (300, 10, 4.0), (60, 100, 0.0)]


@functools.cache
def found(dtype, *problem):
    x, y = separable(*problem)
    return x, y, hard_margin(x.astype(dtype), y, tol=1e-9)


def against_svc(dtype):
    errors = []
    for problem in PROBLEMS:
        x, y, got = found(dtype, *problem)
        assert got.converged and got.margin <= got.bound * (1 + 1e-12)
        other = SVC(kernel="linear", C=1e10, tol=1e-9).fit(x, y)
        errors.append(abs(got.margin * np.linalg.norm(other.coef_) - 1))
    return max(errors), len(errors)


def against_quadratic_program(dtype):
    errors = []
    for problem in PROBLEMS[:3]:
        x, y, got = found(dtype, *problem)
        rows = np.column_stack([y[:, None] * x, y])
        program = scipy.optimize.minimize(
            lambda v: v[:-1] @ v[:-1] / 2,
            np.append(got.w * 1.5, 0.0) + 0.1,
            jac=lambda v: np.append(v[:-1], 0.0),
            constraints={"type": "ineq", "fun": lambda v, rows=rows: rows @ v - 1, "jac": lambda v, rows=rows: rows},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 1000},
        )
        assert program.success, program.message
        wanted = program.x
        errors.append(np.abs(np.append(got.w, got.intercept) - wanted).max() / np.abs(wanted).max())
    return max(errors), sum(d + 1 for _, d, _ in PROBLEMS[:3])


def certificates(dtype):
    """Return the worst disagreement between what is reported and what the hyperplane and the weights say."""
    worst = 0.0
    for problem in PROBLEMS:
        x, y, got = found(dtype, *problem)
        worst = max(worst, abs(functional_margin(x @ got.w + got.intercept, y).min() - 1))
        worst = max(worst, abs(geometric_margin(x, y, got.w, got.intercept).min() / got.margin - 1))
        worst = max(worst, np.abs(got.coefficients @ x[got.support] - got.w).max() / np.abs(got.w).max())
        assert (np.sign(got.coefficients) == y[got.support]).all()
        _, margin, bound = got.history.T
        assert (margin <= got.bound * (1 + 1e-12)).all() and (bound >= got.margin * (1 - 1e-12)).all()
        assert (np.diff(bound) <= 1e-12 * bound[0]).all(), "each step shortens the bridge"
    return worst, len(PROBLEMS)


def before_it_arrives(dtype):
    """Return by how much bounds are below the widest margin, margins above it or beside their hyperplane's."""
    worst = 0.0
    for problem in PROBLEMS:
        x, y, best = found(dtype, *problem)
        for steps in (1, 2):
            got = hard_margin(x.astype(dtype), y, tol=1e-9, max_steps=steps)
            assert got.steps == got.history[-1, 0] == steps and not got.converged
            assert got.bound - got.margin > 1e-9 * got.bound and tuple(got.history[-1, 1:]) == (got.margin, got.bound)
            worst = max(worst, 1 - got.bound / best.margin, got.margin / best.bound - 1)
            if got.margin > 0:
                worst = max(worst, abs(geometric_margin(x, y, got.w, got.intercept).min() / got.margin - 1))
    return worst, 4 * len(PROBLEMS)


WORDS = "40 and 200 points in the plane, 300 in ten dimensions"
PROOFS = [
    Proof(
        [hard_margin],
        "SVC(kernel='linear', C=1e10) of scikit-learn, one over the length of its weights",
        f"{WORDS}, 60 in a hundred",
        "relative",
        1e-6,
        against_svc,
    ),
    Proof(
        [hard_margin],
        "scipy.optimize.minimize(method='SLSQP') of the quadratic program",
        f"weights and intercept; {WORDS}",
        "normwise",
        1e-6,
        against_quadratic_program,
    ),
    Proof(
        [hard_margin],
        "its own hyperplane",
        f"smallest functional margin 1, geometric one as reported, weights as the sum over support vectors; {WORDS}",
        "relative",
        {"float64": 1e-8, "float32": 1e-5},
        certificates,
    ),
    Proof(
        [hard_margin],
        "the widest margin, between margin and bound",
        f"after one and two steps, by which none has arrived; {WORDS}, 60 in a hundred",
        "relative",
        {"float64": 1e-8, "float32": 1e-5},
        before_it_arrives,
    ),
]
EDGES = [
    Edge(functional_margin, ([0.0, 2.0, inf], [-1, -1, -1]), [-0.0, -2.0, -inf], "the sign of the label, of zero too"),
    Edge(multiclass_margin, ([[1.0, 1.0]], [0]), [0.0], "a tie: neither right nor wrong"),
    Edge(multiclass_margin, ([[1.0, -inf]], [0]), [inf], "a rival that is excluded"),
    Edge(multiclass_margin, ([[1.0, nan, 3.0]], [0]), [nan], "a rival that is NaN"),
    Edge(multiclass_margin_backward, ([1.0], [[0.0, 2.0, 2.0]], [0]), [[1.0, -1.0, 0.0]], "of two rivals the first"),
    Edge(geometric_margin, ([[1.0, 2.0]], [1], [0.0, 0.0], 1.0), [inf], "weights zero: no boundary anywhere"),
    Edge(geometric_margin, ([[1.0, 2.0]], [1], [0.0, 0.0], 0.0), [nan], "the same without intercept: 0/0"),
    Edge(geometric_margin, ([[3.0]], [1], [1e30], 0.0), [3.0], "in float32 the square of such a weight would overflow"),
    Edge(margin_distribution, ([nan, 1.0], [0.0, inf]), [0.0, 0.5], "NaN is above every threshold"),
    Edge(hard_margin, ([[0.0], [1.0], [2.0]], [-1, 1, -1]), ValueError, "no point of the line separates them"),
    Edge(hard_margin, ([[0.0], [1.0]], [1, 1]), ValueError, "one class: a street has two sides"),
]

TWO, SIDES = [[0.0], [4.0]], [-1, 1]
CONVENTIONS = [
    Convention(
        "margin",
        "margin-width",
        "One side of the street or both",
        "the points 0 and 4 with labels -1 and 1: $w = 0.5$",
        [
            Row(
                "dlref",
                r"the distance of the nearest point, $1 / \lVert w \rVert$",
                "2",
                lambda: hard_margin(TWO, SIDES).margin,
                "{:g}",
                package="dlref",
            ),
            Row("Boser, Guyon & Vapnik 1992", r"the same, $M = 1 / \lVert w \rVert$", "2", source="boser1992training"),
            Row(
                "Cortes & Vapnik 1995",
                r"from side to side, $\rho = 2 / \lVert w \rVert$",
                "4",
                source="cortes1995support",
            ),
            Row(
                "scikit-learn",
                r"`SVC` reports neither; $1 / \lVert w \rVert$ from its `coef_`",
                "2",
                lambda: 1 / np.linalg.norm(SVC(kernel="linear", C=1e10).fit(TWO, SIDES).coef_),
                "{:g}",
                package="scikit-learn",
            ),
        ],
    ),
    Convention(
        "margin",
        "margin-rivals",
        "Which rivals a multi-class margin counts",
        "the loss of margins below 1, for scores 2, 1.5 and 1.5 of which the first is right",
        [
            Row(
                "dlref",
                r"the largest other score: $\max(0, 1 - \text{margin})$",
                "0.5",
                lambda: max(0.0, 1 - multiclass_margin([[2.0, 1.5, 1.5]], [0]).item()),
                package="dlref",
            ),
            Row(
                "scikit-learn",
                "`hinge_loss`: the same",
                "0.5",
                lambda: float(hinge_loss([0], [[2.0, 1.5, 1.5]], labels=[0, 1, 2])),
                package="scikit-learn",
            ),
            Row(
                "PyTorch",
                "`MultiMarginLoss`: all others, divided by the number of classes",
                "0.333",
                lambda: float(torch.nn.MultiMarginLoss()(torch.tensor([[2.0, 1.5, 1.5]]), torch.tensor([0]))),
                "{:.3f}",
                package="torch",
            ),
        ],
    ),
]


def hard_thunks(dtype):
    """Ours at a margin no smaller than what the usual tolerance gives LIBSVM."""
    x, y = separable(300, 100, 2.0)
    x = x.astype(dtype)
    reached = geometric_margin(x, y, SVC(kernel="linear", C=1e10).fit(x, y).coef_[0])
    width = (reached[y > 0].min() + reached[y < 0].min()) / 2
    tol = max(1 - width / hard_margin(x, y).bound, 1e-6)
    return lambda: hard_margin(x, y, tol=tol), lambda: SVC(kernel="linear", C=1e10).fit(x, y)


def multiclass_thunks(backward):
    def make(dtype):
        rng = np.random.default_rng(0)
        scores, y, dy = rng.normal(size=(10_000, 10)).astype(dtype), rng.integers(0, 10, 10_000), np.ones(10_000, dtype)
        leaf, labels, cotangent = (torch.from_numpy(v) for v in (scores, y, dy))
        if not backward:
            return lambda: multiclass_margin(scores, y), lambda: torch_multiclass(leaf, labels)
        leaf.requires_grad_()

        def theirs():
            return torch.autograd.grad(torch_multiclass(leaf, labels), leaf, cotangent)

        return lambda: multiclass_margin_backward(dy, scores, y), theirs

    return make


def functional_thunks(backward):
    def make(dtype):
        rng = np.random.default_rng(0)
        scores, dy, y = *rng.normal(size=(2, 100_000)).astype(dtype), rng.choice([-1, 1], 100_000)
        leaf, cotangent, labels = (torch.from_numpy(v) for v in (scores, dy, y))
        if not backward:
            return lambda: functional_margin(scores, y), lambda: leaf * labels
        leaf.requires_grad_()
        return (
            lambda: functional_margin_backward(dy, scores, y),
            lambda: torch.autograd.grad(leaf * labels, leaf, cotangent),
        )

    return make


def geometric_thunks(dtype):
    rng = np.random.default_rng(0)
    x, w, y = rng.normal(size=(2000, 64)).astype(dtype), rng.normal(size=(10, 64)).astype(dtype), np.arange(2000) % 10
    points, weights, labels = (torch.from_numpy(v) for v in (x, w, y))
    right = torch.nn.functional.one_hot(labels, 10).bool()

    def theirs():
        scores = points @ weights.T
        apart = torch.cdist(weights, weights)[labels].masked_fill(right, 1.0)
        return ((scores[right][:, None] - scores) / apart).masked_fill(right, inf).min(dim=1).values

    return lambda: geometric_margin(x, y, w, np.zeros(10, dtype)), theirs


def distribution_thunks(dtype):
    rng = np.random.default_rng(0)
    margins, at = rng.normal(size=100_000).astype(dtype), np.linspace(-3, 3, 200, dtype=dtype)
    return lambda: margin_distribution(margins, at), lambda: scipy.stats.ecdf(margins).cdf.evaluate(at)


BENCH = [
    Bench("models.functional_margin", "the same in torch", "1e5", functional_thunks(False)),
    Bench("models.functional_margin_backward", "autograd of torch", "1e5", functional_thunks(True)),
    Bench("models.geometric_margin", "the same in torch", "2000 x 64, 10 classes", geometric_thunks),
    Bench("models.margin_distribution", "scipy's ecdf", "1e5 margins, 200 thresholds", distribution_thunks),
    Bench("models.hard_margin", "sklearn's SVC with C = 1e10, equal margin", "300 x 100", hard_thunks),
    Bench("models.multiclass_margin", "the same in torch", "10,000 x 10", multiclass_thunks(False), aim=1.0),
    Bench("models.multiclass_margin_backward", "autograd of torch", "10,000 x 10", multiclass_thunks(True), aim=1.0),
]
