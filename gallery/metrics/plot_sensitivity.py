"""
Sensitivity: a rate that few positives leave uncertain
======================================================

A threshold trades sensitivity against specificity: each case that crosses it changes one of the two. Both are shares
of counts, and the fewer cases a class has, the less its share says. What a 95-percent interval covers can be computed
exactly, and the interval of the textbooks does not hold what it promises.
"""

# %%
# Over the threshold
# ------------------
#
# Malignant or benign, from three measurements that do not settle it, by a logistic regression. The bands are exact
# intervals. There are fewer malignant cases, so that the band of the sensitivity is the wider one. The thin lines
# are four other halves of the cases.

import math

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dlref.metrics import clopper_pearson_interval, confusion_matrix, recall, specificity, wilson_interval

data = load_breast_cancer()
columns = [list(data.feature_names).index(name) for name in ("mean texture", "mean smoothness", "mean symmetry")]
x, malignant = data.data[:, columns], data.target == 0
thresholds = np.linspace(0, 1, 101)


def held_out(seed):
    """Return the confusion tables at all thresholds, on the half of the cases that were not trained on."""
    order = np.random.default_rng(seed).permutation(len(x))
    train, test = order[:285], order[285:]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x[train], malignant[train])
    score, truth = model.predict_proba(x[test])[:, 1], malignant[test]
    return np.array([confusion_matrix(score >= t, truth) for t in thresholds])


splits = [held_out(seed) for seed in range(5)]
rates = np.array([[[recall(table), specificity(table)] for table in tables] for tables in splits])
tables, (found, spared) = splits[0], rates[0].T
low, high = clopper_pearson_interval(tables[:, 1, 1], tables[:, 1].sum(1))
low_spared, high_spared = clopper_pearson_interval(tables[:, 0, 0], tables[:, 0].sum(1))
assert (np.diff(rates[..., 0]) <= 0).all() and (np.diff(rates[..., 1]) >= 0).all()
assert (low <= found).all() and (found <= high).all()
assert tables[0].sum(1).tolist() == [176, 108] and np.mean(high - low) > 1.2 * np.mean(high_spared - low_spared)
crossing = np.abs(rates[..., 0] - rates[..., 1]).argmin(axis=1)
there = rates[np.arange(5), crossing].mean(axis=1)
assert 0.25 < thresholds[crossing].min() < thresholds[crossing].max() < 0.5 and 0.65 < there.min() < there.max() < 0.85

# alt: Two curves over the threshold, each in a band, with thin curves of other splits beside. Sensitivity falls from 1
#   to 0 and specificity rises from 0 to 1; they cross near a threshold of 0.38, at about three quarters.
# caption: Sensitivity and specificity on 284 breast-cancer cases, 108 of them malignant, with exact 95-percent
#   intervals; thin, four other splits. No threshold raises one without risking the other.
fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
ax.fill_between(thresholds, low, high, color="C0", alpha=0.2, linewidth=0)
ax.fill_between(thresholds, low_spared, high_spared, color="C1", alpha=0.2, linewidth=0)
for other in rates[1:]:
    ax.plot(thresholds, other[:, 0], "C0-", thresholds, other[:, 1], "C1--", linewidth=0.6, alpha=0.6)
ax.plot(thresholds, found, "C0-", label="sensitivity")
ax.plot(thresholds, spared, "C1--", label="specificity")
ax.set(xlabel="threshold", ylabel="share", xlim=(0, 1), ylim=(0, 1.02))
ax.legend(loc="center right")
print("They cross at the thresholds", thresholds[crossing], "at the shares", there.round(2))

# %%
# How many positives, and which interval
# --------------------------------------
#
# Nine of ten positives are found. With ten positives that is any rate from 0.56 to 1; the width falls with the square
# root of their number, whatever the number of negatives. On the right the probability that an interval from 30
# positives holds the true rate, summed over all outcomes: the exact interval never has less than it promises, Wilson's
# has it on average, and the estimate plus and minus 1.96 standard errors falls to zero at the ends.

positives = np.unique(np.geomspace(10, 3000, 40).astype(int) // 10 * 10)
exact = clopper_pearson_interval(0.9 * positives, positives)
wilson = wilson_interval(0.9 * positives, positives)
width = exact.high - exact.low
assert 0.44 < width[0] < 0.45 and abs(width[-1] * math.sqrt(3000) / (2 * 1.96 * 0.3) - 1) < 0.05
assert (width > wilson.high - wilson.low).all()

rates, hits = np.linspace(0.002, 0.998, 499), np.arange(31.0)
chance = np.array([math.comb(30, int(k)) * rates**k * (1 - rates) ** (30 - k) for k in hits])
reach = 1.96 * np.sqrt(hits / 30 * (1 - hits / 30) / 30)
ends = {
    "exact": clopper_pearson_interval(hits, np.full(31, 30.0)),
    "Wilson": wilson_interval(hits, np.full(31, 30.0)),
    "1.96 standard errors": (hits / 30 - reach, hits / 30 + reach),
}
held = {name: np.sum(chance * ((a[:, None] <= rates) & (rates <= b[:, None])), axis=0) for name, (a, b) in ends.items()}
assert held["exact"].min() >= 0.95 > held["Wilson"].min() > 0.8
assert abs(held["Wilson"].mean() - 0.95) < 0.01 and held["1.96 standard errors"].min() < 0.1
assert held["1.96 standard errors"].mean() < 0.9

# alt: Left, two nearly parallel falling lines on logarithmic axes: the width of the exact and of the Wilson interval
#   against the number of positives, the exact one slightly above. Right, three jagged curves of coverage against the
#   true rate: the exact one stays above 0.95, Wilson's jumps around 0.95, and the third lies mostly below and plunges
#   at both ends.
# caption: Left, the width of 95-percent intervals when 90 percent of the positives were found. Right, their exact
#   coverage with 30 positives.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.6), layout="constrained")
left.loglog(positives, width, "C0-", label="exact")
left.loglog(positives, wilson.high - wilson.low, "C1--", label="Wilson")
left.set(xlabel="positives", ylabel="width of the interval")
left.legend()
for (name, y), style in zip(held.items(), ("C0-", "C1--", "C2:"), strict=True):
    right.plot(rates, y, style, label=name, linewidth=1.2)
right.axhline(0.95, color="C4", linewidth=0.8)
right.set(xlabel="true sensitivity", ylabel="coverage", ylim=(0.7, 1.005))
right.legend(loc="lower center", framealpha=0.9)
