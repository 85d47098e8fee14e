"""
Knowledge distillation: what the wrong classes say
==================================================

A convolutional network that has seen most of the digits teaches a small network that sees few. Its softened outputs
say of each image not only what it is but what it resembles, and a student learns more from them than from the labels,
the more so the fewer images it has.
"""

# %%
# The teacher
# -----------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.activations import relu, softmax
from dlref.layers import dense
from dlref.losses import cross_entropy
from dlref.models import cnn_logits, cnn_parameters
from dlref.optimizers import adam, adam_state
from dlref.training import distillation_objective, fit

digits, labels = load_digits(return_X_y=True)
digits = (digits / 16).astype(np.float32)
order = np.random.default_rng(0).permutation(len(digits))
train, test = order[:1300], order[1300:]
images = digits.reshape(-1, 1, 8, 8)

teacher = fit(
    lambda params, x, y: cross_entropy(cnn_logits(params, x), y),
    cnn_parameters(np.random.default_rng(1)),
    (images[train], labels[train]),
    adam,
    adam_state,
    lr=0.004,
    epochs=7,
    batch_size=64,
    rng=np.random.default_rng(0),
).params
logits = cnn_logits(teacher, images)
teacher_right = (logits[test].argmax(axis=1) == labels[test]).mean()
assert teacher_right > 0.95, teacher_right

# %%
# Soft targets
# ------------

temperatures = (1.0, 4.0, 10.0)
sure = train[(labels[train] == 3) & (softmax(logits[train])[:, 3] > 0.97)]
which = sure[np.argmax([np.sort(softmax(logits[i], temperature=4.0))[-2] for i in sure])]
soft = {t: softmax(logits[which], temperature=t) for t in temperatures}
second = {t: np.sort(p)[-2] for t, p in soft.items()}
assert all(p.argmax() == 3 for p in soft.values()) and second[1.0] < second[4.0]

# alt: Left, a handwritten three of 8 by 8 pixels. Right, bars of the probability of ten classes at three temperatures.
#   At temperature 1 nearly all lies on class 3; at 4 and 10 the other classes appear, one or two of them far above the
#   rest.
# caption: A three, and what the teacher says of it at three temperatures. The heights of the wrong classes are what a
#   label leaves out.
fig, (left, ax) = plt.subplots(1, 2, figsize=(7.4, 3), width_ratios=(1, 2.6), layout="constrained")
left.imshow(digits[which].reshape(8, 8), cmap="cividis")
left.set(xticks=[], yticks=[], title="label 3")
for k, (t, p) in enumerate(soft.items()):
    ax.bar(np.arange(10) + 0.27 * (k - 1), p, 0.27, label=f"$T = {t:g}$", color=f"C{k}", alpha=0.8)
ax.set(xlabel="class", ylabel="teacher's probability", xticks=range(10), ylim=(0, 1))
ax.legend()

# %%
# Students
# --------
#
# Students are networks of one hidden layer of 16 units. Each sees n training images, with labels alone or with the
# teacher as well: T = 4, nine tenths of the loss. Five seeds are drawn.


def student(params, x):
    w1, b1, w2, b2 = params
    return dense(relu(dense(x, w1, b1)), w2, b2)


def learn(n, mix, seed, steps=100):
    """Return the share of the test images that a student gets right."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(train)[:n]
    params = [
        *((rng.normal(size=(16, 64)) / 8).astype(np.float32), np.zeros(16, np.float32)),
        *((rng.normal(size=(10, 16)) / 4).astype(np.float32), np.zeros(10, np.float32)),
    ]
    run = fit(
        lambda params, x, v, y: distillation_objective(student(params, x), v, y, 4.0, mix),
        params,
        (digits[rows], logits[rows], labels[rows]),
        adam,
        adam_state,
        lr=0.02,
        epochs=steps,
        batch_size=n,
        rng=rng,
    )
    return (student(run.params, digits[test]).argmax(axis=1) == labels[test]).mean()


sizes = (30, 60, 120, 250, 500)
alone, taught = (np.array([[learn(n, mix, seed) for seed in range(5)] for n in sizes]) for mix in (0.0, 0.9))
gain = (taught - alone).mean(axis=1)
assert gain[:2].min() > 0.03 and gain[2] > 0 and abs(gain[-1]) < 0.03
assert taught[-1].mean() < teacher_right
print("gain of the teacher:", dict(zip(sizes, gain.round(3).tolist(), strict=True)), f"- teacher {teacher_right:.3f}")

# alt: Share of test images that are right against the number of training images, on a logarithmic axis. The curve with
#   a teacher lies above the curve with labels alone, by 6 to 7 percent at 30 and 60 images and 3 at 120; at 500 they
#   meet. A horizontal line marks the teacher near 98 percent.
# caption: Students trained with and without the teacher, by the number of images that the student sees. Points are
#   single seeds, lines their means.
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for right, style, name in ((alone, "C0o-", "labels alone"), (taught, "C1s--", "with the teacher")):
    ax.plot(sizes, right.mean(axis=1), style[0:2] + style[3:], label=name)
    ax.plot(np.repeat(sizes, 5), right.ravel(), style[:3], markersize=3, alpha=0.6)
ax.axhline(teacher_right, color="C2", linestyle=":", label="teacher")
ax.set(
    xscale="log", xticks=sizes, xticklabels=sizes, xlabel="training images of the student", ylabel="test images right"
)
ax.set_ylim(top=1)
ax.minorticks_off()
ax.legend(loc="lower right")
