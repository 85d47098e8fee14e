"""
Keras: the history of a fit, and what its numbers average
=========================================================

``fit`` reports the training accuracy of an epoch as the mean over its steps, each at the weights of that step, and the
validation accuracy at the weights after the last one. The first lags behind the accuracy that the weights have in the
end, most in the first epoch.
"""

# %%
# Two histories
# -------------
#
# 1,797 digits, the last fifth kept for validation, in their order. Keras 3 made the same fit from the same weights when
# the package was tested, and left its history in a file; without the file this script draws its own alone. A callback
# measures the training examples again after each epoch, at the same moment as the validation data.

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.training import Adam, Callback, Conv2D, Dense, Flatten, Input, MaxPooling2D, Sequential

digits = load_digits()
images, labels = digits.images[..., None] / 16, digits.target
kept = 1437  # floor(1797 * 0.8)


class Again(Callback):
    """Measure the training examples after the epoch."""

    def on_train_begin(self, logs=None):
        self.loss, self.accuracy = [], []

    def on_epoch_end(self, epoch, logs=None):
        loss, accuracy = self.model.evaluate(images[:kept], labels[:kept])
        self.loss.append(loss)
        self.accuracy.append(accuracy)


model = Sequential(
    [
        Input((8, 8, 1)),
        Conv2D(16, 3, activation="relu"),
        MaxPooling2D(2),
        Flatten(),
        Dense(32, activation="relu"),
        Dense(10, activation="softmax"),
    ],
    np.random.default_rng(0),
)
model.compile(Adam(learning_rate=0.003), "sparse_categorical_crossentropy", metrics=["accuracy"])
again = Again()
history = model.fit(images, labels, epochs=6, validation_split=0.2, shuffle=False, callbacks=[again]).history
assert list(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
assert again.accuracy[0] > history["accuracy"][0] + 0.1, (again.accuracy, history["accuracy"])
assert history["val_loss"][0] < history["loss"][0], "validation looks easier than training in the first epoch"
assert again.loss[0] < history["val_loss"][0], "measured at the same moment, it is not"

file = Path("../../build/histories.json")
rows = json.loads(file.read_text("utf-8"))["rows"] if file.exists() else []
measured = rows[0] if rows else None
theirs = measured["history"] if measured else {name: [] for name in history}
name_of_peer = measured["who"] if measured else "Keras: not measured here"
for name, values in theirs.items():
    assert np.allclose(history[name][: len(values)], values, rtol=0, atol=3e-3), "the history of Keras"

# alt: Loss and accuracy over six epochs, three curves each. The mean over the epoch starts far worse than the
#   validation curve and ends better; the same training examples measured after each epoch begin better than both. Open
#   circles of Keras lie on every point of the first two curves.
# caption: What `fit` reports for six epochs of a small convolutional network on digits, here (lines) and by Keras from
#   the same weights (circles), and the training examples measured again after each epoch.
epochs = np.arange(1, 7)
fig, axes = plt.subplots(1, 2, figsize=(6.6, 3.8), layout="constrained")
for ax, name, again_of in zip(axes, ("loss", "accuracy"), (again.loss, again.accuracy), strict=True):
    ax.plot(epochs, history[name], "C0.-", label=f"{name}: mean over the epoch")
    ax.plot(epochs, again_of, "C2^:", markersize=4, label="the same examples, after it")
    ax.plot(epochs, history[f"val_{name}"], "C1s--", markersize=3, label=f"val_{name}")
    for key in (name, f"val_{name}"):
        label = name_of_peer if key == name else None
        ax.plot(epochs[: len(theirs[key])], theirs[key], "C3o", fillstyle="none", markersize=9, label=label)
    ax.set(xlabel="epoch", ylabel=name, xticks=epochs)
    ax.grid(True)
axes[0].set_ylim(0)
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize="small")

# %%
# The model and its weights
# -------------------------
#
# What ``summary`` prints, drawn: the weights sit in the dense layer behind the flattening, not in the filters.

sizes = [sum(w.size for w in own) for own in model._weights]
assert sizes == [160, 0, 0, 4640, 330] and sum(sizes) == model.count_params() == 5130
names = ["Input", *(type(layer).__name__ for layer in model.layers)]
shapes = [model.input_shape, *model.shapes]

# alt: Six layers from top to bottom with the shape of their output and a bar for their weights. The first dense layer
#   has 4,640, the convolution 160, the last layer 330; pooling and flattening have none.
# caption: The model layer by layer: shape of the output, number of weights.
fig, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
for k, size in enumerate([0, *sizes]):
    ax.barh(k, size, color="C0", height=0.6)
    ax.annotate(f"{size:,}", (size, k), (5, 0), textcoords="offset points", va="center")
    if k:
        ax.annotate("", (-0.02, k - 0.22), (-0.02, k - 0.78), ax.get_yaxis_transform(), arrowprops={"arrowstyle": "->"})
ax.set_yticks(range(len(names)), [f"{n}  {' × '.join(map(str, s))}   " for n, s in zip(names, shapes, strict=True)])
ax.invert_yaxis()
ax.set(xlabel="weights", xlim=(0, 5300))
