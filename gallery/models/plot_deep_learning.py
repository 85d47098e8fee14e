"""
Deep learning: folding, pieces, and a spiral unrolled
=====================================================

Every further layer of two units can double the number of pieces of a function; more units in the same layer only add to
it. Weights that are drawn at random do not use that gift: their networks have about as many pieces deep as shallow.
What depth is used for in a trained network can be watched: layer by layer two spirals are pulled apart, until a line
separates them.
"""

# %%
# Pieces
# ------
#
# The network of tents folds the interval once a layer. One hidden layer has one piece more than units at most. Both are
# compared with networks of random weights that have as many units, on a segment between two random points.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import PolyCollection

from dlref.activations import relu_breakpoints
from dlref.losses import cross_entropy
from dlref.models import linear_regions, mlp, mlp_layers, mlp_parameters, tent_network
from dlref.optimizers import adam, adam_state
from dlref.training import fit


def pieces(params, start, stop):
    return len(relu_breakpoints(start, stop, params.weights[:-1], params.biases[:-1])) + 1


depths = np.arange(1, 11)
folded = [pieces(tent_network(k), [0.0], [1.0]) for k in depths]
wide = 2 * depths + 1
assert folded == [2**k for k in depths]
rng = np.random.default_rng(0)


def drawn(depth, width):
    """Draw a network of two inputs whose biases are not zero."""
    params = mlp_parameters(rng, (2, *[width] * depth, 1), np.float64)
    return params._replace(biases=tuple(rng.normal(0, 0.5, b.shape) for b in params.biases))


random = [np.mean([pieces(drawn(k, 2), *rng.normal(size=(2, 2)) * 3) for _ in range(60)]) for k in depths]
assert max(random) < 2 * depths[-1] + 1, random

# alt: Number of pieces on a logarithmic axis against the number of units from 2 to 20. The folded interval climbs along
#   a straight line to 1,024. One hidden layer bends from 3 to 21. Random networks stay at about four.
# caption: Pieces of a function on a segment against the number of units. Tents: layers of two units, one on top of the
#   other. One layer: the most that is possible. Random: layers of two units with random weights, mean of 60.
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.semilogy(2 * depths, folded, "C0o-", label="tents, deep")
ax.semilogy(2 * depths, wide, "C1s--", label="one layer, at most")
ax.semilogy(2 * depths, random, "C2^:", label="random, deep")
ax.set(xlabel="hidden units", ylabel="pieces", xticks=2 * depths)
ax.legend()
ax.grid(True)

# %%
# Deep and shallow with as many parameters
# ----------------------------------------
#
# Random networks of two inputs, each with about 300 parameters: how many pieces does the square have?

shapes = {1: 75, 2: 15, 3: 11, 4: 9, 6: 7}
counts, sizes = {}, {}
for depth, width in shapes.items():
    networks = [drawn(depth, width) for _ in range(12)]
    sizes[depth] = sum(p.size for part in networks[0] for p in part)
    counts[depth] = np.array([len(linear_regions(n.weights[:-1], n.biases[:-1], -3, 3)) for n in networks])
assert max(sizes.values()) < 1.2 * min(sizes.values()), sizes
means = {depth: count.mean() for depth, count in counts.items()}
deep = [mean for depth, mean in means.items() if depth > 1]
assert means[1] > 4 * max(deep) and max(deep) < 1.6 * min(deep), means

# alt: Number of regions of a square on a logarithmic axis, dots for twelve networks at each depth 1, 2, 3, 4 and 6.
#   With one hidden layer of 75 units there are about 2,500, at all other depths about 400.
# caption: Linear regions of random networks with about 300 parameters each, in the square from -3 to 3. At equal
#   numbers of parameters a deep network has fewer units, and random weights do not make up for it by folding.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for depth, count in counts.items():
    ax.semilogy(np.full(len(count), depth), count, "C0o", alpha=0.5, markersize=4)
ax.semilogy(list(means), list(means.values()), "C1--", label="mean")
ax.set(xlabel="hidden layers", ylabel="linear regions", xticks=list(shapes))
ax.set_xticks(list(shapes), [f"{d}\n{w} units each" for d, w in shapes.items()], fontsize=8)
ax.legend()
ax.grid(True)

# %%
# Two spirals, layer by layer
# ---------------------------
#
# A network with three hidden layers of 12 units learns which of two spirals a point is on. What each layer has made of
# the points is shown along its two principal axes; how many of them a line in that layer separates is found by least
# squares.

turns = np.sqrt(rng.uniform(0.05, 1, 300))
label = np.arange(300) % 2
angle = 3.2 * np.pi * turns + np.pi * label
x = (np.stack([turns * np.cos(angle), turns * np.sin(angle)], axis=1)).astype(np.float32)
x += rng.normal(0, 0.01, x.shape).astype(np.float32)


def loss(params, x, target):
    return cross_entropy(mlp(params, x), target)


params = fit(
    loss,
    mlp_parameters(np.random.default_rng(3), (2, 12, 12, 12, 2)),
    (x, label),
    adam,
    adam_state,
    lr=lambda step: 0.02 * (1 - step / 900),
    epochs=900,
    batch_size=300,
    rng=None,
).params

hidden = (x, *mlp_layers(params, x)[:-1])
separated = []
for h in hidden:
    design = np.column_stack([h, np.ones(len(h))]).astype(np.float64)
    fitted = design @ np.linalg.lstsq(design, 2.0 * label - 1, rcond=None)[0]
    separated.append(np.mean((fitted > 0) == label))
assert separated[0] < 0.75 and separated[-1] > 0.97 and separated[-1] == max(separated), separated

# alt: Four scatter plots of the same points in two colors and marks. In the input they form two interleaved spirals;
#   after the first and second layer they are bent and partly separated; after the third the colors lie apart.
# caption: Two spirals, and what the three hidden layers of a trained network make of them, along two principal axes.
#   Above each: how many points a line in that layer's own space has on the right side.
fig, axes = plt.subplots(1, 4, figsize=(8, 2.5), layout="constrained")
for ax, h, share, name in zip(axes, hidden, separated, ("input", "layer 1", "layer 2", "layer 3"), strict=True):
    _, _, directions = np.linalg.svd(h - h.mean(axis=0), full_matrices=False)
    shown = (h - h.mean(axis=0)) @ directions[:2].T
    for value, style in ((0, "C0o"), (1, "C1^")):
        ax.plot(*shown[label == value].T, style, markersize=2, rasterized=True)
    ax.set(title=f"{name}: {share:.0%}", xticks=[], yticks=[])

# %%
# The pieces of the trained network
# ---------------------------------

polygons = linear_regions(params.weights[:-1], params.biases[:-1], -1.1, 1.1)
middles = np.array([p.mean(axis=0) for p in polygons], np.float32)
scores = np.subtract(*mlp(params, middles).T[::-1])
assert len(polygons) > 100

# alt: A square cut into some hundred polygons of different sizes, colored by which spiral the network decides for. The
#   two colors wind around each other, and the points of the spirals lie on their colors.
# caption: The linear regions of the trained network in the plane of the inputs, colored by the decision in
#   their middle.
fig, ax = plt.subplots(figsize=(4.2, 4), layout="constrained")
colors = np.where(scores > 0, "C1", "C0")
cells = PolyCollection(polygons, facecolors=colors, edgecolors="C3", linewidths=0.3, alpha=0.4)
ax.add_collection(cells)
for value, style in ((0, "C0o"), (1, "C1^")):
    ax.plot(*x[label == value].T, style, markersize=2, rasterized=True)
ax.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
ax.set_title(f"{len(polygons)} regions")
