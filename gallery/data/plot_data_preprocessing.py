"""
Data preprocessing: how large the lie is when the test data was seen
====================================================================

On pure noise no model can be right more than half of the time. Features that were chosen by a look at all the labels,
before cross-validation, make it report up to nine in ten. Features chosen within each fold report about one half, which
is the truth. Scaling by a look at all the data is the same mistake in principle and makes no difference that could be
measured here: what uses the labels lies most.
"""

# %%
# Leakage, measured
# -----------------
#
# Sixty examples with random labels and d features of noise. The twenty features that correlate best with the labels
# are kept, or all features are scaled, and a nearest-centroid classifier is cross-validated in five folds. The ways
# differ in one thing: which rows the selection or the scaling has seen.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine

from dlref.data import fit_columns, fold_numbers, split_indices, transform_columns


def best_features(x, y, count=20):
    """Return the features whose class means differ most, in units of the feature's deviation."""
    gap = abs(x[y == 1].mean(axis=0) - x[y == 0].mean(axis=0)) / x.std(axis=0)
    return np.argsort(-gap)[:count]


def hits(train, labels, test, truth):
    """Return how many test rows are nearer to the mean of their own class."""
    middle = np.stack([train[labels == k].mean(axis=0) for k in (0, 1)])
    apart = ((test[:, None] - middle) ** 2).sum(axis=2)
    return (apart.argmin(axis=1) == truth).sum()


def cross_validated(x, y, fold, select, scale):
    """Return the accuracy over the folds; ``select`` and ``scale`` say who is looked at: "all", "train" or no one."""
    right = 0
    for k in range(5):
        train, test, part = fold != k, fold == k, x
        rows = {"all": slice(None), "train": train}
        if select:
            part = x[:, best_features(x[rows[select]], y[rows[select]])]
        if scale:
            part = transform_columns(part, fit_columns(part[rows[scale]], "mean"))
        right += hits(part[train], y[train], part[test], y[test])
    return right / len(y)


ways = {
    "selection on all data": ("all", ""),
    "selection in each fold": ("train", ""),
    "scaling on all data": ("", "all"),
    "scaling in each fold": ("", "train"),
}
candidates, draws = np.array([20, 60, 200, 600, 2000]), 40
accuracy = np.zeros((len(ways), len(candidates), draws))
for draw in range(draws):
    rng = np.random.default_rng(draw)
    noise = rng.normal(size=(60, candidates[-1]))
    y = rng.permutation(np.arange(60) % 2)
    fold = fold_numbers(60, 5, rng)
    for i, d in enumerate(candidates):
        for w, way in enumerate(ways.values()):
            accuracy[w, i, draw] = cross_validated(noise[:, :d], y, fold, *way)
mean = accuracy.mean(axis=2)
assert mean[0, -1] > 0.85 and (np.diff(mean[0]) > 0).all()
assert (abs(mean[1:] - 0.5) < 0.1).all()
assert abs(mean[2] - mean[3]).max() < 0.02
print(f"reported with {candidates[-1]:,} features: {mean[0, -1]:.2f} (all data), {mean[1, -1]:.2f} (in each fold)")

# alt: Reported accuracy against the number of noise features, on a logarithmic axis. Selection on all data rises from
#   one half at 20 features to 0.93 at 2,000. The three other lines stay near the dashed line at one half.
# caption: Cross-validated accuracy on noise, mean of forty draws. Only the features that were chosen with the help of
#   the test labels seem to predict. The truth is the dashed line.
fig, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
styles = ("C0o-", "C1s--", "C2^-.", "C3v:")
for name, style, line in zip(ways, styles, mean, strict=True):
    ax.semilogx(candidates, line, style, label=name)
ax.axhline(0.5, color="C4", linestyle="--", linewidth=1)
ax.set(xlabel="features, all of them noise", ylabel="reported accuracy", ylim=(0.35, 1.02))
ax.set_xticks(candidates, [f"{d:,}" for d in candidates])
ax.minorticks_off()
ax.legend(loc="upper left")

# %%
# A table before and after
# ------------------------
#
# The thirteen measurements of 178 wines, with a tenth of the values removed at random. Filled with medians and scaled,
# all by the training part; what is drawn is the test part.

data = load_wine()
rng = np.random.default_rng(0)
x = np.where(rng.random(data.data.shape) < 0.1, np.nan, data.data)
train, test = split_indices(len(x), (0.7, 0.3), rng)
ready = transform_columns(x[test], fit_columns(x[train]))
wide = np.nanmax(x[test], axis=0) - np.nanmin(x[test], axis=0)
assert wide.max() / wide.min() > 1000 and np.isfinite(ready).all()
assert np.ptp(ready, axis=0).max() / np.ptp(ready, axis=0).min() < 3
assert 0.01 < abs(ready.mean(axis=0)).max() < 5 / np.sqrt(len(test))  # standard errors of a mean

# alt: Two panels with one row for each of thirteen measurements of wine. Left, before: proline reaches from about 330
#   to 1,680 and all others but magnesium are dots near zero. Right, after: all reach from about -2 to between 2 and 4.
# caption: Range and median of each column in the test part, before (left) and after (right) being filled and scaled by
#   the training part. The medians are near zero, not at zero: the test part has statistics of its own.
fig, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained", sharey=True)
for ax, part, title in zip(axes, (x[test], ready), ("before", "after"), strict=True):
    low, middle, high = np.nanquantile(part, (0, 0.5, 1), axis=0)
    ax.hlines(np.arange(13), low, high, color="C0", linewidth=3)
    ax.plot(middle, np.arange(13), "C1o", markersize=5)
    ax.set(title=title, xlabel="value" if title == "before" else "scaled value")
names = [name.replace("od280/od315_of_diluted_wines", "od280/od315").replace("_", " ") for name in data.feature_names]
axes[0].set_yticks(np.arange(13), names)
axes[0].invert_yaxis()
