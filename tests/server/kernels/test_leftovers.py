"""Kernels whose gateway does not answer when they are to be shut down."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from jupyter_server.gateway.managers import GatewayKernelManager
from tornado.web import HTTPError

from mcnb.server.kernels import leftovers
from mcnb.server.kernels.leftovers import Leftovers


class Far(GatewayKernelManager):
    """A kernel of a gateway that does not answer so many times."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.asked = 0
        self.again = asyncio.Event()

    async def shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:
        self.asked += 1
        self.again.set()
        if self.asked <= self.failures:
            raise HTTPError(599, "Timeout while connecting")


class Manager(dict[str, Any]):
    def get_kernel(self, kernel_id: str) -> Any:
        return self[kernel_id]

    def remove_kernel(self, kernel_id: str) -> None:
        del self[kernel_id]


def test_it_is_tried_again_when_the_gateway_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "AT_ONCE", 0.01)
    monkeypatch.setattr(leftovers, "FIRST", 1000.0)

    async def scenario() -> None:
        far = Far(failures=1)
        manager = Manager(k=far)
        left = Leftovers(manager)
        await left.shut_down("k", now=True)
        assert "k" not in manager, "a server that stops would wait for it"
        assert far.asked == 1
        far.again.clear()
        left.try_now()
        await asyncio.wait_for(far.again.wait(), 30)
        await asyncio.gather(*left._trying.values())
        assert far.asked == 2

    asyncio.run(scenario())


def test_it_is_tried_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "FIRST", 0.01)

    async def scenario() -> None:
        far = Far(failures=3)
        await Leftovers(Manager(k=far)).shut_down("k", now=True)
        assert far.asked == 4

    asyncio.run(scenario())


def test_what_is_left_at_the_end_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(leftovers, "AT_ONCE", 0.01)

    async def scenario() -> None:
        left = Leftovers(Manager(k=Far(failures=1000)))
        await left.shut_down("k", now=True)
        await left.close()
        assert not left._trying

    asyncio.run(scenario())
    assert "kernel k is left to its gateway" in caplog.text
