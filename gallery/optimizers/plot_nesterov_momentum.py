"""
Nesterov momentum: friction where the slope is steep
====================================================

The heavy ball loses the same share of its error per step in every direction. Looking ahead adds friction in proportion
to the curvature: steep directions stop swinging, and the largest stable rate is smaller. With a momentum that grows
towards one, the gap of a smooth convex function falls like the inverse square of the steps, however flat the function
is; with the constant momentum of the frameworks it falls like the inverse, as in plain descent.
"""

# %%
# Against the heavy ball
# ----------------------
#
# One steep direction, the same rate and the same momentum. On the right the factor per step over the curvature.

import matplotlib.pyplot as plt
import numpy as np

from dlref.optimizers import (
    momentum,
    momentum_radius,
    momentum_state,
    momentum_velocity,
    nesterov,
    nesterov_look_ahead,
    nesterov_radius,
    velocity_state,
)

swings = {}
for name, step in (("heavy ball", momentum), ("Nesterov", nesterov)):
    p, state, swings[name] = np.array([1.0]), momentum_state([1.0]), []
    for _ in range(61):
        swings[name].append(p[0])
        p, state = step(p, 0.5 * p, state, lr=1.0, momentum=0.9)
turns = {name: int((np.diff(np.sign(way)) != 0).sum()) for name, way in swings.items()}
late = {name: np.abs(way[20:30]).max() for name, way in swings.items()}
assert late["heavy ball"] > 100 * late["Nesterov"]

pulls = np.linspace(0.001, 4, 2000)
radii = {
    "gradient descent": momentum_radius(pulls, 1.0, 0.0),
    "heavy ball": momentum_radius(pulls, 1.0, 0.9),
    "Nesterov": nesterov_radius(pulls, 1.0, 0.9),
}
limits = {name: pulls[np.argmax(radius >= 1)] for name, radius in radii.items()}
for name, limit in (("gradient descent", 2), ("heavy ball", 3.8), ("Nesterov", 3.8 / 2.8)):
    assert abs(limits[name] - limit) < 0.003

# alt: Left, two curves over 60 steps that start at one. The heavy ball swings around zero fourteen times and has
#   shrunk to a twentieth at the end; Nesterov's curve is flat after about fifteen steps.
#   Right, factor per step over learning rate times curvature from 0 to 4: gradient descent is a V that touches zero
#   at 1 and reaches one at 2; the heavy ball is flat at 0.95 and reaches one at 3.8; Nesterov falls in an arc from
#   0.95 to zero at 1 and then shoots up through one at 1.36.
# caption: Left: the error in one direction with $\eta\lambda = 0.5$ and momentum 0.9. Right: the factor per step over
#   $\eta\lambda$, momentum 0.9; each method diverges where its curve passes one, at 1.36, 2 and 3.8.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.3), layout="constrained")
left.plot(swings["heavy ball"], "C1.-", linewidth=1, markersize=3, label="heavy ball")
left.plot(swings["Nesterov"], "C2.-", linewidth=1, markersize=3, label="Nesterov")
left.set(xlabel="step", ylabel="error")
left.grid(True)
left.legend()
for (name, radius), line in zip(radii.items(), ("C0--", "C1-.", "C2-"), strict=True):
    right.plot(pulls[::4], radius[::4], line, label=name)
right.axhline(1, color="C4", linewidth=0.8)
right.set(xlabel="$\\eta\\lambda$", ylabel="factor per step", ylim=(0, 1.25), xlim=(0, 4))
right.legend(fontsize="small", loc="lower right")

# %%
# The inverse square
# ------------------
#
# A quadratic whose curvatures reach from one down to a hundred-millionth: over a few thousand steps there is always a
# direction that no constant momentum has reached. The theorem holds for every convex function with this smoothness.

curvature = np.logspace(-8, 0, 80)
start = np.ones(80)
steps = np.arange(1, 5001)
gaps = {name: [] for name in ("gradient descent", "momentum 0.9", "momentum $(t-1)/(t+2)$")}
for name, gap in gaps.items():
    p, state = start, velocity_state(start)
    for t in steps:
        mu = 0.0 if name.startswith("gradient") else 0.9 if name.endswith("9") else max(0.0, (t - 2) / (t + 1))
        p, state = momentum_velocity(p, curvature * nesterov_look_ahead(p, state, mu), state, lr=1.0, momentum=mu)
        gap.append((curvature * p**2).sum() / 2)
gaps = {name: np.array(gap) for name, gap in gaps.items()}
bound = 2 * (start**2).sum() / (steps + 1) ** 2
plain, constant, growing = gaps.values()
assert (growing <= bound).all()
slopes = {name: np.log(gap[4999] / gap[499]) / np.log(10) for name, gap in gaps.items()}
assert abs(slopes["gradient descent"] + 1) < 0.1 and abs(slopes["momentum 0.9"] + 1) < 0.1
assert abs(slopes["momentum $(t-1)/(t+2)$"] + 2) < 0.15, slopes
assert 9 < plain[4999] / constant[4999] < 11, "a factor of 1 / (1 - 0.9), and no better rate"

# alt: Gap over steps, both logarithmic. Gradient descent and Nesterov with momentum 0.9 fall on parallel lines of
#   slope minus one, the second ten times lower. Nesterov with growing momentum falls with slope minus two, crosses the
#   constant one near step 66 and stays a constant distance below the dashed line of the bound.
# caption: Gap to the minimum on a quadratic with curvatures from $10^{-8}$ to 1, step $1/M$, $M = 1$, and
#   the bound $2M\,\Vert\theta_0 - \theta^*\Vert^2/(t+1)^2$. Constant momentum gains
#   the factor $1/(1-\mu) = 10$ and no more.
fig, ax = plt.subplots(figsize=(6.2, 3.6), layout="constrained")
thin = np.unique(np.logspace(0, np.log10(5000), 300).astype(int)) - 1
for (name, gap), line in zip(gaps.items(), ("C0--", "C1-.", "C2-"), strict=True):
    ax.plot(steps[thin], gap[thin], line, label=name)
ax.plot(steps[thin], bound[thin], "C4:", label="bound")
ax.set(xscale="log", yscale="log", xlabel="step $t$", ylabel="gap")
ax.grid(True)
ax.legend(fontsize="small")
