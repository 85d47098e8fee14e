"""Classic kernels against what SciPy's filters make of one pixel, and mpmath."""

import mpmath
import numpy as np
import scipy.ndimage
import scipy.signal
import skimage.filters

from dlref.layers import gabor_kernel, gaussian_kernel, laplacian_kernel, prewitt_kernel, sobel_kernel
from tests.cases import Bench, Proof


def by_impulse(filtered, radius):
    """What a linear filter of SciPy weighs: its answer to one pixel, turned."""
    x = np.zeros((2 * radius + 1, 2 * radius + 1))
    x[radius, radius] = 1
    return filtered(x)[::-1, ::-1]


def classic(dtype):
    pairs = [(sobel_kernel(a), by_impulse(lambda x, a=a: scipy.ndimage.sobel(x, a), 1)) for a in (0, 1)]
    pairs += [(prewitt_kernel(a), by_impulse(lambda x, a=a: scipy.ndimage.prewitt(x, a), 1)) for a in (0, 1)]
    pairs += [(laplacian_kernel(), by_impulse(scipy.ndimage.laplace, 1))]
    ring = scipy.ndimage.generic_filter(np.pad([[1.0]], 1), np.sum, size=3, mode="constant")  # every neighbor counts
    pairs += [(laplacian_kernel(diagonal=True), ring - 9 * np.pad([[1.0]], 1))]
    assert all(np.array_equal(got, want) for got, want in pairs)
    return 0.0, 9 * len(pairs)


def gaussian(dtype):
    worst, count = 0.0, 0
    for sigma in (0.3, 1.0, 2.7):
        got = gaussian_kernel(sigma)
        want = by_impulse(lambda x, s=sigma: scipy.ndimage.gaussian_filter(x, s, mode="constant"), got.size // 2)
        worst, count = max(worst, np.abs(np.outer(got, got) - want).max() / want.max()), count + want.size
    return float(worst), count


def gabor(dtype):
    worst, count = 0.0, 0
    for wavelength, angle, sigma, aspect, phase in ((4.0, 0.7, None, 1.0, 0.0), (6.5, -2.0, 2.0, 0.5, 1.3)):
        got = gabor_kernel(wavelength, angle, sigma, aspect, phase)
        radius, s = got.shape[0] // 2, mpmath.mpf(sigma or wavelength / 2)
        turn = mpmath.expj(-mpmath.mpf(angle))
        want = np.empty_like(got)
        for i, j in np.ndindex(got.shape):
            z = mpmath.mpc(j - radius, i - radius) * turn  # the plane turned as complex numbers
            wave = mpmath.expj(2 * mpmath.pi * z.real / mpmath.mpf(wavelength) + mpmath.mpf(phase)).real
            want[i, j] = wave * mpmath.exp(-(z.real**2 + (mpmath.mpf(aspect) * z.imag) ** 2) / (2 * s**2))
        worst, count = max(worst, np.abs(got - want).max()), count + got.size
    return float(worst), count


CLASSIC = [sobel_kernel, prewitt_kernel, laplacian_kernel]
PROOFS = [
    Proof(
        CLASSIC, "scipy.ndimage's answer to one pixel", "both axes, with and without diagonals", "exact", 0.0, classic
    ),
    Proof([gaussian_kernel], "scipy.ndimage.gaussian_filter", "sigma 0.3, 1 and 2.7", "normwise", 4e-15, gaussian),
    Proof([gabor_kernel], "mpmath, in complex numbers", "two kernels, 26 to 601 weights", "absolute", 4e-15, gabor),
]
PROOFS = [Proof(p.functions, p.oracle, p.range, p.measure, p.bound, p.run, ("float64",)) for p in PROOFS]


def gaussian_thunks(_):
    def theirs():
        w = scipy.signal.windows.gaussian(41, 5.0)
        return w / w.sum()

    return lambda: gaussian_kernel(5.0), theirs


def gabor_thunks(_):
    """The peer makes the sine beside the cosine."""
    return (
        lambda: gabor_kernel(8.0, 0.7, 4.0),
        lambda: skimage.filters.gabor_kernel(1 / 8, 0.7, sigma_x=4.0, sigma_y=4.0),
    )


BENCH = [
    Bench("layers.gaussian_kernel", "scipy.signal.windows.gaussian", "41", gaussian_thunks, dtypes=("float64",)),
    Bench("layers.gabor_kernel", "skimage.filters.gabor_kernel", "25 x 25", gabor_thunks, dtypes=("float64",)),
]
