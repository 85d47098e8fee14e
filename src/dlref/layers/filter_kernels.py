"""Kernels that are written down, not learned: differences, the Laplacian, Gaussians and Gabor's waves."""

import math

import numpy as np
from numpy.typing import NDArray

from dlref._arrays import integer, number, public

__all__ = ["gabor_kernel", "gaussian_kernel", "laplacian_kernel", "prewitt_kernel", "sobel_kernel"]


def sobel_kernel(axis: int = 1) -> NDArray:
    """Return the 3 x 3 Sobel kernel: a difference along one axis, weighted 1, 2, 1 along the other.

    Parameters
    ----------
    axis : int
        0 for a difference downwards, 1 for one to the right.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        The kernel; in `correlate2d` it is positive where the image grows brighter along the axis.

    Raises
    ------
    TypeError
        If `axis` is not an integer.
    ValueError
        If `axis` is not 0 or 1.

    See Also
    --------
    prewitt_kernel : With equal weights.

    References
    ----------
    scipy.ndimage.sobel, which gives the same weights.

    Examples
    --------
    >>> sobel_kernel()
    array([[-1.,  0.,  1.],
           [-2.,  0.,  2.],
           [-1.,  0.,  1.]])
    """
    return _gradient([1.0, 2.0, 1.0], axis)


def prewitt_kernel(axis: int = 1) -> NDArray:
    """Return the 3 x 3 Prewitt kernel: a difference along one axis, added up along the other.

    Parameters
    ----------
    axis : int
        0 for a difference downwards, 1 for one to the right.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        The kernel; in `correlate2d` it is positive where the image grows brighter along the axis.

    Raises
    ------
    TypeError
        If `axis` is not an integer.
    ValueError
        If `axis` is not 0 or 1.

    See Also
    --------
    sobel_kernel : With twice the weight in the middle.

    References
    ----------
    scipy.ndimage.prewitt, which gives the same weights.

    Examples
    --------
    >>> prewitt_kernel(axis=0)
    array([[-1., -1., -1.],
           [ 0.,  0.,  0.],
           [ 1.,  1.,  1.]])
    """
    return _gradient([1.0, 1.0, 1.0], axis)


@public
def laplacian_kernel(diagonal: bool = False) -> NDArray:
    """Return the 3 x 3 Laplacian: the sum of the neighbors minus their number times the pixel.

    Parameters
    ----------
    diagonal : bool
        Count the four diagonal neighbors as well.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        The kernel, negative in the middle.

    See Also
    --------
    gaussian_kernel : To smooth before, since a second difference magnifies noise.

    References
    ----------
    scipy.ndimage.laplace, which gives the same weights without the diagonals.

    Examples
    --------
    It is zero on every ramp.

    >>> from dlref.layers import correlate2d
    >>> correlate2d([[0.0, 1.0, 2.0], [2.0, 3.0, 4.0], [4.0, 5.0, 6.0]], laplacian_kernel())
    array([[0.]])
    """
    w = np.ones((3, 3)) if diagonal else np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    w[1, 1] = -(w.sum() - w[1, 1])
    return w


def gaussian_kernel(sigma: float, radius: int | None = None) -> NDArray:
    r"""Return the weights :math:`e^{-i^2 / 2\sigma^2}`, divided by their sum: one factor of a Gaussian filter.

    Parameters
    ----------
    sigma : float
        Standard deviation in pixels, above 0.
    radius : int, optional
        Weights on either side; four standard deviations, rounded, unless it is given.

    Returns
    -------
    ndarray of float64, shape (2 radius + 1,)
        Positive weights with sum 1, for `separable_filter`.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        If `sigma` is not positive or `radius` is negative.

    See Also
    --------
    separable_filter : Takes it twice.

    References
    ----------
    scipy.ndimage.gaussian_filter, whose default radius is the same.

    Examples
    --------
    >>> gaussian_kernel(0.5, radius=1).round(4)
    array([0.1065, 0.787 , 0.1065])
    """
    sigma = number("sigma", sigma, 0, open_low=True, open_high=True)
    radius = int(4 * sigma + 0.5) if radius is None else integer("radius", radius, 0)
    w = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return w / w.sum()


def gabor_kernel(
    wavelength: float, angle: float = 0.0, sigma: float | None = None, aspect: float = 1.0, phase: float = 0.0
) -> NDArray:
    r"""Return a wave under a Gaussian: :math:`e^{-(a^2 + \gamma^2 b^2) / 2\sigma^2} \cos(2\pi a / \lambda + \psi)`.

    The axis a lies at `angle` to the right-hand direction, turning downwards, and b is perpendicular to it.

    Parameters
    ----------
    wavelength : float
        Pixels from one crest to the next, at least 2.
    angle : float
        Direction of the wave in radians: 0 for upright stripes.
    sigma : float, optional
        Standard deviation of the Gaussian along the wave; half a wavelength unless it is given.
    aspect : float
        How much narrower the Gaussian is across the wave.
    phase : float
        0 for a bright line in the middle, pi / 2 for an edge.

    Returns
    -------
    ndarray of float64, shape (k, k)
        The kernel, of odd side: three standard deviations of the wider direction on either side.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        If `wavelength` is below 2, or `sigma` or `aspect` is not positive.

    See Also
    --------
    gaussian_kernel : The envelope.

    References
    ----------
    Olshausen & Field (1996), "Emergence of simple-cell receptive field properties by learning a sparse code for
    natural images": such kernels come out of learning.

    Examples
    --------
    >>> w = gabor_kernel(4.0)
    >>> w.shape, w[6].round(2)[4:9]
    ((13, 13), array([-0.61,  0.  ,  1.  ,  0.  , -0.61]))
    """
    wavelength = number("wavelength", wavelength, 2, open_high=True)
    sigma = wavelength / 2 if sigma is None else number("sigma", sigma, 0, open_low=True, open_high=True)
    aspect = number("aspect", aspect, 0, open_low=True, open_high=True)
    angle = number("angle", angle, open_low=True, open_high=True)
    radius = math.ceil(3 * sigma * max(1, 1 / aspect))
    i, j = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    a, b = j * np.cos(angle) + i * np.sin(angle), i * np.cos(angle) - j * np.sin(angle)
    wave = np.cos(2 * np.pi * a / wavelength + number("phase", phase, open_low=True, open_high=True))
    return np.exp(-(a**2 + (aspect * b) ** 2) / (2 * sigma**2)) * wave


def _gradient(weights, axis):
    outer = np.outer(weights, [-1.0, 0.0, 1.0])
    return outer if integer("axis", axis, 0, 1) == 1 else np.ascontiguousarray(outer.T)
