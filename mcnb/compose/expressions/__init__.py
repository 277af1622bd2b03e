"""Expressions: ``${ path [as type[/options]] [| default] [@(name text)]... }``.

``grammar`` is what a parsed template is made of, ``parser`` makes it from text, ``casts`` converts values and
``evaluate`` looks values up. Look-up, cast and default are all an expression can do: no attributes, no calls, and a
value is never expanded again.
"""

from mcnb.compose.expressions.evaluate import evaluate, render
from mcnb.compose.expressions.grammar import Expression, Template, TemplateTree, TypeSpec, Verbatim, walk
from mcnb.compose.expressions.parser import parse_template, parse_tree

__all__ = [
    "Expression",
    "Template",
    "TemplateTree",
    "TypeSpec",
    "Verbatim",
    "evaluate",
    "parse_template",
    "parse_tree",
    "render",
    "walk",
]
