"""
Graph neural networks: two labels and the edges between them
============================================================

A karate club split in two. From the sides of two members and who was friends with whom, three layers of graph
convolution place all others. Each layer lets information travel one edge further; very many make all nodes alike.
"""

# %%
# One edge further with every layer
# ---------------------------------
#
# Every member is a node that carries nothing but its own number. Only the instructor, 0, and the officer, 33, are
# labeled. The same training from five starts, and the nodes after each layer of the first.

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

from dlref.activations import tanh
from dlref.autodiff import value_and_gradient
from dlref.data import karate_club
from dlref.layers import both_ways, gcn_layer
from dlref.losses import cross_entropy

friends, sides = karate_club()
edges, nodes, labeled = both_ways(friends), np.eye(34), np.array([0, 33])


def layers_of(params, x):
    """Return the nodes after each layer; tanh between them."""
    states = [gcn_layer(x, params[0], edges=edges)]
    for w in params[1:]:
        states.append(gcn_layer(tanh(states[-1]), w, edges=edges))
    return states


def loss(params):
    return cross_entropy(layers_of(params, nodes)[-1][labeled], sides[labeled])


def train(seed, widths=(34, 8, 8, 2), steps=120, lr=0.1, momentum=0.9):
    """Train on the two labels by gradient descent with momentum."""
    rng = np.random.default_rng(seed)
    params = tuple(rng.normal(size=(o, i)) * np.sqrt(2 / (i + o)) for i, o in pairwise(widths))
    velocity = [np.zeros_like(w) for w in params]
    for _ in range(steps):
        _, gradient = value_and_gradient(loss, params)
        for w, v, g in zip(params, velocity, gradient, strict=True):
            v *= momentum
            v += g
            w -= lr * v
    return params


def separation(h):
    """Return the distance between the means of both sides, by the spread around them."""
    means = np.stack([h[sides == side].mean(axis=0) for side in (0, 1)])
    return np.linalg.norm(means[0] - means[1]) / np.sqrt(np.mean(np.sum((h - means[sides]) ** 2, axis=1)))


def share_right(logits):
    return np.mean(np.argmax(logits, axis=1) == sides)


def share_near(h):
    """Return the share of members that lie nearer to the labeled one of their side than to the other."""
    return share_right(-np.linalg.norm(h[:, None] - h[labeled], axis=2))


right = []
for seed in range(5):
    states = layers_of(train(seed), nodes)
    right.append(share_right(states[-1]))
    if seed == 0:
        first = states
untrained = [share_right(layers_of(train(seed, steps=0), nodes)[-1]) for seed in range(5)]
assert min(right) > 0.9 > 0.8 > np.mean(untrained), (right, untrained)

hops = np.full((34, 34), 99)
np.fill_diagonal(hops, 0)
hops[edges[:, 0], edges[:, 1]] = 1
for k in range(34):
    hops = np.minimum(hops, hops[:, k, None] + hops[k])
reach = gcn_layer(gcn_layer(nodes, nodes, edges=edges), nodes, edges=edges) > 0
assert np.array_equal(reach, hops <= 2), "two layers see two hops, and all of them"

apart, near = [separation(h) for h in first], [share_near(h) for h in first]
assert apart[0] < min(apart[1:]) and near[2] > 0.9, (apart, near)

# alt: Three scatter plots of 34 nodes, circles for one side and squares for the other, with two large labeled ones.
#   After one layer the sides are two loose clouds that touch; after two and three layers they lie further apart, with a
#   few nodes between them. A fourth panel has ten points: five shares far below one before training, five close to one
#   after it.
# caption: The members after each of three layers, in the two directions of largest variance. Shape and color are the
#   true side, the two large ones are labeled. Above: the distance of the sides' means by the spread around them, and
#   the share of members nearer to the labeled one of their own side. Right: share that the network puts on the right
#   side, five starts.
fig, (*axes, last) = plt.subplots(1, 4, figsize=(7.8, 2.6), width_ratios=[1, 1, 1, 0.8], layout="constrained")
for k, (ax, h) in enumerate(zip(axes, first, strict=True)):
    centered = h - h.mean(axis=0)
    flat = centered @ np.linalg.svd(centered, full_matrices=False)[2][:2].T
    for side, style in enumerate(("C0o", "C1s")):
        ax.plot(*flat[sides == side].T, style, markersize=4, alpha=0.8)
        ax.plot(*flat[labeled[side]], style, markersize=10, markeredgewidth=0)
    ax.set_title(f"layer {k + 1}: {apart[k]:.1f}, {near[k]:.0%}", fontsize=10)
    ax.set(xticks=[], yticks=[])
for place, (values, style) in enumerate(((untrained, "C1s"), (right, "C0o"))):
    last.plot(np.linspace(place - 0.2, place + 0.2, 5), values, style, markersize=4)
last.set(ylim=(0, 1.05), xlim=(-0.6, 1.6), ylabel="share right")
last.set_xticks((0, 1), ("untrained", "trained"), fontsize=8)

# %%
# Too many layers
# ---------------
#
# A hundred random features through layers of weights that change nothing. What is left of the differences between nodes
# shrinks with every layer, in the long run by the second largest eigenvalue of the normalized adjacency.

degree = np.bincount(edges[:, 1]) + 1
normalized = gcn_layer(nodes, nodes, edges=edges)
eigenvalues = np.sort(np.abs(np.linalg.eigvalsh(normalized)))[::-1]
assert abs(eigenvalues[0] - 1) < 1e-12

h, spread = np.random.default_rng(0).normal(size=(34, 100)), []
for _ in range(60):
    h = gcn_layer(h, np.eye(100), edges=edges)
    z = h / np.sqrt(degree)[:, None]
    spread.append(np.linalg.norm(z - z.mean(axis=0)) / np.linalg.norm(z))
assert abs(spread[-1] / spread[-2] - eigenvalues[1]) < 1e-3
assert spread[-1] < 0.005 < 0.8 < spread[0]

# alt: A curve over 60 layers on a logarithmic axis. It starts near one, falls slowly at first and then along a dashed
#   straight line, to below two thousandths.
# caption: Differences between nodes, relative to their size and after division by the root of the degree, by depth. The
#   dashed line falls by the second largest eigenvalue in every layer.
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
depth = np.arange(1, 61)
ax.semilogy(depth, spread, "C0-", label="measured")
ax.semilogy(depth, spread[-1] * eigenvalues[1] ** (depth - 60.0), "C1--", label=f"{eigenvalues[1]:.3f} for each layer")
ax.set(xlabel="layers", ylabel="differences between nodes")
ax.grid(True, alpha=0.4)
ax.legend()
