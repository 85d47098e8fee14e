"""Exact posteriors against scikit-learn and SciPy, approximations against normal densities, gradients in torch."""

import numpy as np
import torch
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct

from dlref.models import (
    LogDensity,
    bayesian_linear,
    elbo_gradient,
    fit_mean_field,
    hamiltonian_draws,
    laplace_covariance,
    tanh_network,
    tanh_network_log_posterior,
)
from tests.bounds import Normwise
from tests.cases import Bench, Case, Edge, Proof


def network(w, x):
    v, b, a = (w[..., k * (w.shape[-1] // 3) : (k + 1) * (w.shape[-1] // 3)] for k in range(3))
    return (torch.tanh(x[:, None] * v[..., None, :] + b[..., None, :]) * a[..., None, :]).sum(-1) + w[..., -1:]


def linear(dtype):
    """Return the worst error of mean, predictive variance and evidence against Gaussian process and normal density."""
    rng, worst = np.random.default_rng(0), 0.0
    x, y, new = rng.normal(size=(12, 4)), rng.normal(size=12), rng.normal(size=(7, 4))
    x, y, new = (v.astype(np.float32).astype(dtype) for v in (x, y, new))
    got = bayesian_linear(x, y, 0.6, 1.5)
    kernel = ConstantKernel(1.5**2, "fixed") * DotProduct(0.0, "fixed")
    other = GaussianProcessRegressor(kernel, alpha=0.36, optimizer=None).fit(x.astype(float), y.astype(float))
    mean, covariance = other.predict(new.astype(float), return_cov=True)
    worst = max(worst, np.abs(new @ got.mean - mean).max() / np.abs(mean).max())
    worst = max(worst, np.abs(new @ got.covariance @ new.T - covariance).max() / covariance.max())
    wide = x.astype(float)
    evidence = multivariate_normal(np.zeros(12), 2.25 * wide @ wide.T + 0.36 * np.eye(12)).logpdf(y.astype(float))
    return max(worst, abs(got.log_evidence / evidence - 1), abs(other.log_marginal_likelihood() / evidence - 1)), 57


def posterior_by_torch(dtype):
    """Return the distance of value and gradient from autograd in float64."""
    rng = np.random.default_rng(1)
    w, x, y = (v.astype(dtype) for v in (rng.normal(size=16), rng.normal(size=9), rng.normal(size=9)))
    got = tanh_network_log_posterior(w, x, y, 0.5, 2.0)
    leaf = torch.from_numpy(w.astype(float)).requires_grad_()
    rest = torch.from_numpy(y.astype(float)) - network(leaf, torch.from_numpy(x.astype(float)))
    value = -(rest**2).sum() / (2 * 0.25) - (leaf**2).sum() / 8
    value.backward()
    want = leaf.grad.numpy()
    assert got.gradient.dtype == dtype
    return max(abs(got.value / value.item() - 1), np.abs(got.gradient - want).max() / np.abs(want).max()), 17


def gaussian(rng, size=4):
    half = rng.normal(size=(size, size))
    covariance = half @ half.T / size + 0.3 * np.eye(size)
    mean, precision = rng.normal(size=size), np.linalg.inv(covariance)

    def log_density(w):
        away = precision @ (w - mean)
        return LogDensity(-(w - mean) @ away / 2, -away)

    return mean, covariance, precision, log_density


def laplace(dtype):
    rng, worst = np.random.default_rng(2), 0.0
    for _ in range(3):
        mean, covariance, _, log_density = gaussian(rng)
        worst = max(worst, np.abs(laplace_covariance(log_density, mean) - covariance).max() / np.abs(covariance).max())
    return worst, 48


def elbo_by_torch(dtype):
    """Return the distance of the estimate and its gradients from autograd through torch.distributions."""
    rng = np.random.default_rng(3)
    mean, _, precision, log_density = gaussian(rng)
    at, rho, eps = rng.normal(size=4), rng.normal(size=4), rng.normal(size=(6, 4))
    a, b = (torch.from_numpy(v.copy()).requires_grad_() for v in (at, rho))
    std = torch.nn.functional.softplus(b)
    away = a + std * torch.from_numpy(eps) - torch.from_numpy(mean)
    value = -((away @ torch.from_numpy(precision)) * away).sum(dim=1).mean() / 2
    value = value + torch.distributions.Normal(a, std).entropy().sum()
    value.backward()
    got = elbo_gradient(at, rho, eps, log_density)
    errors = [abs(got[0] - value.item())]
    errors += [np.abs(g - w.grad.numpy()).max() for g, w in zip(got[1:], (a, b), strict=True)]
    return max(errors), 9


def mean_field(dtype):
    """Return the distance of the fit from the best one: the true means, and one over the root of each precision."""
    rng, worst = np.random.default_rng(4), 0.0
    for _ in range(2):
        mean, covariance, precision, log_density = gaussian(rng)
        got = fit_mean_field(log_density, np.zeros(4), rng, 0.5, 0.05, 1500)
        best = 1 / np.sqrt(np.diag(precision))
        assert (best <= np.sqrt(np.diag(covariance)) + 1e-12).all(), "never more than the true deviations"
        worst = max(worst, np.abs(got.std / best - 1).max(), np.abs(got.mean - mean).max() / best.min())
    return worst, 16


def moments(dtype):
    """Return the distance of means and variances of Hamiltonian draws from the true ones, in standard errors."""
    rng = np.random.default_rng(5)
    mean, covariance, _, log_density = gaussian(rng)
    found = hamiltonian_draws(log_density, mean, rng, 0.25, 8, 4000)
    assert found.accepted > 0.8 and np.abs(np.mean(np.exp(np.minimum(-found.errors, 0))) - found.accepted) < 0.02
    worst = 0.0
    for draws, want in ((found.draws, mean), ((found.draws - mean) ** 2, np.diag(covariance))):
        # Standard errors from the means of 40 blocks, which hold what draws have in common.
        blocks = draws.reshape(40, 100, 4).mean(axis=1)
        worst = max(worst, np.abs((blocks.mean(axis=0) - want) / (blocks.std(axis=0, ddof=1) / np.sqrt(40))).max())
    return worst, 8


CASES = [
    Case(
        tanh_network,
        lambda rng: (rng.normal(size=(2, 16)), rng.normal(size=9)),
        "the formula in torch",
        lambda w, x: network(torch.from_numpy(w), torch.from_numpy(x)).numpy(),
        bound=Normwise(16, 4.0),
        refuses=[(([1.0, 2.0], [1.0]), {}, ValueError, r"w: expected 3 H \+ 1 weights, got 2")],
    ),
]
PROOFS = [
    Proof(
        [bayesian_linear],
        "GaussianProcessRegressor of scikit-learn, and scipy.stats",
        "12 examples, 4 features: predictions, their covariance, and the evidence",
        "normwise",
        1e-10,
        linear,
    ),
    Proof(
        [tanh_network_log_posterior],
        "autograd of PyTorch, float64",
        "value and gradient, 16 weights, 9 examples",
        "normwise",
        {"float64": 1e-13, "float32": 1e-5},
        posterior_by_torch,
    ),
    Proof(
        [laplace_covariance],
        "normal densities",
        "three covariances of four weights",
        "normwise",
        1e-7,
        laplace,
        dtypes=("float64",),
    ),
    Proof(
        [elbo_gradient],
        "autograd of PyTorch through torch.distributions",
        "estimate and gradients, four weights, six samples",
        "absolute",
        1e-12,
        elbo_by_torch,
        dtypes=("float64",),
    ),
    Proof(
        [fit_mean_field],
        "the best independent approximation of a normal density",
        "means and deviations of two densities, over the deviations",
        "relative",
        0.1,
        mean_field,
        dtypes=("float64",),
    ),
    Proof(
        [hamiltonian_draws],
        "the moments of a normal density",
        "means and variances of 4000 draws: distance in standard errors",
        "standard errors",
        4.5,
        moments,
        dtypes=("float64",),
    ),
]
EDGES = [
    Edge(
        bayesian_linear,
        ([[0.0]], [1.0]),
        ([0.0], [[1.0]], -0.5 - np.log(2 * np.pi) / 2),
        "an example that says nothing: the prior",
        input="x = 0, y = 1",
        output="mean 0, variance 1",
    ),
    Edge(
        laplace_covariance,
        (lambda w: LogDensity(float(w @ w), 2 * w), [0.0]),
        ValueError,
        "a minimum has no such fit",
        input="a density that grows outward",
    ),
]


def thunks(dtype):
    rng = np.random.default_rng(0)
    w, x, y = (v.astype(dtype) for v in (rng.normal(size=31), rng.normal(size=50), rng.normal(size=50)))
    leaf, a, b = torch.from_numpy(w).requires_grad_(), torch.from_numpy(x), torch.from_numpy(y)

    def theirs():
        value = -((b - network(leaf, a)) ** 2).sum() * 50 - (leaf**2).sum() / 2
        return torch.autograd.grad(value, leaf)

    return lambda: tanh_network_log_posterior(w, x, y), theirs


BENCH = [Bench("models.tanh_network_log_posterior", "autograd of torch", "10 units, 50 examples", thunks, aim=1.0)]
