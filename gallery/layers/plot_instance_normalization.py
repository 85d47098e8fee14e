"""
Instance normalization: every picture by its own light
======================================================

Instance normalization takes from every channel of every image its own mean and spread. Copies of a photograph that
differ in brightness, contrast and tint come out alike, whatever other images are in the batch. Its relatives differ in
one thing only: which numbers share a mean.
"""

# %%
# One photograph, three lights
# ----------------------------
#
# The photograph as it is, with a third of its contrast, and dark with a red tint; below, each after instance
# normalization, drawn from two and a half standard deviations below zero to as many above. Photograph: vultilion,
# CC BY 2.0, cropped and reduced.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from dlref.layers import avg_pool2d, batch_norm, group_norm, instance_norm, layer_norm

photo = load_sample_image("flower.jpg").astype(np.float32).transpose(2, 0, 1)[None, :, 90:330, 180:420] / 255
photo = avg_pool2d(photo, 3)
tint = np.array([0.6, 0.25, 0.15], np.float32)[:, None, None]
lights = np.concatenate([photo, photo / 3 + 0.5, photo * tint + np.array([0.1, 0, 0], np.float32)[:, None, None]])
after = instance_norm(lights)
assert max(np.abs(after[i] - after[0]).max() for i in (1, 2)) < 0.05 * np.abs(after[0]).max(), "the same picture"
ones, zeros = np.ones(3, np.float32), np.zeros(3, np.float32)
together = batch_norm(lights, ones, zeros)
assert np.abs(together[1] - together[0]).max() > 1, "batch normalization keeps the lights apart"

# alt: Six square pictures of a flower in two rows. Above, the original, a pale one and a dark reddish one. Below, three
#   pictures that look the same, with full contrast.
# caption: A photograph in three lights, and each after instance normalization.
fig, axes = plt.subplots(2, 3, figsize=(6, 4), layout="constrained")
names = ["original", "a third of the contrast", "dark and red"]
for ax, name, image in zip(axes[0], names, lights, strict=True):
    ax.imshow(np.clip(image.transpose(1, 2, 0), 0, 1), interpolation="none")
    ax.set_title(name, fontsize="medium")
for ax, image in zip(axes[1], after, strict=True):
    ax.imshow(np.clip(image.transpose(1, 2, 0) / 5 + 0.5, 0, 1), interpolation="none")
    ax.set_title("normalized", fontsize="medium")
for ax in axes.flat:
    ax.set_axis_off()

# %%
# Who shares a mean
# -----------------
#
# A batch of 4 examples with 6 channels of 5 positions. One number is changed, and the outputs that change with it are
# marked: found by running the functions.

x = np.random.default_rng(0).normal(size=(4, 6, 5))
changed = x.copy()
changed[1, 2, 3] += 1
six = np.ones(6), np.zeros(6)
thirty = np.ones(30), np.zeros(30)
functions = {
    "batch": lambda x: batch_norm(x, *six),
    "layer": lambda x: layer_norm(x.reshape(4, 30), *thirty).reshape(x.shape),
    "instance": instance_norm,
    "group, 3 groups": lambda x: group_norm(x, groups=3),
}
touched = {name: np.abs(f(changed) - f(x)) > 1e-9 for name, f in functions.items()}
assert {name: int(mask.sum()) for name, mask in touched.items()} == {
    "batch": 4 * 5,
    "layer": 6 * 5,
    "instance": 5,
    "group, 3 groups": 2 * 5,
}

# alt: Four panels, each a table of 4 examples by 6 channels, every channel a bar of five positions. With batch
#   normalization the same channel is marked in all examples. With layer normalization the whole row of one example,
#   with instance normalization the bar of one channel of one example, and with three groups two neighboring channels of
#   one example.
# caption: The outputs that change when one input does, which is marked with a cross. Examples stand from top to bottom,
#   channels of five positions from left to right.
fig, axes = plt.subplots(2, 2, figsize=(7, 3.4), sharex=True, sharey=True, layout="constrained")
for ax, (name, mask) in zip(axes.flat, touched.items(), strict=True):
    for n, c in np.ndindex(4, 6):
        assert mask[n, c].all() or not mask[n, c].any(), "a channel changes as a whole or not at all"
        color, alpha = ("C0", 0.9) if mask[n, c, 0] else ("C1", 0.15)
        ax.add_patch(plt.Rectangle((6 * c, n), 5, 0.8, color=color, alpha=alpha, linewidth=0))
    ax.plot(6 * 2 + 3 + 0.45, 1 + 0.4, "C1x", markersize=7, markeredgewidth=2)
    ax.set(title=name, xlim=(-0.5, 36), ylim=(4.2, -0.4), xticks=6 * np.arange(6) + 2.5, yticks=np.arange(4) + 0.4)
    ax.set_xticklabels(range(1, 7))
    ax.set_yticklabels(range(1, 5))
for ax in axes[1]:
    ax.set_xlabel("channel")
for ax in axes[:, 0]:
    ax.set_ylabel("example")
