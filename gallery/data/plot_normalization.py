"""
Normalization: the same data, another valley
============================================

Thirteen measurements of 178 wines come in units of their own, from hundredths to thousands. The curvature of a linear
model's cost then differs by a factor of eighty million between directions, and gradient descent crawls. Subtracting
means and dividing by standard deviations takes the factor down to 46; whitening takes it to one.
"""

# %%
# Two features
# ------------
#
# The color of a wine from its alcohol and its malic acid, by least squares on the table as it is and on standardized
# columns. Gradient descent starts at zero and takes 60 steps at the rate 1 over the largest curvature.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine

from dlref.data import fit_robust, fit_standard, fit_whitening, scale_columns, whiten

wine = load_wine()
table = wine.data
pair = table[:, :2]
target = table[:, 9] - table[:, 9].mean()


def descend(x, steps=60):
    """Return the path of the weights, the optimum and the matrix of curvature."""
    curvature = x.T @ x / len(x)
    best = np.linalg.solve(curvature, x.T @ target / len(x))
    w, rate, path = np.zeros(2), 1 / np.linalg.eigvalsh(curvature)[-1], [np.zeros(2)]
    for _ in range(steps):
        w = w - rate * (curvature @ (w - best))
        path.append(w)
    return np.array(path), best, curvature


ways = {"as it is": pair, "standardized": scale_columns(pair, fit_standard(pair))}
runs = {name: descend(x) for name, x in ways.items()}
left = {name: np.linalg.norm(path[-1] - best) / np.linalg.norm(best) for name, (path, best, _) in runs.items()}
assert left["standardized"] < 1e-12 < 0.05 < left["as it is"], left
ratios = {name: np.linalg.cond(curvature) for name, (_, _, curvature) in runs.items()}
assert ratios["standardized"] < 1.5 and ratios["as it is"] > 50, ratios

# alt: Two panels of contours with a path. Left the contours are parallel stripes of a long valley, along which the path
#   creeps; it ends far from the cross at the optimum. Right the contours are nearly circles, and the path goes straight
#   to the cross.
# caption: Cost of a linear model of two weights, and 60 steps of gradient descent from zero (dots) to the optimum
#   (cross). On standardized columns the last steps lie on top of each other.
fig, axes = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
for ax, (name, (path, best, curvature)) in zip(axes, runs.items(), strict=True):
    reach = 1.3 * max(np.abs(path - best).max(), 0.1)
    grid = np.linspace(-reach, reach, 80)
    w1, w2 = np.meshgrid(best[0] + grid, best[1] + grid)
    d1, d2 = w1 - best[0], w2 - best[1]
    cost = curvature[0, 0] * d1**2 + 2 * curvature[0, 1] * d1 * d2 + curvature[1, 1] * d2**2
    ax.contour(w1, w2, np.sqrt(cost), levels=8, cmap="cividis", linewidths=0.8)
    ax.plot(*path.T, "C1o-", markersize=3, linewidth=1)
    ax.plot(*best, "C3x", markersize=9, markeredgewidth=2)
    ax.set(title=f"{name}: ratio {ratios[name]:.3g}", xlabel="weight of alcohol", aspect="equal")
axes[0].set_ylabel("weight of malic acid")

# %%
# All thirteen
# ------------
#
# The eigenvalues of the curvature matrix of a linear model on all features, for four ways to prepare them. Their ratio,
# largest to smallest, is the condition number: gradient descent needs about as many steps.

ways = {
    "as it is": table,
    "median and quartiles": scale_columns(table, fit_robust(table)),
    "mean and deviation": scale_columns(table, fit_standard(table)),
    "whitened": whiten(table, fit_whitening(table)),
}
spectra = {name: np.linalg.eigvalsh(x.T @ x / len(x))[::-1] for name, x in ways.items()}
condition = {name: values[0] / values[-1] for name, values in spectra.items()}
assert condition["as it is"] > 5e7 and 40 < condition["mean and deviation"] < 50, condition
assert abs(condition["whitened"] - 1) < 1e-9

# alt: Eigenvalues of four matrices on a logarithmic axis, thirteen each. Those of the table as it is fall from more
#   than half a million to less than a hundredth. Those of columns scaled by quartiles and by deviations fall from about
#   five to a tenth. Those of whitened data are all one.
# caption: Eigenvalues of the curvature of a linear model on 13 features of wine, and their largest ratio.
fig, ax = plt.subplots(figsize=(6, 3.3), layout="constrained")
for (name, values), style in zip(spectra.items(), ("C0o-", "C1s-", "C2^-", "C3d-"), strict=True):
    ax.semilogy(range(1, 14), values, style, markersize=4, label=f"{name}: {condition[name]:.2g}")
ax.set(xlabel="eigenvalue", ylabel="curvature")
ax.legend(title="largest over smallest", loc="upper right")
