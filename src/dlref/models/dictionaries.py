"""Sparse coding: codes by coordinate descent, by proximal gradients and by greedy pursuit, and learned dictionaries."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import finite, integer, number, real, reals, same_shape, shaped
from dlref._compile import kernel, prange
from dlref._math import maximum, minimum

__all__ = [
    "DictionaryFit",
    "SparseCodes",
    "coherence",
    "fista",
    "ista",
    "lasso_code",
    "learn_dictionary",
    "pursue",
]


class SparseCodes(NamedTuple):
    """Codes of signals, a row for each, and how far each is from its optimum."""

    code: NDArray
    objective: NDArray
    gap: NDArray
    steps: NDArray
    converged: NDArray


class DictionaryFit(NamedTuple):
    """A learned dictionary, the codes of the signals that it was learned from, and the mean objective of each round."""

    dictionary: NDArray
    code: NDArray
    objective: NDArray


def lasso_code(
    x: ArrayLike,
    dictionary: ArrayLike,
    alpha: float,
    start: ArrayLike | None = None,
    tol: float = 1e-6,
    max_epochs: int = 10_000,
) -> SparseCodes:
    r"""Code each signal by coordinate descent on :math:`\frac12 \lVert x - aD \rVert^2 + \alpha \lVert a \rVert_1`.

    The inner products of the atoms are computed once. Between two passes over all atoms those in use alone are visited;
    then they leap to where they would come to rest, or to where the first of them vanishes. Each signal ends when its
    duality gap is at most `tol` times half its squared length.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Signals.
    dictionary : array_like, shape (K, D)
        Atoms, a row each.
    alpha : float
        Weight of the L1 penalty.
    start : array_like, shape (N, K), optional
        Codes to begin with; None: zero.
    tol : float
        Relative duality gap.
    max_epochs : int
        Number of passes at which a signal ends anyway.

    Returns
    -------
    SparseCodes
        Codes, objectives, gaps, and passes of each signal.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes or options are wrong, or an entry is not finite.

    See Also
    --------
    fista : All atoms at once.
    pursue : So many atoms, without a penalty.
    elastic_net : The same problem for one signal and many columns.

    References
    ----------
    Olshausen & Field (1996), "Emergence of simple-cell receptive field properties by learning a sparse code for natural
    images".

    Examples
    --------
    Three atoms in the plane: the diagonal one explains a diagonal signal best.

    >>> atoms = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]
    >>> lasso_code([[3.0, 4.0], [2.0, 0.0]], atoms, alpha=0.5, tol=1e-12).code.round(3)
    array([[0. , 0. , 4.5],
           [1.5, 0. , 0. ]])
    """
    x, dictionary, alpha = _coding(x, dictionary, alpha)
    tol, max_epochs = x.dtype.type(number("tol", tol, 0)), integer("max_epochs", max_epochs, 0)
    code = np.zeros((len(x), len(dictionary)), x.dtype)
    if start is not None:
        code[:] = _like("start", start, code)
    return _run(_descend, x, dictionary, code, alpha, tol, max_epochs, min(dictionary.shape))


def _run(loop, x, dictionary, code, *knobs):
    score, gram, energy = x @ dictionary.T, dictionary @ dictionary.T, np.einsum("ij,ij->i", x, x)
    # q = (x - a D) D.T is kept up to date along with the codes.
    q, measures, steps = score - code @ gram, np.empty((2, len(x)), x.dtype), np.empty(len(x), np.int64)
    loop(gram, score, energy, *knobs, code, q, measures, steps)
    converged = measures[1] <= knobs[1] * energy / 2
    return SparseCodes(code, measures[0], measures[1], steps, converged)


@kernel(sums=True)
def _descend(gram, score, energy, alpha, tol, epochs, room, code, q, measures, steps):
    atoms = len(gram)
    for n in prange(len(code)):
        a, slope, epoch, eps = code[n], q[n], 0, np.finfo(code.dtype).eps
        close, floor = tol * energy[n] / (8 * atoms), 16 * eps * eps * energy[n]
        used, factor, leap = np.empty(room, np.int64), np.empty((room, room), a.dtype), np.empty(room, a.dtype)
        measures[0, n], measures[1, n] = _measured(a, slope, score[n], energy[n], alpha)
        while measures[1, n] > tol * energy[n] / 2 and epoch < epochs:
            # One pass over all atoms, a few over those in use, and a leap of these.
            moved = alpha * 0
            for turn in range(4):
                largest = alpha * 0
                for k in range(atoms):
                    row, old, curvature = gram[k], a[k], gram[k, k]
                    if (turn == 0 or old != 0) and curvature > 0:
                        pull = slope[k] + curvature * old
                        new = (pull - minimum(maximum(pull, -alpha), alpha)) / curvature
                        move = new - old
                        if move != 0:
                            a[k] = new
                            largest = max(largest, move * move * curvature)
                            for j in range(atoms):
                                slope[j] -= move * row[j]
                epoch += 1
                moved = largest if turn == 0 else moved
                if largest <= close or epoch == epochs:
                    break
            _leap(gram, alpha, used, factor, leap, a, slope)
            measures[0, n], measures[1, n] = _measured(a, slope, score[n], energy[n], alpha)
            close /= 4
            # Nothing that the digits can tell has moved in the pass over all.
            if moved <= floor:
                break
        steps[n] = epoch


@kernel(sums=True)
def _leap(gram, alpha, used, factor, leap, a, slope):
    count, share, eps = 0, a.dtype.type(1), np.finfo(a.dtype).eps
    # With their signs as they are, the atoms in use solve linear equations: by a Cholesky factor.
    for k in range(len(a)):
        if a[k] != 0:
            if count == len(used):
                return
            row, last, pivot = gram[k], factor[count], gram[k, k]
            known = slope[k] - (alpha if a[k] > 0 else -alpha)
            for i in range(count):
                above, total = factor[i], row[used[i]]
                for j in range(i):
                    total -= above[j] * last[j]
                last[i] = total / above[i]
                pivot -= last[i] * last[i]
                known -= last[i] * leap[i]
            if not pivot > 8 * eps * gram[k, k]:
                return
            last[count] = np.sqrt(pivot)
            leap[count], used[count] = known / last[count], k
            count += 1
    for i in range(count - 1, -1, -1):
        row, old = factor[i], a[used[i]]
        leap[i] /= row[i]
        for j in range(i):
            leap[j] -= row[j] * leap[i]
        # No further than to the first number that would change its sign.
        if old * (old + share * leap[i]) < 0:
            share = -old / leap[i]
    for i in range(count):
        row, old = gram[used[i]], a[used[i]]
        new = old + share * leap[i]
        a[used[i]] = new if old * new > 0 else a.dtype.type(0)
        move = a[used[i]] - old
        for j in range(len(a)):
            slope[j] -= move * row[j]


@kernel(sums=True)
def _measured(a, slope, score, energy, alpha):
    length, along, fitted, steepest = alpha * 0, alpha * 0, alpha * 0, alpha * 0
    for k in range(len(a)):
        length += abs(a[k])
        along += a[k] * slope[k]
        fitted += a[k] * score[k]
        steepest = max(steepest, abs(slope[k]))
    residual = max(energy - fitted - along, alpha * 0)
    scale = alpha / steepest if steepest > alpha else a.dtype.type(1)
    # No term is negative: |slope| is at most the steepest.
    gap = (1 - scale) * (1 - scale) * residual / 2 + max(alpha * length - scale * along, alpha * 0)
    return residual / 2 + alpha * length, gap


def ista(x: ArrayLike, dictionary: ArrayLike, alpha: float, tol: float = 1e-6, max_steps: int = 10_000) -> SparseCodes:
    r"""Code each signal by iterative shrinkage: a gradient step on the squared error, then the soft threshold.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Signals.
    dictionary : array_like, shape (K, D)
        Atoms, a row each.
    alpha : float
        Weight of the L1 penalty.
    tol : float
        Relative duality gap at which a signal ends.
    max_steps : int
        Number of steps at which it ends anyway.

    Returns
    -------
    SparseCodes
        Codes, objectives, gaps, and steps of each signal.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes or options are wrong, or an entry is not finite.

    See Also
    --------
    fista : The same with momentum, and faster.

    References
    ----------
    Beck & Teboulle (2009), "A fast iterative shrinkage-thresholding algorithm for linear inverse problems".

    Examples
    --------
    >>> atoms = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]
    >>> for steps in (1, 10, 100):
    ...     print(ista([[3.0, 4.0]], atoms, 0.5, tol=1e-9, max_steps=steps).code.round(3))
    [[1.25 1.75 2.25]]
    [[0.94 1.42 2.7 ]]
    [[0.  0.  4.5]]
    """
    return _proximal(x, dictionary, alpha, tol, max_steps, False)


def fista(x: ArrayLike, dictionary: ArrayLike, alpha: float, tol: float = 1e-6, max_steps: int = 10_000) -> SparseCodes:
    r"""Code each signal by fast iterative shrinkage: the steps of `ista` from a point ahead of the last code.

    Parameters
    ----------
    x, dictionary, alpha, tol, max_steps
        As for `ista`.

    Returns
    -------
    SparseCodes
        Codes, objectives, gaps, and steps of each signal.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes or options are wrong, or an entry is not finite.

    See Also
    --------
    ista : Without momentum.
    lasso_code : One atom at a time.

    References
    ----------
    Beck & Teboulle (2009), "A fast iterative shrinkage-thresholding algorithm for linear inverse problems".

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, atoms = rng.normal(size=(1, 20)), rng.normal(size=(40, 20))
    >>> [method(x, atoms, 0.5, tol=1e-6).steps.item() for method in (ista, fista)]
    [1824, 548]
    """
    return _proximal(x, dictionary, alpha, tol, max_steps, True)


def _proximal(x, dictionary, alpha, tol, max_steps, fast):
    x, dictionary, alpha = _coding(x, dictionary, alpha)
    tol, max_steps = x.dtype.type(number("tol", tol, 0)), integer("max_steps", max_steps, 0)
    # The largest eigenvalue of the inner products is the steepest change of the gradient.
    curvature = x.dtype.type(np.linalg.norm(dictionary, 2) ** 2 if dictionary.size else 0) or x.dtype.type(1)
    code = np.zeros((len(x), len(dictionary)), x.dtype)
    work = np.zeros((3, len(x), len(dictionary)), x.dtype)
    return _run(_shrink, x, dictionary, code, alpha, tol, max_steps, curvature, fast, work)


@kernel(sums=True)
def _shrink(gram, score, energy, alpha, tol, limit, curvature, fast, work, code, q, measures, steps):
    atoms = len(gram)
    for n in prange(len(code)):
        a, slope, t, step = code[n], q[n], 1.0, 0
        ahead, ahead_slope, before = work[0, n], work[1, n], work[2, n]
        for k in range(atoms):
            ahead[k], ahead_slope[k] = a[k], slope[k]
        measures[0, n], measures[1, n] = _measured(a, slope, score[n], energy[n], alpha)
        while measures[1, n] > tol * energy[n] / 2 and step < limit:
            step += 1
            for k in range(atoms):
                before[k] = a[k]
                pull = ahead[k] + ahead_slope[k] / curvature
                edge = alpha / curvature
                a[k] = pull - minimum(maximum(pull, -edge), edge)
                ahead_slope[k] = slope[k]
            for j in range(atoms):
                slope[j] = score[n, j]
            for k in range(atoms):
                row, value = gram[k], a[k]
                if value != 0:
                    for j in range(atoms):
                        slope[j] -= value * row[j]
            later = (1 + np.sqrt(1 + 4 * t * t)) / 2
            momentum = code.dtype.type((t - 1) / later if fast else 0.0)
            t = later
            # The slope is affine in the code, so that of the point ahead costs nothing.
            for k in range(atoms):
                ahead[k] = a[k] + momentum * (a[k] - before[k])
                ahead_slope[k] = slope[k] + momentum * (slope[k] - ahead_slope[k])
            measures[0, n], measures[1, n] = _measured(a, slope, score[n], energy[n], alpha)
        steps[n] = step


def pursue(x: ArrayLike, dictionary: ArrayLike, count: int, tol: float = 0.0) -> NDArray:
    r"""Code each signal by orthogonal matching pursuit: take the atom that fits the rest best, fit all again, repeat.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Signals.
    dictionary : array_like, shape (K, D)
        Atoms of length one, a row each.
    count : int
        How many atoms at most, 1 to K.
    tol : float
        Share of the squared length of a signal at which the rest is small enough.

    Returns
    -------
    ndarray, shape (N, K)
        Codes with at most `count` entries other than zero, the least squares fit by those atoms.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes or options are wrong, or an entry is not finite.

    See Also
    --------
    coherence : Says how sparse a signal must be to be found for certain.
    lasso_code : With a penalty instead of a number.

    References
    ----------
    Tropp (2004), "Greed is good: algorithmic results for sparse approximation".

    Examples
    --------
    >>> atoms = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]
    >>> pursue([[3.0, 4.0], [3.0, 4.5]], atoms, count=2).round(3)
    array([[ 0.   ,  0.   ,  5.   ],
           [-0.375,  0.   ,  5.625]])
    """
    x, dictionary, _ = _coding(x, dictionary, 0.0)
    count = integer("count", count, 1, max(1, len(dictionary)))
    tol = x.dtype.type(number("tol", tol, 0))
    rows, code = len(x), np.zeros((len(x), len(dictionary)), x.dtype)
    score, gram, energy = x @ dictionary.T, dictionary @ dictionary.T, np.einsum("ij,ij->i", x, x)
    factors, solved = np.empty((rows, count, count), x.dtype), np.empty((rows, 2, count), x.dtype)
    _pursue(gram, score, energy, tol, np.empty((rows, count), np.int64), factors, solved, score.copy(), code)
    return code


@kernel(sums=True)
def _pursue(gram, score, energy, tol, taken, factors, solved, rest, code):
    atoms, count = len(gram), taken.shape[1]
    for n in prange(len(code)):
        slope, chosen, factor, forward, found = rest[n], taken[n], factors[n], solved[n, 0], solved[n, 1]
        left, used, zero, tiny = energy[n], 0, energy[n] * 0, energy[n] * np.finfo(code.dtype).eps
        while used < count and left > tol * energy[n] and left > tiny:
            best = 0
            for k in range(atoms):
                if abs(slope[k]) > abs(slope[best]):
                    best = k
            # One more row of the Cholesky factor of the chosen inner products.
            pivot, last = gram[best, best], factor[used]
            for i in range(used):
                row, known = factor[i], zero
                for j in range(i):
                    known += row[j] * last[j]
                last[i] = (gram[chosen[i], best] - known) / row[i]
                pivot -= last[i] * last[i]
            if not pivot > 8 * np.finfo(code.dtype).eps * gram[best, best]:
                break
            last[used] = np.sqrt(pivot)
            known = zero
            for j in range(used):
                known += last[j] * forward[j]
            forward[used] = (score[n, best] - known) / last[used]
            left -= forward[used] * forward[used]
            chosen[used] = best
            used += 1
            for i in range(used - 1, -1, -1):
                known = zero
                for j in range(i + 1, used):
                    known += factor[j, i] * found[j]
                found[i] = (forward[i] - known) / factor[i, i]
            for k in range(atoms):
                slope[k] = score[n, k]
            for i in range(used):
                row, value = gram[chosen[i]], found[i]
                for k in range(atoms):
                    slope[k] -= value * row[k]
        for i in range(used):
            code[n, chosen[i]] = found[i]


def coherence(dictionary: ArrayLike) -> float:
    r"""Return the mutual coherence: the largest inner product of two different atoms of length one, without its sign.

    Any signal of fewer than :math:`(1 + 1/\mu) / 2` atoms is found exactly by `pursue`.

    Parameters
    ----------
    dictionary : array_like, shape (K, D)
        Atoms, a row each; their length does not matter.

    Returns
    -------
    float
        From 0 (orthogonal) to 1 (two atoms in one direction); NaN with an atom of zeros.

    Raises
    ------
    TypeError
        If `dictionary` is neither real nor integer.
    ValueError
        If it has not two dimensions or fewer than two atoms.

    See Also
    --------
    pursue : Orthogonal matching pursuit.

    References
    ----------
    Tropp (2004), "Greed is good: algorithmic results for sparse approximation".

    Examples
    --------
    >>> coherence([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]])
    0.8
    """
    dictionary = real("dictionary", dictionary, 2).astype(np.float64)
    if len(dictionary) < 2:
        raise ValueError(f"dictionary: expected at least two atoms, got {len(dictionary)}")
    with np.errstate(invalid="ignore"):
        # The largest entry first: its square might overflow or vanish.
        atoms = dictionary / np.abs(dictionary).max(axis=1, initial=0, keepdims=True)
        atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    gram = np.abs(atoms @ atoms.T)
    np.fill_diagonal(gram, 0 * gram.diagonal())
    return float(gram.max())


def learn_dictionary(
    x: ArrayLike, dictionary: ArrayLike, alpha: float, rounds: int = 20, tol: float = 1e-4
) -> DictionaryFit:
    r"""Learn a dictionary: code all signals, then renew each atom in turn, and again.

    An atom goes to its best place for the codes as they are, and is scaled back to length one if that is longer. An
    atom that no signal uses stays as it is. Neither half of a round can raise the objective.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Signals.
    dictionary : array_like, shape (K, D)
        Atoms to begin with, such as random signals; scaled to length one.
    alpha : float
        Weight of the L1 penalty.
    rounds : int
        How many.
    tol : float
        Relative duality gap of the codes of a round; they start from those of the one before.

    Returns
    -------
    DictionaryFit
        The dictionary, the codes, and the mean objective after each coding.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If shapes or options are wrong, or an entry is not finite.

    See Also
    --------
    lasso_code : Codes for a dictionary that stays.

    References
    ----------
    Mairal, Bach, Ponce & Sapiro (2009), "Online dictionary learning for sparse coding".

    Examples
    --------
    Signals along two directions, found from two others.

    >>> x = np.array([[3.0, 4.0], [6.0, 8.0], [-3.0, -4.0], [2.0, 0.0], [-1.0, 0.0]])
    >>> learn_dictionary(x, [[0.0, 1.0], [1.0, 0.5]], alpha=0.5, rounds=50).dictionary.round(2)
    array([[0.6, 0.8],
           [1. , 0. ]])
    """
    x, dictionary, _ = _coding(x, dictionary, alpha)
    rounds, code, objective = integer("rounds", rounds, 0), None, []
    length = np.linalg.norm(dictionary, axis=1, keepdims=True)
    dictionary = (dictionary / np.where(length > 0, length, 1)).astype(x.dtype)
    for _ in range(rounds):
        found = lasso_code(x, dictionary, alpha, code, tol)
        code = found.code
        objective.append(float(found.objective.mean()) if len(x) else 0.0)
        _renew(code.T @ code, code.T @ x, dictionary)
    code = lasso_code(x, dictionary, alpha, code, tol).code
    return DictionaryFit(dictionary, code, np.array(objective))


@kernel(sums=True)
def _renew(products, targets, dictionary):
    atoms, size = dictionary.shape
    for k in range(atoms):
        weight, atom, row, square = products[k, k], dictionary[k], products[k], products[k, k] * 0
        if weight > 0:
            for i in range(size):
                rest = targets[k, i]
                for j in range(atoms):
                    rest -= row[j] * dictionary[j, i]
                atom[i] += rest / weight
                square += atom[i] * atom[i]
            if square > 1:
                for i in range(size):
                    atom[i] /= np.sqrt(square)


def _coding(x, dictionary, alpha):
    x, dictionary = reals("x", x, "dictionary", dictionary)
    shaped("dictionary", dictionary, (None, None))
    shaped("x", x, (None, dictionary.shape[1]))
    finite("x", x)
    finite("dictionary", dictionary)
    return x, dictionary, x.dtype.type(number("alpha", alpha, 0))


def _like(name, value, other):
    value = real(name, value)
    same_shape(name, value, "the codes", other)
    finite(name, value)
    return value
