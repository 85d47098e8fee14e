"""
Transfer learning: a related source saves labels, an unrelated one costs accuracy
=================================================================================

Digits are placed anywhere on a larger field, so that a linear classifier of pixels has a hard time. A network that has
learned to read the digits 0 to 4 there gives features from which 5 to 9 can be learned with a few labels. Features of a
network that was trained to tell bright from dark images are worse than no transfer at all.
"""

# %%
# Another task
# ------------
#
# Both sources see the same images of the digits 0 to 4 and train the same network with 64 hidden units; only their
# labels differ. The hidden layer is frozen, and a new head is trained on a few labeled images of 5 to 9. Three times
# sources are trained, each time on another half of the data, and three sets of labeled images are drawn.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.activations import relu
from dlref.data import affine_matrix, affine_warp, probe_scores, split_indices
from dlref.losses import cross_entropy
from dlref.optimizers import adam, adam_state
from dlref.training import fit, transfer_gain, transfer_head

rng = np.random.default_rng(0)
digits = load_digits()
images, target = digits.images / 16, digits.target


def placed(images):
    """Put each image of 8 x 8 pixels somewhere on a field of 12 x 12."""
    field = np.zeros((len(images), 12, 12))
    for canvas, image, (i, j) in zip(field, images, rng.integers(0, 5, (len(images), 2)), strict=True):
        canvas[i : i + 8, j : j + 8] = image
    return field.reshape(len(images), 144)


def hidden(params, x):
    return relu(x @ params[0] + params[1])


def scores(params, x):
    return hidden(params, x) @ params[2] + params[3]


def trained(x, labels, epochs):
    def loss(params, x, y):
        return cross_entropy(scores(params, x), y)

    start = [rng.normal(size=(144, 64)) / np.sqrt(72), np.zeros(64), rng.normal(size=(64, 10)) / 6, np.zeros(10)]
    return fit(loss, start, (x, labels), adam, adam_state, lr=0.005, epochs=epochs, batch_size=100, rng=rng).params


def accuracies(x, y, ways, labels, draws):
    """Return test accuracies: for each way, number of labels of each class, and draw of the labeled examples."""
    found = np.zeros((len(ways), len(labels), draws))
    for draw in range(draws):
        order = rng.permutation(len(y))
        per_class = [order[y[order] == k] for k in range(y.max() + 1)]
        test = np.concatenate([rows[labels[-1] :] for rows in per_class])
        for i, count in enumerate(labels):
            known = np.concatenate([rows[:count] for rows in per_class])
            for w, (features, w0, b0) in enumerate(ways.values()):
                z = features(x)
                head = transfer_head(z[known], y[known], w0, b0, alpha=1e-2, tolerance=1e-3)
                found[w, i, draw] = np.mean(probe_scores(z[test], head).argmax(axis=1) == y[test])
    return found


def other_task(labels):
    """Return the accuracies on 5 to 9 from pixels and from the features of two sources."""
    first, second = split_indices(len(images), (0.5, 0.5), rng)
    low = np.tile(first[target[first] < 5], 8)
    x = placed(images[low])
    related = trained(x, target[low], 15)
    unrelated = trained(x, (x.sum(axis=1) > np.median(x.sum(axis=1))).astype(int), 15)
    high = second[target[second] >= 5]
    ways = {
        "no transfer: pixels": (lambda x: x, np.zeros((5, 144)), np.zeros(5)),
        "source: digits 0 to 4": (lambda x: hidden(related, x), np.zeros((5, 64)), np.zeros(5)),
        "source: bright or dark": (lambda x: hidden(unrelated, x), np.zeros((5, 64)), np.zeros(5)),
    }
    return list(ways), accuracies(placed(images[high]), target[high] - 5, ways, labels, draws=3)


labels = (2, 5, 10, 20, 40)
repeated = [other_task(labels) for _ in range(3)]
ways, found = repeated[0][0], np.concatenate([values for _, values in repeated], axis=2)
mean = found.mean(axis=2)
# With 10, 20 and 40 labels of each class.
of_pixels, of_related, of_unrelated = found[:, 2:].mean(axis=1)
good, bad = transfer_gain(of_related, of_pixels), transfer_gain(of_unrelated, of_pixels)
assert good.mean > 0.08 and good.negative == 0 and bad.mean < -0.005
print(mean.round(3))
print(f"gain with 10 to 40 labels: {good.mean:+.3f} (error {good.error:.3f}) and {bad.mean:+.3f} ({bad.error:.3f})")

# alt: Accuracy on the digits 5 to 9 against labels per class. The line of the source that read 0 to 4 lies above that
#   of the pixels and the distance grows; the line of the source that told bright from dark ends below it.
# caption: Test accuracy on the digits 5 to 9, mean of nine draws. The same images were shown to both sources; what they
#   were asked decides whether their features help.
fig, ax = plt.subplots(figsize=(6.2, 3.6), layout="constrained")
for (name, line), style in zip(zip(ways, mean, strict=True), ("C0o-", "C1s--", "C2^:"), strict=True):
    ax.semilogx(labels, line, style, label=name)
ax.set_xticks(labels, labels)
ax.minorticks_off()
ax.set(xlabel="labeled examples of each class", ylabel="test accuracy", ylim=(0.15, 0.75))
ax.legend(loc="upper left")

# %%
# Another domain
# --------------
#
# Now the classes stay and the images change: the source has upright digits, the target digits turned by 30 degrees. The
# source's head can be kept as well: held near its weights, it begins about where the source's network is. With more
# labels it no longer matters where the head began.

first, second = split_indices(len(images), (0.5, 0.5), rng)
every = np.tile(first, 4)
upright = trained(placed(images[every]), target[every], 15)
turned = affine_warp(images[second][:, None], affine_matrix(8, 8, angle=30))[:, 0]
x, y = placed(turned), target[second]
unchanged = np.mean(scores(upright, x).argmax(axis=1) == y)
labels = (1, 2, 5, 10, 20)
ways = {
    "no transfer: pixels": (lambda x: x, np.zeros((10, 144)), np.zeros(10)),
    "features, new head": (lambda x: hidden(upright, x), np.zeros((10, 64)), np.zeros(10)),
    "features and head": (lambda x: hidden(upright, x), upright[2].T, upright[3]),
}
mean = accuracies(x, y, ways, labels, draws=5).mean(axis=2)
print(f"source's network as it is: {unchanged:.3f}")
print(mean.round(3))
assert (mean[2, :3] > mean[1, :3]).all() and (mean[1, 1:] > mean[0, 1:]).all() and mean[2, -1] > unchanged + 0.1

# alt: Accuracy on turned digits against labels per class. The line of features and head starts near the dotted line of
#   the source's network as it is, and rises; features with a new head start lower and meet it; pixels stay low.
# caption: Test accuracy on digits turned by 30 degrees, mean of five draws. Dotted: the source's network as it is.
fig, ax = plt.subplots(figsize=(6.2, 3.6), layout="constrained")
for (name, line), style in zip(zip(ways, mean, strict=True), ("C0o-", "C1s--", "C2^-."), strict=True):
    ax.semilogx(labels, line, style, label=name)
ax.axhline(unchanged, color="C3", linestyle=":", label="source's network as it is")
ax.set_xticks(labels, labels)
ax.minorticks_off()
ax.set(xlabel="labeled examples of each class", ylabel="test accuracy", ylim=(0, 0.9))
ax.legend(loc="upper left", ncols=2)
