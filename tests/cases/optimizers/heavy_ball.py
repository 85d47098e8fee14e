"""Momentum with the rate outside the sum and inside, its speed on quadratics, its cycle elsewhere."""

import math

import numpy as np
import torch

from dlref.optimizers import (
    MomentumState,
    VelocityState,
    momentum,
    momentum_radius,
    momentum_state,
    momentum_tuning,
    momentum_velocity,
    velocity_state,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.trajectories import keras_thunks, of, proof, with_keras, with_torch

inf, nan = np.inf, np.nan
SGD = torch.optim.SGD


def gentle(landscape):
    """The largest power of two that is a stable rate for plain descent at the start: exact in float32."""
    return 2.0 ** math.floor(math.log2(1 / landscape.sharpness))


def torch_proof(functions, step, words, **options):
    return proof(functions, step, with_torch(SGD, **options), "torch.optim.SGD of PyTorch", words, gentle)


def keras_proof(functions, step, words, **options):
    return proof(functions, step, with_keras("SGD", **options), "keras.optimizers.SGD", words, gentle)


def changing(step, first, **options):
    """A step whose rate halves every 20 steps."""
    return lambda p, g, state, lr: step(p, g, state := state or first(p), lr * 0.5 ** (state.t // 20), **options)


def torch_changing(**options):
    """The path of PyTorch under the same schedule."""

    def path(landscape, lr):
        p = torch.nn.Parameter(torch.from_numpy(landscape.start.copy()))
        descent, places = SGD([p], lr=lr, **options), []
        schedule = torch.optim.lr_scheduler.StepLR(descent, 20, 0.5)
        for _ in range(100):
            p.grad = torch.from_numpy(landscape.gradient(p.detach().numpy()))
            descent.step()
            schedule.step()
            places.append(p.detach().numpy().copy())
        return np.array(places)

    return path


def keras_changing(**options):
    """The path of Keras under the same schedule."""

    def path(landscape, lr):
        import keras

        rate = keras.optimizers.schedules.ExponentialDecay(lr, 20, 0.5, staircase=True)
        return with_keras("SGD", **options)(landscape, rate)

    return path


PROOFS = [
    torch_proof([momentum, momentum_state], of(momentum, momentum_state), "momentum 0.9", momentum=0.9),
    torch_proof(
        [momentum],
        of(momentum, momentum_state, momentum=0.75, dampening=0.5),
        "momentum 0.75, dampening 0.5",
        momentum=0.75,
        dampening=0.5,
    ),
    torch_proof(
        [momentum],
        of(momentum, momentum_state, weight_decay=0.1, dampening=0.9),
        "momentum 0.9, dampening 0.9, L2 penalty 0.1",
        momentum=0.9,
        dampening=0.9,
        weight_decay=0.1,
    ),
    torch_proof([momentum], of(momentum, momentum_state, momentum=0.0), "momentum 0"),
    torch_proof(
        [momentum_velocity],
        of(momentum_velocity, velocity_state, weight_decay=0.1),
        "momentum 0.9, L2 penalty 0.1, one rate",
        momentum=0.9,
        weight_decay=0.1,
    ),
    proof(
        [momentum],
        changing(momentum, momentum_state),
        torch_changing(momentum=0.9),
        "torch.optim.SGD of PyTorch",
        "momentum 0.9, the rate halved every 20 steps",
        gentle,
    ),
    proof(
        [momentum_velocity],
        changing(momentum_velocity, velocity_state),
        keras_changing(momentum=0.9),
        "keras.optimizers.SGD",
        "momentum 0.9, the rate halved every 20 steps",
        gentle,
    ),
    keras_proof(
        [momentum_velocity, velocity_state], of(momentum_velocity, velocity_state), "momentum 0.9", momentum=0.9
    ),
]


def onnx_momentum(mode="standard"):
    """The operator of ONNX, whose beta is one minus the dampening and whose T counts the steps before."""

    def want(p, g, state, lr, momentum=0.9, dampening=0.0, weight_decay=0.0):
        import onnx
        from onnx.reference import ReferenceEvaluator

        names, domain, double = ["R", "T", "X", "G", "V"], "ai.onnx.preview.training", onnx.TensorProto.DOUBLE
        value = onnx.helper.make_tensor_value_info
        options = {"alpha": momentum, "beta": 1.0 - dampening, "norm_coefficient": weight_decay, "mode": mode}
        node = onnx.helper.make_node("Momentum", names, ["x", "v"], domain=domain, **options)
        kinds = [double, onnx.TensorProto.INT64, double, double, double]
        ins = [value(name, kind, None) for name, kind in zip(names, kinds, strict=True)]
        graph = onnx.helper.make_graph([node], "momentum", ins, [value(name, double, None) for name in "xv"])
        imports = [onnx.helper.make_opsetid(domain, 1), onnx.helper.make_opsetid("", 20)]
        model = onnx.helper.make_model(graph, opset_imports=imports)
        inputs = zip(names, (lr, state.t, p, g, state.b), strict=True)
        return *ReferenceEvaluator(model).run(None, {n: np.asarray(v) for n, v in inputs}), state.t + 1

    return want


def torch_step(p, g, state, lr, momentum=0.9, weight_decay=0.0):
    """One step of PyTorch from any velocity, whose buffer is the velocity by minus the rate."""
    leaf = torch.nn.Parameter(torch.from_numpy(p.copy()))
    leaf.grad = torch.from_numpy(g)
    descent = SGD([leaf], lr=lr, momentum=momentum, weight_decay=weight_decay)
    descent.state[leaf]["momentum_buffer"] = torch.from_numpy(state.v / -lr)
    descent.step()
    return leaf.detach().numpy(), -lr * descent.state[leaf]["momentum_buffer"].numpy(), state.t + 1


def companion_radius(curvature, lr, momentum=0.9):
    """The largest eigenvalue of the matrix that carries two places to the next two."""
    result = []
    for pull in lr * curvature.reshape(-1):
        roots = np.linalg.eigvals(np.array([[1 + momentum - pull, -momentum], [1.0, 0.0]]))
        result.append(np.abs(roots).max())
    return np.reshape(result, curvature.shape)


def momentum_arguments(rng):
    p, g, b = rng.normal(size=(3, 5, 3, 7))
    return p, g, MomentumState(b, 4)


def velocity_arguments(rng):
    p, g, v = rng.normal(size=(3, 5, 3, 7))
    return p, g, VelocityState(v / 8, 4)


def sizes(rng, dtype):
    """Gradients of every size, from rest."""
    top = np.log10(float(np.finfo(dtype).max)) - 1
    g = np.concatenate([sign * np.logspace(-top, top, 50_000) for sign in (1, -1)])
    return np.zeros(g.size), g, momentum_state(g)


def curvatures(rng, dtype):
    """Eigenvalues on both sides of every limit, and far away."""
    return (np.concatenate([np.linspace(-4, 8, 4001), np.logspace(1, 6, 1000), -np.logspace(1, 6, 1000)]),)


FIRST = ([1.0], [1.0], momentum_state([1.0]))

CASES = [
    Case(
        momentum,
        momentum_arguments,
        "onnx.reference, Momentum",
        onnx_momentum(),
        kwargs={"lr": 0.25, "momentum": 0.75, "dampening": 0.5, "weight_decay": 0.125},
        sweep={"100,000 gradients of every size, the first step": sizes},
        bound=Normwise(1),
        refuses=[
            (([1.0], [1.0, 2.0], FIRST[2], 0.1), {}, ValueError, r"g: expected the shape of p, \(1,\), got \(2,\)"),
            (([1.0], [1.0], momentum_state([1.0, 2.0]), 0.1), {}, ValueError, "state.b: expected the shape of p"),
            ((*FIRST[:2], velocity_state([1.0]), 0.1), {}, TypeError, "expected MomentumState, got VelocityState"),
            ((*FIRST, -0.1), {}, ValueError, "lr: expected a number in"),
            ((*FIRST, 0.1), {"momentum": 1.0}, ValueError, "momentum: expected a number in"),
            ((*FIRST, 0.1), {"dampening": 1.5}, ValueError, "dampening: expected a number in"),
            ((*FIRST, 0.1), {"weight_decay": nan}, ValueError, "weight_decay: expected a number in"),
            ((*FIRST, 0.1), {"out": 3}, TypeError, "out: expected a pair of an array and of MomentumState"),
        ],
        label="one step",
    ),
    Case(
        momentum_velocity,
        velocity_arguments,
        "torch.optim.SGD of PyTorch",
        torch_step,
        kwargs={"lr": 0.25, "momentum": 0.75, "weight_decay": 0.125},
        bound=Normwise(1),
        refuses=[(FIRST, {"lr": 0.1}, TypeError, "state: expected VelocityState, got MomentumState")],
        label="one step",
    ),
    Case(
        momentum_radius,
        lambda rng: (rng.uniform(0.2, 3.0, size=(5, 3)),),
        "numpy.linalg.eigvals of the 2 x 2 matrix",
        companion_radius,
        kwargs={"lr": 0.75, "momentum": 0.5},
        sweep={"6,001 curvatures on both sides of every limit": curvatures},
        bound=Normwise(1),
        refuses=[(([1.0],), {"lr": nan}, ValueError, "lr: expected a number in")],
    ),
]


def contraction(dtype):
    """An error on a quadratic shrinks like the power of its radius: closed form of the two-step recursion."""
    errors, steps = [], np.arange(1, 61)
    for mu, pull in ((0.81, 0.5), (0.81, 0.004), (0.81, 3.615), (0.25, 0.25), (0.25, 2.25), (0.9, -0.125)):
        mu, pull = float(dtype(mu)), float(dtype(pull))
        roots = np.roots([1.0, -(1 + mu - pull), mu]).astype(complex)
        if abs(roots[0] - roots[1]) < 1e-4:  # a double root: (1 + c t) z^t
            z = (1 + mu - pull) / 2
            want = (1 + ((1 - pull) / z - 1) * steps) * z**steps
        else:
            a = (1 - pull - roots[1]) / (roots[0] - roots[1])
            want = (a * roots[0] ** steps + (1 - a) * roots[1] ** steps).real
        p, state, got = np.ones(1, dtype), momentum_state(np.ones(1, dtype)), []
        for _ in steps:
            p, state = momentum(p, dtype(pull) * p, state, 1.0, mu)
            got.append(float(p[0]))
        errors.append(np.abs(got - want).max() / np.abs(want).max())
    return max(errors), len(errors) * len(steps)


def tuned(dtype):
    """No pair of constants on a fine grid has a smaller radius; the closed form is attained."""
    worst, count = 0.0, 0
    for low, high in ((1.0, 1.0), (1.0, 2.0), (0.5, 50.0), (1.0, 1e4)):
        best = momentum_tuning(low, high)
        ends = np.array([low, (low * high) ** 0.5, high])
        attained = momentum_radius(ends, best.lr, best.momentum).max()
        worst = max(worst, abs(attained - best.radius) / 10)  # a double root: half the digits
        for lr in best.lr * np.linspace(0.5, 1.5, 101):
            for mu in np.linspace(0, 0.999, 200):
                worst = max(worst, best.radius - momentum_radius(ends, lr, mu).max())
                count += 1
    return worst, count


def cycle_gradient(x):
    """The gradient of a function with curvatures 1 and 25, by Lessard, Recht and Packard."""
    return 25 * x if x < 1 else x + 24 if x < 2 else 25 * x - 24


def cycle(dtype):
    """The best constants for quadratics with curvatures 1 to 25 go round in three places for ever."""
    best = momentum_tuning(1.0, 25.0)
    p = np.array([3.3], dtype)
    state, places = momentum_state(p), []
    for _ in range(400):
        g = np.array([cycle_gradient(float(p[0]))], dtype)
        p, state = momentum(p, g, state, best.lr, best.momentum)
        places.append(float(p[0]))
    want = np.sort([792, -2208, 2592]) / 1225
    return max(np.abs(np.sort(places[k : k + 3]) - want).max() for k in range(380, 397)), 17 * 3


def in_place(dtype):
    """A step into its own arrays, or into others, gives the bits of the pure step."""
    return differences(((momentum, momentum_state), (momentum_velocity, velocity_state)), dtype)


def differences(pairs, dtype):
    """How many numbers differ between pure steps, steps in place and steps into other arrays."""
    rng, different, count = np.random.default_rng(4), 0, 0
    for step, first in pairs:
        p, other = rng.normal(size=(2, 3, 5)).astype(dtype)
        q, state, inner, elsewhere = p.copy(), first(p), first(p), first(p)
        for _ in range(3):
            g = rng.normal(size=p.shape).astype(dtype)
            p, state = step(p, g, state, 0.1, weight_decay=0.1)
            written = step(q, g, inner, 0.1, weight_decay=0.1, out=(other, elsewhere))
            result = step(q, g, inner, 0.1, weight_decay=0.1, out=(q, inner))
            assert written.p is other
            assert result.p is q
            inner = result.state
            for a, b, c in zip((p, *state), (q, *inner), (other, *written.state), strict=True):
                different += np.count_nonzero(np.not_equal(a, b)) + np.count_nonzero(np.not_equal(a, c))
                count += 2 * np.size(a)
    return different, count


EPS = {"float32": float(np.finfo(np.float32).eps), "float64": float(np.finfo(np.float64).eps)}

PROOFS += [
    Proof(
        [momentum, momentum_radius],
        "closed form of the two-step recursion",
        "60 steps on quadratics: complex roots, real roots, a double root, negative curvature",
        "normwise",
        {name: 128 * eps for name, eps in EPS.items()},
        contraction,
    ),
    Proof(
        [momentum_tuning, momentum_radius],
        "every pair of constants on a grid of 20,200",
        "condition numbers 1, 2, 100 and 10,000",
        "gap",
        1e-8,
        tuned,
        ("float64",),
    ),
    Proof(
        [momentum, momentum_tuning],
        "the cycle of Lessard, Recht & Packard 2016: 792, -2208 and 2592 over 1225",
        "400 steps from 3.3 with the best constants for curvatures 1 to 25",
        "absolute",
        {name: 64 * eps for name, eps in EPS.items()},
        cycle,
    ),
    Proof([momentum, momentum_velocity], "the pure step", "three steps written into out", "count", 0, in_place),
]


def at(p, g, b, t):
    return np.array(p), np.array(g), MomentumState(np.array(b), t)


LR = {"lr": 0.1}

EDGES = [
    Edge(
        momentum,
        at([1.0], [0.0], [0.0], 0),
        ([1.0], [0.0], 1),
        "at rest without a slope",
        LR,
        "p = 1, g = 0, first step",
        "p = 1",
    ),
    Edge(
        momentum,
        at([1.0], [0.0], [2.0], 3),
        ([0.82], [1.8], 4),
        "the buffer alone: 1 - 0.1 * 0.9 * 2",
        LR,
        "p = 1, g = 0, b = 2",
        "p = 0.82",
    ),
    Edge(
        momentum,
        at([1.0], [1.0], [0.0], 0),
        ([0.9], [1.0], 1),
        "the first gradient enters whole",
        LR | {"dampening": 0.9},
        "p = 1, g = 1, first step, dampening 0.9",
        "p = 0.9",
    ),
    Edge(
        momentum,
        at([1.0], [1.0], [2.0], 3),
        ([0.8], [2.0], 4),
        "all of it is kept off: the buffer only decays",
        LR | {"dampening": 1.0, "momentum": 0.9999999999999999},
        "g = 1, b = 2, dampening 1, momentum just below 1",
        "p = 0.8",
    ),
    Edge(
        momentum,
        at([1.0], [1.0], [inf], 3),
        ([-inf], [inf], 4),
        "an infinite buffer never decays",
        LR,
        "g = 1, b = inf",
        "p = -inf",
    ),
    Edge(
        momentum,
        at([1.0], [1.0], [inf], 3),
        ([nan], [nan], 4),
        "0 times infinity",
        LR | {"momentum": 0.0},
        "g = 1, b = inf, momentum 0",
        "p = NaN",
    ),
    Edge(momentum, at([1.0], [nan], [0.0], 3), ([nan], [nan], 4), "NaN stays in the buffer", LR, "g = NaN", "p = NaN"),
    Edge(
        momentum,
        at([], [], [], 0),
        (np.array([]), np.array([]), 1),
        "nothing to move; the step is counted",
        LR,
        "p = []",
        "p = [], t = 1",
    ),
    Edge(
        momentum_radius,
        (np.array([0.0, 2.5, -0.875, nan]),),
        np.array([1.0, 1.0, 2.0, nan]),
        "flat, at the limit of stability, on a crest, unknown",
        {"lr": 1.0, "momentum": 0.25},
        "curvatures 0, 2.5, -0.875, NaN; lr = 1, momentum 0.25",
        "1, 1, 2, NaN",
    ),
]


def ours(step, first, *gradients, p=0.0, rates=None, **options):
    """The last change of a parameter."""
    p, state = np.array([p]), first([0.0])
    for k, g in enumerate(gradients):
        before, lr = float(p[0]), rates[k] if rates else 0.1
        p, state = step(p, [g], state, lr, **options)
    return float(p[0]) - before


def torch_change(*gradients, p=0.0, rates=None, **options):
    leaf = torch.nn.Parameter(torch.tensor([p], dtype=torch.float64))
    descent = SGD([leaf], lr=0.1, **options)
    for k, g in enumerate(gradients):
        descent.param_groups[0]["lr"] = rates[k] if rates else 0.1
        leaf.grad, before = torch.tensor([g], dtype=torch.float64), leaf.item()
        descent.step()
    return leaf.item() - before


def keras_change(*gradients, p=0.0, rates=None, **options):
    import keras

    variable = keras.Variable(np.array([p]), dtype="float64")
    descent = keras.optimizers.SGD(learning_rate=0.1, **options)
    for k, g in enumerate(gradients):
        descent.learning_rate = rates[k] if rates else 0.1
        before = float(variable.value.detach()[0])
        descent.apply([keras.ops.convert_to_tensor([g], dtype="float64")], [variable])
    return float(variable.value.detach()[0]) - before


def onnx_change(g, momentum, dampening):
    arrays = np.zeros(1), np.array([g]), MomentumState(np.zeros(1), 0)
    return float(onnx_momentum()(*arrays, 0.1, momentum, dampening)[0][0])


DROP = {"rates": (1.0, 0.01)}

CONVENTIONS = [
    Convention(
        "momentum",
        "momentum-rate",
        "Whether the learning rate stands inside the sum",
        "the change of a parameter in the second step, with g = 1 and then 0, lr = 1 and then 0.01, momentum 0.9",
        [
            Row(
                "dlref",
                r"`momentum`: $b \leftarrow \mu b + g$, $p \leftarrow p - \eta b$",
                "-0.009",
                lambda: ours(momentum, momentum_state, 1.0, 0.0, **DROP),
                "{:.3g}",
                "dlref",
            ),
            Row(
                "PyTorch",
                "`SGD(momentum)`: the same, the new rate multiplies the whole past",
                "-0.009",
                lambda: torch_change(1.0, 0.0, momentum=0.9, **DROP),
                "{:.3g}",
                "torch",
            ),
            Row(
                "dlref",
                r"`momentum_velocity`: $v \leftarrow \mu v - \eta g$, $p \leftarrow p + v$",
                "-0.9",
                lambda: ours(momentum_velocity, velocity_state, 1.0, 0.0, **DROP),
                "{:.3g}",
                "dlref",
            ),
            Row(
                "Keras on PyTorch",
                "`SGD(momentum)`: the same, the velocity rolls on as it was",
                "-0.9",
                lambda: keras_change(1.0, 0.0, momentum=0.9, **DROP),
                "{:.3g}",
                "keras",
            ),
            Row("Sutskever et al.", "the same", "-0.9", source="sutskever2013importance"),
        ],
    ),
    Convention(
        "momentum",
        "momentum-first-step",
        "The first gradient under dampening",
        "the change of a parameter in its first step, with g = 1, lr = 0.1, momentum and dampening 0.9",
        [
            Row(
                "dlref",
                "`momentum`: the buffer starts as the gradient, undamped",
                "-0.1",
                lambda: ours(momentum, momentum_state, 1.0, dampening=0.9),
                "{:.3g}",
                "dlref",
            ),
            Row(
                "PyTorch",
                "`SGD(momentum, dampening)`: the same",
                "-0.1",
                lambda: torch_change(1.0, momentum=0.9, dampening=0.9),
                "{:.3g}",
                "torch",
            ),
            Row(
                "ONNX reference",
                "`Momentum` with beta = 0.1: the same at T = 0",
                "-0.1",
                lambda: onnx_change(1.0, 0.9, 0.9),
                "{:.3g}",
                "onnx",
            ),
            Row(
                "a running mean from zero",
                r"$m \leftarrow 0.9\, m + 0.1\, g$ with $m_0 = 0$, not corrected",
                "-0.01",
                lambda: -0.1 * (0.9 * 0.0 + (1 - 0.9) * 1.0),
                "{:.3g}",
                source="written out",
            ),
        ],
    ),
    Convention(
        "momentum",
        "momentum-decay",
        "Whether weight decay goes through the buffer",
        "the change of p = 1 in the second step, with g = 0, lr = 0.1, momentum 0.9, weight decay 0.1",
        [
            Row(
                "dlref",
                "`momentum(weight_decay)`: added to the gradient, remembered in the buffer",
                "-0.0189",
                lambda: ours(momentum, momentum_state, 0.0, 0.0, p=1.0, weight_decay=0.1),
                "{:.3g}",
                "dlref",
            ),
            Row(
                "PyTorch",
                "`SGD(momentum, weight_decay)`: the same",
                "-0.0189",
                lambda: torch_change(0.0, 0.0, p=1.0, momentum=0.9, weight_decay=0.1),
                "{:.3g}",
                "torch",
            ),
            Row(
                "Keras on PyTorch",
                r"`SGD(momentum, weight_decay)`: $p\,(1 - \eta\lambda)$ beside the step",
                "-0.0099",
                lambda: keras_change(0.0, 0.0, p=1.0, momentum=0.9, weight_decay=0.1),
                "{:.3g}",
                "keras",
            ),
        ],
    ),
]


def in_place_thunks(step, first, size, **options):
    """Our step and PyTorch's fused one, both into their own arrays."""

    def make(dtype):
        p, g = np.random.default_rng(0).normal(size=(2, size)).astype(dtype)
        memory = [first(p)]
        leaf = torch.nn.Parameter(torch.from_numpy(p.copy()))
        leaf.grad = torch.from_numpy(g.copy())
        descent = SGD([leaf], lr=1e-3, fused=True, **options)

        def ours():
            memory[0] = step(p, g, memory[0], 1e-3, out=(p, memory[0])).state

        return ours, descent.step

    return make


def radius_thunks(dtype):
    curvature = np.random.default_rng(0).uniform(0, 8, 100_000).astype(dtype)

    def theirs():
        middle = 1.9 - 0.5 * curvature
        gap = middle**2 - 3.6
        return np.where(gap > 0, (np.abs(middle) + np.sqrt(np.abs(gap))) / 2, np.sqrt(0.9))

    return lambda: momentum_radius(curvature, 0.5), theirs


FUSED = "torch.optim.SGD(momentum=0.9, fused=True), both in place"

BENCH = [
    Bench("optimizers.momentum", FUSED, size, in_place_thunks(momentum, momentum_state, int(float(size)), momentum=0.9))
    for size in ("1e3", "1e5")
]
BENCH += [
    Bench("optimizers.momentum", FUSED, "1e6", in_place_thunks(momentum, momentum_state, 10**6, momentum=0.9), aim=1.1)
]
BENCH += [
    Bench(
        "optimizers.momentum_velocity",
        "keras.optimizers.SGD(momentum=0.9) on PyTorch, both in place",
        "1e6",
        keras_thunks(momentum_velocity, velocity_state, "SGD", momentum=0.9),
        aim=1.0,
    )
]
BENCH += [Bench("optimizers.momentum_radius", "the same in NumPy", "1e5", radius_thunks)]
