"""
Bidirectional RNN: to label a step one must know what follows
=============================================================

Every step of a sequence of heads and tails gets the same label: which of the two is in the majority. One direction can
only guess from what it has read so far, and does it about as well as can be; two directions know at every step. And
where sequences are padded, the second direction must begin at a sequence's own last element.
"""

# %%
# Accuracy by position
# --------------------
#
# Sequences of 15 fair coins. Both models have 16 recurrent units in all and are trained alike, on the cross-entropy of
# the label at every step. After t coins the best guess of the majority is right with a probability that is a sum of
# binomial coefficients.

from math import comb

import matplotlib.pyplot as plt
import numpy as np

from dlref.activations import sigmoid
from dlref.layers import RNN, bidirectional_rnn, bidirectional_rnn_backward, rnn, rnn_backward
from dlref.optimizers import adam, adam_state

T = 15


def coins(rng, count):
    """Tosses of +1 and -1, and whether +1 has the majority, at every step."""
    x = rng.choice([-1.0, 1.0], size=(count, T, 1))
    return x, np.repeat(x.sum(axis=1) > 0, T, axis=1).astype(float)


def learn(layer, backward, shapes, seed=0, steps=500):
    """Train one layer and a readout; return the share of right labels at each position of new sequences."""
    rng = np.random.default_rng(seed)
    cuts = np.cumsum([np.prod(shape) for shape in shapes])
    flat = 0.4 * rng.normal(size=cuts[-1])
    *weights, w = (part.reshape(shape) for part, shape in zip(np.split(flat, cuts[:-1]), shapes, strict=True))
    state = adam_state(flat)
    for step in range(steps):
        x, label = coins(rng, 64)
        y = layer(x, None, *weights).y
        d = (sigmoid(y @ w) - label) / label.size
        g = backward(RNN(d[..., None] * w, None), x, None, *weights)
        g = np.concatenate([g.w_ih.ravel(), g.w_hh.ravel(), (d[..., None] * y).sum((0, 1))])
        _, state = adam(flat, g, state, 0.01 * min(1, 2 - 2 * step / steps), out=(flat, state))
    x, label = coins(np.random.default_rng(99), 4000)
    return np.mean((layer(x, None, *weights).y @ w > 0) == label, axis=0)


def best(t):
    """Probability that the better guess after t coins is right."""
    total, rest = 0, T - t
    for heads in range(t + 1):
        ahead = sum(comb(rest, k) for k in range(rest + 1) if 2 * (heads + k) > T)
        total += comb(t, heads) * max(ahead, 2**rest - ahead)
    return total / 2**T


one = learn(rnn, rnn_backward, [(16, 1), (16, 16), (16,)])
two = learn(bidirectional_rnn, bidirectional_rnn_backward, [(2, 8, 1), (2, 8, 8), (16,)])
limit = np.array([best(t) for t in range(1, T + 1)])
assert np.all(one < limit + 0.025), "nothing read so far says more"
assert np.all(one > limit - 0.06) and two.min() > 0.95 > one[:12].max()

# alt: Share of right labels by position, 1 to 15. For one direction it rises from 0.6 at the first coin to nearly 1 at
#   the last, along a dashed line, the best that the past allows. For two directions it is near 1 at all positions.
# caption: Which side has the majority among 15 coins, said at every coin: share of right answers on 4,000 new
#   sequences. The dashed line is the best possible answer from the coins up to there.
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
position = np.arange(1, T + 1)
ax.plot(position, two, "C1s-", markersize=4, label="two directions, 8 units each")
ax.plot(position, one, "C0o-", markersize=4, label="one direction, 16 units")
ax.plot(position, limit, "C2--", label="the best from the past alone")
ax.set(xlabel="position", ylabel="share of right labels", ylim=(0.5, 1.02), xticks=position[::2])
ax.legend(loc="lower right")

# %%
# Padding
# -------
#
# One sequence of five steps, padded with zeros to more and more. Read with its length it has the same states always.
# Read with the padding, the second direction has taken steps of its own before it comes to the last element: a bias is
# enough to move its state.

rng = np.random.default_rng(2)
w_ih, w_hh = rng.normal(size=(2, 12, 3)), 1.1 * rng.normal(size=(2, 12, 12)) / np.sqrt(12)
b, x = 0.5 * rng.normal(size=(2, 12)), 0.5 * rng.normal(size=(1, 5, 3))
alone = bidirectional_rnn(x, None, w_ih, w_hh, b).y
steps = np.arange(0, 21)
off = np.empty((len(steps), 2, 5))
for k in steps:
    padded = np.concatenate([x, np.zeros((1, k, 3))], axis=1)
    y = bidirectional_rnn(padded, None, w_ih, w_hh, b).y[:, :5]
    off[k] = np.linalg.norm((y - alone).reshape(5, 2, 12), axis=2).T / np.linalg.norm(alone.reshape(5, 2, 12), axis=2).T
    with_length = bidirectional_rnn(padded, None, w_ih, w_hh, b, lengths=[5]).y[:, :5]
    np.testing.assert_allclose(with_length, alone, rtol=0, atol=1e-14)
assert off[:, 0].max() < 1e-14 and off[1:, 1, 4].min() > 0.1, "the first direction ends before the padding begins"

# alt: Relative difference of the second direction's states against the number of padding steps. At the last element of
#   the sequence it jumps to a quarter with one step of padding and then moves between a fifth and 0.6. At the first
#   element it stays below 0.15. A dashed line at zero stands for reading with the length.
# caption: How far padding moves the states of the second direction, at the last and at the first element of a
#   sequence of five. With its length given (dashed), not at all.
fig, ax = plt.subplots(figsize=(6, 3.0), layout="constrained")
ax.plot(steps, off[:, 1, 4], "C0o-", markersize=3, label="last element")
ax.plot(steps, off[:, 1, 0], "C1s-", markersize=3, label="first element")
ax.plot(steps, np.zeros(len(steps)), "C2--", label="with its length")
ax.set(xlabel="steps of padding", ylabel="relative difference", xticks=steps[::4], ylim=(-0.03, 0.74))
ax.legend(loc="upper center", ncols=3)
