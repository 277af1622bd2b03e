"""The site builds without a warning, loads nothing from elsewhere, and tells everything that there is."""

from __future__ import annotations

import html
import re
from pathlib import Path

import click
import pytest

from mcnb.cli.group import mcnb
from mcnb.compose.json_schema import document_schema
from mcnb.errors import McnbError
from mcnb.notebook.parser import COMMANDS
from mcnb.notebook.settings import Compose
from mcnb.server.extension import McnbExtension
from mcnb.server.routes import ROUTES
from tools.pages.error_tree import EXAMPLE

_LOADED = re.compile(r"""<(?:script|img|iframe|source|link|video|audio)\b[^>]*?(?:src|href|srcset)=["']?([^"'\s>]+)""")
_IN_CSS = re.compile(r"""(?:url\(|@import\s+)["']?((?:https?:)?//[^"')]+)""")


def text_of(page: Path) -> str:
    """What stands on a page, without its markup."""
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages, styles = list(site.rglob("*.html")), list(site.rglob("*.css"))
    assert len(pages) > 30
    assert styles
    foreign = [
        (page.name, target)
        for page in pages
        for target in _LOADED.findall(page.read_text(encoding="utf-8"))
        if re.match(r"(https?:)?//", target)
    ]
    foreign += [(style.name, target) for style in styles for target in _IN_CSS.findall(style.read_text("utf-8"))]
    assert foreign == []


def test_every_key_of_a_compose_file_is_told(site: Path) -> None:
    told = set(re.findall(r"<code>([\w-]+)</code>", (site / "reference/document.html").read_text(encoding="utf-8")))
    schema = document_schema()
    parts = [schema, *schema["$defs"].values()]
    assert {key for part in parts for key in part.get("properties", {})} - told == set()


def test_every_key_of_a_compose_file_says_what_it_is() -> None:
    silent = [
        f"{name}.{key}"
        for name, part in document_schema()["$defs"].items()
        for key, schema in part.get("properties", {}).items()
        if not schema.get("description")
    ]
    assert silent == []


def test_every_command_and_option_is_told(site: Path) -> None:
    text = text_of(site / "reference/command.html")
    context = click.Context(mcnb, info_name="mcnb")
    for name in mcnb.list_commands(context):
        command = mcnb.get_command(context, name)
        assert command is not None
        assert f"mcnb {name}" in text
        missing = [option for item in command.params for option in item.opts if option.startswith("-")]
        assert [option for option in missing if option not in text] == []


def test_every_magic_is_told(site: Path) -> None:
    text = text_of(site / "reference/magic.html")
    assert [name for name in COMMANDS if f"%compose {name}" not in text] == []


def test_every_route_is_told(site: Path) -> None:
    text = text_of(site / "reference/http.html")
    routes = [f"{method} /{route.path}" for route in ROUTES for method in route.operations]
    assert [route for route in routes if route not in text] == []
    assert (site / "reference/openapi.json").is_file()


def test_every_setting_is_told(site: Path) -> None:
    text = text_of(site / "reference/settings.html")
    names = [*McnbExtension.class_own_traits(config=True), *Compose.class_own_traits(config=True)]
    assert len(names) > 10
    assert [name for name in names if name not in text] == []


def test_every_error_is_told(site: Path) -> None:
    text = text_of(site / "reference/errors.html")
    kinds = [kind for kind in McnbError.__subclasses__() if kind.__module__ == "mcnb.errors"]
    assert len(kinds) > 10
    assert [kind.__name__ for kind in kinds if kind.__name__ not in text or kind.code not in text] == []


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("reference/events.html", ["finish_reasons", "prompt_sha256", "turn", "token", "interrupted"]),
        ("reference/python.html", ["submit", "repeat", "batch", "to_pandas", "resume", "connect"]),
        ("measured.html", ["make reliability"]),
        ("zh-cn.html", ["一个文件，五种用法"]),
    ],
)
def test_pages_hold_what_they_are_for(site: Path, page: str, words: list[str]) -> None:
    text = text_of(site / page)
    assert [word for word in words if word not in text] == []


def test_notebooks_and_examples_have_pages(site: Path) -> None:
    root = Path(__file__).parents[2]
    for notebook in (root / "notebooks").glob("*.ipynb"):
        assert (site / "notebooks" / f"{notebook.stem}.html").is_file()
    for readme in (root / "examples").rglob("README.md"):
        folder = readme.parent.relative_to(root)
        assert (site / f"{folder}.html").is_file() or (site / folder / "index.html").is_file()


def test_the_example_of_the_errors_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(EXAMPLE, {})
    assert "mine.yml:1:" in capsys.readouterr().out
