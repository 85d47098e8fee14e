"""
Bias: where a unit begins
=========================

The bias moves the point at which a unit becomes active, and with it the boundary between two classes, which without
one must pass through the origin. Before batch normalization it does nothing: the mean that is subtracted contains it.
"""

# %%
# A threshold, and a line that is free
# ------------------------------------

import matplotlib.pyplot as plt
import numpy as np

from dlref.activations import sigmoid
from dlref.autodiff import value_and_gradient
from dlref.layers import add_bias, add_bias_backward, append_one, batch_norm, batch_norm_backward, dense
from dlref.losses import binary_cross_entropy

rng = np.random.default_rng(0)
centers = np.array([[1.3, 1.5], [3.2, 3.3]])
label = np.repeat([0.0, 1.0], 60)
points = centers[label.astype(int)] + 0.45 * rng.normal(size=(120, 2))


def fit_line(x):
    """Logistic regression by gradient descent on these features, without a bias of its own."""
    w = np.zeros((1, x.shape[1]))
    for _ in range(3000):
        _, g = value_and_gradient(lambda w: binary_cross_entropy(dense(x, w)[:, 0], label), w)
        w = w - 0.5 * g
    return w[0]


through_origin, free = fit_line(points), fit_line(append_one(points))
right = [np.mean((features @ w > 0) == label) for features, w in ((points, through_origin), (append_one(points), free))]
assert right[1] > 0.95 > 0.75 > right[0], right

z = np.linspace(-6, 6, 121)
half = [np.interp(0.5, sigmoid(1.5 * z + b), z) for b in (-4.5, 0.0, 4.5)]
assert np.allclose(half, (3, 0, -3), atol=1e-3), "the threshold stands at -b / w"

# alt: Left, three sigmoid curves of the same steepness, crossing one half at 3, 0 and -3. Right, two clouds of points
#   away from the origin; a line through the origin cuts through both clouds, a free line passes between them.
# caption: A sigmoid unit with weight 1.5 and three biases, and the boundary of logistic regression with and without a
#   bias.
fig, (left, ax) = plt.subplots(1, 2, figsize=(7.4, 3.4), layout="constrained")
for b, style in zip((-4.5, 0.0, 4.5), ("--", "-", "-."), strict=True):
    left.plot(z, sigmoid(1.5 * z + b), style, label=f"$b = {b:g}$")
left.set(xlabel="$x$", title=r"$\sigma(1.5\,x + b)$")
left.legend()
for value, marker in ((0, "o"), (1, "s")):
    ax.plot(*points[label == value].T, marker, color=f"C{value}", markersize=4, alpha=0.6)
span = np.array([0.0, 4.8])
ax.plot(span, -through_origin[0] / through_origin[1] * span, "C2--", label=f"no bias, {right[0]:.0%} right")
ax.plot(span, -(free[0] * span + free[2]) / free[1], "C3-", label=f"bias, {right[1]:.0%} right")
ax.plot(0, 0, "C4+", markersize=12, markeredgewidth=2)
ax.set(xlim=(-0.3, 4.8), ylim=(-0.3, 5.4), xlabel="$x_1$", ylabel="$x_2$", title="two classes")
ax.legend(loc="lower right")

# %%
# Cancelled by batch normalization
# --------------------------------
#
# 256 examples, one unit, three biases. The normalized output does not know which one it was, and the gradient that
# comes back to the bias is zero.

x, w = rng.normal(size=(256, 10)), rng.normal(size=(1, 10))
one, zero = np.ones(1), np.zeros(1)
edges = np.linspace(-16, 16, 49)
biases = (-8.0, 0.0, 8.0)
dy = rng.normal(size=(256, 1))
outputs, gradients = [], []
for b in biases:
    before = add_bias(dense(x, w), [b])
    outputs.append((before, batch_norm(before, one, zero)))
    gradients.append(add_bias_backward(batch_norm_backward(dy, before, one, zero).x, before, [b]).b[0])
assert all(abs(after - outputs[1][1]).max() < 1e-12 for _, after in outputs)
assert max(map(abs, gradients)) < 1e-12 < abs(dy.sum())

# alt: Left, three equal histograms centered near -8, 0 and 8. Right, the same after batch normalization: the three lie
#   on top of each other, so that one is seen.
# caption: Pre-activations of one unit with three biases, and the same after batch normalization. On the right the three
#   curves coincide.
fig, (left, ax) = plt.subplots(1, 2, figsize=(7.4, 2.8), layout="constrained")
for b, (before, after), style in zip(biases, outputs, ("-", "--", ":"), strict=True):
    left.stairs(np.histogram(before, edges)[0], edges, label=f"$b = {b:g}$", linestyle=style, linewidth=1.5)
    ax.stairs(np.histogram(after, np.linspace(-4, 4, 33))[0], np.linspace(-4, 4, 33), linestyle=style, linewidth=2)
left.set(xlabel="$w^\\top x + b$", ylabel="examples", title="before", ylim=(0, 42))
ax.set(xlabel="normalized", title="after batch normalization")
left.legend(ncols=3, loc="upper center", fontsize="small")
print(f"Gradient of the bias: {max(map(abs, gradients)):.0e}, without the normalization {dy.sum():.1f}.")
