"""Matrix factorizations against the singular value decomposition, ridge regression and torch; neighbors by hand."""

import numpy as np
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import cosine_similarity

from dlref.models import factorize_als, factorize_sgd, neighbor_ratings, rating_scores
from tests.cases import Bench, Edge, Proof


def everything(table):
    users, items = np.divmod(np.arange(table.size), table.shape[1])
    return users, items, table.ravel()


def some(rng, shape=(12, 9), share=0.6):
    users, items = np.nonzero(rng.random(shape) < share)
    return users, items, rng.normal(3, 1, len(users)), shape


def product(model):
    return model.u @ model.v.T


def truncated(dtype):
    """Return the distance of a fully observed table's factors from its truncated decomposition, normwise."""
    rng, worst = np.random.default_rng(0), 0.0
    for rank in (1, 3):
        table = (rng.normal(size=(13, 3)) @ rng.normal(size=(3, 8)) + 0.2 * rng.normal(size=(13, 8))).astype(dtype)
        start = rng.normal(size=(8, rank)).astype(dtype)
        tol = 1e-12 if dtype is np.float64 else 1e-6
        model = factorize_als(*everything(table), start, table.shape, alpha=0.0, tol=tol, max_sweeps=500)
        u, s, vt = np.linalg.svd(table.astype(float), full_matrices=False)
        want = (u[:, :rank] * s[:rank]) @ vt[:rank]
        worst = max(worst, np.abs(product(model) - want).max() / np.abs(want).max())
        worst = max(worst, abs(model.objective[-1] / np.square(s[rank:]).sum() - 1))
    return worst, 2 * 104


def softened(dtype):
    """The same with a penalty, which shrinks the singular values by it; and with zeros for what is missing."""
    rng, worst = np.random.default_rng(0), 0.0
    tol = 1e-12 if dtype is np.float64 else 1e-6
    for missing in (0.0, 1.0):
        table = rng.normal(3, 1, size=(13, 8)).astype(dtype)
        where = np.nonzero(rng.random(table.shape) < (0.5 if missing else 2.0))
        filled = np.zeros_like(table)
        filled[where] = table[where]
        start = rng.normal(size=(8, 8)).astype(dtype)
        model = factorize_als(*where, table[where], start, table.shape, 2.0, missing, tol, 5000)
        u, s, vt = np.linalg.svd(filled.astype(float), full_matrices=False)
        want = (u * np.maximum(s - 2, 0)) @ vt
        worst = max(worst, np.abs(product(model) - want).max() / np.abs(want).max())
        assert 0 < np.count_nonzero(s > 2) < 8
    return worst, 2 * 104


def by_ridge(dtype):
    """Return the distance of one sweep from scikit-learn's ridge regression of every row."""
    rng = np.random.default_rng(3)
    users, items, ratings, shape = some(rng)
    ratings, start = ratings.astype(dtype), rng.normal(size=(9, 4)).astype(dtype)
    model = factorize_als(users, items, ratings, start, shape, 0.7, max_sweeps=1)
    u, v = np.zeros((12, 4)), start.astype(float)
    for mine, others, own, theirs in ((users, items, u, v), (items, users, v, u)):
        for row in range(len(own)):
            x, y = theirs[others[mine == row]], ratings[mine == row].astype(float)
            own[row] = Ridge(0.7, fit_intercept=False).fit(x, y).coef_
    error = max(np.abs(model.u - u).max() / np.abs(u).max(), np.abs(model.v - v).max() / np.abs(v).max())
    return error, u.size + v.size


def descending(dtype):
    """Return the largest rise of the objective over 40 sweeps, as a share of it."""
    rng = np.random.default_rng(4)
    users, items, ratings, shape = some(rng)
    start, worst = rng.normal(size=(9, 4)).astype(dtype), 0.0
    for missing in (0.0, 0.1):
        model = factorize_als(users, items, ratings.astype(dtype), start, shape, 0.3, missing, 0.0, 40)
        u, v = model.u.astype(float), model.v.astype(float)
        weight = np.full(shape, missing)
        table = np.zeros(shape)
        table[users, items], weight[users, items] = ratings.astype(dtype), 1
        want = (weight * (table - u @ v.T) ** 2).sum() + 0.3 * ((u * u).sum() + (v * v).sum())
        worst = max(worst, abs(model.objective[-1] / want - 1), np.diff(model.objective).max() / model.objective[-1])
    return max(0.0, worst), 80


def by_torch(dtype):
    """Return the distance from gradient steps by autograd after two epochs, over all parts."""
    rng = np.random.default_rng(5)
    users, items, ratings, _ = some(rng)
    start = rng.normal(size=(12, 3)), rng.normal(size=(9, 3))
    model = factorize_sgd(users, items, ratings, start, np.random.default_rng(1), 0.05, 0.02, 2)
    parts = [torch.zeros(12), torch.zeros(9), *map(torch.from_numpy, start)]
    parts = [part.double().clone().requires_grad_() for part in parts]
    mean, order, met = ratings.mean(), np.random.default_rng(1), np.zeros(2)
    for epoch in range(2):
        for m in order.permutation(len(ratings)):
            bu, bi, p, q = parts[0][users[m]], parts[1][items[m]], parts[2][users[m]], parts[3][items[m]]
            square = (ratings[m] - mean - bu - bi - p @ q) ** 2
            met[epoch] += square.item() / len(ratings)
            loss = square / 2 + 0.025 * (bu * bu + bi * bi + p @ p + q @ q)
            for part, gradient in zip(parts, torch.autograd.grad(loss, parts), strict=True):
                part.data -= 0.02 * gradient
    got = [model.user_bias, model.item_bias, model.u, model.v, model.error]
    want = [*(part.detach().numpy() for part in parts), met]
    errors = [np.abs(g - w).max() / np.abs(g).max() for g, w in zip(got, want, strict=True)]
    return max(errors), sum(g.size for g in got)


def neighbors_by_hand(users, items, ratings, at_users, at_items, shape, k, kind):
    if kind == "item":
        users, items, at_users, at_items, shape = items, users, at_items, at_users, shape[::-1]
    table = np.full(shape, np.nan)
    table[users, items] = ratings
    means = np.array([np.mean(row[~np.isnan(row)]) if (~np.isnan(row)).any() else ratings.mean() for row in table])
    deviations = np.nan_to_num(table - means[:, None])
    similar, found = cosine_similarity(deviations), []
    for user, item in zip(at_users, at_items, strict=True):
        others = [o for o in range(shape[0]) if not np.isnan(table[o, item]) and o != user and similar[user, o] > 0]
        others = sorted(others, key=lambda o: -similar[user, o])[:k]
        weights = similar[user, others]
        found.append(means[user] + (weights @ deviations[others, item] / weights.sum() if others else 0))
    return np.array(found)


def neighbors(rng):
    users, items, ratings, _ = some(rng, (12, 9), 0.5)
    users = np.where(users == 4, 5, users)  # a user without ratings ...
    _, first = np.unique(users * 9 + items, return_index=True)  # ... and no pair twice
    at = np.divmod(np.arange(108), 9)
    return users[first], items[first], ratings[first], *at


def by_hand(dtype):
    worst = 0.0
    for seed in range(4):
        users, items, ratings, at_users, at_items = neighbors(np.random.default_rng(seed))
        ratings = ratings.astype(dtype)
        for kind in ("user", "item"):
            for k in (2, 50):
                args = users, items, ratings, (12, 9), at_users, at_items
                got = neighbor_ratings(*args, k, kind)
                want = neighbors_by_hand(users, items, ratings.astype(float), at_users, at_items, (12, 9), k, kind)
                worst = max(worst, np.abs(got - want).max() / np.abs(want).max())
                assert got.dtype == dtype
    return worst, 16 * 108


def scores_by_loop(dtype):
    rng = np.random.default_rng(6)
    users, items, ratings, shape = some(rng)
    ratings, start = ratings.astype(dtype), [rng.normal(size=(n, 3)).astype(dtype) for n in shape]
    worst = 0.0
    for model in (
        factorize_als(users, items, ratings, start[1], shape, max_sweeps=2),
        factorize_sgd(users, items, ratings, start, rng, epochs=2),
    ):
        want = [
            sum(float(a) * float(b) for a, b in zip(model.u[i], model.v[j], strict=True))
            + (model.mean + float(model.user_bias[i]) + float(model.item_bias[j]) if hasattr(model, "mean") else 0)
            for i, j in zip(users, items, strict=True)
        ]
        got = rating_scores(model, users, items)
        assert got.dtype == dtype
        worst = max(worst, np.abs(got - want).max() / np.abs(want).max())
    return worst, 2 * len(users)


TABLE = "tables of 13 by 8"
PROOFS = [
    Proof(
        [factorize_als],
        "the theorem of Eckart and Young",
        f"{TABLE}, fully observed, rank 1 and 3, no penalty: product and objective",
        "normwise",
        {"float64": 1e-8, "float32": 1e-3},
        truncated,
    ),
    Proof(
        [factorize_als],
        "soft-thresholded singular values",
        f"{TABLE}, penalty 2, fully observed and with zeros for what is missing",
        "normwise",
        {"float64": 1e-8, "float32": 1e-3},
        softened,
    ),
    Proof(
        [factorize_als],
        "Ridge of scikit-learn for every row",
        "one sweep, 12 users and 9 items",
        "normwise",
        {"float64": 1e-12, "float32": 1e-4},
        by_ridge,
    ),
    Proof(
        [factorize_als],
        "descent, and the objective by definition",
        "40 sweeps with and without a weight of what is missing",
        "relative",
        {"float64": 1e-12, "float32": 1e-4},
        descending,
    ),
    Proof(
        [factorize_sgd],
        "autograd of PyTorch",
        "biases, factors and errors of two epochs, 12 users and 9 items",
        "normwise",
        1e-12,
        by_torch,
        dtypes=("float64",),
    ),
    Proof(
        [neighbor_ratings],
        "cosine_similarity of scikit-learn and sorting",
        "all pairs of four tables, users' and items' neighbors",
        "normwise",
        {"float64": 1e-13, "float32": 1e-5},
        by_hand,
    ),
    Proof(
        [rating_scores],
        "sums in Python",
        "all rated pairs, with and without biases",
        "normwise",
        {"float64": 1e-14, "float32": 1e-6},
        scores_by_loop,
    ),
]
EDGES = [
    Edge(
        factorize_als,
        ([0], [0], [2.0], [[1.0], [1.0]], (2, 2)),
        ([[1.0], [0.0]], [[1.0], [0.0]], [3.0], 1.0, False),
        "cold start: without a rating the penalty alone decides, and the factors are 0",
        kwargs={"max_sweeps": 1},
        input="one rating of 2, two users, two items, rank 1",
        output="u = [1, 0], v = [1, 0]",
    ),
    Edge(
        factorize_als,
        ([0, 0], [1, 1], [1.0, 2.0], [[1.0], [1.0]], (2, 2)),
        ValueError,
        "two ratings of one pair",
        input="the pair (0, 1) twice",
    ),
    Edge(
        factorize_als,
        ([0], [0], [np.nan], [[1.0]], (1, 1)),
        ValueError,
        "what is missing is left out, not marked",
        input="a rating of NaN",
    ),
    Edge(
        neighbor_ratings,
        ([0], [0], [4.0], (2, 2), [1], [1]),
        [4.0],
        "neither has ratings: the mean of all",
        input="one rating of 4; another user, another item",
    ),
]


def planted(dtype, users=600, items=300, rank=8, share=0.1):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(users, rank)) @ rng.normal(size=(rank, items)) / np.sqrt(rank)
    at = np.nonzero(rng.random(table.shape) < share)
    return *at, (table[at] + 0.3 * rng.normal(size=len(at[0]))).astype(dtype), (users, items)


def als_thunks(dtype):
    users, items, ratings, shape = planted(dtype)
    start = np.random.default_rng(1).normal(size=(shape[1], 8)).astype(dtype)

    def theirs():
        u, v = np.zeros((shape[0], 8), dtype), start.copy()
        for _ in range(5):
            for mine, others, own, fixed in ((users, items, u, v), (items, users, v, u)):
                order = np.argsort(mine, kind="stable")
                cuts = np.searchsorted(mine[order], np.arange(1, len(own)))
                for row, part in enumerate(np.split(order, cuts)):
                    x = fixed[others[part]]
                    own[row] = np.linalg.solve(x.T @ x + np.eye(8, dtype=dtype), x.T @ ratings[part])
        return u, v

    return lambda: factorize_als(users, items, ratings, start, shape, tol=0.0, max_sweeps=5), theirs


def scores_thunks(dtype):
    users, items, ratings, shape = planted(dtype)
    start = np.random.default_rng(1).normal(size=(shape[1], 8)).astype(dtype)
    model = factorize_als(users, items, ratings, start, shape, tol=0.0, max_sweeps=1)
    u, v, at, on = (torch.from_numpy(part) for part in (model.u, model.v, users, items))
    return lambda: rating_scores(model, users, items), lambda: (u[at] * v[on]).sum(dim=1)


BENCH = [
    Bench("models.factorize_als", "NumPy, a solve for each row", "600 x 300, 10 %, rank 8, 5 sweeps", als_thunks),
    Bench("models.rating_scores", "the same in torch", "18,000 pairs, rank 8", scores_thunks),
]
