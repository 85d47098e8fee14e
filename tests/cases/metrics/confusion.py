"""The table of truth against prediction, and the shares read from it."""

import warnings

import numpy as np
import sklearn.metrics

from dlref.metrics import accuracy, balanced_accuracy, confusion_matrix, f_beta, matthews, precision
from tests.bounds import Exact
from tests.cases import Bench, Case, Convention, Edge, Row

nan = np.nan


def labels(_):
    """Five classes, the last of which is never called and the fourth never true; the same in every dtype."""
    rng = np.random.default_rng(3)
    return rng.integers(0, 4, 211), rng.choice([0, 1, 2, 4], 211, p=[0.6, 0.2, 0.1, 0.1])


def expand(table):
    """Return prediction, target and weight with this table: one example for each cell."""
    target, prediction = np.indices(table.shape).reshape(2, -1)
    return prediction, target, table.ravel()


def from_labels(function, **kwargs):
    """Make an oracle for a table of a function of scikit-learn, which takes labels and weights."""

    def want(table, **_):
        prediction, target, weight = expand(table)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(target, prediction, sample_weight=weight, **kwargs)

    return want


def two(rng):
    return (rng.uniform(1, 9, (2, 2)),)


def five(rng):
    """Five classes with an empty row and an empty column, so that some shares are 0/0."""
    table = rng.uniform(1, 9, (5, 5))
    table[3, :] = table[:, 4] = 0
    return (table,)


def full(rng):
    return (rng.uniform(1, 9, (4, 4)),)


CASES = [
    Case(
        confusion_matrix,
        labels,
        "sklearn.metrics.confusion_matrix",
        lambda p, t, **_: sklearn.metrics.confusion_matrix(t, p, labels=range(5)),
        kwargs={"classes": 5},
        sweep={"100,000 labels": lambda rng, dtype: rng.integers(0, 5, (2, 100_000))},
        bound=Exact(),
        refuses=[
            (([0, 1], [0]), {}, ValueError, r"target: expected the shape of prediction, \(2,\), got \(1,\)"),
            (([2], [0]), {}, ValueError, "prediction: expected integers from 0 to 1, got 2"),
            (([0], [0.0]), {}, TypeError, "target: expected integers, got float64"),
            (([0], [0], 0), {}, ValueError, "classes: expected an integer at least 1, got 0"),
            (([0], [0], 2, [1.0, 2.0]), {}, ValueError, "weight: expected the shape of prediction"),
        ],
    ),
    Case(
        confusion_matrix,
        lambda rng: (*labels(rng), 5, rng.uniform(0, 2, 211)),
        "sklearn.metrics.confusion_matrix",
        lambda p, t, k, w: sklearn.metrics.confusion_matrix(t, p, labels=range(5), sample_weight=w),
        label="weights",
    ),
    Case(
        confusion_matrix,
        labels,
        "sklearn.metrics.confusion_matrix",
        lambda p, t, **_: sklearn.metrics.confusion_matrix(t[t != 2], p[t != 2], labels=range(5)),
        kwargs={"classes": 5, "ignore": 2},
        bound=Exact(),
        label="ignore",
    ),
    Case(
        precision,
        two,
        "sklearn.metrics.precision_score",
        from_labels(sklearn.metrics.precision_score),
        refuses=[
            (([[1, 2, 3], [4, 5, 6]],), {}, ValueError, r"table: expected as many rows as columns, got \(2, 3\)"),
            ((np.eye(3),), {}, ValueError, "average: 'binary' expects a table of 2 classes, got 3"),
            ((np.eye(3), "mean"), {}, ValueError, "average: expected one of 'binary', 'none', 'micro', 'macro'"),
        ],
    ),
    *(
        Case(
            precision,
            five,
            "sklearn.metrics.precision_score",
            from_labels(sklearn.metrics.precision_score, average=theirs, zero_division=1.0),
            kwargs={"average": average, "zero_division": 1.0},
            label=average,
        )
        for average, theirs in (("none", None), ("micro", "micro"), ("macro", "macro"), ("weighted", "weighted"))
    ),
    Case(
        f_beta,
        two,
        "sklearn.metrics.fbeta_score",
        from_labels(sklearn.metrics.fbeta_score, beta=0.7),
        kwargs={"beta": 0.7},
        refuses=[(([[1, 2], [3, 4]], -1), {}, ValueError, r"beta: expected a number in \[0, inf\), got -1")],
    ),
    Case(
        f_beta,
        five,
        "sklearn.metrics.f1_score",
        from_labels(sklearn.metrics.f1_score, average="macro", zero_division=0.0),
        kwargs={"average": "macro", "zero_division": 0.0},
        label="macro",
    ),
    Case(accuracy, five, "sklearn.metrics.accuracy_score", from_labels(sklearn.metrics.accuracy_score)),
    Case(
        balanced_accuracy,
        full,
        "sklearn.metrics.balanced_accuracy_score",
        from_labels(sklearn.metrics.balanced_accuracy_score),
    ),
    Case(matthews, two, "sklearn.metrics.matthews_corrcoef", from_labels(sklearn.metrics.matthews_corrcoef)),
    Case(
        matthews,
        full,
        "sklearn.metrics.matthews_corrcoef",
        from_labels(sklearn.metrics.matthews_corrcoef),
        label="four classes",
    ),
]

NOTHING_CALLED = [[7, 0], [3, 0]]
CLASS_NEVER_CALLED = [[6, 2, 0], [1, 3, 0], [1, 1, 0]]

EDGES = [
    Edge(precision, (NOTHING_CALLED,), nan, "nothing was called positive: 0/0"),
    Edge(
        precision,
        (NOTHING_CALLED,),
        0.0,
        "0/0 as you say",
        kwargs={"zero_division": 0.0},
        input=f"{NOTHING_CALLED}, zero_division=0",
    ),
    Edge(precision, ([[0, 0], [5, 5]],), 1.0, "without negatives every call is right"),
    Edge(
        precision,
        (CLASS_NEVER_CALLED, "macro"),
        nan,
        "a class that was never called leaves the mean undefined",
    ),
    Edge(
        precision,
        ([[5, 1, 0], [2, 4, 0], [0, 0, 0]], "weighted"),
        (6 * 5 / 7 + 6 * 4 / 5) / 12,
        "a class without true examples has no weight",
        output="0.829",
    ),
    Edge(f_beta, ([[7, 0], [3, 0]],), 0.0, "positives, none of them found: 0, although precision is 0/0"),
    Edge(f_beta, ([[7, 0], [0, 0]],), nan, "neither called nor true: 0/0"),
    Edge(matthews, ([[7, 3], [0, 0]],), nan, "truth of one class: a correlation with a constant is 0/0"),
    Edge(matthews, ([[0, 5], [5, 0]],), -1.0, "always the other class"),
    Edge(accuracy, ([[0, 0], [0, 0]],), nan, "no example"),
    Edge(balanced_accuracy, ([[3, 1], [0, 0]],), nan, "a class without true examples"),
    Edge(confusion_matrix, ([0, 1], [1, 2]), ValueError, "labels are below classes"),
    Edge(
        confusion_matrix,
        ([0, 1], [255, 1], 2, None, 255),
        (np.array([[0, 0], [0, 1]]),),
        "an ignored target is not counted",
        input="[0, 1], [255, 1], ignore=255",
        output="[[0, 0], [0, 1]]",
    ),
]


def quietly(function):
    """Call without the warnings: the value is what the page shows."""

    def call():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function()

    return call


def theirs(function, table, **kwargs):
    """Return a thunk of a function of scikit-learn on the examples of a table."""
    prediction, target, count = expand(np.array(table))
    return quietly(lambda: function(target.repeat(count), prediction.repeat(count), **kwargs))


def keras_precision():
    import keras

    metric = keras.metrics.Precision()
    metric.update_state(np.array([0, 0, 1]), np.array([0.1, 0.2, 0.3]))
    return float(metric.result())


def harmonic(table):
    per_class = {"average": "none", "zero_division": 0.0}
    p, r = precision(table, **per_class).mean(), precision(np.transpose(table), **per_class).mean()
    return 2 * p * r / (p + r)


UNEVEN = [[50, 40], [1, 9]]

CONVENTIONS = [
    Convention(
        "precision",
        "precision-zero-division",
        "Precision when nothing is called positive",
        "7 negatives and 3 positives, all called negative",
        [
            Row("dlref", "0 / 0", "nan", lambda: precision(NOTHING_CALLED), package="dlref"),
            Row(
                "scikit-learn",
                "`precision_score`: 0, with a warning",
                "0.0",
                theirs(sklearn.metrics.precision_score, NOTHING_CALLED),
                package="scikit-learn",
            ),
            Row("Keras on PyTorch", "`Precision`: 0", "0.0", keras_precision, package="keras"),
        ],
    ),
    Convention(
        "precision",
        "precision-macro",
        "The mean over classes, one of which was never called",
        "the table [[6, 2, 0], [1, 3, 0], [1, 1, 0]]",
        [
            Row(
                "dlref",
                "the mean of 0.75, 0.5 and 0/0",
                "nan",
                lambda: precision(CLASS_NEVER_CALLED, "macro"),
                package="dlref",
            ),
            Row(
                "scikit-learn",
                "the class counts 0, with a warning",
                "0.4167",
                theirs(sklearn.metrics.precision_score, CLASS_NEVER_CALLED, average="macro"),
                format="{:.4f}",
                package="scikit-learn",
            ),
            Row(
                "scikit-learn",
                "`zero_division=nan`: the class is left out",
                "0.6250",
                theirs(sklearn.metrics.precision_score, CLASS_NEVER_CALLED, average="macro", zero_division=nan),
                format="{:.4f}",
                package="scikit-learn",
            ),
        ],
    ),
    Convention(
        "precision",
        "precision-macro-f",
        "Macro F1",
        "the table [[50, 40], [1, 9]]",
        [
            Row(
                "dlref",
                "the mean of the classes' F1",
                "0.5072",
                lambda: f_beta(UNEVEN, average="macro"),
                format="{:.4f}",
                package="dlref",
            ),
            Row(
                "scikit-learn",
                "the same",
                "0.5072",
                theirs(sklearn.metrics.f1_score, UNEVEN, average="macro"),
                format="{:.4f}",
                package="scikit-learn",
            ),
            Row(
                "some papers",
                "the harmonic mean of macro precision and macro recall",
                "0.6468",
                lambda: harmonic(UNEVEN),
                format="{:.4f}",
            ),
        ],
    ),
    Convention(
        "precision",
        "precision-matthews",
        "Matthews correlation when everything is called negative",
        "7 negatives and 3 positives, all called negative",
        [
            Row("dlref", "0 / 0", "nan", lambda: matthews(NOTHING_CALLED), package="dlref"),
            Row(
                "scikit-learn",
                "`matthews_corrcoef`: 0",
                "0.0",
                theirs(sklearn.metrics.matthews_corrcoef, NOTHING_CALLED),
                package="scikit-learn",
            ),
        ],
    ),
]


def counting(_):
    prediction, target = np.random.default_rng(0).integers(0, 10, (2, 1_000_000))
    return (
        lambda: confusion_matrix(prediction, target, 10),
        lambda: sklearn.metrics.confusion_matrix(target, prediction),
    )


def reading(ours, theirs, classes=5, **kwargs):
    """From labels to a measure, on either side."""

    def make(_):
        target, prediction = np.random.default_rng(0).integers(0, classes, (2, 100_000))
        return lambda: ours(confusion_matrix(prediction, target, classes)), lambda: theirs(target, prediction, **kwargs)

    return make


def macro(function):
    return lambda table: function(table, average="macro")


BENCH = [
    *(
        Bench(f"metrics.{name}", f"sklearn.metrics.{peer.__name__}", "1e5 labels", make, dtypes=("float64",))
        for name, peer, make in (
            (name, peer, reading(ours, peer, **kwargs))
            for name, ours, peer, kwargs in (
                ("precision", macro(precision), sklearn.metrics.precision_score, {"average": "macro"}),
                ("f_beta", macro(f_beta), sklearn.metrics.f1_score, {"average": "macro"}),
                ("accuracy", accuracy, sklearn.metrics.accuracy_score, {}),
                ("balanced_accuracy", balanced_accuracy, sklearn.metrics.balanced_accuracy_score, {}),
                ("matthews", matthews, sklearn.metrics.matthews_corrcoef, {}),
            )
        )
    ),
    Bench(
        "metrics.confusion_matrix", "sklearn.metrics.confusion_matrix", "1e6", counting, dtypes=("float64",), aim=5.0
    ),
]
