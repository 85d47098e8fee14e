"""
Meta-learning: a start that is one step away from every task
============================================================

Every task is a wave of its own amplitude and phase, and ten points of it are all that is given. A network that was
trained on all waves together has learned their mean, which fits none of them, and needs many steps from there. Trained
for how well it does *after a step*, it takes one.
"""

# %%
# Two ways to prepare
# -------------------
#
# A network with two hidden layers of 32 tanh units. One start is trained by MAML through a single inner step of rate
# 0.02 on ten points, the other one on the same points without it, for the mean of all tasks. Both see the same 9,000
# tasks.

import matplotlib.pyplot as plt
import numpy as np

from dlref.optimizers import adam, adam_state
from dlref.training import adapt, maml_gradient, regress, sinusoid_task

inner = 0.02


def prepare(steps, seed=0, updates=1500, tasks=6):
    """Train a start with this many inner steps; none is plain training on all tasks together."""
    rng = np.random.default_rng(seed)
    shapes = [(32, 1), (32,), (32, 32), (32,), (1, 32), (1,)]
    flat = np.concatenate([rng.normal(size=s).ravel() / (np.sqrt(s[-1]) if len(s) == 2 else 1e9) for s in shapes])
    cuts = np.cumsum([np.prod(s) for s in shapes])[:-1]
    params = [part.reshape(s) for part, s in zip(np.split(flat, cuts), shapes, strict=True)]
    state = adam_state(flat)
    for update in range(updates):
        g = np.zeros_like(flat)
        for _ in range(tasks):
            task = sinusoid_task(20, rng)
            support, query = (task.x[:10], task.y[:10]), (task.x[10:], task.y[10:])
            found = maml_gradient(params, support, query, inner, steps).gradient
            g += np.concatenate([part.ravel() for part in found]) / tasks
        rate = 0.003 * min(1, 2 - 2 * update / updates)
        _, state = adam(flat, g, state, rate, out=(flat, state))
    return params


starts = {"MAML": prepare(1), "mean of all tasks": prepare(0)}
grid = np.linspace(-5, 5, 101)[:, None]


def errors(params, shots, steps, count=150):
    """Mean square error on new tasks after 0, 1, 2, ... steps on so many points."""
    rng, found = np.random.default_rng(77), np.zeros(steps + 1)
    for _ in range(count):
        task = sinusoid_task(shots, rng)
        truth, current = task.amplitude * np.sin(grid - task.phase), params
        for k in range(steps + 1):
            found[k] += np.mean((regress(current, grid) - truth) ** 2) / count
            current = adapt(current, task.x, task.y, inner)
    return found


paths = {name: errors(params, 10, 10) for name, params in starts.items()}
shots = (2, 5, 10, 20, 40)
by_shots = {name: [errors(params, n, 5)[-1] for n in shots] for name, params in starts.items()}
maml, mean = paths.values()
assert abs(maml[0] / mean[0] - 1) < 0.2, "before the first step both know no more than the mean"
assert maml[1] < 0.5 * maml[0] and mean[1] > 0.8 * mean[0] and maml[1] < 0.7 * mean[10]
assert all(a < 0.6 * b for a, b in zip(*by_shots.values(), strict=True)), by_shots

# alt: Two panels with the same wave, dashed, and ten points on it. Before the first step both networks show nearly the
#   same lower wave, the mean of all tasks. Left, from the start of MAML: after one step the curve has the place and the
#   height of the dashed wave around the points, after five it follows it more closely. Right, from the mean of all
#   tasks: after one step the curve has hardly moved, and after five it is still far from most points.
# caption: One new task (dashed), ten points of it, and the network before and after gradient descent on them. Left from
#   the start that MAML has found, right from the mean of all tasks.
task = sinusoid_task(10, np.random.default_rng(15))
fig, panels = plt.subplots(1, 2, figsize=(7.6, 3.2), sharey=True, layout="constrained")
for ax, (name, params) in zip(panels, starts.items(), strict=True):
    ax.plot(grid, task.amplitude * np.sin(grid - task.phase), "C4--", label="task")
    for steps, style in ((0, "C2:"), (1, "C1-."), (5, "C0-")):
        label = "before" if steps == 0 else f"{steps} step{'s' * (steps > 1)}"
        ax.plot(grid, regress(adapt(params, task.x, task.y, inner, steps), grid), style, label=label)
    ax.plot(task.x, task.y, "C3o", markersize=4)
    ax.set(title=name, xlabel="x")
panels[0].legend(fontsize=8)

# %%
# Steps and points
# ----------------
#
# The mean over 150 new tasks. The start of MAML was trained for one step on ten points; more steps do not undo the
# first one, and more points help, because what it has learned is the shape of the tasks.

# alt: Left, mean square error against the number of steps, 0 to 10: both begin at 3.1; MAML falls to about 1 with the
#   first step and then slowly to 0.6; the other start falls slowly to 2. Right, error after five steps against the
#   number of points, 2 to 40: MAML falls from 2.4 to below 0.5, the other start from 4.4 to 2.
# caption: Mean square error on 150 new tasks: left by the number of steps on ten points, right after five steps by the
#   number of points.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.1), sharey=True, layout="constrained")
for name, style in zip(starts, ("C0o-", "C1s--"), strict=True):
    left.plot(paths[name], style, markersize=4, label=name)
    right.semilogx(shots, by_shots[name], style, markersize=4)
left.set(xlabel="steps", ylabel="mean square error", ylim=(0, 4.6))
right.set(xlabel="points")
right.set_xticks(shots, shots)
right.minorticks_off()
left.legend()
