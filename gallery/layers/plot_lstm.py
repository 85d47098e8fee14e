"""
LSTM: what the gates do, and what they are for
==============================================

One cell with three gates is enough to know, at every character of a text, whether it stands in parentheses: the forget
gate shuts where one opens, and the input gate stays shut until it closes. And where two numbers forty steps apart must
be added, a plain recurrent layer mostly keeps only the later one; an LSTM learns the sum, from most starts.
"""

# %%
# One cell reads
# --------------
#
# The text is CPython's own help (PSF license; it differs a little from version to version). A single LSTM unit reads it
# one character at a time, from a place outside of parentheses, and says at every character whether it is inside. It is
# trained on the first nine tenths and judged on the last.

from pydoc_data.topics import topics

import matplotlib.pyplot as plt
import numpy as np

from dlref.layers import LSTM, RNN, lstm, lstm_backward, lstm_forget_bias, rnn, rnn_backward
from dlref.optimizers import adam, adam_state

text = " ".join(" ".join(topics[key].split()) for key in sorted(topics)).encode("ascii", "replace")
codes = np.frombuffer(text, np.uint8)
opening, closing = (codes == ord("(")).astype(int), (codes == ord(")")).astype(int)
inside = np.cumsum(opening - closing) > 0
alphabet, length = np.eye(128, dtype=np.float32), 60

# Windows that begin outside and have a parenthesis.
seen = np.concatenate([[0], np.cumsum(opening)])
starts = np.flatnonzero(~inside[:-length])
starts = starts[seen[starts + length] > seen[starts + 1]]
train, test = starts[starts < 0.9 * len(codes) - length], starts[starts >= 0.9 * len(codes)][::20]


def windows(at):
    """Characters, one-hot, and whether they are inside."""
    at = at[:, None] + np.arange(length)
    return alphabet[codes[at]], inside[at].astype(np.float32)


def parameters(rng, blocks, inputs, hidden, scale):
    """One vector, and views of its parts: both weights and the bias of a layer, weights and bias of the output."""
    shapes = [(blocks * hidden, inputs), (blocks * hidden, hidden), (blocks * hidden,), (hidden,), (1,)]
    cuts = np.cumsum([np.prod(shape) for shape in shapes])
    flat = (rng.uniform(-scale, scale, cuts[-1])).astype(np.float32)
    return flat, [part.reshape(shape) for part, shape in zip(np.split(flat, cuts[:-1]), shapes, strict=True)]


rng = np.random.default_rng(0)
flat, (w_ih, w_hh, b, w, bias) = parameters(rng, 4, 128, 1, 0.1)
b[:], w[:] = lstm_forget_bias(b, 2.0), 3
b[0] = -2  # the input gate is nearly shut at first: a cell that only adds can end up saying "outside" always
state = adam_state(flat)
for _ in range(400):
    x, t = windows(rng.choice(train, 16))
    y = lstm(x, None, None, w_ih, w_hh, b).y
    d = (1 / (1 + np.exp(-(y @ w + bias))) - t) / t.size  # gradient of the cross-entropy with respect to the score
    g = lstm_backward(LSTM(d[..., None] * w, None, None), x, None, None, w_ih, w_hh, b)
    g = [g.w_ih, g.w_hh, g.b_ih, (d[..., None] * y).sum((0, 1)), d.sum()]
    _, state = adam(flat, np.concatenate([part.ravel() for part in g]), state, 0.1, out=(flat, state))

x, t = windows(test)
y = lstm(x, None, None, w_ih, w_hh, b).y
right, majority = ((y @ w + bias > 0) == t).mean(), 1 - t.mean()
assert right > 0.99 > 0.9 > majority, (right, majority)

# The gates, from the states before each step.
before = np.pad(y[:, :-1], ((0, 0), (1, 0), (0, 0)))
i, f, g, o = np.moveaxis(x @ w_ih.T + before @ w_hh.T + b, -1, 0)
i, f, o, g = *(1 / (1 + np.exp(-gate)) for gate in (i, f, o)), np.tanh(g)
c = np.zeros_like(g)
for k in range(length):
    c[:, k] = f[:, k] * c[:, k - 1] + i[:, k] * g[:, k]

# What training found: forget at an opening parenthesis, then keep; outside, write.
opens, other = x[..., ord("(")] > 0, x[..., ord("(")] + x[..., ord(")")] == 0
within, outside = other & (t > 0), other & (t == 0)
assert f[opens].mean() < 0.3 and f[within].mean() > 0.9
assert i[within].mean() < 0.1 and i[outside].mean() > 0.25
assert c[within].mean() > 0 > c[outside].mean()

# An example with two pairs that ends outside.
one = next(n for n in range(len(test)) if opens[n].sum() == 2 and x[n, :, ord(")")].sum() == 2 and not t[n, -1])

# alt: A line of English text, one character a tick, with two passages in parentheses shaded. Above, the forget gate is
#   open but for sharp falls at the opening parentheses; the input gate is open outside and nearly shut in the shaded
#   passages. Below, the cell state jumps above zero at each opening parenthesis, stays there, and falls below zero
#   after the closing one.
# caption: The gates and the cell state of a single LSTM unit that was trained to say whether it is in parentheses
#   (shaded). At an opening one it forgets; then it keeps what it wrote; outside, every character pushes the state down.
fig, (upper, lower) = plt.subplots(2, 1, figsize=(7.6, 3.8), sharex=True, layout="constrained")
steps = np.arange(length)
for axes in (upper, lower):
    axes.fill_between(steps, 0, 1, t[one] > 0, step="mid", color="C4", alpha=0.2, transform=axes.get_xaxis_transform())
upper.plot(steps, f[one], label="forget $f$")
upper.plot(steps, i[one], label="input $i$")
upper.plot(steps, o[one], label="output $o$")
lower.plot(steps, c[one], "C3-", drawstyle="steps-mid")
upper.set(ylabel="gates", ylim=(-0.05, 1.05))
upper.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
lower.set_xticks(steps, list(codes[test[one] :][:length].tobytes().decode()), family="monospace", fontsize=7)
lower.set(ylabel="cell state $c$")
lower.tick_params(axis="x", length=0)

# %%
# The adding problem
# ------------------
#
# Every step brings a random number and a mark that is 0 or 1. Two numbers, exactly ``lag`` steps apart, are marked, and
# the answer after the last step is their sum. Both networks have 16 units and see the same 12,800 sequences; the LSTM's
# forget gates start with a bias of 3, which lets 0.95 of a state through at every step. There are three runs of each,
# from other weights with other data, because 800 steps are not always enough: the best run is judged. At lag 40 most
# of the LSTM's learn the sum, and the plain layer's mostly keep the later number alone.


def problem(rng, count, lag):
    """Sequences of numbers and marks, and the sum of the two that are marked."""
    x = np.zeros((count, lag + 4, 2), np.float32)
    x[..., 0] = rng.random((count, lag + 4))
    each, first = np.arange(count), rng.integers(0, 4, count)
    x[each, first, 1] = x[each, first + lag, 1] = 1
    return x, x[each, first, 0] + x[each, first + lag, 0]


def learn(layer, backward, kind, blocks, lag, seed, hidden=16, steps=800):
    """Train one layer; return the loss of each step and the mean square error on new sequences."""
    rng, losses = np.random.default_rng(seed), np.empty(steps)
    flat, (w_ih, w_hh, b, w, bias) = parameters(rng, blocks, 2, hidden, hidden**-0.5)
    none = [None] * (len(kind._fields) - 1)
    if kind is LSTM:
        b[:] = lstm_forget_bias(b, 3.0)
    state = adam_state(flat)
    for step in range(steps):
        x, target = problem(rng, 16, lag)
        h = layer(x, *none, w_ih, w_hh, b).h
        error = h @ w + bias - target
        losses[step] = np.mean(error**2)
        d = 2 * error / len(error)
        g = backward(kind(None, np.outer(d, w), *none[1:]), x, *none, w_ih, w_hh, b)
        g = np.concatenate([part.ravel() for part in (g.w_ih, g.w_hh, g.b_ih, d @ h, d.sum())])
        g /= max(1, np.linalg.norm(g))
        _, state = adam(flat, g, state, 0.02, out=(flat, state))
    x, target = problem(np.random.default_rng(10_000 + seed), 1000, lag)
    return losses, np.mean((layer(x, *none, w_ih, w_hh, b).h @ w + bias - target) ** 2)


layers = {"LSTM": (lstm, lstm_backward, LSTM, 4), "plain": (rnn, rnn_backward, RNN, 1)}
runs = {
    (name, lag): [learn(*layer, lag, seed) for seed in range(3)] for name, layer in layers.items() for lag in (10, 40)
}
best = {key: min(error for _, error in several) for key, several in runs.items()}
_, target = problem(np.random.default_rng(0), 10_000, 10)
assert abs(target.var() - 1 / 6) < 0.01
assert best["LSTM", 10] < 0.01 and best["LSTM", 40] < 0.01, best
assert best["plain", 10] < 0.05 and best["plain", 40] > 0.03, best

# alt: Two panels of mean square error on a logarithmic axis over 800 steps, for lag 10 and lag 40, with lines at one
#   sixth and one twelfth. There are three curves for each layer. At lag 10 both fall below one twelfth, the LSTM
#   much further. At lag 40 the plain layer stays near one twelfth, while the LSTM stays there for a shorter or longer
#   while and then falls by one or two orders of magnitude.
# caption: Learning to add two numbers that are 10 or 40 steps apart, three runs of each layer. A network that
#   predicts the mean errs by 1/6, one that has kept only the later number by 1/12.
fig, panels = plt.subplots(1, 2, figsize=(7.6, 3.4), sharey=True, layout="constrained")
for axes, lag in zip(panels, (10, 40), strict=True):
    for name, style in (("LSTM", "C0-"), ("plain", "C1--")):
        for run, (losses, _) in enumerate(runs[name, lag]):
            axes.plot(np.arange(10, 800, 20), losses.reshape(-1, 20).mean(axis=1), style, label=None if run else name)
    for level in (1 / 6, 1 / 12):
        axes.axhline(level, color="C4", linewidth=1)
    axes.set(yscale="log", title=f"lag {lag}", xlabel="step")
for level, words, side in ((1 / 6, "1/6, the mean", "bottom"), (1 / 12, "1/12, the later\nnumber alone", "top")):
    panels[1].text(1.02, level, words, transform=panels[1].get_yaxis_transform(), va=side, color="C4", fontsize=8)
panels[0].set(ylabel="mean square error")
panels[0].legend()
