"""
BLEU: a number for a corpus, not for a sentence
===============================================

BLEU multiplies how many n-grams of a translation a reference has, for n from 1 to 4, and punishes what is too short. It
was made for sums over a corpus. Of one sentence it says little, and the mean over sentences depends on their smoothing.
"""

# %%
# Clipped precisions
# ------------------
#
# Sentences from the help texts of the standard library (PSF license; they differ a little between versions of Python)
# are spoiled in three known ways. Where each word is replaced with probability e, an n-gram survives with probability
# (1 - e)^n, so that the precisions fall geometrically. Sentences with their words shuffled keep every word: only the
# higher orders see that the order is lost.

import argparse
import calendar
import inspect
import random
import re
import statistics
import string
import tarfile
import tempfile

import matplotlib.pyplot as plt
import numpy as np

from dlref.metrics import bleu_counts, corpus_bleu, sentence_bleu

rng = np.random.default_rng(0)
modules = (argparse, calendar, inspect, random, re, statistics, string, tarfile, tempfile)
texts = [
    inspect.getdoc(value) or "" for m in modules for value in (m, *vars(m).values()) if callable(value) or value is m
]
sentences = [s.split() for text in texts for s in re.split(r"(?<=[.:])\s+", text)]
sentences = list({tuple(s): s for s in sentences if 8 <= len(s) <= 40}.values())[:600]
words = [word for s in sentences for word in s]


def spoiled(share):
    return [[words[rng.integers(len(words))] if rng.random() < share else word for word in s] for s in sentences]


references = [[s] for s in sentences]
candidates = {"10 percent replaced": spoiled(0.1), "40 percent replaced": spoiled(0.4)}
candidates["shuffled"] = [[s[k] for k in rng.permutation(len(s))] for s in sentences]
scores = {name: corpus_bleu(several, references) for name, several in candidates.items()}
assert len(sentences) >= 200
for name, share in (("10 percent replaced", 0.1), ("40 percent replaced", 0.4)):
    kept = np.array(scores[name].precisions)
    assert np.abs(kept - (1 - share) ** np.arange(1, 5)).max() < 0.04, kept
assert scores["shuffled"].precisions[0] == 1 and scores["shuffled"].precisions[1] < 0.2
assert scores["10 percent replaced"].score > 0.7 > 0.35 > scores["40 percent replaced"].score

# alt: Precision on a logarithmic axis against the order n from 1 to 4. Two straight falling lines for replaced words,
#   the one for 40 percent steeper; a third line starts at 1 for shuffled words and drops far below both.
# caption: Clipped n-gram precisions of three spoiled corpora and their BLEU. Dotted: (1 - e) to the power n.
orders = np.arange(1, 5)
fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
for (name, bleu), style in zip(scores.items(), ("C0o-", "C1s--", "C2^-."), strict=True):
    ax.semilogy(orders, bleu.precisions, style, label=f"{name}: BLEU {bleu.score:.2f}")
for share, color in ((0.1, "C0"), (0.4, "C1")):
    ax.semilogy(orders, (1 - share) ** orders, color=color, linestyle=":", linewidth=1)
ax.set(xlabel="order n", ylabel="clipped precision", xticks=orders)
ax.legend(loc="lower left")

# %%
# Brevity, and one sentence at a time
# -----------------------------------
#
# Precision alone would reward a translation of one safe word. The penalty takes the place of recall: leaving out a
# fifth of the length costs a factor 0.78, and adding as much costs nothing here, but lowers the precisions. On the
# right the sentences of one corpus, each scored alone, and 400 corpora drawn from these sentences with replacement.

ratio = np.linspace(0.2, 1.5, 200)
penalty = np.exp(np.minimum(0, 1 - 1 / ratio))
cut = [s[: max(1, round(0.8 * len(s)))] for s in sentences]
short = corpus_bleu(cut, references)
lengths = short.candidate_length / short.reference_length
assert short.precisions == (1.0,) * 4 and abs(short.score - np.exp(1 - 1 / lengths)) < 1e-12
assert 0.75 < short.score < 0.81

several = candidates["40 percent replaced"]
single = sentence_bleu(several, references)
counts = bleu_counts(several, references)


def score_of(rows):
    sums = counts.matches[rows].sum(0), counts.totals[rows].sum(0)
    brevity = min(0.0, 1 - counts.reference_length[rows].sum() / counts.candidate_length[rows].sum())
    return np.exp(np.log(sums[0] / sums[1]).mean() + brevity)


whole = scores["40 percent replaced"].score
drawn = [score_of(rng.integers(0, len(sentences), len(sentences))) for _ in range(400)]
assert abs(score_of(np.arange(len(sentences))) - whole) < 1e-12
assert np.std(single) > 10 * np.std(drawn) and abs(np.mean(drawn) - whole) < 2 * np.std(drawn)
means = {name: sentence_bleu(several, references, smoothing=name).mean() for name in ("none", "add-k")}
assert means["none"] < whole - 5 * np.std(drawn) and means["add-k"] > whole + 5 * np.std(drawn), (means, whole)
unmatched = np.mean(sentence_bleu(several, references, smoothing="none") == 0)
assert unmatched > 0.1, unmatched

# alt: Left, the brevity penalty rises from near 0 to 1 at equal lengths and stays there. Right, a wide histogram of
#   sentence scores from 0 to 0.8 and a narrow one of corpus scores. The mean of the sentences without smoothing lies to
#   the left of the narrow one, that with add-k smoothing to its right.
# caption: Left, the brevity penalty. Right, with 40 percent of the words replaced: the scores of single sentences, of
#   400 resampled corpora, and the mean over the sentences with two kinds of smoothing.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.4), layout="constrained")
left.plot(ratio, penalty, "C0-")
left.plot(lengths, short.score, "C1o", label="every sentence cut to 4/5")
left.set(xlabel="length of the candidate / reference", ylabel="brevity penalty", ylim=(0, 1.05))
left.legend(loc="lower right")
right.hist(single, np.linspace(0, 0.8, 41), density=True, color="C0", alpha=0.5, label="sentences")
right.hist(drawn, np.linspace(0, 0.8, 161), density=True, histtype="step", color="C1", label="corpora")
for (name, mean), style in zip(means.items(), (("C2", "--"), ("C3", "-.")), strict=True):
    right.axvline(mean, color=style[0], linestyle=style[1], label=f"mean, {name}")
right.set(xlabel="BLEU", ylabel="density", yscale="log")
right.legend(loc="upper right")
print(
    f"corpus {whole:.3f}, standard deviation of it {np.std(drawn):.3f}; of sentences {np.std(single):.3f};"
    f" {unmatched:.0%} of the sentences score 0 without smoothing"
)
