"""lstm, its peephole variant and the forget bias."""

import numpy as np
import torch

from dlref.layers import LSTM, lstm, lstm_backward, lstm_forget_bias, lstm_peephole, lstm_peephole_backward
from tests.bounds import Exact, Normwise
from tests.cases import Case, Convention, Edge, Row
from tests.cases.layers.recurrent import benches, cases, layer, loop_benches, sweep, terms, terms_of_gradient

inf, nan = np.inf, np.nan


def with_peepholes(*args, **kwargs):
    """Return a function that draws what `layer` does, with three peepholes before the biases.

    A cell state can grow to the number of steps, so peepholes are drawn small enough for products of order one.
    """
    draw = layer(*args, **kwargs)

    def drawn(rng, dtype=None):
        *rest, b_ih, b_hh = draw(rng)
        return *rest, *rng.normal(size=(3, rest[-1].shape[1])) / rest[0].shape[1], b_ih, b_hh

    return drawn


def blocks_of(array, order):
    """Stack the blocks i, f, g, o of a weight or bias in another order."""
    blocks = dict(zip("ifgo", np.split(array, 4), strict=True))
    return np.concatenate([blocks[name] for name in order])


def onnx_recurrent(operator, inputs, hidden, **attributes):
    """Run ONNX's reference of a recurrent operator; inputs by name, in order, an empty name is left out.

    The outputs of two directions stand side by side, as ours; their last states keep the axis of directions.
    """
    import onnx
    from onnx.reference import ReferenceEvaluator

    outputs = ["Y", "Y_h", "Y_c"] if operator == "LSTM" else ["Y", "Y_h"]
    value, real = onnx.helper.make_tensor_value_info, onnx.TensorProto.DOUBLE
    node = onnx.helper.make_node(operator, list(inputs), outputs, hidden_size=hidden, **attributes)
    inputs = {name: array for name, array in inputs.items() if name}
    given = [value(name, real, array.shape) for name, array in inputs.items()]
    graph = onnx.helper.make_graph([node], "layer", given, [value(name, real, None) for name in outputs])
    y, *last = ReferenceEvaluator(onnx.helper.make_model(graph)).run(None, inputs)
    y = y.transpose(2, 0, 1, 3)
    return y.reshape(*y.shape[:2], -1), *(state if len(state) > 1 else state[0] for state in last)


def onnx_lstm(x, h0, c0, w_ih, w_hh, p_i, p_f, p_o, b_ih, b_hh):
    stacked = [blocks_of(array, "iofg") for array in (w_ih, w_hh, b_ih, b_hh)]
    inputs = {"X": x.swapaxes(0, 1), "W": stacked[0][None], "R": stacked[1][None]}
    inputs |= {"B": np.concatenate(stacked[2:])[None], "": None, "h0": h0[None], "c0": c0[None]}
    return onnx_recurrent("LSTM", inputs | {"P": np.concatenate([p_i, p_o, p_f])[None]}, len(p_i))


def torch_peephole(x, h, c, w_ih, w_hh, p_i, p_f, p_o, b_ih, b_hh):
    """Write the recurrence in torch: its value is judged by ONNX as well, its gradient judges ours."""
    y = []
    for xt in x.unbind(1):
        i, f, g, o = (xt @ w_ih.T + b_ih + h @ w_hh.T + b_hh).chunk(4, 1)
        kept, written = torch.sigmoid(f + p_f * c) * c, torch.sigmoid(i + p_i * c) * torch.tanh(g)
        c = kept + written
        h = torch.sigmoid(o + p_o * c) * torch.tanh(c)
        y.append(h)
    return torch.stack(y, 1), h, c


def keras_initial_bias(b, value):
    import keras

    cell = keras.layers.LSTMCell(len(b) // 4, unit_forget_bias=True)
    cell.build((None, 3))
    return np.asarray(cell.bias.value.detach())


PEEPHOLE_REFUSAL = (np.zeros((5, 4, 3)), None, None, np.zeros((8, 3)), np.zeros((8, 2)))
CASES = [
    *cases(lstm, torch.nn.LSTM, 4, 2),
    Case(
        lstm_peephole,
        with_peepholes(4, 2),
        "onnx.reference LSTM with P",
        onnx_lstm,
        gradient=torch_peephole,
        sweep=sweep(4, 2, with_peepholes),
        bound=Normwise(terms),
        gradient_bound=Normwise(terms_of_gradient),
        refuses=[
            (
                (*PEEPHOLE_REFUSAL, np.zeros(2), np.zeros(3), np.zeros(2)),
                {},
                ValueError,
                r"p_f: expected shape \(2,\), got \(3,\)",
            ),
            ((*PEEPHOLE_REFUSAL, np.zeros(2), np.zeros(2), None), {}, TypeError, "p_o: expected an array, got None"),
        ],
    ),
    Case(
        lstm_forget_bias,
        lambda rng: (np.zeros(28),),
        "keras.layers.LSTMCell, unit_forget_bias",
        keras_initial_bias,
        kwargs={"value": 1.0},
        bound=Exact(),
        refuses=[
            (([1.0, 2.0],), {}, ValueError, "b: expected four blocks of equal length, got 2 entries"),
            ((np.zeros((2, 4)),), {}, ValueError, "b: expected 1 dimension, got 2"),
        ],
    ),
]

COLUMN, WEIGHT = np.ones((4, 1)), np.zeros((4, 1))
EDGES = [
    Edge(
        lstm,
        (np.zeros((1, 0, 1)), [[0.5]], [[2.0]], COLUMN, WEIGHT),
        (np.zeros((1, 0, 1)), [[0.5]], [[2.0]]),
        "no step, so the states stay; PyTorch refuses",
        input="T = 0",
        output="y empty, h = h0, c = c0",
    ),
    Edge(
        lstm,
        (np.zeros((0, 3, 1)), None, None, COLUMN, WEIGHT),
        (np.zeros((0, 3, 1)), np.zeros((0, 1)), np.zeros((0, 1))),
        "no sequence, no result",
        input="N = 0",
        output="all empty",
    ),
    Edge(
        lstm,
        ([[[inf], [inf], [inf]]], None, None, COLUMN, WEIGHT),
        ([[[np.tanh(1)], [np.tanh(2)], [np.tanh(3)]]], [[np.tanh(3)]], [[3.0]]),
        "all gates open: the cell state counts the steps, the hidden state stays below one",
        input="x = inf, three times; all weights of x one, of h zero",
        output="y = tanh 1, tanh 2, tanh 3; c = 3",
    ),
    Edge(
        lstm,
        ([[[-inf]]], None, [[2.0]], COLUMN, WEIGHT),
        ([[[0.0]]], [[0.0]], [[0.0]]),
        "all gates closed: everything is forgotten",
        input="x = -inf, c0 = 2",
        output="y = 0, c = 0",
    ),
    Edge(
        lstm,
        ([[[-inf], [nan], [-inf]]], None, None, COLUMN, WEIGHT),
        ([[[0.0], [nan], [nan]]], [[nan]], [[nan]]),
        "NaN stays in the cell state: even a closed forget gate multiplies",
        input="x = -inf, nan, -inf",
        output="y = 0, nan, nan",
    ),
]


# One unit, one input, one step from c = 1: the same four stacked numbers, read in three orders.
STACKED = np.array([[1.0], [2.0], [-1.0], [3.0]])


def dlref_gate_order():
    return float(lstm([[[1.0]]], None, [[1.0]], STACKED, np.zeros((4, 1))).h[0, 0])


def torch_gate_order():
    net = torch.nn.LSTM(1, 1, bias=False, dtype=torch.float64)
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    with torch.no_grad():
        net.weight_ih_l0.copy_(torch.from_numpy(STACKED))
        net.weight_hh_l0.zero_()
        _, (h, _) = net(one, (one, one))
    return h.item()


def keras_gate_order():
    import keras

    net = keras.layers.LSTM(1, use_bias=False, dtype="float64")
    net.build((1, 1, 1))
    net.set_weights([STACKED.T, np.zeros((1, 4))])
    return net(np.ones((1, 1, 1)), initial_state=[np.zeros((1, 1)), np.ones((1, 1))]).item()


def onnx_gate_order():
    zeros = np.zeros((1, 1, 1))
    inputs = {"X": np.ones((1, 1, 1)), "W": STACKED[None], "R": np.zeros((1, 4, 1)), "B": np.zeros((1, 8)), "": None}
    return float(onnx_recurrent("LSTM", inputs | {"h0": zeros, "c0": zeros + 1}, 1)[1][0, 0])


def torch_open():
    torch.manual_seed(0)
    net = torch.nn.LSTM(3, 128)
    return float(torch.sigmoid(net.bias_ih_l0 + net.bias_hh_l0)[128:256].mean().detach())


def keras_open():
    return float(1 / (1 + np.exp(-keras_initial_bias(np.zeros(4 * 128), 1.0)))[128:256].mean())


def keras_count():
    import keras

    net = keras.layers.LSTM(5)
    net.build((None, None, 3))
    return net.count_params()


def torch_count():
    return sum(p.numel() for p in torch.nn.LSTM(3, 5).parameters())


CONVENTIONS = [
    Convention(
        "lstm",
        "lstm-gate-order",
        "The order in which the gates are stacked",
        "one unit, weights of x stacked as (1, 2, -1, 3), all others zero: h after one step from c = 1 with x = 1",
        [
            Row("dlref", "i, f, g, o", "0.2983", dlref_gate_order, "{:.4f}", "dlref"),
            Row("PyTorch", "i, f, g, o", "0.2983", torch_gate_order, "{:.4f}", "torch"),
            Row(
                "Keras",
                "i, f, c, o: the same, with the candidate called c",
                "0.2983",
                keras_gate_order,
                "{:.4f}",
                "keras",
            ),
            Row("ONNX", "i, o, f, c", "0.6695", onnx_gate_order, "{:.4f}", "onnx"),
        ],
    ),
    Convention(
        "lstm",
        "lstm-forget-bias",
        "How open the forget gate starts",
        "a new layer of 128 units, default initialization: mean of the forget gates for input and state zero",
        [
            Row("PyTorch", "two biases, uniform in $\\pm 1/\\sqrt{H}$", "0.50", torch_open, "{:.2f}", "torch"),
            Row("Keras", "`unit_forget_bias=True`: one in the forget block", "0.73", keras_open, "{:.2f}", "keras"),
        ],
    ),
    Convention(
        "lstm",
        "lstm-parameters",
        "How many parameters a layer has",
        "3 inputs, 5 units",
        [
            Row("PyTorch", "$4H(D + H + 2)$: a bias for each product", "200", torch_count, package="torch"),
            Row("Keras", "$4H(D + H + 1)$: one bias", "180", keras_count, package="keras"),
        ],
    ),
]

BENCH = [
    *benches(lstm, lstm_backward, LSTM, torch.nn.LSTM, 4, 2, 0.7),
    *loop_benches(
        lstm_peephole, lstm_peephole_backward, LSTM, torch_peephole, lambda **sizes: with_peepholes(4, 2, **sizes)
    ),
]
