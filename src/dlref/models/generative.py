"""Models of how data come about: normal features by class, mixtures of them by EM, and text token by token."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import index, integer, not_negative, number, option, public, real, reals, shaped
from dlref._compile import kernel

__all__ = [
    "DiagonalGaussians",
    "Draw",
    "FullGaussians",
    "MixtureFit",
    "gaussian_log_joint",
    "gaussian_sample",
    "mixture_em",
    "naive_bayes",
    "ngram",
    "ngram_log_likelihood",
    "ngram_sample",
]


class DiagonalGaussians(NamedTuple):
    """K normal distributions with independent features: shares (K,), means (K, D) and variances (K, D)."""

    prior: NDArray
    mean: NDArray
    var: NDArray


class FullGaussians(NamedTuple):
    """K normal distributions of any covariance: shares (K,), means (K, D) and covariances (K, D, D)."""

    prior: NDArray
    mean: NDArray
    covariance: NDArray


class MixtureFit(NamedTuple):
    """A mixture, and the mean log-likelihood of the data before each step of EM."""

    model: DiagonalGaussians | FullGaussians
    log_likelihood: NDArray


class Draw(NamedTuple):
    """Examples drawn from a model, and the class or component of each."""

    x: NDArray
    label: NDArray


@public
def naive_bayes(x: ArrayLike, target: ArrayLike, classes: int, floor: float = 1e-9) -> DiagonalGaussians:
    r"""Fit Gaussian naive Bayes: the share of each class, and mean and variance of each feature within it.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, D)
        Examples.
    target : array_like of int, shape (N,)
        Their classes, each of which occurs.
    classes : int
        The number of classes K.
    floor : float
        This share of the largest variance of any feature is added to every variance.

    Returns
    -------
    DiagonalGaussians
        The maximum of the likelihood, but for the floor: variances are divided by the number of examples.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If shapes do not fit or a class does not occur.

    See Also
    --------
    gaussian_log_joint : What it says of new examples.
    mixture_em : The same model when the classes are not known.

    References
    ----------
    Ng & Jordan (2001), "On Discriminative vs. Generative classifiers", NIPS 14.

    Examples
    --------
    >>> model = naive_bayes([[0.0], [2.0], [10.0]], [0, 0, 1], 2, floor=0.01)
    >>> model.prior.round(3), model.mean.ravel(), model.var.ravel().round(4)
    (array([0.667, 0.333]), array([ 1., 10.]), array([1.1867, 0.1867]))
    """
    x = real("x", x, 2)
    classes, floor = integer("classes", classes, 1), number("floor", floor, 0, open_high=True)
    target = index("target", target, classes, (len(x),))
    if len(np.unique(target)) < classes:
        raise ValueError(f"target: expected every class from 0 to {classes - 1}, got {len(np.unique(target))} of them")
    share = np.zeros((len(x), classes))
    share[np.arange(len(x)), target] = 1
    total, mean, var = _moments(x, share, floor * float(x.var(axis=0).max(initial=0)))
    return DiagonalGaussians((total / len(x)).astype(x.dtype), mean, var)


@public
def gaussian_log_joint(model: DiagonalGaussians | FullGaussians, x: ArrayLike) -> NDArray:
    r"""Return :math:`\log p(x, k)` for each example and each class or component.

    Its log-sum-exp over k is the log-likelihood, its softmax the probabilities of the classes, its largest entry the
    call.

    Parameters
    ----------
    model : DiagonalGaussians or FullGaussians
        From `naive_bayes` or `mixture_em`.
    x : array_like of float32 or float64, shape (N, D)
        Examples.

    Returns
    -------
    ndarray, shape (N, K)
        Logarithms of densities times shares, which may be positive.

    Raises
    ------
    TypeError
        If an array is neither real nor integer, or `model` is something else.
    ValueError
        If shapes do not fit, or a covariance is not positive definite.

    See Also
    --------
    dlref.activations.softmax : From these to the probabilities of the classes.

    References
    ----------
    Ng & Jordan (2001), "On Discriminative vs. Generative classifiers", NIPS 14.

    Examples
    --------
    >>> model = DiagonalGaussians(np.array([0.5, 0.5]), np.array([[0.0], [4.0]]), np.ones((2, 1)))
    >>> gaussian_log_joint(model, [[0.0], [2.0]]).round(4)
    array([[-1.6121, -9.6121],
           [-3.6121, -3.6121]])
    """
    prior, mean, spread = _opened(model)
    x, prior, mean, spread = reals("x", x, "prior", prior, "mean", mean, model._fields[2], spread)
    shaped("x", x, (None, mean.shape[1]))
    out = np.empty((len(x), len(prior)), x.dtype)
    with np.errstate(divide="ignore"):  # a component without a share: minus infinity
        log_prior = np.log(prior)
    if isinstance(model, DiagonalGaussians):
        _log_joint(x, log_prior, mean, spread, out)
    else:
        _full_log_joint(x, log_prior, mean, _roots(spread), out)
    return out


@public
def mixture_em(
    x: ArrayLike, means: ArrayLike, steps: int = 100, floor: float = 1e-6, covariance: str = "diagonal"
) -> MixtureFit:
    r"""Fit a mixture of normal distributions by expectation and maximization.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, D)
        Examples, at least one.
    means : array_like, shape (K, D)
        Where the means start, at least one; shares start equal, variances and covariances as those of the data.
    steps : int
        How many times to compute the shares of the components in each example, then shares, means and variances.
    floor : float
        Added to every variance. The likelihood has no maximum without it: a component on a single example.
    covariance : {"diagonal", "full"}
        Independent features within a component, or any covariance.

    Returns
    -------
    MixtureFit
        The mixture, and the mean log-likelihood before each step and after the last, which rises but for the floor.
        A component in which no example has a share stays where it is.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If the shapes do not fit, there is no example or no component, or a covariance becomes singular.

    See Also
    --------
    naive_bayes : With known components, in one step.

    References
    ----------
    Dempster, Laird & Rubin (1977), "Maximum likelihood from incomplete data via the EM algorithm".

    Examples
    --------
    >>> x = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 25)])[:, None]
    >>> fit = mixture_em(x, [[1.0], [2.0]], steps=50)
    >>> fit.model.prior.round(3), fit.model.mean.ravel().round(3) + 0.0
    (array([0.667, 0.333]), array([ 0., 10.]))
    """
    x, means = reals("x", real("x", x, 2), "means", means)
    shaped("means", means, (None, x.shape[1]))
    for name, value in (("x", x), ("means", means)):
        if not len(value):
            raise ValueError(f"{name}: expected at least one row, got shape {value.shape}")
    steps, floor = integer("steps", steps, 0), number("floor", floor, 0, open_high=True)
    full = option("covariance", covariance, ("diagonal", "full")) == "full"
    kind, count = FullGaussians if full else DiagonalGaussians, len(means)
    everywhere = np.ones((len(x), 1))
    _, mean, var = _moments(x, everywhere, floor)
    spread = _covariances(x, everywhere, mean, floor) if full else var
    model = kind(np.full(count, 1 / count, x.dtype), means.copy(), np.repeat(spread, count, axis=0))
    history = np.empty(steps + 1)
    for step in range(steps + 1):
        joint = gaussian_log_joint(model, x).astype(np.float64)
        top = joint.max(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):  # an example that no component allows: NaN
            evidence = top + np.log(np.exp(joint - top).sum(axis=1, keepdims=True))
        history[step] = evidence.mean()
        if step < steps:
            share = np.exp(joint - evidence)
            total, mean, var = _moments(x, share, floor)
            spread = _covariances(x, share, mean, floor) if full else var
            # without a share there is nothing to average: any mean and variance is as good
            idle = total == 0
            mean[idle], spread[idle] = model.mean[idle], model[2][idle]
            model = kind((total / len(x)).astype(x.dtype), mean, spread)
    return MixtureFit(model, history.astype(x.dtype))


@public
def gaussian_sample(model: DiagonalGaussians | FullGaussians, count: int, rng: np.random.Generator) -> Draw:
    """Draw examples: first the class or component, then the features.

    Parameters
    ----------
    model : DiagonalGaussians or FullGaussians
        From `naive_bayes` or `mixture_em`.
    count : int
        How many.
    rng : numpy.random.Generator
        Draws one uniform number for each example, and one normal number for each feature.

    Returns
    -------
    Draw
        `x` of shape (count, D), and the `label` of each.

    Raises
    ------
    TypeError
        If `count` is not an integer, or `model` is something else.
    ValueError
        If `count` is negative, shapes do not fit, or a covariance is not positive definite.

    See Also
    --------
    gaussian_log_joint : How likely an example is.

    References
    ----------
    Ng & Jordan (2001), "On Discriminative vs. Generative classifiers", NIPS 14.

    Examples
    --------
    >>> model = DiagonalGaussians(np.array([0.5, 0.5]), np.array([[0.0], [100.0]]), np.ones((2, 1)))
    >>> draw = gaussian_sample(model, 4, np.random.default_rng(0))
    >>> draw.label, (draw.x.ravel() > 50).astype(int)
    (array([1, 0, 0, 0]), array([1, 0, 0, 0]))
    """
    count, (prior, mean, spread) = integer("count", count, 0), _opened(model)
    edges = np.cumsum(prior, dtype=np.float64)
    label = np.minimum(np.searchsorted(edges / edges[-1], rng.random(count), side="right"), len(edges) - 1)
    noise = rng.normal(size=(count, mean.shape[1])).astype(mean.dtype)
    if isinstance(model, DiagonalGaussians):
        return Draw(mean[label] + np.sqrt(spread[label]) * noise, label)
    turned = np.einsum("nij,nj->ni", _roots(spread)[label], noise)
    return Draw(mean[label] + turned.astype(mean.dtype), label)


@public
def ngram(tokens: ArrayLike, order: int, symbols: int, pseudo: float = 0.0) -> NDArray:
    r"""Count a text into probabilities of the next token given the last `order` - 1.

    Parameters
    ----------
    tokens : array_like of int, shape (T,)
        The text, as numbers from 0. Before its beginning stand `order` - 1 zeros.
    order : int
        How many tokens a count is of, at least 1.
    symbols : int
        The number of different tokens V.
    pseudo : float
        Added to every count.

    Returns
    -------
    ndarray of float64, shape (V ** (order - 1), V)
        Rows that sum to 1; NaN for a context that never occurred, if `pseudo` is 0.

    Raises
    ------
    TypeError
        If the tokens are not integers.
    ValueError
        If a token is not below `symbols`, a number is too small, or the table would have more than 2**31 entries.

    See Also
    --------
    ngram_sample : Text from it.

    References
    ----------
    Shannon (1948), "A Mathematical Theory of Communication".

    Examples
    --------
    After a 1 comes a 0, after a 0 mostly a 1.

    >>> ngram([1, 0, 1, 0, 0, 1], order=2, symbols=2).round(3)
    array([[0.25, 0.75],
           [1.  , 0.  ]])
    """
    order, symbols = integer("order", order, 1), integer("symbols", symbols, 1)
    tokens, pseudo = index("tokens", tokens, symbols, (np.size(tokens),)), number("pseudo", pseudo, 0, open_high=True)
    if symbols > 1 and (order > 31 or symbols**order > 2**31):
        raise ValueError(f"order: expected a table of at most 2**31 entries, got {symbols}**{order}")
    table = np.full((symbols ** (order - 1), symbols), pseudo)
    order = order if symbols > 1 else 1  # one symbol has one context
    _tally(_begun(tokens, order), order, table)
    with np.errstate(invalid="ignore"):  # a context that never occurred: 0 / 0
        return table / table.sum(axis=1, keepdims=True)


@public
def ngram_log_likelihood(table: ArrayLike, tokens: ArrayLike) -> float:
    """Return the logarithm of the probability of a text.

    Parameters
    ----------
    table : array_like of float64, shape (V ** (order - 1), V)
        From `ngram`.
    tokens : array_like of int, shape (T,)
        The text.

    Returns
    -------
    float
        In nats; minus infinity for a text with an n-gram of probability 0.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If a token is not in the table, or this is not one of probabilities after so many contexts.

    See Also
    --------
    ngram : The probabilities.

    References
    ----------
    Shannon (1948), "A Mathematical Theory of Communication".

    Examples
    --------
    >>> table = ngram([1, 0, 1, 0, 0, 1], order=2, symbols=2)
    >>> print(round(np.exp(ngram_log_likelihood(table, [1, 0, 1])), 4))
    0.5625
    """
    table, order = _table(table)
    tokens = index("tokens", tokens, table.shape[1], (np.size(tokens),))
    with np.errstate(divide="ignore"):
        return float(_text(_begun(tokens, order), order, np.log(table)))


@public
def ngram_sample(table: ArrayLike, count: int, rng: np.random.Generator) -> NDArray:
    """Draw a text token by token, each given the last ones.

    Parameters
    ----------
    table : array_like of float64, shape (V ** (order - 1), V)
        From `ngram`.
    count : int
        How many tokens.
    rng : numpy.random.Generator
        Draws one uniform number for each token.

    Returns
    -------
    ndarray of int64, shape (count,)
        The text. Where a context has no probabilities the token is the last of the vocabulary.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If `count` is negative, or the table is not one of probabilities after so many contexts.

    See Also
    --------
    ngram_log_likelihood : How likely a text is.

    References
    ----------
    Shannon (1948), "A Mathematical Theory of Communication".

    Examples
    --------
    >>> table = ngram([1, 2, 0, 1, 2, 0, 1, 2], order=2, symbols=3)
    >>> ngram_sample(table, 6, np.random.default_rng(0))
    array([1, 2, 0, 1, 2, 0])
    """
    table, _ = _table(table)
    out = np.empty(integer("count", count, 0), np.int64)
    _draw(np.cumsum(table, axis=1), rng.random(out.size), out)
    return out


def _moments(x, share, floor):
    """Return sums of shares, means and variances of components that have these shares in each example."""
    total = share.sum(axis=0)
    mean, var = np.empty((2, share.shape[1], x.shape[1]), x.dtype)
    _weighted_moments(x, share, total, floor, mean, var)
    return total, mean, var


def _covariances(x, share, mean, floor):
    """Return the covariances about these means, with the floor on their diagonals."""
    out = np.empty((len(mean), x.shape[1], x.shape[1]), x.dtype)
    for k, (part, middle) in enumerate(zip(share.T, mean, strict=True)):
        away = x.astype(np.float64) - middle
        with np.errstate(invalid="ignore"):
            out[k] = (away * (part / part.sum())[:, None]).T @ away + floor * np.eye(x.shape[1])
    return out


def _roots(covariance):
    """Return the Cholesky factors, in float64."""
    try:
        return np.linalg.cholesky(covariance.astype(np.float64))
    except np.linalg.LinAlgError:
        raise ValueError("covariance: expected positive definite matrices; a floor keeps them so") from None


def _opened(model):
    """Return the arrays of a model, checked against each other."""
    if not isinstance(model, (DiagonalGaussians, FullGaussians)):
        raise TypeError(f"model: expected DiagonalGaussians or FullGaussians, got {type(model).__name__}")
    arrays = reals(*(item for pair in zip(model._fields, model, strict=True) for item in pair))
    count, size = real("mean", arrays[1], 2).shape
    shaped("prior", arrays[0], (count,))
    shaped(model._fields[2], arrays[2], (count, size) if isinstance(model, DiagonalGaussians) else (count, size, size))
    return arrays


def _table(table):
    """Return the table of an n-gram model and its order; the rows are as many as there are contexts of one length."""
    table = real("table", table, 2).astype(np.float64, copy=False)
    order, (rows, symbols) = 1, table.shape
    while symbols > 1 and rows > 1 and rows % symbols == 0:
        order, rows = order + 1, rows // symbols
    if rows != 1 or not symbols:
        raise ValueError(f"table: expected V ** (order - 1) rows for V symbols, got shape {table.shape}")
    not_negative("table", table)
    return table, order


def _begun(tokens, order):
    """Return the tokens behind the context that every text begins with: zeros."""
    return np.concatenate([np.zeros(order - 1, np.int64), tokens])


@kernel(sums=True)
def _weighted_moments(x, share, total, floor, mean, var):
    row, spread = np.empty(x.shape[1]), np.empty(x.shape[1])
    for k in range(total.size):
        row[:] = 0
        spread[:] = 0
        for i in range(len(x)):
            for d in range(row.size):
                row[d] += share[i, k] * x[i, d]
        for d in range(row.size):
            row[d] /= total[k]
        for i in range(len(x)):
            for d in range(row.size):
                spread[d] += share[i, k] * (x[i, d] - row[d]) ** 2
        for d in range(row.size):
            mean[k, d], var[k, d] = row[d], spread[d] / total[k] + floor


@kernel(sums=True)
def _log_joint(x, log_prior, mean, var, out):
    for k in range(log_prior.size):
        constant = float(log_prior[k])
        for d in range(mean.shape[1]):
            constant -= math.log(2 * math.pi * var[k, d]) / 2
        for i in range(len(x)):
            total = 0.0
            for d in range(mean.shape[1]):
                total += (x[i, d] - mean[k, d]) ** 2 / var[k, d]
            out[i, k] = constant - total / 2


@kernel(sums=True)
def _full_log_joint(x, log_prior, mean, root, out):
    size, width = mean.shape[1], 32
    z, total = np.empty((size, width)), np.empty(width)
    for k in range(log_prior.size):
        constant = log_prior[k] - size * math.log(2 * math.pi) / 2
        for d in range(size):
            constant -= math.log(root[k, d, d])
        for start in range(0, len(x), width):
            count = min(width, len(x) - start)
            total[:] = 0
            # z solves root z = x - mean, row by row, for 32 examples side by side
            for d in range(size):
                row = z[d]
                for i in range(count):
                    row[i] = x[start + i, d] - mean[k, d]
                for e in range(d):
                    factor, other = root[k, d, e], z[e]
                    for i in range(count):
                        row[i] -= factor * other[i]
                for i in range(count):
                    row[i] /= root[k, d, d]
                    total[i] += row[i] * row[i]
            for i in range(count):
                out[start + i, k] = constant - total[i] / 2


@kernel
def _tally(tokens, order, table):
    for t in range(order - 1, tokens.size):
        context = 0
        for last in range(t - order + 1, t):
            # The tokens of the context are digits of a number in base V.
            context = context * table.shape[1] + tokens[last]
        table[context, tokens[t]] += 1


@kernel
def _text(tokens, order, log_table):
    total = 0.0
    for t in range(order - 1, tokens.size):
        context = 0
        for last in range(t - order + 1, t):
            context = context * log_table.shape[1] + tokens[last]
        total += log_table[context, tokens[t]]
    return total


@kernel
def _draw(cumulative, uniform, out):
    context, last = 0, cumulative.shape[1] - 1
    for t in range(out.size):
        token = 0
        while token < last and not uniform[t] < cumulative[context, token]:
            token += 1
        out[t] = token
        # Append the new token to the context, drop the oldest.
        context = (context * cumulative.shape[1] + token) % len(cumulative)
