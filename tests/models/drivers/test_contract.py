"""The contract that every driver keeps; see ``mcnb.models.drivers.contract``."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from typing import Any

import pytest

from mcnb.errors import ContextOverflowError, InternalError, InvalidInputError, RunCancelledError, RunTimeoutError
from mcnb.models.cache import ModelCache
from mcnb.models.chat import Conversation, Turn
from mcnb.models.control import Control
from mcnb.models.progress import no_report

from .subjects import PATIENCE, PROMPT, Subject, ask

LONG = {"max_output_length": 400, "min_output_length": 0, "do_sample": False}


def test_what_it_says_of_itself(subject: Subject) -> None:
    said = subject.owner.description
    assert said.driver == subject.driver
    assert said.version
    assert said.name
    assert said.provider == subject.spec.source.provider
    assert said.device
    assert said.dtype
    assert said.load_seconds > 0
    assert "right-key" not in repr(said)
    if subject.driver != "openai":
        assert said.memory > 0
        assert said.threads > 0
        assert said.context_length


def test_it_is_loaded_once_and_known_again(subject: Subject) -> None:
    cache = ModelCache()
    first = cache.acquire(subject.spec, no_report).future.result(PATIENCE)
    again = cache.acquire(subject.spec, no_report).future.result(PATIENCE)
    assert (first.hit, again.hit, cache.loads) == (False, True, 1)
    assert first.key == again.key
    (resident,) = cache.residents()
    assert resident.name == subject.owner.description.name
    assert cache.unload() == 1


def test_a_text_is_its_pieces(subject: Subject) -> None:
    asked = ask(subject)
    result = asked.result()
    assert result.texts == ["".join(asked.pieces)]
    assert result.texts[0]
    assert result.finish_reasons in (["max_output_length"], ["eos"])
    assert 0 < result.output_tokens <= 12
    assert result.prompt == PROMPT
    assert asked.counts == sorted(asked.counts)
    assert len(asked.prompts) == 1
    assert asked.prompts[0][1] == result.output_budget == 12
    assert not result.clamped
    assert result.first_token_seconds > 0
    assert result.decode_seconds >= 0
    assert asked.generation.queue_seconds >= 0


def test_tokens_are_counted(subject: Subject) -> None:
    count = subject.owner.count_tokens(PROMPT)
    assert count == ask(subject).result().prompt_tokens
    assert count > 3
    assert subject.owner.count_tokens(f"{PROMPT} {PROMPT}") > count


@pytest.mark.parametrize("samples", [True, False], ids=["drawn", "greedy"])
def test_the_same_seed_means_the_same_text(subject: Subject, samples: bool) -> None:
    options = {"do_sample": samples, "temperature": 1.0, "max_output_length": 16}
    texts = [ask(subject, seed=11, **options).result().texts for _ in range(2)]
    assert texts[0] == texts[1]
    others = [ask(subject, seed=seed, **options).result().texts for seed in (2**63 - 1, 2**32 - 1, 0)]
    assert (others == [texts[0]] * 3) is not samples


def test_several_at_once_are_as_if_alone(subject: Subject) -> None:
    prompts = [f"{PROMPT} {word}" for word in ("dog", "king", "ship", "tree", "stone")]
    alone = [ask(subject, prompt, seed=at).result().texts for at, prompt in enumerate(prompts)]
    together = [ask(subject, prompt, seed=at) for at, prompt in enumerate(prompts)]
    texts = [one.result().texts for one in together]
    assert all(one.result().texts == ["".join(one.pieces)] for one in together)
    if subject.driver == "vllm":  # the last bits of its products depend on how many rows they have: that is told
        assert not any(one.result().batch_invariant for one in together)
    else:
        assert texts == alone


def test_what_was_computed_alone_says_so(subject: Subject) -> None:
    assert ask(subject).result().batch_invariant is (subject.driver != "openai")


def test_several_sequences_differ_and_the_first_one_streams(subject: Subject) -> None:
    asked = ask(subject, num_return_sequences=3, temperature=1.0, max_output_length=16)
    result = asked.result()
    assert len(set(result.texts)) == 3
    assert "".join(asked.pieces) == result.texts[0]
    assert result.texts[0] == ask(subject, temperature=1.0, max_output_length=16).result().texts[0]
    assert len(result.finish_reasons) == 3


def test_a_stop_sequence_ends_a_text_before_it(subject: Subject) -> None:
    whole = ask(subject, do_sample=False, max_output_length=24).result().texts[0]
    stop = whole[len(whole) // 2 :][:3]
    asked = ask(subject, do_sample=False, max_output_length=24, stop_sequences=[stop])
    result = asked.result()
    assert result.texts == [whole[: whole.index(stop)]]
    assert "".join(asked.pieces) == result.texts[0]
    assert result.finish_reasons == ["stop_sequence"]
    assert stop not in result.texts[0]


def test_a_stop_sequence_that_never_comes_changes_nothing(subject: Subject) -> None:
    plain = ask(subject, do_sample=False).result().texts
    assert ask(subject, do_sample=False, stop_sequences=[plain[0][-2:] + "\N{BLACK STAR}"]).result().texts == plain


def test_a_cap_is_a_budget(subject: Subject) -> None:
    result = ask(subject, cap=5, do_sample=False).result()
    assert (result.output_budget, result.clamped, result.finish_reasons) == (5, True, ["max_output_length"])
    assert result.output_tokens == 5


def test_a_prompt_that_is_too_long_is_refused_with_counts(subject: Subject) -> None:
    count = subject.owner.count_tokens(PROMPT)
    with pytest.raises(ContextOverflowError, match=rf"has {count} tokens and max_input_length is 3"):
        ask(subject, max_input_length=3).result()
    assert ask(subject, max_input_length=count).result().texts


def test_an_empty_prompt_is_refused(subject: Subject) -> None:
    if subject.owner.count_tokens("") == 0 or subject.driver == "openai":
        with pytest.raises(InvalidInputError, match="prompt is empty"):
            ask(subject, "").result()


def test_a_cancel_stops_the_computing(subject: Subject) -> None:
    reached, gate = threading.Event(), threading.Event()

    def on_text(text: str, tokens: int) -> None:
        if tokens >= 3 and not reached.is_set():
            reached.set()
            assert gate.wait(PATIENCE)

    asked = ask(subject, on_text=on_text, **LONG)
    assert reached.wait(PATIENCE)
    asked.control.cancel()
    gate.set()
    with pytest.raises(RunCancelledError):
        asked.result()
    result = asked.generation.result
    assert result.finish_reasons == ["cancelled"]
    assert result.texts == ["".join(asked.pieces)]
    assert 0 < result.output_tokens < 400
    said = len(asked.pieces)
    assert ask(subject).result().texts  # the next one has the engine for itself
    assert len(asked.pieces) == said


def test_a_time_limit_stops_the_computing(subject: Subject) -> None:
    control = Control()
    asked = ask(subject, control=control, on_text=lambda text, tokens: control.expire(1), **LONG)
    with pytest.raises(RunTimeoutError):
        asked.result()
    assert asked.generation.result.finish_reasons == ["timeout"]


def test_what_was_cancelled_before_it_began_is_not_computed(subject: Subject) -> None:
    control = Control()
    control.cancel()
    asked = ask(subject, control=control)
    with pytest.raises((RunCancelledError, CancelledError)):
        asked.result()
    assert asked.pieces == []


def test_one_who_leaves_does_not_disturb_others(subject: Subject) -> None:
    gate = threading.Event()
    first = ask(subject, on_text=lambda text, tokens: gate.wait(PATIENCE), do_sample=False)
    leaving = [ask(subject) for _ in range(3)]
    for one in leaving:
        with one.control.calling(one.generation.leave_queue):
            one.control.cancel()
    gate.set()
    for one in leaving:
        with pytest.raises((RunCancelledError, CancelledError)):
            one.result()
    assert first.result().texts == ask(subject, do_sample=False).result().texts


def test_a_fault_in_a_callback_reaches_the_waiter_and_the_next_one_works(subject: Subject) -> None:
    def fail(text: str, tokens: int) -> None:
        raise ZeroDivisionError("as planned")

    with pytest.raises(InternalError, match="ZeroDivisionError: as planned"):
        ask(subject, on_text=fail).result()
    assert ask(subject).result().texts


def test_beams_are_searched_or_refused_by_name(subject: Subject) -> None:
    if subject.driver == "huggingface":
        assert ask(subject, num_beams=2, do_sample=False).result().texts
    else:
        with pytest.raises(InvalidInputError, match="'num_beams' cannot be used") as caught:
            ask(subject, num_beams=2)
        assert caught.value.errors[0]["field"] == "num_beams"


def test_a_conversation_is_answered(subject: Subject) -> None:
    if subject.driver == "huggingface":
        pytest.skip("the tiny model was not made for chats; tests/models/test_chat.py has one that was")
    said = Conversation((Turn("user", "Say hello."),), now=0.0)
    asked = ask(subject, said, do_sample=False, max_output_length=20)
    result = asked.result()
    assert result.texts == ["".join(asked.pieces)]
    assert result.texts[0].strip()
    assert "Say hello." in result.prompt
    assert "<|im_end|>" not in result.texts[0]


def test_characters_are_whole(subject: Subject) -> None:
    asked = ask(subject, "你好，世界！🌙 Repeat: 你好，世界！", do_sample=False, max_output_length=16)
    assert asked.result().texts == ["".join(asked.pieces)]
    if subject.driver != "huggingface":  # random weights write parts of characters
        assert "\N{REPLACEMENT CHARACTER}" not in asked.result().texts[0].rstrip("\N{REPLACEMENT CHARACTER}")


def test_a_closed_one_takes_no_more(subject: Subject) -> None:
    cache = ModelCache()
    lease = cache.lease(cache.acquire(subject.spec, no_report).future.result(PATIENCE))
    assert lease is not None
    owner: Any = lease.owner
    last = ask(Subject(owner, subject.spec))
    lease.release()
    cache.unload()
    assert last.result().texts  # what was queued is computed first
    with pytest.raises(InternalError):
        ask(Subject(owner, subject.spec)).result()
