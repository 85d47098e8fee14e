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
    """Return ``g``, the arrays that the kernel updates in place, p first and then those of the state, and these flat.

    Every field of a state but the counter ``t`` is an array of the shape of ``p``.
    """
    if not isinstance(state, kind):
        raise TypeError(f"state: expected {kind.__name__}, got {type(state).__name__}")
    fields = [field for field in kind._fields if field != "t"]
    pairs = [("p", p), ("g", g), *(("state." + field, getattr(state, field)) for field in fields)]
    arrays = reals(*(item for pair in pairs for item in pair))
    for (name, _), array in zip(pairs, arrays, strict=True):
        same_shape(name, array, "p", arrays[0])
    g = arrays.pop(1)
    updated = [array.copy() for array in arrays] if out is None else _filled(out, kind, fields, arrays, g)
    return g.reshape(-1), updated, [array.reshape(-1) for array in updated]


def _filled(out, kind, fields, arrays, g):
    if not (isinstance(out, tuple) and len(out) == 2 and isinstance(out[1], kind)):
        raise TypeError(f"out: expected a pair of an array and of {kind.__name__}")
    targets = [out[0], *(getattr(out[1], field) for field in fields)]
    for source, target in zip(arrays, targets, strict=True):
        if target is not source:
            like = (source.shape, source.dtype, True)
            if not isinstance(target, np.ndarray) or (target.shape, target.dtype, target.flags.carray) != like:
                raise ValueError(f"out: expected C-contiguous, writable arrays of shape {like[0]} and {like[1]}")
        if np.may_share_memory(target, g):
            raise ValueError("out: expected arrays that do not share memory with g")
    for source, target in zip(arrays, targets, strict=True):
        if target is not source:
            np.copyto(target, source)
    return targets
