"""The one thread that uses a loaded model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest
import torch

from mcnb.errors import InternalError, RunCancelledError
from mcnb.models.control import Control
from mcnb.models.loaded import LoadedModel
from mcnb.models.owner import Generation, ModelOwner
from mcnb.models.parameters import check_parameters

from .calls import PROMPT, Gate, load_folder, say
from .conftest import Folders


@pytest.fixture
def model(folders: Folders) -> LoadedModel:
    return load_folder(folders("gpt_neo"))


@pytest.fixture
def owner(model: LoadedModel) -> Iterator[ModelOwner]:
    made = ModelOwner(model)
    yield made
    made.close()


def submit(
    owner: ModelOwner, control: Control | None = None, on_text: Any = lambda text, tokens: None, **user: Any
) -> Generation:
    user = {"max_output_length": 8, "do_sample": False, **user}
    given = owner.parameters(check_parameters(user), {}, (7, "user"))
    return owner.submit(PROMPT, given, control=control or Control(), on_text=on_text)


def test_generations_take_turns(owner: ModelOwner, model: LoadedModel) -> None:
    names: list[str] = []
    handle = model.model.register_forward_hook(lambda *_: names.append(threading.current_thread().name))
    generations = [submit(owner, max_output_length=length) for length in (3, 5, 7)]
    texts = [generation.future.result(60).texts[0] for generation in generations]
    handle.remove()
    assert texts[2].startswith(texts[0].rstrip("\N{REPLACEMENT CHARACTER}"))
    assert set(names) == {f"mcnb-model-{model.snapshot.name}"}
    assert [generation.queue_seconds >= 0 for generation in generations] == [True] * 3


def test_it_uses_as_many_threads_as_the_user_said(model: LoadedModel) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        made = ModelOwner(model)
        torch.set_num_threads(before)  # for others: this model keeps what it was loaded with
        counts: list[int] = []
        handle = model.model.register_forward_hook(lambda *_: counts.append(torch.get_num_threads()))
        submit(made).future.result(60)
        handle.remove()
        made.close()
        assert made.threads == before + 1
        assert set(counts) == {before + 1}
    finally:
        torch.set_num_threads(before)


def test_a_queued_generation_leaves_the_queue(owner: ModelOwner) -> None:
    gate = Gate()
    first = submit(owner, on_text=lambda text, tokens: gate.wait())
    gate.arrived()
    control = Control()
    second, third = submit(owner, control), submit(owner)
    with control.calling(second.leave_queue):
        control.cancel()
    with pytest.raises(CancelledError):
        second.future.result(60)
    assert second.result.texts == []
    gate.open()
    assert first.future.result(60).texts == third.future.result(60).texts


def test_a_running_one_does_not_leave_but_stops(owner: ModelOwner) -> None:
    control, gate = Control(), Gate()
    generation = submit(owner, control, lambda text, tokens: gate.wait(), max_output_length=500)
    gate.arrived()
    with control.calling(generation.leave_queue):
        control.cancel()
    assert not generation.future.done()
    gate.open()
    with pytest.raises(RunCancelledError):
        generation.future.result(60)
    assert generation.result.finish_reasons == ["cancelled"]
    assert generation.result.output_tokens == 1


@pytest.mark.parametrize("where", ["forward", "tokenizer", "sampler", "on_text", "detokenizer"])
def test_an_exception_reaches_the_waiter_and_the_next_one_works(
    where: str, owner: ModelOwner, model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("as planned")

    on_text: Any = fail if where == "on_text" else lambda text, tokens: None
    with monkeypatch.context() as patched:
        if where == "forward":
            patched.setattr(model.model, "forward", fail)
        elif where == "tokenizer":
            patched.setattr(model, "tokenizer", fail)
        elif where == "sampler":
            patched.setattr("mcnb.models.sampling.candidates", fail)
        elif where == "detokenizer":
            patched.setattr("mcnb.models.detokenizer.Detokenizer.add", fail)
        generation = submit(owner, on_text=on_text, do_sample=True)
        with pytest.raises(InternalError, match="ZeroDivisionError: as planned") as caught:
            generation.future.result(60)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert submit(owner).future.result(60).texts == say(model, do_sample=False, max_output_length=8).result.texts


def test_even_the_end_of_a_thread_is_told(owner: ModelOwner, model: LoadedModel) -> None:
    def leave(*_: object) -> None:
        raise SystemExit

    handle = model.model.register_forward_hook(leave)
    with pytest.raises(InternalError, match="SystemExit"):
        submit(owner).future.result(60)
    handle.remove()
    assert submit(owner).future.result(60)


def test_closing_ends_what_is_queued_and_frees_the_model(model: LoadedModel) -> None:
    before = threading.active_count()
    made = ModelOwner(model)
    generations = [submit(made) for _ in range(3)]
    made.close()
    made.close()
    assert [generation.future.result(0).output_tokens for generation in generations] == [8] * 3
    assert (model.model, model.tokenizer) == (None, None)
    assert threading.active_count() == before


def test_a_closed_owner_takes_no_more(model: LoadedModel) -> None:
    made = ModelOwner(model)
    given = made.parameters({}, {}, (7, "user"))
    made.close()
    generation = made.submit(PROMPT, given, control=Control(), on_text=lambda text, tokens: None)
    with pytest.raises(InternalError, match="has left memory"):
        generation.future.result(0)


def test_a_finished_generation_is_let_go(owner: ModelOwner) -> None:
    import gc
    import weakref

    generation = submit(owner)
    generation.future.result(60)
    submit(owner).future.result(60)  # the thread is done with the first by now
    gone = weakref.ref(generation)
    del generation
    gc.collect()
    assert gone() is None


def test_a_model_that_nobody_asks_has_no_thread(owner: ModelOwner, model: LoadedModel) -> None:
    def threads() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == f"mcnb-model-{model.snapshot.name}"]

    assert not threads()
    for _ in range(2):
        assert submit(owner).future.result(60).texts
        for thread in threads():
            thread.join(60)
        assert not threads()
