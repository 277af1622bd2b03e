"""Exceptions in the engine: whoever they concern hears of them, nobody else does, and the next request works."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch

from mcnb.errors import InternalError, McnbError, OutOfMemoryError, QueueFullError
from mcnb.models.engine import batch as batch_module
from mcnb.models.engine.forward import Forward
from mcnb.models.owner import ModelOwner

from .conftest import Ask, Held, Load, submit, texts

GOOD = Ask("Once upon a time", user={"max_output_length": 10})
BAD = Ask("The sea is wide", 5, {"max_output_length": 10, "do_sample": True, "temperature": 1.25})
LONG = "He was told of the garden by the sea. " * 9


def _raise(error: BaseException) -> Any:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


FAULTS = [ZeroDivisionError("as planned"), SystemExit("as planned"), MemoryError("as planned")]


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["prepare", "begin", "choose", "detokenize", "on_text", "keep"])
def test_one_fails_and_the_others_go_on(
    where: str, error: BaseException, owner: ModelOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = texts(submit(owner, GOOD))
    held = Held(owner)
    _break_for_bad(where, error, monkeypatch)
    good = [submit(owner, GOOD), submit(owner, GOOD)]
    bad = submit(owner, BAD, _raise(error) if where == "on_text" else lambda text, tokens: None)
    held.gate.open()
    with pytest.raises(McnbError, match=r"as planned|memory"):
        bad.future.result(20)
    assert [texts(one) for one in good] == [expected] * 2
    monkeypatch.undo()
    assert texts(submit(owner, GOOD)) == expected
    assert len(texts(submit(owner, BAD))) == 1


def _break_for_bad(where: str, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a part of the engine raise where the bad request comes to it, and only there."""
    name = {
        "prepare": "mcnb.models.engine.engine.prepare",
        "begin": "mcnb.models.engine.work.generation_config",
        "choose": "mcnb.models.sampling.candidates",
        "detokenize": "mcnb.models.rows.Rows.take",
        "keep": "mcnb.models.rows.Rows.keep",
    }.get(where)
    if name is None:
        return
    module, _, attribute = name.rpartition(".")
    owner: Any = pytest.importorskip(module) if "Rows" not in name else pytest.importorskip("mcnb.models.rows").Rows
    own = getattr(owner, attribute)

    def concerned(*given: Any, **options: Any) -> Any:
        if where == "choose" or any(_is_bad(one) for one in given):
            raise error
        return own(*given, **options)

    monkeypatch.setattr(name, concerned)


def _is_bad(given: Any) -> bool:
    parameters = getattr(given, "parameters", given)
    try:
        return bool(parameters["temperature"] == 1.25)
    except (TypeError, KeyError):
        return False


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
def test_a_failing_pass_is_told_to_all_in_it(
    error: BaseException, owner: ModelOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = texts(submit(owner, GOOD))
    held = Held(owner)
    others = [submit(owner, GOOD), submit(owner, Ask(LONG))]
    monkeypatch.setattr(Forward, "__call__", _raise(error))
    held.gate.open()
    for one in (held.generation, *others):
        with pytest.raises(McnbError):
            one.future.result(20)
    monkeypatch.undo()
    assert texts(submit(owner, GOOD)) == expected


def test_a_failing_prompt_in_pieces_is_told_once(owner: ModelOwner, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = texts(submit(owner, GOOD))
    engine_batch = owner._engine.batch
    assert engine_batch is not None
    engine_batch._forward.one_at_a_time = True
    monkeypatch.setattr(Forward, "__call__", _raise(ZeroDivisionError("as planned")))
    with pytest.raises(InternalError, match="as planned"):
        submit(owner, Ask(LONG)).future.result(20)
    monkeypatch.undo()
    assert texts(submit(owner, GOOD)) == expected


def test_memory_that_lacks_once_is_taken_from_the_prefixes(owner: ModelOwner, monkeypatch: pytest.MonkeyPatch) -> None:
    long = Ask(LONG)
    expected = texts(submit(owner, long))
    engine_batch = owner._engine.batch
    assert engine_batch is not None
    assert engine_batch.prefixes.memory
    own, failed = Forward.__call__, threading.Event()

    def once(self: Forward, *given: Any) -> Any:
        if not failed.is_set():
            failed.set()
            raise torch.OutOfMemoryError("as planned")
        return own(self, *given)

    monkeypatch.setattr(Forward, "__call__", once)
    assert texts(submit(owner, long)) == expected
    assert failed.is_set()


def test_memory_that_always_lacks_is_told(owner: ModelOwner, monkeypatch: pytest.MonkeyPatch) -> None:
    texts(submit(owner, Ask(LONG)))
    held = Held(owner)
    others = [submit(owner, GOOD), submit(owner, Ask(LONG))]
    monkeypatch.setattr(Forward, "__call__", _raise(torch.OutOfMemoryError("as planned")))
    held.gate.open()
    for one in (held.generation, *others):
        with pytest.raises(OutOfMemoryError):
            one.future.result(20)
    monkeypatch.undo()
    assert texts(submit(owner, GOOD))


def test_what_can_never_fit_is_refused_with_the_sum(owner: ModelOwner, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = texts(submit(owner, GOOD))
    monkeypatch.setattr(batch_module, "free_memory", lambda device: 100_000)
    with pytest.raises(OutOfMemoryError, match=r"tokens need .* GB for keys and values") as caught:
        submit(owner, Ask("Once", user={"max_output_length": 400})).future.result(20)
    assert "would fit" in str(caught.value.hint)
    assert texts(submit(owner, GOOD)) == expected


def test_what_has_to_wait_for_room_waits_and_then_runs(owner: ModelOwner, monkeypatch: pytest.MonkeyPatch) -> None:
    large = Ask("Once", user={"max_output_length": 120})
    expected = texts(submit(owner, large))
    held = Held(owner, Ask("She", user={"max_output_length": 120}))
    works = owner._engine.batch.works  # type: ignore[union-attr]
    room = 100_000  # bytes: enough for one of them
    monkeypatch.setattr(batch_module, "free_memory", lambda device: room - sum(work.memory for work in works))
    order: list[str] = []
    waits = submit(owner, large, lambda text, tokens: order.append("waits"))
    held.generation.future.add_done_callback(lambda _: order.append("held"))
    held.go()
    assert texts(waits) == expected
    assert order[0] == "held"
    assert set(order[1:]) == {"waits"}


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_the_queue_says_that_it_is_full(family: str, load: Load, owners: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcnb.models.request.LONGEST_QUEUE", 3)
    owner = owners(load(family))
    held = Held(owner)
    queued = [submit(owner, GOOD) for _ in range(3)]
    full = submit(owner, GOOD)
    with pytest.raises(QueueFullError, match="3 generations wait"):
        full.future.result(0)
    held.go()
    assert len({str(texts(one)) for one in queued}) == 1
    assert texts(submit(owner, GOOD))


def test_the_queue_of_a_model_that_generates_is_bounded_too(
    load: Load, owners: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = owners(load("t5"))
    monkeypatch.setattr("mcnb.models.request.LONGEST_QUEUE", 3)
    held = Held(owner)
    reached, opened = threading.Event(), threading.Event()

    def wait(text: str, tokens: int) -> None:
        reached.set()
        assert opened.wait(60)

    queued = [submit(owner, GOOD, wait) for _ in range(3)]
    held.go()
    assert reached.wait(60)
    found = owner.waiting
    opened.set()
    assert found == 2
    assert all(texts(one) for one in queued)


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["_advance", "_prompts", "let_in"])
def test_an_error_between_the_passes_ends_all_there_is(
    where: str, error: BaseException, owner: ModelOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = texts(submit(owner, GOOD))
    held = Held(owner)
    asked = [submit(owner, GOOD), submit(owner, BAD)]
    monkeypatch.setattr(batch_module.Batch, where, _raise(error))
    held.gate.open()
    for one in asked:
        with pytest.raises(McnbError, match=r"as planned|memory"):
            one.future.result(20)
    monkeypatch.undo()
    assert texts(submit(owner, GOOD)) == expected
