"""LoRA adapters, made here: what they change, how much, what records keep, what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mcnb.compose.schema import LocalSource
from mcnb.compose.schema.component import PeftAdapter
from mcnb.errors import ModelDamagedError, ModelNotFoundError, UnsafeModelError, UnsupportedModelError
from mcnb.models._compat import import_peft
from mcnb.models.cache import ModelCache
from mcnb.models.control import Control
from mcnb.models.owner import ModelOwner
from mcnb.models.spec import ModelSpec

from .caching import lease
from .calls import PROMPT, parameters, spec
from .conftest import Folders

pytest.importorskip("peft")
peft = import_peft()


def make_adapter(model: Path, target: Path, seed: int) -> Path:
    """Write an adapter with weights that change texts."""
    import_peft()
    config = peft.LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    wrapped = peft.get_peft_model(_unpacked(model), config)
    torch.manual_seed(seed)
    for name, weight in wrapped.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.3)
    wrapped.save_pretrained(str(target))
    return target


def _unpacked(model: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(str(model), dtype=torch.float32)


@pytest.fixture(scope="module")
def adapters(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("adapters")
    return tuple(make_adapter(folders("llama"), root / str(seed), seed) for seed in (1, 2))  # type: ignore[return-value]


def adapted(model: Path, *pairs: tuple[Path, float]) -> ModelSpec:
    wanted = tuple(PeftAdapter(model=LocalSource(path=str(path)), weight=weight) for path, weight in pairs)
    return replace(spec(model), adapters=wanted)


def text(cache: ModelCache, wanted: ModelSpec) -> str:
    held = lease(cache, wanted)
    owner = held.owner
    assert isinstance(owner, ModelOwner)
    given = parameters(owner.loaded, do_sample=False, max_output_length=12)
    said = owner.submit(PROMPT, given, control=Control(), on_text=lambda *_: None).future.result(60).texts[0]
    held.release()
    return said


def test_what_adapters_change(cache: ModelCache, folders: Folders, adapters: tuple[Path, Path]) -> None:
    model, (one, two) = folders("llama"), adapters
    plain = text(cache, spec(model))
    assert text(cache, adapted(model, (one, 0.0))) == plain
    texts = [text(cache, adapted(model, *pairs)) for pairs in ([(one, 1.0)], [(two, 1.0)], [(one, 1.0), (two, 0.5)])]
    assert len({plain, *texts}) == 4
    assert cache.loads == 5, "each is a model of its own"
    assert text(cache, adapted(model, (one, 1.0))) == texts[0]
    assert cache.loads == 5


def test_weights_are_sums(cache: ModelCache, folders: Folders, adapters: tuple[Path, Path]) -> None:
    model, (one, two) = folders("llama"), adapters
    held = lease(cache, adapted(model, (one, 0.5), (two, -1.0)))
    found = held.owner.loaded.model  # type: ignore[attr-defined]
    scores = found(torch.tensor([[1, 2, 3]])).logits
    expected = _unpacked(model)
    for path, weight in ((one, 0.5), (two, -1.0)):
        wrapped = peft.PeftModel.from_pretrained(expected, str(path))
        for module in wrapped.modules():
            if isinstance(getattr(module, "scaling", None), dict):
                module.scaling["default"] *= weight
        expected = wrapped.merge_and_unload()
    torch.testing.assert_close(scores, expected(torch.tensor([[1, 2, 3]])).logits, rtol=1e-3, atol=1e-3)
    held.release()


@pytest.mark.parametrize("kind", ["int8", "int4", "nf4"])
def test_they_are_quantized_with_the_model(
    kind: str, cache: ModelCache, folders: Folders, adapters: tuple[Path, Path]
) -> None:
    model, words = folders("llama"), torch.tensor([[5, 6, 7, 8, 9]])
    scores = []
    for precision, pairs in ((kind, ()), (kind, [(adapters[0], 1.0)]), ("bfloat16", [(adapters[0], 1.0)])):
        held = lease(cache, replace(adapted(model, *pairs), precision=precision))
        with torch.inference_mode():
            scores.append(held.owner.loaded.model(words).logits.float())  # type: ignore[attr-defined]
        assert ("adapters" in held.owner.description.settings) == bool(pairs)
        assert ("quantization" in held.owner.description.settings) == (precision == kind)
        held.release()
    without, quantized, whole = scores
    assert (quantized - whole).norm() < 0.6 * (without - whole).norm(), "the adapter is in it"


def test_a_record_names_them(cache: ModelCache, folders: Folders, adapters: tuple[Path, Path]) -> None:
    held = lease(cache, adapted(folders("llama"), (adapters[0], 0.5)))
    (told,) = held.owner.description.settings["adapters"]
    digest = hashlib.sha256((adapters[0] / "adapter_model.safetensors").read_bytes()).hexdigest()
    assert told["weight"] == 0.5
    assert told["digests"] == {"adapter_model.safetensors": digest}
    assert told["name"] == "adapter-1"
    held.release()


def test_an_adapter_for_another_model_is_refused(
    cache: ModelCache, folders: Folders, adapters: tuple[Path, Path]
) -> None:
    with pytest.raises(UnsupportedModelError, match=r"made for another model: .* has no part model\.layers"):
        lease(cache, adapted(folders("gpt_neo"), (adapters[0], 1.0)))


def test_what_is_wrong_with_its_files_is_told(
    cache: ModelCache, folders: Folders, adapters: tuple[Path, Path], tmp_path: Path
) -> None:
    model = folders("llama")
    with pytest.raises(ModelNotFoundError, match="there is no folder at"):
        lease(cache, adapted(model, (tmp_path / "nothing", 1.0)))
    broken = Path(shutil.copytree(adapters[0], tmp_path / "broken"))
    weights = broken / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ModelDamagedError, match=r"adapter_model\.safetensors"):
        lease(cache, adapted(model, (broken, 1.0)))
    weights.rename(broken / "adapter_model.bin")
    with pytest.raises(UnsafeModelError, match="pickled weights only"):
        lease(cache, adapted(model, (broken, 1.0)))
    config = broken / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "peft_type": "PREFIX_TUNING"}))
    with pytest.raises(UnsupportedModelError, match="only LoRA is supported"):
        lease(cache, adapted(model, (broken, 1.0)))
