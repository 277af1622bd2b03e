"""Markdown that a model wrote, made harmless: no HTML of its own, and nothing left open at its end.

Some of what shows notebooks passes HTML inside Markdown on as it is, scripts included.
"""

from __future__ import annotations

import re

_FENCE = re.compile(r"(\s*)(?:(`{3,})[^`]*|(~{3,}).*)$")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)([^\n]+?)(?<!`)\1(?!`)")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")


def harmless(text: str) -> str:
    """Return Markdown without HTML, all of its code blocks closed.

    Code with tags in it becomes a ``<code>`` with entities: within backticks an entity would be shown as it is written,
    and whether something is code is not the same question to every reader of Markdown.
    """
    done: list[str] = []
    prose: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        opening = _FENCE.match(line)
        if opening is None:
            prose.append(line)
            continue
        done += _without_tags(prose)
        prose = []
        fence = opening[2] or opening[3]
        code = []
        for inner in lines:
            if inner.strip().startswith(fence) and not inner.strip().strip(fence[0]):
                break
            code.append(inner)
        done += _block(line, code, opening[1] + fence)
    return "\n".join([*done, *_without_tags(prose)])


def escaped(text: str) -> str:
    """Return one line of text in which nothing means anything to Markdown or HTML."""
    return re.sub(r"([\\`*_\[\]<>&$|~#])", r"\\\1", " ".join(text.split()))


def fenced(text: str, language: str = "text") -> str:
    """Return a text as a code block, whatever is in it."""
    if not text:
        return ""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"


def _without_tags(lines: list[str]) -> list[str]:
    if not lines:
        return []
    text = _SPAN.sub(_span, "\n".join(lines))
    kept = re.split(r"(<code>[^<]*</code>)", text)  # the odd ones are those that _span made
    kept[::2] = [_TAG.sub("&lt;", part) for part in kept[::2]]
    return "".join(kept).split("\n")


def _span(match: re.Match[str]) -> str:
    return f"<code>{_entities(match[2].strip())}</code>" if _TAG.search(match[2]) else match[0]


def _block(opening: str, code: list[str], closing: str) -> list[str]:
    if not _TAG.search("\n".join([opening, *code])):
        return [opening, *code, closing]
    indent = closing[: -len(closing.lstrip())]
    first, *rest = [_entities(line) for line in code] or [""]
    return ["", f"{indent}<pre><code>{first}", *rest, f"{indent}</code></pre>", ""]


def _entities(text: str) -> str:
    """Write everything but letters, digits and spaces as entities: such a text means nothing to anybody."""
    return "".join(char if char.isalnum() or char in " \t.,;:/-='" else f"&#{ord(char)};" for char in text)
