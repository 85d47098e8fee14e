"""Tables made ready against scikit-learn's pipelines; parts and folds against their definition."""

import warnings

import numpy as np
import torch
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from dlref.data import (
    ColumnStatistics,
    fit_columns,
    fit_table,
    fold_numbers,
    split_indices,
    table_names,
    transform_columns,
    transform_table,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

nan = np.nan
SCALERS = {"standard": StandardScaler, "range": MinMaxScaler, "none": lambda: "passthrough"}


def pipeline(impute, scale):
    strategy = {"strategy": "constant", "fill_value": 0.0} if impute == "zero" else {"strategy": impute}
    return make_pipeline(SimpleImputer(**strategy), SCALERS[scale]())


def gaps(rng, rows=57, columns=5):
    """Columns of different scale, one of them constant, with gaps."""
    x = rng.normal(size=(rows, columns)) * np.geomspace(1, 1000, columns) + np.arange(columns)
    x[:, 2] = 0.1
    x[rng.random(x.shape) < 0.2] = nan
    x[0] = 1
    x[0, 2] = 0.1
    return x


def statistics(x, impute, scale):
    model = pipeline(impute, scale).fit(x)
    fill, ready = model[0].statistics_, model[1]
    zero, one = np.zeros_like(fill), np.ones_like(fill)
    if scale == "standard":
        return ColumnStatistics(fill, ready.mean_, ready.scale_)
    if scale == "range":
        return ColumnStatistics(fill, ready.data_min_, np.where(ready.data_range_ == 0, 1, ready.data_range_))
    return ColumnStatistics(fill, zero, one)


def filled(x, fitted):
    """Let scikit-learn fill and scale by given statistics."""
    imputer, scaler = SimpleImputer().fit(np.ones_like(x)), StandardScaler().fit(np.ones_like(x))
    imputer.statistics_, scaler.mean_, scaler.scale_ = fitted
    return scaler.transform(imputer.transform(x))


CASES = [
    *(
        Case(
            fit_columns,
            lambda rng: (gaps(rng),),
            "sklearn Pipeline",
            statistics,
            kwargs={"impute": impute, "scale": scale},
            label=f"{impute} {scale}",
            refuses=[
                (([[nan], [nan]],), {}, ValueError, "x: expected a value in every column, got none in column 0"),
                (([[1.0]], "mode"), {}, ValueError, "impute: expected one of 'median', 'mean', 'zero', got 'mode'"),
                (([[1.0]], "mean", "log"), {}, ValueError, "scale: expected one of 'standard', 'range', 'none'"),
            ],
        )
        for impute, scale in (("median", "standard"), ("mean", "range"), ("zero", "none"))
    ),
    Case(
        transform_columns,
        lambda rng: (gaps(rng, 31), ColumnStatistics(*rng.uniform(1, 3, (3, 5)))),
        "sklearn SimpleImputer and StandardScaler",
        filled,
        bound=Normwise(2),
        refuses=[
            (([[1.0]], fit_columns(np.eye(2))), {}, ValueError, r"statistics.fill: expected shape \(1,\), got \(2,\)")
        ],
    ),
]


def table(rng, rows, colors):
    numbers = gaps(rng, rows, 3)
    return {
        "height": numbers[:, 0],
        "color": rng.choice(colors, rows),
        "age": numbers[:, 1],
        "place": rng.choice(["north", "south"], rows),
    }


def whole_table(dtype):
    """Fit on one part, transform another with a color never seen, as scikit-learn's ColumnTransformer does."""
    worst, count = 0.0, 0
    for seed, (impute, scale) in enumerate((("median", "standard"), ("mean", "range"), ("mean", "none"))):
        rng = np.random.default_rng(seed)
        train, test = table(rng, 60, ["blue", "red", "teal"]), table(rng, 41, ["blue", "red", "zinc"])
        mixed = [np.array([t[name] for name in t], dtype=object).T for t in (train, test)]
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        steps = [("numbers", pipeline(impute, scale), [0, 2]), ("strings", encoder, [1, 3])]
        want = ColumnTransformer(steps).fit(mixed[0]).transform(mixed[1]).astype(np.float64)
        plan = fit_table(train, impute, scale)
        got = transform_table(test, plan, dtype=dtype)
        assert got.dtype == dtype and len(table_names(plan)) == got.shape[1]
        worst = max(worst, abs(got - want).max() / abs(want).max())
        count += got.size
    return worst, count


def parts(dtype):
    """Every number once, sizes within one of the shares, the same for the same seed."""
    wrong = count = 0
    for n in (0, 1, 7, 10, 101):
        for shares in ((0.6, 0.2, 0.2), (0.5, 0.5), (1.0,), (0.1, 0.9)):
            drawn = [split_indices(n, shares, np.random.default_rng(n)) for _ in range(2)]
            wrong += np.count_nonzero(np.sort(np.concatenate(drawn[0])) != np.arange(n))
            wrong += sum(abs(len(part) - n * share) >= 1 for part, share in zip(drawn[0], shares, strict=True))
            wrong += sum(np.count_nonzero(a != b) for a, b in zip(*drawn, strict=True))
            count += n
    return wrong, count


def folds(dtype):
    wrong = count = 0
    for n, k in ((7, 3), (10, 10), (101, 4)):
        ordered, shuffled = fold_numbers(n, k, None), fold_numbers(n, k, np.random.default_rng(0))
        for fold, (_, test) in enumerate(KFold(k).split(np.zeros(n))):
            wrong += np.count_nonzero(np.flatnonzero(ordered == fold) != test)
            wrong += np.count_nonzero(shuffled == fold) != len(test)
        count += n
    return wrong, count


PROOFS = [
    Proof(
        [fit_table, transform_table, table_names],
        "sklearn ColumnTransformer of Pipelines",
        "41 rows of two numbers and two strings, by what 60 others gave; gaps and a new category",
        "normwise",
        {"float32": 1e-7, "float64": 1e-15},  # both round the same float64 results
        whole_table,
    ),
    Proof([split_indices], "its definition", "parts of 0 to 101 examples, four choices of shares", "count", 0, parts),
    Proof([fold_numbers], "sklearn KFold", "7, 10 and 101 examples in 3, 10 and 4 folds", "count", 0, folds),
]

UNIT = ColumnStatistics(np.array([7.0]), np.array([1.0]), np.array([2.0]))

EDGES = [
    Edge(
        transform_columns,
        ([[nan]], UNIT),
        [[3.0]],
        "filled first, then scaled",
        input="[[nan]], fill 7, center 1, scale 2",
    ),
    Edge(transform_columns, ([[np.inf]], UNIT), [[np.inf]], "infinity is a value", input="[[inf]], as before"),
    Edge(
        fit_columns,
        ([[0.1], [0.1], [0.1]],),
        ([0.1], [0.1], [1.0]),
        "a constant column: scale 1",
        output="fill 0.1, center 0.1, scale 1",
    ),
    Edge(fit_columns, ([[nan], [nan]],), ValueError, "nothing to fill from"),
    Edge(
        split_indices,
        (5, (0.5, 0.5), None),
        (np.array([0, 1, 2]), np.array([3, 4])),
        "equal remainders: the first part gets the odd one",
        input="5, (0.5, 0.5), None",
        output="[0, 1, 2], [3, 4]",
    ),
    Edge(fold_numbers, (3, 5, None), ValueError, "fewer examples than folds"),
]


def sizes(a, b):
    return f"{len(a)}, {len(b)}"


def torch_split():
    return sizes(*torch.utils.data.random_split(range(10), [0.75, 0.25]))


def keras_split():
    from keras.src.trainers.data_adapters.array_slicing import train_validation_split

    (train,), (validation,) = train_validation_split((np.arange(10),), validation_split=0.25)
    assert validation.tolist() == [7, 8, 9]
    return sizes(train, validation)


GAPPED = np.array([[0.0], [10.0], [nan], [nan]])


def shown(x):
    return ", ".join(f"{v:.4f}" for v in np.ravel(x))


def sklearn_empty():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return f"{SimpleImputer().fit_transform([[1.0, nan], [2.0, nan]]).shape[1]} column"


def refused():
    try:
        fit_columns([[1.0, nan], [2.0, nan]])
    except ValueError as error:
        return type(error).__name__


CONVENTIONS = [
    Convention(
        "data-preprocessing",
        "data-preprocessing-order",
        "Filling and scaling, in which order",
        "the column 0, 10, missing, missing; mean and standard deviation",
        [
            Row(
                "dlref",
                "filled, then scaled",
                "-1.4142, 1.4142, 0.0000, 0.0000",
                lambda: shown(transform_columns(GAPPED, fit_columns(GAPPED, "mean"))),
                package="dlref",
            ),
            Row(
                "scikit-learn",
                "`make_pipeline(SimpleImputer(), StandardScaler())`",
                "-1.4142, 1.4142, 0.0000, 0.0000",
                lambda: shown(make_pipeline(SimpleImputer(), StandardScaler()).fit_transform(GAPPED)),
                package="scikit-learn",
            ),
            Row(
                "scikit-learn",
                "`make_pipeline(StandardScaler(), SimpleImputer())`: gaps are passed on",
                "-1.0000, 1.0000, 0.0000, 0.0000",
                lambda: shown(make_pipeline(StandardScaler(), SimpleImputer()).fit_transform(GAPPED)),
                package="scikit-learn",
            ),
        ],
    ),
    Convention(
        "data-preprocessing",
        "data-preprocessing-split",
        "Three quarters and one quarter of ten examples",
        "0.75 and 0.25 of 10",
        [
            Row(
                "dlref",
                "the largest remainder; at random",
                "8, 2",
                lambda: sizes(*split_indices(10, (0.75, 0.25), None)),
                package="dlref",
            ),
            Row(
                "PyTorch",
                "`random_split`: rounded down, the rest goes to the first",
                "8, 2",
                torch_split,
                package="torch",
            ),
            Row(
                "scikit-learn",
                "`train_test_split`: the test part is rounded up",
                "7, 3",
                lambda: sizes(*train_test_split(np.arange(10), test_size=0.25)),
                package="scikit-learn",
            ),
            Row(
                "Keras",
                "`fit(validation_split=0.25)`: the last ones, in the order given",
                "7, 3",
                keras_split,
                package="keras",
            ),
        ],
    ),
    Convention(
        "data-preprocessing",
        "data-preprocessing-empty",
        "A column without any value",
        "two columns, the second all missing",
        [
            Row("dlref", "refused", "ValueError", refused, package="dlref"),
            Row(
                "scikit-learn",
                "`SimpleImputer`: dropped, with a warning",
                "1 column",
                sklearn_empty,
                package="scikit-learn",
            ),
        ],
    ),
]


def big(dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 30)).astype(dtype)
    x[rng.random(x.shape) < 0.1] = nan
    return x


def fitting(dtype):
    x = big(dtype)
    return lambda: fit_columns(x), lambda: pipeline("median", "standard").fit(x)


def transforming(dtype):
    x = big(dtype)
    fitted, model = fit_columns(x), pipeline("median", "standard").fit(x)
    return lambda: transform_columns(x, fitted), lambda: model.transform(x)


def tabling(fitting):
    """The peer gets numbers and strings as two matrices: of one matrix it would have to make them first."""

    def make(_):
        rng = np.random.default_rng(0)
        x, kinds = big(np.float64)[:, :10].copy(), rng.choice(["blue", "green", "red", "teal"], (20_000, 5))
        columns = {f"x{j}": column for j, column in enumerate(x.T.copy())}
        columns |= {f"kind{j}": column for j, column in enumerate(kinds.T.copy())}
        numbers, strings = pipeline("median", "standard"), OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        if fitting:
            return lambda: fit_table(columns), lambda: (numbers.fit(x), strings.fit(kinds))
        plan, numbers, strings = fit_table(columns), numbers.fit(x), strings.fit(kinds)
        return lambda: transform_table(columns, plan), lambda: np.hstack(
            [numbers.transform(x), strings.transform(kinds)]
        )

    return make


def partition(_):
    rng = np.random.default_rng(0)
    return lambda: split_indices(100_000, (0.7, 0.3), rng), lambda: train_test_split(np.arange(100_000), test_size=0.3)


def rotation(_):
    rng = np.random.default_rng(0)
    return lambda: fold_numbers(100_000, 5, rng), lambda: list(KFold(5, shuffle=True).split(np.zeros(100_000)))


PIPELINE = "sklearn SimpleImputer, StandardScaler, OneHotEncoder"
BENCH = [
    Bench("data.fit_table", PIPELINE, "20,000 x 10, 5 of strings", tabling(True), dtypes=("float64",)),
    Bench("data.transform_table", PIPELINE, "20,000 x 10, 5 of strings", tabling(False), dtypes=("float64",)),
    Bench("data.split_indices", "sklearn train_test_split", "1e5", partition, dtypes=("float64",)),
    Bench("data.fold_numbers", "sklearn KFold", "1e5", rotation, dtypes=("float64",)),
    Bench("data.fit_columns", "sklearn SimpleImputer, StandardScaler", "20,000 x 30", fitting),
    Bench("data.transform_columns", "sklearn SimpleImputer, StandardScaler", "20,000 x 30", transforming),
]
