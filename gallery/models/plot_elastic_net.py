"""
Elastic net: corners that make zeros, curves that keep groups
=============================================================

The L1 part of the penalty sets weights to exactly zero, and lets them in one by one as it is lowered. The L2 part lets
columns that resemble each other in together. The unit ball of the sum of both has corners, as that of L1, and bent
edges, as that of L2. The solver knows how far it is from the optimum, and ends there.
"""

# %%
# Three mixes
# -----------
#
# Ten standardized measurements of 442 diabetes patients. The larger the share of L1, the fewer weights at a time.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from dlref.models import elastic_net, elastic_net_largest, elastic_net_optimality, elastic_net_path, soft_threshold

x, y = load_diabetes(return_X_y=True)
x = x / x.std(axis=0)
mixes = (1.0, 0.5, 0.05)
paths = [elastic_net_path(x, y, mix, elastic_net_largest(x, y, mix) * np.logspace(0, -4, 81)) for mix in mixes]
for path in paths:
    assert path.converged.all() and (path.w[0] == 0).all() and (path.w[-1] != 0).all()
used = [np.count_nonzero(path.w, axis=1) for path in paths]
half = [count[np.argmin(np.abs(np.abs(p.w).sum(axis=1) - 60))] for count, p in zip(used, paths, strict=True)]
assert half[0] < half[1] < half[2], "at equal L1 length, the purer mix uses fewer columns"

# alt: Three panels with ten curves each, the weights over the penalty as a share of the largest, which is at the left
#   end. Curves leave zero one after the other; in the left panel, the lasso, with sharp bends and few at a time, in the
#   right panel, with 5 percent L1, smoothly and nearly all at once.
# caption: Weights over the penalty, from the smallest that allows none (left) downward, for three shares of L1.
fig, panels = plt.subplots(1, 3, figsize=(7.8, 3.1), sharey=True, layout="constrained")
for ax, path, mix in zip(panels, paths, mixes, strict=True):
    for j in range(10):
        ax.plot(path.alphas / path.alphas[0], path.w[:, j], f"C{j % 5}", linestyle="-" if j < 5 else "--")
    ax.set(xscale="log", xlabel="penalty / largest", title=f"{mix:.0%} L1", xlim=(1, 1e-4))
panels[0].set_ylabel("weight")

# %%
# Balls and thresholds
# --------------------
#
# All pairs of weights with the same penalty. A minimum tends to sit at a corner, where one of them is zero.

angle = np.linspace(0, 2 * np.pi, 401)
direction = np.stack([np.cos(angle), np.sin(angle)])


def ball(mix):
    """The length at which mix * |w|_1 + (1 - mix) / 2 * |w|^2 is one half, in every direction."""
    linear, square = mix * np.abs(direction).sum(axis=0), (1 - mix) / 2
    return 0.5 / linear if square == 0 else (np.sqrt(linear**2 + 2 * square) - linear) / (2 * square)


radii = {mix: ball(mix) / ball(mix)[0] for mix in (1.0, 0.5, 0.0)}
slopes = {mix: (r[1] * direction[:, 1] - r[0] * direction[:, 0])[0] / angle[1] for mix, r in radii.items()}
assert abs(slopes[0.0]) < 0.01 and slopes[0.5] < -0.1 and slopes[1.0] < -0.9, "corners where L1 is in"
scores = np.linspace(-3, 3, 121)
shrunk = {mix: soft_threshold(scores, mix) / (1 + (1 - mix)) for mix in radii}
assert (shrunk[1.0][np.abs(scores) < 1] == 0).all() and np.count_nonzero(shrunk[0.0]) == 120

history = elastic_net(x, y, 0.02, 1.0, tol=1e-10).history
final = history[-1, 2]
assert (history[:, 2] <= final * (1 + 1e-12)).all() and (history[:, 1] >= final).all()
assert history[-1, 3] <= 1e-10 * y.var() / 2

# alt: Three panels. Left, three closed curves through the points at one on both axes: a square on its corner, a rounder
#   one with blunter corners, and a circle. Middle, three rising curves, flat at zero in the middle: up to 1 for L1, up
#   to one half for the mix, nowhere for L2, which is a straight line of slope one half. Right, the relative gap over
#   epochs on a logarithmic axis falls below one part in ten billion.
# caption: Left: weights of equal penalty. Middle: what becomes of a weight in one step, for a column of length one.
#   Right: relative duality gap of the lasso on the diabetes data, where the solver has measured it.
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(7.8, 2.9), layout="constrained")
for (mix, r), style in zip(radii.items(), ("C0-", "C1--", "C2-."), strict=True):
    left.plot(*(r * direction), style)
    middle.plot(scores, shrunk[mix], style, label=f"{mix:.0%} L1")
left.set(xlabel="$w_1$", ylabel="$w_2$", aspect="equal")
middle.set(xlabel="before", ylabel="after")
middle.legend(fontsize="small")
right.semilogy(history[:, 0], np.maximum(history[:, 3] / history[0, 1], 1e-16), "C0.-")
right.set(xlabel="epochs", ylabel="gap / start")

# %%
# Columns that resemble each other
# --------------------------------
#
# Three nearly equal columns carry one signal, three others another of half its size, and noise. The lasso picks among
# the three as the noise has it; the elastic net keeps them together.

rng = np.random.default_rng(0)
signals = rng.normal(size=(100, 2))
groups = np.repeat(signals, 3, axis=1) + 0.1 * rng.normal(size=(100, 6))
target = signals @ [4.0, 2.0] + rng.normal(size=100)
grouped = [elastic_net_path(groups, target, mix, np.logspace(0.7, -2, 60), tol=1e-10) for mix in (1.0, 0.3)]
at = 35
spread = [np.ptp(path.w[at, :3]) / path.w[at, :3].mean() for path in grouped]
assert spread[0] > 4 * spread[1]
for path, mix in zip(grouped, (1.0, 0.3), strict=True):
    best = elastic_net_optimality(groups, target, path.w[at], path.alphas[at], mix)
    assert best.gap <= 1e-10 * target.var() / 2 * 1.001, "the share of the objective of zero weights that was asked for"

# alt: Two panels with six curves over the penalty. Left, the lasso: one curve of the solid group takes nearly all at
#   first and the others follow late, far apart. Right, the elastic net: the three solid curves rise together, and so
#   do the three dashed ones below them.
# caption: Two groups of three nearly equal columns (solid and dashed), by the lasso and with 30 % L1.
fig, panels = plt.subplots(1, 2, figsize=(7.6, 3), sharey=True, layout="constrained")
for ax, path, name in zip(panels, grouped, ("lasso", "elastic net"), strict=True):
    for j in range(6):
        ax.plot(path.alphas, path.w[:, j], f"C{j % 3}", linestyle="-" if j < 3 else "--")
    ax.set(xscale="log", xlabel=r"penalty $\alpha$", title=name, xlim=(5, 1e-2))
panels[0].set_ylabel("weight")
