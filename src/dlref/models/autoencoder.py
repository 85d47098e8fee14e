"""Autoencoders: linear ones in matrix products, deep ones with free or tied weights, and two constraints.

The constraints are what an autoencoder needs whose code is as large as its input: noise on the input (`masking_noise`)
and codes that are seldom active (`sparsity_penalty`).
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from dlref._arrays import floating, generator, integer, number, public, real, reals, shaped
from dlref._compile import kernel, prange
from dlref._math import log1p
from dlref.activations import relu
from dlref.layers import dense

__all__ = [
    "AutoencoderParameters",
    "LinearAutoencoderGradients",
    "autoencoder_decode",
    "autoencoder_encode",
    "autoencoder_parameters",
    "autoencoder_reconstruct",
    "linear_autoencoder_loss",
    "linear_autoencoder_loss_backward",
    "masking_noise",
    "sparsity_penalty",
    "sparsity_penalty_backward",
]


class LinearAutoencoderGradients(NamedTuple):
    """Gradients of `linear_autoencoder_loss`."""

    encoder: NDArray
    decoder: NDArray


@public
def linear_autoencoder_loss(encoder: ArrayLike, decoder: ArrayLike, /, x: ArrayLike) -> NDArray:
    r"""Return the reconstruction error of a linear autoencoder: :math:`J = \frac{1}{N} \sum_n \| x_n - B A x_n \|^2`.

    Parameters
    ----------
    encoder : array_like of float32 or float64, shape (K, D)
        The matrix A, from the input to the code.
    decoder : array_like, shape (D, K)
        The matrix B, from the code back. For tied weights pass the transpose of the encoder.
    x : array_like, shape (N, D)
        Examples in rows, at least one, with the mean of the training examples subtracted.

    Returns
    -------
    ndarray, shape ()
        The squared distance between an example and its reconstruction, averaged over the examples.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit, or there is no example.

    See Also
    --------
    linear_autoencoder_loss_backward : The gradient.
    autoencoder_reconstruct : With hidden layers and biases.

    References
    ----------
    Baldi & Hornik (1989), "Neural networks and principal component analysis".

    Examples
    --------
    A code that keeps the first coordinate loses the square of the second.

    >>> linear_autoencoder_loss([[1.0, 0.0]], [[1.0], [0.0]], [[3.0, 2.0], [5.0, -4.0]])
    array(10.)
    """
    encoder, decoder, x = _matrices(encoder, decoder, x)
    reconstructions = x @ encoder.T @ decoder.T
    losses = np.empty(len(x), x.dtype)
    _subtract(x, reconstructions, losses)
    return np.asarray(losses.sum() / x.dtype.type(len(x)))


@public
def linear_autoencoder_loss_backward(
    dy: ArrayLike, encoder: ArrayLike, decoder: ArrayLike, /, x: ArrayLike
) -> LinearAutoencoderGradients:
    r"""Return the gradients of `linear_autoencoder_loss`, with :math:`r_n = B A x_n - x_n`.

    .. math:: \bar A = \frac{2 \bar y}{N} \sum_n B^\top r_n\, x_n^\top, \qquad
        \bar B = \frac{2 \bar y}{N} \sum_n r_n\, (A x_n)^\top

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient of the objective with respect to the loss, usually 1.
    encoder, decoder, x
        As for `linear_autoencoder_loss`.

    Returns
    -------
    LinearAutoencoderGradients
        Gradients with respect to `encoder` and `decoder`. With tied weights that of the shared matrix is
        ``encoder + decoder.T``.

    Raises
    ------
    TypeError, ValueError
        As for `linear_autoencoder_loss`.

    See Also
    --------
    linear_autoencoder_loss : The function.

    References
    ----------
    Baldi & Hornik (1989), "Neural networks and principal component analysis".

    Examples
    --------
    Any principal axes are a critical point, even the least important one; that one is a saddle.

    >>> x = [[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    >>> linear_autoencoder_loss_backward(1.0, [[0.0, 1.0]], [[0.0], [1.0]], x).encoder
    array([[0., 0.]])
    >>> linear_autoencoder_loss([[0.0, 1.0]], [[0.0], [1.0]], x), linear_autoencoder_loss([[1.0, 0.0]], [[1], [0]], x)
    (array(4.5), array(0.5))
    """
    dy, encoder, decoder, x = reals("dy", dy, "encoder", encoder, "decoder", decoder, "x", x)
    encoder, decoder, x = _matrices(encoder, decoder, x)
    shaped("dy", dy, ())
    codes = x @ encoder.T
    errors = codes @ decoder.T
    _subtract(x, errors, np.empty(len(x), x.dtype))
    errors *= x.dtype.type(2 / len(x) * dy)
    return LinearAutoencoderGradients((errors @ decoder).T @ x, errors.T @ codes)


@kernel(sums=True)
def _subtract(x, errors, losses):
    for n in prange(x.shape[0]):
        row, error, loss = x[n], errors[n], x.dtype.type(0)
        for d in range(row.size):
            error[d] -= row[d]
            loss += error[d] * error[d]
        losses[n] = loss


def _matrices(encoder, decoder, x):
    encoder, decoder, x = reals("encoder", encoder, "decoder", decoder, "x", x)
    shaped("x", x, (None, None))
    shaped("encoder", encoder, (None, x.shape[1]))
    shaped("decoder", decoder, (x.shape[1], len(encoder)))
    if len(x) == 0:
        raise ValueError("x: expected at least one example, got none")
    return encoder, decoder, x


# --- constraints other than a small code ------------------------------------------------------------------------------


def masking_noise(x: ArrayLike, fraction: float, rng: np.random.Generator) -> NDArray:
    r"""Set a fixed share of the entries of every example to zero: the corruption of a denoising autoencoder.

    The entries are visited in order; one of the d that remain is chosen with probability m/d, where m are still to be
    chosen. Every set of entries is equally likely.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (..., D)
        Examples along the last axis.
    fraction : float
        Share of the D entries that become zero, in [0, 1]; their number is rounded to the nearest integer.
    rng : numpy.random.Generator
        Draws one uniform number for each entry.

    Returns
    -------
    ndarray
        Same shape and dtype as `x`.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.
    ValueError
        If `x` is a single number, or `fraction` is outside its range.

    See Also
    --------
    autoencoder_reconstruct : What is given the corrupted examples, and compared with the clean ones.

    References
    ----------
    Vincent, Larochelle, Bengio & Manzagol (2008), "Extracting and composing robust features with denoising
    autoencoders", section 2.3.
    Knuth (1997), "The art of computer programming", volume 2, section 3.4.2, algorithm S.

    Examples
    --------
    Three of eight entries, in every row.

    >>> masking_noise(np.ones((2, 8)), 3 / 8, np.random.default_rng(0))
    array([[1., 0., 0., 0., 1., 1., 1., 1.],
           [1., 1., 1., 0., 1., 0., 1., 0.]])
    """
    x = real("x", x, -1)
    count, rng = round(number("fraction", fraction, 0, 1) * x.shape[-1]), generator("rng", rng)
    out = np.empty_like(x)
    rows = x.reshape(-1, x.shape[-1]) if x.size else x.reshape(0, 1)
    _masking_noise(rows, count, rng.random(rows.shape), out.reshape(rows.shape))
    return out


@kernel
def _masking_noise(x, count, uniforms, out):
    for n in prange(x.shape[0]):
        row, u, y = x[n], uniforms[n], out[n]
        left = count
        for d in range(row.size):
            hit = u[d] * (row.size - d) < left
            y[d] = row.dtype.type(0) if hit else row[d]
            left -= hit


@public
def sparsity_penalty(code: ArrayLike, /, rate: float = 0.05) -> NDArray:
    r"""Return how far the units of a code are from being active with a given rate.

    .. math:: \Omega = \sum_k \left( \rho \log \frac{\rho}{\hat\rho_k}
        + (1 - \rho) \log \frac{1 - \rho}{1 - \hat\rho_k} \right), \qquad \hat\rho_k = \frac{1}{N} \sum_n h_{nk}

    Parameters
    ----------
    code : array_like of float32 or float64, shape (N, K)
        Activities between 0 and 1, as a sigmoid gives them; N is at least 1.
    rate : float
        The rate :math:`\rho`, between 0 and 1.

    Returns
    -------
    ndarray, shape ()
        In nats, summed over the units: zero where all have the mean activity `rate`, infinite where a unit is always 0
        or always 1, NaN where a mean lies outside [0, 1].

    Raises
    ------
    TypeError
        If `code` is neither real nor integer.
    ValueError
        If `code` is not a matrix or has no rows, or `rate` is not strictly between 0 and 1.

    See Also
    --------
    sparsity_penalty_backward : The gradient.

    References
    ----------
    Ng (2011), "Sparse autoencoder", CS294A lecture notes, section 3.

    Examples
    --------
    The penalty sees the mean of a unit over the batch, not single activities: 0.05 throughout is as good as one in
    twenty.

    >>> seldom, steady, often = np.eye(20, 1), np.full((20, 1), 0.05), np.full((20, 1), 0.5)
    >>> [abs(float(sparsity_penalty(code).round(3))) for code in (seldom, steady, often)]
    [0.0, 0.0, 0.495]
    """
    code, rate = _activities(code, rate)
    means, terms = np.zeros(code.shape[1], code.dtype), np.empty(code.shape[1], code.dtype)
    _means(code, means)
    _sparsity(means, rate, terms)
    return np.asarray(terms.sum())


@public
def sparsity_penalty_backward(dy: ArrayLike, code: ArrayLike, /, rate: float = 0.05) -> NDArray:
    r"""Return the gradient of `sparsity_penalty`, the same in every row.

    .. math:: \bar h_{nk} = \frac{\bar y}{N}\, \frac{\hat\rho_k - \rho}{\hat\rho_k (1 - \hat\rho_k)}

    Parameters
    ----------
    dy : array_like, shape ()
        Gradient of the objective with respect to the penalty.
    code, rate
        As for `sparsity_penalty`.

    Returns
    -------
    ndarray, shape (N, K)
        Gradient with respect to `code`.

    Raises
    ------
    TypeError, ValueError
        As for `sparsity_penalty`.

    See Also
    --------
    sparsity_penalty : The function.

    References
    ----------
    Ng (2011), "Sparse autoencoder", CS294A lecture notes, section 3.

    Examples
    --------
    A unit that is active too seldom is pulled up, harder than one that is active too often is pushed down.

    >>> sparsity_penalty_backward(1.0, [[0.01, 0.05, 0.2]]).round(2)
    array([[-4.04,  0.  ,  0.94]])
    """
    dy, code = reals("dy", dy, "code", code)
    code, rate = _activities(code, rate)
    shaped("dy", dy, ())
    means, pulls = np.zeros(code.shape[1], code.dtype), np.empty(code.shape[1], code.dtype)
    _means(code, means)
    _sparsity_backward(dy.dtype.type(dy / len(code)), means, rate, pulls)
    return np.tile(pulls, (len(code), 1))


@kernel(sums=True)
def _means(x, means):
    for n in range(x.shape[0]):
        row = x[n]
        for k in range(row.size):
            means[k] += row[k]
    for k in range(means.size):
        means[k] /= x.dtype.type(x.shape[0])


@kernel
def _sparsity(means, rate, out):
    rest = means.dtype.type(1) - rate
    for k in range(means.size):
        # through the difference: near the rate the two logarithms nearly cancel
        gap = means[k] - rate
        out[k] = -rate * log1p(gap / rate) - rest * log1p(-gap / rest)


@kernel
def _sparsity_backward(dy, means, rate, out):
    for k in range(means.size):
        spread = means[k] * (means.dtype.type(1) - means[k])
        out[k] = dy * (means[k] - rate) / spread


def _activities(code, rate):
    code = real("code", code, 2)
    if len(code) == 0:
        raise ValueError("code: expected at least one row, got none")
    return code, code.dtype.type(number("rate", rate, 0, 1, open_low=True, open_high=True))


# --- deep autoencoders ------------------------------------------------------------------------------------------------


class AutoencoderParameters(NamedTuple):
    """Weights (out, in) and biases of every layer, in the order of use; with tied weights `decoder` is empty."""

    encoder: tuple[NDArray, ...]
    encoder_bias: tuple[NDArray, ...]
    decoder: tuple[NDArray, ...]
    decoder_bias: tuple[NDArray, ...]


@public
def autoencoder_parameters(
    rng: np.random.Generator,
    sizes: Sequence[int] = (64, 128, 8),
    tied: bool = False,
    dtype: DTypeLike = np.float32,
) -> AutoencoderParameters:
    r"""Draw the parameters of an autoencoder: weights of variance :math:`2/(\text{fan-in} + \text{fan-out})`, biases 0.

    The variance is the same in both directions, so that a transposed matrix starts as well as one of its own.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the weights.
    sizes : sequence of int
        Units of the input, of the hidden layers of the encoder, and of the code. The decoder has the same sizes in
        reverse. Two numbers make a linear autoencoder.
    tied : bool
        Whether the decoder uses the transposed weights of the encoder. The biases are free.
    dtype : numpy dtype
        Either float32 or float64.

    Returns
    -------
    AutoencoderParameters
        The parameters.

    Raises
    ------
    TypeError
        If a size is not an integer, or `rng` or `dtype` is something else.
    ValueError
        If there are fewer than two sizes, or one is not positive.

    See Also
    --------
    autoencoder_reconstruct : The network.

    References
    ----------
    Glorot & Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks".

    Examples
    --------
    Tying halves the weights.

    >>> for tied in (False, True):
    ...     params = autoencoder_parameters(np.random.default_rng(0), (64, 128, 8), tied=tied)
    ...     print(sum(w.size for w in params.encoder + params.decoder))
    18432
    9216
    """
    if not isinstance(sizes, (list, tuple, np.ndarray)):
        raise TypeError(f"sizes: expected a sequence of integers, got {type(sizes).__name__}")
    rng, dtype, sizes = generator("rng", rng), floating("dtype", dtype), [integer("sizes", size, 1) for size in sizes]
    if len(sizes) < 2:
        raise ValueError(f"sizes: expected at least input and code, got {len(sizes)} numbers")
    layers = list(pairwise(sizes))
    back = [(code, data) for data, code in reversed(layers)]

    def _drawn(shapes):
        return tuple(rng.normal(0, np.sqrt(2 / (i + o)), (o, i)).astype(dtype) for i, o in shapes)

    biases = [tuple(np.zeros(o, dtype) for _, o in shapes) for shapes in (layers, back)]
    return AutoencoderParameters(_drawn(layers), biases[0], () if tied else _drawn(back), biases[1])


def autoencoder_encode(
    params: AutoencoderParameters, x: ArrayLike, code_activation: Callable[[NDArray], NDArray] | None = None
) -> NDArray:
    """Return the codes of examples: hidden layers with ReLU, then a dense layer.

    Parameters
    ----------
    params : AutoencoderParameters
        From `autoencoder_parameters`, or traced.
    x : array_like, shape (N, D)
        Examples in rows.
    code_activation : callable, optional
        Applied to the code, such as ``sigmoid`` for a sparse autoencoder; by default the code is linear.

    Returns
    -------
    ndarray, shape (N, K)
        Codes.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the examples do not fit the parameters.

    See Also
    --------
    autoencoder_decode : The way back.

    References
    ----------
    Hinton & Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks".

    Examples
    --------
    >>> params = autoencoder_parameters(np.random.default_rng(0), (64, 128, 8))
    >>> autoencoder_encode(params, np.zeros((5, 64), np.float32)).shape
    (5, 8)
    """
    h = _stack(x, params.encoder, params.encoder_bias)
    return h if code_activation is None else code_activation(h)


def autoencoder_decode(params: AutoencoderParameters, code: ArrayLike) -> NDArray:
    """Return the examples that belong to codes: hidden layers with ReLU, then a dense layer.

    Parameters
    ----------
    params : AutoencoderParameters
        From `autoencoder_parameters`, or traced. Without weights of its own the decoder uses the transposed weights of
        the encoder, the last one first.
    code : array_like, shape (N, K)
        Codes in rows.

    Returns
    -------
    ndarray, shape (N, D)
        Reconstructions, or new examples, if the codes are new.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the codes do not fit the parameters.

    See Also
    --------
    autoencoder_encode : The way there.

    References
    ----------
    Hinton & Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks".

    Examples
    --------
    The decoder's last bias is what it says when it knows nothing.

    >>> params = autoencoder_parameters(np.random.default_rng(0), (3, 1))
    >>> autoencoder_decode(params, [[0.0]])
    array([[0., 0., 0.]])
    """
    weights = params.decoder or tuple(w.T for w in reversed(params.encoder))
    return _stack(code, weights, params.decoder_bias)


def autoencoder_reconstruct(
    params: AutoencoderParameters, x: ArrayLike, code_activation: Callable[[NDArray], NDArray] | None = None
) -> NDArray:
    """Return examples after the way through the code.

    Parameters
    ----------
    params : AutoencoderParameters
        From `autoencoder_parameters`, or traced.
    x : array_like, shape (N, D)
        Examples in rows; for a denoising autoencoder the corrupted ones.
    code_activation : callable, optional
        As for `autoencoder_encode`.

    Returns
    -------
    ndarray, shape (N, D)
        Reconstructions.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the examples do not fit the parameters.

    See Also
    --------
    autoencoder_parameters : Where training starts.
    linear_autoencoder_loss : The linear case in one kernel.

    References
    ----------
    Hinton & Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks".

    Examples
    --------
    >>> params = autoencoder_parameters(np.random.default_rng(0), (64, 128, 8), tied=True)
    >>> autoencoder_reconstruct(params, np.ones((5, 64), np.float32)).shape
    (5, 64)
    """
    return autoencoder_decode(params, autoencoder_encode(params, x, code_activation))


def _stack(h, weights, biases):
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        h = relu(dense(h, w, b))
    return dense(h, weights[-1], biases[-1])
