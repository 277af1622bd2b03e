"""Servers with OpenAI's API: what is sent, and everything that can be wrong with the answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mcnb.errors import (
    ContextOverflowError,
    InvalidInputError,
    McnbError,
    ModelAccessError,
    ModelNotFoundError,
    NotSupportedError,
    QueueFullError,
    RunCancelledError,
    ServerError,
)
from mcnb.models.cache import ModelCache
from mcnb.models.chat import Conversation, Turn
from mcnb.models.drivers.openai import server as server_module
from mcnb.models.progress import no_report

from .scripted_server import ScriptedServer, answer, at_gate, hang_up, piece, said, stream, wait_for_leaving
from .subjects import PATIENCE, SMOL, Subject, ask, free_port, lending, spec_of

KEY = "sk-very-secret"
Open = Callable[..., Subject]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    monkeypatch.setattr(server_module, "PAUSE", 0)
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def opened(scripted: ScriptedServer) -> Iterator[Open]:
    """Open the scripted server's model."""
    with lending() as lend:

        def one(**options: Any) -> Subject:
            spec = spec_of("openai", SMOL, **{"base_url": scripted.url, "model": "m", "api_key": KEY, **options})
            return lend(spec)

        yield one


def test_what_is_sent(scripted: ScriptedServer, opened: Open) -> None:
    scripted.replies.append(stream(piece(" a", "stop")))
    ask(opened(), "Once", temperature=0.5, repetition_penalty=1.1, min_output_length=2, stop_sequences=["X"]).result()
    (request,) = scripted.texts()
    assert request.path == "/v1/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == {
        "model": "m",
        "prompt": "Once",
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        "max_tokens": 12,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 50,
        "min_p": 0,
        "min_tokens": 2,
        "repetition_penalty": 1.1,
        "repeat_penalty": 1.1,
        "seed": 7,
    }


def test_what_is_sent_to_a_server_that_knows_the_api_alone(scripted: ScriptedServer, opened: Open) -> None:
    strict = opened(extensions=False)
    scripted.replies.append(stream(piece(" a", "stop")))
    asked = ask(strict, do_sample=False)
    asked.result()
    assert set(scripted.texts()[0].body) == {
        "model", "prompt", "stream", "stream_options", "max_tokens", "temperature", "top_p", "seed",
    }  # fmt: skip
    assert scripted.texts()[0].body["temperature"] == 0
    assert asked.generation.parameters.to_dict()["top_k"] == {"value": None, "source": "model"}
    for name, value in {"top_k": 5, "repetition_penalty": 1.2, "min_output_length": 1}.items():
        with pytest.raises(InvalidInputError, match=f"'{name}' cannot be used"):
            ask(strict, **{name: value})
    with pytest.raises(InvalidInputError, match="'thinking' cannot be used"):
        ask(strict, Conversation((Turn("user", "a"),), thinking=True)).result()


def test_a_conversation_is_sent_as_it_is(scripted: ScriptedServer, opened: Open) -> None:
    scripted.replies.append(stream(said("Hel"), said("lo"), said("", "stop")))
    asked = ask(opened(), Conversation((Turn("system", "Be brief."), Turn("user", "Hi")), thinking=False))
    assert asked.result().texts == ["Hello"]
    (request,) = scripted.texts()
    assert request.path == "/v1/chat/completions"
    assert request.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]
    assert request.body["chat_template_kwargs"] == {"enable_thinking": False}


def test_the_server_counts(scripted: ScriptedServer, opened: Open) -> None:
    usage = {"prompt_tokens": 4, "completion_tokens": 9}
    scripted.replies.append(stream(piece(" a b c", "length"), {"choices": [], "usage": usage}))
    result = ask(opened(), max_output_length=9).result()
    assert (result.prompt_tokens, result.output_tokens, result.finish_reasons) == (4, 9, ["max_output_length"])
    assert result.notes == {"model": "m", "tokens": "told by the server"}
    scripted.replies.append(stream(piece(" a b c", "length", usage={"prompt_tokens": 4, "completion_tokens": 3})))
    assert ask(opened(), max_output_length=9).result().finish_reasons == ["context_full"]


def test_pieces_are_counted_where_it_does_not(scripted: ScriptedServer, opened: Open) -> None:
    scripted.places["/extras/tokenize/count"] = answer(200, {"count": 5})
    scripted.replies.append(stream(piece(" a"), piece(" b"), piece("", "stop")))
    result = ask(opened()).result()
    assert (result.prompt_tokens, result.output_tokens) == (5, 2)
    assert result.notes["tokens"] == "pieces of its stream"


def test_a_known_context_is_a_budget(scripted: ScriptedServer, opened: Open) -> None:
    scripted.places["/v1/models"] = answer(200, {"data": [{"id": "m", "max_model_len": 20}]})
    scripted.places["/tokenize"] = answer(200, {"count": 15, "max_model_len": 20})
    subject = opened()
    assert subject.owner.description.context_length == 20
    scripted.replies.append(stream(piece(" a", "length", usage={"completion_tokens": 5})))
    result = ask(subject).result()
    assert (result.output_budget, result.clamped, result.finish_reasons) == (5, True, ["context_full"])
    assert scripted.texts()[0].body["max_tokens"] == 5
    scripted.places["/tokenize"] = answer(200, {"tokens": list(range(25))})
    with pytest.raises(ContextOverflowError, match="has 25 tokens and m can see 20"):
        ask(subject).result()
    assert len(scripted.texts()) == 1


def test_a_limit_that_cannot_be_counted_is_refused(opened: Open) -> None:
    with pytest.raises(NotSupportedError, match="'max_input_length' cannot be kept"):
        ask(opened(), max_input_length=5).result()
    assert opened().owner.count_tokens("a") is None


def test_a_stop_sequence_closes_the_connection(scripted: ScriptedServer, opened: Open) -> None:
    scripted.replies.append(stream(piece(" one T"), piece("HE E"), piece("ND two"), then=wait_for_leaving))
    asked = ask(opened(), stop_sequences=["THE END"])
    result = asked.result()
    assert (result.texts, result.finish_reasons) == ([" one "], ["stop_sequence"])
    assert asked.pieces == [" one ", ""] or "".join(asked.pieces) == " one "
    assert scripted.left.wait(PATIENCE)


def test_a_cancel_closes_the_connection(scripted: ScriptedServer, opened: Open) -> None:
    scripted.replies.append(stream(piece(" one"), then=wait_for_leaving))
    came = threading.Event()
    asked = ask(opened(), on_text=lambda text, tokens: came.set())
    assert came.wait(PATIENCE)
    asked.control.cancel()
    with pytest.raises(RunCancelledError):
        asked.result()
    assert scripted.left.wait(PATIENCE)
    assert asked.generation.result.texts == [" one"]


def test_a_cancel_does_not_wait_for_the_first_piece(scripted: ScriptedServer, opened: Open) -> None:
    scripted.replies.append(wait_for_leaving)
    subject = opened()
    asked = ask(subject)
    while not scripted.texts():
        threading.Event().wait(0.01)
    asked.control.cancel()
    with pytest.raises(RunCancelledError):
        asked.result()
    assert scripted.left.wait(PATIENCE)


def test_many_wait_for_their_turn(scripted: ScriptedServer, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcnb.models.drivers.openai.owner.AT_ONCE", 2)
    gate = threading.Event()
    scripted.replies.extend(at_gate(gate, stream(piece(f" {at}", "stop"))) for at in range(6))
    subject = opened()
    asked = [ask(subject) for _ in range(6)]
    while len(scripted.texts()) < 2:
        threading.Event().wait(0.01)
    assert subject.owner.waiting == 4
    gate.set()
    assert sorted(one.result().texts[0] for one in asked) == [f" {at}" for at in range(6)]


REFUSED: dict[str, tuple[Any, type[McnbError], str]] = {
    "no key": (answer(401, {"error": {"message": f"bad key {KEY}"}}), ModelAccessError, r"refuses the API key \(bad"),
    "forbidden": (answer(403, "no"), ModelAccessError, "refuses the API key"),
    "no model": (
        answer(404, {"error": {"message": "The model `m` does not exist.", "code": 404}}),
        ModelNotFoundError,
        "has no model m",
    ),
    "no model, by its code": (
        answer(400, {"error": {"message": "m?", "code": "model_not_found"}}),
        ModelNotFoundError,
        "has no model m",
    ),
    "no path": (answer(404, {"detail": "Not Found"}), ServerError, "does not offer this kind of request"),
    "too long": (
        answer(400, {"error": {"message": "This model's maximum context length is 8 tokens. However..."}}),
        ContextOverflowError,
        "do not fit into the context of m",
    ),
    "unknown parameter": (
        answer(400, {"error": {"message": "Unrecognized request argument supplied: top_k"}}),
        InvalidInputError,
        "top_k.*extensions: false",
    ),
    "validation": (
        answer(422, {"detail": [{"loc": ["body"], "msg": "value is too large"}]}),
        InvalidInputError,
        "value is too large",
    ),
    "busy for long": (answer(429, {"error": "slow down"}, retry_after="3600"), QueueFullError, "slow down"),
    "redirect": (answer(307, "", location="http://elsewhere/v1"), ServerError, "sends to http://elsewhere/v1"),
    "internal": (answer(500, "<p>oops</p>", content_type="text/html"), ServerError, r"failed \(status 500"),
    "gateway": (answer(502, {"message": "no upstream"}), ServerError, "status 502: no upstream"),
    "a page": (answer(200, "<html>hello</html>"), ServerError, "cannot be understood: it answers with text/plain"),
    "malformed": (stream("{not json"), ServerError, "is no JSON object: {not json"),
    "no object": (stream("[1]"), ServerError, "is no JSON object"),
    "no choices": (stream({"hello": 1}), ServerError, "has no 'choices'"),
    "no text": (stream({"choices": [{"text": 3}]}), ServerError, "has no text"),
    "an error within": (
        stream(piece(" a"), {"error": {"message": "out of blocks", "code": 503}}),
        ServerError,
        "status 503: out of blocks",
    ),
    "cut": (stream(piece(" a"), then=hang_up), ServerError, "broke off in the middle"),
    "ended": (stream(piece(" a"), done=False), ServerError, "broke off in the middle"),
    "done too early": (stream(piece(" a")), ServerError, "broke off in the middle"),
    "no answer": (hang_up, ServerError, "did not answer to the end"),
    "filtered": (stream(piece(" a", "content_filter")), ServerError, "a reason of its own: content_filter"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_goes_wrong_is_told(scripted: ScriptedServer, opened: Open, what: str) -> None:
    reply, kind, words = REFUSED[what]
    subject = opened()
    scripted.replies.append(reply)
    asked = ask(subject)
    with pytest.raises(kind, match=words) as caught:
        asked.result()
    assert KEY not in str(caught.value)
    assert scripted.url in str(caught.value) or "content_filter" in str(caught.value)
    assert len(scripted.texts()) == 1  # nothing that the server has taken is sent again
    assert asked.generation.result.texts == ["".join(asked.pieces)]
    scripted.replies.append(stream(piece(" well", "stop")))
    assert ask(subject).result().texts == [" well"]


def test_a_busy_server_is_asked_again(scripted: ScriptedServer, opened: Open) -> None:
    scripted.replies.extend(
        [answer(429, {"error": "slow down"}), answer(503, "", retry_after="0"), stream(piece(" a", "stop"))]
    )
    assert ask(opened()).result().texts == [" a"]
    assert len(scripted.texts()) == 3
    scripted.replies.extend([answer(429, "")] * 4)
    with pytest.raises(QueueFullError, match="takes no more requests now") as caught:
        ask(opened()).result()
    assert caught.value.code == "queue_full"
    assert not scripted.replies


def test_a_cancel_does_not_wait_for_a_busy_server(scripted: ScriptedServer, opened: Open) -> None:
    scripted.replies.append(answer(429, "", retry_after="50"))
    asked = ask(opened())
    while scripted.replies:
        threading.Event().wait(0.01)
    asked.control.cancel()
    with pytest.raises(RunCancelledError):
        asked.result()


def test_silence_has_a_limit(scripted: ScriptedServer, opened: Open) -> None:
    scripted.replies.append(stream(piece(" a"), then=wait_for_leaving))
    with pytest.raises(ServerError, match=r"said nothing for 0.2 s; raise 'timeout'"):
        ask(opened(timeout="200ms")).result()
    assert scripted.left.wait(PATIENCE)


def test_a_server_that_does_not_stream(scripted: ScriptedServer, opened: Open) -> None:
    whole = {"choices": [{"text": " all", "finish_reason": "stop"}], "usage": {"completion_tokens": 2}}
    scripted.replies.append(answer(200, whole))
    asked = ask(opened())
    assert asked.result().texts == [" all"]
    assert asked.result().output_tokens == 2


def test_lines_end_where_the_standard_says(scripted: ScriptedServer, opened: Open) -> None:
    scripted.replies.append(stream(piece(" a\N{LINE SEPARATOR}b\x85c 🌙"), piece("", "stop")))
    assert ask(opened()).result().texts == [" a\N{LINE SEPARATOR}b\x85c 🌙"]


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (answer(401, {"error": "who are you"}), ModelAccessError, "who are you"),
        (answer(200, {"data": [{"id": "x"}, {"id": "y"}]}), ModelNotFoundError, "has no model m; it has: x, y"),
        (answer(200, {"data": "x"}), ServerError, "list of models cannot be understood"),
        (answer(200, "hello"), ServerError, "list of models cannot be understood"),
        (answer(500, "oops"), ServerError, r"failed \(status 500: oops\)"),
    ],
)
def test_a_server_without_the_model(
    scripted: ScriptedServer, opened: Open, reply: Any, kind: type[McnbError], words: str
) -> None:
    scripted.places["/v1/models"] = reply
    with pytest.raises(kind, match=words) as caught:
        opened()
    assert KEY not in str(caught.value)


def test_which_model_is_meant(scripted: ScriptedServer, opened: Open) -> None:
    assert opened(model=None).owner.description.name == "m"  # the only one
    scripted.places["/v1/models"] = answer(200, {"data": [{"id": "m:latest"}, {"id": "x"}]})
    assert opened(timeout=5).owner.description.name == "m:latest"
    with pytest.raises(ModelNotFoundError, match=r"has 2 models, and the document names none.*m:latest, x"):
        opened(model=None, timeout=6)
    scripted.places["/v1/models"] = answer(404, "")
    assert opened(timeout=7).owner.description.name == "m"  # the server has no list


def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "PAUSE", 0)
    cache = ModelCache()
    spec = spec_of("openai", SMOL, base_url=f"http://127.0.0.1:{free_port()}/v1", model="m")
    with pytest.raises(ServerError, match=r"cannot be reached.*check 'base_url'"):
        cache.acquire(spec, no_report).future.result(PATIENCE)


def test_the_server_leaves_between_two_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "PAUSE", 0)
    cache = ModelCache()
    with ScriptedServer() as other:
        other.places["/v1/models"] = answer(200, {"data": [{"id": "m"}]}, connection="close")
        spec = spec_of("openai", SMOL, base_url=other.url, model="m")
        lease = cache.lease(cache.acquire(spec, no_report).future.result(PATIENCE))
        assert lease is not None
    with pytest.raises(ServerError, match="cannot be reached"):
        ask(Subject(lease.owner, spec)).result()
    lease.release()
    assert cache.unload() == 1
