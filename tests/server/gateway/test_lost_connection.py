"""The web socket to the gateway is lost, and both ends live: nothing else is."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.reliability.caller import Caller, faults_in
from tests.reliability.gateway_process import PATIENCE, GatewayProcess
from tests.reliability.server_process import ServerProcess

from .conftest import SAYS, WAITS, asks
from .forwarder import Forwarder


def test_a_lost_connection_is_made_again(tmp_path: Path, document: Path, gateway: GatewayProcess) -> None:
    gateway.start()
    asyncio.run(_scenario(tmp_path / "server", document, gateway))


async def _scenario(folder: Path, document: Path, gateway: GatewayProcess) -> None:
    async with Forwarder(gateway.port) as between:
        access = {**gateway.access, "JUPYTER_GATEWAY_URL": f"http://127.0.0.1:{between.port}"}
        server = ServerProcess(folder, [document], environment=access, stop_grace=0, poll_interval=0.2)
        await asyncio.to_thread(server.start)
        try:
            async with Caller(server) as caller:
                await _go_on(caller, between)
                assert len(gateway.kernels()) == 1, "it is the same kernel"
        finally:
            await asyncio.to_thread(server.stop)


async def _go_on(caller: Caller, between: Forwarder) -> None:
    stopped, goes_on = [await caller.submit(asks(WAITS)) for _ in range(2)]
    for run_id in (stopped, goes_on):
        async for event in caller.events(run_id):
            if event.get("state") == "processing":
                break
    assert between.drop()
    (await caller.cancel(stopped)).raise_for_status()  # what tells the kernel so has no way to it now
    assert (await caller.ended(stopped, PATIENCE))["status"] == "cancelled"
    assert faults_in(await caller.log(stopped)) == []

    said = await caller.submit(asks(SAYS))
    assert (await caller.ended(said, PATIENCE))["status"] == "completed"
    assert (await caller.run(goes_on))["status"] == "processing"
    (await caller.cancel(goes_on)).raise_for_status()
    await caller.ended(goes_on, PATIENCE)

    assert between.drop()  # while nothing runs
    said = await caller.submit(asks(SAYS))
    assert (await caller.ended(said, PATIENCE))["status"] == "completed"
