"""
Parameter sharing: a convolution is a dense layer with nine numbers
===================================================================

Written as a matrix, a convolution has the same few weights in every row. That makes its size independent of the image,
and it makes the layer commute with shifts: exactly on a ring, everywhere but near the border with zero padding, and for
every second shift only at stride 2.
"""

# %%
# The matrix
# ----------
#
# A 3 by 3 filter on images of 6 by 6 pixels, with a border of zeros.

import matplotlib.pyplot as plt
import numpy as np

from dlref.layers import conv2d, conv2d_matrix, layer_counts, pad2d

w = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
m = conv2d_matrix(w, 6, padding=1)
image = np.random.default_rng(0).normal(size=(1, 1, 6, 6))
np.testing.assert_allclose(m @ image.ravel(), conv2d(image, w, padding=1).ravel(), atol=1e-12)
assert m.shape == (36, 36) and set(np.unique(m)) == set(range(10))
free = np.random.default_rng(1).normal(size=(36, 36))

# alt: Two square matrices of 36 by 36 entries. The dense one is full of different shades. That of the convolution is
#   empty but for three bands of three diagonals each around the middle, every diagonal in one shade, with gaps at every
#   sixth row.
# caption: The weights of a dense layer between images of 6 by 6 pixels, 1,296 numbers, and of a convolution, nine
#   numbers, as matrices.
fig, axes = plt.subplots(1, 2, figsize=(6.6, 3.4), layout="constrained")
axes[0].imshow(free, cmap="viridis", interpolation="none")
axes[1].imshow(np.where(m == 0, np.nan, m), cmap="viridis", interpolation="none")
for ax, title in zip(axes, ("dense", "3 by 3, shared"), strict=True):
    ax.set(title=title, xlabel="pixel in", ylabel="pixel out", xticks=range(0, 36, 6), yticks=range(0, 36, 6))

# %%
# Counting
# --------

sides = np.array([8, 16, 32, 64, 128, 256])
counts = np.array([layer_counts(3, 16, 3, int(n), padding=1) for n in sides])
shared, local, dense = counts[:, 0], counts[:, 1], counts[:, 2]
assert (shared == 432).all() and 2e11 < dense[-1] < 2.1e11
assert np.array_equal(local, 432 * sides**2) and np.array_equal(counts[:, 3], local)

# alt: Three lines over image sides from 8 to 256 pixels, both axes logarithmic. Shared weights stay at 432. Local ones
#   rise with the square of the side to 28 million, dense ones with its fourth power to 200 thousand million.
# caption: Weights of a layer from 3 to 16 channels by the side of the image, for a dense layer, for 3 by 3 windows with
#   weights of their own, and for a convolution.
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.loglog(sides, dense, "C2^-.", label="dense")
ax.loglog(sides, local, "C1s--", label="local windows")
ax.loglog(sides, shared, "C0o-", label="shared windows")
ax.set(xlabel="side of the image, pixels", ylabel="weights", ylim=(100, None))
ax.set_xticks(sides, [str(n) for n in sides])
ax.minorticks_off()
ax.grid(True, alpha=0.4)
ax.legend()

# %%
# Where it commutes with shifts
# -----------------------------
#
# Convolve and then move by one pixel, or move and then convolve: the difference, over many random images closed to a
# ring, at every place of the map.

rng = np.random.default_rng(2)
images, w = rng.normal(size=(200, 1, 16, 16)), rng.normal(size=(1, 1, 5, 5))


def moved(y, step=1):
    """Move images to the right on a ring."""
    return np.roll(y, step, axis=3)


def same_size(x):
    """Put the result of stride 2 back on the full grid, every number twice in each direction."""
    return np.repeat(np.repeat(x, 2, axis=2), 2, axis=3)


layers = {
    "circular": lambda x: conv2d(pad2d(x, 2, "circular"), w),
    "zero padding": lambda x: conv2d(x, w, padding=2),
    "circular, stride 2": lambda x: same_size(conv2d(pad2d(x, 2, "circular"), w, stride=2)),
}
errors = {name: np.sqrt(((f(moved(images)) - moved(f(images))) ** 2).mean(axis=(0, 1))) for name, f in layers.items()}
assert errors["circular"].max() < 1e-12
inside, border = errors["zero padding"][:, 3:-2], errors["zero padding"][:, [0, 1, 2, -2, -1]]
assert inside.max() < 1e-12 and border.min() > 0.1, "wrong where the window, or the moved window, meets the zeros"
assert errors["circular, stride 2"].min() > 0.1
two = layers["circular, stride 2"]
assert np.allclose(two(moved(images, 2)), moved(two(images), 2)), "but by two pixels it commutes"

# alt: Three maps of 16 by 16 places with one color scale. Circular is zero everywhere. With zero padding there is an
#   error in three columns on the left and two on the right, and none between them. With stride 2 it is large
#   everywhere.
# caption: Root mean square difference between moving the image by one pixel to the right and moving the map, at each
#   place, for a random 5 by 5 filter.
fig, axes = plt.subplots(1, 3, figsize=(7.4, 2.7), layout="constrained")
top = max(e.max() for e in errors.values())
for ax, (name, error) in zip(axes, errors.items(), strict=True):
    shown = ax.imshow(error, cmap="cividis", vmin=0, vmax=top, interpolation="none")
    ax.set_title(name, fontsize=10)
    ax.set(xticks=[0, 5, 10, 15], yticks=[0, 5, 10, 15])
fig.colorbar(shown, ax=axes, label="difference", shrink=0.9)
