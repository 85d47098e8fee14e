"""What every optimizer shares: ``step(p, g, state, lr, ...)`` returns a `Step`, and writes into ``out`` if given.

Kernels of this family update their arrays in place. A pure step hands them copies, an in-place step the arrays of
``out``; a loop that read one array and wrote another could not be vectorized for the case that both are the same.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlref._arrays import reals, same_shape

__all__ = ["Step"]


class Step(NamedTuple):
    """The result of one step of an optimizer."""

    p: NDArray
    state: Any


def arrays_of(p, g, state, kind, out):
    """Return ``g`` and the arrays that the kernel updates in place, flat: p, then those of the state in order.

    Every field of a state but the counter ``t`` is an array of the shape of ``p``.
    """
    if not isinstance(state, kind):
        raise TypeError(f"state: expected {kind.__name__}, got {type(state).__name__}")
    fields = [field for field in kind._fields if field != "t"]
    names = ["p", "g", *("state." + field for field in fields)]
    given = [p, g, *(getattr(state, field) for field in fields)]
    arrays = reals(*(item for pair in zip(names, given, strict=True) for item in pair))
    for name, array in zip(names[1:], arrays[1:], strict=True):
        same_shape(name, array, "p", arrays[0])
    g = arrays.pop(1)
    if out is None:
        updated = [array.copy() for array in arrays]
    else:
        updated = _destinations(out, kind, fields, arrays, g)
    return g.reshape(-1), updated, [array.reshape(-1) for array in updated]


def _destinations(out, kind, fields, arrays, g):
    if not (isinstance(out, tuple) and len(out) == 2 and isinstance(out[1], kind)):
        raise TypeError(f"out: expected a pair of an array and a {kind.__name__}")
    destinations = [out[0], *(getattr(out[1], field) for field in fields)]
    for source, target in zip(arrays, destinations, strict=True):
        if target is source:
            continue
        fits = isinstance(target, np.ndarray) and target.flags.carray
        if not (fits and target.shape == source.shape and target.dtype == source.dtype):
            raise ValueError(f"out: expected C-contiguous, writable arrays of {source.dtype} and shape {source.shape}")
    if any(np.may_share_memory(target, g) for target in destinations):
        raise ValueError("out: expected arrays that do not share memory with g")
    for source, target in zip(arrays, destinations, strict=True):
        if target is not source:
            np.copyto(target, source)
    return destinations
