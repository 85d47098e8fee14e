"""
Recurrent neural network: a state that reads
============================================

A few seconds of training teach a layer of 128 units to predict the next character of a text better than the character
before allows. What it knows of the past is in its state: the same letters lead to the same place from wherever they
are reached, and some of what was read a few steps ago can still be read from it.
"""

# %%
# A character model
# -----------------
#
# The text is CPython's own help (PSF license; it differs a little from version to version). The first nine tenths are
# cut into 32 streams, read side by side in pieces of 25 characters. The state goes on from piece to piece, the gradient
# does not: truncated backpropagation through time. The last tenth is for judging. The 63 most common characters keep
# their identity, all others are one.

from pydoc_data.topics import topics

import matplotlib.pyplot as plt
import numpy as np

from dlref.layers import RNN, rnn, rnn_backward
from dlref.losses import cross_entropy, cross_entropy_backward
from dlref.optimizers import adam, adam_state, clip_by_global_norm

text = " ".join(" ".join(topics[key].split()) for key in sorted(topics)).encode("ascii", "replace")
counts = np.bincount(np.frombuffer(text, np.uint8), minlength=256)
alphabet = np.append(np.argsort(-counts, kind="stable")[:63], ord("~")).astype(np.uint8)
place = np.full(256, 63)
place[alphabet[:63]] = np.arange(63)
codes, letters, K, H = place[np.frombuffer(text, np.uint8)], alphabet.tobytes().decode(), 64, 128
one_hot = np.eye(K, dtype=np.float32)
train, test = codes[: 9 * len(codes) // 10], codes[9 * len(codes) // 10 :]
streams = train[: len(train) // 32 * 32].reshape(32, -1)
held_out = test[: len(test) // 64 * 64].reshape(64, -1)

rng = np.random.default_rng(0)
shapes = [(H, K), (H, H), (H,), (K, H), (K,)]
cuts = np.cumsum([np.prod(shape) for shape in shapes])
flat = np.zeros(cuts[-1], np.float32)
w_ih, w_hh, b, w, bias = (part.reshape(s) for part, s in zip(np.split(flat, cuts[:-1]), shapes, strict=True))
w_ih[...] = 0.3 * rng.normal(size=w_ih.shape)
w_hh[...] = np.linalg.qr(rng.normal(size=w_hh.shape))[0]
w[...] = 0.5 * rng.normal(size=w.shape) / np.sqrt(H)


def bits(text_in_rows):
    """States along held-out text, and bits per character of the predictions made from them."""
    y = rnn(one_hot[text_in_rows[:, :-1]], None, w_ih, w_hh, b).y
    nats = cross_entropy(y.reshape(-1, H) @ w.T + bias, text_in_rows[:, 1:].ravel())
    return y, float(nats) / np.log(2)


def sample(count, start, rng):
    """Let the model write: every character is drawn from its prediction and read in again."""
    h, written = None, start
    for _ in range(count):
        h = rnn(one_hot[[[letters.index(c) for c in (written if h is None else written[-1])]]], h, w_ih, w_hh, b).h
        scores = (h @ w.T + bias)[0].astype(np.float64)
        written += letters[np.argmax(scores + rng.gumbel(size=K))]
    return written


length, steps = 25, 500
state, h = adam_state(flat), np.zeros((32, H), np.float32)
losses, samples, untrained = [], {}, bits(held_out)
for step in range(steps + 1):
    if step in (0, 60, 500):
        samples[step] = sample(56, "The ", np.random.default_rng(2))
    at = step * length % (streams.shape[1] - length)
    x, target = one_hot[streams[:, at : at + length]], streams[:, at + 1 : at + length + 1].ravel()
    y, last = rnn(x, h, w_ih, w_hh, b)
    scores = y.reshape(-1, H) @ w.T + bias
    losses.append(float(cross_entropy(scores, target)) / np.log(2))
    d = cross_entropy_backward(np.float32(1), scores, target)
    g = rnn_backward(RNN((d @ w).reshape(y.shape), None), x, h, w_ih, w_hh, b)
    g = [g.w_ih, g.w_hh, g.b_ih, d.T @ y.reshape(-1, H), d.sum(0)]
    g = np.concatenate([part.ravel() for part in clip_by_global_norm(g, 1.0).gradients])
    rate = 8e-3 * min(1, step / 40, 2 - 2 * step / (steps + 1))
    _, state = adam(flat, g, state, rate, out=(flat, state))
    h = last
states, reached = bits(held_out)

# What counting can do: how often a character occurs, and how often after the one before.
pairs = np.full((K, K), 0.1)
np.add.at(pairs, (train[:-1], train[1:]), 1)
single = pairs.sum(0) / pairs.sum()
frequency = -np.log2(single[held_out[:, 1:]]).mean()
after_one = -np.log2((pairs / pairs.sum(1, keepdims=True))[held_out[:, :-1], held_out[:, 1:]]).mean()
assert reached < after_one - 0.6 and after_one < frequency - 1 and frequency < untrained[1] - 0.8

# alt: Loss of a character model in bits per character over 500 steps, falling from 6 to about 2.4. Horizontal lines
#   mark 4.9 bits for the frequencies of characters, 3.4 bits for pairs, and 2.5 bits reached on held-out text. Below
#   are three samples: at the start random characters, after 60 steps letters and spaces in plausible lengths, after 500
#   steps mostly words or what looks like words.
# caption: Loss of each piece of text while a simple recurrent layer with 128 units learns to predict the next
#   character, and what it writes after "The " before training, after 60 and after 500 steps. The lines are measured on
#   held-out text.
fig, (ax, below) = plt.subplots(2, 1, figsize=(7.4, 4.4), height_ratios=(3, 1), layout="constrained")
ax.plot(losses, "C0-", linewidth=1)
lines = (frequency, "C1--", "frequencies"), (after_one, "C2-.", "pairs"), (reached, "C3:", "this model, held out")
for level, style, words in lines:
    ax.axhline(level, color=style[:2], linestyle=style[2:])
    where = (500, 1.6) if level == reached else (500, level + 0.1)
    ax.annotate(f"{words}: {level:.2f}", where, ha="right", color=style[:2])
ax.set(xlabel="step", ylabel="bits per character", ylim=(1.4, 6.6), xlim=(-5, 505))
for row, (step, words) in enumerate(samples.items()):
    below.text(0, 0.8 - 0.36 * row, f"{step:>3}  {words}", family="monospace", fontsize=8, color="C0")
below.set_axis_off()

# %%
# What the state holds
# --------------------
#
# All states of the held-out text are drawn on their first two principal components. Every place where the text has
# ``" the "`` is followed from the character before it. The paths come from everywhere and end together.
#
# How much of the past can be read from a state? A linear readout is fitted to name the character that was read k steps
# before, on one half of the held-out streams, and tested on the other half.

flat_states = states.reshape(-1, H)
center = flat_states.mean(0)
_, _, axes = np.linalg.svd(flat_states[::20] - center, full_matrices=False)
word = np.array([letters.index(c) for c in " the "])
windows = np.lib.stride_tricks.sliding_window_view(held_out[:, :-1], len(word), axis=1)
rows, columns = np.nonzero((windows == word).all(axis=2))
keep = columns > 0
paths = np.stack([states[rows[keep], columns[keep] + k] for k in range(-1, len(word))], axis=1)
spread = ((paths - paths.mean(0)) ** 2).sum(2).mean(0) / ((flat_states - center) ** 2).sum(1).mean()
assert len(paths) > 100 and spread[0] > 0.5 > 0.25 > spread[-1], spread


def readable(states, lag):
    """Share of characters ``lag`` steps back that a linear readout of the state names."""
    x, past = states[:, 12:].reshape(-1, H)[::3], held_out[:, 12 - lag : -1 - lag].reshape(-1)[::3]
    half = len(x) // 2
    x = np.concatenate([x - x[:half].mean(0), np.ones((len(x), 1), x.dtype)], axis=1)
    gram = x[:half].T @ x[:half] + np.eye(H + 1, dtype=x.dtype)
    named = np.argmax(x[half:] @ np.linalg.solve(gram, x[:half].T @ one_hot[past[:half]]), axis=1)
    return np.mean(named == past[half:])


lags = np.arange(0, 13, 2)
after = np.array([readable(states, lag) for lag in lags])
majority = np.mean(held_out == np.bincount(train).argmax())
assert after[0] > 0.95 and after[1] > 0.6 and after[1] > after[2] > after[3] > majority, (after, majority)

# alt: Left, a plane with 25 thin paths of six points each. They begin scattered over the whole plane and run through
#   the same small regions, marked with the letters of the word the and of the space. Right, a falling curve: the
#   character just read is named nearly always, the one two steps back most of the time, the one six steps back seldom,
#   and from ten steps on it is near the dashed line for the most common character.
# caption: Left, states on their way through " the " from 25 places of the text, on the first two
#   principal components; circles are the characters before, letters stand at the mean state after each character.
#   Right, how often a linear readout of the state names the character read so many steps before.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.5), width_ratios=(3, 2), layout="constrained")
plane = (paths - center) @ axes[:2].T
some = plane[:: len(plane) // 25][:25]
for path in some:
    left.plot(*path.T, "C0-", linewidth=0.5, alpha=0.5)
left.plot(*some[:, 0].T, "C0o", markersize=3)
means, shifts = plane.mean(0)[1:], ((-4, 12), (6, 6), (8, -12), (-12, 8), (0, 0))
for name, where, shift in zip(("space", "t", "h", "e", ""), means, shifts, strict=True):
    left.plot(*where, "C1s", markersize=5)
    left.annotate(name, where, shift, textcoords="offset points", color="C1", weight="bold")
left.set(xlabel="first component", ylabel="second component")
right.plot(lags, after, "C0o-")
right.axhline(majority, color="C4", linestyle="--")
right.annotate(
    "the most common character", (12, majority), (0, -12), textcoords="offset points", ha="right", color="C4"
)
right.set(xlabel="steps back", ylabel="named by a linear readout", ylim=(0, 1.03), xticks=lags)
