"""
True positive rate: how good the test is, and where the threshold stands
========================================================================

A threshold on a score fixes four rates at once. They mix two questions: how far apart the classes are, and how willing
one is to call. In the model of two normal distributions of equal width two numbers separate them, and a sample's
curve shows how far to trust the model.
"""

# %%
# A moving threshold
# ------------------
#
# The means are 1.5 standard deviations apart. What lies to the right of the threshold is called positive: of the
# positives the true positive rate, of the negatives the false positive rate. What lies to the left completes each to 1.

from statistics import NormalDist

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from dlref.metrics import (
    binormal_curve,
    binormal_rates,
    roc_auc,
    roc_curve,
    signal_detection,
    threshold_rates,
    trapezoid_area,
)

d_prime, thresholds = 1.5, np.array([0.0, 0.75, 1.5])
rates = binormal_rates(thresholds, d_prime)
found = signal_detection(rates.tpr, rates.fpr)
assert np.allclose(found.d_prime, d_prime) and np.allclose(found.criterion, thresholds - d_prime / 2)
assert np.allclose(rates.tpr + rates.fnr, 1) and np.allclose(rates.fpr + rates.tnr, 1)
rng = np.random.default_rng(0)
sample = np.concatenate([rng.normal(size=40_000), rng.normal(size=40_000) + d_prime])
drawn = threshold_rates(sample, np.repeat([0, 1], 40_000), thresholds)
assert np.abs(drawn.tpr - rates.tpr).max() < 0.01 and np.abs(drawn.fpr - rates.fpr).max() < 0.01

# alt: Three panels with the same two bell curves, negatives on the left and positives on the right, and a vertical
#   threshold that moves to the right from panel to panel. The parts right of it are filled. From panel to panel the
#   true positive rate falls from 93 to 77 to 50 percent and the false positive rate from 50 to 23 to 7.
# caption: Three thresholds on two distributions 1.5 apart. Filled: what is called positive. The criterion c changes
#   from panel to panel, the distance does not.
x = np.linspace(-3, 4.6, 153)
densities = {"C0": np.exp(-(x**2) / 2), "C1": np.exp(-((x - d_prime) ** 2) / 2)}
fig, axes = plt.subplots(1, 3, figsize=(8, 3), layout="constrained", sharey=True)
for k, (ax, t) in enumerate(zip(axes, thresholds, strict=True)):
    for (color, y), style, name in zip(densities.items(), ("-", "--"), ("negatives", "positives"), strict=True):
        ax.plot(x, y, color=color, linestyle=style, label=name)
        ax.fill_between(x, y, where=x >= t, color=color, alpha=0.3, linewidth=0)
    ax.plot([t, t], [0, 1.08], "C2", linewidth=1.5)
    ax.set(title=f"c = {round(found.criterion[k], 2) + 0:g}", xlabel="score", yticks=[], ylim=(0, 1.55))
    percent = "TPR {:.0%}  FPR {:.0%}\nFNR {:.0%}  TNR {:.0%}"
    text = percent.format(rates.tpr[k], rates.fpr[k], rates.fnr[k], rates.tnr[k])
    ax.text(0.5, 0.96, text, transform=ax.transAxes, ha="center", va="top")
axes[0].legend(loc="upper left", bbox_to_anchor=(0, 0.82), frameon=False, fontsize="small")
assert [round(float(v), 2) for v in rates.tpr] == [0.93, 0.77, 0.5]

# %%
# A sample against the model
# --------------------------
#
# Malignant or benign by a linear discriminant, whose score is as normal as data allow. One number, the d' that has the
# area of the sample's curve, draws the model's. On axes of normal quantiles the model is a straight line of slope 1;
# another slope means that one class is spread more widely. But samples of the model itself, with as many cases, have
# slopes from about 0.8 to 1.2 and miss their model's curve as far: 284 cases hardly tell the data from the model.

data = load_breast_cancer()
columns = [list(data.feature_names).index(name) for name in ("mean texture", "mean smoothness", "mean symmetry")]
x, malignant = data.data[:, columns], data.target == 0
normal = NormalDist()
quantile = np.vectorize(normal.inv_cdf)


def against_model(score, target):
    """Return the ROC curve, its area, its points in quantiles, its slope there, and how far off the model's is."""
    curve, area = roc_curve(score, target), roc_auc(score, target)
    inside = (curve.fpr > 0) & (curve.fpr < 1) & (curve.tpr > 0) & (curve.tpr < 1)
    across, up = quantile(curve.fpr[inside]), quantile(curve.tpr[inside])
    model = binormal_curve(curve.fpr, 2**0.5 * normal.inv_cdf(area))
    return curve, area, across, up, np.polyfit(across, up, 1)[0], np.abs(curve.tpr - model).max()


def held_out(seed):
    order = np.random.default_rng(seed).permutation(len(x))
    train, test = order[:285], order[285:]
    score = LinearDiscriminantAnalysis().fit(x[train], malignant[train]).decision_function(x[test])
    return against_model(score, malignant[test])


splits = [held_out(seed) for seed in range(5)]
curve, area, across, up, _, _ = splits[0]
d_prime, grid, target = 2**0.5 * normal.inv_cdf(area), np.linspace(0, 1, 201), np.arange(284) < 108
model = binormal_curve(grid, d_prime)
drawn = [against_model(rng.normal(size=284) + d_prime * target, target) for _ in range(200)]
(slopes, gaps), (model_slopes, model_gaps) = (np.transpose([row[4:] for row in rows]) for rows in (splits, drawn))
low, high = np.quantile(model_slopes, [0.05, 0.95])
assert abs(np.mean(model_slopes) - 1) < 0.1 and low < 0.9 < 1.1 < high
far, farthest = np.quantile(model_gaps, 0.95), min(np.max(c.tpr - c.fpr) for c, *_ in splits)
assert gaps.mean() < far < 0.8 * farthest, "no worse than the model's samples; d' = 0 is"
assert abs(trapezoid_area(grid, model) - area) < 1e-3

# alt: Left, a staircase ROC curve and a smooth one that follows it closely. Right, the same on axes of normal
#   quantiles: a ragged line of steps about a straight line of slope one, and four thin ragged lines beside it, some of
#   them a little steeper.
# caption: Left, the ROC curve of 284 breast-cancer cases and the model's with the same area. Right, the same curves in
#   normal quantiles, where the model is a straight line at height d'; thin, the curves of four other splits.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.6), layout="constrained")
left.plot(curve.fpr, curve.tpr, "C0-", label="sample")
left.plot(grid, model, "C1--", label=f"two normals, d' = {d_prime:.2f}")
for _, _, other_across, other_up, _, _ in splits[1:]:
    right.plot(other_across, other_up, "C4-", linewidth=0.7, alpha=0.7)
right.plot(across, up, "C0-")
ends = np.array([across.min(), across.max()])
right.plot(ends, d_prime + ends, "C1--")
left.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
right.set(xlabel="quantile of the false positive rate", ylabel="quantile of the true positive rate")
left.legend(loc="lower right")
print(f"Slopes {np.round(slopes, 2)}; of the model's samples 90 percent from {low:.2f} to {high:.2f}")
print(f"Farthest apart {np.round(gaps, 2)}; of the model's samples 95 percent below {far:.2f}")
