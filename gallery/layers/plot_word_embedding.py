"""
Word embedding: company kept in the help text of CPython
========================================================

Skip-gram vectors are trained on the help text that comes with Python, about 60,000 words. Words of the same kind turn
out near each other: comparisons, loop statements, container types. In the same text with its words shuffled, which has
the same counts, they do not. More than half of the analogies fail, and about half of the others need no difference of
vectors: the answer is the nearest neighbor anyway.
"""

# %%
# Text, pairs, training
# ---------------------
#
# The text is the set of topics behind ``help()``, © Python Software Foundation, under its license; it differs from one
# version of Python to the next. Words that occur fewer than ten times are left out.

import platform
import re
from collections import Counter
from pydoc_data.topics import topics

import matplotlib.pyplot as plt
import numpy as np

from dlref.layers import (
    analogy,
    draw_negatives,
    nearest,
    skip_gram_loss,
    skip_gram_pairs,
    skip_gram_train,
    subsample_words,
)

tokens = re.findall(r"[a-z_]{2,}", " ".join(topics[name] for name in sorted(topics)).lower())
counts = {word: n for word, n in Counter(tokens).most_common() if n >= 10}
vocabulary = {word: i for i, word in enumerate(counts)}
text = np.array([vocabulary[word] for word in tokens if word in vocabulary])
frequency = np.array(list(counts.values()))
print(f"Python {platform.python_version()}: {len(text):,} words in the text, {len(vocabulary)} different ones")


def train(text, seed=0, width=50, epochs=8, negatives=5, window=5):
    """Return the tables after training, and the loss on held-out pairs before and after."""
    rng = np.random.default_rng(seed)
    words = (rng.uniform(-0.5, 0.5, (len(vocabulary), width)) / width).astype(np.float32)
    contexts = np.zeros_like(words)
    losses = []
    for epoch in range(epochs):
        pairs = skip_gram_pairs(subsample_words(text, rng, 1e-3), rng, window)
        drawn = draw_negatives(frequency, (len(pairs), negatives), rng)
        losses.append(float(skip_gram_loss(words, contexts, *pairs.T, drawn)))
        words, contexts = skip_gram_train(words, contexts, *pairs.T, drawn, lr=0.05 * (1 - epoch / epochs))
    return words, contexts, losses


probes = [
    ("true", "false"), ("break", "continue"), ("int", "float"), ("left", "right"), ("positional", "keyword"),
    ("start", "stop"), ("less", "greater"), ("list", "tuple"), ("first", "second"), ("try", "except"),
    ("iterator", "iterable"), ("class", "instance"), ("keys", "values"), ("bytes", "str"), ("yield", "generator"),
    ("while", "for"), ("import", "from"), ("and", "or"),
]  # fmt: skip
probes = [(a, b) for a, b in probes if a in vocabulary and b in vocabulary]


def rank(words, a, b):
    """Which neighbor of one word another one is, from 1."""
    order = nearest(words, words[vocabulary[a]], len(vocabulary), exclude=[vocabulary[a]]).ids
    return int(np.flatnonzero(order == vocabulary[b])[0]) + 1


words, _, losses = train(text)
ranks = np.array([rank(words, a, b) for a, b in probes])
shuffled = np.random.default_rng(1).permutation(text)
words_shuffled, _, losses_shuffled = train(shuffled)
ranks_shuffled = np.array([rank(words_shuffled, a, b) for a, b in probes])
assert losses[0] > losses[-1] and losses[-1] < losses_shuffled[-1] - 0.1
assert np.median(ranks) <= 20 and np.median(ranks_shuffled) > len(vocabulary) / 5
assert (ranks < ranks_shuffled).mean() > 0.8

# alt: For 18 pairs of words the rank of the second among the neighbors of the first, on a logarithmic axis. In the text
#   most ranks are below ten; in the shuffled text most are in the hundreds.
# caption: Rank of the second word among the nearest neighbors of the first, out of about 800 words, for vectors trained
#   on the text and on the same words in random order.
fig, ax = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
order = np.argsort(ranks)[::-1]
rows = np.arange(len(probes))
ax.hlines(rows, ranks[order], ranks_shuffled[order], color="C4", linewidth=1)
ax.plot(ranks[order], rows, "C0o", label="text")
ax.plot(ranks_shuffled[order], rows, "C1s", label="shuffled")
ax.set(xscale="log", xlabel="rank", yticks=rows, yticklabels=[" → ".join(probes[i]) for i in order])
ax.legend()

# %%
# A map
# -----
#
# Some words of the vocabulary in the plane of the two largest principal components of their vectors, each with a line
# to the nearest of the others. The lines are drawn by the cosine in all 50 dimensions; the plane keeps part of it.

shown = [
    *("list", "tuple", "int", "float", "true", "false", "break", "continue", "loop", "while", "try", "except", "left"),
    *(
        "right",
        "less",
        "greater",
        "class",
        "instance",
        "iterator",
        "iterable",
        "yield",
        "generator",
        "import",
        "module",
    ),
    *("keys", "values"),
]
shown = [word for word in shown if word in vocabulary]
unit = words[[vocabulary[word] for word in shown]]
unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
centered = unit - unit.mean(axis=0)
_, s, axes = np.linalg.svd(centered, full_matrices=False)
kept = (s[:2] ** 2).sum() / (s**2).sum()
plane = centered @ axes[:2].T
closest = [int(nearest(unit, v, 1, exclude=[i]).ids[0]) for i, v in enumerate(unit)]
partners = dict(zip(shown, (shown[i] for i in closest), strict=True))
assert partners["true"] == "false" and partners["break"] in ("continue", "loop") and partners["int"] == "float"

# alt: About thirty words scattered over a plane, each joined to its nearest neighbor: true with false, int with float,
#   break with continue, left with right. The words of loops and exceptions lie together, and so do those of containers.
# caption: Words in the plane of the two main directions of their vectors, joined to their nearest neighbor by cosine.
fig, ax = plt.subplots(figsize=(7, 5.4), layout="constrained")
for i, j in enumerate(closest):
    ax.plot(*plane[[i, j]].T, "C1-", linewidth=1, alpha=0.6)
ax.plot(*plane.T, "C0o", markersize=4)
for word, (a, b) in zip(shown, plane, strict=True):
    # Where points are close the label stands beside its point, not above it.
    side = {"false": -1, "less": -1, "greater": 1, "break": -1, "continue": -1, "loop": 1, "keys": -1, "list": 1}.get(
        word, 0
    )
    ax.annotate(
        word,
        (a, b),
        xytext=(6 * side, 0 if side else 4),
        textcoords="offset points",
        ha=("right", "center", "left")[side + 1],
        va="center" if side else "bottom",
        fontsize="small",
    )
ax.margins(0.13, 0.1)
ax.set(xticks=[], yticks=[], title=f"{kept:.0%} of the variance")

# %%
# Analogies
# ---------
#
# "a is to b as c is to ...". The words of the question are left out of the answer, so that the neighbor of c alone is
# often right. Compare both: printed for the vectors above, counted for these and for two more starts.

questions = [
    ("list", "lists", "tuple", "tuples"), ("int", "integer", "str", "string"), ("left", "right", "first", "last"),
    ("true", "false", "start", "stop"), ("class", "classes", "function", "functions"), ("try", "except", "if", "else"),
    ("iterator", "iterators", "generator", "generators"), ("key", "keys", "value", "values"),
    ("attribute", "attributes", "method", "methods"), ("module", "modules", "package", "packages"),
    ("true", "false", "left", "right"), ("left", "right", "true", "false"),
    ("yield", "generator", "await", "coroutine"), ("object", "objects", "instance", "instances"),
    ("int", "float", "list", "tuple"), ("for", "while", "if", "else"),
]  # fmt: skip
questions = [q for q in questions if all(word in vocabulary for word in q)]
names = list(vocabulary)


def answers(words, a, b, c):
    """What the difference of vectors finds, and the neighbor of the third word alone."""
    asked = [vocabulary[word] for word in (a, b, c)]
    found = analogy(words, *asked, 1), nearest(words, words[asked[2]], 1, exclude=asked)
    return [names[neighbors.ids[0]] for neighbors in found]


for a, b, c, d in questions:
    found, alone = answers(words, a, b, c)
    print(f"{a} : {b} = {c} : {found}, should be {d}; the neighbor of {c} is {alone}")
starts = [words, train(text, seed=2)[0], train(text, seed=3)[0]]
right = np.array([[[word == q[3] for word in answers(start, *q[:3])] for q in questions] for start in starts])
(by_difference, by_neighbor), both = right.sum(axis=(0, 1)), right.all(axis=2).sum()
print(
    f"Of three times {len(questions)}: {by_difference} by the difference, {by_neighbor} by the neighbor, {both} by both"
)
assert by_difference < 0.6 * 3 * len(questions) and both > by_difference / 3
