"""
Filters: what nine numbers can find
===================================

A filter answers where its window looks like the filter. Written by hand, a few small kernels find edges, spots and
stripes of one direction in a photograph. What a kernel lets pass is read from its frequency response, and a kernel of
rank one costs a fraction of what it looks like.
"""

# %%
# Edges and textures
# ------------------
#
# Photograph: danielbuechele, CC BY 2.0, cropped and in gray.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from dlref.layers import (
    correlate2d,
    gabor_kernel,
    gaussian_kernel,
    laplacian_kernel,
    separable_filter,
    sobel_kernel,
)

photo = load_sample_image("china.jpg").astype(np.float32).mean(axis=2)[110:210, 180:320] / 255
blur = gaussian_kernel(1.2)
upright, lying = gabor_kernel(6.0, 0.0, phase=np.pi / 2), gabor_kernel(6.0, np.pi / 2, phase=np.pi / 2)
responses = {
    "photograph": photo,
    "Sobel, across": correlate2d(photo, sobel_kernel(axis=1)),
    "Sobel, downwards": correlate2d(photo, sobel_kernel(axis=0)),
    "Laplacian of a blur": correlate2d(separable_filter(photo, blur, blur), laplacian_kernel()),
    "Gabor, upright": correlate2d(photo, upright),
    "Gabor, lying": correlate2d(photo, lying),
}

stripes = np.sin(2 * np.pi * np.arange(60) / 6)
for kernel, other in ((upright, lying), (lying, upright)):
    image = np.tile(stripes, (60, 1)) if kernel is upright else np.tile(stripes[:, None], (1, 60))
    assert np.abs(correlate2d(image, kernel)).max() > 100 * np.abs(correlate2d(image, other)).max()
flat = np.full((20, 20), 0.7)
assert all(np.abs(correlate2d(flat, w)).max() < 1e-12 for w in (sobel_kernel(), laplacian_kernel(), upright))

# alt: Six panels. A photograph of a temple roof in gray. Sobel across draws the upright edges, bright or dark by the
#   sign of the step, and Sobel downwards the lying ones. The Laplacian of a blur draws thin outlines on both sides of
#   every edge. Two Gabor kernels draw upright and lying stripes about six pixels wide.
# caption: Responses of five kernels to one photograph. Middle gray is zero, bright is positive, dark negative.
fig, axes = plt.subplots(2, 3, figsize=(7.4, 4.4), layout="constrained")
for ax, (name, values) in zip(axes.flat, responses.items(), strict=True):
    limit = np.quantile(np.abs(values), 0.99)
    low = 0 if name == "photograph" else -limit
    ax.imshow(values, cmap="gray", vmin=low, vmax=limit, interpolation="none")
    ax.set_title(name, fontsize=10)
    ax.set_axis_off()

# %%
# What passes
# -----------
#
# The size of the answer to waves across the image, from constant brightness to stripes that change at every pixel.


def response(kernel, size=256):
    """Return the frequency response across the image."""
    return np.abs(np.fft.rfft(np.atleast_2d(kernel).sum(axis=0), size))


frequency = np.fft.rfftfreq(256)
curves = {
    "Gaussian, $\\sigma = 1.2$": response(blur),
    "Sobel, divided by 8": response(sobel_kernel() / 8),
    "Laplacian, divided by 4": response(laplacian_kernel() / 4),
    "Gabor, wavelength 6": response(gabor_kernel(6.0, phase=np.pi / 2)) / response(upright).max(),
}
gauss, sobel, laplace, gabor = curves.values()
assert abs(gauss[0] - 1) < 1e-12 and (np.diff(gauss) < 1e-6).all(), "a blur keeps brightness and lets ever less pass"
assert max(sobel[0], laplace[0], gabor[0]) < 1e-12, "the others ignore brightness"
assert abs(frequency[np.argmax(gabor)] - 1 / 6) < 0.02, "a Gabor kernel answers most near its own wavelength"

# alt: Four curves over frequencies from zero to one half cycle per pixel. The Gaussian falls from one to nearly zero.
#   Sobel rises from zero to a maximum at one quarter and falls to zero again. The Laplacian rises all the way to one.
#   Gabor is a bell with its top near one sixth.
# caption: Frequency responses to waves across the image. At one half the brightness changes at every pixel.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for (name, values), style in zip(curves.items(), ("-", "--", "-.", ":"), strict=True):
    ax.plot(frequency, values, style, label=name)
ax.set(xlabel="frequency, cycles per pixel", ylabel="size of the response", xlim=(0, 0.5), ylim=(0, 1.35))
ax.grid(True, alpha=0.4)
ax.legend(fontsize=8, ncols=2, loc="upper center")

# %%
# Two passes
# ----------
#
# A Gaussian as one square kernel and as two lines of weights: the same result, at a cost that grows with the side and
# not with its square.

image = np.random.default_rng(0).normal(size=(60, 60))
sides = np.arange(3, 22, 2)
for k in sides:
    u = gaussian_kernel(k / 6, radius=k // 2)
    np.testing.assert_allclose(separable_filter(image, u, u), correlate2d(image, np.outer(u, u)), atol=1e-13)
one, two = sides**2, 2 * sides
assert one[-1] == 441 and two[-1] == 42

# alt: Two rising lines over sides from 3 to 21 pixels, on a logarithmic axis. The square kernel takes 9 to 441
#   multiplications for each pixel, the two passes 6 to 42.
# caption: Multiplications for each pixel of a square Gaussian kernel, and of its two factors one after the other.
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.semilogy(sides, one, "C0o-", label="one pass, $k^2$")
ax.semilogy(sides, two, "C1s--", label="two passes, $2k$")
ax.set(xlabel="side $k$ of the kernel, pixels", ylabel="multiplications", xticks=sides)
ax.grid(True, alpha=0.4)
ax.legend()
