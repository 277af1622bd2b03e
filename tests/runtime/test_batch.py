"""A batch: one workflow for many rows, in order; a bad row is its own affair."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import InvalidInputError, NotSupportedError, RunCancelledError
from mcnb.runtime import Batch, Compose, Record, Run, Runtime, load
from mcnb.runtime.batch import WINDOW
from mcnb.runtime.batch_row import row_seed
from mcnb.runtime.events import EventLog
from tests.support.runs import FIRST_LINE, Gate, Models
from tests.support.texts import POEM

Make = Callable[..., Compose]

PATIENCE = 60

SHORT: dict[str, Any] = {"max_output_length": 8, "params": {"temperature": 1.5, "top_k": 0, "top_p": 1.0}}


def finished(batch: Batch) -> Batch:
    assert batch.wait(PATIENCE)
    return batch


def states(batch: Batch) -> list[str]:
    return [row.state for row in batch.rows]


def current(batch: Batch) -> Run:
    """The run of a batch that is being computed, as soon as there is one."""
    there = threading.Event()
    stop = batch.listen(lambda: there.set() if batch.current is not None else None)
    if batch.current is None:
        assert there.wait(PATIENCE)
    stop()
    run = batch.current
    assert run is not None
    return run


# --- rows -------------------------------------------------------------------------------------------------------------


def test_every_row_in_order(compose: Make, models: Models) -> None:
    loaded = compose(models.poet, max_output_length=1)
    prompts = [f"{number} is a number" for number in range(10)]
    batch = finished(loaded.batch(prompts))
    assert [row.number for row in batch.rows] == list(range(1, 11))
    assert [row.input for row in batch.rows] == [{"prompt": prompt} for prompt in prompts]
    for row, prompt in zip(batch.rows, prompts, strict=True):
        assert row.state == "completed"
        assert row.output == row.text
        assert row.text.startswith(prompt)
        assert row.error is None
        assert row.record is not None
        assert row.record.input == row.input
    assert (batch.state, batch.done, batch.finished, batch.failed) == ("completed", True, 10, ())
    assert batch.current is None
    assert loaded.runs == (), "rows are no history"
    assert loaded.runtime.cache.loads == 1
    assert repr(batch) == "<Batch: 10 of 10 rows finished, completed>"


def test_a_batch_of_nothing(compose: Make, models: Models) -> None:
    batch = compose(models.poet).batch([])
    assert batch.done
    assert batch.wait(0)
    assert (batch.state, len(batch.table())) == ("completed", 0)
    assert batch.retry() is batch


def test_it_returns_at_once_and_rows_wait_in_a_window(compose: Make, models: Models, gate: Gate) -> None:
    batch = compose(models.endless, max_output_length=50).batch([FIRST_LINE] * (WINDOW + 6))
    run = current(batch)
    gate.at_token(run, 2)
    assert gate.reached.wait(PATIENCE)
    assert not batch.done
    assert not batch.wait(0.01)
    assert batch.state == "processing"
    assert batch.finished == 0
    under_way = [row for row in batch.rows if row._run is not None]
    assert [row.number for row in under_way] == list(range(1, WINDOW + 1))
    assert batch.current is run
    assert FIRST_LINE in batch.rows[0].text
    assert states(batch)[0] == "processing"
    assert states(batch)[-1] == "pending"
    gate.open()
    assert set(states(finished(batch))) == {"completed"}


def test_a_wrong_row_keeps_everything_from_starting(compose: Make, models: Models) -> None:
    loaded = compose(models.poet)
    with pytest.raises(InvalidInputError, match="row 2: the input 'prompt' is missing"):
        loaded.batch([{"prompt": "a"}, {}])
    with pytest.raises(InvalidInputError, match="top_p"):
        loaded.batch(["a"], parameters={"top_p": 2})
    with pytest.raises(InvalidInputError, match="no workflow 'x'"):
        loaded.batch(["a"], "x")
    assert loaded.runtime.cache.loads == 0


def test_what_cannot_run_is_refused(runtime: Runtime) -> None:
    spec = {
        "component": {"model": "./nowhere", "text": "${input.prompt}", "quantization": "int8", "precision": "float32"}
    }
    with pytest.raises(NotSupportedError, match="quantization"):
        load(text=json.dumps(spec), runtime=runtime).batch(["a"])


def test_parameters_are_for_all_rows(compose: Make, models: Models) -> None:
    batch = finished(compose(models.poet).batch(["a", "b"], parameters={"max_output_length": 2}))
    assert [row.record.usage.output_tokens for row in batch.rows if row.record] == [2, 2]


# --- failures ---------------------------------------------------------------------------------------------------------

LENGTHS = {"max_output_length": "${input.n as integer | 4}"}


def test_a_row_that_fails_leaves_the_others_alone(compose: Make, models: Models) -> None:
    rows = [{"prompt": "a"}, {"prompt": "b", "n": 0}, {"prompt": "c"}]
    batch = finished(compose(models.dice, **LENGTHS).batch(rows))
    assert states(batch) == ["completed", "failed", "completed"]
    assert batch.state == "completed"
    assert batch.finished == 3
    (row,) = batch.failed
    assert row.number == 2
    assert row.output is None
    assert row.error is not None
    assert "max_output_length" in row.error.message
    assert row.record is not None
    assert row.record.state == "failed"
    assert "1 failed" in repr(batch)


def test_only_those_that_failed_are_tried_again(
    runtime: Runtime, models: Models, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model of every other row is not there at first."""
    text = f"""
workflow:
  jobs:
    - {{id: a, component: good, input: {{prompt: "${{input.prompt}}"}}, repeat_count: "${{input.good as integer}}"}}
    - {{id: b, component: bad, input: {{prompt: "${{input.prompt}}"}}, repeat_count: "${{input.bad as integer}}"}}
components:
  - {{id: good, model: {models.poet}, text: "${{input.prompt as text}}", max_output_length: 1}}
  - {{id: bad, model: {home / "later"}, text: "${{input.prompt as text}}", max_output_length: 1}}
"""
    rows = [{"prompt": "a", "good": 1, "bad": 0}, {"prompt": "b", "good": 0, "bad": 1}] * 2
    batch = finished(load(text=text, runtime=runtime).batch(rows, seed=5))
    assert states(batch) == ["completed", "failed"] * 2
    kept = [row.record for row in batch.rows]
    seeds = [row.seed for row in batch.rows]
    (home / "later").symlink_to(models.poet)
    assert batch.retry() is batch
    assert set(states(finished(batch))) == {"completed"}
    assert batch.failed == ()
    assert all(row.error is None for row in batch.rows)
    assert [row.seed for row in batch.rows] == seeds
    assert [row.record is old for row, old in zip(batch.rows, kept, strict=True)] == [True, False] * 2
    assert batch.rows[1].output[1][0].startswith("b")


def test_retrying_waits_for_the_end(compose: Make, models: Models, gate: Gate) -> None:
    batch = compose(models.endless).batch([FIRST_LINE])
    gate.at_token(current(batch), 2)
    assert gate.reached.wait(PATIENCE)
    with pytest.raises(InvalidInputError, match="not done yet"):
        batch.retry()
    batch.cancel()
    gate.open()
    finished(batch)


# --- cancelling -------------------------------------------------------------------------------------------------------


def test_cancelling_in_the_middle(compose: Make, models: Models, gate: Gate) -> None:
    loaded = compose(models.endless, max_output_length="${input.n as integer}")
    batch = loaded.batch([{"prompt": "a", "n": 1}] + [{"prompt": FIRST_LINE, "n": 200}] * (WINDOW + 5), seed=1)
    second = threading.Event()

    def look() -> None:
        if batch.rows[0].state == "completed" and batch.current is not None:
            second.set()

    stop = batch.listen(look)
    look()
    assert second.wait(PATIENCE)
    stop()
    gate.at_token(current(batch), 3)
    assert gate.reached.wait(PATIENCE)
    batch.cancel()
    assert batch.state == "cancelling"
    assert not batch.done
    gate.open()
    finished(batch)
    assert batch.state == "cancelled"
    assert states(batch) == ["completed"] + ["cancelled"] * (WINDOW + 5)
    assert batch.failed == ()
    assert batch.finished == WINDOW + 6
    assert FIRST_LINE in batch.rows[1].text, "what there is of a text is kept"
    assert all(isinstance(row.error, RunCancelledError) for row in batch.rows[1:])
    assert batch.rows[-1].record is None
    batch.cancel()
    assert batch.state == "cancelled"
    batch.retry()
    assert set(states(finished(batch))) == {"completed"}
    assert batch.state == "completed"


def test_one_row_may_be_cancelled(compose: Make, models: Models, gate: Gate) -> None:
    batch = compose(models.endless, max_output_length=100).batch([FIRST_LINE] * 3)
    run = current(batch)
    gate.at_token(run, 3)
    assert gate.reached.wait(PATIENCE)
    run.cancel()
    gate.open()
    assert states(finished(batch)) == ["cancelled", "completed", "completed"]
    assert batch.state == "completed"


def test_closing_the_runtime_stops_its_batches(home: Path, models: Models, compose: Make) -> None:
    own = Runtime()
    batch = load(text=json.dumps({"component": {"model": str(models.endless), "text": "${input.prompt}"}}), runtime=own)
    made = batch.batch([FIRST_LINE] * 20)
    own.close()
    assert made.done
    assert made.state == "cancelled"
    own.cache.unload()


# --- seeds and records ------------------------------------------------------------------------------------------------


def test_the_seed_of_a_row_depends_on_its_number_alone(compose: Make, models: Models) -> None:
    loaded = compose(models.dice, **SHORT)
    batch = finished(loaded.batch(["a"] * 5, seed=7))
    assert len({row.text for row in batch.rows}) > 1
    assert [row.seed for row in batch.rows] == [row_seed(7, number) for number in range(1, 6)]
    assert all(0 <= row.seed < 2**32 for row in batch.rows)
    others = finished(loaded.batch(["x", "a", "y"], seed=7))
    assert others.rows[1].text == batch.rows[1].text
    assert loaded.run(prompt="a", seed=batch.rows[3].seed).output == batch.rows[3].text
    assert [row.text for row in finished(loaded.batch(["a"] * 5, seed=7)).rows] == [row.text for row in batch.rows]


def test_a_drawn_seed_is_told(compose: Make, models: Models) -> None:
    loaded = compose(models.dice, **SHORT)
    first, second = finished(loaded.batch(["a"] * 2)), finished(loaded.batch(["a"] * 2))
    assert first.seed != second.seed
    assert [row.text for row in finished(loaded.batch(["a"] * 2, seed=first.seed)).rows] == [
        row.text for row in first.rows
    ]


def test_the_seed_of_the_document_counts_unless_the_caller_gives_one(compose: Make, models: Models) -> None:
    loaded = compose(models.dice, seed=5, **SHORT)
    said = finished(loaded.batch(["a", "a"]))
    assert said.rows[0].text == said.rows[1].text
    assert [row.seed for row in said.rows] == [5, 5]
    own = finished(loaded.batch(["a", "a"], seed=5))
    assert [row.seed for row in own.rows] == [row_seed(5, 1), row_seed(5, 2)]
    assert own.rows[0].text != own.rows[1].text
    same = finished(loaded.batch(["a", "a"], parameters={"seed": 5}))
    assert [row.text for row in same.rows] == [row.text for row in own.rows]


def test_the_record_of_a_row_repeats_it(compose: Make, models: Models) -> None:
    loaded = compose(models.dice, **SHORT)
    row = finished(loaded.batch(["a", "b", "c"])).rows[2]
    assert row.record is not None
    data = json.loads(json.dumps(row.record.to_dict()))
    assert loaded.repeat(Record.from_dict(data)).output == row.output


# --- interruptions ----------------------------------------------------------------------------------------------------


def asking(runtime: Runtime, model: Path, interrupt: Any) -> Compose:
    job = {"id": "write", "component": "m", "input": {"prompt": "${input.prompt}"}, "interrupt": interrupt}
    component = {"id": "m", "model": str(model), "text": "${input.prompt as text}", "max_output_length": 1}
    return load(text=json.dumps({"workflow": {"jobs": [job]}, "component": component}), runtime=runtime)


def test_a_workflow_that_always_asks_is_refused(runtime: Runtime, models: Models) -> None:
    with pytest.raises(InvalidInputError, match="job 'write' asks a person after each run"):
        asking(runtime, models.poet, {"after": True}).batch(["a"])


def test_a_row_that_asks_fails_and_the_others_go_on(runtime: Runtime, models: Models) -> None:
    loaded = asking(runtime, models.poet, {"after": {"condition": "${input.ask as boolean | false}"}})
    batch = finished(loaded.batch([{"prompt": "a"}, {"prompt": "b", "ask": True}, {"prompt": "c"}]))
    assert states(batch) == ["completed", "failed", "completed"]
    assert str(batch.rows[1].error).startswith(
        "the row waits for a person after job 'write', and nobody answers in a batch"
    )


# --- what is told and kept --------------------------------------------------------------------------------------------


def test_listeners_hear_of_every_row(compose: Make, models: Models) -> None:
    batch = finished(compose(models.dice, **LENGTHS).batch([{"prompt": "a", "n": 0}] * 6))
    seen: list[tuple[int, bool]] = []
    over = threading.Event()

    def look() -> None:
        seen.append((batch.finished, batch.done))
        if batch.done:
            over.set()

    stop = batch.listen(look)
    finished(batch.retry())
    assert over.wait(PATIENCE)
    stop()
    assert {number for number, _ in seen} >= {1, 2, 3, 4, 5, 6}
    told = len(seen)
    finished(batch.retry())
    assert len(seen) == told


def test_a_listener_that_fails_hurts_nobody(compose: Make, models: Models, caplog: pytest.LogCaptureFixture) -> None:
    batch = compose(models.poet, max_output_length=20).batch(["a"] * 3)

    def broken() -> None:
        raise RuntimeError

    batch.listen(broken)
    assert set(states(finished(batch))) == {"completed"}
    assert "a listener to a batch failed" in caplog.text


def logs() -> int:
    gc.collect()
    return sum(type(item) is EventLog for item in gc.get_objects())


@pytest.mark.timeout(180)
def test_a_thousand_rows_do_not_keep_a_thousand_event_logs(compose: Make, models: Models) -> None:
    before = logs()
    loaded = compose(models.poet, max_output_length="${input.n as integer}")
    batch = finished_in_time(loaded.batch([{"prompt": "a", "n": number % 2} for number in range(1000)]))
    assert len(batch.failed) == 500, "errors hold no runs either"
    assert logs() - before <= WINDOW
    documents = {id(row.record.document) for row in batch.rows if row.record is not None}
    assert len(documents) == 1


def finished_in_time(batch: Batch) -> Batch:
    assert batch.wait(150)
    return batch


# --- the table --------------------------------------------------------------------------------------------------------


def test_the_table(compose: Make, models: Models) -> None:
    batch = finished(compose(models.dice, **LENGTHS).batch([{"prompt": "a"}, {"prompt": "b", "n": 0}]))
    table = batch.table()
    assert table.columns == ("row", "prompt", "n", "state", "output", "error")
    first, second = table
    assert first == {
        "row": 1,
        "prompt": "a",
        "n": None,
        "state": "completed",
        "output": batch.rows[0].output,
        "error": None,
    }
    assert (second["row"], second["n"], second["state"], second["output"]) == (2, 0, "failed", None)
    assert second["error"] == str(batch.rows[1].error)
    bundle = batch._repr_mimebundle_()
    assert "completed" in bundle["text/plain"]
    assert "text/html" in bundle


def test_the_values_of_an_output_are_columns(compose: Make, models: Models) -> None:
    output = {"prompt": "${result}", "of": "${input.prompt}", "state": "x"}
    batch = finished(compose(models.poet, output=output).batch([FIRST_LINE]))
    assert batch.table().columns == ("row", "prompt", "state", "output.prompt", "of", "output.state", "error")
    assert batch.table()[0]["output.prompt"] == POEM


def test_a_dataframe_in_and_out(compose: Make, models: Models) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"prompt": ["a", "b"]})
    found = finished(compose(models.poet, max_output_length=1).batch(frame)).to_pandas()
    assert list(found.columns) == ["row", "prompt", "state", "output", "error"]
    assert list(found["prompt"]) == ["a", "b"]
    assert [text[0] for text in found["output"]] == ["a", "b"]


def test_a_file_in(compose: Make, models: Models, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("prompt\na\nb\n", encoding="utf-8")
    batch = finished(compose(models.poet, max_output_length=1).batch(path))
    assert [row.text[0] for row in batch.rows] == ["a", "b"]
