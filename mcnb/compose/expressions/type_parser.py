"""``as type[/options]``: the name, the brackets, the format and the options of a cast."""

from __future__ import annotations

import re

from mcnb.compose.expressions.grammar import SCALAR_TYPES, STREAM_FORMATS, TypeSpec
from mcnb.compose.expressions.scanner import Scanner
from mcnb.compose.suggest import did_you_mean

KNOWN_TYPES = (*SCALAR_TYPES, "stream")

_NAME = re.compile(r"[A-Za-z_][\w-]*")


def parse_type(scan: Scanner) -> TypeSpec:
    """Read what follows ``as``.

    Raises
    ------
    ExpressionError
        For an unknown type or format, and for options that the type does not take.
    """
    scan.skip_space()
    at = scan.at
    name = scan.take(_NAME)
    if name is None:
        scan.fail("a type is missing behind 'as'")
    if name not in KNOWN_TYPES:
        hint = did_you_mean(name, KNOWN_TYPES) or f"known types: {', '.join(SCALAR_TYPES)}"
        scan.fail(f"unknown type '{name[:40]}'", at, hint)
    is_array = scan.accept("[]")
    form = None
    if scan.accept(";"):
        form = scan.take(_NAME) or ""
        if form not in STREAM_FORMATS:
            scan.fail(f"unknown format ';{form[:40]}'", at, f"known formats: {', '.join(STREAM_FORMATS)}")
    options = _options(scan) if scan.accept("/") else ()
    if name == "select" and (not options or is_array):
        scan.fail("a select needs its choices, like 'as select/short,long'", at)
    if options and name not in ("select", "stream") and not (name == "object" and is_array):
        scan.fail(f"'{name}' takes no options behind '/'", at)
    if name == "stream" and options not in ((), ("text",), ("json",)):
        scan.fail(f"cannot stream as '{','.join(options)[:40]}'", at, "use stream/text")
    return TypeSpec(name, is_array, options, form)


def _options(scan: Scanner) -> tuple[str, ...]:
    start = scan.at
    while not scan.at_end and scan.text[scan.at] not in "|}" and not scan.peek("@("):
        scan.at += 1
    return tuple(option.strip() for option in scan.text[start : scan.at].split(",") if option.strip())
