"""The door of the linear regressions, and the means that an unpenalized intercept takes away."""

import numpy as np

from dlref._arrays import reals, shaped

__all__: list[str] = []


def regression_data(x, y):
    """Return rows and targets in one dtype; both must be finite, and there must be some."""
    x, y = reals("x", x, "y", y)
    shaped("x", x, (None, None))
    shaped("y", y, (len(x),))
    if x.size == 0:
        raise ValueError(f"x: expected at least one row and one column, got shape {x.shape}")
    for name, value in (("x", x), ("y", y)):
        if not np.isfinite(value).all():
            raise ValueError(f"{name}: expected finite numbers, got {value[~np.isfinite(value)][0]:g}")
    return x, y


def without_means(x, y, intercept):
    """Return `x` and `y` without their means, and the means; without an intercept they stay, and the means are 0."""
    if not intercept:
        return x, y, np.zeros_like(x[0]), y.dtype.type(0)
    mean_x, mean_y = x.mean(axis=0), y.mean()
    x, y = x - mean_x, y - mean_y
    # What rounding has left of the means, in float32 above all.
    rest_x, rest_y = x.mean(axis=0), y.mean()
    x -= rest_x
    y -= rest_y
    return x, y, mean_x + rest_x, mean_y + rest_y
