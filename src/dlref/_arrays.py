"""The door: what a public function does with its arguments before a kernel sees them, and the words of every error.

Kernels trust their arguments. They get C-contiguous, writable arrays of one floating dtype, labels inside their range
and masks of booleans; whatever is not that is refused here, by name. An array that already fits is passed on as it is,
never copied.
"""

import functools
import inspect
import math
import numbers
import operator
import sys
from collections.abc import Hashable

import numpy as np

__all__ = [
    "axis_of",
    "finite",
    "flag",
    "floating",
    "generator",
    "index",
    "integer",
    "labels",
    "mask",
    "not_negative",
    "number",
    "option",
    "pair",
    "public",
    "real",
    "reals",
    "record",
    "same_shape",
    "shaped",
    "sizes",
]

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
NATIVE_FLOATS = frozenset(FLOATS)


def public(function):
    """Mark a public function: a traced argument (one that has ``_record``) takes the call over, for the tape.

    The arguments before the ``/`` are the differentiable ones, so only positional arguments are looked at. An argument
    that is annotated as a bool is checked here, once for all functions.
    """

    parameters = inspect.signature(function).parameters.values()
    flags = [(place, p.name) for place, p in enumerate(parameters) if p.annotation is bool]

    @functools.wraps(function)
    def call(*args, **kwargs):
        for value in args:
            if type(value) is not np.ndarray and hasattr(value, "_record"):
                return value._record(call, args, kwargs)
        for place, name in flags:
            flag(name, args[place] if place < len(args) else kwargs.get(name, False))
        return function(*args, **kwargs)

    call.differentiable = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_ONLY)
    return call


def backward_of(function):
    """Return the public ``<name>_backward`` that stands beside a public function."""
    name = function.__name__ + "_backward"
    backward = getattr(sys.modules[function.__module__], name, None)
    if backward is None:
        raise TypeError(f"{function.__name__} has no gradient: {function.__module__} defines no {name}")
    return backward


def real(name, value, ndim=None):
    """Return ``value`` as a C-contiguous, writable array of float32 or float64; integers become float64.

    ``ndim`` is a number of dimensions, or the least one when it is negative: ``-2`` asks for at least two.
    """
    if not (type(value) is np.ndarray and value.dtype in NATIVE_FLOATS and value.flags.carray):
        value = _converted(name, value)
    if ndim is not None:
        _check_ndim(name, value, ndim)
    return value


def reals(*names_and_values):
    """Return several arrays in one dtype, float64 as soon as one of them is: ``reals("x", x, "w", w)``; None stays."""
    arrays, sizes, one_by_one = [], 0, iter(names_and_values)
    for name, value in zip(one_by_one, one_by_one, strict=True):
        if value is not None:
            value = real(name, value)
            sizes |= value.itemsize
        arrays.append(value)
    if sizes == 4 | 8:  # both dtypes occur
        arrays = [a if a is None else np.require(a, np.float64, "C") for a in arrays]
    return arrays


def shaped(name, value, shape):
    """Refuse an array that has not this shape, or None; a None in ``shape`` stands for any length."""
    if value is None:  # `reals` lets it pass, for the arguments that are optional
        raise TypeError(f"{name}: expected an array, got None")
    if value.shape == shape:
        return
    fits = len(value.shape) == len(shape)
    for wanted, got in zip(shape, value.shape, strict=False):
        fits = fits and (wanted is None or wanted == got)
    if not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name}: expected shape ({wanted}{',' if len(shape) == 1 else ''}), got {value.shape}")


def same_shape(name, value, other_name, other):
    """Refuse an array whose shape is not that of another argument, or None."""
    if value is None or other is None:
        raise TypeError(f"{name if value is None else other_name}: expected an array, got None")
    if value.shape != other.shape:
        raise ValueError(f"{name}: expected the shape of {other_name}, {other.shape}, got {value.shape}")


def index(name, value, upper, shape=None, *, ignore=None):
    """Return labels as a C-contiguous int64 array with ``0 <= value < upper``; ``ignore`` is one more allowed value."""
    array = _array(name, value)
    if array.size == 0 and array.dtype == np.float64:
        array = array.astype(np.int64)  # an empty list
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integers, got {array.dtype}")
    if not (array.dtype == np.int64 and array.flags.carray):
        array = np.require(array, np.int64, "CW")
    if shape is not None:
        shaped(name, array, shape)
    if array.size and array.view(np.uint64).max() >= upper:  # a negative one is larger still
        outside = (array < 0) | (array >= upper)
        if ignore is not None:
            outside &= array != ignore
        if outside.any():
            raise ValueError(f"{name}: expected integers from 0 to {upper - 1}, got {array[outside].flat[0]}")
    return array


def labels(name, value, upper, shape=None, *, ignore=None):
    """Return classes as `index` does; booleans are the classes 0 and 1."""
    array = _array(name, value)
    return index(name, array.view(np.int8) if array.dtype == np.bool_ else array, upper, shape, ignore=ignore)


def not_negative(name, value):
    """Refuse an array with a number below 0; NaN is data."""
    if value.size and (value < 0).any():
        raise ValueError(f"{name}: expected numbers from 0, got {value[value < 0].flat[0]:g}")


def finite(name, value):
    """Refuse an array with a NaN or an infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        # The sum is finite where all entries are, and overflows at worst.
        if np.isfinite(value.sum()) or np.isfinite(value).all():
            return
    raise ValueError(f"{name}: expected finite numbers, got {value[~np.isfinite(value)].flat[0]:g}")


def mask(name, value, shape=None):
    """Return a C-contiguous boolean array; integers are refused: libraries read their 0 and 1 both ways."""
    array = _array(name, value)
    if array.size == 0 and array.dtype == np.float64:
        array = array.astype(np.bool_)
    if array.dtype != np.bool_:
        raise TypeError(f"{name}: expected booleans, got {array.dtype}")
    array = np.require(array, requirements="CW")
    if shape is not None:
        shaped(name, array, shape)
    return array


def number(name, value, low=-math.inf, high=math.inf, *, open_low=False, open_high=False):
    """Return a Python float inside the stated interval; NaN is refused."""
    if type(value) is not float and (isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real)):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name}: expected a number within float64, got one beyond it") from None
    above = number > low if open_low else number >= low
    below = number < high if open_high else number <= high
    if not (above and below):
        interval = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
        raise ValueError(f"{name}: expected a number in {interval}, got {number:g}")
    return number


def integer(name, value, low=None, high=None):
    """Return a Python int inside the stated range."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}")
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}") from None
    if not -(1 << 63) <= count < 1 << 63:
        raise ValueError(f"{name}: expected an integer of 64 bits, got one of {count.bit_length()}")
    if (low is not None and count < low) or (high is not None and count > high):
        bounds = f"at least {low}" if high is None else f"at most {high}" if low is None else f"from {low} to {high}"
        raise ValueError(f"{name}: expected an integer {bounds}, got {count}")
    return count


def pair(name, value, low=0):
    """Return two integers, for height and width, from one integer or a sequence of two."""
    if isinstance(value, (tuple, list, np.ndarray)):
        if len(value) != 2:
            raise ValueError(f"{name}: expected one integer or two, got {len(value)}")
        return integer(name, value[0], low), integer(name, value[1], low)
    count = integer(name, value, low)
    return count, count


def sizes(name, value):
    """Return the shape that one integer or a sequence of them states."""
    several = isinstance(value, (tuple, list, np.ndarray))
    return tuple(integer(name, n, 0) for n in value) if several else (integer(name, value, 0),)


def flag(name, value):
    """Refuse what is neither True nor False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {type(value).__name__}")


def option(name, value, choices):
    """Return ``value`` if it is one of ``choices``."""
    if not isinstance(value, Hashable):
        raise TypeError(f"{name}: expected one of {', '.join(map(repr, choices))}, got {type(value).__name__}")
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def record(name, value, kind):
    """Return a NamedTuple of this kind from one, or from another tuple of as many entries."""
    if not isinstance(value, tuple) or len(value) != len(kind._fields):
        raise TypeError(f"{name}: expected {kind.__name__}({', '.join(kind._fields)}), got {type(value).__name__}")
    return kind._make(value)


def generator(name, value):
    """Return a NumPy generator; a seed is refused, because the same one twice would draw the same twice."""
    if not isinstance(value, np.random.Generator):
        raise TypeError(f"{name}: expected a numpy.random.Generator, got {type(value).__name__}")
    return value


def floating(name, value):
    """Return the dtype float32 or float64."""
    try:
        dtype = None if value is None else np.dtype(value)
    except TypeError:
        dtype = None
    if dtype is None or dtype not in FLOATS:  # NumPy holds None equal to float64
        raise TypeError(f"{name}: expected float32 or float64, got {value if dtype is None else dtype}")
    return dtype


def axis_of(name, value, axis):
    """Return ``axis`` as a non-negative number that the array has."""
    axis = integer("axis", axis)
    if not -value.ndim <= axis < value.ndim:
        raise ValueError(f"axis: expected an axis of {name}, which has {value.ndim} dimensions, got {axis}")
    return axis % value.ndim


def _array(name, value):
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError(f"{name}: expected an array of numbers, got rows of different lengths") from None


def _converted(name, value):
    array = _array(name, value)
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if array.dtype.newbyteorder("=") not in NATIVE_FLOATS:
        raise TypeError(f"{name}: expected float32, float64 or integers, got {array.dtype}")
    return np.require(array, array.dtype.newbyteorder("="), "CWA")


def _check_ndim(name, value, ndim):
    if ndim >= 0 and value.ndim != ndim:
        raise ValueError(f"{name}: expected {_dimensions(ndim)}, got {value.ndim} (shape {value.shape})")
    if ndim < 0 and value.ndim < -ndim:
        raise ValueError(f"{name}: expected at least {_dimensions(-ndim)}, got {value.ndim} (shape {value.shape})")


def _dimensions(count):
    return f"{count} dimension" + "s" * (count != 1)
