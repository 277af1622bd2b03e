"""Text to Template: a hand-written recursive-descent parser, so that every error has its position."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mcnb.compose.expressions.casts import cast
from mcnb.compose.expressions.grammar import Expression, Template, TemplateTree, Verbatim
from mcnb.compose.expressions.path_parser import parse_path
from mcnb.compose.expressions.scanner import MAX_LENGTH, Scanner
from mcnb.compose.expressions.type_parser import parse_type
from mcnb.errors import ExpressionError

MAX_DEPTH = 32
MAX_EXPRESSIONS = 1_000
"""Expressions of one template."""

_AS = re.compile(r"as\b")
_ANNOTATION_NAME = re.compile(r"[A-Za-z_][\w-]*")
_BARE = re.compile(r"[^\\${}@]+")
_QUOTED = {'"': re.compile(r'[^\\$"]+'), "'": re.compile(r"[^\\$']+")}
_CACHED_LENGTH = 2_000  # longer texts are rare; the cache must not hold on to megabytes


def parse_template(text: str) -> Template:
    r"""Parse a text that may hold expressions.

    Parameters
    ----------
    text : str
        ``\${`` stands for a literal ``${``; everything else outside ``${...}`` is literal. A ``Verbatim`` is literal
        as a whole.

    Returns
    -------
    Template

    Raises
    ------
    ExpressionError
        With ``offset``, the position in ``text``.
    """
    if isinstance(text, Verbatim):
        return Template(text.replace("${", "\\${"), (str(text),) if text else ())
    return _cached(text) if len(text) <= _CACHED_LENGTH else _Parser(text).template()


@lru_cache(maxsize=4096)
def _cached(text: str) -> Template:
    return _Parser(text).template()


def parse_tree(value: Any, *, path: tuple[str | int, ...] = ()) -> TemplateTree:
    """Parse every string of a YAML value.

    Raises
    ------
    ExpressionError
        With an attribute ``path``: the keys and indexes that lead to the wrong string.
    """
    if isinstance(value, str):
        try:
            return parse_template(value)
        except ExpressionError as error:
            error.path = path  # type: ignore[attr-defined]
            raise
    if isinstance(value, Mapping):
        return {key: parse_tree(item, path=(*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [parse_tree(item, path=(*path, number)) for number, item in enumerate(value)]
    return value


class _Parser(Scanner):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.parsed: dict[int, tuple[Expression, int]] = {}  # by position: a default may be tried in two ways

    def template(self) -> Template:
        parts: list[str | Expression] = []
        literal: list[str] = []
        while self.at < len(self.text):
            found = self.text.find("${", self.at)
            if found < 0:
                literal.append(self.text[self.at :])
                break
            if found > self.at and self.text[found - 1] == "\\":
                literal.append(self.text[self.at : found - 1] + "${")
                self.at = found + 2
                continue
            literal.append(self.text[self.at : found])
            self.at = found
            _flush(literal, parts)
            self.stop = min(len(self.text), found + MAX_LENGTH)
            parts.append(self.expression(depth=1))
        _flush(literal, parts)
        return Template(self.text, tuple(parts))

    def expression(self, depth: int) -> Expression:
        start = self.at
        if start in self.parsed:
            found, self.at = self.parsed[start]
            return found
        if depth > MAX_DEPTH:
            self.fail(f"expressions are nested deeper than {MAX_DEPTH}")
        if len(self.parsed) >= MAX_EXPRESSIONS:
            self.fail(f"the text has more than {MAX_EXPRESSIONS:,} expressions")
        self.at += 2
        self.skip_space()
        root, steps = parse_path(self, start, lambda: self.expression(depth + 1))
        self.skip_space()
        spec = parse_type(self) if self.take(_AS) else None
        self.skip_space()
        default = self.default(start, depth) if self.accept("|") else None
        annotations = []
        self.skip_space()
        while self.accept("@("):
            annotations.append(self.annotation())
            self.skip_space()
        if not self.accept("}"):
            if self.at_end:
                self.unclosed(start)
            hint = "the form is ${path as type | default @(name text)}"
            self.fail(f"unexpected '{self.text[self.at]}' in an expression", hint=hint)
        found = Expression(root, steps, spec, default, tuple(annotations), start)
        if spec and default is not None and default.is_constant:
            cast(default.constant, spec, what=f"the default of {found.path}", offset=start)
        self.parsed[start] = found, self.at
        return found

    def default(self, start: int, depth: int) -> Template:
        self.skip_space()
        begin = self.at
        if self.peek('"') or self.peek("'"):
            quoted = self.quoted_default(depth)
            if quoted is not None:
                return quoted
            self.at = begin
        return self.bare_default(start, depth)

    def quoted_default(self, depth: int) -> Template | None:
        """Read ``"..."``; None when something other than the expression's end follows the closing quote."""
        begin, quote = self.at, self.text[self.at]
        self.at += 1
        parts: list[str | Expression] = []
        literal: list[str] = []
        while not self.at_end:
            char = self.text[self.at]
            if char == "\\" and self.text[self.at + 1 : self.at + 2] in (quote, "\\", "$"):
                literal.append(self.text[self.at + 1])
                self.at += 2
            elif self.peek("${"):
                _flush(literal, parts)
                parts.append(self.expression(depth + 1))
            elif char == quote:
                self.at += 1
                end = self.at
                self.skip_space()
                if not (self.peek("}") or self.peek("@(")):
                    return None
                _flush(literal, parts)
                return Template(self.text[begin:end], tuple(parts))
            else:
                literal.append(self.take(_QUOTED[quote]) or self.next_char())
        return None

    def bare_default(self, start: int, depth: int) -> Template:
        begin = self.at
        parts: list[str | Expression] = []
        literal: list[str] = []
        braces = 0
        while True:
            if self.at_end:
                self.unclosed(start)
            char = self.text[self.at]
            if char == "\\" and self.text[self.at + 1 : self.at + 2] in ("}", "{", "$", "@"):
                literal.append(self.text[self.at + 1])
                self.at += 2
                continue
            if self.peek("${"):
                _flush(literal, parts)
                parts.append(self.expression(depth + 1))
                continue
            if (char == "}" and braces == 0) or self.peek("@("):
                break
            braces += (char == "{") - (char == "}")
            literal.append(self.take(_BARE) or self.next_char())
        _flush(literal, parts)
        if parts and isinstance(parts[-1], str):
            parts[-1] = parts[-1].rstrip()
        return Template(self.text[begin : self.at].rstrip(), tuple(part for part in parts if part != ""))

    def next_char(self) -> str:
        self.at += 1
        return self.text[self.at - 1]

    def annotation(self) -> tuple[str, str]:
        start = self.at - 2
        self.skip_space()
        name = self.take(_ANNOTATION_NAME)
        if name is None:
            self.fail("an annotation starts with a name, like @(description Your question)")
        self.skip_space()
        begin, open_parens = self.at, 0
        while not self.at_end:
            char = self.text[self.at]
            if char == ")" and open_parens == 0:
                text = self.text[begin : self.at].strip()
                self.at += 1
                return name, text
            open_parens += (char == "(") - (char == ")")
            self.at += 1
        self.fail("'@(' is never closed with ')'", start)


def _flush(literal: list[str], parts: list[str | Expression]) -> None:
    if joined := "".join(literal):
        parts.append(joined)
    literal.clear()
