"""
Exploding gradient: growth by a factor a step
=============================================

What a gradient is multiplied by at each layer or time step decides within a narrow margin whether it vanishes or
explodes. One matrix applied again and again grows by its spectral radius in the end, and by up to its spectral norm
before: a gradient can grow a hundredfold under a matrix whose every eigenvalue is below one. In training one explosion
is enough.
"""

# %%
# The gain decides
# ----------------
#
# Chains of 60 random linear maps of 64 values, with normal weights of standard deviation ``gain / 8``: at gain 1 the
# norm is kept on average. Left, the gradient of a random cotangent for three gains and five draws each. Right, powers
# of one matrix that is far from normal: its eigenvalues are all 0.9, its norm is 2.66.

import matplotlib.pyplot as plt
import numpy as np

from dlref.layers import RNN, rnn, rnn_backward
from dlref.optimizers import clip_by_global_norm, global_norm
from dlref.training import gradient_flow, growth_rate, log_product_norms, recurrence_condition

n, depth = 64, 60


def chain(gain, seed):
    """Norms of a gradient at 0 to 60 layers before the output of a random linear chain."""
    rng = np.random.default_rng(seed)
    weights = [gain * rng.normal(size=(n, n)) / np.sqrt(n) for _ in range(depth)]
    dy = rng.normal(size=(1, n))
    norms = gradient_flow([lambda h, w=w: h @ w.T for w in weights], np.zeros((1, n)), dy).states[::-1]
    return norms / norms[0]


norms = {gain: [chain(gain, seed) for seed in range(5)] for gain in (0.85, 1.0, 1.15)}
for gain, several in norms.items():
    # The logarithm of a mean is above the mean of a logarithm: the typical rate is log(gain) - 1/(2n). The logarithm is
    # a random walk of variance 1/(2n) a step, and its slope has 6/5 of that over the number of steps.
    error = np.sqrt(1.2 / (2 * n * depth) / len(several))
    assert abs(np.mean([growth_rate(one) for one in several]) - np.log(gain) + 0.5 / n) < 4 * error
# Four deviations of the walk from its mean, which ends at 2,750 and at 4e-5.
assert min(one[-1] for one in norms[1.15]) > 150 and max(one[-1] for one in norms[0.85]) < 1e-3

w = 0.9 * np.eye(8) + np.diag(np.full(7, 1.8), 1)
powers = np.exp(log_product_norms(np.stack([w] * 200)))
condition = recurrence_condition(w)
steps = np.arange(1, 201)
assert condition.radius < 1 < condition.factor and powers.max() > 1e5 and powers[-1] < 1e-1 * powers.max()
assert growth_rate(powers[150:]) < 0 < growth_rate(powers[:8])

# alt: Left, norm of a gradient on a logarithmic axis against layers before the output: five lines for each gain. At
#   1.15 they rise to several thousand, at 1.0 they stay near 1, at 0.85 they fall to about 1e-5. Right, norm of the
#   powers of one matrix: it begins along the dotted bound, climbs to 1e8 near step 70 although the dashed line of the
#   spectral radius to the power k falls throughout, and then falls itself.
# caption: Left, the gradient in chains of 60 random linear layers of 64 units, at three gains, five draws each. Right,
#   the largest singular value of the k-th power of a matrix whose spectral radius is 0.9 and whose norm is 2.6.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.5), layout="constrained")
for (gain, several), style in zip(norms.items(), ("C0-", "C2-.", "C1--"), strict=True):
    for k, one in enumerate(several):
        left.semilogy(one, style, linewidth=1, label=f"gain {gain}" if k == 0 else None)
left.set(xlabel="layers before the output", ylabel="norm of the gradient")
left.legend()
right.semilogy(steps, powers, "C0-", label=r"$\|W^k\|_2$")
right.semilogy(steps, condition.radius**steps, "C1--", label=r"$\rho^k$, the spectral radius")
right.semilogy(steps[:18], condition.factor ** steps[:18], "C2:", label=r"$\Vert W \Vert_2^k$, the bound")
right.set(xlabel="k")
right.legend()

# %%
# A run that explodes, and what helps
# -----------------------------------
#
# A simple layer with ReLU learns to count marks in forty steps, by plain gradient descent. Its recurrent
# weights begin as a multiple of the identity. With 1.1 the gradient is multiplied by 45 on the way, and the first step
# throws all units to where ReLU is closed for every input: from then on the gradient is exactly zero. The same start
# with a clipped gradient learns, and so does a start at 0.9 without clipping. How large the first gradient is depends
# on the draw of the readout; of twenty draws nearly all die in this way.


def task(rng, count, length=40):
    """Marks at about a fifth of the steps, and an eighth of their number."""
    x = (rng.random((count, length, 1)) < 0.2).astype(float)
    return x, x.sum(axis=(1, 2)) / 8


def learn(scale, clip, seed=0, lr=0.003, steps=600, hidden=32):
    """Return the loss and the norm of the gradient at every step."""
    rng = np.random.default_rng(seed)
    w_ih, w_hh = 0.1 * rng.normal(size=(hidden, 1)), scale * np.eye(hidden)
    params = [w_ih, w_hh, np.zeros(hidden), 0.1 * rng.normal(size=hidden)]
    losses, lengths = [], []
    for _ in range(steps):
        x, target = task(rng, 32)
        h = rnn(x, None, *params[:3], activation="relu").h
        error = h @ params[3] - target
        losses.append(np.mean(error**2))
        d = 2 * error / len(error)
        g = rnn_backward(RNN(None, np.outer(d, params[3])), x, None, *params[:3], activation="relu")
        g = [g.w_ih, g.w_hh, g.b_ih, d @ h]
        lengths.append(global_norm(g))
        if clip:
            g = clip_by_global_norm(g, clip).gradients
        params = [p - lr * part for p, part in zip(params, g, strict=True)]
    return np.array(losses), np.array(lengths)


with np.errstate(all="ignore"):
    runs = {
        "1.1": learn(1.1, None),
        "1.1, clipped": learn(1.1, 3.0),
        "0.9": learn(0.9, None),
    }
    starts = [[learn(scale, None, seed, steps=4) for seed in range(20)] for scale in (1.1, 0.9)]
mean = 40 * 0.2 * 0.8 / 8**2  # the error of the best constant: the variance of the answer
(exploded, dead), (clipped, lengths), (tame, _) = runs.values()
assert exploded[1] > 100 * exploded[0] and not dead[2:].any() and exploded[2:].min() > 5 * mean
assert np.median(clipped[-100:]) < 0.5 * mean and np.median(tame[-100:]) < 0.5 * mean
large, small = ([norm[0] for _, norm in several] for several in starts)
assert np.median(large) > 50 * np.median(small), "1.1 against 0.9, before any step"
died = [[loss[1] > 100 * loss[0] and not norm[2:].any() for loss, norm in several] for several in starts]
assert np.mean(died[0]) > 0.8 and not any(died[1])

# alt: Two panels with logarithmic axes over 600 steps of training. Left, the loss: without clipping from 1.1 it leaves
#   the panel at the top and then stays above 1; clipped from 1.1 it falls below the thin line at 0.1 within a hundred
#   steps, and from 0.9 at once, with jumps. Right, the norm of the gradient: clipped from 1.1 it begins at several
#   hundred and falls below ten; from 0.9 it stays at about 6; from 1.1 without clipping it has two points and then
#   none, as it is zero.
# caption: Loss and norm of the gradient (before clipping) for three starts of the same network: recurrent weights 1.1
#   times the identity without and with clipping, and 0.9 times. The first run reaches a loss of 1e12 in one step and
#   then has no gradient at all. After the first three steps the median of every ten is drawn. The thin line is the loss
#   of the best constant answer.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.5), layout="constrained")
at = np.r_[0:3, 7:600:10]


def thinned(values):
    """The first three values, then the median of every ten."""
    return np.r_[values[:3], np.median(values[3:593].reshape(-1, 10), axis=1), np.median(values[593:])]


for (name, (losses, lengths)), style in zip(runs.items(), ("C1--", "C0-", "C2-."), strict=True):
    left.semilogy(at, thinned(losses), style, label=name)
    drawn = thinned(np.where(lengths > 0, lengths, np.nan))
    right.semilogy(at, drawn, style, marker="s" if name == "1.1" else None)
left.axhline(mean, color="C4", linewidth=0.8)
left.set(xlabel="step", ylabel="mean square error", ylim=(1e-3, 1e3))
left.legend()
right.set(xlabel="step", ylabel="norm of the gradient", ylim=(1e-1, 1e16))
right.annotate("1.1: zero from the second step on", (14, 2e13), color="C1")
