"""What a run looks like in a notebook, and the words about it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import nbformat
import pytest

from mcnb.errors import InternalError
from mcnb.runtime import Compose, Record, Run
from mcnb.runtime.brief import LONGEST_TEXT, MOST_GENERATIONS, MOST_ITEMS, brief, run_data
from mcnb.runtime.interruption import Interruption, Pause
from mcnb.runtime.record import GenerationRecord
from mcnb.runtime.rich import DATA_TYPE, html_of, mimebundle
from mcnb.runtime.wording import bytes_text, seconds_text
from tests.support.runs import FIRST_LINE, Gate, Models
from tests.support.texts import POEM

Make = Callable[..., Compose]

PATIENCE = 60
TYPES = {"text/plain", "text/html", "text/markdown", DATA_TYPE}
HOSTILE = "<script>alert(1)</script> & ```\n</pre></details></div>$x$\n~~~"
VOID = ("br", "img", "hr", "input", "meta", "link")


class Balance(HTMLParser):
    """Which tags there are, and that all of them are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.styles: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in VOID
        self.open.append(tag)
        self.tags.append(tag)
        assert {name for name, _ in attrs} <= {"style", "dir"}
        self.styles += [value or "" for name, value in attrs if name == "style"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def generation(number: int = 0, prompt: str = "p", **known: Any) -> GenerationRecord:
    return GenerationRecord(
        job="write",
        item=number,
        component="poet",
        model={"name": "a/b", "provider": "huggingface", "revision": "1" * 40, "digests": {"w": "2" * 64}},
        device="cpu",
        dtype="float32",
        dtype_reason="",
        threads=2,
        cache_hit=True,
        prompt=prompt,
        prompt_sha256="3" * 64,
        parameters={"temperature": {"value": 0.7, "source": "library"}},
        **{
            "prompt_tokens": 12,
            "output_tokens": 41,
            "finish_reasons": ["eos"],
            "timings": {"first_token": 0.25, "decode": 2.0},
            **known,
        },
    )


def made(*generations: GenerationRecord, text: str = "", **known: Any) -> Run:
    """A run that no runtime has made."""
    record = Record("id", "w", 0.0, {"digest": "4" * 64, "source": {"a": "${input.x}"}}, {}, {}, 7, **known)
    record.generations += generations
    run = Run(record)
    run._change("processing", after=("pending",))
    if text:
        run._token("write", 0, text, 1, shown=True, streamed=True)
    return run


def finished(output: Any, *generations: GenerationRecord, markdown: bool = False) -> Run:
    run = made(*(generations or (generation(),)))
    run.markdown = markdown
    run._finish("completed", output=output)
    return run


def asks(value: Any, message: str | None = "Good enough?") -> Run:
    """A run that waits for a person."""
    run = made(generation())
    run._interrupt(Pause(Interruption("write", "after", message, None, value), value))
    return run


QUIET = "12 tokens in, 41 out · 20.0 tokens/s · first token 0.25 s · eos · seed 7 · a/b (float32, cpu)"


def test_a_finished_run_is_readable_as_text_html_and_markdown(compose: Make, models: Models) -> None:
    run = compose(models.poet).run(prompt=FIRST_LINE, seed=3)
    bundle = run._repr_mimebundle_()
    assert bundle.keys() == TYPES
    assert bundle["text/plain"].startswith(POEM)
    assert "seed 3" in bundle["text/plain"].splitlines()[-1]
    assert "What dread hand? and what dread feet?" in bundle["text/html"]
    assert "<summary>record</summary>" in bundle["text/html"]
    assert bundle["text/markdown"].startswith("```text\nTyger Tyger")
    assert json.loads(json.dumps(bundle)) == bundle


def test_text_then_one_quiet_line_then_the_record() -> None:
    bundle = mimebundle(finished("One.\n\n  Two."))
    assert bundle["text/plain"] == f"One.\n\n  Two.\n\n[{QUIET}]"
    assert bundle["text/markdown"] == f"```text\nOne.\n\n  Two.\n```\n\n*{QUIET}*"
    page = bundle["text/html"]
    assert re.search(r"<pre [^>]*>\nOne\.\n\n  Two\.</pre><div [^>]*>12 tokens in.*</div><details ", page)
    assert Balance(page).tags == ["div", "pre", "div", "details", "summary", "pre"]


def test_the_record_can_be_left_out() -> None:
    bundle = mimebundle(finished("a"), with_record=False)
    assert bundle.keys() == TYPES - {DATA_TYPE}
    assert "details" not in bundle["text/html"]


def test_a_dark_theme_keeps_its_colours() -> None:
    styles = Balance(mimebundle(finished("a"))["text/html"]).styles
    assert styles
    assert not re.search(r"color|#[0-9a-f]{3}|rgb", " ".join(styles))


def test_an_answer_of_a_chat_is_shown_as_markdown() -> None:
    run = finished({"answer": "# Title\n\n- *one*\n- two"}, markdown=True)
    bundle = mimebundle(run)
    assert bundle.keys() == TYPES - {"text/html"}, "a notebook would rather show the HTML"
    start, record = bundle["text/markdown"].split("\n\n<details ")
    assert start == f"# Title\n\n- *one*\n- two\n\n*{QUIET}*"
    assert "\n\n" not in record, "a blank line would end the HTML"
    assert "$" not in record, "nothing in it is a formula"
    Balance(f"<details {record}")
    assert bundle["text/plain"].startswith("# Title\n")
    assert "<pre " in html_of(run)
    assert "details" not in mimebundle(run, with_record=False)["text/markdown"]


def test_what_a_chat_gives_besides_text_is_data() -> None:
    bundle = mimebundle(finished({"answer": "# Title", "score": 1}, markdown=True))
    assert bundle["text/markdown"].startswith('```json\n{\n  "answer": "# Title",\n')
    assert "text/html" in bundle


def test_several_lines_of_no_chat_stay_as_they_are() -> None:
    assert mimebundle(finished("# a\n\n- b"))["text/markdown"].startswith("```text\n# a\n\n- b\n```\n\n*")


@pytest.mark.parametrize("markdown", [False, True])
def test_nothing_in_a_run_is_taken_for_html_or_markdown(markdown: bool) -> None:
    run = finished(HOSTILE, generation(prompt=HOSTILE), markdown=markdown)
    bundle = mimebundle(run)
    assert bundle["text/plain"].startswith(HOSTILE)
    assert Balance(html_of(run)).tags == ["div", "pre", "div", "details", "summary", "pre"]
    if markdown:
        found = re.findall(r"</?[a-z]+", bundle["text/markdown"])
        assert found == ["<details", "<summary", "</summary", "<pre", "</pre", "</details"]
        assert "\n~~~\n~~~\n\n*12 tokens" in bundle["text/markdown"], "a block left open is closed"
    else:
        assert bundle["text/markdown"].startswith(f"````text\n{HOSTILE}\n````\n\n*12")


def test_an_error_is_no_html_or_markdown_either() -> None:
    run = made(generation(finish_reasons=[]), text="So far")
    run._finish("failed", error=InternalError("it broke at *<b>*", hint="try `again`"))
    bundle = mimebundle(run)
    assert bundle["text/plain"].startswith(
        "failed: it broke at *<b>*; try `again`\n\nSo far\n\n[12 tokens in, 41 out · "
    )
    assert bundle["text/markdown"].startswith(
        "failed: it broke at \\*\\<b\\>\\*; try \\`again\\`\n\n```text\nSo far\n```\n\n*12"
    )
    assert "<div>failed: it broke at *&lt;b&gt;*; try `again`</div><pre " in bundle["text/html"]
    Balance(bundle["text/html"])
    assert bundle[DATA_TYPE]["error"] == {"code": "internal", "message": "it broke at *<b>*; try `again`"}


def test_a_name_around_the_text_is_not_shown(compose: Make, models: Models) -> None:
    run = compose(models.poet, output={"generated": "${result}"}).run(prompt=FIRST_LINE)
    assert mimebundle(run)["text/plain"].startswith("Tyger")


def test_an_output_of_several_values_is_shown_as_json(compose: Make, models: Models) -> None:
    run = compose(models.poet, text=["a", "b"], max_output_length=1).run()
    assert json.loads(mimebundle(run)["text/plain"].rpartition("\n\n")[0]) == run.output
    assert mimebundle(run)["text/markdown"].startswith("```json\n[\n")


@pytest.mark.parametrize("output", [None, "", {}, [], 0, {"a": None}, {"a": ""}])
def test_any_output_has_a_look(output: Any) -> None:
    bundle = mimebundle(finished(output))
    assert bundle["text/plain"].endswith(f"[{QUIET}]")
    Balance(bundle["text/html"])
    assert bundle[DATA_TYPE]["output"] == output


def test_a_run_under_way_says_what_it_does(compose: Make, models: Models, gate: Gate) -> None:
    run = compose(models.endless, max_output_length=50).submit(prompt=FIRST_LINE)
    gate.at_token(run, 4)
    assert gate.reached.wait(PATIENCE)
    bundle = mimebundle(run)
    assert bundle["text/plain"].startswith(f"{run.text}\n\n[generating · 4 of up to 50 tokens")
    assert bundle.keys() == TYPES - {DATA_TYPE}, "it would be old in a moment"
    assert "<details" not in bundle["text/html"]
    run.cancel()
    assert mimebundle(run)["text/plain"].endswith("[stopping]")
    gate.open()
    run.wait(PATIENCE)
    last = mimebundle(run)["text/plain"]
    assert last.startswith(run.text)
    assert "\n\n[cancelled · 12 tokens in, 4 out" in last


def test_before_there_is_text() -> None:
    run = made()
    assert mimebundle(run)["text/plain"] == "[waiting for the model]"
    run._emit("download", {"what": "m", "done": 1_000_000, "total": 4_000_000, "unit": "bytes"})
    bundle = mimebundle(run)
    assert bundle["text/plain"] == "[downloading m · 1.0 MB of 4.0 MB · 25 %]"
    assert bundle["text/markdown"] == "*downloading m · 1.0 MB of 4.0 MB · 25 %*"
    run._emit("prompt", {"job": "write", "item": 0, "tokens": 1032, "budget": 128})
    assert "reading the prompt · 1,032 tokens" in mimebundle(run)["text/html"]


def test_a_run_that_was_cancelled_before_it_began() -> None:
    run = made()
    run._finish("cancelled")
    bundle = mimebundle(run)
    assert bundle["text/plain"] == "[cancelled]"
    assert "details" not in bundle["text/html"]
    assert bundle[DATA_TYPE]["state"] == "cancelled"


def test_a_failed_run_says_why(compose: Make) -> None:
    run = compose("./<b>nowhere</b>").submit(prompt="a")
    assert run.wait(PATIENCE)
    assert mimebundle(run)["text/plain"].startswith("failed: ./<b>nowhere</b>: there is no file or folder")
    assert "<b>" not in mimebundle(run)["text/html"]


def test_an_interrupted_run_shows_its_text_and_how_to_go_on() -> None:
    bundle = asks("A <draft>")._repr_mimebundle_()
    go_on = 'run.resume() goes on, run.resume("...") goes on with another text, run.cancel() stops'
    assert bundle["text/plain"] == f"Good enough?\n\nA <draft>\n\n{go_on}"
    assert "A &lt;draft&gt;" in bundle["text/html"]
    assert "run.resume(&quot;...&quot;)" in bundle["text/html"]
    assert Balance(bundle["text/html"]).tags == ["div", "div", "pre", "div"]
    assert bundle["text/markdown"].startswith("Good enough?\n\n```text\nA <draft>\n```\n\nrun.resume()")
    data = bundle[DATA_TYPE]
    assert (data["state"], data["interruption"]["message"]) == ("interrupted", "Good enough?")


def test_an_interrupted_run_without_words_or_without_a_text() -> None:
    run = asks({"lines": 4, "left": [1, 2]}, message=None)
    assert mimebundle(run, name="poem")["text/plain"].startswith("job 'write' is done\n\n{\n  \"lines\": 4,")
    assert "poem.resume()" in mimebundle(run, name="poem")["text/plain"]
    assert 'poem.resume("...") goes on with another value' in mimebundle(run, name="poem")["text/plain"]
    assert "resume" not in mimebundle(run)["text/plain"], "who gives it no name says how to go on"
    assert mimebundle(asks(None, message=None), name="poem")["text/plain"].startswith(
        "job 'write' is done\n\npoem.resume()"
    )


def test_the_record_of_a_large_batch_is_shortened(compose: Make, models: Models) -> None:
    count = MOST_GENERATIONS + 5
    run = compose(models.poet, text=["a"] * count, max_output_length=1).run()
    shown = mimebundle(run)["text/html"]
    assert shown.count("&quot;prompt_sha256&quot;") == MOST_GENERATIONS
    assert "and 5 more" in shown
    assert len(run.record.generations) == count


def test_data_and_record_stay_small() -> None:
    prompts = [f"{number} {'word ' * 4000}" for number in range(1000)]
    run = finished(prompts, *(generation(number, prompt) for number, prompt in enumerate(prompts)))
    data = run_data(run)
    assert len(json.dumps(data)) < 20_000
    assert data["record"]["generations"] == 1000
    assert data["record"]["finish_reasons"] == {"eos": 1000}
    assert data["record"]["usage"] == {"prompt_tokens": 12_000, "output_tokens": 41_000}
    assert data["output"][-1] in ("and 992 more", "and 980 more")
    assert data["output"][0].endswith("… (20,002 characters)")
    record = mimebundle(run)["text/html"].partition("<details")[2]
    assert len(record) < 50_000


def test_the_data_is_json() -> None:
    data = mimebundle(finished({"a": "b"}))[DATA_TYPE]
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert (data["id"], data["workflow"], data["state"], data["error"]) == ("id", "w", "completed", None)
    assert data["output"] == {"a": "b"}
    assert data["record"]["document"] == "4" * 64
    assert data["record"]["models"] == ["a/b"]
    assert "interruption" not in data


def test_short_data() -> None:
    assert brief({"a": [1, 2.5, None, True, "x"]}) == {"a": [1, 2.5, None, True, "x"]}
    assert brief("x" * (LONGEST_TEXT + 1)) == "x" * LONGEST_TEXT + "… (1,001 characters)"
    assert brief(list(range(MOST_ITEMS + 3)))[-1] == "and 3 more"
    assert brief({str(number): 0 for number in range(MOST_ITEMS + 2)})["…"] == "and 2 more"
    assert brief([[[1]]], depth=2) == [["…"]]
    assert brief({1: {2}}) == {"1": "{2}"}
    assert brief([float("nan"), float("inf")]) == ["nan", "inf"], "JSON knows neither"


def test_data_of_any_shape_stay_small() -> None:
    value: Any = "word " * 100
    for _ in range(4):
        value = {f"name {number}": value for number in range(12)}
    run = finished(value)
    run.record.input["x"] = value
    assert len(json.dumps(run_data(run))) < 20_000
    assert len(mimebundle(run)["text/html"].partition("<details")[2]) < 100_000


@pytest.mark.parametrize("markdown", [False, True])
def test_a_notebook_with_it_is_valid(markdown: bool) -> None:
    bundle = mimebundle(finished("text", markdown=markdown))
    cell = nbformat.v4.new_code_cell("run", outputs=[nbformat.v4.new_output("display_data", bundle)])
    nbformat.validate(nbformat.v4.new_notebook(cells=[cell]))


@pytest.mark.parametrize(
    ("size", "text"), [(999, "999 B"), (1000, "1.0 kB"), (92_900_000, "92.9 MB"), (5e12, "5000.0 GB")]
)
def test_sizes(size: float, text: str) -> None:
    assert bytes_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "4 s"), (125, "2 min 5 s"), (59.6, "1 min 0 s"), (3700, "1 h 1 min")]
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
