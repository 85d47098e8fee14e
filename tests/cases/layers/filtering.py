"""Filters against SciPy's signal and ndimage modules, mpmath and torch."""

import numpy as np
import scipy.ndimage
import scipy.signal
import torch

from dlref.layers import (
    conv1d,
    conv2d,
    convolve2d,
    correlate2d,
    separable_filter,
    sobel_kernel,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Row
from tests.oracles import from_torch, raced

inf, nan = np.inf, np.nan


def images(rng):
    return rng.normal(size=(2, 3, 9, 12)), rng.normal(size=(4, 5))


def scipy_each(filtered):
    def want(x, w):
        planes = x.reshape(-1, *x.shape[-2:])
        y = np.array([filtered(plane, w, "valid") for plane in planes])
        return y.reshape(*x.shape[:-2], *y.shape[1:])

    return want


def torch_correlate(x, w):
    planes = x.reshape(-1, 1, *x.shape[-2:])
    y = torch.nn.functional.conv2d(planes, w[None, None])
    return y.reshape(*x.shape[:-2], *y.shape[-2:])


def torch_convolve(x, w):
    return torch_correlate(x, w.flip(0, 1))


def torch_separable(x, column, row):
    return torch_correlate(x, torch.outer(column, row))


def ndimage_separable(x, column, row):
    y = scipy.ndimage.correlate1d(x, column, axis=-2, mode="constant")
    y = scipy.ndimage.correlate1d(y, row, axis=-1, mode="constant")
    (above, below), (left, right) = (((k // 2), k - 1 - k // 2) for k in (column.size, row.size))
    return y[..., above : y.shape[-2] - below, left : y.shape[-1] - right]


def torch_conv1d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    return torch.nn.functional.conv1d(x, w, b, stride, padding, dilation, groups)


def terms(x, w, *_):
    return np.size(w)


FITS = "w: expected a kernel of at least one weight that fits into 2 by 3 pixels, got 3 by 1"
SEPARABLE = {"bound": Normwise(7), "gradient_bound": Normwise(600)}
CASES = [
    Case(
        correlate2d,
        images,
        "scipy.signal.correlate2d",
        scipy_each(scipy.signal.correlate2d),
        gradient=torch_correlate,
        bound=Normwise(terms),
        gradient_bound=Normwise(600),
        refuses=[
            ((np.ones((2, 3)), np.ones((3, 1))), {}, ValueError, FITS),
            ((np.ones(3), np.ones((3, 1))), {}, ValueError, "x: expected at least 2 dimensions, got 1"),
            ((np.ones((3, 3)), np.ones(3)), {}, ValueError, r"w: expected shape \(any, any\), got \(3,\)"),
        ],
    ),
    Case(
        convolve2d,
        images,
        "scipy.signal.convolve2d",
        scipy_each(scipy.signal.convolve2d),
        gradient=torch_convolve,
        bound=Normwise(terms),
        gradient_bound=Normwise(600),
    ),
    Case(
        separable_filter,
        lambda rng: (rng.normal(size=(2, 9, 12)), rng.normal(size=3), rng.normal(size=4)),
        "scipy.ndimage.correlate1d",
        ndimage_separable,
        gradient=torch_separable,
        refuses=[((np.ones((2, 3)), np.ones(3), np.ones(2)), {}, ValueError, "column: expected 1 to 2 weights, got 3")],
        **SEPARABLE,
    ),
    Case(
        conv1d,
        lambda rng: (rng.normal(size=(2, 6, 17)), rng.normal(size=(9, 2, 4)), rng.normal(size=9)),
        "torch.nn.functional.conv1d",
        from_torch(torch_conv1d),
        kwargs={"stride": 2, "padding": 3, "dilation": 2, "groups": 3},
        bound=Normwise(8),
        gradient_bound=Normwise(200),
        refuses=[((np.ones((1, 1, 3)), np.ones((1, 1, 3, 1))), {}, ValueError, r"w: expected shape \(any, any, any\)")],
    ),
]

ROW, STEP = np.array([[0.0, 0.0, 1.0, 0.0]]), np.array([[1.0, 2.0]])
EDGES = [
    Edge(
        correlate2d,
        (ROW, STEP),
        np.array([[0.0, 2.0, 1.0]]),
        "correlation shows one pixel as the kernel turned",
        input="[[0, 0, 1, 0]]; w = [[1, 2]]",
        output="[[0, 2, 1]]",
    ),
    Edge(
        convolve2d,
        (ROW, STEP),
        np.array([[0.0, 1.0, 2.0]]),
        "convolution shows it as the kernel itself",
        input="[[0, 0, 1, 0]]; w = [[1, 2]]",
        output="[[0, 1, 2]]",
    ),
    Edge(
        correlate2d,
        (np.array([[nan, 1.0, 2.0]]), np.array([[0.0, 1.0]])),
        np.array([[nan, 2.0]]),
        "NaN times a weight of zero",
        input="[[NaN, 1, 2]]; w = [[0, 1]]",
        output="[[NaN, 2]]",
    ),
    Edge(
        correlate2d,
        (np.zeros((0, 3, 4)), np.ones((2, 2))),
        np.zeros((0, 2, 3)),
        "no image gives no map",
        input="no image of 3 × 4; w of 2 × 2",
        output="no map of 2 × 3",
    ),
    Edge(correlate2d, (ROW, np.ones((2, 1))), ValueError, "a kernel larger than the image", input="1 × 4; w of 2 × 1"),
]


def keras_shape():
    import keras

    layer = keras.layers.Conv2D(8, (5, 7))
    layer.build((None, 20, 20, 3))
    return str(tuple(layer.kernel.shape))


def at_edge(filtered):
    x = np.tile([0.0, 0.0, 1.0, 1.0, 1.0], (5, 1))
    return lambda: f"{np.asarray(filtered(x))[2, 2]:g}"


def torch_sobel(x):
    w = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=torch.float64)
    return torch.nn.functional.conv2d(torch.tensor(x)[None, None], w[None, None], padding=1)[0, 0]


CONVENTIONS = [
    Convention(
        "filter",
        "filter-layout",
        "How the weights of a layer lie",
        "8 filters of 5 × 7 over 3 channels",
        [
            Row(
                "dlref",
                "(filter, channel, down, right)",
                "(8, 3, 5, 7)",
                lambda: str(conv2d_shape()),
                package="dlref",
            ),
            Row(
                "PyTorch",
                "(filter, channel, down, right)",
                "(8, 3, 5, 7)",
                lambda: str(tuple(torch.nn.Conv2d(3, 8, (5, 7)).weight.shape)),
                package="torch",
            ),
            Row("Keras on PyTorch", "(down, right, channel, filter)", "(5, 7, 3, 8)", keras_shape, package="keras"),
        ],
    ),
    Convention(
        "filter",
        "filter-sobel",
        "The sign of an edge",
        "dark on the left, bright on the right; the Sobel kernel −1, 0, 1 across",
        [
            Row(
                "dlref",
                "`correlate2d`",
                "4",
                at_edge(lambda x: correlate2d(np.pad(x, 1), sobel_kernel())),
                package="dlref",
            ),
            Row("PyTorch", "`conv2d`", "4", at_edge(torch_sobel), package="torch"),
            Row("SciPy", "`ndimage.sobel`", "4", at_edge(lambda x: scipy.ndimage.sobel(x, 1)), package="scipy"),
            Row(
                "SciPy",
                "`signal.convolve2d`: turned",
                "-4",
                at_edge(lambda x: scipy.signal.convolve2d(x, sobel_kernel(), "same")),
                package="scipy",
            ),
        ],
    ),
]


def conv2d_shape():
    w = np.zeros((8, 3, 5, 7))
    assert conv2d(np.zeros((1, 3, 20, 20)), w).shape == (1, 8, 16, 14)
    return w.shape


def plane(rng):
    return rng.normal(size=(512, 512)), rng.normal(size=(5, 5))


def lines(rng):
    return rng.normal(size=(512, 512)), rng.normal(size=9), rng.normal(size=9)


def sequences(rng):
    return rng.normal(size=(8, 32, 1000)), rng.normal(size=(32, 32, 5))


def separable_thunks(dtype):
    x, column, row = (v.astype(dtype) for v in lines(np.random.default_rng(0)))
    return lambda: separable_filter(x, column, row), lambda: ndimage_separable(x, column, row)


TORCH, AUTOGRAD, PLANE, SEQUENCES = (
    "torch.nn.functional.conv2d",
    "torch, with its forward pass",
    "512 × 512, 5 × 5",
    "8 × 32 × 1000, 32 of 5",
)
TWICE = "512 × 512, 9 and 9"
BENCH = [
    Bench("layers.correlate2d", TORCH, PLANE, raced(correlate2d, torch_correlate, plane)),
    Bench("layers.correlate2d_backward", AUTOGRAD, PLANE, raced(correlate2d, torch_correlate, plane, gradient=True)),
    Bench("layers.convolve2d", TORCH, PLANE, raced(convolve2d, torch_convolve, plane)),
    Bench("layers.convolve2d_backward", AUTOGRAD, PLANE, raced(convolve2d, torch_convolve, plane, gradient=True)),
    Bench("layers.separable_filter", "scipy.ndimage.correlate1d", TWICE, separable_thunks),
    Bench(
        "layers.separable_filter_backward",
        AUTOGRAD,
        TWICE,
        raced(separable_filter, torch_separable, lines, gradient=True),
    ),
    Bench("layers.conv1d", "torch.nn.functional.conv1d", SEQUENCES, raced(conv1d, torch_conv1d, sequences, padding=2)),
    Bench(
        "layers.conv1d_backward", AUTOGRAD, SEQUENCES, raced(conv1d, torch_conv1d, sequences, gradient=True, padding=2)
    ),
]
