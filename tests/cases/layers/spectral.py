"""Spectral normalization against PyTorch's parametrization and against singular values."""

import numpy as np
import torch

from dlref.layers import (
    conv2d_singular_values,
    power_iteration,
    spectral_normalize,
    spectral_normalize_backward,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.oracles import from_torch

EPS = {name: float(np.finfo(name).eps) for name in ("float32", "float64")}


def vectors(rng, shape):
    """Weights, and vectors near their first singular ones: with random ones the quotient is ill-conditioned."""
    w = rng.normal(size=shape)
    u, _, v = np.linalg.svd(w.reshape(shape[0], -1), full_matrices=False)
    near = [x + 0.1 * rng.normal(size=x.size) / np.sqrt(x.size) for x in (u[:, 0], v[0])]
    return w, *(x / np.linalg.norm(x) for x in near)


def far(rng, dtype):
    return 10 * np.sqrt(np.finfo(dtype).max) * rng.normal(size=(6, 24)), rng.normal(size=6)


def torch_normalize(w, u, v):
    return w / (u @ w.reshape(w.shape[0], -1) @ v)


def from_svd(w, u, steps, eps=1e-12):
    """The formula of the iterates in the basis of the singular vectors, from NumPy's decomposition."""
    left, sigma, right = np.linalg.svd(w.reshape(w.shape[0], -1), full_matrices=False)
    start = left.T @ u
    top, ratio = sigma[0], sigma / sigma[0]
    v = ratio ** (2 * steps - 1) * start
    out = ratio ** (2 * steps) * start
    v, out = v / np.linalg.norm(v), out / np.linalg.norm(out)
    return left @ out, right.T @ v, np.asarray(top * np.linalg.norm(ratio * v))


def dense_singular_values(w, size):
    """Those of the whole matrix of the convolution, sorted.

    By Jacobi's rotations in long double, every row with every other in turn until all are orthogonal. In float64
    `numpy.linalg.svd` is off by some 40 eps in the pairs that a real filter has at conjugate frequencies.
    """
    channels = w.shape[1]
    units = torch.eye(channels * size[0] * size[1], dtype=torch.float64).reshape(-1, channels, *size)
    around = torch.nn.functional.pad(units, (0, w.shape[3] - 1, 0, w.shape[2] - 1), mode="circular")
    columns = torch.nn.functional.conv2d(around, torch.from_numpy(w.astype(np.float64)))
    rows = columns.reshape(len(units), -1).numpy().astype(np.longdouble)
    order, half = np.arange(len(rows)), len(rows) // 2
    for _ in range(10 * (len(rows) - 1)):
        one, other = order[:half], order[half:][::-1]
        x, y = rows[one], rows[other]
        difference, twice = (y * y).sum(axis=1) - (x * x).sum(axis=1), 2 * (x * y).sum(axis=1)
        angle = np.where(difference < 0, -1, 1) * np.arctan2(twice, abs(difference)) / 2
        c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
        rows[one], rows[other] = c * x - s * y, s * x + c * y
        order[1:] = np.roll(order[1:], 1)
    return np.sort(np.sqrt((rows * rows).sum(axis=1)))[::-1]


CASES = [
    Case(
        spectral_normalize,
        lambda rng: vectors(rng, (5, 7)),
        "torch: the weights over a bilinear form",
        from_torch(torch_normalize),
        bound=Normwise(35),
        gradient_bound=Normwise(35, 4.0),
        refuses=[
            ((np.ones((2, 3)), [1.0], [1.0, 0.0, 0.0]), {}, ValueError, r"u: expected shape \(2,\), got \(1,\)"),
            ((np.ones((2, 3)), [1.0, 0.0], [1.0]), {}, ValueError, r"v: expected shape \(3,\), got \(1,\)"),
        ],
    ),
    Case(
        power_iteration,
        lambda rng: (rng.normal(size=(6, 3, 2, 4)), rng.normal(size=6)),
        "numpy.linalg.svd",
        from_svd,
        kwargs={"steps": 3},
        sweep={"squares that overflow": far},
        bound=Normwise(24, 4.0),
        refuses=[
            ((np.ones((2, 3)), [1.0]), {}, ValueError, r"u: expected shape \(2,\), got \(1,\)"),
            ((np.ones((2, 3)), [1.0, 0.0]), {"steps": 0}, ValueError, "steps: expected an integer at least 1, got 0"),
            ((np.ones((2, 3)), [1.0, 0.0]), {"eps": 0}, ValueError, r"eps: expected a number in \(0, inf\], got 0"),
        ],
    ),
]


def parametrization(dtype):
    """PyTorch's layer in training: the normalized weights, and its gradient, after one round of its iteration."""
    torch.manual_seed(2)
    layer = torch.nn.utils.parametrizations.spectral_norm(
        torch.nn.Conv2d(3, 5, 2, dtype=getattr(torch, np.dtype(dtype).name))
    )
    plain = layer.parametrizations.weight
    w, v = plain.original.detach().numpy().copy(), plain[0]._v.numpy().copy()
    want = layer.weight  # takes one round, v first to u and then back
    dy = np.random.default_rng(0).normal(size=w.shape).astype(dtype)
    gradient = torch.autograd.grad(want, plain.original, torch.from_numpy(dy))[0].numpy()
    matrix = w.reshape(5, -1)
    back = power_iteration(matrix.T, v)
    got = spectral_normalize(w, back.v, back.u)
    dw = spectral_normalize_backward(dy, w, back.v, back.u)
    pairs = (got, want.detach().numpy()), (dw, gradient)
    return max(abs(a - b).max() / abs(b).max() for a, b in pairs), 2 * w.size


def never_above(dtype):
    """How far an estimate exceeds the true norm, over many starts and rounds, relative to it."""
    rng, worst, count = np.random.default_rng(1), 0.0, 0
    for _ in range(40):
        w = rng.normal(size=(9, 14)).astype(dtype)
        top = np.linalg.norm(w.astype(float), 2)
        u = rng.normal(size=9).astype(dtype)
        for _ in range(15):
            u, _, sigma = power_iteration(w, u)
            worst = max(worst, float(sigma) / top - 1)
            count += 1
    return worst, count


def convolution(dtype):
    w = np.random.default_rng(4).normal(size=(5, 4, 3, 2)).astype(dtype)
    got = np.sort(conv2d_singular_values(w, (3, 6)).ravel())[::-1]
    want = dense_singular_values(w, (3, 6))
    return float(abs(got - want).max() / want[0]), want.size


PROOFS = [
    Proof(
        [spectral_normalize, spectral_normalize_backward],
        "torch.nn.utils.parametrizations.spectral_norm",
        "filters of shape (5, 3, 2, 2), one round; values and gradient",
        "normwise",
        {name: 32 * eps for name, eps in EPS.items()},
        parametrization,
    ),
    Proof(
        [power_iteration],
        "the estimate never exceeds numpy.linalg.norm(w, 2)",
        "40 matrices of 9 × 14, 15 rounds each",
        "relative",
        {name: 16 * eps for name, eps in EPS.items()},
        never_above,
    ),
    Proof(
        [conv2d_singular_values],
        "Jacobi's rotations in long double of the whole matrix, built by torch conv2d",
        "filters of shape (5, 4, 3, 2) on images of 3 × 6",
        "normwise",
        {name: 16 * eps for name, eps in EPS.items()},
        convolution,
    ),
]

EDGES = [
    Edge(
        spectral_normalize,
        ([[3.0, 0.0], [0.0, 1.5]], [1.0, 0.0], [1.0, 0.0]),
        [[1.0, 0.0], [0.0, 0.5]],
        "the true vectors: the norm of the result is 1",
        input="diag(3, 1.5), u = v = (1, 0)",
        output="diag(1, 0.5)",
    ),
    Edge(
        spectral_normalize,
        ([[3.0, 0.0], [0.0, 1.5]], [0.0, 1.0], [0.0, 1.0]),
        [[2.0, 0.0], [0.0, 1.0]],
        "the vectors of another singular value: the norm is 2",
        input="diag(3, 1.5), u = v = (0, 1)",
        output="diag(2, 1)",
    ),
    Edge(
        spectral_normalize,
        ([[0.0]], [1.0], [1.0]),
        [[np.nan]],
        "weights of zero have no direction: 0 / 0",
        input="0, u = v = 1",
        output="nan",
    ),
    Edge(
        power_iteration,
        ([[1e30, 0.0], [0.0, 3e30]], [0.0, 1.0]),
        (np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.float64(3e30)),
        "in float32 the squares are infinite, the norm is not",
        input="diag(1e30, 3e30), u = (0, 1)",
        output="u = v = (0, 1), 3e30",
    ),
    Edge(
        power_iteration,
        ([[3e-30]], [1.0]),
        (np.array([1.0]), np.array([1.0]), np.float64(3e-30)),
        "in float32 the squares are zero, the norm is not",
        {"eps": 1e-37},
        input="3e-30, u = 1, epsilon 1e-37",
        output="u = v = 1, 3e-30",
    ),
    Edge(
        power_iteration,
        ([[1e-13]], [1.0]),
        (np.array([0.01]), np.array([0.1]), np.float64(1e-14)),
        "below epsilon, 1e-12, vectors are divided by it and stay short",
        input="1e-13, u = 1",
        output="u = 0.01, v = 0.1, 1e-14",
    ),
    Edge(
        power_iteration,
        ([3.0, 4.0], [1.0, 0.0]),
        (np.array([0.6, 0.8]), np.array([1.0]), np.float64(5.0)),
        "a vector is a matrix of one column",
        input="(3, 4), u = (1, 0)",
        output="u = (0.6, 0.8), v = 1, 5",
    ),
    Edge(spectral_normalize, ([3.0, 4.0], [0.6, 0.8], [1.0]), [0.6, 0.8], "a vector is divided by its length"),
    Edge(
        conv2d_singular_values,
        (np.full((2, 3, 1, 1), np.nan), (1, 2)),
        np.full((1, 2, 2), np.nan),
        "every frequency sees every number",
        input="NaN in filters of shape (2, 3, 1, 1), images of 1 × 2",
        output="nan, two at each frequency",
    ),
    Edge(
        conv2d_singular_values,
        (np.ones((1, 1, 2, 3)), (3, 2)),
        ValueError,
        "an image smaller than the filter",
        input="filters of 2 × 3, images of 3 × 2",
    ),
    Edge(
        power_iteration,
        ([[0.0]], [1.0]),
        (np.array([0.0]), np.array([0.0]), np.float64(0.0)),
        "weights of zero: no direction, the norm 0",
        input="0, u = 1",
        output="u = v = 0, 0",
    ),
    Edge(
        spectral_normalize_backward,
        ([[1.0, 0.0], [0.0, 0.0]], [[3.0, 0.0], [0.0, 1.5]], [1.0, 0.0], [1.0, 0.0]),
        [[0.0, 0.0], [0.0, 0.0]],
        "a change of the largest singular value alone is undone",
        input="dy = u v^T, diag(3, 1.5)",
        output="0",
    ),
]


def diagonal():
    layer = torch.nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.diag(torch.tensor([3.0, 2.0])))
    return layer


def norm_of(weight):
    return np.linalg.norm(weight.detach().double().numpy(), 2)


def torch_fresh():
    torch.manual_seed(0)
    return norm_of(torch.nn.utils.parametrizations.spectral_norm(diagonal()).weight)


def torch_old():
    layer = torch.nn.utils.spectral_norm(diagonal())
    layer.weight_u.copy_(torch.tensor([0.6, 0.8]))
    layer(torch.zeros(1, 2))
    return norm_of(layer.weight)


def keras_rounds():
    import keras

    dense = keras.layers.Dense(2, use_bias=False)
    wrapped = keras.layers.SpectralNormalization(dense, power_iterations=1)
    wrapped.build((None, 2))
    dense.kernel.assign(np.diag([3.0, 2.0]).astype(np.float32))
    wrapped.vector_u.assign(np.array([[0.6, 0.8]], np.float32))
    wrapped(np.zeros((1, 2), np.float32), training=True)
    return np.linalg.norm(np.asarray(dense.kernel.value.detach().numpy(), float), 2)


def ours():
    w = np.diag([3.0, 2.0])
    u, v, _ = power_iteration(w, [0.6, 0.8])
    return np.linalg.norm(spectral_normalize(w, u, v), 2)


CONVENTIONS = [
    Convention(
        "spectral-normalization",
        "spectral-first-pass",
        "Rounds before the first pass",
        "a fresh layer with weights diag(3, 2), started where it can be at (0.6, 0.8): their norm in the first pass",
        [
            Row("dlref", "as many as are asked for; here one", "1.1510", ours, "{:.4f}", "dlref"),
            Row(
                "PyTorch, `parametrizations.spectral_norm`",
                "15 when the layer is made, then one in every pass in training",
                "1.0000",
                torch_fresh,
                "{:.4f}",
                "torch",
            ),
            Row(
                "PyTorch, `nn.utils.spectral_norm` (older)",
                "one in every pass in training",
                "1.1510",
                torch_old,
                "{:.4f}",
                "torch",
            ),
            Row(
                "Keras, `SpectralNormalization`",
                "one in every pass in training; the result overwrites the weights",
                "1.1510",
                keras_rounds,
                "{:.4f}",
                "keras",
            ),
        ],
    ),
]


def iteration_thunks(dtype):
    rng = np.random.default_rng(0)
    w, u = rng.normal(size=(256, 1152)).astype(dtype), rng.normal(size=256).astype(dtype)
    tw, tu = torch.from_numpy(w), torch.from_numpy(u)

    def peer():
        v = torch.nn.functional.normalize(torch.mv(tw.T, tu), dim=0, eps=1e-12)
        return torch.nn.functional.normalize(torch.mv(tw, v), dim=0, eps=1e-12)

    return lambda: power_iteration(w, u), peer


def normalize_thunks(dtype):
    w, u, v = (x.astype(dtype) for x in vectors(np.random.default_rng(0), (256, 1152)))
    tw, tu, tv = map(torch.from_numpy, (w, u, v))
    return lambda: spectral_normalize(w, u, v), lambda: tw / torch.dot(tu, torch.mv(tw, tv))


def backward_thunks(dtype):
    w, u, v = (x.astype(dtype) for x in vectors(np.random.default_rng(0), (256, 1152)))
    tw, tu, tv, tdy = torch.from_numpy(w).requires_grad_(), *map(torch.from_numpy, (u, v, w))
    y = torch_normalize(tw, tu, tv)
    ours = spectral_normalize_backward
    return lambda: ours(w, w, u, v), lambda: torch.autograd.grad(y, tw, tdy, retain_graph=True)


def values_thunks(dtype):
    w = np.random.default_rng(0).normal(size=(16, 8, 3, 3)).astype(dtype)
    t = torch.from_numpy(w)

    def peer():
        return torch.linalg.svdvals(torch.fft.fft2(t, (16, 16)).permute(2, 3, 0, 1))

    return lambda: conv2d_singular_values(w, 16), peer


BENCH = [
    Bench("layers.power_iteration", "the same lines in torch", "256 × 1152, one round", iteration_thunks),
    Bench("layers.spectral_normalize", "the same lines in torch", "256 × 1152", normalize_thunks),
    Bench("layers.spectral_normalize_backward", "autograd of these lines", "256 × 1152", backward_thunks),
    Bench("layers.conv2d_singular_values", "the same lines in torch", "16 × 8 × 3 × 3 on 16 × 16", values_thunks),
]
