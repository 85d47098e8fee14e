"""Searches, against scikit-learn: the same folds, the same winner, the same survivors; and their regret."""

import itertools
import statistics

import numpy as np

from dlref.training import (
    cross_validate,
    grid,
    k_folds,
    log_uniform,
    random_candidates,
    regret,
    search,
    successive_halving,
)
from tests.bounds import Normwise, Relative
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

nan = np.nan
LOW, HIGH = 2.0**-14, 8.0  # the same in float32


def quantile(u, low, high):
    import scipy.stats

    return scipy.stats.loguniform(low, high).ppf(u)


def lost(scores, best, level):
    """Take the best of every beginning, and the order statistics that hold the share, run by run."""
    runs = [[b - max(row[: i + 1]) for i in range(len(row))] for row, b in zip(scores.tolist(), best, strict=True)]
    columns = [sorted(column) for column in zip(*runs, strict=True)]
    cut = int((1 - level) / 2 * (len(runs) - 1))
    return np.array(runs), *np.transpose([(statistics.fmean(c), c[cut], c[-1 - cut]) for c in columns])


CASES = [
    Case(
        regret,
        lambda rng: (rng.normal(size=(13, 7)), rng.normal(size=13)),
        "every beginning by itself, statistics.fmean, order statistics",
        lost,
        {"level": 0.7},
        bound=Normwise(13, 3.0),  # a difference of two numbers of up to three times its size
        refuses=[
            (([1.0], 1.0), {}, ValueError, "scores: expected 2 dimensions, got 1"),
            ((np.zeros((0, 3)), 1.0), {}, ValueError, "scores: expected at least one run, got none"),
            ((np.zeros((2, 3)), np.zeros(3)), {}, ValueError, r"best: expected shape \(2,\), got \(3,\)"),
            ((np.zeros((2, 3)), 1.0, 1.0), {}, ValueError, r"level: expected a number in \(0, 1\), got 1"),
        ],
    ),
    Case(
        log_uniform,
        lambda rng: (np.concatenate([[0.0, 1.0], rng.random(500)]),),
        "scipy.stats.loguniform, quantiles",
        quantile,
        {"low": LOW, "high": HIGH},
        bound=Relative(float(np.log(HIGH / LOW))),
        refuses=[
            (([0.5], 0.0, 1.0), {}, ValueError, "low: expected a number in"),
            (([0.5], 1.0, 0.5), {}, ValueError, r"high: expected a number in \[1, inf\), got 0.5"),
            (([1.5], 1.0, 2.0), {}, ValueError, "u: expected numbers from 0 to 1"),
        ],
    ),
]

# --- the same as scikit-learn -----------------------------------------------------------------------------------------


def grid_as_sklearn(dtype):
    from sklearn.model_selection import ParameterGrid

    spaces = [{"a": [1, 2, 3]}, {"a": [1, 2], "b": ["x"], "c": [0.1, 0.2, 0.3]}, {"b": [0], "a": [1, 2], "d": [3, 4]}]
    wrong = count = 0
    for space in spaces:
        ours, theirs = ([sorted(c.items()) for c in made] for made in (grid(space), ParameterGrid(space)))
        wrong += sorted(ours) != sorted(theirs) or len(ours) != len({str(c) for c in ours})
        count += len(ours)
    return wrong, count


def folds_as_sklearn(dtype):
    """Compare unshuffled folds with KFold; shuffled ones must be a partition of the same sizes."""
    from sklearn.model_selection import KFold

    wrong = count = 0
    for n, k in ((5, 2), (7, 3), (10, 5), (10, 10), (23, 4), (100, 7)):
        theirs = list(KFold(k).split(np.zeros(n)))
        for (a, b), fold in zip(theirs, k_folds(n, k), strict=True):
            wrong += not (np.array_equal(a, fold.train) and np.array_equal(b, fold.validation))
        drawn = k_folds(n, k, np.random.default_rng(n))
        wrong += [len(f.validation) for f in drawn] != [len(b) for _, b in theirs]
        wrong += sorted(i for f in drawn for i in f.validation) != list(range(n))
        wrong += any(sorted([*f.train, *f.validation]) != list(range(n)) for f in drawn)
        count += 2 * k
    return wrong, count


def search_as_sklearn(dtype):
    """Run ridge regression over a grid, with the same folds: the same mean scores and the same winner."""
    from sklearn.datasets import make_regression
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, KFold

    x, y = make_regression(40, 12, noise=20.0, random_state=1)
    space = {"alpha": [0.01, 0.1, 1.0, 10.0, 100.0], "fit_intercept": [True, False]}
    theirs = GridSearchCV(Ridge(), space, cv=KFold(4), scoring="neg_mean_squared_error").fit(x, y)

    def score(candidate, train, validation):
        model = Ridge(**candidate).fit(x[train], y[train])
        return -np.mean((model.predict(x[validation]) - y[validation]) ** 2)

    ours = search(lambda candidate: cross_validate(score, candidate, k_folds(40, 4)), grid(space))
    results = zip(theirs.cv_results_["params"], theirs.cv_results_["mean_test_score"], strict=True)
    want = {str(sorted(params.items())): mean for params, mean in results}
    got = {str(sorted(t.candidate.items())): t.score for t in ours.trials}
    assert ours.best == theirs.best_params_, (ours.best, theirs.best_params_)
    errors = [abs(got[key] / want[key] - 1) for key in want]
    one = cross_validate(score, ours.best, k_folds(40, 4))
    return max(*errors, abs(one / theirs.best_score_ - 1)), 11


def halving_as_sklearn(dtype):
    """Compare rounds, survivors and winner with HalvingGridSearchCV, for a score that depends on the resource."""
    from sklearn.base import BaseEstimator
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingGridSearchCV

    quality = np.random.default_rng(4).permutation(27) / 27

    def value(number, resource):
        """Early leaders are not the best: scores cross as the resource grows."""
        return quality[number] * (1 - 0.8**resource) + (1 - quality[number]) * 0.4**resource

    class Slow(BaseEstimator):
        def __init__(self, number=0, resource=1):
            self.number, self.resource = number, resource

        def fit(self, x, y=None):
            return self

        def score(self, x, y=None):
            return value(self.number, self.resource)

    wrong = count = 0
    for candidates, factor in itertools.product((27, 10, 9, 4), (2, 3)):
        rounds = 1
        while -(-candidates // factor**rounds) > 1:
            rounds += 1
        theirs = HalvingGridSearchCV(
            Slow(), {"number": list(range(candidates))}, factor=factor, resource="resource", min_resources=1,
            max_resources=factor ** (rounds - 1), cv=2, refit=False,
        ).fit(np.zeros((8, 1)), np.arange(8) % 2)  # fmt: skip
        table = theirs.cv_results_
        wanted = [(p["number"], r) for p, r in zip(table["params"], table["n_resources"], strict=True)]
        ours = successive_halving(value, range(candidates), 1, factor)
        got = [(t.candidate, t.resource) for t in ours.trials]
        wrong += sorted(got) != sorted(wanted)
        count += len(got)
    return wrong, count


def uniform_over_decades(dtype):
    """Kolmogorov's distance of 4,000 draws from the log-uniform distribution, as a share of its 0.999 quantile."""
    import scipy.stats

    space = {"lr": lambda u: float(log_uniform(u, 1e-4, 1.0)), "width": [8, 16, 32]}
    drawn = random_candidates(space, 4000, np.random.default_rng(5))
    test = scipy.stats.kstest([c["lr"] for c in drawn], scipy.stats.loguniform(1e-4, 1.0).cdf)
    counts = np.array([sum(c["width"] == w for c in drawn) for w in space["width"]])
    chi = np.sum((counts - 4000 / 3) ** 2 / (4000 / 3))
    assert random_candidates(space, 10, np.random.default_rng(5)) == drawn[:10]
    return max(test.statistic * np.sqrt(4000) / 1.95, chi / 13.82), 8000


def different_ones(dtype):
    """Count samples that repeat a candidate or leave the grid, and draw all of it; Pearson's test of the first draw."""
    space = {"a": [1, 2, 3], "b": ["x", "y"], "c": [0.1, 0.2]}
    everything, firsts = grid(space), np.zeros(12)
    for seed in range(600):
        drawn = random_candidates(space, 12, np.random.default_rng(seed), replace=False)
        assert sorted(map(everything.index, drawn)) == list(range(12)), "each of them once"
        firsts[everything.index(drawn[0])] += 1
    return np.sum((firsts - 50) ** 2 / 50) / 31.26, 7200


ONCE = {"dtypes": ("float64",)}
PROOFS = [
    Proof(
        [random_candidates],
        "each candidate once; Pearson's test at 0.001",
        "600 samples of all 12 without replacement: which comes first",
        "share",
        1.0,
        different_ones,
        **ONCE,
    ),
    Proof([grid], "sklearn.model_selection.ParameterGrid", "3 grids, as sets", "count", 0, grid_as_sklearn, **ONCE),
    Proof(
        [k_folds],
        "sklearn.model_selection.KFold",
        "6 pairs of n and k, in order; shuffled: a partition of the same sizes",
        "count",
        0,
        folds_as_sklearn,
        **ONCE,
    ),
    Proof(
        [search, cross_validate],
        "sklearn.model_selection.GridSearchCV",
        "ridge regression, 10 candidates, 4 folds: all mean scores and the winner",
        "relative",
        1e-12,
        search_as_sklearn,
        **ONCE,
    ),
    Proof(
        [successive_halving],
        "sklearn.model_selection.HalvingGridSearchCV",
        "8 tournaments of 4 to 27 candidates: survivors of every round",
        "count",
        0,
        halving_as_sklearn,
        **ONCE,
    ),
    Proof(
        [random_candidates],
        "tests of Kolmogorov and Pearson at 0.001",
        "4,000 draws: a log-uniform rate, a choice of three",
        "share",
        1.0,
        uniform_over_decades,
        **ONCE,
    ),
]

# --- edges and conventions --------------------------------------------------------------------------------------------


EDGES = [
    Edge(k_folds, (4, 5), ValueError, "a fold would be empty", input="n = 4, k = 5"),
    Edge(k_folds, (4, 1), ValueError, "nothing would be left to train on", input="n = 4, k = 1"),
    Edge(log_uniform, ([0.0, 1.0],), np.array([0.5, 8.0]), "the bounds are met", {"low": 0.5, "high": 8.0}),
    Edge(log_uniform, ([0.3],), np.array([2.0]), "one point", {"low": 2.0, "high": 2.0}, input="bounds 2 and 2"),
    Edge(
        regret,
        ([[nan, 0.25, nan]], 1.0),
        (np.array([[np.inf, 0.75, 0.75]]), *[np.array([np.inf, 0.75, 0.75])] * 3),
        "NaN never leads: without a score all is lost",
        output="inf, 0.75, 0.75",
    ),
]


def sampler_distinct():
    from sklearn.model_selection import ParameterSampler

    return len({c["a"] for c in ParameterSampler({"a": [1, 2, 3]}, 3, random_state=1)})


def sampler_mixed():
    import scipy.stats
    from sklearn.model_selection import ParameterSampler

    space = {"a": [1, 2, 3], "lr": scipy.stats.loguniform(0.1, 1.0)}
    return len({c["a"] for c in ParameterSampler(space, 3, random_state=1)})


def kfold_first():
    from sklearn.model_selection import KFold

    return next(iter(KFold(5).split(np.zeros(10))))[1].tolist()


def split_first():
    from sklearn.model_selection import train_test_split

    return sorted(train_test_split(np.arange(10), test_size=0.2, random_state=0)[1].tolist())


def keras_split():
    """Let a model that returns its input tell, through its validation loss, which examples were held out."""
    import keras

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.0), "mae")
    x = 2.0 ** np.arange(10)[:, None]
    mean = model.fit(x, np.zeros((10, 1)), validation_split=0.2, verbose=0).history["val_loss"][0]
    return [k for k in range(10) if round(2 * float(mean)) >> k & 1]


CONVENTIONS = [
    Convention(
        "hyperparameters",
        "search-holds-out",
        "Which examples are held out unless one says so",
        "10 examples in order, a fifth of them for validation",
        [
            Row(
                "dlref",
                "`k_folds(10, 5)`, first fold: in order",
                "[0, 1]",
                lambda: k_folds(10, 5)[0].validation.tolist(),
            ),
            Row("scikit-learn", "`KFold(5)`, first fold: in order", "[0, 1]", kfold_first, package="scikit-learn"),
            Row("scikit-learn", "`train_test_split`: at random", "[2, 8]", split_first, package="scikit-learn"),
            Row("Keras", "`validation_split=0.2`: the last ones", "[8, 9]", keras_split, package="keras"),
        ],
    ),
    Convention(
        "hyperparameters",
        "search-replacement",
        "Whether random search repeats itself",
        "three draws from a list of three values: how many differ",
        [
            Row(
                "dlref",
                "independent draws",
                "2",
                lambda: len({c["a"] for c in random_candidates({"a": [1, 2, 3]}, 3, np.random.default_rng(0))}),
            ),
            Row(
                "scikit-learn",
                "lists alone: without replacement",
                "3",
                sampler_distinct,
                package="scikit-learn",
            ),
            Row(
                "scikit-learn",
                "as soon as there is one distribution: independent draws",
                "2",
                sampler_mixed,
                package="scikit-learn",
            ),
        ],
    ),
]


def quantiles(dtype):
    import scipy.stats

    u, peer = np.random.default_rng(0).random(10_000).astype(dtype), scipy.stats.loguniform(LOW, HIGH)
    return lambda: log_uniform(u, LOW, HIGH), lambda: peer.ppf(u)


def folding(dtype):
    from sklearn.model_selection import KFold

    x, peer = np.zeros(10_000), KFold(10, shuffle=True, random_state=0)
    return lambda: k_folds(10_000, 10, np.random.default_rng(0)), lambda: list(peer.split(x))


def gridding(dtype):
    from sklearn.model_selection import ParameterGrid

    space = {name: list(range(10)) for name in "abc"}
    return lambda: grid(space), lambda: list(ParameterGrid(space))


def drawing(dtype):
    import scipy.stats
    from sklearn.model_selection import ParameterSampler

    space = {"lr": lambda u: float(log_uniform(u, 1e-4, 1.0)), "width": [8, 16, 32]}
    peer = ParameterSampler({"lr": scipy.stats.loguniform(1e-4, 1.0), "width": [8, 16, 32]}, 100, random_state=0)
    return lambda: random_candidates(space, 100, np.random.default_rng(0)), lambda: list(peer)


def estimator():
    """Make an estimator of scikit-learn that costs nothing: what is left is the search itself."""
    from sklearn.base import BaseEstimator

    class Free(BaseEstimator):
        def __init__(self, number=0, resource=1):
            self.number, self.resource = number, resource

        def fit(self, x, y=None):
            return self

        def score(self, x, y=None):
            return float(self.number)

    return Free(), {"number": list(range(27))}, (np.zeros((90, 3)), np.arange(90) % 2)


def validating(dtype):
    from sklearn.model_selection import KFold, cross_val_score

    model, _, data = estimator()
    folds = k_folds(90, 3)
    peer = lambda: cross_val_score(model, *data, cv=KFold(3))  # noqa: E731
    return lambda: cross_validate(lambda c, train, validation: float(c), 1, folds), peer


def searching(dtype):
    from sklearn.model_selection import GridSearchCV, KFold

    model, space, data = estimator()
    folds, peer = k_folds(90, 3), GridSearchCV(model, space, cv=KFold(3), refit=False)

    def ours():
        return search(lambda c: cross_validate(lambda c, *fold: float(c["number"]), c, folds), grid(space))

    return ours, lambda: peer.fit(*data)


def halving(dtype):
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingGridSearchCV, KFold

    model, space, data = estimator()
    folds = k_folds(90, 3)
    peer = HalvingGridSearchCV(
        model, space, factor=3, resource="resource", min_resources=1, max_resources=9, cv=KFold(3), refit=False
    )

    def score(candidate, resource):
        return cross_validate(lambda c, *rest: float(c["number"]), candidate, folds, resource)

    return lambda: successive_halving(score, grid(space)), lambda: peer.fit(*data)


def regrets(dtype):
    scores = np.random.default_rng(0).normal(size=(300, 40)).astype(dtype)

    def peer():
        lost = 3.0 - np.maximum.accumulate(scores, axis=1)
        return lost, lost.mean(axis=0), *np.quantile(lost, (0.1, 0.9), axis=0)

    return lambda: regret(scores, 3.0), peer


BENCH = [
    Bench("training.random_candidates", "sklearn ParameterSampler", "100, a rate and a width", drawing, ("float64",)),
    Bench("training.cross_validate", "sklearn cross_val_score", "3 folds, a free model", validating, ("float64",)),
    Bench("training.search", "sklearn GridSearchCV", "27 candidates, 3 folds, a free model", searching, ("float64",)),
    Bench(
        "training.successive_halving",
        "sklearn HalvingGridSearchCV",
        "27 candidates, 3 folds, a free model",
        halving,
        ("float64",),
    ),
    Bench("training.regret", "maximum.accumulate, mean and quantile in NumPy", "300 runs of 40", regrets),
    Bench("training.log_uniform", "scipy.stats.loguniform.ppf", "1e4", quantiles, aim=1.0),
    Bench("training.k_folds", "sklearn KFold, shuffled", "1e4, 10 folds", folding, ("float64",)),
    Bench("training.grid", "sklearn ParameterGrid", "10 x 10 x 10", gridding, ("float64",)),
]
