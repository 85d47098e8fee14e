"""Norms of gradients on their way back, against matrix powers in NumPy, autograd of PyTorch and closed forms."""

import itertools

import numpy as np
import torch

from dlref.activations import sigmoid, tanh
from dlref.layers import gru, lstm, rnn
from dlref.training import (
    gradient_bound,
    gradient_flow,
    gradient_statistics,
    growth_rate,
    log_product_norms,
    recurrence_condition,
    rnn_gradient_by_lag,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

inf, nan = np.inf, np.nan

# --- functions of arrays ----------------------------------------------------------------------------------------------


def states(batch, steps, hidden, gain=1.0):
    """Return a function that draws states inside (-1, 1), recurrent weights and a gradient of the last state."""

    def draw(rng, dtype=None):
        h = np.tanh(rng.normal(size=(batch, steps, hidden)))
        return h, gain * rng.normal(size=(hidden, hidden)) / np.sqrt(hidden), rng.normal(size=(batch, hidden))

    return draw


def by_jacobians(h, w_hh, dh, activation="tanh"):
    """Multiply whole Jacobians first, then by the gradient: another order of the same product."""
    out = np.empty((len(h), h.shape[1] + 1))
    for n, (rows, g) in enumerate(zip(h, dh, strict=True)):
        product, out[n, 0] = np.eye(len(g)), np.linalg.norm(g)
        for k in range(len(rows)):
            now = rows[len(rows) - 1 - k]
            product = product @ (np.diag(1 - now**2 if activation == "tanh" else (now > 0) * 1.0) @ w_hh)
            out[n, k + 1] = np.linalg.norm(g @ product)
    return out


def powers(rng, dtype=None):
    """One matrix, nine times."""
    return (np.stack([rng.normal(size=(5, 5))] * 9),)


def numpy_powers(jacobians):
    w = jacobians[0]
    return np.log([np.linalg.norm(np.linalg.matrix_power(w, k + 1), 2) for k in range(len(jacobians))])


def different(rng, dtype=None):
    """Seven matrices, whose order matters."""
    return (rng.normal(size=(7, 4, 4)),)


def numpy_products(jacobians):
    partial = itertools.accumulate(jacobians, lambda product, factor: factor @ product)
    return np.log([np.linalg.norm(product, 2) for product in partial])


def scipy_slope(norms):
    import scipy.stats

    return np.float64(scipy.stats.linregress(np.arange(len(norms)), np.log(norms)).slope)


def singular_values(w_hh, slope=1.0):
    wide = torch.from_numpy(w_hh)
    factor = slope * torch.linalg.svdvals(wide).max().item()
    radius = slope * torch.linalg.eigvals(wide).abs().max().item()
    return tuple(np.asarray(value) for value in (factor, radius, factor < 1, factor > 1))


def torch_statistics(g):
    t = torch.from_numpy(g).flatten().abs()
    return tuple(t_.item() for t_ in (t.mean(), t.square().mean().sqrt(), t.max(), (t == 0).double().mean()))


def rectified(rng, dtype=None):
    return (np.maximum(rng.normal(size=(3, 5, 7)), 0),)


CASES = [
    Case(
        rnn_gradient_by_lag,
        states(3, 6, 5),
        "products of Jacobian matrices in NumPy",
        by_jacobians,
        sweep={"60 steps": states(2, 60, 11)},
        bound=Normwise(60 * 11),
        refuses=[
            (
                (np.zeros((2, 3, 4)), np.zeros((4, 5)), np.zeros((2, 4))),
                {},
                ValueError,
                r"w_hh: expected shape \(4, 4\), got",
            ),
            (
                (np.zeros((2, 3, 4)), np.zeros((4, 4)), np.zeros((3, 4))),
                {},
                ValueError,
                r"dh: expected shape \(2, 4\), got",
            ),
            (
                (np.zeros((2, 3, 4)), np.zeros((4, 4)), np.zeros((2, 4)), "sigmoid"),
                {},
                ValueError,
                "activation: expected one of 'tanh', 'relu', got 'sigmoid'",
            ),
        ],
    ),
    Case(
        rnn_gradient_by_lag,
        states(3, 6, 5),
        "products of Jacobian matrices in NumPy, relu",
        by_jacobians,
        {"activation": "relu"},
        bound=Normwise(30),
        label="relu",
    ),
    Case(
        log_product_norms,
        powers,
        "numpy.linalg.matrix_power and norm",
        numpy_powers,
        refuses=[((np.zeros((3, 4, 5)),), {}, ValueError, r"jacobians: expected shape \(any, 5, 5\), got \(3, 4, 5\)")],
    ),
    Case(
        log_product_norms,
        different,
        "numpy.matmul, one factor after the other from the left, and norm",
        numpy_products,
        label="different",
    ),
    Case(
        growth_rate,
        lambda rng: (np.exp(0.3 * np.arange(12) + 0.1 * rng.normal(size=12)),),
        "scipy.stats.linregress",
        scipy_slope,
        refuses=[(([1.0],), {}, ValueError, "norms: expected at least 2, got 1")],
    ),
    Case(
        recurrence_condition,
        lambda rng: (rng.normal(size=(6, 6)),),
        "torch.linalg.svdvals and eigvals",
        singular_values,
        {"slope": 0.25},
        bound=Normwise(36, 10.0),
        refuses=[
            ((np.zeros((2, 3)),), {}, ValueError, r"w_hh: expected shape \(2, 2\), got \(2, 3\)"),
            ((np.eye(2), -1.0), {}, ValueError, "slope: expected a number in"),
        ],
    ),
    Case(
        gradient_statistics,
        rectified,
        "torch: mean, square root of the mean square, max, share of zeros",
        torch_statistics,
        sweep={"1e5 values": lambda rng, dtype: (rng.normal(size=100_000),)},
    ),
]

# --- chains -----------------------------------------------------------------------------------------------------------


def worst(pairs):
    return max(np.max(np.abs(np.subtract(a, b))) / np.max(np.abs(b)) for a, b in pairs)


def layers_as_in_torch(dtype):
    """Compare six dense layers, the norms of all states' and all weights' gradients, with retained gradients."""
    rng = np.random.default_rng(0)
    sizes = [7, 6, 5, 8, 3, 4, 2]
    weights = [rng.normal(size=(b, a)) for a, b in itertools.pairwise(sizes)]
    x, dy = rng.normal(size=(3, 7)), rng.normal(size=(3, 2))
    flow = gradient_flow([lambda h, w: sigmoid(h @ w.T)] * 6, x, dy, weights)
    h = torch.from_numpy(x).requires_grad_()
    leaves, ws = [h], [torch.from_numpy(w).requires_grad_() for w in weights]
    for w in ws:
        h = torch.sigmoid(h @ w.T)
        h.retain_grad()
        leaves.append(h)
    h.backward(torch.from_numpy(dy))
    pairs = (flow.states, [t.grad.norm().item() for t in leaves]), (flow.params, [w.grad.norm().item() for w in ws])
    return worst([*pairs, (flow.value, h.detach().numpy())]), 16


def steps_as_in_torch(dtype):
    """Compare the simple layer, by the kernel and by the chain, an LSTM and a GRU with torch's cells, step by step."""
    rng = np.random.default_rng(1)
    x, w_ih, w_hh = rng.normal(size=(2, 9, 3)), rng.normal(size=(5, 3)), rng.normal(size=(5, 5)) / 2
    dh, zero = rng.normal(size=(2, 5)), np.zeros((2, 5))
    flow = gradient_flow([lambda h, t=t: rnn(x[:, t : t + 1], h, w_ih, w_hh).h for t in range(9)], zero, dh)
    kernel = rnn_gradient_by_lag(rnn(x, None, w_ih, w_hh).y, w_hh, dh)
    h, kept = torch.zeros(2, 5, dtype=torch.float64, requires_grad=True), []
    kept.append(h)
    for t in range(9):
        h = torch.tanh(torch.from_numpy(x[:, t]) @ torch.from_numpy(w_ih).T + h @ torch.from_numpy(w_hh).T)
        h.retain_grad()
        kept.append(h)
    h.backward(torch.from_numpy(dh))
    pairs = [(flow.states, [t.grad.norm().item() for t in kept])]
    pairs.append((kernel[:, ::-1].T, np.stack([t.grad.norm(dim=1).numpy() for t in kept])))

    w_ih, w_hh = rng.normal(size=(20, 3)), rng.normal(size=(20, 5))
    cell = torch.nn.LSTMCell(3, 5, bias=False, dtype=torch.float64)
    with torch.no_grad():
        cell.weight_ih.copy_(torch.from_numpy(w_ih))
        cell.weight_hh.copy_(torch.from_numpy(w_hh))

    def step(t):
        return lambda state, w: lstm(x[:, t : t + 1], *state, *w)[1:]

    flow = gradient_flow([step(t) for t in range(9)], (zero, zero), (dh, dh), [(w_ih, w_hh)] * 9)
    state = tuple(torch.zeros(2, 5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    kept = [state]
    for t in range(9):
        # copies, so that the gradient of c is that of the next step alone: h is made from c
        state = tuple(part.clone() for part in cell(torch.from_numpy(x[:, t]), state))
        for part in state:
            part.retain_grad()
        kept.append(state)
    torch.autograd.backward(state, [torch.from_numpy(dh)] * 2)
    pairs.append((flow.states, [np.hypot(*(part.grad.norm().item() for part in pair)) for pair in kept]))

    w_ih, w_hh = rng.normal(size=(15, 3)), rng.normal(size=(15, 5))
    cell = torch.nn.GRUCell(3, 5, bias=False, dtype=torch.float64)
    with torch.no_grad():
        cell.weight_ih.copy_(torch.from_numpy(w_ih))
        cell.weight_hh.copy_(torch.from_numpy(w_hh))
    flow = gradient_flow([lambda h, t=t: gru(x[:, t : t + 1], h, w_ih, w_hh).h for t in range(9)], zero, dh)
    kept = [torch.zeros(2, 5, dtype=torch.float64, requires_grad=True)]
    for t in range(9):
        kept.append(cell(torch.from_numpy(x[:, t]), kept[-1]))
        kept[-1].retain_grad()
    kept[-1].backward(torch.from_numpy(dh))
    pairs.append((flow.states, [t.grad.norm().item() for t in kept]))
    return worst(pairs), 10 + 20 + 10 + 10


def contributions_add_up(dtype):
    """Sum the shares of all steps in a gradient of one weight: they are all positive here, so their norms add up."""
    n, w = 12, 0.8
    params = [(np.array([w]), None)] * n  # what has no gradient counts nothing
    flow = gradient_flow([lambda h, p: h * p[0] + 1.0] * n, np.ones(1), np.ones(1), params)
    h = [1.0]
    for _ in range(n):
        h.append(w * h[-1] + 1.0)
    shares = [w ** (n - 1 - k) * h[k] for k in range(n)]
    derivative = sum(shares)
    pairs = (flow.params, shares), (flow.states, w ** np.arange(n, -1, -1)), ([flow.params.sum()], [derivative])
    return worst(pairs), 26


def bounds_hold(dtype):
    """Find the largest share by which a gradient exceeds its bound, over random stacks; none of them does."""
    rng, excess = np.random.default_rng(2), 0.0
    for _ in range(20):
        weights = [rng.normal(size=(6, 6)) for _ in range(5)]
        x, dy = rng.normal(size=(1, 6)), rng.normal(size=(1, 6))
        states = gradient_flow([lambda h, w=w: sigmoid(h @ w.T) for w in weights], x, dy).states
        excess = max(excess, np.max(states / states[-1] / gradient_bound(weights, 0.25)) - 1)
    return max(excess, 0.0), 120


def bound_of_orthogonal(dtype):
    """For orthogonal layers without an activation the bound is reached, by every gradient."""
    rng = np.random.default_rng(3)
    weights = [1.1 * np.linalg.qr(rng.normal(size=(6, 6)))[0] for _ in range(8)]
    states = gradient_flow([lambda h, w=w: h @ w.T for w in weights], np.ones((1, 6)), np.ones((1, 6))).states
    pairs = [(states / states[-1], gradient_bound(weights))]
    pairs += [(gradient_bound(weights, slope), (1.1 * slope) ** np.arange(8, -1, -1)) for slope in (1.0, 0.25)]
    return worst(pairs), 27


ONCE = {"dtypes": ("float64",)}
PROOFS = [
    Proof([gradient_flow], "autograd of PyTorch", "6 dense layers", "normwise", 1e-13, layers_as_in_torch, **ONCE),
    Proof(
        [gradient_flow, rnn_gradient_by_lag],
        "autograd of PyTorch",
        "9 steps of a simple layer, of LSTMCell and of GRUCell",
        "normwise",
        1e-13,
        steps_as_in_torch,
        **ONCE,
    ),
    Proof(
        [gradient_flow],
        "closed form of a linear recurrence",
        "12 steps: norms, and each step's share",
        "normwise",
        1e-13,
        contributions_add_up,
        **ONCE,
    ),
    Proof(
        [gradient_bound],
        "gradients of random logistic stacks",
        "20 stacks of 5 layers: excess over the bound",
        "relative",
        0.0,
        bounds_hold,
        **ONCE,
    ),
    Proof(
        [gradient_bound],
        "scaled orthogonal layers",
        "8 layers: the bound is reached",
        "normwise",
        1e-13,
        bound_of_orthogonal,
        **ONCE,
    ),
]

# --- edges ------------------------------------------------------------------------------------------------------------

EDGES = [
    Edge(
        rnn_gradient_by_lag,
        (np.zeros((1, 0, 1)), [[1.0]], [[3.0]]),
        np.array([[3.0]]),
        "no step: the gradient itself",
        input="T = 0, dh = 3",
        output="3",
    ),
    Edge(
        rnn_gradient_by_lag,
        ([[[0.5], [1.0], [0.5]]], [[2.0]], [[1.0]]),
        np.array([[1.0, 1.5, 0.0, 0.0]]),
        "one saturated state stops everything before it",
        input="h = 0.5, 1, 0.5; w = 2",
    ),
    Edge(
        recurrence_condition,
        ([[0.0, 1.0], [1.0, 0.0]],),
        (1.0, 1.0, False, False),
        "exactly one is neither: a permutation keeps every gradient",
        input="[[0, 1], [1, 0]]",
        output="factor 1, neither",
    ),
    Edge(
        recurrence_condition,
        ([[0.0, 8.0], [0.0, 0.0]],),
        (8.0, 0.0, False, True),
        "nilpotent: may grow once, and is zero after two steps",
        input="[[0, 8], [0, 0]]",
        output="factor 8, radius 0",
    ),
    Edge(log_product_norms, ([[[0.0]], [[1.0]]],), np.array([-inf, -inf]), "a product that is zero stays zero"),
    Edge(log_product_norms, ([[[1.0]], [[nan]]],), np.array([0.0, nan]), "NaN from its factor on"),
    Edge(growth_rate, ([1.0, 0.0, 1.0],), nan, "a norm of zero has no logarithm"),
    Edge(growth_rate, ([1.0, 1.0, 1.0],), 0.0, "neither growth nor decay"),
    Edge(growth_rate, ([4.0, 1.0],), -np.log(4.0), "two norms are enough", output="-log 4"),
    Edge(gradient_statistics, ([0.0, -0.0],), (0.0, 0.0, 0.0, 1.0), "both zeros count"),
    Edge(gradient_statistics, ([1.0, nan, 2.0],), (nan, nan, nan, 0.0), "NaN is seen", output="nan, nan, nan, 0"),
    Edge(gradient_statistics, (np.zeros(0),), (nan, nan, nan, nan), "nothing to take a mean of", input="no entries"),
    Edge(gradient_bound, ([[[2.0]], [[3.0]]],), np.array([6.0, 3.0, 1.0]), "from the last layer back"),
]

# --- conventions ------------------------------------------------------------------------------------------------------


def torch_gate(bias):
    torch.manual_seed(0)
    net = torch.nn.LSTM(8, 256)
    if bias:
        with torch.no_grad():
            net.bias_ih_l0[256:512] = bias
            net.bias_hh_l0[256:512] = 0
    return torch.sigmoid(net.bias_ih_l0 + net.bias_hh_l0)[256:512].detach().numpy()


def keras_gate():
    import keras

    cell = keras.layers.LSTMCell(256)
    cell.build((None, 8))
    return 1 / (1 + np.exp(-cell.bias.value.detach().numpy()[256:512]))


def depth_limit(initializer, slope=0.25):
    """Multiply slope and largest singular value of a fresh 256 x 256 layer."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(256, 256)
    if initializer:
        initializer(layer.weight)
    return slope * float(np.linalg.norm(layer.weight.detach().numpy(), 2))


def keras_dense():
    import keras

    keras.utils.set_random_seed(0)
    layer = keras.layers.Dense(256)
    layer.build((None, 256))
    return 0.25 * float(np.linalg.norm(layer.weights[0].value.detach().numpy(), 2))


CONVENTIONS = [
    Convention(
        "vanishing-gradient",
        "vanishing-start",
        "What a fresh LSTM keeps over 20 steps",
        "256 units, input and state zero: mean of the forget gates to the power 20",
        [
            Row(
                "PyTorch",
                "biases uniform around zero",
                "1e-06",
                lambda: (torch_gate(0) ** 20).mean(),
                "{:.0e}",
                "torch",
            ),
            Row("Keras", "forget bias 1", "2e-03", lambda: (keras_gate() ** 20).mean(), "{:.0e}", "keras"),
            Row(
                "PyTorch",
                "with a forget bias of 3, set by hand",
                "4e-01",
                lambda: (torch_gate(3) ** 20).mean(),
                "{:.0e}",
                "torch",
            ),
        ],
    ),
    Convention(
        "gradient-vanishing",
        "layer-factor",
        "The factor that bounds a gradient, per logistic layer",
        "a new dense layer, 256 to 256: $\\frac14 \\lVert W \\rVert_2$",
        [
            Row(
                "PyTorch",
                "default: uniform in $\\pm 1/\\sqrt{n}$",
                "0.28",
                lambda: depth_limit(None),
                "{:.2f}",
                "torch",
            ),
            Row("Keras", "default: Glorot uniform", "0.5", keras_dense, "{:.1f}", "keras"),
            Row(
                "PyTorch",
                "`kaiming_normal_`",
                "0.69",
                lambda: depth_limit(torch.nn.init.kaiming_normal_),
                "{:.2f}",
                "torch",
            ),
            Row("PyTorch", "`orthogonal_`", "0.25", lambda: depth_limit(torch.nn.init.orthogonal_), "{:.2f}", "torch"),
        ],
    ),
]


def torch_clip_total(error_if_nonfinite=False):
    p = torch.nn.Parameter(torch.zeros(2))
    p.grad = torch.tensor([inf, 1.0])
    try:
        torch.nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=error_if_nonfinite)
    except RuntimeError:
        return "an error"
    return str(p.grad.tolist())


def keras_clip():
    import keras

    weights = keras.Variable(np.zeros(2))
    keras.optimizers.SGD(1.0, global_clipnorm=1.0).apply([torch.tensor([inf, 1.0])], [weights])
    return str(weights.value.tolist())


def ours_clip():
    from dlref.optimizers import clip_by_global_norm

    try:
        clip_by_global_norm([[inf, 1.0]], 1.0, nonfinite="raise")
    except FloatingPointError:
        return "an error"
    return "?"


CONVENTIONS += [
    Convention(
        "exploding-gradient",
        "exploded-clip",
        "A gradient that has already overflowed",
        "the gradient (inf, 1), clipped to a global norm of 1",
        [
            Row("PyTorch", "`clip_grad_norm_`", "[nan, 0.0]", torch_clip_total, package="torch"),
            Row(
                "PyTorch",
                "`error_if_nonfinite=True`",
                "an error",
                lambda: torch_clip_total(error_if_nonfinite=True),
                package="torch",
            ),
            Row("Keras", "`global_clipnorm`", "[nan, nan]", keras_clip, package="keras"),
            Row("dlref", '`nonfinite="raise"`', "an error", ours_clip, package="dlref"),
        ],
    ),
]


def thunks(dtype):
    h, w_hh, dh = (a.astype(dtype) for a in states(16, 60, 64)(np.random.default_rng(0)))
    slopes = torch.from_numpy(1 - h * h)
    w, g = torch.from_numpy(w_hh), torch.from_numpy(dh)

    def peer():
        d, norms = g, [g.norm(dim=1)]
        for t in range(59, -1, -1):
            d = (d * slopes[:, t]) @ w
            norms.append(d.norm(dim=1))
        return torch.stack(norms, 1)

    return lambda: rnn_gradient_by_lag(h, w_hh, dh), peer


def statistics_thunks(dtype):
    g = np.random.default_rng(0).normal(size=100_000).astype(dtype)
    t = torch.from_numpy(g)
    return (
        lambda: gradient_statistics(g),
        lambda: (t.abs().mean(), t.square().mean().sqrt(), t.abs().max(), (t == 0).double().mean()),
    )


def flow_thunks(dtype):
    """Twelve layers of 64 tanh units, 200 examples: the norms of all states' and all weights' gradients."""
    rng = np.random.default_rng(0)
    weights = [np.linalg.qr(rng.normal(size=(64, 64)))[0].astype(dtype) for _ in range(12)]
    x, dy = rng.normal(size=(2, 200, 64)).astype(dtype)
    steps, ws = [lambda h, w: tanh(h @ w.T)] * 12, [torch.from_numpy(w).requires_grad_() for w in weights]
    leaf, cotangent = torch.from_numpy(x).requires_grad_(), torch.from_numpy(dy)

    def theirs():
        kept = [leaf]
        for w in ws:
            kept.append(torch.tanh(kept[-1] @ w.T))
        gradients = torch.autograd.grad(kept[-1], [*kept, *ws], cotangent)
        return torch.stack([g.norm() for g in gradients])

    return lambda: gradient_flow(steps, x, dy, weights), theirs


def product_thunks(dtype):
    jacobians = (np.random.default_rng(0).normal(size=(60, 64, 64)) / 8).astype(dtype)

    def theirs():
        product, scale, norms = np.eye(64), 0.0, []
        for jacobian in jacobians.astype(np.float64):
            product = jacobian @ product
            size = np.linalg.norm(product, 2)
            scale, product = scale + np.log(size), product / size
            norms.append(scale)
        return np.array(norms)

    return lambda: log_product_norms(jacobians), theirs


def rate_thunks(dtype):
    norms = np.exp(-0.1 * np.arange(1000) + np.random.default_rng(0).normal(size=1000)).astype(dtype)
    return lambda: growth_rate(norms), lambda: scipy_slope(norms)


def condition_thunks(dtype):
    w = (np.random.default_rng(0).normal(size=(128, 128)) / 12).astype(dtype)
    other = torch.from_numpy(w)
    return (
        lambda: recurrence_condition(w),
        lambda: (torch.linalg.matrix_norm(other, 2), torch.linalg.eigvals(other).abs().max()),
    )


def bound_thunks(dtype):
    weights = (np.random.default_rng(0).normal(size=(12, 64, 64)) / 8).astype(dtype)
    other = torch.from_numpy(weights)

    def theirs():
        norms = torch.linalg.matrix_norm(other, 2).flip(0)
        return torch.cat([torch.ones(1, dtype=norms.dtype), norms]).cumprod(0).flip(0)

    return lambda: gradient_bound(list(weights)), theirs


BENCH = [
    Bench(
        "training.gradient_bound",
        "torch.linalg.matrix_norm and cumprod",
        "12 of 64 x 64",
        bound_thunks,
    ),
    Bench("training.gradient_flow", "autograd of torch", "12 layers, 200 x 64", flow_thunks, graph=True),
    Bench("training.log_product_norms", "the loop in NumPy", "60 of 64 x 64", product_thunks),
    Bench("training.growth_rate", "scipy's linregress", "1000", rate_thunks),
    Bench("training.recurrence_condition", "torch.linalg", "128 x 128", condition_thunks),
    Bench("training.rnn_gradient_by_lag", "the loop in torch", "16x60x64", thunks),
    Bench("training.gradient_statistics", "four reductions in torch", "1e5", statistics_thunks, aim=1.0),
]
