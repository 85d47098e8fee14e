"""Autoencoders: the linear one against principal components, all against the same network in PyTorch."""

from itertools import combinations, product

import keras
import numpy as np
import scipy.special
import torch
import torch.nn.functional as F

from dlref.activations import sigmoid
from dlref.autodiff import value_and_gradient
from dlref.models import (
    autoencoder_decode,
    autoencoder_encode,
    autoencoder_parameters,
    autoencoder_reconstruct,
    linear_autoencoder_loss,
    linear_autoencoder_loss_backward,
    masking_noise,
    sparsity_penalty,
    sparsity_penalty_backward,
)
from dlref.optimizers import adam, adam_state
from dlref.training import fit
from tests.bounds import TRAINED, Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.oracles import from_torch

inf, nan = np.inf, np.nan


# --- the kernels ------------------------------------------------------------------------------------------------------


def matrices(rng, examples=11):
    return rng.normal(size=(3, 7)), rng.normal(size=(7, 3)), rng.normal(size=(examples, 7))


def torch_linear(encoder, decoder, x):
    return F.mse_loss(F.linear(F.linear(x, encoder), decoder), x, reduction="sum") / len(x)


def activities(rng, rows=11):
    return (rng.beta(0.5, 3, size=(rows, 7)),)


def relative_entropy(code, rate=0.05):
    means = code.mean(axis=0)
    return np.sum(scipy.special.rel_entr(rate, means) + scipy.special.rel_entr(1 - rate, 1 - means))


def torch_penalty(code, rate=0.05):
    means = code.mean(dim=0)
    return torch.sum(rate * torch.log(rate / means) + (1 - rate) * torch.log((1 - rate) / (1 - means)))


CASES = [
    Case(
        linear_autoencoder_loss,
        matrices,
        "torch.nn.functional.mse_loss of two linear",
        from_torch(torch_linear),
        sweep={"1,000 examples": lambda rng, dtype: matrices(rng, 1000)},
        # Three sums in a row: the error of the first is multiplied by the two that follow.
        bound=Normwise(lambda a, b, x: x.size, 3.0),
        refuses=[
            (([[1.0, 2.0]], [[1.0]], [[1.0, 2.0]]), {}, ValueError, r"decoder: expected shape \(2, 1\), got \(1, 1\)"),
            (([[1.0]], [[1.0]], [[1.0, 2.0]]), {}, ValueError, r"encoder: expected shape \(any, 2\), got \(1, 1\)"),
            (([[1.0]], [[1.0]], [1.0]), {}, ValueError, r"x: expected shape \(any, any\), got \(1,\)"),
            ((np.ones((1, 2)), np.ones((2, 1)), np.ones((0, 2))), {}, ValueError, "at least one example, got none"),
        ],
    ),
    Case(
        sparsity_penalty,
        activities,
        "scipy.special.rel_entr",
        relative_entropy,
        gradient=torch_penalty,
        sweep={"1,000 rows": lambda rng, dtype: activities(rng, 1000)},
        refuses=[
            (([0.5],), {}, ValueError, "code: expected 2 dimensions, got 1"),
            ((np.ones((0, 2)),), {}, ValueError, "code: expected at least one row, got none"),
            (([[0.5]],), {"rate": 1.0}, ValueError, r"rate: expected a number in \(0, 1\), got 1"),
        ],
    ),
    Case(
        sparsity_penalty,
        activities,
        "scipy.special.rel_entr",
        relative_entropy,
        gradient=torch_penalty,
        kwargs={"rate": 0.25},
        label="a quarter",
    ),
]

SILENT, FULL = [[0.0], [0.0]], [[1.0], [1.0]]
IDENTITY = [[1.0, 0.0], [0.0, 1.0]]
EDGES = [
    Edge(
        linear_autoencoder_loss,
        (IDENTITY, IDENTITY, [[3.0, 2.0]]),
        0.0,
        "a code as large as the input can copy it",
    ),
    Edge(
        linear_autoencoder_loss,
        ([[0.0, 0.0]], [[0.0], [0.0]], [[3.0, 2.0]]),
        13.0,
        "all weights zero: the squared norm",
    ),
    Edge(
        linear_autoencoder_loss_backward,
        (1.0, [[0.0, 0.0]], [[0.0], [0.0]], [[3.0, 2.0]]),
        ([[0.0, 0.0]], [[0.0], [0.0]]),
        "a saddle, which no gradient leaves",
    ),
    Edge(sparsity_penalty, (SILENT,), inf, "a unit that is never active"),
    Edge(sparsity_penalty, (FULL,), inf, "a unit that is always active"),
    Edge(sparsity_penalty, ([[2.0], [1.0]],), nan, "the mean is no rate; ReLU may give it"),
    Edge(sparsity_penalty_backward, (1.0, SILENT), [[-inf], [-inf]], "the pull on a silent unit has no bound"),
    Edge(
        masking_noise,
        ([1.0, nan, 3.0],),
        [1.0, nan, 3.0],
        "nothing is masked",
        kwargs={"fraction": 0.0, "rng": np.random.default_rng(0)},
        input="[1, nan, 3], fraction 0",
    ),
    Edge(
        masking_noise,
        ([1.0, nan, 3.0],),
        [0.0, 0.0, 0.0],
        "everything is, NaN too",
        kwargs={"fraction": 1.0, "rng": np.random.default_rng(0)},
        input="[1, nan, 3], fraction 1",
    ),
]


# --- principal components ---------------------------------------------------------------------------------------------


def centered(dtype, seed=0):
    """Return examples whose variances along their principal axes are far apart, and the axes in rows."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(7, 7)))
    x = rng.normal(size=(40, 7)) * [3, 2.5, 2, 1, 0.8, 0.5, 0.3] @ turn.T
    x = (x - x.mean(axis=0)).astype(dtype)
    _, values, axes = np.linalg.svd(x.astype(np.float64), full_matrices=False)
    return x, values**2 / len(x), axes


def descended(dtype, tied=False, steps=3000):
    x, variances, axes = centered(dtype)
    rng, rate = np.random.default_rng(1), dtype(0.01 if tied else 0.02)
    a, b = (rng.normal(0, 0.1, shape).astype(dtype) for shape in ((3, 7), (7, 3)))
    for _ in range(steps):
        if tied:
            g = linear_autoencoder_loss_backward(1.0, a, a.T, x)
            a -= rate * (g.encoder + g.decoder.T)
        else:
            g = linear_autoencoder_loss_backward(1.0, a, b, x)
            a -= rate * g.encoder
            b -= rate * g.decoder
    return x, a, a.T if tied else b, variances, axes[:3]


def gap(dtype):
    """Return by how much the error after gradient descent exceeds that of three principal components."""
    gaps = []
    for tied in (False, True):
        x, a, b, variances, _ = descended(dtype, tied)
        gaps.append(float(linear_autoencoder_loss(a, b, x)) / variances[3:].sum() - 1)
    # Never below, but for rounding: nothing linear of rank three is better.
    assert min(gaps) > -100 * np.finfo(dtype).eps, gaps
    return max(map(abs, gaps)), 2


def subspace(dtype):
    """Return how far B A is from the orthogonal projection onto three principal axes, and a tied A A' from the unit."""
    worst = 0.0
    for tied in (False, True):
        _, a, b, _, axes = descended(dtype, tied)
        worst = max(worst, np.abs(b.astype(np.float64) @ a - axes.T @ axes).max())
        if tied:
            worst = max(worst, np.abs(a.astype(np.float64) @ a.T - np.eye(3)).max())
    return float(worst), 2 * 49 + 9


def landscape(dtype):
    """Check all 35 choices of three axes: the gradient vanishes, and all but the first can be left downwards."""
    x, variances, axes = centered(dtype)
    mix, worst = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 0.5], [0.3, 0.0, 1.0]]), 0.0
    for chosen in combinations(range(7), 3):
        # Any invertible matrix between code and axes leaves the product, and the loss, as they are.
        a, b = np.linalg.inv(mix) @ axes[list(chosen)], axes[list(chosen)].T @ mix
        loss = float(linear_autoencoder_loss(a.astype(dtype), b.astype(dtype), x))
        lost = variances.sum() - variances[list(chosen)].sum()
        worst = max(worst, abs(loss - lost) / variances.sum())
        for g in linear_autoencoder_loss_backward(1.0, a.astype(dtype), b.astype(dtype), x):
            worst = max(worst, float(np.abs(g).max()) / variances.sum())
        better = [i for i in range(max(chosen)) if i not in chosen]
        assert (not better) == (chosen == (0, 1, 2))
        if better:
            turned = axes[list(chosen)].copy()
            turned[2] = np.cos(0.1) * axes[chosen[2]] + np.sin(0.1) * axes[better[0]]
            a, b = np.linalg.inv(mix) @ turned, turned.T @ mix
            assert float(linear_autoencoder_loss(a.astype(dtype), b.astype(dtype), x)) < loss
    return worst, 35


def flat_reconstructions(dtype):
    """Return by how much networks with a linear decoder are better than principal components: never."""
    x, variances, _ = centered(dtype)
    best = -inf
    for seed in range(200):
        rng = np.random.default_rng(seed)
        params = autoencoder_parameters(rng, (7, 20, 3), dtype=dtype)
        code = autoencoder_encode(params, x, sigmoid).astype(np.float64)
        design = np.column_stack([code, np.ones(len(x))])
        decoder, *_ = np.linalg.lstsq(design, x, rcond=None)  # the best decoder that this code can have
        best = max(best, 1 - np.sum((design @ decoder - x) ** 2) / len(x) / variances[3:].sum())
    return max(best, 0.0), 200


# --- corruption -------------------------------------------------------------------------------------------------------


def masked_places(dtype):
    """Return the deviation of how often each pair of places is masked from all pairs alike, in standard errors."""
    n, d, m = 100_000, 7, 3
    masked = masking_noise(np.ones((n, d), dtype), m / d, np.random.default_rng(0))
    assert masked.dtype == dtype and masking_noise(np.ones((0, d), dtype), 0.5, np.random.default_rng(0)).shape == (
        0,
        d,
    )
    hit = masked == 0
    assert np.all(hit.sum(axis=1) == m)
    pairs = hit.T.astype(float) @ hit / n
    single, double = m / d, m * (m - 1) / (d * (d - 1))
    expected = np.where(np.eye(d, dtype=bool), single, double)
    return float(np.max(np.abs(pairs - expected) / np.sqrt(expected * (1 - expected) / n))), n * d


# --- the same network in PyTorch --------------------------------------------------------------------------------------

SIZES = (10, 13, 5, 4)
KINDS = dict(zip(("free", "tied", "free sparse", "tied sparse"), product((False, True), repeat=2), strict=True))
BOUND = {str(np.dtype(t)): float(6 * (16 + np.sqrt(13) / 8) * np.finfo(t).eps) for t in (np.float32, np.float64)}


def start(dtype, tied, examples=6):
    rng = np.random.default_rng(5)
    params = autoencoder_parameters(rng, SIZES, tied, dtype)
    params = type(params)(*(tuple(p + rng.normal(0, 0.1, p.shape).astype(dtype) for p in part) for part in params))
    clean = rng.normal(size=(examples, 10)).astype(dtype)
    return params, masking_noise(clean, 0.3, rng), clean


def leaves_of(params):
    return [[torch.from_numpy(p.astype(np.float64)).requires_grad_() for p in part] for part in params]


def torch_network(params, x, sparse):
    encoder, encoder_bias, decoder, decoder_bias = params
    h = torch.relu(F.linear(x, encoder[0], encoder_bias[0]))
    h = torch.relu(F.linear(h, encoder[1], encoder_bias[1]))
    code = F.linear(h, encoder[2], encoder_bias[2])
    code = torch.sigmoid(code) if sparse else code
    back = decoder or [encoder[2].T, encoder[1].T, encoder[0].T]
    h = torch.relu(F.linear(code, back[0], decoder_bias[0]))
    h = torch.relu(F.linear(h, back[1], decoder_bias[1]))
    return code, F.linear(h, back[2], decoder_bias[2])


def objective(sparse):
    def loss(params, x, clean):
        code = autoencoder_encode(params, x, sigmoid if sparse else None)
        value = np.mean((autoencoder_decode(params, code) - clean) ** 2)
        return value + 0.1 * sparsity_penalty(code, rate=0.1) if sparse else value

    return loss


def torch_objective(params, x, clean, sparse):
    code, output = torch_network(params, x, sparse)
    value = F.mse_loss(output, clean)
    return value + 0.1 * torch_penalty(code, 0.1) if sparse else value


def normwise(got, want):
    return float(np.max(np.abs(got - want)) / np.max(np.abs(want)))


def flat(params):
    return [p for part in params for p in part]


def outputs(dtype):
    errors, count = [], 0
    for tied, sparse in KINDS.values():
        params, x, _ = start(dtype, tied)
        wanted = torch_network(leaves_of(params), torch.from_numpy(x.astype(np.float64)), sparse)
        squash = sigmoid if sparse else None
        got = autoencoder_encode(params, x, squash), autoencoder_reconstruct(params, x, squash)
        for g, w in zip(got, wanted, strict=True):
            assert g.dtype == dtype
            errors.append(normwise(g, w.detach().numpy()))
            count += g.size
    return max(errors), count


def gradients(dtype):
    errors, count = [], 0
    for tied, sparse in KINDS.values():
        params, x, clean = start(dtype, tied)
        leaves, tx, tclean = leaves_of(params), *(torch.from_numpy(v.astype(np.float64)) for v in (x, clean))
        value, got = value_and_gradient(objective(sparse), params, x, clean)
        wanted = torch_objective(leaves, tx, tclean, sparse)
        errors.append(normwise(value, wanted.item()))
        for g, w in zip(flat(got), torch.autograd.grad(wanted, flat(leaves)), strict=True):
            assert g.dtype == dtype
            errors.append(normwise(g, w.numpy()))
            count += g.size
    return max(errors), count


def ten_steps(dtype):
    errors, count = [], 0
    for tied, sparse in KINDS.values():
        params, x, clean = start(dtype, tied, examples=30)
        leaves, tx, tclean = leaves_of(params), torch.from_numpy(x), torch.from_numpy(clean)
        optimizer, losses = torch.optim.Adam(flat(leaves), lr=0.01), []
        for step in range(10):
            batch = slice(step % 5 * 6, step % 5 * 6 + 6)
            optimizer.zero_grad()
            value = torch_objective(leaves, tx[batch], tclean[batch], sparse)
            value.backward()
            optimizer.step()
            losses.append(value.item())
        run = fit(objective(sparse), params, (x, clean), adam, adam_state, lr=0.01, epochs=2, batch_size=6, rng=None)
        for g, w in zip(flat(run.params), flat(leaves), strict=True):
            errors.append(normwise(g, w.detach().numpy()))
            count += g.size
        errors.append(normwise(np.array(run.history.loss), np.array(losses)))
    return max(errors), count


def spread(dtype):
    """Return the largest deviation of a layer's variance from 2 / (fan-in + fan-out) over 50 draws."""
    networks = [autoencoder_parameters(np.random.default_rng(seed), SIZES, dtype=dtype) for seed in range(50)]
    worst, count = 0.0, 0
    for weights in zip(*(network.encoder + network.decoder for network in networks), strict=True):
        w = np.stack(weights).astype(np.float64)
        expected = 2 / sum(w[0].shape)
        worst = max(worst, abs(np.mean(w**2) / expected - 1) / np.sqrt(2 / w.size))
        worst = max(worst, abs(np.mean(w)) / np.sqrt(expected / w.size))
        count += w.size
    assert not any(b.any() for network in networks for b in network.encoder_bias + network.decoder_bias)
    return worst, count


DATA = "40 examples of 7 numbers, code of 3"
KIND_WORDS = "6 examples, sizes 10, 13, 5, 4 and back; weights free and tied, without and with a sparsity penalty"
PROOFS = [
    Proof(
        [linear_autoencoder_loss],
        "principal components: numpy.linalg.svd, Baldi & Hornik (1989)",
        f"{DATA}: 3,000 steps of gradient descent, weights free and tied",
        "gap",
        {"float32": 1e-5, "float64": 1e-10},
        gap,
    ),
    Proof(
        [linear_autoencoder_loss_backward],
        "principal components: numpy.linalg.svd, Baldi & Hornik (1989)",
        f"{DATA}: B A after 3,000 steps and the projection onto three axes",
        "absolute",
        {"float32": 1e-4, "float64": 1e-5},
        subspace,
        direction="backward",
    ),
    Proof(
        [linear_autoencoder_loss, linear_autoencoder_loss_backward],
        "all critical points: numpy.linalg.svd, Baldi & Hornik (1989)",
        f"{DATA}: loss and zero gradient at all 35 choices of axes, and a way down from 34",
        "normwise",
        {"float32": 1e-5, "float64": 1e-14},
        landscape,
    ),
    Proof(
        [autoencoder_encode],
        "numpy.linalg.svd, Bourlard & Kamp (1988)",
        f"{DATA}: 200 nonlinear encoders, each with its best linear decoder; what they gain",
        "gap",
        0.0,
        flat_reconstructions,
    ),
    Proof(
        [masking_noise],
        "3 of 7 places, every pair alike",
        "100,000 examples: the number of zeros is exact, places and pairs of places",
        "standard errors",
        4.5,
        masked_places,
    ),
    Proof(
        [autoencoder_encode, autoencoder_decode, autoencoder_reconstruct],
        "the same network in PyTorch, float64",
        KIND_WORDS,
        "normwise",
        BOUND,
        outputs,
    ),
    Proof(
        [autoencoder_reconstruct],
        "autograd of the same network in PyTorch, float64",
        f"loss and gradients by the tape; {KIND_WORDS}",
        "normwise",
        {dtype: 2 * bound for dtype, bound in BOUND.items()},
        gradients,
        direction="backward",
    ),
    Proof(
        [autoencoder_reconstruct],
        "the same training in PyTorch, float64",
        "losses of ten steps of Adam on batches of six masked examples, and the parameters after them; all four kinds",
        "normwise",
        TRAINED,
        ten_steps,
        dtypes=("float64",),
        direction="backward",
    ),
    Proof(
        [autoencoder_parameters],
        "a normal distribution of variance 2 / (fan-in + fan-out)",
        "means and variances of each layer over 50 networks",
        "standard errors",
        4.0,
        spread,
    ),
]


# --- where libraries differ -------------------------------------------------------------------------------------------

PIXELS = np.array([[3.0, 0.0, 4.0, 0.0], [0.0, 0.0, 0.0, 5.0]])


def keras_error():
    return float(keras.losses.MeanSquaredError()(PIXELS, np.zeros_like(PIXELS)))


def sklearn_error():
    """Return the loss that MLPRegressor reports for a network whose output stays zero."""
    from sklearn.neural_network import MLPRegressor

    model = MLPRegressor(
        hidden_layer_sizes=(1,), solver="sgd", learning_rate_init=1e-300, max_iter=1, alpha=0, random_state=0
    )
    model.partial_fit(PIXELS, PIXELS)
    for w in (*model.coefs_, *model.intercepts_):
        w[:] = 0
    model.partial_fit(PIXELS, PIXELS)
    return model.loss_


def values_of(corrupted):
    return ", ".join(f"{v:g}" for v in np.unique(np.asarray(corrupted)))


CONVENTIONS = [
    Convention(
        "autoencoder",
        "autoencoder-error",
        "Which mean the squared error is",
        "two examples of four pixels with squared norm 25 each, reconstructed as zero",
        [
            Row(
                "Baldi & Hornik (1989), as a mean",
                "sum over pixels, mean over examples; in the paper also a sum",
                "25.0",
                lambda: float(linear_autoencoder_loss(np.zeros((1, 4)), np.zeros((4, 1)), PIXELS)),
            ),
            Row(
                "PyTorch",
                "mean over examples and pixels",
                "6.25",
                lambda: F.mse_loss(torch.zeros(2, 4), torch.from_numpy(PIXELS)).item(),
                package="torch",
            ),
            Row("Keras", "mean over pixels, then over examples", "6.25", keras_error, package="keras"),
            Row(
                "scikit-learn",
                "half the mean over examples and pixels, in MLPRegressor",
                "3.125",
                sklearn_error,
                package="scikit-learn",
            ),
        ],
    ),
    Convention(
        "autoencoder",
        "autoencoder-corruption",
        "What masking leaves",
        "10,000 examples of ten ones, masked by one half: the values that occur, and how many zeros an example has",
        [
            Row(
                "Vincent et al. (2008)",
                "a fixed number of entries, the others as they were",
                "0, 1; always 5",
                lambda: shown(masking_noise(np.ones((10_000, 10)), 0.5, np.random.default_rng(0))),
            ),
            Row(
                "PyTorch dropout",
                "each entry alone, the others divided by 1 - p",
                "0, 2; 0 to 10",
                lambda: shown(torch_dropout()),
                package="torch",
            ),
            Row(
                "Keras Dropout",
                "each entry alone, the others divided by 1 - rate",
                "0, 2; 0 to 10",
                lambda: shown(keras_dropout()),
                package="keras",
            ),
        ],
    ),
]


def shown(corrupted):
    zeros = np.sum(np.asarray(corrupted) == 0, axis=1)
    number = f"always {zeros[0]}" if np.ptp(zeros) == 0 else f"{min(zeros)} to {max(zeros)}"
    return f"{values_of(corrupted)}; {number}"


def torch_dropout():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return F.dropout(torch.ones(10_000, 10), 0.5).numpy()


def keras_dropout():
    layer = keras.layers.Dropout(0.5, seed=0)
    return layer(np.ones((10_000, 10), "float32"), training=True).numpy()  # a tensor: Keras runs on PyTorch here


# --- timing -----------------------------------------------------------------------------------------------------------


def linear_thunks(gradient):
    def make(dtype):
        rng = np.random.default_rng(0)
        a, b, x = (rng.normal(size=shape).astype(dtype) for shape in ((8, 64), (64, 8), (256, 64)))
        leaves, tx = [torch.from_numpy(v).requires_grad_(gradient) for v in (a, b)], torch.from_numpy(x)
        dy = np.ones((), dtype)
        if not gradient:
            return lambda: linear_autoencoder_loss(a, b, x), lambda: torch_linear(*leaves, tx)
        return (
            lambda: linear_autoencoder_loss_backward(dy, a, b, x),
            lambda: torch.autograd.grad(torch_linear(*leaves, tx), leaves),
        )

    return make


def penalty_thunks(gradient):
    def make(dtype):
        code = np.random.default_rng(0).uniform(0.01, 0.2, (256, 1000)).astype(dtype)
        tcode, dy = torch.from_numpy(code).requires_grad_(gradient), np.ones((), dtype)
        if not gradient:
            return lambda: sparsity_penalty(code), lambda: torch_penalty(tcode)
        return (
            lambda: sparsity_penalty_backward(dy, code),
            lambda: torch.autograd.grad(torch_penalty(tcode), tcode),
        )

    return make


def network(dtype):
    rng = np.random.default_rng(0)
    params, x = autoencoder_parameters(rng, (64, 128, 64, 16), dtype=dtype), rng.normal(size=(256, 64)).astype(dtype)
    return params, [[torch.from_numpy(p) for p in part] for part in params], x


def network_thunks(dtype):
    params, tensors, x = network(dtype)
    tx = torch.from_numpy(x)
    return lambda: autoencoder_reconstruct(params, x), lambda: torch_network(tensors, tx, sparse=False)[1]


def half_thunks(decoding):
    def make(dtype):
        params, tensors, x = network(dtype)
        function = autoencoder_decode if decoding else autoencoder_encode
        start = autoencoder_encode(params, x) if decoding else x
        weights, biases = tensors[2:] if decoding else tensors[:2]

        def theirs():
            h = torch.from_numpy(start)
            for w, b in zip(weights[:2], biases[:2], strict=True):
                h = torch.relu(F.linear(h, w, b))
            return F.linear(h, weights[2], biases[2])

        return lambda: function(params, start), theirs

    return make


def noise_thunks(dtype):
    x, rng = np.random.default_rng(0).normal(size=(256, 1000)).astype(dtype), np.random.default_rng(1)

    def theirs():
        out = x.copy()
        np.put_along_axis(out, rng.random(x.shape).argpartition(300, axis=1)[:, :300], 0, axis=1)
        return out

    return lambda: masking_noise(x, 0.3, rng), theirs


LINEAR, WRITTEN, AUTOGRAD = "256 x 64, code of 8", "torch, written out", "torch, with its forward pass"
BENCH = [
    Bench("models.linear_autoencoder_loss", WRITTEN, LINEAR, linear_thunks(False)),
    Bench("models.linear_autoencoder_loss_backward", AUTOGRAD, LINEAR, linear_thunks(True)),
    Bench("models.autoencoder_reconstruct", "the same network in torch", "256 x 64, code of 16", network_thunks),
    Bench("models.autoencoder_encode", "the same layers in torch", "256 x 64, code of 16", half_thunks(False)),
    Bench("models.autoencoder_decode", "the same layers in torch", "256 x 64, code of 16", half_thunks(True)),
    Bench("models.masking_noise", "NumPy's argpartition", "256 x 1,000, three tenths", noise_thunks),
    Bench("models.sparsity_penalty", WRITTEN, "256 x 1,000", penalty_thunks(False), aim=1.0),
    Bench("models.sparsity_penalty_backward", AUTOGRAD, "256 x 1,000", penalty_thunks(True), aim=1.0),
]
