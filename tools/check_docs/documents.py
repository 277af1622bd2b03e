"""Which files are looked at."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]

_COMMANDS = ("README.md", "README.zh-cn.md", "docs/**/*.md", "examples/**/*.md", "notebooks/README.md")
_LINKS = (*_COMMANDS, "CONTRIBUTING.md", "CHANGELOG.md", "binder/*.md", "notebooks/*.ipynb")


def with_commands(root: Path = ROOT) -> list[Path]:
    """Return the files whose code blocks are run, from the root of the repository."""
    return _found(root, _COMMANDS)


def with_links(root: Path = ROOT) -> list[Path]:
    """Return the files whose links are followed."""
    return _found(root, _LINKS)


def _found(root: Path, patterns: tuple[str, ...]) -> list[Path]:
    return [path.relative_to(root) for pattern in patterns for path in sorted(root.glob(pattern))]
