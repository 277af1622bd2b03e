"""Markdown of a model, shown by a reader that passes HTML on as it is."""

from __future__ import annotations

from html.parser import HTMLParser

import mistune
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcnb.runtime.markdown import escaped, fenced, harmless

PASSES_HTML = mistune.create_markdown(escape=False, plugins=["table", "strikethrough"])
"""As nbconvert is set up."""

MARK = "the quiet last line"


class Reader(HTMLParser):
    """The tags and the text of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.tags += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(markdown: str) -> Reader:
    reader = Reader()
    reader.feed(str(PASSES_HTML(markdown)))
    reader.close()
    return reader


HOSTILE = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        f"a {HOSTILE} b",
        f"`{HOSTILE}`",
        f"`` ` {HOSTILE}``",
        f"`a\n{HOSTILE}`",
        f"```\n{HOSTILE}\n```",
        f"```html\n{HOSTILE}",
        f"~~~\n{HOSTILE}\n~~~",
        f"- a\n  ```\n  b\n{HOSTILE}",
        f"- a\n\n      {HOSTILE}",
        f"> ```\n{HOSTILE}",
        f"    {HOSTILE}",
        f"```a`b\n{HOSTILE}\n```",
        f'[x]: /u "a\n```\nb"\n{HOSTILE}',
        f"<div>\n\n{HOSTILE}",
        f"```\n</code></pre>{HOSTILE}\n```",
        f"<code>`</code>{HOSTILE}`",
        f"| a |\n|---|\n| {HOSTILE} |",
        f"[{HOSTILE}](x) ![{HOSTILE}](y)",
        "<img src=x onerror=alert(1)>",
        "</details><script>",
        "<!-- <script> -->",
        "<script\n>alert(1)</script>",
    ],
)
def test_no_tag_survives(text: str) -> None:
    reader = read(harmless(text))
    assert set(reader.tags) <= {
        "p",
        "code",
        "pre",
        "ul",
        "li",
        "blockquote",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "a",
        "img",
    }
    assert "onerror" not in reader.tags


def test_tags_are_shown_as_they_are_written() -> None:
    text = f"Use `<b>` or {HOSTILE}:\n\n```html\n<p class='x'>\n\n*1 & 2*\n```\nDone."
    reader = read(harmless(text))
    assert "Use <b> or <script>alert(1)</script>:" in reader.text
    assert "<p class='x'>\n\n*1 & 2*\n" in reader.text
    assert reader.text.rstrip().endswith("Done.")
    assert "em" not in reader.tags


@pytest.mark.parametrize(
    "text",
    [
        "# A title\n\nSome *words* and `code`.\n\n- one\n- two\n\n1 < 2 and a <- b",
        "```python\nif a < b:\n    print('x')\n```",
        "~~~\ncode\n~~~",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "",
    ],
)
def test_what_has_no_tags_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize(
    "text",
    ["```python\nprint(1)", "a\n~~~\nb", "````\n```\nb", "  ```\n  b", "```\nb\n````\n```\nc", "- a\n  ```\n  b"],
)
def test_a_code_block_is_closed(text: str) -> None:
    shown = str(PASSES_HTML(f"{harmless(text)}\n\n{MARK}"))
    assert f"<p>{MARK}</p>" in shown


WORDS = '` `` ``` ```` ~~~ - > 1. | $ $$ \\ * _ [ ]( ) ]: " &lt; < > </ <!-- --> <script> </script> <x <pre> </pre>'
SPACES = ["\n", "\n\n", " ", "    ", "\t", "a", "b\n", "<code>", "</code>"]
PARTS = st.sampled_from([*WORDS.split(), *SPACES])


@settings(max_examples=400, deadline=None)
@given(st.lists(PARTS, max_size=24).map("".join))
def test_no_text_whatever_brings_a_tag(text: str) -> None:
    assert not {"script", "x"} & set(read(f"{harmless(text)}\n\n{MARK}").tags)


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=16).map("".join))
def test_a_line_of_text_means_nothing(text: str) -> None:
    reader = read(f"x {escaped(text)}")
    assert reader.tags == ["p"]
    assert " ".join(reader.text.split()) == " ".join(f"x {text}".split())


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=16).map("".join))
def test_a_fence_holds_everything(text: str) -> None:
    reader = read(f"{fenced(f'a{text}')}\n\n{MARK}")
    assert reader.tags == ["pre", "code", "p"]
