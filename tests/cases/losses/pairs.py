"""Losses of pairs, of triplets, and of one pair among many."""

import numpy as np
import scipy.spatial.distance
import scipy.special
import torch
import torch.nn.functional as F

from dlref.losses import (
    contrastive_loss,
    contrastive_loss_backward,
    info_nce,
    info_nce_backward,
    nt_xent,
    nt_xent_backward,
    triplet_loss,
    triplet_loss_backward,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.oracles import from_torch

inf, nan = np.inf, np.nan


def pairs(rng):
    return rng.normal(size=(5, 2, 3)), rng.normal(size=(5, 2, 3)), rng.random((5, 2)) < 0.5


def triplets(rng):
    return tuple(rng.normal(size=(5, 2, 3)) for _ in range(3))


def views(rng):
    return rng.normal(size=(5, 3)), rng.normal(size=(5, 3))


def long_pairs(length):
    return lambda rng, dtype: (
        rng.normal(size=(4, length)),
        rng.normal(size=(4, length)),
        np.array([True, False, True, False]),
    )


def reduced(losses, reduction):
    return {"none": losses, "sum": losses.sum(), "mean": losses.mean()}[reduction]


def scipy_contrastive(x, z, similar, margin=1.0, reduction="mean"):
    rows = zip(x.reshape(-1, x.shape[-1]), z.reshape(-1, z.shape[-1]), strict=True)
    d = np.array([scipy.spatial.distance.euclidean(a, b) for a, b in rows]).reshape(similar.shape)
    return reduced(np.where(similar, d**2, np.clip(margin - d, 0, None) ** 2) / 2, reduction)


def torch_contrastive(x, z, similar, margin=1.0, reduction="mean"):
    d = torch.linalg.vector_norm(x - z, dim=-1)
    return reduced(torch.where(similar, d**2, torch.relu(margin - d) ** 2) / 2, reduction)


def torch_triplet(anchor, positive, negative, margin=1.0, squared=False, reduction="mean"):
    if not squared:
        return F.triplet_margin_loss(anchor, positive, negative, margin, eps=0, reduction=reduction)

    def square(x, y):
        return ((x - y) ** 2).sum(-1)

    options = {"distance_function": square, "margin": margin, "reduction": reduction}
    return F.triplet_margin_with_distance_loss(anchor, positive, negative, **options)


def torch_info_nce(query, key, temperature=1.0, reduction="mean"):
    return F.cross_entropy(query @ key.T / temperature, torch.arange(len(query)), reduction=reduction)


def torch_nt_xent(x, z, temperature=0.5, reduction="mean"):
    v = torch.cat([x, z])
    u = v / torch.linalg.vector_norm(v, dim=1, keepdim=True)
    s = (u @ u.T / temperature).masked_fill(torch.eye(len(u), dtype=torch.bool), -inf)
    return F.cross_entropy(s, torch.arange(len(u)).roll(len(x)), reduction=reduction)


def scipy_info_nce(query, key, temperature=1.0, reduction="mean"):
    return reduced(-np.diag(scipy.special.log_softmax(query @ key.T / temperature, axis=1)), reduction)


def equation_one(x, z, temperature=0.5, reduction="mean"):
    """SimCLR's equation 1, pair by pair, with scipy's cosine distance."""
    v, n, losses = np.concatenate([x, z]), len(x), []
    for i in range(2 * n):
        s = {k: 1 - scipy.spatial.distance.cosine(v[i], v[k]) for k in range(2 * n) if k != i}
        own = s[(i + n) % (2 * n)]
        losses.append(scipy.special.logsumexp(np.array(list(s.values())) / temperature) - own / temperature)
    return reduced(np.array(losses), reduction)


EUCLIDEAN = "scipy.spatial.distance.euclidean"
TRIPLET = "torch.nn.functional.triplet_margin_loss, eps=0"
SQUARE = "torch.nn.functional.triplet_margin_with_distance_loss"
LOG_SOFTMAX = "scipy.special.log_softmax"
COSINE = "scipy.spatial.distance.cosine and logsumexp"
ONE = [[0.0, 1.0]]

CASES = [
    Case(
        contrastive_loss,
        pairs,
        EUCLIDEAN,
        scipy_contrastive,
        kwargs={"margin": 3.0},
        sweep={f"dimension {n:,}": long_pairs(n) for n in (1, 7, 1000)},
        bound=Normwise(30, condition=3.0),  # of margin - d
        gradient=torch_contrastive,
        refuses=[
            ((ONE, ONE, [1]), {}, TypeError, "^similar: expected booleans, got int64$"),
            ((ONE, ONE, [True, False]), {}, ValueError, r"similar: expected shape \(1,\), got \(2,\)"),
            ((ONE, [[0.0]], [True]), {}, ValueError, r"z: expected the shape of x, \(1, 2\), got \(1, 1\)"),
            ((ONE, ONE, [True]), {"margin": 0.0}, ValueError, r"margin: expected a number in \(0, inf\], got 0"),
            ((ONE, ONE, [True]), {"reduction": "max"}, ValueError, "reduction: expected one of 'mean', 'sum', 'none'"),
        ],
        label="mean",
    ),
    Case(
        contrastive_loss,
        pairs,
        EUCLIDEAN,
        scipy_contrastive,
        kwargs={"margin": 3.0, "reduction": "none"},
        bound=Normwise(3, condition=3.0),
        gradient=torch_contrastive,
        label="none",
    ),
    Case(
        triplet_loss,
        triplets,
        TRIPLET,
        from_torch(torch_triplet),
        bound=Normwise(30),
        refuses=[
            ((ONE, ONE, [[1.0]]), {}, ValueError, r"negative: expected the shape of anchor, \(1, 2\), got \(1, 1\)"),
            ((ONE, ONE, ONE), {"squared": "yes"}, TypeError, "squared: expected True or False, got str"),
        ],
        label="mean",
    ),
    Case(
        triplet_loss,
        triplets,
        TRIPLET,
        from_torch(torch_triplet),
        kwargs={"margin": 0.3, "reduction": "none"},
        bound=Normwise(3),
        label="none",
    ),
    Case(
        triplet_loss,
        triplets,
        SQUARE,
        from_torch(torch_triplet),
        kwargs={"margin": 0.3, "squared": True, "reduction": "sum"},
        bound=Normwise(30),
        label="squared, sum",
    ),
    Case(
        info_nce,
        views,
        LOG_SOFTMAX,
        scipy_info_nce,
        kwargs={"temperature": 0.7},
        bound=Normwise(15),
        gradient=torch_info_nce,
        refuses=[
            ((ONE, [[0.0]]), {}, ValueError, r"key: expected the shape of query, \(1, 2\), got \(1, 1\)"),
            (([1.0], [1.0]), {}, ValueError, r"query: expected 2 dimensions, got 1 \(shape \(1,\)\)"),
            ((ONE, ONE), {"temperature": 0}, ValueError, r"temperature: expected a number in \(0, inf\], got 0"),
            ((np.zeros((0, 2)), np.zeros((0, 2))), {}, ValueError, "query: expected at least one row, got none"),
        ],
        label="mean",
    ),
    Case(
        info_nce,
        views,
        LOG_SOFTMAX,
        scipy_info_nce,
        kwargs={"reduction": "none"},
        bound=Normwise(15),
        gradient=torch_info_nce,
        label="none",
    ),
    Case(
        nt_xent,
        views,
        COSINE,
        equation_one,
        bound=Normwise(15),
        gradient=torch_nt_xent,
        refuses=[
            ((ONE, ONE), {"temperature": -1.0}, ValueError, r"temperature: expected a number in \(0, inf\], got -1")
        ],
        label="mean",
    ),
    Case(
        nt_xent,
        views,
        COSINE,
        equation_one,
        kwargs={"temperature": 0.1, "reduction": "none"},
        bound=Normwise(15, condition=4.0),  # errors of cosines, divided by the temperature
        gradient=torch_nt_xent,
        label="temperature 0.1, none",
    ),
]


def below_the_information(dtype):
    """Query and key share one of 64 equally likely signs: log N - L stays below the information log 64, and log N."""
    rng, over = np.random.default_rng(1), 0.0
    for count in (4, 16, 64):
        bounds = []
        for _ in range(50):
            shared = rng.integers(0, 64, count)
            one_hot = np.eye(64, dtype=dtype)[shared]
            bounds.append(np.log(count) - float(info_nce(one_hot, one_hot, temperature=0.05)))
        over = max(over, np.mean(bounds) - np.log(64), max(bounds) - np.log(count))
    return over, 150


PROOFS = [
    Proof(
        [info_nce],
        "van den Oord et al. (2018): log N - L is at most the mutual information, and at most log N",
        "150 batches of 4, 16 and 64 pairs that share one of 64 values",
        "gap",
        {"float32": 1e-6, "float64": 1e-12},  # rounding of a loss near zero
        below_the_information,
    )
]

SAME, APART = [True], [False]
EDGES = [
    Edge(contrastive_loss, ([[0.0]], [[1.0]], np.array(APART)), 0.0, "unlike, at the margin: free"),
    Edge(contrastive_loss, ([[0.0]], [[0.0]], np.array(APART)), 0.5, "unlike, in one place: half the margin squared"),
    Edge(
        contrastive_loss_backward,
        (1.0, [[0.0]], [[0.0]], np.array(APART)),
        ([[0.0]], [[-0.0]]),
        "no direction leads apart: zero is chosen",
    ),
    Edge(contrastive_loss, ([[nan]], [[0.0]], np.array(SAME)), nan, "passes through"),
    Edge(contrastive_loss, ([[0.0]], [[0.0]], np.array([1])), TypeError, "is 1 alike or unlike? Refused"),
    Edge(triplet_loss, ([[0.0]], [[1.0]], [[1.0]]), 1.0, "no difference: the margin"),
    Edge(
        triplet_loss_backward,
        (1.0, [[0.0]], [[0.0]], [[0.5]]),
        ([[1.0]], [[-0.0]], [[-1.0]]),
        "the positive has arrived and rests",
    ),
    Edge(info_nce, ([[1.0]], [[1.0]]), 0.0, "a single key is found with certainty"),
    Edge(nt_xent, ([[1.0, 0.0]], [[0.0, 1.0]]), 0.0, "a single pair has no negatives"),
    Edge(
        nt_xent_backward,
        (1.0, [[0.0], [1.0]], [[1.0], [1.0]]),
        ([[0.0], [0.0]], [[0.0], [0.0]]),
        "zeros have no direction; in one dimension nothing can turn",
    ),
]


def t(value):
    return torch.tensor(value, dtype=torch.float64)


def both(loss):
    return " and ".join(f"{float(loss(like)):g}" for like in (True, False))


def at_zero(distance):
    x = t([[0.0, 0.0]]).requires_grad_()
    (torch.relu(1 - distance(x, torch.zeros_like(x))) ** 2 / 2).sum().backward()
    return f"{float(x.grad[0, 0]) + 0.0:.3g}"


CONVENTIONS = [
    Convention(
        "contrastive-loss",
        "contrastive-form",
        "Squared or not, and who is 1",
        "a pair at distance 0.25, margin 1: the loss if similar and if dissimilar",
        [
            Row(
                "dlref",
                "$d^2/2$ and $\\max(0, 1 - d)^2/2$; True or False",
                "0.03125 and 0.28125",
                lambda: both(lambda like: contrastive_loss([[0.0]], [[0.25]], [like])),
                package="dlref",
            ),
            Row(
                "the paper",
                "the same; 0 is similar, 1 is dissimilar",
                "0.03125 and 0.28125",
                source="hadsell2006dimensionality",
            ),
            Row(
                "PyTorch",
                "`hinge_embedding_loss` of the distance: $d$ and $\\max(0, 1 - d)$; 1 and -1",
                "0.25 and 0.75",
                lambda: both(lambda like: F.hinge_embedding_loss(t([0.25]), torch.tensor([1 if like else -1]))),
                package="torch",
            ),
        ],
    ),
    Convention(
        "contrastive-loss",
        "contrastive-at-zero",
        "The gradient of a dissimilar pair at distance 0",
        "both embeddings [0, 0], margin 1; the first entry of the gradient",
        [
            Row(
                "dlref",
                "zero is chosen",
                "0",
                lambda: f"{float(contrastive_loss_backward(1.0, [[0.0, 0.0]], [[0.0, 0.0]], [False]).x[0, 0]):.3g}",
                package="dlref",
            ),
            Row(
                "PyTorch",
                "through `linalg.vector_norm`: zero is chosen",
                "0",
                lambda: at_zero(lambda x, z: torch.linalg.vector_norm(x - z, dim=-1)),
                package="torch",
            ),
            Row(
                "PyTorch",
                "through `pairwise_distance`, which adds $10^{-6}$ to each difference: along the diagonal",
                "-0.707",
                lambda: at_zero(F.pairwise_distance),
                package="torch",
            ),
            Row(
                "PyTorch",
                "through the root of a sum of squares: infinity times zero",
                "nan",
                lambda: at_zero(lambda x, z: ((x - z) ** 2).sum(-1).sqrt()),
                package="torch",
            ),
        ],
    ),
    Convention(
        "contrastive-loss",
        "triplet-distance",
        "The distance in the triplet loss",
        "a = 0, p = 0.5, n = 1, margin 1",
        [
            Row("dlref", "the distance", "0.5", lambda: float(triplet_loss([0.0], [0.5], [1.0])), package="dlref"),
            Row(
                "PyTorch",
                "`triplet_margin_loss`: the distance",
                "0.5",
                lambda: float(F.triplet_margin_loss(t([0.0]), t([0.5]), t([1.0]))),
                "{:.4g}",
                "torch",
            ),
            Row(
                "dlref",
                "`squared=True`, as in FaceNet: its square",
                "0.25",
                lambda: float(triplet_loss([0.0], [0.5], [1.0], squared=True)),
                package="dlref",
            ),
        ],
    ),
]


def thunks(ours, theirs, draw, gradient=False):
    def make(dtype):
        arrays = [a if a.dtype == bool else a.astype(dtype) for a in draw(np.random.default_rng(0))]
        leaves = [torch.from_numpy(a) for a in arrays]
        if not gradient:
            return lambda: ours(*arrays), lambda: theirs(*leaves)
        for leaf in leaves:
            leaf.requires_grad_(leaf.is_floating_point())

        def peer():
            for leaf in leaves:
                leaf.grad = None
            theirs(*leaves).backward()

        return lambda: ours(arrays[0].dtype.type(1), *arrays), peer

    return make


def many(count):
    return lambda rng: tuple(rng.normal(size=(1000, 64)) for _ in range(count))


def many_pairs(rng):
    return *many(2)(rng), rng.random(1000) < 0.5


def many_views(rng):
    return rng.normal(size=(256, 64)) / 8, rng.normal(size=(256, 64)) / 8


BACK = " and backward(); ours the backward pass alone"
TABLE = (
    (contrastive_loss, contrastive_loss_backward, torch_contrastive, many_pairs, "torch, the formula", "1000 x 64"),
    (
        triplet_loss,
        triplet_loss_backward,
        F.triplet_margin_loss,
        many(3),
        "torch.nn.functional.triplet_margin_loss",
        "1000 x 64",
    ),
    (info_nce, info_nce_backward, torch_info_nce, many_views, "torch, product and cross_entropy", "256 x 64"),
    (nt_xent, nt_xent_backward, torch_nt_xent, many_views, "torch, product and cross_entropy", "256 x 64"),
)

BENCH = [
    bench
    for ours, backward, theirs, draw, words, size in TABLE
    for bench in (
        Bench(f"losses.{ours.__name__}", words, size, thunks(ours, theirs, draw), aim=1.0),
        Bench(f"losses.{backward.__name__}", words + BACK, size, thunks(backward, theirs, draw, True), aim=1.0),
    )
]
