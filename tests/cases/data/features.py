"""Principal components and the probe against scikit-learn, HOG against scikit-image's numbers and what it ignores."""

import functools

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from dlref.data import (
    LinearProbe,
    PrincipalComponents,
    fit_principal_components,
    hog,
    linear_probe,
    principal_components,
    principal_components_inverse,
    probe_scores,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

nan = np.nan
EPS = {name: float(np.finfo(name).eps) for name in ("float32", "float64")}


def orthonormal(rng):
    q, _ = np.linalg.qr(rng.normal(size=(7, 3)))
    return PrincipalComponents(rng.normal(size=7), q.T, rng.uniform(1, 3, 3), 9.0)


def fitted_pca(p):
    model = PCA(len(p.directions))
    model.mean_, model.components_, model.explained_variance_, model.n_samples_ = p.mean, p.directions, p.variance, 99
    return model


def theirs(method):
    def want(x, fitted, whiten=False):
        model = fitted_pca(fitted)
        model.whiten = whiten
        return getattr(model, method)(x)

    return want


CASES = [
    *(
        Case(
            principal_components,
            lambda rng: (rng.normal(size=(11, 7)), orthonormal(rng)),
            "sklearn PCA.transform",
            theirs("transform"),
            kwargs={"whiten": whiten},
            bound=Normwise(7),
            label="whitened" if whiten else "",
            refuses=[
                (
                    (np.ones((2, 3)), orthonormal(np.random.default_rng(0))),
                    {},
                    ValueError,
                    r"x: expected shape \(any, 7\), got \(2, 3\)",
                )
            ],
        )
        for whiten in (False, True)
    ),
    *(
        Case(
            principal_components_inverse,
            lambda rng: (rng.normal(size=(11, 3)), orthonormal(rng)),
            "sklearn PCA.inverse_transform",
            theirs("inverse_transform"),
            kwargs={"whiten": whiten},
            bound=Normwise(7),
            label="whitened" if whiten else "",
        )
        for whiten in (False, True)
    ),
    Case(
        probe_scores,
        lambda rng: (rng.normal(size=(11, 5)), LinearProbe(rng.normal(size=(3, 5)), rng.normal(size=3), 0.0, 0.0)),
        "numpy.einsum",
        lambda x, probe: np.einsum("nd,kd->nk", x, probe.w) + probe.b,
        bound=Normwise(5),
        refuses=[
            (
                (np.ones((2, 3)), LinearProbe(np.ones((2, 4)), np.ones(2), 0.0, 0.0)),
                {},
                ValueError,
                r"x: expected shape \(any, 4\), got \(2, 3\)",
            )
        ],
    ),
]


@functools.cache
def digits():
    data = load_digits()
    return data.data / 16, data.images / 16, data.target


def against_pca(dtype):
    """Directions, variances and their sum on digits; signs are ours, which scikit-learn has chosen alike."""
    x = digits()[0][:300].astype(dtype)
    got, want = fit_principal_components(x, 8), PCA(svd_solver="full").fit(x.astype(np.float64))
    assert got.directions.dtype == got.variance.dtype == dtype
    signs = np.sign((got.directions * want.components_[:8]).sum(axis=1))
    error = abs(got.directions - signs[:, None] * want.components_[:8]).max()
    error = max(error, abs(got.variance - want.explained_variance_[:8]).max() / want.explained_variance_[0])
    return max(error, abs(got.total / want.explained_variance_.sum() - 1)), 8 * 65 + 1


def probe_gap(dtype):
    """How far our objective is above scikit-learn's, both for the same penalty, by the same formula."""
    x, _, y = digits()
    x, y, alpha = x[:200, :40].astype(dtype), y[:200], 1e-2
    ours = linear_probe(x, y, 10, alpha)
    peer = LogisticRegression(C=1 / (len(x) * alpha), tol=1e-9, max_iter=5000).fit(x.astype(np.float64), y)

    def objective(w, b):
        z = x.astype(np.float64) @ np.asarray(w, np.float64).T + b
        z -= z.max(axis=1, keepdims=True)
        loss = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]
        return loss.mean() + alpha / 2 * np.sum(np.square(w, dtype=np.float64))

    best = objective(peer.coef_, peer.intercept_)
    assert ours.gradient <= 1e-6 and abs(ours.objective - objective(ours.w, ours.b)) < 1e-6
    return max(0.0, ours.objective - best) / best, ours.w.size + ours.b.size


I, J = np.indices((12, 19))
IMAGE = ((7 * I * I + 11 * J + 3 * I * J) % 17) / 16.0

# What skimage.feature.hog 0.26.0 gives for IMAGE (block_norm="L2-Hys"; it sums in float32): the number of features,
# their sum and their product with cos(0), cos(1), ...; and the 16 features of its upper left 8 x 8 pixels.
SKIMAGE = {
    (4, 4, 2): (96, 22.49604302, 0.49136309),
    (9, 4, 2): (216, 29.12039891, -1.15368865),
    (5, 4, 1): (60, 25.11412216, -0.86051540),
    (7, 3, 3): (504, 47.33258605, 0.10411695),
    (8, 2, 2): (1280, 137.57647475, -1.56795528),
}
CORNER = [0.30360364, 0.0, 0.30360364, 0.26000676, 0.30360364, 0.0, 0.30360364, 0.14947709]
CORNER += [0.30360364, 0.30360364, 0.30360364, 0.16737319, 0.30360364, 0.19491748, 0.30360364, 0.12029102]


def against_skimage(dtype):
    image = IMAGE.astype(dtype)  # 0 to 16 sixteenths: exact in both
    error, count = abs(hog(image[:8, :8], 4, 4, 2) - CORNER).max(), 16
    for options, (size, total, wave) in SKIMAGE.items():
        got = hog(image, *options).astype(np.float64)
        assert got.size == size
        error = max(error, abs(got.sum() - total) / size, abs(got @ np.cos(np.arange(size)) - wave) / size)
        count += size
    return error, count


def contrast(dtype):
    """An image, and the same with another contrast on another ground, or in negative; a batch of them at once."""
    image = digits()[1][:20].astype(dtype)
    image = np.kron(image, np.ones((2, 2))).astype(dtype)
    want = hog(image, 7, 4, 2)
    changed = [0.5 * image + 0.25, 8 * image, 1 - image]
    error = max(abs(hog(c.astype(dtype), 7, 4, 2) - want).max() for c in changed)
    assert all((hog(one, 7, 4, 2) == row).all() for one, row in zip(image, want, strict=True))
    return error, 3 * want.size


PROOFS = [
    Proof(
        [fit_principal_components],
        "sklearn PCA, up to sign",
        "300 digits, 8 of 64 directions",
        "absolute",
        # The directions' condition: the largest variance over the smallest gap between neighbors, 20 here.
        {name: 20 * 20 * eps for name, eps in EPS.items()},
        against_pca,
    ),
    Proof(
        [linear_probe],
        "sklearn LogisticRegression",
        "200 digits, 40 pixels: excess of the objective",
        "gap",
        1e-9,
        probe_gap,
    ),
    Proof(
        [hog],
        "scikit-image 0.26.0, recorded",
        "a pattern of 12 x 19 pixels, five choices of angles, cells and blocks",
        "absolute",
        1e-7,  # scikit-image sums in float32
        against_skimage,
    ),
    Proof(
        [hog],
        "its invariance to contrast and ground",
        "20 digits of 16 x 16 pixels",
        "absolute",
        1e-5,  # the small number in the norms is not scaled with the contrast
        contrast,
    ),
]

EDGES = [
    Edge(
        hog,
        (np.full((4, 4), 3.0), 4, 4, 1),
        [0.0, 0.0, 0.0, 0.0],
        "no gradient: zeros, not 0/0",
        input="a constant image",
    ),
    Edge(
        hog,
        ([[0.0, 0.0, 9.0, 9.0]] * 4, 4, 4, 1),
        [0.2 / np.sqrt(0.04 + 1e-10), 0.0, 0.0, 0.0],
        "one direction alone: cut off at 0.2, then scaled to 1 again",
        input="a vertical edge, 4 angles",
        output="[1, 0, 0, 0]",
    ),
    Edge(hog, (np.zeros((7, 16)), 9, 8, 1), ValueError, "smaller than one block", input="7 x 16 pixels, cells of 8"),
    Edge(fit_principal_components, ([[1.0, 2.0]],), ValueError, "one row has no variance"),
    Edge(
        fit_principal_components, (np.eye(3), 4), ValueError, "more directions than rows or columns", input="3 x 3, 4"
    ),
    Edge(
        principal_components,
        ([[nan, 0.0]], PrincipalComponents(np.zeros(2), np.eye(2), np.ones(2), 2.0)),
        [[nan, nan]],
        "NaN reaches every coordinate",
        input="[[nan, 0]]",
    ),
    Edge(linear_probe, ([[1.0]], [2], 2), ValueError, "a class that does not exist"),
]


def variance_of_four(function):
    return lambda: float(function(np.array([[1.0], [2.0], [3.0], [4.0]])))


def torch_pca(x):
    import torch

    _, s, _ = torch.pca_lowrank(torch.from_numpy(x), q=1)
    return s[0].item()


CONVENTIONS = [
    Convention(
        "feature-extraction",
        "feature-extraction-variance",
        "What is reported beside a principal direction",
        "the column 1, 2, 3, 4",
        [
            Row(
                "dlref",
                "variance, divided by $N - 1$",
                "1.6667",
                variance_of_four(lambda x: fit_principal_components(x).variance[0]),
                format="{:.4f}",
                package="dlref",
            ),
            Row(
                "scikit-learn",
                "`explained_variance_`, divided by $N - 1$",
                "1.6667",
                variance_of_four(lambda x: PCA().fit(x).explained_variance_[0]),
                format="{:.4f}",
                package="scikit-learn",
            ),
            Row(
                "PyTorch",
                "`pca_lowrank`: the singular value",
                "2.2361",
                variance_of_four(torch_pca),
                format="{:.4f}",
                package="torch",
            ),
            Row(
                "NumPy",
                "`var`, divided by $N$",
                "1.2500",
                variance_of_four(np.var),
                format="{:.4f}",
                package="numpy",
            ),
        ],
    ),
    Convention(
        "feature-extraction",
        "feature-extraction-hog-size",
        "Numbers in a HOG descriptor by default",
        "an image of 64 by 128 pixels",
        [
            Row(
                "dlref, scikit-image",
                "9 angles, blocks of 3 x 3 cells of 8 pixels",
                "6804",
                lambda: hog(np.zeros((128, 64))).size,
            ),
            Row(
                "OpenCV",
                "`HOGDescriptor`: 9 angles, blocks of 2 x 2 cells of 8 pixels, as in the paper's detector",
                "3780",
                lambda: hog(np.zeros((128, 64)), block=2).size,
                source="its documented defaults, computed here",
            ),
        ],
    ),
]


def extracting(dtype):
    x = np.random.default_rng(0).normal(size=(2000, 200)).astype(dtype)
    return lambda: fit_principal_components(x, 20), lambda: PCA(20, svd_solver="full").fit(x)


def probing(dtype):
    x, _, y = digits()
    x = x.astype(dtype)
    peer = LogisticRegression(C=1 / (len(x) * 1e-2), tol=1e-6, max_iter=1000)
    return lambda: linear_probe(x, y, 10, 1e-2), lambda: peer.fit(x, y)


BENCH = [
    Bench("data.fit_principal_components", "sklearn PCA", "2000 x 200", extracting),
    Bench("data.linear_probe", "sklearn LogisticRegression", "1797 x 64, 10 classes", probing),
]
