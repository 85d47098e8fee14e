"""Paths between two codes of a latent space."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import integer, real, reals, same_shape
from dlref._compile import kernel

__all__ = ["linear_path", "spherical_path"]


def linear_path(a: ArrayLike, b: ArrayLike, steps: int) -> NDArray:
    r"""Return codes on the straight line from a to b: :math:`(1 - t) a + t b`.

    Parameters
    ----------
    a : array_like of float32 or float64, shape (K,)
        First code.
    b : array_like, shape (K,)
        Last code.
    steps : int
        Codes on the path, both ends included, at least 2.

    Returns
    -------
    ndarray, shape (steps, K)
        The codes.

    Raises
    ------
    TypeError
        If an argument is not real, or `steps` not an integer.
    ValueError
        If the shapes differ or `steps` is below 2.

    See Also
    --------
    spherical_path : At the distance from zero that a normal draw has.

    References
    ----------
    Kingma & Welling (2014), "Auto-encoding variational Bayes".

    Examples
    --------
    >>> linear_path([1.0, 0.0], [0.0, 1.0], 3)
    array([[1. , 0. ],
           [0.5, 0.5],
           [0. , 1. ]])
    """
    a, b, steps = _ends(a, b, steps)
    path = np.empty((steps, a.size), a.dtype)
    _line(a, b, path)
    return path


@kernel
def _line(a, b, path):
    one = path.dtype.type(1)
    for step in range(len(path)):
        t, code = path.dtype.type(step / (len(path) - 1)), path[step]
        for k in range(code.size):
            code[k] = (one - t) * a[k] + t * b[k]


def spherical_path(a: ArrayLike, b: ArrayLike, steps: int) -> NDArray:
    r"""Return codes on the arc from a to b: :math:`(\sin((1 - t)\varphi)\, a + \sin(t\varphi)\, b) / \sin\varphi`.

    Parameters
    ----------
    a : array_like of float32 or float64, shape (K,)
        First code, not zero.
    b : array_like, shape (K,)
        Last code, not zero and not opposite to the first.
    steps : int
        Codes on the path, both ends included, at least 2.

    Returns
    -------
    ndarray, shape (steps, K)
        The codes; for ends of one length all have that length.

    Raises
    ------
    TypeError
        If an argument is not real, or `steps` not an integer.
    ValueError
        If the shapes differ, `steps` is below 2, a code is zero, or the ends are opposite.

    See Also
    --------
    linear_path : The straight line.

    References
    ----------
    scipy.spatial.transform.Slerp, which is the same in four dimensions.

    Examples
    --------
    >>> spherical_path([1.0, 0.0], [0.0, 1.0], 3).round(4)
    array([[1.    , 0.    ],
           [0.7071, 0.7071],
           [0.    , 1.    ]])
    """
    a, b, steps = _ends(a, b, steps)
    one, other = _direction("a", a), _direction("b", b)
    angle = 2 * np.arctan2(np.linalg.norm(one - other), np.linalg.norm(one + other))
    if np.sin(angle) < 8 * np.finfo(a.dtype).eps:
        if angle > 1:
            raise ValueError("a, b: expected codes that are not opposite")
        return linear_path(a, b, steps)
    t = np.linspace(0, 1, steps, dtype=a.dtype)[:, None]
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


def _direction(name, code):
    """Return the code over its length, whose square may leave the range."""
    largest = np.abs(code).max(initial=0)
    if largest == 0:
        raise ValueError(f"{name}: expected a code other than zero")
    with np.errstate(invalid="ignore"):  # an infinite code has no direction: NaN
        code = code / largest
    return code / np.linalg.norm(code)


def _ends(a, b, steps):
    a, b = reals("a", a, "b", b)
    real("a", a, 1)
    same_shape("b", b, "a", a)
    return a, b, integer("steps", steps, 2)
