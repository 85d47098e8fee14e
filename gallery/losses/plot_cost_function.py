"""
Cost function: one data set, four landscapes
============================================

A cost is a surface over the parameters, made of the losses of all examples. Which loss it is made of decides where the
bottom lies: with two outliers among twenty points the squared error's bottom moves away from the line that made the
data, and the three losses with a bounded pull stay near it.
"""

# %%
# Four losses of one example
# --------------------------
#
# What counts is the slope. That of the squared error grows with the error, so that a far point decides; the slopes of
# the others end at one.

import matplotlib.pyplot as plt
import numpy as np

from dlref.losses import (
    cost,
    cost_backward,
    huber_loss,
    huber_loss_backward,
    log_cosh_loss,
    log_cosh_loss_backward,
    mean_absolute_error,
    mean_absolute_error_backward,
    mean_squared_error,
    mean_squared_error_backward,
)

error, zero = np.linspace(-4, 4, 401), np.zeros(401)
losses = {
    "squared": (mean_squared_error, mean_squared_error_backward),
    "absolute": (mean_absolute_error, mean_absolute_error_backward),
    "huber": (huber_loss, huber_loss_backward),
    "log-cosh": (log_cosh_loss, log_cosh_loss_backward),
}
slopes = {name: back(1.0, error, zero, reduction="sum") for name, (_, back) in losses.items()}
assert abs(slopes["squared"]).max() == 8
assert max(abs(slopes[name]).max() for name in losses if name != "squared") <= 1
assert np.all(log_cosh_loss(error, zero, reduction="none") <= huber_loss(error, zero, reduction="none"))

# alt: Two panels over the error from minus 4 to 4. Left, the losses: a steep parabola, a vee, and two curves inside the
#   vee that are round at the bottom and straight outside. Right, their slopes: a straight line that leaves the panel, a
#   step from minus one to one, a ramp between minus one and one, and a smooth curve with the same ends.
# caption: The losses of one example (left) and their slopes (right). Huber's bend is at 1.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.3), layout="constrained")
for style, (name, (loss, _)) in zip(("-", "--", "-.", ":"), losses.items(), strict=True):
    left.plot(error, loss(error, zero, reduction="none"), style, label=name)
    right.plot(error, slopes[name], style)
left.set(xlabel="error", ylabel="loss", ylim=(0, 5))
right.set(xlabel="error", ylabel="slope", ylim=(-2.5, 2.5))
left.legend()
right.grid(True)

# %%
# The surfaces, and gradient descent on them
# ------------------------------------------
#
# Twenty points around the line 1 + 2x, two of them moved far down. The model is a line, so the cost is a function of
# two numbers, and convex for each of the losses. Descent uses the gradient through the prediction; nothing is penalized
# here.

rng = np.random.default_rng(1)
x = np.linspace(-1, 1, 20)
y = 1 + 2 * x + 0.2 * rng.normal(size=20)
y[[16, 18]] -= 8
inputs = np.stack([np.ones_like(x), x], axis=1)
made, nothing = np.array([1.0, 2.0]), np.empty(0)


def descend(name, lr=0.3, steps=300):
    """The path of gradient descent; the rate is divided by the root of the step, for the kinks of the absolute loss."""
    theta = np.array([-1.0, 3.5])
    path = [theta]
    for step in range(steps):
        pull = cost_backward(1.0, inputs @ theta, nothing, y, loss=losses[name][0]).prediction
        theta = theta - lr / np.sqrt(1 + step / 10) * inputs.T @ pull
        path.append(theta)
    return np.array(path)


paths = {name: descend(name) for name in losses}
distance = {name: np.linalg.norm(path[-1] - made) for name, path in paths.items()}
least_squares = np.linalg.lstsq(inputs, y)[0]
assert np.allclose(paths["squared"][-1], least_squares, atol=1e-3)
assert distance["squared"] > 1.5 and max(distance[name] for name in losses if name != "squared") < 0.6

intercepts, gains = np.linspace(-1.5, 2.5, 41), np.linspace(-2, 4, 41)
grid = np.stack(np.meshgrid(intercepts, gains), axis=-1).reshape(-1, 2)
heights = {}
for name in losses:
    heights[name] = np.array([cost(inputs @ theta, nothing, y, loss=losses[name][0]) for theta in grid]).reshape(41, 41)
    end = cost(inputs @ paths[name][-1], nothing, y, loss=losses[name][0])
    assert end <= heights[name].min() + 1e-3, "descent has found the bottom"

# alt: Four panels of contour lines over intercept and slope, one for each loss, with a path from the upper left
#   to the bottom. In the panel of the squared loss the path ends near the origin, far below the cross that marks the
#   true line. In the other three it ends close to the cross.
# caption: The cost over intercept and slope, with the same data in all panels. The cross is the line that made the
#   data, the dot is where 300 steps of gradient descent have ended.
fig, axes = plt.subplots(2, 2, figsize=(7.2, 6), sharex=True, sharey=True, layout="constrained")
for ax, name in zip(axes.flat, losses, strict=True):
    levels = np.quantile(heights[name], np.linspace(0.02, 0.9, 9))
    ax.contour(intercepts, gains, heights[name], levels=levels, colors="C0", linewidths=0.8, alpha=0.6)
    ax.plot(*paths[name].T, "C1")
    ax.plot(*paths[name][-1], "C1o")
    ax.plot(*made, "C2x", markersize=9, markeredgewidth=2.5)
    ax.set(title=f"{name}, off by {distance[name]:.2f}")
for ax in axes[1]:
    ax.set(xlabel="intercept")
for ax in axes[:, 0]:
    ax.set(ylabel="slope")
