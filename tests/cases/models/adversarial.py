"""The losses of the game against torch, its value against SciPy's quadrature, the networks against torch."""

import numpy as np
import scipy.integrate
import scipy.spatial.distance
import scipy.stats
import torch

from dlref.autodiff import value_and_gradient
from dlref.models import (
    adversary,
    adversary_parameters,
    discriminator_loss,
    discriminator_loss_backward,
    game_value,
    generator_loss,
    generator_loss_backward,
    modes_covered,
    optimal_discriminator,
    ring_of_gaussians,
)
from dlref.optimizers import adam, adam_state
from tests.bounds import TRAINED, Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row
from tests.oracles import from_torch

entropy = torch.nn.functional.binary_cross_entropy_with_logits


def logits(rng):
    return 3 * rng.normal(size=7), 3 * rng.normal(size=11)


def torch_discriminator(real, fake):
    return entropy(real, torch.ones_like(real)) + entropy(fake, torch.zeros_like(fake))


def torch_generator(fake, kind="non-saturating"):
    if kind == "minimax":
        return -entropy(fake, torch.zeros_like(fake))
    return entropy(fake, torch.ones_like(fake))


LARGE = {"logits up to 100 in size": lambda rng, dtype: tuple(rng.uniform(-100, 100, n) for n in (9, 50))}
CASES = [
    Case(
        discriminator_loss,
        logits,
        "torch.nn.functional.binary_cross_entropy_with_logits",
        from_torch(torch_discriminator),
        sweep=LARGE,
        bound=Normwise(11),
        gradient_bound=Normwise(11),
        refuses=[
            (([], [1.0]), {}, ValueError, "real: expected at least one logit, got none"),
            (([1.0], [[1.0]]), {}, ValueError, r"fake: expected shape \(any,\), got \(1, 1\)"),
        ],
    )
]
CASES += [
    Case(
        generator_loss,
        lambda rng: logits(rng)[1:],
        "torch.nn.functional.binary_cross_entropy_with_logits",
        from_torch(torch_generator),
        kwargs={"kind": kind},
        bound=Normwise(11),
        gradient_bound=Normwise(11),
        label=kind,
        refuses=[(([1.0], "wasserstein"), {}, ValueError, "kind: expected one of 'non-saturating', 'minimax'")],
    )
    for kind in ("non-saturating", "minimax")
]


def optimum(dtype):
    """For two normal densities: the value by SciPy's own quadrature, and no other discriminator above it."""
    p, q = scipy.stats.norm(-1, 1), scipy.stats.norm(1, 1.5)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    x, weights = 12 * nodes, 12 * weights
    best = optimal_discriminator(p.pdf(x), q.pdf(x))
    np.testing.assert_allclose(best, 1 / (1 + np.exp(q.logpdf(x) - p.logpdf(x))), rtol=1e-12)
    got = game_value(p.pdf(x), q.pdf(x), weights)

    def integrand(t):
        d = p.pdf(t) / (p.pdf(t) + q.pdf(t))
        return p.pdf(t) * np.log(d) + q.pdf(t) * np.log1p(-d)

    want = scipy.integrate.quad(integrand, -12, 12, epsabs=1e-13, epsrel=1e-13)[0]
    assert abs(got.value - (2 * got.divergence - np.log(4))) < 1e-12
    rng = np.random.default_rng(0)
    for _ in range(20):
        d = np.clip(best + 0.1 * np.sin(rng.normal() * x + rng.normal()), 1e-9, 1 - 1e-9)
        assert weights @ (p.pdf(x) * np.log(d) + q.pdf(x) * np.log(1 - d)) < got.value
    pair = np.array([0.2, 0.3, 0.5]), np.array([0.6, 0.4, 0.0])
    distance = scipy.spatial.distance.jensenshannon(*pair) ** 2
    assert abs(game_value(*pair, np.ones(3)).divergence - distance) < 1e-15
    # ratios out of range, no density at all, equal densities
    far = game_value([1e-300, 0.0, 3.0], [1e300, 0.0, 3.0], np.ones(3)).divergence
    assert abs(far / (1e300 * np.log(2) / 2) - 1) < 1e-15
    return float(abs(got.value - want)), 23


def networks(dtype):
    rng = np.random.default_rng(1)
    params = adversary_parameters(rng, (3, 8, 5, 2), dtype)
    x = rng.normal(size=(6, 3)).astype(dtype)
    wide = [[torch.from_numpy(v.astype(np.float64)) for v in layer] for layer in params]
    got, want = adversary(params, x), torch_adversary(wide, torch.from_numpy(x.astype(np.float64))).numpy()
    assert got.dtype == dtype
    return float(np.abs(got - want).max() / np.abs(want).max()), got.size


def torch_adversary(params, x):
    for k, (w, b) in enumerate(params):
        x = torch.nn.functional.linear(torch.nn.functional.leaky_relu(x, 0.2) if k else x, w, b)
    return x


def ten_steps(dtype):
    """Both players after ten alternating steps of Adam, against torch."""
    rng = np.random.default_rng(3)
    players = [adversary_parameters(rng, widths, dtype) for widths in ((3, 6, 2), (2, 5, 1))]
    states = [[[adam_state(p) for p in layer] for layer in player] for player in players]
    theirs = [[[torch.from_numpy(p.copy()).requires_grad_() for p in layer] for layer in player] for player in players]
    optimizers = [
        torch.optim.Adam([p for layer in player for p in layer], lr=0.01, betas=(0.5, 0.999)) for player in theirs
    ]
    for _ in range(10):
        real, z, other = rng.normal(size=(9, 2)), rng.normal(size=(7, 3)), rng.normal(size=(7, 3))

        def told_apart(d, real=real, z=z):
            return discriminator_loss(adversary(d, real)[:, 0], adversary(d, adversary(players[0], z))[:, 0])

        def deceived(g, z=other):
            return generator_loss(adversary(players[1], adversary(g, z))[:, 0])

        for turn, loss in ((1, told_apart), (0, deceived)):
            _, gradient = value_and_gradient(loss, players[turn])
            for layer, change, state in zip(players[turn], gradient, states[turn], strict=True):
                for k in range(2):
                    _, state[k] = adam(layer[k], change[k], state[k], 0.01, beta1=0.5, out=(layer[k], state[k]))
        real, z, other = (torch.from_numpy(v) for v in (real, z, other))
        with torch.no_grad():
            fake = torch_adversary(theirs[0], z)
        for turn in (1, 0):
            optimizers[turn].zero_grad()
            if turn:
                value = torch_discriminator(
                    torch_adversary(theirs[1], real)[:, 0], torch_adversary(theirs[1], fake)[:, 0]
                )
            else:
                value = torch_generator(torch_adversary(theirs[1], torch_adversary(theirs[0], other))[:, 0])
            value.backward()
            optimizers[turn].step()
    pairs = [
        (p, q.detach().numpy())
        for player, other in zip(players, theirs, strict=True)
        for layer, twin in zip(player, other, strict=True)
        for p, q in zip(layer, twin, strict=True)
    ]
    return max(float(np.abs(p - q).max() / np.abs(q).max()) for p, q in pairs), sum(p.size for p, _ in pairs)


def ring(dtype):
    """Moments of the ring, and its modes by SciPy's distances."""
    points, centers = ring_of_gaussians(np.random.default_rng(2), 40_000, 8, 0.1, dtype)
    assert points.dtype == dtype
    nearest = scipy.spatial.distance.cdist(points, centers)
    near = [(nearest[:, k] <= 0.3).sum() >= 800 for k in range(8)]
    assert modes_covered(points, centers, 0.1) == sum(near) == 8
    half = points[points[:, 0] > 0.5]
    assert modes_covered(half, centers, 0.1) == 3
    spread = np.sqrt(((points - centers[nearest.argmin(axis=1)]) ** 2).mean())
    return float(max(abs(spread - 0.1) / 0.1, np.abs(points.mean(axis=0)).max())), len(points)


DOUBLE = ("float64",)
EPS = {t: float(40 * np.finfo(t).eps) for t in ("float32", "float64")}
PROOFS = [
    Proof([optimal_discriminator, game_value], "scipy.integrate.quad", "two normals", "gap", 1e-10, optimum, DOUBLE),
    Proof([adversary, adversary_parameters], "the same layers in torch", "three layers", "normwise", EPS, networks),
    Proof(
        [adversary, discriminator_loss, generator_loss],
        "the same training in torch",
        "all parameters of both after ten alternating steps of Adam",
        "normwise",
        TRAINED,
        ten_steps,
        DOUBLE,
        "backward",
    ),
    Proof([ring_of_gaussians, modes_covered], "moments and scipy's cdist", "40,000 points", "absolute", 0.02, ring),
]

EDGES = [
    Edge(discriminator_loss, ([0.0], [0.0]), np.log(4), "a fair coin", input="logits 0 and 0", output="log 4 = 1.386"),
    Edge(discriminator_loss, ([np.inf], [-np.inf]), 0.0, "sure and right", input="inf and -inf", output="0"),
    Edge(discriminator_loss, ([-np.inf], [0.0]), np.inf, "sure and wrong", input="-inf and 0", output="inf"),
    Edge(optimal_discriminator, ([0.0], [0.0]), [0.5], "where neither is, anything is best", input="p = q = 0"),
    Edge(optimal_discriminator, ([3e38], [3e38]), [0.5], "in float32 their sum is infinite", input="p = q = 3e38"),
    Edge(optimal_discriminator, ([np.nan], [1.0]), [np.nan], "a density that is not known", input="p = nan, q = 1"),
    Edge(optimal_discriminator, ([-1.0], [1.0]), ValueError, "no density", input="p = -1, q = 1"),
]
FAKE = np.array([-3.0])


def torch_slope(kind):
    fake = torch.tensor(FAKE, requires_grad=True)
    torch_generator(fake, kind).backward()
    return f"{fake.grad.item():.4f}"


def slope(kind):
    from dlref.models import generator_loss_backward

    return f"{generator_loss_backward(1.0, FAKE, kind)[0]:.4f}"


CONVENTIONS = [
    Convention(
        "generative-adversarial-network",
        "gan-generator",
        "What the generator descends",
        "one generated example with the logit −3, surely a fake: the gradient with respect to the logit",
        [
            Row("dlref", '`"non-saturating"`', "-0.9526", lambda: slope("non-saturating"), package="dlref"),
            Row("dlref", '`"minimax"`', "-0.0474", lambda: slope("minimax"), package="dlref"),
            Row(
                "PyTorch",
                "`BCEWithLogitsLoss` with label 1",
                "-0.9526",
                lambda: torch_slope("non-saturating"),
                package="torch",
            ),
            Row(
                "PyTorch",
                "minus `BCEWithLogitsLoss` with label 0",
                "-0.0474",
                lambda: torch_slope("minimax"),
                package="torch",
            ),
        ],
    )
]


def loss_thunks(ours, theirs, count, gradient):
    def make(dtype):
        arrays = 3 * np.random.default_rng(0).normal(size=(count, 4096)).astype(dtype)
        leaves = [torch.from_numpy(a).requires_grad_(gradient) for a in arrays]
        if not gradient:
            return lambda: ours(*arrays), lambda: theirs(*leaves)
        value, dy = theirs(*leaves), np.ones((), dtype)
        return lambda: ours(dy, *arrays), lambda: torch.autograd.grad(value, leaves, retain_graph=True)

    return make


def network_thunks(dtype):
    rng = np.random.default_rng(0)
    params, x = adversary_parameters(rng, (2, 64, 64, 1), dtype), rng.normal(size=(256, 2)).astype(dtype)
    twins, other = [[torch.from_numpy(v) for v in layer] for layer in params], torch.from_numpy(x)
    return lambda: adversary(params, x), lambda: torch_adversary(twins, other)


def optimum_thunks(dtype):
    p, q = np.random.default_rng(0).uniform(size=(2, 10_000)).astype(dtype)
    a, b = torch.from_numpy(p), torch.from_numpy(q)
    return lambda: optimal_discriminator(p, q), lambda: a / (a + b)


def value_thunks(dtype):
    p, q = np.random.default_rng(0).dirichlet(np.ones(10_000), 2).astype(dtype)
    ones = np.ones_like(p)
    return lambda: game_value(p, q, ones), lambda: scipy.spatial.distance.jensenshannon(p, q)


def modes_thunks(dtype):
    points, centers = ring_of_gaussians(np.random.default_rng(0), 2000, dtype=dtype)

    def theirs():
        near = (scipy.spatial.distance.cdist(points, centers) <= 0.15).sum(axis=0)
        return (near >= 40).sum()

    return lambda: modes_covered(points, centers, 0.05), theirs


ENTROPY = "torch.nn.functional.binary_cross_entropy_with_logits"
BENCH = [
    Bench(
        "models.discriminator_loss", ENTROPY, "2 x 4096", loss_thunks(discriminator_loss, torch_discriminator, 2, False)
    ),
    Bench(
        "models.discriminator_loss_backward",
        "torch's backward of it",
        "2 x 4096",
        loss_thunks(discriminator_loss_backward, torch_discriminator, 2, True),
    ),
    Bench("models.generator_loss", ENTROPY, "4096", loss_thunks(generator_loss, torch_generator, 1, False)),
    Bench(
        "models.generator_loss_backward",
        "torch's backward of it",
        "4096",
        loss_thunks(generator_loss_backward, torch_generator, 1, True),
    ),
    Bench("models.adversary", "torch.nn.functional.linear and leaky_relu", "256, 2-64-64-1", network_thunks),
    Bench("models.optimal_discriminator", "the formula in torch", "1e4", optimum_thunks),
    Bench("models.game_value", "scipy.spatial.distance.jensenshannon", "1e4", value_thunks),
    Bench("models.modes_covered", "scipy.spatial.distance.cdist", "2000 points, 8 modes", modes_thunks),
]
