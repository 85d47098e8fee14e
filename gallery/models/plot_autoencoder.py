"""
Autoencoder: what bending gains over principal components, and what noise teaches
=================================================================================

A linear autoencoder ends at the error of principal components, whatever the code size. With a hidden layer on both
sides the code of a digit can follow a curved surface: eight numbers lose a third less. Trained on digits with half of
their pixels set to zero, the same network learns to fill them in; trained on clean digits it does not.
"""

# %%
# Code size
# ---------
#
# A quarter of the digits is kept for the test. For each code size there are three runs: principal components by
# singular values, a linear autoencoder on the centered digits, and one with 128 hidden units on both sides.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.activations import sigmoid
from dlref.models import (
    autoencoder_decode,
    autoencoder_encode,
    autoencoder_parameters,
    autoencoder_reconstruct,
    linear_autoencoder_loss,
    masking_noise,
    sparsity_penalty,
)
from dlref.optimizers import adam, adam_state
from dlref.training import fit

digits, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(digits))
test, training = np.split((digits[order] / 16).astype(np.float32), [450])
first = [int(np.argmax(labels[order[:450]] == digit)) for digit in range(10)]
mean = training.mean(axis=0)
_, _, axes = np.linalg.svd(training - mean, full_matrices=False)


def train(loss, params, data, lr, epochs=45, batch_size=128):
    """Train with Adam while the rate falls along a cosine; return the parameters."""
    steps = epochs * -(-len(data) // batch_size)
    schedule = lambda step: lr / 2 * (1 + np.cos(np.pi * step / steps))  # noqa: E731
    rng = np.random.default_rng(0)
    run = fit(loss, params, data, adam, adam_state, lr=schedule, epochs=epochs, batch_size=batch_size, rng=rng)
    return run.params


def squared_error(params, x):
    return np.mean((autoencoder_reconstruct(params, x) - x) ** 2)


def linear_error(encoder, decoder, x):
    """Return the mean over the pixels, as above, of the examples minus the training mean."""
    return linear_autoencoder_loss(encoder, decoder, x - mean) / x.shape[1]


sizes = [2, 4, 8, 16, 32]
errors = {"principal components": [], "linear autoencoder": [], "with hidden layers": []}
for size in sizes:
    rng = np.random.default_rng(1)
    start = rng.normal(0, 0.1, (size, 64)).astype(np.float32), rng.normal(0, 0.1, (64, size)).astype(np.float32)
    linear = train(lambda params, x: linear_autoencoder_loss(*params, x), start, training - mean, lr=0.02)
    deep = train(squared_error, autoencoder_parameters(rng, (64, 128, size)), training, lr=0.01)
    best = axes[:size], axes[:size].T
    errors["principal components"].append(linear_error(*best, test))
    errors["linear autoencoder"].append(linear_error(*linear, test))
    errors["with hidden layers"].append(squared_error(deep, test))
    # On the examples of the training nothing linear is better than principal components.
    ratio = linear_error(*linear, training) / linear_error(*best, training)
    assert 0.9999 < ratio < 1.05, (size, ratio)
    if size == 8:
        shown = autoencoder_reconstruct(deep, test[first])
        projected = mean + (test[first] - mean) @ axes[:8].T @ axes[:8]

pca, linear, curved = (np.array(e) for e in errors.values())
assert np.all(np.abs(linear / pca - 1) < 0.05), linear / pca
assert curved[2] < 0.75 * pca[2] and np.all(curved[:4] < 0.9 * pca[:4]), curved / pca


def strip(*rows):
    """Put rows of digits below each other, with a gap of one pixel that is left empty."""
    images = np.concatenate(rows).reshape(len(rows), -1, 8, 8)
    bordered = np.pad(np.clip(images, 0, 1), ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    return bordered.swapaxes(1, 2).reshape(9 * len(rows), -1)[:-1, :-1]


def show(ax, image, names):
    ax.imshow(image, cmap="cividis", interpolation="nearest")
    ax.set_yticks(9 * np.arange(len(names)) + 3.5, names)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


# alt: Three rows with the digits 0 to 9 in 8 by 8 pixels. First the digits of the test, second their reconstructions
#   from eight principal components, which are smeared and show ghosts beside the strokes, third those of an
#   autoencoder with hidden layers and a code of eight numbers, whose strokes are clearer.
# caption: Digits that were not trained on, and what is left of them after a code of eight numbers: projected onto eight
#   principal components, and through an autoencoder with hidden layers.
fig, ax = plt.subplots(figsize=(6.4, 2.2), layout="constrained")
show(ax, strip(test[first], projected, shown), ["digit", "PCA", "network"])

# %%
# Error against code size
# -----------------------

# alt: Mean squared error of a pixel of the test digits against code sizes 2, 4, 8, 16 and 32, both axes logarithmic.
#   Principal components and the linear autoencoder are one curve, from about 0.05 down to 0.003. The autoencoder with
#   hidden layers lies clearly below it up to size 16, lowest in proportion at size 8, and slightly above it at size 32.
# caption: Error on test digits against the size of the code. The linear autoencoder (squares) finds the error of
#   principal components (line). Hidden layers (dashed) gain most at a code of eight; at 32 the short training does not
#   reach what the singular values give exactly.
fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for (name, error), style in zip(errors.items(), ("C0-", "C1s", "C2^--"), strict=True):
    ax.loglog(sizes, error, style, label=name)
ax.set(xlabel="size of the code", ylabel="mean squared error of a pixel", xticks=sizes)
ax.set_xticks(sizes, sizes)
ax.set_xticks([], minor=True)
ax.legend()
ax.grid(True)

# %%
# Denoising
# ---------
#
# Half of the pixels of each example are set to zero, others in every step, and the network has to return the clean
# digit. Beside it: the same network, trained on clean digits alone, and the best affine map for the task, which
# has a closed form.

noise = np.random.default_rng(2)
start = autoencoder_parameters(np.random.default_rng(1), (64, 128, 32))


def denoising_error(params, x):
    return np.mean((autoencoder_reconstruct(params, masking_noise(x, 0.5, noise)) - x) ** 2)


plain, denoising = (train(loss, start, training, lr=0.01, epochs=35) for loss in (squared_error, denoising_error))
corrupted = masking_noise(test, 0.5, np.random.default_rng(3))
# Covariances with the corrupted digits: a pixel is there with probability 32/64, a pair with 32 * 31 / (64 * 63).
moments = (training.T @ training).astype(np.float64) / len(training)
there = np.where(np.eye(64, dtype=bool), 1 / 2, 32 * 31 / (64 * 63))
matrix = (moments - np.outer(mean, mean)) / 2 @ np.linalg.pinv(there * moments - np.outer(mean, mean) / 4)
results = {
    "corrupted": corrupted,
    "plain": autoencoder_reconstruct(plain, corrupted),
    "best affine": mean + (corrupted - mean / 2) @ matrix.T,
    "denoising": autoencoder_reconstruct(denoising, corrupted),
}
left = {name: np.mean((result - test) ** 2) for name, result in results.items()}
assert left["denoising"] < 0.9 * left["best affine"] and left["denoising"] < 0.5 * left["plain"], left

# alt: Five rows with the digits 0 to 9. The test digits; the same with half of their pixels dark; what a plain
#   autoencoder makes of these, spotty and dim; what the best affine map makes of them, smooth but pale;
#   and the reconstructions of the denoising autoencoder, most of which are readable digits with bright strokes.
# caption: Test digits, the same with half of their pixels set to zero, and three attempts to repair them: an
#   autoencoder trained on clean digits, the best affine map, and an autoencoder trained on corrupted ones.
fig, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
show(ax, strip(test[first], *(result[first] for result in results.values())), ["digit", *results])

# %%
# Sparse codes
# ------------
#
# With 100 units the code is larger than the digit. A penalty asks each unit for a mean activity of 0.05.

start = autoencoder_parameters(np.random.default_rng(1), (64, 100))


def sparse_error(weight):
    def loss(params, x):
        code = autoencoder_encode(params, x, sigmoid)
        return np.mean((autoencoder_decode(params, code) - x) ** 2) + weight * sparsity_penalty(code, rate=0.05)

    return loss


runs = {
    name: train(sparse_error(w), start, training, 0.02, epochs=30) for name, w in (("free", 0.0), ("sparse", 0.003))
}
codes = {name: autoencoder_encode(params, test, sigmoid) for name, params in runs.items()}
rates = {name: np.sort(code.mean(axis=0)) for name, code in codes.items()}
lost = {name: np.mean((autoencoder_decode(runs[name], code) - test) ** 2) for name, code in codes.items()}
assert rates["free"].min() < 0.01 and rates["free"].max() > 0.5 and lost["free"] < lost["sparse"] < 0.03, lost
assert rates["sparse"].min() > 0.03 and rates["sparse"].max() < 0.6 * rates["free"].max(), rates

# alt: Mean activities of 100 units in increasing order, on a logarithmic axis. Without penalty they climb from 0.002 to
#   0.66. With it they stay between 0.05 and 0.1 for most units, and reach 0.24, above a dotted line at 0.05.
# caption: Mean activity of the units of a sigmoid code on test digits, in order. Solid: reconstruction error alone;
#   dashed: with the sparsity penalty; dotted: the rate that the penalty asks for. No unit is silent, and none busy.
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for (name, rate), style in zip(rates.items(), ("C0-", "C1--"), strict=True):
    ax.semilogy(np.arange(1, 101), rate, style, label=name)
ax.axhline(0.05, color="C2", linestyle=":", label="asked for")
ax.set(xlabel="unit of the code, by activity", ylabel="mean activity on test digits")
ax.legend()
ax.grid(True)
