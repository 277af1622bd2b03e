"""What is printed when a service is ready."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from mcnb.compose import load_document
from mcnb.service import announcement as module
from mcnb.service.announcement import announcement, curl
from mcnb.service.endpoint import Endpoint, endpoint_of
from mcnb.service.options import ServiceOptions
from tests.service.documents import COMPONENT, document

LOG = Path("/var/log/a.log")


def endpoint(found: Any, **options: Any) -> Endpoint:
    return endpoint_of(found, ServiceOptions(**{"token": "t0k'en", **options}))


def body(command: str) -> Any:
    words = shlex.split(command.replace("\\\n", " "))
    return json.loads(words[words.index("-d") + 1])


def test_the_curl_can_be_pasted() -> None:
    found = document()
    command = curl(found, endpoint(found))
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:4] == ["curl", "-X", "POST", "http://localhost:8080/api/workflows/runs"]
    assert "Authorization: token t0k'en" in words
    assert body(command) == {"input": {"prompt": "Once upon a time"}}


def test_without_a_token_there_is_no_header() -> None:
    found = document()
    assert "Authorization" not in curl(found, endpoint(found, token=""))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${input.n as integer} ${input.why | because}", {"n": 1}),
        ("${input.n as integer @(range 5..9)}", {"n": 5}),
        ("${input.kind as select/tale,joke}", {"kind": "tale"}),
        ("${input.kind | tale} ${input.style}", {"style": "Once upon a time"}),
        ("${input.kind | tale} ${input.style | short}", {"kind": "tale"}),
        ("It's ${input.a as list} ${input.b as json} ${input.c as boolean}", {"a": [], "b": {}, "c": True}),
    ],
)
def test_the_input_is_one_that_is_taken(text: str, expected: dict[str, Any]) -> None:
    found = document(component={"model": "./nowhere", "text": text})
    assert body(curl(found, endpoint(found))) == {"input": expected}


def test_a_workflow_is_named_when_none_is_the_default() -> None:
    jobs = {"job": {"component": "c"}}
    workflows = [{"id": "hidden", "private": True, **jobs}, {"id": "a", **jobs}, {"id": "b", **jobs}]
    found = load_document(text=json.dumps({"component": {"id": "c", **COMPONENT}, "workflows": workflows}))
    assert body(curl(found, endpoint(found)))["workflow_id"] == "a"


def test_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "can_show_pages", lambda: True)
    found = document({"webui": {"port": 8081}})
    lines = announcement(found, endpoint(found, token="abc"), LOG).splitlines()
    assert lines[0] == "<text> is served at http://localhost:8080/api"
    assert lines[-3:] == ["form: http://localhost:8081/?token=abc", "log:  /var/log/a.log", "Ctrl-C stops"]
    assert len(lines) <= 10


def test_detached_it_says_how_to_stop() -> None:
    found = document()
    lines = announcement(found, endpoint(found), LOG, detached_as="poem-1").splitlines()
    assert lines[-1] == "'mcnb down poem-1' stops it"
    assert not any(line.startswith("form") for line in lines)


def test_warnings() -> None:
    found = document({"adapter": {"origins": "*"}})
    text = announcement(found, endpoint(found, token=""), LOG)
    assert "warning: no token is asked for" in text
    assert "is not honoured" in text
    assert "token" not in announcement(document(), endpoint(document(), token=""), LOG).partition("\n")[2]


def test_without_voila_there_is_a_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "can_show_pages", lambda: False)
    found = document({"webui": {}})
    assert "pip install 'mcnb[web]'" in announcement(found, endpoint(found), LOG)
