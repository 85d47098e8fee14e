"""Residual networks: blocks that add to what they are given, in three kinds, and a small network of them."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from dlref._arrays import flag, integer, option, public, real, reals, shaped
from dlref._compile import kernel, prange
from dlref.activations import relu
from dlref.layers import BatchStatistics, batch_norm, batch_norm_inference, batch_statistics, conv2d, dense

__all__ = [
    "ResNetParameters",
    "ResidualBlock",
    "padded_shortcut",
    "padded_shortcut_backward",
    "preactivation_block",
    "residual_block",
    "residual_block_parameters",
    "resnet_logits",
    "resnet_parameters",
    "resnet_statistics",
]

KINDS = ("basic", "bottleneck", "preactivation")


class ResidualBlock(NamedTuple):
    """Filters, scales and shifts of the branch in the order of use; those of the shortcut, None where it is bare."""

    filters: tuple[NDArray, ...]
    gammas: tuple[NDArray, ...]
    betas: tuple[NDArray, ...]
    w_short: NDArray | None
    gamma_short: NDArray | None
    beta_short: NDArray | None


class ResNetParameters(NamedTuple):
    """First convolution with its normalization, the blocks, and the dense layer at the end."""

    w: NDArray
    gamma: NDArray
    beta: NDArray
    blocks: tuple[ResidualBlock, ...]
    w_out: NDArray
    b_out: NDArray


# --- blocks -----------------------------------------------------------------------------------------------------------


@public
def residual_block_parameters(
    rng: np.random.Generator,
    inputs: int,
    channels: int,
    kind: str = "basic",
    zero: bool = False,
    dtype: DTypeLike = np.float32,
) -> ResidualBlock:
    r"""Draw the parameters of a block: filters of variance :math:`2/\text{fan-in}`, scales 1, shifts 0.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the filters.
    inputs, channels : int
        Channels of what comes in and of what goes out. Where they differ the shortcut gets a projection.
    kind : {"basic", "bottleneck", "preactivation"}
        Two convolutions with 3 x 3 filters; one of them between two with 1 x 1, on a quarter of the channels; or two
        with the normalization and ReLU before each, not behind it.
    zero : bool
        Start with a branch that gives zero: the last scale is 0, or the last filters are where nothing scales them.
    dtype : numpy dtype
        Either float32 or float64.

    Returns
    -------
    ResidualBlock
        The parameters.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If a number is not positive, or there is no such kind.

    See Also
    --------
    residual_block, preactivation_block : What uses them.

    References
    ----------
    He, Zhang, Ren & Sun (2016), "Deep residual learning for image recognition".

    Examples
    --------
    The bottleneck does with 256 channels what the basic block does with 64, for about as many parameters.

    >>> rng = np.random.default_rng(0)
    >>> sum(w.size for w in residual_block_parameters(rng, 64, 64).filters)
    73728
    >>> sum(w.size for w in residual_block_parameters(rng, 256, 256, "bottleneck").filters)
    69632
    """
    inputs, channels = integer("inputs", inputs, 1), integer("channels", channels, 1)
    option("kind", kind, KINDS)
    if kind == "bottleneck":
        inner = max(1, channels // 4)
        shapes = [(inner, inputs, 1), (inner, inner, 3), (channels, inner, 1)]
    else:
        shapes = [(channels, inputs, 3), (channels, channels, 3)]
    filters = [_filters(rng, *shape, dtype) for shape in shapes]
    sizes = [shape[1] if kind == "preactivation" else shape[0] for shape in shapes]
    gammas, betas = [np.ones(n, dtype) for n in sizes], tuple(np.zeros(n, dtype) for n in sizes)
    if zero:
        (filters if kind == "preactivation" else gammas)[-1][...] = 0
    short: tuple = (None, None, None)
    if inputs != channels:
        scale = (None, None) if kind == "preactivation" else (np.ones(channels, dtype), np.zeros(channels, dtype))
        short = _filters(rng, channels, inputs, 1, dtype), *scale
    return ResidualBlock(tuple(filters), tuple(gammas), betas, *short)


def residual_block(
    block: ResidualBlock, x: NDArray, stride: int = 1, shortcut: bool = True, norm: Callable = batch_norm
) -> NDArray:
    r"""Apply a basic or a bottleneck block: :math:`y = \operatorname{relu}(x + F(x))`.

    Every convolution of F is followed by a normalization, and every one but the last by ReLU. The first convolution
    with filters of 3 x 3 has the stride.

    Parameters
    ----------
    block : ResidualBlock
        From `residual_block_parameters`, or traced.
    x : array_like, shape (N, C, H, W)
        Feature maps.
    stride : int
        2 halves height and width. Then, and where the channels change, the shortcut is a convolution with 1 x 1 filters
        and a normalization.
    shortcut : bool
        False leaves the shortcut out: a plain block, for comparison.
    norm : callable
        Normalizes, called as ``norm(x, gamma, beta)``.

    Returns
    -------
    ndarray, shape (N, C', H', W')
        Feature maps.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit, or a stride is asked for and the block has no projection.

    See Also
    --------
    preactivation_block : Nothing behind the sum.

    References
    ----------
    He, Zhang, Ren & Sun (2016), "Deep residual learning for image recognition".

    Examples
    --------
    A branch that gives zero leaves ReLU alone, which changes nothing behind another ReLU.

    >>> block = residual_block_parameters(np.random.default_rng(0), 2, 2, zero=True, dtype=np.float64)
    >>> x = np.random.default_rng(1).uniform(size=(3, 2, 4, 4))
    >>> bool(np.all(residual_block(block, x) == x))
    True
    """
    flag("shortcut", shortcut)  # here, not by `public`, which would stop a traced x
    _check_stride(block, stride)
    h, left = x, stride
    for i, (w, gamma, beta) in enumerate(zip(block.filters, block.gammas, block.betas, strict=True)):
        now, left = (left, 1) if w.shape[2] == 3 else (1, left)
        h = norm(conv2d(h, w, stride=now, padding=w.shape[2] // 2), gamma, beta)
        if i < len(block.filters) - 1:
            h = relu(h)
    if not shortcut:
        return relu(h)
    if block.w_short is not None:
        x = norm(conv2d(x, block.w_short, stride=stride), block.gamma_short, block.beta_short)
    return relu(x + h)


def preactivation_block(
    block: ResidualBlock, x: NDArray, stride: int = 1, shortcut: bool = True, norm: Callable = batch_norm
) -> NDArray:
    r"""Apply a block with normalization and ReLU before each convolution: :math:`y = x + F(x)`, and nothing behind it.

    Parameters
    ----------
    block : ResidualBlock
        Of the kind "preactivation", or traced.
    x : array_like, shape (N, C, H, W)
        Feature maps.
    stride : int
        2 halves height and width. Then, and where the channels change, the shortcut is a convolution with 1 x 1 filters
        of what F sees first.
    shortcut : bool
        False leaves the shortcut out.
    norm : callable
        Normalizes, called as ``norm(x, gamma, beta)``.

    Returns
    -------
    ndarray, shape (N, C', H', W')
        Feature maps.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the shapes do not fit, or a stride is asked for and the block has no projection.

    See Also
    --------
    residual_block : As it was first.

    References
    ----------
    He, Zhang, Ren & Sun (2016), "Identity mappings in deep residual networks".

    Examples
    --------
    A hundred blocks that give zero are the identity, negative numbers included.

    >>> block = residual_block_parameters(np.random.default_rng(0), 2, 2, "preactivation", True, np.float64)
    >>> x = y = np.random.default_rng(1).normal(size=(3, 2, 4, 4))
    >>> for _ in range(100):
    ...     y = preactivation_block(block, y)
    >>> bool(np.all(y == x))
    True
    """
    flag("shortcut", shortcut)  # here, not by `public`, which would stop a traced x
    _check_stride(block, stride)
    h, now = x, stride
    for i, (w, gamma, beta) in enumerate(zip(block.filters, block.gammas, block.betas, strict=True)):
        h = relu(norm(h, gamma, beta))
        if i == 0 and shortcut and block.w_short is not None:
            x = conv2d(h, block.w_short, stride=stride)
        h, now = conv2d(h, w, stride=now, padding=1), 1
    return x + h if shortcut else h


@public
def padded_shortcut(x: ArrayLike, /, channels: int, stride: int = 1) -> NDArray:
    r"""Return a shortcut without parameters: every `stride`-th pixel, and new channels of zeros.

    Parameters
    ----------
    x : array_like of float32 or float64, shape (N, C, H, W)
        Feature maps; integers become float64.
    channels : int
        Channels of the result, at least C.
    stride : int
        Distance of the pixels that are kept.

    Returns
    -------
    ndarray, shape (N, channels, H', W')
        What can be added to a branch with that many channels and that stride.

    Raises
    ------
    TypeError
        If `x` is neither real nor integer.
    ValueError
        If `x` has not four dimensions, or a number is too small.

    See Also
    --------
    residual_block : Uses a projection instead.

    References
    ----------
    He, Zhang, Ren & Sun (2016), "Deep residual learning for image recognition": option A.

    Examples
    --------
    >>> padded_shortcut([[[[1.0, 2.0, 3.0]]]], channels=2, stride=2)
    array([[[[1., 3.]],
    <BLANKLINE>
            [[0., 0.]]]])
    """
    x, channels, stride = _checked(x, channels, stride)
    n, _, height, width = x.shape
    out = np.empty((n, channels, -(-height // stride), -(-width // stride)), x.dtype)
    _padded_shortcut(x, stride, out)
    return out


@public
def padded_shortcut_backward(dy: ArrayLike, x: ArrayLike, /, channels: int, stride: int = 1) -> NDArray:
    r"""Return the gradient of `padded_shortcut`: each pixel gets back what it gave.

    Parameters
    ----------
    dy : array_like, shape of the result
        Gradient of the loss with respect to the result.
    x, channels, stride
        As for `padded_shortcut`.

    Returns
    -------
    ndarray, shape of `x`
        Zero where a pixel was left out.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If a shape does not fit.

    See Also
    --------
    padded_shortcut : The function.

    References
    ----------
    He, Zhang, Ren & Sun (2016), "Deep residual learning for image recognition": option A.

    Examples
    --------
    >>> padded_shortcut_backward([[[[5.0, 7.0]], [[9.0, 9.0]]]], [[[[1.0, 2.0, 3.0]]]], channels=2, stride=2)
    array([[[[5., 0., 7.]]]])
    """
    dy, x = reals("dy", dy, "x", x)
    x, channels, stride = _checked(x, channels, stride)
    n, _, height, width = x.shape
    shaped("dy", dy, (n, channels, -(-height // stride), -(-width // stride)))
    out = np.empty_like(x)
    _padded_shortcut_backward(dy, stride, out)
    return out


@kernel
def _padded_shortcut(x, stride, out):
    for n in prange(out.shape[0]):
        for c in range(out.shape[1]):
            for i in range(out.shape[2]):
                row = out[n, c, i]
                for j in range(row.size):
                    row[j] = x[n, c, stride * i, stride * j] if c < x.shape[1] else 0


@kernel
def _padded_shortcut_backward(dy, stride, out):
    for n in prange(out.shape[0]):
        for c in range(out.shape[1]):
            for i in range(out.shape[2]):
                row = out[n, c, i]
                for j in range(row.size):
                    row[j] = 0
                if i % stride == 0:
                    kept = dy[n, c, i // stride]
                    for j in range(kept.size):
                        row[stride * j] = kept[j]


# --- the network ------------------------------------------------------------------------------------------------------


@public
def resnet_parameters(
    rng: np.random.Generator,
    channels: Sequence[int] = (8, 16),
    blocks: int = 2,
    inputs: int = 1,
    classes: int = 10,
    kind: str = "basic",
    zero: bool = False,
    dtype: DTypeLike = np.float32,
) -> ResNetParameters:
    r"""Draw the parameters of `resnet_logits`.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the weights.
    channels : sequence of int
        Channels of every stage, no two neighbors alike; each stage but the first halves the maps.
    blocks : int
        Blocks of a stage.
    inputs, classes : int
        Channels of the images, and number of classes.
    kind : {"basic", "bottleneck", "preactivation"}
        Kind of all blocks.
    zero : bool
        Start with branches that give zero.
    dtype : numpy dtype
        Either float32 or float64.

    Returns
    -------
    ResNetParameters
        The parameters.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If a number is not positive, two neighboring stages have as many channels, or there is no such kind.

    See Also
    --------
    resnet_logits : The network.

    References
    ----------
    He, Zhang, Ren & Sun (2016), "Deep residual learning for image recognition".

    Examples
    --------
    Two stages of two blocks: with the first convolution and the last layer ten layers deep.

    >>> params = resnet_parameters(np.random.default_rng(0))
    >>> len(params.blocks), [b.filters[0].shape[:2] for b in params.blocks]
    (4, [(8, 8), (8, 8), (16, 8), (16, 16)])
    """
    blocks, classes = integer("blocks", blocks, 1), integer("classes", classes, 1)
    if not isinstance(channels, Sequence):
        raise TypeError(f"channels: expected a sequence of integers, got {type(channels).__name__}")
    channels = [integer("channels", c, 1) for c in channels]
    if not channels or any(a == b for a, b in pairwise(channels)):
        raise ValueError(f"channels: expected neighbors that differ, got {channels}")
    sizes = [c for c in channels for _ in range(blocks)]
    stack = [residual_block_parameters(rng, i, o, kind, zero, dtype) for i, o in pairwise([channels[0], *sizes])]
    first = _filters(rng, channels[0], integer("inputs", inputs, 1), 3, dtype)
    w_out = rng.normal(0, channels[-1] ** -0.5, (classes, channels[-1])).astype(dtype)
    scale = np.ones(channels[0], dtype), np.zeros(channels[0], dtype)
    return ResNetParameters(first, *scale, tuple(stack), w_out, np.zeros(classes, dtype))


def resnet_logits(
    params: ResNetParameters,
    x: ArrayLike,
    block: Callable = residual_block,
    shortcut: bool = True,
    stride: int = 1,
    statistics: Sequence[BatchStatistics] | None = None,
) -> NDArray:
    """Return the scores of the classes for each image: a convolution, the blocks, the mean of each map, a dense layer.

    Parameters
    ----------
    params : ResNetParameters
        From `resnet_parameters`, or traced.
    x : array_like, shape (N, C, H, W)
        Images.
    block : callable
        `residual_block`, or `preactivation_block` for parameters of that kind.
    shortcut : bool
        False leaves all shortcuts out: a plain network.
    stride : int
        Of the first convolution.
    statistics : sequence of BatchStatistics, optional
        Means and variances for prediction, from `resnet_statistics`; by default those of the batch, as in training.

    Returns
    -------
    ndarray, shape (N, classes)
        Logits.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the images do not fit the parameters.

    See Also
    --------
    resnet_statistics : What prediction needs.

    References
    ----------
    He, Zhang, Ren & Sun (2016), "Deep residual learning for image recognition".

    Examples
    --------
    >>> params = resnet_parameters(np.random.default_rng(0))
    >>> resnet_logits(params, np.random.default_rng(1).normal(size=(5, 1, 8, 8))).shape
    (5, 10)
    """
    if statistics is None:
        return _logits(params, x, block, shortcut, stride, batch_norm)
    left = iter(statistics)
    return _logits(params, x, block, shortcut, stride, lambda h, g, b: batch_norm_inference(h, g, b, *next(left)))


def resnet_statistics(
    params: ResNetParameters,
    x: ArrayLike,
    block: Callable = residual_block,
    shortcut: bool = True,
    stride: int = 1,
) -> tuple[BatchStatistics, ...]:
    """Return mean and variance in front of every normalization, over the given images.

    Parameters
    ----------
    params, x, block, shortcut, stride
        As for `resnet_logits`; `x` are the images of the training, or some of them.

    Returns
    -------
    tuple of BatchStatistics
        In the order of use.

    Raises
    ------
    TypeError
        If an argument is neither real nor integer.
    ValueError
        If the images do not fit the parameters.

    See Also
    --------
    resnet_logits : Takes them.

    References
    ----------
    Ioffe & Szegedy (2015), "Batch normalization", algorithm 2.

    Examples
    --------
    With its own statistics a batch gets the same scores.

    >>> params = resnet_parameters(np.random.default_rng(0))
    >>> x = np.random.default_rng(1).normal(size=(5, 1, 8, 8))
    >>> alone = resnet_logits(params, x[:1], statistics=resnet_statistics(params, x))
    >>> np.allclose(alone, resnet_logits(params, x)[:1])
    True
    """
    found = []

    def _norm(h, gamma, beta):
        found.append(batch_statistics(h))
        return batch_norm(h, gamma, beta)

    _logits(params, x, block, shortcut, stride, _norm)
    return tuple(found)


def _logits(params, x, block, shortcut, stride, norm):
    flag("shortcut", shortcut)
    h = relu(norm(conv2d(x, params.w, stride=stride, padding=1), params.gamma, params.beta))
    for part in params.blocks:
        h = block(part, h, 1 if part.w_short is None else 2, shortcut, norm)
    return dense(h.mean(axis=(2, 3)), params.w_out, params.b_out)


def _filters(rng, outputs, inputs, side, dtype):
    return rng.normal(0, np.sqrt(2 / (inputs * side * side)), (outputs, inputs, side, side)).astype(dtype)


def _check_stride(block, stride):
    if integer("stride", stride, 1) > 1 and block.w_short is None:
        raise ValueError(f"stride: expected 1 for a block without projection, got {stride}")


def _checked(x, channels, stride):
    x = real("x", x, 4)
    return x, integer("channels", channels, x.shape[1]), integer("stride", stride, 1)
