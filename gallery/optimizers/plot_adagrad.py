"""
AdaGrad: rare features keep large steps
=======================================

AdaGrad divides each entry of the gradient by the root of the sum of all its squares so far. An entry that is often
large slows down like one over the root of time; one that is rarely anything else than zero keeps its full step for the
day it is needed. On words, most of which are rare, that pays.
"""

# %%
# The rate of each coordinate
# ---------------------------
#
# Four coordinates have a gradient of one in every step, in every 10th, 100th and 1000th. After n of them
# the step has the length :math:`\eta / \sqrt n`, whatever the time.

import decimal
import re
import statistics

import matplotlib.pyplot as plt
import numpy as np

from dlref.optimizers import adagrad, adagrad_rows, adagrad_state

every, steps = np.array([1, 10, 100, 1000]), np.arange(1, 10_001)
p, state, sums = np.zeros(4), adagrad_state(np.zeros(4)), []
for t in steps:
    p, state = adagrad(p, (t % every == 0) * 1.0, state, lr=1.0)
    sums.append(state.v)
rates = 1 / np.sqrt(np.maximum(sums, 1.0))
assert np.allclose(rates[-1], np.sqrt(every / len(steps)))

# alt: Four step functions on logarithmic axes, all starting at 1. Each stays level until its coordinate has had its
#   second gradient and then falls with the slope minus one half; the one with a gradient in every step ends at 0.01,
#   the one with a gradient in every thousandth at 0.3.
# caption: The length of the next step of four coordinates, whose gradients are 1 in every $k$-th step and 0 else.
fig, ax = plt.subplots(figsize=(6, 3.3), layout="constrained")
shown = np.unique(np.geomspace(1, len(steps), 300).astype(int)) - 1
for k, rate, style in zip(every, rates.T, ("-", "--", "-.", ":"), strict=True):
    ax.step(steps[shown], rate[shown], style, where="post", label=f"every {k}" if k > 1 else "every step")
ax.set(xscale="log", yscale="log", xlabel="step", ylabel="length of a step / $\\eta$")
ax.legend(title="gradient in")

# %%
# Words
# -----
#
# Which of two of Python's own modules does a line of documentation come from? Logistic regression on the words of a
# line, one pass, each line once; half of the words occur once or twice. Both methods get the best of six rates.

texts, labels, words = [], [], {}
for label, module in enumerate((decimal, statistics)):
    docs = [module.__doc__, *(getattr(getattr(module, name), "__doc__", "") or "" for name in dir(module))]
    if module is decimal:
        docs += [getattr(decimal.Decimal, name).__doc__ or "" for name in dir(decimal.Decimal) if name[0] != "_"]
    for line in sorted(set("\n".join(docs).splitlines())):
        found = {words.setdefault(w, len(words)) for w in re.findall(r"[a-z]{2,}", line.lower())}
        if len(found) > 2:
            texts.append(np.array(sorted(found)))
            labels.append(label)
labels = np.array(labels)
counts = np.bincount(np.concatenate(texts), minlength=len(words))


def one_pass(method, lr, seed):
    """Mean loss before each step, over one pass in a random order."""
    table, losses = np.zeros((len(words), 1)), []
    state = adagrad_state(table)
    for i in np.random.default_rng(seed).permutation(len(texts)):
        rows, sign = texts[i], 1.0 - 2.0 * labels[i]
        margin = sign * table[rows].sum()
        losses.append(np.logaddexp(0.0, -margin))
        g = np.full((len(rows), 1), -sign / (1.0 + np.exp(margin)))
        if method == "AdaGrad":
            _, state = adagrad_rows(table, rows, g, state, lr, out=(table, state))
        else:
            table[rows] -= lr * g
    return np.cumsum(losses) / np.arange(1, len(losses) + 1)


curves = {}
for method, grid in (("SGD", 2.0 ** np.arange(-5, 1)), ("AdaGrad", 2.0 ** np.arange(-5, 1))):
    best = min(grid, key=lambda lr: one_pass(method, lr, 0)[-1])
    assert grid[0] < best < grid[-1], "inside the grid"
    curves[f"{method}, $\\eta = {best:g}$"] = np.mean([one_pass(method, best, seed) for seed in range(1, 5)], axis=0)
sgd, ours = curves.values()
assert np.mean(counts <= 2) > 0.5
assert ours[-1] < 0.97 * sgd[-1]

# alt: Mean loss so far against the number of lines read. Both curves start at log 2 and fall; AdaGrad's runs below that
#   of SGD from the first hundred lines on.
# caption: Mean loss of the next line, before it is learned from: logistic regression on words, one pass, both methods
#   at the best of six rates, mean of four orders.
fig, ax = plt.subplots(figsize=(6, 3.3), layout="constrained")
for (name, curve), style in zip(curves.items(), ("--", "-"), strict=True):
    ax.plot(np.arange(1, len(curve) + 1), curve, style, label=name)
ax.set(xlabel="lines read", ylabel="mean loss so far", ylim=(0, None))
ax.legend()
