"""Sparse codes against scikit-learn and their own conditions, and what is proved of the methods that find them."""

import functools

import numpy as np
from scipy.linalg import hadamard
from sklearn.decomposition import dict_learning, sparse_encode
from sklearn.linear_model import orthogonal_mp
from sklearn.metrics.pairwise import cosine_similarity

from dlref.models import coherence, fista, ista, lasso_code, learn_dictionary, pursue
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.cases.models.shrinkage import X5, Y5

ALPHA = 0.4


@functools.cache
def signals(dtype, rows=40, size=16, atoms=36):
    """Return signals and atoms of length one; the values are the same in both dtypes."""
    rng = np.random.default_rng(2)
    dictionary = rng.normal(size=(atoms, size))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    return tuple(v.astype(np.float32).astype(dtype) for v in (rng.normal(size=(rows, size)), dictionary))


def tolerance(dtype):
    return 1e-11 if dtype is np.float64 else 1e-5


def objective(x, dictionary, code, alpha):
    return np.square(x - code @ dictionary).sum(axis=1) / 2 + alpha * np.abs(code).sum(axis=1)


@functools.cache
def best():
    """The codes of scikit-learn's LARS, which are exact, and their objectives."""
    x, dictionary = signals(np.float64)
    code = sparse_encode(x, dictionary, algorithm="lasso_lars", alpha=ALPHA, max_iter=10_000)
    return code, objective(x, dictionary, code, ALPHA)


def against_lars(method, dtype):
    x, dictionary = signals(dtype)
    got = method(x, dictionary, ALPHA, tol=tolerance(dtype))
    assert got.code.dtype == dtype and got.converged.all() and (got.gap >= 0).all()
    wide, energy = signals(np.float64), np.square(signals(np.float64)[0]).sum(axis=1)
    ours = objective(*wide, got.code.astype(float), ALPHA)
    assert np.abs(got.objective - ours).max() <= 1e2 * np.finfo(dtype).eps * energy.max()
    return np.max(np.abs(ours - best()[1]) / energy), len(x)


def conditions(method, dtype):
    x, dictionary = signals(dtype)
    code = method(x, dictionary, ALPHA, tol=tolerance(dtype)).code.astype(float)
    slope = (x - code @ dictionary).astype(float) @ dictionary.T
    broken = np.where(code == 0, np.abs(slope) - ALPHA, np.abs(slope - ALPHA * np.sign(code)))
    return max(0.0, broken.max()) / ALPHA, code.size


def rate(method, dtype):
    """Return the largest distance from the optimum as a share of what the theorem allows, after 1 to 300 steps."""
    x, dictionary = signals(np.float64)
    code, optimum = best()
    curvature, away, worst = np.linalg.norm(dictionary, 2) ** 2, np.square(code).sum(axis=1), 0.0
    for steps in (1, 3, 10, 30, 100, 300):
        allowed = curvature * away * (2 / (steps + 1) ** 2 if method is fista else 1 / (2 * steps))
        found = objective(x, dictionary, method(x, dictionary, ALPHA, tol=0.0, max_steps=steps).code, ALPHA)
        worst = max(worst, np.max((found - optimum) / allowed))
    return worst, 6 * len(x)


def recovery(dtype):
    """Return how many of 400 signals of four atoms are not found; identity and Hadamard, coherence 1/8."""
    atoms = np.vstack([np.eye(64), hadamard(64) / 8.0]).astype(dtype)
    assert coherence(atoms) == 0.125 and 4 < (1 + 1 / 0.125) / 2 < 5
    rng, wrong = np.random.default_rng(6), 0
    code = np.zeros((400, 128))
    for row in code:
        row[rng.choice(128, 4, replace=False)] = rng.choice([-1, 1], 4) * rng.uniform(0.5, 2, 4)
    got = pursue((code @ atoms).astype(dtype), atoms, 4)
    wrong = np.count_nonzero(np.abs(got - code).max(axis=1) > 100 * np.finfo(dtype).eps)
    return wrong, 400


def pursuit_by_sklearn(x, dictionary, count):
    if len(x) == 0:
        return np.zeros((0, len(dictionary)))
    return orthogonal_mp(dictionary.T, x.T, n_nonzero_coefs=count).T.reshape(len(x), len(dictionary))


def draw(rng):
    dictionary = rng.normal(size=(11, 7))
    return rng.normal(size=(5, 7)), dictionary / np.linalg.norm(dictionary, axis=1, keepdims=True)


def renewed(dtype):
    """Return the distance from one round by definition: each atom to its best place, given the others."""
    x, dictionary = signals(dtype)
    got = learn_dictionary(x, dictionary, ALPHA, rounds=1, tol=tolerance(dtype))
    x, atoms = (v.astype(float) for v in signals(np.float64))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    code = best()[0]
    for k in range(len(atoms)):
        if (code[:, k] != 0).any():
            rest = x - np.delete(code, k, axis=1) @ np.delete(atoms, k, axis=0)
            atom = np.linalg.lstsq(code[:, k : k + 1], rest, rcond=None)[0][0]
            atoms[k] = atom / max(1, np.linalg.norm(atom))
    return np.abs(got.dictionary - atoms).max() / np.abs(atoms).max(), atoms.size


def descending(dtype):
    """Return by how much the mean objective of 30 rounds ever rises, as a share of it."""
    x, dictionary = signals(dtype)
    fit = learn_dictionary(x, dictionary, ALPHA, rounds=30, tol=1e-6)
    assert fit.objective[-1] < 0.8 * fit.objective[0]
    assert np.linalg.norm(fit.dictionary, axis=1).max() < 1 + 1e-5
    return max(0.0, float(np.max(np.diff(fit.objective) / fit.objective[:-1]))), 29


REFUSES = [
    (([[1.0]], [[1.0, 2.0]]), ValueError, r"x: expected shape \(any, 2\), got \(1, 1\)"),
    (([[1.0]], [1.0]), ValueError, r"dictionary: expected shape \(any, any\), got \(1,\)"),
]
CASES = [
    Case(
        pursue,
        draw,
        "orthogonal_mp of scikit-learn",
        pursuit_by_sklearn,
        kwargs={"count": 3},
        bound=Normwise(11, 30.0),
        sweep={"no signals": lambda rng, dtype: (np.empty((0, 7)), draw(rng)[1])},
        refuses=[
            *[(args, {"count": 1}, error, words) for args, error, words in REFUSES],
            (([[1.0]], [[1.0]]), {"count": 2}, ValueError, "count: expected an integer from 1 to 1, got 2"),
            (([[1.0]], [[1.0]]), {"count": 1, "tol": -1.0}, ValueError, "tol: expected a number in "),
        ],
    ),
    Case(
        coherence,
        lambda rng: (rng.normal(size=(6, 4)),),
        "numpy.corrcoef of rows beside their negatives",
        lambda d: np.max(np.abs(np.corrcoef(np.hstack([d, -d])) - np.eye(len(d)))),
        bound=Normwise(4, 4.0),
        refuses=[(([[1.0]],), {}, ValueError, "dictionary: expected at least two atoms, got 1")],
    ),
]
LARS = "sparse_encode(algorithm='lasso_lars') of scikit-learn, float64"
RANGE = "40 signals of 16 numbers, 36 atoms; gap 1e-11, in float32 1e-5"
PROOFS = [
    *[
        Proof(
            [method],
            LARS,
            f"objective, as a share of the squared length; {RANGE}",
            "gap",
            {"float64": 1e-11, "float32": 1e-5},
            functools.partial(against_lars, method),
        )
        for method in (lasso_code, ista, fista)
    ],
    *[
        Proof(
            [method],
            "the Karush-Kuhn-Tucker conditions",
            f"violation over the penalty; {RANGE}",
            "relative",
            {"float64": 1e-4, "float32": 5e-2},
            functools.partial(conditions, method),
        )
        for method in (lasso_code, fista)
    ],
    *[
        Proof(
            [method],
            "the theorem of Beck and Teboulle",
            "distance from the optimum as a share of the bound, 40 signals after 1 to 300 steps",
            "share",
            1.0,
            functools.partial(rate, method),
            dtypes=("float64",),
        )
        for method in (ista, fista)
    ],
    Proof(
        [pursue, coherence],
        "Tropp's theorem",
        "signals not found of 400 with four atoms of identity and Hadamard, coherence 1/8",
        "count",
        0,
        recovery,
    ),
    Proof(
        [learn_dictionary],
        "numpy.linalg.lstsq, atom by atom",
        "the dictionary after one round from the codes of LARS",
        "normwise",
        {"float64": 1e-4, "float32": 2e-2},
        renewed,
    ),
    Proof(
        [learn_dictionary],
        "descent",
        "largest rise of the objective in 30 rounds, as a share of it",
        "relative",
        {"float64": 1e-9, "float32": 1e-5},
        descending,
    ),
]
EYE = [[1.0, 0.0], [0.0, 1.0]]
EDGES = [
    Edge(
        pursue, ([[0.0, 0.0]], EYE), [[0.0, 0.0]], "nothing to explain", kwargs={"count": 2}, input="a signal of zeros"
    ),
    Edge(
        pursue,
        ([[1.0, 1.0]], EYE),
        [[1.0, 0.0]],
        "of equally good atoms the first",
        kwargs={"count": 1},
        input="x = [1, 1], atoms e1 and e2, one atom",
    ),
    Edge(
        pursue,
        ([[2.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]),
        [[2.0, 0.0]],
        "an atom that adds nothing is not taken",
        kwargs={"count": 2},
        input="x = [2, 0], two equal atoms, two atoms",
    ),
    Edge(coherence, ([[1.0, 0.0], [0.0, 0.0]],), np.nan, "a direction that does not exist", input="an atom of zeros"),
    Edge(coherence, ([[1e30, 0.0], [1e-30, 0.0]],), 1.0, "of any size", input="1e30, 1e-30"),
    Edge(coherence, ([[2.0, 0.0], [-3.0, 0.0]],), 1.0, "one direction twice", input="[2, 0] and [-3, 0]"),
]


def lasso_of_sklearn():
    from sklearn.linear_model import Lasso

    return Lasso(alpha=5.0, fit_intercept=False, tol=1e-12).fit(X5 - 2, Y5 - 3).coef_[0]


CONVENTIONS = [
    Convention(
        "sparse-coding",
        "sparse-coding-penalty",
        "Whether the penalty is scaled by the size of a signal",
        "the code of y - 3 by the one atom x - 2, for x = 0, 1, 2, 3, 4 and y = 1, 1, 2, 4, 7, penalty 5 "
        "(least squares: 1.5)",
        [
            Row(
                "dlref",
                r"$\frac12 \norm{r}^2 + \alpha \norm{a}_1$",
                "1.0",
                lambda: lasso_code((Y5 - 3)[None], (X5 - 2).T, 5.0, tol=1e-14).code[0, 0],
                "{:.1f}",
                package="dlref",
            ),
            Row(
                "scikit-learn",
                "`sparse_encode`: the same",
                "1.0",
                lambda: sparse_encode((Y5 - 3)[None], (X5 - 2).T, algorithm="lasso_cd", alpha=5.0)[0, 0],
                "{:.1f}",
                package="scikit-learn",
            ),
            Row(
                "scikit-learn",
                r"`Lasso`: $\frac{1}{2n} \norm{r}^2 + \alpha \norm{a}_1$, $n$ the size of the signal",
                "0.0",
                lambda: abs(lasso_of_sklearn()),
                "{:.1f}",
                package="scikit-learn",
            ),
        ],
    ),
]


def data(dtype):
    rng = np.random.default_rng(0)
    atoms = rng.normal(size=(256, 64))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    return rng.normal(size=(500, 64)).astype(dtype), atoms.astype(dtype)


def lasso_thunks(dtype):
    """Ours at the largest gap that scikit-learn's default tolerance leaves."""
    x, atoms = data(dtype)
    alpha = 0.3 * float(np.abs(x @ atoms.T).max(axis=1).mean())
    code = sparse_encode(x, atoms, algorithm="lasso_cd", alpha=alpha)
    gap = lasso_code(x, atoms, alpha, start=code.astype(dtype), max_epochs=0).gap
    tol = float((2 * gap / np.square(x).sum(axis=1)).max())
    return lambda: lasso_code(x, atoms, alpha, tol=tol), lambda: sparse_encode(
        x, atoms, algorithm="lasso_cd", alpha=alpha
    )


def pursuit_thunks(dtype):
    x, atoms = data(dtype)
    return lambda: pursue(x, atoms, 10), lambda: orthogonal_mp(atoms.T, x.T, n_nonzero_coefs=10)


def dictionary_thunks(dtype):
    """Ten rounds from the same atoms; ours is not to end at a higher objective."""
    x, atoms = data(dtype)
    x, atoms = x[:300], atoms[:80]
    code = lasso_code(x, atoms, 0.5).code

    def ours():
        return learn_dictionary(x, atoms, 0.5, rounds=10)

    def theirs():
        knobs = {"max_iter": 10, "tol": 0.0, "method": "cd", "dict_init": atoms, "code_init": code}
        return dict_learning(x, 80, alpha=0.5, random_state=0, **knobs)

    code_there, atoms_there, _ = theirs()
    there = objective(x, atoms_there, code_there, 0.5).mean()
    found = ours()
    assert objective(x, found.dictionary, found.code, 0.5).mean() < 1.01 * there
    return ours, theirs


def coherence_thunks(dtype):
    _, atoms = data(dtype)

    def theirs():
        products = np.abs(cosine_similarity(atoms))
        np.fill_diagonal(products, 0)
        return products.max()

    return lambda: coherence(atoms), theirs


BENCH = [
    Bench("models.learn_dictionary", "sklearn's dict_learning", "300 x 64, 80 atoms, 10 rounds", dictionary_thunks),
    Bench("models.coherence", "sklearn's cosine_similarity, its maximum", "256 atoms of 64", coherence_thunks),
    Bench("models.lasso_code", "sklearn's lasso_cd, equal gap", "500 x 64, 256 atoms", lasso_thunks, aim=5.0),
    Bench("models.pursue", "sklearn's orthogonal_mp", "500 x 64, 256 atoms, 10 taken", pursuit_thunks, aim=10.0),
]
