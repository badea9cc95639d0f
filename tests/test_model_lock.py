# -*- coding: utf-8 -*-
"""A model is used for one thing at a time, and nobody waits for ever."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from local_llm.errors import GenerationError, TrainingError
from local_llm.model_lock import ModelLock

Use = Callable[[ModelLock], "contextmanager[None]"]
USES = {
    "generating": lambda lock: lock.generating(10.0),
    "training": lambda lock: lock.training(10.0),
    "changing": lambda lock: lock.changing(10.0),
}


@contextmanager
def held_by_another_thread(
    lock: ModelLock,
    use: str,
) -> Iterator[threading.Event]:
    """The lock in use elsewhere, until the event is set."""
    began, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with USES[use](lock):
            began.set()
            leave.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert began.wait(10)
    try:
        yield leave
    finally:
        leave.set()
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("use", list(USES))
def test_a_lock_can_be_used_again_and_again(use: str) -> None:
    lock = ModelLock()
    for _ in range(3):
        with USES[use](lock):
            pass


@pytest.mark.parametrize("use", list(USES))
@pytest.mark.parametrize("then", list(USES))
def test_a_lock_is_free_after_an_exception(use: str, then: str) -> None:
    lock = ModelLock()
    with pytest.raises(KeyError), USES[use](lock):
        raise KeyError("stop")
    with USES[then](lock):
        pass


def test_a_reply_during_training_is_refused_at_once_with_the_progress() -> (
    None
):
    lock = ModelLock()
    with lock.training(1):
        lock.training_progress = "step 3/9"
        start = time.monotonic()
        with (
            pytest.raises(GenerationError) as caught,
            lock.generating(10),
        ):
            pytest.fail("two users at once")
        assert time.monotonic() - start < 0.1
    assert caught.value.message == "fine-tuning in progress (step 3/9)"
    assert caught.value.fix == "ask again when it has finished"


def test_a_reply_may_come_after_training() -> None:
    lock = ModelLock()
    with lock.training(1):
        pass
    lock.refuse_while_training()
    with lock.generating(0.1):
        pass


def test_training_waits_for_a_running_reply() -> None:
    lock = ModelLock()
    with held_by_another_thread(lock, "generating") as leave:
        threading.Timer(0.2, leave.set).start()
        start = time.monotonic()
        with lock.training(10):
            assert 0.1 < time.monotonic() - start < 5


def test_training_does_not_wait_longer_than_told() -> None:
    lock = ModelLock()
    with held_by_another_thread(lock, "generating"):
        with (
            pytest.raises(TrainingError, match="the model was busy for 0 s"),
            lock.training(0.05),
        ):
            pytest.fail("two users at once")
        assert lock.training_progress is None


def test_two_training_runs_do_not_meet() -> None:
    lock = ModelLock()
    with held_by_another_thread(lock, "training"):
        with (
            pytest.raises(TrainingError, match="and no fine-tuning runs"),
            lock.training(0.05),
        ):
            pytest.fail("two users at once")
        assert lock.training_progress == "starting"


def test_a_reply_does_not_wait_longer_than_told() -> None:
    lock = ModelLock()
    with held_by_another_thread(lock, "generating"):
        with (
            pytest.raises(GenerationError, match="the model was busy"),
            lock.generating(0.05),
        ):
            pytest.fail("two users at once")


def test_a_waiting_reply_is_refused_when_training_gets_the_model() -> None:
    lock = ModelLock()
    refused: list[str] = []

    def wait() -> None:
        try:
            with lock.generating(10):
                pytest.fail("two users at once")
        except GenerationError as error:
            refused.append(error.message)

    with lock.training(1):
        lock.training_progress = None  # as it is just before a run sets it
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.05)
        lock.training_progress = "step 1/2"
        thread.join(5)
    assert refused == ["fine-tuning in progress (step 1/2)"]


def test_replies_of_many_threads_never_overlap() -> None:
    lock = ModelLock()
    inside: list[int] = []
    most: list[int] = []

    def use(number: int) -> None:
        with lock.generating(10):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.002)
            inside.remove(number)

    threads = [threading.Thread(target=use, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == [1] * 12


def test_who_wants_to_change_the_model_gets_in_between_replies() -> None:
    lock, order = ModelLock(), []

    def reply_again_and_again() -> None:
        for number in range(40):
            with lock.generating(10):
                order.append(number)
                time.sleep(0.01)

    thread = threading.Thread(target=reply_again_and_again)
    thread.start()
    time.sleep(0.05)
    with lock.changing(10):
        order.append("change")
    thread.join(20)
    assert order.index("change") < 10
    assert not lock.is_wanted


def test_somebody_is_known_to_wait_for_the_model() -> None:
    lock = ModelLock()
    with held_by_another_thread(lock, "generating") as leave:
        assert not lock.is_wanted

        def let_in() -> None:
            if lock.is_wanted:
                leave.set()

        threading.Timer(0.1, let_in).start()
        with lock.changing(10):
            assert not lock.is_wanted


def test_a_reply_waits_for_a_short_change() -> None:
    lock = ModelLock()
    with held_by_another_thread(lock, "changing") as leave:
        lock.refuse_while_training()
        threading.Timer(0.2, leave.set).start()
        start = time.monotonic()
        with lock.generating(10):
            assert 0.1 < time.monotonic() - start < 5


def test_changes_are_counted_and_replies_are_none() -> None:
    lock = ModelLock()
    for use in (lock.training, lock.generating, lock.changing):
        with use(1.0):
            pass
    assert lock.changes == 2
