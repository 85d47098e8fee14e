"""The precision-recall curve, its averages, and precision against prevalence."""

import itertools
from fractions import Fraction

import numpy as np
import sklearn.metrics

from dlref.metrics import average_precision, precision_at_prevalence, precision_recall_curve
from tests.bounds import ULP
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.cases.metrics.classification import sweep, tied, weighted
from tests.cases.metrics.confusion import quietly
from tests.oracles import from_mpfr

nan = np.nan


def curve(score, target, weight=None):
    precision, recall, threshold = sklearn.metrics.precision_recall_curve(target, score, sample_weight=weight)
    return precision[-2::-1], recall[-2::-1], threshold[::-1]


def average(score, target, weight=None):
    return sklearn.metrics.average_precision_score(target, score, sample_weight=weight)


def highest(score, target, levels):
    """The definition, quadratic: at each wanted recall the best precision of any threshold that reaches it."""
    called = score[:, None] >= np.unique(score)
    hits, calls = (called & (target == 1)[:, None]).sum(0), called.sum(0)
    best = [
        max((Fraction(int(h), int(c)) for h, c in zip(hits, calls, strict=True) if h >= level), default=0)
        for level in levels(int(target.sum()))
    ]
    return float(sum(best) / len(best))


def samples(count):
    return lambda score, target, rule: highest(
        score, target, lambda positives: [Fraction(i * positives, count - 1) for i in range(count)]
    )


CASES = [
    Case(
        precision_recall_curve,
        tied,
        "sklearn.metrics.precision_recall_curve",
        curve,
        sweep=sweep(7, 1000, 100_000),
        bound=ULP(),
        label="ties",
        refuses=[
            (([0.5], [2]), {}, ValueError, "target: expected integers from 0 to 1, got 2"),
            (([0.5], [1], [-2.0]), {}, ValueError, "weight: expected numbers from 0, got -2"),
        ],
    ),
    Case(precision_recall_curve, weighted, "sklearn.metrics.precision_recall_curve", curve, label="ties, weights"),
    Case(
        average_precision,
        tied,
        "sklearn.metrics.average_precision_score",
        average,
        sweep=sweep(7, 1000, 100_000),
        label="ties",
        refuses=[
            (([0.5], [1], None, "trapezoid"), {}, ValueError, "rule: expected one of 'step', 'envelope', '11 points'")
        ],
    ),
    Case(
        average_precision,
        weighted,
        "sklearn.metrics.average_precision_score",
        average,
        label="ties, weights",
    ),
    Case(
        average_precision,
        tied,
        "the definition in fractions",
        lambda score, target, rule: highest(score, target, lambda positives: range(1, positives + 1)),
        kwargs={"rule": "envelope"},
        sweep=sweep(7),
        label="envelope",
    ),
    *(
        Case(
            average_precision,
            tied,
            "the definition in fractions",
            samples(count),
            kwargs={"rule": f"{count} points"},
            sweep=sweep(7),
            label=f"{count} points",
        )
        for count in (11, 101)
    ),
    Case(
        precision_at_prevalence,
        lambda rng: (rng.uniform(0, 1, 57),),
        "Bayes' rule in MPFR",
        from_mpfr(lambda p, tpr, fpr: p * tpr / (p * tpr + (1 - p) * fpr)),
        kwargs={"tpr": 0.75, "fpr": 0.125},
        sweep={"1e-12 to 1, spaced evenly in the logarithm": lambda rng, dtype: (np.geomspace(1e-12, 1, 2000),)},
        bound=ULP(),
        refuses=[(([0.5], 1.5, 0.0), {}, ValueError, r"tpr: expected a number in \[0, 1\], got 1.5")],
    ),
]


def all_orders(dtype):
    """The mean of the average precision over every order of 7 examples, against its closed form.

    With r of n positive, a positive at rank k sees (k - 1)(r - 1)/(n - 1) others above it on average, so that the
    expected precision there is (1 + (k - 1)(r - 1)/(n - 1))/k; each rank is as likely as another.
    """
    n, worst, count = 7, 0.0, 0
    for r in range(1, n + 1):
        found = []
        for positives in itertools.combinations(range(n), r):
            target = np.isin(np.arange(n), positives).astype(int)
            found.append(float(average_precision(-np.arange(n, dtype=dtype), target)))
        exact = sum((1 + Fraction((k - 1) * (r - 1), n - 1)) / k for k in range(1, n + 1)) / n
        worst = max(worst, abs(np.mean(found) - float(exact)) / np.finfo(dtype).eps)
        count += len(found)
    return worst, count


PROOFS = [
    Proof(
        [average_precision],
        "its expectation under a random order, in closed form",
        "every order of 7 labels",
        "eps",
        4,
        all_orders,
    ),
]

EDGES = [
    Edge(average_precision, ([2.0, 1.0], [0, 0]), nan, "no positive: no recall"),
    Edge(average_precision, ([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0]), 0.25, "one score for all: the prevalence"),
    Edge(average_precision, ([2.0, 1.0], [0, 1]), 0.5, "the worst order of two"),
    Edge(average_precision, ([nan, 1.0], [1, 1]), nan, "a score that is NaN has no place in the order"),
    Edge(average_precision, ([], np.empty(0, int)), nan, "no example"),
    Edge(
        precision_recall_curve,
        ([0.5, 0.5], [0, 1]),
        ([0.5], [1.0], [0.5]),
        "one score for all: one point",
        output="precision 0.5, recall 1",
    ),
    Edge(
        precision_recall_curve,
        ([2.0, 1.0], [0, 0]),
        ([0.0, 0.0], [nan, nan], [2.0, 1.0]),
        "no positive: recall is 0/0",
        output="precision 0 0, recall nan",
    ),
    Edge(
        precision_at_prevalence,
        ([0.0, 1.0],),
        (np.array([0.0, 1.0]),),
        "none or all are positive",
        kwargs={"tpr": 0.9, "fpr": 0.1},
        input="[0, 1], tpr=0.9, fpr=0.1",
        output="[0, 1]",
    ),
    Edge(
        precision_at_prevalence,
        ([0.0],),
        (np.array([nan]),),
        "nothing would be called",
        kwargs={"tpr": 0.9, "fpr": 0.0},
        input="[0], tpr=0.9, fpr=0",
        output="nan",
    ),
]

FIVE = [0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 1, 0]


def keras_pr():
    import keras

    metric = keras.metrics.AUC(curve="PR")
    metric.update_state(np.array(FIVE[1]), np.array(FIVE[0]))
    return float(metric.result())


def ours(rule):
    return lambda: average_precision(*FIVE, rule=rule)


def straight():
    precision, recall, _ = sklearn.metrics.precision_recall_curve(*FIVE[::-1])
    return sklearn.metrics.auc(recall, precision)


CONVENTIONS = [
    Convention(
        "precision",
        "average-precision-rule",
        "Average precision",
        "positives at ranks 1, 3 and 4 of five",
        [
            Row("dlref", '`rule="step"`', "0.8056", ours("step"), format="{:.4f}", package="dlref"),
            Row(
                "scikit-learn",
                "`average_precision_score`: the same",
                "0.8056",
                lambda: average(np.array(FIVE[0]), np.array(FIVE[1])),
                format="{:.4f}",
                package="scikit-learn",
            ),
            Row(
                "dlref",
                '`rule="envelope"`: as Pascal VOC from 2010 on',
                "0.8333",
                ours("envelope"),
                format="{:.4f}",
                package="dlref",
            ),
            Row(
                "dlref",
                '`rule="11 points"`: as Pascal VOC 2007',
                "0.8409",
                ours("11 points"),
                format="{:.4f}",
                package="dlref",
            ),
            Row(
                "dlref",
                '`rule="101 points"`: as COCO',
                "0.8342",
                ours("101 points"),
                format="{:.4f}",
                package="dlref",
            ),
            Row(
                "scikit-learn",
                "`auc` of the curve's points: straight lines",
                "0.7639",
                straight,
                format="{:.4f}",
                package="scikit-learn",
            ),
            Row(
                "Keras on PyTorch",
                '`AUC(curve="PR")`: 200 thresholds, interpolated in the counts',
                "0.7690",
                keras_pr,
                format="{:.4f}",
                package="keras",
            ),
        ],
    ),
    Convention(
        "precision",
        "precision-recall-start",
        "Where the curve starts",
        "the precision at the least recall, for scores 2, 1 with labels 0, 1",
        [
            Row(
                "dlref",
                "the highest score, where one is called",
                "0.0",
                lambda: precision_recall_curve([2.0, 1.0], [0, 1]).precision[0],
                package="dlref",
            ),
            Row(
                "scikit-learn",
                "a point (recall 0, precision 1) is added",
                "1.0",
                quietly(lambda: sklearn.metrics.precision_recall_curve([0, 1], [2.0, 1.0])[0][-1]),
                package="scikit-learn",
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


def shifting(dtype):
    prevalence = np.random.default_rng(0).random(100_000).astype(dtype)
    tpr, fpr = prevalence.dtype.type(0.9), prevalence.dtype.type(0.05)
    return (
        lambda: precision_at_prevalence(prevalence, 0.9, 0.05),
        lambda: prevalence * tpr / (prevalence * tpr + (1 - prevalence) * fpr),
    )


BENCH = [
    Bench(
        "metrics.precision_recall_curve",
        "sklearn.metrics.precision_recall_curve",
        "1e6",
        thunks(precision_recall_curve, sklearn.metrics.precision_recall_curve),
        aim=2.0,
    ),
    Bench(
        "metrics.average_precision",
        "sklearn.metrics.average_precision_score",
        "1e6",
        thunks(average_precision, sklearn.metrics.average_precision_score),
        aim=2.0,
    ),
    Bench("metrics.precision_at_prevalence", "a NumPy expression", "1e5", shifting),
]
