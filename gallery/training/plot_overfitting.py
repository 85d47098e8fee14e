"""
Overfitting: a small error that does not last
=============================================

A polynomial of high degree goes through every training point and is wrong between them; how wrong, on average, can be
computed. A network learns labels drawn at random to the last one, and has then learned nothing. Zero training error is
not the sign of it, though: past the threshold where a model can fit every example, its error on new data falls again.
"""

# %%
# Degrees
# -------
#
# 15 noisy points of a sine. Lines, cubics and polynomials of degree 14, which fit all of them.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.activations import relu
from dlref.layers import dense
from dlref.losses import cross_entropy
from dlref.optimizers import adam, adam_state
from dlref.training import fit, least_squares_errors, legendre_features, linear_fit_errors

NOISE, N = 0.3, 15
rng = np.random.default_rng(3)
x = np.linspace(-1, 1, N)
y = np.sin(3 * x) + NOISE * rng.normal(size=N)
span = np.linspace(-1, 1, 300)
degrees = np.arange(N)
train, between, expected, average, fits = [], [], [], [], {}
for degree in degrees:
    a = legendre_features(x, int(degree))
    w = np.linalg.lstsq(a, y, rcond=None)[0]
    fits[degree] = legendre_features(span, int(degree)) @ w
    train.append(np.mean((y - a @ w) ** 2))
    between.append(np.mean((np.sin(3 * span) - fits[degree]) ** 2) + NOISE**2)
    expected.append(linear_fit_errors(a @ np.linalg.pinv(a), np.sin(3 * x), NOISE))
    # The same between the points: the bias of the fit, and the noise that it passes on.
    hat = legendre_features(span, int(degree)) @ np.linalg.pinv(a)
    bias = np.mean((hat @ np.sin(3 * x) - np.sin(3 * span)) ** 2)
    average.append(bias + NOISE**2 * (1 + np.square(hat).sum(axis=1).mean()))
expected = np.array(expected)
assert (np.diff(train) < 1e-12).all() and train[-1] < 1e-20
assert np.argmin(average) == np.argmin(expected[:, 1]) == 3 and average[-1] > 100 * min(average), "over all draws"
assert np.allclose(expected[:, 1] - expected[:, 0], 2 * NOISE**2 * (degrees + 1) / N)
for degree in degrees:
    assert np.allclose(fits[degree], np.polynomial.Polynomial.fit(x, y, degree)(span), atol=1e-6), "as NumPy fits"

# alt: Left, fifteen points around one wave of a dotted sine. A straight line misses it, a cubic follows it, and a
#   polynomial of degree 14 goes through every point and swings far out near both ends. Right, errors over the degree on
#   a logarithmic axis: on the training set, falling to zero; on new points, falling to degree 3 and rising beyond the
#   frame at degree 14; expectations at the training points, dashed, part in the same way, less far.
# caption: Left: fits of degree 1, 3 and 14; dotted, the truth. Right: squared errors of these fits on the training set
#   and on new data between (solid), and what is expected of both at the training points (dashed).
fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.3), layout="constrained")
left.plot(x, y, "C0o", markersize=4)
left.plot(span, np.sin(3 * span), "C4:")
for degree, style in ((1, "C1-."), (3, "C2-"), (14, "C3--")):
    left.plot(span, fits[degree], style, label=f"degree {degree}")
left.set(xlabel="x", ylabel="y", ylim=(-2.4, 2.4))
left.legend(fontsize="small", loc="upper left")
right.semilogy(degrees[:-1], train[:-1], "C0-", label="training")
right.semilogy(degrees, between, "C1-", label="new data")
right.semilogy(degrees[:-1], expected[:-1, 0], "C0--", linewidth=1)
right.semilogy(degrees, expected[:, 1], "C1--", linewidth=1)
right.set(xlabel="degree", ylabel="mean squared error", ylim=(1e-3, 30))
right.legend()

# %%
# Random labels
# -------------
#
# 300 handwritten digits, and a network with 200 units: with their labels, and with labels drawn at random.

images, digits = load_digits(return_X_y=True)
images = (images / 16).astype(np.float32)
order = rng.permutation(len(digits))
known, new = order[:300], order[300:800]
truth, drawn = digits[known], rng.integers(0, 10, 300)


def scores(params, inputs):
    w1, b1, w2, b2 = params
    return dense(relu(dense(inputs, w1, b1)), w2, b2)


def loss(params, inputs, target):
    return cross_entropy(scores(params, inputs), target)


def right_share(params, inputs, target):
    return float(np.mean(np.argmax(scores(params, inputs), axis=1) == target))


start = tuple(
    (rng.normal(size=s) * scale).astype(np.float32)
    for s, scale in (((200, 64), 0.18), ((200,), 0.0), ((10, 200), 0.1), ((10,), 0.0))
)
curves = {}
for name, labels in (("true labels", truth), ("random labels", drawn)):
    metrics = {
        "training": lambda p, labels=labels: right_share(p, images[known], labels),
        "new data": lambda p: right_share(p, images[new], digits[new]),
    }
    data = images[known], labels
    run = fit(loss, start, data, adam, adam_state, lr=0.005, epochs=60, batch_size=30, rng=rng, metrics=metrics)
    curves[name] = {key: np.array(values) for key, values in run.history.metrics.items()}
epoch_of = {name: int(np.argmax(c["training"] == 1.0)) for name, c in curves.items()}
assert all(c["training"].max() == 1.0 for c in curves.values()), "both are learned to the last example"
assert curves["true labels"]["new data"][-1] > 0.8 and curves["random labels"]["new data"][-1] < 0.25
assert epoch_of["random labels"] > 2 * epoch_of["true labels"], "random labels take longer"

# %%
# Past the threshold
# ------------------
#
# 40 examples of 400 normal features whose weights fall off; least squares on the first p of them, the shortest solution
# where there are many. Then the same with random ReLU features of ten inputs, where no formula is at hand.

n, noise = 40, 0.5
weights = 1.2 / np.sqrt(1 + np.arange(400)) / np.sqrt(6)
sizes = np.unique(np.concatenate([np.arange(2, 60, 3), np.geomspace(60, 400, 8).astype(int)]))
total = np.concatenate([[0], np.cumsum(weights**2)])
theory = least_squares_errors(n, sizes, total[sizes], total[-1] - total[sizes], noise)
measured, relu_errors = np.empty((2, len(sizes))), np.empty((2, len(sizes)))
for i, p in enumerate(sizes):
    tests = []
    for _ in range(5):
        z = rng.normal(size=(n, 400))
        w = np.linalg.lstsq(z[:, :p], z @ weights + noise * rng.normal(size=n), rcond=None)[0]
        tests.append(np.square(w - weights[:p]).sum() + total[-1] - total[p] + noise**2)
    measured[:, i] = np.median(tests), np.mean(tests)
    tests, trains = [], []
    for _ in range(5):
        inputs, v = rng.normal(size=(n + 200, 10)), rng.normal(size=(p, 10)) / np.sqrt(10)
        target = np.sin(inputs[:, 0]) + inputs[:, 1] * inputs[:, 2] / 2 + 0.3 * rng.normal(size=n + 200)
        features = relu(inputs @ v.T) / np.sqrt(p)
        w = np.linalg.lstsq(features[:n], target[:n], rcond=None)[0]
        trains.append(np.mean((target[:n] - features[:n] @ w) ** 2))
        tests.append(np.mean((target[n:] - features[n:] @ w) ** 2))
    relu_errors[:, i] = np.median(trains), np.median(tests)
peak = sizes[relu_errors[1].argmax()]
assert 34 <= peak <= 46 and relu_errors[0][sizes > 60].max() < 1e-12
assert relu_errors[1][-1] < 0.2 * relu_errors[1].max() and relu_errors[1][-1] < relu_errors[1][sizes < 36].max()
assert theory.test[-1] < 0.3 * theory.test[np.isfinite(theory.test)].max()
away = np.abs(sizes - n) > 6
assert np.abs(np.log(measured[1][away] / theory.test[away])).max() < 1, "few draws, and long tails"

# alt: Left, shares of right answers over 60 epochs: with true labels both curves rise to one and to about 95 percent
#   within a few epochs; with random labels the training curve also reaches one, later, and new data stay near 10
#   percent. Right, squared error over the number of features on logarithmic axes: both curves rise to a peak at 40,
#   marked by a dotted line, and fall again beyond it; the training error of the ReLU features is zero from there on.
# caption: Left: a network on 300 digits with true and with random labels. Right: least squares on 40 examples, with
#   normal features (solid: expectation; dots: mean of 5 draws) and with random ReLU features (dashed: median of 5;
#   thin: on the training set).
fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.3), layout="constrained")
for (name, curve), color in zip(curves.items(), ("C0", "C1"), strict=True):
    left.plot(np.arange(1, 61), curve["training"], color + "-", label=f"{name}, training")
    left.plot(np.arange(1, 61), curve["new data"], color + "--", label=f"{name}, new data")
left.set(xlabel="epoch", ylabel="share right", ylim=(0, 1.03))
left.legend(fontsize="small", loc="center right")
finite = np.isfinite(theory.test)
right.loglog(sizes[finite & (sizes < n)], theory.test[finite & (sizes < n)], "C2-", label="normal features")
right.loglog(sizes[finite & (sizes > n)], theory.test[finite & (sizes > n)], "C2-")
right.loglog(sizes[finite], measured[1][finite], "C2o", markersize=3)
right.loglog(sizes, relu_errors[1], "C3--", label="ReLU features")
right.loglog(sizes, np.where(relu_errors[0] > 1e-6, relu_errors[0], np.nan), "C3--", linewidth=0.8)
right.axvline(n, color="C4", linestyle=":")
right.set(xlabel="features", ylabel="mean squared error", ylim=(0.1, 100))
right.legend(fontsize="small")

# %%
# Wider networks
# --------------
#
# The same 300 digits, and 1,000 new ones; of both sets a fifth have a label drawn at random. Only the number of hidden
# units differs.

new = order[300:1300]
labels = np.where(rng.random(len(digits)) < 0.2, rng.integers(0, 10, len(digits)), digits)
widths = np.array([8, 16, 32, 64, 128])
wrong = []
for width in widths:
    scales = ((width, 64), 0.18), ((width,), 0.0), ((10, width), 1.4 / np.sqrt(width)), ((10,), 0.0)
    start = tuple((rng.normal(size=s) * scale).astype(np.float32) for s, scale in scales)
    data = images[known], labels[known]
    run = fit(loss, start, data, adam, adam_state, lr=0.01, epochs=50, batch_size=75, rng=rng)
    wrong.append([1 - right_share(run.params, images[rows], labels[rows]) for rows in (known, new)])
few, many = np.array(wrong).T
assert few[-1] < 0.05 < few[0] and many[-1] - few[-1] > 1.5 * (many[0] - few[0]), "the gap grows with the width"
assert many[-1] < many[0] + 0.1, "and new data hardly notice"

# alt: Share of wrong answers over the number of hidden units from 8 to 128, on a logarithmic axis. On the training set
#   it falls from about a quarter to zero. On new data it stays near a third at all widths, above a dotted line at 0.18.
# caption: Wrong answers of networks of one hidden layer, where a fifth of all labels are drawn at random; dotted, the
#   share of labels that are wrong. The gap more than doubles, although the error on new data hardly changes.
fig, ax = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
ax.semilogx(widths, many, "C1s--", label="new data")
ax.semilogx(widths, few, "C0o-", label="training")
ax.axhline(0.18, color="C4", linestyle=":")
ax.minorticks_off()
ax.set_xticks(widths, [str(width) for width in widths])
ax.set(xlabel="hidden units", ylabel="share wrong", ylim=(0, None))
ax.legend()
