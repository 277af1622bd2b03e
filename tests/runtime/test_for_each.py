"""``for-each``: a call for every item, some at once, results in order."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import ContextOverflowError, InvalidInputError
from mcnb.models.owner import ModelOwner
from mcnb.runtime import Compose, Run, Runtime, load
from tests.support.runs import FIRST_LINE, Gate, Models, job_events
from tests.support.workflows import PATIENCE, ends, says, workflow


def for_each(runtime: Runtime, model: Path | str, do: dict[str, Any] | None = None, **more: Any) -> Compose:
    job = {"id": "all", "type": "for-each", "input": "${input.items}", **more}
    job["do"] = {"component": "m", "input": {"said": "${item}"}, **(do or {})}
    return workflow(runtime, [job], model=model)


@pytest.fixture
def in_hand(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many generations the model had in hand whenever it was given one, the new one included."""
    found: list[int] = []
    submitted: list[Any] = []
    submit = ModelOwner.submit

    def counting(self: ModelOwner, *arguments: Any, **options: Any) -> Any:
        generation = submit(self, *arguments, **options)
        found.append(1 + sum(not generation.future.done() for generation in submitted))
        submitted.append(generation)
        return generation

    monkeypatch.setattr(ModelOwner, "submit", counting)
    return found


def items_told(run: Run) -> list[tuple[int, int]]:
    return [(event.data["item"], event.data["items"]) for event in job_events(run) if "item" in event.data]


def test_an_output_for_every_item_in_order(runtime: Runtime, models: Models) -> None:
    items = ["b", "a", "c"]
    run = for_each(runtime, models.poet).run(items=items)
    assert [text[0] for text in run.output] == items
    assert [item.prompt for item in run.record.generations] == items
    assert [item.item for item in run.record.generations] == [0, 1, 2]
    assert items_told(run) == [(0, 3), (1, 3), (2, 3)]
    assert ends(run) == {"all": "completed"}
    assert runtime.cache.loads == 1


def test_no_items_need_no_model(runtime: Runtime) -> None:
    run = for_each(runtime, "./nowhere", output={"all": "${output}"}).run(items=[])
    assert run.output == {"all": []}
    assert items_told(run) == []
    assert runtime.cache.loads == 0


def test_one_item(runtime: Runtime, models: Models) -> None:
    run = for_each(runtime, models.poet).run(items=["a"])
    assert len(run.output) == 1
    assert items_told(run) == [(0, 1)]


def test_a_thousand_items(runtime: Runtime, models: Models) -> None:
    items = [str(number) for number in range(1000)]
    run = for_each(runtime, models.poet, {"output": "${index}"}).run(items=items)
    assert run.output == list(range(1000))
    assert [item.prompt for item in run.record.generations] == items
    assert items_told(run) == [(number, 1000) for number in range(1000)]
    assert runtime.cache.loads == 1


def test_item_and_index_everywhere(runtime: Runtime, models: Models) -> None:
    do = {
        "input": {"said": "${index}: ${item.name}"},
        "output": {"name": "${item.name}", "at": "${index}", "text": "${output}"},
    }
    loaded = for_each(runtime, models.poet, do, output={"count": "${output[-1].at}", "all": "${output}"})
    run = loaded.run(items=[{"name": "x"}, {"name": "y"}])
    assert [item.prompt for item in run.record.generations] == ["0: x", "1: y"]
    assert run.output["count"] == 1
    assert [(item["name"], item["at"], item["text"][:4]) for item in run.output["all"]] == [
        ("x", 0, "0: x"),
        ("y", 1, "1: y"),
    ]


def test_without_an_input_the_item_is_it(runtime: Runtime, models: Models) -> None:
    run = for_each(runtime, models.poet, {"input": None}).run(items=[{"said": "a"}, {"said": "b"}])
    assert [item.prompt for item in run.record.generations] == ["a", "b"]


def test_the_items_of_another_job(runtime: Runtime, models: Models) -> None:
    parts = says("parts", ["a", "b"])
    job = {"id": "all", "type": "for-each", "input": "${jobs.parts.output}", "depends_on": ["parts"]}
    job["do"] = {"component": "m", "input": {"said": "${item}"}}
    join = says("join", "${jobs.all.output[1]}", depends_on=["all"])
    assert workflow(runtime, [parts, job, join], model=models.poet).run().output.startswith("b")


@pytest.mark.parametrize(("size", "most"), [(1, 1), (3, 3), ("${input.size}", 2), (None, 7)])
def test_how_many_the_model_has_at_once(
    runtime: Runtime, models: Models, in_hand: list[int], size: Any, most: int
) -> None:
    run = for_each(runtime, models.poet, batch_size=size).run(
        items=list("abcdefg"), **({"size": 2} if size == "${input.size}" else {})
    )
    assert [text[0] for text in run.output] == list("abcdefg")
    assert len(in_hand) == 7
    assert max(in_hand) <= most


def test_no_more_are_in_hand_than_the_document_says(
    runtime: Runtime, models: Models, in_hand: list[int], gate: Gate
) -> None:
    run = for_each(runtime, models.endless, batch_size=3).submit(items=list("abcde"))
    gate.at_token(run, 1)
    assert gate.reached.wait(PATIENCE)
    assert {item.item for item in run.record.generations} == {0, 1, 2}
    gate.open()
    assert run.wait(PATIENCE)
    assert len(in_hand) == 5
    assert max(in_hand) == 3


@pytest.mark.parametrize("size", [0, -1, "many", 1.5])
def test_a_size_that_is_none(runtime: Runtime, models: Models, size: Any) -> None:
    run = for_each(runtime, models.poet, batch_size="${input.size}").submit(items=["a"], size=size)
    with pytest.raises(InvalidInputError, match="'all': batch_size"):
        run.result(PATIENCE)


@pytest.mark.parametrize(("items", "problem"), [("a", "expected"), (5, "expected"), ({"a": 1}, "expected")])
def test_what_is_no_list(runtime: Runtime, items: Any, problem: str) -> None:
    job = {"id": "all", "type": "for-each", "input": items, "do": {"component": "m", "input": {"said": "${item}"}}}
    run = workflow(runtime, [job]).submit()
    with pytest.raises(InvalidInputError, match=f"'all': input: {problem}"):
        run.result(PATIENCE)


def test_a_list_that_is_missing(runtime: Runtime) -> None:
    job = {"id": "all", "type": "for-each", "input": "${jobs.a.output}", "depends_on": ["a"]}
    job["do"] = {"component": "m", "input": {"said": "${item}"}}
    run = workflow(runtime, [{"id": "a", "type": "delay", "duration": 0}, job]).submit()
    with pytest.raises(InvalidInputError, match="'all': input is missing; it has to be a list"):
        run.result(PATIENCE)


@pytest.mark.parametrize("size", [1, 2, 16])
def test_an_error_in_the_third_item(runtime: Runtime, models: Models, size: int) -> None:
    items = ["a", "b", FIRST_LINE * 40, "c", "d"]
    run = for_each(runtime, models.dice, batch_size=size).submit(items=items)
    with pytest.raises(ContextOverflowError, match="'all', index 2: "):
        run.result(PATIENCE)
    assert run.state == "failed"
    assert ends(run) == {"all": "failed"}
    begun = [item.item for item in run.record.generations]
    assert items_told(run)[:2] == [(0, 5), (1, 5)]
    assert begun[:3] == [0, 1, 2]
    if size == 1:  # of more, the next has maybe begun by then
        assert items_told(run) == [(0, 5), (1, 5)]
        assert len(begun) == 3
    assert runtime.cache.unload() == 1, "nobody holds the model any more"


def test_a_missing_value_in_an_item_is_told_before_the_model_is_loaded(runtime: Runtime, models: Models) -> None:
    run = for_each(runtime, models.poet, {"input": {"said": "${item.name}"}}).submit(items=[{"name": "a"}, {}])
    with pytest.raises(InvalidInputError, match="'all', index 1: the prompt is missing"):
        run.result(PATIENCE)
    assert runtime.cache.loads == 0


def test_cancelled_in_the_middle(runtime: Runtime, models: Models, gate: Gate) -> None:
    run = for_each(runtime, models.poet).submit(items=[str(number) for number in range(50)])
    third = threading.Event()

    def listener() -> None:
        if not third.is_set() and (2, 50) in items_told(run):
            third.set()
            gate.stop_here()

    run.listen(listener)
    assert gate.reached.wait(PATIENCE)
    run.cancel()
    gate.open()
    assert run.wait(PATIENCE)
    assert run.state == "cancelled"
    assert ends(run) == {"all": "cancelled"}
    assert items_told(run)[-1] == (2, 50)
    assert all(not owner.waiting for owner in runtime.cache.loaded())
    assert runtime.cache.unload() == 1


def test_the_status_counts_items(runtime: Runtime, models: Models, gate: Gate) -> None:
    run = for_each(runtime, models.poet).submit(items=["a", "b", "c"])
    third = threading.Event()

    def listener() -> None:
        last = run.events_after(0)[-1]
        if not third.is_set() and last.type == "prompt" and last.data["item"] == 1:
            third.set()
            gate.stop_here()

    run.listen(listener)
    assert gate.reached.wait(PATIENCE)
    assert (run.status.item, run.status.items) == (2, 3)
    assert run.status.line().startswith("all 2 of 3: reading the prompt")
    gate.open()
    assert run.wait(PATIENCE)


def test_seeds_do_not_depend_on_how_many_are_handed_over(runtime: Runtime, models: Models) -> None:
    document = {
        "workflow": {
            "jobs": [
                {
                    "id": "all",
                    "type": "for-each",
                    "input": list("aaa"),
                    "batch_size": "${input.size as integer}",
                    "do": {"component": "m", "input": {"said": "${item}"}},
                }
            ]
        },
        "component": {"id": "m", "model": str(models.dice), "text": "${input.said}", "max_output_length": 8},
    }
    loaded = load(text=json.dumps(document), runtime=runtime)
    one = loaded.run(size=1, seed=7)
    assert loaded.run(size=3, seed=7).output == one.output
    assert len(set(one.output)) == 3
    assert loaded.repeat(one.record).output == one.output


def test_an_interruption_shows_all_inputs(runtime: Runtime, models: Models) -> None:
    run = for_each(runtime, models.poet, {"output": "${item}=${output}"}, interrupt={"before": True}).submit(
        items=["a", "b"]
    )
    assert run.settle(PATIENCE)
    assert run.interruption is not None
    assert run.interruption.value == [{"said": "a"}, {"said": "b"}]
    run.resume(["x", {"said": "b"}])
    assert [text[:3] for text in run.result(PATIENCE)] == ["a=x", "b=b"]


def test_repetitions_and_lists_of_prompts_are_handed_over_together_too(
    runtime: Runtime, models: Models, in_hand: list[int]
) -> None:
    job = {"component": "m", "repeat_count": 2, "input": {"said": "${index}"}}
    component = {
        "id": "m",
        "model": str(models.poet),
        "text": ["a${input.said}", "b${input.said}"],
        "max_output_length": 1,
    }
    text = json.dumps({"workflow": {"job": job}, "component": {**component, "batch_size": 3}})
    run = load(text=text, runtime=runtime).run()
    assert [[one[:2] for one in two] for two in run.output] == [["a0", "b0"], ["a1", "b1"]]
    assert max(in_hand) <= 3
    assert items_told(run) == [(0, 2), (1, 2)]
