"""The kernel on another host, behind a gateway, and the link to that host is cut."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from tests.reliability.caller import Caller, faults_in, text_of, tokens_in
from tests.reliability.documents import LONG, SHORT, asks, served
from tests.reliability.far_host import FarHost, far_host
from tests.reliability.gateway_process import PATIENCE
from tests.support.hosts import hosts_here
from tests.support.texts import POEM

from .conftest import until

pytestmark = pytest.mark.skipif(not hosts_here(), reason="no network namespaces on this machine")


def test_the_kernel_is_on_another_host_and_the_link_is_cut(tmp_path: Path) -> None:
    with far_host(tmp_path, served(tmp_path / "served"), JUPYTER_GATEWAY_CONNECT_TIMEOUT="2") as far:
        asyncio.run(_scenario(far))


async def _scenario(far: FarHost) -> None:
    gateway = far.gateway
    async with Caller(far.server) as caller:
        first = await caller.run(await _over(caller, SHORT))
        assert first["status"] == "completed", first
        assert first["output"] == {"generated": POEM}
        assert far.server.kernels() == []
        assert sorted(path.name for path in far.folder.iterdir()) == ["model-compose.yml"], (
            "the models are there, not here"
        )
        (kernel,) = gateway.kernels()

        async with aclosing(caller.stream(asks(SHORT))) as events:
            log = [event async for event in events]
        assert faults_in(log) == []
        assert text_of(log) == POEM

        run_id = await _decoding(caller)
        (await caller.cancel(run_id)).raise_for_status()
        assert (await caller.ended(run_id, PATIENCE))["status"] == "cancelled"

        run_id = await _decoding(caller)
        far.cut()
        lost = await caller.ended(run_id, PATIENCE)
        assert (lost["status"], lost["error"]["code"]) == ("failed", "kernel_died")
        assert "its gateway does not answer" in lost["error"]["message"]
        assert faults_in(await caller.log(run_id)) == []

        refused = await caller.run(await _over(caller, SHORT))
        assert (refused["status"], refused["error"]["code"]) == ("failed", "kernel_died")
        assert f"the kernel gateway {gateway.url} cannot be reached" in refused["error"]["message"]
        assert gateway.kernels() == [kernel]

        far.mend()
        following = await caller.run(await _over(caller, SHORT))
        assert following["status"] == "completed", following
        assert following["output"] == first["output"]
        until(lambda: len(gateway.kernels()) == 1)
        assert gateway.kernels() != [kernel], "the kernel that was left behind is shut down, and the new one lives"


async def _over(caller: Caller, workflow: str) -> str:
    """Ask for a run and wait for its end; return its id."""
    run_id = await caller.submit(asks(workflow))
    await caller.ended(run_id, PATIENCE)
    return run_id


async def _decoding(caller: Caller) -> str:
    """Ask for a long run and return its id when it has generated something."""
    run_id = await caller.submit(asks(LONG))
    async with aclosing(caller.events(run_id)) as events:
        async for event in events:
            if tokens_in(event) > 3:
                return run_id
    raise AssertionError(f"{run_id} ended before it was decoding")
