"""Real tokenizers trained on the spot, saved in the file layouts found on the Hub.

Their vocabularies hold a few hundred entries. In the byte-level ones most Chinese characters and every emoji are
several tokens, and some tokens are pieces of characters: a stream must hold text back until it is whole.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoTokenizer,
    BlenderbotTokenizer,
    CodeGenTokenizer,
    LlamaTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    T5Tokenizer,
)

from .texts import CORPUS

Vocabulary = dict[str, int]
Merges = list[tuple[str, str]]

END_OF_TEXT = "<|endoftext|>"
CONCATENATED_TURNS = "{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}"

CHATML = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""

# Like SmolLM3's: it writes today's date into the prompt and thinks unless told not to.
THINKING_CHATML = """\
{%- if enable_thinking is not defined -%}{%- set enable_thinking = true -%}{%- endif -%}
{%- set mode = '/think' if enable_thinking else '/no_think' -%}
{{- '<|im_start|>system\\n## Metadata\\n\\nToday Date: ' + strftime_now('%d %B %Y') + '\\n' -}}
{{- 'Reasoning Mode: ' + mode + '\\n' -}}
{%- if messages[0].role == 'system' -%}
{{- '\\n## Custom Instructions\\n\\n' + messages[0].content + '\\n' -}}
{%- set messages = messages[1:] -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if not enable_thinking -%}{{- '<think>\\n\\n</think>\\n' -}}{%- endif -%}
{%- endif -%}
"""


def byte_level(first: tuple[str, ...] = (), last: tuple[str, ...] = ()) -> tuple[Vocabulary, Merges]:
    """A byte-level BPE vocabulary with its merges; special tokens go before or behind the learned ones."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1000, min_frequency=2, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _numbered(tokenizer, first, last)


def save_gpt2_files(path: Path, context: int, chat_template: str | None = None) -> PreTrainedTokenizerBase:
    """Save `vocab.json`, `merges.txt` and `tokenizer_config.json` alone, as older GPT-2 repositories do."""
    _write_vocabulary(path, *byte_level(last=(END_OF_TEXT,)))
    settings: dict[str, Any] = {"model_max_length": context, "tokenizer_class": "GPT2Tokenizer"}
    settings |= dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT)
    if chat_template:
        settings["chat_template"] = chat_template
    _write_json(path / "tokenizer_config.json", settings)
    return AutoTokenizer.from_pretrained(path)


def save_codegen(path: Path, context: int) -> PreTrainedTokenizerBase:
    """GPT-2's layout plus `tokenizer.json`, and runs of white space as added tokens."""
    vocabulary, merges = byte_level(last=(END_OF_TEXT,))
    tokenizer = CodeGenTokenizer(vocabulary, cast(Any, merges), model_max_length=context)
    tokenizer.add_tokens([" " * 4, " " * 3, " " * 2, "\t\t"])
    tokenizer.save_pretrained(path)
    _write_vocabulary(path, vocabulary, merges)
    return tokenizer


def save_blenderbot(path: Path, context: int) -> PreTrainedTokenizerBase:
    """Blenderbot's own special tokens; puts a space before the text and the end token behind it."""
    specials = ("__null__", "__start__", "__end__", "__unk__")
    vocabulary, merges = byte_level(first=specials)
    pad, start, end, unknown = specials
    tokenizer = BlenderbotTokenizer(
        vocab=vocabulary,
        merges=merges,
        bos_token=start,
        eos_token=end,
        sep_token=end,
        cls_token=start,
        unk_token=unknown,
        pad_token=pad,
        mask_token=None,
        model_max_length=context,
    )
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", pair=f"$A {end} $B {end}", special_tokens=[(end, vocabulary[end])]
    )
    tokenizer.save_pretrained(path)
    _write_vocabulary(path, vocabulary, merges)
    return tokenizer


def save_chatml(path: Path, context: int, chat_template: str = THINKING_CHATML) -> PreTrainedTokenizerBase:
    """A plain `tokenizer.json` with ChatML tokens and `chat_template.jinja`, as SmolLM3 has it."""
    specials = ("<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>", "<|im_start|>", "<|im_end|>")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_byte_level_backend(*byte_level(last=specials)),
        eos_token="<|im_end|>",
        pad_token="<|finetune_right_pad_id|>",
        additional_special_tokens=["<|begin_of_text|>", "<|end_of_text|>", "<|im_start|>"],
        model_max_length=context,
        padding_side="left",
    )
    tokenizer.chat_template = chat_template
    tokenizer.save_pretrained(path)
    return tokenizer


def save_llama(path: Path, context: int, chat_template: str | None = None) -> PreTrainedTokenizerBase:
    """SentencePiece semantics: `▁` for spaces, one before the text; unknown characters fall back to byte tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    english = [line for line in CORPUS if line.isascii()]
    trainer = trainers.BpeTrainer(vocab_size=400, min_frequency=2, show_progress=False)
    tokenizer.train_from_iterator([*english, "，。你好"], trainer)
    bytes_ = tuple(f"<0x{byte:02X}>" for byte in range(256))
    vocabulary, merges = _numbered(tokenizer, first=("<unk>", "<s>", "</s>", *bytes_))
    llama = LlamaTokenizer(vocab=vocabulary, merges=merges, add_bos_token=True, model_max_length=context)
    if chat_template:
        llama.chat_template = chat_template
    llama.save_pretrained(path)
    return llama


def save_t5(path: Path, context: int) -> PreTrainedTokenizerBase:
    """T5's Unigram tokenizer; what it does not know becomes `<unk>`, and the end token closes the text."""
    # The Unigram trainer gives other scores each time; scores that fall with the rank are as good here.
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=400, min_frequency=2, show_progress=False))
    vocabulary, _ = _numbered(tokenizer)
    scores = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    scores += [(piece, -8.0 - 0.005 * rank) for piece, rank in vocabulary.items()]
    sentinels = [(f"<extra_id_{number}>", 0.0) for number in reversed(range(4))]
    t5 = T5Tokenizer(vocab=scores + sentinels, extra_ids=4, model_max_length=context)
    t5.save_pretrained(path)
    return t5


def _byte_level_backend(vocabulary: Vocabulary, merges: Merges) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _numbered(
    tokenizer: Tokenizer, first: tuple[str, ...] = (), last: tuple[str, ...] = ()
) -> tuple[Vocabulary, Merges]:
    learned = json.loads(tokenizer.to_str())["model"]
    tokens = [*first, *sorted(learned["vocab"], key=learned["vocab"].__getitem__), *last]
    return {token: number for number, token in enumerate(tokens)}, [(left, right) for left, right in learned["merges"]]


def _write_vocabulary(path: Path, vocabulary: Vocabulary, merges: Merges) -> None:
    _write_json(path / "vocab.json", vocabulary)
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (path / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")
