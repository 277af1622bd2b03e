"""The quick start on its real model, in processes of its own."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

import mcnb
from tests.cli.conftest import write
from tests.cli.processes import run
from tests.support.runs import ROOT

pytestmark = [pytest.mark.real_model, pytest.mark.timeout(900)]

QUICKSTART = ROOT / "examples" / "quickstart" / "model-compose.yml"
PROMPT = "Once upon a time"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str | Path]:
    """The quick start, with fewer tokens, in the shared home of models."""
    if home := os.environ.get("MCNB_TEST_HOME"):
        monkeypatch.setenv("MCNB_HOME", home)
    short = write(tmp_path / "short.yml", "component: {params: {max_output_length: 16}}")
    return ["-f", QUICKSTART, "-f", short]


def test_the_same_seed_in_two_processes_and_again_from_its_record(files: list[str | Path], tmp_path: Path) -> None:
    ask = ["run", *files, "-i", f"prompt={PROMPT}", "--seed", "7"]
    first, second = run(*ask, "--json"), run(*ask, "--record")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    generated = json.loads(first.stdout)["generated"]
    assert generated.startswith(PROMPT)
    assert len(generated) > len(PROMPT)
    assert json.loads(second.stdout)["output"]["generated"] == generated
    record = tmp_path / "record.json"
    record.write_bytes(second.stdout)
    again = run("repeat", record, "--json")
    assert json.loads(again.stdout)["generated"] == generated


def test_streamed_and_whole_are_the_same_bytes(files: list[str | Path]) -> None:
    compose = mcnb.load(*(Path(name) for name in files if name != "-f"))
    whole = compose.run(prompt=PROMPT, seed=7).output["generated"]

    async def streamed() -> str:
        return "".join([piece async for piece in compose.submit(prompt=PROMPT, seed=7).stream()])

    assert asyncio.run(streamed()).encode() == whole.encode()
    compose.runtime.cache.unload()
