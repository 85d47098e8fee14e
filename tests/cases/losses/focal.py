"""Focal loss against its formula, and against cross-entropy where it is one."""

import numpy as np
import torch

from dlref.losses import focal_loss, focal_loss_backward
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Row
from tests.oracles import from_torch


def scores(rng):
    return rng.normal(size=(31, 4)) * 3, rng.integers(0, 4, 31)


def sure(rng, dtype):
    """Examples that are right or wrong by up to 60: the probability of the truth rounds to 1, or is next to nothing."""
    x = np.zeros((200, 3))
    x[:, 1] = np.linspace(-60, 60, 200)
    return x, np.ones(200, int)


def formula(x, target, gamma=2.0, weight=None, reduction="mean"):
    x = x.astype(np.longdouble)
    difference = x - x[np.arange(len(x)), target][:, None]
    top = difference.max(1, keepdims=True)
    log_p = -(top[:, 0] + np.log(np.exp(difference - top).sum(1)))
    rest = np.exp(difference)
    rest[np.arange(len(x)), target] = 0
    q = rest.sum(1) / (1 + rest.sum(1))
    log_p = np.where(rest.sum(1) < 1, -np.log1p(rest.sum(1)), log_p)
    w = np.ones(x.shape[1]) if weight is None else weight
    loss = -w[target] * q**gamma * log_p
    if reduction == "none":
        return loss.astype(np.float64)
    return np.asarray(loss.sum() / (w[target].sum() if reduction == "mean" else 1), np.float64)


def expression(x, target, gamma=2.0, weight=None, reduction="mean"):
    w = torch.ones(x.shape[1], dtype=x.dtype) if weight is None else weight
    log_p = torch.log_softmax(x, 1)[torch.arange(len(x)), target]
    loss = -w[target] * (1 - log_p.exp()) ** gamma * log_p
    if reduction == "none":
        return loss
    return loss.sum() / (w[target].sum() if reduction == "mean" else 1)


def one_against_the_rest(x, target, gamma=2.0, weight=None, reduction="none"):
    """The same loss of the score's lead over all others together, which keeps its digits where the truth is certain."""
    own = torch.nn.functional.one_hot(target, x.shape[1]).bool()
    lead = x[own] - torch.logsumexp(x.masked_fill(own, -torch.inf), 1)
    return -(torch.sigmoid(-lead) ** gamma) * torch.nn.functional.logsigmoid(lead)


WEIGHT = np.array([0.5, 1.0, 3.0, 2.0])

CASES = [
    Case(
        focal_loss,
        scores,
        "the formula in longdouble",
        formula,
        kwargs={"gamma": 2.0, "weight": WEIGHT},
        gradient=expression,
        bound=Normwise(length=31),
        refuses=[
            (([[0.0, 1.0]], [2]), {}, ValueError, "target: expected integers from 0 to 1, got 2"),
            (([[0.0, 1.0]], [0], -1), {}, ValueError, r"gamma: expected a number in \[0, inf\), got -1"),
            (([[0.0, 1.0]], [0], 2, [1.0]), {}, ValueError, r"weight: expected shape \(2,\), got \(1,\)"),
        ],
    ),
    Case(
        focal_loss,
        scores,
        "the formula in longdouble",
        formula,
        kwargs={"gamma": 0.5, "reduction": "none"},
        sweep={"right and wrong by up to 60": sure},
        gradient=one_against_the_rest,
        bound=Normwise(length=31),
        label="gamma 0.5",
    ),
    Case(
        focal_loss,
        scores,
        "torch.nn.functional.cross_entropy",
        from_torch(lambda x, target, gamma, weight: torch.nn.functional.cross_entropy(x, target, weight)),
        kwargs={"gamma": 0.0, "weight": WEIGHT},
        bound=Normwise(length=31),
        label="gamma 0",
    ),
]

EDGES = [
    Edge(focal_loss, ([[0.0, 2000.0]], [1]), 0.0, "certain and right"),
    Edge(focal_loss, ([[0.0, 2000.0]], [0]), 2000.0, "certain and wrong: the whole cross-entropy"),
    Edge(focal_loss_backward, (1.0, [[0.0, 2000.0]], [0]), [[-1.0, 1.0]], "its whole pull: p log p is 0 at 0"),
    Edge(focal_loss, (np.zeros((0, 2)), np.zeros(0, int)), np.nan, "the mean over nothing", input="no example"),
]


def keras_focal(logit):
    import keras

    loss = keras.losses.CategoricalFocalCrossentropy(from_logits=True)
    return lambda: float(loss(np.array([[1.0, 0.0]]), np.array([[0.0, logit]])))


def ours(logit, **kwargs):
    return lambda: focal_loss([[0.0, logit]], [0], **kwargs)


CONVENTIONS = [
    Convention(
        "class-weighting",
        "focal-loss-defaults",
        "Focal loss with its defaults",
        "logits 0 and 40, the truth is the first",
        [
            Row("dlref", r"$\gamma = 2$, no class weight", "40.0000", ours(40.0), format="{:.4f}", package="dlref"),
            Row(
                "dlref",
                r"$\gamma = 2$ and weight 0.25, summed",
                "10.0000",
                ours(40.0, weight=[0.25, 0.25], reduction="sum"),
                format="{:.4f}",
                package="dlref",
            ),
            Row(
                "Keras on PyTorch",
                r"$\gamma = 2$, $\alpha = 0.25$, probabilities clipped at $10^{-7}$",
                "4.0295",
                keras_focal(40.0),
                format="{:.4f}",
                package="keras",
            ),
        ],
    )
]


def batch(dtype):
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(10_000, 10)).astype(dtype), rng.integers(0, 10, 10_000)
    return logits, target, torch.from_numpy(logits), torch.from_numpy(target)


def forward(dtype):
    logits, target, leaf, label = batch(dtype)
    return lambda: focal_loss(logits, target), lambda: expression(leaf, label)


def backward(dtype):
    logits, target, leaf, label = batch(dtype)
    loss, one = expression(leaf.requires_grad_(), label), np.ones((), dtype)
    return lambda: focal_loss_backward(one, logits, target), lambda: torch.autograd.grad(loss, leaf, retain_graph=True)


BENCH = [
    Bench("losses.focal_loss", "a torch expression", "10,000 x 10", forward),
    Bench("losses.focal_loss_backward", "torch, autograd", "10,000 x 10", backward),
]
