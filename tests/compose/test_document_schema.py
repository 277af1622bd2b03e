"""The JSON Schema of compose files, for editors: it knows all dialects, as the loader does."""

from __future__ import annotations

import copy
from functools import cache

import pytest
import yaml
from jsonschema import Draft202012Validator

from mcnb.compose import document_schema
from tests.compose.documents import BROKEN, DATA, GOOD

SEED = [DATA / "seed" / f"{name}.yml" for name in ("generation-parameters", "prompt-template")]

WRONG_FOR_EDITORS = (
    "bad-ids",
    "bad-repository-in-mapping",
    "fragment",
    "hook",
    "listeners",
    "no-model",
    "not-a-mapping",
    "out-of-range",
    "peer-silently-ignored",
    "peer-task",
    "shapes",
    "unknown-job-type",
    "unknown-key",
    "unknown-keys-everywhere",
    "unknown-provider",
    "unknown-task",
    "wrong-inline-component",
    "wrong-task-key",
    "wrong-types",
)


@cache
def validator():
    return Draft202012Validator(document_schema())


def parsed(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_it_is_a_schema():
    Draft202012Validator.check_schema(document_schema())

    assert document_schema()["title"] == "mcnb compose file"
    assert document_schema() == document_schema()


@pytest.mark.parametrize("path", [*GOOD, *SEED], ids=lambda path: path.stem)
def test_good_documents_are_accepted(path):
    assert [f"{list(error.absolute_path)}: {error.message}" for error in validator().iter_errors(parsed(path))] == []


@pytest.mark.parametrize("name", WRONG_FOR_EDITORS)
def test_broken_documents_are_refused(name):
    (path,) = [path for path in BROKEN if path.stem == name]

    assert not validator().is_valid(parsed(path))


def _places(value, path=()):
    """Every mapping of a document in which unknown keys matter."""
    if isinstance(value, dict):
        if not path or path[-1] not in ("input", "output", "metadata", "value", "content"):
            yield path
            for key, item in value.items():
                if key not in ("input", "output", "metadata", "value", "content"):
                    yield from _places(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _places(item, (*path, number))


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_an_unknown_key_is_refused_everywhere(path):
    document = parsed(path)
    places = list(_places(document))
    assert len(places) > 3

    for place in places:
        changed = copy.deepcopy(document)
        inner = changed
        for element in place:
            inner = inner[element]
        inner["unknown_key"] = 1
        assert not validator().is_valid(changed), place
