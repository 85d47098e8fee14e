"""Weights of classes."""

import numpy as np
import sklearn.utils.class_weight
import torch

from dlref.data import balanced_weights, effective_number_weights, random_oversample
from dlref.losses import cross_entropy, cross_entropy_backward, hinge_loss
from tests.cases import Bench, Convention, Edge, Proof, Row


def labels(rng):
    return (np.concatenate([rng.choice(4, 300, p=[0.7, 0.2, 0.07, 0.03]), np.arange(4)]),)


def from_sklearn(target, classes):
    return sklearn.utils.class_weight.compute_class_weight("balanced", classes=np.arange(classes), y=target)


def from_series(target, classes, beta):
    """The effective number as the geometric series that it is, summed in longdouble."""
    powers = np.cumsum(np.longdouble(beta) ** np.arange(len(target), dtype=np.longdouble))
    weights = 1 / powers[np.bincount(target, minlength=classes) - 1]
    return (weights * classes / weights.sum()).astype(np.float64)


def against(function, want, **kwargs):
    def run(dtype):
        worst = 0.0
        for seed in range(20):
            (target,) = labels(np.random.default_rng(seed))
            got, wanted = function(target, 4, **kwargs), want(target, 4, **kwargs)
            worst = max(worst, np.max(np.abs(got - wanted) / wanted))
        return worst, 80

    return run


def as_copies(dtype):
    """The worst difference of loss and gradient from those of the data with copies, all classes made equally large."""
    rng, worst = np.random.default_rng(0), 0.0
    target = np.repeat([0, 1, 2], [60, 20, 10])
    logits = rng.normal(size=(90, 3)).astype(dtype)
    rows = np.concatenate([np.arange(60), np.tile(np.arange(60, 80), 3), np.tile(np.arange(80, 90), 6)])
    weight = balanced_weights(target, 3).astype(dtype)
    worst = abs(cross_entropy(logits, target, weight) - cross_entropy(logits[rows], target[rows]))
    back = cross_entropy_backward(dtype(1), logits[rows], target[rows])
    summed = np.zeros((90, 3))
    np.add.at(summed, rows, back)
    worst = max(worst, np.abs(cross_entropy_backward(dtype(1), logits, target, weight) - summed).max())
    score, sign = logits[:, 1] - logits[:, 0], np.where(target > 0, 1, -1)
    worst = max(worst, abs(hinge_loss(score, sign, weight[target]) - hinge_loss(score[rows], sign[rows])))
    assert len(random_oversample(target, rng)) == len(rows)
    leaf = torch.from_numpy(logits.astype(np.float64)).requires_grad_()
    loss = torch.nn.functional.cross_entropy(leaf, torch.from_numpy(target), torch.from_numpy(weight.astype(float)))
    loss.backward()
    worst = max(
        worst, np.abs(leaf.grad.numpy() - summed).max(), abs(loss.item() - cross_entropy(logits, target, weight))
    )
    return float(worst), 2 * 90 * 3 + 3


PROOFS = [
    Proof(
        [balanced_weights],
        "sklearn.utils.class_weight.compute_class_weight",
        "304 labels of four classes, 20 draws",
        "relative",
        1e-15,
        against(balanced_weights, from_sklearn),
        dtypes=("float64",),
    ),
    *(
        Proof(
            [effective_number_weights],
            "the geometric series in longdouble",
            f"304 labels of four classes, 20 draws, beta {beta}",
            "relative",
            2e-14,
            against(effective_number_weights, from_series, beta=beta),
            dtypes=("float64",),
        )
        for beta in (0.0, 0.9, 0.9999)
    ),
    Proof(
        [balanced_weights],
        "cross-entropy and hinge loss of copies, and torch cross_entropy(weight=)",
        "loss and gradient of 60, 20 and 10 examples",
        "absolute",
        {"float32": 1e-6, "float64": 1e-15},
        as_copies,
    ),
]

EDGES = [
    Edge(
        balanced_weights,
        ([0, 0, 2], 3),
        (np.array([0.75, 0.0, 1.5]),),
        "a class without examples: 0, and it is not counted in K",
        output="[0.75, 0, 1.5]",
    ),
    Edge(balanced_weights, ([3], 3), ValueError, "labels are below classes"),
    Edge(
        effective_number_weights,
        ([0, 0, 0, 1], 2, 0),
        (np.array([1.0, 1.0]),),
        "every class counts as one example",
        input="[0, 0, 0, 1], 2, beta=0",
        output="[1, 1]",
    ),
    Edge(effective_number_weights, ([0], 1, 1), ValueError, "beta 1 is the limit, not a value", input="[0], 1, beta=1"),
]


def keras_mean():
    import keras

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    value = loss(np.array([0, 1]), np.zeros((2, 2)), sample_weight=np.array([3.0, 1.0]))
    return float(value)


def torch_mean():
    return torch.nn.functional.cross_entropy(torch.zeros(2, 2), torch.tensor([0, 1]), torch.tensor([3.0, 1.0])).item()


CONVENTIONS = [
    Convention(
        "class-weighting",
        "class-weighting-mean",
        "What the weighted sum is divided by",
        "two examples with the loss log 2 = 0.6931 and the weights 3 and 1",
        [
            Row(
                "dlref",
                "`cross_entropy`: the sum of the weights",
                "0.6931",
                lambda: cross_entropy(np.zeros((2, 2)), [0, 1], [3.0, 1.0]),
                format="{:.4f}",
                package="dlref",
            ),
            Row("PyTorch", "the same", "0.6931", torch_mean, format="{:.4f}", package="torch"),
            Row(
                "Keras on PyTorch",
                "the number of examples",
                "1.3863",
                keras_mean,
                format="{:.4f}",
                package="keras",
            ),
        ],
    )
]


def weighing(_):
    (target,) = labels(np.random.default_rng(0))
    target = np.tile(target, 300)
    return lambda: balanced_weights(target, 4), lambda: from_sklearn(target, 4)


def counting(_):
    (target,) = labels(np.random.default_rng(0))
    target = np.tile(target, 300)

    def theirs():
        weight = (1 - 0.999) / (1 - 0.999 ** np.bincount(target, minlength=4))
        return weight * 4 / weight.sum()

    return lambda: effective_number_weights(target, 4), theirs


BENCH = [
    Bench("data.effective_number_weights", "a NumPy expression", "91,200 labels", counting, dtypes=("float64",)),
    Bench("data.balanced_weights", "sklearn compute_class_weight", "91,200 labels", weighing, dtypes=("float64",)),
]
