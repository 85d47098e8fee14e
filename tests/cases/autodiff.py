"""The tape, programs on single numbers, and the gradient by hand, against autograd of PyTorch."""

import warnings

import mpmath
import numpy as np
import torch

from dlref.activations import log_softmax, relu, softmax
from dlref.autodiff import (
    Op,
    check_gradient,
    flat_parameters,
    mlp_loss,
    mlp_loss_backward,
    program,
    program_backward,
    program_sweep,
    program_tangent,
    value_and_gradient,
    vjp,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.oracles import from_torch

inf, nan = np.inf, np.nan

# --- random programs of arrays ----------------------------------------------------------------------------------------
# Every value has a shape that broadcasts to (4, 3). A step exists twice: in NumPy with dlref's functions, and in torch.

TAKEN = np.array([2, 0, 2, 3])
OPEN = np.array([[True, False, True], [False, False, True], [True, True, False], [False, True, False]])
STEPS = {
    "add": (lambda a, b: a + b, lambda a, b: a + b),
    "subtract": (lambda a, b: a - b, lambda a, b: a - b),
    "multiply": (lambda a, b: a * b, lambda a, b: a * b),
    "divide": (lambda a, b: a / (2 + b**2), lambda a, b: a / (2 + b**2)),
    "from a number": (lambda a, b: 1.5 - 2 / (3 + np.square(a)), lambda a, b: 1.5 - 2 / (3 + a * a)),
    "power": (lambda a, b: np.tanh(a) ** 3, lambda a, b: torch.tanh(a) ** 3),
    "negative": (lambda a, b: -a, lambda a, b: -a),
    "absolute": (lambda a, b: np.abs(a), lambda a, b: a.abs()),
    "exp": (lambda a, b: np.exp(-(a**2)), lambda a, b: torch.exp(-(a**2))),
    "log": (lambda a, b: np.log(1 + a * a), lambda a, b: torch.log(1 + a * a)),
    "sqrt": (lambda a, b: np.sqrt(1 + b * b), lambda a, b: torch.sqrt(1 + b * b)),
    "sin": (lambda a, b: np.sin(a), lambda a, b: torch.sin(a)),
    "cos": (lambda a, b: np.cos(a), lambda a, b: torch.cos(a)),
    "tanh": (lambda a, b: np.tanh(a + b), lambda a, b: torch.tanh(a + b)),
    "where": (
        lambda a, b: np.where(OPEN, a, b),
        lambda a, b: torch.where(torch.from_numpy(OPEN), a, b),
    ),
    "matmul": (
        lambda a, b: whole(a) @ (whole(b).T @ whole(a)) / 6,
        lambda a, b: whole_t(a) @ (whole_t(b).T @ whole_t(a)) / 6,
    ),
    "batched matmul": (
        lambda a, b: (whole(a).reshape(2, 2, 3) @ (whole(b)[:3] / 3)).reshape((4, 3)),
        lambda a, b: (whole_t(a).reshape(2, 2, 3) @ (whole_t(b)[:3] / 3)).reshape(4, 3),
    ),
    "vector": (lambda a, b: whole(a).T @ whole(b)[:, 1] / 2, lambda a, b: whole_t(a).T @ whole_t(b)[:, 1] / 2),
    "sum": (lambda a, b: np.tanh(np.sum(whole(a), axis=1, keepdims=True)), lambda a, b: whole_t(a).sum(1, True).tanh()),
    "sum of all": (lambda a, b: a.sum() / 12 + b, lambda a, b: a.sum() / 12 + b),
    "mean": (lambda a, b: whole(a).mean(axis=0) - b, lambda a, b: whole_t(a).mean(0) - b),
    "reshape": (lambda a, b: whole(a).reshape(3, 4).T + b, lambda a, b: whole_t(a).reshape(3, 4).T + b),
    "transpose": (
        lambda a, b: np.transpose(whole(a).reshape(2, 2, 3), (1, 0, 2)).reshape(4, 3) * b,
        lambda a, b: whole_t(a).reshape(2, 2, 3).permute(1, 0, 2).reshape(4, 3) * b,
    ),
    "swapaxes": (
        lambda a, b: whole(a).reshape(2, 3, 2).swapaxes(0, 1).reshape(4, 3),
        lambda a, b: whole_t(a).reshape(2, 3, 2).swapaxes(0, 1).reshape(4, 3),
    ),
    "slice": (lambda a, b: whole(a)[::-1, ::-1] - b, lambda a, b: whole_t(a).flip(0, 1) - b),
    "row": (lambda a, b: whole(a)[2] * b, lambda a, b: whole_t(a)[2] * b),
    "take": (lambda a, b: whole(a)[TAKEN], lambda a, b: whole_t(a)[torch.from_numpy(TAKEN)]),
    "concatenate": (
        lambda a, b: np.concatenate([whole(a)[1:], whole(b)[:1]]),
        lambda a, b: torch.cat([whole_t(a)[1:], whole_t(b)[:1]]),
    ),
    "stack": (
        lambda a, b: np.stack([whole(a), whole(b), whole(a)], axis=1)[:, 1:].mean(axis=1),
        lambda a, b: torch.stack([whole_t(a), whole_t(b), whole_t(a)], 1)[:, 1:].mean(1),
    ),
    "relu": (lambda a, b: relu(a - b), lambda a, b: torch.relu(a - b)),
    "softmax": (
        lambda a, b: softmax(whole(a), axis=0) + b,
        lambda a, b: torch.softmax(whole_t(a), 0) + b,
    ),
    "log_softmax": (
        lambda a, b: np.tanh(log_softmax(whole(a) * 0.5)),
        lambda a, b: torch.log_softmax(whole_t(a) * 0.5, -1).tanh(),
    ),
}
LENGTH = 40
SHAPES = ((4, 3), (3,), (4, 1), (), (1, 3))


def whole(a):
    return a + np.zeros((4, 3), a.dtype)


def whole_t(a):
    return a + torch.zeros(4, 3, dtype=a.dtype)


def random_program(seed, first=()):
    """Return a program of arrays, as a function of a tuple of leaves and of which side of STEPS to run."""
    rng = np.random.default_rng(seed)
    names = [*first, *rng.choice(list(STEPS), LENGTH)]
    operands = [rng.integers(0, len(SHAPES) + k, 2) for k in range(len(names))]
    operands[-1][0] = len(SHAPES) + len(names) - 2
    weights = rng.normal(size=len(SHAPES) + len(names)) / np.sqrt(len(names))

    def run(leaves, side):
        values = list(leaves)
        for name, (i, j) in zip(names, operands, strict=True):
            values.append(STEPS[name][side](values[i], values[j]))
        total = 0.0
        for weight, value in zip(weights.tolist(), values, strict=True):
            total = total + weight * value.mean()
        return total

    return run


def leaves_of(seed, dtype):
    rng = np.random.default_rng(seed)
    return tuple(np.asarray(rng.normal(size=shape)).astype(dtype) for shape in SHAPES)


def normwise(got, want):
    """Return the largest difference over all arrays by the largest value."""
    largest = max(np.max(np.abs(w)) for w in want)
    return max(np.max(np.abs(np.asarray(g, np.float64) - w)) for g, w in zip(got, want, strict=True)) / largest


def torch_gradient(run, leaves):
    tensors = [torch.from_numpy(np.asarray(leaf, np.float64)).requires_grad_() for leaf in leaves]
    return [g.numpy() for g in torch.autograd.grad(run(tensors, 1), tensors)]


def tape_against_torch(dtype):
    worst, count = 0.0, 0
    for seed in range(25):
        run, leaves = random_program(seed), leaves_of(seed, dtype)
        want = torch_gradient(run, leaves)
        _, tape = value_and_gradient(lambda p, run=run: run(p, 0), leaves)
        assert all(g.dtype == dtype and g.shape == x.shape for g, x in zip(tape, leaves, strict=True))
        _, pull = vjp(lambda *p, run=run: run(p, 0), *leaves)
        worst = max(worst, normwise(tape, want), normwise(pull(1.0), want))
        count += sum(g.size for g in want)
    return worst, count


def differences_of_the_tape(dtype):
    rng = np.random.default_rng(5)
    errors = [
        check_gradient(lambda p, seed=seed: random_program(seed)(p, 0), leaves_of(seed, dtype), rng=rng)
        for seed in range(20)
    ]
    return max(errors), len(errors)


def flattened(dtype):
    leaves = (*leaves_of(0, dtype), None, 3)
    vector, views = flat_parameters({"all": leaves, "again": [leaves[0]]})
    kept = [*views["all"][:5], views["again"][0]]
    wrong = sum(not np.array_equal(a, b) for a, b in zip(kept, [*leaves[:5], leaves[0]], strict=True))
    wrong += sum(not np.shares_memory(a, vector) for a in kept) + (views["all"][5:] != (None, 3))
    wrong += vector.dtype != dtype or not np.array_equal(vector, np.concatenate([a.ravel() for a in kept]))
    return wrong, vector.size


# --- random programs of numbers ---------------------------------------------------------------------------------------


def random_list(seed, inputs, length):
    """Return inputs and a program in which every value stays between 0.2 and 5 in size."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.5, 2, inputs) * rng.choice([-1, 1], inputs)
    values, ops, left, right = list(x), [], [], []
    functions = {
        Op.ADD: lambda a, b: a + b,
        Op.SUBTRACT: lambda a, b: a - b,
        Op.MULTIPLY: lambda a, b: a * b,
        Op.DIVIDE: lambda a, b: a / b,
        Op.EXP: lambda a, b: np.exp(a),
        Op.LOG: lambda a, b: np.log(a) if a > 0 else nan,
        Op.SIN: lambda a, b: np.sin(a),
        Op.TANH: lambda a, b: np.tanh(a),
    }
    while len(ops) < length:
        op, i, j = Op(rng.integers(len(Op))), *rng.integers(max(0, len(values) - 2 * inputs), len(values), 2)
        value = functions[op](values[i], values[j])
        if 0.2 < abs(value) < 5:
            values.append(value)
            ops.append(op)
            left.append(int(i))
            right.append(int(j))
    return x, ops, left, right


def nodes(x, ops, left, right, exp, log, sin, tanh):
    """Run a program with the numbers and functions of any library; return every node."""
    values = list(x)
    run = {
        Op.ADD: lambda a, b: a + b,
        Op.SUBTRACT: lambda a, b: a - b,
        Op.MULTIPLY: lambda a, b: a * b,
        Op.DIVIDE: lambda a, b: a / b,
        Op.EXP: lambda a, b: exp(a),
        Op.LOG: lambda a, b: log(a),
        Op.SIN: lambda a, b: sin(a),
        Op.TANH: lambda a, b: tanh(a),
    }
    for op, i, j in zip(ops, left, right, strict=True):
        values.append(run[op](values[i], values[j]))
    return values


def torch_nodes(x, ops, left, right):
    return nodes(x, ops, left, right, torch.exp, torch.log, torch.sin, torch.tanh)


def torch_program(x, ops, left, right):
    return torch_nodes(x, ops, left, right)[-1]


def exact_program(x, ops, left, right):
    with mpmath.workdps(50):
        numbers = [mpmath.mpf(float(value)) for value in x]
        return np.asarray(float(nodes(numbers, ops, left, right, mpmath.exp, mpmath.log, mpmath.sin, mpmath.tanh)[-1]))


X, OPS, LEFT, RIGHT = random_list(3, 7, 40)
INSTRUCTIONS = {"ops": OPS, "left": LEFT, "right": RIGHT}
DEPTH = 64.0  # an error of one rounding an instruction, and what 60 of them may do to it


def sweep_against_torch(dtype):
    worst, count = 0.0, 0
    for seed in range(100):
        x, ops, left, right = random_list(seed, 5, 60)
        x = x.astype(dtype)
        leaf = torch.from_numpy(x.astype(np.float64)).requires_grad_()
        inputs = list(leaf)
        every = torch_nodes(inputs, ops, left, right)
        bars = torch.autograd.grad(every[-1], every, allow_unused=True)
        bars = [0.0 if bar is None else bar.item() for bar in bars]
        bars[: len(x)] = torch.autograd.grad(torch_program(leaf, ops, left, right), leaf)[0].tolist()
        sweep = program_sweep(x, ops, left, right)
        worst = max(worst, normwise([sweep.values], [[v.item() for v in every]]), normwise([sweep.adjoints], [bars]))
        count += 2 * len(bars)
    return worst, count


def rounding_scale(x, dx, ops, left, right):
    """Return what a relative rounding error in every operation can do to the result and its tangent, to first order.

    An error in the value v of a node moves the tangent by the derivative of the tangent with respect to v, one in the
    tangent of a node by that with respect to it: both are adjoints of the program of pairs (value, tangent).
    """
    pairs = {
        Op.ADD: lambda a, b, da, db: (a + b, (da, db)),
        Op.SUBTRACT: lambda a, b, da, db: (a - b, (da, -db)),
        Op.MULTIPLY: lambda a, b, da, db: (a * b, (da * b, a * db)),
        Op.DIVIDE: lambda a, b, da, db: (a / b, (da / b, -a / b * db / b)),
        Op.EXP: lambda a, b, da, db: (torch.exp(a), (torch.exp(a) * da,)),
        Op.LOG: lambda a, b, da, db: (torch.log(a), (da / a,)),
        Op.SIN: lambda a, b, da, db: (torch.sin(a), (torch.cos(a) * da,)),
        Op.TANH: lambda a, b, da, db: (torch.tanh(a), (da, -(torch.tanh(a) ** 2) * da)),  # rounded as 1 - tanh^2
    }
    values, tangents = list(x.requires_grad_()), list(dx.requires_grad_())
    sizes = [0.0 * d for d in tangents]  # the inputs are exact
    for op, i, j in zip(ops, left, right, strict=True):
        value, parts = pairs[Op(int(op))](values[i], values[j], tangents[i], tangents[j])
        values.append(value)
        tangents.append(sum(parts))
        sizes.append(sum(abs(part) for part in parts))

    def moved(end):
        every = values[len(x) :] + tangents[len(x) :]
        bars = torch.autograd.grad(end, every, retain_graph=True, allow_unused=True, materialize_grads=True)
        return sum(abs(bar * size) for bar, size in zip(bars, values[len(x) :] + sizes[len(x) :], strict=True)).item()

    return moved(values[-1]), moved(tangents[-1])


def tangent_against_torch(dtype):
    rng, worst = np.random.default_rng(1), 0.0
    for seed in range(30):
        x, ops, left, right = random_list(seed, 5, 60)
        x, dx = x.astype(dtype), rng.normal(size=len(x)).astype(dtype)
        got = program_tangent(x, dx, ops, left, right)
        wide = torch.from_numpy(x.astype(np.float64)), torch.from_numpy(dx.astype(np.float64))
        with warnings.catch_warnings():  # torch loads its own rules by a deprecated way
            warnings.simplefilter("ignore", DeprecationWarning)
            want = torch.func.jvp(lambda x, p=(ops, left, right): torch_program(x, *p), wide[:1], wide[1:])
        scales = rounding_scale(*wide, ops, left, right)
        worst = max(worst, *(abs(g - w.item()) / scale for g, w, scale in zip(got, want, scales, strict=True)))
    return worst, 60


def complex_step_of_lists(dtype):
    """Every instruction is holomorphic where these programs go: a tiny imaginary step loses no digits."""
    worst, step = 0.0, 1e-30
    for seed in range(20):
        x, ops, left, right = random_list(seed, 5, 60)
        shifted = x + 1j * step * np.eye(len(x))
        with np.errstate(under="ignore"):
            ends = [nodes(row, ops, left, right, np.exp, np.log, np.sin, np.tanh)[-1] for row in shifted]
        adjoints = program_sweep(x, ops, left, right).adjoints
        error = np.abs(adjoints[: len(x)] - [end.imag / step for end in ends]).max()
        worst = max(worst, error / np.linalg.norm(adjoints))
    return worst, 100


# --- the tables -------------------------------------------------------------------------------------------------------


def mlp(rng):
    return rng.normal(size=(5, 3)), rng.normal(size=5), rng.normal(size=(2, 5)), rng.normal(size=2)


def torch_mlp(w1, b1, w2, b2, x, target):
    linear = torch.nn.functional.linear
    y = linear(torch.tanh(linear(x, w1, b1)), w2, b2)
    return torch.nn.functional.mse_loss(y, target) * y.shape[1] / 2


EXAMPLES = np.random.default_rng(2)
EXAMPLES = {"x": EXAMPLES.normal(size=(7, 3)), "target": EXAMPLES.normal(size=(7, 2))}
GRAPH = {"float32": 16 * LENGTH * 2.0**-23, "float64": 16 * LENGTH * 2.0**-52}
LIST = {"float32": 16 * DEPTH * 2.0**-23, "float64": 16 * DEPTH * 2.0**-52}

CASES = [
    Case(
        program,
        lambda rng: (X,),
        "mpmath, 50 digits",
        exact_program,
        kwargs=INSTRUCTIONS,
        bound=Normwise(length=1, condition=DEPTH),
        gradient=torch_program,
        refuses=[
            (([1.0], [Op.ADD], [0], [1]), {}, ValueError, "right: instruction 0 reads node 1, which comes after it"),
            (([1.0], [8], [0], [0]), {}, ValueError, "ops: expected integers from 0 to 7, got 8"),
            (([1.0], [Op.EXP], [0, 0], [0]), {}, ValueError, r"left: expected shape \(1,\)"),
            (([], [], [], []), {}, ValueError, "x: expected at least one input"),
        ],
    ),
    Case(
        mlp_loss,
        mlp,
        "torch.nn.functional",
        from_torch(torch_mlp),
        kwargs=EXAMPLES,
        refuses=[
            (
                (np.ones((5, 4)), np.ones(5), np.ones((2, 5)), np.ones(2)),
                EXAMPLES,
                ValueError,
                r"w1: expected shape \(",
            ),
            (
                (np.ones((5, 3)), np.ones(4), np.ones((2, 5)), np.ones(2)),
                EXAMPLES,
                ValueError,
                r"b1: expected shape \(",
            ),
        ],
    ),
]

PROOFS = [
    Proof(
        [value_and_gradient, vjp],
        f"autograd of PyTorch {torch.__version__.split('+')[0]} on the same programs",
        f"25 random programs of {LENGTH} steps in arrays of shapes (4, 3), (3), (4, 1), (1, 3) and ()",
        "normwise",
        GRAPH,
        tape_against_torch,
    ),
    Proof(
        [check_gradient],
        "the tape, where it agrees with PyTorch",
        "20 random programs, one direction each, step 1e-5",
        "relative",
        1e-7,
        differences_of_the_tape,
        dtypes=("float64",),
    ),
    Proof([flat_parameters], "the arrays themselves", "7 leaves, nested", "count", 0, flattened),
    Proof(
        [program_sweep],
        "autograd of PyTorch on the same programs",
        "100 random programs of 60 instructions, every node",
        "normwise",
        LIST,
        sweep_against_torch,
    ),
    Proof(
        [program_sweep],
        "the complex step, in NumPy",
        "20 random programs of 60 instructions, every input",
        "normwise",
        LIST,
        complex_step_of_lists,
        dtypes=("float64",),
    ),
    Proof(
        [program_tangent],
        "torch.func.jvp on the same programs",
        "30 random programs of 60 instructions; as a share of what one rounding error in every operation can do",
        "relative",
        # the elementary functions are right to 4 ULP, and a rule of differentiation rounds four times at most
        {"float32": 4 * 2.0**-23, "float64": 4 * 2.0**-52},
        tangent_against_torch,
    ),
]


def run_of(*instructions):
    ops, left, right = zip(*instructions, strict=True)
    return {"ops": list(ops), "left": list(left), "right": list(right)}


EDGES = [
    Edge(
        program_backward,
        (1.0, [3.0]),
        [6.0],
        "both uses of a node add up",
        run_of((Op.MULTIPLY, 0, 0)),
        input="$x \\cdot x$ at $x = 3$",
    ),
    Edge(
        program_backward,
        (1.0, [3.0, 5.0]),
        [1.0, 0.0],
        "an input that the result does not use",
        run_of((Op.SUBTRACT, 0, 1), (Op.ADD, 2, 1)),
        input="$(x_0 - x_1) + x_1$ at $(3, 5)$",
    ),
    Edge(
        program_backward,
        (1.0, [0.0]),
        [inf],
        "the derivative of the logarithm at zero",
        run_of((Op.LOG, 0, 0)),
        input="$\\log x$ at $x = 0$",
    ),
    Edge(
        program_backward,
        (1.0, [0.0, 2.0]),
        [1.0, 1.0],
        "a node that is not used passes nothing on, not even from an infinite slope",
        run_of((Op.LOG, 0, 0), (Op.ADD, 1, 0)),
        input="$x_1 + x_0$, after an unused $\\log x_0$, at $(0, 2)$",
    ),
    Edge(
        program_backward,
        (1.0, [nan, 2.0]),
        [2.0, nan],
        "NaN reaches the derivative that needs it",
        run_of((Op.MULTIPLY, 0, 1)),
        input="$x_0 x_1$ at $(\\text{NaN}, 2)$",
    ),
]


def torch_twice():
    x = torch.tensor(3.0, requires_grad=True)
    for _ in range(2):
        (x * x).backward()
    return x.grad.item()


def torch_grad_twice():
    x = torch.tensor(3.0, requires_grad=True)
    for _ in range(2):
        (g,) = torch.autograd.grad(x * x, x)
    return g.item()


def dlref_twice():
    for _ in range(2):
        _, g = value_and_gradient(lambda x: x * x, 3.0)
    return float(g)


def raised(call):
    try:
        return call()
    except Exception as error:
        return type(error).__name__


def torch_vector():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (x * x).backward()
    return x.grad.tolist()


def torch_unused():
    x, w = torch.tensor(3.0, requires_grad=True), torch.tensor(1.0, requires_grad=True)
    (x * x).backward()
    return w.grad


def torch_grad_unused():
    x, w = torch.tensor(3.0, requires_grad=True), torch.tensor(1.0, requires_grad=True)
    return torch.autograd.grad(x * x, w)


CONVENTIONS = [
    Convention(
        "backpropagation",
        "gradient-accumulation",
        "The gradient a second time",
        "the gradient of $x^2$ at $x = 3$, asked for twice in a row",
        [
            Row("dlref", "returns it", "6.0", dlref_twice, package="dlref"),
            Row("PyTorch", "`backward` adds to `x.grad`", "12.0", torch_twice, package="torch"),
            Row("PyTorch", "`torch.autograd.grad` returns it", "6.0", torch_grad_twice, package="torch"),
        ],
    ),
    Convention(
        "backpropagation",
        "unused-parameter",
        "A parameter that the loss does not use",
        "the gradient of $x^2$ with respect to $w$",
        [
            Row(
                "dlref",
                "zero, as in mathematics",
                "0.0",
                lambda: float(value_and_gradient(lambda p: p[0] * p[0], (3.0, 1.0))[1][1]),
                package="dlref",
            ),
            Row("PyTorch", "`backward` leaves `w.grad` alone", "None", torch_unused, package="torch"),
            Row(
                "PyTorch",
                "`torch.autograd.grad` refuses, unless `allow_unused`",
                "RuntimeError",
                lambda: raised(torch_grad_unused),
                package="torch",
            ),
        ],
    ),
    Convention(
        "backpropagation",
        "gradient-of-a-vector",
        "A result that is not a scalar",
        "the gradient of the vector $(x_1^2, x_2^2)$ at $(1, 2)$",
        [
            Row(
                "dlref",
                "refuses; `vjp` takes a cotangent",
                "ValueError",
                lambda: raised(lambda: value_and_gradient(lambda x: x * x, np.array([1.0, 2.0]))),
                package="dlref",
            ),
            Row(
                "PyTorch", "refuses without a cotangent", "RuntimeError", lambda: raised(torch_vector), package="torch"
            ),
            Row(
                "TensorFlow",
                "sums the entries first",
                "[2.0, 4.0]",
                source="TensorFlow guide, Introduction to gradients and automatic differentiation",
            ),
        ],
    ),
]


def mlp_thunks(dtype):
    rng = np.random.default_rng(0)
    shapes = (128, 64), (128,), (10, 128), (10,), (64, 64), (64, 10)
    *params, x, target = (rng.normal(size=shape).astype(dtype) / 8 for shape in shapes)

    def loss(p, x, target):
        w1, b1, w2, b2 = p
        error = np.tanh(x @ w1.T + b1) @ w2.T + b2 - target
        return np.sum(error * error) / (2 * len(x))

    with torch.inference_mode(False):
        tensors = [torch.from_numpy(a.copy()).requires_grad_() for a in params]
        tx, tt = torch.from_numpy(x.copy()), torch.from_numpy(target.copy())

    def theirs():
        with torch.inference_mode(False), torch.enable_grad():
            return torch.autograd.grad(torch_mlp(*tensors, tx, tt), tensors)

    return lambda: value_and_gradient(loss, tuple(params), x, target), theirs


def list_thunks(dtype):
    x, ops, left, right = random_list(0, 50, 1000)
    x = x.astype(dtype)
    ops = np.array(ops, np.int64)
    tensor = torch.from_numpy(x.copy()).requires_grad_()

    def theirs():
        inputs = list(tensor)
        return torch.autograd.grad(torch_program(inputs, ops, left, right), inputs, allow_unused=True)

    return lambda: program_backward(1.0, x, ops, left, right), theirs


def torch_parameters(dtype):
    """The parameters, input and target of a network as arrays, and the same in torch, with a graph."""
    rng = np.random.default_rng(0)
    shapes = (128, 64), (128,), (10, 128), (10,), (64, 64), (64, 10)
    arrays = [rng.normal(size=shape).astype(dtype) / 8 for shape in shapes]
    with torch.inference_mode(False):
        tensors = [torch.from_numpy(a.copy()).requires_grad_() for a in arrays[:4]]
        return arrays, tensors, [torch.from_numpy(a.copy()) for a in arrays[4:]]


def by_hand_thunks(dtype):
    arrays, tensors, data = torch_parameters(dtype)
    return lambda: mlp_loss(*arrays), lambda: torch_mlp(*tensors, *data)


def by_hand_backward_thunks(dtype):
    arrays, tensors, data = torch_parameters(dtype)
    one = np.ones((), dtype)

    def theirs():
        return torch.autograd.grad(torch_mlp(*tensors, *data), tensors)

    return lambda: mlp_loss_backward(one, *arrays), theirs


def vjp_thunks(dtype):
    """The product of a cotangent with the Jacobian of a layer, forward and back."""
    (w, b, _, _, x, _), tensors, (tx, _) = torch_parameters(dtype)
    dy = np.random.default_rng(1).normal(size=(64, 128)).astype(dtype)
    cotangent = torch.from_numpy(dy.copy())

    def ours():
        return vjp(lambda w, b: np.tanh(x @ w.T + b), w, b)[1](dy)

    def layer(w, b):
        return torch.tanh(torch.nn.functional.linear(tx, w, b))

    def theirs():
        with torch.inference_mode(False), torch.enable_grad():
            return torch.autograd.functional.vjp(layer, tuple(tensors[:2]), cotangent)

    return ours, theirs


def check_thunks(dtype):
    """One random direction on both sides."""
    (*params, x, target), tensors, data = torch_parameters(dtype)
    rng = np.random.default_rng(0)

    def loss(params, x, target):
        w1, b1, w2, b2 = params
        error = np.tanh(x @ w1.T + b1) @ w2.T + b2 - target
        return np.sum(error * error) / (2 * len(x))

    def theirs():
        with torch.inference_mode(False), torch.enable_grad():
            return torch.autograd.gradcheck(lambda *p: torch_mlp(*p, *data), tensors, fast_mode=True)

    return lambda: check_gradient(loss, tuple(params), x, target, rng=rng), theirs


def program_thunks(dtype):
    x, ops, left, right = random_list(0, 50, 1000)
    x, ops = x.astype(dtype), np.array(ops, np.int64)
    inputs = list(torch.from_numpy(x.copy()))
    return lambda: program(x, ops, left, right), lambda: torch_program(inputs, ops, left, right)


def sweep_thunks(dtype):
    """Every value and every adjoint."""
    x, ops, left, right = random_list(0, 50, 1000)
    x, ops = x.astype(dtype), np.array(ops, np.int64)
    tensor = torch.from_numpy(x.copy()).requires_grad_()

    def theirs():
        with torch.inference_mode(False), torch.enable_grad():
            values = torch_nodes(list(tensor), ops, left, right)
            return torch.autograd.grad(values[-1], values, allow_unused=True)

    return lambda: program_sweep(x, ops, left, right), theirs


def tangent_thunks(dtype):
    x, ops, left, right = random_list(0, 50, 1000)
    x, ops = x.astype(dtype), np.array(ops, np.int64)
    dx = np.random.default_rng(1).normal(size=x.shape).astype(dtype)
    primal, tangent = torch.from_numpy(x.copy()), torch.from_numpy(dx.copy())

    def theirs():
        with torch.inference_mode(False), torch.enable_grad():
            return torch.func.jvp(lambda t: torch_program(list(t), ops, left, right), (primal,), (tangent,))

    return lambda: program_tangent(x, dx, ops, left, right), theirs


def flat_thunks(dtype):
    rng = np.random.default_rng(0)
    params = [rng.normal(size=shape).astype(dtype) for shape in ((128, 64), (128,), (10, 128), (10,))]
    others = [torch.from_numpy(a.copy()) for a in params]

    def theirs():
        vector = torch.nn.utils.parameters_to_vector(others)
        torch.nn.utils.vector_to_parameters(vector, others)
        return vector, others

    return lambda: flat_parameters(params), theirs


BENCH = [
    Bench(
        "autodiff.flat_parameters",
        "torch's parameters_to_vector and vector_to_parameters",
        "MLP 64-128-10",
        flat_thunks,
    ),
    Bench("autodiff.mlp_loss", "torch, two linear and mse_loss", "64-128-10, batch 64", by_hand_thunks),
    Bench("autodiff.mlp_loss_backward", "torch autograd", "64-128-10, batch 64", by_hand_backward_thunks, graph=True),
    Bench("autodiff.vjp", "torch.autograd.functional.vjp", "64-128, batch 64", vjp_thunks),
    Bench(
        "autodiff.check_gradient",
        "torch.autograd.gradcheck, fast mode",
        "64-128-10, batch 64",
        check_thunks,
        dtypes=("float64",),  # torch's asks for it
    ),
    Bench("autodiff.program", "torch, one operation an instruction", "1000 instructions", program_thunks),
    Bench("autodiff.program_sweep", "torch autograd, every adjoint", "1000 instructions", sweep_thunks, graph=True),
    Bench("autodiff.program_tangent", "torch.func.jvp", "1000 instructions", tangent_thunks, graph=True),
    Bench("autodiff.value_and_gradient", "torch autograd", "MLP 64-128-10, batch 64", mlp_thunks, aim=1.0),
    Bench("autodiff.program_backward", "torch autograd, forward and back", "1000 instructions", list_thunks, aim=1.0),
]
