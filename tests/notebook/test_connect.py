"""``%compose connect``: a server computes, the notebook shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter

from mcnb.client import RemoteCompose, RemoteRun
from mcnb.errors import InvalidInputError, NotFoundError, ServerError
from mcnb.notebook.form import RunForm
from mcnb.runtime import Compose, Run, Runtime, load
from tests.client.stand_in_server import TOKEN, Served, StandInServer
from tests.notebook.conftest import Shell
from tests.support.runs import FIRST_LINE, Gate, Models, document, gate, runtime  # noqa: F401
from tests.support.texts import POEM

Write = Callable[[str], Path]


@pytest.fixture
def server(runtime: Runtime, models: Models, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInServer]:  # noqa: F811
    """A server with two files of two workflows, whose token the environment holds."""
    component = {"model": str(models.poet), "text": "${input.prompt as text}"}
    endless = {"model": str(models.endless), "text": "${input.prompt as text}"}
    poem = load(
        text=json.dumps({"component": component, "workflow": {"id": "poem", "title": "A poem"}}), runtime=runtime
    )
    long = load(text=json.dumps({"component": endless, "workflow": {"id": "long"}}), runtime=runtime)
    offers = {"poem": Served(poem, "poem"), "long": Served(long, "long")}
    monkeypatch.setenv("MCNB_TOKEN", TOKEN)
    with StandInServer(offers) as running:
        yield running


def test_runs_go_to_the_server_until_something_is_loaded(
    shell: Shell, write: Write, server: StandInServer, models: Models
) -> None:
    compose = shell.good(f"%compose connect {server.url} -o c")
    assert isinstance(compose, RemoteCompose)
    assert shell.ip.user_ns["c"] is compose
    assert f"{server.url}: poem, long" in shell.printed()
    run = shell.good(f"%compose run poem -i prompt={json.dumps(FIRST_LINE.strip())}")
    assert isinstance(run, RemoteRun)
    assert list(server.runs) == [run.id]
    assert run.output.startswith(FIRST_LINE.strip())
    shown = shell.published[-1]["data"]
    assert run.output.splitlines()[0] in shown["text/plain"]
    assert POEM.splitlines()[1] not in shell.printed(), "it is shown once"
    assert shell.good("%compose history")[0]["id"] == run.id[:8]
    shell.good("%%compose run poem -o r\nA line")
    assert len(server.runs) == 2

    write(document(models.poet))
    assert type(shell.good("%compose load")) is Compose
    here = shell.good("%compose run -i prompt=a")
    assert type(here) is Run
    assert len(server.runs) == 2


def test_looking_at_a_workflow(shell: Shell, server: StandInServer) -> None:
    shell.good(f"%compose connect {server.url}")
    assert shell.good("%compose schema poem")["title"] == "A poem"
    assert "generated text" in shell.good("%compose graph long").text
    assert isinstance(shell.error("%compose schema"), InvalidInputError), "there are two, and none is the default"
    assert "name one: poem, long" in shell.printed()
    assert isinstance(shell.error("%compose run pome -i prompt=a"), InvalidInputError)
    assert "did you mean 'poem'?" in shell.printed()
    assert isinstance(shell.error("%compose run poem -e A=b -i prompt=a"), InvalidInputError)
    assert isinstance(shell.error("%compose validate"), InvalidInputError)


def test_the_inputs_are_checked_by_the_server(shell: Shell, server: StandInServer) -> None:
    shell.good(f"%compose connect {server.url}")
    error = shell.error("%compose run poem -i promt=a")
    assert isinstance(error, InvalidInputError)
    assert {item["field"] for item in error.errors} == {"prompt", "promt"}


def test_files_named_on_the_line_are_local(shell: Shell, write: Write, server: StandInServer, models: Models) -> None:
    shell.good(f"%compose connect {server.url}")
    write(document(models.poet))
    run = shell.good("%compose run -f model-compose.yml -i prompt=a")
    assert type(run) is Run
    assert not server.runs


def test_the_runs_of_the_server(shell: Shell, server: StandInServer, gate: Gate) -> None:  # noqa: F811
    shell.good(f"%compose connect {server.url}")
    assert len(shell.good("%compose ps")) == 0
    assert isinstance(shell.error("%compose cancel"), InvalidInputError)
    run = shell.good(f"%compose run long --noblock --quiet -i prompt={json.dumps(FIRST_LINE.strip())}")
    gate.at_token(run, 3)
    assert gate.reached.wait(60)
    (row,) = shell.good("%compose ps")
    assert (row["id"], row["workflow"], row["state"]) == (run.id[:8], "long", "processing")
    assert row["status"].startswith("generating")
    assert "no run's id begins with zz" in str(shell.error("%compose cancel zz"))
    gate.open()
    said = shell.good(f"%compose cancel {run.id[:4]}")
    assert said.startswith(f"run {run.id[:8]} of long is cancelled after ")
    assert run.state == "cancelled"


def test_a_run_of_somebody_else_is_cancelled(
    shell: Shell,
    server: StandInServer,
    gate: Gate,  # noqa: F811
) -> None:
    other = server.submit({"workflow_id": "long", "input": {"prompt": FIRST_LINE}}).run
    gate.at_token(other, 3)
    assert gate.reached.wait(60)
    shell.good(f"%compose connect {server.url}")
    (row,) = shell.good("%compose ps")
    assert (row["id"], row["status"]) == (other.id[:8], "")
    gate.open()
    shell.good("%compose cancel")
    assert other.wait(60)
    assert other.state == "cancelled"
    with pytest.raises(NotFoundError):
        shell.good(f"%compose connect {server.url}").cancel("unknown")


def test_a_form(shell: Shell, server: StandInServer) -> None:
    shell.good(f"%compose connect {server.url}")
    form = shell.good("%compose form poem -i prompt=Hello")
    assert isinstance(form, RunForm)
    assert [item["id"] for item in form.spec] == ["poem"]
    form.values = {"poem": {"prompt": FIRST_LINE}}
    run = form.run()
    assert run.wait(60)
    assert run.output == POEM
    assert list(server.runs) == [run.id]
    form.close()


def test_completion_knows_the_server(shell: Shell, server: StandInServer) -> None:
    shell.good(f"%compose connect {server.url}")

    def offered(line: str) -> list[str]:
        with provisionalcompleter():
            return [item.text for item in shell.ip.Completer.completions(line, len(line))]

    assert {"poem", "long"} <= set(offered("%compose run "))
    assert "prompt=" in offered("%compose run poem -i ")
    asked = len(server.seen)
    offered("%compose run poem -i ")
    assert len(server.seen) == asked, "what is known is not asked for at every key"


def test_a_server_that_cannot_be_used(shell: Shell, server: StandInServer, write: Write, models: Models) -> None:
    write(document(models.poet))
    error = shell.error(f"%compose connect {server.url} --token wrong")
    assert isinstance(error, ServerError)
    assert "does not accept this token" in shell.printed()
    assert type(shell.good("%compose run -i prompt=a")) is Run, "as before"
