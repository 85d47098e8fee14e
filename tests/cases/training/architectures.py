"""Searches against enumeration, and the mixed operation against its parts."""

import itertools
from fractions import Fraction

import numpy as np
import torch

from dlref.training import (
    expected_best,
    grid,
    mixed_operation,
    mixed_operation_backward,
    random_candidates,
    regret,
    regularized_evolution,
    search,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

nan = np.nan


def parts(x, logits):
    """The four operations one by one in longdouble, and their weighted sum."""
    x, logits = x.astype(np.longdouble), logits.astype(np.longdouble)
    p = np.exp(logits) / np.exp(logits).sum()
    return (p[1] * x + p[2] * np.maximum(x, 0) + p[3] * np.tanh(x)).astype(np.float64)


def expression(x, logits):
    p = torch.softmax(logits, 0)
    return p[1] * x + p[2] * torch.relu(x) + p[3] * torch.tanh(x)


def enumerated(scores):
    """The mean of the maximum over every choice of m scores, in fractions."""
    exact = [Fraction(float(s)) for s in scores]
    return np.array(
        [
            float(sum(max(c) for c in itertools.combinations(exact, m)) / len(list(itertools.combinations(exact, m))))
            for m in range(1, len(exact) + 1)
        ]
    )


CASES = [
    Case(
        mixed_operation,
        lambda rng: (rng.normal(size=(7, 5)), rng.normal(size=4)),
        "the four operations in longdouble",
        parts,
        gradient=expression,
        bound=Normwise(length=35),
        refuses=[(([1.0], [0.0, 1.0]), {}, ValueError, r"logits: expected shape \(4,\), got \(2,\)")],
    ),
    Case(
        expected_best,
        lambda rng: (rng.normal(size=11),),
        "every choice, in fractions",
        enumerated,
        refuses=[(([[1.0]],), {}, ValueError, "scores: expected 1 dimension, got 2")],
    ),
]

SPACE = {"first": range(2), "second": range(3), "third": range(4)}
TABLE = {tuple(choice.values()): float(k) for k, choice in enumerate(grid(SPACE))}


def score(candidate):
    return TABLE[tuple(candidate.values())]


def draws(dtype):
    """The largest deviation of the mean regret of 4,000 random searches from the exact one, in standard errors."""
    rng = np.random.default_rng(0)
    runs = [search(score, random_candidates(SPACE, 12, rng, replace=False)).scores for _ in range(4000)]
    found = regret(runs, 23.0)
    want = 23.0 - expected_best(list(TABLE.values()))[:12]
    return float(np.max(np.abs(found.mean - want) / (found.runs.std(0) / np.sqrt(4000)))), 4000


def descent(dtype):
    """How many children of 50 runs differ from every member of the population of their time in other than one place."""
    wrong = 0
    for seed in range(50):
        run = regularized_evolution(score, SPACE, 40, np.random.default_rng(seed), population=6, sample=2)
        born = np.array([list(trial.candidate.values()) for trial in run.trials])
        for step in range(6, 40):
            changed = (born[step - 6 : step] != born[step]).sum(1)
            wrong += 1 not in changed
        wrong += not np.array_equal(run.scores, [TABLE[tuple(a)] for a in born.tolist()])
        wrong += run.score != run.scores.max() or score(run.best) != run.score
    return wrong, 50 * 34


PROOFS = [
    Proof(
        [search, random_candidates, regret, expected_best],
        "the exact expectation of the best",
        "4,000 random searches of 12 out of 24: the mean regret",
        "standard errors",
        4.5,
        draws,
        dtypes=("float64",),
    ),
    Proof(
        [regularized_evolution],
        "a child differs from one that is alive in one place",
        "34 births in each of 50 runs",
        "count",
        0,
        descent,
        dtypes=("float64",),
    ),
]

EDGES = [
    Edge(expected_best, ([3.0],), (np.array([3.0]),), "one architecture: nothing to search", output="[3]"),
    Edge(mixed_operation, ([2.0], [1000.0, 0.0, 0.0, 0.0]), (np.array([0.0]),), "all weight on zero", output="[0]"),
    Edge(mixed_operation, ([nan], [0.0, 0.0, 0.0, 0.0]), (np.array([nan]),), "NaN passes", output="[nan]"),
    Edge(
        regularized_evolution,
        (len, {"a": [0, 1], "b": [0]}, 20, np.random.default_rng(0)),
        ValueError,
        "a position without a choice cannot mutate",
        input="2 x 1 choices, budget 20",
    ),
]
SCORES = [0.7, 0.8, 0.9, 1.0]


def with_repetition():
    """The expected best of two draws with replacement."""
    return np.mean([max(pair) for pair in itertools.product(SCORES, repeat=2)])


CONVENTIONS = [
    Convention(
        "neural-architecture-search",
        "neural-architecture-search-draws",
        "What random search draws",
        "two evaluations in a table of the scores 0.7, 0.8, 0.9 and 1: the expected best",
        [
            Row(
                "dlref",
                "without repetition",
                "0.9333",
                lambda: expected_best(SCORES)[1],
                format="{:.4f}",
                package="dlref",
            ),
            Row("independent draws", "an architecture may come twice", "0.9125", with_repetition, format="{:.4f}"),
        ],
    )
]


def mixing(dtype):
    rng = np.random.default_rng(0)
    x, logits = rng.normal(size=100_000).astype(dtype), rng.normal(size=4).astype(dtype)
    tx, tl = torch.from_numpy(x), torch.from_numpy(logits)
    return lambda: mixed_operation(x, logits), lambda: expression(tx, tl)


def unmixing(dtype):
    rng = np.random.default_rng(0)
    dy, x = rng.normal(size=(2, 100_000)).astype(dtype)
    logits = rng.normal(size=4).astype(dtype)
    leaves, cotangent = [torch.from_numpy(v).requires_grad_() for v in (x, logits)], torch.from_numpy(dy)
    y = expression(*leaves)
    peer = lambda: torch.autograd.grad(y, leaves, cotangent, retain_graph=True)  # noqa: E731
    return lambda: mixed_operation_backward(dy, x, logits), peer


BENCH = [
    Bench("training.mixed_operation", "the same sum in PyTorch", "1e5", mixing, aim=1.0),
    Bench("training.mixed_operation_backward", "the same sum in PyTorch, autograd", "1e5", unmixing, aim=1.0),
]
