"""
Capsule network: lengths that say what, directions that say how
===============================================================

A small capsule network on handwritten digits. The length of a class capsule says whether its digit is there; for most
images one is long and the others are short. Its direction says how the digit is written: change one number of it, and
the reconstruction changes shape and stays the same digit, more or less. An image of nothing makes no capsule as long.
"""

# %%
# Training, and the lengths
# -------------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.models import capsule_margin_loss, capsule_network, capsule_parameters, capsule_reconstruct
from dlref.optimizers import adam, adam_state
from dlref.training import fit

images, digits = load_digits(return_X_y=True)
images = (images / 16).astype(np.float32)
rng = np.random.default_rng(0)
order = rng.permutation(len(digits))
train, test = order[:900], order[1000:1500]


def loss(params, x, target):
    v = capsule_network(params, x)
    return capsule_margin_loss(v, target) + 4 * ((capsule_reconstruct(params, v, target) - x) ** 2).mean()


def lengths(params, x):
    return np.linalg.norm(capsule_network(params, x), axis=2)


def right(params):
    return float(np.mean(lengths(params, images[test]).argmax(axis=1) == digits[test]))


start, data = capsule_parameters(rng), (images[train], digits[train])
run = fit(loss, start, data, adam, adam_state, lr=0.004, epochs=6, batch_size=50, rng=rng, metrics={"right": right})
params, shares = run.params, [right(start), *run.history.metrics["right"]]
assert shares[0] < 0.3 and shares[-1] > 0.85

found = lengths(params, images[test])
own = found[np.arange(len(test)), digits[test]]
others = np.sort(found, axis=1)[:, :-1]
assert found.max() < 1 and np.median(own) > 0.7 and np.median(others) < 0.15
noise = rng.permuted(images[test], axis=1)
strange = lengths(params, noise).max(axis=1)
assert np.median(strange) < np.median(found.max(axis=1)) - 0.1

# alt: Left, the share of right answers over 6 epochs rises from below a tenth to about 95 percent. Middle, the lengths
#   of ten capsules for one image of a digit: one bar above 0.8, the others far below. Right, two histograms of the
#   longest length: for digits with a high peak near 0.9, for shuffled pixels wide and farther left.
# caption: Left: share of 500 new digits whose own capsule is the longest. Middle: lengths of all capsules for one of
#   them. Right: the longest length, for new digits and for the same images with shuffled pixels.
fig, (left, middle, last) = plt.subplots(1, 3, figsize=(7.8, 2.9), layout="constrained")
left.plot(np.arange(len(shares)), shares, "C0o-", markersize=4)
left.set(xlabel="epochs", ylabel="share right", ylim=(0, 1.03))
pick = int(np.flatnonzero((digits[test] == 3) & (own > 0.8))[0])
middle.bar(np.arange(10), found[pick], color="C0")
middle.set(xlabel=f"class, for an image of a {digits[test][pick]}", ylabel="length", ylim=(0, 1), xticks=range(10))
bins = np.linspace(0, 1, 31)
last.hist(found.max(axis=1), bins, color="C0", alpha=0.7, label="digits")
last.hist(strange, bins, color="C1", alpha=0.7, label="shuffled pixels")
last.set(xlabel="longest length", ylabel="images")
last.legend(fontsize="small", loc="upper left")

# %%
# Turning one number
# ------------------
#
# The capsule of the same image, with one of its eight numbers changed.

seen = capsule_reconstruct(params, capsule_network(params, images[test]), digits[test])
away = [((guess - images[test]) ** 2).mean() for guess in (seen, images[train].mean(axis=0))]
assert away[0] < 0.85 * away[1], away

v = capsule_network(params, images[test][pick : pick + 1])
label = digits[test][pick : pick + 1]
plain = capsule_reconstruct(params, v, label)
shifts, rows = np.linspace(-0.6, 0.6, 7), np.argsort(-np.abs(v[0, label[0]]))[:4]
wall = np.zeros((4 * 9 - 1, 7 * 9 - 1), np.float32)
changed = []
for i, number in enumerate(rows):
    for j, shift in enumerate(shifts):
        moved = v.copy()
        moved[0, label[0], number] += shift
        picture = capsule_reconstruct(params, moved, label)[0]
        wall[9 * i : 9 * i + 8, 9 * j : 9 * j + 8] = picture.reshape(8, 8)
        changed.append(np.abs(picture - plain[0]).mean())
assert max(changed) > 0.02

# alt: Four rows of seven small gray pictures of a three. From left to right within a row strokes grow fainter or
#   stronger and shift a little; it stays a three.
# caption: Reconstructions of one digit while one number of its capsule is changed by $-0.6$ to $0.6$ (columns), for
#   four of the eight numbers (rows).
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.imshow(wall, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
ax.set_axis_off()
