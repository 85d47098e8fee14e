"""What recurrent layers share: the door, the products over all steps, and how a cell's pre-activations are read.

Inputs and outputs are laid out as (N, T, ...); inside, time comes first, so that one step is one block of memory. Each
layer multiplies the inputs of all steps by ``w_ih`` at once and then walks over time: one product with ``w_hh`` and one
call of its cell, a kernel, per step. ``h[0]`` is the state before the first step. The backward pass walks forward once
more, keeps what every cell computed, and walks back.
"""

import numpy as np

from dlref._arrays import reals, shaped
from dlref._compile import inline
from dlref._math import exp

__all__: list[str] = []  # users import from the family


@inline
def logistic(x):
    # np.float32(1) is exact and makes nothing wider: float64 stays float64, float32 stays float32
    return np.float32(1) / (np.float32(1) + exp(-x))


@inline
def four(row):
    size = row.size // 4
    return row[:size], row[size : 2 * size], row[2 * size : 3 * size], row[3 * size :]


@inline
def three(row):
    size = row.size // 3
    return row[:size], row[size : 2 * size], row[2 * size :]


def opened(blocks, **given):
    """Return the arguments of a recurrent layer by name: arrays of one dtype, their shapes checked; None stays.

    ``blocks`` counts the pre-activations of a cell. Names with a dot are parts of the result's gradient, where None is
    zero.
    """
    arrays = dict(zip(given, reals(*(item for pair in given.items() for item in pair)), strict=True))
    for name in ("x", "w_ih", "w_hh", "p_i", "p_f", "p_o"):
        if arrays.get(name, ()) is None:
            raise TypeError(f"{name}: expected an array, got None")
    shaped("x", arrays["x"], (None, None, None))
    shaped("w_hh", arrays["w_hh"], (None, None))
    (batch, steps, inputs), hidden = arrays["x"].shape, arrays["w_hh"].shape[1]
    shapes = {"x": (batch, steps, inputs), "w_ih": (blocks * hidden, inputs), "dy.y": (batch, steps, hidden)}
    shapes |= {"w_hh": (blocks * hidden, hidden), "b_ih": (blocks * hidden,), "b_hh": (blocks * hidden,)}
    shapes |= {"p_i": (hidden,), "p_f": (hidden,), "p_o": (hidden,)}
    for name, array in arrays.items():
        shape = shapes.get(name, (batch, hidden))
        if array is not None:
            shaped(name, array, shape)
        elif "." in name:
            arrays[name] = np.zeros(shape, arrays["x"].dtype)
    return arrays


def opened_backward(blocks, dy, kind, **given):
    """Return what `opened` does, and the parts of ``dy``: y with time first, the last states free to be written to."""
    if not isinstance(dy, kind):
        raise TypeError(f"dy: expected {kind.__name__}, got {type(dy).__name__}")
    arrays = opened(blocks, **given, **{f"dy.{part}": value for part, value in dy._asdict().items()})
    y, *last = (arrays.pop(f"dy.{part}") for part in dy._fields)
    return arrays, turned(y), *(part.copy() for part in last)


def turned(x):
    """Return (T, N, ...) for (N, T, ...) and the other way round, never a view."""
    return x.swapaxes(0, 1).copy()


def projected(x, w_ih, *biases):
    """Return what every step's cell gets from its input, (T, N, blocks * H), in one product."""
    batch, steps, inputs = x.shape
    from_x = turned(x).reshape(steps * batch, inputs) @ w_ih.T
    from_x += sum(b for b in biases if b is not None)
    return from_x.reshape(steps, batch, len(w_ih))


def states(first, from_x, w_hh):
    """Return room for the states before and after every step, (T + 1, N, H), with the first one in place."""
    room = np.empty((len(from_x) + 1, from_x.shape[1], w_hh.shape[1]), from_x.dtype)
    room[0] = 0 if first is None else first
    return room


def input_gradient(da, w_ih):
    """Return the gradient of x from those of the pre-activations, (T, N, blocks * H), in one product."""
    return turned((da.reshape(-1, len(w_ih)) @ w_ih).reshape(*da.shape[:2], w_ih.shape[1]))


def weight_gradients(da, source, b):
    """Return the gradients of weights, which multiplied ``source`` (T, N, ...), and of their bias, None for None."""
    rows = da.reshape(-1, da.shape[2])
    return rows.T @ source.reshape(len(rows), source.shape[2]), None if b is None else rows.sum(axis=0)
