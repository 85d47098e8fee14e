"""
Softmax: from scores to shares
==============================

Temperature moves softmax between a uniform distribution and a choice of the largest score. Its image of all score
vectors is the inside of the simplex, one point for each line of scores that differ by a constant. Written as the
formula stands it overflows; shifted by the largest score it does not.
"""

# %%
# Temperature
# -----------

import matplotlib.pyplot as plt
import numpy as np

from dlref.activations import softmax

scores = np.array([2.0, 1.0, 0.5, -1.0])
temperatures = np.logspace(-1.5, 2, 200)
shares = np.stack([softmax(scores, temperature=t) for t in temperatures])
assert shares[0, 0] > 0.999999 and abs(shares[-1] - 0.25).max() < 0.01

# alt: Four curves of probability against temperature on a logarithmic axis. At low temperature the largest score has
#   probability one and the others zero; from temperature one upward the four curves come together at one quarter.
# caption: Softmax of the scores 2, 1, 0.5 and -1. Cold, it picks the largest; hot, it forgets the scores.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for share, score in zip(shares.T, scores, strict=True):
    ax.plot(temperatures, share, label=f"score {score:g}")
ax.axhline(0.25, color="C4", linewidth=1)
ax.set(xscale="log", xlabel="temperature $\\tau$", ylabel="probability", ylim=(-0.02, 1.02))
ax.legend()

# %%
# The map to the simplex
# ----------------------
#
# A plane of scores, here the one whose entries sum to zero, covers the whole inside of the triangle. Moving along the
# third direction, adding the same number to every score, moves nothing.

u, v = np.array([1, -1, 0]) / np.sqrt(2), np.array([1, 1, -2]) / np.sqrt(6)
ticks = np.linspace(-4, 4, 9)
line = np.linspace(-4, 4, 200)


def on_paper(p):
    """Barycentric coordinates of the triangle, drawn in the plane."""
    return p @ np.array([[0, 0], [1, 0], [0.5, np.sqrt(3) / 2]])


plane = ticks[:, None, None] * u + line[:, None] * v
across = line[:, None] * u + ticks[:, None, None] * v
drift = abs(softmax(plane) - softmax(plane + 37.0)).max()
assert drift < 1e-13, drift

# alt: Left, a square grid of straight lines in the plane of scores that sum to zero. Right, the same lines as curves
#   inside a triangle whose corners are the three classes; they crowd together towards the edges.
# caption: A grid of scores and its image under softmax. No finite score reaches an edge of the triangle.
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained")
for tick, a, b in zip(ticks, plane, across, strict=True):
    left.plot(np.full_like(line, tick), line, "C0-", linewidth=1)
    left.plot(line, np.full_like(line, tick), "C1-", linewidth=1)
    right.plot(*on_paper(softmax(a)).T, "C0-", linewidth=1)
    right.plot(*on_paper(softmax(b)).T, "C1-", linewidth=1)
right.plot(*on_paper(np.eye(3)[[0, 1, 2, 0]]).T, "C2-", linewidth=1.5)
for corner, name in zip(on_paper(np.eye(3)), ("class 1", "class 2", "class 3"), strict=True):
    right.annotate(
        name, corner, ha="center", va="bottom" if corner[1] > 0 else "top", xytext=(0, 3), textcoords="offset points"
    )
left.set(aspect="equal", title="scores")
right.set(aspect="equal", title="probabilities", ylim=(-0.1, 1.0))
right.axis("off")

# %%
# Naive against stable
# --------------------
#
# The formula typed as it stands, in float32, against the shifted form. Both see the scores 0 and s.


def naive(x):
    """The quotient of exponentials, as it stands."""
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


s = np.linspace(0, 120, 481)
rows = np.stack([np.zeros_like(s), s], axis=1).astype(np.float32)
truth = 1 / (1 + np.exp(rows[:, 1].astype(np.float64)))
with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
    errors = {form: abs(f(rows)[:, 0] - truth) / truth for form, f in (("naive", naive), ("shifted", softmax))}
broken = s[~np.isfinite(errors["naive"]) | (errors["naive"] >= 1)][0]
normal = truth > np.finfo(np.float32).tiny
assert 88 < broken < 89 and errors["shifted"][normal].max() < 1e-5

# alt: Relative error against the score s from 0 to 120 on a logarithmic axis. Both forms stay below one in a hundred
#   thousand up to 88, where the naive one ends in a jump to one. The shifted form fades only where the true value
#   itself leaves the range of float32.
# caption: Relative error of the smaller probability, scores 0 and s, float32. At 88.75 the naive form overflows.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.plot(s, np.maximum(np.nan_to_num(errors["naive"], nan=1.0, posinf=1.0), 1e-9), label="naive")
ax.plot(s[normal], np.maximum(errors["shifted"][normal], 1e-9), label="shifted by the largest score")
ax.set(yscale="log", xlabel="score $s$", ylabel="relative error", ylim=(5e-10, 3))
ax.legend(loc="upper left")
print(f"The naive form fails from s = {broken:g} on.")
