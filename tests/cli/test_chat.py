"""A chat by command: the answer alone, in a pipe as on a terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command, write
from tests.support.runs import FIRST_LINE, Models, document
from tests.support.talkers import ROLES, talker
from tests.support.texts import POEM

ANSWER = POEM.removeprefix(FIRST_LINE)

OUTPUTS = ("${output as stream/text}", "${output as text;sse-text}")


def chat(model: Path, output: str = "${output}", **keys: object) -> str:
    component = {"task": "chat-completion", "model": str(model), **keys}
    return json.dumps({"workflow": {"output": output}, "component": component})


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_answer_in_a_pipe(command: Command, folder: Path, models: Models, tmp_path: Path, output: str) -> None:
    write(folder / "model-compose.yml", chat(talker(tmp_path / "chatty", models.poet), output))
    result = command("run", "-i", f"prompt={FIRST_LINE}")
    assert result.code == 0
    assert result.text.removesuffix("\n") == ANSWER.removesuffix("\n")


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
@pytest.mark.parametrize("output", OUTPUTS)
def test_the_answer_streams_on_a_terminal(folder: Path, models: Models, tmp_path: Path, output: str) -> None:
    from tests.cli.processes import Terminal

    write(folder / "model-compose.yml", chat(talker(tmp_path / "chatty", models.poet), output))
    with Terminal("run", "-i", f"prompt={FIRST_LINE}") as terminal:
        assert terminal.end() == 0
        *lines, last, empty = terminal.screen
    assert lines == ANSWER.splitlines()
    assert last.startswith("12 tokens in")
    assert empty == ""


def test_messages_are_given_as_json(command: Command, folder: Path, models: Models, tmp_path: Path) -> None:
    path = talker(tmp_path / "chatty", models.poet, ROLES)
    write(folder / "model-compose.yml", chat(path, messages="${input.messages}", max_output_length=2))
    said = json.dumps([{"role": "user", "content": "Hi"}])
    result = command("run", "-i", f"messages={said}", "--record")
    assert result.code == 0, result.error
    assert json.loads(result.text)["record"]["generations"][0]["prompt"] == "[user] Hi\n[assistant] "
    assert "expected a list of messages" in command("run", "-i", "messages=Hi").error


def test_plain_text_is_warned_of_beside_the_output(
    command: Command, folder: Path, models: Models, tmp_path: Path
) -> None:
    path = talker(tmp_path / "chatty", models.poet)
    write(folder / "model-compose.yml", document(path))
    result = command("run", "-i", f"prompt={FIRST_LINE}")
    assert "warning: " in result.error
    assert "'task: chat-completion'" in result.error
    assert result.text == POEM
    assert "warning" not in command("run", "-q", "-i", f"prompt={FIRST_LINE}").error
