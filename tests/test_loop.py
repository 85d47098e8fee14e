"""What the training loop promises: every example once, a history that survives, the best parameters back."""

import functools
import io
import itertools

import numpy as np
import pytest

from dlref.optimizers import adam, adam_state
from dlref.training import Progress, fit, minibatches, patience, shuffled, steps_per_epoch
from dlref.training import loop as module

X = np.linspace(-1, 1, 22)
Y = 2 * X + 0.5


def line(params, x, y):
    slope, offset = params
    return np.mean((slope * x + offset - y) ** 2)


def train(loss=line, start=(0.0, 0.0), data=(X, Y), state=adam_state, **options):
    settings = {"lr": 0.1, "epochs": 4, "batch_size": 5, "rng": np.random.default_rng(0)} | options
    return fit(loss, start, data, adam, state, **settings)


def test_every_example_exactly_once_an_epoch():
    seen = []

    def loss(p, x):
        seen.append(np.array(x))
        return p * 0.0 + np.mean(x)

    fit(loss, 1.0, np.arange(22.0), adam, adam_state, lr=0.1, epochs=3, batch_size=5, rng=np.random.default_rng(0))
    epochs = [np.concatenate(seen[5 * k : 5 * k + 5]) for k in range(3)]
    assert all(sorted(epoch) == list(range(22)) for epoch in epochs)
    assert all(a.tolist() != b.tolist() for a, b in itertools.pairwise(epochs)), "a new order every epoch"


def test_batches_keep_the_order_without_a_generator():
    assert [b.tolist() for b in minibatches(5, 2, None)] == [[0, 1], [2, 3], [4]]
    assert [b.tolist() for b in minibatches(5, 2, None, drop_last=True)] == [[0, 1], [2, 3]]


def test_the_same_seed_gives_the_same_bits():
    one, other = train(), train()
    assert one.history == other.history and one.params == other.params
    assert train(rng=np.random.default_rng(1)).history.loss != one.history.loss


def test_history_counts_steps_and_epochs():
    run = train(metrics={"slope": lambda p: p[0], "offset": lambda p: p[1]}, drop_last=True)
    assert len(run.history.loss) == 4 * steps_per_epoch(22, 5, drop_last=True) == 16
    assert len(run.history.epoch_loss) == len(run.history.metrics["slope"]) == 4
    assert run.history.metrics["offset"][-1] == run.params[1]
    assert run.ended == "complete" and run.state.t == 16
    assert run.history.epoch_loss[0] == pytest.approx(np.mean(run.history.loss[:4]))


def test_the_mean_of_an_epoch_counts_examples():
    run = train(lr=0.0, epochs=1)
    assert run.history.epoch_loss[0] == pytest.approx(float(line((0.0, 0.0), X, Y)), rel=1e-14)


def test_arguments_stay_as_they_are():
    start, state = (np.zeros(()), np.zeros(())), adam_state(np.zeros(2))
    x, y = X.copy(), Y.copy()
    train(start=start, data=(x, y), state=state)
    assert start == (0, 0) and not state.m.any() and state.t == 0 and (x == X).all() and (y == Y).all()


def test_a_run_can_be_continued():
    rng = np.random.default_rng(0)
    whole = train(rng=np.random.default_rng(0), epochs=6)
    first = train(rng=rng, epochs=2)
    second = train(rng=rng, epochs=4, start=first.params, state=first.state)
    assert first.history.loss + second.history.loss == whole.history.loss and second.params == whole.params


def test_a_schedule_counts_steps():
    asked = []

    def schedule(step):
        asked.append(step)
        return 0.1 * 0.5 ** (step // 5)

    run = train(lr=schedule)
    assert asked == list(range(20)) and run.history.loss != train().history.loss


def test_any_step_will_do():
    def descent(p, g, state, lr, out):
        return p - lr * g, state

    run = fit(line, (0.0, 0.0), (X, Y), descent, None, lr=0.5, epochs=40, batch_size=22, rng=None)
    np.testing.assert_allclose(run.params, (2, 0.5), atol=1e-4)
    partial = functools.partial(adam, beta1=0.5)
    run = fit(line, (0.0, 0.0), (X, Y), partial, adam_state, lr=0.1, epochs=40, batch_size=5, rng=None)
    np.testing.assert_allclose(run.params, (2, 0.5), atol=1e-3)


def test_ctrl_c_keeps_the_history(capsys):
    def interrupted(params, x, y):
        if len(steps) == 7:
            raise KeyboardInterrupt
        steps.append(1)
        return line(params, x, y)

    steps = []
    run = train(interrupted)
    assert run.ended == "interrupted" and len(run.history.loss) == 7 and len(run.history.epoch_loss) == 1
    assert run.history.loss == train().history.loss[:7]
    assert run.params == train(after_step=lambda p: p.step == 7).params
    assert capsys.readouterr().err == "fit: interrupted after 7 steps; the history is kept\n"


@pytest.mark.parametrize("interrupt", [False, True])
def test_stopping_restores_the_best(interrupt):
    errors = iter([3.0, 1.0, 2.0, 1.5, 1.2, 0.1])
    seen = []

    def error(params):
        seen.append(params[0].copy())
        if interrupt and len(seen) == 4:
            raise KeyboardInterrupt
        return next(errors)

    run = train(metrics={"error": error}, monitor="error", stop=patience(3), epochs=20)
    assert run.ended == ("interrupted" if interrupt else "stopped")
    assert run.history.metrics["error"] == [3.0, 1.0, 2.0, 1.5, 1.2][: 3 if interrupt else 5]
    assert run.params[0] == seen[1] != seen[-1]


def test_without_a_rule_the_last_parameters_come_back():
    run = train(metrics={"error": lambda p: 1.0 + p[0]}, monitor="error")
    assert run.params == train().params


def test_callbacks_see_the_run_and_may_end_it():
    steps, epochs = [], []
    run = train(after_step=steps.append, after_epoch=lambda p: epochs.append(p) or p.epoch == 2)
    assert [p.step for p in steps] == list(range(1, 11)) and [p.epoch for p in epochs] == [1, 2]
    assert isinstance(steps[0], Progress) and steps[0].epoch == 0 and run.ended == "stopped"
    assert steps[-1].history is run.history and len(run.history.epoch_loss) == 2
    run = train(after_step=lambda p: p.step == 3)
    assert len(run.history.loss) == 3 and run.history.epoch_loss == [] and run.ended == "stopped"


def test_a_loss_may_return_more():
    run = train(lambda p, x, y: (line(p, x, y), "extra"))
    assert run.history.loss == train().history.loss


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_long_run_reports_on_two_lines(monkeypatch):
    clock = iter(np.arange(0.0, 1e6, 0.3))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(module.sys, "stderr", Terminal())
    train(metrics={"slope": lambda p: p[0]})
    written = module.sys.stderr.getvalue()
    head, body, rest = written.split("\n")
    assert head == "4 epochs of 5 steps; Ctrl-C ends the training and keeps its history" and rest == ""
    first, *_, last = lines = body.split("\r")[1:]
    assert len(lines) == 7, "from two seconds on, every second step: the clock moves by 0.3 seconds a step"
    assert first.startswith("epoch 2 of 4  loss ") and first.endswith("  about 4 s left") and "slope" in first
    assert last.startswith("epoch 4 of 4  loss 0.")
    monkeypatch.setattr(module.sys, "stderr", Terminal())
    train(progress=False)
    assert module.sys.stderr.getvalue() == ""


def test_nothing_is_written_where_nobody_looks(capsys):
    train()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "exception", "words"),
    [
        ({"data": (X, Y[:-1])}, ValueError, "data: expected 22 examples in every array, got 21 at 1"),
        ({"data": 3.0}, ValueError, "data: expected examples along the first axis"),
        ({"monitor": "error"}, ValueError, "monitor: expected one of 'loss', got 'error'"),
        ({"epochs": -1}, ValueError, "epochs: expected an integer at least 0, got -1"),
        ({"epochs": 1.5}, TypeError, "epochs: expected an integer, got float"),
        ({"batch_size": 0}, ValueError, "batch_size: expected an integer at least 1, got 0"),
        ({"lr": -1}, ValueError, "lr: expected a number in"),
        ({"lr": "small"}, TypeError, "lr: expected a number, got str"),
    ],
)
def test_refuses_by_name(options, exception, words):
    with pytest.raises(exception, match=words):
        train(**options)


def test_shuffled_and_patience_refuse_by_name():
    with pytest.raises(ValueError, match="n: expected an integer at least 0"):
        shuffled(-1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="epochs: expected an integer at least 1"):
        patience(0)
    assert shuffled(0, np.random.default_rng(0)).shape == (0,) and train(epochs=0).history.loss == []
    assert train(lambda p: np.sum(p[0]), data=()).history.loss == [], "no data, no steps"


def test_nan_is_no_improvement_even_at_first():
    assert patience(1)([np.nan]) and not patience(2)([np.nan]) and patience(2)([np.nan, np.nan])
