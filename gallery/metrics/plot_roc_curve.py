"""
ROC curve: what one score can offer
===================================

A score that ranks cases is a family of classifiers, one for each threshold. The ROC curve shows them all at once, and
the area below is the chance that a positive outranks a negative. It is the same at every prevalence, which is its
strength and its blind spot: where positives are rare, a good curve can stand for a poor precision.
"""

# %%
# Two classifiers
# ---------------
#
# Malignant or benign, from three measurements that do not settle it. A logistic regression gives every case a score of
# its own; a small tree has one score for each leaf, so that its curve has as many straight pieces as it has leaves.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from dlref.metrics import roc_auc, roc_auc_interval, roc_curve, roc_hull, trapezoid_area

data = load_breast_cancer()
columns = [list(data.feature_names).index(name) for name in ("mean texture", "mean smoothness", "mean symmetry")]
x, malignant = data.data[:, columns], data.target == 0
models = {
    "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
    "tree of depth 2": DecisionTreeClassifier(max_depth=2, random_state=0),
}


def held_out(seed):
    """Return the scores of both models on the half of the cases that they were not trained on, and the truth."""
    order = np.random.default_rng(seed).permutation(len(x))
    train, test = order[:285], order[285:]
    fitted = {name: model.fit(x[train], malignant[train]) for name, model in models.items()}
    return {name: model.predict_proba(x[test])[:, 1] for name, model in fitted.items()}, malignant[test]


splits = [held_out(seed) for seed in range(5)]
line, tree = np.array([[roc_auc(score, truth) for score in scores.values()] for scores, truth in splits]).T
assert (line > tree).all() and line.mean() - tree.mean() > 0.02 and tree.min() > 0.65, (line, tree)
scores, truth = splits[0]
areas = {name: roc_auc_interval(score, truth) for name, score in scores.items()}
hull = roc_hull(scores["logistic regression"], truth)
assert len(np.unique(scores["tree of depth 2"])) == 4
for name, score in scores.items():
    curve = roc_curve(score, truth)
    assert abs(trapezoid_area(curve.fpr, curve.tpr) - areas[name].auc) < 1e-12

# alt: Two rising curves in the unit square, both above the diagonal. That of the logistic regression is a fine
#   staircase; that of the tree consists of four straight pieces below it. A dotted line spans the corners of the
#   staircase.
# caption: ROC curves on 284 breast-cancer cases that were not trained on, and the 95-percent intervals of their areas.
#   Dotted: the convex hull of the staircase.
fig, ax = plt.subplots(figsize=(5.2, 5), layout="constrained")
for (name, score), style in zip(scores.items(), ("C0-", "C1--"), strict=True):
    curve, interval = roc_curve(score, truth), areas[name]
    label = f"{name}: {interval.auc:.2f}, from {interval.low:.2f} to {interval.high:.2f}"
    ax.plot(curve.fpr, curve.tpr, style, label=label)
ax.plot(hull.fpr, hull.tpr, "C2:", label="hull")
ax.plot([0, 1], [0, 1], "C4-", linewidth=1)
ax.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
ax.legend(loc="lower right")

# %%
# The histograms behind the curve
# -------------------------------
#
# A threshold cuts both histograms. What lies to its right, as a share of each class, is one point of the curve.

score = scores["logistic regression"]
curve = roc_curve(score, truth)
thresholds = {"C2": 0.6, "C3": 0.3}

# alt: Left, two overlapping histograms of scores from 0 to 1: benign cases mostly below 0.5, malignant ones spread
#   widely. Two vertical lines stand at 0.3 and 0.6. Right, the curve with two dots, the one of 0.6 low and to the left,
#   the one of 0.3 higher and to the right.
# caption: Scores of the logistic regression by class, with two thresholds, and their points on the curve.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.6), layout="constrained")
bins = np.linspace(0, 1, 21)
left.hist(score[~truth], bins, density=True, color="C0", alpha=0.5, label="benign")
left.hist(score[truth], bins, density=True, histtype="step", color="C1", linewidth=2, label="malignant")
right.plot(curve.fpr, curve.tpr, "C0-")
for (color, t), style, marker in zip(thresholds.items(), ("--", "-."), ("o", "s"), strict=True):
    k = np.searchsorted(-curve.threshold, -t, side="right") - 1
    point = (score[~truth] >= t).mean(), (score[truth] >= t).mean()
    assert np.allclose(point, (curve.fpr[k], curve.tpr[k]))
    left.axvline(t, color=color, linestyle=style)
    right.plot(*point, color=color, marker=marker, linestyle="none", label=f"threshold {t}")
left.set(xlabel="score", ylabel="density", ylim=(0, 4.4))
right.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
left.legend(loc="upper right")
right.legend(loc="lower right")

# %%
# The same curve at three prevalences
# -----------------------------------
#
# Weights make the positives as rare as we like. The ROC curve does not move; the precision falls. The numbers at the
# end are means of five splits.


def weighted_curve(score, truth, prevalence):
    """Return the ROC curve of cases that weigh as if this share were positive, and the precision at its points."""
    weight = np.where(truth, prevalence / truth.mean(), (1 - prevalence) / (1 - truth.mean()))
    weighted = roc_curve(score, truth, weight)
    hits, misses = prevalence * weighted.tpr[1:], (1 - prevalence) * weighted.fpr[1:]
    assert abs(roc_auc(score, truth, weight) - roc_auc(score, truth)) < 1e-12
    return weighted, hits / (hits + misses)


# alt: Left, three ROC curves that lie on one another. Right, three curves of precision against recall, one for each
#   prevalence: the one for 50 percent high, the one for 10 percent well below it, the one for 1 percent near the floor.
# caption: One score at three prevalences. The ROC curves are the same; the precision at a given recall is not.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.6), layout="constrained")
at_half = {}
styles = {0.5: ("-", 5.0), 0.1: ("--", 3.0), 0.01: (":", 1.5)}
for color, (prevalence, (style, width)) in zip(("C0", "C1", "C2"), styles.items(), strict=True):
    weighted, precision = weighted_curve(score, truth, prevalence)
    assert np.allclose(weighted.fpr, curve.fpr) and np.allclose(weighted.tpr, curve.tpr)
    pairs = [weighted_curve(scores["logistic regression"], truth, prevalence) for scores, truth in splits]
    at_half[prevalence] = float(np.mean([p[np.searchsorted(w.tpr[1:], 0.5)] for w, p in pairs]))
    left.plot(weighted.fpr, weighted.tpr, color=color, linestyle=style, linewidth=width, label=f"{prevalence:.0%}")
    right.plot(weighted.tpr[1:], precision, color=color, linestyle=style)
assert at_half[0.5] > 0.75 and at_half[0.01] < 0.1, at_half
left.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
right.set(xlabel="recall, the true positive rate", ylabel="precision", ylim=(-0.02, 1.02))
left.legend(title="positives", loc="lower right")
print("Precision where half the positives are found:", {f"{k:.0%}": round(v, 2) for k, v in at_half.items()})
