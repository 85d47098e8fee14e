"""The ROC curve, its area, DeLong's interval and the convex hull."""

import itertools
import statistics
import warnings
from fractions import Fraction

import numpy as np
import scipy.spatial
import scipy.stats
import sklearn.metrics

from dlref.metrics import roc_auc, roc_auc_interval, roc_curve, roc_hull, trapezoid_area
from tests.bounds import ULP
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

inf, nan = np.inf, np.nan


def tied(_):
    """Scores on a grid, so that most are shared, and more negatives than positives; the same in every dtype."""
    rng = np.random.default_rng(7)
    target = (rng.random(101) < 0.3).astype(int)
    return rng.integers(0, 24, 101) / 8 + target / 2, target


def weighted(_):
    return *tied(_), np.random.default_rng(8).uniform(0.1, 3, 101)


def distinct(rng, length):
    target = np.arange(length) % 3 == 0
    return rng.permutation(length) + target * length / 3, target.astype(int)


def sweep(*lengths):
    return {f"length {n:,}": (lambda rng, dtype, n=n: distinct(rng, n)) for n in lengths}


def curve(score, target, weight=None):
    return sklearn.metrics.roc_curve(target, score, sample_weight=weight, drop_intermediate=False)


def u_statistic(score, target):
    u = scipy.stats.mannwhitneyu(score[target == 1], score[target == 0], method="asymptotic").statistic
    return u / (target.sum() * (1 - target).sum())


def area(score, target, weight):
    return sklearn.metrics.roc_auc_score(target, score, sample_weight=weight)


def placements(score, target, level=0.95):
    """The definition: every positive against every negative, then the variance of the means over either side."""
    positive, negative = score[target == 1], score[target == 0]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    auc = wins.mean()
    error = np.sqrt(wins.mean(1).var(ddof=1) / len(positive) + wins.mean(0).var(ddof=1) / len(negative))
    reach = scipy.stats.norm.ppf((1 + level) / 2) * error
    return auc, error, max(auc - reach, 0.0), min(auc + reach, 1.0)


def hull(score, target, weight):
    fpr, tpr, threshold = curve(score, target, weight)
    corners = np.sort(scipy.spatial.ConvexHull(np.stack([fpr, tpr], axis=1)).vertices)
    corners = [k for k in corners if tpr[k] > fpr[k] or k in (0, len(fpr) - 1)]
    return fpr[corners], tpr[corners], threshold[corners]


CASES = [
    Case(
        roc_curve,
        tied,
        "sklearn.metrics.roc_curve",
        curve,
        sweep=sweep(7, 1000, 100_000),
        bound=ULP(),
        label="ties",
        refuses=[
            (([[0.5]], [1]), {}, ValueError, r"score: expected shape \(any,\), got \(1, 1\)"),
            (([0.5], [1, 0]), {}, ValueError, r"target: expected shape \(1,\), got \(2,\)"),
            (([0.5], [-1]), {}, ValueError, "target: expected integers from 0 to 1, got -1"),
            (([0.5], [1.0]), {}, TypeError, "target: expected integers, got float64"),
            (([0.5], [1], [-2.0]), {}, ValueError, "weight: expected numbers from 0, got -2"),
            (([0.5], [1], [1.0, 2.0]), {}, ValueError, r"weight: expected the shape of score, \(1,\), got \(2,\)"),
        ],
    ),
    Case(roc_curve, weighted, "sklearn.metrics.roc_curve", curve, label="ties, weights"),
    Case(
        roc_auc, tied, "scipy.stats.mannwhitneyu", u_statistic, sweep=sweep(7, 1000, 100_000), bound=ULP(), label="ties"
    ),
    Case(roc_auc, weighted, "sklearn.metrics.roc_auc_score", area, label="ties, weights"),
    Case(
        roc_auc_interval,
        tied,
        "the definition over all pairs",
        placements,
        sweep=sweep(7, 1000, 3000),
        label="ties",
        refuses=[
            (([0.5], [1]), {"level": 95}, ValueError, r"level: expected a number in \(0, 1\), got 95"),
        ],
    ),
    Case(
        roc_auc_interval,
        tied,
        "the definition over all pairs",
        placements,
        kwargs={"level": 0.6},
        label="level 0.6",
    ),
    Case(roc_hull, weighted, "scipy.spatial.ConvexHull", hull, label="weights"),
    Case(
        trapezoid_area,
        lambda rng: (np.sort(rng.random(57)), rng.random(57)),
        "sklearn.metrics.auc",
        sklearn.metrics.auc,
        sweep={"100,000 points": lambda rng, dtype: (np.sort(rng.random(100_000)), rng.random(100_000))},
    ),
]


def pairs_in_fractions(dtype):
    """Every way to score and label five examples on three levels: the areas that are not the rounded exact share."""
    wrong, count = 0, 0
    for score in itertools.product((1.0, 2.0, 3.0), repeat=5):
        for target in itertools.product((0, 1), repeat=5):
            positive = [s for s, t in zip(score, target, strict=True) if t]
            negative = [s for s, t in zip(score, target, strict=True) if not t]
            if not positive or not negative:
                continue
            wins = sum(Fraction((a > b) + (a >= b), 2) for a in positive for b in negative)
            exact = dtype(float(wins / (len(positive) * len(negative))))
            wrong += roc_auc(np.array(score, dtype), np.array(target)) != exact
            count += 1
    return wrong, count


def area_of_the_curve(dtype):
    """The worst difference, in eps, between the trapezoids under the curve and the pairs in order."""
    rng, worst = np.random.default_rng(0), 0.0
    for n in (10, 100, 1000, 10_000):
        for levels in (3, 30, 1_000_000):
            score = rng.integers(0, levels, n).astype(dtype)
            target, weight = rng.integers(0, 2, n), rng.uniform(0, 2, n).astype(dtype)
            points = roc_curve(score, target, weight)
            difference = trapezoid_area(points.fpr, points.tpr) - roc_auc(score, target, weight)
            worst = max(worst, abs(float(difference)) / np.finfo(dtype).eps)
    return worst, 12


def corners_by_elimination(dtype):
    """The points that lie above every line between two others, in integers, for curves full of ties."""
    rng, wrong, count = np.random.default_rng(1), 0, 0
    for _ in range(300):
        n = rng.integers(2, 40)
        score, target = rng.integers(0, 12, n).astype(dtype), rng.permutation(np.arange(n) % 2)
        points = roc_curve(score, target)
        fp = np.rint(points.fpr * (target == 0).sum()).astype(int)
        tp = np.rint(points.tpr * (target == 1).sum()).astype(int)
        last = len(fp) - 1
        corners = [
            k
            for k in range(len(fp))
            if k in (0, last)
            or all(
                (fp[b] - fp[a]) * (tp[k] - tp[a]) > (tp[b] - tp[a]) * (fp[k] - fp[a])
                for a in range(k)
                for b in range(k + 1, last + 1)
            )
        ]
        wrong += not np.array_equal(roc_hull(score, target).threshold, points.threshold[corners])
        count += len(fp)
    return wrong, count


def bootstrap(dtype):
    """The relative difference of DeLong's standard error from the spread of 4,000 resamples within the classes."""
    rng, worst = np.random.default_rng(2), 0.0
    for shift in (0.5, 1.5):
        score = np.concatenate([rng.normal(size=300), rng.normal(size=200) + shift]).astype(dtype)
        target = np.repeat([0, 1], (300, 200))
        areas = []
        for _ in range(4000):
            rows = np.concatenate([rng.integers(0, 300, 300), rng.integers(300, 500, 200)])
            areas.append(float(roc_auc(score[rows], target[rows])))
        worst = max(worst, abs(roc_auc_interval(score, target).error / np.std(areas, ddof=1) - 1))
    return worst, 2 * 4000


def coverage(dtype):
    """How far the share of intervals that hold the true area, Phi(shift / sqrt 2), is from 0.95."""
    rng, draws, shift = np.random.default_rng(3), 4000, 1.0
    truth, target = statistics.NormalDist().cdf(shift / np.sqrt(2)), np.repeat([0, 1], (150, 100))
    inside = 0
    for _ in range(draws):
        interval = roc_auc_interval(rng.normal(size=250).astype(dtype) + target.astype(dtype), target)
        inside += interval.low <= truth <= interval.high
    return abs(inside / draws - 0.95), draws


PROOFS = [
    Proof(
        [roc_auc],
        "the pairs counted in fractions",
        "every scoring of 5 examples on 3 levels, every labeling",
        "count",
        0,
        pairs_in_fractions,
    ),
    Proof(
        [trapezoid_area, roc_auc, roc_curve],
        "the identity of both areas",
        "up to 10,000 examples, ties, weights",
        "eps",
        4,
        area_of_the_curve,
    ),
    Proof(
        [roc_hull],
        "every line between two other points, in integers",
        "300 curves with ties",
        "count",
        0,
        corners_by_elimination,
    ),
    Proof(
        [roc_auc_interval],
        "a bootstrap of 4,000 resamples within the classes",
        "300 negatives and 200 positives, normal scores",
        "relative",
        0.04,  # the bootstrap's own standard error is 1 / sqrt(8000) = 1.1 percent
        bootstrap,
        dtypes=("float64",),
    ),
    Proof(
        [roc_auc_interval],
        "the true area of two normal distributions",
        "4,000 samples of 150 negatives and 100 positives: share covered, against 0.95",
        "absolute",
        0.015,  # the share's own standard error is 0.0034
        coverage,
        dtypes=("float64",),
    ),
]

EDGES = [
    Edge(roc_auc, ([0.5, 0.5], [0, 1]), 0.5, "a tie is half in order"),
    Edge(roc_auc, ([1.0, 2.0], [1, 1]), nan, "one class only: no pair, 0/0"),
    Edge(roc_auc, ([], np.empty(0, int)), nan, "no example, no pair"),
    Edge(roc_auc, ([nan, 1.0, 2.0], [1, 0, 1]), nan, "a score that is NaN has no place in the order"),
    Edge(roc_auc, ([-inf, inf], [0, 1]), 1.0, "infinite scores are the lowest and the highest"),
    Edge(roc_auc, ([1.0, 2.0], [1, 2]), ValueError, "labels are 0 and 1"),
    Edge(
        roc_curve,
        ([0.5, 0.5, 0.5], [0, 1, 1]),
        ([0.0, 1.0], [0.0, 1.0], [inf, 0.5]),
        "one score for all: the diagonal in one step",
        output="FPR 0 1, TPR 0 1",
    ),
    Edge(
        roc_curve,
        ([2.0, 1.0], [0, 0]),
        ([0.0, 0.5, 1.0], [nan, nan, nan], [inf, 2.0, 1.0]),
        "no positive: TPR is 0/0, FPR stands",
        output="FPR 0 0.5 1, TPR nan",
    ),
    Edge(
        roc_curve,
        ([3.0, 2.0, 1.0], [1, 0, 0], [1.0, 0.0, 2.0]),
        ([0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [inf, 3.0, 1.0]),
        "weight 0: no point",
        output="FPR 0 0 1, TPR 0 1 1",
    ),
    Edge(
        roc_hull,
        ([2.0, 1.0], [0, 1]),
        ([0.0, 1.0], [0.0, 1.0], [inf, 1.0]),
        "a curve below the diagonal has the diagonal as its hull",
        output="FPR 0 1, TPR 0 1",
    ),
    Edge(
        roc_auc_interval,
        ([1.0, 2.0, 3.0, 4.0], [0, 0, 1, 1]),
        (1.0, 0.0, 1.0, 1.0),
        "no overlap: an interval of width 0, not a certainty",
    ),
    Edge(
        roc_auc_interval,
        ([1.0, 2.0, 3.0], [0, 0, 1]),
        (1.0, nan, nan, nan),
        "a single positive: no variance to estimate",
    ),
    Edge(trapezoid_area, ([0.5], [1.0]), 0.0, "one point has no area"),
]


def quietly(function):
    """Call without the warnings: the value is what the page shows."""

    def call():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function()

    return call


def keras_auc(score, target):
    import keras

    metric = keras.metrics.AUC()
    metric.update_state(np.array(target), np.array(score))
    return float(metric.result())


ONE_CLASS = [0.1, 0.2], [0, 0]
CROWDED = [0.001, 0.002, 0.003, 0.004], [0, 0, 1, 1]

CONVENTIONS = [
    Convention(
        "roc-curve",
        "roc-curve-one-class",
        "The curve when no example is positive",
        "the true positive rate at the lowest threshold, for scores 0.1, 0.2 of two negatives",
        [
            Row("dlref", "0 / 0", "nan", lambda: roc_curve(*ONE_CLASS).tpr[-1], package="dlref"),
            Row(
                "scikit-learn",
                "`roc_curve`: 0 / 0, with a warning",
                "nan",
                quietly(lambda: sklearn.metrics.roc_curve(*ONE_CLASS[::-1])[1][-1]),
                package="scikit-learn",
            ),
            Row(
                "TorchMetrics",
                "`binary_roc`: zeros, with a warning",
                "0.0",
                source="[pull request 583](https://github.com/Lightning-AI/torchmetrics/pull/583)",
            ),
        ],
    ),
    Convention(
        "roc-curve",
        "roc-auc-one-class",
        "The area when no example is positive",
        "scores 0.1, 0.2 of two negatives",
        [
            Row("dlref", "0 / 0", "nan", lambda: roc_auc(*ONE_CLASS), package="dlref"),
            Row(
                "scikit-learn",
                "`roc_auc_score`: undefined, with a warning",
                "nan",
                quietly(lambda: sklearn.metrics.roc_auc_score(*ONE_CLASS[::-1])),
                package="scikit-learn",
            ),
            Row("Keras on PyTorch", "`AUC`: 0 / 0 is 0", "0.0", lambda: keras_auc(*ONE_CLASS), package="keras"),
            Row(
                "TorchMetrics",
                "`binary_auroc`: the area under the zeros",
                "0.0",
                source="[issue 2494](https://github.com/Lightning-AI/torchmetrics/issues/2494)",
            ),
        ],
    ),
    Convention(
        "roc-curve",
        "roc-auc-grid",
        "The area from a grid of thresholds",
        "scores 0.001, 0.002 of negatives and 0.003, 0.004 of positives, all in order",
        [
            Row("dlref", "every distinct score is a threshold", "1.0", lambda: roc_auc(*CROWDED), package="dlref"),
            Row(
                "scikit-learn",
                "the same",
                "1.0",
                lambda: sklearn.metrics.roc_auc_score(*CROWDED[::-1]),
                package="scikit-learn",
            ),
            Row(
                "Keras on PyTorch",
                "`AUC`: 200 thresholds from 0 to 1; none of them parts these",
                "0.5",
                lambda: keras_auc(*CROWDED),
                package="keras",
            ),
        ],
    ),
]


def thunks(ours, theirs):
    def make(dtype):
        rng = np.random.default_rng(0)
        target = rng.integers(0, 2, 1_000_000)
        score = (rng.normal(size=target.size) + target).astype(dtype)
        return lambda: ours(score, target), lambda: theirs(target, score)

    return make


def hull_of_points(target, score):
    fpr, tpr, threshold = sklearn.metrics.roc_curve(target, score)
    upper = np.sort(scipy.spatial.ConvexHull(np.stack([fpr, tpr], axis=1)).vertices)
    upper = upper[tpr[upper] >= fpr[upper]]
    return fpr[upper], tpr[upper], threshold[upper]


def delong(target, score):
    """The placements of Sun and Xu: ranks among all less ranks within the class."""
    positive, negative = score[target == 1], score[target == 0]
    ranks = scipy.stats.rankdata(np.concatenate([positive, negative]))
    m, n = positive.size, negative.size
    above = (ranks[:m] - scipy.stats.rankdata(positive)) / n
    below = 1 - (ranks[m:] - scipy.stats.rankdata(negative)) / m
    reach = statistics.NormalDist().inv_cdf(0.975) * np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n)
    return above.mean() - reach, above.mean() + reach


def trapezoids(dtype):
    x, y = np.sort(np.random.default_rng(0).random((2, 100_000)), axis=1).astype(dtype)
    return lambda: trapezoid_area(x, y), lambda: sklearn.metrics.auc(x, y)


BENCH = [
    Bench("metrics.trapezoid_area", "sklearn.metrics.auc", "1e5", trapezoids),
    Bench(
        "metrics.roc_auc",
        "sklearn.metrics.roc_auc_score",
        "1e6",
        thunks(roc_auc, sklearn.metrics.roc_auc_score),
        aim=2.0,
    ),
    Bench(
        "metrics.roc_curve",
        "sklearn.metrics.roc_curve",
        "1e6",
        thunks(roc_curve, lambda t, s: sklearn.metrics.roc_curve(t, s, drop_intermediate=False)),
        aim=2.0,
    ),
    Bench("metrics.roc_auc_interval", "scipy.stats.rankdata, three times", "1e6", thunks(roc_auc_interval, delong)),
    Bench("metrics.roc_hull", "sklearn roc_curve, SciPy ConvexHull", "1e6", thunks(roc_hull, hull_of_points)),
]
