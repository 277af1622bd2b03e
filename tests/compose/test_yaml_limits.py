"""Hostile files are refused while they are read: by what was read until then and what it cost in memory.

How long that takes is measured by the benchmarks; here stands that the work is bounded.
"""

from __future__ import annotations

import tracemalloc

import pytest
import yaml

from mcnb.compose import load_document, yaml_reader
from mcnb.compose.yaml_reader import MAX_DEPTH, MAX_EXPRESSIONS, MAX_NODES
from mcnb.errors import DocumentError
from tests.compose.documents import DATA, ONE, component, load, refused, said


@pytest.fixture
def events(monkeypatch):
    """How many events of the parser were looked at."""
    counted = []
    parse = yaml.parse

    def counting(*args, **kwargs):
        for event in parse(*args, **kwargs):
            counted.append(1)
            yield event

    monkeypatch.setattr(yaml_reader.yaml, "parse", counting)
    return counted


def first(text):
    with pytest.raises(DocumentError) as caught:
        load_document(text=text, name="f.yml")
    return str(caught.value.problems[0])


def peak_megabytes(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def bomb(levels, width):
    lines = ["a0: &a0 [" + ", ".join("x" * width) + "]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_a_bomb_of_aliases_is_refused_by_its_size(events):
    assert first(bomb(9, 10)).endswith("the document has more than 100,000 values after its aliases")
    assert len(events) < 200


def test_a_bomb_of_merges_is_refused_by_its_size(events):
    text = "a0: &a0 {x: 1, y: 2}\n" + "\n".join(
        f"a{n}: &a{n} {{<<: *a{n - 1}, p{n}: *a{n - 1}, q{n}: *a{n - 1}}}" for n in range(1, 40)
    )

    assert first(text).endswith("the document has more than 100,000 values after its aliases")
    assert len(events) < 600


@pytest.mark.parametrize("text", ["a: " + "[" * 900_000, "- " * 400_000, "? " * 400_000, "{a: " * 200_000])
def test_deep_nesting_is_refused_at_the_limit(events, text):
    assert first(text).endswith("the document is nested deeper than 64 levels")
    assert len(events) < 4 * MAX_DEPTH


def test_depth_counts_through_aliases(events):
    """Each line is flat enough; laid into each other they would be as deep as the stack."""
    deep = "".join(f"a{n}: &a{n} {'[' * 40}{f'*a{n - 1}' if n else 'x'}{']' * 40}\n" for n in range(40))

    assert first(deep) == "f.yml:2:49: the document is nested deeper than 64 levels"
    assert len(events) < 200


def test_the_limit_of_depth_is_exact():
    def nested(levels):  # three of them are the document, the component and the innermost value
        return component("output: " + "[" * (levels - 3) + "x" + "]" * (levels - 3))

    assert said(nested(MAX_DEPTH)) == []
    assert said(nested(MAX_DEPTH + 1)) == ["4:73: the document is nested deeper than 64 levels"]


def test_the_limit_of_values():
    many = "[" + "x," * (MAX_NODES - 20) + "]"

    assert said(component(f"output: {many}")) == []
    (problem,) = said(component(f"output: [{many}, {'[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]'}]"))
    assert problem.endswith("the document has more than 100,000 values after its aliases")


def test_large_texts_are_not_parsed_at_all(events, tmp_path):
    path = tmp_path / "model-compose.yml"
    path.write_text("component:\n  text: " + "x" * 2_000_000)

    assert first("a: " + "x" * 2_000_000) == "f.yml:1:1: the text has 2,000,003 bytes; at most 1,000,000 are allowed"
    assert first("a: " + "字" * 400_000) == "f.yml:1:1: the text has 1,200,003 bytes; at most 1,000,000 are allowed"
    assert str(refused(path)) == f"{path}:1:1: the file has more than 1,000,000 bytes, which is the most allowed"
    assert events == []


def test_a_large_text_that_is_allowed():
    assert load(component("", prompt="x" * 900_000)).spec.components[0].actions[0].prompt.constant == "x" * 900_000


def test_many_expressions(events):
    (problem,) = said(component("", prompt="[" + "'${a}'," * (MAX_EXPRESSIONS + 1) + "]"))

    assert problem == "1:1: the text has 10,001 expressions; at most 10,000 are allowed"
    assert events == []


def test_only_the_first_problems_are_told():
    keys = "".join(f"  key{n}: 1\n" for n in range(500))
    problems = said(ONE + f"workflow:\n{keys}")

    assert len(problems) == 101
    assert problems[0] == "3:3: unknown key 'key0' in workflow"
    assert problems[-1] == "103:3: more problems follow from here (the first 100 are told)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("component: [" + "1," * 50_000 + "]", "component: at most 1,000 are allowed, got 50,000"),
        (
            ONE + "workflow: {jobs: [{depends_on: [" + "1," * 50_000 + "]}]}",
            "depends_on: at most 1,000 are allowed, got 50,000",
        ),
        (
            component("params: {" + ",".join(f"k{n}: 1" for n in range(40_000)) + "}"),
            "params: at most 1,000 keys are allowed, got 40,000",
        ),
    ],
)
def test_long_lists_and_mappings_are_refused_before_their_items(monkeypatch, text, message):
    from mcnb.compose import problems

    looked_at = []
    say = problems._problem
    monkeypatch.setattr(problems, "_problem", lambda *args: looked_at.append(1) or say(*args))

    assert message in "\n".join(said(text))
    assert len(looked_at) < 5


def test_a_document_that_is_wrong_everywhere_is_given_up(monkeypatch):
    """After a thousand errors the rest is not looked at."""
    from mcnb.compose import loading

    counted = []
    tell = loading.from_validation
    monkeypatch.setattr(loading, "from_validation", lambda e, root: counted.append(e.error_count()) or tell(e, root))
    jobs = "".join(f"    - {{{', '.join(f'k{n}: 1' for n in range(40))}}}\n" for _ in range(900))

    assert len(said(ONE + "workflow:\n  jobs:\n" + jobs)) == 101
    assert counted[0] < 3_000  # 36,000 without the limit


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(bomb(9, 10), id="bomb"),
        pytest.param("a: " + "[" * 900_000, id="depth"),
        pytest.param("a: " + "x" * 2_000_000, id="scalar"),
        pytest.param("a: 1" + ":1" * 400_000, id="base-60"),
        pytest.param("a: [" + "&x y," * 150_000 + "]", id="anchors"),
        pytest.param("component: [" + "1," * 99_000 + "]", id="list"),
        pytest.param(component("", prompt="'" + "${a}" * 190_000 + "'"), id="expressions"),
        pytest.param(component("", prompt="'${input.a | " + "{}" * 480_000 + "}'"), id="default"),
        pytest.param((DATA / "broken" / "alias-bomb.yml").read_text(), id="file"),
    ],
)
def test_memory_of_a_refusal(text):
    assert peak_megabytes(lambda: first(text)) < 64
