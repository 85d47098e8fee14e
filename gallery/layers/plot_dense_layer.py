"""
Dense layer: turn, stretch, turn, shift
=======================================

A matrix takes the unit circle to an ellipse whose half axes are its singular values, and the grid to a grid of
parallelograms of one size. The bias moves the whole picture. Straight lines stay straight and parallel: only the
activation after the layer bends them. A stack of dense layers without activations is one dense layer.
"""

# %%
# Through one layer
# -----------------

import matplotlib.pyplot as plt
import numpy as np

from dlref.activations import tanh
from dlref.layers import dense


def turn(angle):
    """The matrix that turns the plane."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


u, s, vt = turn(0.9), np.array([1.6, 0.6]), turn(-0.4)
w, b = u @ np.diag(s) @ vt, np.array([0.6, -0.3])
assert np.allclose(np.linalg.svd(w)[1], s)

ticks, along = np.linspace(-1.5, 1.5, 7), np.linspace(-1.5, 1.5, 41)
upright = np.stack(np.broadcast_arrays(ticks[:, None], along), axis=-1)  # (9, 41, 2): nine lines
level = upright[..., ::-1]
angle = np.linspace(0, 2 * np.pi, 73)
circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)

distance = np.linalg.norm(dense(circle, w, b) - b, axis=1)
assert abs(distance.max() - s[0]) < 5e-3 and abs(distance.min() - s[1]) < 5e-3
assert np.allclose(dense(vt, w, b) - b, (u * s).T)  # row i of vt goes to s[i] times column i of u

image = dense(upright, w, b)
assert np.allclose(np.diff(image, n=2, axis=1), 0), "straight lines stay straight, equal steps stay equal"
cell = np.linalg.det(np.stack([image[1, 0] - image[0, 0], image[0, 20] - image[0, 0]]))  # of sides 0.5 and 1.5
assert np.isclose(abs(cell), 0.5 * 1.5 * s.prod()), "an area is multiplied by the product of the singular values"


def draw(ax, move, title, axes=None, step=40):
    """Draw the grid and the circle after a map, and two vectors; straight lines need their ends alone."""
    for lines, color in ((upright, "C0"), (level, "C4")):
        for line in move(lines[:, ::step]):
            ax.plot(*line.T, color=color, linewidth=0.8)
    ax.plot(*move(circle).T, "C1", linewidth=2)
    if axes is not None:
        origin, vectors, names = axes
        for vector, name in zip(vectors, names, strict=True):
            ax.annotate("", origin + vector, origin, arrowprops={"arrowstyle": "->", "color": "C2", "linewidth": 2})
            ax.annotate(
                name, origin + vector + 0.45 * vector / np.linalg.norm(vector), color="C2", ha="center", va="center"
            )
    ax.set(aspect="equal", title=title)


# alt: Three panels. Left, a square grid with the unit circle and two perpendicular arrows inside it. Middle, the grid
#   is a leaning grid of equal parallelograms, the circle an ellipse away from the origin, the arrows its half axes.
#   Right, the same bent into the square from -1 to 1, the lines crowded at its edges.
# caption: A grid through one dense layer and through tanh. The arrows v1 and v2 become the half axes of the ellipse,
#   as long as the singular values 1.6 and 0.6; the ellipse is centered at the bias.
fig, axes = plt.subplots(1, 3, figsize=(7.6, 3), layout="constrained")
draw(axes[0], lambda x: x, "input $x$", (np.zeros(2), vt, ("$v_1$", "$v_2$")))
draw(axes[1], lambda x: dense(x, w, b), "$y = Wx + b$", (b, (u * s).T, (r"$s_1 u_1$", r"$s_2 u_2$")))
draw(axes[2], lambda x: tanh(dense(x, w, b)), r"$\tanh(y)$", step=1)

# %%
# The four steps
# --------------
#
# The singular value decomposition is the layer in slow motion: an orthogonal map, a stretch along the coordinate axes,
# another orthogonal map; then the bias.

stages = [
    ("turn: $V^\\top x$", lambda x: dense(x, vt)),
    ("stretch: $S V^\\top x$", lambda x: dense(dense(x, vt), np.diag(s))),
    ("turn: $U S V^\\top x$", lambda x: dense(dense(dense(x, vt), np.diag(s)), u)),
    ("shift: $+\\, b$", lambda x: dense(dense(dense(x, vt), np.diag(s)), u, b)),
]
assert np.allclose(stages[-1][1](upright), image)
assert np.allclose(np.linalg.norm(stages[0][1](circle), axis=1), 1)

# alt: Four panels of the grid and the circle. In the first the grid is rotated and the circle unchanged; in the second
#   the circle is an ellipse lying along the axes; in the third the ellipse is tilted; in the fourth it has moved off
#   the marked origin.
# caption: The same layer in four steps. The cross marks the origin. An orthogonal map leaves the circle as it is, so
#   only the second step changes lengths.
fig, axes = plt.subplots(1, 4, figsize=(8, 2.4), sharex=True, sharey=True, layout="constrained")
for ax, (title, move) in zip(axes, stages, strict=True):
    draw(ax, move, title)
    ax.plot(0, 0, "C3+", markersize=10, markeredgewidth=2)
    ax.set(xlim=(-3.2, 3.8), ylim=(-3.2, 3.2))

# %%
# Two layers without an activation
# --------------------------------
#
# The product of the matrices and one bias do the same. With an activation between them no single layer does.

rng = np.random.default_rng(0)
x = rng.normal(size=(500, 2))
w1, b1, w2, b2 = 2 * rng.normal(size=(8, 2)), rng.normal(size=8), rng.normal(size=(1, 8)), rng.normal(size=1)
stacked = dense(dense(x, w1, b1), w2, b2)
merged = dense(x, w2 @ w1, dense(b1, w2, b2))
assert np.allclose(stacked, merged)

bent = dense(tanh(dense(x, w1, b1)), w2, b2)
inputs = np.column_stack([x, np.ones(len(x))])
best = inputs @ np.linalg.lstsq(inputs, bent, rcond=None)[0]
left = ((bent - best) ** 2).mean() / bent.var()
assert left > 0.05, left
print(f"The best single layer leaves {left:.0%} of the variance of the network with tanh.")
