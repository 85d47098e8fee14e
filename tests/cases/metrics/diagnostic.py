"""Recall, specificity, likelihood ratios, and the intervals of a proportion."""

from fractions import Fraction

import numpy as np
import scipy.special
import scipy.stats
import sklearn.metrics

from dlref.metrics import clopper_pearson_interval, likelihood_ratios, recall, specificity, wilson_interval
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.cases.metrics.confusion import (
    NOTHING_CALLED,
    expand,
    five,
    from_labels,
    macro,
    quietly,
    reading,
    theirs,
    two,
)

inf, nan = np.inf, np.nan


def of_each(table, **_):
    """TN / (TN + FP) of every class, from scikit-learn's tables of one class against the others."""
    prediction, target, weight = expand(table)
    one_by_one = sklearn.metrics.multilabel_confusion_matrix(target, prediction, sample_weight=weight)
    return one_by_one[:, 0, 0] / one_by_one[:, 0].sum(1)


def ratios(table):
    prediction, target, weight = expand(table)
    return sklearn.metrics.class_likelihood_ratios(target, prediction, sample_weight=weight)


def counts(*_):
    """Hits of 1 to 60 trials, with none and with all of them; the same in every dtype."""
    trials = np.repeat(np.arange(1, 61, 6), 4)
    return np.stack([np.zeros(10), trials[::4], trials[::4] // 3, trials[::4] - 1], 1).ravel(), trials.astype(float)


def binomial(method):
    def want(hits, trials, level=0.95):
        intervals = [
            scipy.stats.binomtest(int(k), int(n)).proportion_ci(level, method)
            for k, n in zip(hits.ravel(), trials.ravel(), strict=True)
        ]
        return tuple(np.reshape(ends, hits.shape) for ends in zip(*intervals, strict=True))

    return want


def beta(hits, trials):
    tail = (1 - 0.95) / 2
    low = scipy.special.betaincinv(np.maximum(hits, 1), trials - hits + 1, tail)
    high = scipy.special.betainccinv(hits + 1, np.maximum(trials - hits, 1), tail)
    return np.where(hits > 0, low, 0.0), np.where(hits < trials, high, 1.0)


def large(rng, dtype):
    trials = np.repeat([1e2, 1e3, 1e4, 1e5, 1e6], 40)
    return np.clip(np.floor(trials * rng.uniform(0, 1, trials.size)), 1, trials - 1), trials


REFUSED = [
    (([3.0], [2.0]), {}, ValueError, "hits: expected at most the trials, got 3 of fewer"),
    (([-1.0], [2.0]), {}, ValueError, "hits: expected numbers from 0, got -1"),
    (([1.0], [2.0], 95), {}, ValueError, r"level: expected a number in \(0, 1\), got 95"),
    (([1.0], [2.0, 3.0]), {}, ValueError, r"trials: expected the shape of hits, \(1,\), got \(2,\)"),
]

CASES = [
    Case(recall, two, "sklearn.metrics.recall_score", from_labels(sklearn.metrics.recall_score)),
    Case(
        recall,
        five,
        "sklearn.metrics.recall_score",
        from_labels(sklearn.metrics.recall_score, average=None, zero_division=0.0),
        kwargs={"average": "none", "zero_division": 0.0},
        label="none",
    ),
    *(
        Case(
            recall,
            five,
            "sklearn.metrics.recall_score",
            from_labels(sklearn.metrics.recall_score, average=average, zero_division=0.0),
            kwargs={"average": average, "zero_division": 0.0},
            label=average,
        )
        for average in ("micro", "macro", "weighted")
    ),
    Case(specificity, two, "sklearn.metrics.recall_score", from_labels(sklearn.metrics.recall_score, pos_label=0)),
    Case(
        specificity,
        five,
        "sklearn.metrics.multilabel_confusion_matrix",
        of_each,
        kwargs={"average": "none"},
        label="none",
    ),
    Case(
        likelihood_ratios,
        two,
        "sklearn.metrics.class_likelihood_ratios",
        ratios,
        refuses=[((np.eye(3),), {}, ValueError, r"table: expected shape \(2, 2\), got \(3, 3\)")],
    ),
    Case(
        wilson_interval,
        counts,
        "scipy.stats.binomtest",
        binomial("wilson"),
        sweep={"100 to 1,000,000 trials": large},
        refuses=REFUSED,
    ),
    Case(
        wilson_interval, counts, "scipy.stats.binomtest", binomial("wilson"), kwargs={"level": 0.5}, label="level 0.5"
    ),
    Case(
        clopper_pearson_interval,
        counts,
        # Not binomtest, whose root is sought to an absolute 2e-12. An end moves with the logarithm of its tail by
        # P(X >= k) / (k P(X = k)) of itself, on these counts at most 1.0125 times, so that rounding alone decides.
        "scipy.special.betaincinv",
        beta,
        refuses=[*REFUSED, (([0.5], [2.0]), {}, ValueError, "hits: expected whole numbers, got 0.5")],
    ),
    Case(
        clopper_pearson_interval,
        lambda rng: large(rng, None),
        "scipy.special.betaincinv",
        beta,
        # The probability of k hits is the exponential of a difference of terms of the size n log n.
        bound=Normwise(condition=lambda k, n: np.sqrt(n.max()) * np.log(n.max()) / 16),
        label="large",
    ),
]


def tails_at_the_ends(dtype):
    """The worst relative difference from 2.5 percent of the tails at the computed ends, summed in fractions."""
    worst, count = 0.0, 0
    for n in (1, 7, 40):
        for k in range(n + 1):
            low, high = (Fraction(float(end)) for end in clopper_pearson_interval(dtype(k), dtype(n)))
            for p, which in ((low, range(k, n + 1)), (high, range(k + 1))):
                if (k == 0 and which.stop == n + 1) or (k == n and which.start == 0):
                    continue
                choices = [scipy.special.comb(n, j, exact=True) for j in which]
                tail = sum(c * p**j * (1 - p) ** (n - j) for c, j in zip(choices, which, strict=True))
                worst, count = max(worst, abs(float(tail / Fraction((1 - 0.95) / 2)) - 1)), count + 1
    return worst, count


def coverages(interval, trials, share):
    """Return the exact probability, at each share, that the interval of a binomial draw holds the share."""
    hits = np.arange(trials + 1.0)
    low, high = interval(hits, np.full(hits.shape, float(trials)))
    chance = scipy.stats.binom.pmf(hits[:, None], trials, share)
    return np.sum(chance * ((low[:, None] <= share) & (share <= high[:, None])), axis=0)


def shortfall(dtype):
    """How far the exact coverage of the exact interval falls below 95 percent anywhere."""
    share = np.linspace(0, 1, 2001)
    return max(0.0, *(0.95 - coverages(clopper_pearson_interval, n, share).min() for n in (1, 5, 30, 200))), 4 * 2001


def mean_coverage(dtype):
    """How far the coverage of Wilson's interval is from 95 percent, on average over all shares."""
    share = np.linspace(0.0005, 0.9995, 1000)
    return max(abs(coverages(wilson_interval, n, share).mean() - 0.95) for n in (10, 30, 200)), 3 * 1000


PROOFS = [
    Proof(
        [clopper_pearson_interval],
        "the tails at its ends, summed in fractions",
        "every count of 1, 7 and 40 trials",
        "relative",
        # At 39 of 40 the upper end is 0.975 ** (1 / 40), and the tail falls as the distance to 1: one spacing below 1,
        # and two logarithms of factorials near 110, to half a unit each.
        {dtype: np.finfo(dtype).epsneg / (1 - 0.975 ** (1 / 40)) + 2e-14 for dtype in ("float32", "float64")},
        tails_at_the_ends,
    ),
    Proof(
        [clopper_pearson_interval],
        "95 percent, against its exact coverage",
        "2,001 shares, 1 to 200 trials: how far below",
        "absolute",
        1e-12,
        shortfall,
        dtypes=("float64",),
    ),
    Proof(
        [wilson_interval],
        "95 percent, against its exact coverage",
        "the mean over 1,000 shares, 10 to 200 trials",
        "absolute",
        0.006,  # a property of the interval, as Brown, Cai and DasGupta show, not of the arithmetic
        mean_coverage,
        dtypes=("float64",),
    ),
]

EDGES = [
    Edge(recall, ([[7, 3], [0, 0]],), nan, "no positive: 0/0"),
    Edge(recall, (NOTHING_CALLED,), 0.0, "nothing called: none of the positives is found"),
    Edge(specificity, ([[0, 0], [2, 3]],), nan, "no negative: 0/0"),
    Edge(likelihood_ratios, ([[9, 0], [2, 8]],), (inf, 0.2), "no false positive: a positive result settles it"),
    Edge(likelihood_ratios, ([[9, 0], [2, 0]],), (nan, 1.0), "nothing called: only one result, which says nothing"),
    Edge(wilson_interval, (0.0, 0.0), (nan, nan), "no trial"),
    Edge(clopper_pearson_interval, (0.0, 0.0), (nan, nan), "no trial"),
    Edge(clopper_pearson_interval, (0.0, 1.0), (0.0, 0.975), "one failure excludes almost nothing"),
    Edge(clopper_pearson_interval, (1.0, 1.0), (0.025, 1.0), "nor does one hit"),
    Edge(clopper_pearson_interval, (0.5, 2.0), ValueError, "half hits have no binomial distribution"),
    Edge(wilson_interval, (3.0, 2.0), ValueError, "more hits than trials"),
]


def keras_recall():
    import keras

    metric = keras.metrics.Recall()
    metric.update_state(np.array([0, 0]), np.array([0.1, 0.9]))
    return float(metric.result())


def ends(low, high):
    return f"{float(low):.3f} to {float(high):.3f}"


def textbook():
    reach = scipy.stats.norm.ppf(0.975) * np.sqrt(0.9 * 0.1 / 10)
    return ends(0.9 - reach, 0.9 + reach)


def scipy_interval(method):
    return lambda: ends(*scipy.stats.binomtest(9, 10).proportion_ci(0.95, method))


CONVENTIONS = [
    Convention(
        "sensitivity",
        "sensitivity-no-positive",
        "Recall when no example is positive",
        "two negatives, one of which is called positive",
        [
            Row("dlref", "0 / 0", "nan", lambda: recall([[1, 1], [0, 0]]), package="dlref"),
            Row(
                "scikit-learn",
                "`recall_score`: 0, with a warning",
                "0.0",
                theirs(sklearn.metrics.recall_score, [[1, 1], [0, 0]]),
                package="scikit-learn",
            ),
            Row("Keras on PyTorch", "`Recall`: 0", "0.0", keras_recall, package="keras"),
        ],
    ),
    Convention(
        "sensitivity",
        "sensitivity-interval",
        "The 95-percent interval",
        "9 of 10 positives were found",
        [
            Row(
                "dlref",
                "`clopper_pearson_interval`",
                "0.555 to 0.997",
                lambda: ends(*clopper_pearson_interval(9, 10)),
                package="dlref",
            ),
            Row("SciPy", "`exact`, its default", "0.555 to 0.997", scipy_interval("exact"), package="scipy"),
            Row("dlref", "`wilson_interval`", "0.596 to 0.982", lambda: ends(*wilson_interval(9, 10)), package="dlref"),
            Row("SciPy", "`wilson`", "0.596 to 0.982", scipy_interval("wilson"), package="scipy"),
            Row(
                "SciPy",
                "`wilsoncc`, with a correction for continuity",
                "0.541 to 0.995",
                scipy_interval("wilsoncc"),
                package="scipy",
            ),
            Row("textbooks", "the estimate plus and minus 1.96 standard errors", "0.714 to 1.086", textbook),
        ],
    ),
    Convention(
        "sensitivity",
        "sensitivity-likelihood-ratio",
        "The positive likelihood ratio without false positives",
        "the table [[9, 0], [2, 8]]",
        [
            Row("dlref", "0.8 / 0", "inf", lambda: likelihood_ratios([[9, 0], [2, 8]]).positive, package="dlref"),
            Row(
                "scikit-learn",
                "`class_likelihood_ratios`: undefined, with a warning",
                "nan",
                quietly(lambda: theirs(sklearn.metrics.class_likelihood_ratios, [[9, 0], [2, 8]])()[0]),
                package="scikit-learn",
            ),
        ],
    ),
]


def intervals(ours, method):
    def make(dtype):
        hits, trials = (a.astype(dtype) for a in counts())
        return lambda: ours(hits, trials), lambda: binomial(method)(hits, trials)

    return make


BENCH = [
    Bench(
        "metrics.recall",
        "sklearn.metrics.recall_score",
        "1e5 labels",
        reading(macro(recall), sklearn.metrics.recall_score, average="macro"),
        dtypes=("float64",),
    ),
    Bench(
        "metrics.specificity",
        "sklearn.metrics.recall_score",
        "1e5 labels",
        reading(specificity, sklearn.metrics.recall_score, classes=2, pos_label=0),
        dtypes=("float64",),
    ),
    Bench(
        "metrics.likelihood_ratios",
        "sklearn class_likelihood_ratios",
        "1e5 labels",
        reading(likelihood_ratios, sklearn.metrics.class_likelihood_ratios, classes=2),
        dtypes=("float64",),
    ),
    Bench("metrics.wilson_interval", "scipy.stats.binomtest", "40 intervals", intervals(wilson_interval, "wilson")),
    Bench(
        "metrics.clopper_pearson_interval",
        "scipy.stats.binomtest",
        "40 intervals",
        intervals(clopper_pearson_interval, "exact"),
        aim=10.0,
    ),
]
