"""
Objective function: where the optimum lies depends on what is asked
===================================================================

The same data have a different best model under each objective: maximum likelihood, a normal prior, a Laplace prior,
which can set a weight to exactly zero. Two objectives at once have no best model but a front, and weighted sums reach
only the convex part of it.
"""

# %%
# One data set, three objectives
# ------------------------------
#
# Two correlated features, twelve examples. The maximum of the first two objectives has a closed form; that of
# the third is found by coordinate ascent, one feature at a time. Of two hundred data sets drawn alike, many have an
# exact zero under the Laplace prior and none under the normal one; the first with a zero is drawn below.

import matplotlib.pyplot as plt
import numpy as np

from dlref.losses import gaussian_log_likelihood, log_posterior, pareto_front

rng = np.random.default_rng(3)
noise, normal, laplace = 1.0, 0.4, 0.15


def tops(x, y):
    """Return the weights at which each of the three objectives is highest."""
    likeliest = np.linalg.solve(x.T @ x, x.T @ y)
    ridge = np.linalg.solve(x.T @ x + noise**2 / normal**2 * np.eye(2), x.T @ y)
    lasso = np.zeros(2)
    for _ in range(100):
        for j in range(2):
            pull = x[:, j] @ (y - x @ lasso + x[:, j] * lasso[j])
            lasso[j] = np.sign(pull) * max(abs(pull) - noise**2 / laplace, 0) / (x[:, j] @ x[:, j])
    return likeliest, ridge, lasso


sets = []
for _ in range(200):
    x = rng.normal(size=(12, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    y = x @ [1.2, 0.3] + rng.normal(size=12)
    sets.append((x, y, *tops(x, y)))
zeros = {name: [np.count_nonzero(data[k]) == 1 for data in sets] for name, k in (("normal", 3), ("Laplace", 4))}
print("data sets of 200 with one weight of zero:", {name: int(np.sum(has)) for name, has in zeros.items()})
assert np.mean(zeros["Laplace"]) > 0.2 and not any(zeros["normal"])
x, y, likeliest, ridge, lasso = sets[int(np.argmax(zeros["Laplace"]))]

objectives = {
    "log-likelihood": (lambda w: gaussian_log_likelihood(x @ w, noise, y), likeliest),
    "normal prior": (lambda w: log_posterior(x @ w, w, y, noise, normal), ridge),
    "Laplace prior": (lambda w: log_posterior(x @ w, w, y, noise, laplace, "laplace"), lasso),
}
side = np.linspace(-1, 2, 37)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
maps = {}
for name, (objective, best) in objectives.items():
    maps[name] = np.array([objective(w) for w in grid]).reshape(37, 37)
    assert objective(best) >= maps[name].max() - 1e-9, f"{name}: the dot is the top"
assert 0 < np.linalg.norm(ridge) < np.linalg.norm(likeliest) and np.all(ridge != 0)
assert np.count_nonzero(lasso) == 1

# alt: Three panels of contour lines over two weights. Those of the likelihood are ellipses around the cross. With a
#   normal prior they are narrower and the top has moved towards the origin. With a Laplace prior the lines have corners
#   on the axes and the top lies exactly on one axis.
# caption: Three objectives for the same twelve examples, to be maximized. The dot is the optimum; the cross, in all
#   panels, is that of the likelihood.
fig, axes = plt.subplots(1, 3, figsize=(7.2, 2.9), sharey=True, layout="constrained")
for ax, (name, (_, best)) in zip(axes, objectives.items(), strict=True):
    height = maps[name]
    levels = height.max() - np.array([20, 13, 8, 4, 2, 0.5])
    ax.contour(side, side, height, levels=levels, colors="C0", linewidths=0.8, linestyles="solid")
    ax.axhline(0, color="C3", linewidth=0.6)
    ax.axvline(0, color="C3", linewidth=0.6)
    ax.plot(*likeliest, "C2x", markersize=8, markeredgewidth=2)
    ax.plot(*best, "C1o")
    ax.set(title=name, xlabel="first weight")
    ax.set_aspect("equal")
axes[0].set(ylabel="second weight")

# %%
# Two objectives at once
# ----------------------
#
# Left, error against squared weight norm: both are convex, so is the front, and every point of it is the optimum of a
# weighted sum, a ridge regression. Right, two bell-shaped costs with their bottoms at -1 and 1: the front bulges, and a
# weighted sum has its optimum only at the front's ends.

cloud = rng.uniform(-1, 2, size=(1500, 2))
pairs = np.stack([((cloud @ x.T - y) ** 2).mean(axis=1), (cloud**2).sum(axis=1)], axis=1)
alphas = np.geomspace(1e-3, 1e2, 60)
path = np.array([np.linalg.solve(x.T @ x / 12 + a * np.eye(2), x.T @ y / 12) for a in alphas])
sums = np.stack([((path @ x.T - y) ** 2).mean(axis=1), (path**2).sum(axis=1)], axis=1)
assert pareto_front(np.concatenate([sums, pairs]))[:60].all(), "no candidate dominates a ridge regression"

place = np.linspace(-2, 2, 801)
bells = 1 - np.exp(-((place[:, None] - np.array([-1.0, 1.0])) ** 2))
front = pareto_front(bells)
assert np.allclose(place[front][[0, -1]], [-1, 1]), "the front is everything between the two bottoms"
reached = {int((share * bells[:, 0] + (1 - share) * bells[:, 1]).argmin()) for share in np.linspace(0, 1, 201)}
assert abs(place[sorted(reached)]).min() > 0.8, "nothing in the middle"

# alt: Two panels. Left, a curve that sags towards the origin, with candidates above and to the right of it and dots all
#   along it. Right, a curve that bulges away from the origin between its two ends; dots stand only near the two ends.
# caption: Fronts of two objectives, both to be minimized. The dots are the optima of weighted sums. They cover a convex
#   front, left, and only the ends of one that bulges, right.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.3), layout="constrained")
shown = (pairs[:, 0] < 3) & (pairs[:, 1] < 2.2)
left.plot(*pairs[shown][:150].T, "C2.", markersize=2, label="other models")
left.plot(*sums.T, "C0", label="front")
left.plot(*sums[::6].T, "C1o", markersize=5, label="weighted sums")
left.set(xlabel="mean squared error", ylabel="squared norm of the weights")
left.legend()
right.plot(*bells[front].T, "C0")
right.plot(*bells[sorted(reached)].T, "C1o", markersize=5)
right.set(xlabel="first cost", ylabel="second cost")
