"""Epochs: seeded mini-batches, and the loop around loss, tape and optimizer that every model uses."""

import copy
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import generator, integer, number, option, public
from dlref._compile import kernel
from dlref.autodiff import flat_parameters, value_and_gradient

__all__ = ["Fit", "History", "Progress", "fit", "minibatches", "patience", "shuffled", "steps_per_epoch"]

REPORT_AFTER = 2.0  # seconds; a run that takes longer says how far it is
REPORT_EVERY = 0.5


class History(NamedTuple):
    """What a run has measured: the loss of every step, and once an epoch its mean and the metrics."""

    loss: list[float]
    epoch_loss: list[float]
    metrics: dict[str, list[float]]


class Progress(NamedTuple):
    """What a callback sees; epochs and steps are those that are complete."""

    epoch: int
    step: int
    params: Any
    state: Any
    history: History


class Fit(NamedTuple):
    """The result of a run; ``ended`` is "complete", "stopped" or "interrupted"."""

    params: Any
    history: History
    state: Any
    ended: str


def shuffled(n: int, rng: np.random.Generator) -> NDArray:
    r"""Return the numbers 0 to n - 1 in random order, every order equally likely.

    The inside-out shuffle: number i goes to a random place among the first i + 1, and what stood there moves to the
    end. The places are drawn before, as uniform numbers, so that the loop itself is deterministic.

    Parameters
    ----------
    n : int
        How many numbers.
    rng : numpy.random.Generator
        Draws n uniform numbers.

    Returns
    -------
    ndarray of int64, shape (n,)
        A permutation.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is negative.

    See Also
    --------
    minibatches : One such order an epoch, in parts.

    References
    ----------
    Knuth (1997), "The art of computer programming", volume 2, algorithm P, which shuffles in place.

    Examples
    --------
    >>> order = shuffled(5, np.random.default_rng(0))
    >>> order, np.sort(order)
    (array([3, 0, 1, 2, 4]), array([0, 1, 2, 3, 4]))
    """
    uniforms = generator("rng", rng).random(integer("n", n, 0))
    out = np.empty(len(uniforms), np.int64)
    _shuffled(uniforms, out)
    return out


@kernel
def _shuffled(uniforms, out):
    for i in range(out.size):
        j = int(uniforms[i] * (i + 1))
        out[i] = out[j]
        out[j] = i


@public
def steps_per_epoch(n: int, batch_size: int, drop_last: bool = False) -> int:
    r"""Return how many steps an epoch has: :math:`\lceil n/B \rceil`, or :math:`\lfloor n/B \rfloor` with `drop_last`.

    Parameters
    ----------
    n : int
        Number of examples.
    batch_size : int
        Examples in a batch, at least 1.
    drop_last : bool
        Leave out the last batch where it would be smaller than the others.

    Returns
    -------
    int
        The number of batches.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If `n` is negative or `batch_size` not positive.

    See Also
    --------
    minibatches : The batches.

    References
    ----------
    Goodfellow, Bengio & Courville (2016), "Deep learning".

    Examples
    --------
    >>> steps_per_epoch(10, 4), steps_per_epoch(10, 4, drop_last=True)
    (3, 2)
    """
    n, batch_size = integer("n", n, 0), integer("batch_size", batch_size, 1)
    return n // batch_size if drop_last else -(-n // batch_size)


@public
def minibatches(n: int, batch_size: int, rng: np.random.Generator | None, drop_last: bool = False) -> Iterator[NDArray]:
    r"""Return the batches of one epoch as arrays of example numbers; every example is in one of them.

    Parameters
    ----------
    n : int
        Number of examples.
    batch_size : int
        Examples in a batch, at least 1.
    rng : numpy.random.Generator or None
        Draws a new order each time it is called; None keeps the order 0 to n - 1.
    drop_last : bool
        Leave out the last batch where it would be smaller than the others.

    Returns
    -------
    iterator of ndarray of int64
        `steps_per_epoch` arrays, all of length `batch_size` except perhaps the last.

    Raises
    ------
    TypeError
        If a number is not an integer.
    ValueError
        If `n` is negative or `batch_size` not positive.

    See Also
    --------
    steps_per_epoch : How many there are.
    fit : The loop over them.

    References
    ----------
    Bottou (2012), "Stochastic gradient descent tricks".

    Examples
    --------
    >>> for batch in minibatches(7, 3, np.random.default_rng(1)):
    ...     print(batch)
    [2 4 5]
    [3 1 6]
    [0]
    """
    steps = steps_per_epoch(n, batch_size, drop_last)
    order = np.arange(n) if rng is None else shuffled(n, rng)
    return (order[k * batch_size : (k + 1) * batch_size] for k in range(steps))


def patience(epochs: int, min_delta: float = 0.0, mode: str = "min") -> Callable[[list[float]], bool]:
    r"""Return the stopping rule that gives up when a value has not improved for some epochs.

    A stopping rule for `fit` is any function of the values so far, one an epoch. Smaller is better, unless the rule has
    an attribute ``mode`` that is "max", as this one has with that option.

    Parameters
    ----------
    epochs : int
        How many epochs in a row may pass without a new best value, at least 1.
    min_delta : float
        A value is better if it is better than the best one by more than this.
    mode : {"min", "max"}
        Whether smaller or larger is better.

    Returns
    -------
    callable
        Takes the list of values and returns whether to stop.

    Raises
    ------
    TypeError
        If `epochs` is not an integer or `min_delta` not a number.
    ValueError
        If `epochs` is not positive, `min_delta` is negative, or `mode` is unknown.

    See Also
    --------
    fit : Takes it as ``stop=``.
    early_stop : The same rule on values that are all known.

    References
    ----------
    Prechelt (1998), "Early stopping - but when?".

    Examples
    --------
    >>> stop = patience(2)
    >>> stop([3.0, 2.0, 2.5]), stop([3.0, 2.0, 2.5, 2.1])
    (False, True)
    """
    epochs, min_delta = integer("epochs", epochs, 1), number("min_delta", min_delta, 0)
    sign = 1 if option("mode", mode, ("min", "max")) == "min" else -1

    def _stop(values):
        best, since = math.inf, 0
        for value in values:
            better = sign * value < best - min_delta
            best, since = (sign * value, 0) if better else (best, since + 1)
        return since >= epochs

    _stop.mode = mode  # type: ignore[attr-defined]
    return _stop


@public
def fit(
    loss: Callable,
    params: Any,
    data: ArrayLike | tuple[ArrayLike, ...],
    optimizer: Callable,
    state: Any,
    *,
    lr: float | Callable[[int], float],
    epochs: int,
    batch_size: int,
    rng: np.random.Generator | None,
    drop_last: bool = False,
    metrics: Mapping[str, Callable[[Any], float]] | None = None,
    after_step: Callable[[Progress], Any] | None = None,
    after_epoch: Callable[[Progress], Any] | None = None,
    stop: Callable[[list[float]], bool] | None = None,
    monitor: str = "loss",
    progress: bool | None = None,
) -> Fit:
    r"""Train parameters by steps of an optimizer on mini-batches.

    Parameters
    ----------
    loss : callable
        Called as ``loss(params, *batch)``; returns the mean loss of the batch, as `value_and_gradient` takes it.
    params : array, or (nested) tuple, NamedTuple, list or dict of arrays
        Where to start. They are copied, not changed.
    data : array_like, or tuple of array_like
        Examples along the first axis, in all arrays the same number of them.
    optimizer : callable
        One step, called as ``optimizer(p, g, state, lr, out=(p, state))`` with all parameters as one vector; returns
        the new vector and the new state. Every optimizer of dlref fits; so does ``functools.partial`` of one.
    state : optimizer state, or callable
        Where the optimizer starts, or the function that makes it from the vector, such as ``adam_state``.
    lr : float or callable
        Learning rate, or a schedule: the rate as a function of the number of steps taken before, starting at 0.
    epochs : int
        How often to go through the data.
    batch_size : int
        Examples in a batch.
    rng : numpy.random.Generator or None
        Orders the examples anew in every epoch; None keeps their order.
    drop_last : bool
        Leave out the last batch of each epoch where it is smaller than the others.
    metrics : mapping from str to callable, optional
        Functions of the parameters, evaluated after every epoch: ``{"validation": lambda params: ...}``.
    after_step, after_epoch : callable, optional
        Called with a `Progress`; training ends when it returns True.
    stop : callable, optional
        A rule such as `patience`: takes the list of the monitored values and returns whether to stop. With a rule, the
        parameters with the smallest value (largest, if ``stop.mode`` is "max") come back, however the run ends.
    monitor : str
        Which value the rule sees: ``"loss"``, the mean over the epoch, or the name of a metric.
    progress : bool, optional
        Whether to report on two lines of the terminal; by default if there is one and the run takes long.

    Returns
    -------
    Fit
        ``params`` in the structure they came in, as views of one vector; ``history``, ``state`` and how it ``ended``.
        Ctrl-C ends the run, not the program: what was reached comes back.

    Raises
    ------
    TypeError
        If a number has the wrong type.
    ValueError
        If a number is outside its range, the arrays of `data` differ in length, or nothing is called `monitor`.

    See Also
    --------
    minibatches : The batches.
    dlref.autodiff.value_and_gradient : The gradient.

    Notes
    -----
    The loss of an epoch is the mean over its examples, each counted with the parameters of its own step; a metric is
    taken of the parameters at the end.

    References
    ----------
    Bottou (2012), "Stochastic gradient descent tricks".

    Examples
    --------
    A line through points that lie on one.

    >>> from dlref.optimizers import adam, adam_state
    >>> x = np.linspace(-1, 1, 20)
    >>> def loss(params, x, y):
    ...     slope, offset = params
    ...     return np.mean((slope * x + offset - y) ** 2)
    >>> run = fit(loss, (0.0, 0.0), (x, 3 * x - 1), adam, adam_state, lr=0.1, epochs=100, batch_size=5,
    ...           rng=np.random.default_rng(0))
    >>> np.round(run.params, 3), len(run.history.loss)
    (array([ 3., -1.]), 400)
    """
    epochs = integer("epochs", epochs, 0)
    arrays = tuple(np.asarray(a) for a in (data if isinstance(data, tuple) else (data,)))
    n = _length(arrays)
    steps = steps_per_epoch(n, batch_size, drop_last)
    metrics = dict(metrics or {})
    if monitor not in ("loss", *metrics):
        raise ValueError(f"monitor: expected one of {', '.join(map(repr, ('loss', *metrics)))}, got {monitor!r}")
    rate = lr if callable(lr) else None
    if rate is None:
        lr = number("lr", lr, 0)

    vector, params = flat_parameters(params)
    g, gradients = flat_parameters(params)
    state = state(vector) if callable(state) else copy.deepcopy(state)
    best, lowest, sign = None, math.inf, -1 if getattr(stop, "mode", "min") == "max" else 1
    history = History([], [], {name: [] for name in metrics})
    report = _Report(epochs, steps, progress)
    ended, step = "complete", 0
    try:
        for epoch in range(epochs):
            total, seen = 0.0, 0
            for batch in minibatches(n, batch_size, rng, drop_last):
                value, _ = value_and_gradient(loss, params, *(a[batch] for a in arrays), out=gradients)
                new, state = optimizer(vector, g, state, rate(step) if rate else lr, out=(vector, state))
                if new is not vector:
                    vector[...] = new
                value = float(value[0] if isinstance(value, tuple) else value)
                history.loss.append(value)
                total, seen, step = total + value * len(batch), seen + len(batch), step + 1
                report.step(epoch, step, history)
                if after_step and after_step(Progress(epoch, step, params, state, history)) is True:
                    ended = "stopped"
                    break
            if ended == "stopped":
                break
            history.epoch_loss.append(total / seen if seen else math.nan)
            for name, metric in metrics.items():
                history.metrics[name].append(float(metric(params)))
            if stop:
                values = history.epoch_loss if monitor == "loss" else history.metrics[monitor]
                if sign * values[-1] < lowest:
                    best, lowest = vector.copy(), sign * values[-1]
            asked = after_epoch and after_epoch(Progress(epoch + 1, step, params, state, history)) is True
            if asked or (stop and stop(values)):
                ended = "stopped"
                break
    except KeyboardInterrupt:
        ended = "interrupted"
    finally:
        report.close()
    if ended == "interrupted":
        print(f"fit: interrupted after {step} steps; the history is kept", file=sys.stderr)
    if best is not None:
        vector[...] = best
    return Fit(params, history, state, ended)


def _length(arrays):
    for number_, array in enumerate(arrays):
        if array.ndim == 0:
            raise ValueError(f"data: expected examples along the first axis, got a single number at {number_}")
        if len(array) != len(arrays[0]):
            raise ValueError(f"data: expected {len(arrays[0])} examples in every array, got {len(array)} at {number_}")
    return len(arrays[0]) if arrays else 0


class _Report:
    """Two lines in a terminal, the second one rewritten in place."""

    def __init__(self, epochs, steps, wanted):
        self.stream = sys.stderr
        self.wanted = self.stream.isatty() if wanted is None else wanted
        self.epochs, self.steps = epochs, steps
        self.start = self.last = time.monotonic()
        self.width = 0
        self.opened = False

    def step(self, epoch, step, history):
        now = time.monotonic()
        if not self.wanted or now - self.last < REPORT_EVERY or now - self.start < REPORT_AFTER:
            return
        self.last = now
        if not self.opened:
            self.opened = True
            what = f"{self.epochs} epochs of {self.steps} steps"
            print(f"{what}; Ctrl-C ends the training and keeps its history", file=self.stream)
        left = (now - self.start) * (self.epochs * self.steps - step) / step
        shown = {"loss": history.loss[-1], **{name: values[-1] for name, values in history.metrics.items() if values}}
        words = "  ".join(f"{name} {value:.4g}" for name, value in shown.items())
        line = f"epoch {epoch + 1} of {self.epochs}  {words}  about {left:.0f} s left"
        print("\r" + line.ljust(self.width), end="", file=self.stream, flush=True)
        self.width = len(line)

    def close(self):
        if self.opened:
            print(file=self.stream)
