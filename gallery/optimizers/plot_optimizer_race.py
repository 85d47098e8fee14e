"""
All optimizers on the same landscapes
=====================================

Seven optimizers start at the same place on three landscapes, take the same number of steps, and each is given the best
of the same nine learning rates. Plain gradient descent is never the first to arrive. Which one is, depends on the
landscape.
"""

# %%
# The landscapes
# --------------
#
# A bowl whose curvatures differ by a factor of a thousand and whose axes are turned out of the coordinates; the curved
# valley of Rosenbrock; and logistic regression on the breast-cancer data, with standardized features.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

from dlref import optimizers
from dlref.activations import sigmoid
from dlref.losses import binary_cross_entropy

STEPS = 150
RATES = np.logspace(-3.5, 0, 9)

rng = np.random.default_rng(0)
turn = np.linalg.qr(rng.normal(size=(10, 10)))[0]
hessian = (turn * np.logspace(-2, 1, 10)) @ turn.T

features, target = load_breast_cancer(return_X_y=True)
features = np.column_stack([(features - features.mean(axis=0)) / features.std(axis=0), np.ones(len(features))])


def bowl(p):
    return p @ hessian @ p / 2, hessian @ p


def rosenbrock(p):
    x, y = p
    value = (1 - x) ** 2 + 100 * (y - x * x) ** 2
    return value, np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])


def logistic(p):
    scores = features @ p
    return float(binary_cross_entropy(scores, target.astype(float))), features.T @ (sigmoid(scores) - target) / len(
        target
    )


landscapes = {
    "turned bowl": (bowl, rng.normal(size=10)),
    "Rosenbrock's valley": (rosenbrock, np.array([-1.2, 1.0])),
    "logistic regression": (logistic, np.zeros(31)),
}

# %%
# The race
# --------
#
# A step is called in the same way for all of them: parameters, gradient, state and rate go in, parameters and state
# come out. A run that leaves the finite numbers has lost. AdamW is not in the race: it minimizes something else.

racers = {
    "gradient descent": (optimizers.sgd, optimizers.sgd_state),
    "momentum": (optimizers.momentum, optimizers.momentum_state),
    "Nesterov": (optimizers.nesterov, optimizers.momentum_state),
    "AdaGrad": (optimizers.adagrad, optimizers.adagrad_state),
    "RMSprop": (optimizers.rmsprop, optimizers.rmsprop_state),
    "Adam": (optimizers.adam, optimizers.adam_state),
    "AMSGrad": (optimizers.amsgrad, optimizers.amsgrad_state),
}


def run(step, start_state, landscape, start, lr):
    """Return the loss before every step and after the last."""
    p, state, losses = start.copy(), start_state(start), []
    for _ in range(STEPS):
        value, gradient = landscape(p)
        losses.append(value)
        if not np.isfinite(value) or value > 1e6:
            return np.full(STEPS + 1, np.inf)
        p, state = step(p, gradient, state, lr)
    return np.array([*losses, landscape(p)[0]])


best = {}
for place, (landscape, start) in landscapes.items():
    for name, (step, start_state) in racers.items():
        runs = [run(step, start_state, landscape, start, lr) for lr in RATES]
        best[place, name] = min(runs, key=lambda losses: losses[-1])
ends = {place: {name: best[place, name][-1] for name in racers} for place in landscapes}
first = {place: min(result, key=result.get) for place, result in ends.items()}
for place, result in ends.items():
    print(f"{place}: " + ", ".join(f"{name} {value:.1e}" for name, value in sorted(result.items(), key=lambda r: r[1])))
assert "gradient descent" not in first.values() and len(set(first.values())) > 1, first
assert all(ends[place]["gradient descent"] > 1.3 * ends[place][first[place]] for place in landscapes)

# alt: Three panels of loss against step, one for each landscape, with seven curves each. Momentum ends lowest in the
#   bowl and in the valley, Adam in the logistic regression; plain gradient descent is among the highest everywhere.
# caption: Loss over 150 steps, each optimizer at its best of nine rates. The first to arrive differs from landscape to
#   landscape.
fig, axes = plt.subplots(1, 3, figsize=(10, 3.8), layout="constrained")
for ax, place in zip(axes, landscapes, strict=True):
    for i, name in enumerate(racers):
        style = {"color": f"C{i % 5}", "linestyle": "-" if i < 5 else "--", "marker": "os^"[i % 3], "markevery": 30 + i}
        ax.plot(best[place, name], label=name, markersize=3, linewidth=1.2, **style)
    ax.set(yscale="log", title=place, xlabel="step")
axes[0].set_ylabel("loss")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
