"""A form of a server's workflows: as any other, and the server computes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mcnb.client import RemoteCompose, RemoteRun, connect
from mcnb.notebook.form import RunForm
from mcnb.runtime import Runtime, load
from tests.client.stand_in_server import TOKEN, Served, StandInServer
from tests.notebook.form.conftest import Ask, post
from tests.notebook.form.page import PATIENCE, Page
from tests.notebook.form.test_runs_of_the_form import entries, holding
from tests.support.runs import FIRST_LINE, Gate, Models, document, is_part_of_the_text
from tests.support.texts import POEM

PageOf = Callable[[RunForm], Page]


@pytest.fixture
def offer(runtime: Runtime, wire: Any) -> Iterator[Callable[..., tuple[RunForm, StandInServer]]]:
    """A form of a document that a server has: ``offer(text)``."""
    opened: list[Any] = []

    def make(text: str) -> tuple[RunForm, StandInServer]:
        compose = load(text=text, runtime=runtime)
        server = StandInServer({item.id: Served(compose, item.id) for item in compose.document.workflows})
        opened.append(server.__enter__())
        remote = connect(server.url, TOKEN)
        opened.append(remote)
        form = remote.form()
        opened.append(form)
        return form, server

    yield make
    for item in reversed(opened):
        item.stop() if isinstance(item, StandInServer) else item.close()
        if isinstance(item, StandInServer):
            item.end()


def test_a_run(offer: Any, models: Models, page: PageOf, ask: Ask) -> None:
    form, server = offer(document(models.poet))
    ask(form, "run", **holding(form))
    (run,) = form.runs
    seen = page(form)
    seen.wait_done(run.id)
    assert isinstance(run, RemoteRun)
    assert list(server.runs) == [run.id]
    assert (seen.run, seen.text, run.output) == (run.id, POEM, POEM)
    assert entries(seen) == [(FIRST_LINE.strip(), "completed")]
    assert not seen.gaps


def test_stopping(offer: Any, models: Models, page: PageOf, ask: Ask, gate: Gate) -> None:
    form, server = offer(document(models.endless))
    ask(form, "run", **holding(form))
    (run,) = form.runs
    (kept,) = server.runs.values()
    gate.at_token(kept.run, 30)
    assert gate.reached.wait(PATIENCE)
    ask(form, "stop", run=run.id)
    gate.open()
    page(form).wait_done(run.id)
    assert kept.run.state == run.state == "cancelled"
    assert is_part_of_the_text(run)
    assert page(form).text == run.text


def test_repeating(offer: Any, models: Models, page: PageOf, ask: Ask) -> None:
    form, server = offer(document(models.dice, max_output_length=8, params={"temperature": 1.5}))
    ask(form, "run", **holding(form, "a"))
    page(form).wait_done(form.runs[0].id)
    ask(form, "repeat", run=form.runs[0].id)
    page(form).wait_done(form.runs[1].id)
    assert form.runs[1].output == form.runs[0].output
    assert len(server.runs) == 2
    ask(form, "select", run=form.runs[0].id)
    assert form.errors == {}


def test_what_the_server_refuses_stands_at_the_fields(offer: Any, page: PageOf, ask: Ask) -> None:
    form, server = offer(document("a/model", text="${input.prompt as text} ${input.n as integer @(range 1..5)}"))
    key = form.workflow
    ask(form, "run", workflow=key, mode="one", values={key: {"prompt": "a", "n": "9"}}, overrides={key: {}})
    assert form.errors == {"n": "input 'n': must be at most 5, got 9"}
    assert not server.runs


def test_a_server_that_is_gone(offer: Any, models: Models, page: PageOf) -> None:
    form, server = offer(document(models.poet))
    form.compose._server.pause = lambda _: None
    server.stop()
    post(form, "run", **holding(form))
    assert f"the server at {server.url} cannot be reached" in form.errors[""]


def test_answers(offer: Any, models: Models, page: PageOf, ask: Ask) -> None:
    form, _ = offer(
        json.dumps(
            {
                "component": {"model": str(models.poet), "text": "${input.prompt as text}"},
                "workflow": {"job": {"interrupt": {"after": {"message": "Good?"}}}},
            }
        )
    )
    ask(form, "run", **holding(form))
    seen = page(form)
    (run,) = form.runs
    seen.wait(lambda: seen.state["shown"].get("state") == "interrupted", "it asks")
    assert seen.state["shown"]["pause"]["value"] == POEM
    ask(form, "resume", run=run.id, answer="Mine.")
    seen.wait_done(run.id)
    assert run.output == "Mine."


def test_a_batch(offer: Any, models: Models, page: PageOf, ask: Ask) -> None:
    form, server = offer(document(models.poet))
    ask(form, "batch", **{**holding(form), "mode": "batch"}, source="lines", value="a\nb\nc", field="prompt")
    assert form.results.wait(PATIENCE)
    page(form).wait(lambda: page(form).state["batch"].get("done"), "the batch is done")
    assert len(server.runs) == 3
    assert [row.state for row in form.results.rows] == ["completed"] * 3


def test_code_is_for_the_server(offer: Any, models: Models, page: PageOf) -> None:
    form, server = offer(document(models.poet))
    post(form, "run", **holding(form, "a b"))
    (run,) = form.runs
    page(form).wait_done(run.id)
    post(form, "code", run=run.id)
    (message,) = page(form).of_type("code")
    code, seed = message["code"], run.record.seed
    assert code["magic"] == f"%compose connect {server.url}\n%compose run -i prompt='a b' --seed {seed}"
    assert code["command"] == f"mcnb run --url {server.url} -i prompt='a b' --seed {seed}"
    assert f"compose = mcnb.connect('{server.url}')\n" in code["python"]
    assert code["curl"].startswith(f"curl {server.url}/api/workflows/runs ")


def test_one_form_for_each_file(offer: Any, models: Models, runtime: Runtime) -> None:
    _, server = offer(document(models.poet))
    other = load(text=document(models.dice, max_output_length=1), runtime=runtime)
    server.offers = {"one": server.offers["__workflow__"], "two": Served(other, "__workflow__")}
    with connect(server.url, TOKEN) as remote:
        assert isinstance(remote, RemoteCompose)
        second = remote.form("two")
        (entry,) = second.spec
        assert entry["id"] == "__workflow__"
        second.values = {"__workflow__": {"prompt": "a"}}
        run = second.run()
        assert run.wait(PATIENCE)
        (kept,) = server.runs.values()
        assert (kept.public, run.workflow) == ("two", "__workflow__")
        second.close()
