"""Hinge losses of one score and of several."""

import numpy as np
import sklearn.metrics
import torch
import torch.nn.functional as F

from dlref.losses import (
    crammer_singer_loss,
    crammer_singer_loss_backward,
    hinge_loss,
    hinge_loss_backward,
    squared_hinge_loss,
    squared_hinge_loss_backward,
    weston_watkins_loss,
    weston_watkins_loss_backward,
)
from tests.bounds import ULP, Normwise
from tests.cases import Bench, Case, Convention, Edge, Row
from tests.oracles import from_mpfr, from_torch
from tests.sweeps import exponents, rows

inf, nan = np.inf, np.nan
WEIGHT = np.array([0.5, 2.0, 1.0, 0.25, 3.0, 1.5, 0.75])


def signs(rng, shape):
    return rng.choice([-1.0, 1.0], shape)


def vector(rng):
    return rng.normal(size=7) * 2, signs(rng, 7)


def block(rng):
    return rng.normal(size=(5, 3, 7)) * 2, signs(rng, (5, 3, 7))


def scattered(rng, dtype):
    f = exponents(count=20_000, dtype=dtype)
    return f, np.tile([-1.0, 1.0], len(f) // 2)


def classes(rng):
    return rng.normal(size=(7, 5)) * 2, rng.integers(0, 5, 7)


def row(rng, length, mean):
    return rng.normal(size=(2, length)) + mean, rng.integers(0, length, 2)


def reduced(losses, weight, reduction):
    losses = losses if weight is None else losses * weight
    count = losses.numel() if weight is None else weight.expand_as(losses).sum()
    return {"none": losses, "sum": losses.sum(), "mean": losses.sum() / count}[reduction]


def torch_hinge(f, y, weight=None, reduction="mean"):
    return reduced(torch.relu(1 - y.to(f.dtype) * f), weight, reduction)


def torch_squared_hinge(f, y, weight=None, reduction="mean"):
    return reduced(torch.relu(1 - y.to(f.dtype) * f) ** 2, weight, reduction)


def torch_crammer_singer(x, y, weight=None, reduction="mean"):
    truth = F.one_hot(y, x.shape[-1]).bool()
    rival = x.masked_fill(truth, -inf).amax(-1)
    return reduced(torch.relu(1 + rival - (x * truth).sum(-1)), weight, reduction)


def torch_weston_watkins(x, y, weight=None, reduction="mean"):
    losses = F.multi_margin_loss(x, y, reduction="none") * x.shape[-1]
    return reduced(losses, weight, reduction)


def sklearn_hinge(f, y, weight=None):
    return sklearn.metrics.hinge_loss(y, f, sample_weight=weight)


def sklearn_classes(x, y, weight=None):
    return sklearn.metrics.hinge_loss(y, x, labels=np.arange(x.shape[1]), sample_weight=weight)


def every_rival(x, y, weight=None, reduction="mean"):
    """For the gradient: multi_margin_loss adds up that of the truth term by term, off by 2e-12 at 100,000 classes."""
    own = x.gather(-1, y[..., None])
    return reduced(torch.relu(1 + x - own).sum(-1) - 1, weight, reduction)


SKLEARN = "sklearn.metrics.hinge_loss"
MULTI = "torch.nn.functional.multi_margin_loss times K"
OVER_ALL = "20,000 points over all exponents, both signs"
X = [[0.5, 1.0, 1.5]]

CASES = [
    Case(
        hinge_loss,
        vector,
        SKLEARN,
        sklearn_hinge,
        bound=Normwise(7),
        gradient=torch_hinge,
        refuses=[
            (([0.5, 0.5], [1, 0]), {}, ValueError, "^target: expected labels -1 and 1, got 0$"),
            (([0.5], [2.0]), {}, ValueError, "^target: expected labels -1 and 1, got 2$"),
            (([0.5], [nan]), {}, ValueError, "^target: expected labels -1 and 1, got nan$"),
            (([0.5], [True]), {}, TypeError, "^target: expected float32, float64 or integers, got bool$"),
            (([0.5], [[1]]), {}, ValueError, r"target: expected the shape of score, \(1,\), got \(1, 1\)"),
            (([0.5], [1]), {"weight": [1.0, 2.0]}, ValueError, r"weight: expected a shape that broadcasts to \(1,\)"),
            (([0.5], [1]), {"reduction": "average"}, ValueError, "reduction: expected one of 'mean', 'sum', 'none'"),
        ],
        label="mean",
    ),
    Case(
        hinge_loss,
        vector,
        SKLEARN,
        sklearn_hinge,
        kwargs={"weight": WEIGHT},
        bound=Normwise(7),
        gradient=torch_hinge,
        label="weights, mean",
    ),
    Case(
        hinge_loss,
        block,
        "MPFR, 200 bits",
        from_mpfr(lambda f, y, **_: max(0, 1 - y * f)),
        kwargs={"reduction": "none"},
        sweep={OVER_ALL: scattered},
        bound=ULP(1),
        gradient=torch_hinge,
        gradient_bound=ULP(1),
        label="none",
    ),
    Case(
        squared_hinge_loss,
        block,
        "torch, the formula",
        from_torch(torch_squared_hinge),
        kwargs={"weight": WEIGHT},
        bound=Normwise(105),
        refuses=[(([0.5], [0]), {}, ValueError, "^target: expected labels -1 and 1, got 0$")],
        label="weights, mean",
    ),
    Case(
        squared_hinge_loss,
        block,
        "MPFR, 200 bits",
        from_mpfr(lambda f, y, **_: max(0, 1 - y * f) ** 2),
        kwargs={"reduction": "none"},
        sweep={OVER_ALL: scattered},
        bound=ULP(4),
        label="none",
    ),
    Case(
        crammer_singer_loss,
        classes,
        SKLEARN,
        sklearn_classes,
        bound=Normwise(7),
        gradient=torch_crammer_singer,
        sweep={"length 1,000": lambda rng, dtype: row(rng, 1000, 0.0)},
        refuses=[
            ((X, [3]), {}, ValueError, "target: expected integers from 0 to 2, got 3"),
            ((X, [-1]), {}, ValueError, "^target: .* from 0 to 2, got -1$"),
            ((X, [0, 1]), {}, ValueError, r"target: expected shape \(1,\), got \(2,\)"),
            (([X], [0]), {}, ValueError, r"scores: expected shape \(N, K\) or \(K,\), got \(1, 1, 3\)"),
            ((np.zeros((2, 0)), [0, 0]), {}, ValueError, "scores: expected at least one class, got none"),
        ],
        label="mean",
    ),
    Case(
        crammer_singer_loss,
        classes,
        SKLEARN,
        sklearn_classes,
        kwargs={"weight": WEIGHT},
        bound=Normwise(7),
        gradient=torch_crammer_singer,
        label="weights, mean",
    ),
    Case(
        crammer_singer_loss,
        classes,
        "torch, the formula",
        from_torch(torch_crammer_singer),
        kwargs={"reduction": "none"},
        sweep=rows(row, lengths=(2, 7, 1000, 100_000)),
        bound=Normwise(1),
        label="none",
    ),
    Case(
        weston_watkins_loss,
        classes,
        MULTI,
        from_torch(torch_weston_watkins),
        sweep=rows(row, lengths=(2, 7, 1000, 100_000)),
        bound=Normwise(lambda x, *_: x.size),
        gradient=every_rival,
        label="mean",
    ),
    Case(
        weston_watkins_loss,
        classes,
        MULTI,
        from_torch(torch_weston_watkins),
        kwargs={"weight": WEIGHT},
        bound=Normwise(35),
        label="weights, mean",
    ),
    Case(
        weston_watkins_loss,
        lambda rng: (rng.normal(size=7) * 2, np.array(4)),
        MULTI,
        from_torch(torch_weston_watkins),
        bound=Normwise(7),
        kwargs={"reduction": "sum"},
        layouts=False,  # a label alone has none
        label="(K,), sum",
    ),
]

EDGES = [
    Edge(hinge_loss, ([1.0], [1]), 0.0, "the margin itself: the first score that is free"),
    Edge(hinge_loss, ([0.0], [1]), 1.0, "on the boundary, where the error count jumps"),
    Edge(hinge_loss, ([inf], [1]), 0.0, "right beyond measure"),
    Edge(hinge_loss, ([inf], [-1]), inf, "wrong beyond measure"),
    Edge(hinge_loss, ([nan], [1]), nan, "passes through"),
    Edge(hinge_loss, ([0.5], [0]), ValueError, "a label 0 is refused"),
    Edge(hinge_loss, (np.zeros(0), np.zeros(0)), nan, "the mean over nothing", input="[], []"),
    Edge(hinge_loss_backward, (1.0, [1.0], [1]), [0.0], "the kink: zero is chosen"),
    Edge(hinge_loss_backward, (1.0, [-inf], [1]), [-1.0], "never stronger than one"),
    Edge(squared_hinge_loss_backward, (1.0, [-inf], [1]), [-inf], "no bound to the pull"),
    Edge(crammer_singer_loss, ([[5.0]], [0]), 0.0, "a single class has no rival"),
    Edge(crammer_singer_loss_backward, (1.0, [[0.0, 0.0, 0.0]], [0]), [[-1.0, 1.0, 0.0]], "the first of equal rivals"),
    Edge(weston_watkins_loss_backward, (1.0, [[0.0, 0.0, 0.0]], [0]), [[-2.0, 1.0, 1.0]], "all rivals"),
]


def slope(function):
    """The gradient of a torch expression of 1 - y f, at y f = 1."""
    z = torch.zeros((), requires_grad=True)
    function(z).backward()
    return f"{float(z.grad):g}"


def keras_slope():
    import keras

    f = torch.ones((1, 1), requires_grad=True)
    keras.losses.hinge(torch.ones((1, 1)), f).sum().backward()
    return f"{-float(f.grad):g}"


def keras_hinge(f, y):
    import keras

    return float(keras.losses.Hinge()(np.array([y], np.float32), np.array([f], np.float32)))


def keras_categorical(x, y):
    import keras

    return float(keras.losses.categorical_hinge(np.eye(len(x), dtype=np.float32)[[y]], np.array([x], np.float32))[0])


def refusal(*call):
    try:
        return hinge_loss(*call)
    except ValueError:
        return "ValueError"


def sklearn_equal():
    return float(sklearn.metrics.hinge_loss([0, 1, 2], [EQUAL] * 3))


def multi_margin(x, y):
    return float(F.multi_margin_loss(torch.tensor([x]), torch.tensor([y])))


ZERO_ONE = ([2.0, -0.5], [1, 0])
EQUAL = [-2.0, -2.0, -2.0]

CONVENTIONS = [
    Convention(
        "hinge-loss",
        "hinge-loss-kink",
        "The slope at the kink",
        "the slope of $\\max(0, z)$, $z = 1 - y f$, at $z = 0$; any number in $[0, 1]$ is right",
        [
            Row(
                "dlref",
                "`hinge_loss_backward`",
                "0",
                lambda: f"{abs(float(hinge_loss_backward(1.0, 1.0, 1))):g}",
                package="dlref",
            ),
            Row("PyTorch", "`relu(z)`", "0", lambda: slope(torch.relu), package="torch"),
            Row("PyTorch", "`clamp(z, min=0)`", "1", lambda: slope(lambda z: z.clamp(min=0)), package="torch"),
            Row(
                "PyTorch",
                "`maximum(z, 0)`: shared among the equal",
                "0.5",
                lambda: slope(lambda z: torch.maximum(z, torch.zeros(()))),
                package="torch",
            ),
            Row("Keras on PyTorch", "`hinge`, from `maximum`", "0.5", keras_slope, package="keras"),
        ],
    ),
    Convention(
        "hinge-loss",
        "hinge-loss-labels",
        "Labels 0 and 1",
        "the mean loss of the scores [2, -0.5] with the labels [1, 0]",
        [
            Row("dlref", "refused", "ValueError", lambda: refusal(*ZERO_ONE), package="dlref"),
            Row(
                "Keras on PyTorch",
                "if all are 0 or 1, 0 is read as -1",
                "0.25",
                lambda: keras_hinge(*ZERO_ONE),
                package="keras",
            ),
            Row(
                "scikit-learn",
                "any two labels; the larger is the positive one",
                "0.25",
                lambda: float(sklearn.metrics.hinge_loss(ZERO_ONE[1], ZERO_ONE[0])),
                package="scikit-learn",
            ),
            Row(
                "the bare formula",
                "a label 0 costs 1 whatever the score",
                "0.5",
                lambda: float(torch_hinge(*map(torch.tensor, ZERO_ONE))),
                package="torch",
            ),
        ],
    ),
    Convention(
        "hinge-loss",
        "hinge-loss-classes",
        "Several classes",
        "three equal scores of -2, any of them true",
        [
            Row(
                "dlref",
                "`crammer_singer_loss`: the strongest rival",
                "1.0",
                lambda: float(crammer_singer_loss(EQUAL, 0)),
                package="dlref",
            ),
            Row("scikit-learn", "`hinge_loss`: the same", "1.0", sklearn_equal, package="scikit-learn"),
            Row(
                "dlref",
                "`weston_watkins_loss`: the sum over rivals",
                "2.0",
                lambda: float(weston_watkins_loss(EQUAL, 0)),
                package="dlref",
            ),
            Row(
                "PyTorch",
                "`multi_margin_loss`: that sum divided by the number of classes",
                "0.6667",
                lambda: multi_margin(EQUAL, 0),
                "{:.4f}",
                "torch",
            ),
            Row(
                "Keras on PyTorch",
                "`categorical_hinge`: the strongest rival, but never below 0",
                "3.0",
                lambda: keras_categorical(EQUAL, 0),
                package="keras",
            ),
        ],
    ),
]


def thunks(ours, theirs, draw, gradient=False):
    def make(dtype):
        x, y = draw(np.random.default_rng(0))
        x = x.astype(dtype)
        y = y.astype(dtype) if y.dtype.kind == "f" else y
        leaf, target = torch.from_numpy(x), torch.from_numpy(y)
        if not gradient:
            return lambda: ours(x, y), lambda: theirs(leaf, target)
        leaf.requires_grad_()

        def peer():
            leaf.grad = None
            theirs(leaf, target).backward()

        return lambda: ours(x.dtype.type(1), x, y), peer

    return make


def many(rng):
    return rng.normal(size=100_000), signs(rng, 100_000)


def many_classes(rng):
    return rng.normal(size=(1024, 100)), rng.integers(0, 100, 1024)


BACK = " and backward(); ours the backward pass alone"

BENCH = [
    Bench("losses.hinge_loss", "torch, relu(1 - y f).mean()", "1e5", thunks(hinge_loss, torch_hinge, many), aim=1.0),
    Bench(
        "losses.hinge_loss_backward",
        "torch, relu(1 - y f).mean()" + BACK,
        "1e5",
        thunks(hinge_loss_backward, torch_hinge, many, True),
        aim=1.0,
    ),
    Bench(
        "losses.squared_hinge_loss",
        "torch, (relu(1 - y f) ** 2).mean()",
        "1e5",
        thunks(squared_hinge_loss, torch_squared_hinge, many),
        aim=1.0,
    ),
    Bench(
        "losses.squared_hinge_loss_backward",
        "torch, (relu(1 - y f) ** 2).mean()" + BACK,
        "1e5",
        thunks(squared_hinge_loss_backward, torch_squared_hinge, many, True),
        aim=1.0,
    ),
    Bench(
        "losses.crammer_singer_loss",
        "torch, masked amax",
        "1024 x 100",
        thunks(crammer_singer_loss, torch_crammer_singer, many_classes),
        aim=1.0,
    ),
    Bench(
        "losses.crammer_singer_loss_backward",
        "torch, masked amax" + BACK,
        "1024 x 100",
        thunks(crammer_singer_loss_backward, torch_crammer_singer, many_classes, True),
        aim=1.0,
    ),
    Bench(
        "losses.weston_watkins_loss",
        "torch.nn.functional.multi_margin_loss",
        "1024 x 100",
        thunks(weston_watkins_loss, F.multi_margin_loss, many_classes),
        aim=1.0,
    ),
    Bench(
        "losses.weston_watkins_loss_backward",
        "torch.nn.functional.multi_margin_loss" + BACK,
        "1024 x 100",
        thunks(weston_watkins_loss_backward, F.multi_margin_loss, many_classes, True),
        aim=1.0,
    ),
]
