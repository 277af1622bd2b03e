"""The tiny models are real models: transformers loads and runs them as it does their namesakes."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer, GgufConfig

from . import tiny_models
from .texts import POEM, POEM_ZH
from .zoo import ZOO, build_zoo

Loaded = tuple[Any, Any]  # a model and its tokenizer


@pytest.fixture
def complaints(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What transformers logs as warnings; empty, or the test fails at its end."""
    library = logging.getLogger("transformers")
    library.addHandler(caplog.handler)
    yield caplog.messages
    library.removeHandler(caplog.handler)
    assert not caplog.messages


def load(path: Path) -> Loaded:
    config = AutoConfig.from_pretrained(path, trust_remote_code=False)  # else it asks on standard input
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    return auto.from_pretrained(path, dtype=torch.float32), AutoTokenizer.from_pretrained(path)


def generate(loaded: Loaded, text: str, **options: Any) -> str:
    model, tokenizer = loaded
    inputs = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
    options = {"do_sample": False, "num_beams": 1, "pad_token_id": tokenizer.eos_token_id} | options
    return str(tokenizer.decode(model.generate(**inputs, **options)[0]))


@pytest.mark.parametrize("repo", ZOO)
def test_a_zoo_model_loads_and_generates(zoo: Path, repo: str, complaints: list[str]) -> None:
    model, tokenizer = load(zoo / repo)
    inputs = tokenizer("Hello, how are you?", return_tensors="pt")
    settings = {"max_new_tokens": 3, "min_length": 0, "num_beams": 1, "do_sample": False, "max_length": None}
    ids = model.generate(**inputs, **settings, pad_token_id=tokenizer.eos_token_id)
    given = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
    assert ids.shape == (1, given + 3)


def test_the_zoo_is_small_and_built_once(zoo: Path) -> None:
    files = {file: file.stat().st_mtime_ns for file in zoo.rglob("*") if file.is_file()}
    assert sum(file.stat().st_size for file in files) < 8_000_000
    build_zoo(zoo)
    assert {file: file.stat().st_mtime_ns for file in zoo.rglob("*") if file.is_file()} == files


@pytest.mark.parametrize(
    ("repo", "present", "absent"),
    [
        ("HuggingFaceTB/SmolLM3-3B", ["model-00002-of-00002.safetensors", "chat_template.jinja"], ["vocab.json"]),
        ("microsoft/DialoGPT-small", ["model.safetensors", "pytorch_model.bin"], ["tokenizer.json"]),
        ("microsoft/DialoGPT-large", ["pytorch_model.bin"], ["model.safetensors", "tokenizer.json"]),
        ("EleutherAI/gpt-neo-2.7B", ["model.safetensors", "vocab.json", "merges.txt"], ["tokenizer.json"]),
        ("Salesforce/codegen-350M-mono", ["pytorch_model.bin", "tokenizer.json"], ["model.safetensors"]),
        ("facebook/blenderbot-400M-distill", ["pytorch_model.bin"], ["model.safetensors"]),
    ],
)
def test_zoo_models_have_the_files_of_their_namesakes(
    zoo: Path, repo: str, present: list[str], absent: list[str]
) -> None:
    assert all((zoo / repo / name).exists() for name in present)
    assert not any((zoo / repo / name).exists() for name in absent)


@pytest.mark.parametrize("make", [tiny_models.smollm3, tiny_models.gpt2_dialog, tiny_models.llama, tiny_models.t5])
def test_the_same_arguments_give_the_same_bytes(make: Callable[..., Path], tmp_path: Path) -> None:
    torch.manual_seed(7)
    first = make(tmp_path / "first")
    state = torch.get_rng_state()
    second = make(tmp_path / "second")
    assert torch.equal(torch.get_rng_state(), state)
    names = sorted(file.name for file in first.iterdir())
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


@pytest.mark.parametrize("make", [tiny_models.smollm3, tiny_models.gpt_neo, tiny_models.llama, tiny_models.t5])
def test_the_end_comes_when_it_is_made_likely(make: Callable[..., Path], tmp_path: Path) -> None:
    never, always = load(make(tmp_path / "never")), load(make(tmp_path / "always", eos_bias=50))
    end = never[1].eos_token
    limits = {"max_new_tokens": 30, "max_length": None}
    asked = "Once upon a time"
    assert not generate(never, asked, **limits).removeprefix(asked).rstrip().endswith(end)
    assert generate(always, asked, **limits).count(end) == 1


def test_characters_are_several_tokens(zoo: Path, tmp_path: Path) -> None:
    llama = tiny_models.llama(tmp_path / "llama")
    for path in (zoo / "HuggingFaceTB/SmolLM3-3B", zoo / "EleutherAI/gpt-neo-1.3B", llama):
        tokenizer = AutoTokenizer.from_pretrained(path)
        for character in "世🌙🚀":
            assert len(tokenizer(character, add_special_tokens=False)["input_ids"]) > 1
        text = "Hello,  你好 👩🏽‍🚀!\n  x"
        assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_the_smollm3_template_writes_the_date_and_thinks(zoo: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(zoo / "HuggingFaceTB/SmolLM3-3B")
    turns = [{"role": "user", "content": "Hello"}]
    prompt: Any = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert "Today Date: " in prompt
    assert "/think" in prompt
    short: Any = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, enable_thinking=False)
    assert short.endswith("<think>\n\n</think>\n")


def test_the_poet_knows_its_poem(tmp_path: Path, complaints: list[str]) -> None:
    poet = load(tiny_models.poem_gpt2(tmp_path / "poet", tmp_path / "cache"))
    lines = POEM.splitlines(keepends=True)
    for first in (0, 4, 9):
        said = generate(poet, lines[first], max_new_tokens=300)
        assert said == "".join(lines[first:]) + "<|endoftext|>"
    copy = tiny_models.poem_gpt2(tmp_path / "copy", tmp_path / "cache")
    assert (copy / "model.safetensors").read_bytes() == (tmp_path / "poet" / "model.safetensors").read_bytes()


def test_the_reciter_says_its_text_however_it_is_sampled(tmp_path: Path) -> None:
    reciter = load(tiny_models.reciter(tmp_path / "reciter", POEM_ZH))
    first_line = POEM_ZH.splitlines(keepends=True)[0]
    for options in ({}, {"do_sample": True, "temperature": 1.0}, {"num_beams": 2}):
        assert generate(reciter, first_line, max_new_tokens=300, **options) == POEM_ZH + "<|endoftext|>"


@pytest.mark.parametrize("quantization", ["F16", "Q8_0"])
def test_a_gguf_file_holds_model_and_tokenizer(quantization: str, tmp_path: Path, complaints: list[str]) -> None:
    file = tiny_models.gguf_llama(tmp_path, quantization=quantization)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(
        tmp_path, gguf_file=file.name, quantization_config=GgufConfig(dequantize=True)
    )
    assert tokenizer.decode(tokenizer("你好, world<|im_end|>")["input_ids"]) == "你好, world<|im_end|>"
    assert generate((model, tokenizer), "Hello", max_new_tokens=3).startswith("Hello")
    assert tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False) is not None


@pytest.mark.parametrize("damage", tiny_models.DAMAGES)
@pytest.mark.parametrize("repo", ["HuggingFaceTB/SmolLM3-3B", "microsoft/DialoGPT-large"])
def test_damaged_models_do_not_load(repo: str, damage: str, zoo: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(zoo / repo, tmp_path / "model"))
    named = tiny_models.broken(copy, damage)
    assert copy in (named, named.parent)
    if repo == "microsoft/DialoGPT-large" and damage == "no_tokenizer":
        assert AutoTokenizer.from_pretrained(copy)("Hello")["input_ids"] == []  # transformers does not notice
        return
    with pytest.raises((OSError, ValueError, RuntimeError, EOFError, SafetensorError, UnpicklingError)):
        load(copy)
    assert tiny_models.REMOTE_CODE_RAN not in os.environ
