"""The inputs of a workflow, inferred from its expressions.

The same inference gives the form, the JSON Schema, the check before a run, the command's options and the magic's
completion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mcnb.compose.expressions import Expression, Template, TypeSpec, walk
from mcnb.compose.expressions.casts import cast
from mcnb.compose.expressions.evaluate import SPREAD
from mcnb.compose.expressions.grammar import Key
from mcnb.compose.inputs import Input, Inputs
from mcnb.compose.schema import Action, ComponentJob, ForEachJob, GenerationParams, Workflow
from mcnb.compose.schema.job import Call, JobBase
from mcnb.errors import ExpressionError

if TYPE_CHECKING:
    from mcnb.compose.document import Document

FIELD_TYPES = {
    "prompt": "text",
    "messages": "list",
    "do_sample": "boolean",
    "early_stopping": "boolean",
    "streaming": "boolean",
    "thinking": "boolean",
    "temperature": "number",
    "top_p": "number",
    "repetition_penalty": "number",
    "length_penalty": "number",
    "top_k": "integer",
    "num_beams": "integer",
    "batch_size": "integer",
    "max_input_length": "integer",
    "max_output_length": "integer",
    "min_output_length": "integer",
    "num_return_sequences": "integer",
    "seed": "integer",
    "repeat_count": "integer",
}
"""What an untyped expression is taken for when it is the whole value of a field."""


def infer_inputs(document: Document, workflow: Workflow) -> Inputs:
    """Infer the inputs of a workflow from the expressions it reaches."""
    collector = _Collector()
    for job in workflow.jobs:
        _from_job(document, job, collector)
    collector.add_tree(workflow.output)
    return collector.result()


def _from_job(document: Document, job: JobBase, into: _Collector) -> None:
    if isinstance(job, ComponentJob):
        into.add_tree(job.repeat_count, "integer")
        _from_call(document, job, into, passes_input=True)
    elif isinstance(job, ForEachJob):
        into.add_tree(job.input, "list")
        into.add_tree(job.batch_size, "integer")
        _from_call(document, job.do, into, passes_input=False)
    called = Call.model_fields if isinstance(job, ComponentJob) else ("input", "batch_size", "do")
    seen = called if isinstance(job, ComponentJob | ForEachJob) else ()
    for name in type(job).model_fields:
        if name not in seen:
            into.add_tree(_plain(getattr(job, name)))


def _from_call(document: Document, call: Call, into: _Collector, *, passes_input: bool) -> None:
    _, action = document.called(call)
    wanted = _Collector()
    _from_action(action, wanted)
    given = call.input
    if given is None and passes_input:
        into.merge(wanted)
    else:
        _from_given(given, wanted, into)
    into.add_tree(call.output)


def _from_given(given: Any, wanted: _Collector, into: _Collector) -> None:
    """Follow what a job passes on: an input that becomes an action's input is asked for as that one is."""
    if _is_whole_input(given):
        into.merge(wanted)
    elif isinstance(given, Mapping):
        known = {item.name: item for item in wanted.result()}
        for key, tree in given.items():
            sole = tree.sole if isinstance(tree, Template) else None
            if key == SPREAD and _is_whole_input(tree):
                into.merge(wanted)
            elif key in known and sole is not None:
                into.add_passed(sole, known[key])
            else:
                into.add_tree(tree)
    else:
        into.add_tree(given)


def _from_action(action: Action, into: _Collector) -> None:
    fields = type(action).model_fields
    for name in ("prompt", "messages", *(name for name in fields if name not in ("prompt", "messages"))):
        if name in fields:
            value = getattr(action, name)
            if isinstance(value, GenerationParams):
                for inner in GenerationParams.model_fields:
                    into.add_tree(getattr(value, inner), FIELD_TYPES.get(inner))
            else:
                into.add_tree(_plain(value), FIELD_TYPES.get(name))


def _plain(value: Any) -> Any:
    """Return a tree of plain containers in place of schema parts."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(type(value), "model_fields"):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    return value


def _is_whole_input(tree: Any) -> bool:
    sole = tree.sole if isinstance(tree, Template) else None
    return sole is not None and sole.root == "input" and not sole.steps and sole.type is None


class _Collector:
    """Gathers inputs in the order of their first use."""

    def __init__(self) -> None:
        self.fields: dict[str, Input] = {}
        self.open = False

    def add_tree(self, tree: Any, expected: str | None = None) -> None:
        sole = tree.sole if isinstance(tree, Template) else None
        for expression, inside_default in walk(tree):
            self.add_expression(expression, expected if expression is sole else None, required=not inside_default)

    def add_expression(self, expression: Expression, expected: str | None, *, required: bool) -> None:
        if expression.root != "input":
            return
        if not expression.steps:
            self.open = True
        elif found := _input(expression, expected, required=required):
            self.add(found)

    def add_passed(self, expression: Expression, wanted: Input) -> None:
        """Add what is passed on as another input: it takes what it does not say itself from that one."""
        is_named = expression.root == "input" and bool(expression.steps)
        own = _input(expression, wanted.type.name, required=True) if is_named else None
        if own is not None and len(expression.steps) == 1:
            default = own if own.default_text is not None else wanted
            declared = own if own.declared else wanted
            own = replace(
                own,
                type=declared.type,
                declared=declared.declared,
                required=wanted.required,
                default=_converted(default.default, declared.type),
                default_text=default.default_text,
                annotations={**wanted.annotations, **own.annotations},
            )
        if own is not None:
            self.add(own)
        for inner, inside_default in walk(expression):
            if inner is not expression or own is None:
                self.add_expression(inner, None, required=not inside_default)

    def add(self, found: Input) -> None:
        old = self.fields.get(found.name)
        self.fields[found.name] = found if old is None else _merged(old, found)

    def merge(self, other: _Collector) -> None:
        for found in other.fields.values():
            self.add(found)
        self.open = self.open or other.open

    def result(self) -> Inputs:
        done = tuple(replace(f, required=f.required and f.default_text is None) for f in self.fields.values())
        return Inputs(done, self.open)


def _merged(old: Input, new: Input) -> Input:
    stronger = old if old.declared or not new.declared else new
    default = old if old.default_text is not None else new
    return replace(
        old,
        type=stronger.type,
        declared=stronger.declared,
        required=old.required or new.required,
        default=_converted(default.default, stronger.type),
        default_text=default.default_text,
        annotations={**new.annotations, **old.annotations},
    )


def _input(expression: Expression, expected: str | None, *, required: bool) -> Input | None:
    first, *rest = expression.steps
    if not isinstance(first, Key):
        return None
    if rest:
        kind = TypeSpec("object" if isinstance(rest[0], Key) else "list")
        return Input(first.name, kind, required=required and expression.default is None)
    spec = expression.type or TypeSpec(expected or "text")
    default = expression.default
    value = default.constant if default is not None and default.is_constant else None
    return Input(
        first.name,
        spec,
        declared=expression.type is not None,
        required=required,
        default=_converted(value, spec),
        default_text=None if default is None else default.text,
        annotations=dict(expression.annotations),
    )


def _converted(default: Any, spec: TypeSpec) -> Any:
    """Return a default in its type; as it is where another field's type does not fit it."""
    try:
        return cast(default, spec, what="default")
    except ExpressionError:
        return default
