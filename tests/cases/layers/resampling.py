"""Upsampling against PyTorch, Pillow, Keras and the examples that ONNX publishes."""

import numpy as np
import torch
from PIL import Image

from dlref.layers import max_pool2d_indices, max_unpool2d, pixel_shuffle, resize2d
from tests.bounds import Exact, Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.onnx_examples import evaluate, published
from tests.oracles import from_torch, raced

TORCH = {"nearest": "nearest", "nearest_exact": "nearest-exact", "bilinear": "bilinear", "bicubic": "bicubic"}


def maps(rng):
    return (rng.normal(size=(2, 3, 5, 7)),)


def torch_resize(x, size, mode="bilinear", align_corners=False):
    corners = align_corners if mode in ("bilinear", "bicubic") else None
    return torch.nn.functional.interpolate(x, size, mode=TORCH[mode], align_corners=corners)


def torch_unpool(x, indices, size):
    return torch.nn.functional.max_unpool2d(x, indices, 2, output_size=size)


def places(rng):
    return max_pool2d_indices(rng.normal(size=(2, 3, 8, 10)), 2)


def resize_case(mode, size, align_corners=False, **more):
    return Case(
        resize2d,
        maps,
        "torch.nn.functional.interpolate",
        from_torch(torch_resize),
        kwargs={"size": size, "mode": mode, "align_corners": align_corners},
        bound=Exact() if mode.startswith("nearest") else Normwise(16),
        gradient_bound=Normwise(64),
        label=mode + (" aligned" if align_corners else ""),
        **more,
    )


REFUSES = [
    (([1.0], 2), {}, ValueError, "x: expected at least 2 dimensions, got 1"),
    (([[1.0]], 0), {}, ValueError, "size: expected an integer at least 1, got 0"),
    (([[1.0]], 2), {"mode": "linear"}, ValueError, "mode: expected one of 'nearest'"),
    ((np.ones((0, 2)), 2), {}, ValueError, r"x: expected images with pixels, got shape \(0, 2\)"),
]
UNPOOLED = places(np.random.default_rng(4))
CASES = [
    resize_case("nearest", (11, 3), refuses=REFUSES),
    resize_case("nearest_exact", (4, 12)),
    resize_case("bilinear", (10, 21)),
    resize_case("bilinear", (8, 4), True),
    resize_case("bicubic", (9, 15)),
    resize_case("bicubic", (8, 5), True),
    Case(
        pixel_shuffle,
        lambda rng: (rng.normal(size=(2, 18, 4, 5)),),
        "torch.nn.functional.pixel_shuffle",
        from_torch(lambda x, factor: torch.nn.functional.pixel_shuffle(x, factor)),
        kwargs={"factor": 3},
        bound=Exact(),
        gradient_bound=Exact(),
        refuses=[((np.ones((1, 6, 1, 1)),), {}, ValueError, "x: expected a multiple of 4 channels, got 6")],
    ),
    Case(
        max_unpool2d,
        lambda rng: (rng.normal(size=(2, 3, 4, 5)),),
        "torch.nn.functional.max_unpool2d",
        from_torch(torch_unpool),
        kwargs={"indices": UNPOOLED, "size": (8, 10)},
        bound=Exact(),
        gradient_bound=Exact(),
        refuses=[
            ((np.ones((1, 1, 1, 1)), [[[[4]]]], 2), {}, ValueError, "indices: expected integers from 0 to 3, got 4"),
            ((np.ones((1, 1, 1, 1)), [[0]], 2), {}, ValueError, r"indices: expected shape \(1, 1, 1, 1\)"),
        ],
    ),
]


def onnx_cases(dtype):
    worst, count, seen = 0.0, 0, set()
    corners = {b"half_pixel": False, b"align_corners": True}
    modes = {b"linear": "bilinear", b"cubic": "bicubic"}
    for example in published("resize"):
        settings = dict(example.attributes)
        mode, rule = settings.pop("mode", b"nearest"), settings.pop("coordinate_transformation_mode", b"half_pixel")
        a = settings.pop("cubic_coeff_a", -0.75)
        x, want = example.inputs[0], example.outputs[0]
        scales = [v for v in example.inputs[1:] if v.size == 4 and v.dtype == np.float32]
        exact = all(np.allclose(v * x.shape, want.shape) for v in scales)
        if settings or mode not in modes or rule not in corners or not exact or x.ndim != 4:
            continue
        got = resize2d(x.astype(dtype), want.shape[2:], modes[mode], corners[rule], a)
        worst, count = max(worst, float(np.abs(got - want).max() / np.abs(want).max())), count + got.size
        seen.add((mode, rule))
    assert len(seen) >= 3, seen
    return worst, count


def pillow(dtype):
    """Bicubic with a = -0.5, inside, where Pillow's borders do not matter."""
    x = np.random.default_rng(3).normal(size=(12, 12)).astype(np.float32)
    want = np.asarray(Image.fromarray(x).resize((36, 36), Image.Resampling.BICUBIC))[8:-8, 8:-8]
    got = resize2d(x.astype(dtype), 36, "bicubic", a=-0.5)[8:-8, 8:-8]
    return float(np.abs(got - want).max() / np.abs(want).max()), got.size


SINGLE = dict.fromkeys(("float32", "float64"), 1e-06)  # the examples and Pillow have the digits of float32
PROOFS = [
    Proof(
        [resize2d],
        "ONNX Resize, its published examples",
        "linear and cubic, both corners",
        "normwise",
        SINGLE,
        onnx_cases,
    ),
    Proof([resize2d], "Pillow's bicubic", "12 × 12 to 36 × 36, a = -0.5, inside", "normwise", SINGLE, pillow),
]

PAIR = np.array([[0.0, 1.0]])
EDGES = [
    Edge(
        max_unpool2d,
        ([[[[3.0]]]], [[[[0]]]], 1),
        [[[[3.0]]]],
        "a map of one pixel",
        input="3 at place 0, one pixel",
        output="3",
    ),
    Edge(resize2d, (PAIR, (1, 4)), np.array([[0.0, 0.25, 0.75, 1.0]]), "edges coincide", input="0, 1 to 4, bilinear"),
    Edge(
        resize2d,
        (PAIR, (1, 3)),
        np.array([[0.0, 0.5, 1.0]]),
        "centers coincide",
        {"align_corners": True},
        input="0, 1 to 3, bilinear, aligned corners",
    ),
    Edge(resize2d, (np.array([[7.0]]), (1, 3)), np.array([[7.0] * 3]), "one pixel fills all", input="7 to 3"),
    Edge(
        resize2d,
        (np.array([[0.0, 1.0, 2.0, 3.0, 4.0]]), (1, 3), "nearest"),
        np.array([[0.0, 1.0, 3.0]]),
        "the floor of s n / n'",
        input="0, 1, 2, 3, 4 to 3, nearest",
    ),
    Edge(
        max_unpool2d,
        (np.ones((1, 1, 1, 2)), np.array([[[[3, 3]]]]), 2),
        np.array([[[[0.0, 0.0], [0.0, 1.0]]]]),
        "the last one counts",
        input="1, 1 both to place 3 of 2 × 2",
        output="[[0, 0], [0, 1]]",
    ),
]


def shown(values, digits=4):
    return ", ".join(f"{v:.{digits}g}" for v in np.ravel(values))


def torch_row(row, size, **options):
    x = torch.tensor(row, dtype=torch.float64)[None, None, None]
    return torch.nn.functional.interpolate(x, (1, size), **options)


def onnx_row(row, scale):
    x, none, scales = np.array(row)[None, None, None], np.zeros(0), np.array([1.0, 1.0, 1.0, scale])
    return evaluate("Resize", x, none, scales, mode="cubic")[0]


def pillow_row(row, size):
    image = Image.fromarray(np.array([row], np.float32))
    return np.asarray(image.resize((size, 1), Image.Resampling.BICUBIC))


FIVE, STEP = [0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
CONVENTIONS = [
    Convention(
        "upsampling",
        "upsampling-nearest",
        "Which pixel is nearest",
        "the row 0, 1, 2, 3, 4 at three places",
        [
            Row("dlref", '`"nearest"`', "0, 1, 3", lambda: shown(resize2d([FIVE], (1, 3), "nearest")), package="dlref"),
            Row(
                "PyTorch", '`"nearest"`', "0, 1, 3", lambda: shown(torch_row(FIVE, 3, mode="nearest")), package="torch"
            ),
            Row(
                "PyTorch",
                '`"nearest-exact"`',
                "0, 2, 4",
                lambda: shown(torch_row(FIVE, 3, mode="nearest-exact")),
                package="torch",
            ),
            Row(
                "Pillow",
                "`NEAREST`",
                "0, 2, 4",
                lambda: shown(Image.fromarray(np.array([FIVE], np.float32)).resize((3, 1), Image.Resampling.NEAREST)),
                package="pillow",
            ),
        ],
    ),
    Convention(
        "upsampling",
        "upsampling-cubic",
        "How far bicubic overshoots a step",
        "0, 0, 0, 1, 1, 1 at twelve places: the largest value",
        [
            Row(
                "dlref",
                "$a = -0.75$",
                "1.105",
                lambda: f"{np.max(resize2d([STEP], (1, 12), 'bicubic')):.4g}",
                package="dlref",
            ),
            Row(
                "PyTorch",
                "$a = -0.75$",
                "1.105",
                lambda: f"{float(torch_row(STEP, 12, mode='bicubic').max()):.4g}",
                package="torch",
            ),
            Row(
                "ONNX reference",
                "`Resize`: $a = -0.75$",
                "1.105",
                lambda: f"{onnx_row(STEP, 2).max():.4g}",
                package="onnx",
            ),
            Row("Pillow", "$a = -0.5$", "1.07", lambda: f"{pillow_row(STEP, 12).max():.4g}", package="pillow"),
        ],
    ),
    Convention(
        "upsampling",
        "upsampling-corners",
        "Where the outermost pixels lie",
        "0, 1 at four places, bilinear",
        [
            Row("dlref", "edges coincide", "0, 0.25, 0.75, 1", lambda: shown(resize2d(PAIR, (1, 4))), package="dlref"),
            Row(
                "PyTorch",
                "`align_corners=False`",
                "0, 0.25, 0.75, 1",
                lambda: shown(torch_row([0.0, 1.0], 4, mode="bilinear")),
                package="torch",
            ),
            Row(
                "PyTorch",
                "`align_corners=True`",
                "0, 0.3333, 0.6667, 1",
                lambda: shown(torch_row([0.0, 1.0], 4, mode="bilinear", align_corners=True)),
                package="torch",
            ),
        ],
    ),
]


def thunks(mode):
    def make(dtype):
        x = np.random.default_rng(0).normal(size=(4, 16, 56, 56)).astype(dtype)
        tx = torch.from_numpy(x)
        ours = mode.replace("-", "_")
        return lambda: resize2d(x, 112, ours), lambda: torch.nn.functional.interpolate(tx, (112, 112), mode=mode)

    return make


def backward_thunks(dtype):
    from dlref.layers import resize2d_backward

    x = np.random.default_rng(0).normal(size=(4, 16, 56, 56)).astype(dtype)
    dy = np.random.default_rng(1).normal(size=(4, 16, 112, 112)).astype(dtype)
    tdy, sizes = torch.from_numpy(dy), ([112, 112], [4, 16, 56, 56])
    peer = torch.ops.aten.upsample_bilinear2d_backward
    return lambda: resize2d_backward(dy, x, 112), lambda: peer(tdy, *sizes, False, None, None)


def shuffled(gradient):
    torch_shuffle = torch.nn.functional.pixel_shuffle
    return raced(
        pixel_shuffle, lambda x: torch_shuffle(x, 2), lambda rng: (rng.normal(size=(4, 64, 28, 28)),), gradient
    )


def unpooled(gradient):
    at = max_pool2d_indices(np.random.default_rng(1).normal(size=(4, 16, 56, 56)), 2)
    draw = lambda rng: (rng.normal(size=at.shape),)  # noqa: E731
    return raced(max_unpool2d, torch_unpool, draw, gradient, indices=at, size=(56, 56))


SIZE, AUTOGRAD = "4 × 16 × 56 × 56 to 112 × 112", "torch, with its forward pass"
BENCH = [
    Bench("layers.resize2d", "torch.nn.functional.interpolate", f"{SIZE}, bilinear", thunks("bilinear"), aim=1.1),
    Bench("layers.resize2d", "torch.nn.functional.interpolate", f"{SIZE}, bicubic", thunks("bicubic")),
    Bench("layers.resize2d_backward", "torch's upsample_bilinear2d_backward", f"{SIZE}, bilinear", backward_thunks),
    Bench("layers.pixel_shuffle", "torch.nn.functional.pixel_shuffle", "4 × 64 × 28 × 28", shuffled(gradient=False)),
    Bench("layers.pixel_shuffle_backward", AUTOGRAD, "4 × 64 × 28 × 28", shuffled(gradient=True)),
    Bench(
        "layers.max_unpool2d",
        "torch.nn.functional.max_unpool2d",
        "4 × 16 × 28 × 28 to 56 × 56",
        unpooled(gradient=False),
    ),
    Bench("layers.max_unpool2d_backward", AUTOGRAD, "4 × 16 × 28 × 28 to 56 × 56", unpooled(gradient=True)),
]
