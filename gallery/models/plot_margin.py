"""
Margin: the widest street, and what width is good for
=====================================================

The widest street between two classes runs across the shortest bridge between their convex hulls. Training a linear
scorer for longer makes its functional margins grow, whereas the middle of its geometric ones stays in place. Among
classifiers that make no mistake on the training set, those with a wider margin make fewer on new data, on average.
"""

# %%
# The widest street
# -----------------
#
# Two separable classes. The bridge ends at points of the hulls, in this draw not at two examples: the nearest two are
# farther apart than the street is wide.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.autodiff import value_and_gradient
from dlref.losses import cross_entropy
from dlref.models import functional_margin, geometric_margin, hard_margin, margin_distribution, multiclass_margin

rng = np.random.default_rng(2)
x = np.concatenate([rng.normal((4.0, 0.6), 1, (20, 2)), rng.normal((-1.0, -0.6), 1, (20, 2))])
y = np.repeat([1, -1], 20)
street = hard_margin(x, y, tol=1e-9)
assert np.isclose(functional_margin(x @ street.w + street.intercept, y).min(), 1)

ends = [
    np.abs(street.coefficients[side]) @ x[street.support[side]] / np.abs(street.coefficients[side]).sum()
    for side in (street.coefficients > 0, street.coefficients < 0)
]
assert np.isclose(np.linalg.norm(ends[0] - ends[1]), 2 * street.margin)
nearest = np.linalg.norm(x[y > 0][:, None] - x[y < 0], axis=2).min()
assert nearest > 2 * street.margin + 0.01, "in this draw; never less than the street's width"

angles = np.linspace(-np.pi, np.pi, 2001)
directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
widths = np.array([(x[y > 0] @ u).min() - (x[y < 0] @ u).max() for u in directions])
assert widths.max() <= 2 * street.margin * (1 + 1e-9), "no direction has a wider street"
turned = (angles > angles[widths.argmax()]) & (widths < 1.5 * street.margin)
other = directions[turned.argmax()]
edges = (x[y > 0] @ other).min(), (x[y < 0] @ other).max()
assert 0 < edges[0] - edges[1] < 1.6 * street.margin

# alt: Two clouds of twenty points, each inside the polygon of its hull. A wide shaded band runs between the hulls; a
#   thick segment crosses it at a right angle from hull to hull. A second, narrower band, dashed, also separates them
#   and leans to the other side.
# caption: The widest street, $2/\|w\|$ across (shaded), with the bridge between the hulls, and a narrower one (dashed)
#   that separates the same points.
fig, ax = plt.subplots(figsize=(5.6, 4), layout="constrained")
for label, style in ((1, "C0o"), (-1, "C1s")):
    points = x[y == label]
    ax.plot(*points.T, style, markersize=4)
    outline = np.unique([(points @ u).argmax() for u in directions[:-1:5]], return_index=True)
    corners = outline[0][outline[1].argsort()]
    ax.fill(*points[corners].T, color=style[:2], alpha=0.15)
height = np.linspace(-4, 4, 2)
for normal, high, low, color, line in (
    (street.w, 1 - street.intercept, -1 - street.intercept, "C2", "-"),
    (other, *edges, "C3", "--"),
):
    sides = [(level - normal[1] * height) / normal[0] for level in (high, low)]
    for side in sides:
        ax.plot(side, height, color=color, linestyle=line)
    if line == "-":
        ax.fill_betweenx(height, *sides, color=color, alpha=0.2)
ax.plot(*np.transpose(ends), "C4-", linewidth=3)
ax.set(xlabel="$x_1$", ylabel="$x_2$", xlim=(-4, 6.5), ylim=(-3.5, 3.5), aspect="equal")

# %%
# Margins through training
# ------------------------
#
# Softmax regression on the digits, by gradient descent. The functional margins go on growing with the weights.

images, digits = load_digits(return_X_y=True)
images = (images / 16).astype(np.float32)
w, b = np.zeros((10, 64), np.float32), np.zeros(10, np.float32)


def loss(params, x, target):
    return cross_entropy(x @ params[0].T + params[1], target)


stages = {}
for step in range(801):
    if step in (10, 50, 200, 800):
        stages[step] = multiclass_margin(images @ w.T + b, digits), geometric_margin(images, digits, w, b)
    _, (dw, db) = value_and_gradient(loss, (w, b), images, digits)
    w, b = w - np.float32(0.5) * dw, b - np.float32(0.5) * db
middle = {step: [np.median(margins) for margins in pair] for step, pair in stages.items()}
assert middle[800][0] > 1.3 * middle[200][0] > 1.6 * middle[50][0]
assert np.ptp([middle[step][1] for step in (50, 200, 800)]) < 0.25 * middle[50][1]
lowest, highest = np.array([np.quantile(pair[1], (0.05, 0.95)) for pair in stages.values()]).T
assert (np.diff(lowest) > 0).all() and (np.diff(highest) < 0).all(), "the small ones grow at the cost of the large ones"
for pair in stages.values():
    assert margin_distribution(pair[0], 0.0) == margin_distribution(pair[1], 0.0), "both are negative together"

# alt: Two panels with four rising curves each, the share of the digits below a margin after 10, 50, 200 and 800
#   steps. Left, the curves of the functional margin move to the right at every stage. Right, those of the geometric
#   margin cross near one point and grow steeper: the small margins grow, the large ones shrink.
# caption: Share of the digits with at most that margin, through training: functional margins (left) and distances from
#   the nearest boundary (right).
fig, panels = plt.subplots(1, 2, figsize=(7.6, 3.2), sharey=True, layout="constrained")
for (step, pair), style in zip(stages.items(), ("C0:", "C1-.", "C2--", "C3-"), strict=True):
    for ax, margins in zip(panels, pair, strict=True):
        at = np.linspace(*np.quantile(margins, (0, 0.995)), 150)
        ax.plot(at, margin_distribution(margins, at), style, label=f"{step:,} steps")
panels[0].set(xlabel="functional margin", ylabel="share at or below")
panels[1].set(xlabel="geometric margin")
panels[0].legend()

# %%
# Width and new mistakes
# ----------------------
#
# Perceptrons on 60 images of threes and eights, from random starts of very different length. Each stops at the first
# weights without a training mistake: a long start is changed little, and tends to end with a thin margin. Four choices
# of the 60 images, thirty starts for each.

pair = np.isin(digits, (3, 8))
points, sides = images[pair].astype(float), np.where(digits[pair] == 8, 1, -1)
points = np.column_stack([points - points.mean(axis=0), np.ones(len(points))])


def perceptron(w, train):
    """Add each mistaken example to the weights until there is none."""
    while True:
        mistakes = 0
        for i in train:
            if sides[i] * (points[i] @ w) <= 0:
                w, mistakes = w + sides[i] * points[i], mistakes + 1
        if not mistakes:
            return w


def error(scores, rows):
    return np.mean(functional_margin(scores, sides[rows]) <= 0)


found, widest = [], []
for split in range(4):
    train, test = np.split(np.random.default_rng(split).permutation(len(points)), [60])
    pairs = []
    for seed in range(30):
        rng = np.random.default_rng([split, seed])
        w = perceptron(10 ** rng.uniform(-2, 1.5) * rng.normal(size=65), train)
        pairs.append((geometric_margin(points[train], sides[train], w).min(), error(points[test] @ w, test)))
    margins, errors = np.array(pairs).T
    best = hard_margin(points[train], sides[train], tol=1e-4)
    widest.append((best.margin, error(points[test] @ best.w + best.intercept, test)))
    found.append((margins, errors))
    thin = margins < np.median(margins)
    assert margins.min() > 0, "no training mistakes"
    assert best.margin > margins.max()
    assert errors[thin].mean() > errors[~thin].mean()
margins, errors = np.concatenate(found, axis=1)
thin = margins < np.median(margins)
assert errors[thin].mean() > 1.25 * errors[~thin].mean() and np.mean(widest, axis=0)[1] < 0.9 * errors.mean()

# alt: Scatter of 120 dots. Against the margin on the training set, on a logarithmic axis, the error on new digits falls
#   from around ten percent to around five, with much scatter. Four squares at the far right, the widest streets, lie
#   among the lowest, between two and four percent.
# caption: Error on new digits against the smallest geometric margin on the training set, for 120 perceptrons without a
#   training mistake and for the widest streets of the four training sets (squares).
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.plot(margins, errors, "C0o", markersize=4, alpha=0.7)
ax.plot(*np.transpose(widest), "C1s", markersize=8)
ax.set(xscale="log", xlabel="margin on the training set", ylabel="held-out error")
