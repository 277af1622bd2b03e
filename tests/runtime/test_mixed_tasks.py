"""Chats, continuations and encoder-decoder models in one workflow; models of one document share memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcnb.models import cache
from mcnb.runtime import Run, Runtime, load
from tests.support.runs import FIRST_LINE, Models
from tests.support.talkers import ROLES, talker
from tests.support.texts import POEM

SHORT = {"max_output_length": 6}


@pytest.fixture(scope="module")
def summariser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder-decoder model."""
    from tests.support import tiny_models

    return tiny_models.t5(tmp_path_factory.mktemp("t5") / "t5", eos_bias=4)


@pytest.fixture
def chatty(models: Models, tmp_path: Path) -> Path:
    return talker(tmp_path / "chatty", models.poet, ROLES)


def prompts(run: Run) -> dict[str, str | None]:
    return {item.job: item.prompt for item in run.record.generations}


def test_three_tasks_in_one_workflow(runtime: Runtime, models: Models, chatty: Path, summariser: Path) -> None:
    document: dict[str, Any] = {
        "workflow": {
            "jobs": [
                {"id": "write", "component": "writer", "input": {"prompt": "${input.line}"}},
                {
                    "id": "sum",
                    "component": "summariser",
                    "input": {"prompt": "${jobs.write.output}"},
                    "depends_on": ["write"],
                },
                {"id": "talk", "component": "chat", "input": {"said": "${jobs.sum.output}"}, "depends_on": ["sum"]},
            ],
            "output": {"full": "${jobs.write.output}", "summary": "${jobs.sum.output}", "answer": "${output}"},
        },
        "components": [
            {"id": "writer", "model": str(models.poet)},
            {"id": "summariser", "task": "text-to-text", "model": str(summariser), **SHORT},
            {
                "id": "chat",
                "task": "chat-completion",
                "model": str(chatty),
                "messages": [{"role": "user", "content": "${input.said}"}],
                **SHORT,
            },
        ],
    }
    run = load(text=json.dumps(document), runtime=runtime).run(line=FIRST_LINE, seed=4)
    said = prompts(run)
    assert run.output["full"] == POEM, "a continuation has its prompt"
    assert said == {"write": FIRST_LINE, "sum": POEM, "talk": f"[user] {run.output['summary']}\n[assistant] "}
    assert not run.output["summary"].startswith(FIRST_LINE), "the reply of an encoder-decoder model is alone"
    assert run.output["answer"]
    assert "[user]" not in run.output["answer"]
    assert runtime.cache.loads == 3
    assert load(text=json.dumps(document), runtime=runtime).repeat(run.record).output == run.output


def test_a_chat_before_a_continuation_is_no_markdown(runtime: Runtime, models: Models, chatty: Path) -> None:
    document = {
        "workflow": {
            "jobs": [
                {"id": "talk", "component": "chat", "input": {"prompt": "a"}},
                {
                    "id": "write",
                    "component": "writer",
                    "input": {"prompt": "${jobs.talk.output}"},
                    "depends_on": ["talk"],
                },
            ]
        },
        "components": [
            {"id": "writer", "model": str(models.poet), **SHORT},
            {"id": "chat", "task": "chat-completion", "model": str(chatty), **SHORT},
        ],
    }
    run = load(text=json.dumps(document), runtime=runtime).run()
    assert not run.markdown
    assert run.output.startswith(prompts(run)["write"])


def beside(first: dict[str, Any], second: dict[str, Any]) -> str:
    """Two components, each called by a job of its own; the jobs run side by side."""
    call = {"input": {"prompt": "Hello"}, "output": {}}
    jobs = [{**call, "id": name, "component": name, "output": {name: "${output}"}} for name in ("one", "two")]
    return json.dumps(
        {"workflow": {"jobs": jobs}, "components": [{"id": "one", **SHORT, **first}, {"id": "two", **SHORT, **second}]}
    )


def test_components_with_the_same_model_share_it_whatever_their_task(runtime: Runtime, chatty: Path) -> None:
    chat = {"task": "chat-completion", "model": str(chatty)}
    run = load(text=beside(chat, {"model": str(chatty)}), runtime=runtime).run()
    assert prompts(run) == {"one": "[user] Hello\n[assistant] ", "two": "Hello"}
    assert run.output.keys() == {"one", "two"}
    assert runtime.cache.loads == 1
    assert len(runtime.cache.loaded()) == 1


def test_another_precision_is_another_copy(runtime: Runtime, chatty: Path) -> None:
    first = {"model": str(chatty), "precision": "float32"}
    run = load(text=beside(first, {**first, "precision": "bfloat16"}), runtime=runtime).run()
    assert {item.dtype for item in run.record.generations} == {"float32", "bfloat16"}
    assert runtime.cache.loads == 2


def test_models_of_one_document_stay_side_by_side_for_the_next_run(
    runtime: Runtime, models: Models, chatty: Path
) -> None:
    loaded = load(text=beside({"model": str(models.dice)}, {"model": str(chatty)}), runtime=runtime)
    for hit in (False, True):
        run = loaded.run()
        assert [item.cache_hit for item in run.record.generations] == [hit, hit]
    assert runtime.cache.loads == 2


def test_a_model_gives_way_where_there_is_not_room_for_both(
    runtime: Runtime, models: Models, chatty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other, in memory that holds one of them: the idle one leaves."""
    jobs = [
        {"id": "one", "component": "one", "input": {"prompt": "a"}},
        {"id": "two", "component": "two", "input": {"prompt": "${jobs.one.output}"}, "depends_on": ["one"]},
    ]
    components = [{"id": "one", "model": str(models.dice), **SHORT}, {"id": "two", "model": str(chatty), **SHORT}]
    loaded = load(text=json.dumps({"workflow": {"jobs": jobs}, "components": components}), runtime=runtime)
    monkeypatch.setattr(cache, "free_memory", lambda device: 0 if runtime.cache.loaded() else 10**9)
    assert loaded.run().state == "completed"
    (left,) = runtime.cache.loaded()
    assert left.loaded.snapshot.folder == chatty
