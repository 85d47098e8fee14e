"""
Neural architecture search: a small table, searched three ways
==============================================================

A search has a space, a strategy, and a way to score a candidate. Here the space is so small that every network in it is
trained, and each strategy is judged against the whole table. Random search is hard to beat by much, and the noise of
one training run is as large as the differences among the best.
"""

# %%
# The space, ranked
# -----------------
#
# Digits, odd or even, by networks of twelve units with three residual layers. Each layer adds one of four things: zero,
# its linear map, or ReLU or tanh of it. That makes 64 networks, each trained from three starts.

import itertools

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.activations import relu, tanh
from dlref.autodiff import value_and_gradient
from dlref.layers import dense
from dlref.losses import cross_entropy
from dlref.optimizers import adam, adam_state
from dlref.training import expected_best, fit, mixed_operation, random_search, regularized_evolution

x, digit = load_digits(return_X_y=True)
x, y, units = (x / 16).astype(np.float32), digit % 2, 12
order = np.random.default_rng(0).permutation(len(y))
training, validation = order[:350], order[350:950]
operations = (None, lambda z: z, relu, tanh)


def drawn(rng):
    shapes = [(units, 64), *[(units, units)] * 3, (2, units)]
    pairs = ((rng.normal(0, np.sqrt(1 / s[1]), s), np.zeros(s[0])) for s in shapes)
    return tuple(array.astype(np.float32) for pair in pairs for array in pair)


def logits(params, x, layers):
    h = dense(x, *params[:2])
    for k, operation in enumerate(layers):
        if operation is not None:
            h = h + operation(dense(h, *params[2 + 2 * k : 4 + 2 * k]))
    return dense(h, *params[8:])


def accuracy(choice, seed):
    layers = [operations[k] for k in choice]
    data = x[training], y[training]
    run = fit(
        lambda params, x, y: cross_entropy(logits(params, x, layers), y),
        drawn(np.random.default_rng(seed)),
        data,
        adam,
        adam_state,
        lr=0.03,
        epochs=45,
        batch_size=350,
        rng=None,
    )
    return np.mean(np.argmax(logits(run.params, x[validation], layers), axis=1) == y[validation])


space = (4, 4, 4)
runs = {choice: [accuracy(choice, seed) for seed in range(3)] for choice in itertools.product(*map(range, space))}
table = {choice: float(np.mean(values)) for choice, values in runs.items()}
ranked = sorted(table, key=table.get)
means = np.array([table[choice] for choice in ranked])
noise = np.sqrt(np.mean([np.var(values, ddof=1) for values in runs.values()]))
bent = np.array([any(k >= 2 for k in choice) for choice in ranked])
assert means[-1] > 0.93 and means[-1] - means[0] > 0.03
assert means[bent].mean() > means[~bent].max() - 0.005, "without ReLU or tanh the network is linear"
assert 0.5 < (means[-1] - means[-6]) / noise < 2.5, "the best six differ by about the noise of one run"

# alt: Accuracies of 64 networks in rising order with error bars. The eight linear networks, marked by crosses, are
#   among the lowest; the curve rises steeply at both ends and slowly between; the bars of neighbors overlap
#   everywhere.
# caption: All 64 networks by mean validation accuracy, with the standard error of three starts. Crosses: networks
#   without ReLU or tanh.
fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
rank = np.arange(64)
ax.errorbar(rank[bent], means[bent], noise / 3**0.5, fmt="C0o", markersize=3, linewidth=0.8, label="with ReLU or tanh")
ax.errorbar(rank[~bent], means[~bent], noise / 3**0.5, fmt="C1x", markersize=6, linewidth=0.8, label="linear")
ax.set(xlabel="rank", ylabel="validation accuracy")
ax.legend(loc="upper left")

# %%
# Three strategies
# ----------------
#
# What random search reaches with m evaluations is known exactly from the table. Aging evolution is run 300 times. The
# third strategy trains one network, in which each layer is a mixture of the four operations: weights on the training
# data, mixture on a part of the rest, in turns; then each layer keeps its heaviest operation.

budget = 40
exact = expected_best(means)[:budget]
bests = {}
for name, search in (("random", random_search), ("evolution", regularized_evolution)):
    found = [search(table.__getitem__, space, budget, np.random.default_rng(seed)).scores for seed in range(300)]
    bests[name] = np.maximum.accumulate(found, axis=1)
assert np.abs(bests["random"].mean(0) - exact).max() < 5 * bests["random"].std() / 300**0.5


def step(values, gradients, states, lr):
    moved = [adam(v, g, state, lr) for v, g, state in zip(values, gradients, states, strict=True)]
    return tuple(p for p, _ in moved), [state for _, state in moved]


def relaxed(seed, steps=60):
    """Train weights and mixture in turns; return the heaviest operation of each layer but zero."""

    def loss(params, mixture, x, y):
        layers = [lambda z, k=k: mixed_operation(z, mixture[k]) for k in range(3)]
        return cross_entropy(logits(params, x, layers), y)

    def loss_of_mixture(mixture, params, x, y):
        return loss(params, mixture, x, y)

    part = order[950:1300]
    params, mixture = drawn(np.random.default_rng(seed)), tuple(np.zeros(4, np.float32) for _ in range(3))
    states, mixture_states = [adam_state(p) for p in params], [adam_state(m) for m in mixture]
    for _ in range(steps):
        _, g = value_and_gradient(loss, params, mixture, x[training], y[training])
        params, states = step(params, g, states, 0.03)
        _, g = value_and_gradient(loss_of_mixture, mixture, params, x[part], y[part])
        mixture, mixture_states = step(mixture, g, mixture_states, 0.1)
    return tuple(1 + int(np.argmax(m[1:])) for m in mixture)


chosen = [relaxed(seed) for seed in range(3)]
one_shot = float(np.mean([table[c] for c in chosen]))
assert all(any(k >= 2 for k in c) for c in chosen), "it never chose a linear network"
assert one_shot < exact[4], "and yet five networks at random have a better one among them"
gain = bests["evolution"].mean(0) - exact
assert -0.002 < gain[19] < 0.004, "evolution is ahead of random search by little, if at all"

# alt: Best accuracy so far against the number of evaluations, from 1 to 40. The curves of random search and of
#   evolution rise together with overlapping bands, evolution a little higher or equal in the middle. A dotted
#   horizontal line for the mixture lies below both from the second evaluation on.
# caption: Best of the table so far: random search in expectation, aging evolution as the mean of 300 runs, with
#   bands of 80 percent of the runs, and the mean of what the mixture chose in three runs (dotted).
fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
count = np.arange(1, budget + 1)
for (name, best), style, mean in zip(bests.items(), ("C0-", "C1--"), (exact, bests["evolution"].mean(0)), strict=True):
    ax.fill_between(count, *np.quantile(best, [0.1, 0.9], axis=0), color=style[:2], alpha=0.15, linewidth=0)
    ax.plot(count, mean, style, label=name)
ax.axhline(one_shot, color="C2", linestyle=":", label="mixture")
ax.axhline(means[-1], color="C4", linewidth=0.8)
ax.set(xlabel="evaluations", ylabel="best accuracy so far")
ax.legend(loc="lower right")
print("mixtures chose", chosen, "with ranks", [64 - ranked.index(c) for c in chosen], "of 64")
