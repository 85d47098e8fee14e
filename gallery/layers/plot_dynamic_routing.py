"""
Dynamic routing: votes that agree attract
=========================================

Twelve children vote for the poses of three parents. Six agree on the first parent and six on the second; their other
votes are random. Within a few iterations each child gives itself almost wholly to the parent it agrees on with others,
though nothing is learned meanwhile. Where no votes agree the couplings sharpen as well, only later: more iterations are
not better.
"""

# %%
# Couplings, iteration by iteration
# ---------------------------------
#
# Fifty draws of such votes, of which the first is shown.

import matplotlib.pyplot as plt
import numpy as np

from dlref.layers import dynamic_routing, dynamic_routing_backward, routing_couplings

rng = np.random.default_rng(0)
poses = rng.normal(size=(50, 2, 8))
poses *= 1.2 / np.linalg.norm(poses, axis=-1, keepdims=True)
votes = rng.normal(size=(50, 12, 3, 8))
votes *= 1.2 / np.linalg.norm(votes, axis=-1, keepdims=True)
for parent, children in ((0, slice(0, 6)), (1, slice(6, 12))):
    votes[:, children, parent] = poses[:, parent, None] + 0.1 * rng.normal(size=(50, 6, 8))

couplings = routing_couplings(votes, 5)  # (iterations, draws, children, parents)
assert np.allclose(couplings.sum(axis=3), 1) and np.allclose(couplings[0], 1 / 3)
own = couplings[:, :, np.arange(12), np.repeat([0, 1], 6)]
mean = own.mean(axis=(1, 2))
assert (np.diff(mean) > 0).all() and mean[2] > 0.6 and mean[4] > 0.8, mean
assert np.mean(own[4] > 0.5) > 0.95, "nearly every child, in every draw"

# alt: Five panels of twelve rows and three columns, brighter where the coupling is larger. In the first all cells are
#   alike. From panel to panel the upper six cells of the first column and the lower six of the second one grow, until
#   almost nothing is left of the others.
# caption: How twelve children (rows) divide themselves among three parents (columns), in iterations 1 to 5.
fig, panels = plt.subplots(1, 5, figsize=(7.6, 3.2), sharey=True, layout="constrained")
for t, ax in enumerate(panels):
    image = ax.imshow(couplings[t, 0], cmap="cividis", vmin=0, vmax=1, aspect="auto")
    ax.set(title=f"{t + 1}", xlabel="parent", xticks=[0, 1, 2])
    ax.set_xticklabels(["1", "2", "3"])
panels[0].set(ylabel="child", yticks=[0, 5, 11])
panels[0].set_yticklabels(["1", "6", "12"])
fig.colorbar(image, ax=panels, label="coupling").solids.set_rasterized(True)

# %%
# Entropy, lengths, gradients
# ---------------------------
#
# The same votes beside random ones of the same length, means over the fifty draws.

random = rng.normal(size=votes.shape)
random *= 1.2 / np.linalg.norm(random, axis=-1, keepdims=True)
entropy = {}
for name, u in (("agreeing votes", votes), ("random votes", random)):
    c = routing_couplings(u, 20)
    entropy[name] = -np.sum(c * np.log(np.maximum(c, 1e-300)), axis=3).mean(axis=(1, 2))
    assert np.isclose(entropy[name][0], np.log(3)) and (np.diff(entropy[name]) < 1e-9).all()
assert (entropy["agreeing votes"][1:] < entropy["random votes"][1:]).all()
assert entropy["agreeing votes"][4] < 0.5 * entropy["random votes"][4], entropy

steps = np.arange(1, 21)
lengths = np.array([np.linalg.norm(dynamic_routing(votes, int(t)), axis=2) for t in steps])
assert lengths.max() < 1
lengths = lengths.mean(axis=1)
assert (lengths[2:, :2] > 0.9).all() and lengths[-1, 2] < 0.5 * lengths[0, 2], lengths

dy = rng.normal(size=(50, 3, 8))
cosines = []
for t in steps:
    full, cut = (dynamic_routing_backward(dy, votes, int(t), gradient).reshape(50, -1) for gradient in ("all", "last"))
    cosines.append(np.mean(np.sum(full * cut, axis=1) / np.linalg.norm(full, axis=1) / np.linalg.norm(cut, axis=1)))
assert np.isclose(cosines[0], 1) and cosines[1] < 0.99

# alt: Three panels over 20 iterations. Left, the mean entropy of the couplings falls from log 3: for agreeing votes to
#   nearly zero within ten iterations, for random ones more slowly. Middle, the lengths of two parents rise to nearly
#   one while the third vanishes. Right, the cosine between two gradients starts at one, dips below 0.9 at four
#   iterations and returns to one.
# caption: Left: mean entropy of a child's couplings. Middle: lengths of the three parents for the agreeing votes.
#   Right: cosine between the gradient through all iterations and the one with constant couplings.
fig, (left, middle, last) = plt.subplots(1, 3, figsize=(7.8, 2.9), layout="constrained")
for (name, values), style in zip(entropy.items(), ("C0-", "C1--"), strict=True):
    left.plot(steps, values, style, label=name)
left.set(xlabel="iteration", ylabel="entropy in nats", ylim=(0, None))
left.legend(fontsize="small")
for j, style in enumerate(("C0-", "C1--", "C2-.")):
    middle.plot(steps, lengths[:, j], style, label=f"parent {j + 1}")
middle.set(xlabel="iterations", ylabel="length", ylim=(0, 1.03))
middle.legend(fontsize="small", loc="center right")
last.plot(steps, cosines, "C3-")
last.set(xlabel="iterations", ylabel="cosine", ylim=(None, 1.01))
