"""A record of a run of many ways, repeated: the same ways, the same texts, the same output."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcnb.runtime import Record, Run, Runtime, load
from tests.support.runs import Models
from tests.support.workflows import Clock, says, started

JOBS: list[dict[str, Any]] = [
    {"id": "draft", "component": "m", "input": {"said": "a"}},
    {"id": "dice", "type": "random-router", "routings": [{"to": "left"}, {"to": "right"}]},
    {"id": "left", "component": "m", "input": {"said": "left"}},
    {"id": "right", "component": "m", "input": {"said": "right"}, "repeat_count": 2},
    {"id": "bad", "component": "gone", "retry": 2, "on_error": {"to": "rescue", "output": "${error.message}"}},
    says("rescue", "rescued: ${jobs.bad.output}"),
    {
        "id": "all",
        "type": "for-each",
        "input": ["${jobs.left.output}", "${jobs.right.output[0]}", "${jobs.rescue.output}", "${jobs.draft.output}"],
        "do": {"component": "m", "input": {"said": "${item | nothing}"}},
        "depends_on": [["left", "right"], "rescue", "draft"],
    },
    {
        "id": "some",
        "type": "filter",
        "input": "${jobs.all.output}",
        "where": {"operator": "match", "value": "^(left|right|rescued|nothing)"},
        "depends_on": ["all"],
    },
    {
        "id": "again",
        "type": "if",
        "input": "${jobs.some.output}",
        "depends_on": ["some"],
        "conditions": [{"input": "${jobs.turns.output}", "operator": "neq", "value": "xxx", "if_true": "turns"}],
    },
    {**says("turns", "${jobs.turns.output}x"), "depends_on": ["draft"]},
]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_ways_and_texts(timed: Runtime, clock: Clock, models: Models, seed: int) -> None:
    jobs = [*JOBS]
    jobs[-2] = {**JOBS[-2], "depends_on": ["some", "turns"]}
    components = [
        {"id": "m", "model": str(models.dice), "text": "${input.said}", "max_output_length": 4},
        {"id": "gone", "model": "./nowhere", "text": "x"},
    ]
    output = {"some": "${jobs.some.output}", "turns": "${jobs.turns.output}", "said": "${output}"}
    loaded = load(
        text=json.dumps({"workflow": {"jobs": jobs, "output": output}, "components": components}), runtime=timed
    )
    run = loaded.run(seed=seed)
    assert run.output["turns"] == "xxx"
    assert run.output["some"]
    assert clock.slept.count(1) == 1
    again: Run = loaded.repeat(Record.from_dict(json.loads(json.dumps(run.record.to_dict()))))
    assert again.output == run.output
    assert again.record.output_sha256 == run.record.output_sha256
    assert clock.slept.count(1) == 1, "what failed then is not tried now"

    def ways(record: Record) -> list[Any]:
        return sorted((way.job, way.turn, way.to, way.after, str(way.error)) for way in record.ways)

    def texts(record: Record) -> list[Any]:
        return sorted(
            (item.job, item.turn, item.item, item.prompt, item.parameters["seed"]["value"])
            for item in record.generations
        )

    assert ways(again.record) == ways(run.record)
    assert texts(again.record) == texts(run.record)
    assert sorted(started(again)) == sorted(started(run))


def test_a_record_of_before_there_were_ways(timed: Runtime) -> None:
    loaded = load(
        text=json.dumps({"workflow": {"jobs": [says("a", "A")]}, "component": {"model": "./nowhere"}}), runtime=timed
    )
    record = loaded.run().record.to_dict()
    del record["ways"]
    assert loaded.repeat(Record.from_dict(record)).output == "A"
