"""Chats in documents: their messages, what is refused before a model is loaded, the answer alone, its record."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import DocumentError, InvalidInputError, McnbError, UnsupportedModelError
from mcnb.runtime import Compose, Record, Runtime, load
from mcnb.runtime.rich import mimebundle
from tests.support.runs import FIRST_LINE, Models
from tests.support.talkers import PLAIN, ROLES, STRICT, talker
from tests.support.texts import POEM

Chat = Callable[..., Compose]

ANSWER = POEM.removeprefix(FIRST_LINE)

NOON = 43200.0


@pytest.fixture
def chat(runtime: Runtime, models: Models, tmp_path: Path) -> Chat:
    """Load a chat with the poet: ``chat(messages=[...])``."""

    def make(template: str | None = PLAIN, env: dict[str, str] | None = None, **keys: Any) -> Compose:
        path = models.poet if template is None else tmp_path / f"talker-{abs(hash(template))}"
        if template is not None and not path.exists():
            talker(path, models.poet, template)
        component = {"task": "chat-completion", "model": str(path), "max_output_length": 4, **keys}
        return load(text=json.dumps({"component": component}), runtime=runtime, env=env)

    return make


def prompt_of(loaded: Compose, **values: Any) -> str | None:
    return loaded.run(input=values).record.generations[0].prompt


def test_the_output_is_the_answer_alone_and_streams(chat: Chat) -> None:
    run = chat(max_output_length=500).submit(prompt=FIRST_LINE)

    async def streamed() -> list[str]:
        return [piece async for piece in run.stream()]

    pieces = asyncio.run(streamed())
    assert len(pieces) > 20
    assert "".join(pieces) == run.result() == run.text == ANSWER
    (said,) = run.record.generations
    assert (said.prompt, said.finish_reasons) == (FIRST_LINE, ["eos"])


def test_without_messages_the_prompt_is_what_the_user_says(chat: Chat) -> None:
    loaded = chat(ROLES)
    (asked,) = loaded.inputs()
    assert (asked.name, asked.type.name, asked.required) == ("prompt", "text", True)
    assert prompt_of(loaded, prompt="Hi") == "[user] Hi\n[assistant] "


SWITCH = "{{ messages[0].content }}{% if enable_thinking %} Think.{% endif %}"


def test_thinking_is_a_switch(chat: Chat) -> None:
    loaded = chat(SWITCH, thinking="${input.deeply as boolean | false}")
    assert [asked.type.name for asked in loaded.inputs() if asked.name == "deeply"] == ["boolean"]
    assert prompt_of(loaded, prompt="a") == "a"
    run = loaded.run(input={"prompt": "a", "deeply": True})
    assert run.record.generations[0].prompt == "a Think."
    assert loaded.repeat(run.record).record.generations[0].prompt == "a Think."


def test_thinking_that_is_neither_on_nor_off(chat: Chat) -> None:
    run = chat(SWITCH, thinking="${input.deeply}").submit(input={"prompt": "a", "deeply": "perhaps"})
    with pytest.raises(InvalidInputError, match="thinking"):
        run.result(60)


def test_messages_with_expressions(chat: Chat) -> None:
    loaded = chat(
        ROLES,
        messages=[
            {"role": "system", "content": "Speak ${input.language | French}."},
            {"role": "${input.role | user}", "content": "${input.question as text}"},
            {"role": "assistant", "content": 42},
            {"role": "user", "content": ["One", {"type": "text", "text": "and ${input.two}"}]},
        ],
    )
    assert [(item.name, item.type.name, item.required) for item in loaded.inputs()] == [
        ("language", "text", False),
        ("role", "text", False),
        ("question", "text", True),
        ("two", "text", True),
    ]
    assert prompt_of(loaded, question="Why?", two=2) == (
        "[system] Speak French.\n[user] Why?\n[assistant] 42\n[user] One\nand 2\n[assistant] "
    )


def test_messages_that_one_expression_gives(chat: Chat) -> None:
    loaded = chat(ROLES, messages="${input.messages}")
    (asked,) = loaded.inputs()
    assert (asked.name, asked.type.name, asked.required) == ("messages", "list", True)
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}, {"role": "user", "content": "?"}]
    assert prompt_of(loaded, messages=said) == "[user] Hi\n[assistant] Ho\n[user] ?\n[assistant] "
    assert prompt_of(loaded, messages=json.dumps(said)) == "[user] Hi\n[assistant] Ho\n[user] ?\n[assistant] "


def test_what_a_message_says_is_never_read_as_an_expression(chat: Chat) -> None:
    hostile = "${env.HOME} {{ 7 * 7 }} {% raw %}"
    assert prompt_of(chat(ROLES), prompt=hostile) == f"[user] {hostile}\n[assistant] "


WRONG: dict[str, tuple[Any, str]] = {
    "empty": ([], "messages: the conversation is empty"),
    "nothing": (None, "messages has no value"),
    "a text": ("Hello", "messages: expected a list of messages, got 'Hello'"),
    "a mapping": ({"role": "user", "content": "a"}, "messages: expected a list of messages, got a mapping"),
    "unknown role": ([{"role": "boss", "content": "a"}], "messages[0]: there is no role 'boss'"),
    "mistyped role": ([{"role": "assistent", "content": "a"}], "messages[0]: there is no role 'assistent'"),
    "a list as role": ([{"role": ["user"], "content": "a"}], "messages[0]: there is no role a list"),
    "no role": ([{"content": "a"}], "messages[0]: the role is missing"),
    "no content": ([{"role": "user", "content": "a"}, {"role": "user"}], "messages[1]: the content is missing"),
    "no message": (["hello"], "messages[0]: expected a message, got 'hello'"),
    "a mapping as content": ([{"role": "user", "content": {"a": 1}}], "messages[0]: expected a text, got a mapping"),
    "a key too many": ([{"role": "user", "content": "a", "name": "b"}], "messages[0]: a message has no 'name'"),
    "an image": (
        [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": "b"}]}],
        "messages[0].content[1]: 'image_url' is not supported",
    ),
    "a part without text": (
        [{"role": "user", "content": [{"type": "text"}]}],
        "messages[0].content[0]: expected a text, got a mapping",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_messages_are_refused_before_a_model_is_loaded(chat: Chat, what: str) -> None:
    given, message = WRONG[what]
    loaded = chat(messages="${input.messages | ${input.nothing}}")
    with pytest.raises(InvalidInputError) as caught:
        loaded.run(input={} if given is None else {"messages": given})
    assert message in caught.value.message
    assert caught.value.hint
    assert loaded.runtime.cache.loads == 0


def test_a_role_or_content_that_an_expression_gives_wrongly(chat: Chat) -> None:
    loaded = chat(messages=[{"role": "${input.role}", "content": "${input.question | ${input.other}}"}])
    with pytest.raises(InvalidInputError, match=r"messages\[0\]: there is no role 'sytem'; did you mean"):
        loaded.run(role="sytem", question="a")
    with pytest.raises(InvalidInputError, match=r"content is missing; it is \$\{input.question"):
        loaded.run(role="user")


def test_a_model_without_a_chat_template_says_what_to_do(chat: Chat) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        chat(None).run(prompt="Hi")
    assert "has no chat template" in caught.value.message
    assert "task: text-generation" in str(caught.value)


@pytest.mark.parametrize(
    ("roles", "reason"),
    [(["system", "user"], "System role not supported"), (["user", "user"], "Conversation roles must alternate")],
)
def test_a_template_that_refuses_the_roles(chat: Chat, roles: list[str], reason: str) -> None:
    run = chat(STRICT, messages="${input.messages}").submit(messages=[{"role": role, "content": "a"} for role in roles])
    assert run.wait(60)
    assert isinstance(run.error, InvalidInputError)
    assert reason in run.error.message
    assert f"their roles are {', '.join(roles)}" in str(run.error)
    assert run.record.usage.total_tokens == 0
    assert run.record.generations[0].prompt is None


def test_a_chat_has_no_full_text() -> None:
    with pytest.raises(DocumentError, match="return_full_text"):
        load(text="component: {task: chat-completion, model: ./m, return_full_text: true}")


def test_a_secret_in_a_message_is_black_in_the_record(chat: Chat) -> None:
    loaded = chat(ROLES, {"KEY": "s3cret-value"}, messages=[{"role": "user", "content": "Use ${env.KEY}"}])
    run = loaded.run()
    assert "s3cret-value" not in json.dumps(run.record.to_dict())
    assert (run.record.generations[0].prompt or "").startswith("[user] Use ")


def test_a_repeated_chat_is_asked_on_the_same_day(chat: Chat) -> None:
    loaded = chat("{{ strftime_now('%Y-%m-%d') }} " + PLAIN)
    run = loaded.run(prompt="Hi")
    assert run.record.generations[0].now == run.record.created
    record = run.record.to_dict()
    record["generations"][0]["now"] = NOON
    repeated = loaded.repeat(record)
    assert repeated.record.generations[0].prompt == "1970-01-01 Hi"
    assert loaded.repeat(repeated.record).record.generations[0].prompt == "1970-01-01 Hi"


def test_a_chat_is_shown_as_markdown(chat: Chat, models: Models, runtime: Runtime) -> None:
    run = chat(max_output_length=500, output={"answer": "${result}"}).run(prompt=FIRST_LINE)
    assert run.markdown
    bundle = mimebundle(run)
    assert "text/html" not in bundle
    assert bundle["text/markdown"].startswith(ANSWER.splitlines()[0])
    text = json.dumps({"component": {"model": str(models.poet), "text": "${input.prompt}", "max_output_length": 4}})
    plain = load(text=text, runtime=runtime).run(prompt="Hi")
    assert not plain.markdown
    assert "text/html" in mimebundle(plain)


def test_several_answers_are_a_list(chat: Chat) -> None:
    run = chat(max_output_length=500, num_return_sequences=3).run(prompt=FIRST_LINE)
    assert run.output == [ANSWER] * 3


def test_a_failed_chat_names_no_prompt_that_was_never_rendered(chat: Chat) -> None:
    run = chat(None).submit(prompt="Hi")
    assert run.wait(60)
    assert isinstance(run.error, McnbError)
    (said,) = run.record.generations
    assert (said.prompt, said.prompt_sha256) == (None, "")


def test_plain_text_for_a_model_of_chats_is_warned_of(chat: Chat) -> None:
    plain = {"task": "text-generation", "text": ["${input.prompt}", "${input.prompt}"]}
    record = chat(**plain).run(input={"prompt": FIRST_LINE}).record
    (warning,) = record.warnings
    assert "talker-" in warning
    assert "'task: chat-completion'" in warning
    assert Record.from_dict(json.loads(json.dumps(record.to_dict()))).warnings == [warning]


@pytest.mark.parametrize(
    ("template", "keys"),
    [
        (PLAIN, {}),
        (None, {"task": "text-generation", "text": "${input.prompt}"}),
        (PLAIN, {"task": "text-generation", "text": "${input.prompt}<|endoftext|>"}),
    ],
    ids=["messages", "no template", "turns written out"],
)
def test_nothing_else_is(chat: Chat, template: str | None, keys: dict[str, Any]) -> None:
    assert chat(template, **keys).run(input={"prompt": FIRST_LINE}).record.warnings == []
