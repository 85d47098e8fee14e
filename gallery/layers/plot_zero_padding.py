"""
Zero padding: the border is part of the input
=============================================

A convolution has to see something beyond the edge. Zeros keep the size, and enter every sum near the border: a blur
darkens the edges of a constant image, layer by layer further inwards. From that a network can tell where it is.
"""

# %%
# Four borders
# ------------
#
# Photograph: vultilion, CC BY 2.0, cropped and in gray.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from dlref.activations import tanh
from dlref.layers import conv2d, pad2d, padding_for

photo = load_sample_image("flower.jpg").astype(np.float32).mean(axis=2)[110:238:2, 200:328:2] / 255
names = {"constant": "zeros", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}
padded = {name: pad2d(photo, 24, mode) for mode, name in names.items()}
assert all(y.shape == (112, 112) and np.array_equal(y[24:-24, 24:-24], photo) for y in padded.values())

# alt: The same crop of a flower in four frames, its border marked by a thin square. With zeros the surroundings are
#   black; reflected petals continue symmetrically; replicated edge pixels run outwards as stripes; the circular border
#   shows the opposite side of the crop.
# caption: A photograph of 64 by 64 pixels with 24 pixels put around it, in four ways. The square is the image itself.
fig, axes = plt.subplots(1, 4, figsize=(7.6, 2.2), layout="constrained")
for ax, (name, y) in zip(axes, padded.items(), strict=True):
    ax.imshow(y, cmap="gray", vmin=0, vmax=photo.max(), interpolation="none")
    ax.plot([23.5, 87.5, 87.5, 23.5, 23.5], [23.5, 23.5, 87.5, 87.5, 23.5], "C1-", linewidth=1)
    ax.set_title(name, fontsize=10)
    ax.set_axis_off()

# %%
# Darker edges
# ------------
#
# A constant image of ones through 1, 4 and 16 layers that take the mean of 3 by 3 pixels.

mean = np.full((1, 1, 3, 3), 1 / 9)


def blurred(layers, mode):
    """Return the middle row after some layers."""
    y = np.ones((1, 1, 41, 41))
    for _ in range(layers):
        y = conv2d(pad2d(y, 1, mode), mean)
    return y[0, 0, 20]


rows = {layers: blurred(layers, "constant") for layers in (1, 4, 16)}
for layers, row in rows.items():
    assert abs(row[20] - 1) < 0.02 and row[0] < 0.7, "dark at the edge, hardly in the middle"
    reached = np.flatnonzero(row < 1 - 1e-12)
    assert reached[reached < 20].max() == layers - 1, "one pixel further with every layer"
    for mode in ("reflect", "replicate", "circular"):
        assert np.abs(blurred(layers, mode) - 1).max() < 1e-12, "no other border leaves a trace"

# %%
# Random filters with a tanh between them, on an image that is the same everywhere: with zeros the answer differs from
# place to place, on a ring it cannot.

rng = np.random.default_rng(0)
answers = {"constant": np.full((1, 4, 33, 33), 0.5), "circular": np.full((1, 4, 33, 33), 0.5)}
for _ in range(8):
    w = rng.normal(size=(4, 4, 3, 3)) / 6
    answers = {mode: tanh(conv2d(pad2d(y, 1, mode), w)) for mode, y in answers.items()}
spread = {mode: y.std(axis=(2, 3)).max() for mode, y in answers.items()}
assert spread["circular"] < 1e-12 < 1e-3 < spread["constant"], spread

# alt: Three curves across an image of 41 pixels. After one layer only the outermost pixels fall, to two thirds. After
#   four and sixteen layers the fall begins further inside, and ends near 0.45 and 0.24 at the edge.
# caption: The middle row of an image of ones after 1, 4 and 16 layers of 3 by 3 means with zero padding. With the other
#   three borders it stays at one.
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for (layers, row), style in zip(rows.items(), ("C0-", "C1--", "C2-."), strict=True):
    ax.plot(row, style, label=f"{layers} layer" + "s" * (layers > 1))
ax.set(xlabel="column", ylabel="brightness", ylim=(0, 1.05), xlim=(0, 40))
ax.grid(True, alpha=0.4)
ax.legend(loc="lower center")

# %%
# Sizes
# -----

kernels = np.arange(1, 10)
sizes = {}
for stride in (1, 2):
    for rule in ("full", "same", "valid"):
        sizes[rule, stride] = [
            (32 + sum(padding_for(32, int(k), stride, rule=rule)) - k) // stride + 1 for k in kernels
        ]
assert set(sizes["same", 1]) == {32} and set(sizes["same", 2]) == {16}
assert sizes["valid", 1][-1] == 24 and sizes["full", 1][-1] == 40

# alt: Output size against windows of 1 to 9 pixels. At stride 1 full rises from 32 to 40, same stays at 32, valid falls
#   to 24. At stride 2 the three start together at 16, and end at 20, 16 and 12.
# caption: Output sizes for 32 pixels under the three rules, at strides 1 and 2, by the width of the window.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for (rule, stride), values in sizes.items():
    color = {"full": "C0", "same": "C1", "valid": "C2"}[rule]
    ax.plot(kernels, values, color + ("o-" if stride == 1 else "s--"), label=f"{rule}, stride {stride}", markersize=4)
ax.set(xlabel="width of the window, pixels", ylabel="places", ylim=(0, 42), xticks=kernels)
ax.grid(True, alpha=0.4)
ax.legend(ncols=2, loc="lower left", fontsize=8)
