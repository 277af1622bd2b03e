"""A position in a text that moves over tokens, and errors that know it."""

from __future__ import annotations

import re
from typing import NoReturn

from mcnb.errors import ExpressionError

MAX_LENGTH = 20_000
"""Characters of one expression, its defaults included."""

_SPACE = re.compile(r"\s*")


class Scanner:
    """Reads a text from left to right.

    Parameters
    ----------
    text : str
        The text; ``at`` is the position in it, ``stop`` where reading ends.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.stop = len(text)

    @property
    def at_end(self) -> bool:
        """Whether nothing is left to read."""
        return self.at >= self.stop

    def fail(self, message: str, at: int | None = None, hint: str | None = None) -> NoReturn:
        """Raise an error at a position, by default the current one."""
        raise ExpressionError(message, offset=self.at if at is None else at, hint=hint)

    def unclosed(self, start: int) -> NoReturn:
        """Raise the error for an expression that has no end."""
        if self.stop < len(self.text):
            self.fail(f"an expression is longer than {MAX_LENGTH:,} characters, or never closed with '}}'", start)
        self.fail("'${' is never closed with '}'", start, hint="write \\${ for a literal ${")

    def skip_space(self) -> None:
        """Move over white space."""
        match = _SPACE.match(self.text, self.at, self.stop)
        self.at = match.end() if match else self.at

    def peek(self, token: str) -> bool:
        """Whether a token comes next."""
        return self.text.startswith(token, self.at, self.stop)

    def accept(self, token: str) -> bool:
        """Move over a token when it comes next."""
        if self.peek(token):
            self.at += len(token)
            return True
        return False

    def take(self, pattern: re.Pattern[str]) -> str | None:
        """Move over what a pattern matches here, and return it."""
        match = pattern.match(self.text, self.at, self.stop)
        if not match:
            return None
        self.at = match.end()
        return match.group()
