"""gru, with the reset gate after the recurrent product and before it."""

import numpy as np
import torch

from dlref.layers import GRU, gru, gru_backward, gru_reset_before, gru_reset_before_backward
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Row
from tests.cases.layers.long_short_term import onnx_recurrent
from tests.cases.layers.recurrent import benches, cases, layer, loop_benches, refusals, sweep, terms, terms_of_gradient


def update_first(array):
    """Stack the blocks r, z, n in the order z, r, n of ONNX and Keras."""
    r, z, n = np.split(array, 3)
    return np.concatenate([z, r, n])


def onnx_gru(x, h0, w_ih, w_hh, b_ih, b_hh, linear_before_reset=0):
    inputs = {"X": x.swapaxes(0, 1), "W": update_first(w_ih)[None], "R": update_first(w_hh)[None]}
    inputs |= {"B": np.concatenate([update_first(b_ih), update_first(b_hh)])[None], "": None, "h0": h0[None]}
    return onnx_recurrent("GRU", inputs, w_hh.shape[1], linear_before_reset=linear_before_reset)


def torch_reset_before(x, h, w_ih, w_hh, b_ih, b_hh):
    """Write the recurrence in torch: its gradient judges ours, its value is judged by ONNX."""
    size, y = w_hh.shape[1], []
    for xt in x.unbind(1):
        a = xt @ w_ih.T + b_ih + b_hh
        r, z = torch.sigmoid(a[:, : 2 * size] + h @ w_hh[: 2 * size].T).chunk(2, 1)
        n = torch.tanh(a[:, 2 * size :] + (r * h) @ w_hh[2 * size :].T)
        h = z * h + (1 - z) * n
        y.append(h)
    return torch.stack(y, 1), h


CASES = [
    *cases(gru, torch.nn.GRU, 3, 1),
    Case(
        gru_reset_before,
        layer(3, 1),
        "onnx.reference GRU, linear_before_reset=0",
        onnx_gru,
        gradient=torch_reset_before,
        sweep=sweep(3, 1),
        bound=Normwise(terms),
        gradient_bound=Normwise(terms_of_gradient),
        refuses=refusals(3, 1),
    ),
]

EDGES = [
    Edge(
        gru,
        (np.zeros((1, 0, 1)), [[0.5]], np.ones((3, 1)), np.ones((3, 1))),
        (np.zeros((1, 0, 1)), [[0.5]]),
        "no step, so the state stays; PyTorch refuses",
        input="T = 0",
        output="y empty, h = h0",
    ),
    Edge(
        gru,
        ([[[np.inf]]], [[0.5]], np.ones((3, 1)), np.zeros((3, 1))),
        ([[[0.5]]], [[0.5]]),
        "the update gate is open, and open means: keep",
        input="x = inf, h0 = 0.5; all weights of x one, of h zero",
        output="h = 0.5",
    ),
]


# Two units, one step: the same weights in every library's own order.
X, H0 = np.ones((1, 1, 1)), np.array([[1.0, -2.0]])
W_IH, B = np.array([[-1.0], [1.0], [0.0], [0.0], [0.5], [0.5]]), np.zeros(6)
W_HH = np.concatenate([np.zeros((4, 2)), [[1.0, 2.0], [2.0, 1.0]]])


def torch_gru():
    net = torch.nn.GRU(1, 2, bias=False, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        net.weight_ih_l0.copy_(torch.from_numpy(W_IH))
        net.weight_hh_l0.copy_(torch.from_numpy(W_HH))
        return net(torch.from_numpy(X), torch.from_numpy(H0)[None])[1][0, 0, 0].item()


def keras_gru(**options):
    import keras

    net = keras.layers.GRU(2, use_bias=False, dtype="float64", **options)
    net.build((1, 1, 1))
    net.set_weights([update_first(W_IH).T, update_first(W_HH).T])
    return net(X, initial_state=H0)[0, 0].item()


CONVENTIONS = [
    Convention(
        "lstm",
        "gru-reset",
        "Where the GRU resets",
        "two units, one step from h = (1, -2), gates r = (0.27, 0.73): the first unit after the step",
        [
            Row("PyTorch", "after the product, no other way", "0.3512", torch_gru, "{:.4f}", "torch"),
            Row("Keras", "after, `reset_after=True`", "0.3512", keras_gru, "{:.4f}", "keras"),
            Row(
                "Keras",
                "before, `reset_after=False`",
                "0.0132",
                lambda: keras_gru(reset_after=False),
                "{:.4f}",
                "keras",
            ),
            Row(
                "ONNX",
                "before, `linear_before_reset=0`",
                "0.0132",
                lambda: onnx_gru(X, H0, W_IH, W_HH, B, B)[1][0, 0],
                "{:.4f}",
                "onnx",
            ),
            Row(
                "ONNX",
                "after, `linear_before_reset=1`",
                "0.3512",
                lambda: onnx_gru(X, H0, W_IH, W_HH, B, B, 1)[1][0, 0],
                "{:.4f}",
                "onnx",
            ),
            Row("dlref", "after, `gru`", "0.3512", lambda: gru(X, H0, W_IH, W_HH).h[0, 0], "{:.4f}", "dlref"),
            Row(
                "dlref",
                "before, `gru_reset_before`",
                "0.0132",
                lambda: gru_reset_before(X, H0, W_IH, W_HH).h[0, 0],
                "{:.4f}",
                "dlref",
            ),
        ],
    ),
]


def before_thunks(dtype):
    """Return our layer and that of Keras, which alone has the reset before the product; it runs on PyTorch."""
    import keras

    args = [a.astype(dtype) for a in layer(3, 1, 32, 64, 128, 128)(np.random.default_rng(0))]
    x, h0, w_ih, w_hh, b_ih, b_hh = args
    net = keras.layers.GRU(128, reset_after=False, return_sequences=True, dtype=np.dtype(dtype).name)
    net.build(x.shape)
    net.set_weights([update_first(w_ih).T, update_first(w_hh).T, update_first(b_ih + b_hh)])
    tensors = torch.from_numpy(x), torch.from_numpy(h0)
    return lambda: gru_reset_before(*args), lambda: net(tensors[0], initial_state=tensors[1])


BENCH = [
    *benches(gru, gru_backward, GRU, torch.nn.GRU, 3, 1, 0.7),
    Bench(
        "layers.gru_reset_before",
        "keras.layers.GRU, reset_after=False, on PyTorch",
        "32x64x128 to 128",
        before_thunks,
        ("float32",),
    ),
    *loop_benches(
        gru_reset_before,
        gru_reset_before_backward,
        GRU,
        torch_reset_before,
        lambda **sizes: layer(3, 1, **sizes),
        forward=False,
    ),
]
