"""Tab behind ``%compose``: commands, options, files, workflows, inputs and their values, variables, runs, models.

It is a matcher of IPython's completer, which sees the whole cell, says where the completed word begins, and keeps the
completions of Python away; a ``complete_command`` hook can do none of that.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext
    from IPython.core.interactiveshell import InteractiveShell

    from mcnb.notebook.commands import Commands
    from mcnb.notebook.completing import Line
    from mcnb.notebook.magics import ComposeMagics
    from mcnb.notebook.offers import Offers

IDENTIFIER = "mcnb.compose"

_BODY_KEY = re.compile(r"(\w*)\Z")


def register(shell: InteractiveShell, magics: ComposeMagics) -> None:
    """Add the matcher to a shell's completer; a second time it changes nothing."""
    matchers = shell.Completer.custom_matchers
    if not any(getattr(matcher, "matcher_identifier", None) == IDENTIFIER for matcher in matchers):
        matchers.append(make_matcher(magics))


def make_matcher(magics: ComposeMagics) -> Callable[[CompletionContext], Any]:
    """Return the matcher."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher(identifier=IDENTIFIER, priority=100)  # type: ignore[untyped-decorator]
    def match(context: CompletionContext) -> Any:
        fragment, found = "", list[str]()
        if "%compose" in context.full_text:  # most cells have nothing to do with it
            text, line, column = context.full_text, context.cursor_line, context.cursor_position
            fragment, found = complete(magics.commands, text, line, column)
        return {
            "completions": [SimpleCompletion(text=text, type="magic") for text in found],
            "matched_fragment": fragment,
            "suppress": bool(found),
            "ordered": True,
        }

    return match  # type: ignore[no-any-return]


def complete(commands: Commands, text: str, line_number: int, column: int) -> tuple[str, list[str]]:
    """Complete what stands before the cursor of a cell.

    Parameters
    ----------
    commands : Commands
        They know what is loaded.
    text : str
        The cell.
    line_number, column : int
        Where the cursor is, from 0.

    Returns
    -------
    (str, list of str)
        The end of the text that is completed, and what can stand in its place. Where nothing can in a line of
        ``%compose``, that is the same again, which changes nothing and keeps Python's names away.
    """
    from mcnb.notebook.completing import read_line
    from mcnb.notebook.offers import Offers

    found: list[str] = []
    lines = text.split("\n")
    before = lines[line_number][:column]
    line = read_line(before)
    if line is not None:
        fragment = line.word
        with contextlib.suppress(Exception):  # a key press may never show an error, whatever state the notebook is in
            fragment, found = _in_line(Offers(commands, line), line)
        return fragment, found or [fragment] * bool(fragment)
    head = read_line(lines[0], whole=True) if line_number and lines[0].lstrip().startswith("%%") else None
    if head is None or head.command != "run":
        return "", []
    key = _BODY_KEY.fullmatch(before)
    if key is None:
        return "", []
    written = {other.partition(":")[0].strip() for other in (*lines[1:line_number], *lines[line_number + 1 :])}
    with contextlib.suppress(Exception):
        found = [f"{name}: " for name in Offers(commands, head).input_names() if name not in written]
    return key[1], _beginning(found, key[1])


def _in_line(offers: Offers, line: Line) -> tuple[str, list[str]]:
    word = line.word
    if line.command is None:
        return word, _beginning(offers.commands(), word)
    if line.option is not None:
        if line.option in ("-i", "-p", "-e") and "=" in word:
            name, _, value = word.partition("=")
            offered = offers.values(line.option, name, value)
            return value, _beginning(offered, value)
        return word, _beginning(offers.behind(line.option, word), word)
    if word.startswith("-"):
        return word, _beginning(offers.options(), word)
    return word, _beginning(offers.positional(word), word) or ([] if word else offers.options())


def _beginning(offered: Iterable[str], fragment: str) -> list[str]:
    """Return what begins like a fragment, quoted or not, in any case where nothing begins exactly so."""
    found = list(dict.fromkeys(offered))
    start = fragment.lstrip("\"'")
    exact = [text for text in found if text.lstrip('"').startswith(start)]
    return exact or [text for text in found if text.lstrip('"').lower().startswith(start.lower())]
