"""What a parsed template is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

SCALAR_TYPES = ("string", "text", "integer", "number", "boolean", "json", "object", "list", "select")
"""Types a value can be cast to; each but ``select`` also as ``type[]``."""

STREAM_FORMATS = ("sse-text", "sse-json")
"""Formats behind ``;`` that ask for a streamed output, as in ``text;sse-text``."""


class Verbatim(str):
    """A text from outside the document, in which ``${`` means nothing."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class TypeSpec:
    """The part behind ``as``.

    Attributes
    ----------
    name : str
        One of ``SCALAR_TYPES``, or ``stream``.
    is_array : bool
        Whether ``[]`` followed the name.
    options : tuple of str
        What followed ``/``: the choices of a ``select``, the fields of an ``object[]``.
    format : str or None
        What followed ``;``, like ``sse-text``.
    """

    name: str
    is_array: bool = False
    options: tuple[str, ...] = ()
    format: str | None = None

    @property
    def is_stream(self) -> bool:
        """Whether the output asks to be streamed (``stream/text`` or ``text;sse-text``)."""
        return self.name == "stream" or self.format in STREAM_FORMATS

    def __str__(self) -> str:
        text = self.name + ("[]" if self.is_array else "")
        if self.format:
            text += f";{self.format}"
        return text + ("/" + ",".join(self.options) if self.options else "")


@dataclass(frozen=True, slots=True)
class Key:
    """``.name`` or ``["name"]``: a look-up in a mapping."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """``[0]``, ``[-1]`` or ``[${index}]``: one item of a list."""

    value: int | Expression


@dataclass(frozen=True, slots=True)
class Slice:
    """``[start:stop:step]``."""

    start: int | None
    stop: int | None
    step: int | None


@dataclass(frozen=True, slots=True)
class Every:
    """``[*]``: the rest of the path, applied to each item."""


Step: TypeAlias = Key | Index | Slice | Every


@dataclass(frozen=True, slots=True)
class Expression:
    """One ``${...}``.

    Attributes
    ----------
    root : str
        The source it looks into: ``input``, ``jobs``, ``index``, ``result[]``...
    steps : tuple of Step
        The path behind the root.
    type : TypeSpec or None
        The cast.
    default : Template or None
        Used when the looked-up value is missing or null.
    annotations : tuple of (str, str)
        ``@(name text)`` pairs, in order.
    offset : int
        Where ``${`` stands in the template's text.
    """

    root: str
    steps: tuple[Step, ...] = ()
    type: TypeSpec | None = None
    default: Template | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    offset: int = 0

    @property
    def path(self) -> str:
        """The path as written, for messages: ``input.items[0].n``."""
        parts = [self.root]
        for step in self.steps:
            match step:
                case Key(name):
                    parts.append(f".{name}")
                case Index(int() as number):
                    parts.append(f"[{number}]")
                case Index(Expression() as inner):
                    parts.append(f"[${{{inner.path}}}]")
                case Every():
                    parts.append("[*]")
                case Slice(start, stop, _):
                    parts.append(f"[{'' if start is None else start}:{'' if stop is None else stop}]")
        return "".join(parts)


@dataclass(frozen=True, slots=True)
class Template:
    """A text with expressions in it.

    Attributes
    ----------
    text : str
        As written.
    parts : tuple of str or Expression
        Literal text and expressions, in order; literal parts are already unescaped.
    """

    text: str
    parts: tuple[str | Expression, ...]

    @property
    def sole(self) -> Expression | None:
        """The expression, when the template is nothing but one (it then keeps its native type)."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Expression):
            return self.parts[0]
        return None

    @property
    def is_constant(self) -> bool:
        """Whether there is no expression in it."""
        return not any(isinstance(part, Expression) for part in self.parts)

    @property
    def constant(self) -> str:
        """The literal text of a constant template."""
        return "".join(part for part in self.parts if isinstance(part, str))

    def __str__(self) -> str:
        return self.text


TemplateTree: TypeAlias = Any
"""A YAML value whose strings have become ``Template``: mappings, lists, templates, numbers, booleans, null."""


def walk(tree: TemplateTree, *, inside_default: bool = False) -> Iterator[tuple[Expression, bool]]:
    """Yield every expression in a tree, in order of writing.

    Yields
    ------
    (Expression, bool)
        The expression, and whether it stands only inside another one's default. Expressions inside an index come
        right after the one they belong to.
    """
    if isinstance(tree, Expression):
        yield tree, inside_default
        for step in tree.steps:
            if isinstance(step, Index) and isinstance(step.value, Expression):
                yield from walk(step.value, inside_default=inside_default)
        if tree.default is not None:
            yield from walk(tree.default, inside_default=True)
    elif isinstance(tree, Template):
        for part in tree.parts:
            if isinstance(part, Expression):
                yield from walk(part, inside_default=inside_default)
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from walk(value, inside_default=inside_default)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from walk(value, inside_default=inside_default)
