"""
Backpropagation: one pass back for all derivatives
==================================================

The derivative of one result with respect to every number on the way to it costs a few times as much as the result
itself, however many inputs there are. Differences need a run for each input and lose half of the digits.
"""

# %%
# A graph with values and adjoints
# --------------------------------
#
# The function is y = (x0 + x1) (x1 + sin x0). Values are computed from left to right. Adjoints, the derivatives of y
# with respect to each node, are computed from right to left; where a node is used twice, both contributions add up.

import matplotlib.pyplot as plt
import numpy as np

from dlref.autodiff import Op, check_gradient, program_backward, program_sweep, program_tangent, value_and_gradient

x = np.array([2.0, 3.0])
ops, left, right = [Op.ADD, Op.SIN, Op.ADD, Op.MULTIPLY], [0, 0, 1, 2], [1, 0, 3, 4]
sweep = program_sweep(x, ops, left, right)
gradient = [x[1] + np.sin(x[0]) + (x[0] + x[1]) * np.cos(x[0]), x[1] + np.sin(x[0]) + x[0] + x[1]]
assert np.allclose(sweep.adjoints[:2], gradient, rtol=1e-14), "the formula, differentiated by hand"

# alt: A graph of six boxes joined by arrows from left to right. Inputs x0 = 2 and x1 = 3 lead to v2 = x0 + x1 = 5,
#   v3 = sin x0 = 0.909 and v4 = x1 + v3 = 3.909; v2 and v4 lead to y = v2 v4 = 19.546. Under every value stands its
#   adjoint: 1 at y, 3.909 at v2, 5 at v4, 5 at v3, 1.829 at x0 and 8.909 at x1.
# caption: The function $y = (x_0 + x_1)(x_1 + \sin x_0)$ at $(2, 3)$. In every box the value, computed from left to
#   right, and below it the adjoint, computed from right to left.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
places = [(0, 1), (0, -1), (2, -1), (2, 1), (4, 1), (6, 0)]
names = ["$x_0$", "$x_1$", "$v_2 = x_0 + x_1$", "$v_3 = \\sin x_0$", "$v_4 = x_1 + v_3$", "$y = v_2 v_4$"]
for (px, py), name, value, adjoint in zip(places, names, sweep.values, sweep.adjoints, strict=True):
    ax.text(px, py + 0.46, name, ha="center", va="center")
    ax.add_patch(plt.Rectangle((px - 0.62, py - 0.3), 1.24, 0.6, fill=False, edgecolor="C0", linewidth=1.5))
    ax.text(px, py + 0.13, f"{value:.4g}", ha="center", va="center", color="C0")
    ax.text(px, py - 0.14, f"{adjoint:.4g}", ha="center", va="center", color="C1", style="italic")
for node, (op, i, j) in enumerate(zip(ops, left, right, strict=True), start=2):
    for source in {i, j} if op < Op.EXP else {i}:
        start, end = np.array(places[source], float), np.array(places[node], float)
        start[0], end[0] = start[0] + 0.64, end[0] - 0.64
        ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "C0"})
ax.annotate("", (0.7, -1.75), (5.3, -1.75), arrowprops={"arrowstyle": "->", "color": "C1", "linestyle": "--"})
ax.text(3, -1.68, "adjoints", ha="center", va="bottom", color="C1", style="italic")
ax.annotate("", (5.3, 1.75), (0.7, 1.75), arrowprops={"arrowstyle": "->", "color": "C0"})
ax.text(3, 1.79, "values", ha="center", va="bottom", color="C0")
ax.set(xlim=(-0.8, 6.8), ylim=(-1.95, 2.05))
ax.axis("off")

# %%
# The check, and its own error
# ----------------------------
#
# A difference along a random direction tells whether a gradient is right. The step must be neither large, where the
# curve bends away, nor small, where the two values agree in all but their last digits. A complex step has no difference
# to lose digits in; it asks for a function that is holomorphic, written in plain NumPy. Any single error may be small
# by luck, so each is the mean over twenty directions.

rng = np.random.default_rng(0)
inputs, target = rng.normal(size=(20, 5)), rng.normal(size=20)


def loss(w):
    hidden = np.tanh(inputs @ w[:40].reshape(5, 8))
    return np.mean((hidden @ w[40:] - target) ** 2)


w = rng.normal(size=48) / 2
_, gradient = value_and_gradient(loss, w)
directions, norm = rng.normal(size=(20, 48)), np.linalg.norm(gradient)
steps = 10.0 ** np.linspace(-15, 0, 61)


def error(slope):
    """Return the mean error of a slope ``slope(direction, step)`` at each step, as a share of the gradient's norm."""
    return [np.mean([abs(slope(d, h) - d @ gradient) for d in directions]) / norm for h in steps]


one_sided = error(lambda d, h: (loss(w + h * d) - loss(w)) / h)
central = error(lambda d, h: (loss(w + h * d) - loss(w - h * d)) / (2 * h))
imaginary = error(lambda d, h: loss(w + 1j * h * d).imag / h)
floor = np.finfo(float).eps / 4
assert 1e-7 < steps[np.argmin(central)] < 1e-4 and 1e-10 < steps[np.argmin(one_sided)] < 1e-6
assert min(central) < 1e-9 and max(imaginary[:20]) < 1e-14
assert check_gradient(loss, w, rng=rng) < 1e-8, "the checker itself, at its own step"

# alt: Three curves of error against the step from 1e-15 to 1, both axes logarithmic. The one-sided difference falls to
#   about 1e-8 at a step of 1e-8 and rises again. The central difference falls further, below 1e-10 at a step near
#   1e-6, with twice the slope on the right. The complex step falls to 1e-16 and stays there for all smaller steps.
# caption: Mean error of three kinds of differences against the gradient of the tape, for a network with 48 weights,
#   as a share of the gradient's norm. Rounding makes the left arms, curvature the right ones.
fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.loglog(steps, np.maximum(one_sided, floor), "C0-", label="one-sided")
ax.loglog(steps, np.maximum(central, floor), "C1--", label="central")
ax.loglog(steps, np.maximum(imaginary, floor), "C2:", linewidth=2.5, label="complex step")
ax.set(xlabel="step $h$", ylabel="error of the check", ylim=(1e-17, 30))
ax.grid(True)
ax.legend()

# %%
# The cost of both directions
# ---------------------------
#
# Forward mode carries one direction through the program, so a gradient takes as many runs as there are inputs. Reverse
# mode takes one, whatever their number. Here the function is the sum of sin(x_i x_{i+1}) over a ring of n inputs.

from time import perf_counter  # noqa: E402


def ring(n):
    """The program of the function: n products, n sines, n - 1 sums."""
    i = np.arange(n)
    ops = np.repeat([Op.MULTIPLY, Op.SIN, Op.ADD], [n, n, n - 1])
    sums = np.concatenate([[2 * n], np.arange(3 * n, 4 * n - 2)])
    return ops, np.concatenate([i, n + i, sums]), np.concatenate([(i + 1) % n, n + i, 2 * n + i[1:]])


def by_reverse(x, ops, left, right):
    return program_backward(1.0, x, ops, left, right)


def by_forward(x, ops, left, right):
    return [program_tangent(x, direction, ops, left, right).tangent for direction in np.eye(len(x))]


def seconds(run, *args):
    times = []
    for _ in range(4):
        start = perf_counter()
        run(*args)
        times.append(perf_counter() - start)
    return min(times)


sizes, reverse, forward = [4, 16, 64, 256, 1024], [], []
for n in sizes:
    instance = rng.normal(size=n), *ring(n)
    assert np.allclose(by_reverse(*instance), by_forward(*instance), rtol=1e-12, atol=1e-12)
    reverse.append(seconds(by_reverse, *instance))
    forward.append(seconds(by_forward, *instance))
ratios = np.divide(forward, reverse)
assert ratios[-1] > 100, ratios

# alt: Time against the number of inputs from 4 to 1024, both axes logarithmic. Reverse mode rises slowly, in proportion
#   to the length of the program. Forward mode starts a few times above it and rises with the square.
# caption: Time of one gradient of a function whose program grows with its inputs. Reverse mode is one sweep, forward
#   mode one sweep an input.
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.loglog(sizes, np.multiply(forward, 1e6), "C1s--", label="forward mode, one run an input")
ax.loglog(sizes, np.multiply(reverse, 1e6), "C0o-", label="reverse mode, one run")
ax.set(xlabel="number of inputs", ylabel="microseconds")
ax.grid(True)
ax.legend()
