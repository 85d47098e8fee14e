"""Embedding against PyTorch, the product with one-hot vectors, and the gradient summed by occurrence."""

import numpy as np
import torch
import torch.nn.functional as F

from dlref.layers import embedding, embedding_backward
from tests.bounds import Exact, Normwise
from tests.cases import Bench, Case, Convention, Edge, Row

IDS = np.random.default_rng(0).integers(0, 11, (3, 8))


def one_hot(table, ids):
    return F.one_hot(torch.from_numpy(ids), len(table)).double().numpy() @ table


CASES = [
    Case(
        embedding,
        lambda rng: (rng.normal(size=(11, 5)),),
        "torch.nn.functional.one_hot, times the table",
        one_hot,
        kwargs={"ids": IDS},
        gradient=lambda table, ids: F.embedding(ids, table),
        bound=Exact(),
        gradient_bound=Normwise(24),
        refuses=[
            (([[1.0], [2.0]], [0, 2]), {}, ValueError, "ids: expected integers from 0 to 1, got 2"),
            (([[1.0], [2.0]], [-1]), {}, ValueError, "ids: expected integers from 0 to 1, got -1"),
            (([[1.0], [2.0]], [0.5]), {}, TypeError, "ids: expected integers, got float64"),
            (([[1.0], [2.0]], [0], 2), {}, ValueError, "padding_index: expected an integer from 0 to 1, got 2"),
        ],
    ),
    Case(
        embedding,
        lambda rng: (rng.normal(size=(11, 5)),),
        "torch.nn.functional.embedding",
        lambda table, ids, padding_index: F.embedding(torch.from_numpy(ids), torch.from_numpy(table)).numpy(),
        kwargs={"ids": IDS, "padding_index": 3},
        gradient=lambda table, ids, padding_index: F.embedding(ids, table, padding_idx=padding_index),
        bound=Exact(),
        gradient_bound=Normwise(24),
        smooth=False,  # the padding's row moves the value and has no gradient, on purpose
        label="padding",
    ),
]

EDGES = [
    Edge(embedding, ([[1.0], [2.0]], [1, 1]), [[2.0], [2.0]], "a word may occur again"),
    Edge(embedding, ([[1.0], [2.0]], [2]), ValueError, "an id beyond the table is refused, never wrapped or clipped"),
    Edge(embedding, ([[1.0], [2.0]], np.zeros(0, int)), np.zeros((0, 1)), "no words", output="[]"),
    Edge(embedding_backward, ([[1.0], [10.0]], [[0.0], [0.0]], [1, 1]), [[0.0], [11.0]], "occurrences add up"),
    Edge(
        embedding_backward,
        ([[1.0], [10.0]], [[0.0], [0.0]], [0, 1]),
        [[0.0], [10.0]],
        "the padding's row gets nothing",
        {"padding_index": 0},
        input="[[1], [10]], [[0], [0]], [0, 1], padding_index 0",
    ),
    Edge(
        embedding_backward,
        ([[1.0], [10.0]], [[0.0], [0.0]], [0, 1]),
        [[1.0], [0.0]],
        "the padding may be the last row",
        {"padding_index": 1},
        input="[[1], [10]], [[0], [0]], [0, 1], padding_index 1",
    ),
]


def torch_padding():
    table = torch.ones(2, 1, requires_grad=True)
    F.embedding(torch.tensor([0]), table, padding_idx=0).sum().backward()
    return float(table.grad[0, 0])


def keras_padding():
    import keras

    layer = keras.layers.Embedding(2, 1, mask_zero=True)
    layer(torch.tensor([[0]])).sum().backward()
    return float(layer.embeddings.value.grad[0, 0])


def torch_start():
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    table = torch.nn.Embedding(1000, 50).weight.detach()
    torch.random.set_rng_state(state)
    return float(table.std())


def keras_start():
    import keras

    layer = keras.layers.Embedding(1000, 50)
    layer.build()
    return float(layer.embeddings.value.detach().std())


CONVENTIONS = [
    Convention(
        "word-embedding",
        "embedding-padding",
        "What becomes of the padding's row",
        "the gradient of row 0 when word 0, the padding, is looked up once and the result summed",
        [
            Row(
                "dlref",
                "`padding_index=0`: no gradient",
                "0.0",
                lambda: float(embedding_backward([[1.0]], [[1.0], [1.0]], [0], padding_index=0)[0, 0]),
                package="dlref",
            ),
            Row("PyTorch", "`padding_idx=0`: no gradient", "0.0", torch_padding, package="torch"),
            Row("Keras", "`mask_zero=True`: a mask for later layers", "1.0", keras_padding, package="keras"),
        ],
    ),
    Convention(
        "word-embedding",
        "embedding-start",
        "How large new vectors are",
        "1,000 words in 50 dimensions: the standard deviation of the entries",
        [
            Row("PyTorch", "`Embedding`: standard normal", "1.00", torch_start, "{:.2f}", "torch"),
            Row("Keras", "`Embedding`: uniform up to 0.05", "0.03", keras_start, "{:.2f}", "keras"),
        ],
    ),
]


def tables(dtype):
    rng = np.random.default_rng(0)
    table, ids = rng.normal(size=(10_000, 128)).astype(dtype), rng.integers(0, 10_000, 4096)
    return table, ids, torch.from_numpy(table), torch.from_numpy(ids)


def thunks(dtype):
    table, ids, ttable, tids = tables(dtype)
    return lambda: embedding(table, ids), lambda: F.embedding(tids, ttable)


def backward_thunks(dtype):
    table, ids, _, tids = tables(dtype)
    dy = embedding(table, ids)
    tdy = torch.from_numpy(dy)
    theirs = torch.ops.aten.embedding_dense_backward
    return lambda: embedding_backward(dy, table, ids), lambda: theirs(tdy, tids, len(table), -1, False)


SIZE = "4,096 of 10,000 × 128"
BENCH = [
    Bench("layers.embedding", "torch.nn.functional.embedding", SIZE, thunks, aim=1.0),
    Bench("layers.embedding_backward", "torch's embedding_dense_backward", SIZE, backward_thunks, aim=2.0),
]
