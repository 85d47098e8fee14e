"""
Generative adversarial network: a game between two networks
===========================================================

One network makes points out of noise, another tells them from real ones, and each learns from the other. Against a
generator that stands still the discriminator approaches a known function. With both moving, the generator sweeps
over a ring until it covers its modes, and makes shapes of digits.
"""

# %%
# Against a generator that stands still
# -------------------------------------
#
# Data and generator are two known normal distributions, so the best discriminator is known as well.

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.activations import sigmoid
from dlref.models import (
    adversary,
    adversary_parameters,
    discriminator_loss,
    game_value,
    generator_loss,
    generator_loss_backward,
    modes_covered,
    optimal_discriminator,
    ring_of_gaussians,
)
from dlref.optimizers import adam, adam_state
from dlref.training import fit


def told_apart(params, x, y):
    """Return the loss of the discriminator on real and on generated examples."""
    return discriminator_loss(adversary(params, x)[:, 0], adversary(params, y)[:, 0])


def deceiving(params, z, discriminator):
    """Return the loss of the generator on noise."""
    return generator_loss(adversary(discriminator, adversary(params, z))[:, 0])


step = partial(fit, optimizer=partial(adam, beta1=0.5), lr=0.002, epochs=1, batch_size=256, rng=None)


rng = np.random.default_rng(0)
grid = np.linspace(-8, 8, 1601)
p = np.exp(-((grid + 1) ** 2) / 2) / np.sqrt(2 * np.pi)
q = np.exp(-((grid - 1) ** 2) / 4.5) / np.sqrt(2 * np.pi) / 1.5
best = optimal_discriminator(p, q)
params, state = adversary_parameters(rng, (1, 32, 32, 1)), adam_state
for _ in range(400):
    real, made = rng.normal(-1, 1, (256, 1)).astype(np.float32), rng.normal(1, 1.5, (256, 1)).astype(np.float32)
    params, _, state, _ = step(told_apart, params, (real, made), state=state)
learned = sigmoid(adversary(params, grid[:, None].astype(np.float32))[:, 0])
value = game_value(p, q, np.full(grid.size, 0.01)).value
reached = 0.01 * (p @ np.log(learned) + q @ np.log(1 - learned))
assert np.average(np.abs(learned - best), weights=p + q) < 0.04
assert -np.log(4) < reached <= value + 1e-6 and value - reached < 0.02, (reached, value)

# alt: Densities of data, a bell around minus one, and of the generator, a wider bell around plus one. Two more curves,
#   the best and the learned discriminator, fall together from 0.85 at minus one to zero at two; left of minus two,
#   where both densities are small, the learned one stays high while the best one falls.
# caption: Two known densities, the best discriminator between them, and a network after 400 steps.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.plot(grid, p, "C2-", alpha=0.6, label="data, density")
ax.plot(grid, q, "C3-", alpha=0.6, label="generator, density")
ax.plot(grid, best, "C0-", label="best discriminator")
ax.plot(grid, learned, "C1--", label="learned discriminator")
ax.set(xlabel="$x$", xlim=(-5, 6), ylim=(0, 1.3))
ax.grid(True, alpha=0.4)
ax.legend(ncols=2, fontsize=8, loc="upper center")

# %%
# A ring of eight
# ---------------

spread, found, near, shown = 0.1, [], [], {}
players = [adversary_parameters(rng, (4, 32, 32, 2)), adversary_parameters(rng, (2, 32, 32, 1))]
states = [adam_state, adam_state]


def play(real, noise, lr):
    """Take one step of the discriminator and one of the generator; noise draws what a generator is fed."""
    made = adversary(players[0], noise())
    players[1], _, states[1], _ = step(told_apart, players[1], (real, made), state=states[1], lr=lr)
    deceived = partial(deceiving, discriminator=players[1])
    players[0], _, states[0], _ = step(deceived, players[0], noise(), state=states[0], lr=lr)


centers = ring_of_gaussians(rng, 0).centers
for k in range(901):
    if k % 50 == 0:
        points = adversary(players[0], rng.normal(size=(1000, 4)).astype(np.float32))
        found.append(modes_covered(points, centers, spread, share=0.05))
        near.append(np.mean(np.linalg.norm(points[:, None] - centers, axis=2).min(axis=1) < 3 * spread))
        if k in (0, 50, 150, 900):
            shown[k] = points[:250]
    real = ring_of_gaussians(rng, 256, spread=spread).points
    play(real, lambda: rng.normal(size=(256, 4)).astype(np.float32), 0.004)
assert found[0] <= 4 and found[-1] >= 7 and near[-1] > 0.5 > 0.3 > near[0], (found, near)

# alt: Four scatter plots with eight circles on a ring. Before training and after 50 and 150 steps the points are a
#   cloud that meets some of the circles, each time other ones; after 900 steps they lie around the whole ring, most of
#   them in the circles and some between them.
# caption: Generated points before training and after 50, 150 and 900 steps: in how many of the eight modes at least
#   five percent of them lie, and the share in any. Circles have a radius of three standard deviations.
fig, axes = plt.subplots(1, 4, figsize=(7.8, 2.3), layout="constrained")
angle = np.linspace(0, 2 * np.pi, 40)
for ax, (k, points) in zip(axes, shown.items(), strict=True):
    for center in centers:
        ax.plot(center[0] + 0.3 * np.cos(angle), center[1] + 0.3 * np.sin(angle), "C1-", linewidth=1)
    ax.plot(*points.T, "C0.", markersize=2, rasterized=True)
    ax.set(xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), aspect="equal", xticks=[], yticks=[])
    ax.set_title(f"step {k}: {found[k // 50]} of 8, {near[k // 50]:.0%}", fontsize=10)

# %%
# Two losses for the generator
# ----------------------------

b = np.linspace(-8, 8, 161)
slopes = {kind: 161 * generator_loss_backward(1.0, b, kind) for kind in ("non-saturating", "minimax")}
assert np.allclose(slopes["non-saturating"], sigmoid(b) - 1) and np.allclose(slopes["minimax"], -sigmoid(b))

# alt: Two curves of a gradient over logits from minus 8 to 8. The non-saturating one is minus one on
#   the left, where the discriminator is sure of a fake, and goes to zero on the right; the minimax one is zero on the
#   left and minus one on the right.
# caption: Gradient of both losses with respect to the logit of a generated example. Early in training logits lie far on
#   the left.
fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
for (kind, slope), style in zip(slopes.items(), ("C0-", "C1--"), strict=True):
    ax.plot(b, slope, style, label=kind)
ax.set(xlabel="logit of a generated example", ylabel="gradient")
ax.grid(True, alpha=0.4)
ax.legend()

# %%
# Digits
# ------

digits = (load_digits().data / 8 - 1).astype(np.float32)
players[:] = adversary_parameters(rng, (16, 64, 64)), adversary_parameters(rng, (64, 64, 1))
states[:] = adam_state, adam_state
z = rng.normal(size=(24, 16)).astype(np.float32)
before = adversary(players[0], z)
for _ in range(600):
    real = digits[rng.integers(0, len(digits), 128)]
    play(real, lambda: rng.normal(size=(128, 16)).astype(np.float32), 0.002)
after = adversary(players[0], z)
distance = [np.sqrt(((y[:, None] - digits) ** 2).sum(axis=2)).min(axis=1).mean() for y in (before, after)]
assert distance[1] < 0.7 * distance[0], distance

# alt: Two rows of twelve images of 8 by 8 pixels. The upper row shows digits, the lower one generated shapes of similar
#   strokes, some of which can be read as digits.
# caption: Twelve digits of the data above, and twelve that the generator made after 600 steps below.
fig, axes = plt.subplots(2, 12, figsize=(7.4, 1.5), layout="constrained")
for ax, image in zip(axes.flat, [*digits[:12], *after[:12]], strict=True):
    ax.imshow(image.reshape(8, 8), cmap="cividis", vmin=-1, vmax=1, interpolation="none")
    ax.set_axis_off()
