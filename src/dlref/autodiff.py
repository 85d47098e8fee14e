"""The chain rule on a tape: first-order reverse mode, and what it is compared with.

`value_and_gradient` calls a function with traced arrays. Every public function of dlref that meets one hands the call
over; the tape notes it, and on the way back asks the ``<name>_backward`` that stands beside the function. There is no
list of rules. Plain NumPy on traced arrays (operators, indexing, ``np.exp``, ``np.concatenate``, methods such as
``sum`` and ``reshape``) finds its rule by the same name with an underscore, in the second part of this module, so the
same code runs on arrays and on traced arrays.

The third part is the same idea on single numbers, in three kernels: a program as a list, run forwards for its value,
forwards for a tangent, backwards for its gradient.
"""

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import backward_of, index, number, public, real, reals, same_shape, shaped
from dlref._compile import kernel
from dlref._math import exp, log, tanh

__all__ = [
    "Dual",
    "FlatParameters",
    "MLPGradients",
    "Op",
    "ProgramSweep",
    "check_gradient",
    "flat_parameters",
    "mlp_loss",
    "mlp_loss_backward",
    "program",
    "program_backward",
    "program_sweep",
    "program_tangent",
    "value_and_gradient",
    "vjp",
]

# --- the tape ---------------------------------------------------------------------------------------------------------


def value_and_gradient(f: Callable, params: Any, /, *data: Any, out: Any = None) -> tuple[Any, Any]:
    r"""Return :math:`f(\theta, \ldots)` and its gradient :math:`\nabla_\theta f` by one pass forwards and one back.

    Parameters
    ----------
    f : callable
        Called as ``f(params, *data)`` with traced arrays in the place of those of `params`. It returns a scalar, or a
        tuple whose first entry is the scalar; what follows is handed back as it is.
    params : array, number, or (nested) tuple, NamedTuple, list or dict of them
        What to differentiate with respect to. Arrays of float32 and float64 and Python floats count; anything else,
        such as None or an integer, is a constant.
    *data
        Further arguments of `f`, not differentiated.
    out : same structure as `params`, optional
        Arrays to write the gradient into, for example the views of a flat vector.

    Returns
    -------
    value
        What `f` returned, in plain arrays.
    gradient
        The structure of `params`, None in the place of constants; `out` if given.

    Raises
    ------
    TypeError
        If a function on the way has no gradient, or its argument is a constant there, or nothing depends on `params`.
    ValueError
        If the result is not a scalar.

    See Also
    --------
    vjp : For a result that is not a scalar.
    check_gradient : Compare the gradient with differences.
    flat_parameters : One vector behind all parameters.

    Notes
    -----
    The tape holds the arguments of every call until the way back has passed it. It is first-order: the gradient of a
    gradient is refused. Where a value is wanted without its history, as for a metric, take ``x.value``.

    References
    ----------
    Linnainmaa (1976), "Taylor expansion of the accumulated rounding error", BIT 16.
    Baydin et al. (2018), "Automatic differentiation in machine learning: a survey", section 3.2.

    Examples
    --------
    A weight that is used twice gets the sum of both uses.

    >>> def f(w, x):
    ...     return np.sum(w * (w @ x))
    >>> value, gradient = value_and_gradient(f, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    >>> float(value), gradient
    (33.0, array([20., 23.]))
    """
    tape = _Tape()
    traced = _map(tape.leaf, params)
    result = f(traced, *data)
    loss = result[0] if isinstance(result, tuple) and result else result
    if type(loss) is not _Traced or loss._tape is not tape:
        raise TypeError(f"f: the result does not depend on params; expected a traced scalar, got {_kind(loss)}")
    if np.shape(loss.value) != ():
        raise ValueError(f"f: expected a scalar, got shape {loss.value.shape}; vjp takes a cotangent for it")
    value = _map(_plain, result)
    found = tape.pull({loss._slot: np.ones((), loss.value.dtype)}, tape.consumed())
    return value, _gradients(traced, found, out)


def vjp(f: Callable, /, *args: Any) -> tuple[Any, Callable]:
    r"""Return :math:`y = f(x_1, x_2, \ldots)` and the function :math:`\bar y \mapsto (\bar x_1, \bar x_2, \ldots)`.

    Parameters
    ----------
    f : callable
        Returns an array or a NamedTuple of arrays.
    *args
        Arguments of `f`, all differentiated: structures as the `params` of `value_and_gradient`.

    Returns
    -------
    y
        What `f` returned, in plain arrays.
    pull : callable
        Takes a cotangent of the type of `y` and returns the gradient of the one argument, or a tuple of gradients. It
        can be called any number of times; the tape lives as long as this function does.

    Raises
    ------
    TypeError
        As for `value_and_gradient`.

    See Also
    --------
    value_and_gradient : For scalars.

    References
    ----------
    Baydin et al. (2018), "Automatic differentiation in machine learning: a survey", section 3.2.

    Examples
    --------
    One pull for each output gives the Jacobian matrix row by row.

    >>> y, pull = vjp(lambda x: x * x[::-1], np.array([2.0, 3.0]))
    >>> np.stack([pull(row) for row in np.eye(2)])
    array([[3., 2.],
           [3., 2.]])
    """
    tape = _Tape()
    traced = tuple(_map(tape.leaf, a) for a in args)
    result = f(*traced)
    outputs = result if isinstance(result, tuple) else (result,)
    if not any(type(y) is _Traced and y._tape is tape for y in outputs):
        raise TypeError(f"f: the result does not depend on its arguments, got {_kind(outputs[0])}")
    plain = _map(_plain, result)

    def _pull(dy: Any) -> Any:
        cotangents: dict[int, Any] = {}
        for y, bar in zip(outputs, dy if isinstance(result, tuple) else (dy,), strict=True):
            if bar is not None and type(y) is _Traced:
                bar = np.asarray(bar, y.value.dtype)
                same_shape("dy", bar, "y", y.value)
                cotangents[y._slot] = cotangents[y._slot] + bar if y._slot in cotangents else bar
        found = tape.pull(cotangents, reversed(tape.records))
        gradients = tuple(_gradients(t, found) for t in traced)
        return gradients[0] if len(gradients) == 1 else gradients

    return plain, _pull


class _Tape:
    """Calls in the order in which they were made, each with where its arguments came from and its results went."""

    __slots__ = ("ended", "records", "slots")

    def __init__(self):
        self.records, self.slots, self.ended = [], 0, False

    def leaf(self, value):
        """Return a traced array for an array or a float, and anything else as it is."""
        if type(value) is _Traced:
            raise TypeError("params: expected arrays, got traced ones; the tape is first-order (x.value is the array)")
        if _is_parameter(value):
            return _Traced(real("params", value), self)
        return value

    def consumed(self):
        """Yield the records from the last to the first, and forget each: what it held is free once it has passed."""
        self.ended = True
        while self.records:
            yield self.records.pop()

    def pull(self, cotangents, records):
        """Carry cotangents (slot -> array) back to the leaves."""
        ours = set()  # slots whose array was made here, and may be added to in place
        for backward, args, kwargs, inputs, outputs in records:
            if type(outputs) is int:
                dy = cotangents.pop(outputs, None)
                if dy is None:
                    continue
            else:
                make, slots = outputs
                parts = [cotangents.pop(slot, None) for slot in slots]
                if all(part is None for part in parts):
                    continue
                dy = make(parts)
            gradients = backward(dy, *args, **kwargs)
            for position, slot in inputs:
                g = gradients[position] if isinstance(gradients, tuple) else gradients
                if g is None:
                    continue
                if slot not in cotangents:
                    cotangents[slot] = g
                elif slot in ours:
                    cotangents[slot] += g
                else:
                    cotangents[slot] = cotangents[slot] + g  # g may be dy itself, or a view of it
                    ours.add(slot)
        return cotangents


@functools.cache
def _rule(call):
    """Return the backward function of a public one, whether it takes ``y`` and ``wanted``, and how many gradients."""
    try:
        backward = backward_of(call)
    except TypeError as error:
        raise TypeError(f"{error}; where none is wanted, pass x.value") from None
    parameters = inspect.signature(backward).parameters
    y = parameters.get("y")
    variadic = any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(call).parameters.values())
    takes_y = y is not None and y.kind is not y.POSITIONAL_ONLY
    count = math.inf if variadic else len(call.differentiable)
    return inspect.unwrap(backward), takes_y, "wanted" in parameters, count


def _operator(name, reflected=False):
    def method(self, other):
        return self._record(globals()[name], (other, self) if reflected else (self, other), {})

    return method


class _Traced:
    """An array with a history. Arithmetic and NumPy's functions on it are noted, if this module has their rule."""

    __slots__ = ("_slot", "_tape", "value")

    def __init__(self, value, tape):
        self.value = value if type(value) is np.ndarray else np.asarray(value)  # a NumPy scalar is weaker than an array
        self._tape, self._slot = tape, tape.slots
        tape.slots += 1

    def _record(self, call, args, kwargs):
        tape, (backward, takes_y, takes_wanted, count) = self._tape, _rule(call)
        values, inputs, wanted = list(args), [], [False] * len(args)
        for position, argument in enumerate(args):
            if type(argument) is _Traced:
                if position >= count:
                    name = list(inspect.signature(call).parameters)[position]
                    raise TypeError(f"{call.__name__}: {name} is a constant here; pass x.value")
                if argument._tape is not tape or tape.ended:
                    raise TypeError(f"{call.__name__}: an argument was traced by another pass (x.value is the array)")
                values[position], wanted[position] = argument.value, True
                inputs.append((position, argument._slot))
        y = call.__wrapped__(*values, **kwargs)
        if takes_y:
            kwargs = {**kwargs, "y": y}
        if takes_wanted:
            kwargs = {**kwargs, "wanted": wanted}
        if not isinstance(y, tuple):
            result = _Traced(y, tape)
            tape.records.append((backward, values, kwargs, inputs, result._slot))
            return result
        results = [_Traced(part, tape) if _is_float(part) else part for part in y]
        make = getattr(type(y), "_make", tuple)
        slots = [r._slot if type(r) is _Traced else None for r in results]
        tape.records.append((backward, values, kwargs, inputs, (make, slots)))
        return make(results)

    def __array_ufunc__(self, ufunc, method, *args, **kwargs):
        if method != "__call__":
            raise TypeError(f"np.{ufunc.__name__}.{method} has no gradient; where none is wanted, pass x.value")
        return _primitive(ufunc.__name__)(*args, **kwargs)

    def __array_function__(self, function, kinds, args, kwargs):
        return _primitive(function.__name__)(*args, **kwargs)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("a traced array got where no gradient passes; x.value is the plain array")

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.value.dtype)
    T = property(lambda self: _transpose(self))

    def __len__(self):
        return len(self.value)

    def __repr__(self):
        return f"traced({self.value!r})"

    __add__, __radd__ = _operator("_add"), _operator("_add", reflected=True)
    __sub__, __rsub__ = _operator("_subtract"), _operator("_subtract", reflected=True)
    __mul__, __rmul__ = _operator("_multiply"), _operator("_multiply", reflected=True)
    __truediv__, __rtruediv__ = _operator("_divide"), _operator("_divide", reflected=True)
    __matmul__, __rmatmul__ = _operator("_matmul"), _operator("_matmul", reflected=True)
    __pow__ = _operator("_power")

    def __neg__(self):
        return _negative(self)

    def __getitem__(self, key):
        return _getitem(self, key)

    def reshape(self, *shape):
        return _reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes):
        return _transpose(self, axes or None)

    def swapaxes(self, axis1, axis2):
        return _swapaxes(self, axis1, axis2)

    def sum(self, axis=None, keepdims=False):
        return _sum(self, axis, keepdims=keepdims)

    def mean(self, axis=None, keepdims=False):
        return _mean(self, axis, keepdims=keepdims)


@functools.cache
def _primitive(name):
    """Return the rule of this module for a function of NumPy, found by its name."""
    primitive = globals().get("_" + name)
    if name not in np.__all__ or primitive is None:
        raise TypeError(f"np.{name} has no gradient: {__name__} defines no _{name}; where none is wanted, pass x.value")
    return primitive


def _is_parameter(value):
    return _is_float(value) or type(value) is float


def _is_float(value):
    return isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f"


def _plain(value):
    return value.value if type(value) is _Traced else value


def _kind(value):
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


def _map(function, tree):
    """Return the same structure with ``function`` applied to everything that is not a tuple, a list or a dict."""
    if isinstance(tree, tuple):
        return getattr(type(tree), "_make", tuple)(_map(function, item) for item in tree)
    if isinstance(tree, list):
        return [_map(function, item) for item in tree]
    if isinstance(tree, dict):
        return {key: _map(function, item) for key, item in tree.items()}
    return function(tree)


def _leaves(tree):
    """Return everything in a structure that is not a tuple, a list or a dict, in order."""
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    return [leaf for item in tree for leaf in _leaves(item)] if isinstance(tree, (tuple, list)) else [tree]


def _gradients(traced, found, out=None):
    """Return the gradients of traced leaves in their structure: zeros for one that was not used."""
    if out is None:
        return _map(lambda leaf: _gradient_of(leaf, found) if type(leaf) is _Traced else None, traced)
    leaves, targets = _leaves(traced), _leaves(out)
    if len(leaves) != len(targets):
        raise ValueError(f"out: expected {len(leaves)} arrays as in params, got {len(targets)}")
    for leaf, target in zip(leaves, targets, strict=True):
        if type(leaf) is _Traced:
            same_shape("out", target, "params", leaf.value)
            target[...] = found.get(leaf._slot, 0)
    return out


def _gradient_of(leaf, found):
    if leaf._slot not in found:
        return np.zeros_like(leaf.value)
    # A rule may have returned the same array for two arguments: each leaf gets one of its own.
    return np.array(found[leaf._slot], leaf.value.dtype)


# --- rules of NumPy's functions ---------------------------------------------------------------------------------------
# A rule may take `wanted`, which says for each argument whether its gradient is asked for, and `y`, the result.


def _unbroadcast(g, like):
    """Sum a gradient over the axes along which the argument was repeated."""
    shape = np.shape(like)
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    repeated = [extra + i for i, n in enumerate(shape) if n == 1 and g.shape[extra + i] != 1]
    return g.sum(axis=(*range(extra), *repeated)).reshape(shape)


def _weak(value):
    """Let a number not widen float32: NumPy does so for Python's numbers, not for its own ``np.sqrt(2)``."""
    return float(value) if type(value) is np.float64 else value


@public
def _add(a, b, /):
    return _weak(a) + _weak(b)


def _add_backward(dy, a, b, /, wanted=(True, True)):
    return _unbroadcast(dy, a) if wanted[0] else None, _unbroadcast(dy, b) if wanted[1] else None


@public
def _subtract(a, b, /):
    return _weak(a) - _weak(b)


def _subtract_backward(dy, a, b, /, wanted=(True, True)):
    return _unbroadcast(dy, a) if wanted[0] else None, _unbroadcast(-dy, b) if wanted[1] else None


@public
def _multiply(a, b, /):
    return _weak(a) * _weak(b)


def _multiply_backward(dy, a, b, /, wanted=(True, True)):
    da = _unbroadcast(dy * _weak(b), a) if wanted[0] else None
    return da, _unbroadcast(dy * _weak(a), b) if wanted[1] else None


@public
def _divide(a, b, /):
    return _weak(a) / _weak(b)


def _divide_backward(dy, a, b, /, wanted=(True, True), y=None):
    da = dy / _weak(b)
    return _unbroadcast(da, a) if wanted[0] else None, _unbroadcast(-da * y, b) if wanted[1] else None


@public
def _power(x, /, exponent):
    return x ** _weak(exponent)


def _power_backward(dy, x, /, exponent):
    return dy * (exponent * x ** (_weak(exponent) - 1)) if exponent else np.zeros_like(x)


@public
def _matmul(a, b, /):
    return a @ b


def _matmul_backward(dy, a, b, /, wanted=(True, True)):
    dy, a, b = np.asarray(dy), np.asarray(a), np.asarray(b)
    rows = dy if b.ndim > 1 else dy[..., None]  # a vector on the right is a column, one on the left is a row
    rows = rows if a.ndim > 1 else rows[..., None, :]
    left, right = np.atleast_2d(a), b if b.ndim > 1 else b[:, None]
    da = _unbroadcast(rows @ right.swapaxes(-1, -2), left).reshape(a.shape) if wanted[0] else None
    if not wanted[1]:
        return da, None
    if right.ndim == 2:  # one product for all rows, instead of one for each matrix and their sum
        left, rows = left.reshape(-1, left.shape[-1]), rows.reshape(-1, rows.shape[-1])
    return da, _unbroadcast(left.swapaxes(-1, -2) @ rows, right).reshape(b.shape)


@public
def _negative(x, /):
    return -x


def _negative_backward(dy, x, /):
    return -dy


@public
def _absolute(x, /):
    return np.abs(x)


def _absolute_backward(dy, x, /):
    return dy * np.sign(x)


@public
def _square(x, /):
    return x * x


def _square_backward(dy, x, /):
    return 2 * (dy * x)


@public
def _sqrt(x, /):
    return np.sqrt(x)


def _sqrt_backward(dy, x, /, y=None):
    return 0.5 * dy / y


@public
def _exp(x, /):
    return np.exp(x)


def _exp_backward(dy, x, /, y=None):
    return dy * y


@public
def _log(x, /):
    return np.log(x)


def _log_backward(dy, x, /):
    return dy / x


@public
def _sin(x, /):
    return np.sin(x)


def _sin_backward(dy, x, /):
    return dy * np.cos(x)


@public
def _cos(x, /):
    return np.cos(x)


def _cos_backward(dy, x, /):
    return -dy * np.sin(x)


@public
def _tanh(x, /):
    return np.tanh(x)


def _tanh_backward(dy, x, /, y=None):
    return dy * (1 - y * y)


@public
def _where(condition, a, b, /):
    return np.where(condition, _weak(a), _weak(b))


def _where_backward(dy, condition, a, b, /, wanted=(False, True, True)):
    da = _unbroadcast(np.where(condition, dy, 0), a) if wanted[1] else None
    return None, da, _unbroadcast(np.where(condition, 0, dy), b) if wanted[2] else None


@public
def _sum(x, /, axis=None, keepdims=False):
    return np.sum(x, axis, keepdims=keepdims)


def _sum_backward(dy, x, /, axis=None, keepdims=False):
    if axis is not None and not keepdims:
        dy = np.expand_dims(dy, axis)
    return np.broadcast_to(dy, x.shape)


@public
def _mean(x, /, axis=None, keepdims=False):
    return np.mean(x, axis, keepdims=keepdims)


def _mean_backward(dy, x, /, axis=None, keepdims=False):
    total = _sum_backward(dy, x, axis, keepdims)
    return total * (np.size(dy) / x.size) if x.size else total


@public
def _reshape(x, /, shape):
    return np.reshape(x, shape)


def _reshape_backward(dy, x, /, shape):
    return np.reshape(dy, x.shape)


@public
def _transpose(x, /, axes=None):
    return np.transpose(x, axes)


def _transpose_backward(dy, x, /, axes=None):
    return np.transpose(dy, None if axes is None else np.argsort(np.mod(axes, x.ndim)))


@public
def _swapaxes(x, /, axis1, axis2):
    return np.swapaxes(x, axis1, axis2)


def _swapaxes_backward(dy, x, /, axis1, axis2):
    return np.swapaxes(dy, axis1, axis2)


@public
def _getitem(x, /, key):
    return x[key]


def _getitem_backward(dy, x, /, key):
    dx = np.zeros_like(x)
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(part, (list, np.ndarray)) for part in parts):
        np.add.at(dx, key, dy)  # an entry may be taken several times
    else:
        dx[key] = dy
    return dx


def _concatenate(arrays, axis=0):
    return _join(*arrays, axis=axis)


@public
def _join(*arrays, axis):
    return np.concatenate(arrays, axis)


def _join_backward(dy, *arrays, axis):
    ends = np.cumsum([a.shape[axis] for a in arrays])
    return tuple(np.split(dy, ends[:-1], axis))


def _stack(arrays, axis=0):
    return _pile(*arrays, axis=axis)


@public
def _pile(*arrays, axis):
    return np.stack(arrays, axis)


def _pile_backward(dy, *arrays, axis):
    return tuple(np.moveaxis(dy, axis, 0))


# --- the same on single numbers: a program as a list of instructions --------------------------------------------------


class Op(IntEnum):
    """An instruction of `program`; from `EXP` on they read their left operand alone."""

    ADD = 0
    SUBTRACT = 1
    MULTIPLY = 2
    DIVIDE = 3
    EXP = 4
    LOG = 5
    SIN = 6
    TANH = 7


class Dual(NamedTuple):
    """A dual number: a value and its derivative in one direction."""

    value: NDArray
    tangent: NDArray


class ProgramSweep(NamedTuple):
    """What every node of a program holds after one way forwards and one back: inputs first, then instructions."""

    values: NDArray
    adjoints: NDArray


@public
def program(x: ArrayLike, /, ops: Sequence[Op], left: Sequence[int], right: Sequence[int]) -> NDArray:
    r"""Run a program on numbers and return what its last instruction gives.

    The inputs are nodes :math:`0, \ldots, n - 1`. Instruction :math:`k` makes node :math:`n + k` from two nodes before
    it: :math:`v_{n+k} = \mathrm{op}_k(v_{\mathrm{left}_k}, v_{\mathrm{right}_k})`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (n,)
        Inputs and constants; integers become float64.
    ops : sequence of Op, length m
        The instructions.
    left, right : sequence of int, length m
        Their operands. `right` is not read by functions of one number.

    Returns
    -------
    ndarray, shape ()
        The value of the last node, of the dtype of `x`.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer, or an operand is not an integer.
    ValueError
        If there is no such instruction, or it reads a node that is not computed before it.

    See Also
    --------
    program_sweep : Values and adjoints of all nodes.
    program_tangent : The derivative in one direction.

    References
    ----------
    Wengert (1964), "A simple automatic derivative evaluation program".

    Examples
    --------
    The function x0 x1 + sin x0.

    >>> ops = [Op.MULTIPLY, Op.SIN, Op.ADD]
    >>> program([2.0, 3.0], ops, [0, 0, 2], [1, 0, 3]).round(4)
    np.float64(6.9093)
    """
    x, ops, left, right = _program(x, ops, left, right)
    values = _values(x, ops, left, right)
    return values[-1:].reshape(())


@public
def program_backward(
    dy: ArrayLike, x: ArrayLike, /, ops: Sequence[Op], left: Sequence[int], right: Sequence[int]
) -> NDArray:
    r"""Return the gradient of `program`: all :math:`n` derivatives by one sweep from the last node to the first.

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient of the loss with respect to the result.
    x : array_like of float32 or float64, shape (n,)
        Inputs and constants.
    ops, left, right
        As for `program`.

    Returns
    -------
    ndarray, shape (n,)
        Gradient with respect to `x`.

    Raises
    ------
    TypeError, ValueError
        As for `program`.

    See Also
    --------
    program_sweep : The adjoints of all nodes.

    References
    ----------
    Linnainmaa (1976), "Taylor expansion of the accumulated rounding error", BIT 16.

    Examples
    --------
    The derivatives of x0 x1 + sin x0 are x1 + cos x0 and x0.

    >>> ops = [Op.MULTIPLY, Op.SIN, Op.ADD]
    >>> program_backward(1.0, [2.0, 3.0], ops, [0, 0, 2], [1, 0, 3]).round(4)
    array([2.5839, 2.    ])
    """
    dy, x = reals("dy", dy, "x", x)
    shaped("dy", dy, ())
    sweep = _sweep(dy, *_program(x, ops, left, right))
    return sweep.adjoints[: len(x)].copy()


def program_sweep(x: ArrayLike, ops: Sequence[Op], left: Sequence[int], right: Sequence[int]) -> ProgramSweep:
    r"""Return the value of every node of a program and the derivative of the result with respect to it.

    Parameters
    ----------
    x, ops, left, right
        As for `program`.

    Returns
    -------
    ProgramSweep
        ``values`` and ``adjoints``, each of shape (n + m,). The adjoint of the last node is 1.

    Raises
    ------
    TypeError, ValueError
        As for `program`.

    See Also
    --------
    program_backward : The adjoints of the inputs alone.

    References
    ----------
    Linnainmaa (1976), "Taylor expansion of the accumulated rounding error", BIT 16.

    Examples
    --------
    In (x0 + x1) (x0 + x1) the sum is used twice, and the adjoint of it is what both uses give.

    >>> program_sweep([1.0, 2.0], [Op.ADD, Op.MULTIPLY], [0, 2], [1, 2])
    ProgramSweep(values=array([1., 2., 3., 9.]), adjoints=array([6., 6., 6., 1.]))
    """
    x, *instructions = _program(x, ops, left, right)
    return _sweep(np.ones((), x.dtype), x, *instructions)


def program_tangent(x: ArrayLike, dx: ArrayLike, ops: Sequence[Op], left: Sequence[int], right: Sequence[int]) -> Dual:
    r"""Return the value of a program and its derivative in one direction: forward mode, by dual numbers.

    Every node holds a dual number :math:`v + \dot v \varepsilon` with :math:`\varepsilon^2 = 0`.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (n,)
        Inputs and constants.
    dx : array_like, shape (n,)
        The direction; zero for a constant.
    ops, left, right
        As for `program`.

    Returns
    -------
    Dual
        ``value``, the result, and ``tangent``, its derivative :math:`\sum_i \dot x_i\, \partial y / \partial x_i`, both
        of shape ().

    Raises
    ------
    TypeError, ValueError
        As for `program`, and if the shapes differ.

    See Also
    --------
    program_backward : All derivatives at once, by reverse mode.

    References
    ----------
    Wengert (1964), "A simple automatic derivative evaluation program".

    Examples
    --------
    One direction gives one number; the gradient would take as many runs as there are inputs.

    >>> ops = [Op.MULTIPLY, Op.SIN, Op.ADD]
    >>> program_tangent([2.0, 3.0], [1.0, 0.0], ops, [0, 0, 2], [1, 0, 3]).tangent.round(4)
    np.float64(2.5839)
    """
    x, dx = reals("x", x, "dx", dx)
    same_shape("dx", dx, "x", x)
    x, ops, left, right = _program(x, ops, left, right)
    values = _values(x, ops, left, right)
    tangents = np.empty_like(values)
    tangents[: len(x)] = dx
    _tangent(ops, left, right, values, tangents)
    return Dual(values[-1:].reshape(()), tangents[-1:].reshape(()))


def _program(x, ops, left, right):
    """Return input and instructions as arrays, each operand a node that comes before its instruction."""
    x, ops = real("x", x, ndim=1), index("ops", ops, len(Op))
    shaped("ops", ops, (None,))
    total = len(x) + len(ops)
    if total == 0:
        raise ValueError("x: expected at least one input, got none")
    operands = [index(name, operand, total, ops.shape) for name, operand in (("left", left), ("right", right))]
    for name, operand in zip(("left", "right"), operands, strict=True):
        late = np.flatnonzero(operand >= np.arange(len(x), total))
        if late.size:
            raise ValueError(f"{name}: instruction {late[0]} reads node {operand[late[0]]}, which comes after it")
    return x, ops, *operands


def _values(x, ops, left, right):
    values = np.empty(len(x) + len(ops), x.dtype)
    values[: len(x)] = x
    _forward(ops, left, right, values)
    return values


def _sweep(dy, x, ops, left, right):
    values = _values(x, ops, left, right)
    adjoints = np.zeros_like(values)
    adjoints[-1] = dy
    _reverse(ops, left, right, values, adjoints)
    return ProgramSweep(values, adjoints)


@kernel
def _forward(ops, left, right, v):
    node = v.size - ops.size
    for k in range(ops.size):
        a, b = v[left[k]], v[right[k]]
        if ops[k] == Op.ADD:
            v[node] = a + b
        elif ops[k] == Op.SUBTRACT:
            v[node] = a - b
        elif ops[k] == Op.MULTIPLY:
            v[node] = a * b
        elif ops[k] == Op.DIVIDE:
            v[node] = a / b
        elif ops[k] == Op.EXP:
            v[node] = exp(a)
        elif ops[k] == Op.LOG:
            v[node] = log(a)
        elif ops[k] == Op.SIN:
            v[node] = np.sin(a)
        else:
            v[node] = tanh(a)
        node += 1


@kernel
def _reverse(ops, left, right, v, adjoint):
    node = v.size
    for k in range(ops.size - 1, -1, -1):
        node -= 1
        i, j, y, bar = left[k], right[k], v[node], adjoint[node]
        if bar == 0:
            continue  # nothing to pass on, even where the slope is infinite
        if ops[k] == Op.ADD:
            adjoint[i] += bar
            adjoint[j] += bar
        elif ops[k] == Op.SUBTRACT:
            adjoint[i] += bar
            adjoint[j] -= bar
        elif ops[k] == Op.MULTIPLY:
            adjoint[i] += bar * v[j]
            adjoint[j] += bar * v[i]
        elif ops[k] == Op.DIVIDE:
            adjoint[i] += bar / v[j]
            adjoint[j] -= bar / v[j] * y
        elif ops[k] == Op.EXP:
            adjoint[i] += bar * y
        elif ops[k] == Op.LOG:
            adjoint[i] += bar / v[i]
        elif ops[k] == Op.SIN:
            adjoint[i] += bar * np.cos(v[i])
        else:
            adjoint[i] += bar * (1 - y * y)


@kernel
def _tangent(ops, left, right, v, dot):
    node = v.size - ops.size
    for k in range(ops.size):
        i, j, y = left[k], right[k], v[node]
        if ops[k] == Op.ADD:
            dot[node] = dot[i] + dot[j]
        elif ops[k] == Op.SUBTRACT:
            dot[node] = dot[i] - dot[j]
        elif ops[k] == Op.MULTIPLY:
            dot[node] = dot[i] * v[j] + v[i] * dot[j]
        elif ops[k] == Op.DIVIDE:
            dot[node] = (dot[i] - y * dot[j]) / v[j]
        elif ops[k] == Op.EXP:
            dot[node] = dot[i] * y
        elif ops[k] == Op.LOG:
            dot[node] = dot[i] / v[i]
        elif ops[k] == Op.SIN:
            dot[node] = dot[i] * np.cos(v[i])
        else:
            dot[node] = dot[i] * (1 - y * y)
        node += 1


# --- what the tape is compared with -----------------------------------------------------------------------------------


class MLPGradients(NamedTuple):
    """Gradients of `mlp_loss`."""

    w1: NDArray
    b1: NDArray
    w2: NDArray
    b2: NDArray


@public
def mlp_loss(w1: ArrayLike, b1: ArrayLike, w2: ArrayLike, b2: ArrayLike, /, x: ArrayLike, target: ArrayLike) -> NDArray:
    r"""Return half the mean squared error of a network with one hidden layer of tanh units.

    .. math:: L = \frac{1}{2N} \sum_n \| W_2 \tanh(W_1 x_n + b_1) + b_2 - t_n \|^2

    Parameters
    ----------
    w1, b1 : array_like, shapes (H, D) and (H,)
        Weights and biases of the hidden layer.
    w2, b2 : array_like, shapes (K, H) and (K,)
        Those of the output layer.
    x : array_like, shape (N, D)
        Inputs, with N at least 1.
    target : array_like, shape (N, K)
        What the network should return.

    Returns
    -------
    ndarray, shape ()
        The loss.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If a shape does not fit.

    See Also
    --------
    mlp_loss_backward : Its gradient, written by hand.

    References
    ----------
    Rumelhart, Hinton & Williams (1986), "Learning representations by back-propagating errors", equations 1 to 3.

    Examples
    --------
    With all weights zero the network returns its last bias.

    >>> float(mlp_loss(np.zeros((5, 3)), np.zeros(5), np.zeros((1, 5)), [2.0], np.ones((4, 3)), np.zeros((4, 1))))
    2.0
    """
    _, _, _, error = _mlp(w1, b1, w2, b2, x, target)
    return np.asarray(np.vdot(error, error) / error.dtype.type(2 * len(error)))


@public
def mlp_loss_backward(
    dy: ArrayLike,
    w1: ArrayLike,
    b1: ArrayLike,
    w2: ArrayLike,
    b2: ArrayLike,
    /,
    x: ArrayLike,
    target: ArrayLike,
) -> MLPGradients:
    r"""Return the gradient of `mlp_loss`, line by line from the last to the first.

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient of the final loss with respect to this one, usually 1.
    w1, b1, w2, b2, x, target
        As for `mlp_loss`.

    Returns
    -------
    MLPGradients
        Gradients with respect to ``w1``, ``b1``, ``w2`` and ``b2``.

    Raises
    ------
    TypeError, ValueError
        As for `mlp_loss`.

    See Also
    --------
    value_and_gradient : The same without writing it.

    References
    ----------
    Rumelhart, Hinton & Williams (1986), "Learning representations by back-propagating errors", equations 4 to 7.

    Examples
    --------
    The gradient of the last bias is the mean error.

    >>> zeros = np.zeros((5, 3)), np.zeros(5), np.zeros((1, 5)), [2.0]
    >>> mlp_loss_backward(1.0, *zeros, np.ones((4, 3)), np.zeros((4, 1))).b2
    array([2.])
    """
    x, h, w2, error = _mlp(w1, b1, w2, b2, x, target)
    dy = real("dy", dy).astype(error.dtype)
    shaped("dy", dy, ())
    d_output = dy * error / error.dtype.type(len(error))
    d_w2, d_b2 = d_output.T @ h, d_output.sum(axis=0)
    d_hidden = (d_output @ w2) * (1 - h * h)
    d_w1, d_b1 = d_hidden.T @ x, d_hidden.sum(axis=0)
    return MLPGradients(d_w1, d_b1, d_w2, d_b2)


def _mlp(w1, b1, w2, b2, x, target):
    names = ("w1", "b1", "w2", "b2", "x", "target")
    w1, b1, w2, b2, x, target = reals(
        *(v for pair in zip(names, (w1, b1, w2, b2, x, target), strict=True) for v in pair)
    )
    shaped("x", x, (None, None))
    shaped("w1", w1, (None, x.shape[1]))
    shaped("b1", b1, (len(w1),))
    shaped("w2", w2, (None, len(w1)))
    shaped("b2", b2, (len(w2),))
    shaped("target", target, (len(x), len(w2)))
    if len(x) == 0:
        raise ValueError("x: expected at least one example, got none")
    h = np.tanh(x @ w1.T + b1)
    return x, h, w2, h @ w2.T + b2 - target


def check_gradient(
    f: Callable,
    params: Any,
    /,
    *data: Any,
    rng: np.random.Generator,
    gradient: Any = None,
    step: float = 1e-5,
) -> float:
    r"""Compare the gradient of `f` with a central difference along one random direction.

    The difference :math:`(f(\theta + hu) - f(\theta - hu)) / 2h` and the product :math:`u^\top \nabla f` should agree.
    Two evaluations judge all derivatives at once, whatever their number.

    Parameters
    ----------
    f : callable
        Called as ``f(params, *data)``; it returns a scalar.
    params : array, or structure of arrays
        Where to check; in float64, since float32 leaves no digits.
    *data
        Further arguments of `f`.
    rng : numpy.random.Generator
        Draws the direction.
    gradient : structure of `params`, optional
        The gradient to check; by default that of the tape.
    step : float
        The step :math:`h`. About the cube root of the machine epsilon balances rounding and curvature.

    Returns
    -------
    float
        The difference of both, divided by the norm of the gradient: 1e-7 or less if all is well. The direction is
        normal, so a gradient that is wrong by a share gives about that share.

    Raises
    ------
    TypeError
        If an array of `params` is not float64, or as for `value_and_gradient`.
    ValueError
        If the step is not positive, or as for `value_and_gradient`.

    See Also
    --------
    value_and_gradient : What is checked.

    References
    ----------
    Baydin et al. (2018), "Automatic differentiation in machine learning: a survey", section 2.1.

    Examples
    --------
    >>> def f(w):
    ...     return np.sum(w**3)
    >>> w, rng = np.array([1.0, 2.0, 3.0]), np.random.default_rng(0)
    >>> check_gradient(f, w, rng=rng) < 1e-8
    True
    >>> check_gradient(f, w, rng=rng, gradient=2 * w**2) > 0.01
    True
    """
    step = number("step", step, 0, open_low=True)
    if gradient is None:
        _, gradient = value_and_gradient(f, params, *data)
    directions, product, square = [], 0.0, 0.0
    for leaf, g in zip(_leaves(params), _leaves(gradient), strict=True):
        if g is None:
            directions.append(None)
            continue
        if real("params", leaf).dtype != np.float64:
            raise TypeError("params: expected float64, got float32, which leaves no digits to a difference")
        directions.append(rng.normal(size=np.shape(leaf)))
        product += float(np.vdot(g, directions[-1]))
        square += float(np.vdot(g, g))

    def _along(t):
        moves = iter(directions)
        moved = _map(lambda leaf: leaf if (u := next(moves)) is None else leaf + t * u, params)
        value = f(moved, *data)
        return float(value[0] if isinstance(value, tuple) else value)

    measured = (_along(step) - _along(-step)) / (2 * step)
    return abs(measured - product) / max(math.sqrt(square), np.finfo(np.float64).tiny)


# --- parameters -------------------------------------------------------------------------------------------------------


class FlatParameters(NamedTuple):
    """All parameters as one vector, and the same numbers in their own structure."""

    vector: NDArray
    views: Any


def flat_parameters(params: Any) -> FlatParameters:
    """Copy all parameters into one vector and return it with views of it in their place.

    An optimizer's step, a norm or a penalty over a whole model is then one call on one vector, and the model sees the
    change through its views.

    Parameters
    ----------
    params : array, number, or (nested) tuple, NamedTuple, list or dict of them
        Parameters as `value_and_gradient` takes them; constants stay what they are.

    Returns
    -------
    FlatParameters
        ``vector``, float64 as soon as one array is, and ``views`` in the structure of `params`.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.

    See Also
    --------
    value_and_gradient : Its ``out=`` takes the views of a second vector.

    References
    ----------
    Bottou, Curtis & Nocedal (2018), "Optimization methods for large-scale machine learning".

    Examples
    --------
    >>> vector, (w, b) = flat_parameters((np.ones((2, 3)), np.zeros(2)))
    >>> vector -= 1
    >>> w.shape, float(w[0, 0]), float(b[1])
    ((2, 3), 0.0, -1.0)
    """
    leaves = _leaves(params)
    arrays = [real("params", leaf) if _is_parameter(leaf) else None for leaf in leaves]
    kept = [a for a in arrays if a is not None]
    vector = np.empty(int(np.sum([a.size for a in kept])), np.result_type(np.float32, *(a.dtype for a in kept)))
    views, start = [], 0
    for leaf, array in zip(leaves, arrays, strict=True):
        if array is None:
            views.append(leaf)
            continue
        views.append(vector[start : start + array.size].reshape(array.shape))
        views[-1][...] = array
        start += array.size
    remaining = iter(views)
    return FlatParameters(vector, _map(lambda leaf: next(remaining), params))
