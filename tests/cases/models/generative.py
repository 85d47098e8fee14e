"""Naive Bayes, mixtures and n-gram text against scikit-learn and enumeration."""

import itertools
import math
import warnings

import numpy as np
import scipy.stats
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB

from dlref.models import (
    DiagonalGaussians,
    FullGaussians,
    gaussian_log_joint,
    gaussian_sample,
    mixture_em,
    naive_bayes,
    ngram,
    ngram_log_likelihood,
    ngram_sample,
)
from tests.cases import Bench, Convention, Edge, Proof, Row

inf, nan = np.inf, np.nan
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def drawn(dtype):
    rng = np.random.default_rng(0)
    target = np.arange(91) % 3
    return (rng.normal(size=(91, 5)) + target[:, None]).astype(dtype), target, rng.normal(size=(37, 5)).astype(dtype)


def normwise(got, want):
    return float(np.max(np.abs(got - want)) / np.max(np.abs(want)))


def bayes(dtype):
    x, target, new = drawn(dtype)
    wide = x.astype(np.float64)
    judge = GaussianNB(var_smoothing=1e-3).fit(wide, target)
    model = naive_bayes(x, target, 3, floor=1e-3)
    assert model.mean.dtype == dtype
    errors = [normwise(a, b) for a, b in zip(model, (judge.class_prior_, judge.theta_, judge.var_), strict=True)]
    joint = gaussian_log_joint(model, new)
    errors.append(normwise(joint, judge.predict_joint_log_proba(new.astype(np.float64))))
    return max(errors), joint.size + 33


def judge_of(kind, wide, start, steps, floor=1e-3):
    """Return scikit-learn's mixture after so many steps from our start."""
    if kind == "diagonal":
        precisions = np.tile(1 / (wide.var(0) + floor), (len(start), 1))
    else:
        precisions = np.tile(
            np.linalg.inv(np.cov(wide.T, bias=True) + floor * np.eye(wide.shape[1])), (len(start), 1, 1)
        )
    judge = GaussianMixture(
        len(start),
        covariance_type={"diagonal": "diag"}.get(kind, kind),
        weights_init=np.full(len(start), 1 / len(start)),
        means_init=start.astype(np.float64),
        precisions_init=precisions,
        reg_covar=floor,
        max_iter=steps,
        tol=0.0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged after so many steps, nor have we
        return judge.fit(wide)


def mixture(kind):
    def run(dtype):
        x, _, new = drawn(dtype)
        wide, start = x.astype(np.float64), x[:4]
        judge = judge_of(kind, wide, start, 20)
        fit = mixture_em(x, start, steps=20, floor=1e-3, covariance=kind)
        assert all(a.dtype == dtype for a in fit.model)
        wanted = judge.weights_, judge.means_, judge.covariances_
        errors = [normwise(a, b) for a, b in zip(fit.model, wanted, strict=True)]
        errors.append(abs(float(fit.log_likelihood[-1]) / judge.score(wide) - 1))
        evidence = np.logaddexp.reduce(gaussian_log_joint(fit.model, new).astype(np.float64), axis=1)
        errors.append(normwise(evidence, judge.score_samples(new.astype(np.float64))))
        return max(errors), sum(a.size for a in fit.model) + 1 + len(new)

    return run


def rises(dtype):
    """The largest fall of the likelihood in one step of EM, without a floor, over ten data sets and both kinds."""
    worst = 0.0
    for seed in range(10):
        x = np.random.default_rng(seed).normal(size=(80, 3))
        for kind in ("diagonal", "full"):
            history = mixture_em(x, x[:3], steps=30, floor=0, covariance=kind).log_likelihood
            worst = max(worst, float(np.max(-np.diff(history))))
    return worst, 600


def idle(dtype):
    """A component in which no example has a share stays, with a share of 0, and the others are fitted as without it."""
    x, _, _ = drawn(dtype)
    start, worst = np.concatenate([x[:2], np.full((1, 5), 1e6, dtype)]), 0.0
    for kind in ("diagonal", "full"):
        fit, alone = mixture_em(x, start, 5, covariance=kind), mixture_em(x, x[:2], 5, covariance=kind)
        assert fit.model.prior[2] == 0 and (fit.model.mean[2] == start[2]).all() and np.isfinite(fit.model[2]).all()
        worst = max(worst, *(normwise(a[:2], b) for a, b in zip(fit.model, alone.model, strict=True)))
    return worst, 2 * (2 + 10 + 50)


def samples(dtype):
    """The largest deviation of shares, means and covariances of 40,000 draws, in standard errors."""
    model = DiagonalGaussians(
        np.array([0.2, 0.5, 0.3]), np.array([[0.0], [5.0], [9.0]]), np.array([[1.0], [4.0], [0.25]])
    )
    draw = gaussian_sample(model, 40_000, np.random.default_rng(0))
    worst = 0.0
    for k in range(3):
        chosen = draw.x[draw.label == k, 0]
        share = scipy.stats.binomtest(len(chosen), 40_000, model.prior[k])
        worst = max(worst, abs(share.statistic - model.prior[k]) / np.sqrt(model.prior[k] * (1 - model.prior[k]) / 4e4))
        worst = max(worst, abs(chosen.mean() - model.mean[k, 0]) / np.sqrt(model.var[k, 0] / len(chosen)))
    covariance = np.array([[2.0, 0.9], [0.9, 0.5]])
    x = gaussian_sample(
        FullGaussians(np.ones(1), np.zeros((1, 2)), covariance[None]), 40_000, np.random.default_rng(1)
    ).x
    # the standard error of an entry of a covariance is the root of (c_ij^2 + c_ii c_jj) / n
    deviation = np.sqrt((covariance**2 + np.outer(np.diag(covariance), np.diag(covariance))) / 4e4)
    return float(max(worst, np.max(np.abs(x.T @ x / 4e4 - covariance) / deviation))), 9


def enumerated(dtype):
    """How far the probabilities of all texts of six tokens are from 1 in sum, for orders 1 to 3."""
    worst, text = 0.0, np.random.default_rng(0).integers(0, 3, 50)
    for order in (1, 2, 3):
        table = ngram(text, order, 3, pseudo=0.5)
        chances = [math.exp(ngram_log_likelihood(table, t)) for t in itertools.product(range(3), repeat=6)]
        worst = max(worst, abs(sum(chances) - 1))
    return worst, 3 * 3**6


def counted(dtype):
    """The worst difference of the shares in a long draw from their table, in standard errors; the table by hand."""
    text = np.random.default_rng(1).integers(0, 4, 400)
    table, padded = ngram(text, 3, 4, pseudo=1.0), [0, 0, *text.tolist()]
    counts = np.ones((16, 4))
    for a, b, c in zip(padded, padded[1:], padded[2:], strict=False):
        counts[4 * a + b, c] += 1
    assert np.array_equal(table, counts / counts.sum(1, keepdims=True))
    new = ngram(ngram_sample(table, 60_000, np.random.default_rng(2)), 3, 4)
    return float(np.max(np.abs(new - table) / np.sqrt(table * (1 - table) / 2000))), 128


PROOFS = [
    Proof(
        [naive_bayes, gaussian_log_joint],
        "sklearn.naive_bayes.GaussianNB",
        "91 examples of five features, three classes; 37 new ones",
        "normwise",
        {dtype: 40 * eps for dtype, eps in EPS.items()},
        bayes,
    ),
    *[
        Proof(
            [mixture_em, gaussian_log_joint],
            f"sklearn.mixture.GaussianMixture, {kind}",
            "20 steps from the same start, 91 examples, four components; 37 new ones",
            "normwise",
            {"float32": 2e-4, "float64": 1e-10},  # twenty steps of a contraction that has not converged
            mixture(kind),
        )
        for kind in ("diagonal", "full")
    ],
    Proof(
        [mixture_em],
        "the same mixture without the component that no example belongs to",
        "five steps, two components and one at a million, both kinds",
        "normwise",
        {dtype: 40 * eps for dtype, eps in EPS.items()},
        idle,
    ),
    Proof(
        [mixture_em],
        "the theorem that EM never lowers the likelihood",
        "30 steps on ten data sets, both kinds",
        "absolute",
        1e-13,
        rises,
        dtypes=("float64",),
    ),
    Proof(
        [gaussian_sample],
        "the model's shares, means and covariances",
        "40,000 draws of three components, and of one with correlated features",
        "standard errors",
        4.0,
        samples,
        dtypes=("float64",),
    ),
    Proof(
        [ngram_log_likelihood, ngram],
        "the enumeration of every text of six tokens",
        "three symbols, orders 1 to 3: sum of probabilities less 1",
        "absolute",
        1e-12,
        enumerated,
        dtypes=("float64",),
    ),
    Proof(
        [ngram, ngram_sample],
        "counts in a dictionary",
        "order 3, four symbols; 60,000 draws",
        "standard errors",
        4.5,
        counted,
        dtypes=("float64",),
    ),
]

ONE = DiagonalGaussians(np.array([1.0, 0.0]), np.array([[0.0], [1.0]]), np.array([[1.0], [1.0]]))

EDGES = [
    Edge(
        gaussian_log_joint,
        (ONE, np.array([[0.0]])),
        (np.array([[-math.log(2 * math.pi) / 2, -inf]]),),
        "a class without a share",
        input="shares 1 and 0, x = 0",
        output="[-0.919, -inf]",
    ),
    Edge(naive_bayes, ([[1.0], [2.0]], [0, 0], 2), ValueError, "a class without examples has no mean"),
    Edge(
        gaussian_log_joint,
        (FullGaussians(np.ones(1), np.zeros((1, 2)), np.ones((1, 2, 2))), [[0.0, 0.0]]),
        ValueError,
        "a covariance that is singular has no density",
        input="covariance of ones",
    ),
    Edge(mixture_em, (np.zeros((0, 2)), [[0.0, 0.0]]), ValueError, "nothing to fit", input="no examples"),
    Edge(ngram_log_likelihood, ([[1.0, 0.0]], [0, 1]), -inf, "a token of probability 0"),
    Edge(
        ngram_log_likelihood,
        (np.full((3, 2), 0.5), [0, 1]),
        ValueError,
        "two symbols have 1, 2, 4 ... contexts",
        input="a table of three rows, two symbols",
    ),
    Edge(
        ngram_log_likelihood,
        ([[0.5, 0.5]], np.array([], int)),
        0.0,
        "the empty text is certain",
        input="[[0.5, 0.5]], []",
    ),
    Edge(
        ngram,
        ([0, 0], 10**10, 1),
        (np.array([[1.0]]),),
        "one symbol has one context, however long",
        input="[0, 0], order 10¹⁰, one symbol",
        output="[[1]]",
    ),
    Edge(
        ngram,
        (np.array([], int), 1, 2),
        (np.array([[nan, nan]]),),
        "nothing was counted: 0/0",
        input="[], order 1",
        output="[nan, nan]",
    ),
]


CONVENTIONS = [
    Convention(
        "generative-model",
        "generative-model-variance",
        "The variance of a feature with one example",
        "classes with the examples 1, 3 and 10 of one feature: the variance of the class of 10",
        [
            Row(
                "dlref",
                "a floor of 1e-9 of the largest variance",
                "1.49e-08",
                lambda: naive_bayes([[1.0], [3.0], [10.0]], [0, 0, 1], 2).var[1, 0],
                format="{:.2e}",
                package="dlref",
            ),
            Row(
                "scikit-learn",
                "`GaussianNB`: the same",
                "1.49e-08",
                lambda: GaussianNB().fit([[1.0], [3.0], [10.0]], [0, 0, 1]).var_[1, 0],
                format="{:.2e}",
                package="scikit-learn",
            ),
            Row(
                "maximum likelihood",
                "no floor",
                "0.00e+00",
                lambda: naive_bayes([[1.0], [3.0], [10.0]], [0, 0, 1], 2, floor=0).var[1, 0],
                format="{:.2e}",
            ),
        ],
    )
]


def examples(dtype):
    rng = np.random.default_rng(0)
    target = np.arange(2000) % 10
    return (rng.normal(size=(2000, 30)) + target[:, None]).astype(dtype), target


def fit_thunks(dtype):
    x, target = examples(dtype)
    return lambda: naive_bayes(x, target, 10), lambda: GaussianNB().fit(x, target)


def joint_thunks(dtype):
    x, target = examples(dtype)
    model, judge = naive_bayes(x, target, 10), GaussianNB().fit(x, target)
    return lambda: gaussian_log_joint(model, x), lambda: judge.predict_joint_log_proba(x)


def em_thunks(kind):
    def make(dtype):
        x, _ = examples(dtype)
        return (
            lambda: mixture_em(x, x[:10], steps=10, floor=1e-3, covariance=kind),
            lambda: judge_of(kind, x, x[:10], 10),
        )

    return make


def sample_thunks(dtype):
    x, _ = examples(dtype)
    model, judge, rng = mixture_em(x, x[:10], 3).model, judge_of("diagonal", x, x[:10], 3), np.random.default_rng(0)
    return lambda: gaussian_sample(model, 2000, rng), lambda: judge.sample(2000)


def text_thunks(part):
    """Texts of 27 symbols, three at a time; the peers are what NumPy has for it."""

    def make(dtype):
        rng = np.random.default_rng(0)
        tokens, contexts = rng.integers(0, 27, 100_000), 27 * 27
        table = ngram(tokens, 3, 27, pseudo=1.0)

        def counted():
            codes = tokens[:-2] * contexts + tokens[1:-1] * 27 + tokens[2:]
            counts = np.bincount(codes, minlength=contexts * 27).reshape(contexts, 27) + 1.0
            return counts / counts.sum(axis=1, keepdims=True)

        def chosen():
            context, found = 0, []
            for _ in range(200):
                found.append(rng.choice(27, p=table[context]))
                context = (context * 27 + found[-1]) % contexts
            return found

        return {
            "count": (lambda: ngram(tokens, 3, 27, pseudo=1.0), counted),
            "judge": (
                lambda: ngram_log_likelihood(table, tokens),
                lambda: np.log(table)[tokens[:-2] * 27 + tokens[1:-1], tokens[2:]].sum(),
            ),
            "draw": (lambda: ngram_sample(table, 200, rng), chosen),
        }[part]

    return make


SIZE, TEXT, ONE = "2000 x 30, 10 classes", "100,000 of 27 symbols, order 3", ("float64",)
BENCH = [
    Bench("models.naive_bayes", "sklearn GaussianNB.fit", SIZE, fit_thunks, aim=1.0),
    Bench("models.gaussian_log_joint", "sklearn predict_joint_log_proba", SIZE, joint_thunks, aim=1.0),
    Bench("models.mixture_em", "sklearn GaussianMixture, diag", f"{SIZE}, 10 steps", em_thunks("diagonal"), aim=1.0),
    Bench("models.mixture_em", "sklearn GaussianMixture, full", f"{SIZE}, 10 steps", em_thunks("full"), aim=1.0),
    Bench("models.gaussian_sample", "sklearn GaussianMixture.sample", "2000 of 30 features", sample_thunks),
    Bench("models.ngram", "numpy.bincount", TEXT, text_thunks("count"), ONE),
    Bench("models.ngram_log_likelihood", "numpy, by index", TEXT, text_thunks("judge"), ONE),
    Bench("models.ngram_sample", "Generator.choice, token by token", "200 tokens", text_thunks("draw"), ONE),
]
