"""The keeper with kernels in processes of their own, which are killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mcnb.server.catalog import Catalog
from mcnb.server.keeper import RunKeeper, RunRequest, Settings
from mcnb.server.store import RunStore
from tests.server.keeper.conftest import events_of, is_whole, states, writer
from tests.server.kernels.conftest import Serving, serving, surroundings  # noqa: F401
from tests.support.runs import FIRST_LINE, Models
from tests.support.texts import POEM


def test_a_killed_kernel_fails_its_runs_and_the_next_one_goes_on(
    serving: Serving,  # noqa: F811
    models: Models,
    tmp_path: Path,
) -> None:
    document = writer(models.poet, max_output_length=200)
    document["workflows"] = [
        {**document.pop("workflow"), "default": True},
        {**asking_once(), "id": "ask"},
    ]
    path = tmp_path / "model-compose.yml"
    path.write_text(json.dumps(document), encoding="utf-8")
    store = RunStore.open(tmp_path / "runs.db")

    async def story() -> None:
        keeper = RunKeeper(store, Catalog([path]), serving.kernels, Settings(running=2, stop_grace=0))
        await keeper.start()
        first, _ = await keeper.submit(RunRequest(input={"prompt": FIRST_LINE}))
        assert (await first.wait()).output == POEM
        events = await events_of(first)
        assert is_whole(events)
        assert "".join(event["text"] for event in events if event["type"] == "token") == POEM
        asked, _ = await keeper.submit(RunRequest("ask"))
        killed, _ = await keeper.submit(RunRequest("ask"))
        waiting, _ = await keeper.submit(RunRequest(input={"prompt": FIRST_LINE}))
        for run in (asked, killed):
            assert (await run.wait(or_interrupted=True)).state == "interrupted"
        await keeper.resume(asked.id, "b")
        assert (await asked.wait()).output == "b"
        assert (await waiting.wait()).output == POEM
        behind = [(await keeper.submit(RunRequest("ask")))[0] for _ in range(2)]
        await behind[0].wait(or_interrupted=True)
        serving.kill(str(serving.kernels.runtime_kernel_id))
        for run in (killed, behind[0]):
            row = await run.wait()
            assert row.error is not None
            assert (row.state, row.error["code"]) == ("failed", "kernel_died")
        assert (await behind[1].wait(or_interrupted=True)).state == "interrupted", "in a new kernel"
        await keeper.cancel(behind[1].id)
        assert (await behind[1].wait()).state == "cancelled"
        assert states(await events_of(behind[1]))[-2:] == ["cancelling", "cancelled"]
        await keeper.stop()

    try:
        serving.do(story())
    finally:
        store.close()


def asking_once() -> dict[str, Any]:
    """A workflow that asks a person and needs no model."""
    job = {"id": "j", "type": "delay", "duration": 0, "output": "a", "interrupt": {"after": {"message": "Fine?"}}}
    return {"jobs": [job]}
