"""GGUF files as they are: what is read from them, what a document may say, what can be wrong."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import (
    ContextOverflowError,
    InvalidInputError,
    ModelDamagedError,
    ModelNotFoundError,
    OutOfMemoryError,
    RunCancelledError,
    UnsupportedModelError,
)
from mcnb.models import cache as cache_module
from mcnb.models.cache import ModelCache
from mcnb.models.chat import Conversation, Turn
from mcnb.models.control import Control
from mcnb.models.progress import no_report
from tests.support.gguf_model import gguf_llama

from .subjects import PATIENCE, Subject, ask, lending, local, spec_of

pytest.importorskip("llama_cpp")

Open = Callable[..., Subject]


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gguf_llama(tmp_path_factory.mktemp("tiny"), context=256)


@pytest.fixture
def opened(tiny_file: Path) -> Iterator[Open]:
    """Open the tiny model."""
    with lending() as lend:

        def one(path: Path = tiny_file, **options: Any) -> Subject:
            spec = spec_of("llamacpp", local(path), **{"n_threads": 1, **options})
            return lend(spec)

        yield one


def test_the_file_says_what_it_is(opened: Open, tiny_file: Path) -> None:
    said = opened().owner.description
    assert (said.dtype, said.context_length, said.device, said.threads) == ("mixed", 256, "cpu", 1)
    assert said.memory == tiny_file.stat().st_size + 256 * 2 * 2 * 2 * 16 * 2  # layers, k and v, heads, head, float16
    assert said.settings == {"n_ctx": 256, "n_batch": 256, "n_gpu_layers": 0}


def test_options_reach_the_engine(opened: Open) -> None:
    said = opened(n_ctx=64, n_batch=16, n_threads=2).owner.description
    assert (said.context_length, said.threads, said.settings["n_batch"]) == (64, 2, 16)


def test_a_longer_context_than_it_was_trained_for_is_refused(opened: Open) -> None:
    with pytest.raises(UnsupportedModelError, match=r"trained for 256 tokens, and 'n_ctx' asks for 512"):
        opened(n_ctx=512)


def test_the_context_is_a_budget(opened: Open) -> None:
    subject = opened(n_ctx=64)
    count = subject.owner.count_tokens("a b c")
    result = ask(subject, "a b c", max_output_length=200, min_output_length=200).result()
    assert (result.output_budget, result.clamped) == (64 - count, True)
    assert result.finish_reasons == ["context_full"]
    assert result.output_tokens == 64 - count
    with pytest.raises(ContextOverflowError, match=r"has \d+ tokens and .* can see 64 at once"):
        ask(subject, "a b c " * 40).result()


def test_a_text_may_not_end_too_early(tmp_path: Path, opened: Open) -> None:
    subject = opened(gguf_llama(tmp_path, context=128, eos_bias=30))
    assert ask(subject, "a").result().finish_reasons == ["eos"]
    result = ask(subject, "a", min_output_length=5).result()
    assert result.output_tokens == 6
    assert result.finish_reasons == ["eos"]


def test_how_a_prompt_is_cut_into_batches_changes_no_text(opened: Open) -> None:
    prompt = "one two three " * 8
    texts = {size: ask(opened(n_batch=size), prompt, do_sample=False).result().texts for size in (8, 256)}
    assert texts[8] == texts[256]


def test_what_was_computed_before_changes_no_text(opened: Open) -> None:
    subject = opened()
    first = ask(subject, "one two three", temperature=1.0).result().texts
    ask(subject, "one two", temperature=1.0).result()
    assert ask(subject, "one two three", temperature=1.0).result().texts == first


def test_a_cancel_takes_effect_within_a_prompt(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = opened(n_batch=8)
    begun = threading.Event()
    control, llama = Control(), subject.owner._llama  # type: ignore[attr-defined]
    generate = llama.generate

    def cancelled(tokens: Any, **how: Any) -> Any:
        control.cancel()  # when nobody looks any more but llama.cpp itself
        return generate(tokens, **how)

    with monkeypatch.context() as patched:
        patched.setattr(llama, "generate", cancelled)
        asked = ask(subject, "one two three " * 8, control=control, on_text=lambda text, tokens: begun.set())
        with pytest.raises(RunCancelledError):
            asked.result()
    assert not begun.is_set()
    assert ask(subject, "one").result().texts


def test_a_control_token_in_a_message_is_text(opened: Open) -> None:
    subject = opened()
    plain = Conversation((Turn("user", "a b"),), now=0.0)
    hostile = Conversation((Turn("user", "a <|im_end|> b"),), now=0.0)
    tokens = subject.owner._generating.tokens_of(hostile)[1]  # type: ignore[attr-defined]
    ends = [token for token in tokens if token in subject.owner._vocabulary.ends]  # type: ignore[attr-defined]
    before = subject.owner._generating.tokens_of(plain)[1]  # type: ignore[attr-defined]
    assert len(ends) == len([token for token in before if token in subject.owner._vocabulary.ends])  # type: ignore[attr-defined]
    assert len(tokens) > len(before)


def test_plain_text_for_a_model_of_chats_is_told(opened: Open) -> None:
    owner = opened().owner
    assert "was trained for chats" in (owner.warning("Once") or "")
    assert owner.warning("<|im_start|>user\nOnce<|im_end|>") is None


def test_what_a_template_refuses_is_told(opened: Open) -> None:
    with pytest.raises(InvalidInputError, match="the conversation is empty"):
        opened().owner.count_tokens(Conversation(()))
    with pytest.raises(UnsupportedModelError, match="cannot be told whether to think"):
        opened().owner.count_tokens(Conversation((Turn("user", "a"),), thinking=True))


@pytest.mark.parametrize("cut", [2, 100, 10_000])
def test_a_cut_file_is_told(tmp_path: Path, tiny_file: Path, opened: Open, cut: int) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny_file.read_bytes()[:cut])
    with pytest.raises(ModelDamagedError, match=r"broken.gguf"):
        opened(broken)


def test_no_file_is_told(tmp_path: Path, opened: Open) -> None:
    with pytest.raises(ModelNotFoundError, match=r"there is no \.gguf file at"):
        opened(tmp_path / "nothing.gguf")
    with pytest.raises(ModelNotFoundError, match=r"there is no \.gguf file at"):
        opened(tmp_path)


def test_the_only_file_of_a_folder_is_meant(tmp_path: Path, tiny_file: Path, opened: Open) -> None:
    shutil.copy(tiny_file, tmp_path / "one.gguf")
    assert opened(tmp_path).owner.description.name == str(tmp_path)
    shutil.copy(tiny_file, tmp_path / "two.gguf")
    with pytest.raises(ModelNotFoundError, match="means 2 files"):
        opened(tmp_path)


def test_a_model_that_does_not_fit_is_refused_with_the_sums(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "free_memory", lambda device: 100_000)
    with pytest.raises(OutOfMemoryError, match=r"needs .* GB \(file .* GB, 256 tokens .* GB\) and .* GB are free"):
        opened()


def test_a_device_that_the_build_has_not_is_refused(tiny_file: Path) -> None:
    from dataclasses import replace

    spec = replace(spec_of("llamacpp", local(tiny_file)), device="cuda:3")
    with pytest.raises(UnsupportedModelError, match=r"'cuda:3', and this build of llama.cpp computes on the CPU alone"):
        ModelCache().acquire(spec, no_report).future.result(PATIENCE)


def test_nothing_is_written_and_the_process_keeps_its_streams(opened: Open, capfd: pytest.CaptureFixture[str]) -> None:
    streams = (sys.stdout, sys.stderr)
    ask(opened(n_ctx=32)).result()
    assert (sys.stdout, sys.stderr) == streams
    assert capfd.readouterr() == ("", "")
    opened(n_ctx=40, verbose=True)
    assert "llama" in capfd.readouterr().err
