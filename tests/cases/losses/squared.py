"""The mean squared error, its root, and the decomposition into bias and variance."""

import warnings

import numpy as np
import sklearn.metrics
import torch
import torch.nn.functional as F

from dlref.losses import (
    bias_variance,
    mean_squared_error,
    mean_squared_error_backward,
    mean_squared_error_with_gradient,
    root_mean_squared_error,
    root_mean_squared_error_backward,
)
from tests.bounds import ULP, Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.oracles import from_mpfr, from_torch
from tests.sweeps import exponents, rows

inf, nan = np.inf, np.nan
ROWS = np.array([[[0.5], [2.0], [1.5]]])


def pair(rng):
    return rng.normal(size=(2, 5, 3, 7)) * 4


def flat(rng, length, mean):
    return rng.normal(size=(2, length)) * 4 + mean


def models(rng):
    return rng.normal(size=(11, 7)) * 2, rng.normal(size=7)


def torch_squared(x, y, weight=None, reduction="mean"):
    weight = None if weight is None else weight.to(x.dtype).expand_as(x)
    return F.mse_loss(x, y, reduction=reduction, weight=weight)


def torch_root(x, y, weight=None):
    return torch_squared(x, y, weight).sqrt()


def torch_pair(x, y, **options):
    """The loss and, by autograd, its gradient."""
    leaf = torch.from_numpy(x).requires_grad_()
    options = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    loss = torch_squared(leaf, torch.from_numpy(y), **options)
    loss.backward()
    return loss.detach().numpy(), leaf.grad.numpy()


def by_sklearn(metric):
    def want(x, y, weight=None, **_):
        weight = None if weight is None else np.broadcast_to(weight, x.shape).ravel()
        return metric(y.ravel(), x.ravel(), sample_weight=weight)

    return want


def numpy_decomposition(predictions, truth):
    return (predictions.mean(axis=0) - truth) ** 2, predictions.var(axis=0)


def differences(rng, dtype):
    """Errors of all magnitudes whose squares the dtype holds."""
    info = np.finfo(dtype)
    x = exponents(low=float(info.tiny) ** 0.5, high=float(info.max) ** 0.5 / 2, dtype=dtype)
    return x, np.zeros_like(x)


MSE = "torch.nn.functional.mse_loss"

CASES = [
    Case(
        mean_squared_error,
        pair,
        MSE,
        from_torch(torch_squared),
        sweep=rows(flat),
        refuses=[
            (([1.0], [[1.0]]), {}, ValueError, r"target: expected the shape of prediction, \(1,\), got \(1, 1\)"),
            (([1.0], [1.0]), {"weight": [1.0, 2.0]}, ValueError, r"weight: expected a shape that broadcasts to \(1,\)"),
            (([1.0], [1.0]), {"weight": True}, TypeError, "weight: expected float32, float64 or integers"),
            (([1.0], [1.0]), {"reduction": "half"}, ValueError, "reduction: expected one of 'mean', 'sum', 'none'"),
        ],
        label="mean",
    ),
    Case(mean_squared_error, pair, MSE, from_torch(torch_squared), kwargs={"reduction": "sum"}, label="sum"),
    Case(
        mean_squared_error,
        pair,
        MSE,
        from_torch(torch_squared),
        kwargs={"weight": ROWS, "reduction": "none"},
        bound=Normwise(1),
        label="weights, none",
    ),
    Case(mean_squared_error, pair, MSE, from_torch(torch_squared), kwargs={"weight": ROWS}, label="weights, mean"),
    Case(
        mean_squared_error,
        pair,
        "sklearn.metrics.mean_squared_error",
        by_sklearn(sklearn.metrics.mean_squared_error),
        kwargs={"weight": ROWS},
        label="weights, mean",
    ),
    Case(
        mean_squared_error,
        lambda rng: differences(rng, np.float32),
        "MPFR, 200 bits",
        from_mpfr(lambda x, y, **_: (x - y) ** 2),
        kwargs={"reduction": "none"},
        sweep={"errors of all magnitudes with a normal square": differences},
        bound=ULP(1),
        label="none",
    ),
    Case(mean_squared_error_with_gradient, pair, MSE + " and autograd", torch_pair, sweep=rows(flat), label="mean"),
    Case(
        mean_squared_error_with_gradient,
        pair,
        MSE + " and autograd",
        torch_pair,
        kwargs={"weight": ROWS, "reduction": "sum"},
        refuses=[(([1.0], [1.0]), {"reduction": "none"}, ValueError, "reduction: expected one of 'mean', 'sum', got")],
        label="weights, sum",
    ),
    Case(
        root_mean_squared_error,
        pair,
        "sklearn.metrics.root_mean_squared_error",
        by_sklearn(sklearn.metrics.root_mean_squared_error),
        sweep=rows(flat),
        gradient=torch_root,
    ),
    Case(
        root_mean_squared_error,
        pair,
        "sklearn.metrics.root_mean_squared_error",
        by_sklearn(sklearn.metrics.root_mean_squared_error),
        kwargs={"weight": ROWS},
        gradient=torch_root,
        label="weights",
    ),
    Case(
        bias_variance,
        models,
        "numpy.mean and numpy.var",
        numpy_decomposition,
        sweep={
            "1,000 models": lambda rng, dtype: (rng.normal(size=(1000, 7)), rng.normal(size=7)),
            "1,000 models, all with a bias of 1e4": lambda rng, dtype: (rng.normal(size=(1000, 7)) + 1e4, np.zeros(7)),
        },
        bound=Normwise(1000),
        refuses=[
            (([1.0], [1.0]), {}, ValueError, "predictions: expected 2 dimensions, got 1"),
            (([[1.0, 2.0]], [1.0]), {}, ValueError, r"truth: expected shape \(2,\), got \(1,\)"),
            ((np.zeros((0, 2)), [1.0, 2.0]), {}, ValueError, "predictions: expected at least one model, got none"),
        ],
    ),
]


def known_model(dtype, count=20_000, noise=0.4):
    """Fit cubics by least squares to many noisy samples of a sine.

    The fit is y -> H y, hence the squared bias is (H f - f)^2 and the variance s^2 diag(H H^T); the difference to the
    measured ones is counted in standard errors.
    """
    rng = np.random.default_rng(2)
    x = np.linspace(-1, 1, 23)
    truth, powers = np.sin(3 * x), np.vander(x, 4)
    hat = powers @ np.linalg.pinv(powers)
    fits = (truth + noise * rng.normal(size=(count, len(x)))) @ hat.T
    got = bias_variance(fits.astype(dtype), truth.astype(dtype))
    bias, variance = hat @ truth - truth, noise**2 * (hat**2).sum(axis=1)
    spread_of_variance = variance * np.sqrt(2 / count)
    spread_of_bias = 2 * abs(bias) * np.sqrt(variance / count) + variance / count
    errors = abs(got.variance - variance) / spread_of_variance, abs(got.squared_bias - bias**2) / spread_of_bias
    return np.max(errors), 2 * len(x)


def expected_error(dtype):
    """The mean over data sets of the squared error on new targets is bias^2 + variance + noise, in standard errors."""
    rng = np.random.default_rng(4)
    count, points, noise = 20_000, 23, 0.4
    fits = 1.5 + rng.normal(size=(count, points)) * 0.7
    targets = 1.0 + rng.normal(size=(count, points)) * noise
    got = float(mean_squared_error(fits.astype(dtype), targets.astype(dtype)))
    variance = 0.7**2 + noise**2
    deviation = np.sqrt((2 * variance**2 + 4 * 0.5**2 * variance) / fits.size)
    return abs(got - (0.5**2 + variance)) / deviation, fits.size


PROOFS = [
    Proof(
        [bias_variance],
        "closed form for least squares on a fixed design",
        "cubics fitted to 20,000 samples of 23 points",
        "standard errors",
        5.0,
        known_model,
    ),
    Proof(
        [mean_squared_error],
        "the decomposition: 0.5^2 + 0.7^2 + 0.4^2",
        "460,000 normal draws of prediction and target",
        "standard errors",
        4.0,
        expected_error,
    ),
]

EDGES = [
    Edge(mean_squared_error, ([], []), nan, "the mean over nothing: 0 / 0"),
    Edge(mean_squared_error, ([], []), 0.0, "the sum over nothing", {"reduction": "sum"}, "[], [], sum"),
    Edge(mean_squared_error, ([1.0], [0.0], [0.0]), nan, "no weight at all: 0 / 0", input="[1], [0], weight [0]"),
    Edge(mean_squared_error, ([inf], [0.0]), inf, "infinitely wrong"),
    Edge(mean_squared_error, ([inf], [inf]), nan, "inf - inf"),
    Edge(mean_squared_error, ([1e200], [0.0]), inf, "the square of a large error overflows"),
    Edge(
        mean_squared_error,
        ([nan, 1.0], [0.0, 0.0], [0.0, 1.0]),
        nan,
        "NaN passes through, even with weight 0",
        input="[nan, 1], [0, 0], weight [0, 1]",
    ),
    Edge(mean_squared_error_backward, (1.0, [2.0], [2.0]), [0.0], "no error, no pull"),
    Edge(root_mean_squared_error_backward, (1.0, [2.0, 3.0], [2.0, 3.0]), [0.0, 0.0], "no derivative: zero is chosen"),
]


def keras_weighted(reduction):
    import keras

    loss = keras.losses.MeanSquaredError(reduction=reduction)
    return float(loss(np.zeros((2, 1)), np.array([[1.0], [2.0]]), sample_weight=np.array([1.0, 3.0])))


def keras_error(prediction, target):
    import keras

    return float(keras.losses.MeanSquaredError()(np.array(target), np.array(prediction)))


def torch_broadcast():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(F.mse_loss(t(COLUMN), t(LINE)))


def ours_broadcast():
    try:
        return mean_squared_error(COLUMN, LINE)
    except ValueError:
        return "ValueError"


def torch_root_slope():
    x = t([2.0, 3.0]).requires_grad_()
    F.mse_loss(x, t([2.0, 3.0])).sqrt().backward()
    return float(x.grad[0])


def torch_norm_slope():
    x = t([2.0, 3.0]).requires_grad_()
    (torch.linalg.vector_norm(x - t([2.0, 3.0])) / 2**0.5).backward()
    return float(x.grad[0])


def sklearn_half():
    from sklearn.neural_network._base import squared_loss

    return float(squared_loss(np.array([[1.0]]), np.array([[3.0]])))


def t(value):
    return torch.tensor(value, dtype=torch.float64)


COLUMN, LINE = [[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0]
TABLE, ZEROS = [[1.0, 3.0], [1.0, 3.0]], [[0.0, 0.0], [0.0, 0.0]]

CONVENTIONS = [
    Convention(
        "mean-squared-error",
        "mse-half",
        "The factor 1/2",
        "one prediction, 3, of the target 1",
        [
            Row("dlref", "without", "4.0", lambda: float(mean_squared_error([3.0], [1.0])), package="dlref"),
            Row(
                "PyTorch", "`mse_loss`: without", "4.0", lambda: float(F.mse_loss(t([3.0]), t([1.0]))), package="torch"
            ),
            Row(
                "Keras on PyTorch",
                "`MeanSquaredError`: without",
                "4.0",
                lambda: keras_error([[3.0]], [[1.0]]),
                package="keras",
            ),
            Row(
                "scikit-learn",
                "the metric `mean_squared_error`: without",
                "4.0",
                lambda: float(sklearn.metrics.mean_squared_error([1.0], [3.0])),
                package="scikit-learn",
            ),
            Row(
                "scikit-learn",
                "what `MLPRegressor` minimizes and reports as `loss_`: with",
                "2.0",
                sklearn_half,
                package="scikit-learn",
            ),
            Row("Rumelhart et al. 1986", "their equation 3: with, and a sum", "2.0", source="rumelhart1986learning"),
        ],
    ),
    Convention(
        "mean-squared-error",
        "mse-weights",
        "What a weighted mean divides by",
        "errors 1 and 2, weights 1 and 3",
        [
            Row(
                "dlref",
                "the sum of the weights, 4",
                "3.25",
                lambda: float(mean_squared_error([1.0, 2.0], [0.0, 0.0], [1.0, 3.0])),
                package="dlref",
            ),
            Row(
                "PyTorch",
                "`mse_loss(weight=...)`: the same",
                "3.25",
                lambda: float(F.mse_loss(t([1.0, 2.0]), t([0.0, 0.0]), weight=t([1.0, 3.0]))),
                package="torch",
            ),
            Row(
                "scikit-learn",
                "`sample_weight`: the same",
                "3.25",
                lambda: float(sklearn.metrics.mean_squared_error([0.0, 0.0], [1.0, 2.0], sample_weight=[1.0, 3.0])),
                package="scikit-learn",
            ),
            Row(
                "Keras on PyTorch",
                "`mean_with_sample_weight`: the same",
                "3.25",
                lambda: keras_weighted("mean_with_sample_weight"),
                package="keras",
            ),
            Row(
                "Keras on PyTorch",
                "the default: the number of examples, 2",
                "6.5",
                lambda: keras_weighted("sum_over_batch_size"),
                package="keras",
            ),
        ],
    ),
    Convention(
        "mean-squared-error",
        "mse-shapes",
        "A column against a line",
        "predictions 1, 2, 3 of shape (3, 1), the same numbers as targets of shape (3,)",
        [
            Row("dlref", "refused", "ValueError", ours_broadcast, package="dlref"),
            Row("PyTorch", "broadcasts to (3, 3), with a warning", "1.3333", torch_broadcast, "{:.4f}", "torch"),
            Row(
                "NumPy",
                "`((p - t) ** 2).mean()`: the same, without a warning",
                "1.3333",
                lambda: ((np.array(COLUMN) - np.array(LINE)) ** 2).mean(),
                "{:.4f}",
                "numpy",
            ),
            Row(
                "Keras on PyTorch",
                "gives both the same number of dimensions first",
                "0.0000",
                lambda: keras_error(COLUMN, LINE),
                "{:.4f}",
                "keras",
            ),
            Row(
                "scikit-learn",
                "takes a line for a column",
                "0.0000",
                lambda: float(sklearn.metrics.mean_squared_error(LINE, COLUMN)),
                "{:.4f}",
                "scikit-learn",
            ),
        ],
    ),
    Convention(
        "mean-squared-error",
        "rmse-outputs",
        "The root over several outputs",
        "two examples, two outputs; the errors are 1 in the first output, 3 in the second",
        [
            Row(
                "dlref",
                "the root of the mean over all entries",
                "2.2361",
                lambda: float(root_mean_squared_error(TABLE, ZEROS)),
                "{:.4f}",
                "dlref",
            ),
            Row(
                "scikit-learn",
                "`root_mean_squared_error`: the mean over outputs of their roots",
                "2.0000",
                lambda: float(sklearn.metrics.root_mean_squared_error(ZEROS, TABLE)),
                "{:.4f}",
                "scikit-learn",
            ),
        ],
    ),
    Convention(
        "mean-squared-error",
        "rmse-at-zero",
        "The gradient of the root where every prediction is right",
        "the prediction [2, 3] of the target [2, 3]",
        [
            Row(
                "dlref",
                "zero, a subgradient",
                "0.0",
                lambda: float(root_mean_squared_error_backward(1.0, [2.0, 3.0], [2.0, 3.0])[0]),
                package="dlref",
            ),
            Row("PyTorch", "`mse_loss(...).sqrt()`: 0 times infinity", "nan", torch_root_slope, package="torch"),
            Row("PyTorch", "the same number through `vector_norm`", "0.0", torch_norm_slope, package="torch"),
        ],
    ),
]


def drawn(dtype, size):
    x, y, w = np.random.default_rng(0).uniform(size=(3, size)).astype(dtype)
    return (x, y, w), [torch.from_numpy(a) for a in (x, y, w)]


def thunks(dtype, size=1_000_000):
    (x, y, _), (tx, ty, _) = drawn(dtype, size)
    return lambda: mean_squared_error(x, y), lambda: F.mse_loss(tx, ty)


def root_thunks(dtype, size=1_000_000):
    (x, y, _), (tx, ty, _) = drawn(dtype, size)
    return lambda: root_mean_squared_error(x, y), lambda: F.mse_loss(tx, ty).sqrt()


def gradient_thunks(ours, size=1_000_000, theirs=F.mse_loss):
    def make(dtype):
        with torch.inference_mode(False):
            (x, y, _), (tx, ty, _) = drawn(dtype, size)
            leaf = tx.requires_grad_()

        def peer():
            with torch.inference_mode(False):
                leaf.grad = None
                theirs(leaf, ty).backward()

        return lambda: ours(x, y), peer

    return make


def both(x, y):
    return mean_squared_error(x, y), mean_squared_error_backward(x.dtype.type(1), x, y)


def both_roots(x, y):
    return root_mean_squared_error(x, y), root_mean_squared_error_backward(x.dtype.type(1), x, y)


def decomposition_thunks(dtype):
    rng = np.random.default_rng(0)
    predictions, truth = rng.normal(size=(200, 1000)).astype(dtype), rng.normal(size=1000).astype(dtype)
    return lambda: bias_variance(predictions, truth), lambda: numpy_decomposition(predictions, truth)


BENCH = [
    Bench("losses.mean_squared_error", MSE, "1e6", thunks, aim=1.0),
    Bench(
        "losses.mean_squared_error_with_gradient",
        MSE + " and backward()",
        "1e6",
        gradient_thunks(mean_squared_error_with_gradient),
        aim=2.0,
    ),
    Bench(
        "losses.mean_squared_error_backward",
        MSE + " and backward(); ours in two passes",
        "1e6",
        gradient_thunks(both),
        aim=1.0,
    ),
    Bench("losses.root_mean_squared_error", "the root of torch's mse_loss", "1e6", root_thunks, aim=1.0),
    Bench(
        "losses.root_mean_squared_error_backward",
        "the root of torch's mse_loss and backward(); ours in three passes",
        "1e6",
        gradient_thunks(both_roots, theirs=torch_root),
        aim=1.0,
    ),
    Bench("losses.bias_variance", "numpy.mean and numpy.var", "200 x 1000", decomposition_thunks, aim=1.0),
]
