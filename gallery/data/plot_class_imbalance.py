"""
Class imbalance: the measure and the threshold suffer first
===========================================================

Where one class is rare, a classifier that never names it is nearly always right. Much of what is called the problem of
imbalance is this measure, and a threshold that was chosen for other costs. Making copies of the rare class moves the
threshold, and so does one number.
"""

# %%
# Accuracy as the ratio grows
# ---------------------------
#
# Two normal classes in the plane, two standard deviations apart, and logistic regressions on samples with one positive
# for r negatives. The separation of the classes never changes: with the threshold for equal shares, Phi(1) = 0.84 of
# each class are right at best.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

from dlref.data import imbalance_ratio, prior_shift, random_oversample, smote
from dlref.metrics import accuracy, balanced_accuracy, confusion_matrix

rng = np.random.default_rng(0)


def sample(negatives, positives):
    x = rng.normal(size=(negatives + positives, 2))
    y = np.repeat([0, 1], [negatives, positives])
    x[y == 1, 0] += 2
    return x, y


ratios, rows = np.array([1, 2, 5, 10, 20, 50, 100]), []
for r in ratios:
    x, y = sample(r * 400, 400)
    model = LogisticRegression().fit(x, y)
    tested, truth = sample(r * 4000, 4000)
    assert imbalance_ratio(truth) == r
    table = confusion_matrix(model.predict(tested), truth)
    majority = confusion_matrix(np.zeros_like(truth), truth)
    shifted = prior_shift(model.predict_proba(tested), [r, 1], [1, 1])[:, 1] > 0.5
    at_half = balanced_accuracy(confusion_matrix(shifted, truth))
    rows.append((accuracy(table), accuracy(majority), balanced_accuracy(table), at_half))
rows = np.array(rows)
assert np.allclose(rows[:, 1], ratios / (ratios + 1)) and (np.diff(rows[2:, 0]) > 0).all()
assert rows[0, 2] > 0.8 > 0.6 > rows[-1, 2] and rows[:, 3].min() > 0.8
assert abs(rows[-1, 0] - rows[-1, 1]) < 0.01

# alt: Four curves against the imbalance ratio from 1 to 100. The accuracy of the model and that of always calling the
#   majority both rise towards 1 and meet. The balanced accuracy of the model falls from 0.84 towards 0.5. With the
#   probabilities shifted to equal classes it stays at 0.84.
# caption: Logistic regressions on ever rarer positives. Accuracy meets that of always saying "negative"; balanced
#   accuracy falls, unless the threshold accounts for the shares.
fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
curves = ("accuracy", "accuracy of the majority class", "balanced accuracy", "balanced, after the prior shift")
for values, name, style in zip(rows.T, curves, ("C0o-", "C1s--", "C2^-", "C3d-."), strict=True):
    ax.semilogx(ratios, values, style, label=name)
ax.set(xlabel="negatives for each positive", ylim=(0.1, 1.02))
ax.legend(loc="lower right")

# %%
# What resampling moves
# ---------------------
#
# At a ratio of 20 the same model is fitted to the sample as it is, to one with copies of the positives, and to one with
# synthetic ones. The boundaries are nearly parallel. The first one, with its threshold moved by the logarithm of the
# ratio, is nearly the second.

x, y = sample(2000, 100)
copied = random_oversample(y, rng)
made = smote(x[y == 1], 1900, rng)
sets = {
    "as it is": (x, y),
    "oversampled": (x[copied], y[copied]),
    "SMOTE": (np.concatenate([x, made]), np.concatenate([y, np.ones(1900, int)])),
}
lines = {}
for name, (points, labels) in sets.items():
    model = LogisticRegression(C=1e6).fit(points, labels)
    lines[name] = (*model.coef_[0], model.intercept_[0])
first = lines["as it is"]
lines["as it is, threshold moved"] = (*first[:2], first[2] + np.log(20))


def crossing(line, height):
    """Return where the boundary is at this height."""
    a, b, c = line
    return -(c + b * height) / a


at_zero = {name: crossing(line, 0.0) for name, line in lines.items()}
assert at_zero["as it is"] > at_zero["oversampled"] + 1, at_zero
assert abs(at_zero["oversampled"] - at_zero["as it is, threshold moved"]) < 0.15
assert abs(at_zero["SMOTE"] - at_zero["oversampled"]) < 0.15
ideal = 1 + np.log(20) / 2
assert abs(at_zero["as it is"] - ideal) < 0.2 and abs(at_zero["oversampled"] - 1) < 0.2

# alt: A cloud of many negatives around the origin and a small one of positives two to the right. One steep line stands
#   far to the right, among the positives; three lines lie close together half way between the clouds.
# caption: Boundaries of logistic regressions on 2000 negatives and 100 positives. Resampling moves the line; so does
#   the threshold.
shown = np.concatenate([rng.choice(2000, 300, replace=False), np.arange(2000, 2100)])
fig, ax = plt.subplots(figsize=(6, 4.2), layout="constrained")
for label, color, marker in ((0, "C0", "."), (1, "C1", "+")):
    chosen = shown[y[shown] == label]
    ax.plot(*x[chosen].T, color + marker, markersize=4, alpha=0.6, rasterized=True)
height = np.array([-3.0, 3.0])
for (name, line), style in zip(lines.items(), ("C2-", "C3--", "C4-.", "C2:"), strict=True):
    ax.plot(crossing(line, height), height, style, linewidth=2, label=name)
ax.set(xlim=(-3, 5), ylim=(-3, 3), xlabel="feature 1", ylabel="feature 2")
ax.legend(loc="lower right", fontsize="small")
print({name: round(float(value), 2) for name, value in at_zero.items()}, f"ideal {ideal:.2f} and 1")
