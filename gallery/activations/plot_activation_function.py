"""
Activation functions: what a bend is good for
=============================================

Twelve functions, drawn with their derivatives. Between affine layers each of them does what no number of further layers
could: without a bend the same network, with the same weights at the start and the same training, ends as the straight
line of least squares.
"""

# %%
# The functions and their derivatives
# -----------------------------------
#
# All of them by name. Only some derivatives vanish on the left, and only those of the bounded functions on both sides.

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

from dlref.activations import activation, gelu, gelu_tanh
from dlref.optimizers import adam, adam_state
from dlref.training import fit

names = ["identity", "heaviside", "hard_sigmoid", "sigmoid", "tanh", "relu"]
names += ["leaky_relu", "elu", "selu", "softplus", "silu", "gelu"]
x = np.linspace(-4, 4, 401)
curves = {name: (f(x), back(np.ones_like(x), x)) for name, (f, back) in ((n, activation(n)) for n in names)}
dips = [name for name in names if (np.diff(curves[name][0]) < 0).any()]
assert dips == ["silu", "gelu"], "all but these two never fall"
steep = [name for name in names if curves[name][1].max() > 1.001]
assert steep == ["selu", "silu", "gelu"], "nor is any other slope above one"
apart = np.abs(gelu(x) - gelu_tanh(x)).max()
assert 4e-4 < apart < 5e-4, "the two forms of GELU could not be told apart here"

# alt: Twelve small panels over x from -4 to 4, each with a function as a solid line and its derivative dashed. The
#   identity, ReLU, leaky ReLU, ELU, SELU, softplus, SiLU and GELU grow without bound on the right; the Heaviside step,
#   the hard sigmoid, the sigmoid and tanh level off on both sides, where their derivatives vanish. SiLU and GELU dip
#   below zero before they rise.
# caption: Activation functions (solid) and their derivatives (dashed). The derivative of the step is zero wherever it
#   exists.
fig, axes = plt.subplots(4, 3, figsize=(7, 7.2), sharex=True, sharey=True, layout="constrained")
for ax, (name, (y, slope)) in zip(axes.flat, curves.items(), strict=True):
    pieces = [x < 0, x > 0] if name == "heaviside" else [slice(None)]
    for piece in pieces:
        ax.plot(x[piece], y[piece], "C0")
        ax.plot(x[piece], slope[piece], "C1--")
    ax.set(title=name.replace("_", " "), ylim=(-2, 3), xlim=(-4, 4))
    ax.grid(True)

# %%
# The same network, with and without a bend
# -----------------------------------------
#
# Two hidden layers of 16 units, 64 points of a sine, 300 steps of Adam. With the identity the three layers are one
# affine map, and training finds the best of these. Over five seeds the errors of ReLU and tanh stayed below 0.003, that
# of the identity was 0.207 each time.

points = np.linspace(-np.pi, np.pi, 64)[:, None]
target = np.sin(points)


def network(params, x, bend):
    h = x
    for w, b in params[:-1]:
        h = bend(h @ w.T + b)
    w, b = params[-1]
    return h @ w.T + b


def train(bend, seed=0, epochs=300):
    """Return the trained parameters and their loss; the start depends on the seed alone."""
    rng = np.random.default_rng(seed)
    start = [(rng.normal(size=(o, i)) / np.sqrt(i), np.zeros(o)) for i, o in pairwise((1, 16, 16, 1))]

    def loss(params, x, t):
        return np.mean((network(params, x, bend) - t) ** 2)

    data = (points, target)
    run = fit(loss, start, data, adam, adam_state, lr=0.01, epochs=epochs, batch_size=64, rng=None, progress=False)
    return run.params, loss(run.params, points, target)


line = np.polyval(np.polyfit(points[:, 0], target[:, 0], 1), points)
drawn, errors = {}, {"best line": np.mean((line - target) ** 2)}
for name in ("relu", "tanh", "identity"):
    params, errors[name] = train(activation(name).function)
    drawn[name] = network(params, points, activation(name).function)
assert 0.999 < errors["identity"] / errors["best line"] < 1.01, "three linear layers are one"
assert max(errors["relu"], errors["tanh"]) < errors["best line"] / 20

(w1, b1), (w2, b2), (w3, b3) = params
slope, offset = w3 @ w2 @ w1, w3 @ (w2 @ b1 + b2) + b3
assert np.allclose(drawn["identity"], points @ slope.T + offset), "the one affine map, multiplied out"

# alt: A sine from minus pi to pi as dots. The network with the identity has drawn a straight line through it, with a
#   slope of about a third. The networks with ReLU and with tanh lie on the dots.
# caption: The same network with three activations, fitted to a sine. With the identity it ends on the least-squares
#   line, as a single layer would.
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.plot(points, target, "C3.", markersize=4, label="sine")
for (name, y), style in zip(drawn.items(), ("C0-", "C1--", "C2-."), strict=True):
    ax.plot(points, y, style, linewidth=2, label=f"{name}: mean squared error {errors[name]:.2g}")
ax.set(xlabel="$x$", ylabel="output")
ax.legend(fontsize="small")
for name, error in errors.items():
    print(f"{name:10} mean squared error {error:.5f}")
