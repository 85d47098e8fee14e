"""
Learning rate decay: from covering ground to averaging noise
============================================================

A constant rate keeps stochastic gradient descent at a distance from the minimum that the noise decides. A rate that
falls like one over the step brings it there: each step then moves the parameter to the mean of all it has seen.
"""

# %%
# The schedules
# -------------
#
# All of them from the same first rate over a thousand steps, as pure functions of the step.

import matplotlib.pyplot as plt
import numpy as np

from dlref.schedules import (
    cosine_decay,
    cosine_restarts,
    exponential_decay,
    inverse_time_decay,
    linear_warmup,
    multistep_decay,
    one_cycle,
    polynomial_decay,
    step_decay,
)

t, total = np.arange(1001), 1000
warm = 100
panels = {
    "stairs": {
        "step": step_decay(t, 1.0, every=250, factor=0.5),
        "multi-step": multistep_decay(t, 1.0, [500, 750]),
    },
    "smooth": {
        "exponential": exponential_decay(t, 1.0, factor=0.1, every=500),
        "inverse time": inverse_time_decay(t, 1.0, rate=1.0, every=100),
        "polynomial": polynomial_decay(t, 1.0, total, power=2.0),
        "cosine": cosine_decay(t, 1.0, total),
    },
    "up and down": {
        "restarts": cosine_restarts(t, 1.0, first=150, growth=2),
        "warm-up, cosine": np.minimum(
            linear_warmup(t, 1.0, warm), cosine_decay(np.maximum(t - warm, 0), 1.0, total - warm)
        ),
        "one-cycle": one_cycle(t, 1.0, total + 1),
    },
}
for rates in panels.values():
    for name, rate in rates.items():
        assert rate.max() <= 1.0 and rate.min() >= 0.0, name
assert panels["up and down"]["warm-up, cosine"].argmax() == warm

# alt: Three panels of learning rate against step, from 0 to 1000. Stairs: one halves every 250 steps, the other falls
#   to a tenth at 500 and at 750. Smooth: exponential, inverse time, polynomial and cosine curves from 1 down; the
#   cosine is flat at both ends. Up and down: a cosine that restarts at 150 and 450, a straight rise to step 100
#   followed by a cosine, and a one-cycle that rises until step 300.
# caption: Nine schedules from the rate 1 over 1000 steps.
fig, axes = plt.subplots(1, 3, figsize=(7.6, 3.4), layout="constrained", sharey=True)
for ax, (title, rates) in zip(axes, panels.items(), strict=True):
    for (name, rate), style in zip(rates.items(), ("-", "--", "-.", ":"), strict=False):
        ax.plot(t[::5], rate[::5], style, label=name)
    ax.set(title=title, xlabel="step", xticks=[0, 500, 1000], ylim=(-0.02, 1.6))
    ax.legend(loc="upper right", fontsize="small")
axes[0].set(ylabel="learning rate", yticks=[0, 0.5, 1])

# %%
# The noise floor
# ---------------
#
# Descent on :math:`x^2/2` with noise of variance 1 in every gradient, 2000 runs. Under a constant rate the variance of
# :math:`x` goes to :math:`\eta / (2 - \eta)`. Under :math:`1/(t + 1)` it is exactly :math:`1/t` after t steps.

steps, runs = 3000, 2000
rng = np.random.default_rng(1)
rates = {
    "$\\eta = 0.5$": np.full(steps, 0.5),
    "$\\eta = 0.02$": np.full(steps, 0.02),
    "$\\eta = 0.5$, a tenth at 300 and 1500": multistep_decay(np.arange(steps), 0.5, [300, 1500]),
    "$\\eta_t = 1 / (t + 1)$": inverse_time_decay(np.arange(steps), 1.0, rate=1.0),
}
x, errors = np.full((len(rates), runs), 3.0), []
table = np.array(list(rates.values()))
for lr in table.T:
    x = x - lr[:, None] * (x + rng.normal(size=runs))
    errors.append((x**2).mean(axis=1))
errors = np.array(errors).T
for row, lr in ((0, 0.5), (1, 0.02)):
    assert abs(errors[row, -500:].mean() / (lr / (2 - lr)) - 1) < 0.1
assert (abs(errors[3, 10:] * np.arange(11, steps + 1) - 1) < 0.25).all(), "the mean of t numbers"
assert errors[2, -1] < errors[1, -1] and errors[3, -1] < errors[2, -1]

# alt: Mean squared error over the number of steps, both logarithmic. The large constant rate falls at once to a level
#   of one third and stays, the small one falls late to a level of 0.01. The rate cut at 300 and 1500 goes down in
#   stairs from the high level. The rate one over t is a straight line of slope minus one and ends lowest, below 0.001.
# caption: Mean squared distance from the minimum under noisy gradients. Dashed: $\eta / (2 - \eta)$ for the two
#   constant rates.
fig, ax = plt.subplots(figsize=(6.2, 3.6), layout="constrained")
shown = np.unique(np.geomspace(1, steps, 250).astype(int)) - 1
for (name, _), error, style in zip(rates.items(), errors, ("-", "-.", ":", "-"), strict=True):
    ax.plot(shown + 1, error[shown], style, label=name)
for lr, color in ((0.5, "C0"), (0.02, "C1")):
    ax.axhline(lr / (2 - lr), color=color, linestyle="--", linewidth=0.8)
ax.set(xscale="log", yscale="log", xlabel="step", ylabel="mean squared error")
ax.legend(fontsize="small")
