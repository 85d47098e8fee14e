"""
Clipping: nearest point in a box or in a ball
=============================================

Clipping by value moves a vector to the nearest point of a box, clipping by norm to the nearest point of a ball. The
first turns the vector, up to nearly a right angle when it has many entries. The second never does.
"""

# %%
# Where each vector goes
# ----------------------
#
# Gradients on a grid, and where the two kinds of clipping at 1 send them.

import matplotlib.pyplot as plt
import numpy as np

from dlref.optimizers import clip, clip_by_norm

grid = np.linspace(-2.4, 2.4, 7)
vectors = np.array([(a, b) for a in grid for b in grid])
clipped = {
    "by value: into the box": clip(vectors, -1.0, 1.0),
    "by norm: into the ball": np.array([clip_by_norm(v, 1.0) for v in vectors]),
}


def cosine(a, b):
    return (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))


away = np.linalg.norm(vectors, axis=1) > 0
value, norm = (cosine(vectors[away], c[away]) for c in clipped.values())
assert abs(norm - 1).max() < 1e-12, "norm clipping keeps every direction"
assert value.min() < 0.95, "value clipping does not"

# Both are projections: no point of the set is nearer, so none of many random ones is.
rng = np.random.default_rng(0)
box = rng.uniform(-1, 1, size=(1000, 2))
for points, goal in zip((box, box[np.linalg.norm(box, axis=1) <= 1]), clipped.values(), strict=True):
    nearest = np.linalg.norm(vectors[:, None] - points, axis=2).min(axis=1)
    assert (np.linalg.norm(vectors - goal, axis=1) <= nearest + 1e-12).all()

# alt: Two panels with a grid of points around the origin and an arrow from each to its clipped place. Left, a square:
#   points beside it move straight onto its side, and all points beyond a corner move onto that corner. Right, a circle:
#   every point outside moves towards the origin until it meets the circle. Points inside do not move.
# caption: A grid of gradients and where clipping at 1 sends them. Every arrow on the right points at the origin, so
#   that the direction of the gradient stays; on the left whole corners of the plane end in one of four directions.
fig, panels = plt.subplots(1, 2, figsize=(7.2, 3.7), layout="constrained", sharey=True)
angle = np.linspace(0, 2 * np.pi, 200)
outlines = (np.array([[-1, 1, 1, -1, -1], [-1, -1, 1, 1, -1]]), np.array([np.cos(angle), np.sin(angle)]))
for ax, (title, goal), outline in zip(panels, clipped.items(), outlines, strict=True):
    ax.plot(*outline, "C1")
    moved = (goal != vectors).any(axis=1)
    ax.quiver(
        *vectors[moved].T, *(goal - vectors)[moved].T, angles="xy", scale_units="xy", scale=1, color="C0", width=0.004
    )
    ax.plot(*vectors.T, "C0.", markersize=3)
    ax.plot(*goal.T, "C1o", markersize=3.5)
    ax.set(title=title, xlabel="$g_1$", aspect="equal")
panels[0].set(ylabel="$g_2$")

# %%
# How far value clipping turns a gradient
# ---------------------------------------
#
# The cosine between a gradient and its clipped form cannot fall below :math:`1/\sqrt d`. The gradient with one large
# entry beside many at the bound comes near. Typical gradients, here with independent entries from a normal and from a
# heavy-tailed distribution (Student's t with one and a half degrees of freedom), turn less.

sizes = np.array([2, 4, 10, 30, 100, 300, 1000, 3000, 10_000])
turns = {"one entry of $10^6$, the rest at the bound": [], "heavy tails": [], "normal": []}
for d in sizes:
    spike = np.ones(d)
    spike[0] = 1e6
    heavy, normal = rng.standard_t(1.5, size=(100, d)), rng.normal(size=(100, d))
    for drawn, g in zip(turns.values(), (spike, heavy, normal), strict=True):
        drawn.append(cosine(g, clip(g, -1.0, 1.0)).mean())
spike, heavy, normal = map(np.array, turns.values())
bound = 1 / np.sqrt(sizes)
assert (np.array(list(turns.values())) >= bound).all()
assert (spike < 1.02 * bound).all(), "the bound is reached"
assert normal.min() > 0.9 and heavy[-1] < 0.5

# alt: Cosine against the number of entries, both axes logarithmic. The cosine of normal gradients stays flat near 0.95.
#   That of heavy-tailed ones falls slowly, from 0.98 to under 0.3. The spike lies on the straight line of the lower
#   bound and falls to 0.01 at ten thousand entries.
# caption: Mean cosine between a gradient and its form clipped by value at 1. The dashed line is the bound
#   $1/\sqrt d$.
fig, ax = plt.subplots(figsize=(6, 3.3), layout="constrained")
for (name, drawn), marker in zip(turns.items(), "osv", strict=True):
    ax.plot(sizes, drawn, marker=marker, markersize=4, label=name)
ax.plot(sizes, bound, "C3--", label="bound $1/\\sqrt{d}$")
ax.set(xscale="log", yscale="log", xlabel="entries $d$", ylabel="cosine")
ax.legend(loc="lower left")
print("\n".join(f"{d:6d} entries: heavy {h:.3f}, normal {n:.3f}" for d, h, n in zip(sizes, heavy, normal, strict=True)))
