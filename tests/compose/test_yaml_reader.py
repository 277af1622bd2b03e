"""What becomes of YAML: values, places, and what YAML has that a compose file must not hold."""

from __future__ import annotations

import pytest
import yaml

from mcnb.compose import yaml_reader
from mcnb.compose.nodes import to_plain
from mcnb.compose.yaml_reader import read_text
from mcnb.errors import DocumentError, Location


@pytest.fixture(params=[yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)], autouse=True)
def loader(request, monkeypatch):
    """Both parsers of PyYAML: the one in C is missing on some machines."""
    monkeypatch.setattr(yaml_reader, "_LOADER", request.param)


def plain(text):
    return to_plain(read_text(text, "f"))


def problem(text):
    with pytest.raises(DocumentError) as caught:
        read_text(text, "f")
    (found,) = caught.value.problems
    return found


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("5", 5),
        ("0x1F", 31),
        ("0.5", 0.5),
        ("-1.5e+3", -1500.0),
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("hello", "hello"),
        ("'5'", "5"),
        ('"yes"', "yes"),
        ("! 5", "5"),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("2024-05-01", "2024-05-01"),
        ("2024-05-01 10:00:00", "2024-05-01 10:00:00"),
        ("1:30", 90),
        ("[1, {a: b}]", [1, {"a": "b"}]),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">\n  a\n  b\n", "a b\n"),
        ("价格 ${input.x} 👩🏽‍🚀", "价格 ${input.x} 👩🏽‍🚀"),
        ("9" * 101, "9" * 101),
        ("'<<'", "<<"),
    ],
)
def test_scalars(written, value):
    found = plain(f"key: {written}\n")["key"]

    assert found == value
    assert type(found) is type(value)


def test_keys_are_texts():
    assert plain("1: a\nyes: b\n0.5: c\n'~': d\n") == {"1": "a", "yes": "b", "0.5": "c", "~": "d"}


def test_aliases_and_merges():
    text = """
base: &base {a: 1, b: 2}
more: &more {b: 3, c: 4}
one: {<<: *base, a: 5}
both: {<<: [*base, *more]}
again: [*base, *base]
quoted: {'<<': *base}
"""
    found = plain(text)

    assert found["one"] == {"a": 5, "b": 2}
    assert found["both"] == {"a": 1, "b": 2, "c": 4}
    assert found["again"] == [{"a": 1, "b": 2}] * 2
    assert found["quoted"] == {"<<": {"a": 1, "b": 2}}


def test_a_merged_key_keeps_the_place_of_its_anchor():
    node = read_text("a: &a\n  x: 1\nb:\n  <<: *a\n", "f")

    assert node.mapping["b"].mapping["x"].place == Location("f", 2, 3)


def test_places_of_keys_and_values():
    node = read_text("a:\n  - b: 1\n    cc:   hello\n", "f")
    found, path = node.child(("a", 0, "cc"))

    assert path == ("a", 0, "cc")
    assert found.key == "cc"
    assert found.key_location == Location("f", 3, 5)
    assert found.location == Location("f", 3, 11)
    assert node.child(("a", 5, "cc"))[1] == ("a",)


@pytest.mark.parametrize(
    ("text", "needle", "place"),
    [
        ("a: x ${b}\n", "${", (1, 6)),
        ("a: 'x ${b}'\n", "${", (1, 7)),
        ("字: 字 ${b}\n", "${", (1, 6)),
        ("a: |\n  one\n    two ${b}\n", "${", (3, 9)),
        ("a: |\n\n  one ${b}\n", "${", (3, 7)),
        ("k:\n  a: |-\n    x ${b}\n    ${c}\n", "${c", (4, 5)),
        ("a: |2\n    x ${b}\n", "${", (2, 7)),
        ("a: >\n  one\n  ${b}\n", "${", (1, 4)),
        ("a: |\r\n  one\r\n  ${b}\r\n", "${", (3, 3)),
    ],
)
def test_places_inside_a_text(text, needle, place):
    node = read_text(text, "f")
    found = next(iter(node.mapping.values())) if "k" not in node.mapping else node.mapping["k"].mapping["a"]

    assert found.at_offset(found.value.index(needle)) == Location("f", *place)


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("a: 1\nb: 2\na: 3\n", "the key 'a' stands twice; it is first set in line 1", (3, 1)),
        ("x: {a: 1, a: 1}", "the key 'a' stands twice; it is first set in line 1", (1, 11)),
        ("a: *b", "alias '*b' is not defined", (1, 4)),
        ("a: &b [*b]", "alias '*b' contains itself", (1, 8)),
        ("a: &b {c: *b}", "alias '*b' contains itself", (1, 11)),
        ("a: !!python/name:os.system x", "the tag 'tag:yaml.org,2002:python/name:os.system' is not allowed", (1, 4)),
        ("a: !!set {x}", "the tag 'tag:yaml.org,2002:set' is not allowed", (1, 4)),
        ("a: !!omap [x: 1]", "the tag 'tag:yaml.org,2002:omap' is not allowed", (1, 4)),
        ("a: !!binary aGk=", "the tag 'tag:yaml.org,2002:binary' is not allowed", (1, 4)),
        ("a: !local x", "the tag '!local' is not allowed", (1, 4)),
        ("a: !!int x", "'x' is not an integer", (1, 4)),
        ("a: !!int ''", "'' is not an integer", (1, 4)),
        ("a: !!bool perhaps", "'perhaps' is not true or false", (1, 4)),
        ("a: .nan", "'.nan' is not a number", (1, 4)),
        ("a: -.inf", "'-.inf' is not a number", (1, 4)),
        ("a: !!int " + "9" * 101, f"'{'9' * 40}' is not an integer", (1, 4)),
        ("? [a]\n: b", "a key has to be a plain word", (1, 3)),
        ("? " + "k" * 1001 + "\n: b", "a key has 1,001 characters; at most 1,000 are allowed", (1, 3)),
        ("a: {<<: b}", "'<<' merges mappings only", (1, 9)),
        ("a: b\n--- \nc: d\n", "the file holds more than one document", (2, 1)),
        ("", "the document is empty; a mapping with 'component' or 'workflow' is expected", (1, 1)),
        ("5", "the document holds a number; a mapping with 'component' or 'workflow' is expected", (1, 1)),
        ("hello", "the document holds a text; a mapping with 'component' or 'workflow' is expected", (1, 1)),
        ("- a", "the document holds a list; a mapping with 'component' or 'workflow' is expected", (1, 1)),
        ('a: "x\\0y"', "the text holds a character that is not text", (1, 4)),
        ("ä: x\x07", "not valid YAML: a control character", (1, 5)),
        ("a: b\nc: \ud800", "the text is not Unicode", (2, 4)),
    ],
)
def test_what_is_refused(text, message, place):
    found = problem(text)

    assert found.message == message
    assert found.location == Location("f", *place)


def test_a_number_without_end_is_not_computed(monkeypatch):
    """PyYAML reads 1:1:1... as a number in base 60, in time that grows with its square."""
    monkeypatch.setattr(yaml.constructor.SafeConstructor, "construct_yaml_int", None)

    assert plain("a: 1" + ":1" * 400_000)["a"].startswith("1:1:1")


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("a:\n\tb: c\n", 2, "YAML does not allow tabs here; indent with spaces"),
        ("a: b: c\n", 1, "a value that holds ': ' has to stand in quotes: a: 'b: c'"),
        ("a: 'b': c\n", 1, None),
        ('x: 1\na: "b\nc: d\n', 2, "a quote or a bracket is not closed"),
        ("x: 1\na: [b, c\n", 2, None),
    ],
)
def test_hints_for_broken_yaml(text, line, hint):
    found = problem(text)

    assert found.message.startswith("not valid YAML: ")
    assert found.location.line == line
    if hint:
        assert found.hint == hint
