"""
BERT: hidden characters, read from both sides
=============================================

One encoder block learns to name the hidden characters of CPython's help text. It becomes far better than knowing how
often each character occurs, it uses the text on both sides of the blank, and its heads divide the neighbors among
themselves.
"""

# %%
# Training
# --------
#
# The text is CPython's own help (PSF license; it differs a little from version to version), in lower case. Windows of
# 16 characters are corrupted anew in every step: one character in four is chosen, and 80 of 100 of these are masked.
# The last tenth of the text is kept for the test, where two characters of every window are chosen.

from pydoc_data.topics import topics

import matplotlib.pyplot as plt
import numpy as np

from dlref.layers import attention_weights, layer_norm
from dlref.losses import cross_entropy
from dlref.models import bert_encode, bert_logits, bert_parameters, mask_tokens
from dlref.optimizers import adam, adam_state
from dlref.training import fit

text = " ".join(" ".join(topics[key].split()) for key in sorted(topics)).lower()
characters, counts = np.unique(list(text), return_counts=True)
characters = ["[MASK]", "[RARE]", *characters[counts >= 100]]
number = {c: i for i, c in enumerate(characters)}
ids = np.array([number.get(c, 1) for c in text])
cut, width, heads = int(0.9 * len(ids)), 16, 4
training = np.lib.stride_tricks.sliding_window_view(ids[:cut], width)
test = np.lib.stride_tricks.sliding_window_view(ids[cut:], width)[::40]
size = len(characters)

rng = np.random.default_rng(0)
hidden = mask_tokens(test, np.random.default_rng(1), size)
truth = test[hidden.chosen]


def loss(params, windows):
    masked = mask_tokens(windows, rng, size, rate=0.25)
    x = bert_encode(params, masked.ids, heads)[masked.chosen]
    return cross_entropy(bert_logits(params, x), windows[masked.chosen])


def judged(params):
    """Return cross-entropy and accuracy at the chosen places of the test."""
    logits = bert_logits(params, bert_encode(params, hidden.ids, heads)[hidden.chosen])
    return float(cross_entropy(logits, truth)), float(np.mean(logits.argmax(axis=1) == truth))


steps, batch, history = 320, 64, {}


def note(progress):
    if progress.step % 40 == 0:
        history[progress.step] = judged(progress.params)


start = bert_parameters(np.random.default_rng(2), size, width, 48, 192, spread=0.1)
history[0] = judged(start)
run = fit(
    loss,
    start,
    training[rng.integers(0, len(training), steps * batch)],
    adam,
    adam_state,
    lr=lambda step: 0.006 * min(1, (step + 1) / 30) * (1 + np.cos(np.pi * step / steps)) / 2,
    epochs=1,
    batch_size=batch,
    rng=None,
    after_step=note,
)
params = run.params

# What two simpler readers reach: one who knows how often each character occurs, and one who knows the character before.
often = np.bincount(ids[:cut], minlength=size) / cut
pairs = np.full((size, size), 0.1)
np.add.at(pairs, (ids[: cut - 1], ids[1:cut]), 1)
pairs /= pairs.sum(axis=1, keepdims=True)
before = np.pad(test, ((0, 0), (1, 0)))[:, :-1][hidden.chosen]
inside = before > 0
unigram = -np.log(often[truth]).mean()
bigram = -np.log(pairs[before, truth])[inside].mean()
entropy, accuracy = judged(params)
baseline = np.mean(truth == often.argmax())
assert entropy < unigram - 0.5 and entropy < (unigram + bigram) / 2, (entropy, unigram, bigram)
assert accuracy > 1.5 * baseline, (accuracy, baseline)

# The same network, with the middle of the test windows hidden, shown one side of it, the other, or both.
middle = width // 2
blanked = test.copy()
blanked[:, middle] = 0
place = np.arange(width)
sides = {"neither": place == middle, "right": place >= middle, "left": place <= middle, "both": place >= 0}
shown = {}
for name, keep in sides.items():
    x = bert_encode(params, blanked, heads, keep=np.tile(keep, (len(test), 1)))[:, middle]
    shown[name] = np.mean(bert_logits(params, x).argmax(axis=1) == test[:, middle])
assert shown["both"] > 1.05 * max(shown["left"], shown["right"]) and shown["neither"] < shown["right"], shown

# alt: Two panels. Left, the test cross-entropy falls over 320 steps from above 4 nats, passes below a dotted line at
#   the unigram's 3.3 early, and ends close to a dashed line, the bigram's. Right, bars of the accuracy
#   when neither side, the right side, the left side and both sides of a blank are shown: they rise in this order.
# caption: Left, cross-entropy at hidden characters of text that was not trained on; the dashed reader always sees the
#   character before, the network only where it is not hidden too. Right, how many characters in the
#   middle of a window the trained network names, if it may attend to neither side, to one, or to both.
fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.3), layout="constrained", width_ratios=(3, 2))
left.plot(list(history), [nats for nats, _ in history.values()], "C0o-", label="BERT, one block")
left.axhline(unigram, color="C1", linestyle=":", label="how often each occurs")
left.axhline(bigram, color="C2", linestyle="--", label="the character before")
left.set(xlabel="step", ylabel="cross-entropy (nats)")
left.legend()
right.bar(list(shown), list(shown.values()), color=["C3", "C4", "C1", "C0"])
right.set(xlabel="sides shown", ylabel="accuracy")
for ax in (left, right):
    ax.grid(True, axis="y")

# %%
# Heads
# -----
#
# How much weight each head gives to a position, by its distance from the position that asks, averaged over the test.

block = params.blocks[0]
x = np.eye(size, dtype=np.float32)[test] @ params.tokens + params.positions[:width] + params.segments[0]
x = layer_norm(x, params.gamma, params.beta, eps=1e-12)
q, k, _ = np.split(x @ block.w_in.T + block.b_in, 3, axis=-1)
q, k = (part.reshape(*test.shape, heads, -1).swapaxes(1, 2) for part in (q, k))
weights = attention_weights(q, k).mean(axis=0)
offsets = np.arange(-6, 7)
by_offset = np.array([[np.diagonal(w, offset).mean() for offset in offsets] for w in weights])
favorite = offsets[by_offset.argmax(axis=1)]
assert len(set(favorite)) > 1 and by_offset.max() > 2 / width, (favorite, by_offset.max())

# alt: Four curves, one for each head, of the mean weight against the distance from -6 to 6. They peak at different
#   places near zero, on both sides of it.
# caption: Mean attention weight of the four heads against the distance of what is read from what asks. Equal weights
#   would be the line at 1/16.
fig, ax = plt.subplots(figsize=(6, 3.3), layout="constrained")
for head, style in enumerate(("C0o-", "C1s--", "C2^-.", "C3d:")):
    ax.plot(offsets, by_offset[head], style, label=f"head {head}")
ax.axhline(1 / width, color="C4", linewidth=1)
ax.set(xlabel="distance (characters)", ylabel="mean weight", xticks=offsets)
ax.legend()
ax.grid(True)

# %%
# Filled blanks
# -------------
#
# A window of the test, each of its characters hidden in turn, and what the network puts there.

window = test[np.argmax([np.sum(w == number["e"]) + 3 * np.all(w > 1) for w in test[:50]])]
hidden_each = np.tile(window, (width, 1))
hidden_each[place, place] = 0
logits = bert_logits(params, bert_encode(params, hidden_each, heads)[place, place])
chances = np.exp(logits - logits.max(axis=1, keepdims=True))
chances /= chances.sum(axis=1, keepdims=True)
guesses, of_truth = chances.argmax(axis=1), chances[place, window]


def readable(i):
    return "␣" if characters[i] == " " else characters[i]


# alt: Sixteen bars, one for each character of a piece of text, with the probability that the network gives to the right
#   character when it is hidden. Below each bar stand the character and the guess. Filled bars mark right guesses.
# caption: A piece of text that was not trained on. Bars: the probability of the right character where it is hidden;
#   below, the character and under it the guess. Hatched where the guess is wrong.
fig, ax = plt.subplots(figsize=(6.8, 2.8), layout="constrained")
right = guesses == window
ax.bar(place[right], of_truth[right], color="C0")
ax.bar(place[~right], of_truth[~right], color="C1", hatch="//")
ax.set_xticks(
    place, [f"{readable(i)}\n{readable(j)}" for i, j in zip(window, guesses, strict=True)], family="monospace"
)
ax.set(ylabel="probability", ylim=(0, 0.7))
ax.tick_params(axis="x", length=0)
