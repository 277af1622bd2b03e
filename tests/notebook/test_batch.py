"""A batch at the end of a cell: a bar while it is under way, its table then."""

from __future__ import annotations

from typing import Any

from mcnb.notebook.batch import Progress
from mcnb.runtime import load
from tests.notebook.conftest import Shell
from tests.support.runs import Gate, Models, document


def test_a_bar_until_it_is_done_then_the_table(shell: Shell, models: Models, gate: Gate) -> None:
    compose = load(text=document(models.endless, max_output_length=4))
    batch = compose.batch(["Tyger"] * 3)
    run: Any = None
    while run is None:
        run = batch.current
    gate.at_token(run, 1)
    shell.ip.push({"batch": batch})
    shown = shell.run("batch")
    assert shown.success
    first = shell.published[0]["data"]
    assert '<progress value="' in first["text/html"]
    assert first["text/plain"].startswith("0 of 3 rows")
    gate.open()
    assert batch.wait(60)
    while "<table>" not in shell.published[-1]["data"].get("text/html", ""):
        pass
    assert shell.published[-1]["update"]


def test_a_batch_that_is_done_is_a_result_like_any_other(shell: Shell, models: Models) -> None:
    batch = load(text=document(models.poet, max_output_length=1)).batch(["a"])
    assert batch.wait(60)
    shell.ip.push({"batch": batch})
    shell.good("batch")
    assert shell.published == []


def test_the_line_says_how_far_and_how_fast(shell: Shell, models: Models) -> None:
    batch = load(text=document(models.poet, max_output_length=1)).batch(["a"] * 2)
    progress = Progress(batch)
    assert batch.wait(60)
    assert progress.line().startswith("2 of 2 rows · ")
    assert " rows/s · " in progress.line()
