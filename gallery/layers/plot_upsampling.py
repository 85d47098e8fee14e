"""
Upsampling: where new pixels come from
======================================

A few pixels become many. Nearest repeats, bilinear blends two, bicubic blends four and sharpens; a transposed
convolution adds copies of a filter, which leaves a checkerboard wherever the stride does not divide the filter.
"""

# %%
# One photograph, four ways
# -------------------------
#
# Photograph: vultilion, CC BY 2.0, cropped, in gray and made small.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from dlref.layers import conv_transpose2d, resize2d

photo = load_sample_image("flower.jpg").astype(np.float32).mean(axis=2)[30:366, 140:476] / 255
photo = photo.reshape(168, 2, 168, 2).mean(axis=(1, 3))
small = photo.reshape(28, 6, 28, 6).mean(axis=(1, 3))
uneven = np.ones((1, 1, 8, 8), np.float32) * 6**2 / 8**2  # 8 weights, 6 apart
enlarged = {
    "nearest": resize2d(small, 168, "nearest"),
    "bilinear": resize2d(small, 168),
    "bicubic": resize2d(small, 168, "bicubic"),
    "transposed, 8 by 8": conv_transpose2d(small[None, None], uneven, stride=6, padding=1)[0, 0],
}
error = {name: np.sqrt(np.mean((y - photo)[6:-6, 6:-6] ** 2)) for name, y in enlarged.items()}
assert error["bicubic"] < error["bilinear"] < error["nearest"] < error["transposed, 8 by 8"], error
assert np.allclose(enlarged["nearest"].reshape(28, 6, 28, 6).mean(axis=(1, 3)), small, atol=1e-6)
assert enlarged["bicubic"].max() > small.max() >= enlarged["bilinear"].max(), "only the cubic leaves the range"

# alt: Four enlargements of a crop of a flower. Nearest shows square blocks, bilinear is smooth and blurred, bicubic
#   smooth with clearer petals. The transposed convolution shows the blocks with a grid of bright lines between them.
# caption: A photograph of 28 by 28 pixels, six times larger. The last is a transposed convolution with 8 by 8 equal
#   weights: where copies overlap it is brighter.
fig, axes = plt.subplots(2, 2, figsize=(5.4, 5.8), layout="constrained")
for ax, (name, y) in zip(axes.flat, enlarged.items(), strict=True):
    ax.imshow(y, cmap="gray", vmin=0, vmax=1, interpolation="none")
    ax.set_title(name, fontsize=10)
    ax.set_axis_off()

# %%
# The checkerboard
# ----------------
#
# A transposed convolution of ones with a filter of ones counts how many contributions each output pixel gets.

ones = np.ones((1, 1, 8, 8))
counts = {}
for k, stride in ((3, 2), (4, 2), (5, 3), (6, 3)):
    y = conv_transpose2d(ones, np.ones((1, 1, k, k)), stride=stride)[0, 0]
    inside = y[k:-k, k:-k]
    even = inside.min() == inside.max()
    assert even == (k % stride == 0)
    assert inside.max() == (-(-k // stride)) ** 2 and inside.min() == (k // stride) ** 2
    counts[k, stride] = inside[:9, :9]

# alt: Four squares of 9 by 9 pixels. For a filter of 3 at stride 2 a grid of ones, twos and fours; for 5 at stride 3
#   blocks of fours with ones and twos between them. For 4 at stride 2 and 6 at stride 3 the squares are one even shade.
# caption: How many copies of the filter meet at each output pixel, away from the borders. Even only where the stride
#   divides the side of the filter.
fig, axes = plt.subplots(1, 4, figsize=(7.6, 2.3), layout="constrained")
for ax, ((k, stride), y) in zip(axes, counts.items(), strict=True):
    image = ax.imshow(y, cmap="cividis", vmin=1, vmax=4, interpolation="none")
    ax.set_title(f"{k} by {k}, stride {stride}", fontsize=10)
    ax.set_axis_off()
fig.colorbar(image, ax=axes, ticks=[1, 2, 4], label="contributions", shrink=0.9)

# %%
# What one pixel becomes
# ----------------------
#
# A single bright pixel, enlarged sixteen times, draws the kernel of the interpolation.

dot = np.zeros((1, 9))
dot[0, 4] = 1
place = (np.arange(9 * 16) + 0.5) / 16 - 0.5 - 4
kernels = {
    "nearest": resize2d(dot, (1, 144), "nearest")[0],
    "bilinear": resize2d(dot, (1, 144))[0],
    "bicubic, $a = -0.75$": resize2d(dot, (1, 144), "bicubic")[0],
    "bicubic, $a = -0.5$": resize2d(dot, (1, 144), "bicubic", a=-0.5)[0],
}
nearest, linear, sharp, soft = kernels.values()
assert np.allclose(linear, np.maximum(1 - np.abs(place), 0))
assert sharp.min() < soft.min() < 0 <= linear.min()
assert all(abs(k.sum() - 16) < 1e-9 for k in kernels.values()), "on the average the weights sum to one"

# alt: Four curves over positions from -2.5 to 2.5 pixels. Nearest is a box of width one, bilinear a triangle of width
#   two. The two cubics are rounded peaks that dip below zero between one and two pixels, the one with the larger slope
#   deeper.
# caption: What one pixel contributes, by distance. The area under each is one; only the cubics are negative somewhere.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for (name, values), style in zip(kernels.items(), ("-", "--", "-.", ":"), strict=True):
    ax.plot(place, values, style, label=name, drawstyle="steps-mid" if name == "nearest" else "default")
ax.set(xlabel="distance, pixels", ylabel="weight", xlim=(-2.5, 2.5))
ax.grid(True, alpha=0.4)
ax.legend(fontsize=8)
