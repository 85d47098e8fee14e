"""Principal components and the probe against scikit-learn, HOG against scikit-image and what it ignores."""

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


def by_squares(image, orientations=9, cell=8, block=3):
    """HOG from complex gradients: the square of one forgets its sign. Cells by numpy.histogram, blocks by windows."""
    right, down = np.zeros((2, *image.shape))
    right[..., 1:-1] = image[..., 2:] - image[..., :-2]
    down[..., 1:-1, :] = image[..., 2:, :] - image[..., :-2, :]
    squared = (right + 1j * down) ** 2
    rows, columns = image.shape[-2] // cell, image.shape[-1] // cell
    cells = np.empty((*image.shape[:-2], rows, columns, orientations))
    for *n, i, j in np.ndindex(cells.shape[:-1]):
        votes = squared[(*n, slice(i * cell, (i + 1) * cell), slice(j * cell, (j + 1) * cell))].ravel()
        turns = np.angle(votes) % (2 * np.pi)
        counted, _ = np.histogram(turns, orientations, (0, 2 * np.pi), weights=np.sqrt(abs(votes)))
        cells[(*n, i, j)] = counted / cell**2
    v = np.lib.stride_tricks.sliding_window_view(cells, (block, block), (-3, -2))
    v = np.moveaxis(v, -3, -1).reshape(*cells.shape[:-3], -1, block * block * orientations)
    for limit in (0.2, np.inf):
        v = np.minimum(v / np.sqrt(np.sum(v * v, axis=-1, keepdims=True) + 1e-10), limit)
    return v.reshape(*image.shape[:-2], -1)


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
    *(
        Case(
            hog,
            lambda rng: (rng.uniform(size=(2, 13, 19)),),
            "the definition in complex numbers",
            by_squares,
            kwargs=dict(zip(("orientations", "cell", "block"), options, strict=True)),
            bound=Normwise(options[1] ** 2 + options[2] ** 2 * options[0]),
            label="{} angles, cells of {}, blocks of {}".format(*options),
            refuses=[
                (
                    (np.ones((7, 9)),),
                    {},
                    ValueError,
                    "image: expected at least 24 x 24 pixels, got 7 x 9",
                ),
                ((np.ones(9),), {}, ValueError, "image: expected at least 2 dimensions, got 1"),
            ]
            * (options[0] == 9),
        )
        for options in ((9, 4, 2), (5, 3, 3), (8, 2, 1))
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


def skimage_hog(image, orientations, cell, block):
    from skimage.feature import hog as theirs

    return theirs(image, orientations, (cell, cell), (block, block), block_norm="L2-Hys")


def against_skimage(dtype):
    error = count = 0
    rng = np.random.default_rng(0)
    for options in ((9, 8, 3), (4, 4, 2), (9, 4, 2), (5, 4, 1), (7, 3, 3), (8, 2, 2)):
        image = rng.uniform(size=(28, 37)).astype(dtype)
        want = skimage_hog(image.astype(np.float64), *options)
        error = max(error, abs(hog(image, *options) - want).max())
        count += want.size
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
        "scikit-image, feature.hog",
        "28 x 37 pixels, six choices of angles, cells and blocks",
        "absolute",
        EPS["float32"],  # scikit-image sums the votes of a cell in float32, whatever the image
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
    Edge(fit_principal_components, ([[1.0, 2.0], [nan, 0.0]],), ValueError, "NaN has no direction"),
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


def skimage_size():
    from skimage.feature import hog as theirs

    return theirs(np.zeros((128, 64))).size


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
                "dlref",
                "9 angles, blocks of 3 x 3 cells of 8 pixels",
                "6804",
                lambda: hog(np.zeros((128, 64))).size,
                package="dlref",
            ),
            Row("scikit-image", "the same", "6804", skimage_size, package="scikit-image"),
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


def describing(dtype):
    image = np.random.default_rng(0).uniform(size=(128, 64)).astype(dtype)
    return lambda: hog(image), lambda: skimage_hog(image, 9, 8, 3)


def projecting(dtype):
    x = np.random.default_rng(0).normal(size=(2000, 200)).astype(dtype)
    fitted, peer = fit_principal_components(x, 20), PCA(20, svd_solver="full").fit(x)
    return lambda: principal_components(x, fitted), lambda: peer.transform(x)


def rebuilding(dtype):
    x = np.random.default_rng(0).normal(size=(2000, 200)).astype(dtype)
    fitted, peer = fit_principal_components(x, 20), PCA(20, svd_solver="full").fit(x)
    z = principal_components(x, fitted)
    return lambda: principal_components_inverse(z, fitted), lambda: peer.inverse_transform(z)


def scoring(dtype):
    import torch

    rng = np.random.default_rng(0)
    x, probe = rng.normal(size=(2000, 200)), LinearProbe(rng.normal(size=(10, 200)), rng.normal(size=10), 0.0, 0.0)
    x, probe = x.astype(dtype), probe._replace(w=probe.w.astype(dtype), b=probe.b.astype(dtype))
    tx, tw, tb = map(torch.from_numpy, (x, probe.w, probe.b))
    return lambda: probe_scores(x, probe), lambda: torch.nn.functional.linear(tx, tw, tb)


BENCH = [
    Bench("data.probe_scores", "torch.nn.functional.linear", "2000 x 200 to 10", scoring),
    Bench("data.hog", "skimage.feature.hog", "128 x 64 pixels", describing),
    Bench("data.principal_components", "sklearn PCA.transform", "2000 x 200 to 20", projecting),
    Bench("data.principal_components_inverse", "sklearn PCA.inverse_transform", "2000 x 20 to 200", rebuilding),
    Bench("data.fit_principal_components", "sklearn PCA", "2000 x 200", extracting),
    Bench("data.linear_probe", "sklearn LogisticRegression", "1797 x 64, 10 classes", probing),
]
