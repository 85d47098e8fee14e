"""Measures of rankings against scikit-learn."""

import numpy as np
import torch
from sklearn.metrics import ndcg_score

from dlref.metrics import ndcg, recall_at
from tests.bounds import Exact, Normwise
from tests.cases import Bench, Case, Convention, Edge, Row


def ndcg_by_sklearn(score, gain, k=None):
    return np.array([ndcg_score(g[None], s[None], k=k) for s, g in zip(score, gain, strict=True)])


def recall_by_sets(score, relevant, k):
    found = []
    for row, right in zip(score, relevant, strict=True):
        top = set(sorted(range(len(row)), key=lambda i: (-row[i], i))[:k])
        found.append(len(top & set(np.flatnonzero(right))) / max(right.sum(), 1) if right.any() else np.nan)
    return np.array(found)


def draw(rng):
    return rng.normal(size=(5, 9)), np.floor(rng.uniform(0, 4, size=(5, 9)))


TIED = {"ties": lambda rng, dtype: (rng.integers(0, 3, (20, 9)).astype(float), draw(rng)[1].repeat(4, axis=0))}
CASES = [
    *[
        Case(
            ndcg,
            draw,
            "ndcg_score of scikit-learn",
            ndcg_by_sklearn,
            kwargs={"k": k},
            bound=Normwise(9, 2.0),
            sweep=TIED,
            label=f"k {k}",
            refuses=[
                (([[1.0]], [[1.0, 2.0]]), {}, ValueError, "gain: expected the shape of score"),
                (([[1.0]], [[-1.0]]), {}, ValueError, "gain: expected numbers from 0, got -1"),
                (([[1.0]], [[1.0]]), {"k": 0}, ValueError, "k: expected an integer at least 1, got 0"),
            ],
        )
        for k in (None, 4)
    ],
    Case(
        recall_at,
        lambda rng: (rng.normal(size=(5, 9)), rng.random((5, 9)) < 0.3),
        "Python's sets",
        recall_by_sets,
        kwargs={"k": 3},
        bound=Exact(),
        refuses=[(([[1.0]], [[1]]), {"k": 1}, TypeError, "relevant: expected booleans")],
    ),
]
EDGES = [
    Edge(ndcg, ([[1.0, 2.0]], [[0.0, 0.0]]), [0.0], "nothing to gain"),
    Edge(
        ndcg,
        ([[1.0, 1.0]], [[1.0, 0.0]]),
        [0.5 + 0.5 / np.log2(3)],
        "equal scores: the mean over both orders",
        output="0.8155",
    ),
    Edge(recall_at, ([[1.0, 2.0]], [[False, False]]), [np.nan], "nothing is relevant", kwargs={"k": 1}),
]
CONVENTIONS = [
    Convention(
        "collaborative-filtering",
        "ndcg-ties",
        "Equal scores in a ranking",
        "NDCG of the scores 1, 1 with the gains 0, 1",
        [
            Row(
                "dlref",
                "mean over the orders",
                "0.815",
                lambda: ndcg([[1.0, 1.0]], [[0.0, 1.0]])[0],
                "{:.3f}",
                package="dlref",
            ),
            Row(
                "scikit-learn",
                "`ndcg_score`: the same",
                "0.815",
                lambda: ndcg_score([[0.0, 1.0]], [[1.0, 1.0]]),
                "{:.3f}",
                package="scikit-learn",
            ),
            Row(
                "scikit-learn",
                "`ignore_ties=True`: whichever the sort puts first",
                "1.000",
                lambda: ndcg_score([[0.0, 1.0]], [[1.0, 1.0]], ignore_ties=True),
                "{:.3f}",
                package="scikit-learn",
            ),
        ],
    ),
]


def thunks(dtype):
    rng = np.random.default_rng(0)
    score, gain = rng.normal(size=(1000, 200)).astype(dtype), rng.integers(0, 5, (1000, 200)).astype(dtype)
    return lambda: ndcg(score, gain), lambda: ndcg_score(gain, score)


def recall_thunks(dtype):
    rng = np.random.default_rng(0)
    score, relevant = rng.normal(size=(1000, 200)).astype(dtype), rng.random((1000, 200)) < 0.1
    other, right = torch.from_numpy(score), torch.from_numpy(relevant)

    def theirs():
        return right.gather(1, other.topk(10, dim=1).indices).sum(dim=1) / right.sum(dim=1)

    return lambda: recall_at(score, relevant, 10), theirs


BENCH = [
    Bench("metrics.ndcg", "sklearn's ndcg_score", "1000 x 200", thunks, aim=1.0),
    Bench("metrics.recall_at", "torch's topk and gather", "1000 x 200, the first 10", recall_thunks),
]
