"""
Fully connected layer: most of the weights, and a convolution in disguise
=========================================================================

In the classic networks nearly all parameters sat in the fully connected head: 96 percent of AlexNet's, 89 percent of
VGG-16's. The same head, read as a convolution with filters as large as its input, slides over a larger image and gives
a map of answers instead of one.
"""

# %%
# Where the parameters are
# ------------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.activations import relu, softmax
from dlref.layers import conv2d, dense, filters_from_head, fully_connected, he, parameter_table
from dlref.losses import cross_entropy
from dlref.optimizers import adam, adam_state
from dlref.training import fit

networks = {"lenet-5": "LeNet-5", "alexnet": "AlexNet", "vgg-16": "VGG-16"}
kinds = ["convolution", "subsampling", "full window", "fully connected"]
counts = {
    name: {kind: sum(row.parameters for row in parameter_table(name) if row.kind == kind) for kind in kinds}
    for name in networks
}
totals = {name: sum(count.values()) for name, count in counts.items()}
assert totals == {"lenet-5": 60_000, "alexnet": 60_965_224, "vgg-16": 138_357_544}
share = {name: counts[name]["fully connected"] / totals[name] for name in networks}
assert [round(share[name], 3) for name in networks] == [0.169, 0.962, 0.894]
assert round(counts["lenet-5"]["full window"] / totals["lenet-5"], 3) == 0.802

# alt: Three horizontal bars. Of LeNet-5's 60,000 parameters 80 percent lie in a convolution with a window as large as
#   its input and 17 percent in fully connected layers; of AlexNet's 61 million 96 percent, and of VGG-16's 138 million
#   89 percent, are fully connected.
# caption: Share of the learned parameters by kind of layer. LeNet-5's C5 is called a convolution by its authors; its
#   filters cover the whole map before it.
fig, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
left = np.zeros(3)
for kind, color in (("convolution", "C0"), ("full window", "C4"), ("fully connected", "C1")):
    extra = ["subsampling"] if kind == "convolution" else []
    part = np.array([sum(counts[name][k] for k in (kind, *extra)) / totals[name] for name in networks])
    ax.barh(list(networks.values()), part, left=left, color=color, alpha=0.5, label=kind)
    for row, (start, width) in enumerate(zip(left, part, strict=True)):
        if width > 0.08:
            ax.annotate(f"{width:.0%}", (start + width / 2, row), ha="center", va="center")
    left += part
assert np.allclose(left, 1)
for row, name in enumerate(networks):
    ax.annotate(f"{totals[name]:,}", (1.02, row), va="center")
ax.set(xlim=(0, 1.3), xlabel="share of parameters", xticks=np.linspace(0, 1, 5))
ax.invert_yaxis()
fig.legend(loc="outside upper center", ncols=3)

# %%
# One head, many windows
# ----------------------
#
# A network of two fully connected layers learns digits of 8 by 8 pixels, and to answer "none" for windows that are not
# centered on a digit. Turned into filters it reads a picture of 20 by 44 pixels in one pass.

digits, labels = load_digits(return_X_y=True)
digits = (digits / 16).astype(np.float32).reshape(-1, 8, 8)
rng = np.random.default_rng(0)


def off_center(count):
    """Windows of two digits side by side that show neither in the middle."""
    rows = rng.integers(0, 1400, (count, 2))
    canvas = np.zeros((count, 20, 28), np.float32)
    canvas[:, 6:14, 2:10], canvas[:, 6:14, 13:21] = digits[rows[:, 0]], digits[rows[:, 1]]
    windows = np.empty((count, 8, 8), np.float32)
    for window, picture in zip(windows, canvas, strict=True):
        while True:
            top, side = rng.integers(0, 13), rng.integers(0, 21)
            if abs(top - 6) > 1 or min(abs(side - 2), abs(side - 13)) > 1:
                break
        window[:] = picture[top : top + 8, side : side + 8]
    return windows


x = np.concatenate([digits[:1400], off_center(1500)])[:, None]
y = np.concatenate([labels[:1400], np.full(1500, 10)])
start = [he((64, 64), rng), np.zeros(64, np.float32), he((11, 64), rng), np.zeros(11, np.float32)]


def head(params, x):
    w1, b1, w2, b2 = params
    return dense(relu(fully_connected(x, w1, b1)), w2, b2)


run = fit(
    lambda params, x, y: cross_entropy(head(params, x), y),
    start,
    (x, y),
    adam,
    adam_state,
    lr=0.005,
    epochs=10,
    batch_size=100,
    rng=rng,
)
w1, b1, w2, b2 = run.params

picture = np.zeros((20, 44), np.float32)
chosen = [1400 + int(np.flatnonzero(labels[1400:] == d)[0]) for d in (4, 0, 7)]
corners = [(2, 3), (9, 17), (4, 33)]
for which, (top, side) in zip(chosen, corners, strict=True):
    picture[top : top + 8, side : side + 8] = digits[which]

hidden = relu(conv2d(picture[None, None], filters_from_head(w1, (1, 8, 8)), b1))
scores = conv2d(hidden, filters_from_head(w2, (64, 1, 1)), b2)[0]
maps = softmax(scores, axis=0)
windows = np.lib.stride_tricks.sliding_window_view(picture, (8, 8)).reshape(-1, 1, 8, 8)
one_by_one = head(run.params, windows).T.reshape(scores.shape)
assert abs(scores - one_by_one).max() < 1e-4 * abs(scores).max(), "the convolution is the head at every window"
for which, corner in zip(chosen, corners, strict=True):
    assert maps[(slice(None), *corner)].argmax() == labels[which], "the right answer where the digit is"
digit = 1 - maps[10]
near = np.zeros_like(digit, bool)
for top, side in corners:
    near[max(top - 2, 0) : top + 3, side - 2 : side + 3] = True
assert digit[~near].mean() < 0.1 < 0.5 < min(digit[corner] for corner in corners)

# alt: Above, a dark picture with the digits 4, 0 and 7 at three places. Below, a map in which bright spots mark the
#   upper left corners of the windows that hold a digit; each spot is labeled with the digit that was read.
# caption: A picture of 20 by 44 pixels, and the probability that a window of 8 by 8 holds a digit, drawn at its
#   upper left corner. The map is one pass of the head as a convolution.
fig, (above, below) = plt.subplots(2, 1, figsize=(6, 5.2), layout="constrained")
above.imshow(picture, cmap="cividis")
above.set(title="picture", xticks=[], yticks=[])
shown = below.imshow(digit, cmap="cividis", vmin=0, vmax=1, extent=(-0.5, 36.5, 12.5, -0.5))
for row, column in corners:
    side = -1 if column > 30 else 1
    below.annotate(
        f"reads {maps[:, row, column].argmax()}",
        (column, row),
        xytext=(14 * side, 0),
        textcoords="offset points",
        color="C1",
        ha="left" if side > 0 else "right",
        va="center",
        weight="bold",
    )
below.set(title="probability of a digit", xlabel="column of the window", ylabel="row of the window")
fig.colorbar(shown, ax=below)
