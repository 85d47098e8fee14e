"""
Feature extraction: designed, computed, learned
===============================================

A linear probe reads classes off features that it cannot change, so its accuracy says what the features make easy. On
handwritten digits sixteen features that a small network learned serve it about as well as the 64 pixels, and better
than sixteen random ones. Histograms of oriented gradients were designed not to see contrast and brightness: when both
change, they alone keep their accuracy.
"""

# %%
# Five kinds of features, one probe
# ---------------------------------
#
# 900 digits train everything that is fitted: the components, the network, the scales, the probe. The others test it,
# first as they are, then with their contrast halved on a gray background. The random features are the hidden layer of
# the network before training: what its shape alone is worth.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from sklearn.datasets import load_digits, load_sample_image

from dlref.activations import relu
from dlref.data import (
    fit_columns,
    fit_principal_components,
    hog,
    linear_probe,
    principal_components,
    probe_scores,
    resize_antialiased,
    split_indices,
    transform_columns,
)
from dlref.losses import cross_entropy
from dlref.optimizers import adam, adam_state
from dlref.training import fit

rng = np.random.default_rng(0)
digits = load_digits()
images, target = digits.images / 16, digits.target
train, test = split_indices(len(images), (900 / 1797, 897 / 1797), rng)
count = 16


def scores(params, x):
    w1, b1, w2, b2 = params
    return relu(x @ w1 + b1) @ w2 + b2


def loss(params, x, y):
    return cross_entropy(scores(params, x), y)


def flat(images):
    return images.reshape(len(images), -1)


start = [rng.normal(size=(64, count)) / np.sqrt(32), np.zeros(count)]
start += [rng.normal(size=(count, 10)) / np.sqrt(count / 2), np.zeros(10)]
data = flat(images[train]), target[train]
run = fit(loss, start, data, adam, adam_state, lr=0.01, epochs=30, batch_size=100, rng=rng)
fitted = fit_principal_components(flat(images[train]), count)

kinds = {
    "pixels": flat,
    "principal components": lambda x: principal_components(flat(x), fitted),
    "HOG": lambda x: hog(x, orientations=8, cell=2, block=2),
    "random hidden layer": lambda x: relu(flat(x) @ start[0] + start[1]),
    "learned hidden layer": lambda x: relu(flat(x) @ run.params[0] + run.params[1]),
}
changed = 0.5 * images[test] + 0.3
accuracy, sizes = {}, {}
for name, extract in kinds.items():
    known = extract(images[train])
    scale = fit_columns(known, "mean")
    probe = linear_probe(transform_columns(known, scale), target[train], 10, alpha=1e-2, tolerance=1e-4)
    sizes[name], accuracy[name] = known.shape[1], []
    for part in (images[test], changed):
        guess = probe_scores(transform_columns(extract(part), scale), probe).argmax(axis=1)
        accuracy[name].append(np.mean(guess == target[test]))
    print(f"{name:21} {sizes[name]:4} features: {accuracy[name][0]:.3f}, changed {accuracy[name][1]:.3f}")

learned, components = accuracy["learned hidden layer"][0], accuracy["principal components"][0]
assert learned > components - 0.01 and learned > accuracy["random hidden layer"][0] + 0.1
assert abs(learned - accuracy["pixels"][0]) < 0.02
assert abs(np.subtract(*accuracy["HOG"])) < 0.01
assert all(before - after > 0.03 for name, (before, after) in accuracy.items() if name != "HOG")

# alt: Accuracy of the probe for five kinds of features, a dot for the test images and a square for the same images with
#   less contrast. Dots: pixels, HOG and the learned layer near 0.96, principal components 0.94, random layer 0.68.
#   Squares: HOG at the place of its dot, components 0.84, learned 0.69, random 0.2, pixels 0.1.
# caption: Accuracy of a linear probe, with the number of features in brackets. Only the features that were designed
#   not to see contrast and brightness keep their accuracy when both change.
fig, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
rows = np.arange(len(kinds))
before, after = np.array(list(accuracy.values())).T
ax.hlines(rows, after, before, color="C4", linewidth=1)
ax.plot(before, rows, "C0o", markersize=10, label="test images")
ax.plot(after, rows, "C1s", markersize=5, label="less contrast, lighter")
ax.set_yticks(rows, [f"{name} ({sizes[name]})" for name in kinds])
ax.set(xlabel="accuracy of the linear probe", xlim=(0, 1.02))
ax.invert_yaxis()
ax.legend(loc="lower left")

# %%
# What the histograms see
# -----------------------
#
# Each cell of eight pixels is drawn with the two strongest of its eight directions, turned to run along the edges; they
# are longer the more the cell has of them, compared with the cells around it. Photograph: danielbuechele, CC BY 2.0,
# resized and made gray.

photo = load_sample_image("china.jpg").mean(axis=2) / 255
gray = resize_antialiased(photo, 96, 144)
blocks = hog(gray, orientations=8, cell=8, block=3).reshape(10, 16, 9, 8)
lighter = hog(0.5 * gray + 0.3, orientations=8, cell=8, block=3).reshape(blocks.shape)
assert abs(lighter - blocks).max() < 1e-3
cells = blocks[:, :, 4]  # the middle cell of each block

# alt: Left, a small gray photograph of a temple with curved roofs by a lake. Right, short lines on a grid of ten by
#   sixteen cells; along the roofs, the walls and the horizon they run in the directions of the edges.
# caption: A photograph and its histograms of oriented gradients. Half the contrast gives the same lines.
fig, axes = plt.subplots(1, 2, figsize=(8, 2.9), layout="constrained")
axes[0].imshow(gray, cmap="gray", interpolation="nearest")
angle = (np.arange(8) + 0.5) * np.pi / 8 + np.pi / 2  # an edge runs across its gradient
row, column, part = np.nonzero(cells >= np.sort(cells)[..., -2:-1])
ray = 1.8 * cells[row, column, part] * np.stack([np.cos(angle[part]), np.sin(angle[part])])
middle = np.stack([column, row]) + 1
axes[1].add_collection(LineCollection(np.stack([middle - ray, middle + ray]).transpose(2, 0, 1), colors="C0"))
axes[1].set(xlim=(-0.5, 17.5), ylim=(11.5, -0.5), aspect="equal")
for ax in axes:
    ax.set(xticks=[], yticks=[])

# %%
# Patterns of weights
# -------------------
#
# A component and a hidden unit look at the whole image through one pattern of weights each.

units = np.argsort(-np.linalg.norm(run.params[0], axis=0) * np.linalg.norm(run.params[2], axis=1))[:6]
patterns = {"principal components": fitted.directions[:6], "learned hidden units": run.params[0].T[units]}
assert (abs(fitted.directions @ fitted.directions.T - np.eye(count)) < 1e-12).all()

# alt: Two rows of six patterns of eight by eight weights, purple for one sign and orange for the other. The principal
#   components are smooth and fade at the borders; the learned units are irregular.
# caption: Weights of the first six components and of six hidden units. Components follow what varies in the images,
#   hidden units what tells the classes apart.
fig, axes = plt.subplots(2, 6, figsize=(7, 2.7), layout="constrained")
for line, (name, rows_of) in zip(axes, patterns.items(), strict=True):
    line[0].set_ylabel(name.replace(" ", "\n", 1), fontsize="small")
    for ax, weights in zip(line, rows_of, strict=True):
        limit = abs(weights).max()
        ax.imshow(weights.reshape(8, 8), cmap="PuOr_r", vmin=-limit, vmax=limit, interpolation="nearest")
        ax.set(xticks=[], yticks=[])
