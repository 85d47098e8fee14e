"""
Fine-tuning: when it helps, and when it does not
================================================

A network that has learned digits is trained further on few examples of another task. Where only the images change a
little, it keeps its lead over a network from scratch; with ten labels, tuning makes it worse than it was. Where the
classes are new and the images are as simple as these, features of the digits 0 to 4 are no better a start for 5 to 9
than random ones.
"""

# %%
# Two targets
# -----------
#
# New classes: from the digits 0 to 4 to 5 to 9. New images: from all ten digits to the same, half a pixel lower.

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.activations import relu
from dlref.layers import dense
from dlref.losses import cross_entropy
from dlref.optimizers import adam, adam_state
from dlref.training import fit, group_rates, grouped, lora, lora_merge

digits, labels = load_digits(return_X_y=True)
digits = (digits / 16).astype(np.float32)
shifted = (digits + np.roll(digits.reshape(-1, 8, 8), 1, axis=1).reshape(-1, 64)) / 2
classes, moved = "new classes", "same classes, shifted"


def split(seed):
    """Return images and labels of the source, and of the target: 400 to draw from, then the test."""
    order = np.random.default_rng(seed).permutation(len(digits))
    low, high = order[labels[order] < 5], order[labels[order] >= 5]
    source, target = order[:900], order[900:]
    return {
        classes: (digits[low], labels[low], digits[high], labels[high] - 5),
        moved: (digits[source], labels[source], shifted[target], labels[target]),
    }


def start(rng, classes):
    """Weights and biases of three layers, in one list."""
    sizes = (64, 64, 64, classes)
    layers = [(rng.normal(size=(o, i)) * np.sqrt(2 / i), np.zeros(o)) for i, o in pairwise(sizes)]
    return [p.astype(np.float32) for layer in layers for p in layer]


def logits(params, x):
    w1, b1, w2, b2, w3, b3 = params
    return dense(relu(dense(relu(dense(x, w1, b1)), w2, b2)), w3, b3)


def loss(params, x, y):
    return cross_entropy(logits(params, x), y)


def pretrain(x, y, rng):
    return fit(
        loss, start(rng, y.max() + 1), (x, y), adam, adam_state, lr=0.003, epochs=15, batch_size=64, rng=rng
    ).params


seeds = range(4)
tasks = [split(seed) for seed in seeds]
pretrained = [
    {name: pretrain(x, y, np.random.default_rng(10 + seed)) for name, (x, y, _, _) in tasks[seed].items()}
    for seed in seeds
]

# %%
# Five ways
# ---------
#
# Full batches, Adam, 100 steps at the rate 0.005 and once at a tenth of it. All is done four times, each with another
# source network, another test and other labels. LoRA adds a change of rank four to the first two layers. For new
# classes the head is new as well.

steps = 100


def right(params, x, y):
    return (logits(params, x).argmax(axis=1) == y).mean()


def with_adapters(frozen, factors, x):
    """The network with a change of low rank in its first two layers and a head of its own."""
    w1, b1, w2, b2 = frozen
    a1, c1, a2, c2, w3, b3 = factors
    h = relu(lora(x, w1, a1, c1, alpha=4.0) + b1)
    return dense(relu(lora(h, w2, a2, c2, alpha=4.0) + b2), w3, b3)


def merged(frozen, factors):
    w1, b1, w2, b2 = frozen
    a1, c1, a2, c2, w3, b3 = factors
    return [lora_merge(w1, a1, c1, alpha=4.0), b1, lora_merge(w2, a2, c2, alpha=4.0), b2, w3, b3]


def adapt(task, way, n, seed):
    """Return the share of right test images at the start and the end; with 30 labels after every tenth step."""
    _, _, x, y = tasks[seed][task]
    rng = np.random.default_rng(20 + seed)
    rows = rng.permutation(400)[:n]
    fresh, trained = start(rng, y.max() + 1), pretrained[seed][task]
    params = [p.copy() for p in (trained if task == moved else [*trained[:4], *fresh[4:]])]
    function, optimizer, view = loss, adam, lambda params: params
    if way == "from scratch":
        params = fresh
    elif way == "head only":
        count = [sum(p.size for p in params[:4]), sum(p.size for p in params[4:])]
        optimizer = grouped(adam, group_rates(count, (0.0, 1.0)))
    elif way == "LoRA, rank 4":
        frozen, head = params[:4], params[4:]
        first, second = (rng.normal(size=(2, 4, 64)) / 8).astype(np.float32)
        params = [first, np.zeros((64, 4), np.float32), second, np.zeros((64, 4), np.float32), *head]

        def function(factors, x, y):
            return cross_entropy(with_adapters(frozen, factors, x), y)

        def view(factors):
            return merged(frozen, factors)

    every = 10 if n == 30 else steps
    measured = [right(view(params), x[400:], y[400:])]
    run = fit(
        function,
        params,
        (x[rows], y[rows]),
        optimizer,
        adam_state,
        lr=0.0005 if way == "a tenth of the rate" else 0.005,
        epochs=steps,
        batch_size=n,
        rng=rng,
        after_epoch=lambda now: now.epoch % every == 0 and measured.append(right(view(now.params), x[400:], y[400:])),
    )
    if way == "head only":
        assert all(a.tobytes() == b.tobytes() for a, b in zip(run.params[:4], trained[:4], strict=True))
    return np.array(measured)


ways = ("from scratch", "head only", "fine-tuned", "a tenth of the rate", "LoRA, rank 4")
counts = (10, 30, 200)
results = {
    (task, way, n): np.array([adapt(task, way, n, seed) for seed in seeds])
    for task in (classes, moved)
    for way in ways
    for n in counts
}
last = {key: curves[:, -1].mean() for key, curves in results.items()}
untouched = results[moved, "fine-tuned", 30][:, 0].mean()
assert all(abs(last[classes, "from scratch", n] - last[classes, "fine-tuned", n]) < 0.04 for n in counts)
assert last[classes, "head only", 200] < last[classes, "from scratch", 200] - 0.05
assert all(last[moved, way, 30] > last[moved, "from scratch", 30] + 0.04 for way in ways[1:])
assert all(last[moved, way, 10] < untouched - 0.02 for way in ways)
assert last[moved, "fine-tuned", 10] < last[moved, "a tenth of the rate", 10] - 0.05
assert last[moved, "fine-tuned", 200] > untouched + 0.03
styles = dict(zip(ways, ("C0-", "C1--", "C2-.", "C3:", "C4-"), strict=True))

# alt: Accuracy over 100 steps with 30 labels, two panels. With new classes the network from scratch and the fine-tuned
#   one end together; the frozen one with a new head and the one at the small rate end lowest. With shifted images all
#   pretrained networks begin near 87 percent and stay between 80 and 90, while the one from scratch climbs to 66.
# caption: Test images right, over the steps of training, with 30 labels of the target: means of four runs.
fig, axes = plt.subplots(1, 2, figsize=(7.6, 3.4), sharey=True, layout="constrained")
for ax, task in zip(axes, (classes, moved), strict=True):
    for way, style in styles.items():
        ax.plot(range(0, steps + 1, 10), results[task, way, 30].mean(axis=0), style, label=way)
    ax.set(title=task, xlabel="step", ylim=(0, 1))
axes[0].set_ylabel("test images right")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)

# %%
# By the number of labels
# -----------------------

# alt: Accuracy at the end against 10, 30 and 200 labels. With new classes scratch and fine-tuning lie together and
#   the head alone falls behind. With shifted images the pretrained networks lead; at 10 labels all
#   are far below the dotted line of the untouched network, and at 200 they pass it.
# caption: Test images right after 100 steps, by the number of labels: means of four runs with their standard error. The
#   dotted line is the pretrained network as it was.
fig, axes = plt.subplots(1, 2, figsize=(7.6, 3.4), sharey=True, layout="constrained")
for ax, task in zip(axes, (classes, moved), strict=True):
    for way, style in styles.items():
        ends = [results[task, way, n][:, -1] for n in counts]
        error = [np.std(end, ddof=1) / len(seeds) ** 0.5 for end in ends]
        ax.errorbar(
            counts,
            np.mean(ends, axis=1),
            error,
            fmt=style,
            marker="o",
            markersize=4,
            capsize=2,
            elinewidth=0.8,
            label=way,
        )
    ax.set(title=task, xlabel="labels", xscale="log", xticks=counts, xticklabels=counts, ylim=(0.3, 1))
    ax.minorticks_off()
axes[1].axhline(untouched, color="C1", linestyle=":", linewidth=1)
axes[0].set_ylabel("test images right")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
print(f"The shifted images with the network as it was: {untouched:.0%} right")
