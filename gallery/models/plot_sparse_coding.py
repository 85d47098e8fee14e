"""
Sparse coding: few atoms out of many
====================================

A dictionary learned from patches of a photograph has atoms like edges, and explains a patch by a few of them; the same
patch has hardly a pixel that is zero. Finding the code is an optimization for every patch. Momentum changes its pace
from one over the steps to one over their square; taking atoms greedily finds the right ones when they are few, which a
theorem promises and practice exceeds.
"""

# %%
# Atoms of a photograph
# ---------------------
#
# 1,500 patches of 8 by 8 pixels, with their mean and their contrast removed. The photograph is scikit-learn's
# "china.jpg" (by danielbuechele, CC BY 2.0).

import matplotlib.pyplot as plt
import numpy as np
from scipy.linalg import hadamard
from sklearn.datasets import load_sample_image

from dlref.models import coherence, fista, ista, lasso_code, learn_dictionary, pursue

photo = load_sample_image("china.jpg").astype(np.float32).mean(axis=2)[:426].reshape(213, 2, 320, 2).mean(axis=(1, 3))
rng = np.random.default_rng(0)
top, left_edge = rng.integers(0, photo.shape[0] - 8, 6000), rng.integers(0, photo.shape[1] - 8, 6000)
patches = np.stack([photo[i : i + 8, j : j + 8].ravel() for i, j in zip(top, left_edge, strict=True)])
patches -= patches.mean(axis=1, keepdims=True)
contrast = np.linalg.norm(patches, axis=1)
patches = patches[contrast > 100][:1500] / contrast[contrast > 100][:1500, None]

start = patches[rng.permutation(len(patches))[:100]]
fit = learn_dictionary(patches, start, alpha=0.15, rounds=15, tol=1e-2)
assert (np.diff(fit.objective) < 0).all()
before = lasso_code(patches, start / np.linalg.norm(start, axis=1, keepdims=True), 0.15, tol=1e-2)
used = np.count_nonzero(fit.code, axis=1)
assert np.median(used) < 12 and fit.objective[-1] < 0.93 * before.objective.mean()
assert np.mean(np.abs(patches) > 1e-3) > 0.99, "no pixel is zero"


def edge_likeness(atoms):
    """How much the slopes of each picture agree on one direction, from 0 to 1."""
    down, right = np.gradient(atoms.reshape(-1, 8, 8), axis=(1, 2))
    a, b, c = (down * down).sum((1, 2)), (down * right).sum((1, 2)), (right * right).sum((1, 2))
    return np.sqrt((a - c) ** 2 + 4 * b * b) / (a + c)


assert np.median(edge_likeness(fit.dictionary)) > 1.5 * np.median(edge_likeness(rng.normal(size=(100, 64))))

# alt: Left, a square of 10 by 10 small gray pictures: most show one bright and one dark bar side by side, at many
#   angles and places; the last ones are finer textures. Right, a histogram of how many of the 100 atoms a patch uses:
#   from one to about 18, with its peak near ten.
# caption: Left: 100 atoms learned from 1,500 patches, sorted by use. Right: atoms in use for each patch.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.7), width_ratios=(1.25, 1), layout="constrained")
order = np.argsort(-np.count_nonzero(fit.code, axis=0))
pictures = fit.dictionary[order] / np.abs(fit.dictionary[order]).max(axis=1, keepdims=True)
wall = np.zeros((10 * 9 - 1, 10 * 9 - 1), np.float32)
for k, picture in enumerate(pictures):
    i, j = 9 * (k // 10), 9 * (k % 10)
    wall[i : i + 8, j : j + 8] = picture.reshape(8, 8)
left.imshow(wall, cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
left.set_axis_off()
right.hist(used, bins=np.arange(used.max() + 2) - 0.5, color="C0")
right.set(xlabel="atoms in use", ylabel="patches")

# %%
# Two paces
# ---------
#
# The distance from the optimal objective after so many steps, for ten patches, and what is proved of it.

some, atoms = patches[:10].astype(float), fit.dictionary.astype(float)
optimum = lasso_code(some, atoms, 0.05, tol=1e-12)
curvature, away = np.linalg.norm(atoms, 2) ** 2, np.square(optimum.code).sum(axis=1)
steps = np.unique(np.geomspace(1, 600, 20).astype(int))
curves = {}
for name, method in (("ISTA", ista), ("FISTA", fista)):
    found = np.array(
        [method(some, atoms, 0.05, tol=0.0, max_steps=int(s)).objective - optimum.objective for s in steps]
    )
    allowed = np.outer(1 / (2 * steps) if name == "ISTA" else 2 / (steps + 1.0) ** 2, curvature * away)
    assert (found <= allowed).all(), "the theorems of Beck and Teboulle"
    curves[name] = found.mean(axis=1), allowed.mean(axis=1)
late = np.searchsorted(steps, 100)
assert curves["FISTA"][0][late] < 0.05 * curves["ISTA"][0][late]

# Identity and Hadamard: 256 atoms of 128 numbers.
pair = np.vstack([np.eye(128), hadamard(128) / np.sqrt(128)])
promised = (1 + 1 / coherence(pair)) / 2
counts, shares = np.arange(1, 74, 6), []
for count in counts:
    truth = np.zeros((40, 256))
    for row in truth:
        row[rng.choice(256, count, replace=False)] = rng.normal(size=count)
    shares.append(np.mean(np.abs(pursue(truth @ pair, pair, int(count)) - truth).max(axis=1) < 1e-8))
shares = np.array(shares)
assert (shares[counts < promised] == 1).all() and shares[counts < 2 * promised].min() > 0.9 and shares[-1] < 0.5

# alt: Left, four curves on logarithmic axes over the steps: the two bounds, straight lines of slope minus one and minus
#   two, and below each the method, ISTA slowly, FISTA fast and with ripples. Right, the share of signals found by
#   pursuit over the number of their atoms: one up to far beyond a dotted vertical line at 6.2, then falling below
#   one tenth at 73.
# caption: Left: distance from the optimum (thick) and its bound (thin), mean over ten patches. Right: share of signals
#   whose atoms are all found by orthogonal matching pursuit; dotted, up to where a theorem promises all.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.2), layout="constrained")
for (name, (found, allowed)), style in zip(curves.items(), ("C0-", "C1--"), strict=True):
    left.loglog(steps, np.maximum(found, 1e-9), style, linewidth=2, label=name)
    left.loglog(steps, allowed, style, linewidth=0.8)
left.set(xlabel="steps", ylabel="objective above optimum", ylim=(1e-7, None))
left.legend()
right.plot(counts, shares, "C2o-", markersize=4)
right.axvline(promised, color="C3", linestyle=":")
right.set(xlabel="atoms in the signal", ylabel="share found")
