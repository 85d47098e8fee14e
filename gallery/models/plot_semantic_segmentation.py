"""
Semantic segmentation: nearly every pixel right, and yet a bad map
==================================================================

A small network gives every pixel a class. Calling everything background is right for more than 80 of 100 pixels, which
is why segmentation is judged by the overlap of each class, from one confusion table over all images.
"""

# %%
# Scenes
# ------
#
# Patches of scikit-learn's two sample photographs (CC BY 2.0) with up to three shapes on them: mostly red disks, mostly
# green squares, mostly blue triangles, through which the photograph shines.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from dlref.activations import softmax
from dlref.losses import cross_entropy, dice_loss
from dlref.metrics import accuracy, class_iou, confusion_matrix, mean_iou
from dlref.models import segmentation_logits, segmentation_parameters
from dlref.optimizers import adam, adam_state
from dlref.training import fit, steps_per_epoch

side, names = 24, ("background", "disks", "squares", "triangles")
photos = [load_sample_image(name)[::2, ::2] / 255 for name in ("china.jpg", "flower.jpg")]
rows, columns = np.mgrid[:side, :side] + 0.5


def scene(rng):
    photo = photos[rng.integers(2)]
    top, left = rng.integers(0, np.array(photo.shape[:2]) - side)
    image, label = photo[top : top + side, left : left + side].copy(), np.zeros((side, side), int)
    for kind in rng.permutation([1, 2, 3])[: rng.integers(1, 4)]:
        (y, x), r = rng.uniform(6, side - 6, 2), rng.uniform(3.5, 6)
        down, across = rows - y, np.abs(columns - x)
        inside = {
            1: down**2 + across**2 < r**2,
            2: np.maximum(np.abs(down), across) < 0.85 * r,
            3: (down < 0.8 * r) & (across < 0.6 * (down + r)),
        }[kind]
        color = np.clip(0.6 * np.eye(3)[kind - 1] + rng.normal(0.2, 0.15, 3), 0, 1)
        image[inside] = 0.25 * image[inside] + 0.75 * color
        label[inside] = kind
    return image, label


rng = np.random.default_rng(0)
images, labels = map(np.array, zip(*(scene(rng) for _ in range(240)), strict=True))
x = images.transpose(0, 3, 1, 2).astype(np.float32) - 0.5
training, test = slice(0, 190), slice(190, 240)

# %%
# Training
# --------
#
# Cross-entropy of every pixel plus Dice loss, and after each epoch the table of the held-out scenes.


def loss(params, x, y):
    logits = segmentation_logits(params, x)
    return cross_entropy(logits, y) + dice_loss(softmax(logits, axis=1), y)


def table(params):
    called = np.argmax(segmentation_logits(params, x[test]), axis=1)
    return confusion_matrix(called, labels[test], classes=4)


start, epochs = segmentation_parameters(np.random.default_rng(1)), 8
steps = epochs * steps_per_epoch(190, 10)
run = fit(
    loss,
    start,
    (x[training], labels[training]),
    adam,
    adam_state,
    lr=lambda step: 0.01 * (1 + np.cos(np.pi * step / steps)),
    epochs=epochs,
    batch_size=10,
    rng=np.random.default_rng(0),
    metrics={"mean IoU": lambda p: mean_iou(table(p)), "pixel accuracy": lambda p: accuracy(table(p))},
)
background = confusion_matrix(np.zeros_like(labels[test]), labels[test], classes=4)
final = table(run.params)
assert accuracy(background) > 0.8 and mean_iou(background) < 0.25
assert mean_iou(final) > 0.6 and class_iou(final).min() > 0.4, class_iou(final)
assert mean_iou(table(start)) < 0.25

# alt: Two rising curves over the epochs. Pixel accuracy starts near 0.9 and ends near 0.95; mean intersection over
#   union starts near 0.4 and ends near 0.8. Two dotted lines mark what calling everything background reaches: 0.83 and
#   0.21.
# caption: Held-out scenes over training. Dotted: everything called background, which has almost the accuracy and none
#   of the overlap.
fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
scores = run.history.metrics
for (name, values), style, floor in zip(
    scores.items(), ("C0o-", "C1s--"), (mean_iou(background), accuracy(background)), strict=True
):
    ax.plot(range(1, epochs + 1), values, style, label=name)
    ax.axhline(floor, color=style[:2], linestyle=":", linewidth=1)
ax.set(xlabel="epoch", ylim=(0, 1.02))
ax.legend(loc="lower right")

# %%
# Held-out scenes
# ---------------

called = np.argmax(segmentation_logits(run.params, x[test]), axis=1)
shown = [k for k in range(50) if len(np.unique(labels[test][k])) == 4][:4]
assert len(shown) == 4

# alt: Four columns of three small pictures: a patch of a photograph with a disk, a square and a triangle, the map of
#   its true classes, and the map of the predicted ones, which has the same shapes with ragged edges.
# caption: Four held-out scenes (top), their true classes (middle) and the predicted ones (bottom).
fig, axes = plt.subplots(3, 4, figsize=(6, 4.6), layout="constrained")
for column, k in zip(axes.T, shown, strict=True):
    column[0].imshow(images[test][k], interpolation="none")
    for ax, classes in zip(column[1:], (labels[test][k], called[k]), strict=True):
        ax.imshow(classes, vmin=0, vmax=3, interpolation="none")
for ax, name in zip(axes[:, 0], ("scene", "truth", "network"), strict=True):
    ax.set_ylabel(name)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
for name, value in zip(names, class_iou(final), strict=True):
    print(f"IoU of {name}: {value:.2f}")
print(f"mean {mean_iou(final):.2f}, pixel accuracy {accuracy(final):.2f}; all background {accuracy(background):.2f}")
