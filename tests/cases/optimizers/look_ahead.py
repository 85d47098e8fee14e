"""Nesterov's momentum: the forms of the frameworks, the form that looks ahead, and the two theorems."""

import numpy as np
import torch

from dlref.optimizers import (
    MomentumState,
    VelocityState,
    momentum_state,
    momentum_velocity,
    nesterov,
    nesterov_look_ahead,
    nesterov_look_back,
    nesterov_radius,
    nesterov_velocity,
    velocity_state,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.cases.optimizers.heavy_ball import (
    DROP,
    EPS,
    SGD,
    changing,
    curvatures,
    cycle_gradient,
    differences,
    gentle,
    in_place_thunks,
    keras_change,
    keras_changing,
    onnx_momentum,
    ours,
    torch_change,
    torch_changing,
)
from tests.trajectories import LANDSCAPES, keras_thunks, of, proof, with_keras, with_torch

inf, nan = np.inf, np.nan
TORCH, KERAS = "torch.optim.SGD(nesterov=True) of PyTorch", "keras.optimizers.SGD(nesterov=True)"
HALVED = "momentum 0.9, the rate halved every 20 steps"
AHEAD = {"momentum": 0.9, "nesterov": True}

PROOFS = [
    proof([nesterov], of(nesterov, momentum_state), with_torch(SGD, **AHEAD), TORCH, "momentum 0.9", gentle),
    proof(
        [nesterov],
        of(nesterov, momentum_state, momentum=0.5, weight_decay=0.1),
        with_torch(SGD, momentum=0.5, nesterov=True, weight_decay=0.1),
        TORCH,
        "momentum 0.5, L2 penalty 0.1",
        gentle,
    ),
    proof([nesterov], changing(nesterov, momentum_state), torch_changing(**AHEAD), TORCH, HALVED, gentle),
    proof(
        [nesterov_velocity],
        of(nesterov_velocity, velocity_state, weight_decay=0.1),
        with_torch(SGD, weight_decay=0.1, **AHEAD),
        TORCH,
        "momentum 0.9, L2 penalty 0.1, one rate",
        gentle,
    ),
    proof(
        [nesterov_velocity],
        of(nesterov_velocity, velocity_state),
        with_keras("SGD", **AHEAD),
        KERAS,
        "momentum 0.9",
        gentle,
    ),
    proof(
        [nesterov_velocity],
        changing(nesterov_velocity, velocity_state),
        keras_changing(**AHEAD),
        KERAS,
        HALVED,
        gentle,
    ),
]


def two_forms(dtype):
    """Both forms on every landscape, the rate halved every 20 steps: the shifted path is the path."""
    worst, count = 0.0, 0
    for landscape in LANDSCAPES:
        theta = p = landscape.start.astype(dtype)
        state, shifted = velocity_state(p), velocity_state(p)
        pairs = []
        for t in range(100):
            lr = gentle(landscape) * 0.5 ** (t // 20)
            ahead = nesterov_look_ahead(theta, state)
            theta, state = momentum_velocity(theta, landscape.gradient(ahead.astype(float)).astype(dtype), state, lr)
            p, shifted = nesterov_velocity(p, landscape.gradient(p.astype(float)).astype(dtype), shifted, lr)
            pairs.append((theta, nesterov_look_back(p, shifted)))
            pairs.append((nesterov_look_ahead(theta, state), p))
        a, b = np.array(pairs, float).swapaxes(0, 1)
        worst, count = max(worst, np.abs(a - b).max() / np.abs(a).max()), count + b.size
    return worst, count


def sublinear(dtype):
    """The gap by its bound 2 L |x0 - x*|^2 / (t + 1)^2, momentum (t - 1) / (t + 2), on quadratics down to zero."""
    worst, count = 0.0, 0
    for curvature in (np.logspace(-8, 0, 60), np.linspace(0, 1, 50), (1 - np.cos(np.arange(200) * np.pi / 200)) / 2):
        hessian, p = curvature.astype(dtype), np.ones(len(curvature), dtype)
        state, size = velocity_state(p), float(len(p))
        for t in range(1, 1001):
            mu = max(0.0, (t - 2) / (t + 1))
            p, state = momentum_velocity(p, hessian * nesterov_look_ahead(p, state, mu), state, 1.0, mu)
            gap = float(np.sum(curvature * p.astype(float) ** 2) / 2)
            worst, count = max(worst, gap * (t + 1) ** 2 / (2 * size)), count + 1
    return worst, count


def cycle_value(x):
    """The function whose gradient is `cycle_gradient`, 0 at its minimum."""
    return 12.5 * x * x if x < 1 else 0.5 * x * x + 24 * x - 12 if x < 2 else 12.5 * x * x - 24 * x + 36


def linear(dtype):
    """The gap by its bound (1 - 1/sqrt(k))^t times its start, on the function that sends momentum round in circles."""
    worst, count, mu = 0.0, 0, 2 / 3
    for start in np.linspace(-4, 4, 17):
        p = np.array([start], dtype)
        state = momentum_state(p)
        first = cycle_value(start) + start**2 / 2
        for t in range(1, 61):
            before = p
            p, state = nesterov(p, np.array([cycle_gradient(float(p[0]))], dtype), state, 1 / 25, mu)
            theta = float(before[0]) - cycle_gradient(float(before[0])) / 25
            if first > 0:
                worst, count = max(worst, cycle_value(theta) / (first * 0.8**t)), count + 1
    return worst, count


def in_place(dtype):
    """A step into its own arrays, or into others, gives the bits of the pure step."""
    return differences(((nesterov, momentum_state), (nesterov_velocity, velocity_state)), dtype)


PROOFS += [
    Proof(
        [nesterov_velocity, nesterov_look_ahead, nesterov_look_back],
        "the look-ahead form, mapped by p = theta + mu v and back",
        "100 steps on each landscape, the rate halved every 20 steps",
        "normwise",
        {name: 16 * eps for name, eps in EPS.items()},
        two_forms,
    ),
    Proof(
        [nesterov_look_ahead],
        "the bound of Su, Boyd & Candes 2016, theorem for momentum (t - 1)/(t + 2): gap by bound at most 1",
        "1,000 steps on three quadratics whose curvatures reach to zero",
        "gap",
        1.0,
        sublinear,
    ),
    Proof(
        [nesterov],
        "the bound (1 - 1/sqrt(k))^t for strongly convex functions: gap by bound at most 1",
        "60 steps from 17 starts on the function on which heavy-ball momentum cycles, k = 25",
        "gap",
        1.0,
        linear,
    ),
    Proof([nesterov, nesterov_velocity], "the pure step", "three steps written into out", "count", 0, in_place),
]


def torch_step(p, g, state, lr, momentum=0.9, weight_decay=0.0):
    """One step of PyTorch from any velocity, whose buffer is the velocity by minus the rate."""
    leaf = torch.nn.Parameter(torch.from_numpy(p.copy()))
    leaf.grad = torch.from_numpy(g)
    descent = SGD([leaf], lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=True)
    descent.state[leaf]["momentum_buffer"] = torch.from_numpy(state.v / -lr)
    descent.step()
    return leaf.detach().numpy(), -lr * descent.state[leaf]["momentum_buffer"].numpy(), state.t + 1


def companion_radius(curvature, lr, momentum=0.9):
    """The largest eigenvalue of the matrix that carries a place and a velocity to the next ones."""
    result = []
    for rest in 1 - lr * curvature.reshape(-1):
        step = np.array([[rest, momentum * rest], [rest - 1, momentum * rest]])
        result.append(np.abs(np.linalg.eigvals(step)).max())
    return np.reshape(result, curvature.shape)


def momentum_arguments(rng):
    p, g, b = rng.normal(size=(3, 5, 3, 7))
    return p, g, MomentumState(b, 4)


def velocity_arguments(rng):
    p, g, v = rng.normal(size=(3, 5, 3, 7))
    return p, g, VelocityState(v / 8, 4)


def place(rng):
    p, _, state = velocity_arguments(rng)
    return p, state


CASES = [
    Case(
        nesterov,
        momentum_arguments,
        "onnx.reference, Momentum(mode='nesterov')",
        onnx_momentum("nesterov"),
        kwargs={"lr": 0.25, "momentum": 0.75, "weight_decay": 0.125},
        bound=Normwise(1),
        refuses=[
            (([1.0], [1.0], velocity_state([1.0]), 0.1), {}, TypeError, "expected MomentumState, got VelocityState"),
            (([1.0], [[1.0]], momentum_state([1.0]), 0.1), {}, ValueError, "g: expected the shape of p"),
            (([1.0], [1.0], momentum_state([1.0]), 0.1), {"momentum": 1}, ValueError, "momentum: expected a number in"),
        ],
        label="one step",
    ),
    Case(
        nesterov_velocity,
        velocity_arguments,
        "torch.optim.SGD(nesterov=True) of PyTorch",
        torch_step,
        kwargs={"lr": 0.25, "momentum": 0.75, "weight_decay": 0.125},
        bound=Normwise(1),
        refuses=[
            (([1.0], [1.0], momentum_state([1.0]), 0.1), {}, TypeError, "expected VelocityState, got MomentumState")
        ],
        label="one step",
    ),
    Case(
        nesterov_look_ahead,
        place,
        "NumPy in float64",
        lambda p, state, momentum: p + momentum * state.v,
        kwargs={"momentum": 0.75},
        bound=Normwise(1),
        refuses=[
            (([1.0], momentum_state([1.0])), {}, TypeError, "state: expected VelocityState, got MomentumState"),
            (([1.0], velocity_state([1.0, 2.0])), {}, ValueError, "state.v: expected the shape of p"),
            (([1.0], velocity_state([1.0])), {"momentum": -0.1}, ValueError, "momentum: expected a number in"),
        ],
    ),
    Case(
        nesterov_look_back,
        place,
        "NumPy in float64",
        lambda p, state, momentum: p - momentum * state.v,
        kwargs={"momentum": 0.75},
        bound=Normwise(1),
        refuses=[(([1.0], velocity_state([1.0])), {"momentum": 1.0}, ValueError, "momentum: expected a number in")],
    ),
    Case(
        nesterov_radius,
        lambda rng: (rng.uniform(0.2, 3.0, size=(5, 3)),),
        "numpy.linalg.eigvals of the 2 x 2 matrix",
        companion_radius,
        kwargs={"lr": 0.75, "momentum": 0.5},
        sweep={"6,001 curvatures on both sides of every limit": curvatures},
        bound=Normwise(1),
        refuses=[(([1.0],), {"lr": nan}, ValueError, "lr: expected a number in")],
    ),
]


def at(p, g, b, t):
    return np.array(p), np.array(g), MomentumState(np.array(b), t)


LR = {"lr": 0.1}

EDGES = [
    Edge(
        nesterov,
        at([1.0], [1.0], [0.0], 0),
        ([0.81], [1.0], 1),
        "1 - 0.1 (1 + 0.9): the point ahead of the first step",
        LR,
        "p = 1, g = 1, first step",
        "p = 0.81",
    ),
    Edge(
        nesterov,
        at([1.0], [1.0], [2.0], 3),
        ([0.9], [1.0], 4),
        "plain descent, whatever the buffer holds",
        LR | {"momentum": 0.0},
        "p = 1, g = 1, b = 2, momentum 0",
        "p = 0.9",
    ),
    Edge(
        nesterov,
        at([1.0], [1.0], [inf], 3),
        ([-inf], [inf], 4),
        "an infinite buffer never decays",
        LR,
        "g = 1, b = inf",
        "p = -inf",
    ),
    Edge(nesterov, at([1.0], [nan], [0.0], 3), ([nan], [nan], 4), "NaN stays in the buffer", LR, "g = NaN", "p = NaN"),
    Edge(
        nesterov,
        at([], [], [], 0),
        (np.array([]), np.array([]), 1),
        "nothing to move; the step is counted",
        LR,
        "p = []",
        "p = [], t = 1",
    ),
    Edge(
        nesterov_radius,
        (np.array([0.0, 1.0, 1.5, -0.6, nan]),),
        np.array([1.0, 0.0, 1.0, 2.0, nan]),
        "flat, one step to the minimum, at the limit of stability, on a crest, unknown",
        {"lr": 1.0, "momentum": 0.5},
        "curvatures 0, 1, 1.5, -0.6, NaN; lr = 1, momentum 0.5",
        "1, 0, 1, 2, NaN",
    ),
]


def look_ahead_change(*gradients, rates):
    """The last change of the point ahead in the look-ahead form."""
    p, state = np.zeros(1), velocity_state([0.0])
    for g, lr in zip(gradients, rates, strict=True):
        before = nesterov_look_ahead(p, state)
        p, state = momentum_velocity(p, [g], state, lr)
    return float((nesterov_look_ahead(p, state) - before)[0])


CONVENTIONS = [
    Convention(
        "nesterov-momentum",
        "nesterov-first-step",
        "Which point is stored",
        "a parameter at 0 after the first step with g = 1, lr = 0.1, momentum 0.9",
        [
            Row(
                "dlref",
                r"`nesterov`: the point ahead, $\theta + \mu v$",
                "-0.19",
                lambda: ours(nesterov, momentum_state, 1.0),
                "{:.3g}",
                "dlref",
            ),
            Row(
                "PyTorch",
                "`SGD(nesterov=True)`: the same",
                "-0.19",
                lambda: torch_change(1.0, momentum=0.9, nesterov=True),
                "{:.3g}",
                "torch",
            ),
            Row(
                "Keras on PyTorch",
                "`SGD(nesterov=True)`: the same",
                "-0.19",
                lambda: keras_change(1.0, momentum=0.9, nesterov=True),
                "{:.3g}",
                "keras",
            ),
            Row(
                "dlref",
                r"`nesterov_look_ahead` and `momentum_velocity`: $\theta$ itself",
                "-0.1",
                lambda: ours(momentum_velocity, velocity_state, 1.0),
                "{:.3g}",
                "dlref",
            ),
            Row("Sutskever et al.", "the same", "-0.1", source="sutskever2013importance"),
        ],
    ),
    Convention(
        "nesterov-momentum",
        "nesterov-rate",
        "When the learning rate changes",
        "the change of the stored point in the second step, with g = 1 and then 0, lr = 1 and then 0.01, momentum 0.9",
        [
            Row(
                "PyTorch",
                r"`SGD(nesterov=True)`: $-\eta\,(g + \mu b)$, the new rate multiplies the whole past",
                "-0.0081",
                lambda: torch_change(1.0, 0.0, **AHEAD, **DROP),
                "{:.3g}",
                "torch",
            ),
            Row(
                "dlref",
                "`nesterov`: the same",
                "-0.0081",
                lambda: ours(nesterov, momentum_state, 1.0, 0.0, **DROP),
                "{:.3g}",
                "dlref",
            ),
            Row(
                "Keras on PyTorch",
                r"`SGD(nesterov=True)`: $\mu v - \eta g$",
                "-0.81",
                lambda: keras_change(1.0, 0.0, **AHEAD, **DROP),
                "{:.3g}",
                "keras",
            ),
            Row(
                "dlref",
                "`nesterov_velocity`: the same",
                "-0.81",
                lambda: ours(nesterov_velocity, velocity_state, 1.0, 0.0, **DROP),
                "{:.3g}",
                "dlref",
            ),
            Row(
                "dlref",
                "the look-ahead form, its point ahead",
                "-0.81",
                lambda: look_ahead_change(1.0, 0.0, **DROP),
                "{:.3g}",
                "dlref",
            ),
        ],
    ),
]


def shift_thunks(function, share):
    def make(dtype):
        p, v = np.random.default_rng(0).normal(size=(2, 100_000)).astype(dtype)
        state, tp, tv = VelocityState(v, 1), torch.from_numpy(p), torch.from_numpy(v)
        return lambda: function(p, state, 0.9), lambda: torch.add(tp, tv, alpha=share)

    return make


def radius_thunks(dtype):
    curvature = np.random.default_rng(0).uniform(0, 3, 100_000).astype(dtype)

    def theirs():
        rest = 1 - 0.5 * curvature
        gap = (1.9 * rest) ** 2 - 3.6 * rest
        return np.where(gap > 0, (1.9 * np.abs(rest) + np.sqrt(np.abs(gap))) / 2, np.sqrt(np.abs(0.9 * rest)))

    return lambda: nesterov_radius(curvature, 0.5), theirs


FUSED = "torch.optim.SGD(nesterov=True, fused=True), both in place"

BENCH = [
    Bench("optimizers.nesterov", FUSED, size, in_place_thunks(nesterov, momentum_state, int(float(size)), **AHEAD))
    for size in ("1e3", "1e5")
]
BENCH += [
    Bench("optimizers.nesterov", FUSED, "1e6", in_place_thunks(nesterov, momentum_state, 10**6, **AHEAD), aim=1.1)
]
BENCH += [
    Bench(
        "optimizers.nesterov_velocity",
        "keras.optimizers.SGD(momentum=0.9, nesterov=True) on PyTorch, both in place",
        "1e6",
        keras_thunks(nesterov_velocity, velocity_state, "SGD", momentum=0.9, nesterov=True),
        aim=1.0,
    )
]
BENCH += [
    Bench("optimizers.nesterov_look_ahead", "torch.add", "1e5", shift_thunks(nesterov_look_ahead, 0.9)),
    Bench("optimizers.nesterov_look_back", "torch.add", "1e5", shift_thunks(nesterov_look_back, -0.9)),
    Bench("optimizers.nesterov_radius", "the same in NumPy", "1e5", radius_thunks),
]
