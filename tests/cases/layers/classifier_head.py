"""The fully connected head against PyTorch's flatten, linear and conv2d; counts against published numbers."""

import numpy as np
import torch
import torch.nn.functional as F

from dlref.layers import (
    channels_last_head,
    filters_from_head,
    fully_connected,
    fully_connected_backward,
    head_from_filters,
    parameter_table,
)
from tests.bounds import Exact, Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

SHAPE = 3, 4, 5


def drawn(rng):
    return rng.normal(size=(2, *SHAPE)), rng.normal(size=(7, 60)), rng.normal(size=7)


CASES = [
    Case(
        fully_connected,
        drawn,
        "torch.nn.functional.conv2d with a filter of the whole input",
        lambda x, w, b: F.conv2d(*map(torch.from_numpy, (x, w.reshape(7, *SHAPE), b)))[:, :, 0, 0].numpy(),
        gradient=lambda x, w, b: F.linear(torch.flatten(x, 1), w, b),
        bound=Normwise(60),
        refuses=[
            ((np.ones((2, 3, 4)), np.ones((5, 6))), {}, ValueError, r"w: expected shape \(any, 12\), got \(5, 6\)"),
            (([1.0, 2.0], [[1.0, 2.0]]), {}, ValueError, "x: expected at least 2 dimensions, got 1"),
        ],
    ),
    Case(
        filters_from_head,
        lambda rng: (rng.normal(size=(7, 60)),),
        "torch.Tensor.unflatten",
        lambda w, shape: torch.from_numpy(w).unflatten(1, shape).numpy(),
        bound=Exact(),
        kwargs={"shape": SHAPE},
        refuses=[
            ((np.ones((7, 60)), (3, 4, 4)), {}, ValueError, r"w: expected shape \(any, 48\), got \(7, 60\)"),
            ((np.ones((7, 60)), (3, 20)), {}, ValueError, r"shape: expected channels, height and width, got \(3, 20\)"),
        ],
    ),
    Case(
        head_from_filters,
        lambda rng: (rng.normal(size=(7, *SHAPE)),),
        "torch.flatten",
        lambda w: torch.flatten(torch.from_numpy(w), 1).numpy(),
        bound=Exact(),
    ),
    Case(
        channels_last_head,
        lambda rng: (rng.normal(size=(7, 60)),),
        "torch.permute",
        lambda w, shape: torch.from_numpy(w).unflatten(1, shape).permute(0, 2, 3, 1).flatten(1).numpy(),
        bound=Exact(),
        kwargs={"shape": SHAPE},
    ),
]


def slid(dtype):
    """A head on every window of a larger image is a convolution in PyTorch with its filters."""
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(dtype) for s in ((2, 3, 7, 9), (6, 60), (6,)))
    maps = F.conv2d(*(torch.from_numpy(v).double() for v in (x, filters_from_head(w, SHAPE), b))).numpy()
    windows = np.lib.stride_tricks.sliding_window_view(x, (4, 5), axis=(2, 3))  # (2, 3, 4, 5, 4, 5)
    ours = np.stack([fully_connected(windows[:, :, i, j], w, b) for i in range(4) for j in range(5)], axis=2)
    return abs(ours.reshape(maps.shape) - maps).max() / abs(maps).max(), maps.size


def layers(*sizes):
    """Parameters of PyTorch's layers, without memory: (out, in, kernel, groups), or (out, in) for a linear one."""
    total = 0
    for outputs, inputs, *window in sizes:
        if window:
            k, groups = window
            layer = torch.nn.Conv2d(inputs, outputs, k, groups=groups, device="meta")
        else:
            layer = torch.nn.Linear(inputs, outputs, device="meta")
        total += sum(p.numel() for p in layer.parameters())
    return total


HEAD = (4096, 9216), (4096, 4096), (1000, 4096)
ALEXNET = (96, 3, 11, 1), (256, 96, 5, 2), (384, 256, 3, 1), (384, 384, 3, 2), (256, 384, 3, 2), *HEAD
ONE_TOWER = (64, 3, 11, 1), (192, 64, 5, 1), (384, 192, 3, 1), (256, 384, 3, 1), (256, 256, 3, 1), *HEAD
TUTORIAL = (6, 1, 5, 1), (16, 6, 5, 1), (120, 400), (84, 120), (10, 84)


def total(network, *kinds):
    return sum(row.parameters for row in parameter_table(network) if not kinds or row.kind in kinds)


def counts(dtype):
    """Published totals, PyTorch's layers, and the shares of the fully connected ones."""
    vgg = layers(*((o, i, 3, 1) for i, o in zip((3, *WIDTHS), WIDTHS, strict=False)), (4096, 25088), *HEAD[1:])
    pairs = [
        (total("lenet-5"), 60_000),
        (total("alexnet"), layers(*ALEXNET)),
        (total("alexnet"), 60_965_224),
        (total("vgg-16"), vgg),
        (total("vgg-16"), 138_357_544),
        (round(1000 * total("alexnet", "fully connected") / total("alexnet")), 962),
        (round(1000 * total("vgg-16", "fully connected") / total("vgg-16")), 894),
    ]
    return sum(found != want for found, want in pairs), len(pairs)


WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)

PROOFS = [
    Proof(
        [fully_connected, filters_from_head],
        "torch.nn.functional.conv2d on the converted weights",
        "20 windows of two images of 3 × 7 × 9",
        "normwise",
        {"float32": 17 * 2.0**-23, "float64": 17 * 2.0**-52},  # as of any sum of 60 products
        slid,
    ),
    Proof(
        [parameter_table],
        "the papers' totals and PyTorch's layers",
        "LeNet-5, AlexNet, VGG-16",
        "count",
        0,
        counts,
        dtypes=("float64",),
    ),
]

EDGES = [
    Edge(
        fully_connected,
        (np.zeros((0, 2, 1)), [[1.0, 2.0]]),
        np.zeros((0, 1)),
        "no examples, no outputs",
        input="no images",
        output="[]",
    ),
    Edge(fully_connected, ([[[1.0], [2.0]]], [[3.0, 4.0]]), [[11.0]], "channels first, then rows, then columns"),
    Edge(
        channels_last_head,
        ([[1.0, 2.0, 3.0, 4.0]], (2, 1, 2)),
        [[1.0, 3.0, 2.0, 4.0]],
        "two channels of two pixels, read pixel by pixel",
    ),
]

PIXELS = np.array([[[[1.0, 2.0]], [[3.0, 4.0]]]])


def keras_order():
    import keras

    return words(keras.layers.Flatten()(torch.from_numpy(PIXELS.transpose(0, 2, 3, 1).copy())))


def onnx_order():
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    ends = (helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in "xy")
    graph = helper.make_graph([helper.make_node("Flatten", ["x"], ["y"])], "flatten", [next(ends)], [next(ends)])
    return words(ReferenceEvaluator(helper.make_model(graph)).run(None, {"x": PIXELS})[0])


def words(values):
    return " ".join(f"{float(v):g}" for v in values[0])


CONVENTIONS = [
    Convention(
        "fully-connected-layer",
        "fully-connected-flatten",
        "In which order an image is flattened",
        "two channels of one row, 1 2 and 3 4, stored as the library stores images",
        [
            Row(
                "dlref",
                "channels first",
                "1 2 3 4",
                lambda: words(fully_connected(PIXELS, np.eye(4))),
                package="dlref",
            ),
            Row(
                "PyTorch",
                "channels first",
                "1 2 3 4",
                lambda: words(torch.from_numpy(PIXELS).flatten(1)),
                package="torch",
            ),
            Row("ONNX", "`Flatten`: channels first", "1 2 3 4", onnx_order, package="onnx"),
            Row("Keras", "channels last by default", "1 3 2 4", keras_order, package="keras"),
        ],
    ),
    Convention(
        "fully-connected-layer",
        "fully-connected-counts",
        "Which network a name means",
        "the number of learned parameters",
        [
            Row(
                "LeNet-5",
                "the paper: partial table in C3, fixed output layer",
                "60,000",
                lambda: f"{total('lenet-5'):,}",
            ),
            Row("LeNet-5", "of tutorials: full C3, learned output", "61,706", lambda: f"{layers(*TUTORIAL):,}"),
            Row("AlexNet", "the paper: two groups", "60,965,224", lambda: f"{total('alexnet'):,}"),
            Row("AlexNet", "torchvision's: one tower, fewer filters", "61,100,840", lambda: f"{layers(*ONE_TOWER):,}"),
        ],
    ),
]


def thunks(dtype):
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(dtype) for s in ((32, 64, 4, 4), (256, 1024), (256,)))
    tx, tw, tb = map(torch.from_numpy, (x, w, b))
    return lambda: fully_connected(x, w, b), lambda: F.linear(tx.flatten(1), tw, tb)


def both_ways(dtype):
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(dtype) for s in ((32, 64, 4, 4), (256, 1024), (256,)))
    dy = fully_connected(x, w, b)
    leaves, tdy = [torch.from_numpy(v).requires_grad_() for v in (x, w, b)], torch.from_numpy(dy)
    return (
        lambda: (fully_connected(x, w, b), fully_connected_backward(dy, x, w, b)),
        lambda: torch.autograd.grad(F.linear(leaves[0].flatten(1), *leaves[1:]), leaves, tdy),
    )


SIZE = "32 × 64 × 4 × 4 to 256"


def reorder_thunks(dtype):
    w = np.random.default_rng(0).normal(size=(256, 512 * 49)).astype(dtype)
    t = torch.from_numpy(w)
    return (
        lambda: channels_last_head(w, (512, 7, 7)),
        lambda: t.unflatten(1, (512, 7, 7)).permute(0, 2, 3, 1).flatten(1),
    )


def filters_thunks(dtype):
    w = np.random.default_rng(0).normal(size=(64, 512 * 49)).astype(dtype)
    t = torch.from_numpy(w)
    return lambda: filters_from_head(w, (512, 7, 7)), lambda: t.unflatten(1, (512, 7, 7)).clone()


def flat_thunks(dtype):
    w = np.random.default_rng(0).normal(size=(64, 512, 7, 7)).astype(dtype)
    t = torch.from_numpy(w)
    return lambda: head_from_filters(w), lambda: t.flatten(1).clone()


BENCH = [
    Bench("layers.filters_from_head", "unflatten and copy in PyTorch", "64 × 512 × 7 × 7", filters_thunks),
    Bench("layers.head_from_filters", "flatten and copy in PyTorch", "64 × 512 × 7 × 7", flat_thunks),
    Bench("layers.channels_last_head", "permute in PyTorch", "256 × 512 × 7 × 7", reorder_thunks),
    Bench("layers.fully_connected", "flatten and linear in PyTorch", SIZE, thunks, aim=0.9),
    Bench(
        "layers.fully_connected_backward",
        "the same and autograd; both sides forward and back",
        SIZE,
        both_ways,
        aim=0.95,
    ),
]
