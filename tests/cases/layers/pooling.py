"""max_pool2d and its indices against PyTorch, ties, NaN and borders included."""

import itertools

import numpy as np
import torch

from dlref.layers import max_pool2d, max_pool2d_backward, max_pool2d_indices
from tests.bounds import Exact, Normwise
from tests.cases import Bench, Case, Edge, Proof
from tests.oracles import from_torch

inf, nan = np.inf, np.nan


def maps(rng):
    return (rng.normal(size=(2, 3, 9, 11)),)


def ties(rng):
    return (rng.integers(0, 3, size=(2, 3, 9, 11)).astype(float),)


def with_nan(rng, dtype):
    x = rng.integers(-2, 3, size=(2, 3, 9, 11)).astype(float)
    x[rng.random(x.shape) < 0.1] = nan
    x[rng.random(x.shape) < 0.2] = -inf
    return (x,)


def torch_max_pool2d(x, kernel, stride=None, padding=0, dilation=1, ceil_mode=False):
    return torch.nn.functional.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)


def torch_indices(x, kernel, stride=None, padding=0, dilation=1, ceil_mode=False):
    with torch.no_grad():
        pool = torch.nn.functional.max_pool2d
        return pool(torch.from_numpy(x), kernel, stride, padding, dilation, ceil_mode, return_indices=True)[1].numpy()


SWEEP = {"ties, minus infinity and NaN": with_nan}
REFUSES = [
    (([[1.0]], 2), {}, ValueError, r"x: expected shape \(any, any, any, any\), got \(1, 1\)"),
    ((np.ones((1, 1, 2, 3)), 4), {}, ValueError, "kernel: expected windows that fit into 2 by 3 pixels"),
    ((np.ones((1, 1, 2, 3)), 0), {}, ValueError, "kernel: expected an integer at least 1, got 0"),
    ((np.ones((1, 1, 4, 4)), 2), {"padding": 2}, ValueError, "padding: expected at most half a window of 2, got 2"),
]
GENERAL = {"kernel": (3, 2), "stride": (1, 3), "padding": (1, 0), "dilation": (1, 2), "ceil_mode": True}
VALUES = {"oracle": "torch.nn.functional.max_pool2d", "want": from_torch(torch_max_pool2d)}
PLACES = {"oracle": "torch.nn.functional.max_pool2d, return_indices", "want": torch_indices}
CASES = [
    Case(
        max_pool2d,
        maps,
        kwargs={"kernel": 2},
        sweep=SWEEP,
        bound=Exact(),
        gradient_bound=Exact(),
        refuses=REFUSES,
        label="2 × 2",
        **VALUES,
    ),
    Case(
        max_pool2d,
        maps,
        kwargs=GENERAL,
        sweep=SWEEP,
        bound=Exact(),
        gradient_bound=Normwise(6),
        label="all settings",
        **VALUES,
    ),
    Case(max_pool2d_indices, ties, kwargs={"kernel": 2}, sweep=SWEEP, bound=Exact(), label="2 × 2", **PLACES),
    Case(max_pool2d_indices, ties, kwargs=GENERAL, sweep=SWEEP, bound=Exact(), label="all settings", **PLACES),
]


GRID = list(itertools.product([2, 3, (3, 2)], [None, 1, 2, (3, 1)], [0, 1], [1, 2], [False, True]))


def grid(dtype):
    """Count the values and places that differ from torch's, over all settings, with ties and NaN."""
    rng, wrong, count = np.random.default_rng(7), 0, 0
    for settings in GRID:
        x = with_nan(rng, dtype)[0].astype(dtype)
        y, where = torch.nn.functional.max_pool2d(torch.from_numpy(x), *settings, return_indices=True)
        got, places = max_pool2d(x, *settings), max_pool2d_indices(x, *settings)
        assert got.shape == places.shape == tuple(y.shape)
        wrong += np.count_nonzero((got != y.numpy()) & ~(np.isnan(got) & np.isnan(y.numpy())))
        wrong += np.count_nonzero(places != where.numpy())
        count += 2 * got.size
    return wrong, count


PROOFS = [
    Proof(
        [max_pool2d, max_pool2d_indices],
        "torch.nn.functional.max_pool2d",
        f"{len(GRID)} settings of kernel, stride, padding, dilation and ceil_mode; ties, minus infinity and NaN",
        "count",
        0,
        grid,
    ),
]

EDGES = [
    Edge(
        max_pool2d,
        ([[[[-3.0, -1.0]]]], (1, 2)),
        [[[[-1.0]]]],
        "the largest, whatever the signs",
        input="[[-3, -1]], windows of 1 × 2",
        output="[[-1]]",
    ),
    Edge(
        max_pool2d,
        ([[[[-3.0, -1.0]]]], (1, 2)),
        [[[[-3.0, -1.0]]]],
        "borders are minus infinity: no zero wins",
        {"padding": (0, 1)},
        input="[[-3, -1]], windows of 1 × 2, padding (0, 1)",
    ),
    Edge(
        max_pool2d,
        ([[[[5.0, nan, 2.0, 1.0]]]], (1, 2)),
        [[[[nan, 2.0]]]],
        "NaN wins its window",
        input="[[5, nan, 2, 1]], windows of 1 × 2",
        output="[[nan, 2]]",
    ),
    Edge(
        max_pool2d_indices,
        ([[[[5.0, 5.0]]]], (1, 2)),
        [[[[0]]]],
        "of equal values the first",
        input="[[5, 5]], windows of 1 × 2",
        output="[[0]]",
    ),
    Edge(max_pool2d_backward, ([[[[1.0]]]], [[[[5.0, 5.0]]]], (1, 2)), [[[[1.0, 0.0]]]], "a tie is not shared"),
    Edge(
        max_pool2d_backward,
        ([[[[1.0, 10.0]]]], [[[[0.0, 5.0, 0.0]]]], (1, 2)),
        [[[[0.0, 11.0, 0.0]]]],
        "a pixel that wins twice gets both",
        {"stride": 1},
    ),
]


def thunks(kernel, stride, padding):
    def make(dtype):
        x = np.random.default_rng(0).normal(size=(8, 16, 28, 28)).astype(dtype)
        t = torch.from_numpy(x)
        return (
            lambda: max_pool2d(x, kernel, stride, padding),
            lambda: torch.nn.functional.max_pool2d(t, kernel, stride, padding),
        )

    return make


def backward_thunks(dtype):
    x = np.random.default_rng(0).normal(size=(8, 16, 28, 28)).astype(dtype)
    dy = max_pool2d(x, 2)
    t, tdy = torch.from_numpy(x), torch.from_numpy(dy)

    def peer():  # as here, where the winners are found again
        _, winners = torch.nn.functional.max_pool2d(t, 2, return_indices=True)
        return torch.ops.aten.max_pool2d_with_indices_backward(tdy, t, [2, 2], [2, 2], [0, 0], [1, 1], False, winners)

    return lambda: max_pool2d_backward(dy, x, 2), peer


BENCH = [
    Bench("layers.max_pool2d", "torch.nn.functional.max_pool2d", "8 × 16 × 28 × 28, 2 × 2", thunks(2, 2, 0), aim=1.0),
    Bench(
        "layers.max_pool2d",
        "torch.nn.functional.max_pool2d",
        "8 × 16 × 28 × 28, 3 × 3, stride 2",
        thunks(3, 2, 1),
        aim=1.0,
    ),
    Bench(
        "layers.max_pool2d_backward",
        "torch's forward with indices, and backward",
        "8 × 16 × 28 × 28, 2 × 2",
        backward_thunks,
        aim=1.0,
    ),
]
