"""DropConnect: the masked sums in long double, the moments against all masks, the Gaussian against many draws."""

import functools
from itertools import product

import numpy as np
import scipy.stats
import torch

from dlref.activations import relu
from dlref.layers import (
    dropconnect,
    dropconnect_backward,
    dropconnect_inference,
    dropconnect_moments,
    dropout_mask,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

inf, nan = np.inf, np.nan
MASK = np.random.default_rng(0).random((4, 5, 7)) < 0.6


def drawn(rng):
    return rng.normal(size=(4, 7)), rng.normal(size=(5, 7)), rng.normal(size=5)


def einsum(x, w, b, mask, rate):
    wide = [np.asarray(v, np.longdouble) for v in (x, w, mask)]
    return (np.einsum("nd,od,nod->no", *wide) / (1 - rate) + b).astype(np.float64)


CASES = [
    Case(
        dropconnect,
        drawn,
        "NumPy's einsum in long double",
        einsum,
        kwargs={"mask": MASK, "rate": 0.4},
        gradient=lambda x, w, b, mask, rate: torch.einsum("nd,nod->no", x, w * mask / (1 - rate)) + b,
        bound=Normwise(7),
        refuses=[
            (
                (np.ones((2, 3)), np.ones((4, 3))),
                {"mask": np.ones((4, 3), bool), "rate": 0.5},
                ValueError,
                r"mask: expected shape \(2, 4, 3\), got \(4, 3\)",
            ),
            (
                ([[1.0]], [[1.0]]),
                {"mask": [[[True]]], "rate": 1.0},
                ValueError,
                r"rate: expected a number in \[0, 1\), got 1",
            ),
        ],
    ),
]


@functools.cache
def every_mask():
    """A layer of 8 inputs and 3 units on one example, under all 256 masks of a unit."""
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(1, 8)), rng.normal(size=(3, 8)), rng.normal(size=3)
    masks = np.array(list(product((False, True), repeat=8)))
    chances = np.prod(np.where(masks, 0.7, 0.3), axis=1)
    return x, w, b, np.repeat(masks[:, None], 3, axis=1), chances


def enumerated(dtype):
    """The moments over all masks, each with its probability."""
    x, w, b, masks, chances = every_mask()
    x, w, b = (v.astype(dtype) for v in (x, w, b))
    outputs = dropconnect(np.repeat(x, 256, axis=0), w, b, mask=masks, rate=0.3).astype(float)
    mean = chances @ outputs
    var = chances @ (outputs - mean) ** 2
    found = dropconnect_moments(x, w, b, rate=0.3)
    return max(abs(found.mean[0] - mean).max() / abs(mean).max(), abs(found.var[0] / var - 1).max()), 6


def sampled(dtype):
    """Mean of a rectified layer: normal samples against the closed form of a rectified normal number."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 50)).astype(dtype), rng.normal(size=(6, 50)).astype(dtype)
    mean, var = (v.astype(float) for v in dropconnect_moments(x, w, rate=0.5))
    std, samples = np.sqrt(var), 4000
    want = mean * scipy.stats.norm.cdf(mean / std) + std * scipy.stats.norm.pdf(mean / std)
    found = dropconnect_inference(x, w, activation=relu, rate=0.5, rng=rng, samples=samples)
    return (abs(found - want) / (std / np.sqrt(samples))).max(), want.size


def masks_against_normal(dtype):
    """Mean of a rectified layer over drawn masks, against that of the matched normal law, in deviations of a unit."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(1, 200)).astype(dtype), rng.normal(size=(10, 200)).astype(dtype)
    mean, var = (v[0].astype(float) for v in dropconnect_moments(x, w, rate=0.5))
    std = np.sqrt(var)
    runs = [
        relu(dropconnect(np.repeat(x, 100, axis=0), w, mask=dropout_mask((100, 10, 200), 0.5, rng), rate=0.5))
        for _ in range(20)
    ]
    want = mean * scipy.stats.norm.cdf(mean / std) + std * scipy.stats.norm.pdf(mean / std)
    return (abs(np.concatenate(runs).mean(axis=0) - want) / std).max(), 20_000


PROOFS = [
    Proof(
        [dropconnect_moments, dropconnect],
        "all 256 masks with their probabilities",
        "8 inputs, 3 units, rate 0.3",
        "normwise",
        {"float32": 17 * 2.0**-23, "float64": 17 * 2.0**-52},  # as of any sum of eight products
        enumerated,
    ),
    Proof(
        [dropconnect_inference],
        "the mean of a rectified normal number, by scipy.stats",
        "50 inputs, 6 units, 4,000 samples; in standard errors",
        "absolute",
        4.0,
        sampled,
    ),
    Proof(
        [dropconnect_inference, dropconnect],
        "2,000 drawn masks and a ReLU, Monte Carlo",
        "200 inputs, 10 units; difference of the means in deviations of the pre-activation",
        "absolute",
        # Four standard errors of 2,000 draws.
        4 / np.sqrt(2000),
        masks_against_normal,
        dtypes=("float32",),
    ),
]

ONE = {"mask": np.array([[[True, False]]]), "rate": 0.5}
EDGES = [
    Edge(dropconnect, ([[1.0, 2.0]], [[3.0, 4.0]]), [[6.0]], "the kept weight counts twice", ONE),
    Edge(dropconnect, ([[1.0, nan]], [[3.0, 4.0]]), [[6.0]], "what meets a dropped weight is not read", ONE),
    Edge(
        dropconnect,
        ([[1.0, 2.0]], [[3.0, 4.0]], [0.5]),
        [[0.5]],
        "all weights dropped: the bias alone",
        {"mask": np.zeros((1, 1, 2), bool), "rate": 0.5},
    ),
    Edge(
        dropconnect_moments,
        ([[1.0, 2.0]], [[3.0, 4.0]]),
        ([[11.0]], [[0.0]]),
        "nothing dropped, no variance",
        {"rate": 0.0},
    ),
]

UNIT = np.array([[1.0, 1.0]]), np.array([[1.0, -1.0]])


def exact():
    masks = np.array(list(product((False, True), repeat=2)))[:, None]
    return float(relu(dropconnect(np.repeat(UNIT[0], 4, axis=0), UNIT[1], mask=masks, rate=0.5)).mean())


def normal():
    rng = np.random.default_rng(0)
    x = np.repeat(UNIT[0], 4000, axis=0)
    return float(dropconnect_inference(x, UNIT[1], activation=relu, rate=0.5, rng=rng, samples=2000).mean())


def mean_network():
    x, w = map(torch.from_numpy, UNIT)
    return float(torch.relu(torch.nn.functional.linear(x, torch.nn.functional.dropout(w, 0.5, training=False)))[0, 0])


def answers(y):
    return "the same output" if np.ptp(np.asarray(y)) == 0 else "two outputs"


def ours_twice():
    rng = np.random.default_rng(0)
    return answers(dropconnect(np.ones((2, 50)), np.ones((1, 50)), mask=dropout_mask((2, 1, 50), 0.5, rng), rate=0.5))


def torch_twice():
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    y = torch.nn.functional.linear(torch.ones(2, 50), torch.nn.functional.dropout(torch.ones(1, 50), 0.5))
    torch.random.set_rng_state(state)
    return answers(y)


CONVENTIONS = [
    Convention(
        "dropconnect",
        "dropconnect-prediction",
        "What is predicted",
        "a ReLU unit with inputs 1, 1, weights 1, -1 and rate 0.5",
        [
            Row("over all four masks", "the mean of the outputs", "0.50", exact, "{:.2f}"),
            Row("dlref", "`dropconnect_inference`: a matched normal law", "0.56", normal, "{:.2f}", "dlref"),
            Row(
                "PyTorch",
                "`dropout` of the weights, then `eval`: the mean weights",
                "0.00",
                mean_network,
                "{:.2f}",
                "torch",
            ),
        ],
    ),
    Convention(
        "dropconnect",
        "dropconnect-mask",
        "Whether each example has its own mask",
        "the same input twice in one batch, in training",
        [
            Row("the paper", "one mask an example", "two outputs", source="wan2013regularization"),
            Row("dlref", "one mask an example", "two outputs", ours_twice, package="dlref"),
            Row(
                "PyTorch", "`dropout` of the weights: one mask a batch", "the same output", torch_twice, package="torch"
            ),
        ],
    ),
]


def batch(dtype):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(64, 256)).astype(dtype), rng.normal(size=(128, 256)).astype(dtype)
    mask = dropout_mask((64, 128, 256), 0.5, rng)
    return x, w, mask, torch.from_numpy(x), torch.from_numpy(w), torch.from_numpy(mask)


def thunks(dtype):
    x, w, mask, tx, tw, tmask = batch(dtype)
    return lambda: dropconnect(x, w, mask=mask, rate=0.5), lambda: torch.einsum("nd,nod->no", tx, tw * tmask * 2)


def backward_thunks(dtype):
    x, w, mask, tx, tw, tmask = batch(dtype)
    dy = dropconnect(x, w, mask=mask, rate=0.5)
    tdy = torch.from_numpy(dy)

    def theirs():
        kept = tw * tmask * 2
        return torch.einsum("no,nod->nd", tdy, kept), torch.einsum("no,nod,nd->od", tdy, tmask * tw.new_tensor(2), tx)

    return lambda: dropconnect_backward(dy, x, w, mask=mask, rate=0.5), theirs


def moments_thunks(dtype):
    x, w, _, tx, tw, _ = batch(dtype)
    return lambda: dropconnect_moments(x, w, rate=0.5), lambda: (tx @ tw.T, (tx * tx) @ (tw * tw).T)


def inference_thunks(dtype):
    x, w, _, tx, tw, _ = batch(dtype)
    rng = np.random.default_rng(1)

    def theirs():
        mean, std, total = tx @ tw.T, torch.sqrt((tx * tx) @ (tw * tw).T), 0
        for _ in range(20):
            total = total + torch.relu(mean + std * torch.randn_like(mean))
        return total / 20

    return lambda: dropconnect_inference(x, w, activation=relu, rate=0.5, rng=rng, samples=20), theirs


BENCH = [
    Bench("layers.dropconnect_inference", "the same lines in PyTorch", "64 × 256 to 128, 20 draws", inference_thunks),
    Bench("layers.dropconnect_moments", "the same lines in PyTorch", "64 × 256 to 128", moments_thunks),
    Bench("layers.dropconnect", "masked einsum in PyTorch", "64 × 256 to 128", thunks, aim=2.0),
    Bench("layers.dropconnect_backward", "masked einsums in PyTorch", "64 × 256 to 128", backward_thunks, aim=2.0),
]
