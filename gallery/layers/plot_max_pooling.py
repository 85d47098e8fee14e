"""
Max pooling: what a shift of one pixel does
===========================================

Max pooling keeps the strongest response in each window and forgets where in the window it stood. A small shift of the
image then changes less, but it does change the result: of windows of 2 by 2 pixels two thirds get another maximum when
independent pixels move by one, and the share falls only like 2/k with the side k of the window.
"""

# %%
# A feature map, before and after
# -------------------------------
#
# A photograph, the answer of a filter for vertical edges to it, and what is left after max pooling. Photograph:
# danielbuechele, CC BY 2.0, cropped and in gray.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from dlref.activations import relu
from dlref.layers import conv2d, max_pool2d

photo = load_sample_image("china.jpg").astype(np.float32).mean(axis=2)[90:250, 230:390] / 255
edges = conv2d(photo[None, None], np.array([[[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]]], np.float32), padding=1)
feature_map = relu(edges)
pooled = max_pool2d(feature_map, 8)
assert pooled.shape == (1, 1, 20, 20)
assert pooled.max() == feature_map.max(), "the strongest response survives any max pooling"

# alt: Three square panels. A gray photograph of a temple with tiled roofs. The same scene as a map of vertical edges,
#   bright lines on a dark ground. The same map in 20 by 20 coarse pixels, in which the bright lines have become thicker
#   and no darker.
# caption: A photograph, the map of its vertical edges after ReLU (160 × 160), and that map after max pooling with
#   windows of 8 × 8 (20 × 20). Thin lines stay as bright as they were.
fig, axes = plt.subplots(1, 3, figsize=(7, 2.7), layout="constrained")
panels = [
    (photo, "photograph", "gray"),
    (feature_map[0, 0], "vertical edges", "cividis"),
    (pooled[0, 0], "pooled, 8 × 8", "cividis"),
]
for ax, (image, title, cmap) in zip(axes, panels, strict=True):
    ax.imshow(image, cmap=cmap, interpolation="none")
    ax.set_title(title)
    ax.set_axis_off()

# %%
# Shifts, measured
# ----------------
#
# The scene moves to the right by up to eight pixels, new pixels come in from the left. On the left, how far the pooled
# map is from that of the scene at rest. On the right, the share of windows whose maximum is exactly the same after a
# shift by one pixel, for the map of edges and for independent noise, against :math:`(k - 1)/(k + 1)`.

wide = load_sample_image("china.jpg").astype(np.float32).mean(axis=2)[60:316, 100:446] / 255
scene = relu(conv2d(wide[None, None], np.array([[[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]]], np.float32), padding=1))
noise = np.random.default_rng(0).normal(size=(1, 16, *scene.shape[2:])).astype(np.float32)


def seen(source, shift):
    """Return the window of 256 columns through which the source is seen after a shift to the right."""
    return source[..., 80 - shift : 336 - shift]


shifts = np.arange(9)
distance = {}
for k in (1, 2, 4, 8):
    rest = max_pool2d(seen(scene, 0), k)
    distance[k] = [np.linalg.norm(max_pool2d(seen(scene, t), k) - rest) / np.linalg.norm(rest) for t in shifts]
assert distance[1][1] > distance[2][1] > distance[4][1] > distance[8][1] > 0.1, "tolerance, not invariance"

sizes = np.array([2, 3, 4, 6, 8, 12, 16])
same = {"map of edges": [], "independent pixels": []}
for shares, source in zip(same.values(), (scene, noise), strict=True):
    for k in sizes:
        shares.append(np.mean(max_pool2d(seen(source, 0), int(k)) == max_pool2d(seen(source, 1), int(k))))
assert np.abs(same["independent pixels"] - (sizes - 1) / (sizes + 1)).max() < 0.05, same
assert abs(same["independent pixels"][0] - 1 / 3) < 0.02

# alt: Two panels. On the left the relative change of the map against the shift from 0 to 8 pixels, one curve each for
#   no pooling and windows of 2, 4 and 8: all begin at zero and rise, larger windows more slowly, and none stays at
#   zero. On the right the share of unchanged maxima against the side of the window: the dots of independent pixels lie
#   on a dashed curve that rises from one third at 2 to about 0.88 at 16, those of the map of edges close to it.
# caption: Left, how far the pooled map moves when the scene does, relative to its norm. Right, the share of windows
#   that keep their maximum through a shift by one pixel. The dashed curve is $(k - 1)/(k + 1)$.
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
for (k, values), style in zip(distance.items(), ("C0o-", "C1s-", "C2^-", "C3d-"), strict=True):
    left.plot(shifts, values, style, markersize=4, label="not pooled" if k == 1 else f"{k} × {k}")
left.set(xlabel="shift in pixels", ylabel="relative change", ylim=(0, 2))
left.legend(ncols=2, loc="upper center")
k = np.linspace(2, 16)
right.plot(k, (k - 1) / (k + 1), "C1--")
right.plot(sizes, same["independent pixels"], "C1o", label="independent pixels")
right.plot(sizes, same["map of edges"], "C0^", label="map of edges")
right.set(xlabel="side of the window", ylabel="maxima unchanged", ylim=(0, 1))
right.legend()
