"""What losses of a residual share: the door, sums in blocks, and what a reduction divides by."""

import math

import numpy as np

from dlref._arrays import option, real, same_shape

__all__: list[str] = []  # users import from the family

BLOCK = 4096  # entries a partial sum has, whatever the number of threads: the result has the same bits for any


def opened(prediction, target, weight, reduction):
    """Return prediction, target and weight as flat arrays of one dtype (no weight stays None), and the shape."""
    prediction = real("prediction", prediction)
    target = real("target", target).astype(prediction.dtype, copy=False)
    same_shape("target", target, "prediction", prediction)
    option("reduction", reduction, ("mean", "sum", "none"))
    if weight is not None:
        weight = spread("weight", weight, prediction).reshape(-1)
    return prediction.reshape(-1), target.reshape(-1), weight, prediction.shape


def spread(name, value, like):
    """Return an array broadcast to the shape of another, in its dtype."""
    value = real(name, value).astype(like.dtype, copy=False)
    try:
        return np.ascontiguousarray(np.broadcast_to(value, like.shape)).reshape(like.shape)
    except ValueError:
        raise ValueError(f"{name}: expected a shape that broadcasts to {like.shape}, got {value.shape}") from None


def blocks(x):
    """Return an empty array for the partial sums over blocks of x."""
    return np.empty(math.ceil(x.size / BLOCK), x.dtype)


def divisor(x, weight, reduction):
    """Return what a sum of losses is divided by: the sum of the weights, which is their number without weights."""
    if reduction != "mean":
        return x.dtype.type(1)
    return x.dtype.type(x.size) if weight is None else weight.sum()


def divided(total, count):
    """Return ``total / count``; over nothing it is NaN, without a warning."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / count


def slopes(dy, x, weight, reduction):
    """Return what multiplies the derivative of each loss: a number, and an array or None."""
    if reduction == "none":
        dy = dy.reshape(-1)
        return x.dtype.type(1), dy if weight is None else dy * weight
    return divided(x.dtype.type(dy), divisor(x, weight, reduction)), weight
