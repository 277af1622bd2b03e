"""Look values up in the sources a scope offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mcnb.compose.expressions.casts import cast
from mcnb.compose.expressions.grammar import Every, Expression, Index, Key, Slice, Step, Template, TemplateTree
from mcnb.compose.suggest import did_you_mean
from mcnb.errors import ExpressionError

SPREAD = "..."
"""The key whose mapping is merged into the one it stands in."""


def render(tree: TemplateTree, sources: Mapping[str, Any]) -> Any:
    """Evaluate every template of a tree.

    Parameters
    ----------
    tree : TemplateTree
        As made by ``parse_tree``.
    sources : Mapping[str, Any]
        What the roots of expressions stand for: ``{"input": {...}, "jobs": {...}}``.

    Returns
    -------
    Any
        The same shape with values in place of templates.

    Raises
    ------
    ExpressionError
        For an unknown source or a cast that would lose information.
    """
    if isinstance(tree, Template):
        return evaluate(tree, sources)
    if isinstance(tree, Mapping):
        result: dict[str, Any] = {}
        for key, item in tree.items():
            value = render(item, sources)
            if key != SPREAD:
                result[key] = value
            elif isinstance(value, Mapping):
                result.update(value)
            elif value is not None:
                raise ExpressionError(f"'{SPREAD}' merges a mapping, got {type(value).__name__}")
        return result
    if isinstance(tree, list | tuple):
        return [render(item, sources) for item in tree]
    return tree


def evaluate(template: Template, sources: Mapping[str, Any]) -> Any:
    """Evaluate one template: a lone expression keeps its native type, anything else becomes text."""
    sole = template.sole
    if sole is not None:
        return _value(sole, sources)
    pieces = []
    for part in template.parts:
        value = part if isinstance(part, str) else _value(part, sources)
        pieces.append("" if value is None else str(value))
    return "".join(pieces)


def _value(expression: Expression, sources: Mapping[str, Any]) -> Any:
    if expression.root not in sources:
        raise ExpressionError(
            f"${{{expression.path}}}: there is no '{expression.root}' here",
            offset=expression.offset,
            hint=did_you_mean(expression.root, sources) or f"known here: {', '.join(sources)}",
        )
    value = _follow(sources[expression.root], expression.steps, sources)
    if value is None and expression.default is not None:
        value = evaluate(expression.default, sources)
    if value is not None and expression.type is not None:
        value = cast(value, expression.type, what=expression.path, offset=expression.offset)
    return value


def _follow(value: Any, steps: Sequence[Step], sources: Mapping[str, Any]) -> Any:
    """Walk a path; anything that is not there is None. Mappings and lists only: attributes do not exist here."""
    for number, step in enumerate(steps):
        match step:
            case Key(name):
                value = value.get(name) if isinstance(value, Mapping) else None
            case Index(int() as index):
                value = _item(value, index)
            case Index(Expression() as inner):
                value = _item(value, _value(inner, sources))
            case Slice(start, stop, step_size):
                value = value[start:stop:step_size] if isinstance(value, list | tuple) else None
            case Every():
                if not isinstance(value, list | tuple):
                    return None
                return [_follow(item, steps[number + 1 :], sources) for item in value]
        if value is None:
            return None
    return value


def _item(value: Any, index: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(index, str):
        return value.get(index)
    if not isinstance(value, list | tuple) or isinstance(index, bool) or not isinstance(index, int):
        return None
    return value[index] if -len(value) <= index < len(value) else None
