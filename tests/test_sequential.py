"""Keras fits the digits of the page's first figure: its history is that of `Sequential`, and goes to the site."""

import itertools
from importlib.metadata import version

import numpy as np
from sklearn.datasets import load_digits

from dlref.training import SGD, Adam, Callback, Conv2D, Dense, EarlyStopping, Flatten, Input, MaxPooling2D, Sequential
from tests.cases.training.sequential import keras_in, pair_of
from tests.cases.training.stopping import blank_model, keras_run, stopped


def test_history_of_digits_is_that_of_keras(publish):
    digits = load_digits()
    x, y = digits.images[..., None] / 16, digits.target
    ours = [Conv2D(16, 3, activation="relu"), MaxPooling2D(2), Flatten(), Dense(32, activation="relu")]
    with keras_in("float32") as keras:
        made = keras.layers
        theirs = [made.Conv2D(16, 3, activation="relu"), made.MaxPooling2D(2), made.Flatten()]
        theirs += [made.Dense(32, activation="relu"), made.Dense(10, activation="softmax")]
        model, peer = pair_of(keras, [Input((8, 8, 1)), *ours, Dense(10, activation="softmax")], theirs, "float32")
        options = {"epochs": 6, "validation_split": 0.2, "shuffle": False}
        loss = "sparse_categorical_crossentropy"
        model.compile(Adam(learning_rate=0.003), loss, metrics=["accuracy"])
        peer.compile(keras.optimizers.Adam(learning_rate=0.003), loss, metrics=["accuracy"])
        history = model.fit(x, y, **options).history
        want = peer.fit(x, y, verbose=0, **options).history
    assert list(history) == list(want)
    for name, values in want.items():
        # Steps in float32 drift apart; one validation example more or less is 0.0028.
        np.testing.assert_allclose(history[name], values, rtol=0, atol=3e-3)
    rounded = {name: [round(float(value), 4) for value in values] for name, values in want.items()}
    who = f"Keras {version('keras')} on PyTorch {version('torch').partition('+')[0]}"
    publish("histories", {"id": "digits", "who": who, "history": rounded})


def test_one_model_prints_what_another_one_is():
    lines = []
    model = Sequential([Input((3,)), Dense(4), Dense(2)], np.random.default_rng(0))
    model.summary(print_fn=lines.append)
    assert len(lines) == 1 and "dense_1 (Dense)" in lines[0] and "Total params: 26 (104.00 B)" in lines[0]


def test_targets_as_keras_takes_them():
    """Labels of shape (N, 1), labels as floats, integers as targets of a regression: what Keras takes, this takes."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(6, 3)), np.array([0, 1, 1, 0, 1, 0])
    model = Sequential([Input((3,)), Dense(2, "softmax")], rng)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    want = model.evaluate(x, labels)
    for given in (labels[:, None], labels.astype(np.float32), labels.tolist()):
        assert model.evaluate(x, given) == want
    line = Sequential([Input((3,)), Dense(1)], rng)
    line.compile("sgd", "mse", metrics=["mae"])
    assert line.evaluate(x, -labels) == line.evaluate(x, -labels[:, None].astype(float))


class Diary(Callback):
    """Write down what is called, and with which values."""

    def __init__(self):
        self.calls, self.means = [], []

    def on_train_begin(self, logs=None):
        self.calls.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(f"epoch {epoch}")

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(batch)
        self.means.append(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(sorted(logs))

    def on_train_end(self, logs=None):
        self.calls.append("end")


def test_shuffling_keeps_pairs_together_and_callbacks_see_everything():
    x, targets, diary = np.arange(20.0)[:, None], [], Diary()

    def loss(y_pred, y_true):
        targets.extend(np.ravel(y_true).tolist())
        return np.mean((y_pred - y_true) ** 2, axis=-1)

    model = Sequential([Input((1,)), Dense(1, use_bias=False)], np.random.default_rng(0))
    model.set_weights([np.ones((1, 1))])  # a prediction is its example: any other target would be seen in the loss
    model.compile(SGD(0.0), loss)
    assert model.fit(x, np.arange(20), batch_size=8, epochs=2).history["loss"] == [0.0, 0.0]
    one, other = targets[:20], targets[20:]
    assert sorted(one) == sorted(other) == list(range(20)) and one != other and list(range(20)) not in (one, other)
    targets.clear()
    run = model.fit(x, x + 3, batch_size=8, epochs=2, shuffle=False, callbacks=diary, validation_data=(x, x + 1))
    assert targets[:20] == list(range(3, 23)) and run.epoch == [0, 1]
    assert run.history == {"loss": [9.0, 9.0], "val_loss": [1.0, 1.0]}
    assert diary.calls[:6] == ["begin", "epoch 0", 0, 1, 2, ["loss", "val_loss"]]
    assert diary.calls[6:] == ["epoch 1", 0, 1, 2, ["loss", "val_loss"], "end"] and diary.means == [9.0] * 6


def test_early_stopping_takes_keras_options():
    options = itertools.product((0, 1, 2), (0.0, 1.0), ("min", "max"), (False, True))
    for (wait, min_delta, mode, restore), values in itertools.product(options, itertools.product((1, 2, 3), repeat=4)):
        model, rule = blank_model(), EarlyStopping("v", min_delta, wait, mode, restore)
        rule.model = model
        want = keras_run(values, wait, min_delta, mode, restore)
        for _ in range(2):  # a second run begins anew
            assert stopped(rule, model, values) == want, (values, rule.__dict__)
