"""Layers on graphs against dense matrices in torch and sparse ones in SciPy; equivariance to the order of nodes."""

import networkx
import numpy as np
import scipy.sparse
import torch

from dlref.activations import tanh
from dlref.autodiff import value_and_gradient
from dlref.data import karate_club
from dlref.layers import (
    both_ways,
    gat_layer,
    gat_layer_backward,
    gcn_layer,
    gcn_layer_backward,
    message_passing,
    message_passing_backward,
)
from dlref.losses import cross_entropy
from tests.bounds import TRAINED, Exact, Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.oracles import from_torch

NODES = 6  # node 5 gets nothing, node 4 sends nothing
EDGES_OF = np.array([[0, 1], [1, 0], [1, 2], [2, 1], [0, 3], [3, 4], [2, 4], [5, 0]])


def features(rng):
    return (rng.normal(size=(NODES, 4)),)


def adjacency(edges, dtype=torch.float64):
    a = torch.zeros(NODES, NODES, dtype=dtype)
    a[edges[:, 1], edges[:, 0]] = 1
    return a


def sparse_messages(x, edges, reduce="sum"):
    a = scipy.sparse.coo_array((np.ones(len(edges)), (edges[:, 1], edges[:, 0])), (NODES, NODES)).tocsr()
    if reduce == "mean":
        a = scipy.sparse.diags_array(1 / np.maximum(a.sum(axis=1), 1)) @ a
    return a @ x


def torch_messages(x, edges, reduce="sum"):
    a = adjacency(edges)
    if reduce == "max":
        far = torch.where(a[:, :, None] > 0, x[None], torch.tensor(-torch.inf, dtype=x.dtype)).amax(dim=1)
        return torch.where(torch.isinf(far), torch.zeros_like(far), far)
    return a @ x if reduce == "sum" else (a / a.sum(dim=1, keepdim=True).clamp(min=1)) @ x


def torch_scatter(x, edges, reduce):
    """Reduce along an index by torch's own function."""
    y = torch.zeros_like(x)
    to = edges[:, 1:].expand(-1, x.shape[1])
    return y.scatter_reduce(0, to, x[edges[:, 0]], "amax", include_self=False)


def torch_gcn(x, w, b=None, edges=()):
    a = adjacency(edges) + torch.eye(NODES, dtype=x.dtype)
    scale = a.sum(dim=1).rsqrt()
    y = scale[:, None] * a * scale @ (x @ w.T)
    return y if b is None else y + b


def sparse_gcn(x, w, b=None, edges=()):
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(NODES))
    graph.add_edges_from([*edges.tolist(), *((v, v) for v in range(NODES))])
    a = networkx.to_scipy_sparse_array(graph, range(NODES), dtype=float).T
    root = scipy.sparse.diags_array(np.array([d for _, d in graph.in_degree(range(NODES))]) ** -0.5)
    return root @ a @ root @ x @ w.T + (0 if b is None else b)


def torch_gat(x, w, source, target, edges=(), negative_slope=0.2):
    z = x @ w.T
    scores = torch.nn.functional.leaky_relu((z @ source)[None] + (z @ target)[:, None], negative_slope)
    seen = adjacency(edges) + torch.eye(NODES, dtype=x.dtype) > 0
    return torch.softmax(scores.masked_fill(~seen, -torch.inf), dim=1) @ z


def attended(x, w, source, target, edges=(), negative_slope=0.2):
    """The same by torch's attention, whose additive mask carries the scores of the edges."""
    x, w, source, target = (torch.from_numpy(np.array(v)) for v in (x, w, source, target))
    z = x @ w.T
    bias = torch.full((NODES, NODES), -torch.inf, dtype=x.dtype)
    for u, v in [*np.asarray(edges).tolist(), *((v, v) for v in range(NODES))]:
        score = float(z[u] @ source + z[v] @ target)
        bias[v, u] = score if score > 0 else negative_slope * score
    zero = torch.zeros_like(z)
    return torch.nn.functional.scaled_dot_product_attention(zero, zero, z, attn_mask=bias).numpy()


def layer(rng):
    return rng.normal(size=(NODES, 4)), rng.normal(size=(3, 4)), rng.normal(size=3)


def heads(rng):
    return rng.normal(size=(NODES, 4)), rng.normal(size=(3, 4)), rng.normal(size=3), rng.normal(size=3)


ONES = np.ones((2, 1))
CASES = [
    Case(
        message_passing,
        features,
        "scipy.sparse",
        sparse_messages,
        kwargs={"edges": EDGES_OF, "reduce": reduce},
        gradient=torch_messages,
        bound=Normwise(4),
        gradient_bound=Normwise(4),
        label=reduce,
        refuses=[
            ((ONES, [[0, 2]]), {}, ValueError, "edges: expected integers from 0 to 1, got 2"),
            ((ONES, [[0, 1, 1]]), {}, ValueError, r"edges: expected shape \(any, 2\)"),
            ((ONES, [[0, 1]]), {"reduce": "min"}, ValueError, "reduce: expected one of 'sum', 'mean', 'max'"),
        ],
    )
    for reduce in ("sum", "mean")
]
CASES += [
    Case(
        message_passing,
        features,
        "torch.Tensor.scatter_reduce",
        from_torch(torch_scatter),
        kwargs={"edges": EDGES_OF, "reduce": "max"},
        gradient=torch_messages,
        bound=Exact(),
        gradient_bound=Normwise(4),
        label="max",
    ),
    Case(
        gcn_layer,
        layer,
        "networkx and scipy.sparse",
        sparse_gcn,
        kwargs={"edges": EDGES_OF},
        gradient=torch_gcn,
        bound=Normwise(12),
        gradient_bound=Normwise(24),
        refuses=[((ONES, np.ones((3, 2))), {}, ValueError, r"w: expected shape \(any, 1\), got \(3, 2\)")],
    ),
    Case(
        gat_layer,
        heads,
        "torch.nn.functional.scaled_dot_product_attention",
        attended,
        kwargs={"edges": EDGES_OF},
        gradient=torch_gat,
        bound=Normwise(24),
        gradient_bound=Normwise(60),
        refuses=[((ONES, np.ones((3, 1)), [1.0], [1.0]), {}, ValueError, r"source: expected shape \(3,\), got \(1,\)")],
    ),
]


def equivariance(dtype):
    """Renumber the nodes: the rows are renumbered; exactly on integers, where sums do not round."""
    rng, count = np.random.default_rng(0), 0
    edges = both_ways(networkx.gnm_random_graph(20, 40, seed=1).edges())
    assert len(edges) == 80
    x = rng.integers(-9, 9, size=(20, 3)).astype(dtype)
    p = rng.permutation(20)
    back = np.argsort(p)
    for reduce in ("sum", "max"):
        np.testing.assert_array_equal(message_passing(x[p], back[edges], reduce), message_passing(x, edges, reduce)[p])
        count += x.size
    w = rng.normal(size=(4, 3)).astype(dtype)
    a, b = rng.normal(size=(2, 4)).astype(dtype)
    worst = 0.0
    for f, args in ((gcn_layer, (w,)), (gat_layer, (w, a, b))):
        want = f(x, *args, edges=edges)[p]
        worst = max(worst, float(np.abs(f(x[p], *args, edges=back[edges]) - want).max() / np.abs(want).max()))
    return worst, count


def ten_steps(dtype):
    """Ten steps on the two labels of the karate club, two layers of convolution and one of attention, against torch."""
    rng, (friends, sides) = np.random.default_rng(0), karate_club()
    edges, labeled = both_ways(friends), np.array([0, 33])
    params = [rng.normal(size=s) / 3 for s in ((5, 34), (5,), (4, 5), (2, 4), (2,), (2,))]
    leaves = [torch.from_numpy(p.copy()).requires_grad_() for p in params]
    a = torch.zeros(34, 34, dtype=torch.float64)
    a[edges[:, 1], edges[:, 0]] = 1
    a += torch.eye(34, dtype=torch.float64)
    root = a.sum(dim=1).rsqrt()
    normalized = root[:, None] * a * root

    def loss(params):
        w1, b1, w2, w3, source, target = params
        h = tanh(gcn_layer(tanh(gcn_layer(np.eye(34), w1, b1, edges=edges)), w2, edges=edges))
        return cross_entropy(gat_layer(h, w3, source, target, edges=edges)[labeled], sides[labeled])

    for _ in range(10):
        _, gradient = value_and_gradient(loss, params)
        params = [p - 0.5 * g for p, g in zip(params, gradient, strict=True)]
        w1, b1, w2, w3, source, target = leaves
        h = torch.tanh(normalized @ torch.tanh(normalized @ w1.T + b1) @ w2.T)
        z = h @ w3.T
        scores = torch.nn.functional.leaky_relu((z @ source)[None] + (z @ target)[:, None], 0.2)
        logits = torch.softmax(scores.masked_fill(a == 0, -torch.inf), dim=1) @ z
        value = torch.nn.functional.cross_entropy(logits[labeled], torch.from_numpy(sides[labeled]))
        for p, g in zip(leaves, torch.autograd.grad(value, leaves), strict=True):
            p.data -= 0.5 * g
    pairs = [(p, q.detach().numpy()) for p, q in zip(params, leaves, strict=True)]
    return max(float(np.abs(p - q).max() / np.abs(q).max()) for p, q in pairs), sum(p.size for p in params)


PROOFS = [
    Proof(
        [gcn_layer, gat_layer],
        "the same training with dense matrices in torch",
        "karate club: all parameters of three layers after ten steps of gradient descent",
        "normwise",
        TRAINED,
        ten_steps,
        ("float64",),
        "backward",
    ),
    Proof(
        [message_passing, gcn_layer, gat_layer, both_ways],
        "itself, with the nodes renumbered",
        "20 nodes, 40 edges",
        "normwise",
        {t: float(40 * np.finfo(t).eps) for t in ("float32", "float64")},
        equivariance,
    ),
]

COLUMN = np.array([[1.0], [2.0], [5.0]])
EDGES = [
    Edge(
        message_passing,
        (COLUMN, np.array([[0, 2], [1, 2]])),
        np.array([[0.0], [0.0], [3.0]]),
        "no edge ends in the first two",
        input="1, 2, 5; edges 0 to 2 and 1 to 2",
        output="0, 0, 3",
    ),
    Edge(
        message_passing,
        (-COLUMN, np.array([[0, 2], [1, 2]]), "max"),
        np.array([[0.0], [0.0], [-1.0]]),
        "zero stands for nothing, not for a maximum",
        input="-1, -2, -5; the same edges, max",
        output="0, 0, -1",
    ),
    Edge(
        gcn_layer,
        (COLUMN, np.array([[3.0]])),
        3 * COLUMN,
        "without edges a dense layer",
        input="1, 2, 5; no edges; w = 3",
        output="3, 6, 15",
    ),
]


def neighbor(matrix):
    return f"{abs(float(matrix[0, 1])):.4g}"


PATH = networkx.path_graph(3)
MIDDLE = np.array([[0.0], [1.0], [0.0]])
CONVENTIONS = [
    Convention(
        "graph-neural-network",
        "graph-normalization",
        "What a neighbor weighs",
        "a path of three nodes: from the middle to an end",
        [
            Row(
                "dlref",
                "`gcn_layer`: both roots, every node its own neighbor",
                "0.4082",
                lambda: f"{gcn_layer(MIDDLE, [[1.0]], edges=both_ways(PATH.edges()))[0, 0]:.4g}",
                package="dlref",
            ),
            Row(
                "dlref",
                "`gat_layer` with zero vectors: the mean, itself included",
                "0.5",
                lambda: f"{gat_layer(MIDDLE, [[1.0]], [0.0], [0.0], edges=both_ways(PATH.edges()))[0, 0]:.4g}",
                package="dlref",
            ),
            Row(
                "NetworkX",
                "`normalized_laplacian_matrix`: both roots, without itself",
                "0.7071",
                lambda: neighbor(networkx.normalized_laplacian_matrix(PATH).toarray()),
                package="networkx",
            ),
            Row(
                "SciPy",
                "`csgraph.laplacian(normed=True)`: both roots, without itself",
                "0.7071",
                lambda: neighbor(scipy.sparse.csgraph.laplacian(networkx.to_numpy_array(PATH), normed=True)),
                package="scipy",
            ),
        ],
    )
]


def graph(dtype, features=16):
    """A random graph of 1000 nodes, its edges in both directions."""
    rng = np.random.default_rng(0)
    edges = both_ways(networkx.gnm_random_graph(1000, 5000, seed=0).edges())
    x, dy = rng.normal(size=(2, 1000, features)).astype(dtype)
    w, a, b = (rng.normal(size=s).astype(dtype) for s in ((features, features), (features,), (features,)))
    return edges, torch.from_numpy(edges), x, dy, w, a, b


def with_loops(edges):
    nodes = torch.arange(1000)
    return torch.cat([edges[:, 0], nodes]), torch.cat([edges[:, 1], nodes])


def torch_collect(x, edges, reduce="sum"):
    to = edges[:, 1:].expand(-1, x.shape[1])
    name = {"sum": "sum", "mean": "mean", "max": "amax"}[reduce]
    return torch.zeros_like(x).scatter_reduce(0, to, x[edges[:, 0]], name, include_self=False)


def torch_edge_gcn(x, w, edges):
    source, target = with_loops(edges)
    root = torch.bincount(target).to(x.dtype).rsqrt()
    messages = (x @ w.T)[source] * (root[source] * root[target])[:, None]
    return torch.zeros_like(x).index_add(0, target, messages)


def torch_edge_gat(x, w, a, b, edges):
    (source, target), z = with_loops(edges), x @ w.T
    scores = torch.nn.functional.leaky_relu((z @ a)[source] + (z @ b)[target], 0.2)
    top = torch.full((1000,), -torch.inf, dtype=x.dtype).scatter_reduce(0, target, scores, "amax")
    weight = torch.exp(scores - top[target])
    total = torch.zeros(1000, dtype=x.dtype).index_add(0, target, weight)
    return torch.zeros_like(z).index_add(0, target, z[source] * (weight / total[target])[:, None])


def graph_thunks(ours, theirs, weights, gradient=False, options=()):
    def make(dtype):
        edges, tedges, x, dy, *others = graph(dtype)
        arrays = [x, *others[:weights]]
        leaves, tdy = [torch.from_numpy(v).requires_grad_(gradient) for v in arrays], torch.from_numpy(dy)
        if not gradient:
            return lambda: ours(*arrays, edges, *options), lambda: theirs(*leaves, tedges, *options)
        y = theirs(*leaves, tedges, *options)
        return (
            lambda: ours(dy, *arrays, edges, *options),
            lambda: torch.autograd.grad(y, leaves, tdy, retain_graph=True),
        )

    return make


def keyword(function):
    """Take the edges last, by position."""
    return lambda *args: function(*args[:-1], edges=args[-1])


def both_ways_thunks(dtype):
    friends = both_ways(networkx.gnm_random_graph(1000, 5000, seed=0).edges())[:5000].copy()
    theirs = torch.from_numpy(friends)
    return lambda: both_ways(friends), lambda: torch.cat([theirs, theirs.flip(1)])


SIZE, BACKWARD = "1000 nodes of 16, 10,000 edges", "torch's backward of it"
BENCH = [
    *[
        Bench(
            f"layers.message_passing{suffix}",
            peer,
            f"{SIZE}, {reduce}",
            graph_thunks(ours, torch_collect, 0, bool(suffix), (reduce,)),
        )
        for reduce in ("sum", "max")
        for suffix, ours, peer in (
            ("", message_passing, "torch.Tensor.scatter_reduce"),
            ("_backward", message_passing_backward, BACKWARD),
        )
    ],
    Bench("layers.gcn_layer", "torch.Tensor.index_add", SIZE, graph_thunks(keyword(gcn_layer), torch_edge_gcn, 1)),
    Bench(
        "layers.gcn_layer_backward",
        BACKWARD,
        SIZE,
        graph_thunks(keyword(gcn_layer_backward), torch_edge_gcn, 1, True),
    ),
    Bench("layers.gat_layer", "torch.Tensor.index_add", SIZE, graph_thunks(keyword(gat_layer), torch_edge_gat, 3)),
    Bench(
        "layers.gat_layer_backward",
        BACKWARD,
        SIZE,
        graph_thunks(keyword(gat_layer_backward), torch_edge_gat, 3, True),
    ),
    Bench("layers.both_ways", "torch.cat and flip", "5000 edges", both_ways_thunks, ("float64",)),
]
