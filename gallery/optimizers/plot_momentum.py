"""
Momentum: the square root of the condition number
=================================================

In a ravine plain descent is held back by the steep direction: its rate must be small, and the flat direction crawls. A
decaying sum of gradients cancels where they alternate and adds up where they agree. With the best constants the number
of steps falls from about the condition number to about its square root. The theorem is about quadratics: on another
convex function the same constants go round for ever.
"""

# %%
# A ravine
# --------
#
# The curvatures are 1 and 100. Both methods get the constants that are best for them.

import matplotlib.pyplot as plt
import numpy as np

from dlref.optimizers import momentum, momentum_radius, momentum_state, momentum_tuning

curvature = np.array([1.0, 100.0])
best = momentum_tuning(1.0, 100.0)
plain_rate = 2 / curvature.sum()
plain_radius = momentum_radius(curvature, plain_rate, 0.0).max()


def descend(lr, mu, steps=1000):
    """The path from the same point of the ravine."""
    p, path = np.array([-8.0, 0.5]), []
    state = momentum_state(p)
    for _ in range(steps + 1):
        path.append(p)
        p, state = momentum(p, curvature * p, state, lr, mu)
    return np.array(path)


paths = {"gradient descent": descend(plain_rate, 0.0), "momentum": descend(best.lr, best.momentum)}
errors = {name: np.linalg.norm(path, axis=1) / np.linalg.norm(path[0]) for name, path in paths.items()}
needed = {name: int(np.argmax(error < 1e-6)) for name, error in errors.items()}
assert needed["gradient descent"] > 6 * needed["momentum"]
assert abs(plain_radius - 99 / 101) < 1e-12 and abs(best.radius - 9 / 11) < 1e-12

# alt: Left, contour lines of a long valley. Gradient descent zigzags along its floor with tiny progress; momentum
#   swings across to nearly four times its starting height and is at the bottom after forty steps. Right, the
#   error over the steps on a logarithmic scale: gradient descent is a shallow straight line, momentum rises briefly
#   and then falls about nine times as steeply.
# caption: Left: 40 steps through a ravine with curvatures 1 and 100. Right: distance from the minimum, with the steps
#   to one millionth of the start in the legend; dashed, the powers of the radii 0.980 and 0.818.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.3), layout="constrained")
x, y = np.linspace(-9, 3, 200), np.linspace(-2, 2, 200)
left.contour(x, y, (x**2 + 100 * y[:, None] ** 2) / 2, levels=[2, 8, 32, 128], colors="C4", linewidths=0.5)
steps = np.arange(300)
for color, (name, path) in enumerate(paths.items()):
    left.plot(*path[:41].T, f"C{color}.-", linewidth=1.2, markersize=4)
    right.plot(steps, errors[name][:300], f"C{color}", label=f"{name}: {needed[name]}")
    right.plot(steps, (plain_radius, best.radius)[color] ** steps, f"C{color}--", linewidth=1)
left.set(xlabel="along the ravine", ylabel="across", xlim=(-9, 3), ylim=(-2, 2))
right.set(yscale="log", ylim=(1e-10, 10), xlabel="step", ylabel="distance / distance at the start")
right.legend(loc="upper right", fontsize="small")

# %%
# The constants
# -------------
#
# For every pair of learning rate and momentum the slowest direction decides. The best pair lies at the tip where both
# ends of the spectrum have a double root, which is why the error there is :math:`t \rho^t` and not :math:`\rho^t`.

rates, momenta = np.linspace(0.002, 4, 300), np.linspace(0, 0.995, 200)
spectrum = np.array([0.01, 0.1, 1.0])  # the largest curvature is one here
radius = np.array([[momentum_radius(spectrum, lr, mu).max() for lr in rates] for mu in momenta])
tip = momentum_tuning(0.01, 1.0)
row, column = np.unravel_index(radius.argmin(), radius.shape)
assert abs(rates[column] - tip.lr) < 0.1 and abs(momenta[row] - tip.momentum) < 0.03 and radius.min() > tip.radius
stable = rates < 2 * (1 + momenta[:, None])
assert ((radius < 1) == stable).all(), "stable exactly below 2 (1 + mu) / L"

t = np.arange(1, 121)
scaled = np.abs(paths["momentum"][1:121]) / np.abs(paths["momentum"][0]) / (t * best.radius**t)[:, None]
assert np.allclose(scaled, np.abs(1 / t[:, None] + [1 - best.radius, 1 + best.radius]), rtol=1e-6)

# alt: Left, a map over the learning rate from 0 to 4 and the momentum from 0 to 1. The dark region of fast convergence
#   is narrow and ends in a tip at rate 3.3 and momentum 0.67, marked by a dot. A dashed line from rate 2 without
#   momentum to rate 4 bounds the stable region. Right, two falling curves over the steps that level off at 1.82 and
#   0.18.
# caption: Left: the factor per step of the slowest direction, condition number 100, rate in units of $1/L$; dashed, the
#   limit of stability $\eta L = 2(1 + \mu)$; the dot is the best pair. Right: the error of the steepest and of the
#   flattest direction, divided by $t\rho^t$.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.3), layout="constrained")
view = {"extent": (0, 4, 0, 1), "origin": "lower", "aspect": "auto", "cmap": "cividis"}
drawn = left.imshow(np.where(stable, radius, np.nan)[::2, ::2], vmin=0.8, vmax=1.0, **view)
left.plot(2 * (1 + momenta), momenta, "C1--")
left.plot(tip.lr, tip.momentum, "C1o")
left.set(xlabel="$\\eta L$", ylabel="momentum $\\mu$", xlim=(0, 4), ylim=(0, 1))
fig.colorbar(drawn, ax=left, label="radius")
right.plot(t, scaled[:, 1], label="steepest")
right.plot(t, scaled[:, 0], "--", label="flattest")
right.set_yticks([1 - best.radius, 1 + best.radius], ["$1-\\rho$", "$1+\\rho$"])
right.set(ylim=(0, 3), xlabel="step $t$", ylabel="error / $t\\rho^t$")
right.grid(True)
right.legend()

# %%
# Not for every convex function
# -----------------------------
#
# The function of Lessard, Recht and Packard has curvature 25, except between 1 and 2, where it is 1. It is strongly
# convex with a continuous gradient. The constants that are best for quadratics with these curvatures end in a cycle of
# three places.


def slope(x):
    """The gradient of that function."""
    return np.where(x < 1, 25 * x, np.where(x < 2, x + 24, 25 * x - 24))


round_trip = momentum_tuning(1.0, 25.0)
ways = {}
for name, lr, mu in (("gradient descent", 2 / 26, 0.0), ("momentum", round_trip.lr, round_trip.momentum)):
    p, way = np.array([3.3]), []
    state = momentum_state(p)
    for _ in range(301):
        way.append(p[0])
        p, state = momentum(p, slope(p), state, lr, mu)
    ways[name] = np.array(way)
assert np.abs(np.sort(ways["momentum"][-3:]) - np.array([-2208, 792, 2592]) / 1225).max() < 1e-12
assert abs(ways["gradient descent"][-1]) < 1e-9

# alt: Left, the gradient as a line that bends to a flatter slope between 1 and 2, with three dots on it at -1.8, 0.65
#   and 2.1. Right, 40 steps: the curve of gradient descent swings with shrinking size towards zero, that of momentum
#   repeats the same three values for ever.
# caption: The gradient of a convex function with curvatures 1 and 25, and the three places between which momentum goes
#   round with the best constants for quadratics. Plain descent arrives at the minimum, 0.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.1), layout="constrained")
x = np.linspace(-2.2, 3, 300)
left.plot(x, slope(x), "C4")
left.plot(ways["momentum"][-3:], slope(ways["momentum"][-3:]), "C1o")
left.set(xlabel="$x$", ylabel="gradient")
left.grid(True)
for color, (name, way) in enumerate(ways.items()):
    right.plot(way[:41], f"C{color}.-", linewidth=1, label=name)
right.set(xlabel="step", ylabel="$x$", ylim=(-2.9, 4.4))
right.legend(fontsize="small", ncols=2)
