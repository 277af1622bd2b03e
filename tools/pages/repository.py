"""Pages that are files of the repository: README sections, CONTRIBUTING, the changelog, the Binder, the examples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tools.pages.links import into_site
from tools.pages.places import ROOT, page_of
from tools.pages.text import fence

GUIDE = "examples/text-generation.md"
WHOLE = ("README.zh-cn.md", "CONTRIBUTING.md", "CHANGELOG.md", "binder/README.md", "notebooks/README.md", GUIDE)
_COMMENT = re.compile(r"^<!--.*?-->\n", re.DOTALL | re.MULTILINE)


def pages() -> Iterator[tuple[str, str]]:
    """Yield the pages' places and their Markdown."""
    for name in WHOLE:
        yield _page(name), _read(name, _page(name))
    yield "measured.md", f"# Measured\n\n{section('README.md', 'Measured', 'measured.md')}"
    for readme in example_files():
        page = page_of_example(readme)
        yield page, _read(readme.relative_to(ROOT).as_posix(), page) + _compose_files(readme.parent)


def example_files() -> list[Path]:
    """Return the READMEs of the examples."""
    return sorted((ROOT / "examples").rglob("README.md"))


def page_of_example(readme: Path) -> str:
    """Return the page of an example."""
    return _page(readme.relative_to(ROOT).as_posix())


def section(name: str, heading: str, page: str) -> str:
    """Return what stands under a heading of a file, with links that work on a page."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    if found is None:
        raise ValueError(f"{name} has no section '{heading}'")
    return into_site(_COMMENT.sub("", found.group(1)), name, page)


def _page(name: str) -> str:
    found = page_of(name)
    if found is None:
        raise ValueError(f"{name} is on no page")
    return found


def _read(name: str, page: str) -> str:
    text = _COMMENT.sub("", (ROOT / name).read_text(encoding="utf-8"))
    return into_site(text, name, page)


def _compose_files(folder: Path) -> str:
    files = sorted(folder.glob("*.yml"))
    return "".join(f"\n## {path.name}\n\n{fence('yaml', path.read_text(encoding='utf-8'))}" for path in files)
