"""Where the windows of a convolution or of a pooling layer lie on an image, and sums over the windows of all images."""

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlref._arrays import pair
from dlref._compile import kernel, prange

__all__: list[str] = []  # what convolutions and pooling share; users import from the family

LANES = 16  # runs are made longer until they fill whole vector registers
SMALL = 16  # images with fewer windows in a row share their runs
TILE = 1072  # numbers of a run at a time; a multiple of 1024 would make four rows of sums collide in the cache
THREADED_FROM = 1 << 17


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
    stride = tuple(s if many > 1 else 1 for s, many in zip(stride, count, strict=True))  # one place has no next
    return Windows(tuple(image), size, stride, padding, dilation, tuple(count))


class Runs(NamedTuple):
    """How windows read images that lie in memory phase by phase: one phase for each step within the stride.

    In a phase neighboring windows read neighboring numbers, so what one weight sees in all windows of an image is one
    run through the rows of its phase. The few numbers between two rows come along and are dropped at the end. The zeros
    of the padding stand between the rows once, right of one and left of the next. Small images share a run: the same
    pixel of all of them comes before the next pixel. Where rows of windows are long, or what lies between them is, each
    row is a run of its own.
    """

    stack: int  # images that share a run
    width: int  # pixels from one row of a phase to the next
    size: int  # numbers of a phase of a stack
    starts: NDArray  # where the first window reads, for each offset of the kernel, phase after phase
    whole: bool  # one run through many rows of windows


@functools.lru_cache(maxsize=256)
def runs_of(windows, images):
    """Lay out the images for runs."""
    (sh, sw), (dh, dw), (rows, across) = windows.stride, windows.dilation, windows.places
    sides = zip(windows.image, windows.padding, windows.stride, windows.places, strict=True)
    height, width = (max(-(-(n + p) // s), o) for n, p, s, o in sides)
    stacks = max(1, -(-images * across // (TILE // 2)) if across <= SMALL else images)
    stack = max(1, -(-images // stacks))
    down, right = np.arange(windows.size[0])[:, None] * dh, np.arange(windows.size[1]) * dw
    starts = (down // sh * width + right // sw) * stack
    last = ((rows - 1) * width + across) * stack + int(starts.max())  # behind what the last window reads
    size = max(height * width * stack, last) + LANES - 1  # a run is rounded up
    whole = stack * across < TILE // 4 and 2 * width <= 3 * across
    return Runs(stack, width, size, ((down % sh * sw + right % sw) * size + starts).reshape(-1), whole)


def phases_of(x, windows, runs):
    """Return the phases of images (stacks, C, phases * size)."""
    steps = windows.stride[0] * windows.stride[1]
    rows, across = windows.places
    if rows == steps == runs.stack == 1 and windows.padding == (0, 0) and across % LANES == 0:
        return x.reshape(*x.shape[:2], -1)  # nothing lies between rows, and no run is rounded up
    phases = np.zeros((-(-len(x) // runs.stack), x.shape[1], steps, runs.size), x.dtype)
    _laid_out(x, windows.stride, windows.padding, 0, runs, phases)
    return phases.reshape(*phases.shape[:2], steps * runs.size)


def spread(dy, windows, runs):
    """Lay maps out as the runs read them, zeros before, between and behind their rows; say how many come before."""
    front = int((runs.starts % runs.size).max())
    maps = np.zeros((-(-len(dy) // runs.stack), dy.shape[1], 1, front + runs.size + LANES), dy.dtype)
    _laid_out(dy, (1, 1), (0, 0), front, runs, maps)
    return maps[:, :, 0], front


def pulled_back(maps, front, w, images, windows, runs):
    """Return the gradient of the images, phase by phase: each is a sum over windows of the maps, filters turned."""
    (sh, sw), (ph, pw), groups, channels = windows.stride, windows.padding, len(w), w.shape[2]
    dx = np.zeros((images, groups * channels, *windows.image), maps.dtype)
    weights = w.swapaxes(1, 2).reshape(groups, channels, w.shape[1], runs.starts.size)
    bias = np.zeros((groups, channels), maps.dtype)
    for phase in range(sh * sw):
        taps = np.flatnonzero(runs.starts // runs.size == phase)
        top, left = (phase // sw - ph) % sh, (phase % sw - pw) % sw  # the first pixel of this phase
        rows, across = -((top - windows.image[0]) // sh), -((left - windows.image[1]) // sw)
        if taps.size and rows > 0 and across > 0:
            first = front + ((top + ph) // sh * runs.width + (left + pw) // sw) * runs.stack
            seen = np.ascontiguousarray(weights[..., taps]).reshape(groups, channels, w.shape[1] * taps.size)
            slide(
                maps, seen, bias, first - runs.starts[taps] % runs.size, (rows, across), runs, (top, left, sh, sw), dx
            )
    return dx


def correlated(phases, maps, front, windows, runs, dw):
    """Add the gradient of the filters to ``dw`` (groups, filters, channels * taps): images times maps, run by run."""
    _correlate(phases, maps, _reads(runs.starts, phases.shape, len(dw)), _run(windows, runs), front, dw)


def slide(x, w, bias, starts, places, runs, to, out):
    """Write to ``out`` the sums of ``w`` (groups, filters, channels * taps) over what each tap sees of ``x``."""
    if out.size:
        rows, across = places
        columns = min(across, max(1, TILE // runs.stack))
        at_once = max(1, (TILE // runs.stack - columns) // runs.width + 1) if runs.whole else 1
        layout = rows, across, runs.width, runs.stack, -(-rows // -(-rows // at_once)), columns
        _slide(x, w, bias, _reads(starts, x.shape, len(w)), layout, to, out)


def _run(windows, runs):
    return ((windows.places[0] - 1) * runs.width + windows.places[1]) * runs.stack


def _laid_out(x, stride, padding, front, runs, out):
    if runs.stack == 1:
        _lay_out(x, stride, padding, front, runs.width, out)
    else:
        _side_by_side(x, stride, padding, front, runs.width, runs.stack, out)


def _reads(starts, shape, groups):
    return (np.arange(shape[1] // groups)[:, None] * shape[2] + starts).reshape(-1)


@kernel(threaded_from=THREADED_FROM)
def _lay_out(x, stride, padding, front, width, out):
    for n in prange(x.shape[0]):
        for c in range(x.shape[1]):
            for a in range(stride[0]):
                for b in range(stride[1]):
                    image, phase = x[n, c], out[n, c, a * stride[1] + b, front:]
                    top, left = (a - padding[0]) % stride[0], (b - padding[1]) % stride[1]  # its first pixel
                    down, right = (top + padding[0]) // stride[0], (left + padding[1]) // stride[1]
                    for r in range(-((top - image.shape[0]) // stride[0])):
                        row, to = image[top + r * stride[0], left:], phase[(down + r) * width + right :]
                        if stride[1] == 1:
                            for s in range(row.size):
                                to[s] = row[s]
                        else:
                            for s in range(-(-row.size // stride[1])):
                                to[s] = row[s * stride[1]]


@kernel(threaded_from=THREADED_FROM)
def _side_by_side(x, stride, padding, front, width, stack, out):
    for q in prange(out.shape[0] * out.shape[1]):
        n, c = q // out.shape[1], q % out.shape[1]
        images = x[n * stack : (n + 1) * stack, c]
        for a in range(stride[0]):
            for b in range(stride[1]):
                top, left = (a - padding[0]) % stride[0], (b - padding[1]) % stride[1]
                down, right = (top + padding[0]) // stride[0], (left + padding[1]) // stride[1]
                phase = out[n, c, a * stride[1] + b, front + (down * width + right) * stack :]
                for i in range(0, len(images), 8):
                    seen = images[i : i + 8, top:, left:]
                    for r in range(-(-seen.shape[1] // stride[0])):
                        for s in range(-(-seen.shape[2] // stride[1])):
                            to = phase[(r * width + s) * stack + i :]
                            if len(seen) == 8:  # a constant, which the compiler turns into whole vectors
                                for j in range(8):
                                    to[j] = seen[j, r * stride[0], s * stride[1]]
                            else:
                                for j in range(len(seen)):
                                    to[j] = seen[j, r * stride[0], s * stride[1]]


@kernel(threaded_from=THREADED_FROM)
def _slide(x, w, bias, reads, layout, place, out):
    rows, across, width, stack, at_once, columns = layout
    top, left, down, right = place
    blocks = -(-w.shape[1] // 4)
    for q in prange(x.shape[0] * w.shape[0] * blocks):
        n, g, o = q // (w.shape[0] * blocks), q // blocks % w.shape[0], q % blocks * 4
        weights, last = w[g], w.shape[1] - 1
        o1, o2, o3 = min(o + 1, last), min(o + 2, last), min(o + 3, last)
        images, first = x.reshape(-1), (n * w.shape[0] + g) * (x.size // (x.shape[0] * w.shape[0]))
        y = np.empty(4 * TILE, x.dtype)
        for r0 in range(0, rows, at_once):
            for s0 in range(0, across, columns):
                high, wide = min(at_once, rows - r0), min(columns, across - s0)
                length = (((high - 1) * width + wide) * stack + LANES - 1) // LANES * LANES
                base = first + (r0 * width + s0) * stack
                for s in range(length):
                    y[s] = bias[g, o]
                    y[TILE + s] = bias[g, o1]
                    y[2 * TILE + s] = bias[g, o2]
                    y[3 * TILE + s] = bias[g, o3]
                for k in range(0, w.shape[2] - 3, 4):
                    a = images[base + reads[k] :][:length]
                    b = images[base + reads[k + 1] :][:length]
                    c = images[base + reads[k + 2] :][:length]
                    d = images[base + reads[k + 3] :][:length]
                    w00, w01, w02, w03 = weights[o, k], weights[o, k + 1], weights[o, k + 2], weights[o, k + 3]
                    w10, w11, w12, w13 = weights[o1, k], weights[o1, k + 1], weights[o1, k + 2], weights[o1, k + 3]
                    w20, w21, w22, w23 = weights[o2, k], weights[o2, k + 1], weights[o2, k + 2], weights[o2, k + 3]
                    w30, w31, w32, w33 = weights[o3, k], weights[o3, k + 1], weights[o3, k + 2], weights[o3, k + 3]
                    for s in range(length):
                        va, vb, vc, vd = a[s], b[s], c[s], d[s]
                        t0 = w03 * vd + (w02 * vc + (w01 * vb + (w00 * va + y[s])))
                        t1 = w13 * vd + (w12 * vc + (w11 * vb + (w10 * va + y[TILE + s])))
                        t2 = w23 * vd + (w22 * vc + (w21 * vb + (w20 * va + y[2 * TILE + s])))
                        t3 = w33 * vd + (w32 * vc + (w31 * vb + (w30 * va + y[3 * TILE + s])))
                        y[s] = t0
                        y[TILE + s] = t1
                        y[2 * TILE + s] = t2
                        y[3 * TILE + s] = t3
                for k in range(w.shape[2] // 4 * 4, w.shape[2]):
                    a = images[base + reads[k] :][:length]
                    w00, w10, w20, w30 = weights[o, k], weights[o1, k], weights[o2, k], weights[o3, k]
                    for s in range(length):
                        va = a[s]
                        t0, t1 = w00 * va + y[s], w10 * va + y[TILE + s]
                        t2, t3 = w20 * va + y[2 * TILE + s], w30 * va + y[3 * TILE + s]
                        y[s] = t0
                        y[TILE + s] = t1
                        y[2 * TILE + s] = t2
                        y[3 * TILE + s] = t3
                # drop what lies between the rows
                for i in range(min(4, w.shape[1] - o)):
                    for r in range(high):
                        for s1 in range(0, wide, 8 if stack > 1 else wide):
                            seen = y[i * TILE + (r * width + s1) * stack :]
                            for m in range(min(stack, out.shape[0] - n * stack)):
                                image = out[n * stack + m, g * w.shape[1] + o + i]
                                to = image[top + (r0 + r) * down, left + (s0 + s1) * right :]
                                if stack == 1 and right == 1:
                                    for s in range(wide):
                                        to[s] = seen[s]
                                elif stack > 1 and right == 1 and wide - s1 >= 8:  # a constant, as above
                                    for s in range(8):
                                        to[s] = seen[s * stack + m]
                                else:
                                    for s in range(wide - s1 if stack == 1 else min(8, wide - s1)):
                                        to[s * right] = seen[s * stack + m]


@kernel(sums=True, threaded_from=THREADED_FROM)
def _correlate(x, dy, reads, run, front, out):
    long = dy.shape[2]
    blocks = -(-out.shape[1] // 4)
    for q in prange(out.shape[0] * blocks):
        g, o = q // blocks, q % blocks * 4
        last, final, total = out.shape[1] - 1, out.shape[2] - 1, out[g]
        o1, o2, o3 = min(o + 1, last), min(o + 2, last), min(o + 3, last)
        images, maps = x.reshape(-1), dy.reshape(-1)
        for n in range(x.shape[0]):
            for start in range(0, run, TILE):
                length = (min(TILE, run - start) + LANES - 1) // LANES * LANES
                base = (n * out.shape[0] + g) * (x.size // (x.shape[0] * out.shape[0])) + start
                m = (n * dy.shape[1] + g * out.shape[1]) * long + front + start
                p = maps[m + o * long : m + o * long + length]
                q1 = maps[m + o1 * long : m + o1 * long + length]
                q2 = maps[m + o2 * long : m + o2 * long + length]
                q3 = maps[m + o3 * long : m + o3 * long + length]
                for k in range(0, out.shape[2], 4):
                    k1, k2, k3 = min(k + 1, final), min(k + 2, final), min(k + 3, final)
                    a = images[base + reads[k] :][:length]
                    b = images[base + reads[k1] :][:length]
                    c = images[base + reads[k2] :][:length]
                    d = images[base + reads[k3] :][:length]
                    zero = out.dtype.type(0)
                    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = zero
                    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = zero
                    for s in range(length):
                        va, vb, vc, vd = a[s], b[s], c[s], d[s]
                        g0, g1, g2, g3 = p[s], q1[s], q2[s], q3[s]
                        s00 += g0 * va
                        s01 += g0 * vb
                        s02 += g0 * vc
                        s03 += g0 * vd
                        s10 += g1 * va
                        s11 += g1 * vb
                        s12 += g1 * vc
                        s13 += g1 * vd
                        s20 += g2 * va
                        s21 += g2 * vb
                        s22 += g2 * vc
                        s23 += g2 * vd
                        s30 += g3 * va
                        s31 += g3 * vb
                        s32 += g3 * vc
                        s33 += g3 * vd
                    sums = ((s00, s01, s02, s03), (s10, s11, s12, s13), (s20, s21, s22, s23), (s30, s31, s32, s33))
                    for i in range(min(4, out.shape[1] - o)):
                        for j in range(min(4, out.shape[2] - k)):
                            total[o + i, k + j] += sums[i][j]
