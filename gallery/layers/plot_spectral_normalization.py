"""
Spectral normalization: an estimate from below, and what it is good for
=======================================================================

Power iteration finds the largest singular value from below; its error falls with the fourth power of the ratio of the
second to the first, each round. Networks whose layers are divided by it cannot be steeper than one. A discriminator
with this bound cannot separate real from generated points so sharply that the generator is left without a gradient,
and in the game of both its gradient has a bound, where that of a free one is several times as large.
"""

# %%
# How fast the estimate converges
# -------------------------------
#
# Three matrices of 40 by 60 numbers with chosen singular values: the largest is 1, the second 0.5, 0.9 or 0.99, and the
# rest lies below. The start has the same share of every left singular vector.

import matplotlib.pyplot as plt
import numpy as np

from dlref.activations import relu
from dlref.autodiff import value_and_gradient
from dlref.layers import dense, power_iteration, spectral_normalize
from dlref.losses import binary_cross_entropy
from dlref.models import (
    adversary,
    adversary_parameters,
    discriminator_loss,
    generator_loss,
    ring_of_gaussians,
)
from dlref.optimizers import adam, adam_state

rng = np.random.default_rng(0)
left, right = (np.linalg.qr(rng.normal(size=(n, 40)))[0] for n in (40, 60))
rounds = np.arange(1, 41)
errors = {}
for second in (0.5, 0.9, 0.99):
    values = np.concatenate([[1, second], np.linspace(0.9 * second, 0.1, 38)])
    w = (left * values) @ right.T
    u, found = left.sum(axis=1), []
    for _ in rounds:
        u, _, sigma = power_iteration(w, u)
        found.append(1 - sigma)
    errors[second] = np.array(found)
    powers = values[:, None] ** (4.0 * rounds)
    closed = 1 - np.sqrt(powers.sum(axis=0) / (powers / values[:, None] ** 2).sum(axis=0))
    assert abs(errors[second] - closed).max() < 1e-13, "the closed form of the iterates"
    assert errors[second].min() > -1e-14, "never above the true norm"
slope = (errors[0.9][25] / errors[0.9][15]) ** (1 / 10)
assert abs(slope - 0.9**4) < 0.01, slope

# alt: Error of the estimate against rounds, on a logarithmic axis. Each of three measured curves ends up along its
#   dashed line: for a ratio of 0.5 it reaches the rounding error within about a dozen rounds, for 0.9 it falls by a
#   third every round, for 0.99 it drops to a few thousandths and then hardly falls any more.
# caption: Relative error of the estimated largest singular value. The dashed lines fall by the fourth power of the
#   ratio $\sigma_2 / \sigma_1$ each round.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for (second, error), color, marker in zip(errors.items(), ("C0", "C1", "C2"), "os^", strict=True):
    seen = error > 1e-15
    ax.semilogy(rounds[seen], error[seen], color + marker, markersize=4, label=f"ratio {second}")
    start = 25 if second == 0.9 else 4 if second == 0.5 else 39
    line = error[start] * second ** (4.0 * (rounds - rounds[start]))
    ax.semilogy(rounds, line, color + "--", linewidth=1)
ax.set(xlabel="rounds", ylabel="relative error", ylim=(1e-16, 2))
ax.legend(loc="lower right")

# %%
# A discriminator, free and bounded
# ---------------------------------
#
# Real points lie around (2, 0), generated ones around (-2, 0). Two discriminators with two hidden layers of 32 units
# learn to tell them apart, one of them with spectrally normalized weights and one round of power iteration a step. What
# the generator gets from its loss :math:`\log(1 - D)` is the gradient at the generated points.

shapes = (32, 2), (32, 32), (1, 32)


def score(params, x, vectors):
    """Log-odds that a point is real."""
    for i, (w, b) in enumerate(params):
        if vectors:
            w = spectral_normalize(w, *vectors[i])
        x = dense(x, w, b)
        if i < 2:
            x = relu(x)
    return x


def loss(params, x, target, vectors):
    return binary_cross_entropy(score(params, x, vectors), target)


def to_generator(x, params, vectors):
    return -binary_cross_entropy(score(params, x, vectors), np.zeros((len(x), 1)), reduction="sum")


def train(bounded, steps=300):
    """Return the discriminator, the mean gradient at generated points after each tenth step, and the vectors."""
    rng = np.random.default_rng(1)
    params = [(rng.normal(size=s) * np.sqrt(2 / s[1]), np.zeros(s[0])) for s in shapes]
    us = [rng.normal(size=s[0]) for s in shapes]
    states, sizes, vectors = [[adam_state(p) for p in layer] for layer in params], [], None
    for step in range(steps):
        x = np.concatenate([rng.normal(size=(32, 2)) / 3 + [2, 0], rng.normal(size=(32, 2)) / 3 - [2, 0]])
        if bounded:
            found = [power_iteration(w, u) for (w, _), u in zip(params, us, strict=True)]
            us, vectors = [f.u for f in found], [(f.u, f.v) for f in found]
        if step % 10 == 0:
            _, g = value_and_gradient(to_generator, x[32:], params, vectors)
            sizes.append(np.linalg.norm(g, axis=1).mean())
        _, change = value_and_gradient(loss, params, x, np.repeat([[1.0], [0.0]], 32, axis=0), vectors)
        for layer, state, g in zip(params, states, change, strict=True):
            for i in range(2):
                adam(layer[i], g[i], state[i], 0.01, out=(layer[i], state[i]))
    return params, np.array(sizes), vectors


free, free_sizes, _ = train(False)
bound, bound_sizes, vectors = train(True)
pairs = rng.normal(size=(2, 4000, 2)) * 3
distance = np.linalg.norm(pairs[0] - pairs[1], axis=1)
steepness = {
    "free": np.abs(score(free, pairs[0], None) - score(free, pairs[1], None))[:, 0] / distance,
    "bounded": np.abs(score(bound, pairs[0], vectors) - score(bound, pairs[1], vectors))[:, 0] / distance,
}
norms = [np.linalg.norm(spectral_normalize(w, *uv), 2) for (w, _), uv in zip(bound, vectors, strict=True)]
assert steepness["bounded"].max() < np.prod(norms) < 1.1, "the product of the norms is a bound"
assert steepness["free"].max() > 2
assert bound_sizes[-5:].mean() > 3 * free_sizes[-5:].mean(), (bound_sizes[-5:], free_sizes[-5:])

# alt: Two panels. On the left histograms of the steepness between pairs of points: the bounded network stays below one,
#   the free one reaches several times that. On the right the gradient at the generated points over 300 steps: that of
#   the free discriminator falls to nearly zero, that of the bounded one stays near 0.1.
# caption: Left, how much the score changes between random pairs of points, over their distance, after training; the
#   line marks 1. Right, the mean gradient that a generator would get.
fig, (one, two) = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
bins = np.arange(0, steepness["free"].max() + 0.5, 0.5)
one.hist(steepness["free"], bins, histtype="step", color="C0", label="free")
one.hist(steepness["bounded"], bins, histtype="stepfilled", color="C1", alpha=0.5, label="bounded")
one.axvline(1, color="C2", linestyle="--")
one.set(xlabel="change of score over distance", ylabel="pairs")
one.legend()
steps = 10 * np.arange(len(free_sizes))
two.plot(steps, free_sizes, "C0-", label="free")
two.plot(steps, bound_sizes, "C1--", label="bounded")
two.set(xlabel="step", ylabel="gradient at generated points", ylim=(0, None))
two.legend()

# %%
# In the game
# -----------
#
# Now the generator learns too: a ring of eight clouds against points made of noise, one step each in turn, with the
# loss :math:`-\log D`. Noted is the mean gradient of a point's loss with respect to the point. For the bounded
# discriminator it cannot exceed the product of the three spectral norms.


def divided(params, us):
    """Take one round; return a function that normalizes the weights with its vectors, and these."""
    found = [power_iteration(w, u) for (w, _), u in zip(params, us, strict=True)]

    def network(params):
        return [(spectral_normalize(w, f.u, f.v), b) for (w, b), f in zip(params, found, strict=True)]

    return network, [f.u for f in found]


def told_apart(params, network, real, made):
    d = network(params)
    return discriminator_loss(adversary(d, real)[:, 0], adversary(d, made)[:, 0])


def deceived(params, z, d):
    return generator_loss(adversary(d, adversary(params, z))[:, 0])


def on_points(points, d):
    return generator_loss(adversary(d, points)[:, 0])


def step(params, states, gradient):
    for layer, state, change in zip(params, states, gradient, strict=True):
        for i in range(2):
            _, state[i] = adam(layer[i], change[i], state[i], 0.005, beta1=0.5, out=(layer[i], state[i]))


def play(bounded, seed=0, steps=200, batch=64):
    """Return the mean gradient at the generated points, and the product of the spectral norms, after every step."""
    rng = np.random.default_rng(seed)
    players = [adversary_parameters(rng, widths) for widths in ((2, 32, 32, 2), (2, 32, 32, 1))]
    states = [[[adam_state(p) for p in layer] for layer in params] for params in players]
    (generator, d), us, network = players, [rng.normal(size=len(w)) for w, _ in players[1]], list
    sizes, products = [], []
    for _ in range(steps):
        real, z = ring_of_gaussians(rng, batch, spread=0.1).points, rng.normal(size=(2, batch, 2)).astype(np.float32)
        if bounded:
            network, us = divided(d, [u.astype(np.float32) for u in us])
        step(d, states[1], value_and_gradient(told_apart, d, network, real, adversary(generator, z[0]))[1])
        fixed = network(d)
        slopes = batch * value_and_gradient(on_points, adversary(generator, z[1]), fixed)[1]
        sizes.append(np.linalg.norm(slopes, axis=1).mean())
        products.append(np.prod([np.linalg.norm(w, 2) for w, _ in fixed]))
        step(generator, states[0], value_and_gradient(deceived, generator, z[1], fixed)[1])
    return np.array(sizes), np.array(products)


(loose, loose_norms), (tight, tight_norms) = play(False), play(True)
assert np.all(tight < tight_norms) and tight_norms[20:].max() < 1.3 < 10 < loose_norms[-1], "a bound that binds"
assert loose[-50:].mean() > 3 * tight[-50:].mean() and tight.max() < 0.25 < loose.max(), (loose, tight)

# alt: Gradient at the generated points over 200 steps, logarithmic. The curve of the free discriminator lies between
#   0.15 and 0.9; that of the bounded one between 0.01 and 0.15, below the other at every step.
# caption: Mean gradient of the generator's loss with respect to its points while both networks learn. At the end the
#   product of the spectral norms is about 20 for the free discriminator and one for the bounded. Over eleven seeds the
#   free gradient was 4 to 18 times as large in the last 50 steps.
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for sizes, style, name in ((loose, "C0-", "free"), (tight, "C1--", "bounded")):
    ax.semilogy(np.arange(1, 1 + len(sizes)), sizes, style, label=name)
ax.set(xlabel="step", ylabel="gradient at generated points")
ax.legend()
