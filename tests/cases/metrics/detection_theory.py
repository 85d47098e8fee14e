"""Rates over the threshold, empirical and of two normal distributions."""

import numpy as np
import scipy.special
import scipy.stats
import sklearn.metrics

from dlref.metrics import binormal_curve, binormal_rates, signal_detection, threshold_rates
from tests.bounds import Relative
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.cases.metrics.classification import sweep, tied, weighted

inf, nan = np.inf, np.nan


def from_curve(score, target, threshold=None, weight=None):
    fpr, tpr, t = sklearn.metrics.roc_curve(target, score, sample_weight=weight, drop_intermediate=False)
    return tpr, fpr, 1 - fpr, 1 - tpr, t


def by_comparison(score, target, threshold, weight):
    called = score >= threshold[..., None]
    shares = [
        np.average(which[..., target == y], axis=-1, weights=weight[target == y])
        for which, y in ((called, 1), (called, 0), (~called, 0), (~called, 1))
    ]
    return *shares, threshold


def at_thresholds(_):
    """Thresholds on, between and beyond the scores; the same in every dtype."""
    score, target, weight = weighted(_)
    return score, target, np.arange(-4, 60).reshape(4, 16) / 16, weight


def normal(threshold, d_prime):
    noise, signal = scipy.stats.norm(0, 1), scipy.stats.norm(d_prime, 1)
    return signal.sf(threshold), noise.sf(threshold), noise.cdf(threshold), signal.cdf(threshold), threshold


def tail_condition(threshold, d_prime=1.5):
    return (1 + np.abs(threshold) + abs(d_prime)) ** 2


def quantiles(tpr, fpr):
    hit, alarm = scipy.special.ndtri(tpr), scipy.special.ndtri(fpr)
    return hit - alarm, -(hit + alarm) / 2


def quantile_condition(p, _):
    x = scipy.special.ndtri(p)
    return p / (np.exp(-x * x / 2) / np.sqrt(2 * np.pi) * np.abs(x))


def rates(rng):
    return tuple(rng.uniform(0.001, 0.999, (2, 61)))


TAILS = np.concatenate([np.geomspace(1e-30, 0.4999, 500), 1 - np.geomspace(1e-6, 0.4999, 200)])
MIDDLE = 0.5 + np.outer([-1, 1], np.geomspace(1e-6, 1e-3, 100)).ravel()

CASES = [
    Case(threshold_rates, tied, "sklearn.metrics.roc_curve", from_curve, sweep=sweep(7, 1000, 100_000), label="all"),
    Case(
        threshold_rates,
        at_thresholds,
        "the comparison with every score",
        by_comparison,
        label="weights",
        refuses=[
            (([0.5], [2]), {}, ValueError, "target: expected integers from 0 to 1, got 2"),
            (([0.5], [1], None, [-2.0]), {}, ValueError, "weight: expected numbers from 0, got -2"),
        ],
    ),
    Case(
        binormal_rates,
        lambda rng: (rng.normal(size=(5, 11)) * 2,),
        "scipy.stats.norm",
        normal,
        kwargs={"d_prime": 1.5},
        sweep={"-9 to 9": lambda rng, dtype: (np.linspace(-9, 9, 2001),)},
        bound=Relative(tail_condition),
    ),
    Case(
        binormal_curve,
        lambda rng: (rng.uniform(0.001, 1, 61),),
        "scipy.special.ndtri and ndtr",
        lambda fpr, d_prime: scipy.special.ndtr(d_prime + scipy.special.ndtri(fpr)),
        kwargs={"d_prime": 1.5},
        refuses=[(([1.5], 1.0), {}, ValueError, "fpr: expected numbers from 0 to 1, got 1.5")],
    ),
    Case(
        signal_detection,
        rates,
        "scipy.special.ndtri",
        quantiles,
        refuses=[
            (([0.5], [-0.5]), {}, ValueError, "fpr: expected numbers from 0 to 1, got -0.5"),
            (([0.5], [0.5, 0.5]), {}, ValueError, r"fpr: expected the shape of tpr, \(1,\), got \(2,\)"),
        ],
    ),
    Case(
        signal_detection,
        lambda rng: (TAILS, np.full(TAILS.shape, 0.5)),
        "scipy.special.ndtri",
        quantiles,
        bound=Relative(quantile_condition),
        label="1e-30 to 1 - 1e-6",
    ),
    Case(
        signal_detection,
        lambda rng: (MIDDLE, np.full(MIDDLE.shape, 0.5)),
        "scipy.special.ndtri",
        quantiles,
        bound=Relative(quantile_condition),
        label="about 0.5",
    ),
]


def there_and_back(dtype):
    """The worst difference, in eps, of d' and threshold from those that the rates were made of."""
    worst, count = 0.0, 0
    for d_prime in (0.0, 0.5, 2.0):
        threshold = np.linspace(-2, 2, 41).astype(dtype)
        made = binormal_rates(threshold, d_prime)
        found = signal_detection(made.tpr, made.fpr)
        back = found.d_prime / 2 + found.criterion
        worst = max(worst, np.abs(found.d_prime - d_prime).max(), np.abs(back - threshold).max())
        count += 2 * threshold.size
    return float(worst) / np.finfo(dtype).eps, count


PROOFS = [
    Proof(
        [signal_detection, binormal_rates],
        "the way there and back",
        "thresholds from -2 to 2, d' 0, 0.5 and 2",
        "eps",
        2000,  # a rate near 1 at 4 deviations is rounded by eps / 2, its slope is 1.3e-4
        there_and_back,
    ),
]

EDGES = [
    Edge(
        threshold_rates,
        ([0.5, 0.5], [1, 0], 0.5),
        (1.0, 1.0, 0.0, 0.0, 0.5),
        "a score on the threshold is called positive",
        output="TPR 1, FPR 1",
    ),
    Edge(
        threshold_rates,
        ([0.5, 0.4], [1, 0], inf),
        (0.0, 0.0, 1.0, 1.0, inf),
        "no score reaches infinity",
        output="TPR 0, FPR 0",
    ),
    Edge(
        threshold_rates,
        ([0.5, 0.4], [1, 1], 0.45),
        (0.5, nan, nan, 0.5, 0.45),
        "no negative: their rates are 0/0",
        output="TPR 0.5, FPR nan",
    ),
    Edge(
        threshold_rates,
        ([0.5, 0.4], [1, 0], nan),
        (nan, nan, nan, nan, nan),
        "every comparison with NaN is false; no rate is invented",
        output="nan",
    ),
    Edge(signal_detection, (0.5, 0.5), (0.0, 0.0), "as many hits as false alarms, neither bold nor cautious"),
    Edge(signal_detection, (1.0, 0.5), (inf, -inf), "no miss in the sample: no finite d'"),
    Edge(signal_detection, (1.0, 1.0), (nan, -inf), "everything is called: d' is lost"),
    Edge(signal_detection, (1.5, 0.5), ValueError, "not a rate"),
    Edge(binormal_curve, (0.0, 1.0), 0.0, "the curve starts at (0, 0)", input="0, d_prime=1"),
    Edge(binormal_curve, (1.0, 1.0), 1.0, "and ends at (1, 1)", input="1, d_prime=1"),
]
EDGES[-2:] = [
    Edge(binormal_curve, edge.args[:1], edge.gives, edge.why, kwargs={"d_prime": 1}, input=edge.input)
    for edge in EDGES[-2:]
]


def keras_on_the_threshold():
    import keras

    metric = keras.metrics.Recall(thresholds=0.5)
    metric.update_state(np.array([1, 1]), np.array([0.5, 0.25]))
    return float(metric.result())


def detected(tpr, fpr):
    return lambda: signal_detection(tpr, fpr).d_prime


def fallout():
    _, tpr, threshold = sklearn.metrics.roc_curve([1, 1, 0], [0.5, 0.25, 0.0], drop_intermediate=False)
    return tpr[threshold == 0.5][0]


CONVENTIONS = [
    Convention(
        "true-positive-rate",
        "true-positive-rate-threshold",
        "A score on the threshold",
        "positives with scores 0.5 and 0.25, threshold 0.5",
        [
            Row(
                "dlref",
                r"$s \ge t$",
                "0.5",
                lambda: threshold_rates([0.5, 0.25], [1, 1], 0.5).tpr,
                package="dlref",
            ),
            Row("scikit-learn", r"`roc_curve`: $s \ge t$", "0.5", fallout, package="scikit-learn"),
            Row("Keras on PyTorch", "`Recall`: $s > t$", "0.0", keras_on_the_threshold, package="keras"),
        ],
    ),
    Convention(
        "true-positive-rate",
        "true-positive-rate-extreme",
        "d' when nothing was missed",
        "10 of 10 signals found, 1 of 10 noises called",
        [
            Row("dlref", "the rates as they are", "inf", detected(1.0, 0.1), package="dlref"),
            Row(
                "log-linear rule",
                r"$(k + \frac{1}{2}) / (n + 1)$ for both rates",
                "2.7874",
                detected(10.5 / 11, 1.5 / 11),
                format="{:.4f}",
            ),
            Row(
                "rule of 1/(2n)",
                "a rate of 0 or 1 is moved by half a case",
                "2.9264",
                detected(1 - 1 / 20, 0.1),
                format="{:.4f}",
            ),
        ],
    ),
]


def thresholding(dtype):
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 1_000_000)
    score = (rng.normal(size=target.size) + target).astype(dtype)
    return lambda: threshold_rates(score, target), lambda: from_curve(score, target)


def of_rates(ours, theirs):
    def make(dtype):
        p, q = np.random.default_rng(0).uniform(0.001, 0.999, (2, 100_000)).astype(dtype)
        return lambda: ours(p, q), lambda: theirs(p, q)

    return make


def four_tails(t, _):
    ndtr = scipy.special.ndtr
    return ndtr(1.5 - t), ndtr(-t), ndtr(t), ndtr(t - 1.5)


BENCH = [
    Bench("metrics.threshold_rates", "sklearn.metrics.roc_curve", "1e6", thresholding, aim=2.0),
    Bench(
        "metrics.binormal_rates",
        "scipy.special.ndtr, four times",
        "1e5",
        of_rates(lambda p, q: binormal_rates(p, 1.5), four_tails),
    ),
    Bench(
        "metrics.binormal_curve",
        "scipy.special.ndtri, ndtr",
        "1e5",
        of_rates(lambda p, q: binormal_curve(p, 1.5), lambda p, q: scipy.special.ndtr(1.5 + scipy.special.ndtri(p))),
    ),
    Bench("metrics.signal_detection", "scipy.special.ndtri, twice", "1e5", of_rates(signal_detection, quantiles)),
]
