"""Notebooks' kernels: reached while a cell runs, sharing the model that the notebook has loaded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import KernelDiedError, NotFoundError, NotSupportedError
from mcnb.server.kernels.connection import Connection
from tests.server.kernels.conftest import PATIENCE, Serving, loaded
from tests.support.runs import FIRST_LINE, Models, document
from tests.support.texts import POEM


@asynccontextmanager
async def notebook(serving: Serving, **options: Any) -> AsyncIterator[tuple[str, Any]]:
    """A kernel that somebody else has started, with a client of theirs."""
    kernel_id = await serving.manager.start_kernel(**options)
    client = serving.manager.get_kernel(kernel_id).client()
    client.start_channels(stdin=False, hb=False)
    try:
        await client.wait_for_ready(timeout=PATIENCE)
        yield kernel_id, client
    finally:
        client.stop_channels()
        if kernel_id in serving.manager:
            await serving.manager.shutdown_kernel(kernel_id, now=True)


async def value(client: Any, expression: str) -> str:
    reply = await client.execute("", user_expressions={"it": expression}, reply=True, timeout=PATIENCE)
    return str(reply["content"]["user_expressions"]["it"]["data"]["text/plain"])


def test_a_run_completes_while_a_cell_runs_and_shares_its_model(
    serving: Serving, models: Models, tmp_path: Path
) -> None:
    gate, began = tmp_path / "gate", tmp_path / "began"
    cell = f"""
import pathlib, time, mcnb
compose = mcnb.load(text={document(models.poet)!r})
run = compose.run(prompt={FIRST_LINE!r})
pathlib.Path({str(began)!r}).touch()
while not pathlib.Path({str(gate)!r}).exists():
    time.sleep(0.01)
"""

    async def scenario() -> None:
        async with notebook(serving) as (kernel_id, client):
            names = set(eval(await value(client, "dir()")))
            asked = client.execute(cell)
            while not began.exists():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            link, same = await asyncio.gather(serving.kernels.attached(kernel_id), serving.kernels.attached(kernel_id))
            assert link is same
            _, listener = serving.submit(link, loaded(models.poet))
            await listener.over()
            assert not gate.exists()
            assert listener.output == POEM
            assert listener.record is not None
            assert listener.record["generations"][0]["cache_hit"], "the notebook's model is used"
            assert not any(event["type"] == "load" and event["done"] == 0 for event in listener.events[3:])
            run_id, endless = serving.submit(link, loaded(models.endless))
            await endless.decoding()
            link.cancel(run_id)
            assert (await endless.over()).state == "cancelled"
            gate.touch()
            await client._recv_reply(asked, timeout=PATIENCE)
            assert await value(client, "len(compose.runs)") == "1", "the notebook lists its own runs alone"
            new = {name for name in eval(await value(client, "dir()")) if not name.startswith("_")} - names
            assert new == {"compose", "mcnb", "pathlib", "run", "time"}, "the notebook's names are its own"
            assert await subshells(client) == 1
            await link.close()
            assert await subshells(client) == 0
            assert (await serving.kernels.attached(kernel_id)) is not link

    serving.do(scenario())


async def subshells(client: Any) -> int:
    message = client.session.msg("list_subshell_request", {})
    client.control_channel.send(message)
    reply = await client._recv_reply(message["header"]["msg_id"], timeout=PATIENCE, channel="control")
    return len(reply["content"]["subshell_id"])


def test_a_reply_that_comes_just_before_a_message_is_sent_is_read(serving: Serving) -> None:
    async def scenario() -> None:
        async with notebook(serving) as (kernel_id, _):
            connection = Connection(serving.manager.get_kernel(kernel_id).client())
            await connection.open()
            for channel in ("shell", "control"):
                await asyncio.wait_for(connection.request(channel, "kernel_info_request", {}), PATIENCE)
                request = asyncio.create_task(connection.request(channel, "kernel_info_request", {}))
                await asyncio.sleep(0)  # it is sent
                time.sleep(0.5)  # noqa: ASYNC251 - the reply arrives, and nobody is told yet
                connection.send(channel, "kernel_info_request", {})
                assert (await asyncio.wait_for(request, PATIENCE))["status"] == "ok"
            await connection.close()

    serving.do(scenario())


def test_a_kernel_without_subshells_answers_when_the_cell_is_over(
    serving: Serving, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mcnb.server.kernels import reaching

    monkeypatch.setattr(reaching, "SUBSHELLS", "nothing has this")
    gate = tmp_path / "gate"

    async def scenario() -> None:
        async with notebook(serving) as (kernel_id, client):
            client.execute(
                f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)\n1 / 0"
            )
            attaching = asyncio.create_task(serving.kernels.attached(kernel_id))
            await asyncio.sleep(0.5)
            assert not attaching.done()
            gate.touch()
            _, listener = serving.submit(await attaching, loaded(models.poet))
            assert (await listener.over()).output == POEM

    serving.do(scenario())


def test_a_notebook_kernel_that_dies(serving: Serving, models: Models) -> None:
    async def scenario() -> None:
        async with notebook(serving) as (kernel_id, _):
            link = await serving.kernels.attached(kernel_id)
            _, listener = serving.submit(link, loaded(models.endless))
            await listener.decoding()
            await serving.manager.shutdown_kernel(kernel_id, now=True)
            await listener.over()
            assert isinstance(listener.died, KernelDiedError)
            with pytest.raises(NotFoundError):
                await serving.kernels.attached(kernel_id)

    serving.do(scenario())


def test_the_dedicated_kernel_can_be_named(serving: Serving) -> None:
    async def scenario() -> None:
        link = await serving.kernels.runtime()
        assert await serving.kernels.attached(link.kernel_id) is link

    serving.do(scenario())


def test_a_kernel_that_is_not_there(serving: Serving) -> None:
    with pytest.raises(NotFoundError):
        serving.do(serving.kernels.attached("nowhere"))


def test_a_kernel_without_mcnb(own_serving: Callable[..., Serving], tmp_path: Path) -> None:
    serving = own_serving()
    hidden = tmp_path / "sitecustomize.py"
    hidden.write_text("import sys\nsys.modules['mcnb'] = None\n")

    async def scenario() -> None:
        import os

        path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
        async with notebook(serving, env={**os.environ, "PYTHONPATH": path}) as (kernel_id, client):
            with pytest.raises(NotSupportedError, match="no mcnb"):
                await serving.kernels.attached(kernel_id)
            assert await value(client, "1 + 1") == "2"

    serving.do(scenario())
