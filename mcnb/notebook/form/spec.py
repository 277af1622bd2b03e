"""What a form asks for, as data for the browser: the inputs and the generation parameters of each workflow."""

from __future__ import annotations

import json
from typing import Any

from mcnb.compose import Document, Input
from mcnb.compose.expressions import Template
from mcnb.compose.schema import Action, Call, ForEachJob, GenerationParams, Workflow
from mcnb.models.parameters import DEFAULTS
from mcnb.runtime.wording import workflow_name

OTHER = "*"
"""The field for further inputs of a workflow that takes any."""

_KINDS = ("text", "integer", "number", "boolean", "select")
_JSON = ("object", "json")

PARAMETERS: dict[str, dict[str, Any]] = {
    "temperature": {"kind": "number", "low": 0, "high": 2, "step": 0.05},
    "top_p": {"kind": "number", "low": 0.01, "high": 1, "step": 0.01},
    "top_k": {"kind": "integer", "low": 0},
    "repetition_penalty": {"kind": "number", "low": 0.01, "step": 0.05},
    "max_output_length": {"kind": "integer", "low": 1},
    "min_output_length": {"kind": "integer", "low": 0},
    "num_beams": {"kind": "integer", "low": 1, "high": 64},
    "do_sample": {"kind": "boolean"},
}
"""The generation parameters a form shows, in its order, with their controls; the seed stands apart."""


def workflows(document: Document) -> list[dict[str, Any]]:
    """Describe the workflows of a document.

    Returns
    -------
    list of dict
        Each with ``id, title, description, fields, parameters`` and ``lines``: the fields a list of lines can fill.
    """
    return [_workflow(document, workflow) for workflow in document.workflows]


def _workflow(document: Document, workflow: Workflow) -> dict[str, Any]:
    inputs = document.inputs(workflow.id)
    fields = [field(item) for item in inputs]
    if inputs.open:
        fields.append(
            {
                "name": OTHER,
                "label": "Further inputs",
                "description": "A JSON object: names and values.",
                "kind": "json",
                "required": False,
                "default": "",
                "placeholder": '{"name": "value"}',
            }
        )
    texts = [item["name"] for item in fields if item["kind"] in ("text", "string")]
    return {
        "id": workflow.id,
        "title": workflow.title or workflow_name(workflow).capitalize(),
        "description": workflow.description or "",
        "fields": fields,
        "parameters": _parameters(document, workflow),
        "seed": _said(_actions(document, workflow), "seed"),
        "lines": texts,
    }


def field(item: Input) -> dict[str, Any]:
    """Describe one input: its control, label, default and limits.

    Returns
    -------
    dict
        ``name, label, description, kind, required, default, placeholder``, and where they apply ``options, low, high,
        step``. ``default`` is what the control shows at first.
    """
    kind = _kind(item)
    low, high = item.range
    found: dict[str, Any] = {
        "name": item.name,
        "label": item.annotations.get("title") or item.name.replace("_", " ").capitalize(),
        "description": item.description or "",
        "kind": kind,
        "required": item.required,
        "default": raw(item.default, kind),
        "placeholder": item.default_text if item.default is None and item.default_text else "",
    }
    if kind == "boolean" and item.default is None and item.default_text:
        found |= {"kind": "select", "default": "", "options": ["true", "false"]}  # neither: the default, known later
    elif kind == "select":
        found["options"] = list(item.options)
    if kind in ("integer", "number"):
        found |= {"low": low, "high": high, "step": 1 if kind == "integer" else _step(low, high)}
    return found


def _kind(item: Input) -> str:
    spec = item.type
    if spec.name in _JSON:
        return "json"
    if spec.is_array or spec.name == "list":
        return "list"
    return spec.name if spec.name in _KINDS else "string"


def raw(value: Any, kind: str) -> Any:
    """Return a value as its control holds it: a truth value, or a text."""
    if kind == "boolean":
        return bool(value)
    if value is None:
        return ""
    if kind == "list" and isinstance(value, list):
        lines = "\n".join(item for item in value if isinstance(item, str))
        return lines if read_list(lines) == value else json.dumps(value, ensure_ascii=False)
    if kind == "json" and not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, indent=2)
    return value if isinstance(value, str) else str(value).removesuffix(".0")


def read_list(text: str) -> list[Any]:
    """Read a list from its control: a text in each line; or a JSON list, for other items and texts of several lines."""
    if text.lstrip().startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list):
            return found
    return [line for line in text.split("\n") if line.strip()]


def _step(low: float | None, high: float | None) -> float:
    """Return how far one move of a slider goes: about a hundredth of its way, a round number."""
    if low is None or high is None or high <= low:
        return 0.01
    step = 1.0
    while step * 100 > high - low:
        step /= 10
    return step


def _parameters(document: Document, workflow: Workflow) -> list[dict[str, Any]]:
    actions = _actions(document, workflow)
    found = []
    for name, control in PARAMETERS.items():
        said = _said(actions, name)
        info = GenerationParams.model_fields.get(name) or Action.model_fields.get(name)
        found.append(
            {
                "name": name,
                "label": name,
                "description": (info.description if info else None) or "",
                "default": said if said is not None else json.dumps(DEFAULTS[name]),
                "source": "document" if said is not None else "default",
                **control,
            }
        )
    return found


def _actions(document: Document, workflow: Workflow) -> list[Any]:
    calls = [job.do if isinstance(job, ForEachJob) else job for job in workflow.jobs]
    return [document.called(call)[1] for call in calls if isinstance(call, Call)]


def _said(actions: list[Any], name: str) -> str | None:
    """Return what the actions say of a parameter, as a text; None when they do not mention it."""
    texts = []
    for action in actions:
        owner = action.params if name in GenerationParams.model_fields else action
        value = getattr(owner, name, None)
        if value is not None:
            texts.append(str(value) if isinstance(value, Template) else json.dumps(value))
    return " / ".join(dict.fromkeys(texts)) or None
