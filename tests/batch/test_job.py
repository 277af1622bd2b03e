"""Jobs in this process: one row out for each row in, whatever happens on the way."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcnb.batch import Standing, Watch
from mcnb.batch.journal import journal_path
from mcnb.errors import InvalidInputError, ModelNotFoundError
from mcnb.runtime import Compose
from mcnb.runtime.batch_row import row_seed
from tests.batch.conftest import Run
from tests.support.runs import Models

Make = Callable[..., Compose]

DICE: dict[str, Any] = {
    "max_output_length": "${input.n as integer | 4}",
    "params": {"temperature": 1.5, "top_k": 0, "top_p": 1.0},
}
HOW = ("worker", "began", "ended")


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_bytes().splitlines()]
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    import pyarrow.parquet

    return list(pyarrow.parquet.read_table(path).to_pylist())


def texts(path: Path) -> list[Any]:
    return [row["output"] for row in read(path)]


class Stop(Exception):  # noqa: N818 - it stops a job
    """What a test stops a job with."""


def stopping_after(rows: int) -> Watch:
    def look(standing: Standing) -> None:
        if standing.fresh >= rows:
            raise Stop

    return Watch(progress=look)


def test_a_row_for_each_row_in_order(compose: Make, models: Models, run: Run, tmp_path: Path) -> None:
    rows = [{"prompt": f"{number} is", "n": number % 4} for number in range(30)]
    out = tmp_path / "out.jsonl"
    standing = run(compose(models.dice, **DICE), rows, out, seed=7)
    assert (standing.finished, standing.failed) == (30, 8)
    found = read(out)
    assert [row["row"] for row in found] == list(range(1, 31))
    assert [row["prompt"] for row in found] == [row["prompt"] for row in rows]
    for number, row in enumerate(found, 1):
        if rows[number - 1]["n"] == 0:
            assert (row["state"], row["output"], row["error.code"]) == ("failed", None, "invalid_input")
            assert "max_output_length" in row["error.message"]
        else:
            assert (row["state"], row["error.code"], row["error.message"]) == ("completed", None, None)
            assert row["output"].startswith(row["prompt"])
            assert row["output_tokens"] == row["n"]
            assert row["finish_reason"] == "max_output_length"
            assert row["seed"] == row_seed(7, number)


def test_the_texts_are_those_of_compose_batch(compose: Make, models: Models, run: Run, tmp_path: Path) -> None:
    loaded = compose(models.dice, **DICE)
    batch = loaded.batch(["a"] * 9, seed=3)
    assert batch.wait(60)
    run(loaded, ["a"] * 9, tmp_path / "out.jsonl", seed=3, width=2)
    assert texts(tmp_path / "out.jsonl") == [row.text for row in batch.rows]


def test_a_key_gives_the_seed_whatever_the_order(compose: Make, models: Models, run: Run, tmp_path: Path) -> None:
    loaded = compose(models.dice, **DICE)
    rows = [{"prompt": "a", "id": f"k{number}"} for number in range(12)]
    run(loaded, rows, tmp_path / "one.jsonl", seed=1, key="id")
    run(loaded, rows[::-1], tmp_path / "two.jsonl", seed=1, key="id", width=3)
    one = {row["id"]: row["output"] for row in read(tmp_path / "one.jsonl")}
    assert one == {row["id"]: row["output"] for row in read(tmp_path / "two.jsonl")}
    assert len(set(one.values())) > 6


def test_what_was_computed_together_is_kept(compose: Make, models: Models, run: Run, tmp_path: Path) -> None:
    run(compose(models.dice, **DICE), ["a"] * 10, tmp_path / "out.jsonl", width=3)
    spans = [(row["began"], row["ended"]) for row in read(tmp_path / "out.jsonl")]
    assert sorted(number for span in spans for number in span) == list(range(1, 21))
    for moment in range(1, 21):
        assert sum(began <= moment < ended for began, ended in spans) <= 3


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_kinds_of_files(suffix: str, compose: Make, models: Models, run: Run, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    rows = [{"prompt": 'a,"b"\r\nc', "n": 2, "note": {"x": [1, None]}}, {"prompt": "d", "n": 0}]
    out = tmp_path / f"out{suffix}"
    run(compose(models.dice, **DICE), rows, out, keep=("note",), seed=1)
    first, second = read(out)
    assert first["prompt"] == 'a,"b"\r\nc'
    assert first["output"].startswith(first["prompt"])
    if suffix == ".csv":
        assert (first["n"], json.loads(first["note"]), second["note"]) == ("2", {"x": [1, None]}, "")
        assert (first["row"], second["output"]) == ("1", "")
    else:
        assert (first["n"], second["note"], second["output"], second["row"]) == (2, None, None, 2)
        assert (first["note"] if suffix == ".jsonl" else json.loads(first["note"])) == {"x": [1, None]}


def test_an_output_of_several_values_has_a_column_each(models: Models, run: Run, tmp_path: Path, runtime: Any) -> None:
    from mcnb.runtime import load

    document = {
        "workflow": {
            "jobs": [{"id": "j", "component": "m", "input": {"prompt": "${input.prompt}"}}],
            "output": {"text": "${jobs.j.output}", "state": "fine", "prompt": "${input.prompt}"},
        },
        "component": {"id": "m", "model": str(models.poet), "text": "${input.prompt as text}", "max_output_length": 1},
    }
    loaded = load(text=json.dumps(document), runtime=runtime)
    run(loaded, ["a"], tmp_path / "out.jsonl")
    (row,) = read(tmp_path / "out.jsonl")
    assert (row["state"], row["output.state"], row["prompt"], row["output.prompt"]) == ("completed", "fine", "a", "a")
    assert row["text"].startswith("a")


def test_a_folder_gets_a_file_for_each_file(compose: Make, models: Models, run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("prompt\nx\ny\n")
    (tmp_path / "in" / "b.jsonl").write_text('"z"\n')
    (tmp_path / "out").mkdir()
    run(compose(models.poet, max_output_length=1), tmp_path / "in", tmp_path / "out")
    assert [row["row"] for row in read(tmp_path / "out" / "a.csv")] == ["1", "2"]
    assert [row["row"] for row in read(tmp_path / "out" / "b.jsonl")] == [3]
    assert sorted(path.name for path in tmp_path.iterdir() if "home" not in path.name) == ["in", "out"]


def test_nothing_starts_with_a_wrong_row(compose: Make, models: Models, run: Run, tmp_path: Path) -> None:
    loaded = compose(models.dice, **DICE)
    with pytest.raises(InvalidInputError, match="row 2: the input 'prompt' is missing"):
        run(loaded, [{"prompt": "a"}, {}], tmp_path / "out.csv")
    assert loaded.runtime.cache.loads == 0
    assert not (tmp_path / "out.csv").exists()
    assert not journal_path(tmp_path / "out.csv").exists()


# --- going on ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def stopped(compose: Make, models: Models, run: Run, tmp_path: Path) -> tuple[Compose, Path]:
    """A job of 40 rows that was stopped on its way."""
    loaded, out = compose(models.dice, **DICE), tmp_path / "out.jsonl"
    with pytest.raises(Stop):
        run(loaded, ["a"] * 40, out, seed=5, watch=stopping_after(10))
    assert not out.exists()
    return loaded, out


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [found for line in path.read_bytes().splitlines() if "row" in (found := json.loads(line))]


def test_going_on_repeats_nothing(stopped: tuple[Compose, Path], run: Run, tmp_path: Path) -> None:
    loaded, out = stopped
    before = lines_of(journal_path(out))
    assert len(before) == 10
    kept = tmp_path / "kept"
    kept.hardlink_to(journal_path(out))
    standing = run(loaded, ["a"] * 40, out, resume=True, width=3)
    assert (standing.finished, standing.fresh) == (40, 30)
    lines = lines_of(kept)
    assert sorted(line["row"] for line in lines) == list(range(1, 41))
    assert lines[:10] == before
    assert {line["worker"] for line in lines} == {"1-local", "2-local"}
    assert not journal_path(out).exists()
    run(loaded, ["a"] * 40, tmp_path / "whole.jsonl", seed=5)
    assert texts(out) == texts(tmp_path / "whole.jsonl")


def test_beginning_anew_has_to_be_meant(stopped: tuple[Compose, Path], run: Run) -> None:
    loaded, out = stopped
    with pytest.raises(InvalidInputError, match="--resume goes on"):
        run(loaded, ["a"] * 40, out)


@pytest.mark.parametrize(
    ("rows", "options", "told"),
    [
        (["b"] * 40, {}, "the input is not the same"),
        (["a"] * 40, {"seed": 6}, "the seed is not the same"),
        (["a"] * 40, {"parameters": {"top_p": 0.5}}, "the parameters is not the same"),
        ([{"prompt": "a"}] * 40, {"drop": ("x",)}, "--drop"),
    ],
)
def test_another_job_is_not_gone_on_with(
    rows: Any, options: dict[str, Any], told: str, stopped: tuple[Compose, Path], run: Run
) -> None:
    loaded, out = stopped
    with pytest.raises(InvalidInputError, match="of another job") as caught:
        run(loaded, rows, out, resume=True, **options)
    assert told in str(caught.value)
    assert len(lines_of(journal_path(out))) == 10, "what was done is kept"


def test_a_complete_output_is_left_alone(compose: Make, models: Models, run: Run, tmp_path: Path) -> None:
    loaded, out = compose(models.dice, **DICE), tmp_path / "out.csv"
    run(loaded, ["a"], out, seed=1)
    whole = out.read_bytes()
    told: list[str] = []
    run(loaded, ["a"], out, resume=True, watch=Watch(tell=told.append))
    assert out.read_bytes() == whole
    assert told == [f"{out} is complete; there is nothing to do"]


def test_failed_rows_are_computed_again_when_asked_for(
    compose: Make, models: Models, run: Run, home: Path, tmp_path: Path
) -> None:
    """The model of every other row is not there at first."""
    text = f"""
workflow:
  jobs:
    - {{id: a, component: good, input: {{prompt: "${{input.prompt}}"}}, repeat_count: "${{input.good as integer}}"}}
    - {{id: b, component: bad, input: {{prompt: "${{input.prompt}}"}}, repeat_count: "${{input.bad as integer}}"}}
  output: done
components:
  - {{id: good, model: {models.poet}, text: "${{input.prompt as text}}", max_output_length: 1}}
  - {{id: bad, model: {home / "later"}, text: "${{input.prompt as text}}", max_output_length: 1}}
"""
    from mcnb.runtime import load

    loaded = load(text=text, runtime=compose(models.poet).runtime)
    rows = [{"prompt": "a", "good": 1, "bad": 0}, {"prompt": "b", "good": 0, "bad": 1}] * 2
    out = tmp_path / "out.jsonl"
    assert run(loaded, rows, out, seed=5).failed == 2
    assert [row["error.code"] for row in read(out)] == [None, "model_not_found"] * 2
    (home / "later").symlink_to(models.poet)
    standing = run(loaded, rows, out, retry_failed=True)
    assert (standing.finished, standing.fresh, standing.failed) == (4, 2, 0)
    assert [row["state"] for row in read(out)] == ["completed"] * 4
    assert not journal_path(out).exists()


def test_a_model_that_is_not_there_is_no_million_failed_rows(compose: Make, run: Run, tmp_path: Path) -> None:
    loaded = compose(tmp_path / "nowhere")
    with pytest.raises(ModelNotFoundError, match="no row can be computed"):
        run(loaded, ["a"] * 200, tmp_path / "out.csv")
    assert list(tmp_path.glob("out.csv*")) == [], "the same command computes them when the model is there"


@pytest.mark.parametrize("name", ["out.txt", "out", "none/out.csv"])
def test_where_nothing_can_be_written(name: str, compose: Make, models: Models, run: Run, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"not a file of rows|there is no folder"):
        run(compose(models.poet), ["a"], tmp_path / name)


def test_the_output_is_no_part_of_the_input(compose: Make, models: Models, run: Run, tmp_path: Path) -> None:
    loaded = compose(models.poet, max_output_length=1)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.csv").write_text("prompt\nx\n")
    for rows, out in ((folder / "a.csv", folder / "a.csv"), (folder, folder), (folder, folder / "b.csv")):
        with pytest.raises(InvalidInputError, match="among the input"):
            run(loaded, rows, out)
    assert (folder / "a.csv").read_text() == "prompt\nx\n"


def test_rows_that_are_done_are_let_go(compose: Make, models: Models, run: Run, tmp_path: Path) -> None:
    """Without the garbage collector, which comes late where there is as much as a model's library."""
    import gc

    from mcnb.runtime.events import EventLog

    loaded = compose(models.poet, max_output_length=1)
    run(loaded, ["a"], tmp_path / "first.csv")
    gc.collect()
    gc.disable()
    try:
        run(loaded, ["a"] * 200, tmp_path / "out.csv")
        assert sum(type(item) is EventLog for item in gc.get_objects()) <= 40
    finally:
        gc.enable()
