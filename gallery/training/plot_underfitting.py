"""
Underfitting: what more data does not mend
==========================================

A model that cannot follow the truth has nearly the same high error on training and on new data, and more examples only
bring the two together, at a height that can be computed. What helps depends on the cause: more capacity, more steps or
less of a penalty. Training longer does not help a line, and a richer model does not help one that stops too soon.
"""

# %%
# Learning curves
# ---------------
#
# A target that bends: a sine and a square of two inputs, with noise. A linear model and one with products of the inputs
# up to degree 5.

import matplotlib.pyplot as plt
import numpy as np

from dlref.training import best_linear_error, bias_estimate, learning_curve, legendre_features

NOISE = 0.3


def truth(x):
    return np.sin(2.5 * x[:, 0]) + x[:, 1] ** 2


def features(x, degree):
    """Products of Legendre polynomials of the two inputs, up to a total degree."""
    a, b = (legendre_features(np.ascontiguousarray(column), degree) for column in x.T)
    return np.column_stack([a[:, i] * b[:, k - i] for k in range(degree + 1) for i in range(k + 1)])


def draw(n, rng):
    x = rng.uniform(-1, 1, (n, 2))
    return x, truth(x) + NOISE * rng.normal(size=n)


rng = np.random.default_rng(0)
x, y = draw(3000, rng)
new_x, new_y = draw(20_000, rng)
sizes = np.unique(np.geomspace(25, 3000, 12).astype(int))
curves = {}
for degree in (1, 5):
    a, b = features(x, degree), features(new_x, degree)

    def train_and_judge(rows, a=a, b=b):
        w = np.linalg.lstsq(a[rows], y[rows], rcond=None)[0]
        return np.mean((y[rows] - a[rows] @ w) ** 2), np.mean((new_y - b @ w) ** 2)

    curves[degree] = learning_curve(train_and_judge, len(x), sizes, np.random.default_rng(1), repeats=10)

# Moments of the uniform distribution, on a fine grid.
side = (np.arange(400) + 0.5) / 200 - 1
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
moments = np.cov(np.column_stack([grid, truth(grid)]).T, bias=True)
plateau = best_linear_error(moments[:2, :2], moments[:2, 2], moments[2, 2] + NOISE**2)
last = {degree: (curve.train[:, -1].mean(), curve.test[:, -1].mean()) for degree, curve in curves.items()}
# A mean of n squares of about normal numbers is off by a share of the root of 2 / n: four of these, and what the
# 3 weights of 3,000 examples cost.
for value, n in zip(last[1], (3000, 20_000), strict=True):
    assert abs(value / plateau - 1) < 4 * np.sqrt(2 / n) + 3 / 3000
assert plateau > 2 * NOISE**2 > 1.8 * last[5][1]
assert curves[5].test[:, 0].mean() > curves[1].test[:, 0].mean()

capacities, bias, variance = np.arange(8), [], []
for degree in capacities:
    a, b, found = features(x, degree), features(new_x, degree), []
    for _ in range(60):
        rows = rng.choice(len(x), 100, replace=False)
        found.append(b @ np.linalg.lstsq(a[rows], y[rows], rcond=None)[0])
    estimate = bias_estimate(found, truth(new_x))
    bias.append(estimate.bias)
    variance.append(estimate.variance)
bias, variance = np.array(bias), np.array(variance)
assert bias[1] > 10 * variance[1] and bias[3:].max() < 0.2 * bias[1]

# alt: Left, errors over the number of examples. The two curves of the linear model, on training and new data, meet near
#   a dashed line at 0.26; those of degree 5 begin far apart and meet at a dotted line of the noise at 0.09. Right, over
#   the degree from 0 to 7 on a logarithmic axis, the squared bias falls from 0.7 to below a hundredth, and the variance
#   rises from below a hundredth to 0.3; they cross between degree 2 and 3.
# caption: Left: error on new data (thick) and on the training set (thin), mean of 10 repetitions; dashed, the least of
#   any linear model; dotted, the noise. Right: estimated squared bias and variance with 100 examples.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.3), layout="constrained")
for (degree, curve), style in zip(curves.items(), ("C0-", "C1-"), strict=True):
    left.plot(sizes, curve.test.mean(axis=0), style, linewidth=2, label=f"degree {degree}")
    left.plot(sizes, curve.train.mean(axis=0), style, linewidth=0.8)
left.axhline(plateau, color="C0", linestyle="--", linewidth=0.8)
left.axhline(NOISE**2, color="C4", linestyle=":")
left.set(xscale="log", xlabel="training examples", ylabel="mean squared error", ylim=(0, 0.5))
left.legend()
right.semilogy(capacities, np.maximum(bias, 1e-4), "C0o-", markersize=4, label="bias²")
right.semilogy(capacities, variance, "C1s--", markersize=4, label="variance")
right.set(xlabel="degree", ylabel="estimate")
right.legend()

# %%
# Three causes, four changes
# --------------------------
#
# The same target from 200 examples by gradient descent on the mean squared error plus a penalty: with degree 1, with
# degree 4 and two steps, and with degree 4 and a strong penalty. The weights after t steps are known in closed form.
# All errors are means over 20 draws of the examples.


def descended(a, y, penalty, steps):
    """Weights of gradient descent from zero after so many steps, at the longest step that is safe."""
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    curvature = s**2 / len(y) + penalty
    travelled = 1 - (1 - curvature / curvature.max()) ** steps
    return (travelled * (s / len(y)) * (y @ u) / curvature) @ vt


causes = {
    "too simple": {"n": 200, "degree": 1, "penalty": 1e-4, "steps": 10_000},
    "too few steps": {"n": 200, "degree": 4, "penalty": 1e-4, "steps": 2},
    "too much penalty": {"n": 200, "degree": 4, "penalty": 0.5, "steps": 10_000},
}
changes = {
    "as it is": {},
    "15 x data": {"n": 3000},
    "degree 4": {"degree": 4},
    "10,000 steps": {"steps": 10_000},
    "penalty 0.0001": {"penalty": 1e-4},
}
draws = [draw(3000, rng) for _ in range(20)]
table = np.empty((2, len(causes), len(changes)))
for i, cause in enumerate(causes.values()):
    for j, change in enumerate(changes.values()):
        knobs, errors = cause | change, []
        b = features(new_x[:4000], knobs["degree"])
        for x, y in draws:
            a, target = features(x[: knobs["n"]], knobs["degree"]), y[: knobs["n"]]
            w = descended(a, target, knobs["penalty"], knobs["steps"])
            errors.append((np.mean((target - a @ w) ** 2), np.mean((new_y[:4000] - b @ w) ** 2)))
        table[:, i, j] = np.mean(errors, axis=0)
start = table[1, :, 0]
assert (table[0, :, 0] > 1.8 * NOISE**2).all() and (np.abs(table[1, :, 0] / table[0, :, 0] - 1) < 0.35).all()
assert (table[1, :, 1] > 0.85 * start).all(), "data help none of them"
cures = np.array([2, 3, 4])
for i, cure in enumerate(cures):
    assert table[1, i, cure] < 0.65 * start[i], "the cause's own change does"
    others = np.setdiff1d([1, 2, 3, 4], cure)
    assert (table[1, i, others] > 0.85 * start[i]).all(), "and no other"

# alt: Three groups of five bars of the error on new data, with a dot on each for the training error, and a dotted line
#   of the noise. In the first group only degree 4 brings the bar far down, in the second only more steps, in the third
#   only the smaller penalty. Fifteen times the data lowers none by much.
# caption: Error on new data (bars) and on the training set (dots) for three models that underfit, as they are and after
#   one change, means over 20 draws; dotted, the noise.
fig, ax = plt.subplots(figsize=(7.6, 3.3), layout="constrained")
for j, name in enumerate(changes):
    at = np.arange(3) + 0.16 * (j - 2)
    ax.bar(at, table[1, :, j], 0.14, color=f"C{j}", alpha=0.8, label=name)
    ax.plot(at, table[0, :, j], "C4o" if j != 4 else "C0o", markersize=3)
ax.axhline(NOISE**2, color="C3", linestyle=":")
ax.set_xticks(np.arange(3), causes)
ax.set(ylabel="mean squared error", ylim=(0, 1.35 * table[1].max()))
ax.legend(ncols=5, fontsize="small", loc="upper center")
