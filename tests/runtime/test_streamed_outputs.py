"""Outputs that ask to be streamed: the same bytes in pieces and whole, whatever way they are written."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from mcnb.runtime import Run, Runtime, load
from tests.support.runs import FIRST_LINE, Models, document
from tests.support.talkers import talker
from tests.support.texts import POEM, POEM_ZH

ANSWER = POEM.removeprefix(FIRST_LINE)


async def _pieces(run: Run) -> list[str]:
    return [piece async for piece in run.stream()]


def pieces(run: Run) -> list[str]:
    return asyncio.run(_pieces(run))


ASKED: dict[str, dict[str, Any]] = {
    "of the action, as of today": {"action": {"text": "${input.prompt}", "output": "${result as stream/text}"}},
    "of the action, as of the guide": {"action": {"text": "${input.prompt}", "output": "${result as text;sse-text}"}},
    "streaming": {"action": {"text": "${input.prompt}", "streaming": True}},
    "streaming, if the caller wants": {
        "action": {"text": "${input.prompt}", "streaming": "${input.live as boolean | true}"}
    },
    "of the job, as of today": {"job": "${output as stream/text}"},
    "of the job, as of the guide": {"job": "${output as text;sse-text}"},
    "of the workflow, as of today": {"workflow": "${output as stream/text}"},
    "of the workflow, as of the guide": {"workflow": "${output as text;sse-text}"},
    "under a name": {"workflow": {"answer": "${output as stream/text}"}},
    "everywhere": {
        "action": {"text": "${input.prompt}", "output": "${result as stream/text}", "streaming": True},
        "job": "${output as text;sse-text}",
        "workflow": "${output as stream/text}",
    },
}


def written(model: Path, said: dict[str, Any], **component: Any) -> str:
    """A workflow of one job; `said` is what it says of its outputs."""
    jobs = [{"id": "last", "output": said.get("job")}]
    keys = {"model": str(model), "action": said.get("action", {}), **component}
    return json.dumps({"workflow": {"jobs": jobs, "output": said.get("workflow")}, "component": keys})


def whole(run: Run) -> str:
    output = run.result()
    return str(output["answer"] if isinstance(output, dict) else output)


@pytest.mark.parametrize("what", ASKED)
def test_it_streams_and_is_the_same_bytes_when_collected(runtime: Runtime, models: Models, what: str) -> None:
    run = load(text=written(models.chinese, ASKED[what]), runtime=runtime).submit(
        prompt=POEM_ZH.splitlines(keepends=True)[0]
    )
    found = pieces(run)
    assert len(found) > 20
    assert "".join(found).encode() == whole(run).encode() == run.text.encode() == POEM_ZH.encode()
    assert "".join(pieces(run)) == POEM_ZH, "whoever comes later reads the same"


@pytest.mark.parametrize("streaming", [False, "${input.live as boolean | false}"])
def test_a_run_can_be_followed_though_nobody_asked_for_a_stream(
    runtime: Runtime, models: Models, streaming: Any
) -> None:
    """``streaming`` says what the interfaces of the peer give; here whoever wants to reads along."""
    said = {"action": {"text": "${input.prompt}", "streaming": streaming}}
    assert len(pieces(load(text=written(models.poet, said), runtime=runtime).submit(prompt=FIRST_LINE))) > 20


@pytest.mark.parametrize("what", ["of the job, as of today", "of the workflow, as of the guide", "under a name"])
def test_a_chat_streams_its_answer(runtime: Runtime, models: Models, tmp_path: Path, what: str) -> None:
    text = written(talker(tmp_path / "chatty", models.poet), ASKED[what], task="chat-completion")
    run = load(text=text, runtime=runtime).submit(prompt=FIRST_LINE)
    found = pieces(run)
    assert len(found) > 20
    assert "".join(found) == whole(run) == ANSWER


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder-decoder model."""
    from tests.support import tiny_models

    return tiny_models.t5(tmp_path_factory.mktemp("t5") / "t5")


def test_an_encoder_decoder_model_streams(runtime: Runtime, t5: Path) -> None:
    said = {"workflow": "${output as stream/text}"}
    text = written(t5, said, task="text-to-text")
    run = load(text=text, runtime=runtime).submit(prompt="a b c", parameters={"max_output_length": 24}, seed=3)
    found = pieces(run)
    assert len(found) > 1
    assert "".join(found) == run.result()


MADE: dict[str, dict[str, Any]] = {
    "a template around it": {"workflow": "<${output as stream/text}>"},
    "one of several values": {"workflow": {"a": "${output as stream/text}", "b": "${input.prompt}"}},
    "of another job": {"workflow": "${jobs.last.output as stream/text}"},
    "a default beside it": {"job": "${output as stream/text | nothing}"},
}


@pytest.mark.parametrize("what", MADE)
def test_what_is_made_of_the_text_comes_in_one_piece(runtime: Runtime, models: Models, what: str) -> None:
    run = load(text=written(models.poet, MADE[what]), runtime=runtime).submit(prompt=FIRST_LINE)
    found = pieces(run)
    output = run.result()
    assert found == ([] if isinstance(output, dict) else [output])
    assert ANSWER in json.dumps(output, ensure_ascii=False).replace("\\n", "\n")


def test_a_list_that_is_made_a_text_comes_in_one_piece(runtime: Runtime, models: Models) -> None:
    said = {"action": {"text": ["a", "b"], "max_output_length": 1}, "workflow": "${output as stream/text}"}
    run = load(text=written(models.poet, said), runtime=runtime).submit()
    assert pieces(run) == [run.result()]


@pytest.mark.parametrize("way", ["left", "right"])
def test_whichever_job_is_the_last_one_streams(runtime: Runtime, models: Models, way: str) -> None:
    jobs: list[dict[str, Any]] = [
        {
            "id": "choose",
            "type": "switch",
            "input": "${input.way}",
            "cases": [{"value": "left", "then": "left"}],
            "otherwise": "right",
        },
        {"id": "left", "input": {"prompt": FIRST_LINE}},
        {"id": "right", "input": {"prompt": FIRST_LINE}, "output": "${output as stream/text}"},
    ]
    spec = {"workflow": {"jobs": jobs, "output": "${output as stream/text}"}, "component": {"model": str(models.poet)}}
    run = load(text=json.dumps(spec), runtime=runtime).submit(way=way)
    found = pieces(run)
    assert len(found) > 20
    assert "".join(found) == run.result() == POEM


def test_beams_come_in_their_order_at_the_end(runtime: Runtime, models: Models) -> None:
    text = document(models.dice, output="${result as stream/text}", max_output_length=8, params={"num_beams": 2})
    run = load(text=text, runtime=runtime).submit(prompt="a", seed=1)
    assert "".join(pieces(run)) == run.result()
