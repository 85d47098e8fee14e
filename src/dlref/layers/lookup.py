"""Embedding: rows of a table, picked by number."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import index, integer, public, real, reals, shaped
from dlref._compile import kernel, prange

__all__ = ["embedding", "embedding_backward"]


@public
def embedding(table: ArrayLike, /, ids: ArrayLike, padding_index: int | None = None) -> NDArray:
    r"""Look up rows of a table: :math:`y_n = E_{i_n}`.

    Parameters
    ----------
    table : array_like of float32 or float64, shape (V, D)
        One row for each word.
    ids : array_like of int, any shape
        Which rows, from 0 to V - 1.
    padding_index : int, optional
        A word that fills up short sequences. Its row is returned like the others, and gets no gradient.

    Returns
    -------
    ndarray, shape of `ids` and (D,)
        The rows.

    Raises
    ------
    TypeError
        If `table` is neither real nor integer, or `ids` are not integers.
    ValueError
        If an id is outside of the table.

    See Also
    --------
    skip_gram_train : Trains such a table.

    References
    ----------
    Bengio et al. (2003), "A neural probabilistic language model", JMLR 3.

    Examples
    --------
    >>> embedding([[0.0, 0.1], [1.0, 1.1], [2.0, 2.1]], [2, 0])
    array([[2. , 2.1],
           [0. , 0.1]])
    """
    table, ids, _ = _checked(table, ids, padding_index)
    out = np.empty((*ids.shape, table.shape[1]), table.dtype)
    _embedding(table, ids.reshape(-1), out.reshape(ids.size, table.shape[1]))
    return out


@public
def embedding_backward(dy: ArrayLike, table: ArrayLike, /, ids: ArrayLike, padding_index: int | None = None) -> NDArray:
    r"""Return the gradient of `embedding`: :math:`\bar E_v = \sum_n [i_n = v]\, \bar y_n`.

    Parameters
    ----------
    dy : array_like, shape of `ids` and (D,)
        Gradient of the loss with respect to the output.
    table, ids, padding_index
        The arguments of `embedding`.

    Returns
    -------
    ndarray, shape (V, D)
        A row is zero for a word that does not occur, and the sum over all occurrences for one that does.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `ids` are not integers.
    ValueError
        If a shape does not fit, or an id is outside of the table.

    See Also
    --------
    embedding : The function.

    References
    ----------
    Bengio et al. (2003), "A neural probabilistic language model", JMLR 3.

    Examples
    --------
    The second word occurs twice.

    >>> embedding_backward([[1.0], [10.0], [100.0]], [[0.0], [0.0], [0.0]], [1, 0, 1])
    array([[ 10.],
           [101.],
           [  0.]])
    """
    dy, table = reals("dy", dy, "table", table)
    table, ids, padding = _checked(table, ids, padding_index)
    shaped("dy", dy, (*ids.shape, table.shape[1]))
    out = np.zeros_like(table)
    _embedding_backward(dy.reshape(ids.size, table.shape[1]), ids.reshape(-1), padding, out)
    return out


@kernel
def _embedding(table, ids, out):
    for n in prange(ids.size):
        row, y = table[ids[n]], out[n]
        for d in range(y.size):
            y[d] = row[d]


@kernel
def _embedding_backward(dy, ids, padding, out):
    for n in range(ids.size):
        if ids[n] != padding:
            row, g = out[ids[n]], dy[n]
            for d in range(g.size):
                row[d] += g[d]


def _checked(table, ids, padding_index):
    table = real("table", table, 2)
    ids = index("ids", ids, len(table))
    padding = -1 if padding_index is None else integer("padding_index", padding_index, 0, len(table) - 1)
    return table, ids, padding
