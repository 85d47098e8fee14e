"""
Bounding box: an overlap that cannot say how far
================================================

Intersection over union compares two boxes, decides which of many detections of one thing remain, and which are right.
As an aim of training it is blind: boxes that do not touch all have 0, near or far. Two completions tell them apart.
"""

# %%
# Overlaps on a photograph
# ------------------------
#
# The photograph is one of scikit-learn's samples (CC BY 2.0). One true box around the tower, and three guesses.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from sklearn.datasets import load_sample_image

from dlref.metrics import box_convert, box_iou, box_overlap, box_overlap_backward, non_maximum_suppression

photo = load_sample_image("china.jpg")[::4, ::4]
truth = np.array([[19.0, 10.0, 83.0, 104.0]])
guesses = np.array([[22.0, 13.0, 86.0, 100.0], [10.0, 50.0, 78.0, 104.0], [76.0, 6.0, 140.0, 60.0]])
overlaps = box_iou(guesses, truth)[:, 0]
masks = np.zeros((4, *photo.shape[:2]), bool)
for mask, (x1, y1, x2, y2) in zip(masks, np.concatenate([truth, guesses]).astype(int), strict=True):
    mask[y1:y2, x1:x2] = True
counted = [(masks[0] & m).sum() / (masks[0] | m).sum() for m in masks[1:]]
assert np.allclose(overlaps, counted) and overlaps[0] > 0.75 > 0.5 > overlaps[1] > overlaps[2] > 0


def frame(ax, box, color, style, label=None):
    x, y, w, h = box_convert(box, "xyxy", "xywh")
    ax.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=color, linestyle=style, linewidth=2, label=label))


# alt: A photograph of a Chinese tower before a lake, with a solid box around it, a dashed one that nearly covers that
#   box, a dash-dotted one that covers its lower half, and a dotted one over the sky that overlaps its edge.
# caption: A box and three guesses with their intersection over union. Photograph: scikit-learn's sample, CC BY 2.0.
fig, ax = plt.subplots(figsize=(5.6, 4), layout="constrained")
ax.imshow(photo, interpolation="none")
frame(ax, truth[0], "C1", "-", "true box")
for box, overlap, color, style in zip(guesses, overlaps, ("C0", "C2", "C3"), ("--", "-.", ":"), strict=True):
    frame(ax, box, color, style, f"IoU {overlap:.2f}")
ax.set(xticks=[], yticks=[])
ax.legend(loc="lower right")

# %%
# Suppression step by step
# ------------------------
#
# Two things and nine detections. The best one is kept and takes with it all that overlap it by more than one half;
# then the best of the rest. Detections that lie as close to their thing as these leave one box for each, in more than
# 99 draws of 100; wilder ones leave more. Two things that overlap each other by more than one half would be one.

things = np.array([[0.0, 0.0, 4.0, 4.0], [3.0, 1.0, 7.0, 5.0]])


def detections(rng, spread):
    """Return nine boxes about the two things, and their scores."""
    boxes = np.repeat(things, [5, 4], axis=0) + rng.normal(0, spread, (9, 4))
    return boxes, rng.permutation(np.linspace(0.5, 0.95, 9))


rng = np.random.default_rng(3)
left_over = {
    spread: np.array([len(non_maximum_suppression(*detections(rng, spread))) for _ in range(1000)])
    for spread in (0.2, 0.5)
}
assert np.mean(left_over[0.2] == 2) > 0.99 and np.mean(left_over[0.5] > 2) > 0.5
boxes, scores = detections(rng, 0.2)
steps, alive = [], list(np.argsort(-scores))
while alive:
    best = alive[0]
    gone = [k for k in alive[1:] if box_iou(boxes[[best]], boxes[[k]])[0, 0] > 0.5]
    steps.append((best, gone))
    alive = [k for k in alive[1:] if k not in gone]
assert [best for best, _ in steps] == non_maximum_suppression(boxes, scores).tolist() and len(steps) == 2
assert all(box_iou(boxes[[best]], things).max() > 0.5 for best, _ in steps)

# alt: Three panels. Left, nine overlapping boxes in two groups. Middle, one box of a group is drawn thick and the
#   others of its group dashed. Right, the same for the other group, with the first box still there.
# caption: Nine detections (left). The best is kept (thick), what it overlaps by more than one half goes (dashed); then
#   the best of what remains.
fig, axes = plt.subplots(1, 3, figsize=(8, 2.9), layout="constrained", sharex=True, sharey=True)
for box in boxes:
    frame(axes[0], box, "C0", "-")
for ax, (best, gone), color in zip(axes[1:], steps, ("C1", "C2"), strict=True):
    for k in gone:
        frame(ax, boxes[k], "C0", "--")
    frame(ax, boxes[best], color, "-")
    ax.patches[-1].set_linewidth(3.5)
frame(axes[2], boxes[steps[0][0]], "C1", "-")
axes[2].patches[-1].set_linewidth(3.5)
axes[0].set(xlim=(-1.2, 8.2), ylim=(6, -1.2), title="detections")
axes[1].set(title=f"keep 1, drop {len(steps[0][1])}")
axes[2].set(title=f"keep 1 more, drop {len(steps[1][1])}")
for ax in axes:
    ax.set(xticks=[], yticks=[], aspect="equal")

# %%
# Apart
# -----
#
# A unit box moves away from another. From the moment they part IoU is 0 and so is its gradient: no step would bring
# them back. The generalized overlap falls towards -1, as the box around both becomes empty, and always points home.

gap = np.linspace(-1, 4, 201)
moving = np.stack([gap + 1, np.zeros_like(gap), gap + 2, np.ones_like(gap)], axis=1)
still = np.tile([0.0, 0.0, 1.0, 1.0], (len(gap), 1))
curves = {kind: box_overlap(moving, still, kind=kind) for kind in ("iou", "giou", "diou")}
slopes = {
    kind: box_overlap_backward(np.ones_like(gap), moving, still, kind=kind).a[:, [0, 2]].sum(1) for kind in curves
}
apart = gap > 1e-9
assert (curves["iou"][apart] == 0).all() and (slopes["iou"][apart] == 0).all()
assert (slopes["giou"][apart] < 0).all() and (slopes["diou"][apart] < 0).all()
assert np.allclose(curves["giou"][apart], -gap[apart] / (2 + gap[apart]))

# alt: Three curves against the gap between two boxes, from -1, full overlap, to 4. All start at 1. IoU falls to 0 at
#   gap 0 and stays there; GIoU and DIoU go on falling below zero.
# caption: Overlap of two unit boxes side by side against the gap between them; a gap of -1 is the same place.
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for (kind, y), style in zip(curves.items(), ("C0-", "C1--", "C2-."), strict=True):
    ax.plot(gap, y, style, label={"iou": "IoU", "giou": "GIoU", "diou": "DIoU"}[kind])
ax.axvline(0, color="C4", linewidth=0.8)
ax.set(xlabel="gap", ylabel="overlap")
ax.legend()
