"""Tiny models that say a text you know: one that learnt a poem, one that reads from a list by position."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerBase

from .texts import POEM
from .tiny_tokenizers import save_gpt2_files
from .tiny_weights import build, save

RECIPE = 1  # raise it when the training changes: it is part of the cache's key


def poem_gpt2(path: Path, cache: Path | None = None, *, poem: str = POEM, context: int = 512) -> Path:
    """A GPT-2 of 0.9 million parameters that learnt a poem and then the end token, by heart.

    From any of its lines on (from the line's first token at position 0) it goes on verbatim under greedy decoding,
    and ends. It does so by real attention, unlike `reciter`.

    Parameters
    ----------
    path : Path
        The folder to write, with fp32 safetensors; also the return value.
    cache : Path, optional
        Where trained poets are kept. The first takes about ten seconds of one core, its copies none.
    poem : str, optional
        A few hundred tokens at most.
    context : int, optional
        Tokens; must hold the poem.
    """
    if cache is None:
        return _train(path, poem, context)
    key = hashlib.sha256(f"{RECIPE} {context} {poem}".encode()).hexdigest()[:16]
    kept = cache / f"poet-{key}"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            made = _train(Path(work) / "poet", poem, context)
            if not kept.exists():  # another process may have been faster
                os.replace(made, kept)
    return Path(shutil.copytree(kept, path, dirs_exist_ok=True))


def reciter(path: Path, text: str, *, context: int | None = None, dtype: torch.dtype = torch.float32) -> Path:
    """A GPT-2 that says `text` and then the end token, whatever it is asked and however it is sampled.

    Its position embeddings spell the text and its one layer does nothing, so the token that follows position n is
    token n + 1 of the text: prompted with the first lines of the text, it goes on with the rest; prompted with n
    other tokens, it goes on from token n. Made in a tenth of a second.

    Parameters
    ----------
    path : Path
        The folder to write, with safetensors; also the return value.
    text : str
        What it says; any characters.
    context : int, optional
        Tokens; the length of the text and 16 more by default. Behind the text there are end tokens only.
    dtype : torch.dtype, optional
        Type of the stored weights.
    """
    tokenizer = save_gpt2_files(path, 0)
    ids = [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
    context = context or len(ids) + 16
    save_gpt2_files(path, context)
    ids += [tokenizer.eos_token_id] * (context + 1 - len(ids))
    model = build(GPT2LMHeadModel, _config(tokenizer, context, layers=1), seed=0)
    with torch.no_grad():
        for parameter in model.transformer.h.parameters():
            parameter.zero_()
        tokens, positions = model.transformer.wte.weight, model.transformer.wpe.weight
        tokens.mul_(2)
        positions.copy_(4 * tokens[torch.tensor(ids[1 : context + 1])])
    save(model, path, dtype=dtype)
    return path


def _config(tokenizer: PreTrainedTokenizerBase, context: int, layers: int) -> GPT2Config:
    end = tokenizer.eos_token_id
    return GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=128,
        n_layer=layers,
        n_head=4,
        n_positions=context,
        bos_token_id=end,
        eos_token_id=end,
        attn_pdrop=0,
        embd_pdrop=0,
        resid_pdrop=0,
    )


def _train(path: Path, poem: str, context: int) -> Path:
    tokenizer = save_gpt2_files(path, context)
    lines = [tokenizer(line)["input_ids"] for line in poem.splitlines(keepends=True)]
    starts = [[token for line in lines[first:] for token in line] for first in range(len(lines))]
    texts = [[*ids, tokenizer.eos_token_id] for ids in starts]
    longest = max(len(ids) for ids in texts)
    if longest > context:
        raise ValueError(f"the poem has {longest} tokens, the context only {context}")
    batch = torch.tensor([ids + [0] * (longest - len(ids)) for ids in texts])
    labels = torch.tensor([ids + [-100] * (longest - len(ids)) for ids in texts])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more do not help a model of this size, and wait for each other on a busy machine
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = GPT2LMHeadModel(_config(tokenizer, context, layers=4))
            _learn(model, batch, labels)
    finally:
        torch.set_num_threads(threads)
    save(model, path)
    return path


def _learn(model: GPT2LMHeadModel, batch: torch.Tensor, labels: torch.Tensor) -> None:
    """Train until every row is known; row 0, the whole poem, is in each step, with two others."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.99), weight_decay=0)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=10)
    model.train()
    for step in range(600):
        rows = torch.cat([torch.zeros(1, dtype=torch.long), 1 + torch.randperm(len(batch) - 1)[:2]])
        loss = _loss(model, batch[rows], labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        warm_up.step()
        if step % 5 == 4 and loss.item() < 0.05:
            with torch.no_grad():
                if _loss(model, batch, labels).item() < 0.03:
                    model.eval()
                    return
    raise RuntimeError(f"the poem was not learnt: loss {loss.item():.3f}")


def _loss(model: GPT2LMHeadModel, batch: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    logits = model(batch).logits[:, :-1]
    return nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
