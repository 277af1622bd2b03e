"""Which page of the site a file of the repository is on."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]

OTHERS = {
    "README.md": "index.md",
    "README.zh-cn.md": "zh-cn.md",
    "CONTRIBUTING.md": "contributing.md",
    "binder/README.md": "binder.md",
    "CHANGELOG.md": "changelog.md",
    "examples": "examples/index.md",
    "notebooks": "notebooks/index.md",
    "notebooks/README.md": "notebooks/index.md",
}
SECTIONS = {("README.md", "measured"): "measured.md"}
"""Parts of files that have a page of their own."""


def page_of(path: str, anchor: str = "") -> str | None:
    """Return the page that shows a file or folder of the repository; None where none does.

    Parameters
    ----------
    path : str
        From the root of the repository, with slashes.
    anchor : str
        Of the link.
    """
    found = PurePosixPath(path)
    if (path, anchor) in SECTIONS:
        return SECTIONS[path, anchor]
    if path in OTHERS:
        return OTHERS[path]
    if found.parts[0] == "docs":
        return str(found.relative_to("docs"))
    if found.parts[0] == "notebooks" and found.suffix == ".ipynb":
        return str(found.with_suffix(".md"))
    if found.parts[0] == "examples":
        return _example(found)
    return None


def _example(path: PurePosixPath) -> str | None:
    if path.suffix == ".md" and path.name != "README.md":
        return str(path)
    folder = path if (ROOT / path).is_dir() else path.parent
    if not (ROOT / folder / "README.md").is_file():
        return None
    inner = any((ROOT / folder).glob("*/README.md"))
    return f"{folder}/index.md" if inner else f"{folder}.md"
