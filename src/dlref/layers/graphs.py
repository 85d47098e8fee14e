"""Layers on graphs: messages along edges, graph convolution and graph attention, from lists of edges."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import index, number, option, public, real, reals, shaped
from dlref._compile import kernel
from dlref._math import exp

__all__ = [
    "GATGradients",
    "GCNGradients",
    "both_ways",
    "gat_layer",
    "gat_layer_backward",
    "gcn_layer",
    "gcn_layer_backward",
    "message_passing",
    "message_passing_backward",
]


class GCNGradients(NamedTuple):
    """Gradients of `gcn_layer`, one for each argument before the slash."""

    x: NDArray
    w: NDArray
    b: NDArray | None


class GATGradients(NamedTuple):
    """Gradients of `gat_layer`, one for each argument before the slash."""

    x: NDArray
    w: NDArray
    source: NDArray
    target: NDArray


def both_ways(edges: ArrayLike) -> NDArray:
    """Return the edges of an undirected graph in both directions: (u, v) and (v, u).

    Parameters
    ----------
    edges : array_like of int, shape (E, 2)
        Each edge once.

    Returns
    -------
    ndarray of int64, shape (2 E, 2)
        Pairs of source and target.

    Raises
    ------
    TypeError
        If the edges are not integers.
    ValueError
        If the shape does not fit.

    See Also
    --------
    message_passing : Takes the result.

    References
    ----------
    Gilmer et al. (2017), "Neural message passing for quantum chemistry".

    Examples
    --------
    >>> both_ways([[0, 1], [1, 2]]).tolist()
    [[0, 1], [1, 2], [1, 0], [2, 1]]
    """
    edges = index("edges", edges, np.iinfo(np.int64).max, (None, 2))
    return np.concatenate([edges, edges[:, ::-1]])


@public
def message_passing(x: ArrayLike, /, edges: ArrayLike, reduce: str = "sum") -> NDArray:
    r"""Let every node collect from its neighbors: the sum, mean or maximum of :math:`x_u` over all edges u to v.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, D)
        One row for each node.
    edges : array_like of int, shape (E, 2)
        Source and target of each edge; one that is listed twice counts twice.
    reduce : {"sum", "mean", "max"}
        What is collected; the maximum is taken feature by feature.

    Returns
    -------
    ndarray, shape (N, D)
        One row for each node; zeros where no edge ends.

    Raises
    ------
    TypeError
        If `x` is not real or the edges are not integers.
    ValueError
        If a node is not in the graph or `reduce` is unknown.

    See Also
    --------
    gcn_layer : A weighted mean, and a matrix.

    References
    ----------
    Gilmer et al. (2017), "Neural message passing for quantum chemistry".

    Examples
    --------
    >>> message_passing([[1.0], [10.0], [100.0]], [[0, 2], [1, 2], [2, 0]])
    array([[100.],
           [  0.],
           [ 11.]])
    """
    x, source, target = _edges(x, edges)
    option("reduce", reduce, ("sum", "mean", "max"))
    y = np.zeros_like(x)
    if reduce == "max":
        _greatest(x, source, target, np.full(x.shape, -1), y)
    else:
        _collect(x, source, target, _shares(target, len(x), reduce, x.dtype), y)
    return y


@public
def message_passing_backward(dy: ArrayLike, x: ArrayLike, /, edges: ArrayLike, reduce: str = "sum") -> NDArray:
    """Return the gradient of `message_passing`: the same messages, against the direction of the edges.

    Parameters
    ----------
    dy : array_like, shape (N, D)
        Gradient of the loss with respect to the result.
    x : array_like
        The nodes of `message_passing`.
    edges, reduce
        As for `message_passing`.

    Returns
    -------
    ndarray, shape (N, D)
        Gradient with respect to `x`; of a maximum, all to the first of equal neighbors in the list of edges.

    Raises
    ------
    TypeError
        If an array is not real or the edges are not integers.
    ValueError
        If the shapes do not fit, or as for `message_passing`.

    See Also
    --------
    message_passing : The function.

    References
    ----------
    Gilmer et al. (2017), "Neural message passing for quantum chemistry".

    Examples
    --------
    >>> message_passing_backward([[0.0], [0.0], [1.0]], [[1.0], [10.0], [100.0]], [[0, 2], [1, 2]], "mean")
    array([[0.5],
           [0.5],
           [0. ]])
    """
    dy, x = reals("dy", dy, "x", x)
    x, source, target = _edges(x, edges)
    option("reduce", reduce, ("sum", "mean", "max"))
    shaped("dy", dy, x.shape)
    dx = np.zeros_like(x)
    if reduce == "max":
        winners = np.full(x.shape, -1)
        _greatest(x, source, target, winners, np.zeros_like(x))
        _to_winners(dy, source, winners, dx)
    else:
        _collect(dy, target, source, _shares(target, len(x), reduce, x.dtype), dx)
    return dx


@kernel
def _collect(x, source, target, weight, out):
    for e in range(source.size):
        seen, to, factor = x[source[e]], out[target[e]], weight[e]
        for d in range(seen.size):
            to[d] += factor * seen[d]


@kernel
def _greatest(x, source, target, winners, out):
    for e in range(source.size):
        seen, to, first = x[source[e]], out[target[e]], winners[target[e]]
        for d in range(seen.size):
            # the first of equal ones stays; NaN wins
            value, nan = seen[d], seen[d] != seen[d]
            if first[d] < 0 or value > to[d] or (nan and to[d] == to[d]):
                to[d], first[d] = value, e


@kernel
def _to_winners(dy, source, winners, out):
    for v in range(dy.shape[0]):
        for d in range(dy.shape[1]):
            if winners[v, d] >= 0:
                out[source[winners[v, d]], d] += dy[v, d]


@public
def gcn_layer(x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None, /, edges: ArrayLike = ()) -> NDArray:
    r"""Graph convolution: :math:`y_v = b + \sum_{u \to v \text{ or } u = v} W x_u / \sqrt{d_u d_v}`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, D)
        One row for each node.
    w : array_like, shape (O, D)
        Weights that all nodes share.
    b : array_like, shape (O,), optional
        Bias.
    edges : array_like of int, shape (E, 2)
        Source and target of each edge, in both directions for an undirected graph, without loops: every node sees
        itself by itself. The degree d counts the edges that end in a node, and one for itself.

    Returns
    -------
    ndarray, shape (N, O)
        One row for each node.

    Raises
    ------
    TypeError
        If an array is not real or the edges are not integers.
    ValueError
        If the shapes do not fit or a node is not in the graph.

    See Also
    --------
    gat_layer : With weights that depend on the nodes.

    References
    ----------
    Kipf & Welling (2017), "Semi-supervised classification with graph convolutional networks".

    Examples
    --------
    The middle of a path of three has degree 3, itself included.

    >>> gcn_layer([[0.0], [1.0], [0.0]], [[1.0]], edges=[[0, 1], [1, 0], [1, 2], [2, 1]]).round(4)
    array([[0.4082],
           [0.3333],
           [0.4082]])
    """
    x, w, b, source, target = _graph_layer(x, w, b, edges)
    z, y = x @ w.T, np.zeros((len(x), len(w)), x.dtype)
    _collect(z, source, target, _normalized(source, target, len(x), x.dtype), y)
    return y if b is None else y + b


@public
def gcn_layer_backward(
    dy: ArrayLike, x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None, /, edges: ArrayLike = ()
) -> GCNGradients:
    """Return the gradients of `gcn_layer`.

    Parameters
    ----------
    dy : array_like, shape (N, O)
        Gradient of the loss with respect to the result.
    x, w, b
        The arrays of `gcn_layer`.
    edges : array_like of int, shape (E, 2)
        As for `gcn_layer`.

    Returns
    -------
    GCNGradients
        Gradients with respect to `x`, `w` and `b`; None in the place of `b` where there is none.

    Raises
    ------
    TypeError
        If an array is not real or the edges are not integers.
    ValueError
        If the shapes do not fit or a node is not in the graph.

    See Also
    --------
    gcn_layer : The function.

    References
    ----------
    Kipf & Welling (2017), "Semi-supervised classification with graph convolutional networks".

    Examples
    --------
    >>> gcn_layer_backward([[1.0], [0.0]], [[1.0], [3.0]], [[1.0]], edges=[[0, 1], [1, 0]]).w
    array([[2.]])
    """
    dy, x, w, b = reals("dy", dy, "x", x, "w", w, "b", b)
    x, w, b, source, target = _graph_layer(x, w, b, edges)
    shaped("dy", dy, (len(x), len(w)))
    dz = np.zeros_like(dy)
    _collect(dy, target, source, _normalized(source, target, len(x), x.dtype), dz)
    return GCNGradients(dz @ w, dz.T @ x, None if b is None else dy.sum(axis=0))


@public
def gat_layer(
    x: ArrayLike,
    w: ArrayLike,
    source: ArrayLike,
    target: ArrayLike,
    /,
    edges: ArrayLike = (),
    negative_slope: float = 0.2,
) -> NDArray:
    r"""Graph attention, one head: :math:`y_v = \sum_u \alpha_{vu} W x_u`, weighted by a softmax over the neighbors.

    The scores are :math:`\operatorname{leaky}(a_s^\top W x_u + a_t^\top W x_v)`; every node is its own neighbor too.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, D)
        One row for each node.
    w : array_like, shape (O, D)
        Weights that all nodes share.
    source : array_like, shape (O,)
        The vector that scores a node as a source.
    target : array_like, shape (O,)
        The vector that scores a node as a target.
    edges : array_like of int, shape (E, 2)
        Source and target of each edge, without loops.
    negative_slope : float
        Slope of the leaky rectifier for negative scores.

    Returns
    -------
    ndarray, shape (N, O)
        One row for each node.

    Raises
    ------
    TypeError
        If an array is not real or the edges are not integers.
    ValueError
        If the shapes do not fit or a node is not in the graph.

    See Also
    --------
    gcn_layer : With weights from the degrees alone.

    References
    ----------
    Velickovic et al. (2018), "Graph attention networks".

    Examples
    --------
    With vectors of zeros it is the mean over a node and its neighbors.

    >>> gat_layer([[1.0], [2.0], [6.0]], [[1.0]], [0.0], [0.0], edges=[[1, 0], [2, 0]])
    array([[3.],
           [2.],
           [6.]])
    """
    x, w, a_s, a_t, sources, targets = _attention(x, w, source, target, edges)
    z = x @ w.T
    _, alpha = _attended(z, a_s, a_t, sources, targets, negative_slope)
    y = np.zeros_like(z)
    _collect(z, sources, targets, alpha, y)
    return y


@public
def gat_layer_backward(
    dy: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    source: ArrayLike,
    target: ArrayLike,
    /,
    edges: ArrayLike = (),
    negative_slope: float = 0.2,
) -> GATGradients:
    """Return the gradients of `gat_layer`.

    Parameters
    ----------
    dy : array_like, shape (N, O)
        Gradient of the loss with respect to the result.
    x, w, source, target
        The arrays of `gat_layer`.
    edges, negative_slope
        As for `gat_layer`.

    Returns
    -------
    GATGradients
        Gradients with respect to `x`, `w`, `source` and `target`.

    Raises
    ------
    TypeError
        If an array is not real or the edges are not integers.
    ValueError
        If the shapes do not fit or a node is not in the graph.

    See Also
    --------
    gat_layer : The function.

    References
    ----------
    Velickovic et al. (2018), "Graph attention networks".

    Examples
    --------
    >>> gat_layer_backward([[1.0], [0.0]], [[1.0], [3.0]], [[1.0]], [0.0], [0.0], edges=[[1, 0]]).x
    array([[0.5],
           [0.5]])
    """
    dy, x, w, source, target = reals("dy", dy, "x", x, "w", w, "source", source, "target", target)
    x, w, a_s, a_t, sources, targets = _attention(x, w, source, target, edges)
    shaped("dy", dy, (len(x), len(w)))
    z = x @ w.T
    scores, alpha = _attended(z, a_s, a_t, sources, targets, negative_slope)
    dz, dscores = np.zeros_like(z), np.empty_like(alpha)
    _collect(dy, targets, sources, alpha, dz)
    _scores_backward(
        dy, z, sources, targets, scores, alpha, x.dtype.type(negative_slope), np.zeros_like(z[:, 0]), dscores
    )
    ds = np.bincount(sources, dscores, len(x)).astype(x.dtype)
    dt = np.bincount(targets, dscores, len(x)).astype(x.dtype)
    dz += np.outer(ds, a_s) + np.outer(dt, a_t)
    return GATGradients(dz @ w, dz.T @ x, ds @ z, dt @ z)


@kernel
def _edge_softmax(scores, target, slope, largest, totals, out):
    for e in range(scores.size):
        score = scores[e] if scores[e] > 0 else slope * scores[e]
        out[e] = score
        if score > largest[target[e]] or score != score:
            largest[target[e]] = score
    for e in range(scores.size):
        out[e] = exp(out[e] - largest[target[e]])
        totals[target[e]] += out[e]
    for e in range(scores.size):
        out[e] /= totals[target[e]]


@kernel(sums=True)
def _scores_backward(dy, z, source, target, scores, alpha, slope, means, out):
    for e in range(source.size):
        g, seen, total = dy[target[e]], z[source[e]], out.dtype.type(0)
        for d in range(g.size):
            total += g[d] * seen[d]
        out[e] = total
        means[target[e]] += alpha[e] * total
    for e in range(source.size):
        inner = alpha[e] * (out[e] - means[target[e]])
        out[e] = inner if scores[e] > 0 else slope * inner


def _attended(z, a_s, a_t, sources, targets, slope):
    scores = (z @ a_s)[sources] + (z @ a_t)[targets]
    largest, totals = np.full(len(z), -np.inf, z.dtype), np.zeros(len(z), z.dtype)
    alpha = np.empty_like(scores)
    _edge_softmax(scores, targets, z.dtype.type(number("negative_slope", slope)), largest, totals, alpha)
    return scores, alpha


def _shares(target, nodes, reduce, dtype):
    """Return the weight of each edge: one, or one over the number of edges that end where it ends."""
    if reduce == "sum":
        return np.ones(target.size, dtype)
    return (1 / np.maximum(np.bincount(target, minlength=nodes), 1)[target]).astype(dtype)


def _normalized(source, target, nodes, dtype):
    degree = np.bincount(target, minlength=nodes)
    return (1 / np.sqrt(degree[source] * degree[target])).astype(dtype)


def _edges(x, edges):
    x = real("x", x, 2)
    edges = index("edges", edges, len(x), (None, 2)) if np.size(edges) else np.empty((0, 2), np.int64)
    return x, np.ascontiguousarray(edges[:, 0]), np.ascontiguousarray(edges[:, 1])


def _with_loops(x, edges):
    x, source, target = _edges(x, edges)
    nodes = np.arange(len(x))
    return np.concatenate([source, nodes]), np.concatenate([target, nodes])


def _graph_layer(x, w, b, edges):
    x, w, b = reals("x", x, "w", w, "b", b)
    real("x", x, 2)
    shaped("w", w, (None, x.shape[1]))
    if b is not None:
        shaped("b", b, (len(w),))
    return x, w, b, *_with_loops(x, edges)


def _attention(x, w, source, target, edges):
    x, w, source, target = reals("x", x, "w", w, "source", source, "target", target)
    real("x", x, 2)
    shaped("w", w, (None, x.shape[1]))
    shaped("source", source, (len(w),))
    shaped("target", target, (len(w),))
    return x, w, source, target, *_with_loops(x, edges)
