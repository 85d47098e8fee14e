"""
ImageNet: from a photograph to the network's input, and ten years of errors
============================================================================

Models of ImageNet do not see the photograph. They see a square of 224 pixels, cut from an image whose shorter side was
resized to 256, with its channels shifted and scaled. The reported number is the share of images whose class is not
among five guesses; it fell more than tenfold within eight years.
"""

# %%
# The pipeline
# ------------
#
# The photograph, its resized copy with the ten crops drawn in, the center crop, and that crop after normalization,
# shown with its range moved back to that of a picture. Photograph: danielbuechele, CC BY 2.0, resized and cropped.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from sklearn.datasets import load_sample_image

from dlref.data import center_crop, imagenet_normalize, resize_shorter_side, ten_crop

photo = load_sample_image("china.jpg").astype(np.float32).transpose(2, 0, 1) / 255
small = resize_shorter_side(photo, 256)
crop = center_crop(small, 224)
ready = imagenet_normalize(crop)
crops = ten_crop(small, 224)
assert photo.shape == (3, 427, 640) and small.shape == (3, 256, 383) and ready.shape == (3, 224, 224)
assert (crops[4] == crop).all() and (crops[9] == crop[..., ::-1]).all()
print("normalized values from", ready.min().round(2), "to", ready.max().round(2))

# alt: Four pictures of a temple roof. The photograph, wide; a smaller copy with five overlapping squares drawn in;
#   the central square; and the same square with shifted colors, as the network receives it.
# caption: Resize the shorter side to 256, crop 224, normalize. The squares are the five crops; ten-crop adds their
#   mirror images.
fig, axes = plt.subplots(1, 4, figsize=(9, 2.6), layout="constrained", width_ratios=(1.5, 1.5, 1, 1))
shown = ((ready - ready.min()) / np.ptp(ready)).transpose(1, 2, 0)
pictures = (photo.transpose(1, 2, 0)[::2, ::2], small.transpose(1, 2, 0), crop.transpose(1, 2, 0), shown)
titles = ("photograph\n427 x 640", "resized\n256 x 383", "center crop\n224 x 224", "normalized")
for ax, picture, title in zip(axes, pictures, titles, strict=True):
    ax.imshow(np.clip(picture, 0, 1), interpolation="nearest")
    ax.set_title(title, fontsize="medium")
    ax.axis("off")
for i, (top, left) in enumerate([(0, 0), (0, 159), (32, 0), (32, 159), (16, 79)]):
    style = {"edgecolor": f"C{i}", "linestyle": "-" if i == 4 else "--", "linewidth": 1.5, "fill": False}
    axes[1].add_patch(Rectangle((left, top), 223, 223, **style))

# %%
# The winners
# -----------
#
# Top-5 error of the winning entries of the classification task on the test images. The values until 2014 stand in the
# organizers' report, the last two in the papers of the winners. The winner of 2016 published no paper of its own. The
# human estimate is one trained annotator's, on 1,500 images.

winners = {
    2010: ("NEC-UIUC", 28.2),
    2011: ("XRCE", 25.8),
    2012: ("AlexNet", 16.4),
    2013: ("Clarifai", 11.7),
    2014: ("GoogLeNet", 6.7),
    2015: ("ResNet", 3.57),
    2017: ("SENet", 2.25),
}
years, errors = np.array(list(winners)), np.array([error for _, error in winners.values()])
assert (np.diff(errors) < 0).all() and errors[0] / errors[-1] > 10

# alt: Seven bars of top-5 error by year, each lower than the one before: 28.2 percent in 2010, 16.4 in 2012, 6.7 in
#   2014, 2.25 in 2017. A dashed line at 5.1 percent marks the human estimate, which the bars cross in 2015.
# caption: Top-5 error of the winning entries of ILSVRC, and the estimate for a human annotator.
fig, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
ax.bar(years, errors, width=0.6, linestyle="-")
for year, (name, error) in winners.items():
    ax.annotate(
        f"{name}\n{error:g} %",
        (year, error),
        ha="center",
        xytext=(0, 3 + 6 * max(0, 5.6 - error)),
        textcoords="offset points",
        fontsize=8,
    )
ax.axhline(5.1, color="C1", linestyle="--", label="human estimate, 5.1 %")
ax.set(ylabel="top-5 error, percent", ylim=(0, 35), xlabel="year")
ax.legend()
