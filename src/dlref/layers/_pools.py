"""What all pooling functions do with their arguments."""

import math

from dlref._arrays import real, shaped
from dlref.layers._windows import windows_on

__all__: list[str] = []  # users import from the family


def pooling_windows(x, kernel, stride, padding, dilation, ceil_mode):
    """Return the maps as an array (N, C, H, W), and the windows on them."""
    x = real("x", x)
    shaped("x", x, (None, None, None, None))
    stride = kernel if stride is None else stride
    windows = windows_on(x.shape[2:], "kernel", kernel, stride, padding, dilation, ceil_mode)
    for k, p, d in zip(windows.size, windows.padding, windows.dilation, strict=True):
        if 2 * p > d * (k - 1) + 1:
            raise ValueError(f"padding: expected at most half a window of {d * (k - 1) + 1}, got {p}")
    return x, windows


def planes(x):
    """Return maps (N, C, H, W) as (N * C, H, W)."""
    return x.reshape(math.prod(x.shape[:2]), *x.shape[2:])
