"""The thread that watches runs and hands on what is new."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from mcnb.notebook.form.follower import Follower
from tests.notebook.form.conftest import in_thread
from tests.notebook.form.page import PATIENCE


def at_once(_: float) -> None:
    """In place of the pause."""


class Watched:
    """Something to watch, and how often it was looked at."""

    def __init__(self, looks: int) -> None:
        self.left = looks
        self.listeners: list[Callable[[], None]] = []
        self.done = threading.Event()
        self.threads: set[threading.Thread] = set()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def look(self) -> bool:
        self.threads.add(threading.current_thread())
        self.left -= 1
        if self.left <= 0:
            self.done.set()
        for listener in self.listeners:
            listener()
        return self.left > 0


def ended(follower: Follower) -> bool:
    thread = follower._thread
    if thread is not None:
        thread.join(PATIENCE)
    return follower._thread is None


def test_a_follower_that_cannot_show_one_thing_goes_on_with_the_others(caplog: pytest.LogCaptureFixture) -> None:
    looked = threading.Event()
    follower = Follower(lambda _: None)

    def bad() -> bool:
        raise ValueError("no")

    def good() -> bool:
        looked.set()
        return False

    follower.watch(lambda _: lambda: None, bad)
    follower.watch(lambda _: lambda: None, good)
    assert looked.wait(PATIENCE)
    follower.close()
    assert [record.message for record in caplog.records] == ["a form could not show what is new"]
    caplog.clear()


def test_a_follower_s_thread_ends_with_the_last_thing_to_watch_and_starts_again() -> None:
    follower = Follower(lambda _: None)
    for _ in range(3):
        looked = threading.Event()
        follower.watch(lambda _: lambda: None, lambda: bool(looked.set()))  # noqa: B023
        assert looked.wait(PATIENCE)
        thread = follower._thread
        if thread is not None:
            thread.join(PATIENCE)
        assert follower._thread is None


def test_each_is_watched_until_it_says_that_nothing_more_comes() -> None:
    follower = Follower(at_once)
    things = [Watched(1), Watched(5), Watched(50)]
    for thing in things:
        follower.watch(thing.listen, thing.look)
    for thing in things:
        assert thing.done.wait(PATIENCE)
    assert ended(follower)
    assert [(thing.left, thing.listeners) for thing in things] == [(0, [])] * 3
    assert all(thread.daemon and thread.name == "mcnb-form" for thing in things for thread in thing.threads)


def test_many_changes_during_a_pause_are_one_look() -> None:
    paused, go = threading.Semaphore(0), threading.Semaphore(0)

    def pause(_: float) -> None:
        paused.release()
        assert go.acquire(timeout=PATIENCE)

    follower = Follower(pause)
    looks: list[int] = []
    changed: list[Callable[[], None]] = []

    def listen(listener: Callable[[], None]) -> Callable[[], None]:
        changed.append(listener)
        return changed.clear

    follower.watch(listen, lambda: looks.append(1) is None and len(looks) < 3)
    for _ in range(2):
        assert paused.acquire(timeout=PATIENCE)
        for _ in range(100):
            changed[0]()
        go.release()
    assert ended(follower)
    assert len(looks) == 3


def test_after_closing_nothing_is_looked_at_and_nobody_listens() -> None:
    follower = Follower(at_once)
    thing = Watched(10**9)
    follower.watch(thing.listen, thing.look)
    follower.close()
    assert follower._thread is None
    assert thing.listeners == []
    left = thing.left
    follower.close()
    assert thing.left == left


def test_closing_from_its_own_thread() -> None:
    follower = Follower(at_once)
    closed = threading.Event()

    def look() -> bool:
        follower.close()
        closed.set()
        return True

    follower.watch(lambda _: lambda: None, look)
    assert closed.wait(PATIENCE)
    assert ended(follower)


def test_closing_from_another_thread() -> None:
    follower = Follower(at_once)
    thing = Watched(10**9)
    follower.watch(thing.listen, thing.look)
    in_thread(follower.close)
    assert ended(follower)


def test_a_follower_that_was_closed_can_watch_again() -> None:
    follower = Follower(at_once)
    follower.close()
    thing = Watched(3)
    follower.watch(thing.listen, thing.look)
    assert thing.done.wait(PATIENCE)
    assert ended(follower)


def test_waiting_until_all_was_told() -> None:
    follower, told = Follower(at_once), threading.Event()
    assert follower.wait(0), "nothing is watched"

    def look() -> bool:
        return not told.is_set()

    follower.watch(lambda _: lambda: None, look)
    assert not follower.wait(0.01)
    told.set()
    follower._awake.set()
    assert follower.wait(PATIENCE)
