"""
Hyperparameters: where to look, and how long
============================================

Nine trials on a grid try three learning rates; nine random ones try nine. When one hyperparameter matters much more
than the other, and one does not know which, that decides. What the map of a real network looks like, and how a
tournament finds its good region for a fraction of the cost, is measured on handwritten digits.
"""

# %%
# Grid and random search
# ----------------------
#
# The score depends on the first hyperparameter through a narrow peak, and hardly on the second. Over 200 problems with
# the peak at another place, how good is the best of n trials?

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.activations import log_softmax, tanh
from dlref.optimizers import sgd, sgd_state
from dlref.training import Fold, fit, grid, log_uniform, random_candidates, search, successive_halving

space = {"important": lambda u: u, "other": lambda u: u}
fold = [Fold(np.array([0]), np.array([1]))]


def best_of(candidates, peak):
    """Search a made-up score: a peak of width 0.05 in one direction, a gentle slope in the other."""

    def score(c, train, validation):
        return np.exp(-(((c["important"] - peak) / 0.05) ** 2)) + 0.05 * c["other"]

    return search(score, candidates, fold).score


sides = (2, 3, 4, 5, 6)
found = {"grid": [], "random": []}
for side in sides:
    ticks = (np.arange(side) + 0.5) / side
    lattice = grid({"important": ticks, "other": ticks})
    rng = np.random.default_rng(side)
    peaks = rng.random(200)
    found["grid"].append(np.mean([best_of(lattice, peak) for peak in peaks]))
    found["random"].append(np.mean([best_of(random_candidates(space, side**2, rng), peak) for peak in peaks]))
assert all(r > g + 0.05 for r, g in zip(found["random"], found["grid"], strict=True))

# alt: Three panels. Left, nine points on a three by three grid in a square under a curve with a narrow peak: the
#   points share three places along the horizontal axis, and miss the peak. Middle, nine random points at nine places,
#   one under the peak. Right, mean best score against the number of trials, 4 to 36: random search is above the grid
#   throughout and ends near 0.9, the grid below 0.6.
# caption: Nine trials on a grid and at random, with the score of the important hyperparameter above them; ticks mark
#   the values of it that are tried. Right, the best score of n trials, mean of 200 problems with the peak elsewhere.
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(8, 3.1), layout="constrained", width_ratios=(3, 3, 4))
u, peak = np.linspace(0, 1, 200), 0.36
ticks = (np.arange(3) + 0.5) / 3
examples = grid({"important": ticks, "other": ticks}), random_candidates(space, 9, np.random.default_rng(12))
for ax, candidates, style, title in zip((left, middle), examples, ("C0o", "C1s"), ("grid", "random"), strict=True):
    points = np.array([[c["important"], c["other"]] for c in candidates])
    ax.plot(*points.T, style)
    ax.plot(u, 1.1 + 0.4 * np.exp(-(((u - peak) / 0.05) ** 2)), "C2-")
    ax.plot(points[:, 0], np.full(len(points), 1.07), style[:2] + "|", markersize=8)
    ax.set(title=title, xlabel="important", ylabel="other", xlim=(0, 1), ylim=(0, 1.55), yticks=(0, 0.5, 1))
trials = np.array(sides) ** 2
right.plot(trials, found["random"], "C1s--", label="random")
right.plot(trials, found["grid"], "C0o-", label="grid")
right.set(xlabel="trials", ylabel="best score", ylim=(0, 1.1))
right.legend()

# %%
# A map, and a tournament
# -----------------------
#
# A network with one hidden layer reads 600 digits; 400 others judge it. On the left, every combination of five widths
# and seven learning rates after four epochs of gradient descent. On the right, 27 random candidates from the same
# ranges: all get one epoch, the best nine three, and the best three nine.

digits = load_digits()
order = np.random.default_rng(0).permutation(1797)
images, labels = digits.data[order] / 16, np.eye(10)[digits.target[order]]
split, test = [Fold(np.arange(600), np.arange(600, 1000))], np.arange(1000, 1797)


def train(candidate, examples, epochs):
    """Return the network after so many epochs."""
    rng, width = np.random.default_rng(1), candidate["width"]
    start = 0.2 * rng.normal(size=(width, 64)), np.zeros(width), rng.normal(size=(10, width)) / np.sqrt(width)

    def scores(params, x):
        return tanh(x @ params[0].T + params[1]) @ params[2].T

    def loss(params, x, y):
        return -np.sum(log_softmax(scores(params, x)) * y) / len(x)

    data = images[examples], labels[examples]
    done = fit(loss, start, data, sgd, sgd_state, lr=candidate["lr"], epochs=epochs, batch_size=30, rng=rng)
    return lambda x: scores(done.params, x).argmax(axis=1)


def accuracy(candidate, examples, judged, epochs=4):
    with np.errstate(all="ignore"):
        return np.mean(train(candidate, examples, epochs)(images[judged]) == labels[judged].argmax(axis=1))


widths, rates = [2, 4, 8, 16, 32], [float(10.0**k) for k in np.arange(-2, 1.01, 0.5)]
table = search(accuracy, grid({"width": widths, "lr": rates}), split)
values = np.array([trial.score for trial in table.trials]).reshape(len(widths), len(rates))
assert values.max() > 0.88 and values[:, 0].max() < 0.5 and values[-1, -1] < values.max() - 0.1

drawn = {"width": widths, "lr": lambda u: float(log_uniform(u, 0.01, 10.0))}
candidates = random_candidates(drawn, 27, np.random.default_rng(2))
cup = successive_halving(accuracy, candidates, split, min_resource=1, factor=3)
spent = sum(trial.resource for trial in cup.trials)
final = accuracy(cup.best, split[0].train, test, 9)
assert spent == 81 and cup.score > values.max() - 0.03 and abs(final - cup.score) < 0.06, (cup.score, final)

# alt: Left, a map of validation accuracy for seven learning rates from 0.01 to 10 and five widths from 2 to 32: low at
#   0.01, high from 0.1 to 1 for widths of 8 and more, about 0.1 from 3.2 up. Right, accuracy of 27 candidates against
#   epochs: 27 points at one epoch, from 0.05 to 0.86; nine lines go on to three epochs and three of them to nine, where
#   the best is marked at 0.95.
# caption: Left, accuracy on validation digits by learning rate and width. Right, successive halving over 27 random
#   candidates; it spends 81 epochs where training all of them for nine would take 243.
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.3), layout="constrained")
image = left.imshow(values, origin="lower", aspect="auto", vmin=0, vmax=1, cmap="cividis")
fig.colorbar(image, ax=left)
left.set_xticks(range(len(rates)), [f"{rate:.2g}" for rate in rates])
left.set_yticks(range(len(widths)), widths)
left.set(xlabel="learning rate", ylabel="width", title="validation accuracy")
lines = {}
for trial in cup.trials:
    lines.setdefault(tuple(trial.candidate.items()), []).append((trial.resource, trial.score))
for line in lines.values():
    right.plot(*np.transpose(line), "C0o-", markersize=3, linewidth=1, alpha=0.7)
right.plot(9, cup.score, "C1s", markersize=8, label=f"winner: rate {cup.best['lr']:.2g}, width {cup.best['width']}")
right.set(xscale="log", xlabel="epochs", ylim=(0, 1.02), title="validation accuracy")
right.set_xticks([1, 3, 9], ["1", "3", "9"])
right.minorticks_off()
right.legend(loc="lower right")
