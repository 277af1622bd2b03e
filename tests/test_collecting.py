"""Garbage collection is paused while imports run, and goes on as it was."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

from mcnb.collecting import paused


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    assert gc.isenabled()
    yield
    gc.unfreeze()
    gc.enable()


class Ring:
    def __init__(self) -> None:
        self.me = self


def test_nothing_is_collected_within_and_everything_after() -> None:
    with paused():
        assert not gc.isenabled()
        trace = weakref.ref(Ring())
        made = [[] for _ in range(5000)]
        assert trace() is not None
    assert gc.isenabled()
    assert len(made) == 5000
    gc.collect()
    assert trace() is None


def test_the_last_one_lets_it_go_on() -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with paused():
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=other)
    with paused():
        thread.start()
        assert inside.wait(30)
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


def test_an_error_within_changes_nothing() -> None:
    with pytest.raises(ZeroDivisionError), paused():
        1 / 0  # noqa: B018
    assert gc.isenabled()


def test_who_has_turned_it_off_keeps_it_off() -> None:
    gc.disable()
    with paused():
        pass
    assert not gc.isenabled()


def test_what_somebody_has_frozen_stays_frozen() -> None:
    gc.freeze()
    before = gc.get_freeze_count()
    with paused():
        pass
    assert gc.get_freeze_count() >= before - 50  # some of it may have been freed meanwhile
