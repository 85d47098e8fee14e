"""Global average pooling against PyTorch and ONNX; class activation maps against the scores they add up to."""

import numpy as np
import torch

from dlref.layers import (
    class_activation_maps,
    dense,
    global_avg_pool2d,
    global_avg_pool2d_backward,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.onnx_examples import evaluate, published
from tests.oracles import from_torch, raced

F = torch.nn.functional
nan = np.nan


def pixels(x, *_):
    return x.shape[2] * x.shape[3]


def condition(x, *_):
    return max(1.0, float(abs(x).mean() / abs(x.mean((2, 3))).max()))


CASES = [
    Case(
        global_avg_pool2d,
        lambda rng: (rng.normal(size=(2, 5, 9, 11)),),
        "torch.nn.functional.adaptive_avg_pool2d(x, 1)",
        from_torch(lambda x: F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0]),
        sweep={
            "100,000 pixels": lambda rng, dtype: (rng.normal(size=(1, 2, 250, 400)),),
            "1,000 pixels, mean 1e4": lambda rng, dtype: (rng.normal(size=(1, 2, 25, 40)) + 1e4,),
        },
        bound=Normwise(pixels, condition),
        refuses=[
            (([[1.0]],), {}, ValueError, r"x: expected shape \(any, any, any, any\), got \(1, 1\)"),
            ((np.zeros((1, 2, 0, 3)),), {}, ValueError, "x: expected at least one pixel in a map"),
        ],
    ),
    Case(
        class_activation_maps,
        lambda rng: (rng.normal(size=(2, 5, 9, 11)), rng.normal(size=(4, 5))),
        "torch conv2d with filters of 1 × 1",
        lambda x, w: pixelwise(torch.from_numpy(x), torch.from_numpy(w)).numpy(),
        bound=Normwise(5),
        refuses=[
            ((np.ones((1, 2, 3, 4)), np.ones((5, 3))), {}, ValueError, r"w: expected shape \(any, 2\), got \(5, 3\)"),
        ],
    ),
]


def published_by_onnx(dtype):
    worst, count = 0.0, 0
    for example in published("globalaveragepool"):
        x, y = example.inputs[0].astype(dtype), example.outputs[0][:, :, 0, 0]
        worst = max(worst, abs(global_avg_pool2d(x) - y).max() / abs(y).max())
        count += y.size
    return worst, count


def scores(dtype):
    """The means of the maps plus the bias, against the scores of the network's head."""
    rng = np.random.default_rng(3)
    x, w, b = rng.normal(size=(6, 5, 9, 11)), rng.normal(size=(4, 5)), rng.normal(size=4)
    maps = class_activation_maps(x.astype(dtype), w.astype(dtype))
    want = dense(x.mean((2, 3)), w, b)
    return abs(maps.astype(float).mean((2, 3)) + b - want).max() / abs(want).max(), want.size


PROOFS = [
    Proof(
        [global_avg_pool2d],
        "ONNX, published examples of GlobalAveragePool",
        "two examples, of 5 × 5 and 3 × 3 pixels",
        "normwise",
        {"float32": 20 * 2.0**-23, "float64": 20 * 2.0**-23},  # the published numbers are float32
        published_by_onnx,
    ),
    Proof(
        [class_activation_maps],
        "the scores: mean of each map plus bias",
        "maps of shape (6, 5, 9, 11), four classes",
        "normwise",
        {name: 18 * float(np.finfo(name).eps) for name in ("float32", "float64")},
        scores,
    ),
]

EDGES = [
    Edge(
        global_avg_pool2d,
        ([[[[1.0, 2.0], [3.0, 6.0]]]],),
        [[3.0]],
        "four pixels, one number",
        input="[[1, 2], [3, 6]]",
        output="3",
    ),
    Edge(global_avg_pool2d, ([[[[7.0]]]],), [[7.0]], "a map of one pixel is its own mean", input="[[7]]", output="7"),
    Edge(
        global_avg_pool2d,
        ([[[[1.0, nan]], [[1.0, 3.0]]]],),
        [[nan, 2.0]],
        "NaN stays in its channel",
        input="channels [[1, nan]] and [[1, 3]]",
        output="nan, 2",
    ),
    Edge(global_avg_pool2d, (np.zeros((0, 3, 2, 2)),), np.zeros((0, 3)), "an empty batch", input="shape (0, 3, 2, 2)"),
    Edge(global_avg_pool2d, (np.zeros((2, 0, 3, 4)),), np.zeros((2, 0)), "no channels", input="shape (2, 0, 3, 4)"),
    Edge(
        global_avg_pool2d_backward,
        ([[8.0]], [[[[0.0, 9.0], [0.0, 0.0]]]]),
        [[[[2.0, 2.0], [2.0, 2.0]]]],
        "whatever the pixels are, all get the same",
        input="dy = 8, x = [[0, 9], [0, 0]]",
        output="2 in each pixel",
    ),
]


def shape(values):
    return str(tuple(values.shape))


def keras_shape(**options):
    import keras

    return shape(keras.layers.GlobalAveragePooling2D(data_format="channels_first", **options)(MAPS))


MAPS = np.zeros((2, 5, 3, 4), np.float32)
CONVENTIONS = [
    Convention(
        "global-average-pooling",
        "global-pool-shape",
        "The shape of the result",
        "2 images, 5 channels, 3 × 4 pixels",
        [
            Row("dlref", "both axes go", "(2, 5)", lambda: shape(global_avg_pool2d(MAPS)), package="dlref"),
            Row("Keras", "both axes go", "(2, 5)", keras_shape, package="keras"),
            Row(
                "Keras, `keepdims=True`",
                "both axes stay, with length 1",
                "(2, 5, 1, 1)",
                lambda: keras_shape(keepdims=True),
                package="keras",
            ),
            Row(
                "PyTorch, `AdaptiveAvgPool2d(1)`",
                "both axes stay, with length 1",
                "(2, 5, 1, 1)",
                lambda: shape(torch.nn.AdaptiveAvgPool2d(1)(torch.from_numpy(MAPS))),
                package="torch",
            ),
            Row(
                "ONNX, `GlobalAveragePool`",
                "both axes stay, with length 1",
                "(2, 5, 1, 1)",
                lambda: shape(evaluate("GlobalAveragePool", MAPS.astype(float))[0]),
                package="onnx",
            ),
        ],
    ),
]


def thunks(dtype):
    x = np.random.default_rng(0).normal(size=(32, 64, 28, 28)).astype(dtype)
    t = torch.from_numpy(x)
    return lambda: global_avg_pool2d(x), lambda: F.adaptive_avg_pool2d(t, 1)


def backward_thunks(dtype):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(32, 64, 28, 28)).astype(dtype), rng.normal(size=(32, 64)).astype(dtype)
    tx, tdy = torch.from_numpy(x).requires_grad_(), torch.from_numpy(dy)[:, :, None, None]
    y = F.adaptive_avg_pool2d(tx, 1)

    def peer():  # autograd's expanded view, written out as the optimizer would need it
        return torch.autograd.grad(y, tx, tdy, retain_graph=True)[0].contiguous()

    return lambda: global_avg_pool2d_backward(dy, x), peer


def pixelwise(x, w):
    return F.conv2d(x, w[:, :, None, None])


def heads(rng):
    return rng.normal(size=(32, 64, 28, 28)), rng.normal(size=(10, 64))


BENCH = [
    Bench(
        "layers.class_activation_maps",
        "torch conv2d with filters of 1 × 1",
        "32 × 64 × 28 × 28, 10 classes",
        raced(class_activation_maps, pixelwise, heads),
    ),
    Bench("layers.global_avg_pool2d", "torch.nn.functional.adaptive_avg_pool2d", "32 × 64 × 28 × 28", thunks),
    Bench("layers.global_avg_pool2d_backward", "torch.autograd", "32 × 64 × 28 × 28", backward_thunks),
]
