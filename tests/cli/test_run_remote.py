"""``mcnb run --url``: a server computes, and everything else is as ever."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcnb.runtime import Compose, Runtime, load
from tests.cli.conftest import Command, write
from tests.cli.processes import PATIENCE, Terminal
from tests.client.stand_in_server import TOKEN, Served, StandInServer
from tests.support.runs import Models, document, runtime  # noqa: F401


def offered(compose: Compose) -> dict[str, Served]:
    return {item.id: Served(compose, item.id) for item in compose.document.workflows}


@pytest.fixture
def server(runtime: Runtime, models: Models) -> Iterator[StandInServer]:  # noqa: F811
    """A server with a document whose text depends on the seed."""
    text = document(models.dice, max_output_length=8, params={"temperature": 1.5})
    with StandInServer(offered(load(text=text, runtime=runtime))) as running:
        yield running


@pytest.fixture
def slow(runtime: Runtime, marathon: Path) -> Iterator[StandInServer]:  # noqa: F811
    """A server with a model that recites for long."""
    with StandInServer(offered(load(text=document(marathon), runtime=runtime))) as running:
        yield running


def test_the_same_text_as_here(command: Command, folder: Path, server: StandInServer) -> None:
    (served,) = server.offers.values()
    here = served.compose.run(prompt="a", seed=7)
    result = command("run", "--url", server.url, "--token", TOKEN, "-i", "prompt=a", "--seed", "7")
    assert (result.code, result.text) == (0, here.output)
    assert "seed 7" in result.error


def test_the_token_of_the_environment(command: Command, server: StandInServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCNB_TOKEN", TOKEN)
    assert command("run", "--url", f"{server.url}/lab", "--input", '{"prompt": "a"}').code == 0


def test_a_record_is_repeated_there(command: Command, folder: Path, server: StandInServer) -> None:
    place = ("--url", server.url, "--token", TOKEN)
    result = command("run", *place, "-i", "prompt=a", "--record")
    record = write(folder / "record.json", result.text)
    again = command("repeat", *place, record)
    assert again.text == json.loads(result.text)["output"]


def test_what_is_wrong_is_told_in_a_line(command: Command, folder: Path, server: StandInServer) -> None:
    place = ("--url", server.url, "--token", TOKEN)
    cases = [
        (("--url", server.url), 1, "asks for a token; give the one that the server printed"),
        (("--url", server.url, "--token", "wrong"), 1, "does not accept this token"),
        (("--url", "gpu-box"), 2, "gpu-box is not the address of a server"),
        (("--token", "x"), 2, "--token belongs to a server; name it with --url"),
        ((*place, "-f", "a.yml"), 2, "--url and -f exclude each other"),
        ((*place, "-e", "A=b"), 2, "--url and -e exclude each other"),
        (place, 2, "the input 'prompt' is missing"),
        ((*place, "-i", "prompt=a", "another"), 2, "has no workflow 'another'"),
        ((*place, "-i", "prompt=a", "-p", "temperature=-1"), 2, "temperature"),
    ]
    for arguments, code, said in cases:
        result = command("run", *arguments)
        assert (result.code, result.data) == (code, b""), arguments
        assert said in result.error
        assert result.error.count("\n") == 1


def test_ctrl_c_cancels_the_run_on_the_server(slow: StandInServer, home: Path) -> None:
    with Terminal("run", "--url", slow.url, "--token", TOKEN, "-i", "prompt=The") as terminal:
        terminal.read_until("\n")
        (kept,) = slow.runs.values()
        limit = time.monotonic() + PATIENCE
        while not kept.run.text:
            assert time.monotonic() < limit
            terminal.read()
        terminal.interrupt()
        assert terminal.end() == 130
        assert kept.run.wait(PATIENCE)
        assert kept.run.state == "cancelled"
        assert "interrupted after" in "\n".join(terminal.screen)
