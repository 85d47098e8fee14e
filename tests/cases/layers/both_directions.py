"""Both directions, with padded sequences: against torch's packed sequences and ONNX's operators."""

import numpy as np
import torch

from dlref._arrays import backward_of
from dlref.layers import (
    bidirectional_gru,
    bidirectional_lstm,
    bidirectional_rnn,
    gru_reset_before,
    lstm,
    lstm_peephole,
    reverse_sequences,
    reverse_sequences_backward,
    rnn,
)
from tests import onnx_examples
from tests.bounds import Exact, Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.cases.layers.gated_units import update_first
from tests.cases.layers.long_short_term import blocks_of, onnx_recurrent
from tests.cases.layers.recurrent import layer, terms_of_gradient
from tests.oracles import from_torch

nan = np.nan
LENGTHS = np.array([6, 2, 4, 2])


def twice(blocks, state_count, batch=4, steps=6, inputs=3, hidden=5, **options):
    """Return a function that draws x, and states, weights and biases of two directions."""
    draw = layer(blocks, state_count, batch, steps, inputs, hidden, **options)

    def drawn(rng, dtype=None):
        (x, *one), (_, *other) = draw(rng), draw(rng)
        return x, *(None if a is None else np.stack([a, b]) for a, b in zip(one, other, strict=True))

    return drawn


def torch_both(module):
    """Return torch's bidirectional layer over packed sequences as a function of its arrays."""

    def run(x, *rest, lengths=None, merge="concatenate", **options):
        *states, w_ih, w_hh, b_ih, b_hh = rest
        net = module(x.shape[2], w_hh.shape[2], bidirectional=True, batch_first=True, dtype=x.dtype, **options)
        weights = {}
        for k, end in enumerate(("_l0", "_l0_reverse")):
            weights |= {"weight_ih" + end: w_ih[k], "weight_hh" + end: w_hh[k]}
            weights |= {"bias_ih" + end: b_ih[k], "bias_hh" + end: b_hh[k]}
        lengths = torch.full((len(x),), x.shape[1]) if lengths is None else torch.as_tensor(lengths)
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        given = states[0] if len(states) == 1 else tuple(states)
        y, last = torch.func.functional_call(net, weights, (packed, given))
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])
        y = y if merge == "concatenate" else sum(y.chunk(2, 2))
        return (y, *(last if isinstance(last, tuple) else (last,)))

    return run


def torch_rnn(*args, activation="tanh", **options):
    return torch_both(torch.nn.RNN)(*args, nonlinearity=activation, **options)


def onnx_reversed(x, lengths=None):
    import onnx
    from onnx.reference import ReferenceEvaluator

    value, node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    given = [value("x", onnx.TensorProto.DOUBLE, x.shape), value("n", onnx.TensorProto.INT64, (len(x),))]
    nodes = [node("ReverseSequence", ["x", "n"], ["y"], batch_axis=0, time_axis=1)]
    graph = onnx.helper.make_graph(nodes, "reverse", given, [value("y", onnx.TensorProto.DOUBLE, x.shape)])
    return ReferenceEvaluator(onnx.helper.make_model(graph)).run(None, {"x": x, "n": lengths})[0]


def onnx_both(operator, order):
    """Return ONNX's bidirectional operator as a function of our arrays, whose blocks ``order`` puts in its order.

    Its reference does not read ``sequence_lens``, so every sequence is run alone, with its own steps.
    """

    def stacked(*arrays):
        return np.stack([np.concatenate([order(a[k]) for a in arrays]) for k in (0, 1)])

    def run(x, *rest, lengths=None):
        *states, w_ih, w_hh, b_ih, b_hh = rest
        weights = {"W": stacked(w_ih), "R": stacked(w_hh), "B": stacked(b_ih, b_hh), "": None}
        y, last = np.zeros((*x.shape[:2], 2 * w_hh.shape[2])), [np.zeros_like(state) for state in states]
        for n, length in enumerate(lengths):
            one = slice(n, n + 1)
            inputs = {"X": x[one, :length].swapaxes(0, 1)} | weights
            inputs |= {f"state{i}": state[:, one] for i, state in enumerate(states)}
            out, *ends = onnx_recurrent(operator, inputs, w_hh.shape[2], direction="bidirectional", **ONNX[operator])
            y[n, :length] = out[0]
            for state, end in zip(last, ends, strict=True):
                state[:, one] = end
        return y, *last

    return run


ONNX = {"RNN": {}, "LSTM": {}, "GRU": {"linear_before_reset": 1}}


def same(array):
    return array


def published(dtype):
    """Run every example that ONNX publishes of its three operators, in all directions and both layouts."""
    worst, count = 0.0, 0
    for operator in ONNX:
        for example in onnx_examples.published(operator.lower()):
            y, *last = of_example(operator, example.attributes, *(a.astype(dtype) for a in example.inputs))
            # of the outputs some examples want the last states alone
            got = ([y] if example.outputs[0].ndim == 4 else []) + last
            for mine, want in zip(got, example.outputs, strict=False):
                assert mine.shape == want.shape and mine.dtype == dtype, example.name
                worst, count = max(worst, float(np.max(abs(mine - want)) / np.max(abs(want)))), count + want.size
    return worst, count


def of_example(operator, attributes, x, w, r, b=None, lengths=None, *rest):
    """Return Y and the last states of an example by our functions, which differ in layout, blocks and directions."""
    batch_first, direction = attributes.get("layout", 0), attributes.get("direction", b"forward")
    x = x if batch_first else x.swapaxes(0, 1)
    b = np.zeros((len(w), 2 * w.shape[1]), x.dtype) if b is None else b
    order = {"RNN": same, "LSTM": lambda a: blocks_of(a, "igof"), "GRU": update_first}[operator]
    weights = [np.stack([order(one) for one in a]) for a in (w, r, *np.split(b, 2, axis=1))]
    none = [None] * (2 if operator == "LSTM" else 1)
    if direction == b"bidirectional" and operator != "GRU":
        y, *last = (bidirectional_lstm if operator == "LSTM" else bidirectional_rnn)(x, *none, *weights)
    else:
        # the published GRU resets before the product; its two directions are two layers
        layer = {"RNN": rnn, "LSTM": lstm, "GRU": gru_reset_before}[operator]
        if rest and operator == "LSTM":
            (p_i, p_o, p_f), layer = np.split(rest[2][0], 3), lstm_peephole
            weights[2:2] = [p[None] for p in (p_i, p_f, p_o)]
        ends = {b"forward": (0,), b"reverse": (1,), b"bidirectional": (0, 1)}[direction]
        runs = []
        for k, end in enumerate(ends):
            y, *last = layer(reverse_sequences(x) if end else x, *none, *(a[k] for a in weights))
            runs.append([reverse_sequences(y) if end else y, *last])
        y, *last = (np.stack(part) for part in zip(*runs, strict=True))
        y = np.concatenate(list(y), axis=2)
    y = y.reshape(*y.shape[:2], len(w), -1)
    if batch_first:
        return y, *(state.swapaxes(0, 1) for state in last)
    return y.transpose(1, 2, 0, 3), *last


def terms(x, h0, *rest):
    """Count the products that one pre-activation sums."""
    return x.shape[2] + h0.shape[2]


def products(x, h0, *rest):
    """Count the products that one gradient sums, of both directions."""
    return 2 * terms_of_gradient(x, *(a if a is None else a[0] for a in rest))


BOUNDS = {"bound": Normwise(terms), "gradient_bound": Normwise(products)}
X, WEIGHTS = np.zeros((3, 4, 2)), (np.zeros((2, 5, 2)), np.zeros((2, 5, 5)))
CASES = [
    Case(
        reverse_sequences,
        lambda rng: (rng.normal(size=(4, 6, 3)),),
        "onnx.reference ReverseSequence",
        onnx_reversed,
        {"lengths": LENGTHS},
        bound=Exact(),
        gradient=lambda x, lengths: torch.stack([torch.cat([s[:n].flip(0), s[n:]]) for s, n in zip(x, lengths)]),  # noqa: B905
        refuses=[
            ((X,), {"lengths": [4, 5, 0]}, ValueError, "lengths: expected integers from 0 to 4, got 5"),
            ((X,), {"lengths": [4, 3]}, ValueError, r"lengths: expected shape \(3,\), got \(2,\)"),
            ((X,), {"lengths": [4.0, 3.0, 1.0]}, TypeError, "lengths: expected integers, got float64"),
        ],
    ),
    Case(
        bidirectional_rnn,
        twice(1, 1),
        "torch.nn.RNN, bidirectional, packed",
        from_torch(torch_rnn),
        {"lengths": LENGTHS},
        refuses=[
            ((X, None, *WEIGHTS), {"merge": "mean"}, ValueError, "merge: expected one of 'concatenate', 'sum', got"),
            ((X, None, WEIGHTS[0][0], WEIGHTS[1]), {}, ValueError, r"w_ih: expected shape \(2, 5, 2\), got \(5, 2\)"),
            ((X, np.zeros((2, 4, 5)), *WEIGHTS), {}, ValueError, r"h0: expected shape \(2, 3, 5\), got \(2, 4, 5\)"),
            ((X, None, *WEIGHTS), {"lengths": [4, 5, 0]}, ValueError, "lengths: expected integers from 0 to 4, got 5"),
        ],
        **BOUNDS,
    ),
    Case(
        bidirectional_rnn,
        twice(1, 1),
        "torch.nn.RNN, bidirectional, relu, outputs summed",
        from_torch(torch_rnn),
        {"lengths": LENGTHS, "merge": "sum", "activation": "relu"},
        label="sum",
        **BOUNDS,
    ),
    *(
        Case(
            function,
            twice(blocks, state_count),
            f"onnx.reference {operator}, bidirectional",
            onnx_both(operator, order),
            {"lengths": LENGTHS},
            gradient=gradient,
            label="ONNX",
            **BOUNDS,
        )
        for function, operator, blocks, state_count, order, gradient in (
            (bidirectional_rnn, "RNN", 1, 1, same, torch_rnn),
            (bidirectional_lstm, "LSTM", 4, 2, lambda a: blocks_of(a, "iofg"), torch_both(torch.nn.LSTM)),
            (bidirectional_gru, "GRU", 3, 1, update_first, torch_both(torch.nn.GRU)),
        )
    ),
    Case(
        bidirectional_lstm,
        twice(4, 2),
        "torch.nn.LSTM, bidirectional, packed",
        from_torch(torch_both(torch.nn.LSTM)),
        {"lengths": LENGTHS},
        **BOUNDS,
    ),
    Case(
        bidirectional_lstm,
        twice(4, 2, 2, 40, 3, 7),
        "torch.nn.LSTM, bidirectional",
        from_torch(torch_both(torch.nn.LSTM)),
        label="whole",
        **BOUNDS,
    ),
    Case(
        bidirectional_gru,
        twice(3, 1),
        "torch.nn.GRU, bidirectional, packed",
        from_torch(torch_both(torch.nn.GRU)),
        {"lengths": LENGTHS},
        **BOUNDS,
    ),
]

PROOFS = [
    Proof(
        [bidirectional_rnn, bidirectional_lstm, rnn, lstm, lstm_peephole, gru_reset_before],
        "the examples published with ONNX: RNN, LSTM, GRU",
        "18 examples: forward, reverse, bidirectional; biases, peepholes, both layouts",
        "normwise",
        # the published numbers are of float32 themselves, after at most three steps
        dict.fromkeys(("float32", "float64"), 16 * float(np.finfo(np.float32).eps)),
        published,
    ),
]

ONES, TANH = np.ones((2, 1, 1)), np.tanh(1.0)
EDGES = [
    Edge(
        bidirectional_rnn,
        ([[[1.0], [nan], [nan]]], None, ONES, ONES),
        ([[[TANH, TANH], [0.0, 0.0], [0.0, 0.0]]], [[[TANH]], [[TANH]]]),
        "the padding is not read, whatever stands there; the output there is zero",
        {"lengths": [1]},
        input="x = 1, nan, nan; length 1, all weights one",
        output="y = (0.762, 0.762), (0, 0), (0, 0)",
    ),
    Edge(
        bidirectional_rnn,
        ([[[1.0], [2.0]]], [[[0.5]], [[-0.5]]], ONES, ONES),
        (np.zeros((1, 2, 2)), [[[0.5]], [[-0.5]]]),
        "a sequence without a step keeps its first states; PyTorch refuses to pack it",
        {"lengths": [0]},
        input="x = 1, 2; length 0, h0 = 0.5 and -0.5",
        output="y = 0; h = 0.5, -0.5",
    ),
    Edge(
        bidirectional_rnn,
        ([[[1.0], [nan]]], None, ONES, ONES),
        ([[[TANH, nan], [nan, nan]]], [[[nan]], [[nan]]]),
        "NaN inside the sequence reaches everything: forwards what follows, backwards what came before",
        input="x = 1, nan; all weights one",
        output="y = (0.762, nan), (nan, nan)",
    ),
]


# A pulse, then nothing, and a sequence of one step with a padding that is not zero; all weights one.
PULSE, PADDED = np.array([[[1.0], [0.0], [0.0]]]), np.array([[[1.0], [5.0], [5.0]]])


def torch_layer():
    net = torch.nn.RNN(1, 1, bias=False, bidirectional=True, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(1.0)
    return net


def torch_states(x, lengths=None):
    x = torch.from_numpy(x)
    if lengths:
        x = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), batch_first=True)
    return torch_layer()(x)[1][1, 0, 0].item()


def keras_layer(**options):
    import keras

    one = keras.layers.SimpleRNN(1, use_bias=False, dtype="float64", **options)
    both = keras.layers.Bidirectional(one, dtype="float64")
    both.build((1, 3, 1))
    for w in both.weights:
        w.assign(np.ones(w.shape))
    return both


def keras_states(x, **call):
    return keras_layer()(x, **call)[0, 1].item()


def onnx_states(x, length):
    weights = {"W": ONES, "R": ONES, "B": np.zeros((2, 2))}
    inputs = {"X": x.swapaxes(0, 1)} | weights | {"lengths": np.array([length], np.int32)}
    return float(onnx_recurrent("RNN", inputs, 1, direction="bidirectional")[1][1, 0, 0])


CONVENTIONS = [
    Convention(
        "bidirectional-rnn",
        "bidirectional-last",
        "One vector for a whole sequence",
        "x = 1, 0, 0, all weights one: what the usual call gives of the direction that reads from the end",
        [
            Row(
                "PyTorch",
                "`output[:, -1]`: after its first step, the last one of the sequence",
                "0.000",
                lambda: torch_layer()(torch.from_numpy(PULSE))[0][0, -1, 1].item(),
                "{:.3f}",
                "torch",
            ),
            Row("PyTorch", "`h_n[-1]`: after all steps", "0.762", lambda: torch_states(PULSE), "{:.3f}", "torch"),
            Row(
                "Keras",
                "`return_sequences=False`: after all steps",
                "0.762",
                lambda: keras_states(PULSE),
                "{:.3f}",
                "keras",
            ),
            Row(
                "Keras",
                "`return_sequences=True`, then `[:, -1]`: after its first step",
                "0.000",
                lambda: keras_layer(return_sequences=True)(PULSE)[0, -1, 1].item(),
                "{:.3f}",
                "keras",
            ),
            Row(
                "dlref",
                "`h[1]`: after all steps",
                "0.762",
                lambda: float(bidirectional_rnn(PULSE, None, ONES, ONES).h[1, 0, 0]),
                "{:.3f}",
                "dlref",
            ),
        ],
    ),
    Convention(
        "bidirectional-rnn",
        "bidirectional-padding",
        "Where the second direction begins",
        "a sequence of one step, x = 1, padded with 5, 5; all weights one: its state after reading x",
        [
            Row("PyTorch", "a padded tensor: in the padding", "0.964", lambda: torch_states(PADDED), "{:.3f}", "torch"),
            Row(
                "PyTorch",
                "`pack_padded_sequence`: at the last element",
                "0.762",
                lambda: torch_states(PADDED, [1]),
                "{:.3f}",
                "torch",
            ),
            Row("Keras", "no mask: in the padding", "0.964", lambda: keras_states(PADDED), "{:.3f}", "keras"),
            Row(
                "Keras",
                "`mask`: at the last element",
                "0.762",
                lambda: keras_states(PADDED, mask=torch.tensor([[True, False, False]])),
                "{:.3f}",
                "keras",
            ),
            Row(
                "ONNX reference",
                "`sequence_lens`, which it does not read: in the padding",
                "0.964",
                lambda: onnx_states(PADDED, 1),
                "{:.3f}",
                "onnx",
            ),
            Row(
                "dlref",
                "`lengths`: at the last element",
                "0.762",
                lambda: float(bidirectional_rnn(PADDED, None, ONES, ONES, lengths=[1]).h[1, 0, 0]),
                "{:.3f}",
                "dlref",
            ),
        ],
    ),
]


def drawn(dtype, blocks, state_count, batch=16, steps=32, inputs=64, hidden=64):
    draw = twice(blocks, state_count, batch, steps, inputs, hidden)
    return [a.astype(dtype) for a in draw(np.random.default_rng(0))]


def torch_module(module, args):
    x, *states, w_ih, w_hh, b_ih, b_hh = (torch.from_numpy(a) for a in args)
    net = module(x.shape[2], w_hh.shape[2], bidirectional=True, batch_first=True, dtype=x.dtype)
    with torch.no_grad():
        stacked = [a[k] for k in (0, 1) for a in (w_ih, w_hh, b_ih, b_hh)]
        for p, value in zip(net.parameters(), stacked, strict=True):
            p.copy_(value)
    return net, x, tuple(states) if len(states) > 1 else states[0]


def thunks(function, module, *kind):
    def make(dtype):
        args = drawn(dtype, *kind)
        net, x, states = torch_module(module, args)
        return lambda: function(*args), lambda: net(x, states)

    return make


def backward_thunks(function, module, *kind):
    def make(dtype):
        args = drawn(dtype, *kind)
        net, x, states = torch_module(module, args)
        part = np.random.default_rng(1).normal(size=(16, 32, 128)).astype(dtype)
        dy, cotangent = type(function(*args))(part, *[None] * kind[1]), torch.from_numpy(part)
        leaves, backward = [x.requires_grad_(), *net.parameters()], backward_of(function)
        return lambda: backward(dy, *args), lambda: torch.autograd.grad(net(x, states)[0], leaves, cotangent)

    return make


def flips(dtype):
    x = np.random.default_rng(0).normal(size=(64, 100, 64)).astype(dtype)
    tensor = torch.from_numpy(x)
    return lambda: reverse_sequences(x), lambda: torch.flip(tensor, (1,))


def flips_back(dtype):
    x, dy = np.random.default_rng(0).normal(size=(2, 64, 100, 64)).astype(dtype)
    tensor, cotangent = torch.from_numpy(x).requires_grad_(), torch.from_numpy(dy)
    return (
        lambda: reverse_sequences_backward(dy, x),
        lambda: torch.autograd.grad(torch.flip(tensor, (1,)), tensor, cotangent),
    )


SIZE, KINDS = "16x32x64 to 2x64", ((bidirectional_rnn, "RNN", 1, 1), (bidirectional_lstm, "LSTM", 4, 2))
BENCH = [
    bench
    for function, name, *kind in (*KINDS, (bidirectional_gru, "GRU", 3, 1))
    for made, part, peer in ((thunks, "", ""), (backward_thunks, "_backward", ", forward and autograd"))
    for bench in [
        Bench(
            f"layers.{function.__name__}{part}",
            f"torch.nn.{name}{peer}",
            SIZE,
            made(function, getattr(torch.nn, name), *kind),
            aim=0.7,
        )
    ]
]
BENCH.append(Bench("layers.reverse_sequences", "torch.flip; all of one length", "64x100x64", flips))
BENCH.append(Bench("layers.reverse_sequences_backward", "torch.flip, forward and autograd", "64x100x64", flips_back))
