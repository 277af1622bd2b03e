"""The example with a person between two jobs, on a tiny model in place of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import mcnb
from mcnb.runtime import Compose, Runtime
from tests.cli.conftest import Command, command, folder, write  # noqa: F401
from tests.examples.guide import example
from tests.support.hub import StandInHub

PATIENCE = 60
TOPIC = "the history of tea"


@pytest.fixture
def text(seed_hub: StandInHub) -> str:
    """The example on a model of the stand-in hub."""
    spec: dict[str, Any] = yaml.safe_load(example("outline-and-expand").read_text(encoding="utf-8"))
    spec["component"]["model"] = "HuggingFaceTB/SmolLM3-3B"
    return yaml.safe_dump(spec, sort_keys=False)


@pytest.fixture
def outline(text: str, runtime: Runtime) -> Compose:
    return mcnb.load(text=text, runtime=runtime)


def test_the_article_is_written_behind_what_the_person_made_of_the_outline(outline: Compose) -> None:
    run = outline.run(topic=TOPIC, seed=1)
    assert run.interruption is not None
    assert run.interruption.message == f"Edit the outline about {TOPIC}, or leave it as it is."
    assert run.text == run.interruption.value
    assert "An article about" not in run.text, "the outline alone is to be edited"
    run.resume("1. Leaves 2. Water 3. Milk")
    article = run.result(PATIENCE)["article"]
    assert article.startswith(f"An article about {TOPIC} in three parts:\n1. Leaves 2. Water 3. Milk\n")
    assert [answer.answer for answer in run.record.answers] == ["1. Leaves 2. Water 3. Milk"]
    assert outline.repeat(run.record).output == run.output


def test_nobody_is_asked_where_the_caller_says_so(outline: Compose) -> None:
    run = outline.run(topic=TOPIC, review=False)
    assert run.state == "completed"


def test_its_inputs(outline: Compose) -> None:
    assert [(item.name, item.required, item.default) for item in outline.inputs()] == [
        ("topic", True, None),
        ("review", False, True),
    ]


def test_the_command_of_its_readme(command: Command, folder: Path, text: str) -> None:  # noqa: F811
    path = write(folder / "model-compose.yml", text)
    result = command("run", "-f", path, "-i", f"topic={TOPIC}", "--answer", "1. From China to Britain", "--json")
    assert result.code == 0
    assert "parts:\n1. From China to Britain\n" in result.text.replace("\\n", "\n")
    assert command("run", "-q", "-f", path, "-i", f"topic={TOPIC}", "-i", "review=no").code == 0
