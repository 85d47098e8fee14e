"""Scaling of columns, unit rows and whitening against scikit-learn, torch and their own theorems."""

import numpy as np
import torch
from scipy.linalg import sqrtm
from sklearn import preprocessing
from sklearn.decomposition import PCA

from dlref.data import (
    Scaling,
    fit_range,
    fit_robust,
    fit_standard,
    fit_whitening,
    scale_columns,
    unit_rows,
    unit_rows_backward,
    unscale_columns,
    unwhiten,
    whiten,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.oracles import from_torch

nan = np.nan
EPS = {name: float(np.finfo(name).eps) for name in ("float32", "float64")}


def table(rng):
    return (rng.normal(size=(40, 5)) * [1, 3, 0.2, 1, 10] + [0, 1, 2, -3, 4],)


def sklearn_standard(x, ddof=0):
    fitted = preprocessing.StandardScaler().fit(x)
    return fitted.mean_, fitted.scale_ * np.sqrt(len(x) / (len(x) - ddof))


def sklearn_range(x, low=0.0, high=1.0):
    fitted = preprocessing.MinMaxScaler((low, high)).fit(x)
    return -fitted.min_ / fitted.scale_, 1 / fitted.scale_


def sklearn_robust(x):
    fitted = preprocessing.RobustScaler().fit(x)
    return fitted.center_, fitted.scale_


def torch_unit(x, norm="l2"):
    return torch.nn.functional.normalize(x, p=2.0 if norm == "l2" else 1.0, dim=1)


CASES = [
    Case(
        fit_standard,
        table,
        "sklearn.preprocessing.StandardScaler",
        sklearn_standard,
        kwargs={"ddof": 1},
        sweep={"mean 1e4": lambda rng, dtype: (rng.normal(size=(1000, 3)) + 1e4,)},
        bound=Normwise(lambda x, **_: len(x)),
        refuses=[
            (([[1.0]],), {"ddof": 1}, ValueError, "x: expected at least 2 rows, got 1"),
            (([[1.0]],), {"ddof": 2}, ValueError, "ddof: expected one of 0, 1, got 2"),
            (([1.0],), {}, ValueError, "x: expected 2 dimensions, got 1"),
        ],
    ),
    Case(
        fit_range,
        table,
        "sklearn.preprocessing.MinMaxScaler",
        sklearn_range,
        kwargs={"low": -1.0, "high": 3.0},
        refuses=[(([[1.0]],), {"low": 2.0}, ValueError, "low: expected a number below high, 1, got 2")],
    ),
    Case(fit_robust, table, "sklearn.preprocessing.RobustScaler", sklearn_robust),
    Case(
        unit_rows,
        lambda rng: (rng.normal(size=(6, 7)),),
        "torch.nn.functional.normalize",
        from_torch(torch_unit),
        sweep={"100,000 entries": lambda rng, dtype: (rng.normal(size=(2, 100_000)),)},
        bound=Normwise(lambda x, **_: x.shape[1]),
        refuses=[(([[1.0]], "l3"), {}, ValueError, "norm: expected one of 'l2', 'l1', got 'l3'")],
        label="l2",
    ),
    Case(
        unit_rows,
        lambda rng: (rng.normal(size=(6, 7)),),
        "torch.nn.functional.normalize",
        from_torch(torch_unit),
        kwargs={"norm": "l1"},
        label="l1",
    ),
]


def applied(dtype):
    """New rows by three scalings and back, against scikit-learn's transformers and the rows themselves."""
    rng = np.random.default_rng(0)
    train, new = table(rng)[0].astype(dtype), table(rng)[0].astype(dtype)
    worst = 0.0
    for fit, peer in (
        (fit_standard, preprocessing.StandardScaler()),
        (fit_range, preprocessing.MinMaxScaler()),
        (fit_robust, preprocessing.RobustScaler()),
    ):
        scaling = fit(train)
        got = scale_columns(new, scaling)
        want = peer.fit(train.astype(float)).transform(new.astype(float))
        assert got.dtype == new.dtype
        worst = max(worst, abs(got - want).max() / abs(want).max())
        worst = max(worst, abs(unscale_columns(got, scaling) - new).max() / abs(new).max())
    return worst, 6 * new.size


def whitened(dtype):
    """Covariance of whitened data against the identity; the way back; PCA's components; ZCA's matrix.

    Errors are divided by the condition number of the centered table, the quotient of its singular values. A rounding
    d of a row comes out of the whitening as M d, and in units of the row's own image it is at most that number times
    larger. A singular value is computed to eps of the largest, which is as much, for the smallest, of itself.
    """
    rng = np.random.default_rng(1)
    worst = count = 0
    for spread in (10.0, 1000.0):
        turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
        x = (rng.normal(size=(200, 4)) * np.geomspace(1, 1 / spread, 4) @ turn + [1, 2, 3, 4]).astype(dtype)
        wide = x.astype(float)
        condition, errors = np.linalg.cond(wide - wide.mean(0)), []
        for kind in ("pca", "zca"):
            fitted = fit_whitening(x, kind)
            y = whiten(x, fitted).astype(float)
            errors.append(abs(y.T @ y / len(y) - np.eye(4)).max())
            errors.append(abs(unwhiten(whiten(x, fitted), fitted) - x).max() / abs(x).max())
        # scikit-learn divides by N - 1; signs are free
        components = PCA(whiten=True, svd_solver="full").fit_transform(wide) * np.sqrt(len(x) / (len(x) - 1))
        ours = whiten(x, fit_whitening(x)).astype(float)
        errors.append(abs(abs(ours) - abs(components)).max() / abs(components).max())
        if spread == 10:  # the root of the covariance squares the condition number
            root = np.linalg.inv(sqrtm(np.cov(wide.T, ddof=0)).real)
            errors.append(abs(fit_whitening(x, "zca").matrix - root).max() / abs(root).max())
        worst, count = max(worst, max(errors) / condition), count + 6 * x.size
    return worst, count


PROOFS = [
    Proof(
        [scale_columns, unscale_columns, fit_standard, fit_range, fit_robust],
        "sklearn.preprocessing, and the way back",
        "40 new rows of 5 columns, by three scalings",
        "normwise",
        {name: 32 * eps for name, eps in EPS.items()},
        applied,
    ),
    Proof(
        [fit_whitening, whiten, unwhiten],
        "the identity as covariance, sklearn PCA, scipy.linalg.sqrtm",
        "200 rows of 4 columns, conditions 10 and 1000; PCA and ZCA, there and back: error over condition",
        "normwise",
        {name: 16 * eps for name, eps in EPS.items()},
        whitened,
    ),
]

constant = [[7.0], [7.0], [7.0]]
EDGES = [
    Edge(
        fit_standard,
        (constant,),
        Scaling(np.array([7.0]), np.array([1.0])),
        "a constant column: scale 1, so that it becomes zeros",
        input="column 7, 7, 7",
        output="center 7, scale 1",
    ),
    Edge(
        fit_standard,
        ([[0.1]] * 10,),
        Scaling(np.array([0.1]), np.array([1.0])),
        "also where its mean is off by rounding",
        input="column of ten times 0.1",
        output="center 0.1, scale 1",
    ),
    Edge(
        fit_standard,
        (np.tile([[7.0], [7.0 + 2.0**-20]], (2, 1)),),
        Scaling(np.array([7.0 + 2.0**-21]), np.array([2.0**-21])),
        "nearly constant is not constant",
        input="column 7, 7 + 1e-6, 7, 7 + 1e-6",
        output="center 7, scale 5e-7",
    ),
    Edge(
        fit_range,
        ([[2.0], [6.0]],),
        Scaling(np.array([2.0]), np.array([4.0])),
        "new rows may lie outside of 0 and 1",
        input="column 2, 6",
        output="center 2, scale 4",
    ),
    Edge(fit_standard, ([[1.0], [nan]],), Scaling(np.array([nan]), np.array([nan])), "NaN reaches its column"),
    Edge(
        fit_whitening,
        ([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]],),
        ValueError,
        "the columns depend on each other: one direction has no variance",
    ),
    Edge(unit_rows, ([[0.0, 0.0]],), [[0.0, 0.0]], "a row of zeros has no direction and stays"),
    Edge(unit_rows, ([[3e30, 4e30]],), [[0.6, 0.8]], "no square overflows, in float32 neither"),
    Edge(unit_rows_backward, ([[1.0, 1.0]], [[0.0, 0.0]]), [[0.0, 0.0]], "no gradient at zero"),
]

column = np.array([[1.0], [2.0], [3.0], [4.0]])


def keras_first(x):
    import keras

    layer = keras.layers.Normalization()
    layer.adapt(x)
    return float(layer(x)[0, 0])


def ratio(x):
    return (x - x.mean(0)) / x.std(0, correction=1)


CONVENTIONS = [
    Convention(
        "normalization",
        "standardize-ddof",
        "Which standard deviation divides",
        "the column 1, 2, 3, 4: its first value, standardized",
        [
            Row(
                "dlref",
                "divides by $N$; `ddof=1` by $N - 1$",
                "-1.342",
                lambda: scale_columns(column, fit_standard(column))[0, 0],
                "{:.3f}",
                "dlref",
            ),
            Row(
                "scikit-learn",
                "divides by $N$",
                "-1.342",
                lambda: preprocessing.StandardScaler().fit_transform(column)[0, 0],
                "{:.3f}",
                "scikit-learn",
            ),
            Row("Keras, `Normalization`", "divides by $N$", "-1.342", lambda: keras_first(column), "{:.3f}", "keras"),
            Row(
                "PyTorch, `std` with its default",
                "divides by $N - 1$",
                "-1.162",
                lambda: float(ratio(torch.from_numpy(column))[0, 0]),
                "{:.3f}",
                "torch",
            ),
        ],
    ),
    Convention(
        "normalization",
        "constant-column",
        "A column without variance",
        "the column 7, 7, 7: its first value, standardized",
        [
            Row(
                "dlref",
                "divides by 1",
                "0.0",
                lambda: scale_columns(constant, fit_standard(constant))[0, 0],
                "{:.1f}",
                "dlref",
            ),
            Row(
                "scikit-learn",
                "divides by 1",
                "0.0",
                lambda: preprocessing.StandardScaler().fit_transform(constant)[0, 0],
                "{:.1f}",
                "scikit-learn",
            ),
            Row(
                "PyTorch, the formula",
                "0 / 0",
                "nan",
                lambda: float(ratio(torch.tensor(constant))[0, 0]),
                "{:.1f}",
                "torch",
            ),
        ],
    ),
    Convention(
        "normalization",
        "unit-row-overflow",
        "The length of a long row",
        "the row (3e200, 4e200), whose unit vector is (0.6, 0.8): the first entry",
        [
            Row(
                "dlref",
                "divides by the largest first",
                "0.6",
                lambda: unit_rows([[3e200, 4e200]])[0, 0],
                "{:.1f}",
                "dlref",
            ),
            Row(
                "PyTorch, `normalize`",
                "squares overflow: divides by infinity",
                "0.0",
                lambda: float(torch_unit(torch.tensor([[3e200, 4e200]], dtype=torch.float64))[0, 0]),
                "{:.1f}",
                "torch",
            ),
        ],
    ),
]


def fit_thunks(dtype):
    x = np.random.default_rng(0).normal(size=(20_000, 30)).astype(dtype)
    return lambda: fit_standard(x), lambda: preprocessing.StandardScaler().fit(x)


def scale_thunks(dtype):
    x = np.random.default_rng(0).normal(size=(20_000, 30)).astype(dtype)
    scaling, peer = fit_standard(x), preprocessing.StandardScaler().fit(x)
    return lambda: scale_columns(x, scaling), lambda: peer.transform(x)


def unit_thunks(dtype):
    x = np.random.default_rng(0).normal(size=(2000, 300)).astype(dtype)
    t = torch.from_numpy(x)
    return lambda: unit_rows(x), lambda: torch_unit(t)


def range_thunks(dtype):
    x = np.random.default_rng(0).normal(size=(20_000, 30)).astype(dtype)
    return lambda: fit_range(x), lambda: preprocessing.MinMaxScaler().fit(x)


def robust_thunks(dtype):
    x = np.random.default_rng(0).normal(size=(20_000, 30)).astype(dtype)
    return lambda: fit_robust(x), lambda: preprocessing.RobustScaler().fit(x)


def unscale_thunks(dtype):
    x = np.random.default_rng(0).normal(size=(20_000, 30)).astype(dtype)
    scaling, peer = fit_standard(x), preprocessing.StandardScaler().fit(x)
    return lambda: unscale_columns(x, scaling), lambda: peer.inverse_transform(x)


def whitening_thunks(fitting):
    def make(dtype):
        x = np.random.default_rng(0).normal(size=(20_000, 30)).astype(dtype)
        peer = PCA(whiten=True, svd_solver="full")
        if fitting:
            return lambda: fit_whitening(x), lambda: peer.fit(x)
        fitted = fit_whitening(x)
        peer.fit(x)
        return lambda: whiten(x, fitted), lambda: peer.transform(x)

    return make


def unwhitening_thunks(dtype):
    x = np.random.default_rng(0).normal(size=(20_000, 30)).astype(dtype)
    fitted, peer = fit_whitening(x), PCA(whiten=True, svd_solver="full").fit(x)
    y = whiten(x, fitted)
    return lambda: unwhiten(y, fitted), lambda: peer.inverse_transform(y)


def unit_backward_thunks(dtype):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 2000, 300)).astype(dtype)
    t, g = torch.from_numpy(x).requires_grad_(), torch.from_numpy(dy)
    y = torch_unit(t)
    return lambda: unit_rows_backward(dy, x), lambda: torch.autograd.grad(y, t, g, retain_graph=True)


BENCH = [
    Bench("data.fit_range", "sklearn MinMaxScaler.fit", "20,000 × 30", range_thunks),
    Bench("data.fit_robust", "sklearn RobustScaler.fit", "20,000 × 30", robust_thunks),
    Bench("data.unscale_columns", "sklearn StandardScaler.inverse_transform", "20,000 × 30", unscale_thunks),
    Bench("data.fit_whitening", "sklearn PCA.fit, by SVD", "20,000 × 30", whitening_thunks(True)),
    Bench("data.whiten", "sklearn PCA.transform, whiten", "20,000 × 30", whitening_thunks(False)),
    Bench("data.unwhiten", "sklearn PCA.inverse_transform, whiten", "20,000 × 30", unwhitening_thunks),
    Bench("data.unit_rows_backward", "torch, autograd of normalize", "2000 × 300", unit_backward_thunks),
    Bench("data.fit_standard", "sklearn StandardScaler.fit", "20,000 × 30", fit_thunks),
    Bench("data.scale_columns", "sklearn StandardScaler.transform", "20,000 × 30", scale_thunks),
    Bench("data.unit_rows", "torch.nn.functional.normalize", "2000 × 300", unit_thunks),
]
