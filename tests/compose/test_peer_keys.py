"""Every key that model-compose's files may have is known here, and used by a good document of these tests."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from mcnb.compose import load_document
from mcnb.compose.dialects import LENGTH_ALIASES, OPTION_ALIASES, UNSUPPORTED_SECTIONS
from mcnb.compose.problems import known_keys
from mcnb.compose.schema import ComposeFile
from mcnb.compose.schema.job import JOB_TYPES, OPERATORS
from mcnb.compose.yaml_reader import read_text
from tests.compose.documents import GOOD, ONE, load, said

KEYS = {
    (): "controller components component workflows workflow",
    ("controller",): "type host port base_path origins webui adapter adapters max_concurrent_count shutdown_timeout",
    ("controller", "adapters"): "type host port base_path origins",
    ("controller", "webui"): "driver host port",
    ("workflows",): ("id name title description jobs job output default private input component action repeat_count"),
    ("workflows", "jobs"): (
        "id type depends_on retry on_error interrupt max_run_count component action input output repeat_count "
        "batch_size do conditions otherwise cases mode routings where duration"
    ),
    ("workflows", "jobs", "retry"): "max_attempt_count delay backoff max_delay",
    ("workflows", "jobs", "on_error"): "output to",
    ("workflows", "jobs", "interrupt"): "before after",
    ("workflows", "jobs", "do"): "component action input output",
    ("workflows", "jobs", "conditions"): "operator value if_true if_false",
    ("workflows", "jobs", "cases"): "value then",
    ("workflows", "jobs", "routings"): "to weight",
    ("workflows", "jobs", "where"): "input operator value all any not",
    ("components",): (
        "id type task architecture model driver device device_mode precision quantization low_cpu_mem_usage "
        "fast_tokenizer peft_adapters preload on_demand max_concurrent_count action actions text prompt params output "
        "batch_size streaming messages"
    ),
    ("components", "on_demand"): "priority idle_timeout",
    ("components", "options"): "n_ctx n_batch n_threads n_gpu_layers verbose",
    ("components", "peft_adapters"): "type name model weight",
    ("components", "model"): (
        "provider repository filename revision cache_dir allow_patterns local_files_only token path"
    ),
    ("components", "actions"): (
        "text prompt batch_size max_input_length max_output_length min_output_length num_return_sequences "
        "stop_sequences streaming output params messages"
    ),
    ("components", "actions", "messages"): "role content",
    ("components", "actions", "params"): (
        "do_sample temperature top_k top_p repetition_penalty num_beams length_penalty early_stopping "
        "max_input_length max_output_length min_output_length num_return_sequences stop_sequences batch_size"
    ),
}


@pytest.mark.parametrize("path", KEYS, ids=".".join)
def test_keys_of_the_peer_are_known(path):
    assert set(KEYS[path].split()) - known_keys(path) == set()


def _used(node, found):
    for key, child in node.mapping.items():
        found.add(key)
        _used(child, found)
    if isinstance(node.value, list):
        for child in node.value:
            _used(child, found)
    return found


def _fields(model, seen):
    """All field names of a part and of the parts in it."""
    from mcnb.compose.problems import _models_in

    if model in seen:
        return set()
    seen.add(model)
    names = set()
    for name, field in model.model_fields.items():
        names.add(field.alias or name)
        for inner in _models_in((field.annotation, field.metadata)):
            assert issubclass(inner, BaseModel)
            names |= _fields(inner, seen)
    return names


def test_every_key_is_used_by_a_good_document():
    used = set()
    for path in GOOD:
        _used(read_text(path.read_text(encoding="utf-8"), str(path)), used)

    also = {"component", "workflow", "job", "action", "adapter", "text", *LENGTH_ALIASES, *OPTION_ALIASES}
    assert (_fields(ComposeFile, set()) | also) - used == {"ignore"}  # `on_error: ignore` is its short form


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_documents_load(path):
    document = load_document(path)

    for workflow in document.workflows:
        assert document.inputs(workflow.id) is not None
        for job in workflow.jobs:
            call = getattr(job, "do", job if hasattr(job, "component") else None)
            if call is not None:
                component, action = document.called(call)
                assert action in component.all_actions


def test_every_type_of_job_is_in_a_good_document():
    (path,) = [path for path in GOOD if path.stem == "every-key.current"]
    document = load_document(path)

    assert {job.type for workflow in document.workflows for job in workflow.jobs} == set(JOB_TYPES)
    assert {component.task for component in document.spec.components} == {
        "text-generation",
        "chat-completion",
        "text-to-text",
    }
    assert {component.model.provider for component in document.spec.components} == {"huggingface", "local", "pypi"}


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators(operator):
    where = f"{{input: '${{item}}', operator: {operator}, value: 1}}"

    assert said(f"workflow: {{job: {{type: filter, input: [1], where: {where}}}}}") == []


@pytest.mark.parametrize("section", [*UNSUPPORTED_SECTIONS, *(f"{name}s" for name in UNSUPPORTED_SECTIONS)])
def test_sections_that_are_not_supported_are_refused_by_name(section):
    for value in ("[]", "{}", "{type: x}", "null"):
        assert said(ONE + f"{section}: {value}") == [
            f"2:1: '{section}' is not supported by mcnb (remove it; mcnb runs local models)"
        ]


def test_a_hook_is_refused_by_name():
    assert said(ONE + "workflow: {job: {hook: {before: 'print(1)'}}}") == [
        "2:18: 'hook' is not supported by mcnb (a compose file runs no code in mcnb)"
    ]


def test_other_components_and_controllers_are_refused():
    assert said("component: {type: http-client, model: a/b, text: x}") == [
        "1:19: type: expected 'model', got 'http-client'"
    ]
    assert said("controller: {type: mcp-server}\n" + ONE) == [
        "1:20: type: expected 'http-server', got 'mcp-server' (did you mean 'http-server'?)"
    ]


@pytest.mark.parametrize("driver", ["huggingface", "llamacpp", "vllm"])
def test_drivers(driver):
    assert load(f"component: {{model: a/b, text: x, driver: {driver}}}").component().driver == driver
