"""What a cell's body means: a mapping of inputs, or the text of the one text input that is required."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcnb.compose import Inputs, load_document
from mcnb.errors import InvalidInputError
from mcnb.notebook.inputs import read_body
from tests.notebook.conftest import Shell
from tests.support.runs import Models, document

ONE = "${input.prompt as text}"
STYLED = "${input.prompt as text} ${input.style as select/haiku,sonnet | haiku} ${input.count as integer | 1}"
TWO = "${input.title as text} ${input.article as text}"
NUMBER = "${input.count as integer}"
LIST = "${input.lines as string[]}"
NONE = "Once"
OPEN = "${input.prompt as text} ${input}"


def inputs(template: str) -> Inputs:
    return load_document(text=document("a/b", text=template)).inputs()


@pytest.mark.parametrize(
    ("template", "body", "values"),
    [
        (ONE, "", {}),
        (ONE, " \n\n", {}),
        (ONE, "Once upon a time", {"prompt": "Once upon a time"}),
        (ONE, "\nOnce\n  upon {a} $time\n\n", {"prompt": "Once\n  upon {a} $time"}),
        (ONE, "prompt: Once", {"prompt": "Once"}),
        (ONE, "prompt: |\n  Once\n  upon\n", {"prompt": "Once\nupon\n"}),
        (ONE, '{"prompt": "Once"}', {"prompt": "Once"}),
        (ONE, "{prompt: Once}", {"prompt": "Once"}),
        (ONE, '{"promt": "Once"}', {"promt": "Once"}),  # the check of the input says that there is none
        (ONE, "Note: buy milk", {"prompt": "Note: buy milk"}),
        (ONE, "Q: why?\nA:", {"prompt": "Q: why?\nA:"}),
        (ONE, "Prompt: a poem", {"prompt": "Prompt: a poem"}),
        (ONE, "- one\n- two", {"prompt": "- one\n- two"}),
        (ONE, "5", {"prompt": "5"}),
        (ONE, "# a title\n\nand words", {"prompt": "# a title\n\nand words"}),
        (ONE, "# a comment\nprompt: Once", {"prompt": "Once"}),
        (ONE, "Note: this: that", {"prompt": "Note: this: that"}),
        (ONE, "[not, closed", {"prompt": "[not, closed"}),
        (ONE, "{x} is kept", {"prompt": "{x} is kept"}),
        (ONE, "从前有一座山", {"prompt": "从前有一座山"}),
        (STYLED, "Write about rain", {"prompt": "Write about rain"}),
        (STYLED, "Note: buy milk", {"prompt": "Note: buy milk"}),
        (STYLED, "prompt: rain\nstyle: sonnet\ncount: 2", {"prompt": "rain", "style": "sonnet", "count": 2}),
        (STYLED, "prompt: rain\nstlye: sonnet", {"prompt": "rain", "stlye": "sonnet"}),
        (STYLED, "style: sonnet", {"style": "sonnet"}),
        (NUMBER, "count: 4", {"count": 4}),
        (OPEN, "prompt: a\nmore: b", {"prompt": "a", "more": "b"}),
    ],
)
def test_what_a_body_means(template: str, body: str, values: dict[str, Any]) -> None:
    assert read_body(body, inputs(template), {}) == values


@pytest.mark.parametrize(
    ("template", "body", "said"),
    [
        (ONE, "prompt: [", "not a YAML or JSON mapping: <cell>:2:1: not valid YAML"),
        (ONE, "prompt: Note: this", "not a YAML or JSON mapping: <cell>:1:"),
        (ONE, '{"prompt": "Once"', "not a YAML or JSON mapping"),
        (ONE, "# a comment\n'prompt': [", "not a YAML or JSON mapping"),
        (STYLED, "stlye: sonnet", "there is no input 'stlye'; did you mean 'style'?"),
        (TWO, "just words", "write one input a line, like 'title: ...'"),
        (NUMBER, "four", "write one input a line, like 'count: ...'"),
        (LIST, "one line", "write one input a line, like 'lines: ...'"),
        (NONE, "words", "this workflow takes no input"),
    ],
)
def test_bodies_that_are_refused(template: str, body: str, said: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_body(body, inputs(template), {})
    assert said in str(caught.value)


def test_a_text_goes_to_the_input_that_is_not_given_otherwise() -> None:
    assert read_body("the words", inputs(TWO), {"title": "x"}) == {"article": "the words"}
    with pytest.raises(InvalidInputError, match="not a YAML or JSON mapping"):
        read_body("the words", inputs(ONE), {"prompt": "given"})


def test_a_cell_that_is_the_text(shell: Shell, write: Callable[[str], Path], models: Models) -> None:
    write(document(models.poet, text=STYLED, max_output_length=1))
    run = shell.good("%%compose run -i style=sonnet -i count=2\nWrite {about} $rain: now\n")
    assert run.record.input == {"prompt": "Write {about} $rain: now", "style": "sonnet", "count": 2}
    assert "there is no input 'promt'" in str(shell.error('%%compose run\n{"promt": "x"}'))
    assert json.loads(json.dumps(run.record.input)) == run.record.input
