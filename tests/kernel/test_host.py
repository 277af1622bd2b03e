"""The host: what a server tells it, and what it answers."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcnb.compose import Environment, load_document
from mcnb.kernel import protocol, session
from mcnb.kernel.documents import MOST, Documents
from mcnb.kernel.host import Host
from mcnb.models.request import Priority
from mcnb.runtime import Runtime
from tests.kernel.conftest import Server, ended, loaded, text_of
from tests.support.runs import FIRST_LINE, Gate, Models, document
from tests.support.texts import POEM

FOR_EVER = 10_000


def test_a_run_is_told_to_its_end(server: Server, models: Models, runtime: Runtime) -> None:
    server.run("r1", loaded(models.poet))
    finished = server.ended("r1")
    told = server.of("r1")
    assert finished["state"] == "completed"
    assert finished["output"] == text_of(told) == POEM
    assert finished["error"] is None
    assert finished["record"]["run_id"] == "r1"
    assert finished["record"]["document"]["digest"] == loaded(models.poet).digest
    events = [event for message in told for event in message["events"]]
    assert events[0] == {"type": "state", "time": events[0]["time"], "state": "processing"}
    assert (events[-2]["type"], events[-1]["state"]) == ("output", "completed")
    assert not any("id" in event for event in events)
    assert told[0]["after"] == 1
    assert [message["after"] for message in told[1:]] == [message["upto"] for message in told[:-1]]
    assert runtime.runs == (), "a notebook does not list what a server runs in its kernel"


def test_tokens_are_sent_together(make_host: Callable[..., Host], models: Models) -> None:
    server = Server(make_host(interval=FOR_EVER))
    server.run("r1", loaded(models.poet))
    server.ended("r1")
    assert len(server.of("r1")) <= 3, "the first news, the first token, and with the end all the rest"
    tokens = [event for message in server.of("r1") for event in message["events"] if event["type"] == "token"]
    assert len(tokens) <= 2
    assert "".join(token["text"] for token in tokens) == POEM


def test_hello_is_answered(server: Server) -> None:
    server.tell("hello")
    ready = server.reply("ready")
    assert ready["protocol"] == protocol.VERSION
    assert ready["loaded"] == []
    assert 0 < ready["memory"]["free"] <= ready["memory"]["total"]


def test_what_is_wrong_with_a_run_is_refused_by_field(server: Server, models: Models) -> None:
    server.run("r1", loaded(models.poet), input={"prompt": FIRST_LINE, "promt": "x"})
    refused = server.reply("refused")
    assert refused["id"] == "r1"
    assert refused["error"]["code"] == "invalid_input"
    assert [error["field"] for error in refused["errors"]] == ["promt"]


def test_a_refusal_tells_no_environment_value(server: Server, tmp_path: Path) -> None:
    made = load_document(
        text=document("./nowhere", params={"temperature": "${env.HEAT}"}),
        environment=Environment(overrides={"HEAT": "0.5123"}),
    )
    said = {"digest": made.digest, "source": made.source, "folder": str(tmp_path), "files": []}
    server.tell(
        "run", id="r1", document={**said, "env": {"HEAT": "swordfish"}}, workflow="__workflow__", input={}, seed=1
    )
    refused = server.reply("refused")
    assert "swordfish" not in str(server.sent)
    assert refused["error"]["code"] in ("invalid_document", "invalid_input")


def test_a_cap_and_parameters_arrive(server: Server, models: Models) -> None:
    server.run("r1", loaded(models.poet), parameters={"max_output_length": 40}, max_output_tokens=3)
    record = server.ended("r1")["record"]
    assert record["generations"][0]["output_budget"] == 3
    assert record["parameters"]["max_output_length"] == 40


def test_a_priority_arrives(server: Server, models: Models, taken: list[Priority]) -> None:
    for name in ("bulk", "api"):
        server.run(name, loaded(models.poet, max_output_length=1), priority=name)
        assert server.ended(name)["state"] == "completed"
    server.run("r3", loaded(models.poet, max_output_length=1))
    server.ended("r3")
    assert taken == ["bulk", "api", "interactive"]


def test_a_priority_that_is_none_is_refused(server: Server, models: Models) -> None:
    server.run("r1", loaded(models.poet), priority="soon")
    assert "priority has to be one of" in server.reply("refused")["error"]["message"]


def test_cancelling(server: Server, models: Models) -> None:
    server.run("r1", loaded(models.endless))
    server.until(lambda message: text_of([message]) if message["type"] == "events" else False)
    server.tell("cancel", id="r1")
    assert server.ended("r1")["state"] == "cancelled"
    server.tell("cancel", id="r1")
    server.tell("cancel", id="nobody")


def asks(models: Models) -> Any:
    import json

    job = {"component": "c", "interrupt": {"before": {"message": "Sure?"}}, "input": {"prompt": "${input.prompt}"}}
    component = {"id": "c", "type": "model", "task": "text-generation", "model": str(models.poet)}
    text = {"component": {**component, "text": "${input.prompt as text}"}, "workflow": {"job": job}}
    return load_document(text=json.dumps(text))


def interrupted(message: dict[str, Any]) -> bool:
    return message["type"] == "events" and any(event.get("state") == "interrupted" for event in message["events"])


def test_resuming(server: Server, models: Models) -> None:
    server.run("r1", asks(models), input={"prompt": "x"})
    server.until(interrupted)
    server.tell("resume", id="r1", request=1, answer=[7])
    first = server.until(lambda message: message.get("request") == 1)
    assert first["error"]["code"] == "invalid_input"
    server.tell("resume", id="r1", request=2, answer=FIRST_LINE)
    assert server.until(lambda message: message.get("request") == 2)["error"] is None
    assert server.ended("r1")["output"] == POEM
    server.tell("resume", id="r1", request=2, answer=FIRST_LINE)
    server.tell("resume", id="r1", request=3)
    late = server.until(lambda message: message.get("request") == 3)
    assert late["error"]["code"] == "conflict"
    again = [message for message in server.sent if message.get("request") == 2]
    assert [message["error"] for message in again] == [None, None], "a reply that was lost is given again"
    server.tell("resume", id="nobody", request=4)
    assert server.reply("unknown")["ids"] == ["nobody"]


def test_what_was_lost_is_sent_again(server: Server, models: Models) -> None:
    server.run("r1", loaded(models.poet))
    server.ended("r1")
    whole = [event for message in server.of("r1") for event in message["events"]]
    last = server.of("r1")[-1]["upto"]
    for after in (1, 4, last):
        server.sent.clear()
        server.tell("sync", runs={"r1": after})
        server.ended("r1")
        (again,) = server.of("r1")
        assert (again["after"], again["upto"]) == (after, last)
        assert again["finished"]["output"] == POEM
    assert again["events"] == []
    server.sent.clear()
    server.tell("sync", runs={"r1": 1})
    server.ended("r1")
    assert text_of(server.of("r1")) == text_of([{"events": whole}])


def test_a_run_that_is_at_work_answers_that_nothing_is_new(server: Server, models: Models, gate: Gate) -> None:
    server.run("r1", asks(models), input={"prompt": FIRST_LINE})
    last = server.until(interrupted)["upto"]
    server.tell("sync", runs={"r1": last})
    again = server.until(lambda message: message["type"] == "events" and message["after"] == last)
    assert (again["upto"], again["events"], ended(again)) == (last, [], False)


def test_a_run_is_taken_once(server: Server, models: Models) -> None:
    server.run("r1", loaded(models.poet))
    server.ended("r1")
    server.sent.clear()
    server.run("r1", loaded(models.poet))
    server.ended("r1")
    assert server.of("r1")[0]["finished"]["output"] == POEM
    server.run("r2", loaded(models.poet), input={})
    server.reply("refused")
    server.sent.clear()
    server.run("r2", loaded(models.poet))
    assert server.reply("refused")["id"] == "r2"


def test_what_is_forgotten_is_unknown(server: Server, models: Models) -> None:
    server.run("r1", loaded(models.poet))
    server.run("r2", loaded(models.poet), input={})
    server.ended("r1")
    server.reply("refused")
    server.tell("forget", ids=["r1", "r2", "r3"])
    server.tell("sync", runs={"r1": 1, "r2": 1})
    assert server.reply("unknown")["ids"] == ["r1", "r2"]


def test_a_run_that_is_not_over_is_not_forgotten(server: Server, models: Models) -> None:
    server.run("r1", loaded(models.endless))
    server.tell("forget", ids=["r1"])
    server.tell("cancel", id="r1")
    assert server.ended("r1")["state"] == "cancelled"


def test_finished_runs_make_room(server: Server, models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MOST_FINISHED", 2)
    for name in ("r1", "r2", "r3"):
        server.run(name, loaded(models.poet), parameters={"max_output_length": 1})
        server.ended(name)
    server.tell("sync", runs={"r1": 1, "r3": 1})
    assert server.reply("unknown")["ids"] == ["r1"]


@pytest.mark.parametrize("data", [None, [], "run", {}, {"type": "nonsense"}, {"type": ["run"]}, {"type": "cancel"}])
def test_nonsense_is_logged_and_the_next_message_taken(
    server: Server, data: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        server.tell_anything(data)
        server.tell("hello")
        server.reply("ready")
    assert "could not be understood" in caplog.text


def test_a_run_that_cannot_be_read_is_refused(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL):
        server.tell("run", id="r1", document={"digest": "x"})
        assert server.reply("refused")["error"]["code"] == "internal"


def test_a_server_that_starts_again_ends_its_older_runs(host: Host, server: Server, models: Models) -> None:
    other = Server(host, owner="store-2", name="comm-2")
    server.run("r1", loaded(models.endless))
    other.run("o1", loaded(models.endless))
    server.until(lambda message: text_of([message]) if message["type"] == "events" else False)
    again = Server(host, name="comm-3")
    again.tell("sync", runs={"r1": 1})
    assert again.reply("unknown")["ids"] == ["r1"]
    other.tell("cancel", id="o1")
    assert other.ended("o1")["state"] == "cancelled"
    assert not any(ended(message) for message in server.of("r1")), "the older comm hears nothing more"


def test_a_comm_that_is_closed_ends_its_runs(host: Host, server: Server, models: Models, runtime: Runtime) -> None:
    server.run("r1", loaded(models.endless))
    server.until(lambda message: text_of([message]) if message["type"] == "events" else False)
    (run,) = runtime._unlisted
    server.close()
    assert run.wait(60)
    assert run.state == "cancelled"


def test_documents_are_loaded_once_and_the_oldest_leave() -> None:
    documents = Documents()

    def said(number: int) -> dict[str, Any]:
        made = load_document(text=document(f"./m{number}"))
        return {"digest": made.digest, "source": made.source, "folder": "/srv", "files": ["a.yml"], "env": {}}

    first = documents.get(said(0))
    assert documents.get(said(0)) is first
    assert first.files == ("a.yml",)
    assert first.folder == Path("/srv")
    assert documents.get({**said(0), "env": {"A": "b"}}) is not first
    for number in range(1, MOST):
        documents.get(said(number))
    assert documents.get(said(0)) is not first


def test_start_takes_no_torch_and_registers_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    code = (
        "import sys, comm, mcnb.kernel; mcnb.kernel.start(); mcnb.kernel.start();"
        "assert list(comm.get_comm_manager().targets) == ['mcnb.runtime'];"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
