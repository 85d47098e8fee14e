"""
Feature maps: what a filter found, and where from
=================================================

Each filter makes a map of its own. A number deep in a network depends on a field of pixels that grows with every layer,
but the pixels at its edge hardly count: what counts is a bell that grows only like the square root of the depth.
"""

# %%
# A filter bank
# -------------
#
# Four kernels, their responses, and what a ReLU leaves of them. Photograph: danielbuechele, CC BY 2.0, cropped and in
# gray.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from dlref.activations import relu
from dlref.layers import conv2d, conv2d_backward, gabor_kernel, path_counts, receptive_field

photo = load_sample_image("china.jpg").astype(np.float32).mean(axis=2)[80:170, 220:310] / 255
names = {0: "upright", np.pi / 4: "rising", np.pi / 2: "lying", 3 * np.pi / 4: "falling"}
bank = np.stack([gabor_kernel(5.0, angle, phase=np.pi / 2) for angle in names])[:, None].astype(np.float32)
responses = conv2d(photo[None, None], bank)[0]
maps = relu(responses)
assert responses.shape == (4, *(np.array(photo.shape) - bank.shape[2] + 1))
assert (maps >= 0).all() and 0.3 < (maps == 0).mean() < 0.7, "about half of every map is exactly zero"
slanted = np.add.outer(np.arange(40), np.arange(40))
stripes = np.sin(2 * np.pi * slanted / 5 / np.sqrt(2))[None, None].astype(np.float32)
assert np.argmax(np.abs(conv2d(stripes, bank)[0]).max(axis=(1, 2))) == 1, "each map answers to its own direction"

# alt: Nine panels. A photograph of a temple roof, and beside it in two rows four maps each: the responses of four
#   oriented kernels in gray with bright and dark lines, and the same maps after ReLU, where only the bright lines are
#   left on black. Each map shows edges of another direction.
# caption: Four feature maps of one photograph: above before the activation, where gray is zero, below after a ReLU.
fig = plt.figure(figsize=(7.8, 2.9), layout="constrained")
grid = fig.add_gridspec(2, 6)
panels = [(fig.add_subplot(grid[:, :2]), photo, "photograph", 0, 1)]
for k, name in enumerate(names.values()):
    limit = np.quantile(np.abs(responses[k]), 0.99)
    panels.append((fig.add_subplot(grid[0, 2 + k]), responses[k], name, -limit, limit))
    panels.append((fig.add_subplot(grid[1, 2 + k]), maps[k], "ReLU", 0, limit))
for ax, values, name, low, high in panels:
    ax.imshow(values, cmap="gray", vmin=low, vmax=high, interpolation="none")
    ax.set_title(name, fontsize=9)
    ax.set_axis_off()

# %%
# The field grows
# ---------------
#
# Width of the receptive field by depth, computed, and measured as the pixels with a gradient under positive weights.

stacks = {
    "windows of 3": 8 * [(3, 1, 1, 1)],
    "and stride 2 in every third": 2 * [(3, 1, 1, 1), (3, 1, 1, 1), (3, 2, 1, 1)] + 2 * [(3, 1, 1, 1)],
    "and dilation 1, 2, 4, 1, 2, 4 ...": [(3, 1, 2**k, 2**k) for k in (0, 1, 2, 0, 1, 2, 0, 1)],
}


def measured(layers, rng, width=161):
    """Count the pixels with a gradient for one number of the last layer, in random stacks with positive weights."""
    shapes, weights, x = [], [], np.ones((1, 1, 1, width))
    for k, s, p, d in layers:
        w = rng.uniform(0.5, 1, (1, 1, 1, k)) / k
        shapes.append(x)
        weights.append(w)
        x = conv2d(x, w, None, (1, s), (0, p), (1, d))
    g = np.zeros_like(x)
    g[..., x.shape[3] // 2] = 1
    for (_, s, p, d), w, x in zip(reversed(layers), reversed(weights), reversed(shapes), strict=True):
        g = conv2d_backward(g, x, w, None, (1, s), (0, p), (1, d)).x
    return np.flatnonzero(g[0, 0, 0])


rng = np.random.default_rng(0)
# alt: Three rising curves over depths from 0 to 8 layers. Plain layers of 3 rise evenly to 17 pixels. With a stride of
#   2 in every third layer the curve bends upwards, with dilations it rises in larger and smaller steps; both end at 35.
#   Crosses lie on all of them.
# caption: Width of the receptive field along one axis, by depth. Lines are computed; crosses are the pixels that had a
#   gradient.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
widths = {}
for (name, layers), style in zip(stacks.items(), ("C0-", "C1--", "C2-."), strict=True):
    size = widths[name] = receptive_field(layers).size
    crosses = [1]
    for depth in range(1, len(layers) + 1):
        pixels = measured(layers[:depth], rng)
        crosses.append(pixels.max() - pixels.min() + 1)
    assert crosses == size.tolist()
    ax.plot(size, style, label=name)
    ax.plot(crosses, style[:2] + "x")
ax.set(xlabel="layers", ylabel="receptive field, pixels", ylim=(0, None))
ax.grid(True, alpha=0.4)
ax.legend()

# %%
# What counts
# -----------
#
# The share of paths from each pixel, and the gradients of random weights in layers of 16 channels: squared, and
# averaged over channels and over 20 stacks.

depths, mean_square = (4, 16, 36), {}
for depth in depths:
    total = np.zeros(2 * depth + 1)
    for _ in range(20):
        x, g = np.zeros((2, 1, 16, 1, 2 * depth + 1))
        g[0, :, 0, depth] = rng.normal(size=16)
        for _ in range(depth):
            w = rng.normal(size=(16, 16, 1, 3)) / np.sqrt(48)
            g = conv2d_backward(g, x, w, padding=(0, 1)).x
        total += (g[0, :, 0] ** 2).mean(axis=0)
    mean_square[depth] = total / total.sum()
    paths = path_counts(depth * [3])
    assert np.abs(np.cumsum(mean_square[depth]) - np.cumsum(paths / paths.sum())).max() < 0.12

spreads = {}
# alt: Three bells over distances from -36 to 36 pixels. The one for 4 layers is high and narrow, the one for 36 layers
#   low and wide, with hardly any weight beyond 15 pixels. Dots of measured gradients scatter around each bell.
# caption: Share of the paths by distance from the middle after 4, 16 and 36 layers of 3, and dots for the mean squared
#   gradient of random stacks. The axis ends where the field of the deepest ends.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for depth, color, line in zip(depths, ("C0", "C1", "C2"), ("-", "--", "-."), strict=True):
    share, at = path_counts(depth * [3]), np.arange(-depth, depth + 1)
    share /= share.sum()
    spreads[depth] = np.sqrt(share @ at**2)
    assert abs(spreads[depth] - np.sqrt(depth * 8 / 12)) < 1e-9
    ax.plot(at, share, color + line, label=f"{depth} layers, field {2 * depth + 1}")
    ax.plot(at, mean_square[depth], color + ".", markersize=3)
assert abs(spreads[36] / spreads[4] - 3) < 1e-9, "nine times the depth, three times the width"
ax.set(xlabel="distance from the middle, pixels", ylabel="share of the paths", xlim=(-36, 36), ylim=(0, None))
ax.grid(True, alpha=0.4)
ax.legend()
