"""Elastic weight consolidation, the Fisher information, and measures of forgetting."""

import itertools

import numpy as np
import torch

from dlref.activations import log_softmax
from dlref.optimizers import adam, adam_state
from dlref.training import (
    ewc_penalty,
    ewc_penalty_backward,
    fisher_diagonal,
    fit,
    reservoir,
    transfer_measures,
)
from tests.bounds import TRAINED
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

nan = np.nan


def drawn(rng, dtype=None):
    return rng.normal(size=(5, 7)), rng.normal(size=(5, 7)), rng.gamma(1.0, size=(5, 7))


def gaussian(theta, anchor, fisher, strength):
    """Compare two log densities of independent normal numbers with precision strength times fisher."""
    import scipy.stats

    scale = 1 / np.sqrt(strength * fisher)
    return np.sum(scipy.stats.norm.logpdf(anchor, anchor, scale) - scipy.stats.norm.logpdf(theta, anchor, scale))


def measures(accuracy):
    """Write the definitions with NumPy's reductions."""
    last, seen = accuracy[-1], np.where(np.tri(len(accuracy), dtype=bool), accuracy, -np.inf)
    best = seen[:-1].max(axis=0)[:-1]
    return np.mean(last), np.mean(last[:-1] - np.diag(accuracy)[:-1]), np.mean(best - last[:-1])


SHAPE = np.zeros(3)
CASES = [
    Case(
        ewc_penalty,
        drawn,
        "scipy.stats.norm: difference of two log densities",
        gaussian,
        {"strength": 2.5},
        gradient=lambda theta, anchor, fisher, strength: strength / 2 * (fisher * (theta - anchor) ** 2).sum(),
        refuses=[
            ((SHAPE, np.zeros(4), SHAPE), {}, ValueError, r"anchor: expected the shape of theta, \(3,\), got \(4,\)"),
            ((SHAPE, SHAPE, np.zeros((3, 1))), {}, ValueError, r"fisher: expected the shape of theta, \(3,\), got"),
            ((SHAPE, SHAPE, SHAPE, -1.0), {}, ValueError, "strength: expected a number in"),
        ],
    ),
    Case(
        transfer_measures,
        lambda rng: (rng.random((6, 6)),),
        "the definitions in NumPy's reductions",
        measures,
        refuses=[((np.zeros((2, 3)),), {}, ValueError, r"accuracy: expected shape \(2, 2\), got \(2, 3\)")],
    ),
]


def log_probabilities(params, x):
    w1, w2 = params
    return log_softmax(np.tanh(x @ w1.T) @ w2.T)


def torch_fisher(w1, w2, x, labels=None):
    """Square the gradient of every log probability, one at a time, with torch."""
    w1, w2, x = (torch.from_numpy(a) for a in (w1, w2, x))
    w1.requires_grad_()
    w2.requires_grad_()
    total = [torch.zeros_like(w1), torch.zeros_like(w2)]
    for n, row in enumerate(x):
        logs = torch.log_softmax(torch.tanh(row @ w1.T) @ w2.T, 0)
        for k in range(len(logs)):
            weight = logs[k].exp().item() if labels is None else float(labels[n] == k)
            g = torch.autograd.grad(logs[k], (w1, w2), retain_graph=True)
            total = [t + weight * part**2 / len(x) for t, part in zip(total, g, strict=True)]
    return [t.detach().numpy() for t in total]


def fisher_as_torch(dtype):
    rng = np.random.default_rng(0)
    params, x = (rng.normal(size=(4, 3)), rng.normal(size=(5, 4))), rng.normal(size=(6, 3))
    labels = rng.integers(0, 5, 6)
    worst = 0.0
    for given in (None, labels):
        got, want = fisher_diagonal(log_probabilities, params, x, given), torch_fisher(*params, x, given)
        worst = max(worst, *(np.max(np.abs(a - b)) / np.max(np.abs(b)) for a, b in zip(got, want, strict=True)))
    return worst, 64


def fisher_of_softmax_regression(dtype):
    """For a linear model the information of w_kj is the mean of p_k (1 - p_k) x_j^2."""
    rng = np.random.default_rng(1)
    w, x = rng.normal(size=(4, 3)), rng.normal(size=(9, 3))
    p = np.exp(x @ w.T)
    p /= p.sum(axis=1, keepdims=True)
    want = (p * (1 - p)).T @ x**2 / len(x)
    got = fisher_diagonal(lambda w, x: log_softmax(x @ w.T), w, x)
    return np.max(np.abs(got - want)) / np.max(want), 12


def no_strength_no_difference(dtype):
    """Train with a penalty of strength zero and without one: the same parameters, bit for bit."""
    rng = np.random.default_rng(2)
    x, y, start = rng.normal(size=(20, 3)), rng.normal(size=20), rng.normal(size=3)

    def loss(w, x, y):
        return np.mean((x @ w - y) ** 2)

    def held(w, x, y):
        return loss(w, x, y) + ewc_penalty(w, np.ones(3), np.ones(3), 0.0)

    def run(f):
        return fit(f, start, (x, y), adam, adam_state, lr=0.1, epochs=5, batch_size=5, rng=np.random.default_rng(3))

    return np.count_nonzero(run(loss).params != run(held).params), 3


def held_as_in_torch(dtype):
    """Train softmax regression with the penalty for ten steps of Adam."""
    rng = np.random.default_rng(5)
    x, y, start = rng.normal(size=(12, 6)), np.eye(4)[rng.integers(0, 4, 12)], rng.normal(size=(4, 6))
    anchor, fisher = rng.normal(size=(4, 6)), rng.random((4, 6))

    def loss(w, x, y):
        return -np.sum(log_softmax(x @ w.T) * y) / len(x) + ewc_penalty(w, anchor, fisher, 3.0)

    options = {"lr": 0.05, "epochs": 10, "batch_size": 12, "rng": None}
    got = fit(loss, start, (x, y), adam, adam_state, **options).params
    tx, ty, ta, tf, w = map(torch.tensor, (x, y, anchor, fisher, start))
    peer = torch.optim.Adam([w.requires_grad_()], lr=0.05)
    for _ in range(10):
        peer.zero_grad()
        ours = -(torch.log_softmax(tx @ w.T, 1) * ty).sum() / 12
        (ours + 1.5 * (tf * (w - ta) ** 2).sum()).backward()
        peer.step()
    want = w.detach().numpy()
    return np.max(np.abs(got - want)) / np.max(np.abs(want)), 24


def every_example_is_kept_as_often(dtype):
    """Pearson's statistic of the pairs that are kept out of six, as a share of its 0.999 quantile."""
    rng, draws = np.random.default_rng(4), 9000
    counts = dict.fromkeys(itertools.combinations(range(6), 2), 0)
    for _ in range(draws):
        counts[tuple(sorted(reservoir(6, 2, rng).tolist()))] += 1
    expected = draws / len(counts)
    return sum((c - expected) ** 2 / expected for c in counts.values()) / 36.12, draws


ONCE = {"dtypes": ("float64",)}
PROOFS = [
    Proof(
        [ewc_penalty],
        "ten steps of the penalized network in PyTorch",
        "softmax regression, 6 features, 4 classes, Adam",
        "normwise",
        TRAINED,
        held_as_in_torch,
        **ONCE,
    ),
    Proof(
        [fisher_diagonal],
        "autograd of PyTorch, one class at a time",
        "a network of two layers: true and empirical",
        "normwise",
        1e-12,
        fisher_as_torch,
        **ONCE,
    ),
    Proof(
        [fisher_diagonal],
        "closed form of softmax regression",
        "9 examples, 4 classes",
        "normwise",
        1e-12,
        fisher_of_softmax_regression,
        **ONCE,
    ),
    Proof(
        [ewc_penalty],
        "training without a penalty",
        "strength zero, 20 steps of Adam",
        "count",
        0,
        no_strength_no_difference,
        **ONCE,
    ),
    Proof(
        [reservoir],
        "Pearson's chi-squared test at 0.001",
        "9,000 memories of 2 out of 6",
        "share",
        1.0,
        every_example_is_kept_as_often,
        **ONCE,
    ),
]

EDGES = [
    Edge(transfer_measures, ([[0.75]],), (0.75, 0.0, 0.0), "one task: nothing to forget"),
    Edge(
        transfer_measures,
        ([[0.5, nan], [1.0, 0.5]],),
        (0.75, 0.5, -0.5),
        "later training can help: forgetting is negative; above the diagonal nothing is read",
    ),
    Edge(ewc_penalty, ([1.0], [1.0], [np.inf]), nan, "an infinite weight is not a constraint: infinity times zero"),
    Edge(ewc_penalty, ([], [], []), 0.0, "no parameters, no penalty"),
]

MATRIX = np.array([[0.6, 0.0, 0.0], [0.9, 0.8, 0.0], [0.6, 0.7, 0.9]])
CONVENTIONS = [
    Convention(
        "catastrophic-forgetting",
        "forgetting-measures",
        "How much was forgotten",
        "task 1: accuracies 0.6, 0.9, 0.6 after tasks 1, 2, 3; task 2: 0.8, 0.7 after tasks 2, 3",
        [
            Row(
                "Lopez-Paz and Ranzato 2017",
                "backward transfer: the end against right after the task",
                "-0.05",
                lambda: transfer_measures(MATRIX).backward,
                "{:.2f}",
            ),
            Row(
                "Chaudhry et al. 2018, Riemannian Walk, ECCV",
                "forgetting: the best before against the end",
                "0.20",
                lambda: transfer_measures(MATRIX).forgetting,
                "{:.2f}",
            ),
        ],
    ),
]


def thunks(dtype):
    rng = np.random.default_rng(0)
    theta, anchor = rng.normal(size=(2, 100_000)).astype(dtype)
    fisher = rng.random(100_000).astype(dtype)
    t, a, f = (torch.from_numpy(v) for v in (theta, anchor, fisher))
    return lambda: ewc_penalty(theta, anchor, fisher, 2.0), lambda: (f * (t - a) ** 2).sum()


def pulling(dtype):
    rng = np.random.default_rng(0)
    theta, anchor = rng.normal(size=(2, 100_000)).astype(dtype)
    fisher, one = rng.random(100_000).astype(dtype), np.ones((), dtype)
    t, a, f = (torch.from_numpy(v) for v in (theta, anchor, fisher))
    penalty = (f * (t.requires_grad_() - a) ** 2).sum()
    ours = lambda: ewc_penalty_backward(one, theta, anchor, fisher, 2.0)  # noqa: E731
    return ours, lambda: torch.autograd.grad(penalty, t, retain_graph=True)


def fishers(dtype):
    rng = np.random.default_rng(0)
    params, x = (rng.normal(size=(16, 8)), rng.normal(size=(5, 16))), rng.normal(size=(6, 8))
    return lambda: fisher_diagonal(log_probabilities, params, x), lambda: torch_fisher(*params, x)


BENCH = [
    Bench(
        "training.fisher_diagonal",
        "autograd of PyTorch, one class at a time",
        "6 × 8-16-5",
        fishers,
        ("float64",),
        graph=True,
    ),
    Bench("training.ewc_penalty", "(f * (t - a) ** 2).sum() in torch", "1e5", thunks, aim=1.0),
    Bench("training.ewc_penalty_backward", "(f * (t - a) ** 2).sum() in torch, autograd", "1e5", pulling, aim=1.0),
]
