"""JSON Schema 2020-12: of a workflow's inputs, and of the compose file itself (for editors)."""

from __future__ import annotations

from typing import Any

from mcnb.compose.dialects import LENGTH_ALIASES, LENGTH_KEYS, OPTION_ALIASES, PARAMETER_KEYS, SERVER_KEYS
from mcnb.compose.expressions import TypeSpec
from mcnb.compose.inputs import Input, Inputs
from mcnb.compose.schema import ComposeFile, Workflow
from mcnb.compose.schema.base import EXPRESSION_PATTERN

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_ENVIRONMENT = r"\$\{\s*env\."
_SCALARS = ("integer", "number", "boolean")

_TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "text": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "object": {"type": "object"},
    "list": {"type": "array"},
}


def input_schema(inputs: Inputs, workflow: Workflow | None = None) -> dict[str, Any]:
    """Return the JSON Schema of a workflow's input.

    A type is said only where the document declares it.
    """
    schema: dict[str, Any] = {"$schema": DIALECT, "type": "object"}
    if workflow and workflow.title:
        schema["title"] = workflow.title
    if workflow and workflow.description:
        schema["description"] = workflow.description
    schema["properties"] = {item.name: _property(item) for item in inputs}
    required = [item.name for item in inputs if item.required]
    if required:
        schema["required"] = required
    schema["additionalProperties"] = inputs.open
    return schema


def _property(item: Input) -> dict[str, Any]:
    schema = _type(item.type) if item.declared else {}
    for name, text in item.annotations.items():
        if name in ("title", "description"):
            schema[name] = text
        elif name != "range":
            schema[f"x-{name}"] = text
    low, high = item.range
    if low is not None:
        schema["minimum"] = low
    if high is not None:
        schema["maximum"] = high
    if item.type.name == "text" and not item.type.is_array:
        schema["x-multiline"] = True
    if item.default is not None:
        schema["default"] = item.default
    elif item.default_text:
        schema["x-default"] = item.default_text
    return schema


def _type(spec: TypeSpec) -> dict[str, Any]:
    if spec.is_array:
        items = _type(TypeSpec(spec.name))
        if spec.options:
            items["properties"] = {name: {} for name in spec.options}
        return {"type": "array", "items": items}
    if spec.name == "select":
        return {"type": "string", "enum": list(spec.options)}
    return dict(_TYPES.get(spec.name, {}))


def document_schema() -> dict[str, Any]:
    """Return the JSON Schema of compose files, all dialects included, for completion in editors."""
    schema = ComposeFile.model_json_schema(mode="validation")
    definitions = schema["$defs"]
    _alternative(schema, "components", "component")
    _alternative(schema, "workflows", "workflow")
    controller = definitions["Controller"]
    adapter = definitions["Adapter"]["properties"]
    controller["properties"].update({key: adapter[key] for key in SERVER_KEYS if key in adapter})
    _alternative(controller, "adapters", "adapter")
    workflow = definitions["Workflow"]
    job = definitions["ComponentJob"]["properties"]
    workflow["properties"].update({key: job[key] for key in ("component", "action", "input", "repeat_count")})
    _alternative(workflow, "jobs", "job")
    for name, definition in definitions.items():
        properties = definition.get("properties", {})
        if name.endswith("Action"):
            _also_under(properties, {"text": "prompt", **LENGTH_ALIASES})
            _not_required(definition, "prompt")
    for task in ("TextGeneration", "ChatCompletion", "TextToText"):
        component = definitions[f"{task}Component"]
        action = definitions[f"{task}Action"]["properties"]
        flat = {key: value for key, value in action.items() if key not in ("id", "default")}
        component["properties"] = {**flat, **component["properties"]}
        _alternative(component, "actions", "action")
        _not_required(component, "actions")
    _also_under(definitions["EngineOptions"]["properties"], OPTION_ALIASES)
    params = definitions["GenerationParams"]["properties"]
    source = definitions["TextGenerationAction"]["properties"]
    params.update({key: source[key] for key in sorted(LENGTH_KEYS | LENGTH_ALIASES.keys() | PARAMETER_KEYS)})
    _not_required(workflow, "jobs")
    for definition in definitions.values():
        properties = definition.get("properties", {})
        properties.update({name: _or_environment(value) for name, value in properties.items()})
    return {"$schema": DIALECT, "title": "mcnb compose file", **{k: v for k, v in schema.items() if k != "title"}}


def _or_environment(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow ``${env.NAME}`` too where a field takes only some texts or none."""
    shapes = schema.get("anyOf", [schema])
    words = {"title", "description", "default"}
    closed = any(shape.keys() & {"enum", "pattern"} or shape.get("type") in _SCALARS for shape in shapes)
    if not closed or any(shape.get("pattern") == EXPRESSION_PATTERN for shape in shapes):
        return schema
    bare = [{key: value for key, value in shape.items() if key not in words} for shape in shapes]
    kept = {key: value for key, value in schema.items() if key in words}
    return {**kept, "anyOf": [*bare, {"type": "string", "pattern": _ENVIRONMENT}]}


def _alternative(schema: dict[str, Any], many: str, one: str) -> None:
    item = schema["properties"][many].get("items", {})
    said = f"The same as `{many}`, where there is only one."
    schema["properties"][one] = {"description": said, "anyOf": [item, {"type": "array", "items": item}]}


def _also_under(properties: dict[str, Any], names: dict[str, str]) -> None:
    for alias, name in names.items():
        if name in properties:
            properties[alias] = properties[name]


def _not_required(schema: dict[str, Any], name: str) -> None:
    if name in schema.get("required", []):
        schema["required"] = [key for key in schema["required"] if key != name]
        if not schema["required"]:
            del schema["required"]
