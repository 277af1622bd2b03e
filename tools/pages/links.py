"""Markdown with its links changed: from files of the repository to pages of the site."""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Callable

from tools.pages.places import page_of

_FENCES = re.compile(r"^( *)(`{3,}|~{3,}).*?^\1\2`*\s*$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
_LINK = re.compile(r"(\]\()([^()\s]+)(\s\"[^\"]*\")?(\))")
_HTML = re.compile(r"""((?:src|href|srcset)=")([^"]+)(")""")

_log = logging.getLogger("mkdocs.pages")


def into_site(markdown: str, source: str, page: str) -> str:
    """Return Markdown of a file with links that work on its page.

    Parameters
    ----------
    markdown : str
        As it stands in the file.
    source : str
        The file, from the root of the repository.
    page : str
        The page that shows it, from the root of the site.
    """
    return outside_code(markdown, lambda text: _changed(text, lambda target: _target(target, source, page)))


def outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """Return Markdown, changed where it is no code."""
    return outside_fences(markdown, lambda text: _outside_spans(text, change))


def outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    """Return Markdown, changed outside its code blocks."""
    made, end = [], 0
    for block in _FENCES.finditer(markdown):
        made += [change(markdown[end : block.start()]), block.group()]
        end = block.end()
    return "".join([*made, change(markdown[end:])])


def _outside_spans(text: str, change: Callable[[str], str]) -> str:
    """Change a text with its inline code put aside: a link's words may hold some."""
    spans: list[str] = []

    def aside(found: re.Match[str]) -> str:
        spans.append(found.group())
        return f"\x00{len(spans) - 1}\x00"

    return re.sub(r"\x00(\d+)\x00", lambda found: spans[int(found.group(1))], change(_CODE.sub(aside, text)))


def _changed(text: str, target: Callable[[str], str]) -> str:
    text = _LINK.sub(lambda found: f"{found[1]}{target(found[2])}{found[3] or ''}{found[4]}", text)
    return _HTML.sub(lambda found: f"{found[1]}{target(found[2])}{found[3]}", text)


def _target(target: str, source: str, page: str) -> str:
    if re.match(r"[a-z][a-z+.-]*:|#", target):
        return target
    path, _, anchor = target.partition("#")
    file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    found = page_of(file, anchor)
    if found is None:
        _log.warning("%s links to %s, which is on no page of the site", source, target)
        return target
    own = found != page_of(file)
    shown = posixpath.relpath(found, posixpath.dirname(page) or ".")
    return f"{shown}#{anchor}" if anchor and not own else shown
