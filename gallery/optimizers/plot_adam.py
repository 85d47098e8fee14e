"""
Adam: steps of the size of the learning rate
============================================

Adam divides every entry of the averaged gradient by its own typical size. A valley along the axes is then hardly
harder than a round bowl; turn the same valley by 45 degrees and the help is gone. The correction of the bias makes the
first steps smaller, by a factor of three to seven. And dividing by a mean that forgets can lead to the wrong end.
"""

# %%
# A valley, and the same valley turned
# ------------------------------------
#
# The curvatures are 1 and 100. Plain descent takes nearly the largest rate that does not diverge, and does not notice
# the turn. RMSprop stays about as far from the bottom as one of its steps is long.

import matplotlib.pyplot as plt
import numpy as np

from dlref.optimizers import adam, adam_state, amsgrad, amsgrad_state, rmsprop, rmsprop_state

curvature = np.array([1.0, 100.0])
turn = np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2)


def descend(name, axes, steps=300):
    """The path from the same point of the valley whose axes are the columns of `axes`."""
    hessian = (axes * curvature) @ axes.T
    p = axes @ np.array([-8.0, 1.0])
    path, state = [p], rmsprop_state(p) if name == "RMSprop" else adam_state(p)
    for _ in range(steps):
        g = hessian @ p
        if name == "Adam":
            p, state = adam(p, g, state, lr=0.2)
        elif name == "RMSprop":
            p, state = rmsprop(p, g, state, lr=0.05, rho=0.9)
        else:
            p = p - 1.9 / curvature.max() * g
        path.append(p)
    return np.array(path)


def steps_to(path, axes, level=0.1):
    """Steps after which the loss stays below a level."""
    loss = (curvature * (path @ axes) ** 2).sum(axis=1) / 2
    return np.flatnonzero(loss > level)[-1] + 1


names, valleys = ("gradient descent", "RMSprop", "Adam"), (np.eye(2), turn)
paths = [{name: descend(name, axes) for name in names} for axes in valleys]
needed = [{name: steps_to(drawn[name], axes) for name in names} for drawn, axes in zip(paths, valleys, strict=True)]
straight, turned = needed
assert straight["gradient descent"] == turned["gradient descent"], "plain descent does not see the axes"
assert 2 * straight["Adam"] < straight["gradient descent"] and turned["Adam"] > 2 * straight["Adam"]

# alt: Two panels with the contour lines of a long valley and three paths from its left end to the bottom at the right,
#   both drawn along the valley's own axes. In both gradient descent zigzags between the walls. In the left panel Adam
#   swings across the floor in two long bends and is at the bottom within fifty steps. In the right panel it is thrown
#   from wall to wall near the start and then creeps along the floor, ten steps covering little ground.
# caption: Three paths through a valley with curvatures 1 and 100. Right: the same valley turned by 45 degrees against
#   the coordinates, drawn turned back. A dot every ten steps of Adam; in the legend the steps until the loss stays
#   below 0.1.
fig, panels = plt.subplots(1, 2, figsize=(7.4, 3.4), layout="constrained", sharey=True)
x, y = np.linspace(-9, 2, 200), np.linspace(-1.5, 2.4, 200)
titles = ("along the coordinates", "turned by 45 degrees")
for ax, drawn, counts, axes, title in zip(panels, paths, needed, valleys, titles, strict=True):
    ax.contour(x, y, (x**2 + 100 * y[:, None] ** 2) / 2, levels=[2, 8, 32, 128], colors="C4", linewidths=0.5)
    for name, path in drawn.items():
        ax.plot(*(path @ axes).T, label=f"{name}: {counts[name]}", linewidth=1.3)
    ax.plot(*(drawn["Adam"] @ axes)[:200:10].T, "C2o", markersize=4)
    ax.set(xlabel="along the valley", xlim=(-9, 2), ylim=(-1.5, 2.4), title=title)
    ax.legend(loc="upper right", fontsize="small")
panels[0].set(ylabel="across")

# %%
# The correction of the bias, and the size of a step
# --------------------------------------------------
#
# Under a constant gradient the corrected step has exactly the size of the learning rate from the first step on. Without
# the correction the first one is :math:`(1 - \beta_1) / \sqrt{1 - \beta_2} = 3.16` times larger, because the second
# moment starts lower than the first. Later the size tells how much of the gradient is signal.

beta1, beta2, steps = 0.9, 0.999, np.arange(1, 10_001)
corrected, state, p = [], adam_state([0.0]), np.zeros(1)
for _ in steps:
    before = p
    p, state = adam(p, [1.0], state, lr=1.0)
    corrected.append(float(before[0] - p[0]))
bare = (1 - beta1**steps) / np.sqrt(1 - beta2**steps)
assert abs(np.array(corrected) - 1).max() < 1e-6
assert abs(bare[0] - np.sqrt(10)) < 1e-9 and 6 < bare.max() < 7 and bare.min() > 0.999

rng = np.random.default_rng(1)
ratio = np.logspace(-1.5, 1, 11)
p = np.zeros((1000, 11))
state = adam_state(p)
for t in range(4000):
    if t == 2000:
        settled = p
    p, state = adam(p, ratio + rng.normal(size=p.shape), state, lr=1.0)
progress = (settled - p).mean(axis=0) / 2000
expected = ratio / np.sqrt(1 + ratio**2)
assert abs(progress / expected - 1).max() < 0.1, progress / expected

# alt: Left, size of a step over the number of the step, both logarithmic. The corrected curve is a flat line at one.
#   The other starts at 3.16, rises to 6.6 near step 13 and falls to one after some thousand steps. Right, mean
#   progress of a step against the ratio of mean and standard deviation of the gradient: dots on a curve that grows
#   like the ratio and levels off at one.
# caption: Left: steps under a constant gradient, in units of the learning rate, with and without correction of the
#   bias. Right: mean step under a noisy gradient of mean $\mu$ and standard deviation $\sigma$, measured over
#   1,000 parameters, and $r/\sqrt{1 + r^2}$ with $r = \mu/\sigma$.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.3), layout="constrained")
left.plot(steps, corrected, label="corrected")
left.plot(steps, bare, label="not corrected")
left.set(xscale="log", yscale="log", xlabel="step $t$", ylabel="size of the step / $\\eta$", ylim=(0.7, 9))
left.set_yticks([1, 2, 3.16, 6.6], ["1", "2", "3.16", "6.6"])
left.minorticks_off()
left.legend()
fine = np.logspace(-1.5, 1, 200)
right.plot(fine, fine / np.sqrt(1 + fine**2), label="$r / \\sqrt{1 + r^2}$")
right.plot(ratio, progress, "C1o", label="measured")
right.set(xscale="log", yscale="log", xlabel="$r = \\mu / \\sigma$ of the gradient", ylabel="mean step / $\\eta$")
right.legend()

# %%
# The wrong end
# -------------
#
# The example of Reddi, Kale and Kumar: every third loss is :math:`4x`, the others are :math:`-x`, on the interval
# from -1 to 1. On average the loss falls to the left. The steep gradient comes rarely, and is divided by its own
# size; the two small ones between it are divided by a mean that has nearly forgotten it.

slope, ways = 4.0, {}
for name, step, state in (("Adam", adam, adam_state), ("AMSGrad", amsgrad, amsgrad_state)):
    x, memory, way = np.zeros(1), state([0.0]), []
    for t in range(1, 3001):
        g = np.array([slope if t % 3 == 1 else -1.0])
        x, memory = step(x, g, memory, lr=0.5 / np.sqrt(t), beta1=0.0, beta2=1 / (1 + slope**2))
        x = np.clip(x, -1, 1)
        way.append(x[0])
    ways[name] = np.array(way)
assert (ways["Adam"][-3:] > 0.98).all() and (ways["AMSGrad"][-3:] < -0.98).all()

# alt: Two curves over the number of steps on a logarithmic axis. Adam climbs from zero to plus one within a hundred
#   steps and stays. AMSGrad falls to minus one, the minimum, and stays.
# caption: Adam with a decaying rate ends at $+1$, the worst point; AMSGrad, which divides by the largest second
#   moment so far, ends at the minimum $-1$.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, way in ways.items():
    ax.plot(np.arange(1, 3001), way, label=name)
ax.set(xscale="log", xlabel="step", ylabel="$x$", yticks=[-1, 0, 1])
ax.grid(True)
ax.legend(loc="center right")
