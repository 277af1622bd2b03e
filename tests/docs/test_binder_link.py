"""The link that opens the form on a Binder."""

from __future__ import annotations

import pytest

from tools.binder_link import NOTEBOOK, link
from tools.check_docs.documents import ROOT

OPENS = "HEAD?labpath=notebooks%2F02-the-form.ipynb"


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("https://github.com/owner/name.git", "gh/owner/name"),
        ("https://user:secret@github.com/owner/name", "gh/owner/name"),
        ("git@github.com:owner/name.git", "gh/owner/name"),
        ("ssh://git@gitlab.com/group/name", "gl/group%2Fname"),
        ("https://codeberg.org/owner/name.git", "git/https%3A%2F%2Fcodeberg.org%2Fowner%2Fname.git"),
    ],
)
def test_addresses(address: str, place: str) -> None:
    assert link(address) == f"https://mybinder.org/v2/{place}/{OPENS}"


@pytest.mark.parametrize("address", ["/srv/name", "../name", "file:///srv/name.git"])
def test_what_a_binder_cannot_reach(address: str) -> None:
    assert link(address) is None


def test_what_it_opens_is_there() -> None:
    assert (ROOT / NOTEBOOK).is_file()
