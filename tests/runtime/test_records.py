"""Records: complete, JSON data, and repeatable."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mcnb
from mcnb.errors import InvalidInputError
from mcnb.models.parameters import DEFAULTS
from mcnb.runtime import Compose, Record, Runtime, load
from mcnb.runtime.provenance import sha256
from mcnb.runtime.record import LONGEST_PROMPT
from mcnb.runtime.wording import summary_line
from tests.support.hub import StandInHub
from tests.support.runs import FIRST_LINE, Models, document
from tests.support.texts import POEM

Make = Callable[..., Compose]

PATIENCE = 60


def through_json(record: Record) -> Record:
    return Record.from_dict(json.loads(json.dumps(record.to_dict())))


def test_a_record_holds_everything_a_run_was_made_with(compose: Make, models: Models) -> None:
    loaded = compose(models.poet, params={"top_k": 7})
    run = loaded.run(prompt=FIRST_LINE, seed=3)
    record = run.record
    assert record.run_id == run.id
    assert record.state == "completed"
    assert record.input == {"prompt": FIRST_LINE}
    assert record.seed == 3
    assert record.document["digest"] == loaded.document.digest
    assert record.document["source"] == loaded.document.source
    assert record.output_sha256 == sha256(POEM)
    assert record.versions.keys() >= {"python", "torch", "transformers", "tokenizers", "safetensors", "numpy"}
    assert record.hardware.keys() >= {"machine", "system", "cpus"}
    assert record.timings.keys() == {"queue", "load", "first_token", "decode", "total"}
    assert all(isinstance(value, float) for value in record.timings.values())
    (item,) = record.generations
    assert item.prompt == FIRST_LINE
    assert item.prompt_sha256 == sha256(FIRST_LINE)
    assert item.prompt_tokens > 0
    assert item.parameters.keys() == DEFAULTS.keys()
    assert item.parameters["top_k"] == {"value": 7, "source": "document"}
    assert item.parameters["seed"] == {"value": 3, "source": "user"}
    assert item.parameters["top_p"]["source"] == "library"
    assert item.model["provider"] == "local"
    assert item.device == "cpu"
    assert item.dtype == "float32"
    assert item.dtype_reason
    assert item.threads >= 1
    assert item.finish_reasons == ["eos"]
    assert item.output_tokens > 100
    assert item.cache_hit is False
    assert loaded.run(prompt=FIRST_LINE).record.generations[0].cache_hit is True


def test_the_record_of_a_repository_names_its_commit_and_files(
    runtime: Runtime, hub: StandInHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    text = document("HuggingFaceTB/SmolLM3-3B", max_output_length=2)
    model = load(text=text, runtime=runtime).run(prompt="a").record.generations[0].model
    assert model["name"] == "HuggingFaceTB/SmolLM3-3B"
    assert model["revision"] == hub.commit("HuggingFaceTB/SmolLM3-3B")
    assert {name for name in model["digests"] if name.endswith(".safetensors")}


def test_a_very_long_prompt_is_kept_as_its_hash(compose: Make, models: Models) -> None:
    prompt = "a" * (LONGEST_PROMPT + 1)
    run = compose(models.poet, max_input_length=5).submit(prompt=prompt)
    assert run.wait(PATIENCE)
    assert run.error is not None
    assert run.error.code == "context_overflow"
    assert run.text == "", "a prompt the model did not take is no output"
    (item,) = run.record.generations
    assert item.prompt is None
    assert item.prompt_sha256 == sha256(prompt)


def test_a_record_survives_json(compose: Make, models: Models) -> None:
    loaded = compose(models.poet, text=["a", "b"], stop_sequences=["x"])
    record = loaded.run(seed=1, parameters={"temperature": 0.5}).record
    assert through_json(record) == record
    failed = compose("./nowhere").submit(prompt="a")
    failed.wait(PATIENCE)
    assert through_json(failed.record) == failed.record


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 99}, "not a record of format 1"),
        ({"format": None}, "not a record"),
        ({"seed": "x"}, "seed"),
        ({"generations": [{"job": "a"}]}, "generations.0"),
        ({"generations": 5}, "generations"),
        ({"document": {}}, "no document"),
        ({"document": {"source": [], "folder": "/"}}, "no document"),
        ({"input": None}, "input"),
    ],
)
def test_what_is_no_record_is_said(compose: Make, models: Models, change: dict[str, Any], said: str) -> None:
    data = {**compose(models.poet).run(prompt="a").record.to_dict(), **change}
    with pytest.raises(InvalidInputError, match=said):
        Record.from_dict(data)


def test_repeating_a_record_gives_the_text_again(compose: Make, models: Models) -> None:
    loaded = compose(models.dice, text=["${input.prompt}", "b"], max_output_length=12, params={"temperature": 1.5})
    run = loaded.run(prompt="a")
    record = through_json(run.record)
    again = loaded.repeat(record)
    assert again.output == run.output
    assert again.record.output_sha256 == run.record.output_sha256
    assert loaded.repeat(record.to_dict()).output == run.output
    assert through_json(again.record).seed == run.record.seed
    overridden = loaded.run(prompt="a", seed=5, parameters={"max_output_length": 4})
    assert loaded.repeat(overridden.record).output == overridden.output
    assert loaded.repeat(overridden.record).record.parameters == {"seed": 5, "max_output_length": 4}


def test_a_repeated_run_uses_the_document_as_it_was(runtime: Runtime, models: Models, home: Path) -> None:
    file = home / "model-compose.yml"
    file.write_text(document(models.dice, max_output_length=6))
    run = load(file, runtime=runtime).run(prompt="a")
    file.write_text(document(models.poet, text="something else"))
    changed = load(file, runtime=runtime)
    assert changed.repeat(run.record).output == run.output
    file.unlink()
    assert changed.repeat(run.record).output == run.output


def test_a_repeated_run_uses_the_revision_and_the_precision_as_they_were(
    runtime: Runtime, hub: StandInHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    text = document("HuggingFaceTB/SmolLM3-3B", max_output_length=4, precision="bfloat16")
    run = load(text=text, runtime=runtime).run(prompt="a")
    record = through_json(run.record)
    record.document["source"]["component"]["precision"] = "float32"
    specs: list[Any] = []
    acquire = runtime.cache.acquire

    def noting(spec: Any, report: Any) -> Any:
        specs.append(spec)
        return acquire(spec, report)

    monkeypatch.setattr(runtime.cache, "acquire", noting)
    again = load(text=text, runtime=runtime).repeat(record)
    assert specs[0].source.revision == hub.commit("HuggingFaceTB/SmolLM3-3B")
    assert (specs[0].device, specs[0].precision) == ("cpu", "bfloat16")
    assert again.output == run.output


def test_components_without_an_id_keep_their_own_pins(runtime: Runtime, models: Models) -> None:
    jobs = [
        {"id": "a", "component": {"model": str(models.dice), "text": "a", "precision": "float32"}},
        {"id": "b", "component": {"model": str(models.dice), "text": "b", "precision": "bfloat16"}},
    ]
    loaded = load(text=json.dumps({"workflow": {"jobs": jobs}}), runtime=runtime)
    run = loaded.run(parameters={"max_output_length": 3})
    again = loaded.repeat(run.record)
    assert again.output == run.output
    assert {item.job: item.dtype for item in again.record.generations} == {"a": "float32", "b": "bfloat16"}


def test_repeating_one_of_several_workflows(runtime: Runtime, models: Models) -> None:
    text = f"""
workflows:
  - {{id: a, jobs: [{{component: m, input: {{prompt: a}}}}]}}
  - {{id: b, jobs: [{{component: m, input: {{prompt: b}}}}]}}
component: {{id: m, model: {models.dice}, text: "${{input.prompt}}", params: {{max_output_length: 2}}}}
"""
    loaded = load(text=text, runtime=runtime)
    run = loaded.run("b")
    assert loaded.repeat(run.record).output == run.output


def test_the_quiet_line(compose: Make, models: Models) -> None:
    line = summary_line(compose(models.poet).run(prompt=FIRST_LINE, seed=3).record)
    assert "tokens in, " in line
    assert " out · " in line
    assert "tokens/s" in line
    assert "first token" in line
    assert " · eos · seed 3 · " in line
    assert line.endswith("(float32, cpu)")
    cut = summary_line(compose(models.dice).run(prompt="a", parameters={"do_sample": False}).record)
    assert " · context_full · output limited to 127 tokens by the context · " in cut


def test_records_are_part_of_the_package() -> None:
    assert mcnb.Record is Record
