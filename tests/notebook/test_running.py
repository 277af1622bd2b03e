"""``%compose run`` beyond waiting: ``--noblock``, ``--quiet``, ``-p``, runs that wait for a person."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from IPython.core.displaypub import DisplayPublisher

from mcnb.errors import RunCancelledError
from mcnb.runtime import Run
from tests.notebook.conftest import Shell
from tests.support.runs import FIRST_LINE, Gate, Models, document
from tests.support.texts import POEM

Write = Callable[[str], Path]
PATIENCE = 60


def followed(run: Run) -> None:
    """Wait for a run, and for the threads that show it."""
    assert run.wait(PATIENCE)
    for thread in threading.enumerate():
        if thread.name == "mcnb-display":
            thread.join(PATIENCE)
            assert not thread.is_alive()


def last_text(shell: Shell) -> str:
    return str(shell.published[-1]["data"]["text/plain"])


def asking(model: Path, **interrupt: Any) -> str:
    """A document whose one job asks a person."""
    job = {"id": "write", "component": "m", "input": {"prompt": "${input.prompt}"}, "interrupt": interrupt}
    component = {"id": "m", "model": str(model), "text": "${input.prompt as text}"}
    return json.dumps({"workflow": {"jobs": [job]}, "component": component})


def test_noblock_returns_while_the_run_goes_on(shell: Shell, write: Write, models: Models, gate: Gate) -> None:
    write(document(models.endless))
    shell.ip.push({"line": FIRST_LINE})
    run = shell.good("%compose run --noblock -i prompt=$line -o r")
    gate.at_token(run, 4)
    assert gate.reached.wait(PATIENCE)
    assert shell.ip.user_ns["r"] is run
    assert not run.done
    assert "tokens in" not in shell.printed()
    first = shell.published[0]
    assert not first.get("update")
    run.cancel()
    gate.open()
    followed(run)
    assert "[cancelled" in last_text(shell)
    assert all(one["update"] for one in shell.published[1:])
    assert {one["transient"]["display_id"] for one in shell.published} == {first["transient"]["display_id"]}
    with pytest.raises(RunCancelledError):
        run.result()


def test_noblock_of_a_run_that_is_over_before_the_cell(shell: Shell, write: Write, models: Models) -> None:
    write(document(models.poet))
    run = shell.good("%compose run --noblock -i prompt=a -o r\nr.wait()\nr")
    followed(run)
    assert run.state == "completed"
    assert "tokens in" in last_text(shell)
    assert shell.published[-1]["data"]["text/html"] == run._repr_mimebundle_()["text/html"]


def test_a_failure_of_noblock_is_shown_and_raised_by_nobody(shell: Shell, write: Write) -> None:
    write(document("./nowhere"))
    run = shell.good("%compose run --noblock -i prompt=a -o r")
    followed(run)
    assert last_text(shell).startswith("failed: ./nowhere")


def test_noblock_in_a_terminal_shows_its_beginning(
    shell: Shell, write: Write, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(document(models.poet))
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(shell.ip, "display_pub", DisplayPublisher(shell=shell.ip))
    monkeypatch.setattr(DisplayPublisher, "publish", lambda self, data, *_, **__: shown.append(data))
    run = shell.good("%compose run --noblock -i prompt=a -o r")
    followed(run)
    assert len(shown) == 1


def test_quiet_shows_nothing(shell: Shell, write: Write, models: Models) -> None:
    write(document(models.poet))
    assert shell.good("%compose run --quiet -i prompt=a -o r") is None
    assert shell.ip.user_ns["r"].text.startswith("a")
    run = shell.good("%compose run --quiet -i prompt=a")
    assert run.state == "completed"
    assert shell.published == []
    assert "tokens in" not in shell.printed()
    shell.good("%compose run --quiet -i prompt=a -o r\nr")
    assert "tokens in" in shell.printed(), "what is asked for is shown"
    Path("bad.yml").write_text(document("./nowhere"))
    assert "nowhere" in str(shell.error("%compose run --quiet -f bad.yml -i prompt=a"))
    assert shell.published == []


def test_parameters_of_a_run(shell: Shell, write: Write, models: Models) -> None:
    write(document(models.poet, max_output_length=50))
    shell.ip.push({"much": 3, "ends": ["#1", "#2"]})
    run = shell.good(
        "%compose run -i prompt=a -p max_output_length=$much -p do_sample=False -p temperature=0.5"
        " -p stop_sequences=$ends -p top_k=7"
    )
    given = run.record.parameters
    assert list(given.pop("stop_sequences")) == ["#1", "#2"]
    assert given == {"max_output_length": 3, "do_sample": False, "temperature": 0.5, "top_k": 7}
    assert run.record.usage.output_tokens == 3
    given = shell.good("%compose run -i prompt=a -p stop_sequences=END -p max_output_length=1").record.parameters
    assert "END" in given["stop_sequences"]


def test_a_run_that_asks_a_person_returns_and_says_how_to_go_on(shell: Shell, write: Write, models: Models) -> None:
    write(asking(models.poet, before={"message": "Is <this> fine?"}))
    shell.ip.push({"line": FIRST_LINE})
    run = shell.good("%compose run -i prompt=$line -o r")
    assert run.state == "interrupted"
    shown = last_text(shell)
    assert "Is <this> fine?" in shown
    assert "r.resume() goes on" in shown
    assert "r.cancel() stops" in shown
    assert "<this>" not in shell.published[-1]["data"]["text/html"]
    assert "&lt;this&gt;" in shell.published[-1]["data"]["text/html"]
    shell.printed()
    shell.good("r")
    assert "_.resume()" in shell.printed()
    shell.good("r.resume()")
    followed(run)
    assert run.state == "completed"
    assert last_text(shell).startswith(POEM), "the output of the first cell shows the end"
    assert len({one["transient"]["display_id"] for one in shell.published}) == 1


def test_an_answer_replaces_the_output(shell: Shell, write: Write, models: Models) -> None:
    write(asking(models.poet, after={}))
    run = shell.good("%compose run --quiet -i prompt=a")
    assert run.state == "interrupted"
    assert shell.published == []
    run.resume("other")
    followed(run)
    assert run.output == "other"


def test_a_workflow_behind_the_options(shell: Shell, write: Write, models: Models) -> None:
    component = {"id": "c", "model": str(models.poet), "text": "${input.prompt}", "max_output_length": 1}
    flows = [{"id": name, "job": {"component": "c"}} for name in ("one", "two")]
    write(json.dumps({"workflows": flows, "component": component}))
    for line in ("two -i prompt=a", "-i prompt=a two", "-i prompt=a --quiet two --seed 1", "-i prompt=a -- two"):
        assert shell.good(f"%compose run {line}").workflow == "two"
    assert "there are several workflows" in str(shell.error("%compose run -i prompt=a"))
    assert "did you mean 'two'?" in str(shell.error("%compose run twoo -i prompt=a"))
