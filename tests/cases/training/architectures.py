"""Searches against enumeration, and the mixed operation against its parts."""

import itertools
from fractions import Fraction

import numpy as np
import torch

from dlref.training import expected_best, mixed_operation, random_search, regularized_evolution
from tests.bounds import Normwise
from tests.cases import Case, Convention, Edge, Proof, Row

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

SPACE = (2, 3, 4)
TABLE = {choice: float(k) for k, choice in enumerate(itertools.product(*map(range, SPACE)))}


def draws(dtype):
    """The largest deviation of the mean best of 4,000 random searches from its expectation, in standard errors."""
    best = np.array(
        [
            np.maximum.accumulate(random_search(TABLE.__getitem__, SPACE, 12, np.random.default_rng(seed)).scores)
            for seed in range(4000)
        ]
    )
    want = expected_best(np.array(list(TABLE.values())))[:12]
    return float(np.max(np.abs(best.mean(0) - want) / (best.std(0) / np.sqrt(4000)))), 4000


def repeated(dtype):
    """How many searches evaluate an architecture twice, or leave the table."""
    wrong = 0
    for seed in range(50):
        run = random_search(TABLE.__getitem__, SPACE, 24, np.random.default_rng(seed))
        wrong += len(np.unique(run.architectures, axis=0)) != 24
    return wrong, 50


def descent(dtype):
    """How many children of 50 runs differ from every member of the population of their time in other than one place."""
    wrong = 0
    for seed in range(50):
        run = regularized_evolution(TABLE.__getitem__, SPACE, 40, np.random.default_rng(seed), population=6, sample=2)
        for step in range(6, 40):
            changed = (run.architectures[step - 6 : step] != run.architectures[step]).sum(1)
            wrong += 1 not in changed
        wrong += not np.array_equal(run.scores, [TABLE[tuple(a)] for a in run.architectures.tolist()])
    return wrong, 50 * 34


PROOFS = [
    Proof(
        [random_search],
        "the exact expectation of the best",
        "4,000 searches of 12 out of 24",
        "standard errors",
        4.5,
        draws,
        dtypes=("float64",),
    ),
    Proof(
        [random_search],
        "every architecture at most once",
        "50 searches of all 24",
        "count",
        0,
        repeated,
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
        random_search,
        (sum, (2, 2), 5, np.random.default_rng(0)),
        ValueError,
        "five of four without repetition",
        input="2 x 2 choices, budget 5",
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
