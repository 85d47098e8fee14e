"""What convolution and pooling promise beyond their values."""

import numpy as np
import pytest

from dlref.layers import (
    conv2d,
    conv2d_backward,
    conv2d_definition,
    conv2d_definition_backward,
    dense,
    dense_definition,
    max_pool2d,
)
from dlref.layers import max_pool2d_indices as indices
from tests.bounds import Normwise

GRID = [
    {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "kernel": kernel}
    for stride in (1, (2, 3))
    for padding in (0, (2, 1))
    for dilation in (1, (1, 2))
    for groups in (1, 3)
    for kernel in ((3, 3), (2, 1), (4, 5))
]


def drawn(rng, kernel, groups, dtype=np.float64, images=5):
    x, w = rng.normal(size=(images, 6, 10, 13)), rng.normal(size=(9, 6 // groups, *kernel))
    return x.astype(dtype), w.astype(dtype), rng.normal(size=9).astype(dtype)


@pytest.mark.parametrize("settings", GRID, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_product_equals_the_definition(settings, dtype, rng):
    settings = dict(settings)
    x, w, b = drawn(rng, settings.pop("kernel"), settings["groups"], dtype)
    fast, definition = conv2d(x, w, b, **settings), conv2d_definition(x, w, b, **settings)
    judged = Normwise(w[0].size).judge(fast, definition, ())
    assert judged.error <= judged.bound


@pytest.mark.parametrize("settings", GRID, ids=str)
def test_the_gradients_are_the_adjoints(settings, rng):
    """<dy, A x> = <A' dy, x> for the image, for the filters and for the bias."""
    settings = dict(settings)
    x, w, b = drawn(rng, settings.pop("kernel"), settings["groups"])
    zero = np.zeros_like(b)
    y = conv2d(x, w, zero, **settings)
    dy = rng.normal(size=y.shape)
    gradients = conv2d_backward(dy, x, w, b, **settings)
    inner, size = np.vdot(dy, y), np.linalg.norm(dy) * np.linalg.norm(y)
    assert abs(inner - np.vdot(gradients.x, x)) < 1e-13 * size
    assert abs(inner - np.vdot(gradients.w, w)) < 1e-13 * size
    bias = np.vdot(dy, conv2d(np.zeros_like(x), w, b, **settings))
    assert abs(bias - np.vdot(gradients.b, b)) < 1e-13 * size


def test_linear_in_the_image_and_in_the_filters(rng):
    x, w, _ = drawn(rng, (3, 2), 1)
    other_x, other_w, _ = drawn(rng, (3, 2), 1)
    y = conv2d(2 * x - other_x, w, padding=1)
    np.testing.assert_allclose(y, 2 * conv2d(x, w, padding=1) - conv2d(other_x, w, padding=1), atol=1e-12)
    y = conv2d(x, 2 * w - other_w, stride=2)
    np.testing.assert_allclose(y, 2 * conv2d(x, w, stride=2) - conv2d(x, other_w, stride=2), atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_shift_by_the_stride_shifts_the_map(stride, rng):
    """The equivariance holds bit for bit away from the borders, and for shifts by multiples of the stride alone."""
    x = np.zeros((1, 2, 24, 24))
    x[:, :, 6:12, 6:12] = rng.normal(size=(1, 2, 6, 6))
    w = rng.normal(size=(4, 2, 3, 3))
    y = conv2d_definition(x, w, stride=stride, padding=1)
    moved = conv2d_definition(np.roll(x, (2 * stride, stride), axis=(2, 3)), w, stride=stride, padding=1)
    np.testing.assert_array_equal(moved, np.roll(y, (2, 1), axis=(2, 3)))
    if stride > 1:
        off = conv2d_definition(np.roll(x, 1, axis=3), w, stride=stride, padding=1)
        assert not any(np.allclose(off, np.roll(y, s, axis=3)) for s in range(y.shape[3]))


def test_convolving_twice_is_convolving_with_the_convolved_filter(rng):
    """Associative, with the second filter flipped: composition of cross-correlations is a convolution of filters."""
    x, a, b = rng.normal(size=(1, 1, 12, 12)), rng.normal(size=(1, 1, 3, 3)), rng.normal(size=(1, 1, 2, 4))
    both = conv2d(a, b[:, :, ::-1, ::-1], padding=(1, 3))
    np.testing.assert_allclose(conv2d(conv2d(x, a), b), conv2d(x, both), atol=1e-12)


def test_an_image_does_not_see_its_neighbors(rng):
    """Blocks of images give what each image gives alone, whatever the number of blocks."""
    x, w, b = drawn(rng, (3, 3), 1, images=300)
    together = conv2d(x, w, b, padding=1)
    alone = np.concatenate([conv2d(image[None], w, b, padding=1) for image in x])
    np.testing.assert_allclose(together, alone, atol=1e-12)
    dy = rng.normal(size=together.shape)
    gradients = conv2d_backward(dy, x, w, b, padding=1)
    parts = [conv2d_backward(g[None], image[None], w, b, padding=1) for g, image in zip(dy, x, strict=True)]
    np.testing.assert_allclose(gradients.x, np.concatenate([p.x for p in parts]), atol=1e-12)
    np.testing.assert_allclose(gradients.w, sum(p.w for p in parts), atol=1e-10)


@pytest.mark.parametrize("special", [np.inf, np.nan])
def test_what_is_not_finite_stays_where_it_was_seen(special, rng):
    """Numbers that come along between two rows of windows are multiplied by zeros: infinity must not leave a trace."""
    x, w = rng.normal(size=(1, 1, 6, 8)), rng.normal(size=(2, 1, 3, 3))
    x[0, 0, 3, 0] = special  # only the first column of windows sees it, with the left weights
    dy = rng.normal(size=(2, 4, 6))[None]
    gradients = conv2d_backward(dy, x, w)
    assert np.isfinite(gradients.x).all()
    assert not np.isfinite(gradients.w[..., 0]).any() and np.isfinite(gradients.w[..., 1:]).all()
    y = conv2d(x, w)
    assert not np.isfinite(y[0, :, 1:, 0]).any() and np.isfinite(y[0, :, :, 1:]).all() and np.isfinite(y[0, :, 0]).all()


@pytest.mark.parametrize("special", [np.inf, np.nan])
@pytest.mark.parametrize("stride", [1, 2])
def test_what_is_not_finite_in_the_gradient_does_not_meet_the_border(special, stride, rng):
    """A weight that lies outside the image in a window gets nothing from that window, not zero times infinity."""
    x, w, b = rng.normal(size=(2, 1, 6, 8)), rng.normal(size=(2, 1, 3, 3)), np.zeros(2)
    dy = rng.normal(size=conv2d(x, w, b, stride, 1).shape)
    dy[0, 0, 0, 0] = special  # the upper left window, whose first row and first column are border
    fast, definition = (f(dy, x, w, b, stride, 1) for f in (conv2d_backward, conv2d_definition_backward))
    for got, want in zip(fast, definition, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-12)
    assert np.isfinite(fast.w[0, 0, 0]).all() and np.isfinite(fast.w[0, 0, :, 0]).all() and np.isfinite(fast.w[1]).all()
    assert not np.isfinite(fast.w[0, 0, 1:, 1:]).any() and np.isfinite(fast.x[1]).all()


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize(("images", "filters", "channels"), [(0, 2, 3), (2, 0, 3), (2, 2, 0)])
def test_nothing_has_a_gradient_of_its_shape(images, filters, channels, size):
    x, w = np.ones((images, channels, 4, 5)), np.ones((filters, channels, size, size))
    y = conv2d(x, w)
    gradients = conv2d_backward(np.ones_like(y), x, w)
    assert y.shape == (images, filters, 5 - size, 6 - size)
    for got, want in ((y, np.zeros_like(y)), (gradients.x, np.zeros_like(x)), (gradients.w, np.zeros_like(w))):
        np.testing.assert_array_equal(got, want)


def test_filters_of_one_pixel_are_a_dense_layer(rng):
    """Without border and stride each pixel is a row of a dense layer; infinity stays in its pixel."""
    x, w, b = rng.normal(size=(2, 6, 3, 5)), rng.normal(size=(4, 6, 1, 1)), rng.normal(size=4)
    rows = dense(np.moveaxis(x, 1, -1).reshape(-1, 6), w[:, :, 0, 0], b)
    np.testing.assert_allclose(np.moveaxis(conv2d(x, w, b), 1, -1).reshape(-1, 4), rows, atol=1e-12)
    x[0, 2, 1, 3] = np.inf
    touched = ~np.isfinite(conv2d(x, w, b))
    assert touched[0, :, 1, 3].all() and touched.sum() == 4


def test_a_stride_longer_than_the_image_costs_nothing(rng):
    """One place is one place at any stride: no array may grow with it."""
    x, w = rng.normal(size=(1, 1, 5, 6)), rng.normal(size=(1, 1, 3, 3))
    for filters in (w, w[..., :1, :1]):
        np.testing.assert_array_equal(conv2d(x, filters, stride=10**9), conv2d(x, filters)[:, :, :1, :1])
    np.testing.assert_array_equal(max_pool2d(x, 3, stride=10**18), max_pool2d(x, 3)[:, :, :1, :1])


def test_the_indices_point_at_the_maxima(rng):
    x = rng.integers(0, 4, size=(3, 2, 11, 9)).astype(float)
    for settings in (
        {"kernel": 2},
        {"kernel": (3, 2), "stride": 1, "padding": 1, "dilation": (1, 2), "ceil_mode": True},
    ):
        y, where = max_pool2d(x, **settings), indices(x, **settings)
        seen = np.take_along_axis(x.reshape(3, 2, -1), where.reshape(3, 2, -1), axis=2)
        np.testing.assert_array_equal(seen.reshape(y.shape), y)


def test_a_window_that_sees_no_pixel():
    """Dilation can step over a narrow image: minus infinity, no index, and no gradient."""
    settings = {"kernel": (1, 2), "padding": (0, 1), "dilation": 2}
    x = np.ones((1, 1, 1, 1))
    assert max_pool2d(x, **settings).item() == -np.inf and indices(x, **settings).item() == -1


def test_the_dense_layer_equals_its_definition(rng):
    x, w, b = rng.normal(size=(4, 3, 50)), rng.normal(size=(7, 50)), rng.normal(size=7)
    np.testing.assert_allclose(dense(x, w, b), dense_definition(x, w, b), rtol=1e-12)
