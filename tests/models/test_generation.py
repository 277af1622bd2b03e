"""Every architecture generates: the right class, the right text, streamed as whole, the same for the same seed."""

from __future__ import annotations

import copy
import gc
import json
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from mcnb.models import packing
from mcnb.models.control import Control
from mcnb.models.detokenizer import Detokenizer
from mcnb.models.generation import GenerationResult, generate
from mcnb.models.loaded import LoadedModel
from tests.support import tiny_models
from tests.support.texts import POEM, POEM_ZH

from .calls import PROMPT, load_folder, parameters, say
from .conftest import CAUSAL, ENCODER_DECODER, MAKERS, Loaded

CLASSES = {
    "smollm3": "SmolLM3ForCausalLM",
    "gpt2_dialog": "GPT2LMHeadModel",
    "gpt_neo": "GPTNeoForCausalLM",
    "codegen": "CodeGenForCausalLM",
    "llama": "LlamaForCausalLM",
    "blenderbot": "BlenderbotForConditionalGeneration",
    "t5": "T5ForConditionalGeneration",
}

PLAIN = {"num_beams": 1, "max_output_length": 24}
GREEDY = {**PLAIN, "do_sample": False}


def alone(model: LoadedModel, prompt: str, **options: Any) -> torch.Tensor:
    """What transformers' own ``generate`` says; the prompt's tokens, or the start token, are left out."""
    tokens = model.tokenizer(prompt, return_tensors="pt")
    config = copy.deepcopy(model.defaults)
    config.update(**{"max_length": None, "pad_token_id": model.pad_token, **options})
    with torch.inference_mode():
        output = model.model.generate(
            tokens["input_ids"], attention_mask=tokens["attention_mask"], generation_config=config
        )
    given = 1 if model.is_encoder_decoder else tokens["input_ids"].shape[1]
    return output[0, given:]


def text_of(model: LoadedModel, prompt: str, output: torch.Tensor) -> str:
    """The text of these tokens behind the prompt: as the tokenizer decodes them, where it can."""
    before = [] if model.is_encoder_decoder else model.tokenizer(prompt)["input_ids"]
    decode = model.tokenizer.decode
    whole = decode([*before, *output.tolist()], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    text = str(whole[len(decode(before, skip_special_tokens=True, clean_up_tokenization_spaces=False)) :])
    reader = Detokenizer(model.tokenizer, before)
    read = "".join([*(reader.add(token) for token in output.tolist()), reader.finish()])
    # Llama's decoder makes a whole row of byte tokens unreadable when one of them is
    assert read == text or ("\N{REPLACEMENT CHARACTER}" in text and "<0x00>" in model.tokenizer.get_vocab())
    return read


@pytest.mark.parametrize("name", MAKERS)
def test_the_config_decides_the_class(name: str, loaded: Loaded) -> None:
    model = loaded(name)
    assert type(model.model).__name__ == CLASSES[name]
    assert model.is_encoder_decoder == (name in ENCODER_DECODER)
    assert not model.model.training
    assert {parameter.dtype for parameter in model.model.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in model.model.parameters()), (
        "torch is slower on those that do not"
    )
    assert all(parameter.grad is None for parameter in model.model.parameters())
    assert model.memory >= sum(p.numel() * 4 for p in set(model.model.parameters()))


@pytest.mark.parametrize("name", MAKERS)
def test_greedy_is_what_transformers_says(name: str, loaded: Loaded) -> None:
    model = loaded(name)
    said = say(model, **GREEDY)
    lengths = {"max_new_tokens": 24, "min_length": 0, "min_new_tokens": said.result.output_tokens}
    if name == "blenderbot":  # its own minimum of 20 counts the start token
        lengths = {"max_new_tokens": 24, "min_length": 20}
    output = alone(model, PROMPT, num_beams=1, do_sample=False, **lengths)
    assert said.text == text_of(model, PROMPT, output)
    assert said.text
    assert said.result.prompt_tokens == len(model.tokenizer(PROMPT)["input_ids"])
    assert said.result.output_tokens == len(output)


@pytest.mark.parametrize("sampled", [False, True], ids=["greedy", "sampled"])
@pytest.mark.parametrize("name", MAKERS)
def test_pieces_put_together_are_the_text(name: str, sampled: bool, loaded: Loaded) -> None:
    said = say(loaded(name), **PLAIN, do_sample=sampled)
    assert "".join(said.pieces) == said.text
    assert len(said.pieces) > 5
    assert said.counts == sorted(said.counts)
    assert said.result.output_tokens == 24 if said.reason == "max_output_length" else said.reason == "eos"
    first, decode = said.result.first_token_seconds, said.result.decode_seconds
    assert first is not None
    assert decode is not None
    assert first > 0
    assert decode > 0


@pytest.mark.parametrize("name", MAKERS)
def test_a_seed_means_a_text(name: str, loaded: Loaded) -> None:
    model = loaded(name)
    torch.manual_seed(1)
    first = say(model, **PLAIN, do_sample=True, temperature=2.0, seed=11)
    torch.manual_seed(2)
    again = say(model, **PLAIN, do_sample=True, temperature=2.0, seed=11)
    other = say(model, **PLAIN, do_sample=True, temperature=2.0, seed=12)
    assert first.text == again.text
    assert first.text != other.text
    assert first.result.batch_invariant


@pytest.mark.parametrize("name", CAUSAL)
def test_several_sequences(name: str, loaded: Loaded) -> None:
    model = loaded(name)
    options = {**PLAIN, "do_sample": True, "temperature": 2.0}
    one = say(model, **options)
    two = say(model, **options, num_return_sequences=3)
    texts = two.result.texts
    assert len(set(texts)) == 3
    assert len(two.result.finish_reasons) == 3
    assert texts[0] == one.text  # the run's own seed is the first one's
    assert "".join(two.pieces) == texts[0]
    assert two.result.output_tokens == 3 * 24


@pytest.mark.parametrize("name", [*CAUSAL, "t5"])
def test_a_model_ends_when_it_wants_to(name: str, tmp_path: Path) -> None:
    model = load_folder(MAKERS[name](tmp_path / name, eos_bias=50))
    said = say(model, **GREEDY)
    assert (said.reason, said.text, said.result.output_tokens) == ("eos", "", 1)
    later = say(model, **GREEDY, min_output_length=6)
    assert (later.reason, later.result.output_tokens) == ("eos", 7)


def test_every_end_token_of_the_model_counts(tmp_path: Path) -> None:
    model = load_folder(tiny_models.llama(tmp_path / "llama", end_tokens=4))
    assert len(model.end_tokens) == 4
    packing._unpack(model.model)  # its weights are about to be changed
    ends = sorted(model.end_tokens)
    for end in ends:
        with torch.no_grad():
            saved = model.model.lm_head.weight.clone()
            model.model.lm_head.weight[:] = 0
            model.model.lm_head.bias = torch.nn.Parameter(torch.zeros(len(saved)))
            model.model.lm_head.bias[end] = 100
        said = say(model, **GREEDY)
        assert (said.reason, said.result.output_tokens) == ("eos", 1)
        with torch.no_grad():
            model.model.lm_head.weight.copy_(saved)
            model.model.lm_head.bias[:] = 0


def test_some_sequences_end_before_others(tmp_path: Path) -> None:
    model = load_folder(tiny_models.gpt_neo(tmp_path / "neo", eos_bias=2))
    said = say(model, max_output_length=60, do_sample=True, temperature=1.0, num_return_sequences=8, num_beams=1)
    assert set(said.result.finish_reasons) == {"eos", "max_output_length"}
    alone = [len(model.tokenizer(text)["input_ids"]) for text in said.result.texts]
    assert max(alone) > min(alone)
    assert said.result.output_tokens < 8 * 60


@pytest.mark.parametrize("poem", [POEM, POEM_ZH], ids=["english", "chinese"])
@pytest.mark.parametrize("sampled", [False, True], ids=["greedy", "sampled"])
def test_a_known_text_comes_out_whole(poem: str, sampled: bool, tmp_path: Path) -> None:
    model = load_folder(tiny_models.reciter(tmp_path / "reciter", poem))
    first, rest = poem.split("\n", 1)
    said = say(model, first + "\n", do_sample=sampled)
    assert said.text == rest
    assert said.reason == "eos"
    assert not [piece for piece in said.pieces if "\N{REPLACEMENT CHARACTER}" in piece]


def test_a_stop_sequence_ends_the_text_before_it(tmp_path: Path) -> None:
    model = load_folder(tiny_models.reciter(tmp_path / "reciter", POEM))
    first, rest = POEM.split("\n", 1)
    said = say(model, first + "\n", stop_sequences=["thy", "eyes?"])
    assert said.text == rest[: rest.index("thy")]
    assert said.reason == "stop_sequence"
    assert "".join(said.pieces) == said.text
    everything = say(model, first + "\n", stop_sequences=["Tyger"])  # stands in the prompt alone
    assert everything.text == rest
    assert everything.reason == "eos"


def test_a_repeated_token_is_punished(loaded: Loaded) -> None:
    model = loaded("gpt_neo")
    plain, punished = say(model, **GREEDY), say(model, **GREEDY, repetition_penalty=1.8)
    assert plain.text != punished.text
    output = alone(model, PROMPT, do_sample=False, max_new_tokens=24, repetition_penalty=1.8)
    assert punished.text == text_of(model, PROMPT, output)


def test_the_models_own_defaults_are_left_alone(loaded: Loaded) -> None:
    model = loaded("blenderbot")
    before = model.defaults.to_dict()
    say(model, num_beams=2, max_output_length=5)
    assert model.defaults.to_dict() == before
    assert parameters(model)["num_beams"] == 10


@pytest.mark.parametrize(
    "own",
    [
        {"penalty_alpha": 0.6, "top_k": 4},
        {"prompt_lookup_num_tokens": 3},
        {"num_beam_groups": 2, "diversity_penalty": 0.5, "num_beams": 4},
        {"guidance_scale": 1.5},
        {"min_p": 0.3, "typical_p": 0.5, "epsilon_cutoff": 3e-4},
        {"dola_layers": "high"},
        {"watermarking_config": {"bias": 2.0}},
        {
            "max_length": 7,
            "max_new_tokens": 3,
            "max_time": 1e-9,
            "temperature": 5.0,
            "renormalize_logits": True,
        },
    ],
    ids=lambda own: next(iter(own)),
)
def test_a_model_does_not_choose_another_algorithm(own: dict[str, Any], tmp_path: Path) -> None:
    folder = tiny_models.gpt_neo(tmp_path / "neo")
    expected = say(load_folder(folder), **GREEDY).text
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | own))
    assert say(load_folder(folder), **GREEDY).text == expected


def test_a_models_stop_strings_are_stop_sequences(tmp_path: Path) -> None:
    folder = tiny_models.reciter(tmp_path / "reciter", POEM)
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"stop_strings": ["skies"]}))
    said = say(load_folder(folder), POEM[:28])
    assert said.text == POEM[28 : POEM.index("skies")]
    assert said.reason == "stop_sequence"


def test_nothing_of_a_generation_stays_behind(loaded: Loaded) -> None:
    model = loaded("gpt_neo")
    gc.collect()
    gc.disable()
    try:
        said = say(model, do_sample=True, max_output_length=3)
        trace = weakref.ref(said.result)
        del said
        assert trace() is None  # no cycle holds it until the collector comes
    finally:
        gc.enable()


def test_the_prompt_is_told_before_it_is_processed(loaded: Loaded) -> None:
    model = loaded("gpt_neo")
    told: list[Any] = []
    handle = model.model.register_forward_hook(lambda *_: told.append("computed"))
    generate(
        model,
        PROMPT,
        parameters(model, max_output_length=4),
        control=Control(),
        on_text=lambda text, tokens: None,
        result=(result := GenerationResult()),
        on_prompt=lambda tokens, budget: told.append((tokens, budget)),
    )
    handle.remove()
    assert told[:2] == [(result.prompt_tokens, 4), "computed"]
    assert told.count((result.prompt_tokens, 4)) == 1
