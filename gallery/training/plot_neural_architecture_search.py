"""
Neural architecture search: a small table, searched three ways
==============================================================

A search has a space, a strategy, and a way to score a candidate. Here the space is so small that every network in it is
trained, and each strategy is judged against the whole table. Random search and evolution end alike, and the noise of
one training run is as large as the differences among the best.
"""

# %%
# The space, ranked
# -----------------
#
# Digits, odd or even, by networks of twelve units with three residual layers. Each layer adds one of four things: zero,
# its linear map, or ReLU or tanh of it. That makes 64 networks, each trained from three starts.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.activations import relu, tanh
from dlref.autodiff import value_and_gradient
from dlref.layers import dense
from dlref.losses import cross_entropy
from dlref.optimizers import adam, adam_state
from dlref.training import (
    expected_best,
    fit,
    grid,
    mixed_operation,
    random_candidates,
    regret,
    regularized_evolution,
    search,
)

x, digit = load_digits(return_X_y=True)
x, y, units = (x / 16).astype(np.float32), digit % 2, 12
order = np.random.default_rng(0).permutation(len(y))
training, validation = order[:350], order[350:950]
operations = {"zero": None, "linear": lambda z: z, "ReLU": relu, "tanh": tanh}
space = dict.fromkeys(("first", "second", "third"), tuple(operations))


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
    layers = [operations[name] for name in choice]
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


choices = [tuple(candidate.values()) for candidate in grid(space)]
runs = {choice: [accuracy(choice, seed) for seed in range(3)] for choice in choices}
table = {choice: float(np.mean(values)) for choice, values in runs.items()}
ranked = sorted(table, key=table.get)
means = np.array([table[choice] for choice in ranked])
noise = np.sqrt(np.mean([np.var(values, ddof=1) for values in runs.values()]))
bent = np.array([not {"ReLU", "tanh"}.isdisjoint(choice) for choice in ranked])
assert means[-1] > 0.9 and means[-1] - means[0] > 0.02
assert means[bent].mean() > means[~bent].max(), "without ReLU or tanh the network is linear"
assert means[-1] - means[-6] < 2 * noise, "the best six differ by no more than the noise of one run"

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
# The regret of a search is the best mean accuracy of the table less the best that it has found so far. For random
# search its mean is known exactly from the table; here 300 runs are made of it and of aging evolution. The third
# strategy trains one network, in which each layer is a mixture of the four operations: weights on the training data,
# mixture on a part of the rest, in turns; then each layer keeps its heaviest operation.

budget = 40
exact = means[-1] - expected_best(means)[:budget]


def score(candidate):
    return table[tuple(candidate.values())]


def random_search(rng):
    return search(score, random_candidates(space, budget, rng, replace=False))


def evolution(rng):
    return regularized_evolution(score, space, budget, rng)


found = {
    name: regret([strategy(np.random.default_rng(seed)).scores for seed in range(300)], means[-1])
    for name, strategy in (("random search", random_search), ("evolution", evolution))
}
lucky = found["random search"]
assert (np.abs(lucky.mean - exact) < 5 * lucky.runs.std(axis=0) / 300**0.5).all()


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
    return tuple(list(operations)[1 + np.argmax(m[1:])] for m in mixture)


chosen = [relaxed(seed) for seed in range(5)]
one_shot = [means[-1] - table[c] for c in chosen]
assert np.mean(one_shot) > exact[-1], "the best of forty networks at random is better"
gain = exact - found["evolution"].mean
print("evolution is ahead by", gain[[9, 19, 39]].round(4), "after 10, 20 and 40 evaluations")
print("mixtures chose", chosen, "with ranks", [64 - ranked.index(c) for c in chosen], "of 64")
print(f"their mean regret {np.mean(one_shot):.4f}, that of one random network {exact[0]:.4f}, of ten {exact[9]:.4f}")
assert np.abs(gain[[9, 19, 39]]).max() < 0.002, "evolution and random search end alike"

# alt: Regret in accuracy against the number of evaluations, from 1 to 40. The curves of random search and of
#   evolution fall together, one upon the other, with overlapping bands. A dotted horizontal line for the mixture, with
#   a point for each of five runs at its left end, lies above both from the second evaluation on.
# caption: Regret with respect to the table: random search in expectation, aging evolution as the mean of 300 runs, with
#   bands of 80 percent of the runs, and what the mixture chose in five runs (points) with their mean (dotted).
fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
count = np.arange(1, budget + 1)
for (name, runs_of), style, mean in zip(found.items(), ("C0-", "C1--"), (exact, found["evolution"].mean), strict=True):
    ax.fill_between(count, runs_of.low, runs_of.high, color=style[:2], alpha=0.15, linewidth=0)
    ax.plot(count, mean, style, label=name)
ax.axhline(np.mean(one_shot), color="C2", linestyle=":", label="mixture")
ax.plot(np.zeros(5), one_shot, "C2^", markersize=5)
ax.set(xlabel="evaluations", ylabel="regret in accuracy", ylim=(0, None))
ax.legend(loc="upper right")
