"""Rows on Ray: the same texts as in this process, one row out for each row in, nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcnb.batch import Job, Output, Source, Watch
from mcnb.batch.journal import journal_path
from mcnb.batch.on_ray import OnRay
from mcnb.errors import McnbError, ModelNotFoundError
from mcnb.runtime import Compose
from tests.batch.conftest import Run
from tests.batch.test_job import DICE, HOW, Stop, lines_of, read, stopping_after
from tests.support.runs import Models

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray warns of its own settings

Make = Callable[..., Compose]

PATIENCE = 120

ROWS = [
    {"prompt": f"{number} is", "n": 1 + number % 5 if number % 10 else 0, "id": f"k{number}"} for number in range(60)
]


def on_ray(loaded: Compose, rows: Any, out: Path, *, workers: int = 2, watch: Watch | None = None, **more: Any) -> Any:
    source = Source(rows, loaded.document.inputs(), key="id")
    return Job(loaded.document, source, Output(out), **more).run(OnRay(workers=workers, batch_size=8), watch)


def without_how(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in HOW} for row in rows]


def test_the_rows_are_those_of_this_process(
    ray_here: Any, compose: Make, models: Models, run: Run, tmp_path: Path
) -> None:
    loaded = compose(models.dice, **DICE)
    run(loaded, ROWS, tmp_path / "local.jsonl", key="id", seed=3)
    with pytest.raises(Stop):
        on_ray(loaded, ROWS, tmp_path / "ray.jsonl", seed=3, watch=stopping_after(5))
    done = len(lines_of(journal_path(tmp_path / "ray.jsonl")))
    assert 5 <= done < 60
    standing = on_ray(loaded, ROWS, tmp_path / "ray.jsonl", resume=True)
    assert (standing.finished, standing.fresh, standing.failed) == (60, 60 - done, 6)
    found = read(tmp_path / "ray.jsonl")
    assert without_how(found) == without_how(read(tmp_path / "local.jsonl"))
    assert {row["worker"][:2] for row in found} == {"1-", "2-"}
    assert len({row["worker"] for row in found if row["worker"][0] == "2"}) <= 2


def test_a_batch_of_a_notebook(ray_here: Any, compose: Make, models: Models) -> None:
    loaded = compose(models.dice, **DICE)
    rows = [{"prompt": row["prompt"], "n": row["n"]} for row in ROWS[:20]]
    here = loaded.batch(rows, seed=7)
    away = loaded.batch(rows, seed=7, engine="ray", workers=1, batch_size=4)
    assert here.wait(PATIENCE)
    assert away.wait(PATIENCE)
    assert list(away.table()) == list(here.table())
    assert [row.number for row in away.failed] == [1, 11]
    row = away.rows[2]
    assert row.record is not None
    assert loaded.repeat(json.loads(json.dumps(row.record.to_dict()))).output == row.output
    away.retry()
    assert away.wait(PATIENCE)
    assert [row.number for row in away.failed] == [1, 11]
    assert "Error" not in repr(away)


def test_a_batch_can_be_cancelled(ray_here: Any, compose: Make, models: Models) -> None:
    batch = compose(models.endless, max_output_length=1000).batch(["Tyger"] * 200, engine="ray", workers=1)
    batch.cancel()
    assert batch.wait(PATIENCE)
    assert batch.state == "cancelled"
    assert {row.state for row in batch.rows} <= {"cancelled", "completed"}


def test_a_model_that_is_not_there_ends_the_job(ray_here: Any, compose: Make, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no row can be computed"):
        on_ray(compose(tmp_path / "nowhere"), [{"prompt": "a", "id": n} for n in range(20)], tmp_path / "out.csv")


def test_more_workers_than_there_are_processors(ray_here: Any, compose: Make, models: Models, tmp_path: Path) -> None:
    with pytest.raises(McnbError, match="3 workers need a CPU each, and the Ray cluster has 2; ask for fewer"):
        on_ray(compose(models.dice, **DICE), ROWS, tmp_path / "out.csv", workers=3)
