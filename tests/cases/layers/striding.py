"""Sizes against PyTorch over a grid, subsampling against NumPy's slices."""

import itertools

import numpy as np
import torch

from dlref.layers import (
    conv2d,
    conv_transpose2d,
    max_pool2d,
    output_padding_for,
    output_size,
    subsample,
    transposed_size,
)
from tests.bounds import Exact
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.oracles import raced


def sliced(x, stride=2, offset=0):
    (s, t), (a, b) = stride, offset
    return x[..., a::s, b::t]


SETTINGS = {"stride": (3, 2), "offset": (2, 1)}
CASES = [
    Case(
        subsample,
        lambda rng: (rng.normal(size=(2, 3, 10, 11)),),
        "slices of NumPy",
        sliced,
        kwargs=SETTINGS,
        bound=Exact(),
        gradient=sliced,
        gradient_bound=Exact(),
        refuses=[
            (([1.0],), {}, ValueError, "x: expected at least 2 dimensions, got 1"),
            (([[1.0]],), {"stride": 0}, ValueError, "stride: expected an integer at least 1, got 0"),
            (
                (np.ones((4, 5)),),
                {"offset": 2},
                ValueError,
                "offset: expected a number below the stride 2 and inside 4",
            ),
            (([[1.0]],), {"stride": 3, "offset": 2}, ValueError, "offset: expected a number below the stride 3 and"),
        ],
    )
]
GRID = list(itertools.product([7, 8, 12, 17], [1, 2, 3, 5], [1, 2, 3, 4], [0, 1, 3], [1, 2]))


def sizes(dtype):
    count = 0
    for n, k, s, p, d in GRID:
        if n + 2 * p < d * (k - 1) + 1:
            continue
        x, w = torch.empty(1, 1, n, device="meta"), torch.empty(1, 1, k, device="meta")
        y = torch.nn.functional.conv1d(x, w, None, s, p, d)
        assert output_size(n, k, s, p, d) == y.shape[2]
        left = output_padding_for(n, k, s, p, d)
        back = torch.nn.functional.conv_transpose1d(y, w, None, s, p, left, 1, d)
        assert back.shape[2] == n == transposed_size(y.shape[2], k, s, p, d, left)
        count += 3
    return 0.0, count


def dense_then_subsample(dtype):
    """A strided layer is the dense layer and every S-th of its numbers."""
    rng, worst, count = np.random.default_rng(2), 0.0, 0
    x, w = rng.normal(size=(2, 3, 13, 14)).astype(dtype), rng.normal(size=(4, 3, 3, 2)).astype(dtype)
    for s in (2, 3, (4, 1)):
        got, want = subsample(conv2d(x, w, padding=1), s), conv2d(x, w, stride=s, padding=1)
        worst = max(worst, float(np.abs(got - want).max() / np.abs(want).max()))
        np.testing.assert_array_equal(subsample(max_pool2d(x, 3, 1, 1), s), max_pool2d(x, 3, s, 1))
        count += 2 * got.size
    return worst, count


PROOFS = [
    Proof(
        [output_size, output_padding_for, transposed_size],
        "torch.nn.functional.conv1d and conv_transpose1d",
        f"{len(GRID)} settings of size, window, stride, padding and dilation",
        "exact",
        0.0,
        sizes,
        ("float64",),
    ),
    Proof(
        [subsample],
        "conv2d and max_pool2d with a stride",
        "strides 2, 3 and (4, 1)",
        "normwise",
        {t: float(20 * np.finfo(t).eps) for t in ("float32", "float64")},
        dense_then_subsample,
    ),
]

ROW = np.array([[1.0, 2.0, 3.0, 4.0, 5.0]])
ODD = ROW[:, ::2]
EDGES = [
    Edge(output_size, (7, 3, 2), 3.0, "windows end with the image", input="7 pixels, window 3, stride 2", output="3"),
    Edge(output_size, (8, 3, 2), 3.0, "one pixel is never seen", input="8 pixels, window 3, stride 2", output="3"),
    Edge(output_size, (8, 1, 3), 3.0, "pixels are skipped", input="8 pixels, window 1, stride 3", output="3"),
    Edge(output_size, (7, 3), 5.0, "the defaults: every place, no border", input="7 pixels, window 3", output="5"),
    Edge(output_padding_for, (5, 2), 0.0, "stride 1 leaves nothing", input="5 pixels, window 2", output="0"),
    Edge(output_padding_for, (5, 2, 3), 0.0, "two windows fill it", input="5 pixels, window 2, stride 3", output="0"),
    Edge(transposed_size, (5, 3), 7.0, "the defaults: all that windows cover", input="5 places, window 3", output="7"),
    Edge(transposed_size, (0, 3), ValueError, "nothing to enlarge", input="no places, window 3"),
    Edge(transposed_size, (2, 0), ValueError, "no window", input="2 places, window 0"),
    Edge(output_size, (2, 3), ValueError, "no place at all", input="2 pixels, window 3"),
    Edge(
        subsample,
        (ROW,),
        np.array([[1.0, 3.0, 5.0]]),
        "from the first pixel on",
        input="1, 2, 3, 4, 5",
        output="1, 3, 5",
    ),
    Edge(
        subsample,
        (ROW,),
        np.array([[2.0, 4.0]]),
        "another phase, other numbers",
        {"stride": (1, 2), "offset": (0, 1)},
        input="1, 2, 3, 4, 5, offset 1",
        output="2, 4",
    ),
]


def keras_places(padding):
    import keras

    return len(np.ravel(keras.ops.max_pool(np.ones((1, 6, 1)), 3, 2, padding)))


def keras_transposed():
    import keras

    x, w = np.ones((1, 4, 1)), np.ones((3, 1, 1))
    return np.asarray(keras.ops.conv_transpose(x, w, 2, "same")).size


def torch_pool(**options):
    return torch.nn.functional.max_pool1d(torch.ones(1, 1, 6), 3, 2, **options).shape[2]


def torch_transposed(**options):
    return torch.nn.functional.conv_transpose1d(torch.ones(1, 1, 4), torch.ones(1, 1, 3), stride=2, **options).shape[2]


def ours_transposed(more):
    x, w = np.ones((1, 1, 1, 4)), np.ones((1, 1, 1, 3))
    return conv_transpose2d(x, w, stride=(1, 2), padding=(0, 1), output_padding=(0, more)).shape[3]


CONVENTIONS = [
    Convention(
        "stride",
        "stride-places",
        "How many windows of 3 at stride 2",
        "6 pixels",
        [
            Row("dlref", "`output_size`", "2", lambda: output_size(6, 3, 2), package="dlref"),
            Row("PyTorch", "`max_pool1d`", "2", torch_pool, package="torch"),
            Row("PyTorch", "`ceil_mode=True`", "3", lambda: torch_pool(ceil_mode=True), package="torch"),
            Row("Keras on PyTorch", '`"valid"`', "2", lambda: keras_places("valid"), package="keras"),
            Row("Keras on PyTorch", '`"same"`', "3", lambda: keras_places("same"), package="keras"),
        ],
    ),
    Convention(
        "stride",
        "stride-back",
        "The size on the way back",
        "4 values, window 3, stride 2: there, 7 and 8 pixels both gave 4",
        [
            Row("dlref", "`padding=1`", "7", lambda: ours_transposed(0), package="dlref"),
            Row("dlref", "and `output_padding=1`", "8", lambda: ours_transposed(1), package="dlref"),
            Row("PyTorch", "`padding=1`", "7", lambda: torch_transposed(padding=1), package="torch"),
            Row(
                "PyTorch",
                "and `output_padding=1`",
                "8",
                lambda: torch_transposed(padding=1, output_padding=1),
                package="torch",
            ),
            Row("Keras on PyTorch", '`"same"`', "8", keras_transposed, package="keras"),
        ],
    ),
]


def maps(rng):
    return (rng.normal(size=(8, 16, 56, 56)),)


def strided_copy(x):
    return x[..., ::2, ::2].contiguous()


SIZE = "8 × 16 × 56 × 56"
BENCH = [
    Bench("layers.subsample", "a strided copy in torch", SIZE, raced(subsample, strided_copy, maps)),
    Bench(
        "layers.subsample_backward",
        "torch, with its forward pass",
        SIZE,
        raced(subsample, strided_copy, maps, gradient=True),
    ),
]
