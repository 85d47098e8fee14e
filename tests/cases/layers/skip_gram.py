"""Skip-gram: SciPy's loss, autograd's gradient, PyTorch's steps, the theorem of Levy and Goldberg, and the draws."""

import numpy as np
import scipy.spatial.distance
import scipy.special
import scipy.stats
import torch
import torch.nn.functional as F

from dlref.layers import (
    analogy,
    draw_negatives,
    nearest,
    shifted_pmi,
    skip_gram_loss,
    skip_gram_loss_backward,
    skip_gram_pairs,
    skip_gram_train,
    subsample_words,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Edge, Proof

inf, nan = np.inf, np.nan
RNG = np.random.default_rng(0)
PAIRS = {"center": RNG.integers(0, 7, 30), "context": RNG.integers(0, 9, 30), "negatives": RNG.integers(0, 9, (30, 4))}


def tables(rng):
    return rng.normal(size=(7, 5)), rng.normal(size=(9, 5))


def scipy_loss(words, contexts, center, context, negatives):
    near = np.sum(words[center] * contexts[context], axis=1)
    far = np.einsum("pd,pkd->pk", words[center], contexts[negatives])
    return -np.mean(scipy.special.log_expit(near) + scipy.special.log_expit(-far).sum(axis=1))


def torch_loss(words, contexts, center, context, negatives):
    near = (words[center] * contexts[context]).sum(1)
    far = torch.einsum("pd,pkd->pk", words[center], contexts[negatives])
    return -(F.logsigmoid(near) + F.logsigmoid(-far).sum(1)).mean()


CASES = [
    Case(
        skip_gram_loss,
        tables,
        "scipy.special.log_expit",
        scipy_loss,
        kwargs=PAIRS,
        gradient=torch_loss,
        sweep={"scores up to 1,000": lambda rng, dtype: tuple(20 * t for t in tables(rng))},
        bound=Normwise(150),
        refuses=[
            (
                (np.ones((2, 3)), np.ones((2, 4)), [0], [0], [[0]]),
                {},
                ValueError,
                r"contexts: expected shape \(any, 3\)",
            ),
            (
                (np.ones((2, 3)), np.ones((2, 3)), [2], [0], [[0]]),
                {},
                ValueError,
                "center: expected integers from 0 to 1",
            ),
            (
                (np.ones((2, 3)), np.ones((2, 3)), [0], [0], [0]),
                {},
                ValueError,
                r"negatives: expected shape \(1, any\)",
            ),
        ],
    ),
]


def steps(dtype):
    """Forty single steps of PyTorch's SGD on distinct contexts."""
    rng = np.random.default_rng(1)
    words, contexts = (t.astype(dtype) for t in tables(rng))
    center = rng.integers(0, 7, 40)
    others = np.array([rng.permutation(9)[:5] for _ in range(40)])
    leaves = [torch.from_numpy(t.astype(np.float64)).requires_grad_() for t in (words, contexts)]
    descent = torch.optim.SGD(leaves, lr=0.1)
    for i, row in zip(center, others, strict=True):
        descent.zero_grad()
        torch_loss(*leaves, [int(i)], [int(row[0])], row[None, 1:]).backward()
        descent.step()
    found = skip_gram_train(words, contexts, center, others[:, 0], others[:, 1:], lr=0.1)
    wanted = [leaf.detach().numpy() for leaf in leaves]
    return max(abs(f - w).max() / abs(w).max() for f, w in zip(found, wanted, strict=True)), words.size + contexts.size


def optimum(dtype):
    """At w . c = PMI - log k, every negative drawn exactly as often as the theorem says, both gradients vanish."""
    text = np.random.default_rng(2).permutation(np.repeat(np.arange(4), (9, 7, 6, 5)))
    every = [(a, b) for a in range(4) for b in range(4)]  # so that no count is zero
    pairs = np.array([*every, *((a, b) for d in range(1, 8) for a, b in zip(text, np.roll(text, d), strict=True))])
    counts = np.zeros((4, 4))
    np.add.at(counts, tuple(pairs.T), 1)
    total = len(pairs)
    # Each pair with all contexts of the text as its negatives: as many negatives as there are pairs.
    negatives = np.broadcast_to(pairs[:, 1], (total, total))
    words, contexts = shifted_pmi(counts, total).astype(dtype), np.eye(4, dtype=dtype)
    found = skip_gram_loss_backward(dtype(1), words, contexts, *pairs.T, negatives)
    away = skip_gram_loss_backward(dtype(1), words + dtype(0.5), contexts, *pairs.T, negatives)
    return max(abs(f).max() / abs(a).max() for f, a in zip(found, away, strict=True)), total * (total + 1)


def windows(dtype):
    """Pairs of a text of distinct words, by distance, against the chances of the drawn windows; in deviations."""
    pairs = skip_gram_pairs(np.arange(20_000), np.random.default_rng(0), window=4)
    distance = abs(pairs[:, 1] - pairs[:, 0])
    worst = abs(distance.min() - 1) + max(distance.max() - 4, 0)
    for d in range(1, 5):
        # A place draws a window of at least d with chance (5 - d) / 4, and then has two such pairs.
        chance = (5 - d) / 4
        mean, std = 2 * 20_000 * chance, 2 * np.sqrt(20_000 * chance * (1 - chance)) + 1e-9
        worst = max(worst, abs((distance == d).sum() - mean) / (std + 2 * d))
    return worst, len(pairs)


def laws(dtype):
    """The draws of negatives and of kept words by a chi-squared and a binomial test; one minus the smallest p."""
    counts, rng = np.array([1000, 300, 0, 50, 5]), np.random.default_rng(0)
    drawn = np.bincount(draw_negatives(counts, (4000, 5), rng).ravel(), minlength=5)
    weights = np.array([1000**0.75, 300**0.75, 50**0.75, 5**0.75])
    assert drawn[2] == 0
    p = [scipy.stats.chisquare(drawn[[0, 1, 3, 4]], 20_000 * weights / weights.sum()).pvalue]
    text = np.repeat(np.arange(3), (90_000, 9_900, 100))
    kept = np.bincount(subsample_words(text, rng, 1e-2), minlength=3)
    for k, n in ((0, 90_000), (1, 9_900)):
        p.append(scipy.stats.binomtest(int(kept[k]), n, np.sqrt(1e-2 / (n / 100_000))).pvalue)
    assert kept[2] == 100
    return 1 - min(1, 3 * min(p)), 120_000


def neighbors(dtype):
    """Order and cosines against scipy.spatial, for a vector and for the fourth corner of three rows."""
    rng = np.random.default_rng(0)
    table, vector = rng.normal(size=(200, 20)).astype(dtype), rng.normal(size=20).astype(dtype)
    cosines = 1 - scipy.spatial.distance.cdist(vector[None].astype(float), table.astype(float), "cosine")[0]
    want = [i for i in np.argsort(-cosines) if i not in (3, 5)][:50]
    found = nearest(table, vector, 50, exclude=(3, 5))
    wrong = int((found.ids != want).sum()) + int(abs(found.cosines - cosines[want]).max() > 1e-5)
    unit = table.astype(float) / np.linalg.norm(table.astype(float), axis=1, keepdims=True)
    corner = (unit[1] - unit[0] + unit[2])[None]
    cosines = 1 - scipy.spatial.distance.cdist(corner, unit, "cosine")[0]
    want = [i for i in np.argsort(-cosines) if i not in (0, 1, 2)][:20]
    found = analogy(table, 0, 1, 2, 20)
    return wrong + int((found.ids != want).sum()) + int(abs(found.cosines - cosines[want]).max() > 1e-5), 70


SMALL = {"float32": 2e-6, "float64": 4e-15}  # forty steps, or sums of hundreds of terms, each rounded
PROOFS = [
    Proof([skip_gram_train], "torch.optim.SGD, pair by pair", "40 pairs, 4 negatives", "normwise", SMALL, steps),
    Proof(
        [shifted_pmi, skip_gram_loss_backward],
        "the theorem of Levy and Goldberg: no gradient at w · c = PMI - log k",
        "4 words, all pairs, every context as a negative; as a share of the gradient half a unit away",
        "normwise",
        {"float32": 1e-4, "float64": 1e-12},  # 42,000 terms that cancel
        optimum,
    ),
    Proof([skip_gram_pairs], "the law of the windows", "20,000 places; in deviations", "absolute", 4.0, windows),
    Proof(
        [draw_negatives, subsample_words],
        "chi-squared and binomial tests by scipy.stats",
        "120,000 draws; one minus the smallest of three p-values, times three",
        "absolute",
        0.999,
        laws,
    ),
    Proof([nearest, analogy], "scipy.spatial.distance", "200 rows", "count", 0, neighbors),
]

EDGES = [
    Edge(draw_negatives, ([1, 1], (2, "a"), np.random.default_rng(0)), TypeError, "lengths are integers"),
    Edge(
        skip_gram_loss,
        ([[1.0]], [[1000.0]], [0], [0], np.zeros((1, 0), int)),
        0.0,
        "certain and right",
        input="w = 1, c = 1000, no negatives",
    ),
    Edge(
        skip_gram_loss,
        ([[1.0]], [[-1000.0]], [0], [0], np.zeros((1, 0), int)),
        1000.0,
        "certain and wrong: the score, no overflow",
        input="w = 1, c = -1000, no negatives",
    ),
    Edge(
        skip_gram_loss,
        ([[1.0]], [[1.0]], np.zeros(0, int), np.zeros(0, int), np.zeros((0, 5), int)),
        nan,
        "a mean of nothing",
        input="no pairs",
    ),
    Edge(
        shifted_pmi,
        ([[1.0, 1.0], [0.0, 2.0]],),
        [[np.log(2), np.log(2 / 3)], [-inf, np.log(4 / 3)]],
        "never seen together",
    ),
    Edge(nearest, ([[0.0, 0.0]], [1.0, 0.0]), ([0], [0.0]), "a vector of zero has no direction"),
]


def train_thunks(dtype):
    rng = np.random.default_rng(0)
    words, contexts = rng.normal(size=(2, 1000, 50)).astype(dtype) / 10
    center, context = rng.integers(0, 1000, (2, 5000))
    negatives = rng.integers(0, 1000, (5000, 5))
    leaves = [torch.from_numpy(t.copy()).requires_grad_() for t in (words, contexts)]
    data = [torch.from_numpy(v) for v in (center, context, negatives)]

    def theirs():
        gradients = torch.autograd.grad(torch_loss(*leaves, *data), leaves)
        with torch.no_grad():
            return [leaf - 0.025 * g for leaf, g in zip(leaves, gradients, strict=True)]

    return lambda: skip_gram_train(words, contexts, center, context, negatives), theirs


def loss_thunks(gradient):
    def make(dtype):
        rng = np.random.default_rng(0)
        words, contexts = rng.normal(size=(2, 1000, 50)).astype(dtype) / 10
        data = *rng.integers(0, 1000, (2, 5000)), rng.integers(0, 1000, (5000, 5))
        leaves = [torch.from_numpy(t).requires_grad_(gradient) for t in (words, contexts)]
        tensors = [torch.from_numpy(v) for v in data]
        if not gradient:
            return lambda: skip_gram_loss(words, contexts, *data), lambda: torch_loss(*leaves, *tensors)
        ours, one = skip_gram_loss_backward, np.ones((), dtype)
        loss = torch_loss(*leaves, *tensors)
        return (
            lambda: ours(one, words, contexts, *data),
            lambda: torch.autograd.grad(loss, leaves, retain_graph=True),
        )

    return make


def negatives_thunks(dtype):
    rng, counts = np.random.default_rng(0), np.random.default_rng(1).integers(1, 1000, 1000)
    weights = torch.from_numpy(counts).to(getattr(torch, np.dtype(dtype).name)) ** 0.75
    return (
        lambda: draw_negatives(counts, (5000, 5), rng),
        lambda: torch.multinomial(weights, 25_000, replacement=True),
    )


def nearest_thunks(dtype):
    from sklearn.neighbors import NearestNeighbors

    table = np.random.default_rng(0).normal(size=(1000, 50)).astype(dtype)
    search = NearestNeighbors(n_neighbors=5, metric="cosine", algorithm="brute").fit(table)
    return lambda: nearest(table, table[0], 5), lambda: search.kneighbors(table[:1])


def analogy_thunks(dtype):
    from sklearn.neighbors import NearestNeighbors

    table = np.random.default_rng(0).normal(size=(1000, 50)).astype(dtype)

    def theirs():
        unit = table / np.linalg.norm(table, axis=1, keepdims=True)
        search = NearestNeighbors(n_neighbors=8, metric="cosine", algorithm="brute").fit(unit)
        return search.kneighbors((unit[1] - unit[0] + unit[2])[None])  # three of the eight are those of the question

    return lambda: analogy(table, 0, 1, 2, 5), theirs


def pmi_thunks(dtype):
    counts = np.random.default_rng(0).integers(0, 50, (500, 500)).astype(dtype)
    t = torch.from_numpy(counts)

    def theirs():
        wide = t.double()
        return torch.log(wide * wide.sum() / (wide.sum(dim=1, keepdim=True) * wide.sum(dim=0))) - np.log(5)

    return lambda: shifted_pmi(counts, 5), theirs


PAIRS_SIZE = "5,000 pairs, 50 wide"
BENCH = [
    Bench("layers.skip_gram_loss", "the same lines in PyTorch", PAIRS_SIZE, loss_thunks(False)),
    Bench("layers.skip_gram_loss_backward", "autograd of these lines", PAIRS_SIZE, loss_thunks(True)),
    Bench("layers.analogy", "sklearn.neighbors.NearestNeighbors", "5 of 1,000, 50 wide", analogy_thunks),
    Bench("layers.shifted_pmi", "the same lines in PyTorch", "500 × 500", pmi_thunks),
    Bench("layers.draw_negatives", "torch.multinomial", "25,000 of 1,000", negatives_thunks),
    Bench("layers.nearest", "sklearn.neighbors.NearestNeighbors", "5 of 1,000, 50 wide", nearest_thunks),
    Bench(
        "layers.skip_gram_train",
        "one step on the whole batch in PyTorch",
        "5,000 pairs, 50 wide",
        train_thunks,
        aim=1.0,
    ),
]
