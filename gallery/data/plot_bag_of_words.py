"""
Bag of words: what counts can tell apart, and what they cannot
==============================================================

Counts of words, weighted by how rare the words are, are enough to sort Python's help topics by their subjects. They
obey Zipf's law: the frequency of a word falls about as one over its rank. And two sentences with the same words are the
same bag, whoever bites whom.
"""

# %%
# Help topics compared
# --------------------
#
# Cosines of tf-idf rows, for ten topics of three subjects. The text is that of the Python that runs this script
# (PSF License 2.0); the vocabulary and the weights are fitted on all of its topics.

from pydoc_data.topics import topics

import matplotlib.pyplot as plt
import numpy as np

from dlref.data import (
    bag_of_words,
    cosine_similarity,
    fit_vocabulary,
    inverse_document_frequency,
    tf_idf,
    token_ids,
    tokenize,
    word_ngrams,
)

names = sorted(topics)
documents = [tokenize(topics[name]) for name in names]
vocabulary = fit_vocabulary(documents)
ids = token_ids(documents, vocabulary)
counts = bag_of_words(ids, len(vocabulary), dtype=np.float64)
rows = tf_idf(counts, inverse_document_frequency(counts))
similarity = cosine_similarity(rows, rows)

subjects = "for while break continue", "integers floating imaginary", "import global naming"
chosen = [name for words in subjects for name in words.split()]
place = [names.index(name) for name in chosen]
shown = similarity[np.ix_(place, place)]
subject = np.repeat(np.arange(3), [len(words.split()) for words in subjects])
same = (subject[:, None] == subject) & ~np.eye(10, dtype=bool)
within, between = shown[same].mean(), shown[subject[:, None] != subject].mean()
plain = cosine_similarity(counts, counts)[np.ix_(place, place)]
plain_within, plain_between = plain[same].mean(), plain[subject[:, None] != subject].mean()
assert within > 1.8 * between > 0 and within / between > 1.3 * plain_within / plain_between
nearest = (shown - 2 * np.eye(10)).argmax(axis=1)
assert (subject[nearest] == subject).all(), [chosen[k] for k in nearest]
print(
    f"{len(vocabulary):,} words, {len(ids.ids):,} tokens; cosine within a subject {within:.2f}, between {between:.2f}"
)
print(f"without the weights {plain_within:.2f} and {plain_between:.2f}")

# alt: A grid of ten by ten cosines between help topics. Three blocks along the diagonal are brighter than the rest:
#   for, while, break, continue; integers, floating, imaginary; import, global, naming.
# caption: Cosines between the tf-idf rows of ten help topics. The nearest neighbor of each topic is one of its own
#   subject, although no order of words has been looked at.
fig, ax = plt.subplots(figsize=(5.6, 4.6), layout="constrained")
image = ax.imshow(shown, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
ax.set_xticks(range(10), chosen, rotation=60, ha="right")
ax.set_yticks(range(10), chosen)
fig.colorbar(image, ax=ax, shrink=0.8, label="cosine")

# %%
# Zipf's law
# ----------
#
# The words of all topics, from the most frequent one down. Many words occur once; they make the vocabulary large and
# say little about similarity.

total = np.sort(np.bincount(ids.ids, minlength=len(vocabulary)))[::-1]
rank = np.arange(1, len(total) + 1)
part = slice(4, 500)
slope, height = np.polyfit(np.log(rank[part]), np.log(total[part]), 1)
once = np.mean(total == 1)
assert -1.15 < slope < -0.8 and 0.2 < once < 0.5
top = vocabulary[np.bincount(ids.ids).argmax()]
assert top == "the"

# alt: Frequency of words against their rank, both axes logarithmic. From rank 5 to 500 the points follow a dashed
#   straight line that falls by about one decade a decade, then bend down in steps to words that occur once.
# caption: Zipf's law in Python's help topics. The dashed line is fitted to the ranks from 5 to 500.
thin = np.unique(np.geomspace(1, len(rank), 120).astype(int)) - 1
fig, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
ax.loglog(rank[thin], total[thin], "C0.", label="words")
ax.loglog(rank[part][[0, -1]], np.exp(height) * rank[part][[0, -1]] ** slope, "C1--", label=f"slope {slope:.2f}")
ax.set(xlabel="rank", ylabel="occurrences")
ax.legend()
print(f"{once:.0%} of the vocabulary occurs once")

# %%
# The pair that a bag cannot tell apart
# -------------------------------------
#
# With pairs of neighbors counted as well, a little of the order comes back.

pair = ["the dog bites the man", "the man bites the dog"]
cosines = []
for high in (1, 2, 3):
    runs = [word_ngrams(tokenize(text), 1, high) for text in pair]
    known = fit_vocabulary(runs)
    bags = bag_of_words(token_ids(runs, known), len(known), dtype=np.float64)
    cosines.append(cosine_similarity(bags, bags)[0, 1])
    if high == 2:
        table, labels = bag_of_words(token_ids(runs, known), len(known)), known
assert abs(cosines[0] - 1) < 1e-12 and cosines[0] > cosines[1] > cosines[2] > 0.5
first, second = np.zeros((2, len(labels)))
first[table.columns[: table.starts[1]]] = table.values[: table.starts[1]]
second[table.columns[table.starts[1] :]] = table.values[table.starts[1] :]
order = sorted(range(len(labels)), key=lambda k: (" " in labels[k], labels[k]))
different = [labels[k] for k in order if first[k] != second[k]]
assert different and all(" " in word for word in different)

# alt: Pairs of bars for nine tokens. For the four single words bites, dog, man and the, the two sentences have equal
#   counts. Of the five pairs of words, bites the, the dog and the man are equal too; dog bites and man bites differ.
# caption: Counts in "the dog bites the man" (left bars) and "the man bites the dog" (right bars). Single words agree;
#   only "dog bites" and "man bites" tell the sentences apart.
fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
where = np.arange(len(labels))
ax.bar(where - 0.2, first[order], 0.38, color="C0", label=pair[0])
ax.bar(where + 0.2, second[order], 0.38, color="C1", label=pair[1])
ax.set_xticks(where, [labels[k] for k in order], rotation=35, ha="right")
ax.set(ylabel="count", yticks=(0, 1, 2), ylim=(0, 2.9))
ax.legend(loc="upper right")
print(
    "cosine with words:", cosines[0].round(3), "with pairs:", cosines[1].round(3), "with triples:", cosines[2].round(3)
)
