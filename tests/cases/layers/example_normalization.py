"""Instance, group and RMS normalization against PyTorch and ONNX."""

import numpy as np
import torch

from dlref.layers import (
    InstanceNormGradients,
    group_norm,
    instance_norm,
    instance_norm_backward,
    rms_norm,
    rms_norm_backward,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.onnx_examples import published
from tests.oracles import from_torch

F = torch.nn.functional
nan = np.nan


def images(rng, mean=0.0):
    return rng.normal(size=(2, 6, 7, 4)) + mean, *rng.normal(size=(2, 6))


def torch_instance(x, gamma=None, beta=None, eps=1e-5):
    return F.instance_norm(x, weight=gamma, bias=beta, eps=eps)


def torch_group(x, gamma=None, beta=None, groups=1, eps=1e-5):
    return F.group_norm(x, groups, gamma, beta, eps)


def torch_rms(x, gamma, eps=1e-5):
    return F.rms_norm(x, gamma.shape, gamma, eps)


def condition(axes_from):
    """The distance of the mean from zero, in standard deviations, where it is subtracted."""

    def of(x, *_):
        axes = tuple(range(axes_from, x.ndim))
        return max(1.0, float(np.max(abs(x.mean(axes)) / x.std(axes))))

    return of


def positions(x, *_):
    return x[0, 0].size


def of_group(x, *_):
    return x[0].size // 3


def whole(x, *_):
    return x.size


SWEEP = {
    "100,000 positions": lambda rng, dtype: (rng.normal(size=(1, 2, 250, 400)), *rng.normal(size=(2, 2))),
    "1,000 positions, mean 1e4": lambda rng, dtype: (rng.normal(size=(1, 8, 25, 40)) + 1e4, *rng.normal(size=(2, 8))),
}
CASES = [
    Case(
        instance_norm,
        images,
        "torch.nn.functional.instance_norm",
        from_torch(torch_instance),
        sweep=SWEEP,
        bound=Normwise(positions, condition(2)),
        gradient_bound=Normwise(whole, condition(2)),
        refuses=[
            (([[1.0, 2.0]],), {}, ValueError, "x: expected at least 3 dimensions, got 2"),
            (([[[1.0, 2.0]]], [1.0, 2.0]), {}, ValueError, r"gamma: expected shape \(1,\), got \(2,\)"),
            (([[[1.0, 2.0]]], None, [1.0, 2.0]), {}, ValueError, r"beta: expected shape \(1,\), got \(2,\)"),
            (([[[1.0, 2.0]]],), {"eps": 0}, ValueError, r"eps: expected a number in \(0, inf\], got 0"),
        ],
    ),
    Case(
        instance_norm,
        lambda rng: (rng.normal(size=(3, 4, 5)), rng.normal(size=4), None),
        "torch.nn.functional.instance_norm",
        from_torch(torch_instance),
        bound=Normwise(positions),
        gradient_bound=Normwise(whole),
        label="(N, C, T), a scale alone",
    ),
    Case(
        group_norm,
        lambda rng: (rng.normal(size=(3, 4, 5)), None, rng.normal(size=4)),
        "torch.nn.functional.group_norm",
        from_torch(torch_group),
        bound=Normwise(20),
        gradient=lambda x, _, beta: F.group_norm(x, 1) + beta[:, None],  # PyTorch's own fails without a scale
        gradient_bound=Normwise(whole),
        label="(N, C, T), one group, a shift alone",
    ),
    Case(
        instance_norm,
        lambda rng: (rng.normal(size=(2, 3, 11)), None, None),
        "torch.nn.functional.instance_norm",
        from_torch(torch_instance),
        kwargs={"eps": 0.01},
        bound=Normwise(positions),
        label="(N, C, T), no parameters",
    ),
    Case(
        group_norm,
        images,
        "torch.nn.functional.group_norm",
        from_torch(torch_group),
        kwargs={"groups": 3},
        bound=Normwise(of_group),
        gradient_bound=Normwise(whole),
        refuses=[
            (([[1.0, 2.0, 3.0]],), {"groups": 2}, ValueError, "groups: expected a divisor of the 3 channels of x")
        ],
    ),
    Case(
        rms_norm,
        lambda rng: (rng.normal(size=(5, 3, 7)), rng.normal(size=7)),
        "torch.nn.functional.rms_norm",
        from_torch(torch_rms),
        sweep={"100,000 entries": lambda rng, dtype: (rng.normal(size=(2, 100_000)), rng.normal(size=100_000))},
        bound=Normwise(lambda x, gamma: gamma.size),
        gradient_bound=Normwise(whole),
        refuses=[
            (([[1.0, 2.0]], [1.0]), {}, ValueError, r"gamma: expected the last axes of x, whose shape is \(1, 2\)"),
        ],
    ),
    Case(
        rms_norm,
        lambda rng: (rng.normal(size=(5, 3, 7)), rng.normal(size=(3, 7))),
        "torch.nn.functional.rms_norm",
        from_torch(torch_rms),
        kwargs={"eps": 0.5},
        bound=Normwise(21),
        gradient_bound=Normwise(whole),
        label="two axes, eps = 0.5",
    ),
]


def examples(operator, run):
    def judged(dtype):
        worst, count = 0.0, 0
        for example in published(operator):
            inputs = [v.astype(dtype) for v in example.inputs]
            got = run(inputs, {"epsilon": 1e-5} | example.attributes)
            worst = max(worst, abs(got - example.outputs[0]).max() / abs(example.outputs[0]).max())
            count += got.size
        return worst, count

    return judged


PUBLISHED = {"float32": 20 * 2.0**-23, "float64": 20 * 2.0**-23}  # the published numbers are float32
PROOFS = [
    Proof(
        [group_norm],
        "ONNX, published examples of GroupNormalization",
        "two examples of shape (3, 4, 2, 2) in two groups",
        "normwise",
        PUBLISHED,
        examples("groupnormalization", lambda v, a: group_norm(*v, groups=a["num_groups"], eps=a["epsilon"])),
    ),
    Proof(
        [instance_norm],
        "ONNX, published examples of InstanceNormalization",
        "two examples of shapes (1, 2, 1, 3) and (2, 3, 4, 5)",
        "normwise",
        PUBLISHED,
        examples("instance_normalization", lambda v, a: instance_norm(*v, eps=a["epsilon"])),
    ),
    Proof(
        [rms_norm],
        "ONNX, published examples of RMSNormalization",
        "19 examples over one to four axes",
        "normwise",
        PUBLISHED,
        examples("rmsnormalization", lambda v, a: rms_norm(*v, eps=a["epsilon"])),
    ),
]

EDGES = [
    Edge(
        instance_norm,
        ([[[5.0]]], [2.0], [3.0]),
        [[[3.0]]],
        "a single position: its variance is 0, beta is left; PyTorch refuses",
        input="one position, 5; gamma 2, beta 3",
        output="3",
    ),
    Edge(instance_norm, ([[[5.0, 5.0]]],), [[[0.0, 0.0]]], "a constant map becomes beta, here 0"),
    Edge(
        instance_norm,
        ([[[nan, 1.0], [1.0, 1.0]]],),
        [[[nan, nan], [0.0, 0.0]]],
        "NaN reaches its map, and no other",
    ),
    Edge(rms_norm, ([[0.0, 0.0]], [1.0, 1.0]), [[0.0, 0.0]], "zeros stay: epsilon keeps the quotient finite"),
    Edge(
        instance_norm,
        (np.zeros((2, 0, 3)),),
        np.zeros((2, 0, 3)),
        "no channels",
        input="shape (2, 0, 3)",
        output="nothing",
    ),
    Edge(
        instance_norm_backward,
        (np.zeros((2, 0, 3)), np.zeros((2, 0, 3)), np.zeros(0), np.zeros(0)),
        InstanceNormGradients(np.zeros((2, 0, 3)), np.zeros(0), np.zeros(0)),
        "no channels, no gradient",
        input="shapes (2, 0, 3)",
        output="nothing",
    ),
    Edge(rms_norm, ([2.0, 2.0], [1.0, 3.0]), [0.5, 1.5], "a single vector", {"eps": 12.0}),
    Edge(rms_norm, ([[-7.0]], [2.0]), [[-2.0]], "one entry: its sign times gamma", {"eps": 1e-30}),
]


def run(function):
    """Return what a library says, or how it refuses."""
    try:
        return f"{float(function()):.4f}"
    except ValueError:
        return "refuses"


def keras_group(x):
    import keras

    return keras.layers.GroupNormalization(groups=-1, axis=1)(np.array(x, np.float32)).detach().numpy().ravel()[0]


def keras_rms(x):
    import keras

    return float(keras.layers.RMSNormalization()(np.array(x, np.float32)).detach().numpy().ravel()[0])


SINGLE, SMALL = [[[[5.0]]]], [[1e-3, 1e-3]]
CONVENTIONS = [
    Convention(
        "instance-normalization",
        "instance-norm-single",
        "A map of one pixel",
        "one example, one channel, one pixel of value 5, no parameters",
        [
            Row(
                "dlref",
                "the variance is 0: beta",
                "0.0000",
                lambda: run(lambda: instance_norm(SINGLE).item()),
                package="dlref",
            ),
            Row(
                "PyTorch",
                "an error: expected more than one spatial element when training",
                "refuses",
                lambda: run(lambda: F.instance_norm(torch.tensor(SINGLE)).item()),
                package="torch",
            ),
            Row(
                "Keras, `GroupNormalization(groups=-1)`",
                "the variance is 0: beta",
                "0.0000",
                lambda: run(lambda: keras_group(SINGLE)),
                package="keras",
            ),
        ],
    ),
    Convention(
        "instance-normalization",
        "rms-norm-epsilon",
        "The default epsilon of RMS normalization",
        "the row 0.001, 0.001 with the defaults: the first value of the result",
        [
            Row("dlref", "$10^{-5}$", "0.302", lambda: rms_norm(SMALL, [1.0, 1.0])[0, 0], "{:.3f}", "dlref"),
            Row(
                "PyTorch",
                "machine epsilon of the dtype, here $2^{-23}$",
                "0.945",
                lambda: F.rms_norm(torch.tensor(SMALL), (2,))[0, 0].item(),
                "{:.3f}",
                "torch",
            ),
            Row("Keras", "$10^{-6}$", "0.707", lambda: keras_rms(SMALL), "{:.3f}", "keras"),
        ],
    ),
]


def sample(dtype, shape):
    x, dy = np.random.default_rng(0).normal(size=(2, *shape)).astype(dtype)
    gamma, beta = np.random.default_rng(1).normal(size=(2, shape[1])).astype(dtype)
    return x, dy, gamma, beta, *map(torch.from_numpy, (x, dy, gamma, beta))


IMAGES, ROWS = (8, 64, 28, 28), (512, 768)


def instance_thunks(dtype):
    x, _, gamma, beta, tx, _, tg, tb = sample(dtype, IMAGES)
    return lambda: instance_norm(x, gamma, beta), lambda: torch_instance(tx, tg, tb)


def group_thunks(dtype):
    x, _, gamma, beta, tx, _, tg, tb = sample(dtype, IMAGES)
    return lambda: group_norm(x, gamma, beta, 8), lambda: torch_group(tx, tg, tb, 8)


def group_backward_thunks(dtype):
    from dlref.layers import group_norm_backward

    x, dy, gamma, beta, tx, tdy, tg, tb = sample(dtype, IMAGES)
    sizes = 8, 64, 784, 8
    _, mean, inverse = torch.native_group_norm(tx, tg, tb, *sizes, 1e-5)

    def peer():
        return torch.ops.aten.native_group_norm_backward(tdy, tx, mean, inverse, tg, *sizes, [True, True, True])

    return lambda: group_norm_backward(dy, x, gamma, beta, 8), peer


def rms_thunks(dtype):
    x, _, gamma, _, tx, _, tg, _ = sample(dtype, ROWS)
    return lambda: rms_norm(x, gamma), lambda: torch_rms(tx, tg)


def backward_of(function, expression, images):
    """Time a gradient against autograd of a graph that is kept."""

    def make(dtype):
        x, dy, gamma, beta, tx, tdy, tg, tb = sample(dtype, IMAGES if images else ROWS)
        args, leaves = ((x, gamma, beta), (tx, tg, tb)) if images else ((x, gamma), (tx, tg))
        y = expression(*(leaf.requires_grad_() for leaf in leaves))
        return lambda: function(dy, *args), lambda: torch.autograd.grad(y, leaves, tdy, retain_graph=True)

    return make


KEPT = "autograd of PyTorch, its forward pass kept"
BENCH = [
    Bench("layers.instance_norm", "torch.nn.functional.instance_norm", "8 × 64 × 28 × 28", instance_thunks, aim=3.0),
    Bench("layers.group_norm", "torch.nn.functional.group_norm", "8 × 64 × 28 × 28, 8 groups", group_thunks, aim=3.0),
    Bench(
        "layers.group_norm_backward",
        "torch's native_group_norm_backward, statistics saved",
        "8 × 64 × 28 × 28, 8 groups",
        group_backward_thunks,
    ),
    Bench(
        "layers.instance_norm_backward",
        KEPT,
        "8 × 64 × 28 × 28",
        backward_of(instance_norm_backward, torch_instance, True),
    ),
    Bench("layers.rms_norm", "torch.nn.functional.rms_norm", "512 × 768", rms_thunks),
    Bench("layers.rms_norm_backward", KEPT, "512 × 768", backward_of(rms_norm_backward, torch_rms, False)),
]
