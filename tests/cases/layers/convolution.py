"""conv2d against PyTorch, ONNX's reference and SciPy, over strides, paddings, dilations, groups and kernel shapes."""

import itertools
import warnings

import numpy as np
import scipy.signal
import torch

from dlref.layers import conv2d, conv2d_backward, conv2d_definition
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.onnx_examples import published
from tests.oracles import autograd, from_torch

inf, nan = np.inf, np.nan


def drawn(channels=6, filters=9, kernel=(3, 3), groups=1, image=(11, 8), images=2, bias=True):
    def draw(rng):
        x = rng.normal(size=(images, channels, *image))
        w = rng.normal(size=(filters, channels // groups, *kernel))
        return x, w, rng.normal(size=filters) if bias else None

    return draw


def wide(channels):
    """Return a sweep over the length of the sum: channels times 3 x 3."""
    return lambda rng, dtype: drawn(channels, 5, image=(6, 7))(rng)


def terms(x, w, *_):
    return np.size(w[0])


def torch_conv2d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    return torch.nn.functional.conv2d(x, w, b, stride, padding, dilation, groups)


def onnx_conv(x, w, b=None, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    names = ["x", "w"] if b is None else ["x", "w", "b"]
    pads = [*padding, *padding]
    node = helper.make_node("Conv", names, ["y"], strides=stride, pads=pads, dilations=dilation, group=groups)
    value = helper.make_tensor_value_info
    inputs = [value(name, TensorProto.DOUBLE, None) for name in names]
    model = helper.make_model(helper.make_graph([node], "g", inputs, [value("y", TensorProto.DOUBLE, None)]))
    return ReferenceEvaluator(model).run(None, dict(zip(names, (x, w, b), strict=False)))[0]


def scipy_correlate(x, w, b=None):
    sums = [[sum(scipy.signal.correlate2d(c, k, "valid") for c, k in zip(i, f, strict=True)) for f in w] for i in x]
    return np.array(sums) + (0 if b is None else b[:, None, None])


def long_double(x, w, b):
    seen = np.lib.stride_tricks.sliding_window_view(x.astype(np.longdouble), w.shape[2:], axis=(2, 3))
    y = np.tensordot(seen, w.astype(np.longdouble), ((1, 4, 5), (1, 2, 3))) + b
    return np.moveaxis(y, -1, 1).astype(np.float64)


FITS = "expected windows that fit into 4 by 6 pixels, borders included, got 5 by 3"
REFUSES = [
    (([[1.0]], [[[[1.0]]]]), {}, ValueError, r"x: expected shape \(any, any, any, any\), got \(1, 1\)"),
    ((np.ones((1, 3, 4, 4)), None), {}, TypeError, "w: expected an array, got None"),
    ((np.ones((1, 3, 4, 4)), np.ones((5, 2, 3, 3))), {}, ValueError, r"w: expected shape \(any, 3, any, any\)"),
    ((np.ones((1, 3, 4, 4)), np.ones((5, 3, 3, 3)), [1.0]), {}, ValueError, r"b: expected shape \(5,\), got \(1,\)"),
    ((np.ones((1, 1, 2, 6)), np.ones((5, 1, 5, 3))), {"padding": (1, 0)}, ValueError, f"w: {FITS}"),
    (
        (np.ones((1, 3, 4, 4)), np.ones((4, 1, 3, 3))),
        {"groups": 2},
        ValueError,
        "groups: expected a divisor of 3 channels",
    ),
    (
        (np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))),
        {"stride": 0},
        ValueError,
        "stride: expected an integer at least 1",
    ),
    (
        (np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))),
        {"padding": -1},
        ValueError,
        "padding: expected an integer at least 0",
    ),
    (
        (np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))),
        {"padding": "same"},
        TypeError,
        "padding: expected an integer, got str",
    ),
    (
        (np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))),
        {"dilation": (1, 2, 3)},
        ValueError,
        "dilation: expected one integer or",
    ),
]

GRID = list(
    itertools.product(
        [1, (3, 2)],  # stride
        [0, (1, 2)],  # padding
        [1, (2, 1)],  # dilation
        [1, 3, 6],  # groups
        [(3, 3), (2, 5), (4, 2), (1, 1)],  # kernel
        [(9, 11), (12, 10)],  # image
        [2, 11],  # images: small ones share their runs, in eights
    )
)
GRID.append((1, (2, 3), 1, 1, (5, 7), (3, 4), 2))  # windows that are wider than the image
GRID.append(((2, 1), 1, 1, 1, (3, 3), (5, 9), 71))  # more images than share a run
GRID.append(((1, 3), 0, 1, 2, (1, 1), (4, 3), 5))  # a stride of which only one place is left
SETTINGS = f"{len(GRID)} settings of stride, padding, dilation, groups, kernels, and of few and many oblong images"
BOUND = {t: 16 + np.sqrt(6 * 2 * 5) / 8 for t in ("float32", "float64")}
GRADIENT_BOUND = {t: 2 * (16 + np.sqrt(2 * 6 * 120) / 8) for t in ("float32", "float64")}


def normwise(got, want):
    return float(np.max(np.abs(got - want)) / np.max(np.abs(want)))


def grid(function, gradient=None):
    """Return a judgment of a function, or of its gradient, over the whole grid."""

    def run(dtype):
        rng, worst, count = np.random.default_rng(11), 0.0, 0
        for *settings, groups, kernel, image, images in GRID:
            args = [v.astype(dtype) for v in drawn(6, 12, kernel, groups, image, images)(rng)]
            wide = [v.astype(np.float64) for v in args]
            kwargs = dict(zip(("stride", "padding", "dilation", "groups"), (*settings, groups), strict=True))
            y = function(*args, **kwargs)
            if gradient is None:
                pairs = [(y, from_torch(torch_conv2d)(*wide, **kwargs))]
            else:
                dy = rng.normal(size=y.shape).astype(dtype)
                wanted = autograd(torch_conv2d, wide, dy.astype(np.float64), kwargs)
                pairs = list(zip(gradient(dy, *args, **kwargs), wanted, strict=True))
            for got, want in pairs:
                assert got.shape == want.shape and got.dtype == dtype
                worst, count = max(worst, normwise(got, want)), count + got.size
        return worst, count

    return run


def proof(function, gradient=None):
    bounds = BOUND if gradient is None else GRADIENT_BOUND
    return Proof(
        [function],
        "torch.nn.functional.conv2d" if gradient is None else "autograd of torch.nn.functional.conv2d",
        SETTINGS,
        "normwise",
        {t: float(c * np.finfo(t).eps) for t, c in bounds.items()},
        grid(function, gradient),
        direction="forward" if gradient is None else "backward",
    )


def onnx_published(dtype):
    count = 0
    for example in published("conv"):
        settings, (x, w) = example.attributes, example.inputs
        above, left, below, right = settings.get("pads", [1, 1, 1, 1])  # or SAME_LOWER for windows of 3 on 5 pixels
        assert (above, left) == (below, right) and x.dtype == np.float32
        got = conv2d(x.astype(dtype), w.astype(dtype), None, tuple(settings.get("strides", [1, 1])), (above, left))
        np.testing.assert_array_equal(got, example.outputs[0])
        count += got.size
    return 0.0, count


PROOFS = [
    proof(conv2d),
    proof(conv2d, conv2d_backward),
    Proof(
        [conv2d],
        "ONNX Conv, its published examples",
        "strides 1 and 2, three kinds of padding",
        "exact",
        0.0,
        onnx_published,
    ),
]

SWEEP = {f"a sum of {9 * channels:,} products": wide(channels) for channels in (1, 111)}
SWEEP["40 images of 28 × 26, in several blocks"] = lambda rng, dtype: drawn(4, 3, image=(28, 26), images=40)(rng)
SWEEP["no bias"] = lambda rng, dtype: drawn(kernel=(2, 4), bias=False)(rng)
LONG = {"a sum of 9,999 products": wide(1_111)}
GENERAL = {"stride": (3, 2), "padding": (1, 2), "dilation": (2, 1), "groups": 3}
TORCH = {
    "oracle": "torch.nn.functional.conv2d",
    "want": from_torch(torch_conv2d),
    "bound": Normwise(terms),
    "gradient_bound": Normwise(lambda x, *_: x.size),
}
CASES = [
    Case(conv2d, drawn(), sweep=SWEEP, refuses=REFUSES, **TORCH),
    Case(conv2d, drawn(groups=3, kernel=(4, 2), bias=False), kwargs=GENERAL, label="all settings", **TORCH),
    Case(conv2d, drawn(), "scipy.signal.correlate2d", scipy_correlate, bound=Normwise(terms)),
    Case(conv2d, drawn(7), "windows in NumPy's long double", long_double, sweep=LONG, bound=Normwise(terms)),
    Case(
        conv2d,
        drawn(groups=3, kernel=(2, 3)),
        "ONNX Conv, its reference implementation",
        onnx_conv,
        kwargs={"groups": 3, "stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)},
        bound=Normwise(terms),
        label="all settings",
    ),
    Case(conv2d_definition, drawn(), sweep=SWEEP, **TORCH),
    Case(conv2d_definition, drawn(groups=3, kernel=(4, 2), bias=False), kwargs=GENERAL, label="all settings", **TORCH),
]


def image(*rows):
    return np.array([[rows]])


DOT = image([0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0])
SMALL = image([1.0, 2.0], [3.0, 4.0])

EDGES = [
    Edge(
        conv2d,
        (DOT, SMALL),
        image([4.0, 3.0], [2.0, 1.0]),
        "a single pixel shows the filter turned by 180 degrees",
        input="one pixel in the middle of 3 × 3; w = [[1, 2], [3, 4]]",
        output="[[4, 3], [2, 1]]",
    ),
    Edge(
        conv2d,
        (SMALL, image([2.0])),
        image([2.0, 4.0], [6.0, 8.0]),
        "a 1 × 1 filter scales",
        input="[[1, 2], [3, 4]]; w = [[2]]",
        output="[[2, 4], [6, 8]]",
    ),
    Edge(
        conv2d,
        (image([1.0, 2.0, 9.0]), image([1.0, 1.0])),
        image([3.0]),
        "what fills no further window is never seen",
        {"stride": 2},
        input="[[1, 2, 9]], stride 2; w = [[1, 1]]",
        output="[[3]]",
    ),
    Edge(
        conv2d,
        (image([1.0, 2.0]), image([1.0, 10.0, 100.0])),
        image([210.0, 21.0]),
        "zeros around, not the nearest pixel",
        {"padding": (0, 1)},
        input="[[1, 2]], padding (0, 1); w = [[1, 10, 100]]",
        output="[[210, 21]]",
    ),
    Edge(
        conv2d,
        (image([inf, 1.0]), image([0.0])),
        image([nan, 0.0]),
        "infinity times a weight of zero",
        input="[[inf, 1]]; w = [[0]]",
        output="[[nan, 0]]",
    ),
    Edge(
        conv2d,
        (image([1.0, nan, 1.0]), image([1.0, 1.0])),
        image([nan, nan]),
        "NaN reaches every window that sees it",
        input="[[1, nan, 1]]; w = [[1, 1]]",
        output="[[nan, nan]]",
    ),
    Edge(
        conv2d,
        (np.zeros((0, 1, 3, 3)), SMALL),
        np.zeros((0, 1, 2, 2)),
        "an empty batch stays empty",
        input="no image of 3 × 3; w of 2 × 2",
        output="no map of 2 × 2",
    ),
    Edge(
        conv2d,
        (SMALL, np.zeros((1, 1, 3, 3))),
        ValueError,
        "a window larger than the image has no place",
        input="2 × 2; w of 3 × 3",
    ),
]


def shown(compute):
    """Make a computation whose result prints as numbers with commas."""
    return lambda: ", ".join(f"{v:g}" for v in np.ravel(compute()))


A, K = np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 10.0]])


def torch_same():
    return torch.nn.functional.conv2d(torch.tensor(A)[None, None], torch.tensor(K)[None, None])


def keras_conv(padding="valid", strides=1, x=A, k=K):
    import keras

    return np.asarray(keras.ops.conv(x[None, :, :, None], k[:, :, None, None], strides, padding))


def onnx_same(auto_pad):
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    node = helper.make_node("Conv", ["x", "w"], ["y"], auto_pad=auto_pad)
    value = helper.make_tensor_value_info
    inputs = [value("x", TensorProto.DOUBLE, [1, 1, 1, 3]), value("w", TensorProto.DOUBLE, [1, 1, 1, 2])]
    model = helper.make_model(helper.make_graph([node], "g", inputs, [value("y", TensorProto.DOUBLE, None)]))
    return ReferenceEvaluator(model).run(None, {"x": A[None, None], "w": K[None, None]})[0]


def torch_named_same():
    with warnings.catch_warnings(action="ignore"):  # of the copy that an uneven padding needs
        return torch.nn.functional.conv2d(torch.tensor(A)[None, None], torch.tensor(K)[None, None], padding="same")


def torch_stride():
    x, w = torch.tensor(R)[None, None], torch.tensor(ONES)[None, None]
    return torch.nn.functional.conv2d(x, w, stride=(1, 2), padding=(0, 1))


R = np.array([[1.0, 2.0, 3.0, 4.0]])
ONES = np.array([[1.0, 1.0, 1.0]])

CONVENTIONS = [
    Convention(
        "convolutional-neural-network",
        "conv-flip",
        "Which way the filter lies",
        "the row [1, 2, 3] with the filter [1, 10]",
        [
            Row(
                "dlref",
                "`conv2d`: as it stands",
                "21, 32",
                shown(lambda: conv2d(A[None, None], K[None, None])),
                package="dlref",
            ),
            Row("PyTorch", "`conv2d`: as it stands", "21, 32", shown(torch_same), package="torch"),
            Row("Keras on PyTorch", "`ops.conv`: as it stands", "21, 32", shown(keras_conv), package="keras"),
            Row(
                "ONNX reference",
                "`Conv`: as it stands",
                "21, 32",
                shown(lambda: onnx_conv(A[None, None], K[None, None])),
                package="onnx",
            ),
            Row(
                "SciPy",
                "`signal.correlate2d`: as it stands",
                "21, 32",
                shown(lambda: scipy.signal.correlate2d(A, K, "valid")),
                package="scipy",
            ),
            Row(
                "SciPy",
                "`signal.convolve2d`: flipped",
                "12, 23",
                shown(lambda: scipy.signal.convolve2d(A, K, "valid")),
                package="scipy",
            ),
            Row(
                "NumPy",
                "`convolve`: flipped",
                "12, 23",
                shown(lambda: np.convolve(A[0], K[0], "valid")),
                package="numpy",
            ),
        ],
    ),
    Convention(
        "convolutional-neural-network",
        "conv-same",
        'Where the odd zero of "same" padding goes',
        "the row [1, 2, 3] with the filter [1, 10] and one zero, so that three values come out",
        [
            Row("PyTorch", '`padding="same"`: on the right', "21, 32, 3", shown(torch_named_same), package="torch"),
            Row(
                "Keras on PyTorch",
                '`padding="same"`: on the right',
                "21, 32, 3",
                shown(lambda: keras_conv("same")),
                package="keras",
            ),
            Row(
                "ONNX reference",
                "`SAME_UPPER`: on the right",
                "21, 32, 3",
                shown(lambda: onnx_same("SAME_UPPER")),
                package="onnx",
            ),
            Row(
                "ONNX reference",
                "`SAME_LOWER`: on the left",
                "10, 21, 32",
                shown(lambda: onnx_same("SAME_LOWER")),
                package="onnx",
            ),
            Row(
                "dlref",
                "`padding=(0, 1)`: one on each side, four values",
                "10, 21, 32, 3",
                shown(lambda: conv2d(A[None, None], K[None, None], padding=(0, 1))),
                package="dlref",
            ),
        ],
    ),
    Convention(
        "convolutional-neural-network",
        "conv-same-stride",
        'Half the padding of a 3-filter, or "same", at stride 2',
        "the row [1, 2, 3, 4] with the filter [1, 1, 1] and stride 2",
        [
            Row(
                "dlref",
                "`padding=(0, 1)`: zeros on both sides",
                "3, 9",
                shown(lambda: conv2d(R[None, None], ONES[None, None], stride=(1, 2), padding=(0, 1))),
                package="dlref",
            ),
            Row("PyTorch", "`padding=(0, 1)`: zeros on both sides", "3, 9", shown(torch_stride), package="torch"),
            Row(
                "Keras on PyTorch",
                '`padding="same"`: one zero, on the right',
                "6, 7",
                shown(lambda: keras_conv("same", (1, 2), R, ONES)),
                package="keras",
            ),
        ],
    ),
]


def thunks(images, channels, size, filters, kernel, padding, stride=1):
    def make(dtype):
        rng = np.random.default_rng(0)
        x, w, b = (v.astype(dtype) for v in drawn(channels, filters, (kernel, kernel), 1, (size, size), images)(rng))
        tx, tw, tb = map(torch.from_numpy, (x, w, b))
        return (
            lambda: conv2d(x, w, b, stride, padding),
            lambda: torch.nn.functional.conv2d(tx, tw, tb, stride, padding),
        )

    return make


def backward_thunks(images, channels, size, filters, kernel, padding, stride=1):
    def make(dtype):
        rng = np.random.default_rng(0)
        x, w, b = (v.astype(dtype) for v in drawn(channels, filters, (kernel, kernel), 1, (size, size), images)(rng))
        dy = conv2d(x, w, b, stride, padding)
        tdy, tx, tw = map(torch.from_numpy, (dy, x, w))
        settings = [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, [True] * 3
        return (
            lambda: conv2d_backward(dy, x, w, b, stride, padding),
            lambda: torch.ops.aten.convolution_backward(tdy, tx, tw, [filters], *settings),
        )

    return make


SIZES = {
    "8 × 16 × 28 × 28, 32 of 3 × 3": (8, 16, 28, 32, 3, 1),
    "8 × 64 × 28 × 28, 64 of 1 × 1": (8, 64, 28, 64, 1, 0),
    "64 × 16 × 8 × 8, 32 of 3 × 3": (64, 16, 8, 32, 3, 1),
    "8 × 3 × 64 × 64, 16 of 5 × 5, stride 2": (8, 3, 64, 16, 5, 2, 2),
}
BENCH = [Bench("layers.conv2d", "torch.nn.functional.conv2d", size, thunks(*a), aim=0.75) for size, a in SIZES.items()]
BENCH += [
    Bench("layers.conv2d_backward", "torch's convolution_backward", size, backward_thunks(*a), aim=0.65)
    for size, a in SIZES.items()
]
