"""Ctrl-C during fit: at the end of the current step, immediately between steps, never within a step."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule._util.mode import grad_mode
from test_fit import X, bits, net, steps_by_hand, train


def interrupting(at: int) -> Callable[[cr.Tensor, cr.Tensor], cr.Tensor]:
    calls = [0]

    def loss(prediction: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        calls[0] += 1
        if calls[0] == at + 1:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(100):  # Python runs the handler in here
                pass
        return cr.cross_entropy(prediction, target)

    return loss


@pytest.mark.parametrize("at", [1, 5, 7, 15])
def test_ctrl_c_acts_at_the_end_of_the_step(at: int) -> None:
    model = net()
    history = cr.History()
    with pytest.raises(KeyboardInterrupt):
        train(model, loss=interrupting(at), history=history, compile=False)
    assert bits(model) == steps_by_hand()[2][at]
    assert history.epochs == (at - 1) // 5  # a step that ends an epoch is interrupted before the epoch is recorded
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert np.isfinite(model.predict(X)).all()
    train(model)


@pytest.mark.alone
def test_ctrl_c_at_random_times_leaves_a_step_boundary() -> None:
    states = set(steps_by_hand(epochs=300)[2])
    delays = cr.random.Generator(seed=6).uniform((15,), low=0.001, high=0.03)
    interrupted = 0
    for delay in delays:
        model = net()
        sent = [0.0]

        def send(sent: list[float] = sent) -> None:
            sent[0] = time.perf_counter()
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(float(delay), send)
        try:
            timer.start()
            train(model, epochs=300)
            timer.join()
            time.sleep(0.05)
        except KeyboardInterrupt:
            assert time.perf_counter() - sent[0] < 0.2
            interrupted += 1
        finally:
            timer.cancel()
            timer.join()
        assert bits(model) in states
    assert interrupted >= 12


def test_ctrl_c_goes_to_the_handler_that_was_there() -> None:
    received = []
    before = signal.signal(signal.SIGINT, lambda number, frame: received.append(number))
    try:
        model = net()
        train(model, loss=interrupting(7), compile=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert received == [signal.SIGINT]
    assert bits(model) == steps_by_hand()[2][-1]


@pytest.mark.alone
def test_ctrl_c_acts_at_once_in_a_callback() -> None:
    def slow(history: cr.History) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    begun = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        train(net(), callbacks=[slow])
    assert time.perf_counter() - begun < 2


def test_fit_works_in_another_thread() -> None:
    model = net()
    thread = threading.Thread(target=train, args=(model,))
    thread.start()
    thread.join()
    assert bits(model) == steps_by_hand()[2][-1]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGALRM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"])
@pytest.mark.parametrize("at", [1, 7, 11])
def test_other_handlers_that_raise_act_between_steps(name: str, at: int) -> None:
    """For example the SystemExit with which a script answers a scheduler's preemption; training goes on after it."""
    number = getattr(signal, name)

    def leave(signum: int, frame: object) -> None:
        raise SystemExit(signum)

    def loss(prediction: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        calls.append(1)
        if len(calls) == at + 1:
            os.kill(os.getpid(), number)
            for _ in range(100):  # Python runs the handler in here
                pass
        return cr.cross_entropy(prediction, target)

    calls: list[int] = []
    model, history = net(), cr.History()
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    before = signal.signal(number, leave)
    try:
        with pytest.raises(SystemExit):
            train(model, loss=loss, history=history, optimizer=optimizer, compile=False)
        assert signal.getsignal(number) is leave
    finally:
        signal.signal(number, before)
    by_hand = steps_by_hand()[2]
    assert bits(model) == by_hand[at]
    train(model, history=history, optimizer=optimizer, epochs=3 - history.epochs)
    assert bits(model) == by_hand[-1]


def test_two_signals_in_one_step() -> None:
    received: list[int] = []
    numbers = (signal.SIGUSR1, signal.SIGUSR2)
    before = [signal.signal(number, lambda n, frame: received.append(n)) for number in numbers]

    def loss(prediction: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        if not received:
            for number in (*numbers, *numbers):
                os.kill(os.getpid(), number)
        return cr.cross_entropy(prediction, target)

    try:
        train(net(), loss=loss, compile=False)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    assert set(received) == set(numbers)


class TestModes:
    """A handler may raise while a context of a mode is entered or left: the modes are as before, anyway."""

    def test_where_no_grad_is_entered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        set_mode = type(grad_mode).set

        def interrupted(self: Any, enabled: bool, executor: Any) -> None:
            set_mode(self, enabled, executor)
            if not enabled:
                raise KeyboardInterrupt

        monkeypatch.setattr(type(grad_mode), "set", interrupted)
        with pytest.raises(KeyboardInterrupt), cr.no_grad():
            pass
        assert grad_mode.enabled
        assert (cr.tensor([1.0], requires_grad=True) * 2.0).requires_grad

    def test_where_no_grad_is_left_during_a_training(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(self: Any, *exception: object) -> None:
            raise KeyboardInterrupt

        model = cr.nn.Sequential(cr.nn.Linear(2, 1))
        before = grad_mode.state()

        def stopped(record: cr.History) -> None:
            with monkeypatch.context() as patch:
                patch.setattr(cr.no_grad, "__exit__", interrupted)
                with cr.no_grad():
                    pass

        X = np.ones((4, 2), np.float32)
        with pytest.raises(KeyboardInterrupt):
            cr.fit(model, X, X[:, :1], loss=cr.nn.MSELoss(), optimizer="sgd", seed=0, callbacks=stopped)
        assert grad_mode.state() == before
        assert (cr.tensor([1.0], requires_grad=True) * 2.0).requires_grad
