"""What a run looks like in a notebook, and the sentences about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mcnb.runtime import Compose, Event
from mcnb.runtime.rich import SHOWN_GENERATIONS, mimebundle
from mcnb.runtime.wording import bytes_text, progress_line, seconds_text, working_line
from tests.support.runs import FIRST_LINE, Gate, Models
from tests.support.texts import POEM

Make = Callable[..., Compose]

PATIENCE = 60
TYPES = {"text/plain", "text/html", "text/markdown"}


def test_a_finished_run_is_readable_as_text_html_and_markdown(compose: Make, models: Models) -> None:
    run = compose(models.poet).run(prompt=FIRST_LINE, seed=3)
    bundle = run._repr_mimebundle_()
    assert bundle.keys() == TYPES
    assert all(isinstance(text, str) for text in bundle.values())
    assert bundle["text/plain"].startswith(POEM)
    assert "seed 3" in bundle["text/plain"].splitlines()[-1]
    assert "What dread hand? and what dread feet?" in bundle["text/html"]
    assert "<summary>record</summary>" in bundle["text/html"]
    assert bundle["text/markdown"].startswith("```text\nTyger Tyger")
    assert json.loads(json.dumps(bundle)) == bundle


def test_a_name_around_the_text_is_not_shown(compose: Make, models: Models) -> None:
    run = compose(models.poet, output={"generated": "${result}"}).run(prompt=FIRST_LINE)
    assert mimebundle(run)["text/plain"].startswith("Tyger")


def test_an_output_of_several_values_is_shown_as_json(compose: Make, models: Models) -> None:
    run = compose(models.poet, text=["a", "b"], max_output_length=1).run()
    assert json.loads(mimebundle(run)["text/plain"].rpartition("\n\n")[0]) == run.output


def test_everything_is_escaped(compose: Make, models: Models) -> None:
    prompt = "<script>alert(1)</script> & ```\nfence"
    run = compose(models.poet, max_output_length=2).run(prompt=prompt)
    bundle = mimebundle(run)
    assert "<script" not in bundle["text/html"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in bundle["text/html"]
    assert bundle["text/plain"].startswith(prompt)
    assert bundle["text/markdown"].startswith("````text\n<script>")
    error = compose("./<b>nowhere</b>").submit(prompt="a")
    assert error.wait(PATIENCE)
    assert "<b>" not in mimebundle(error)["text/html"]


def test_a_run_under_way_says_what_it_does(compose: Make, models: Models, gate: Gate) -> None:
    run = compose(models.endless).submit(prompt=FIRST_LINE)
    gate.at_token(run, 4)
    assert gate.reached.wait(PATIENCE)
    assert mimebundle(run)["text/plain"] == f"{run.text}\n\n[generating]"
    assert "<details" not in mimebundle(run)["text/html"]
    run.cancel()
    assert mimebundle(run)["text/plain"].endswith("[stopping]")
    gate.open()
    run.wait(PATIENCE)
    last = mimebundle(run)["text/plain"]
    assert last.startswith(run.text)
    assert "\n\n[cancelled · 12 tokens in, 4 out" in last


def test_a_failed_run_says_why(compose: Make) -> None:
    run = compose("./nowhere").submit(prompt="a")
    assert run.wait(PATIENCE)
    assert mimebundle(run)["text/plain"].startswith("[failed: ./nowhere: there is no file or folder")


def test_the_record_of_a_large_batch_is_shortened(compose: Make, models: Models) -> None:
    count = SHOWN_GENERATIONS + 5
    run = compose(models.poet, text=["a"] * count, max_output_length=1).run()
    shown = mimebundle(run)["text/html"]
    assert shown.count("&quot;prompt_sha256&quot;") == SHOWN_GENERATIONS
    assert "and 5 more" in shown
    assert len(run.record.generations) == count


def event(kind: Any, **data: Any) -> Event:
    return Event(1, kind, data)


def test_progress_lines() -> None:
    download = event("download", what="a/b", done=23_000_000, total=92_900_000, unit="bytes")
    assert progress_line(download, 0) == "downloading a/b  23.0 MB of 92.9 MB  24 %"
    assert progress_line(download, 10) == "downloading a/b  23.0 MB of 92.9 MB  24 %  2.3 MB/s  30 s left"
    assert progress_line(event("convert", what="a", done=0, total=0, unit="tensors"), 1) == "converting a ..."
    assert progress_line(event("load", what="a", done=3, total=9, unit="weights"), 1) == "loading a  3/9 weights"
    repeated = event("job", job="poems", state="processing", item=1, items=3)
    assert progress_line(repeated, 1) == "poems 2 of 3"
    assert working_line(repeated, 17) == "poems 2 of 3: 17 tokens"
    assert working_line(None, 17) == "generating: 17 tokens"


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
