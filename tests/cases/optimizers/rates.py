"""Stability on quadratics, sharpness with and without the matrix, the range test in closed form."""

import inspect

import numpy as np
import torch

from dlref.optimizers import (
    range_test,
    range_test_rates,
    sharpness,
    sharpness_of_gradient,
    stability_limit,
)
from tests.bounds import ULP, Exact
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

inf, nan = np.inf, np.nan


def closed_form(curvature, momentum=0.0):
    """Two (1 + momentum) over the curvature, where that is positive."""
    out = np.full(curvature.shape, nan)
    out[curvature == 0], out[curvature < 0] = inf, 0.0
    out[curvature > 0] = 2 * (1 + momentum) / curvature[curvature > 0]
    return out


def every_magnitude(rng, dtype):
    limit = np.log10(np.finfo(dtype).max) - 2
    return (np.concatenate([s * np.logspace(-limit, limit, 50_000) for s in (1, -1)] + [[0.0, -0.0, nan]]),)


def curve(rng):
    return np.geomspace(1e-4, 10, 37), rng.normal(size=37)


def by_numpy(lr, loss):
    """The least entry of numpy.gradient in the logarithm of the rate, but for both ends; the least loss."""
    slope = np.gradient(loss, np.log(lr[-1] / lr[0]) / (len(lr) - 1))
    return lr[1 + np.argmin(slope[1:-1])], lr[np.argmin(loss)]


CASES = [
    Case(
        stability_limit,
        lambda rng: (rng.uniform(0.2, 3.0, size=(5, 3)),),
        "closed form in float64",
        closed_form,
        sweep={"100,003 curvatures over all magnitudes, both signs": every_magnitude},
        bound=ULP(1),
        refuses=[
            (([1.0],), {"momentum": 1.0}, ValueError, "momentum: expected a number in"),
            (([1.0],), {"momentum": nan}, ValueError, "momentum: expected a number in"),
        ],
    ),
    Case(
        stability_limit,
        lambda rng: (rng.uniform(-1.0, 3.0, size=(5, 3)),),
        "closed form in float64",
        closed_form,
        kwargs={"momentum": 0.75},
        bound=ULP(1),
        label="momentum 0.75",
    ),
    Case(
        range_test_rates,
        curve,
        "numpy.gradient and numpy.argmin",
        by_numpy,
        bound=Exact(),
        refuses=[
            (([1.0, 2.0], [1.0]), {}, ValueError, "loss: expected the shape of lr"),
            (([[1.0]], [[1.0]]), {}, ValueError, "lr: expected 1 dimension, got 2"),
            (([2.0, 1.0], [1.0, 1.0]), {}, ValueError, "lr: expected positive, rising rates"),
            (([0.0, 1.0], [1.0, 1.0]), {}, ValueError, "lr: expected positive, rising rates"),
        ],
    ),
]


def matrices(dtype):
    """Symmetric matrices whose largest eigenvalue stands clear of the next, with a start for each."""
    rng = np.random.default_rng(3)
    spectra = {
        "one entry": [3.0],
        "positive definite": np.geomspace(0.01, 5, 40),
        "indefinite": np.r_[np.linspace(-2, 1, 60), 3.0],
        "the largest in absolute value is negative": np.r_[-9.0, np.linspace(-2, 1, 60), 3.0],
        "two of opposite sign compete": np.r_[-3.0, np.linspace(-2, 2, 50), 3.0],
        "negative definite": -np.geomspace(0.5, 8, 20),
        "the largest twice": np.r_[np.linspace(0, 1, 30), 2.0, 2.0],
        "large numbers": 1e12 * np.geomspace(0.01, 5, 17),
    }
    for words, spectrum in spectra.items():
        basis = np.linalg.qr(rng.normal(size=(len(spectrum),) * 2))[0]
        a = (basis * spectrum) @ basis.T
        yield words, ((a + a.T) / 2).astype(dtype), rng.normal(size=len(spectrum)).astype(dtype)


def largest_eigenvalue(dtype):
    """The value against LAPACK on the same numbers, as a share of the norm of the matrix."""
    worst, count = 0.0, 0
    for words, a, start in matrices(dtype):
        eigenvalues = np.linalg.eigvalsh(a.astype(np.float64))
        found = sharpness(a, start, steps=3000)
        assert found.vector.dtype == dtype, words
        worst = max(worst, abs(found.value - eigenvalues[-1]) / np.abs(eigenvalues).max())
        count += 1
    return worst, count


def bounded(dtype):
    """After any number of products: not above the largest, an eigenvalue within the residual, vector and value fit."""
    worst, count = 0.0, 0
    for _, a, start in matrices(dtype):
        wide = a.astype(np.float64)
        eigenvalues = np.linalg.eigvalsh(wide)
        size = np.abs(eigenvalues).max()
        for steps in (1, 2, 3, 10, 100):
            value, vector, residual = sharpness(a, start, steps)
            v = vector.astype(np.float64)
            worst = max(worst, (value - eigenvalues[-1]) / size)
            worst = max(worst, (np.abs(eigenvalues - value).min() - residual) / size)
            worst = max(worst, abs(np.linalg.norm(wide @ v - value * v) - residual) / size)
            count += 3
    return worst, count


def tanh_fit(dtype):
    """A regression with tanh: its gradient by hand in this dtype, its Hessian by PyTorch."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    p = rng.normal(size=8)

    def loss(q):
        h = torch.tanh(torch.from_numpy(x) @ q[:6].reshape(3, 2))
        return ((h @ q[6:] - torch.from_numpy(y)) ** 2).mean() / 2

    def gradient(q):
        h = np.tanh(x.astype(dtype) @ q[:6].reshape(3, 2))
        r = (h @ q[6:] - y.astype(dtype)) / dtype(20)
        return np.concatenate([(x.astype(dtype).T @ (r[:, None] * q[6:] * (1 - h * h))).ravel(), h.T @ r])

    p = p.astype(dtype)
    hessian = torch.autograd.functional.hessian(loss, torch.from_numpy(p.astype(np.float64))).numpy()
    return gradient, p, rng.normal(size=8).astype(dtype), hessian


def differences(dtype):
    """Power iteration on differences of gradients against LAPACK on the Hessian of PyTorch."""
    gradient, p, start, hessian = tanh_fit(dtype)
    eigenvalues = np.linalg.eigvalsh(hessian)
    found = sharpness_of_gradient(gradient, p, start, steps=500, tol=1e-3 if dtype == np.float32 else 1e-7)
    assert found.vector.dtype == dtype and found.vector.shape == p.shape
    return abs(found.value - eigenvalues[-1]) / np.abs(eigenvalues).max(), 1


def quadratic_products(dtype):
    """On a quadratic a difference of gradients is the product with the matrix."""
    worst, count = 0.0, 0
    for _, a, start in matrices(dtype):
        eigenvalues = np.linalg.eigvalsh(a.astype(np.float64))
        wide = a.astype(np.float64)

        def gradient(p, wide=wide):
            return (wide @ p).astype(dtype)

        found = sharpness_of_gradient(gradient, np.zeros_like(start), start, steps=3000, tol=1e-4, step=0.5)
        worst = max(worst, abs(found.value - eigenvalues[-1]) / np.abs(eigenvalues).max())
        count += 1
    return worst, count


def bowl_losses(dtype):
    """Losses on a quadratic are products of (1 - rate * curvature)^2; the running mean has its weights written out."""
    curvature, start = np.array([0.25, 1.0, 4.0]), np.array([1.0, -2.0, 0.5])
    worst, count = 0.0, 0
    for spacing in ("geometric", "linear"):
        for beta in (0.0, 0.75):

            def bowl(p, k):
                return float(curvature @ p.astype(np.float64) ** 2) / 2, curvature.astype(dtype) * p

            test = range_test(bowl, start.astype(dtype), 1e-3, 4.0, 60, spacing, beta, stop=1e6)
            grid = {"geometric": 1e-3 * 4000 ** (np.arange(60) / 59), "linear": 1e-3 + 3.999 * np.arange(60) / 59}
            n = len(test.lr)
            rates = grid[spacing][:n]
            factors = np.cumprod(1 - rates[:-1, None] * curvature, axis=0)
            errors = start * np.vstack([np.ones(3), factors])
            loss = errors**2 @ curvature / 2
            scale = np.maximum.accumulate(loss)  # an error that has shrunk keeps the rounding of its largest
            weights = np.tril(beta ** np.abs(np.subtract.outer(np.arange(n), np.arange(n))))
            smoothed = weights @ loss / weights.sum(axis=1)
            worst = max(worst, np.abs(test.lr / rates - 1).max(), (np.abs(test.loss - loss) / scale).max())
            worst = max(worst, (np.abs(test.smoothed - smoothed) / scale).max())
            ended = smoothed > 1e6 * np.minimum.accumulate(smoothed)
            assert n == 60 or (ended[-1] and not ended[:-1].any())
            count += 3 * n
    return worst, count


def wall(dtype):
    """Gradient descent on a quadratic ends where it should, a thousandth below the limit and above it."""
    rng, wrong, count = np.random.default_rng(6), 0, 0
    for _, a, start in matrices(dtype):
        wide = a.astype(np.float64)
        limit = float(stability_limit(sharpness(a, start, steps=3000).value))
        if np.linalg.eigvalsh(wide)[0] < 0 or not 0 < limit < inf:
            continue
        for share in (0.999, 1.001):
            p = rng.normal(size=len(wide))
            step = np.eye(len(wide)) - share * limit * wide
            far = np.linalg.norm(wide @ np.linalg.matrix_power(step, 20_000) @ p) / np.linalg.norm(wide @ p)
            wrong += bool(far < 1e-3) != (share < 1)
            count += 1
    return wrong, count


EPS = {"float32": float(np.finfo(np.float32).eps), "float64": float(np.finfo(np.float64).eps)}
SPECTRA = "8 spectra of 1 to 62 eigenvalues: definite, indefinite, tied, of opposite sign"

PROOFS = [
    # the square of the residual's share, 1e-8, is below rounding; in float32 ties part by the rounding of the matrix
    Proof(
        [sharpness],
        "numpy.linalg.eigvalsh",
        SPECTRA,
        "normwise",
        {"float32": EPS["float32"], "float64": 64 * EPS["float64"]},
        largest_eigenvalue,
    ),
    Proof(
        [sharpness],
        "the theorems on Rayleigh quotient and residual",
        SPECTRA + "; 1, 2, 3, 10 and 100 products",
        "gap",
        {"float32": 4 * EPS["float32"], "float64": 64 * EPS["float64"]},  # float32: the vector is rounded to it
        bounded,
    ),
    Proof(
        [sharpness_of_gradient],
        "numpy.linalg.eigvalsh of the Hessian by PyTorch",
        "a network of 8 parameters with tanh",
        "normwise",
        {name: 8 * eps ** (2 / 3) for name, eps in EPS.items()},  # the best a central difference can do
        differences,
    ),
    Proof(
        [sharpness_of_gradient],
        "numpy.linalg.eigvalsh",
        SPECTRA + "; quadratics",
        "normwise",
        2e-6,  # the square of the residual at which it ends, over the gap to the next eigenvalue
        quadratic_products,
    ),
    Proof(
        [range_test],
        "closed form on a quadratic",
        "geometric and linear, smoothed and not, 60 rates, curvatures 0.25, 1 and 4",
        "normwise",
        {name: 256 * eps for name, eps in EPS.items()},  # the rounding of 60 rates, in products that grow
        bowl_losses,
    ),
    Proof(
        [stability_limit, sharpness],
        "20,000 steps of gradient descent",
        "a thousandth below the limit and above it",
        "count",
        0,
        wall,
    ),
]

EDGES = [
    Edge(stability_limit, ([2.0],), [1.0], "2 over the curvature"),
    Edge(stability_limit, ([0.0],), [inf], "flat: nothing moves, every rate is stable"),
    Edge(stability_limit, ([-1.0],), [0.0], "a crest: every rate moves away from it"),
    Edge(stability_limit, ([inf],), [0.0], "no rate is small enough"),
    Edge(stability_limit, ([nan],), [nan], "unknown"),
    Edge(
        stability_limit,
        (np.array([]),),
        np.array([]),
        "nothing in, nothing out",
    ),
    Edge(
        sharpness,
        ([[1.0, 0.0], [0.0, -1.0]], [1.0, 1.0]),
        (1.0, [1.0, 0.0], 0.0),
        "eigenvalues 1 and -1: the second pass decides",
        output="1",
    ),
    Edge(
        sharpness,
        ([[-4.0]], [1.0]),
        (-4.0, [1.0], 0.0),
        "the largest eigenvalue, not its absolute value",
        output="-4",
    ),
    Edge(
        sharpness,
        ([[0.0, 0.0], [0.0, 0.0]], [1.0, 0.0]),
        (0.0, [1.0, 0.0], 0.0),
        "every vector is an eigenvector",
        output="0",
    ),
    Edge(
        sharpness,
        ([[1.0, 0.0], [0.0, 2.0]], [1.0, 0.0]),
        (1.0, [1.0, 0.0], 0.0),
        "a start orthogonal to the answer stays so: begin at random",
        output="1, not 2",
    ),
    Edge(
        sharpness,
        ([[nan]], [1.0]),
        (nan, [1.0], nan),
        "NaN goes through",
        output="NaN",
    ),
    Edge(sharpness, ([[1.0]], [0.0]), ValueError, "a start without direction"),
    Edge(
        range_test_rates,
        ([0.1, 1.0, 10.0], [2.0, 1.0, nan]),
        (nan, 1.0),
        "no slope beside NaN; the lowest of the rest",
    ),
]


def hessian_limit(reduction, factor=1.0):
    """The largest stable rate of PyTorch's squared error for a line through four points."""
    x = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)

    def loss(w):
        return factor * torch.nn.functional.mse_loss(w * x, torch.zeros(4, dtype=torch.float64), reduction=reduction)

    hessian = torch.autograd.functional.hessian(loss, torch.zeros(1, dtype=torch.float64)).numpy()
    return float(stability_limit(sharpness(hessian, [1.0]).value))


def default(function, name):
    return inspect.signature(function).parameters[name].default


def keras_default():
    import keras

    return default(keras.optimizers.SGD.__init__, "learning_rate")


def scikit_default():
    from sklearn.linear_model import SGDRegressor

    return default(SGDRegressor, "eta0")


def middle(spacing):
    return float(range_test(lambda p, k: (1.0, 0 * p), [0.0], 1e-3, 1.0, 3, spacing).lr[1])


CONVENTIONS = [
    Convention(
        "learning-rate",
        "learning-rate-loss",
        "The loss that the rate multiplies",
        "the largest stable rate for $y = wx$ on the points x = 1, 2, 3, 4",
        [
            Row(
                "PyTorch",
                "`MSELoss()`: mean of the squares",
                "0.1333",
                lambda: hessian_limit("mean"),
                "{:.4f}",
                "torch",
            ),
            Row(
                "PyTorch",
                '`MSELoss(reduction="sum")`',
                "0.0333",
                lambda: hessian_limit("sum"),
                "{:.4f}",
                "torch",
            ),
            Row(
                "textbooks",
                "half the mean of the squares",
                "0.2667",
                lambda: hessian_limit("mean", 0.5),
                "{:.4f}",
                source="written out in PyTorch",
            ),
        ],
    ),
    Convention(
        "learning-rate",
        "learning-rate-default",
        "The default of gradient descent",
        "the rate where none is given",
        [
            Row("dlref", "none: `lr` is a required argument", "-", source="by design"),
            Row("PyTorch", "`SGD`", "0.001", lambda: default(torch.optim.SGD.__init__, "lr"), "{:g}", "torch"),
            Row("Keras", "`SGD`", "0.01", keras_default, "{:g}", "keras"),
            Row(
                "scikit-learn",
                "`SGDRegressor`, falling with the fourth root of the step",
                "0.01",
                scikit_default,
                "{:g}",
                "scikit-learn",
            ),
        ],
    ),
    Convention(
        "learning-rate",
        "learning-rate-spacing",
        "How the range test raises the rate",
        "the second of three rates from 0.001 to 1",
        [
            Row(
                "dlref",
                '`spacing="geometric"`, the default: by a factor',
                "0.0316",
                lambda: middle("geometric"),
                "{:.3g}",
                "dlref",
            ),
            Row(
                "Lightning, fastai",
                "`LearningRateFinder`, `lr_find`: by a factor; watch the loss, end at four times the best",
                "0.0316",
                lambda: np.sqrt(1e-3 * 1.0),
                "{:.3g}",
                source="their documentation",
            ),
            Row(
                "dlref",
                '`spacing="linear"`: by an amount',
                "0.5",
                lambda: middle("linear"),
                "{:.1g}",
                "dlref",
            ),
            Row(
                "Smith",
                "by an amount; watch the accuracy (section 3.3)",
                "0.5",
                source="smith2017cyclical",
            ),
        ],
    ),
]


def eigenvalue_thunks(size):
    """Our power iteration and one eigenvalue by LAPACK, for a spectrum that falls like a power."""

    def make(dtype):
        from scipy.linalg import eigh

        rng = np.random.default_rng(0)
        basis = np.linalg.qr(rng.normal(size=(size, size)))[0]
        a = ((basis / np.arange(1, size + 1)) @ basis.T).astype(dtype)
        start = rng.normal(size=size).astype(dtype)
        return (
            lambda: sharpness(a, start),
            lambda: eigh(a, eigvals_only=True, subset_by_index=(size - 1, size - 1), check_finite=False),
        )

    return make


def limit_thunks(dtype):
    curvature = np.random.default_rng(0).uniform(0.1, 10, 100_000).astype(dtype)
    other = torch.from_numpy(curvature)
    return lambda: stability_limit(curvature, 0.9), lambda: 3.8 / other


def gradient_thunks(dtype):
    """The same differences of gradients, by power iteration and by the Lanczos method."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(300, 300)))[0]
    a = ((basis / np.arange(1, 301)) @ basis.T).astype(dtype)
    p, start = rng.normal(size=(2, 300)).astype(dtype)
    step = p.dtype.type(np.cbrt(np.finfo(dtype).eps) * np.linalg.norm(p))

    def product(v):
        return (a @ (p + step * v) - a @ (p - step * v)) / (2 * step)

    hessian = LinearOperator(a.shape, product, dtype=dtype)
    return (
        lambda: sharpness_of_gradient(lambda point: a @ point, p, start),
        lambda: eigsh(hessian, 1, which="LA", v0=start, tol=1e-4, return_eigenvectors=False),
    )


BENCH = [
    *[
        Bench(
            "optimizers.sharpness", "scipy.linalg.eigh, the last eigenvalue alone", f"{n} x {n}", eigenvalue_thunks(n)
        )
        for n in (30, 300, 1000)
    ],
    Bench("optimizers.stability_limit", "the same in torch", "1e5", limit_thunks),
    Bench("optimizers.sharpness_of_gradient", "scipy's eigsh on the same differences", "300 x 300", gradient_thunks),
]
