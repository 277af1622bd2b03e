"""Wrong documents, each with everything that is wrong with it at its head, in the order of the file."""

from __future__ import annotations

import pytest

from mcnb.compose import load_document
from mcnb.errors import DocumentError
from tests.compose.documents import BROKEN, PYDANTIC, refused


def _expected(path):
    lines = path.read_bytes().decode(errors="replace").splitlines()
    return [line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: ")]


def test_there_are_many():
    assert len(BROKEN) >= 60


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_every_problem_is_told_with_its_place(path):
    error = refused(path)

    assert [str(problem).removeprefix(f"{path}:") for problem in error.problems] == _expected(path)
    assert all(problem.location.file == str(path) for problem in error.problems)
    assert str(error) == "\n".join(str(problem) for problem in error.problems)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_no_word_of_the_validator_reaches_people(path):
    for problem in refused(path).problems:
        assert not PYDANTIC.search(f"{problem.message} {problem.hint}"), problem


@pytest.mark.parametrize("path", [path for path in BROKEN if path.stem != "not-utf-8"], ids=lambda path: path.stem)
def test_the_place_of_a_text_is_that_of_its_file(path):
    """A notebook cell gets the same places as a file."""
    error = refused(path)

    with pytest.raises(DocumentError) as caught:
        load_document(text=path.read_text(encoding="utf-8"), name=str(path))

    assert caught.value.problems == error.problems
