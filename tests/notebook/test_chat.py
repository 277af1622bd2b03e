"""A chat in a notebook: it streams into the cell, and is shown as Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.notebook.conftest import Shell
from tests.support.runs import FIRST_LINE, Models, document
from tests.support.talkers import talker
from tests.support.texts import POEM

Write = Callable[[str], Path]

ANSWER = POEM.removeprefix(FIRST_LINE)


def chat(model: Path, output: Any) -> str:
    component = {"task": "chat-completion", "model": str(model)}
    return json.dumps({"workflow": {"output": output}, "component": component})


@pytest.mark.parametrize(
    "output", ["${output as stream/text}", "${output as text;sse-text}", {"answer": "${output as stream/text}"}]
)
def test_the_answer_streams_into_the_cell_as_markdown(
    shell: Shell, write: Write, models: Models, tmp_path: Path, output: Any
) -> None:
    write(chat(talker(tmp_path / "chatty", models.poet), output))
    shell.ip.push({"line": FIRST_LINE})
    run = shell.good("%compose run -i prompt=$line")
    assert run.text == ANSWER
    assert run.output in (ANSWER, {"answer": ANSWER})
    *_, last = shell.published
    assert "text/html" not in last["data"], "a notebook would rather show the HTML"
    assert str(last["data"]["text/markdown"]).startswith(ANSWER.splitlines()[0])
    assert str(last["data"]["text/plain"]).startswith(ANSWER)


def test_a_chat_without_a_template_fails_in_one_sentence(shell: Shell, write: Write, models: Models) -> None:
    write(chat(models.poet, None))
    error = shell.error('%compose run -i prompt="Hi"')
    assert "has no chat template" in str(error)


def test_plain_text_for_a_chat_is_warned_of_once(shell: Shell, write: Write, models: Models, tmp_path: Path) -> None:
    write(document(talker(tmp_path / "chatty", models.poet)))
    shell.ip.push({"line": FIRST_LINE})
    for told in (True, False):
        run = shell.good("%compose run -i prompt=$line")
        assert len(run.record.warnings) == 1
        data = shell.published[-1]["data"]
        for kind in ("text/plain", "text/markdown"):
            assert ("warning: " in str(data[kind])) is told
        assert ("task: chat-completion" in str(data["text/html"]).partition("<details")[0]) is told
