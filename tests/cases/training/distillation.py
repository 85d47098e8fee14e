"""Distillation: kl_div of PyTorch, the limit of a high temperature, and the divergence to fifty digits."""

import warnings

import mpmath
import numpy as np
import torch
import torch.nn.functional as F

from dlref.activations import relu
from dlref.optimizers import adam, adam_state
from dlref.training import (
    distillation_loss,
    distillation_loss_backward,
    distillation_objective,
    distillation_objective_backward,
    fit,
    logit_matching,
    logit_matching_backward,
)
from tests.bounds import TRAINED, Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.oracles import from_torch

inf, nan = np.inf, np.nan
TEACHER = np.random.default_rng(0).normal(size=(4, 7)) * 3
TARGET = np.array([3, 0, 6, 2])


def student(rng):
    return (3 * rng.normal(size=(4, 7)),)


def torch_divergence(z, teacher, temperature):
    log_p, q = F.log_softmax(z / temperature, 1), F.softmax(teacher / temperature, 1)
    return F.kl_div(log_p, q, reduction="batchmean") * temperature**2


def torch_objective(z, teacher, target, temperature, mix):
    return (1 - mix) * F.cross_entropy(z, target) + mix * torch_divergence(z, teacher, temperature)


def variance(z, teacher):
    return np.var(z - teacher, axis=1).mean() / 2


CASES = [
    Case(
        distillation_loss,
        student,
        "torch.nn.functional.kl_div, batchmean, times T squared",
        from_torch(torch_divergence),
        kwargs={"teacher": TEACHER, "temperature": 2.5},
        bound=Normwise(7),
        gradient_bound=Normwise(7, 4.0),  # a difference of two probabilities
        refuses=[
            (
                ([[1.0, 2.0]], [[1.0]]),
                {},
                ValueError,
                r"teacher: expected the shape of student, \(1, 2\), got \(1, 1\)",
            ),
            (([[1.0]], [[1.0]], 0.0), {}, ValueError, r"temperature: expected a number in \(0, inf\], got 0"),
            ((np.ones((2, 0)), np.ones((2, 0))), {}, ValueError, "student: expected at least one class, got none"),
        ],
    ),
    Case(
        distillation_objective,
        student,
        "torch.nn.functional.cross_entropy and kl_div",
        from_torch(torch_objective),
        kwargs={"teacher": TEACHER, "target": TARGET, "temperature": 4.0, "mix": 0.3},
        bound=Normwise(7),
        gradient_bound=Normwise(7, 4.0),
        refuses=[
            (([[1.0]], [[1.0]], [1]), {}, ValueError, "target: expected integers from 0 to 0, got 1"),
            (([[1.0]], [[1.0]], [0], 1.0, 2.0), {}, ValueError, r"mix: expected a number in \[0, 1\], got 2"),
        ],
    ),
    Case(
        logit_matching,
        student,
        "numpy.var of the differences",
        variance,
        kwargs={"teacher": TEACHER},
        gradient=lambda z, teacher: torch_matching(z, teacher),
        bound=Normwise(28),
    ),
]


def digits(dtype):
    """Against mpmath, for temperatures at which the divergence itself is tiny or huge."""
    rng, worst, count = np.random.default_rng(1), 0.0, 0
    for temperature in (0.05, 1.0, 100.0, 1e4):
        z, v = (4 * rng.normal(size=(3, 5)).astype(dtype) for _ in range(2))
        want = []
        with mpmath.workdps(60):
            for a, b in zip(z.tolist(), v.tolist(), strict=True):
                p, q = ([mpmath.exp(mpmath.mpf(x) / temperature) for x in row] for row in (a, b))
                log_p, log_q = ([mpmath.log(x / sum(row)) for x in row] for row in (p, q))
                want.append(sum(mpmath.exp(k) * (k - i) for i, k in zip(log_p, log_q, strict=True)) * temperature**2)
            mean = float(sum(want) / 3)
        worst = max(worst, abs(float(distillation_loss(z, v, temperature)) / mean - 1))
        count += 15
    return worst, count


def limit(dtype):
    """At a temperature of a million the gradient is that of centered logits."""
    rng = np.random.default_rng(1)
    z, v = rng.normal(size=(2, 6, 9)).astype(dtype)
    d = z.astype(float) - v
    want = (d - d.mean(axis=1, keepdims=True)) / d.size
    return abs(distillation_loss_backward(dtype(1), z, v, 1e6) - want).max() / abs(want).max(), d.size


def student_as_in_torch(dtype):
    """Train a student of one hidden layer for ten steps on labels and teacher."""
    rng = np.random.default_rng(2)
    x, v, y = rng.normal(size=(12, 6)), 3 * rng.normal(size=(12, 4)), rng.integers(0, 4, 12)
    start = [rng.normal(size=s) / 2 for s in ((5, 6), (4, 5))]

    def loss(params, x, v, y):
        return distillation_objective(relu(x @ params[0].T) @ params[1].T, v, y, 4.0, 0.7)

    options = {"lr": 0.05, "epochs": 10, "batch_size": 12, "rng": None}
    got = fit(loss, start, (x, v, y), adam, adam_state, **options).params
    tx, tv, ty, *leaves = map(torch.tensor, (x, v, y, *start))
    peer = torch.optim.Adam([leaf.requires_grad_() for leaf in leaves], lr=0.05)
    for _ in range(10):
        peer.zero_grad()
        torch_objective(torch.relu(tx @ leaves[0].T) @ leaves[1].T, tv, ty, 4.0, 0.7).backward()
        peer.step()
    pairs = [(p, t.detach().numpy()) for p, t in zip(got, leaves, strict=True)]
    return max(abs(p - t).max() / abs(t).max() for p, t in pairs), 50


PROOFS = [
    Proof(
        [distillation_objective],
        "ten steps of a student in PyTorch",
        "6-5-4, 12 examples, T = 4, mix 0.7, Adam",
        "normwise",
        TRAINED,
        student_as_in_torch,
        dtypes=("float64",),
    ),
    Proof(
        [distillation_loss],
        "mpmath, 60 digits",
        "temperatures 0.05, 1, 100 and 10,000",
        "relative",
        {"float32": 40 * 2.0**-23, "float64": 40 * 2.0**-52},  # exponents of size 100 err by as many eps at T = 0.05
        digits,
    ),
    Proof(
        [distillation_loss_backward],
        "the limit: centered differences over N K",
        "temperature 1e6; the next term is smaller by that factor",
        "normwise",
        1e-5,
        limit,
        direction="backward",
    ),
]

EDGES = [
    Edge(distillation_loss, ([[1.0, 2.0]], [[1.0, 2.0]]), 0.0, "the same logits"),
    Edge(distillation_loss, ([[1.0, 2.0]], [[3.0, 4.0]]), 0.0, "a constant apart: the same prediction"),
    Edge(distillation_loss, ([[0.0, 1000.0]], [[1000.0, 0.0]]), 1000.0, "sure of the wrong class: no overflow"),
    Edge(distillation_loss, ([[nan, 0.0]], [[0.0, 0.0]]), nan, "passes through"),
    Edge(distillation_loss, (np.zeros((0, 2)), np.zeros((0, 2))), nan, "a mean of nothing", input="no rows"),
]

Z, V = np.array([[1.0, -1.0, 0.5]]), np.array([[2.0, 0.0, -1.0]])


def share(temperature, scaled):
    """The norm of the soft gradient over that of the hard one."""
    soft = distillation_loss_backward(1.0, Z, V, temperature) / (1 if scaled else temperature**2)
    p = np.exp(Z - Z.max())
    hard = p / p.sum() - [[1.0, 0.0, 0.0]]
    return float(np.linalg.norm(soft) / np.linalg.norm(hard))


def torch_mean(reduction):
    log_p, q = (f(torch.from_numpy(np.repeat(x, 2, axis=0)), 1) for f, x in ((F.log_softmax, Z), (F.softmax, V)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch itself warns of the default
        return float(F.kl_div(log_p, q, reduction=reduction))


CONVENTIONS = [
    Convention(
        "knowledge-distillation",
        "distillation-scale",
        "Whether the soft loss is multiplied by the temperature squared",
        "three classes, one example: the length of the soft gradient over that of the hard one at T = 20",
        [
            Row("the paper, dlref", "$T^2 \\operatorname{KL}$", "1.21", lambda: share(20.0, True), "{:.2f}", "dlref"),
            Row("left out", "$\\operatorname{KL}$", "0.0030", lambda: share(20.0, False), "{:.4f}"),
        ],
    ),
    Convention(
        "knowledge-distillation",
        "distillation-mean",
        "What a mean is taken over",
        "the loss of two equal rows of three logits, T = 1",
        [
            Row(
                "dlref",
                "over rows",
                "0.2801",
                lambda: float(distillation_loss(np.repeat(Z, 2, 0), np.repeat(V, 2, 0))),
                "{:.4f}",
                "dlref",
            ),
            Row(
                "PyTorch",
                '`kl_div`, `reduction="batchmean"`: over rows',
                "0.2801",
                lambda: torch_mean("batchmean"),
                "{:.4f}",
                "torch",
            ),
            Row(
                "PyTorch",
                "`kl_div`, the default: over rows and classes",
                "0.0934",
                lambda: torch_mean("mean"),
                "{:.4f}",
                "torch",
            ),
        ],
    ),
]


def torch_matching(z, teacher):
    return torch.var(z - teacher, 1, correction=0).mean() / 2


def thunks(function, backward, theirs, labels=False, constants=()):
    """Return what makes the pair of a loss and that of its gradient, which PyTorch takes from a graph it has."""

    def arguments(dtype):
        rng = np.random.default_rng(0)
        (z, v), y = rng.normal(size=(2, 128, 1000)).astype(dtype), rng.integers(0, 1000, 128)
        ours = (z, v, y)[: 2 + labels]
        return ours, tuple(map(torch.from_numpy, ours))

    def forwards(dtype):
        ours, tensors = arguments(dtype)
        return lambda: function(*ours, *constants), lambda: theirs(*tensors, *constants)

    def backwards(dtype):
        ours, (leaf, *others) = arguments(dtype)
        loss, one = theirs(leaf.requires_grad_(), *others, *constants), np.ones((), dtype)
        return lambda: backward(one, *ours, *constants), lambda: torch.autograd.grad(loss, leaf, retain_graph=True)

    return forwards, backwards


BENCH = [
    Bench(f"training.{function.__name__}{suffix}", words + end, "128 × 1,000", make)
    for function, backward, words, theirs, *rest in (
        (
            distillation_loss,
            distillation_loss_backward,
            "log_softmax, softmax and kl_div in PyTorch",
            torch_divergence,
            False,
            (4.0,),
        ),
        (
            distillation_objective,
            distillation_objective_backward,
            "kl_div and cross_entropy in PyTorch",
            torch_objective,
            True,
            (4.0, 0.5),
        ),
        (logit_matching, logit_matching_backward, "torch.var of the differences", torch_matching),
    )
    for suffix, end, make in zip(
        ("", "_backward"), ("", ", autograd"), thunks(function, backward, theirs, *rest), strict=True
    )
]
