"""Categories as vectors: codes of what was seen, one-hot rows dense and sparse, and their product with a table."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from dlref._arrays import floating, index, integer, option, public, real, record, shaped
from dlref._compile import kernel, prange

__all__ = [
    "SparseRows",
    "category_index",
    "dense_rows",
    "fit_categories",
    "one_hot",
    "one_hot_decode",
    "one_hot_product",
    "one_hot_product_backward",
    "one_hot_sparse",
]

POLICIES = ("error", "ignore")


class SparseRows(NamedTuple):
    """Rows of which only the entries that are not zero are stored, one row after the other.

    Row n has the entries ``starts[n]`` to ``starts[n + 1] - 1`` of `values` and `columns`, by increasing column:
    the layout known as CSR, so that ``scipy.sparse.csr_array((values, columns, starts), (n, width))`` shares it.
    """

    values: NDArray
    columns: NDArray
    starts: NDArray
    width: int


@public
def fit_categories(values: ArrayLike) -> NDArray:
    """Return the distinct values, sorted: the categories, in the order of their codes.

    Parameters
    ----------
    values : array_like of strings, integers or booleans, any shape
        The training data of one feature.

    Returns
    -------
    ndarray, shape (K,)
        The categories; the code of each is its place.

    Raises
    ------
    TypeError
        If the values are neither strings nor integers; a list with both becomes strings.

    See Also
    --------
    category_index : The codes of values, new ones too.

    References
    ----------
    Suits (1957), "Use of dummy variables in regression equations", JASA 52(280).

    Examples
    --------
    >>> print(fit_categories(["red", "green", "red", "blue"]))
    ['blue' 'green' 'red']
    """
    return np.unique(_names("values", values))


@public
def category_index(values: ArrayLike, categories: ArrayLike, unknown: str = "error") -> NDArray:
    """Return the code of each value: its place among the categories.

    Parameters
    ----------
    values : array_like of strings, integers or booleans, any shape
        The values to encode.
    categories : array_like, shape (K,)
        Sorted and distinct, as from `fit_categories` on the training data.
    unknown : {"error", "ignore"}
        "error": refuse a value that is no category. "ignore": give it the code -1.

    Returns
    -------
    ndarray of int64, shape of `values`
        Codes from 0 to K - 1, or -1.

    Raises
    ------
    TypeError
        If `values` and `categories` are not both strings or both integers.
    ValueError
        If the categories are not sorted and distinct, or a value is none of them and `unknown` is "error".

    See Also
    --------
    fit_categories : The categories of the training data.
    one_hot : The codes as vectors.

    References
    ----------
    Suits (1957), "Use of dummy variables in regression equations", JASA 52(280).

    Examples
    --------
    >>> category_index(["red", "mauve"], ["blue", "green", "red"], unknown="ignore")
    array([ 2, -1])
    """
    values, categories = _names("values", values), _names("categories", categories)
    option("unknown", unknown, POLICIES)
    shaped("categories", categories, (None,))
    if not (categories[1:] > categories[:-1]).all():
        raise ValueError("categories: expected sorted and distinct values, as from fit_categories")
    if values.size and (values.dtype.kind in "SU") != (categories.dtype.kind in "SU"):
        raise TypeError(f"values: expected the type of categories, {categories.dtype}, got {values.dtype}")
    if not len(categories):
        code = np.full(values.shape, -1)
    else:
        place = np.minimum(np.searchsorted(categories, values), len(categories) - 1)
        code = np.where(categories[place] == values, place, -1)
    if unknown == "error" and (code < 0).any():
        raise ValueError(f"values: expected one of the {len(categories)} categories, got {values[code < 0].flat[0]!s}")
    return code.astype(np.int64)


@public
def one_hot(
    index: ArrayLike, classes: int, unknown: str = "error", drop_first: bool = False, dtype: DTypeLike = np.float32
) -> NDArray:
    """Turn codes into indicator vectors: 1 at the place of the code, 0 elsewhere.

    Parameters
    ----------
    index : array_like of integers, any shape
        Codes from 0 to `classes` - 1.
    classes : int
        The number of categories, K.
    unknown : {"error", "ignore"}
        "error": refuse any other code. "ignore": give it a row of zeros.
    drop_first : bool
        Leave out the column of category 0, whose rows are then zero; not with "ignore", which would look the same.
    dtype : dtype
        Type of the result, float32 or float64.

    Returns
    -------
    ndarray, shape (..., K), or (..., K - 1) with `drop_first`
        The vectors along a new last axis.

    Raises
    ------
    TypeError
        If the codes are not integers.
    ValueError
        If a code is out of range and `unknown` is "error", or if rows of zeros would have two meanings.

    See Also
    --------
    one_hot_sparse : The same rows without their zeros.
    one_hot_product : What they are used for, without the rows.

    References
    ----------
    Suits (1957), "Use of dummy variables in regression equations", JASA 52(280).

    Examples
    --------
    >>> one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    index, first = _codes(index, classes, unknown, drop_first)
    out = np.empty((*index.shape, classes - first), floating("dtype", dtype))
    _one_hot(index.reshape(-1), first, out.reshape(index.size, classes - first))
    return out


@kernel
def _one_hot(index, first, out):
    for n in prange(index.size):
        row, k = out[n], index[n] - first
        row[:] = 0
        if 0 <= k < row.size:
            row[k] = 1


@public
def one_hot_decode(y: ArrayLike, drop_first: bool = False) -> NDArray:
    """Return the code of each row: the place of its largest entry, the first of equal ones.

    Parameters
    ----------
    y : array_like of float32 or float64, shape (..., K), or (..., K - 1) with `drop_first`
        One-hot rows, or scores.
    drop_first : bool
        Whether the column of category 0 was left out.

    Returns
    -------
    ndarray of int64, shape (...)
        The codes. A row without a positive entry gives -1, or 0 with `drop_first`.

    Raises
    ------
    TypeError
        If `y` is neither real nor integer.
    ValueError
        If `y` has no axis.

    See Also
    --------
    one_hot : The way there.

    References
    ----------
    Suits (1957), "Use of dummy variables in regression equations", JASA 52(280).

    Examples
    --------
    >>> one_hot_decode([[0, 0, 1], [0, 0, 0]])
    array([ 2, -1])
    """
    y = real("y", y, ndim=-1)
    out = np.empty(y.shape[:-1], np.int64)
    _decode(y.reshape(out.size, y.shape[-1]), int(option("drop_first", drop_first, (False, True))), out.reshape(-1))
    return out


@kernel
def _decode(y, first, out):
    for n in prange(len(out)):
        row, best, highest = y[n], -1, y.dtype.type(0)
        for k in range(row.size):
            if row[k] > highest:
                best, highest = k, row[k]
        out[n] = best + first


@public
def one_hot_sparse(
    index: ArrayLike, classes: int, unknown: str = "error", drop_first: bool = False, dtype: DTypeLike = np.float32
) -> SparseRows:
    """Turn codes into one-hot rows of which only the ones are stored.

    Parameters
    ----------
    index : array_like of integers, shape (N,)
        Codes from 0 to `classes` - 1.
    classes : int
        The number of categories, K.
    unknown : {"error", "ignore"}
        As in `one_hot`; an ignored code has a row without entries.
    drop_first : bool
        As in `one_hot`.
    dtype : dtype
        Type of the stored ones, float32 or float64.

    Returns
    -------
    SparseRows
        N rows with at most one entry each.

    Raises
    ------
    TypeError
        If the codes are not integers.
    ValueError
        If a code is out of range and `unknown` is "error", or if rows without entries would have two meanings.

    See Also
    --------
    one_hot : The dense rows.
    dense_rows : From one to the other.

    References
    ----------
    Suits (1957), "Use of dummy variables in regression equations", JASA 52(280).

    Examples
    --------
    >>> one_hot_sparse([2, 0], 3).columns
    array([2, 0])
    """
    index, first = _codes(index, classes, unknown, drop_first)
    shaped("index", index, (None,))
    kept = (index >= first) & (index < classes)
    starts = np.zeros(len(index) + 1, np.int64)
    np.cumsum(kept, out=starts[1:])
    columns = index[kept] - first
    return SparseRows(np.ones(len(columns), floating("dtype", dtype)), columns, starts, classes - first)


@public
def dense_rows(rows: SparseRows) -> NDArray:
    """Write sparse rows out with their zeros.

    Parameters
    ----------
    rows : SparseRows
        N rows of `width` columns.

    Returns
    -------
    ndarray, shape (N, width)
        In the dtype of ``rows.values``; entries of the same place are added.

    Raises
    ------
    TypeError
        If the values are not real.
    ValueError
        If a column is out of range, or the starts do not fit the values.

    See Also
    --------
    one_hot_sparse : One entry a row.

    References
    ----------
    Suits (1957), "Use of dummy variables in regression equations", JASA 52(280).

    Examples
    --------
    >>> dense_rows(SparseRows([3.0, 5.0], [1, 0], [0, 1, 1, 2], 2))
    array([[0., 3.],
           [0., 0.],
           [5., 0.]])
    """
    rows = _sparse_rows("rows", rows)
    out = np.zeros((len(rows.starts) - 1, rows.width), rows.values.dtype)
    _write_out(rows.values, rows.columns, rows.starts, out)
    return out


@kernel
def _write_out(values, columns, starts, out):
    for n in prange(len(out)):
        row = out[n]
        for i in range(starts[n], starts[n + 1]):
            row[columns[i]] += values[i]


@public
def one_hot_product(table: ArrayLike, /, index: ArrayLike, unknown: str = "error") -> NDArray:
    """Multiply one-hot rows by a table, without the rows: the result is the table's row of each code.

    Parameters
    ----------
    table : array_like of float32 or float64, shape (K, D)
        One row for each category: a matrix of weights, an embedding.
    index : array_like of integers, any shape
        Codes from 0 to K - 1.
    unknown : {"error", "ignore"}
        "error": refuse any other code. "ignore": a row of zeros.

    Returns
    -------
    ndarray, shape (..., D)
        ``one_hot(index, K) @ table``, for finite tables.

    Raises
    ------
    TypeError
        If the codes are not integers.
    ValueError
        If a code is out of range and `unknown` is "error".

    See Also
    --------
    one_hot : The rows.
    one_hot_product_backward : The gradient of the table.

    References
    ----------
    Bengio et al. (2003), "A Neural Probabilistic Language Model", JMLR 3.

    Examples
    --------
    >>> one_hot_product([[1.0, 2.0], [3.0, 4.0]], [1, 1, 0])
    array([[3., 4.],
           [3., 4.],
           [1., 2.]])
    """
    table = real("table", table, ndim=2)
    index, _ = _codes(index, len(table), unknown, False)
    out = np.empty((*index.shape, table.shape[1]), table.dtype)
    _select(table, index.reshape(-1), out.reshape(index.size, table.shape[1]))
    return out


@public
def one_hot_product_backward(dy: ArrayLike, table: ArrayLike, /, index: ArrayLike, unknown: str = "error") -> NDArray:
    """Return the gradient of the table: in each row the sum of the cotangents of its category.

    Parameters
    ----------
    dy : array_like, shape (..., D)
        Cotangent of the result.
    table : array_like of float32 or float64, shape (K, D)
        As given to `one_hot_product`.
    index : array_like of integers, any shape
        As given to `one_hot_product`.
    unknown : {"error", "ignore"}
        As given to `one_hot_product`.

    Returns
    -------
    ndarray, shape (K, D)
        Zero in the rows of categories that do not occur.

    See Also
    --------
    one_hot_product : The product.

    References
    ----------
    Bengio et al. (2003), "A Neural Probabilistic Language Model", JMLR 3.

    Examples
    --------
    Category 1 occurs twice, category 0 once, category 2 never.

    >>> one_hot_product_backward([[1.0], [1.0], [1.0]], [[7.0], [8.0], [9.0]], [1, 1, 0])
    array([[1.],
           [2.],
           [0.]])
    """
    table = real("table", table, ndim=2)
    index, _ = _codes(index, len(table), unknown, False)
    dy = np.ascontiguousarray(real("dy", dy), table.dtype)
    shaped("dy", dy, (*index.shape, table.shape[1]))
    out = np.zeros_like(table)
    _scatter(dy.reshape(index.size, table.shape[1]), index.reshape(-1), out)
    return out


@kernel
def _select(table, index, out):
    for n in prange(index.size):
        row, k = out[n], index[n]
        if 0 <= k < len(table):
            source = table[k]
            for d in range(row.size):
                row[d] = source[d]
        else:
            row[:] = 0


@kernel
def _scatter(dy, index, out):
    for n in range(index.size):
        if 0 <= index[n] < len(out):
            row, g = out[index[n]], dy[n]
            for d in range(g.size):
                row[d] += g[d]


def _sparse_rows(name, rows):
    """Return sparse rows whose parts fit each other, or refuse them by name."""
    values, columns, starts, width = record(name, rows, SparseRows)
    width = integer(f"{name}.width", width, 0)
    values = real(f"{name}.values", values, ndim=1)
    columns = index(f"{name}.columns", columns, width, values.shape)
    starts = index(f"{name}.starts", starts, values.size + 1)
    if starts.ndim != 1 or not starts.size or starts[0] or starts[-1] != values.size or (np.diff(starts) < 0).any():
        raise ValueError(f"{name}.starts: expected numbers that rise from 0 to the {values.size} values")
    return SparseRows(values, columns, starts, width)


def _codes(codes, classes, unknown, drop_first):
    """Return codes as int64 and how many columns are left out in front."""
    classes, first = integer("classes", classes, 0), int(option("drop_first", drop_first, (False, True)))
    if option("unknown", unknown, POLICIES) == "error":
        return index("index", codes, classes), first
    if first:
        raise ValueError("unknown: 'ignore' gives rows of zeros, and so does the category that drop_first leaves out")
    return index("index", np.maximum(codes, -1), np.iinfo(np.int64).max, ignore=-1), 0


def _names(name, values):
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name}: expected an array of names, got rows of different lengths") from None
    if array.size and array.dtype.kind not in "biuSU":
        raise TypeError(f"{name}: expected strings or integers, got {array.dtype}")
    return array
