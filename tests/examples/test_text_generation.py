"""The page that goes through the guide: its commands work as they stand there, its tables say what the code does."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import mcnb
from mcnb.compose.graph import mermaid
from mcnb.models.parameters import DEFAULTS
from tests.examples.guide import EXAMPLES, example
from tests.examples.readmes import ROOT, commands
from tests.service.running import ask, running

PAGE = EXAMPLES / "text-generation.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_every_command_names_files_and_inputs_that_there_are() -> None:
    for page in EXAMPLES.rglob("*.md"):
        for words in commands(page):
            files = [after for word, after in itertools.pairwise(words) if word == "-f"]
            document = mcnb.load_document(*(ROOT / file for file in files if file != "FILE"))
            given = {after.partition("=")[0] for word, after in itertools.pairwise(words) if word == "-i"}
            assert given <= set(document.inputs().names), (page, words)


def test_the_picture() -> None:
    document = mcnb.load_document(example("quickstart"))
    (picture,) = re.findall(r"```mermaid\n(.*?)```", TEXT, re.DOTALL)
    assert picture == mermaid(document, document.workflow())


def test_the_table_of_parameters_has_their_defaults() -> None:
    section = TEXT.partition("## Parameters\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|", section, re.MULTILINE))
    words = {None: {"the context", "drawn and recorded"}, (): {"none"}, True: {"yes"}}
    for name, said in rows.items():
        value = DEFAULTS[name]
        known = words.get(value) if value is None or value == () or value is True else {f"{value:,}"}
        assert known is not None
        assert said in known, name
    assert {"temperature", "top_p", "top_k", "repetition_penalty", "do_sample", "max_output_length"} <= set(rows)


@pytest.mark.real_model
@pytest.mark.timeout(300)
def test_the_service_answers_the_request_and_has_a_page(tmp_path: Path) -> None:
    (request,) = re.findall(r"^(curl .*?)\n```", TEXT, re.DOTALL | re.MULTILINE)
    home = os.environ.get("MCNB_TEST_HOME")
    with running(example("quickstart"), "--no-token", **({"MCNB_HOME": home} if home else {})) as up:
        command = request.replace("localhost:8080", f"localhost:{up.port}").replace("curl ", "curl -s ", 1)
        done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=200)
        said = json.loads(done.stdout)
        assert said["status"] == "completed"
        assert said["output"]["generated"].startswith("Once upon a time in a distant galaxy")
        assert up.form is not None
        status, page = ask(int(up.form.partition("localhost:")[2].partition("/")[0]), "GET", "/")
        assert status == 200
        assert "<title>Generate Text from Prompt</title>" in page
        up.end()
