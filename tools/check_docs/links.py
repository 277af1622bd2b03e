"""The links of a file, and where they lead."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from tools.pages.links import outside_code, outside_fences
from tools.pages.made import MADE

_LINK = re.compile(r"\]\(\s*<?([^()\s>]+(?:\([^()\s]*\)[^()\s>]*)?)>?(?:\s+\"[^\"]*\")?\s*\)")
_REFERENCE = re.compile(r"^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
_HTML = re.compile(r"""(?:src|href|srcset)=["']([^"']+)["']""")
_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*\s*$", re.MULTILINE)
_HOST = re.compile(r"(?:[a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}(?::[0-9]+)?", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\b(OWNER|REPO|USER|ORG|TODO|FIXME|example\.(com|org))\b")
_THEMES = ("only-light", "only-dark", "gh-light-mode-only", "gh-dark-mode-only")


def wrong_links(path: Path, root: Path) -> Iterator[str]:
    """Yield what is wrong with a file's links, each as a sentence that begins with the file and the link.

    Parameters
    ----------
    path : Path
        From the root.
    root : Path
        Of the repository.
    """
    for target in dict.fromkeys(links_of(text_of(root / path))):
        if problem := _problem(target, path, root):
            yield f"{path}: {target} {problem}"


def text_of(path: Path) -> str:
    """Return a file's Markdown; of a notebook, that of its cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = [cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
    return "\n\n".join(source if isinstance(source, str) else "".join(source) for source in cells)


def links_of(markdown: str) -> list[str]:
    """Return where the links and images of Markdown lead, code left out."""
    found: list[str] = []

    def gather(text: str) -> str:
        for pattern in (_LINK, _REFERENCE, _HTML):
            found.extend(pattern.findall(text))
        return text

    outside_code(markdown, gather)
    return found


def anchors_of(markdown: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of Markdown."""
    titles: list[str] = []

    def gather(text: str) -> str:
        titles.extend(title for _, title in _HEADING.findall(text))
        return text

    outside_fences(markdown, gather)
    anchors: set[str] = set(re.findall(r"""<a (?:id|name)=["']([^"']+)["']""", markdown))
    for title in titles:
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", plain.lower().replace("`", "")).replace(" ", "-")
        number, unique = 0, slug
        while unique in anchors:
            number += 1
            unique = f"{slug}-{number}"
        anchors.add(unique)
    return anchors


def _problem(target: str, path: Path, root: Path) -> str | None:
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return _outside(target)
    place, _, anchor = urllib.parse.unquote(target).partition("#")
    file = (root / path.parent / place).resolve() if place else (root / path).resolve()
    if not file.is_relative_to(root.resolve()):
        return "leads out of the repository"
    if file.is_relative_to(root / "docs") and str(file.relative_to(root / "docs")) in MADE:
        # the strict build of the site looks for its anchors
        return None if _is_of_the_site(path) else "leads to a page that is made, and only on the site"
    if not file.exists():
        return "leads to nothing"
    if not anchor or anchor in _THEMES:
        return None
    if file.is_dir():
        file = file / "README.md"
    if file.suffix not in (".md", ".ipynb") or not file.is_file():
        return "has an anchor in something that has none"
    return None if anchor in anchors_of(text_of(file)) else f"leads to no heading of {place or path.name}"


def _is_of_the_site(path: Path) -> bool:
    """Whether a page is read on the site alone; the others are read where the repository is published, too."""
    return path.parts[:2] in (("docs", "index.md"), ("docs", "reference"))


def _outside(target: str) -> str | None:
    """Look at the form of a link to elsewhere: nothing is asked for."""
    if target.startswith("mailto:"):
        return None if "@" in target else "is no address"
    parts = urllib.parse.urlsplit(target)
    if parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1"):
        return None
    if parts.scheme != "https":
        return "is not https"
    if not _HOST.fullmatch(parts.netloc) or _PLACEHOLDER.search(target):
        return "is no address"
    return None
