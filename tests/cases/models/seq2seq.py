"""Encoder and decoder against the same network in PyTorch; searches against the list of all sequences."""

from itertools import product

import numpy as np
import torch
import torch.nn.functional as F

from dlref.autodiff import value_and_gradient
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
from tests.bounds import TRAINED
from tests.cases import Bench, Edge, Proof

# Two recurrences of up to seven steps, an exponential and three products.
BOUND = {str(np.dtype(t)): 20 * 16 * float(np.finfo(t).eps) for t in (np.float32, np.float64)}


KINDS = [(cell, attention) for cell in ("rnn", "gru", "lstm") for attention in (False, True)]


def drawn(dtype, cell, attention, sequences=4):
    rng = np.random.default_rng(5)
    params = seq2seq_parameters(rng, 6, 7, 5, attention, dtype, cell)
    params = type(params)(*(p if p is None else p + rng.normal(0, 0.1, p.shape).astype(dtype) for p in params))
    source, inputs = rng.integers(0, 6, (sequences, 7)), rng.integers(0, 7, (sequences, 4))
    lengths, target = rng.integers(3, 8, sequences), rng.integers(0, 7, (sequences, 4))
    return params, source, lengths, inputs, np.where(rng.random(target.shape) < 0.2, -100, target)


def loss(params, source, lengths, inputs, target):
    logits = seq2seq_decode(params, seq2seq_encode(params, source, lengths), inputs).logits
    return cross_entropy(logits.reshape(-1, 7), target.ravel())


def torch_layer(x, state, weights):
    """Run the layer of PyTorch that has so many blocks of weights; the state of an LSTM is a pair."""
    kind = {1: torch.nn.RNN, 3: torch.nn.GRU, 4: torch.nn.LSTM}[len(weights[0]) // weights[1].shape[1]]
    net = kind(weights[0].shape[1], weights[1].shape[1], batch_first=True, dtype=weights[0].dtype)
    names = "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"
    return torch.func.functional_call(net, dict(zip(names, weights, strict=True)), (x, state))


def torch_logits(p, source, lengths, inputs):
    """Run packed sequences through PyTorch's layer, whose last state is that of each sequence's own end."""
    x = F.embedding(source, p.source)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    y, state = torch_layer(packed, None, p[1:5])
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=source.shape[1])
    s, _ = torch_layer(F.embedding(inputs, p.target), state, p[6:10])
    weights = None
    if p.w_q is not None:
        scores = torch.tanh(F.linear(s, p.w_q)[:, :, None] + F.linear(y, p.w_k)[:, None]) @ p.w
        keep = torch.arange(source.shape[1]) < lengths[:, None]
        weights = torch.softmax(scores.masked_fill(~keep[:, None], -torch.inf), -1)
        s = torch.tanh(F.linear(torch.cat([s, weights @ y], -1), p.w_mix, p.b_mix))
    return F.linear(s, p.w_read, p.b_read), weights


def torch_loss(p, *data):
    *inputs, target = map(torch.from_numpy, data)
    return F.cross_entropy(torch_logits(p, *inputs)[0].flatten(0, 1), target.flatten())


def in_torch(params):
    leaves = (p if p is None else torch.from_numpy(p.astype(np.float64)).requires_grad_() for p in params)
    return type(params)(*leaves)


def normwise(got, want):
    return float(np.max(np.abs(got - want)) / np.max(np.abs(want)))


def outputs(dtype):
    worst, count = 0.0, 0
    for cell, attention in KINDS:
        params, *data, _ = drawn(dtype, cell, attention)
        want, weights = torch_logits(in_torch(params), *map(torch.from_numpy, data))
        encoded = seq2seq_encode(params, *data[:2])
        got = seq2seq_decode(params, encoded, data[2]).logits
        assert got.dtype == dtype
        worst, count = max(worst, normwise(got, want.detach().numpy())), count + got.size
        if attention:
            worst = max(worst, normwise(seq2seq_alignment(params, encoded, data[2]), weights.detach().numpy()))
        # One token at a time, as a search does it, is the same.
        step, state = seq2seq_step(params), (encoded, encoded.h)
        for t in range(4):
            log_p, state = step(data[2][:, t], state)
            worst = max(worst, normwise(log_p, torch.log_softmax(want[:, t], -1).detach().numpy()))
    return worst, count


def gradients(dtype):
    worst, count = 0.0, 0
    for cell, attention in KINDS:
        params, *data = drawn(dtype, cell, attention)
        leaves = in_torch(params)
        wanted = torch_loss(leaves, *data)
        value, got = value_and_gradient(loss, params, *data)
        used = [leaf for leaf in leaves if leaf is not None]
        got = [g for g in got if g is not None]
        errors = [normwise(value, wanted.item())]
        errors += [normwise(g, w.numpy()) for g, w in zip(got, torch.autograd.grad(wanted, used), strict=True)]
        worst, count = max(worst, *errors), count + sum(g.size for g in got)
    return worst, count


def ten_steps(dtype):
    params, *data = drawn(dtype, "lstm", True, sequences=20)
    leaves = in_torch(params)
    optimizer, losses = torch.optim.Adam(leaves, lr=0.01), []
    for step in range(10):
        batch = slice(step % 5 * 4, step % 5 * 4 + 4)
        optimizer.zero_grad()
        value = torch_loss(leaves, *(d[batch] for d in data))
        value.backward()
        optimizer.step()
        losses.append(value.item())
    run = fit(loss, params, tuple(data), adam, adam_state, lr=0.01, epochs=2, batch_size=4, rng=None)
    errors = [normwise(g, w.detach().numpy()) for g, w in zip(run.params, leaves, strict=True)]
    return max(*errors, normwise(np.array(run.history.loss), np.array(losses))), 10 + sum(p.size for p in params)


# --- search -----------------------------------------------------------------------------------------------------------

TOKENS, END, STEPS = 3, 2, 4


def chain(seed):
    """Return a model whose next token depends on the last one and on the step, and the log-probabilities of it."""
    table = np.log(np.random.default_rng(seed).dirichlet(np.full(TOKENS, 0.5), (STEPS, TOKENS)))
    return table, lambda tokens, state: (table[state, tokens], state + 1)


def all_sequences(table):
    """List every sequence: it ends with the end, or after four tokens."""
    found = {}
    for tokens in product(range(TOKENS), repeat=STEPS):
        length = tokens.index(END) + 1 if END in tokens else STEPS
        before = (0, *tokens)
        found[tokens[:length]] = sum(table[t, before[t], tokens[t]] for t in range(length))
    return found


def exhaustive(dtype):
    """Compare a full beam with the sorted list of all sequences, by probability and by the mean of a token."""
    worst, count = 0.0, 0
    for seed in range(20):
        table, step = chain(seed)
        for penalty in (0.0, 1.0):
            every = {s: p / len(s) ** penalty for s, p in all_sequences(table).items()}
            best = sorted(every.values(), reverse=True)
            got = beam_search(step, np.zeros(1, int), 0, END, TOKENS**STEPS, STEPS, penalty)
            assert len(got) == len(every) and {tuple(h.tokens.tolist()) for h in got} == set(every)
            worst = max(worst, max(abs(h.score - b) for h, b in zip(got, best, strict=True)))
            worst = max(worst, max(abs(h.score - every[tuple(h.tokens.tolist())]) for h in got))
            count += len(got)
    return worst, count


def greedy(dtype):
    """Count where greedy search differs from a beam of one, and from the most probable token, step by step."""
    wrong = 0
    for seed in range(50):
        table, step = chain(seed)
        (one,) = beam_search(step, np.zeros(1, int), 0, END, 1, STEPS)
        tokens = []
        while len(tokens) < STEPS and END not in tokens:
            tokens.append(int(np.argmax(table[len(tokens), tokens[-1] if tokens else 0])))
        got = greedy_search(step, np.zeros(1, int), 0, END, STEPS)[0].tolist()
        wrong += not (got == tokens == one.tokens.tolist())
    return float(wrong), 50


def spread(dtype):
    """Return the largest deviation of a matrix's variance from 1 / fan-in, in standard errors."""
    worst, count = 0.0, 0
    for p in seq2seq_parameters(np.random.default_rng(0), 60, 70, 48, True, dtype):
        assert p.dtype == dtype
        if p.any():
            w = p.astype(np.float64) * np.sqrt(p.shape[-1])
            worst = max(worst, abs(np.mean(w**2) - 1) / np.sqrt(2 / w.size), abs(w.mean()) * np.sqrt(w.size))
            count += w.size
    return float(worst), count


SIZE = "4 sequences of 3 to 7 tokens, width 5, 4 tokens written; three cells, without and with attention"
PROOFS = [
    Proof(
        [seq2seq_encode, seq2seq_decode, seq2seq_alignment, seq2seq_step],
        "the same network in PyTorch, float64: torch.nn.RNN, GRU and LSTM on packed sequences",
        SIZE,
        "normwise",
        BOUND,
        outputs,
    ),
    Proof(
        [seq2seq_encode, seq2seq_decode],
        "autograd of the same network in PyTorch, float64",
        f"loss and gradients of all parameters by the tape; {SIZE}",
        "normwise",
        {dtype: 2 * bound for dtype, bound in BOUND.items()},
        gradients,
        direction="backward",
    ),
    Proof(
        [seq2seq_decode],
        "the same training in PyTorch, float64",
        "losses of ten steps of Adam on batches of four, and the parameters after them",
        "normwise",
        TRAINED,
        ten_steps,
        dtypes=("float64",),
        direction="backward",
    ),
    Proof(
        [beam_search],
        "the list of all sequences",
        "20 models of three tokens, four steps: a full beam finds all 31, in order; by probability and by its mean",
        "absolute",
        1e-13,
        exhaustive,
        dtypes=("float64",),
    ),
    Proof(
        [greedy_search, beam_search],
        "the most probable token, step by step",
        "50 models of three tokens, four steps: greedy search, and a beam of one",
        "count",
        0.0,
        greedy,
        dtypes=("float64",),
    ),
    Proof(
        [seq2seq_parameters],
        "a normal distribution of variance 1 / fan-in",
        "means and variances of all weights",
        "standard errors",
        4.0,
        spread,
    ),
]


def same(tokens, state):
    """Give every token the probability that it always has: 0.5, 0.3, 0.2."""
    return np.tile(np.log([0.5, 0.3, 0.2]), (len(tokens), 1)), state


def ending(tokens, state):
    """The same with 0.4, 0.1, 0.5."""
    return np.tile(np.log([0.4, 0.1, 0.5]), (len(tokens), 1)), state


def never(tokens, state):
    """Exclude everything but token 0."""
    return np.tile([0.0, -np.inf, -np.inf], (len(tokens), 1)), state


EDGES = [
    Edge(
        greedy_search,
        (same, np.zeros(1)),
        [[0, 0, 0]],
        "what does not end is cut",
        kwargs={"start": 0, "end": 2, "steps": 3},
        input="always 0.5, 0.3, 0.2; the third ends; 3 steps",
        output="0, 0, 0",
    ),
    Edge(
        greedy_search,
        (same, np.zeros(2)),
        np.zeros((2, 0)),
        "nothing is written",
        kwargs={"start": 0, "end": 2, "steps": 0},
        input="0 steps",
        output="empty",
    ),
    Edge(
        beam_search,
        (ending, np.zeros(1)),
        ([2], np.log(0.5), np.log(0.5), [0, 2], np.log(0.2), np.log(0.2)),
        "without a penalty the shortest sequence wins: every further token costs",
        kwargs={"start": 0, "end": 2, "width": 2, "steps": 2},
        input="always 0.4, 0.1, 0.5; the third ends; width 2",
        output="2 with 0.5, then 0, 2 with 0.2",
    ),
    Edge(
        beam_search,
        (never, np.zeros(1)),
        ([0, 0], 0.0, 0.0),
        "what is impossible is never kept, whatever the width",
        kwargs={"start": 0, "end": 2, "width": 5, "steps": 2},
        input="always token 0, width 5",
        output="0, 0",
    ),
    Edge(
        beam_search,
        (same, np.zeros(2)),
        ValueError,
        "one sequence at a time",
        kwargs={"start": 0, "end": 2, "width": 1, "steps": 3},
        input="a state of two sequences",
    ),
]


def thunks(dtype):
    rng = np.random.default_rng(0)
    params = seq2seq_parameters(rng, 50, 50, 64, True, dtype)
    data = rng.integers(0, 50, (32, 20)), np.full(32, 20), rng.integers(0, 50, (32, 20))
    tensors = [torch.from_numpy(d) for d in data]
    p = type(params)(*(None if w is None else torch.from_numpy(w) for w in params))
    return lambda: seq2seq_decode(params, seq2seq_encode(params, *data[:2]), data[2]), lambda: torch_logits(p, *tensors)


def reading(dtype):
    rng = np.random.default_rng(0)
    params, ids = seq2seq_parameters(rng, 50, 50, 64, True, dtype), rng.integers(0, 50, (32, 20))
    p, tensor = [torch.from_numpy(w) for w in params[:5]], torch.from_numpy(ids)
    return lambda: seq2seq_encode(params, ids), lambda: torch_layer(F.embedding(tensor, p[0]), None, p[1:])


def table_of(dtype):
    """Return log-probabilities of the next of 1,000 tokens after each; the last one never comes."""
    table = np.random.default_rng(0).normal(size=(1000, 1000)).astype(dtype)
    table[:, -1] = -np.inf
    return table


def walking(dtype):
    table = table_of(dtype)
    theirs, first = torch.from_numpy(table), np.zeros(64)

    def loop():
        tokens, done, written = torch.zeros(64, dtype=torch.int64), torch.zeros(64, dtype=torch.bool), []
        for _ in range(30):
            tokens = torch.where(done, 999, theirs[tokens].argmax(1))
            done |= tokens == 999
            written.append(tokens)
        return torch.stack(written, 1)

    return lambda: greedy_search(lambda tokens, s: (table[tokens], s), first, 0, 999, 30), loop


def beaming(dtype):
    table = table_of(dtype)
    theirs, first = torch.from_numpy(table), np.zeros(1)

    def loop():
        tokens, totals = torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=theirs.dtype)
        written = torch.zeros((1, 0), dtype=torch.int64)
        for _ in range(30):  # nothing ends here, so that no beginning leaves the beam
            totals, best = (totals[:, None] + theirs[tokens]).flatten().topk(8)
            rows, tokens = best // 1000, best % 1000
            written = torch.cat([written[rows], tokens[:, None]], 1)
        return written, totals

    return lambda: beam_search(lambda tokens, s: (table[tokens], s), first, 0, 999, 8, 30), loop


BENCH = [
    Bench("models.greedy_search", "the loop in torch", "64 of 30 tokens from 1,000", walking),
    Bench("models.beam_search", "the loop in torch, topk", "8 of 30 tokens from 1,000", beaming),
    Bench("models.seq2seq_encode", "torch, embedding and torch.nn.GRU", "32 x 20, width 64", reading),
    Bench("models.seq2seq_decode", "torch, with the encoder", "32 x 20 to 20, width 64", thunks),
]
