"""
Encoder and decoder: one vector for everything, or a look back
==============================================================

Two networks learn to write digits backwards, from 4 to 12 of them. What has to pass through one vector gets lost as the
sequence grows; with attention nothing is lost, up to the lengths of the training. Beyond them both fail: attention
removes the bottleneck, it does not teach how to go on. And a search that looks further than one token finds sequences
which the network itself holds to be more probable.
"""

# %%
# Two networks
# ------------
#
# Encoder and decoder are gated recurrent units of 32. The decoder starts from the last state of the encoder, and is
# trained with the true digits as its input (teacher forcing). The second network may attend to all states of the
# encoder.

import matplotlib.pyplot as plt
import numpy as np

from dlref.losses import cross_entropy
from dlref.models import (
    beam_search,
    greedy_search,
    seq2seq_alignment,
    seq2seq_decode,
    seq2seq_encode,
    seq2seq_parameters,
    seq2seq_step,
)
from dlref.optimizers import adam, adam_state
from dlref.training import fit

end, start, ignored = 10, 11, -100


def problem(rng, count, shortest, longest):
    """Return digits, how many, the decoder's input, and what it is to write."""
    lengths = rng.integers(shortest, longest + 1, count)
    digits, written = rng.integers(0, 10, (count, longest)), np.full((count, longest + 1), ignored)
    for row, length in enumerate(lengths):
        written[row, : length + 1] = [*digits[row, :length][::-1], end]
    before = np.concatenate([np.full((count, 1), start), np.where(written < 0, end, written)[:, :-1]], axis=1)
    return digits, lengths, before, written


def loss(params, digits, lengths, before, written):
    logits = seq2seq_decode(params, seq2seq_encode(params, digits, lengths), before).logits
    return cross_entropy(logits.reshape(-1, 12), written.ravel(), ignore_index=ignored)


steps, batch = 260, 64
training = problem(np.random.default_rng(0), steps * batch, 4, 12)
networks = {}
for name, attention in (("with attention", True), ("one vector", False)):
    networks[name] = fit(
        loss,
        seq2seq_parameters(np.random.default_rng(1), 10, 12, attention=attention),
        training,
        adam,
        adam_state,
        lr=lambda step: 0.006 * min(1, (step + 1) / 20) * (1 + np.cos(np.pi * step / steps)),
        epochs=1,
        batch_size=batch,
        rng=None,
    ).params

lengths = np.arange(4, 21, 2)
right = {name: [] for name in networks}
for length in lengths:
    digits, _, _, written = problem(np.random.default_rng(2), 200, length, length)
    for name, params in networks.items():
        encoded = seq2seq_encode(params, digits)
        found = greedy_search(seq2seq_step(params), (encoded, encoded.h), start, end, length + 1)
        found = np.pad(found, ((0, 0), (0, length + 1 - found.shape[1])), constant_values=end)
        right[name].append(np.mean(found[:, :length] == written[:, :length]))
trained = lengths <= 12
assert min(np.array(right["with attention"])[trained]) > 0.95, right
assert right["one vector"][0] > 0.7 and right["one vector"][4] < 0.65, right
assert max(right["with attention"][-1], right["one vector"][-1]) < 0.5, right

# alt: Share of right digits against the length from 4 to 20. With attention it is one up to length 12, the end of a
#   shaded range, and falls steeply beyond. With one vector it falls from the shortest length on. At length 20 both are
#   far below one half.
# caption: Share of digits that are written at their right place, by length. Shaded: the lengths of the training.
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.axvspan(4, 12, color="C4", alpha=0.15)
for (name, share), style in zip(right.items(), ("C0o-", "C1s--"), strict=True):
    ax.plot(lengths, share, style, label=name)
ax.set(xlabel="digits", ylabel="share at the right place", xticks=lengths, ylim=(0, 1.05))
ax.legend()
ax.grid(True)

# %%
# Alignment
# ---------

digits, _, before, _ = problem(np.random.default_rng(3), 1, 12, 12)
params = networks["with attention"]
weights = seq2seq_alignment(params, seq2seq_encode(params, digits), before)[0]
# The digit itself or the one read after it: a state of the encoder knows what came just before.
mirrored = 11 - np.arange(12)
near = np.mean([weights[i, max(j, 0) : j + 3].sum() for i, j in enumerate(mirrored)])
assert near > 0.6, near

# alt: A matrix of weights with twelve columns for the digits read and thirteen rows for the digits written and the end.
#   Most weight lies along the diagonal from the top right to the bottom left.
# caption: Attention of the decoder, row by row as it writes, over the states of the encoder. A state knows its digit
#   and some that came before, so that the weight need not lie exactly on the mirrored place.
fig, ax = plt.subplots(figsize=(4.8, 4.2), layout="constrained")
image = ax.imshow(weights, vmin=0, vmax=1, cmap="cividis")
ax.set_xticks(range(12), digits[0])
ax.set_yticks(range(13), [*digits[0, ::-1], "end"])
ax.set(xlabel="state after reading", ylabel="written")
fig.colorbar(image, label="weight")

# %%
# Beam against greedy
# -------------------
#
# The network with one vector is unsure about ten digits. How probable, to itself, is what a search finds?

params, length, widths = networks["one vector"], 10, [1, 2, 4, 8]
digits, _, _, written = problem(np.random.default_rng(4), 40, length, length)
probable, whole = np.zeros((2, len(widths)))
for row in range(len(digits)):
    encoded = seq2seq_encode(params, digits[row : row + 1])
    for i, width in enumerate(widths):
        best = beam_search(seq2seq_step(params), (encoded, encoded.h), start, end, width, length + 2)[0]
        probable[i] += best.log_probability / len(digits)
assert np.all(np.diff(probable) > 0) and probable[-1] > probable[0] + 0.1, probable

# alt: The mean log-probability of the sequence found, against the width of the beam 1, 2, 4 and 8. It rises steeply
#   from 1 to 2 and levels off.
# caption: Log-probability, by the network with one vector, of the sequence that a search finds, averaged over 40
#   sequences of ten digits. A width of one is greedy search.
fig, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.plot(widths, probable, "C0o-")
ax.set(xlabel="width of the beam", ylabel="log-probability (nats)", xscale="log")
ax.set_xticks(widths, widths)
ax.set_xticks([], minor=True)
ax.grid(True)
