"""What MkDocs calls while it builds the site."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tools.pages import diagrams, http, notebooks, repository
from tools.pages.links import into_site
from tools.pages.made import made_pages


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the notebooks and the examples into the navigation, and draw diagrams if that can be."""
    if diagrams.script():
        config.mdx_configs["pymdownx.superfences"] = diagrams.fences()
    found = {
        "notebooks/": ["notebooks/index.md", *(f"notebooks/{path.stem}.md" for path in notebooks.notebooks())],
        "examples/": _examples(),
    }
    config.nav = [_expanded(item, found) for item in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    for place, text in made_pages():
        files.append(File.generated(config, place, content=text))
    if mermaid := diagrams.script():
        files.append(File.generated(config, diagrams.PLACE, content=mermaid))
    openapi = json.dumps(http.document(), indent=1)
    files.append(File.generated(config, "reference/openapi.json", content=openapi))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links of written pages that leave `docs` lead to the site's own pages."""
    place = page.file.src_uri
    return into_site(markdown, f"docs/{place}", place) if page.file.generated_by is None else markdown


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Load what draws diagrams where there are any."""
    return diagrams.with_script(output, page.url) if diagrams.script() else output


def _expanded(item: Any, found: dict[str, list[Any]]) -> Any:
    if isinstance(item, dict):
        ((title, value),) = item.items()
        return {title: found.get(value, value)} if isinstance(value, str) else item
    return item


def _examples() -> list[Any]:
    """Return the pages of the examples; those of a folder within stand under the title of that folder."""
    root: list[Any] = []
    groups: dict[str, list[Any]] = {}
    for readme in repository.example_files():
        place = repository.page_of_example(readme)
        parts = PurePosixPath(place).parts[1:]
        into = root if len(parts) == 1 else groups.setdefault(parts[0], [])
        into.insert(0 if parts[-1] == "index.md" else len(into), place)
    root.insert(1, repository.GUIDE)
    return [*root, *({name.capitalize(): places} for name, places in groups.items())]
