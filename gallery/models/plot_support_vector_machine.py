"""
Support vector machine: a street, and the points that hold it
=============================================================

The boundary, its margins and its support vectors, with a straight street and with one bent by a kernel. The points
outside the street can be thrown away: the machine trained on the rest is the same. A primal and a dual objective close
in on the optimum from both sides, so that training knows how far it is from its end. Of the two knobs of the RBF
machine, the width of the kernel decides more than the price of a violation, and one can partly make up for the other.
"""

# %%
# The street and what holds it
# ----------------------------
#
# Two half moons with noise, so that no curve separates them well.

import matplotlib.pyplot as plt
import numpy as np

from dlref.models import svm_decision, svm_linear, svm_smo


def moons(n, rng, noise=0.3):
    """Two interleaved half circles, with labels 1 and -1."""
    t, upper = rng.uniform(0, np.pi, n), np.arange(n)[:, None] % 2 == 0
    up, down = np.stack([np.cos(t), np.sin(t)], axis=1), np.stack([1 - np.cos(t), 0.5 - np.sin(t)], axis=1)
    return np.where(upper, up, down) + noise * rng.normal(size=(n, 2)), np.where(upper[:, 0], 1, -1)


def accuracy(model, x, y):
    return np.mean(np.sign(svm_decision(model, x)) == y)


rng = np.random.default_rng(4)
x, y = moons(120, rng)
new_x, new_y = moons(2000, rng)
machines = {
    "linear": svm_smo(x, y, C=1.0, kernel="linear", tol=1e-9),
    "RBF": svm_smo(x, y, C=1.0, gamma=1.0, tol=1e-9),
}
for model in machines.values():
    signed = y * svm_decision(model, x)
    others = np.setdiff1d(np.arange(len(y)), model.support)
    assert signed[model.support].max() < 1 + 1e-3 and signed[others].min() > 1 - 1e-3
    assert np.mean(np.abs(model.coefficients) == 1.0) > 0.5, "most of them at the bound C"
    kept = model.support
    again = svm_smo(x[kept], y[kept], C=1.0, kernel=model.kernel, gamma=model.gamma, tol=1e-9)
    assert np.abs(svm_decision(again, new_x) - svm_decision(model, new_x)).max() < 1e-2
assert accuracy(machines["RBF"], new_x, new_y) > accuracy(machines["linear"], new_x, new_y) + 0.02

# alt: Two panels with the same two noisy half moons of 60 points each. Left, a straight boundary between two parallel
#   dashed lines; right, an S-shaped boundary that follows the moons, with two dashed curves beside it. In both, every
#   point on, between or beyond the wrong dashed line is ringed.
# caption: Boundary (solid), margins where the score is 1 and -1 (dashed) and support vectors (ringed) with $C = 1$,
#   linear and RBF. Without the points that are not ringed both machines would be the same.
fig, panels = plt.subplots(1, 2, figsize=(7.6, 3.5), sharey=True, layout="constrained")
side, height = np.linspace(-1.9, 2.9, 120), np.linspace(-1.5, 2.0, 90)
grid = np.stack(np.meshgrid(side, height), axis=-1).reshape(-1, 2)
for ax, (name, model) in zip(panels, machines.items(), strict=True):
    for label, marker, color in ((1, "o", "C0"), (-1, "s", "C1")):
        ax.plot(*x[y == label].T, color + marker, markersize=3.5, linestyle="none")
    ax.plot(*model.vectors.T, "C2o", markersize=8, markerfacecolor="none", linestyle="none", alpha=0.7)
    scores = svm_decision(model, grid).reshape(len(height), len(side))
    ax.contour(side, height, scores, [-1, 0, 1], colors="C3", linestyles=["--", "-", "--"])
    share = accuracy(model, new_x, new_y)
    ax.set(title=f"{name}: {len(model.support)} support vectors, {share:.1%} right", xlabel="$x_1$")
panels[0].set_ylabel("$x_2$")

# %%
# Closing the gap
# ---------------
#
# Every feasible point of the dual is a lower bound of the primal optimum, so the distance of the two objectives is an
# upper bound of how far training still has to go. Each dot below is a run that was stopped after so many steps.

settings = {"RBF": {"gamma": 1.0}, "linear": {"kernel": "linear"}}
budgets = np.unique(np.geomspace(1, 20_000, 40).astype(int))
runs = {
    name: [svm_smo(x, y, C=10.0, tol=1e-9, max_steps=int(steps), **options) for steps in budgets]
    for name, options in settings.items()
}
for models in runs.values():
    best = models[-1]
    assert best.converged
    rounding = 1e-12 * best.primal
    for model in models:
        assert model.primal >= best.dual - rounding and model.dual <= best.primal + rounding and model.gap >= 0
        assert best.dual - model.dual <= model.gap + rounding, "the gap bounds the distance from the optimum"
epochs = svm_linear(x, y, np.random.default_rng(0), C=10.0, tol=1e-4)
assert epochs.converged and (np.diff(epochs.history[:, 2]) > -1e-9).all() and (np.diff(epochs.history[:, 3]) > 0).any()

# alt: Left, two curves over the number of steps: the primal objective falls from above, not always downward, and meets
#   the dual objective, which rises steadily from zero. Right, the relative gap on logarithmic axes: for both
#   kernels it falls ever faster, below one billionth within some four hundred steps; coordinate descent, shown for
#   comparison, needs tens of thousands for a ten-thousandth, and goes down in jumps.
# caption: Left: primal and dual objective of the RBF machine with $C = 10$ after so many steps. Right: their relative
#   distance; for coordinate descent a step is one row visited.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.2), layout="constrained")
left.plot(budgets, [m.primal for m in runs["RBF"]], "C0-", label="primal")
left.plot(budgets, [m.dual for m in runs["RBF"]], "C1--", label="dual")
left.set(xlabel="steps", ylabel="objective", xscale="log", ylim=(0, 3 * runs["RBF"][-1].dual))
left.legend()
for (name, models), style in zip(runs.items(), ("C0.-", "C1.--"), strict=True):
    right.loglog(budgets, [m.gap / m.primal for m in models], style, label=f"SMO, {name}")
passes, primal, _, gap, _ = epochs.history[1:].T
right.loglog(passes * len(y), gap / primal, "C2-.", label="coordinates, linear")
right.set(xlabel="steps", ylabel="gap / primal", ylim=(1e-9, 3))
right.legend(fontsize="small")

# %%
# The two knobs
# -------------
#
# Held-out accuracy and share of support vectors over five decades and more of each.

prices, widths = 10.0 ** np.arange(-2, 5), 10.0 ** np.arange(-2, 4)
right_share, support, fitted = np.empty((3, len(widths), len(prices)))
for i, gamma in enumerate(widths):
    for j, price in enumerate(prices):
        model = svm_smo(x, y, C=price, gamma=gamma, tol=1e-3)
        right_share[i, j] = accuracy(model, new_x, new_y)
        support[i, j], fitted[i, j] = len(model.support) / len(y), accuracy(model, x, y)
assert right_share.max() > accuracy(machines["linear"], new_x, new_y) + 0.02
assert right_share[-1].max() < 0.75 and fitted[-1, -1] == 1 and support[-1].min() > 0.9, "a narrow kernel memorizes"
assert right_share[0].argmax() > right_share[3].argmax(), "a wide kernel wants a higher price"
assert 2 * np.ptp(right_share[2, 1:]) < np.ptp(right_share[:, 2]), "the width matters more"

# alt: Two heat maps over C from 0.01 to 10,000 and gamma from 0.01 to 1,000. Left, accuracy: high in a band that runs
#   from large C with small gamma to small C with gamma 10, and poor for gamma 1,000 at every C. Right, the share of
#   support vectors: nearly all for small C and for large gamma, below a third at large C and gamma up to 10.
# caption: Accuracy on new points (left) and share of the training points that are support vectors (right). A narrow
#   kernel ($\gamma = 1000$) fits every training point and has learned little.
fig, panels = plt.subplots(1, 2, figsize=(7.6, 3.2), sharey=True, layout="constrained")
for ax, values, title in zip(panels, (right_share, support), ("accuracy", "share of support vectors"), strict=True):
    image = ax.imshow(values, extent=(-2.5, 4.5, -2.5, 3.5), origin="lower", cmap="cividis", aspect="auto")
    ax.set(xlabel="$\\log_{10} C$", title=title)
    fig.colorbar(image, ax=ax).solids.set_rasterized(True)
panels[0].set_ylabel("$\\log_{10} \\gamma$")
