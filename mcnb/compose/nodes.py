"""A YAML file as a tree of values that know where they stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from mcnb.errors import Location

Scalar: TypeAlias = str | int | float | bool | None
KeyPath: TypeAlias = tuple[str | int, ...]


@dataclass(slots=True)
class Node:
    """One value of a compose file.

    Attributes
    ----------
    value : dict of str to Node, list of Node, or scalar
        What it is.
    location : Location
        Where the value begins.
    key : str or None
        Its key as written, when it is a value of a mapping.
    key_location : Location or None
        Where that stands.
    lines : tuple of Location
        For a text, where each of its lines begins in the file (empty when that is not known).
    single : bool
        For a list, whether it stands for a single thing that was written without one.
    """

    value: dict[str, Node] | list[Node] | Scalar
    location: Location
    key: str | None = None
    key_location: Location | None = None
    lines: tuple[Location, ...] = field(default=(), repr=False)
    single: bool = False

    @property
    def mapping(self) -> dict[str, Node]:
        """The children by key, or an empty mapping for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def place(self) -> Location:
        """Where a reader should look: the key if there is one, else the value."""
        return self.key_location or self.location

    def with_value(self, value: dict[str, Node] | list[Node] | Scalar) -> Node:
        """Return a node at the same place with another value."""
        return replace(self, value=value, lines=())

    def as_single(self) -> Node:
        """Return a list of this alone, as a singular key stands for."""
        return replace(self, value=[self], lines=(), single=True)

    def child(self, path: Sequence[str | int]) -> tuple[Node, KeyPath]:
        """Follow a path as far as it goes.

        Returns
        -------
        (Node, path)
            The deepest node reached and the part of the path that leads to it. Elements that lead nowhere are passed
            over: validators add names of their own between real keys.
        """
        node, walked = self, []
        for element in path:
            value = node.value
            if (isinstance(value, dict) and isinstance(element, str) and element in value) or (
                isinstance(value, list) and isinstance(element, int) and 0 <= element < len(value)
            ):
                node = value[element]  # type: ignore[index]
                walked.append(element)
        return node, tuple(walked)

    def at_offset(self, offset: int) -> Location:
        """Return the place of a character of this text, or of the text when its lines are not known."""
        if not isinstance(self.value, str) or not self.lines:
            return self.location
        before = self.value[:offset]
        line = min(before.count("\n"), len(self.lines) - 1)
        start = self.lines[line]
        column = offset - (before.rfind("\n") + 1)
        return Location(start.file, start.line, start.column + column)


def to_plain(node: Node) -> Any:
    """Return the plain Python value of a tree."""
    if isinstance(node.value, dict):
        return {key: to_plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [to_plain(child) for child in node.value]
    return node.value


def texts(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
    """Yield every text of a tree with its path."""
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            yield from texts(child, (*path, key))
    elif isinstance(node.value, list):
        for number, child in enumerate(node.value):
            yield from texts(child, (*path, number))
    elif isinstance(node.value, str):
        yield path, node


def size_and_depth(node: Node, most: int) -> tuple[int, int]:
    """Return how many values a tree has and on how many levels; counting stops behind `most`."""
    count, deepest, todo = 0, 0, [(node, 1)]
    while todo and count <= most:
        found, depth = todo.pop()
        count += 1
        deepest = max(deepest, depth)
        if isinstance(found.value, dict | list):
            children = found.value.values() if isinstance(found.value, dict) else found.value
            todo.extend((child, depth + 1) for child in children)
    return count, deepest


def merge(base: Node, over: Node) -> Node:
    """Lay one tree over another: mappings merge deeply, lists and everything else are replaced.

    A single thing that was written without a list, like ``component: {...}``, merges with another such thing.
    """
    if isinstance(base.value, dict) and isinstance(over.value, dict):
        merged = dict(base.value)
        for key, child in over.value.items():
            merged[key] = merge(merged[key], child) if key in merged else child
        return replace(over, value=merged)
    if base.single and over.single and isinstance(base.value, list) and isinstance(over.value, list):
        return replace(over, value=[merge(base.value[0], over.value[0])])
    return over


def show_path(path: Sequence[str | int]) -> str:
    """Write a path the way people do: ``components[0].action.prompt``."""
    text = ""
    for element in path:
        text += f"[{element}]" if isinstance(element, int) else f".{element}" if text else str(element)
    return text
