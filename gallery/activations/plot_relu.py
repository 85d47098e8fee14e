"""
ReLU: a kink, and what kinks build
==================================

A rectifier bends its input once. A network of rectifiers bends the plane along lines, and is affine on each of the
pieces between them. A unit that is closed for an input is exactly zero there, so the layers are sparse without asking.
"""

# %%
# The function and its derivative
# -------------------------------
#
# The derivative jumps from 0 to 1 at the kink. Every framework picks 0 for the jump itself.

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

from dlref.activations import relu, relu_backward, relu_breakpoints

x = np.linspace(-3, 3, 601)
y, slope = relu(x), relu_backward(np.ones_like(x), x)
assert slope[x < 0].max() == 0 and slope[x > 0].min() == 1 and relu_backward(1.0, 0.0) == 0

# alt: Two curves over x from -3 to 3. ReLU is flat at zero on the left and rises with slope one on the right of zero.
#   Its derivative is a step from zero to one, with a filled dot at zero marking the chosen value 0.
# caption: ReLU and its derivative. The dot is the value that frameworks choose at the kink.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.plot(x, y, label="$\\max(x, 0)$")
ax.plot(x[x < 0], slope[x < 0], "C1--", label="derivative")
ax.plot(x[x > 0], slope[x > 0], "C1--")
ax.plot(0, 0, "C1o")
ax.set(xlabel="$x$", ylabel="value", ylim=(-0.2, 3.1))
ax.grid(True)
ax.legend()

# %%
# The pieces of the plane
# -----------------------
#
# A small network with random weights is affine on polygons. We color each point by the pattern of open and closed
# units, then walk along one segment and count the places where the pattern changes.

rng = np.random.default_rng(4)
widths = (2, 8, 8)
weights = [rng.normal(size=(o, i)) * np.sqrt(2 / i) for i, o in pairwise(widths)]
biases = [rng.normal(size=o) * 0.5 for o in widths[1:]]


def open_units(points):
    """Which units are open at each point, for every layer side by side."""
    patterns, h = [], points
    for w, b in zip(weights, biases, strict=True):
        h = relu(h @ w.T + b)
        patterns.append(h > 0)
    return np.concatenate(patterns, axis=1)


side = np.linspace(-3, 3, 500)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
patterns = open_units(grid)
_, region = np.unique(patterns, axis=0, return_inverse=True)
shuffled = rng.permutation(region.max() + 1)[region].reshape(500, 500)

start, end = np.array([-3.0, -1.0]), np.array([3.0, 1.6])
t = relu_breakpoints(start, end, weights, biases)
walk = start + np.linspace(0, 1, 200_001)[:, None] * (end - start)
changes = (open_units(walk)[1:] != open_units(walk)[:-1]).any(axis=1).sum()
assert len(t) == changes, "every change of the pattern on a fine walk is a breakpoint"

# alt: The square from -3 to 3 in two inputs, cut by straight and bent lines into several dozen polygons of different
#   shades. A straight segment crosses it from left to right, with a dot at every border that it passes.
# caption: Linear regions of a random network with two hidden layers of eight units. The dots are the breakpoints along
#   the segment, found exactly, layer by layer.
fig, ax = plt.subplots(figsize=(5.2, 5), layout="constrained")
ax.imshow(shuffled, extent=(-3, 3, -3, 3), origin="lower", cmap="cividis", alpha=0.75, interpolation="nearest")
ax.plot(*np.stack([start, end]).T, "C1-", linewidth=2)
ax.plot(*(start + t[:, None] * (end - start)).T, "C1o", markeredgewidth=0, markersize=6)
ax.set(xlabel="$x_1$", ylabel="$x_2$", title=f"{region.max() + 1} regions in the square, {len(t) + 1} on the segment")

# %%
# Sparsity
# --------
#
# On real images with symmetric random weights about half the units are closed. It is exact zeros, not small numbers.

from sklearn.datasets import load_digits  # noqa: E402

images = load_digits().data / 16
h, closed = (images - images.mean(axis=0)), []
for _ in range(6):
    w = rng.normal(size=(128, h.shape[1])) * np.sqrt(2 / h.shape[1])
    h = relu(h @ w.T)
    closed.append((h == 0).mean(axis=0))
shares = [c.mean() for c in closed]
assert all(0.4 < share < 0.6 for share in shares), shares
assert min(c.std() for c in closed[1:]) > 4 * closed[0].std()

# alt: Box plots for six layers. In every layer the median share of images for which a unit is closed lies near one
#   half; the spread between units is small in the first layer and wide in all later ones.
# caption: Share of the 1,797 digits for which a unit outputs exactly zero, over the 128 units of each layer of a random
#   network.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.boxplot(closed, whis=(0, 100))
ax.axhline(0.5, color="C1", linestyle="--")
ax.set(xlabel="layer", ylabel="share of exact zeros", ylim=(0, 1))
