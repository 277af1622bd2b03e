"""``%compose ps, history, cancel, models, unload``: what goes on in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from mcnb.errors import InvalidInputError
from mcnb.models.cache import shared_cache
from mcnb.notebook.listing import SHORT_ID
from mcnb.runtime import Run
from mcnb.runtime.table import Table
from tests.notebook.conftest import Shell
from tests.support.runs import FIRST_LINE, Gate, Models, document

Write = Callable[[str], Path]
PATIENCE = 60


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    shared_cache().unload()


@pytest.fixture
def begun(shell: Shell, write: Write, models: Models, gate: Gate) -> Iterator[Run]:
    """A run that stands at its fourth token or later, until the gate opens."""
    write(document(models.endless))
    shell.ip.push({"line": FIRST_LINE})
    run = shell.good("%compose run --noblock --quiet -i prompt=$line")
    assert isinstance(run, Run)
    gate.at_token(run, 4)
    assert gate.reached.wait(PATIENCE)
    yield run
    run.cancel()
    gate.open()
    assert run.wait(PATIENCE)


def test_without_anything_they_say_so(shell: Shell) -> None:
    for command, said in (("ps", "nothing is running"), ("unload", "no model is in memory")):
        shell.good(f"%compose {command}")
        assert said in shell.printed()
    assert str(shell.error("%compose cancel")) == "nothing is running"
    assert str(shell.error("%compose cancel zz")) == "nothing is running"
    shell.good("%compose models")
    assert "no models yet" in shell.printed()


def test_ps_lists_what_is_under_way(shell: Shell, begun: Run) -> None:
    table = shell.good("%compose ps -o t")
    assert isinstance(table, Table)
    assert table is shell.ip.user_ns["t"]
    (row,) = table
    assert (row["id"], row["workflow"], row["state"]) == (begun.id[:SHORT_ID], "the workflow", "processing")
    assert row["status"].startswith("generating")
    assert row["age"] >= 0
    assert begun.id[:SHORT_ID] in shell.printed()


def test_cancel_stops_the_only_run(shell: Shell, begun: Run, gate: Gate) -> None:
    gate.open()
    assert shell.good("%compose cancel").startswith(f"run {begun.id[:SHORT_ID]} of the workflow is cancelled after ")
    assert begun.state == "cancelled"
    assert "is cancelled" in shell.printed()
    assert "is cancelled already" in str(shell.error(f"%compose cancel {begun.id[:4]}"))


def test_cancel_by_the_beginning_of_an_id(shell: Shell, begun: Run, gate: Gate) -> None:
    other = shell.good("%compose run --noblock --quiet -i prompt=$line")
    error = str(shell.error("%compose cancel"))
    assert error.startswith("several runs go on; name one: ")
    assert begun.id[:SHORT_ID] in error
    assert other.id[:SHORT_ID] in error
    assert f"there are: {begun.id[:SHORT_ID]}" in str(shell.error("%compose cancel zz"))
    common = next((n for n in range(32) if begun.id[n] != other.id[n]), 0)
    gate.open()
    shell.good(f"%compose cancel {other.id[: common + 1]}")
    assert other.state == "cancelled"
    assert begun.state != "cancelled"
    shell.good(f"%compose cancel {begun.id}")
    assert begun.wait(PATIENCE)


def test_history_lists_what_is_done_the_newest_first(shell: Shell, write: Write, models: Models) -> None:
    write(document(models.poet, max_output_length=3))
    run = shell.good(f"%compose run -i prompt={FIRST_LINE.split()[0]} --seed 7")
    shell.error("%compose run -f no.yml")
    Path("bad.yml").write_text(document("./nowhere"))
    shell.error("%compose run -f bad.yml -i prompt=a")
    failed, good, *_ = shell.good("%compose history")
    assert (failed["state"], failed["tokens"], failed["tokens/s"]) == ("failed", 0, None)
    assert failed["text"].startswith("./nowhere: there is no file or folder")
    assert (good["id"], good["state"], good["tokens"], good["seed"]) == (run.id[:SHORT_ID], "completed", 3, 7)
    assert good["text"] == run.text
    assert good["tokens/s"] > 0
    assert isinstance(good["started"], datetime)
    assert len(shell.good("%compose history -n 1")) == 1
    frame = shell.good("%compose history").to_pandas()
    assert list(frame["seed"])[:2] == [failed["seed"], 7]


def test_models_in_memory_and_in_use(shell: Shell, begun: Run, gate: Gate, models: Models) -> None:
    (row,) = shell.good("%compose models")
    assert (row["model"], row["in"], row["device"], row["users"]) == (str(models.endless), "memory", "cpu", 1)
    assert row["dtype"] in ("float32", "bfloat16", "float16")
    assert row["idle"] is None
    assert row["size"] > 0
    assert f"{row['size']}".endswith("B")
    name = models.endless
    error = shell.error(f"%compose unload {name}")
    assert str(error) == f"{name} is in use; see %compose ps; %compose cancel stops a run"
    assert isinstance(shell.error("%compose unload"), InvalidInputError)
    gate.open()
    shell.good("%compose cancel")
    (row,) = shell.good("%compose models")
    assert (row["users"], row["idle"] >= 0) == (0, True)
    assert shell.good("%compose unload") == f"{name}: {row['size']} freed"
    assert not shared_cache().loaded()


def test_unloading_one_of_several(shell: Shell, begun: Run, write: Write, models: Models) -> None:
    Path("other.yml").write_text(document(models.dice, max_output_length=1))
    shell.good("%compose run -f other.yml -i prompt=a")
    wrong = str(models.dice)[:-1] + "x"
    assert f"{wrong} is not in memory; did you mean '{models.dice}'?" in str(shell.error(f"%compose unload {wrong}"))
    said = shell.good("%compose unload")
    assert said.startswith(f"{models.dice}: ")
    assert said.endswith(f"; {models.endless} stays, it is in use")


def test_models_on_disk(shell: Shell, home: Path) -> None:
    folder = home / "hub-cache" / "models--owner--tiny" / "blobs"
    folder.mkdir(parents=True)
    (folder / "x").write_bytes(b"1234")
    (row,) = shell.good("%compose models")
    assert (row["model"], row["in"], row["size"], row["users"]) == ("owner/tiny", "disk", 4, None)
    assert "4 B" in shell.printed()
