"""Kernels that die: every run they held is told so, once, and the next one works."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import pytest

from mcnb.errors import KernelDiedError, ServerStoppingError
from mcnb.server.kernels import KernelLink
from mcnb.server.kernels import kernels as module
from mcnb.server.kernels import link as links
from mcnb.server.kernels.vitals import MEMORY_HINT
from tests.server.kernels.conftest import Listener, Serving, loaded
from tests.support.runs import Models
from tests.support.texts import POEM

ENOUGH = 10.0
"""Seconds within which a death has to be told; a promise to users, not a measure of speed."""


async def lost(listener: Listener) -> Listener:
    await asyncio.wait_for(listener.over(), ENOUGH)
    assert listener.ends == 1
    assert isinstance(listener.died, KernelDiedError)
    return listener


async def works(serving: Serving, models: Models, *, other_than: KernelLink) -> None:
    """Check that the next run has a new kernel, and that the old one is gone."""
    link = await serving.kernels.runtime()
    assert link is not other_than
    assert link.kernel_id != other_than.kernel_id
    _, listener = serving.submit(link, loaded(models.poet))
    assert (await listener.over()).output == POEM
    await asyncio.gather(*serving.kernels._clearing)
    assert other_than.kernel_id not in serving.manager
    assert not other_than.alive
    assert other_than.runs == frozenset()


def test_killed_while_it_decodes(serving: Serving, models: Models) -> None:
    async def scenario() -> None:
        link = await serving.kernels.runtime()
        first, decoding = serving.submit(link, loaded(models.endless))
        _, waiting = serving.submit(link, loaded(models.endless))
        await decoding.decoding()
        serving.kill(link.kernel_id)
        await lost(decoding)
        await lost(waiting)
        assert decoding.died is not None
        assert "signal 9" in decoding.died.message
        assert decoding.died.hint == MEMORY_HINT
        with pytest.raises(KernelDiedError):
            await link.resume(first)
        _, late = serving.submit(link, loaded(models.poet))
        assert late.ends == 0, "nobody is told before run() has returned"
        await lost(late)
        await works(serving, models, other_than=link)

    serving.do(scenario())


def test_killed_while_it_loads(serving: Serving, models: Models) -> None:
    async def scenario() -> None:
        link = await serving.kernels.runtime()
        _, listener = serving.submit(link, loaded(models.dice))
        await listener.until(lambda: listener.states)
        serving.kill(link.kernel_id)
        await lost(listener)
        await works(serving, models, other_than=link)

    serving.do(scenario())


def test_killed_while_it_is_idle(serving: Serving, models: Models) -> None:
    async def scenario() -> None:
        link = await serving.kernels.runtime()
        provisioner = serving.manager.get_kernel(link.kernel_id).provisioner
        serving.kill(link.kernel_id)
        while await provisioner.poll() is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await works(serving, models, other_than=link)

    serving.do(scenario())


def test_shut_down_by_somebody_else(serving: Serving, models: Models) -> None:
    async def scenario() -> None:
        link = await serving.kernels.runtime()
        _, listener = serving.submit(link, loaded(models.endless))
        await listener.decoding()
        await serving.manager.shutdown_kernel(link.kernel_id, now=True)
        await lost(listener)
        assert listener.died is not None
        assert "shut down" in listener.died.message
        assert listener.died.hint is None
        await works(serving, models, other_than=link)

    serving.do(scenario())


def test_restarted_by_somebody_else(serving: Serving, models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is another one before anybody looks: only the missing comm tells."""
    monkeypatch.setattr(serving.kernels, "_poll_interval", 1.0)

    async def scenario() -> None:
        link = await serving.kernels.runtime()
        _, listener = serving.submit(link, loaded(models.endless))
        await listener.decoding()
        restart = asyncio.create_task(serving.manager.restart_kernel(link.kernel_id, now=True))
        await lost(listener)
        await restart
        await works(serving, models, other_than=link)

    serving.do(scenario())


def test_restarted_while_it_was_idle(serving: Serving, models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "QUIET", 0.0)

    async def scenario() -> None:
        link = await serving.kernels.runtime()
        await serving.manager.restart_kernel(link.kernel_id, now=True)
        await works(serving, models, other_than=link)

    serving.do(scenario())


def test_a_stopped_kernel_is_not_dead(serving: Serving, models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "QUIET", 0.05)

    async def scenario() -> None:
        link = await serving.kernels.runtime()
        _, listener = serving.submit(link, loaded(models.endless))
        await listener.decoding()
        link._quiet = links.Patience(0.05, 0)
        serving.kill(link.kernel_id, signal.SIGSTOP)
        try:
            looked = asyncio.Event()
            tick = link.tick

            def ticking() -> None:
                tick()
                if link._looking is not None:
                    looked.set()

            monkeypatch.setattr(link, "tick", ticking)
            await asyncio.wait_for(looked.wait(), ENOUGH)
            await asyncio.sleep(1)
            assert link.alive
            assert not listener.ends
        finally:
            serving.kill(link.kernel_id, signal.SIGCONT)
        await listener.over()
        assert listener.state == "completed"

    serving.do(scenario())


async def starting(serving: Serving) -> str:
    """Wait for a kernel that has a process and has not answered yet."""
    while True:
        for kernel_id in serving.manager.list_kernel_ids():
            if serving.manager.get_kernel(kernel_id).has_kernel:
                return kernel_id
        await asyncio.sleep(0)


def test_killed_while_it_starts(own_serving: Callable[..., Serving], models: Models) -> None:
    serving = own_serving()

    async def scenario() -> None:
        waiting = [asyncio.create_task(serving.kernels.runtime()) for _ in range(3)]
        started = await starting(serving)
        serving.kill(started)
        for found in await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), ENOUGH):
            assert isinstance(found, KernelDiedError)
            assert "while it started" in found.message
        _, listener = serving.submit(await serving.kernels.runtime(), loaded(models.poet))
        assert (await listener.over()).output == POEM
        assert started not in serving.manager

    serving.do(scenario())


def test_a_kernel_that_never_answers(own_serving: Callable[..., Serving]) -> None:
    serving = own_serving(start_timeout=1.0)

    async def scenario() -> None:
        waiting = asyncio.create_task(serving.kernels.runtime())
        serving.kill(await starting(serving), signal.SIGSTOP)
        with pytest.raises(KernelDiedError, match="did not answer"):
            await waiting
        await asyncio.gather(*serving.kernels._clearing)
        assert serving.manager.list_kernel_ids() == []
        assert serving.kernels.runtime_kernel_id is None

    serving.do(scenario())


def test_a_kernel_that_does_not_exist(own_serving: Callable[..., Serving]) -> None:
    serving = own_serving(kernel_name="cobol")
    with pytest.raises(KernelDiedError, match="cobol"):
        serving.do(serving.kernels.runtime())


def test_closing_while_it_starts_leaves_nothing(own_serving: Callable[..., Serving]) -> None:
    serving = own_serving()

    async def scenario() -> None:
        waiting = asyncio.create_task(serving.kernels.runtime())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await serving.kernels.close()
        with pytest.raises((asyncio.CancelledError, KernelDiedError)):
            await waiting
        assert serving.manager.list_kernel_ids() == []
        with pytest.raises(ServerStoppingError):
            await serving.kernels.runtime()

    serving.do(scenario())


def test_closing_in_the_moment_in_which_it_answers_leaves_nothing(
    own_serving: Callable[..., Serving], monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = own_serving()
    reach, closing = module.reach, []

    async def reached(*arguments: Any, **options: Any) -> KernelLink:
        link = await reach(*arguments, **options)
        closing.append(asyncio.create_task(serving.kernels.close()))  # its first step is before anybody takes the link
        return link

    monkeypatch.setattr(module, "reach", reached)

    async def scenario() -> None:
        with pytest.raises((asyncio.CancelledError, KernelDiedError)):
            await serving.kernels.runtime()
        await closing[0]
        left = [task.get_name() for task in asyncio.all_tasks() if "mcnb-kernel" in task.get_name()]
        assert not left
        assert serving.manager.list_kernel_ids() == []

    serving.do(scenario())


def test_a_caller_that_leaves_does_not_stop_the_start(own_serving: Callable[..., Serving]) -> None:
    serving = own_serving()

    async def scenario() -> None:
        leaving = asyncio.create_task(serving.kernels.runtime())
        staying = asyncio.create_task(serving.kernels.runtime())
        await asyncio.sleep(0)
        leaving.cancel()
        assert (await staying).alive

    serving.do(scenario())


def test_closing_frees_every_descriptor(own_serving: Callable[..., Serving]) -> None:
    import os
    import threading

    serving = own_serving()
    serving.do(serving.kernels.runtime())
    serving.do(serving.kernels.close())
    kernels = module.Kernels(serving.manager, owner="store-1", poll_interval=0.1)
    serving.kernels = kernels

    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    async def once() -> None:
        await (await kernels.runtime()).close()
        kernels._links.clear()
        for link in list(kernels._watching):
            kernels._release(link)
        await asyncio.gather(*kernels._clearing)

    serving.do(once())
    before = held()
    for _ in range(3):
        serving.do(once())
    assert held()[0] <= before[0] + 1
    assert held()[1] <= before[1]


class Unreachable:
    """A gateway's kernel that nobody can ask."""

    async def is_alive(self) -> bool:
        raise OSError("no route")


class Manager(dict[str, Any]):
    def get_kernel(self, kernel_id: str) -> Any:
        return self[kernel_id]


def test_a_manager_that_cannot_say_is_believed_to_have_lost_it_after_a_while() -> None:
    from mcnb.server.kernels.vitals import FAILURES, Vitals

    vitals = Vitals(Manager(k=Unreachable()), "k")
    for _ in range(FAILURES):
        assert asyncio.run(vitals.death()) is None
    error = asyncio.run(vitals.death())
    assert error is not None
    assert "cannot be reached" in error.message
