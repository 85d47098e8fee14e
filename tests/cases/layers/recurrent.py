"""The simple recurrent layer, and how every recurrent layer is drawn, judged and timed."""

import numpy as np
import torch

from dlref.layers import RNN, rnn, rnn_backward
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Row
from tests.oracles import from_torch

nan = np.nan


def layer(blocks, state_count, batch=3, steps=5, inputs=4, hidden=7, biases=True, gain=1.0, loud=1.0):
    """Return a function that draws x, the states, both weights and both biases."""

    def draw(rng, dtype=None):
        states = [rng.normal(size=(batch, hidden)) for _ in range(state_count)]
        w_ih = rng.normal(size=(blocks * hidden, inputs)) * gain / np.sqrt(inputs)
        w_hh = rng.normal(size=(blocks * hidden, hidden)) * gain / np.sqrt(hidden)
        b = [rng.normal(size=blocks * hidden) if biases else None for _ in range(2)]
        return rng.normal(size=(batch, steps, inputs)) * loud, *states, w_ih, w_hh, *b

    return draw


def sweep(blocks, state_count, make=layer):
    """Return layers beyond the small one: short, long, wide, and with gates at their ends."""
    return {
        "1 step": make(blocks, state_count, batch=5, steps=1, inputs=2, hidden=3),
        "200 steps": make(blocks, state_count, batch=2, steps=200, inputs=3, hidden=11, gain=0.5),
        "1,000 inputs": make(blocks, state_count, batch=2, steps=4, inputs=1000, hidden=13),
        "gates at their ends": make(blocks, state_count, batch=2, steps=6, inputs=5, hidden=9, loud=10.0),
    }


def torch_layer(module):
    """Return a layer of torch.nn as a function of its input, states, weights and biases."""

    def run(x, *rest):
        *states, w_ih, w_hh, b_ih, b_hh = rest
        sizes = x.shape[2], w_hh.shape[1]
        net = module(*sizes, bias=b_ih is not None, batch_first=True, dtype=x.dtype)
        weights = {"weight_ih_l0": w_ih, "weight_hh_l0": w_hh, "bias_ih_l0": b_ih, "bias_hh_l0": b_hh}
        weights = {name: value for name, value in weights.items() if value is not None}
        states = None if states[0] is None else tuple(state[None] for state in states)
        states = states[0] if states and len(states) == 1 else states
        y, last = torch.func.functional_call(net, weights, (x, states))
        return (y, *(state[0] for state in (last if isinstance(last, tuple) else (last,))))

    return run


def weights_of(rest):
    """Return w_ih and w_hh, the last two matrices of a call."""
    return [array for array in rest if array is not None and array.ndim == 2][-2:]


def terms(x, *rest):
    """Count the products that one pre-activation sums."""
    return sum(w.shape[1] for w in weights_of(rest))


def terms_of_gradient(x, *rest):
    """Count the products that one gradient sums, whichever has most."""
    return x.shape[0] * x.shape[1] + weights_of(rest)[0].shape[0]


def condition(x, h0, w_ih, w_hh, b_ih, b_hh):
    """Return what the first step costs the gradient of h0, which passes its slopes: the inverse of the largest of them.

    A slope 1 - h^2 is wrong by a few eps however small it is, because the difference cancels where h is near one, and
    because |a tanh''(a)| < 1 bounds what the rounding of a does. What passes is as large as the largest slope. The
    other layers have three or four slopes for each unit and need no such number: in 40 other draws of saturated gates
    the worst used 1.04 of its bound, where this layer would have used 66.
    """
    a = x[:, 0] @ w_ih.T
    for part in (None if h0 is None else h0 @ w_hh.T, b_ih, b_hh):
        a = a if part is None else a + part
    return 1 / np.max(1 - np.tanh(a) ** 2) if a.size else 1.0


def without_states(state_count, draw):
    """Replace the states of a drawn layer by None."""

    def drawn(rng, dtype=None):
        x, *rest = draw(rng)
        return x, *[None] * state_count, *rest[state_count:]

    return drawn


def refusals(blocks, state_count):
    """Return calls with one argument that does not fit, for a layer with 3 inputs and 2 units."""
    x, w_ih, w_hh = np.zeros((5, 4, 3)), np.zeros((2 * blocks, 3)), np.zeros((2 * blocks, 2))
    none = [None] * state_count
    return [
        ((x[0], *none, w_ih, w_hh), {}, ValueError, r"x: expected shape \(any, any, any\), got \(4, 3\)"),
        ((x, *none, w_ih[:, :2], w_hh), {}, ValueError, rf"w_ih: expected shape \({2 * blocks}, 3\), got"),
        (
            (x, *none, w_ih, np.zeros((7, 2))),
            {},
            ValueError,
            rf"w_hh: expected shape \({2 * blocks}, 2\), got \(7, 2\)",
        ),
        ((x, np.zeros((4, 2)), *none[1:], w_ih, w_hh), {}, ValueError, r"h0: expected shape \(5, 2\), got \(4, 2\)"),
        ((x, *none, w_ih, w_hh, np.zeros(3)), {}, ValueError, rf"b_ih: expected shape \({2 * blocks},\), got \(3,\)"),
        ((x, *none, None, w_hh), {}, TypeError, "w_ih: expected an array, got None"),
    ]


def cases(function, module, blocks, state_count, condition=1.0):
    """Return the cases of a layer that torch.nn has: complete, without biases, without states."""
    name, oracle = f"torch.nn.{module.__name__}", from_torch(torch_layer(module))
    bounds = {"bound": Normwise(terms), "gradient_bound": Normwise(terms_of_gradient, condition)}
    draw = layer(blocks, state_count)
    return [
        Case(
            function,
            draw,
            name,
            oracle,
            sweep=sweep(blocks, state_count),
            refuses=refusals(blocks, state_count),
            **bounds,
        ),
        Case(function, layer(blocks, state_count, 2, 6, 3, 5, biases=False), name, oracle, label="no biases", **bounds),
        Case(function, without_states(state_count, draw), name, oracle, label="no states", **bounds),
    ]


def torch_rnn(x, h0, *weights, activation="tanh", truncate=None, every=None):
    """Run torch.nn.RNN window by window: the state before a window carries no gradient, the last outputs count."""

    def layer_of(*sizes, **options):
        return torch.nn.RNN(*sizes, nonlinearity=activation, **options)

    run = torch_layer(layer_of)
    steps = x.shape[1]
    truncate = truncate or steps
    every, parts = every or truncate, []
    for end in range(every, steps + every, every):
        start = max(end - truncate, 0)
        h = run(x[:, :start], h0, *weights)[1].detach() if start else h0
        y, h = run(x[:, start:end], h, *weights)
        parts.append(y[:, end - every - start :])
    return torch.cat(parts, 1), h


def onnx_rnn(x, h0, w_ih, w_hh, b_ih, b_hh):
    from tests.cases.layers.long_short_term import onnx_recurrent

    inputs = {"X": x.swapaxes(0, 1), "W": w_ih[None], "R": w_hh[None], "B": np.concatenate([b_ih, b_hh])[None]}
    return onnx_recurrent("RNN", inputs | {"": None, "h0": h0[None]}, len(w_hh))


def also(oracle, want, kwargs=None, label="", sweep=(), refuses=(), smooth=True):
    """Return one more case of rnn."""
    bounds = {"bound": Normwise(terms), "gradient_bound": Normwise(terms_of_gradient)}
    options = {"kwargs": kwargs or {}, "label": label, "sweep": dict(sweep), "refuses": refuses, "smooth": smooth}
    return Case(rnn, layer(1, 1), oracle, want, gradient=torch_rnn, **options, **bounds)


ZEROS = np.zeros((5, 4, 3)), None, np.zeros((2, 3)), np.zeros((2, 2))
CASES = [
    *cases(rnn, torch.nn.RNN, 1, 1, condition),
    also("onnx.reference RNN", onnx_rnn, label="ONNX"),
    also(
        "torch.nn.RNN, nonlinearity=relu",
        from_torch(torch_rnn),
        {"activation": "relu"},
        "relu",
        sweep={"30 steps": layer(1, 1, 2, 30, 3, 11, gain=0.5)},
        refuses=[(ZEROS, {"activation": "sigmoid"}, ValueError, "activation: expected one of 'tanh', 'relu', got")],
    ),
    also(
        "torch.nn.RNN in pieces, states detached between them",
        from_torch(torch_rnn),
        {"truncate": 2},
        "truncate",
        sweep={"31 steps in pieces of 2": layer(1, 1, 2, 31, 3, 11)},
        refuses=[
            (ZEROS, {"truncate": 0}, ValueError, "truncate: expected an integer at least 1, got 0"),
            (ZEROS, {"truncate": 2, "every": 3}, ValueError, "every: expected an integer from 1 to 2, got 3"),
            (ZEROS, {"every": 1}, TypeError, "truncate: expected an integer, got NoneType"),
        ],
        smooth=False,
    ),
    *(
        also(
            "torch.nn.RNN in windows, states detached before them",
            from_torch(torch_rnn),
            {"truncate": truncate, "every": every},
            f"windows of {truncate} every {every}",
            sweep={"17 steps": layer(1, 1, 2, 17, 3, 11)} if every > 1 else {},
            smooth=False,
        )
        for truncate, every in ((3, 1), (5, 2))
    ),
]

ONE, NOTHING = [[1.0]], np.zeros((1, 0, 1))
EDGES = [
    Edge(
        rnn,
        (NOTHING, [[0.5]], ONE, ONE),
        (NOTHING, [[0.5]]),
        "no step, so the state stays; PyTorch refuses",
        input="T = 0, h0 = 0.5",
        output="y empty, h = 0.5",
    ),
    Edge(
        rnn,
        ([[[0.0], [nan], [0.0]]], None, ONE, ONE),
        ([[[0.0], [nan], [nan]]], [[nan]]),
        "NaN stays in the state, for this sequence alone",
        input="x = 0, nan, 0",
        output="0, nan, nan",
    ),
    Edge(
        rnn,
        ([[[np.inf], [0.0], [0.0]]], None, ONE, [[0.0]]),
        ([[[1.0], [0.0], [0.0]]], [[0.0]]),
        "tanh bounds an infinite input; without recurrent weights it is forgotten",
        input="x = inf, 0, 0; w_hh = 0",
        output="1, 0, 0",
    ),
    Edge(
        rnn,
        ([[[1.0], [0.0], [0.0]]], None, ONE, [[2.0]]),
        ([[[1.0], [2.0], [4.0]]], [[4.0]]),
        "with ReLU nothing bounds the state: it doubles at every step",
        {"activation": "relu"},
        input="x = 1, 0, 0; w_hh = 2, relu",
        output="1, 2, 4",
    ),
]


def torch_radius():
    torch.manual_seed(0)
    return float(abs(np.linalg.eigvals(torch.nn.RNN(3, 256).weight_hh_l0.detach().numpy())).max())


def keras_layer(units=256, inputs=3, **options):
    import keras

    keras.utils.set_random_seed(0)
    built = keras.layers.SimpleRNN(units, **options)
    built.build((None, None, inputs))
    return built


def keras_radius():
    recurrent = keras_layer().weights[1].value.detach().numpy()
    return float(abs(np.linalg.eigvals(recurrent)).max())


def shape_of(y):
    return str(tuple(y.shape))


CONVENTIONS = [
    Convention(
        "recurrent-neural-network",
        "rnn-recurrent-start",
        "How the recurrent weights begin",
        "a new layer of 256 units, default initialization: largest absolute eigenvalue of $W_{hh}$",
        [
            Row("PyTorch", "uniform in $\\pm 1/\\sqrt{H}$: about $1/\\sqrt 3$", "0.6", torch_radius, "{:.1f}", "torch"),
            Row("Keras", "orthogonal: all have absolute value 1", "1.0", keras_radius, "{:.1f}", "keras"),
        ],
    ),
    Convention(
        "recurrent-neural-network",
        "rnn-axes",
        "Which axis is time, and what comes back",
        "zeros of shape (5, 4, 3) into 2 units, nothing else said: shape of the last state",
        [
            Row(
                "PyTorch",
                "time first unless `batch_first=True`: 4 sequences; all states and the last one, one for each layer",
                "(1, 4, 2)",
                lambda: shape_of(torch.nn.RNN(3, 2)(torch.zeros(5, 4, 3))[1]),
                package="torch",
            ),
            Row(
                "Keras",
                "batch first: 5 sequences; the last state alone unless `return_sequences=True`",
                "(5, 2)",
                lambda: shape_of(keras_layer(2)(np.zeros((5, 4, 3)))),
                package="keras",
            ),
            Row(
                "dlref",
                "batch first: 5 sequences; all states and the last one",
                "(5, 2)",
                lambda: shape_of(rnn(*ZEROS).h),
                package="dlref",
            ),
        ],
    ),
    Convention(
        "recurrent-neural-network",
        "rnn-parameters",
        "How many parameters a layer has",
        "3 inputs, 5 units",
        [
            Row(
                "PyTorch",
                "$H(D + H + 2)$: a bias for each product",
                "50",
                lambda: sum(p.numel() for p in torch.nn.RNN(3, 5).parameters()),
                package="torch",
            ),
            Row(
                "Keras",
                "$H(D + H + 1)$: one bias",
                "45",
                lambda: keras_layer(5).count_params(),
                package="keras",
            ),
        ],
    ),
]


def thunks(ours, module, blocks, state_count, dtype, batch=32, steps=64, inputs=128, hidden=128):
    """Return both forward passes of a layer over the same data."""
    args = [a.astype(dtype) for a in layer(blocks, state_count, batch, steps, inputs, hidden)(np.random.default_rng(0))]
    net, x, states = torch_module(module, state_count, args)
    return lambda: ours(*args), lambda: net(x, states)


def backward_thunks(backward, result, module, blocks, state_count, dtype, batch=32, steps=64, inputs=128, hidden=128):
    """Return both gradients: ours computes the forward pass again, so that torch's counts as well."""
    rng = np.random.default_rng(0)
    args = [a.astype(dtype) for a in layer(blocks, state_count, batch, steps, inputs, hidden)(rng)]
    dy = rng.normal(size=(batch, steps, hidden)).astype(dtype)
    net, x, states = torch_module(module, state_count, args)
    leaves, cotangent = [x.requires_grad_(), *net.parameters()], torch.from_numpy(dy)
    dy = result(dy, *[None] * state_count)
    return lambda: backward(dy, *args), lambda: torch.autograd.grad(net(x, states)[0], leaves, cotangent)


def torch_module(module, state_count, args):
    """Return a layer of torch.nn with these weights, its input and its states."""
    x, *rest = (torch.from_numpy(a) for a in args)
    net = module(x.shape[2], rest[0].shape[1], batch_first=True, dtype=x.dtype)
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), rest[state_count:], strict=True):
            parameter.copy_(value)
    states = tuple(state[None] for state in rest[:state_count])
    return net, x, states if state_count > 1 else states[0]


def benches(function, backward, result, module, blocks, state_count, aim):
    """Return both timings of a layer at batch 32, 64 steps, 128 inputs and 128 units."""
    forward = f"layers.{function.__name__}", f"torch.nn.{module.__name__}", "32x64x128 to 128"
    both = f"{forward[0]}_backward", f"{forward[1]}, forward and autograd", forward[2]
    common = module, blocks, state_count
    return [
        Bench(*forward, lambda dtype: thunks(function, *common, dtype), aim=aim),
        Bench(*both, lambda dtype: backward_thunks(backward, result, *common, dtype), aim=aim),
    ]


def loop_benches(function, backward, result, loop, draw, forward=True):
    """Return the timings of a layer that PyTorch lacks against the loop over its cell; ``draw`` as of `layer`."""

    def drawn(dtype):
        args = [a.astype(dtype) for a in draw(batch=32, steps=64, inputs=128, hidden=128)(np.random.default_rng(0))]
        return args, [torch.from_numpy(a) for a in args]

    def walk(dtype):
        args, tensors = drawn(dtype)
        return lambda: function(*args), lambda: loop(*tensors)

    def walk_back(dtype):
        args, leaves = drawn(dtype)
        y = np.random.default_rng(1).normal(size=(32, 64, 128)).astype(dtype)
        dy, cotangent = result(y, *[None] * (len(result._fields) - 1)), torch.from_numpy(y)
        for leaf in leaves:
            leaf.requires_grad_()
        return lambda: backward(dy, *args), lambda: torch.autograd.grad(loop(*leaves)[0], leaves, cotangent)

    name, size = f"layers.{function.__name__}", "32x64x128 to 128"
    there = [Bench(name, "the loop in torch", size, walk)] * forward
    return [*there, Bench(f"{name}_backward", "the loop in torch, forward and autograd", size, walk_back)]


BENCH = benches(rnn, rnn_backward, RNN, torch.nn.RNN, 1, 1, 0.7)
