"""A small Sequential model with Keras's names: layers in a row, and compile, fit, evaluate, predict and callbacks."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from dlref._arrays import index, integer, number, option, pair, public, real, reals, shaped
from dlref._compile import kernel, prange
from dlref._math import log, maximum, minimum
from dlref.activations import relu, sigmoid, softmax, tanh
from dlref.autodiff import flat_parameters, value_and_gradient
from dlref.layers import conv2d, dense, glorot, max_pool2d
from dlref.optimizers import adam_eps_hat, adam_state, momentum_velocity, velocity_state
from dlref.training.loop import minibatches

__all__ = [
    "SGD",
    "Activation",
    "Adam",
    "Callback",
    "Conv2D",
    "Dense",
    "EarlyStopping",
    "FitHistory",
    "Flatten",
    "Input",
    "MaxPooling2D",
    "Sequential",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_categorical_crossentropy_backward",
]

EPSILON = 1e-7  # keras.config.epsilon()
ACTIVATIONS = {"linear": lambda x: x, "relu": relu, "sigmoid": sigmoid, "softmax": softmax, "tanh": tanh}


@public
def sparse_categorical_crossentropy(y_pred: ArrayLike, /, y_true: ArrayLike, epsilon: float = EPSILON) -> NDArray:
    r"""Return the cross-entropy of labels from clipped probabilities: :math:`-\log \operatorname{clip}(q_y)`.

    Keras divides each row by its sum, :math:`q = p / \sum_j p_j`, and clips to the interval from :math:`\epsilon` to
    :math:`1 - \epsilon` before the logarithm. The loss is therefore at most :math:`-\log \epsilon`, 16.1 by default.

    Parameters
    ----------
    y_pred : array_like of float32 or float64, shape (N, C)
        Probabilities, a row for each example.
    y_true : array_like of int, shape (N,)
        The true classes.
    epsilon : float
        Where to clip, in (0, 0.5).

    Returns
    -------
    ndarray, shape (N,)
        One loss for each example.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If shapes do not fit, a label is not a class, or `epsilon` is outside its range.

    See Also
    --------
    dlref.losses.cross_entropy : From logits, without clipping.

    References
    ----------
    Chollet and others (2015), "Keras".

    Examples
    --------
    Two mistakes, the second of them a thousand times surer: the clipped loss does not see the difference.

    >>> sparse_categorical_crossentropy([[1 - 1e-8, 1e-8], [1 - 1e-11, 1e-11]], [1, 1]).round(4)
    array([16.1181, 16.1181])
    """
    p, labels, epsilon = _checked(y_pred, y_true, epsilon)
    out = np.empty(len(p), p.dtype)
    _crossentropy(p, labels, p.dtype.type(epsilon), p.dtype.type(1 - epsilon), out)
    return out


@public
def sparse_categorical_crossentropy_backward(
    dy: ArrayLike, y_pred: ArrayLike, /, y_true: ArrayLike, epsilon: float = EPSILON
) -> NDArray:
    r"""Return the gradient of the clipped loss: :math:`\bar p_j = \bar y\, (q_y - [j = y]) / (q_y \sum_k p_k)`.

    Parameters
    ----------
    dy : array_like, shape (N,)
        Gradient of the objective with respect to the losses.
    y_pred, y_true, epsilon
        As for `sparse_categorical_crossentropy`.

    Returns
    -------
    ndarray, shape (N, C)
        Gradient with respect to `y_pred`; zero in the rows that were clipped.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If shapes do not fit, or as for `sparse_categorical_crossentropy`.

    See Also
    --------
    sparse_categorical_crossentropy : The function.

    References
    ----------
    Chollet and others (2015), "Keras".

    Examples
    --------
    The worse the mistake, the larger the gradient, until the clip: then there is none.

    >>> sparse_categorical_crossentropy_backward([1.0, 1.0], [[0.75, 0.25], [1.0, 0.0]], [1, 1])
    array([[ 1., -3.],
           [ 0.,  0.]])
    """
    p, labels, epsilon = _checked(y_pred, y_true, epsilon)
    dy, p = reals("dy", dy, "y_pred", p)
    shaped("dy", dy, (len(p),))
    out = np.empty_like(p)
    _crossentropy_backward(dy, p, labels, p.dtype.type(epsilon), p.dtype.type(1 - epsilon), out)
    return out


@kernel(sums=True)
def _crossentropy(p, labels, low, high, out):
    for r in prange(p.shape[0]):
        row, total = p[r], p.dtype.type(0)
        for j in range(row.size):
            total += row[j]
        out[r] = -log(minimum(maximum(row[labels[r]] / total, low), high))


@kernel(sums=True)
def _crossentropy_backward(dy, p, labels, low, high, out):
    zero, one = p.dtype.type(0), p.dtype.type(1)
    for r in prange(p.shape[0]):
        row, y, total = p[r], labels[r], zero
        for j in range(row.size):
            total += row[j]
        q = row[y] / total
        inside = low <= q <= high
        scale = dy[r] / total
        for j in range(row.size):
            out[r, j] = scale if inside else zero
        out[r, y] = -scale * (one - q) / q if inside else zero


def _checked(y_pred, y_true, epsilon):
    p = real("y_pred", y_pred, 2)
    labels = index("y_true", y_true, p.shape[1], (len(p),))
    return p, labels, number("epsilon", epsilon, 0, 0.5, open_low=True, open_high=True)


def sparse_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray:
    r"""Return 1 for each example whose largest score is that of its class, else 0.

    Parameters
    ----------
    y_true : array_like of int, shape (N,)
        The true classes.
    y_pred : array_like of float32 or float64, shape (N, C)
        Scores or probabilities.

    Returns
    -------
    ndarray, shape (N,)
        Ones and zeros in the dtype of `y_pred`; their mean is the accuracy. Of equal scores the first counts.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If shapes do not fit or a label is not a class.

    See Also
    --------
    Sequential : Averages it over an epoch as ``metrics=["accuracy"]``.

    References
    ----------
    Chollet and others (2015), "Keras".

    Examples
    --------
    >>> sparse_categorical_accuracy([1, 1], [[0.2, 0.8], [0.5, 0.5]])
    array([1., 0.])
    """
    scores = real("y_pred", y_pred, 2)
    labels = index("y_true", y_true, scores.shape[1], (len(scores),))
    out = np.empty(len(scores), scores.dtype)
    _hits(scores, labels, out)
    return out


@kernel
def _hits(scores, labels, out):
    for r in prange(scores.shape[0]):
        row, best = scores[r], 0
        for j in range(row.size):
            if row[j] > row[best]:
                best = j
        out[r] = best == labels[r]


# --- layers: what they are called with, their weights, and the call ---------------------------------------------------


class Input(NamedTuple):
    """The shape of one example; the first entry of a `Sequential`."""

    shape: tuple[int, ...]


class Dense(NamedTuple):
    """Densely connected units; the kernel has shape (inputs, units), as in Keras."""

    units: int
    activation: str | None = None
    use_bias: bool = True

    def build(self, shape, rng, dtype):
        """Return the initial weights, Glorot uniform and zero, and the shape of the output."""
        units = integer("units", self.units, 1)
        kernel_ = np.ascontiguousarray(glorot((units, shape[-1]), rng, dtype=dtype).T)
        return [kernel_, np.zeros(units, dtype)][: 1 + self.use_bias], (*shape[:-1], units)

    def call(self, weights, x):
        """Return the output for a batch."""
        return _activated(self.activation, dense(x, weights[0].T, weights[1] if self.use_bias else None))


class Conv2D(NamedTuple):
    """Convolution without padding, channels last; the kernel has shape (height, width, inputs, filters)."""

    filters: int
    kernel_size: int | tuple[int, int]
    strides: int | tuple[int, int] = 1
    activation: str | None = None
    use_bias: bool = True

    def build(self, shape, rng, dtype):
        """Return the initial weights, Glorot uniform and zero, and the shape of the output."""
        size, strides = pair("kernel_size", self.kernel_size, 1), pair("strides", self.strides, 1)
        filters, (*image, channels) = integer("filters", self.filters, 1), _image("Conv2D", shape)
        w = glorot((filters, channels, *size), rng, dtype=dtype).transpose(2, 3, 1, 0)
        out = [(n - k) // s + 1 for n, k, s in zip(image, size, strides, strict=True)]
        return [np.ascontiguousarray(w), np.zeros(filters, dtype)][: 1 + self.use_bias], (*out, filters)

    def call(self, weights, x):
        """Return the output for a batch."""
        b = weights[1] if self.use_bias else None
        y = conv2d(x.transpose(0, 3, 1, 2), weights[0].transpose(3, 2, 0, 1), b, stride=self.strides)
        return _activated(self.activation, y.transpose(0, 2, 3, 1))


class MaxPooling2D(NamedTuple):
    """The largest value of each window, without overlap or padding, channels last."""

    pool_size: int | tuple[int, int] = 2

    def build(self, shape, rng, dtype):
        """Return no weights and the shape of the output."""
        size, (*image, channels) = pair("pool_size", self.pool_size, 1), _image("MaxPooling2D", shape)
        return [], (*(n // k for n, k in zip(image, size, strict=True)), channels)

    def call(self, weights, x):
        """Return the output for a batch."""
        return max_pool2d(x.transpose(0, 3, 1, 2), self.pool_size).transpose(0, 2, 3, 1)


class Flatten(NamedTuple):
    """Each example as one vector."""

    def build(self, shape, rng, dtype):
        """Return no weights and the shape of the output."""
        return [], (math.prod(shape),)

    def call(self, weights, x):
        """Return the output for a batch."""
        return x.reshape(len(x), math.prod(x.shape[1:]))


class Activation(NamedTuple):
    """An activation function as a layer: "linear", "relu", "sigmoid", "softmax" or "tanh"."""

    activation: str

    def build(self, shape, rng, dtype):
        """Return no weights and the shape of the output."""
        return [], shape

    def call(self, weights, x):
        """Return the output for a batch."""
        return _activated(self.activation, x)


def _activated(name, x):
    return ACTIVATIONS[name or "linear"](x)


def _image(name, shape):
    if len(shape) != 3:
        raise ValueError(f"{name}: expected an input of height, width and channels, got shape {shape}")
    return shape


# --- optimizers with Keras's names and defaults -----------------------------------------------------------------------


class Adam(NamedTuple):
    """Adam as Keras computes it: epsilon joins the root before its bias is corrected."""

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = EPSILON

    def start(self, vector):
        """Return the state before the first step."""
        return adam_state(vector)

    def step(self, vector, g, state):
        """Change the vector in place and return the new state."""
        rates = self.learning_rate, self.beta_1, self.beta_2, self.epsilon
        return adam_eps_hat(vector, g, state, *rates, out=(vector, state)).state


class SGD(NamedTuple):
    """Gradient descent; with momentum the velocity contains the learning rate."""

    learning_rate: float = 0.01
    momentum: float = 0.0

    def start(self, vector):
        """Return the state before the first step."""
        return velocity_state(vector)

    def step(self, vector, g, state):
        """Change the vector in place and return the new state."""
        return momentum_velocity(vector, g, state, self.learning_rate, self.momentum, out=(vector, state)).state


# --- callbacks --------------------------------------------------------------------------------------------------------


class Callback:
    """What `Sequential.fit` calls while it trains; ``self.model`` is the model. Override what is wanted."""

    model: Any = None

    def on_train_begin(self, logs=None):
        """Before the first epoch."""

    def on_train_end(self, logs=None):
        """After the last epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch, logs=None):
        """After an epoch; `logs` has what the history keeps."""

    def on_train_batch_end(self, batch, logs=None):
        """After a step; `logs` has the means over the epoch so far."""


class EarlyStopping(Callback):
    """End training when a value has not improved for `patience` epochs.

    Parameters
    ----------
    monitor : str
        A name in the history.
    min_delta : float
        What counts as improvement.
    patience : int
        How many epochs to wait.
    mode : {"min", "max"}
        Whether smaller or larger is better.
    restore_best_weights : bool
        Whether the weights of the best epoch come back. By default those of the last one stay.
    """

    def __init__(self, monitor="val_loss", min_delta=0.0, patience=0, mode="min", restore_best_weights=False):
        self.monitor, self.min_delta = monitor, number("min_delta", min_delta, 0)
        self.patience = integer("patience", patience, 0)
        self.sign = 1 if option("mode", mode, ("min", "max")) == "min" else -1
        self.restore_best_weights = restore_best_weights

    def on_train_begin(self, logs=None):
        """Forget an earlier run."""
        self.best, self.wait, self.stopped_epoch, self.best_weights = math.inf, 0, 0, None

    def on_epoch_end(self, epoch, logs=None):
        """Compare, and ask the model to stop."""
        if self.monitor not in logs:
            raise ValueError(f"monitor: expected one of {', '.join(map(repr, logs))}, got {self.monitor!r}")
        value, self.wait = self.sign * logs[self.monitor], self.wait + 1
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights = self.model.get_weights()
        if value < self.best - self.min_delta:
            self.best, self.wait = value, 0
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch, self.model.stop_training = epoch, True

    def on_train_end(self, logs=None):
        """Bring the best weights back."""
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)


# --- the model --------------------------------------------------------------------------------------------------------


class FitHistory(NamedTuple):
    """What `Sequential.fit` returns: the epochs, and under each name one value for each of them."""

    epoch: list[int]
    history: dict[str, list[float]]


def _squared(y_pred, y_true):
    return np.mean((y_pred - y_true) ** 2, axis=-1)


LOSSES: dict[str, Callable] = {
    "mean_squared_error": _squared,
    "mse": _squared,
    "sparse_categorical_crossentropy": sparse_categorical_crossentropy,
}
METRICS: dict[str, Callable] = {
    "accuracy": sparse_categorical_accuracy,
    "mae": lambda y_true, y_pred: np.mean(np.abs(y_pred - y_true), axis=-1),
    "mse": lambda y_true, y_pred: _squared(y_pred, y_true),
    "sparse_categorical_accuracy": sparse_categorical_accuracy,
}


class Sequential:
    """Layers in a row, with Keras's methods and argument names.

    Parameters
    ----------
    layers : sequence
        An `Input`, then layers.
    rng : numpy.random.Generator
        Draws the initial weights, and shuffles in `fit`.
    dtype : {float32, float64}
        Of the weights.

    Raises
    ------
    ValueError
        If the first entry is not an `Input`, an activation is unknown, or a layer does not fit its input.

    Examples
    --------
    >>> model = Sequential([Input((3,)), Dense(4, activation="relu"), Dense(2)], np.random.default_rng(0))
    >>> model.count_params(), model.predict(np.zeros((5, 3))).shape
    (26, (5, 2))
    """

    def __init__(self, layers: Sequence[Any], rng: np.random.Generator, dtype: DTypeLike = np.float32):
        if not layers or not isinstance(layers[0], Input):
            raise ValueError("layers: expected an Input first: the weights are made from its shape")
        self.input_shape, self.layers = tuple(layers[0].shape), tuple(layers[1:])
        self.rng, self.dtype = rng, np.dtype(dtype)
        self.stop_training, self.shapes, weights, shape = False, [], [], self.input_shape
        for layer in self.layers:
            option("activation", getattr(layer, "activation", None) or "linear", tuple(ACTIVATIONS))
            made, shape = layer.build(shape, rng, self.dtype)
            if min(shape) < 1:
                raise ValueError(f"layers: {type(layer).__name__} leaves nothing of its input, shape {shape}")
            weights.append(made)
            self.shapes.append(shape)
        self._vector, self._weights = flat_parameters(weights)
        self._compiled: Any = None

    def _forward(self, weights, x):
        for layer, own in zip(self.layers, weights, strict=True):
            x = layer.call(own, x)
        return x

    def count_params(self) -> int:
        """Return the number of weights."""
        return self._vector.size

    def get_weights(self) -> list[NDArray]:
        """Return copies of all weights in the order of the layers, kernels before biases."""
        return [w.copy() for own in self._weights for w in own]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Replace all weights by those of a list as from `get_weights`, here or in Keras."""
        own = [w for layer in self._weights for w in layer]
        if len(weights) != len(own):
            raise ValueError(f"weights: expected {len(own)} arrays, got {len(weights)}")
        new = [np.asarray(w) for w in weights]
        for k, (w, old) in enumerate(zip(new, own, strict=True)):
            shaped(f"weights[{k}]", w, old.shape)
        for w, old in zip(new, own, strict=True):
            old[...] = w

    def summary(self, print_fn: Callable[[str], Any] = print) -> None:
        """Print a line for each layer, with the shape of its output and the number of its weights."""
        print_fn(f"{'Layer':<16}{'Output shape':<22}{'Param #':>8}")
        for layer, shape, own in zip(self.layers, self.shapes, self._weights, strict=True):
            words = ", ".join(["None", *map(str, shape)])
            print_fn(f"{type(layer).__name__:<16}({words}){'':<{20 - len(words)}}{sum(w.size for w in own):>8,}")
        print_fn(f"{'Total params':<38}{self.count_params():>8,}")

    def compile(self, optimizer: Any, loss: str | Callable, metrics: Sequence[str] = ()) -> None:
        """Choose optimizer, loss and metrics; the optimizer's state starts anew.

        Parameters
        ----------
        optimizer : Adam, SGD, "adam" or "sgd"
            The names stand for the defaults.
        loss : str or callable
            A name, or a function called as ``loss(y_pred, y_true)`` that returns one loss for each example.
        metrics : sequence of str
            Names of metrics.
        """
        if isinstance(optimizer, str):
            optimizer = {"adam": Adam, "sgd": SGD}[option("optimizer", optimizer, ("adam", "sgd"))]()
        loss = loss if callable(loss) else LOSSES[option("loss", loss, tuple(LOSSES))]
        chosen = {name: METRICS[option("metrics", name, tuple(METRICS))] for name in metrics}
        self._compiled = optimizer, loss, chosen
        self._state = optimizer.start(self._vector)

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int = 32,
        epochs: int = 1,
        verbose: int = 0,
        callbacks: Sequence[Callback] = (),
        validation_split: float = 0.0,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
        shuffle: bool = True,
    ) -> FitHistory:
        """Train, and return the history: means over each epoch, and of the validation data after it.

        Parameters
        ----------
        x, y : array_like
            Examples and targets, along the first axis.
        batch_size : int
            Examples in a batch; the last batch may be smaller.
        epochs : int
            How often to go through the data.
        verbose : {0, 2}
            2 prints a line for each epoch.
        callbacks : sequence of Callback
            Called while training; one that sets ``model.stop_training`` ends it after the epoch.
        validation_split : float
            The share of examples at the end of the arrays, before any shuffling, that is kept for validation.
        validation_data : tuple of array_like, optional
            Examples and targets for validation, instead.
        shuffle : bool
            Whether each epoch has a new order.

        Returns
        -------
        FitHistory
            The loss of an epoch is the mean of its examples, each at the weights of its own step, and so are the
            metrics; names with ``val_`` are measured after the epoch.
        """
        optimizer, loss, metrics = self._ready("fit")
        x, y = self._data(x, y)
        share, epochs = number("validation_split", validation_split, 0, 1, open_high=True), integer("epochs", epochs, 0)
        if validation_data is None and share:
            split = math.floor(len(x) * (1 - share))
            x, y, validation_data = x[:split], y[:split], (x[split:], y[split:])
        g, gradients = flat_parameters(self._weights)
        result, self.stop_training = FitHistory([], {}), False
        for callback in callbacks:
            callback.model = self
            callback.on_train_begin()
        for epoch in range(epochs):
            for callback in callbacks:
                callback.on_epoch_begin(epoch)
            means = _Means()
            for k, batch in enumerate(minibatches(len(x), batch_size, self.rng if shuffle else None)):
                seen: list[NDArray] = []

                def _objective(weights, x, y, seen=seen):
                    y_pred = self._forward(weights, x)
                    seen.append(y_pred.value)
                    return np.mean(loss(y_pred, _like(y, y_pred)))

                value, _ = value_and_gradient(_objective, self._weights, x[batch], y[batch], out=gradients)
                self._state = optimizer.step(self._vector, g, self._state)
                means.add(len(batch), float(value), metrics, y[batch], seen[0])
                for callback in callbacks:
                    callback.on_train_batch_end(k, means.logs())
            logs = means.logs()
            if validation_data is not None:
                held, targets = validation_data
                measured = self.evaluate(held, targets, batch_size, return_dict=True)
                logs |= {f"val_{name}": value for name, value in measured.items()}
            result.epoch.append(epoch)
            for name, value in logs.items():
                result.history.setdefault(name, []).append(value)
            if verbose:
                print(
                    f"Epoch {epoch + 1}/{epochs}", *(f"{name}: {value:.4f}" for name, value in logs.items()), sep=" - "
                )
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        for callback in callbacks:
            callback.on_train_end()
        return result

    def evaluate(self, x: ArrayLike, y: ArrayLike, batch_size: int = 32, return_dict: bool = False) -> Any:
        """Return the loss and the metrics as a list, or by name, at the weights as they are."""
        _, loss, metrics = self._ready("evaluate")
        x, y = self._data(x, y)
        means = _Means()
        for batch in minibatches(len(x), batch_size, None):
            y_pred = self._forward(self._weights, x[batch])
            means.add(len(batch), float(np.mean(loss(y_pred, _like(y[batch], y_pred)))), metrics, y[batch], y_pred)
        logs = means.logs()
        return logs if return_dict else list(logs.values())

    def predict(self, x: ArrayLike, batch_size: int = 32) -> NDArray:
        """Return the outputs for all examples."""
        x = self._examples(x)
        parts = [self._forward(self._weights, x[batch]) for batch in minibatches(len(x), batch_size, None)]
        return np.concatenate(parts) if parts else np.empty((0, *self.shapes[-1]), self.dtype)

    def _ready(self, method):
        if self._compiled is None:
            raise ValueError(f"{method}: expected a compiled model; call compile(optimizer, loss) first")
        return self._compiled

    def _examples(self, x):
        x = np.asarray(x, self.dtype)
        shaped("x", x, (None, *self.input_shape))
        return x

    def _data(self, x, y):
        x, y = self._examples(x), np.asarray(y)
        if y.shape[:1] != x.shape[:1]:
            raise ValueError(f"y: expected {len(x)} targets along the first axis, got shape {y.shape}")
        return x, y if y.dtype.kind in "iu" else y.astype(self.dtype)


def _like(y, y_pred):
    """Give targets of shape (N,) the last axis of predictions of shape (N, 1)."""
    return y[:, None] if y.dtype.kind == "f" and y.ndim == 1 and y_pred.shape[1:] == (1,) else y


class _Means:
    """Means over the examples so far."""

    def __init__(self):
        self.count, self.sums = 0, {}

    def add(self, count, loss, metrics: Mapping[str, Callable], y_true, y_pred):
        values = {name: float(np.mean(metric(_like(y_true, y_pred), y_pred))) for name, metric in metrics.items()}
        for name, value in {"loss": loss, **values}.items():
            self.sums[name] = self.sums.get(name, 0.0) + count * value
        self.count += count

    def logs(self):
        return {name: total / self.count for name, total in self.sums.items()}
