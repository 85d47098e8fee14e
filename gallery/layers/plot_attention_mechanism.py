"""
Attention: learned weights, the square root, and memory
=======================================================

Asked to write a sequence backwards, one layer of attention learns to look at the mirrored place, if it is told the
places at all: without them it knows what came, but not where. Dividing scores by the square root of their length keeps
the weights from collapsing onto one key. And the whole matrix of weights need not be there at any time: the online
softmax gives the same result in memory that grows with the length, not with its square.
"""

# %%
# Backwards
# ---------
#
# Ten digits come in, the same ten are to go out in reverse order. The network is an embedding of the digits, plus a
# vector for each place, one head of self-attention, and a dense layer. A second network has no vectors for the places.

import tracemalloc

import matplotlib.pyplot as plt
import numpy as np

from dlref.layers import (
    attention_weights,
    dense,
    multi_head_attention,
    online_attention,
    scaled_dot_product_attention,
)
from dlref.losses import cross_entropy
from dlref.optimizers import adam, adam_state
from dlref.training import fit

steps, width = 10, 32
rng = np.random.default_rng(0)
digits = rng.integers(0, 10, (4000, steps))
test = rng.integers(0, 10, (500, steps))


def embedded(params, x):
    # a product with a one-hot vector is a row of the table
    h = dense(np.eye(10, dtype=np.float32)[x], params["digits"].T)
    return h + params["places"] if "places" in params else h


def logits(params, x):
    h = embedded(params, x)
    return dense(multi_head_attention(h, h, h, params["in"], params["out"]), params["read"])


def loss(params, x):
    return cross_entropy(logits(params, x).reshape(-1, 10), x[:, ::-1].ravel())


def accuracy(params):
    return np.mean(logits(params, test).argmax(axis=-1) == test[:, ::-1])


runs = {}
for places in (True, False):
    shapes = {"digits": (10, width), "in": (3 * width, width), "out": (width, width), "read": (10, width)}
    shapes |= {"places": (steps, width)} if places else {}
    start = {name: rng.normal(0, width**-0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    runs[places] = fit(
        loss, start, digits, adam, adam_state, lr=0.005, epochs=6, batch_size=64, rng=np.random.default_rng(1)
    ).params
assert accuracy(runs[True]) > 0.99 and accuracy(runs[False]) < 1 / 3, [accuracy(run) for run in runs.values()]

h = embedded(runs[True], test)
q, k, _ = np.split(h @ runs[True]["in"].T, 3, axis=-1)
weights = attention_weights(q, k)
mirrored = weights[:, np.arange(steps), np.arange(steps)[::-1]].mean()
assert mirrored > 0.8, mirrored

# alt: A square of ten by ten weights. Rows are the places of the output with the digit written there, columns the
#   digits read. Nearly all weight lies on the diagonal from the top right to the bottom left.
# caption: Weights of one head that has learned to write ten digits backwards, for a sequence it was not trained on.
#   Each row sums to one: place 0 of the output reads place 9 of the input.
fig, ax = plt.subplots(figsize=(4.6, 3.8), layout="constrained")
image = ax.imshow(weights[0], vmin=0, vmax=1, cmap="cividis")
ax.set_xticks(range(steps), test[0])
ax.set_yticks(range(steps), test[0, ::-1])
ax.set(xlabel="digit read", ylabel="digit written")
fig.colorbar(image, label="weight")

# %%
# The square root
# ---------------
#
# Queries and keys with independent entries of variance one: their product is a sum of :math:`d` such terms, and has
# variance :math:`d`. The softmax over 32 keys then gives nearly everything to one of them, and passes hardly any
# gradient on.

sizes = 2 ** np.arange(1, 11)
spread, largest = {}, {}
for name, power in (("product", 0.0), ("divided by the root", -0.5)):
    spread[name], largest[name] = [], []
    for d in sizes:
        q, k = rng.normal(size=(20, 32, d)), rng.normal(size=(20, 32, d))
        spread[name].append((q @ k.swapaxes(1, 2) * d**power).var())
        largest[name].append(attention_weights(q, k, scale=d**power).max(axis=-1).mean())
assert np.all(np.abs(np.array(spread["product"]) / sizes - 1) < 0.3)
assert np.all(np.abs(np.array(spread["divided by the root"]) - 1) < 0.3)
assert largest["product"][-1] > 0.9 and max(largest["divided by the root"]) < 0.3

# alt: Two panels against the length d of the vectors from 2 to 1024. Left, on logarithmic axes, the variance of the
#   scores: the plain product climbs along a straight line to 1024, the divided one stays near one. Right, the mean
#   largest weight of 32: it climbs towards one for the plain product and stays below 0.3 for the divided one.
# caption: Random queries against 32 random keys. Left, the variance of their scores; right, the largest of the 32
#   weights, averaged over queries.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.2), layout="constrained")
for name, style in (("product", "C0o-"), ("divided by the root", "C1s--")):
    left.loglog(sizes, spread[name], style, label=name)
    right.semilogx(sizes, largest[name], style, label=name)
left.set(xlabel="length $d$ of the vectors", ylabel="variance of the scores")
right.set(xlabel="length $d$ of the vectors", ylabel="largest weight of 32", ylim=(0, 1))
left.legend()
for ax in (left, right):
    ax.grid(True)

# %%
# Memory
# ------
#
# The most memory that is held at a time during one call, result included. NumPy reports it to Python's tracemalloc.

lengths = 2 ** np.arange(8, 13)
functions = {"whole matrix": scaled_dot_product_attention, "online softmax": online_attention}
peaks = {name: [] for name in functions}
for steps in lengths:
    q, k, v = rng.normal(size=(3, steps, 32)).astype(np.float32)
    results = []
    for name, function in functions.items():
        function(q[:1], k[:1], v[:1])
        tracemalloc.start()
        results.append(function(q, k, v))
        peaks[name].append(tracemalloc.get_traced_memory()[1] / 2**20)
        tracemalloc.stop()
    assert np.max(np.abs(results[0] - results[1])) < 1e-6
growth = {name: np.log2(peak[-1] / peak[-2]) for name, peak in peaks.items()}
assert growth["whole matrix"] > 1.9 and growth["online softmax"] < 1.1, growth

# alt: Megabytes against the length of the sequence from 256 to 4096 on logarithmic axes. The whole matrix climbs with
#   slope two to about 65. The online softmax is a little above it at 256, below it from 512 on, and stays below 2.
# caption: Peak memory of one call for one head of 32 features in float32. From a length of 512 on, where the tile of
#   the online softmax is full, its memory grows with the results alone.
fig, ax = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
for (name, peak), style in zip(peaks.items(), ("C0o-", "C1s--"), strict=True):
    ax.loglog(lengths, peak, style, label=name)
ax.set(xlabel="queries and keys", ylabel="peak memory (MiB)")
ax.set_xticks(lengths, lengths)
ax.set_xticks([], minor=True)
ax.legend()
ax.grid(True)
