"""The thread that sends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from mcnb.kernel.sending import Sending

FOR_EVER = 10_000
PATIENCE = 60


class Sent:
    """A task that counts."""

    def __init__(self) -> None:
        self.count = 0
        self.now = threading.Semaphore(0)

    def __call__(self) -> None:
        self.count += 1
        self.now.release()

    def again(self) -> bool:
        return self.now.acquire(timeout=PATIENCE)


@pytest.fixture
def sending() -> Iterator[Sending]:
    """Its second round would come after hours."""
    made = Sending(FOR_EVER)
    yield made
    made.close()


def test_the_first_round_is_at_once_and_the_next_one_waits(sending: Sending) -> None:
    first, second = Sent(), Sent()
    sending.add(first)
    assert first.again()
    sending.add(second)
    sending.add(second)
    assert not second.now.acquire(timeout=0.05)
    sending.close()
    assert second.count == 1, "what is due is sent in the end, once"


def test_what_is_urgent_does_not_wait_and_takes_along_what_does(sending: Sending) -> None:
    first, waiting, urgent = Sent(), Sent(), Sent()
    sending.add(first)
    assert first.again()
    sending.add(waiting)
    sending.add(urgent, urgent=True)
    assert urgent.again()
    assert waiting.count == 1


def test_one_that_cannot_be_sent_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    sending = Sending(0)
    good = Sent()

    def bad() -> None:
        raise OSError("the socket is gone")

    with caplog.at_level(logging.ERROR):
        sending.add(bad)
        sending.add(good)
        assert good.again()
        sending.add(good)
        assert good.again()
    sending.close()
    assert "could not be sent" in caplog.text


def test_nothing_to_send_makes_no_thread() -> None:
    before = threading.active_count()
    sending = Sending()
    assert threading.active_count() == before
    sending.close()
