"""Gradient descent: the step, the best rate on a quadratic, batches, and what theory says about each."""

from fractions import Fraction

import numpy as np
import torch

from dlref.optimizers import SGDState, exact_rate, momentum_state, sgd, sgd_least_squares, sgd_state
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.cases.optimizers.heavy_ball import (
    EPS,
    SGD,
    changing,
    differences,
    gentle,
    in_place_thunks,
    keras_changing,
    torch_changing,
)
from tests.trajectories import LANDSCAPES, of, proof, with_keras, with_torch

inf, nan = np.inf, np.nan
TORCH, KERAS = "torch.optim.SGD of PyTorch", "keras.optimizers.SGD"
HALVED = "the rate halved every 20 steps"

PROOFS = [
    proof([sgd, sgd_state], of(sgd, sgd_state), with_torch(SGD), TORCH, "plain", gentle),
    proof([sgd], of(sgd, sgd_state, weight_decay=0.1), with_torch(SGD, weight_decay=0.1), TORCH, "decay 0.1", gentle),
    proof(
        [sgd],
        of(sgd, sgd_state, weight_decay=0.125),
        with_keras("SGD", weight_decay=0.125),
        KERAS,
        "decay 0.125",
        gentle,
    ),
    proof([sgd], changing(sgd, sgd_state), torch_changing(), TORCH, HALVED, gentle),
    proof([sgd], changing(sgd, sgd_state), keras_changing(), KERAS, HALVED, gentle),
]


def contraction(dtype):
    """On a diagonal quadratic every error is its start times a power of 1 - lr lambda."""
    curvature = np.array([0.0, 0.001, 0.03125, 0.5, 1.0, 1.5, 1.9375, 2.0, 2.125, -0.125], dtype)
    p, state, steps, got = np.ones(10, dtype), sgd_state([0.0]), np.arange(1, 51), []
    for _ in steps:
        p, state = sgd(p, curvature * p, state, 1.0)
        got.append(p)
    want = (1 - curvature.astype(float)) ** steps[:, None]
    return np.max(np.abs(got - want) / np.maximum(np.abs(want), 1)), want.size


def descent_lemma(dtype):
    """The largest value by which a step with a rate up to 2 / sharpness breaks the descent lemma; at most rounding."""
    rng, worst, count = np.random.default_rng(5), 0.0, 0
    landscape = LANDSCAPES[2]  # logistic regression, whose Hessian is largest at zero
    rng_x = np.random.default_rng(2)
    x = rng_x.normal(size=(30, 3)) * [1.0, 3.0, 0.3]
    y = (x @ [1.0, -0.5, 2.0] + rng_x.normal(size=30) > 0).astype(float)
    cost = lambda p: np.mean(np.logaddexp(0, x @ p) - y * (x @ p))  # noqa: E731
    for _ in range(200):
        p = rng.normal(size=3) * 3
        g = landscape.gradient(p)
        lr = rng.uniform(0, 2) / landscape.sharpness
        q = sgd(p.astype(dtype), g.astype(dtype), sgd_state(p), lr).p.astype(float)
        bound = cost(p) - lr * (1 - lr * landscape.sharpness / 2) * (g @ g)
        worst, count = max(worst, cost(q) - bound), count + 1
    return worst, count


def spectrum(size, low, high, seed):
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(size, size)))[0]
    return (turn * np.geomspace(low, high, size)) @ turn.T, turn


def line_search(dtype):
    """Along the gradient no rate is better; the next gradient is orthogonal; the gap shrinks as Kantorovich says."""
    worst, count = 0.0, 0
    for condition in (2.0, 10.0, 100.0):
        hessian, turn = spectrum(6, 1.0, condition, 3)
        factor = ((condition - 1) / (condition + 1)) ** 2
        ends = np.zeros(6)
        ends[[0, -1]] = condition, 1.0
        for start, equal in ((np.random.default_rng(4).normal(size=6), False), (turn @ ends, True)):
            p, state = start.astype(dtype), sgd_state(start)
            for _ in range(20):
                g = (hessian @ p.astype(float)).astype(dtype)
                lr = exact_rate(g, (hessian @ g.astype(float)).astype(dtype))
                q, state = sgd(p, g, state, lr)
                before, after = (v.astype(float) @ hessian @ v.astype(float) for v in (p, q))
                ahead = hessian @ q.astype(float)
                worst = max(worst, after / before - factor, abs(ahead @ g) / (g.astype(float) @ g) / condition)
                worst = max(worst, abs(after / before - factor)) if equal else worst
                p, count = q, count + 3
    return worst, count


def noise_floor(dtype):
    """The mean squared error in the long run by its closed form, Gaussian examples used once."""
    size, noise, worst, count = 8, 0.5, 0.0, 0
    for lr, batch in ((0.02, 1), (0.1, 1), (0.1, 4), (0.5, 16), (1.0, 64)):
        rng = np.random.default_rng(7)
        n = 4000 * batch * (5 if lr < 0.05 else 1)
        x = rng.normal(size=(n, size)).astype(dtype)
        y = (noise * rng.normal(size=n)).astype(dtype)
        path = sgd_least_squares(np.zeros(size, dtype), x, y, np.arange(n), lr, batch).astype(float)
        measured = (path[len(path) // 10 :] ** 2).sum(axis=1).mean()
        want = lr * noise**2 * size / batch / (2 - lr * (1 + (size + 1) / batch))
        worst, count = max(worst, abs(measured / want - 1)), count + len(path)
    return worst, count


def in_place(dtype):
    """A step into its own array, or into another, gives the bits of the pure step."""
    return differences(((sgd, sgd_state),), dtype)


PROOFS += [
    Proof(
        [sgd],
        "closed form: the powers of 1 - lr lambda",
        "50 steps at ten curvatures, from uphill over flat to past the limit of stability",
        "relative",
        {name: 512 * eps for name, eps in EPS.items()},
        contraction,
    ),
    Proof(
        [sgd],
        "the descent lemma, with the largest curvature of logistic regression",
        "200 starts, rates up to the limit of stability",
        "gap",
        {name: 64 * eps for name, eps in EPS.items()},
        descent_lemma,
    ),
    Proof(
        [exact_rate, sgd],
        "Kantorovich's factor, attained from the worst start; the next gradient is orthogonal",
        "20 steps on quadratics with condition numbers 2, 10 and 100",
        "gap",
        {name: 256 * eps for name, eps in EPS.items()},
        line_search,
    ),
    Proof(
        [sgd_least_squares],
        "closed form of the stationary mean squared error",
        "4,000 to 20,000 steps at five pairs of rate and batch",
        "relative",
        0.1,
        noise_floor,
    ),
    Proof([sgd], "the pure step", "three steps written into out", "count", 0, in_place),
]


def torch_step(p, g, state, lr, weight_decay=0.0):
    leaf = torch.nn.Parameter(torch.from_numpy(p.copy()))
    leaf.grad = torch.from_numpy(g)
    SGD([leaf], lr=lr, weight_decay=weight_decay).step()
    return leaf.detach().numpy(), state.t + 1


def torch_path(w, x, y, order, lr, batch=1, weight_decay=0.0):
    """Autograd, torch.optim.SGD and a DataLoader over the same order."""
    leaf = torch.nn.Parameter(torch.from_numpy(w.copy()))
    descent, places = SGD([leaf], lr=lr, weight_decay=weight_decay), []
    examples = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    for rows, targets in torch.utils.data.DataLoader(examples, batch_size=batch, sampler=order.tolist()):
        descent.zero_grad()
        (torch.nn.functional.mse_loss(rows @ leaf, targets) / 2).backward()
        descent.step()
        places.append(leaf.detach().numpy().copy())
    return np.array(places)


def fractions(g, hg):
    """The same quotient in rational numbers, rounded once."""
    a, b = ([Fraction(v) for v in array.reshape(-1).tolist()] for array in (g, hg))
    slope, bend = sum(u * u for u in a), sum(u * v for u, v in zip(a, b, strict=True))
    return np.float64(slope / bend)


def step_arguments(rng):
    p, g = rng.normal(size=(2, 5, 3, 7))
    return p, g, SGDState(4)


def quadratic_arguments(rng):
    g = rng.normal(size=(5, 3))
    return g, g * rng.uniform(0.5, 4, size=g.shape)


def sizes(rng, dtype):
    """Gradients of every size."""
    top = np.log10(float(np.finfo(dtype).max)) - 1
    g = np.concatenate([sign * np.logspace(-top, top, 50_000) for sign in (1, -1)])
    return np.zeros(g.size), g, sgd_state(g)


def regression_arguments(rng):
    x = rng.normal(size=(23, 5))
    return rng.normal(size=5), x, rng.normal(size=23), rng.permutation(23)


ONE = ([1.0], [1.0], sgd_state([1.0]))
DATA = ([0.0], [[1.0], [2.0]], [1.0, 2.0])

CASES = [
    Case(
        sgd,
        step_arguments,
        TORCH,
        torch_step,
        kwargs={"lr": 0.25, "weight_decay": 0.125},
        sweep={"100,000 gradients of every size": sizes},
        bound=Normwise(1),
        refuses=[
            (([1.0], [1.0, 2.0], ONE[2], 0.1), {}, ValueError, r"g: expected the shape of p, \(1,\), got \(2,\)"),
            (([1.0], [1.0], momentum_state([1.0]), 0.1), {}, TypeError, "expected SGDState, got MomentumState"),
            ((*ONE, -0.1), {}, ValueError, "lr: expected a number in"),
            ((*ONE, 0.1), {"weight_decay": inf}, ValueError, "weight_decay: expected a number in"),
            ((*ONE, 0.1), {"out": 3}, TypeError, "out: expected a pair of an array and of SGDState"),
        ],
        label="one step",
    ),
    Case(
        exact_rate,
        quadratic_arguments,
        "rational arithmetic of Python",
        fractions,
        bound=Normwise(15),
        refuses=[(([1.0], [1.0, 2.0]), {}, ValueError, "hg: expected the shape of g")],
    ),
    Case(
        sgd_least_squares,
        regression_arguments,
        "autograd, torch.optim.SGD and DataLoader of PyTorch",
        torch_path,
        kwargs={"lr": 0.25, "batch": 4, "weight_decay": 0.125},
        bound=Normwise(115),
        refuses=[
            ((*DATA, [2], 0.1), {}, ValueError, "order: expected integers from 0 to 1, got 2"),
            ((*DATA, [0.5], 0.1), {}, TypeError, "order: expected integers"),
            ((*DATA, [0], 0.1), {"batch": 0}, ValueError, "batch: expected an integer at least 1"),
            (([0.0, 0.0], *DATA[1:], [0], 0.1), {}, ValueError, "x: expected shape"),
            ((*DATA[:2], [1.0], [0], 0.1), {}, ValueError, "y: expected shape"),
        ],
        label="batches of 4, the last of 3",
    ),
    Case(
        sgd_least_squares,
        regression_arguments,
        "autograd, torch.optim.SGD and DataLoader of PyTorch",
        torch_path,
        kwargs={"lr": 0.03125},
        bound=Normwise(115),
        label="single examples",
    ),
]


def at(p, g):
    return np.array(p), np.array(g), SGDState(0)


LR = {"lr": 0.1}

EDGES = [
    Edge(sgd, at([1.0], [0.0]), ([1.0], 1), "a stationary point, of whatever kind", LR, "p = 1, g = 0", "p = 1"),
    Edge(
        sgd,
        at([1.0], [0.0]),
        ([0.95], 1),
        "the decay alone: 1 - 0.1 * 0.5",
        LR | {"weight_decay": 0.5},
        "p = 1, g = 0, weight decay 0.5",
        "p = 0.95",
    ),
    Edge(sgd, at([1.0], [inf]), ([-inf], 1), "no limit on the step", LR, "g = inf", "p = -inf"),
    Edge(sgd, at([1.0], [inf]), ([nan], 1), "0 times infinity", {"lr": 0.0}, "g = inf, lr = 0", "p = NaN"),
    Edge(sgd, at([], []), (np.array([]), 1), "nothing to move; the step is counted", LR, "p = []", "p = [], t = 1"),
    Edge(exact_rate, (np.zeros(2), np.zeros(2)), 0.0, "at a stationary point no step", {}, "g = 0", "0"),
    Edge(
        exact_rate,
        (np.array([1.0]), np.array([-1.0])),
        inf,
        "along the gradient the quadratic falls for ever",
        {},
        "g = 1, Hg = -1",
        "inf",
    ),
]


def torch_default():
    leaf = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    leaf.grad = torch.ones(1, dtype=torch.float64)
    SGD([leaf]).step()
    return leaf.item()


def keras_default():
    import keras

    variable = keras.Variable(np.zeros(1), dtype="float64")
    keras.optimizers.SGD().apply([keras.ops.convert_to_tensor([1.0], dtype="float64")], [variable])
    return float(variable.value.detach()[0])


def sklearn_weight(**options):
    """The weight after one example x = 1, y = 1."""
    from sklearn.linear_model import SGDRegressor

    model = SGDRegressor(fit_intercept=False, penalty=None, max_iter=1, tol=None, **options)
    return float(model.fit([[1.0]], [1.0]).coef_[0])


def torch_weight():
    leaf = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    torch.nn.MSELoss()(leaf * 1.0, torch.ones(1, dtype=torch.float64)).backward()
    SGD([leaf], lr=0.1).step()
    return leaf.item()


def keras_weight():
    import keras

    leaf = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    keras.losses.MeanSquaredError(dtype="float64")(torch.ones(1, dtype=torch.float64), leaf).backward()
    return float(-0.1 * leaf.grad[0])


CONVENTIONS = [
    Convention(
        "gradient-descent",
        "gradient-descent-factor",
        "What the loss is that the rate multiplies",
        "the weight after one step from 0 on the example x = 1, y = 1, squared error, lr = 0.1",
        [
            Row(
                "dlref",
                r"`sgd_least_squares`: $\frac12 (xw - y)^2$",
                "0.1",
                lambda: sgd_least_squares([0.0], [[1.0]], [1.0], [0], 0.1)[0, 0],
                "{:.3g}",
                "dlref",
            ),
            Row(
                "scikit-learn",
                "`SGDRegressor`: the same",
                "0.1",
                lambda: sklearn_weight(learning_rate="constant", eta0=0.1),
                "{:.3g}",
                "scikit-learn",
            ),
            Row("PyTorch", "`MSELoss`: $(xw - y)^2$", "0.2", torch_weight, "{:.3g}", "torch"),
            Row("Keras on PyTorch", "`MeanSquaredError`: the same", "0.2", keras_weight, "{:.3g}", "keras"),
        ],
    ),
    Convention(
        "gradient-descent",
        "gradient-descent-default",
        "The learning rate if none is given",
        "the change of a parameter in the first step, with g = 1 (scikit-learn: x = y = 1)",
        [
            Row("PyTorch", "`SGD()`: 0.001", "-0.001", torch_default, "{:.3g}", "torch"),
            Row("Keras on PyTorch", "`SGD()`: 0.01", "-0.01", keras_default, "{:.3g}", "keras"),
            Row(
                "scikit-learn",
                r"`SGDRegressor()`: $0.01 / t^{1/4}$",
                "-0.01",
                lambda: -sklearn_weight(),
                "{:.3g}",
                "scikit-learn",
            ),
        ],
    ),
]

FUSED = "torch.optim.SGD(fused=True), both in place"


def rate_thunks(dtype):
    g, hg = np.random.default_rng(0).normal(size=(2, 10**5)).astype(dtype)
    tg, th = torch.from_numpy(g), torch.from_numpy(hg)
    return lambda: exact_rate(g, hg), lambda: (torch.dot(tg, tg) / torch.dot(tg, th)).item()


def path_thunks(dtype):
    """One epoch of 1,000 steps with four examples each."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4000, 20)).astype(dtype), rng.normal(size=4000).astype(dtype)
    order = rng.permutation(4000)
    tx, ty, batches = torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(order).split(4)

    def theirs():
        w, path = torch.zeros(20, dtype=tx.dtype), []
        for rows in batches:
            w = w - 0.01 / len(rows) * (tx[rows].T @ (tx[rows] @ w - ty[rows]))
            path.append(w)
        return torch.stack(path)

    return lambda: sgd_least_squares(np.zeros(20, dtype), x, y, order, 0.01, 4), theirs


BENCH = [
    Bench("optimizers.sgd", FUSED, size, in_place_thunks(sgd, sgd_state, int(float(size)))) for size in ("1e3", "1e5")
]
BENCH += [Bench("optimizers.sgd", FUSED, "1e6", in_place_thunks(sgd, sgd_state, 10**6), aim=1.1)]
BENCH += [
    Bench("optimizers.exact_rate", "two dot products in torch", "1e5", rate_thunks),
    Bench("optimizers.sgd_least_squares", "a loop in torch", "1000 steps of 4 × 20", path_thunks, aim=1.0),
]
