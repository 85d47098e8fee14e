"""
Weight sharing: one weight, the sum of its uses
===============================================

A weight that is used in several places gets the gradient of every use, added up. Over time the uses are of very
different size. An autoencoder whose decoder is its encoder transposed has half the weights and reconstructs as well.
"""

# %%
# The uses of one matrix
# ----------------------
#
# A recurrent layer over twelve steps, with a loss on the last state alone. What each step adds, in the direction of
# the sum, for a small and a larger matrix.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.activations import tanh
from dlref.layers import dense, tied_autoencoder, unroll_backward, unroll_uses
from dlref.optimizers import adam, adam_state
from dlref.training import fit

rng = np.random.default_rng(0)
steps, width = 12, 16
x, h0 = 0.3 * rng.normal(size=(32, steps, width)), np.zeros((32, width))
rotation = np.linalg.qr(rng.normal(size=(width, width)))[0]
dy = np.zeros_like(x)
dy[:, -1] = rng.normal(size=(32, width))

parts = {}
for scale in (0.6, 1.1):
    uses, total = unroll_uses(dy, x, h0, scale * rotation), unroll_backward(dy, x, h0, scale * rotation).w
    np.testing.assert_allclose(uses.sum(axis=0), total, atol=1e-12)
    parts[scale] = np.array([np.vdot(use, total) for use in uses]) / np.vdot(total, total)
    assert abs(parts[scale].sum() - 1) < 1e-12, "the shares add up to the whole"
    assert parts[scale][0] == 0, "the first step used the matrix on a state of zero"
assert parts[0.6][-3:].sum() > 0.85 > parts[1.1][-3:].sum()

# alt: Two bar charts over twelve steps. With the small matrix nearly all of the gradient comes from the last three
#   steps. With the larger one the shares are spread over all steps but the first and grow towards the last.
# caption: Share of each step in the gradient of the shared matrix, for a loss on the last state: a rotation times 0.6,
#   and times 1.1.
fig, axes = plt.subplots(1, 2, figsize=(7, 2.8), sharey=True, layout="constrained")
for ax, (scale, share) in zip(axes, parts.items(), strict=True):
    ax.bar(range(1, steps + 1), share, color="C0")
    ax.plot(range(1, steps + 1), np.cumsum(share), "C1o--", markersize=4, label="sum so far")
    ax.set(title=f"rotation times {scale}", xlabel="step", xticks=range(1, steps + 1))
    ax.grid(True, axis="y", alpha=0.4)
axes[0].set_ylabel("share of the gradient")
axes[0].legend(loc="upper left")

# %%
# Tied and free
# -------------
#
# Autoencoders with one hidden layer on the digits, trained alike on 300 of them and tested on 897 others. Three draws.

digits = (load_digits().data / 16).astype(np.float32)
digits -= digits.mean(axis=0)


def free_autoencoder(x, w, b, v, c):
    """Decode with a matrix of its own."""
    return dense(tanh(dense(x, w, b)), v, c)


def tested(model, params, few, test, seed):
    """Train with Adam and return the error on the test digits."""
    run = fit(
        lambda params, x: np.mean((model(x, *params) - x) ** 2),
        params,
        (few,),
        adam,
        adam_state,
        lr=0.01,
        batch_size=50,
        epochs=30,
        rng=np.random.default_rng(seed),
    )
    return float(np.mean((model(test, *run.params) - test) ** 2))


sizes, errors, weights = (4, 8, 16, 32), {"tied": [], "free": []}, {}
for seed in range(3):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(digits))
    few, test = digits[order[:300]], digits[order[900:]]
    for k in sizes:
        w, v = (rng.normal(0, np.sqrt(2 / (64 + k)), s).astype(np.float32) for s in ((k, 64), (64, k)))
        b, c = np.zeros(k, np.float32), np.zeros(64, np.float32)
        errors["tied"].append(tested(tied_autoencoder, (w, b, c), few, test, seed))
        errors["free"].append(tested(free_autoencoder, (w, b, v, c), few, test, seed))
        weights[k] = w.size + b.size + c.size, w.size + b.size + v.size + c.size
tied, free = (np.reshape(errors[name], (3, len(sizes))) for name in ("tied", "free"))
assert (tied / free < 1.07).all(), tied / free
assert all(few < 0.6 * many for few, many in weights.values())
assert (np.diff(tied, axis=1) < 0).all()

# alt: Test error against the number of weights, both axes logarithmic. Two falling lines with four points each, for
#   codes of 4 to 32 numbers. At every code the tied and the free point have nearly the same height, the tied one at
#   about half the weights.
# caption: Mean squared error on test digits by the number of weights and biases, for codes of 4, 8, 16 and 32 numbers.
#   Points are means of three draws; dotted lines join equal codes.
fig, ax = plt.subplots(figsize=(6, 3.3), layout="constrained")
counts = np.array([weights[k] for k in sizes]).T
for row, low, high in zip(counts.T, tied.mean(axis=0), free.mean(axis=0), strict=True):
    ax.plot(row, [low, high], "C2:")
ax.loglog(counts[0], tied.mean(axis=0), "C0o-", label="tied")
ax.loglog(counts[1], free.mean(axis=0), "C1s--", label="free")
ax.set(xlabel="weights and biases", ylabel="test error")
ax.set_xticks([300, 1000, 3000], ["300", "1,000", "3,000"])
ax.set_yticks([0.005, 0.01, 0.02, 0.04], ["0.005", "0.01", "0.02", "0.04"])
ax.minorticks_off()
ax.grid(True, alpha=0.4)
ax.legend()
