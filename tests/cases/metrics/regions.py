"""Intersection over union of classes, from a confusion table."""

import numpy as np
import sklearn.metrics

from dlref.metrics import class_iou, mean_iou
from tests.cases import Bench, Case, Convention, Edge, Row
from tests.cases.metrics.confusion import expand, five, from_labels, full, reading

nan = np.nan


def absent(rng):
    """Five classes, the third of which occurs nowhere."""
    table = rng.uniform(1, 9, (5, 5))
    table[2, :] = table[:, 2] = 0
    return (table,)


def of_present(table):
    prediction, target, weight = expand(table)
    labels = np.flatnonzero(table.sum(0) + table.sum(1))
    return sklearn.metrics.jaccard_score(target, prediction, labels=labels, average="macro", sample_weight=weight)


CASES = [
    Case(
        class_iou,
        five,
        "sklearn.metrics.jaccard_score",
        from_labels(sklearn.metrics.jaccard_score, average=None),
        refuses=[(([[1, 2]],), {}, ValueError, r"table: expected as many rows as columns, got \(1, 2\)")],
    ),
    *(
        Case(
            class_iou,
            full,
            "sklearn.metrics.jaccard_score",
            from_labels(sklearn.metrics.jaccard_score, average=average),
            kwargs={"average": average},
            label=average,
        )
        for average in ("micro", "macro", "weighted")
    ),
    Case(mean_iou, absent, "sklearn.metrics.jaccard_score", of_present),
]

ABSENT = [[6, 2, 0], [0, 4, 0], [0, 0, 0]]

EDGES = [
    Edge(
        class_iou,
        (ABSENT,),
        (np.array([0.75, 2 / 3, nan]),),
        "a class that occurs nowhere: 0/0",
        output="[0.75, 0.667, nan]",
    ),
    Edge(mean_iou, (ABSENT,), 17 / 24, "it is left out of the mean", output="0.708"),
    Edge(
        mean_iou,
        ([[6, 2, 1], [0, 4, 0], [0, 0, 0]],),
        (6 / 9 + 4 / 6) / 3,
        "a class that is only called counts 0",
        output="0.444",
    ),
    Edge(mean_iou, ([[0, 0], [0, 0]],), nan, "nothing but void pixels"),
]

# Two images of 100 pixels: 50 of class 1 of which 25 are found, and 2 of which both are.
IMAGES = [[[50, 0], [25, 25]], [[98, 0], [0, 2]]]


def keras_mean_iou():
    import keras

    metric = keras.metrics.MeanIoU(num_classes=3)
    target, prediction = (np.repeat(side, np.ravel(ABSENT)) for side in np.indices((3, 3)).reshape(2, -1))
    metric.update_state(target, prediction)
    return float(metric.result())


CONVENTIONS = [
    Convention(
        "semantic-segmentation",
        "semantic-segmentation-mean",
        "Mean IoU of a data set",
        "two images with the tables [[50, 0], [25, 25]] and [[98, 0], [0, 2]]",
        [
            Row(
                "dlref",
                "of the sum of the tables",
                "0.6874",
                lambda: mean_iou(np.sum(IMAGES, axis=0)),
                format="{:.4f}",
                package="dlref",
            ),
            Row(
                "dlref",
                "the mean of the images' numbers",
                "0.7917",
                lambda: np.mean([mean_iou(t) for t in IMAGES]),
                format="{:.4f}",
                package="dlref",
            ),
        ],
    ),
    Convention(
        "semantic-segmentation",
        "semantic-segmentation-absent",
        "A class that occurs nowhere",
        "the table [[6, 2, 0], [0, 4, 0], [0, 0, 0]]",
        [
            Row("dlref", "`mean_iou`: left out", "0.7083", lambda: mean_iou(ABSENT), format="{:.4f}", package="dlref"),
            Row("Keras on PyTorch", "`MeanIoU`: left out", "0.7083", keras_mean_iou, format="{:.4f}", package="keras"),
            Row(
                "dlref",
                "`class_iou`, macro: 0/0",
                "nan",
                lambda: class_iou(ABSENT, "macro"),
                format="{:.4f}",
                package="dlref",
            ),
            Row(
                "scikit-learn",
                "`jaccard_score` with all three labels: 0, with a warning",
                "0.4722",
                lambda: from_labels(sklearn.metrics.jaccard_score, average="macro", labels=[0, 1, 2])(np.array(ABSENT)),
                format="{:.4f}",
                package="scikit-learn",
            ),
        ],
    ),
]

BENCH = [
    Bench(
        "metrics.class_iou",
        "sklearn.metrics.jaccard_score",
        "1e5 labels",
        reading(class_iou, sklearn.metrics.jaccard_score, average=None),
        dtypes=("float64",),
    ),
    Bench(
        "metrics.mean_iou",
        "sklearn.metrics.jaccard_score",
        "1e5 labels",
        reading(mean_iou, sklearn.metrics.jaccard_score, average="macro"),
        dtypes=("float64",),
    ),
]
