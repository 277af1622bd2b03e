"""What is wrong with a model's files is found before anything is loaded, and named."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcnb.errors import ModelDamagedError, ModelError, UnsafeModelError
from mcnb.models.cache import ModelCache
from mcnb.models.model_files import read_json, safetensors_header
from mcnb.models.progress import no_report
from mcnb.models.snapshot import Snapshot, check_snapshot
from tests.support.tiny_models import DAMAGES, REMOTE_CODE_RAN, broken

from .calls import fetch_local, load_folder, say, spec
from .conftest import Folders

KINDS = ("smollm3", "gpt2_dialog", "codegen", "blenderbot", "t5")


@pytest.fixture
def copied(folders: Folders, tmp_path: Path) -> Any:
    """Copy a model folder, to be damaged."""
    return lambda name: Path(shutil.copytree(folders(name), tmp_path / name))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", KINDS)
def test_damage_is_an_error_that_names_the_file(
    name: str, damage: str, copied: Any, cache: ModelCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(REMOTE_CODE_RAN, raising=False)
    folder = copied(name)
    named = broken(folder, damage)
    with pytest.raises(ModelError) as caught:
        cache.acquire(spec(folder, allow_pickle=True), no_report).future.result(60)
    if damage == "remote_code":
        assert isinstance(caught.value, UnsafeModelError)
        assert "runs no code of model repositories" in caught.value.message
    else:
        assert isinstance(caught.value, ModelDamagedError)
        alone = damage in ("missing_shard", "leftover_partial") and "there are no weights" in caught.value.message
        assert named.name in caught.value.message or alone
        assert str(folder) in caught.value.message
    assert cache.loads == 0
    assert REMOTE_CODE_RAN not in os.environ


@pytest.mark.parametrize("name", ["codegen", "blenderbot"])
def test_pickled_weights_need_consent(name: str, folders: Folders) -> None:
    with pytest.raises(UnsafeModelError, match=r"pickled weights only \(pytorch_model\.bin\).*allow_pickle: true"):
        fetch_local(folders(name))
    assert fetch_local(folders(name), allow_pickle=True).format == "pickle"


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.folder),))


def test_pickled_code_is_not_run_even_with_consent(copied: Any, tmp_path: Path) -> None:
    import torch

    folder = copied("codegen")
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    torch.save({**state, "evil": Evil(tmp_path / "it-was-run")}, folder / "pytorch_model.bin")
    with pytest.raises(ModelDamagedError, match=r"weights in .* cannot be loaded"):
        load_folder(folder)
    assert not (tmp_path / "it-was-run").exists()


def test_weights_of_an_older_torch(copied: Any) -> None:
    import torch

    folder = copied("codegen")
    file = folder / "pytorch_model.bin"
    torch.save(torch.load(file, weights_only=True), file, _use_new_zipfile_serialization=False)
    assert say(load_folder(folder), max_output_length=2).result.output_tokens == 2
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(ModelDamagedError, match=r"weights in .* cannot be loaded"):
        load_folder(folder)


@pytest.mark.parametrize(
    ("name", "lost"),
    [("gpt2_dialog", "merges.txt"), ("gpt_neo", "merges.txt"), ("gpt2_dialog", "vocab.json"), ("t5", "tokenizer.json")],
)
def test_half_a_tokenizer_is_none(name: str, lost: str, copied: Any) -> None:
    folder = copied(name)
    (folder / lost).unlink()
    with pytest.raises(ModelDamagedError, match=rf"no whole tokenizer in {folder}; it lacks .*{lost}"):
        fetch_local(folder)


@pytest.mark.parametrize("name", ["gpt2_dialog", "smollm3", "blenderbot", "t5", "llama"])
def test_a_tokenizer_without_words_is_noticed(name: str, copied: Any) -> None:
    folder = copied(name)
    for file in ("tokenizer.json", "vocab.json", "merges.txt"):
        (folder / file).unlink(missing_ok=True)
    (folder / "vocab.txt").write_text("")  # belongs to another kind of tokenizer
    with pytest.raises(ModelDamagedError, match="tokenizer"):
        load_folder(folder)


def test_a_tokenizer_of_bytes_needs_no_vocabulary(copied: Any) -> None:
    from transformers import ByT5Tokenizer, T5Config, T5ForConditionalGeneration

    folder = copied("t5")
    (folder / "tokenizer.json").unlink()
    tokenizer = ByT5Tokenizer()
    tokenizer.save_pretrained(folder)
    config = T5Config(vocab_size=384, d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=4, decoder_start_token_id=0)
    T5ForConditionalGeneration(config).save_pretrained(folder)
    model = load_folder(folder)
    assert model.tokenizer.decode(model.tokenizer("世界").input_ids, skip_special_tokens=True) == "世界"
    assert say(model, max_output_length=4, num_beams=1).result.output_tokens == 4


@pytest.mark.parametrize("content", ["{", "[]", "3", '"x"', "[" * 100_000, "\xff", "", "nul"])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"])
def test_json_that_is_none(name: str, content: str, copied: Any) -> None:
    folder = copied("smollm3")
    (folder / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(ModelDamagedError, match=f"{name} (is not readable JSON|does not hold a JSON object)"):
        fetch_local(folder)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"hidden_size": "many"}, r"config\.json in .* cannot be loaded"),
        ({"model_type": "mystery"}, "does not know the architecture 'mystery'"),
        ({"model_type": None}, "does not know the architecture 'None'"),
        (
            {"model_type": "bert", "architectures": ["BertForMaskedLM"]},
            "BertForMaskedLM model, which does not generate",
        ),
        ({"model_type": "vit", "architectures": None}, "vit model, which does not generate text"),
        ({"num_hidden_layers": 6}, "weight files lack [0-9]+ tensors of the model, such as model"),
        ({"vocab_size": 1000}, "weights in .* cannot be loaded"),
    ],
)
def test_a_config_that_does_not_fit(change: dict[str, Any], complaint: str, copied: Any) -> None:
    folder = copied("llama")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ModelError, match=complaint):
        load_folder(folder)


def test_a_repository_does_not_choose_the_code_that_runs(copied: Any) -> None:
    folder = copied("llama")
    config = json.loads((folder / "config.json").read_text())
    kernel = {"attn_implementation": "evil/kernel", "_attn_implementation": "evil/kernel", "use_kernels": True}
    (folder / "config.json").write_text(json.dumps(config | kernel))
    assert load_folder(folder).model.config._attn_implementation == "sdpa"
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    code = {"tokenizer_class": "EvilTokenizer", "auto_map": {"AutoTokenizer": ["evil.EvilTokenizer", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | code))
    (folder / "evil.py").write_text("raise SystemExit('it was run')")
    try:
        model = load_folder(folder)
    except UnsafeModelError:
        return
    assert type(model.tokenizer).__module__.startswith("transformers")


def test_a_shard_is_no_path(copied: Any) -> None:
    folder = copied("smollm3")
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    for shard in ("../other/model.safetensors", "/etc/passwd"):
        index.write_text(json.dumps({"weight_map": dict.fromkeys(content["weight_map"], shard)}))
        with pytest.raises(ModelDamagedError, match=r"the shard .* is missing"):
            fetch_local(folder)
    for broken_map in ({}, {"weight_map": {}}, {"weight_map": ["x"]}, {"weight_map": {"a": 1}}):
        index.write_text(json.dumps(broken_map))
        with pytest.raises(ModelDamagedError, match="names no weights"):
            fetch_local(folder)


HEADERS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "a", "__metadata__"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=HEADERS, rest=st.binary(max_size=20), cut=st.integers(0, 60))
def test_any_header_is_checked_without_a_crash(header: Any, rest: bytes, cut: int, tmp_path: Path) -> None:
    text = json.dumps(header).encode()
    path = tmp_path / "model.safetensors"
    content = len(text).to_bytes(8, "little") + text + rest
    path.write_bytes(content[: len(content) - cut] if cut < 40 else content)
    with contextlib.suppress(ModelDamagedError):
        assert isinstance(safetensors_header(path, "fuzzed"), dict)


def test_the_same_files_are_the_same_model(copied: Any) -> None:
    folder = copied("llama")
    first = fetch_local(folder)
    assert Snapshot("other", "huggingface", folder).identity == first.identity
    link = folder.with_name("link")
    link.symlink_to(folder)
    assert fetch_local(link).identity == first.identity
    (folder / "tokenizer_config.json").write_text(
        json.dumps(read_json(folder / "tokenizer_config.json", "") | {"x": 1})
    )
    assert fetch_local(folder).identity != first.identity
    check_snapshot(fetch_local(folder), allow_pickle=False)
