"""``%compose`` in a real kernel: streaming, interrupting, going on."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from tests.notebook.kernels import Notebook, texts_seen
from tests.support.runs import FIRST_LINE, Models, document
from tests.support.texts import POEM

TOKENS_AFTER = """
events = r.events_after(0)
asked = next(e.id for e in events if e.type == "state" and e.data["state"] == "cancelling")
print(sum(1 for e in events if e.type == "token" and e.id > asked), r.state, r.record.usage.output_tokens)
"""


def test_a_run_streams_into_its_cell(folder: Path, marathon: Path) -> None:
    (folder / "model-compose.yml").write_text(document(marathon, max_output_length=3000))
    notebook = Notebook(
        "%load_ext mcnb",
        f"prompt = {FIRST_LINE!r}",
        "%compose run -i prompt=$prompt -o r",
        "r",
        "print(r.text == r.output, r.state)",
        "%compose run -i promt=$prompt",
    ).run()
    updates = [text for text in notebook.updates() if text.startswith(FIRST_LINE)]
    assert len(set(updates)) >= 5
    assert all(later.startswith(text.rpartition("\n\n[")[0]) for text, later in itertools.pairwise(updates))
    assert notebook.outputs(0) == [], "loading the extension shows nothing"
    assert "tokens in, 3000 out" in notebook.shown(2), "what is kept is the finished run, once"
    assert notebook.shown(3) == notebook.shown(2)
    assert notebook.printed(4) == "True completed\n"
    error = notebook.error(5)
    assert (error.ename, error.evalue) == (
        "InvalidInputError",
        "the input 'prompt' is missing; there is no input 'promt'; did you mean 'prompt'?",
    )
    assert error.traceback == [f"{error.ename}: {error.evalue}"]
    notebook.check()


def test_an_interrupt_stops_computing_and_keeps_the_text(folder: Path, marathon: Path, models: Models) -> None:
    (folder / "model-compose.yml").write_text(document(marathon, max_output_length=8000))
    (folder / "next.yml").write_text(document(models.poet))
    notebook = Notebook(
        f"%load_ext mcnb\nprompt = {FIRST_LINE!r}",
        "%compose run -i prompt=$prompt -o r",
        TOKENS_AFTER,
        "%compose run -f next.yml -i prompt=$prompt",
        "r",
        interrupt_when=texts_seen(5, FIRST_LINE),
    ).run()
    error = notebook.error(1)
    assert error.ename == "KeyboardInterrupt"
    assert len(error.traceback) == 1
    assert error.traceback[0].startswith("KeyboardInterrupt: stopped after ")
    partial = notebook.shown(1)
    said = partial.partition("\n\n[")[0]
    assert said.startswith(FIRST_LINE)
    assert len(said) > len(FIRST_LINE)
    assert "[cancelled · 12 tokens in, " in partial
    after, state, tokens = notebook.printed(2).split()
    assert int(after) <= 1, "at most the token that was under way"
    assert state == "cancelled"
    assert 0 < int(tokens) < 8000
    assert notebook.shown(3).startswith(POEM), "the next run works"
    assert notebook.shown(4) == partial, "the run that was bound holds the partial text"


def test_what_people_see_when_the_file_is_wrong(folder: Path) -> None:
    notebook = Notebook(
        "%load_ext mcnb",
        "%%compose load\ncomponent:\n  modl: a/b\n  txt: hello",
        "%compose rum",
        "%compose --help",
        "%load_ext mcnb",
    ).run()
    error = notebook.error(1)
    assert error.ename == "DocumentError"
    assert "<cell>:2:3: unknown key 'modl' in component (did you mean 'model'?)" in error.evalue
    assert "<cell>:3:3: unknown key 'txt' in component (did you mean 'text'?)" in error.evalue
    assert error.traceback == [f"DocumentError: {error.evalue}"]
    assert notebook.error(2).evalue == "%compose has no command 'rum'; did you mean 'run'?"
    assert notebook.printed(3).startswith("usage: %compose")
    assert "error" not in {output.output_type for output in notebook.outputs(4)}
    json.dumps(notebook.nb)
