"""Bodies: JSON, forms and queries, well and badly made."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcnb.compose import load_document
from mcnb.errors import InvalidInputError
from mcnb.server.bodies import (
    EventsQuery,
    Fields,
    OutputQuery,
    RunRequestBody,
    RunsQuery,
    UnsupportedTypeError,
    check_fields,
    check_query,
    read_fields,
)
from mcnb.server.forms import nested, typed_input
from mcnb.server.json_text import MAX_DEPTH, read_json

FORM = "application/x-www-form-urlencoded"


def values(body: bytes, kind: str = "application/json") -> dict[str, Any]:
    return read_fields(kind, body).values


def test_json_is_read_as_it_is() -> None:
    assert values('{"input": {"prompt": "从前 🐇"}}'.encode()) == {"input": {"prompt": "从前 🐇"}}
    assert values(b'\xef\xbb\xbf{"seed": 3}', "application/json; charset=utf-8") == {"seed": 3}
    assert values(b"") == {}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"[1]", "has to be an object, got a list"),
        (b"null", "has to be an object, got null"),
        (b"\xff{}", "not UTF-8"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b"[" * 100_000, "levels"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "levels"),
    ],
)
def test_what_is_no_json_of_ours_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        read_fields("application/json", body)


def test_depth_is_counted_in_levels() -> None:
    def deep(levels: int) -> bytes:
        return b"[" * levels + b"]" * levels

    assert read_json(deep(MAX_DEPTH))
    with pytest.raises(InvalidInputError, match="levels"):
        read_json(deep(MAX_DEPTH + 2))


@given(st.binary(max_size=200), st.sampled_from(["application/json", FORM, "multipart/form-data; boundary=b", "x/y"]))
def test_no_body_is_a_defect(body: bytes, kind: str) -> None:
    with suppress(InvalidInputError):
        fields = read_fields(kind, body)
        check_fields(RunRequestBody, fields)
        json.dumps(fields.values, allow_nan=False).encode()


def test_other_types_are_refused_with_those_that_are_read() -> None:
    with pytest.raises(UnsupportedTypeError, match=r"text/plain.*application/json"):
        read_fields("text/plain", b"{}")
    with pytest.raises(UnsupportedTypeError, match="no Content-Type"):
        read_fields("", b"{}")
    with pytest.raises(UnsupportedTypeError, match="send Content-Type: application/json"):
        read_fields(FORM, b'{"input": {}}')  # curl -d without -H


def test_brackets_nest() -> None:
    read = values(
        b"workflow_id=w&input[prompt]=Once+upon&input[n]=%35&input[tags][]=a&input[tags][]=b&wait_for_completion=true"
        b"&seed=7&parameters[temperature]=0.5&parameters[stop_sequences][0]=x&session_id=5&input[%E5%90%8D]=%E5%80%BC",
        FORM,
    )
    assert read == {
        "workflow_id": "w",
        "input": {"prompt": "Once upon", "n": "5", "tags": ["a", "b"], "名": "值"},
        "wait_for_completion": True,
        "seed": 7,
        "parameters": {"temperature": 0.5, "stop_sequences": ["x"]},
        "session_id": "5",
    }
    assert check_fields(RunRequestBody, Fields(read, True)).seed == 7


@pytest.mark.parametrize("name", ["input[", "input]", "[a]", "a[b]c", "", "a" + "[b]" * 20])
def test_names_that_are_no_fields_are_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="form field"):
        nested([(name, "x")])


def test_names_that_contradict_each_other_are_refused() -> None:
    for pair in (("a", "a[b]"), ("a[b]", "a"), ("a[b][c]", "a[b]")):
        with pytest.raises(InvalidInputError, match="contradicts"):
            nested([(name, "x") for name in pair])


def test_a_multipart_form_and_its_files() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="input[prompt]"\r\n\r\n\xe4\xbd\xa0\r\n'
        b'--b\r\nContent-Disposition: form-data; name="input[notes]"; filename="n.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nfrom a file\r\n--b--\r\n"
    )
    assert values(body, "multipart/form-data; boundary=b") == {"input": {"prompt": "你", "notes": "from a file"}}
    for wrong in (body.replace(b"\xe4", b"\xff"), b"--b"):
        with pytest.raises(InvalidInputError, match=r"UTF-8|not the form"):
            read_fields("multipart/form-data; boundary=b", wrong)
    with pytest.raises(InvalidInputError, match="not the form"):
        read_fields("multipart/form-data", body)


def test_a_form_is_read_by_the_types_of_the_inputs() -> None:
    prompt = "${input.prompt as text} ${input.n as integer} ${input.loud as boolean} ${input.tags as list | []}"
    document = load_document(text=json.dumps({"component": {"model": "m/n", "text": prompt}}))
    read = typed_input(document.inputs(), {"prompt": "5", "n": "5", "loud": "true", "tags": '["a"]'})
    assert read == {"prompt": "5", "n": 5, "loud": True, "tags": ["a"]}
    with pytest.raises(InvalidInputError) as caught:
        typed_input(document.inputs(), {"n": "five", "loud": "perhaps"})
    assert [item["field"] for item in caught.value.errors] == ["n", "loud"]


def test_unknown_keys_are_named_with_the_nearest() -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_fields(RunRequestBody, Fields({"inputs": {}, "workflow_id": 3, "seed": -1}, False))
    assert [item["field"] for item in caught.value.errors] == ["workflow_id", "seed", "inputs"]
    assert "did you mean 'input'?" in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"wait_for_completion": "true"},
        {"seed": True},
        {"seed": 2**63},
        {"seed": 1.5},
        {"timeout": 0},
        {"priority": "first"},
        {"input": "text"},
        {"workflow_id": ""},
        {"metadata": []},
    ],
)
def test_json_says_types_itself(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        check_fields(RunRequestBody, Fields(given, False))


def test_queries() -> None:
    assert check_query(OutputQuery, {"output_only": [b"true"], "token": [b"t"], "1700000000": [b""]}).output_only
    assert check_query(RunsQuery, {"limit": [b"5"], "cursor": [b"17"]}).limit == 5
    wrong: list[tuple[type[Any], dict[str, list[bytes]]]] = [
        (OutputQuery, {"outputonly": [b"1"]}),
        (RunsQuery, {"limit": [b"0"]}),
        (RunsQuery, {"cursor": [b"-1"]}),
        (RunsQuery, {"created_after": [b"nan"]}),
        (RunsQuery, {"status": [b"done"]}),
        (EventsQuery, {"after": [b"x"]}),
        (EventsQuery, {"after": [b"\xff"]}),
    ]
    for model, arguments in wrong:
        with pytest.raises(InvalidInputError):
            check_query(model, arguments)
