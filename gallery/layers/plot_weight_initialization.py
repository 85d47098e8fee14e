"""
Weight initialization: fifty layers
===================================

The spread of a signal is multiplied by the same factor in every layer, so a factor a little below or above one is
nothing or infinity after fifty. For rectifiers only the variance 2 / fan-in and orthogonal weights with the same gain
keep both the signal and the gradient alive. PyTorch's default for a dense layer does not aim at it.
"""

# %%
# Forward and backward
# --------------------
#
# Fifty layers of 256 rectifiers, no biases, normal inputs; a normal gradient is sent back from the end.

import matplotlib.pyplot as plt
import numpy as np

from dlref.activations import relu, relu_backward, tanh, tanh_backward
from dlref.layers import dense, dense_backward, gain, glorot, he, lecun, orthogonal, variance_scaling

width, depth, batch = 256, 50, 100
rng = np.random.default_rng(0)
schemes = {
    "PyTorch's default, $1/(3n)$": lambda: variance_scaling((width, width), rng, 3**-0.5, distribution="uniform"),
    "LeCun, $1/n$": lambda: lecun((width, width), rng),
    "He, $2/n$": lambda: he((width, width), rng),
    "orthogonal, gain $\\sqrt{2}$": lambda: orthogonal((width, width), rng, gain=2**0.5),
    "too large, $3/n$": lambda: variance_scaling((width, width), rng, gain=3**0.5),
}
assert np.allclose(gain(relu, relu_backward), 2**0.5)


def through(draw):
    """Return the root mean square of every layer's output, and of the gradient that reaches it."""
    h = rng.standard_normal((batch, width), np.float32)
    layers, signal = [], []
    for _ in range(depth):
        w = draw()
        z = dense(h, w)
        layers.append((h, w, z))
        h = relu(z)
        signal.append(np.sqrt(np.mean(h**2, dtype=float)))
    g, gradient = rng.standard_normal((batch, width), np.float32), []
    for h, w, z in reversed(layers):
        gradient.append(np.sqrt(np.mean(g**2, dtype=float)))
        g = dense_backward(relu_backward(g, z), h, w).x
    return np.array(signal), np.array(gradient[::-1])


curves = {name: through(draw) for name, draw in schemes.items()}
for name, factor in zip(schemes, (1 / 6, 1 / 2, 1, 1, 3 / 2), strict=True):
    signal, gradient = curves[name]
    rate, back = (signal[-1] / signal[0]) ** (1 / 49), (gradient[0] / gradient[-1]) ** (1 / 49)
    assert abs(rate / factor**0.5 - 1) < 0.06 and abs(back / factor**0.5 - 1) < 0.06, (name, rate, back)

# alt: Two panels with logarithmic axes over 50 layers. Left the signal, right the gradient. He and orthogonal weights
#   stay between about 0.1 and 2 in both. PyTorch's default and LeCun fall along straight lines, the default beyond
#   the fifteenth decimal; variance 3/n rises by four decades. The gradients do the same from right to left.
# caption: Root mean square of the activations, and of the gradients on their way back, in a network of 50 ReLU layers
#   of 256 units. A scheme off by a factor changes every layer by its square root.
fig, axes = plt.subplots(1, 2, figsize=(7.6, 3.6), sharey=True, layout="constrained")
for (name, sides), style in zip(curves.items(), ("-", "--", "-", ":", "-."), strict=True):
    for ax, side in zip(axes, sides, strict=True):
        ax.plot(range(1, depth + 1), side, style, label=name)
for ax, title in zip(axes, ("signal", "gradient"), strict=True):
    ax.set(yscale="log", xlabel="layer", title=title)
axes[0].set_ylabel("root mean square")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)

# %%
# tanh, layer by layer
# --------------------
#
# The experiment of Glorot and Bengio: six layers with tanh, once with weights uniform up to one over the square root of
# the fan-in, once with theirs. The gain that would keep variance one is 1.59, by quadrature.

depth, width = 6, 300
panels = {
    "uniform up to $1/\\sqrt{n}$": lambda: variance_scaling((width, width), rng, 3**-0.5, distribution="uniform"),
    "Glorot": lambda: glorot((width, width), rng),
    "gain 1.59": lambda: variance_scaling((width, width), rng, gain(tanh, tanh_backward).forward),
}
edges = np.linspace(-1, 1, 41)
spreads = {}

# alt: Three panels of histograms of activations for layers 1, 3 and 6. With weights up to one over root n the
#   distribution contracts to a spike at zero by layer 6; with Glorot's it contracts slowly; with gain 1.59 the three
#   layers have nearly the same broad distribution.
# caption: Distribution of tanh activations in layers 1, 3 and 6 of a network of 300 units in each layer, normal inputs.
fig, axes = plt.subplots(1, 3, figsize=(7.6, 3), sharex=True, layout="constrained")
for ax, (name, draw) in zip(axes, panels.items(), strict=True):
    h = rng.standard_normal((200, width), np.float32)
    spreads[name] = []
    for layer in range(1, depth + 1):
        w = lecun((width, width), rng) if layer == 1 and name == "gain 1.59" else draw()  # the input is no tanh yet
        h = tanh(dense(h, w))
        spreads[name].append(h.std())
        if layer in (1, 3, 6):
            ax.stairs(np.histogram(h, edges, density=True)[0], edges, label=f"layer {layer}", linewidth=1.5)
    ax.set(title=name, xlabel="activation")
axes[0].set(ylabel="density")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
first, xavier, kept = (np.array(s) for s in spreads.values())
assert first[-1] < 0.08 * first[0] and 0.4 < xavier[-1] / xavier[0] < 0.7 and abs(kept / kept[0] - 1).max() < 0.02

# %%
# Equal starts
# ------------
#
# Units that start with equal weights get equal gradients, so they never part, however long one trains.

x, target = rng.normal(size=(50, 3)), rng.normal(size=(50, 2))
w1, w2 = np.full((8, 3), 0.3), np.full((2, 8), 0.2)
for _ in range(100):
    z = dense(x, w1)
    g2 = dense_backward((dense(tanh(z), w2) - target) / 50, tanh(z), w2)
    g1 = dense_backward(tanh_backward(g2.x, z), x, w1)
    w1, w2 = w1 - 0.5 * g1.w, w2 - 0.5 * g2.w
assert np.allclose(w1, w1[:1], rtol=1e-9) and abs(w1 - 0.3).max() > 0.01, "they moved, and moved together"
