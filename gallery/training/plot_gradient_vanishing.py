"""
Gradient vanishing: the first layers of a deep network hear nothing
===================================================================

Twelve layers, the same weights, three activations. Behind logistic units less than a ten-millionth of the gradient
arrives at the input; behind tanh and ReLU it arrives. A layer without a gradient does not move, and a
network whose first layers do not move learns from random features, or not at all.
"""

# %%
# Gradient by layer
# -----------------
#
# Twelve dense layers of 64 units read the 1,797 digits. The weights are orthogonal, times the square root of two for
# ReLU, which passes half of its inputs. The gradient is that of the cross-entropy at the start, with respect to the
# states between the layers.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.activations import log_softmax, relu, sigmoid, softmax, tanh
from dlref.autodiff import value_and_gradient
from dlref.training import gradient_bound, gradient_flow

digits = load_digits()
order = np.random.default_rng(0).permutation(1797)
images, labels = (digits.data[order] - 8) / 8, np.eye(10)[digits.target[order]]
train, test = slice(0, 1400), slice(1400, None)
depth, width = 12, 64
kinds = {"logistic": (sigmoid, 1.0, 0.25), "tanh": (tanh, 1.0, 1.0), "ReLU": (relu, 2**0.5, 1.0)}


def start(gain, seed=0):
    """Orthogonal weights of twelve layers, and a readout."""
    rng = np.random.default_rng(seed)
    weights = [gain * np.linalg.qr(rng.normal(size=(width, width)))[0] for _ in range(depth)]
    return weights, rng.normal(size=(10, width)) / np.sqrt(width)


def flow(kind, count=200):
    """Norms of the gradient at the input and behind every layer, and what each layer's weights get."""
    phi, gain, _ = kinds[kind]
    weights, last = start(gain)
    steps = [lambda h, w: phi(h @ w.T)] * depth
    x, y = images[:count], labels[:count]
    top = x
    for w in weights:
        top = phi(top @ w.T)
    dy = (softmax(top @ last.T) - y) @ last / count
    return gradient_flow(steps, x, dy, weights)


flows = {kind: flow(kind) for kind in kinds}
bound = gradient_bound(start(1.0)[0], 0.25) * flows["logistic"].states[-1]
share = {kind: f.states[0] / f.states[-1] for kind, f in flows.items()}
assert share["logistic"] < 1e-6 and np.all(flows["logistic"].states <= bound)
assert share["tanh"] > 0.05 and 0.2 < share["ReLU"] < 5, share

# alt: Norm of the gradient on a logarithmic axis against the layer, 0 to 12, from the input to the output. The line of
#   the logistic function falls from the output to the input by more than seven orders of magnitude, just below its
#   dotted bound. Those of tanh and ReLU stay within one order of magnitude.
# caption: Norm of the gradient with respect to the state behind each layer at the start of training, twelve dense
#   layers with orthogonal weights (0 is the input). The dotted line is the bound for the logistic function, a quarter a
#   layer.
styles = {"logistic": "C0o-", "tanh": "C1s--", "ReLU": "C2^-."}
fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for kind, f in flows.items():
    ax.semilogy(f.states, styles[kind], markersize=4, label=kind)
ax.semilogy(bound, "C0:", label=r"bound, $4^{-k}$")
ax.set(xlabel="behind layer", ylabel="norm of the gradient", xticks=range(depth + 1))
ax.legend(loc="lower right")
ax.grid(True)

# %%
# What the first layer learns
# ---------------------------
#
# The same networks, 120 steps of gradient descent on batches of 100: how far the weights of each layer have moved from
# their start, in relation to their own norm, and the accuracy on digits that were not used.


def learn(kind, lr=0.05, steps=120):
    """Train by plain gradient descent; return how far each layer moved, and the accuracy on new digits."""
    phi, gain, _ = kinds[kind]
    rng, params = np.random.default_rng(1), start(gain)
    first = [w.copy() for w in params[0]]

    def scores(params, x):
        for w in params[0]:
            x = phi(x @ w.T)
        return x @ params[1].T

    def loss(params, x, y):
        return -np.sum(log_softmax(scores(params, x)) * y) / len(x)

    for _ in range(steps):
        batch = rng.choice(1400, 100, replace=False)
        _, g = value_and_gradient(loss, params, images[train][batch], labels[train][batch])
        for w, d in zip([*params[0], params[1]], [*g[0], g[1]], strict=True):
            w -= lr * d
    right = np.mean(scores(params, images[test]).argmax(1) == digits.target[order][test])
    return [np.linalg.norm(w - v) / np.linalg.norm(v) for w, v in zip(params[0], first, strict=True)], right


runs = {kind: learn(kind) for kind in kinds}
right = {kind: accuracy for kind, (_, accuracy) in runs.items()}
assert right["logistic"] < 0.2 and min(right["tanh"], right["ReLU"]) > 0.4, right
assert runs["logistic"][0][0] < 1e-6 and min(runs["tanh"][0][0], runs["ReLU"][0][0]) > 0.03

# alt: Relative movement of the weights by layer, 1 to 12, on a logarithmic axis. Logistic units: from 2e-8 in the first
#   layer in a straight line up to about 0.01 in the last. Tanh and ReLU: about a tenth in all layers.
# caption: How far 120 steps of gradient descent at the same rate have moved the weights of each layer, in relation to
#   their norm at the start. In brackets the accuracy on 397 new digits; guessing reaches 0.10.
fig, ax = plt.subplots(figsize=(6, 3.3), layout="constrained")
for kind, (moved, accuracy) in runs.items():
    ax.semilogy(np.arange(1, depth + 1), moved, styles[kind], markersize=4, label=f"{kind} ({accuracy:.2f})")
ax.set(xlabel="layer", ylabel="relative movement", xticks=range(1, depth + 1))
ax.legend(loc="lower right")
ax.grid(True)
