"""The batch tab: rows from lines, variables and files; how they get on; what becomes of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest

from mcnb.notebook.form import RunForm
from mcnb.notebook.form import widget as widget_module
from mcnb.notebook.form.batches import SHOWN_ROWS
from mcnb.runtime import Runtime, load
from mcnb.runtime.batch import Batch
from tests.notebook.form.conftest import Ask, Scripted, post
from tests.notebook.form.page import PATIENCE, Page
from tests.support.runs import FIRST_LINE, Gate, Models, document
from tests.support.texts import POEM

Opened = Callable[..., RunForm]
PageOf = Callable[[RunForm], Page]


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The variables of a notebook."""
    made: dict[str, Any] = {}
    monkeypatch.setattr(widget_module, "_namespace", lambda: made)
    return made


@pytest.fixture
def form(opened: Opened, runtime: Runtime, models: Models) -> RunForm:
    """A form of a text and a number."""
    text = "${input.prompt as text}${input.n as integer | 1 @(range 1..5)}"
    return opened(load(text=document(models.dice, text=text, max_output_length=2), runtime=runtime))


def done(form: RunForm, page: Page) -> Batch:
    """Wait until the browser knows that the batch is done."""
    page.wait(lambda: page.state["batch"].get("done"), "the batch is done")
    assert isinstance(form.results, Batch)
    return form.results


def inputs(batch: Batch) -> list[Any]:
    return [dict(row.input) for row in batch.rows]


def test_lines(form: RunForm, page: PageOf, ask: Ask) -> None:
    seen = page(form)
    ask(form, "batch", source="lines", value="One\n\n  \nTwo\n", field="prompt")
    batch = done(form, seen)
    assert inputs(batch) == [{"prompt": "One", "n": 1}, {"prompt": "Two", "n": 1}]
    standing = seen.state["batch"]
    assert (standing["state"], standing["total"], standing["finished"], standing["failed"]) == ("completed", 2, 2, 0)
    assert standing["line"] == "2 of 2"
    assert [(row["number"], row["state"], row["input"], row["text"]) for row in standing["rows"]] == [
        (1, "completed", "One", batch.rows[0].text),
        (2, "completed", "Two", batch.rows[1].text),
    ]


def test_the_other_controls_and_the_parameters_are_those_of_all_rows(form: RunForm, page: PageOf, ask: Ask) -> None:
    key = form.workflow
    held = {key: {"prompt": "ignored", "n": "3"}}
    overrides = {key: {"max_output_length": "1", "seed": "7", "seed_locked": True}}
    ask(form, "batch", source="lines", value="One\nTwo", field="prompt", values=held, overrides=overrides, mode="batch")
    batch = done(form, page(form))
    assert inputs(batch) == [{"prompt": "One", "n": 3}, {"prompt": "Two", "n": 3}]
    assert batch.seed == 7
    records = [row.record for row in batch.rows]
    assert all(record is not None and record.parameters["max_output_length"] == 1 for record in records)
    assert (form.mode, form.values) == ("batch", held)


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        (["One", "Two"], "rows", ["One", "Two"]),
        (("One", 2), "rows", ["One", "2"]),
        (pandas.Series(["One", "Two"]), "rows", ["One", "Two"]),
        (pandas.DataFrame({"a": ["One", "Two"], "n": [1, 2]}), 'rows["a"]', ["One", "Two"]),
        (pandas.DataFrame({"a": ["One", "Two"], "n": [1, 2]}), "rows.a", ["One", "Two"]),
        ({"a": ["One", "Two"]}, "rows['a']", ["One", "Two"]),
    ],
)
def test_a_list_or_column_of_the_notebook(
    form: RunForm, page: PageOf, notebook: dict[str, Any], value: Any, name: str, expected: list[str]
) -> None:
    notebook["rows"] = value
    post(form, "batch", source="variable", value=name, field="prompt")
    assert form.errors == {}
    assert [row["prompt"] for row in inputs(done(form, page(form)))] == expected


@pytest.mark.parametrize(
    "value",
    [
        [{"prompt": "One", "n": 2}, {"prompt": "Two"}],
        pandas.DataFrame({"prompt": ["One", "Two"], "n": [2, None]}, dtype=object),
    ],
)
def test_a_table_of_the_notebook_gives_all_inputs(
    form: RunForm, page: PageOf, notebook: dict[str, Any], value: Any
) -> None:
    notebook["rows"] = value
    post(form, "batch", source="variable", value="rows", field="prompt")
    assert form.errors == {}
    assert inputs(done(form, page(form))) == [{"prompt": "One", "n": 2}, {"prompt": "Two"}]


@pytest.mark.parametrize("missing", [None, float("nan"), pandas.NA, pandas.NaT])
def test_what_is_missing_is_no_text(form: RunForm, notebook: dict[str, Any], missing: Any) -> None:
    notebook["rows"] = ["One", missing]
    post(form, "batch", source="variable", value="rows", field="prompt")
    assert list(form.errors) == ["batch.value"]
    assert form.errors["batch.value"].startswith("row 2: the input 'prompt' is missing")
    assert form.results is None


def test_a_file(form: RunForm, page: PageOf, ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("prompt,n\nOne,2\nTwo,3\n")
    ask(form, "batch", source="file", value=f"  {file} ", field="prompt")
    assert inputs(done(form, page(form))) == [{"prompt": "One", "n": 2}, {"prompt": "Two", "n": 3}]


def focused(page: Page) -> list[str]:
    return [message["field"] for message in page.of_type("focus")]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"source": "lines", "value": "  \n "}, "write one item a line"),
        ({"source": "variable", "value": ""}, "name it first"),
        ({"source": "variable", "value": "nothing"}, "there is no variable 'nothing'"),
        ({"source": "variable", "value": "1 + 1"}, "is not the name of a variable"),
        ({"source": "variable", "value": "df.b"}, "'df' has no column 'b'"),
        ({"source": "variable", "value": "number"}, "got int"),
        ({"source": "variable", "value": "mapping"}, "a mapping is one row"),
        ({"source": "file", "value": ""}, "name it first"),
        ({"source": "file", "value": "no.csv"}, "no.csv"),
        ({"source": "file", "value": "a\0b.csv"}, "not the name of a file"),
        ({"source": "file", "value": "~nobody-of-that-name/x.csv"}, "nobody-of-that-name"),
        ({"source": "lines", "value": "One", "field": "unknown"}, None),
        ({"source": "lines", "value": "One", "field": ["prompt"]}, None),
    ],
)
def test_what_cannot_be_a_batch(
    form: RunForm, page: PageOf, notebook: dict[str, Any], asked: dict[str, Any], message: str | None
) -> None:
    notebook |= {"df": pandas.DataFrame({"a": ["x"]}), "number": 5, "mapping": {"a": ["x"]}}
    seen = page(form)
    post(form, "batch", **{"field": "prompt", **asked})
    if message is None:
        done(form, seen)
        return
    assert list(form.errors) == ["batch.value"]
    assert message in form.errors["batch.value"]
    assert focused(seen) == ["batch.value"]
    assert form.results is None


def test_bad_rows_are_told_by_number_before_anything_starts(
    form: RunForm, page: PageOf, notebook: dict[str, Any], ask: Ask
) -> None:
    notebook["rows"] = [{"prompt": "One"}, {"prompt": "Two", "n": 9}, {"promt": "Three"}]
    ask(form, "batch", source="variable", value="rows", field="prompt")
    message = form.errors["batch.value"]
    assert "row 2" in message
    assert "at most 5" in message
    assert "row 3" in message
    assert form.results is None
    assert page(form).state["batch"] == {}


def test_what_is_wrong_with_the_other_controls_stands_there(form: RunForm, ask: Ask) -> None:
    key = form.workflow
    asked: dict[str, Any] = {"source": "lines", "value": "One", "field": "prompt"}
    ask(form, "batch", **asked, values={key: {"n": "x"}})
    assert list(form.errors) == ["n"]
    ask(form, "batch", **asked, values={}, overrides={key: {"temperature": "-1"}})
    assert list(form.errors) == ["parameters.temperature"]
    ask(form, "batch", **asked, overrides={key: {"seed": "x", "seed_locked": True}})
    assert list(form.errors) == ["parameters.seed"]
    assert form.results is None


def test_a_row_that_fails_leaves_the_others_alone_and_can_be_tried_again(form: RunForm, page: PageOf, ask: Ask) -> None:
    seen = page(form)
    ask(form, "batch", source="lines", value=f"One\n{'word ' * 400}\nThree", field="prompt")
    batch = done(form, seen)
    standing = seen.state["batch"]
    assert [row["state"] for row in standing["rows"]] == ["completed", "failed", "completed"]
    assert standing["line"] == "3 of 3 · 1 failed"
    assert "shorten the prompt" in standing["rows"][1]["text"]
    texts = [row.text for row in batch.rows]
    before = len(seen.updates)
    ask(form, "batch-retry")
    seen.wait(lambda: any(update.get("batch", {}).get("done") for update in seen.updates[before:]), "it was retried")
    assert batch.wait(PATIENCE)
    assert form.results is batch
    assert [row.text for row in batch.rows] == texts


def test_stopping_and_going_on(
    opened: Opened, runtime: Runtime, models: Models, page: PageOf, ask: Ask, gate: Gate
) -> None:
    form = opened(load(text=document(models.endless), runtime=runtime))
    seen = page(form)
    ask(form, "batch", source="lines", value=f"{FIRST_LINE}\n{FIRST_LINE}", field="prompt")
    batch = form.results
    seen.wait(lambda: any(row["state"] == "processing" for message in seen.of_type("rows") for row in message["rows"]))
    gate.at_token(batch.current, 20)
    assert gate.reached.wait(PATIENCE)
    ask(form, "batch", source="lines", value="One", field="prompt")
    assert form.errors == {"": "a batch is running; stop it first, or wait"}
    ask(form, "batch-stop")
    gate.open()
    assert done(form, seen) is batch
    assert [row.state for row in batch.rows] == ["cancelled"] * 2
    assert seen.state["batch"]["line"] == "0 of 2 · 2 stopped"
    ask(form, "batch-retry")
    assert seen.state["batch"]["done"] is False
    ask(form, "batch-stop")
    assert done(form, seen) is batch


def test_stopping_and_trying_again_without_a_batch(form: RunForm, page: PageOf, ask: Ask) -> None:
    ask(form, "batch-stop")
    ask(form, "batch-retry")
    assert page(form).messages == []
    ask(form, "batch-save", name="results")
    assert form.errors == {"": "there are no results yet"}


@pytest.fixture
def batched(form: RunForm, page: PageOf) -> RunForm:
    """A form with results."""
    post(form, "batch", source="lines", value="One\nTwo", field="prompt")
    done(form, page(form))
    return form


def test_results_become_a_variable(batched: RunForm, page: PageOf, ask: Ask, notebook: dict[str, Any]) -> None:
    ask(batched, "batch-save", name=" results ")
    frame = notebook["results"]
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["prompt"]) == ["One", "Two"]
    assert page(batched).of_type("saved") == [{"type": "saved", "name": "results"}]


@pytest.mark.parametrize("name", ["", "1a", "a b", "class", "a.b", "a=1"])
def test_names_that_are_none(batched: RunForm, notebook: dict[str, Any], name: str) -> None:
    post(batched, "batch-save", name=name)
    assert list(batched.errors) == ["batch.name"]
    assert notebook == {}
    post(batched, "batch-save", name="results")
    assert batched.errors == {}, "the same error is a change again"


def test_without_pandas_results_are_a_table(
    batched: RunForm, notebook: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    post(batched, "batch-save", name="results")
    assert [row["prompt"] for row in notebook["results"]] == ["One", "Two"]


def test_the_variables_on_offer(form: RunForm, page: PageOf, ask: Ask, notebook: dict[str, Any]) -> None:
    notebook |= {"names": ["a"], "empty": [], "_hidden": ["a"], "n": 5, "df": pandas.DataFrame({"a": [1]}), "In": ["x"]}
    ask(form, "variables")
    assert page(form).of_type("variables") == [{"type": "variables", "names": ["names", "df", 'df["a"]']}]


def test_a_second_view_gets_all_rows(batched: RunForm, page: PageOf, ask: Ask) -> None:
    seen = page(batched)
    before = len(seen.of_type("rows"))
    ask(batched, "sync")
    (message,) = seen.of_type("rows")[before:]
    assert [row["number"] for row in message["rows"]] == [1, 2]


def test_rows_are_told_when_they_change_and_not_otherwise(form: RunForm, page: PageOf) -> None:
    seen = page(form)
    post(form, "batch", source="lines", value="\n".join(f"row {number}" for number in range(30)), field="prompt")
    done(form, seen)
    told = [(row["number"], row["state"]) for message in seen.of_type("rows")[1:] for row in message["rows"]]
    assert len(told) == len(set(told)), "nothing is told twice"
    assert {number for number, state in told if state == "completed"} == set(range(1, 31))


def test_the_browser_gets_so_many_rows_and_a_variable_all(
    form: RunForm, page: PageOf, notebook: dict[str, Any]
) -> None:
    count = SHOWN_ROWS + 5
    key = form.workflow
    lines = "\n".join("x" * 2 for _ in range(count))
    post(form, "batch", source="lines", value=lines, field="prompt", overrides={key: {"max_output_length": "1"}})
    done(form, page(form))
    standing = page(form).state["batch"]
    assert (len(standing["rows"]), standing["total"]) == (SHOWN_ROWS, count)
    post(form, "batch-save", name="results")
    assert len(notebook["results"]) == count


def test_single_runs_go_on_beside_a_batch(opened: Opened, runtime: Runtime, models: Models, page: PageOf) -> None:
    form = opened(load(text=document(models.poet), runtime=runtime))
    seen = page(form)
    post(form, "batch", source="lines", value=f"{FIRST_LINE}\n{FIRST_LINE}", field="prompt")
    post(form, "run", values={form.workflow: {"prompt": FIRST_LINE}})
    (run,) = form.runs
    seen.wait_done(run.id)
    assert seen.text == POEM
    assert [row.state for row in done(form, seen).rows] == ["completed", "completed"]
    assert seen.gaps == []


def test_a_form_that_is_closed_lets_its_batch_go_on(opened: Opened, runtime: Runtime, models: Models) -> None:
    form = opened(load(text=document(models.poet), runtime=runtime))
    post(form, "batch", source="lines", value=f"{FIRST_LINE}\n{FIRST_LINE}", field="prompt")
    batch = form.results
    form.close()
    assert batch.wait(PATIENCE)
    assert [row.state for row in batch.rows] == ["completed", "completed"]


def test_without_a_notebook_there_are_no_variables(opened: Opened, scripted: Scripted, page: PageOf) -> None:
    form = opened(scripted)
    post(form, "variables")
    assert page(form).of_type("variables") == [{"type": "variables", "names": []}]
