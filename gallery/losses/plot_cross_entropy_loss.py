"""
Cross-entropy: what a wrong certainty costs
===========================================

The loss grows without bound as the truth is given less, and its gradient with respect to the logit never fades while
the prediction is wrong; that of the squared error does. Smoothed labels put the minimum at a finite margin, and above
zero. From logits the loss keeps its digits where the logarithm of a probability has lost them all.
"""

# %%
# The loss, and its pull on the logit
# -----------------------------------
#
# Both losses see a sigmoid of the logit z and the truth 1. Far on the wrong side the sigmoid is flat; the squared error
# has its slope as a factor, cross-entropy has it canceled.

import matplotlib.pyplot as plt
import numpy as np

from dlref.losses import (
    binary_cross_entropy,
    binary_cross_entropy_backward,
    cross_entropy,
    cross_entropy_backward,
    cross_entropy_probabilities,
)

z = np.linspace(-12, 12, 481)
p = 1 / (1 + np.exp(-z))
ones = np.ones_like(z)
loss = binary_cross_entropy(z, ones, reduction="none")
pull = binary_cross_entropy_backward(1.0, z, ones, reduction="sum")
squared = (1 - p) ** 2
squared_pull = -2 * (1 - p) * p * (1 - p)
assert np.allclose(pull, p - 1) and np.allclose(loss, -np.log(p))
assert abs(pull[0]) > 0.9999 and abs(squared_pull[0]) < 2e-5

# alt: Left, two losses against the probability of the truth: cross-entropy rises steeply towards infinity at zero, the
#   squared error ends at one. Right, their gradients against the logit from -12 to 12: that of cross-entropy goes from
#   minus one on the wrong side to zero on the right side; that of the squared error is zero on both sides with a dip of
#   minus 0.3 between.
# caption: Left: the loss against the probability given to the truth. Right: its gradient with respect to the logit. At
#   $z = -12$ the squared error pulls with $1.2 \cdot 10^{-5}$, cross-entropy with 1.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.2), layout="constrained")
left.plot(p, loss, label="cross-entropy")
left.plot(p, squared, label="squared error")
left.set(xlabel="probability $p$ of the truth", ylabel="loss", ylim=(0, 6))
left.legend()
right.plot(z, pull, label="$p - 1$")
right.plot(z, squared_pull, label="$-2p(1 - p)^2$")
right.set(xlabel="logit $z$ of the truth", ylabel="gradient")
right.legend(loc="lower right")
right.grid(True)

# %%
# Smoothed labels
# ---------------
#
# Ten classes, one of them ahead of the nine others by a margin. Without smoothing a larger margin is always better.
# With a share e spread over all classes the best margin is log((1 - e) K / e + 1), and the loss there is the entropy
# of the smoothed label.

classes, margin = 10, np.linspace(0, 16, 321)
logits = np.zeros((len(margin), classes))
logits[:, 0] = margin
labels = np.zeros(len(margin), dtype=np.int64)

# alt: Three curves of loss against the margin from 0 to 16, all starting at 2.3. Without smoothing the curve falls
#   towards zero. With smoothing 0.1 it has a minimum of 0.5 at margin 4.5 and rises again in a straight line; with
#   smoothing 0.3 the minimum is 1.2 at margin 3.2 and the rise is steeper. Dots mark the two minima.
# caption: Cross-entropy of a label out of ten against the margin of the true class. The dots are the best margin and
#   the entropy of the smoothed label, from the formulas.
fig, ax = plt.subplots(figsize=(6, 3.3), layout="constrained")
for smoothing in (0.0, 0.1, 0.3):
    losses = cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
    ax.plot(margin, losses, label=f"smoothing {smoothing:g}")
    if smoothing:
        q = np.full(classes, smoothing / classes)
        q[0] += 1 - smoothing
        best, entropy = np.log(q[0] / q[1]), -(q * np.log(q)).sum()
        at_best = cross_entropy_probabilities([[best, *[0.0] * 9]], [q])
        pull = cross_entropy_backward(1.0, [[best, *[0.0] * 9]], [0], label_smoothing=smoothing)
        assert abs(at_best - entropy) < 1e-12 and abs(pull).max() < 1e-12
        assert losses.min() >= entropy and abs(losses.min() - entropy) < 1e-3
        ax.plot(best, entropy, "C3o")
ax.set(xlabel="margin of the true class", ylabel="loss", ylim=(0, None))
ax.legend()

# %%
# Digits near zero
# ----------------
#
# A confident prediction that is right, two classes, float32. The logarithm of a softmax rounds to zero once the softmax
# rounds to one; the loss from logits does not have to.

margin = np.linspace(0.5, 60, 400).astype(np.float32)
pairs = np.stack([margin, np.zeros_like(margin)], axis=1)
truth = np.log1p(np.exp(-margin.astype(np.float64)))
softmax = np.exp(pairs) / np.exp(pairs).sum(axis=1, keepdims=True)
shifted = np.log(np.exp(pairs - margin[:, None]).sum(axis=1))
forms = {
    "logarithm of the softmax": -np.log(softmax[:, 0]),
    "log-sum-exp": shifted,
    "dlref": cross_entropy(pairs, np.zeros(len(margin), dtype=np.int64), reduction="none"),
}
errors = {name: abs(value - truth) / truth for name, value in forms.items()}
lost = {name: margin[error >= 1].min(initial=np.inf) for name, error in errors.items()}
assert 16 < lost["logarithm of the softmax"] < 18 and 16 < lost["log-sum-exp"] < 18
assert errors["dlref"].max() < 4 * np.finfo(np.float32).eps

# alt: Relative error of the loss against the margin from 0 to 60 on a logarithmic axis. The logarithm of the softmax
#   and the log-sum-exp climb to one at a margin of 17 and stay there. The third form stays near one ten-millionth.
# caption: Relative error of the loss of a confident, correct prediction in float32. From a margin of 17 on two of the
#   forms return exactly zero.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, error in errors.items():
    ax.plot(margin, np.maximum(error, 1e-9), label=name)
ax.set(yscale="log", xlabel="margin of the true class", ylabel="relative error", ylim=(5e-10, 5))
ax.legend(loc="center right")
