"""Wholes made of parts: binding by tensor products and by circular convolution, and a small language of commands."""

import math
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, public, real, reals, same_shape, shaped
from dlref._compile import kernel, prange

__all__ = [
    "CircularBindGradients",
    "CommandSplit",
    "TensorBindGradients",
    "all_commands",
    "circular_bind",
    "circular_bind_backward",
    "circular_unbind",
    "interpret_command",
    "systematic_split",
    "tensor_bind",
    "tensor_bind_backward",
    "tensor_unbind",
    "unitary_vectors",
]

TIMES = {"twice": 2, "thrice": 3}
RESERVED = {"and", "after", *TIMES}


class TensorBindGradients(NamedTuple):
    """Gradients of `tensor_bind`, one for each argument."""

    fillers: NDArray
    roles: NDArray


class CircularBindGradients(NamedTuple):
    """Gradients of `circular_bind`, one for each argument."""

    x: NDArray
    y: NDArray


class CommandSplit(NamedTuple):
    """Where in a list the commands to train on stand, and those to test on."""

    training: NDArray
    test: NDArray


# --- binding ----------------------------------------------------------------------------------------------------------


@public
def tensor_bind(fillers: ArrayLike, roles: ArrayLike, /) -> NDArray:
    r"""Bind fillers to roles and add the pairs up: :math:`B = \sum_i f_i r_i^\top`.

    Parameters
    ----------
    fillers : array_like of float32 or float64, shape (..., n, F)
        What stands there; integers become float64.
    roles : array_like, shape (..., n, R)
        Where it stands, with the same leading dimensions.

    Returns
    -------
    ndarray, shape (..., F, R)
        All pairs in one matrix, whatever their number.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    tensor_unbind : Asks for the filler of a role.
    circular_bind : A vector in the place of the matrix.

    References
    ----------
    Smolensky (1990), "Tensor product variable binding".

    Examples
    --------
    "Dog bites man" and "man bites dog" have the same parts, and differ.

    >>> agent, patient, dog, man = *np.eye(2), np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    >>> one, other = tensor_bind([dog, man], [agent, patient]), tensor_bind([man, dog], [agent, patient])
    >>> tensor_unbind(one, agent), tensor_unbind(other, agent)
    (array([1., 0., 0.]), array([0., 1., 0.]))
    """
    fillers, roles = _pairs(fillers, roles)
    return fillers.swapaxes(-1, -2) @ roles


@public
def tensor_bind_backward(dy: ArrayLike, fillers: ArrayLike, roles: ArrayLike, /) -> TensorBindGradients:
    r"""Return the gradients of `tensor_bind`: :math:`\bar f_i = \bar B r_i` and :math:`\bar r_i = \bar B^\top f_i`.

    Parameters
    ----------
    dy : array_like, shape (..., F, R)
        Gradient of the loss with respect to the result.
    fillers, roles
        As for `tensor_bind`.

    Returns
    -------
    TensorBindGradients
        Gradients with respect to `fillers` and `roles`.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    tensor_bind : The function.

    References
    ----------
    Smolensky (1990), "Tensor product variable binding".

    Examples
    --------
    The gradient of a filler is what unbinding its role finds in the gradient.

    >>> tensor_bind_backward([[1.0, 2.0]], [[5.0]], [[0.0, 1.0]]).fillers
    array([[2.]])
    """
    dy, fillers, roles = reals("dy", dy, "fillers", fillers, "roles", roles)
    fillers, roles = _pairs(fillers, roles)
    shaped("dy", dy, (*fillers.shape[:-2], fillers.shape[-1], roles.shape[-1]))
    return TensorBindGradients(roles @ dy.swapaxes(-1, -2), fillers @ dy)


def tensor_unbind(bound: ArrayLike, role: ArrayLike) -> NDArray:
    r"""Return the filler of a role: :math:`B r`, exact if the roles are orthonormal.

    With :math:`B = \sum_i f_i r_i^\top` the result is :math:`\sum_i (r_i^\top r)\, f_i`. For roles that are linearly
    independent, and no more, take the row of the pseudoinverse in the place of the role.

    Parameters
    ----------
    bound : array_like of float32 or float64, shape (..., F, R)
        From `tensor_bind`.
    role : array_like, shape (..., R)
        A role, with the same leading dimensions or none.

    Returns
    -------
    ndarray, shape (..., F)
        The filler.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the lengths differ.

    See Also
    --------
    tensor_bind : The way there.

    References
    ----------
    Smolensky (1990), "Tensor product variable binding".

    Examples
    --------
    A role that was not bound has no filler.

    >>> tensor_unbind(tensor_bind([[3.0, 4.0]], [[1.0, 0.0]]), [0.0, 1.0])
    array([0., 0.])
    """
    bound, role = reals("bound", real("bound", bound, -2), "role", real("role", role, -1))
    if role.ndim == 1:
        shaped("role", role, bound.shape[-1:])
    else:
        shaped("role", role, (*bound.shape[:-2], bound.shape[-1]))
    return (bound @ role[..., None])[..., 0]


@public
def circular_bind(x: ArrayLike, y: ArrayLike, /) -> NDArray:
    r"""Bind two vectors to a third of the same size: :math:`z_k = \sum_j x_j\, y_{(k - j) \bmod D}`.

    Parameters
    ----------
    x, y : array_like of float32 or float64, shape (..., D)
        Role and filler, in either order.

    Returns
    -------
    ndarray, shape (..., D)
        Their circular convolution. Pairs are added up.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes differ.

    See Also
    --------
    circular_unbind : Asks for the filler of a role.

    References
    ----------
    Plate (1995), "Holographic reduced representations".

    Examples
    --------
    The vector 1, 0, 0 changes nothing, and 0, 1, 0 turns by one place.

    >>> circular_bind([0.0, 1.0, 0.0], [5.0, 6.0, 7.0])
    array([7., 5., 6.])
    """
    x, y = _two(x, y)
    out = np.empty_like(x)
    _circular(_rows(x), _rows(np.concatenate((y, y), axis=-1)), _rows(out))
    return out


@public
def circular_bind_backward(dy: ArrayLike, x: ArrayLike, y: ArrayLike, /) -> CircularBindGradients:
    r"""Return the gradients of `circular_bind`: each is the cotangent with the other one unbound.

    Parameters
    ----------
    dy : array_like, shape (..., D)
        Gradient of the loss with respect to the result.
    x, y
        As for `circular_bind`.

    Returns
    -------
    CircularBindGradients
        Gradients with respect to `x` and `y`.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes differ.

    See Also
    --------
    circular_bind : The function.

    References
    ----------
    Plate (1995), "Holographic reduced representations".

    Examples
    --------
    >>> circular_bind_backward([7.0, 5.0, 6.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]).y
    array([5., 6., 7.])
    """
    dy, x, y = reals("dy", real("dy", dy, -1), "x", real("x", x, -1), "y", real("y", y, -1))
    same_shape("y", y, "x", x)
    same_shape("dy", dy, "x", x)
    return CircularBindGradients(circular_unbind(dy, y), circular_unbind(dy, x))


def circular_unbind(z: ArrayLike, x: ArrayLike) -> NDArray:
    r"""Return about what was bound to `x`: :math:`y_k \approx \sum_j x_j\, z_{(k + j) \bmod D}`.

    It is exact for a single pair and a unitary `x`. Otherwise it is the filler with noise, and the nearest known
    filler is meant.

    Parameters
    ----------
    z : array_like of float32 or float64, shape (..., D)
        From `circular_bind`, or a sum of such.
    x : array_like, shape (..., D)
        What to ask for.

    Returns
    -------
    ndarray, shape (..., D)
        Their circular correlation.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes differ.

    See Also
    --------
    unitary_vectors : For which it is exact.

    References
    ----------
    Plate (1995), "Holographic reduced representations".

    Examples
    --------
    >>> role = unitary_vectors(np.random.default_rng(0), 1, 4)[0]
    >>> circular_unbind(circular_bind(role, [5.0, 6.0, 7.0, 8.0]), role).round(12)
    array([5., 6., 7., 8.])
    """
    z, x = _two(z, x, "z", "x")
    out = np.empty_like(x)
    _correlated(_rows(x), _rows(np.concatenate((z, z), axis=-1)), _rows(out))
    return out


def unitary_vectors(rng: np.random.Generator, n: int, size: int) -> NDArray:
    """Draw vectors whose Fourier coefficients all have absolute value one.

    Binding to one of them is an orthogonal map, so that nothing is lost.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the phases.
    n : int
        Number of vectors.
    size : int
        Their length D.

    Returns
    -------
    ndarray of float64, shape (n, D)
        Vectors of norm one.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If a number is too small.

    See Also
    --------
    circular_bind : What they are for.

    References
    ----------
    Plate (1995), "Holographic reduced representations".

    Examples
    --------
    >>> abs(np.fft.fft(unitary_vectors(np.random.default_rng(0), 1, 5)[0])).round(12)
    array([1., 1., 1., 1., 1.])
    """
    n, size = integer("n", n, 0), integer("size", size, 1)
    spectrum = np.exp(2j * np.pi * rng.random((n, size // 2 + 1)))
    # Of a real vector the constant part is real, and so is the fastest one of an even length.
    ends = [0, -1] if size % 2 == 0 else [0]
    spectrum[:, ends] = np.where(spectrum[:, ends].real < 0, -1, 1)
    return np.fft.irfft(spectrum, size, axis=1)


@kernel
def _circular(x, twice, out):
    for n in prange(len(x)):
        a, b, z = x[n], twice[n], out[n]
        z[:] = 0
        for j in range(z.size):
            # y_{k - j}: y stands there twice in a row, in the place of a modulus
            weight, turned = a[j], b[z.size - j :]
            for k in range(z.size):
                z[k] += weight * turned[k]


@kernel
def _correlated(x, twice, out):
    for n in prange(len(x)):
        a, c, y = x[n], twice[n], out[n]
        y[:] = 0
        for j in range(y.size):
            # z_{k + j}
            weight, turned = a[j], c[j:]
            for k in range(y.size):
                y[k] += weight * turned[k]


# --- a language -------------------------------------------------------------------------------------------------------


def interpret_command(command: str) -> tuple[str, ...]:
    """Return the actions that a command means.

    A command is an action, perhaps with "twice" or "thrice" behind it, or two such joined by "and" or by "after",
    which turns their order around. The meaning of the whole depends on nothing but those of the parts and the joint.

    Parameters
    ----------
    command : str
        Words with blanks between them.

    Returns
    -------
    tuple of str
        Actions.

    Raises
    ------
    TypeError
        If it is no text.
    ValueError
        If it is not a command.

    See Also
    --------
    all_commands : What can be said.

    References
    ----------
    Lake & Baroni (2018), "Generalization without systematicity".

    Examples
    --------
    >>> interpret_command("jump twice after walk")
    ('walk', 'jump', 'jump')
    """
    if not isinstance(command, str):
        raise TypeError(f"command: expected a str, got {type(command).__name__}")
    words = command.split()
    for joint in ("after", "and"):
        if words.count(joint) == 1:
            at = words.index(joint)
            first, second = (interpret_command(" ".join(part)) for part in (words[:at], words[at + 1 :]))
            return first + second if joint == "and" else second + first
    if not words or words[0] in RESERVED or len(words) > 2 or (len(words) == 2 and words[1] not in TIMES):
        raise ValueError(f"command: expected an action, perhaps with twice or thrice, got {command!r}")
    return (words[0],) * (TIMES[words[1]] if len(words) == 2 else 1)


def all_commands(actions: Sequence[str] = ("walk", "run", "look", "jump")) -> list[str]:
    """Return every command about some actions.

    Parameters
    ----------
    actions : sequence of str
        Words for actions, without blanks, none of them twice and none that means something else in the language.

    Returns
    -------
    list of str
        With n actions there are 3n short commands, and 18n² of two parts.

    Raises
    ------
    TypeError
        If an action is not a str, or the actions are one.
    ValueError
        If an action is no single word, occurs twice, or is a word of the language.

    See Also
    --------
    interpret_command : What they mean.
    systematic_split : Which to keep for a test.

    References
    ----------
    Lake & Baroni (2018), "Generalization without systematicity".

    Examples
    --------
    >>> len(all_commands()), all_commands(("walk",))[:4]
    (300, ['walk', 'walk twice', 'walk thrice', 'walk and walk'])
    """
    _texts("actions", actions)
    for action in actions:
        if action.split() != [action] or action in RESERVED or list(actions).count(action) > 1:
            raise ValueError(
                f"actions: expected different words other than {', '.join(sorted(RESERVED))}, got {action!r}"
            )
    short = [" ".join(words) for words in product(actions, ("", *TIMES))]
    short = [command.strip() for command in short]
    return short + [
        f"{first} {joint} {second}" for joint in ("and", "after") for first, second in product(short, short)
    ]


def systematic_split(commands: Sequence[str], action: str) -> CommandSplit:
    """Split commands so that an action is trained alone and repeated, and tested in commands of two parts.

    Parameters
    ----------
    commands : sequence of str
        From `all_commands`.
    action : str
        A word for an action.

    Returns
    -------
    CommandSplit
        Places in the list: `test` has the commands of two parts in which the action occurs, `training` all others.

    Raises
    ------
    TypeError
        If a command is not a str.
    ValueError
        If no command of two parts has the action in it, or none but those.

    See Also
    --------
    interpret_command : What is to be learned.

    References
    ----------
    Lake & Baroni (2018), "Generalization without systematicity".

    Examples
    --------
    >>> commands = all_commands()
    >>> training, test = systematic_split(commands, "jump")
    >>> len(training), len(test), commands[test[0]]
    (174, 126, 'walk and jump')
    """
    _texts("commands", commands)
    _texts("action", (action,))
    words = [command.split() for command in commands]
    held_out = np.array([action in w and ("and" in w or "after" in w) for w in words], bool)
    if not held_out.any() or held_out.all():
        raise ValueError(f"action: expected one of some of the commands of two parts, got {action!r}")
    return CommandSplit(np.flatnonzero(~held_out), np.flatnonzero(held_out))


def _texts(name, values):
    if isinstance(values, str) or not isinstance(values, Sequence) or not all(isinstance(v, str) for v in values):
        raise TypeError(f"{name}: expected text, a str for each, got {values!r}"[:200])


def _pairs(fillers, roles):
    fillers, roles = reals("fillers", fillers, "roles", roles)
    real("fillers", fillers, -2)
    shaped("roles", roles, (*fillers.shape[:-1], None))
    return fillers, roles


def _two(x, y, name="x", other="y"):
    x, y = reals(name, x, other, y)
    real(name, x, -1)
    same_shape(other, y, name, x)
    return x, y


def _rows(x):
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
