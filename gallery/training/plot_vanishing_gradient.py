"""
Vanishing gradient: how far back a loss can see
===============================================

A sign that is shown at the first of forty steps is asked for after the last. At the start of training the gradient that
comes back to it is tiny in a simple recurrent layer, in a GRU, and in an LSTM too, whose gates start half open. With a
forget gate that starts open, or a state that is added to, it arrives. What arrives decides what is learned.
"""

# %%
# Four recurrences, one instrument
# --------------------------------
#
# All layers have 16 units. The residual one adds to its state: ``h = h + tanh(...) / 8``. The norm of the gradient is
# measured at every step, divided by that at the last one, before and after training on the sign.

import matplotlib.pyplot as plt
import numpy as np

from dlref.layers import gru, lstm, lstm_forget_bias, rnn
from dlref.losses import binary_cross_entropy
from dlref.optimizers import adam, adam_state
from dlref.training import fit, gradient_flow, growth_rate, recurrence_condition, rnn_gradient_by_lag

T, H = 40, 16


def signs(rng, count):
    """Noise, and in the second feature of the first step a sign; the sign is the label."""
    x = np.zeros((count, T, 2), np.float32)
    x[..., 0] = rng.normal(size=(count, T))
    x[:, 0, 1] = rng.choice([-1.0, 1.0], size=count)
    return x, (x[:, 0, 1] > 0).astype(np.float32)


def residual(x, h, w_ih, w_hh, b):
    h = np.zeros((len(x), H), np.float32) if h is None else h
    for t in range(x.shape[1]):
        h = h + np.tanh(x[:, t] @ w_ih.T + h @ w_hh.T + b) * np.float32(0.125)
    return (h,)


# A layer as a function of a piece of x, the state and the weights, which returns the last state.
layers = {
    "simple": (1, lambda x, s, w: (rnn(x, s[0], *w).h,)),
    "GRU": (3, lambda x, s, w: (gru(x, s[0], *w).h,)),
    "LSTM": (4, lambda x, s, w: lstm(x, *s, *w)[1:]),
    "LSTM, open": (4, lambda x, s, w: lstm(x, *s, *w)[1:]),
    "residual": (1, lambda x, s, w: residual(x, s[0], *w)),
}


def start(name, seed):
    """Weights of a layer and of the readout, uniform as in PyTorch; the open LSTM begins with a forget bias of 4."""
    rng, blocks = np.random.default_rng(seed), layers[name][0]
    shapes = (blocks * H, 2), (blocks * H, H), (blocks * H,), (H,)
    w_ih, w_hh, b, w = (rng.uniform(-(H**-0.5), H**-0.5, shape).astype(np.float32) for shape in shapes)
    return (w_ih, w_hh, lstm_forget_bias(b, 4.0) if name == "LSTM, open" else b), w


def empty(name, count):
    return [np.zeros((count, H), np.float32)] * (2 if name.startswith("LSTM") else 1)


def by_lag(name, params, x):
    """Norms by how many steps back: of the gradient of the state, and of what the step adds to that of the weights."""
    weights, w = params
    run, state = layers[name][1], empty(name, len(x))
    dy = (np.tile(w, (len(x), 1)), *(np.zeros_like(s) for s in state[1:]))
    steps = [lambda s, p, t=t: run(x[:, t : t + 1], s, p) for t in range(T)]
    flow = gradient_flow(steps, tuple(state), dy, [weights] * T)
    return flow.states[::-1] / flow.states[-1], flow.params[::-1]


def learn(name, seed=0):
    """Train for 150 steps; return the parameters and the share of right answers on new sequences."""
    rng, run = np.random.default_rng(seed), layers[name][1]

    def score(params, x):
        state = [None] * (2 if name.startswith("LSTM") else 1)
        return run(x, state, params[0])[0] @ params[1]

    x, label = signs(rng, 32 * 150)
    done = fit(
        lambda params, x, y: binary_cross_entropy(score(params, x), y),
        start(name, seed), (x, label), adam, adam_state, lr=0.01, epochs=1, batch_size=32, rng=None,
    )  # fmt: skip
    x, label = signs(np.random.default_rng(99), 1000)
    return done.params, np.mean((score(done.params, x) > 0) == label)


x, _ = signs(np.random.default_rng(5), 16)
before = {name: by_lag(name, start(name, 0), x) for name in layers}
trained = {name: learn(name) for name in layers}
after = {name: by_lag(name, trained[name][0], x) for name in layers}
right = {name: share for name, (_, share) in trained.items()}
short, long = ("simple", "GRU", "LSTM"), ("LSTM, open", "residual")
assert all(before[name][0][-1] < 1e-6 and right[name] < 0.6 for name in short), right
assert all(before[name][0][-1] > 0.01 and right[name] > 0.9 for name in long), right
assert min(after[name][0][-1] for name in long) > 30 * max(after[name][0][-1] for name in short)

# The kernel for the simple layer says the same as the chain of steps.
(w_ih, w_hh, b), w = start("simple", 0)
h = rnn(x, None, w_ih, w_hh, b).y
each = rnn_gradient_by_lag(h, w_hh, np.tile(w, (len(x), 1)))
np.testing.assert_allclose(np.linalg.norm(each, axis=0) / np.linalg.norm(each[:, 0]), before["simple"][0], rtol=1e-3)
assert growth_rate(before["simple"][0]) < np.log(recurrence_condition(w_hh).radius) < 0

# alt: Two panels, norm of the gradient on a logarithmic axis against the number of steps back, 0 to 40. At the start
#   simple layer, GRU and LSTM fall in straight lines to 1e-7 or less; the LSTM with an open forget gate falls to 0.1
#   and comes back towards 1, and the residual layer rises to about 10. After training the first three end as low or
#   lower, the residual layer stays at 1 and above, and the open LSTM falls to a thousandth and stays there.
# caption: Norm of the gradient of the answer with respect to the state so many steps back, over that at the last step,
#   before and after 150 steps of training. The sign to be remembered stands at the far end. In brackets the share of
#   right answers on new sequences after training.
styles = dict(zip(layers, ("C0-", "C1--", "C2-.", "C3:", "C4-"), strict=True))
fig, panels = plt.subplots(1, 2, figsize=(7.6, 3.6), sharey=True, layout="constrained")
for ax, norms, title in zip(panels, (before, after), ("at the start", "after training"), strict=True):
    for name, style in styles.items():
        label = f"{name} ({right[name]:.2f})"
        ax.semilogy(norms[name][0], style, linewidth=2.5 if name == "residual" else 1.5, label=label)
    ax.set(xlabel="steps back", title=title)
    ax.grid(True)
panels[0].set(ylabel="norm of the gradient")
panels[0].legend(loc="lower left", fontsize=8)

# %%
# Long-range terms vanish beside short-range ones
# -----------------------------------------------
#
# The gradient of a weight is a sum over the steps at which it is used. It does not vanish when its early terms do: the
# late ones are still there, and they are all that an optimizer sees.


def within(name):
    """How many of the last steps it takes to make nine tenths of the sum of norms."""
    shares = np.cumsum(before[name][1]) / np.sum(before[name][1])
    return shares, int(np.searchsorted(shares, 0.9)) + 1


counts = {name: within(name)[1] for name in layers}
assert all(counts[name] <= 10 for name in short) and all(counts[name] > 25 for name in long), counts

# alt: Cumulative share of the gradient of the weights against the number of last steps that are counted. For simple
#   layer, GRU and LSTM it reaches 0.9, a thin line, after four or five steps; for the open LSTM and the residual
#   layer it rises almost evenly and reaches it after 38.
# caption: Share of the last k steps in the sum of all steps' contributions to the gradient of the weights, at the start
#   of training. In brackets the number of steps that make nine tenths.
fig, ax = plt.subplots(figsize=(6, 3.3), layout="constrained")
for name, style in styles.items():
    shares, count = within(name)
    ax.plot(np.arange(T + 1), [0, *shares], style, label=f"{name} ({count})")
ax.axhline(0.9, color="C0", linewidth=0.6)
ax.set(xlabel="last k steps", ylabel="share of the sum", ylim=(0, 1.03))
ax.legend(loc="lower right", fontsize=8)
