"""
RMSprop: a divisor that forgets
===============================

RMSprop divides the gradient by the root of a running mean of its square. When the gradients grow, the steps are back at
their size within a few steps; when they shrink, it takes as long as the mean needs to forget. AdaGrad, which keeps the
whole sum, never comes back. The price is that RMSprop does not settle: it forgets the gradients of the way down, its
steps grow, and it ends in jumps of the size of the learning rate.
"""

# %%
# A gradient whose scale jumps
# ----------------------------
#
# Noise of size 1 becomes noise of size 100 at step 500, and size 1 again at step 1000. After the fall the mean square
# is :math:`\rho^k 100^2 + 1`, so that half of the old size is back after :math:`\log(100^2 / 3) / (1 - \rho)` steps.

import matplotlib.pyplot as plt
import numpy as np

from dlref.optimizers import rmsprop, rmsprop_state

steps, copies = np.arange(1, 2001), 400
scale = np.where((steps > 500) & (steps <= 1000), 100.0, 1.0)
gradients = scale[:, None] * np.random.default_rng(1).choice([-1.0, 1.0], (len(steps), copies))


def walk(rho):
    """The divisor, and the mean size of a step in units of the learning rate."""
    p, state, divisors, sizes = np.zeros(copies), rmsprop_state(np.zeros(copies)), [], []
    for g in gradients:
        before = p
        p, state = rmsprop(p, g, state, lr=1.0, rho=rho)
        divisors.append(np.sqrt(state.v).mean())
        sizes.append(abs(p - before).mean())
    return np.array(divisors), np.array(sizes)


runs = {f"RMSprop, $\\rho = {rho}$": walk(rho) for rho in (0.9, 0.99)}
total = np.sqrt(np.cumsum(scale**2))
runs["AdaGrad"] = total, scale / total
back = {name: int(np.argmax(sizes[1000:] > 0.5)) for name, (_, sizes) in runs.items() if name != "AdaGrad"}
for rho, late in zip((0.9, 0.99), back.values(), strict=True):
    assert abs(late / (np.log(100**2 / 3) / -np.log(rho)) - 1) < 0.05, (rho, late)
assert runs["AdaGrad"][1][-1] < 1e-3
assert abs(runs["RMSprop, $\\rho = 0.99$"][1][0] - 10) < 1e-6, "the first step: 1 / sqrt(1 - rho)"

# alt: Two panels over 2000 steps, vertical axes logarithmic. Left, the gradient's size is a dashed step from 1 to 100
#   at step 500 and back to 1 at step 1000. The divisors of RMSprop follow it up at once and down along straight lines,
#   fast for rho 0.9 and about 900 steps for 0.99. AdaGrad's divisor climbs, jumps above 1000 and stays there. Right,
#   step sizes: RMSprop's return to 1 after each jump, after the fall from below 0.01; AdaGrad's never do.
# caption: Left: the divisor, and the size of the gradient (dashed). Right: the size of a step. After the fall at step
#   1000 the mean square decays geometrically, and AdaGrad's sum not at all.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.7), layout="constrained")
left.plot(steps, scale, "C3--", label="size of the gradient", linewidth=1)
for (name, (divisors, sizes)), style in zip(runs.items(), ("-", "-.", ":"), strict=True):
    left.plot(steps, divisors, style, label=name)
    right.plot(steps, sizes, style, label=name)
left.set(yscale="log", xlabel="step", ylabel="divisor")
right.set(yscale="log", xlabel="step", ylabel="size of a step / $\\eta$")
fig.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize="small")

# %%
# It does not settle
# ------------------
#
# On the bowl :math:`k x^2 / 2` plain descent comes to rest. RMSprop comes even closer at first, because the gradient
# vanishes before the mean has forgotten it. Then the divisor follows, the rate :math:`\eta / \sqrt v` passes
# :math:`2 / k`, and :math:`x` is driven out until each step is as long as the learning rate: it jumps to and fro at
# :math:`\eta / 2`, however steep or flat the bowl is.

distances = {}
for lr in (0.1, 0.01, 0.001):
    x, state, way = np.ones(2), rmsprop_state([0.0, 0.0]), []
    for _ in range(3000):
        x, state = rmsprop(x, [1.0, 100.0] * x, state, lr=lr, rho=0.9)
        way.append(np.abs(x))
    distances[lr] = np.array(way)
    rest = distances[lr][-500:].mean(axis=0)
    assert (abs(rest / (lr / 2) - 1) < 0.1).all(), (lr, rest)
    assert distances[lr][:, 0].min() < 1e-9 * lr, "it has been there"

# alt: Distance from the minimum over the number of steps, both logarithmic. Three curves start at 1, dive one after the
#   other below 1e-15, come up again within some dozens of steps and then stay on horizontal levels at half of their
#   learning rate: 0.05, 0.005 and 0.0005.
# caption: Distance from the minimum of $x^2/2$ for three learning rates and $\rho = 0.9$, averaged over ten steps, with
#   $\eta/2$ dashed. RMSprop finds the minimum, forgets how it got there, and is thrown out again.
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for color, (lr, way) in zip(("C0", "C1", "C2"), distances.items(), strict=True):
    ax.plot(np.arange(5, 3000, 10), way[:, 0].reshape(-1, 10).mean(axis=1), color, label=f"$\\eta = {lr}$")
    ax.axhline(lr / 2, color=color, linestyle="--", linewidth=0.8)
ax.set(xscale="log", yscale="log", xlabel="step", ylabel="$|x|$")
ax.legend()
