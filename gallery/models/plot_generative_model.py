"""
Generative model: data out of a likelihood
==========================================

A model of how data come about can be run backward, to classify, and forward, to make data. What it draws shows what it
assumes. And the simple assumptions of naive Bayes are worth something while there are few examples. Text drawn letter
by letter looks the more like its source the more letters each draw remembers, and the table is the sooner too large
for the text it was counted from.
"""

# %%
# Drawn digits
# ------------
#
# Both models take the 64 pixels of a digit as independent normal numbers: naive Bayes within each of ten classes, the
# mixture within each of sixty components that no one has named. More components leave less to independence, and give
# held-out digits a higher likelihood.

from pydoc_data.topics import topics

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.linear_model import LogisticRegression

from dlref.data import stratified_split
from dlref.models import (
    gaussian_log_joint,
    gaussian_sample,
    mixture_em,
    naive_bayes,
    ngram,
    ngram_log_likelihood,
    ngram_sample,
)

pixels, digit = load_digits(return_X_y=True)
pixels = (pixels + np.random.default_rng(0).uniform(size=pixels.shape)) / 17
split = stratified_split(digit, 0.25, np.random.default_rng(1))
x, held_out = pixels[split.training], pixels[split.test]


def log_likelihood(model, x):
    joint = gaussian_log_joint(model, x)
    return np.logaddexp.reduce(joint, axis=1).mean()


bayes = naive_bayes(x, digit[split.training], 10, floor=0.01)
starts = np.random.default_rng(2).choice(len(x), 60, replace=False)
fit = mixture_em(x, x[starts], steps=15, floor=1e-3)
reached = {"naive Bayes": log_likelihood(bayes, held_out), "mixture of 60": log_likelihood(fit.model, held_out)}
right = np.mean(gaussian_log_joint(bayes, held_out).argmax(axis=1) == digit[split.test])
assert reached["mixture of 60"] > reached["naive Bayes"] + 5 and right > 0.8, (reached, right)
assert np.all(np.diff(fit.log_likelihood) > -1e-6)

# alt: Three rows of eight small gray pictures. The first shows handwritten digits. The second shows grainy shapes,
#   some of which can be read. The third shows smoother ones with fewer stray pixels.
# caption: Held-out digits (top), digits drawn from naive Bayes (middle) and from a mixture of sixty (bottom).
drawn = [held_out[:8], gaussian_sample(bayes, 8, np.random.default_rng(3)).x]
drawn.append(gaussian_sample(fit.model, 8, np.random.default_rng(3)).x)
fig, axes = plt.subplots(3, 8, figsize=(6, 2.7), layout="constrained")
for row, pictures, name in zip(axes, drawn, ("data", "naive Bayes", "mixture"), strict=True):
    row[0].set_ylabel(name)
    for ax, picture in zip(row, pictures, strict=True):
        ax.imshow(picture.reshape(8, 8), cmap="gray", vmin=0, vmax=1, interpolation="none")
        ax.set(xticks=[], yticks=[])

# %%
# Few examples and many
# ---------------------
#
# Naive Bayes against logistic regression, with ever more examples for training, on two data sets. On the irises naive
# Bayes is ahead with two examples of each species, level with a few more, and behind with many. On the tumors, whose
# thirty measurements are far from independent, it is never ahead by much.


def errors(x, y, sizes, repeats):
    """Return the held-out error of both classifiers for each size, averaged over splits."""
    classes, found = y.max() + 1, np.empty((repeats, len(sizes), 2))
    for repeat, row in enumerate(found):
        rng = np.random.default_rng(repeat)
        split = stratified_split(y, 0.3, rng)
        order = rng.permutation(split.training)
        first = np.concatenate([order[y[order] == k][:2] for k in range(classes)])
        order = np.concatenate([first, np.setdiff1d(order, first)[rng.permutation(len(order) - len(first))]])
        for size, result in zip(sizes, row, strict=True):
            rows = order[:size]
            center, scale = x[rows].mean(0), x[rows].std(0) + 1e-9
            a, b = (x[rows] - center) / scale, (x[split.test] - center) / scale
            model = naive_bayes(a, y[rows], classes, floor=0.05)
            linear = LogisticRegression(C=1000, max_iter=200).fit(a, y[rows])
            called = gaussian_log_joint(model, b).argmax(axis=1), linear.predict(b)
            result[:] = [np.mean(c != y[split.test]) for c in called]
    return found.mean(axis=0)


sets = {
    "iris": (load_iris, [6, 10, 30, 100], 200),
    "breast cancer": (load_breast_cancer, [6, 10, 16, 30, 60, 120, 300], 10),
}
found = {name: errors(*load(return_X_y=True), *rest) for name, (load, *rest) in sets.items()}
iris, cancer = found["iris"], found["breast cancer"]
assert iris[0, 0] < iris[0, 1] and iris[-1, 0] > iris[-1, 1], iris
assert (cancer[:, 1] < cancer[:, 0] + 0.04).all() and cancer[-1, 1] < 0.85 * cancer[-1, 0], cancer

# alt: Two panels of held-out error against the number of training examples on a logarithmic axis. For the irises the
#   falling curves cross: naive Bayes is lower on the left, logistic regression on the right. For breast cancer logistic
#   regression is nowhere clearly above, and far lower on the right.
# caption: Held-out error over the number of training examples, averaged over 200 splits of the irises and ten of the
#   tumors.
fig, axes = plt.subplots(1, 2, figsize=(7.4, 3.4), layout="constrained")
for ax, (name, values) in zip(axes, found.items(), strict=True):
    for error, style, label in zip(values.T, ("C0o-", "C1s--"), ("naive Bayes", "logistic regression"), strict=True):
        ax.semilogx(sets[name][1], error, style, label=label)
    ax.set(title=name, xlabel="training examples", ylabel="error", ylim=(0, None))
axes[0].legend()
print(
    "held-out log-likelihood:", {name: round(float(value), 1) for name, value in reached.items()}, f"right {right:.2f}"
)

# %%
# Text
# ----
#
# The help topics of CPython (PSF License 2.0; the text grows with Python's version) as letters and blanks, counted into
# tables of the next letter given the last none, one, two or three. A tenth of a count is added everywhere to judge
# text, and nothing to draw it. The last fifth of the text is held out. Counted from 2,000 letters alone, the largest
# table is worse than that of pairs.

letters = " abcdefghijklmnopqrstuvwxyz"
raw = " ".join(topics[name] for name in sorted(topics)).lower()
text = " ".join("".join(c if c in letters else " " for c in raw).split())
tokens = np.array([letters.index(c) for c in text])
seen, unseen = tokens[: 4 * len(tokens) // 5], tokens[4 * len(tokens) // 5 :]
orders, nats, lines = (1, 2, 3, 4), {"training": [], "held out": []}, []
for order in orders:
    table = ngram(seen, order, 27, pseudo=0.1)
    for name, part in (("training", seen), ("held out", unseen)):
        nats[name].append(-ngram_log_likelihood(table, part) / len(part))
    drawn = ngram_sample(ngram(seen, order, 27), 44, np.random.default_rng(order))
    lines.append("".join(letters[k] for k in drawn))
few = ngram(seen[:2000], 4, 27, pseudo=0.1)
few_nats = -ngram_log_likelihood(few, unseen) / len(unseen)
assert nats["held out"][0] < np.log(27) and np.all(np.diff(nats["held out"]) < 0), nats
gap = np.subtract(nats["held out"], nats["training"])
assert gap[3] > gap[2] > gap[1] and few_nats > nats["held out"][1], (gap, few_nats)

# alt: Left, two falling curves of nats a letter for orders one to four, training below held out, further apart at order
#   four. Right, four lines of drawn letters: single letters, then letters and pieces that can be pronounced, then many
#   short English words.
# caption: Left: nats a letter by how many letters a count is of, on the text that was counted and on the rest. Right:
#   44 letters drawn from each table.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 2.9), width_ratios=[1, 1.5], layout="constrained")
for (name, values), style in zip(nats.items(), ("C0o-", "C1s--"), strict=True):
    left.plot(orders, values, style, label=name)
left.set(xlabel="order", ylabel="nats a letter", xticks=orders, ylim=(0, None))
left.legend()
for order, line in zip(orders, lines, strict=True):
    right.text(0, 0.95 - 0.24 * order + 0.12, f"order {order}", color="C0", fontsize=8)
    right.text(0, 0.85 - 0.24 * order + 0.12, line, color="C2", fontsize=8, family="monospace")
right.set_axis_off()
print(f"{len(seen)} letters counted; order 4 from 2,000 of them: {few_nats:.2f} nats held out")
