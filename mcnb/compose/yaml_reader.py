"""YAML text to Nodes: safe, positioned, with limits, and without duplicate keys.

The file is read as a stream of events, so that a hostile one is refused while it is being read: nothing is built
beyond the limits and nothing recurses deeper than ``MAX_DEPTH``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml import events as ev

from mcnb.compose.nodes import Node, size_and_depth
from mcnb.compose.yaml_scalars import ScalarError, scalar_value
from mcnb.errors import DocumentError, Location, Problem

MAX_BYTES = 1_000_000
MAX_DEPTH = 64
MAX_NODES = 100_000
MAX_EXPRESSIONS = 10_000
MAX_KEY_LENGTH = 1_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_VALUES = "a compose file holds plain values"


def read_text(text: str, name: str) -> Node:
    """Read the text of a compose file; `name` stands in for the file's name in messages.

    Raises
    ------
    DocumentError
        When the text is not YAML, repeats a key or passes a limit.
    """
    reader = _Reader(text, name)
    try:
        reader.check_size()
        node = reader.document()
        if not isinstance(node.value, dict):
            found = "is empty" if node.value is None else f"holds a {_kind(node)}"
            message = f"the document {found}; a mapping with 'component' or 'workflow' is expected"
            raise _RefusedError(message, node.location)
    except _RefusedError as refused:
        raise DocumentError([refused.problem]) from None
    except yaml.YAMLError as error:
        raise DocumentError([reader.not_yaml(error)]) from None
    return node


def _kind(node: Node) -> str:
    return {list: "list", str: "text", bool: "boolean"}.get(type(node.value), "number")


class _RefusedError(Exception):
    def __init__(self, message: str, location: Location, hint: str | None = None) -> None:
        super().__init__(message)
        self.problem = Problem(message, location, hint=hint)


class _Reader:
    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.source: list[str] | None = None
        self.count = 0
        self.anchors: dict[str, Node | None] = {}

    def source_line(self, number: int) -> str:
        if self.source is None:
            self.source = re.split("\r\n|[\n\r\x85\u2028\u2029]", self.text)  # what YAML takes for a line's end
        return self.source[number] if number < len(self.source) else ""

    def check_size(self) -> None:
        start = Location(self.name, 1, 1)
        try:
            size = len(self.text.encode())
        except UnicodeEncodeError as error:
            raise _RefusedError("the text is not Unicode", self.at_offset(error.start)) from None
        if size > MAX_BYTES:
            raise _RefusedError(f"the text has {size:,} bytes; at most {MAX_BYTES:,} are allowed", start)
        expressions = self.text.count("${")
        if expressions > MAX_EXPRESSIONS:
            message = f"the text has {expressions:,} expressions; at most {MAX_EXPRESSIONS:,} are allowed"
            raise _RefusedError(message, start)

    def document(self) -> Node:
        stream: Iterator[ev.Event] = yaml.parse(self.text, Loader=_LOADER)
        next(stream)  # stream start
        first = next(stream)
        if isinstance(first, ev.StreamEndEvent):
            return Node(None, Location(self.name, 1, 1))
        node = self.node(next(stream), stream, depth=1)
        next(stream)  # document end
        following = next(stream)
        if not isinstance(following, ev.StreamEndEvent):
            where = self.location(following)
            raise _RefusedError("the file holds more than one document", where, "remove the second '---'")
        return node

    def location(self, event: Any) -> Location:
        return Location(self.name, event.start_mark.line + 1, event.start_mark.column + 1)

    def at_offset(self, offset: int) -> Location:
        before = self.text[:offset]
        return Location(self.name, before.count("\n") + 1, offset - before.rfind("\n"))

    def counted(self, where: Location, amount: int = 1) -> None:
        self.count += amount
        if self.count > MAX_NODES:
            raise _RefusedError(f"the document has more than {MAX_NODES:,} values after its aliases", where)

    def too_deep(self, depth: int, where: Location) -> None:
        if depth > MAX_DEPTH:
            raise _RefusedError(f"the document is nested deeper than {MAX_DEPTH} levels", where)

    def node(self, event: ev.Event, stream: Iterator[ev.Event], depth: int) -> Node:
        where = self.location(event)
        self.too_deep(depth, where)
        if isinstance(event, ev.AliasEvent):
            return self.alias(event, where, depth)
        self.counted(where)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self.anchors[anchor] = None  # an alias to an unfinished node would be endless
        if isinstance(event, ev.ScalarEvent):
            node = self.scalar(event, where)
        elif isinstance(event, ev.SequenceStartEvent):
            self.no_tag(event, where)
            items = []
            while not isinstance(item := next(stream), ev.SequenceEndEvent):
                items.append(self.node(item, stream, depth + 1))
            node = Node(items, where)
        else:
            self.no_tag(event, where)
            node = Node(self.mapping(stream, depth), where)
        if anchor:
            self.anchors[anchor] = node
        return node

    def alias(self, event: Any, where: Location, depth: int) -> Node:
        target = self.anchors.get(event.anchor)
        if target is None:
            found = "contains itself" if event.anchor in self.anchors else "is not defined"
            raise _RefusedError(f"alias '*{event.anchor[:80]}' {found}", where)
        size, levels = size_and_depth(target, MAX_NODES)
        self.counted(where, size)
        self.too_deep(depth + levels - 1, where)
        return Node(target.value, where, lines=target.lines)

    def no_tag(self, event: Any, where: Location) -> None:
        if event.tag and event.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            raise _RefusedError(f"the tag '{event.tag[:80]}' is not allowed", where, _PLAIN_VALUES)

    def mapping(self, stream: Iterator[ev.Event], depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        inherited: list[Node] | None = None
        while not isinstance(event := next(stream), ev.MappingEndEvent):
            where = self.location(event)
            key = self.node(event, stream, depth + 1).value
            name = self.key(key, event, where)
            child = self.node(next(stream), stream, depth + 1)
            child.key, child.key_location = name, where
            if name == "<<" and not getattr(event, "style", None):
                if inherited is not None:
                    raise _RefusedError("the key '<<' stands twice", where, "write '<<: [*one, *other]'")
                inherited = child.value if isinstance(child.value, list) else [child]
                continue
            if name in found:
                first = found[name].place.line
                raise _RefusedError(
                    f"the key '{name}' stands twice; it is first set in line {first}", where, "keep one of them"
                )
            found[name] = child
        for source in inherited or ():
            if not isinstance(source.value, dict):
                raise _RefusedError("'<<' merges mappings only", source.location)
            for name, child in source.value.items():
                found.setdefault(name, child)
        return found

    def key(self, key: Any, event: Any, where: Location) -> str:
        if isinstance(key, dict | list) or key is None:
            raise _RefusedError("a key has to be a plain word", where)
        name = event.value if isinstance(key, bool) and isinstance(event, ev.ScalarEvent) else str(key)
        if len(name) > MAX_KEY_LENGTH:
            raise _RefusedError(f"a key has {len(name):,} characters; at most {MAX_KEY_LENGTH:,} are allowed", where)
        return name

    def scalar(self, event: ev.ScalarEvent, where: Location) -> Node:
        try:
            value = scalar_value(event)
        except ScalarError as error:
            raise _RefusedError(str(error), where, _PLAIN_VALUES if event.tag else None) from None
        return Node(value, where, lines=self.lines(event, where) if isinstance(value, str) else ())

    def lines(self, event: Any, where: Location) -> tuple[Location, ...]:
        """Where each line of a text begins: known for one-line scalars and for literal blocks."""
        if "${" not in event.value:
            return ()
        first = event.start_mark.line
        if event.start_mark.line == event.end_mark.line:
            quoted = event.style in ("'", '"')
            return (Location(self.name, where.line, where.column + quoted),)
        if event.style != "|":
            return ()
        starts = []
        for number, line in enumerate(event.value.split("\n"), start=first + 1):
            raw = self.source_line(number)
            starts.append(Location(self.name, number + 1, len(raw) - len(line) + 1 if raw.endswith(line) else 1))
        return tuple(starts)

    def not_yaml(self, error: yaml.YAMLError) -> Problem:
        if not isinstance(error, yaml.MarkedYAMLError):
            found = yaml.reader.Reader.NON_PRINTABLE.search(self.text)
            where = self.at_offset(found.start() if found else 0)
            return Problem("not valid YAML: a control character", where, hint="remove it")
        mark = error.problem_mark or error.context_mark
        if mark and error.context_mark and mark.line >= self.text.rstrip().count("\n") + 1:
            mark = error.context_mark  # something is open at the end of the file: show where it begins
        line, column = (mark.line, mark.column) if mark else (0, 0)
        hint = _hint(error.problem or "", self.source_line(line))
        return Problem(
            f"not valid YAML: {error.problem or error.context}", Location(self.name, line + 1, column + 1), hint=hint
        )


def _hint(problem: str, line: str) -> str | None:
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in problem:
        return "YAML does not allow tabs here; indent with spaces"
    if "mapping values are not allowed" in problem:
        key, colon, value = (part.strip() for part in line.partition(":"))
        quotable = colon and value and "'" not in value and len(value) <= 100
        return "a value that holds ': ' has to stand in quotes" + (f": {key}: '{value}'" if quotable else "")
    if "could not find expected ':'" in problem:
        return "a ':' is missing behind a key, or a quote is not closed"
    if "end of stream" in problem:
        return "a quote or a bracket is not closed"
    return None
