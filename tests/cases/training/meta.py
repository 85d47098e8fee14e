"""Gradients through gradient descent, against torch with create_graph and finite differences."""

import itertools

import numpy as np
import torch

from dlref.training import (
    adapt,
    hessian_vector_product,
    maml_gradient,
    regress,
    reptile_direction,
    sinusoid_task,
)
from tests.bounds import TRAINED
from tests.cases import Bench, Convention, Edge, Proof, Row

SIZES = (2, 5, 4, 3)


def drawn(seed=0, sizes=SIZES):
    rng = np.random.default_rng(seed)
    params = []
    for a, b in itertools.pairwise(sizes):
        params += [rng.normal(size=(b, a)), rng.normal(size=b)]
    data = [(rng.normal(size=(n, sizes[0])), rng.normal(size=(n, sizes[-1]))) for n in (6, 7)]
    return rng, params, data


def torch_output(params, x):
    for k in range(0, len(params), 2):
        x = x @ params[k].T + params[k + 1]
        x = torch.tanh(x) if k + 2 < len(params) else x
    return x


def torch_loss(params, x, y):
    return ((torch_output(params, torch.from_numpy(x)) - torch.from_numpy(y)) ** 2).mean()


def leaves(params):
    return [torch.from_numpy(p.copy()).requires_grad_() for p in params]


def torch_adapted(start, data, lr, steps, create_graph=True):
    current = start
    for _ in range(steps):
        g = torch.autograd.grad(torch_loss(current, *data), current, create_graph=create_graph)
        g = g if create_graph else [part.detach() for part in g]
        current = [p - lr * part for p, part in zip(current, g, strict=True)]
    return current


def worst(got, want):
    size = max(np.max(np.abs(w)) for w in want)
    return max(np.max(np.abs(a - w)) for a, w in zip(got, want, strict=True)) / size


def numpy(tensors):
    return [t.detach().numpy() for t in tensors]


def steps_as_in_torch(dtype):
    """Compare outputs, ten steps of adaptation, and the direction of Reptile."""
    _, params, (support, query) = drawn()
    start = leaves(params)
    want = numpy(torch_adapted(start, support, 0.05, 10))
    got = adapt(params, *support, 0.05, 10)
    output = torch_output([torch.from_numpy(p) for p in got], torch.from_numpy(query[0])).numpy()
    direction = [(a - b) / 0.05 for a, b in zip(params, want, strict=True)]
    errors = worst(got, want), worst([regress(got, query[0])], [output])
    return max(*errors, worst(reptile_direction(params, *support, 0.05, 10), direction)), 3 * 49


def hessian_as_in_torch(dtype):
    rng, params, (support, _) = drawn(1)
    v = [rng.normal(size=p.shape) for p in params]
    start = leaves(params)
    g = torch.autograd.grad(torch_loss(start, *support), start, create_graph=True)
    along = sum((a * torch.from_numpy(b)).sum() for a, b in zip(g, v, strict=True))
    want = numpy(torch.autograd.grad(along, start))
    return worst(hessian_vector_product(params, v, *support), want), 54


def meta_gradient_as_in_torch(dtype):
    """Differentiate through one step and through five, with and without the second derivatives."""
    error = 0.0
    _, params, (support, query) = drawn(2)
    for steps in (0, 1, 5):
        for first_order in (False, True):
            start = leaves(params)
            last = torch_adapted(start, support, 0.1, steps, create_graph=not first_order)
            loss = torch_loss(last, *query)
            want = numpy(torch.autograd.grad(loss, start))
            got = maml_gradient(params, support, query, 0.1, steps, first_order)
            error = max(error, worst(got.gradient, want), abs(got.loss / loss.item() - 1))
    return error, 6 * 55


def meta_gradient_by_differences(dtype):
    rng, params, (support, query) = drawn(3)
    direction = [rng.normal(size=p.shape) for p in params]

    def along(t):
        moved = [p + t * d for p, d in zip(params, direction, strict=True)]
        return maml_gradient(moved, support, query, 0.1, 3).loss

    measured = (along(1e-5) - along(-1e-5)) / 2e-5
    g = maml_gradient(params, support, query, 0.1, 3).gradient
    derived = sum(np.vdot(a, d) for a, d in zip(g, direction, strict=True))
    size = np.sqrt(sum(np.vdot(a, a) for a in g) * sum(np.vdot(d, d) for d in direction))
    return abs(measured - derived) / size, 1


def tasks_are_uniform(dtype):
    """Kolmogorov's distance of amplitudes and phases from their distributions, as a share of the 0.999 quantile."""
    import scipy.stats

    rng = np.random.default_rng(4)
    tasks = [sinusoid_task(5, rng) for _ in range(2000)]
    assert all(np.array_equal(t.y, t.amplitude * np.sin(t.x - t.phase)) and abs(t.x).max() <= 5 for t in tasks)
    samples = ([t.amplitude for t in tasks], (0.1, 4.9)), ([t.phase for t in tasks], (0.0, np.pi))
    return max(scipy.stats.kstest(v, "uniform", args=a).statistic for v, a in samples) * np.sqrt(2000) / 1.95, 4000


def dtype_is_kept(dtype):
    """Count results that are not of the type of the arguments, and arguments that were changed."""
    _, params, (support, query) = drawn(5)
    params = [p.astype(dtype) for p in params]
    support, query = (tuple(a.astype(dtype) for a in pair) for pair in (support, query))
    before = [p.copy() for p in params]
    results = [
        *maml_gradient(params, support, query, 0.1, 2).gradient,
        *hessian_vector_product(params, params, *support),
        *adapt(params, *support, 0.1, 2),
        *reptile_direction(params, *support, 0.1, 2),
        regress(params, support[0]),
    ]
    changed = sum(not np.array_equal(a, b) for a, b in zip(before, params, strict=True))
    return sum(r.dtype != dtype for r in results) + changed, len(results)


ONCE = {"dtypes": ("float64",)}
PROOFS = [
    Proof(
        [adapt, regress, reptile_direction],
        "autograd of PyTorch",
        "ten steps of a network with three layers",
        "normwise",
        TRAINED,
        steps_as_in_torch,
        **ONCE,
    ),
    Proof(
        [hessian_vector_product],
        "autograd of PyTorch, twice",
        "three layers",
        "normwise",
        1e-12,
        hessian_as_in_torch,
        **ONCE,
    ),
    Proof(
        [maml_gradient],
        "autograd of PyTorch with create_graph",
        "0, 1 and 5 inner steps, with and without Hessians",
        "normwise",
        1e-11,
        meta_gradient_as_in_torch,
        **ONCE,
    ),
    Proof(
        [maml_gradient],
        "a central difference",
        "3 inner steps, a random direction",
        "relative",
        1e-7,
        meta_gradient_by_differences,
        **ONCE,
    ),
    Proof(
        [sinusoid_task],
        "Kolmogorov's test at 0.001",
        "2,000 tasks: amplitude and phase",
        "share",
        1.0,
        tasks_are_uniform,
        **ONCE,
    ),
    Proof(
        [adapt, regress, reptile_direction, hessian_vector_product, maml_gradient],
        "the arguments",
        "dtype kept, arguments as before",
        "count",
        0,
        dtype_is_kept,
    ),
]

ONE = [np.zeros((1, 1)), np.zeros(1)], (np.ones((1, 1)), np.ones((1, 1)))


def ours(which):
    start, data = ONE
    if which == "Reptile":
        return float(reptile_direction(start, *data, 0.1, 2)[0][0, 0])
    return float(maml_gradient(start, data, data, 0.1, 2, which == "first order").gradient[0][0, 0])


CONVENTIONS = [
    Convention(
        "meta-learning",
        "meta-directions",
        "What the start is moved along",
        "$(w + b - 1)^2$ from $w = b = 0$, two inner steps at 0.1: the direction of w",
        [
            Row("MAML, `maml_gradient`", "the gradient through both steps", "-0.2592", lambda: ours("MAML"), "{:.4f}"),
            Row(
                "first-order MAML, `first_order=True`",
                "the last gradient alone",
                "-0.7200",
                lambda: ours("first order"),
                "{:.4f}",
            ),
            Row(
                "Reptile, `reptile_direction`",
                "the sum of both gradients",
                "-3.2000",
                lambda: ours("Reptile"),
                "{:.4f}",
            ),
        ],
    ),
]


def thunks(dtype):
    _, params, (support, query) = drawn(0, (1, 40, 40, 1))
    params = [p.astype(dtype) for p in params]
    support, query = (tuple(a.astype(dtype) for a in pair) for pair in (support, query))
    start = [torch.from_numpy(p).requires_grad_() for p in params]

    def peer():
        return torch.autograd.grad(torch_loss(torch_adapted(start, support, 0.01, 1), *query), start)

    return lambda: maml_gradient(params, support, query, 0.01), peer


def products(dtype):
    rng, params, (support, _) = drawn(0, (1, 40, 40, 1))
    params = [p.astype(dtype) for p in params]
    v = [rng.normal(size=p.shape).astype(dtype) for p in params]
    support = tuple(a.astype(dtype) for a in support)
    start, direction = [torch.from_numpy(p).requires_grad_() for p in params], [torch.from_numpy(a) for a in v]

    def peer():
        g = torch.autograd.grad(torch_loss(start, *support), start, create_graph=True)
        return torch.autograd.grad(g, start, grad_outputs=direction)

    return lambda: hessian_vector_product(params, v, *support), peer


def wave(dtype):
    """Return parameters, ten points of a task, and the parameters as tensors."""
    _, params, (support, _) = drawn(0, (1, 40, 40, 1))
    params, support = [p.astype(dtype) for p in params], tuple(a.astype(dtype) for a in support)
    return params, support, [torch.from_numpy(p).requires_grad_() for p in params]


def answers(dtype):
    params, (x, _), start = wave(dtype)
    tensors, tx = [p.detach() for p in start], torch.from_numpy(x)
    return lambda: regress(params, x), lambda: torch_output(tensors, tx)


def five_steps(dtype):
    params, support, start = wave(dtype)
    return lambda: adapt(params, *support, 0.01, 5), lambda: torch_adapted(start, support, 0.01, 5, False)


def direction(dtype):
    params, support, start = wave(dtype)

    def peer():
        return [(a - b) / 0.01 for a, b in zip(start, torch_adapted(start, support, 0.01, 5, False), strict=True)]

    return lambda: reptile_direction(params, *support, 0.01, 5), peer


BENCH = [
    Bench("training.regress", "the same layers in torch", "1-40-40-1", answers),
    Bench("training.adapt", "torch.autograd.grad, step by step", "1-40-40-1, five steps", five_steps, graph=True),
    Bench("training.reptile_direction", "the same steps in torch", "1-40-40-1, five steps", direction, graph=True),
    Bench("training.maml_gradient", "torch, create_graph", "1-40-40-1, one step", thunks, aim=1.0),
    Bench("training.hessian_vector_product", "torch.autograd.grad, twice", "1-40-40-1", products, aim=1.0, graph=True),
]

LINE = np.array([[7.0]]), np.array([0.0])
ALONG = np.array([[1.0]]), np.array([0.0])
EDGES = [
    Edge(
        regress,
        (LINE, np.zeros((0, 1))),
        np.zeros((0, 1)),
        "no examples, no outputs",
        input="no rows",
        output="no rows",
    ),
    Edge(
        adapt,
        (LINE, [[1.0]], [[5.0]]),
        ([[7.0]], [0.0]),
        "no step: the start",
        {"lr": 0.1, "steps": 0},
        input="steps = 0",
        output="W = 7, b = 0",
    ),
    Edge(
        hessian_vector_product,
        (LINE, ALONG, [[3.0]], [[1.0]]),
        ([[18.0]], [6.0]),
        "one linear layer: the curvature is the same everywhere",
        input="W = 7, b = 0, v = (1, 0), x = 3",
        output="2 x^2 = 18, 2 x = 6",
    ),
    Edge(
        reptile_direction,
        (LINE, [[1.0]], [[5.0]]),
        ValueError,
        "a rate of 0 leads nowhere",
        {"lr": 0.0, "steps": 1},
        input="lr = 0",
    ),
    Edge(regress, (LINE[:1], [[1.0]]), ValueError, "weights without their biases", input="one array of weights"),
]
