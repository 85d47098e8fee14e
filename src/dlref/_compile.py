"""How kernels are compiled: the only place with Numba's options.

``@kernel`` compiles a loop that writes into its last argument. A kernel written with ``prange`` exists twice, serial
and threaded, and every call chooses by the size of its arrays; without ``prange`` it is serial alone. The default lets
the compiler fuse a multiplication with an addition and nothing else, so that a formula keeps its rounding;
``@kernel(sums=True)`` lets it reorder sums as well, which is what makes reductions fast.

``@inline`` compiles a scalar formula that kernels call.
"""

import functools
import types

import numba
import numpy as np
from numba import prange

__all__ = ["inline", "kernel", "prange"]

OPTIONS = {"cache": True, "error_model": "numpy"}
CONTRACT = {"contract"}
THREADED_FROM = 1 << 16  # elements of the largest array; below, starting the threads costs more than they save


def kernel(loop=None, *, sums=False, threaded_from=THREADED_FROM):
    """Compile ``loop``; see the module's text."""
    if loop is None:
        return functools.partial(kernel, sums=sums, threaded_from=threaded_from)
    fastmath = CONTRACT | {"reassoc"} if sums else CONTRACT
    serial = numba.njit(loop, fastmath=fastmath, **OPTIONS)
    if "prange" not in loop.__code__.co_names or numba.config.NUMBA_NUM_THREADS == 1 or numba.config.DISABLE_JIT:
        return serial
    threaded = numba.njit(_clone(loop), fastmath=fastmath, parallel=True, **OPTIONS)

    @functools.wraps(loop)
    def choose(*args):
        for value in args:
            if type(value) is np.ndarray and value.size >= threaded_from:
                return threaded(*args)
        return serial(*args)

    choose.serial, choose.threaded = serial, threaded
    return choose


def inline(formula):
    """Compile a scalar formula for use inside kernels; its rounding never depends on the caller's options."""
    # LLVM's inlining, which keeps each instruction's own flags: a call would keep the caller's loop from vectorizing.
    return numba.njit(formula, fastmath=CONTRACT, forceinline=True, **OPTIONS)


def _clone(loop):
    # Numba's disk cache knows a function by its qualified name: without one of its own the threaded form would load
    # the serial code.
    clone = types.FunctionType(loop.__code__, loop.__globals__, loop.__name__, loop.__defaults__, loop.__closure__)
    clone.__qualname__ = loop.__qualname__ + "_threaded"
    clone.__module__ = loop.__module__
    return clone
