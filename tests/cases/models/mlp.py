"""Networks of any depth against PyTorch; folded intervals and linear regions against counts that are known."""

from itertools import product

import numpy as np
import scipy.optimize
import torch

from dlref.activations import relu_breakpoints
from dlref.autodiff import value_and_gradient
from dlref.losses import cross_entropy
from dlref.models import (
    MLPParameters,
    arrangement_regions,
    linear_regions,
    mlp,
    mlp_layers,
    mlp_parameters,
    tent_network,
)
from dlref.optimizers import adam, adam_state
from dlref.training import fit
from tests.bounds import TRAINED
from tests.cases import Bench, Convention, Edge, Proof, Row

SIZES = 5, 11, 7, 9, 4
# Four layers in a row: four times the bound of a sum as long as the longest.
BOUND = {str(np.dtype(t)): float(4 * (16 + np.sqrt(11) / 8) * np.finfo(t).eps) for t in (np.float32, np.float64)}


def drawn(dtype, examples=6):
    rng = np.random.default_rng(5)
    params = mlp_parameters(rng, SIZES, dtype)
    biases = tuple(rng.normal(0, 0.1, b.shape).astype(dtype) for b in params.biases)
    return params._replace(biases=biases), rng.normal(size=(examples, 5)).astype(dtype), rng.integers(0, 4, examples)


def in_torch(params):
    """Build the same network as a torch module, in float64."""
    layers = []
    for w, b in zip(*params, strict=True):
        layer = torch.nn.Linear(*w.shape[::-1], dtype=torch.float64)
        layer.weight.data, layer.bias.data = (torch.from_numpy(p.astype(np.float64)) for p in (w, b))
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def loss(params, x, target):
    return cross_entropy(mlp(params, x), target)


def normwise(got, want):
    return float(np.max(np.abs(got - want)) / np.max(np.abs(want)))


def outputs(dtype):
    params, x, _ = drawn(dtype)
    net, h, errors, count = in_torch(params), torch.from_numpy(x.astype(np.float64)), [], 0
    got = mlp_layers(params, x)
    wants = []
    for i, layer in enumerate(net):
        h = layer(h)
        if i % 2 or i == len(net) - 1:
            wants.append(h.detach().numpy())
    for g, w in zip(got, wants, strict=True):
        assert g.dtype == dtype
        errors.append(normwise(g, w))
        count += g.size
    assert np.array_equal(got[-1], mlp(params, x))
    return max(errors), count


def gradients(dtype):
    params, x, target = drawn(dtype)
    net = in_torch(params)
    wanted = torch.nn.functional.cross_entropy(net(torch.from_numpy(x.astype(np.float64))), torch.from_numpy(target))
    wanted.backward()
    value, got = value_and_gradient(loss, params, x, target)
    linear = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    errors = [normwise(value, wanted.item())]
    errors += [normwise(g, layer.weight.grad.numpy()) for g, layer in zip(got.weights, linear, strict=True)]
    errors += [normwise(g, layer.bias.grad.numpy()) for g, layer in zip(got.biases, linear, strict=True)]
    return max(errors), 1 + sum(g.size for part in got for g in part)


def ten_steps(dtype):
    params, x, target = drawn(dtype, 30)
    net, losses = in_torch(params), []
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for step in range(10):
        batch = slice(step % 5 * 6, step % 5 * 6 + 6)
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(net(torch.from_numpy(x[batch])), torch.from_numpy(target[batch]))
        value.backward()
        optimizer.step()
        losses.append(value.item())
    run = fit(loss, params, (x, target), adam, adam_state, lr=0.01, epochs=2, batch_size=6, rng=None)
    wants = [p.detach().numpy() for p in net.parameters()]
    gots = [p for pair in zip(*run.params, strict=True) for p in pair]
    errors = [normwise(g, w) for g, w in zip(gots, wants, strict=True)]
    return max(*errors, normwise(np.array(run.history.loss), np.array(losses))), 10 + sum(w.size for w in wants)


def spread(dtype):
    """Return the largest deviation of a layer's variance from 2 / fan-in, in standard errors."""
    worst, count = 0.0, 0
    params = mlp_parameters(np.random.default_rng(0), (40, 90, 70, 50), dtype)
    assert not any(b.any() for b in params.biases)
    for w in params.weights:
        assert w.dtype == dtype
        scaled = w.astype(np.float64) * np.sqrt(w.shape[1] / 2)
        worst = max(worst, abs(np.mean(scaled**2) - 1) / np.sqrt(2 / w.size), abs(scaled.mean()) * np.sqrt(w.size))
        count += w.size
    return float(worst), count


# --- pieces -----------------------------------------------------------------------------------------------------------


def saw_tooth(dtype):
    """Return the largest deviation from the exact saw-tooth; multiples of 2**-16 are exact in both formats."""
    x = np.arange(2**16 + 1) / 2**16
    worst = 0.0
    for depth in (1, 2, 5, 12):
        phase = x * 2**depth % 2
        want = np.minimum(phase, 2 - phase)
        got = mlp(tent_network(depth, dtype=dtype), x[:, None].astype(dtype))[:, 0]
        worst = max(worst, float(np.max(np.abs(got - want))))
        # Three inputs, each on its own.
        three = mlp(tent_network(depth, 3, dtype), x[:65535].reshape(-1, 3).astype(dtype))
        worst = max(worst, float(np.max(np.abs(three - want[:65535].reshape(-1, 3)))))
    return worst, 4 * x.size


def folded_counts(dtype):
    """Count where the pieces of folded intervals and squares are not as many as they should be."""
    wrong, judged = 0, 0
    for depth in range(1, 9):
        params = tent_network(depth, dtype=dtype)
        wrong += len(relu_breakpoints([0.0], [1.0], params.weights[:-1], params.biases[:-1])) + 1 != 2**depth
        judged += 1
    # Three lines make seven regions of the square; folded in both directions before, each time four times as many.
    w, b = np.array([[1.0, 0.2], [-0.3, 1.0], [1.0, 1.1]]), np.array([-0.6, -0.35, -0.85])
    assert len(linear_regions([w], [b], 0, 1)) == 7
    for depth in range(1, 4):
        params = tent_network(depth, 2)
        weights = *params.weights[:-1], w @ params.weights[-1]
        found = linear_regions(weights, (*params.biases[:-1], b), 0, 1)
        wrong += len(found) != 7 * 4**depth
        wrong += len(linear_regions(params.weights[:-1], params.biases[:-1], 0, 1)) != 4**depth
        judged += 2
    return float(wrong), judged


def arrangements(dtype):
    """Count where lines in general position make another number of regions than Zaslavsky's."""
    wrong = 0
    for units in range(1, 10):
        rng = np.random.default_rng(units)
        w, b = rng.normal(size=(units, 2)), rng.normal(size=units)
        wrong += len(linear_regions([w], [b], -1e4, 1e4)) != arrangement_regions(units, 2)
        bends = relu_breakpoints([-1e6], [1e6], [w[:, :1]], [b])
        wrong += len(bends) + 1 != arrangement_regions(units, 1)
    # In three dimensions: the sign patterns that have a point, by linear programs.
    w, b = np.random.default_rng(0).normal(size=(5, 3)), np.random.default_rng(1).normal(size=5)
    feasible = 0
    for signs in product((-1, 1), repeat=5):
        s = np.array(signs)
        program = scipy.optimize.linprog(np.zeros(3), -s[:, None] * w, s * b - 1e-6, bounds=(None, None))
        feasible += program.status == 0
    wrong += feasible != arrangement_regions(5, 3)
    return float(wrong), 19


def patterns(dtype):
    """Count what is wrong with the polygons of deep networks, by activation patterns in torch."""
    wrong, judged = 0, 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        params = mlp_parameters(rng, (2, 8, 7, 5, 1), np.float64)
        params = params._replace(biases=tuple(rng.normal(0, 0.3, b.shape) for b in params.biases))
        polygons = linear_regions(params.weights[:-1], params.biases[:-1], -1, 1)

        def pattern(points, params=params):
            h, signs = torch.from_numpy(points), []
            for layer in list(in_torch(params))[:-1]:
                if isinstance(layer, torch.nn.ReLU):
                    signs.append(h > 0)
                h = layer(h)
            return [row.tobytes() for row in torch.cat(signs, 1).numpy()]

        # No two polygons have the same pattern, and no point one that no polygon has.
        inside = pattern(np.array([p.mean(axis=0) for p in polygons]))
        wrong += len(polygons) - len(set(inside))
        wrong += len(set(pattern(rng.uniform(-1, 1, (20_000, 2)))) - set(inside))
        area = sum(np.sum(p[:, 0] * np.roll(p[:, 1], -1) - np.roll(p[:, 0], -1) * p[:, 1]) / 2 for p in polygons)
        wrong += abs(area - 4) > 1e-9
        judged += 20_000 + len(polygons)
    return float(wrong), judged


SIZE = "6 examples, layers of 5, 11, 7, 9 and 4"
PROOFS = [
    Proof([mlp, mlp_layers], "torch.nn.Sequential, float64, with the same weights", SIZE, "normwise", BOUND, outputs),
    Proof(
        [mlp],
        "autograd of torch.nn.Sequential, float64",
        f"loss and gradients by the tape; {SIZE}",
        "normwise",
        {dtype: 2 * bound for dtype, bound in BOUND.items()},
        gradients,
        direction="backward",
    ),
    Proof(
        [mlp],
        "the same training in PyTorch, float64",
        "losses of ten steps of Adam on batches of six, and the parameters after them",
        "normwise",
        TRAINED,
        ten_steps,
        dtypes=("float64",),
        direction="backward",
    ),
    Proof(
        [mlp_parameters],
        "a normal distribution of variance 2 / fan-in",
        "means and variances of each layer",
        "standard errors",
        4.0,
        spread,
    ),
    Proof(
        [tent_network],
        "the saw-tooth in closed form",
        "depths 1, 2, 5, 12 at the 65,537 multiples of $2^{-16}$ in [0, 1]; one input and three",
        "absolute",
        0.0,
        saw_tooth,
    ),
    Proof(
        [tent_network, linear_regions],
        "2 to the depth; the count of Montufar et al. (2014) for folded squares",
        "intervals folded 1 to 8 times; squares 1 to 3 times, alone and before three lines",
        "count",
        0.0,
        folded_counts,
        dtypes=("float64",),
    ),
    Proof(
        [arrangement_regions, linear_regions],
        "Zaslavsky's count; scipy.optimize.linprog in three dimensions",
        "1 to 9 random points and lines; the sign patterns of 5 random planes",
        "count",
        0.0,
        arrangements,
        dtypes=("float64",),
    ),
    Proof(
        [linear_regions],
        "activation patterns of the same network in torch",
        "6 random networks 2-8-7-5: patterns of all polygons, of 20,000 points each; areas",
        "count",
        0.0,
        patterns,
        dtypes=("float64",),
    ),
]

SQUARE = [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]
EDGES = [
    Edge(
        linear_regions,
        ([], []),
        (np.array(SQUARE),),
        "no hidden layer: affine on all of the square",
        input="no layers",
        output="the square",
    ),
    Edge(
        linear_regions,
        ([np.array([[1.0, 0.0]])], [np.array([-1.0])]),
        (np.array(SQUARE),),
        "a line along the border cuts nothing",
        input="one unit, zero on the right border",
        output="the square",
    ),
    Edge(
        linear_regions,
        ([np.array([[0.0, 0.0]])], [np.array([1.0])]),
        (np.array(SQUARE),),
        "nor does a unit that is constant",
        input="one unit, weights 0",
        output="the square",
    ),
    Edge(
        linear_regions,
        ([np.array([[1.0]])], [np.array([0.0])]),
        ValueError,
        "two inputs are expected",
        input="a layer of one input",
    ),
    Edge(arrangement_regions, (0, 3), 1, "nothing is cut", input="no planes"),
    Edge(
        mlp,
        (MLPParameters((np.eye(2),), (np.zeros(2),)), [[-1.0, 2.0]]),
        [[-1.0, 2.0]],
        "one layer is affine: the activation stands between layers",
        input="one layer, the unit matrix; -1, 2",
    ),
]


# --- where libraries differ -------------------------------------------------------------------------------------------


def sklearn_layers():
    from sklearn.neural_network import MLPClassifier

    net = MLPClassifier((16, 16), max_iter=1, random_state=0)
    return net.partial_fit(np.eye(2), [0, 1], classes=[0, 1]).n_layers_


def keras_layers(functional):
    import keras

    dense = [keras.layers.Dense(16, "relu"), keras.layers.Dense(16, "relu"), keras.layers.Dense(1)]
    net = keras.Sequential([keras.Input((2,)), *dense])
    if functional:
        x = y = keras.Input((2,))
        for layer in dense:
            y = layer(y)
        net = keras.Model(x, y)
    return len(net.layers)


def torch_layers():
    layers = [torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1)]
    return len(torch.nn.Sequential(*layers))


CONVENTIONS = [
    Convention(
        "deep-learning",
        "deep-learning-layers",
        "How many layers a network has",
        "two inputs, two hidden layers of 16 units with ReLU, one output",
        [
            Row(
                "dlref",
                "matrices of weights",
                "3",
                lambda: len(mlp_parameters(np.random.default_rng(0), (2, 16, 16, 1)).weights),
                package="dlref",
            ),
            Row("PyTorch Sequential", "modules, activations among them", "5", torch_layers, package="torch"),
            Row("Keras Sequential", "`layers`", "3", lambda: keras_layers(False), package="keras"),
            Row("Keras Model", "`layers`, the input among them", "4", lambda: keras_layers(True), package="keras"),
            Row(
                "scikit-learn MLPClassifier",
                "`n_layers_`, input and output among them; `hidden_layer_sizes` has two entries",
                "4",
                sklearn_layers,
                package="scikit-learn",
            ),
        ],
    ),
]


def forward_thunks(dtype):
    rng = np.random.default_rng(0)
    params, x = mlp_parameters(rng, (64, 256, 256, 256, 10), dtype), rng.normal(size=(128, 64)).astype(dtype)
    net, leaf = in_torch(params).to(torch.from_numpy(x).dtype), torch.from_numpy(x)
    return lambda: mlp(params, x), lambda: net(leaf)


def layers_thunks(dtype):
    rng = np.random.default_rng(0)
    params, x = mlp_parameters(rng, (64, 256, 256, 256, 10), dtype), rng.normal(size=(128, 64)).astype(dtype)
    net, leaf = in_torch(params).to(torch.from_numpy(x).dtype), torch.from_numpy(x)

    def theirs():
        h, layers = leaf, []
        for module in net:
            h = module(h)
            layers.append(h)
        return layers[1::2] + layers[-1:]

    return lambda: mlp_layers(params, x), theirs


BENCH = [
    Bench("models.mlp", "torch.nn.Sequential", "128 x 64, three layers of 256", forward_thunks),
    Bench("models.mlp_layers", "torch.nn.Sequential, kept", "128 x 64, three layers of 256", layers_thunks),
]
