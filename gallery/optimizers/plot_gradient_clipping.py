"""
Gradient clipping: one step at the foot of a cliff
==================================================

The loss of a recurrent network can have cliffs, where the gradient is many times longer than around them. A step
of gradient descent from such a place ends anywhere. With a bound on the norm it ends close by, and the descent goes on.
"""

# %%
# The cliff of one recurrent unit
# -------------------------------
#
# The example of Pascanu, Mikolov and Bengio: :math:`x_t = w\,\sigma(x_{t-1}) + b` from :math:`x_0 = 0.5`, fifty times,
# and the loss :math:`(\sigma(x_{50}) - 0.7)^2`. Above :math:`w \approx 4.3` the recurrence has two stable ends. The
# cliff is the line on which :math:`x_0` is the unstable point between them: :math:`b = 0.5 - w\,\sigma(0.5)`.

import matplotlib.pyplot as plt
import numpy as np

from dlref.activations import sigmoid
from dlref.autodiff import value_and_gradient
from dlref.layers import rnn
from dlref.optimizers import clip_by_global_norm


def loss(params):
    w, b = params
    x = 0.5
    for _ in range(50):
        x = w * sigmoid(x) + b
    return (sigmoid(x) - 0.7) ** 2


def descend(max_norm, lr=0.3, steps=80):
    """Return the places, the losses and the norms before clipping."""
    params, path, losses, norms = [np.array(5.5), np.array(-2.5)], [], [], []
    for _ in range(steps):
        value, gradient = value_and_gradient(loss, params)
        gradient, norm = clip_by_global_norm(gradient, max_norm)
        path.append(np.array(params))
        losses.append(float(value))
        norms.append(norm)
        params = [p - lr * g for p, g in zip(params, gradient, strict=True)]
    return np.array(path), np.array(losses), np.array(norms)


runs = {"without clipping": descend(np.inf), "norm at most 0.2": descend(0.2)}
(plain, plain_loss, plain_norm), (short, short_loss, short_norm) = runs.values()
jump = plain_norm.argmax()
assert plain_norm[jump] > 30 * np.median(plain_norm[:jump]), "a cliff"
assert np.linalg.norm(np.diff(plain, axis=0), axis=1).max() > 3, "one step across the whole picture"
assert np.linalg.norm(np.diff(short, axis=0), axis=1).max() < 0.3 * 0.2 + 1e-12
assert plain_loss[-1] > 0.4 and short_loss[-20:].min() < 0.01
w, b = np.linspace(2.6, 6.2, 180), np.linspace(-6.2, -1.2, 180)[:, None]
surface = loss((w + 0 * b, b + 0 * w))

# alt: Map of the loss over w and b. A dark valley runs from the upper left to the lower right. At w above 4.3 it ends
#   at a sharp line, below which the loss is a high plateau. Both paths start at the right above the line and drift
#   towards it. The one without clipping is thrown from the line to the lower left, far out on the plateau, and stays
#   there. The other zigzags across the line and along it to the left, where the valley begins.
# caption: Descent on the loss of one recurrent unit at rate 0.3, 80 steps, with and without clipping. The dashed line
#   is the cliff. The clipped path crosses it again and again, and comes back.
fig, ax = plt.subplots(figsize=(6, 4.2), layout="constrained")
image = ax.pcolormesh(w, b.ravel(), surface, rasterized=True, cmap="cividis")
edge = np.array([4.26, 6.2])
ax.plot(edge, 0.5 - edge * sigmoid(0.5), "C4--", linewidth=1)
for (name, (path, _, _)), style in zip(runs.items(), ("C1o-", "C3.-"), strict=True):
    ax.plot(*path.T, style, markersize=4, linewidth=1.4, label=name)
ax.set(xlabel="$w$", ylabel="$b$", xlim=(2.6, 6.2), ylim=(-6.2, -1.2))
ax.legend(loc="lower right")
fig.colorbar(image, label="loss")
for name, (_, losses, norms) in runs.items():
    lowest = losses[-20:].min()
    print(f"{name:17} longest {norms.max():.1f}, median {np.median(norms):.3f}, lowest of the last losses {lowest:.3f}")

# %%
# Norms in a training run
# -----------------------
#
# A network of 24 tanh units reads eight numbers and has to give back the first one at the end. Its recurrent matrix
# starts as a rotation. The same batches, with and without clipping, at two rates. With clipping the larger rate does
# not diverge; without, it has to be smaller. The norms are those before clipping.


def squares(params, x):
    w_ih, w_hh, bias, w_out = params
    h = rnn(x, None, w_ih, w_hh, bias, None).h
    return np.mean((h @ w_out - x[:, 0, 0]) ** 2)


def train(lr, max_norm, steps=120):
    rng = np.random.default_rng(1)
    rotation = np.linalg.qr(rng.normal(size=(24, 24)))[0]
    params = [rng.normal(size=(24, 1)) / 5, rotation, np.zeros(24), rng.normal(size=24) / 5]
    losses, norms = [], []
    for _ in range(steps):
        value, gradient = value_and_gradient(squares, params, rng.normal(size=(32, 8, 1)))
        gradient, norm = clip_by_global_norm(gradient, max_norm, nonfinite="raise")
        losses.append(float(value))
        norms.append(norm)
        if value > 1e3:
            break
        params = [p - lr * g for p, g in zip(params, gradient, strict=True)]
    return np.array(losses), np.array(norms)


settings = {"rate 0.1": (0.1, np.inf), "rate 0.3": (0.3, np.inf), "rate 0.3, norm at most 0.5": (0.3, 0.5)}
trained = {name: train(*setting) for name, setting in settings.items()}
(slow, slow_norm), (fast, _), (bounded, bounded_norm) = trained.values()
assert fast[-1] > 1e3 and len(fast) < 120, "diverges"
assert slow[-50:].mean() < 0.25 and bounded[-50:].mean() < 0.25, "the first guess, zero, has the loss 1"
assert slow_norm.max() > 2 * np.median(slow_norm), "a tail of long gradients"

# alt: Left, the loss over 120 steps on a logarithmic axis. At rate 0.3 without clipping it shoots up and out of the
#   picture early. The other two fall from above one to about a tenth. Right, two histograms of gradient norms on a
#   logarithmic axis, both from some tenths to several units with a tail on the right; a dotted line marks the bound
#   0.5, near the lower end.
# caption: Left: loss of a recurrent network that recalls a number. Right: norms of its gradients before clipping in the
#   two runs that did not diverge, and the bound.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.3), layout="constrained")
for (name, (losses, _)), color in zip(trained.items(), ("C0", "C1", "C3"), strict=True):
    left.plot(losses, color, label=name, linewidth=1.1)
left.set(xlabel="step", ylabel="loss", yscale="log", ylim=(0.01, 30))
left.legend(fontsize="small")
bins = np.geomspace(0.1, 10, 25)
right.hist(slow_norm, bins, histtype="step", color="C0", label="rate 0.1", linewidth=1.4)
right.hist(bounded_norm, bins, histtype="step", color="C3", label="rate 0.3, clipped", linewidth=1.4, linestyle="--")
right.axvline(0.5, color="C4", linestyle=":", label="the bound 0.5")
right.set(xscale="log", xlabel="norm before clipping", ylabel="steps", ylim=(0, 45))
right.legend(fontsize="small", loc="upper left")
for name, (losses, norms) in trained.items():
    print(f"{name:27} loss {losses[-50:].mean():.3g}, norms: median {np.median(norms):.3g}, longest {norms.max():.3g}")
