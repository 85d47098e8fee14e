"""Batch normalization in training and prediction."""

import numpy as np
import torch

from dlref.layers import (
    BatchStatistics,
    Folded,
    batch_norm,
    batch_norm_fold,
    batch_norm_inference,
    batch_statistics,
    running_update,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.onnx_examples import evaluate, published
from tests.oracles import from_torch

nan = np.nan


def torch_batch_norm(x, gamma, beta, eps=1e-5):
    return torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)


def torch_inference(x, gamma, beta, mean, var, eps=1e-5):
    return torch.nn.functional.batch_norm(x, mean, var, gamma, beta, training=False, eps=eps)


def torch_inference_written_out(x, gamma, beta, mean, var, eps=1e-5):
    # PyTorch has no gradient for the statistics, so that autograd is given the formula.
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, var, gamma, beta = (v.reshape(shape) for v in (mean, var, gamma, beta))
    return (x - mean) / torch.sqrt(var + eps) * gamma + beta


def torch_running(mean, var, x, momentum=0.1):
    mean, var = mean.clone(), var.clone()
    torch.nn.functional.batch_norm(x, mean, var, training=True, momentum=momentum)
    return mean, var


def onnx_inference(x, gamma, beta, mean, var, eps=1e-5):
    import onnx
    from onnx.reference import ReferenceEvaluator

    values = {"x": x, "gamma": gamma, "beta": beta, "mean": mean, "var": var}
    info = [onnx.helper.make_tensor_value_info(k, onnx.TensorProto.DOUBLE, v.shape) for k, v in values.items()]
    node = onnx.helper.make_node("BatchNormalization", list(values), ["y"], epsilon=eps)
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.DOUBLE, x.shape)
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", info, [result]))
    return ReferenceEvaluator(model).run(None, values)[0]


def affine(rng, channels):
    return rng.normal(size=channels), rng.normal(size=channels)


def images(rng, mean=0.0):
    return rng.normal(size=(5, 3, 7, 4)) + mean, *affine(rng, 3)


def statistics(rng, channels):
    return rng.normal(size=channels), rng.uniform(0.2, 3, size=channels)


def long_batch(rng, length, mean):
    # A mean that is off by d moves the gradient of gamma by d/std times that of beta. Over eight channels the largest
    # of the one is about as large as the largest of the other, so that the condition number is that of the value.
    return rng.normal(size=(length, 8)) + mean, *affine(rng, 8)


def condition(x, *_):
    """Subtracting the mean, which is rounded in proportion to its size, from values a standard deviation away."""
    axes = (0, *range(2, x.ndim))
    return max(1.0, float(np.max(np.abs(x.mean(axes)) / x.std(axes))))


def per_channel(x, *_):
    return x.size // x.shape[1]


SWEEP = {f"{n:,} values per channel": (lambda rng, dtype, n=n: long_batch(rng, n, 0.0)) for n in (7, 1000, 100_000)} | {
    "1,000 values per channel, mean 1e4": lambda rng, dtype: long_batch(rng, 1000, 1e4)
}
BOUND = Normwise(per_channel, condition)

CASES = [
    Case(
        batch_norm,
        images,
        "torch.nn.functional.batch_norm",
        from_torch(torch_batch_norm),
        sweep=SWEEP,
        bound=BOUND,
        refuses=[
            (([1.0], [1.0], [1.0]), {}, ValueError, "x: expected at least 2 dimensions, got 1"),
            (([[1.0, 2.0]], [1.0], [1.0, 2.0]), {}, ValueError, r"gamma: expected shape \(2,\), got \(1,\)"),
            (([[1.0, 2.0]], [1.0, 2.0], [1.0]), {}, ValueError, r"beta: expected shape \(2,\), got \(1,\)"),
            (([[1.0]], [1.0], [1.0]), {"eps": 0}, ValueError, r"eps: expected a number in \(0, inf\], got 0"),
        ],
    ),
    Case(
        batch_norm,
        lambda rng: (rng.normal(size=(6, 5)), *affine(rng, 5)),
        "torch.nn.functional.batch_norm",
        from_torch(torch_batch_norm),
        bound=BOUND,
        kwargs={"eps": 0.01},
        label="(N, C), eps = 0.01",
    ),
    Case(
        batch_norm_inference,
        lambda rng: (rng.normal(size=(5, 3, 7, 4)), *affine(rng, 3), *statistics(rng, 3)),
        "torch.nn.functional.batch_norm",
        from_torch(torch_inference),
        bound=Normwise(per_channel),
        gradient=torch_inference_written_out,
        refuses=[
            (([[1.0]], [1.0], [1.0], [1.0], [1.0, 2.0]), {}, ValueError, r"var: expected shape \(1,\), got \(2,\)"),
        ],
    ),
    Case(
        batch_norm_inference,
        lambda rng: (rng.normal(size=(6, 5)), *affine(rng, 5), *statistics(rng, 5)),
        "onnx.reference BatchNormalization",
        onnx_inference,
        bound=Normwise(per_channel),
        gradient=torch_inference_written_out,
        kwargs={"eps": 2.0**-10},  # ONNX keeps epsilon in float32
        label="(N, C)",
    ),
    Case(
        batch_statistics,
        lambda rng: (rng.normal(size=(5, 3, 7)) + 2,),
        "numpy.mean and numpy.var in float64",
        lambda x: (x.mean((0, *range(2, x.ndim))), x.var((0, *range(2, x.ndim)))),
        sweep={"1,000 values per channel, mean 1e4": lambda rng, dtype: (rng.normal(size=(1000, 2)) + 1e4,)},
        bound=Normwise(per_channel, condition),
        refuses=[((np.zeros((0, 3)),), {}, ValueError, "x: expected at least one value per channel")],
    ),
    Case(
        running_update,
        lambda rng: (*statistics(rng, 3), rng.normal(size=(5, 3, 7))),
        "torch.nn.functional.batch_norm",
        lambda mean, var, x, momentum=0.1: from_torch(torch_running)(mean, var, x, momentum=momentum),
        kwargs={"momentum": 0.3},
        refuses=[
            (([0.0], [1.0], [[1.0]]), {}, ValueError, "x: expected at least two values per channel"),
            (([0.0], [1.0], [[1.0], [2.0]]), {"momentum": 2}, ValueError, r"momentum: expected a number in \[0, 1\]"),
        ],
    ),
]


def folded(dtype):
    """A dense layer and a normalization, against the folded layer; and a convolution, in torch."""
    rng = np.random.default_rng(5)
    gamma, beta, mean = rng.normal(size=(3, 4)).astype(dtype)
    var = rng.uniform(0.2, 3, size=4).astype(dtype)
    w, b = rng.normal(size=(4, 3, 2, 5)).astype(dtype), rng.normal(size=4).astype(dtype)
    x = rng.normal(size=(2, 3, 9, 11))
    got = batch_norm_fold(w, b, gamma, beta, mean, var)
    wide = [torch.from_numpy(v.astype(np.float64)) for v in (w, b, mean, var, gamma, beta, got.w, got.b)]
    plain = torch.nn.functional.conv2d(torch.from_numpy(x), wide[0], wide[1])
    want = torch.nn.functional.batch_norm(plain, *wide[2:6]).numpy()
    have = torch.nn.functional.conv2d(torch.from_numpy(x), wide[6], wide[7]).numpy()
    return abs(have - want).max() / abs(want).max(), want.size


def published_by_onnx(dtype):
    """The examples of BatchNormalization: prediction, and training with its running averages of biased variances."""
    worst, count = 0.0, 0
    for example in published("batch_normalization"):
        x, *parameters = (v.astype(dtype) for v in example.inputs)
        eps = example.attributes.get("epsilon", 1e-5)
        if example.attributes.get("training_mode"):
            got = batch_norm(x, *parameters[:2], eps)
        else:
            got = batch_norm_inference(x, *parameters, eps)
        want = example.outputs[0]
        worst = max(worst, abs(got - want).max() / abs(want).max())
        count += got.size
    return worst, count


PROOFS = [
    Proof(
        [batch_norm, batch_norm_inference],
        "ONNX, published examples of BatchNormalization",
        "the outputs of its examples in prediction and in training",
        "normwise",
        {"float32": 20 * 2.0**-23, "float64": 20 * 2.0**-23},  # the published numbers are float32
        published_by_onnx,
    ),
    Proof(
        [batch_norm_fold],
        "torch conv2d then batch_norm",
        "a convolution of 4 x 3 x 2 x 5 weights on an input of shape (2, 3, 9, 11)",
        "normwise",
        {name: 18 * float(np.finfo(name).eps) for name in ("float32", "float64")},
        folded,
    ),
]

column = [[1.0], [2.0], [3.0], [4.0]]
SMALL = [[-0.01], [0.01]]
EDGES = [
    Edge(batch_norm, ([[5.0]], [2.0], [3.0]), [[3.0]], "one value per channel: its variance is 0; PyTorch refuses"),
    Edge(batch_norm, ([[5.0], [5.0]], [2.0], [3.0]), [[3.0], [3.0]], "a constant channel becomes beta"),
    Edge(batch_norm, ([[nan], [1.0]], [1.0], [0.0]), [[nan], [nan]], "NaN reaches its whole channel, and no other"),
    Edge(batch_norm, (np.zeros((0, 1)), [1.0], [0.0]), np.zeros((0, 1)), "an empty batch", input="shape (0, 1)"),
    Edge(
        batch_norm_fold,
        ([[2.0]], None, [1.0], [1.5], [1.0], [3.0]),
        Folded(np.array([[1.0]]), np.array([1.0])),
        "no bias counts as zero",
        {"eps": 1.0},
        input="w = 2, gamma 1, beta 1.5, mean 1, variance 3; epsilon 1",
        output="w = 1, b = 1",
    ),
    Edge(
        batch_norm_fold,
        ([[2.0]], None, [1.0, 1.0], [1.5], [1.0], [3.0]),
        ValueError,
        "two scales for one output",
        input="w = 2, gamma 1, 1",
    ),
    Edge(
        batch_norm_fold,
        ([[2.0]], None, [1.0], [1.5, 1.5], [1.0], [3.0]),
        ValueError,
        "two shifts for one output",
        input="w = 2, beta 1.5, 1.5",
    ),
    Edge(
        running_update,
        ([0.0], [1.0], [[1.0], [3.0]]),
        BatchStatistics(np.array([2.0]), np.array([2.0])),
        "two values are the fewest with an unbiased variance",
        kwargs={"momentum": 1.0},
        input="0, 1, column 1, 3",
        output="2, 2",
    ),
    Edge(
        running_update,
        ([0.0], [1.0], column),
        BatchStatistics(np.array([2.5]), np.array([5 / 3])),
        "momentum 1: the batch alone, its variance unbiased",
        kwargs={"momentum": 1.0},
        input="0, 1, column 1, 2, 3, 4",
        output="2.5, 1.6667",
    ),
    Edge(batch_norm_inference, ([[nan]], [1.0], [0.0], [0.0], [1.0]), [[nan]], "NaN stays where it is"),
]


def torch_running_variance():
    layer = torch.nn.BatchNorm1d(1, momentum=1.0)
    layer(torch.tensor(column))
    return float(layer.running_var)


def keras_running_variance():
    import keras

    layer = keras.layers.BatchNormalization(momentum=0.0)
    layer(np.array(column, np.float32), training=True)
    return float(layer.moving_variance.value[0])


def torch_momentum():
    layer = torch.nn.BatchNorm1d(1)
    layer(torch.tensor(column))
    return float(layer.running_mean)


def keras_momentum():
    import keras

    layer = keras.layers.BatchNormalization(momentum=0.1)
    layer(np.array(column, np.float32), training=True)
    return float(layer.moving_mean.value[0])


def onnx_running(momentum):
    """The running mean and variance after one batch, from 0 and 1."""
    one, zero = np.ones(1), np.zeros(1)
    attributes = {"momentum": momentum, "training_mode": 1}
    x = np.array(column)[..., None]
    _, mean, var = evaluate("BatchNormalization", x, one, zero, zero, one, outputs=3, **attributes)
    return float(mean[0]), float(var[0])


def keras_scale():
    import keras

    layer = keras.layers.BatchNormalization()
    return float(layer(np.array(SMALL, np.float32), training=True)[1, 0].detach())


def dlref_momentum():
    return float(running_update([0.0], [1.0], column).mean[0])


CONVENTIONS = [
    Convention(
        "batch-normalization",
        "batch-norm-running-variance",
        "Which variance is stored",
        "the running variance after one batch 1, 2, 3, 4 that replaces it whole",
        [
            Row(
                "dlref",
                "unbiased: divides by $m - 1$",
                "1.6667",
                lambda: running_update([0.0], [1.0], column, momentum=1.0).var[0],
                "{:.4f}",
                "dlref",
            ),
            Row("PyTorch", "unbiased: divides by $m - 1$", "1.6667", torch_running_variance, "{:.4f}", "torch"),
            Row("Keras", "biased: divides by $m$", "1.2500", keras_running_variance, "{:.4f}", "keras"),
            Row("ONNX", "biased: divides by $m$", "1.2500", lambda: onnx_running(0.0)[1], "{:.4f}", "onnx"),
            Row(
                "the paper",
                "unbiased",
                "1.6667",
                source="{cite:t}`ioffe2015batch`, algorithm 2, step 10",
            ),
        ],
    ),
    Convention(
        "batch-normalization",
        "batch-norm-momentum",
        "Whose weight momentum is",
        "the running mean after one batch 1, 2, 3, 4 with momentum 0.1, starting at 0",
        [
            Row("dlref", "momentum weighs the new value", "0.25", dlref_momentum, "{:.2f}", "dlref"),
            Row("PyTorch", "momentum weighs the new value", "0.25", torch_momentum, "{:.2f}", "torch"),
            Row("Keras", "momentum weighs the old value", "2.25", keras_momentum, "{:.2f}", "keras"),
            Row("ONNX", "momentum weighs the old value", "2.25", lambda: onnx_running(0.1)[0], "{:.2f}", "onnx"),
        ],
    ),
    Convention(
        "batch-normalization",
        "batch-norm-epsilon",
        "The epsilon, if none is given",
        "the batch -0.01, 0.01, whose standard deviation is 0.01: the second value normalized",
        [
            Row("dlref", "$10^{-5}$", "0.953", lambda: batch_norm(SMALL, [1.0], [0.0])[1, 0], "{:.3f}", "dlref"),
            Row(
                "PyTorch",
                "$10^{-5}$",
                "0.953",
                lambda: float(torch.nn.BatchNorm1d(1)(torch.tensor(SMALL))[1, 0].detach()),
                "{:.3f}",
                "torch",
            ),
            Row("Keras", "$10^{-3}$", "0.302", keras_scale, "{:.3f}", "keras"),
        ],
    ),
]


def thunks(dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 64, 28, 28)).astype(dtype)
    gamma, beta = rng.normal(size=(2, 64)).astype(dtype)
    tensors = [torch.from_numpy(v) for v in (x, gamma, beta)]
    return lambda: batch_norm(x, gamma, beta), lambda: torch_batch_norm(*tensors)


def backward_thunks(dtype):
    from dlref.layers import batch_norm_backward

    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 32, 64, 28, 28)).astype(dtype)
    gamma, beta = rng.normal(size=(2, 64)).astype(dtype)
    tx, tdy, tg, tb = (torch.from_numpy(v) for v in (x, dy, gamma, beta))
    _, mean, inverse = torch.native_batch_norm(tx, tg, tb, None, None, True, 0.1, 1e-5)

    def peer():
        return torch.ops.aten.native_batch_norm_backward(
            tdy, tx, tg, None, None, mean, inverse, True, 1e-5, [True, True, True]
        )

    return lambda: batch_norm_backward(dy, x, gamma, beta), peer


def inference_thunks(dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 64, 28, 28)).astype(dtype)
    gamma, beta, mean = rng.normal(size=(3, 64)).astype(dtype)
    var = rng.uniform(0.5, 2, size=64).astype(dtype)
    tensors = [torch.from_numpy(v) for v in (x, gamma, beta, mean, var)]
    return lambda: batch_norm_inference(x, gamma, beta, mean, var), lambda: torch_inference(*tensors)


def inference_backward_thunks(dtype):
    from dlref.layers import batch_norm_inference_backward

    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 32, 64, 28, 28)).astype(dtype)
    gamma, beta, mean = rng.normal(size=(3, 64)).astype(dtype)
    var = rng.uniform(0.5, 2, size=64).astype(dtype)
    tx, tdy, tg, tmean, tvar = (torch.from_numpy(v) for v in (x, dy, gamma, mean, var))

    def peer():
        return torch.ops.aten.native_batch_norm_backward(
            tdy, tx, tg, tmean, tvar, None, None, False, 1e-5, [True, True, True]
        )

    return lambda: batch_norm_inference_backward(dy, x, gamma, beta, mean, var), peer


def statistics_thunks(dtype):
    x = np.random.default_rng(0).normal(size=(32, 64, 28, 28)).astype(dtype)
    t = torch.from_numpy(x)
    return lambda: batch_statistics(x), lambda: torch.var_mean(t, (0, 2, 3), correction=0)


def running_thunks(dtype):
    x = np.random.default_rng(0).normal(size=(32, 64, 28, 28)).astype(dtype)
    mean, var = np.zeros(64, dtype), np.ones(64, dtype)
    tx, tmean, tvar = (torch.from_numpy(v.copy()) for v in (x, mean, var))
    return lambda: running_update(mean, var, x), lambda: torch.batch_norm_update_stats(tx, tmean, tvar, 0.1)


def fold_thunks(dtype):
    rng = np.random.default_rng(0)
    w, b = rng.normal(size=(256, 128, 3, 3)).astype(dtype), rng.normal(size=256).astype(dtype)
    gamma, beta, mean = rng.normal(size=(3, 256)).astype(dtype)
    var = rng.uniform(0.5, 2, size=256).astype(dtype)
    tw, tb, tg, tbeta, tmean, tvar = (torch.from_numpy(v) for v in (w, b, gamma, beta, mean, var))
    fuse = torch.nn.utils.fusion.fuse_conv_bn_weights
    return lambda: batch_norm_fold(w, b, gamma, beta, mean, var), lambda: fuse(tw, tb, tmean, tvar, 1e-5, tg, tbeta)


BENCH = [
    Bench("layers.batch_norm", "torch.nn.functional.batch_norm", "32 x 64 x 28 x 28", thunks, aim=3.0),
    Bench("layers.batch_norm_backward", "torch's native_batch_norm_backward", "32 x 64 x 28 x 28", backward_thunks),
    Bench("layers.batch_norm_inference", "torch.nn.functional.batch_norm", "32 x 64 x 28 x 28", inference_thunks),
    Bench(
        "layers.batch_norm_inference_backward",
        "torch's native_batch_norm_backward",
        "32 x 64 x 28 x 28",
        inference_backward_thunks,
    ),
    Bench("layers.batch_statistics", "torch.var_mean", "32 x 64 x 28 x 28", statistics_thunks),
    Bench("layers.running_update", "torch.batch_norm_update_stats", "32 x 64 x 28 x 28", running_thunks),
    Bench("layers.batch_norm_fold", "torch.nn.utils.fusion", "256 x 128 x 3 x 3", fold_thunks),
]
