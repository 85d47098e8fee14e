"""
Stride: how far the window moves
================================

A stride leaves places out. What is left over at the end is never seen, what is too fine for the steps comes back as a
pattern that was not there, and a shift by one pixel is no longer a shift of the result.
"""

# %%
# Places
# ------

import matplotlib.pyplot as plt
import numpy as np

from dlref.layers import conv2d, gaussian_kernel, output_padding_for, output_size, pad2d, separable_filter, subsample

size, window = 8, 3
# alt: Three panels of bars over eight pixels. At stride 1 six windows of three pixels, each one step further. At
#   stride 2 three windows, and the last pixel is marked. At stride 3 two windows side by side, and the last two pixels
#   are marked.
# caption: The places of a window of 3 on 8 pixels at strides 1, 2 and 3. Crosses mark pixels that no window reaches.
fig, axes = plt.subplots(3, 1, figsize=(6, 4.2), sharex=True, height_ratios=[6, 3, 2], layout="constrained")
for stride, ax in zip((1, 2, 3), axes, strict=True):
    places, left = output_size(size, window, stride), output_padding_for(size, window, stride)
    seen = {p for r in range(places) for p in range(r * stride, r * stride + window)}
    assert seen == set(range(size - left))
    for r in range(places):
        ax.plot([r * stride - 0.35, r * stride + window - 0.65], [r, r], "C0-", linewidth=5)
    ax.plot(np.arange(size - left, size), np.full(left, (places - 1) / 2), "C1x", markersize=9, markeredgewidth=2)
    ax.set(ylim=(places - 0.4, -0.6), yticks=range(places), ylabel="place")
    ax.set_title(f"stride {stride}", fontsize=10, loc="left")
    ax.grid(True, axis="x", alpha=0.4)
axes[-1].set(xlabel="pixel", xticks=range(size))

# %%
# A pattern that is too fine
# --------------------------
#
# Rings that grow finer outwards, up to the limit of the pixels. Every second and every fourth pixel of them, without
# and with a Gaussian blur before.

side = np.arange(-64, 64)
squares = side[:, None] ** 2 + side**2
rings = np.cos(np.pi * squares / 128 / 1.1)


def reduced(image, stride, blur):
    """Keep every pixel of a stride; blur before, with half a step as standard deviation."""
    if blur and stride > 1:
        g = gaussian_kernel(0.5 * stride)
        image = separable_filter(pad2d(image, g.size // 2, "reflect"), g, g)
    return subsample(image, stride)


pictures = {(stride, blur): reduced(rings, stride, blur) for stride in (1, 2, 4) for blur in (False, True)}
outside = squares > 52**2  # finer there than a stride of 4 can carry
for stride in (2, 4):
    corner = subsample(outside.astype(float), stride) > 0
    plain, blurred = (pictures[stride, blur][corner].std() for blur in (False, True))
    assert blurred < plain / 3, (plain, blurred)
wave = np.cos(2 * np.pi * 0.4 * np.arange(100))[None]
assert np.allclose(subsample(wave, (1, 2)), np.cos(2 * np.pi * 0.1 * 2 * np.arange(50)), atol=1e-9)

# alt: Six pictures of rings. At stride 1 one set of rings around the middle. At stride 2 without a blur more sets of
#   rings appear at the sides, at stride 4 a grid of them. With a blur before, the false rings are gone: the middle ones
#   stay and the outside is gray.
# caption: Rings at strides 1, 2 and 4: above as they are, below with a blur before the step. The small circles of the
#   upper row are not in the pattern.
fig, axes = plt.subplots(2, 3, figsize=(6.6, 4.6), layout="constrained")
for ax, ((stride, blur), picture) in zip(axes.T.flat, pictures.items(), strict=True):
    ax.imshow(picture, cmap="gray", vmin=-1, vmax=1, interpolation="none")
    ax.set_title(f"stride {stride}" + (", blurred before" if blur and stride > 1 else ""), fontsize=10)
    ax.set_axis_off()

# %%
# Size, cost and shifts
# ---------------------

x, w = np.random.default_rng(0).normal(size=(1, 3, 32, 32)), np.random.default_rng(1).normal(size=(8, 3, 3, 3))
strides, sizes, costs = np.arange(1, 9), [], []
for stride in strides:
    y = conv2d(x, w, stride=int(stride), padding=1)
    sizes.append(y.shape[2])
    costs.append(y.size * w[0].size)
    moved = conv2d(np.roll(x, 1, axis=3), w, stride=int(stride), padding=1)
    same = np.allclose(moved[..., 2:-1], y[..., 1:-2])
    assert same == (stride == 1), "a shift by one is a shift of the map at stride 1 only"
assert sizes == [output_size(32, 3, int(s), 1) for s in strides] and sizes[1] == 16
assert costs[0] == 4 * costs[1]

# alt: Two falling curves over strides from 1 to 8, both relative to stride 1, on a logarithmic axis. The side falls as
#   one over the stride, to an eighth; the number of multiplications as one over its square, to a sixty-fourth.
# caption: Side of the map, and multiplications, for 32 by 32 pixels and windows of 3 by 3, in proportion to stride 1.
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.semilogy(strides, np.array(sizes) / sizes[0], "C0o-", label="side of the map")
ax.semilogy(strides, np.array(costs) / costs[0], "C1s--", label="multiplications")
ax.set(xlabel="stride", ylabel="share of stride 1", yticks=[1, 1 / 4, 1 / 16, 1 / 64])
ax.set_yticklabels(["1", "1/4", "1/16", "1/64"])
ax.minorticks_off()
ax.grid(True, alpha=0.4)
ax.legend()
