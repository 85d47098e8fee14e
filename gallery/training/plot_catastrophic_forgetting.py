"""
Catastrophic forgetting: the new task overwrites the old one
============================================================

A network learns three tasks, one after the other. After plain training on the third, about four in ten answers
to the first two are wrong, although the network has room for all three. Holding the weights that the old tasks need, or
showing a few of their examples again, keeps most of it; and there is a kind of sequence in which only the second way
works.
"""

# %%
# Permuted digits
# ---------------
#
# The tasks are the same digits with their 64 pixels in three orders, so that what has been learned about places is of
# no use, and in the way. Twelve epochs for each task. Elastic weight consolidation adds a penalty for moving away from
# the parameters after each earlier task, weighted by the Fisher information; rehearsal adds to each batch ten examples
# from a memory of 60 for each earlier task. Everything is done three times, with other orders and other weights.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.activations import log_softmax, relu
from dlref.optimizers import adam, adam_state
from dlref.training import ewc_penalty, fisher_diagonal, fit, reservoir, transfer_measures

digits = load_digits()
order = np.random.default_rng(0).permutation(1797)
images, labels = digits.data[order] / 16, np.eye(10)[digits.target[order]]
train, test = slice(0, 1000), slice(1000, 1797)
epochs = 12


def log_probabilities(params, x):
    w1, b1, w2, b2 = params
    return log_softmax(relu(x @ w1.T + b1) @ w2.T + b2)


def accuracy(params, x, y):
    return np.mean(log_probabilities(params, x).argmax(1) == y.argmax(1))


def sequence(tasks, judged, how, epochs=epochs, strength=50.0, seed=0):
    """Learn tasks one after the other; return the accuracies on all of them after every epoch."""
    rng = np.random.default_rng(seed)
    params = [rng.normal(size=(64, 64)) / 8, np.zeros(64), rng.normal(size=(10, 64)) / 8, np.zeros(10)]
    anchors, memory, rows = [], [], []
    for x, y in tasks:

        def loss(params, x, y):
            total = -np.sum(log_probabilities(params, x) * y) / len(x)
            for anchor, fisher in anchors:
                for p, a, f in zip(params, anchor, fisher, strict=True):
                    total = total + ewc_penalty(p, a, f, strength)
            for old_x, old_y in memory:
                some = rng.choice(len(old_x), 10)
                total = total - np.sum(log_probabilities(params, old_x[some]) * old_y[some]) / 10
            return total

        run = fit(
            loss, params, (x, y), adam, adam_state, lr=0.003, epochs=epochs, batch_size=50, rng=rng,
            after_epoch=lambda p: rows.append([accuracy(p.params, *task) for task in judged]),
        )  # fmt: skip
        params = run.params
        if how == "EWC" and len(anchors) < len(tasks) - 1:
            anchors.append(([p.copy() for p in params], fisher_diagonal(log_probabilities, params, x[:30])))
        elif how == "rehearsal":
            kept = reservoir(len(x), 60, rng)
            memory.append((x[kept], y[kept]))
    return np.array(rows)


def permuted(seed):
    """Return training and test data of three tasks with the pixels in three orders."""
    rng = np.random.default_rng(100 + seed)
    orders = [np.arange(64), rng.permutation(64), rng.permutation(64)]
    return [[(images[part][:, pixels], labels[part]) for pixels in orders] for part in (train, test)]


seeds = range(3)
data = [permuted(seed) for seed in seeds]
styles = {"plain": "C0-", "EWC": "C1--", "rehearsal": "C2-."}
runs = {how: np.array([sequence(*data[seed], how, seed=seed) for seed in seeds]) for how in styles}
measured = {how: [transfer_measures(rows[epochs - 1 :: epochs]) for rows in found] for how, found in runs.items()}
right = {how: np.array([found.accuracy for found in all_runs]) for how, all_runs in measured.items()}
lost = {how: np.array([found.forgetting for found in all_runs]) for how, all_runs in measured.items()}
assert lost["plain"].mean() > 0.3
# EWC forgets little more than rehearsal, and pays for it with what it learns of the new tasks.
assert right["EWC"].mean() > right["plain"].mean() + 0.06 and (right["EWC"] > right["plain"]).all()
assert right["rehearsal"].mean() > right["plain"].mean() + 0.15
assert max(lost["EWC"].mean(), lost["rehearsal"].mean()) < 0.5 * lost["plain"].mean()

# All three tasks at once, mixed: there is room for them.
mixed = [tuple(np.concatenate(parts) for parts in zip(*data[0][0], strict=True))]
together = sequence(mixed, data[0][1], "plain")[-1]
assert together.min() > 0.88, together

# alt: Three panels, accuracy on one task each over 36 epochs, of which the first twelve train the first task, then the
#   second, then the third. Plain training: the first task rises to 0.95, falls when the second begins and with the
#   third, to about 0.5. With elastic weight consolidation and with rehearsal it stays above 0.8. On the third task
#   plain training and rehearsal reach more than 0.9, elastic weight consolidation about 0.75.
# caption: Accuracy on each of three tasks while they are learned one after the other, mean and range of three
#   sequences; the shaded epochs train the task of the panel. In brackets the mean accuracy over all tasks at the end.
fig, panels = plt.subplots(1, 3, figsize=(8, 3), sharey=True, layout="constrained")
epoch = np.arange(1, 3 * epochs + 1)
for j, ax in enumerate(panels):
    ax.axvspan(j * epochs + 0.5, (j + 1) * epochs + 0.5, color="C4", alpha=0.15)
    for how, found in runs.items():
        of_task, color = found[:, :, j], styles[how][:2]
        ax.fill_between(epoch, of_task.min(axis=0), of_task.max(axis=0), color=color, alpha=0.15, linewidth=0)
        ax.plot(epoch, of_task.mean(axis=0), styles[how], label=f"{how} ({right[how].mean():.2f})")
    ax.set(title=f"task {j + 1}", xlabel="epoch", ylim=(0, 1.02))
panels[0].set(ylabel="accuracy")
panels[2].legend(loc="upper left", fontsize=8)
print({how: (right[how].round(2), lost[how].round(2)) for how in styles})

# %%
# New classes
# -----------
#
# The same digits in five tasks of two classes each, twenty epochs for each. Now the old classes do not occur at all in
# a later task, and to answer "neither of the new ones" has to be learned from nothing. Holding weights does not teach
# it.

pairs = [np.isin(digits.target[order], (2 * k, 2 * k + 1)) for k in range(5)]
split = [[(images[part][pair[part]], labels[part][pair[part]]) for pair in pairs] for part in (train, test)]
classes = {how: sequence(*split, how, epochs=20)[19::20] for how in styles}
ends = {how: transfer_measures(matrix) for how, matrix in classes.items()}
assert ends["rehearsal"].accuracy > 0.75 and max(ends["plain"].accuracy, ends["EWC"].accuracy) < 0.5, ends

# alt: Three square maps of accuracy, rows for the task trained last, 1 to 5, columns for the task judged. Plain
#   training has a bright diagonal and nothing below it; with elastic weight consolidation three entries of the first
#   column are not quite dark either; rehearsal is bright on and below the diagonal.
# caption: Accuracy on each pair of digits (columns) after each of five tasks (rows). In brackets the mean of the last
#   row.
fig, panels = plt.subplots(1, 3, figsize=(8, 2.9), sharey=True, layout="constrained")
for ax, (how, matrix) in zip(panels, classes.items(), strict=True):
    image = ax.imshow(matrix, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    ax.set(title=f"{how} ({ends[how].accuracy:.2f})", xlabel="judged on task")
    ax.set_xticks(range(5), range(1, 6))
    ax.set_yticks(range(5), range(1, 6))
panels[0].set(ylabel="after task")
fig.colorbar(image, ax=panels, label="accuracy")
