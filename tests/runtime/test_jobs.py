"""Jobs: order, parallel ones, repetition, batches, and what their outputs become."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from mcnb.errors import InvalidInputError
from mcnb.models.engine import engine
from mcnb.runtime import Compose, Runtime, load
from tests.support.runs import FIRST_LINE, Gate, Models, job_events
from tests.support.texts import POEM

Make = Callable[..., Compose]

PATIENCE = 60


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prompts that models are called with, in order."""
    prompts: list[str] = []
    prepare = engine.prepare

    def noting(loaded: Any, prompt: str, *arguments: Any, **options: Any) -> Any:
        prompts.append(prompt)
        return prepare(loaded, prompt, *arguments, **options)

    monkeypatch.setattr(engine, "prepare", noting)
    return prompts


BATCH = """
workflow:
  title: Batch Text Generation
  jobs:
    - id: generate-multiple
      component: text-generator
      repeat_count: ${input.batch_size}
      input:
        prompt: ${input.prompts[${index}]}
component:
  id: text-generator
  model: MODEL
  text: ${input.prompt}
  params: {max_output_length: 2}
"""


def batch(models: Models, runtime: Runtime) -> Compose:
    return load(text=BATCH.replace("MODEL", str(models.poet)), runtime=runtime)


def test_the_batch_of_the_guide(runtime: Runtime, models: Models, seen: list[str]) -> None:
    run = batch(models, runtime).run(input={"batch_size": 3, "prompts": ["a", "b", "c"]})
    assert seen == ["a", "b", "c"]
    assert isinstance(run.output, list)
    assert [text[0] for text in run.output] == ["a", "b", "c"]
    assert [item.item for item in run.record.generations] == [0, 1, 2]
    assert [event.data.get("item") for event in job_events(run)] == [None, 0, 1, 2, None]
    assert [event.data.get("items") for event in job_events(run)] == [None, 3, 3, 3, None]
    assert runtime.cache.loads == 1


@pytest.mark.parametrize("count", ["2", 2.0, 2])
def test_a_count_may_be_written_as_text(runtime: Runtime, models: Models, seen: list[str], count: Any) -> None:
    batch(models, runtime).run(batch_size=count, prompts=["a", "b", "c"])
    assert seen == ["a", "b"]


def test_a_count_of_zero_calls_and_loads_nothing(runtime: Runtime, models: Models, seen: list[str]) -> None:
    run = batch(models, runtime).run(batch_size=0, prompts=[])
    assert run.output == []
    assert seen == []
    assert runtime.cache.loads == 0
    assert run.record.usage.total_tokens == 0


@pytest.mark.parametrize("count", [-1, 1.5, "many", True, 10**6, [1]])
def test_a_count_that_is_none(runtime: Runtime, models: Models, count: Any) -> None:
    run = batch(models, runtime).submit(batch_size=count, prompts=["a"])
    with pytest.raises(InvalidInputError, match="'generate-multiple': repeat_count"):
        run.result(PATIENCE)
    assert runtime.cache.loads == 0


def test_a_prompt_that_is_missing_is_told_before_the_model_is_loaded(runtime: Runtime, models: Models) -> None:
    run = batch(models, runtime).submit(batch_size=3, prompts=["a", "b"])
    with pytest.raises(InvalidInputError, match=r"'generate-multiple', index 2: the prompt is missing"):
        run.result(PATIENCE)
    assert runtime.cache.loads == 0


def test_index_is_rendered_for_each_repetition(runtime: Runtime, models: Models, seen: list[str]) -> None:
    text = BATCH.replace("MODEL", str(models.poet)).replace("${input.prompts[${index}]}", "'Item ${index}: '")
    load(text=text, runtime=runtime).run(batch_size=3)
    assert seen == ["Item 0: ", "Item 1: ", "Item 2: "]


def test_a_list_of_prompts_gives_a_list(compose: Make, models: Models, seen: list[str]) -> None:
    run = compose(models.poet, text=["${input.a}", "and ${input.b}", "c"], params={"max_output_length": 1}).run(
        a=1, b=2
    )
    assert seen == ["1", "and 2", "c"]
    assert [text[: len(prompt)] for text, prompt in zip(run.output, seen, strict=True)] == seen


def test_an_empty_list_of_prompts(compose: Make, models: Models) -> None:
    assert compose(models.poet, text="${input.prompts}").run(prompts=[]).output == []


CHAIN = """
workflow:
  jobs:
    - id: last
      depends_on: [left, right]
      component: writer
      input: {prompt: "${jobs.left.output} & ${jobs.right.output.text}"}
    - {id: left, depends_on: [first], component: writer, input: {prompt: "left"}}
    - {id: right, depends_on: [first], component: writer, input: {prompt: "right"}, output: {text: "${output}"}}
    - {id: first, component: writer, input: {prompt: "first"}}
  output:
    whole: ${output}
    left: ${jobs.left.output}
    right: ${jobs.right.output.text}
component:
  id: writer
  model: MODEL
  text: ${input.prompt}
  params: {max_output_length: 1}
  output: "[${result}]"
"""


def test_jobs_start_when_those_they_wait_for_are_done(runtime: Runtime, models: Models, seen: list[str]) -> None:
    run = load(text=CHAIN.replace("MODEL", str(models.poet)), runtime=runtime).run()
    assert seen[0] == "first"
    assert sorted(seen[1:3]) == ["left", "right"]
    assert seen[3] == f"{run.output['left']} & {run.output['right']}"
    assert run.output["left"].startswith("[left")
    assert run.output["whole"].startswith("[[left")
    done = [event.data["job"] for event in job_events(run) if event.data["state"] == "completed"]
    assert done[0] == "first"
    assert done[-1] == "last"


PARALLEL = """
workflow:
  jobs:
    - {id: one, component: a, input: {prompt: "one"}}
    - {id: two, component: b, input: {prompt: "two"}}
components:
  - {id: a, model: ONE, text: "${input.prompt}"}
  - {id: b, model: TWO, text: "${input.prompt}", params: {max_output_length: 1}}
"""


def test_independent_jobs_run_at_the_same_time(runtime: Runtime, models: Models) -> None:
    text = PARALLEL.replace("ONE", str(models.poet)).replace("TWO", str(models.dice))
    run = load(text=text, runtime=runtime).submit()
    two_done = threading.Event()

    def one_waits_for_two() -> None:
        if {"job": "two", "state": "completed"} in [event.data for event in job_events(run)]:
            two_done.set()
        elif run.events_after(0)[-1].data.get("job") == "one" and threading.current_thread().name.endswith("poet"):
            assert two_done.wait(PATIENCE)

    run.listen(one_waits_for_two)
    assert run.wait(PATIENCE)
    one, two = run.output
    assert one.startswith("one")
    assert two.startswith("two")


def test_outputs_of_several_last_jobs_merge_when_they_are_mappings(runtime: Runtime, models: Models) -> None:
    text = PARALLEL.replace("ONE", str(models.poet)).replace("TWO", str(models.poet))
    text = text.replace('{prompt: "one"}}', '{prompt: "one"}, output: {first: "${output}"}}')
    text = text.replace('{prompt: "two"}}', '{prompt: "two"}, output: {second: "${output}"}}')
    output = load(text=text, runtime=runtime).run().output
    assert set(output) == {"first", "second"}


def test_a_failed_job_stops_its_siblings(runtime: Runtime, models: Models, gate: Gate) -> None:
    text = PARALLEL.replace("ONE", str(models.endless)).replace("TWO", "./nowhere")
    loaded = load(text=text, runtime=runtime)
    run = loaded.submit()
    assert run.wait(PATIENCE)
    assert run.state == "failed"
    assert run.error is not None
    assert run.error.code == "model_not_found"
    ends = {event.data["job"]: event.data["state"] for event in job_events(run)}
    assert ends == {"one": "cancelled", "two": "failed"}
    assert all(not owner.waiting for owner in runtime.cache.loaded())
    assert run.events_after(0)[-1].data["state"] == "failed"


def test_a_job_behind_a_failed_one_never_starts(runtime: Runtime, models: Models, seen: list[str]) -> None:
    text = CHAIN.replace("MODEL", "./nowhere")
    run = load(text=text, runtime=runtime).submit()
    assert run.wait(PATIENCE)
    assert [event.data["job"] for event in job_events(run)] == ["first", "first"]
    assert seen == []


def test_the_action_output_sees_its_input(compose: Make, models: Models) -> None:
    run = compose(models.poet, output={"of": "${input.prompt}", "is": "${result}"}).run(prompt=FIRST_LINE)
    assert run.output == {"of": FIRST_LINE, "is": POEM}


def test_the_default_workflow_of_several(runtime: Runtime, models: Models) -> None:
    text = f"""
workflows:
  - {{id: a, jobs: [{{component: m, input: {{prompt: a}}}}]}}
  - {{id: b, default: true, jobs: [{{component: m, input: {{prompt: b}}}}]}}
component: {{id: m, model: {models.poet}, text: "${{input.prompt}}", params: {{max_output_length: 1}}}}
"""
    loaded = load(text=text, runtime=runtime)
    assert loaded.run().output.startswith("b")
    assert loaded.run("a").output.startswith("a")
    with pytest.raises(InvalidInputError, match="no workflow 'c'"):
        loaded.run("c")
