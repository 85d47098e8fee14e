"""
Learning rate: the wall at two over the largest curvature
=========================================================

On a quadratic every learning rate below two divided by the largest eigenvalue of the Hessian converges and every rate
above diverges; the best ones stand close to the wall. A range test finds the region in one short run. In a network the
wall moves: full-batch gradient descent drives the curvature up until it stands at two divided by the rate, hovers
there, and goes on learning.
"""

# %%
# A quadratic
# -----------
#
# Least squares from 64 pixels of the digits to the ten classes. Power iteration finds the largest curvature.

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.autodiff import flat_parameters, value_and_gradient
from dlref.losses import cross_entropy
from dlref.optimizers import range_test, range_test_rates, sharpness, sharpness_of_gradient, stability_limit

digits, labels = load_digits(return_X_y=True)
digits = digits / 16 - (digits / 16).mean(axis=0)
targets = np.eye(10)[labels] - 0.1

rng = np.random.default_rng(0)
hessian = digits.T @ digits / len(digits)
curvature = sharpness(hessian, rng.normal(size=64)).value
limit = float(stability_limit(curvature))
assert abs(curvature / np.linalg.eigvalsh(hessian)[-1] - 1) < 1e-12

# Gradient descent, written in the eigenvectors, where every direction shrinks by a factor of its own.
curvatures, axes = np.linalg.eigh(hessian)
best = np.linalg.lstsq(digits, targets, rcond=None)[0]
least = np.square(digits @ best - targets).sum() / (2 * len(digits))
start = np.square(axes.T @ best).sum(axis=1)


def loss_after(steps, lr):
    """The loss of gradient descent from zero."""
    return least + (curvatures * (1 - lr * curvatures) ** (2 * steps) * start).sum() / 2


shares = [0.01, 0.1, 0.95, 1.02]
steps = np.arange(151)
curves = {share: [loss_after(t, share * limit) for t in steps] for share in shares}
sweep = np.geomspace(0.003, 1.1, 200)
reached = {t: np.array([loss_after(t, share * limit) for share in sweep]) for t in (10, 100, 1000)}
w, rate = np.zeros((64, 10)), 0.95 * limit
for _ in range(150):
    w -= rate * digits.T @ (digits @ w - targets) / len(digits)
descended = np.square(digits @ w - targets).sum() / (2 * len(digits))
assert abs(descended - curves[0.95][-1]) < 1e-9, "the closed form is gradient descent"
assert curves[0.01][-1] > curves[0.1][-1] > curves[0.95][-1] and curves[1.02][-1] > 2 * curves[1.02][0]
assert all(0.6 < sweep[losses.argmin()] < 1 for losses in reached.values())

# alt: Left, four loss curves over 150 steps. At one percent of the limit the loss falls slowly, at ten percent faster,
#   at 95 percent fastest; at 102 percent it falls at first and then grows without end. Right, the loss after 10, 100
#   and 1000 steps against the rate: each falls towards the limit and turns up steeply next to it.
# caption: Least squares on digits. Left: four rates, as shares of $2/\lambda_{\max}$. Right: the loss reached after a
#   number of steps; dashed, $2/\lambda_{\max}$.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.2), layout="constrained")
for share, style, color in zip(shares, ("-", "--", "-.", ":"), ("C0", "C1", "C2", "C3"), strict=True):
    left.plot(steps, curves[share], style, color=color, label=f"{share:g}")
left.set(ylim=(0.1, 0.55), xlabel="step", ylabel="loss")
left.legend(title="$\\eta\\,\\lambda_{\\max} / 2$", fontsize="small", loc="upper right")
for color, (t, losses) in enumerate(reached.items()):
    right.plot(sweep * limit, losses, ("-", "--", "-.")[color], color=f"C{color}", label=f"{t} steps")
right.axvline(limit, color="C4", linestyle="--", linewidth=1)
right.set(xscale="log", ylim=(0.1, 0.55), xlabel="learning rate $\\eta$", ylabel="loss reached")
right.legend(fontsize="small", loc="lower left")

# %%
# The range test
# --------------
#
# A network with 32 hidden units and batches of 32. One run of 150 steps raises the rate from 0.001 to 100. Beside it,
# what the same number of steps reaches at each constant rate.


def network(params, x):
    """The scores of a network with tanh between its layers."""
    *hidden, (w, b) = params
    for weight, bias in hidden:
        x = np.tanh(x @ weight + bias)
    return x @ w + b


def layers(rng, *sizes, gain=1.0):
    """Random weights and zero biases."""
    return [(gain * rng.normal(size=(n, m)) / n**0.5, np.zeros(m)) for n, m in pairwise(sizes)]


def flat(loss, params):
    """The loss and its gradient as a function of one vector, and the vector to begin with."""
    vector, views = flat_parameters(params)
    gradient, places = flat_parameters(params)

    def f(p, *data):
        vector[:] = p
        value, _ = value_and_gradient(loss, views, *data, out=places)
        return float(value), gradient.copy()

    return f, vector.copy()


def classification(params, x, y):
    return cross_entropy(network(params, x), y)


f, begin = flat(classification, layers(rng, 64, 32, 10))
batches = rng.integers(len(digits), size=(150, 32))


def on_batch(p, k):
    return f(p, digits[batches[k]], labels[batches[k]])


test = range_test(on_batch, begin, 1e-3, 1e2, steps=150)
found = range_test_rates(test.lr, test.smoothed)
constant, after = np.geomspace(1e-3, 1e2, 16), []
for lr in constant:
    p = begin.copy()
    for k in range(150):
        p -= lr * on_batch(p, k)[1]
    after.append(f(p, digits, labels)[0])
after = np.array(after)
reading = np.interp(np.log([found.steepest, found.lowest]), np.log(constant), after)
best_rate = constant[after.argmin()]
assert len(test.lr) < 150, "it has diverged before the last rate"
assert 0.1 < found.steepest / best_rate < 10 and 0.1 < found.lowest / best_rate < 20
assert reading[0] < 0.1 * after[0], "a good rate"
assert after[constant > 4 * test.lr[-1]].min() > 4 * after.min()

# alt: Left, the loss of the range test against the rate on a logarithmic axis, a ragged line and its smooth mean. It is
#   flat, falls from rate 0.05 on, is lowest at seven and shoots up beyond ten. A dot marks the steepest fall at 0.7, a
#   square the lowest point of the mean. Right, the loss after 150 steps at each of 16 constant rates: a valley with its
#   floor from 0.5 to 5; the steepest rate lies in it, the lowest on the wall behind.
# caption: Left: the range test on digits, raw and smoothed; the dot marks the steepest fall, the square the lowest
#   point. Right: the training loss after 150 steps at a constant rate, and the same two rates as vertical lines.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.2), layout="constrained")
left.plot(test.lr, test.loss, "C4", linewidth=0.7, label="batch")
left.plot(test.lr, test.smoothed, "C0", label="running mean")
for rate, marker, color, style in ((found.steepest, "o", "C1", "--"), (found.lowest, "s", "C2", ":")):
    left.plot(rate, np.interp(rate, test.lr, test.smoothed), marker, color=color)
    right.axvline(rate, color=color, linestyle=style, label={"o": "steepest", "s": "lowest"}[marker])
left.set(xscale="log", ylim=(0, 6), xlabel="learning rate", ylabel="loss")
left.legend(fontsize="small", loc="upper left")
right.plot(constant, after, "C0.-")
right.set(xscale="log", ylim=(0, 6), xlabel="constant learning rate", ylabel="loss after 150 steps")
right.legend(fontsize="small", loc="upper left")

# %%
# The edge of stability
# ---------------------
#
# Full-batch gradient descent on 60 digits, squared error, two hidden layers of 20. The largest eigenvalue of the
# Hessian comes from power iteration on differences of gradients, begun each time at the last vector.


def squared(params, x, target):
    return np.sum((network(params, x) - target) ** 2) / (2 * len(x))


few = digits[:60] - digits[:60].mean(axis=0)
few /= np.sqrt(np.square(few).sum(axis=1).mean())
rng = np.random.default_rng(1)
first, *rest = layers(rng, 64, 20, 20, 10, gain=0.5)
f, begin = flat(squared, [(8 * first[0], first[1]), *rest])
paths = {}
for lr in (0.65, 0.9):
    p, vector, losses, edge = begin.copy(), rng.normal(size=begin.size), [], []
    for k in range(601):
        value, gradient = f(p, few, np.eye(10)[labels[:60]])
        losses.append(value)
        if k % 12 == 0:
            at = sharpness_of_gradient(lambda q: f(q, few, np.eye(10)[labels[:60]])[1], p, vector, steps=40, tol=0.02)
            edge.append(at.value)
            vector = at.vector
        p -= lr * gradient
    losses, edge = paths[lr] = np.array(losses), np.array(edge)
    late = edge[25:] * lr / 2
    assert edge[0] * lr / 2 < 0.95 and 0.9 < late.mean() < 1.15, "from below the limit to the limit"
    assert np.count_nonzero(np.diff(losses[300:]) > 0) >= 5, "the loss is not monotone"
    assert losses[-100:].mean() < 0.8 * losses[300:400].mean(), "and falls all the same"

# alt: Left, the largest eigenvalue over 600 steps. At rate 0.65 it rises from under two to above four, falls back and
#   stays a little above three; at rate 0.9 it rises to about three, falls back and stays a little above two. Dashed
#   lines mark two divided by the rate. Right, both losses on a logarithmic scale fall with many spikes.
# caption: A small network under full-batch gradient descent. Left: the largest eigenvalue of the Hessian; dashed,
#   $2/\eta$. Right: the loss, which rises in many single steps and falls in the long run.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.2), layout="constrained")
for (lr, (losses, edge)), color, style in zip(paths.items(), ("C0", "C1"), ("-", "-."), strict=True):
    left.plot(np.arange(0, 601, 12), edge, style, color=color, label=f"$\\eta$ = {lr:g}")
    left.axhline(2 / lr, color=color, linestyle="--", linewidth=1)
    right.plot(losses, style, color=color, linewidth=1, label=f"$\\eta$ = {lr:g}")
left.set(ylim=(0, 6), xlabel="step", ylabel="largest eigenvalue")
right.set(yscale="log", xlabel="step", ylabel="loss")
right.minorticks_off()
right.set_yticks([0.03, 0.1, 0.3], ["0.03", "0.1", "0.3"])
left.legend(fontsize="small", loc="lower right")
right.legend(fontsize="small")
