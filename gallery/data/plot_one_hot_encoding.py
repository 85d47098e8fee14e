"""
One-hot encoding: no order, one distance, and almost nothing but zeros
======================================================================

Codes 0, 1, 2 ... say that the first category is nearer to the second than to the tenth. One-hot rows say nothing of the
kind: any two categories are the same distance apart. The price is width. A dense row grows with the number of
categories, although it holds a single one; stored without the zeros it does not grow at all.
"""

# %%
# Labels as a matrix, and the distances they impose
# -------------------------------------------------
#
# The labels of sixteen handwritten digits, and the distances between the ten classes under both encodings.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlref.data import dense_rows, one_hot, one_hot_sparse

labels = load_digits().target[30:46]
rows = one_hot(labels, 10)
codes, vectors = np.arange(10.0)[:, None], one_hot(np.arange(10), 10, dtype=np.float64)
distances = [np.linalg.norm(v[:, None] - v, axis=-1) for v in (codes, vectors)]
assert (rows.sum(axis=1) == 1).all() and (rows.argmax(axis=1) == labels).all()
off = distances[1][~np.eye(10, dtype=bool)]
assert (off == np.sqrt(2)).all() and distances[0].max() == 9

# alt: Three grids. Left, sixteen rows of ten cells, one filled cell in each row, at the column of the row's label.
#   Middle, distances between the codes of ten classes: 0 on the diagonal, growing to 9 in the corners. Right, distances
#   between one-hot rows: 0 on the diagonal and 1.41 everywhere else.
# caption: Sixteen labels as rows (left). Codes impose an order on ten classes (middle), one-hot rows impose that no two
#   classes are nearer than any others (right).
fig, axes = plt.subplots(1, 3, figsize=(9, 3.6), layout="constrained", width_ratios=(0.8, 1, 1))
axes[0].imshow(rows, cmap="cividis", aspect="auto", interpolation="nearest")
axes[0].set(
    title="one-hot rows", xlabel="column", xticks=range(0, 10, 3), yticks=range(16), yticklabels=labels, ylabel="label"
)
for ax, d, title in zip(axes[1:], distances, ("distance of codes", "distance of one-hot rows"), strict=True):
    image = ax.imshow(d, cmap="cividis", interpolation="nearest", vmin=0)
    ax.set(title=title, xlabel="class", ylabel="class", xticks=range(0, 10, 3), yticks=range(0, 10, 3))
    ticks = (0, 3, 6, 9) if d is distances[0] else (0, np.sqrt(2))
    bar = fig.colorbar(image, ax=ax, shrink=0.7, ticks=ticks)
    bar.ax.set_yticklabels([f"{t:.3g}" for t in ticks])

# %%
# What the zeros cost
# -------------------
#
# Bytes for a thousand examples in float32. Sparse rows store one value, one column and one end for each example; the
# code alone, from which the rows can be made whenever they are needed, is a single integer.

rng = np.random.default_rng(0)
classes = np.array([2, 10, 100, 1_000, 10_000])
dense, sparse, code = [], [], []
for k in classes:
    index = rng.integers(0, k, 1000)
    packed = one_hot_sparse(index, k)
    dense.append(one_hot(index, k).nbytes)
    sparse.append(sum(part.nbytes for part in packed[:3]))
    code.append(index.nbytes)
assert (dense == 4000 * classes).all() and len(set(sparse)) == len(set(code)) == 1
assert (dense_rows(packed) == one_hot(index, k)).all()
crossing = sparse[0] / 4000

# alt: Bytes against the number of categories, both axes logarithmic. Dense rows rise along a straight line from 8
#   thousand bytes at 2 categories to 40 million at 10,000. Sparse rows stay at 20 thousand bytes, codes at 8 thousand.
# caption: Memory for a thousand examples: dense rows grow with the number of categories, sparse rows and codes do not.
#   The lines cross at five categories.
assert round(crossing) == 5
fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.loglog(classes, dense, "C0o-", label="dense rows, float32")
ax.loglog(classes, sparse, "C1s--", label="sparse rows")
ax.loglog(classes, code, "C2^:", label="codes")
ax.set(xlabel="categories", ylabel="bytes for 1,000 examples")
ax.legend()
print(f"10,000 categories: {dense[-1] / sparse[-1]:,.0f} times as much memory dense as sparse")
