"""
Gradient descent: every direction has its own speed
===================================================

On a quadratic the error in each eigenvector of the Hessian is multiplied by one minus rate times curvature, step after
step. The largest curvature limits the rate, the smallest one then sets the pace. Choosing the best rate in every step
does not change that. And with noisy gradients a constant rate ends at a floor which is known in closed form.
"""

# %%
# Below, at and above the limit
# -----------------------------
#
# The curvatures are 1 and 10, so the limit is 2/10.

import matplotlib.pyplot as plt
import numpy as np

from dlref.optimizers import exact_rate, sgd, sgd_least_squares, sgd_state

curvature = np.array([1.0, 10.0])


def descend(lr, start, steps):
    """The path; a rate of None stands for the exact line search."""
    p, state, path = np.array(start), sgd_state(start), [np.array(start)]
    for _ in range(steps):
        g = curvature * p
        p, state = sgd(p, g, state, exact_rate(g, curvature * g) if lr is None else lr)
        path.append(p)
    return np.array(path)


rates = (0.18, 0.2, 0.207)
paths = [descend(lr, [-4.0, 0.5], 25) for lr in rates]
heights = [np.abs(path[:, 1]) for path in paths]
assert heights[0][-1] < 0.01 and np.allclose(heights[1], 0.5) and heights[2][-1] > 1.5

# alt: Three panels with the contour lines of a valley. On the left a path zigzags across the valley with shrinking
#   height and moves along to the minimum. In the middle it bounces between the same two heights all the way. On the
#   right the zigzag grows until it leaves the picture, although it moves towards the minimum lengthwise.
# caption: 25 steps with rates of 0.9, 1 and 1.035 times the limit $2/L$, on a valley with curvatures 1 and $L = 10$.
fig, panels = plt.subplots(1, 3, figsize=(7.4, 2.7), layout="constrained", sharey=True)
x, y = np.linspace(-4.5, 1.5, 150), np.linspace(-1.7, 1.7, 150)
for ax, path, lr in zip(panels, paths, rates, strict=True):
    ax.contour(x, y, (x**2 + 10 * y[:, None] ** 2) / 2, levels=[0.2, 1, 3, 7, 12], colors="C4", linewidths=0.5)
    ax.plot(*path.T, "C0.-", linewidth=1)
    ax.plot(0, 0, "C1+", markersize=9)
    ax.set(title=f"$\\eta = {lr:g}$", xlim=(-4.5, 1.5), ylim=(-1.7, 1.7))

# %%
# Measured and predicted
# ----------------------
#
# On the right the exact line search, which looks one step ahead and no farther: from its worst start it needs as many
# steps as the best constant rate, :math:`2 / (L + \ell)`.

best = 2 / curvature.sum()
worst = descend(None, [10.0, 1.0], 60)
constant = descend(best, [10.0, 1.0], 60)
values = [(curvature * path**2).sum(axis=1) / 2 for path in (worst, constant)]
assert np.allclose(values[0], values[1], rtol=1e-9), "the same values, step for step"
assert np.allclose(values[0][1:] / values[0][:-1], (9 / 11) ** 2)
lucky = descend(None, [1.0, 0.0], 1)
assert np.abs(lucky[1]).max() == 0, "from an eigenvector the line search arrives at once"

# alt: Left, error over 40 steps on a logarithmic scale: for each of three rates two series of dots, for the flat and
#   the steep direction, lie exactly on straight lines. At the largest rate the steep one rises. Right, the path of
#   the line search as a staircase of right angles along the valley.
# caption: Left: errors in the flat direction (dots) and the steep one (crosses) on the lines $\vert 1 -
#   \eta\lambda\vert^t$; at the best rate, 0.182, the two coincide. Right: exact line search from its worst start;
#   each turn is a right angle.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.3), layout="constrained")
t = np.arange(41)
for color, lr in enumerate((0.05, best, 0.207)):
    measured = np.abs(descend(lr, [1.0, 1.0], 40))
    predicted = np.abs(1 - lr * curvature) ** t[:, None]
    assert np.allclose(measured, predicted, rtol=1e-12)
    left.plot(t[::2], measured[::2, 0], f"C{color}o", markersize=3)
    left.plot(t[::2], measured[::2, 1], f"C{color}x", markersize=4)
    left.plot(t, predicted, f"C{color}", linewidth=0.8)
    left.plot([], [], f"C{color}", label=f"$\\eta = {lr:.3g}$")
left.set(yscale="log", xlabel="step $t$", ylabel="error", ylim=(1e-8, 30))
left.legend(loc="lower left")
right.contour(
    np.linspace(-1, 11, 100),
    np.linspace(-4, 4, 100),
    (np.linspace(-1, 11, 100) ** 2 + 10 * np.linspace(-4, 4, 100)[:, None] ** 2) / 2,
    levels=values[0][:6][::-1],
    colors="C4",
    linewidths=0.5,
)
right.plot(*worst[:14].T, "C0.-", linewidth=1.2)
right.set(xlabel="flat direction", ylabel="steep direction", aspect="equal", xlim=(-1, 11), ylim=(-4, 4))

# %%
# The floor of the noise
# ----------------------
#
# Least squares on fresh Gaussian examples. The gradient of a batch of B examples is an estimate; under a constant rate
# the mean squared error ends at :math:`\eta\sigma^2 (D/B) / (2 - \eta (1 + (D+1)/B))`.

size, noise, lr = 8, 0.5, 0.05
rng = np.random.default_rng(3)
curves, floors = {}, {}
for batch in (1, 8, 64):
    errors = np.zeros(400)
    for _ in range(40):
        x = rng.normal(size=(400 * batch, size))
        y = noise * rng.normal(size=len(x))
        path = sgd_least_squares(np.ones(size), x, y, np.arange(len(x)), lr, batch)
        errors += (path**2).sum(axis=1) / 40
    curves[batch] = errors
    floors[batch] = lr * noise**2 * size / batch / (2 - lr * (1 + (size + 1) / batch))
    assert abs(errors[200:].mean() / floors[batch] - 1) < 0.15, (batch, errors[200:].mean(), floors[batch])
    assert errors[0] > 50 * floors[batch]

# alt: Mean squared error over 400 steps on a logarithmic scale for batches of 1, 8 and 64. All three start alike and
#   fall along nearly the same line; then they level off, one after the other, at the dashed lines of their floors,
#   which are a factor of about eight apart.
# caption: Squared distance from the truth at rate 0.05, mean of 40 runs, for batches of 1, 8 and 64 fresh examples;
#   dashed, the floors in closed form. A larger batch lowers the floor, not the number of steps.
fig, ax = plt.subplots(figsize=(6.2, 3.4), layout="constrained")
for color, (batch, errors) in enumerate(curves.items()):
    ax.plot(np.arange(1, 401)[::2], errors[::2], f"C{color}", linewidth=1, label=f"batch {batch}")
    ax.axhline(floors[batch], color=f"C{color}", linestyle="--", linewidth=1)
ax.set(yscale="log", xlabel="step", ylabel="mean squared error")
ax.legend()
