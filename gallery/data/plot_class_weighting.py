"""
Class weighting: a threshold in disguise, and one that can fade
===============================================================

A weight on the rare class moves the boundary of a model that cannot fit its data, just as copies of the examples would,
and trades precision for recall. In a model that can separate its training data, trained long enough, the weight stops
mattering.
"""

# %%
# What a weight buys
# ------------------
#
# Two normal classes in the plane, a hundred positives among two thousand, and logistic regressions whose positives have
# the weight w. A larger weight pushes the boundary towards the negatives. Each positive repeated w times gives the same
# model.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

from dlref.data import balanced_weights
from dlref.losses import cross_entropy_with_gradient
from dlref.metrics import confusion_matrix, precision, precision_recall_curve, recall

rng = np.random.default_rng(0)


def sample(negatives, positives):
    y = np.repeat([0, 1], [negatives, positives])
    x = rng.normal(size=(len(y), 2))
    x[y == 1, 0] += 2
    return x, y


x, y = sample(1900, 100)
tested, truth = sample(19_000, 1000)
balanced = balanced_weights(y, 2)
assert np.isclose(balanced[1] / balanced[0], 19)
weights, rows, copied, lines = np.array([0.2, 1, 3, 10, 19, 60, 200]), [], [], {}
for w in weights:
    model = LogisticRegression(C=1e6).fit(x, y, sample_weight=np.where(y == 1, w, 1.0))
    table = confusion_matrix(model.predict(tested), truth)
    rows.append((recall(table), precision(table)))
    lines[w] = [(*model.coef_[0], model.intercept_[0])]
    if w >= 1:
        index = np.concatenate([np.arange(1900), np.repeat(np.arange(1900, 2000), int(w))])
        other = LogisticRegression(C=1e6).fit(x[index], y[index])
        copied.append((*(model.coef_[0] - other.coef_[0]), *(model.intercept_ - other.intercept_)))
        lines[w].append((*other.coef_[0], other.intercept_[0]))
rows = np.array(rows)
assert np.abs(copied).max() < 0.02
assert (np.diff(rows[:, 0]) > 0).all() and (np.diff(rows[:, 1]) < 0).all()
curve = precision_recall_curve(LogisticRegression(C=1e6).fit(x, y).decision_function(tested), truth)
nearest = [np.abs(np.array([r, p])[:, None] - [curve.recall, curve.precision]).max(0).min() for r, p in rows]
assert max(nearest) < 0.02, nearest

places = [-lines[w][0][2] / lines[w][0][0] for w in weights]
assert (np.diff(places) < 0).all()

# alt: Left, a cloud of many negatives and a small one of positives to its right. Three nearly parallel lines, of the
#   weights 1, 19 and 200, stand from right to left, each with a thinner dashed one of the copies upon it. Right, a
#   falling curve of precision against recall. Seven dots with the weights 0.2 to 200 beside them lie on it, from high
#   precision and low recall on the upper left to the reverse on the lower right.
# caption: Left, boundaries of three weightings (solid) and of as many copies of each positive (dashed). Right, seven
#   weightings (dots) on the precision-recall curve of the unweighted model (line): a weight chooses a threshold.
fig, (left, ax) = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
for label, color, marker in ((0, "C0", "."), (1, "C1", "+")):
    left.plot(*x[y == label][:300].T, color + marker, markersize=4, alpha=0.6, rasterized=True)
height = np.array([-3.0, 3.0])
for w, color in ((1, "C2"), (19, "C3"), (200, "C4")):
    for (a, b, c), style, width in zip(lines[w], ("-", "--"), (5, 1.2), strict=True):
        name, faint = (f"{w}", 0.5) if style == "-" else (None, 1.0)
        left.plot(-(c + b * height) / a, height, color + style, linewidth=width, alpha=faint, label=name)
left.set(xlim=(-3, 5), ylim=(-3, 3), xlabel="feature 1", ylabel="feature 2")
left.legend(title="weight", loc="lower right", fontsize="small")
thin = slice(40, None, 40)
ax.plot(curve.recall[thin], curve.precision[thin], "C0-", label="unweighted, all thresholds")
ax.plot(*rows.T, "C1o", label="weights")
for (r, p), w in zip(rows, weights, strict=True):
    ax.annotate(f"{w:g}", (r, p), xytext=(6, 4), textcoords="offset points", color="C1")
ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1.08), ylim=(0, 1.03))
ax.legend(loc="lower left")

# %%
# A weight that fades
# -------------------
#
# Now two clouds that a line can separate, and logistic regression by steps of fixed length, with the weight 1 and with
# 30. Both lines turn towards the one with the largest margin. Where the clouds overlap they stay apart for good.


def train(x, y, weight, steps):
    """Return the boundary on the axis between the classes after each step: gradient steps of length 0.05."""
    points, w, found = np.column_stack([x, np.ones(len(x))]), np.zeros(3), []
    for _ in range(steps):
        logits = np.column_stack([np.zeros(len(x)), points @ w])
        g = points.T @ cross_entropy_with_gradient(logits, y, [1.0, weight]).gradient[:, 1]
        w -= 0.05 * g / np.linalg.norm(g)
        found.append(-w[2] / w[0])
    return np.array(found)


steps, clouds = 2000, {}
y = np.repeat([0, 1], [60, 20])
noise = rng.normal(size=(80, 2))
for name, spread in (("separable", 0.35), ("overlapping", 1.0)):
    x = spread * noise
    x[y == 1, 0] += 2
    clouds[name] = [train(x, y, weight, steps) for weight in (1.0, 30.0)]
gaps = {name: np.abs(plain - weighted) for name, (plain, weighted) in clouds.items()}
early, late = slice(20, 60), slice(-400, None)
assert gaps["separable"][late].mean() < 0.25 * gaps["separable"][early].mean()
assert gaps["overlapping"][late].mean() > 0.5

# alt: Gap between two boundaries against the step, both axes logarithmic. For overlapping classes it stays near 1. For
#   separable classes it falls steadily to less than a tenth of its beginning.
# caption: Distance between the boundaries that weights of 1 and 30 lead to, on the axis between the classes.
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
kept = np.unique(np.geomspace(20, steps, 120).astype(int)) - 1
for (name, gap), style in zip(gaps.items(), ("C0-", "C1--"), strict=True):
    smooth = np.array([gap[max(0, k - k // 4) : k + 1].mean() for k in kept])
    ax.loglog(kept + 1, smooth, style, label=name)
ax.set(xlabel="step", ylabel="gap of the boundaries")
ax.legend(loc="lower left")
print({name: (round(float(g[early].mean()), 3), round(float(g[late].mean()), 3)) for name, g in gaps.items()})
