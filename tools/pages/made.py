"""Which pages are made, and what makes them."""

from __future__ import annotations

from collections.abc import Iterator

from tools.pages import command, document, error_tree, http, notebooks, repository, settings

MADE = {
    "reference/document.md": document.page,
    "reference/command.md": command.page,
    "reference/magic.md": command.magic_page,
    "reference/http.md": http.page,
    "reference/settings.md": settings.page,
    "reference/errors.md": error_tree.page,
}
"""Pages that are made from the code, and what makes them."""


def made_pages() -> Iterator[tuple[str, str]]:
    """Yield the places and the Markdown of all pages that are made."""
    for place, make in MADE.items():
        yield place, make()
    for path in notebooks.notebooks():
        yield f"notebooks/{path.stem}.md", notebooks.page(path)
    yield from repository.pages()
