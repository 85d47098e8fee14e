"""Where the windows of a convolution or of a pooling layer lie on an image, and images as columns of patches."""

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlref._arrays import pair
from dlref._compile import kernel, prange

__all__: list[str] = []  # what convolutions and pooling share; users import from the family

BLOCK = 1 << 17  # numbers in one block of columns: half the second-level cache of most processors in float32
THREADED_FROM = 1 << 19


class Windows(NamedTuple):
    """The windows on an image; every field is a pair, height and width."""

    image: tuple[int, int]
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    places: tuple[int, int]  # how many windows, downwards and across


def windows_on(image, name, size, stride, padding, dilation, ceil_mode=False):
    """Return the windows of this size on an image; ``name`` is the argument to blame for a size that does not fit."""
    size, stride, dilation = pair(name, size, 1), pair("stride", stride, 1), pair("dilation", dilation, 1)
    padding = pair("padding", padding)
    count = []
    for n, k, s, p, d in zip(image, size, stride, padding, dilation, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        if room < 0:
            spans = " by ".join(str(d * (k - 1) + 1) for k, d in zip(size, dilation, strict=True))
            padded = " by ".join(str(n + 2 * p) for n, p in zip(image, padding, strict=True))
            raise ValueError(f"{name}: expected windows that fit into {padded} pixels, borders included, got {spans}")
        steps = room // s
        if ceil_mode and room % s and (steps + 1) * s < n + p:  # a last window must not begin in the right border
            steps += 1
        count.append(steps + 1)
    return Windows(tuple(image), size, stride, padding, dilation, tuple(count))


class Columns(NamedTuple):
    """How the patches of a block of images lie in memory, as the matrix (channels * kernel, images * windows).

    A row of the matrix holds what one offset of the kernel sees, window after window. The padded image is first split
    into its phases, one for each step within the stride, in which neighboring windows read neighboring numbers. Then
    the windows of a whole image are one run through the rows of a phase: the few numbers between two rows come along
    and are dropped at the end. Only long runs are copied.
    """

    images: int  # in one block
    phase: tuple[int, int]  # shape of a phase
    starts: NDArray  # where the first window reads, for each offset of the kernel
    run: int  # columns copied at a time: those of all windows of an image, or of a row of windows
    pitch: int  # columns from one row of windows to the next
    length: int  # columns of an image


@functools.lru_cache(maxsize=256)
def columns_of(windows, rows, finite=True):
    """Choose a layout. Numbers between the rows meet zeros in gradients: exact unless one of them is not finite."""
    (sh, sw), (dh, dw), (rows_of, across) = windows.stride, windows.dilation, windows.places
    pairs = zip(windows.image, windows.padding, windows.stride, strict=True)
    height, width = (-(-(n + 2 * p) // s) for n, p, s in pairs)
    down, right = np.arange(windows.size[0])[:, None] * dh, np.arange(windows.size[1]) * dw
    starts = (down % sh * sw + right % sw) * (height * width) + down // sh * width + right // sw
    whole = width == across or (finite and 2 * width <= 3 * across)
    pitch = width if whole else across
    length = (rows_of - 1) * pitch + across
    images = max(1, BLOCK // max(1, rows * length))
    return Columns(images, (height, width), starts.reshape(-1), length if whole else across, pitch, length)


def unfolded(x, windows, columns):
    """Yield blocks of images as a slice and their matrix (channels * kernel, images * columns), in one buffer."""
    channels, images = x.shape[1], max(1, min(columns.images, len(x)))
    rows = channels * columns.starts.size
    buffer = np.empty(rows * images * columns.length, x.dtype)
    split = _split(x[:images], windows, columns)
    for start in range(0, len(x), images):
        block = slice(start, min(start + images, len(x)))
        many = block.stop - start
        phases = x[block]
        if split is not None:
            phases = split[:many]
            _to_phases(x[block], windows.stride, windows.padding, phases)
        matrix = buffer[: rows * many * columns.length].reshape(rows, many, columns.length)
        _unfold(phases.reshape(many, channels, -1), columns.starts, columns.phase[1], columns.run, matrix)
        yield block, matrix.reshape(rows, many * columns.length)


def folded(matrix, windows, columns, out):
    """Add columns back to the images they came from, ``out`` (images, channels, H, W): the adjoint of `unfolded`."""
    split = _split(out, windows, columns)
    matrix = matrix.reshape(-1, len(out), columns.length)
    phases = (out if split is None else split).reshape(*out.shape[:2], -1)
    _fold(matrix, columns.starts, columns.phase[1], columns.run, phases)
    if split is not None:
        _from_phases(split, windows.stride, windows.padding, out)


def _split(x, windows, columns):
    """Return zeros (images, channels, phases, height, width), or None where an image is its only phase."""
    if windows.stride == (1, 1) and windows.padding == (0, 0):
        return None
    return np.zeros((*x.shape[:2], windows.stride[0] * windows.stride[1], *columns.phase), x.dtype)


@kernel(threaded_from=THREADED_FROM)
def _to_phases(x, stride, padding, out):
    for n in prange(x.shape[0]):
        for c in range(x.shape[1]):
            for a in range(stride[0]):
                for b in range(stride[1]):
                    image, phase = x[n, c], out[n, c, a * stride[1] + b]
                    top, left = (a - padding[0]) % stride[0], (b - padding[1]) % stride[1]  # its first pixel
                    down, right = (top + padding[0]) // stride[0], (left + padding[1]) // stride[1]
                    for r in range(-((top - image.shape[0]) // stride[0])):
                        row, to = image[top + r * stride[0], left:], phase[down + r, right:]
                        if stride[1] == 1:
                            for s in range(row.size):
                                to[s] = row[s]
                        else:
                            for s in range(-(-row.size // stride[1])):
                                to[s] = row[s * stride[1]]


@kernel(threaded_from=THREADED_FROM)
def _from_phases(phases, stride, padding, out):
    for n in prange(out.shape[0]):
        for c in range(out.shape[1]):
            for a in range(stride[0]):
                for b in range(stride[1]):
                    image, phase = out[n, c], phases[n, c, a * stride[1] + b]
                    top, left = (a - padding[0]) % stride[0], (b - padding[1]) % stride[1]
                    down, right = (top + padding[0]) // stride[0], (left + padding[1]) // stride[1]
                    for r in range(-((top - image.shape[0]) // stride[0])):
                        row, seen = image[top + r * stride[0], left:], phase[down + r, right:]
                        if stride[1] == 1:
                            for s in range(row.size):
                                row[s] = seen[s]
                        else:
                            for s in range(-(-row.size // stride[1])):
                                row[s * stride[1]] = seen[s]


@kernel(threaded_from=THREADED_FROM)
def _unfold(x, starts, width, run, out):
    for q in prange(out.shape[0]):
        for n in range(out.shape[1]):
            source, row = x[n, q // starts.size, starts[q % starts.size] :], out[q, n]
            for r in range(row.size // run):
                seen, to = source[r * width :], row[r * run : (r + 1) * run]
                for s in range(to.size):
                    to[s] = seen[s]


@kernel(threaded_from=THREADED_FROM)
def _fold(columns, starts, width, run, out):
    zero = out.dtype.type(0)
    for c in prange(out.shape[1]):
        for n in range(out.shape[0]):
            whole = out[n, c]
            for s in range(whole.size):
                whole[s] = zero
            for k in range(starts.size):
                target, row = whole[starts[k] :], columns[c * starts.size + k, n]
                for r in range(row.size // run):
                    to, seen = target[r * width :], row[r * run : (r + 1) * run]
                    for s in range(seen.size):
                        to[s] += seen[s]
