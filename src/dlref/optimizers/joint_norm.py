"""Gradient clipping: one norm over all gradients of a model, and one factor for all of them."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from dlref._arrays import number, option, real
from dlref._compile import kernel, prange
from dlref.optimizers.limits import _euclidean

__all__ = ["ClippedGradients", "clip_by_global_norm", "global_norm"]


class ClippedGradients(NamedTuple):
    """Gradients after clipping, in the structure they came in, and their global norm before."""

    gradients: Any
    norm: float


def global_norm(gradients: Sequence[ArrayLike | None]) -> float:
    r"""Return the norm of several arrays as of one long vector: :math:`\sqrt{\sum_k \lVert g_k \rVert^2}`.

    Parameters
    ----------
    gradients : list or tuple of array_like
        Arrays of float32 or float64 of any shapes; lists and tuples among them are gone through, None is skipped.

    Returns
    -------
    float
        Summed in float64, without overflow of the squares. Infinite or NaN where an entry is.

    Raises
    ------
    TypeError
        If `gradients` is neither a list nor a tuple, or an array is neither real nor integer.

    See Also
    --------
    clip_by_global_norm : Bounds it.

    References
    ----------
    Pascanu, Mikolov & Bengio (2013), "On the difficulty of training recurrent neural networks", section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> global_norm([np.array([[1.0, 2.0], [2.0, 0.0]]), np.array([4.0])])
    5.0
    """
    norms: list[float] = []
    _each(gradients, lambda g: norms.append(_euclidean(g.reshape(-1))))
    return float(_euclidean(np.array(norms, np.float64)))


def clip_by_global_norm(
    gradients: Sequence[ArrayLike | None], max_norm: float, eps: float = 0.0, nonfinite: str = "propagate"
) -> ClippedGradients:
    r"""Shorten a whole gradient: :math:`g_k \leftarrow g_k \min(1, c / (n + \epsilon))` with one norm n over all k.

    Parameters
    ----------
    gradients : list or tuple of array_like
        One array for each array of parameters, as for `global_norm`.
    max_norm : float
        The largest norm c, not negative.
    eps : float
        Added to the norm before the division. With 0 the result has exactly the norm c; PyTorch adds 1e-6.
    nonfinite : {"propagate", "raise"}
        What happens when the norm is infinite or NaN. "propagate" computes on as IEEE prescribes: an infinite norm
        leaves zeros, and NaN at the infinite entries, and a norm of NaN makes every entry NaN.

    Returns
    -------
    ClippedGradients
        ``gradients``, new arrays of the same dtypes in the same lists and tuples, and ``norm``, the norm before.

    Raises
    ------
    TypeError
        If `gradients` is neither a list nor a tuple, or an array is neither real nor integer.
    ValueError
        If a constant is negative or `nonfinite` is unknown.
    FloatingPointError
        If the norm is infinite or NaN, and `nonfinite` is "raise".

    See Also
    --------
    clip_by_norm : One array with its own norm.

    References
    ----------
    Pascanu, Mikolov & Bengio (2013), "On the difficulty of training recurrent neural networks", algorithm 1.

    Examples
    --------
    Two arrays with the norms 3 and 4 have the global norm 5.

    >>> clip_by_global_norm([[3.0], [0.0, 4.0]], max_norm=1.0)
    ClippedGradients(gradients=[array([0.6]), array([0. , 0.8])], norm=5.0)
    """
    max_norm, eps = number("max_norm", max_norm, 0), number("eps", eps, 0)
    nonfinite = option("nonfinite", nonfinite, ("propagate", "raise"))
    norm = global_norm(gradients)
    if nonfinite == "raise" and not math.isfinite(norm):
        raise FloatingPointError(f"gradients: expected a finite global norm, got {norm}")

    def _shortened(g):
        out = np.empty_like(g)
        _shorten(g.reshape(-1), norm, max_norm, eps, out.reshape(-1))
        return out

    return ClippedGradients(_each(gradients, _shortened), norm)


@kernel
def _shorten(g, norm, max_norm, eps, out):
    length = norm + eps
    # never above 1: a short gradient is not made longer
    factor = 1.0 if length <= max_norm else max_norm / length
    for i in prange(g.size):
        out[i] = factor * g[i]


def _each(gradients, function):
    """Return the same lists and tuples with the function's value for every array."""
    if not isinstance(gradients, (list, tuple)):
        raise TypeError(f"gradients: expected a list or tuple of arrays, got {type(gradients).__name__}")
    values = [_of_one(g, function) for g in gradients]
    if isinstance(gradients, list):
        return values
    return type(gradients)(*values) if hasattr(gradients, "_fields") else tuple(values)


def _of_one(g, function):
    if g is None:
        return None
    if isinstance(g, tuple) or (isinstance(g, list) and any(isinstance(v, (list, tuple, np.ndarray)) for v in g)):
        return _each(g, function)
    return function(real("gradients", g))
