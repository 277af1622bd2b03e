"""What holds for every document and every input, tried with generated ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mcnb.compose import Document, check_input, document_from_source, document_schema, input_schema, load_document
from mcnb.compose.inputs import Inputs
from mcnb.compose.nodes import to_plain
from mcnb.compose.problems import known_keys
from mcnb.compose.yaml_reader import read_text
from mcnb.errors import DocumentError, InvalidInputError
from tests.compose.documents import GOOD, PYDANTIC
from tests.compose.generated import PIECES, TEMPLATES, TEXT, VALUES, attempt, few, many


def checked(load: Callable[[], Document]) -> None:
    """A document, or errors that stand somewhere and speak to people; nothing else."""
    document, error = attempt(DocumentError, load)
    if error is not None:
        assert error.problems
        for problem in error.problems:
            assert problem.location is not None
            assert problem.location.line >= 1
            assert problem.location.column >= 1
            words = problem.message.partition(", got ")[0]
            assert "'" in words or not PYDANTIC.search(words), problem
            assert len(problem.message) < 25_000
        str(error).encode()
        return
    for workflow in document.workflows:
        assert isinstance(document.inputs(workflow.id), Inputs)
        input_schema(document.inputs(workflow.id), workflow)
    assert document_from_source(document.source, document.folder).spec == document.spec


class TestDocuments:
    @few
    @given(VALUES)
    def test_any_yaml(self, value):
        text = yaml.safe_dump(value, allow_unicode=True)

        checked(lambda: load_document(text=text))

    @many
    @given(
        st.text(max_size=300)
        | st.lists(PIECES | st.sampled_from(["a: ", "- ", "\n  ", "&x ", "*x", "<<: "])).map("".join)
    )
    def test_any_text(self, text):
        checked(lambda: load_document(text=text))

    @few
    @given(st.binary(max_size=200))
    def test_any_bytes(self, data):
        path = Path(self.folder) / "model-compose.yml"
        path.write_bytes(data)

        checked(lambda: load_document(path))

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path_factory):
        type(self).folder = tmp_path_factory.mktemp("bytes")

    @many
    @given(st.data())
    def test_any_value_at_any_known_place(self, data):
        """A good document in which some value, at a place the schema knows, became something else."""
        document = yaml.safe_load(data.draw(st.sampled_from(_TEXTS)))
        for _ in range(data.draw(st.integers(1, 3))):
            _replace_something(document, data)

        checked(lambda: load_document(text=yaml.safe_dump(document, allow_unicode=True)))

    @many
    @given(st.data())
    def test_any_cut_of_a_good_text(self, data):
        text = data.draw(st.sampled_from(_TEXTS))
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 60)))
        filling = data.draw(TEXT | TEMPLATES)

        checked(lambda: load_document(text=text[:start] + filling + text[end:]))

    @few
    @given(VALUES)
    def test_what_is_read_is_what_yaml_says(self, value):
        assume(isinstance(value, dict) and not _has_odd_numbers(value))
        text = yaml.safe_dump(value, allow_unicode=True)
        try:
            node = read_text(text, "f")
        except DocumentError:
            return
        assert to_plain(node) == yaml.safe_load(text)


_TEXTS = [path.read_text(encoding="utf-8") for path in GOOD]
_WORDS = sorted(known_keys(()) | known_keys(("components",)) | known_keys(("workflows", "jobs")))


def _replace_something(value: Any, data: Any) -> None:
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if isinstance(value[key], dict | list) and data.draw(st.integers(0, 3)):
            value = value[key]
            continue
        action = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "replace":
            value[key] = data.draw(VALUES)
        elif action == "remove":
            del value[key]
        elif isinstance(value, dict):
            value[data.draw(st.sampled_from(_WORDS) | st.text(max_size=8))] = data.draw(VALUES)
        else:
            value.append(data.draw(VALUES))
        return


def _has_odd_numbers(value: Any) -> bool:
    """Numbers that the reader refuses or keeps as texts."""
    if isinstance(value, dict):
        return any(_has_odd_numbers(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_odd_numbers(item) for item in value)
    return isinstance(value, float) and not -1e300 < value < 1e300


class TestInputs:
    @many
    @given(VALUES)
    def test_any_input_is_taken_or_refused(self, values):
        inputs = load_document(GOOD[0]).inputs()
        found, error = attempt(InvalidInputError, lambda: check_input(inputs, values))
        if error is not None:
            assert error.message
            error.message.encode()
        else:
            assert json.loads(json.dumps(found)) == found

    @few
    @given(TEMPLATES)
    def test_any_template_gives_inputs_with_a_schema(self, text):
        source = {"component": {"model": "a/b", "text": text}}
        try:
            document = document_from_source(source, Path())
        except DocumentError:
            return
        Draft202012Validator.check_schema(input_schema(document.inputs()))


def test_the_schema_of_documents_is_plain_data():
    assert json.loads(json.dumps(document_schema())) == document_schema()
