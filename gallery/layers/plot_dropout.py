"""
Dropout: a network that cannot rely on one unit
===============================================

A network with far more weights than data learns even wrong labels by heart, and pays for it on other digits. With half
of its hidden units dropped at random in every step it cannot. Left on at prediction, the masks give many answers to
one question: they agree where there were data and part where there were none.
"""

# %%
# By heart
# --------
#
# 200 digits, 40 of them with a label drawn at random, a network of 26,122 parameters, Adam. The only difference is the
# mask on both hidden layers. What it gains depends on the draw of digits, labels and weights, so four are averaged.
# Over fourteen draws the loss on other digits ended between 0.47 and 0.95 without dropout and between 0.38 and 0.61
# with it. With all labels right there was no difference worth drawing.

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.activations import relu
from dlref.layers import dense, dropout, dropout_mask, mc_dropout
from dlref.losses import cross_entropy, mean_squared_error
from dlref.optimizers import adam, adam_state
from dlref.training import fit

digits, labels = load_digits(return_X_y=True)
digits = (digits / 16).astype(np.float32)


def parameters(rng, *sizes):
    """Weights for rectifiers, biases of zero."""
    layers = [(rng.normal(size=(o, i)) * np.sqrt(2 / i), np.zeros(o)) for i, o in pairwise(sizes)]
    return [(w.astype(np.float32), b.astype(np.float32)) for w, b in layers]


def network(params, x, rate=0.0, rng=None):
    """Dense layers with rectifiers; with a rate, masks on the hidden ones."""
    *hidden, last = params
    for w, b in hidden:
        x = relu(dense(x, w, b))
        if rate:
            x = dropout(x, mask=dropout_mask(x.shape, rate, rng), rate=rate)
    return dense(x, *last)


def learn(rate, seed, epochs=50):
    """Return the losses on the training digits and on others, without masks, once an epoch; and the accuracy."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(digits))
    train, held_out = order[:200], order[200:700]
    noisy = labels.copy()
    noisy[rng.choice(train, 40, replace=False)] = rng.integers(0, 10, 40)

    def on(rows, targets):
        return lambda params: float(cross_entropy(network(params, digits[rows]), targets[rows]))

    run = fit(
        lambda params, x, y: cross_entropy(network(params, x, rate, rng), y),
        parameters(rng, 64, 128, 128, 10),
        (digits[train], noisy[train]),
        adam,
        adam_state,
        lr=0.003,
        epochs=epochs,
        batch_size=50,
        rng=rng,
        metrics={"train": on(train, noisy), "other": on(held_out, labels)},
    )
    accuracy = (network(run.params, digits[held_out]).argmax(axis=1) == labels[held_out]).mean()
    return run.history.metrics["train"], run.history.metrics["other"], accuracy


runs = {}
for rate in (0.0, 0.5):
    by_heart, other, accuracy = zip(*(learn(rate, seed) for seed in range(4)), strict=True)
    runs[rate] = np.array(by_heart), np.array(other), np.mean(accuracy)
(plain_train, plain_other, plain_accuracy), (train, other, accuracy) = runs.values()
assert sum(w.size + b.size for w, b in parameters(np.random.default_rng(0), 64, 128, 128, 10)) == 26122
assert plain_train[:, -1].max() < 0.1 < 0.2 < train[:, -1].min(), "only without dropout they are known by heart"
assert other[:, -1].mean() < plain_other[:, -1].mean() - 0.1 and accuracy > plain_accuracy + 0.02

# alt: Loss over 50 epochs. Without dropout the training loss falls to nearly zero while the loss on other digits turns
#   and climbs. With dropout the training loss stays well above zero and the other loss below that of the plain network.
# caption: Cross-entropy of two equal networks on 200 digits, 40 of them labeled at random, and on 500 other digits with
#   their true labels: means of four draws, and for the other digits each of them as a thin line. Both losses are
#   measured without masks.
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for color, (rate, (by_heart, other, _)) in zip(("C0", "C1"), runs.items(), strict=True):
    name = f"rate {rate:g}" if rate else "no dropout"
    ax.plot(range(1, 51), by_heart.mean(axis=0), color + "--", label=f"{name}, training")
    ax.plot(range(1, 51), other.mean(axis=0), color + "-", label=f"{name}, other digits")
    ax.plot(range(1, 51), other.T, color + "-", linewidth=0.7, alpha=0.4)
ax.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
ax.legend()
print(f"Other digits right: {plain_accuracy:.0%} without dropout, {accuracy:.0%} with it.")

# %%
# The masks stay on
# -----------------
#
# A regression on one input, with a gap in the data. At prediction the network runs 200 times with new masks.

rng = np.random.default_rng(1)
x = np.concatenate([rng.uniform(-2, -0.5, 40), rng.uniform(0.8, 2, 40)])[:, None].astype(np.float32)
y = (np.sin(2 * x) + 0.1 * rng.normal(size=x.shape)).astype(np.float32)
rate = 0.1
fitted = fit(
    lambda params, x, y: mean_squared_error(network(params, x, rate, rng), y),
    parameters(rng, 1, 64, 64, 1),
    (x, y),
    adam,
    adam_state,
    lr=0.005,
    epochs=300,
    batch_size=80,
    rng=rng,
).params

t = np.linspace(-4, 4, 161, dtype=np.float32)[:, None]
mean, std = (v[:, 0] for v in mc_dropout(lambda rng: network(fitted, t, rate, rng), np.random.default_rng(2), 200))
near = (abs(t[:, 0] + 1.25) < 0.75) | (abs(t[:, 0] - 1.4) < 0.6)
far = abs(t[:, 0]) > 3
assert std[far].min() > 1.5 * std[near].mean(), (std[far].min(), std[near].mean())

# alt: Eighty points along a sine wave, with a gap around zero. The mean of the runs follows the points. The band around
#   it is narrow at the points and widens steadily beyond them on both sides.
# caption: Mean and two standard deviations of 200 runs with new masks, dropout rate 0.1. The spread grows outside the
#   data; it is a property of this network and rate, not a calibrated error.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.fill_between(t[:, 0], mean - 2 * std, mean + 2 * std, color="C0", alpha=0.25, label="two deviations")
ax.plot(t, mean, "C0", label="mean of 200 runs")
ax.plot(x, y, "C1.", markersize=4, label="data")
ax.plot(t, np.sin(2 * t), "C2--", linewidth=1, label="$\\sin 2x$")
ax.set(xlabel="$x$", ylim=(-4, 4))
ax.legend(ncols=2, loc="upper center")
