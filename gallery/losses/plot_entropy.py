"""
Entropy: surprise, code length and which way round
==================================================

A coin is worth one bit when it is fair and less the more one side is expected. The entropy of the letters of a text is
what a code for single letters needs, up to one bit, and Huffman's code comes close. The KL divergence that compares two
distributions is not symmetric: fitted one way a simple distribution covers all of a complicated one, the other way it
picks a part.
"""

# %%
# A coin
# ------
#
# The entropy is the mean of the two surprises, weighted by how often each comes.

import heapq
import itertools

import matplotlib.pyplot as plt
import numpy as np

from dlref.losses import entropy, kl_divergence

p = np.linspace(0, 1, 401)
h = entropy(np.stack([p, 1 - p], axis=1), base=2)
assert h.max() == h[200] == 1 and h[0] == h[-1] == 0
with np.errstate(divide="ignore"):
    surprise = -np.log2(p)

# alt: Entropy of a coin in bits against the probability of heads: a round arch from zero at 0 up to one bit at one half
#   and back to zero at 1. A dashed curve, the surprise of heads, falls from infinity at 0 through one bit at one half
#   to zero.
# caption: The entropy of a coin, in bits. Dashed: the surprise of heads alone, $-\log_2 p$. A rare outcome surprises
#   much, but seldom.
fig, ax = plt.subplots(figsize=(5.2, 3.2), layout="constrained")
ax.plot(p, h, label="entropy")
ax.plot(p, surprise, "--", label="surprise of heads")
ax.set(xlabel="probability $p$ of heads", ylabel="bits", ylim=(0, 3))
ax.legend()

# %%
# A text, and blocks
# ------------------
#
# Most of Lincoln's Gettysburg Address, in lower case letters and spaces. Huffman's code merges the two rarest symbols
# into one until a single one is left; each merge adds a bit to the words of the symbols in it. Words have whole numbers
# of bits, which costs up to one bit a symbol. With a coin that shows heads nine times in ten the loss is more than half
# a bit; when blocks of n throws are coded as one symbol, the loss is shared by n throws.

ADDRESS = """
Four score and seven years ago our fathers brought forth on this continent, a new nation, conceived in Liberty, and
dedicated to the proposition that all men are created equal. Now we are engaged in a great civil war, testing whether
that nation, or any nation so conceived and so dedicated, can long endure. We are met on a great battle-field of that
war. We have come to dedicate a portion of that field, as a final resting place for those who here gave their lives
that that nation might live. It is altogether fitting and proper that we should do this. But, in a larger sense, we can
not dedicate -- we can not consecrate -- we can not hallow -- this ground. The brave men, living and dead, who struggled
here, have consecrated it, far above our poor power to add or detract. The world will little note, nor long remember
what we say here, but it can never forget what they did here.
"""


def code_lengths(weights):
    """Return the lengths of the words of Huffman's code."""
    ties, lengths = itertools.count(), np.zeros(len(weights), dtype=int)
    heap = [(weight, next(ties), [i]) for i, weight in enumerate(weights)]
    heapq.heapify(heap)
    while len(heap) > 1:
        (a, _, left), (b, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        lengths[left + right] += 1
        heapq.heappush(heap, (a + b, next(ties), left + right))
    return lengths


text = " ".join("".join(c if c.isalpha() else " " for c in ADDRESS.lower()).split())
symbols, counts = np.unique(list(text), return_counts=True)
share, lengths = counts / counts.sum(), code_lengths(counts)
bits, mean_length = entropy(share, base=2), share @ lengths
assert bits <= mean_length < bits + 0.05 and np.sum(2.0**-lengths) == 1

coin, sizes = np.array([0.9, 0.1]), np.arange(1, 9)
least = entropy(coin, base=2)
reached, block = [], np.ones(1)
for size in sizes:
    block = np.kron(block, coin)
    assert np.isclose(entropy(block, base=2), size * least)
    reached.append(block @ code_lengths(block) / size)
assert (
    (least <= reached).all() and (reached < least + 1 / sizes).all() and reached[0] == 1 and reached[-1] < least + 0.02
)

# alt: Left, bits against the symbols of the text in order of frequency, space first and rare letters last: dots at
#   whole numbers from 2 to 8 lie close to a rising line, the surprise. Right, bits per throw against the number of
#   throws in a block from 1 to 8: dots fall from 1 to just above a dashed level at 0.47.
# caption: Left: the length of each symbol's word, and its surprise $-\log_2 p$. Right: a coin with $p = 0.9$, coded in
#   blocks; dashed the entropy, dotted the guarantee $H + 1/n$.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.2), layout="constrained", width_ratios=(2, 1))
order = np.argsort(-share)
left.plot(-np.log2(share[order]), label="surprise")
left.plot(lengths[order], "o", markersize=4, label="length of the word")
left.set_xticks(range(len(order)), [{" ": "_"}.get(symbols[i], symbols[i]) for i in order])
left.set(xlabel="symbol", ylabel="bits", ylim=(0, None))
left.legend()
right.plot(sizes, reached, "C1o", markersize=4, label="code")
right.plot(sizes, least + 1 / sizes, "C2:", label="$H + 1/n$")
right.axhline(least, color="C0", linestyle="--", label="$H$")
right.set(xlabel="throws in a block, $n$", ylabel="bits per throw", ylim=(0, 1.55))
right.legend()

# %%
# Which way round
# ---------------
#
# The best Gaussian q for a distribution p with two peaks, found among all means and widths of a grid. KL(p || q)
# punishes q for being small where p is not: q covers both peaks. KL(q || p) punishes q for being where p is not: q
# takes one.

x = np.linspace(-6, 6, 241)


def gaussian(mean, width):
    weights = np.exp(-0.5 * ((x - mean) / width) ** 2)
    return weights / weights.sum()


p = 0.6 * gaussian(-2, 0.7) + 0.4 * gaussian(2, 0.7)
candidates = [(mean, width) for mean in np.arange(-3, 3.01, 0.1) for width in np.arange(0.4, 3.01, 0.1)]
q = np.array([gaussian(*c) for c in candidates])
both = np.broadcast_to(p, q.shape)
cover, pick = np.argmin(kl_divergence(both, q)), np.argmin(kl_divergence(q, both))
# The first keeps mean and variance of p, the second those of its larger peak.
mean, width = x @ p, np.sqrt((x - x @ p) ** 2 @ p)
assert np.allclose(candidates[cover], (mean, width), atol=0.06)
assert np.allclose(candidates[pick], (-2, 0.7), atol=0.06)

# alt: A distribution with two peaks, at minus 2 and at 2, the left one higher. A broad low Gaussian lies across both. A
#   narrow Gaussian sits on the left peak and is higher than it.
# caption: The Gaussians that are nearest to $p$ in the two directions of the divergence.
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.fill_between(x, p, color="C0", alpha=0.25, label="$p$")
ax.plot(x, q[cover], "C1", label=r"least $\mathrm{KL}(p\,\|\,q)$: covers")
ax.plot(x, q[pick], "C2--", label=r"least $\mathrm{KL}(q\,\|\,p)$: picks")
ax.set(xlabel="$x$", ylabel="probability", ylim=(0, None))
ax.legend()
