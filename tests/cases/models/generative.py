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
    gaussian_log_joint,
    gaussian_sample,
    mixture_em,
    naive_bayes,
    ngram,
    ngram_log_likelihood,
    ngram_sample,
)
from tests.cases import Convention, Edge, Proof, Row

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


def mixture(dtype):
    x, _, _ = drawn(dtype)
    wide, start = x.astype(np.float64), x[:4]
    judge = GaussianMixture(
        4,
        covariance_type="diag",
        weights_init=np.full(4, 0.25),
        means_init=start.astype(np.float64),
        precisions_init=np.tile(1 / (wide.var(0) + 1e-3), (4, 1)),
        reg_covar=1e-3,
        max_iter=20,
        tol=0.0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged after 20 steps, nor have we
        judge.fit(wide)
    fit = mixture_em(x, start, steps=20, floor=1e-3)
    wanted = judge.weights_, judge.means_, judge.covariances_
    errors = [normwise(a, b) for a, b in zip(fit.model, wanted, strict=True)]
    errors.append(abs(float(fit.log_likelihood[-1]) / judge.score(wide) - 1))
    return max(errors), 4 * 11 + 1


def rises(dtype):
    """The largest fall of the likelihood in one step of EM, without a floor, over ten data sets."""
    worst = 0.0
    for seed in range(10):
        x = np.random.default_rng(seed).normal(size=(80, 3))
        history = mixture_em(x, x[:3], steps=30, floor=0).log_likelihood
        worst = max(worst, float(np.max(-np.diff(history))))
    return worst, 300


def samples(dtype):
    """The largest deviation of shares and means of 40,000 draws, in standard errors."""
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
    return float(worst), 6


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
    Proof(
        [mixture_em],
        "sklearn.mixture.GaussianMixture, diagonal",
        "20 steps from the same start, 91 examples, four components",
        "normwise",
        {"float32": 2e-4, "float64": 1e-10},  # twenty steps of a contraction that has not converged
        mixture,
    ),
    Proof(
        [mixture_em],
        "the theorem that EM never lowers the likelihood",
        "30 steps on ten data sets",
        "absolute",
        1e-13,
        rises,
        dtypes=("float64",),
    ),
    Proof(
        [gaussian_sample],
        "the model's shares and means",
        "40,000 draws of three components",
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
    Edge(ngram_log_likelihood, ([[1.0, 0.0]], [0, 1]), -inf, "a token of probability 0"),
    Edge(
        ngram_log_likelihood,
        ([[0.5, 0.5]], np.array([], int)),
        0.0,
        "the empty text is certain",
        input="[[0.5, 0.5]], []",
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
