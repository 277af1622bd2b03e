"""What a line of ``%compose`` says so far, up to the cursor. It may end anywhere, in the middle of a quote too."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mcnb.notebook.parser import make_parsers, options_of

_LINE = re.compile(r"\s*(?:[^%#'\"]*=\s*)?%{1,2}compose(\s.*|)\Z", re.DOTALL)


@dataclass(frozen=True)
class Line:
    """A line of ``%compose``, read up to the cursor.

    Attributes
    ----------
    command : str or None
        The command; None while it is being written.
    option : str or None
        The option whose value is being written.
    word : str
        What is being written: the end of the line, from its last space that no quote holds.
    files, env, positional : tuple of str
        The complete values before it: of ``-f``, of ``-e``, and those without an option.
    pairs : tuple of str
        The names that ``-i`` or ``-p`` gave already.
    """

    command: str | None
    option: str | None = None
    word: str = ""
    files: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    positional: tuple[str, ...] = ()
    pairs: tuple[str, ...] = field(default=())


def read_line(text: str, *, whole: bool = False) -> Line | None:
    """Read a line of ``%compose``; None when it is something else.

    Parameters
    ----------
    text : str
        The line up to the cursor.
    whole : bool
        Whether its last word is complete.
    """
    found = _LINE.fullmatch(text)
    if found is None:
        return None
    rest = found[1] + (" " if whole else "")
    if not rest:
        return None  # the name of the magic itself is IPython's to complete
    words, word = _split(rest)
    if not words:
        return Line(None, word=word)
    command, *words = words
    parser = make_parsers().get(command)
    if parser is None:
        return Line(command, word=word)
    long_names = {name: action.option_strings[0] for action in options_of(parser) for name in action.option_strings}
    without_value = {action.option_strings[0] for action in options_of(parser) if action.nargs == 0}
    values: dict[str, list[str]] = {}
    option: str | None = None
    for item in words:
        if option is not None:
            values.setdefault(option, []).append(item)
            option = None
        elif item in long_names:
            option = None if long_names[item] in without_value else long_names[item]
        else:
            values.setdefault("", []).append(item)
    given = [pair.partition("=")[0] for name in ("-i", "-p") for pair in values.get(name, [])]
    return Line(
        command,
        option,
        word,
        tuple(values.get("-f", ())),
        tuple(values.get("-e", ())),
        tuple(item for item in values.get("", ()) if not item.startswith("-")),
        tuple(given),
    )


def _split(text: str) -> tuple[list[str], str]:
    """Split a text into its complete words, without their quotes, and the one that is being written, as it stands."""
    words: list[str] = []
    word, quote, start = "", "", len(text)
    within = False
    for position, character in enumerate(text):
        if quote:
            if character == quote:
                quote = ""
            else:
                word += character
        elif character.isspace():
            if within:
                words.append(word)
            word, within, start = "", False, len(text)
            continue
        elif character in "\"'":
            quote = character
        else:
            word += character
        if not within:
            within, start = True, position
    return words, text[start:]
