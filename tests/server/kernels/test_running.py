"""Runs on the dedicated kernel, a real one: what comes of them is what comes of them in this process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from mcnb.compose import Environment, load_document
from mcnb.errors import ConflictError, InvalidInputError
from mcnb.models.cache import ModelCache
from mcnb.runtime import Runtime
from tests.server.kernels.conftest import Listener, Serving, loaded
from tests.support.runs import FIRST_LINE, LONG_TEXT, Models, document
from tests.support.texts import POEM, POEM_ZH


def test_a_run_is_what_it_is_in_process(serving: Serving, models: Models) -> None:
    made = loaded(models.dice, params={"max_output_length": 60})
    cache = ModelCache()
    runtime = Runtime(cache)
    try:
        here = runtime.submit(made, None, {"prompt": "a"}, drawn_seed=11, run_id="same")
        assert here.wait(100)
    finally:
        runtime.close()
        cache.unload()
    there = serving.do(serving.finished(made, input={"prompt": "a"}, seed=11))
    assert there.ends == 1
    assert there.state == here.state == "completed"
    assert there.output.encode() == there.text.encode() == here.output.encode()
    assert there.states == ["processing", "completed"]
    assert there.record is not None
    ours = json.loads(json.dumps(here.record.to_dict()))
    for record in (ours, there.record):
        for changing in ("run_id", "created", "timings", "hardware"):
            record.pop(changing)
        for generation in record["generations"]:
            generation.pop("timings")
    assert there.record == ours
    kinds = [event["type"] for event in there.events]
    assert kinds[0] == "state"
    assert kinds[-2:] == ["output", "state"]
    assert {"load", "prompt", "token"} <= set(kinds)


def test_many_runs_at_once(serving: Serving, models: Models) -> None:
    first = POEM_ZH.splitlines(keepends=True)[0]

    async def all_of_them() -> list[Listener]:
        link = await serving.kernels.runtime()
        listeners = [serving.submit(link, loaded(models.chinese), input={"prompt": first})[1] for _ in range(16)]
        assert len(link.runs) == 16
        await asyncio.gather(*(listener.over() for listener in listeners))
        assert link.runs == frozenset()
        return listeners

    for listener in serving.do(all_of_them()):
        assert (listener.ends, listener.state) == (1, "completed")
        assert listener.output == listener.text == POEM_ZH


def test_callers_share_one_start(serving: Serving) -> None:
    async def several() -> list[Any]:
        return await asyncio.gather(*(serving.kernels.runtime() for _ in range(5)))

    links = serving.do(several())
    assert len(set(map(id, links))) == 1
    assert links[0].alive
    assert serving.kernels.runtime_kernel_id == links[0].kernel_id
    assert serving.manager.list_kernel_ids() == [links[0].kernel_id]
    assert not serving.manager.get_kernel(links[0].kernel_id).autorestart


def test_cancelling_one_of_two_that_decode_together(serving: Serving, models: Models) -> None:
    async def scenario() -> tuple[Listener, Listener]:
        link = await serving.kernels.runtime()
        first, one = serving.submit(link, loaded(models.endless))
        second, other = serving.submit(link, loaded(models.endless))
        await one.decoding()
        await other.decoding()
        link.cancel(second)
        await other.over()
        told = len(one.text)
        await one.until(lambda: len(one.text) > told)
        link.cancel(first)
        link.cancel("nobody")
        return await one.over(), other

    one, other = serving.do(scenario())
    assert one.state == other.state == "cancelled"
    for listener in (one, other):
        assert listener.states[-2:] == ["cancelling", "cancelled"]
        assert LONG_TEXT.startswith(listener.text)
    assert serving.do(serving.finished(loaded(models.poet))).output == POEM


def asking(models: Models) -> Any:
    component = {"id": "c", "type": "model", "task": "text-generation", "model": str(models.poet)}
    job = {"component": "c", "interrupt": {"before": {"message": "Sure?"}}, "input": {"prompt": "${input.prompt}"}}
    return load_document(
        text=json.dumps({"component": {**component, "text": "${input.prompt as text}"}, "workflow": {"job": job}})
    )


def test_resuming(serving: Serving, models: Models) -> None:
    async def scenario() -> Listener:
        link = await serving.kernels.runtime()
        run_id, listener = serving.submit(link, asking(models), input={"prompt": "x"})
        await listener.until(lambda: "interrupted" in listener.states)
        with pytest.raises(InvalidInputError):
            await link.resume(run_id, [7])
        await link.resume(run_id, FIRST_LINE)
        await listener.over()
        with pytest.raises(ConflictError):
            await link.resume(run_id)
        busy, other = serving.submit(link, loaded(models.endless))
        await other.decoding()
        with pytest.raises(ConflictError):
            await link.resume(busy)
        link.cancel(busy)
        await other.over()
        kept, third = serving.submit(link, asking(models), input={"prompt": FIRST_LINE})
        await third.until(lambda: "interrupted" in third.states)
        await link.resume(kept)
        assert (await third.over()).output == POEM
        return listener

    assert serving.do(scenario()).output == POEM


def test_what_is_refused(serving: Serving, models: Models) -> None:
    found = serving.do(serving.finished(loaded(models.poet), input={"promt": "x"}))
    assert found.ends == 1
    assert isinstance(found.refused, InvalidInputError)
    assert "promt" in {error["field"] for error in found.refused.errors}


def test_a_failed_run_says_why(serving: Serving) -> None:
    found = serving.do(serving.finished(loaded("./nowhere")))
    assert found.state == "failed"
    assert found.error["code"] == "model_not_found"
    assert found.states[-1] == "failed"


def test_environment_values_arrive_and_stay_secret(serving: Serving, models: Models) -> None:
    made = load_document(
        text=document(models.poet, stop_sequences=["${env.NOBODYS}"]),
        environment=Environment(overrides={"NOBODYS": "glow"}),
    )
    assert made.env == {"NOBODYS": "glow"}
    found = serving.do(serving.finished(made))
    assert found.state == "completed"
    assert "glow" not in json.dumps(found.record)
    assert found.record is not None
    assert found.record["document"]["env"] == ["NOBODYS"]
    assert found.record["generations"][0]["parameters"]["stop_sequences"]["source"] == "document"


def test_the_cap_and_the_timeout_arrive(serving: Serving, models: Models) -> None:
    found = serving.do(serving.finished(loaded(models.poet), max_output_tokens=3))
    assert found.record is not None
    assert found.record["generations"][0]["output_budget"] == 3
    found = serving.do(serving.finished(loaded(models.endless), timeout=0.2))
    assert (found.state, found.error["code"]) == ("failed", "timeout")


@pytest.mark.parametrize("every", [2, 3])
def test_messages_that_get_lost_change_nothing(
    serving: Serving, models: Models, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """Every third (or second) message of the runtime is dropped, whatever it says."""
    count = 0

    async def several() -> list[Listener]:
        link = await serving.kernels.runtime()
        routes = link._connection.routes
        (comm_id,) = routes
        take = routes[comm_id]

        def losing(message: Any) -> None:
            nonlocal count
            count += 1
            if count % every:
                take(message)

        monkeypatch.setitem(routes, comm_id, losing)
        listeners = [serving.submit(link, loaded(models.poet))[1] for _ in range(4)]
        refused = serving.submit(link, loaded(models.poet), input={})[1]
        await asyncio.gather(*(listener.over() for listener in [*listeners, refused]))
        assert isinstance(refused.refused, InvalidInputError)
        return listeners

    for listener in serving.do(several()):
        assert (listener.ends, listener.state) == (1, "completed")
        assert listener.output == listener.text == POEM
        assert listener.states == ["processing", "completed"]
    assert count > every


def test_the_server_imports_no_torch() -> None:
    code = (
        "import sys, mcnb.server.kernels;"
        "found = {'torch', 'transformers', 'huggingface_hub', 'ipykernel'} & set(sys.modules);"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
