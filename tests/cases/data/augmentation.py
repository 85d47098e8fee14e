"""Flips, crops, warps, color, cutout and mixup against NumPy, SciPy, Pillow and PyTorch."""

import numpy as np
import torch
from PIL import Image, ImageEnhance
from scipy import ndimage
from skimage.transform import AffineTransform

from dlref.data import (
    adjust_color,
    affine_matrix,
    affine_warp,
    crop_at,
    cutout,
    flip_boxes,
    horizontal_flip,
    mixup,
    mixup_weights,
)
from tests.bounds import Exact, Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

FLIP = np.array([True, False, True])
CORNERS = np.array([[0, 0], [5, 2], [2, 7]])
CENTERS = np.array([[0, 1], [4, 4], [6, 8]])
PARTNER = np.array([2, 0, 3, 1])
MATRICES = np.stack(
    [
        affine_matrix(7, 9, angle=20, scale=1.3, shear=0.2, shift=(1, -0.5)),
        affine_matrix(7, 9, angle=-70, scale=0.6, shift=(0, 2)),
        affine_matrix(7, 9, shift=(30, 0)),
    ]
)


def images(rng):
    return rng.uniform(size=(3, 2, 7, 9))


def windows(x, corners, height, width, padding):
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    return np.stack([p[:, i : i + height, j : j + width] for p, (i, j) in zip(padded, corners, strict=True)])


def warped(x, matrix):
    out = np.empty_like(x)
    for n, c in np.ndindex(x.shape[:2]):
        m = matrix[n]
        out[n, c] = ndimage.affine_transform(x[n, c], m[:, :2], m[:, 2], order=1, mode="grid-constant")
    return out


def covered(x, centers, size, value):
    i, j = np.indices(x.shape[2:])
    top, left = (centers - size // 2).T[:, :, None, None]
    hidden = (i >= top) & (i < top + size) & (j >= left) & (j < left + size)
    return np.where(hidden[:, None], value, x)


CASES = [
    Case(
        horizontal_flip,
        lambda rng: (images(rng), FLIP),
        "numpy.flip",
        lambda x, flip: np.where(flip[:, None, None, None], np.flip(x, -1), x),
        bound=Exact(),
        refuses=[
            ((np.ones((2, 3, 3)), [1, 0]), {}, TypeError, "flip: expected booleans, got int64"),
            ((np.ones((2, 3, 3)), [True]), {}, ValueError, r"flip: expected shape \(2,\), got \(1,\)"),
        ],
    ),
    Case(
        crop_at,
        lambda rng: (images(rng), CORNERS, 6, 5, 2),
        "numpy.pad and slices",
        windows,
        bound=Exact(),
        refuses=[
            ((np.ones((1, 1, 4, 5)), [[2, 0]], 3, 3), {}, ValueError, "corners: expected rows from 0 to 1 and columns"),
            ((np.ones((1, 1, 4, 5)), [[0, 0]], 5, 3), {}, ValueError, "height: expected an integer from 1 to 4, got 5"),
            ((np.ones((1, 1, 4, 4)), [[0.0, 0.0]], 3, 3), {}, TypeError, "corners: expected integers, got float64"),
        ],
    ),
    Case(
        affine_warp,
        lambda rng: (images(rng), MATRICES),
        "scipy.ndimage.affine_transform",
        warped,
        # The positions are computed from the matrix, whose error moves them by up to nine times as much.
        bound=Normwise(4, condition=9),
        refuses=[
            (
                (np.ones((2, 1, 3, 3)), np.ones((3, 2, 3))),
                {},
                ValueError,
                r"matrix: expected shape \(2, 2, 3\), got \(3, 2, 3\)",
            )
        ],
    ),
    Case(
        cutout,
        lambda rng: (images(rng), CENTERS, 3, 0.5),
        "numpy.where",
        covered,
        bound=Exact(),
        refuses=[((np.ones((1, 1, 3, 3)), [[0.5, 1]], 1), {}, TypeError, "centers: expected integers, got float64")],
    ),
    Case(
        mixup,
        lambda rng: (rng.normal(size=(4, 2, 3)), rng.dirichlet(np.ones(5), 4), rng.beta(0.4, 0.4, 4), PARTNER),
        "torch.lerp",
        lambda x, y, w, p: tuple(
            torch.lerp(
                torch.from_numpy(v[p]),
                torch.from_numpy(v),
                torch.from_numpy(w).reshape(-1, *(1,) * (v.ndim - 1)),
            ).numpy()
            for v in (x, y)
        ),
        bound=Normwise(2),
        refuses=[
            (([[1.0]], [[1.0]], [0.5], [1]), {}, ValueError, "partner: expected integers from 0 to 0, got 1"),
            (([[1.0]], [[1.0]], [0.5, 0.5], [0]), {}, ValueError, r"weight: expected shape \(1,\), got \(2,\)"),
        ],
    ),
]


def turns(dtype):
    """Quarter turns against numpy.rot90, whole shifts against numpy.roll on images with an empty border."""
    x = np.random.default_rng(0).uniform(size=(2, 3, 9, 9)).astype(dtype)
    error, count = 0.0, 0
    for quarters in range(5):
        got = affine_warp(x, affine_matrix(9, 9, angle=90.0 * quarters))
        error, count = max(error, abs(got - np.rot90(x, quarters, axes=(2, 3))).max()), count + got.size
    bordered = np.pad(x, ((0, 0), (0, 0), (3, 3), (3, 3)))
    for shift in ((2, -3), (-1, 0)):
        got = affine_warp(bordered, affine_matrix(15, 15, shift=shift))
        error = max(error, abs(got - np.roll(bordered, shift, (2, 3))).max())
    assert (affine_warp(x, affine_matrix(9, 9)) == x).all(), "no change is no change"
    return error, count + 4 * got.size


def there_and_back(dtype):
    """The matrix of a turn, then of the scale, then of the shear, then of the shift, composed as maps of the plane."""
    worst = 0.0
    rng = np.random.default_rng(1)
    for angle, scale, shear, down, right in rng.uniform((-180, 0.5, -1, -5, -5), (180, 2, 1, 5, 5), (20, 5)):
        m = np.vstack([affine_matrix(11, 6, angle, scale, shear, (down, right)), [0, 0, 1]])
        center = affine_matrix(11, 6, shift=(0, 0)) * 0 + [[0, 0, 5], [0, 0, 2.5]]
        x, y = rng.normal(size=2)  # to the right and upwards, from the center
        x, y = x + shear * y, y
        z = scale * np.exp(1j * np.radians(angle)) * (x + 1j * y)
        moved = np.array([center[0, 2] - z.imag + down, center[1, 2] + z.real + right, 1])
        source = np.array([center[0, 2] - y, center[1, 2] + x - shear * y, 1])
        worst = max(worst, abs(m @ moved - source).max())
    return worst, 40


def pillow_colors(dtype):
    """Each change alone, in levels of bytes: Pillow rounds its gray and its result."""
    rng = np.random.default_rng(2)
    levels = rng.integers(0, 256, (3, 16, 13)).astype(np.uint8)
    picture = Image.fromarray(levels.transpose(1, 2, 0))
    worst = 0.0
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for k, enhancer in enumerate(enhancers):
        for factor in (0.0, 0.6, 1.0, 1.7):
            factors = np.ones((3, 1))
            factors[k] = factor
            got = adjust_color((levels / 255.0)[None].astype(dtype), *factors)[0] * 255
            want = np.asarray(enhancer(picture).enhance(factor), np.float64).transpose(2, 0, 1)
            worst = max(worst, abs(got - want).max())
    return worst, 12 * levels.size


def boxes_follow(dtype):
    """A box is drawn into an image, the image is mirrored, and the box is measured again."""
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(20):
        left, right = np.sort(rng.choice(11, 2, replace=False))
        top, bottom = np.sort(rng.choice(8, 2, replace=False))
        image = np.zeros((1, 8, 11), dtype)
        image[0, top:bottom, left:right] = 1
        rows, columns = np.nonzero(horizontal_flip(image, [True])[0])
        measured = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        wrong += np.count_nonzero(flip_boxes(np.array([[left, top, right, bottom]], dtype), [True], 11) != measured)
    return wrong, 80


def moments(dtype):
    """Mean 1/2 and variance 1/(4 (2 alpha + 1)), in units of their standard errors."""
    worst = 0.0
    for alpha in (0.2, 1.0, 4.0):
        drawn = mixup_weights(20_000, alpha, np.random.default_rng(0))
        variance = 1 / (4 * (2 * alpha + 1))
        squares = (drawn - 0.5) ** 2
        worst = max(worst, abs(drawn.mean() - 0.5) / np.sqrt(variance / 20_000))
        worst = max(worst, abs(squares.mean() - variance) / (squares.std() / np.sqrt(20_000)))
    assert (mixup_weights(3, 0, np.random.default_rng(0)) == 1).all()
    return worst, 60_000


PROOFS = [
    Proof(
        [affine_warp, affine_matrix],
        "numpy.rot90 and numpy.roll",
        "quarter turns and whole shifts of 9 x 9 pixels",
        "absolute",
        {"float32": 1e-6, "float64": 1e-14},
        turns,
    ),
    Proof([affine_matrix], "complex numbers", "20 maps, a point each", "absolute", 1e-13, there_and_back),
    Proof(
        [adjust_color],
        "Pillow's ImageEnhance",
        "16 x 13 pixels, four factors of each kind: levels of 255",
        "absolute",
        2.0,
        pillow_colors,
    ),
    Proof([flip_boxes], "boxes measured on mirrored images", "20 boxes", "count", 0, boxes_follow),
    Proof(
        [mixup_weights], "moments of the Beta distribution", "3 x 20,000 draws: standard errors", "gap", 4.5, moments
    ),
]

ROW = [[[[2.0, 4.0, 8.0]]]]

EDGES = [
    Edge(
        affine_warp,
        (ROW, affine_matrix(1, 3)),
        ROW,
        "strength zero: bit for bit the image",
        input="any image, no change",
        output="the image",
    ),
    Edge(
        affine_warp,
        (ROW, affine_matrix(1, 3, shift=(0, 0.5))),
        [[[[1.0, 3.0, 6.0]]]],
        "half a pixel: the first one is half outside, which is 0",
        input="[2, 4, 8], half a pixel to the right",
    ),
    Edge(crop_at, (ROW, [[0, 0]], 1, 4), ValueError, "a window larger than the image", input="[2, 4, 8], 1 x 4 pixels"),
    Edge(cutout, (ROW, [[0, 0]], 3), [[[[0.0, 0.0, 8.0]]]], "cut off at the border", input="[2, 4, 8], 0, size 3"),
    Edge(
        mixup,
        ([[1.0], [np.inf]], [[1.0], [1.0]], [1.0, 1.0], [1, 0]),
        (np.array([[1.0], [np.inf]]), np.array([[1.0], [1.0]])),
        "weight 1: nothing of the partner, not even its infinity",
        input="[[1], [inf]], weights 1",
        output="[[1], [inf]]",
    ),
]


def shown(x):
    return ", ".join(f"{float(v):g}" for v in np.ravel(x))


def torch_half(padding):
    x = torch.tensor([2.0, 4.0, 8.0]).reshape(1, 1, 1, 3)
    theta = torch.tensor([[[1.0, 0.0, -1 / 3], [0.0, 1.0, 0.0]]])
    grid = torch.nn.functional.affine_grid(theta, x.shape, align_corners=False)
    y = torch.nn.functional.grid_sample(x, grid, padding_mode=padding, align_corners=False)
    return ", ".join(f"{v:.4g}" for v in y.ravel().tolist())


def scipy_half(mode):
    return shown(ndimage.shift(np.array([2.0, 4.0, 8.0]), 0.5, order=1, mode=mode))


CONVENTIONS = [
    Convention(
        "data-augmentation",
        "data-augmentation-border",
        "What lies beyond the border",
        "the pixels 2, 4, 8, moved half a pixel to the right, bilinear",
        [
            Row(
                "dlref",
                "zeros",
                "1, 3, 6",
                lambda: shown(affine_warp(ROW, affine_matrix(1, 3, shift=(0, 0.5)))),
                package="dlref",
            ),
            Row("PyTorch", "`grid_sample`: zeros", "1, 3, 6", lambda: torch_half("zeros"), package="torch"),
            Row(
                "PyTorch",
                '`padding_mode="border"`: the nearest pixel',
                "2, 3, 6",
                lambda: torch_half("border"),
                package="torch",
            ),
            Row(
                "SciPy",
                '`mode="constant"`: zero as soon as a neighbor is missing',
                "0, 3, 6",
                lambda: scipy_half("constant"),
                package="scipy",
            ),
            Row(
                "SciPy",
                '`mode="grid-constant"`: zeros',
                "1, 3, 6",
                lambda: scipy_half("grid-constant"),
                package="scipy",
            ),
        ],
    ),
]


def batch(dtype):
    return np.random.default_rng(0).uniform(size=(64, 3, 64, 64)).astype(dtype)


def warping(dtype):
    x = batch(dtype)
    matrix = np.stack([affine_matrix(64, 64, angle=a) for a in np.random.default_rng(1).uniform(-20, 20, 64)])
    tensor, theta = torch.from_numpy(x), torch.from_numpy(matrix[:, ::-1][:, :, [1, 0, 2]].astype(dtype))
    theta[:, :, 2] = 0

    def theirs():
        grid = torch.nn.functional.affine_grid(theta, tensor.shape, align_corners=False)
        return torch.nn.functional.grid_sample(tensor, grid, align_corners=False)

    return lambda: affine_warp(x, matrix), theirs


def mixing(dtype):
    x, rng = batch(dtype), np.random.default_rng(1)
    y, weight, partner = np.eye(10, dtype=dtype)[rng.integers(0, 10, 64)], rng.random(64), rng.permutation(64)
    weight = weight.astype(dtype)
    a, b, w, p = (torch.from_numpy(v) for v in (x, y, weight, partner))
    return (
        lambda: mixup(x, y, weight, partner),
        lambda: (torch.lerp(a[p], a, w[:, None, None, None]), torch.lerp(b[p], b, w[:, None])),
    )


def flipping(dtype):
    x = batch(dtype)
    flip = np.random.default_rng(1).random(64) < 0.5
    tensor, chosen = torch.from_numpy(x), torch.from_numpy(flip)[:, None, None, None]
    return lambda: horizontal_flip(x, flip), lambda: torch.where(chosen, tensor.flip(3), tensor)


def cropping(dtype):
    x = batch(dtype)
    corners = np.random.default_rng(1).integers(0, 9, (64, 2))
    tensor, places = torch.from_numpy(x), corners.tolist()

    def theirs():
        padded = torch.nn.functional.pad(tensor, (4, 4, 4, 4))
        return torch.stack([p[:, i : i + 64, j : j + 64] for p, (i, j) in zip(padded, places, strict=True)])

    return lambda: crop_at(x, corners, 64, 64, padding=4), theirs


def covering(dtype):
    x = batch(dtype)
    middles = np.random.default_rng(1).integers(0, 64, (64, 2))
    tensor, places, axis = torch.from_numpy(x), torch.from_numpy(middles), torch.arange(64)

    def theirs():
        start = places[:, :, None] - 8
        rows, columns = ((axis >= start) & (axis < start + 16)).unbind(1)
        return tensor.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)

    return lambda: cutout(x, middles, 16), theirs


def coloring(dtype):
    x, factors = batch(dtype), np.random.default_rng(1).uniform(0.6, 1.4, (3, 64))
    tensor = torch.from_numpy(x)
    bright, contrast, saturation = torch.from_numpy(factors.astype(dtype))[:, :, None, None, None]
    shares = torch.tensor([0.299, 0.587, 0.114], dtype=tensor.dtype)[:, None, None]

    def theirs():
        y = (tensor * bright).clamp(0, 1)
        mean = (y * shares).sum(1, keepdim=True).mean((2, 3), keepdim=True)
        y = torch.lerp(mean, y, contrast).clamp(0, 1)
        return torch.lerp((y * shares).sum(1, keepdim=True), y, saturation).clamp(0, 1)

    return lambda: adjust_color(x, *factors), theirs


def moving_boxes(dtype):
    rng = np.random.default_rng(0)
    frame, flip = rng.uniform(0, 64, (10_000, 4)).astype(dtype), rng.random(10_000) < 0.5
    tensor, chosen = torch.from_numpy(frame), torch.from_numpy(flip)[:, None]

    def theirs():
        left, top, right, bottom = tensor.unbind(1)
        return torch.where(chosen, torch.stack([64 - right, top, 64 - left, bottom], dim=1), tensor)

    return lambda: flip_boxes(frame, flip, 64), theirs


def composing(_):
    def theirs():
        away, back = (AffineTransform(translation=sign * np.array([15.5, 15.5])) for sign in (-1, 1))
        map_ = AffineTransform(scale=1.1, rotation=np.radians(-10), shear=0.2, translation=(1, 2))
        return (away + map_ + back).inverse.params

    return lambda: affine_matrix(32, 32, angle=10, scale=1.1, shear=0.2, shift=(2, 1)), theirs


def weighing(_):
    rng, peer = np.random.default_rng(0), torch.distributions.Beta(torch.tensor(0.4), torch.tensor(0.4))
    return lambda: mixup_weights(100_000, 0.4, rng), lambda: peer.sample((100_000,))


BENCH = [
    Bench("data.crop_at", "torch pad, slices, stack", "64 x 3 x 64 x 64", cropping),
    Bench("data.cutout", "torch masked_fill", "64 x 3 x 64 x 64", covering),
    Bench("data.adjust_color", "a torch expression", "64 x 3 x 64 x 64", coloring),
    Bench("data.flip_boxes", "a torch expression", "10,000", moving_boxes),
    Bench("data.affine_matrix", "skimage AffineTransform", "one", composing, dtypes=("float64",)),
    Bench("data.mixup_weights", "torch.distributions.Beta", "1e5", weighing, dtypes=("float64",)),
    Bench("data.affine_warp", "torch affine_grid, grid_sample", "64 x 3 x 64 x 64", warping),
    Bench("data.horizontal_flip", "torch.where, flip", "64 x 3 x 64 x 64", flipping),
    Bench("data.mixup", "torch.lerp", "64 x 3 x 64 x 64", mixing),
]
