"""
Contrastive loss: near or far, and no names
===========================================

The loss only hears whether two images show the same digit, never which. That is enough to arrange images of digits in
the plane so that each digit has a place of its own. Pairs that are alike are drawn together at any distance; pairs that
are not are pushed apart, but only inside the margin.
"""

# %%
# The loss of a pair
# ------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.activations import relu
from dlref.autodiff import value_and_gradient
from dlref.losses import contrastive_loss, contrastive_loss_backward

d = np.linspace(0, 2, 201)
here, there = np.zeros((201, 1)), d[:, None]
alike, unlike = np.ones(201, dtype=bool), np.zeros(201, dtype=bool)
losses = [contrastive_loss(there, here, same, reduction="none") for same in (alike, unlike)]
pulls = [contrastive_loss_backward(1.0, there, here, same, reduction="sum").x[:, 0] for same in (alike, unlike)]
assert np.allclose(losses[0], d**2 / 2) and (losses[1][d >= 1] == 0).all() and losses[1][0] == 0.5
assert (pulls[1][d >= 1] == 0).all() and np.allclose(pulls[1][1:100], -(1 - d[1:100]))

# alt: Left, the loss against the distance of a pair from 0 to 2: a parabola rising from zero for similar pairs, and for
#   dissimilar ones a parabola falling from one half to zero at the margin 1, and zero beyond. Right, the derivatives: a
#   rising line for similar pairs; for dissimilar ones a line from minus 1 up to zero at the margin.
# caption: Loss and derivative against the distance, margin 1. A positive derivative draws the pair together.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3), layout="constrained")
for loss, pull, style, name in zip(losses, pulls, ("C0-", "C1--"), ("similar", "dissimilar"), strict=True):
    left.plot(d, loss, style, label=name)
    right.plot(d[1:], pull[1:], style, label=name)
left.set(xlabel="distance $d$", ylabel="loss", ylim=(-0.05, 1.2))
right.set(xlabel="distance $d$", ylabel="derivative")
left.legend()

# %%
# Digits in the plane
# -------------------
#
# A network with one hidden layer maps 8 x 8 images of the digits 0 to 4 to two numbers. It trains on random pairs, of
# which half show the same digit. Shown are images it has not seen, before and after. The share of them whose nearest
# neighbor shows the same digit rises, and distances between like and unlike images part at the margin.

images, labels = load_digits(n_class=5, return_X_y=True)
images = (images / 16).astype(np.float32)
train, test = np.arange(600), np.arange(600, len(images))
rng = np.random.default_rng(0)
params = [
    (rng.normal(size=(o, i)).astype(np.float32) * np.float32(np.sqrt(gain / i)), np.zeros(o, np.float32))
    for o, i, gain in ((64, 64, 2), (2, 64, 1))
]


def embed(params, x):
    (w1, b1), (w2, b2) = params
    return relu(x @ w1.T + b1) @ w2.T + b2


def pair_loss(params, x, z, similar):
    return contrastive_loss(embed(params, x), embed(params, z), similar, margin=1.0)


def nearest_is_alike(points):
    """Return the share of images whose nearest neighbor shows the same digit, and all distances."""
    distance = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distance, np.inf)
    return (labels[test][distance.argmin(axis=1)] == labels[test]).mean(), distance


before = embed(params, images[test])
by_digit = train[np.argsort(labels[train], kind="stable")]
starts = np.searchsorted(labels[by_digit], np.arange(6))
for _ in range(600):
    first = rng.choice(train, 64)
    second = rng.choice(train, 64)
    half = labels[first[:32]]
    second[:32] = by_digit[rng.integers(starts[half], starts[half + 1])]
    similar = labels[first] == labels[second]
    _, gradient = value_and_gradient(pair_loss, params, images[first], images[second], similar)
    for layer, change in zip(params, gradient, strict=True):
        for p, g in zip(layer, change, strict=True):
            p -= np.float32(0.3) * g
after = embed(params, images[test])

share_before, _ = nearest_is_alike(before)
share_after, distance = nearest_is_alike(after)
same = labels[test][:, None] == labels[test]
off = ~np.eye(len(test), dtype=bool)
assert share_after > 0.8 and share_after > share_before + 0.3
assert np.median(distance[same & off]) < 0.3 and np.median(distance[~same]) > 0.9

# alt: Two scatter plots of the same images of digits in the plane. Before training five colors lie over one another in
#   one cloud. After training each color is a cluster of its own, apart from the others, with a few strays between.
# caption: Images that were not trained on, before and after; color, marker and number are the digit.
fig, axes = plt.subplots(1, 2, figsize=(7.2, 3.4), layout="constrained")
for ax, points, title in zip(axes, (before, after), ("before", "after"), strict=True):
    for digit, marker in enumerate("osD^v"):
        own = points[labels[test] == digit]
        ax.plot(*own.T, f"C{digit}{marker}", markersize=3, alpha=0.6, rasterized=True)
        ax.annotate(str(digit), np.median(own, axis=0), fontsize=14, weight="bold", ha="center", va="center")
    ax.set(title=title, aspect="equal", xticks=[], yticks=[])
