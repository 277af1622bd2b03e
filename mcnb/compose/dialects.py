"""The three dialects of compose files, brought into one shape.

======================  ====================================  =============================================
in the file             dialect                               here
======================  ====================================  =============================================
``component``           all: one, without a list              ``components: [...]``
``workflow``            all                                   ``workflows: [...]``
``job``                 current                               ``jobs: [...]``
job keys on a workflow  flat: no ``jobs``                     ``jobs: [{...}]``
action keys on a        flat: ``text``, ``params``...         ``actions: [{...}]``
component
``action``              intermediate, current                 ``actions: [...]``
``text``                flat, intermediate                    ``prompt``
``params.max_output_length`` and other lengths: flat          on the action
``max_new_tokens``...   aliases                               ``max_output_length``
``context_length``      alias                                 ``options.n_ctx``
server keys on the      flat                                  ``controller.adapters: [{...}]``
controller
======================  ====================================  =============================================

It happens in two steps, so that files of several dialects can be laid over each other between them: ``reshape``
renames and moves what a file says, ``complete`` adds what the merged document leaves implicit. Only names move; values
are checked by the schema afterwards. Every moved value keeps its place in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mcnb.compose.nodes import Node
from mcnb.errors import Problem

UNSUPPORTED_SECTIONS = ("listener", "gateway", "system", "tracer", "logger")

JOB_KEYS = frozenset({"component", "action", "input", "output", "repeat_count"})
"""Keys of a component job that may stand on a workflow without ``jobs``."""

PROMPT_KEYS = frozenset({"prompt", "text", "messages"})
LENGTH_KEYS = frozenset({"max_input_length", "max_output_length", "min_output_length"})
OPTION_ALIASES = {"context_length": "n_ctx"}
LENGTH_ALIASES = {"max_new_tokens": "max_output_length", "max_tokens": "max_output_length"}
PARAMETER_KEYS = frozenset({"num_return_sequences", "stop_sequences", "batch_size", "seed", "return_full_text"})
ACTION_KEYS = (
    PROMPT_KEYS
    | LENGTH_KEYS
    | LENGTH_ALIASES.keys()
    | PARAMETER_KEYS
    | frozenset({"streaming", "thinking", "output", "params"})
)
"""Keys of an action that may stand on a flat component."""

SERVER_KEYS = frozenset({"type", "host", "port", "base_path", "origins"})
"""Keys of a controller's adapter that may stand on the controller."""


def reshape(root: Node, problems: list[Problem]) -> Node:
    """Return what one file says in the common shape; what cannot be reconciled is added to `problems`."""
    document = dict(root.mapping)
    for name in UNSUPPORTED_SECTIONS:
        for key in (name, f"{name}s"):
            if node := document.pop(key, None):
                problems.append(
                    Problem(f"'{key}' is not supported by mcnb", node.place, key, "remove it; mcnb runs local models")
                )
    _singular(document, "component", "components", problems)
    _singular(document, "workflow", "workflows", problems)
    _one(document, "controller", lambda node: _controller(node, problems))
    _each(document, "components", lambda node: _component(node, problems))
    _each(document, "workflows", lambda node: _workflow(node, problems))
    return root.with_value(document)


def complete(root: Node, problems: list[Problem]) -> Node:
    """Return the document with its implicit job and action written out."""
    document = dict(root.mapping)
    _each(document, "components", _with_action)
    _each(document, "workflows", lambda node: _with_jobs(node, problems))
    return root.with_value(document)


def _singular(mapping: dict[str, Node], one: str, many: str, problems: list[Problem]) -> None:
    node = mapping.pop(one, None)
    if node is None:
        return
    if many in mapping:
        problems.append(Problem(f"'{one}' and '{many}' cannot stand side by side", node.place, one, "keep one of them"))
        return
    mapping[many] = node if isinstance(node.value, list) else node.as_single()


def _one(mapping: dict[str, Node], key: str, change: Callable[[Node], Node]) -> None:
    node = mapping.get(key)
    if node is not None and isinstance(node.value, dict):
        mapping[key] = change(node)


def _each(mapping: dict[str, Node], key: str, change: Callable[[Node], Node]) -> None:
    node = mapping.get(key)
    if node is not None and isinstance(node.value, list):
        mapping[key] = node.with_value([change(item) if isinstance(item.value, dict) else item for item in node.value])


def _moved(mapping: dict[str, Node], keys: Iterable[str]) -> dict[str, Node]:
    return {key: mapping.pop(key) for key in list(mapping) if key in keys}


def _controller(node: Node, problems: list[Problem]) -> Node:
    controller = dict(node.mapping)
    _singular(controller, "adapter", "adapters", problems)
    server = _moved(controller, SERVER_KEYS)
    if server and "adapters" in controller:
        key, child = next(iter(server.items()))
        message = f"'{key}' stands on the controller and there is an adapter too"
        problems.append(Problem(message, child.place, f"controller.{key}", "move it there"))
    elif server:
        controller["adapters"] = node.with_value(dict(server)).as_single()
    return node.with_value(controller)


def _workflow(node: Node, problems: list[Problem]) -> Node:
    workflow = dict(node.mapping)
    _singular(workflow, "job", "jobs", problems)
    _one(workflow, "component", lambda inline: _component(inline, problems))
    _each(workflow, "jobs", lambda job: _job(job, problems))
    return node.with_value(workflow)


def _with_jobs(node: Node, problems: list[Problem]) -> Node:
    workflow = dict(node.mapping)
    if "jobs" not in workflow:
        job = _moved(workflow, JOB_KEYS)
        workflow["jobs"] = node.with_value(dict(job)).as_single()
    for key in sorted(JOB_KEYS - {"output"}):
        if child := workflow.pop(key, None):
            message = f"'{key}' belongs on a job when a workflow has jobs"
            problems.append(Problem(message, child.place, key, "move it there"))
    _each(workflow, "jobs", _with_called_action)
    return node.with_value(workflow)


def _job(node: Node, problems: list[Problem]) -> Node:
    job = dict(node.mapping)
    _one(job, "component", lambda inline: _component(inline, problems))
    _one(job, "do", lambda body: _job(body, problems))
    return node.with_value(job)


def _with_called_action(node: Node) -> Node:
    job = dict(node.mapping)
    _one(job, "component", _with_action)
    _one(job, "do", _with_called_action)
    return node.with_value(job)


def _component(node: Node, problems: list[Problem]) -> Node:
    """Bring one component into the current shape: its actions in a list, their lengths on the action."""
    found = dict(node.mapping)
    _singular(found, "action", "actions", problems)
    flat = _moved(found, ACTION_KEYS)
    if flat and "actions" in found:
        key, child = next(iter(flat.items()))
        message = f"'{key}' stands on the component and there is an action too"
        problems.append(Problem(message, child.place, key, "move it there"))
    elif flat:
        found["actions"] = node.with_value(dict(flat)).as_single()
    _each(found, "actions", lambda action: _action(action, problems))
    _one(found, "options", lambda options: _options(options, problems))
    return node.with_value(found)


def _options(node: Node, problems: list[Problem]) -> Node:
    options = dict(node.mapping)
    for alias, name in OPTION_ALIASES.items():
        _rename(options, alias, name, problems)
    return node.with_value(options)


def _with_action(node: Node) -> Node:
    if "actions" in node.mapping:
        return node
    return node.with_value({**node.mapping, "actions": node.with_value({}).as_single()})


def _action(node: Node, problems: list[Problem]) -> Node:
    action = dict(node.mapping)
    _rename(action, "text", "prompt", problems)
    params = action.get("params")
    if params is not None and isinstance(params.value, dict):
        inner = dict(params.value)
        raised = _moved(inner, LENGTH_KEYS | LENGTH_ALIASES.keys() | PARAMETER_KEYS)
        action["params"] = params.with_value(inner)
        for key, child in raised.items():
            if key in action:
                message = f"'{key}' stands on the action and under 'params'"
                problems.append(Problem(message, child.place, key, "keep one of them"))
            action.setdefault(key, child)
    for alias, name in LENGTH_ALIASES.items():
        _rename(action, alias, name, problems)
    return node.with_value(action)


def _rename(mapping: dict[str, Node], old: str, new: str, problems: list[Problem]) -> None:
    node = mapping.pop(old, None)
    if node is None:
        return
    if new in mapping:
        problems.append(Problem(f"'{old}' and '{new}' mean the same", node.place, old, "keep one of them"))
    mapping.setdefault(new, node)
