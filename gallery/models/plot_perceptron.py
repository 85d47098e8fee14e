"""
Perceptron: one correction at a time
====================================

Every mistake turns the boundary a little. Where a hyperplane separates the classes the mistakes come to an end, after
at most the square of radius over margin, whatever the number of examples or dimensions; thin margins may need many.
Where none does, as for exclusive or, they never end, but the weights stay bounded, and the best of them can be kept.
"""

# %%
# The boundary after each mistake
# -------------------------------
#
# Two classes in the plane, thirty points each, visited in order. Points that came too near to a line between the
# classes have been moved away from it, so that a margin of 0.3 is certain.

import matplotlib.pyplot as plt
import numpy as np

from dlref.models import perceptron, perceptron_bound, perceptron_pocket

rng = np.random.default_rng(0)
y = np.tile([1, -1], 30)
x = rng.normal(size=(60, 2)) * [0.8, 1.1] + y[:, None] * [1.7, 0.9]
across = np.array([0.88, 0.47])
x += np.outer(y * np.maximum(0.3 - y * (x @ across), 0), across)
total = int(perceptron(x, y).mistakes.sum())
stages = [perceptron(x, y, max_mistakes=m) for m in range(1, total + 1)]
bound = perceptron_bound(x, y)
final = stages[-1]
assert 0 < total <= bound.bound
assert (y * (x @ final.w + final.intercept) > 0).all()
width = (y * (x @ final.w + final.intercept)).min() / np.hypot(*final.w)
best = (y * (x @ bound.w + bound.intercept)).min() / np.hypot(*bound.w)
assert width < best, "it stops at any boundary that separates"

# alt: Two clouds of thirty points each. Three straight lines, from faint to strong, turn about the middle; the last
#   runs between the clouds, close to one of them. A dashed line, steeper, runs midway between their nearest points.
# caption: The boundary after each mistake, the later the stronger; dashed, the one with the widest margin among those
#   through the origin of the points with a constant column.
fig, ax = plt.subplots(figsize=(5.6, 3.9), layout="constrained")
for label, style in ((1, "C0o"), (-1, "C1s")):
    ax.plot(*x[y == label].T, style, markersize=4)
height = np.array([-4.0, 4.0])
for m, stage in enumerate(stages, 1):
    if stage.w[0] != 0:
        side = -(stage.w[1] * height + stage.intercept) / stage.w[0]
        ax.plot(side, height, "C2-", alpha=0.15 + 0.85 * (m / total) ** 2, linewidth=2.2 if m == total else 1)
ax.plot(-(bound.w[1] * height + bound.intercept) / bound.w[0], height, "C3--")
ax.set(xlabel="$x_1$", ylabel="$x_2$", xlim=(-4.5, 4.5), ylim=(-3.5, 3.5))

# %%
# Mistakes and their bound
# ------------------------
#
# Sets of 50 points in five dimensions, around hyperplanes through the origin with margins of all sizes.

pairs = []
for seed in range(150):
    rng = np.random.default_rng(seed)
    u = rng.normal(size=5)
    u /= np.linalg.norm(u)
    points = rng.normal(size=(50, 5))
    side = np.where(points @ u >= 0, 1, -1)
    points += (10 ** rng.uniform(-1.3, 0.7) * side)[:, None] * u
    found = perceptron(points, side, intercept=False, max_epochs=100_000)
    limit = perceptron_bound(points, side, intercept=False)
    assert found.converged and found.mistakes.sum() <= limit.bound
    pairs.append((limit.margin / limit.radius, found.mistakes.sum(), limit.bound))
ratio, made, allowed = np.array(pairs).T
order = np.argsort(ratio)
thin, wide = order[:30], order[-30:]
assert np.median(made[thin]) > 10 * np.median(made[wide])
assert np.median(made / allowed) < 0.2, "most runs stay far below"

# alt: Scatter of 150 dots on logarithmic axes, mistakes over the margin as a share of the radius. They fall from
#   tens at a share of three hundredths to one at one half. A straight line of slope minus two lies above all
#   of them.
# caption: Mistakes until there are none, over the widest margin as a share of the radius. The line is the bound
#   $(R / \gamma)^2$.
fig, ax = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
ax.loglog(ratio, made, "C0o", markersize=4, alpha=0.7)
span = np.array([ratio.min(), ratio.max()])
ax.loglog(span, span**-2.0, "C1-")
ax.minorticks_off()
ax.set_xticks([0.03, 0.1, 0.3], ["0.03", "0.1", "0.3"])
ax.set(xlabel="margin / radius", ylabel="mistakes")

# %%
# Exclusive or, and a pocket
# --------------------------
#
# Four points that no line separates, and two overlapping clouds.

corners, odd = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]]), np.array([1, 1, -1, -1])
run = perceptron(corners, odd, max_epochs=200)
assert not run.converged and run.mistakes.min() >= 1
trail = np.array([perceptron(corners, odd, max_mistakes=m)[:2][0] for m in range(1, 120)])
length = np.linalg.norm(trail, axis=1)
assert length.max() < 5 and np.array_equal(run.mistakes[100:], np.full(100, run.mistakes[100])), "round in a circle"

rng = np.random.default_rng(0)
labels = np.tile([1, -1], 600)
cloud = rng.normal(size=(1200, 2)) + 0.8 * labels[:, None]
train, test = np.arange(200), np.arange(200, 1200)
shares = []
for epochs in range(1, 31):
    raw = perceptron(cloud[train], labels[train], rng=np.random.default_rng(1), max_epochs=epochs)
    kept = perceptron_pocket(cloud[train], labels[train], np.random.default_rng(1), max_steps=200 * epochs)
    lines = (raw.w, raw.intercept), (raw.averaged, raw.averaged_intercept), (kept.w, kept.intercept)
    shares.append([np.mean(labels[test] * (cloud[test] @ w + b) > 0) for w, b in lines])
shares = np.array(shares)
assert shares[5:, 0].min() < shares[5:, 1:].min() - 0.02 and np.ptp(shares[5:, 0]) > 3 * np.ptp(shares[5:, 1])

# alt: Left, the number of mistakes in each of 30 epochs over four points stays at four after the first epochs. Right,
#   the share of right answers on new points over 30 epochs: the last weights jump between 77 and 86 percent, the
#   averaged ones stay at 86, those from the pocket at 84.
# caption: Left: mistakes in each epoch on exclusive or. Right: overlapping clouds, share of 1,000 new points that the
#   last weights, the averaged ones and those in the pocket get right.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.1), layout="constrained")
left.plot(np.arange(1, 31), run.mistakes[:30], "C0o-", markersize=4)
left.set(xlabel="epoch", ylabel="mistakes", ylim=(0, 4.4))
for values, style, name in zip(shares.T, ("C0-", "C1--", "C2-."), ("last", "averaged", "pocket"), strict=True):
    right.plot(np.arange(1, 31), values, style, label=name)
right.set(xlabel="epoch", ylabel="right on new points", ylim=(0.74, 0.87))
right.legend(loc="lower center", ncols=3, fontsize="small")
