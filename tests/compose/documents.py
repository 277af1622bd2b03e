"""Short ways to load a document in a test, and to see what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from mcnb.compose import Document, Environment, Inputs, load_document
from mcnb.errors import DocumentError

DATA = Path(__file__).parent / "data"
GOOD = sorted((DATA / "good").glob("*.yml"))
BROKEN = sorted((DATA / "broken").glob("*.yml"))

PYDANTIC = re.compile(
    r"input should|tuple|dictionar|pydantic|valid (string|integer|number|boolean)|validation|unable to|instance of"
    r"|extra inputs|field required|function-|tagged-union|nonetype|traceback|\bdict\b|\bstr\b|\bint\b|\bfloat\b",
    re.IGNORECASE,
)
"""Words of the validator, which mean nothing to people who write compose files."""

ONE = "component: {model: a/b, text: hello}\n"
"""The shortest good document."""


def load(text: str, env: Mapping[str, str] | None = None) -> Document:
    return load_document(text=dedent(text), name="f.yml", environment=Environment(overrides=env))


def said(text: str, env: Mapping[str, str] | None = None) -> list[str]:
    """Everything that is wrong with a text, one line each; an empty list when nothing is."""
    try:
        load(text, env)
    except DocumentError as error:
        return [str(problem).removeprefix("f.yml:") for problem in error.problems]
    return []


def brief(inputs: Inputs) -> list[tuple[str, str, bool]]:
    """The names of inputs, their types, and whether they are required."""
    return [(item.name, str(item.type), item.required) for item in inputs]


def refused(*paths: Path, environment: Environment | None = None) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        load_document(*paths, environment=environment)
    return caught.value


def component(extra: str, prompt: str = "hello") -> str:
    """A document of one component, `extra` being more of its lines."""
    lines = dedent(extra).strip("\n").splitlines()
    return "\n".join(["component:", "  model: a/b", f"  text: {prompt}", *(f"  {line}" for line in lines)]) + "\n"
