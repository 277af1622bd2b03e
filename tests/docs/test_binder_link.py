"""The link that opens the form on a Binder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.binder_link import NOTEBOOK, PICTURE, READMES, link, main, with_badge
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


@pytest.mark.parametrize("name", READMES)
def test_the_badge_of_the_readmes(name: str) -> None:
    page = (ROOT / name).read_text(encoding="utf-8")
    assert with_badge(page, "binder/README.md") == page, "a copy that was not published yet leads to the explanation"
    assert f"({PICTURE})](https://there)" in with_badge(page, "https://there")
    assert (ROOT / PICTURE).is_file()


@pytest.mark.parametrize("page", ["# no badge", f"[![a]({PICTURE})](b) [![a]({PICTURE})](b)"])
def test_a_page_without_one_badge(page: str) -> None:
    with pytest.raises(ValueError, match="one badge was expected"):
        with_badge(page, "https://there")


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for name in READMES:
        (tmp_path / name).write_text(f"[![Form]({PICTURE})](binder/README.md) and more", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_published_address_is_written_into_the_readmes(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["git", "remote", "add", "origin", "https://github.com/owner/name.git"], check=True)
    address = f"https://mybinder.org/v2/gh/owner/name/{OPENS}"
    assert main([]) == 0
    assert capsys.readouterr().out == f"{address}\n"
    assert "binder/README.md" in (copy / READMES[0]).read_text(encoding="utf-8")
    assert main(["--write"]) == 0
    for name in READMES:
        assert (copy / name).read_text(encoding="utf-8") == f"[![Form]({PICTURE})]({address}) and more"


def test_without_an_address_nothing_is_written(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--write"]) == 1
    assert "a Binder cannot reach it: this copy has no origin" in capsys.readouterr().err
    assert "binder/README.md" in (copy / READMES[0]).read_text(encoding="utf-8")
