"""A variational autoencoder: a code that is a distribution, and the bound it is trained by."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from dlref._arrays import integer
from dlref.activations import tanh
from dlref.layers import dense
from dlref.models._fitting import fits
from dlref.models.normal_codes import gaussian_kl, gaussian_log_density, reparameterize

__all__ = [
    "VAECode",
    "VAEParameters",
    "vae_decode",
    "vae_elbo",
    "vae_encode",
    "vae_parameters",
]


class VAEParameters(NamedTuple):
    """Weights (out, in) and biases: the hidden layer, mean and log-variance of the encoder, and two of the decoder."""

    w1: NDArray
    b1: NDArray
    w_mean: NDArray
    b_mean: NDArray
    w_logvar: NDArray
    b_logvar: NDArray
    w2: NDArray
    b2: NDArray
    w3: NDArray
    b3: NDArray


class VAECode(NamedTuple):
    """What the encoder says about each example."""

    mean: NDArray
    logvar: NDArray


def vae_parameters(
    rng: np.random.Generator, size: int, hidden: int = 64, latent: int = 2, dtype: DTypeLike = np.float32
) -> VAEParameters:
    r"""Draw the parameters of a variational autoencoder: variance :math:`2 / (\text{in} + \text{out})`, biases zero.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the weights.
    size : int
        Entries of an example.
    hidden : int
        Units of the hidden layers.
    latent : int
        Entries of a code.
    dtype : numpy dtype
        Type of the parameters, float32 or float64.

    Returns
    -------
    VAEParameters
        The parameters.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If a number is below 1.

    See Also
    --------
    vae_elbo : What they are trained by.

    References
    ----------
    Kingma & Welling (2014), "Auto-encoding variational Bayes".

    Examples
    --------
    >>> [p.shape for p in vae_parameters(np.random.default_rng(0), 64, 32, 2)[::2]]
    [(32, 64), (2, 32), (2, 32), (32, 2), (64, 32)]
    """
    size, hidden, latent = integer("size", size, 1), integer("hidden", hidden, 1), integer("latent", latent, 1)
    drawn: list[NDArray] = []
    for shape in ((hidden, size), (latent, hidden), (latent, hidden), (hidden, latent), (size, hidden)):
        drawn += [rng.normal(0, np.sqrt(2 / sum(shape)), shape).astype(dtype), np.zeros(shape[0], dtype)]
    return VAEParameters(*drawn)


def vae_encode(params: VAEParameters, x: ArrayLike) -> VAECode:
    """Return the mean and the log-variance of the code of each example.

    Parameters
    ----------
    params : VAEParameters
        From `vae_parameters`, or traced.
    x : array_like, shape (N, D)
        Examples.

    Returns
    -------
    VAECode
        `mean` and `logvar`, both (N, K).

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the examples do not fit the parameters.

    See Also
    --------
    vae_decode : The way back.

    References
    ----------
    Kingma & Welling (2014), "Auto-encoding variational Bayes".

    Examples
    --------
    >>> params = vae_parameters(np.random.default_rng(0), 64)
    >>> vae_encode(params, np.zeros((5, 64), np.float32)).mean.shape
    (5, 2)
    """
    fits("x", x, None, params.w1.shape[1])
    h = tanh(dense(x, params.w1, params.b1))
    return VAECode(dense(h, params.w_mean, params.b_mean), dense(h, params.w_logvar, params.b_logvar))


def vae_decode(params: VAEParameters, z: ArrayLike) -> NDArray:
    """Return the mean of the examples that belong to codes.

    Parameters
    ----------
    params : VAEParameters
        From `vae_parameters`, or traced.
    z : array_like, shape (N, K)
        Codes.

    Returns
    -------
    ndarray, shape (N, D)
        Means.

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the codes do not fit the parameters.

    See Also
    --------
    vae_encode : The way there.

    References
    ----------
    Kingma & Welling (2014), "Auto-encoding variational Bayes".

    Examples
    --------
    >>> params = vae_parameters(np.random.default_rng(0), 64)
    >>> vae_decode(params, np.zeros((5, 2), np.float32)).shape
    (5, 64)
    """
    fits("z", z, None, params.w2.shape[1])
    return dense(tanh(dense(z, params.w2, params.b2)), params.w3, params.b3)


def vae_elbo(params: VAEParameters, x: ArrayLike, noise: ArrayLike, sigma: float = 1.0) -> NDArray:
    r"""Return the evidence lower bound by examples, with one draw: :math:`\log p(x \mid z) - D(q(z \mid x) \| p(z))`.

    Parameters
    ----------
    params : VAEParameters
        From `vae_parameters`, or traced.
    x : array_like, shape (N, D)
        Examples.
    noise : array_like, shape (N, K)
        Draws from the standard normal distribution.
    sigma : float
        Standard deviation of the examples around the decoder's mean.

    Returns
    -------
    ndarray, shape (N,)
        In expectation over the noise a lower bound of log p(x).

    Raises
    ------
    TypeError
        If an argument is not real.
    ValueError
        If the shapes do not fit.

    See Also
    --------
    gaussian_kl : The second term.

    References
    ----------
    Kingma & Welling (2014), "Auto-encoding variational Bayes".

    Examples
    --------
    >>> params = vae_parameters(np.random.default_rng(0), 64)
    >>> vae_elbo(params, np.zeros((5, 64), np.float32), np.zeros((5, 2), np.float32)).shape
    (5,)
    """
    mean, logvar = vae_encode(params, x)
    y = vae_decode(params, reparameterize(mean, logvar, noise))
    return gaussian_log_density(y, x, sigma) - gaussian_kl(mean, logvar)
