"""The path of an expression: ``input.items[0].name``, ``prompts[${index}]``, ``rows[*]["a key"]``."""

from __future__ import annotations

import re
from collections.abc import Callable

from mcnb.compose.expressions.grammar import Every, Expression, Index, Key, Slice, Step
from mcnb.compose.expressions.scanner import Scanner

_NAME = re.compile(r"[^\s!-,./:-@\[-^`{-~]+")  # letters of any script, digits, "-" and "_"
_INTEGER = re.compile(r"[+-]?\d{1,18}")


def parse_path(scan: Scanner, start: int, nested: Callable[[], Expression]) -> tuple[str, tuple[Step, ...]]:
    """Read a path.

    Parameters
    ----------
    scan : Scanner
        Behind ``${``.
    start : int
        Where that ``${`` stands.
    nested : callable
        Reads an expression inside an index.

    Returns
    -------
    (str, tuple of Step)
        The root and the steps behind it.
    """
    root = scan.take(_NAME)
    if root is None:
        if scan.at_end:
            scan.unclosed(start)
        scan.fail("an expression starts with a name, like ${input.prompt}")
    if scan.accept("[]"):
        root += "[]"
    steps: list[Step] = []
    while True:
        if scan.accept("."):
            name = scan.take(_NAME)
            if name is None:
                scan.fail("a name is missing behind '.'")
            steps.append(Key(name))
        elif scan.accept("["):
            steps.append(_subscript(scan, start, nested))
        else:
            return root, tuple(steps)


def _subscript(scan: Scanner, start: int, nested: Callable[[], Expression]) -> Step:
    scan.skip_space()
    step: Step
    if scan.peek("${"):
        step = Index(nested())
    elif scan.accept("*"):
        step = Every()
    elif scan.peek('"') or scan.peek("'"):
        end = scan.text.find(scan.text[scan.at], scan.at + 1, scan.stop)
        if end < 0:
            scan.unclosed(start)
        step = Key(scan.text[scan.at + 1 : end])
        scan.at = end + 1
    else:
        step = _index_or_slice(scan)
    scan.skip_space()
    if not scan.accept("]"):
        if scan.at_end:
            scan.unclosed(start)
        scan.fail("an index is a number, a slice like [1:], [*], [\"key\"] or [${index}], closed with ']'")
    return step


def _index_or_slice(scan: Scanner) -> Step:
    bounds: list[int | None] = [_integer(scan)]
    while len(bounds) < 3:
        scan.skip_space()
        if not scan.accept(":"):
            break
        scan.skip_space()
        bounds.append(_integer(scan))
    if len(bounds) == 1:
        if bounds[0] is None:
            scan.fail("an index is missing inside []")
        return Index(bounds[0])
    if len(bounds) == 3 and bounds[2] == 0:
        scan.fail("a slice cannot have step 0")
    return Slice(bounds[0], bounds[1], bounds[2] if len(bounds) == 3 else None)


def _integer(scan: Scanner) -> int | None:
    digits = scan.take(_INTEGER)
    return None if digits is None else int(digits)
