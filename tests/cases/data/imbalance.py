"""Splits, samples and shifts of classes of unequal size."""

import numpy as np
import scipy.stats
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import resample

from dlref.data import (
    imbalance_ratio,
    prior_shift,
    random_oversample,
    random_undersample,
    smote,
    stratified_folds,
    stratified_split,
)
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

nan = np.nan


def shares(rng):
    p = rng.uniform(0.01, 1, (23, 4))
    return p / p.sum(1, keepdims=True), rng.uniform(0.1, 1, 4), rng.uniform(0, 1, 4)


def elkan(p, source, target):
    """Theorem 2 of Elkan (2001), for two classes, written with the base rates of the second."""
    one, b, new = p[:, 1], source[1] / source.sum(), target[1] / target.sum()
    q = new * (one - one * b) / (b - one * b + new * one - b * new)
    return np.stack([1 - q, q], axis=1)


def two(rng):
    p = rng.uniform(0.01, 0.99, 31)
    b, new = rng.uniform(0.1, 0.9, 2)
    return np.stack([1 - p, p], axis=1), np.array([1 - b, b]), np.array([1 - new, new])


def by_rule(p, source, target):
    joint = p.astype(np.longdouble) * (target / source.astype(np.longdouble))
    return (joint / joint.sum(1, keepdims=True)).astype(np.float64)


CASES = [
    Case(
        prior_shift,
        two,
        "theorem 2 of Elkan (2001)",
        elkan,
        refuses=[
            (([[0.5, 0.5]], [0.5, 0.0], [0.5, 0.5]), {}, ValueError, "source: expected positive shares, got 0"),
            (([[0.5, 0.5]], [1.0], [0.5, 0.5]), {}, ValueError, r"source: expected shape \(2,\), got \(1,\)"),
        ],
    ),
    Case(prior_shift, shares, "Bayes' rule in longdouble", by_rule, label="four classes"),
    Case(
        imbalance_ratio,
        lambda rng: (rng.integers(0, 5, 97),),
        "numpy.unique",
        lambda target: (
            np.ptp(np.unique(target, return_counts=True)[1]) / np.unique(target, return_counts=True)[1].min() + 1
        ),
        refuses=[
            (([-1],), {}, ValueError, "target: expected integers from 0 to"),
            (([0.5],), {}, TypeError, "target: expected integers, got float64"),
        ],
    ),
]


def gaussians(dtype):
    """The worst difference from the posterior at the new shares, for two normal classes whose posterior is known."""
    x = np.linspace(-4, 6, 401)
    density = np.stack([scipy.stats.norm(0, 1).pdf(x), scipy.stats.norm(2, 1).pdf(x)], axis=1)

    def posterior(prior):
        return density * prior / (density * prior).sum(1, keepdims=True)

    old, new = np.array([0.5, 0.5]), np.array([0.98, 0.02])
    got = prior_shift(posterior(old).astype(dtype), old.astype(dtype), new.astype(dtype))
    return float(np.abs(got - posterior(new)).max()), x.size


def labels(n=300):
    return np.random.default_rng(4).choice(4, n, p=[0.6, 0.2, 0.12, 0.08])


def folds_of_sklearn(dtype):
    """How many class counts of a fold differ from scikit-learn's, both in order of size, or are not a partition."""
    wrong, count, rng = 0, 0, np.random.default_rng(0)
    for n in (300, 301, 177):
        target = labels(n)
        ours = stratified_folds(target, 5, rng)
        theirs = StratifiedKFold(5, shuffle=True, random_state=0).split(target, target)
        for got, want in zip(
            np.sort([np.bincount(target[ours == k], minlength=4) for k in range(5)], axis=0).ravel(),
            np.sort([np.bincount(target[test], minlength=4) for _, test in theirs], axis=0).ravel(),
            strict=True,
        ):
            wrong, count = wrong + (got != want), count + 1
        sizes = np.bincount(ours, minlength=5)
        wrong += sizes.max() - sizes.min() > 1
    return int(wrong), count


def split_of_sklearn(dtype):
    """How many class counts of the held-out part are further from the exact share than one, or lost."""
    wrong, count = 0, 0
    for seed, share in enumerate((0.1, 0.25, 0.5, 0.9)):
        target = labels()
        split = stratified_split(target, share, np.random.default_rng(seed))
        theirs = StratifiedShuffleSplit(1, test_size=share, random_state=0).split(target, target)
        _, test = next(theirs)
        held_out = np.bincount(target[split.test], minlength=4)
        wrong += np.sum(np.abs(held_out - np.bincount(target) * share) >= 1)
        wrong += len(split.test) != len(test)
        wrong += not np.array_equal(np.sort(np.concatenate(split)), np.arange(300))
        count += 4
    return int(wrong), count


def sizes_after(dtype):
    """How many classes have another size than they must, or examples of another class."""
    target, rng = labels(), np.random.default_rng(1)
    before = np.bincount(target)
    over, under = random_oversample(target, rng), random_undersample(target, rng)
    wrong = np.sum(np.bincount(target[over]) != before.max()) + np.sum(np.bincount(target[under]) != before.min())
    wrong += not np.array_equal(over[:300], np.arange(300))
    wrong += len(np.unique(under)) != len(under)
    return int(wrong), 8


def segments(dtype):
    """The largest distance of a new point from the nearest segment to one of scikit-learn's 3 nearest neighbors."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 3)).astype(dtype)
    made = smote(x, 200, rng, neighbors=3)
    near = NearestNeighbors(n_neighbors=4).fit(x.astype(np.float64)).kneighbors(x.astype(np.float64))[1][:, 1:]
    start = np.repeat(x.astype(np.float64), 3, axis=0)
    along = x[near.ravel()] - start
    worst = 0.0
    for point in made.astype(np.float64):
        place = np.clip(np.sum((point - start) * along, 1) / np.sum(along**2, 1), 0, 1)
        worst = max(worst, np.linalg.norm(start + place[:, None] * along - point, axis=1).min())
    return worst, len(made)


PROOFS = [
    Proof(
        [prior_shift],
        "the posterior of two normal classes at the new shares",
        "shares of 0.5 and 0.5 become 0.98 and 0.02",
        "absolute",
        {"float32": 2e-6, "float64": 4e-15},
        gaussians,
    ),
    Proof(
        [stratified_folds],
        "sklearn.model_selection.StratifiedKFold",
        "counts of each class in five folds of 177 to 301 examples",
        "count",
        0,
        folds_of_sklearn,
        dtypes=("float64",),
    ),
    Proof(
        [stratified_split],
        "the exact shares, and the size of StratifiedShuffleSplit",
        "four shares of 300 examples",
        "count",
        0,
        split_of_sklearn,
        dtypes=("float64",),
    ),
    Proof(
        [random_oversample, random_undersample],
        "sizes counted with NumPy",
        "300 examples of four classes",
        "count",
        0,
        sizes_after,
        dtypes=("float64",),
    ),
    Proof(
        [smote],
        "segments to the neighbors of sklearn.neighbors.NearestNeighbors",
        "200 points of 40 in three dimensions",
        "absolute",
        {"float32": 1e-6, "float64": 1e-14},
        segments,
    ),
]

EDGES = [
    Edge(imbalance_ratio, ([0, 2, 2],), 2.0, "a class that does not occur is not the smallest"),
    Edge(imbalance_ratio, ([0, 1 << 40],), ValueError, "a number, not a class", input="[0, 2**40]"),
    Edge(imbalance_ratio, (np.array([], int),), nan, "no example", input="[]"),
    Edge(
        prior_shift,
        ([[0.3, 0.7]], [0.5, 0.5], [1.0, 0.0]),
        (np.array([[1.0, 0.0]]),),
        "a class that no longer occurs",
        output="[1, 0]",
    ),
    Edge(
        prior_shift,
        ([[1.0, 0.0]], [0.5, 0.5], [0.0, 1.0]),
        (np.array([[nan, nan]]),),
        "certain of a class that cannot occur: 0/0",
        output="[nan, nan]",
    ),
    Edge(
        smote,
        (np.zeros((3, 2)), 4, np.random.default_rng(0)),
        ValueError,
        "five neighbors need six examples",
        input="3 examples, 5 neighbors",
    ),
    Edge(
        stratified_split,
        ([0, 1], 1, np.random.default_rng(0)),
        ValueError,
        "a share of all leaves nothing to train on",
        input="[0, 1], share 1",
    ),
    Edge(
        stratified_split,
        ([0, 1], 0.5, 0),
        TypeError,
        "a seed is no generator: the next call would draw the same again",
        input="[0, 1], share 0.5, rng=0",
    ),
]


def of_class(function):
    """Held-out examples of the class of three among thirty."""
    target = np.repeat([0, 1], [27, 3])
    return lambda: function(target)


def plain(target):
    counts = [np.sum(target[np.random.default_rng(seed).permutation(30)[:10]] == 1) for seed in range(50)]
    return f"{min(counts)} to {max(counts)}"


def ours(target):
    counts = [np.sum(target[stratified_split(target, 1 / 3, np.random.default_rng(s)).test] == 1) for s in range(50)]
    return f"{min(counts)} to {max(counts)}"


def theirs(target):
    splits = StratifiedShuffleSplit(50, test_size=10, random_state=0).split(target, target)
    counts = [np.sum(target[test] == 1) for _, test in splits]
    return f"{min(counts)} to {max(counts)}"


CONVENTIONS = [
    Convention(
        "class-imbalance",
        "class-imbalance-split",
        "Holding out a third",
        "27 examples of one class and 3 of the other, 50 random splits: how many of the 3 are held out",
        [
            Row("dlref", "`stratified_split`", "1 to 1", of_class(ours), package="dlref"),
            Row("scikit-learn", "`StratifiedShuffleSplit`", "1 to 1", of_class(theirs), package="scikit-learn"),
            Row("a plain random split", "a permutation, cut", "0 to 2", of_class(plain)),
        ],
    )
]


def splitting(ours, theirs):
    def make(_):
        target, rng = np.repeat([0, 1, 2], [60_000, 30_000, 10_000]), np.random.default_rng(0)
        return lambda: ours(target, rng), lambda: list(theirs.split(target, target))

    return make


def between(dtype):
    """What SMOTE does with scikit-learn's neighbors."""
    x, rng = np.random.default_rng(0).normal(size=(300, 10)).astype(dtype), np.random.default_rng(1)

    def peer():
        near = NearestNeighbors(n_neighbors=6).fit(x).kneighbors(x, return_distance=False)[:, 1:]
        base, place = rng.integers(300, size=1000), rng.random((1000, 1))
        return x[base] + place * (x[near[base, rng.integers(5, size=1000)]] - x[base])

    return lambda: smote(x, 1000, rng), peer


def resampling(ours, most, replace):
    """Class by class, as scikit-learn's guide to resampling does."""

    def make(_):
        target, rng = np.repeat([0, 1, 2], [60_000, 30_000, 10_000]), np.random.default_rng(0)

        def theirs():
            rows = (np.flatnonzero(target == k) for k in range(3))
            return np.concatenate([resample(r, n_samples=most, replace=replace, random_state=0) for r in rows])

        return lambda: ours(target, rng), theirs

    return make


def counting_ratio(_):
    target = np.random.default_rng(0).integers(0, 5, 100_000)

    def theirs():
        sizes = np.unique(target, return_counts=True)[1]
        return sizes.max() / sizes.min()

    return lambda: imbalance_ratio(target), theirs


def reweighing(dtype):
    p = np.random.default_rng(0).dirichlet(np.ones(10), 10_000).astype(dtype)
    source, target = np.random.default_rng(1).dirichlet(np.ones(10), 2).astype(dtype)

    def theirs():
        q = p * (target / source)
        return q / q.sum(axis=1, keepdims=True)

    return lambda: prior_shift(p, source, target), theirs


BENCH = [
    Bench("data.imbalance_ratio", "numpy.unique", "1e5 labels", counting_ratio, dtypes=("float64",)),
    Bench(
        "data.random_oversample",
        "sklearn.utils.resample of each class",
        "1e5 labels",
        resampling(random_oversample, 60_000, True),
        dtypes=("float64",),
    ),
    Bench(
        "data.random_undersample",
        "sklearn.utils.resample of each class",
        "1e5 labels",
        resampling(random_undersample, 10_000, False),
        dtypes=("float64",),
    ),
    Bench("data.prior_shift", "a NumPy expression", "10,000 x 10", reweighing),
    Bench(
        "data.stratified_folds",
        "sklearn StratifiedKFold",
        "1e5 labels",
        splitting(lambda y, rng: stratified_folds(y, 5, rng), StratifiedKFold(5, shuffle=True, random_state=0)),
        dtypes=("float64",),
    ),
    Bench(
        "data.stratified_split",
        "sklearn StratifiedShuffleSplit",
        "1e5 labels",
        splitting(
            lambda y, rng: stratified_split(y, 0.3, rng), StratifiedShuffleSplit(1, test_size=0.3, random_state=0)
        ),
        dtypes=("float64",),
    ),
    Bench("data.smote", "sklearn NearestNeighbors, NumPy", "1000 of 300 x 10", between),
]
