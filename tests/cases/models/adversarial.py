"""The losses of the game against torch, its value against SciPy's quadrature, the networks against torch."""

import numpy as np
import scipy.integrate
import scipy.spatial.distance
import scipy.stats
import torch

from dlref.models import (
    adversary,
    adversary_parameters,
    discriminator_loss,
    game_value,
    generator_loss,
    modes_covered,
    optimal_discriminator,
    ring_of_gaussians,
)
from tests.bounds import Normwise
from tests.cases import Case, Convention, Edge, Proof, Row
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
    return float(abs(got.value - want)), 23


def networks(dtype):
    rng = np.random.default_rng(1)
    params = adversary_parameters(rng, (3, 8, 5, 2), dtype)
    x = rng.normal(size=(6, 3)).astype(dtype)
    h = torch.from_numpy(x.astype(np.float64))
    for k, (w, b) in enumerate(params):
        h = torch.nn.functional.leaky_relu(h, 0.2) if k else h
        h = torch.nn.functional.linear(h, *(torch.from_numpy(v.astype(np.float64)) for v in (w, b)))
    got, want = adversary(params, x), h.numpy()
    assert got.dtype == dtype
    return float(np.abs(got - want).max() / np.abs(want).max()), got.size


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
    Proof([ring_of_gaussians, modes_covered], "moments and scipy's cdist", "40,000 points", "absolute", 0.02, ring),
]

EDGES = [
    Edge(discriminator_loss, ([0.0], [0.0]), np.log(4), "a fair coin", input="logits 0 and 0", output="log 4 = 1.386"),
    Edge(discriminator_loss, ([np.inf], [-np.inf]), 0.0, "sure and right", input="inf and -inf", output="0"),
    Edge(discriminator_loss, ([-np.inf], [0.0]), np.inf, "sure and wrong", input="-inf and 0", output="inf"),
    Edge(optimal_discriminator, ([0.0], [0.0]), [0.5], "where neither is, anything is best", input="p = q = 0"),
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
